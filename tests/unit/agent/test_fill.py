"""What code makes of an ask whose intent is known, and of asks that lean on others."""

import pytest

from cellwright.agent.completion import complete
from cellwright.agent.desk import Desk, Names
from cellwright.agent.examples import make_asks
from cellwright.agent.fill import FILLERS
from cellwright.agent.followup import take_over
from cellwright.agent.intents import read_by_intent
from cellwright.agent.plan import DraftStep, PlanDraft
from cellwright.agent.reader import ReadAsk
from cellwright.agent.router import Reading, draft_of
from cellwright.agent.sample_passports import PASSPORTS, datasets

DATA = PASSPORTS[0][2]  # human PBMC with cell_type, sample_id and stim


def desk(text: str, **fields) -> Desk:
    return Desk(ask=make_asks([text], DATA)[0], passport=DATA, **fields)


def test_what_asks_nothing_goes_with_the_part_behind_it() -> None:
    readings = [
        Reading(context=True),
        Reading(calls=(("annotate_cells", {}),)),
        Reading(refusal="unsupported"),
        Reading(context=True),
    ]
    draft = draft_of(readings, ["I am new", "annotate", "velocity", "thanks"])
    assert [(one.tool, one.asks) for one in draft.steps] == [("annotate_cells", (2, 1))]
    assert [one.asks for one in draft.refused] == [(3, 4)]


def test_nothing_but_context_is_asked_about() -> None:
    assert draft_of([Reading(context=True)], ["hello"]).unclear[0].about == "goal"


def steps(*calls) -> PlanDraft:
    return PlanDraft(
        steps=tuple(DraftStep(tool=tool, args=args, asks=(at,))
                    for at, (tool, args) in enumerate(calls, 1))
    )  # fmt: skip


def completed(*calls) -> list[tuple[str, dict]]:
    draft = steps(*calls)
    asks = make_asks(["do it"] * len(calls), DATA)
    return [(one.tool, one.args) for one in complete(draft, asks, DATA).steps]


def test_preparations_that_agree_are_one_and_others_are_not() -> None:
    first, second = ("preprocess_dataset", {}), ("preprocess_dataset", {"resolution": 0.5})
    assert completed(first, second) == [second]
    third = ("preprocess_dataset", {"resolution": 2.0})
    assert completed(second, third) == [second, third]
    keep = ("subset_cells", {"groups": ["NK cells"]})
    assert [tool for tool, _ in completed(second, keep, second)] == [
        "preprocess_dataset", "subset_cells", "preprocess_dataset",
    ]  # fmt: skip


def test_a_umap_behind_an_annotation_shows_it() -> None:
    umap = ("plot_cells", {"kind": "umap"})
    made = completed(umap, ("annotate_cells", {}), umap)
    assert made[0] == umap
    assert made[-1][1]["color_by"] == "cellwright_cell_type"


def test_a_violin_takes_the_genes_of_the_ask_near_it() -> None:
    near = Names(genes=["ISG15"])
    reading = FILLERS["violin"](desk("draw violins, one per donor", role="donor", near=near))
    assert reading.calls[0][1] == {"kind": "violin", "genes": ["ISG15"], "color_by": "sample_id"}


def test_more_of_the_type_that_was_named_before() -> None:
    reading = FILLERS["unclear type"](desk("simulate 50 more", near=Names(types=["B cells"])))
    assert reading.calls[0][0] == "generate_cells"
    assert FILLERS["unclear type"](desk("simulate 50 more")).unclear == "type"


