"""From a request to a drafted plan: the embedded planner, or any chat model."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import PrivateAttr, ValidationError

from cellwright.agent.asks import split_request
from cellwright.agent.completion import complete
from cellwright.agent.examples import make_asks
from cellwright.agent.followup import last_calls
from cellwright.agent.grammar import Ask, make_grammar, read_plan
from cellwright.agent.intents import read_by_intent
from cellwright.agent.plan import PlanDraft
from cellwright.agent.privacy import own_names, stand_ins
from cellwright.agent.prompts import large_prompt, small_prompt
from cellwright.agent.reader import ReadAsk, Reader
from cellwright.agent.router import Call, Reading, draft_of, read_asks
from cellwright.errors import CellwrightError
from cellwright.settings import Settings
from cellwright.tools.passport import Passport

if TYPE_CHECKING:
    from cellwright.cellmodel.modeling.language import Generation, LanguageModel

logger = logging.getLogger(__name__)

CHUNK = 6
"""Asks that the embedded planner reads at once; longer requests are planned in pieces."""
TOKENS_PER_ASK = 64
SURE = 0.3
"""Probability of an ask from which the reader needs no second opinion."""
DOUBT = -0.05
"""Mean log probability of a line below which the model is not taken at its word."""
EXTRAS: Mapping[str, str] = {
    "openai": "cellwright[openai]",
    "anthropic": "cellwright[anthropic]",
    "ollama": "cellwright[ollama]",
}


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A drafted plan and what it cost.

    Attributes:
        draft: The plan.
        asks: The parts of the request, which the plan numbers from 1.
        usage: Model, tokens in and out, seconds, tries, and how each ask was read.
    """

    draft: PlanDraft
    asks: tuple[str, ...]
    usage: dict[str, Any]


