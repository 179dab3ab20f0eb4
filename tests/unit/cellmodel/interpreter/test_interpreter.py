import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import sparse

from cellwright.cellmodel.config import CheckpointError, StageConfig
from cellwright.cellmodel.interpreter.checkpoint import TrainedInterpreter, load_interpreter
from cellwright.cellmodel.interpreter.config import (
    InterpreterConfig,
    InterpreterRecipe,
    dump_config,
    parse_config,
)
from cellwright.cellmodel.interpreter.model import (
    FrozenLanguage,
    Interpreter,
    random_vectors,
    standardised,
)
from cellwright.cellmodel.interpreter.ranked_cells import RankedCells, mean_levels, rank_genes
from cellwright.cellmodel.interpreter.training import train
from cellwright.cellmodel.vocabulary import GeneVocabulary
from tests.unit.cellmodel.toys import GENES, TYPES, make_adata, toy_embed, toy_language

CONFIG = InterpreterConfig(
    n_genes=8, n_layers=1, instruction="Type?", width=16, projector_width=16, head_width=16
)
RECIPE = InterpreterRecipe(
    warmup_passes=2,
    passes=4,
    stage=StageConfig(steps=0, batch_size=8, learning_rate=5e-3, save_every=5),
)


def make_cells(seed: int = 0, n: int = 8) -> tuple[sparse.csr_matrix, np.ndarray]:
    adata = make_adata(n_per_type=n, seed=seed)
    linear = adata.X.toarray()
    log = np.log1p(1e4 * linear / linear.sum(axis=1, keepdims=True))
    labels = adata.obs["cell_type"].map({name: at for at, name in enumerate(TYPES)}).to_numpy()
    return sparse.csr_matrix(log.astype(np.float32)), np.asarray(labels)


def make_language(config: InterpreterConfig = CONFIG, seed: int = 0) -> FrozenLanguage:
    return FrozenLanguage(*toy_language(), config, seed)


def make_sharp(config: InterpreterConfig = CONFIG) -> FrozenLanguage:
    """Weights large enough for attention to tell places and tokens apart."""
    language = make_language(config)
    with torch.no_grad():
        for weight in language.model.layers.parameters():
            weight.mul_(20 if weight.ndim == 2 else 1)
    return language


def make_model(config: InterpreterConfig = CONFIG, seed: int = 0) -> Interpreter:
    language = None if config.reader == "mean" else make_language(config, seed)
    return Interpreter(config, toy_embed(GENES), len(TYPES), language, seed=seed)


def rank(expression: sparse.csr_matrix, mean: np.ndarray) -> RankedCells:
    return rank_genes(expression, mean, CONFIG.n_genes, ranking="centred")


def test_genes_are_ranked_by_level_or_by_level_over_the_mean() -> None:
    cells = sparse.csr_matrix(np.array([[3.0, 0.0, 2.0, 1.0], [0.0, 0.5, 0.0, 0.0]], np.float32))
    mean = np.array([2.9, 0.0, 0.5, 0.0], np.float32)
    plain = rank_genes(cells, mean, 3, ranking="expression")
    assert plain.genes.tolist() == [[0, 2, 3], [1, -1, -1]]
    assert plain.levels.tolist() == [[3.0, 2.0, 1.0], [0.5, 0.0, 0.0]]
    assert rank_genes(cells, mean, 3, ranking="centred").genes[0].tolist() == [2, 3, 0]
    np.testing.assert_allclose(mean_levels(cells), [1.5, 0.25, 1.0, 0.5])


def test_state_is_that_of_the_whole_sequence_and_padding_leaves_no_trace() -> None:
    language = make_sharp()
    tokens = torch.randn(2, 6, language.width)
    present = torch.ones(2, 6, dtype=torch.bool)
    present[1, 4:] = False
    klass = torch.randn(language.width)
    found = language(tokens, present, klass)
    table = language.model.get_input_embeddings()
    for row, n in enumerate((6, 4)):
        whole = torch.cat([table(language.instruction_P), tokens[row, :n], klass[None]])
        direct = language.model(inputs_embeds=whole[None], use_cache=False).last_hidden_state
        torch.testing.assert_close(found[row], direct[0, -1], atol=1e-5, rtol=1e-4)


def test_order_of_genes_and_the_instruction_reach_the_state() -> None:
    first, second = make_sharp(), make_sharp(dataclasses.replace(CONFIG, instruction="Zzz"))
    tokens, present = torch.randn(1, 3, first.width), torch.ones(1, 3, dtype=torch.bool)
    klass = torch.randn(first.width)
    state = first(tokens, present, klass)
    assert not torch.allclose(state, first(tokens.flip(1), present, klass), atol=1e-4)
    assert not torch.allclose(state, second(tokens, present, klass), atol=1e-4)


