"""Saliency: marker records among the genes it names, and whether it is of the model at all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cellwright.evals.cells import CellFile, read_file
from cellwright.evals.faithfulness import (
    UNLEARNED,
    area,
    curves,
    rank_correlations,
    ranked_genes,
    shuffled_genes,
)
from cellwright.evals.gene_rankings import matched_rate, mean_level, rank_sum, welch
from cellwright.evals.metrics import bootstrap
from cellwright.evals.saliency_figures import draw_curves, draw_types
from cellwright.evals.task import OURS, EvalContext, EvalRow, Score, merge_seeds
from cellwright.evals.trained import seed_models
from cellwright.tools.saliency_figure import TypeMap

if TYPE_CHECKING:
    from cellwright.cellmodel.data.block import CellBlock
    from cellwright.cellmodel.inference import CellModel
    from cellwright.cellmodel.saliency import Method
    from cellwright.knowledge import Knowledge

SUITE = "saliency"
TOP = 10
MAX_CELLS = 6
"""Test cells of a type that gradients are taken on."""

FEWEST_CELLS = 3
LEAST_SHARE = 0.05
"""Share of a type's cells that must express a gene for it to be named or drawn."""

CURVE_SETS = (
    "pbmc3k_2638",
    "kang_pbmc_ctrl_12261",
    "baron_h1_1937",
    "bastidas_ponce_e15_739",
    "zilionis_lung_800",
)
CURVE_CELLS = 4
RANDOMISED_SETS = ("pbmc3k_2638", "baron_h1_1937", "joost_skin_720")
DRAWN = {"baron_h1_1937": "islet", "pbmc3k_2638": "blood"}
NO_TYPES = "lung adenocarcinoma cell lines"
"""Tissue of the sets whose labels are lines and not types: no record can be of them."""

SYSTEMS: Mapping[str, Method] = {
    OURS: "integrated_gradients",
    f"{OURS}-input-x-gradient": "input_x_gradient",
    f"{OURS}-gradient": "gradient",
}
"""The tool's default is the first; the last is the paper's saliency."""

EVERYTHING = "all types"


@dataclass(frozen=True, kw_only=True)
class _Type:
    """A type of a set, explained on held-out cells.

    Attributes:
        data: The set.
        label: Name of the type.
        candidates: All types of the set.
        block: The type's cells.
        signed: (B, V) attributions of each cell, by system.
        means: (V,) what ranks genes for the type, by system.
        universe: (U,) positions of the genes that any system may name.
        names: (U,) symbols.
        marked: (U,) bool, genes with a record of the type or a related one.
        strict: (U,) bool, with a record of the type or a kind of it.
        top: Named genes of each system, as positions in the universe.
    """

    data: str
    label: str
    candidates: tuple[str, ...]
    block: CellBlock
    signed: Mapping[str, np.ndarray]
    means: Mapping[str, np.ndarray]
    universe: np.ndarray
    names: np.ndarray
    marked: np.ndarray
    strict: np.ndarray
    top: dict[str, np.ndarray] = field(default_factory=dict)


def run(context: EvalContext) -> list[EvalRow]:
    """Marker share, deletion and insertion, and the randomisation test, for the model of each seed.

    A gene counts as marked when ``knowledge`` has a positive marker record of the set's own species
    that ties it to the type or to a type above or below it in the Cell Ontology (``strict``: not
    above). Every system names genes out of the same ones: protein-coding, expressed by 5 % of the
    explained cells.
    """
    runs = []
    for at, one in enumerate(seed_models(context)):
        types = _explained(context, one.model, one.seed)
        rows = _marker_rows(types)
        rows += _curve_rows(context, types, one.model, one.seed, draw=at == 0)
        rows += _randomised_rows(context, types, one.model, one.seed)
        runs.append(rows)
        if at == 0:
            _draw(types, context)
    return merge_seeds(runs)


def coding_genes(keys: Sequence[str], knowledge: Knowledge) -> np.ndarray:
    """Which vocabulary keys are genes that code for a protein, by NCBI's type, ``(V,)`` bool."""
    found = np.zeros(len(keys), dtype=bool)
    for species, ours in (("human", False), ("mouse", True)):
        at = [n for n, key in enumerate(keys) if key.startswith("mouse:") is ours]
        names = [keys[n].removeprefix("mouse:") for n in at]
        matches = knowledge.genes.resolve_many(names, species)
        found[at] = [match.gene_type == "protein-coding" for match in matches]
    return found


# -- explaining --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Source:
    """A set, read once for all of its types."""

    file: CellFile
    train: Any
    test: Any
    coding: np.ndarray
    model: CellModel
    knowledge: Knowledge

    def groups(self, label: str, genes: np.ndarray) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        """Cells of a type and all others, on some genes, of the test and of the training part."""
        names, parts = self.file.names, self.file.parts
        in_test, in_train = names[parts["test"]] == label, names[parts["train"]] == label
        test, train = self.test[:, genes], self.train[:, genes]
        return (test[in_test], test[~in_test]), (train[in_train], train[~in_train])


