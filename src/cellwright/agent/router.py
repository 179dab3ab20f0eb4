"""A plan by keywords: the second opinion beside the language model, and a baseline for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from cellwright.agent.completion import complete
from cellwright.agent.examples import make_asks
from cellwright.agent.grammar import PROTOCOLS, Ask, merge, question_of, slot_values
from cellwright.agent.mentions import apart, comparable
from cellwright.agent.plan import DraftRefusal, DraftStep, DraftUnclear, PlanDraft
from cellwright.tools.passport import Passport

Call = tuple[str, dict[str, Any]]
Unclear = Literal["drug", "groups", "type", "genes", "goal"]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How one ask reads by its keywords.

    Attributes:
        calls: Tools with arguments.
        refusal: Why it is refused; empty when it is not.
        unclear: What is unclear; None when nothing is.
        same: The steps of the ask before serve it too.
        context: It asks nothing: a greeting, who the user is, how to show it.
        sure: A keyword was found; otherwise the whole is a guess.
    """

    calls: tuple[Call, ...] = ()
    refusal: str = ""
    unclear: Unclear | None = None
    same: bool = False
    context: bool = False
    sure: bool = True


@dataclass(kw_only=True)
class _Desk:
    """What a rule sees: the ask, the data, and what was read before."""

    ask: Ask
    passport: Passport | None
    before: list[Call] = field(default_factory=list)
    words: str = ""

    def says(self, pattern: str) -> bool:
        return re.search(pattern, self.words) is not None

    def values(self, slot: Any) -> tuple[str, ...]:
        return slot_values(slot, self.ask)


UNSAFE = (
    r"\b(?:ignore|disregard|forget|override|bypass)\b.*\b(?:instruction|rule|prompt|previous|guard)"
    r"|\b(?:delete|erase|wipe|overwrite|destroy|remove)\b.*\b(?:files?|disk|drive|folder"
    r"|directory|data"
    r"base|everything)\b|\brm -rf|\bpasswords?\b|api.?key|system prompt|hidden prompt|credential"
    r"|\bshell\b|os\.system|\bsudo\b|\bcurl\b|\bexec(?:ute)?\b.*\b(?:code|command|script)|import os"
    r"|\brun the command|\b(?:upload|send|post|email)\b.*\b(?:data|file|cells|server|http)"
)
UNSUPPORTED = (
    r"velocity|trajector|pseudo-?time|\bspatial|\batac\b|chromatin|\bpeaks?\b|surviv|kaplan"
    r"|copy.?number"
    r"|\bcnvs?\b|mutation|variant|cell-?to-?cell|cell-cell|ligand|crosstalk|\bgrn\b"
    r"|regulatory network"
    r"|regulon|scenic|\b[tb]cr\b|clonotyp|vdj|fastq|\balign\b|methylat|proteom"
    r"|protein structure|splic"
    r"|lineage trac|next to each other|tissue section|\bgsea\b|pathway enrichment|go enrichment"
    r"|gwas"
)
IRRELEVANT = (
    r"\bpoem|weather|\bjoke|stock price|\brecipe|football|capital of|translate|\bflight"
    r"|\bsing\b|\bsong"
    r"|\bmovie|homework|\bstory\b|president|what time|restaurant|\bnews\b|\bhoroscope|lottery"
    r"|\bemail\b"
)
_EXPLAINS = (
    r"\bexplain|\bwhy\b|which genes (?:make|define|explain|drive|did|are behind)|saliency"
    r"|what makes"
    r"|what (?:genes )?drives?|which genes .* define|important genes|genes are behind"
)
_RESPONDS = r"respon[ds]|sensitiv|resistan|\bdrugs?\b|\bic50\b|vulnerab|\bkill|treatment work"
_COMPARES = (
    r"\bcompar|differen|\bbetween\b|\bvs\b|versus|contrast|\bshift|\bdiffer|\bchanges?\b|against"
)
_ANNOTATES = (
    r"annotat|identif|cell ?types? (?:are|do|is)|\bassign|classif|own labels|existing labels"
    r"|given labels"
    r"|authors' labels|labels? (?:every|each|all|in|the cells)|^label\b|what cells"
    r"|which cells are|cell type|\bdoublets?\b|\bmultiplets?\b"
)


def _refuse(desk: _Desk) -> Reading | None:
    for reason, pattern in (
        ("unsafe", UNSAFE),
        ("unsupported", UNSUPPORTED),
        ("irrelevant", IRRELEVANT),
    ):
        if desk.says(pattern):
            return Reading(refusal=reason)
    return None


