"""An offline grammar that writes instruction templates in many voices."""

from collections.abc import Mapping, Sequence

import numpy as np

from cellwright.cellmodel.data.splits import Part
from cellwright.cellmodel.instructions.templates import (
    METADATA,
    Mode,
    Task,
    Template,
    check_template,
)

_PERSONALITY = (
    "", "", "", "Hi there! ", "Hello, ", "Please be brief. ", "Good morning. ", "Quick one: ",
    "Pardon the basic question. ", "In all rigour, please: ",
)  # fmt: skip
_MOTIVATION: Mapping[Task, Sequence[str]] = {
    "CTA": (
        "", "", "", "I am building an atlas. ", "We are checking a clustering. ",
        "My thesis needs labels. ", "This came up in a quality check. ", "For a figure, ",
    ),
    "DSP": (
        "", "", "We plan a combination therapy. ", "I study why some cells survive treatment. ",
        "This is for a screening report. ",
    ),
    "CPCG": (
        "", "", "", "I want to test a pipeline. ", "We lack cells of a rare type. ",
        "This is for a power analysis. ", "I am teaching a class. ",
    ),
}  # fmt: skip
_CONTEXT = {
    ("species",): ("a {species} cell", "a cell from {species}"),
    ("tissue",): ("a cell from {tissue}", "a {tissue} cell"),
    ("sequencing_method",): ("a cell sequenced with {sequencing_method}",),
    ("species", "tissue"): ("a {species} {tissue} cell", "a cell of {species} {tissue}"),
    ("species", "sequencing_method"): ("a {species} cell read by {sequencing_method}",),
    ("tissue", "sequencing_method"): ("a {tissue} cell profiled by {sequencing_method}",),
    METADATA: (
        "a {species} {tissue} cell sequenced by {sequencing_method}",
        "a cell from {tissue} ({species}, {sequencing_method})",
    ),
    (): ("a cell", "a single cell"),
}
_CTA_ASK = (
    "Here is {context}: {input}. What type is it?",
    "Which cell type is {input}, {context}?",
    "Identify the cell type of {input}. It is {context}.",
    "Given {context}, {input}, name its type.",
    "{input} is the profile of {context}. Annotate it.",
    "Tell me what kind of cell this is: {input} ({context}).",
    "What would you call {input}? We know it is {context}.",
    "Classify {context} with this expression: {input}",
    "Label this profile of {context}: {input}",
    "From its expression {input}, what is the identity of {context}?",
    "I have {context}: {input}. Could you annotate it?",
    "Cell type of {input}?",
    "Look at {input} and say which cell type it belongs to.",
)
_DSP_ASK = (
    "How does {input}, {context}, respond to {drug}?",
    "Predict the response of {context} to {drug}: {input}",
    "Will {drug} work on {input}? It is {context}.",
    "{input} is {context}. Is it sensitive or resistant to {drug}?",
    "Given {input} from {context}, state its response to {drug}.",
)
_CPCG_CONTEXT = {
    ("species",): (" from {species}", ", {species}"),
    ("tissue",): (" from {tissue}", " of {tissue}"),
    ("sequencing_method",): (" as {sequencing_method} would read it",),
    ("species", "tissue"): (" from {species} {tissue}", " ({species}, {tissue})"),
    ("species", "sequencing_method"): (" ({species}, {sequencing_method})",),
    ("tissue", "sequencing_method"): (" from {tissue}, read by {sequencing_method}",),
    METADATA: (
        " from {species} {tissue}, sequenced by {sequencing_method}",
        " ({species}; {tissue}; {sequencing_method})",
    ),
    (): ("",),
}
_CPCG_ASK = (
    "Generate a {cell_type}{context}.",
    "Make one expression profile of a {cell_type}{context}.",
    "Please simulate a {cell_type}{context}.",
    "I need a synthetic {cell_type}{context}.",
    "What could the counts of a {cell_type}{context} look like?",
    "Draw a cell: {cell_type}{context}.",
    "Create the profile of a {cell_type}{context}.",
    "Give me a {cell_type}{context}.",
)
_OPTIONS = (
    " Choose from {choices}.", " Options: {choices}", " It is one of {choices}.",
    " Pick the best of {choices}.", " Candidates are {choices}.",
)  # fmt: skip
_SAYS: Mapping[Task, Sequence[str]] = {
    "CTA": (
        "This is a {output}.", "The profile fits a {output}.", "I would call it a {output}.",
        "Most likely a {output}.", "Its expression points to a {output}.",
        "The cell type is {output}.", "That looks like a {output} to me.",
    ),
    "DSP": (
        "The cell is {output} to {drug}.", "Its response to {drug}: {output}.",
        "I expect it to be {output}.",
    ),
    "CPCG": (
        "Here is a {cell_type}:", "One {cell_type}:", "A {cell_type}, as you asked:",
        "This is a synthetic {cell_type}:",
    ),
}  # fmt: skip
_ASKS: Mapping[Task, Sequence[str]] = {"CTA": _CTA_ASK, "DSP": _DSP_ASK, "CPCG": _CPCG_ASK}
_TERSE_RATE = 0.35
"""Share of instructions without personality and motivation."""


def write_template(
    task: Task,
    rng: np.random.Generator,
    *,
    mode: Mode,
    metadata: Sequence[str] = METADATA,
    options: bool = False,
    part: Part | None = None,
) -> Template:
    """Write a template.

    Args:
        task: What is asked.
        rng: Source of the draws.
        mode: ``instruct`` answers with the bare label, ``chat`` in a sentence.
        metadata: Metadata that the instruction may name; those that the drawn wording has no room
            for are left out.
        options: Whether to list the answers.
        part: Only wordings of this split; None for any.
    """
    for _ in range(200):
        template = _draw(
            task, rng, mode, tuple(name for name in METADATA if name in metadata), options
        )
        if part is None or template.part == part:
            check_template(template)
            return template
    msg = f"No {task} wording of part {part!r} in 200 draws."
    raise RuntimeError(msg)


def _draw(
    task: Task,
    rng: np.random.Generator,
    mode: Mode,
    metadata: tuple[str, ...],
    options: bool,  # noqa: FBT001 - private
) -> Template:
    contexts = _CPCG_CONTEXT if task == "CPCG" else _CONTEXT
    context = _pick(contexts[metadata], rng)
    text = _pick(_ASKS[task], rng).replace("{context}", context)
    if options:
        text += _pick(_OPTIONS, rng)
    if rng.random() > _TERSE_RATE:
        text = _pick(_PERSONALITY, rng) + _pick(_MOTIVATION[task], rng) + text
    if task == "CPCG":
        response = _pick(_SAYS[task], rng) if mode == "chat" else ""
    else:
        response = _pick(_SAYS[task], rng) if mode == "chat" else "{output}"
    return Template(task=task, instruction=text, response=response)


def _pick(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]
