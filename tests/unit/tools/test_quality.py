import numpy as np
import pytest
from scipy import sparse

from cellwright.tools.quality import FEW_COUNTS, FEW_GENES, MITO, measure_quality, write_quality
from tests.unit.tools.factory import GENES, make_adata, make_bench


def working(tmp_path, change, *, donors=0, n=120):
    adata = make_adata(n, donors=donors)
    dense = adata.X.toarray()
    change(dense)
    adata.X = sparse.csr_matrix(dense)
    return make_bench(adata, tmp_path).adata()


def lose(dense):
    dense[0] = 0
    dense[0, 20:23] = 1
    mito = [GENES.index("MT-CO1"), GENES.index("MT-ND1")]
    dense[1, mito] = 90


def test_each_rule_flags_its_cell(tmp_path):
    adata = working(tmp_path, lose)
    found = measure_quality(adata)
    assert np.flatnonzero(found.flags).tolist() == [0, 1]
    assert found.reasons[0] == f"{FEW_COUNTS}; {FEW_GENES}"
    assert found.reasons[1] == MITO
    assert found.reasons[2] == ""
    write_quality(adata, found)
    assert adata.obs["cellwright_low_quality"].sum() == 2
    assert adata.obs["cellwright_low_quality_reason"].dtype == "category"


def test_cells_are_held_against_their_own_sample(tmp_path):
    def half(dense):
        dense[60:] = np.random.default_rng(0).binomial(dense[60:].astype(int), 0.12)
        dense[0] = dense[60]

    adata = working(tmp_path, half)
    samples = np.array(["deep"] * 60 + ["shallow"] * 60, dtype=object)
    alone = measure_quality(adata, samples)
    assert alone.broken[FEW_COUNTS][0]
    assert alone.broken[FEW_COUNTS].sum() <= 3
    assert not measure_quality(adata).broken[FEW_COUNTS][0]


def test_samples_of_few_cells_are_judged_together(tmp_path):
    adata = working(tmp_path, lose)
    samples = np.array([f"s{at % 10}" for at in range(120)], dtype=object)
    assert np.flatnonzero(measure_quality(adata, samples).flags).tolist() == [0, 1]


def test_totals_of_logarithms_break_no_rule(tmp_path):
    adata = make_adata()
    adata.X = np.log1p(adata.X.toarray() * 1.5)
    found = measure_quality(make_bench(adata, tmp_path).adata())
    assert set(found.broken) == {FEW_GENES}
    assert found.mitochondrial is None
    assert not found.counted


@pytest.mark.parametrize("value", [1, 5])
def test_cells_that_are_all_alike_are_not_flagged(tmp_path, value):
    def same(dense):
        dense[:] = value
        dense[3, 0] = 0

    assert not measure_quality(working(tmp_path, same)).flags.any()
