import itertools

import numpy as np
import pytest

from cellwright.evals.judge import (
    ChatAnswer,
    judge_offline,
    judge_prompt,
    judge_with_llm,
    read_ratings,
    shuffle_words,
)

LABELS = ("B cell", "T cell")


def answer(text: str, truth: str = "B cell") -> ChatAnswer:
    return ChatAnswer(
        question="What is {input}?",
        text=text,
        reference=f"This is a {truth}.",
        truth=truth,
        labels=LABELS,
    )


def orderly(texts: list[str]) -> np.ndarray:
    """A made-up language model that likes words in the order of the reference."""
    wanted = ["This", "is", "a", "B", "cell."]
    found = []
    for text in texts:
        words = text.split()
        pairs = list(itertools.pairwise(words))
        good = sum(pair in list(itertools.pairwise(wanted)) for pair in pairs)
        found.append(good - len(pairs) if text else np.nan)
    return np.array(found, dtype=float)


def test_offline_judge_reads_the_answer_and_compares_with_the_reference() -> None:
    answers = [
        answer("This is a B cell."),
        answer("This is a T cell."),
        answer("Cell it B somehow."),
        answer(""),
    ]
    found = judge_offline(answers, orderly)
    assert found.named == 0.5
    assert found.right == 0.25
    assert found.at_least_reference == 0.25
    assert found.fluency[0] == found.reference_fluency[0] == 0
    assert found.shuffled_fluency[0] < 0
    assert found.shuffled_at_least_reference == 0


def test_shuffled_words_are_the_same_words_in_another_order() -> None:
    rng = np.random.default_rng(0)
    mixed = shuffle_words("one two three", rng)
    assert mixed != "one two three"
    assert sorted(mixed.split()) == ["one", "three", "two"]
    assert shuffle_words("alone", rng) == "alone"


def test_a_language_model_rates_answers() -> None:
    replies = iter(
        [
            'Sure: {"fluency": 5, "grammar": 4, "answer": 5}',
            "no idea",
            '{"fluency": 2, "grammar": 2, "answer": 1}',
            "nothing",
            "again nothing",
        ]
    )
    prompts = []

    def complete(prompt: str) -> str:
        prompts.append(prompt)
        return next(replies)

    answers = [answer("It is a B cell."), answer("Bla."), answer("x")]
    found = judge_with_llm(complete, answers)
    assert found.unread == 1
    assert found.mean("fluency") == 3.5
    assert found.mean("grammar") == 3
    assert len(prompts) == 5
    assert "It is a B cell." in prompts[0]
    assert "This is a B cell." in prompts[0]
    assert judge_prompt(answers[1]) == prompts[1] == prompts[2]


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "{}",
        '{"fluency": 6, "grammar": 4, "answer": 5}',
        '{"fluency": "5", "grammar": 4, "answer": 5}',
        '{"fluency": true, "grammar": 4, "answer": 5}',
        '{"fluency": 5, "grammar": 4}',
        "{fluency: 5}",
    ],
)
def test_a_reply_that_cannot_be_read_is_none(reply: str) -> None:
    assert read_ratings(reply) is None
