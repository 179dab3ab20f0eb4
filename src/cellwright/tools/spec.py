"""What a tool is: declared once, used from Python, the shell, LangGraph and MCP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cellwright.artifacts import ArtifactRef

if TYPE_CHECKING:
    from cellwright.tools.passport import Passport
    from cellwright.tools.workbench import Workbench

MatrixState = Literal["counts", "log1p", "tpm", "scaled", "unknown"]


class ToolArgs(BaseModel):
    """Arguments of a tool; unknown names are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Claim(BaseModel):
    """One sentence of a report, in which every fact is a placeholder into the tool's result.

    ``template`` has no number, gene, label or citation of its own: it quotes them as
    ``{pointer}`` or ``{pointer:format}``, where the pointer walks the result with dots
    (``{groups.0.label}``, ``{agreement.share:.1%}``). The report resolves the pointer in the
    stored artifact and refuses a claim that it cannot resolve.

    Attributes:
        template: The sentence, in Markdown, with placeholders.
        kind: ``finding``, or ``caveat`` for doubt, disagreement and limits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    template: str
    kind: Literal["finding", "caveat"] = "finding"


class Table(BaseModel):
    """A table of a report, read from a list in the result.

    Attributes:
        title: Heading, without numbers of its own.
        rows: Pointer to a list of records in the result.
        columns: Pairs of (field of the record, heading); the field may carry a format
            (``score:.2f``).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    rows: str
    columns: tuple[tuple[str, str], ...]


class ToolResult(BaseModel):
    """What a tool delivers: small typed facts, and references to everything large.

    Attributes:
        data: The AnnData that later steps go on with, where the tool made a new one.
        figures: Figures made, to be shown in the report.
        tables: CSV files made, whole, for people who go on by themselves.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: ArtifactRef | None = Field(default=None, description="New AnnData, if one was made.")
    figures: tuple[ArtifactRef, ...] = Field(default=(), description="Figures made.")
    tables: tuple[ArtifactRef, ...] = Field(default=(), description="CSV tables made.")

    def artifacts(self) -> list[ArtifactRef]:
        """Every artifact that the result names, in the order of its fields."""
        found: list[ArtifactRef] = []
        for name in type(self).model_fields:
            value = getattr(self, name)
            for one in value if isinstance(value, tuple) else (value,):
                if isinstance(one, ArtifactRef):
                    found.append(one)
        return found

    def claims(self) -> list[Claim]:
        """Sentences that a report may say about this result, the most important first."""
        return []

    def report_tables(self) -> list[Table]:
        """Tables that a report shows of this result."""
        return []


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a tool needs of a passport, checked in review before anything runs.

    Attributes:
        data: Works on the user's cells at all.
        matrix: States of the matrix that will do (some layer or raw in one of them).
        species: Species that will do; empty for any.
        min_coverage: Share of the file's genes that must be known to the resolver.
        prepared: What must have been made by ``preprocess_dataset`` first; review inserts it.
    """

    data: bool = True
    matrix: frozenset[MatrixState] = frozenset({"counts", "log1p", "tpm"})
    species: frozenset[str] = frozenset({"human", "mouse"})
    min_coverage: float = 0.0
    prepared: frozenset[Literal["clusters", "umap"]] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """An applicability gate's answer.

    Attributes:
        outcome: ``ok``, ``warn`` (run, and state the reason) or ``refuse``.
        reason: What was found against what is needed; empty when ok.
        alternative: What can be done instead.
    """

    outcome: Literal["ok", "warn", "refuse"] = "ok"
    reason: str = ""
    alternative: str = ""


def _always_ok(_args: Any, _passport: Passport | None, _bench: Workbench) -> Verdict:
    return Verdict()


Preparation = frozenset[Literal["clusters", "umap"]]


def _by_needs(_args: Any, _passport: Passport | None, needs: Needs) -> Preparation:
    return needs.prepared


A = TypeVar("A", bound=ToolArgs)
R = TypeVar("R", bound=ToolResult)


@dataclass(frozen=True, kw_only=True)
class ToolSpec(Generic[A, R]):
    """A tool, whole.

    Attributes:
        name: Verb and noun, the name in plans and protocols.
        title: For people.
        description: For people and language models: what it does and delivers.
        args: Model of its arguments.
        result: Model of its result.
        needs: What it needs of the data's passport.
        gate: Applicability beyond ``needs``: label and drug space, distance from training data.
            Reads arguments and passport only; runs nothing long.
        preparation: Which preparation these arguments need on this data: a grouping that the user
            names needs no clusters made.
        run: The work: ``run(args, bench) -> result``.
        changes_data: Later steps go on with the AnnData that it makes.
        quick: It needs no model and no pass over the cells, and answers in about a second.
    """

    name: str
    title: str
    description: str
    args: type[A]
    result: type[R]
    run: Callable[[A, Workbench], R]
    needs: Needs = field(default_factory=Needs)
    gate: Callable[[A, Passport | None, Workbench], Verdict] = _always_ok
    preparation: Callable[[A, Passport | None, Needs], Preparation] = _by_needs
    changes_data: bool = False
    quick: bool = False


def complaint(tool: str, error: ValidationError) -> str:
    """What is wrong with a tool's arguments, in one line, the same wherever it is called from."""
    found = "; ".join(
        f"{'.'.join(map(str, one['loc'])) or tool}: {one['msg']}" for one in error.errors()
    )
    return f"{tool}: {found}"
