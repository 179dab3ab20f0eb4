"""Moderated t statistics of linear models, for few samples and many genes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Test:
    """A coefficient of one linear model for each gene, each (G,).

    Attributes:
        effect: The coefficient.
        t: Its moderated t statistic.
        p: Its two-sided p value.
        p_adjusted: The same, adjusted after Benjamini and Hochberg.
    """

    effect: np.ndarray
    t: np.ndarray
    p: np.ndarray
    p_adjusted: np.ndarray


def moderated_t(values: np.ndarray, design: np.ndarray, coefficient: int) -> Test:
    """Fit one linear model for each gene and test one coefficient.

    Each gene's residual variance is drawn towards the variance that all genes share, as the
    empirical Bayes model of Smyth (2004) has it, because few samples estimate it badly.

    Args:
        values: (samples, G) log expression.
        design: (samples, K) full-rank design matrix.
        coefficient: Column of the design that is tested.
    """
    from scipy import stats

    inverse = np.linalg.inv(design.T @ design)
    beta = inverse @ design.T @ values
    residual = values - design @ beta
    freedom = design.shape[0] - design.shape[1]
    variance = (residual**2).sum(axis=0) / freedom
    prior, prior_freedom = shared_variance(variance, freedom)
    if np.isinf(prior_freedom):
        shrunk, total = np.full_like(variance, prior), np.inf
    else:
        total = freedom + prior_freedom
        shrunk = (prior_freedom * prior + freedom * variance) / total
    error = np.sqrt(np.maximum(shrunk, 1e-12) * inverse[coefficient, coefficient])
    t = beta[coefficient] / error
    # All samples together cannot carry more freedom than there are residuals.
    total = min(total, freedom * values.shape[1])
    p = 2 * stats.t.sf(np.abs(t), total)
    return Test(effect=beta[coefficient], t=t, p=p, p_adjusted=adjust(p))


def shared_variance(variance: np.ndarray, freedom: int) -> tuple[float, float]:
    """Prior variance and its degrees of freedom, by the moments of log variances.

    Args:
        variance: (G,) residual variances.
        freedom: Their degrees of freedom.
    """
    from scipy.special import digamma, polygamma

    usable = variance[variance > 1e-10]
    if usable.size < 3:
        return (float(usable.mean()) if usable.size else 1e-6, np.inf)
    logs = np.log(usable) - digamma(freedom / 2) + np.log(freedom / 2)
    excess = float(logs.var(ddof=1) - polygamma(1, freedom / 2))
    if excess <= 0:
        return float(np.exp(logs.mean())), np.inf
    half = _trigamma_inverse(excess)
    prior = float(np.exp(logs.mean() + digamma(half) - np.log(half)))
    return prior, 2 * half


def adjust(p: np.ndarray) -> np.ndarray:
    """Benjamini-Hochberg adjusted p values, (G,)."""
    n = len(p)
    order = np.argsort(p)[::-1]
    scaled = p[order] * n / np.arange(n, 0, -1)
    result = np.empty(n)
    result[order] = np.minimum(np.minimum.accumulate(scaled), 1.0)
    return result


def _trigamma_inverse(value: float) -> float:
    from scipy.special import polygamma

    guess = 0.5 + 1.0 / value
    for _ in range(50):
        slope = float(polygamma(1, guess))
        step = slope * (1 - slope / value) / float(polygamma(2, guess))
        guess += step
        if -step / guess < 1e-8:
            break
    return guess
