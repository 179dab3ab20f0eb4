"""``ask_cell``: the cell language model's own answer on one cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from cellwright.errors import ToolError
from cellwright.tools.calls import block_of
from cellwright.tools.spec import Claim, ToolArgs, ToolResult, ToolSpec
from cellwright.tools.workbench import Workbench

if TYPE_CHECKING:
    from anndata import AnnData

NAME = "ask_cell"


class AskArgs(ToolArgs):
    """Which cell, and what to ask."""

    cell: str = Field(default="0", description="Name of the cell, or its position from 0.")
    question: str = Field(
        default="What is the cell type of this cell? {input}",
        min_length=1,
        description="The question; {input} stands for the cell.",
    )


class AskResult(ToolResult):
    """The answer."""

    cell: str = Field(description="Name of the cell.")
    position: int = Field(description="Its position in the file, from 0.")
    question: str = Field(description="The question.")
    text: str = Field(description="What the cell language model said.")
    label: str | None = Field(description="Cell type or response that the text names, or None.")
    score: float = Field(description="Probability of the whole answer.")
    restated: bool = Field(
        description="Whether its sentence named no label, and the bare label stands in its place."
    )
    readout_label: str = Field(description="What the same model's classifier calls the cell.")
    readout_score: float = Field(description="Calibrated probability of that call.")

    def claims(self) -> list[Claim]:
        """The answer, and what it is worth."""
        found = [
            Claim(
                template="Asked \u201c{question}\u201d about cell {cell}, the cell language model "
                "answers: \u201c{text}\u201d (probability of the answer {score:.2f})."
            )
        ]
        if self.restated:
            found.append(
                Claim(
                    template="Its sentence named no label that the model knows; asked again among "
                    "those labels, it gave this one.",
                    kind="caveat",
                )
            )
        if self.label != self.readout_label:
            found.append(
                Claim(
                    template="The same model's classifier calls this cell {readout_label} "
                    "(probability {readout_score:.2f}); where the two differ, trust "
                    "the classifier.",
                    kind="caveat",
                )
            )
        if self.label is None:
            found.append(
                Claim(template="The answer names no label that the model knows.", kind="caveat")
            )
        return found


def answer(
    bench: Workbench, position: int, question: str, mode: Literal["instruct", "chat"]
) -> AskResult:
    """Ask about the cell at a position of the file.

    Raises:
        ToolError: There is no such cell.
    """
    adata = bench.adata()
    if not 0 <= position < adata.n_obs:
        msg = f"There is no cell {position}: the file has cells 0 to {adata.n_obs - 1}."
        raise ToolError(msg)
    block = block_of(adata, bench, np.array([position]))
    said = bench.cell_model.answer(block, question, mode=mode)
    species = bench.passport.species.value if bench.passport else None
    called = bench.cell_model.annotate(block, species=species)
    return AskResult(
        cell=str(adata.obs_names[position]),
        position=position,
        question=question,
        text=said.text,
        label=said.label,
        score=float(said.score),
        restated=said.restated,
        readout_label=str(called.labels[0]),
        readout_score=float(called.scores[0]),
    )


def _run(args: AskArgs, bench: Workbench) -> AskResult:
    return answer(bench, _position(args.cell, bench.adata()), args.question, "chat")


def _position(cell: str, adata: AnnData) -> int:
    if cell in adata.obs_names:
        return int(adata.obs_names.get_loc(cell))
    if cell.isdigit() and int(cell) < adata.n_obs:
        return int(cell)
    first = ", ".join(map(str, adata.obs_names[:3]))
    msg = f"There is no cell {cell!r}: give a name ({first}, ...) or 0 to {adata.n_obs - 1}."
    raise ToolError(msg)


ASK_CELL = ToolSpec(
    name=NAME,
    title="Question on one cell",
    description=(
        "Puts a question on one cell to the cell language model and gives its own words, the "
        "label they name and the probability of the answer."
    ),
    args=AskArgs,
    result=AskResult,
    run=_run,
)
