"""Drug transfer: predicted against measured response of lines that no fit has seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cellwright.cellmodel.drug import DrugTransfer
from cellwright.cellmodel.drug.fit import FitConfig, cross_predict
from cellwright.cellmodel.drug.screen import Screen, read_screen
from cellwright.cellmodel.drug.transfer import MISSING, STEP
from cellwright.evals.metrics import interval_coverage, over_seeds, spearman
from cellwright.evals.task import OURS, EvalContext, EvalRow, Score

SUITE = "drug-transfer"
FILES = (
    "mixology_celseq2_5cl_p1",
    "mixology_celseq2_5cl_p2",
    "mixology_celseq2",
    "mixology_dropseq",
)
LINES = {
    "H1975": "NCIH1975",
    "H2228": "NCIH2228",
    "HCC827": "HCC827",
    "A549": "A549",
    "H838": "NCIH838",
}
EGFR_DRUGS = ("Erlotinib", "Gefitinib", "Afatinib")
SMALL = 30


@dataclass(frozen=True, kw_only=True)
class _Truth:
    """What predictions are held against.

    Attributes:
        transfer: The transfer.
        measured: Measured z (D,) of each line, as the expression table names it.
        mean_line: Mean z (D,) of the training lines.
        seeds: Number of seeds of shuffles and draws.
    """

    transfer: DrugTransfer
    measured: Mapping[str, np.ndarray]
    mean_line: np.ndarray
    seeds: int


@dataclass(frozen=True, kw_only=True)
class _Cells:
    """A single-cell file of lines.

    Attributes:
        file: Its name.
        linear: (B, G) CSR, CP10k.
        keys: Vocabulary keys of the G genes.
        labels: Line of each cell.
        groups: Lines that the screen has.
    """

    file: str
    linear: Any
    keys: list[str | None]
    labels: np.ndarray
    groups: list[str]


def run(context: EvalContext) -> list[EvalRow]:
    """Held-out lines in bulk and as pseudobulks, and cross-validation over the other lines."""
    transfer = DrugTransfer.load()
    keys_of = context.knowledge.genes.keys
    screen = read_screen(context.data_dir / "gdsc", lambda names: keys_of(list(names), "human"))
    truth = _Truth(
        transfer=transfer,
        measured=dict(zip(screen.lines, screen.response, strict=True)),
        mean_line=np.nanmean(screen.response[~screen.held_out], axis=0),
        seeds=context.seeds,
    )
    rows = _bulk(transfer, screen)
    rows += _folds(context, screen)
    profiles: dict[str, tuple[list[str], np.ndarray]] = {}
    for file in FILES:
        path = context.data_dir / f"{file}.h5ad"
        if not path.is_file():
            context.say(f"{SUITE}: {file} is missing, left out")
            continue
        context.say(f"{SUITE}: {file}")
        cells = _read(path, lambda names: list(keys_of(names, "human")))
        found, z = _single_cell(cells, truth)
        rows += found
        profiles[file] = (cells.groups, z)
    if {"mixology_celseq2_5cl_p1", "mixology_celseq2_5cl_p2"} <= profiles.keys():
        rows.append(_agreement(profiles))
    return [row for row in rows if math.isfinite(row.mean)]


def _row(data: str, split: str, metric: str, system: str, score: Score) -> EvalRow:
    return EvalRow(
        suite=SUITE, data=data, split=split, metric=metric, system=system, **score.model_dump()
    )


def _one(value: float, n: int) -> Score:
    return Score(mean=value, low=value, high=value, n=n)


def _pairs(truth: np.ndarray, guess: np.ndarray, seed: int = 0) -> Score:
    """Spearman with a bootstrap interval over drugs."""
    known = np.flatnonzero(np.isfinite(truth) & np.isfinite(guess))
    rng = np.random.default_rng(seed)
    mean = spearman(truth[known], guess[known])
    draws = [
        spearman(truth[at], guess[at]) for at in (rng.choice(known, len(known)) for _ in range(200))
    ]
    low, high = np.nanquantile(draws, [0.025, 0.975]) if not math.isnan(mean) else (mean, mean)
    return Score(mean=mean, low=min(low, mean), high=max(high, mean), n=len(known))


def _nearest(transfer: DrugTransfer, scores_NK: np.ndarray, screen_like: np.ndarray) -> np.ndarray:
    """Measured response of the nearest training line; the next nearest where it is missing."""
    train = np.flatnonzero(~transfer.held_out_L)
    lines = transfer.scores_LK[train]
    unit = lines / np.linalg.norm(lines, axis=1, keepdims=True)
    near = np.argsort(-(scores_NK @ unit.T), axis=1)
    out = np.full((len(scores_NK), len(transfer.drugs)), np.nan)
    for row, order in enumerate(near):
        for line in order[:50]:
            gap = np.isnan(out[row])
            out[row, gap] = screen_like[train[line], gap]
    return out


def _bulk(transfer: DrugTransfer, screen: Screen) -> list[EvalRow]:
    """The held-out lines by their own bulk expression, and the cover of the intervals."""
    held = np.flatnonzero(screen.held_out)
    scores = (screen.expression[held] - transfer.space.mean_G) @ transfer.space.loadings_KG.T
    guess = scores @ transfer.weights_KD + transfer.bias_D
    near = _nearest(transfer, scores, screen.response)
    mean_line = np.nanmean(screen.response[~screen.held_out], axis=0)
    rows = []
    for at, line in enumerate(held):
        truth, name = screen.response[line], f"bulk {screen.lines[line]}"
        for system, value in ((OURS, guess[at]), ("nearest-line", near[at])):
            metric = "spearman_over_drugs"
            rows.append(_row(name, "held-out lines", metric, system, _pairs(truth, value)))
        half = transfer.half_width_D
        cover = interval_coverage(truth, guess[at] - half, guess[at] + half)
        n = int(np.isfinite(truth).sum())
        rows.append(_row(name, "held-out lines", "interval_coverage", OURS, _one(cover, n)))
        for system, value in (
            (OURS, guess[at]),
            ("drug-mean", mean_line),
            ("nearest-line", near[at]),
        ):
            error = float(np.nanmean(np.abs(truth - value)))
            rows.append(_row(name, "held-out lines", "absolute_error", system, _one(error, n)))
    return rows


def _folds(context: EvalContext, screen: Screen) -> list[EvalRow]:
    """Cross-validation over the training lines: within each drug, and over drugs for each line."""
    train = np.flatnonzero(~screen.held_out)
    truth = screen.response[train]
    found: dict[tuple[str, str], list[float]] = {}
    for seed in range(context.seeds):
        context.say(f"{SUITE}: cross-validation over GDSC lines, seed {seed}")
        systems = {OURS: cross_predict(screen, FitConfig(seed=seed))}
        systems["nearest-line"] = _nearest_in_folds(screen, train, seed)
        shuffled = np.random.default_rng(seed).permutation(len(train))
        systems["shuffled-expression"] = systems[OURS][shuffled]
        for system, guess in systems.items():
            within = [spearman(guess[:, d], truth[:, d]) for d in range(truth.shape[1])]
            over = [spearman(guess[at], truth[at]) for at in range(len(train))]
            found.setdefault(("spearman_within_drug", system), []).append(float(np.nanmean(within)))
            found.setdefault(("spearman_over_drugs", system), []).append(float(np.nanmean(over)))
    n = {"spearman_within_drug": truth.shape[1], "spearman_over_drugs": len(train)}
    return [
        _row("gdsc", "5-fold over lines", metric, system, over_seeds(values, n[metric]))
        for (metric, system), values in found.items()
    ]


def _nearest_in_folds(screen: Screen, train: np.ndarray, seed: int, folds: int = 5) -> np.ndarray:
    """Response of the line nearest by expression in the other folds."""
    fold = np.random.default_rng(seed).permutation(len(train)) % folds
    centred = screen.expression[train] - screen.expression[train].mean(0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    near = unit @ unit.T
    near[fold[:, None] == fold[None, :]] = -np.inf
    order = np.argsort(-near, axis=1)[:, :50]
    response = screen.response[train]
    out = np.full_like(response, np.nan)
    for rank in range(order.shape[1]):
        gap = np.isnan(out)
        out[gap] = response[order[:, rank]][gap]
    return out


def _read(path: Path, keys_of: Callable[[list[str]], list[str | None]]) -> _Cells:
    import anndata

    adata = anndata.read_h5ad(path)
    labels = adata.obs["cell_type"].astype(str).to_numpy()
    return _Cells(
        file=path.stem,
        linear=_cp10k(adata.X),
        keys=keys_of([str(name) for name in adata.var_names]),
        labels=labels,
        groups=[group for group in sorted(set(labels)) if group in LINES],
    )


def _single_cell(cells: _Cells, truth: _Truth) -> tuple[list[EvalRow], np.ndarray]:
    """Lines by the pseudobulk of their single cells; also the predictions (groups, D)."""
    transfer, file, keys = truth.transfer, cells.file, cells.keys
    pooled = _pool(cells.linear, [np.flatnonzero(cells.labels == g) for g in cells.groups])
    found = transfer.predict(pooled, keys)
    factors = transfer.factors(pooled, transfer.place(keys))
    response = np.where(transfer.response_LD == MISSING, np.nan, transfer.response_LD * STEP)
    near = _nearest(transfer, factors, response)
    split = "held-out lines, pseudobulk"
    rows = []
    for at, group in enumerate(cells.groups):
        real, name = truth.measured[LINES[group]], f"{file} {group}"
        n = int(np.isfinite(real).sum())
        shuffled = []
        for seed in range(truth.seeds):
            genes = np.random.default_rng(seed).permutation(len(keys))
            null = transfer.predict(pooled[[at]], [keys[gene] for gene in genes]).z[0]
            shuffled.append(spearman(real, null))
        cover = interval_coverage(real, found.low[at], found.high[at])
        rows += [
            _row(name, split, "spearman_over_drugs", OURS, _pairs(real, found.z[at])),
            _row(name, split, "spearman_over_drugs", "nearest-line", _pairs(real, near[at])),
            _row(name, split, "spearman_over_drugs", "shuffled-genes", over_seeds(shuffled, n)),
            _row(name, split, "interval_coverage", OURS, _one(cover, n)),
        ]
        guesses = {OURS: found.z[at], "drug-mean": truth.mean_line, "nearest-line": near[at]}
        for system, value in guesses.items():
            error = float(np.nanmean(np.abs(real - value)))
            rows.append(_row(name, split, "absolute_error", system, _one(error, n)))
    rows.append(_small_groups(cells, found.z, truth))
    if "HCC827" in cells.groups:
        rows += _egfr(transfer, cells.groups, found.z, file)
    return rows, found.z


def _pool(linear: Any, picks: Sequence[np.ndarray]) -> np.ndarray:
    return np.log1p(np.vstack([np.asarray(linear[p].mean(axis=0)).ravel() for p in picks]))


def _small_groups(cells: _Cells, whole: np.ndarray, truth: _Truth) -> EvalRow:
    """Correlation of the predictions from 30 cells of a line with those from all its cells."""
    values = []
    for seed in range(truth.seeds):
        rng = np.random.default_rng(seed)
        picks = [
            rng.choice(where, min(SMALL, len(where)), replace=False)
            for where in (np.flatnonzero(cells.labels == group) for group in cells.groups)
        ]
        some = truth.transfer.predict(_pool(cells.linear, picks), cells.keys).z
        values.append(
            float(np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(some, whole, strict=True)]))
        )
    score = over_seeds(values, len(cells.groups))
    return _row(cells.file, "30 cells against all", "agreement", OURS, score)


def _agreement(profiles: dict[str, tuple[list[str], np.ndarray]]) -> EvalRow:
    groups, first = profiles["mixology_celseq2_5cl_p1"]
    second = profiles["mixology_celseq2_5cl_p2"][1]
    values = [float(np.corrcoef(a, b)[0, 1]) for a, b in zip(first, second, strict=True)]
    score = Score(mean=float(np.mean(values)), low=min(values), high=max(values), n=len(groups))
    return _row("mixology_celseq2_5cl", "plate 1 against plate 2", "agreement", OURS, score)


def _egfr(transfer: DrugTransfer, groups: Sequence[str], z: np.ndarray, file: str) -> list[EvalRow]:
    """Rank of HCC827 (deletion in EGFR) among the lines, most sensitive first."""
    rows = []
    for drug in EGFR_DRUGS:
        column = z[:, transfer.drugs.index(drug)]
        rank = int((column < column[groups.index("HCC827")]).sum()) + 1
        name = f"{file} {drug}"
        rows.append(_row(name, "rank of HCC827", "rank", OURS, _one(float(rank), len(groups))))
    return rows


def _cp10k(matrix: Any) -> Any:
    from scipy import sparse

    counts = sparse.csr_matrix(matrix, dtype=np.float64)
    totals = np.asarray(counts.sum(axis=1)).ravel()
    return sparse.csr_matrix(sparse.diags(1e4 / np.maximum(totals, 1)) @ counts)
