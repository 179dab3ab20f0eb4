"""The plan language of the embedded planner: grammar, reading and writing.

One line for each ask, in order, so none can be left out::

    1 annotate
    2 plot kind=umap; plot kind=dotplot genes=EGFR,KRAS
    3 refuse unsupported
    4 unclear drug
    5 same

A verb is the first word of a tool's name; ``same`` says that the steps of the ask before serve
this one too ("and check them"). Arguments come from closed lists: what the schemas
allow, what the data set has, and what the request names. The grammar made from them bounds length.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cellwright.agent.mentions import Mentions
from cellwright.agent.plan import DraftRefusal, DraftStep, DraftUnclear, PlanDraft

Slot = Literal[
    "column", "group", "type", "types", "genes", "drugs", "number", "decimal", "tissue", "species",
    "protocol", "phrase", "cell", "label", "said", "members",
]  # fmt: skip

SIGNATURES: Mapping[str, Mapping[str, Slot | tuple[str, ...]]] = {
    "preprocess_dataset": {"resolution": "decimal", "batch_key": "column"},
    "subset_cells": {"groups": "members", "column": "column", "drop": ("yes",)},
    "annotate_cells": {"level": ("cell", "cluster"), "group_by": "column", "choices": "types"},
    "predict_drug_response": {"drugs": "drugs", "group_by": "column"},
    "generate_cells": {
        "cell_type": "type",
        "tissue": "tissue",
        "species": "species",
        "protocol": "protocol",
        "n": "number",
    },
    "explain_cells": {
        "target": ("cell_type", "drug"),
        "label": "label",
        "group_by": "column",
        "n_genes": "number",
    },
    "find_markers": {"group_by": "column", "groups": "types", "n_genes": "number"},
    "compare_groups": {"column": "column", "group_a": "group", "group_b": "group"},
    "search_knowledge": {
        "query": "phrase",
        "kind": ("gene", "cell_type", "drug"),
        "species": "species",
    },
    "match_markers": {"genes": "genes", "tissue": "tissue", "species": "species"},
    "plot_cells": {
        "kind": ("umap", "dotplot", "heatmap", "violin", "composition"),
        "color_by": "column",
        "genes": "genes",
    },
    "ask_cell": {"cell": "cell", "question": "said"},
    "describe_dataset": {},
}
"""Arguments that a plan may set, by tool, with where their values come from."""

REQUIRED: Mapping[str, tuple[str, ...]] = {
    "generate_cells": ("cell_type",),
    "explain_cells": ("label",),
    "compare_groups": ("column", "group_a", "group_b"),
    "search_knowledge": ("query",),
    "match_markers": ("genes",),
    "plot_cells": ("kind",),
    "ask_cell": ("cell",),
}
VERBS: Mapping[str, str] = {name.split("_", maxsplit=1)[0]: name for name in SIGNATURES}
REFUSALS = ("unsupported", "irrelevant", "unsafe")
QUESTIONS: Mapping[str, str] = {
    "drug": "Which drug is meant?",
    "groups": "Which groups are to be compared?",
    "type": "Which cell type is meant?",
    "genes": "Which genes are meant?",
    "goal": "What should be done with these cells?",
}
PROTOCOLS = ("10x", "Smart-seq2", "Drop-seq", "CEL-seq2", "inDrop", "SMARTer", "STRT-seq", "C1")
EVIDENCE: Mapping[str, str] = {
    "cluster": r"clusters?",
    "cell": r"\b(?:each|every|per|single|individual) cells?\b|individually|one by one|cell level",
    "dotplot": r"dot|bubble",
    "heatmap": r"heat",
    "violin": r"violin",
    "composition": r"compos|proportion|fraction|percent|share|bars?\b|count|number|how many"
    r"|frequen|abundan|make-?up|distribut|breakdown|ratio",
    "yes": r"without|exclu|remov|drop|except|leave out|throw|discard|get rid|filter out|\bnot\b",
}
"""Words without which a choice is not offered."""
LISTS = frozenset({"types", "genes", "drugs", "members"})
"""Slots that take several values."""
MAX_ITEMS = 12
MAX_ACTIONS = 3


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One part of a request as the plan language sees it.

    Attributes:
        text: Its words as the user wrote them.
        english: Its words, glossed.
        mentions: What it names.
        earlier: Cell types and drugs that earlier parts or requests named, for 'explain it'.
    """

    text: str
    english: str
    mentions: Mentions
    earlier: tuple[str, ...] = ()


