"""Places expression profiles of any platform in the factor space of the bulk lines.

Suffixes: N profiles, G genes of the screen, M genes shared with the file, K factors.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

#: Prior variance of how much of a measured platform difference a profile carries: wide, so that
#: the profile says.
PLATFORM_SIZE = 10.0
#: Power of a factor's variance by which it is scaled down before lines are compared, so that no few
#: factors decide which is nearest. Chosen by how well the nearest training line's response agrees
#: in cross-validation (within drug .308 at 0, .305 at .5, .313 at .75, .305 at 1).
EVENING = 0.75


@dataclass(frozen=True, kw_only=True)
class FactorSpace:
    """Principal factors of bulk expression, with what is needed to place other profiles.

    Attributes:
        keys: Vocabulary keys of the G genes.
        mean_G: Mean of the training lines.
        loadings_KG: Orthonormal factors.
        factor_var_K: Variance of each factor over the training lines.
        residual_var_G: Variance of a gene that the factors leave.
        platform_PG: Differences between single-cell pseudobulk and bulk of the same kind of cells,
            one row per file they were measured on; how much of each a profile carries is unknown.
        examples_LK: Factors of some lines: the shape of the distribution is read off them.
        platform_var: Variance of a gene between platforms beyond those differences.
    """

    keys: tuple[str, ...]
    mean_G: np.ndarray
    loadings_KG: np.ndarray
    factor_var_K: np.ndarray
    residual_var_G: np.ndarray
    platform_PG: np.ndarray
    examples_LK: np.ndarray
    platform_var: float = 1.0

    @cached_property
    def index(self) -> dict[str, int]:
        """Position of each key."""
        return {key: i for i, key in enumerate(self.keys)}

    def similarity(self, first_NK: np.ndarray, second_MK: np.ndarray) -> np.ndarray:
        """Cosines (N, M) of factors, evened out by the factors' variances."""
        scale_K = self.factor_var_K ** (-EVENING / 2)
        cosines: np.ndarray = unit(first_NK * scale_K) @ unit(second_MK * scale_K).T
        return cosines

    def place(self, keys: Sequence[str | None]) -> "Placement":
        """Prepare the projection of profiles that measure these genes."""
        columns, genes = [], []
        seen: set[int] = set()
        for column, key in enumerate(keys):
            gene = self.index.get(key) if key else None
            if gene is not None and gene not in seen:
                seen.add(gene)
                columns.append(column)
                genes.append(gene)
        return Placement(space=self, columns=np.array(columns, int), genes=np.array(genes, int))


@dataclass(frozen=True, kw_only=True)
class Placement:
    """The projection for one list of measured genes.

    A profile is ranked over the shared genes and mapped onto the values that bulk lines take
    there; the factors follow as the posterior mean of a factor model in which each gene counts by
    the inverse of its noise. Differences between platforms are noise of unknown size along known
    directions, so that a bulk profile loses next to nothing by them and a single-cell one is
    corrected by as much as it shows. Missing genes need no filling in: they leave the factors
    nearer to zero and less certain.
    """

    space: FactorSpace
    columns: np.ndarray
    genes: np.ndarray

    @cached_property
    def _solved(self) -> tuple[np.ndarray, np.ndarray]:
        """The linear map (K, M) and the posterior covariance (K, K)."""
        space = self.space
        weight_M = 1.0 / (space.residual_var_G[self.genes] + space.platform_var)
        loadings_KM = space.loadings_KG[:, self.genes]
        weighted_KM = loadings_KM * weight_M
        platform_PM = space.platform_PG[:, self.genes] * np.sqrt(PLATFORM_SIZE)
        if len(platform_PM):
            # Woodbury: the inverse of diagonal noise plus the platform's directions.
            own_PM = platform_PM * weight_M
            inner = np.eye(len(platform_PM)) + own_PM @ platform_PM.T
            weighted_KM = weighted_KM - (weighted_KM @ platform_PM.T) @ np.linalg.solve(
                inner, own_PM
            )
        precision = weighted_KM @ loadings_KM.T + np.diag(1.0 / space.factor_var_K)
        covariance = np.linalg.inv(precision)
        return covariance @ weighted_KM, covariance

    @property
    def to_factors_KM(self) -> np.ndarray:
        """The linear map (K, M) from centred, mapped profiles to factors."""
        return self._solved[0]

    @property
    def covariance_KK(self) -> np.ndarray:
        """Posterior covariance of the factors; the same for every profile of these genes."""
        return self._solved[1]

    @cached_property
    def _targets(self) -> np.ndarray:
        """Sorted values (M,) that bulk lines take on the shared genes, averaged over lines."""
        space = self.space
        lines_LM = space.examples_LK @ space.loadings_KG[:, self.genes] + space.mean_G[self.genes]
        targets: np.ndarray = np.sort(lines_LM, axis=1).mean(0)
        return targets

    def mapped(self, profiles_NG: np.ndarray) -> np.ndarray:
        """Map (N, genes of the file) values onto bulk values: (N, M)."""
        values = np.asarray(profiles_NG)[:, self.columns]
        ranks = _ranks(values)
        targets = self._targets
        steps = (np.arange(len(targets)) + 0.5) / max(len(targets), 1)
        return np.interp(ranks, steps, targets)

    def factors(self, profiles_NG: np.ndarray) -> np.ndarray:
        """Factors (N, K) of profiles (N, genes of the file) on any monotone scale."""
        centred = self.mapped(profiles_NG) - self.space.mean_G[self.genes]
        return centred @ self._solved[0].T


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length one."""
    scaled: np.ndarray = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return scaled


def _ranks(values_NM: np.ndarray) -> np.ndarray:
    """Ranks in (0, 1) along each row, ties averaged."""
    from scipy.stats import rankdata

    n = values_NM.shape[1]
    ranks: np.ndarray = (rankdata(values_NM, axis=1) - 0.5) / max(n, 1)
    return ranks
