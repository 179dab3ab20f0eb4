"""Drafts of reports with one thing made wrong, and reports to make them of."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cellwright.agent.check import prose, row_line

if TYPE_CHECKING:
    from cellwright.agent.claims import Segment, Sentence
    from cellwright.agent.document import Document
    from cellwright.tools.workbench import Workbench

Call = tuple[str, Mapping[str, Any]]
Write = Callable[[Sequence[str]], str]
RUNS: tuple[tuple[str, tuple[Call, ...]], ...] = (
    (
        "pbmc68k_reduced_700",
        (
            ("describe_dataset", {}),
            ("annotate_cells", {"level": "cell"}),
            ("plot_cells", {"kind": "composition"}),
            ("plot_cells", {"kind": "dotplot", "genes": ["LYZ", "CD3D", "MS4A1"]}),
        ),
    ),
    (
        "none",
        (
            ("search_knowledge", {"query": "LYZ", "kind": "gene"}),
            ("search_knowledge", {"query": "erlotinib", "kind": "drug"}),
            ("match_markers", {"genes": ["CD3D", "CD8A"]}),
        ),
    ),
    (
        "mixology_celseq2_5cl_p1",
        (
            ("predict_drug_response", {"drugs": ["erlotinib", "trametinib"]}),
            ("plot_cells", {"kind": "violin", "genes": ["EGFR", "KRT8"]}),
        ),
    ),
    ("ngp_nutlin_83", (("describe_dataset", {}), ("find_markers", {"group_by": "treatment"}))),
    ("xin2016_islet_674", (("find_markers", {}), ("plot_cells", {"kind": "composition"}))),
)
"""Data and the calls whose report is drafted."""
LEADS = ("", "Overall, ", "In these data: ", "We find that ", "As computed here, ")
"""Openings in which drafts differ from the report's own sentences."""
FOREIGN_GENES = ("KRT14", "SOX10", "CFTR", "PAX8", "MYOD1")
FOREIGN_LABELS = ("mast cell", "hepatocyte", "Schwann cell", "podocyte")


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A line of a draft with one thing made wrong.

    Attributes:
        kind: What was changed.
        line: The line.
        true: The line before.
    """

    kind: str
    line: str
    true: str


def report_on(calls: Sequence[Call], bench: Workbench) -> Document:
    """Run calls and compose their report, with no language model."""
    from cellwright.agent.document import compose
    from cellwright.agent.plan import Plan, PlanStep
    from cellwright.agent.review import delivery
    from cellwright.agent.state import Outcome, State
    from cellwright.agent.verify import ledger
    from cellwright.errors import CellwrightError

    steps: list[PlanStep] = []
    outcomes: list[Outcome] = []
    for at, (tool, args) in enumerate(calls, start=1):
        name, given = f"s{at}", bench.validate(tool, dict(args))
        title = delivery(bench.spec(tool), given)
        steps.append(PlanStep(id=name, tool=tool, args=dict(args), delivers=title, asked_by=title))
        try:
            result = bench.run(tool, **args)
        except CellwrightError as error:
            outcomes.append(Outcome(step=name, tool=tool, status="failed", reason=str(error)))
            continue
        ref = bench.store.put_json(result.model_dump(mode="json"), title, tool=tool)
        outcomes.append(Outcome(step=name, tool=tool, status="done", result=ref.id))
    plan = Plan(status="ready", asks=tuple(one.delivers for one in steps), steps=tuple(steps))
    entries = ledger(plan, outcomes, bench.store)
    state = State(
        request="; ".join(plan.asks),
        plan=plan.model_dump(mode="json"),
        outcomes=[one.model_dump(mode="json") for one in outcomes],
        ledger=[one.model_dump(mode="json") for one in entries],
    )
    return compose(state, bench)


def true_lines(document: Document) -> list[str]:
    """What a truthful draft says, a line for each claim, row, figure and reference."""
    from cellwright.agent.check import checker_of

    return list(checker_of(document, frozenset()).said)


def phrased(lines: Sequence[str], rng: np.random.Generator) -> list[str]:
    """Lines as somebody else might open them, some joined in pairs."""
    said = [f"{LEADS[int(rng.integers(len(LEADS)))]}{line}" for line in lines]
    paired: list[str] = []
    while said:
        prose_follows = not any("|" in line for line in said[:2])
        take = 2 if len(said) > 1 and prose_follows and rng.random() < 0.25 else 1
        paired.append(" ".join(said[:take]))
        said = said[take:]
    return paired


def mutants(
    document: Document, symbols: frozenset[str], rng: np.random.Generator
) -> Iterator[Mutant]:
    """Every fact of every claim and table row made wrong, one at a time."""
    claims = [
        sentence.segments
        for section in document.sections
        for sentence in (*section.sentences, *section.caveats)
    ]
    rows = [row for section in document.sections for grid in section.grids for row in grid.rows]
    pools = _pools([*claims, *rows], symbols)
    for segments, write in [
        *((one, "".join) for one in claims),
        *((one, row_line) for one in rows),
    ]:
        texts = [one.text for one in segments]
        true = " ".join(write(texts).split())
        for at, one in enumerate(segments):
            if not one.artifact or not re.search(r"\w", one.text):
                continue
            for kind, wrong in _wrong(one.text, pools, symbols, rng):
                line = " ".join(write([*texts[:at], wrong, *texts[at + 1 :]]).split())
                yield Mutant(kind=kind, line=line, true=true)
        yield from _of_sentence(true, segments, write, rng)
    yield from _of_references(document, rng)


class _Pools(NamedTuple):
    """Facts of a report by kind."""

    numbers: list[str]
    genes: list[str]
    labels: list[str]


def _pools(lines: Sequence[Sequence[Segment]], symbols: frozenset[str]) -> _Pools:
    """Numbers, genes and labels that the report holds, for swaps that a pool would not notice."""
    found = [one.text for line in lines for one in line if one.artifact]
    numbers = [text for text in found if re.fullmatch(r"[-+]?\d[\d,.]*%?", text)]
    genes = [text for text in found if text in symbols]
    labels = [
        text for text in found
        if re.search("[A-Za-z]{2}", text) and text not in symbols and len(text) < 40
        and "," not in text
    ]  # fmt: skip
    return _Pools(*(list(dict.fromkeys(one)) for one in (numbers, genes, labels)))


def _wrong(
    text: str, pools: _Pools, symbols: frozenset[str], rng: np.random.Generator
) -> Iterator[tuple[str, str]]:
    """Wrong values for a fact: made up, and taken from elsewhere in the same report."""
    if re.fullmatch(r"[-+]?\d[\d,.]*%?", text):
        yield "number", _other_digit(text, rng)
        yield from _another("number from elsewhere", text, pools.numbers, rng)
    elif text in symbols:
        yield "gene", str(rng.choice([one for one in FOREIGN_GENES if one != text]))
        yield from _another("gene from elsewhere", text, pools.genes, rng)
    elif text in pools.labels:
        yield "label", str(rng.choice(FOREIGN_LABELS))
        yield from _another("label from elsewhere", text, pools.labels, rng)
    elif re.search(r"\d", text):
        yield "number", _other_digit(text, rng)


def _another(
    kind: str, text: str, pool: Sequence[str], rng: np.random.Generator
) -> Iterator[tuple[str, str]]:
    others = [one for one in pool if one != text]
    if others:
        yield kind, str(rng.choice(others))


def _other_digit(text: str, rng: np.random.Generator) -> str:
    at = [match.start() for match in re.finditer(r"\d", text)]
    place = int(rng.choice(at))
    return f"{text[:place]}{(int(text[place]) + 1 + int(rng.integers(8))) % 10}{text[place + 1 :]}"


def _of_sentence(
    true: str, segments: Sequence[Segment], write: Write, rng: np.random.Generator
) -> Iterator[Mutant]:
    """Facts swapped, a statement turned round, a fact or a citation added."""
    texts = [one.text for one in segments]
    facts = [at for at, one in enumerate(segments) if one.artifact and re.search(r"\w", one.text)]
    if len(facts) > 1:
        first, second = sorted(rng.choice(facts, size=2, replace=False))
        if texts[first] != texts[second]:
            swapped = list(texts)
            swapped[first], swapped[second] = texts[second], texts[first]
            line = " ".join(write(swapped).split())
            yield Mutant(kind="two facts swapped", line=line, true=true)
    if write is row_line:
        return
    if re.search(r"\b(?:is|are|was|were)\b", true):
        turned = re.sub(r"\b(is|are|was|were)\b", r"\1 not", true, count=1)
        yield Mutant(kind="turned round", line=turned, true=true)
    yield Mutant(kind="number added", line=f"{true} (p = 0.00{rng.integers(1, 9)})", true=true)
    yield Mutant(kind="gene added", line=f"{true} So does {rng.choice(FOREIGN_GENES)}.", true=true)
    cited = f"{true} [PMID {rng.integers(10_000_000, 39_999_999)}]"
    yield Mutant(kind="citation added", line=cited, true=true)


def _of_references(document: Document, rng: np.random.Generator) -> Iterator[Mutant]:
    for one in document.references:
        true = f"{one.number}. {one.cite}: {one.text}"
        if re.search(r"\d", one.cite):
            wrong = f"{one.number}. {_other_digit(one.cite, rng)}: {one.text}"
            yield Mutant(kind="citation", line=wrong, true=true)
    figures = [
        (figure.summary, f"figures/{section.step.id}_{figure.id}.png")
        for section in document.sections
        for figure in section.figures
    ]
    for at, (summary, name) in enumerate(figures):
        other = figures[(at + 1) % len(figures)][1]
        if other != name:
            line = f"![{summary}]({other})"
            yield Mutant(kind="figure", line=line, true=f"![{summary}]({name})")


def left_out(document: Document) -> list[Sentence]:
    """Claims that a draft might leave out: those that hold a fact."""
    return [
        sentence
        for section in document.sections
        for sentence in (*section.sentences, *section.caveats)
        if any(one.artifact for one in sentence.segments) and prose(sentence)
    ]
