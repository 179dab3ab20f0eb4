"""Which genes speak for a label: gradients of the ReadOut with respect to expression.

What is attributed is the log odds of the label against the other candidates, not its probability:
the probability of a sure answer has no slope left, its log odds do. The loss of an answer is
``softplus(-log odds)``, so its gradient is the log odds' own times ``-(1 - probability)``, one
factor for all genes of a cell: what is scaled per cell is the same for both.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from cellwright.cellmodel.data.block import CellBlock
from cellwright.cellmodel.inference import CellModel
from cellwright.cellmodel.modeling.encoder import CellInput

Method = Literal["gradient", "input_x_gradient", "integrated_gradients"]
METHODS: tuple[Method, ...] = ("gradient", "input_x_gradient", "integrated_gradients")
DEFAULT_METHOD: Method = "integrated_gradients"
"""Suite ``saliency``, held-out cells: it names more genes with a marker record than the other two.
In how few genes remove or restore an answer the three are level."""

_BATCH = 64
_STEPS = 12
"""Of 64 steps, 12 keep the ten first genes and a correlation of .998 over a cell's genes."""


@dataclass(frozen=True, kw_only=True)
class Saliency:
    """How much each gene speaks for a label.

    Attributes:
        keys: ``(V,)`` vocabulary keys.
        scores: ``(V,)`` mean over cells; positive speaks for the label, 0 where not expressed.
        label: The label.
        method: How it was computed.
        n_cells: Cells that the mean is over.
        per_cell: ``(B, V)`` scores of each cell, where asked for.
    """

    keys: tuple[str, ...]
    scores: np.ndarray
    label: str
    method: Method
    n_cells: int
    per_cell: np.ndarray | None = None

    def top(self, n: int) -> list[tuple[str, float]]:
        """The n genes that speak most for the label."""
        order = np.argsort(-self.scores, kind="stable")[:n]
        return [(self.keys[at], float(self.scores[at])) for at in order if self.scores[at] > 0]


def explain(
    model: CellModel,
    block: CellBlock,
    label: str,
    *,
    method: Method = DEFAULT_METHOD,
    candidates: Sequence[str] | None = None,
    genes: np.ndarray | None = None,
    per_cell: bool = False,
) -> Saliency:
    """Attribute the log odds of a label, against the other candidates, to genes.

    ``gradient`` is InstructCell's saliency (arXiv 2501.08187, section on interpretability): the
    expressed genes with a negative gradient of the answer's loss, their negated gradients scaled
    to 0..1 in each cell (``scale_cells``), and the mean over cells. The other two methods are in
    units of log odds, and their mean is over the attributions as they are.

    Args:
        model: The model.
        block: Cells, usually of one group.
        label: The label in question; it need not be one that the model was trained on.
        method: ``gradient``, ``input_x_gradient``, or ``integrated_gradients`` from the average
            training cell.
        candidates: What the label is held against; None takes the model's own types.
        genes: ``(V,)`` bool, genes that may be named, such as those that code for a protein; None
            for all.
        per_cell: Whether to return the scores of each cell.
    """
    total = np.zeros(len(model.vocabulary))
    kept = []
    for start in range(0, len(block), _BATCH):
        part = block.rows(slice(start, start + _BATCH))
        found = attributions(model, part, label, method=method, candidates=candidates)
        if genes is not None:
            found *= genes
        if method == "gradient":
            found = scale_cells(found)
        total += found.sum(axis=0)
        if per_cell:
            kept.append(found)
    return Saliency(
        keys=model.vocabulary.keys,
        scores=(total / max(len(block), 1)).astype(np.float32),
        label=label,
        method=method,
        n_cells=len(block),
        per_cell=np.concatenate(kept) if kept else None,
    )


