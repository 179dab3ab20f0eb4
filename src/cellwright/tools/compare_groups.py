"""``compare_groups``: how two groups of cells differ in composition and in expression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from cellwright.artifacts import ArtifactRef
from cellwright.errors import ToolError
from cellwright.tools import contrast, figures
from cellwright.tools.columns import grouping
from cellwright.tools.selection import default_grouping, groups_of, one_group, symbols
from cellwright.tools.spec import Claim, Table, ToolArgs, ToolResult, ToolSpec, Verdict
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


class Difference(BaseModel):
    """A gene that differs between two groups."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gene: str = Field(description="Gene symbol.")
    log2_fold_change: float = Field(description="log2 of A over B.")
    share_a: float = Field(description="Share of A's cells that express it.")
    share_b: float = Field(description="Share of B's cells that express it.")
    p: float | None = Field(description="p value over donors; None where donors are too few.")
    p_adjusted: float | None = Field(description="The same after Benjamini and Hochberg.")


class Stratum(BaseModel):
    """The comparison within one set of cells."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="Cells compared: 'all cells', or a cell type.")
    n_a: int = Field(description="Cells of A.")
    n_b: int = Field(description="Cells of B.")
    donors_a: int = Field(description="Donors of A with enough cells.")
    donors_b: int = Field(description="Donors of B with enough cells.")
    design: str = Field(description="How donors stand to the groups.")
    n_tested: int = Field(description="Genes compared.")
    n_significant: int | None = Field(description="Genes that differ; None without a test.")
    up: tuple[Difference, ...] = Field(description="Genes higher in A, the clearest first.")
    down: tuple[Difference, ...] = Field(description="Genes lower in A, the clearest first.")
    up_names: tuple[str, ...] = Field(description="Symbols of the first of them.")
    down_names: tuple[str, ...] = Field(description="Symbols of the first of them.")


class TypeShare(BaseModel):
    """A cell type's share on both sides."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cell_type: str = Field(description="Cell type or cluster.")
    share_a: float = Field(description="Share of A: mean over donors, or of cells without donors.")
    share_b: float = Field(description="The same of B.")
    difference: float = Field(description="A less B.")
    p: float | None = Field(description="p value over donors; None where donors are too few.")
    p_adjusted: float | None = Field(description="The same after Benjamini and Hochberg.")


class CompareResult(ToolResult):
    """How two groups differ."""

    column: str = Field(description="Column of obs that holds the groups.")
    group_a: str = Field(description="Group A.")
    group_b: str = Field(description="Group B, that A is compared with.")
    donor_column: str | None = Field(description="Column that names donors, or None.")
    alpha: float = Field(description="False discovery rate at which genes are called.")
    min_donors: int = Field(description="Donors that a test needs on each side.")
    min_cells: int = Field(description="Cells that a donor needs on a side.")
    counts: bool = Field(description="Whether counts were summed, or log values averaged.")
    strata: tuple[Stratum, ...] = Field(description="Expression differences.")
    composition_by: str | None = Field(description="Column of the cell types, or None.")
    composition: tuple[TypeShare, ...] = Field(description="Cell types, largest change first.")
    composition_tested: bool = Field(description="Whether shares were tested over donors.")
    not_compared: tuple[str, ...] = Field(description="Sets of cells too small to compare.")

    def claims(self) -> list[Claim]:
        """Composition, then expression, then what the design allows."""
        key = Claim(template="Group A is {group_a} and group B is {group_b} of `{column}`.")
        return [
            *self._composition_claims(),
            *self._expression_claims(),
            key,
            *self._caveats(),
        ]

    def _composition_claims(self) -> list[Claim]:
        if not self.composition:
            return []
        sentence = (
            "The largest change in composition (by `{composition_by}`) is in "
            "{composition.0.cell_type}: {composition.0.share_a:.1%} of {group_a} against "
            "{composition.0.share_b:.1%} of {group_b}"
        )
        if self.composition_tested:
            sentence += " (means over donors; adjusted p {composition.0.p_adjusted:.2g})"
        return [Claim(template=f"{sentence}.")]

    def _expression_claims(self) -> list[Claim]:
        found = []
        for at, stratum in enumerate(self.strata):
            head = (
                f"{{strata.{at}.name}}: {{strata.{at}.n_a:,}} cells of {{group_a}} against "
                f"{{strata.{at}.n_b:,}} of {{group_b}}"
            )
            if stratum.n_significant is not None:
                head += (
                    f", {{strata.{at}.donors_a}} and {{strata.{at}.donors_b}} donors "
                    f"({{strata.{at}.design}}). {{strata.{at}.n_significant:,}} of "
                    f"{{strata.{at}.n_tested:,}} genes differ at a false discovery rate of "
                    "{alpha:.0%}."
                )
            else:
                head += ". Effect sizes only, without a test."
            head += (
                f" Highest in {{group_a}}: {{strata.{at}.up_names}}; lowest: "
                f"{{strata.{at}.down_names}}."
            )
            found.append(Claim(template=head))
        return found

    def _caveats(self) -> list[Claim]:
        found = []
        if any(stratum.n_significant is None for stratum in self.strata):
            reason = (
                "`{donor_column}` has fewer than {min_donors} donors with {min_cells} cells on "
                "each side"
                if self.donor_column
                else "the file names no donors"
            )
            found.append(
                Claim(
                    template=f"No p-values are given where {reason}: cells of one donor are not "
                    "independent, and p-values over cells would mislead.",
                    kind="caveat",
                )
            )
        if not self.counts:
            found.append(
                Claim(
                    template="The file has no counts, so log-normalised values were averaged by "
                    "donor instead of summing counts.",
                    kind="caveat",
                )
            )
        if self.not_compared:
            found.append(Claim(template="Too few cells to compare: {not_compared}.", kind="caveat"))
        return found

    def report_tables(self) -> list[Table]:
        """Composition, and the genes of the first stratum."""
        tables = []
        if self.composition:
            columns: tuple[tuple[str, str], ...] = (
                ("cell_type", "Cell type"),
                ("share_a:.1%", "Share in A"),
                ("share_b:.1%", "Share in B"),
                ("p_adjusted:.2g", "Adjusted p") if self.composition_tested else ("p", "p"),
            )
            columns = columns if self.composition_tested else columns[:3]
            tables.append(Table(title="Composition", rows="composition", columns=columns))
        genes: tuple[tuple[str, str], ...] = (
            ("gene", "Gene"),
            ("log2_fold_change:.2f", "log fold change (base two)"),
            ("share_a:.0%", "Cells of A"),
            ("share_b:.0%", "Cells of B"),
        )
        if self.strata and self.strata[0].n_significant is not None:
            genes = (*genes, ("p_adjusted:.2g", "Adjusted p"))
        if self.strata:
            tables.append(Table(title="Genes higher in A", rows="strata.0.up", columns=genes))
            tables.append(Table(title="Genes lower in A", rows="strata.0.down", columns=genes))
        return tables


