import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cellwright.cellmodel.checkpoint import OF_LABELS, lend_network, load_checkpoint
from cellwright.cellmodel.config import CheckpointError
from cellwright.cellmodel.data.block import CellBlock, make_block
from cellwright.cellmodel.generation import UnknownTypeError
from cellwright.cellmodel.inference import CellModel
from cellwright.cellmodel.labels import LabelSpace
from cellwright.cellmodel.presets import debug
from cellwright.cellmodel.saliency import explain
from cellwright.cellmodel.streaming import stream
from cellwright.cellmodel.training.data import Panels
from cellwright.cellmodel.training.encoder_stage import train_encoder
from cellwright.cellmodel.training.pipeline import Pipeline, label_tasks
from cellwright.cellmodel.training.wide import solve_wide, unit_rows
from cellwright.errors import InputError
from cellwright.settings import Settings
from tests.unit.cellmodel.toys import (
    GENES,
    PLANTED,
    TYPES,
    make_adata,
    make_pipeline,
    toy_embed,
    toy_language,
    with_encoder_steps,
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy")
    pipeline = make_pipeline(folder, with_encoder_steps(60))
    pipeline.run()
    pipeline.export(folder / "checkpoint")
    return folder / "checkpoint"


def make_model(folder: Path) -> CellModel:
    model = CellModel.load(Settings(checkpoint=folder), embed=toy_embed)
    config = model.network.config
    from cellwright.cellmodel.modeling.cell_language import CellLanguage

    base, tokenizer = toy_language()
    language = CellLanguage(base, tokenizer, config.language, config.encoder.n_queries)
    language.load_own_state(model.checkpoint.language)
    model.__dict__["language"] = language.eval()
    return model


def make_cells(model: CellModel, seed: int = 7) -> tuple[CellBlock, np.ndarray]:
    adata = make_adata(n_per_type=15, seed=seed)
    block = make_block(adata.X, list(adata.var_names), model.vocabulary, "counts")
    return block, adata.obs["cell_type"].to_numpy()


def test_annotates_unseen_cells(trained: Path) -> None:
    model = make_model(trained)
    block, truth = make_cells(model)
    found = model.annotate(block)
    best = np.array(found.candidates)[found.probabilities.argmax(axis=1)]
    assert (best == truth).mean() > 0.95
    assert set(found.labels[found.in_range]) <= set(TYPES)
    assert found.embedding.shape == (45, 16)


def test_labels_do_not_depend_on_the_batch(trained: Path) -> None:
    model = make_model(trained)
    block, _ = make_cells(model)
    whole = model.annotate(block)
    for size in (1, 7, 32):
        parts = model.annotate(block, batch_size=size)
        assert (parts.labels == whole.labels).all()
        assert parts.label_sets == whole.label_sets
        np.testing.assert_allclose(parts.probabilities, whole.probabilities, atol=2e-5)


def test_candidates_are_an_argument(trained: Path) -> None:
    model = make_model(trained)
    block, _ = make_cells(model)
    found = model.annotate(block, candidates=["BETA CELLS", "something quite new"])
    assert found.candidates == ("BETA CELLS", "something quite new")
    assert found.probabilities.shape == (45, 2)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-3)


def test_an_empty_cell_is_unknown(trained: Path) -> None:
    model = make_model(trained)
    block = make_block(np.zeros((2, 60)), list(GENES), model.vocabulary, "counts")
    found = model.annotate(block)
    assert list(found.labels) == ["unknown", "unknown"]
    assert found.label_sets == [(), ()]


def test_the_range_is_that_of_cell_types(trained: Path) -> None:
    model = make_model(trained)
    block, _ = make_cells(model)
    model.network.readout.range_floor.fill_(2.0)
    assert not model.annotate(block).in_range.any()
    space = model.checkpoint.labels
    responses = [dataclasses.replace(record, task="drug response") for record in space.records]
    model.checkpoint = dataclasses.replace(model.checkpoint, labels=LabelSpace(tuple(responses)))
    assert model.annotate(block, candidates=list(TYPES)).in_range.all()


def test_no_cells_give_no_labels(trained: Path) -> None:
    model = make_model(trained)
    block, _ = make_cells(model)
    found = model.annotate(block.rows(slice(0, 0)))
    assert len(found.labels) == 0


@pytest.mark.parametrize("method", ["gradient", "input_x_gradient", "integrated_gradients"])
def test_saliency_finds_the_planted_genes(trained: Path, method: str) -> None:
    model = make_model(trained)
    block, truth = make_cells(model)
    for label in TYPES:
        found = explain(model, block.rows(np.flatnonzero(truth == label)), label, method=method)
        top = {gene for gene, _ in found.top(4)}
        assert len(top & set(PLANTED[label])) >= 3


