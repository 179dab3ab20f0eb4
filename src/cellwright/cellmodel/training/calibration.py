"""Held-out cells set the blend of scores, the size of label sets, and the edge of the known."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import sparse

from cellwright.cellmodel.inference import softmax_rows
from cellwright.cellmodel.modeling.cell_input import cell_input
from cellwright.cellmodel.modeling.cell_network import CellNetwork
from cellwright.cellmodel.training.data import (
    FEWEST_GENES_OF_PANEL,
    FEWEST_GENES_SHARED,
    CellSet,
    Corpus,
    hide_genes,
)

SHARES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Shares of the wide score in the blend that are tried."""
SCALES = tuple(float(scale) for scale in np.geomspace(0.15, 4.0, 24))
"""Inverse temperatures that are tried."""
COVERAGE = 0.9
OUTSIDE_RATE = 0.02
"""Share of held-out cells of known types that may be called unknown."""
_CELLS = 400
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


@dataclass(frozen=True)
class Trial:
    """Held-out cells that choose among some candidates.

    Attributes:
        scored: The cells.
        candidates: Positions of the labels to choose from.
        named: Whether they are the file's own labels, as when a user names them.
        natural: Whether the cells are as cells to come will be, no genes hidden for the test.
    """

    scored: Scored
    candidates: np.ndarray
    named: bool
    natural: bool


def calibrate(network: CellNetwork, corpus: Corpus, *, seed: int) -> dict[str, Any]:
    """Fit what turns scores into probabilities on validation cells; returns what was found.

    The share of the wide score is the one of least mean log loss over files, also with genes
    hidden; the temperature (arXiv 1706.04599) that of cells as measured. A label is in a cell's
    set if its probability is at least that of the true label of nine in ten validation cells
    (split conformal prediction with the least ambiguous sets, arXiv 1609.00451).
    """
    network.eval()
    rng = np.random.default_rng(seed)
    readout = network.readout
    readout.centroids_LD.copy_(torch.from_numpy(_centroids(network, corpus, rng)))
    trials = [trial for cells in corpus.sets for trial in _trials(network, corpus, cells, rng)]
    share = min(SHARES, key=lambda one: min(_mean_loss(trials, one, scale) for scale in SCALES))
    natural = [trial for trial in trials if trial.natural]
    scale = min(SCALES, key=lambda one: _mean_loss(natural, share, one))
    blend = (share * scale, (1 - share) * scale)
    readout.blend.copy_(torch.tensor(blend))
    floors = [
        _set_floor([trial for trial in natural if trial.named == named], blend)
        for named in (True, False)
    ]
    readout.set_floors.copy_(torch.tensor(floors))
    of_truth = [
        trial.scored.wide[np.arange(len(trial.scored.labels)), trial.scored.labels]
        for trial in natural
        if trial.named
    ]
    usual = float(np.concatenate(of_truth).mean())
    readout.usual_wide.copy_(torch.tensor(usual))
    near = np.concatenate([_closeness(network, trial.scored) for trial in trials if trial.named])
    floor = float(np.quantile(near, OUTSIDE_RATE))
    readout.range_floor.copy_(torch.tensor(floor))
    return {
        "blend_wide": blend[0],
        "blend_deep": blend[1],
        "set_floors": floors,
        "range_floor": floor,
        "usual_wide": usual,
        "cells": sum(len(trial.scored.labels) for trial in natural if trial.named),
    }


def _trials(
    network: CellNetwork, corpus: Corpus, cells: CellSet, rng: np.random.Generator
) -> list[Trial]:
    """Validation cells as they are, and as another file's gene panel would show them.

    Where the panel of the cells to come is known, only as that one shows them.
    """
    rows = cells.parts["valid"]
    rows = rng.choice(rows, size=min(_CELLS, len(rows)), replace=False)
    expression, labels = cells.block.expression[rows], cells.labels[rows]
    other = corpus.sets[int(rng.integers(len(corpus.sets)))].block.measured
    needed = FEWEST_GENES_SHARED
    if corpus.panel is not None:
        other, needed = corpus.panel, FEWEST_GENES_OF_PANEL
    views = [(expression, True)]
    if (other & cells.block.measured).sum() >= needed:
        panels = np.broadcast_to(other, expression.shape)
        seen = hide_genes(expression, panels, rng, drop=0.0)
        views = [(seen, True)] if corpus.panel is not None else [*views, (seen, False)]
    found = []
    for view, natural in views:
        scored = score_cells(network, view, labels)
        found.append(Trial(scored, cells.own, named=True, natural=natural))
        if cells.card.task == "cell type":
            default = corpus.labels.default_candidates(cells.card.species, cells.card.tissue)
            found.append(Trial(scored, np.array(default), named=False, natural=natural))
    return found


def _closeness(network: CellNetwork, scored: Scored) -> np.ndarray:
    return (scored.vectors @ network.readout.centroids_LD.numpy().T).max(axis=1)


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


def true_shares(trial: Trial, wide: float, deep: float) -> np.ndarray:
    """Probability of the true label of each cell, ``(B,)``."""
    shares = blended(trial.scored, trial.candidates, wide, deep)
    place = {label: at for at, label in enumerate(trial.candidates)}
    columns = [place[label] for label in trial.scored.labels]
    return np.asarray(shares[np.arange(len(shares)), columns])


def _mean_loss(trials: Sequence[Trial], share: float, scale: float) -> float:
    """Mean log loss, each file alike."""
    losses = [
        -np.log(np.maximum(true_shares(trial, share * scale, (1 - share) * scale), 1e-5)).mean()
        for trial in trials
        if len(trial.scored.labels)
    ]
    return float(np.mean(losses))


def _set_floor(trials: Sequence[Trial], blend: tuple[float, float]) -> float:
    """Least probability of a label in a set; 0 where there is nothing to learn it from."""
    if not trials:
        return 0.0
    true = np.concatenate([true_shares(trial, *blend) for trial in trials])
    n = len(true)
    return float(np.quantile(true, max(0.0, 1 - np.ceil((n + 1) * COVERAGE) / n), method="lower"))
