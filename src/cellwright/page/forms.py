"""The plan as a form: one set of fields for each step, made from the tool's argument schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from cellwright.agent.plan import DraftStep

if TYPE_CHECKING:
    from cellwright.agent.plan import Plan
    from cellwright.tools.passport import Passport
    from cellwright.tools.spec import ToolSpec

COLUMNS = frozenset({"group_by", "color_by", "column", "batch_key", "within"})
"""Arguments that name a column of the data."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """One argument of a step, as a control of the form.

    Attributes:
        name: Name of the argument.
        control: What it is entered with; ``lines`` is one value a line.
        value: What it holds, as the control shows it.
        help: What it means, in the words of the tool.
        choices: Values of a ``choice``; an empty one stands for none.
        low: Smallest number, where there is one.
        high: Largest number, where there is one.
        whole: The number has no fraction.
        columns: It names a column of the data.
    """

    name: str
    control: Literal["choice", "tick", "number", "lines", "text"]
    value: Any
    help: str
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    whole: bool = False
    columns: bool = False

    @property
    def plain(self) -> Any:
        """The value as a form that was not touched sends it back."""
        return self.value if self.value != "" else None


def fields(spec: ToolSpec[Any, Any], args: Mapping[str, Any]) -> list[Field]:
    """The arguments of a tool as controls, filled in."""
    schema = spec.args.model_json_schema().get("properties", {})
    return [_field(name, one, args.get(name, one.get("default"))) for name, one in schema.items()]


def column_names(passport: Passport | None) -> list[str]:
    """Columns that a step may name."""
    return [column.name for column in passport.columns] if passport else []


def edited(
    form: Mapping[str, str], plan: Plan, specs: Sequence[ToolSpec[Any, Any]]
) -> list[DraftStep] | None:
    """The steps that a submitted form keeps and adds; None where it changes nothing.

    Preparation that review put in is left out, for review to put in again, unless its arguments
    were changed.

    Args:
        form: ``keep-ID`` and ``ID.NAME`` for each step, and ``add`` with the name of a tool.
        plan: The plan that the form shows.
        specs: The tools there are.
    """
    known = {spec.name: spec for spec in specs}
    steps, changed = [], False
    for step in plan.steps:
        shown = fields(known[step.tool], step.args)
        said = {one.name: _value(one, form.get(f"{step.id}.{one.name}", "")) for one in shown}
        new = any(said[one.name] != one.plain for one in shown)
        if not step.inserted and f"keep-{step.id}" not in form:
            changed = True
        elif new or not step.inserted:
            changed = changed or new
            args = {name: value for name, value in said.items() if value not in (None, "", [])}
            asks = () if step.inserted else tuple(asks_of(plan, step.asked_by))
            steps.append(DraftStep(tool=step.tool, args=args, asks=asks))
    if form.get("add") in known:
        return [*steps, DraftStep(tool=form["add"])]
    return steps if changed else None


def asks_of(plan: Plan, asked_by: str) -> list[int]:
    """Numbers, from 1, of the parts of a request that a step serves."""
    every = asked_by == "the whole request"
    return [at for at, ask in enumerate(plan.asks, start=1) if every or ask in asked_by]


def _field(name: str, schema: Mapping[str, Any], value: Any) -> Field:
    kind = next(
        (one for one in schema.get("anyOf", ()) if one.get("type") != "null"), schema
    )  # what may be left out is "this or null"
    optional = kind is not schema
    help_text = schema.get("description", "")
    if "enum" in kind:
        choices = ("", *kind["enum"]) if optional else tuple(kind["enum"])
        return Field(
            name=name, control="choice", value=value or "", help=help_text, choices=choices
        )
    if kind.get("type") == "boolean":
        return Field(name=name, control="tick", value=bool(value), help=help_text)
    if kind.get("type") in {"number", "integer"}:
        low = kind.get("minimum", kind.get("exclusiveMinimum"))
        whole = kind["type"] == "integer"
        return Field(
            name=name,
            control="number",
            value="" if value is None else value,
            help=help_text,
            low=low,
            high=kind.get("maximum"),
            whole=whole,
        )
    if kind.get("type") == "array":
        return Field(name=name, control="lines", value=list(value or ()), help=help_text)
    return Field(
        name=name, control="text", value=value or "", help=help_text, columns=name in COLUMNS
    )


def _value(field: Field, said: str) -> Any:
    """What a control was given; text that is no number stays text, for the schema to refuse."""
    said = said.strip()
    if field.control == "tick":
        return bool(said)
    if field.control == "lines":
        return [line.strip() for line in said.splitlines() if line.strip()]
    if field.control == "number":
        try:
            return int(said) if field.whole else float(said)
        except ValueError:
            return said or None
    return said or None
