"""What a drafted plan gets from code: exact group names, and the cells within which to compare."""

import re
from collections.abc import Sequence

from cellwright.agent.grammar import Ask
from cellwright.agent.mentions import NEW_LABELS, value_named
from cellwright.agent.plan import DraftStep, PlanDraft
from cellwright.tools.passport import Passport

_WITHIN = re.compile(
    r"\b(?:within|among|inside|in|for|of) (?:the |each |every |all )?(?:[\w+/-]+ ){0,3}?$",
    re.IGNORECASE,
)
_EACH = re.compile(
    r"\b(?:per|within each|in each|in every|for each|for every|by) (?:cell ?)?(?:type|cluster)",
    re.I,
)


def complete(draft: PlanDraft, asks: Sequence[Ask], passport: Passport | None) -> PlanDraft:
    """Add what the plan language has no word for, and write groups as the data do.

    "Compare A and B in the T cells" looks within one cell type, "... per cell type" within each;
    markers of "NK cell" are those of the group "NK cells" where the labels say so.

    Args:
        draft: A draft.
        asks: The asks that it serves.
        passport: What the data set is.
    """
    steps = []
    for step in draft.steps:
        ask = asks[step.asks[0] - 1] if step.asks and step.asks[0] <= len(asks) else None
        if step.tool == "compare_groups" and ask:
            steps.append(_set_within(step, ask, passport))
        elif step.tool == "find_markers" and "groups" in step.args:
            values = _values(str(step.args.get("group_by", "")), passport)
            named = [value_named(str(one), values) for one in step.args["groups"]]
            args = {**step.args, "groups": list(dict.fromkeys(named))}
            steps.append(step.model_copy(update={"args": args}))
        else:
            steps.append(step)
    return draft.model_copy(update={"steps": tuple(steps)})


def _values(name: str, passport: Passport | None) -> tuple[str, ...]:
    """Values of a column, or of the file's labels when none is named."""
    for column in passport.columns if passport else ():
        if column.name == name or (not name and column.role == "label" and name != NEW_LABELS):
            return column.values
    return ()


def _set_within(step: DraftStep, ask: Ask, passport: Passport | None) -> DraftStep:
    within = _within(ask)
    if not within or within in {step.args.get("group_a"), step.args.get("group_b")}:
        return step
    named = value_named(within, _values("", passport))
    return step.model_copy(update={"args": {**step.args, "within": named}})


def _within(ask: Ask) -> str:
    if _EACH.search(ask.english) and ask.mentions.columns:
        return ask.mentions.columns[0]
    for name in ask.mentions.types:
        found = re.search(rf"\b{re.escape(name)}", ask.english, re.IGNORECASE)
        if found and len(name.split()) > 1 and _WITHIN.search(ask.english[: found.start()]):
            return name
    return ""
