"""A toy registry: tools that take no time, for tests of the agent around them."""

from pathlib import Path

import pytest
from pydantic import Field

from cellwright.artifacts import DirectoryStore
from cellwright.errors import RefusedError, ToolError
from cellwright.settings import Settings
from cellwright.tools.spec import Claim, Needs, Table, ToolArgs, ToolResult, ToolSpec, Verdict
from cellwright.tools.workbench import Workbench

NOTHING_NEEDED = Needs(data=False)


class CountArgs(ToolArgs):
    word: str = Field(default="cell", description="Word whose letters are counted.")


class CountResult(ToolResult):
    letters: int = Field(description="Number of letters.")
    rows: list[dict[str, int]] = Field(default=[], description="Made-up rows.")

    def claims(self) -> list[Claim]:
        return [
            Claim(template="The word has {letters} letters."),
            Claim(template="Only {letters} were looked at.", kind="caveat"),
        ]

    def report_tables(self) -> list[Table]:
        return [Table(title="Rows", rows="rows", columns=(("n", "number"),))]


def count(args: CountArgs, bench: Workbench) -> CountResult:
    bench.progress("counting", 0.5)
    return CountResult(letters=len(args.word), rows=[{"n": 1}])


def broken(args: CountArgs, bench: Workbench) -> CountResult:
    msg = "out of ink"
    raise OSError(msg)


def unable(args: CountArgs, bench: Workbench) -> CountResult:
    msg = "no such word"
    raise ToolError(msg)


def refusing(args: CountArgs, bench: Workbench) -> CountResult:
    raise RefusedError("It is closed.", "Come tomorrow.")


class LyingResult(CountResult):
    def claims(self) -> list[Claim]:
        return [Claim(template="The word has 99 letters.")]


def lie(args: CountArgs, bench: Workbench) -> LyingResult:
    return LyingResult(letters=1)


def tool(name, run, result=CountResult, **fields):
    return ToolSpec(
        name=name,
        title=name.replace("_", " ").capitalize(),
        description=name,
        args=CountArgs,
        result=result,
        run=run,
        **{"needs": NOTHING_NEEDED, **fields},
    )


MADE: set[str] = set()
"""What the toy preparation has made in this test."""


def prepare(args: CountArgs, bench: Workbench) -> CountResult:
    MADE.add("umap")
    return count(args, bench)


def still_needed(_args, _passport, needs):
    return needs.prepared - MADE


def closed(_args, _passport, _bench):
    return Verdict(outcome="refuse", reason="It is closed.", alternative="Come tomorrow.")


def warned(_args, _passport, _bench):
    return Verdict(outcome="warn", reason="Far from what it knows.")


TOYS = (
    tool("count_letters", count),
    tool("preprocess_dataset", prepare),
    tool(
        "draw_letters",
        count,
        needs=Needs(data=False, prepared=frozenset({"umap"})),
        preparation=still_needed,
    ),
    tool("break_down", broken),
    tool("give_up", unable),
    tool("refuse_late", refusing),
    tool("subset_cells", count),
    tool("closed_gate", count, gate=closed),
    tool("warned_gate", count, gate=warned),
    tool("tell_lies", lie, result=LyingResult),
)


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy registry in place of the real one."""
    MADE.clear()
    monkeypatch.setattr("cellwright.tools.registry.ALL_TOOLS", TOYS)


@pytest.fixture
def bench(tmp_path: Path, toys: None) -> Workbench:
    """A workbench with the toy registry, and no data."""
    return Workbench(DirectoryStore(tmp_path / "artifacts"), Settings(cache_dir=tmp_path))
