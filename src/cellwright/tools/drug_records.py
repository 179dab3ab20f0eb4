"""What ``predict_drug_response`` takes and delivers, and what a report may say of it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from cellwright.tools.spec import Claim, Table, ToolArgs, ToolResult

LEAN = 0.3
"""Size of z from which a prediction leans to one side."""

STATEMENT = (
    "This is the response that cancer cell lines with this expression would be expected to have "
    "after three days in a dish, relative to other lines. It is not a prediction of a patient's "
    "benefit, knows nothing of mutations, dose, immune effects or side effects, and for cells that "
    "are not cancer cells it is an extrapolation."
)


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DrugArgs(ToolArgs):
    """Arguments of ``predict_drug_response``."""

    drugs: tuple[str, ...] = Field(
        default=(),
        max_length=20,
        description="Drug names; any synonym will do. Empty takes those that stand out most.",
    )
    group_by: str | None = Field(
        default=None,
        description="Column of obs to group cells by; None takes the labels or clusters.",
    )


class DrugRecord(_Record):
    """A drug that was predicted."""

    drug: str = Field(description="Name in the screen.")
    query: str = Field(description="Name as asked for; empty when it was chosen here.")
    targets: tuple[str, ...] = Field(description="Targets, as the sources write them.")
    pathway: str = Field(description="Pathway that the screen assigns.")
    skill: float = Field(description="Spearman correlation over cell lines kept out of the fit.")
    column: str = Field(description="Column of obs with the score of each cell.")


class NotPredicted(_Record):
    """A drug that was asked for and cannot be predicted."""

    drug: str = Field(description="Name as asked for.")
    reason: str = Field(description="Why not.")
    alternative: str = Field(description="The nearest drugs that can be.")


class LineRecord(_Record):
    """A cell line near in expression."""

    line: str = Field(description="Name of the line.")
    similarity: float = Field(description="Cosine in the factor space.")
    z: float | None = Field(description="Measured z of ln IC50; None where it was not measured.")


class TargetRecord(_Record):
    """A target of the drug in a group."""

    gene: str = Field(description="Symbol.")
    share: float | None = Field(description="Share of cells with it; None where not measured.")
    adds: float | None = Field(description="What it adds to z; None where not measured.")


class GroupResponse(_Record):
    """One drug in one group."""

    group: str = Field(description="Group of cells.")
    drug: str = Field(description="Name in the screen.")
    z: float = Field(description="Predicted z of ln IC50; below zero is sensitive.")
    low: float = Field(description="Lower end of the interval.")
    high: float = Field(description="Upper end of the interval.")
    direction: str = Field(description="What the interval says, in words.")
    n_cells: int = Field(description="Cells.")
    n_donors: int | None = Field(description="Donors taken as replicates; None without donors.")
    nearest: tuple[LineRecord, ...] = Field(description="Nearest lines in expression.")
    near: tuple[str, ...] = Field(description="The same, as text: line (measured z).")
    targets: tuple[TargetRecord, ...] = Field(description="Targets that are genes.")
    expressed: tuple[str, ...] = Field(description="The same, as text: gene (share of cells).")
    tissue: str = Field(description="Tissue whose lines are nearest in expression on average.")
    tissue_lines: int = Field(description="Its lines.")
    tissue_z: float = Field(description="Their mean measured z: what the kind of cell explains.")
    own_z: float = Field(description="Predicted z less that: what the state of the cells adds.")
    along: tuple[str, ...] = Field(description="Genes that pull most the way it goes (share of z).")
    against: tuple[str, ...] = Field(description="Genes that pull most the other way.")
    n_flip: int = Field(
        description="Fewest genes that bring z to zero at the average line's level."
    )
    flip: tuple[str, ...] = Field(description="The first of them.")
    markers: tuple[str, ...] = Field(description="Known markers of the drug's class, as text.")


class LabelCount(_Record):
    """A trained response label."""

    label: str = Field(description="Label.")
    n_cells: int = Field(description="Cells that have it.")
    n_donors: int | None = Field(description="Donors most of whose cells have it.")


class DonorResponse(_Record):
    """One drug in one donor's cells of one group."""

    group: str = Field(description="Group of cells.")
    donor: str = Field(description="Donor.")
    drug: str = Field(description="Name in the screen.")
    z: float = Field(description="Predicted z of ln IC50.")
    n_cells: int = Field(description="Cells.")


