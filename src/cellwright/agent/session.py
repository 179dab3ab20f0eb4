"""Sessions: run a request on a data set, on a thread that survives a kill and takes follow-ups."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.types import Command, Interrupt

from cellwright.agent.context import Context, Event
from cellwright.agent.graph import make_graph
from cellwright.agent.plan import Plan, Question
from cellwright.agent.state import LedgerEntry, Outcome, State
from cellwright.artifacts import ArtifactRef
from cellwright.errors import InputError
from cellwright.settings import Settings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langgraph.graph.state import CompiledStateGraph

FORMAT = "cellwright-run/1"
"""Version of ``run.json``."""

BRANCH = "__"
"""What parts the name of a branch from its thread's, whose artifacts it shares."""

Answer = Callable[[Question], str]
Watch = Callable[[Event], None]


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """How a run ended.

    Attributes:
        thread: Id of the thread; a later run with it goes on from here.
        status: ``done`` (everything asked for is done or was refused with a reason),
            ``failed`` (something planned could not be done), ``refused`` (nothing was planned) or
            ``needs_clarification``.
        plan: The reviewed plan.
        outcomes: How each step ended.
        ledger: What became of each part of the request.
        files: Name of each deliverable and its path.
        answer: The first finding of each step that was asked for, as the report has it.
    """

    thread: str
    status: Literal["done", "failed", "refused", "needs_clarification"]
    plan: Plan
    outcomes: tuple[Outcome, ...] = ()
    ledger: tuple[LedgerEntry, ...] = ()
    files: dict[str, str]
    answer: tuple[str, ...] = ()


def ask(  # noqa: PLR0913 - each is a choice of its own
    data: str | Path | None,
    request: str,
    *,
    out: str | Path | None = None,
    model: BaseChatModel | str | None = None,
    thread: str | None = None,
    yes: bool = False,
    settings: Settings | None = None,
    answer: Answer | None = None,
    watch: Watch | None = None,
    execute_notebook: bool = True,
    level: Literal["brief", "full"] = "full",
) -> RunResult:
    """Answer a plain-language request about single-cell data.

    A run that was killed goes on where it stopped when it is asked again with its thread; another
    request on the same thread builds on what the thread has made.

    Args:
        data: The data file; None for requests that need no cells.
        request: What is wanted, in words.
        out: Folder of the report; None writes none.
        model: A chat model, or ``provider:name``; None takes the settings' model.
        thread: Thread to start or go on with; a new one when None.
        yes: Take the default reading of an unclear request instead of asking.
        settings: Deployment settings; from the environment when None.
        answer: Called with a clarifying question; None leaves it unanswered.
        watch: Called with every event.
        execute_notebook: Run the report's notebook.
        level: ``brief`` for leading findings, doubts and figures alone.

    Raises:
        InputError: The file cannot be read, or the request is empty.
        ReportError: The report would claim something that no artifact backs.
    """
    thread = thread or f"t-{secrets.token_hex(4)}"
    context = _context(settings, thread, model, watch)
    context.out = Path(out) if out is not None else None
    context.take_defaults = yes
    context.execute_notebook = execute_notebook
    context.level = level
    start = _input(data, request)
    context.settings.cache_dir.mkdir(parents=True, exist_ok=True)
    with SqliteSaver.from_conn_string(str(context.settings.threads_db)) as saver:
        graph = make_graph(saver)
        state = _run(graph, start, thread, context, answer)
        said = short_answer(state, context)
    return dataclasses.replace(result_of(thread, state), answer=said)


def short_answer(state: State, context: Context) -> tuple[str, ...]:
    """What was found, in short."""
    from cellwright.agent.document import compose

    if not state.get("outcomes"):
        return ()
    return tuple(said.text for _, said in compose(state, context.bench(state)).answer)


def branch(thread: str, name: str, *, settings: Settings | None = None) -> str:
    """Start another line of a thread from where it stands; both go on by themselves.

    Args:
        thread: The thread.
        name: A word for the branch.
        settings: Deployment settings; from the environment when None.

    Returns:
        Id of the new thread.

    Raises:
        InputError: There is no such thread, or the branch exists.
    """
    settings = settings or Settings()
    made = f"{thread}{BRANCH}{name}"
    _context(settings, made, None, None)
    with SqliteSaver.from_conn_string(str(settings.threads_db)) as saver:
        graph = make_graph(saver)
        old: Any = {"configurable": {"thread_id": thread}}
        new: Any = {"configurable": {"thread_id": made}}
        values = dict(graph.get_state(old).values)
        if not values:
            msg = f"No thread {thread!r} to branch from."
            raise InputError(msg)
        if graph.get_state(new).values:
            msg = f"There is a branch {made!r} already; choose another name."
            raise InputError(msg)
        graph.update_state(new, values, as_node="report")
    return made


