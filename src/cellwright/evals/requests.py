"""Held-out requests of suite ``instructions``, and how a plan is judged against what they want."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from itertools import product
from typing import TYPE_CHECKING, Any

from cellwright.agent.grammar import LISTS, SIGNATURES
from cellwright.agent.names import cell_type_names, type_id
from cellwright.agent.notation import ANY, Request, Wanted, WantedCall, read_requests

if TYPE_CHECKING:
    from cellwright.agent.plan import Plan
    from cellwright.tools.passport import Passport
    from cellwright.tools.workbench import Workbench


@cache
def held_out() -> tuple[Request, ...]:
    """All held-out requests."""
    folder = resources.files("cellwright.evals") / "questions"
    return read_requests((folder / "instructions.txt").read_text("utf-8"))


@dataclass(frozen=True, kw_only=True)
class Grade:
    """How a plan fits a request.

    Attributes:
        fit: Steps with arguments, refusals and the question are all as wanted.
        tools: The tools are, whatever the arguments.
        asked: It asks a question.
        refused: It refuses some part.
        omitted: Deliverables that are neither planned nor named as refused, asked about or
            unplanned.
    """

    fit: bool
    tools: bool
    asked: bool
    refused: bool
    omitted: int


def resolve(request: Request, bench: Workbench) -> Request:
    """The request with wanted calls that their own gates refuse on this data made refusals.

    What a model has learned decides whether 'generate 50 T cells' is to be done or refused; who
    asks for it cannot know.
    """
    parts = []
    for part in request.parts:
        fits = [
            Wanted(refused=True) if any(_refused(call, bench) for call in one.calls) else one
            for one in part.fits
        ]
        parts.append(replace(part, fits=tuple(fits)))
    return replace(request, parts=tuple(parts))


def _refused(call: WantedCall, bench: Workbench) -> bool:
    from cellwright.errors import ToolError
    from cellwright.tools.gates import check

    chosen = {name: value for name, value in call.optional.items() if value != ANY}
    args = {**chosen, **call.args}
    slots = SIGNATURES[call.tool]
    typed = {
        name: value.split(",") if slots.get(name) in LISTS else value
        for name, value in args.items()
        if name in slots
    }
    try:
        parsed = bench.validate(call.tool, typed)
        verdict = check(bench.spec(call.tool), parsed, bench.passport, bench)
    except ToolError:
        return False
    return verdict.outcome == "refuse"


def grade(request: Request, plan: Plan, passport: Passport | None) -> Grade:
    """Judge a reviewed plan by code alone.

    Steps that review inserted do not count; the order of steps does not, nor do case and number of
    names, nor which of several columns with the same values is named.
    """
    names = _same_columns(passport)
    made = [
        (step.tool, _canonical(step.tool, step.args, names))
        for step in plan.steps
        if not step.inserted
    ]
    asked = plan.status == "needs_clarification"
    refused = bool(plan.refused)
    fit = tools = False
    for choice in product(*(part.fits for part in request.parts)):
        wanted_question = any(one.unclear for one in choice)
        wanted_refusal = any(one.refused for one in choice)
        if (asked, refused and not asked) != (wanted_question, wanted_refusal):
            continue
        calls = _distinct([call for one in choice for call in one.calls], names)
        if not wanted_question and not _refuses_right(request, choice, plan):
            continue
        tools = tools or sorted(tool for tool, _ in made) == sorted(call.tool for call in calls)
        fit = fit or wanted_question or _match(calls, made, names)
    return Grade(
        fit=fit,
        tools=tools or fit,
        asked=asked,
        refused=refused,
        omitted=_omitted(request, plan, made),
    )


def _refuses_right(request: Request, choice: Sequence[Wanted], plan: Plan) -> bool:
    """Refusals stand for words of parts that are to be refused; each such part has one."""
    wanted = [part.words for part, one in zip(request.parts, choice, strict=True) if one.refused]
    others = [
        part.words for part, one in zip(request.parts, choice, strict=True) if not one.refused
    ]
    for refusal in plan.refused:
        mine = max((_overlap(words, refusal.ask) for words in wanted), default=0.0)
        if mine < max((_overlap(words, refusal.ask) for words in others), default=0.0):
            return False
    return all(
        any(_overlap(words, refusal.ask) > 0 for refusal in plan.refused) for words in wanted
    )


def _overlap(part: str, ask: str) -> float:
    """Share of a part's letters, in runs of three, that stand in an ask."""
    grams = {part[at : at + 3].lower() for at in range(max(len(part) - 2, 1))}
    return sum(one in ask.lower() for one in grams) / len(grams)


