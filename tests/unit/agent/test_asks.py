import pytest

from cellwright.agent.asks import MAX_ASKS, split_request
from cellwright.agent.lexicon import TERMS, gloss


@pytest.mark.parametrize(
    ("request_text", "asks"),
    [
        ("annotate the cells", ["annotate the cells"]),
        ("annotate these cells and list markers per cluster",
         ["annotate these cells", "list markers per cluster"]),
        ("heatmap of INS, GCG and SST", ["heatmap of INS, GCG and SST"]),
        ("find markers for alpha and beta cells", ["find markers for alpha and beta cells"]),
        ("generate 1,000 T cells (human, blood)", ["generate 1,000 T cells (human, blood)"]),
        ("difference between Responder and Non-responder",
         ["difference between Responder and Non-responder"]),
        ("make a umap and a heatmap of INS and GCG, markers and composition by donor",
         ["make a umap", "a heatmap of INS and GCG", "markers", "composition by donor"]),
        ("1. annotate 2. UMAP\n3) heatmap", ["annotate", "UMAP", "heatmap"]),
        ("- annotate\n- show a umap; then generate 5 B cells",
         ["annotate", "show a umap", "generate 5 B cells"]),
        ("Hi! I'm a clinician. Which cells are these? Thanks a lot!",
         ["Hi! I'm a clinician. Which cells are these? Thanks a lot!"]),
        ("세포를 주석하고 UMAP을 그려줘", ["세포를 주석하고", "UMAP을 그려줘"]),
        ("注释细胞并画出UMAP图", ["注释细胞", "画出UMAP图"]),
        ("比较Responder和Non-responder的细胞组成", ["比较Responder和Non-responder的细胞组成"]),
    ],
)  # fmt: skip
def test_a_request_is_split_where_an_ask_starts(request_text: str, asks: list[str]) -> None:
    assert split_request(request_text) == asks


def test_the_demo_request_has_seven_parts() -> None:
    request = (
        "Annotate the cells and compare with the file's own labels, show a UMAP, explain which "
        "genes make the monocytes and the B cells, generate 100 CD14 monocytes and check them, "
        "and predict the RNA velocity"
    )
    assert split_request(request) == [
        "Annotate the cells",
        "compare with the file's own labels",
        "show a UMAP",
        "explain which genes make the monocytes and the B cells",
        "generate 100 CD14 monocytes",
        "check them",
        "predict the RNA velocity",
    ]


def test_no_word_of_a_long_request_is_lost() -> None:
    request = ", ".join(f"find markers of GENE{at}" for at in range(40))
    asks = split_request(request)
    assert len(asks) == MAX_ASKS
    joined = " ".join(asks)
    assert all(f"GENE{at}" in joined for at in range(40))


def test_a_blank_request_has_no_parts() -> None:
    assert split_request(" \n ") == []


@pytest.mark.parametrize(
    ("text", "english"),
    [
        ("draw a umap", "draw a umap"),
        ("단핵구 100개를 생성하고", "monocyte 100 generate"),
        ("INS와 GCG의 히트맵을 그려줘", "INS GCG heatmap draw"),
        ("生成50个B细胞", "generate 50 B cell"),
        ("找出每个簇的标记基因", "find per cluster marker genes"),
    ],
)
def test_korean_and_chinese_are_glossed(text: str, english: str) -> None:
    assert gloss(text) == english


def test_every_term_is_glossed_to_its_english() -> None:
    for term, english in TERMS.items():
        assert english in gloss(term), term
