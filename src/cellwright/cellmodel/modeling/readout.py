"""ReadOut: a cell against any labels, through their text vectors, with a wide linear term."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from cellwright.cellmodel.config import ReadOutConfig
from cellwright.cellmodel.modeling.gene_vectors import INPUT_NORM, unit_product

CELLS_PER_TEXT = 2.0
"""Example cells that weigh as much as what is written of a label."""


class Shown(NamedTuple):
    """Example cells of labels that were never trained; all zero where a label has none.

    Attributes:
        trust: ``(M, 1)`` weight of the examples against the label's text, 0 to 1.
        vectors: ``(M, width)`` unit mean of the cell vectors.
        weights: ``(M, V)`` linear term of the examples.
        bias: ``(M,)`` its intercepts.
    """

    trust: Tensor
    vectors: Tensor
    weights: Tensor
    bias: Tensor


class ReadOut(nn.Module):
    """Scores of labels.

    The deep score is the scaled cosine of a cell vector and a label vector (projected text plus a
    residual for labels seen in training). The wide score is linear in the expression profile. The
    two are added with weights fitted on held-out cells, which also calibrate the softmax.

    Attributes:
        label_text_LT: Text vectors of the known labels.
        wide_LV: Weights of the wide term, solved and not learned by gradient steps.
        wide_bias_L: Its intercepts.
        blend: Weights of the wide and the deep score.
        centroids_LD: Mean cell vector of each known label.
        range_floor: Least cosine to some centroid of a cell inside the model's range.
        usual_wide: Mean wide score of the true label of held-out cells. Where nothing is known of
            how a label looks, it is given this one, and its text decides.
        set_floors: Least probability of a label in a label set, where candidates are named by
            the user and where they are not.
    """

    label_text_LT: Tensor
    wide_LV: Tensor
    wide_bias_L: Tensor
    blend: Tensor
    centroids_LD: Tensor
    range_floor: Tensor
    usual_wide: Tensor
    set_floors: Tensor

    def __init__(self, config: ReadOutConfig, *, width: int, n_genes: int, n_labels: int) -> None:
        super().__init__()
        self.register_buffer("label_text_LT", torch.zeros(n_labels, config.text_width))
        self.register_buffer("wide_LV", torch.zeros(n_labels, n_genes))
        self.register_buffer("wide_bias_L", torch.zeros(n_labels))
        self.register_buffer("blend", torch.tensor([0.5, 0.5]))
        self.register_buffer("centroids_LD", torch.zeros(n_labels, config.width))
        self.register_buffer("range_floor", torch.tensor(-1.0))
        self.register_buffer("usual_wide", torch.tensor(0.0))
        self.register_buffer("set_floors", torch.zeros(2))
        self.cell = nn.Sequential(
            nn.Linear(width, config.width), nn.GELU(), nn.Linear(config.width, config.width)
        )
        self.text = nn.Linear(config.text_width, config.width, bias=False)
        self.residual = nn.Parameter(torch.randn(n_labels, config.width) * 0.02)
        self.log_scale = nn.Parameter(torch.tensor(2.3))

    def cell_vector(self, query_BQD: Tensor) -> Tensor:
        """Unit cell vectors, ``(B, width)``: the embedding of a cell."""
        return functional.normalize(self.cell(query_BQD.mean(dim=1)), dim=-1)

    def label_vectors(
        self, known: Tensor, text: Tensor | None = None, shown: Shown | None = None
    ) -> Tensor:
        """Unit label vectors: known labels by position, then new ones by text.

        Args:
            known: Positions of known labels.
            text: ``(M, text_width)`` text vectors of labels never trained.
            shown: Example cells of those.
        """
        vectors = functional.normalize(
            self.text(self.label_text_LT[known]) + self.residual[known], dim=-1
        )
        if text is None:
            return vectors
        new = functional.normalize(self.text(text), dim=-1)
        if shown is not None:
            new = functional.normalize(
                (1 - shown.trust) * new + shown.trust * shown.vectors, dim=-1
            )
        return torch.cat([vectors, new])

    def deep(self, cell_BD: Tensor, label_LD: Tensor) -> Tensor:
        """Deep scores ``(B, L)``."""
        return self.log_scale.exp().clamp(max=60.0) * (cell_BD @ label_LD.T)

    def wide(
        self,
        expression_BV: Tensor,
        known: Tensor,
        text: Tensor | None = None,
        shown: Shown | None = None,
    ) -> Tensor:
        """Wide scores ``(B, L)``; a new label has the usual one, or what its examples show."""
        weights, bias = self.wide_LV[known], self.wide_bias_L[known]
        if text is not None:
            new, new_bias = weights.new_zeros(len(text), weights.shape[1]), self.usual_wide
            new_bias = new_bias.expand(len(text))
            if shown is not None:
                new = torch.lerp(new, shown.weights, shown.trust)
                new_bias = torch.lerp(new_bias, shown.bias, shown.trust[:, 0])
            weights, bias = torch.cat([weights, new]), torch.cat([bias, new_bias])
        return unit_product(expression_BV, weights.T) + bias

    def example(self, cell_BD: Tensor, expression_BV: Tensor, usual_V: Tensor) -> Shown:
        """What cells of a new label show of it: their mean vector, and how they differ from usual.

        The linear term points from the usual profile to theirs, is as long as those of known labels
        are on average, and gives the examples the wide score that cells usually have for their own.

        Args:
            cell_BD: Cell vectors of the examples.
            expression_BV: Their expression, log1p counts per 10,000.
            usual_V: An average cell.
        """
        mean, usual = expression_BV.mean(dim=0), usual_V * (expression_BV > 0).any(dim=0)
        own, other = (functional.normalize(one, dim=0) * INPUT_NORM for one in (mean, usual))
        length = torch.linalg.vector_norm(self.wide_LV, dim=1).mean()
        weights = functional.normalize(own - other, dim=0) * length
        bias = self.usual_wide - unit_product(expression_BV, weights[:, None]).mean()
        trust = len(cell_BD) / (len(cell_BD) + CELLS_PER_TEXT)
        return Shown(
            torch.full((1, 1), trust),
            functional.normalize(cell_BD.mean(dim=0, keepdim=True), dim=-1),
            weights[None],
            bias[None],
        )

    def nothing_shown(self) -> Shown:
        """For a label without examples."""
        width, n_genes = self.centroids_LD.shape[1], self.wide_LV.shape[1]
        return Shown(
            torch.zeros(1, 1), torch.zeros(1, width), torch.zeros(1, n_genes), torch.zeros(1)
        )

    def combine(self, wide_BL: Tensor, deep_BL: Tensor) -> Tensor:
        """Calibrated scores: their softmax is the probability of each candidate."""
        return self.blend[0] * wide_BL + self.blend[1] * deep_BL

    def closeness(self, cell_BD: Tensor) -> Tensor:
        """Largest cosine of each cell to the centroid of a known label, ``(B,)``."""
        return (cell_BD @ self.centroids_LD.T).amax(dim=1)
