"""Look-up tables of one species' genes."""

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from cellwright.knowledge import tables

Rows = tuple[int, ...]

SYMBOL, FORMER, ALIAS, LISTED = range(4)
"""What a name is to a gene: its symbol; a symbol that it had; an alias that the nomenclature
committee (HGNC) records; an alias that only NCBI Gene lists."""
RANKS = ("symbol", "previous or withdrawn symbol", "alias", "alias")
Carriers = tuple[tuple[int, int], ...]
"""Rank and row of every gene that carries a name."""

NO_PROTEIN = frozenset({"pseudo", "ncRNA", "snoRNA", "snRNA", "scRNA", "rRNA", "tRNA"})
_GREEK = {"α": "A", "β": "B", "γ": "G", "δ": "D", "ε": "E", "κ": "K", "ζ": "Z"}
_LOOSE = re.compile(r"[^0-9A-Z]+")


class GeneIndex:
    """Genes of one species, by every name that they have.

    Attributes:
        species: ``human`` or ``mouse``.
        symbol: Current symbol by row; empty without one.
        entrez: NCBI gene id by row; 0 without one.
        ensembl: Ensembl numbers by row.
        partner: Row of the gene that stands for it in the other species, or -1.
    """

    def __init__(self, species: str, folder: Path = tables.FOLDER) -> None:
        columns = tables.columns(tables.read(f"genes_{species}", folder))
        self.species = species
        self.symbol: list[str] = columns["symbol"]
        self.entrez: list[int] = columns["entrez"]
        self.ensembl: list[list[int]] = columns["ensembl"]
        self.authority: list[int] = columns["authority"]
        self.name: list[str] = columns["name"]
        self.gene_type: list[str] = columns["gene_type"]
        self.partner: list[int] = columns["partner"]
        self._aliases: list[str] = columns["aliases"]
        self._previous: list[str] = columns["previous"]
        self._folder = folder

    def __len__(self) -> int:
        return len(self.symbol)

    @cached_property
    def by_symbol(self) -> dict[str, int]:
        """Row of each symbol; of homonyms the one that is best described."""
        found: dict[str, int] = {}
        for row, symbol in enumerate(self.symbol):
            if symbol and (symbol not in found or self._rank(row) > self._rank(found[symbol])):
                found[symbol] = row
        return found

    @cached_property
    def by_ensembl(self) -> dict[int, int]:
        """Row of each Ensembl number."""
        return {one: row for row, ids in enumerate(self.ensembl) for one in ids}

    @cached_property
    def by_entrez(self) -> dict[int, int]:
        """Row of each NCBI gene id."""
        return {one: row for row, one in enumerate(self.entrez) if one}

    @cached_property
    def by_authority(self) -> dict[int, int]:
        """Row of each HGNC or MGI number."""
        return {one: row for row, one in enumerate(self.authority) if one}

    @cached_property
    def by_name(self) -> dict[str, Carriers]:
        """Genes that carry a name other than their symbol, as it is written."""
        return _merged(self._other_names())

    @cached_property
    def by_upper(self) -> dict[str, Carriers]:
        """Genes by any of their names in upper case."""
        return _merged((name.upper(), rank, row) for name, rank, row in self._names())

    @cached_property
    def by_loose(self) -> dict[str, Carriers]:
        """Genes by any of their names in ``loose`` form."""
        return _merged((loose(name), rank, row) for name, rank, row in self._names())

    @cached_property
    def by_title(self) -> dict[str, Carriers]:
        """Genes by full name, such as ``granzyme b``."""
        names = ((name.casefold(), SYMBOL, row) for row, name in enumerate(self.name))
        return _merged(names)

    @cached_property
    def upper_symbols(self) -> frozenset[str]:
        """Every symbol in upper case."""
        return frozenset(one.upper() for one in self.by_symbol)

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """Every symbol, previous symbol and alias in upper case."""
        return frozenset(self.by_upper)

    @cached_property
    def withdrawn(self) -> frozenset[str]:
        """Symbols that the nomenclature committee withdrew without naming a successor."""
        return frozenset(self._committee.get(0, ("", "", "", ""))[2].split("|")) - {""}

    def codes(self, row: int) -> bool | None:
        """Whether a gene codes for a protein of its own; None where no source says."""
        if "-" in self.symbol[row] and "readthrough" in self.name[row]:
            return False
        kind = self.gene_type[row]
        return True if kind == "protein-coding" else False if kind in NO_PROTEIN else None

    def aliases(self, row: int) -> tuple[str, ...]:
        """Previous symbols, then the committee's aliases, then other aliases of a gene."""
        _symbol, previous, _withdrawn, aliases = self._committee.get(
            self.authority[row], ("", "", "", "")
        )
        text = "|".join((self._previous[row], previous, aliases, self._aliases[row]))
        return tuple(
            one for one in dict.fromkeys(text.split("|")) if one and one != self.symbol[row]
        )

    def ensembl_id(self, row: int) -> str | None:
        """First Ensembl id of a gene."""
        ids = self.ensembl[row]
        return tables.ensembl_id(ids[0], self.species) if ids else None

    def title(self, row: int) -> str:
        """Symbol of a gene, else whatever names it."""
        return self.symbol[row] or self.ensembl_id(row) or str(self.entrez[row])

    def _rank(self, row: int) -> tuple[bool, bool, bool, int]:
        return (
            bool(self.ensembl[row]),
            bool(self.authority[row]),
            self.gene_type[row] == "protein-coding",
            -row,
        )

    @cached_property
    def _committee(self) -> dict[int, tuple[str, str, str, str]]:
        """Symbol, previous and withdrawn symbols, and aliases of each HGNC number."""
        if self.species != "human":
            return {}
        columns = tables.columns(tables.read("names_human", self._folder))
        fields = (columns[one] for one in ("symbol", "previous", "withdrawn", "aliases"))
        return dict(zip(columns["authority"], zip(*fields, strict=True), strict=True))

    def _names(self) -> Iterator[tuple[str, int, int]]:
        for symbol, row in self.by_symbol.items():
            yield symbol, SYMBOL, row
        yield from self._other_names()

    def _other_names(self) -> Iterator[tuple[str, int, int]]:
        for row, number in enumerate(self.authority):
            if text := self._previous[row]:
                for one in text.split("|"):
                    yield one, FORMER, row
            if number and (names := self._committee.get(number)):
                symbol, previous, withdrawn, aliases = names
                if symbol and symbol != self.symbol[row]:
                    yield symbol, FORMER, row  # newer than the table's, or a rival spelling
                for text, rank in ((previous, FORMER), (withdrawn, FORMER), (aliases, ALIAS)):
                    for one in text.split("|") if text else ():
                        yield one, rank, row
            if text := self._aliases[row]:
                for one in text.split("|"):
                    yield one, LISTED, row


def loose(name: str) -> str:
    """Return a name's letters and digits in upper case, Greek letters as Latin ones.

    >>> loose("TGF-β1"), loose("Ki-67")
    ('TGFB1', 'KI67')
    """
    if not name.isascii():
        for letter, latin in _GREEK.items():
            name = name.replace(letter, latin)
    upper = name.upper()
    return upper if upper.isalnum() and upper.isascii() else _LOOSE.sub("", upper)


def _merged(names: Iterator[tuple[str, int, int]]) -> dict[str, Carriers]:
    """Carriers of each name, each gene once, by its best rank."""
    found: dict[str, Carriers] = {}
    shared: dict[str, list[tuple[int, int]]] = {}
    for name, rank, row in names:
        carrier = (rank, row)
        known = found.setdefault(name, (carrier,))
        if known[0] != carrier:
            shared.setdefault(name, [known[0]]).append(carrier)
    for name, carriers in shared.items():
        best: dict[int, int] = {}
        for rank, row in sorted(carriers):
            best.setdefault(row, rank)
        found[name] = tuple((rank, row) for row, rank in best.items())
    found.pop("", None)
    return found
