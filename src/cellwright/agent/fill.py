"""Arguments of an ask whose intent is known, read from what its words name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import permutations
from typing import Any

from cellwright.agent.desk import Desk
from cellwright.agent.grammar import PROTOCOLS, slot_values
from cellwright.agent.mentions import COMMON, NEW_CLUSTERS, NEW_LABELS, apart, comparable, singular
from cellwright.agent.names import cell_type_names
from cellwright.agent.router import Call, Reading, Unclear

_ALL_AGAIN = re.compile(r"\ball (?:the )?cells|\bwhole|\bfull data|\beverything|\bentire|\bundo\b")
_CHOOSES = re.compile(
    r"\bonly (?:from|among|use|allow|those|these)|\bonly\b.*\boptions|\bchoos|\boptions?\b"
    r"|\brestrict|\beither|\bdecide|\bwhether|\bsort .*\binto|\bamong|\bcandidates?\b|\bone of\b"
    r"|\bor\b|\bpick|\bneither\b|\blimited?\b|\bonly\b|\bnothing else\b|\bthird option"
)
_NOT_THAT = re.compile(r"\b(?:not|rather|instead|than|wasn't|isn't)\b|而不是|不是|아니|일 줄")
"""Words that set a second cell type apart from the one that is asked about."""
_ORDINALS = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
]
_SETTINGS = re.compile(
    r"(?:resolution|res|leiden|louvain|clusters?|granularity|(?<![a-z])r|@)\D{0,12}?(\d*\.?\d+)"
)
MOST = 6
"""Names that one ask has looked up or explained, at most."""

Filler = Callable[[Desk], Reading]


def _one(tool: str, **args: Any) -> Reading:
    return Reading(calls=((tool, {name: one for name, one in args.items() if one is not None}),))


def _unclear(about: Unclear) -> Filler:
    return lambda _desk: Reading(unclear=about)


def _refuse(reason: str) -> Filler:
    return lambda _desk: Reading(refusal=reason)


def _annotate(desk: Desk) -> Reading:
    level = desk.detail if desk.detail in {"cell", "cluster"} else None
    types = (desk.said_types or desk.types) if desk.says(_CHOOSES) else []
    named = [one for one in desk.ask.mentions.types if singular(one.lower()) in cell_type_names()]
    types = types if len(named) <= len(types) else apart(named)
    return _one("annotate_cells", level=level, choices=types if len(types) > 1 else None)


def _umap(desk: Desk) -> Reading:
    genes = desk.genes or ([] if desk.role else desk.symbols)
    if not genes and desk.points and not desk.role:
        genes = list(desk.near.genes)
    if not genes and desk.says(r"\b(?:the|that|this|those|these) genes?\b"):
        return Reading(unclear="genes")
    if not genes and len(desk.written) > 1:
        figures = ({"kind": "umap", "color_by": one} for one in desk.written[:MOST])
        return Reading(calls=tuple(("plot_cells", one) for one in figures))
    args = {"genes": genes} if genes else {"color_by": _shown_by(desk)}
    return _one("plot_cells", kind="umap", **args)


def _shown_by(desk: Desk) -> str | None:
    """The column by which a figure is parted or coloured."""
    arm = desk.arm()
    return desk.column() or (arm.name if arm else None)


def _figure(kind: str) -> Filler:
    def fill(desk: Desk) -> Reading:
        genes = desk.symbols
        genes = genes or desk.small_genes
        if not genes and (kind == "violin" or desk.points):
            genes = list(desk.near.genes)
        if not genes and desk.says(r"\b(?:the|that|this|those|these) genes?\b"):
            return Reading(unclear="genes")
        column = _shown_by(desk)
        if kind == "heatmap" and not genes and column == NEW_LABELS:
            column = None
        return _one("plot_cells", kind=kind, genes=genes or None, color_by=column)

    return fill


def _composition(desk: Desk) -> Reading:
    column = desk.column(but=("label",))
    if column is None and desk.written:
        column = desk.written[0]
    if column is None:
        column = next((name for role in ("condition", "tissue", "donor", "batch")
                       if (name := desk.groups(role)[0])), None)  # fmt: skip
    arm = desk.arm()
    return _one("plot_cells", kind="composition", color_by=column or (arm.name if arm else None))


def _markers(desk: Desk) -> Reading:
    labels, clusters = desk.members("label"), desk.members("cluster")
    types = labels or (
        [] if clusters else [one for one in desk.types if desk.known(one)] or desk.partial()
    )
    written = desk.written
    column = None
    if clusters and not labels:
        column = desk.groups("cluster")[0]
    elif not types:
        column = desk.column()
    elif labels:
        own, held = (
            desk.passport.column("label") if desk.passport else None,
            desk.groups("label")[0],
        )
        column = held if held in written or own is None or held != own.name else None
    return _one(
        "find_markers", group_by=column, groups=types or clusters or None, n_genes=desk.number()
    )


def _explain(desk: Desk) -> Reading:
    drugs = desk.drugs
    labels = desk.members("label")
    others = [one for one in desk.said_types if set(labels).isdisjoint(desk.kinds_of(one))]
    types = apart([*labels, *others])
    if not types and desk.pronoun:
        types = list(desk.near.types)
    types = [] if drugs else types or desk.any_type
    if len(types) > 1 and _NOT_THAT.search(f"{desk.words} {desk.ask.text}"):
        types = types[:1]
    if not drugs and not types:
        drugs = list(desk.near.drugs) or [
            one
            for tool, args in desk.before
            if tool == "predict_drug_response"
            for one in args.get("drugs", ())
        ]
    if not drugs and not types:
        types = list(desk.near.types)
    n = {"n_genes": desk.number()} if desk.number() else {}
    if drugs:
        calls = [("explain_cells", {"target": "drug", "label": one, **n}) for one in drugs[:MOST]]
    else:
        calls = [("explain_cells", {"label": one, **n}) for one in types[:MOST]]
    return Reading(calls=tuple(calls)) if calls else Reading(unclear="type")


def _generate(desk: Desk) -> Reading:
    tissues = [one.lower() for one in desk.ask.mentions.tissues]
    skipped = {*tissues, "human", "mouse", "profile", *(one.lower() for one in PROTOCOLS)}
    types = [
        _bare(one, skipped) for one in desk.said_types or desk.any_type or list(desk.near.types)
    ]
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


def _predict(desk: Desk) -> Reading:
    """Of the drugs named; of all, where none is."""
    reading = _drug(desk)
    if reading.unclear == "drug":
        return _one("predict_drug_response", group_by=desk.column())
    return reading


def _drug(desk: Desk) -> Reading:
    drugs = desk.drugs or (list(desk.near.drugs) if desk.points else [])
    if not drugs:
        found = re.search(
            r"\b(?:to|of|with|against|for) ([a-z][\w-]{4,})\W*$", desk.words.replace("please", "")
        )
        known = {singular(word) for one in desk.types for word in one.lower().split()}
        named = {value.lower() for _, value in desk.ask.mentions.members} | known
        if found and found.group(1) not in COMMON and singular(found.group(1)) not in named:
            drugs = [found.group(1)]
    if not drugs:
        return Reading(unclear="drug")
    return _one("predict_drug_response", drugs=drugs, group_by=desk.column())


def _compare(desk: Desk) -> Reading:
    named = _two_groups(desk)
    if named is None:
        columns = comparable(desk.passport)
        if len(columns) == 1 and columns[0].n_values == 2:
            named = (columns[0].name, columns[0].values[0], columns[0].values[1])
        elif not columns and (found := desk.treated()):
            named = found
        elif len(desk.types) == 1 and not columns:
            return _markers(desk)
        else:
            return Reading(unclear="groups")
    column, first, second = named
    parts = next((one.role for one in desk.columns if one.name == column), "")
    cells = [one for one in _cells_of(desk) if one not in {first, second}]
    within = None if parts in {"label", "cluster"} else next(iter(cells), None)
    if within is None and desk.says(r"(?:per|each|every|within each|by) (?:cell )?(?:type|label)"):
        within = next((one for one in desk.ask.mentions.columns if one != column), None)
    return _one("compare_groups", column=column, group_a=first, group_b=second, within=within)


def _cells_of(desk: Desk) -> list[str]:
    """The cells within which to compare, where the words name some."""
    return desk.members("label") or desk.partial() or desk.types


def _two_groups(desk: Desk) -> tuple[str, str, str] | None:
    """Two values of one column that the words name, or mean by a telling word of each."""
    for roles in (("condition",), ("tissue", "donor", "batch"), ("label", "cluster")):
        column, values = desk.groups(*roles)
        if len(values) >= 2:
            return _pair(desk, column, values)
    if desk.points_back and desk.pronoun and (found := _with_near(desk)):
        return found
    labels = [value for column in desk.columns if column.role == "label" for value in column.values]
    named = [one for one in desk.types if one in labels]
    both = [*named, *(one for one in desk.partial(but=named) if one not in named)]
    for some in (both, *(desk.kinds_of(one) for one in desk.types)):
        if len(some) == 2 and (found := _of_one_column(desk, list(some))):
            return found
    columns = comparable(desk.passport)
    for role in ("condition", "tissue", "batch", "donor"):
        for one in desk.columns:
            said = {*desk.members(role), *desk.partial((role,))}
            other = role in {"batch", "donor"} and len(columns) == 1
            if one.role == role and one.n_values == 2 and set(one.values) & said and not other:
                return one.name, one.values[0], one.values[1]
    for role in ("batch", "donor") if len(columns) != 1 else ():
        values = desk.groups(role)[1]
        both = [*values, *(one for one in desk.partial((role,), but=values) if one not in values)]
        if len(both) in {2, 3}:
            return _of_one_column(desk, both[:2])
    return (
        (_with_near(desk) if desk.points_back else None)
        or _with_before(desk)
        or _two_clusters(desk)
        or _all_two(desk)
    )


def _with_before(desk: Desk) -> tuple[str, str, str] | None:
    """Groups of the calls before it: 'the markers of 3 and of 7, and compare one to the other'."""
    said: list[str] = []
    for _, args in desk.before:
        named = [*args.get("groups", ()), args.get("label"), args.get("within")]
        said += [one for one in named if isinstance(one, str)]
    for column in desk.columns:
        others = [one for one in dict.fromkeys(said) if one in column.values]
        own = [value for name, value in desk.named if name == column.name] or [
            one for one in column.values if one not in others and _surface_said(one, desk)
        ]
        others = [one for one in others if one not in own]
        if len(own) == 1 and others and desk.says(_TO_BEFORE):
            return column.name, others[-1], own[0]
        if not own and len(others) == 2 and desk.says(_EACH_OTHER):
            return column.name, others[0], others[1]
    return None


def _surface_said(value: str, desk: Desk) -> bool:
    """The protein is said that a label begins with: 'the FCGR3A ones'."""
    protein = re.match(r"([A-Z][A-Z0-9]+)\+", value)
    return protein is not None and desk.says(rf"\b{protein.group(1).lower()}\b")


_TO_BEFORE = re.compile(
    r"^\W*(?:and )?(?:vs|versus|against|compared (?:to|with))\b"
    r"|\b(?:those|these|they|them|it|that)\b.*\b(?:differ|different|distinct|apart)\b"
)
_EACH_OTHER = re.compile(
    r"\bthe(?:se|ose)? two\b|\bthem\b|\beach other\b|\bone (?:\w+ )?(?:the )?other\b|\bboth\b"
)


def _all_two(desk: Desk) -> tuple[str, str, str] | None:
    """Both values of the column that the words want: 'compare the samples with each other'."""
    name = desk.column(but=("label", "cluster"))
    column = next((one for one in desk.columns if one.name == name), None)
    if column is None or column.n_values != 2 or not desk.says(_EACH_OTHER):
        return None
    return column.name, column.values[0], column.values[1]


def _with_near(desk: Desk) -> tuple[str, str, str] | None:
    """The one value named, and one that the turn before was about: 'compare it with CH'."""
    for column in desk.columns:
        values = [value for name, value in desk.named if name == column.name]
        others = [one for one in desk.near.types if one in column.values and one not in values]
        if len(values) == 1 and others:
            return column.name, others[0], values[0]
        if not values and len(others) == 2 and desk.points:
            return column.name, others[0], others[1]
    return None


def _two_clusters(desk: Desk) -> tuple[str, str, str] | None:
    """Two clusters by their bare numbers: 'DE 0 vs 1'."""
    found = re.search(
        r"(?<![\d.])(\d{1,2})\s?(?:vs\.?|versus|against|and|with|-|to|:)\s?(\d{1,2})(?![\d.])",
        desk.words,
    )
    if found is None:
        return None
    pair = found.groups()
    if any(tool == "preprocess_dataset" for tool, _ in desk.before):
        return NEW_CLUSTERS, pair[0], pair[1]
    clusters = [one for one in desk.columns if one.role == "cluster"]
    held = [one.name for one in clusters if set(pair) <= set(one.values)]
    if not clusters and desk.role == "cluster":
        held = [NEW_CLUSTERS]
    return (held[0], pair[0], pair[1]) if held else None


def _of_one_column(desk: Desk, values: list[str]) -> tuple[str, str, str] | None:
    """Two values with the column that has both."""
    holder = next((one for one in desk.columns if set(values) <= set(one.values)), None)
    return (holder.name, values[0], values[1]) if holder and len(values) == 2 else None


def _pair(desk: Desk, column: str, values: list[str]) -> tuple[str, str, str]:
    """Two values that a word such as 'versus' joins, else the first two.

    Of a column that the words write, where it has both.
    """
    joined = [
        [one, other]
        for one, other in permutations(values, 2)
        if re.search(rf"{_name(one)}{_AGAINST}{_name(other)}", desk.words)
    ]
    pair = joined[0] if joined else values[:2]
    return _written_with(desk, pair) or column, pair[0], pair[1]


def _name(value: str) -> str:
    return rf"(?<![a-z0-9]){re.escape(singular(value.lower()))}s?(?![a-z0-9])"


_AGAINST = (
    r"\W+(?:(?:cells?|ones?|group) )?(?:and|or|vs\.?|versus|against|from|with|to|than)\W+(?:the )?"
)


def _then_shown(subset: Reading, desk: Desk) -> Reading:
    """A subset with the figure of it that the same words ask for: 'a UMAP of just the B cells'."""
    kind = next((kind for kind, words in _FIGURES.items() if desk.says(words)), None)
    if desk.drugs or desk.says(_MEDICINES):
        return Reading(calls=(*subset.calls, *_predict(desk).calls))
    if kind is None:
        return subset
    shown = _shown_by(desk)
    args = {"color_by": shown} if shown else {}
    return Reading(calls=(*subset.calls, ("plot_cells", {"kind": kind, **args})))


def on_part(reading: Reading, desk: Desk) -> Reading:
    """A call behind a subset of the cells that its words name and it has no argument for.

    'CD3D as violins in donor 101': the donor's cells, then the figure.
    """
    if len(reading.calls) != 1 or reading.calls[0][0] not in _ON_ALL:
        return reading
    tool, args = reading.calls[0]
    roles = {"donor", "batch", "tissue", "condition"}
    roles |= {"label"} if tool == "predict_drug_response" else set()
    taken = [one for one in args.values() if isinstance(one, str)]
    for column in desk.columns:
        values = [value for name, value in desk.named if name == column.name]
        partly = 0 < len(values) < column.n_values and column.role in roles
        if partly and set(taken).isdisjoint([column.name, *values]):
            subset = ("subset_cells", {"groups": values, "column": column.name})
            return Reading(calls=(subset, *reading.calls))
    return reading


_ON_ALL = frozenset({"plot_cells", "find_markers", "predict_drug_response", "compare_groups"})
_MEDICINES = re.compile(r"\bdrugs?\b|\bcompounds?\b|\bmedicines?\b")
_FIGURES = {
    "composition": r"\bcomposition\b",
    "umap": r"\bumaps?\b|\bembedding\b|\btsne\b|\bmaps?\b|\b(?:plot|draw)\b",
}


def _written_with(desk: Desk, values: list[str]) -> str | None:
    """The column that the words write and that has these values."""
    holders = {one.name for one in desk.columns if set(values) <= set(one.values)}
    return next((one for one in desk.written if one in holders), None)


def _search(desk: Desk) -> Reading:
    drugs, genes, types = desk.drugs, desk.genes, desk.said_types or desk.types or desk.partial()
    if desk.points_back and not drugs and not genes and not types:
        drugs, genes, types = list(desk.near.drugs), list(desk.near.genes), list(desk.near.types)
    calls: list[Call] = [("search_knowledge", {"query": one, "kind": "drug"}) for one in drugs]
    calls += [("search_knowledge", {"query": one, "kind": "gene"}) for one in genes]
    if not calls:
        calls = [("search_knowledge", {"query": one, "kind": "cell_type"}) for one in types]
    if calls:
        return Reading(calls=tuple(calls[:MOST]))
    if desk.says(r"\bgene\b|\bit\b|\bthat\b") or not desk.ask.mentions.phrases:
        return Reading(unclear="genes")
    words = [one for one in desk.ask.mentions.phrases if " " not in one]
    return _one("search_knowledge", query=max(words or desk.ask.mentions.phrases, key=len))


def _match(desk: Desk) -> Reading:
    genes = desk.symbols or list(desk.near.genes)
    if not genes:
        return Reading(unclear="genes")
    tissues = slot_values("tissue", desk.ask)
    return _one("match_markers", genes=genes, tissue=tissues[0] if tissues else None)


def _prepare(desk: Desk) -> Reading:
    left = [one for one in desk.ask.mentions.numbers if one not in desk.unused]
    settings = [f"0{one}" if one.startswith(".") else one for one in _SETTINGS.findall(desk.words)]
    said = [one for one in settings if one in left] or [one for one in left if "." in one]
    resolution = float(said[0]) if said else None
    if resolution is not None and not 0 < resolution <= 10:
        resolution = None
    batch = (
        desk.column(but=("label", "cluster")) if desk.role or _BATCH.search(desk.words) else None
    )
    return _one("preprocess_dataset", resolution=resolution, batch_key=batch)


_BATCH = re.compile(r"batch|correct|integrat|harmoni|\bacross\b|regress|\bremove\b|\bmerge")


_CELL = re.compile(
    r"(?:cells?|index|idx|number|nr\.?|no\.|#|obs|세포|细胞|編號|编号|第)\W{0,3}"
    r"(?:number |no\.? ?|#|=)?(\d+)"
    r"|(\d+) ?(?:번|号|號|th cell)"
)
_MORE_CELLS = re.compile(
    r"(?:\s*(?:,|/|&|and|or|와|과|和)\s*(?:and |cell |#)?\d+(?![\d.]*[A-Za-z%]))+"
)
"""Further numbers of a list of cells."""


def _cell(desk: Desk) -> Reading:
    """A question to each cell named, by barcode or number."""
    words = desk.ask.text
    names = re.findall(r"(?<![A-Za-z0-9])[ACGT]{8,}(?:-\d+)?(?![A-Za-z0-9])", words)
    if not names and (number := _CELL.search(words)):
        more = _MORE_CELLS.match(words, number.end())
        names = re.findall(r"\d+", number.group() + (more.group() if more else ""))
    if not names and (number := re.search(r"(?<![A-Za-z0-9.])(\d+)(?![\d.]*[A-Za-z%])", words)):
        names = [number.group()]
    names = names or [
        str(at) for at, one in enumerate(_ORDINALS, start=1) if desk.says(one)
    ][:1] or list(desk.ask.mentions.numbers[:1])  # fmt: skip
    if not names:
        return Reading(unclear="goal", sure=False)
    asked = ({"cell": name, "question": words} for name in dict.fromkeys(names))
    return Reading(calls=tuple(("ask_cell", one) for one in asked))


_ALL_BUT = re.compile(
    r"\b(?:all|every\w*|any\w*)\b.{0,25}\b(?:but|except|besides|other than|apart from|save)\b"
    r"|以外|之外|이외|(?:빼고|제외하고|말고)\s*(?:다|모두|전부|나머지)"
)
_REMOVES = re.compile(
    r"\b(?:drop|remov|exclud|discard|throw|get rid|delet|out\b|away\b|gone\b|toss|kick)"
    r"|去掉|去除|删|剔|排除|扔|버려|버리|제거|지워|없애|빼 ?줘"
)


def _subset(desk: Desk) -> Reading:
    """Some cells kept, or left out; 'drop all but the B cells' keeps them."""
    drop = True if desk.detail == "drop" else None
    said = f"{desk.words} {desk.ask.text}"
    if _ALL_BUT.search(said):
        drop = None if _REMOVES.search(said) else True
    column, values = desk.groups()
    if values and any(one.name == column and one.role == "label" for one in desk.columns):
        values = [*values, *(one for one in desk.kinds_beside(column) if one not in values)]
    if plain := desk.plain_label():
        return _one("subset_cells", groups=[plain, *desk.beside(plain)], drop=drop)
    if values:
        column = _written_with(desk, values) or column
        return _then_shown(_one("subset_cells", groups=values, column=column, drop=drop), desk)
    meant = desk.partial(("label", "condition", "tissue")) or desk.any_type
    if treated := desk.treated():
        words = [(r"\buntreated\b|\bcontrols?\b", treated[2]), (r"\btreated\b", treated[1])]
        meant = [one for pattern, one in words if desk.says(pattern)][:1] or meant
    if meant:
        return _then_shown(_one("subset_cells", groups=meant, drop=drop), desk)
    if desk.says(_ALL_AGAIN):
        return _one("subset_cells")
    return Reading(unclear="type")


def _that_type(desk: Desk) -> Reading:
    """A type that is not named: the one that an ask near it is about, if one."""
    if desk.near.types and desk.says(r"\bmore\b|generat|simulat"):
        return _generate(desk)
    if desk.near.types and desk.says(r"\bwhy\b|explain|reason"):
        return _one("explain_cells", label=desk.near.types[0], n_genes=desk.number())
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
    "predict": _predict,
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
