"""Splitting a request into the things it asks for."""

import re

from cellwright.agent.lexicon import gloss, is_eastern

MAX_ASKS = 24
"""A request with more parts than this keeps its tail in one part."""

_VERBS = [
    "annotate",
    "label",
    "identify",
    "classify",
    "assign",
    "type",
    "name",
    "show",
    "draw",
    "plot",
    "make",
    "produce",
    "create",
    "give",
    "visualise",
    "visualize",
    "display",
    "render",
    "paint",
    "color",
    "colour",
    "compare",
    "contrast",
    "predict",
    "estimate",
    "forecast",
    "score",
    "generate",
    "simulate",
    "synthesise",
    "synthesize",
    "sample",
    "find",
    "list",
    "get",
    "identify",
    "detect",
    "report",
    "rank",
    "explain",
    "interpret",
    "tell",
    "describe",
    "summarise",
    "summarize",
    "check",
    "verify",
    "validate",
    "search",
    "look",
    "lookup",
    "match",
    "analyse",
    "analyze",
    "explore",
    "run",
    "compute",
    "calculate",
    "perform",
    "do",
    "cluster",
    "recluster",
    "preprocess",
    "normalise",
    "normalize",
    "filter",
    "integrate",
    "correct",
    "infer",
    "test",
    "count",
    "quantify",
    "select",
    "pick",
    "save",
    "export",
    "write",
    "send",
    "delete",
    "remove",
    "ignore",
    "forget",
    "print",
    "execute",
    "open",
    "read",
    "translate",
    "book",
    "order",
    "buy",
    "sing",
    "call",
    "reveal",
    "disregard",
    "drop",
    "overwrite",
    "wipe",
    "email",
    "upload",
    "download",
    "install",
    "use",
    "build",
    "train",
    "reconstruct",
    "map",
    "trace",
    "measure",
    "determine",
    "investigate",
    "assess",
    "evaluate",
    "examine",
    "study",
    "redo",
    "repeat",
    "ask",
    "say",
    "inspect",
    "highlight",
    "subset",
    "recommend",
    "suggest",
    "mark",
    "characterise",
    "characterize",
    "provide",
    "output",
    "include",
    "add",
    "deconvolve",
    "align",
    "keep",
    "take",
    "restrict",
    "exclude",
    "limit",
    "narrow",
    "leave",
    "zoom",
    "throw",
    "rank",
    "put",
    "order",
    "contrast",
    "look",
]
_QUESTIONS = [
    "what",
    "which",
    "who",
    "why",
    "how",
    "when",
    "where",
    "is",
    "are",
    "do",
    "does",
    "did",
    "can",
    "could",
    "will",
    "would",
]
_DELIVERABLES = (
    r"umaps?|heat ?maps?|dot ?plots?|violins?|violin plots?|markers?|marker genes|composition|"
    r"proportions?|tables?|plots?|figures?|trajector\w+|pseudotime|rna velocity|velocity|"
    r"annotations?|clusters?|clustering|drug response|differential expression|de genes|degs?|"
    r"cell types?|qc|quality control|summary|overview|copy number\w*|survival\w*|"
    r"cell[- ]cell communication|spatial \w+|overview|frequenc(?:y|ies)|breakdown|"
    r"synthetic [\w ]{0,24}cells?|simulated [\w ]{0,24}cells?|dots|feature ?plots?"
)
_LEAD = (
    r"(?:(?:and|then|also|next|finally|lastly|afterwards|after that|please|pls|plz|kindly|now|"
    r"just|maybe|additionally|besides|further|furthermore|moreover|plus|so|ok|okay|first|firstly|"
    r"second|secondly|third|thirdly|i|we|you|i'd|id|we'd|like|want|need|would|wanna|to|can|could|"
    r"may|let's|lets|let|us|me|help|if possible|once done|when done)[\s,:]+)*"
)
_START = re.compile(
    rf"^{_LEAD}(?:(?:{'|'.join(_VERBS + _QUESTIONS)})(?:s|ing)?\b"
    rf"|(?:(?:a|an|the|some|its|their|top|another|one|\d+)\s+)*"
    rf"(?:(?!(?:by|of|per|in|for|with|on|as|to|from|is|are)\b)[\w'’\x00\x01-]+\s+){{0,3}}"
    rf"(?:{_DELIVERABLES})\b(?!\s+cells?\b))",
    re.IGNORECASE,
)
_ORDER = re.compile(
    rf"^{_LEAD}(?:(?:{'|'.join(_VERBS + _QUESTIONS)})\b"
    rf"|(?:(?:a|an|the|its)\s+)?(?:{_DELIVERABLES})\b)",
    re.IGNORECASE,
)
"""The text starts with a verb or a deliverable, whatever stands before it."""
_CUE = re.compile(
    rf"\b(?:{_DELIVERABLES}|effects?|differences?|expression|types?|vs|versus|response|genes|functions?|known|"
    rf"{'|'.join(_VERBS)})(?:s|ing|d|ed)?\b",
    re.IGNORECASE,
)
"""Words without which a part of an English sentence asks nothing."""
_CONTINUES = re.compile(
    r"(?:colou?r(?:ed|s)?\b(?! the| cells| them| by)"
    r"|(?:by|per|with|using|in|for|one per|as|from|of|on|within|and so on"
    r"|that sort of)\b)(?!.*\?$)",
    re.IGNORECASE,
)
"""How a sentence starts that says more of the one before it."""
_STRONG = re.compile(r"\s*(?:;|\n+|\s(?:->|=>|→|\+)\s|(?<=[.!?。？！])\s+(?=\S)|[。；？！]+)\s*")
_WEAK = re.compile(
    r"\s*,\s*(?:and\s+|then\s+|also\s+|plus\s+|but\s+)*|\s+(?:and|then|plus|also|as well as|&)\s+"
    r"(?:then\s+|also\s+)?",
    re.IGNORECASE,
)
_BULLET = re.compile(r"^\s*(?:[-*•·]|\(?\d{1,2}[.)]|[a-h]\))\s+")
_INLINE_NUMBER = re.compile(r"(?:(?<=\s)|^)(?:\(?\d{1,2}[.)]|\(?[a-h]\))\s+(?=\w)")
_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|vs|reg|approx|dr|cf|etc|no|fig|sp|spp)\.\s", re.I)
_GENE = (
    r"(?!(?:UMAP|TSNE|PCA|QC|DE|DEGS?|CNV|RNA|GSEA|ATAC)\b)"
    r"(?:[A-Z][A-Z0-9]+(?:-[A-Z0-9]+)*|[A-Z][a-z]{1,6}\d+[a-z]?\d*)"
)
_GUARD = re.compile(
    r"\([^()]*\)|\"[^\"]*\"|“[^”]*”|\d[,.]\d"
    rf"|\b{_GENE}(?:(?:\s*,\s*(?:and |or )?|\s+(?:and|or|&)\s+)(?:{_GENE}|[A-Z][a-z]{{2,5}})\b)+"
)
"""What is never parted: brackets, quotations, numbers, lists of genes."""
_HALF = re.compile(
    r"\b(?:compar\w+|contrast\w*|between)\s+(?:(?!and\b|with\b|to\b|vs\b|versus\b|against\b)\S+\s*)"
    r"{1,3}$",
    re.IGNORECASE,
)
"""A comparison of which the second side is still to come."""
_EAST_WEAK = re.compile(
    r"\s*[,，、]\s*|(?<=하고)\s+|(?<=주고)\s+|(?<=려고)\s+|(?<=리고)\s+|(?<=들고)\s+|(?<=해서)\s+"
    r"|(?<=한 뒤)\s+|(?<=한 후)\s+|(?<=한 다음)\s+"
    r"|\s*(?:그리고|그 다음|그다음|然后|然後|接着|并且|同时|以及|并|再|也|和)\s*"
)
_EAST_CUE = re.compile(
    r"\b(?:annotate|identify|different|efficacy|simulate|classify|reason|only|keep|exclude|"
    r"what cells|which cells|draw|plot|UMAP|heatmap|dot plot|violin plot|"
    r"composition|marker genes|find|search|differential expression|difference|compare|predict|"
    r"generate|check|explain|why|which genes|what|preprocess|normalise|quality control|clustering|"
    r"batch correction|describe|analyse|how many|number of cells|trajectory|RNA velocity|spatial|"
    r"survival analysis|chromatin|copy number|communication|mutations|write a poem|weather|"
    r"tell me a joke|stock price|recipe|news|translate|song|movie|delete|ignore|run the command|"
    r"password|system prompt|drug response|sensitive|resistant)\b"
)