def test_generated_cells_are_counts_of_measured_genes(trained: Path) -> None:
    model = make_model(trained)
    assert {record.name for record in model.generatable()} == set(TYPES)
    drawn = model.generate("beta cell", species="human", tissue="blood", n=12, seed=3)
    assert drawn.counts.shape == (12, len(drawn.keys))
    assert np.issubdtype(drawn.counts.dtype, np.integer)
    assert drawn.counts.sum() > 0
    assert "beta cell" in drawn.condition
    again = model.generate("beta cell", species="human", tissue="blood", n=12, seed=3)
    assert (again.counts != drawn.counts).nnz == 0
    reference = model.reference("beta cell")
    assert len(reference.mean_log1p) == len(reference.keys)
    assert reference.library_quantiles[0] <= reference.library_quantiles[-1]


def test_a_type_without_counts_is_refused(trained: Path) -> None:
    model = make_model(trained)
    with pytest.raises(UnknownTypeError) as caught:
        model.generate("beta cel of another kind", tissue="", species="human", n=3)
    assert "beta cell" in caught.value.near


def test_answers_carry_a_probability(trained: Path) -> None:
    model = make_model(trained)
    block, _ = make_cells(model)
    answer = model.answer(block.rows(slice(0, 1)), "Cell type?", candidates=list(TYPES))
    assert 0 < answer.score <= 1
    assert answer.label is None or answer.label in TYPES


def test_the_card_is_measured(trained: Path) -> None:
    card = json.loads((trained / "card.json").read_text())
    assert {row["dataset"] for row in card["test"]} == {"one", "two"}
    assert all(0 <= row["logistic_macro_f1"] <= 1 for row in card["test"])
    assert card["language_test"]["n"] == 2


def test_a_run_that_goes_on_keeps_its_genes(tmp_path: Path) -> None:
    before = make_pipeline(tmp_path).corpus.vocabulary
    again = make_pipeline(tmp_path)
    # Names have come to mean other genes since.
    request = dataclasses.replace(again.request, keys_of=lambda names, _species: [None, *names[1:]])
    after = Pipeline(request).corpus
    assert after.vocabulary.keys == before.keys
    assert after.sets[0].block.expression[:, 0].nnz == 0


def test_cells_are_seen_through_the_panel_of_cells_to_come(tmp_path: Path) -> None:
    panel = GENES[:55]
    start = make_pipeline(tmp_path)
    pipeline = Pipeline(dataclasses.replace(start.request, panel=panel))
    panels = Panels(pipeline.corpus)
    kept = panels.draw(np.zeros(400, dtype=int), np.random.default_rng(0), rate=0.0)
    seen = kept[:, pipeline.corpus.vocabulary.keys.index(GENES[-1])]
    assert 0.4 < 1 - seen.mean() < 0.6
    assert kept[:, [key in panel for key in pipeline.corpus.vocabulary.keys]].all()
    everything = Panels(start.corpus).draw(np.zeros(9, dtype=int), np.random.default_rng(0), rate=0)
    assert everything.all()


def test_a_joint_stage_moves_encoder_and_language_together(tmp_path: Path) -> None:
    start = debug()
    preset = dataclasses.replace(start, train=dataclasses.replace(start.train, joint=True))
    pipeline = make_pipeline(tmp_path, preset)
    pipeline.run(["encoder"])
    before = {name: one.clone() for name, one in pipeline.network.state_dict().items()}
    pipeline.run(["language"])
    after = pipeline.network.state_dict()
    moved = {name for name, one in after.items() if not torch.equal(one, before[name])}
    assert any(name.startswith("encoder.") for name in moved)
    assert any(name.startswith("readout.") for name in moved)
    assert not any(name.startswith("decoder.") for name in moved)
    lines = (tmp_path / "state" / "language.jsonl").read_text().splitlines()
    last = json.loads(lines[-1])
    assert last["loss"] == pytest.approx(last["language"] + last["readout"], abs=1e-4)


def test_a_network_is_lent_with_the_labels_of_the_runs_tasks(tmp_path: Path) -> None:
    pipeline = make_pipeline(tmp_path / "one")
    pipeline.run(["encoder"])
    checkpoint = pipeline.export(tmp_path / "export")
    records = list(checkpoint.labels.records)
    records[0] = dataclasses.replace(records[0], task="drug response")
    mixed = dataclasses.replace(checkpoint, labels=LabelSpace(tuple(records)))
    lend_network(mixed, tmp_path / "two", label_tasks(debug().train))
    lend_network(mixed, tmp_path / "three", {"cell type"})
    whole, part = (load_file(tmp_path / name / "network.safetensors") for name in ("two", "three"))
    shorter = {name for name in whole if part[name].numel() < whole[name].numel()}
    assert shorter == OF_LABELS
    assert torch.equal(part["readout.wide_LV"], whole["readout.wide_LV"][1:])
    named = {n for n, t in whole.items() if t.ndim and t.shape[0] == len(records)}
    assert named >= OF_LABELS


def test_a_checkpoint_of_another_format_is_refused(trained: Path, tmp_path: Path) -> None:
    for path in trained.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"format": 99}))
    with pytest.raises(CheckpointError, match="99"):
        load_checkpoint(tmp_path)


