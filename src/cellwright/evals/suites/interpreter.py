"""The interpreter beside GenePT and its own controls: does a frozen language model help?

The protocol is that of scInterpreter (arXiv 2402.12405) on other data: its HUMAN-10k and MOUSE-13k
are not at hand, so two mixtures of studies with as many types stand for them. A study is a batch,
and most types come from one study, which makes every system's task easier than one study would.

The interpreter has four layers of SmolLM2-135M in place of 40 of a 13 B model and 32 genes a cell
in place of 2,048, so that the suite runs on a CPU; ``interpreter-full`` is for a GPU. The shipped
model (``cellwright``) has learned from all training cells of the files, the others from the
mixture's draw of them.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cellwright.evals.baselines import logistic
from cellwright.evals.genept import (
    SENTENCE_GENES,
    gene_sentences,
    logistic_labels,
    nearest_labels,
    weighted_vectors,
)
from cellwright.evals.interpreting import Genes, gene_vectors, interpret
from cellwright.evals.metrics import accuracy, macro_f1, over_seeds
from cellwright.evals.mixtures import Mixture, build_mixture
from cellwright.evals.pictures import confusion, new_figure, save, scatter
from cellwright.evals.task import OURS, EvalContext, EvalRow
from cellwright.evals.trained import TextMemo

if TYPE_CHECKING:
    from cellwright.cellmodel.inference import CellModel
    from cellwright.cellmodel.interpreter.config import InterpreterPreset
    from cellwright.evals.trained import SeedModel

SUITE = "interpreter"
MIXTURES: Mapping[str, tuple[str, ...]] = {
    "human-mixture": (
        "pbmc3k_2638",
        "telencephalon_4474",
        "hnscc_ref_180",
        "baron_h1_1937",
        "xin2016_islet_674",
        "sadefeldman_icb_550",
        "mixology_celseq2_5cl_p1",
    ),
    "mouse-mixture": (
        "bastidas_ponce_e15_739",
        "mca_gut_1871",
        "joost_skin_720",
        "bm_stroma_250",
        "zilionis_lung_800",
        "zeisel_brain_1464",
    ),
}
METRICS = ("accuracy", "macro_precision", "macro_recall", "macro_f1")
COMPONENTS = 50
SHOWN = ("genept-w", "genept-s", "interpreter", "interpreter-random-lm", "interpreter-no-lm")
"""Systems of the bars, beside ours and logistic regression."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """An interpreter of the table.

    Attributes:
        name: System's name.
        changes: Fields of the model's configuration that differ from the preset's.
        genes: What stands for genes.
        dear: Most seeds on a CPU; 0 for all.
        cpu: Whether it is run at all on a CPU.
    """

    name: str
    changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    genes: Genes = "text"
    dear: int = 0
    cpu: bool = True


VARIANTS = (
    Variant(name="interpreter"),
    Variant(name="interpreter-random-lm", changes={"reader": "random-language"}),
    Variant(name="interpreter-no-lm", changes={"reader": "mean"}),
    Variant(name="interpreter-no-lm-levels", changes={"reader": "mean", "levels": True}),
    Variant(
        name="interpreter-no-lm-by-level",
        changes={"reader": "mean", "ranking": "expression"},
        dear=1,
    ),
    Variant(name="interpreter-no-lm-random-genes", changes={"reader": "mean"}, genes="random"),
    Variant(name="interpreter-random-genes", genes="random", dear=1),
    Variant(name="interpreter-levels", changes={"levels": True}, cpu=False),
)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A system's answer on the test cells.

    Attributes:
        labels: ``(B,)`` object; None where it only places cells.
        points: ``(B, D)`` where it places the cells; None where it only labels.
    """

    labels: np.ndarray | None = None
    points: np.ndarray | None = None