def test_only_projector_class_token_and_head_are_trained(tmp_path: Path) -> None:
    expression, labels = make_cells()
    model = make_model()
    moved = {name for name, p in model.named_parameters() if p.requires_grad}
    assert {name.partition(".")[0] for name in moved} == {"projector", "class_H", "head"}
    frozen = {k: v.clone() for k, v in model.language.model.state_dict().items()}  # type: ignore[union-attr]
    before = {name: model.get_parameter(name).detach().clone() for name in moved}
    train(model, rank(expression, mean_levels(expression)), labels, RECIPE, folder=tmp_path, seed=0)
    for name, value in model.language.model.state_dict().items():  # type: ignore[union-attr]
        torch.testing.assert_close(value, frozen[name], rtol=0, atol=0)
    assert all(not torch.equal(before[name], model.get_parameter(name)) for name in moved)
    lines = [json.loads(line) for line in (tmp_path / "interpreter.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 13))


@pytest.mark.parametrize("reader", ["language", "random-language", "mean"])
def test_learns_planted_genes(reader: str, tmp_path: Path) -> None:
    expression, labels = make_cells(n=20)
    mean = mean_levels(expression)
    config = dataclasses.replace(CONFIG, reader=reader, levels=True)
    model = make_model(config)
    longer = dataclasses.replace(RECIPE, passes=10)
    train(model, rank(expression, mean), labels, longer, folder=tmp_path, seed=0)
    unseen, truth = make_cells(seed=5, n=10)
    reading = model.predict(rank(unseen, mean))
    assert (reading.probabilities.argmax(axis=1) == truth).mean() > 0.8
    np.testing.assert_allclose(reading.probabilities.sum(axis=1), 1, atol=1e-5)
    assert reading.states.shape == (30, 32 if reader != "mean" else 16)


def test_a_run_that_was_stopped_ends_as_one_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cellwright.cellmodel.training.trainer import Trainer

    expression, labels = make_cells()
    cells = rank(expression, mean_levels(expression))
    whole = make_model()
    train(whole, cells, labels, RECIPE, folder=tmp_path / "whole", seed=0)
    run = Trainer.run
    stop = {"warmup": None, "interpreter": 7}
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "run", lambda self: run(self, stop[self.name]))
        train(make_model(), cells, labels, RECIPE, folder=tmp_path / "parts", seed=0)
    resumed = make_model()
    steps = train(resumed, cells, labels, RECIPE, folder=tmp_path / "parts", seed=0)
    assert steps == {"warmup": 6, "interpreter": 12}
    np.testing.assert_allclose(
        resumed.predict(cells).probabilities, whole.predict(cells).probabilities, atol=1e-5
    )


def test_a_cell_is_read_alike_in_any_batch() -> None:
    expression, _labels = make_cells()
    cells = rank(expression, mean_levels(expression))
    model = make_model()
    whole = model.predict(cells)
    alone = model.predict(cells, batch_size=1)
    np.testing.assert_allclose(whole.probabilities, alone.probabilities, atol=1e-5)


def test_random_vectors_keep_lengths_and_forget_directions() -> None:
    vectors = toy_embed(GENES)
    drawn = random_vectors(vectors, seed=1)
    centred = vectors - vectors.mean(axis=0)
    np.testing.assert_allclose(
        np.linalg.norm(drawn, axis=1), np.linalg.norm(centred, axis=1), rtol=1e-5
    )
    cosine = (drawn * centred).sum(axis=1) / np.linalg.norm(centred, axis=1) ** 2
    assert np.abs(cosine).max() < 0.3
    assert np.mean(standardised(vectors) ** 2) == pytest.approx(1, abs=1e-4)


def test_random_language_differs_from_the_pretrained_and_between_seeds() -> None:
    config = dataclasses.replace(CONFIG, reader="random-language")
    weights = [
        next(one.model.layers[0].parameters())
        for one in (make_language(), make_language(config, 0), make_language(config, 1))
    ]
    assert weights[0].shape == weights[1].shape
    assert not torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[1], weights[2])
    assert len(make_language(config).model.layers) == 1


def test_saved_and_loaded_says_the_same(tmp_path: Path) -> None:
    expression, _labels = make_cells()
    trained = TrainedInterpreter(
        model=make_model(),
        vocabulary=GeneVocabulary(GENES),
        mean=mean_levels(expression),
        labels=TYPES,
        card={"seed": 0},
    )
    trained.save(tmp_path)
    again = load_interpreter(tmp_path, toy_language)
    assert again.labels == TYPES
    first = trained.model.predict(trained.rank(expression)).probabilities
    second = again.model.predict(again.rank(expression)).probabilities
    np.testing.assert_allclose(first, second, atol=5e-3)


def test_a_folder_without_an_interpreter_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="train --preset interpreter"):
        load_interpreter(tmp_path, toy_language)


def test_config_survives_and_another_version_is_refused() -> None:
    assert parse_config(dump_config(CONFIG)) == CONFIG
    with pytest.raises(CheckpointError, match="format 99"):
        parse_config(dump_config(CONFIG).replace('"format": 1', '"format": 99'))
    with pytest.raises(CheckpointError, match="unknown"):
        parse_config(dump_config(CONFIG).replace('"n_genes"', '"n_jeans"'))


def test_reader_and_model_must_agree() -> None:
    with pytest.raises(ValueError, match="given no model"):
        Interpreter(CONFIG, toy_embed(GENES), 3, None)