@dataclass(frozen=True, kw_only=True)
class _Sides:
    groups: Series
    a: str
    b: str

    @property
    def is_a(self) -> np.ndarray:
        return np.asarray(self.groups == self.a)

    @property
    def is_b(self) -> np.ndarray:
        return np.asarray(self.groups == self.b)


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
    drawn = [_volcano(strata[0], tables[strata[0].name], sides, bench)]
    if shares:
        drawn.insert(0, _composition_figure(shares, sides, bench))
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


def _sides(args: CompareArgs, adata: AnnData, passport: Passport | None) -> _Sides:
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
    return _Sides(groups=groups, a=a, b=b)


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
    sides: _Sides, donors: Series | None, types: Series | None
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


def _composition_figure(
    shares: tuple[TypeShare, ...], sides: _Sides, bench: Workbench
) -> ArtifactRef:
    rows = sorted(shares[:20], key=lambda row: row.share_a + row.share_b)
    figure, axes = figures.new_figure(6.4, 1.4 + 0.34 * len(rows))
    at = np.arange(len(rows))
    for offset, name, values, colour in (
        (0.19, sides.a, [row.share_a for row in rows], figures.PALETTE[1]),
        (-0.19, sides.b, [row.share_b for row in rows], figures.PALETTE[0]),
    ):
        axes.barh(at + offset, np.array(values) * 100, height=0.36, color=colour, label=name)
    axes.set_yticks(at, [figures.short(row.cell_type) for row in rows])
    axes.set_xlabel("share of cells (%)", fontsize=9)
    axes.set_title(f"Composition by {sides.groups.name}", fontsize=11)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    figures.plain(axes)
    return figures.save(figure, bench, f"Composition by {sides.groups.name}", tool=NAME)


def _volcano(stratum: Stratum, table: DataFrame, sides: _Sides, bench: Workbench) -> ArtifactRef:
    figure, axes = figures.new_figure(6.2, 4.8)
    change = table["log2_fold_change"].to_numpy()
    tested = "p" in table
    height = (
        -np.log10(np.maximum(table["p"].to_numpy(), 1e-300))
        if tested
        else table[["share_a", "share_b"]].max(axis=1).to_numpy() * 100
    )
    strong = table["p_adjusted"].to_numpy() < ALPHA if tested else np.abs(change) > 1
    tint = np.where(strong & (change > 0), figures.PALETTE[1], figures.GREY)
    tint = np.where(strong & (change < 0), figures.PALETTE[0], tint)
    axes.scatter(change, height, c=tint, s=9, linewidths=0, rasterized=True)
    heights = dict(zip(table["gene"], height, strict=True))
    written: list[tuple[float, float]] = []
    wide, tall = np.ptp(change) * 0.12 + 1e-9, np.ptp(height) * 0.035 + 1e-9
    for one in (*stratum.up[:9], *stratum.down[:9]):
        at = (one.log2_fold_change, float(heights[one.gene]))
        if any(abs(at[0] - x) < wide and abs(at[1] - y) < tall for x, y in written):
            continue
        written.append(at)
        right = at[0] > 0
        axes.annotate(
            one.gene, at, fontsize=7.5, fontstyle="italic", xytext=(-4 if right else 4, 3),
            textcoords="offset points", ha="right" if right else "left",
        )  # fmt: skip
    axes.axvline(0, color="#999999", linewidth=0.7)
    axes.set_xlabel(f"log2 fold change, {sides.a} over {sides.b}", fontsize=9)
    axes.set_ylabel(
        "-log10 p over donors" if tested else "cells expressing, higher side (%)", fontsize=9
    )
    kind = stratum.design if tested else "effect sizes, no test"
    axes.set_title(f"{figures.short(stratum.name, 40)}: {kind}", fontsize=11)
    figures.plain(axes)
    return figures.save(figure, bench, f"Differences, {sides.a} over {sides.b}", tool=NAME)


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
