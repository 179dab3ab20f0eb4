"""``compare_groups``: how two groups of cells differ in composition and in expression."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from cellwright.artifacts import ArtifactRef
from cellwright.errors import ToolError
from cellwright.tools import contrast
from cellwright.tools.columns import grouping
from cellwright.tools.comparison_figures import Sides, draw_composition, draw_volcano
from cellwright.tools.comparison_result import CompareResult, Difference, Stratum, TypeShare
from cellwright.tools.selection import default_grouping, groups_of, one_group, symbols
from cellwright.tools.spec import ToolArgs, ToolSpec, Verdict
from cellwright.tools.workbench import Workbench

if TYPE_CHECKING:
    from anndata import AnnData
    from pandas import DataFrame, Series

    from cellwright.tools.passport import Column, Passport

NAME = "compare_groups"
SHOWN = 12
ALPHA = 0.05
MIN_SIDE = 3


class CompareArgs(ToolArgs):
    """Which two groups to compare, and within what."""

    column: str | None = Field(
        default=None, description="Column of obs; the condition column when left out."
    )
    group_a: str | None = Field(
        default=None, description="Group of interest; may be left out where there are two."
    )
    group_b: str | None = Field(
        default=None, description="Group it is compared with; may be left out where there are two."
    )
    within: str | None = Field(
        default=None,
        description="A cell type to look within, or a column: each of its groups is compared.",
    )


def _run(args: CompareArgs, bench: Workbench) -> CompareResult:
    adata, passport = bench.adata(), bench.passport
    sides = _sides(args, adata, passport)
    donors, donor_column = _donors(adata, passport, str(sides.groups.name))
    types = _types(adata, passport, args.within, str(sides.groups.name))
    strata, tables, skipped = [], {}, []
    wanted = _strata(adata, args.within, types)
    for at, (name, mask) in enumerate(wanted.items()):
        bench.progress(f"comparing {name}", at / len(wanted))
        is_a, is_b = sides.is_a & mask, sides.is_b & mask
        if min(int(is_a.sum()), int(is_b.sum())) < MIN_SIDE:
            skipped.append(name)
            continue
        stratum, tables[name] = _compare(name, adata, donors, is_a, is_b)
        strata.append(stratum)
    if not strata:
        msg = (
            f"Neither side has {MIN_SIDE} cells to compare: {sides.a} has {int(sides.is_a.sum())}, "
            f"{sides.b} has {int(sides.is_b.sum())} cells, within: {', '.join(wanted)}."
        )
        raise ToolError(msg)
    shares, tested = _composition(sides, donors, types)
    drawn = [draw_volcano(strata[0], tables[strata[0].name], sides, bench, alpha=ALPHA, tool=NAME)]
    if shares:
        drawn.insert(0, draw_composition(shares, sides, bench, tool=NAME))
    return CompareResult(
        figures=tuple(drawn),
        tables=(_store(tables, bench),),
        column=str(sides.groups.name),
        group_a=sides.a,
        group_b=sides.b,
        donor_column=donor_column,
        alpha=ALPHA,
        min_donors=contrast.MIN_DONORS,
        min_cells=contrast.MIN_CELLS,
        counts="counts" in adata.layers,
        strata=tuple(strata),
        composition_by=None if types is None else str(types.name),
        composition=shares,
        composition_tested=tested,
        not_compared=tuple(skipped),
    )


def _sides(args: CompareArgs, adata: AnnData, passport: Passport | None) -> Sides:
    condition = passport.column("condition") if passport else None
    name = args.column or (condition.name if condition else None)
    if name is None:
        msg = "The file has no condition column: name the column whose groups are compared."
        raise ToolError(msg)
    groups = groups_of(adata, passport, name)
    known = [str(value) for value in groups.cat.categories]
    a = one_group(groups, args.group_a) if args.group_a else None
    b = one_group(groups, args.group_b) if args.group_b else None
    if a is None or b is None:
        rest = [value for value in known if value not in {a, b}]
        if len(rest) != (2 if a is None and b is None else 1):
            msg = f"obs['{name}'] has {len(known)} groups ({', '.join(known)}): name two of them."
            raise ToolError(msg)
        if a is None and b is None:
            a, b = _treated_first(rest)
        a, b = a or rest[0], b or rest[0]
    if a == b:
        msg = f"{a!r} was to be compared with itself; name two groups of: {', '.join(known)}."
        raise ToolError(msg)
    return Sides(groups=groups, a=a, b=b)


def _treated_first(pair: list[str]) -> tuple[str, str]:
    """Of two arms, the one that reads like a control comes second."""
    controls = (
        "control",
        "ctrl",
        "vehicle",
        "dmso",
        "mock",
        "untreated",
        "healthy",
        "normal",
        "wt",
    )
    if pair[0].casefold().startswith((*controls, "non", "baseline", "pre")):
        return pair[1], pair[0]
    return pair[0], pair[1]


def _donors(
    adata: AnnData, passport: Passport | None, column: str
) -> tuple[Series | None, str | None]:
    donor: Column | None = passport.column("donor") if passport else None
    if donor is None or donor.name == column:
        return None, None
    return grouping(adata.obs, donor.name), donor.name


def _types(
    adata: AnnData, passport: Passport | None, within: str | None, column: str
) -> Series | None:
    name = within if within in adata.obs else default_grouping(passport)
    if name is None or name == column or name not in adata.obs:
        return None
    return groups_of(adata, passport, name)


def _strata(adata: AnnData, within: str | None, types: Series | None) -> dict[str, np.ndarray]:
    if within is None:
        return {"All cells": np.ones(adata.n_obs, dtype=bool)}
    if types is None:
        msg = f"There is neither a column nor a cell type {within!r} to look within."
        raise ToolError(msg)
    if within in adata.obs:
        return {str(name): np.asarray(types == name) for name in types.cat.categories}
    name = one_group(types, within)
    return {name: np.asarray(types == name)}


def _compare(
    name: str, adata: AnnData, donors: Series | None, is_a: np.ndarray, is_b: np.ndarray
) -> tuple[Stratum, DataFrame]:
    import pandas as pd

    sizes = contrast.effect_sizes(adata.X, is_a, is_b)
    keep = np.flatnonzero(np.maximum(sizes["share_a"], sizes["share_b"]) >= contrast.MIN_SHARE)
    table = pd.DataFrame({key: value[keep] for key, value in sizes.items()})
    table.insert(0, "gene", symbols(adata)[keep])
    samples = contrast.make_samples(donors, is_a, is_b)
    p: Any = None
    if samples is not None:
        counted = "counts" in adata.layers
        matrix = adata.layers["counts"] if counted else adata.X
        test, _values = contrast.compare_expression(samples, matrix[:, keep], counts=counted)
        table["log2_fold_change"] = test.effect
        table["t"], p = test.t, test.p
        table["p"], table["p_adjusted"] = p, test.p_adjusted
        table = table.sort_values("p", kind="stable")
    else:
        weight = table["log2_fold_change"] * np.maximum(table["share_a"], table["share_b"])
        table = table.iloc[np.argsort(-weight.abs().to_numpy(), kind="stable")]
    up = _differences(table[table["log2_fold_change"] > 0])
    down = _differences(table[table["log2_fold_change"] < 0])
    stratum = Stratum(
        name=name,
        n_a=int(is_a.sum()),
        n_b=int(is_b.sum()),
        donors_a=int(samples.side.sum()) if samples else 0,
        donors_b=int((~samples.side).sum()) if samples else 0,
        design=samples.design if samples else "no donors",
        n_tested=len(table),
        n_significant=None if p is None else int((table["p_adjusted"] < ALPHA).sum()),
        up=up,
        down=down,
        up_names=tuple(one.gene for one in up[:8]),
        down_names=tuple(one.gene for one in down[:8]),
    )
    return stratum, table


def _differences(table: DataFrame) -> tuple[Difference, ...]:
    records = table.head(SHOWN).to_dict("records")
    fields = ("gene", "log2_fold_change", "share_a", "share_b", "p", "p_adjusted")
    return tuple(
        Difference.model_validate({name: record.get(name) for name in fields}) for record in records
    )


def _composition(
    sides: Sides, donors: Series | None, types: Series | None
) -> tuple[tuple[TypeShare, ...], bool]:
    if types is None or len(types.cat.categories) < 2:
        return (), False
    samples = contrast.make_samples(donors, sides.is_a, sides.is_b)
    names = [str(name) for name in types.cat.categories]
    if samples is not None:
        test, shares = contrast.composition(samples, types)
        share_a, share_b = shares[samples.side].mean(), shares[~samples.side].mean()
        p, adjusted = test.p, test.p_adjusted
    else:
        share_a = types[sides.is_a].value_counts(normalize=True)
        share_b = types[sides.is_b].value_counts(normalize=True)
        p = adjusted = np.full(len(names), np.nan)
    rows = [
        TypeShare(
            cell_type=name,
            share_a=float(share_a[name]),
            share_b=float(share_b[name]),
            difference=float(share_a[name] - share_b[name]),
            p=float(p[at]) if samples is not None else None,
            p_adjusted=float(adjusted[at]) if samples is not None else None,
        )
        for at, name in enumerate(names)
    ]
    return tuple(sorted(rows, key=lambda row: -abs(row.difference))), samples is not None


def _store(tables: dict[str, DataFrame], bench: Workbench) -> ArtifactRef:
    import pandas as pd

    whole = pd.concat(tables, names=["cells"]).reset_index(level=0)
    return bench.store.put_file(
        "table",
        lambda path: whole.to_csv(path, index=False, float_format="%.6g"),
        "All genes compared",
        tool=NAME,
    )


def _gate(args: CompareArgs, passport: Passport | None, _bench: Workbench) -> Verdict:
    if passport is None or args.column is not None or passport.column("condition") is not None:
        return Verdict()
    constant = [note for note in passport.warnings if "cannot be compared" in note]
    return Verdict(
        outcome="refuse",
        reason=constant[0] if constant else f"{passport.file} names no condition to compare by.",
        alternative="Name a column of obs with two groups, such as cell types or samples.",
    )


COMPARE_GROUPS = ToolSpec(
    name=NAME,
    title="Comparison of two groups",
    description=(
        "Compares two groups of cells (treated and control, two cell types): composition, and "
        "expression by pseudobulk over donors where there are donors, effect sizes otherwise."
    ),
    args=CompareArgs,
    result=CompareResult,
    gate=_gate,
    run=_run,
)
