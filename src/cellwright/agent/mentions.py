"""What a part of a request names: genes, drugs, cell types, numbers, columns and groups.

Nothing here is understood, only found: the candidates from which a planner may choose, so that a
plan holds no name that neither the request nor the data has.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TypeVar

from cellwright.agent.names import cell_type_names, drug_named, gene_symbols
from cellwright.tools.passport import Column, Passport, Role

T = TypeVar("T")
NEW_LABELS = "cellwright_cell_type"
NEW_CLUSTERS = "cellwright_leiden"
MAX_SPAN = 4
NEAR_LABEL = 84.0
"""Likeness, of 100, from which a word is taken for a misspelt label."""

_COMMON_WORDS = """
a about abundance abundant according across add after again against all also alter altered alters
am amount an analyse analyses analysis analyze and annotate annotated annotation annotations
another any anything are arm arms artificial as ask at available average axis balance based be
because been before behind being belong belongs best between big bioinformatician biologist
biology biopsied biopsy both bring but by calculate call can carries carry cause cell cells change
changes characterise characterize chart check cheers choose class clear clinician closest cluster
clustered clustering clusters code coded cohort color colored colour coloured column command
compare compared comparison composition compound compounds compute condition conditions confirm
consider contrast control correct correction could count counts create data dataset datasets de
de-genes dear define defined defines delete depend describe did differ difference differences
different differential differentially display distinguish distributed distribution do doctor does
doing done donor donors dot dotplot draw drive driven drives drug drugs dump dying each effect
effective enriched equals estimate evening every everything evidence exactly examine example
execute explain explained explanation explore expressed expresses expressing expression fake false
few figure file files filter find fine first fit following for forecast forget found fractions
frequencies from function functional further gene generate generated genes get give given good
grant graph great group grouped groups grow has have heat heatmap heatmaps hello help helped helps
her here hers hey hi he she high high-level highest his hit hold how i identify identities identity
if ignore immunologist important in include individual info information inhibitor inhibitors input
insensitive inspect instructions integrate into investigate involved is it its joke just key kill
killed killing kind kindly kinds know knowledge known lab label labelled labels large last latest
layer learn least let level levels like likely line lines list lists literature look looking looks
lot lovely low made main make makes making map mark marker markers marks matrix may me mean
measure medicine meeting member metadata model more morning most much my name named names need new
next nice no normalise normalize not now number numbers of off old on oncologist one only or other
others our ours out over overview own panel panels paper part pathologist patient patients per
per-cluster per-donor percent percentage perform person pictures pie please plot plots plotted
poem population populations possible postdoc potency potent predict predicted prediction prepare
preprocess present previous print probability produce professor proportion proportions protein
provide pull put qc quality quantify question quick ratio raw real realistic really recluster red
related remove report representing represents request resistance resistant resolution respond
responders responding responds response responses result results role rows run said same sample
sampled samples saw say says score scores search see select sensitive sensitivity separate
separately set sets share shares shift shifted should show shown shows signature significant
silico simulate single sits size slides so some something species specific split state statistics
still string strong student study subset such suggest suggests summarise summarize summary sure
susceptibility susceptible synthetic system table tables take targets tell terms test tests text
than thank thanks that the their them then there these they thing things think this those through
time tissue to today together tolerant tolerate tomorrow too top treat treated treatment
treatments treatmentt true two type types typical umap under understand unknown up upregulated us
use used user using usual validated values vary versus very via violin violins virtual visualise
visualize vividly vs vulnerable want was way we weather well were what when where whether which
who why will with within without work working works would write yield you your yours calls
former latter reference references memo mk away restrict restricted keep keeps retain leave
"""
COMMON = frozenset(_COMMON_WORDS.split())
"""Words that name no gene, drug or cell type."""

_ACRONYMS = """
UMAP UMAPS PBMC PBMCS QC PCA DE RNA DNA MRNA SCRNA ATAC CSV PDF AI IC50 T B NK DC I ID OK TSNE LLM
GPT CNV GRN VDJ TCR BCR GO KEGG GSEA CITE CEL-SEQ2 10X HTML JSON H5AD USA ASAP PLS DEG DEGS NGS
FDA API SQL TV FACS EMT PI PHD WT KO HVG HVGS PDF PNG ROC AUC ML RES
"""
_NOT_GENES = frozenset(_ACRONYMS.split())
_TOKEN = re.compile(r"[A-Za-z0-9][\w+/.\-]*", re.ASCII)
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*(?:\.\d+)?(?<!-)")
"""A word that may be a gene's symbol; slashes and plus signs part a list."""
_LISTED = re.compile(r"\s*[,/&+;、，]?\s*(?:and\s+|or\s+)?")
_SHAPE = re.compile(r"[A-Z][A-Z0-9]*\d[A-Z0-9.-]*")
_PLUS = re.compile(r"(?<=[a-z]{3})\+(?=[A-Za-z]{3})")
_ONLY = re.compile(r"-(?=(?:only|alone|specific|free|wise|rich)\b)")
_BREAK = re.compile(r"[,;:?!()\[\]\"]|\s-\s|\.\s|\.$")
_NUMBER = re.compile(
    r"(?<![A-Za-z0-9_.+/-])((?:\d[\d,]*)?(?:\.\d+)|\d[\d,]*)(k(?![A-Za-z]))?(?![A-Za-z0-9_-])"
)
_ONES = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_SMALL = {
    **{word: value for value, word in enumerate(_ONES.split(), start=1)},
    "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19,
    **{word: 10 * value for value, word in enumerate(_TENS.split(), start=2)},
}  # fmt: skip
_SCALES = {"dozen": 12, "hundred": 100, "thousand": 1000}
_COUNTED = "|".join([*sorted(_SMALL, key=len, reverse=True), *_SCALES])
_TOP = re.compile(r"(?i)\b(?:top|best|first)-?(\d+)(?![\w.])")
_SPELT = re.compile(rf"\b(?:a )?(?:{_COUNTED})(?:[- ](?:{_COUNTED}))*\b")
_DECIMAL = re.compile(rf"\b(?:zero |oh )?point ({'|'.join(_ONES.split()[:9])})\b")
_DRUG_ENDING = re.compile(
    r"(nib|mab|platin|taxel|stat|rubicin|lisib|ciclib|parib|zomib|statin|mycin|citabine|limus|"
    r"clax|tecan|poside|mustine|blastine|cristine|trexate|degib|sertib|rasib|azepam|sartan|prazole|"
    r"gliptin|gliflozin|oxacin|cillin|cycline|profen|setron|xaban|glutide|azole|dipine|lukast)$"
)
_HEADS = re.compile(
    r"(cells?|monocytes?|neurons?|macrophages?|fibroblasts?|neutrophils?|lymphocytes?|"
    r"megakaryocytes?|platelets?|hepatocytes?|keratinocytes?|microglia|astrocytes?|"
    r"enterocytes?|glioblasts?|neuroblasts?|erythrocytes?|interneurons?|progenitors?)$",
    re.IGNORECASE,
)