def explain_types(
    model: CellModel,
    block: CellBlock,
    labels: Sequence[str],
    *,
    method: Method = DEFAULT_METHOD,
    candidates: Sequence[str] | None = None,
    genes: np.ndarray | None = None,
    most: int = 100,
    seed: int = 0,
    progress: Callable[[str, float | None], None] | None = None,
) -> Mapping[str, Saliency]:
    """Explain each label by the cells that carry it.

    Args:
        model: The model.
        block: Cells.
        labels: Label of each of the cells.
        method: As in ``explain``.
        candidates: What each label is held against; None takes the labels that occur.
        genes: As in ``explain``.
        most: Cells of a label that are read; more are drawn from at random.
        seed: Seed of that draw.
        progress: Called with a message and the share done.
    """
    named = np.asarray(labels, dtype=object)
    names = sorted(set(named))
    rng = np.random.default_rng(seed)
    found = {}
    for at, name in enumerate(names):
        rows = np.flatnonzero(named == name)
        if len(rows) > most:
            rows = np.sort(rng.choice(rows, most, replace=False))
        found[name] = explain(
            model,
            block.rows(rows),
            name,
            method=method,
            candidates=candidates or names,
            genes=genes,
        )
        if progress:
            progress(f"gradients of {name}", (at + 1) / len(names))
    return found


def attributions(
    model: CellModel,
    block: CellBlock,
    label: str,
    *,
    method: Method = DEFAULT_METHOD,
    candidates: Sequence[str] | None = None,
    expressed: bool = True,
) -> np.ndarray:
    """Signed attributions of a label's log odds in each cell, ``(B, V)``.

    Args:
        model: The model.
        block: Cells.
        label: The label.
        method: ``gradient`` here is the gradient itself, neither cut nor scaled.
        candidates: What the label is held against; None, or none but the label itself, takes the
            model's own types.
        expressed: Whether genes that a cell does not express get 0, as no reader would call an
            absent gene the reason for a type. Without it, integrated gradients sum to the log odds
            of the cell less those of the average cell.
    """
    own = [record.name for record in model.labels]
    names = list(candidates or own)
    if set(names) <= {label}:
        names = own
    if label not in names:
        names.append(label)
    chosen = model._candidates(names, None, None)
    target = names.index(label)
    cells: CellInput = model._input(block)

    def log_odds(expression_BV: Tensor) -> Tensor:
        repeat = len(expression_BV) // len(cells.genes)
        genes, real = cells.genes.repeat(repeat, 1), (cells.levels > 0).repeat(repeat, 1)
        seen = CellInput(expression_BV, genes, expression_BV.gather(1, genes) * real)
        wide, deep, _ = model.network.scores(seen, chosen.known, chosen.text, chosen.shown)
        scores = chosen.reduce(model.network.readout.combine(wide, deep))
        others = torch.cat([scores[:, :target], scores[:, target + 1 :]], dim=1)
        return scores[:, target] - others.logsumexp(dim=1)

    found = _attribute(log_odds, cells.expression, method, average_cell(model, block))
    return found * (cells.expression.numpy() > 0) if expressed else found


def scale_cells(attributions_BV: np.ndarray) -> np.ndarray:
    """Positive attributions of each cell scaled so that the smallest is 0 and the largest 1.

    All others are 0. A cell with a single positive one keeps it as 1.
    """
    positive = attributions_BV > 0
    high = attributions_BV.max(axis=1, keepdims=True)
    low = np.where(positive, attributions_BV, np.inf).min(axis=1, keepdims=True)
    low = np.where(low < high, low, 0.0)
    spread = np.where(high > low, high - low, 1.0)
    return np.where(positive, (attributions_BV - low) / spread, 0.0).astype(np.float32)


def average_cell(model: CellModel, block: CellBlock) -> Tensor:
    """The average training cell on the genes that the block has measured, ``(V,)``."""
    return model.network.genes.mean_V * torch.from_numpy(block.measured)


def _attribute(
    function: Callable[[Tensor], Tensor], expression: Tensor, method: Method, average: Tensor
) -> np.ndarray:
    from captum.attr import (
        InputXGradient,
        IntegratedGradients,
    )
    from captum.attr import (
        Saliency as Gradient,
    )

    inputs = expression.clone().requires_grad_()
    found: Any
    if method == "gradient":
        found = Gradient(function).attribute(inputs, abs=False)
    elif method == "input_x_gradient":
        found = InputXGradient(function).attribute(inputs)
    else:
        found = IntegratedGradients(function).attribute(
            inputs, baselines=average.unsqueeze(0), n_steps=_STEPS, internal_batch_size=_BATCH
        )
    return np.asarray(found.detach().numpy())
