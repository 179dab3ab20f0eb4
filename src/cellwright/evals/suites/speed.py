"""Speed: cells per second of whole calls, normalisation included, on cells made here."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from cellwright.evals.metrics import over_seeds
from cellwright.evals.task import OURS, EvalContext, EvalRow

SUITE = "speed"
CELLS, GENES, EXPRESSED, TYPES = 4000, 20_000, 1500, 12
DATA = f"{CELLS:,} x {GENES:,} CSR"


def run(context: EvalContext) -> list[EvalRow]:
    """Annotate against logistic regression and neighbours; describe by itself."""
    names = _gene_names(context)
    counts, labels = make_counts(CELLS, len(names), seed=0)
    rows = []
    for system, work in _systems(context, names, counts, labels).items():
        context.say(f"{SUITE}: {system}")
        work()
        rates = []
        for _ in range(context.seeds):
            begin = time.perf_counter()
            work()
            rates.append(CELLS / (time.perf_counter() - begin))
        rows.append(_row("annotate", system, rates))
    context.say(f"{SUITE}: describe")
    rows.append(_row("describe", OURS, _describe(context, names, counts)))
    return rows


def make_counts(n_cells: int, n_genes: int, *, seed: int) -> tuple[Any, np.ndarray]:
    """Sparse counts of cells with types, and the types: only their size and sparsity matter."""
    from scipy import sparse

    rng = np.random.default_rng(seed)
    size = min(EXPRESSED, n_genes)
    indices = np.concatenate(
        [np.sort(rng.choice(n_genes, size, replace=False)) for _ in range(n_cells)]
    )
    data = rng.geometric(0.5, size=n_cells * size).astype(np.float32)
    indptr = np.arange(0, n_cells * size + 1, size)
    labels = rng.integers(0, TYPES, n_cells).astype(str).astype(object)
    return sparse.csr_matrix((data, indices, indptr), shape=(n_cells, n_genes)), labels


def _gene_names(context: EvalContext) -> list[str]:
    """Real human symbols: the model's own first, then any others that resolve."""
    model = context.cell_model
    own = [key for key in model.vocabulary.keys if ":" not in key] if model else []
    return [*own, *(f"GENE{at}" for at in range(GENES))][:GENES]


def _systems(
    context: EvalContext,
    names: list[str],
    counts: Any,
    labels: np.ndarray,
) -> dict[str, Callable[[], object]]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    from cellwright.tools.matrices import log_cp10k

    # What is timed is prediction, so a small training set serves; fitting is not in the figure.
    train, some = log_cp10k(counts[:600]), labels[:600].astype(str)
    logistic = LogisticRegression(C=1.0, max_iter=30).fit(train, some)
    neighbours = KNeighborsClassifier(n_neighbors=15).fit(train, some)
    found: dict[str, Callable[[], object]] = {
        "logistic": lambda: logistic.predict_proba(log_cp10k(counts)),
        "knn": lambda: neighbours.predict(log_cp10k(counts)),
    }
    model = context.cell_model
    if model is not None:
        from cellwright.cellmodel.data.block import make_block

        def annotate() -> object:
            keys = context.knowledge.genes.keys(names, "human")
            return model.annotate(make_block(counts, keys, model.vocabulary, "counts"))

        found = {OURS: annotate, **found}
    return found


def _describe(context: EvalContext, names: list[str], counts: Any) -> list[float]:
    from anndata import AnnData

    from cellwright.tools.workbench import Workbench

    adata = AnnData(counts)
    adata.var_names = names
    rates = []
    with TemporaryDirectory() as folder:
        path = Path(folder) / "speed.h5ad"
        adata.write_h5ad(path)
        for at in range(context.seeds):
            begin = time.perf_counter()
            Workbench.open(path, folder=Path(folder) / str(at), settings=context.settings)
            rates.append(CELLS / (time.perf_counter() - begin))
    return rates


def _row(split: str, system: str, rates: list[float]) -> EvalRow:
    return EvalRow(
        suite=SUITE,
        data=DATA,
        split=split,
        metric="cells_per_s",
        system=system,
        **over_seeds(rates, CELLS).model_dump(),
    )