def test_a_missing_checkpoint_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cellwright train"):
        load_checkpoint(tmp_path)


def test_resuming_gives_what_one_run_gives(tmp_path: Path) -> None:
    def weights(*lengths: int) -> dict[str, torch.Tensor]:
        folder = tmp_path / "-".join(map(str, lengths))
        for length in lengths:
            pipeline = make_pipeline(folder, with_encoder_steps(4))
            network = pipeline.network
            recipe = pipeline.recipe
            from cellwright.cellmodel.training import trainer

            run = trainer.Trainer.run
            trainer.Trainer.run = lambda self, _run=run, _n=length: _run(self, until=_n)
            try:
                train_encoder(network, pipeline.corpus, recipe, folder / "state")
            finally:
                trainer.Trainer.run = run
        return dict(network.state_dict())

    whole, parts = weights(4), weights(2, 4)
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, rtol=0, atol=0, msg=name)


def test_the_linear_term_is_solved(tmp_path: Path) -> None:
    corpus = make_pipeline(tmp_path).corpus
    solution = solve_wide(corpus, iterations=30, l2=1.0, seed=0)
    cells = corpus.sets[0]
    test = cells.parts["test"]
    scores = unit_rows(cells.block.expression[test]) @ solution.weights.T + solution.bias
    assert (scores.argmax(axis=1) == cells.labels[test]).mean() > 0.9


def test_a_label_set_is_what_is_probable_enough(trained: Path) -> None:
    model = make_model(trained)
    block, _truth = make_cells(model)
    found = model.annotate(block, candidates=list(TYPES))
    floor = float(model.network.readout.set_floors[0])
    assert 0 < floor <= 1
    for shares, names, plausible in zip(
        found.probabilities, found.label_sets, found.plausible, strict=True
    ):
        wanted = {TYPES[at] for at in np.flatnonzero(shares >= floor)}
        assert set(names) in (wanted, set())  # empty outside the model's range
        assert plausible[0] == TYPES[shares.argmax()]


def test_a_model_is_taught_a_new_label_by_a_few_cells(trained: Path) -> None:
    model = make_model(trained)
    counts = np.random.default_rng(0).poisson(1.0, size=(40, len(GENES)))
    counts[:, 40:48] += 14  # a program that no training type has
    block = make_block(counts, list(GENES), model.vocabulary, "counts")
    names = [*TYPES, "delta cell"]
    taught = model.taught("delta cell", block.rows(slice(0, 20)))
    place = names.index("delta cell")
    others, _truth = make_cells(model)

    def share(one: CellModel, cells: CellBlock) -> float:
        return float(one.annotate(cells, candidates=names).probabilities[:, place].mean())

    assert share(taught, block.rows(slice(20, 40))) > 0.9
    assert share(taught, others) < min(0.1, share(model, others))
    assert model.annotate(block, candidates=names).candidates == tuple(names)
    with pytest.raises(ValueError, match="knows"):
        model.taught("alpha cell", block)


def test_a_file_is_annotated_alike_in_blocks_and_at_once(trained: Path, tmp_path: Path) -> None:
    model = make_model(trained)
    adata = make_adata(n_per_type=15, seed=7)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    whole = model.annotate(make_cells(model)[0])
    parts = list(stream(model, tmp_path / "cells.h5ad", list, "counts", block=8))
    assert [part.start for part in parts] == [0, 8, 16, 24, 32, 40]
    assert [name for part in parts for name in part.cells] == list(adata.obs_names)
    labels = np.concatenate([part.annotation.labels for part in parts])
    assert (labels == whole.labels).all()
    adata.X = adata.X.tocsc()
    adata.write_h5ad(tmp_path / "columns.h5ad")
    with pytest.raises(InputError, match="CSR"):
        list(stream(model, tmp_path / "columns.h5ad", list, "counts"))


def test_a_stage_that_has_calibrated_is_not_calibrated_again(tmp_path: Path) -> None:
    pipeline = make_pipeline(tmp_path)
    pipeline.run(["encoder"])
    before = pipeline.network.readout.blend.clone()
    again = make_pipeline(tmp_path)
    again.run(["encoder"])
    assert (again.network.readout.blend == before).all()
    assert (tmp_path / "state" / "refit.json").is_file()


def test_answers_in_a_batch_are_those_given_one_by_one(trained: Path) -> None:
    model = make_model(trained)
    block, _truth = make_cells(model)
    some = block.rows(slice(0, 7))
    together = model.answers(some, "Which type is {input}?", candidates=list(TYPES), batch_size=4)
    for at, answer in enumerate(together):
        alone = model.answer(
            some.rows(slice(at, at + 1)), "Which type is {input}?", candidates=list(TYPES)
        )
        assert (answer.text, answer.label) == (alone.text, alone.label)
        assert answer.label in TYPES
        assert answer.score == pytest.approx(alone.score, abs=1e-4)
