"""Instructions: plans for held-out requests over the shared data, judged by code alone."""

from __future__ import annotations

import os
import shlex
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from cellwright.agent.notation import Request
from cellwright.errors import CellwrightError
from cellwright.evals.metrics import wilson
from cellwright.evals.planning import (
    Benches,
    Planner,
    by_command,
    by_keywords,
    by_model,
    by_react,
    embedded,
    reviewed,
)
from cellwright.evals.requests import Grade, grade, held_out, resolve
from cellwright.evals.task import OURS, EvalContext, EvalRow, Score, Unavailable

SUITE = "instructions"
SPLIT = "held-out requests"
EVERY = 9
"""A language model alone, slow because it writes every plan, is asked every ninth request."""
COMMAND = "CELLWRIGHT_EVAL_COMMAND"
"""Environment variable with a command to measure beside ours; see ``planning.by_command``."""

Result = tuple[Request, Grade | None, float]


def run(context: EvalContext) -> list[EvalRow]:
    """The embedded planner, its language model alone, keywords, a scripted agent, the base model.

    ``plan_fit`` counts steps with arguments, refusals and questions; ``pass_3`` wants the same of
    three spellings: as written, in lower case without the last stop, and behind a greeting.
    """
    requests = held_out()
    rows: list[EvalRow] = []
    with TemporaryDirectory() as folder:
        benches = Benches(context, Path(folder))
        systems: list[tuple[str, Callable[[], Planner], Sequence[Request]]] = [
            (OURS, lambda: by_model(embedded(context)), requests),
            ("keyword-router", lambda: by_keywords, requests),
            ("react-scripted", lambda: by_react, requests),
            (
                "planner-model-alone",
                lambda: by_model(embedded(context, reads=False)),
                requests[::EVERY],
            ),
            (
                "base-model",
                lambda: by_model(embedded(context, trained=False, reads=False)),
                requests[::EVERY],
            ),
            *_commands(requests),
        ]
        for name, make, some in systems:
            context.say(f"{SUITE}: {name}")
            try:
                planner = make()
            except Unavailable as error:
                context.say(f"{SUITE}: {name} left out: {error}")
                continue
            results = answer(planner, some, benches, context)
            rows += rows_of(name, results)
            if name in {OURS, "keyword-router"}:
                rows.append(_pass_3(name, planner, results, benches, context))
    return rows


def _commands(
    requests: Sequence[Request],
) -> list[tuple[str, Callable[[], Planner], Sequence[Request]]]:
    command = os.environ.get(COMMAND)
    words = shlex.split(command or "")
    return [(words[0], lambda: by_command(words), requests)] if words else []


def answer(
    planner: Planner, requests: Sequence[Request], benches: Benches, context: EvalContext
) -> list[Result]:
    """Grade and seconds of each request; no grade where there was no plan."""
    results: list[Result] = []
    for request in requests:
        bench = benches.on(request.data)
        start = time.perf_counter()
        try:
            plan = reviewed(planner(request, bench), bench)
        except (CellwrightError, ValueError) as error:
            # No plan is a wrong plan; it must not stop the others.
            context.say(f"{SUITE}: no plan for {request.text[:60]!r}: {error}")
            results.append((request, None, time.perf_counter() - start))
            continue
        seconds = time.perf_counter() - start
        results.append((request, grade(resolve(request, bench), plan, bench.passport), seconds))
    return results


def rows_of(system: str, results: Sequence[Result]) -> list[EvalRow]:
    """Figures of one system."""
    groups: dict[str, list[Result]] = defaultdict(list)
    for one in results:
        for group in one[0].groups:
            groups[group].append(one)
    rows = []
    for group, some in groups.items():
        fit = sum(got is not None and got.fit for _, got, _ in some)
        tools = sum(got is not None and got.tools for _, got, _ in some)
        rows += [
            _row(system, group, "plan_fit", wilson(fit, len(some))),
            _row(system, group, "tools_fit", wilson(tools, len(some))),
        ]
    rows += _judgement(system, results)
    long = [one for one in results if len(one[0].parts) >= 3]
    if long:
        omitted = sum(len(one.parts) if got is None else got.omitted for one, got, _ in long)
        score = Score(mean=omitted, low=omitted, high=omitted, n=len(long))
        rows.append(_row(system, "3 to 6 asks", "omitted", score))
    seconds = np.array([spent for *_, spent in results])
    middle, low, high = np.percentile(seconds, [50, 5, 95])
    score = Score(mean=float(middle), low=float(low), high=float(high), n=len(results))
    return [*rows, _row(system, "all", "seconds", score)]


def _judgement(system: str, results: Sequence[Result]) -> list[EvalRow]:
    """Whether questions and refusals come where they are wanted, and nowhere else."""
    counts: dict[str, list[bool]] = defaultdict(list)
    for request, got, _ in results:
        question = [one.unclear for part in request.parts for one in part.fits]
        refusal = [one.refused for part in request.parts for one in part.fits]
        if all(question):
            counts["unclear asked"].append(got is not None and got.asked)
        elif not any(question):
            counts["clear not asked"].append(got is not None and not got.asked)
        if request.kind == "unanswerable" and all(refusal):
            counts["unanswerable refused"].append(got is not None and got.refused)
        elif not any(refusal) and not any(question):
            counts["answerable not refused"].append(got is not None and not got.refused)
    return [
        _row(system, name, "judgement", wilson(sum(some), len(some)))
        for name, some in counts.items()
    ]


def _pass_3(
    system: str,
    planner: Planner,
    results: Sequence[Result],
    benches: Benches,
    context: EvalContext,
) -> EvalRow:
    passed = [request for request, got, _ in results if got is not None and got.fit]
    for spell in (_plainly, _politely):
        spelt = [replace(one, text=spell(one.text)) for one in passed]
        again = answer(planner, spelt, benches, context)
        passed = [
            one
            for one, (_, got, _) in zip(passed, again, strict=True)
            if got is not None and got.fit
        ]
    return _row(system, "all", "pass_3", wilson(len(passed), len(results)))


def _plainly(text: str) -> str:
    """Without capitals at the start and without the last stop; names keep their letters."""
    return (text[0].lower() + text[1:]).rstrip(" .!。")


def _politely(text: str) -> str:
    return f"Hello, {text}"


def _row(system: str, data: str, metric: str, score: Score) -> EvalRow:
    return EvalRow(
        suite=SUITE, data=data, split=SPLIT, metric=metric, system=system, **score.model_dump()
    )
