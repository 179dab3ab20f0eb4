from pathlib import Path

import numpy as np
import pytest

from cellwright.evals import cells as cells_module
from cellwright.evals import mixtures
from cellwright.evals.cells import CellFile
from cellwright.evals.mixtures import build_mixture
from cellwright.evals.task import EvalContext
from tests.unit.cellmodel.toys import CARDS, GENES, make_adata


def make_file(name: str, seed: int, genes: int) -> CellFile:
    adata = make_adata(n_per_type=30, seed=seed)[:, :genes]
    keys = list(adata.var_names)
    card = next(card for card in CARDS if card.name == name)
    log, own = cells_module._own_genes(adata.X, keys, card)
    order = np.random.default_rng(seed).permutation(len(adata))
    names = adata.obs["cell_type"].to_numpy().astype(object)
    if name == "two":
        names[names == "gamma cell"] = "delta cell"
        names[np.flatnonzero(names == "delta cell")[5:]] = "beta cell"
    return CellFile(
        card=card,
        matrix=adata.X,
        keys=keys,
        names=names,
        ids=names,
        parts={
            "train": np.sort(order[:60]),
            "valid": np.sort(order[60:65]),
            "test": np.sort(order[65:]),
        },
        log=log,
        genes=own,
        obs=adata.obs,
    )


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> dict[str, CellFile]:
    found = {"one": make_file("one", 0, 60), "two": make_file("two", 1, 40)}
    monkeypatch.setattr(mixtures, "read_file", lambda name, _context, seed: found.get(name))
    return found


def test_files_are_pooled_by_label_and_joined_by_gene(files: dict[str, CellFile]) -> None:
    mixture = build_mixture(EvalContext(Path()), "toy", ["one", "two", "gone"], seed=0)
    assert mixture is not None
    assert mixture.labels == ("alpha cell", "beta cell", "gamma cell")  # delta has 5 cells
    assert mixture.vocabulary.keys == GENES
    for part, name in ((mixture.train, "train"), (mixture.test, "test")):
        for at, file in enumerate(mixture.files):
            own = part.files == at
            assert set(part.rows[own]) <= set(file.parts[name])
            assert (file.names[part.rows[own]] == part.labels[own]).all()
            columns = [file.genes.index(key) for key in GENES if key in file.genes]
            np.testing.assert_allclose(
                part.expression[own].toarray()[:, : len(columns)],
                file.log[part.rows[own]].toarray()[:, columns],
                rtol=1e-6,
            )
    second = mixture.train.expression[mixture.train.files == 1].toarray()
    assert not second[:, 40:].any()  # genes that the second file does not have
    places = mixture.places(mixture.test)
    assert [mixture.labels[at] for at in places] == list(mixture.test.labels)


def test_types_are_capped_and_draws_follow_the_seed(files: dict[str, CellFile]) -> None:
    def draw(seed: int) -> mixtures.Mixture:
        found = build_mixture(
            EvalContext(Path()), "toy", ["one", "two"], seed=seed, per_class=7, test_per_class=3
        )
        assert found is not None
        return found

    first, again, other = draw(0), draw(0), draw(1)
    assert np.unique(first.train.labels, return_counts=True)[1].tolist() == [7, 7, 7]
    assert np.unique(first.test.labels, return_counts=True)[1].tolist() == [3, 3, 3]
    assert (first.train.rows == again.train.rows).all()
    assert first.train.rows.tolist() != other.train.rows.tolist()


def test_blocks_are_those_of_the_files(files: dict[str, CellFile]) -> None:
    mixture = build_mixture(EvalContext(Path()), "toy", ["one", "two"], seed=0)
    assert mixture is not None
    seen = np.concatenate(
        [where for where, _block in mixture.blocks(mixture.test, mixture.vocabulary)]
    )
    assert sorted(seen) == list(range(len(mixture.test)))
    for where, block in mixture.blocks(mixture.test, mixture.vocabulary):
        np.testing.assert_allclose(
            block.expression.toarray(), mixture.test.expression[where].toarray(), rtol=1e-5
        )


def test_without_files_there_is_no_mixture(files: dict[str, CellFile]) -> None:
    assert build_mixture(EvalContext(Path()), "toy", ["gone"], seed=0) is None
