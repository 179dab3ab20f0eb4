"""Generation: cells made from text beside simpler generators, real against real as the floor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cellwright.evals.cells import CellFile, read_file
from cellwright.evals.metrics import auroc, mean_discrepancy, neighbour_accuracy, same_label_share
from cellwright.evals.pictures import new_figure, save, scatter
from cellwright.evals.task import OURS, EvalContext, EvalRow, Score, merge_seeds

if TYPE_CHECKING:
    from cellwright.cellmodel.data.registry import DatasetCard
    from cellwright.cellmodel.inference import CellModel
    from cellwright.cellmodel.training.plain_cvae import Draw

SUITE = "generation"
SETS = (
    "pbmc3k_2638",
    "kang_pbmc_ctrl_12261",
    "telencephalon_4474",
    "mca_gut_1871",
    "zeisel_brain_1464",
    "baron_h1_1937",
)
FEWEST, MOST, MOST_TRAINING = 16, 60, 300
PLAIN_STEPS = 600
NEIGHBOURS = (5, 10, 25, 50)
COMPONENTS = 50


@dataclass(frozen=True, kw_only=True)
class Bed:
    """Test cells of a file's types, and training cells of the same.

    Attributes:
        card: The file.
        genes: ``(V,)`` bool, genes of the vocabulary that it measured, G of them.
        keys: ``(G,)`` their keys.
        real: ``(B, G)`` counts of test cells.
        labels: ``(B,)`` their types.
        train: Counts of training cells by type.
    """

    card: DatasetCard
    genes: np.ndarray
    keys: tuple[str, ...]
    real: np.ndarray
    labels: np.ndarray
    train: Mapping[str, np.ndarray]


def run(context: EvalContext) -> list[EvalRow]:
    """Each system's cells against test cells, per file, in two spaces; three seeds of sampling."""
    model = context.cell_model
    if model is None or not model.generatable():
        context.say(f"{SUITE}: the checkpoint has had no decoder stage")
        return []
    split = int(model.card["seed"])
    plain = _plain_cvae(context, split)
    files = [file for name in SETS if (file := read_file(name, context, seed=split))]
    beds = [bed for file in files if (bed := _bed(file, model))]
    runs = []
    for seed in range(context.seeds):
        context.say(f"{SUITE}: draw {seed}")
        rows: list[EvalRow] = []
        for bed in beds:
            made = _systems(bed, model, plain, seed)
            rows += _realism(bed, made, seed)
            for space, project in (("PCA-50", _principal), ("UMAP-2", _papers_space)):
                points = project([bed.real, *made.values()], seed)
                rows += _neighbourhoods(
                    bed, space, points[0], dict(zip(made, points[1:], strict=True))
                )
                if space == "UMAP-2" and seed == 0:
                    _draw_overlap(bed, points[0], points[1 + list(made).index(OURS)], context)
            if seed == 0 and bed is beds[0]:
                _draw_markers(bed, made[OURS], context)
        runs.append(rows)
    rows = merge_seeds(runs)
    _draw_lines(rows, context)
    return rows


def _plain_cvae(context: EvalContext, seed: int) -> Draw:
    from cellwright.cellmodel.presets import base
    from cellwright.cellmodel.training.pipeline import Pipeline
    from cellwright.cellmodel.training.plain_cvae import train_plain_cvae
    from cellwright.evals.trained import training_request

    state = context.work / f"plain-cvae-{seed}"
    request = training_request(
        context.settings,
        context.knowledge,
        name="plain-cvae",
        preset=base(),
        data=context.data_dir,
        cards=None,
        state=state,
    )
    return train_plain_cvae(Pipeline(request).corpus, state, steps=PLAIN_STEPS, seed=seed)