def run(context: EvalContext, preset: str = "") -> list[EvalRow]:
    """Measure every system on both mixtures.

    Args:
        context: Data, seeds, folders.
        preset: Size of the interpreter; by default ``interpreter``, and ``interpreter-full`` where
            there is a GPU.
    """
    from cellwright.cellmodel.interpreter.config import PRESETS
    from cellwright.cellmodel.interpreter.training import has_gpu

    gpu = has_gpu()
    chosen = PRESETS[preset or ("interpreter-full" if gpu else "interpreter")]
    context.say(f"{SUITE}: scInterpreter's protocol, other data")
    models = _models(context)
    rows: list[EvalRow] = []
    for name, files in MIXTURES.items():
        values: dict[tuple[str, str], list[float]] = defaultdict(list)
        sizes: list[int] = []
        split = ""
        for at, seed in enumerate(_seeds(context, models)):
            mixture = build_mixture(
                context,
                name,
                files,
                seed=seed,
                per_class=chosen.train.per_class,
                test_per_class=chosen.train.test_per_class,
            )
            if mixture is None:
                break
            split = mixture.split
            sizes.append(len(mixture.test))
            context.say(
                f"{SUITE}: {name}, seed {seed}: {len(mixture.labels)} types, "
                f"{len(mixture.train):,} training and {len(mixture.test):,} test cells, "
                f"{len(mixture.vocabulary):,} genes"
            )
            variants = [v for v in VARIANTS if gpu or (v.cpu and not 0 < v.dear <= at)]
            answers = _answers(context, mixture, chosen, variants, sentences=gpu or at == 0)
            if seed in models:
                answers[OURS] = _ours(models[seed], mixture)
            for system, answer in answers.items():
                for metric, value in _figures(mixture, answer).items():
                    values[metric, system].append(value)
            if at == 0:
                _draw(context, mixture, answers)
        rows += [
            EvalRow(
                suite=SUITE,
                data=name,
                split=split,
                metric=metric,
                system=system,
                **over_seeds(found, sizes[0]).model_dump(),
            )
            for (metric, system), found in values.items()
        ]
    if rows:
        _bars(context, rows)
    return rows


def _models(context: EvalContext) -> dict[int, CellModel]:
    """The shipped model by the seed of its splits, and those of other seeds that are trained."""
    from cellwright.evals.trained import SeedModel, seed_models

    shipped = context.cell_model
    if shipped is None:
        return {}
    first = int(shipped.card["seed"])
    cards = [
        context.work / f"readout-{seed}" / "export" / "card.json"
        for seed in _other_seeds(context, first)
    ]
    found: Sequence[SeedModel] = [SeedModel(first, shipped)]
    if all(card.is_file() for card in cards):
        found = seed_models(context)
    else:
        context.say(f"{SUITE}: the models of other seeds are not trained yet, ours has one seed")
    return {one.seed: one.model for one in found}


def _seeds(context: EvalContext, models: Mapping[int, Any]) -> list[int]:
    first = next(iter(models), 0)
    return [first, *_other_seeds(context, first)]


def _other_seeds(context: EvalContext, first: int) -> list[int]:
    return [seed for seed in range(context.seeds + 1) if seed != first][: context.seeds - 1]


def _answers(
    context: EvalContext,
    mixture: Mixture,
    preset: InterpreterPreset,
    variants: Sequence[Variant],
    *,
    sentences: bool,
) -> dict[str, Answer]:
    """Every system but ours."""
    vectors = gene_vectors(context, mixture.vocabulary.keys)
    found = {
        "initial": Answer(points=_components(mixture)),
        "logistic": Answer(labels=logistic(mixture.labelled()).labels),
        **_genept(context, mixture, vectors, sentences=sentences),
    }
    for variant in variants:
        model = dataclasses.replace(preset.model, **variant.changes)
        said = interpret(
            context,
            variant.name,
            mixture,
            dataclasses.replace(preset, model=model),
            vectors,
            genes=variant.genes,
        )
        found[variant.name] = Answer(labels=said.labels, points=said.states)
    return found


