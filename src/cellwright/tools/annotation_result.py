"""What ``annotate_cells`` delivers: cell types, both ways on each cluster, doubts and warnings."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from cellwright.knowledge.records import Evidence
from cellwright.tools.agreement import UNKNOWN, Agreement
from cellwright.tools.cell_warnings import CellWarnings
from cellwright.tools.spec import Claim, Table, ToolResult


class LabelCount(BaseModel):
    """A cell type and its cells."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str = Field(description="Cell type.")
    ontology_id: str = Field(description="Cell Ontology id; empty if none.")
    n_cells: int = Field(description="Number of cells.")
    share: float = Field(description="Share of all cells.")
    mean_score: float = Field(description="Mean score of its cells.")


class ClusterCall(BaseModel):
    """What the two ways say of a cluster."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cluster: str = Field(description="Name of the cluster.")
    n_cells: int = Field(description="Number of its cells.")
    model_label: str = Field(description="The cell model's most frequent label; may be unknown.")
    model_share: float = Field(description="Share of the cluster's cells with that label.")
    in_range: float = Field(description="Share of its cells within the model's range.")
    marker_label: str = Field(description="Cell type by marker records; may be unknown.")
    marker_ontology_id: str = Field(description="Its Cell Ontology id; empty if none.")
    marker_score: float = Field(description="First score over the first two; 0.5 is undecided.")
    marker_runner_up: str = Field(description="Next cell type by marker records.")
    markers: tuple[str, ...] = Field(description="Genes behind the marker label.")
    citation: str = Field(description="Citation of the first record; may be empty.")
    agree: bool | None = Field(description="Whether both name related types; None if one is mute.")
    verdict: str = Field(description="How the two stand to each other, in words.")
    evidence: tuple[Evidence, ...] = Field(description="Records behind the marker label.")


class BackedOffTerm(BaseModel):
    """A term that holds the label sets of some cells."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="The term; unknown where no informative one holds the sets.")
    ontology_id: str = Field(description="Its Cell Ontology id; empty if none.")
    n_cells: int = Field(description="Cells whose label sets back off to it.")
    label_sets: tuple[str, ...] = Field(description="Their most frequent label sets.")


