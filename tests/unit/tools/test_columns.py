import numpy as np
import pandas as pd
import pytest

from cellwright.tools.columns import constant_conditions, find_columns

TYPES = {"B cell", "T cell", "Monocyte"}


def share(values):
    return sum(value in TYPES for value in values) / len(values)


def roles(**columns):
    frame = pd.DataFrame({name: np.resize(values, 60) for name, values in columns.items()})
    return {column.name: column.role for column in find_columns(frame, share)}


@pytest.mark.parametrize(
    ("name", "values", "role"),
    [
        ("cell_type", ["B cell", "T cell"], "label"),
        ("bulk_labels", ["B cell", "T cell"], "label"),
        ("clusters", ["B cell", "T cell"], "label"),
        ("whatever", ["B cell", "T cell"], "label"),
        ("louvain", ["0", "1", "2"], "cluster"),
        ("seurat_clusters", [0, 1, 2], "cluster"),
        ("patient_id", ["P1", "P2"], "donor"),
        ("Animal", ["h_1", "t_1"], "donor"),
        ("sample_id", [1015, 1256], "donor"),
        ("treatment", ["ctrl", "drug"], "condition"),
        ("response", ["Responder", "Non-responder"], "condition"),
        ("Tissue", ["healthy", "tumor"], "condition"),
        ("tissue", ["PBMC"], "tissue"),
        ("Library.prep.batch", ["round1", "round2"], "batch"),
        ("organism", ["Homo sapiens"], "species"),
        ("assay", ["10x 3' v3"], "protocol"),
    ],
)
def test_role_of_a_column(name, values, role):
    assert roles(**{name: values}) == {name: role}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("gender", ["M", "F"]),
        ("tsne1", np.linspace(0, 1, 60)),
        ("barcode", [f"cell{at}" for at in range(60)]),
        ("cell_type_ontology_term_id", ["CL:0000236", "CL:0000084"]),
    ],
)
def test_columns_without_a_role(name, values):
    assert roles(**{name: values}) == {}


def test_samples_stand_for_donors_only_where_none_are_named():
    found = roles(sample_id=["a", "b", "c"], patient=["p", "q"])
    assert found == {"sample_id": "batch", "patient": "donor"}
    assert roles(sample=["Day11_control", "Day11_drug"]) == {"sample": "batch"}


def test_a_condition_with_one_value_is_told():
    frame = pd.DataFrame({"treatment": ["erlotinib"] * 5})
    assert constant_conditions(frame) == [("treatment", "erlotinib")]
