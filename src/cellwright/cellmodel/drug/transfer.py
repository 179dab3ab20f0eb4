"""Predicts, from an expression profile, how cell lines of that kind respond to a drug.

Suffixes: N profiles, G genes of the file, K factors, L lines, D drugs.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from cellwright.cellmodel.drug.project import FactorSpace, Placement, unit
from cellwright.errors import CellwrightError

FORMAT = 2
PACKAGED = Path(__file__).parent / "artifact"
#: A response is stored as a whole number of these steps of z.
STEP = 0.05
MISSING = -128
#: Half width of the central 80 % of a standard normal.
NORMAL_80 = 1.2816
BLOCK = 2048
#: Lines that a tissue needs for its mean to be shown.
MIN_TISSUE = 5
#: Lines at the screen's average that a tissue's mean is taken together with.
TISSUE_PRIOR = 1.0


@dataclass(frozen=True, kw_only=True)
class DrugScores:
    """Predicted z of ln IC50 among cell lines: below 0 is more sensitive than the average line.

    Attributes:
        drugs: Names of the D drugs, as the screen writes them.
        z: (N, D) predictions.
        low: (N, D) lower end of the 80 % interval.
        high: (N, D) upper end.
        n_genes: Genes of the screen that the profiles measured.
    """

    drugs: tuple[str, ...]
    z: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n_genes: int


@dataclass(frozen=True, kw_only=True)
class NearestLine:
    """A cell line near to a profile.

    Attributes:
        line: Its name, as the screen writes it.
        tissue: Its tissue, as the screen describes it; empty where it does not.
        similarity: Cosine in the factor space, -1 to 1.
        measured: Measured z of ln IC50 per drug asked about, where it was measured.
        held_out: The line was kept out of every fit.
    """

    line: str
    tissue: str
    similarity: float
    measured: dict[str, float]
    held_out: bool


@dataclass(frozen=True, kw_only=True)
class DrugTransfer:
    """Linear response models on factors of bulk expression, and the lines themselves.

    Attributes:
        space: The factor space.
        drugs: Names of the D drugs.
        weights_KD: Response per factor.
        bias_D: Response of the mean profile.
        half_width_D: 80 % quantile of the absolute held-out error of each drug.
        skill_D: Held-out Spearman correlation over lines of each drug (cross-validated).
        lines: Names of the L lines, as the screen writes them.
        tissues: Their tissues, as the screen describes them; empty where it does not.
        scores_LK: Their factors.
        response_LD: int8, measured z in steps of ``STEP``; ``MISSING`` where not measured.
        held_out_L: Lines that no fit saw.
        card: Where it came from and how it was judged.
    """

    space: FactorSpace
    drugs: tuple[str, ...]
    weights_KD: np.ndarray
    bias_D: np.ndarray
    half_width_D: np.ndarray
    skill_D: np.ndarray
    lines: tuple[str, ...]
    tissues: tuple[str, ...]
    scores_LK: np.ndarray
    response_LD: np.ndarray
    held_out_L: np.ndarray
    card: dict[str, Any]

    @classmethod
    def load(cls, folder: Path | None = None) -> "DrugTransfer":
        """Load a saved transfer; the packaged one by default.

        Raises:
            CellwrightError: The folder holds none, or one of another format.
        """
        return _load(folder or PACKAGED)

    def save(self, folder: Path) -> None:
        """Write ``transfer.json`` and ``transfer.npz`` (half precision, no pickles)."""
        folder.mkdir(parents=True, exist_ok=True)
        space = self.space
        np.savez_compressed(
            folder / "transfer.npz",
            mean=space.mean_G.astype(np.float16),
            loadings=space.loadings_KG.astype(np.float16),
            factor_var=space.factor_var_K.astype(np.float32),
            residual_var=space.residual_var_G.astype(np.float16),
            platform=space.platform_PG.astype(np.float16),
            weights=self.weights_KD.astype(np.float16),
            bias=self.bias_D.astype(np.float32),
            half_width=self.half_width_D.astype(np.float32),
            skill=self.skill_D.astype(np.float32),
            scores=self.scores_LK.astype(np.float16),
            response=self.response_LD,
            held_out=self.held_out_L,
        )
        record = {
            "format": FORMAT,
            "keys": space.keys,
            "platform_var": space.platform_var,
            "drugs": self.drugs,
            "lines": self.lines,
            "tissues": self.tissues,
            "card": self.card,
        }
        text = json.dumps(record, ensure_ascii=False)
        (folder / "transfer.json").write_text(text, encoding="utf-8")

    def place(self, keys: Sequence[str | None]) -> Placement:
        """Prepare for profiles that measure these genes."""
        return self.space.place(keys)

    def drug_index(self, drugs: Sequence[str] | None) -> np.ndarray:
        """Columns of drugs.

        Raises:
            CellwrightError: A drug is not in the screen.
        """
        if drugs is None:
            return np.arange(len(self.drugs))
        place = {drug.casefold(): i for i, drug in enumerate(self.drugs)}
        missing = [drug for drug in drugs if drug.casefold() not in place]
        if missing:
            msg = f"Not among the {len(self.drugs)} drugs of the screen: {', '.join(missing)}."
            raise CellwrightError(msg)
        return np.array([place[drug.casefold()] for drug in drugs], int)

    def predict(
        self,
        profiles: Any,
        keys: Sequence[str | None],
        drugs: Sequence[str] | None = None,
    ) -> DrugScores:
        """Predict responses.

        Args:
            profiles: (N, G) log1p CP10k, dense or CSR; groups or single cells. Only the order of
                the genes within a profile is used.
            keys: Vocabulary keys of the G genes; None where a gene is not known.
            drugs: Names in the screen; None for all.
        """
        placement = self.place(keys)
        columns = self.drug_index(drugs)
        weights = self.weights_KD[:, columns]
        z = self.factors(profiles, placement) @ weights + self.bias_D[columns]
        unknown = np.einsum("kd,kl,ld->d", weights, placement.covariance_KK, weights)
        half = np.sqrt(self.half_width_D[columns] ** 2 + NORMAL_80**2 * unknown)
        return DrugScores(
            drugs=tuple(self.drugs[i] for i in columns),
            z=z,
            low=z - half,
            high=z + half,
            n_genes=len(placement.genes),
        )

    def factors(self, profiles: Any, placement: Placement) -> np.ndarray:
        """Factors (N, K) of profiles (N, G), a block of rows at a time."""
        parts = [
            placement.factors(_dense(profiles[start : start + BLOCK]))
            for start in range(0, profiles.shape[0], BLOCK)
        ]
        if not parts:
            return np.zeros((0, len(self.space.factor_var_K)))
        return np.concatenate(parts)

    def nearest_lines(
        self,
        profiles: Any,
        keys: Sequence[str | None],
        top: int = 5,
        *,
        drugs: Sequence[str] = (),
        measured_only: bool = False,
        training_only: bool = False,
    ) -> list[list[NearestLine]]:
        """For each profile, the lines nearest in expression, nearest first.

        Args:
            profiles: (N, G) log1p CP10k.
            keys: Vocabulary keys of the G genes.
            top: How many.
            drugs: Drugs whose measured response is wanted.
            measured_only: Only lines in which all these drugs were measured.
            training_only: Leave out the lines kept for testing.
        """
        columns = self.drug_index(drugs)
        factors = self.factors(profiles, self.place(keys))
        near = self.space.similarity(factors, self.scores_LK)
        usable = np.ones(len(self.lines), bool)
        if measured_only and len(columns):
            usable &= (self.response_LD[:, columns] != MISSING).all(axis=1)
        if training_only:
            usable &= ~self.held_out_L
        near[:, ~usable] = -np.inf
        order = np.argsort(-near, axis=1, kind="stable")[:, : min(top, int(usable.sum()))]
        return [
            [self._line(int(line), float(near[row, line]), columns) for line in lines]
            for row, lines in enumerate(order)
        ]

    @cached_property
    def measured_LD(self) -> np.ndarray:
        """Measured z (L, D), NaN where a pair was not measured."""
        return np.where(self.response_LD == MISSING, np.nan, self.response_LD * STEP)

    @cached_property
    def tissue_table(self) -> tuple[tuple[str, ...], np.ndarray, np.ndarray, np.ndarray]:
        """Tissues of ``MIN_TISSUE`` training lines and more.

        Returns:
            Names of the T tissues, mean measured z (T, D), mean factors (T, K), lines (T,).
        """
        tissues = np.array(self.tissues)
        names, response, factors, counts = [], [], [], []
        for name in sorted(set(self.tissues) - {""}):
            own = (tissues == name) & ~self.held_out_L
            if own.sum() < MIN_TISSUE:
                continue
            measured = self.measured_LD[own]
            n = np.isfinite(measured).sum(0)
            # Where a tissue was hardly screened with a drug, its mean is drawn to the screen's.
            response.append(np.nansum(measured, axis=0) / (n + TISSUE_PRIOR))
            names.append(name)
            factors.append(self.scores_LK[own].mean(0))
            counts.append(int(own.sum()))
        return tuple(names), np.array(response), np.array(factors), np.array(counts)

    def nearest_tissues(
        self, profiles: Any, keys: Sequence[str | None]
    ) -> list[tuple[str, float, int, np.ndarray]]:
        """For each profile, the tissue whose lines are nearest in expression on average.

        Returns:
            Name, cosine in the factor space, number of its lines, and their mean measured z (D,).
        """
        names, response, means, counts = self.tissue_table
        near = unit(self.factors(profiles, self.place(keys))) @ unit(means).T
        return [
            (names[at], float(near[row, at]), int(counts[at]), response[at])
            for row, at in enumerate(near.argmax(axis=1))
        ]

    def _line(self, line: int, similarity: float, columns: np.ndarray) -> NearestLine:
        measured = {
            self.drugs[drug]: round(int(self.response_LD[line, drug]) * STEP, 2)
            for drug in columns
            if self.response_LD[line, drug] != MISSING
        }
        return NearestLine(
            line=self.lines[line],
            tissue=self.tissues[line],
            similarity=similarity,
            measured=measured,
            held_out=bool(self.held_out_L[line]),
        )


def pack_response(response_LD: np.ndarray) -> np.ndarray:
    """Round measured z to whole steps, as int8; NaN becomes ``MISSING``."""
    steps = np.clip(np.round(np.nan_to_num(response_LD) / STEP), -127, 127).astype(np.int8)
    return np.where(np.isfinite(response_LD), steps, MISSING).astype(np.int8)


def _dense(block: Any) -> np.ndarray:
    return np.asarray(block.toarray() if hasattr(block, "toarray") else block, dtype=np.float32)


@lru_cache(maxsize=2)
def _load(folder: Path) -> DrugTransfer:
    try:
        record = json.loads((folder / "transfer.json").read_text(encoding="utf-8"))
        with np.load(folder / "transfer.npz", allow_pickle=False) as file:
            a = {name: np.asarray(file[name]) for name in file.files}
    except OSError as error:
        msg = f"No drug transfer in {folder}. `cellwright train drug` makes one."
        raise CellwrightError(msg) from error
    if record["format"] != FORMAT:
        msg = f"The drug transfer in {folder} has format {record['format']}, expected {FORMAT}."
        raise CellwrightError(msg)
    single = {
        name: a[name].astype(np.float32) for name in a if name not in ("response", "held_out")
    }
    scores = single["scores"]
    space = FactorSpace(
        keys=tuple(record["keys"]),
        mean_G=single["mean"],
        loadings_KG=single["loadings"],
        factor_var_K=single["factor_var"],
        residual_var_G=single["residual_var"],
        platform_PG=single["platform"],
        examples_LK=scores[~a["held_out"]][::EXAMPLE_STRIDE],
        platform_var=record["platform_var"],
    )
    return DrugTransfer(
        space=space,
        drugs=tuple(record["drugs"]),
        weights_KD=single["weights"],
        bias_D=single["bias"],
        half_width_D=single["half_width"],
        skill_D=single["skill"],
        lines=tuple(record["lines"]),
        tissues=tuple(record["tissues"]),
        scores_LK=scores,
        response_LD=a["response"],
        held_out_L=a["held_out"],
        card=record["card"],
    )


#: Every so many training lines, one serves as an example of a line's distribution.
EXAMPLE_STRIDE = 8
