"""Speed and memory: whole calls, normalisation included, on cells made here."""

from __future__ import annotations

import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from cellwright.evals.baselines import LabelledCells, celltypist_predictor
from cellwright.evals.metrics import over_seeds
from cellwright.evals.task import OURS, EvalContext, EvalRow, Unavailable
from cellwright.settings import Settings

SUITE = "speed"
CELLS, GENES, EXPRESSED, TYPES = 4000, 20_000, 1500, 12
SLOW_CELLS = {"cellwright-lm": 64, "t5-base": 32}
"""Systems that are timed on fewer cells, because all would take minutes."""
MEMORY_CELLS = (2000, 8000, 32_000)
DATA = f"{CELLS:,} x {GENES:,} CSR"


def run(context: EvalContext) -> list[EvalRow]:
    """Cells a second of every system, of describing a file, and peak memory of streaming."""
    names = _gene_names(context)
    counts, labels = make_counts(CELLS, len(names), seed=0)
    rows = []
    for system, work in _systems(context, names, counts, labels).items():
        context.say(f"{SUITE}: {system}")
        work()
        size, rates = SLOW_CELLS.get(system, CELLS), []
        for _ in range(context.seeds):
            begin = time.perf_counter()
            work()
            rates.append(size / (time.perf_counter() - begin))
        rows.append(_row("annotate", system, rates, size))
    context.say(f"{SUITE}: describe")
    rows.append(_row("describe", OURS, _describe(context, names, counts), CELLS))
    return rows + _memory(context)


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

    from cellwright.cellmodel.modeling.t5_cost import make_annotator
    from cellwright.tools.matrices import log_cp10k

    # What is timed is prediction, so a small training set serves; fitting is not in the figure.
    train, some = log_cp10k(counts[:600]), labels[:600].astype(str)
    logistic = LogisticRegression(C=1.0, max_iter=30).fit(train, some)
    neighbours = KNeighborsClassifier(n_neighbors=15).fit(train, some)
    encoder_decoder = make_annotator(len(names))
    found: dict[str, Callable[[], object]] = {
        "logistic": lambda: logistic.predict_proba(log_cp10k(counts)),
        "knn": lambda: neighbours.predict(log_cp10k(counts)),
        "t5-base": lambda: encoder_decoder(
            np.asarray(log_cp10k(counts[: SLOW_CELLS["t5-base"]]).todense(), dtype=np.float32)
        ),
    }
    try:
        cells = LabelledCells(
            train=train, train_labels=some, test=train, test_labels=some, genes=tuple(names)
        )
        typist = celltypist_predictor(cells)
        found["celltypist"] = lambda: typist(log_cp10k(counts))
    except Unavailable as error:
        context.say(f"{SUITE}: celltypist left out: {error}")
    model = context.cell_model
    if model is None:
        return found
    from cellwright.cellmodel.data.block import make_block

    def block(size: int) -> Any:
        keys = context.knowledge.genes.keys(names, "human")
        return make_block(counts[:size], keys, model.vocabulary, "counts")

    if model.checkpoint.language:
        slow = SLOW_CELLS["cellwright-lm"]
        found = {
            "cellwright-lm": lambda: model.answers(block(slow), "Which cell type is {input}?"),
            **found,
        }
    return {OURS: lambda: model.annotate(block(CELLS)), **found}


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


def _memory(context: EvalContext) -> list[EvalRow]:
    """Peak memory of a process that streams a file, for files of growing size."""
    if context.cell_model is None:
        return []
    from anndata import AnnData

    names = _gene_names(context)
    counts, _labels = make_counts(MEMORY_CELLS[0], len(names), seed=0)
    rows = []
    for size in MEMORY_CELLS:
        from scipy import sparse

        context.say(f"{SUITE}: memory, {size:,} cells")
        with TemporaryDirectory() as folder:
            path = Path(folder) / "cells.h5ad"
            adata = AnnData(sparse.vstack([counts] * (size // MEMORY_CELLS[0])).tocsr())
            adata.var_names = names
            adata.write_h5ad(path)
            done = subprocess.run(
                [sys.executable, "-m", "cellwright.evals.suites.speed", str(path)],
                capture_output=True,
                text=True,
                check=True,
            )
        peak = float(done.stdout.split()[-1])
        row = _row("stream", OURS, [peak], size)
        rows.append(row.model_copy(update={"metric": "peak_mb", "data": f"{size:,} cells"}))
    return rows


def stream_peak(path: Path) -> float:
    """Stream a file through the shipped model; peak memory of this process in MB."""
    from cellwright.cellmodel.inference import CellModel
    from cellwright.cellmodel.streaming import stream
    from cellwright.knowledge import Knowledge

    settings = Settings()
    knowledge = Knowledge.open(settings)
    model = CellModel.load(settings, embed=knowledge.embed)
    for _ in stream(model, path, lambda names: knowledge.genes.keys(names, "human"), "counts"):
        pass
    return peak_mb()


def peak_mb() -> float:
    """Peak memory of this process, in MB.

    Linux counts in ``ru_maxrss`` what the parent held when it forked, so its own record of the
    address space is read there.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="utf-8"))
        if found:
            return int(found[1]) / 1024
    scale = 1024**2 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


def _row(split: str, system: str, rates: list[float], n: int) -> EvalRow:
    return EvalRow(
        suite=SUITE,
        data=DATA,
        split=split,
        metric="cells_per_s",
        system=system,
        **over_seeds(rates, n).model_dump(),
    )


if __name__ == "__main__":
    sys.stdout.write(f"{stream_peak(Path(sys.argv[1])):.1f}\n")
