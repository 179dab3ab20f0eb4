"""Instructions: plans for held-out requests, judged by tools and arguments alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from cellwright.evals.scorers import score_plans
from cellwright.evals.task import OURS, EvalContext, EvalRow, EvalTask, Score, Unavailable

if TYPE_CHECKING:
    from cellwright.agent.examples import Example
    from cellwright.agent.plan import PlanDraft

SUITE = "instructions"
N_EXAMPLES = 60
N_UNTRAINED = 12
"""Requests for the untrained base model, which is slow because it knows no end."""
SEED = 7919
"""Away from the seeds that training uses; held-out phrasings are never trained on anyway."""

Plans = Sequence["PlanDraft | None"]


def run(context: EvalContext) -> list[EvalRow]:
    """Embedded planner, the same without keywords, keywords alone, and the base model."""
    from cellwright.agent.examples import make_examples

    examples = make_examples(N_EXAMPLES, seed=SEED, held_out=True)
    planned: list[Plans] = []

    def ours(data: Sequence[Example]) -> Plans:
        # The second split is a part of the first; planning is slow, so it is done once.
        if not planned:
            planned.append(_embedded(context, data, second_opinion=True))
        return planned[0][: len(data)]

    rows = _task(
        examples,
        "held-out phrasings",
        {
            OURS: ours,
            f"{OURS}-model-alone": lambda data: _embedded(context, data, second_opinion=False),
            "keywords": _keywords,
            "nothing": _nothing,
        },
        context,
    )
    few = examples[:N_UNTRAINED]
    rows += _task(
        few,
        f"first {len(few)} of them",
        {
            OURS: ours,
            "base-model": lambda data: _embedded(
                context, data, second_opinion=False, trained=False
            ),
            "keywords": _keywords,
        },
        context,
    )
    return rows


def _task(
    examples: Sequence[Example],
    split: str,
    solvers: Mapping[str, Callable[[Sequence[Example]], Plans] | None],
    context: EvalContext,
) -> list[EvalRow]:
    task = EvalTask["Sequence[Example]", Plans](
        suite=SUITE,
        data="made requests",
        split=split,
        dataset=examples,
        solvers=solvers,
        scorer=_score,
    )
    return task.run(context.say)


def _score(examples: Sequence[Example], answers: Plans) -> Mapping[str, Score]:
    return score_plans([example.draft for example in examples], answers)


def _embedded(
    context: EvalContext,
    examples: Sequence[Example],
    *,
    second_opinion: bool,
    trained: bool = True,
) -> Plans:
    from cellwright.agent.planner import EmbeddedPlanner, packaged_adapter, propose
    from cellwright.errors import CellwrightError
    from cellwright.weights import WeightStore

    adapter = packaged_adapter()
    if trained and adapter is None:
        msg = "the planner is not trained yet"
        raise Unavailable(msg)
    try:
        settings = context.settings
        base = WeightStore(settings.weights_dir, offline=settings.offline).path("smollm2")
    except CellwrightError as error:
        raise Unavailable(str(error)) from error
    model = EmbeddedPlanner(
        base=base,
        adapter=adapter if trained else None,
        second_opinion=second_opinion,
        threads=context.settings.threads,
    )
    plans: list[PlanDraft | None] = []
    for example in examples:
        try:
            plans.append(
                propose(
                    model, example.request, example.asks, example.passport, example.history
                ).draft
            )
        except (CellwrightError, ValueError) as error:
            # No plan is a wrong plan; it must not stop the others.
            context.say(f"{SUITE}: no plan for {example.request[:60]!r}: {error}")
            plans.append(None)
    return plans


def _keywords(examples: Sequence[Example]) -> Plans:
    from cellwright.agent.router import route

    return [route(list(example.asks), example.passport) for example in examples]


def _nothing(examples: Sequence[Example]) -> Plans:
    from cellwright.agent.plan import PlanDraft

    return [PlanDraft() for _ in examples]
