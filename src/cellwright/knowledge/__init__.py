"""Facts with where each came from: genes, cell types, markers, drugs.

Example:
    >>> from cellwright.knowledge import Knowledge
    >>> from cellwright.settings import Settings
    >>> Knowledge.open(Settings()).genes.keys(["Gcg", "Ins2"], "mouse")
    ['GCG', 'INS']
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cellwright.knowledge import tables
from cellwright.knowledge.ontology import CellOntology
from cellwright.knowledge.records import (
    CellTypeMatch,
    CoverageReport,
    DrugMatch,
    Evidence,
    GeneMatch,
    Kind,
    MarkerMatch,
    NameReport,
)
from cellwright.knowledge.resolver import GeneResolver
from cellwright.settings import Settings

if TYPE_CHECKING:
    import numpy as np

    from cellwright.knowledge.drugs import DrugTable
    from cellwright.knowledge.embedding import TextEmbedder
    from cellwright.knowledge.functions import GeneFunctions
    from cellwright.knowledge.markers import MarkerTable
    from cellwright.knowledge.search import HybridSearch

__all__ = [
    "CellTypeMatch",
    "CoverageReport",
    "DrugMatch",
    "Evidence",
    "GeneMatch",
    "Knowledge",
    "MarkerMatch",
    "NameReport",
]


class Knowledge:
    """Everything that the package knows; opening it costs nothing, parts load when used.

    Attributes:
        settings: Deployment settings.
        folder: Folder of the compiled tables.
        genes: Gene names of human and mouse.
        ontology: Cell types.
    """

    def __init__(self, settings: Settings, folder: Path = tables.FOLDER) -> None:
        self.settings = settings
        self.folder = folder
        self.genes = GeneResolver(folder)
        self.ontology = CellOntology(folder)

    @classmethod
    def open(cls, settings: Settings | None = None) -> Knowledge:
        """Open the packaged knowledge."""
        return cls(settings or Settings())

    @cached_property
    def markers(self) -> MarkerTable:
        """Genes that mark cell types."""
        from cellwright.knowledge.markers import MarkerTable

        return MarkerTable(self.genes, self.ontology, self.folder)

    @cached_property
    def drugs(self) -> DrugTable:
        """Drugs with targets, pathway and mechanism."""
        from cellwright.knowledge.drugs import DrugTable

        return DrugTable(self.folder)

    @cached_property
    def functions(self) -> GeneFunctions:
        """What human genes do."""
        from cellwright.knowledge.functions import GeneFunctions

        return GeneFunctions(self.folder)

    @cached_property
    def _embedder(self) -> TextEmbedder:
        from cellwright.knowledge.embedding import TextEmbedder

        return TextEmbedder(self.settings)

    @cached_property
    def _search(self) -> HybridSearch:
        from cellwright.knowledge.search import HybridSearch

        return HybridSearch(self)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return MiniLM's vectors of texts, (N, 384) float32 of unit length.

        Raises:
            WeightsError: MiniLM is not at hand and cannot be fetched.
        """
        return self._embedder.embed(texts)

    def search(
        self, query: str, kind: Kind | None = None, species: str | None = None, top: int = 10
    ) -> list[Evidence]:
        """Find genes, cell types and drugs by name, words or meaning.

        Args:
            query: Plain language or a name.
            kind: Only records of this kind.
            species: Only records that hold for this species.
            top: How many records to return, best first.
        """
        return self._search.search(query, kind=kind, species=species, top=top)

    def search_ids(self, query: str, kind: str | None = None, top: int = 10) -> list[str]:
        """Return the ids of the documents that ``search`` finds, such as ``gene/GCG``."""
        return self._search.ids(query, kind=kind, top=top)
