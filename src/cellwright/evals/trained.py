"""Models that suites train for themselves: other seeds, ablations, sets left out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellwright.evals.task import EvalContext, Unavailable

if TYPE_CHECKING:
    from cellwright.cellmodel.data.registry import DatasetCard
    from cellwright.cellmodel.inference import CellModel
    from cellwright.cellmodel.presets import Preset
    from cellwright.cellmodel.training.data import LabelTable
    from cellwright.cellmodel.training.pipeline import Stage, TrainRequest
    from cellwright.knowledge import Knowledge
    from cellwright.settings import Settings

MOUSE = "mouse:"
Embed = Callable[[Sequence[str]], np.ndarray]


class TextMemo:
    """A text embedder that remembers, on disk: many models are trained on the same words.

    Args:
        embed: Embedder to ask for texts that are new.
        path: File of what is known.
    """

    def __init__(self, embed: Embed, path: Path) -> None:
        self._embed, self._path = embed, path
        self._known: dict[str, np.ndarray] = {}
        if path.is_file():
            with np.load(path) as stored:
                texts = [str(text) for text in stored["texts"]]
                self._known = dict(zip(texts, stored["vectors"], strict=True))

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of texts, ``(N, 384)``."""
        new = sorted(set(texts) - set(self._known))
        if new:
            self._known |= dict(zip(new, self._embed(new), strict=True))
        if len(new) > MANY_TEXTS:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            draft = self._path.with_suffix(".partial.npz")
            np.savez(
                draft,
                texts=np.array(list(self._known)),
                vectors=np.stack(list(self._known.values())),
            )
            draft.replace(self._path)
        return np.stack([self._known[text] for text in texts])


MANY_TEXTS = 500
"""New texts from which on the memory is written to disk."""


@dataclass(frozen=True)
class SeedModel:
    """A model and the seed of its splits: the test cells of that seed are new to it."""

    seed: int
    model: CellModel


def seed_models(context: EvalContext) -> list[SeedModel]:
    """The shipped model, and models of the same recipe on the splits of other seeds.

    Those are trained here on first use (encoder and ReadOut only) and kept in ``context.work``.

    Raises:
        Unavailable: There is no checkpoint.
    """
    from cellwright.cellmodel.presets import PRESETS

    shipped = context.cell_model
    if shipped is None:
        msg = "there is no checkpoint yet"
        raise Unavailable(msg)
    first = int(shipped.card["seed"])
    found = [SeedModel(first, shipped)]
    others = [seed for seed in range(context.seeds + 1) if seed != first][: context.seeds - 1]
    for seed in others:
        preset = PRESETS["readout"]()
        found.append(SeedModel(seed, train_model(context, f"readout-{seed}", preset, seed=seed)))
    return found


def train_model(
    context: EvalContext,
    name: str,
    preset: Preset,
    *,
    seed: int,
    cards: Sequence[DatasetCard] | None = None,
    table: LabelTable | None = None,
    stages: Sequence[Stage] = ("encoder",),
    embed: Embed | None = None,
    panel: Sequence[str] = (),
) -> CellModel:
    """A model trained by a preset; one that was trained before under this name is loaded.

    Args:
        context: Where data and earlier models are.
        name: Name of the folder that keeps it.
        preset: Model and recipe.
        seed: Seed of splits and draws.
        cards: Data sets; None takes all that train.
        table: Meaning of labels; None takes the packaged table. A label left out is not trained.
        stages: Stages to run.
        embed: Text embedder in place of the knowledge's.
        panel: Vocabulary keys of the genes that the cells to label are measured on.
    """
    from cellwright.cellmodel.inference import CellModel
    from cellwright.cellmodel.training.pipeline import Pipeline

    state = context.work / name
    folder = state / "export"
    if not (folder / "card.json").is_file():
        context.say(f"training {name}")
        request = training_request(
            context.settings,
            context.knowledge,
            name=name,
            preset=dataclasses.replace(preset, train=dataclasses.replace(preset.train, seed=seed)),
            data=context.data_dir,
            cards=cards,
            state=state,
        )
        request = dataclasses.replace(
            request, table=table, embed=embed or request.embed, panel=panel
        )
        pipeline = Pipeline(request)
        pipeline.run(stages)
        pipeline.export(folder)
    reader = embed or context.knowledge.embed
    return CellModel.load(context.settings, embed=reader, folder=folder)


def training_request(
    settings: Settings,
    knowledge: Knowledge,
    *,
    name: str,
    preset: Preset,
    data: Path,
    cards: Sequence[DatasetCard] | None,
    state: Path,
) -> TrainRequest:
    """What a training run needs, with gene names and texts from the knowledge."""
    from cellwright.cellmodel.data.registry import training_sets
    from cellwright.cellmodel.data.wheels import with_file
    from cellwright.cellmodel.training.pipeline import TrainRequest

    return TrainRequest(
        preset_name=name,
        preset=preset,
        data_folder=data,
        cards=[
            with_file(card, settings.data_dir, offline=settings.offline)
            for card in (training_sets() if cards is None else cards)
        ],
        state_folder=state,
        keys_of=knowledge.genes.keys,
        describe_genes=partial(describe_keys, knowledge),
        embed=TextMemo(knowledge.embed, settings.data_dir / "text_vectors.npz"),
        is_a=knowledge.ontology.is_a,
        load_language=partial(load_language, settings, preset.model.language.base),
    )


def describe_keys(knowledge: Knowledge, keys: Sequence[str]) -> list[str]:
    """One line on each vocabulary key: the symbol, and the gene's full name where known."""
    found: dict[str, Any] = {}
    for species, prefix in (("human", ""), ("mouse", MOUSE)):
        own = [key for key in keys if key.startswith(MOUSE) == bool(prefix)]
        names = [key.removeprefix(prefix) for key in own]
        found |= dict(zip(own, knowledge.genes.resolve_many(names, species), strict=True))
    lines = []
    for key in keys:
        match = found[key]
        symbol = match.symbol or key.removeprefix(MOUSE)
        lines.append(f"{symbol}: {match.name}" if match.name else symbol)
    return lines


def load_language(settings: Settings, name: Any) -> tuple[Any, Any]:
    """The base language model and its tokenizer, from the weight store."""
    from cellwright.cellmodel.modeling.language import load_base
    from cellwright.weights import WeightStore

    store = WeightStore(settings.weights_dir, offline=settings.offline)
    return load_base(store.path(name))
