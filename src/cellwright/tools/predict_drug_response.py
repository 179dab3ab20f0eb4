"""``predict_drug_response``: what bulk screens say of the user's own cells, group by group."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from cellwright.errors import RefusedError
from cellwright.tools.drug_figure import draw_responses
from cellwright.tools.drug_groups import (
    MIN_CELLS,
    all_drugs,
    combine,
    direction,
    line_text,
    pseudobulks,
    target_texts,
    targets,
    units,
)
from cellwright.tools.drug_labels import (
    COLUMN,
    Context,
    label_cells,
    nearest_context,
    trained_context,
)
from cellwright.tools.drug_names import resolve_drugs
from cellwright.tools.drug_reading import FEW, known_markers, read_prediction
from cellwright.tools.drug_records import (
    DonorResponse,
    DrugArgs,
    DrugRecord,
    DrugResult,
    GroupResponse,
    LabelCount,
    LineRecord,
)
from cellwright.tools.intake import KEY_COLUMN
from cellwright.tools.selection import default_grouping, groups_of, keys_of, symbols
from cellwright.tools.spec import Needs, Preparation, ToolSpec, Verdict

if TYPE_CHECKING:
    from anndata import AnnData

    from cellwright.cellmodel.drug import DrugTransfer
    from cellwright.knowledge import Knowledge
    from cellwright.tools.passport import Passport
    from cellwright.tools.workbench import Workbench

PREFIX = "cellwright_drug_"
MIN_GENES = 300
"""Genes shared with the screen below which factors cannot be told apart."""

FAR = 0.35
"""Similarity to the nearest line under which a group is like no line of the screen."""

MAX_CHOSEN = 6
MIN_SKILL = 0.3
"""Held-out correlation that a drug needs to be put forward by itself."""


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
    context = trained_context(args.drugs, passport)
    if passport is not None and passport.state in {"scaled", "unknown"}:
        return Verdict() if context else _no_context(args, passport)
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
    if not left_out or context:
        return Verdict()
    reason = " ".join(f"{one.drug}: {one.reason}" for one in left_out)
    alternative = " ".join(one.alternative for one in left_out if one.alternative)
    return Verdict(outcome="warn" if found else "refuse", reason=reason, alternative=alternative)


def _no_context(args: DrugArgs, passport: Passport) -> Verdict:
    """Scaled values in a context that no label was trained for."""
    near = nearest_context(args.drugs, passport)
    asked = f"{', '.join(args.drugs)} on {passport.tissue.value}" if args.drugs else "this file"
    return Verdict(
        outcome="refuse",
        reason=(
            f"{passport.file} holds scaled values, of which only trained response labels can be "
            f"told, and none was trained for {asked}; the nearest context is {near.text}."
        ),
        alternative="Supply counts or log-normalised values: the screen of cell lines reads those.",
    )


def preparation(args: DrugArgs, passport: Passport | None, needs: Needs) -> Preparation:
    """Clusters are needed only where no grouping is named and the file brings none."""
    scaled = passport is not None and passport.state in {"scaled", "unknown"}
    if args.group_by or default_grouping(passport) or scaled:
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
    context = trained_context(args.drugs, bench.passport)
    counts = _labelled(adata, context, bench)
    if context and (not asked or bench.passport is None or bench.passport.state == "scaled"):
        return _labels_only(adata, context, counts, bench)
    if context:
        left_out = [one for one in left_out if one.drug not in args.drugs]
    keys = keys_of(adata)
    names = symbols(adata)
    groups = groups_of(adata, bench.passport, args.group_by)
    column = bench.passport.column("donor") if bench.passport else None
    donors = adata.obs[column.name].astype(str) if column and column.name != groups.name else None

    bench.progress("predicting groups", 0.1)
    pools = units(groups, donors)
    small = tuple(str(name) for name in groups.cat.categories if name not in set(pools["group"]))
    if pools.empty:
        reason = f"No group of obs['{groups.name}'] has {MIN_CELLS} cells."
        raise RefusedError(reason, "Name a coarser column.")
    profiles = pseudobulks(adata, pools)
    scores = transfer.predict(profiles, keys)
    chosen = list(asked) or _standing_out(scores.z, transfer)
    at = [transfer.drugs.index(drug) for drug in chosen]

    drugs = [_drug_record(drug, asked.get(drug, ""), knowledge, transfer) for drug in chosen]
    whole = np.flatnonzero(pools["donor"].isna())
    nearest = transfer.nearest_lines(profiles[whole], keys, 3, drugs=chosen)
    kinds = transfer.nearest_tissues(profiles[whole], keys)
    responses, per_donor = [], []
    for row, lines, kind in zip(whole, nearest, kinds, strict=True):
        unit = pools.iloc[row]
        split = np.flatnonzero((pools["group"] == unit["group"]) & pools["donor"].notna())
        for drug, where in zip(drugs, at, strict=True):
            z, half, n = combine(scores, int(row), split, where, with_donors=donors is not None)
            near = [
                LineRecord(
                    line=line.line,
                    similarity=round(line.similarity, 3),
                    z=line.measured.get(drug.drug),
                )
                for line in lines
            ]
            reading = read_prediction(transfer, profiles[row], keys, drug.drug)
            aimed = targets(drug, adata, unit["cells"], knowledge, reading.shares)
            tissue_z = float(kind[3][where])
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
                    near=tuple(line_text(line) for line in near),
                    targets=aimed,
                    expressed=target_texts(aimed),
                    tissue=kind[0],
                    tissue_lines=kind[2],
                    tissue_z=round(tissue_z, 3),
                    own_z=round(z - tissue_z, 3),
                    along=tuple(f"{names[at]} ({reading.shares[at]:+.3f})" for at in reading.along),
                    against=tuple(
                        f"{names[at]} ({reading.shares[at]:+.3f})" for at in reading.against
                    ),
                    n_flip=len(reading.flip),
                    flip=tuple(names[at] for at in reading.flip[:FEW]),
                    markers=_markers(drug, adata, unit["cells"], knowledge),
                )
            )
            per_donor += [
                DonorResponse(
                    group=str(unit["group"]),
                    donor=str(pools.iloc[part]["donor"]),
                    drug=drug.drug,
                    z=round(float(scores.z[part, where]), 3),
                    n_cells=len(pools.iloc[part]["cells"]),
                )
                for part in split
            ]

    bench.progress("scoring cells", 0.5)
    cells = transfer.predict(adata.X, keys, chosen)
    for place, drug in enumerate(drugs):
        adata.obs[drug.column] = cells.z[:, place].astype(np.float32)
    adata.uns["cellwright_drug_response"] = {"unit": "predicted z of ln IC50", "drugs": chosen}
    far = tuple(
        str(pools.iloc[row]["group"])
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
        lambda path: all_drugs(pools, scores, transfer).to_csv(path, index=False),
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
        labels=counts,
        label_context=context.text if context else "",
    )


def _labelled(adata: AnnData, context: Context | None, bench: Workbench) -> tuple[LabelCount, ...]:
    """Trained response labels in a column of obs, and how many cells have each, by donor."""
    import pandas as pd

    if context is None:
        return ()
    labels = label_cells(adata, context, bench)
    adata.obs[COLUMN] = pd.Categorical(labels)
    column = bench.passport.column("donor") if bench.passport else None
    donors = adata.obs[column.name].astype(str).to_numpy() if column else None
    counts = []
    for label in sorted(set(labels)):
        own = labels == label
        n_donors = None if donors is None else _most(labels, donors).count(label)
        counts.append(LabelCount(label=str(label), n_cells=int(own.sum()), n_donors=n_donors))
    return tuple(counts)


def _most(labels: np.ndarray, donors: np.ndarray) -> list[str]:
    """The most frequent label of each donor's cells."""
    found = []
    for donor in np.unique(donors):
        names, n = np.unique(labels[donors == donor].astype(str), return_counts=True)
        found.append(str(names[n.argmax()]))
    return found


