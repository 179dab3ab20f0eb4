"""Ablations of InstructCell's figure 7, scaled to a CPU: one change at a time, equal steps.

Encoder variants are compared by the deep part of the ReadOut alone, since the linear term beside it
is the same for all. Language variants train on the shipped encoder's cells, and are compared by
their answers under unseen wordings; of six layers, none learned to answer in forty steps.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cellwright.evals.metrics import mean_over, wilson
from cellwright.evals.pictures import new_figure, save
from cellwright.evals.task import EvalContext, EvalRow, Score, Unavailable
from cellwright.evals.trained import train_model

if TYPE_CHECKING:
    from cellwright.cellmodel.inference import CellModel
    from cellwright.cellmodel.presets import Preset

SUITE = "ablations"
SEED = 0
SETS = (
    "pbmc3k_2638",
    "bastidas_ponce_e15_739",
    "mca_gut_1871",
    "tasic_v1_1679x100",
    "zeisel_brain_1464",
    "hnscc_ref_180",
    "xin2016_islet_674",
    "sadefeldman_icb_550",
    "scad_PLX4720_A375_z",
)
ENCODER_STEPS = 150
LANGUAGE_STEPS = 40
ASKED = 32
LAST = 10
"""Steps at the end of training over which the loss is averaged."""


def run(context: EvalContext) -> list[EvalRow]:
    """Encoder variants, then language variants."""
    return _encoder(context) + _language(context)


def _encoder(context: EvalContext) -> list[EvalRow]:
    from cellwright.cellmodel.data.registry import dataset
    from cellwright.cellmodel.presets import ENCODER_VARIANTS, quick

    cards = [dataset(name) for name in SETS]
    start = _shorten(quick(), encoder=ENCODER_STEPS, wide=15)
    rows: list[EvalRow] = []
    means: dict[str, float] = {}
    for name, change in ENCODER_VARIANTS.items():
        preset = change(start)
        kept = [card for card in cards if card.task == "cell type" or "DSP" in preset.train.tasks]
        model = train_model(
            context,
            f"ablation-{name}",
            preset,
            seed=SEED,
            cards=kept,
            stages=("encoder", "evaluate"),
        )
        tests = [one for one in model.card["test"] if one["task"] == "cell type"]
        values = np.array([one["macro_f1_deep"] for one in tests])
        score = mean_over(values)
        means[name] = score.mean
        split = f"{ENCODER_STEPS} steps, {len(tests)} sets"
        rows.append(_row("encoder", split, "macro_f1", name, score))
    _draw(means, context)
    return rows


def _draw(means: Mapping[str, float], context: EvalContext) -> None:
    """Queries as a line (figure 7c), the other variants as bars (7b, 7d)."""
    figure, axes = new_figure(9, 3.5, columns=2)
    queries = {
        int(name.removeprefix("queries-")): value
        for name, value in means.items()
        if name.startswith("queries-")
    }
    order = sorted(queries)
    axes[0, 0].plot(order, [queries[n] for n in order], marker="o", color="#0072B2")
    axes[0, 0].set(xlabel="queries", ylabel="macro F1, deep part", title="Number of queries")
    others = {"q-former": queries[8]} | {
        name: value for name, value in means.items() if not name.startswith("queries-")
    }
    axes[0, 1].barh(list(others), list(others.values()), color="#56B4E9")
    axes[0, 1].set(xlabel="macro F1, deep part", title="One change at a time")
    save(figure, context.figures, "ablations-encoder")


def _language(context: EvalContext) -> list[EvalRow]:
    from cellwright.cellmodel.presets import LANGUAGE_VARIANTS, base

    shipped = context.cell_model
    if shipped is None:
        msg = "there is no checkpoint yet"
        raise Unavailable(msg)
    start = _shorten(base(), language=LANGUAGE_STEPS)
    rows = []
    for name, change in LANGUAGE_VARIANTS.items():
        if name == "full-weights":
            continue
        state = context.work / f"ablation-{name}"
        preset = change(start)
        if not (state / "export" / "card.json").is_file():
            _lend(shipped, state, preset)
        model = train_model(
            context,
            f"ablation-{name}",
            preset,
            seed=int(shipped.card["seed"]),
            stages=("language", "evaluate"),
        )
        tested = model.card["language_test"]
        n = int(tested["n"])
        split = f"{LANGUAGE_STEPS} steps"
        for mode in ("instruct", "instruct_options", "chat"):
            hits = round(tested[f"{mode}_accuracy"] * n)
            rows.append(_row("language", split, f"{mode}_accuracy", name, wilson(hits, n)))
        deep = [one["macro_f1_deep"] for one in model.card["test"] if one["task"] == "cell type"]
        rows.append(_row("language", split, "readout_macro_f1", name, mean_over(np.array(deep))))
        losses = [
            json.loads(line)["loss"]
            for line in (state / "language.jsonl").read_text(encoding="utf-8").splitlines()
        ][-LAST:]
        rows.append(_row("language", split, "token_loss", name, mean_over(np.array(losses))))
    return rows


def _lend(shipped: CellModel, state: Path, preset: Preset) -> None:
    """Start a training run from the shipped network, its encoder done."""
    from cellwright.cellmodel.checkpoint import lend_network
    from cellwright.cellmodel.training.pipeline import label_tasks

    lend_network(shipped.checkpoint, state, label_tasks(preset.train))


def _shorten(preset: Preset, *, encoder: int = 0, language: int = 0, wide: int = 0) -> Preset:
    """The recipe with so many steps, counted and not timed."""
    train = preset.train
    recipe = dataclasses.replace(
        train,
        encoder=dataclasses.replace(train.encoder, steps=encoder),
        language=dataclasses.replace(train.language, steps=language),
        wide_iterations=wide,
        answers_tested=ASKED,
        baseline=False,
    )
    return dataclasses.replace(preset, train=recipe)


def _row(data: str, split: str, metric: str, system: str, score: Score) -> EvalRow:
    return EvalRow(
        suite=SUITE,
        data=data,
        split=split,
        metric=metric,
        system=system,
        **score.model_dump(),
    )
