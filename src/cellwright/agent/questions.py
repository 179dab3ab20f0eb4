"""Clarifying questions: what an unclear part of a request may mean on this data set."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cellwright.agent.grammar import QUESTIONS
from cellwright.agent.lexicon import gloss
from cellwright.agent.mentions import comparable
from cellwright.agent.plan import DraftStep, DraftUnclear
from cellwright.agent.words import language_of, saying

if TYPE_CHECKING:
    from cellwright.tools.passport import Passport

NAMED_TYPES = 3
"""Cell types that a question offers by name."""
CONTROL = re.compile(
    r"control|ctrl|vehicle|dmso|mock|untreated|healthy|normal|baseline|none|wt|wild.?type|"
    r"respon|sensitive|resistant|tumou?r|\d+",
    re.IGNORECASE,
)
"""Arms of a study that name no drug."""
_GENERATES = re.compile(r"generat|simulat|synthe|artificial|virtual|fake|silico|\bmake\b|augment")
_KEEPS = re.compile(r"subset|keep|filter|only|restrict|select|focus")
_FIGURES = (("violin", r"violin"), ("heatmap", r"heat"), ("umap", r"umap|map|feature"))


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One thing that an unclear part may mean.

    Attributes:
        text: The reading, in words; a choice of the question.
        steps: What it would run.
    """

    text: str
    steps: tuple[DraftStep, ...]


def question_text(unclear: DraftUnclear, asks: Sequence[str]) -> str:
    """The question about an unclear part."""
    say = saying(language_of(" ".join(asks)))
    return say(f'{QUESTIONS[unclear.about]} (in: "{asks[unclear.asks[0] - 1]}")')


def readings(
    unclear: DraftUnclear, asks: Sequence[str], passport: Passport | None
) -> list[Reading]:
    """What an unclear part may mean, the default first.

    Args:
        unclear: The part, and what it leaves out.
        asks: The parts of the request.
        passport: What the data set is; what it holds makes the choices.
    """
    words = gloss(asks[unclear.asks[0] - 1]).lower()
    found = {
        "drug": _drugs,
        "groups": _groups,
        "type": _types,
        "genes": _genes,
        "goal": _goals,
    }[unclear.about](words, passport)
    say = saying(language_of(" ".join(asks)))
    return [
        Reading(
            text=say(text),
            steps=tuple(DraftStep(tool=tool, args=args, asks=unclear.asks) for tool, args in calls),
        )
        for text, calls in found
    ]


Calls = list[tuple[str, dict[str, Any]]]
Found = list[tuple[str, Calls]]


def _drugs(_words: str, passport: Passport | None) -> Found:
    """The drugs that the file's own arms name, and all that were screened."""
    names = [
        value
        for column in comparable(passport)
        for value in column.values
        if not CONTROL.search(value)
    ]
    named: Found = [
        (f"the response to {name}", [("predict_drug_response", {"drugs": [name]})])
        for name in dict.fromkeys(names)
    ]
    return [*named[:NAMED_TYPES], ("the drugs that stand out", [("predict_drug_response", {})])]


def _groups(_words: str, passport: Passport | None) -> Found:
    """Two groups of each column of conditions; cell types where there is none."""
    found: Found = []
    for column in comparable(passport):
        first, second = column.values[:2]
        args = {"column": column.name, "group_a": first, "group_b": second}
        found.append((f"{first} against {second} ({column.name})", [("compare_groups", args)]))
    if not found and passport is not None:
        found.append(("each group against all others", [("find_markers", {})]))
        label = passport.column("label", "cluster")
        if label is not None and len(label.values) > 1:
            first, second = label.values[:2]
            args = {"column": label.name, "group_a": first, "group_b": second}
            found.append((f"{first} against {second} ({label.name})", [("compare_groups", args)]))
    return found


def _types(words: str, passport: Passport | None) -> Found:
    """The most frequent labels of the file, for what the words want done."""
    label = passport.column("label") if passport else None
    names = label.values[:NAMED_TYPES] if label else ("B cell", "T cell", "monocyte")
    if _GENERATES.search(words):
        number = re.search(r"\d+", words)
        n = {"n": int(number.group())} if number else {}
        return [(name, [("generate_cells", {"cell_type": name, **n})]) for name in names]
    if _KEEPS.search(words):
        return [(f"only {name}", [("subset_cells", {"groups": [name]})]) for name in names]
    return [(name, [("explain_cells", {"label": name})]) for name in names]


def _genes(words: str, passport: Passport | None) -> Found:
    """The leading markers of the groups, as the figure that the words name."""
    if passport is None:
        return [("what is known of a gene: name it", [])]
    kind = next((kind for kind, pattern in _FIGURES if re.search(pattern, words)), "dotplot")
    if kind == "umap":
        kind = "dotplot"
    return [("the leading markers of each group", [("plot_cells", {"kind": kind})])]


def _goals(_words: str, passport: Passport | None) -> Found:
    """What people mostly want first."""
    if passport is None:
        return [("look something up: name a gene, a cell type or a drug", [])]
    found: Found = [
        ("identify the cells", [("annotate_cells", {}), ("plot_cells", {"kind": "umap"})]),
        ("describe the file", [("describe_dataset", {})]),
        ("find marker genes", [("find_markers", {})]),
    ]
    return [*found, *_groups("", passport)[:1]] if comparable(passport) else found
