"""Groups and donors as the drug tool pools them, and how a prediction on them is put in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellwright.tools.drug_records import LEAN, DrugRecord, LineRecord, TargetRecord
from cellwright.tools.intake import KEY_COLUMN

if TYPE_CHECKING:
    from anndata import AnnData
    from pandas import DataFrame, Series

    from cellwright.cellmodel.drug import DrugTransfer
    from cellwright.knowledge import Knowledge

MIN_CELLS = 10
"""Cells that a pseudobulk needs, of a group or of a donor within it."""

MAX_TARGETS = 4
NORMAL_80 = 1.2816


def direction(z: float, low: float, high: float) -> str:
    """What a prediction says, in words; a lean is no more than that."""
    if high < 0:
        return "more sensitive than most cell lines"
    if low > 0:
        return "more resistant than most cell lines"
    if z <= -LEAN:
        return "leaning sensitive, not distinguishable from the average line"
    if z >= LEAN:
        return "leaning resistant, not distinguishable from the average line"
    return "near the average cell line"


def units(groups: Series, donors: Series | None) -> DataFrame:
    """Sets of cells to pool: each group whole, and each donor within it; donor None is whole."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for name in groups.cat.categories:
        cells = np.flatnonzero((groups == name).to_numpy())
        if len(cells) < MIN_CELLS:
            continue
        rows.append({"group": str(name), "donor": None, "cells": cells})
        if donors is None:
            continue
        inside = donors.iloc[cells].to_numpy()
        for donor in sorted(set(inside)):
            part = cells[inside == donor]
            if len(part) >= MIN_CELLS:
                rows.append({"group": str(name), "donor": donor, "cells": part})
    return pd.DataFrame(rows, columns=["group", "donor", "cells"])


def pseudobulks(adata: AnnData, units: DataFrame) -> np.ndarray:
    """Mean of CP10k over the cells of each unit, log1p: (units, genes)."""
    linear = adata.X.expm1() if hasattr(adata.X, "expm1") else np.expm1(adata.X)
    rows = [np.asarray(linear[cells].mean(axis=0)).ravel() for cells in units["cells"]]
    return np.log1p(np.vstack(rows))


def combine(
    scores: Any,
    row: int,
    split: np.ndarray,
    drug: int,
    *,
    with_donors: bool,
) -> tuple[float, float, int | None]:
    """Prediction, half width and number of donors: donors are the replicates when there are two."""
    half = float(scores.high[row, drug] - scores.z[row, drug])
    if len(split) < 2:
        return float(scores.z[row, drug]), half, (len(split) if with_donors else None)
    values = scores.z[split, drug]
    error = float(values.std(ddof=1) / np.sqrt(len(values)))
    return float(values.mean()), float(np.hypot(half, NORMAL_80 * error)), len(split)


def targets(
    drug: DrugRecord,
    adata: AnnData,
    cells: np.ndarray,
    knowledge: Knowledge,
    shares: np.ndarray,
) -> tuple[TargetRecord, ...]:
    """Targets of a drug that are genes: cells with each, and what it adds to the prediction."""
    place = {key: at for at, key in enumerate(adata.var[KEY_COLUMN].astype(str)) if key}
    records = []
    seen: set[str] = set()
    for match in knowledge.genes.resolve_many(list(dict.fromkeys(drug.targets)), "human"):
        if match.status != "ok" or not match.symbol or match.symbol in seen:
            continue
        seen.add(match.symbol)
        at = place.get(match.key or match.symbol)
        share = None if at is None else round(float((adata.X[cells][:, [at]] > 0).mean()), 3)
        adds = None if at is None else round(float(shares[at]), 4)
        records.append(TargetRecord(gene=match.symbol, share=share, adds=adds))
    return tuple(records)


def line_text(line: LineRecord) -> str:
    """A line and its measured response, as text."""
    return f"{line.line} ({'not measured' if line.z is None else f'{line.z:+.2f}'})"


def target_texts(targets: tuple[TargetRecord, ...]) -> tuple[str, ...]:
    """The most expressed targets as text; a broad drug has dozens, and a table has no room."""
    known = sorted(
        ((one.share, one.gene) for one in targets if one.share is not None), key=lambda one: -one[0]
    )
    shown = [f"{gene} ({share:.0%})" for share, gene in known[:MAX_TARGETS]]
    left = len(known) - len(shown)
    absent = len(targets) - len(known)
    shown += [f"{left} more"] if left else []
    shown += [f"{absent} not measured"] if absent else []
    return tuple(shown)


def all_drugs(units: DataFrame, scores: Any, transfer: DrugTransfer) -> DataFrame:
    """Every drug of the screen for every unit."""
    import pandas as pd

    parts = [
        pd.DataFrame(
            {
                "group": unit["group"],
                "donor": unit["donor"] or "",
                "n_cells": len(unit["cells"]),
                "drug": scores.drugs,
                "z": scores.z[at].round(3),
                "low": scores.low[at].round(3),
                "high": scores.high[at].round(3),
                "skill": transfer.skill_D.round(3),
            }
        )
        for at, (_index, unit) in enumerate(units.iterrows())
    ]
    return pd.concat(parts, ignore_index=True)
