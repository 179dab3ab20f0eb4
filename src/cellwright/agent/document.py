"""The report as a document: what is said, in order, before it becomes Markdown or HTML."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from cellwright.agent.claims import Grid, Segment, Sentence, bind, bind_table, citations
from cellwright.agent.plan import Plan, PlanStep
from cellwright.agent.state import LedgerEntry, Outcome, State
from cellwright.agent.words import Language, Wording, language_of, wording
from cellwright.artifacts import ArtifactRef
from cellwright.tools.passport import Passport

if TYPE_CHECKING:
    from cellwright.tools.workbench import Workbench

LEADING = 2
"""Findings of a step that the short answer has."""
VERSIONS = (
    "cellwright", "langgraph", "torch", "transformers", "anndata", "scanpy", "chromadb", "xgrammar",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A citation, with the number under which the report lists it.

    Attributes:
        number: From 1.
        text: What the record says.
        cite: Source, release, record and PMIDs, as the knowledge store gives them.
        pmids: PubMed ids.
        artifact: Id of the result that carries the record.
    """

    number: int
    text: str
    cite: str
    pmids: tuple[str, ...]
    artifact: str


@dataclass(frozen=True, kw_only=True)
class Section:
    """What one step found.

    Attributes:
        step: The plan step.
        outcome: How it ended.
        sentences: Findings.
        caveats: Doubts, disagreements and limits.
        grids: Tables.
        figures: Figures.
        references: Numbers of the references it brought in.
    """

    step: PlanStep
    outcome: Outcome
    sentences: tuple[Sentence, ...] = ()
    caveats: tuple[Sentence, ...] = ()
    grids: tuple[Grid, ...] = ()
    figures: tuple[ArtifactRef, ...] = ()
    references: tuple[int, ...] = ()

    @property
    def leading(self) -> tuple[Sentence, ...]:
        """The findings that a short answer has."""
        first = self.sentences[:LEADING]
        return tuple(one for at, one in enumerate(first) if not (at and _next_record(one)))


@dataclass(frozen=True, kw_only=True)
class Document:
    """A whole report.

    Attributes:
        request: The user's words.
        passport: What the data set is; None without data.
        plan: The reviewed plan.
        ledger: What became of each part of the request.
        sections: One for each step, in order.
        references: Every citation.
        reproducibility: Pairs of name and value.
        worded: A summary that a language model has worded, each line with a step it is about.
        worded_by: That model; empty when the summary is the tools' own.
    """

    request: str
    passport: Passport | None
    plan: Plan
    ledger: tuple[LedgerEntry, ...]
    sections: tuple[Section, ...]
    references: tuple[Reference, ...]
    reproducibility: tuple[tuple[str, str], ...]
    worded: tuple[tuple[str, Sentence], ...] = ()
    worded_by: str = ""

    @property
    def answer(self) -> tuple[tuple[str, Sentence], ...]:
        """The short answer, each line with the id of its step."""
        return self.worded or self.leading

    @property
    def leading(self) -> tuple[tuple[str, Sentence], ...]:
        """The leading findings of each step that the user asked for, with the step's id."""
        return tuple(
            (section.step.id, sentence)
            for section in self.sections
            if not section.step.inserted
            for sentence in section.leading
        )

    @property
    def language(self) -> Language:
        """The language of the request."""
        return language_of(self.request)

    @property
    def partly_english(self) -> bool:
        """Some findings have no translation into the language of the request."""
        return any(
            sentence.language != self.language
            for section in self.sections
            for sentence in (*section.sentences, *section.caveats)
        )


def _next_record(sentence: Sentence) -> bool:
    """The sentence is about a second record, such as the next best gene that a search found."""
    pointers = [segment.pointer for segment in sentence.segments if segment.artifact]
    return bool(pointers) and re.match(r"\w+\.[1-9]\d*\.", pointers[0]) is not None


