"""The count decoder: text chooses what was learned of a type, a latent varies it, counts are NB."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from cellwright.cellmodel.config import CheckpointError, DecoderConfig

LIBRARY_LEVELS = tuple(np.linspace(0.01, 0.99, 25).tolist())
"""Levels at which the library sizes of a source are kept."""
PANEL_WEIGHT = 20.0
"""Log odds lost by a source whose file measured other genes, times the log of their overlap."""
_SMALL = 1e-8


class CountParameters(NamedTuple):
    """Parameters of the count distribution, each ``(B, G)``.

    Attributes:
        mean: Expected counts.
        inverse_dispersion: NB size: variance is mean + mean^2 / size.
    """

    mean: Tensor
    inverse_dispersion: Tensor


class DecoderLoss(NamedTuple):
    """Parts of the negative ELBO, each a mean over cells."""

    reconstruction: Tensor
    kl: Tensor


class TypeMemory(NamedTuple):
    """What was learned of each source: a type as one file saw it.

    P sources of S files, V genes, G_f genes that file f measured, K_f of them that vary with the
    latent of width Z. Tables over measured genes are stored end to end, source by source.

    Attributes:
        panels: ``(S, ceil(V / 8))`` uint8, bits of the genes that a file measured.
        varying: ``(S, ceil(V / 8))`` uint8, bits of those that the latent moves.
        files: ``(P,)`` file of each source.
        log_share: ``(sum of G_f over sources,)`` log share of the counts at an average latent.
        log_size: Of the same length: log inverse dispersion.
        loadings: ``(sum of K_f over files, Z)`` change of the log share with the latent.
        prior_mean: ``(P, Z + 1)`` mean of the latent and of the normal score of the library size.
        prior_root: ``(P, Z + 1, Z + 1)`` root of their covariance: standard normals times it.
        library: ``(P, 25)`` log library sizes at ``LIBRARY_LEVELS``.
        reader_weight: ``(P, H)`` linear map from the state at the signal token to log odds.
        reader_bias: ``(P,)`` its bias.
    """

    panels: Tensor
    varying: Tensor
    files: Tensor
    log_share: Tensor
    log_size: Tensor
    loadings: Tensor
    prior_mean: Tensor
    prior_root: Tensor
    library: Tensor
    reader_weight: Tensor
    reader_bias: Tensor


class CountDecoder(nn.Module):
    """Counts given the language model's state at the signal token.

    A linear reader turns the state into weights over the sources that were learned, so that the
    text alone says which cells are meant; the likeliest source is the one that is drawn from.
    Within a source, counts follow a linearly decoded variational autoencoder (as in scVI and its
    linear decoder): log shares move with a latent whose prior is the source's own, together with
    the library size, and counts are negative binomial.

    The sizes of its tables follow the data, so a state of any size is loaded, and one of an earlier
    layout is dropped: the stage has to be trained then.
    """

    panels: Tensor
    varying: Tensor
    files: Tensor
    log_share: Tensor
    log_size: Tensor
    loadings: Tensor
    prior_mean: Tensor
    prior_root: Tensor
    library: Tensor
    reader_weight: Tensor
    reader_bias: Tensor

    def __init__(self, config: DecoderConfig, *, n_genes: int, hidden: int) -> None:
        super().__init__()
        self.config, self.n_genes, self.hidden = config, n_genes, hidden
        for name, table in _empty(n_genes, hidden, config.latent)._asdict().items():
            self.register_buffer(name, table)

    @property
    def n_sources(self) -> int:
        """Number of sources that it has learned."""
        return len(self.files)

    def learn(self, memory: TypeMemory) -> None:
        """Take over what was learned."""
        for name, table in memory._asdict().items():
            setattr(self, name, table.detach().clone().contiguous())

    def source_weights(self, hidden_BH: Tensor, measured_V: Tensor) -> Tensor:
        """How far each source is meant, ``(B, P)``.

        Args:
            hidden_BH: States at the signal token.
            measured_V: Genes that are wanted. Sources of files with other genes are set back, for
                text cannot tell files of one tissue and protocol apart.
        """
        panels = unpack(self.panels, self.n_genes).float()
        wanted = measured_V.float()
        shared = panels @ wanted
        overlap = shared / (panels.sum(dim=1) + wanted.sum() - shared).clamp_min(1)
        evidence = PANEL_WEIGHT * overlap.clamp_min(1e-6).log()[self.files]
        odds = hidden_BH @ self.reader_weight.T + self.reader_bias
        return torch.softmax(odds + evidence, dim=1)

    @torch.no_grad()
    def sample(
        self,
        hidden_BH: Tensor,
        measured_V: Tensor,
        generator: torch.Generator,
        library_B: Tensor | None = None,
    ) -> Tensor:
        """Draw integer counts ``(B, V)``, one cell for each row of ``hidden_BH``.

        Args:
            hidden_BH: States at the signal token.
            measured_V: ``(V,)`` bool, genes to draw; one that the chosen source's file did not
                measure gets no counts.
            generator: Source of the draws.
            library_B: Counts of each cell over its file's genes; None draws them too.

        Raises:
            CheckpointError: No source was learned.
        """
        if not self.n_sources:
            msg = (
                "The decoder of this checkpoint has learned no type, or by an earlier layout; run "
                "`cellwright train --stage decoder`."
            )
            raise CheckpointError(msg)
        chosen = self.source_weights(hidden_BH, measured_V).argmax(dim=1)
        noise = torch.randn(len(chosen), self.prior_mean.shape[1], generator=generator)
        drawn = torch.zeros(len(chosen), self.n_genes)
        for source in sorted(set(chosen.tolist())):
            rows = torch.nonzero(chosen == source)[:, 0]
            latent, library = self.latents(source, noise[rows])
            if library_B is not None:
                library = library_B[rows]
            counts = self.parameters_of(source, latent, library)
            rate = torch._standard_gamma(counts.inverse_dispersion, generator) * (
                counts.mean / counts.inverse_dispersion
            )
            panel = self.panel(source)
            cells = torch.zeros(len(rows), self.n_genes)
            cells[:, panel] = torch.poisson(rate, generator=generator)
            drawn[rows] = cells
        return drawn * measured_V

    def latents(self, source: int, noise_BZ: Tensor) -> tuple[Tensor, Tensor]:
        """Latents ``(B, Z)`` and library sizes ``(B,)`` of a source, from standard normals."""
        both = self.prior_mean[source] + noise_BZ @ self.prior_root[source]
        level = torch.special.ndtr(both[:, -1])
        return both[:, :-1], _interpolated(level, self.library[source]).exp()

    def parameters_of(self, source: int, latent_BZ: Tensor, library_B: Tensor) -> CountParameters:
        """Distribution of the counts of the genes that the source's file measured."""
        log_share, log_size, loadings, moved = self.tables(source)
        logits = log_share.expand(len(latent_BZ), -1).clone()
        logits[:, moved] += latent_BZ @ loadings.T
        mean = library_B[:, None] * torch.softmax(logits, dim=1)
        return CountParameters(mean.clamp_min(_SMALL), log_size.exp().expand_as(mean))

    def panel(self, source: int) -> Tensor:
        """Genes that the source's file measured, their positions ``(G,)``."""
        return torch.nonzero(unpack(self.panels[self.files[source]], self.n_genes))[:, 0]

    def tables(self, source: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Log shares and sizes ``(G,)``, loadings ``(K, Z)`` and where the K genes are in the G."""
        sizes = unpack(self.panels, self.n_genes).sum(dim=1)
        starts = torch.cat([torch.zeros(1, dtype=torch.long), sizes[self.files].cumsum(dim=0)])
        own = slice(int(starts[source]), int(starts[source + 1]))
        file = int(self.files[source])
        varying = unpack(self.varying, self.n_genes)
        begins = torch.cat([torch.zeros(1, dtype=torch.long), varying.sum(dim=1).cumsum(dim=0)])
        moved = torch.nonzero(varying[file][self.panel(source)])[:, 0]
        loadings = self.loadings[int(begins[file]) : int(begins[file + 1])]
        return self.log_share[own], self.log_size[own], loadings, moved

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Any], prefix: str, *_strictness: object
    ) -> None:
        found = {name: state_dict.get(prefix + name) for name in TypeMemory._fields}
        if all(isinstance(table, Tensor) for table in found.values()):
            self.learn(TypeMemory(**found))  # type: ignore[arg-type] # all are tensors, see above


def _empty(n_genes: int, hidden: int, latent: int) -> TypeMemory:
    bits = torch.zeros(0, -(-n_genes // 8), dtype=torch.uint8)
    return TypeMemory(
        panels=bits,
        varying=bits.clone(),
        files=torch.zeros(0, dtype=torch.long),
        log_share=torch.zeros(0),
        log_size=torch.zeros(0),
        loadings=torch.zeros(0, latent),
        prior_mean=torch.zeros(0, latent + 1),
        prior_root=torch.zeros(0, latent + 1, latent + 1),
        library=torch.zeros(0, len(LIBRARY_LEVELS)),
        reader_weight=torch.zeros(0, hidden),
        reader_bias=torch.zeros(0),
    )


def pack(measured: np.ndarray) -> Tensor:
    """Bits of a ``(S, V)`` bool table, ``(S, ceil(V / 8))`` uint8."""
    return torch.from_numpy(np.packbits(measured, axis=1))


def unpack(bits: Tensor, n_genes: int) -> Tensor:
    """The bool table of ``pack``, ``(..., V)``."""
    return torch.from_numpy(np.unpackbits(bits.numpy(), axis=-1, count=n_genes).astype(bool))


def _interpolated(level_B: Tensor, values_Q: Tensor) -> Tensor:
    """Values at levels between those of ``LIBRARY_LEVELS``; beyond them, the last one."""
    levels = torch.tensor(LIBRARY_LEVELS)
    right = torch.searchsorted(levels, level_B.clamp(levels[0], levels[-1])).clamp(
        1, len(levels) - 1
    )
    share = (level_B.clamp(levels[0], levels[-1]) - levels[right - 1]) / (
        levels[right] - levels[right - 1]
    )
    return values_Q[right - 1] + share * (values_Q[right] - values_Q[right - 1])


def count_log_prob(counts_BG: Tensor, parameters: CountParameters) -> Tensor:
    """Log probability of each count under the negative binomial, ``(B, G)``."""
    mean, size = parameters.mean.clamp_min(_SMALL), parameters.inverse_dispersion
    log_total = torch.log(size + mean)
    log_prob = size * (size.log() - log_total) + counts_BG * (mean.log() - log_total)
    seen = counts_BG > 0  # the binomial coefficient of a zero is 1, and most counts are zeros
    some, own = counts_BG[seen], size.expand_as(mean)[seen]
    coefficient = torch.lgamma(some + own) - torch.lgamma(own) - torch.lgamma(some + 1)
    return log_prob.masked_scatter(seen, log_prob[seen] + coefficient)
