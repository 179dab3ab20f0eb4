"""One vector per gene: a fixed part from text and a learned one, for encoder and decoder."""

import numpy as np
import torch
from torch import Tensor, nn

from cellwright.cellmodel.config import GeneConfig

INPUT_NORM = 40.0
"""Length to which a cell's log1p profile is scaled before a linear map, a usual length of such."""


class GeneVectors(nn.Module):
    """The gene vectors.

    Attributes:
        text_VE: ``(V, text_width)`` fixed part: principal components of the text vectors.
        usual_V: ``(V,)`` mean log1p level of a gene in the training cells that express it.
        mean_V: ``(V,)`` mean log1p level over all training cells, an average cell.
        residual_VE: ``(V, residual_width)`` learned part.
    """

    text_VE: Tensor
    usual_V: Tensor
    mean_V: Tensor

    def __init__(self, config: GeneConfig, n_genes: int) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("text_VE", torch.zeros(n_genes, config.text_width))
        self.register_buffer("usual_V", torch.ones(n_genes))
        self.register_buffer("mean_V", torch.zeros(n_genes))
        self.residual_VE = nn.Parameter(torch.randn(n_genes, config.residual_width) * 0.02)

    def forward(self) -> Tensor:
        """All gene vectors, ``(V, E)``."""
        return torch.cat([self.text_VE, self.residual_VE], dim=1)

    def rows(self, genes: Tensor) -> Tensor:
        """Vectors of some genes, ``(*, E)``."""
        return torch.cat([self.text_VE[genes], self.residual_VE[genes]], dim=-1)


def text_components(vectors: np.ndarray, width: int) -> np.ndarray:
    """Principal components of text vectors, ``(V, width)`` float32 of unit mean square.

    Args:
        vectors: ``(V, 384)`` unit text vectors.
        width: Components to keep.
    """
    centred = vectors - vectors.mean(axis=0)
    _values, axes = np.linalg.eigh(centred.T @ centred)
    parts = centred @ axes[:, ::-1][:, :width]
    if parts.shape[1] < width:
        parts = np.pad(parts, ((0, 0), (0, width - parts.shape[1])))
    scale = np.sqrt(np.mean(parts**2)) or 1.0
    return np.asarray(parts / scale, dtype=np.float32)


def discriminative_components(weights: np.ndarray, width: int) -> np.ndarray:
    """Gene vectors that span a linear classifier, to start the learned residual from.

    Args:
        weights: ``(L, V)`` weights of the linear term.
        width: Components to keep.

    Returns:
        ``(V, width)`` float32 of unit mean square over the genes that have any weight; columns
        beyond the rank are small noise.
    """
    gram = weights @ weights.T
    values, vectors = np.linalg.eigh(gram.astype(np.float64))
    keep = [at for at in np.argsort(values)[::-1][:width] if values[at] > 1e-8 * values.max()]
    parts = weights.T @ vectors[:, keep] / np.sqrt(values[keep]) ** 0.5
    out = np.random.default_rng(0).normal(scale=0.02, size=(weights.shape[1], width))
    used = np.abs(weights).sum(axis=0) > 0
    scale = np.sqrt(np.mean(parts[used] ** 2)) if used.any() else 1.0
    out[:, : len(keep)] = parts / (scale or 1.0)
    return out.astype(np.float32)


def unit_product(expression_BV: Tensor, weights_VE: Tensor) -> Tensor:
    """Product with each cell's profile scaled to ``INPUT_NORM``; empty cells give zeros.

    The scale makes profiles of gene panels and of whole transcriptomes alike in size.
    """
    norm = torch.linalg.vector_norm(expression_BV, dim=1, keepdim=True)
    return (expression_BV @ weights_VE) * (INPUT_NORM / norm.clamp_min(1e-6))