def data_of(thread: str, *, settings: Settings | None = None) -> ArtifactRef | None:
    """The cells that a thread works on now; None where it has none, or was never started."""
    settings = settings or Settings()
    if not settings.threads_db.is_file():
        return None
    with SqliteSaver.from_conn_string(str(settings.threads_db)) as saver:
        config: Any = {"configurable": {"thread_id": thread}}
        found = make_graph(saver).get_state(config).values.get("data")
    return ArtifactRef.model_validate(found) if found else None


def plan(
    data: str | Path | None,
    request: str,
    *,
    model: BaseChatModel | str | None = None,
    settings: Settings | None = None,
    watch: Watch | None = None,
) -> Plan:
    """The reviewed plan for a request; nothing is run.

    Raises:
        InputError: The file cannot be read, or the request is empty.
    """
    thread = f"p-{secrets.token_hex(4)}"
    context = _context(settings, thread, model, watch)
    graph = make_graph(InMemorySaver(), stop_before_act=True)
    state = _run(graph, _input(data, request), thread, context, None)
    return Plan.model_validate(state["plan"])


def _context(
    settings: Settings | None, thread: str, model: BaseChatModel | str | None, watch: Watch | None
) -> Context:
    settings = settings or Settings()
    if isinstance(model, str):
        settings = settings.model_copy(update={"model": model})
        model = None
    if not thread.replace("-", "").replace("_", "").isalnum():
        msg = f"Thread {thread!r}: letters, digits, '-' and '_' only."
        raise InputError(msg)
    folder = settings.cache_dir / "threads" / thread.split(BRANCH, maxsplit=1)[0]
    context = Context(settings=settings, folder=folder, model=model)
    if watch is not None:
        context.watch = watch
    return context


def _input(data: str | Path | None, request: str) -> State:
    if not request.strip():
        msg = "The request is empty. Say what is wanted, such as 'annotate the cells'."
        raise InputError(msg)
    if data is not None and not Path(data).exists():
        msg = f"{data}: no such file."
        raise InputError(msg)
    path = str(Path(data).resolve()) if data is not None else ""
    return State(request=request.strip(), path=path)


def _run(
    graph: CompiledStateGraph[Any, Any, Any, Any],
    start: State,
    thread: str,
    context: Context,
    answer: Answer | None,
) -> State:
    """Run a thread until it ends, pauses, or has a question that nobody answers."""
    config: Any = {"configurable": {"thread_id": thread}, "recursion_limit": 200}
    snapshot = graph.get_state(config)
    killed = bool(snapshot.next) and all(snapshot.values.get(k) == v for k, v in start.items())
    step: Any = None if killed else start
    if killed:
        context.say("resume", f"going on at '{snapshot.next[0]}'")
    while True:
        question = None
        # Each step is checkpointed before the next node starts: a kill loses one step at most.
        for update in graph.stream(
            step, config, context=context, stream_mode="updates", durability="sync"
        ):
            for asked in update.get("__interrupt__") or ():
                if isinstance(asked, Interrupt):
                    question = Question.model_validate(asked.value)
        values = cast("State", graph.get_state(config).values)
        if question is None:
            return values
        if answer is None:
            waiting = {"status": "needs_clarification", "question": question.model_dump()}
            values["plan"] = {**_unclear(values), **waiting}
            return values
        step = Command(resume=answer(question))


def _unclear(values: State) -> dict[str, Any]:
    """The plan of a run that waits for an answer: its parts, and no step decided."""
    return {"asks": values["asks"], "steps": [], "refused": []}


def result_of(thread: str, state: State) -> RunResult:
    """How a run ended, from its state."""
    plan = Plan.model_validate(state["plan"])
    entries = tuple(LedgerEntry.model_validate(entry) for entry in state.get("ledger") or [])
    status: Literal["done", "failed", "refused", "needs_clarification"] = "done"
    if plan.status != "ready":
        status = plan.status
    elif any(entry.status == "not done" for entry in entries):
        status = "failed"
    return RunResult(
        thread=thread,
        status=status,
        plan=plan,
        outcomes=tuple(Outcome.model_validate(one) for one in state.get("outcomes") or []),
        ledger=entries,
        files=state.get("report") or {},
    )
