"""What the decoder learns by gradient: how cells of a type vary, as a linearly decoded VAE.

The likelihood and the ELBO are scVI's (Lopez et al. 2018), the linear decoder that of Svensson et
al. 2020. Each file has loadings of its own, started from the principal components of its cells'
log profiles within types.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional

from cellwright.cellmodel.config import DecoderConfig
from cellwright.cellmodel.modeling.decoder import CountParameters, DecoderLoss, count_log_prob

CELLS_READ = 400
"""Cells of a source that the first loadings are computed from."""
CELLS_AN_AXIS = 20
"""A file has one dimension of the latent for so many cells read, up to the latent's width."""
LIFT = 0.5
"""Added to a mean level where a change of log1p is turned into a change of the log rate: genes that
are all but absent say little of how they vary."""


@dataclass(frozen=True)
class FileGenes:
    """Genes of a file.

    Attributes:
        panel: ``(G,)`` positions of those measured in the vocabulary.
        moved: ``(K,)`` positions, among the G, of those that the latent moves: the best expressed.
    """

    panel: np.ndarray
    moved: np.ndarray


@dataclass(frozen=True)
class SourceStart:
    """Where a source starts.

    Attributes:
        log_share: ``(G,)`` log share of each measured gene.
        mean_log1p: ``(K,)`` mean log1p counts per 10,000 of the genes that move.
    """

    log_share: np.ndarray
    mean_log1p: np.ndarray


class CountAutoencoder(nn.Module):
    """Posterior and linear decoder of all files.

    Args:
        config: Width of the latent and of the posterior's hidden layer.
        genes: Genes of each file.
        starts: Start of each source.
        files: ``(P,)`` file of each source.
        axes: Loadings ``(K, R)`` and projections ``(K, Z)`` that each file starts from; R is the
            number of the latent's dimensions that the file uses.
    """

    def __init__(
        self,
        config: DecoderConfig,
        genes: Sequence[FileGenes],
        starts: Sequence[SourceStart],
        files: np.ndarray,
        axes: list[tuple[np.ndarray, np.ndarray]],
    ) -> None:
        super().__init__()
        latent, code = config.latent, max(4, config.latent)
        self.config = config
        self.files = [int(file) for file in files]
        self.loadings = nn.ParameterList([nn.Parameter(_tensor(own)) for own, _ in axes])
        self.log_size = nn.ParameterList(
            [nn.Parameter(torch.full((len(one.moved),), 1.5)) for one in genes]
        )
        self.keep = nn.Parameter(torch.full((len(genes), latent), 0.7))
        self.code = nn.Embedding(len(starts), code)
        nn.init.normal_(self.code.weight, std=0.1)
        last = nn.Linear(config.hidden, 2 * latent)
        self.read = nn.Sequential(nn.Linear(latent + code + 1, config.hidden), nn.GELU(), last)
        nn.init.zeros_(last.weight)
        with torch.no_grad():
            last.bias.copy_(torch.cat([torch.zeros(latent), torch.full((latent,), -1.5)]))
        self.prior_mean = nn.Parameter(torch.zeros(len(starts), latent))
        self.prior_log_var = nn.Parameter(torch.full((len(starts), latent), -0.5))
        self._projections = [_tensor(own) for _, own in axes]
        self._moved_share, self._rest = [], []
        for start, file in zip(starts, self.files, strict=True):
            share = np.exp(start.log_share)
            moved = genes[file].moved
            self._moved_share.append(_tensor(start.log_share[moved]))
            self._rest.append(float(np.log(max(share.sum() - share[moved].sum(), 1e-12))))
        self._mean_log1p = [_tensor(start.mean_log1p) for start in starts]

    def posterior(
        self, counts_BK: Tensor, library_B: Tensor, sources: Tensor, file: int
    ) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the latent, each ``(B, Z)``, of cells of one file."""
        profile = torch.log1p(counts_BK * (1e4 / library_B.clamp_min(1))[:, None])
        centre = torch.stack([self._mean_log1p[at] for at in sources.tolist()])
        seen = (profile - centre) @ self._projections[file]
        size = library_B.clamp_min(1).log()[:, None] - 7
        moments = self.read(torch.cat([seen, self.code(sources), size], dim=1))
        mean, log_var = moments.chunk(2, dim=1)
        return mean + seen * self.keep[file], log_var.clamp(-8, 3)

    def forward(
        self, counts_BK: Tensor, library_B: Tensor, sources: Tensor, file: int
    ) -> DecoderLoss:
        """Negative ELBO of the genes that the latent moves, in cells of one file."""
        mean, log_var = self.posterior(counts_BK, library_B, sources, file)
        latent = mean + torch.randn_like(mean) * (0.5 * log_var).exp()
        logits = torch.stack([self._moved_share[at] for at in sources.tolist()])
        loadings = self.loadings[file]
        logits = logits + latent[:, : loadings.shape[1]] @ loadings.T
        rest = torch.tensor([self._rest[at] for at in sources.tolist()])[:, None]
        share = functional.log_softmax(torch.cat([logits, rest], dim=1), dim=1)[:, :-1].exp()
        size = self.log_size[file].clamp(-4, 7).exp()
        counts = CountParameters(library_B[:, None] * share, size.expand_as(share))
        log_prob = count_log_prob(counts_BK, counts).sum(dim=1)
        prior_mean = self.prior_mean[sources]
        prior_log_var = self.prior_log_var[sources].clamp(-4, 2)
        apart = ((mean - prior_mean) ** 2 + log_var.exp()) / prior_log_var.exp()
        kl = 0.5 * (apart - 1 + prior_log_var - log_var).sum(dim=1)
        return DecoderLoss(-log_prob.mean(), kl.mean())


def first_axes(
    cells: list[sparse.csr_matrix],
    libraries: list[np.ndarray],
    starts: list[SourceStart],
    genes: FileGenes,
    *,
    latent: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Loadings ``(K, R)`` and projections ``(K, Z)`` of a file: principal components within types.

    Projections give scores of unit variance, the last Z - R of them zero. A component of log1p
    levels is turned into one of log rates by the slope of log1p at the file's mean level.

    Args:
        cells: ``(B, K)`` counts of each source.
        libraries: ``(B,)`` their library sizes.
        starts: Start of each source.
        genes: Genes of the file.
        latent: Z.
        seed: Seed of the cells that are read.
    """
    from sklearn.utils.extmath import randomized_svd

    rng = np.random.default_rng(seed)
    parts = []
    for counts, library, start in zip(cells, libraries, starts, strict=True):
        rows = rng.permutation(counts.shape[0])[:CELLS_READ]
        scale = 1e4 / np.maximum(library[rows], 1)
        parts.append(np.log1p(counts[rows].toarray() * scale[:, None]) - start.mean_log1p)
    profile = np.concatenate(parts)
    rank = max(1, min(latent, len(profile) // CELLS_AN_AXIS, profile.shape[1] - 1))
    _left, values, axes = randomized_svd(profile, rank, n_iter=4, random_state=seed)
    spread = np.maximum(values / np.sqrt(len(profile)), 1e-6)
    level = 1e4 * np.mean([np.exp(start.log_share[genes.moved]) for start in starts], axis=0)
    slope = (1 + level) / (level + LIFT)
    projections = np.zeros((profile.shape[1], latent), dtype=np.float32)
    projections[:, :rank] = (axes / spread[:, None]).T
    return (axes * spread[:, None]).T * slope[:, None], projections


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
