"""GenePT: cells as points among texts, without training.

Source of the method: Chen and Zou, "GenePT" (bioRxiv 2023.10.16.562533), with the text embedder
that is at hand here in place of theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

NEIGHBOURS = 10
SENTENCE_GENES = 32
"""Genes of a sentence, as many as the small interpreter reads; a symbol is three or four tokens."""
MOUSE = "mouse:"


def weighted_vectors(expression: Any, vectors: np.ndarray) -> np.ndarray:
    """GenePT-w: mean of gene vectors weighted by expression, ``(B, T)``, unit length.

    Args:
        expression: ``(B, V)`` csr, log1p CP10k.
        vectors: ``(V, T)`` text vectors of the genes.
    """
    return unit_rows(np.asarray(expression @ vectors, dtype=np.float32))


def gene_sentences(genes: np.ndarray, keys: Sequence[str]) -> list[str]:
    """GenePT-s: the symbols of each cell's genes in falling rank.

    Args:
        genes: ``(B, N)`` positions of genes, -1 after a cell's last.
        keys: Keys of the vocabulary.
    """
    symbols = [key.removeprefix(MOUSE) for key in keys]
    return [" ".join(symbols[at] for at in row if at >= 0) for row in genes]


def nearest_labels(
    train: np.ndarray, labels: np.ndarray, test: np.ndarray, k: int = NEIGHBOURS
) -> np.ndarray:
    """Majority label of the k nearest training cells by cosine, ``(B,)`` object."""
    from sklearn.neighbors import KNeighborsClassifier

    model = KNeighborsClassifier(n_neighbors=min(k, len(train)), metric="cosine")
    return np.asarray(model.fit(train, labels.astype(str)).predict(test), object)


def logistic_labels(train: np.ndarray, labels: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Logistic regression (L2, C = 1) on standardised vectors, ``(B,)`` object."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=500))
    return np.asarray(model.fit(train, labels.astype(str)).predict(test), object)


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """Rows of unit length; an empty one stays empty."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-9), dtype=np.float32)
