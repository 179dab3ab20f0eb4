"""Tells what a matrix holds, picks the one to read, and brings it to a common scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cellwright.errors import InputError
from cellwright.tools.passport import Matrix
from cellwright.tools.spec import MatrixState

if TYPE_CHECKING:
    from anndata import AnnData

SAMPLE_ROWS = 2000
"""Rows that are looked at; spread over the file, because files are often sorted by sample."""

MAX_LOGGED = 50.0
"""No logarithm of an expression value is larger."""

MAX_LN = 9.3
"""Just above ln(1 + 10,000): where cells do not sum to one target, larger values are base 2."""

CONSTANT = 0.02
"""Coefficient of variation under which row sums count as one target."""

MAX_MISSING = 0.05
"""Share of values that may be no number before the file is turned down."""

PARTIAL_LAYERS = ("spliced", "unspliced", "ambiguous", "intron", "exon", "velocity", "matrix_un")
"""Names of layers that hold only part of a cell's transcripts, or something derived."""

PREFERENCE: dict[MatrixState, int] = {"counts": 0, "log1p": 1, "tpm": 2}
TARGET_SUM = 10_000.0


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A matrix of a file, with the names of its genes.

    Attributes:
        name: ``X``, ``raw`` or ``layers/NAME``.
        values: (B, G), dense or sparse.
        from_raw: Whether its genes are those of ``raw.var``.
    """

    name: str
    values: Any
    from_raw: bool = False


def slots_of(adata: AnnData) -> list[Slot]:
    """Every expression matrix of a file, X first."""
    found = []
    if adata.X is not None:
        found.append(Slot(name="X", values=adata.X))
    if adata.raw is not None:
        found.append(Slot(name="raw", values=adata.raw.X, from_raw=True))
    found += [
        Slot(name=f"layers/{name}", values=adata.layers[name]) for name in adata.layers if name
    ]
    return found


def describe_slot(slot: Slot) -> Matrix:
    """Say what a matrix holds, and what says so."""
    state, evidence = detect_state(slot.values)
    return Matrix(slot=slot.name, state=state, n_genes=int(slot.values.shape[1]), evidence=evidence)


def choose_best(matrices: list[Matrix]) -> str:
    """The slot that tools read: counts before log1p before TPM, then the one with more genes."""
    usable = [
        (PREFERENCE[matrix.state], -matrix.n_genes, order, matrix.slot)
        for order, matrix in enumerate(matrices)
        if matrix.state in PREFERENCE and not is_partial(matrix.slot)
    ]
    return min(usable)[3] if usable else ""


def is_partial(slot: str) -> bool:
    """Whether a layer's name says that it holds only part of the transcripts."""
    name = slot.removeprefix("layers/").lower()
    return slot.startswith("layers/") and name.startswith(PARTIAL_LAYERS)


def detect_state(matrix: Any) -> tuple[MatrixState, str]:
    """Tell counts, log1p, TPM-like and scaled values apart by the values alone.

    Args:
        matrix: (B, G), dense or sparse.
    """
    rows = _sample(matrix)
    values = _stored(rows)
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return ("unknown", "it holds no value other than zero or NaN")
    low, high = float(finite.min()), float(finite.max())
    if low < 0:
        return _negative(rows, low, high)
    sums = _row_sums(rows)
    if bool(np.all(finite == np.rint(finite))) and high > 0:
        return _whole(sums, high)
    if high > MAX_LOGGED:
        return _linear(sums, high)
    return _logged(rows, high)


def _whole(sums: np.ndarray, high: float) -> tuple[MatrixState, str]:
    if _is_constant(sums) and sums.mean() >= 1e5:
        return ("tpm", f"whole numbers, but every cell sums to {sums.mean():,.0f}")
    return (
        "counts",
        f"whole numbers from 0 to {high:,.0f}; cells sum to {sums.min():,.0f} to {sums.max():,.0f}",
    )


def _linear(sums: np.ndarray, high: float) -> tuple[MatrixState, str]:
    if _is_constant(sums):
        return ("tpm", f"every cell sums to {sums.mean():,.0f}, not logged (up to {high:,.0f})")
    return (
        "tpm",
        f"fractions up to {high:,.0f}, not logged; cells sum to {sums.min():,.0f} to "
        f"{sums.max():,.0f}, so genes were left out or abundances estimated",
    )


