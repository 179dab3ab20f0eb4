"""Fits the transfer: factors of bulk expression, one ridge per drug, intervals from held-out lines.

Suffixes: L lines, G genes, K factors, D drugs.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cellwright.cellmodel.drug.project import FactorSpace
from cellwright.cellmodel.drug.screen import HELD_OUT_LINES, Keys, Screen, read_screen
from cellwright.cellmodel.drug.transfer import EXAMPLE_STRIDE, DrugTransfer, pack_response

logger = logging.getLogger(__name__)

INTERVAL = 0.8


@dataclass(frozen=True, kw_only=True)
class PlatformPair:
    """A single-cell pseudobulk of a line that the screen has in bulk.

    The difference of the two is what the platform does to a gene. None of the held-out lines may
    be used, or the test would be on lines that the fit has met.

    Attributes:
        profile: (G,) log1p CP10k of the pseudobulk.
        keys: Vocabulary keys of the genes.
        line: The line's name in the screen's expression table.
    """

    profile: np.ndarray
    keys: tuple[str | None, ...]
    line: str


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """How the transfer is fitted.

    Attributes:
        factors: Number of factors of expression.
        ridge: Penalty on a drug's weights.
        platform_var: Variance of a gene between platforms, in units of z over a line's genes.
        shift_share: Share of the measured platform shift that is believed.
        folds: Folds over the training lines for the intervals.
        seed: Seed of the folds.
    """

    factors: int = 150
    ridge: float = 3000.0
    platform_var: float = 1.0
    shift_share: float = 0.8
    folds: int = 5
    seed: int = 0


def fit_transfer(
    gdsc_dir: Path,
    out: Path | None = None,
    *,
    keys: Keys | None = None,
    pairs: Sequence[PlatformPair] = (),
    config: FitConfig | None = None,
    held_out: Sequence[str] = HELD_OUT_LINES,
) -> DrugTransfer:
    """Fit a transfer on a GDSC folder and save it.

    Args:
        gdsc_dir: Folder of the two tables.
        out: Where to save; None does not.
        keys: Translates gene symbols to vocabulary keys; None keeps the symbols.
        pairs: Lines measured on both platforms, for the shift; none leaves it at zero.
        config: How to fit.
        held_out: Lines that no fit may see.
    """
    transfer = fit_screen(
        read_screen(gdsc_dir, keys, held_out=held_out), pairs=pairs, config=config
    )
    if out is not None:
        transfer.save(out)
    return transfer


def fit_screen(
    screen: Screen, *, pairs: Sequence[PlatformPair] = (), config: FitConfig | None = None
) -> DrugTransfer:
    """Fit a transfer on a screen already read."""
    config = config or FitConfig()
    train = np.flatnonzero(~screen.held_out)
    mean, loadings = factorise(screen.expression[train], config.factors)
    scores = (screen.expression - mean) @ loadings.T
    left = screen.expression[train] - mean - scores[train] @ loadings
    space = FactorSpace(
        keys=screen.keys,
        mean_G=mean,
        loadings_KG=loadings,
        factor_var_K=scores[train].var(0) + 1e-6,
        residual_var_G=left.var(0) + 1e-3,
        shift_G=np.zeros_like(mean),
        examples_LK=scores[train][::EXAMPLE_STRIDE],
        platform_var=config.platform_var,
    )
    shift = _platform_shift(space, screen, pairs, config.shift_share)
    weights, bias = ridge(scores[train], screen.response[train], config.ridge)
    held = cross_predict(screen, config)
    error = np.abs(held - screen.response[train])
    skill = spearman_columns(held, screen.response[train])
    card = {
        "source": "GDSC1 and GDSC2, ln IC50; bulk expression of cell lines",
        "training_lines": len(train),
        "held_out_lines": [screen.names[i] for i in np.flatnonzero(screen.held_out)],
        "drugs": len(screen.drugs),
        "genes": len(screen.keys),
        "config": vars(config),
        "shift_from": sorted({pair.line for pair in pairs}),
        "cv_spearman_within_drug": float(np.nanmean(skill)),
        "cv_spearman_over_drugs": float(
            np.nanmean(spearman_columns(held.T, screen.response[train].T))
        ),
    }
    return DrugTransfer(
        space=replace(space, shift_G=shift),
        drugs=screen.drugs,
        weights_KD=weights,
        bias_D=bias,
        half_width_D=np.nanquantile(error, INTERVAL, axis=0),
        skill_D=skill,
        lines=screen.names,
        scores_LK=scores,
        response_LD=pack_response(screen.response),
        held_out_L=screen.held_out,
        card=card,
    )


def factorise(expression_LG: np.ndarray, n_factors: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean (G,) and the leading orthonormal factors (K, G)."""
    mean = expression_LG.mean(0)
    centred = expression_LG - mean
    # Lines are fewer than genes: the small Gram matrix gives the same factors.
    values, vectors = np.linalg.eigh((centred @ centred.T).astype(np.float64))
    keep = np.argsort(-values)[: min(n_factors, len(values) - 1)]
    keep = keep[values[keep] > values.max() * 1e-9]
    loadings = (vectors[:, keep] / np.sqrt(values[keep])).T @ centred
    return mean.astype(np.float32), loadings.astype(np.float32)


