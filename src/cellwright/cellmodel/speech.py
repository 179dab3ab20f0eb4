"""What the language model says of cells, and the label in it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from cellwright.cellmodel.instructions.extraction import extract_label
from cellwright.cellmodel.instructions.templates import Mode
from cellwright.cellmodel.modeling.cell_language import CellLanguage

MODE_ENDING: Mapping[Mode, str] = {"instruct": "", "chat": " Answer in a sentence."}
"""What tells the language model how to answer; in every training prompt too."""


@dataclass(frozen=True, kw_only=True)
class CellAnswer:
    """The language model's answer on a cell.

    Attributes:
        text: What it said.
        label: The label that the text names; None if it names none of the candidates.
        score: Probability of the whole answer.
        restated: It spoke freely, but named no label; asked for the bare label, it said this.
    """

    text: str
    label: str | None
    score: float
    restated: bool = False


def say_labels(
    language: CellLanguage,
    prompts: Sequence[str],
    soft_BQH: Tensor,
    labels: Sequence[tuple[str, ...]],
    mode: Mode,
    *,
    among: Sequence[str] = (),
    max_new_tokens: int = 48,
) -> list[CellAnswer]:
    """Answer prompts, each on its own cell.

    A sentence is spoken freely, and may misspell a label past recognition. It is then replaced by
    the bare label, decoded among those of the prompt.

    Args:
        language: The language model.
        prompts: B prompts with ``{input}``, without the ending of the mode.
        soft_BQH: Soft tokens of the cells.
        labels: Labels to look for in each answer.
        mode: ``instruct`` is answered by one of ``among``, ``chat`` in a sentence.
        among: Answers to decode among in instruct mode; empty leaves the model free.
        max_new_tokens: Longest answer.
    """
    spoken = language.speak(
        [prompt + MODE_ENDING[mode] for prompt in prompts],
        soft_BQH,
        among=among if mode == "instruct" else (),
        max_new_tokens=max_new_tokens,
    )
    answers = [
        CellAnswer(
            text=said.text,
            label=extract_label(said.text, own),
            score=float(np.exp(said.log_prob)),
        )
        for said, own in zip(spoken, labels, strict=True)
    ]
    if mode == "instruct":
        return answers
    silent: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for at, answer in enumerate(answers):
        if answer.label is None and labels[at]:
            silent[labels[at]].append(at)
    for own, rows in silent.items():
        bare = [prompts[at] for at in rows]
        again = say_labels(language, bare, soft_BQH[rows], [own] * len(rows), "instruct", among=own)
        for at, answer in zip(rows, again, strict=True):
            answers[at] = replace(answer, restated=True)
    return answers
