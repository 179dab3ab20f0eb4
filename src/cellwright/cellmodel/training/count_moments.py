"""What the decoder learns in closed form: shares of types, their priors, and their calibration."""

from collections.abc import Sequence

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from cellwright.cellmodel.modeling.decoder import LIBRARY_LEVELS, CountDecoder

PRIOR_CELLS = 0.3
"""Average cells of the file that are added to a type, so that no share is zero."""
SPREAD_CELLS = 20.0
"""Cells that the file counts for, in the covariance of a type's latent and a gene's dispersion."""
DRAWS, ROUNDS = 400, 3
ZERO_DRAWS = 150
LOG_SIZES = np.linspace(-3, 6, 13)
"""Log inverse dispersions between which one is sought."""
DETECTED = (0.02, 0.98)
"""A gene that is found in a share of cells between these has its dispersion set by that share,
others by their variance."""


def log_shares(cells: Sequence[sparse.csr_matrix]) -> list[np.ndarray]:
    """Log share of the counts of each gene in each type of a file, by empirical Bayes.

    A gene whose share differs between types no more than its counts in cells let expect is given
    the file's share; one that differs much keeps the type's own (James and Stein's estimate, gene
    by gene).

    Args:
        cells: ``(B, G)`` counts of each type.
    """
    totals = np.stack([np.asarray(one.sum(axis=0), dtype=float).ravel() for one in cells])
    depth = np.maximum(totals.sum(axis=1), 1)[:, None]
    numbers = np.array([one.shape[0] for one in cells], dtype=float)
    pooled = totals.sum(axis=0) + 0.5
    pooled /= pooled.sum()
    variance = np.stack([_variance(one) for one in cells])
    fano = numbers @ variance / np.maximum(totals.sum(axis=0), 1e-9)
    error = np.maximum(fano, 1) * pooled / depth
    own = totals / depth
    weights = (numbers / (numbers + SPREAD_CELLS))[:, None]
    between = (weights * ((own - pooled) ** 2 - error)).sum(axis=0) / weights.sum()
    kept = np.maximum(between, 0) / np.maximum(np.maximum(between, 0) + error, 1e-30)
    shares = pooled + kept * (own - pooled)
    added = PRIOR_CELLS * depth / numbers[:, None]
    shares = (shares * depth + added * pooled) / (depth + added)
    return list(np.log(shares / shares.sum(axis=1, keepdims=True)))


def _variance(cells: sparse.csr_matrix) -> np.ndarray:
    mean = np.asarray(cells.mean(axis=0), dtype=float).ravel()
    square = np.asarray(cells.multiply(cells).mean(axis=0), dtype=float).ravel()
    return np.maximum(square - mean**2, 0)


def library_quantiles(library: np.ndarray) -> np.ndarray:
    """Log library sizes at the levels that the decoder keeps."""
    return np.log(np.maximum(np.quantile(library, LIBRARY_LEVELS), 1))


