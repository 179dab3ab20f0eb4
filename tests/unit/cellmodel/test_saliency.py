"""Attributions against what they must be by definition, on a small trained model."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from cellwright.cellmodel.checkpoint import Checkpoint
from cellwright.cellmodel.data.block import CellBlock, make_block
from cellwright.cellmodel.inference import CellModel
from cellwright.cellmodel.labels import LabelRecord, LabelSpace
from cellwright.cellmodel.modeling.cell_network import CellNetwork
from cellwright.cellmodel.presets import debug
from cellwright.cellmodel.randomised import CASCADE, randomised
from cellwright.cellmodel.saliency import (
    METHODS,
    attributions,
    average_cell,
    explain,
    explain_types,
    scale_cells,
)
from cellwright.cellmodel.vocabulary import GeneVocabulary
from cellwright.settings import Settings
from tests.unit.cellmodel.toys import GENES, PLANTED, TYPES, make_adata, toy_embed


@pytest.fixture(scope="module")
def model() -> CellModel:
    """Nobody trained it: the linear term is set to the planted genes, the deep one is random."""
    torch.manual_seed(0)
    vocabulary = GeneVocabulary(GENES)
    network = CellNetwork(debug().model, n_genes=len(GENES), n_labels=len(TYPES))
    for at, label in enumerate(TYPES):
        network.readout.wide_LV[at, [GENES.index(gene) for gene in PLANTED[label]]] = 0.6
    network.readout.label_text_LT.copy_(torch.from_numpy(toy_embed(TYPES)))
    network.genes.text_VE.normal_()
    adata = make_adata(seed=1)
    usual = make_block(adata.X, list(GENES), vocabulary, "counts").expression
    network.genes.mean_V.copy_(torch.from_numpy(np.asarray(usual.mean(axis=0)).ravel()))
    records = tuple(
        LabelRecord(
            name=name, ontology_id=f"CL:{at}", species=("human",), tissues=("blood",), n_cells=9
        )
        for at, name in enumerate(TYPES)
    )
    checkpoint = Checkpoint(
        network=network.eval().requires_grad_(requires_grad=False),
        vocabulary=vocabulary,
        labels=LabelSpace(records),
        language={},
        reference={},
        card={},
    )
    return CellModel(checkpoint, Settings(), toy_embed)


@pytest.fixture(scope="module")
def cells(model: CellModel) -> tuple[CellBlock, np.ndarray]:
    adata = make_adata(n_per_type=12, seed=5)
    block = make_block(adata.X, list(adata.var_names), model.vocabulary, "counts")
    return block, adata.obs["cell_type"].to_numpy()


def log_odds(model: CellModel, block: CellBlock, label: str) -> np.ndarray:
    """From the network's scores, which are not rounded as probabilities are."""
    chosen = model._candidates(list(TYPES), None, None)
    with torch.inference_mode():
        wide, deep, _ = model.network.scores(model._input(block), chosen.known, chosen.text)
        scores = chosen.reduce(model.network.readout.combine(wide, deep)).numpy().astype(float)
    at = TYPES.index(label)
    others = np.delete(scores, at, axis=1)
    return scores[:, at] - np.logaddexp.reduce(others, axis=1)


@pytest.fixture
def linear(model: CellModel) -> Iterator[CellModel]:
    """The linear term alone: the deep one reads other genes of an average cell than of a cell."""
    blend = model.network.readout.blend
    before = blend.clone()
    blend[1] = 0.0
    yield model
    blend.copy_(before)


def test_integrated_gradients_sum_to_the_log_odds(
    linear: CellModel, cells: tuple[CellBlock, np.ndarray]
) -> None:
    from scipy import sparse

    model, (block, _) = linear, cells
    few = block.rows(slice(0, 5))
    usual = CellBlock(
        expression=sparse.csr_matrix(average_cell(model, block).numpy()[None, :]),
        measured=block.measured,
        coverage=block.coverage,
    )
    found = attributions(model, few, "beta cell", candidates=TYPES, expressed=False)
    wanted = log_odds(model, few, "beta cell") - log_odds(model, usual, "beta cell")
    np.testing.assert_allclose(found.sum(axis=1), wanted, rtol=0.02, atol=0.02)


