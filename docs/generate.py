"""Pages of the documentation that are made from the code and from what was measured.

Run by mkdocs (plugin gen-files). ``<!-- table: NAME -->`` in a card is replaced by a table.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import mkdocs_gen_files
import typer

DOCS = Path(__file__).parent
PACKAGE = DOCS.parent / "src" / "cellwright"
CARD = json.loads((PACKAGE / "cellmodel" / "checkpoints" / "base" / "card.json").read_text("utf-8"))
RESULTS = json.loads((DOCS.parent / "benchmarks" / "results.json").read_text("utf-8"))


def table(headings: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """A table in Markdown; numbers as they were measured, to three digits."""

    def cell(value: Any) -> str:
        if isinstance(value, float):
            return f"{value:.3f}"
        return str("–" if value is None else value).replace("|", "\\|").replace("\n", " ")

    headings = list(headings)
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(map(cell, line)) + " |" for line in lines)


def commands() -> str:
    """Every command with its arguments and options, as the command itself has them."""
    from cellwright.cli import app

    found = ["# Command line", "", "Made from the commands. Exit codes: 0 done; 1 failed; "
             "2 bad input; 3 a question that nobody answered, or refused.", ""]  # fmt: skip

    def describe(command: Any, name: str) -> None:
        children = getattr(command, "commands", {})
        if name != "cellwright":
            text = re.sub(r"\n(?!\n)\s*", "\n", command.help or "")
            found.extend([f"## `{name}`", "", text, ""])
            rows = [row for one in command.params if (row := option(one))]
            if rows:
                found.extend([table(("argument or option", "default", "what"), rows), ""])
        for child in children:
            describe(children[child], f"{name} {child}")

    def option(one: Any) -> tuple[str, str, str] | None:
        if getattr(one, "hidden", False):
            return None
        argument = one.param_type_name == "argument"
        names = one.name.upper() if argument else ", ".join([*one.opts, *one.secondary_opts])
        default = one.default if not callable(one.default) else None
        if argument or default in (None, False, (), []) or str(default).startswith("Sentinel"):
            default = ""
        return f"`{names}`", f"`{default}`" if default != "" else "", getattr(one, "help", "") or ""

    root = typer.main.get_command(app)
    describe(root, "cellwright")
    return "\n".join(found)


def tools() -> str:
    """Every tool as its specification has it."""
    from cellwright.tools.registry import ALL_TOOLS

    found = ["# Tools", "", "One definition each, used by the agent, the shell, Python, LangChain "
             "and MCP alike. No tool executes generated code.", ""]  # fmt: skip
    for spec in ALL_TOOLS:
        found += [f"## {spec.title}: `{spec.name}`", "", spec.description, ""]
        args, results = spec.args.model_fields.items(), spec.result.model_fields.items()
        if args:
            rows = ((f"`{name}`", kind(one), default(one), one.description) for name, one in args)
            found += [table(("argument", "type", "default", "what"), rows), ""]
        rows = ((f"`{name}`", kind(one), one.description) for name, one in results)
        found += [table(("delivers", "type", "what"), rows), ""]
    return "\n".join(found)


def kind(field: Any) -> str:
    """A type as people write it."""
    said = str(getattr(field.annotation, "__name__", field.annotation))
    if "[" in str(field.annotation) or "|" in str(field.annotation):
        said = str(field.annotation)
    said = re.sub(r"\b(?:typing|cellwright(?:\.\w+)+|collections\.abc)\.", "", said)
    return f"`{said.replace(' | None', ' or None').replace(' | ', ' or ')}`"


def default(field: Any) -> str:
    """A default as it would be typed."""
    return "required" if field.is_required() else f"`{field.get_default()!r}`"


def trained_on() -> str:
    """Files that the model was trained on, and their splits."""
    return table(
        ("data set", "species", "tissue", "protocol", "task", "split", "train", "tune", "test",
         "genes measured"),
        (
            (one["name"], one["species"], one["tissue"], one["protocol"], one["task"], one["split"],
             *(one["cells"][part] for part in ("train", "valid", "test")), one["genes_measured"])
            for one in CARD["datasets"]
        ),
    )  # fmt: skip


def left_out() -> str:
    """Files that are in no training set, and why."""
    from cellwright.cellmodel.data.registry import DATASETS

    rows = ((one.name, one.tissue, one.excluded) for one in DATASETS if one.excluded)
    return table(("data set", "tissue", "why"), rows)


def held_out() -> str:
    """The packaged model on held-out cells, beside a logistic regression on the same split."""
    rows = (
        (one["dataset"], one["split"], one["n_test"], one["classes"], one.get("macro_f1"),
         one.get("logistic_macro_f1"), one.get("accuracy"), one.get("calibration_error"))
        for one in CARD["test"]
        if one["task"] == "cell type"
    )  # fmt: skip
    headings = ("data set", "split", "cells", "types", "macro F1", "logistic regression, macro F1",
                "accuracy", "calibration error")  # fmt: skip
    return table(headings, rows)


def language() -> str:
    """The language path on held-out cells."""
    rows = ((name.replace("_", " "), value) for name, value in CARD["language_test"].items())
    return table(("what", "measured"), rows)


def training() -> str:
    """What training was."""
    steps = ", ".join(f"{name} {count}" for name, count in CARD["steps"].items())
    rows = (("preset", CARD["preset"]), ("seed", CARD["seed"]), ("split", CARD["split"]),
            ("steps of the stages", steps), ("genes of the vocabulary", CARD["genes"]),
            ("labels", CARD["labels"]), ("numbers stored", CARD["numbers_stored"]))  # fmt: skip
    return table(("what", "value"), rows)


def measured(suite: str, *metrics: str, split: str = "", data: str = "") -> str:
    """Rows of ``benchmarks/results.json``: what is measured down, systems across, range behind."""
    rows = [
        row
        for row in RESULTS
        if row["suite"] == suite
        and row["metric"] in metrics
        and split in row["split"]
        and data in row["data"]
    ]
    if not rows:
        return f"*Not measured yet: `cellwright eval {suite}`.*"
    systems = sorted({row["system"] for row in rows}, key=lambda one: (one != "cellwright", one))
    places: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows:
        key = (row["data"], row["split"], row["metric"], str(row["n"]))
        said = f"{row['mean']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
        places.setdefault(key, {})[row["system"]] = said
    lines = ((*key, *(found.get(one) for one in systems)) for key, found in places.items())
    return table(("data", "split", "metric", "n", *systems), lines)


def leakage() -> str:
    """The audit: sums over files, then each count of ours that is not 0."""
    rows = [row for row in RESULTS if row["suite"] == "leakage"]
    if not rows:
        return "*Not measured yet: `cellwright eval leakage`.*"
    sums: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        one = sums.setdefault((row["metric"], row["system"]), [0, 0, 0])
        one[0], one[1], one[2] = one[0] + round(row["mean"]), one[1] + row["n"], one[2] + 1
    over = table(
        ("what", "system", "found", "of", "files"), ((*key, *one) for key, one in sums.items())
    )
    found = [row for row in rows if row["system"] == "cellwright" and row["mean"]]
    if not found:
        return over
    listed = ((row["data"], row["metric"], round(row["mean"]), row["n"]) for row in found)
    return f"{over}\n\nNot 0:\n\n{table(('data set', 'what', 'found', 'of'), listed)}"


TABLES: Mapping[str, Callable[[], str]] = {
    "training": training,
    "trained-on": trained_on,
    "left-out": left_out,
    "held-out": held_out,
    "language": language,
    "studies": lambda: measured("annotation", "macro_f1", split="study"),
    "unknown": lambda: measured("annotation", "auroc", data="unknown cells"),
    "drug-transfer": lambda: measured(
        "drug-transfer", "spearman_over_drugs", "interval_coverage", split="held-out lines"
    ),
    "drug-labels": lambda: measured("drug-labels", "macro_f1"),
    "planner": lambda: measured("instructions", "plan_fit", "plan", "judgement"),
    "leakage": leakage,
}


def filled(text: str) -> str:
    """A card with its tables in it."""
    return re.sub(r"<!-- table: ([\w-]+) -->", lambda found: TABLES[found[1]](), text)


def write(path: str, text: str) -> None:
    """One page of the site."""
    with mkdocs_gen_files.open(path, "w") as page:
        page.write(text)


write("reference/cli.md", commands())
write("reference/tools.md", tools())
for card in ("model-card.md", "data-card.md"):
    write(card, filled((DOCS / card).read_text("utf-8")))
