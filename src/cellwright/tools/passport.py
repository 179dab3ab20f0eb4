"""The passport of a data set: what it is, each statement with its evidence."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from cellwright.tools.spec import MatrixState

Species = Literal["human", "mouse", "unknown"]
Scheme = Literal["symbol", "ensembl", "ensembl_versioned", "entrez", "unknown"]
Role = Literal["label", "cluster", "donor", "batch", "condition", "tissue", "protocol", "species"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Statement(_Record):
    """Something the passport says.

    Attributes:
        value: What is said.
        evidence: What in the file says so, in one sentence.
        confidence: 0 to 1.
    """

    value: str
    evidence: str
    confidence: float = Field(ge=0, le=1)


class Matrix(_Record):
    """One expression matrix of the file.

    Attributes:
        slot: ``X``, ``raw`` or ``layers/NAME``.
        state: What it holds.
        n_genes: Its number of genes (raw may have more than X).
        evidence: What says so.
    """

    slot: str
    state: MatrixState
    n_genes: int
    evidence: str


class Column(_Record):
    """A column of obs that plays a part.

    Attributes:
        name: Its name.
        role: The part.
        n_values: Number of distinct values.
        values: The most frequent values as text, at most 40.
        evidence: What says so.
    """

    name: str
    role: Role
    n_values: int
    values: tuple[str, ...]
    evidence: str


class Passport(_Record):
    """What a data set is.

    Attributes:
        file: Name of the user's file.
        sha256: Checksum of the file (of the sorted contents, for a folder).
        n_cells: Cells.
        n_genes: Genes.
        species: ``human``, ``mouse`` or ``unknown``.
        identifiers: Scheme of the gene names.
        tissue: Tissue, as the file says, or ``unknown``.
        protocol: Protocol, as the file says, or ``unknown``.
        matrices: Every matrix, X first.
        best: Slot that tools read: counts before log1p before TPM; empty when none will do.
        columns: Columns of obs that play a part.
        coverage: Share of genes that the resolver knows.
        model_coverage: Share of the cell model's genes that the file measured.
        duplicated_genes: Number of gene names that occur more than once.
        embeddings: Keys of obsm.
        prepared: What ``preprocess_dataset`` has made so far.
        warnings: What a careful reader should know.
    """

    file: str
    sha256: str
    n_cells: int
    n_genes: int
    species: Statement
    identifiers: Statement
    tissue: Statement
    protocol: Statement
    matrices: tuple[Matrix, ...]
    best: str
    columns: tuple[Column, ...]
    coverage: float
    model_coverage: float
    duplicated_genes: int = 0
    embeddings: tuple[str, ...] = ()
    prepared: frozenset[Literal["clusters", "umap"]] = frozenset()
    warnings: tuple[str, ...] = ()

    @property
    def state(self) -> MatrixState:
        """State of the matrix that tools read; ``scaled`` or ``unknown`` when none will do."""
        for matrix in self.matrices:
            if matrix.slot == self.best:
                return matrix.state
        return self.matrices[0].state

    def column(self, *roles: Role) -> Column | None:
        """The first column with one of these roles, in the order of the roles."""
        for role in roles:
            for column in self.columns:
                if column.role == role:
                    return column
        return None