class BackedOff(BaseModel):
    """Cells for which more than one label stands."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_cells: int = Field(description="Cells for which more than one label stands.")
    share: float = Field(description="Share of all cells.")
    n_common: int = Field(description="Those whose set one informative term holds.")
    n_apart: int = Field(description="Those whose set no informative term holds.")
    terms: tuple[BackedOffTerm, ...] = Field(description="The terms, most frequent first.")
    apart: tuple[BackedOffTerm, ...] = Field(description="The sets that no term holds.")


class AnnotateResult(ToolResult):
    """Cell types, and how sure they are."""

    level: str = Field(description="cell or cluster.")
    n_cells: int = Field(description="Number of cells.")
    n_types: int = Field(description="Number of cell types found.")
    by_model: float = Field(description="Share of cells that the cell model named.")
    by_markers: float = Field(description="Share of cells that marker records named.")
    unknown: float = Field(description="Share of cells left unknown.")
    low: float = Field(description="Share of the model's cells with a score below the threshold.")
    low_threshold: float = Field(description="That threshold.")
    why_no_model: str = Field(description="Why the cell model was not asked; empty if it was.")
    choices: tuple[str, ...] = Field(
        description="Cell types that were to choose from; may be empty."
    )
    counts: tuple[LabelCount, ...] = Field(description="Cell types, most frequent first.")
    cluster_column: str = Field(description="Column with the clusters.")
    clusters: tuple[ClusterCall, ...] = Field(description="Both ways on each cluster.")
    disagreements: tuple[int, ...] = Field(
        description="Positions of clusters on which they differ."
    )
    backed_off: BackedOff = Field(description="Cells for which more than one label stands.")
    warnings: CellWarnings = Field(description="Cells that look like doublets or of low quality.")
    agreement: Agreement | None = Field(description="Agreement with the file's labels, or None.")
    trained_on: str = Field(description="The training file that this file is, if it is one.")

    def claims(self) -> list[Claim]:
        """What the cells are, how far both ways agree, and doubts."""
        return [*self._findings(), *self._agreement_claims(), *self._caveats()]

    def _findings(self) -> list[Claim]:
        leading = ", ".join(
            f"{{counts.{at}.label}} ({{counts.{at}.share:.1%}})"
            for at, count in enumerate(self.counts[:6])
            if count.label != UNKNOWN
        )
        found = [
            Claim(
                template="{n_cells:,} cells were annotated {level} by {level}: {n_types} cell "
                f"types, most often {leading}."
                if leading
                else "None of the {n_cells:,} cells could be named."
            ),
            Claim(
                template="The cell model named {by_model:.1%} of the cells and marker records "
                "{by_markers:.1%}; {unknown:.1%} are left unknown."
            ),
        ]
        cited = [
            at
            for at, one in enumerate(self.clusters)
            if one.citation and (one.agree or one.model_label == UNKNOWN)
        ][:3]
        found += [
            Claim(
                template=f"Cluster {{clusters.{at}.cluster}} expresses {{clusters.{at}.markers}}, "
                f"recorded markers of {{clusters.{at}.marker_label}} "
                f"({{clusters.{at}.marker_ontology_id}}) {{clusters.{at}.citation}}."
            )
            for at in cited
        ]
        return found

    def _agreement_claims(self) -> list[Claim]:
        if self.agreement is None:
            return []
        return [
            Claim(
                template="Against the file's own labels (`{agreement.column}`, "
                "{agreement.n_mapped} of {agreement.n_labels} of which the Cell Ontology has a "
                "term for): {agreement.exact:.1%} of {agreement.n_cells:,} cells were given the "
                "same term, {agreement.related:.1%} the same, a broader or a narrower one."
            ),
            Claim(
                template="Agreement is lowest for `{agreement.lowest}` "
                "({agreement.lowest_related:.1%} of {agreement.lowest_n_cells:,} cells), called "
                "{agreement.lowest_called} most often.",
                kind="caveat",
            ),
        ]

    def _caveats(self) -> list[Claim]:
        found = []
        if self.trained_on:
            found.append(
                Claim(
                    template="The cell model was trained on the study {trained_on}, of which these "
                    "cells are part: agreement here is no test.",
                    kind="caveat",
                )
            )
        if self.why_no_model:
            found.append(
                Claim(template="Only marker records were used: {why_no_model}.", kind="caveat")
            )
        for at in self.disagreements[:5]:
            found.append(
                Claim(
                    template=f"Cluster {{clusters.{at}.cluster}} ({{clusters.{at}.n_cells:,}} "
                    f"cells): the cell model says {{clusters.{at}.model_label}}, marker records "
                    f"say {{clusters.{at}.marker_label}} ({{clusters.{at}.markers}}).",
                    kind="caveat",
                )
            )
        if self.low > 0:
            found.append(
                Claim(
                    template="{low:.1%} of the cells that the model named have a score below "
                    "{low_threshold:g}; their label sets name the alternatives.",
                    kind="caveat",
                )
            )
        return [*found, *self._backed_off_claims(), *self.warnings.claims("warnings")]

    def _backed_off_claims(self) -> list[Claim]:
        if not self.backed_off.n_cells:
            return []
        template = (
            "More than one label stands for {backed_off.n_cells:,} cells "
            "({backed_off.share:.1%}; column `cellwright_label_set`)."
        )
        if self.backed_off.terms:
            leading = ", ".join(
                f"{{backed_off.terms.{at}.name}} ({{backed_off.terms.{at}.n_cells:,}})"
                for at in range(min(3, len(self.backed_off.terms)))
            )
            of = "{backed_off.n_common:,} of them" if self.backed_off.apart else "each"
            template += (
                f" For {of} one Cell Ontology term holds them all, most often {leading} (column "
                "`cellwright_cell_type_category`)."
            )
        if self.backed_off.apart:
            template += (
                " For {backed_off.n_apart:,} no informative term does, most often "
                "{backed_off.apart.0.label_sets.0}."
            )
        return [Claim(template=template, kind="caveat")]

    def report_tables(self) -> list[Table]:
        """Cell types, clusters, and agreement."""
        tables = [
            Table(
                title="Cell types",
                rows="counts",
                columns=(
                    ("label", "Cell type"),
                    ("ontology_id", "Cell Ontology"),
                    ("n_cells:,", "Cells"),
                    ("share:.1%", "Share"),
                    ("mean_score:.2f", "Mean score"),
                ),
            ),
            Table(
                title="Cluster by cluster",
                rows="clusters",
                columns=(
                    ("cluster", "Cluster"),
                    ("n_cells:,", "Cells"),
                    ("model_label", "Cell model"),
                    ("model_share:.0%", "of its cells"),
                    ("marker_label", "Marker records"),
                    ("markers", "By the genes"),
                    ("verdict", "Verdict"),
                ),
            ),
        ]
        if self.backed_off.terms:
            tables.append(
                Table(
                    title="Label sets of several members, and the term that holds them",
                    rows="backed_off.terms",
                    columns=(
                        ("name", "Term"),
                        ("ontology_id", "Cell Ontology"),
                        ("n_cells:,", "Cells"),
                        ("label_sets", "Most frequent sets"),
                    ),
                )
            )
        if self.warnings.clusters:
            tables += self.warnings.report_tables("warnings")
        if self.agreement is not None:
            tables.append(
                Table(
                    title="Agreement with the file's labels",
                    rows="agreement.per_label",
                    columns=(
                        ("label", "Label in the file"),
                        ("meaning", "Read as"),
                        ("n_cells:,", "Cells"),
                        ("most_called", "Mostly called"),
                        ("called_share:.0%", "of cells"),
                        ("exact:.0%", "Same term"),
                        ("related:.0%", "Related term"),
                    ),
                )
            )
        return tables
