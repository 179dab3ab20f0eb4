"""Generation: cells made from text beside simpler generators, real against real as the floor.

Every system makes as many cells of each type as a file has test cells of it. Spaces:

- ``PCA-50``, for each file: components of log1p CP10k, fitted on its test cells. These lie farther
  apart there than cells that are new to it, made or real.
- ``PCA-50 of training cells``: the same, fitted on training cells, so that test cells are as new
  to it as made ones.
- ``UMAP-2``, one for all files, as InstructCell has it, fitted on all test cells.
- ``genes``: no space at all.

``real`` sets half of the test cells against the other half, with half as many cells on either
side; ``resample`` sets as many training cells against test cells, real against real as well, and
what copying would give. Kernels of MMD are equally wide for all of them.

A pKNN above that of real cells is no merit: types whose cells do not vary together are told apart
too well. ``delta_pknn`` is its distance from what real cells have, as ``delta_sknn`` is for sKNN.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from cellwright.cellmodel.realism import log_profile, nearest_distance
from cellwright.evals.cells import read_file
from cellwright.evals.generation_figures import (
    draw_curves,
    draw_markers,
    draw_overlap,
    draw_templates,
    draw_types,
)
from cellwright.evals.generation_spaces import (
    PapersSpace,
    gene_figures,
    halves,
    kernel_widths,
    mean_over_k,
    neighbourhoods,
    principal_points,
)
from cellwright.evals.generators import (
    Bed,
    Made,
    draw_ours,
    draw_systems,
    make_bed,
    plain_cvae,
    wish_signals,
)
from cellwright.evals.metrics import over_seeds
from cellwright.evals.task import OURS, EvalContext, EvalRow, Unavailable

if TYPE_CHECKING:
    from cellwright.cellmodel.inference import CellModel

SUITE = "generation"
REAL, COPIES = "real", "resample"
PCA, PCA_TRAIN, UMAP = SPACES = ("PCA-50", "PCA-50 of training cells", "UMAP-2")
PICTURED = ("pbmc3k_2638", "telencephalon_4474", "baron_h1_1937", "zeisel_brain_1464")
WORDINGS = {"seen": "train", "unseen": "test"}
COMPARED = ("delta_sknn", "pknn", "mmd", "reannotation")
OF_TYPES = {
    "library_ratio": None,
    "zero_gap": None,
    "gene_correlation": "gene_correlation_real",
    "two_sample_auc": "two_sample_auc_real",
    "nearest_ratio": None,
}
"""Figures of the card on each type, and those of training cells that stand beside them."""
Figures = dict[tuple[str, str, str, str], list[float]]
"""Figures over seeds by file, split, metric and system."""


def run(context: EvalContext) -> list[EvalRow]:
    """Each system's cells against test cells, per file; three seeds of sampling and of UMAP."""
    model = context.cell_model
    if model is None or not model.generatable():
        msg = "the checkpoint has had no decoder stage"
        raise Unavailable(msg)
    split = int(model.card["seed"])
    names = [row["name"] for row in model.card["datasets"]]
    able = set(model.card["generation_datasets"])
    files = [read_file(name, context, seed=split) for name in names if name in able]
    beds = [bed for file in files if file is not None and (bed := make_bed(file, model))]
    if not beds:
        msg = f"no data set of {context.data_dir} has test cells enough"
        raise Unavailable(msg)
    context.say(f"{SUITE}: plain CVAE")
    plain = plain_cvae(context, model, split)
    context.say(f"{SUITE}: wishes")
    signals = [_signals(bed, model) for bed in beds]
    figures: Figures = defaultdict(list)
    curves: list[dict[str, Any]] = []
    for seed in range(context.seeds):
        context.say(f"{SUITE}: draw {seed}")
        made = [
            draw_systems(bed, model, states, plain, seed=seed)
            for bed, states in zip(beds, signals, strict=True)
        ]
        curves.append(_judge(beds, made, figures, context, seed))
        _reannotate(beds, made, model, figures)
        if seed == 0:
            _picture_markers(beds, made, context)
    _templates(beds, model, figures, context)
    _refusals(model, figures)
    draw_curves(_mean_curves(curves), context.figures)
    sizes = {bed.card.name: len(bed.real) for bed in beds}
    rows = [
        EvalRow(
            suite=SUITE,
            data=data,
            split=where,
            metric=metric,
            system=system,
            **over_seeds(values, sizes.get(data, sum(sizes.values()))).model_dump(),
        )
        for (data, where, metric, system), values in [
            *figures.items(),
            *_curve_figures(curves, len(beds)).items(),
        ]
    ]
    return rows + _types(model, context)


