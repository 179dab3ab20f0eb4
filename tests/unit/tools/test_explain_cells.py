from dataclasses import dataclass

import numpy as np
import pytest

from cellwright.cellmodel import saliency
from cellwright.cellmodel.labels import LabelRecord, LabelSpace
from cellwright.cellmodel.saliency import Saliency
from cellwright.cellmodel.vocabulary import GeneVocabulary
from cellwright.errors import ToolError
from cellwright.tools import explain_cells
from tests.unit.tools.factory import B_GENES, GENES, MONO_GENES, OTHERS, TYPES, make_adata
from tests.unit.tools.factory import make_bench as bench_on
from tests.unit.tools.test_tools import check_claims

TERMS = {"B cell": "CL:0000236", "T cell": "CL:0000084", "monocyte": "CL:0000576"}
RECORDS = tuple(
    LabelRecord(name=name, ontology_id=term, species=("human",), tissues=("blood",), n_cells=30)
    for name, term in TERMS.items()
)


@dataclass
class FakeModel:
    """Calls cells by the planted genes that they express most."""

    labels = RECORDS
    vocabulary = GeneVocabulary(tuple(sorted(GENES)))

    def annotate(self, block, **_options):
        @dataclass
        class Called:
            labels: np.ndarray
            ontology_ids: np.ndarray

        keys = self.vocabulary.keys
        sums = [
            np.asarray(block.expression[:, [keys.index(one) for one in genes]].sum(axis=1)).ravel()
            for genes in TYPES.values()
        ]
        names = np.array(list(TYPES), dtype=object)[np.argmax(sums, axis=0)]
        return Called(names, np.array([TERMS[name] for name in names], dtype=object))


def planted(model, block, label, **options):
    """Saliency of the planted genes, then of one that everything expresses."""
    assert label in options["candidates"]
    scores = np.zeros(len(model.vocabulary), dtype=np.float32)
    for at, gene in enumerate((*TYPES[label], OTHERS[0])):
        scores[model.vocabulary.keys.index(gene)] = 10 - at
    return Saliency(
        keys=model.vocabulary.keys,
        scores=scores,
        label=label,
        method=options["method"],
        n_cells=len(block),
    )


@pytest.fixture
def make_bench(tmp_path, monkeypatch):
    monkeypatch.setattr(explain_cells, "label_space", lambda _settings: LabelSpace(RECORDS))
    monkeypatch.setattr(saliency, "explain", planted)

    def make(adata):
        bench = bench_on(adata, tmp_path)
        bench.__dict__["cell_model"] = FakeModel()
        return bench

    return make


def test_one_type_is_explained_with_its_records(make_bench):
    bench = make_bench(make_adata())
    result = bench.run("explain_cells", label="B cells", n_genes=6)
    (one,) = result.explained
    assert (one.label, one.read_as, one.ontology_id) == ("B cell", "B cell", "CL:0000236")
    assert one.names == (*B_GENES, OTHERS[0])
    assert set(B_GENES) <= set(one.backed)
    assert one.share_backed == len(one.backed) / 6
    assert 0 < one.share_expressed < one.share_backed
    assert one.genes[0].share_in > 0.9 > one.genes[0].share_out
    assert [gene.saliency for gene in one.genes][:2] == pytest.approx([1.0, 0.9])
    assert "PMID" in " ".join(check_claims(result))
    assert bench.store.path(result.figures[0].id).read_bytes()[:4] == b"\x89PNG"


def test_every_type_is_explained_when_none_is_asked(make_bench):
    adata = make_adata()
    adata.obs["cell_type"] = adata.obs["cell_type"].astype(str)
    adata.obs.iloc[:2, adata.obs.columns.get_loc("cell_type")] = ["doublet", "unknown"]
    bench = make_bench(adata)
    result = bench.run("explain_cells", n_genes=3)
    assert {one.label for one in result.explained} == set(TYPES)
    assert {one.label: one.names for one in result.explained}["monocyte"] == MONO_GENES[:3]
    assert set(result.left_out) == {"doublet", "unknown"}
    assert result.n_types == result.n_over_half == 3
    assert result.mean_backed > result.mean_expressed > 0
    said = " ".join(check_claims(result))
    assert "doublet" in said
    assert "of obs['cell_type']" in said
    table = bench.store.path(result.tables[0].id).read_text().splitlines()
    assert len(table) == 1 + 3 * 3
    assert bench.store.path(result.figures[0].id).stat().st_size > 5000


def test_cells_without_labels_are_explained_by_what_the_model_calls_them(make_bench):
    adata = make_adata()
    del adata.obs["cell_type"]
    result = make_bench(adata).run("explain_cells", n_genes=2)
    assert {one.label for one in result.explained} == set(TYPES)
    assert {one.cells_from for one in result.explained} == {"that the cell model calls so"}
    assert sum(one.n_cells for one in result.explained) == 90


def test_groups_that_are_no_types_are_not_explained(make_bench):
    adata = make_adata()
    adata.obs["leiden"] = np.array(["0", "1"])[np.arange(90) % 2]
    with pytest.raises(ToolError, match="None of the groups is a cell type"):
        make_bench(adata).run("explain_cells", group_by="leiden")


def test_records_of_absence_do_not_back_a_gene(make_bench):
    bench = make_bench(make_adata())
    markers = bench.knowledge.markers
    every = markers.records("CD3D", "human", "CL:0000236")
    positive = markers.records("CD3D", "human", "CL:0000236", negative=False)
    assert len(positive) < len(every)
    assert not any("negative" in one.text for one in positive)
