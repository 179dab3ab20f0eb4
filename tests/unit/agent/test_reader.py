import random

import pytest

from cellwright.agent.lessons import (
    Lessons,
    answers_of,
    lesson_of,
    wording_lessons,
    written_lessons,
    written_requests,
)
from cellwright.agent.notation import read_requests, read_wanted
from cellwright.agent.reader import (
    LONG,
    ReadAsk,
    Reader,
    _with_reason,
    _without_asides,
    masked,
    pieces,
)  # fmt: skip
from cellwright.agent.sample_passports import PASSPORTS, datasets
from cellwright.cellmodel.modeling.ask_tagger import Tagged

DATA = PASSPORTS[0][2]  # human PBMC with cell_type, sample_id and stim


def test_names_are_put_out_of_sight_and_found_again() -> None:
    text = "violins of INS by sample_id for the NK cells, and 40 cells under erlotinib"
    put = masked(text, DATA)
    assert put.text == (
        "violins of [GENE] by [COLUMN] for the [LABEL], and [NUMBER] cells under [DRUG]"
    )
    assert list(put.names.values()) == ["ins", "sample_id", "nk cell", "40", "erlotinib"]
    for place in put.names:
        start = put.places[place]
        assert text[start:].lower().startswith(put.names[place])
    assert put.places[-1] == len(text)


def test_korean_and_chinese_are_read_as_their_gloss() -> None:
    text = "CD3D를 그려줘"
    put = masked(text, None)
    assert put.text == "[GENE] draw"
    assert text[put.places[put.text.index("draw")] :] == "그려줘"
    text = "产生五百个合成的B细胞"
    put = masked(text, None)
    assert [text[put.places[at]] for at in put.names] == ["五", "B"]
    assert list(put.names.values()) == ["500", "b cell"]


def test_long_requests_are_cut_between_sentences_and_nothing_is_lost() -> None:
    request = "Draw a umap of the cells. " * 200
    cut = pieces(request)
    assert "".join(cut) == request.strip()
    assert all(len(one) <= LONG and one.endswith((" ", ".")) for one in cut)


class Halves:
    """A tagger that parts every request in two: the second ask is about the first's names alone."""

    def tag(self, text: str, before: str = "") -> list[Tagged]:
        middle = text.index(", and ") + 2
        shares = {"intent": {"umap": 0.75, "find": 0.25}, "column": {"none": 0.1, "donor": 0.9},
                  "detail": {"none": 1.0}}  # fmt: skip
        names = [at for at in range(len(text)) if text[at] == "["]
        first = {at: 0.9 if at < middle else 0.1 for at in names}
        second = {at: 0.1 if at >= middle else 0.8 for at in names}
        return [
            Tagged(start=0, end=middle, shares=shares, about=first, start_share=1.0),
            Tagged(start=middle, end=len(text), shares=shares, about=second, start_share=0.5),
        ]


def test_asks_come_in_the_words_of_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader(minilm=None)  # type: ignore[arg-type]
    monkeypatch.setitem(reader.__dict__, "_tagger", Halves())
    first, second = reader.read("INS on a map, and GCG too. Thanks 1500.", DATA)
    assert (first.text, second.text) == ("INS on a map", "GCG too. Thanks 1500.")
    assert (first.intent, first.share, first.column, first.detail) == (
        "umap",
        0.75,
        "donor",
        "none",
    )
    assert first.unused == frozenset()
    assert second.unused == {"gcg", "1500"}
    assert (first.linked, second.linked) == (frozenset(), {"ins"})
    assert (first.sure, second.sure) == (0.75, 0.375)


def test_asides_ask_nothing_and_why_asks_for_reasons() -> None:
    asks = [
        ReadAsk(text="Hi", intent="unclear goal", share=0.9),
        ReadAsk(text="name the cells", intent="annotate", share=0.9),
        ReadAsk(text="and - if you can", intent="refuse unsafe", share=0.4),
        ReadAsk(text="would erlotinib work, and why?", intent="predict", share=0.9),
        ReadAsk(text="Many thanks!", intent="refuse irrelevant", share=0.9),
    ]
    kept = [part for one in _without_asides(asks) for part in _with_reason(one)]
    assert [(one.text, one.intent) for one in kept] == [
        ("Hi name the cells", "annotate"),
        ("and - if you can would erlotinib work, and why? Many thanks!", "predict"),
    ]
    assert [(one.text, one.intent) for one in _with_reason(asks[3])] == [
        ("would erlotinib work", "predict"), ("and why?", "explain"),
    ]  # fmt: skip
    assert _without_asides(asks[:1]) == asks[:1]