def _labels_only(
    adata: AnnData, context: Context, counts: tuple[LabelCount, ...], bench: Workbench
) -> DrugResult:
    """The answer where the screen has no say: scaled values, or a therapy it does not hold."""
    transfer = _transfer()
    summary = f"Cells with a response label of {context.text}"
    return DrugResult(
        data=bench.put_adata(adata, summary, tool="predict_drug_response"),
        group_by="",
        donor_column=None,
        n_genes=0,
        n_screen_genes=len(transfer.space.keys),
        n_lines=int(transfer.card["training_lines"]),
        mean_skill=0.0,
        drugs=(),
        responses=(),
        labels=counts,
        label_context=context.text,
    )


def _markers(
    drug: DrugRecord, adata: AnnData, cells: np.ndarray, knowledge: Knowledge
) -> tuple[str, ...]:
    """Known markers of the drug's class that the file measures, with the share of cells."""
    mechanism = knowledge.drugs.lookup(drug.drug).mechanism or ""
    place = {key: at for at, key in enumerate(adata.var[KEY_COLUMN].astype(str)) if key}
    found = []
    for one in known_markers(drug.drug, drug.targets, f"{drug.pathway} {mechanism}"):
        match = knowledge.genes.resolve_many([one.gene], "human")[0]
        at = place.get(match.key or one.gene)
        if at is not None:
            share = float((adata.X[cells][:, [at]] > 0).mean())
            found.append(f"{one.gene} ({one.effect}, {share:.0%} of cells)")
    return tuple(found)


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
        "with their measured response, whether the drug's targets are expressed, and the genes "
        "behind it. Where the cell model was trained on the drug and the kind of cells, a label."
    ),
    args=DrugArgs,
    result=DrugResult,
    run=run,
    needs=Needs(
        matrix=frozenset({"counts", "log1p", "tpm", "scaled"}),
        species=frozenset(),
        prepared=frozenset({"clusters"}),
    ),
    gate=gate,
    preparation=preparation,
    changes_data=True,
)