def _genept(
    context: EvalContext, mixture: Mixture, vectors: np.ndarray, *, sentences: bool
) -> dict[str, Answer]:
    """GenePT-w with two readers and, where asked for, GenePT-s, whose embedding is dear."""
    train, test = mixture.train, mixture.test
    first = weighted_vectors(train.expression, vectors)
    second = weighted_vectors(test.expression, vectors)
    found = {
        "genept-w": Answer(labels=nearest_labels(first, train.labels, second), points=second),
        "genept-w-logistic": Answer(labels=logistic_labels(first, train.labels, second)),
    }
    if sentences:
        told, asked = _sentence_vectors(context, mixture)
        labels = nearest_labels(told, train.labels, asked)
        found["genept-s"] = Answer(labels=labels, points=asked)
    return found


def _sentence_vectors(context: EvalContext, mixture: Mixture) -> tuple[np.ndarray, np.ndarray]:
    """Training and test cells as embedded sentences of ranked genes."""
    from cellwright.cellmodel.interpreter.ranked_cells import mean_levels, rank_genes

    mean = mean_levels(mixture.train.expression)
    sentences = [
        gene_sentences(
            rank_genes(part.expression, mean, SENTENCE_GENES, ranking="centred").genes,
            mixture.vocabulary.keys,
        )
        for part in (mixture.train, mixture.test)
    ]
    embed = TextMemo(context.knowledge.embed, context.work / "interpreter" / "sentences.npz")
    vectors = embed([*sentences[0], *sentences[1]])
    return vectors[: len(mixture.train)], vectors[len(mixture.train) :]


def _ours(model: CellModel, mixture: Mixture) -> Answer:
    """The shipped model's ReadOut among the mixture's types; ``unknown`` counts as wrong."""
    test = mixture.test
    labels = np.empty(len(test), object)
    points: list[np.ndarray] = [np.empty(0)] * len(test)
    for where, block in mixture.blocks(test, model.vocabulary):
        found = model.annotate(block, candidates=list(mixture.labels))
        labels[where] = found.labels
        for at, vector in zip(where, found.embedding, strict=True):
            points[at] = vector
    return Answer(labels=labels, points=np.stack(points))


def _components(mixture: Mixture) -> np.ndarray:
    """The test cells in principal components of the training cells' expression."""
    from sklearn.decomposition import TruncatedSVD

    size = min(COMPONENTS, min(mixture.train.expression.shape) - 1)
    model = TruncatedSVD(n_components=size, random_state=0).fit(mixture.train.expression)
    return np.asarray(model.transform(mixture.test.expression))


def _figures(mixture: Mixture, answer: Answer) -> dict[str, float]:
    """Figures of one system: of its labels, and of how its points cluster."""
    truth = mixture.test.labels
    found: dict[str, float] = {}
    if answer.labels is not None:
        precision, recall = precision_recall(truth, answer.labels)
        found |= {
            "accuracy": accuracy(list(truth), list(answer.labels)),
            "macro_precision": precision,
            "macro_recall": recall,
            "macro_f1": macro_f1(list(truth), list(answer.labels)),
        }
    if answer.points is not None:
        found |= cluster_figures(truth, answer.points)
    return found


def precision_recall(truth: np.ndarray, guess: np.ndarray) -> tuple[float, float]:
    """Mean precision and recall over the true labels; a label never guessed has precision 0."""
    precision, recall = [], []
    for label in sorted(set(truth)):
        hits = float(((truth == label) & (guess == label)).sum())
        precision.append(hits / max(float((guess == label).sum()), 1.0))
        recall.append(hits / float((truth == label).sum()))
    return float(np.mean(precision)), float(np.mean(recall))


