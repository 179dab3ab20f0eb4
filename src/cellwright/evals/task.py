"""What is measured: a data set, systems that answer on it, and a scorer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from cellwright.settings import Settings

if TYPE_CHECKING:
    from cellwright.cellmodel.inference import CellModel
    from cellwright.knowledge import Knowledge

D = TypeVar("D")
P = TypeVar("P")
OURS = "cellwright"


class Score(BaseModel):
    """A figure with what it rests on.

    Attributes:
        mean: The figure.
        low: Lower end of its range over seeds, or of its 95 % interval with one seed.
        high: Upper end.
        n: Number of test items behind it.
        seeds: Number of seeds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: float
    low: float
    high: float
    n: int
    seeds: int = 1


class EvalRow(Score):
    """One line of ``benchmarks/results.json``.

    Attributes:
        suite: Name of the suite.
        data: Data set, or what stands for one.
        split: How test items were set apart.
        metric: What is measured.
        system: ``cellwright`` or the name of a baseline.
        commit: Commit of the code; with ``+`` when files had changed.
        machine: Where it ran.
    """

    suite: str
    data: str
    split: str
    metric: str
    system: str
    commit: str = ""
    machine: str = ""

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """What makes two rows the same measurement."""
        return (self.suite, self.data, self.split, self.metric, self.system)


@dataclass(frozen=True, kw_only=True)
class EvalTask(Generic[D, P]):
    """A measurement: each solver answers on the data set, the scorer judges the answers.

    Attributes:
        suite: Name of the suite.
        data: Name of the data set.
        split: How test items were set apart.
        dataset: What solvers are given; each uses its training part as it likes.
        solvers: Systems by name. One that is None, or raises ``Unavailable``, is left out.
        scorer: Figures by metric, from the data set and a solver's answer.
    """

    suite: str
    data: str
    split: str
    dataset: D
    solvers: Mapping[str, Callable[[D], P] | None]
    scorer: Callable[[D, P], Mapping[str, Score]]

    def run(self, say: Callable[[str], None] = lambda _text: None) -> list[EvalRow]:
        """Let every solver answer, and judge."""
        rows = []
        for system, solve in self.solvers.items():
            if solve is None:
                continue
            say(f"{self.suite}: {self.data}, {system}")
            try:
                answer = solve(self.dataset)
            except Unavailable as error:
                say(f"{self.suite}: {system} left out: {error}")
                continue
            rows += [
                EvalRow(
                    suite=self.suite,
                    data=self.data,
                    split=self.split,
                    metric=metric,
                    system=system,
                    **score.model_dump(),
                )
                for metric, score in self.scorer(self.dataset, answer).items()
            ]
        return rows


def merge_seeds(runs: Sequence[Sequence[EvalRow]]) -> list[EvalRow]:
    """Rows of the same measurement under several seeds made one: mean and range."""
    found: dict[tuple[str, str, str, str, str], list[EvalRow]] = {}
    for rows in runs:
        for row in rows:
            found.setdefault(row.key, []).append(row)
    merged = []
    for rows in found.values():
        if len(rows) == 1:
            merged.append(rows[0])
            continue
        means = [row.mean for row in rows]
        merged.append(
            rows[0].model_copy(
                update={
                    "mean": sum(means) / len(means),
                    "low": min(means),
                    "high": max(means),
                    "n": max(row.n for row in rows),
                    "seeds": len(rows),
                }
            )
        )
    return merged


class Unavailable(Exception):
    """A system cannot be measured here: not installed, or not trained yet."""


@dataclass(frozen=True)
class EvalContext:
    """What suites are given.

    Attributes:
        data_dir: Folder of the data files.
        seeds: Number of seeds of what is drawn at random.
        settings: Deployment settings.
        say: Progress.
        out: Where results go; figures go in a folder of it.
        work: Where models that suites train are kept.
    """

    data_dir: Path
    seeds: int = 3
    settings: Settings = field(default_factory=Settings)
    say: Callable[[str], None] = lambda _text: None
    out: Path = Path("benchmarks")
    work: Path = Path("checkpoints/bench")

    @property
    def figures(self) -> Path:
        """Folder of the figures."""
        return self.out / "figures"

    @cached_property
    def knowledge(self) -> Knowledge:
        """The knowledge, opened on first use."""
        from cellwright.knowledge import Knowledge

        return Knowledge.open(self.settings)

    @cached_property
    def cell_model(self) -> CellModel | None:
        """The cell model; None while there is no checkpoint."""
        from cellwright.cellmodel.inference import CellModel
        from cellwright.errors import CellwrightError

        try:
            return CellModel.load(self.settings, embed=self.knowledge.embed)
        except CellwrightError as error:
            self.say(f"no cell model: {error}")
            return None
