"""Free text of cell type labels, brought to a form in which labels can be compared."""

import re
import unicodedata

GREEK = {"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "φ": "phi"}
TRADITIONAL = str.maketrans(
    "細單樹狀紅幹經質記憶調節漿內纖維腺胰島導殺陽", "细单树状红干经质记忆调节浆内纤维腺胰岛导杀阳"
)

NO_TYPE = frozenset(
    {
        "unknown", "unassigned", "unclassified", "undefined", "na", "nan", "none", "other",
        "others", "doublet", "multiplet", "low quality", "debris", "ambient", "mixed", "dying",
        "dead", "ambiguous", "undetermined", "not available", "empty", "misc", "unidentified",
        "cluster", "cell", "",
    }
)  # fmt: skip
"""Labels that say that nobody knows, in normal form."""

WORDS = {
    "cells": "", "cell": "", "lymphocyte": "", "lymphocytes": "", "thymus": "", "derived": "",
    "mono": "monocyte", "monos": "monocyte", "treg": "t regulatory", "tregs": "t regulatory",
    "reg": "regulatory", "em": "effector memory", "cm": "central memory",
    "tem": "t effector memory",
    "tcm": "t central memory", "tn": "t naive", "prolif": "proliferating",
    "cycling": "proliferating", "mo": "monocyte", "macs": "macrophage", "dcs": "dc",
    "naïve": "naive", "ecs": "ec", "endothelium": "endothelial", "hematopoeitic": "hematopoietic",
    "haematopoietic": "hematopoietic", "hemopoietic": "hematopoietic", "tumour": "tumor",
    "precursor": "precursor", "cytotox": "cytotoxic", "act": "activated", "neurone": "neuron",
    "neurones": "neuron", "natural-killer": "nk", "mem": "memory",
}  # fmt: skip
SINGULAR_KEPT = frozenset({"plus", "langerhans", "pancreas", "thymus", "uterus", "cis", "is"})
QUALIFIERS = frozenset(
    {
        "proliferating", "activated", "resting", "mature", "immature", "human", "mouse", "murine",
        "adult", "fetal", "like", "putative", "cluster", "high", "low", "intermediate", "type",
        "normal", "other", "general", "transitional", "inflammatory", "stressed", "quiescent",
        "early", "late", "unspecified", "subset", "population", "derived", "tumor",
        "differentiated",
    }
)  # fmt: skip
"""Words of state or origin that may be dropped when the whole label has no term."""

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z][a-z])")
_CLUSTER = re.compile(r"^(?:c(?:luster)?[ _-]?)?\d+\s*[:._-]\s*(?=\D)", re.IGNORECASE)
_NATURAL_KILLER = re.compile(r"\bnatural killer\b")
_POSITIVE = re.compile(r"(?<=[A-Za-z0-9])\s?\+")
_NEGATIVE = re.compile(r"(?<=\d)-(?=\s|/|\(|,|_|$)|(?<=CD\dA)-|(?<=RA)-(?=\W|$)")
_HILO = re.compile(r"(?<=\d)(hi|high|bright|lo|low|dim)\b", re.IGNORECASE)
_ASIAN = re.compile(r"[\u3130-\u318f\uac00-\ud7a3\u4e00-\u9fff]")
_POSITIVE_ASIAN = re.compile(r"양성|阳性")
_SPLIT = re.compile(r"[^0-9a-z\u3130-\u318f\uac00-\ud7a3\u4e00-\u9fff]+")
_CD = re.compile(r"^(?:cd\d+[a-z]{0,2}|fcgr3a|ms4a1|nkg7|fcer1a|lgr5|epcam|ptprc)$")


def plain(text: str) -> str:
    """Fold case, width, accents and Greek letters; keep everything else."""
    text = unicodedata.normalize("NFKC", text).translate(TRADITIONAL).strip()
    for letter, word in GREEK.items():
        text = text.replace(letter, f"{word} ").replace(letter.upper(), f"{word} ")
    return " ".join(text.casefold().split())


def compact(text: str) -> str:
    """Return Korean or Chinese without spaces, as people space it as they like; else nothing.

    >>> compact("NK 세포"), compact("CD8 양성 T세포"), compact("NK cell")
    ('nk세포', 'cd8+t세포', '')
    """
    if not _ASIAN.search(text):
        return ""
    return _POSITIVE_ASIAN.sub("+", "".join(plain(text).split()))


def normal(text: str) -> str:
    """Return a label's normal form, in which spellings of one type agree.

    >>> normal("CD14+ Monocytes"), normal("CD14-positive monocyte")
    ('cd14 positive monocyte', 'cd14 positive monocyte')
    >>> normal("T-cells"), normal("natural killer cell")
    ('t', 'nk')
    """
    text = unicodedata.normalize("NFKC", text).translate(TRADITIONAL).strip()
    text = _CLUSTER.sub("", text)
    text = text.replace("'", "").replace("’", "")
    for letter, word in GREEK.items():
        text = text.replace(letter, f" {word} ")
    text = _NEGATIVE.sub(" negative ", _POSITIVE.sub(" positive ", text))
    text = _HILO.sub(r" \1 ", _CAMEL.sub(" ", text))
    text = _NATURAL_KILLER.sub("nk", " ".join(text.casefold().split()))
    words = [_word(word) for word in _SPLIT.split(_fold(text))]
    return " ".join(word for word in " ".join(words).split())


def tokens(text: str) -> frozenset[str]:
    """Return the words of a normal form that name a type, without qualifiers and numbers."""
    return frozenset(word for word in text.split() if word not in QUALIFIERS and not word.isdigit())


def unqualified(text: str) -> str:
    """Drop words of state, plain numbers and gene names with their signs from a normal form."""
    words = text.split()
    kept: list[str] = []
    for place, word in enumerate(words):
        signed = place + 1 < len(words) and words[place + 1] in {"positive", "negative"}
        if word in QUALIFIERS or word.isdigit() or word in {"positive", "negative"}:
            continue
        if signed or (_CD.match(word) and len(words) > 1):
            continue
        kept.append(word)
    return " ".join(kept)


def _fold(text: str) -> str:
    return (
        "".join(one for one in unicodedata.normalize("NFD", text) if not unicodedata.combining(one))
        if text.isascii() or not re.search(r"[\uac00-\ud7a3]", text)
        else text
    )


def _word(word: str) -> str:
    if word in WORDS:
        return WORDS[word]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        if word in SINGULAR_KEPT:
            return word
        word = word[:-1]
    return WORDS.get(word, word)
