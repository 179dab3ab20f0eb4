"""What ``generate_cells`` gives: synthetic cells, their checks, and what is not known of them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from cellwright.artifacts import ArtifactRef
from cellwright.tools.spec import Claim, Table, ToolResult


class Check(BaseModel):
    """A check of the generated cells."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="What is checked.")
    value: float = Field(description="What the generated cells have.")
    wanted: str = Field(description="What passes.")
    passed: bool = Field(description="Whether it passes.")


class HeldOutFigure(BaseModel):
    """A comparison with held-out cells, made when the model was trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="What is compared.")
    value: float = Field(description="What drawn cells had.")
    real: float | None = Field(description="What training cells had, where it was measured.")
    ideal: str = Field(description="What cells that cannot be told from measured ones would have.")


class GenerateResult(ToolResult):
    """Synthetic cells and their checks."""

    cells: ArtifactRef = Field(description="AnnData of integer counts, marked as synthetic.")
    cell_type: str = Field(description="Cell type, as the model names it.")
    ontology_id: str = Field(description="Its Cell Ontology id; may be empty.")
    species: str = Field(description="Species.")
    tissue: str = Field(description="Tissue of the training cells that the draw follows.")
    protocol: str = Field(description="Protocol of the training cells that the draw follows.")
    study: str = Field(description="Training file that the draw follows.")
    n_training: int = Field(description="Training cells of the type in it.")
    n: int = Field(description="Number of generated cells.")
    n_genes: int = Field(description="Number of genes.")
    seed: int = Field(description="Seed of the draw.")
    condition: str = Field(description="Text under which the cells were drawn.")
    median_total: float = Field(description="Median counts of a generated cell.")
    reference_total: float = Field(description="Median counts of the training cells.")
    correlation: float = Field(description="Pearson correlation of mean log expression.")
    recognised: float = Field(
        description="Share that the cell model gives the same or related type."
    )
    duplicates: int = Field(description="Generated cells that equal another one exactly.")
    checks: tuple[Check, ...] = Field(description="Every check.")
    n_passed: int = Field(description="Checks that pass.")
    n_checks: int = Field(description="Checks made.")
    failed: tuple[str, ...] = Field(description="Names of checks that fail.")
    wished: str = Field(description="Tissue or protocol asked for that the draw does not follow.")
    n_held_out: int = Field(description="Held-out cells of the type and file, when trained.")
    held_out: tuple[HeldOutFigure, ...] = Field(
        description="Drawn beside held-out cells, when trained; empty where these were too few."
    )
    auc: float | None = Field(
        description="How well a classifier told drawn from held-out cells; .5 is not at all."
    )
    auc_real: float | None = Field(description="The same of training and held-out cells.")
    nearest_ratio: float | None = Field(
        description="Distance of a drawn cell to its nearest training cell over a held-out one's."
    )

    def claims(self) -> list[Claim]:
        """What was drawn, how the checks ended, and what was not checked."""
        found = [
            Claim(
                template="{n:,} synthetic cells of type {cell_type} ({species}) were drawn with "
                "seed {seed}, after {n_training:,} training cells of {study} ({tissue}, "
                "{protocol})."
            ),
            Claim(
                template="{n_passed} of {n_checks} checks pass. Median counts per cell are "
                "{median_total:,.0f} against {reference_total:,.0f} in training; mean expression "
                "over {n_genes:,} genes correlates at {correlation:.2f}; the cell model recognises "
                "{recognised:.1%} as the type or a related one."
            ),
        ]
        if self.failed:
            found.append(Claim(template="Checks that fail: {failed}.", kind="caveat"))
        if self.wished:
            found.append(
                Claim(
                    template="The model learned this type from {tissue} ({protocol}) only, not "
                    "from {wished}.",
                    kind="caveat",
                )
            )
        found.append(
            Claim(
                template="The cells are marked synthetic and must not be counted as measured. "
                "{duplicates} of them equal one another exactly.",
                kind="caveat",
            )
        )
        found.append(self._copying())
        return found

    def _copying(self) -> Claim:
        """What is known of copies, and of how well drawn cells can be told from measured ones."""
        if self.auc is None:
            return Claim(
                template="Whether any copies a training cell cannot be checked here, because no "
                "training cells are shipped; and when the model was trained, {n_held_out} held-out "
                "cells of the type were too few to compare with.",
                kind="caveat",
            )
        return Claim(
            template="Training cells are not shipped, so copies cannot be looked for among these "
            "cells. When the model was trained, a drawn cell of this type was {nearest_ratio:.2f} "
            "times as far from its nearest training cell as a held-out cell was, and a classifier "
            "told drawn from {n_held_out} held-out cells with an AUC of {auc:.2f} (training from "
            "held-out cells: {auc_real:.2f}).",
            kind="caveat",
        )

    def report_tables(self) -> list[Table]:
        """The checks, and the comparison with held-out cells."""
        found = [
            Table(
                title="Checks of the generated cells",
                rows="checks",
                columns=(
                    ("name", "Check"),
                    ("value:.3g", "Generated"),
                    ("wanted", "Passes if"),
                    ("passed", "Passes"),
                ),
            )
        ]
        if self.held_out:
            found.append(
                Table(
                    title="Drawn beside held-out cells, when the model was trained",
                    rows="held_out",
                    columns=(
                        ("name", "Figure"),
                        ("value:.3g", "Drawn"),
                        ("real:.3g", "Training cells"),
                        ("ideal", "Ideal"),
                    ),
                )
            )
        return found
