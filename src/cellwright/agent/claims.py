"""Claims: sentences whose every fact is read out of a stored artifact, checked before rendering."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from cellwright.errors import ReportError
from cellwright.tools.spec import Claim, Table

if TYPE_CHECKING:
    from cellwright.agent.words import Language, Wording

PLACEHOLDER = re.compile(r"\{([^{}:]+)(?::([^{}]*))?\}")
"""A fact in a template: ``{pointer}`` or ``{pointer:format}``."""
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
CITATION = re.compile(r"(?<![a-z])(?:PMID|doi|et al)(?![a-z])", re.IGNORECASE)
UNITS = ("log1p", "CP10k", "10x", "ln IC50", "IC50", "z-score")
"""Words with a digit that are names of units, not measurements."""


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A piece of a sentence.

    Attributes:
        text: As it is read.
        artifact: Id of the result that it quotes; empty for plain words.
        pointer: Where in the result.
    """

    text: str
    artifact: str = ""
    pointer: str = ""


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """A claim with its facts filled in.

    Attributes:
        segments: Own words and facts, in order.
        kind: As the claim's.
        language: The language of its words; English where it quotes a sentence that has no
            translation.
    """

    segments: tuple[Segment, ...]
    kind: Literal["finding", "caveat"] = "finding"
    language: Language = "english"

    @property
    def text(self) -> str:
        """The sentence as it is read."""
        return "".join(segment.text for segment in self.segments)


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A table with its facts filled in."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[Segment, ...], ...]


def bind(
    claim: Claim,
    artifact: str,
    result: Mapping[str, Any],
    symbols: frozenset[str],
    wording: Wording | None = None,
) -> Sentence:
    """Fill a claim from a stored result.

    Args:
        claim: The claim.
        artifact: Id of the stored result.
        result: Its content.
        symbols: Gene symbols; none may stand in the claim's own words.
        wording: Translations; a claim that has none stays English.

    Raises:
        ReportError: A placeholder points nowhere, or the claim's own words hold a number, a gene
            or a citation that no artifact backs.
    """
    own = wording.template(claim.template) if wording else None
    if own is None:
        wording = None
    template = own or claim.template
    segments, at = [], 0
    for match in PLACEHOLDER.finditer(template):
        segments.append(_words(template[at : match.start()], template, symbols))
        segments.append(quote(artifact, result, match[1].strip(), match[2] or "", wording))
        at = match.end()
    segments.append(_words(template[at:], template, symbols))
    language: Language = "english"
    if wording and not any(one.artifact and _is_english(one.text) for one in segments):
        language = wording.language
    return Sentence(
        segments=tuple(one for one in segments if one.text), kind=claim.kind, language=language
    )


def _is_english(text: str) -> bool:
    """A fact is a whole sentence that was not put into another language."""
    return text.endswith(".") and " " in text and not re.search("[㐀-鿿가-힣]", text)


def bind_table(
    table: Table, artifact: str, result: Mapping[str, Any], wording: Wording | None = None
) -> Grid:
    """Fill a table from a stored result.

    Raises:
        ReportError: A field points nowhere.
    """
    records = resolve(result, table.rows)
    if not isinstance(records, list):
        msg = f"Table '{table.title}': {table.rows} is no list in {artifact}."
        raise ReportError(msg)
    rows = []
    for index in range(len(records)):
        cells = []
        for column, _heading in table.columns:
            name, _, spec = column.partition(":")
            cells.append(quote(artifact, result, f"{table.rows}.{index}.{name}", spec, wording))
        rows.append(tuple(cells))
    say = wording.say if wording else str
    headings = tuple(say(heading) for _field, heading in table.columns)
    return Grid(title=say(table.title), headings=headings, rows=tuple(rows))


def quote(
    artifact: str,
    result: Mapping[str, Any],
    pointer: str,
    spec: str,
    wording: Wording | None = None,
) -> Segment:
    """Read one fact out of a stored result and format it.

    Raises:
        ReportError: The pointer leads nowhere or the format does not fit the value.
    """
    try:
        value = resolve(result, pointer)
        text = show(wording.value(pointer, value) if wording else value, spec)
    except (KeyError, IndexError, ValueError, TypeError) as error:
        msg = (
            f"A claim quotes '{pointer}' of {artifact}, which cannot be read "
            f"({type(error).__name__}: {error})."
        )
        raise ReportError(msg) from error
    return Segment(text=text, artifact=artifact, pointer=pointer)


def resolve(result: Mapping[str, Any], pointer: str) -> Any:
    """Walk a JSON document by a dotted pointer.

    Raises:
        KeyError: A field does not exist.
        IndexError: A list is too short.
    """
    value: Any = result
    for part in pointer.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def show(value: object, spec: str = "") -> str:
    """Format a value as a report prints it; lists are joined, absent values are a dash."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(show(one, spec) for one in value) or "none"
    if isinstance(value, dict):
        msg = "a record, not a value"
        raise TypeError(msg)
    if isinstance(value, int) and not spec:
        return f"{value:,}"
    if isinstance(value, float) and not spec:
        return f"{value:.3g}"
    return format(value, spec)


def unbacked(text: str, facts: Sequence[str], symbols: frozenset[str]) -> list[str]:
    """Numbers, genes and citations in a text that stand in none of the given facts.

    It is the check for text that was written freely, by a language model or by hand.
    """
    backed = " ".join(facts)
    numbers = set(NUMBER.findall(backed))
    words = set(re.findall(r"[A-Za-z0-9_.-]+", backed))
    plain = _without_units(text)
    strays = [number for number in NUMBER.findall(plain) if number not in numbers]
    strays += [word for word in _gene_words(plain, symbols) if word not in words]
    if CITATION.search(plain) and not CITATION.search(backed):
        strays.append("a citation")
    return strays


def citations(result: object) -> Iterator[dict[str, Any]]:
    """Every ``Evidence`` record in a result, in order."""
    if isinstance(result, dict):
        if {"record_id", "pmids", "source"} <= result.keys():
            yield result
        else:
            for value in result.values():
                yield from citations(value)
    elif isinstance(result, list):
        for value in result:
            yield from citations(value)


def _words(text: str, template: str, symbols: frozenset[str]) -> Segment:
    strays = unbacked(text, (), symbols)
    if strays:
        msg = (
            f"A claim says {', '.join(strays)} in its own words: '{template}'. "
            "Facts must be quoted from the result by a placeholder."
        )
        raise ReportError(msg)
    return Segment(text=text)


def _without_units(text: str) -> str:
    for unit in UNITS:
        text = text.replace(unit, "")
    return text


def _gene_words(text: str, symbols: frozenset[str]) -> list[str]:
    words = re.findall(r"(?<![A-Za-z0-9_])[A-Z][A-Z0-9-]{2,}(?![A-Za-z0-9_])", text)
    return [word for word in words if word in symbols]
