"""What ``explain_cells`` delivers: genes behind each label, and the sentences about them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from cellwright.tools.salient_genes import SalientGene
from cellwright.tools.spec import Claim, Table, ToolResult


class Explained(BaseModel):
    """The genes behind one label."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str = Field(description="Cell type or drug.")
    read_as: str = Field(description="The model's label, or the screen's name of the drug.")
    ontology_id: str = Field(description="Cell Ontology id of the type; may be empty.")
    cells_from: str = Field(description="Where the explained cells come from, in words.")
    n_cells: int = Field(description="Cells explained.")
    n_used: int = Field(description="Cells of those that saliency was taken on.")
    genes: tuple[SalientGene, ...] = Field(description="The genes, most salient first.")
    names: tuple[str, ...] = Field(description="Their symbols.")
    backed: tuple[str, ...] = Field(description="Those with a marker record for the type.")
    share_backed: float = Field(description="Share of the genes with such a record.")
    share_expressed: float = Field(description="The same of all genes that these cells express.")
    n_expressed: int = Field(description="Number of those genes.")


class ExplainResult(ToolResult):
    """The genes behind an answer, or behind every type of a file."""

    target: str = Field(description="cell_type or drug.")
    method: str = Field(description="How saliency was computed.")
    predicted: float | None = Field(description="Predicted z of ln IC50 for a drug, or None.")
    explained: tuple[Explained, ...] = Field(description="Each label, largest group first.")
    n_types: int = Field(description="Labels explained.")
    n_over_half: int = Field(description="Those of whose genes more than half have a record.")
    mean_backed: float = Field(description="Mean over the labels of the share with a record.")
    mean_expressed: float = Field(description="Mean of the same of all genes that cells express.")
    left_out: tuple[str, ...] = Field(description="Groups that were not explained.")

    def claims(self) -> list[Claim]:
        """The genes, the records behind them, and what saliency is not."""
        if self.target == "drug":
            return self._drug()
        found = self._one() if len(self.explained) == 1 else self._every()
        if self.left_out:
            found.append(
                Claim(
                    template="Not explained, for too few cells or a name that is no cell type: "
                    "{left_out}.",
                    kind="caveat",
                )
            )
        found.append(
            Claim(
                template="Saliency says what the model looks at, which need not be what makes the "
                "cell what it is; genes without a record are not thereby new markers.",
                kind="caveat",
            )
        )
        return found

    def _one(self) -> list[Claim]:
        found = [
            Claim(
                template="The genes that speak most for **{explained.0.label}** in the cell model "
                "({method}, mean over {explained.0.n_used:,} of {explained.0.n_cells:,} cells "
                "{explained.0.cells_from}) are {explained.0.names}."
            )
        ]
        if self.explained[0].ontology_id:
            found.append(
                Claim(
                    template="{explained.0.share_backed:.0%} of them have a marker record for "
                    "{explained.0.read_as} or a related type, against "
                    "{explained.0.share_expressed:.0%} of the {explained.0.n_expressed:,} genes "
                    "that these cells express."
                )
            )
        for at, gene in enumerate(self.explained[0].genes):
            if gene.citation and len(found) < 5:
                where = f"explained.0.genes.{at}"
                found.append(Claim(template=f"{{{where}.evidence.0.text}} {{{where}.citation}}"))
        return found

    def _every(self) -> list[Claim]:
        found = [
            Claim(
                template="For each of {n_types} types of cells {explained.0.cells_from}, the genes "
                "that speak most for it in the cell model were found by {method}. On average "
                "{mean_backed:.0%} of them have a marker record for their type or a related one, "
                "against {mean_expressed:.0%} of the genes that the same cells express; for "
                "{n_over_half} types it is more than half."
            )
        ]
        for at in range(min(3, len(self.explained))):
            where = f"explained.{at}"
            found.append(Claim(template=f"**{{{where}.label}}**: {{{where}.names}}."))
        return found

    def _drug(self) -> list[Claim]:
        return [
            Claim(
                template="The predicted response to **{explained.0.read_as}** of "
                "{explained.0.n_cells:,} cells ({explained.0.cells_from}) is z {predicted:.2f} "
                "against the lines of the screen; the genes that move it most are "
                "{explained.0.names}."
            ),
            Claim(
                template="These genes carry a linear model fitted on cell lines: they are "
                "correlates of response, not its causes.",
                kind="caveat",
            ),
        ]

    def report_tables(self) -> list[Table]:
        """The genes with their evidence; of several types, each type with its genes."""
        if len(self.explained) > 1:
            columns = (
                ("label", "Type"),
                ("n_cells:,", "Cells"),
                ("names", "Genes that speak for it"),
                ("backed", "With a marker record"),
                ("share_backed:.0%", "Share with a record"),
                ("share_expressed:.0%", "Of expressed genes"),
            )
            return [Table(title="Salient genes by type", rows="explained", columns=columns)]
        genes = self.explained[0].genes
        shown = [
            ("gene", "Gene"),
            ("name", "Name"),
            ("saliency:.2f", "Saliency"),
            ("share_in:.0%", "Expressed in these cells"),
            ("share_out:.0%", "elsewhere"),
        ]
        if genes and genes[0].share_out is None:
            shown = shown[:-1]
        if self.target == "cell_type":
            shown += [("n_records:,", "Marker records"), ("citation", "First record")]
        else:
            shown.append(("is_target", "Drug target"))
        return [Table(title="Salient genes", rows="explained.0.genes", columns=tuple(shown))]