def _signals(bed: Bed, model: CellModel) -> dict[str, Any]:
    states = wish_signals(model, [bed.sources[name] for name in bed.sizes])
    return dict(zip(bed.sizes, states, strict=True))


def _judge(
    beds: Sequence[Bed], made: Sequence[Made], figures: Figures, context: EvalContext, seed: int
) -> dict[str, Any]:
    """Figures of one seed; curves over k as space -> metric -> system -> k -> files."""
    curves: dict[str, Any] = {
        space: defaultdict(lambda: defaultdict(lambda: defaultdict(list))) for space in SPACES
    }

    def note(bed: Bed, space: str, system: str, found: Mapping[str, Mapping[int, float]]) -> None:
        for metric, value in mean_over_k(found).items():
            figures[bed.card.name, space, metric, system].append(value)
        for metric, by_k in found.items():
            for k, value in by_k.items():
                curves[space][metric][system][k].append(value)

    def hold(bed: Bed, space: str, real: np.ndarray, others: Made) -> None:
        widths = kernel_widths(real)
        for system, points in others.items():
            found = neighbourhoods(real, bed.labels, points, bed.labels, widths=widths)
            note(bed, space, system, found)

    def hold_halves(bed: Bed, space: str, real: np.ndarray, parts: Sequence[np.ndarray]) -> None:
        one, other = (bed.labels[part] for part in halves(bed.labels, seed))
        found = neighbourhoods(parts[0], one, parts[1], other, widths=kernel_widths(real))
        note(bed, space, REAL, found)

    for bed, cells in zip(beds, made, strict=True):
        one, other = halves(bed.labels, seed)
        real, points = principal_points(bed.real, cells)
        hold(bed, PCA, real, points)
        first, second = principal_points(bed.real[one], {REAL: bed.real[other]})
        hold_halves(bed, PCA, real, (first, second[REAL]))
        drawn = {system: counts for system, counts in cells.items() if system != COPIES}
        points = principal_points(bed.known, {REAL: bed.real, **drawn})[1]
        real = points.pop(REAL)
        hold(bed, PCA_TRAIN, real, points)
        hold_halves(bed, PCA_TRAIN, real, (real[one], real[other]))
        training = log_profile(np.concatenate(list(bed.train.values())))
        usual = nearest_distance(log_profile(bed.real), training)
        pairs = {system: (bed.real, counts) for system, counts in cells.items()}
        for system, pair in {**pairs, REAL: (bed.real[one], bed.real[other])}.items():
            for metric, value in gene_figures(*pair, training, usual=usual).items():
                figures[bed.card.name, "genes", metric, system].append(value)
    space = PapersSpace(beds, seed)
    mapped = {system: space.points(beds, [cells[system] for cells in made]) for system in made[0]}
    for at, (bed, real) in enumerate(zip(beds, space.real, strict=True)):
        hold(bed, UMAP, real, {system: points[at] for system, points in mapped.items()})
        one, other = halves(bed.labels, seed)
        hold_halves(bed, UMAP, real, (real[one], real[other]))
    if seed == 0:
        shown = [at for at, bed in enumerate(beds) if bed.card.name in PICTURED]
        draw_overlap(
            [beds[at] for at in shown],
            [space.real[at] for at in shown],
            [mapped[OURS][at] for at in shown],
            context.figures,
        )
    return curves


def _reannotate(
    beds: Sequence[Bed], made: Sequence[Made], model: CellModel, figures: Figures
) -> None:
    """Share of cells that the ReadOut names as what they were meant to be; test cells beside."""
    for bed, cells in zip(beds, made, strict=True):
        for system, counts in {**cells, REAL: bed.real}.items():
            named = _reannotated(bed, counts, model)
            figures[bed.card.name, "genes", "reannotation", system].append(named)


def _reannotated(bed: Bed, counts: np.ndarray, model: CellModel) -> float:
    from cellwright.cellmodel.data.block import make_block

    block = make_block(sparse.csr_matrix(counts), bed.keys, model.vocabulary, "counts")
    called = model.annotate(block, species=bed.card.species, tissue=bed.card.tissue)
    return float((np.asarray(called.labels) == bed.labels).mean())


