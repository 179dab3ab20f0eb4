"""Pools of distinct templates, made by the grammar with a seed."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from cellwright.cellmodel.data.splits import Part
from cellwright.cellmodel.instructions.grammar import draw_metadata, write_template
from cellwright.cellmodel.instructions.rouge import LIMIT, Wordlist
from cellwright.cellmodel.instructions.templates import (
    TASKS,
    Language,
    Task,
    Template,
    Trait,
    load_templates,
)
from cellwright.errors import InputError

POOL_SIZES: Mapping[Language, int] = {"english": 3600, "korean": 700, "chinese": 700}
LANGUAGE_SHARES: Mapping[Language, float] = {"english": 0.8, "korean": 0.1, "chinese": 0.1}
TRIES_PER_TEMPLATE = 6


@cache
def template_pool(
    task: Task,
    seed: int = 0,
    size: int | None = None,
    language: Language = "english",
    traits: tuple[Trait, ...] | None = None,
) -> tuple[Template, ...]:
    """Templates of a task, none more like an earlier one than ROUGE-L .75; kept in memory.

    Half of them list options (none in generation), two in five name all metadata, two in five part
    of them; their response is in chat mode.

    Args:
        task: What is asked.
        seed: Seed of the draws.
        size: Templates wanted; None takes the language's usual size. Fewer come back where six
            draws for each are not enough.
        language: Language of the templates.
        traits: Traits of every template; None draws none to three for each.
    """
    rng = np.random.default_rng([seed, sorted(TASKS).index(task)])
    wanted = POOL_SIZES[language] if size is None else size
    kept: list[Template] = []
    seen = Wordlist()
    for _ in range(TRIES_PER_TEMPLATE * wanted):
        if len(kept) == wanted:
            break
        template = write_template(
            task,
            rng,
            metadata=draw_metadata(rng),
            options=TASKS[task].options and bool(rng.random() < 0.5),
            language=language,
            traits=traits,
        )
        if seen.nearest(template.instruction, above=LIMIT)[1] < 0:
            seen.add(template.instruction)
            kept.append(template)
    return tuple(kept)


class TemplateBook:
    """Templates of one part of the split, to draw from by task, language and options.

    Args:
        part: Part of the wordings.
        shares: Share of each language in the draws.
        seed: Seed of the pools.
        sizes: Templates of each language, before the split; None takes the usual sizes.
        file: JSON lines of templates to use in place of the grammar's; tasks and languages that
            it does not have come from the grammar.
        kept: Share of the templates of each kind to draw from, at least one.
    """

    def __init__(
        self,
        part: Part,
        *,
        shares: Mapping[Language, float] = LANGUAGE_SHARES,
        seed: int = 0,
        sizes: Mapping[Language, int] | None = None,
        file: Path | None = None,
        kept: float = 1.0,
    ) -> None:
        self.part: Part = part
        self.kept = kept
        self.shares = {language: share for language, share in shares.items() if share > 0}
        self.seed, self.sizes = seed, sizes or POOL_SIZES
        self._shelves: dict[tuple[Task, Language], dict[bool, list[Template]]] = {}
        for (task, language), templates in _grouped(load_templates(file) if file else ()).items():
            self._shelves[task, language] = _shelve(templates, part)

    def templates(self, task: Task, language: Language, *, options: bool) -> list[Template]:
        """Templates of this part, with or without options."""
        if (task, language) not in self._shelves:
            pool = template_pool(task, self.seed, self.sizes[language], language)
            self._shelves[task, language] = _shelve(pool, self.part)
        found = self._shelves[task, language][options]
        return found[: max(1, round(self.kept * len(found)))]

    def draw_language(self, rng: np.random.Generator) -> Language:
        """A language, by the shares."""
        share = np.array(list(self.shares.values()))
        return list(self.shares)[int(rng.choice(len(share), p=share / share.sum()))]

    def draw(
        self,
        task: Task,
        rng: np.random.Generator,
        *,
        options: bool = False,
        language: Language | None = None,
    ) -> Template:
        """A template, in a language drawn by the shares unless it is given.

        Raises:
            InputError: There is none of the kind.
        """
        language = language or self.draw_language(rng)
        found = self.templates(task, language, options=options)
        if not found:
            kind = "with" if options else "without"
            msg = (
                f"No {language} {task} template {kind} options in the {self.part} part; "
                "a pool of some hundred templates has them."
            )
            raise InputError(msg)
        return found[int(rng.integers(len(found)))]


def _grouped(templates: Iterable[Template]) -> dict[tuple[Task, Language], list[Template]]:
    found: dict[tuple[Task, Language], list[Template]] = defaultdict(list)
    for one in templates:
        found[one.task, one.language].append(one)
    return found


def _shelve(templates: Sequence[Template], part: Part) -> dict[bool, list[Template]]:
    shelf: dict[bool, list[Template]] = {True: [], False: []}
    for one in templates:
        if one.part == part:
            shelf["choices" in one.slots].append(one)
    return shelf