def test_the_gradient_is_the_papers(model: CellModel, cells: tuple[CellBlock, np.ndarray]) -> None:
    """Negated gradient of the answer's loss, where negative and expressed, min-max per cell."""
    block, truth = cells
    part = block.rows(np.flatnonzero(truth == "alpha cell"))
    seen = model._input(part)
    chosen = model._candidates(list(TYPES), None, None)
    expression = seen.expression.clone().requires_grad_()
    levels = expression.gather(1, seen.genes) * (seen.levels > 0)
    wide, deep, _ = model.network.scores(
        seen._replace(expression=expression, levels=levels), chosen.known, chosen.text
    )
    scores = chosen.reduce(model.network.readout.combine(wide, deep)).double()
    loss = torch.nn.functional.cross_entropy(
        scores, torch.full((len(part),), TYPES.index("alpha cell")), reduction="sum"
    )
    loss.backward()
    slope = -expression.grad.numpy() * (seen.expression.numpy() > 0)
    wanted = []
    for row in slope:
        kept = row[row > 0]
        scaled = (row - kept.min()) / (kept.max() - kept.min())
        wanted.append(np.where(row > 0, scaled, 0.0))
    found = explain(model, part, "alpha cell", method="gradient", candidates=TYPES, per_cell=True)
    assert found.per_cell is not None
    np.testing.assert_allclose(found.per_cell, np.array(wanted), atol=1e-3)
    np.testing.assert_allclose(found.scores, np.mean(wanted, axis=0), atol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_genes_that_are_not_expressed_or_not_allowed_get_nothing(
    model: CellModel, cells: tuple[CellBlock, np.ndarray], method: str
) -> None:
    block, _ = cells
    allowed = np.zeros(len(model.vocabulary), dtype=bool)
    allowed[::2] = True
    found = explain(
        model, block, "beta cell", method=method, candidates=TYPES, genes=allowed, per_cell=True
    )
    assert found.per_cell is not None
    assert not found.per_cell[:, ~allowed].any()
    assert not found.per_cell[block.expression.toarray() == 0].any()
    assert found.per_cell[:, allowed].any()
    assert found.n_cells == len(block)


def test_scaling_takes_the_positive_ones_from_zero_to_one() -> None:
    scaled = scale_cells(np.array([[1.0, 3.0, 2.0, -9.0, 0.0], [0.0, 4.0, 0.0, -1.0, 0.0]]))
    np.testing.assert_allclose(scaled, [[0, 1, 0.5, 0, 0], [0, 1, 0, 0, 0]])
    assert not scale_cells(np.array([[-1.0, 0.0]])).any()


def test_every_type_is_explained_by_its_planted_genes(
    model: CellModel, cells: tuple[CellBlock, np.ndarray]
) -> None:
    block, truth = cells
    said = []
    found = explain_types(
        model, block, truth, most=6, progress=lambda text, _share: said.append(text)
    )
    assert set(found) == set(TYPES)
    assert len(said) == len(TYPES)
    for label, one in found.items():
        assert one.n_cells == 6
        assert len({gene for gene, _ in one.top(4)} & set(PLANTED[label])) >= 3


def test_a_label_alone_is_held_against_the_models_types(
    model: CellModel, cells: tuple[CellBlock, np.ndarray]
) -> None:
    few = cells[0].rows(slice(0, 3))
    alone = attributions(model, few, "beta cell", candidates=["beta cell"])
    np.testing.assert_array_equal(alone, attributions(model, few, "beta cell"))
    assert np.isfinite(alone).all()


def test_a_model_that_has_forgotten_keeps_its_weights_but_not_their_order(
    model: CellModel, cells: tuple[CellBlock, np.ndarray]
) -> None:
    block, truth = cells
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    blank = randomised(model, parts=CASCADE[-1], seed=1)
    for name, value in model.network.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0, msg=name)
    after = blank.network.state_dict()
    for name in ("readout.wide_LV", "genes.residual_VE", "encoder.queries"):
        assert not torch.equal(after[name], before[name])
        torch.testing.assert_close(
            after[name].flatten().sort().values, before[name].flatten().sort().values
        )
    for name in ("genes.text_VE", "genes.mean_V", "readout.label_text_LT"):
        assert torch.equal(after[name], before[name])
    known = model.annotate(block, candidates=list(TYPES)).probabilities
    lost = blank.annotate(block, candidates=list(TYPES)).probabilities
    names = np.array(TYPES)
    assert (names[known.argmax(axis=1)] == truth).mean() > 0.9
    assert (names[lost.argmax(axis=1)] == truth).mean() < 0.75


def test_a_part_forgets_alone(model: CellModel) -> None:
    blank = randomised(model, parts=("readout",), seed=0).network.state_dict()
    own = model.network.state_dict()
    assert not torch.equal(blank["readout.wide_LV"], own["readout.wide_LV"])
    assert torch.equal(blank["genes.residual_VE"], own["genes.residual_VE"])
    assert len(GENES) == own["genes.residual_VE"].shape[0]
