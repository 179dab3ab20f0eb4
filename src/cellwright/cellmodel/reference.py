"""What training cells of a type look like: summaries for checks, never cells."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, kw_only=True)
class TypeSource:
    """A type as one file saw it, from which generation was learned.

    Attributes:
        name: The type.
        dataset: The file.
        species: Its species.
        tissue: Its tissue.
        protocol: Its protocol.
        n_cells: Training cells.
    """

    name: str
    dataset: str
    species: str
    tissue: str
    protocol: str
    n_cells: int


@dataclass(frozen=True, kw_only=True)
class TypeReference:
    """Statistics of the training cells of a type in one file.

    Attributes:
        source: Type and file.
        keys: ``(G,)`` keys of the genes that the file measured.
        library_quantiles: Counts per cell at 5, 25, 50, 75 and 95 %.
        zero_rate: Share of zeros among measured genes.
        genes_per_cell: Mean number of genes with a count.
        mean_log1p: ``(G,)`` mean log1p counts per 10,000.
        var_log1p: ``(G,)`` variance of the same.
    """

    source: TypeSource
    keys: tuple[str, ...]
    library_quantiles: tuple[float, ...]
    zero_rate: float
    genes_per_cell: float
    mean_log1p: np.ndarray
    var_log1p: np.ndarray


class ReferenceTable:
    """The stored summaries of all types that can be generated."""

    def __init__(
        self, card: Mapping[str, Any], tensors: Mapping[str, Tensor], keys: tuple[str, ...]
    ) -> None:
        self.sources = tuple(TypeSource(**row) for row in card.get("generatable", ()))
        self._datasets: list[str] = list(card.get("generation_datasets", ()))
        self._tensors, self._keys = tensors, keys

    def measured(self, source: TypeSource) -> np.ndarray:
        """Genes that the source's file measured, ``(V,)`` bool."""
        bits = self._tensors["measured"][self._datasets.index(source.dataset)].numpy()
        return np.unpackbits(bits, count=len(self._keys)).astype(bool)

    def of(self, source: TypeSource) -> TypeReference:
        """Statistics of a source."""
        at = self.sources.index(source)
        measured = self.measured(source)
        stats = self._tensors["stats"][at].numpy().astype(float)
        return TypeReference(
            source=source,
            keys=tuple(np.array(self._keys, dtype=object)[measured]),
            library_quantiles=tuple(stats[: len(QUANTILES)].tolist()),
            zero_rate=float(stats[-2]),
            genes_per_cell=float(stats[-1]),
            mean_log1p=self._tensors["mean"][at].numpy()[measured],
            var_log1p=self._tensors["var"][at].numpy()[measured],
        )


def summarise(counts: np.ndarray, measured: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
    """Statistics, mean and variance of cells ``(B, V)`` over the measured genes."""
    library = counts.sum(axis=1)
    profile = np.log1p(counts * (1e4 / np.maximum(library, 1))[:, None])
    expressed = (counts[:, measured] > 0).sum(axis=1)
    stats = [
        *np.quantile(library, QUANTILES),
        1 - expressed.mean() / measured.sum(),
        expressed.mean(),
    ]
    return (
        torch.tensor(stats, dtype=torch.float32),
        torch.from_numpy(profile.mean(axis=0)).float(),
        torch.from_numpy(profile.var(axis=0)).float(),
    )


def pack_measured(measured: np.ndarray) -> Tensor:
    """Bits of a ``(S, V)`` bool table, ``(S, ceil(V / 8))`` uint8."""
    return torch.from_numpy(np.packbits(measured, axis=1))
