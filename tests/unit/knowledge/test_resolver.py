from pathlib import Path

import pytest

from cellwright.errors import InputError
from cellwright.knowledge.names import undate, variants
from cellwright.knowledge.resolver import GeneResolver

GENES = GeneResolver()
DATA = Path(__file__).parents[3].parent / "shared" / "data"


@pytest.mark.parametrize(
    ("name", "species", "symbol"),
    [
        ("CD3E", "human", "CD3E"),
        ("cd3e", "human", "CD3E"),
        (" CD3E ", "human", "CD3E"),
        ("ENSG00000198851", "human", "CD3E"),
        ("ENSG00000198851.4", "human", "CD3E"),
        ("hg38_CD3E", "human", "CD3E"),
        ("GRCh38_ENSG00000198851", "human", "CD3E"),
        ("7124", "human", "TNF"),
        ("HGNC:5", "human", "A1BG"),
        ("MGI:87854", "mouse", "Pzp"),
        ("GBA", "human", "GBA1"),
        ("SEPT7", "human", "SEPTIN7"),
        ("7-Sep", "human", "SEPTIN7"),
        ("HLA.A", "human", "HLA-A"),
        ("MT-ND1", "human", "MT-ND1"),
        ("mt-Nd1", "mouse", "mt-Nd1"),
        ("GCG", "mouse", "Gcg"),
        ("Oct4", "mouse", "Pou5f1"),
        ("HLA-DRA", "mouse", "H2-Ea"),
        ("Gm20854_loc1", "mouse", "Gm20854"),
        ("PD-1", "human", "PDCD1"),
        ("CD20", "human", "MS4A1"),
        ("OCT4", "human", "POU5F1"),
        ("p16", "human", "CDKN2A"),
        ("Ki-67", "human", "MKI67"),
        ("KI67", "human", "MKI67"),
        ("IFN-γ", "human", "IFNG"),
        ("A2MR", "human", "LRP1"),
        ("vimentin", "human", "VIM"),
        ("F4/80", "mouse", "Adgre1"),
    ],
)
def test_resolves(name: str, species: str, symbol: str) -> None:
    match = GENES.resolve(name, species)
    assert (match.status, match.symbol) == ("ok", symbol)
    assert match.why


@pytest.mark.parametrize("name", ["PD1", "COX2", "CD16", "p21", "MLL2", "1-Mar"])
def test_names_of_several_genes_are_never_guessed(name: str) -> None:
    match = GENES.resolve(name, "human")
    assert match.status == "ambiguous"
    assert match.symbol is None
    assert len(match.candidates) > 1


def test_unknown_names_come_with_suggestions() -> None:
    match = GENES.resolve("FOXP33", "human")
    assert match.status == "unknown"
    assert "FOXP3" in match.candidates


def test_the_family_of_a_name_is_suggested_first() -> None:
    assert GENES.resolve("CD3", "human").candidates[:3] == ("CD3D", "CD3E", "CD3G")


def test_other_carriers_of_a_name_are_told() -> None:
    assert GENES.resolve("CD20", "human").candidates == ("KRT20",)


def test_withdrawn_entries_say_so() -> None:
    assert "withdrawn by HGNC" in GENES.resolve("A12M1", "human").why


def test_coverage_says_what_became_of_each_name() -> None:
    report = GENES.coverage(["CD3E", "SEPT7", "SEPTIN7", "PD1", "zzz9"], "human")
    assert (report.names, report.resolved, report.genes) == (5, 3, 2)
    assert report.shared == {"SEPTIN7": ("SEPT7", "SEPTIN7")}
    assert set(report.ambiguous["PD1"]) == {"PDCD1", "SNCA", "SPATA2"}
    assert report.unknown == ("zzz9",)
    assert sum(report.ways.values()) == 3


def test_species_is_told_from_the_whole_vocabulary() -> None:
    ercc = [f"ERCC-{number:05d}" for number in range(120)]
    names = [*ercc, *(one for one in GENES.mouse.symbol if one)][:2000]
    assert GENES.identify(names).species == "mouse"


