"""What a report says in the language of its request: findings, headings, refusals.

Translations stand in ``wordings/findings_*.txt``, keyed by the English words of the tools. What has
none stays English, and the report says so; names of genes, types, drugs and columns are never put
into other words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, Literal

from cellwright.agent.claims import PLACEHOLDER

Language = Literal["english", "korean", "chinese"]
CODES: dict[Language, str] = {"english": "en", "korean": "ko", "chinese": "zh"}
_PLACE = re.compile(r"\.\d+(?=[.:}])")
_HOLE = re.compile(r"\{(\w+)\}")
_SENTENCE_END = re.compile(r"(?<=[.?]) ")
Phrase = tuple[re.Pattern[str], str]


def language_of(request: str) -> Language:
    """The language in which a request is written."""
    if re.search(r"[가-힣]", request):
        return "korean"
    return "chinese" if re.search(r"[㐀-鿿]", request) else "english"


def saying(language: Language) -> Callable[[str], str]:
    """How fixed words are said in a language; what has no translation stays English."""
    words = wording(language)
    return words.say if words else str


@dataclass(frozen=True, kw_only=True)
class Wording:
    """Translations into one language.

    Attributes:
        language: The language.
        templates: Pieces of claims' templates, with ``#`` for any place of a list, longest first.
        values: What fields hold in words, by field; yes, no and none stand under ``""``.
        phrases: Whole sentences and titles, with holes for names.
    """

    language: Language
    templates: Mapping[str, str]
    values: Mapping[str, Sequence[Phrase]]
    phrases: Sequence[Phrase]

    def template(self, english: str) -> str | None:
        """A claim's template in this language; None where a piece of it has no translation.

        A template is put together of pieces, and so is its translation, in the same order; within
        a piece the facts may change places.
        """
        pieces = self._pieces(any_place(english), 0)
        if pieces is None:
            return None
        facts = [match.group() for match in PLACEHOLDER.finditer(english)]
        said, at = "", 0
        for gap, piece in pieces:
            n = len(PLACEHOLDER.findall(piece))
            said += gap if self.language != "chinese" else ""
            said += _filled(self.templates[piece], facts[at : at + n])
            at += n
        return said

    def value(self, pointer: str, value: Any) -> Any:
        """What a field holds, in this language where it holds words of the tools."""
        if isinstance(value, bool):
            return self._known("", "yes" if value else "no")
        if isinstance(value, list):
            return [self.value(pointer, one) for one in value] or self._known("", "none")
        if not isinstance(value, str):
            return value
        field = next((one for one in reversed(pointer.split(".")) if not one.isdigit()), "")
        return self._known(field, value)

    def say(self, english: str) -> str:
        """A sentence, title or heading; of several sentences, each that has a translation."""
        whole = _said(english, self.phrases, self.say)
        if whole is not None:
            return whole
        sentences = _SENTENCE_END.split(english)
        return " ".join(map(self.say, sentences)) if len(sentences) > 1 else english

    def _known(self, field: str, text: str) -> str:
        return _said(text, self.values.get(field, ()), str) or text

    def _pieces(self, text: str, at: int) -> list[tuple[str, str]] | None:
        """Pieces that make up a template from a place on, each with the space before it."""
        gap = " " if text.startswith(" ", at) else ""
        start = at + len(gap)
        if start == len(text):
            return []
        for piece in self.templates:
            if text.startswith(piece, start):
                rest = self._pieces(text, start + len(piece))
                if rest is not None:
                    return [(gap, piece), *rest]
        return None


@lru_cache(maxsize=3)
def wording(language: Language) -> Wording | None:
    """The translations of a language; None for English."""
    if language == "english":
        return None
    file = resources.files("cellwright.agent") / "wordings" / f"findings_{language}.txt"
    tables: dict[str, dict[str, str]] = {}
    for line in file.read_text("utf-8").splitlines():
        if line.startswith("["):
            table = tables.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            english, _, own = line.partition(" => ")
            table[english] = own
    values: dict[str, list[Phrase]] = {}
    for english, own in tables["values"].items():
        field, colon, words = english.partition(": ")
        values.setdefault(field if colon else "", []).append((_pattern(words or english), own))
    return Wording(
        language=language,
        templates=dict(sorted(tables["templates"].items(), key=lambda one: -len(one[0]))),
        values=values,
        phrases=[(_pattern(english), own) for english, own in tables["phrases"].items()],
    )


def any_place(template: str) -> str:
    """A template with ``#`` for the places of lists: ``{counts.3.label}`` as ``{counts.#.label}``.

    Args:
        template: A claim's template.
    """
    return PLACEHOLDER.sub(lambda match: _PLACE.sub(".#", match.group()), template)


def _filled(own: str, facts: Sequence[str]) -> str:
    """A translated piece with the very facts of the English one."""
    left = list(facts)

    def fact(match: re.Match[str]) -> str:
        same = [one for one in left if any_place(one) == match.group()]
        if len(same) > 1:
            left.remove(same[0])
        return same[0]

    return PLACEHOLDER.sub(fact, own)


def _pattern(english: str) -> re.Pattern[str]:
    """A phrase whose holes take any words of one sentence."""
    parts = _HOLE.split(english)
    return re.compile(
        "".join(
            rf"(?P<{part}>(?:(?!\. ).)+?)" if at % 2 else re.escape(part)
            for at, part in enumerate(parts)
        )
    )


def _said(text: str, phrases: Sequence[Phrase], say: Callable[[str], str]) -> str | None:
    for pattern, own in phrases:
        match = pattern.fullmatch(text)
        if match is not None:
            return _HOLE.sub(lambda hole: say(match[hole[1]]), own)  # noqa: B023 - used at once
    return None
