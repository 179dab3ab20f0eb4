"""Document vectors as the package ships them: fewer dimensions, one byte each."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cellwright.knowledge import tables

DIMENSIONS = 128
NAME = "document_vectors"
AXES = "document_axes"


@dataclass(frozen=True, kw_only=True)
class DocumentVectors:
    """Vectors of the documents, and the projection that takes a query among them.

    Attributes:
        ids: Document ids (N).
        vectors: (N, D) float32, unit length.
        mean: (384,) mean of the embedder's vectors.
        axes: (384, D) principal axes.
    """

    ids: list[str]
    vectors: np.ndarray
    mean: np.ndarray
    axes: np.ndarray

    def project(self, full: np.ndarray) -> np.ndarray:
        """Return embedder vectors (n, 384) as unit vectors (n, D)."""
        return _unit((full - self.mean) @ self.axes)


def write(folder: Path, ids: list[str], full: np.ndarray, metadata: dict[str, str]) -> Path:
    """Reduce embedder vectors (N, 384) and write them; the same vectors give the same bytes."""
    import pyarrow as pa

    mean = full.mean(0)
    # Exact, unlike a randomised decomposition: same input, same bytes.
    _values, axes = np.linalg.eigh(np.cov((full - mean).T.astype(np.float64)))
    axes = axes[:, ::-1][:, :DIMENSIONS]
    axes = (axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(DIMENSIONS)])).astype(np.float32)
    reduced = _unit((full - mean) @ axes)
    scale = np.abs(reduced).max(0) / 127
    codes = np.rint(reduced / scale).astype(np.int8)
    stack = np.vstack([mean[None], (axes * 1.0).T]).astype(np.float32)
    tables.write(
        folder,
        AXES,
        {"rows": pa.FixedSizeListArray.from_arrays(pa.array(stack.ravel()), stack.shape[1])},
        metadata,
    )
    return tables.write(
        folder,
        NAME,
        {
            "id": pa.array(ids),
            "codes": pa.array([row.tobytes() for row in codes], pa.binary(DIMENSIONS)),
        },
        {**metadata, "scale": " ".join(f"{one:.8e}" for one in scale)},
        use_dictionary=False,
    )


def read(folder: Path = tables.FOLDER) -> DocumentVectors:
    """Read the packaged vectors."""
    table = tables.read(NAME, folder)
    axes = tables.read(AXES, folder)["rows"].combine_chunks()
    stack = np.asarray(axes.flatten(), dtype=np.float32).reshape(len(axes), -1)
    scale = np.array((table.schema.metadata or {})[b"scale"].split(), dtype=np.float32)
    raw = b"".join(table["codes"].to_pylist())
    codes = np.frombuffer(raw, dtype=np.int8).reshape(table.num_rows, -1)
    return DocumentVectors(
        ids=table["id"].to_pylist(),
        vectors=_unit(codes.astype(np.float32) * scale),
        mean=stack[0],
        axes=stack[1:].T,
    )


def _unit(rows: np.ndarray) -> np.ndarray:
    found: np.ndarray = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return found.astype(np.float32)
