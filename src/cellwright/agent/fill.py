"""Arguments of an ask whose intent is known, read from what its words name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cellwright.agent.grammar import PROTOCOLS, Ask, slot_values
from cellwright.agent.mentions import COMMON, NEW_LABELS, comparable, singular
from cellwright.agent.router import Call, Reading, Unclear
from cellwright.tools.passport import Column, Passport

_DROPS = re.compile(
    r"\bwithout|\bexclu|\bremov|\bdrop|\bexcept|leave out|left out|\bthrow|\bdiscard|get rid"
    r"|filter out|\bkick|\btake out|\bnot the\b|\bdelete\b|\bdump\b"
)
_ALL_AGAIN = re.compile(r"\ball (?:the )?cells|\bwhole|\bfull data|\beverything|\bentire")
_CHOOSES = re.compile(
    r"\bonly (?:from|among|use|allow)|\bonly\b.*\boptions|\bchoos|\boptions?\b|\brestrict|\beither"
    r"|\bdecide|\bwhether|\bsort .*\binto|\bamong|\bcandidates?\b|\bone of\b|\bor\b"
)
_ANY_DRUG = re.compile(
    r"(?:which|what|any|find|suggest|rank|best|other|list|recommend|propose)\b[\w ]{0,20}"
    r"\b(?:drugs?|compounds?|medicines?|agents?|treatments?|therap\w+|inhibitors?)"
    r"|\b(?:drug|compound)s? (?:candidates?|screen|options|ranking|suggestions?)"
    r"|vulnerab(?!.* to \w+(?:ib|in|el))"
)
_RESPONDS = re.compile(r"respon|sensitiv|resistan|\bdrug|\bkill|efficac|\bic50|\beffect")
_WORDS = """
cell gene marker group type population rest others other everything cluster label line tumor tumour
sample dying dead doublet ok good bad synthetic simulated artificial virtual fake silico new same
single individual low-quality quality all these those my our
"""
_NOT_TYPES = frozenset(_WORDS.split())
_HEAD = re.compile(
    r"(?:cells?|\w+cytes?|\w+blasts?|\w+phages?|\w+phils?|\w*glia\w*|\w*neurons?|platelets?"
    r"|progenitors?|tregs?|epitheli\w+|endotheli\w+|stroma\w*)$"
)
"""How names of cell types end."""
_BEHIND = r"T\b|B\b|NK\b|[Mm]ono|cells?\b|[Mm]acroph|[Mm]yelo|[Nn]aive|[Mm]emory|[Ee]ffector"
"""What makes of a gene before it a cell type, as in 'CD8 T cells'."""


@dataclass(kw_only=True)
class Desk:
    """What a filler sees.

    Attributes:
        ask: The ask.
        passport: What the data set is.
        new_labels: The request annotates the cells first.
        before: Calls read for the asks before it.
        genes_before: Genes that the part before named.
        types_before: The cell type that the part before named, if one.
        words: The words of the ask in English, in lower case.
    """

    ask: Ask
    passport: Passport | None
    new_labels: bool = False
    before: Sequence[Call] = ()
    genes_before: Sequence[str] = ()
    types_before: Sequence[str] = ()
    words: str = field(init=False)

    def __post_init__(self) -> None:
        self.words = self.ask.english.lower()

    def says(self, pattern: str | re.Pattern[str]) -> bool:
        """The words match a pattern."""
        return re.search(pattern, self.words) is not None

    @property
    def genes(self) -> list[str]:
        """Genes named; not values of columns that look like genes."""
        values = {value.lower() for _, value in self.ask.mentions.members}
        drugs = set(self.ask.mentions.likely_drugs)
        named = self.ask.mentions.likely_genes
        columns = {column.name for column in self.passport.columns} if self.passport else set()
        parts = {word for value in values for word in re.findall(r"\w+", value)}
        positive = len(re.findall(r"\w\+(?!\w)", self.ask.english)) > 1
        return [
            one
            for one in named
            if one.lower() not in values | parts
            and one not in drugs
            and one not in columns
            and (
                positive or not re.search(rf"\b{re.escape(one)}\+? (?:{_BEHIND})", self.ask.english)
            )
        ]

    @property
    def meant_genes(self) -> list[str]:
        """Genes named, or those of the part before where this one names none."""
        return self.genes or list(self.genes_before)

    @property
    def meant_types(self) -> list[str]:
        """Cell types named, or the one of the part before that a pronoun stands for."""
        pronoun = self.says(r"\b(?:they|them|these|those|their|it|more|that)\b")
        return self.types or (list(self.types_before) if pronoun else [])

    @property
    def types(self) -> list[str]:
        """Cell types named: labels of the data first, else phrases that end in a cell noun."""
        found = self.members("label")
        spelt = {singular(one.lower()) for one in found}
        for one in self.ask.mentions.types:
            plain = singular(one.lower())
            inside = any(plain in other or other in plain for other in spelt)
            vague = set(plain.split()) & _NOT_TYPES and not re.search(r" cells?$", plain)
            if not inside and _HEAD.search(plain) and not vague and plain not in _NOT_TYPES:
                found.append(one)
        return _separate(found)

    @property
    def any_type(self) -> list[str]:
        """Cell types named, or else a word that may be one."""
        return (
            self.types
            or [
                one
                for one in self.ask.mentions.types
                if not set(one.lower().split()) & (_NOT_TYPES | COMMON)
            ][:1]
        )

    def members(self, *roles: str) -> list[str]:
        """Values of columns of these roles that the words name."""
        columns = {
            one.name for one in (self.passport.columns if self.passport else ())
            if one.role in roles
        }  # fmt: skip
        named = [value for name, value in self.ask.mentions.members if name in columns]
        return list(dict.fromkeys(named))

    def plain_label(self) -> str | None:
        """A label of the data that is a common word, such as 'unknown'."""
        label = self.passport.column("label") if self.passport else None
        values = label.values if label else ()
        return next((one for one in values if self.says(rf"\b{re.escape(one.lower())}\b")), None)

    def column(self, *, but: Sequence[str] = ()) -> str | None:
        """The first column that the words point to."""
        skipped = {one.name for one in (self.passport.columns if self.passport else ())
                   if one.role in but}  # fmt: skip
        if "label" in but:
            skipped.add(NEW_LABELS)
        return next((one for one in self.ask.mentions.columns if one not in skipped), None)

    def arm(self) -> Column | None:
        """The column of conditions whose arms the words name or mean."""
        for column in comparable(self.passport):
            if set(self.members("condition")) & set(column.values):
                return column
        columns = comparable(self.passport)
        if columns and self.says(r"\barms?\b|treated|untreated|treatment|condition|control group"):
            return columns[0]
        return None

    def number(self) -> int | None:
        """How many, where the words say it."""
        members = {value for _, value in self.ask.mentions.members}
        found = [one for one in slot_values("number", self.ask) if one not in members]
        return int(found[0]) if found and 0 < int(found[0]) <= 10_000 else None


Filler = Callable[[Desk], Reading]


def _one(tool: str, **args: Any) -> Reading:
    return Reading(calls=((tool, {name: one for name, one in args.items() if one is not None}),))


def _unclear(about: Unclear) -> Filler:
    return lambda _desk: Reading(unclear=about)


def _refuse(reason: str) -> Filler:
    return lambda _desk: Reading(refusal=reason)


def _annotate(desk: Desk) -> Reading:
    level = None
    if desk.says(r"cluster(?!ed)") and not desk.says(r"ignor\w+ (?:my |the )?cluster|per cell\b"):
        level = "cluster"
    elif desk.says(r"individual|single[- ]cell (?:res|level)|each cell|every cell|cell by cell"
                   r"|per[- ]cell|cell[- ]level|one by one"):  # fmt: skip
        level = "cell"
    types = desk.types if desk.says(_CHOOSES) else []
    return _one("annotate_cells", level=level, choices=types if len(types) > 1 else None)


def _umap(desk: Desk) -> Reading:
    both = desk.says(r"\b(?:both|them|these|those|it|all)\b")
    genes = desk.meant_genes if both else desk.genes
    arm = desk.arm()
    column = desk.column() or (arm.name if arm else None)
    args = {"genes": genes} if genes else {"color_by": column}
    if not genes and desk.says(r"\b(?:the|that|this|those|these) genes?\b"):
        return Reading(unclear="genes")
    return _one("plot_cells", kind="umap", **args)


def _figure(kind: str) -> Filler:
    def fill(desk: Desk) -> Reading:
        genes = desk.genes if kind == "heatmap" else desk.meant_genes
        arm = desk.arm()
        if not genes and desk.says(r"\b(?:the|that|this|those|these) genes?\b"):
            return Reading(unclear="genes")
        column = desk.column() or (arm.name if arm else None)
        if kind == "heatmap" and not genes and column == NEW_LABELS:
            column = None
        return _one("plot_cells", kind=kind, genes=genes or None, color_by=column)

    return fill


def _composition(desk: Desk) -> Reading:
    arm = desk.arm()
    groups = _two_groups(desk)
    if groups and desk.says(r"\bthan\b|differ|compar|more|fewer|higher|lower|enriched|depleted"):
        return _compare(desk)
    column = desk.column(but=("label", "cluster")) or (arm.name if arm else None)
    return _one("plot_cells", kind="composition", color_by=column)


def _markers(desk: Desk) -> Reading:
    types = desk.meant_types
    clusters = desk.members("cluster")
    column = None if types or clusters else desk.column(but=("donor", "batch"))
    return _one(
        "find_markers", group_by=column, groups=types or clusters or None, n_genes=desk.number()
    )


def _explain(desk: Desk) -> Reading:
    drugs = list(desk.ask.mentions.likely_drugs)
    types = [] if drugs else desk.meant_types or desk.any_type
    if not drugs and not types:
        drugs = [one for tool, args in desk.before if tool == "predict_drug_response"
                 for one in args.get("drugs", ())]  # fmt: skip
    n = {"n_genes": desk.number()} if desk.number() else {}
    if drugs:
        calls = [("explain_cells", {"target": "drug", "label": one, **n}) for one in drugs[:3]]
    else:
        calls = [("explain_cells", {"label": one, **n}) for one in types[:3]]
    return Reading(calls=tuple(calls)) if calls else Reading(unclear="type")


def _generate(desk: Desk) -> Reading:
    tissues = [one.lower() for one in desk.ask.mentions.tissues]
    skipped = {*tissues, "human", "mouse", "profile", *(one.lower() for one in PROTOCOLS)}
    types = [_bare(one, skipped) for one in desk.meant_types or desk.any_type]
    types = [one for one in types if one]
    if not types:
        return Reading(unclear="type")
    return _one(
        "generate_cells",
        cell_type=types[0],
        n=desk.number(),
        **{slot: values[0] for slot in ("tissue", "species", "protocol")
           if (values := slot_values(slot, desk.ask))},
    )  # fmt: skip


def _bare(name: str, skipped: set[str]) -> str:
    """A cell type without the words for its tissue, species or making."""
    words = [one for one in name.split() if one.lower() not in skipped]
    return " ".join(words) if {one.lower() for one in words} - {"cell", "cells"} else ""


def _drug(desk: Desk) -> Reading:
    column = desk.column()
    drugs = list(desk.ask.mentions.likely_drugs)
    if not drugs and desk.arm() and desk.says(r"compar|versus|\bvs\b|against|relative|effect of"):
        return _compare(desk)
    if not drugs and desk.says(_ANY_DRUG):
        return _one("predict_drug_response", group_by=column)
    if not drugs:
        found = re.search(
            r"\b(?:to|of|with|against|for) ([a-z][\w-]{4,})\W*$", desk.words.replace("please", "")
        )
        known = {singular(word) for one in desk.types for word in one.lower().split()}
        if found and found.group(1) not in COMMON and singular(found.group(1)) not in known:
            drugs = [found.group(1)]
    if not drugs:
        return Reading(unclear="drug")
    return _one("predict_drug_response", drugs=drugs, group_by=column)


def _compare(desk: Desk) -> Reading:
    named = _two_groups(desk)
    if named is None:
        columns = comparable(desk.passport)
        if len(columns) == 1 and columns[0].n_values == 2:
            named = (columns[0].name, columns[0].values[0], columns[0].values[1])
        elif len(desk.types) == 1 and not columns:
            return _markers(desk)
        else:
            return Reading(unclear="groups")
    column, first, second = named
    types = [one for one in desk.members("label") if one not in {first, second}]
    within = types[0] if len(types) == 1 else None
    if within is None and desk.says(r"(?:per|each|every|within each|by) (?:cell )?(?:type|label)"):
        within = next((one for one in desk.ask.mentions.columns if one != column), None)
    return _one("compare_groups", column=column, group_a=first, group_b=second, within=within)


def _two_groups(desk: Desk) -> tuple[str, str, str] | None:
    """Two values of one column that the words name, or one of two."""
    named: dict[str, list[str]] = {}
    for column, value in desk.ask.mentions.members:
        named.setdefault(column, []).append(value)
    arms = [column.name for column in comparable(desk.passport)]
    for column in sorted(named, key=lambda name: name not in arms):
        if len(named[column]) >= 2:
            return column, named[column][0], named[column][1]
    for one in comparable(desk.passport):
        if one.name in named and one.n_values == 2:
            (first,) = named[one.name]
            return one.name, first, next(value for value in one.values if value != first)
    return None


def _search(desk: Desk) -> Reading:
    drugs, genes = desk.ask.mentions.likely_drugs, desk.genes
    if drugs:
        return _one("search_knowledge", query=drugs[0], kind="drug")
    if genes:
        calls = [("search_knowledge", {"query": one, "kind": "gene"}) for one in genes[:3]]
        return Reading(calls=tuple(calls))
    if desk.any_type:
        return _one("search_knowledge", query=desk.any_type[0], kind="cell_type")
    if desk.says(r"\b(?:drug|treatment|compound|stimul\w+)\b") and comparable(desk.passport):
        return _compare(desk)
    if desk.says(r"\bgene\b|\bit\b|\bthat\b") or not desk.ask.mentions.phrases:
        return Reading(unclear="genes")
    return _one("search_knowledge", query=desk.ask.mentions.phrases[0])


def _match(desk: Desk) -> Reading:
    genes = desk.genes
    if not genes:
        return Reading(unclear="genes")
    tissues = slot_values("tissue", desk.ask)
    return _one("match_markers", genes=genes, tissue=tissues[0] if tissues else None)


def _prepare(desk: Desk) -> Reading:
    found = re.search(r"(?:resolution|res|leiden|louvain|clusters?)\D{0,10}?(\d+(?:\.\d+)?)",
                      desk.words)  # fmt: skip
    found = found or re.search(r"(\d+\.\d+|\bat \d\b)", desk.words)
    resolution = float(found.group(1).replace("at ", "")) if found else None
    if resolution is not None and not 0 < resolution <= 10:
        resolution = None
    batch = None
    if desk.says(r"batch|correct|integrat|harmoni|\bacross\b|regress|\bremove\b"):
        batch = desk.column(but=("label", "cluster"))
    return _one("preprocess_dataset", resolution=resolution, batch_key=batch)


def _cell(desk: Desk) -> Reading:
    found = re.search(r"cells? (?:number |no\.? |nr\.? |#|with index )?(\d+|[acgt]{8,}(?:-\d+)?)\b",
                      desk.words)  # fmt: skip
    if found is None:
        return Reading(unclear="goal", sure=False)
    return _one("ask_cell", cell=found.group(1).upper(), question=desk.ask.text)


def _subset(desk: Desk) -> Reading:
    members = [value for _, value in desk.ask.mentions.members]
    drop = True if desk.says(_DROPS) or desk.says(r"\bout\W*$") else None
    if not members and (plain := desk.plain_label()):
        return _one("subset_cells", groups=[plain], drop=drop)
    if members:
        first = desk.ask.mentions.members[0][0]
        same = [value for column, value in desk.ask.mentions.members if column == first]
        return _one("subset_cells", groups=same, column=first, drop=drop)
    if desk.any_type:
        return _one("subset_cells", groups=desk.any_type, drop=drop)
    if desk.says(_ALL_AGAIN):
        return _one("subset_cells")
    return Reading(unclear="type")


def _that_type(desk: Desk) -> Reading:
    """A type that is not named: the one that the part before was about, if one."""
    if desk.types_before and desk.says(r"\bmore\b|generat|simulat"):
        return _generate(desk)
    if desk.types_before and desk.says(r"\bwhy\b|explain|reason"):
        return _one("explain_cells", label=desk.types_before[0], n_genes=desk.number())
    return Reading(unclear="type")


def _calls(*calls: Call) -> Filler:
    return lambda _desk: Reading(calls=calls)


UMAP: Call = ("plot_cells", {"kind": "umap"})
FILLERS: Mapping[str, Filler] = {
    "annotate": _annotate,
    "umap": _umap,
    "dotplot": _figure("dotplot"),
    "heatmap": _figure("heatmap"),
    "violin": _figure("violin"),
    "composition": _composition,
    "find": _markers,
    "explain": _explain,
    "generate": _generate,
    "predict": _drug,
    "compare": _compare,
    "search": _search,
    "match": _match,
    "preprocess": _prepare,
    "describe": _calls(("describe_dataset", {})),
    "ask": _cell,
    "subset": _subset,
    "whole": _calls(("annotate_cells", {}), UMAP, ("find_markers", {})),
    "who": _calls(("annotate_cells", {}), UMAP),
    "same": lambda _desk: Reading(same=True),
    "context": lambda _desk: Reading(context=True),
    **{f"refuse {one}": _refuse(one) for one in ("unsupported", "irrelevant", "unsafe")},
    "unclear drug": _drug,
    "unclear groups": _compare,
    "unclear type": _that_type,
    "unclear genes": _unclear("genes"),
    "unclear goal": _unclear("goal"),
}
"""How each intent of the plan language gets its arguments."""


def _separate(names: Sequence[str]) -> list[str]:
    """Names that are not parts of one another, in the order found."""
    kept: list[str] = []
    for one in names:
        words = set(singular(one.lower()).split())
        if not any(words <= set(singular(other.lower()).split()) for other in kept):
            kept.append(one)
    return kept


__all__ = ["FILLERS", "Desk"]
