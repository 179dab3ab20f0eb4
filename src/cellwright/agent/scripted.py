"""A chat model that answers with prepared plans and remembers what it was asked, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import Field

from cellwright.agent.plan import PlanDraft


class ScriptedModel(BaseChatModel):
    """Answers with prepared drafts in order; the last is repeated.

    Example:
        >>> model = ScriptedModel(drafts=[PlanDraft()])
        >>> model.invoke("annotate").content
        '{"steps":[],"refused":[],"question":null}'
        >>> len(model.calls)
        1

    Attributes:
        drafts: Answers; text is sent as it is, to try what a model gets wrong.
        calls: Messages of every call so far.
    """

    drafts: list[PlanDraft | str]
    calls: list[list[BaseMessage]] = Field(default_factory=list)

    def __init__(self, drafts: Sequence[PlanDraft | str], **kwargs: Any) -> None:
        super().__init__(drafts=list(drafts), **kwargs)

    @property
    def _llm_type(self) -> str:
        return "cellwright-scripted"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        answer = self.drafts[min(len(self.calls), len(self.drafts) - 1)]
        self.calls.append(messages)
        text = answer if isinstance(answer, str) else answer.model_dump_json()
        message = AIMessage(content=text, response_metadata={"model": "scripted", "seconds": 0.0})
        return ChatResult(generations=[ChatGeneration(message=message)])