def cluster_figures(truth: np.ndarray, points: np.ndarray) -> dict[str, float]:
    """Agreement of k-means with the labels, and the labels' silhouette, on unit vectors."""
    from sklearn.cluster import KMeans
    from sklearn.metrics import (
        adjusted_rand_score,
        normalized_mutual_info_score,
        silhouette_score,
    )
    from sklearn.preprocessing import normalize

    unit, labels = normalize(points), truth.astype(str)
    groups = KMeans(n_clusters=len(set(labels)), n_init=10, random_state=0).fit_predict(unit)
    return {
        "cluster_nmi": float(normalized_mutual_info_score(labels, groups)),
        "cluster_ari": float(adjusted_rand_score(labels, groups)),
        "silhouette": float(silhouette_score(unit, labels)),
    }


def _draw(context: EvalContext, mixture: Mixture, answers: Mapping[str, Answer]) -> None:
    """Confusion matrices and UMAPs of GenePT and the interpreter."""
    truth = list(mixture.test.labels)
    pair = ("genept-w", "interpreter")
    figure, axes = new_figure(15, 7.5, 1, 2)
    for panel, system in zip(axes[0], pair, strict=True):
        guess = answers[system].labels
        assert guess is not None
        confusion(panel, truth, list(guess), f"{mixture.name}: {system}")
    save(figure, context.figures, f"interpreter-confusion-{mixture.name}")
    palette = _palette(mixture.labels)
    figure, axes = new_figure(13, 4.4, 1, 3)
    for panel, system in zip(axes[0], ("initial", *pair), strict=True):
        points = answers[system].points
        assert points is not None
        found = cluster_figures(mixture.test.labels, points)
        title = f"{system}: NMI {found['cluster_nmi']:.2f}, ASW {found['silhouette']:.2f}"
        scatter(panel, _umap(points), truth, palette, title)
    save(figure, context.figures, f"interpreter-umap-{mixture.name}")


def _palette(labels: Sequence[str]) -> dict[str, Any]:
    from matplotlib import colormaps

    shades = [colormaps[name](at) for name in ("tab20", "tab20b", "tab20c") for at in range(20)]
    return {label: shades[at % len(shades)] for at, label in enumerate(labels)}


def _umap(points: np.ndarray) -> np.ndarray:
    """Two dimensions of points, by cosine."""
    import scanpy as sc
    from anndata import AnnData

    adata = AnnData(points.astype(np.float32))
    neighbours = min(15, len(points) - 1)
    sc.pp.neighbors(adata, n_neighbors=neighbours, use_rep="X", metric="cosine", random_state=0)
    sc.tl.umap(adata, random_state=0)
    return np.asarray(adata.obsm["X_umap"])


def _bars(context: EvalContext, rows: Sequence[EvalRow]) -> None:
    """Accuracy, precision, recall and F1 of systems, with their range over seeds."""
    by_key = {(row.data, row.metric, row.system): row for row in rows}
    data = [name for name in MIXTURES if any(row.data == name for row in rows)]
    systems = [
        name for name in (*SHOWN, "logistic", OURS) if any(row.system == name for row in rows)
    ]
    figure, axes = new_figure(6.5 * len(data), 3.8, 1, len(data))
    width = 0.8 / len(systems)
    for panel, name in zip(axes[0], data, strict=True):
        for at, system in enumerate(systems):
            found = [by_key.get((name, metric, system)) for metric in METRICS]
            there = [(n, row) for n, row in enumerate(found) if row is not None]
            means = [row.mean for _n, row in there]
            spans = [
                [max(row.mean - row.low, 0.0) for _n, row in there],
                [max(row.high - row.mean, 0.0) for _n, row in there],
            ]
            places = [n + (at - (len(systems) - 1) / 2) * width for n, _row in there]
            panel.bar(places, means, width, yerr=spans, label=system, error_kw={"lw": 0.8})
        panel.set_xticks(range(len(METRICS)), [one.replace("_", " ") for one in METRICS])
        panel.set(title=name, ylim=(0, 1))
    handles, names = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=4, fontsize=7)
    save(figure, context.figures, "interpreter-bars")
