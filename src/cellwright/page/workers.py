"""Workers: threads that open files and carry out requests, in the order in which they came.

A worker has knowledge and planner of its own, so that no two threads share a model. Nothing but
the records of ``rooms`` is kept: what a killed server had under way, the next one takes up.
"""

from __future__ import annotations

import itertools
import logging
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from queue import PriorityQueue
from typing import TYPE_CHECKING, Any, Literal

from cellwright.errors import CellwrightError, InputError
from cellwright.page.rooms import Figure, Live, Step, Turn, TurnStatus

if TYPE_CHECKING:
    from cellwright.agent.context import Event
    from cellwright.agent.plan import DraftStep, Plan
    from cellwright.agent.state import Outcome
    from cellwright.agent.steering import LedRun, MakeModel, Stand
    from cellwright.knowledge import Knowledge
    from cellwright.settings import Settings

logger = logging.getLogger(__name__)

Work = Literal["open", "propose", "answer", "run", "forget"]
KEPT = 4
"""Talks whose cells and models a worker keeps in memory between requests."""


class Workers:
    """A queue of work and the threads that do it.

    Args:
        settings: Deployment settings.
        count: Threads; each loads models of its own.
        model: Makes the chat model that plans; None makes the one that the settings name.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        count: int = 1,
        model: MakeModel | None = None,
    ) -> None:
        self._settings = settings
        self._model = model
        self._queue: PriorityQueue[tuple[int, Work, Live]] = PriorityQueue()
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._waiting: dict[str, int] = {}
        self._running: dict[str, LedRun] = {}
        self._stopped: set[str] = set()
        self._editing = threading.Lock()
        self._knowledge: Knowledge | None = None
        for at in range(count):
            threading.Thread(target=self._work, name=f"worker-{at}", daemon=True).start()

    def give(self, work: Work, live: Live) -> None:
        """Put work on a talk into the queue."""
        number = next(self._numbers)
        with self._lock:
            self._waiting[live.talk.id] = number
            self._stopped.discard(live.talk.id)
        self._queue.put((number, work, live))

    def take_up(self, live: Live) -> None:
        """Go on with what a killed server had under way."""
        turn = live.talk.turn
        if live.talk.status == "opening":
            self.give("open", live)
        elif turn is not None:
            self.give("run" if turn.status == "running" else "propose", live)

    def ahead(self, live: Live) -> int:
        """How much work stands before a talk's in the queue; 0 once it is being done."""
        with self._lock:
            mine = self._waiting.get(live.talk.id)
            if mine is None:
                return 0
            return len(self._running) + sum(other < mine for other in self._waiting.values())

    def stop(self, live: Live) -> None:
        """End a talk's request; what is done until then is reported."""
        with self._lock:
            self._stopped.add(live.talk.id)
            run = self._running.get(live.talk.id)
        if run is not None:
            run.stop()

    def change(self, live: Live, steps: Sequence[DraftStep]) -> None:
        """Put other steps in the place of those that wait for approval.

        Raises:
            CellwrightError: A step cannot run; the plan stays as it was.
        """
        from cellwright.agent.steering import LedRun

        with self._editing:
            self._knowledge = self._knowledge or _open_knowledge(self._settings)
            run = LedRun(live.talk.thread, self._settings, knowledge=self._knowledge)
            plan = run.change(steps)
        with live.changing():
            turn = _last(live)
            turn.plan, turn.steps = plan, _waiting_steps(plan)

    def drop(self, live: Live) -> None:
        """Leave a plan or a question that waits for the user undone."""
        from cellwright.agent.steering import LedRun

        LedRun(live.talk.thread, self._settings).drop()

    def forget(self, live: Live) -> None:
        """Remove what a talk has made, once the work on it has ended."""
        self.stop(live)
        self.give("forget", live)

    def _work(self) -> None:
        """What one thread does, for ever; nothing that goes wrong on one talk may end it."""
        desk = _Desk(self._settings, self._model)
        while True:
            _, work, live = self._queue.get()
            with live.worked_on:
                try:
                    self._take(desk, work, live)
                except CellwrightError as error:
                    _broke(live, str(error))
                except Exception as error:
                    logger.exception("the page's worker broke down")
                    _broke(live, f"It broke down: {type(error).__name__}: {error}")

    def _take(self, desk: _Desk, work: Work, live: Live) -> None:
        name = live.talk.id
        if live.closed and work != "forget":
            return
        run = desk.run_of(live)
        with self._lock:
            self._waiting.pop(name, None)
            stopped = name in self._stopped
            self._running[name] = run
        try:
            if stopped:
                _broke(live, "It was stopped before it began.")
            else:
                desk.do(work, live, run, stopped=lambda: name in self._stopped)
        finally:
            with self._lock:
                self._running.pop(name, None)
                self._stopped.discard(name)


