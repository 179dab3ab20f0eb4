"""The graph: intake, plan, review, act (once for each step), verify, report."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from typing import Any, Literal

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import interrupt

from cellwright.agent.context import Context
from cellwright.agent.plan import Plan, PlanDraft, PlanStep
from cellwright.agent.repair import repaired
from cellwright.agent.review import review, settle
from cellwright.agent.state import InputState, Outcome, State
from cellwright.agent.verify import ledger
from cellwright.errors import CellwrightError, RefusedError, ReportError, ToolError

logger = logging.getLogger(__name__)

MAX_TRIES = 2
"""A step that breaks down, or whose reason says how to call it, is run once more; a refusal not."""
STOPPED = "It was stopped by the user."


def open_data(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Intake: open the file and make its passport, unless this thread holds it already."""
    from pathlib import Path

    from cellwright.artifacts import sha256_file
    from cellwright.tools.intake import intake

    context = runtime.context
    fresh: dict[str, Any] = {
        "outcomes": None,
        "clarified": "",
        "usage": [],
        "report": {},
        "summary": None,
    }
    path = state.get("path") or ""
    if not path:
        return {**fresh, "passport": None, "data": None}
    known = state.get("passport")
    if known and Path(path).is_file() and known["sha256"] == sha256_file(Path(path)):
        context.say("intake", f"{known['file']} is open already")
        return fresh
    context.say("intake", f"opening {Path(path).name}")
    passport, data = intake(Path(path), context.bench(state))
    return {
        **fresh,
        "passport": passport.model_dump(mode="json"),
        "data": data.model_dump(mode="json"),
    }


