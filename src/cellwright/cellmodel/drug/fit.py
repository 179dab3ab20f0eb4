"""Fits the transfer: factors of bulk expression, a ridge shared across drugs, and intervals.

Suffixes: L lines, G genes, K factors, D drugs.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cellwright.cellmodel.drug.project import FactorSpace
from cellwright.cellmodel.drug.screen import Screen
from cellwright.cellmodel.drug.sharing import DrugFacts, drug_similarity, smoother
from cellwright.cellmodel.drug.transfer import EXAMPLE_STRIDE, DrugTransfer, pack_response

logger = logging.getLogger(__name__)

INTERVAL = 0.8
FILL_TURNS = 6


@dataclass(frozen=True, kw_only=True)
class PlatformPair:
    """A single-cell pseudobulk beside the bulk of the same kind of cells.

    The difference of the two is what the platform does to a gene. None of the held-out lines may
    be used, or the test would be on lines that the fit has met.

    Attributes:
        name: What it was measured on.
        profile: (G,) log1p CP10k of the pseudobulk.
        keys: Vocabulary keys of the genes.
        lines: Names in the screen's expression table: the line itself, or lines of its kind.
    """

    name: str
    profile: np.ndarray
    keys: tuple[str | None, ...]
    lines: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """How the transfer is fitted.

    All of them were chosen by cross-validation over the training lines, in bulk or with measured
    platform differences laid over them (suite ``drug-transfer``, ``evals/drug_families.py``).

    Attributes:
        factors: Number of factors of expression.
        ridge: Penalty on a drug's weights.
        platform_var: Variance of a gene between platforms, in units of z over a line's genes.
        drug_ridge: Penalty of the sharing across drugs.
        drug_share: Weight of targets, pathway and structure in that sharing.
        folds: Folds over the training lines for the intervals.
        seed: Seed of the folds.
    """

    factors: int = 250
    ridge: float = 3000.0
    platform_var: float = 1.0
    drug_ridge: float = 0.5
    drug_share: float = 0.3
    folds: int = 5
    seed: int = 0


def fit_screen(
    screen: Screen,
    *,
    pairs: Sequence[PlatformPair] = (),
    facts: Mapping[str, DrugFacts] | None = None,
    config: FitConfig | None = None,
) -> DrugTransfer:
    """Fit a transfer on a screen already read."""
    config = config or FitConfig()
    similarity = drug_similarity(screen.drugs, facts or {})
    train = np.flatnonzero(~screen.held_out)
    space = factor_space(screen.expression[train], screen.keys, config)
    space = replace(space, platform_PG=platform_differences(space, screen, pairs))
    weights, bias = fit_response(
        (screen.expression[train] - space.mean_G) @ space.loadings_KG.T,
        screen.response[train],
        similarity,
        config,
    )
    held = cross_predict(screen, config, similarity)
    error = np.abs(held - screen.response[train])
    skill = spearman_columns(held, screen.response[train])
    card = {
        "source": "GDSC1 and GDSC2, ln IC50; bulk expression of cell lines",
        "training_lines": len(train),
        "held_out_lines": [screen.names[i] for i in np.flatnonzero(screen.held_out)],
        "drugs": len(screen.drugs),
        "drugs_with_facts": int((similarity.sum(0) > 0).sum()),
        "genes": len(screen.keys),
        "config": vars(config),
        "platforms_from": [pair.name for pair in pairs],
        "cv_spearman_within_drug": float(np.nanmean(skill)),
        "cv_spearman_over_drugs": float(
            np.nanmean(spearman_columns(held.T, screen.response[train].T))
        ),
    }
    return DrugTransfer(
        space=space,
        drugs=screen.drugs,
        weights_KD=weights,
        bias_D=bias,
        half_width_D=np.nanquantile(error, INTERVAL, axis=0),
        skill_D=skill,
        lines=screen.names,
        tissues=screen.tissues or ("",) * len(screen.lines),
        scores_LK=(screen.expression - space.mean_G) @ space.loadings_KG.T,
        response_LD=pack_response(screen.response),
        held_out_L=screen.held_out,
        card=card,
    )


def factor_space(expression_LG: np.ndarray, keys: Sequence[str], config: FitConfig) -> FactorSpace:
    """Factors of training lines, with no platform known yet."""
    mean, loadings = factorise(expression_LG, config.factors)
    scores = (expression_LG - mean) @ loadings.T
    left = expression_LG - mean - scores @ loadings
    return FactorSpace(
        keys=tuple(keys),
        mean_G=mean,
        loadings_KG=loadings,
        factor_var_K=scores.var(0) + 1e-6,
        residual_var_G=left.var(0) + 1e-3,
        platform_PG=np.zeros((0, len(mean)), np.float32),
        examples_LK=scores[::EXAMPLE_STRIDE],
        platform_var=config.platform_var,
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


def fit_response(
    scores_LK: np.ndarray,
    response_LD: np.ndarray,
    similarity_DD: np.ndarray | None,
    config: FitConfig,
) -> tuple[np.ndarray, np.ndarray]:
    """Weights (K, D) and bias (D,): a ridge over lines, then sharing across drugs.

    Args:
        scores_LK: Factors of the training lines.
        response_LD: Their responses, NaN where a pair was not measured.
        similarity_DD: Of the drugs; None leaves each drug to itself.
        config: Penalties.
    """
    filled, weights, bias = ridge(scores_LK, response_LD, config.ridge)
    if similarity_DD is not None:
        smooth = smoother(filled, similarity_DD, config.drug_share, config.drug_ridge)
        centre = scores_LK.mean(0)
        level = bias + centre @ weights
        weights = weights @ smooth
        bias = level - centre @ weights
    return weights.astype(np.float32), bias.astype(np.float32)


def ridge(
    scores_LK: np.ndarray, response_LD: np.ndarray, penalty: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Responses without gaps (L, D), weights (K, D) and bias (D,).

    Gaps are filled with what the ridge itself predicts there, in turns, so that each drug is
    fitted on the lines in which it was measured and all drugs share one factorisation.
    """
    missing = ~np.isfinite(response_LD)
    filled = np.where(missing, np.nanmean(response_LD, axis=0), response_LD).astype(np.float64)
    centre = scores_LK.mean(0)
    x = (scores_LK - centre).astype(np.float64)
    solve = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T)
    for _turn in range(FILL_TURNS):
        level = filled.mean(0)
        weights = solve @ (filled - level)
        filled = np.where(missing, level + x @ weights, response_LD)
    level = filled.mean(0)
    weights = solve @ (filled - level)
    return filled, weights, level - centre @ weights


