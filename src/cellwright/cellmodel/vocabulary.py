"""The genes a cell model knows, human and mouse in one list."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class GeneVocabulary:
    """Ordered keys: human symbols, ``mouse:Symbol`` where a mouse gene has no human counterpart.

    Attributes:
        keys: The keys, in the order of the model's weights.
    """

    keys: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.keys)

    @cached_property
    def position(self) -> dict[str, int]:
        """Position of each key."""
        return {key: at for at, key in enumerate(self.keys)}

    def positions(self, keys: Iterable[str | None]) -> np.ndarray:
        """Position of each key as ``(G,)`` integers, -1 for None and for unknown keys."""
        where = self.position
        return np.array([-1 if key is None else where.get(key, -1) for key in keys], dtype=np.int64)

    def save(self, path: Path) -> None:
        """Write the keys as JSON."""
        path.write_text(json.dumps({"keys": self.keys}), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "GeneVocabulary":
        """Read what ``save`` wrote."""
        return cls(tuple(json.loads(path.read_text(encoding="utf-8"))["keys"]))

    @classmethod
    def of(
        cls, sets: Sequence[Iterable[str | None]], variable: Iterable[str] = ()
    ) -> "GeneVocabulary":
        """Keys seen in at least two data sets, or variable in one, sorted.

        Args:
            sets: Keys of the genes that each data set expresses.
            variable: Keys to keep whatever their number of data sets.
        """
        seen: dict[str, int] = {}
        for keys in sets:
            for key in {key for key in keys if key is not None}:
                seen[key] = seen.get(key, 0) + 1
        kept = {key for key, count in seen.items() if count >= 2} | set(variable)
        return cls(tuple(sorted(kept)))
