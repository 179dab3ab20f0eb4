"""Systems that plan requests, and the workbenches on which their plans are reviewed."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cellwright.agent.asks import split_request
from cellwright.agent.notation import NO_DATA, Request
from cellwright.agent.plan import DraftRefusal, DraftStep, Plan, PlanDraft
from cellwright.agent.planner import Proposal, propose
from cellwright.errors import CellwrightError
from cellwright.evals.task import EvalContext, Unavailable

if TYPE_CHECKING:
    from cellwright.agent.planner import EmbeddedPlanner
    from cellwright.tools.workbench import Workbench

Planner = Callable[[Request, "Workbench"], Proposal]
"""From a request, and the workbench on its data, to a draft with the asks that it numbers."""
SECONDS = 120
"""Longest that a command may take over one request."""


class Benches:
    """Workbenches on the shared files, each opened once.

    Args:
        context: Where the files are.
        folder: Where artifacts go.
    """

    def __init__(self, context: EvalContext, folder: Path) -> None:
        self._context, self._folder = context, folder
        self._open: dict[str, Workbench] = {}

    @cached_property
    def _plain(self) -> Workbench:
        from cellwright.artifacts import DirectoryStore
        from cellwright.tools.workbench import Workbench

        bench = Workbench(DirectoryStore(self._folder), self._context.settings)
        bench.__dict__["knowledge"] = self._context.knowledge
        return bench

    def on(self, data: str) -> Workbench:
        """The workbench on a file; one without data for ``none``."""
        from cellwright.tools.workbench import Workbench

        if data == NO_DATA:
            return self._plain
        if data not in self._open:
            path = self._context.data_dir / f"{data}.h5ad"
            if not path.is_file():
                msg = f"no file {path}"
                raise Unavailable(msg)
            self._context.say(f"opening {path.name}")
            bench = Workbench.open(path, folder=self._folder, settings=self._context.settings)
            bench.__dict__["knowledge"] = self._context.knowledge
            self._open[data] = bench
        return self._open[data]


def reviewed(proposal: Proposal, bench: Workbench) -> Plan:
    """The plan that a run would carry out."""
    from cellwright.agent.review import review

    return review(proposal.draft, proposal.asks, bench)


def _by_rules(draft: PlanDraft, request: Request) -> Proposal:
    """A draft that numbers the asks which rules find in a request."""
    return Proposal(draft=draft, asks=tuple(split_request(request.text)), usage={})


def embedded(context: EvalContext, *, trained: bool = True, reads: bool = True) -> EmbeddedPlanner:
    """The embedded planner, whole, or its language model alone, trained or not.

    Raises:
        Unavailable: Weights or adapter are missing.
    """
    from cellwright.agent.planner import EmbeddedPlanner, packaged_adapter, packaged_reader
    from cellwright.weights import WeightStore

    adapter = packaged_adapter() if trained else None
    if trained and adapter is None:
        msg = "the planner is not trained yet"
        raise Unavailable(msg)
    try:
        store = WeightStore(context.settings.weights_dir, offline=context.settings.offline)
        base = store.path("smollm2")
        reader = packaged_reader(context.settings) if reads else None
    except CellwrightError as error:
        raise Unavailable(str(error)) from error
    return EmbeddedPlanner(
        base=base,
        adapter=adapter,
        reader=reader,
        threads=context.settings.threads or 1,
    )


def by_model(model: EmbeddedPlanner) -> Planner:
    """Plans of an embedded planner; a follow-up knows what was planned before it."""

    def plan(request: Request, bench: Workbench) -> Proposal:
        history = []
        if request.earlier:
            before = propose(model, request.earlier, bench.passport).draft
            steps = [{"tool": one.tool, "args": one.args} for one in before.steps]
            history = [{"request": request.earlier, "steps": steps}]
        return propose(model, request.text, bench.passport, history)

    return plan


def by_keywords(request: Request, bench: Workbench) -> Proposal:
    """Plans of the keyword router."""
    from cellwright.agent.router import route

    return _by_rules(route(split_request(request.text), bench.passport), request)


def by_react(request: Request, _bench: Workbench) -> Proposal:
    """A scripted ReAct agent: look for the tool that the words fit best, call it, look again.

    It stands for an agent without a plan: one tool a turn by the words that request and tool
    description share, arguments as they stand in the request, no question and no refusal.
    """
    from cellwright.tools.registry import ALL_TOOLS

    left = set(re.findall(r"[a-z]{4,}", request.text.lower()))
    genes = re.findall(r"\b[A-Z][A-Z0-9]{2,}\b", request.text)
    steps: list[DraftStep] = []
    for _turn in range(6):
        scored = []
        for spec in ALL_TOOLS:
            words = set(re.findall(r"[a-z]{4,}", f"{spec.name} {spec.description}".lower()))
            hits = {one for one in left if any(one[:5] == word[:5] for word in words)}
            scored.append((len(hits), spec.name, hits))
        count, name, hits = max(scored, key=lambda one: one[0])
        if not count or any(step.tool == name for step in steps):
            break
        left -= hits
        args = {"genes": genes} if genes and name in {"plot_cells", "match_markers"} else {}
        steps.append(DraftStep(tool=name, args=args, asks=(1,)))
    return _by_rules(PlanDraft(steps=tuple(steps)), request)


def by_command(command: Sequence[str]) -> Planner:
    """Plans of any program: it reads a request on stdin and prints a plan as JSON.

    It is given ``{"request", "earlier", "data", "columns", "tools"}`` and prints a ``PlanDraft``:
    ``{"steps": [{"tool", "args", "asks"}], "refused": [{"asks", "reason"}], "question"}``. What it
    prints is data; nothing of it is run.
    """

    def plan(request: Request, bench: Workbench) -> Proposal:
        done = subprocess.run(
            list(command), input=json.dumps(_task(request, bench)), capture_output=True, text=True,
            timeout=SECONDS, check=False,
        )  # fmt: skip
        match = re.search(r"\{.*\}", done.stdout, re.DOTALL)
        if done.returncode or match is None:
            msg = f"{command[0]} gave no plan: {done.stderr.strip()[-200:] or done.stdout[-200:]}"
            raise CellwrightError(msg)
        return _by_rules(PlanDraft.model_validate_json(match.group()), request)

    return plan


def by_calls(agent: Callable[[str, Workbench], Sequence[Mapping[str, object]]]) -> Planner:
    """Plans of an agent that calls tools: what it calls is its plan, and nothing is run.

    Args:
        agent: Given the request and a workbench, it returns the calls that it made, each with
            ``name`` and ``args``; ``agent/recorder.py`` makes one of any LangChain agent.
    """

    def plan(request: Request, bench: Workbench) -> Proposal:
        calls = agent(request.text, bench)
        numbers = tuple(range(1, len(split_request(request.text)) + 1))
        if not calls:
            refusal = DraftRefusal(asks=numbers, reason="unsupported")
            return _by_rules(PlanDraft(refused=(refusal,)), request)
        steps = [
            DraftStep(tool=str(one["name"]), args=dict(one["args"]), asks=numbers)  # type: ignore[call-overload]
            for one in calls
        ]
        return _by_rules(PlanDraft(steps=tuple(steps)), request)

    return plan


def _task(request: Request, bench: Workbench) -> dict[str, object]:
    from cellwright.tools.registry import ALL_TOOLS

    columns = bench.passport.columns if bench.passport else ()
    return {
        "request": request.text,
        "earlier": request.earlier,
        "data": request.data,
        "columns": [one.model_dump(mode="json") for one in columns],
        "tools": {one.name: one.args.model_json_schema() for one in ALL_TOOLS},
    }
