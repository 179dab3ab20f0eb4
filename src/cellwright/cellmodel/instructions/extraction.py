"""The label in an answer written as prose."""

import re
from collections.abc import Sequence

FUZZY_LEAST = 92.0


def extract_label(text: str, labels: Sequence[str]) -> str | None:
    """The one label that a text names, None if it names none.

    An exact answer wins; then the longest label that stands in the text as whole words; then a
    bare answer that is spelled nearly like one label.
    """
    plain = _plain(text)
    by_plain = {_plain(label): label for label in labels}
    if plain in by_plain:
        return by_plain[plain]
    padded = f" {plain} "
    named = [key for key in by_plain if key and f" {key} " in padded]
    if named:
        return by_plain[max(named, key=len)]
    from rapidfuzz import fuzz, process

    match = process.extractOne(plain, list(by_plain), scorer=fuzz.ratio, score_cutoff=FUZZY_LEAST)
    return by_plain[match[0]] if match else None


def named_labels(prompt: str, labels: Sequence[str]) -> list[str]:
    """The labels that a prompt offers as options: those it names, where it names several."""
    padded = f" {_plain(prompt)} "
    named = [label for label in labels if f" {_plain(label)} " in padded]
    return named if len(named) > 1 else list(labels)


def _plain(text: str) -> str:
    words = re.sub(r"[^a-z0-9+/]+", " ", text.casefold()).split()
    return " ".join(word[:-1] if word.endswith("s") and len(word) > 3 else word for word in words)