def _explained(context: EvalContext, model: CellModel, seed: int) -> list[_Type]:
    from cellwright.cellmodel.data.registry import training_sets

    coding = coding_genes(model.vocabulary.keys, context.knowledge)
    found: list[_Type] = []
    without = 0
    for card in training_sets("cell type"):
        file = None if card.tissue == NO_TYPES else read_file(card.name, context, seed=seed)
        if file is None:
            continue
        context.say(f"{SUITE}: explaining {card.name}, seed {seed}")
        source = _Source(
            file=file,
            train=file.block(model.vocabulary, file.parts["train"]).expression,
            test=file.block(model.vocabulary, file.parts["test"]).expression,
            coding=coding,
            model=model,
            knowledge=context.knowledge,
        )
        rng = np.random.default_rng(seed)
        for label in file.labels:
            one = _explain(source, label, rng)
            if one is None:
                without += 1
            else:
                found.append(one)
    context.say(
        f"{SUITE}: {len(found)} types explained; {without} left out (fewer than {FEWEST_CELLS} "
        "test cells, no Cell Ontology term, or no marker record among the expressed genes)"
    )
    return found


def _explain(source: _Source, label: str, rng: np.random.Generator) -> _Type | None:
    """The type's genes by every system; None where it cannot be judged."""
    from cellwright.cellmodel.saliency import attributions, average_cell, scale_cells

    file, model = source.file, source.model
    test = file.parts["test"]
    rows = test[file.names[test] == label]
    identifier = str(file.ids[file.names == label][0])
    if len(rows) < FEWEST_CELLS or not identifier:
        return None
    rows = np.sort(rng.choice(rows, min(MAX_CELLS, len(rows)), replace=False))
    block = file.block(model.vocabulary, rows)
    share = mean_level((block.expression > 0).astype(np.float64))
    universe = np.flatnonzero((share >= LEAST_SHARE) & source.coding)
    names, marked, strict = _records(source, universe, identifier)
    if not marked.any():
        return None
    signed = {
        system: attributions(model, block, label, method=method, candidates=file.labels)
        for system, method in SYSTEMS.items()
    }
    means = {
        system: (
            scale_cells(scores * source.coding) if SYSTEMS[system] == "gradient" else scores
        ).mean(axis=0)
        for system, scores in signed.items()
    }
    one = _Type(
        data=file.card.name,
        label=label,
        candidates=tuple(file.labels),
        block=block,
        signed=signed,
        means=means,
        universe=universe,
        names=names,
        marked=marked,
        strict=strict,
    )
    level = mean_level(block.expression)
    usual = average_cell(model, block).numpy()
    tested, trained = source.groups(label, universe)
    rankings = {system: scores[universe] for system, scores in means.items()} | {
        "top-expressed": level[universe],
        "above-average": (level - usual)[universe],
        "t-test": welch(*tested),
        "wilcoxon": rank_sum(*tested),
        "t-test-train": welch(*trained),
    }
    for system, ranked in rankings.items():
        order = np.argsort(-ranked, kind="stable")[:TOP]
        one.top[system] = order[ranked[order] > 0]
    return one


