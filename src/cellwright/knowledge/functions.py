"""What human genes do, and how much has been written on each."""

from functools import cached_property
from pathlib import Path
from typing import Any

from cellwright.knowledge import tables

GENES = "gene_functions"
TERMS = "function_terms"


class GeneFunctions:
    """Gene Ontology terms and numbers of publications, by NCBI gene id.

    Args:
        folder: Folder of the compiled tables.
    """

    def __init__(self, folder: Path = tables.FOLDER) -> None:
        self._folder = folder

    def of(self, entrez: int) -> tuple[str, ...]:
        """Return the names of a human gene's terms."""
        return tuple(self._name[one] for one in self._terms.get(entrez, ()))

    def publications(self, entrez: int) -> int:
        """Return how many publications NCBI links to a human gene."""
        return self._publications.get(entrez, 0)

    @cached_property
    def _columns(self) -> dict[str, list[Any]]:
        return tables.columns(tables.read(GENES, self._folder))

    @cached_property
    def _terms(self) -> dict[int, list[int]]:
        return dict(zip(self._columns["entrez"], self._columns["terms"], strict=True))

    @cached_property
    def _publications(self) -> dict[int, int]:
        return dict(zip(self._columns["entrez"], self._columns["publications"], strict=True))

    @cached_property
    def _name(self) -> dict[int, str]:
        columns = tables.columns(tables.read(TERMS, self._folder))
        return dict(zip(columns["id"], columns["name"], strict=True))