def draft_plan(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Plan: the language model writes a draft from request, passport and history."""
    from cellwright.agent.planner import propose

    context = runtime.context
    request = _request(state)
    context.say("plan", "planning")
    started = time.monotonic()
    proposal = propose(
        context.planner(),
        request,
        context.bench(state).passport,
        state.get("history") or [],
        reader=context.reader(),
        strict=context.settings.privacy == "strict",
    )
    usage = {"seconds": round(time.monotonic() - started, 3), **proposal.usage}
    usage |= {"cost": _cost(usage, context), "sent": context.sent}
    return {
        "draft": proposal.draft.model_dump(mode="json"),
        "asks": list(proposal.asks),
        "usage": [*(state.get("usage") or []), usage],
    }


def review_plan(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Review: code checks the draft; the user is asked where readings differ in result."""
    context = runtime.context
    context.say("review", "checking the plan against the data")
    draft, bench = PlanDraft.model_validate(state["draft"]), context.bench(state)
    asks = state["asks"]
    clarified = state.get("clarified") or ""
    plan = review(draft, asks, bench, take_defaults=context.take_defaults, clarified=clarified)
    if plan.status == "needs_clarification" and plan.question:
        answer = str(interrupt(plan.question.model_dump(mode="json")))
        settled = settle(draft, asks, bench, answer)
        if settled is None:
            return {"plan": plan.model_dump(mode="json"), "clarified": answer}
        chosen = f"{plan.question.text} You chose: {answer}."
        plan = review(settled, asks, bench, take_defaults=True)
        plan = plan.model_copy(update={"assumptions": (*plan.assumptions, chosen)})
    context.say("review", f"{len(plan.steps)} steps, {len(plan.refused)} refused")
    return {"plan": plan.model_dump(mode="json")}


def act(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Act: run the next step of the plan, and record how it ended."""
    context = runtime.context
    step = _pending(state)[0]
    ended = {outcome["step"]: outcome["status"] for outcome in state.get("outcomes") or []}
    if context.cancelled:
        stopped = Outcome(step=step.id, tool=step.tool, status="skipped", reason=STOPPED, tries=0)
        return {"outcomes": [stopped.model_dump(mode="json")]}
    blocked = [need for need in step.needs if ended.get(need) != "done"]
    if blocked:
        reason = f"It needs {', '.join(blocked)}, which did not succeed."
        skipped = Outcome(step=step.id, tool=step.tool, status="skipped", reason=reason, tries=0)
        return {"outcomes": [skipped.model_dump(mode="json")]}
    context.say("act", step.delivers, step.id)
    return _run_step(step, state, context)


def check_done(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Verify: what became of every part of the request."""
    context = runtime.context
    context.say("verify", "comparing what was asked with what was made")
    outcomes = [Outcome.model_validate(one) for one in state.get("outcomes") or []]
    plan = Plan.model_validate(state["plan"])
    entries = ledger(plan, outcomes, context.bench(state).store)
    done = {outcome.step for outcome in outcomes if outcome.status == "done"}
    steps = [{"tool": step.tool, "args": step.args} for step in plan.steps if step.id in done]
    turn = {"request": _request(state), "steps": steps}
    return {"ledger": [entry.model_dump(mode="json") for entry in entries], "history": [turn]}


def write_report(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Report: compose, check and render, where the run has an output folder."""
    context = runtime.context
    if context.out is None:
        return {"report": {}}
    from cellwright.agent.report import write
    from cellwright.agent.summary import summarise

    context.say("report", "writing the report")
    worded, usage = summarise(state, context)
    said: State = {"summary": worded}
    if usage:
        usage["cost"] = _cost(usage, context)
        said["usage"] = [*(state.get("usage") or []), usage]
    try:
        files = write({**state, **said}, context)
    except ReportError:
        if worded is None:
            raise
        logger.exception("The worded summary did not pass; the report is written without it")
        said["summary"] = None
        files = write({**state, **said}, context)
    return {**said, "report": files}


def _cost(usage: dict[str, Any], context: Context) -> float | None:
    """What a call cost; None where nobody has said what tokens cost."""
    if usage.get("model") == "embedded":
        return 0.0
    if context.settings.price is None:
        return None
    price_in, price_out = context.settings.price
    tokens_in, tokens_out = usage.get("input_tokens", 0), usage.get("output_tokens", 0)
    return round((price_in * tokens_in + price_out * tokens_out) / 1_000_000, 6)


def _request(state: State) -> str:
    """The request, with the answer to a clarifying question behind it."""
    clarified = state.get("clarified")
    return f"{state['request']} ({clarified})" if clarified else state["request"]


def _pending(state: State) -> list[PlanStep]:
    ended = {outcome["step"] for outcome in state.get("outcomes") or []}
    return [step for step in Plan.model_validate(state["plan"]).steps if step.id not in ended]


def _run_step(step: PlanStep, state: State, context: Context) -> dict[str, Any]:
    bench = context.bench(state)
    key = _key(step, state)
    known = (state.get("made") or {}).get(key)
    if known is not None:
        context.say("act", "an earlier result is taken", step.id)
        taken = Outcome(
            step=step.id, tool=step.tool, status="done", result=known["result"], tries=0,
            note="Taken from an earlier turn of this thread: the same call on the same cells.",
        )  # fmt: skip
        after = {"data": known["data"], "passport": known["passport"]}
        return {"outcomes": [taken.model_dump(mode="json")], **after}
    started = time.monotonic()
    status: Literal["failed", "refused", "skipped"] = "failed"
    reason, note, tries, args = "", "", 0, dict(step.args)
    while tries < MAX_TRIES:
        tries += 1
        try:
            result = bench.run(step.tool, **args)
        except RefusedError as error:
            status, reason = "refused", str(error)
            break
        except CellwrightError as error:
            reason = str(error)
            strict = context.settings.privacy == "strict"
            model = None if strict else context.model
            better = repaired(step, reason, model) if tries < MAX_TRIES else None
            if better is None:
                break
            args, note = better, f"Tried again with {better}: {reason}"
            continue
        except KeyboardInterrupt:
            context.cancelled = True
            status, reason = "skipped", STOPPED
            break
        except Exception as error:
            logger.exception("%s broke down, try %d", step.tool, tries)
            reason = f"{step.tool} broke down: {type(error).__name__}: {error}"
            continue
        parents = (bench.data.id,) if bench.data else ()
        ref = bench.store.put_json(
            result.model_dump(mode="json"), step.delivers, tool=step.tool, parents=parents
        )
        done = Outcome(
            step=step.id,
            tool=step.tool,
            status="done",
            result=ref.id,
            seconds=round(time.monotonic() - started, 2),
            tries=tries,
            note=note,
        )
        data = bench.data.model_dump(mode="json") if bench.data else None
        passport = bench.passport.model_dump(mode="json") if bench.passport else None
        after = {"data": data, "passport": passport}
        made = {key: {"result": ref.id, **after}}
        if args != step.args:
            after["plan"] = _as_run(state["plan"], step.id, args)
        return {"outcomes": [done.model_dump(mode="json")], "made": made, **after}
    seconds = round(time.monotonic() - started, 2)
    context.say("act", f"not done: {reason}", step.id)
    ended = Outcome(
        step=step.id, tool=step.tool, status=status, reason=reason, seconds=seconds, tries=tries
    )
    return {"outcomes": [ended.model_dump(mode="json")]}


def _as_run(plan: dict[str, Any], step_id: str, args: dict[str, Any]) -> dict[str, Any]:
    """The plan with the arguments that a step was run with, which replay and follow-ups repeat."""
    steps = [{**one, "args": args} if one["id"] == step_id else one for one in plan["steps"]]
    return {**plan, "steps": steps}


def _key(step: PlanStep, state: State) -> str:
    """A call and the cells that it works on, in one word."""
    data = state.get("data")
    said = json.dumps([step.tool, step.args, data["id"] if data else ""], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def _after_review(state: State) -> Literal["plan", "act", "verify"]:
    plan = Plan.model_validate(state["plan"])
    if plan.status == "needs_clarification":
        return "plan"
    return "act" if _pending(state) else "verify"


def _after_act(state: State) -> Literal["act", "verify"]:
    return "act" if _pending(state) else "verify"


def build_graph() -> StateGraph[State, Context, InputState, State]:
    """The graph, not yet compiled."""
    builder = StateGraph(State, context_schema=Context, input_schema=InputState)
    builder.add_node("intake", open_data)
    builder.add_node("plan", draft_plan)
    builder.add_node("review", review_plan)
    builder.add_node("act", act)
    builder.add_node("verify", check_done)
    builder.add_node("report", write_report)
    builder.add_edge(START, "intake")
    builder.add_edge("intake", "plan")
    builder.add_edge("plan", "review")
    builder.add_conditional_edges("review", _after_review)
    builder.add_conditional_edges("act", _after_act)
    builder.add_edge("verify", "report")
    builder.add_edge("report", END)
    return builder


def make_graph(
    checkpointer: BaseCheckpointSaver[Any] | None = None, *, stop_before_act: bool = False
) -> CompiledStateGraph[State, Context, InputState, State]:
    """Compile the graph.

    Args:
        checkpointer: Keeps threads across processes; None for one run in memory.
        stop_before_act: Pause when the plan is reviewed, before anything is run.
    """
    pauses = ["act"] if stop_before_act else None
    return build_graph().compile(checkpointer=checkpointer, interrupt_before=pauses)


__all__ = ["ToolError", "build_graph", "make_graph"]
