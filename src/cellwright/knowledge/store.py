"""Documents, their vectors in Chroma and their words on disk, built on first use and checked."""

import json
import logging
import shutil
import sqlite3
import tempfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from cellwright.artifacts import sha256_file
from cellwright.errors import CellwrightError
from cellwright.knowledge import tables
from cellwright.knowledge.documents import Document
from cellwright.knowledge.words import WordIndex

logger = logging.getLogger(__name__)

COLLECTION = "facts"
MANIFEST = "manifest.json"
BATCH = 4000
DATABASE = "chroma.sqlite3"
DOCUMENTS = "documents"
WORDS = "words.npz"
FIELDS = ("id", "kind", "species", "head", "facts", "prose", "known")


class StoreError(CellwrightError):
    """The vector store cannot be built or read."""


class VectorStore:
    """Documents and their vectors in Chroma.

    A store is built in a folder of its own under a lock and renamed into place, so that an
    interrupted build leaves nothing and two at once do no harm. Its manifest names the content
    that it was built from and the hash of each index file: another content or a damaged file
    means a rebuild.

    Args:
        folder: Where stores are kept.
        content: Hash of the tables that the documents come from.
    """

    def __init__(self, folder: Path, content: str) -> None:
        self._folder = folder
        self._content = content
        self.path = folder / f"chroma-{content[:16]}"
        self._client: Any = None

    def ready(self) -> bool:
        """Whether a sound store of this content is there."""
        try:
            manifest = json.loads((self.path / MANIFEST).read_text(encoding="utf-8"))
            if manifest["content"] != self._content:
                return False
            sound = all(
                sha256_file(self.path / name) == digest
                for name, digest in manifest["files"].items()
            )
            return sound and _sound_database(self.path / DATABASE, manifest["documents"])
        except (OSError, ValueError, KeyError):
            return False

    def build(self, documents: Sequence[Document], vectors: np.ndarray) -> None:
        """Build the store unless a sound one is there.

        Args:
            documents: Documents in the order of the vectors.
            vectors: (N, D) float32, unit length.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self._folder / "build.lock"):
            if self.ready():
                return
            if self.path.exists():
                logger.warning("The knowledge store in %s is damaged and is built anew.", self.path)
            for stale in self._folder.glob(".chroma-*"):  # of builds that were killed
                shutil.rmtree(stale, ignore_errors=True)
            draft = Path(tempfile.mkdtemp(dir=self._folder, prefix=".chroma-"))
            try:
                self._fill(draft, documents, vectors)
                shutil.rmtree(self.path, ignore_errors=True)
                draft.replace(self.path)
            finally:
                shutil.rmtree(draft, ignore_errors=True)

    def documents(self) -> list[Document]:
        """Return the documents that the store was built from, in order, without their links."""
        columns = tables.columns(tables.read(DOCUMENTS, self.path))
        values = zip(*(columns[name] for name in FIELDS), strict=True)
        return [Document(**dict(zip(FIELDS, one, strict=True))) for one in values]

    def words(self) -> WordIndex:
        """Return the index of the documents' words."""
        return WordIndex.load(self.path / WORDS)

    def query(
        self, vector: np.ndarray, *, kind: str | None, species: str | None, top: int
    ) -> list[tuple[str, float]]:
        """Return ids and cosine similarities of the nearest documents.

        Args:
            vector: (D,) unit length.
            kind: Only documents of this kind.
            species: Only documents that hold for this species.
            top: How many.
        """
        wanted: list[dict[str, Any]] = []
        if kind:
            wanted.append({"kind": kind})
        if species:
            wanted.append({"species": {"$in": [species, "both"]}})
        where = {"$and": wanted} if len(wanted) > 1 else (wanted[0] if wanted else None)
        answer = self._collection.query(
            query_embeddings=[vector.tolist()], n_results=top, where=where, include=["distances"]
        )
        pairs = zip(answer["ids"][0], answer["distances"][0], strict=True)
        return [(identifier, 1.0 - float(distance)) for identifier, distance in pairs]

    def close(self) -> None:
        """Let go of the files."""
        if self._client is not None:
            self._client.close()
            self._client = None
        self.__dict__.pop("_collection", None)

    @cached_property
    def _collection(self) -> Any:
        self._client = _client(self.path)
        try:
            return self._client.get_collection(COLLECTION, embedding_function=None)
        except Exception as error:  # chromadb raises its own and sqlite's
            msg = f"The knowledge store in {self.path} cannot be read: {error}. Remove the folder."
            raise StoreError(msg) from error

    def _fill(self, draft: Path, documents: Sequence[Document], vectors: np.ndarray) -> None:
        client = _client(draft)
        try:
            collection = client.create_collection(
                COLLECTION,
                embedding_function=None,
                configuration={
                    "hnsw": {"space": "cosine", "ef_construction": 64, "ef_search": 1000}
                },
            )
            for start in range(0, len(documents), BATCH):
                part = documents[start : start + BATCH]
                collection.add(
                    ids=[one.id for one in part],
                    embeddings=vectors[start : start + BATCH],
                    metadatas=[{"kind": one.kind, "species": one.species} for one in part],
                )
        finally:
            client.close()
        columns = {name: [getattr(one, name) for one in documents] for name in FIELDS}
        tables.write(draft, DOCUMENTS, columns, {"content": self._content}, compression_level=3)
        WordIndex.of(one.searched for one in documents).save(draft / WORDS)
        index = [path for path in draft.rglob("*") if path.is_file() and path.name != DATABASE]
        manifest = {
            "content": self._content,
            "documents": len(documents),
            "files": {str(path.relative_to(draft)): sha256_file(path) for path in sorted(index)},
        }
        (draft / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def _client(path: Path) -> Any:
    import chromadb
    from chromadb.config import Settings

    return chromadb.PersistentClient(str(path), settings=Settings(anonymized_telemetry=False))


def _sound_database(path: Path, documents: int) -> bool:
    try:
        link = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
        try:
            sound = link.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"
            count = link.execute("SELECT count(*) FROM embeddings").fetchone()[0]
        finally:
            link.close()
    except sqlite3.Error:
        return False
    return sound and count == documents