def test_words_read_as_background_are_kept_to_be_told() -> None:
    asks = [
        ReadAsk(text="Our postdoc left in March.", intent="describe", share=0.9, aside=True),
        ReadAsk(text="name the cells", intent="annotate", share=0.9),
        ReadAsk(text="Thanks a lot!", intent="describe", share=0.9, aside=True),
        ReadAsk(text="The coffee was dreadful.", intent="describe", share=0.9, aside=True),
    ]
    (kept,) = _without_asides(asks)
    assert kept.background == "Our postdoc left in March.; The coffee was dreadful."


def test_labels_that_are_cut_short_are_put_out_of_sight_too() -> None:
    put = masked("CD14 monos/NKs, neutro", datasets()["kang_pbmc_ctrl_12261"])
    assert put.text.startswith("[LABEL]/")
    assert put.names[0] == "cd14+ monocytes"


def test_lessons_say_what_each_ask_wants() -> None:
    (request,) = read_requests(
        "compound english - x :: At 9 am: INS per donor {plot kind=violin genes=INS "
        "color_by=sample_id}, without the B cells {subset groups=B cells drop=yes}, then {refuse}"
    )
    lesson = lesson_of(request, DATA)
    assert lesson.text == "At [NUMBER] am: [GENE] per donor, without the [LABEL], then"
    assert [lesson.text[start:] for start in lesson.starts] == ["without the [LABEL], then", "then"]
    violin, subset, refusal = lesson.answers
    assert (violin["intent"], violin["column"]) == ({"violin"}, {"donor"})
    assert (subset["intent"], subset["detail"]) == ({"subset"}, {"drop"})
    assert len(refusal["intent"]) == 3
    about = {
        (ask, lesson.text[place:].split("]")[0]): one for (ask, place), one in lesson.about.items()
    }
    assert about == {
        (0, "[NUMBER"): False, (0, "[GENE"): True, (0, "[LABEL"): False,
        (1, "[LABEL"): True, (1, "[GENE"): False,
    }  # fmt: skip


def test_lessons_say_which_names_of_other_asks_an_ask_means() -> None:
    (request,) = read_requests(
        "compound english - x :: markers of the B cells {find groups=B cells}, INS on a map "
        "{plot kind=umap genes=INS}, then explain the former {explain label=B cells}"
    )
    lesson = lesson_of(request, DATA)
    label, gene = lesson.text.index("[LABEL"), lesson.text.index("[GENE")
    assert lesson.about == {
        (0, label): True, (0, gene): False, (1, label): False, (1, gene): True,
        (2, label): True, (2, gene): False,
    }  # fmt: skip


def test_what_may_be_anything_teaches_nothing() -> None:
    fits = (read_wanted("plot kind=umap color_by?=any"),)
    assert answers_of(fits, DATA) == {"intent": {"umap"}}


def test_texts_that_are_put_together_keep_their_starts_and_names() -> None:
    wordings = wording_lessons(1, 1)[:60]
    lessons = Lessons(written_lessons(written_requests()[::40]), wordings)
    rng = random.Random(2)
    several = 0
    for _ in range(200):
        text = lessons.draw(rng)
        assert len(text.answers) == len(text.starts) + 1
        assert all(text.text[place] == "[" for _, place in text.about)
        assert all(ask < len(text.answers) for ask, _ in text.about)
        assert all(0 < start < len(text.text) for start in text.starts)
        several += len(text.starts) > 0
    assert several > 80


def test_every_written_request_is_about_a_known_data_set() -> None:
    requests = written_requests()
    assert len(requests) > 10_000
    assert {one.data for one in requests} <= {*datasets(), "none"}
