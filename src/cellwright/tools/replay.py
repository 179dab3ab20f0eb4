"""Replaying a run: compare a repeated result with a stored one, and show it in a notebook."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cellwright.tools.spec import ToolResult
    from cellwright.tools.workbench import Workbench

ARTIFACT_ID = re.compile(r"^(an|re|ta|fi)_[0-9a-f]{12}$")
SIGNIFICANT = 6
"""Digits in which two floating point numbers must agree."""


def comparable(value: Any) -> Any:
    """A result without what may differ between equal runs.

    Ids of artifacts depend on file metadata, and the last digits of a float on the number of
    threads; everything else must be the same.
    """
    if isinstance(value, dict):
        return {key: comparable(one) for key, one in value.items() if key != "parents"}
    if isinstance(value, list):
        return [comparable(one) for one in value]
    if isinstance(value, float):
        return float(f"{value:.{SIGNIFICANT}g}")
    if isinstance(value, str) and ARTIFACT_ID.match(value):
        return value[:3]
    return value


def show(bench: Workbench, result: ToolResult) -> None:
    """Show a result's figures and the head of its tables in a notebook."""
    import pandas as pd
    from IPython.display import Image, display

    for figure in result.figures:
        display(Image(data=bench.store.path(figure.id).read_bytes()))
    for table in result.tables:
        display(pd.read_csv(bench.store.path(table.id)).head(20))