_LYMPHOCYTES = re.compile(
    r"(?<![\w+-])(T|B|NK)\s*(?:vs\.?|versus|against|/|\+|&|,|and|or)\s*(T|B|NK)(?![\w+-])"
)
"""Lymphocytes called by a letter, beside one another."""

ROLE_WORDS: tuple[tuple[tuple[Role, ...], str], ...] = (
    (
        ("label",),
        r"cell[- ]?types?|cell[- ]?lines?|each type|types|lines?|labels?|identit(?:y|ies)"
        r"|populations?",
    ),
    (("cluster",), r"clusters?|leiden|louvain|communit(?:y|ies)"),
    (
        ("donor", "batch"),
        r"donors?|patients?|individuals?|animals?|mice|(?:by|per|each|every|which) mouse|subjects?"
        r"|participants?|persons?|people|volunteers?",
    ),
    (("batch", "donor"), r"samples?|batch(?:es)?|librar(?:y|ies)|plates?|lanes?"),
    (
        ("condition",),
        r"conditions?|treatments?|arms?|status|stimulation|treatment groups?|response groups?"
        r"|response class(?:es)?|outcomes?",
    ),
    (("tissue",), r"tissues?|organs?"),
)


@dataclass(frozen=True, kw_only=True)
class Mentions:
    """Candidates found in one part of a request, each in the order of the text.

    Attributes:
        genes: Words that may be genes; the likely ones, or any uncommon word when none is.
        likely_genes: Words written as genes are.
        drugs: Words that may be drugs.
        likely_drugs: Words with a drug's ending or written as compound codes are.
        types: Phrases that may be cell types, in the singular.
        phrases: Runs of words that may be looked up.
        numbers: Numbers as digits.
        written: Columns whose names the words write.
        columns: Columns that the words point to, those written first.
        groups: Values that the words name, by column; all values of a column that stands for a
            condition and has few.
        tissues: Tissues named.
        members: Values of columns that the words name, each with its column.
        spelt: Words that name a label otherwise than the data does, each with the label.
    """

    genes: tuple[str, ...] = ()
    likely_genes: tuple[str, ...] = ()
    drugs: tuple[str, ...] = ()
    likely_drugs: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    groups: tuple[tuple[str, tuple[str, ...]], ...] = ()
    tissues: tuple[str, ...] = ()
    members: tuple[tuple[str, str], ...] = ()
    spelt: tuple[tuple[str, str], ...] = ()


