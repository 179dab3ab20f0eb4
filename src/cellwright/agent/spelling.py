"""Mends misspelt words of the trade, so that 'anotate teh cels' is read; names are left alone."""

import re
from functools import cache

_WORDS = """
annotate annotation annotated cells cell cluster clusters clustering markers marker genes gene
heatmap violin dotplot composition proportion proportions compare comparison difference different
differences between predict prediction response sensitive resistant sensitivity resistance generate
simulate synthetic explain explanation resolution preprocess normalise normalize quality control
batch correct describe summary dataset identify identity coloured colored colour color donor donors
patient patients treatment condition conditions sample samples expression expressed differential
every each label labels types type plot draw show umap which what please the and for of by with
trajectory velocity spatial survival knowledge function literature subset keep only remove exclude
"""
WORDS = tuple(dict.fromkeys(_WORDS.split()))
SHORTEST = 3


@cache
def _mended(word: str) -> str:
    """The word of the trade that a misspelt one stands for; the word itself if none does."""
    from rapidfuzz.distance import OSA

    limit = 1 if len(word) < 8 else 2
    near = [
        (OSA.distance(word, one, score_cutoff=limit), abs(len(word) - len(one)), one)
        for one in WORDS
        if abs(len(word) - len(one)) <= limit
    ]
    near = [one for one in near if one[0] <= limit]
    if len(word) <= 4:  # short words are only mended where letters changed places or one is lost
        near = [one for one in near if sorted(one[2]) == sorted(word) or one[1] == 1]
    return min(near)[2] if near else word


def mend(text: str, known: frozenset[str]) -> str:
    """A text with misspelt words of the trade mended.

    Args:
        text: English words; only plain lower-case words are looked at, since names of genes, drugs
            and groups have capitals, digits or signs.
        known: Words that are right as they are.
    """

    def fix(match: re.Match[str]) -> str:
        word = match.group()
        plain = word.lower()
        if plain in known or plain in WORDS or (word != plain and not word.istitle()):
            return word
        mended = _mended(plain)
        return word if mended == plain else mended

    return re.sub(rf"(?<![\w+-])[A-Za-z]{{{SHORTEST},}}(?![\w+-])", fix, text)
