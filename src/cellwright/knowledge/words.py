"""Words of texts for search: stems, and which of them tell a text from the others."""

import re
from collections import Counter
from collections.abc import Mapping
from functools import cache
from math import log
from pathlib import Path

from cellwright.knowledge import tables

NAME = "document_words"
MOST = 24
"""Stems kept of one text: those that fewest texts have."""
WORD = r"(?u)\b\w[\w+-]*\b"
_WORD = re.compile(WORD)
_ENDING = re.compile(r"\b([a-z]{6})[a-z]+\b|(?<=[a-z]{3})(?<![sui])s\b")
_BRITISH = (
    (re.compile(r"aem"), "em"),
    (re.compile(r"oe(?=[sd])"), "e"),
    (re.compile(r"our(?=s?\b)"), "or"),
    (re.compile(r"aesth"), "esth"),
    (re.compile(r"ph(?=ur)"), "f"),
    (re.compile(r"(?:'|\u2019)s\b"), ""),
)


def stems(text: str) -> str:
    """Cut words to six letters and spell them the American way.

    >>> stems("secreting tumours of the pancreas, oestrogen")
    'secret tumor of the pancre, estrog'
    """
    text = text.lower()
    for pattern, other in _BRITISH:
        text = pattern.sub(other, text)
    return _ENDING.sub(lambda found: found.group(1) or "", text)


@cache
def stop_words() -> frozenset[str]:
    """Stems of words that say nothing."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return frozenset(stems(word) for word in ENGLISH_STOP_WORDS)


def telling(texts: Mapping[str, str]) -> dict[str, str]:
    """Return the telling stems of each text, in alphabetical order, by the text's key."""
    sets = {key: set(_WORD.findall(stems(text))) - stop_words() for key, text in texts.items()}
    seen = Counter(one for found in sets.values() for one in found)
    weight = {one: log(len(sets) / count) for one, count in seen.items() if count > 1}
    return {
        key: " ".join(
            sorted(sorted(found & weight.keys(), key=lambda one: (-weight[one], one))[:MOST])
        )
        for key, found in sets.items()
    }


def write(folder: Path, found: Mapping[str, str], metadata: dict[str, str]) -> Path:
    """Write stems by document id."""
    ids = sorted(found)
    return tables.write(folder, NAME, {"id": ids, "words": [found[one] for one in ids]}, metadata)


def read(folder: Path = tables.FOLDER) -> dict[str, str]:
    """Read stems by document id."""
    columns = tables.columns(tables.read(NAME, folder))
    return dict(zip(columns["id"], columns["words"], strict=True))