TISSUES = (
    "peripheral blood", "bone marrow", "lymph node", "visual cortex", "pancreas", "islet", "PBMC",
    "blood", "lung", "liver", "brain", "cortex", "intestine", "stomach", "skin", "kidney", "heart",
    "spleen", "colon", "breast", "melanoma", "glioblastoma", "retina", "muscle",
)  # fmt: skip


_LEADS = (
    r"\b(?:by|per|across|over|along|between|within|each|every|column|key|groupby|group by|split on"
    r"|split by|coloured by|colored by|color|colour|on|for each|in terms of|of the|of each|x|using"
    r"|use|for|with|按|以|用|把|将)\s*[=:]?\s*(?:the )?['\"`]?"
)
"""Words before a column's name."""
_TAILS = (
    r"['\"`]?(?: on the x| column| labels?\b| groups?\b"
    r"|\s?(?:컬럼|열|별|기준|색|을|를|로|으로|为|作为|列|这一列|这列|欄|分组|着色|上色))"
)
"""Words behind it."""


def find_mentions(
    ask: str, passport: Passport | None, *, new_labels: bool = False, raw: str = ""
) -> Mentions:
    """Find what a part of a request names.

    Args:
        ask: The part, in English (glossed).
        passport: What the data set is; None without data.
        new_labels: The request annotates the cells, so 'cell type' means the labels to come.
        raw: The same in the user's own words, in which names of columns are looked for.
    """
    ask = _PLUS.sub(" + ", ask)
    tokens = [token.rstrip(".-/") for token in _TOKEN.findall(ask)]
    spans = _spans(_ONLY.sub(" ", ask))
    uncommon = [token for token in tokens if _uncommon(token)]
    columns = passport.columns if passport else ()
    values = {value.lower() for column in columns for value in column.values}
    likely_drugs = _drugs(tokens, values)
    likely_genes = [one for one in _genes(ask) if one not in likely_drugs]
    named = _named_groups(ask, passport)
    labels = [value for column, values in named if _is_label(passport, column) for value in values]
    types = _types(spans, ask)
    members, spelt = _members(ask, passport)
    return Mentions(
        genes=_once(likely_genes or uncommon)[:16],
        likely_genes=_once(likely_genes)[:16],
        drugs=_once([*likely_drugs, *(token for token in uncommon if len(token) > 3)])[:10],
        likely_drugs=_once(likely_drugs)[:10],
        types=_once([*types, *labels])[:24],
        phrases=_once(spans)[:24],
        numbers=_once([digits for *_, digits in numbers(ask)])[:8],
        written=_written_columns(raw or ask, passport),
        columns=_columns(ask, passport, new_labels=new_labels),
        groups=named,
        tissues=tuple(
            tissue for tissue in TISSUES if re.search(rf"\b{tissue}\b", ask, re.IGNORECASE)
        ),
        members=_with_labels(members, types, passport),
        spelt=spelt,
    )


