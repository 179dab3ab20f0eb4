"""The leakage audit finds what is planted."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cellwright.evals.suites import leakage
from cellwright.evals.task import OURS, EvalContext

GENES = tuple(f"g{at}" for at in range(300))


def file(name, *, seed, split="random", cells=40, log=None, index=None):
    draw = np.random.default_rng(seed)
    if log is None:
        log = draw.poisson(1.0, (cells, len(GENES))).astype(float)
    donors = [f"d{at % 4}" for at in range(cells)]
    index = index or [f"{name}-{at}" for at in range(cells)]
    card = SimpleNamespace(
        name=name, species="human", state="counts", excluded="", donor_column="donor", split=split
    )
    parts = {"train": np.arange(30), "valid": np.arange(30, 32), "test": np.arange(32, cells)}
    return SimpleNamespace(
        card=card,
        split=split,
        log=sparse.csr_matrix(log),
        genes=GENES,
        parts=parts,
        obs=pd.DataFrame({"donor": donors}, index=index),
    )


@pytest.fixture
def counts(monkeypatch, tmp_path):
    def count(*files):
        known = {one.card.name: one for one in files}
        cards = tuple(one.card for one in files)
        monkeypatch.setattr("cellwright.cellmodel.data.registry.DATASETS", cards)
        monkeypatch.setattr(leakage, "read_file", lambda name, *_args, **_more: known[name])
        rows = leakage.run(EvalContext(data_dir=tmp_path))
        return {(row.data, row.metric, row.system): row.mean for row in rows}

    return count


def test_clean_files_are_clean(counts):
    found = counts(file("a", seed=0), file("b", seed=1))
    assert set(found.values()) == {0}


def test_a_cell_twice_in_a_file_is_found_and_dropped(counts):
    log = np.random.default_rng(0).poisson(1.0, (40, 300)).astype(float)
    log[35] = log[3]
    found = counts(file("a", seed=0, log=log))
    assert found["a", "near_duplicates", leakage.DRAWN] == 1
    assert found["a", "near_duplicates", OURS] == 0


def test_a_test_cell_that_trains_through_another_file_is_found(counts):
    first, second = file("a", seed=0), file("b", seed=1)
    second.log = sparse.vstack([first.log[33], second.log[1:]]).tocsr()
    found = counts(first, second)
    assert found["a", "near_duplicates_elsewhere", OURS] == 1
    assert found["b", "near_duplicates_elsewhere", OURS] == 0


def test_donors_on_both_sides_are_counted(counts):
    found = counts(file("a", seed=0, split="donor"))
    assert found["a", "shared_donors", OURS] == 4  # this toy split ignores donors


def test_two_tasks_on_one_file_are_compared_by_cell(counts):
    first = file("a", seed=0)
    index = list(first.obs.index[20:]) + [f"x{at}" for at in range(20)]
    second = file("a:response", seed=1, index=index)
    found = counts(first, second)
    assert found["a", "trained_for_another_task", OURS] == 8
    assert found["a:response", "trained_for_another_task", OURS] == 0
