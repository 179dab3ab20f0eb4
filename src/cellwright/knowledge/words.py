"""Words of texts for search: stems, and an index that weighs them by BM25."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from scipy import sparse

SATURATION, LENGTH = 1.2, 0.6
"""BM25's k1 and b, as usual."""
_WORD = re.compile(r"\b\w[\w+-]*\b")
_ENDING = re.compile(r"\b([a-z]{6})[a-z]+\b|(?<=[a-z]{3})(?<![sui])s\b")
_BRITISH = (
    (re.compile(r"aem"), "em"),
    (re.compile(r"oe(?=[sd])"), "e"),
    (re.compile(r"our(?=s?\b)"), "or"),
    (re.compile(r"aesth"), "esth"),
    (re.compile(r"ph(?=ur)"), "f"),
    (re.compile(r"(?:'|\u2019)s\b"), ""),
)


def stems(text: str) -> str:
    """Cut words to six letters and spell them the American way.

    >>> stems("secreting tumours of the pancreas, oestrogen")
    'secret tumor of the pancre, estrog'
    """
    text = text.lower()
    for pattern, other in _BRITISH:
        text = pattern.sub(other, text)
    return _ENDING.sub(lambda found: found.group(1) or "", text)


@cache
def stop_words() -> frozenset[str]:
    """Stems of words that say nothing."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return frozenset(stems(word) for word in ENGLISH_STOP_WORDS)


class WordIndex:
    """Texts by their stems (Robertson and Zaragoza 2009, The Probabilistic Relevance Framework).

    Args:
        weights: (V, N) BM25 weight of each stem for each text.
        rarity: (V,) inverse document frequency.
        stems: The V stems.
    """

    def __init__(self, weights: sparse.csr_matrix, rarity: np.ndarray, stems: list[str]) -> None:
        self._weights = weights
        self._rarity = rarity
        self._stems = stems
        self._row = {one: row for row, one in enumerate(stems)}

    @classmethod
    def of(cls, texts: Iterable[str]) -> Self:
        """Index texts."""
        from scipy import sparse

        row: dict[str, int] = {}
        rows: list[int] = []
        columns: list[int] = []
        counts: list[int] = []
        lengths: list[int] = []
        for column, text in enumerate(texts):
            found = Counter(_WORD.findall(stems(text)))
            for one in found.keys() & stop_words():
                del found[one]
            rows += [row.setdefault(one, len(row)) for one in found]
            columns += [column] * len(found)
            counts += found.values()
            lengths.append(found.total())
        size = np.array(lengths, dtype=np.float64)
        usual = size[size > 0].mean() if size.any() else 1.0
        at, place, often = np.array(rows, int), np.array(columns, int), np.array(counts, float)
        seen = np.bincount(at, minlength=len(row))
        rarity = np.log1p((len(size) - seen + 0.5) / (seen + 0.5)).astype(np.float32)
        room = SATURATION * (1 - LENGTH + LENGTH * size[place] / usual)
        values = (rarity[at] * often * (SATURATION + 1) / (often + room)).astype(np.float32)
        return cls(
            sparse.csr_matrix((values, (at, place)), (len(row), len(size))), rarity, list(row)
        )

    def scores(self, query: str) -> np.ndarray:
        """Return how well each text (N,) answers a query: 0, to about 1 where it has all words."""
        rows = sorted({self._row[one] for one in _WORD.findall(stems(query)) if one in self._row})
        most = float(self._rarity[rows].sum())
        found: np.ndarray = np.asarray(self._weights[rows].sum(0), dtype=np.float64).ravel()
        return found / most if most else found

    def save(self, path: Path) -> None:
        """Write the index to an ``.npz`` file."""
        np.savez(
            path,
            data=self._weights.data,
            indices=self._weights.indices,
            indptr=self._weights.indptr,
            texts=self._weights.shape[1],
            rarity=self._rarity,
            stems=np.frombuffer("\n".join(self._stems).encode(), np.uint8),
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what ``save`` has written."""
        from scipy import sparse

        with np.load(path) as found:
            shape = (len(found["rarity"]), int(found["texts"]))
            parts = found["data"], found["indices"], found["indptr"]
            names = found["stems"].tobytes().decode().split("\n")
            return cls(sparse.csr_matrix(parts, shape), found["rarity"], names)