def make_grammar(asks: Sequence[Ask]) -> str:
    """EBNF of every plan that these asks allow, for xgrammar."""
    rules = ["root ::= " + " ".join(f"line{at}" for at in range(1, len(asks) + 1))]
    for at, ask in enumerate(asks, start=1):
        more = "".join(f' ("; " act{at})?' for _ in range(MAX_ACTIONS - 1))
        rules.append(f'line{at} ::= "{at} " act{at}{more} "\\n"')
        rules += _act_rules(at, ask)
    return "\n".join(rules) + "\n"


def _act_rules(at: int, ask: Ask) -> list[str]:
    """The rules of one ask's actions."""
    rules: list[str] = []
    actions = [
        '"refuse " (' + " | ".join(_quote(one) for one in REFUSALS) + ")",
        '"unclear " (' + " | ".join(_quote(one) for one in QUESTIONS) + ")",
    ]
    if at > 1:
        actions.append('"same"')
    lists: dict[str, str] = {}
    for verb, tool in VERBS.items():
        if tool == "compare_groups":
            actions += _comparisons(ask)
            continue
        body = _arguments(tool, at, ask, lists)
        if body is not None:
            actions.append(f'"{verb}"{body}')
    rules.append(f"act{at} ::= " + " | ".join(actions))
    rules += [f"{name} ::= {body}" for name, body in lists.items()]
    return rules


def _arguments(tool: str, at: int, ask: Ask, lists: dict[str, str]) -> str | None:
    """The part of a rule after the verb; None when a required value has no candidate."""
    body = ""
    for name, slot in SIGNATURES[tool].items():
        if slot == "said":
            continue
        values = slot_values(slot, ask)
        required = name in REQUIRED.get(tool, ())
        if not values:
            if required:
                return None
            continue
        source = slot if isinstance(slot, str) else f"{tool}{name}".replace("_", "")
        rule = f"{source}{at}"
        lists.setdefault(rule, " | ".join(_quote(written(one)) for one in values))
        value = rule
        if slot in LISTS:
            value = f'{rule} ("," {rule}){{0,{MAX_ITEMS - 1}}}'
        argument = f'" {name}=" {value}'
        body += f" {argument}" if required else f" ({argument})?"
    return body


def _comparisons(ask: Ask) -> list[str]:
    found = []
    for column, values in ask.mentions.groups:
        for first in values:
            others = " | ".join(_quote(written(one)) for one in values if one != first)
            if others:
                start = f"compare column={written(column)} group_a={written(first)} group_b="
                found.append(f"{_quote(start)} ({others})")
    return found


def slot_values(slot: Slot | tuple[str, ...], ask: Ask) -> tuple[str, ...]:
    """The values that a slot may take in an ask."""
    if not isinstance(slot, str):
        return _evident(slot, ask)
    named = ask.mentions
    lowered = ask.english.lower()
    values: Mapping[str, tuple[str, ...]] = {
        "column": named.columns,
        "type": named.types,
        "types": named.types,
        "members": tuple(dict.fromkeys([*(value for _, value in named.members), *named.types])),
        "label": (*named.types, *named.drugs, *ask.earlier),
        "genes": named.genes,
        "drugs": named.drugs,
        "number": tuple(one for one in named.numbers if "." not in one),
        "decimal": named.numbers,
        "tissue": named.tissues,
        "species": tuple(one for one in ("human", "mouse") if one in lowered),
        "protocol": tuple(one for one in PROTOCOLS if one.lower() in lowered),
        "phrase": (*named.likely_genes, *named.likely_drugs, *named.types, *named.phrases),
        "cell": tuple(dict.fromkeys([*named.numbers, *_barcodes(ask.english)])),
    }
    return tuple(dict.fromkeys(one for one in values[slot] if one))


def _evident(choices: tuple[str, ...], ask: Ask) -> tuple[str, ...]:
    """The choices that the words give reason for; those that need none always."""
    words = ask.english.lower()
    found = [one for one in choices if one in EVIDENCE and re.search(EVIDENCE[one], words)]
    if "drug" in choices and "cell_type" in choices:
        return choices
    if set(choices) == {"yes"} or ("level" not in words and set(choices) == {"cell", "cluster"}):
        return tuple(found)
    return (
        tuple(one for one in choices if one in found or one not in EVIDENCE) if found else choices
    )


def _barcodes(text: str) -> list[str]:
    return re.findall(r"\b[ACGT]{8,}(?:-\d+)?\b", text)


