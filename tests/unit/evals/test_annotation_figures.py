from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from cellwright.evals import annotation_figures
from cellwright.evals.annotation_figures import (
    by_size,
    components,
    draw_overview,
    draw_pair,
    sample_cells,
)
from tests.unit.evals.test_mixtures import make_file


@pytest.fixture(autouse=True)
def no_umap(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """UMAP takes half a minute to compile, so maps of toys are their first two components."""
    seen: list[np.ndarray] = []

    def project(vectors: np.ndarray) -> np.ndarray:
        seen.append(vectors)
        return vectors[:, :2]

    monkeypatch.setattr(annotation_figures, "project", project)
    return seen


def read(path: Path) -> np.ndarray:
    from matplotlib.image import imread

    return imread(path)


def test_pair_and_confusion_are_drawn(tmp_path: Path, no_umap: list[np.ndarray]) -> None:
    file = make_file("one", 0, 60)
    rows = file.parts["test"]
    guess = file.names[rows].copy()
    guess[:3] = "unknown"
    pair, confusion = draw_pair(file, rows, guess, tmp_path)
    assert pair.name == "annotation_map_one.png"
    assert read(pair).shape[1] > read(pair).shape[0] > 300
    assert read(confusion).std() > 0.05
    assert no_umap[0].shape == (len(rows), len(rows) - 1)


def test_a_given_embedding_is_what_the_map_is_of(tmp_path: Path, no_umap: list) -> None:
    file = make_file("one", 0, 60)
    rows = file.parts["test"]
    given = np.random.default_rng(0).normal(size=(len(rows), 8))
    draw_pair(file, rows, file.names[rows], tmp_path, embedding=given)
    np.testing.assert_array_equal(no_umap[0], given)


def test_equal_predictions_are_equal_files(tmp_path: Path) -> None:
    file = make_file("one", 0, 60)
    rows = file.parts["test"]
    first, _ = draw_pair(file, rows, file.names[rows], tmp_path / "a")
    again, _ = draw_pair(file, rows, file.names[rows], tmp_path / "b")
    assert first.read_bytes() == again.read_bytes()


@dataclass
class ToyModel:
    asked: int = 0
    vocabulary: object = None

    def annotate(self, block: np.ndarray) -> "ToyModel":
        self.asked += len(block)
        self.embedding = np.random.default_rng(0).normal(size=(len(block), 4))
        return self


def test_overview_shows_test_cells_of_every_set(
    tmp_path: Path, no_umap: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [make_file("one", 0, 60), make_file("two", 1, 40)]
    for file in files:
        monkeypatch.setattr(type(file), "block", lambda _self, _vocabulary, rows: rows)
    model = ToyModel()
    path = draw_overview(files, model, tmp_path)
    assert model.asked == len(no_umap[0]) == sum(len(one.parts["test"]) for one in files)
    assert read(path).shape[0] > 600


def test_large_sets_give_more_cells_and_small_ones_some() -> None:
    origin = np.repeat([0, 1, 2], [5000, 400, 5])
    picked = sample_cells(origin, 300)
    counts = np.bincount(origin[picked])
    assert len(picked) <= 300
    assert counts[0] > counts[1] > counts[2] == 5
    np.testing.assert_array_equal(picked, sample_cells(origin, 300))
    np.testing.assert_array_equal(sample_cells(origin, 6000), np.arange(5405))


def test_components_separate_the_types() -> None:
    file = make_file("one", 0, 60)
    points = components(file.log)
    means = {name: points[file.names == name, :2].mean(axis=0) for name in file.labels}
    spread = max(points[file.names == name, :2].std() for name in file.labels)
    gaps = [np.linalg.norm(means[a] - means[b]) for a in means for b in means if a < b]
    assert min(gaps) > 2 * spread


def test_labels_are_ordered_by_size() -> None:
    assert by_size(np.array(["b", "a", "b", "c", "a", "b"], object)) == ["b", "a", "c"]
