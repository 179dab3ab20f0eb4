"""The count decoder: a conditional variational autoencoder with an NB or ZINB likelihood."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from cellwright.cellmodel.config import DecoderConfig

HIDDEN_LOGIT = -1e4
"""Logit of a gene that the data set did not measure: it takes no share of the counts."""


class CountParameters(NamedTuple):
    """Parameters of the count distribution, each ``(B, V)``.

    Attributes:
        mean: Expected counts.
        inverse_dispersion: NB size: variance is mean + mean^2 / size.
        dropout_logits: Logit of an extra zero; None for NB.
    """

    mean: Tensor
    inverse_dispersion: Tensor
    dropout_logits: Tensor | None


class DecoderLoss(NamedTuple):
    """Parts of the negative ELBO, each a mean over cells."""

    reconstruction: Tensor
    kl: Tensor
    library: Tensor


class CountDecoder(nn.Module):
    """Counts given a condition.

    Output weights are the shared gene vectors plus a few factors of the decoder's own, so the
    decoder is small and a gene's output is tied to what is known of it. The latent's prior depends
    on the condition: what varies within a type differs from type to type.

    Attributes:
        gene_bias_V: Log share of a gene over all training cells, where it starts from.
        factors_VF: The decoder's own gene factors.
    """

    def __init__(
        self, config: DecoderConfig, *, n_genes: int, gene_width: int, hidden: int
    ) -> None:
        super().__init__()
        self.config = config
        width = config.hidden
        basis = gene_width + config.factors
        self.condition = nn.Sequential(
            nn.LayerNorm(hidden),
            nn.Linear(hidden, width),
            nn.GELU(),
            nn.Linear(width, config.condition),
        )
        self.library = nn.Linear(config.condition, 2)
        self.prior = nn.Linear(config.condition, 2 * config.latent)
        self.read = nn.Linear(basis + config.condition, width)
        self.posterior = nn.Sequential(
            nn.LayerNorm(width), nn.GELU(), nn.Linear(width, 2 * config.latent)
        )
        self.decode = nn.Sequential(
            nn.Linear(config.latent + config.condition, width),
            nn.LayerNorm(width),
            nn.GELU(),
            nn.Linear(width, width),
            nn.GELU(),
        )
        self.share = nn.Linear(width, basis, bias=False)
        self.drop = nn.Linear(width, basis, bias=False) if config.likelihood == "zinb" else None
        self.gene_bias_V = nn.Parameter(torch.zeros(n_genes))
        self.drop_bias_V = nn.Parameter(torch.full((n_genes,), -3.0)) if self.drop else None
        self.log_size_V = nn.Parameter(torch.zeros(n_genes))
        self.factors_VF = nn.Parameter(torch.randn(n_genes, config.factors) * 0.02)

    def basis(self, vectors_VE: Tensor) -> Tensor:
        """Gene basis ``(V, E + factors)``; the shared vectors are not moved by the decoder."""
        return torch.cat([vectors_VE.detach(), self.factors_VF], dim=1)

    def log_library(self, condition_BC: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the log library size, each ``(B,)``."""
        mean, raw = self.library(condition_BC).unbind(dim=1)
        return mean + 7.0, functional.softplus(raw) + 0.05

    def parameters_of(
        self,
        latent_BZ: Tensor,
        condition_BC: Tensor,
        library_B: Tensor,
        basis_VF: Tensor,
        measured_BV: Tensor,
    ) -> CountParameters:
        """Distribution of the counts of each gene."""
        hidden = self.decode(torch.cat([latent_BZ, condition_BC], dim=1))
        scale = basis_VF.shape[1] ** -0.5
        logits = self.share(hidden) @ basis_VF.T * scale + self.gene_bias_V
        share = torch.softmax(logits.masked_fill(~measured_BV, HIDDEN_LOGIT), dim=1)
        mean = library_B[:, None] * share
        size = self.log_size_V.clamp(-4, 6).exp().expand_as(mean)
        dropout = None
        if self.drop is not None and self.drop_bias_V is not None:
            dropout = self.drop(hidden) @ basis_VF.T * scale + self.drop_bias_V
        return CountParameters(mean, size, dropout)

    def forward(
        self, counts_BV: Tensor, hidden_BH: Tensor, vectors_VE: Tensor, measured_BV: Tensor
    ) -> DecoderLoss:
        """Negative ELBO of counts, given the language model's state at the signal token."""
        condition = self.condition(hidden_BH)
        basis = self.basis(vectors_VE)
        library = counts_BV.sum(dim=1)
        profile = torch.log1p(counts_BV * (1e4 / library[:, None].clamp_min(1)))
        summary = functional.normalize(profile, dim=1) @ basis
        moments = self.posterior(self.read(torch.cat([summary, condition], dim=1)))
        mean, log_var = _gaussian(moments)
        prior_mean, prior_log_var = _gaussian(self.prior(condition))
        latent = mean + torch.randn_like(mean) * (0.5 * log_var).exp()
        counts = self.parameters_of(latent, condition, library, basis, measured_BV)
        log_prob = count_log_prob(counts_BV, counts).masked_fill(~measured_BV, 0.0).sum(dim=1)
        apart = ((mean - prior_mean) ** 2 + log_var.exp()) / prior_log_var.exp()
        kl = 0.5 * (apart - 1 + prior_log_var - log_var).sum(dim=1)
        centre, spread = self.log_library(condition)
        target = library.clamp_min(1).log()
        library_nll = spread.log() + 0.5 * ((target - centre) / spread) ** 2
        return DecoderLoss(-log_prob.mean(), kl.mean(), library_nll.mean())

    @torch.no_grad()
    def sample(
        self,
        hidden_BH: Tensor,
        vectors_VE: Tensor,
        measured_V: Tensor,
        generator: torch.Generator,
        library_B: Tensor | None = None,
    ) -> Tensor:
        """Draw integer counts ``(B, V)``, one cell for each row of ``hidden_BH``."""
        condition = self.condition(hidden_BH)
        if library_B is None:
            centre, spread = self.log_library(condition)
            library_B = (centre + spread * torch.randn(centre.shape, generator=generator)).exp()
        mean, log_var = _gaussian(self.prior(condition))
        noise = torch.randn(mean.shape, generator=generator)
        latent = mean + noise * (0.5 * log_var).exp()
        counts = self.parameters_of(
            latent,
            condition,
            library_B,
            self.basis(vectors_VE),
            measured_V.expand(len(condition), -1),
        )
        rate = torch._standard_gamma(counts.inverse_dispersion, generator) * (
            counts.mean / counts.inverse_dispersion
        )
        drawn = torch.poisson(rate, generator=generator)
        if counts.dropout_logits is not None:
            kept = torch.rand(drawn.shape, generator=generator) > torch.sigmoid(
                counts.dropout_logits
            )
            drawn = drawn * kept
        return drawn


def _gaussian(moments: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and log variance, the latter within what stays stable."""
    mean, log_var = moments.chunk(2, dim=1)
    return mean, log_var.clamp(-8, 4)


def count_log_prob(counts_BV: Tensor, parameters: CountParameters) -> Tensor:
    """Log probability of each count, ``(B, V)``, under NB or, with dropout logits, ZINB."""
    mean, size, dropout = parameters
    mean = mean.clamp_min(1e-8)
    log_total = torch.log(size + mean)
    nb = size * (size.log() - log_total) + counts_BV * (mean.log() - log_total)
    seen = counts_BV > 0  # the binomial coefficient of a zero is 1, and most counts are zeros
    some, own = counts_BV[seen], size[seen]
    coefficient = torch.lgamma(some + own) - torch.lgamma(own) - torch.lgamma(some + 1)
    nb = nb.masked_scatter(seen, nb[seen] + coefficient)
    if dropout is None:
        return nb
    zero = functional.softplus(-dropout + size * (size.log() - log_total)) - functional.softplus(
        -dropout
    )
    return torch.where(counts_BV > 0, nb - functional.softplus(dropout), zero)
