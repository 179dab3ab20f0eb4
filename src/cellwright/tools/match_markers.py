"""``match_markers``: the cell types that a set of genes points at."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from cellwright.errors import ToolError
from cellwright.knowledge.records import Evidence
from cellwright.tools.spec import Claim, Needs, Table, ToolArgs, ToolResult, ToolSpec
from cellwright.tools.workbench import Workbench

NAME = "match_markers"
TOP = 8
CLEAR = 0.15
"""Lead over the next type below which the answer is called open."""


class MatchArgs(ToolArgs):
    """Genes that mark some cells."""

    genes: tuple[str, ...] = Field(min_length=1, description="Gene names, the most telling first.")
    tissue: str | None = Field(default=None, description="Tissue, such as 'blood'.")
    species: Literal["human", "mouse"] | None = Field(
        default=None, description="Species of the genes; that of the data, else human."
    )


class TypeMatch(BaseModel):
    """A cell type that the genes point at."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cell_type: str = Field(description="Cell Ontology label.")
    ontology_id: str = Field(description="Cell Ontology id.")
    score: float = Field(description="Larger is better; comparable within this query.")
    genes: tuple[str, ...] = Field(description="Genes that support it.")
    citation: str = Field(description="Citation of the first record.")
    evidence: tuple[Evidence, ...] = Field(description="Records behind it.")


class MatchResult(ToolResult):
    """Cell types that genes point at."""

    species: str = Field(description="Species of the records.")
    tissue: str | None = Field(description="Tissue that records were restricted to.")
    genes: tuple[str, ...] = Field(description="Genes that were resolved.")
    unknown: tuple[str, ...] = Field(description="Names that are no known gene.")
    matches: tuple[TypeMatch, ...] = Field(description="Cell types, best first.")
    lead: float = Field(description="Lead of the first over the second, as share of its score.")

    def claims(self) -> list[Claim]:
        """The best type, its rival, and names not understood."""
        found = []
        if self.matches:
            found.append(
                Claim(
                    template="The genes {genes} point to {matches.0.cell_type} "
                    "({matches.0.ontology_id}), by {matches.0.genes} {matches.0.citation}."
                )
            )
        else:
            found.append(
                Claim(template="No marker record names {genes} in {species}.", kind="caveat")
            )
        if len(self.matches) > 1 and self.lead < CLEAR:
            found.append(
                Claim(
                    template="{matches.1.cell_type} fits almost as well (lead {lead:.0%}).",
                    kind="caveat",
                )
            )
        if self.unknown:
            found.append(Claim(template="Not known as genes: {unknown}.", kind="caveat"))
        return found

    def report_tables(self) -> list[Table]:
        """The ranked types."""
        if not self.matches:
            return []
        columns = (
            ("cell_type", "Cell type"),
            ("ontology_id", "Cell Ontology"),
            ("score:.2f", "Score"),
            ("genes", "Genes"),
            ("citation", "Record"),
        )
        return [Table(title="Cell types by marker records", rows="matches", columns=columns)]


def _run(args: MatchArgs, bench: Workbench) -> MatchResult:
    species: str = args.species or "human"
    if args.species is None and bench.passport and bench.passport.species.value != "unknown":
        species = bench.passport.species.value
    resolved = bench.knowledge.genes.resolve_many(list(args.genes), species)
    known = [one.query for one in resolved if one.status != "unknown"]
    unknown = tuple(one.query for one in resolved if one.status == "unknown")
    if not known:
        msg = f"None of {', '.join(args.genes[:10])} is a known {species} gene."
        raise ToolError(msg)
    found = bench.knowledge.markers.match(known, species=species, tissue=args.tissue, top=TOP)
    lead = 1.0
    if len(found) > 1 and found[0].score > 0:
        lead = float((found[0].score - found[1].score) / found[0].score)
    return MatchResult(
        species=species,
        tissue=args.tissue,
        genes=tuple(known),
        unknown=unknown,
        matches=tuple(
            TypeMatch(
                cell_type=one.cell_type,
                ontology_id=one.ontology_id,
                score=float(one.score),
                genes=tuple(one.genes),
                citation=one.evidence[0].cite() if one.evidence else "",
                evidence=tuple(one.evidence[:5]),
            )
            for one in found
        ),
        lead=lead,
    )


MATCH_MARKERS = ToolSpec(
    name=NAME,
    title="Cell types by marker genes",
    description=(
        "Ranks the cell types that a list of genes points at, by curated marker records with "
        "PMIDs. Needs no data."
    ),
    args=MatchArgs,
    result=MatchResult,
    needs=Needs(data=False),
    run=_run,
    quick=True,
)