def _templates(
    beds: Sequence[Bed], model: CellModel, figures: Figures, context: EvalContext
) -> None:
    """The same cells asked for in wordings that were trained on, and in others (figure 5a)."""
    from cellwright.cellmodel.instructions.pool import TemplateBook

    shown: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    sources = [bed.sources[name] for bed in beds for name in bed.sizes]
    for part, share in WORDINGS.items():
        context.say(f"{SUITE}: {part} templates")
        where = f"{part} templates"
        book = TemplateBook(share, shares={"english": 1.0})  # type: ignore[arg-type]
        rng = np.random.default_rng(0)
        for seed in range(context.seeds):
            states = wish_signals(model, sources, [book.draw("CPCG", rng) for _ in sources])
            silent = float(np.mean([state is None for state in states]))
            figures["all", where, "no_cell", OURS].append(silent)
            place = iter(states)
            for bed in beds:
                signals = {name: [next(place)] for name in bed.sizes}
                cells = draw_ours(bed, model, signals, seed=seed)
                real, points = principal_points(bed.real, {OURS: cells})
                found = neighbourhoods(
                    real, bed.labels, points[OURS], bed.labels, widths=kernel_widths(real)
                )
                named = {"reannotation": _reannotated(bed, cells, model)}
                for metric, value in {**mean_over_k(found), **named}.items():
                    figures[bed.card.name, where, metric, OURS].append(value)
        for bed in beds:
            for metric in COMPARED:
                values = figures[bed.card.name, where, metric, OURS]
                shown[metric][part].append(float(np.mean(values)))
    draw_templates(shown, context.figures)


def _refusals(model: CellModel, figures: Figures) -> None:
    """Types that the model knows and has learned no counts of: refused, and near ones named."""
    from cellwright.cellmodel.generation import UnknownTypeError, pick_source

    able = {source.name for source in model.sources}
    refused, near = [], []
    for record in model.labels:
        if record.name in able:
            continue
        try:
            pick_source(model.sources, model.checkpoint.labels, record.name)
        except UnknownTypeError as error:
            refused.append(1.0)
            near.append(float(bool(error.near)))
        else:
            refused.append(0.0)
    if refused:
        figures[f"{len(refused)} types", "never learned", "refused", OURS].append(_mean(refused))
        figures[f"{len(refused)} types", "never learned", "near_named", OURS].append(_mean(near))


def _types(model: CellModel, context: EvalContext) -> list[EvalRow]:
    """What the checkpoint's card says of each type beside its held-out cells."""
    judged = [row for row in model.card["realism"] if row["two_sample_auc"] is not None]
    draw_types(judged, context.figures)
    rows = []
    for row in judged:
        for metric, beside in OF_TYPES.items():
            values = {OURS: row[metric]} | ({COPIES: row[beside]} if beside else {})
            rows += [
                EvalRow(
                    suite=SUITE,
                    data=f"{row['dataset']}: {row['name']}",
                    split="types",
                    metric=metric,
                    system=system,
                    mean=value,
                    low=value,
                    high=value,
                    n=row["n_held_out"],
                )
                for system, value in values.items()
            ]
    return rows


def _picture_markers(beds: Sequence[Bed], made: Sequence[Made], context: EvalContext) -> None:
    for bed, cells in zip(beds, made, strict=True):
        if bed.card.name in PICTURED[:3]:
            genes, species = context.knowledge.genes, bed.card.species
            symbols = [genes.symbol_of_key(key, species) for key in bed.keys]
            draw_markers(bed, cells[OURS], symbols, context.figures)


def _curve_figures(curves: Sequence[Mapping[str, Any]], n_files: int) -> Figures:
    """Mean over files at each k; files with too few cells for a k are left out of it."""
    found: Figures = defaultdict(list)
    for one in curves:
        for space, metrics in one.items():
            for metric, systems in metrics.items():
                for system, by_k in systems.items():
                    for k, values in by_k.items():
                        key = (f"mean of {n_files} sets", f"{space}, by k", f"{metric}_{k}", system)
                        found[key].append(float(np.mean(values)))
    return found


def _mean_curves(curves: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Curves of the figure: mean over files and seeds."""
    found: dict[str, Any] = {}
    for space in SPACES:
        found[space] = defaultdict(lambda: defaultdict(dict))
        for metric, systems in curves[0][space].items():
            for system, by_k in systems.items():
                for k in by_k:
                    values = [np.mean(one[space][metric][system][k]) for one in curves]
                    found[space][metric][system][k] = float(np.mean(values))
    return found


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0
