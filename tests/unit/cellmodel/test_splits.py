import numpy as np
import pytest
from scipy import sparse

from cellwright.cellmodel.data.registry import DATASETS, label_table, training_sets
from cellwright.cellmodel.data.splits import donor_split, near_duplicates, random_split


def test_random_split_covers_every_cell_once() -> None:
    parts = random_split(100, seed=0)
    assert sorted(np.concatenate(list(parts.values()))) == list(range(100))
    assert {part: len(cells) for part, cells in parts.items()} == {
        "train": 75,
        "valid": 5,
        "test": 20,
    }
    again = random_split(100, seed=0)
    assert all((parts[name] == again[name]).all() for name in parts)
    assert (parts["test"] != random_split(100, seed=1)["test"]).any()


def test_donor_split_keeps_donors_apart() -> None:
    donors = np.repeat(["a", "b", "c", "d", "e"], 20)
    parts = donor_split(donors, seed=0)
    tested = set(donors[parts["test"]])
    assert len(tested) == 1
    assert not tested & set(donors[np.concatenate([parts["train"], parts["valid"]])])
    assert {frozenset(donors[donor_split(donors, seed=s)["test"]]) for s in range(9)} > {
        frozenset(tested)
    }
    with pytest.raises(ValueError, match="found 1"):
        donor_split(np.repeat(["a"], 20), seed=0)


def test_a_training_cell_that_is_also_tested_is_found() -> None:
    rng = np.random.default_rng(0)
    profiles = rng.poisson(1.0, size=(30, 40)).astype(np.float32)
    parts = random_split(30, seed=0)
    train, test = parts["train"][4], parts["test"][0]
    profiles[train] = 2 * profiles[test]  # the same cell, sequenced deeper
    found = near_duplicates(sparse.csr_matrix(profiles), parts)
    assert found.tolist() == [train]


def test_every_training_file_has_labels_and_the_demo_is_not_one() -> None:
    names = {card.name for card in training_sets()}
    assert {card.task for card in training_sets()} == {"cell type", "drug response"}
    assert all(card.task == "cell type" for card in training_sets("cell type"))
    assert "pbmc68k_reduced_700" not in names
    assert names <= set(label_table())
    assert len({card.name for card in DATASETS}) == len(DATASETS)
