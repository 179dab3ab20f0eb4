from dataclasses import dataclass

import anndata
import numpy as np
import pytest
from scipy import sparse

from cellwright.cellmodel.generation import GeneratedCells
from cellwright.cellmodel.labels import LabelRecord, LabelSpace
from cellwright.cellmodel.reference import TypeReference, TypeSource
from cellwright.cellmodel.vocabulary import GeneVocabulary
from cellwright.errors import RefusedError
from cellwright.tools import generate_cells
from tests.unit.tools.factory import GENES, make_adata, make_bench
from tests.unit.tools.test_tools import check_claims

SOURCE = TypeSource(
    name="B cell", dataset="made_up", species="human", tissue="blood", protocol="10x", n_cells=40
)
RECORD = LabelRecord(
    name="B cell", ontology_id="CL:0000236", species=("human",), tissues=("blood",), n_cells=40
)


@dataclass
class FakeModel:
    """Draws planted cells, and calls every cell what it is told to."""

    called: str = "B cell"
    collapsed: bool = False
    labels = (RECORD,)
    vocabulary = GeneVocabulary(tuple(sorted(GENES)))

    def generate(self, cell_type, *, n, seed, **_wishes):
        counts = _cells(n, seed)
        if self.collapsed:
            counts[:] = counts[0]
        return GeneratedCells(
            counts=sparse.csr_matrix(counts), keys=GENES, condition="Generate.", source=SOURCE
        )

    def reference(self, cell_type, *, dataset):
        counts = _cells(400, 99)
        totals = counts.sum(axis=1)
        logged = np.log1p(counts * (1e4 / totals)[:, None])
        return TypeReference(
            source=SOURCE,
            keys=GENES,
            library_quantiles=tuple(np.quantile(totals, (0.05, 0.25, 0.5, 0.75, 0.95))),
            zero_rate=float((counts == 0).mean()),
            genes_per_cell=float((counts > 0).sum(axis=1).mean()),
            mean_log1p=logged.mean(axis=0),
            var_log1p=logged.var(axis=0),
        )

    def annotate(self, block, **_options):
        @dataclass
        class Called:
            labels: np.ndarray
            ontology_ids: np.ndarray

        term = "CL:0000236" if self.called == "B cell" else ""
        return Called(np.full(len(block), self.called), np.full(len(block), term))


def _cells(n, seed):
    rate = np.linspace(0.3, 9, len(GENES))
    return np.random.default_rng(seed).poisson(rate, (n, len(GENES)))


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.setattr(generate_cells, "label_space", lambda _settings: LabelSpace((RECORD,)))
    monkeypatch.setattr(
        generate_cells, "card", lambda _settings: {"generatable": [SOURCE.__dict__]}
    )
    made = make_bench(make_adata(), tmp_path)
    made.__dict__["cell_model"] = FakeModel()
    return made


def test_good_cells_pass_and_are_marked(bench):
    before = bench.data
    result = bench.run("generate_cells", cell_type="B cell", n=50)
    assert (result.n_passed, result.failed) == (result.n_checks, ())
    assert bench.data == before
    cells = anndata.read_h5ad(bench.store.path(result.cells.id))
    assert cells.shape == (50, len(GENES))
    assert cells.obs["cellwright_is_synthetic"].all()
    assert bool(cells.uns["cellwright_synthetic"]["is_synthetic"])
    assert np.all(cells.X.data == np.rint(cells.X.data))
    assert any("synthetic" in sentence for sentence in check_claims(result))


def test_collapsed_and_unrecognised_cells_fail(bench):
    bench.__dict__["cell_model"] = FakeModel(called="T cell", collapsed=True)
    result = bench.run("generate_cells", cell_type="B cell", n=20)
    assert result.duplicates == 19
    assert {"recognised by the cell model", "exact duplicates among them"} <= set(result.failed)
    assert "variance over measured variance" in result.failed


def test_wishes_that_the_draw_does_not_follow_are_said(bench):
    result = bench.run("generate_cells", cell_type="B cell", n=5, tissue="lung", protocol="10x")
    assert result.wished == "lung"


def test_unknown_type_is_refused(bench):
    with pytest.raises(RefusedError, match="learned no counts"):
        bench.run("generate_cells", cell_type="hepatocyte", n=5)
    with pytest.raises(RefusedError):
        bench.run("generate_cells", cell_type="B cell", species="mouse", n=5)