def ridge(
    scores_LK: np.ndarray, response_LD: np.ndarray, penalty: float
) -> tuple[np.ndarray, np.ndarray]:
    """Weights (K, D) and bias (D,); each drug on the lines in which it was measured."""
    n_factors, n_drugs = scores_LK.shape[1], response_LD.shape[1]
    weights = np.zeros((n_factors, n_drugs), np.float32)
    bias = np.zeros(n_drugs, np.float32)
    for drug in range(n_drugs):
        measured = np.isfinite(response_LD[:, drug])
        x, y = scores_LK[measured].astype(np.float64), response_LD[measured, drug]
        mean = x.mean(0)
        x = x - mean
        gram = x.T @ x + penalty * np.eye(n_factors)
        weights[:, drug] = np.linalg.solve(gram, x.T @ (y - y.mean()))
        bias[drug] = y.mean() - mean @ weights[:, drug]
    return weights, bias


def cross_predict(screen: Screen, config: FitConfig) -> np.ndarray:
    """Predictions (training lines, D), each from a fit without the line; factors refitted too."""
    train = np.flatnonzero(~screen.held_out)
    fold = np.random.default_rng(config.seed).permutation(len(train)) % config.folds
    out = np.zeros((len(train), len(screen.drugs)), np.float32)
    for number in range(config.folds):
        rest, test = train[fold != number], train[fold == number]
        mean, loadings = factorise(screen.expression[rest], config.factors)
        weights, bias = ridge(
            (screen.expression[rest] - mean) @ loadings.T, screen.response[rest], config.ridge
        )
        out[fold == number] = (screen.expression[test] - mean) @ loadings.T @ weights + bias
        logger.info("fold %d of %d", number + 1, config.folds)
    return out


def spearman_columns(predicted: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Spearman correlation of each column, over the rows that were measured."""
    from scipy.stats import rankdata

    out = np.full(predicted.shape[1], np.nan)
    for column in range(predicted.shape[1]):
        both = np.isfinite(measured[:, column]) & np.isfinite(predicted[:, column])
        if both.sum() < 3:
            continue
        a, b = rankdata(predicted[both, column]), rankdata(measured[both, column])
        if a.std() > 0 and b.std() > 0:
            out[column] = np.corrcoef(a, b)[0, 1]
    return out


def _platform_shift(
    space: FactorSpace, screen: Screen, pairs: Sequence[PlatformPair], share: float
) -> np.ndarray:
    """Mean difference of pseudobulk and bulk per gene (G,); zero where no pair measured it."""
    total = np.zeros(len(space.keys), np.float32)
    count = np.zeros(len(space.keys), np.float32)
    for pair in pairs:
        line = screen.lines.index(pair.line)
        if screen.held_out[line]:
            msg = f"{pair.line} is held out for testing and cannot teach the platform shift."
            raise ValueError(msg)
        placement = space.place(pair.keys)
        mapped = placement.mapped(pair.profile[None, :])[0]
        total[placement.genes] += mapped - screen.expression[line, placement.genes]
        count[placement.genes] += 1
    return share * total / np.maximum(count, 1)