def _records(
    source: _Source, universe: np.ndarray, identifier: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Symbols of the genes, which have a record of the type, and which by the strict rule."""
    knowledge, species = source.knowledge, source.file.card.species
    keys = source.model.vocabulary.keys
    names = [knowledge.genes.symbol_of_key(keys[at], species) for at in universe]
    wide = knowledge.markers.symbols_of(identifier, species)
    narrow = knowledge.markers.symbols_of(identifier, species, broader=False)
    return (
        np.array(names, dtype=object),
        np.array([name in wide for name in names], dtype=bool),
        np.array([name in narrow for name in names], dtype=bool),
    )


# -- marker records ----------------------------------------------------------------------------


def _marker_rows(types: Sequence[_Type]) -> list[EvalRow]:
    """Share of the named genes with a record, beside what chance gives on the same cells."""
    by_set: dict[str, list[_Type]] = defaultdict(list)
    for one in types:
        by_set[one.data].append(one)
    rows = []
    for data, group in [*by_set.items(), (EVERYTHING, list(types))]:
        for system, values in _shares(group, "marked").items():
            rows.append(_row(data, "marker_share", system, _mean(values)))
    for system, values in _shares(types, "strict").items():
        rows.append(_row(EVERYTHING, "marker_share_strict", system, _mean(values)))
    for system, values in _shares(types, "marked").items():
        over = (values > 0.5).astype(float)
        rows.append(_row(EVERYTHING, "types_over_half", system, _mean(over)))
    return rows


def _shares(types: Sequence[_Type], kind: str) -> dict[str, np.ndarray]:
    """Share of marked genes for each type, by system."""
    found: dict[str, list[float]] = defaultdict(list)
    for one in types:
        marked: np.ndarray = getattr(one, kind)
        for system, top in one.top.items():
            found[system].append(float(marked[top].mean()) if len(top) else 0.0)
        level = mean_level(one.block.expression)[one.universe]
        found["random-expressed"].append(float(marked.mean()))
        found["random-same-level"].append(matched_rate(marked, level, one.top[OURS]))
    return {system: np.array(values) for system, values in found.items()}


# -- deletion and insertion --------------------------------------------------------------------


def _curve_rows(
    context: EvalContext, types: Sequence[_Type], model: CellModel, seed: int, *, draw: bool
) -> list[EvalRow]:
    """Areas under the curves of the label's probability, beside orders that know no model."""
    from cellwright.cellmodel.saliency import average_cell

    context.say(f"{SUITE}: genes removed and given back, seed {seed}")
    found: dict[str, dict[str, dict[str, list[np.ndarray]]]] = {}
    for one in types:
        if one.data not in CURVE_SETS:
            continue
        few = one.block.rows(slice(0, CURVE_CELLS))
        probability = _probability(model, one.label, one.candidates)
        expression = few.expression
        dense = expression.toarray()
        scores = {system: values[:CURVE_CELLS] for system, values in one.signed.items()}
        scores |= {
            "expression-order": dense,
            "above-average-order": dense - average_cell(model, few).numpy(),
        }
        orders = {system: ranked_genes(values, expression) for system, values in scores.items()}
        orders["random-order"] = shuffled_genes(expression, np.random.default_rng(seed))
        for system, order in orders.items():
            own = found.setdefault(one.data, {}).setdefault(system, defaultdict(list))
            deletion, insertion = curves(probability, few, order)
            own["deletion"].append(deletion)
            own["insertion"].append(insertion)
    pooled = {
        data: {
            system: {kind: np.concatenate(parts) for kind, parts in kinds.items()}
            for system, kinds in systems.items()
        }
        for data, systems in found.items()
    }
    rows = []
    for data, systems in pooled.items():
        for system, kinds in systems.items():
            for kind, curve in kinds.items():
                rows.append(_row(data, f"{kind}_area", system, _mean(area(curve))))
    if draw and pooled:
        draw_curves(pooled, context.figures)
    return rows


def _probability(
    model: CellModel, label: str, labels: Sequence[str]
) -> Callable[[CellBlock], np.ndarray]:
    def of(block: CellBlock) -> np.ndarray:
        found = model.annotate(block, candidates=list(labels))
        return np.asarray(found.probabilities[:, found.candidates.index(label)])

    return of


# -- randomisation -----------------------------------------------------------------------------


def _randomised_rows(
    context: EvalContext, types: Sequence[_Type], model: CellModel, seed: int
) -> list[EvalRow]:
    """Rank correlation of a cell's scores with those of models that have forgotten."""
    from cellwright.cellmodel.randomised import CASCADE, randomised
    from cellwright.cellmodel.saliency import attributions

    chosen = [one for one in types if one.data in RANDOMISED_SETS]
    rows = []
    for parts in CASCADE:
        context.say(f"{SUITE}: {', '.join(parts)} forgotten, seed {seed}")
        blank = randomised(model, parts=parts, seed=seed)
        found: dict[str, list[np.ndarray]] = defaultdict(list)
        for one in chosen:
            few = one.block.rows(slice(0, CURVE_CELLS))
            for system, method in SYSTEMS.items():
                other = attributions(
                    blank, few, one.label, method=method, candidates=one.candidates
                )
                own = one.signed[system][:CURVE_CELLS]
                found[system].append(rank_correlations(own, other, few.expression))
        for system, values in found.items():
            flat = np.concatenate(values)
            flat = flat[np.isfinite(flat)]
            score = _mean(flat)
            data = f"{' and '.join(parts)} forgotten"
            rows.append(_row(data, "rank_correlation", system, score, split="randomisation test"))
            if parts == CASCADE[-1]:
                passed = float(abs(score.mean) <= UNLEARNED)
                verdict = Score(mean=passed, low=passed, high=passed, n=len(flat))
                rows.append(_row(data, "passed", system, verdict, split="randomisation test"))
    return rows


def _row(
    data: str, metric: str, system: str, score: Score, *, split: str = "held-out cells"
) -> EvalRow:
    return EvalRow(
        suite=SUITE, data=data, split=split, metric=metric, system=system, **score.model_dump()
    )


def _mean(values: np.ndarray) -> Score:
    """Mean with its 95 % bootstrap interval over types or cells."""
    return bootstrap(lambda at: float(values[at].mean()), len(values))


def _draw(types: Sequence[_Type], context: EvalContext) -> None:
    """Heat maps of the top genes of each type, one set of blood and one of islets."""
    for data, word in DRAWN.items():
        group = [one for one in types if one.data == data]
        if not group:
            continue
        tops = {one.label: [str(one.names[at]) for at in one.top[OURS]] for one in group}
        marks = {one.label: {str(name) for name in one.names[one.marked]} for one in group}
        scores = {
            one.label: dict(zip(map(str, one.names), one.means[OURS][one.universe], strict=True))
            for one in group
        }
        picture = TypeMap(
            tops=tops,
            scores=scores,
            marks=marks,
            title=f"Saliency by type, {word} ({data}, held-out cells)",
        )
        draw_types(picture, context.figures, f"saliency-{word}")
