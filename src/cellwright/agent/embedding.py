"""Cellwright inside other agents: as a node of their graph, or as one tool of theirs."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import RunnableLambda
from langchain_core.tools import StructuredTool, ToolException
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.config import get_config, get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import get_runtime
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict  # pydantic makes schemas of no other before Python 3.12

from cellwright.agent.context import Context, Event
from cellwright.agent.graph import build_graph
from cellwright.agent.plan import Plan
from cellwright.agent.session import BRANCH, RunResult, ask
from cellwright.agent.shown import findings_of
from cellwright.agent.state import InputState, Outcome, State
from cellwright.artifacts import DirectoryStore
from cellwright.errors import CellwrightError
from cellwright.settings import Settings
from cellwright.tools.workbench import Workbench

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_core.language_models import BaseChatModel
    from langchain_core.runnables import RunnableConfig

ROUNDS = 200
"""Steps of the inner graph at most; it takes one for each step of a plan."""


class Request(TypedDict, total=False):
    """What a run starts from.

    Attributes:
        request: The user's words.
        path: The data file; empty for requests that need no cells.
    """

    request: str
    path: str


class Conversation(Request, total=False):
    """The state of a thread, small whatever the number of cells.

    Attributes:
        answer: What was found, and what was not done and why.
        status: ``done``, ``failed`` or ``refused``.
        ledger: What became of each part of the request.
        steps: The tools that were run, with their arguments and how they ended.
        report: Files of the report.
    """

    answer: str
    status: str
    ledger: list[dict[str, Any]]
    steps: list[dict[str, Any]]
    report: dict[str, str]


@dataclass(kw_only=True)
class Options:
    """What a run may be told beside its request (``context`` of a run).

    Attributes:
        take_defaults: Take the default reading of an unclear request instead of interrupting.
        report: Write a report; its files stand in the state.
        model: Language model that plans, as ``provider:name``; the settings' model when empty.
    """

    take_defaults: bool = False
    report: bool = False
    model: str = ""


def subgraph(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
    *,
    settings: Settings | None = None,
    model: BaseChatModel | None = None,
    allow: Callable[[str], Path] = Path,
) -> CompiledStateGraph[Conversation, Options, Request, Conversation]:
    """The agent as a compiled graph: a node for another graph, or the graph of a server.

    It reads ``request`` and ``path`` of the state it is given and writes ``answer``, ``status``,
    ``ledger``, ``steps`` and ``report``. Under a checkpointer, later requests of the thread build
    on what was made. Progress comes as custom stream events. An unclear request interrupts with
    the question and its choices; resume with the answer. Heavy work runs in threads, so that an
    event loop is never held up.

    Example:
        >>> builder.add_node("cellwright", subgraph())                        # doctest: +SKIP

    Args:
        checkpointer: Keeps threads; None where the parent graph or the server has its own.
        settings: Deployment settings; from the environment when None.
        model: Chat model that plans; None takes the settings' model.
        allow: Turns a path of the request into a file that may be read, or raises.
    """
    inner = build_graph().compile(checkpointer=True)  # its own history in each thread
    base = settings or Settings()
    models = cache(lambda: Workbench(DirectoryStore(base.cache_dir / "artifacts"), base))

    def begin(state: Conversation) -> tuple[InputState, Context, RunnableConfig]:
        config: RunnableConfig = {**get_config(), "recursion_limit": ROUNDS}
        path = str(allow(state["path"])) if state.get("path") else ""
        return (
            InputState(request=state["request"], path=path),
            _context(base, model, models()),
            config,
        )

    def work(state: Conversation) -> Conversation:
        try:
            start, context, config = begin(state)
            return _ended(inner.invoke(start, config, context=context), context)
        except CellwrightError as error:
            return _stopped(error)

    async def work_async(state: Conversation) -> Conversation:
        try:
            start, context, config = await asyncio.to_thread(begin, state)
            final = await inner.ainvoke(start, config, context=context)
            return await asyncio.to_thread(_ended, final, context)
        except CellwrightError as error:
            return _stopped(error)

    builder = StateGraph(
        Conversation, context_schema=Options, input_schema=Request, output_schema=Conversation
    )
    builder.add_node("work", RunnableLambda(work, afunc=work_async))
    builder.add_edge(START, "work")
    builder.add_edge("work", END)
    return builder.compile(checkpointer=checkpointer, name="cellwright")


class AskArgs(BaseModel):
    """What to ask Cellwright."""

    model_config = ConfigDict(extra="forbid")

    request: str = Field(
        min_length=1,
        description="What is wanted of the cells, in plain language; several things at once are "
        "fine.",
    )
    path: str | None = Field(
        default=None, description="The data file; left out where the tool was made for one."
    )
    thread: str | None = Field(
        default=None, description="Thread of an earlier answer, to build on what it made."
    )


def agent_tool(
    data: str | Path | None = None,
    *,
    model: BaseChatModel | str | None = None,
    settings: Settings | None = None,
    out: str | Path | None = None,
) -> StructuredTool:
    """The whole agent as one LangChain tool, for a supervisor that delegates to it.

    The tool answers with findings, what was not done and why, and the thread to follow up on; the
    typed ``RunResult`` is its artifact. It never asks back: an unclear request is answered with the
    question and its choices, and the caller asks again with the choice in the request.

    Args:
        data: The data file, where the tool is for one; else the caller names it.
        model: Chat model that plans; None takes the settings' model.
        settings: Deployment settings; from the environment when None.
        out: Folder under which each answer's report is written; None writes none.
    """

    def run(
        request: str, path: str | None = None, thread: str | None = None
    ) -> tuple[str, RunResult]:
        thread = thread or f"t-{secrets.token_hex(4)}"
        try:
            done = ask(
                path or data,
                request,
                out=Path(out) / thread if out is not None else None,
                model=model,
                thread=thread,
                settings=settings,
                execute_notebook=False,
            )
        except CellwrightError as error:
            raise ToolException(str(error)) from error
        return _told(done, settings or Settings()), done

    return StructuredTool.from_function(
        func=run,
        name="cellwright",
        description=(
            "Answers questions about single-cell RNA-seq data with measured results: cell types, "
            "markers, comparisons, drug response, synthetic cells, figures, gene and drug records. "
            "Every number in its answer comes from an analysis; quote it with its caveats."
        ),
        args_schema=AskArgs,
        response_format="content_and_artifact",
        handle_tool_error=True,
    )


def _stopped(error: CellwrightError) -> Conversation:
    """What is said where nothing could be run: a file that may not be read, or is no data."""
    return Conversation(answer=str(error), status="failed", ledger=[], steps=[], report={})


def _told(run: RunResult, settings: Settings) -> str:
    folder = settings.cache_dir / "threads" / run.thread.split(BRANCH, maxsplit=1)[0]
    lines = [one.brief for one in findings_of(run.plan, run.outcomes, DirectoryStore(folder))]
    if run.status == "needs_clarification" and run.plan.question:
        choices = "; ".join(run.plan.question.choices)
        lines.append(f"A question first: {run.plan.question.text} Choices: {choices}.")
    lines += _not_done([one.model_dump() for one in run.ledger])
    lines += [f"{name}: {path}" for name, path in run.files.items()]
    return "\n".join([*lines, f"(thread {run.thread})"])


def _not_done(ledger: list[dict[str, Any]]) -> list[str]:
    return [
        f"{one['ask']}: {one['status']}. {one['reason']} {one['alternative']}".strip()
        for one in ledger
        if one["status"] != "done"
    ]


def _context(base: Settings, model: BaseChatModel | None, models: Workbench) -> Context:
    """What the inner graph works with, by the options and the thread of the outer run."""
    given = get_runtime().context
    options = given if isinstance(given, Options) else Options()
    thread = str(get_config().get("configurable", {}).get("thread_id") or secrets.token_hex(4))
    folder = base.cache_dir / "threads" / "".join(c if c.isalnum() else "-" for c in thread)[:80]
    settings = base.model_copy(update={"model": options.model}) if options.model else base
    writer = get_stream_writer()

    def watch(event: Event) -> None:
        writer(asdict(event))

    return Context(
        settings=settings,
        folder=folder,
        out=folder / "report" if options.report else None,
        models=models,
        model=None if options.model else model,
        take_defaults=options.take_defaults,
        execute_notebook=False,
        watch=watch,
    )


def _ended(final: Any, context: Context) -> Conversation:
    """The inner graph's last state, as its user sees it."""
    state: State = final
    plan, ledger = Plan.model_validate(state["plan"]), state.get("ledger") or []
    outcomes = [Outcome.model_validate(one) for one in state.get("outcomes") or []]
    found = [one.brief for one in findings_of(plan, outcomes, context.bench(state).store)]
    tools = {step.id: step for step in plan.steps}
    steps = [{**one, "args": tools[one["step"]].args} for one in state.get("outcomes") or []]
    status: str = plan.status if plan.status != "ready" else "done"
    if status == "done" and any(one["status"] == "not done" for one in ledger):
        status = "failed"
    return Conversation(
        answer="\n".join([*found, *_not_done(ledger)]),
        status=status,
        ledger=ledger,
        steps=steps,
        report=state.get("report") or {},
    )
