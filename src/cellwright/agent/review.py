"""Review: from what a language model drafted to a plan that can be run, by code alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cellwright.agent.mentions import NEW_CLUSTERS, NEW_LABELS
from cellwright.agent.plan import (
    DraftStep,
    DraftUnclear,
    Plan,
    PlanDraft,
    PlanStep,
    Question,
    Refusal,
)
from cellwright.agent.questions import Reading, question_text, readings
from cellwright.agent.unplanned import unplanned
from cellwright.errors import ToolError

if TYPE_CHECKING:
    from cellwright.tools.spec import ToolArgs, ToolSpec
    from cellwright.tools.workbench import Workbench

PREPARATION = "preprocess_dataset"
ANNOTATION = "annotate_cells"
SUBSET = "subset_cells"

MAKERS: Mapping[str, str] = {NEW_CLUSTERS: PREPARATION, NEW_LABELS: ANNOTATION}
"""Columns that a plan may name before they exist, and the tool that makes each."""

REASONS: Mapping[str, tuple[str, str]] = {
    "irrelevant": (
        "This is not a question about these cells, their genes, cell types or drugs.",
        "Ask what the cells are, what marks them, how groups differ or how they respond to a drug.",
    ),
    "unsupported": (
        "No tool of Cellwright does this: it reads gene expression of single cells, and has none "
        "for RNA velocity, trajectories, chromatin, spatial positions, sequence or survival.",
        "Marker genes, group comparisons, cell types, drug response, generated cells and gene "
        "knowledge are within reach.",
    ),
    "unsafe": (
        "Cellwright runs its own typed tools only: it executes no code, and neither the request "
        "nor text found in the data can change files or instructions.",
        "Say which analysis of the cells is wanted.",
    ),
}


def review(
    draft: PlanDraft,
    asks: Sequence[str],
    bench: Workbench,
    *,
    take_defaults: bool = False,
    clarified: str = "",
) -> Plan:
    """Check a drafted plan against schemas, passport and applicability gates.

    Steps that cannot run become refusals with an alternative, missing preparation is inserted,
    equal steps are merged, and parts of the request that nothing serves are named.

    Args:
        draft: The language model's draft.
        asks: The request, split into its parts.
        bench: The workbench, for schemas, passport and gates. Nothing is run on it.
        take_defaults: State the default reading of an unclear request instead of asking.
        clarified: The user's answer to an earlier question; no second question is asked.
    """
    desk = _Desk(asks, bench, draft.background)
    for step in _in_working_order(draft.steps):
        desk.take(step)
    for refusal in draft.refused:
        reason, alternative = REASONS[refusal.reason]
        desk.refuse(refusal.asks, reason, alternative)
    open_questions = desk.possible(draft.unclear)
    if draft.question is not None and not draft.unclear and not clarified:
        return desk.question(draft.question, take_defaults=take_defaults)
    if open_questions and not clarified and not take_defaults:
        unclear, choices = open_questions[0]
        return desk.ask(question_text(unclear, asks), choices)
    for unclear, choices in open_questions:
        desk.assume(unclear, choices, clarified)
    desk.name_unserved()
    return desk.plan()


def settle(
    draft: PlanDraft, asks: Sequence[str], bench: Workbench, answer: str
) -> PlanDraft | None:
    """The draft with the reading that an answer names; None when the answer names none.

    Args:
        draft: A draft of which review asked.
        asks: The parts of the request.
        bench: The workbench on which the question was made.
        answer: What the user said; a choice, or its number from 1.
    """
    for unclear, choices in _Desk(asks, bench).possible(draft.unclear):
        said = [one.text.casefold() for one in choices]
        wanted = answer.strip().casefold()
        if wanted.isdigit() and 0 < int(wanted) <= len(said):
            wanted = said[int(wanted) - 1]
        if wanted in said:
            left = tuple(one for one in draft.unclear if one != unclear)
            steps = (*draft.steps, *choices[said.index(wanted)].steps)
            return draft.model_copy(update={"steps": steps, "unclear": left, "question": None})
        break
    return None


def _in_working_order(steps: Sequence[DraftStep]) -> list[DraftStep]:
    """Preparation, then annotation, then the rest as the request has it.

    A subset stays where the request has it: what comes before is done on all cells.
    """
    rank = {PREPARATION: 0, ANNOTATION: 1}
    stage, order = 0, []
    for step in steps:
        stage += step.tool == SUBSET
        order.append((stage, -1 if step.tool == SUBSET else rank.get(step.tool, 2)))
    return [steps[at] for at in sorted(range(len(steps)), key=lambda at: order[at])]


class _Desk:
    """Collects the steps and refusals of one review."""

    def __init__(
        self, asks: Sequence[str], bench: Workbench, background: Sequence[str] = ()
    ) -> None:
        self._asks = tuple(asks)
        self._background = tuple(background)
        self._bench = bench
        self._steps: list[PlanStep] = []
        self._seen: dict[str, int] = {}
        self._refused: list[Refusal] = []
        self._served: set[int] = set()
        self._assumptions: list[str] = []

    def take(self, step: DraftStep) -> None:
        """Accept a step, or refuse it with its reason."""
        from cellwright.tools.gates import check, missing_preparation

        try:
            spec = self._bench.spec(step.tool)
            args = self._bench.validate(step.tool, step.args)
        except ToolError as error:
            self.refuse(step.asks, str(error), "Name what the data set has, or leave it out.")
            return
        verdict = check(spec, args, self._bench.passport, self._bench)
        if verdict.outcome == "refuse":
            self._drop_subset_for(step)
            self.refuse(step.asks, verdict.reason, verdict.alternative)
            return
        key = json.dumps([step.tool, args.model_dump(mode="json")], sort_keys=True)
        if key in self._seen:
            self._merge(self._seen[key], step)
            return
        makers = [PREPARATION] if missing_preparation(spec, args, self._bench.passport) else []
        needs = self._prepare(spec, [*makers, *self._makers_of_columns(args)])
        subsets = [one.id for one in self._steps if one.tool == SUBSET]
        needs = tuple(dict.fromkeys([*needs, *subsets[-1:]]))
        if spec.name == SUBSET:
            self._seen.clear()
        self._seen[key] = len(self._steps)
        self._add(spec, args, step, needs=needs, warning=verdict.reason)

    def _drop_subset_for(self, step: DraftStep) -> None:
        """Take back a subset that was made for nothing but a step that is refused."""
        last = self._steps[-1] if self._steps else None
        if last and last.tool == SUBSET and last.asked_by == self._words(step.asks):
            self._seen = {key: at for key, at in self._seen.items() if at < len(self._steps) - 1}
            self._steps.pop()

    def possible(self, unclear: Sequence[DraftUnclear]) -> list[tuple[DraftUnclear, list[Reading]]]:
        """What can still be asked: an unclear part of which no reading can run is refused."""
        from cellwright.tools.gates import check

        found = []
        for one in unclear:
            if not one.asks or not 0 < one.asks[0] <= len(self._asks):
                continue
            open_readings, verdict = [], None
            for reading in readings(one, self._asks, self._bench.passport):
                verdicts = []
                for step in reading.steps:
                    spec = self._bench.spec(step.tool)
                    args = self._bench.validate(step.tool, step.args)
                    verdicts.append(check(spec, args, self._bench.passport, self._bench))
                verdict = next((v for v in verdicts if v.outcome == "refuse"), None) or verdict
                if all(v.outcome != "refuse" for v in verdicts):
                    open_readings.append(reading)
            if open_readings:
                found.append((one, open_readings))
            elif verdict is not None:
                self.refuse(one.asks, verdict.reason, verdict.alternative)
        return found

    def ask(self, text: str, choices: Sequence[Reading]) -> Plan:
        """A plan that waits for an answer."""
        said = tuple(one.text for one in choices)
        question = Question(text=text, choices=said, default=said[0])
        return self.plan().model_copy(
            update={"status": "needs_clarification", "question": question}
        )

    def assume(self, unclear: DraftUnclear, choices: Sequence[Reading], clarified: str) -> None:
        """Take the default reading of an unclear part, and say so."""
        for step in choices[0].steps:
            self.take(step)
        what = question_text(unclear, self._asks)
        how = f"The answer '{clarified}' did not settle it" if clarified else "Nobody was asked"
        self._assumptions.append(f"{what} {how}; taken as: {choices[0].text}.")

    def refuse(self, asks: Sequence[int], reason: str, alternative: str) -> None:
        """Record that some parts of the request will not be done."""
        self._served.update(asks)
        self._refused.append(Refusal(ask=self._words(asks), reason=reason, alternative=alternative))

    def name_unserved(self) -> None:
        """Refuse every part of the request that neither a step nor a refusal took up."""
        for number in range(1, len(self._asks) + 1):
            if number not in self._served:
                self.refuse(
                    (number,),
                    "This part of the request was not understood, so nothing was planned for it.",
                    "Say it in other words, or name the tool; 'cellwright plan' shows the reading.",
                )

    def plan(self) -> Plan:
        """The plan so far."""
        told = [*(one.ask for one in self._refused), *self._background]
        left = unplanned(self._asks, self._steps, told)
        return Plan(
            status="ready" if self._steps else "refused",
            asks=self._asks,
            steps=tuple(self._steps),
            refused=tuple(self._refused),
            assumptions=tuple(self._assumptions),
            unplanned=(*self._background, *left) if self._steps else (),
        )

    def question(self, text: str, *, take_defaults: bool) -> Plan:
        """The same for a question in a language model's own words."""
        default = "; ".join(step.delivers for step in self._steps if not step.inserted)
        if take_defaults:
            if default:
                self._assumptions.append(f"{text} Nobody was asked; taken as: {default}.")
            self.name_unserved()
            return self.plan()
        asked = Question(text=text, choices=(), default=default)
        return self.plan().model_copy(update={"status": "needs_clarification", "question": asked})

    def _makers_of_columns(self, args: ToolArgs) -> list[str]:
        """Tools that make the columns which the arguments name and the data does not have yet."""
        from cellwright.tools.subset_cells import SubsetArgs

        passport = self._bench.passport
        there = {column.name for column in passport.columns} if passport else set()
        named = [value for value in args.model_dump().values() if isinstance(value, str)]
        if passport and isinstance(args, SubsetArgs) and args.groups and not args.column:
            values = {value for column in passport.columns for value in column.values}
            named += [] if set(args.groups) <= values or passport.column("label") else [NEW_LABELS]
        return [MAKERS[name] for name in named if name in MAKERS and name not in there]

    def _prepare(self, spec: ToolSpec, makers: Sequence[str]) -> tuple[str, ...]:
        """Insert the steps that a tool builds on, unless planned already; return their ids."""
        ids = []
        for maker in dict.fromkeys(makers):
            planned = [step.id for step in self._steps if step.tool == maker]
            if not planned:
                made_by = self._bench.spec(maker)
                args = self._bench.validate(maker, {})
                self._add(made_by, args, DraftStep(tool=maker), inserted_for=spec.title)
                planned = [self._steps[-1].id]
            ids += planned
        return tuple(ids)

    def _add(
        self,
        spec: ToolSpec,
        args: ToolArgs,
        step: DraftStep,
        *,
        needs: tuple[str, ...] = (),
        warning: str = "",
        inserted_for: str = "",
    ) -> None:
        self._served.update(step.asks)
        asked_by = f"needed by: {inserted_for}" if inserted_for else self._words(step.asks)
        self._steps.append(
            PlanStep(
                id=f"s{len(self._steps) + 1}",
                tool=spec.name,
                args=args.model_dump(mode="json"),
                delivers=delivery(spec, args),
                asked_by=asked_by,
                inserted=bool(inserted_for),
                needs=needs,
                warning=warning,
            )
        )

    def _merge(self, index: int, step: DraftStep) -> None:
        kept = self._steps[index]
        self._served.update(step.asks)
        words = self._words(step.asks)
        if words not in kept.asked_by:
            asked_by = f"{kept.asked_by}; {words}"
            self._steps[index] = kept.model_copy(update={"asked_by": asked_by})

    def _words(self, asks: Sequence[int]) -> str:
        words = [self._asks[number - 1] for number in asks if 0 < number <= len(self._asks)]
        return "; ".join(words) or "the whole request"


def delivery(spec: ToolSpec, args: ToolArgs) -> str:
    """What a step will deliver, in words: the tool's title and the arguments that were chosen."""
    chosen = args.model_dump(mode="json", exclude_defaults=True)
    words = ", ".join(f"{name.replace('_', ' ')} {_word(value)}" for name, value in chosen.items())
    return f"{spec.title} ({words})" if words else spec.title


def _word(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return " + ".join(map(str, value))
    return str(value)