@pytest.mark.parametrize(
    ("intent", "text", "fields", "args"),
    [
        ("find", "top eight genes of the NK cells", {}, {"groups": ["NK cells"], "n_genes": 8}),
        ("find", "at 4 pm I need markers of the NK cells", {"unused": frozenset({"4"})},
         {"groups": ["NK cells"]}),
        ("subset", "no B cells please", {"detail": "drop"},
         {"groups": ["B cells"], "column": "cell_type", "drop": True}),
        ("composition", "is the mix alike in everybody?", {"role": "donor"},
         {"kind": "composition", "color_by": "sample_id"}),
        ("compare", "stim against ctrl, NK cells only", {},
         {"column": "stim", "group_a": "stim", "group_b": "ctrl", "within": "NK cells"}),
        ("predict", "which drugs would work?", {}, {}),
        ("predict", "trametnib sensitivity", {}, {"drugs": ["trametinib"]}),
        ("dotplot", "krt5, krt14 and lor as dots", {},
         {"kind": "dotplot", "genes": ["krt5", "krt14", "lor"]}),
        ("preprocess", "0.5 was too coarse, once more at 1.2", {"unused": frozenset({"0.5"})},
         {"resolution": 1.2}),
        ("match", "LUM DCN COL1A1 cells are what?", {}, {"genes": ["LUM", "DCN", "COL1A1"]}),
        ("annotate", "one name per cluster", {"detail": "cluster"}, {"level": "cluster"}),
        ("generate", "two hundred CD8 T cells", {}, {"cell_type": "CD8 T cell", "n": 200}),
    ],
)  # fmt: skip
def test_arguments_come_from_what_the_words_name(intent, text, fields, args) -> None:
    reading = FILLERS[intent](desk(text, **fields))
    assert [made for _, made in reading.calls] == [args]


def test_a_drug_without_a_name_is_asked_for_only_where_one_is_meant() -> None:
    assert FILLERS["unclear drug"](desk("does the inhibitor work?")).unclear == "drug"


@pytest.mark.parametrize(
    ("last", "text", "wanted"),
    [
        (("plot_cells", {"kind": "umap"}), "and now the donors", {"color_by": "sample_id"}),
        (("find_markers", {"groups": ["B cells"]}), "and of the NK cells?",
         {"groups": ["NK cells"]}),
        (("plot_cells", {"kind": "dotplot", "genes": ["CD3D"]}), "add MS4A1",
         {"genes": ["CD3D", "MS4A1"]}),
    ],
)  # fmt: skip
def test_a_follow_up_without_a_verb_changes_the_last_call(last, text, wanted) -> None:
    reading = take_over(Reading(unclear="goal"), desk(text), [last])
    assert reading.calls[0] == (last[0], {**last[1], **wanted})


def read(*asks: ReadAsk, data=DATA, last=()) -> list[Reading]:
    known = make_asks([one.text for one in asks], data)
    return read_by_intent(known, asks, data, last)


def test_an_ask_takes_the_names_that_the_reader_links_to_it() -> None:
    both = ReadAsk(text="look up ISG15 and IFI6", intent="search", share=1.0)
    linked = frozenset({"isg15"})
    for words, genes in (
        ("then both as dots", ["ISG15", "IFI6"]),
        ("the former as dots", ["ISG15"]),
    ):
        dots = ReadAsk(text=words, intent="dotplot", share=1.0, linked=linked)
        assert read(both, dots)[1].calls[0][1]["genes"] == genes
    alone = ReadAsk(text="then dots", intent="dotplot", share=1.0)
    assert "genes" not in read(both, alone)[1].calls[0][1]


def test_a_figure_of_one_donor_is_of_its_cells() -> None:
    data = datasets()["kang_pbmc_ctrl_12261"]
    asked = ReadAsk(text="violins of ISG15 in donor 1488", intent="violin", share=1.0)
    (reading,) = read(asked, data=data)
    subset, violin = reading.calls
    assert subset == ("subset_cells", {"groups": ["1488"], "column": "sample_id"})
    assert violin[1]["genes"] == ["ISG15"]


def test_groups_of_the_asks_before_are_compared() -> None:
    data = datasets()["telencephalon_4474"]
    markers = ReadAsk(text="markers of the glutamatergic neurons", intent="find", share=1.0)
    against = ReadAsk(text="vs gaba", intent="compare", share=1.0)
    pair = read(markers, against, data=data)[1].calls[0][1]
    assert (pair["group_a"], pair["group_b"]) == ("glutamatergic neuron", "GABAergic neuron")
    data = datasets()["kang_pbmc_ctrl_12261"]
    markers = ReadAsk(text="the markers of the CD14 monos", intent="find", share=1.0)
    differ = ReadAsk(text="do those differ from the FCGR3A ones?", intent="compare", share=1.0)
    pair = read(markers, differ, data=data)[1].calls[0][1]
    assert {pair["group_a"], pair["group_b"]} == {"CD14+ Monocytes", "FCGR3A+ Monocytes"}
    data = datasets()["pbmc68k_reduced_700"]
    markers = ReadAsk(text="markers of clusters 3 and 7", intent="find", share=1.0)
    other = ReadAsk(text="and what tells one from the other", intent="compare", share=1.0)
    pair = read(markers, other, data=data)[1].calls[0][1]
    assert (pair["group_a"], pair["group_b"]) == ("3", "7")


