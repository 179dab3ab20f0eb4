"""``search_knowledge``: records of genes, cell types and drugs, each with its source."""

from typing import Literal

from pydantic import Field

from cellwright.knowledge.records import Evidence
from cellwright.tools.spec import Claim, Needs, Table, ToolArgs, ToolResult, ToolSpec
from cellwright.tools.workbench import Workbench

NAME = "search_knowledge"
TOP = 10
TOLD = 3


class SearchArgs(ToolArgs):
    """What to look for."""

    query: str = Field(min_length=1, description="A name, or words: 'CD3D', 'insulin secretion'.")
    kind: Literal["gene", "cell_type", "drug"] | None = Field(
        default=None, description="Only records of this kind."
    )
    species: Literal["human", "mouse"] | None = Field(
        default=None, description="Only records that hold for this species."
    )


class SearchResult(ToolResult):
    """Records found."""

    query: str = Field(description="What was looked for.")
    n_records: int = Field(description="Number of records found.")
    records: tuple[Evidence, ...] = Field(description="The records, best first.")
    citations: tuple[str, ...] = Field(description="The citation of each record.")

    def claims(self) -> list[Claim]:
        """The first records, with their citations."""
        if not self.records:
            return [Claim(template="The knowledge base has nothing on '{query}'.", kind="caveat")]
        return [
            Claim(template=f"{{records.{at}.text}} {{citations.{at}}}")
            for at in range(min(TOLD, len(self.records)))
        ]

    def report_tables(self) -> list[Table]:
        """All records."""
        columns = (("text", "Record"), ("source", "Source"), ("pmids", "PMIDs"))
        return (
            [Table(title="Records found", rows="records", columns=columns)] if self.records else []
        )


def _run(args: SearchArgs, bench: Workbench) -> SearchResult:
    found = bench.knowledge.search(args.query, kind=args.kind, species=args.species, top=TOP)
    return SearchResult(
        query=args.query,
        n_records=len(found),
        records=tuple(found),
        citations=tuple(record.cite() for record in found),
    )


SEARCH_KNOWLEDGE = ToolSpec(
    name=NAME,
    title="Knowledge search",
    description=(
        "Looks genes, cell types and drugs up in the knowledge base; every record comes with its "
        "source and PMIDs. Needs no data."
    ),
    args=SearchArgs,
    result=SearchResult,
    needs=Needs(data=False),
    run=_run,
    quick=True,
)
