"""Judges answers: the same scorer for every system of a task."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cellwright.evals.metrics import (
    accuracy,
    bootstrap,
    expected_calibration_error,
    macro_f1,
    set_coverage,
    weighted_f1,
    wilson,
)
from cellwright.evals.task import Score

if TYPE_CHECKING:
    from cellwright.agent.plan import PlanDraft


@dataclass(frozen=True, kw_only=True)
class Labelling:
    """A system's labels of test cells.

    Attributes:
        labels: (B,) object.
        confidence: (B,) probability of the label; None where the system gives none.
        sets: Label sets; None where the system gives none.
    """

    labels: np.ndarray
    confidence: np.ndarray | None = None
    sets: Sequence[tuple[str, ...]] | None = None


def score_labels(truth: np.ndarray, answer: Labelling) -> dict[str, Score]:
    """Macro and weighted F1 over the true labels, accuracy, calibration, label sets."""
    guess, n = answer.labels, len(truth)
    labels = sorted(set(truth))

    def on(figure: Any) -> Score:
        return bootstrap(lambda at: figure(truth[at], guess[at], _present(truth[at], labels)), n)

    found = {
        "macro_f1": on(macro_f1),
        "weighted_f1": on(weighted_f1),
        "accuracy": wilson(round(accuracy(list(truth), list(guess)) * n), n),
    }
    if answer.confidence is not None:
        sure, right = np.asarray(answer.confidence), guess == truth
        found["calibration_error"] = bootstrap(
            lambda at: expected_calibration_error(sure[at], right[at]), n
        )
    if answer.sets is not None:
        found["set_coverage"] = wilson(round(set_coverage(list(truth), answer.sets) * n), n)
        sizes = np.array([len(one) for one in answer.sets])
        found["set_size"] = bootstrap(lambda at: float(sizes[at].mean()), n)
        found["sets_empty"] = wilson(int((sizes == 0).sum()), n)
    return found


def _present(truth: np.ndarray, labels: Sequence[str]) -> list[str]:
    """Labels that a resample has: a rare one that was not drawn is not scored as zero."""
    there = set(truth)
    return [label for label in labels if label in there]


def score_plans(
    wanted: Sequence[PlanDraft], answers: Sequence[PlanDraft | None]
) -> dict[str, Score]:
    """Share of requests planned right: tools alone, tools with arguments, and the whole draft.

    Steps may come in any order where the wanted plan's are a set of tool calls: what counts is
    that each is there once, with its arguments, and nothing else is. A system that failed to
    answer is wrong.
    """
    pairs = list(zip(wanted, answers, strict=True))
    n = len(pairs)
    tools = sum(got is not None and _tools(got) == _tools(want) for want, got in pairs)
    calls = sum(got is not None and _calls(got) == _calls(want) for want, got in pairs)
    whole = sum(got is not None and _whole(got) == _whole(want) for want, got in pairs)
    asked = [(want, got) for want, got in pairs if want.refused]
    refused = sum(got is not None and _refused(got) == _refused(want) for want, got in asked)
    found = {
        "tools": wilson(tools, n),
        "tools_and_args": wilson(calls, n),
        "plan": wilson(whole, n),
    }
    if asked:
        found["refusals"] = wilson(refused, len(asked))
    return found


def _tools(plan: PlanDraft) -> Counter[str]:
    return Counter(step.tool for step in plan.steps)


def _calls(plan: PlanDraft) -> Counter[tuple[str, str]]:
    return Counter((step.tool, _canonical(step.args)) for step in plan.steps)


def _refused(plan: PlanDraft) -> frozenset[int]:
    return frozenset(ask for refusal in plan.refused for ask in refusal.asks)


def _whole(plan: PlanDraft) -> tuple[Any, ...]:
    return (_calls(plan), _refused(plan), plan.question is not None)


def _canonical(args: Mapping[str, Any]) -> str:
    """Arguments as text: order of keys, case of words and absent values do not count."""
    kept = {
        key: _fold(value)
        for key, value in args.items()
        if value is not None and value not in ([], ())
    }
    return json.dumps(kept, sort_keys=True)


def _fold(value: Any) -> Any:
    if isinstance(value, str):
        return value.casefold()
    if isinstance(value, (list, tuple)):
        return sorted((_fold(one) for one in value), key=str)
    return value