def latent_priors(
    posteriors: Sequence[tuple[np.ndarray, np.ndarray]],
    libraries: Sequence[np.ndarray],
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Mean and covariance root of latent and library score, of each type of a file.

    They are the moments of the aggregated posterior, which is the Gaussian prior of the greatest
    ELBO; the covariance of a type with few cells is drawn towards that of the file.

    Args:
        posteriors: ``(B, Z)`` means and variances of each type's cells.
        libraries: ``(B,)`` library sizes of the same.
    """
    from scipy.stats import norm, rankdata

    means, covariances = [], []
    for (mean, variance), library in zip(posteriors, libraries, strict=True):
        score = norm.ppf((rankdata(library) - 0.5) / len(library))
        both = np.column_stack([mean, score])
        own = np.cov(both.T, bias=True) if len(both) > 1 else np.eye(both.shape[1])
        own = own + np.diag([*variance.mean(axis=0), 0.0])
        own[-1, -1] = 1.0
        means.append(np.append(mean.mean(axis=0), 0.0))
        covariances.append(own)
    pooled = np.mean(covariances, axis=0)
    roots = []
    for own, library in zip(covariances, libraries, strict=True):
        weight = len(library) / (len(library) + SPREAD_CELLS)
        values, axes = np.linalg.eigh(weight * own + (1 - weight) * pooled)
        roots.append((axes * np.sqrt(np.maximum(values, 0))).T)
    return means, roots


@torch.no_grad()
def calibrate_counts(
    decoder: CountDecoder, sources: Sequence[int], cells: Sequence[sparse.csr_matrix], *, seed: int
) -> tuple[list[Tensor], list[Tensor]]:
    """Log shares and log sizes under which drawn cells have the means and zeros of training cells.

    The latent adds to both, so they are set after it was learned. It concerns the sources of one
    file.

    Args:
        decoder: What was learned so far; its shares are moved in place.
        sources: Positions of the file's sources.
        cells: ``(B, G)`` training counts of each.
        seed: Seed of the draws.
    """
    generator = torch.Generator().manual_seed(seed)
    targets = log_shares(cells)
    shares, rates = [], []
    for source, target in zip(sources, targets, strict=True):
        log_share = decoder.tables(source)[0]
        noise = torch.randn(DRAWS, decoder.prior_mean.shape[1], generator=generator)
        latent, library = decoder.latents(source, noise)
        mean = torch.zeros(0)
        for _ in range(ROUNDS):
            mean = decoder.parameters_of(source, latent, library).mean
            reached = mean.sum(dim=0) / library.sum()
            log_share += torch.from_numpy(target).float() - reached.clamp_min(1e-12).log()
        shares.append(log_share.clone())
        rates.append(decoder.parameters_of(source, latent, library).mean.numpy())
    return shares, [torch.from_numpy(s).float() for s in _log_sizes(rates, cells)]


def _log_sizes(rates: list[np.ndarray], cells: Sequence[sparse.csr_matrix]) -> list[np.ndarray]:
    """Log inverse dispersion ``(G,)`` of each type, its file's figures taken in by their cells."""
    zeros, spread, expected = [], [], []
    for rate, counts in zip(rates, cells, strict=True):
        mean = np.asarray(counts.mean(axis=0)).ravel()
        zeros.append(1 - np.asarray((counts > 0).mean(axis=0)).ravel())
        spread.append(_variance(counts) - mean - rate.var(axis=0))
        expected.append((rate**2).mean(axis=0))
    numbers = np.array([counts.shape[0] for counts in cells], dtype=float)
    weights = numbers / numbers.sum()
    curves = [_zero_curve(rate) for rate in rates]
    pooled_spread = np.einsum("p,pg->g", weights, np.stack(spread))
    pooled_expected = np.einsum("p,pg->g", weights, np.stack(expected))
    pooled_zeros = np.einsum("p,pg->g", weights, np.stack(zeros))
    pooled_curve = np.einsum("p,psg->sg", weights, np.stack(curves))
    found = []
    for at, number in enumerate(numbers):
        own = number / (number + SPREAD_CELLS)
        excess = own * spread[at] + (1 - own) * pooled_spread
        size = own * expected[at] + (1 - own) * pooled_expected
        by_variance = np.log(np.maximum(size, 1e-12) / np.maximum(excess, 1e-12))
        share = own * zeros[at] + (1 - own) * pooled_zeros
        by_zeros = _crossing(own * curves[at] + (1 - own) * pooled_curve, share)
        counted = (1 - share > DETECTED[0]) & (1 - share < DETECTED[1])
        chosen = np.where(counted, by_zeros, by_variance)
        found.append(np.clip(chosen, LOG_SIZES[0], LOG_SIZES[-1]))
    return found


def _zero_curve(rate_BG: np.ndarray) -> np.ndarray:
    """Share of zeros at each of ``LOG_SIZES``, ``(sizes, G)``; it falls."""
    some = rate_BG[:ZERO_DRAWS]
    zeros = [np.exp(-size * np.log1p(some / size)).mean(axis=0) for size in np.exp(LOG_SIZES)]
    return np.stack(zeros)


def _crossing(curve_SG: np.ndarray, wanted_G: np.ndarray) -> np.ndarray:
    """Log size at which each falling curve reaches a share of zeros; an end where it never does."""
    above = (curve_SG > wanted_G).sum(axis=0)
    right = np.clip(above, 1, len(LOG_SIZES) - 1)
    columns = np.arange(len(wanted_G))
    high, low = curve_SG[right - 1, columns], curve_SG[right, columns]
    share = np.clip((high - wanted_G) / np.maximum(high - low, 1e-9), 0, 1)
    return LOG_SIZES[right - 1] + share * (LOG_SIZES[right] - LOG_SIZES[right - 1])
