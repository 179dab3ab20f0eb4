from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from cellwright.evals import trained
from cellwright.evals.metrics import auroc
from cellwright.evals.task import EvalRow, merge_seeds
from cellwright.evals.unseen_types import random_vectors


def test_texts_are_embedded_once_and_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trained, "MANY_TEXTS", 1)
    asked: list[list[str]] = []

    def embed(texts: Sequence[str]) -> np.ndarray:
        asked.append(list(texts))
        return np.array([[len(text), 1.0] for text in texts], dtype=np.float32)

    memo = trained.TextMemo(embed, tmp_path / "texts.npz")
    assert memo(["bb", "a", "bb"]).tolist() == [[2, 1], [1, 1], [2, 1]]
    again = trained.TextMemo(embed, tmp_path / "texts.npz")
    assert again(["a", "ccc"]).tolist() == [[1, 1], [3, 1]]
    assert asked == [["a", "bb"], ["ccc"]]


def test_seeds_are_merged_to_mean_and_range() -> None:
    def row(mean: float, data: str = "d") -> EvalRow:
        keys = {"suite": "s", "data": data, "split": "random", "metric": "m", "system": "x"}
        return EvalRow(**keys, mean=mean, low=0.0, high=1.0, n=10)

    merged = merge_seeds([[row(0.2), row(0.9, "once")], [row(0.4)], [row(0.6)]])
    first = merged[0]
    assert (round(first.mean, 6), first.low, first.high, first.seeds) == (0.4, 0.2, 0.6, 3)
    assert (merged[1].low, merged[1].seeds) == (0.0, 1)


def test_auroc_counts_ties_half() -> None:
    assert auroc(np.array([3.0, 2.0]), np.array([1.0, 0.0])) == 1.0
    assert auroc(np.array([1.0, 1.0]), np.array([1.0])) == 0.5


def test_vectors_without_meaning_are_repeatable_units() -> None:
    table = random_vectors(["T cell", "B cell", "T cell"])
    assert np.allclose(np.linalg.norm(table, axis=1), 1)
    assert (table[0] == table[2]).all()
    assert abs(table[0] @ table[1]) < 0.3
