"""Follow-ups: what 'the same', 'again' and 'only those' take over from the turn before."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from cellwright.agent.desk import Desk, Names
from cellwright.agent.router import Call, Reading

AGAIN = re.compile(
    r"^\W*(?:and |now |great|ok|okay|,|so |please )*\W*(?:the )?(?:same|again|repeat|redo|once more"
    r"|likewise|ditto)\b|\binstead\b|\bas before\b"
)
SHORT = 7
"""Words up to which an ask that names something new may leave the verb to the turn before."""
MORE = re.compile(r"^\W*(?:and|now|also|plus|add|with|then|ok|okay|for|by|of)\b")
ALSO = re.compile(r"^\W*(?:and|now|great|ok|okay|only|just|but|then|what about|how about)\b")
REPEATS = frozenset(
    {"plot_cells", "find_markers", "compare_groups", "explain_cells", "predict_drug_response"}
)
"""Tools whose figures and tables are made anew on other cells or other clusters."""


def last_calls(history: Sequence[Any]) -> list[Call]:
    """The calls of the turn before, as ``history`` in the state keeps them."""
    for turn in reversed(history):
        if isinstance(turn, Mapping) and turn.get("steps"):
            return [(str(one["tool"]), _chosen(one["args"])) for one in turn["steps"]]
    return []


def _chosen(args: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in args.items() if value not in (None, [], ())}


def names_of(calls: Sequence[Call]) -> Names:
    """Names that calls hold: what 'it' and 'them' stand for in the turn behind them."""
    genes: list[str] = []
    drugs: list[str] = []
    types: list[str] = []
    for tool, args in calls:
        genes += args.get("genes", [])
        drugs += args.get("drugs", [])
        types += [*args.get("groups", []), *(args[one] for one in _TYPES if one in args)]
        if tool == "search_knowledge":
            {"gene": genes, "drug": drugs}.get(args.get("kind", ""), types).append(args["query"])
        if tool == "explain_cells":
            (drugs if args.get("target") == "drug" else types).append(args["label"])
    once = [tuple(dict.fromkeys(one)) for one in (genes, drugs, types)]
    return Names(genes=once[0], drugs=once[1], types=once[2])


_TYPES = ("cell_type", "group_a", "group_b")


def take_over(
    reading: Reading, desk: Desk, last: Sequence[Call], *, alone: bool = False
) -> Reading:
    """A reading with what it leaves to the turn before.

    A subset, or a new clustering, is followed by the figures and tables of that turn; 'the same'
    with another number, column or gene repeats its step with this one changed.

    Args:
        reading: How the ask reads by itself.
        desk: The ask.
        last: Calls of the turn before.
        alone: The request asks for nothing else.
    """
    again, also = desk.says(AGAIN), desk.says(ALSO)
    changed_call = None
    if last and not again and desk.says(MORE) and len(desk.words.split()) <= SHORT:
        changed_call = _with_new(last[-1], desk)
    tools = [tool for tool, _ in reading.calls]
    repeated = tuple(call for call in last if call[0] in REPEATS)
    if tools == ["subset_cells"] and (alone or again or also):
        return Reading(calls=(*reading.calls, *repeated))
    if changed_call is not None or not last or not (again or also):
        return Reading(calls=(changed_call,)) if changed_call else reading
    if tools == ["preprocess_dataset"]:
        grouped = [call for call in repeated if "cellwright_leiden" in call[1].values()]
        return Reading(calls=(*reading.calls, *grouped))
    if not again or (tools and tools[0] not in {last[-1][0], "describe_dataset"}):
        return reading
    tool, args = last[-1]
    changed = dict(args)
    if tool == "preprocess_dataset":
        found = re.search(r"\d+(?:\.\d+)?", desk.words)
        changed |= {"resolution": float(found.group())} if found else {}
    elif desk.number() and tool in {"find_markers", "explain_cells"}:
        changed["n_genes"] = desk.number()
    elif desk.number() and tool == "generate_cells":
        changed["n"] = desk.number()
    elif tool == "plot_cells" and (desk.genes or _column(desk)):
        changed.pop("genes", None)
        changed |= {"genes": desk.genes} if desk.genes else {"color_by": _column(desk)}
    elif tool == "predict_drug_response" and desk.ask.mentions.likely_drugs:
        changed["drugs"] = list(desk.ask.mentions.likely_drugs)
    if changed == args:
        return reading
    return Reading(calls=((tool, changed),))


def inherited(reading: Reading, desk: Desk, last: Sequence[Call]) -> Reading:
    """A short follow-up with what it leaves out taken from the turn before.

    A call of the same tool keeps what is not said anew, another figure keeps genes and column, a
    look-up without a name is of what was named, and a number alone changes how many.
    """
    if not last or len(desk.words.split()) > SHORT + 3:
        return reading
    tool, args = last[-1]
    if not reading.calls:
        number = {"generate_cells": "n", "find_markers": "n_genes", "explain_cells": "n_genes"}
        if reading.unclear and tool in number and desk.number():
            return Reading(calls=((tool, {**args, number[tool]: desk.number()}),))
        return reading
    if len(reading.calls) > 1:
        return reading
    named, chosen = reading.calls[0]
    if named == tool and tool in {*REPEATS, "generate_cells"}:
        chosen = _more_genes(chosen, args, desk)
        if "color_by" in args and chosen.get("kind") == args.get("kind") and not _says_column(desk):
            chosen = {name: one for name, one in chosen.items() if name != "color_by"}
        return Reading(calls=(_filled((named, chosen), args),))
    return reading


_ADDS = re.compile(r"\badd|\balso\b|\bplus\b|\btoo\b|추가|넣어|加上|再加|添加|也加")


def _more_genes(chosen: Mapping[str, Any], before: Mapping[str, Any], desk: Desk) -> dict[str, Any]:
    """The arguments of a figure, with the genes of the one before where more are added to them."""
    if not (chosen.get("genes") and before.get("genes") and _ADDS.search(
        f"{desk.words} {desk.ask.text}"
    )):  # fmt: skip
        return dict(chosen)
    return {**chosen, "genes": list(dict.fromkeys([*before["genes"], *chosen["genes"]]))}


def _says_column(desk: Desk) -> bool:
    """The words write or mean a column, or name values of one; the reader alone may be mistaken."""
    return bool(desk.ask.mentions.columns or desk.written or desk.named)


_KEPT = ("genes", "groups", "drugs", "cell_type", "label", "target", "color_by", "column",
         "group_a", "group_b", "n", "n_genes", "tissue", "species", "protocol")  # fmt: skip
"""Arguments that a follow-up leaves to the turn before."""


def _filled(call: Call, before: Mapping[str, Any]) -> Call:
    """A call with what it does not say taken from the one before; genes say what a figure shows."""
    tool, args = call
    kept = {name: one for name, one in before.items() if name in _KEPT and name not in args}
    if "genes" in args and args.get("kind") == before.get("kind"):
        kept.pop("color_by", None) if args.get("kind") == "umap" else None
    if args.get("kind") == "umap" and "color_by" in args:
        kept.pop("genes", None)
    if args.get("kind") == "composition":
        kept.pop("genes", None)
    return tool, {**kept, **args}


_VERB = re.compile(
    r"\b(?:show|draw|plot|find|list|explain|why|predict|compare|generate|simulate|annotate|keep"
    r"|subset|remove|without|only|just|umap|violin|dot ?plot|heat ?map|composition|markers?|what is"
    r"|cluster|resolution)\b"
)


def _with_new(call: Call, desk: Desk) -> Call | None:
    """The last call for what an ask without a verb names; None where it has a verb."""
    tool, args = call
    new: dict[str, Any] = {}
    if tool == "plot_cells" and desk.genes:
        new = _more_genes({"genes": desk.genes}, args, desk)
    elif tool == "plot_cells" and (column := _column(desk)):
        new = {"color_by": column}
    elif tool == "find_markers" and desk.types:
        new = {"groups": desk.types}
    elif tool == "explain_cells" and desk.types and args.get("target") != "drug":
        new = {"label": desk.types[0]}
    elif tool == "search_knowledge" and desk.genes:
        new = {"query": desk.genes[0], "kind": "gene"}
    return (tool, {**args, **new}) if new and not desk.says(_VERB) else None


def _column(desk: Desk) -> str | None:
    """The column that the words name or mean; so few words can mean nothing else."""
    return desk.column() or next(iter(desk.ask.mentions.columns), None)
