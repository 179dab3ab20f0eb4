"""Reads a request: which words ask for something, and what each ask is for.

A trained tagger (``cellmodel.modeling.ask_tagger``) sees the request with names of genes, drugs and
groups put out of sight; it knows no names, so arguments come from code (``fill``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from cellwright.agent.examples import make_asks
from cellwright.agent.lexicon import glossed
from cellwright.agent.mentions import numbers, singular
from cellwright.agent.names import cell_type_names
from cellwright.tools.passport import Passport

if TYPE_CHECKING:
    from cellwright.cellmodel.modeling.ask_tagger import AskTagger, Tagged

ROLES = ("label", "cluster", "donor", "batch", "condition", "tissue", "protocol", "species")
PLACEHOLDERS: Mapping[str, str] = {
    one: f"[{one.upper()}]" for one in (*ROLES, "type", "column", "gene", "drug", "number")
}
"""What stands for a name of each kind."""
WHY = re.compile(r"(?<=\w)[,;]? (?:and |but )?why\??$|(?<=\w)[,;] 왜\??$", re.IGNORECASE)
_ASIDES = """
and but or also then now please if you it is that s possible can could would may i we one more thing
last first finally thanks thank ok so hi hello hey dear all many in advance cheers best regards kind
sorry
"""
ASIDES = frozenset(_ASIDES.split())
"""Words that ask nothing by themselves."""
LONG = 1500
"""Characters read at once; longer requests are cut at the end of a line or sentence."""
ASIDE = "aside"
"""What words are for that ask nothing: thanks, and what the writer will do herself."""
SAID = 8
"""Letters, those of manners not counted, from which words that ask nothing are told."""
VAGUE = 0.35
"""Probability of the likeliest intent below which words beside other asks ask nothing."""
USED, LINKED = 0.3, 0.5
"""Probabilities from which a name is taken for an argument: of the ask it stands in, of another."""


@dataclass(frozen=True, kw_only=True)
class Masked:
    """A request with names put as placeholders.

    Attributes:
        text: The text.
        places: For each of its characters, and for its end, where that stands in the request.
        names: By the place of a placeholder, the name behind it in lower case; a number's digits.
    """

    text: str
    places: tuple[int, ...]
    names: Mapping[int, str]


@dataclass(frozen=True, kw_only=True)
class ReadAsk:
    """An ask as the reader sees it.

    Attributes:
        text: Its words.
        intent: What it is most likely for.
        share: Probability of that intent.
        column: Role of the column that it wants; empty for none.
        detail: ``drop``, ``cell``, ``cluster`` or ``none``; see ``lessons.QUESTIONS_PUT``.
        unused: Names in lower case, and numbers, that it holds but does not ask about.
        linked: Names in lower case that it asks about, but that stand in other asks.
        sure: Probability of the intent times that of the ask's start.
        aside: Its words ask nothing, as thanks do; the intent is the likeliest if they did.
        background: Those of its words that came from beside it and ask nothing; more than manners.
    """

    text: str
    intent: str
    share: float
    column: str = ""
    detail: str = "none"
    unused: frozenset[str] = frozenset()
    linked: frozenset[str] = frozenset()
    sure: float = 1.0
    aside: bool = False
    background: str = ""


def masked(text: str, passport: Passport | None) -> Masked:
    """Put names of genes, drugs, groups and columns, and numbers, out of sight.

    Korean and Chinese are read as their gloss.
    """
    (ask,) = make_asks([text], passport)
    english, places = glossed(text)
    roles = {one.name: one.role for one in (passport.columns if passport else ())}
    values = [(value, roles[column]) for column, value in ask.mentions.members if column in roles]
    known = cell_type_names()
    named = [
        *values,
        *((f"{value} cell", role) for value, role in values if role == "label"),
        *((name, "column") for name in roles if len(name) > 4 or "_" in name),
        *((name, "drug") for name in ask.mentions.likely_drugs),
        *((name, "gene") for name in ask.mentions.likely_genes),
        *((name, "type") for name in ask.mentions.types if name.lower() in known),
    ]
    kinds: dict[str, tuple[str, str]] = {}
    for name, kind in named:
        plain = singular(name.lower()) if kind in {"label", "type"} else name.lower()
        if not plain.isdigit():
            kinds.setdefault(plain, (kind, plain))
    for words, value in ask.mentions.spelt:
        kinds.setdefault(words, ("label", value.lower()))
    spans: dict[int, tuple[int, str, str]] = {}
    if kinds:
        spelt = {words for words, _ in ask.mentions.spelt}
        either = "|".join(
            r"[\W_]+".join(one.split()) if one in spelt else re.escape(one)
            for one in sorted(kinds, key=len, reverse=True)
        )
        # Not \b: Korean and Chinese letters stand right behind a name.
        pattern = rf"(?<![A-Za-z0-9])({either})s?(?![A-Za-z0-9])"
        for found in re.finditer(pattern, english, re.IGNORECASE):
            name = found.group(1).lower()
            plain = name if name in kinds else " ".join(re.findall(r"[a-z0-9]+", name))
            spans[found.start()] = (found.end(), *kinds[plain])
    taken = {at for start, (end, *_) in spans.items() for at in range(start, end)}
    for start, end, digits in numbers(english):
        if not taken & set(range(start, end)):
            spans[start] = (end, "number", digits)
    put = _put(english, spans)
    return replace(put, places=tuple(places[one] for one in put.places))


def _put(text: str, spans: Mapping[int, tuple[int, str, str]]) -> Masked:
    put, places, names, end = "", [], {}, 0
    for start in sorted(spans):
        stop, kind, name = spans[start]
        stand_in = PLACEHOLDERS[kind]
        put += text[end:start]
        names[len(put)] = name
        put += stand_in
        places += [*range(end, start), *[start] * len(stand_in)]
        end = stop
    return Masked(text=put + text[end:], places=(*places, *range(end, len(text) + 1)), names=names)


class Reader:
    """Reads requests; the network is loaded when first used.

    Args:
        minilm: MiniLM's folder.
        weights: Folder of the trained part; the one that ships if none is given.
    """

    def __init__(self, minilm: Path, weights: Path | None = None) -> None:
        self._minilm, self._weights = minilm, weights or weights_folder()

    @cached_property
    def _tagger(self) -> AskTagger:
        from cellwright.cellmodel.modeling.ask_tagger import AskTagger

        return AskTagger.load(self._minilm, self._weights)

    def read(self, request: str, passport: Passport | None, earlier: str = "") -> list[ReadAsk]:
        """The asks of a request, in order.

        Args:
            request: The user's words, in English, Korean or Chinese.
            passport: What the data set is.
            earlier: The request before it, for follow-ups.

        Raises:
            WeightsError: MiniLM or the trained part cannot be read.
        """
        before = masked(earlier, passport).text if earlier else ""
        asks = []
        for piece in pieces(request):
            put = masked(piece, passport)
            for one in self._tagger.tag(put.text, before):
                words = _trimmed(piece[put.places[one.start] : put.places[one.end]])
                asks += _with_reason(_read(words, one, put)) if re.search(r"\w", words) else []
        return _without_asides(asks)


def _without_asides(asks: Sequence[ReadAsk]) -> list[ReadAsk]:
    """Asks, with words that ask nothing ('and - if you can') before the next or behind the last."""
    kept: list[ReadAsk] = []
    aside: list[str] = []
    for one in asks:
        if one.aside or not _plain_words(one.text):
            aside.append(one.text)
            continue
        before = " ".join([*aside, one.text])
        kept.append(replace(one, text=before, background=_background(aside)))
        aside = []
    if aside and kept:
        last = kept[-1]
        said = "; ".join(filter(None, [last.background, _background(aside)]))
        kept[-1] = replace(last, text=" ".join([last.text, *aside]), background=said)
    return kept or list(asks)


def _background(asides: Sequence[str]) -> str:
    """What asides say that is more than manners."""
    return "; ".join(one for one in asides if len("".join(_plain_words(one))) >= SAID)


def _plain_words(text: str) -> list[str]:
    """Words but those that ask nothing by themselves."""
    return [one for one in re.findall(r"[^\W\d_]+", text.lower()) if one not in ASIDES]


def _with_reason(ask: ReadAsk) -> list[ReadAsk]:
    """An ask, and the 'why?' behind it as one of its own."""
    found = WHY.search(ask.text)
    if found is None or ask.intent == "explain" or ask.intent.startswith(("refuse", "unclear")):
        return [ask]
    why = replace(ask, text=found.group().strip(" ,"), intent="explain", column="")
    return [replace(ask, text=ask.text[: found.start()]), why]


def _read(words: str, tagged: Tagged, put: Masked) -> ReadAsk:
    best = {name: max(shares, key=shares.__getitem__) for name, shares in tagged.shares.items()}
    aside = best["intent"] == ASIDE or tagged.shares["intent"][best["intent"]] < VAGUE
    intents = {name: one for name, one in tagged.shares["intent"].items() if name != ASIDE}
    intent = max(intents, key=intents.__getitem__)
    share = intents[intent]
    own: dict[str, float] = {}
    others: dict[str, float] = {}
    for place, one in tagged.about.items():
        among = own if tagged.start <= place < tagged.end else others
        name = put.names.get(place, "")
        among[name] = max(among.get(name, 0.0), one)
    return ReadAsk(
        text=words,
        intent=intent,
        share=share,
        column="" if best["column"] == "none" else best["column"],
        detail=best["detail"],
        unused=frozenset(name for name, one in own.items() if one < USED),
        linked=frozenset(name for name, one in others.items() if one >= LINKED and name not in own),
        sure=share * tagged.start_share,
        aside=aside,
    )


def pieces(request: str) -> Sequence[str]:
    """A request in pieces of at most ``LONG`` characters."""
    left, found = request.strip(), []
    while len(left) > LONG:
        cut = max(left.rfind(mark, 0, LONG) for mark in ("\n", ". ", "。", " "))
        cut = cut + 1 if cut > 0 else LONG
        found.append(left[:cut])
        left = left[cut:]
    return [*found, left]


def _trimmed(words: str) -> str:
    """The words of an ask without what joins it to its neighbours."""
    plain = words.strip(" \t\n,;:、，；").strip()
    behind = r"(?:,?\s+(?:and|then|plus|also|&|\+|->|/|\|)|\s*[-•*]|\s*\()$"
    plain = re.sub(behind, "", plain, flags=re.IGNORECASE)
    before = r"^(?:(?:and|then|also|plus)[ ,]+(?=\w))+"
    return re.sub(before, "", plain, flags=re.IGNORECASE).strip(" \t\n,;:、，；")


def weights_folder() -> Path:
    """Folder of the trained part that ships."""
    return Path(str(resources.files("cellwright.agent"))) / "weights" / "reader"
