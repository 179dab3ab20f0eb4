"""ReadOut: a cell against any labels, through their text vectors, with a wide linear term."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from cellwright.cellmodel.config import ReadOutConfig
from cellwright.cellmodel.modeling.gene_vectors import unit_profile

NEIGHBOUR_SHARPNESS = 20.0
"""How sharply a label that was never trained borrows the linear term of its nearest in text."""


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
        set_level: Probability mass at which a label set is closed.
    """

    label_text_LT: Tensor
    wide_LV: Tensor
    wide_bias_L: Tensor
    blend: Tensor
    centroids_LD: Tensor
    range_floor: Tensor
    set_level: Tensor

    def __init__(self, config: ReadOutConfig, *, width: int, n_genes: int, n_labels: int) -> None:
        super().__init__()
        self.register_buffer("label_text_LT", torch.zeros(n_labels, config.text_width))
        self.register_buffer("wide_LV", torch.zeros(n_labels, n_genes))
        self.register_buffer("wide_bias_L", torch.zeros(n_labels))
        self.register_buffer("blend", torch.tensor([0.5, 0.5]))
        self.register_buffer("centroids_LD", torch.zeros(n_labels, config.width))
        self.register_buffer("range_floor", torch.tensor(-1.0))
        self.register_buffer("set_level", torch.tensor(0.9))
        self.cell = nn.Sequential(
            nn.Linear(width, config.width), nn.GELU(), nn.Linear(config.width, config.width)
        )
        self.text = nn.Linear(config.text_width, config.width, bias=False)
        self.residual = nn.Parameter(torch.randn(n_labels, config.width) * 0.02)
        self.log_scale = nn.Parameter(torch.tensor(2.3))

    def cell_vector(self, query_BQD: Tensor) -> Tensor:
        """Unit cell vectors, ``(B, width)``: the embedding of a cell."""
        return functional.normalize(self.cell(query_BQD.mean(dim=1)), dim=-1)

    def label_vectors(self, known: Tensor, text: Tensor | None = None) -> Tensor:
        """Unit label vectors: known labels by position, then new ones by text.

        Args:
            known: Positions of known labels.
            text: ``(M, text_width)`` text vectors of labels never trained.
        """
        vectors = self.text(self.label_text_LT[known]) + self.residual[known]
        if text is not None:
            vectors = torch.cat([vectors, self.text(text)])
        return functional.normalize(vectors, dim=-1)

    def deep(self, cell_BD: Tensor, label_LD: Tensor) -> Tensor:
        """Deep scores ``(B, L)``."""
        return self.log_scale.exp().clamp(max=60.0) * (cell_BD @ label_LD.T)

    def wide(self, expression_BV: Tensor, known: Tensor, text: Tensor | None = None) -> Tensor:
        """Wide scores ``(B, L)``; a new label borrows those of its neighbours in text."""
        weights, bias = self.wide_LV[known], self.wide_bias_L[known]
        if text is not None:
            near = torch.softmax(NEIGHBOUR_SHARPNESS * text @ self.label_text_LT.T, dim=1)
            weights = torch.cat([weights, near @ self.wide_LV])
            bias = torch.cat([bias, near @ self.wide_bias_L])
        return unit_profile(expression_BV) @ weights.T + bias

    def combine(self, wide_BL: Tensor, deep_BL: Tensor) -> Tensor:
        """Calibrated scores: their softmax is the probability of each candidate."""
        return self.blend[0] * wide_BL + self.blend[1] * deep_BL

    def closeness(self, cell_BD: Tensor) -> Tensor:
        """Largest cosine of each cell to the centroid of a known label, ``(B,)``."""
        return (cell_BD @ self.centroids_LD.T).amax(dim=1)
