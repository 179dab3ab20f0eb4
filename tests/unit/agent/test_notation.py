import pytest

from cellwright.agent.notation import read_requests

MAIL = (
    "compound english pi pbmc3k_2638 :: Dear all, name the cells {annotate} (please!), and then "
    "draw INS, GCG {plot kind=umap genes=INS,GCG color_by?=any | unclear}. Thanks"
)


def test_parts_stand_where_their_words_start() -> None:
    (request,) = read_requests(f"# a comment\n\n{MAIL}\n")
    assert request.text == ("Dear all, name the cells (please!), and then draw INS, GCG. Thanks")
    first, second = request.parts
    assert first.start == 0
    assert request.text[second.start :].startswith("please!), and then")
    assert second.fits[0].calls[0].args == {"kind": "umap", "genes": "INS,GCG"}
    assert second.fits[0].calls[0].optional == {"color_by": "any"}
    assert second.fits[1].unclear
    assert request.groups == ("all", "compound", "english", "persona")


def test_a_follow_up_keeps_the_request_before_it() -> None:
    (request,) = read_requests(
        "follow-up korean - none :: UMAP을 그려줘 >> NK 세포만 {subset groups=NK; plot kind=umap}"
    )
    assert (request.earlier, request.text) == ("UMAP을 그려줘", "NK 세포만")
    assert [one.tool for one in request.parts[0].fits[0].calls] == ["subset_cells", "plot_cells"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("annotate the cells", "not a request"),
        ("single english - none :: annotate the cells", "no plan in braces"),
        ("single english - none :: cook {boil}", "no tool is called by 'boil'"),
    ],
)
def test_a_line_that_is_no_request_says_why(line: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_requests(line)
