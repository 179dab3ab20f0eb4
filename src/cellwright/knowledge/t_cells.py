"""T cell labels, read by their parts: lineage, stage and function in any order."""

import re

_T = re.compile(r"\bt\b|\bcd[348]a?\b|\btreg\b|regulatory|\btcell\b")

TERMS: dict[tuple[str, str], str] = {
    ("", "naive"): "CL:0000898",
    ("", "memory"): "CL:0000813",
    ("", "regulatory"): "CL:0000815",
    ("", "cytotoxic"): "CL:0000910",
    ("", "effector"): "CL:0000911",
    ("", "helper"): "CL:0000912",
    ("cd4", ""): "CL:0000624",
    ("cd4", "naive"): "CL:0000895",
    ("cd4", "memory"): "CL:0000897",
    ("cd4", "central memory"): "CL:0000904",
    ("cd4", "effector memory"): "CL:0000905",
    ("cd4", "regulatory"): "CL:0000792",
    ("cd4", "cytotoxic"): "CL:0000934",
    ("cd4", "effector"): "CL:0001044",
    ("cd4", "helper"): "CL:0000492",
    ("cd8", ""): "CL:0000625",
    ("cd8", "naive"): "CL:0000900",
    ("cd8", "memory"): "CL:0000909",
    ("cd8", "central memory"): "CL:0000907",
    ("cd8", "effector memory"): "CL:0000913",
    ("cd8", "regulatory"): "CL:0000795",
    ("cd8", "cytotoxic"): "CL:0000794",
    ("cd8", "effector"): "CL:0001050",
}
_KNOWN = re.compile(
    r"^(?:t|cd3|cd3e|cd4|cd8|cd8a|cd8b|cd25|cd45ra|cd45ro|cd127|ccr7|sell|foxp3|il2ra|positive|"
    r"negative|naive|memory|central|effector|regulatory|cytotoxic|helper|conventional|alpha|beta|"
    r"ab|resident|tissue|and|exhausted|proliferating|activated|resting|blood|peripheral|gzmk|gzmb|"
    r"\d+)$"
)


def read(text: str) -> tuple[str, bool] | None:
    """Return the Cell Ontology id of a T cell label, and whether every word was understood.

    Args:
        text: Normal form of the label.
    """
    words = [word for word in text.split() if not word.isdigit()]
    if not _T.search(text) or {"nk", "gamma", "delta", "gd", "nkt"} & set(words):
        return None
    unknown = [word for word in words if not _KNOWN.match(word)]
    if len(unknown) > 1 or len(words) == 1:
        return None
    found = TERMS.get((_lineage(text), _stage(text)))
    dropped = {"exhausted", "proliferating", "activated", "resident", "resting"} & set(words)
    return (found, not unknown and not dropped) if found else None


def _lineage(text: str) -> str:
    cd4 = re.search(r"\bcd4\b(?! negative)", text)
    cd8 = re.search(r"\bcd8[ab]?\b(?! negative)", text)
    if bool(cd4) == bool(cd8):
        return ""
    return "cd4" if cd4 else "cd8"


def _stage(text: str) -> str:
    words = set(text.split())
    if "regulatory" in words or "foxp3" in words:
        return "regulatory"
    if "naive" in words or re.search(r"\bcd45ra positive", text):
        return "naive"
    if "memory" in words or re.search(r"\bcd45ro positive", text):
        for kind in ("central", "effector"):
            if kind in words:
                return f"{kind} memory"
        return "memory"
    for kind in ("cytotoxic", "helper", "effector"):
        if kind in words:
            return kind
    return ""