def _same(desk: _Desk) -> Reading | None:
    checks = desk.says(r"\b(?:check|verify|validate)\b")
    if checks and desk.before and not desk.says(r"label|annotat|\d"):
        return Reading(same=True)
    return None


def _match(desk: _Desk) -> Reading | None:
    genes = desk.ask.mentions.likely_genes
    asks_type = desk.says(
        r"(?:what|which) (?:\w+ )?cells?\b|cell type|what is it|match|name the|identif|positive"
    )
    if len(genes) > 1 and asks_type and not desk.says(r"umap|plot|heatmap|violin|annotate"):
        return Reading(calls=(("match_markers", {"genes": list(genes), **_first(desk, "tissue")}),))
    return None


def _generate(desk: _Desk) -> Reading | None:
    makes = desk.says(r"\b(?:generat|simulat|synthe|in-silico|artificial|fake)")
    if not makes and not desk.says(r"\b(?:make|create|produce|sample)\b.*\d+.*cells?\b"):
        return None
    types = [
        one
        for one in desk.ask.mentions.types
        if one.lower().split()[0] not in {*desk.ask.mentions.tissues, "human", "mouse", *_PROTOCOLS}
    ]
    if not types:  # a type that is called by its tissue, such as "melanoma cell"
        types = [one for one in desk.ask.mentions.types if one.endswith(" cell")]
    if not types:
        return Reading(unclear="type")
    args: dict[str, Any] = {"cell_type": types[0]}
    args.update(_first(desk, "tissue"), **_first(desk, "species"), **_first(desk, "protocol"))
    numbers = desk.values("number")
    if numbers:
        args["n"] = int(numbers[0])
    return Reading(calls=(("generate_cells", args),))


_PROTOCOLS = {one.lower() for one in PROTOCOLS}


def _drug(desk: _Desk) -> Reading | None:
    if not desk.says(_RESPONDS) or desk.says(_EXPLAINS) or _named_groups(desk):
        return None
    drugs = desk.ask.mentions.likely_drugs
    if not drugs and not desk.says(_COMPARES):
        drugs = desk.ask.mentions.drugs
    elif not drugs:
        return None
    column = {"group_by": desk.ask.mentions.columns[0]} if desk.ask.mentions.columns else {}
    if drugs:
        if desk.says(r"\btarget|what is known|about|how does"):
            return Reading(calls=(("search_knowledge", {"query": drugs[0], "kind": "drug"}),))
        return Reading(calls=(("predict_drug_response", {"drugs": list(drugs), **column}),))
    if desk.says(r"(?:which|what) (?:\w+ )?(?:drugs|compounds)"):
        return Reading(calls=(("predict_drug_response", column),))
    return Reading(unclear="drug")


def _explain(desk: _Desk) -> Reading | None:
    if not desk.says(_EXPLAINS):
        return None
    found = desk.ask.mentions
    many = {"n_genes": int(found.numbers[0])} if found.numbers else {}
    drugs = found.likely_drugs
    if not drugs and not found.types:
        drugs = tuple(
            drug
            for tool, args in desk.before
            for drug in args.get("drugs", ())
            if "predict" in tool
        )
    if drugs:
        return Reading(
            calls=tuple(
                ("explain_cells", {"target": "drug", "label": one, **many}) for one in drugs
            )
        )
    labels = apart(found.types)
    if labels:
        return Reading(calls=tuple(("explain_cells", {"label": one, **many}) for one in labels[:3]))
    return Reading(unclear="type")


def _compare(desk: _Desk) -> Reading | None:
    if not desk.says(_COMPARES) or desk.says(r"own labels|existing labels|in the file|marker"):
        return None
    named = _named_groups(desk)
    if named:
        column, (first, second) = named
        return Reading(
            calls=(("compare_groups", {"column": column, "group_a": first, "group_b": second}),)
        )
    if desk.says(r"groups?|conditions?|arms|treatment"):
        columns = comparable(desk.passport)
        if len(columns) == 1 and columns[0].n_values == 2:
            first, second = columns[0].values[:2]
            args = {"column": columns[0].name, "group_a": first, "group_b": second}
            return Reading(calls=(("compare_groups", args),))
        return Reading(unclear="groups")
    return None


