import numpy as np
import pytest

from cellwright.cellmodel.data.registry import DATASETS, label_table, training_sets
from cellwright.cellmodel.data.splits import donor_split, random_split


def test_random_split_covers_every_cell_once() -> None:
    parts = random_split(101, seed=0)
    assert sorted(np.concatenate(list(parts.values()))) == list(range(101))
    assert len(parts["train"]) == 81
    again = random_split(101, seed=0)
    assert all((parts[name] == again[name]).all() for name in parts)


def test_donor_split_keeps_donors_apart() -> None:
    donors = np.repeat(["a", "b", "c"], 20)
    parts = donor_split(donors, ("b",), seed=0)
    assert set(donors[parts["test"]]) == {"b"}
    assert "b" not in donors[np.concatenate([parts["train"], parts["valid"]])]
    with pytest.raises(ValueError, match="nobody"):
        donor_split(donors, ("nobody",), seed=0)


def test_every_training_file_has_labels_and_the_demo_is_not_one() -> None:
    names = {card.name for card in training_sets()}
    assert "pbmc68k_reduced_700" not in names
    assert names <= set(label_table())
    assert len({card.name for card in DATASETS}) == len(DATASETS)
