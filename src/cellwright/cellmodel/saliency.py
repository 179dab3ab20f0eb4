"""Which genes speak for a label: gradients of the ReadOut with respect to expression."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from cellwright.cellmodel.data.block import CellBlock
from cellwright.cellmodel.inference import CellModel
from cellwright.cellmodel.modeling.encoder import CellInput

Method = Literal["input_x_gradient", "gradient", "integrated_gradients"]
_BATCH = 64
_STEPS = 16


@dataclass(frozen=True, kw_only=True)
class Saliency:
    """How much each gene speaks for a label.

    Attributes:
        keys: ``(V,)`` vocabulary keys.
        scores: ``(V,)`` mean over cells; positive speaks for the label, 0 where not expressed.
        label: The label.
        method: How it was computed.
        per_cell: ``(B, V)`` scores of each cell, where asked for.
    """

    keys: tuple[str, ...]
    scores: np.ndarray
    label: str
    method: Method
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
    method: Method = "input_x_gradient",
    candidates: Sequence[str] | None = None,
    per_cell: bool = False,
) -> Saliency:
    """Attribute the log odds of a label, against the other candidates, to genes.

    Args:
        model: The model.
        block: Cells, usually of one group.
        label: The label in question; it need not be one that the model was trained on.
        method: ``gradient`` (kept where the gene is expressed), ``input_x_gradient``, or
            ``integrated_gradients`` from the average training cell.
        candidates: What the label is held against; None takes the model's own types.
        per_cell: Whether to return the scores of each cell.
    """
    names = list(candidates or model.checkpoint.labels.names)
    if label not in names:
        names.append(label)
    chosen = model._candidates(names, None, None)
    target = names.index(label)
    total = np.zeros(len(model.vocabulary))
    kept = []
    for start in range(0, len(block), _BATCH):
        part = block.rows(slice(start, start + _BATCH))
        cells: CellInput = model._input(part)

        def log_odds(
            expression_BV: Tensor, genes: Tensor = cells.genes, levels: Tensor = cells.levels
        ) -> Tensor:
            repeat = len(expression_BV) // len(genes)
            genes, real = genes.repeat(repeat, 1), (levels > 0).repeat(repeat, 1)
            seen = CellInput(expression_BV, genes, expression_BV.gather(1, genes) * real)
            wide, deep, _ = model.network.scores(seen, chosen.known, chosen.text)
            scores = chosen.reduce(model.network.readout.combine(wide, deep))
            others = torch.cat([scores[:, :target], scores[:, target + 1 :]], dim=1)
            return scores[:, target] - others.logsumexp(dim=1)

        found = _attribute(log_odds, cells.expression, method, _average_cell(model, block))
        total += found.sum(axis=0)
        if per_cell:
            kept.append(found)
    return Saliency(
        keys=model.vocabulary.keys,
        scores=(total / max(len(block), 1)).astype(np.float32),
        label=label,
        method=method,
        per_cell=np.concatenate(kept) if kept else None,
    )


def _average_cell(model: CellModel, block: CellBlock) -> Tensor:
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
    return np.asarray(found.detach().numpy() * (expression.numpy() > 0))
