import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from cellwright.knowledge import Knowledge
from cellwright.tools.annotation_columns import call_cells, write_calls
from cellwright.tools.calls import MarkerCall, ModelCalls

IDS = {
    "T cell": "CL:0000084",
    "CD8 T cell": "CL:0000625",
    "B cell": "CL:0000236",
    "astrocyte": "CL:0000127",
}
CLUSTERS = pd.Series(["a"] * 4 + ["b"] * 2, dtype="category")


def make_model(labels, sets):
    return ModelCalls(
        labels=np.array(labels, dtype=object),
        ids=np.array([IDS.get(one, "") for one in labels], dtype=object),
        scores=np.full(len(labels), 0.8, dtype=np.float32),
        sets=sets,
        set_ids=IDS,
        in_range=np.array([one != "unknown" for one in labels]),
    )


def make_marker(label="monocyte", term="CL:0000576", score=0.9):
    return MarkerCall(
        label=label, ontology_id=term, score=score, genes=("LYZ", "CD14"),
        runner_up="macrophage", runner_up_id="CL:0000235", evidence=(),
    )  # fmt: skip


UNKNOWN = make_marker("unknown", "", 0.0)


@pytest.fixture(scope="module")
def ontology():
    return Knowledge.open().ontology


def test_sets_back_off_cell_by_cell(ontology):
    sets = [("T cell",), ("CD8 T cell", "T cell"), ("B cell", "CD8 T cell"), (), (), ()]
    labels = ["T cell", "CD8 T cell", "B cell", "unknown", "unknown", "unknown"]
    calls = call_cells(
        CLUSTERS, make_model(labels, sets), {"a": UNKNOWN, "b": make_marker()}, "cell", ontology
    )
    assert calls.labels.tolist() == [*labels[:4], "monocyte", "monocyte"]
    assert [one.name for one in calls.categories] == [
        "T cell", "T cell", "lymphocyte", "unknown", "monocyte", "monocyte",
    ]  # fmt: skip
    assert calls.sources.tolist() == ["cell model"] * 3 + ["none"] + ["markers"] * 2
    assert calls.sets[3] == ()


def test_a_close_call_by_markers_keeps_the_next_type_in_the_set(ontology):
    labels = ["unknown"] * 6
    marked = {"a": make_marker(score=0.51), "b": make_marker(score=0.7)}
    calls = call_cells(CLUSTERS, make_model(labels, [()] * 6), marked, "cell", ontology)
    assert calls.sets[0] == ("monocyte", "macrophage")
    assert calls.categories[0].kind == "common"
    assert ontology.is_a("CL:0000576", calls.categories[0].ontology_id)
    assert calls.sets[5] == ("monocyte",)
    assert calls.categories[5].name == "monocyte"


def test_a_cluster_has_the_labels_of_nine_in_ten_of_its_cells(ontology):
    labels = ["T cell", "T cell", "CD8 T cell", "T cell", "unknown", "unknown"]
    sets = [(one,) for one in labels]
    calls = call_cells(
        CLUSTERS, make_model(labels, sets), {"a": UNKNOWN, "b": UNKNOWN}, "cluster", ontology
    )
    assert calls.labels.tolist() == ["T cell"] * 4 + ["unknown"] * 2
    assert calls.sets[0] == ("T cell", "CD8 T cell")
    assert calls.categories[0].name == "T cell"
    assert calls.scores[0] == pytest.approx(0.75)


def test_a_label_without_a_set_stands_for_itself(ontology):
    marked = {"a": UNKNOWN, "b": UNKNOWN}
    model = make_model(["B cell"] * 6, [()] * 6)
    calls = call_cells(CLUSTERS, model, marked, "cell", ontology)
    assert set(calls.sets) == {("B cell",)}


def test_columns_are_categories_with_terms(ontology):
    labels = ["T cell", "B cell", "B cell", "astrocyte", "unknown", "unknown"]
    sets = [("T cell",), ("B cell", "T cell"), ("B cell", "astrocyte"), ("astrocyte",), (), ()]
    calls = call_cells(
        CLUSTERS, make_model(labels, sets), {"a": UNKNOWN, "b": UNKNOWN}, "cell", ontology
    )
    adata = AnnData(np.zeros((6, 2), dtype=np.float32))
    write_calls(adata, calls)
    obs = adata.obs
    assert obs["cellwright_label_set"].tolist()[1:3] == ["B cell | T cell", "B cell | astrocyte"]
    assert obs["cellwright_cell_type_category"].tolist()[:3] == ["T cell", "lymphocyte", "unknown"]
    term = obs["cellwright_cell_type_category_ontology_term_id"]
    assert term.tolist()[:3] == ["CL:0000084", "CL:0000542", ""]
    assert all(obs[name].dtype == "category" for name in obs if name != "cellwright_score")
