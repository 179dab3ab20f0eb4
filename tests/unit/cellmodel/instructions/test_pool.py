import time

import numpy as np
import pytest

from cellwright.cellmodel.instructions.pool import TemplateBook, template_pool
from cellwright.cellmodel.instructions.rouge import Wordlist, distinct, rouge_l, words_of
from cellwright.cellmodel.instructions.templates import METADATA, save_templates
from cellwright.errors import InputError


def slow_rouge(one: str, two: str) -> float:
    a, b = words_of(one), words_of(two)
    table = np.zeros((len(a) + 1, len(b) + 1), dtype=int)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            table[i + 1, j + 1] = (
                table[i, j] + 1 if x == y else max(table[i, j + 1], table[i + 1, j])
            )
    precision, recall = table[-1, -1] / len(b), table[-1, -1] / len(a)
    return 2 * precision * recall / max(precision + recall, 1e-9)


def test_rouge_is_the_f_measure_of_the_longest_common_subsequence() -> None:
    pairs = [
        ("the cat sat on the mat", "on the mat the cat sat down"),
        ("Which type is {input}?", "Which {species} type is {input}, please?"),
        ("这是{input}。", "{input}是细胞。"),
        ("이 세포의 유형을 알려 주세요.", "유형을 알려 주세요."),
        ("a", "b"),
    ]
    for one, two in pairs:
        assert rouge_l(one, two) == pytest.approx(slow_rouge(one, two))
    assert words_of("这是{input}。") == ["这", "是", "{input}"]


def test_the_bounds_lose_no_neighbour() -> None:
    texts = [one.instruction for one in template_pool("CTA", 5, 120)]
    words = Wordlist(texts)
    for at in range(0, 120, 7):
        others = [rouge_l(texts[at], text) if i != at else -1 for i, text in enumerate(texts)]
        score, place = words.nearest(texts[at], leave_out=at)
        assert score == pytest.approx(max(others))
        assert others[place] == pytest.approx(score)


def test_near_repeats_are_left_out() -> None:
    texts = ["what type is this cell", "what type is this one cell", "draw me a new cell now"]
    assert distinct(texts) == [0, 2]


def test_a_pool_holds_no_near_repeat_and_every_kind() -> None:
    start = time.perf_counter()
    pool = template_pool("CTA", 1, 400)
    assert time.perf_counter() - start < 10
    assert len(pool) == 400
    assert distinct([one.instruction for one in pool]) == list(range(400))
    assert template_pool("CTA", 1, 400) is pool
    with_options = np.mean(["choices" in one.slots for one in pool])
    named = [len(one.slots & set(METADATA)) for one in pool]
    assert 0.35 < with_options < 0.65
    assert {0, 1, 2, 3} == set(named)
    assert {0, 1, 2, 3} == {len(one.traits) for one in pool}


def test_parts_of_the_split_share_no_wording() -> None:
    books = {part: TemplateBook(part, sizes={"english": 300}) for part in ("train", "test")}
    words = {
        part: {
            one.instruction
            for options in (True, False)
            for one in book.templates("CTA", "english", options=options)
        }
        for part, book in books.items()
    }
    assert not words["train"] & words["test"]
    assert len(words["train"]) > 5 * len(words["test"]) > 0


def test_a_book_draws_languages_by_their_shares() -> None:
    sizes = dict.fromkeys(("english", "korean", "chinese"), 60)
    book = TemplateBook("train", sizes=sizes, shares={"english": 0.5, "korean": 0.5, "chinese": 0})
    rng = np.random.default_rng(0)
    drawn = [book.draw("CPCG", rng).language for _ in range(100)]
    assert set(drawn) == {"english", "korean"}
    assert book.draw("DSP", rng, options=True, language="chinese").language == "chinese"


def test_a_book_reads_templates_of_a_file(tmp_path) -> None:
    pool = [one for one in template_pool("CTA", 9, 60) if one.part == "train"]
    save_templates(pool[:3], tmp_path / "t.jsonl")
    book = TemplateBook("train", file=tmp_path / "t.jsonl", sizes={"english": 40})
    rng = np.random.default_rng(0)
    found = book.templates("CTA", "english", options=True)
    found += book.templates("CTA", "english", options=False)
    assert {one.instruction for one in found} == {one.instruction for one in pool[:3]}
    assert book.draw("CPCG", rng, language="english").task == "CPCG"
    empty = TemplateBook("test", file=tmp_path / "t.jsonl", sizes={"english": 40})
    with pytest.raises(InputError, match="No english CTA template"):
        empty.draw("CTA", rng, language="english")
