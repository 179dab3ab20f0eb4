import pytest

from cellwright.agent.examples import make_asks
from cellwright.agent.mentions import find_mentions, numbers
from cellwright.agent.names import cell_type_names, drug_named, eastern_types, labels_meant
from cellwright.agent.sample_passports import PASSPORTS, datasets

DATA = PASSPORTS[0][2]


@pytest.mark.parametrize(
    ("text", "genes"),
    [
        ("Ins2/Gcg/Ghrl/Sst dotplot", ("Ins2", "Gcg", "Ghrl", "Sst")),
        ("krt10 krt1 and ivl, what cell is this", ("krt10", "krt1", "ivl")),
        ("EGFR, ALK, MET in the lines", ("EGFR", "ALK", "MET")),
        ("MS4A1 CD19 CD79B를 가진 세포", ("MS4A1", "CD19", "CD79B")),
        ("we met at the UMAP and she said QC", ()),
        ("does IL17A-RORC-CCR6 return them", ("IL17A", "RORC", "CCR6")),
    ],
)
def test_genes_are_words_that_the_tables_have(text: str, genes: tuple[str, ...]) -> None:
    assert find_mentions(text, None).likely_genes == genes


def test_drugs_are_found_misspelt_and_by_family() -> None:
    assert drug_named("trametnib") == "trametinib"
    assert drug_named("nutlin") == "nutlin"
    assert drug_named("question") is None
    assert drug_named("erlotinb") == "erlotinib"
    assert drug_named("capmatinib") != "apatinib"
    assert find_mentions("5-FU or idasanutlin", None).likely_drugs == ("5-FU", "idasanutlin")


def test_numbers_come_as_digits_and_as_words() -> None:
    said = "1k cells, about thirty, res .5, two hundred, a dozen, Smart-seq2, at point four"
    assert sorted(digits for *_, digits in numbers(said)) == sorted(
        ["1000", "0.5", "30", "200", "12", "0.4"]
    )


@pytest.mark.parametrize(
    ("data", "text", "members"),
    [
        ("pbmc68k_reduced_700", "clusters 0, 4 and 9, 6 genes", ["0", "4", "9"]),
        ("pbmc68k_reduced_700", "per cluster, 6 genes", []),
        ("kang_pbmc_ctrl_12261", "1015 next to 107", ["1015", "107"]),
        ("he2020_liver_demo_20", "without the macrofages", ["Macrophage"]),
        ("zilionis_lung_800", "neutro markers", ["Neutrophils"]),
        ("telencephalon_4474", "glut vs gaba", ["glutamatergic neuron", "GABAergic neuron"]),
        ("kang_pbmc_ctrl_12261", "CD14 monos", ["CD14+ Monocytes"]),
        ("kang_pbmc_ctrl_12261", "monos", []),
        ("kang_pbmc_ctrl_12261", "CD14 on the UMAP", []),
    ],
)
def test_values_are_found_as_numbers_and_misspelt(data, text, members) -> None:
    found = find_mentions(text, datasets()[data]).members
    assert [value for _, value in found] == members


@pytest.mark.parametrize(
    ("data", "text", "column"),
    [
        ("zilionis_lung_800", "is it stable? violins with Run on the x axis", "Run"),
        ("zilionis_lung_800", "use Library.prep.batch.", "Library.prep.batch"),
        ("joost_skin_720", "UMAP by annotation", "annotation"),
        ("joost_skin_720", "annotation, please", None),
        ("scad_PLX4720_A375_z", "predict the response to erlotinib", None),
    ],
)
def test_columns_are_written_by_name_or_as_a_column(data, text, column) -> None:
    assert find_mentions(text, datasets()[data]).written[:1] == ((column,) if column else ())


def test_cell_types_have_names_in_three_languages() -> None:
    assert "mast cell" in cell_type_names()
    assert eastern_types()["巨核细胞"] == "megakaryocyte"


def test_ranges_and_shared_heads_name_every_value() -> None:
    known = datasets()
    (ask,) = make_asks(["keep N1 to N3 for now"], known["zilionis_lung_800"])
    assert {value for _, value in ask.mentions.members} == {"N1", "N2", "N3"}
    (ask,) = make_asks(["leave the pit, parietal and chief cells in"], known["mca_gut_1871"])
    assert {value for _, value in ask.mentions.members} == {
        "Pit cell",
        "Parietal cell",
        "Chief cell",
    }
    (ask,) = make_asks(["erlotinib+gefitinib, top5"], known["mixology_celseq2"])
    assert ask.mentions.likely_drugs == ("erlotinib", "gefitinib")
    assert ask.mentions.numbers == ("5",)


def test_a_type_stands_for_the_labels_of_its_term_else_of_its_kinds() -> None:
    values = ("CD14+ Mono", "FCGR3A+ Mono", "reg. T cell", "NK")
    assert labels_meant("Treg", values) == ("reg. T cell",)
    assert labels_meant("monocyte", values) == ("CD14+ Mono", "FCGR3A+ Mono")
    assert labels_meant("hepatocyte", values) == ()


def test_korean_counts_are_numbers() -> None:
    (ask,) = make_asks(["마커 다섯 개만"], None)
    assert ask.mentions.numbers == ("5",)
