"""Arguments and results of ``plot_cells``: a figure, with the numbers that it draws."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from cellwright.tools.spec import Claim, Table, ToolArgs, ToolResult

MOST_BARS = 12
"""Bars up to which each is named in words."""
NAMED = 8
"""Groups and genes that are named in words; the rest stand in the table."""


class PlotArgs(ToolArgs):
    """Which figure."""

    kind: Literal["umap", "dotplot", "heatmap", "violin", "composition"] = Field(
        default="umap", description="Kind of figure."
    )
    color_by: str | None = Field(
        default=None,
        description="Column of obs or a gene; the labels, else the clusters, when left out.",
    )
    genes: tuple[str, ...] | None = Field(
        default=None, description="Genes to show; the leading markers of the groups when left out."
    )


class Bar(BaseModel):
    """How many cells of a group stand in a bar, or in the whole figure."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bar: str = Field(description="The bar: a donor, an arm, or all cells.")
    group: str = Field(description="The group.")
    n_cells: int = Field(description="Its cells.")
    share: float = Field(description="Their share of the bar's cells.")


class GeneShare(BaseModel):
    """Where a gene that is drawn is seen most."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gene: str = Field(description="Gene symbol.")
    group: str = Field(description="Group with the highest mean.")
    share: float = Field(description="Share of its cells that express the gene.")
    mean: float = Field(description="Mean log-normalised expression there.")
    share_all: float = Field(description="Share of all cells that express the gene.")


def _cluster(name: str) -> str:
    """The word before a group that has a number for a name."""
    return "cluster " if name.isdigit() else ""


class PlotResult(ToolResult):
    """A figure, with the numbers that it draws."""

    kind: str = Field(description="Kind of figure.")
    kind_words: str = Field(description="The kind, in words.")
    color_by: str = Field(description="What colours or groups the cells.")
    genes: tuple[str, ...] = Field(description="Genes shown.")
    absent: tuple[str, ...] = Field(description="Genes that the data has not.")
    n_groups: int | None = Field(description="Groups shown; None for a gene's expression.")
    n_cells: int = Field(description="Cells shown.")
    basis: str = Field(description="Which coordinates or groups the figure is drawn on.")
    bars: tuple[Bar, ...] = Field(description="Counts of the groups drawn, the largest first.")
    totals: tuple[Bar, ...] = Field(default=(), description="Counts of the groups over all bars.")
    leaders: tuple[Bar, ...] = Field(
        default=(), description="Each bar's cells, with its largest group and that group's share."
    )
    n_bars: int = Field(description="Bars of a composition; one where cells are not split.")
    widest: Bar | None = Field(description="Where the leading group has its largest share.")
    narrowest: Bar | None = Field(description="Where it has its smallest share.")
    expression: tuple[GeneShare, ...] = Field(description="Where each gene drawn is seen most.")

    def claims(self) -> list[Claim]:
        """What the figure shows, in the numbers that it draws."""
        what = "{kind_words} of {n_cells:,} cells by {color_by}"
        what += " ({basis})" if self.basis else ""
        counts = self._counts()
        what += f": {counts}." if counts and self.kind == "composition" else "."
        if self.genes:
            what += " Genes: {genes}."
        found = [Claim(template=what)]
        if counts and self.kind != "composition":
            more = "The largest groups: " if len(self.totals) > NAMED else "Cells: "
            found.append(Claim(template=f"{more}{counts}."))
        if 1 < self.n_bars <= MOST_BARS:
            said = [
                f"{{leaders.{at}.bar}}: {{leaders.{at}.n_cells:,}} cells, most often "
                f"{{leaders.{at}.group}} ({{leaders.{at}.share:.0%}})"
                for at in range(len(self.leaders))
            ]
            found.append(Claim(template=f"{'; '.join(said)}."))
        if self.widest and self.narrowest and self.n_bars > 1:
            found.append(
                Claim(
                    template="{widest.group} is the largest group over all; its share runs from "
                    "{narrowest.share:.1%} in {narrowest.bar} to {widest.share:.1%} in "
                    "{widest.bar}."
                )
            )
        found += [
            Claim(
                template=f"{{expression.{at}.gene}} is highest in "
                f"{_cluster(self.expression[at].group)}"
                f"{{expression.{at}.group}} "
                f"(seen in {{expression.{at}.share:.0%}} of its cells; "
                f"{{expression.{at}.share_all:.0%}} of all)."
            )
            for at in range(min(len(self.expression), NAMED))
        ]
        if self.absent:
            found.append(Claim(template="Not measured in this file: {absent}.", kind="caveat"))
        return found

    def _counts(self) -> str:
        """Cells of the largest groups, as a claim quotes them."""
        return ", ".join(
            f"{_cluster(self.totals[at].group)}{{totals.{at}.group}}: {{totals.{at}.n_cells:,}} "
            f"({{totals.{at}.share:.1%}})"
            for at in range(min(len(self.totals), NAMED))
        )

    def report_tables(self) -> list[Table]:
        """The numbers behind a composition."""
        if self.kind != "composition":
            return []
        columns = (
            ("bar", "Cells of"), ("group", "Group"), ("n_cells:,", "Cells"), ("share:.1%", "Share"),
        )  # fmt: skip
        return [Table(title="Composition", rows="bars", columns=columns)]
