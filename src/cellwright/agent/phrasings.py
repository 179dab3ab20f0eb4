"""Ways of asking for each thing in three languages, each with the plan that it means.

The tables stand in ``wordings/``: a line is ``words => plan``, in a section for each kind of ask.
Slots in braces are filled with values; lines after ``---`` are held out: no training example is
made from them.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Literal

Language = Literal["english", "korean", "chinese"]
Table = Mapping[str, tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]]
"""By kind: pairs of words and plan, those to train on and those held out."""


@cache
def phrasings(language: Language) -> Table:
    """The wordings of a language."""
    text = (resources.files("cellwright.agent") / "wordings" / f"{language}.txt").read_text("utf-8")
    table: dict[str, tuple[list[tuple[str, str]], list[tuple[str, str]]]] = {}
    side: list[tuple[str, str]] = []
    for line in text.splitlines():
        heading = re.fullmatch(r"\[(\w+)\]", line)
        if heading:
            kept, held = table.setdefault(heading.group(1), ([], []))
            side = kept
        elif line == "---":
            side = held
        elif line and not line.startswith("#"):
            words, plan = line.split(" => ")
            side.append((words, plan))
    return {kind: (tuple(first), tuple(second)) for kind, (first, second) in table.items()}
