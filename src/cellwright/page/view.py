"""What a visitor sees of the records: templates, and the state that a browser follows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from cellwright.page.forms import column_names, fields
from cellwright.page.rooms import Talk

LONGEST_REQUEST = 4000
DOWNLOADS = ("report.html", "report.md", "report.ipynb", "run.json", "annotated.h5ad")
EXAMPLES = (
    "What cell types are in here? Show them on a UMAP.",
    "Which genes mark each group?",
    "Describe the data set.",
    "How would these cells respond to the drugs that were screened?",
)


def templates(**values: Any) -> Environment:
    """The templates, with what all of them use and these values."""
    environment = Environment(
        loader=PackageLoader("cellwright.page"), autoescape=True, undefined=StrictUndefined
    )
    environment.filters |= {"number": "{:,}".format, "size": size_of, "prose": prose}
    environment.globals |= {
        "fields": fields, "column_names": column_names, "tools": all_tools, "key": key_of,
        "examples": EXAMPLES, "longest": LONGEST_REQUEST, "downloads": DOWNLOADS, **values,
    }  # fmt: skip
    return environment


def state_of(talk: Talk, ahead: int) -> dict[str, Any]:
    """What a browser needs to show how far a talk is."""
    turn = talk.turn
    line = turn.message if turn else "opening the file"
    if ahead:
        line = f"waiting: {ahead} before this" if ahead > 1 else "waiting: one before this"
    return {
        "busy": talk.status == "opening" or bool(turn and turn.under_way),
        "key": key_of(talk),
        "line": line,
        "steps": [
            {"id": one.id, "status": one.status, "share": one.share, "line": one.message}
            for one in (turn.steps if turn else ())
        ],
    }


def key_of(talk: Talk) -> str:
    """Changes whenever more than progress has to be drawn anew."""
    turn = talk.turn
    return f"{talk.status}/{turn.number}/{turn.status}" if turn else talk.status


def all_tools() -> Sequence[Any]:
    """The tools there are."""
    from cellwright.tools.registry import ALL_TOOLS

    return ALL_TOOLS


def size_of(size: int) -> str:
    """A number of bytes in words."""
    for unit, step in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= step:
            return f"{size / step:.1f} {unit}"
    return f"{size} bytes"


def prose(text: str) -> Markup:
    """A finding in HTML, with the little Markdown that findings are written in."""
    said = str(escape(text))
    for pattern, tag in ((r"\*\*(.+?)\*\*", "strong"), (r"`(.+?)`", "code")):
        said = re.sub(pattern, rf"<{tag}>\1</{tag}>", said)
    return Markup(said)
