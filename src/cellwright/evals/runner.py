"""Runs suites and keeps ``benchmarks/``: results for programs, a page for people."""

from __future__ import annotations

import json
import logging
import math
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path

from cellwright.errors import InputError
from cellwright.evals.log import EvalLog, git_commit, machine, now, versions
from cellwright.evals.task import OURS, EvalContext, EvalRow

logger = logging.getLogger(__name__)

SUITES = {
    "annotation": "cellwright.evals.suites.annotation",
    "ablations": "cellwright.evals.suites.ablations",
    "drug-labels": "cellwright.evals.suites.drug_labels",
    "drug-transfer": "cellwright.evals.suites.drug_transfer",
    "generation": "cellwright.evals.suites.generation",
    "instructions": "cellwright.evals.suites.instructions",
    "interpreter": "cellwright.evals.suites.interpreter",
    "knowledge": "cellwright.evals.suites.knowledge",
    "leakage": "cellwright.evals.suites.leakage",
    "reports": "cellwright.evals.suites.reports",
    "robustness": "cellwright.evals.suites.robustness",
    "safety": "cellwright.evals.suites.safety",
    "saliency": "cellwright.evals.suites.saliency",
    "speed": "cellwright.evals.suites.speed",
}
DIGITS = 4
ORDER = (
    *("suite", "data", "split", "metric", "system"),
    *("mean", "low", "high", "n", "seeds", "commit", "machine"),
)


def run_suites(names: Sequence[str], context: EvalContext, out: Path) -> EvalLog:
    """Run suites and merge their rows into ``out``.

    A suite that fails leaves its old rows in place and does not stop the others; each suite's
    rows are written as soon as it ends.

    Raises:
        InputError: There is no suite of this name, or no data folder.
    """
    unknown = [name for name in names if name not in SUITES]
    if unknown:
        msg = f"No suite {', '.join(unknown)}. Suites: {', '.join(SUITES)}."
        raise InputError(msg)
    if not context.data_dir.is_dir():
        msg = f"No folder {context.data_dir}; name the folder of the data files with --data-dir."
        raise InputError(msg)
    logs = out / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    started, commit, where = now(), git_commit(), machine()
    rows: list[EvalRow] = []
    failed: dict[str, str] = {}
    seconds: dict[str, float] = {}

    def log(suites: Sequence[str]) -> EvalLog:
        return EvalLog(
            suites=tuple(suites),
            failed={name: failed[name] for name in suites if name in failed},
            rows=tuple(row for row in rows if row.suite in suites),
            started=started,
            seconds={name: seconds[name] for name in suites if name in seconds},
            commit=commit,
            machine=where,
            versions=versions(),
            seeds=context.seeds,
        )

    for name in names:
        begin = time.perf_counter()
        try:
            found = import_module(SUITES[name]).run(context)
        except Exception as error:
            logger.exception("suite %s failed", name)
            failed[name] = f"{type(error).__name__}: {error}"
        else:
            seconds[name] = round(time.perf_counter() - begin, 1)
            stamped = [row.model_copy(update={"commit": commit, "machine": where}) for row in found]
            rows += stamped
            write_results(out, merge(read_results(out), stamped, suites=(name,)))
        (logs / f"{name}.json").write_text(log([name]).model_dump_json(indent=1), encoding="utf-8")
    return log(names)


def merge(old: Iterable[EvalRow], new: Iterable[EvalRow], suites: Iterable[str]) -> list[EvalRow]:
    """New rows in place of all old rows of the suites that ran; other suites' rows are kept."""
    ran = set(suites)
    kept = [row for row in old if row.suite not in ran]
    return sorted({row.key: row for row in [*kept, *new]}.values(), key=lambda row: row.key)


def read_results(out: Path) -> list[EvalRow]:
    """Rows of ``results.json``; none while there is no file."""
    path = out / "results.json"
    if not path.is_file():
        return []
    return [EvalRow.model_validate(row) for row in json.loads(path.read_text(encoding="utf-8"))]


def write_results(out: Path, rows: Sequence[EvalRow]) -> None:
    """Write ``results.json`` and render ``RESULTS.md`` from it."""
    lines = []
    for row in rows:
        record = row.model_dump()
        lines.append(json.dumps({key: _round(record[key]) for key in ORDER}, ensure_ascii=False))
    text = "[\n" + ",\n".join(lines) + "\n]\n"
    draft = out / "results.json.partial"
    draft.write_text(text, encoding="utf-8")
    draft.replace(out / "results.json")
    figures = sorted(path.stem for path in (out / "figures").glob("*.png"))
    (out / "RESULTS.md").write_text(render(rows, figures), encoding="utf-8")


