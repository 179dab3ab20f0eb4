"""Verification: what became of every part of the request, read from plan, outcomes and files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from cellwright.agent.plan import Plan
from cellwright.agent.state import LedgerEntry, Outcome
from cellwright.errors import ToolError

if TYPE_CHECKING:
    from cellwright.artifacts import DirectoryStore


def ledger(plan: Plan, outcomes: Sequence[Outcome], store: DirectoryStore) -> list[LedgerEntry]:
    """One entry for each part of the request.

    A part is done when every step that serves it succeeded and everything those steps say they
    made is in the store; it is not done when one failed, was skipped, never ran, or left a file
    missing; and refused when review refused it.
    """
    ended = {outcome.step: outcome for outcome in outcomes}
    entries = []
    for ask in plan.asks:
        steps = [step for step in plan.steps if _asked(step.asked_by, ask) and not step.inserted]
        refusals = [refusal for refusal in plan.refused if _asked(refusal.ask, ask)]
        missing = [
            reason for step in steps if (reason := _why_not(ended.get(step.id), store, step.tool))
        ]
        reasons = [*missing, *(refusal.reason for refusal in refusals)]
        status: Literal["done", "not done", "refused"] = "not done"
        if not missing and (steps or refusals):
            status = "done" if steps else "refused"
        elif not reasons:
            reasons = ["No step of the plan serves this."]
        entries.append(
            LedgerEntry(
                ask=ask,
                status=status,
                steps=tuple(step.id for step in steps),
                reason=" ".join(dict.fromkeys(reasons)),
                alternative=" ".join(dict.fromkeys(r.alternative for r in refusals)),
            )
        )
    return entries


def _asked(asked_by: str, ask: str) -> bool:
    return asked_by == "the whole request" or ask in asked_by


def _why_not(outcome: Outcome | None, store: DirectoryStore, tool: str) -> str:
    """Why a step cannot count as done; empty when it can."""
    if outcome is None:
        return f"{tool} was not run."
    if outcome.status != "done":
        return outcome.reason
    try:
        lost = [ref for ref in _made(store.get_json(outcome.result)) if not _whole(store, ref)]
    except ToolError as error:
        return str(error)
    return f"{tool} says it made {', '.join(lost)}, which cannot be found." if lost else ""


def _made(result: dict[str, Any]) -> list[str]:
    """Ids of everything that a result says it made."""
    refs = [result.get("data"), result.get("cells"), *result["figures"], *result["tables"]]
    return [ref["id"] for ref in refs if ref]


def _whole(store: DirectoryStore, artifact_id: str) -> bool:
    try:
        return store.path(artifact_id).stat().st_size > 0
    except (ToolError, OSError):
        return False
