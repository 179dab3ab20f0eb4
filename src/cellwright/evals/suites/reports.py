"""Reports: wrong drafts caught, true ones let pass, and citations that exist."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from cellwright.errors import CellwrightError
from cellwright.evals.drafts import (
    RUNS,
    Mutant,
    left_out,
    mutants,
    phrased,
    report_on,
    true_lines,
)
from cellwright.evals.metrics import wilson
from cellwright.evals.planning import Benches
from cellwright.evals.resume import killed_and_resumed
from cellwright.evals.task import OURS, EvalContext, EvalRow, Score, Unavailable

if TYPE_CHECKING:
    from cellwright.agent.check import Checker
    from cellwright.agent.document import Document

SUITE = "reports"
POOL = "report-wide-check"
"""Numbers, genes and citations looked up anywhere in the report, as text filters do."""
WRITER = "base-model"
MOST = 400
"""Mutants of one report that are tried."""
GENES = ("LYZ", "CD3D", "MS4A1", "INS", "EPCAM", "GFAP", "FOXP3", "PECAM1", "COL1A1", "NKG7")
"""Genes on which the bare language model writes with citations."""
NEW_TOKENS = 110
Caught = Callable[[str], bool]


@dataclass
class _Tally:
    """What each system noticed."""

    caught: dict[tuple[str, str], list[bool]] = field(default_factory=lambda: defaultdict(list))
    passed: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    omitted: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))


def run(context: EvalContext) -> list[EvalRow]:
    """Drafts with one thing made wrong, drafts in other words, citations, and resumed runs."""
    rows: list[EvalRow] = []
    tally = _Tally()
    cited: list[bool] = []
    known = _publications(context)
    rng = np.random.default_rng(0)
    with TemporaryDirectory() as folder:
        benches = Benches(context, Path(folder))
        for data, calls in RUNS:
            context.say(f"{SUITE}: {data}")
            try:
                bench = benches.on(data)
            except Unavailable as error:
                context.say(f"{SUITE}: {data} left out: {error}")
                continue
            document = report_on(calls, bench)
            symbols = frozenset(bench.knowledge.genes.human.by_symbol)
            _judge(document, symbols, rng, tally)
            cited += [pmid in known for one in document.references for pmid in one.pmids]
    for (system, kind), some in sorted(tally.caught.items()):
        rows.append(_share(kind, "mutations_caught", system, some))
    for system in (OURS, POOL):
        every = [one for (name, _), some in tally.caught.items() if name == system for one in some]
        rows.append(_share("all", "mutations_caught", system, every))
    rows += [_share("all", "true_drafts_passed", name, some) for name, some in tally.passed.items()]
    rows += [_share("all", "omissions_caught", name, some) for name, some in tally.omitted.items()]
    rows.append(_count("citations_that_do_not_exist", OURS, cited))
    rows += _bare_model(context)
    return [*rows, *_resumed(context)]


def _judge(
    document: Document,
    symbols: frozenset[str],
    rng: np.random.Generator,
    tally: _Tally,
) -> None:
    from cellwright.agent.check import checker_of, prose

    checker = checker_of(document, symbols)
    checks = {OURS: _line_by_line(checker), POOL: _anywhere(checker, symbols)}
    lines = true_lines(document)
    every = [one for one in mutants(document, symbols, rng) if one.line not in lines]
    for one in _some(every, rng):
        for system, check in checks.items():
            tally.caught[system, one.kind].append(check(one.line))
    for line in phrased(lines, rng):
        for system, check in checks.items():
            tally.passed[system].append(not check(line))
    for sentence in left_out(document):
        gone = prose(sentence)
        draft = "\n".join(line for line in lines if line != gone)
        found = any(one.kind == "left out" for one in checker.check(draft))
        tally.omitted[OURS].append(found)
        tally.omitted[POOL].append(any(checks[POOL](line) for line in draft.splitlines()))


def _line_by_line(checker: Checker) -> Caught:
    return lambda line: any(one.kind == "unbacked" for one in checker.check(line))


def _anywhere(checker: Checker, symbols: frozenset[str]) -> Caught:
    from cellwright.agent.claims import unbacked

    return lambda line: bool(unbacked(line, checker.said, symbols))


def _some(every: Sequence[Mutant], rng: np.random.Generator) -> list[Mutant]:
    if len(every) <= MOST:
        return list(every)
    return [every[at] for at in sorted(rng.choice(len(every), size=MOST, replace=False))]


def _publications(context: EvalContext) -> frozenset[str]:
    """PMIDs of the marker table, read from the file itself."""
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(context.knowledge.folder / "markers.parquet")
    return frozenset(str(one) for row in table.column("pmids").to_pylist() for one in row)


def _bare_model(context: EvalContext) -> list[EvalRow]:
    """What the base model cites when it is asked to write with citations."""
    from cellwright.cellmodel.modeling.language import LanguageModel
    from cellwright.weights import WeightStore

    try:
        store = WeightStore(context.settings.weights_dir, offline=context.settings.offline)
        model = LanguageModel.load(store.path("smollm2"))
    except CellwrightError as error:
        context.say(f"{SUITE}: {WRITER} left out: {error}")
        return []
    context.say(f"{SUITE}: {WRITER}")
    known = _publications(context)
    real: list[bool] = []
    for gene in GENES:
        prompt = [
            {
                "role": "user",
                "content": f"In which cell types is {gene} a marker? Cite three papers, each as "
                "'PMID' and its number.",
            }
        ]
        said = model.generate(prompt, max_new_tokens=NEW_TOKENS).text
        real += [one in known for one in re.findall(r"PMID\W{0,3}(\d+)", said)]
    if not real:
        context.say(f"{SUITE}: {WRITER} gave no PMID")
        return []
    return [_count("citations_that_do_not_exist", WRITER, real)]


def _resumed(context: EvalContext) -> list[EvalRow]:
    """Runs killed with SIGKILL at each node and asked for again."""
    context.say(f"{SUITE}: killed and resumed")
    try:
        ended = killed_and_resumed(context)
    except Unavailable as error:
        context.say(f"{SUITE}: resuming left out: {error}")
        return []
    rows = []
    for system, runs in ended.items():
        same, kept = [one.same for one in runs], [one.kept for one in runs]
        rows.append(_row("each node", "same_after_kill", system, wilson(sum(same), len(same))))
        mean = float(np.mean(kept))
        score = Score(mean=mean, low=min(kept), high=max(kept), n=len(kept))
        rows.append(_row("each node", "steps_kept_after_kill", system, score))
    return rows


def _share(data: str, metric: str, system: str, some: Sequence[bool]) -> EvalRow:
    return _row(data, metric, system, wilson(sum(some), len(some)))


def _count(metric: str, system: str, real: Sequence[bool]) -> EvalRow:
    """How many of the citations do not exist; ``n`` is how many there were."""
    wrong = len(real) - sum(real)
    return _row("all", metric, system, Score(mean=wrong, low=wrong, high=wrong, n=len(real)))


def _row(data: str, metric: str, system: str, score: Score) -> EvalRow:
    return EvalRow(
        suite=SUITE,
        data=data,
        split="made-up errors" if "kill" not in metric else "SIGKILL before and after",
        metric=metric,
        system=system,
        **score.model_dump(),
    )