def _bed(file: CellFile, model: CellModel) -> Bed | None:
    """Types that the model can generate and that have test cells enough, on the file's genes."""
    from cellwright.cellmodel.data.block import count_matrix

    able = {source.name for source in model.sources if source.dataset == file.card.name}
    counts = count_matrix(file.matrix, file.keys, model.vocabulary)
    keep = file.block(model.vocabulary, file.parts["test"][:1]).measured
    rng = np.random.default_rng(0)
    picked, train = [], {}
    for name in file.labels:
        test = file.parts["test"][file.names[file.parts["test"]] == name]
        if name in able and len(test) >= FEWEST:
            picked.append(rng.permutation(test)[:MOST])
            known = file.parts["train"][file.names[file.parts["train"]] == name]
            train[name] = counts[rng.permutation(known)[:MOST_TRAINING]][:, keep].toarray()
    if len(picked) < 2:
        return None
    rows = np.concatenate(picked)
    return Bed(
        card=file.card,
        genes=keep,
        keys=tuple(np.array(model.vocabulary.keys)[keep]),
        real=counts[rows][:, keep].toarray(),
        labels=file.names[rows].astype(str),
        train=train,
    )


def _systems(bed: Bed, model: CellModel, plain: Draw, seed: int) -> dict[str, np.ndarray]:
    """Cells of every system, one for each test cell, in the order of its labels."""
    rng = np.random.default_rng(seed)
    sizes = [(name, int((bed.labels == name).sum())) for name in dict.fromkeys(bed.labels)]

    def ours(name: str, n: int) -> np.ndarray:
        card = bed.card
        made = model.generate(name, dataset=card.name, n=n, seed=seed)
        place = {key: at for at, key in enumerate(made.keys)}
        return made.counts.toarray()[:, [place[key] for key in bed.keys]]

    def resampled(name: str, n: int) -> np.ndarray:
        return bed.train[name][rng.integers(len(bed.train[name]), size=n)]

    def alike(name: str, n: int) -> np.ndarray:
        return negative_binomial(bed.train[name], n, rng)

    def labelled(name: str, n: int) -> np.ndarray:
        return plain(name, bed.card.name, n, seed)[:, bed.genes]

    made = {OURS: ours, "nb": alike, "cvae": labelled, "resample": resampled}
    return {
        system: np.concatenate([draw(name, n) for name, n in sizes])
        for system, draw in made.items()
    }


