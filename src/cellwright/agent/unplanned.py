"""What the words of a request name that no step of its plan delivers."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from cellwright.agent.lexicon import glossed

if TYPE_CHECKING:
    from cellwright.agent.plan import PlanStep

_MARKERS = frozenset({"find", "search", "match", "explain", "compare", "dotplot", "heatmap"})
DELIVERABLES: tuple[tuple[re.Pattern[str], frozenset[str]], ...] = tuple(
    (re.compile(rf"(?i)\b(?:{words})\b"), frozenset(kinds))
    for words, kinds in (
        (r"umaps?|t-?sne|embedding", {"umap", "preprocess"}),
        (r"violins?(?: plots?)?|vln ?plot|vln", {"violin"}),
        (r"dot ?-?plots?|bubble plots?", {"dotplot"}),
        (r"heat ?-?maps?", {"heatmap"}),
        (r"composition|proportions?|fractions?|stacked bars?|bar ?-?(?:plots?|charts?)",
         {"composition"}),
        (r"marker genes?|markers?|degs?|top genes", _MARKERS),
        (r"synthetic|simulated?|generate", {"generate"}),
        (r"differential(?:ly)?(?: expres\w+)?|compare[ds]?", {"compare", "find"}),
        (r"annotate", {"annotate"}),
        (r"re-?cluster\w*|batch correct\w*|integrate", {"preprocess"}),
        (r"drug response|sensitivity|drug ranking", {"predict", "explain"}),
    )
)  # fmt: skip
"""Words that name a deliverable, and the kinds of steps of which any delivers it."""
_CLAUSE = re.compile(r"[,;.?!\n，。；、]+|\s(?:and|then|plus|also|&|\+|->)\s")


def unplanned(
    asks: Sequence[str], steps: Sequence[PlanStep], told: Collection[str]
) -> tuple[str, ...]:
    """Clauses of a request that name a deliverable which no step makes.

    It is a second look, by words alone, at a plan that a network read out of the request: what two
    asks in one sentence ask for may have been read as one.

    Args:
        asks: The parts of the request.
        steps: The steps of its plan.
        told: Words of which the plan says already that nothing is done for them.
    """
    kinds = {kind for step in steps for kind in _kinds(step.tool, step.args)}
    found: list[str] = []
    for ask in asks:
        if any(ask in one for one in told):
            continue
        for clause in filter(None, map(str.strip, _CLAUSE.split(ask))):
            english = glossed(clause)[0]
            named = [makers for pattern, makers in DELIVERABLES if pattern.search(english)]
            left = any(kinds.isdisjoint(makers) for makers in named)
            if left and not any(clause in one for one in told):
                found.append(clause)
    return tuple(dict.fromkeys(found))


def _kinds(tool: str, args: Mapping[str, object]) -> tuple[str, ...]:
    """What a step makes: a kind of figure, or the verb of its tool."""
    return (str(args.get("kind")),) if tool == "plot_cells" else (tool.split("_", maxsplit=1)[0],)
