"""``predict_drug_response``: what bulk screens say of the user's own cells, group by group."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from cellwright.errors import RefusedError
from cellwright.tools.drug_figure import draw_responses
from cellwright.tools.drug_names import resolve_drugs
from cellwright.tools.drug_records import (
    DonorResponse,
    DrugArgs,
    DrugRecord,
    DrugResult,
    GroupResponse,
    LineRecord,
    TargetRecord,
)
from cellwright.tools.intake import KEY_COLUMN
from cellwright.tools.selection import default_grouping, groups_of, keys_of
from cellwright.tools.spec import Needs, Preparation, ToolSpec, Verdict

if TYPE_CHECKING:
    from anndata import AnnData
    from pandas import DataFrame, Series

    from cellwright.cellmodel.drug import DrugTransfer
    from cellwright.knowledge import Knowledge
    from cellwright.tools.passport import Passport
    from cellwright.tools.workbench import Workbench

PREFIX = "cellwright_drug_"
MIN_GENES = 300
"""Genes shared with the screen below which factors cannot be told apart."""

MIN_CELLS = 10
"""Cells that a pseudobulk needs, of a group or of a donor within it."""

FAR = 0.35
"""Similarity to the nearest line under which a group is like no line of the screen."""

MAX_CHOSEN = 6
MAX_TARGETS = 4
MIN_SKILL = 0.3
"""Held-out correlation that a drug needs to be put forward by itself."""

LEAN = 0.3
"""Size of z from which a prediction leans to one side."""

NORMAL_80 = 1.2816


def gate(args: DrugArgs, passport: Passport | None, bench: Workbench) -> Verdict:
    """Human cells, enough genes of the screen, and drugs that were screened."""
    if passport is not None and passport.species.value != "human":
        return Verdict(
            outcome="refuse",
            reason=(
                "The drug screen is of human cell lines, and the same gene can act otherwise in "
                f"another species; {passport.file} is {passport.species.value} "
                f"({passport.species.evidence})."
            ),
            alternative="Search the knowledge for the drug's targets and see which are expressed.",
        )
    shared = _shared_genes(bench)
    if shared is not None and shared < MIN_GENES:
        return Verdict(
            outcome="refuse",
            reason=(
                f"The file measures {shared:,} of the {len(_transfer().space.keys):,} genes of the "
                f"drug screen; at least {MIN_GENES} are needed."
            ),
            alternative="Supply all genes (for instance in raw) rather than a selection of them.",
        )
    found, left_out = resolve_drugs(args.drugs, bench.knowledge, _transfer())
    if not left_out:
        return Verdict()
    reason = " ".join(f"{one.drug}: {one.reason}" for one in left_out)
    alternative = " ".join(one.alternative for one in left_out if one.alternative)
    return Verdict(outcome="warn" if found else "refuse", reason=reason, alternative=alternative)


def preparation(args: DrugArgs, passport: Passport | None, needs: Needs) -> Preparation:
    """Clusters are needed only where no grouping is named and the file brings none."""
    if args.group_by or default_grouping(passport):
        return needs.prepared - {"clusters"}
    return needs.prepared


def run(args: DrugArgs, bench: Workbench) -> DrugResult:
    """Predict per group and donor, score each cell, and draw the intervals.

    Raises:
        RefusedError: The gate says no, or no group has enough cells.
    """
    verdict = gate(args, bench.passport, bench)
    if verdict.outcome == "refuse":
        raise RefusedError(verdict.reason, verdict.alternative)
    transfer, knowledge = _transfer(), bench.knowledge
    asked, left_out = resolve_drugs(args.drugs, knowledge, transfer)
    adata = bench.adata()
    keys = keys_of(adata)
    groups = groups_of(adata, bench.passport, args.group_by)
    column = bench.passport.column("donor") if bench.passport else None
    donors = adata.obs[column.name].astype(str) if column and column.name != groups.name else None

    bench.progress("predicting groups", 0.1)
    units = _units(groups, donors)
    small = tuple(str(name) for name in groups.cat.categories if name not in set(units["group"]))
    if units.empty:
        reason = f"No group of obs['{groups.name}'] has {MIN_CELLS} cells."
        raise RefusedError(reason, "Name a coarser column.")
    profiles = _pseudobulks(adata, units)
    scores = transfer.predict(profiles, keys)
    chosen = list(asked) or _standing_out(scores.z, transfer)
    at = [transfer.drugs.index(drug) for drug in chosen]

    drugs = [_drug_record(drug, asked.get(drug, ""), knowledge, transfer) for drug in chosen]
    whole = np.flatnonzero(units["donor"].isna())
    nearest = transfer.nearest_lines(profiles[whole], keys, 3, drugs=chosen)
    responses, per_donor = [], []
    for row, lines in zip(whole, nearest, strict=True):
        unit = units.iloc[row]
        split = np.flatnonzero((units["group"] == unit["group"]) & units["donor"].notna())
        for drug, where in zip(drugs, at, strict=True):
            z, half, n = _combine(scores, int(row), split, where, with_donors=donors is not None)
            near = [
                LineRecord(
                    line=line.line,
                    similarity=round(line.similarity, 3),
                    z=line.measured.get(drug.drug),
                )
                for line in lines
            ]
            targets = _targets(drug, adata, unit["cells"], knowledge)
            responses.append(
                GroupResponse(
                    group=str(unit["group"]),
                    drug=drug.drug,
                    z=round(z, 3),
                    low=round(z - half, 3),
                    high=round(z + half, 3),
                    direction=direction(z, z - half, z + half),
                    n_cells=len(unit["cells"]),
                    n_donors=n,
                    nearest=tuple(near),
                    near=tuple(_line_text(line) for line in near),
                    targets=targets,
                    expressed=_target_texts(targets),
                )
            )
            per_donor += [
                DonorResponse(
                    group=str(unit["group"]),
                    donor=str(units.iloc[part]["donor"]),
                    drug=drug.drug,
                    z=round(float(scores.z[part, where]), 3),
                    n_cells=len(units.iloc[part]["cells"]),
                )
                for part in split
            ]

    bench.progress("scoring cells", 0.5)
    cells = transfer.predict(adata.X, keys, chosen)
    for place, drug in enumerate(drugs):
        adata.obs[drug.column] = cells.z[:, place].astype(np.float32)
    adata.uns["cellwright_drug_response"] = {"unit": "predicted z of ln IC50", "drugs": chosen}
    far = tuple(
        str(units.iloc[row]["group"])
        for row, lines in zip(whole, nearest, strict=True)
        if lines and lines[0].similarity < FAR
    )
    figure = bench.store.put_file(
        "figure",
        lambda path: draw_responses(path, responses, per_donor),
        "Predicted drug response per group with its interval",
        tool="predict_drug_response",
        parents=(bench.data.id,) if bench.data else (),
    )
    table = bench.store.put_file(
        "table",
        lambda path: _all_drugs(units, scores, transfer).to_csv(path, index=False),
        "Predicted response to every drug of the screen, per group and donor",
        tool="predict_drug_response",
        parents=(bench.data.id,) if bench.data else (),
    )
    summary = f"Cells with predicted response to {', '.join(chosen)}"
    return DrugResult(
        data=bench.put_adata(adata, summary, tool="predict_drug_response"),
        figures=(figure,),
        tables=(table,),
        group_by=str(groups.name),
        donor_column=column.name if column and donors is not None else None,
        n_genes=scores.n_genes,
        n_screen_genes=len(transfer.space.keys),
        n_lines=int(transfer.card["training_lines"]),
        mean_skill=float(np.mean([drug.skill for drug in drugs])),
        drugs=tuple(drugs),
        responses=tuple(responses),
        donors=tuple(per_donor),
        small_groups=small,
        far_groups=far,
        not_predicted=tuple(left_out),
    )


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


def _units(groups: Series, donors: Series | None) -> DataFrame:
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


def _pseudobulks(adata: AnnData, units: DataFrame) -> np.ndarray:
    """Mean of CP10k over the cells of each unit, log1p: (units, genes)."""
    linear = adata.X.expm1() if hasattr(adata.X, "expm1") else np.expm1(adata.X)
    rows = [np.asarray(linear[cells].mean(axis=0)).ravel() for cells in units["cells"]]
    return np.log1p(np.vstack(rows))


def _combine(
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


def _standing_out(z: np.ndarray, transfer: DrugTransfer) -> list[str]:
    """Drugs with the lowest prediction in any group, among those that can be predicted at all."""
    lowest = np.where(transfer.skill_D >= MIN_SKILL, z.min(axis=0), np.inf)
    return [transfer.drugs[at] for at in np.argsort(lowest, kind="stable")[:MAX_CHOSEN]]


def _drug_record(drug: str, query: str, knowledge: Knowledge, transfer: DrugTransfer) -> DrugRecord:
    match = knowledge.drugs.lookup(drug)
    name = re.sub(r"[^0-9a-z]+", "_", drug.casefold()).strip("_")
    return DrugRecord(
        drug=drug,
        query=query,
        targets=match.targets,
        pathway=match.pathway,
        skill=round(float(transfer.skill_D[transfer.drugs.index(drug)]), 3),
        column=f"{PREFIX}{name}",
    )


def _targets(
    drug: DrugRecord, adata: AnnData, cells: np.ndarray, knowledge: Knowledge
) -> tuple[TargetRecord, ...]:
    place = {key: at for at, key in enumerate(adata.var[KEY_COLUMN].astype(str)) if key}
    records = []
    seen: set[str] = set()
    for match in knowledge.genes.resolve_many(list(dict.fromkeys(drug.targets)), "human"):
        if match.status != "ok" or not match.symbol or match.symbol in seen:
            continue
        seen.add(match.symbol)
        at = place.get(match.key or match.symbol)
        share = None if at is None else round(float((adata.X[cells][:, [at]] > 0).mean()), 3)
        records.append(TargetRecord(gene=match.symbol, share=share))
    return tuple(records)


def _line_text(line: LineRecord) -> str:
    return f"{line.line} ({'not measured' if line.z is None else f'{line.z:+.2f}'})"


def _target_texts(targets: tuple[TargetRecord, ...]) -> tuple[str, ...]:
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


def _all_drugs(units: DataFrame, scores: Any, transfer: DrugTransfer) -> DataFrame:
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


def _shared_genes(bench: Workbench) -> int | None:
    """Genes of the current data that the screen has; None without data. Reads no expression."""
    if bench.data is None:
        return None
    import h5py
    from anndata.io import read_elem

    with h5py.File(bench.store.path(bench.data.id)) as file:
        var = read_elem(file["var"])
    return len(set(var[KEY_COLUMN].astype(str)) & set(_transfer().space.keys))


@lru_cache(maxsize=1)
def _transfer() -> DrugTransfer:
    from cellwright.cellmodel.drug import DrugTransfer

    return DrugTransfer.load()


TOOL = ToolSpec(
    name="predict_drug_response",
    title="Drug response",
    description=(
        "Predict how sensitive each group of human cells is to drugs, from screens of cell lines: "
        "z of ln IC50 with an interval per group and donor, a score per cell, nearest cell lines "
        "with their measured response, and whether the drug's targets are expressed."
    ),
    args=DrugArgs,
    result=DrugResult,
    run=run,
    needs=Needs(
        matrix=frozenset({"counts", "log1p", "tpm"}),
        species=frozenset(),
        prepared=frozenset({"clusters"}),
    ),
    gate=gate,
    preparation=preparation,
)
