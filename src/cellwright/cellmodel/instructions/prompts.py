"""The five prompts with which any language model writes templates."""

from collections.abc import Sequence
from dataclasses import dataclass

from cellwright.cellmodel.instructions.templates import (
    MOST_WORDS,
    TASKS,
    Language,
    Task,
    Trait,
)

_ASKED = {
    "CTA": "name the cell type of one cell whose gene expression is given",
    "DSP": "say how one cell, whose gene expression is given, responds to a drug",
    "CPCG": "make up the gene expression of one cell of a named type",
}
_SLOTS = {
    "input": "the gene expression of the cell",
    "drug": "the name of the drug",
    "cell_type": "the name of the cell type",
    "species": "the species",
    "tissue": "the tissue",
    "sequencing_method": "the sequencing protocol",
    "choices": "the list of answers to choose from",
    "output": "the answer",
}


@dataclass(frozen=True, kw_only=True)
class Brief:
    """What one instruction should be.

    Attributes:
        task: What is asked.
        language: Language of instruction and response.
        metadata: Metadata slots that it names.
        options: Whether it lists the answers.
        personality: How the writer talks; empty for no such trait.
        motivation: Why the writer asks; empty for no such trait.
        proficiency: How much the writer knows; empty for no such trait.
    """

    task: Task
    language: Language = "english"
    metadata: tuple[str, ...] = ()
    options: bool = False
    personality: str = ""
    motivation: str = ""
    proficiency: str = ""

    @property
    def slots(self) -> tuple[str, ...]:
        """Slots that the instruction must have, and no others."""
        choices = ("choices",) if self.options else ()
        return (*TASKS[self.task].required, *self.metadata, *choices)

    @property
    def traits(self) -> tuple[Trait, ...]:
        """Traits that are set."""
        named: tuple[tuple[Trait, str], ...] = (
            ("personality", self.personality),
            ("motivation", self.motivation),
            ("proficiency", self.proficiency),
        )
        return tuple(trait for trait, text in named if text)


def personality_prompt(n: int, known: Sequence[str] = ()) -> str:
    """Ask for personalities, one a line.

    Args:
        n: How many.
        known: Those that there are already.
    """
    return (
        f"People with different manners write to an assistant. Describe {n} such manners, each in "
        "two to six words, as in: patient and exact. They should differ as much as possible in "
        "tone, length of sentences and choice of words, and none may insult anyone.\n"
        f"{_not_again(known)}Write one manner on each line and nothing else."
    )


def motivation_prompt(task: Task, n: int, known: Sequence[str] = ()) -> str:
    """Ask for reasons to do a task, one a line.

    Args:
        task: What is asked.
        n: How many.
        known: Those that there are already.
    """
    return (
        f"A user asks an assistant to {_ASKED[task]}. Give {n} different reasons why somebody in "
        "research, the clinic, industry or teaching would need that, each in one short sentence "
        "without names of genes, drugs or cell types.\n"
        f"{_not_again(known)}Write one reason on each line and nothing else."
    )


def instruction_prompt(brief: Brief) -> str:
    """Ask for one instruction as a brief has it."""
    voice = [
        f"Their manner: {brief.personality}." if brief.personality else "",
        f"Why they ask: {brief.motivation}" if brief.motivation else "",
        f"What they know of the field: {brief.proficiency}." if brief.proficiency else "",
    ]
    lines = [
        f"Write a message in {brief.language.capitalize()} in which a user asks an assistant to "
        f"{_ASKED[brief.task]}.",
        *(line for line in voice if line),
        "Let that show in how they write; do not spell it out." if any(voice) else "",
        "Put each of these placeholders into it exactly once, braces included, and no other:",
        *(f"{{{name}}} stands for {_SLOTS[name]}" for name in brief.slots),
        f"Use at most {MOST_WORDS} words. Name no gene, drug, tissue or cell type yourself. "
        "Reply with the message alone, without quotation marks.",
    ]
    return "\n".join(line for line in lines if line)


def response_prompt(brief: Brief, instruction: str) -> str:
    """Ask for the assistant's reply to an instruction."""
    place = "at the very end" if TASKS[brief.task].signal else "exactly once"
    meaning = "the cell that was made" if TASKS[brief.task].signal else _SLOTS["output"]
    extra = [name for name in brief.slots if name not in ("input", "choices")]
    allowed = ", ".join(f"{{{name}}}" for name in extra)
    return (
        f"A user wrote this to an assistant:\n{instruction}\n\n"
        f"Write the assistant's reply in {brief.language.capitalize()}: one or two natural "
        f"sentences with the placeholder {{output}} {place}, standing for {meaning}. "
        + (f"You may also use {allowed}. " if allowed else "Use no other placeholder. ")
        + "Add no facts. Reply with the reply alone, without quotation marks."
    )


def rewrite_prompt(text: str, problem: str) -> str:
    """Ask for a text to be written anew because something is wrong with it.

    Args:
        text: The text as it is.
        problem: What is wrong.
    """
    return (
        f"This text has to be rewritten:\n{text}\n\nThe problem: {problem}\n"
        "Say the same in clearly different words and another sentence structure, in the same "
        "language. Keep every placeholder in braces that belongs there, each exactly once. "
        "Reply with the new text alone."
    )


def _not_again(known: Sequence[str]) -> str:
    return f"Do not repeat these: {'; '.join(known)}.\n" if known else ""
