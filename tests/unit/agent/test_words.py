from cellwright.agent.document import compose
from cellwright.agent.report import check_markdown, render_html, render_markdown
from cellwright.agent.words import language_of, saying
from tests.unit.agent.test_report import run
from tests.unit.agent.toys import bench as bench
from tests.unit.agent.toys import toys as toys


def test_the_language_is_that_of_the_request() -> None:
    assert language_of("annotate the cells") == "english"
    assert language_of("CD3D UMAP 그려줘") == "korean"
    assert language_of("画出UMAP") == "chinese"


def test_fixed_words_follow_the_language_and_unknown_ones_stay() -> None:
    assert saying("chinese")("References") == "参考文献"
    assert saying("korean")("Leiden") == "Leiden"
    assert saying("english")("References") == "References"


def test_a_korean_request_gets_korean_headings_and_checked_findings(bench) -> None:
    state = {**run(bench, "count_letters", word="gene"), "request": "글자 수를 세어 주세요"}
    document = compose(state, bench)
    text = render_markdown(document)
    assert "## 요약" in text
    assert "## In short" not in text
    assert "The word has 4 letters." in text
    check_markdown(text, document)
    assert '<html lang="ko">' in render_html(document, bench)


def test_a_brief_report_keeps_answer_outcome_and_doubts(bench) -> None:
    document = compose(run(bench, "count_letters", word="gene"), bench)
    full, brief = render_markdown(document), render_markdown(document, brief=True)
    check_markdown(brief, document, brief=True)
    assert len(brief) < len(full)
    for needed in ("has 4 letters", "It has no wings. Walk.", "Only 4 were looked at"):
        assert needed in brief
    assert "## What was done" not in brief
    assert "**Rows**" in full
    assert "**Rows**" not in brief
