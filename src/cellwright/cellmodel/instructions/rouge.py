"""ROUGE-L between short texts, and a filter that keeps near-repeats out."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

LIMIT = 0.75
"""Texts more alike than this count as the same wording (InstructCell's value)."""
_TOKEN = re.compile(r"\{\w+\}|[\u4e00-\u9fff]|[0-9a-zA-Z\uac00-\ud7a3'-]+")


def words_of(text: str) -> list[str]:
    """Lower-case words; a slot is one word, and so is a Chinese character."""
    return _TOKEN.findall(text.casefold())


def rouge_l(first: str, second: str) -> float:
    """F-measure of the longest common subsequence of words (ROUGE-L), 0 to 1."""
    from rapidfuzz.distance import LCSseq

    one, two = words_of(first), words_of(second)
    if not one or not two:
        return 0.0
    return float(2 * LCSseq.similarity(one, two) / (len(one) + len(two)))


class Wordlist:
    """Texts that can be asked for the one most like another.

    The subsequence two texts share is no longer than the bag of words they share; only texts that
    could pass a limit by that bound are compared.

    Args:
        texts: Texts to start with.
    """

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._place: dict[str, int] = {}
        self._ids: list[list[int]] = []
        self._counts = np.zeros((512, 512), dtype=np.uint8)
        self._lengths = np.zeros(512, dtype=np.int32)
        for text in texts:
            self.add(text)

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, text: str) -> None:
        """Take a text up."""
        ids = [self._place.setdefault(word, len(self._place)) for word in words_of(text)]
        self._make_room()
        at = len(self._ids)
        bag = Counter(ids)
        self._counts[list(bag), at] = [min(n, 255) for n in bag.values()]
        self._lengths[at] = len(ids)
        self._ids.append(ids)

    def nearest(self, text: str, *, above: float = 0.0, leave_out: int = -1) -> tuple[float, int]:
        """ROUGE-L to the most similar text and its position; ``(0, -1)`` if none is above a limit.

        Args:
            text: The text to compare.
            above: Similarity that is of interest; a high one is fast.
            leave_out: Position of a text not to compare with.
        """
        from rapidfuzz.distance import LCSseq

        words = words_of(text)
        n = len(self._ids)
        if not words or not n:
            return 0.0, -1
        ids = [self._place.get(word, -1 - at) for at, word in enumerate(words)]
        bag = Counter(one for one in ids if one >= 0)
        times = np.array([min(n, 255) for n in bag.values()], dtype=np.uint8)
        shared = self._counts[list(bag), :n]
        overlap = np.minimum(shared, times[:, None]).sum(axis=0, dtype=np.int32)
        bounds = 2 * overlap / (self._lengths[:n] + len(words))
        if leave_out >= 0:
            bounds[leave_out] = -1.0
        best, place = above, -1
        likely = np.flatnonzero(bounds > above)
        for at in likely[np.argsort(-bounds[likely], kind="stable")]:
            if bounds[at] <= best:
                break
            total = len(words) + int(self._lengths[at])
            score = 2 * LCSseq.similarity(ids, self._ids[at]) / total
            if score > best:
                best, place = float(score), int(at)
        return (best, place) if place >= 0 else (0.0, -1)

    def _make_room(self) -> None:
        rows, columns = self._counts.shape
        taller = rows * 2 if len(self._place) > rows else rows
        wider = columns * 2 if len(self._ids) >= columns else columns
        if (taller, wider) != (rows, columns):
            grown = np.zeros((taller, wider), dtype=np.uint8)
            grown[:rows, :columns] = self._counts
            lengths = np.zeros(wider, dtype=np.int32)
            lengths[:columns] = self._lengths
            self._counts, self._lengths = grown, lengths


def distinct(texts: Sequence[str], limit: float = LIMIT) -> list[int]:
    """Positions of the texts that are not above the limit to any kept before them."""
    kept, seen = [], Wordlist()
    for at, text in enumerate(texts):
        if seen.nearest(text, above=limit)[1] < 0:
            seen.add(text)
            kept.append(at)
    return kept
