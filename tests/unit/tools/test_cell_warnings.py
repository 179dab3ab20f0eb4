import json

import numpy as np
import pandas as pd
import pytest

from cellwright.agent.claims import bind, bind_table
from cellwright.tools.cell_warnings import NO_COUNTS, summarise, warn_of_cells
from cellwright.tools.doublets import Doublets
from cellwright.tools.quality import FEW_COUNTS, FEW_GENES, Quality
from tests.unit.tools.factory import make_adata, make_bench

N = 100


def said(warnings):
    result = {"warnings": json.loads(warnings.model_dump_json())}
    for table in warnings.report_tables("warnings"):
        bind_table(table, "re_0", result)
    return [bind(claim, "re_0", result, frozenset()).text for claim in warnings.claims("warnings")]


def make_quality(low=()):
    few = np.zeros(N, dtype=bool)
    few[list(low)] = True
    return Quality(
        totals=np.ones(N), n_genes=np.ones(N), mitochondrial=None, counted=True,
        broken={FEW_COUNTS: few, FEW_GENES: np.zeros(N, dtype=bool)},
    )  # fmt: skip


def make_doublets(flagged=(), skipped=(), scored=True):
    score = np.full(N, 0.1 if scored else np.nan, dtype=np.float32)
    score[list(flagged)] = 0.99
    partners = np.full(N, None, dtype=object)
    for at, row in enumerate(flagged):
        partners[row] = ("B cell", "T cell") if at % 4 else None
    return Doublets(score=score, partners=partners, skipped=skipped)


def summary(quality, doublets, column=""):
    clusters = pd.Series(["a"] * 80 + ["b"] * 20, dtype="category")
    labels = np.array(["T cell"] * 80 + ["B cell"] * 20, dtype=object)
    return summarise(quality, doublets, labels, clusters, column)


def test_a_cluster_of_doublets_is_named_with_its_types():
    found = summary(make_quality(), make_doublets([0, *range(80, 90)]))
    assert found.n_doublets == 11
    assert [(one.types, one.n_cells) for one in found.pairs] == [("B cell and T cell", 8)]
    assert [(one.cluster, one.what, one.n_flagged) for one in found.clusters] == [
        ("b", "doublets", 10)
    ]
    text = said(found)
    assert any("50% of cluster b (B cell)" in one and "B cell and T cell" in one for one in text)
    assert any("11 cells (11.0%)" in one and "kept" in one for one in text)


def test_a_few_flagged_cells_do_not_name_a_cluster():
    assert not summary(make_quality(), make_doublets(range(80, 83))).clusters


def test_low_quality_says_by_which_rule_and_beside_whom():
    found = summary(make_quality(range(80, 95)), make_doublets(), "donor")
    text = said(found)
    assert any("15 cells (15.0%)" in one and "few counts (15)" in one for one in text)
    assert any("rest of their `donor`" in one for one in text)
    assert any("75% of cluster b" in one and "few counts" in one for one in text)
    assert not any("few genes (" in one for one in text)


def test_nothing_flagged_is_nothing_said():
    assert said(summary(make_quality(), make_doublets())) == []


def test_samples_left_out_are_named():
    part = make_doublets([1], skipped=(("d1", "30 cells, and 100 are needed"),))
    assert any("d1 (30 cells" in one for one in said(summary(make_quality(), part)))
    none = make_doublets(skipped=(("", "few genes"),), scored=False)
    assert said(summary(make_quality(), none)) == ["Doublets were not looked for: few genes."]


@pytest.mark.parametrize("counted", [True, False])
def test_flags_are_columns_and_cells_stay(tmp_path, counted):
    adata = make_adata(120)
    if not counted:
        adata.X = np.log1p(adata.X.toarray() * 1.5)
    bench = make_bench(adata, tmp_path)
    working = bench.adata()
    labels = working.obs["cell_type"].astype(str).to_numpy(dtype=object)
    clusters = working.obs["cell_type"].astype("category")
    found = warn_of_cells(working, labels, clusters, bench)
    assert working.n_obs == 120
    assert working.obs["cellwright_low_quality"].dtype == bool
    assert "genes were measured" in found.why_no_doublets if counted else NO_COUNTS
    assert "cellwright_doublet" not in working.obs
