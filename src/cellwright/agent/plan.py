"""What a plan is: ordered tool calls, each traced to the part of the request that asked for it."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DraftStep(_Record):
    """A step as a language model writes it.

    Attributes:
        tool: Name of a tool.
        args: Its arguments.
        asks: Numbers of the asks that it serves, from 1.
    """

    tool: str
    args: dict[str, Any] = Field(default_factory=dict)
    asks: tuple[int, ...] = ()


class DraftRefusal(_Record):
    """An ask that the language model will not plan for.

    Attributes:
        asks: Numbers of the asks, from 1.
        reason: ``irrelevant`` (not about these cells), ``unsupported`` (no tool does it) or
            ``unsafe``.
    """

    asks: tuple[int, ...]
    reason: Literal["irrelevant", "unsupported", "unsafe"]


class DraftUnclear(_Record):
    """An ask that leaves out what decides its result.

    Attributes:
        asks: Numbers of the asks, from 1.
        about: What is left out: a drug, the groups, a cell type, genes, or the goal itself.
    """

    asks: tuple[int, ...]
    about: Literal["drug", "groups", "type", "genes", "goal"]


class PlanDraft(_Record):
    """What a language model writes: steps, refusals, or a question when a word has two readings.

    Attributes:
        steps: In the order in which they are to run.
        refused: Asks with no step.
        unclear: Asks that need a question first; code makes its choices from the data.
        question: One clarifying question; None when the request is clear.
        background: Words of the request that ask for nothing.
    """

    steps: tuple[DraftStep, ...] = ()
    refused: tuple[DraftRefusal, ...] = ()
    unclear: tuple[DraftUnclear, ...] = ()
    question: str | None = None
    background: tuple[str, ...] = ()


class PlanStep(_Record):
    """A step after review.

    Attributes:
        id: ``s1``, ``s2`` ...
        tool: Name of a tool.
        args: Arguments, complete and valid.
        delivers: What it will deliver, in words.
        asked_by: The words of the request that asked for it; for an inserted step, the step that
            needs it.
        inserted: Put in by review as preparation.
        needs: Ids of the steps that must have succeeded.
        warning: What the applicability gate wants said.
    """

    id: str
    tool: str
    args: dict[str, Any]
    delivers: str
    asked_by: str
    inserted: bool = False
    needs: tuple[str, ...] = ()
    warning: str = ""


class Refusal(_Record):
    """An ask that will not be done, and why.

    Attributes:
        ask: The words of the request.
        reason: What was found against what is needed.
        alternative: What can be done instead.
    """

    ask: str
    reason: str
    alternative: str = ""


class Question(_Record):
    """A clarifying question, asked only when the readings lead to different results.

    Attributes:
        text: The question.
        choices: The readings.
        default: The reading taken when nobody answers.
    """

    text: str
    choices: tuple[str, ...]
    default: str


class Plan(_Record):
    """The contract for the rest of a run.

    Attributes:
        status: ``ready``, ``needs_clarification`` or ``refused``.
        asks: The request, split into what it asks for.
        steps: In order.
        question: Set when the status is ``needs_clarification``.
        refused: What will not be done.
        assumptions: Defaults that were taken and must be stated.
        unplanned: Words of the request for which nothing is planned: they were read as background,
            or name what no step delivers.
    """

    status: Literal["ready", "needs_clarification", "refused"]
    asks: tuple[str, ...]
    steps: tuple[PlanStep, ...] = ()
    question: Question | None = None
    refused: tuple[Refusal, ...] = ()
    assumptions: tuple[str, ...] = ()
    unplanned: tuple[str, ...] = ()
