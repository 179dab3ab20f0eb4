"""How varied templates are: the figures of InstructCell's figure 10."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cellwright.cellmodel.instructions.grammar import draw_metadata, draw_traits, write_template
from cellwright.cellmodel.instructions.rouge import Wordlist, words_of
from cellwright.cellmodel.instructions.templates import (
    TASKS,
    TRAITS,
    Language,
    Task,
    Template,
    Trait,
)


@dataclass(frozen=True, kw_only=True)
class TemplateStatistics:
    """Figures of a set of templates.

    Attributes:
        n: Number of templates.
        instruction_words: ``(n,)`` words of each instruction; a Chinese character counts as one.
        response_words: ``(n,)`` words of each response.
        similarity: Mean ROUGE-L of an instruction to the one most like it.
        unigram_ratio: Distinct words over all words of the instructions.
    """

    n: int
    instruction_words: np.ndarray
    response_words: np.ndarray
    similarity: float
    unigram_ratio: float


def describe_templates(templates: Sequence[Template]) -> TemplateStatistics:
    """Length, similarity and lexical variety of templates.

    Raises:
        ValueError: There are fewer than two.
    """
    if len(templates) < 2:
        msg = f"Similarity needs two templates at least; there are {len(templates)}."
        raise ValueError(msg)
    texts = [one.instruction for one in templates]
    seen = Wordlist(texts)
    words = [words_of(text) for text in texts]
    nearest = [seen.nearest(text, leave_out=at)[0] for at, text in enumerate(texts)]
    return TemplateStatistics(
        n=len(texts),
        instruction_words=np.array([len(one) for one in words]),
        response_words=np.array([len(words_of(one.response)) for one in templates]),
        similarity=float(np.mean(nearest)),
        unigram_ratio=len({word for one in words for word in one}) / sum(map(len, words)),
    )


def trait_statistics(
    task: Task, *, n: int = 400, seed: int = 0, language: Language = "english"
) -> dict[Trait | None, TemplateStatistics]:
    """Figures of equally many templates with all traits (None), and with each trait removed.

    The templates are fresh from the grammar: its ROUGE-L filter would hide how alike they are.

    Args:
        task: What is asked.
        n: Templates of each kind.
        seed: Seed of the draws.
        language: Language of the templates.
    """
    found: dict[Trait | None, TemplateStatistics] = {}
    for removed in (None, *TRAITS):
        rng = np.random.default_rng(seed)
        found[removed] = describe_templates(
            [_without(task, removed, rng, language) for _ in range(n)]
        )
    return found


def _without(
    task: Task, removed: Trait | None, rng: np.random.Generator, language: Language
) -> Template:
    return write_template(
        task,
        rng,
        metadata=draw_metadata(rng),
        options=TASKS[task].options and bool(rng.random() < 0.5),
        traits=[trait for trait in draw_traits(rng) if trait != removed],
        language=language,
    )
