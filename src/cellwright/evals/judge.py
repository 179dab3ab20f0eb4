"""Judges of chat answers: an offline one by code, and a prompt for any language model."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

CRITERIA = ("fluency", "grammar", "answer")
LOWEST, HIGHEST = 1, 5


@dataclass(frozen=True, kw_only=True)
class ChatAnswer:
    """An answer to judge.

    Attributes:
        question: What was asked.
        text: What was answered.
        reference: A good answer to it.
        truth: The label that a right answer names.
        labels: Labels to look for in the answer.
    """

    question: str
    text: str
    reference: str
    truth: str
    labels: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class OfflineJudgement:
    """What code can tell of answers; it is no judgement by a language model.

    Attributes:
        named: Share of answers that name a label at all.
        right: Share that name the true one.
        fluency: ``(N,)`` mean log probability of an answer's tokens under the base model.
        reference_fluency: ``(N,)`` the same of the reference answers.
        shuffled_fluency: ``(N,)`` the same of the answers with their words in random order: what
            the proxy gives to text without grammar.
    """

    named: float
    right: float
    fluency: np.ndarray
    reference_fluency: np.ndarray
    shuffled_fluency: np.ndarray

    @property
    def at_least_reference(self) -> float:
        """Share of answers at least as probable as their reference."""
        return _share(self.fluency, self.reference_fluency)

    @property
    def shuffled_at_least_reference(self) -> float:
        """The same of the answers with their words shuffled."""
        return _share(self.shuffled_fluency, self.reference_fluency)


def judge_offline(
    answers: Sequence[ChatAnswer],
    mean_log_probs: Callable[[Sequence[str]], np.ndarray],
    *,
    seed: int = 0,
) -> OfflineJudgement:
    """Judge chat answers without a language model's opinion.

    Whether the answer is there is read out of it. Fluency is the mean log probability of the
    tokens under a language model; references and word-shuffled answers show what it is worth.

    Args:
        answers: Answers.
        mean_log_probs: Mean log probability of the tokens of each text.
        seed: Seed of the shuffles.
    """
    from cellwright.cellmodel.instructions.extraction import extract_label

    rng = np.random.default_rng(seed)
    found = [extract_label(one.text, one.labels) for one in answers]
    texts = [one.text for one in answers]
    return OfflineJudgement(
        named=float(np.mean([label is not None for label in found])),
        right=float(np.mean([f == one.truth for f, one in zip(found, answers, strict=True)])),
        fluency=mean_log_probs(texts),
        reference_fluency=mean_log_probs([one.reference for one in answers]),
        shuffled_fluency=mean_log_probs([shuffle_words(text, rng) for text in texts]),
    )


def shuffle_words(text: str, rng: np.random.Generator) -> str:
    """The words of a text in another order; a text of one word stays."""
    words = text.split()
    if len(set(words)) < 2:
        return text
    while True:
        mixed = [words[at] for at in rng.permutation(len(words))]
        if mixed != words:
            return " ".join(mixed)


def _share(values: np.ndarray, others: np.ndarray) -> float:
    return float(np.mean(np.nan_to_num(values, nan=-np.inf) >= others))


def judge_prompt(answer: ChatAnswer) -> str:
    """Ask a language model to rate an answer beside its reference."""
    return (
        "Rate an assistant's answer to a question on a single cell.\n"
        f"Question: {answer.question}\n"
        f"Reference answer: {answer.reference}\n"
        f"Answer to rate: {answer.text}\n"
        f"Give whole numbers from {LOWEST} (bad) to {HIGHEST} (as good as the reference or "
        "better) for: fluency, whether it reads naturally; grammar, whether it is correct; answer, "
        "whether it states a definite answer of the kind that the reference states, right or "
        "wrong. Do not let length count.\n"
        'Reply with JSON alone, as in {"fluency": 4, "grammar": 5, "answer": 5}.'
    )


@dataclass(frozen=True, kw_only=True)
class Rated:
    """What a language model thought of answers.

    Attributes:
        scores: ``(N, 3)`` ratings from 1 to 5 by criterion; NaN where the reply could not be read.
        unread: Number of answers without a readable reply.
    """

    scores: np.ndarray
    unread: int

    def mean(self, criterion: str) -> float:
        """Mean rating of a criterion over the answers that were rated."""
        return float(np.nanmean(self.scores[:, CRITERIA.index(criterion)]))


def judge_with_llm(complete: Callable[[str], str], answers: Sequence[ChatAnswer]) -> Rated:
    """Let a language model rate answers; a reply that cannot be read is asked for once more.

    Args:
        complete: The language model: a prompt in, its reply out.
        answers: Answers.
    """
    scores = np.full((len(answers), len(CRITERIA)), np.nan)
    unread = 0
    for at, one in enumerate(answers):
        prompt = judge_prompt(one)
        found = read_ratings(complete(prompt)) or read_ratings(complete(prompt))
        if found is None:
            unread += 1
        else:
            scores[at] = found
    return Rated(scores=scores, unread=unread)


def read_ratings(reply: str) -> tuple[int, ...] | None:
    """The three ratings of a reply; None where one is missing or outside 1 to 5."""
    match = re.search(r"\{[^{}]*\}", reply)
    if match is None:
        return None
    try:
        row = json.loads(match.group())
    except json.JSONDecodeError:
        return None
    values = tuple(row.get(name) for name in CRITERIA)
    for value in values:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or not LOWEST <= value <= HIGHEST:
            return None
    return values
