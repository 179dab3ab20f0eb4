import csv
from importlib import resources
from pathlib import Path

import pytest

from cellwright.errors import InputError
from cellwright.knowledge.cell_names import normal
from cellwright.knowledge.ontology import CellOntology
from cellwright.knowledge.sources.cell_ontology import _wholes

CL = CellOntology()
DATA = Path(__file__).parents[3].parent / "shared" / "data"
TISSUES = {
    "baron": "pancreas",
    "bastidas": "pancreas",
    "mca": "stomach",
    "joost": "skin",
    "wang": "pancreas",
}
BY_HAND_ONLY = {"Smad3", "Igtp", "L5", "L5b", "L6a", "CH", "OS", "RE", "Stem"}


@pytest.mark.parametrize(
    ("text", "identifier"),
    [
        ("T cell", "CL:0000084"),
        ("T lymphocytes", "CL:0000084"),
        ("B", "CL:0000236"),
        ("CD14+ Monocytes", "CL:0001054"),
        ("CD14 Mono", "CL:0001054"),
        ("CD56+ NK", "CL:0000623"),
        ("CD4+/CD25 T Reg", "CL:0000792"),
        ("CD8+/CD45RA+ Naive Cytotoxic", "CL:0000900"),
        ("CD4 TCM", "CL:0000904"),
        ("Naive CD4 T", "CL:0000895"),
        ("beta", "CL:0000169"),
        ("TAC-1", "CL:0009010"),
        ("cDC2", "CL:0002399"),
        ("neutrphils", "CL:0000775"),
        ("0: T cells", "CL:0000084"),
        ("대식세포", "CL:0000235"),
        ("胰岛β细胞", "CL:0000169"),
        ("CL_0000084", "CL:0000084"),
    ],
)
def test_finds_the_term(text: str, identifier: str) -> None:
    match = CL.lookup(text)
    assert match.ontology_id == identifier
    assert match.label == CL.label(identifier)
    assert 0.6 < match.score <= 1


@pytest.mark.parametrize(
    "text", ["unknown", "Doublets", "H1975", "foo bar", "Cluster 3", "12", "", "stellate"]
)
def test_says_none_when_it_is_none(text: str) -> None:
    match = CL.lookup(text)
    assert (match.status, match.ontology_id) == ("none", None)
    assert match.why


def test_tissue_tells_short_forms_apart() -> None:
    assert CL.lookup("stellate", tissue="liver").ontology_id == "CL:0000632"
    assert CL.lookup("stellate", tissue="pancreatic islet, pancreas").ontology_id == "CL:0002410"


def test_alike_labels_of_other_types_are_not_taken() -> None:
    assert CL.lookup("CD8 T cell").ontology_id != CL.lookup("CD4 T cell").ontology_id


def hand_labels() -> dict[tuple[str, str], tuple[str | None, str]]:
    """Term and reason of each label of the measured files, mapped by hand."""
    text = resources.files("cellwright.cellmodel.data").joinpath("labels.tsv").read_text("utf-8")
    return {
        (row["dataset"], row["label"]): (row["term"] or None, row["reason"] or "")
        for row in csv.DictReader(text.splitlines(), delimiter="\t")
        if not row["dataset"].startswith("scad") and ":response" not in row["dataset"]
    }


def test_labels_mapped_by_hand_agree_with_the_ontology() -> None:
    for (_, label), (identifier, reason) in hand_labels().items():
        assert identifier or reason, label
        if identifier:
            assert identifier in CL.ids()


def test_lookup_agrees_with_the_labels_mapped_by_hand() -> None:
    wrong = []
    for (dataset, label), (identifier, _) in hand_labels().items():
        tissue = next((one for name, one in TISSUES.items() if dataset.startswith(name)), None)
        if label not in BY_HAND_ONLY and CL.lookup(label, tissue=tissue).ontology_id != identifier:
            wrong.append((dataset, label))
    assert wrong == []


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not there")
def test_every_label_of_the_measured_files_is_mapped_or_left_out() -> None:
    import anndata

    known = hand_labels()
    for path in sorted(DATA.glob("*.h5ad")):
        obs = anndata.read_h5ad(path, backed="r").obs
        if "cell_type" in obs:
            missing = [
                one for one in set(obs["cell_type"].astype(str)) if (path.stem, one) not in known
            ]
            assert missing == [], path.stem


def test_relations() -> None:
    cd4, cd8, t_cell, nk = "CL:0000624", "CL:0000625", "CL:0000084", "CL:0000623"
    assert CL.is_a(cd4, t_cell)
    assert not CL.is_a(t_cell, cd4)
    assert CL.related(t_cell, cd4)
    assert not CL.related(cd4, cd8)
    assert t_cell in CL.ancestors(cd4)
    assert cd4 not in CL.ancestors(cd4)
    assert CL.common_ancestor([cd4, nk]) == "CL:0000542"
    assert CL.common_ancestor([cd4]) == cd4
    assert CL.common_ancestor([]) is None
    assert CL.distance(cd4, cd4) == 0
    assert CL.distance(cd4, cd8) == 2


def test_unknown_ids_are_refused() -> None:
    with pytest.raises(InputError, match="no term"):
        CL.label("CL:9999999")


def test_normal_forms_agree() -> None:
    assert normal("CD14+ Monocytes") == normal("CD14-positive monocyte")
    assert normal("natural killer cells") == normal("NK")


def test_what_is_reached_through_no_parent_is_a_part() -> None:
    terms = {
        "CL:0000000": {"ancestors": {}},
        "CL:0000001": {"ancestors": {"CL:0000000": 1}},
        "CL:0000002": {"ancestors": {"CL:0000001": 1, "CL:0000000": 2}},
        "CL:0000003": {"ancestors": {"CL:0000000": 3}},
    }
    assert _wholes(terms["CL:0000002"], terms) == []
    assert _wholes(terms["CL:0000003"], terms) == [0]
    (cytoplasm,) = (one for one in CL.ids() if CL.label(one) == "basophilic cytoplasm")
    assert CL.part_of(cytoplasm) == ("CL:0000000",)
    assert CL.part_of("CL:0000084") == ()


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("NK 세포", "natural killer cell"),
        ("조절 T 세포", "regulatory T cell"),
        ("CD4 양성 T 세포", "CD4-positive, alpha-beta T cell"),
        ("CD8 阳性 T 细胞", "CD8-positive, alpha-beta T cell"),
        ("自然殺手細胞", "natural killer cell"),
        ("바나나 세포", None),
    ],
)
def test_korean_and_chinese_are_read_however_spaced(text: str, label: str | None) -> None:
    assert CL.lookup(text).label == label
