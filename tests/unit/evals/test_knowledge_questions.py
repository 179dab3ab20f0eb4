from pathlib import Path

import pytest

from cellwright.evals import knowledge_names, knowledge_search
from cellwright.knowledge import Knowledge
from cellwright.knowledge.sources import catalogue
from cellwright.settings import Settings

KNOWLEDGE = Knowledge.open(Settings())
SOURCES = Path(__file__).parents[3].parent / "shared" / "knowledge"


def test_names_are_many_and_hard() -> None:
    cases = knowledge_names.cases()
    assert len(cases) >= 300
    right = [
        knowledge_names.judge(KNOWLEDGE, one, KNOWLEDGE.genes.resolve(one.name, one.species))
        == "right"
        for one in cases
    ]
    assert sum(right) / len(right) > 0.97


def test_shared_aliases_are_never_guessed() -> None:
    for one in knowledge_names.cases():
        if one.answer == knowledge_names.AMBIGUOUS:
            said = KNOWLEDGE.genes.resolve(one.name, one.species)
            assert said.status == "ambiguous", one.name


@pytest.mark.skipif(
    not (SOURCES / catalogue.HGNC.file).is_file(), reason="HGNC's file is not there"
)
def test_names_are_drawn_the_same_again() -> None:
    assert knowledge_names.draw(SOURCES) == knowledge_names.cases()


def test_queries_have_answers_and_do_not_name_them() -> None:
    asked = knowledge_search.questions(KNOWLEDGE)
    assert sum(one.held_out for one in asked) >= 150
    assert len({one.query for one in asked}) == len(asked)
    for one in asked:
        words = set(one.query.replace(",", " ").split())
        names = {answer.partition("/")[2] for answer in one.answers}
        assert not words & names, one.query


def test_ranks_are_judged() -> None:
    asked = knowledge_search.questions(KNOWLEDGE)[:2]
    said = [["x", *asked[0].answers], []]
    scores = knowledge_search.judge(asked, said)
    assert scores["recall_at_1"].mean == 0
    assert scores["recall_at_10"].mean == 0.5
    assert scores["mrr"].mean == 0.25