class _Desk:
    """What one worker has at hand."""

    def __init__(self, settings: Settings, model: MakeModel | None) -> None:
        self._settings = settings
        self._model = cache(model or partial(_choose, settings))
        self._knowledge: Knowledge | None = None
        self._runs: OrderedDict[str, LedRun] = OrderedDict()

    def run_of(self, live: Live) -> LedRun:
        """The led run of a talk."""
        from cellwright.agent.steering import LedRun

        name = live.talk.id
        self._knowledge = self._knowledge or _open_knowledge(self._settings)
        if name not in self._runs:
            self._runs[name] = LedRun(
                live.talk.thread,
                self._settings,
                knowledge=self._knowledge,
                watch=partial(_progress, live),
                ended=partial(_step_ended, live),
            )
        self._runs.move_to_end(name)
        while len(self._runs) > KEPT:
            self._runs.popitem(last=False)
        return self._runs[name]

    def do(self, work: Work, live: Live, run: LedRun, *, stopped: Callable[[], bool]) -> None:
        """Do one piece of work, and write down how it ended."""
        if work == "forget":
            self._runs.pop(live.talk.id, None)
            run.forget()
            shutil.rmtree(live.folder, ignore_errors=True)
        elif work == "open":
            passport = run.open(Path(live.talk.path))
            with live.changing() as talk:
                talk.passport, talk.status = passport, "ready"
        else:
            self._answer(work, live, run, stopped)

    def _answer(self, work: Work, live: Live, run: LedRun, stopped: Callable[[], bool]) -> None:
        stand = self._go_on(work, live, run)
        if stopped() and stand.waits != "nothing":
            run.drop()
            with live.changing():
                _last(live).status = "dropped"
            return
        if stand.waits == "approval" and not _last(live).show_plan:
            _stands(live, stand)
            stand = run.carry_out(live.out(_last(live)))
        _stands(live, stand)

    def _go_on(self, work: Work, live: Live, run: LedRun) -> Stand:
        turn = _last(live)
        out = live.out(turn)
        if work == "run":
            return run.carry_out(out)
        run.plan_with(self._model)
        if work == "answer":
            return run.answer(turn.reply, out)
        data = Path(live.talk.path) if live.talk.path else None
        return run.propose(data, turn.request, out)


def _choose(settings: Settings) -> Any:
    from cellwright.agent.planner import choose_model

    return choose_model(settings, settings.model)


def _open_knowledge(settings: Settings) -> Knowledge:
    from cellwright.knowledge import Knowledge

    return Knowledge.open(settings)


def _waiting_steps(plan: Plan) -> list[Step]:
    return [Step(id=one.id, delivers=one.delivers) for one in plan.steps]


def _last(live: Live) -> Turn:
    turn = live.talk.turn
    if turn is None:
        msg = "Nothing was asked yet."
        raise InputError(msg)
    return turn


def _progress(live: Live, event: Event) -> None:
    with live.changing(keep=False) as talk:
        turn = talk.turn
        if turn is None or not turn.under_way:
            return
        turn.message = event.message
        for step in turn.steps:
            if step.id == event.step and event.stage == "act":
                step.status, step.message, step.share = "running", event.message, event.share


def _step_ended(live: Live, outcome: Outcome) -> None:
    with live.changing() as talk:
        for step in talk.turn.steps if talk.turn else ():
            if step.id == outcome.step:
                step.status, step.seconds = outcome.status, outcome.seconds
                step.message, step.share = outcome.reason or outcome.note, None


def _stands(live: Live, stand: Stand) -> None:
    """Write down where a run stands."""
    out = live.out(_last(live))
    with live.changing():
        turn = _last(live)
        turn.plan, turn.message = stand.plan, ""
        if stand.waits != "nothing":
            # Never for a moment what it is not: whoever follows takes a wait for the end.
            approval: TurnStatus = "approval" if turn.show_plan else "running"
            turn.status = "question" if stand.waits == "answer" else approval
            turn.steps = _waiting_steps(stand.plan)
            return
        result = stand.result
        if result is None:
            return
        turn.status = "failed" if result.status == "failed" else "done"
        turn.status = "refused" if result.status == "refused" else turn.status
        turn.answer, turn.ledger = result.answer, result.ledger
        figures = (
            Figure(step=step, summary=ref.summary, file=f"figures/{step}_{ref.id}.png")
            for step, ref in stand.figures
        )
        turn.figures = tuple(one for one in figures if (out / one.file).is_file())


def _broke(live: Live, why: str) -> None:
    with live.changing() as talk:
        if talk.status == "opening":
            talk.status, talk.error = "broken", why
        elif talk.turn is not None:
            talk.turn.status, talk.turn.error, talk.turn.message = "broken", why, ""