def negative_binomial(cells: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw cells gene by gene from negative binomials fitted to a type by moments.

    Each cell takes the library size of a training cell; genes are independent given it.

    Args:
        cells: ``(B, G)`` counts of training cells.
        n: Cells to draw.
        rng: Source of the draws.
    """
    library = cells.sum(axis=1)
    share = (cells.sum(axis=0) + 1e-3) / (cells.sum() + 1e-3 * cells.shape[1])
    expected = library[:, None] * share
    excess = ((cells - expected) ** 2 - expected).sum(axis=0)
    dispersion = np.clip(excess / (expected**2).sum(axis=0), 1e-3, 20.0)
    mean = library[rng.integers(len(library), size=n)][:, None] * share
    rate = rng.gamma(1 / dispersion, mean * dispersion)
    return rng.poisson(rate).astype(np.float32)


def _log(counts: np.ndarray, base: float = np.e) -> np.ndarray:
    linear = counts * (1e4 / np.maximum(counts.sum(axis=1, keepdims=True), 1))
    return np.asarray(np.log1p(linear) / np.log(base), dtype=np.float32)


def _principal(parts: Sequence[np.ndarray], _seed: int) -> list[np.ndarray]:
    """50 principal components of log1p CP10k, fitted on the first part, the test cells."""
    from sklearn.decomposition import PCA

    size = min(COMPONENTS, len(parts[0]) - 1)
    model = PCA(n_components=size, random_state=0).fit(_log(parts[0]))
    return [model.transform(_log(part)) for part in parts]


def _papers_space(parts: Sequence[np.ndarray], seed: int) -> list[np.ndarray]:
    """InstructCell's space: log10(1 + CP10k), 50 singular vectors, UMAP to two dimensions."""
    import warnings

    from sklearn.decomposition import TruncatedSVD
    from umap import UMAP

    first = _log(parts[0], 10)
    size = min(COMPONENTS, len(first) - 1)
    flat = TruncatedSVD(n_components=size, n_iter=20, random_state=42).fit(first)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        near = min(40, len(first) - 1)
        umap = UMAP(n_neighbors=near, random_state=42 + seed).fit(flat.transform(first))
        return [umap.embedding_, *(umap.transform(flat.transform(_log(p, 10))) for p in parts[1:])]


def _neighbourhoods(
    bed: Bed, space: str, real: np.ndarray, made: Mapping[str, np.ndarray]
) -> list[EvalRow]:
    """delta-sKNN, pKNN and MMD of each system, and of one half of the test cells by the other."""
    rng = np.random.default_rng(0)
    order = rng.permutation(len(real))
    half, other = order[: len(real) // 2], order[len(real) // 2 :]
    rows = []
    for k in NEIGHBOURS:
        if k >= len(half):
            continue
        own = same_label_share(real, bed.labels, k)
        part = same_label_share(real[half], bed.labels[half], k)
        apart = abs(same_label_share(real[other], bed.labels[other], k) - part)
        rows.append(_row(bed, space, f"delta_sknn_{k}", "real", apart))
        floor = neighbour_accuracy(real[half], bed.labels[half], real[other], bed.labels[other], k)
        rows.append(_row(bed, space, f"pknn_{k}", "real", floor))
        for system, points in made.items():
            share = abs(same_label_share(points, bed.labels, k) - own)
            rows.append(_row(bed, space, f"delta_sknn_{k}", system, share))
            hit = neighbour_accuracy(real, bed.labels, points, bed.labels, k)
            rows.append(_row(bed, space, f"pknn_{k}", system, hit))
    rows.append(_row(bed, space, "mmd", "real", mean_discrepancy(real[half], real[other])))
    for system, points in made.items():
        rows.append(_row(bed, space, "mmd", system, mean_discrepancy(real, points)))
    return rows


def _realism(bed: Bed, made: Mapping[str, np.ndarray], seed: int) -> list[EvalRow]:
    """Library size, zeros, gene correlations, a two-sample classifier, and distance to training."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(bed.real))
    halves = {"real": (bed.real[order[::2]], bed.real[order[1::2]])}
    pairs = {**halves, **{system: (bed.real, cells) for system, cells in made.items()}}
    variable = np.argsort(-_log(bed.real).var(axis=0))[:200]
    training = _log(np.concatenate(list(bed.train.values())))
    usual = _nearest(_log(bed.real), training)
    rows = []
    for system, (real, cells) in pairs.items():
        ratio = np.log(np.median(cells.sum(axis=1)) / np.median(real.sum(axis=1)))
        figures = {
            "log_library_ratio": abs(float(ratio)),
            "zero_rate_gap": abs(float((cells == 0).mean() - (real == 0).mean())),
            "gene_correlation": _agreement(_log(real)[:, variable], _log(cells)[:, variable]),
            "two_sample_auc": two_sample_auc(_log(real)[:, variable], _log(cells)[:, variable]),
            "nearest_training_ratio": _nearest(_log(cells), training) / usual,
        }
        rows += [_row(bed, "genes", name, system, value) for name, value in figures.items()]
    return rows


def _agreement(real: np.ndarray, made: np.ndarray) -> float:
    """Correlation of the two sets' gene-gene correlations."""
    pairs = np.triu_indices(real.shape[1], 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        one, other = (np.nan_to_num(np.corrcoef(part.T))[pairs] for part in (real, made))
    return float(np.corrcoef(one, other)[0, 1])


def two_sample_auc(real: np.ndarray, made: np.ndarray) -> float:
    """How well a cross-validated logistic regression tells the two apart; .5 is not at all."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    both = np.concatenate([real, made])
    kind = np.repeat([0, 1], [len(real), len(made)])
    shares = cross_val_predict(
        LogisticRegression(C=0.1, max_iter=200), both, kind, cv=3, method="predict_proba"
    )[:, 1]
    return auroc(shares[kind == 1], shares[kind == 0])


def _nearest(cells: np.ndarray, training: np.ndarray) -> float:
    """Median distance to the nearest training cell."""
    from sklearn.neighbors import NearestNeighbors

    found, _ = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(training).kneighbors(cells)
    return float(np.median(found))


def _row(bed: Bed, split: str, metric: str, system: str, value: float) -> EvalRow:
    score = Score(mean=value, low=value, high=value, n=len(bed.real))
    return EvalRow(
        suite=SUITE,
        data=bed.card.name,
        split=split,
        metric=metric,
        system=system,
        **score.model_dump(),
    )


def _palette(labels: Sequence[str]) -> dict[str, Any]:
    from matplotlib import colormaps

    names = sorted(set(labels))
    shades = colormaps["turbo"](np.linspace(0.05, 0.95, len(names)))
    return dict(zip(names, shades, strict=True))


def _draw_overlap(bed: Bed, real: np.ndarray, made: np.ndarray, context: EvalContext) -> None:
    """Overlap, real by type, generated by type (figure 2a)."""
    figure, axes = new_figure(11, 3.8, columns=3)
    kinds = ["real"] * len(real) + ["generated"] * len(made)
    both = np.concatenate([real, made])
    scatter(axes[0, 0], both, kinds, {"real": "#BBBBBB", "generated": "#D55E00"}, "overlap")
    palette = _palette(list(bed.labels))
    scatter(axes[0, 1], real, list(bed.labels), palette, f"{bed.card.name}, real")
    scatter(axes[0, 2], made, list(bed.labels), palette, "generated")
    save(figure, context.figures, f"generation-umap-{bed.card.name}")


def _draw_markers(bed: Bed, made: np.ndarray, context: EvalContext) -> None:
    """Top three Welch genes of each type, their levels in real and in made cells (figure 2b)."""
    from scipy.stats import ttest_ind

    real, other = _log(bed.real), _log(made)
    names = list(dict.fromkeys(bed.labels))
    genes: list[int] = []
    for name in names:
        inside = bed.labels == name
        score = np.nan_to_num(ttest_ind(real[inside], real[~inside], equal_var=False).statistic)
        genes += [int(at) for at in np.argsort(-score) if int(at) not in genes][:3]
    figure, axes = new_figure(0.24 * len(genes) + 2, 0.42 * len(names) + 2, rows=2)
    for axis, cells, title in ((axes[0, 0], real, "real"), (axes[1, 0], other, "generated")):
        level = np.stack([cells[bed.labels == name][:, genes].mean(axis=0) for name in names])
        share = np.stack([(cells[bed.labels == n][:, genes] > 0).mean(axis=0) for n in names])
        spread = level.max(axis=0) - level.min(axis=0)
        scaled = (level - level.min(axis=0)) / np.maximum(spread, 1e-6)
        across, down = np.meshgrid(range(len(genes)), range(len(names)))
        axis.scatter(across, down, s=60 * share, c=scaled, cmap="Reds", vmin=0, vmax=1)
        axis.set_xticks(range(len(genes)), [bed.keys[at] for at in genes], rotation=90, fontsize=6)
        axis.set_yticks(range(len(names)), names, fontsize=7)
        axis.set_title(f"{bed.card.name}, {title}", fontsize=9)
    save(figure, context.figures, f"generation-markers-{bed.card.name}")


def _draw_lines(rows: Sequence[EvalRow], context: EvalContext) -> None:
    """delta-sKNN and pKNN against k, mean over files, in both spaces (figure 2c)."""
    figure, axes = new_figure(9, 6.5, rows=2, columns=2)
    systems = (OURS, "cvae", "nb", "resample", "real")
    for down, space in enumerate(("PCA-50", "UMAP-2")):
        for across, metric in enumerate(("delta_sknn", "pknn")):
            axis = axes[down, across]
            for system in systems:
                values = [
                    np.mean(
                        [
                            row.mean
                            for row in rows
                            if (row.split, row.metric, row.system)
                            == (space, f"{metric}_{k}", system)
                        ]
                    )
                    for k in NEIGHBOURS
                ]
                axis.plot(NEIGHBOURS, values, marker="o", label=system)
            axis.set(xlabel="k", title=f"{metric}, {space}")
    axes[0, 0].legend(fontsize=7)
    save(figure, context.figures, "generation-neighbours")
