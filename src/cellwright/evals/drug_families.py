"""Families of drug models under one protocol: lines left out of the fit, in bulk or disguised.

``shared`` is what ships: a ridge on factors of rank-mapped expression whose predictions are shared
across drugs. ``linear`` is the same without the sharing. ``embedding`` is a ridge on the cell
model's vector of each line. Disguised lines carry a difference between platforms that was measured
on other cells: truth and lines are the screen's, what the model sees is not bulk any more. None of
it looks at the held-out lines, so it is what the transfer's settings were chosen by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from cellwright.cellmodel.drug.fit import FitConfig, factor_space, fit_response, ridge
from cellwright.cellmodel.drug.project import FactorSpace, unit
from cellwright.cellmodel.drug.screen import Screen

SHARED, LINEAR, EMBEDDING = "cellwright", "linear", "cell-model-embedding"
NEAREST, TISSUE, NEAR_TISSUE = "nearest-line", "tissue-mean", "nearest-tissue-mean"
EMBEDDING_RIDGE = 60.0
NEIGHBOURS = 50

Embed = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From profiles ``(N, G)`` and the genes measured ``(M,)`` to vectors ``(N, E)``."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What every family is given.

    Attributes:
        screen: The screen.
        similarity: (D, D) of the drugs.
        platforms: (G,) difference of each paired file, NaN where it has no such gene.
        embed: The cell model's vectors; None leaves that family out.
        config: Settings of the fit.
    """

    screen: Screen
    similarity: np.ndarray
    platforms: Mapping[str, np.ndarray]
    embed: Embed | None
    config: FitConfig = field(default_factory=FitConfig)

    @property
    def train(self) -> np.ndarray:
        """Lines that may be fitted on."""
        return np.flatnonzero(~self.screen.held_out)


def leave_out(
    protocol: Protocol,
    fold_L: np.ndarray,
    *,
    disguise: str | None = None,
    corrected: bool = True,
    families: tuple[str, ...] = (),
) -> dict[str, np.ndarray]:
    """Predictions (training lines, D) of each family, fitted without the line's fold.

    Args:
        protocol: What is given.
        fold_L: Fold of each training line.
        disguise: Platform whose difference the left-out lines carry; the correction is then
            learned from the other platforms alone.
        corrected: Whether platforms are corrected at all.
        families: Which; empty takes all.
    """
    screen, train, config = protocol.screen, protocol.train, protocol.config
    expression, response = screen.expression[train], screen.response[train]
    genes = np.arange(len(screen.keys))
    seen = expression
    directions = list(protocol.platforms.values())
    if disguise is not None:
        own = protocol.platforms[disguise]
        genes = np.flatnonzero(np.isfinite(own))
        seen = expression + np.nan_to_num(own).astype(np.float32)
        directions = [one for name, one in protocol.platforms.items() if name != disguise]
    keys = [screen.keys[gene] for gene in genes]
    out: dict[str, np.ndarray] = {}

    def put(family: str, rows: np.ndarray, values: np.ndarray) -> None:
        out.setdefault(family, np.full(response.shape, np.nan))[rows] = values

    vectors = None
    if protocol.embed and (not families or EMBEDDING in families):
        vectors = protocol.embed(expression, genes), protocol.embed(seen, genes)
    for number in np.unique(fold_L):
        rest, test = np.flatnonzero(fold_L != number), np.flatnonzero(fold_L == number)
        space = factor_space(expression[rest], screen.keys, config)
        scores = (expression[rest] - space.mean_G) @ space.loadings_KG.T
        if disguise is None:
            found = (expression[test] - space.mean_G) @ space.loadings_KG.T
        else:
            if corrected:
                space = replace(space, platform_PG=np.nan_to_num(np.array(directions)))
            found = space.place(keys).factors(seen[test][:, genes])
        for family, similarity in ((SHARED, protocol.similarity), (LINEAR, None)):
            if not families or family in families:
                weights, bias = fit_response(scores, response[rest], similarity, config)
                put(family, test, found @ weights + bias)
        if vectors is not None:
            put(EMBEDDING, test, on_vectors(vectors[0][rest], response[rest], vectors[1][test]))
        if not families or NEAREST in families:
            put(NEAREST, test, nearest(space, found, scores, response[rest]))
        if screen.tissues and (not families or TISSUE in families):
            tissues = np.array(screen.tissues, object)[train]
            put(TISSUE, test, tissue_mean(tissues[test], tissues[rest], response[rest]))
            likely = nearest_tissue(found, scores, tissues[rest])
            put(NEAR_TISSUE, test, tissue_mean(likely, tissues[rest], response[rest]))
    return out


def on_vectors(train: np.ndarray, response: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Ridge on vectors of the cell model, standardised."""
    mean, deviation = train.mean(0), train.std(0) + 1e-6
    _filled, weights, bias = ridge((train - mean) / deviation, response, EMBEDDING_RIDGE)
    predicted: np.ndarray = (test - mean) / deviation @ weights + bias
    return predicted


def nearest(
    space: FactorSpace, found: np.ndarray, scores: np.ndarray, response: np.ndarray
) -> np.ndarray:
    """Measured response of the nearest line; of the next nearest where it was not measured."""
    order = np.argsort(-space.similarity(found, scores), axis=1)[:, :NEIGHBOURS]
    out = np.full((len(found), response.shape[1]), np.nan)
    for rank in range(order.shape[1]):
        gap = np.isnan(out)
        out[gap] = response[order[:, rank]][gap]
    return out


def nearest_tissue(found: np.ndarray, scores: np.ndarray, tissues: np.ndarray) -> np.ndarray:
    """Tissue whose lines are nearest on average."""
    names = np.array(sorted(set(tissues) - {""}), object)
    means = np.array([scores[tissues == name].mean(0) for name in names])
    chosen: np.ndarray = names[(unit(found) @ unit(means).T).argmax(axis=1)]
    return chosen


def tissue_mean(wanted: np.ndarray, tissues: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Mean response of the lines of a tissue; of all lines where it has none."""
    overall = np.nanmean(response, axis=0)
    out = np.tile(overall, (len(wanted), 1))
    for name in set(wanted) - {""}:
        own = response[tissues == name]
        n = np.isfinite(own).sum(0)
        mean = np.nansum(own, axis=0) / np.maximum(n, 1)
        out[wanted == name] = np.where(n > 0, mean, overall)
    return out


def site_folds(screen: Screen) -> np.ndarray:
    """Site of origin of each training line, as folds; lines without one share a fold."""
    sites = np.array(screen.sites, object)[~screen.held_out]
    return np.unique(sites.astype(str), return_inverse=True)[1]
