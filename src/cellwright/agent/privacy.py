"""What leaves the machine: a ledger of it, and names that stand in for the data's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage

from cellwright.agent.plan import PlanDraft
from cellwright.tools.passport import Column, Passport

LOCAL = frozenset({"cellwright-embedded", "cellwright-scripted"})
"""Kinds of models that run here: nothing is sent to them."""


class Ledger(BaseCallbackHandler):
    """Writes down every message that a chat model is sent.

    Attributes:
        entries: To whom, how much, and the words themselves.
    """

    def __init__(self, to: str) -> None:
        self._to = to
        self.entries: list[dict[str, Any]] = []

    def on_chat_model_start(
        self, serialized: dict[str, Any], messages: list[list[BaseMessage]], **_kwargs: Any
    ) -> None:
        """Called by LangChain before a request goes out."""
        for batch in messages:
            text = [str(one.content) for one in batch]
            self.entries.append({"to": self._to, "characters": sum(map(len, text)), "text": text})


def stand_ins(passport: Passport | None) -> tuple[Passport | None, dict[str, str]]:
    """A passport of which no column and no value has its own name, and the way back.

    Args:
        passport: What the data set is.

    Returns:
        The passport to show, and own names by stand-in.
    """
    if passport is None:
        return None, {}
    back: dict[str, str] = {}
    columns: list[Column] = []
    for at, column in enumerate(passport.columns, start=1):
        name = f"{column.role}_{at}"
        back[name] = column.name
        values = tuple(f"{name}_value_{place}" for place in range(1, len(column.values) + 1))
        back |= dict(zip(values, column.values, strict=True))
        columns.append(
            column.model_copy(update={"name": name, "values": values, "evidence": "held back"})
        )
    shown = passport.model_copy(update={"columns": tuple(columns), "file": "data", "warnings": ()})
    return shown, back


def own_names(draft: PlanDraft, back: Mapping[str, str]) -> PlanDraft:
    """A draft with the data's own names in place of stand-ins."""
    steps = tuple(
        step.model_copy(update={"args": {name: _own(one, back) for name, one in step.args.items()}})
        for step in draft.steps
    )
    return draft.model_copy(update={"steps": steps})


def _own(value: Any, back: Mapping[str, str]) -> Any:
    if isinstance(value, (list, tuple)):
        return [_own(one, back) for one in value]
    return back.get(value, value) if isinstance(value, str) else value