def _named_groups(desk: _Desk) -> tuple[str, tuple[str, str]] | None:
    """The column and two of its values that the words name, in their order."""
    folded = re.sub(r"[^a-z0-9+]+", " ", desk.words)
    for column, values in desk.ask.mentions.groups:
        at = {}
        for value in sorted(values, key=len, reverse=True):
            name = re.sub(r"[^a-z0-9+]+", " ", value.lower()).strip()
            match = re.search(rf"\b{re.escape(name)}\b", folded)
            if match:
                folded = folded[: match.start()] + "#" * len(name) + folded[match.end() :]
                at[value] = match.start()
        if len(at) == 2:
            first, second = sorted(at, key=lambda value: at[value])
            return column, (first, second)
    return None


_KINDS = (
    ("umap", r"\bumap"),
    ("heatmap", r"heat ?map"),
    ("dotplot", r"dot ?plot"),
    ("violin", r"violin"),
    ("composition", r"composition|proportion|how many cells of|fraction of each|cell counts"
    r"|cell number"
     r"|stacked bar"),
)  # fmt: skip


def _plot(desk: _Desk) -> Reading | None:
    kinds = [kind for kind, pattern in _KINDS if desk.says(pattern)]
    if not kinds:
        return None
    named = desk.ask.mentions
    args: dict[str, Any] = {}
    if named.columns:
        donors = [one for one in named.columns if one != "cellwright_cell_type"]
        chosen = donors if "composition" in kinds and donors else named.columns
        args["color_by"] = chosen[-1] if "composition" in kinds else chosen[0]
    genes = named.likely_genes
    if genes:
        args["genes"] = list(genes)
    if desk.says(r"those genes|these genes") and not genes:
        return Reading(unclear="genes")
    return Reading(calls=tuple(("plot_cells", {"kind": kind, **args}) for kind in kinds))


def _figure(desk: _Desk) -> Reading | None:
    """A figure named by its kind, whatever else the words are about."""
    return _plot(desk) if desk.says(r"\bumap|heat ?map|dot ?plot|violin") else None


def _markers(desk: _Desk) -> Reading | None:
    if not desk.says(r"\bmarkers?\b|differential|\bdeg?s?\b|upregulated|distinguish|\bde genes"):
        return None
    if desk.says(r"known markers"):
        return None
    args: dict[str, Any] = {}
    if desk.ask.mentions.columns:
        args["group_by"] = desk.ask.mentions.columns[0]
    elif desk.ask.mentions.types:
        args["groups"] = apart(desk.ask.mentions.types)
    if desk.values("number"):
        args["n_genes"] = int(desk.values("number")[0])
    return Reading(calls=(("find_markers", args),))


def _cell(desk: _Desk) -> Reading | None:
    match = re.search(r"\bcell (?:number |no\.? |#)?(\d+|[acgt]{8,}(?:-\d+)?)\b", desk.words)
    if match is None or desk.says(r"generat"):
        return None
    cell = match.group(1).upper()
    return Reading(calls=(("ask_cell", {"cell": cell, "question": desk.ask.text}),))


def _whole(desk: _Desk) -> Reading | None:
    umap: Call = ("plot_cells", {"kind": "umap"})
    if desk.says(
        r"^\W*(?:please |just )?(?:do |run )?(?:a |the )?(?:full |standard )?analy[sz](?:e"
        r"|is)\b|everything"
        r"|interesting|\banaly[sz]e$"
    ):
        return Reading(calls=(("annotate_cells", {}), umap, ("find_markers", {})))
    if desk.says(r"what cells are|which cells are"):
        return Reading(calls=(("annotate_cells", {}), umap))
    return None


def _annotate(desk: _Desk) -> Reading | None:
    if not desk.says(_ANNOTATES) or desk.says(r"known|literature|look up|background"):
        return None
    args: dict[str, Any] = {}
    if desk.says(r"clusters?\b") and not desk.says(r"umap"):
        args["level"] = "cluster"
    elif desk.says(r"individually|single cell|each cell is|per cell\b"):
        args["level"] = "cell"
    if desk.says(r"only (?:from|among)|choos") and desk.ask.mentions.types:
        args["choices"] = apart(desk.ask.mentions.types)
    return Reading(calls=(("annotate_cells", args),))


def _prepare(desk: _Desk) -> Reading | None:
    if not desk.says(
        r"preprocess|normali[sz]e|\bqc\b|quality control|(?:low|poor)[- ]quality|quality of"
        r"|cluster|leiden|resolution|batch"
    ):
        return None
    args: dict[str, Any] = {}
    found = re.search(r"resolution\D{0,6}(\d+(?:\.\d+)?)", desk.words)
    found = found or re.search(r"(\d+(?:\.\d+)?)", desk.words)
    if found and 0 < float(found.group(1)) <= 10:
        args["resolution"] = float(found.group(1))
    if desk.says(r"batch") and desk.ask.mentions.columns:
        args["batch_key"] = desk.ask.mentions.columns[0]
    return Reading(calls=(("preprocess_dataset", args),))


