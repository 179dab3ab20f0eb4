"""``subset_cells``: go on with some of the cells, or with all of them again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from cellwright.artifacts import ArtifactRef
from cellwright.errors import ToolError
from cellwright.tools.export import ROWS
from cellwright.tools.selection import default_grouping, groups_meant, groups_of
from cellwright.tools.spec import Claim, Needs, Table, ToolArgs, ToolResult, ToolSpec
from cellwright.tools.workbench import Workbench

if TYPE_CHECKING:
    from pandas import Series

    from cellwright.tools.passport import Passport

NAME = "subset_cells"
FEW = 30
"""Cells below which later statistics are weak."""


class SubsetArgs(ToolArgs):
    """Which cells to go on with."""

    groups: tuple[str, ...] | None = Field(
        default=None,
        description="Groups to keep, such as cell types; all cells again when left out.",
    )
    column: str | None = Field(
        default=None,
        description="Column of obs that holds the groups; found by their names when left out.",
    )
    drop: bool = Field(default=False, description="Leave these groups out instead.")


class KeptGroup(BaseModel):
    """A group that was kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    group: str = Field(description="Its name in the data.")
    n_cells: int = Field(description="Its number of cells.")


class SubsetResult(ToolResult):
    """Which cells later steps work on."""

    column: str = Field(description="Column of obs that holds the groups; empty for all cells.")
    n_before: int = Field(description="Cells before.")
    n_after: int = Field(description="Cells after.")
    share: float = Field(description="Share of the cells before that are kept.")
    asked: tuple[str, ...] = Field(description="Names that were asked for.")
    kept: tuple[KeptGroup, ...] = Field(description="Groups kept, the largest first.")
    kept_names: tuple[str, ...] = Field(description="Their names.")
    left_out: tuple[str, ...] = Field(description="Names of the groups left out.")
    few: int = Field(description="Cells below which later statistics are weak.")

    def claims(self) -> list[Claim]:
        """What is kept, and what that means for what follows."""
        if not self.column:
            return [Claim(template="All {n_after:,} cells are worked on again.")]
        found = [
            Claim(
                template="From here on {n_after:,} of {n_before:,} cells are worked on "
                "({share:.1%}): {kept_names} of `{column}`. Left out: {left_out}."
            )
        ]
        if {one.casefold() for one in self.asked} - {one.casefold() for one in self.kept_names}:
            found.append(Claim(template="{asked} was read as these groups.", kind="caveat"))
        if self.n_after < self.few:
            found.append(
                Claim(
                    template="Only {n_after} cells are left: fewer than {few} are too few for "
                    "firm statements.",
                    kind="caveat",
                )
            )
        return found

    def report_tables(self) -> list[Table]:
        """The groups kept."""
        columns = (("group", "Group"), ("n_cells:,", "Cells"))
        return [Table(title="Cells kept", rows="kept", columns=columns)] if self.kept else []


def _run(args: SubsetArgs, bench: Workbench) -> SubsetResult:
    if bench.data is None:
        msg = "There are no cells to choose from: give a data file."
        raise ToolError(msg)
    if not args.groups:
        return _all_again(bench)
    adata = bench.adata()
    groups, named = _find(args, bench)
    inside = np.asarray(groups.isin(named))
    if args.drop:
        inside = ~inside
    if not inside.any():
        msg = f"Nothing would be left: every cell is one of {', '.join(named)}."
        raise ToolError(msg)
    rows = np.asarray(adata.uns.get(ROWS, np.arange(adata.n_obs)))
    subset = adata[inside].copy()
    subset.uns[ROWS] = rows[inside]
    counts = groups[inside].value_counts()
    kept = tuple(KeptGroup(group=str(name), n_cells=int(n)) for name, n in counts.items() if n)
    names = {one.group for one in kept}
    left_out = tuple(str(name) for name in groups.cat.categories if str(name) not in names)
    summary = f"{subset.n_obs:,} of {adata.n_obs:,} cells"
    return SubsetResult(
        data=bench.put_adata(subset, summary, tool=NAME),
        column=str(groups.name),
        n_before=adata.n_obs,
        n_after=subset.n_obs,
        share=subset.n_obs / adata.n_obs,
        asked=args.groups,
        kept=kept,
        kept_names=tuple(one.group for one in kept),
        left_out=left_out,
        few=FEW,
    )


def _all_again(bench: Workbench) -> SubsetResult:
    """Back to the data set as it was before the first of the subsets that led here."""
    assert bench.data is not None
    n_before = bench.adata().n_obs
    whole, at = bench.data, bench.data
    while at.parents:
        parent: ArtifactRef = bench.store.describe(at.parents[0])
        if at.tool == NAME:
            whole = parent
        at = parent
    import anndata

    n_after = anndata.read_h5ad(bench.store.path(whole.id), backed="r").n_obs
    return SubsetResult(
        data=whole, column="", n_before=n_before, n_after=n_after, share=1.0, asked=(), kept=(),
        kept_names=(), left_out=(), few=FEW,
    )  # fmt: skip


def _find(args: SubsetArgs, bench: Workbench) -> tuple[Series, list[str]]:
    """The column that has the groups, and those of its values that are meant."""
    adata, passport = bench.adata(), bench.passport
    tried = []
    for column in _columns(args, passport):
        groups = groups_of(adata, passport, column)
        values = [str(one) for one in groups.cat.categories]
        named = [groups_meant(str(one), values, bench.knowledge) for one in args.groups or ()]
        if all(named):
            return groups, list(dict.fromkeys(value for some in named for value in some))
        tried.append(f"{column} ({', '.join(values[:12])}{', ...' if len(values) > 12 else ''})")
    msg = (
        f"No column has the groups {', '.join(args.groups or ())}. "
        f"Columns and their groups: {'; '.join(tried) or 'none; annotate or preprocess first'}."
    )
    raise ToolError(msg)


def _columns(args: SubsetArgs, passport: Passport | None) -> list[str]:
    if args.column:
        return [args.column]
    first = default_grouping(passport)
    names = [one.name for one in (passport.columns if passport else ())]
    return list(dict.fromkeys([*([first] if first else []), *names]))


SUBSET_CELLS = ToolSpec(
    name=NAME,
    title="Subset of the cells",
    description=(
        "Goes on with some of the cells (groups of a column, such as cell types, clusters, donors "
        "or study arms), leaves some out, or takes all cells again. The user's file is not changed."
    ),
    args=SubsetArgs,
    result=SubsetResult,
    needs=Needs(matrix=frozenset(), species=frozenset()),
    run=_run,
    changes_data=True,
)
