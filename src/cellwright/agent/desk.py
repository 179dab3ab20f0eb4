"""What a filler sees of an ask: the names it holds, and those around it that it may mean."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from cellwright.agent.grammar import Ask, slot_values
from cellwright.agent.mentions import (
    COMMON,
    NEW_CLUSTERS,
    NEW_LABELS,
    apart,
    column_for,
    comparable,
    singular,
)
from cellwright.agent.names import cell_type_names, gene_symbols, labels_meant
from cellwright.agent.router import Call
from cellwright.tools.passport import Column, Passport, Role

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
_BEHIND = r"T\b|B\b|NK\b|[Mm]ono|[Mm]acroph|[Mm]yelo|[Nn]aive|[Mm]emory|[Ee]ffector"
"""What makes of a gene before it a cell type, as in 'CD8 T cells'."""
_NEW = re.compile(
    r"\byour (?:own )?(?:calls?|labels?|annotations?|names?|types?)|\bpredicted|\bnew labels?"
)
"""The labels that an annotation of the same request makes."""
_SURFACE = re.compile(r"CD\d+[A-Za-z]{0,2}|FCGR3A")
"""Genes that make a cell type of 'cells' behind them, as in 'CD34 cells'."""


_CONTROL = re.compile(r"(?i)(?:^|[\W_])(?:ctrl|controls?|vehicle|untreated|dmso|mock)(?:$|[\W_])")
"""How groups of untreated cells are named."""
NEAR_ROLES: Mapping[str, tuple[Role, ...]] = {
    "donor": ("donor", "batch"),
    "batch": ("batch", "donor"),
    "condition": ("condition", "tissue"),
    "tissue": ("tissue", "condition"),
}
"""Roles that a column may have for another, where the data set has none of the role itself."""
_PRONOUN = re.compile(
    r"\b(?:they|them|these|those|their|it|its|both|same|either|that|this|also|too|another)\b"
)
MOST_ALIKE = 3
"""Values that one word may stand for, as 'monocytes' for those of two kinds."""


@dataclass(frozen=True, kw_only=True)
class Names:
    """Genes, drugs and cell types that stand near an ask."""

    genes: Sequence[str] = ()
    drugs: Sequence[str] = ()
    types: Sequence[str] = ()


@dataclass(kw_only=True)
class Desk:
    """What a filler sees.

    Attributes:
        ask: The ask.
        passport: What the data set is.
        role: Role of the column that the ask wants, as the reader says; empty for none.
        detail: ``drop``, ``cell`` or ``cluster``, as the reader says.
        unused: Names and numbers, in lower case, that stand in the ask as background.
        new_labels: The request annotates the cells first.
        before: Calls read for the asks before it.
        near: Names of the asks around it, of the nearest one that has any.
        points_back: There is a turn before, of which the names near may be.
        words: The words of the ask in English, in lower case.
    """

    ask: Ask
    passport: Passport | None
    role: str = ""
    detail: str = "none"
    unused: frozenset[str] = frozenset()
    new_labels: bool = False
    before: Sequence[Call] = ()
    near: Names = field(default_factory=Names)
    points_back: bool = False
    words: str = field(init=False)

    def __post_init__(self) -> None:
        self.words = self.ask.english.lower()

    def says(self, pattern: str | re.Pattern[str]) -> bool:
        """The words match a pattern."""
        return re.search(pattern, self.words) is not None

    @property
    def points(self) -> bool:
        """A pronoun, or a request that names nothing, stands for what the turn before was about."""
        return self.points_back and (self.pronoun or not re.search(r"\w{3}", self.words))

    @property
    def pronoun(self) -> bool:
        """The words have one."""
        return self.says(_PRONOUN)

    @property
    def drugs(self) -> list[str]:
        """Drugs named."""
        return [one for one in self.ask.mentions.likely_drugs if one.lower() not in self.unused]

    @property
    def written(self) -> list[str]:
        """Columns whose names the words write."""
        return [one for one in self.ask.mentions.written if one.lower() not in self.unused]

    @property
    def named(self) -> list[tuple[str, str]]:
        """Columns and their values that the words name."""
        return [one for one in self.ask.mentions.members if one[1].lower() not in self.unused]

    @property
    def symbols(self) -> list[str]:
        """Genes named, among them groups that are called as genes are ('Pvalb')."""
        columns = {column.name for column in self.columns}
        values = {value.lower() for _, value in self.named}
        parts = {word for value in values for word in re.findall(r"\w+", value)} - values
        return [
            one
            for one in self.ask.mentions.likely_genes
            if one.lower() not in parts | self.unused and one not in columns
        ]

    @property
    def genes(self) -> list[str]:
        """Genes named; not values of columns that look like genes."""
        values = {value.lower() for _, value in self.named}
        positive = len(re.findall(r"\w\+(?!\w)", self.ask.english)) > 1
        return [
            one
            for one in self.symbols
            if one.lower() not in values and (positive or not self._is_type(one))
        ]

    def _is_type(self, gene: str) -> bool:
        """What stands behind a gene makes it part of a cell type's name."""
        behind = rf"{_BEHIND}|cells?\b" if _SURFACE.fullmatch(gene) else _BEHIND
        return re.search(rf"\b{re.escape(gene)}\+? (?:{behind})", self.ask.english) is not None

    @property
    def columns(self) -> Sequence[Column]:
        """The columns of the data set."""
        return self.passport.columns if self.passport else ()

    @property
    def small_genes(self) -> list[str]:
        """Words in small letters that are symbols of genes, where nothing else names one."""
        symbols = gene_symbols()
        words = (one for one in self.ask.mentions.genes if len(one) > 2)
        return [] if self.symbols else [one for one in words if one.lower() in symbols]

    @property
    def said_types(self) -> list[str]:
        """Known cell types as the words have them, not as the data calls them."""
        known = cell_type_names()
        types = [one for one in self.ask.mentions.types if _is_type_name(one)]
        named = [one for one in types if singular(one.lower()) in known]
        return apart([*(one for one in types if _qualified(one, named)), *named])

    def known(self, kind: str) -> bool:
        """The data has cells of a type, or there is no telling yet."""
        labelled = any(one.role == "label" for one in self.columns)
        return self.new_labels or not labelled or bool(self.kinds_of(kind))

    @property
    def types(self) -> list[str]:
        """Cell types named: labels of the data, else known names, else phrases with a cell noun."""
        labels = self.members("label")
        spelt = [singular(one.lower()) for one in labels]
        known = cell_type_names()
        found: list[str] = []
        for one in self.ask.mentions.types:
            words = set(singular(one.lower()).split())
            if not any(words & set(re.findall(r"[\w+]+", other)) for other in spelt):
                found += [one] if _is_type_name(one) else []
        named = [one for one in found if singular(one.lower()) in known]
        longer = [one for one in found if one not in named and _qualified(one, named)]
        meant = [self._label_of(one) for one in (*longer, *(named or found))]
        return apart(list(dict.fromkeys([*labels, *meant])))

    def _label_of(self, kind: str) -> str:
        """The one label of the data that a cell type's name stands for, else the name itself."""
        meant = self.kinds_of(kind)
        return meant[0] if len(meant) == 1 else kind

    def kinds_of(self, kind: str) -> tuple[str, ...]:
        """Labels of the data that are of a cell type: of a column that has any."""
        return next(
            (
                found
                for one in self.columns
                if one.role == "label" and (found := labels_meant(kind, tuple(one.values)))
            ),
            (),
        )

    def kinds_beside(self, column: str) -> list[str]:
        """Labels of a column that are kinds of a type which the words name by no label."""
        held = next((one.values for one in self.columns if one.name == column), ())
        named = [set(singular(value.lower()).split()) for _, value in self.named]
        others = [
            one for one in self.said_types
            if not any(set(singular(one.lower()).split()) & words for words in named)
        ]  # fmt: skip
        found = [kind for one in others for kind in labels_meant(one, tuple(held))]
        return list(dict.fromkeys(found))

    @property
    def any_type(self) -> list[str]:
        """Cell types named, or else a word that may be one."""
        return (
            self.types
            or self.partial()
            or [
                one
                for one in self.ask.mentions.types
                if not set(one.lower().split()) & (_NOT_TYPES | COMMON)
            ][:1]
        )

    def members(self, *roles: str) -> list[str]:
        """Values that the words name, of one column of these roles: the one with most of them."""
        return self.groups(*roles)[1]

    def groups(self, *roles: str) -> tuple[str, list[str]]:
        """The column of these roles (of any, without roles) of which most values are named."""
        named = {value.lower() for _, value in self.named}
        own = dict.fromkeys(name for name, _ in self.named)
        spelt = {singular(one) for one in named}
        best: tuple[str, list[str]] = ("", [])
        for column in sorted(self.columns, key=lambda one: one.name not in own):
            if roles and column.role not in roles:
                continue
            values = [one for one in column.values if singular(one.lower()) in spelt]
            digits = [one for one in values if one.isdigit() and column.name not in own]
            if len(values) - len(digits) > len(best[1]):
                best = (column.name, [one for one in values if one not in digits])
        order = {value.lower(): at for at, (_, value) in enumerate(self.named)}
        return best[0], sorted(best[1], key=lambda one: order.get(one.lower(), len(order)))

    def partial(self, roles: Collection[str] = ("label",), but: Sequence[str] = ()) -> list[str]:
        """Values of which a telling word is said: 'CD4' for 'CD4 T cells', 'tumour' for 'tumor'."""
        words = self.words.replace("tumour", "tumor")
        said = {singular(one) for one in re.findall(r"[a-z0-9+]+", words)}
        said -= {singular(word) for one in but for word in re.findall(r"[a-z0-9+]+", one.lower())}
        order = {role: at for at, role in enumerate(roles)}
        holders = [one for one in self.columns if one.role in order]
        for column in sorted(holders, key=lambda one: order[one.role]):
            parts = {
                value: {singular(one) for one in re.findall(r"[a-z0-9+]+", value.lower())}
                - _NOT_TYPES
                for value in column.values
                if value not in but
            }
            shared = Counter(word for words in parts.values() for word in words)
            telling = {one for one in said if len(one) > 2 and 0 < shared[one] <= MOST_ALIKE}
            telling |= {  # 'mono' of a label, where monocytes are spoken of
                short
                for short, count in shared.items()
                if len(short) > 3 and count <= MOST_ALIKE and any(_cut(one, short) for one in said)
            }
            found = [value for value, words in parts.items() if words & telling - COMMON]
            if found:
                return found
        return []

    def plain_label(self) -> str | None:
        """A label of the data that is a common word, such as 'unknown'."""
        label = self.passport.column("label") if self.passport else None
        common = [one for one in (label.values if label else ()) if one.lower() in COMMON]
        return next((one for one in common if self.says(rf"\b{re.escape(one.lower())}\b")), None)

    def beside(self, value: str) -> list[str]:
        """Other values that the words name, of the column that has a value."""
        spelt = {singular(one.lower()) for _, one in self.named}
        return [
            one
            for column in self.columns
            if column.role == "label" and value in column.values
            for one in column.values
            if singular(one.lower()) in spelt and one != value
        ]

    def column(self, *, but: Sequence[str] = ()) -> str | None:
        """The column that the ask wants.

        One whose name the words write; else one of the role that the reader saw, by its name where
        the words say that; else one of which they name a value or two.
        """
        skipped = {one.name for one in self.columns if one.role in but}
        literal = [one for one in self.written if one not in skipped]
        if literal:
            return literal[0]
        if self.new_labels and "label" not in but and self.says(_NEW):
            return NEW_LABELS
        if self.role and self.role not in but:
            if self.role == "cluster" and any(
                tool == "preprocess_dataset" for tool, _ in self.before
            ):
                return NEW_CLUSTERS
            if named := self._naming(self.role) or self._treatment():
                return named
            called = [
                name for name in self.ask.mentions.columns if self._has_role(name, (self.role,))
            ]
            roles = NEAR_ROLES.get(self.role, (self.role,))
            return next(iter(called), None) or column_for(
                roles,  # type: ignore[arg-type] # roles of the reader are roles of columns
                self.passport,
                new_labels=self.new_labels,
            )
        return self._implied()

    def _naming(self, role: str) -> str | None:
        """The column of a role, or one near it, whose values the words name, in full or in part."""
        roles = NEAR_ROLES.get(role, (role,))
        if held := self.groups(*roles)[0]:
            return held
        if sum(one.role in roles for one in self.columns) > 1 and role != "label":
            found = self.partial(roles)
            return next(
                (one.name for one in self.columns if found and found[0] in one.values), None
            )
        return None

    def _treatment(self) -> str:
        """Where a condition is wanted and no column is one: that of treated cells and controls."""
        found = self.role == "condition" and not comparable(self.passport) and self.treated()
        return found[0] if found else ""

    def _has_role(self, name: str, roles: Collection[str]) -> bool:
        return any(one.name == name and one.role in roles for one in self.columns)

    def _implied(self) -> str | None:
        """The column of which at least two values are named."""
        for role in ("condition", "tissue", "donor", "batch"):
            name, values = self.groups(role)
            if len(values) > 1:
                return name
        return None

    def arm(self) -> Column | None:
        """The column of conditions whose arms the words name or mean."""
        for column in comparable(self.passport):
            if set(self.members("condition")) & set(column.values):
                return column
        columns = comparable(self.passport)
        if columns and self.says(r"\barms?\b|treated|untreated|treatment|condition|control group"):
            return columns[0]
        return None

    def treated(self) -> tuple[str, str, str] | None:
        """A column of two values of which one is named as controls are, with both."""
        for column in self.columns:
            control = next((one for one in column.values if _CONTROL.search(one)), None)
            if control and column.n_values == 2:
                other = next(one for one in column.values if one != control)
                return column.name, other, control
        return None

    def number(self) -> int | None:
        """How many, where the words say it; 'the same number' is that of the call before."""
        if self.says(r"\b(?:same|that) (?:number|many)\b|\bas many\b"):
            said = [args.get("n_genes", args.get("n")) for _, args in reversed(self.before)]
            return next((int(one) for one in said if one), None)
        members = {value for _, value in self.named}
        numbers = slot_values("number", self.ask)
        found = [one for one in numbers if one not in members and one not in self.unused]
        # 'one' is mostly an article: of a gene, 'the top 1' is meant.
        least = 0 if self.says(r"\b(?:top|best|single|only)\b") else 1
        return int(found[0]) if found and least < int(found[0]) <= 10_000 else None


def _cut(word: str, short: str) -> bool:
    """One is the beginning of the other, a word cut short."""
    return len(word) > len(short) + 2 and word.startswith(short) and _HEAD.search(word) is not None


def _is_type_name(name: str) -> bool:
    """The ontology has the name, or it ends as names of cell types do."""
    plain = singular(name.lower())
    if plain in _NOT_TYPES:
        return False
    words = set(plain.split()[:-1] if plain.endswith(" cell") else plain.split())
    headed = not words & _NOT_TYPES and _HEAD.search(plain) is not None
    return headed or plain in cell_type_names()


def _qualified(name: str, known: Sequence[str]) -> bool:
    """A known name behind a surface protein: 'CD4 T cell'."""
    first, _, rest = name.partition(" ")
    return rest in known and _SURFACE.fullmatch(first.rstrip("+-")) is not None