def test_numbers_that_are_no_gene_id_are_unknown() -> None:
    assert GENES.resolve("999999999", "human").status == "unknown"


def test_an_id_of_the_other_species_says_so() -> None:
    assert "another species" in GENES.resolve("ENSMUSG00000030359", "human").why


def test_unknown_species_is_refused() -> None:
    with pytest.raises(InputError, match="human"):
        GENES.resolve("CD3E", "rat")


def test_keys_are_shared_between_species() -> None:
    assert GENES.keys(["Gcg", "Ins1", "Ins2", "Lyz2", "Ly6c1", "zzz9"], "mouse") == [
        "GCG",
        "INS",
        "INS",
        "LYZ",
        "mouse:Ly6c1",
        None,
    ]
    assert GENES.keys(["GCG", "ENSG00000115263"], "human") == ["GCG", "GCG"]


@pytest.mark.parametrize(
    ("key", "symbol"), [("GCG", "Gcg"), ("INS", "Ins2"), ("mouse:Ly6c1", "Ly6c1"), ("XIST", "Xist")]
)
def test_a_key_is_written_in_a_species(key: str, symbol: str) -> None:
    assert GENES.symbol_of_key(key, "mouse") == symbol
    assert GENES.keys([symbol], "mouse") == [key]


def test_resolve_many_keeps_order() -> None:
    found = GENES.resolve_many(["CD3E", "zzz9", "CD8A"], "human")
    assert [one.symbol for one in found] == ["CD3E", None, "CD8A"]


def test_dates_and_r_names_are_undone() -> None:
    assert undate("2021-09-07") == ("SEPT7",)
    assert undate("Mar-01") == ("MARCH1", "MARC1")
    assert undate("CD3E") == ()
    assert variants("AL354822.1") == ()


def mouse_in_capitals() -> list[str]:
    symbols = [one for one in GENES.mouse.symbol if one][::20]
    return [one.upper() for one in symbols]


def test_mouse_in_capitals_is_mouse() -> None:
    report = GENES.identify(mouse_in_capitals())
    assert (report.species, report.scheme) == ("mouse", "symbol")
    assert "only in mouse" in report.species_evidence


@pytest.mark.parametrize(
    ("names", "species", "scheme"),
    [
        (["CD3D", "LYZ", "HLA-DRA", "MS4A1"], "human", "symbol"),
        (["Cd3d", "Lyz2", "H2-Aa", "Ms4a1"], "mouse", "symbol"),
        (["ENSG00000198851", "ENSG00000115263"], "human", "ensembl"),
        (["ENSMUSG00000030359.5", "ENSMUSG00000020804.2"], "mouse", "ensembl_versioned"),
        (["7124", "916", "2641", "3630"], "human", "entrez"),
        (["0", "1", "2", "3", "4"], "unknown", "unknown"),
        (["a word", "another", "text"], "unknown", "unknown"),
        ([], "unknown", "unknown"),
    ],
)
def test_identifies(names: list[str], species: str, scheme: str) -> None:
    report = GENES.identify(names)
    assert (report.species, report.scheme) == (species, scheme)


def test_two_species_in_one_file_are_not_one() -> None:
    names = ["hg38_CD3E", "hg38_LYZ", "mm10_Cd3e", "mm10_Lyz2"]
    assert GENES.identify(names).species == "unknown"


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not there")
@pytest.mark.parametrize(
    ("file", "species", "scheme"),
    [
        ("zilionis_lung_800", "mouse", "symbol"),
        ("scad_PLX4720_A375_z", "human", "entrez"),
        ("tasic_v1_1679x100", "mouse", "symbol"),
        ("wang_islet_501x219", "human", "symbol"),
        ("kang_pbmc_ctrl_12261", "human", "ensembl"),
    ],
)
def test_identifies_measured_files(file: str, species: str, scheme: str) -> None:
    import anndata

    names = list(anndata.read_h5ad(DATA / f"{file}.h5ad", backed="r").var_names)
    report = GENES.identify(names)
    assert (report.species, report.scheme) == (species, scheme)
    assert report.coverage > 0.95
