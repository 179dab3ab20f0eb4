"""What ``compare_groups`` gives: composition, differences, and what the design allows."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from cellwright.tools.spec import Claim, Table, ToolResult


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