def _omitted(request: Request, plan: Plan, made: Sequence[tuple[str, Any]]) -> int:
    """Parts of which no tool is planned, and whose words no refusal and no question names.

    Words of which the plan says that nothing is planned for them are named too.
    A part that wants a question is passed over only where no step stands for its words either.
    """
    planned = {tool for tool, _ in made}
    named = [*(refusal.ask for refusal in plan.refused), *plan.unplanned]
    served = [step.asked_by for step in plan.steps]
    if plan.status == "needs_clarification":
        return 0
    left = 0
    for part in request.parts:
        calls = [{call.tool for call in one.calls} for one in part.fits]
        done = any(one & planned for one in calls if one)
        asks = named if any(calls) else [*named, *served]
        said = any(_overlap(part.words, ask) > 0.5 for ask in asks)
        left += not done and not said
    return left


def _same_columns(passport: Passport | None) -> dict[str, str]:
    """Columns with the same role and values count as one; by name, the first of each."""
    first: dict[tuple[str, frozenset[str]], str] = {}
    columns = passport.columns if passport else ()
    return {
        one.name.lower(): first.setdefault((one.role, frozenset(one.values)), one.name).lower()
        for one in columns
    }


def _canonical(tool: str, args: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Arguments that were chosen, in one form."""
    from cellwright.tools.registry import ALL_TOOLS

    spec = next((one for one in ALL_TOOLS if one.name == tool), None)
    fields = spec.args.model_fields if spec else {}
    kept = {}
    for name, value in args.items():
        default = fields[name].default if name in fields else None
        empty = value is None or value in ([], ()) or name == "question"
        if not empty and (value != default or tool == "plot_cells"):
            kept[name] = _value(tool, name, value, names)
    return _unordered(kept)


def _default(tool: str, name: str, names: Mapping[str, str]) -> Any:
    """What an argument is where nothing is said."""
    from cellwright.tools.registry import ALL_TOOLS

    fields = next(one.args.model_fields for one in ALL_TOOLS if one.name == tool)
    default = fields[name].default if name in fields else None
    empty = default is None or repr(default) == "PydanticUndefined"
    return None if empty else _value(tool, name, default, names)


def _unordered(args: dict[str, Any]) -> dict[str, Any]:
    """Two groups that are compared, in either order."""
    if {"group_a", "group_b"} <= args.keys():
        first, second = sorted([args["group_a"], args["group_b"]])
        return {**args, "group_a": first, "group_b": second}
    return args


def _value(tool: str, name: str, value: Any, names: Mapping[str, str]) -> Any:
    slot = SIGNATURES.get(tool, {}).get(name)
    if slot in LISTS:
        items = value.split(",") if isinstance(value, str) else value
        return frozenset(_fold(one) for one in items)
    if slot == "column" or name == "column":
        return names.get(str(value).lower(), str(value).lower())
    if name == "drop":
        return str(value).lower() in {"true", "yes"}
    if name == "label" or (name in _TYPES and str(value).lower() in cell_type_names()):
        return type_id(str(value)) or _fold(value)  # 'pDC' is 'plasmacytoid dendritic cell'
    try:
        return float(value)
    except (TypeError, ValueError):
        return _fold(value)


_TYPES = {"cell_type", "query"}
"""Arguments in which names of one term of the Cell Ontology are the same."""


def _fold(value: Any) -> str:
    plain = re.sub(r"[^\w+]+", " ", str(value).casefold()).strip()
    return re.sub(r"s$", "", re.sub(r" cells?$", "", plain))


def _distinct(calls: Iterable[WantedCall], names: Mapping[str, str]) -> list[WantedCall]:
    """Wanted calls without repeats."""
    kept: dict[str, WantedCall] = {}
    for call in calls:
        args = {name: _value(call.tool, name, value, names) for name, value in call.args.items()}
        kept.setdefault(f"{call.tool} {sorted(map(str, args.items()))}", call)
    return list(kept.values())


def _match(
    calls: Sequence[WantedCall], made: Sequence[tuple[str, Any]], names: Mapping[str, str]
) -> bool:
    """Each wanted call is made once, and nothing else is."""
    if len(calls) != len(made):
        return False
    if not calls:
        return True
    first, rest = calls[0], calls[1:]
    return any(
        _is_call(first, tool, args, names) and _match(rest, [*made[:at], *made[at + 1 :]], names)
        for at, (tool, args) in enumerate(made)
    )


def _is_call(
    wanted: WantedCall, tool: str, args: Mapping[str, Any], names: Mapping[str, str]
) -> bool:
    if wanted.tool != tool:
        return False
    must = _unordered(
        {name: _value(tool, name, value, names) for name, value in wanted.args.items()}
    )
    may = {name: _value(tool, name, value, names) for name, value in wanted.optional.items()}
    right = all(
        args.get(name, _default(tool, name, names)) == value for name, value in must.items()
    )
    # Which column holds the groups of a subset follows from their names; review makes sure.
    free = {"column"} if tool == "subset_cells" else set()
    left = {name: value for name, value in args.items() if name not in {*must, *free}}
    free_to_choose = {name for name, value in wanted.optional.items() if value == ANY}
    return right and all(
        name in free_to_choose or may.get(name) == value for name, value in left.items()
    )
