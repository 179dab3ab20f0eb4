"""The suite on toys: every system, resumed runs, figures, and the command's training."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from cellwright.cellmodel.config import StageConfig
from cellwright.cellmodel.interpreter import config as config_module
from cellwright.cellmodel.interpreter.config import (
    InterpreterConfig,
    InterpreterPreset,
    InterpreterRecipe,
)
from cellwright.errors import InputError
from cellwright.evals import interpreting, mixtures
from cellwright.evals.interpreting import train_interpreter
from cellwright.evals.suites import interpreter as suite
from cellwright.evals.task import EvalContext
from cellwright.settings import Settings
from tests.unit.cellmodel.toys import toy_embed, toy_language
from tests.unit.evals.test_mixtures import make_file

TOY = InterpreterPreset(
    model=InterpreterConfig(
        n_genes=8, n_layers=1, instruction="?", width=16, projector_width=16, head_width=16
    ),
    train=InterpreterRecipe(
        warmup_passes=1,
        passes=2,
        stage=StageConfig(steps=0, batch_size=8, learning_rate=5e-3),
        per_class=12,
        test_per_class=6,
    ),
)


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EvalContext:
    found = {"one": make_file("one", 0, 60), "two": make_file("two", 1, 40)}
    monkeypatch.setattr(mixtures, "read_file", lambda name, _context, seed: found.get(name))
    monkeypatch.setattr(interpreting, "describe_keys", lambda _knowledge, keys: list(keys))
    monkeypatch.setattr(interpreting, "load_language", lambda _settings, _name: toy_language())
    monkeypatch.setattr(config_module, "PRESETS", {"interpreter": TOY})
    monkeypatch.setattr(suite, "MIXTURES", {"toy-mixture": ("one", "two")})
    kept = [v for v in suite.VARIANTS if "-no-lm-" not in v.name]
    monkeypatch.setattr(suite, "VARIANTS", kept)
    monkeypatch.setattr(suite, "_umap", lambda points: points[:, :2])
    context = EvalContext(
        tmp_path,
        seeds=2,
        settings=Settings(cache_dir=tmp_path / "cache"),
        out=tmp_path / "out",
        work=tmp_path / "work",
    )
    context.__dict__["knowledge"] = SimpleNamespace(embed=toy_embed)
    context.__dict__["cell_model"] = None
    return context


def test_every_system_is_measured_on_the_same_cells(context: EvalContext) -> None:
    rows = suite.run(context)
    by_key = {(row.metric, row.system): row for row in rows}
    labelled = {system for metric, system in by_key if metric == "macro_f1"}
    assert labelled >= {"logistic", "genept-w", "genept-w-logistic", "genept-s", "interpreter"}
    assert labelled >= {v.name for v in suite.VARIANTS if v.cpu}
    assert {row.n for row in rows} == {18}
    assert by_key["accuracy", "interpreter"].seeds == 2
    assert by_key["accuracy", "interpreter-random-genes"].seeds == 1
    assert by_key["accuracy", "genept-s"].seeds == 1
    assert by_key["accuracy", "logistic"].mean > 0.9
    assert by_key["accuracy", "interpreter-no-lm"].mean > 0.5
    assert "initial" in {system for metric, system in by_key if metric == "cluster_nmi"}
    assert "initial" not in labelled
    drawn = {path.name for path in context.figures.iterdir()}
    assert drawn == {
        "interpreter-bars.png",
        "interpreter-confusion-toy-mixture.png",
        "interpreter-umap-toy-mixture.png",
    }


def test_a_finished_run_is_not_trained_again(
    context: EvalContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixture = mixtures.build_mixture(context, "toy", ["one", "two"], seed=0, per_class=8)
    assert mixture is not None
    vectors = toy_embed(mixture.vocabulary.keys)
    first = interpreting.interpret(context, "interpreter", mixture, TOY, vectors)

    def fail(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(interpreting, "fit_interpreter", fail)
    again = interpreting.interpret(context, "interpreter", mixture, TOY, vectors)
    assert again.labels.tolist() == first.labels.tolist()
    np.testing.assert_array_equal(again.states, first.states)


def test_a_changed_recipe_is_a_new_run(context: EvalContext) -> None:
    mixture = mixtures.build_mixture(context, "toy", ["one", "two"], seed=0)
    assert mixture is not None
    longer = dataclasses.replace(TOY, train=dataclasses.replace(TOY.train, passes=3))
    prints = [
        interpreting._fingerprint(mixture, preset, genes)
        for preset, genes in ((TOY, "text"), (longer, "text"), (TOY, "random"))
    ]
    assert len(set(prints)) == 3


def test_the_command_trains_and_writes_how_it_does(context: EvalContext) -> None:
    folder = train_interpreter(context, names=["one", "two"], seed=1)
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    assert card["datasets"] == ["one", "two"]
    assert card["seed"] == 1
    assert card["steps"] == {"warmup": 5, "interpreter": 10}
    assert set(card["test"]) >= {"accuracy", "genept_w_accuracy"}
    with pytest.raises(InputError, match="interpreter"):
        train_interpreter(context, preset="nothing")
    with pytest.raises(InputError, match="gone"):
        train_interpreter(context, names=["gone"])


def test_a_label_never_guessed_has_no_precision() -> None:
    truth = np.array(["a", "a", "b", "b"], object)
    guess = np.array(["a", "a", "a", "c"], object)
    precision, recall = suite.precision_recall(truth, guess)
    assert precision == pytest.approx((2 / 3 + 0) / 2)
    assert recall == pytest.approx((1 + 0) / 2)


def test_points_that_lie_by_label_score_high() -> None:
    labels = np.repeat(np.array(["a", "b", "c"], object), 10)
    points = np.repeat(np.eye(3), 10, axis=0) + np.random.default_rng(0).normal(0, 0.01, (30, 3))
    near = suite.cluster_figures(labels, points)
    far = suite.cluster_figures(labels, np.random.default_rng(1).normal(size=(30, 3)))
    assert near["cluster_nmi"] == pytest.approx(1)
    assert near["silhouette"] > 0.9
    assert far["cluster_ari"] < 0.3