def _describe(desk: _Desk) -> Reading | None:
    if desk.says(
        r"describ|summar|overview|what is in|what do i have|how many|which species|human or mouse"
    ):
        return Reading(calls=(("describe_dataset", {}),))
    return None


def _search(desk: _Desk) -> Reading | None:
    found = desk.ask.mentions
    if not desk.says(
        r"\bwhat (?:is|are|does|do)\b|function|tell me about|look ?up|search|known|literature"
        r"|background"
        r"|how does"
    ):
        return None
    if found.likely_genes and not desk.says(r"\bdrug\b"):
        return Reading(
            calls=(("search_knowledge", {"query": found.likely_genes[0], "kind": "gene"}),)
        )
    drugs = found.likely_drugs or (found.drugs if desk.says(r"\bdrug\b") else ())
    if drugs:
        return Reading(calls=(("search_knowledge", {"query": drugs[0], "kind": "drug"}),))
    if found.types:
        args = {"query": found.types[0], "kind": "cell_type"}
        return Reading(calls=(("search_knowledge", args),))
    return Reading(unclear="genes") if desk.says(r"\bgene\b") else None


def _by_name(desk: _Desk) -> Reading | None:
    """Nothing but a name: a drug is tried, a gene is looked up. A guess."""
    found = desk.ask.mentions
    if found.likely_drugs:
        drugs = list(found.likely_drugs)
        return Reading(calls=(("predict_drug_response", {"drugs": drugs}),), sure=False)
    if found.likely_genes:
        gene = found.likely_genes[0]
        args = {"query": gene, "kind": "gene"}
        return Reading(calls=(("search_knowledge", args),), sure=False)
    return None


_RULES: tuple[Callable[[_Desk], Reading | None], ...] = (
    _refuse, _match, _same, _generate, _whole, _figure, _explain, _drug, _compare, _cell, _plot,
    _markers, _annotate, _search, _prepare, _describe, _by_name,
)  # fmt: skip


def _first(desk: _Desk, slot: str) -> dict[str, str]:
    values = desk.values(slot)
    return {slot: values[0]} if values else {}


def read_asks(asks: Sequence[Ask], passport: Passport | None) -> list[Reading]:
    """How each ask reads by its keywords, in order."""
    readings: list[Reading] = []
    before: list[Call] = []
    for ask in asks:
        desk = _Desk(ask=ask, passport=passport, before=before, words=ask.english.lower())
        found = (rule(desk) for rule in _RULES)
        reading = next((one for one in found if one is not None), None)
        readings.append(reading or Reading(unclear="goal", sure=False))
        before = [*before, *readings[-1].calls]
    return readings


def draft_of(readings: Sequence[Reading], asks: Sequence[str]) -> PlanDraft:
    """The draft that readings make together; what asks nothing goes with the part behind it."""
    if all(reading.context for reading in readings):
        readings = [Reading(unclear="goal") for _ in readings]
    steps: dict[str, DraftStep] = {}
    refused: list[DraftRefusal] = []
    unclear: list[DraftUnclear] = []
    last: tuple[Call, ...] = ()
    for number, reading in enumerate(readings, start=1):
        if reading.context:
            continue
        numbers = (number, *_context_of(number, readings))
        calls = last if reading.same else reading.calls
        for tool, args in calls:
            merge(steps, DraftStep(tool=tool, args=args, asks=numbers))
        if reading.refusal:
            refused.append(DraftRefusal(asks=numbers, reason=reading.refusal))
        if reading.unclear:
            unclear.append(DraftUnclear(asks=numbers, about=reading.unclear))
        last = calls
    return PlanDraft(
        steps=tuple(steps.values()),
        refused=tuple(refused),
        unclear=tuple(unclear),
        question=question_of(unclear, asks),
    )


def _context_of(number: int, readings: Sequence[Reading]) -> list[int]:
    """Parts that ask nothing and stand before a part; behind it too where it is the last."""
    first = number
    while first > 1 and readings[first - 2].context:
        first -= 1
    last = number if any(not one.context for one in readings[number:]) else len(readings)
    return [*range(first, number), *range(number + 1, last + 1)]


def route(asks: Sequence[str], passport: Passport | None) -> PlanDraft:
    """A plan by keywords alone.

    Args:
        asks: Parts of the request.
        passport: What the data set is.
    """
    known = make_asks(asks, passport)
    return complete(draft_of(read_asks(known, passport), asks), known, passport)
