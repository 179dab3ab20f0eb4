from dataclasses import dataclass

import anndata
import numpy as np
import pytest
from scipy import sparse

from cellwright.cellmodel.generation import GeneratedCells
from cellwright.cellmodel.labels import LabelRecord, LabelSpace
from cellwright.cellmodel.reference import TypeRealism, TypeReference, TypeSource, summarise
from cellwright.cellmodel.vocabulary import GeneVocabulary
from cellwright.errors import RefusedError
from cellwright.tools import generate_cells
from tests.unit.tools.factory import GENES, make_adata, make_bench
from tests.unit.tools.test_tools import check_claims

SOURCE = TypeSource(
    name="B cell", dataset="made_up", species="human", tissue="blood", protocol="10x", n_cells=400
)
REALISM = TypeRealism(
    name="B cell", dataset="made_up", n_held_out=80, library_ratio=1.02, zero_gap=0.001,
    gene_correlation=0.8, gene_correlation_real=0.9, two_sample_auc=0.61,
    two_sample_auc_real=0.52, nearest_ratio=1.01,
)  # fmt: skip
RECORD = LabelRecord(
    name="B cell", ontology_id="CL:0000236", species=("human",), tissues=("blood",), n_cells=40
)


@dataclass
class FakeModel:
    """Draws planted cells, and calls every cell what it is told to."""

    called: str = "B cell"
    collapsed: bool = False
    realism: TypeRealism | None = REALISM
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
        kept = summarise(_cells(400, 99))
        return TypeReference(
            source=SOURCE,
            keys=GENES,
            library_quantiles=tuple(kept.stats[:5]),
            zero_rate=float(kept.stats[-2]),
            genes_per_cell=float(kept.stats[-1]),
            mean_log1p=kept.mean,
            var_log1p=kept.var,
            correlations=kept.correlations,
            realism=self.realism,
        )

    def annotate(self, block, **_options):
        @dataclass
        class Called:
            labels: np.ndarray
            ontology_ids: np.ndarray

        term = "CL:0000236" if self.called == "B cell" else ""
        return Called(np.full(len(block), self.called), np.full(len(block), term))


def _cells(n, seed):
    rng = np.random.default_rng(seed)
    rate = np.linspace(0.3, 9, len(GENES)) * np.exp(
        rng.normal(size=(n, 1)) * np.where(np.arange(len(GENES)) % 2, 0.7, -0.7)
    )
    return rng.poisson(rate)


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


def test_gene_correlations_are_checked_on_the_drawn_cells(bench):
    result = bench.run("generate_cells", cell_type="B cell", n=200)
    (check,) = [one for one in result.checks if "gene-gene" in one.name]
    assert check.value > 0.8
    assert check.passed
    few = bench.run("generate_cells", cell_type="B cell", n=20)
    assert not [one for one in few.checks if "gene-gene" in one.name]


def test_figures_of_training_are_quoted(bench):
    result = bench.run("generate_cells", cell_type="B cell", n=20)
    said = " ".join(check_claims(result))
    assert "0.61" in said
    assert "80 held-out cells" in said
    assert {row.name: row.real for row in result.held_out}["two-sample AUC"] == 0.52
    bench.__dict__["cell_model"] = FakeModel(
        realism=TypeRealism(name="B cell", dataset="made_up", n_held_out=7)
    )
    unjudged = bench.run("generate_cells", cell_type="B cell", n=20)
    said = " ".join(check_claims(unjudged))
    assert unjudged.held_out == ()
    assert "7 held-out cells of the type were too few" in said


def test_wishes_that_the_draw_does_not_follow_are_said(bench):
    result = bench.run("generate_cells", cell_type="B cell", n=5, tissue="lung", protocol="10x")
    assert result.wished == "lung"


def test_unknown_type_is_refused(bench):
    with pytest.raises(RefusedError, match="learned no counts"):
        bench.run("generate_cells", cell_type="hepatocyte", n=5)
    with pytest.raises(RefusedError):
        bench.run("generate_cells", cell_type="B cell", species="mouse", n=5)
