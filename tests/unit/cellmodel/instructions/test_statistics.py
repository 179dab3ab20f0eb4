import pytest

from cellwright.cellmodel.instructions.statistics import describe_templates, trait_statistics
from cellwright.cellmodel.instructions.templates import Template


def template(instruction: str, response: str = "It is {output}.") -> Template:
    return Template(task="CTA", instruction=instruction, response=response)


def test_the_figures_are_those_of_the_texts() -> None:
    found = describe_templates(
        [
            template("what is {input}"),
            template("what is {input} please"),
            template("go {input} x y"),
        ]
    )
    assert list(found.instruction_words) == [3, 4, 4]
    assert list(found.response_words) == [3, 3, 3]
    assert found.similarity == pytest.approx((6 / 7 + 6 / 7 + 2 / 7) / 3)
    assert found.unigram_ratio == pytest.approx(7 / 11)
    with pytest.raises(ValueError, match="two templates"):
        describe_templates([template("{input}")])


def test_without_a_trait_instructions_are_shorter_and_more_alike() -> None:
    found = trait_statistics("CTA", n=150)
    whole = found[None]
    assert set(found) == {None, "personality", "motivation", "proficiency"}
    for trait in ("personality", "motivation"):
        assert found[trait].instruction_words.mean() < whole.instruction_words.mean()
        assert found[trait].similarity > whole.similarity
    assert whole.response_words.mean() < whole.instruction_words.mean()
