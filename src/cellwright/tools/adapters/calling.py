"""The one way in which every face calls a tool: refuse, prepare, run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cellwright.errors import RefusedError
from cellwright.tools.gates import check, missing_preparation

if TYPE_CHECKING:
    from cellwright.tools.spec import ToolResult
    from cellwright.tools.workbench import Workbench

LONGEST = 6000
"""Characters of a result that a language model is shown; the stored result is whole."""

PREPARATION = "preprocess_dataset"


@dataclass(frozen=True, kw_only=True)
class Called:
    """A tool's answer.

    Attributes:
        result: What it delivers.
        prepared: Whether ``preprocess_dataset`` was run first, because the tool needs it.
    """

    result: ToolResult
    prepared: bool = False

    @property
    def text(self) -> str:
        """The result as JSON for a language model, cut in the middle where it is long."""
        said = shortened(self.result.model_dump_json(exclude_none=True))
        return f"({PREPARATION} was run first.) {said}" if self.prepared else said


def shortened(text: str) -> str:
    """A text with its middle left out, and said so, where it is too long to be read whole."""
    if len(text) <= LONGEST:
        return text
    half, left_out = LONGEST // 2, len(text) - LONGEST
    return f"{text[:half]} [... {left_out:,} characters left out ...] {text[-half:]}"


def call(bench: Workbench, name: str, args: Mapping[str, Any]) -> Called:
    """Run a tool on a workbench, with the preparation that it needs before it.

    What the tool's gate refuses is refused before anything is prepared.

    Args:
        bench: The workbench; threads that share it take turns.
        name: The tool.
        args: Its arguments.

    Raises:
        RefusedError: The tool's applicability gate says no.
        ToolError: The arguments are wrong, or the tool cannot do what was asked.
    """
    with bench.lock:
        spec, parsed = bench.spec(name), bench.validate(name, args)
        verdict = check(spec, parsed, bench.passport, bench)
        if verdict.outcome == "refuse":
            raise RefusedError(verdict.reason, verdict.alternative)
        prepared = bool(missing_preparation(spec, parsed, bench.passport))
        if prepared:
            bench.progress("preparing: clusters and UMAP", None)
            bench.run(PREPARATION)
        return Called(result=bench.run(name, **args), prepared=prepared)
