import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse

from cellwright.evals import cells as cells_module
from cellwright.evals import doublets
from cellwright.evals.doublets import LIBRARY, THINNED, WHOLE, add, doublet_auroc, draw_doublets
from cellwright.evals.task import OURS, EvalContext, Unavailable
from tests.unit.evals.test_mixtures import make_file

N_GENES = 260


def toy_file(donors: bool = False):
    rng = np.random.default_rng(0)
    blocks = []
    for at in range(3):
        rate = np.full(N_GENES, 0.6)
        rate[at * 40 : at * 40 + 40] = 6.0
        blocks.append(rng.poisson(rate, size=(150, N_GENES)))
    base = make_file("one", 0, 60)
    names = np.repeat(np.array(["alpha cell", "beta cell", "gamma cell"], object), 150)
    obs = base.obs.iloc[[0] * 450].copy()
    obs["donor"] = ["d1", "d2", "d2"] * 150
    return dataclasses.replace(
        base,
        matrix=sparse.csr_matrix(np.concatenate(blocks).astype(np.float32)),
        keys=[f"G{at}" for at in range(N_GENES)],
        names=names,
        obs=obs,
        card=dataclasses.replace(base.card, donor_column="donor" if donors else ""),
    )


class ToyModel:
    """Calls each cell by the block of genes that it expresses most."""

    vocabulary = SimpleNamespace(
        positions=lambda keys: np.arange(len(keys)), __len__=lambda: N_GENES
    )

    def annotate(self, block, **_context):
        sums = [block[:, at * 40 : at * 40 + 40].sum(axis=1) for at in range(3)]
        best = np.argmax(np.column_stack([np.asarray(one).ravel() for one in sums]), axis=1)
        names = np.array(["alpha cell", "beta cell", "gamma cell"], object)
        return SimpleNamespace(labels=names[best])


@pytest.fixture
def context(monkeypatch):
    from cellwright.cellmodel.data import block

    files = {"toy": toy_file(), "gone": None}
    monkeypatch.setattr(cells_module, "read_file", lambda name, _context, *, seed: files[name])
    monkeypatch.setattr(block, "make_block", lambda cells, _keys, _vocabulary, _state: cells)
    found = EvalContext(Path(), seeds=2)
    found.__dict__["cell_model"] = ToyModel()
    return found


def test_rows_stand_beside_library_size(context):
    rows = {row.key: row for row in doublet_auroc(context, ["toy", "gone"])}
    figure = {key[2:]: row.mean for key, row in rows.items()}
    assert {key[1] for key in rows} == {"toy"}
    assert figure[WHOLE, "auroc", OURS] > 0.95
    assert figure[THINNED, "auroc", OURS] > 0.9
    assert abs(figure[THINNED, "auroc", LIBRARY] - 0.5) < 0.2
    assert figure[WHOLE, "flagged", OURS] < 0.05
    assert (WHOLE, "flagged", LIBRARY) not in figure
    assert figure[WHOLE, "doublets_found", OURS] > 0.5
    assert figure[THINNED, "doublets_found", OURS] > figure[THINNED, "doublets_found", LIBRARY]
    row = rows["annotation", "toy", WHOLE, "auroc", OURS]
    assert (row.n, row.seeds) == (round(0.05 * 450), 2)
    assert row.low <= row.mean <= row.high


def test_without_a_model_it_is_unavailable(context):
    context.__dict__["cell_model"] = None
    with pytest.raises(Unavailable, match="no checkpoint"):
        doublet_auroc(context, ["toy"])


def test_doublets_are_of_two_types_of_one_donor():
    file = toy_file(donors=True)
    samples = doublets.samples_of(file)
    assert set(samples) == {"d1", "d2"}
    first, second = draw_doublets(file.names, samples, np.random.default_rng(0))
    assert len(first) == round(0.05 * 450)
    assert (samples[first] == samples[second]).all()
    assert (file.names[first] != file.names[second]).all()


def test_thinning_keeps_half():
    file = toy_file()
    first, second = draw_doublets(file.names, doublets.samples_of(file), np.random.default_rng(0))
    whole = add(file.matrix, first, second, np.random.default_rng(1), thin=False)
    half = add(file.matrix, first, second, np.random.default_rng(1), thin=True)
    assert half.sum() / whole.sum() == pytest.approx(0.5, abs=0.02)
    assert ((whole - half).data >= 0).all()
