"""What a drafted plan gets from code: exact group names, and the cells within which to compare."""

import re
from collections.abc import Sequence

from cellwright.agent.grammar import Ask
from cellwright.agent.mentions import NEW_CLUSTERS, NEW_LABELS, singular, value_named
from cellwright.agent.names import cell_type_names
from cellwright.agent.plan import DraftStep, PlanDraft
from cellwright.tools.passport import Passport

_ONCE = frozenset({"preprocess_dataset", "annotate_cells"})
"""Tools that parts of a request mean together, where their arguments agree."""
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
        elif step.tool == "subset_cells" and ask:
            steps.append(_set_column(step, ask, passport))
        elif step.tool == "find_markers" and "groups" in step.args:
            values = _values(str(step.args.get("group_by", "")), passport)
            named = [value_named(str(one), values) for one in step.args["groups"]]
            args = {**step.args, "groups": list(dict.fromkeys(named))}
            steps.append(step.model_copy(update={"args": args}))
        else:
            steps.append(step)
    return draft.model_copy(update={"steps": tuple(_on_new_clusters(_joined(steps)))})


def _joined(steps: Sequence[DraftStep]) -> list[DraftStep]:
    """'QC', 'normalise' and 'cluster at 0.5' are one preprocessing; so with annotating."""
    done: list[DraftStep] = []
    for step in steps:
        if step.tool == "subset_cells":
            done.append(step)
            continue
        since = max((at for at, one in enumerate(done) if one.tool == "subset_cells"), default=-1)
        for at in range(since + 1, len(done)):
            kept = done[at]
            agree = all(kept.args.get(name, value) == value for name, value in step.args.items())
            if step.tool in _ONCE and kept.tool == step.tool and agree:
                asks = tuple(dict.fromkeys([*kept.asks, *step.asks]))
                args = {**kept.args, **step.args}
                done[at] = kept.model_copy(update={"args": args, "asks": asks})
                break
        else:
            done.append(step)
    return done


def _on_new_clusters(steps: Sequence[DraftStep]) -> list[DraftStep]:
    """Behind a clustering that was asked for, figures and markers are of its clusters.

    A UMAP behind an annotation shows what the annotation says.
    """
    clustered, labelled, done = False, False, []
    for step in steps:
        labelled = labelled or step.tool == "annotate_cells"
        clustered = step.tool == "preprocess_dataset" or (
            clustered and step.tool != "annotate_cells"
        )
        free = not {"group_by", "groups", "color_by", "genes"} & step.args.keys()
        name = {"find_markers": "group_by", "plot_cells": "color_by"}.get(step.tool)
        if clustered and free and name and step.args.get("kind") in {None, "umap", "heatmap"}:
            done.append(step.model_copy(update={"args": {**step.args, name: NEW_CLUSTERS}}))
        elif labelled and step.tool == "plot_cells" and free and step.args.get("kind") == "umap":
            done.append(step.model_copy(update={"args": {**step.args, "color_by": NEW_LABELS}}))
        else:
            done.append(step)
    return done


def _set_column(step: DraftStep, ask: Ask, passport: Passport | None) -> DraftStep:
    """The column of the groups that are kept, where the words name values of one column."""
    columns = dict.fromkeys(column for column, _ in ask.mentions.members)
    if "column" in step.args or len(columns) != 1:
        return step
    (column,) = columns
    values = _values(column, passport)
    named = [value_named(str(one), values) for one in step.args.get("groups", ())]
    if not named or not set(named) <= set(values):
        return step
    args = {**step.args, "groups": list(dict.fromkeys(named)), "column": column}
    return step.model_copy(update={"args": args})


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
        known = len(name.split()) > 1 and singular(name.lower()) in cell_type_names()
        if found and known and _WITHIN.search(ask.english[: found.start()]):
            return name
    return ""
