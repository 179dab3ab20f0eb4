from cellwright.cellmodel.labels import LabelRecord, LabelSpace, tissue_groups


def make_space() -> LabelSpace:
    def record(name: str, tissue: str, *broader: str, species: str = "human") -> LabelRecord:
        return LabelRecord(
            name=name,
            ontology_id="",
            species=(species,),
            tissues=(tissue,),
            n_cells=9,
            aliases=(name.upper() + "S",),
            broader=broader,
        )

    return LabelSpace(
        (
            record("T cell", "lung", species="mouse"),
            record("CD4 T cell", "peripheral blood", "T cell"),
            record("CD14-positive monocyte", "peripheral blood"),
            record("pancreatic beta cell", "pancreatic islet"),
        )
    )


def test_find_reads_aliases_and_plurals() -> None:
    space = make_space()
    assert space.find("cd4 t cells") == 1
    assert space.find("nothing") is None


def test_related_follows_broader_both_ways() -> None:
    related = make_space().related
    assert related[0, 1]
    assert related[1, 0]
    assert not related[1, 2]


def test_a_broad_label_stands_for_its_narrower_types() -> None:
    space = make_space()
    assert space.members("T cell") == (0, 1)
    assert space.members("monocytes") == (2,)
    assert space.members("cell") == ()
    assert space.members("astrocyte") == ()


def test_tissue_narrows_candidates() -> None:
    space = make_space()
    assert space.default_candidates("human", "PBMC") == (1, 2)
    assert space.default_candidates("human", None) == (1, 2, 3)
    assert space.default_candidates("human", "moon rock") == (1, 2, 3)
    assert tissue_groups("lung adenocarcinoma cell lines") == {"cell line"}
