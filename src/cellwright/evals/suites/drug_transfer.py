"""Drug transfer: families by cross-validation, then once the lines that no fit has seen.

Three views. Lines of GDSC left out of the fit, by fold or by site of origin, in bulk or carrying a
measured difference between platforms (``evals/drug_families.py``); there everything was chosen. The
eight held-out lines by their own bulk profile. Five of them as pseudobulks of single cells.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cellwright.cellmodel.drug import DrugTransfer
from cellwright.cellmodel.drug.fit import (
    FitConfig,
    factor_space,
    fit_response,
    folds_of,
    platform_differences,
    spearman_columns,
)
from cellwright.cellmodel.drug.screen import Screen, read_screen
from cellwright.cellmodel.drug.sharing import drug_similarity
from cellwright.evals import drug_families as families
from cellwright.evals.drug_cells import LINES, LineCells, pooled, read_cells
from cellwright.evals.drug_embedding import LineEmbedder
from cellwright.evals.drug_families import Protocol
from cellwright.evals.drug_figures import draw_families, draw_held_out
from cellwright.evals.drug_inputs import PAIRED, read_facts, read_pairs
from cellwright.evals.metrics import interval_coverage, over_seeds, spearman
from cellwright.evals.task import OURS, EvalContext, EvalRow, Score

SUITE = "drug-transfer"
PLATES = ("mixology_celseq2_5cl_p1", "mixology_celseq2_5cl_p2")
FILES = (*PLATES, "mixology_celseq2", "mixology_dropseq")
EGFR_DRUGS = (
    "Erlotinib", "Gefitinib", "Afatinib", "Lapatinib", "Osimertinib", "Sapitinib", "AZD3759",
)  # fmt: skip
SMALL = 30
NULL_DRAWS = 20
TIMED_CELLS = 10_000
BULK, POOLED = "held-out lines", "held-out lines, pseudobulk"
UNCORRECTED = f"{OURS}-uncorrected"
PLATFORM_VARS = (0.1, 0.35, 4.0)
"""Values tried beside the one that ships."""


@dataclass(frozen=True, kw_only=True)
class _Bench:
    """What rows are made from: the packaged transfer, the screen, and what families are given."""

    context: EvalContext
    transfer: DrugTransfer
    screen: Screen
    protocol: Protocol

    @property
    def measured(self) -> dict[str, np.ndarray]:
        """Measured z (D,) of each line."""
        return dict(zip(self.screen.lines, self.screen.response, strict=True))


def run(context: EvalContext) -> list[EvalRow]:
    """Choose in the screen, measure on held-out lines, and draw both."""
    bench = _bench(context)
    rows = [*_folds(bench), *_sites(bench), *_disguised(bench), *_bulk(bench)]
    found: dict[str, tuple[LineCells, np.ndarray]] = {}
    for file in FILES:
        path = context.data_dir / f"{file}.h5ad"
        if not path.is_file():
            context.say(f"{SUITE}: {file} is missing, left out")
            continue
        context.say(f"{SUITE}: {file}")
        cells = read_cells(path, lambda names: list(context.knowledge.genes.keys(names, "human")))
        more, z = _single_cell(cells, bench)
        rows += more
        found[file] = cells, z
    rows += _summaries(rows)
    if set(PLATES) <= found.keys():
        rows.append(_agreement(*(found[plate] for plate in PLATES)))
        draw_held_out(found[PLATES[0]], bench.measured, bench.transfer.drugs, context.figures)
    if found:
        rows.append(_speed(next(iter(found.values()))[0], bench))
    draw_families(rows, context.figures)
    return [row for row in rows if math.isfinite(row.mean)]


def _bench(context: EvalContext) -> _Bench:
    knowledge, folder = context.knowledge, context.data_dir / "gdsc"

    def keys(names: Iterable[str]) -> list[str | None]:
        return list(knowledge.genes.keys(list(names), "human"))

    screen = read_screen(folder, keys)
    pairs = read_pairs(context.data_dir, screen, keys)
    config = FitConfig()
    space = factor_space(screen.expression[~screen.held_out], screen.keys, config)
    platforms = {}
    for pair in pairs:
        difference = platform_differences(space, screen, [pair])[0]
        measured = np.isin(screen.keys, [key for key in pair.keys if key])
        platforms[pair.name] = np.where(measured, difference, np.nan)
    model = context.cell_model
    protocol = Protocol(
        screen=screen,
        similarity=drug_similarity(screen.drugs, read_facts(folder, knowledge, screen.drugs)),
        platforms=platforms,
        embed=LineEmbedder(model, screen.keys, pairs[0]) if model else None,
        config=config,
    )
    return _Bench(context=context, transfer=DrugTransfer.load(), screen=screen, protocol=protocol)


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


# -- lines of the screen left out ---------------------------------------------------------------


def _both_ways(
    data: str, split: str, runs: Sequence[Mapping[str, np.ndarray]], truth: np.ndarray
) -> list[EvalRow]:
    """Within each drug over lines, and within each line over drugs, mean and range over seeds."""
    rows = []
    for system in runs[0]:
        within = [float(np.nanmean(spearman_columns(one[system], truth))) for one in runs]
        over = [float(np.nanmean(spearman_columns(one[system].T, truth.T))) for one in runs]
        for metric, values, n in (
            ("spearman_within_drug", within, truth.shape[1]),
            ("spearman_over_drugs", over, len(truth)),
        ):
            rows.append(_row(data, split, metric, system, over_seeds(values, n)))
    return rows


def _folds(bench: _Bench) -> list[EvalRow]:
    """Five folds over the training lines, and predictions handed to other lines or drugs."""
    protocol, runs = bench.protocol, []
    truth = bench.screen.response[protocol.train]
    for seed in range(bench.context.seeds):
        bench.context.say(f"{SUITE}: five folds over lines, seed {seed}")
        config = replace(protocol.config, seed=seed)
        found = families.leave_out(protocol, folds_of(len(truth), config))
        draw = np.random.default_rng(seed)
        ours = found[families.SHARED]
        found["shuffled-expression"] = ours[draw.permutation(len(truth))]
        found["shuffled-drugs"] = ours[:, draw.permutation(truth.shape[1])]
        runs.append(found)
    return _both_ways("gdsc", "5-fold over lines", runs, truth)


def _sites(bench: _Bench) -> list[EvalRow]:
    """Every site of origin left out once: no line of the tissue is known."""
    bench.context.say(f"{SUITE}: sites left out")
    protocol = bench.protocol
    fold = families.site_folds(bench.screen)
    found = families.leave_out(protocol, fold)
    # The mean of the tissue itself is not known here; what is, is that of the nearest one.
    found.pop(families.TISSUE, None)
    truth = bench.screen.response[protocol.train]
    rows = _both_ways("gdsc", "leave one site out", [found], truth)
    for system, guess in found.items():
        inside = [
            float(np.nanmean(spearman_columns(guess[fold == site], truth[fold == site])))
            for site in np.unique(fold)
            if (fold == site).sum() >= SMALL
        ]
        score = Score(mean=float(np.mean(inside)), low=min(inside), high=max(inside), n=len(inside))
        metric = "spearman_within_drug_and_site"
        rows.append(_row("gdsc", "leave one site out", metric, system, score))
    return rows


def _disguised(bench: _Bench) -> list[EvalRow]:
    """Left-out lines as another platform would show them, with and without the correction."""
    protocol = bench.protocol
    truth = bench.screen.response[protocol.train]
    fold = folds_of(len(truth), protocol.config)
    rows = []
    for name in PAIRED:
        bench.context.say(f"{SUITE}: lines disguised as {name}")
        found = families.leave_out(protocol, fold, disguise=name)
        only = (families.SHARED,)
        for system, value, corrected in (
            (UNCORRECTED, protocol.config.platform_var, False),
            *((f"{OURS}-platform-var-{value}", value, True) for value in PLATFORM_VARS),
        ):
            other = replace(protocol, config=replace(protocol.config, platform_var=value))
            one = families.leave_out(other, fold, disguise=name, corrected=corrected, families=only)
            found[system] = one[families.SHARED]
        data = f"gdsc seen as {name.partition('_')[0]}"
        rows += _both_ways(data, "5-fold over lines, disguised", [found], truth)
    return rows


# -- held-out lines -----------------------------------------------------------------------------


def _held_out(
    name: str,
    split: str,
    truth: np.ndarray,
    guesses: Mapping[str, np.ndarray],
) -> list[EvalRow]:
    """Order of drugs and size of the error for one line."""
    rows = []
    n = int(np.isfinite(truth).sum())
    for system, guess in guesses.items():
        if system != "drug-mean":
            # The mean z of every drug is zero: it puts drugs into no order.
            rows.append(_row(name, split, "spearman_over_drugs", system, _pairs(truth, guess)))
        error = float(np.nanmean(np.abs(truth - guess)))
        rows.append(_row(name, split, "absolute_error", system, _one(error, n)))
    return rows


def _rivals(
    bench: _Bench, factors: np.ndarray, profiles: np.ndarray, genes: np.ndarray, lines: list[str]
) -> dict[str, np.ndarray]:
    """What the other families and naive guesses say of held-out profiles (N, D)."""
    screen, train, space = bench.screen, bench.protocol.train, bench.transfer.space
    scores = (screen.expression[train] - space.mean_G) @ space.loadings_KG.T
    response = screen.response[train]
    weights, bias = fit_response(scores, response, None, bench.protocol.config)
    tissues = np.array(screen.tissues, object)
    own = np.array([screen.tissues[screen.lines.index(line)] for line in lines], object)
    out = {families.LINEAR: factors @ weights + bias}
    if bench.protocol.embed:
        known = bench.protocol.embed(screen.expression[train], genes)
        asked = bench.protocol.embed(profiles, genes)
        out[families.EMBEDDING] = families.on_vectors(known, response, asked)
    out[families.NEAREST] = families.nearest(space, factors, scores, response)
    out[families.TISSUE] = families.tissue_mean(own, tissues[train], response)
    out["drug-mean"] = np.tile(np.nanmean(response, axis=0), (len(lines), 1))
    return out


def _bulk(bench: _Bench) -> list[EvalRow]:
    """The held-out lines by their own bulk expression, and the cover of the intervals."""
    screen, transfer = bench.screen, bench.transfer
    held = np.flatnonzero(screen.held_out)
    profiles = screen.expression[held]
    factors = (profiles - transfer.space.mean_G) @ transfer.space.loadings_KG.T
    guess = factors @ transfer.weights_KD + transfer.bias_D
    lines = [screen.lines[line] for line in held]
    genes = np.arange(len(screen.keys))
    systems = {OURS: guess, **_rivals(bench, factors, profiles, genes, lines)}
    rows = []
    for at, line in enumerate(held):
        truth, name = screen.response[line], f"bulk {screen.lines[line]}"
        rows += _held_out(name, BULK, truth, {key: one[at] for key, one in systems.items()})
        half = transfer.half_width_D
        cover = interval_coverage(truth, guess[at] - half, guess[at] + half)
        n = int(np.isfinite(truth).sum())
        rows.append(_row(name, BULK, "interval_coverage", OURS, _one(cover, n)))
    return rows


def _single_cell(cells: LineCells, bench: _Bench) -> tuple[list[EvalRow], np.ndarray]:
    """Lines by the pseudobulk of their single cells; also the predictions (groups, D)."""
    transfer, measured = bench.transfer, bench.measured
    profiles = pooled(cells.linear, [cells.of(group) for group in cells.groups])
    found = transfer.predict(profiles, cells.keys)
    placement = transfer.place(cells.keys)
    full = np.zeros((len(profiles), len(transfer.space.keys)), np.float32)
    full[:, placement.genes] = profiles[:, placement.columns]
    lines = [LINES[group] for group in cells.groups]
    factors = transfer.factors(profiles, placement)
    bare = replace(
        transfer, space=replace(transfer.space, platform_PG=np.zeros((0, full.shape[1])))
    )
    systems = {
        OURS: found.z,
        UNCORRECTED: bare.predict(profiles, cells.keys).z,
        **_rivals(bench, factors, full, placement.genes, lines),
    }
    rows = []
    for at, (group, line) in enumerate(zip(cells.groups, lines, strict=True)):
        real, name = measured[line], f"{cells.file} {group}"
        rows += _held_out(name, POOLED, real, {key: one[at] for key, one in systems.items()})
        rows += _nulls(at, found.z, profiles, cells, bench)
        n = int(np.isfinite(real).sum())
        cover = interval_coverage(real, found.low[at], found.high[at])
        rows.append(_row(name, POOLED, "interval_coverage", OURS, _one(cover, n)))
    rows.append(_small_groups(cells, found.z, bench))
    if "HCC827" in cells.groups:
        rows += _egfr(cells, systems, transfer)
    return rows, found.z


def _nulls(
    at: int, z: np.ndarray, profiles: np.ndarray, cells: LineCells, bench: _Bench
) -> list[EvalRow]:
    """What is left without the profile, without its deviations, and with another line's.

    A profile with its genes shuffled is no cell at all: it lies off the mean of all lines by that
    mean itself, always the same way, and the response to that way is what it scores, whatever the
    seed. Deviations from the mean, shuffled, carry nothing in common and are the fair null.
    """
    transfer, group = bench.transfer, cells.groups[at]
    name, real = f"{cells.file} {group}", bench.measured[LINES[group]]
    placement = transfer.place(cells.keys)
    centre = transfer.space.mean_G[placement.genes]
    away = placement.mapped(profiles[[at]])[0] - centre
    scores: dict[str, list[float]] = {}
    for seed in range(NULL_DRAWS):
        draw = np.random.default_rng(seed)
        order = draw.permutation(len(cells.keys))
        shuffled = transfer.predict(profiles[[at]], [cells.keys[gene] for gene in order]).z[0]
        factors = placement.to_factors_KM @ draw.permutation(away)
        for system, guess in (
            ("shuffled-genes", shuffled),
            ("shuffled-deviations", factors @ transfer.weights_KD + transfer.bias_D),
            ("shuffled-drugs", draw.permutation(z[at])),
        ):
            scores.setdefault(system, []).append(spearman(real, guess))
    n = int(np.isfinite(real).sum())
    rows = [
        _row(name, POOLED, "spearman_over_drugs", system, over_seeds(values, n))
        for system, values in scores.items()
    ]
    others = [spearman(real, z[other]) for other in range(len(z)) if other != at]
    score = Score(mean=float(np.mean(others)), low=min(others), high=max(others), n=len(others))
    return [*rows, _row(name, POOLED, "spearman_over_drugs", "other-lines", score)]


def _small_groups(cells: LineCells, whole: np.ndarray, bench: _Bench) -> EvalRow:
    """Correlation of the predictions from 30 cells of a line with those from all its cells."""
    values = []
    for seed in range(bench.context.seeds):
        draw = np.random.default_rng(seed)
        picks = [
            draw.choice(where, min(SMALL, len(where)), replace=False)
            for where in map(cells.of, cells.groups)
        ]
        some = bench.transfer.predict(pooled(cells.linear, picks), cells.keys).z
        values.append(
            float(np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(some, whole, strict=True)]))
        )
    score = over_seeds(values, len(cells.groups))
    return _row(cells.file, "30 cells against all", "agreement", OURS, score)


def _agreement(
    first: tuple[LineCells, np.ndarray], second: tuple[LineCells, np.ndarray]
) -> EvalRow:
    values = [float(np.corrcoef(a, b)[0, 1]) for a, b in zip(first[1], second[1], strict=True)]
    score = Score(mean=float(np.mean(values)), low=min(values), high=max(values), n=len(values))
    return _row("mixology_celseq2_5cl", "plate 1 against plate 2", "agreement", OURS, score)


def _egfr(
    cells: LineCells, systems: Mapping[str, np.ndarray], transfer: DrugTransfer
) -> list[EvalRow]:
    """Rank of HCC827 (deletion in EGFR) among the lines, most sensitive first."""
    rows, own = [], cells.groups.index("HCC827")
    for drug in (one for one in EGFR_DRUGS if one in transfer.drugs):
        for system in (OURS, families.LINEAR, families.EMBEDDING, families.NEAREST):
            if system not in systems:
                continue
            column = systems[system][:, transfer.drugs.index(drug)]
            rank = _one(float((column < column[own]).sum()) + 1, len(cells.groups))
            rows.append(_row(f"{cells.file} {drug}", "rank of HCC827", "rank", system, rank))
    return rows


# -- all together -------------------------------------------------------------------------------


def _summaries(rows: list[EvalRow]) -> list[EvalRow]:
    """Means over the lines of a plate, and coverage over all lines of a kind."""
    out = []
    for plate in PLATES:
        for metric in ("spearman_over_drugs", "absolute_error"):
            mine = [
                row for row in rows if row.data.startswith(f"{plate} ") and row.metric == metric
            ]
            for system in dict.fromkeys(row.system for row in mine):
                out.append(
                    _mean(f"{plate}, all lines", POOLED, [r for r in mine if r.system == system])
                )
    for split in (BULK, POOLED):
        cover = [row for row in rows if row.metric == "interval_coverage" and row.split == split]
        out += [_mean("all lines", split, cover)] if cover else []
    return out


def _mean(data: str, split: str, rows: list[EvalRow]) -> EvalRow:
    """Mean over lines, each weighing the same, and their range."""
    values = [row.mean for row in rows]
    score = Score(mean=float(np.mean(values)), low=min(values), high=max(values), n=len(values))
    return _row(data, split, rows[0].metric, rows[0].system, score)


def _speed(cells: LineCells, bench: _Bench) -> EvalRow:
    """Seconds for every drug on 10,000 cells, drawn with replacement from a file."""
    draw = np.random.default_rng(0)
    many = cells.linear[draw.integers(0, cells.linear.shape[0], TIMED_CELLS)].log1p()
    started = time.perf_counter()
    found = bench.transfer.predict(many, cells.keys)
    seconds = time.perf_counter() - started
    return _row("all drugs", "10,000 cells", "seconds", OURS, _one(seconds, len(found.z)))
