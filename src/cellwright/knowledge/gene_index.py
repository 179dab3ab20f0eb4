"""Look-up tables of one species' genes."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from cellwright.knowledge import tables

Rows = tuple[int, ...]


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
    def by_previous(self) -> dict[str, Rows]:
        """Rows that had a symbol before."""
        return _spread(self._previous)

    @cached_property
    def by_alias(self) -> dict[str, Rows]:
        """Rows that have an alias."""
        return _spread(self._aliases)

    @cached_property
    def by_upper(self) -> dict[str, Rows]:
        """Rows by symbol in upper case."""
        found: dict[str, Rows] = {}
        for symbol, row in self.by_symbol.items():
            upper = symbol.upper()
            found[upper] = (*found.get(upper, ()), row)
        return found

    @cached_property
    def by_upper_alias(self) -> dict[str, Rows]:
        """Rows by alias or previous symbol in upper case."""
        found: dict[str, Rows] = {}
        for source in (self.by_previous, self.by_alias):
            for alias, rows in source.items():
                upper = alias.upper()
                found[upper] = tuple(dict.fromkeys((*found.get(upper, ()), *rows)))
        return found

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """Every symbol, previous symbol and alias in upper case."""
        return frozenset(self.by_upper) | frozenset(self.by_upper_alias)

    def aliases(self, row: int) -> tuple[str, ...]:
        """Previous symbols, then aliases of a gene."""
        text = "|".join(one for one in (self._previous[row], self._aliases[row]) if one)
        return tuple(dict.fromkeys(text.split("|"))) if text else ()

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


def _spread(column: Sequence[str]) -> dict[str, Rows]:
    found: dict[str, Rows] = {}
    for row, text in enumerate(column):
        if text:
            for one in text.split("|"):
                found[one] = (*found[one], row) if one in found else (row,)
    return found
