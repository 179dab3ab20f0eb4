"""What the graph remembers between nodes: ids and small records, nothing that grows with cells."""

from typing import Annotated, Any, Literal, TypedDict

from pydantic import BaseModel, ConfigDict

Status = Literal["done", "failed", "refused", "skipped"]


class Outcome(BaseModel):
    """How a step ended.

    Attributes:
        step: Id of the plan step.
        tool: Its tool.
        status: ``skipped`` when a step that it needs did not succeed.
        result: Id of the result artifact; empty unless done.
        reason: Why not, in one sentence; empty when done.
        seconds: Time spent, tries included.
        tries: How often it was run; 0 when an earlier turn's result was taken.
        note: What was changed to make it run, or that an earlier result was taken.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: str
    tool: str
    status: Status
    result: str = ""
    reason: str = ""
    seconds: float = 0.0
    tries: int = 1
    note: str = ""


class LedgerEntry(BaseModel):
    """What became of one part of the request.

    Attributes:
        ask: The words of the request.
        status: ``done``, ``not done`` or ``refused``.
        steps: Steps that served it.
        reason: Why not; empty when done.
        alternative: What can be done instead.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ask: str
    status: Literal["done", "not done", "refused"]
    steps: tuple[str, ...] = ()
    reason: str = ""
    alternative: str = ""


def extend(old: list[Any] | None, new: list[Any] | None) -> list[Any]:
    """Append new records to old ones; None empties the list for a new request."""
    return [] if new is None else [*(old or []), *new]


def remember(
    old: dict[str, dict[str, Any]] | None, new: dict[str, dict[str, Any]] | None
) -> dict[str, dict[str, Any]]:
    """Results of earlier steps by what was run on what."""
    return {**(old or {}), **(new or {})}


class InputState(TypedDict, total=False):
    """What a run starts from.

    Attributes:
        request: The user's words.
        path: The user's data file; empty for requests that need no cells.
    """

    request: str
    path: str


class State(InputState, total=False):
    """The state of a thread; records are kept as plain JSON values.

    Attributes:
        passport: ``Passport`` of the data, or None.
        data: ``ArtifactRef`` of the current AnnData, or None.
        asks: The parts of the request.
        draft: ``PlanDraft`` as the language model wrote it.
        usage: Tokens and seconds of each call to a language model.
        plan: ``Plan`` after review.
        clarified: The user's answer to a clarifying question; empty when none was needed.
        outcomes: One ``Outcome`` for each step run so far for this request.
        ledger: One ``LedgerEntry`` for each part of the request.
        history: Requests of this thread so far, each with the steps that were done for it.
        report: Paths of the report's files.
        summary: The report's summary where a language model has worded it, and which.
        made: Results of this thread by tool, arguments and data, for follow-ups.
    """

    passport: dict[str, Any] | None
    data: dict[str, Any] | None
    asks: list[str]
    draft: dict[str, Any]
    usage: list[dict[str, Any]]
    plan: dict[str, Any]
    clarified: str
    outcomes: Annotated[list[dict[str, Any]], extend]
    ledger: list[dict[str, Any]]
    history: Annotated[list[dict[str, Any]], extend]
    report: dict[str, str]
    summary: dict[str, Any] | None
    made: Annotated[dict[str, dict[str, Any]], remember]
