import json
from pathlib import Path

import numpy as np

from cellwright.knowledge.documents import Document
from cellwright.knowledge.store import DATABASE, MANIFEST, VectorStore


def make_documents() -> tuple[list[Document], np.ndarray]:
    documents = [
        Document(id="gene/GCG", kind="gene", species="both", text="GCG: glucagon."),
        Document(id="gene/mouse:Ly6c1", kind="gene", species="mouse", text="Ly6c1."),
        Document(id="drug/Erlotinib", kind="drug", species="both", text="Erlotinib."),
    ]
    return documents, np.eye(3, 8, dtype=np.float32)


def make_store(folder: Path, content: str = "a" * 64) -> VectorStore:
    store = VectorStore(folder, content)
    store.build(*make_documents())
    return store


def test_builds_and_answers(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    _, vectors = make_documents()
    assert store.ready()
    found = store.query(vectors[1], kind=None, species=None, top=2)
    assert found[0][0] == "gene/mouse:Ly6c1"
    assert found[0][1] > 0.99
    human = store.query(vectors[1], kind="gene", species="human", top=3)
    assert [one for one, _ in human] == ["gene/GCG"]
    store.close()


def test_a_damaged_store_is_noticed_and_built_anew(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    (store.path / DATABASE).write_bytes(b"not a database")
    assert not store.ready()
    store.build(*make_documents())
    assert store.ready()


def test_a_store_of_other_content_is_not_taken(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    manifest = json.loads((store.path / MANIFEST).read_text())
    (store.path / MANIFEST).write_text(json.dumps({**manifest, "content": "b" * 64}))
    assert not store.ready()


def test_an_interrupted_build_leaves_nothing_that_counts(tmp_path: Path) -> None:
    (tmp_path / ".chroma-killed").mkdir(parents=True)
    store = VectorStore(tmp_path, "c" * 64)
    assert not store.ready()
    store.build(*make_documents())
    assert store.ready()
    assert not (tmp_path / ".chroma-killed").exists()
