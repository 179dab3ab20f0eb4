"""Many questions to the cell language model at once."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse

from cellwright.cellmodel.data.block import make_block
from cellwright.cellmodel.generation import draw_counts
from cellwright.cellmodel.inference import CellModel
from cellwright.cellmodel.instructions.templates import Mode
from cellwright.cellmodel.modeling.cell_language import Spoken
from cellwright.cellmodel.speech import MODE_ENDING, CellAnswer, say_labels
from cellwright.cellmodel.training.language_stage import frozen_reading

LONGEST_ANSWER = 48
"""Tokens; twice as many in other scripts, where the base model takes several for a letter."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question on one cell.

    Attributes:
        prompt: The question; ``{input}`` stands for the cell.
        mode: ``instruct`` is answered by one of the labels, ``chat`` in a sentence.
        labels: Answers to decode among in instruct mode, and to look for in chat mode.
    """

    prompt: str
    mode: Mode
    labels: tuple[str, ...]


@torch.inference_mode()
def answer_many(
    model: CellModel,
    expression: sparse.csr_matrix,
    questions: Sequence[Question],
    *,
    batch_size: int = 16,
    progress: Callable[[int], None] = lambda _done: None,
) -> list[CellAnswer]:
    """Answers to questions, each on its own cell; batches hold prompts of similar length.

    Args:
        model: The cell model.
        expression: ``(N, V)`` csr, the cell of each question, as ``CellBlock`` has it.
        questions: N questions.
        batch_size: Prompts at once; it changes nothing but the speed.
        progress: Called with the number of questions answered.
    """
    answers: list[CellAnswer | None] = [None] * len(questions)
    space = model.checkpoint.labels
    table = {labels: space.offered(labels) for labels in {one.labels for one in questions}}
    done = 0
    for rows in _batches(questions, batch_size):
        some = [questions[row] for row in rows]
        offered = np.stack([table[one.labels] for one in some])
        reading = frozen_reading(model.network, expression[np.array(rows)])
        soft = model.network.soft_tokens(reading, torch.from_numpy(offered))
        found = say_labels(
            model.language,
            [one.prompt for one in some],
            soft,
            [one.labels for one in some],
            some[0].mode,
            among=some[0].labels,
            max_new_tokens=_longest([one.prompt for one in some]),
        )
        for row, answer in zip(rows, found, strict=True):
            answers[row] = answer
        done += len(rows)
        progress(done)
    return [one for one in answers if one is not None]


@torch.inference_mode()
def wish_many(
    model: CellModel, prompts: Sequence[str], mode: Mode, *, batch_size: int = 16
) -> list[Spoken]:
    """What the model says to wishes for a cell, and its state at the signal where it gives one."""
    order = sorted(range(len(prompts)), key=lambda at: len(prompts[at]))
    found: dict[int, Spoken] = {}
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        said = model.language.speak(
            [prompts[at] + MODE_ENDING[mode] for at in rows],
            None,
            max_new_tokens=_longest([prompts[at] for at in rows]),
        )
        found |= dict(zip(rows, said, strict=True))
    return [found[at] for at in range(len(prompts))]


@torch.inference_mode()
def describe_cell(
    model: CellModel, signal: torch.Tensor, measured: np.ndarray, *, seed: int = 0
) -> str:
    """Draw the cell of a signal, and say what it is like and what the ReadOut makes of it.

    Args:
        model: The cell model.
        signal: ``(H,)`` state at the signal token, of ``wish_many``.
        measured: ``(V,)`` bool, genes to draw.
        seed: Seed of the draw.
    """
    counts = draw_counts(model.network, signal[None], measured, seed=seed)
    keys = np.array(model.vocabulary.keys, dtype=object)[measured]
    block = make_block(counts, list(keys), model.vocabulary, "counts")
    label = model.annotate(block).labels[0]
    top = ", ".join(str(keys[at]) for at in np.argsort(-counts.toarray()[0], kind="stable")[:5])
    return (
        f"{int(counts.sum()):,} counts on {counts.nnz:,} genes, most of {top}; "
        f"the ReadOut calls it {label}"
    )


def _longest(prompts: Sequence[str]) -> int:
    return LONGEST_ANSWER if "".join(prompts).isascii() else 2 * LONGEST_ANSWER


def _batches(questions: Sequence[Question], size: int) -> list[list[int]]:
    """Questions that are decoded among the same labels, sorted by length."""
    groups: dict[tuple[Mode, tuple[str, ...]], list[int]] = defaultdict(list)
    for at, one in enumerate(questions):
        labels = tuple(sorted(one.labels)) if one.mode == "instruct" else ()
        groups[one.mode, labels].append(at)
    batches = []
    for rows in groups.values():
        rows.sort(key=lambda at: len(questions[at].prompt.encode()))
        batches += [rows[start : start + size] for start in range(0, len(rows), size)]
    return batches
