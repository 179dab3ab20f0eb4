import numpy as np
import pandas as pd
import pytest

from cellwright.knowledge import Knowledge
from cellwright.tools.agreement import agreement

B, T, CD8 = "CL:0000236", "CL:0000084", "CL:0000625"


def compare(truth, calls, ids):
    labels = pd.Series(truth, name="cell_type", dtype="category")
    return agreement(
        labels, np.array(calls, dtype=object), np.array(ids, dtype=object), Knowledge.open(),
        species="human", tissue=None,
    )  # fmt: skip


def test_exact_related_unknown_and_wrong():
    found = compare(
        ["B cell"] * 2 + ["T cell"] * 2,
        ["B cell", "unknown", "CD8 T cell", "B cell"],
        [B, "", CD8, B],
    )
    assert (found.exact, found.related) == (0.25, 0.5)
    assert (found.n_labels, found.n_mapped, found.n_cells) == (2, 2, 4)
    assert [row.exact for row in found.per_label] == [0.5, 0.0]


def test_labels_without_a_term_count_where_words_agree():
    found = compare(["H1975", "H1975", "zzzqq"], ["H1975", "B cell", "B cell"], ["", B, B])
    assert found.n_mapped == 0
    assert set(found.unmapped) == {"H1975", "zzzqq"}
    assert found.n_cells == 2
    assert found.exact == pytest.approx(0.5)


def test_nothing_can_be_said_of_unmapped_labels():
    assert compare(["zzzqq"] * 2, ["B cell"] * 2, [B, B]) is None


def test_an_alias_of_the_call_agrees_whatever_its_term():
    labels = pd.Series(["FCGR3A+ Mono", "B cell"], name="cell_type", dtype="category")
    calls = np.array(["CD16-positive monocyte", "T cell"], dtype=object)
    found = agreement(
        labels, calls, np.array(["CL:0002397", T], dtype=object), Knowledge.open(),
        species="human", tissue=None, aliases={"FCGR3A+ Mono": "CD16-positive monocyte"},
    )  # fmt: skip
    assert {row.label: row.exact for row in found.per_label} == {"FCGR3A+ Mono": 1, "B cell": 0}
    assert (found.lowest, found.lowest_n_cells) == ("B cell", 1)
