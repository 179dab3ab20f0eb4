"""Instruction templates: which slots a task has, and how a template is filled."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cellwright.cellmodel.data.splits import Part

Task = Literal["CTA", "DSP", "CPCG"]
Mode = Literal["instruct", "chat"]
METADATA = ("species", "tissue", "sequencing_method")


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
        response: Text with ``{output}``; the bare slot in instruct mode.
    """

    task: Task
    instruction: str
    response: str

    @property
    def slots(self) -> frozenset[str]:
        """Names of the slots in the instruction."""
        names = (*TASKS[self.task].required, *METADATA, "choices")
        return frozenset(name for name in names if "{" + name + "}" in self.instruction)

    @property
    def part(self) -> Part:
        """Split that the wording belongs to: eight in ten train, one tunes, one tests."""
        digest = hashlib.sha256(f"{self.task}|{self.instruction}".encode()).digest()[0] % 10
        return "train" if digest < 8 else "valid" if digest == 8 else "test"


@dataclass(frozen=True, kw_only=True)
class Example:
    """A filled prompt (the cell still stands as ``{input}``) and the answer to it."""

    prompt: str
    answer: str
    signal: bool


def check_template(template: Template) -> None:
    """Refuse a template that lacks a slot or has one that its task does not know.

    Raises:
        ValueError: The message names the slot.
    """
    slots = TASKS[template.task]
    missing = [name for name in slots.required if "{" + name + "}" not in template.instruction]
    if missing:
        msg = f"A {template.task} instruction needs {{{missing[0]}}}: {template.instruction!r}"
        raise ValueError(msg)
    if "choices" in template.slots and not slots.options:
        msg = f"A {template.task} instruction has no options: {template.instruction!r}"
        raise ValueError(msg)
    if not slots.signal and template.response.count("{output}") != 1:
        msg = f"A {template.task} response needs {{output}} once: {template.response!r}"
        raise ValueError(msg)


def choices_text(labels: Sequence[str], rng: np.random.Generator) -> str:
    """Options in a random order, as prompts write them."""
    order = rng.permutation(len(labels))
    return "(" + "; ".join(labels[at] for at in order) + ")"


def fill(template: Template, values: Mapping[str, str]) -> Example:
    """Put values into a template.

    Args:
        template: The template.
        values: Value of each slot in it, and ``output``; ``{input}`` is left standing.
    """
    instruction = template.instruction
    response = template.response
    for name, value in values.items():
        if name != "input":
            instruction = instruction.replace("{" + name + "}", value)
            response = response.replace("{" + name + "}", value)
    return Example(prompt=instruction, answer=response, signal=TASKS[template.task].signal)
