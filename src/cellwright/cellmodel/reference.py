"""What training cells of a type look like: summaries for checks, never cells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
CORRELATED = 40
"""Genes of a type whose correlations are kept, the best expressed."""


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
class TypeRealism:
    """Drawn cells of a source beside held-out cells of it; None where there are too few of these.

    Attributes:
        name: The type.
        dataset: The file.
        n_held_out: Held-out cells.
        library_ratio: Median counts of a drawn cell over that of a held-out one.
        zero_gap: Share of zeros in drawn cells less that in held-out ones.
        gene_correlation: Agreement of the correlations between genes, as a correlation over pairs.
        gene_correlation_real: The same of training cells with held-out cells.
        two_sample_auc: How well a classifier tells drawn from held-out cells; .5 is not at all.
        two_sample_auc_real: The same of training cells and held-out cells.
        nearest_ratio: Distance of a drawn cell to the nearest training cell over that of a
            held-out one: about 1 is right, near 0 is copying.
    """

    name: str
    dataset: str
    n_held_out: int
    library_ratio: float | None = None
    zero_gap: float | None = None
    gene_correlation: float | None = None
    gene_correlation_real: float | None = None
    two_sample_auc: float | None = None
    two_sample_auc_real: float | None = None
    nearest_ratio: float | None = None


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
        correlations: ``(C (C - 1) / 2,)`` correlation of log1p levels of each pair of the C genes
            of the highest mean, in the order of ``numpy.triu_indices``.
        realism: How the model's draws compared with held-out cells when it was trained.
    """

    source: TypeSource
    keys: tuple[str, ...]
    library_quantiles: tuple[float, ...]
    zero_rate: float
    genes_per_cell: float
    mean_log1p: np.ndarray
    var_log1p: np.ndarray
    correlations: np.ndarray
    realism: TypeRealism | None = None

    @property
    def correlated(self) -> np.ndarray:
        """Positions of the genes whose correlations are kept, ``(C,)``."""
        return leading_genes(self.mean_log1p)


class ReferenceTable:
    """The stored summaries of all types that can be generated."""

    def __init__(
        self, card: Mapping[str, Any], tensors: Mapping[str, Tensor], keys: tuple[str, ...]
    ) -> None:
        self.sources = tuple(TypeSource(**row) for row in card.get("generatable", ()))
        self._datasets: list[str] = list(card.get("generation_datasets", ()))
        self._realism = {
            (row["name"], row["dataset"]): TypeRealism(**row) for row in card.get("realism", ())
        }
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
        before = [int(self.measured(one).sum()) for one in self.sources[:at]]
        own = slice(sum(before), sum(before) + int(measured.sum()))
        return TypeReference(
            source=source,
            keys=tuple(np.array(self._keys, dtype=object)[measured]),
            library_quantiles=tuple(stats[: len(QUANTILES)].tolist()),
            zero_rate=float(stats[-2]),
            genes_per_cell=float(stats[-1]),
            mean_log1p=self._tensors["mean"][own].numpy(),
            var_log1p=self._tensors["var"][own].numpy(),
            correlations=self._tensors["correlations"][at].numpy(),
            realism=self._realism.get((source.name, source.dataset)),
        )


@dataclass(frozen=True)
class Summary:
    """What is kept of the training cells of a source: see ``TypeReference``.

    Attributes:
        stats: ``(7,)`` library quantiles, zero rate and genes per cell.
        mean: ``(G,)``.
        var: ``(G,)``.
        correlations: ``(C (C - 1) / 2,)``, zeros where fewer genes are measured.
    """

    stats: np.ndarray
    mean: np.ndarray
    var: np.ndarray
    correlations: np.ndarray


def summarise(counts: np.ndarray) -> Summary:
    """Summary of cells, ``(B, G)`` counts of the genes that their file measured."""
    library = counts.sum(axis=1)
    profile = np.log1p(counts * (1e4 / np.maximum(library, 1))[:, None])
    expressed = (counts > 0).sum(axis=1)
    zeros = 1 - expressed.mean() / counts.shape[1]
    stats = np.array([*np.quantile(library, QUANTILES), zeros, expressed.mean()])
    mean = profile.mean(axis=0)
    kept = np.zeros(CORRELATED * (CORRELATED - 1) // 2)
    found = pair_correlations(profile[:, leading_genes(mean)])
    kept[: len(found)] = found
    return Summary(stats, mean, profile.var(axis=0), kept)


def leading_genes(mean: np.ndarray) -> np.ndarray:
    """Positions of the best expressed genes, the best first."""
    return np.argsort(-mean, kind="stable")[:CORRELATED]


def pair_correlations(levels: np.ndarray) -> np.ndarray:
    """Correlation of each pair of columns of ``(B, C)``; 0 where one is constant."""
    pairs = np.triu_indices(levels.shape[1], 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.nan_to_num(np.corrcoef(levels.T))[pairs])


def pack_references(measured: np.ndarray, summaries: Sequence[Summary]) -> dict[str, Tensor]:
    """Summaries as a checkpoint stores them: tables over measured genes end to end.

    Args:
        measured: ``(S, V)`` bool, genes of each file.
        summaries: Those of each source.
    """

    def tensor(values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.asarray(values, dtype=np.float32))

    return {
        "measured": torch.from_numpy(np.packbits(measured, axis=1)),
        "stats": tensor(np.stack([one.stats for one in summaries])),
        "mean": tensor(np.concatenate([one.mean for one in summaries])),
        "var": tensor(np.concatenate([one.var for one in summaries])),
        "correlations": tensor(np.stack([one.correlations for one in summaries])),
    }
