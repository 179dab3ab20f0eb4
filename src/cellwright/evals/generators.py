"""Generators of cells, ours and simpler ones, and the test cells that they are held against."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cellwright.evals.task import OURS, EvalContext

if TYPE_CHECKING:
    from cellwright.cellmodel.data.registry import DatasetCard
    from cellwright.cellmodel.inference import CellModel
    from cellwright.cellmodel.instructions.templates import Template
    from cellwright.cellmodel.reference import TypeSource
    from cellwright.cellmodel.training.plain_cvae import Draw
    from cellwright.evals.cells import CellFile

FEWEST, MOST = 15, 50
"""Test cells of a type: with fewer it is left out, of more only so many are used."""
FEWEST_IN_ALL = 60
MOST_TRAINING = 400
PLAIN_STEPS = 1500
"""As many as the preset gives the decoder."""

Made = Mapping[str, np.ndarray]
"""Counts ``(B, G)`` by system, a cell for each test cell and of its type."""


@dataclass(frozen=True, kw_only=True)
class Bed:
    """Test cells of a file's types, and training cells of the same.

    Attributes:
        card: The file.
        genes: ``(V,)`` bool, genes of the vocabulary that it measured, G of them.
        keys: ``(G,)`` their keys.
        real: ``(B, G)`` counts of test cells.
        labels: ``(B,)`` their types.
        train: ``(N, G)`` counts of training cells by type.
        sources: What the model has learned of each type.
    """

    card: DatasetCard
    genes: np.ndarray
    keys: tuple[str, ...]
    real: np.ndarray
    labels: np.ndarray
    train: Mapping[str, np.ndarray]
    sources: Mapping[str, TypeSource]

    @property
    def sizes(self) -> dict[str, int]:
        """Test cells of each type, in the order in which they stand."""
        return {name: int((self.labels == name).sum()) for name in dict.fromkeys(self.labels)}

    @property
    def known(self) -> np.ndarray:
        """``(B, G)`` counts of training cells, of each type at most as many as test cells."""
        return np.concatenate([self.train[name][:n] for name, n in self.sizes.items()])

    def fill(self, draw: Callable[[str, int], np.ndarray]) -> np.ndarray:
        """As many drawn cells as test cells, in the order of their types."""
        return np.concatenate([draw(name, n) for name, n in self.sizes.items()])


def make_bed(file: CellFile, model: CellModel) -> Bed | None:
    """Types that the model has learned from the file and that have test cells enough.

    None where fewer than two types, or too few cells, are left.
    """
    from cellwright.cellmodel.data.block import count_matrix

    able = {one.name: one for one in model.sources if one.dataset == file.card.name}
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
    if len(picked) < 2 or sum(map(len, picked)) < FEWEST_IN_ALL:
        return None
    rows = np.concatenate(picked)
    return Bed(
        card=file.card,
        genes=keep,
        keys=tuple(np.array(model.vocabulary.keys)[keep]),
        real=counts[rows][:, keep].toarray(),
        labels=file.names[rows].astype(str),
        train=train,
        sources={name: able[name] for name in train},
    )


def draw_systems(
    bed: Bed, model: CellModel, signals: Mapping[str, Any], plain: Draw, *, seed: int
) -> dict[str, np.ndarray]:
    """Cells of every system.

    Args:
        bed: What to draw.
        model: The cell model.
        signals: The language model's state for the wish for each type.
        plain: The plain CVAE.
        seed: Seed of the draws.
    """
    rng = np.random.default_rng(seed)
    return {
        OURS: draw_ours(bed, model, {name: [signals[name]] for name in bed.sizes}, seed=seed),
        "nb": bed.fill(lambda name, n: negative_binomial(bed.train[name], n, rng)),
        "cvae": bed.fill(lambda name, n: plain(name, bed.card.name, n, seed)[:, bed.genes]),
        "resample": bed.fill(lambda name, n: resample(bed.train[name], n, rng)),
    }


def draw_ours(
    bed: Bed, model: CellModel, signals: Mapping[str, Sequence[Any]], *, seed: int
) -> np.ndarray:
    """Cells of the cell model; those of a type are drawn from its states in turn.

    A state that is None, for the language model gave no signal, makes empty cells.
    """
    from cellwright.cellmodel.generation import draw_counts

    def draw(name: str, n: int) -> np.ndarray:
        cells = np.zeros((n, int(bed.genes.sum())), dtype=np.float32)
        states = signals[name]
        for at, state in enumerate(states):
            rows = np.arange(at, n, len(states))
            if state is not None and len(rows):
                many = state.expand(len(rows), -1)
                drawn = draw_counts(model.network, many, bed.genes, seed=seed * 1009 + at)
                cells[rows] = drawn.toarray()
        return cells

    return bed.fill(draw)


def wish_signals(
    model: CellModel, sources: Sequence[TypeSource], templates: Sequence[Template] | None = None
) -> list[Any]:
    """The language model's state at the signal for a wish for each source; None where it gave none.

    Args:
        model: The cell model.
        sources: What is wished for.
        templates: The wording of each wish; None takes the one that ``CellModel.generate`` uses.
    """
    from cellwright.cellmodel.answers import wish_many
    from cellwright.cellmodel.generation import generation_prompt, source_slots, wish_state
    from cellwright.cellmodel.instructions.templates import fill

    if templates is None:
        return [wish_state(model.language, generation_prompt(one))[0] for one in sources]
    prompts = [
        fill(template.in_mode("instruct"), source_slots(one)).prompt
        for one, template in zip(sources, templates, strict=True)
    ]
    return [spoken.signal for spoken in wish_many(model, prompts, "instruct")]


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


def resample(cells: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Training cells themselves, each once while they last: what copying all would give."""
    order = [rng.permutation(len(cells)) for _ in range(-(-n // len(cells)))]
    return np.asarray(cells[np.concatenate(order)[:n]])


def plain_cvae(context: EvalContext, model: CellModel, seed: int) -> Draw:
    """The plain CVAE on the model's training cells and genes, trained on first use, then kept."""
    from cellwright.cellmodel.checkpoint import lend_vocabulary
    from cellwright.cellmodel.config import StageConfig
    from cellwright.cellmodel.presets import base
    from cellwright.cellmodel.training.pipeline import Pipeline
    from cellwright.cellmodel.training.plain_cvae import train_plain_cvae
    from cellwright.evals.trained import training_request

    state = context.work / f"plain-cvae-{seed}"
    lend_vocabulary(model.checkpoint, state)
    request = training_request(
        context.settings,
        context.knowledge,
        name="plain-cvae",
        preset=base(),
        data=context.data_dir,
        cards=None,
        state=state,
    )
    stage = StageConfig(
        steps=PLAIN_STEPS,
        batch_size=64,
        learning_rate=2e-3,
        save_every=PLAIN_STEPS,
    )
    return train_plain_cvae(Pipeline(request).corpus, state, stage, seed=seed)
