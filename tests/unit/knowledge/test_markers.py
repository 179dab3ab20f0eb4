import pytest

from cellwright.errors import InputError
from cellwright.knowledge import Knowledge
from cellwright.settings import Settings

KNOWLEDGE = Knowledge.open(Settings())
MARKERS = KNOWLEDGE.markers


@pytest.mark.parametrize(
    ("genes", "species", "tissue", "identifier"),
    [
        (["CD3D", "CD3E", "IL7R", "TRAC"], "human", None, "CL:0000084"),
        (["NKG7", "GNLY", "KLRD1", "NCAM1"], "human", "PBMC", "CL:0000623"),
        (["MS4A1", "CD79A", "CD79B"], "human", "blood", "CL:0000236"),
        (["Gcg", "Ttr", "Mafb", "Arx"], "mouse", "pancreas", "CL:0000171"),
        (["Ins1", "Ins2", "Iapp"], "mouse", None, "CL:0000169"),
        (["FOXP3", "IL2RA", "CTLA4"], "human", None, "CL:0000815"),
    ],
)
def test_matches(genes: list[str], species: str, tissue: str | None, identifier: str) -> None:
    best, following = MARKERS.match(genes, species, tissue, top=2)
    assert best.ontology_id == identifier
    assert best.score > following.score
    assert 0 < best.margin <= 1
    assert set(best.genes) <= set(genes)
    assert any(one.pmids for one in best.evidence)
    assert all(one.cite().startswith("[") for one in best.evidence)


def test_unknown_genes_match_nothing() -> None:
    assert MARKERS.match(["zzz9"], "human") == []
    assert MARKERS.match([], "human") == []


def test_a_tissue_without_records_is_said_to_be_ignored() -> None:
    best = MARKERS.match(["CD3E"], "human", "the moon")[0]
    assert "no record of the moon" in best.scope


def test_weights_decide_instead_of_ranks() -> None:
    genes = ["CD3E", "MS4A1"]
    first = MARKERS.match(genes, "human", weights=[1, 0.01], top=1)[0]
    second = MARKERS.match(genes, "human", weights=[0.01, 1], top=1)[0]
    assert KNOWLEDGE.ontology.is_a(first.ontology_id, "CL:0000084")
    assert second.ontology_id == "CL:0000236"
    with pytest.raises(InputError, match="1 weights"):
        MARKERS.match(genes, "human", weights=[1])


def test_match_many_agrees_with_match() -> None:
    lists = [["CD3E", "CD3D"], ["zzz9"], ["GCG"]]
    assert MARKERS.match_many(lists, "human", top=3) == [
        MARKERS.match(one, "human", top=3) for one in lists
    ]


def test_records_hold_distinct_pmids_and_related_types() -> None:
    records = MARKERS.records("CD3E", "human", "CL:0000084")
    assert records
    assert len(records[0].pmids) == len(set(records[0].pmids)) > 5
    assert all("CL:" in one.record_id for one in records)
    for one in MARKERS.records("CD3E", "human", "type B pancreatic cell"):
        assert KNOWLEDGE.ontology.related(one.record_id.split(" / ")[1], "CL:0000169")
    assert MARKERS.records("zzz9", "human") == []


def test_no_source_is_counted_through_another() -> None:
    sources = {one.source for one in MARKERS.records("CD3E", "human")}
    assert sources == {"CellMarker 2.0", "Cell Marker Accordion"}
    resources = {name for text in MARKERS._columns["resources"] for name in text.split("|") if name}
    assert resources.isdisjoint({"MSigDB", "CellMarker2.0"})


def test_symbols_are_current_and_no_dates() -> None:
    symbols = set(MARKERS._columns["symbol"])
    assert not [one for one in symbols if one[:1].isdigit() and one.endswith(("Mar", "Sep"))]


def test_symbols_of_a_type_agree_with_its_positive_records() -> None:
    wide = MARKERS.symbols_of("CL:0000895", "human")
    narrow = MARKERS.symbols_of("CL:0000895", "human", broader=False)
    assert narrow < wide
    assert "CD3E" in wide
    for gene in ("CD3E", "CCR7", "MS4A1", "GCG", "ACTB"):
        records = MARKERS.records(gene, "human", "CL:0000895", negative=False)
        assert (gene in wide) == bool(records)
    assert "Cd3e" in MARKERS.symbols_of("CL:0000084", "mouse")


def test_records_of_absence_can_be_left_out() -> None:
    every = MARKERS.records("CD3D", "human", "CL:0000236")
    positive = MARKERS.records("CD3D", "human", "CL:0000236", negative=False)
    assert [one for one in every if "negative" not in one.text] == positive
    assert len(positive) < len(every)
