"""Drugs by any name: which the screen has, and what comes nearest to those it has not."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from cellwright.tools.drug_records import NotPredicted

if TYPE_CHECKING:
    from cellwright.cellmodel.drug import DrugTransfer
    from cellwright.knowledge import Knowledge
    from cellwright.knowledge.records import DrugMatch


def resolve_drugs(
    names: tuple[str, ...], knowledge: Knowledge, transfer: DrugTransfer
) -> tuple[dict[str, str], list[NotPredicted]]:
    """Drugs of the screen (name -> name as asked), and those that cannot be predicted."""
    found: dict[str, str] = {}
    left_out = []
    for name in names:
        match = knowledge.drugs.lookup(name)
        screened = screen_name(name, match, transfer.drugs)
        if screened:
            found.setdefault(screened, name)
        else:
            left_out.append(_not_screened(name, match, knowledge, transfer))
    return found, left_out


def screen_name(name: str, match: DrugMatch, drugs: tuple[str, ...]) -> str | None:
    """The screen's own name of a drug, or None when it was not screened."""
    by_name = {_plain(drug): drug for drug in drugs}
    for other in (name, match.name or "", *match.synonyms):
        if _plain(other) and _plain(other) in by_name:
            return by_name[_plain(other)]
    return None


def _not_screened(
    name: str, match: DrugMatch, knowledge: Knowledge, transfer: DrugTransfer
) -> NotPredicted:
    if match.status != "ok":
        known = {_plain(drug): drug for drug in transfer.drugs}
        near = [known[one] for one in difflib.get_close_matches(_plain(name), list(known), n=3)]
        # A suggestion helps here only where it can be predicted, so the screen's names come first.
        near = near or list(match.suggestions[:3])
        return NotPredicted(
            drug=name,
            reason="no drug of this name is known.",
            alternative=(
                f"Nearest names: {', '.join(near)}."
                if near
                else "Give its generic name or development code, or a drug that acts alike."
            ),
        )
    near = similar_drugs(match, knowledge, transfer)
    what = "; ".join(part for part in (", ".join(match.targets), match.mechanism) if part)
    return NotPredicted(
        drug=name,
        reason=(
            f"it is not among the {len(transfer.drugs)} drugs of the screen"
            + (f" (known: {what})." if what else ".")
        ),
        alternative=(
            f"Nearest by target or mechanism: {', '.join(near)}."
            if near
            else "No drug of the screen shares its target or mechanism."
        ),
    )


def similar_drugs(
    match: DrugMatch, knowledge: Knowledge, transfer: DrugTransfer, top: int = 3
) -> list[str]:
    """Drugs of the screen that share targets or mechanism, nearest first."""
    mine = {target.casefold() for target in match.targets}
    ranked = []
    for drug in transfer.drugs:
        other = knowledge.drugs.lookup(drug)
        if other.status != "ok":
            continue
        theirs = {target.casefold() for target in other.targets}
        shared = len(mine & theirs) / len(mine | theirs) if mine & theirs else 0.0
        same = bool(match.mechanism) and match.mechanism == other.mechanism
        if shared or same:
            ranked.append((-(shared + 0.5 * same), drug))
    return [drug for _score, drug in sorted(ranked)[:top]]


def _plain(name: str) -> str:
    return re.sub(r"[^0-9a-z]+", "", name.casefold())
