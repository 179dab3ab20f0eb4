"""Instruction templates: which slots a task has, and how a template is filled."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from cellwright.cellmodel.data.splits import Part
from cellwright.errors import InputError

Task = Literal["CTA", "DSP", "CPCG"]
Mode = Literal["instruct", "chat"]
Language = Literal["english", "korean", "chinese"]
Trait = Literal["personality", "motivation", "proficiency"]
METADATA = ("species", "tissue", "sequencing_method")
LANGUAGES: tuple[Language, ...] = get_args(Language)
TRAITS: tuple[Trait, ...] = get_args(Trait)
MOST_WORDS = 70
"""Longest instruction, in words (in Chinese, characters count as words)."""
_SLOT = re.compile(r"\{([^{}]*)\}")
_SPOKEN_AS_VOWEL = frozenset("AEFHILMNORSX")
_READ_AS_WORDS = ("SMART", "MAIT", "FOX")


@dataclass(frozen=True, kw_only=True)
class TaskSlots:
    """Slots of a task.

    Attributes:
        required: In every instruction.
        optional: In some; a template may name all, some or none of them.
        options: Whether the instruction may list the answers to choose from.
        signal: Whether the answer ends in the signal token, and a cell, in place of a label.
    """

    required: tuple[str, ...]
    optional: tuple[str, ...] = METADATA
    options: bool = True
    signal: bool = False

    @property
    def known(self) -> tuple[str, ...]:
        """Every slot that an instruction may have."""
        return (*self.required, *self.optional, *(("choices",) if self.options else ()))


TASKS: Mapping[Task, TaskSlots] = {
    "CTA": TaskSlots(required=("input",)),
    "DSP": TaskSlots(required=("input", "drug")),
    "CPCG": TaskSlots(required=("cell_type",), options=False, signal=True),
}


@dataclass(frozen=True, kw_only=True)
class Template:
    """An instruction and its answer, with slots in braces.

    Attributes:
        task: What is asked.
        instruction: Text with the task's required slots, any metadata slots, maybe ``{choices}``.
        response: Text with ``{output}``, the bare slot in instruct mode; in generation what is
            said before the cell, nothing in instruct mode.
        language: Language of both.
        traits: Traits that the instruction was written with.
    """

    task: Task
    instruction: str
    response: str
    language: Language = "english"
    traits: tuple[Trait, ...] = ()

    @cached_property
    def slots(self) -> frozenset[str]:
        """Names of the slots in the instruction."""
        found = set(_SLOT.findall(self.instruction))
        return frozenset(name for name in TASKS[self.task].known if name in found)

    @cached_property
    def part(self) -> Part:
        """Split that the wording belongs to: eight in ten train, one tunes, one tests."""
        digest = hashlib.sha256(f"{self.task}|{self.instruction}".encode()).digest()[0] % 10
        return "train" if digest < 8 else "valid" if digest == 8 else "test"

    def in_mode(self, mode: Mode) -> "Template":
        """The template with the bare answer in instruct mode, unchanged in chat mode."""
        if mode == "chat":
            return self
        return replace(self, response="" if TASKS[self.task].signal else "{output}")


@dataclass(frozen=True, kw_only=True)
class Example:
    """A filled prompt (the cell still stands as ``{input}``) and the answer to it.

    Attributes:
        prompt: The instruction.
        answer: What the model should say.
        signal: Whether the answer ends in a cell.
        among: Answers to choose from in instruct mode; empty for all that the model knows.
    """

    prompt: str
    answer: str
    signal: bool
    among: tuple[str, ...] = ()


def check_template(template: Template) -> None:
    """Refuse a template that does not suit its task.

    An instruction has each required slot, the cell and the options once at most, no slot that its
    task does not know, no stray brace, no made-up gene and at most 70 words; a response has
    ``{output}`` once, in generation the cell type or nothing, and no metadata that the instruction
    did not give.

    Raises:
        ValueError: The message names what is wrong.
    """
    slots, text, response = TASKS[template.task], template.instruction, template.response
    named = _SLOT.findall(text)
    said = _SLOT.findall(response)
    allowed = {"output"} if not slots.signal else {"cell_type"}
    allowed |= template.slots - {"input", "choices"}
    problems = (
        *(
            (name not in named, f"A {template.task} instruction needs {{{name}}}")
            for name in slots.required
        ),
        ("choices" in named and not slots.options, f"A {template.task} instruction has no options"),
        (bool(set(named) - set(slots.known)), f"Slots that {template.task} does not know"),
        (named.count("input") > 1, "{input} stands once"),
        (named.count("choices") > 1, "{choices} stands once"),
        (_stray(text) or _stray(response), "A brace that is no slot"),
        (n_words(text) > MOST_WORDS, f"An instruction has at most {MOST_WORDS} words"),
        (
            re.search(r"\bgene (?:[a-z]\b|\d)", text, re.IGNORECASE) is not None,
            "An instruction names no made-up genes",
        ),
        (
            not slots.signal and response.count("{output}") != 1,
            f"A {template.task} response needs {{output}} once",
        ),
        (bool(set(said) - allowed), "A response has only slots that its instruction has"),
    )
    for wrong, message in problems:
        if wrong:
            shown = response if "response" in message else text
            msg = f"{message}: {shown!r}"
            raise ValueError(msg)


def _stray(text: str) -> bool:
    return any(brace in _SLOT.sub("", text) for brace in "{}")


def n_words(text: str) -> int:
    """Number of words; a Chinese character counts as one."""
    return len(re.findall(r"[\u4e00-\u9fff]|[^\s\u4e00-\u9fff]+", text))


def choices_text(labels: Sequence[str], rng: np.random.Generator) -> str:
    """Options in a random order, as prompts write them."""
    order = rng.permutation(len(labels))
    return "(" + "; ".join(labels[at] for at in order) + ")"


_SPECIES: Mapping[Language, Mapping[str, str]] = {
    "english": {},
    "korean": {"human": "사람", "mouse": "생쥐"},
    "chinese": {"human": "人", "mouse": "小鼠"},
}


def metadata_values(
    species: str, tissue: str, protocol: str, language: Language = "english"
) -> dict[str, str]:
    """Values of the metadata slots; tissue and protocol stay as they are written."""
    named = _SPECIES[language].get(species, species)
    return dict(zip(METADATA, (named, tissue, protocol), strict=True))


def response_word(label: str) -> str:
    """The answer to a question on drug response: ``sensitive`` of ``PLX-4720 sensitive``."""
    return label.rsplit(maxsplit=1)[-1]


def fill(template: Template, values: Mapping[str, str]) -> Example:
    """Put values into a template; an English article before a value agrees with it.

    Args:
        template: The template.
        values: Value of each slot in it, and ``output``; ``{input}`` is left standing.
    """
    kept = {name: value for name, value in values.items() if name != "input"}
    return Example(
        prompt=_put(template.instruction, kept),
        answer=_put(template.response, kept),
        signal=TASKS[template.task].signal,
    )


def _put(text: str, values: Mapping[str, str]) -> str:
    def one(match: re.Match[str]) -> str:
        article, name = match.group(1) or "", match.group(2)
        if name not in values:
            return match.group(0)
        if article and _starts_with_vowel(values[name]):
            article = article.rstrip() + "n "
        return article + values[name]

    return re.sub(r"(\b[Aa] )?\{([^{}]*)\}", one, text)


def _starts_with_vowel(word: str) -> bool:
    first, second = word[:1], word[1:2]
    spelled = second.isdigit() or second.isupper()
    if first in _SPOKEN_AS_VOWEL and spelled and not word.startswith(_READ_AS_WORDS):
        return True
    return first.casefold() in "aeio" and not word.casefold().startswith("eu")


def save_templates(templates: Iterable[Template], path: Path) -> None:
    """Write templates as JSON lines."""
    lines = [json.dumps(asdict(one), ensure_ascii=False) for one in templates]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def load_templates(path: Path) -> tuple[Template, ...]:
    """Read what ``save_templates`` wrote, each template checked.

    Raises:
        InputError: A line is no template; the message names it.
    """
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            template = Template(**{**row, "traits": tuple(row.get("traits", ()))})
            check_template(template)
        except (ValueError, TypeError, KeyError) as error:
            msg = f"{path}, line {number}: {error}"
            raise InputError(msg) from error
        found.append(template)
    return tuple(found)