def column_for(
    roles: Sequence[Role], passport: Passport | None, *, new_labels: bool = False
) -> str | None:
    """The column that plays one of these parts, or that a tool will make for it."""
    if "label" in roles and new_labels:
        return NEW_LABELS
    found = passport.column(*roles) if passport else None
    if found is not None:
        return found.name
    return {"label": NEW_LABELS, "cluster": NEW_CLUSTERS}.get(roles[0])


def comparable(passport: Passport | None) -> list[Column]:
    """Columns that stand for a condition with at least two values, one of each set of values."""
    found: dict[frozenset[str], Column] = {}
    for column in passport.columns if passport else ():
        if column.role == "condition" and column.n_values > 1:
            found.setdefault(frozenset(column.values), column)
    return list(found.values())


def _once(items: Sequence[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(items))


def _uncommon(token: str) -> bool:
    return len(token) > 1 and token.lower() not in COMMON and not token.replace(".", "").isdigit()


def _genes(ask: str) -> list[str]:
    """Words that are symbols of genes, or written as symbols are where no known one is named.

    Small letters alone make a gene only beside another one, as in 'krt1 krt10 lor'.
    """
    symbols = gene_symbols()
    ask = re.sub(r"\b[A-Za-z0-9]{3,}(?:-[A-Za-z0-9]{3,})+\b", _unchained, ask)
    found = [one for one in _WORD.finditer(ask) if one.group().lower() not in {"and", "or"}]
    words = [one.group() for one in found]
    sure = [_is_symbol(word, symbols) for word in words]
    known = list(sure)
    for at, word in enumerate(words):
        if known[at] or not _may_be_gene(word) or word.lower() not in symbols:
            continue
        beside = [one for one in (at - 1, at + 1) if 0 <= one < len(words)]
        gaps = [ask[found[min(at, one)].end() : found[max(at, one)].start()] for one in beside]
        known[at] = any(
            sure[one] and _LISTED.fullmatch(gap) and (gap != " " or re.search(r"\d", words[one]))
            for one, gap in zip(beside, gaps, strict=True)
        )
    genes = [word for word, is_one in zip(words, known, strict=True) if is_one]
    return genes or [word for word in words if _shaped_as_gene(word)]


def _unchained(found: re.Match[str]) -> str:
    """Symbols joined by hyphens, as in 'IL17A-RORC-CCR6', as a list of them."""
    chain, symbols = found.group(), gene_symbols()
    parts = chain.split("-")
    is_list = chain.lower() not in symbols and all(one.lower() in symbols for one in parts)
    return " / ".join(parts) if is_list else chain


def _is_symbol(word: str, symbols: Mapping[str, str]) -> bool:
    if re.fullmatch(r"ENS(?:MUS)?G\d{11}(?:\.\d+)?", word):
        return True
    if not _may_be_gene(word) or word.lower() not in symbols:
        return False
    if word.isupper():
        return True
    digits = re.search(r"\d", word) is not None
    return digits or (word[0].isupper() and symbols[word.lower()].lower() == word.lower())


def _may_be_gene(word: str) -> bool:
    letters = re.sub(r"[^A-Za-z]", "", word)
    return len(letters) > 1 and word.upper() not in _NOT_GENES and word.lower() not in COMMON


def _shaped_as_gene(word: str) -> bool:
    return _may_be_gene(word) and _SHAPE.fullmatch(word) is not None


def _drugs(tokens: Sequence[str], values: Collection[str]) -> list[str]:
    """Words that name a drug, have a drug's ending, or are written as compound codes are."""
    found = []
    for token in (part for one in tokens for part in re.split(r"[+/]", one)):
        plain = token.lower()
        if not _uncommon(token):
            continue
        named = drug_named(token) if len(token) > 3 else None
        code = re.fullmatch(r"[A-Z]{2,5}-?\d{3,}\w*", token) and plain not in values
        if named and (plain not in values or named == token):
            found.append(named)
        elif _DRUG_ENDING.search(plain) or (code and plain not in gene_symbols()):
            found.append(token)
    return found


def _spans(ask: str) -> list[str]:
    """Runs of uncommon words, the longest first, each with a cell noun that follows."""
    spans: list[str] = []
    for piece in _BREAK.split(ask):
        run: list[str] = []
        for token in [*(one.rstrip(".-/") for one in _TOKEN.findall(piece)), ""]:
            headed = bool(run) and bool(_HEADS.match(token)) and token != ""
            counts = re.fullmatch(r"[\d.,]+k?", token) is not None
            if token and not counts and (headed or token.lower() not in COMMON):
                run.append(token)
                continue
            spans += _sub_spans(run)
            run = []
    return spans


def _sub_spans(run: list[str]) -> list[str]:
    if not run:
        return []
    found = []
    for size in range(min(len(run), MAX_SPAN), 0, -1):
        found += [" ".join(run[at : at + size]) for at in range(len(run) - size + 1)]
    return [one for one in found if not _HEADS.fullmatch(one) or not one.lower().startswith("cell")]


def singular(phrase: str) -> str:
    """A phrase with its last word in the singular."""
    return re.sub(r"(?<=[a-z]{2})(?<![sui])s$", "", phrase)


def plain_name(name: str) -> str:
    """A name in one form: small letters, in the singular, without 'cell' behind it."""
    plain = singular(re.sub(r"[^a-z0-9+.]+", " ", name.lower()).strip())
    return plain.removesuffix(" cell") or plain


def _types(spans: Sequence[str], ask: str) -> list[str]:
    """Spans in the singular; 'alpha and beta cells' also gives 'alpha cell' and 'beta cell'."""
    shared: list[str] = []
    for match in re.finditer(
        r"((?:[\w+/-]+,\s*)*[\w+/-]+)\s*,?\s+(?:and|or|vs\.?|versus)\s+([\w+/-]+)\s+"
        r"((?:[TB] |NK )?cells?|neurons?|monocytes?)\b",
        ask,
    ):
        if match.group(2).lower() in COMMON:
            continue
        head = singular(match.group(3))
        members = [*re.split(r",\s*", match.group(1)), match.group(2)]
        shared += [f"{one} {head}" for one in members if one and one.lower() not in COMMON]
    for match in _LYMPHOCYTES.finditer(ask):
        shared += [f"{one} cell" for one in match.groups() if one in {"T", "B", "NK"}]
    plain = [singular(one) for one in spans if not _SPELT.fullmatch(one.lower())]
    headed = [one for one in plain if _HEADS.search(one)]
    return [*shared, *headed, *(one for one in plain if one not in headed)]


def numbers(text: str) -> list[tuple[int, int, str]]:
    """Numbers of a text, each with start, end and digits: '1k', '.5', 'eight', 'two hundred'."""
    found = []
    for match in _NUMBER.finditer(text):
        digits = match.group(1).rstrip(",").replace(",", "")
        thousands = str(round(1000 * float(digits))) if match.group(2) else digits
        plain = f"0{thousands}" if thousands.startswith(".") else thousands
        found.append((match.start(), match.end(), plain))
    found += [(one.start(1), one.end(1), one.group(1)) for one in _TOP.finditer(text)]
    for match in _DECIMAL.finditer(text.lower()):
        found.append((match.start(), match.end(), f"0.{_SMALL[match.group(1)]}"))
    decimals = {one.end() for one in _DECIMAL.finditer(text.lower())}
    for match in _SPELT.finditer(text.lower()):
        if match.end() in decimals:
            continue
        value = 0
        for word in re.findall(r"[a-z]+", match.group()):
            scale = _SCALES.get(word)
            value = max(value, 1) * scale if scale else value + _SMALL.get(word, 0)
        if value > 2:
            found.append((match.start(), match.end(), str(value)))
    return found


def _columns(ask: str, passport: Passport | None, *, new_labels: bool) -> tuple[str, ...]:
    """Columns that the words write, then those that their words mean."""
    lowered = ask.lower()
    by_role = []
    for roles, words in ROLE_WORDS:
        match = re.search(rf"(?<![a-z])(?:{words})(?![a-z])", lowered)
        if match:
            own = "line" in match.group() or "own" in lowered
            name = _called(singular(match.group()), roles, passport) or column_for(
                roles, passport, new_labels=new_labels and not own
            )
            by_role += [name] if name else []
    return _once([*_written_columns(ask, passport), *by_role])


def _written_columns(ask: str, passport: Passport | None) -> tuple[str, ...]:
    """Columns whose names the words write, in the order of the text."""
    columns = passport.columns if passport else ()
    for spelt in (_written, _nearly_written):
        found = {one.name: at for one in columns if (at := spelt(ask, one)) >= 0}
        if found:
            break
    return tuple(sorted(found, key=lambda name: (found[name], -len(name))))


def _called(word: str, roles: Sequence[Role], passport: Passport | None) -> str | None:
    """The column of one of these roles that is called by a word: 'sample', not 'gsm'."""
    for column in passport.columns if passport else ():
        if column.role in roles and re.split(r"[_.\s]", column.name.lower())[0] == word:
            return column.name
    return None


def _written(ask: str, column: Column) -> int:
    """Where the words write a column's name; -1 where they do not.

    A name that is a common word must come as a column: 'by Run', 'the annotation column'.
    """
    plain = re.fullmatch(r"[a-z]+|[A-Z]?[a-z]+", column.name) is not None
    name = rf"(?<![A-Za-z0-9_.]){re.escape(column.name)}(?![A-Za-z0-9_]|\.[A-Za-z0-9])"
    if plain and (column.name.lower() in COMMON or len(column.name) < 8):
        name = rf"(?:{_LEADS}){name}|{name}(?:{_TAILS})|(?<=['\"`]){name}(?=['\"`])"
    match = re.search(name, ask)
    if match is None and column.name[0].isupper():
        match = re.search(rf"(?<=[\w,:/] ){re.escape(column.name)}(?![A-Za-z0-9_.])", ask)
    if match is None and column.name.islower():
        match = re.search(name, ask, re.IGNORECASE)
    return match.start() if match else -1


def _nearly_written(ask: str, column: Column) -> int:
    """Where the words write the name of a column of labels in several words, or in the plural."""
    name = _fold(column.name)
    if column.role != "label" or name in COMMON:
        return -1
    ending = "(?:e?s)?" if " " in name else "e?s"
    match = re.search(rf"(?<![a-z]){name}{ending}(?![a-z])", _fold(ask))
    return match.start() if match else -1


def _fold(text: str) -> str:
    return re.sub(r"[^a-z0-9+]+", " ", text.lower()).strip()


def _named_groups(ask: str, passport: Passport | None) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Values of columns that the words name, by column; one column for each set of values."""
    folded = f" {_fold(ask)} "
    found: dict[tuple[str, ...], str] = {}
    for column in passport.columns if passport else ():
        values = [
            value
            for value in column.values
            if (name := _fold(value))
            and (f" {name} " in folded or f" {name}s " in folded or f" {singular(name)} " in folded)
            and not name.isdigit()
        ]
        if column.role == "condition" and 2 <= column.n_values <= 6:
            values = list(column.values)
        if len(values) > 1 or (values and column.role == "label"):
            found.setdefault(tuple(values), column.name)
    return tuple((column, values) for values, column in found.items())


def _members(
    ask: str, passport: Passport | None
) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    """Values of columns that the words name, the longest names first, each word taken once.

    A number names a value only behind the word for its column: 'cluster 3', 'donor 101'. Labels
    that are cut short or misspelt are given once more, with the words for them.
    """
    folded = f" {_fold(ask)} "
    found: dict[str, tuple[int, str, str]] = {}
    named = [
        (column, value)
        for column in (passport.columns if passport else ())
        for value in column.values
        if column.n_values > 1 or column.role in {"label", "donor", "condition"}
    ]
    counted = _counted(ask, passport)
    for column, value in sorted(named, key=lambda one: -len(one[1])):
        name = _fold(value)
        if not name or name in found:
            continue
        if name.isdigit():
            if (column.name, value) in counted:
                found[name] = (counted[column.name, value], column.name, value)
            continue
        if name in COMMON and column.role != "condition":
            continue
        match = re.search(rf" ({re.escape(singular(name))}s?)(?= )", folded)
        if match:
            found[name] = (match.start(1), column.name, value)
            blank = "_" * (match.end(1) - match.start(1))
            folded = folded[: match.start(1)] + blank + folded[match.end(1) :]
    for holder, value, at in _between(ask, passport):
        found.setdefault(_fold(value), (at, holder, value))
    spelt = [*_misspelt(folded, passport), *_shortened(folded, passport)]
    for place, _words, holder, value in spelt:
        found.setdefault(_fold(value), (place, holder, value))
    members = tuple((column, value) for _, column, value in sorted(found.values()))
    return members, tuple((words, value) for _, words, _, value in spelt)


def _between(ask: str, passport: Passport | None) -> list[tuple[str, str, int]]:
    """Values that a range names, as 'N1 to N6' does; with their columns, and where it stands."""
    values = {
        value: column.name
        for column in (passport.columns if passport else ())
        for value in column.values
    }
    found = []
    for one in re.finditer(
        r"(?<![A-Za-z0-9])([A-Za-z]+)(\d{1,2}) ?(?:to|-|–|through|\.\.\.?|…) ?\1?(\d{1,2})(?!\w)",
        ask,
    ):
        for number in range(int(one.group(2)), int(one.group(3)) + 1):
            name = f"{one.group(1)}{number}"
            found += [(values[name], name, one.start())] if name in values else []
    return found


def _with_labels(
    members: Sequence[tuple[str, str]], types: Sequence[str], passport: Passport | None
) -> tuple[tuple[str, str], ...]:
    """Values named, with labels named but for 'cell': 'beta', or 'pit' in 'pit and chief cells'."""
    plain = {
        name for one in types if len(name := plain_name(one)) > 1 or one.lower().endswith("cell")
    }
    found = list(members)
    for column in passport.columns if passport else ():
        if column.role == "label":
            known = {value for _, value in found}
            found += [
                (column.name, value)
                for value in column.values
                if value not in known and plain_name(value) in plain - COMMON
            ]
    return tuple(found)


Spelt = tuple[int, str, str, str]
"""Where words stand that name a label otherwise, the words, the label's column, and the label."""


def _misspelt(folded: str, passport: Passport | None) -> list[Spelt]:
    """Words that are near a label of one word."""
    from rapidfuzz import fuzz

    labels = [
        (singular(value.lower()), column.name, value)
        for column in (passport.columns if passport else ())
        if column.role == "label"
        for value in column.values
    ]
    found = []
    for one in re.finditer(r"[a-z]{6,}", folded):
        word = singular(one.group())
        near = (
            (holder, value)
            for name, holder, value in labels
            if name.isalpha() and name != word and fuzz.ratio(word, name) >= NEAR_LABEL
        )
        if one.group() not in COMMON and (best := next(near, None)):
            found.append((one.start(), one.group(), *best))
    return found


def _shortened(folded: str, passport: Passport | None) -> list[Spelt]:
    """Words that cut labels short: 'neutro', 'CD14 monos', 'radial glia', 'endothelium'.

    The longest runs of words come first. A word alone must fit one label of a column, and be no
    name of a cell type by itself ('monocyte' is not cut short); of several labels that a run fits,
    the one with fewest other words is meant.
    """
    words = [
        (one.start(), one.group())
        for one in re.finditer(r"[a-z0-9]+", folded)
        if singular(one.group()) not in COMMON and one.group() not in COMMON
    ]
    holders = [
        (column.name, {value: re.findall(r"[a-z0-9]+", value.lower()) for value in column.values})
        for column in (passport.columns if passport else ())
        if column.role == "label"
    ]
    found, taken = [], set[int]()
    for size in range(3, 0, -1):
        for at in range(len(words) - size + 1):
            run = words[at : at + size]
            is_run = all(
                folded[start + len(word) : after].strip() == ""
                for (start, word), (after, _) in pairwise(run)
            )
            is_name = size == 1 and singular(run[0][1]) in cell_type_names()
            if not is_run or is_name or taken & set(range(at, at + size)):
                continue
            for holder, parts in holders:
                fits = {
                    value: len(some)
                    for value, some in parts.items()
                    if _stand_for([word for _, word in run], value, some)
                }
                best = [value for value, n in fits.items() if n == min(fits.values())]
                if len(best if size > 1 else fits) == 1:
                    said = " ".join(word for _, word in run)
                    found.append((run[0][0], said, holder, best[0]))
                    taken |= set(range(at, at + size))
                    break
    return found


def _stand_for(run: Sequence[str], label: str, parts: Sequence[str]) -> bool:
    """Words stand for a label: each for one of its words, or all of them written as one ('cd8t').

    One word of four letters that names no gene must be there: 'CD14' alone is a gene.
    """
    plain = plain_name(label)
    if len(run) == 1 and " " in plain and run[0] == re.sub(r"[^a-z0-9]+", "", plain):
        return True
    telling = any(len(one) > 3 and one.isalpha() and one not in gene_symbols() for one in run)
    return telling and all(any(_cuts(word, one) for one in parts) for word in run)


@lru_cache(maxsize=65536)
def _cuts(word: str, whole: str) -> bool:
    """A word stands for another: its beginning, or it ends otherwise ('glia' for 'glial')."""
    from rapidfuzz.distance import Prefix

    word, whole = singular(word), singular(whole)
    if word == whole or (len(word) > 3 and whole.startswith(word)):
        return True
    return Prefix.similarity(word, whole) >= max(5, 0.8 * max(len(word), len(whole)))


def _counted(ask: str, passport: Passport | None) -> dict[tuple[str, str], int]:
    """Values that are numbers, each with its place: 'clusters 0, 4 and 9', 'donor 101', '1015'.

    A short number names a value only beside the word for its column; one of three digits and more
    is a value wherever it stands.
    """
    found: dict[tuple[str, str], int] = {}
    for column in passport.columns if passport else ():
        if not any(value.isdigit() for value in column.values):
            continue
        words = next((words for roles, words in ROLE_WORDS if column.role == roles[0]), column.name)
        said = rf"(?:{words}|{re.escape(column.name.lower())})"
        lists = re.finditer(
            rf"(?<![a-z]){said}[ #:(]{{0,3}}(?:(?:number|no|nr)\W*)?"
            rf"((?:\d+(?![.\d]\d|\d*\s*(?:genes?|markers?|best|each)\b)(?:\s*(?:,|/|and|or|vs\.?|versus|with|against|from|to|&|와|과|和|与)"
            rf"\s*)*(?:{said}\s*)?)+)|(?<![\d.])(\d+)\s?(?:号|번|號)?\s?{said}",
            ask.lower(),
        )
        spans = [(one.start(), one.group(1) or one.group(2)) for one in lists]
        spans += [
            (one.start(), one.group()) for one in re.finditer(r"(?<![\d.,])\d{3,}(?![\d.])", ask)
        ]
        for start, text in spans:
            for number in re.findall(r"\d+", text):
                if number in column.values:
                    found.setdefault((column.name, number), start)
    return found


def apart(names: Sequence[str]) -> list[str]:
    """Names that are not parts of one another, in the order found."""
    kept: list[str] = []
    for one in names:
        words = set(singular(one.lower()).split())
        if not any(words <= set(singular(other.lower()).split()) for other in kept):
            kept.append(one)
    return kept


def value_named(name: str, values: Sequence[str]) -> str:
    """The value that a name means, whatever the case and number; the name itself if none."""
    wanted = singular(_fold(name))
    return next((value for value in values if singular(_fold(value)) == wanted), name)


def _is_label(passport: Passport | None, name: str) -> bool:
    columns = passport.columns if passport else ()
    return any(column.name == name and column.role == "label" for column in columns)