class DrugResult(ToolResult):
    """What ``predict_drug_response`` delivers."""

    group_by: str = Field(description="Column that groups the cells.")
    donor_column: str | None = Field(description="Column whose values are the replicates.")
    interval: float = Field(default=0.8, description="Nominal coverage of the intervals.")
    n_genes: int = Field(description="Genes shared with the screen.")
    n_screen_genes: int = Field(description="Genes of the screen.")
    n_lines: int = Field(description="Cell lines that the models were fitted on.")
    mean_skill: float = Field(description="Mean held-out correlation of the drugs shown.")
    drugs: tuple[DrugRecord, ...] = Field(description="Drugs predicted.")
    responses: tuple[GroupResponse, ...] = Field(description="Per group and drug.")
    donors: tuple[DonorResponse, ...] = Field(default=(), description="Per donor, group and drug.")
    small_groups: tuple[str, ...] = Field(default=(), description="Groups with too few cells.")
    far_groups: tuple[str, ...] = Field(default=(), description="Groups like no line.")
    not_predicted: tuple[NotPredicted, ...] = Field(default=(), description="Drugs left out.")
    labels: tuple[LabelCount, ...] = Field(default=(), description="Trained response labels.")
    label_context: str = Field(default="", description="Drug and cells they were trained on.")
    statement: str = Field(default=STATEMENT, description="What the prediction is not.")

    def claims(self) -> list[Claim]:
        """Say for each drug where it stands out, then what limits the answer."""
        said = [_label_claim(at) for at in range(len(self.labels))]
        if self.labels:
            template = (
                "These labels are those of {label_context}, which the cell model was trained on; "
                "they say which of the two trained states a cell is like."
            )
            said.append(Claim(template=template, kind="caveat"))
            if any(one.n_donors is not None for one in self.labels):
                template = (
                    "Here response is a property of donors: count donors and not cells, and none "
                    "of those that the model was trained on."
                )
                said.append(Claim(template=template, kind="caveat"))
        if not self.drugs:
            return said
        for drug in self.drugs:
            rows = [(one.z, at) for at, one in enumerate(self.responses) if one.drug == drug.drug]
            if rows:
                lowest, highest = min(rows)[1], max(rows)[1]
                first, last = self.responses[lowest], self.responses[highest]
                apart = first.high < 0 or last.low > 0 or first.high < last.low
                said.append(_extreme(lowest, highest, apart=apart))
                said += _why(lowest, first)
        if len({one.tissue for one in self.responses}) > 1:
            template = (
                "The groups are different kinds of cells (each beside the tissue that its lines "
                "are nearest to, in the table): a difference between them is one of cell type "
                "first, and of state only by what is left above the tissue's own mean."
            )
            said.append(Claim(template=template, kind="caveat"))
        said.append(
            Claim(
                template=(
                    "The models were fitted on {n_lines} cell lines and read {n_genes} of the "
                    "{n_screen_genes} genes of the screen; over lines kept out of the fit their "
                    "mean rank correlation for these drugs is {mean_skill:.2f}."
                )
            )
        )
        if self.donor_column:
            said.append(
                Claim(
                    template="Donors ({donor_column}) are the replicates; cells are not counted "
                    "as independent."
                )
            )
        said.append(Claim(template="{statement}", kind="caveat"))
        for at in range(len(self.not_predicted)):
            said.append(
                Claim(
                    template=(
                        f"{{not_predicted.{at}.drug}} was not predicted: "
                        f"{{not_predicted.{at}.reason}} {{not_predicted.{at}.alternative}}"
                    ),
                    kind="caveat",
                )
            )
        if self.far_groups:
            template = "Like no line of the screen, so hardly to be trusted: {far_groups}."
            said.append(Claim(template=template, kind="caveat"))
        if self.small_groups:
            template = "Too few cells to be predicted: {small_groups}."
            said.append(Claim(template=template, kind="caveat"))
        return said

    def report_tables(self) -> list[Table]:
        """Show every group and drug."""
        if not self.responses:
            columns = (("label", "Label"), ("n_cells", "Cells"), ("n_donors", "Donors"))
            return [Table(title="Trained response labels", rows="labels", columns=columns)]
        return [
            Table(
                title="Predicted drug response (z of ln IC50; below zero is sensitive)",
                rows="responses",
                columns=(
                    ("group", "Group"),
                    ("drug", "Drug"),
                    ("z:+.2f", "z"),
                    ("low:+.2f", "low"),
                    ("high:+.2f", "high"),
                    ("direction", "Reading"),
                    ("n_cells", "Cells"),
                    ("n_donors", "Donors"),
                    ("expressed", "Targets (share of cells)"),
                    ("near", "Nearest lines (measured z)"),
                ),
            ),
            Table(
                title="What the prediction is made of (z; own is what the tissue leaves)",
                rows="responses",
                columns=(
                    ("group", "Group"),
                    ("drug", "Drug"),
                    ("tissue", "Nearest tissue of lines"),
                    ("tissue_z:+.2f", "its mean measured z"),
                    ("own_z:+.2f", "own"),
                    ("along", "Genes along (share of z)"),
                    ("against", "Genes against"),
                    ("n_flip", "Genes that would bring z to zero"),
                    ("markers", "Known markers of the class"),
                ),
            ),
        ]