def render(rows: Sequence[EvalRow], figures: Sequence[str] = ()) -> str:
    """The page for people: per suite, split and metric a table of data sets by systems.

    Args:
        rows: What was measured.
        figures: Names of the figures beside the page, shown with the suite they begin with.
    """
    parts = [
        "# Results",
        "",
        "Made by `cellwright eval`; do not edit. Each cell is the mean with its range over seeds, "
        "or its 95 % interval where there is one seed. The best of a line is bold. "
        "`results.json` holds the same rows for programs.",
    ]
    for suite in sorted({row.suite for row in rows}):
        mine = [row for row in rows if row.suite == suite]
        commits = ", ".join(sorted({row.commit for row in mine if row.commit})) or "unknown"
        machines = "; ".join(sorted({row.machine for row in mine if row.machine})) or "unknown"
        parts += ["", f"## {suite}", "", f"Commit {commits}; {machines}."]
        tables: dict[tuple[str, str], list[EvalRow]] = defaultdict(list)
        for row in mine:
            tables[row.split, row.metric].append(row)
        for (split, metric), group in sorted(tables.items()):
            parts += ["", f"### {metric}, {split}", "", *_table(group, metric)]
        for name in (one for one in figures if one.startswith(suite)):
            title = name.removeprefix(suite).replace("-", " ").strip()
            parts += ["", f"![{suite}: {title}](figures/{name}.png)"]
    return "\n".join(parts) + "\n"


LOWER_IS_BETTER = frozenset(
    {
        *("calibration_error", "absolute_error", "rank", "seconds", "peak_mb", "token_loss", "mmd"),
        *("library_gap", "zero_rate_gap", "two_sample_auc", "no_cell", "delta_sknn", "delta_pknn"),
        *("wrong_gene", "unanswered", "restated", "flipped", "flipped_outside_own_set"),
        *("omitted", "tool_calls_changed", "citations_that_do_not_exist"),
        *("near_duplicates", "near_duplicates_elsewhere", "shared_donors"),
        "trained_for_another_task",
        *(f"{name}_{k}" for name in ("delta_sknn", "delta_pknn", "mmd") for k in (5, 10, 25, 50)),
    }
)
#: Neither higher nor lower is better: what counts is to be near a nominal value.
NO_BEST = frozenset(
    {
        *("set_coverage", "interval_coverage", "set_size", "sets_empty"),
        *("nearest_training_ratio", "library_ratio", "zero_gap", "pknn"),
        *(f"pknn_{k}" for k in (5, 10, 25, 50)),
    }
)


def _table(rows: Sequence[EvalRow], metric: str) -> list[str]:
    systems = sorted({row.system for row in rows}, key=lambda name: (name != OURS, name))
    data = sorted({row.data for row in rows})
    cell = {(row.data, row.system): row for row in rows}
    lines = [
        "| data | n | " + " | ".join(systems) + " |",
        "|---|---:|" + "---:|" * len(systems),
    ]
    for name in data:
        there = [cell[name, system] for system in systems if (name, system) in cell]
        best = _best([row.mean for row in there], metric)
        texts = [
            _cell(cell[name, system], best=best) if (name, system) in cell else "–"
            for system in systems
        ]
        n = max(row.n for row in there)
        lines.append(f"| {name} | {n:,} | " + " | ".join(texts) + " |")
    if len(data) > 1:
        lines.append(_mean_line(cell, data, systems, metric))
    return lines


def _mean_line(
    cell: dict[tuple[str, str], EvalRow], data: Sequence[str], systems: Sequence[str], metric: str
) -> str:
    """Mean over the data sets, for the systems that were measured on all of them."""
    means = {
        system: sum(cell[name, system].mean for name in data) / len(data)
        for system in systems
        if all((name, system) in cell for name in data)
    }
    best = _best(list(means.values()), metric)
    texts = [
        "–" if system not in means else _bold(_number(means[system]), yes=means[system] == best)
        for system in systems
    ]
    return "| *mean* | | " + " | ".join(texts) + " |"


def _best(means: Sequence[float], metric: str) -> float:
    finite = [mean for mean in means if math.isfinite(mean)]
    if len(finite) < 2 or metric in NO_BEST:
        return math.nan
    return min(finite) if metric in LOWER_IS_BETTER else max(finite)


def _cell(row: EvalRow, *, best: float) -> str:
    text = _bold(_number(row.mean), yes=row.mean == best)
    if row.low == row.high:
        return text
    return f"{text} ({_number(row.low)} to {_number(row.high)})"


def _bold(text: str, *, yes: bool) -> str:
    return f"**{text}**" if yes else text


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3f}"


def _round(value: object) -> object:
    return round(value, DIGITS) if isinstance(value, float) else value
