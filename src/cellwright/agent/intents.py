"""From what asks are for to calls: each intent's arguments, read from what its ask names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from cellwright.agent.desk import Desk, Names
from cellwright.agent.fill import FILLERS, on_part
from cellwright.agent.followup import inherited, names_of, take_over
from cellwright.agent.grammar import Ask
from cellwright.agent.mentions import comparable, plain_name
from cellwright.agent.reader import ReadAsk
from cellwright.agent.router import UNSAFE, Call, Reading

if TYPE_CHECKING:
    from cellwright.tools.passport import Passport

WHY = re.compile(r"^\W*(?:and\s+|but\s+)?(?:why|how (?:so|come))\b")
"""A bare question after an answer: it asks for the genes behind that."""
RELABELS = frozenset({"annotate", "who", "whole"})
"""Intents behind which the cells have new labels."""
DOUBTED = 0.8
"""Probability below which a refusal gives way to words that ask for a comparison."""
DIFFERS = re.compile(r"\bdiffer|\bcompar|\bversus\b|\bvs\b")


def intent_of(plan: str) -> str:
    """The intent that a line of the plan language stands for."""
    actions = [one.strip() for one in plan.split(";")]
    if len(actions) > 1 and actions[0] == "annotate":
        return "whole" if len(actions) > 2 else "who"
    first = actions[0]
    kind = re.search(r"kind=(\w+)", first)
    if first.startswith("plot") and kind:
        return kind.group(1)
    if first.startswith(("refuse", "unclear")):
        return first
    return first.split(" ")[0]


def read_by_intent(
    asks: Sequence[Ask],
    read: Sequence[ReadAsk],
    passport: Passport | None,
    last: Sequence[Call] = (),
) -> list[Reading]:
    """How each ask reads: its intent as the reader has it, its arguments from its names.

    Args:
        asks: The parts of the request.
        read: The same as the reader sees them.
        passport: What the data set is.
        last: Calls of the turn before, for follow-ups.
    """
    asks = [_with_linked(at, asks, read) for at in range(len(asks))]
    named = [
        _names(Desk(ask=ask, passport=passport, unused=seen.unused))
        for ask, seen in zip(asks, read, strict=True)
    ]
    found: list[Reading] = []
    earlier = list(last)
    earlier_names = names_of(last)
    for at, (ask, seen) in enumerate(zip(asks, read, strict=True)):
        near = Names() if seen.linked else _near(named, at)
        desk = Desk(
            ask=ask,
            passport=passport,
            role=seen.column,
            detail=seen.detail,
            unused=seen.unused,
            new_labels=any(one.intent in RELABELS for one in read[:at])
            or any(tool == "annotate_cells" for tool, _ in last),
            before=earlier,
            near=near if at or len(asks) > 1 else earlier_names,
            points_back=bool(last) and not at,
        )
        by_itself = on_part(FILLERS[_settled(seen, desk, earlier)](desk), desk)
        reading = take_over(by_itself, desk, last, alone=len(asks) == 1)
        if reading == by_itself and len(asks) == 1:
            reading = inherited(by_itself, desk, last)
        found.append(reading)
        earlier += reading.calls
    return found


def _with_linked(at: int, asks: Sequence[Ask], read: Sequence[ReadAsk]) -> Ask:
    """An ask that also names what the reader links to it in the others: what 'them' stands for."""
    linked = {plain_name(one) for one in read[at].linked}
    if not linked:
        return asks[at]
    own = asks[at].mentions
    others = [
        (one.mentions, seen.unused)
        for place, (one, seen) in enumerate(zip(asks, read, strict=True))
        if place != at
    ]
    of_all = not _ONE_OF.search(asks[at].english)
    more: dict[str, tuple[str, ...]] = {}
    for kind in ("likely_genes", "likely_drugs", "types", "written"):
        found = list(getattr(own, kind))
        whole = of_all and not found and kind in {"likely_genes", "likely_drugs"}
        for mentions, unused in others:
            names = [one for one in getattr(mentions, kind) if one.lower() not in unused]
            meant = [one for one in names if plain_name(one) in linked]
            found += names if meant and whole else meant
        more[kind] = tuple(dict.fromkeys(found))
    members = [pair for one, _ in others for pair in one.members if plain_name(pair[1]) in linked]
    mentions = replace(
        own,
        likely_genes=more["likely_genes"],
        likely_drugs=more["likely_drugs"],
        types=more["types"],
        written=more["written"],
        members=tuple(dict.fromkeys([*own.members, *members])),
    )
    return replace(asks[at], mentions=mentions)


_ONE_OF = re.compile(r"(?i)\b(?:former|latter|first|second|third|last|one of)\b")
"""Words that mean one of several; 'it' behind a list means all of that."""


def _settled(seen: ReadAsk, desk: Desk, earlier: Sequence[Call]) -> str:
    """The intent, where words that leave no doubt do not say otherwise."""
    doubted = seen.share < DOUBTED
    if doubted and desk.says(UNSAFE):
        return "refuse unsafe"
    if seen.intent == "refuse unsupported" and doubted and desk.says(DIFFERS):
        return "compare" if comparable(desk.passport) else seen.intent
    if seen.intent.startswith("unclear") and desk.says(WHY) and earlier:
        return "explain"
    return seen.intent


def _names(desk: Desk) -> Names:
    labels = desk.members("label")
    return Names(genes=desk.genes, drugs=desk.drugs, types=labels or desk.types)


def _near(named: Sequence[Names], at: int) -> Names:
    """Names of the nearest ask that has any, of each kind: those before it first."""
    order = [*reversed(named[:at]), *named[at + 1 :]]
    genes: Sequence[str] = next((one.genes for one in order if one.genes), ())
    types: Sequence[str] = next((one.types for one in order if one.types), ())
    if len(genes) == 1:  # 'both' stands for what several asks named
        genes = tuple(dict.fromkeys(gene for one in named[:at] for gene in one.genes)) or genes
    if len(types) == 1:
        types = tuple(dict.fromkeys(kind for one in named[:at] for kind in one.types)) or types
    return Names(
        genes=genes,
        drugs=next((one.drugs for one in order if one.drugs), ()),
        types=types,
    )