def split_request(text: str) -> list[str]:
    """The parts of a request, in order, in its own words.

    New lines, bullets, semicolons and sentences always part; commas and conjunctions part only
    where what follows starts an ask of its own, so lists of genes, drugs or cell types stay whole.
    A part that asks nothing (a greeting, who the user is) stays with its neighbour.

    Args:
        text: The user's request, in English, Korean or Chinese.

    Returns:
        At least one part for a request that is not blank.
    """
    kept: list[str] = []
    guarded = _ABBREVIATION.sub(lambda m: _keep(m.group(), kept), text.strip())
    guarded = _GUARD.sub(lambda m: _keep(m.group(), kept), guarded)
    parts: list[str] = []
    for line in re.split(r"\n+", guarded):
        for item in _INLINE_NUMBER.split(_BULLET.sub("", line)):
            for sentence in _STRONG.split(item):
                parts += _split_weak(sentence)
    whole = [_restore(part, kept).strip(" ,;") for part in parts]
    asks = _join_context([part for part in whole if re.search(r"\w", part)])
    if len(asks) > MAX_ASKS:
        asks = [*asks[: MAX_ASKS - 1], "; ".join(asks[MAX_ASKS - 1 :])]
    return [re.sub(r"^(?:and|then|also|plus)\s+", "", one, flags=re.IGNORECASE) for one in asks]