class EmbeddedPlanner(BaseChatModel):
    """SmolLM2-135M fine-tuned to write plans, decoding under a grammar; no key, no network.

    The last human message is the request, and the answer is a ``PlanDraft`` as JSON. ``propose``
    also passes ``passport``, ``asks``, ``read`` and ``history``.

    A trained reader says what each ask is for, and code finds its arguments. Where the reader is
    unsure of an ask, the language model writes a plan too, and the surer of the two is taken.

    Attributes:
        base: Folder of the base model.
        adapter: Folder of the adapter; None plans with the base model alone.
        reader: Reads requests; None leaves all to the language model.
        threads: CPU threads while writing; one is nearly as fast as more, and steady under load.
    """

    base: Path
    adapter: Path | None = None
    reader: Reader | None = None
    threads: int = 1
    _model: LanguageModel | None = PrivateAttr(default=None)
    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)

    @property
    def _llm_type(self) -> str:
        return "cellwright-embedded"

    @property
    def language_model(self) -> LanguageModel:
        """The model, loaded on first use."""
        with self._lock:
            if self._model is None:
                from cellwright.cellmodel.modeling.language import LanguageModel

                self._model = LanguageModel.load(self.base, adapter=self.adapter)
            return self._model

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        request = next(
            (str(one.content) for one in reversed(messages) if isinstance(one, HumanMessage)), ""
        )
        asks = list(kwargs.get("asks") or split_request(request)) or [request]
        draft, usage = self._plan(
            asks,
            kwargs.get("read") or (),
            kwargs.get("passport"),
            kwargs.get("history") or "",
            kwargs.get("last") or (),
        )
        message = AIMessage(
            content=draft.model_dump_json(),
            response_metadata=usage,
            usage_metadata={
                "input_tokens": usage["input_tokens"],
                "output_tokens": usage["output_tokens"],
                "total_tokens": usage["input_tokens"] + usage["output_tokens"],
            },
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _write(self, prompt: str, piece: Sequence[Ask]) -> Generation:
        from cellwright.cellmodel.modeling.language import using_threads

        with using_threads(self.threads):
            return self.language_model.generate(
                prompt, grammar=make_grammar(piece), max_new_tokens=TOKENS_PER_ASK * len(piece)
            )

    def _plan(
        self,
        asks: Sequence[str],
        read: Sequence[ReadAsk],
        passport: Passport | None,
        history: str,
        last: Sequence[Call] = (),
    ) -> tuple[PlanDraft, dict[str, Any]]:
        start = time.perf_counter()
        known = make_asks(asks, passport, _names(history, passport))
        chosen = read_by_intent(known, read, passport, last) if read else []
        usage: dict[str, Any] = {"model": "embedded", "input_tokens": 0, "output_tokens": 0}
        read_by = ["reader"] * len(chosen)
        if not read or any(one.sure < SURE for one in read):
            lines, doubts, written = self._lines(known, passport, history)
            usage["input_tokens"] = sum(one.n_prompt for one in written)
            usage["output_tokens"] = sum(one.n_new for one in written)
            usage["confidence"] = [round(one, 3) for one in doubts]
            for at, ask in enumerate(known):
                line = lines[at] if at < len(lines) else ""
                if not read:
                    chosen.append(_reading(line, ask) if line else Reading(unclear="goal"))
                    read_by.append("model")
                elif line and read[at].sure < SURE and doubts[at] >= DOUBT:
                    chosen[at], read_by[at] = _reading(line, ask), "model"
        usage |= {"seconds": round(time.perf_counter() - start, 3), "read_by": read_by}
        return complete(draft_of(chosen, asks), known, passport), usage

    def _lines(
        self, known: Sequence[Ask], passport: Passport | None, history: str
    ) -> tuple[list[str], list[float], list[Generation]]:
        """What the model writes, a line for each ask, with its mean log probability."""
        lines: list[str] = []
        doubts: list[float] = []
        written: list[Generation] = []
        for start in range(0, len(known), CHUNK):
            piece = known[start : start + CHUNK]
            said = self._write(small_prompt(piece, passport, history), piece)
            written.append(said)
            for text, doubt in zip(said.text.splitlines(), said.line_logprobs, strict=False):
                lines.append(re.sub(r"^\d+", str(len(lines) + 1), text))
                doubts.append(doubt)
        return lines, doubts, written


def _reading(line: str, ask: Ask) -> Reading:
    """What a line of the plan language says of one ask."""
    said = re.sub(r"^\d+", "1", line)
    if said.split() == ["1", "same"]:
        return Reading(same=True)
    draft = read_plan(said, [ask.text])
    return Reading(
        calls=tuple((step.tool, step.args) for step in draft.steps),
        refusal=draft.refused[0].reason if draft.refused else "",
        unclear=draft.unclear[0].about if draft.unclear else None,
    )


def propose(
    model: BaseChatModel,
    request: str,
    passport: Passport | None,
    history: Sequence[Any] = (),
    *,
    reader: Reader | None = None,
    strict: bool = False,
) -> Proposal:
    """Part a request into its asks and draft a plan with a chat model.

    The embedded planner works under its grammar. Any other model is asked for a ``PlanDraft`` by
    structured output where it has that and by JSON where it has not; an answer that is not a valid
    draft is sent back once with the reason, and after that keywords plan.

    Args:
        model: The chat model.
        request: The user's words.
        passport: What the data set is.
        history: Earlier turns, records with ``request`` and ``steps``.
        reader: Parts the request; the embedded planner's own where it has one, and rules where
            there is none.
        strict: Hold column names and values of the data back from a model that is not here.
    """
    start = time.perf_counter()
    embedded = isinstance(model, EmbeddedPlanner)
    reader = model.reader if isinstance(model, EmbeddedPlanner) else reader
    read = reader.read(request, passport, _last_request(history)) if reader else []
    asks = [one.text for one in read] or split_request(request) or [request]
    background = tuple(one.background for one in read if one.background)
    if embedded:
        answer = model.invoke(
            [HumanMessage(content=request)],
            asks=asks,
            read=read,
            passport=passport,
            history=_words(history),
            last=last_calls(history),
        )
        draft = PlanDraft.model_validate_json(str(answer.content))
        draft = draft.model_copy(update={"background": background})
        usage = {**answer.response_metadata, "seconds": round(time.perf_counter() - start, 3)}
        return Proposal(draft=draft, asks=tuple(asks), usage=usage)
    from cellwright.tools.registry import ALL_TOOLS

    shown, back = stand_ins(passport) if strict else (passport, {})
    system, user = large_prompt(asks, shown, _words(history), ALL_TOOLS)
    proposal = _ask_other(
        model, [SystemMessage(content=system), HumanMessage(content=user)], asks, passport
    )
    draft = own_names(proposal.draft, back).model_copy(update={"background": background})
    return replace(proposal, draft=draft)


def _ask_other(
    model: BaseChatModel,
    messages: list[BaseMessage],
    asks: Sequence[str],
    passport: Passport | None,
) -> Proposal:
    usage: dict[str, Any] = {"model": model_name(model), "input_tokens": 0, "output_tokens": 0}
    reason = ""
    for attempt in (1, 2):
        answer = _structured(model, messages)
        counted = getattr(answer, "usage_metadata", None) or {}
        usage["input_tokens"] += counted.get("input_tokens", 0)
        usage["output_tokens"] += counted.get("output_tokens", 0)
        usage["tries"] = attempt
        try:
            draft = PlanDraft.model_validate_json(_json_of(answer))
        except (ValidationError, ValueError) as error:
            reason = str(error)[:600]
            messages = [
                *messages,
                AIMessage(content=str(answer.content) or "(no text)"),
                HumanMessage(content=f"That is not a valid plan: {reason}. Send the plan again."),
            ]
            continue
        return Proposal(draft=_known_asks(draft, len(asks)), asks=tuple(asks), usage=usage)
    logger.warning("%s gave no valid plan (%s); keywords plan instead.", usage["model"], reason)
    readings = read_asks(make_asks(asks, passport), passport)
    return Proposal(
        draft=draft_of(readings, asks), asks=tuple(asks), usage={**usage, "fallback": "keywords"}
    )


def _structured(model: BaseChatModel, messages: list[BaseMessage]) -> AIMessage:
    """One answer, by the model's own structured output where it has it."""
    try:
        bound = model.bind_tools([PlanDraft], tool_choice="any")
    except NotImplementedError:
        schema = json.dumps(PlanDraft.model_json_schema())
        asked = SystemMessage(content=f"Answer with JSON of this schema and nothing else: {schema}")
        return model.invoke([*messages[:1], asked, *messages[1:]])
    return bound.invoke(messages)


def _json_of(answer: AIMessage) -> str:
    if answer.tool_calls:
        return json.dumps(answer.tool_calls[0]["args"])
    match = re.search(r"\{.*\}", str(answer.content), re.DOTALL)
    if match is None:
        msg = "there is no JSON object in the answer"
        raise ValueError(msg)
    return match.group()


def _known_asks(draft: PlanDraft, n: int) -> PlanDraft:
    """The draft without numbers that no ask has."""
    steps = tuple(
        one.model_copy(update={"asks": tuple(at for at in one.asks if 0 < at <= n)})
        for one in draft.steps
    )
    refused = tuple(
        one.model_copy(update={"asks": tuple(at for at in one.asks if 0 < at <= n)})
        for one in draft.refused
    )
    return draft.model_copy(update={"steps": steps, "refused": refused})


def _words(history: Sequence[Any]) -> str:
    said = [
        str(one.get("request", "")) if isinstance(one, Mapping) else str(one) for one in history
    ]
    return "; ".join(one for one in said[-2:] if one)


def _last_request(history: Sequence[Any]) -> str:
    return str(history[-1].get("request", "")) if history else ""


def _names(history: str, passport: Passport | None) -> list[str]:
    if not history:
        return []
    return [
        name
        for ask in make_asks(split_request(history), passport)
        for name in (*ask.mentions.likely_drugs, *ask.mentions.types[:4])
    ]


def model_name(model: BaseChatModel) -> str:
    """How a model is called."""
    return str(
        getattr(model, "model_name", None) or getattr(model, "model", None) or model._llm_type
    )


def packaged_reader(settings: Settings) -> Reader:
    """The reader of requests that ships; it is loaded when first used.

    Raises:
        WeightsError: MiniLM is not at hand and cannot be fetched.
    """
    from cellwright.weights import WeightStore

    return Reader(WeightStore(settings.weights_dir, offline=settings.offline).path("minilm"))


def packaged_adapter() -> Path | None:
    """Folder of the adapter that ships in the package; None when it was not built in."""
    folder = Path(str(resources.files("cellwright.agent"))) / "weights" / "planner"
    return folder if (folder / "adapter_config.json").is_file() else None


def choose_model(settings: Settings, name: str) -> BaseChatModel:
    """The chat model of a name.

    Args:
        settings: Deployment settings.
        name: ``embedded``, or ``provider:name`` as LangChain's ``init_chat_model`` has it.

    Raises:
        CellwrightError: The name is not of that form, or the provider's package is missing.
    """
    if name == "embedded":
        from cellwright.weights import WeightStore

        store = WeightStore(settings.weights_dir, offline=settings.offline)
        return EmbeddedPlanner(
            base=store.path("smollm2"),
            adapter=packaged_adapter(),
            reader=packaged_reader(settings),
            threads=settings.threads or 1,
        )
    provider, _, rest = name.partition(":")
    if not rest:
        msg = f"'{name}' is not a model: say 'embedded' or 'provider:name', as in 'openai:gpt-5'."
        raise CellwrightError(msg)
    from langchain.chat_models import init_chat_model

    try:
        chosen: BaseChatModel = init_chat_model(name, temperature=0)
    except ImportError as error:
        extra = EXTRAS.get(provider, f"langchain-{provider}")
        msg = f"The model '{name}' needs a package that is not installed: pip install '{extra}'."
        raise CellwrightError(msg) from error
    except ValueError as error:
        msg = f"The model '{name}' cannot be used: {error}"
        raise CellwrightError(msg) from error
    return chosen
