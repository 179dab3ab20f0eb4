"""Held-out cells set the blend of scores, the size of label sets, and the edge of the known."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import sparse

from cellwright.cellmodel.inference import softmax_rows
from cellwright.cellmodel.modeling.cell_input import cell_input
from cellwright.cellmodel.modeling.cell_network import CellNetwork
from cellwright.cellmodel.training.data import CellSet, Corpus, hide_genes

WIDE_WEIGHTS = (0.1, 0.15, 0.2, 0.3, 0.4, 0.55, 0.75, 1.0, 1.3)
DEEP_WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0)
COVERAGE = 0.9
OUTSIDE_RATE = 0.02
"""Share of held-out cells of known types that may be called unknown."""
_CELLS = 200
_BATCH = 256


@dataclass(frozen=True)
class Scored:
    """Scores of cells against all known labels, ``(B, L)``, and their vectors and truth."""

    wide: np.ndarray
    deep: np.ndarray
    vectors: np.ndarray
    labels: np.ndarray


@torch.inference_mode()
def score_cells(network: CellNetwork, expression: sparse.csr_matrix, labels: np.ndarray) -> Scored:
    """Score cells against every known label."""
    usual = network.genes.usual_V.numpy()
    everything = torch.arange(network.readout.wide_LV.shape[0])
    parts = []
    for start in range(0, expression.shape[0], _BATCH):
        block = expression[start : start + _BATCH]
        cells = cell_input(block, usual, network.config.encoder.n_gene_tokens)
        parts.append([t.numpy() for t in network.scores(cells, everything)])
    wide, deep, vectors = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Scored(wide, deep, vectors, labels)


def calibrate(network: CellNetwork, corpus: Corpus, *, seed: int) -> dict[str, Any]:
    """Fit blend, label-set level and range floor on validation cells; returns what was found."""
    network.eval()
    rng = np.random.default_rng(seed)
    readout = network.readout
    readout.centroids_LD.copy_(torch.from_numpy(_centroids(network, corpus, rng)))
    trials: list[tuple[Scored, np.ndarray]] = []
    closeness = []
    for cells in corpus.sets:
        for scored in _held_out(network, corpus, cells, rng):
            near = (scored.vectors @ readout.centroids_LD.numpy().T).max(axis=1)
            closeness.append(near)
            default = corpus.labels.default_candidates(cells.card.species, cells.card.tissue)
            trials += [(scored, cells.own), (scored, np.array(default))]
    blend = min(
        ((a, b) for a in WIDE_WEIGHTS for b in DEEP_WEIGHTS),
        key=lambda pair: float(np.mean([_loss(*trial, *pair) for trial in trials])),
    )
    readout.blend.copy_(torch.tensor(blend))
    before = np.concatenate([_mass_before(*trial, *blend) for trial in trials])
    level = float(np.quantile(before, COVERAGE))
    floor = float(np.quantile(np.concatenate(closeness), OUTSIDE_RATE))
    readout.set_level.copy_(torch.tensor(level))
    readout.range_floor.copy_(torch.tensor(floor))
    return {
        "blend_wide": blend[0],
        "blend_deep": blend[1],
        "set_level": level,
        "range_floor": floor,
    }


def _held_out(
    network: CellNetwork, corpus: Corpus, cells: CellSet, rng: np.random.Generator
) -> list[Scored]:
    """Validation cells as they are, and as another file's gene panel would show them."""
    rows = cells.parts["valid"]
    rows = rng.choice(rows, size=min(_CELLS, len(rows)), replace=False)
    expression, labels = cells.block.expression[rows], cells.labels[rows]
    other = corpus.sets[int(rng.integers(len(corpus.sets)))].block.measured
    shared = (other & cells.block.measured).sum()
    out = [score_cells(network, expression, labels)]
    if shared > 200:
        panels = np.broadcast_to(other, expression.shape)
        hidden = hide_genes(expression, panels, rng, drop=0.0)
        out.append(score_cells(network, hidden, labels))
    return out


def _centroids(network: CellNetwork, corpus: Corpus, rng: np.random.Generator) -> np.ndarray:
    total = np.zeros((len(corpus.labels), network.config.readout.width), dtype=np.float32)
    for cells in corpus.sets:
        train = cells.parts["train"]
        rows = rng.permutation(train)
        keep = np.concatenate([rows[cells.labels[rows] == at][:40] for at in cells.own])
        scored = score_cells(network, cells.block.expression[keep], cells.labels[keep])
        np.add.at(total, scored.labels, scored.vectors)
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-6)


def blended(scored: Scored, candidates: np.ndarray, wide: float, deep: float) -> np.ndarray:
    """Probabilities of the candidates, ``(B, C)``."""
    return softmax_rows(wide * scored.wide[:, candidates] + deep * scored.deep[:, candidates])


def _places(scored: Scored, candidates: np.ndarray) -> np.ndarray:
    place = {label: at for at, label in enumerate(candidates)}
    return np.array([place[label] for label in scored.labels])


def _loss(scored: Scored, candidates: np.ndarray, wide: float, deep: float) -> float:
    shares = blended(scored, candidates, wide, deep)
    true = shares[np.arange(len(shares)), _places(scored, candidates)]
    return float(-np.log(np.maximum(true, 1e-5)).mean())


def _mass_before(scored: Scored, candidates: np.ndarray, wide: float, deep: float) -> np.ndarray:
    shares = blended(scored, candidates, wide, deep)
    true = shares[np.arange(len(shares)), _places(scored, candidates)]
    return np.where(shares > true[:, None], shares, 0).sum(axis=1)