def compose(state: State, bench: Workbench) -> Document:
    """Compose the report from stored results, checking every claim on the way.

    Raises:
        ReportError: A claim that no artifact backs.
    """
    plan = Plan.model_validate(state["plan"])
    ended = {one["step"]: Outcome.model_validate(one) for one in state.get("outcomes") or []}
    symbols = _symbols(bench)
    references: list[Reference] = []
    words = wording(language_of(state["request"]))
    worded = state.get("summary") or {}
    sections = [
        _section(step, ended[step.id], bench, symbols, references, words=words)
        for step in plan.steps
        if step.id in ended
    ]
    return Document(
        request=state["request"],
        passport=bench.passport,
        plan=plan,
        ledger=tuple(LedgerEntry.model_validate(entry) for entry in state.get("ledger") or []),
        sections=tuple(sections),
        references=tuple(references),
        reproducibility=_reproducibility(state, bench),
        worded=tuple((one["step"], _sentence(one)) for one in worded.get("lines", ())),
        worded_by=worded.get("by", ""),
    )


def _sentence(line: Mapping[str, Any]) -> Sentence:
    """A line of a worded summary, as the state keeps it."""
    return Sentence(segments=tuple(Segment(**one) for one in line["segments"]))


def _section(
    step: PlanStep,
    outcome: Outcome,
    bench: Workbench,
    symbols: frozenset[str],
    references: list[Reference],
    *,
    words: Wording | None,
) -> Section:
    if outcome.status != "done":
        return Section(step=step, outcome=outcome)
    stored = bench.store.get_json(outcome.result)
    result = bench.spec(step.tool).result.model_validate(stored)
    bound = [bind(claim, outcome.result, stored, symbols, words) for claim in result.claims()]
    grids = [bind_table(table, outcome.result, stored, words) for table in result.report_tables()]
    figures = result.figures
    if words:
        figures = tuple(
            one.model_copy(update={"summary": words.value("summary", one.summary)})
            for one in figures
        )
    return Section(
        step=step,
        outcome=outcome,
        sentences=tuple(one for one in bound if one.kind == "finding"),
        caveats=tuple(one for one in bound if one.kind == "caveat"),
        grids=tuple(grid for grid in grids if grid.rows),
        figures=tuple(figures),
        references=_refer(stored, outcome.result, references),
    )


def _refer(
    stored: Mapping[str, Any], artifact: str, references: list[Reference]
) -> tuple[int, ...]:
    """Number the citations of a result, sharing those already listed."""
    from cellwright.knowledge import Evidence

    known = {reference.cite: reference.number for reference in references}
    numbers = []
    for record in citations(dict(stored)):
        fields = {name: record[name] for name in Evidence.model_fields if name in record}
        evidence = Evidence.model_validate(fields)
        cite = evidence.cite()
        if cite not in known:
            known[cite] = len(references) + 1
            references.append(
                Reference(
                    number=known[cite],
                    text=evidence.text,
                    cite=cite,
                    pmids=tuple(evidence.pmids),
                    artifact=artifact,
                )
            )
        numbers.append(known[cite])
    return tuple(dict.fromkeys(numbers))


def _symbols(bench: Workbench) -> frozenset[str]:
    """Gene symbols that must not stand in a claim's own words."""
    return frozenset(bench.knowledge.genes.human.by_symbol)


def _reproducibility(state: State, bench: Workbench) -> tuple[tuple[str, str], ...]:
    rows = [
        ("Planned by", _planner(state.get("usage") or [])),
        ("Seed", str(bench.settings.seed)),
        ("Python", platform.python_version()),
    ]
    if bench.passport:
        rows.append((f"SHA-256 of {bench.passport.file}", bench.passport.sha256))
    return (*rows, *installed_versions().items())


def _planner(usage: Sequence[Mapping[str, Any]]) -> str:
    planned = [one for one in usage if one.get("purpose") != "summary"]
    if not planned:
        return "no language model"
    last = planned[-1]
    return f"{last.get('model', 'unknown model')} in {last['seconds']:.1f} s"


def installed_versions() -> dict[str, str]:
    """Versions of the packages that decide a result."""
    found = {}
    for name in VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def facts(document: Document) -> list[Segment]:
    """Every quoted fact of a document."""
    sentences = [
        sentence
        for section in document.sections
        for sentence in (*section.sentences, *section.caveats)
    ]
    rows = [row for section in document.sections for grid in section.grids for row in grid.rows]
    segments = [one for sentence in sentences for one in sentence.segments]
    segments += [one for row in rows for one in row]
    return [segment for segment in segments if segment.artifact]