def _negative(rows: Any, low: float, high: float) -> tuple[MatrixState, str]:
    dense = np.nan_to_num(_dense(rows))
    means, spread = dense.mean(axis=0), dense.std(axis=0)
    middle = float(np.median(np.abs(means)))
    if middle < 0.25:
        return (
            "scaled",
            f"values from {low:.2f} to {high:.2f}; genes centre on zero (median |mean| "
            f"{middle:.2f}) with standard deviation {float(np.median(spread)):.2f}: z-scores",
        )
    return (
        "scaled",
        f"values from {low:.2f} to {high:.2f}: negative numbers are centred, regressed or "
        "corrected values, not expression",
    )


def _logged(rows: Any, high: float) -> tuple[MatrixState, str]:
    dense = np.nan_to_num(_dense(rows)).astype(np.float64)
    natural = np.expm1(dense).sum(axis=1)
    if _is_constant(natural):
        return (
            "log1p",
            f"undone by expm1, every cell sums to {natural.mean():,.0f} (largest value {high:.2f})",
        )
    binary = np.exp2(dense).sum(axis=1) - dense.shape[1]
    if _is_constant(binary):
        return (
            "log1p",
            f"logarithms to base 2: undone, every cell sums to {binary.mean():,.0f} (largest "
            f"value {high:.2f})",
        )
    doubt = f"; values above {MAX_LN} point to base 2" if high > MAX_LN else ""
    return (
        "log1p",
        f"fractions from 0 to {high:.2f}, too small not to be logged; undone by expm1, cells sum "
        f"to {natural.min():,.3g} to {natural.max():,.3g}, so the target is not known or genes "
        f"were left out{doubt}",
    )


def is_binary_log(evidence: str) -> bool:
    """Whether ``detect_state`` took the logarithms for base 2."""
    return "base 2" in evidence


def clean(matrix: Any, file: str) -> tuple[Any, int]:
    """Return a float32 CSR copy in which NaN and infinite values are zero, and their number.

    Raises:
        InputError: So many values are no number that the rest cannot be trusted.
    """
    from scipy import sparse

    copy = sparse.csr_matrix(matrix, dtype=np.float32, copy=True)
    bad = ~np.isfinite(copy.data)
    missing = int(bad.sum())
    if missing > MAX_MISSING * max(copy.data.size, 1):
        msg = (
            f"{file}: {missing:,} of {copy.data.size:,} stored values are NaN or infinite. Give a "
            "matrix of numbers; zero stands for a gene that was not seen."
        )
        raise InputError(msg)
    if missing:
        copy.data[bad] = 0
    copy.eliminate_zeros()
    return copy, missing


def log_cp10k(matrix: Any) -> Any:
    """log1p of counts (or TPM) scaled to 10,000 in every cell; empty cells stay empty."""
    from scipy import sparse

    result = sparse.csr_matrix(matrix, dtype=np.float32, copy=True)
    sums = np.asarray(result.sum(axis=1)).ravel()
    scale = np.divide(TARGET_SUM, sums, out=np.zeros_like(sums), where=sums > 0)
    result.data *= np.repeat(scale, np.diff(result.indptr)).astype(np.float32)
    np.log1p(result.data, out=result.data)
    return result


def _sample(matrix: Any) -> Any:
    n = matrix.shape[0]
    if n <= SAMPLE_ROWS:
        return matrix[:]
    return matrix[np.linspace(0, n - 1, SAMPLE_ROWS).astype(int)]


def _stored(rows: Any) -> np.ndarray:
    values = rows.data if hasattr(rows, "indptr") else np.asarray(rows).ravel()
    return np.asarray(values, dtype=np.float64)


def _dense(rows: Any) -> np.ndarray:
    return rows.toarray() if hasattr(rows, "toarray") else np.asarray(rows)


def _row_sums(rows: Any) -> np.ndarray:
    return np.asarray(np.nan_to_num(np.asarray(rows.sum(axis=1), dtype=np.float64))).ravel()


def _is_constant(sums: np.ndarray) -> bool:
    filled = sums[sums > 0]
    if filled.size < 2:
        return False
    return bool(filled.std() < CONSTANT * filled.mean())
