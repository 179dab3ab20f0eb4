"""The label in an answer written as prose."""

import re
from collections.abc import Sequence

FUZZY_LEAST = 92.0


def extract_label(text: str, labels: Sequence[str]) -> str | None:
    """The one label that a text names, None if it names none, or several that differ.

    An exact answer wins; then the label that stands in the text as whole words (the longest, where
    one holds the other); then a bare answer that is spelled nearly like one label.
    """
    plain = _plain(text)
    by_plain = {_plain(label): label for label in labels}
    if plain in by_plain:
        return by_plain[plain]
    found = _standing(plain, by_plain)
    outer = [one for one in found if not any(_holds(other, one) for other in found)]
    if outer:
        return by_plain[outer[0]] if len(outer) == 1 else None
    from rapidfuzz import fuzz, process

    match = process.extractOne(plain, list(by_plain), scorer=fuzz.ratio, score_cutoff=FUZZY_LEAST)
    return by_plain[match[0]] if match else None


def named_labels(prompt: str, labels: Sequence[str]) -> list[str]:
    """The labels that a prompt offers as options: those it names, where it names several.

    A label that only stands inside the name of another is not named.
    """
    by_plain = {_plain(label): label for label in labels}
    named = set(_standing(_plain(prompt), by_plain))
    offered = [label for label in labels if _plain(label) in named]
    return offered if len(offered) > 1 else list(labels)


def _standing(plain: str, keys: Sequence[str] | dict[str, str]) -> list[str]:
    """Keys that stand in a text as whole words, the longest first, each place counted once."""
    rest = f" {plain} "
    found = []
    for key in sorted((one for one in keys if one), key=lambda one: (-len(one), one)):
        if f" {key} " in rest:
            found.append(key)
            rest = rest.replace(f" {key} ", " | ")
    return found


def _holds(outer: str, inner: str) -> bool:
    return outer != inner and f" {inner} " in f" {outer} "


def _plain(text: str) -> str:
    words = re.sub(r"[^a-z0-9+/]+", " ", text.casefold()).split()
    return " ".join(word[:-1] if word.endswith("s") and len(word) > 3 else word for word in words)