def test_groups_are_not_compared_within_one_of_them() -> None:
    data = datasets()["xin2016_islet_674"]
    asked = ReadAsk(
        text="Please to make comparing of alpha cell with beta cell", intent="compare", share=1.0
    )
    pair = read(asked, data=data)[0].calls[0][1]
    assert {pair["group_a"], pair["group_b"]} == {"alpha", "beta"}
    assert "within" not in pair


def test_a_map_by_two_columns_is_two_maps() -> None:
    data = datasets()["pbmc68k_reduced_700"]
    words = "UMAP by louvain and another by bulk_labels"
    asked = ReadAsk(text=words, intent="umap", share=1.0)
    colours = [args["color_by"] for _, args in read(asked, data=data)[0].calls]
    assert colours == ["louvain", "bulk_labels"]


def test_each_of_several_cells_is_asked() -> None:
    asked = ReadAsk(text="what are cells 5, 17 and 30?", intent="ask", share=1.0)
    assert [args["cell"] for _, args in read(asked)[0].calls] == ["5", "17", "30"]


def test_types_are_called_as_the_data_calls_them() -> None:
    data = datasets()["hnscc_ref_180"]
    asked = ReadAsk(text="markers of the Tregs", intent="find", share=1.0)
    assert read(asked, data=data)[0].calls[0][1]["groups"] == ["reg. T cell"]
    data = datasets()["pbmc3k_2638"]
    asked = ReadAsk(text="how do the two kinds of monocytes differ", intent="compare", share=1.0)
    pair = read(asked, data=data)[0].calls[0][1]
    assert {pair["group_a"], pair["group_b"]} == {"CD14+ Mono", "FCGR3A+ Mono"}


@pytest.mark.parametrize(
    ("intent", "text", "last", "calls"),
    [
        ("subset", "just the NK cells", ("plot_cells", {"kind": "umap", "genes": ["ISG15"]}),
         ["subset_cells", "plot_cells"]),
        ("search", "what is it", ("plot_cells", {"kind": "umap", "genes": ["ISG15"]}),
         ["search_knowledge"]),
        ("compare", "set it against the NK cells", ("find_markers", {"groups": ["B cells"]}),
         ["compare_groups"]),
    ],
)  # fmt: skip
def test_a_follow_up_is_about_what_the_turn_before_was_about(intent, text, last, calls) -> None:
    (reading,) = read(ReadAsk(text=text, intent=intent, share=1.0), last=[last])
    assert [tool for tool, _ in reading.calls] == calls
    if intent == "search":
        assert reading.calls[0][1]["query"] == "ISG15"
    if intent == "compare":
        assert {reading.calls[0][1]["group_a"], reading.calls[0][1]["group_b"]} == {
            "B cells",
            "NK cells",
        }


@pytest.mark.parametrize(
    ("text", "detail", "drop"),
    [
        ("drop everything but the B cells", "drop", None),
        ("keep all cells except the B cells", "none", True),
        ("B세포 빼고 다 지워", "drop", None),
        ("without the B cells", "drop", True),
    ],
)
def test_all_but_some_cells(text, detail, drop) -> None:
    asked = ReadAsk(text=text, intent="subset", share=1.0, detail=detail)
    ((tool, args),) = read(asked)[0].calls
    assert (tool, args.get("drop")) == ("subset_cells", drop)
    assert args["groups"] == ["B cells"]


def test_a_follow_up_adds_genes_and_keeps_the_column() -> None:
    data = datasets()["ngp_nutlin_83"]
    last = [("plot_cells", {"kind": "violin", "genes": ["MDM2"], "color_by": "treatment"})]
    asked = ReadAsk(text="CDKN1A도 추가해", intent="violin", share=1.0, column="label")
    ((_, args),) = read(asked, data=data, last=last)[0].calls
    assert args == {"kind": "violin", "genes": ["MDM2", "CDKN1A"], "color_by": "treatment"}
