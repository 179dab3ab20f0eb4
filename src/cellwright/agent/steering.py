"""A run that is led by hand: its plan is shown, answered, changed and approved before it runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.types import Command, Interrupt, StateSnapshot

from cellwright.agent.context import Context, Event
from cellwright.agent.graph import make_graph
from cellwright.agent.plan import DraftStep, Plan, PlanDraft, Question, Refusal
from cellwright.agent.review import review
from cellwright.agent.session import RunResult, result_of, short_answer
from cellwright.agent.state import Outcome, State
from cellwright.artifacts import ArtifactRef
from cellwright.errors import InputError, RefusedError, ToolError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from cellwright.knowledge import Knowledge
    from cellwright.settings import Settings
    from cellwright.tools.passport import Passport

MakeModel = Callable[[], "BaseChatModel"]
"""Makes the chat model that plans, when it is first needed."""

TAKEN_OUT = "You took its step out of the plan."


@dataclass(frozen=True, kw_only=True)
class Stand:
    """Where a led run stands.

    Attributes:
        waits: For an answer to ``plan.question``, for the ``plan`` to be approved, or for nothing:
            the run has ended.
        plan: The reviewed plan so far.
        result: How the run ended; None while it waits.
        figures: Step and figure, in the order of the report; empty while it waits.
    """

    waits: Literal["answer", "approval", "nothing"]
    plan: Plan
    result: RunResult | None = None
    figures: tuple[tuple[str, ArtifactRef], ...] = ()


class LedRun:
    """One thread, led from outside; every pause is in the thread's checkpoint and survives a kill.

    Args:
        thread: The thread; it is begun where there is none.
        settings: Deployment settings.
        knowledge: The knowledge, where it is open already.
        watch: Called with every event.
        ended: Called with the outcome of each step.
    """

    def __init__(
        self,
        thread: str,
        settings: Settings,
        *,
        knowledge: Knowledge | None = None,
        watch: Callable[[Event], None] | None = None,
        ended: Callable[[Outcome], None] | None = None,
    ) -> None:
        self.thread = thread
        self._settings = settings
        self._watch, self._ended = watch, ended
        folder = settings.cache_dir / "threads" / thread
        self._context = Context(
            settings=settings, folder=folder, watch=self._say, execute_notebook=False
        )
        if knowledge is not None:
            self._context.bench(State()).knowledge = knowledge
        self._config: Any = {"configurable": {"thread_id": thread}, "recursion_limit": 200}

    def plan_with(self, make: MakeModel) -> None:
        """Plan with this chat model instead of the one that the settings name."""
        self._context.model = make()

    def open(self, data: Path) -> Passport:
        """Open a data file on the thread, before anything is asked of it.

        Raises:
            InputError: The file cannot be read.
        """
        from cellwright.tools.intake import intake

        bench = self._context.bench(State())
        self._context.say("intake", f"opening {data.name}")
        passport, ref = intake(data, bench)
        values = {
            "path": str(data),
            "passport": passport.model_dump(mode="json"),
            "data": ref.model_dump(mode="json"),
        }
        with self._saver() as saver:
            make_graph(saver).update_state(self._config, values, as_node="report")
        return passport

    def propose(self, data: Path | None, request: str, out: Path) -> Stand:
        """Plan a request and wait; what cannot be done at all is reported at once.

        Args:
            data: The data file; None for requests that need no cells.
            request: What is wanted, in words.
            out: Folder of the report.

        Raises:
            InputError: The request is empty, or the file cannot be read.
        """
        if not request.strip():
            msg = "The request is empty. Say what is wanted, such as 'annotate the cells'."
            raise InputError(msg)
        path = str(data) if data is not None else ""
        return self._drive(State(request=request.strip(), path=path), out, wait=True)

    def answer(self, said: str, out: Path) -> Stand:
        """Answer the question that the run waits with."""
        return self._drive(Command(resume=said), out, wait=True)

    def carry_out(self, out: Path) -> Stand:
        """Run the plan that waits for approval, or go on where a killed run stopped."""
        return self._drive(None, out, wait=False)

    def change(self, steps: Sequence[DraftStep]) -> Plan:
        """Put other steps in the place of those that wait for approval.

        Args:
            steps: In order; ``asks`` numbers the parts of the request that each serves, and none
                makes it one more part. Preparation that they need is put in as for any plan.

        Raises:
            InputError: No plan waits, or no step is left.
            ToolError: A step cannot run; the plan stays as it was.
        """
        with self._saver() as saver:
            graph = make_graph(saver)
            snapshot = graph.get_state(self._config)
            if snapshot.next != ("act",):
                msg = "No plan waits for approval here; ask something first."
                raise InputError(msg)
            state = cast("State", snapshot.values)
            old = Plan.model_validate(state["plan"])
            made = self._reviewed(steps, old, state)
            values = {"plan": made.model_dump(mode="json")}
            graph.update_state(self._config, values, as_node="review")
        return made

    def drop(self) -> None:
        """End the run that waits, undone; the thread keeps what earlier runs have made."""
        with self._saver() as saver:
            make_graph(saver).update_state(self._config, {"report": {}}, as_node="report")

    def forget(self) -> None:
        """Remove the thread and everything it has made from this machine."""
        import shutil

        with self._saver() as saver:
            saver.delete_thread(self.thread)
        shutil.rmtree(self._settings.cache_dir / "threads" / self.thread, ignore_errors=True)

    def stop(self) -> None:
        """Run no further step; the report says what was done until then.

        Any thread may call it, also shortly before the run begins.
        """
        self._context.cancelled = True

    def _say(self, event: Event) -> None:
        if self._watch is not None:
            self._watch(event)
        at_work = event.stage == "act" and event.share is not None
        if self._context.cancelled and at_work:
            # Within a tool: the node that runs it makes this a skipped step.
            raise KeyboardInterrupt

    def _saver(self) -> Any:
        self._settings.cache_dir.mkdir(parents=True, exist_ok=True)
        return SqliteSaver.from_conn_string(str(self._settings.threads_db))

    def _drive(self, start: Any, out: Path, *, wait: bool) -> Stand:
        """Run until the thread ends or waits."""
        context = self._context
        context.out = out
        try:
            question, snapshot = self._streamed(start, wait=wait)
        finally:
            context.cancelled = False
        state = cast("State", snapshot.values)
        if question is not None:
            plan = Plan(status="needs_clarification", asks=(), question=question)
            return Stand(waits="answer", plan=plan)
        plan = Plan.model_validate(state["plan"])
        if snapshot.next:
            return Stand(waits="approval", plan=plan)
        result = dataclasses.replace(
            result_of(self.thread, state), answer=short_answer(state, context)
        )
        return Stand(waits="nothing", plan=plan, result=result, figures=self._figures(state))

    def _streamed(self, start: Any, *, wait: bool) -> tuple[Question | None, StateSnapshot]:
        """The question that a pass through the graph ended with, if any, and the state then."""
        question = None
        with self._saver() as saver:
            graph = make_graph(saver, stop_before_act=wait)
            for update in graph.stream(
                start, self._config, context=self._context, stream_mode="updates", durability="sync"
            ):
                for asked in update.get("__interrupt__") or ():
                    if isinstance(asked, Interrupt):
                        question = Question.model_validate(asked.value)
                self._tell_outcomes(update)
            return question, graph.get_state(self._config)

    def _tell_outcomes(self, update: dict[str, Any]) -> None:
        made = update.get("act") or {}
        for one in made.get("outcomes") or []:
            if self._ended is not None:
                self._ended(Outcome.model_validate(one))

    def _figures(self, state: State) -> tuple[tuple[str, ArtifactRef], ...]:
        store = self._context.bench(state).store
        return tuple(
            (one["step"], ArtifactRef.model_validate(figure))
            for one in state.get("outcomes") or []
            if one["status"] == "done"
            for figure in store.get_json(one["result"])["figures"]
        )

    def _reviewed(self, steps: Sequence[DraftStep], old: Plan, state: State) -> Plan:
        """A plan of these steps, checked like any other."""
        from cellwright.tools.gates import check

        bench = self._context.bench(state)
        asks, drafted = list(old.asks), []
        for step in steps:
            spec = bench.spec(step.tool)
            verdict = check(spec, bench.validate(step.tool, step.args), bench.passport, bench)
            if verdict.outcome == "refuse":
                msg = f"{spec.title}: {verdict.reason}"
                raise RefusedError(msg, verdict.alternative)
            if not step.asks:
                asks.append(f"{spec.title}, put in by hand")
            drafted.append(step if step.asks else step.model_copy(update={"asks": (len(asks),)}))
        if not drafted:
            msg = "No step is left in the plan. Keep one, or drop the plan."
            raise InputError(msg)
        made = review(PlanDraft(steps=tuple(drafted)), asks, bench, take_defaults=True)
        if made.status != "ready":
            raise ToolError(" ".join(one.reason for one in made.refused))
        served = {number for step in drafted for number in step.asks}
        unserved = [ask for number, ask in enumerate(asks, start=1) if number not in served]
        taken_out = (
            Refusal(ask=ask, reason=TAKEN_OUT)
            for ask in unserved
            if not any(ask in one.ask for one in old.refused)
        )
        refused = (*old.refused, *taken_out)
        kept = {"assumptions": old.assumptions, "unplanned": old.unplanned}
        return made.model_copy(update={"refused": refused, **kept})
