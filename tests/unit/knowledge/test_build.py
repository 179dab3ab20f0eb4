from pathlib import Path

import numpy as np
import pytest

from cellwright.errors import InputError
from cellwright.knowledge import build as build_module
from cellwright.knowledge import tables, vectors
from cellwright.knowledge.build import TABLE_SOURCES, build, changes
from cellwright.knowledge.records import Evidence
from cellwright.knowledge.sources.cell_ontology import number
from cellwright.settings import Settings


def test_missing_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(InputError, match="cellmarker2_human"):
        build(tmp_path / "in", Settings(), target=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_same_columns_give_same_bytes(tmp_path: Path) -> None:
    columns = {"symbol": ["A", "B"], "n": [1, 2]}
    first = tables.write(tmp_path, "one", columns, {"source": "test"}).read_bytes()
    second = tables.write(tmp_path, "one", columns, {"source": "test"}).read_bytes()
    assert first == second
    assert tables.columns(tables.read("one", tmp_path)) == columns


def test_damaged_and_foreign_tables_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(tables.TableError, match=r"bad\.parquet"):
        tables.read("bad", tmp_path)


def test_every_packaged_table_says_where_it_comes_from() -> None:
    for name in (*TABLE_SOURCES, vectors.NAME, vectors.AXES):
        metadata = tables.read(name).schema.metadata
        assert metadata[b"source"]
        assert metadata[b"licence"]
        assert metadata[b"release"]
    assert {"NCBI Gene", "CellMarker 2.0", "GDSC"} <= tables.sources().keys()


def test_packaged_tables_stay_small() -> None:
    size = sum(one.stat().st_size for one in tables.FOLDER.iterdir())
    assert size < 10e6


def test_vectors_survive_their_packing(tmp_path: Path) -> None:
    full = np.random.default_rng(0).normal(size=(300, 384)).astype(np.float32)
    full[:, :20] *= 20  # most of the variance in few axes, as with real texts
    full /= np.linalg.norm(full, axis=1, keepdims=True)
    vectors.write(tmp_path, [f"gene/{row}" for row in range(300)], full, {})
    packed = vectors.read(tmp_path)
    assert packed.ids[7] == "gene/7"
    likeness = packed.vectors @ packed.project(full[7:8])[0]
    assert int(likeness.argmax()) == 7
    assert likeness.max() > 0.99


class CountedEmbedder:
    """Says how many texts it was given; a vector holds a text's length."""

    def __init__(self) -> None:
        self.texts = 0

    def embed(self, texts: list[str]) -> np.ndarray:
        self.texts += len(texts)
        return np.array([[len(text)] * 4 for text in texts], dtype=np.float32)


def test_an_interrupted_embedding_goes_on(tmp_path: Path) -> None:
    embedder = CountedEmbedder()
    first = build_module._part(tmp_path, ["a", "bb"], embedder)
    (tmp_path / "cut.draft.npy").write_bytes(b"half")
    again = build_module._part(tmp_path, ["a", "bb"], embedder)
    assert embedder.texts == 2
    assert (first == again).all()
    build_module._part(tmp_path, ["a", "bbb"], embedder)
    assert embedder.texts == 4


def test_no_table_holds_prose() -> None:
    """The longest text of a table is a list of names, never a description."""
    names = {"aliases", "previous", "withdrawn", "synonyms", "targets", "indications", "areas"}
    for path in tables.FOLDER.glob("*.parquet"):
        for column, values in tables.columns(tables.read(path.stem)).items():
            if column in names or not isinstance(values[0], str):
                continue
            sentences = [one for one in values if ". " in one and len(one.split()) > 25]
            assert not sentences, f"{path.name} {column}: {sentences[0]}"


def test_citations_name_source_release_and_pmids() -> None:
    one = Evidence(
        text="A fact.",
        source="CellMarker 2.0",
        record_id="GCG / CL:0000171",
        release="2022-07",
        pmids=("31712416",),
        kind="cell_type",
    )
    assert one.cite() == "[CellMarker 2.0 (2022-07); PMID 31712416]"
    more = one.model_copy(update={"pmids": ("1", "2", "3", "4", "5")})
    assert more.cite() == "[CellMarker 2.0 (2022-07); PMID 1, 2, 3 and 2 more]"


def test_ontology_ids_are_numbers() -> None:
    assert number("CL_0000084") == number("CL:0000084") == 84


SOURCES = Path(__file__).parents[3].parent / "shared" / "knowledge"


@pytest.mark.data
@pytest.mark.skipif(not SOURCES.is_dir(), reason="../shared/knowledge is not there")
def test_a_build_makes_the_packaged_tables_byte_for_byte(tmp_path: Path) -> None:
    settings = Settings(cache_dir=tmp_path / "cache")
    said: list[str] = []
    build(SOURCES, settings, target=tmp_path / "out", embed=False, report=said.append)
    for name in TABLE_SOURCES:
        made = (tmp_path / "out" / f"{name}.parquet").read_bytes()
        assert made == (tables.FOLDER / f"{name}.parquet").read_bytes(), name
    assert changes(tables.FOLDER, tmp_path / "out") == ["no fact has changed"]


def test_changes_name_what_came_and_went(tmp_path: Path) -> None:
    drugs = tables.columns(tables.read("drugs"))
    for folder, rows in (("old", slice(0, 10)), ("new", slice(1, 12))):
        (tmp_path / folder).mkdir()
        for name in TABLE_SOURCES:
            columns = tables.columns(tables.read(name))
            cut = {one: values[:5] for one, values in columns.items()}
            tables.write(tmp_path / folder, name, cut, {})
        part = {one: values[rows] for one, values in drugs.items()}
        tables.write(tmp_path / folder, "drugs", part, {})
    (line,) = changes(tmp_path / "old", tmp_path / "new")
    assert line.startswith("drugs: 2 rows new, 1 gone")