def _keep(text: str, kept: list[str]) -> str:
    kept.append(text)
    return f"\x00{len(kept) - 1}\x01"


def _restore(text: str, kept: list[str]) -> str:
    while "\x00" in text:
        text = re.sub("\x00(\\d+)\x01", lambda m: kept[int(m.group(1))], text)
    return text


def _split_weak(sentence: str) -> list[str]:
    """Part a sentence at the conjunctions after which a new ask starts."""
    eastern = is_eastern(sentence)
    pattern = _EAST_WEAK if eastern else _WEAK
    parts: list[str] = []
    start = 0
    for match in pattern.finditer(sentence):
        left, right = sentence[start : match.start()], sentence[match.end() :]
        clause = pattern.split(right)[0] if eastern else right
        joins_nouns = match.group().strip() == "和"
        begins = not joins_nouns or _EAST_CUE.match(gloss(clause)) is not None
        before = _asked_before(left, eastern=eastern)
        half = match.group().strip() in {"and", "&"} and _HALF.search(left)
        before = before and not (half and not _ORDER.search(clause.strip()))
        if begins and before and asks_something(clause) and not _only_kind(left, clause):
            parts.append(left)
            start = match.end()
    parts.append(sentence[start:])
    return parts


def _asked_before(left: str, *, eastern: bool) -> bool:
    """What stands before asks something, behind a greeting or a colon if need be."""
    if asks_something(left):
        return True
    clauses = re.split(r"[:,]\s+", left)
    return not eastern and (
        _CUE.search(left) is not None or any(asks_something(one) for one in clauses[1:])
    )


def _only_kind(left: str, right: str) -> bool:
    """The right is nothing but how to draw what the left names: 'CD3D by donor, violin'."""
    kind = r"(?:violins?|violin plots?|heat ?maps?|dot ?plots?|umaps?)"
    return bool(
        re.fullmatch(rf"(?:as )?(?:an? )?{kind}(?: please)?", right.strip(" .!"), re.IGNORECASE)
        and re.search(r"expression|show|distribution", left, re.IGNORECASE)
        and not re.search(kind, left, re.IGNORECASE)
    )


def asks_something(text: str) -> bool:
    """The text starts (in Korean and Chinese: holds) an ask of its own."""
    if is_eastern(text):
        return _EAST_CUE.search(gloss(text)) is not None
    return _START.search(text.strip()) is not None


def _join_context(parts: list[str]) -> list[str]:
    """Put parts that ask nothing before the next that does, or after the last."""
    asks: list[str] = []
    waiting = ""
    for part in parts:
        if asks and not waiting and _CONTINUES.match(part) and not is_eastern(part):
            asks[-1] = f"{asks[-1]} {part}"
            continue
        waiting = f"{waiting} {part}".strip()
        asked = _asked_before(part, eastern=is_eastern(part))
        if asked or part.endswith("?") or _CUE.search(part):
            asks.append(waiting)
            waiting = ""
    if waiting:
        asks = [*asks[:-1], f"{asks[-1]} {waiting}"] if asks else [waiting]
    return asks