def written(value: str) -> str:
    """A value as it is written: quoted unless it is one plain word."""
    clean = value.replace('"', "").replace("\\", "").replace("\n", " ")
    return clean if re.fullmatch(r"[\w.+/\-]+", clean) else f'"{clean}"'


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def write_plan(draft: PlanDraft, n_asks: int, unclear: Mapping[int, str] | None = None) -> str:
    """A draft in the plan language; the inverse of ``read_plan``.

    Args:
        draft: The plan.
        n_asks: Number of asks.
        unclear: What is unclear (a key of ``QUESTIONS``) by number of the ask.
    """
    lines = []
    for number in range(1, n_asks + 1):
        actions = [_action(step) for step in draft.steps if number in step.asks]
        actions += [f"refuse {one.reason}" for one in draft.refused if number in one.asks]
        if unclear and number in unclear:
            actions.append(f"unclear {unclear[number]}")
        lines.append(f"{number} {'; '.join(actions)}\n")
    return "".join(lines)


def _action(step: DraftStep) -> str:
    words = [step.tool.split("_", maxsplit=1)[0]]
    for name, slot in SIGNATURES[step.tool].items():
        if name in step.args and slot != "said":
            value = step.args[name]
            items = value if isinstance(value, (list, tuple)) else [value]
            words.append(f"{name}={','.join(written(_plain(one)) for one in items)}")
    return " ".join(words)


def _plain(value: Any) -> str:
    if value is True:
        return "yes"
    return f"{value:g}" if isinstance(value, float) else str(value)


_ARGUMENT = re.compile(r' (\w+)=((?:"[^"]*"|[^\s",;]+)(?:,(?:"[^"]*"|[^\s",;]+))*)')
_ACTION = re.compile(r"(?:^|; )(\w+)((?: \w+=(?:\"[^\"]*\"|[^\s\";])+)*)(?: (\w+))?(?=; |$)")


def read_plan(text: str, asks: Sequence[str]) -> PlanDraft:
    """Read a plan.

    A step that several asks share becomes one step; a number that no ask has is passed over.

    Args:
        text: Lines of the plan language.
        asks: The asks, for questions to a cell and the words of a clarifying question.
    """
    steps: dict[str, DraftStep] = {}
    refused: list[DraftRefusal] = []
    unclear: list[DraftUnclear] = []
    for line in text.splitlines():
        head = re.match(r"\s*(\d+) (.*)$", line)
        if head is None or not 0 < int(head.group(1)) <= len(asks):
            continue
        number = int(head.group(1))
        for verb, arguments, word in _ACTION.findall(head.group(2)):
            if verb == "refuse" and word in REFUSALS:
                refused.append(DraftRefusal(asks=(number,), reason=word))
            elif verb == "unclear" and word in QUESTIONS:
                unclear.append(DraftUnclear(asks=(number,), about=word))
            elif verb == "same":
                steps = {
                    key: one.model_copy(update={"asks": (*one.asks, number)})
                    if number - 1 in one.asks and number not in one.asks
                    else one
                    for key, one in steps.items()
                }
            elif verb in VERBS:
                step = _step(VERBS[verb], arguments, number, asks[number - 1])
                merge(steps, step)
    return PlanDraft(
        steps=tuple(steps.values()),
        refused=tuple(refused),
        unclear=tuple(unclear),
        question=question_of(unclear, asks),
    )


def question_of(unclear: Sequence[DraftUnclear], asks: Sequence[str]) -> str | None:
    """The clarifying question in words; None when nothing is unclear."""
    said = [f'{QUESTIONS[one.about]} (in: "{asks[one.asks[0] - 1]}")' for one in unclear]
    return " ".join(dict.fromkeys(said)) or None


def merge(steps: dict[str, DraftStep], step: DraftStep) -> None:
    """Add a step, or its asks to an equal one."""
    key = f"{step.tool} {sorted(step.args.items())}"
    if key in steps:
        asks = tuple(sorted({*steps[key].asks, *step.asks}))
        steps[key] = steps[key].model_copy(update={"asks": asks})
    else:
        steps[key] = step


def _step(tool: str, arguments: str, number: int, ask: str) -> DraftStep:
    args: dict[str, Any] = {}
    for name, value in _ARGUMENT.findall(arguments):
        slot = SIGNATURES[tool].get(name)
        items = [one.strip('"') for one in re.findall(r'"[^"]*"|[^,"]+', value)]
        if slot in LISTS:
            args[name] = list(dict.fromkeys(items))
        elif slot == "number":
            args[name] = int(float(items[0]))
        elif slot == "decimal":
            args[name] = float(items[0])
        elif name == "drop":
            args[name] = True
        elif slot is not None:
            args[name] = items[0]
    if tool == "ask_cell":
        args["question"] = ask
    return DraftStep(tool=tool, args=args, asks=(number,))