def _extreme(lowest: int, highest: int, *, apart: bool) -> Claim:
    """Quote the most sensitive group of a drug, and the least when there are several.

    Args:
        lowest: Place of the most sensitive group.
        highest: Place of the least sensitive one.
        apart: Whether any group is told from the average line, or the two from each other.
    """
    low, high = f"responses.{lowest}", f"responses.{highest}"
    numbers = (
        f"(z {{{low}.z:+.2f}}, {{interval:.0%}} interval {{{low}.low:+.2f}} to "
        f"{{{low}.high:+.2f}}, {{{low}.n_cells}} cells)"
    )
    if apart:
        template = (
            f"{{{low}.drug}}: the most sensitive group is predicted to be {{{low}.group}}, "
            f"{{{low}.direction}} {numbers}"
        )
    else:
        template = (
            f"{{{low}.drug}}: no group stands out from the average cell line; the lowest is "
            f"{{{low}.group}} {numbers}"
        )
    if lowest != highest:
        which = "the least sensitive is" if apart else "the highest"
        template += f"; {which} {{{high}.group}} (z {{{high}.z:+.2f}})"
    return Claim(template=template + ".")


def _why(at: int, row: GroupResponse) -> list[Claim]:
    """Quote kind against state, the genes behind a call, and what would flip it."""
    one = f"responses.{at}"
    said = [
        Claim(
            template=(
                f"In {{{one}.group}}, cell lines of the nearest tissue ({{{one}.tissue}}, "
                f"{{{one}.tissue_lines}} lines) measure z {{{one}.tissue_z:+.2f}} for "
                f"{{{one}.drug}} on average; the cells' own state accounts for the other "
                f"{{{one}.own_z:+.2f}}."
            )
        )
    ]
    if row.along:
        template = f"Genes that pull {{{one}.drug}} there most are {{{one}.along}}"
        if abs(row.z) < LEAN:
            template += "; the prediction is too near to zero for a flip to mean anything"
        elif 0 < row.n_flip <= len(row.flip):
            template += f"; with {{{one}.flip}} at the average line's level z would be zero"
        elif row.n_flip:
            template += (
                f", but it takes {{{one}.n_flip}} genes at the average line's level to bring z to "
                "zero: no few genes carry it"
            )
        said.append(Claim(template=template + "."))
    if row.markers:
        said.append(
            Claim(
                template=(
                    f"Known markers for drugs like {{{one}.drug}} in {{{one}.group}}: "
                    f"{{{one}.markers}}; they are shown beside the prediction and not used in it."
                )
            )
        )
    return said


def _label_claim(at: int) -> Claim:
    """Quote how many cells were given a trained response label."""
    return Claim(
        template=(
            f"{{labels.{at}.n_cells}} cells are labelled {{labels.{at}.label}} "
            "({label_context}, trained)."
        )
    )