def folds_of(n: int, config: FitConfig) -> np.ndarray:
    """Fold of each of n training lines."""
    return np.random.default_rng(config.seed).permutation(n) % config.folds


def cross_predict(
    screen: Screen, config: FitConfig, similarity_DD: np.ndarray | None = None
) -> np.ndarray:
    """Predictions (training lines, D), each from a fit without the line; factors refitted too."""
    train = np.flatnonzero(~screen.held_out)
    fold = folds_of(len(train), config)
    out = np.zeros((len(train), len(screen.drugs)), np.float32)
    for number in range(config.folds):
        rest, test = train[fold != number], train[fold == number]
        mean, loadings = factorise(screen.expression[rest], config.factors)
        weights, bias = fit_response(
            (screen.expression[rest] - mean) @ loadings.T,
            screen.response[rest],
            similarity_DD,
            config,
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


def platform_differences(
    space: FactorSpace, screen: Screen, pairs: Sequence[PlatformPair]
) -> np.ndarray:
    """Pseudobulk less bulk per gene (P, G) of each pair; zero where the pair has no such gene."""
    out = np.zeros((len(pairs), len(space.keys)), np.float32)
    for row, pair in enumerate(pairs):
        lines = [screen.lines.index(line) for line in pair.lines]
        held = [screen.lines[line] for line in lines if screen.held_out[line]]
        if held:
            msg = f"{', '.join(held)}: held out for testing and cannot teach what platforms do."
            raise ValueError(msg)
        placement = space.place(pair.keys)
        mapped = placement.mapped(pair.profile[None, :])[0]
        out[row, placement.genes] = mapped - screen.expression[lines][:, placement.genes].mean(0)
    return out
