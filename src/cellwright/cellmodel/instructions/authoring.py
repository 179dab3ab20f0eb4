"""Templates written by any language model, under the same checks as the grammar's."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cellwright.cellmodel.instructions.grammar import draw_metadata
from cellwright.cellmodel.instructions.prompts import (
    Brief,
    instruction_prompt,
    motivation_prompt,
    personality_prompt,
    response_prompt,
    rewrite_prompt,
)
from cellwright.cellmodel.instructions.rouge import LIMIT, Wordlist
from cellwright.cellmodel.instructions.templates import (
    TASKS,
    Language,
    Task,
    Template,
    check_template,
)
from cellwright.errors import CellwrightError

Complete = Callable[[str], str]
REWRITES = 3
"""How often a text is sent back before it is given up (InstructCell's value)."""
TRAIT_SHARES = (0.10, 0.18, 0.45, 0.27)
"""Share of templates with no, one, two and three traits (InstructCell's values)."""
PROFICIENCIES = (
    "a newcomer who knows no technical terms",
    "an expert who uses the terms of the field",
)


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a language model wrote.

    Attributes:
        templates: Templates that passed every check.
        dropped: Number of texts given up, by reason.
        calls: Calls of the model.
        rewrites: Calls that asked for a text anew.
    """

    templates: tuple[Template, ...]
    dropped: Mapping[str, int]
    calls: int
    rewrites: int


class _Rejected(Exception):
    """A text that was still wrong after the last rewrite; its argument is the kind of problem."""


class _Author:
    """A language model and what it was asked so far."""

    def __init__(self, complete: Complete, known: Iterable[str]) -> None:
        self.complete = complete
        self.calls = self.rewrites = 0
        self.seen = Wordlist(known)

    def ask(self, prompt: str) -> str:
        self.calls += 1
        return self.complete(prompt)

    def listed(self, prompt: str, what: str) -> list[str]:
        """Lines of a reply.

        Raises:
            CellwrightError: The model gave none, however often it was asked.
        """
        for _ in range(1 + REWRITES):
            found = read_lines(self.ask(prompt))
            if found:
                return found
        msg = f"The language model listed no {what}; try another model."
        raise CellwrightError(msg)

    def written(self, prompt: str, problem_of: Callable[[str], tuple[str, str]]) -> str:
        """A text without a problem: the first reply, or one of up to three rewrites.

        Args:
            prompt: What to ask.
            problem_of: Kind and description of what is wrong with a text; empty for nothing.
        """
        text = read_text(self.ask(prompt))
        for left in range(REWRITES, -1, -1):
            kind, problem = problem_of(text)
            if not kind:
                return text
            if not left:
                raise _Rejected(kind)
            self.rewrites += 1
            text = read_text(self.ask(rewrite_prompt(text, problem)))
        raise AssertionError  # the last turn returned or raised


def write_with_llm(
    complete: Complete,
    task: Task,
    n: int,
    *,
    language: Language = "english",
    seed: int = 0,
    known: Sequence[str] = (),
    n_traits: int = 12,
    say: Callable[[str], None] = lambda _text: None,
) -> Written:
    """Let a language model write templates.

    It first lists personalities and motivations. For each template it writes an instruction with
    drawn traits, metadata and options, then the response to it. A text that fails a check, or an
    instruction more like an earlier one than ROUGE-L .75, is sent back up to three times and then
    dropped.

    Args:
        complete: The language model: a prompt in, its reply out.
        task: What is asked.
        n: Templates to try; those dropped are not tried anew.
        language: Language of the templates.
        seed: Seed of traits, metadata and options.
        known: Instructions that there are already.
        n_traits: Personalities, and motivations, to ask for.
        say: Progress.

    Raises:
        CellwrightError: The model lists no personality or motivation.
    """
    rng = np.random.default_rng(seed)
    author = _Author(complete, known)
    personalities = author.listed(personality_prompt(n_traits), "personality")
    motivations = author.listed(motivation_prompt(task, n_traits), "motivation")
    templates: list[Template] = []
    dropped: Counter[str] = Counter()
    for at in range(n):
        say(f"{task}, {language}: {at + 1} of {n}")
        brief = _brief(task, language, personalities, motivations, rng)
        try:
            template = _write_one(author, brief)
        except _Rejected as error:
            dropped[str(error)] += 1
            continue
        author.seen.add(template.instruction)
        templates.append(template)
    return Written(
        templates=tuple(templates),
        dropped=dict(dropped),
        calls=author.calls,
        rewrites=author.rewrites,
    )


def _brief(
    task: Task,
    language: Language,
    personalities: Sequence[str],
    motivations: Sequence[str],
    rng: np.random.Generator,
) -> Brief:
    kept = rng.permutation(3)[: int(rng.choice(4, p=TRAIT_SHARES))]
    pools = (personalities, motivations, PROFICIENCIES)
    traits = [
        pool[int(rng.integers(len(pool)))] if at in kept else "" for at, pool in enumerate(pools)
    ]
    return Brief(
        task=task,
        language=language,
        metadata=draw_metadata(rng),
        options=TASKS[task].options and bool(rng.random() < 0.5),
        personality=traits[0],
        motivation=traits[1],
        proficiency=traits[2],
    )


def _write_one(author: _Author, brief: Brief) -> Template:
    bare = "" if TASKS[brief.task].signal else "{output}"

    def template(instruction: str, response: str) -> Template:
        return Template(
            task=brief.task,
            instruction=instruction,
            response=response,
            language=brief.language,
            traits=brief.traits,
        )

    def problem_of_instruction(text: str) -> tuple[str, str]:
        made = template(text, bare)
        try:
            check_template(made)
        except ValueError as error:
            return "instruction fails a check", str(error)
        missing = set(brief.slots) - made.slots
        extra = made.slots - set(brief.slots)
        if missing or extra:
            wrong = [f"{{{one}}} is missing" for one in sorted(missing)]
            wrong += [f"{{{one}}} was not asked for" for one in sorted(extra)]
            return "instruction fails a check", "; ".join(wrong)
        score, near = author.seen.nearest(text, above=LIMIT)
        if near >= 0:
            return "instruction too similar", f"it is nearly an earlier text (ROUGE-L {score:.2f})"
        return "", ""

    def problem_of_response(text: str) -> tuple[str, str]:
        if TASKS[brief.task].signal:
            if not text.endswith("{output}") or text.count("{output}") != 1:
                return "response fails a check", "{output} has to stand once, at the very end"
            text = before_cell(text)
        try:
            check_template(template(instruction, text))
        except ValueError as error:
            return "response fails a check", str(error)
        return "", ""

    instruction = author.written(instruction_prompt(brief), problem_of_instruction)
    response = author.written(response_prompt(brief, instruction), problem_of_response)
    return template(instruction, before_cell(response) if TASKS[brief.task].signal else response)


def before_cell(response: str) -> str:
    """What a generation's response says before the cell that ends it."""
    return response.removesuffix("{output}").rstrip()


def read_lines(reply: str) -> list[str]:
    """Entries of a list in a reply, without numbers, bullets and quotation marks."""
    lines = (re.sub(r"^\s*(?:[-*•]|\d+[.)])\s*", "", line) for line in reply.splitlines())
    found = (line.strip().strip("\"'“”").rstrip(".").strip() for line in lines)
    return list(dict.fromkeys(line for line in found if line and not line.endswith(":")))


def read_text(reply: str) -> str:
    """The text of a reply on one line, without code fences and quotation marks around it."""
    text = re.sub(r"^```\w*|```$", "", reply.strip(), flags=re.MULTILINE)
    text = re.sub(r"\s+", " ", text).strip()
    if len(text) > 1 and text[0] in "\"'“" and text[-1] in "\"'”":
        text = text[1:-1].strip()
    return text
