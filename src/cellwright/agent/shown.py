"""What people see of results: sentences, tables and figures, in a notebook or a terminal."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellwright.agent.claims import bind, bind_table
from cellwright.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandas import DataFrame

    from cellwright.agent.plan import Plan
    from cellwright.agent.state import Outcome
    from cellwright.artifacts import DirectoryStore
    from cellwright.tools.spec import ToolResult

MAX_ROWS = 15
"""Rows of a table that a notebook shows; ``tables`` has them all."""

MAX_SENTENCES, MAX_CAVEATS = 8, 4
"""What ``brief`` says of one result."""


@dataclass(frozen=True)
class Picture:
    """A figure: shown by a notebook, saved by name.

    Attributes:
        path: Its PNG file.
        title: What it shows.
    """

    path: Path
    title: str

    def save(self, path: str | Path) -> None:
        """Write the PNG to a file.

        Raises:
            InputError: The name does not end in .png, or its folder does not exist.
        """
        target = Path(path)
        if target.suffix != ".png" or not target.parent.is_dir():
            msg = f"{target}: a name that ends in .png, in a folder that exists, is needed."
            raise InputError(msg)
        target.write_bytes(self._repr_png_())

    def _repr_png_(self) -> bytes:
        return self.path.read_bytes()

    def __repr__(self) -> str:
        return f"Picture({self.title!r})"


@dataclass(frozen=True)
class Finding:
    """A tool's result, as people read it.

    Attributes:
        title: The tool, in words.
        result: The typed result.
        figures: Figures, where they are still in the cache.
    """

    title: str
    result: ToolResult
    figures: tuple[Picture, ...] = ()

    @cached_property
    def _values(self) -> dict[str, Any]:
        values: dict[str, Any] = json.loads(self.result.model_dump_json())
        return values

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was found, the most important first."""
        return self._said("finding")

    @property
    def caveats(self) -> tuple[str, ...]:
        """Doubts, disagreements and limits."""
        return self._said("caveat")

    @property
    def tables(self) -> dict[str, DataFrame]:
        """The tables of a report, by title, as text formatted for reading."""
        import pandas as pd

        grids = [bind_table(one, "result", self._values) for one in self.result.report_tables()]
        return {
            grid.title: pd.DataFrame(
                [[cell.text for cell in row] for row in grid.rows], columns=list(grid.headings)
            )
            for grid in grids
        }

    @property
    def brief(self) -> str:
        """The leading findings and caveats, a line each, and how many more there are."""
        lines = [*self.sentences[:MAX_SENTENCES]]
        lines += [f"Caveat: {one}" for one in self.caveats[:MAX_CAVEATS]]
        left_out = len(self.sentences) + len(self.caveats) - len(lines)
        return "\n".join([*lines, f"({left_out} more lines in the result.)"] if left_out else lines)

    def _said(self, kind: str) -> tuple[str, ...]:
        return tuple(
            bind(claim, "result", self._values, frozenset()).text
            for claim in self.result.claims()
            if claim.kind == kind
        )

    def __repr__(self) -> str:
        lines = [self.title, *self.sentences, *(f"! {one}" for one in self.caveats)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        parts = [f"<h4>{escape(self.title)}</h4>", *map(_paragraph, self.sentences)]
        if self.caveats:
            items = "".join(f"<li>{sentence_html(one)}</li>" for one in self.caveats)
            parts.append(f"<p><b>Doubts and limits</b></p><ul>{items}</ul>")
        parts += [picture_html(one) for one in self.figures]
        parts += [_table_html(title, table) for title, table in self.tables.items()]
        return "\n".join(parts)


def findings_of(
    plan: Plan, outcomes: Sequence[Outcome], store: DirectoryStore
) -> tuple[Finding, ...]:
    """What the steps of a run found that were asked for, in order; preparation is left out.

    Args:
        plan: The reviewed plan.
        outcomes: How its steps ended.
        store: Where their results are.
    """
    from cellwright.tools.workbench import Workbench

    ended = {one.step: one for one in outcomes if one.result}
    found = []
    for step in plan.steps:
        if step.inserted or step.id not in ended:
            continue
        spec = Workbench.spec(step.tool)
        result = spec.result.model_validate(store.get_json(ended[step.id].result))
        figures = tuple(Picture(store.path(one.id), one.summary) for one in result.figures)
        found.append(Finding(spec.title, result, figures))
    return tuple(found)


def picture_html(picture: Picture) -> str:
    """A figure inside a page."""
    data = base64.b64encode(picture._repr_png_()).decode()
    title = escape(picture.title, quote=True)
    return f'<img alt="{title}" style="max-width:100%" src="data:image/png;base64,{data}"/>'


def sentence_html(text: str) -> str:
    """A sentence in Markdown as HTML; whatever else stands in it, links too, stays plain text."""
    from markdown_it import MarkdownIt

    plain = MarkdownIt("commonmark", {"html": False}).disable(["link", "image", "autolink"])
    return str(plain.renderInline(text))


def _paragraph(text: str) -> str:
    return f"<p>{sentence_html(text)}</p>"


def _table_html(title: str, table: DataFrame) -> str:
    left_out = len(table) - MAX_ROWS
    more = f" ({left_out:,} more rows in .tables)" if left_out > 0 else ""
    body = table.head(MAX_ROWS).to_html(index=False, border=0)
    return f"<details><summary>{escape(title)}{more}</summary>{body}</details>"
