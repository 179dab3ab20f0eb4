"""``describe_dataset``: the passport, as a result that a report can quote."""

from pydantic import Field

from cellwright.errors import ToolError
from cellwright.tools.passport import Passport
from cellwright.tools.spec import Claim, Needs, Table, ToolArgs, ToolResult, ToolSpec
from cellwright.tools.workbench import Workbench


class DescribeArgs(ToolArgs):
    """Nothing to choose."""


class DescribeResult(ToolResult):
    """What the data set is."""

    passport: Passport = Field(description="Every statement about the file, with its evidence.")
    state: str = Field(description="What the matrix holds that tools read.")

    def claims(self) -> list[Claim]:
        """Size, names, matrix and doubts."""
        found = [
            Claim(
                template="`{passport.file}` holds {passport.n_cells:,} cells and "
                "{passport.n_genes:,} genes. Species: {passport.species.value} "
                "({passport.species.evidence}). Genes are named by "
                "{passport.identifiers.value} ({passport.identifiers.evidence})."
            ),
            Claim(template=self._matrix()),
            Claim(
                template="{passport.coverage:.1%} of the gene names are known; the file measures "
                "{passport.model_coverage:.1%} of the cell model's genes. Tissue: "
                "{passport.tissue.value}; protocol: {passport.protocol.value}."
            ),
        ]
        found += [
            Claim(template=f"{{passport.warnings.{at}}}", kind="caveat")
            for at in range(len(self.passport.warnings))
        ]
        return found

    def report_tables(self) -> list[Table]:
        """Matrices, and the columns that play a part."""
        tables = [
            Table(
                title="Matrices of the file",
                rows="passport.matrices",
                columns=(
                    ("slot", "Slot"),
                    ("state", "Holds"),
                    ("n_genes:,", "Genes"),
                    ("evidence", "Evidence"),
                ),
            )
        ]
        if self.passport.columns:
            tables.append(
                Table(
                    title="Columns that play a part",
                    rows="passport.columns",
                    columns=(
                        ("name", "Column"),
                        ("role", "Role"),
                        ("n_values:,", "Values"),
                        ("evidence", "Evidence"),
                    ),
                )
            )
        return tables

    def _matrix(self) -> str:
        for at, matrix in enumerate(self.passport.matrices):
            if matrix.slot == self.passport.best:
                slot = f"{{passport.matrices.{at}.slot}}"
                return (
                    f"The matrix that is read is {slot}: {{passport.matrices.{at}.state}} "
                    f"({{passport.matrices.{at}.evidence}})."
                )
        return (
            "No matrix holds counts or log-normalised values; {passport.matrices.0.slot} holds "
            "{passport.matrices.0.state} values ({passport.matrices.0.evidence})."
        )


def _run(_args: DescribeArgs, bench: Workbench) -> DescribeResult:
    if bench.passport is None:
        msg = "There is no data set to describe."
        raise ToolError(msg)
    return DescribeResult(passport=bench.passport, state=bench.passport.state)


DESCRIBE_DATASET = ToolSpec(
    name="describe_dataset",
    title="Data set description",
    description=(
        "Says what the data set is: cells, genes, species, gene identifiers, what the matrices "
        "hold, and which columns are labels, donors, batches and conditions, with evidence."
    ),
    args=DescribeArgs,
    result=DescribeResult,
    needs=Needs(matrix=frozenset(), species=frozenset()),
    run=_run,
    quick=True,
)
