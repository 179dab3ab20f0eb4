"""What a part of a request names: genes, drugs, cell types, numbers, columns and groups.

Nothing here is understood, only found: the candidates from which a planner may choose, so that a
plan holds no name that neither the request nor the data has.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cellwright.tools.passport import Column, Passport, Role

NEW_LABELS = "cellwright_cell_type"
NEW_CLUSTERS = "cellwright_leiden"
MAX_SPAN = 4

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
her here hers hey hi high high-level highest his hit hold how i identify identities identity if
ignore immunologist important in include individual info information inhibitor inhibitors input
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
who why will with within without work working works would write yield you your yours
"""
COMMON = frozenset(_COMMON_WORDS.split())
"""Words that name no gene, drug or cell type."""

_ACRONYMS = """
UMAP UMAPS PBMC PBMCS QC PCA DE RNA DNA MRNA SCRNA ATAC CSV PDF AI IC50 T B NK DC I ID OK TSNE LLM
GPT CNV GRN VDJ TCR BCR GO KEGG GSEA CITE CEL-SEQ2 10X HTML JSON H5AD USA ASAP PLS DEG DEGS NGS
FDA API SQL TV
"""
_NOT_GENES = frozenset(_ACRONYMS.split())
_TOKEN = re.compile(r"[A-Za-z0-9][\w+/.\-]*", re.ASCII)
_BREAK = re.compile(r"[,;:?!()\[\]\"]|\s-\s|\.\s|\.$")
_NUMBER = re.compile(r"(?<![\w.+/-])(\d[\d,]*(?:\.\d+)?)(k\b)?(?![\w-])")
_WORDS = {
    "ten": "10", "twenty": "20", "fifty": "50", "a hundred": "100", "one hundred": "100",
    "two hundred": "200", "three hundred": "300", "five hundred": "500", "a thousand": "1000",
    "one thousand": "1000", "two thousand": "2000", "a dozen": "12", "five": "5",
}  # fmt: skip
_DRUG_ENDING = re.compile(
    r"(nib|mab|platin|taxel|stat|rubicin|lisib|ciclib|parib|zomib|statin|mycin|citabine|limus|"
    r"clax|tecan|poside|mustine|blastine|cristine|trexate|rafenib|metinib|degib|dasatib|sertib)$"
)
_HEADS = re.compile(
    r"(cells?|monocytes?|neurons?|macrophages?|fibroblasts?|neutrophils?|lymphocytes?|"
    r"megakaryocytes?|platelets?|hepatocytes?|keratinocytes?|microglia|astrocytes?|"
    r"enterocytes?|glioblasts?|neuroblasts?|erythrocytes?|interneurons?|progenitors?)$",
    re.IGNORECASE,
)

ROLE_WORDS: tuple[tuple[tuple[Role, ...], str], ...] = (
    (
        ("label",),
        r"cell[- ]?types?|cell[- ]?lines?|each type|types|lines?|labels?|identit(?:y|ies)"
        r"|populations?",
    ),
    (("cluster",), r"clusters?|leiden|louvain|communit(?:y|ies)"),
    (
        ("donor", "batch"),
        r"donors?|patients?|individuals?|animals?|mice|subjects?|participants?|persons?|people",
    ),
    (("batch", "donor"), r"samples?|batch(?:es)?|librar(?:y|ies)|plates?|lanes?"),
    (
        ("condition",),
        r"conditions?|treatments?|arms?|status|stimulation|treatment groups?|response groups?",
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
        columns: Columns that the words point to.
        groups: Values that the words name, by column; all values of a column that stands for a
            condition and has few.
        tissues: Tissues named.
        members: Values of columns that the words name, each with its column.
    """

    genes: tuple[str, ...] = ()
    likely_genes: tuple[str, ...] = ()
    drugs: tuple[str, ...] = ()
    likely_drugs: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    groups: tuple[tuple[str, tuple[str, ...]], ...] = ()
    tissues: tuple[str, ...] = ()
    members: tuple[tuple[str, str], ...] = ()


TISSUES = (
    "peripheral blood", "bone marrow", "lymph node", "visual cortex", "pancreas", "islet", "PBMC",
    "blood", "lung", "liver", "brain", "cortex", "intestine", "stomach", "skin", "kidney", "heart",
    "spleen", "colon", "breast", "melanoma", "glioblastoma", "retina", "muscle",
)  # fmt: skip


def find_mentions(ask: str, passport: Passport | None, *, new_labels: bool = False) -> Mentions:
    """Find what a part of a request names.

    Args:
        ask: The part, in English (glossed).
        passport: What the data set is; None without data.
        new_labels: The request annotates the cells, so 'cell type' means the labels to come.
    """
    tokens = [token.rstrip(".-/") for token in _TOKEN.findall(ask)]
    spans = _spans(ask)
    first = tokens[0] if tokens else ""
    likely_genes = [
        token.rstrip("+")
        for token in tokens
        if _looks_gene(token.rstrip("+"), first=token is first)
    ]
    uncommon = [token for token in tokens if _uncommon(token)]
    likely_drugs = [
        token
        for token in tokens
        if _DRUG_ENDING.search(token.lower()) or re.fullmatch(r"[A-Z]{2,5}-?\d{3,}\w*", token)
    ]
    named = _named_groups(ask, passport)
    labels = [value for column, values in named if _is_label(passport, column) for value in values]
    return Mentions(
        genes=_once(likely_genes or uncommon)[:16],
        likely_genes=_once(likely_genes)[:16],
        drugs=_once([*likely_drugs, *(token for token in uncommon if len(token) > 3)])[:10],
        likely_drugs=_once(likely_drugs)[:10],
        types=_once([*_types(spans, ask), *labels])[:24],
        phrases=_once(spans)[:24],
        numbers=_numbers(ask),
        columns=_columns(ask, passport, new_labels=new_labels),
        groups=named,
        tissues=tuple(
            tissue for tissue in TISSUES if re.search(rf"\b{tissue}\b", ask, re.IGNORECASE)
        ),
        members=_members(ask, passport),
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


def _once(items: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))


def _uncommon(token: str) -> bool:
    return len(token) > 1 and token.lower() not in COMMON and not token.replace(".", "").isdigit()


def _looks_gene(token: str, *, first: bool) -> bool:
    if token.upper() in _NOT_GENES or not _uncommon(token) or "/" in token or "+" in token:
        return False
    if not re.fullmatch(r"[A-Za-z][\w.-]{1,14}|ENS(?:MUS)?G\d{11}(?:\.\d+)?", token):
        return False
    letters = re.sub(r"[^A-Za-z]", "", token)
    if letters.isupper():
        return True
    if re.search(r"\d", token):
        return token[0].isupper() and len(letters) > 1 and token[1:].islower()
    return token[0].isupper() and token[1:].islower() and len(token) <= 6 and not first


def _spans(ask: str) -> list[str]:
    """Runs of uncommon words, the longest first, each with a cell noun that follows."""
    spans: list[str] = []
    for piece in _BREAK.split(ask):
        run: list[str] = []
        for token in [*(one.rstrip(".-/") for one in _TOKEN.findall(piece)), ""]:
            headed = bool(run) and bool(_HEADS.match(token)) and token != ""
            counts = token.replace(",", "").replace(".", "").isdigit()
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


def _types(spans: Sequence[str], ask: str) -> list[str]:
    """Spans in the singular; 'alpha and beta cells' also gives 'alpha cell' and 'beta cell'."""
    shared: list[str] = []
    for match in re.finditer(
        r"((?:[\w+/-]+,\s*)*[\w+/-]+)\s*,?\s+(?:and|or|vs\.?|versus)\s+([\w+/-]+)\s+(cells?"
        r"|neurons?)\b",
        ask,
    ):
        head = singular(match.group(3))
        members = [*re.split(r",\s*", match.group(1)), match.group(2)]
        shared += [f"{one} {head}" for one in members if one and one.lower() not in COMMON]
    plain = [singular(one) for one in spans if not re.fullmatch(r"[\d.,]+", one)]
    headed = [one for one in plain if _HEADS.search(one)]
    return [*shared, *headed, *(one for one in plain if one not in headed)]


def _numbers(ask: str) -> tuple[str, ...]:
    found = []
    for match in _NUMBER.finditer(ask):
        digits = match.group(1).rstrip(",").replace(",", "")
        found.append(f"{digits}000" if match.group(2) else digits)
    lowered = ask.lower()
    found += [
        digits for word, digits in _WORDS.items() if re.search(rf"\b{word}\b(?! \w*teen)", lowered)
    ]
    return _once(found)[:4]


def _columns(ask: str, passport: Passport | None, *, new_labels: bool) -> tuple[str, ...]:
    lowered = ask.lower()
    literal = [
        column.name for column in (passport.columns if passport else ()) if _says(lowered, column)
    ]
    by_role = []
    for roles, words in ROLE_WORDS:
        match = re.search(rf"\b(?:{words})\b", lowered)
        if match:
            own = "line" in match.group() or "own" in lowered
            name = column_for(roles, passport, new_labels=new_labels and not own)
            by_role += [name] if name else []
    return _once([*literal, *by_role])


def _says(lowered: str, column: Column) -> bool:
    """The words write a column's name; a name that is a common word must come as a column."""
    name = column.name.lower()
    lead = r"(?:\b(?:by|per|across|column|each|every) )" if name in COMMON or len(name) < 5 else ""
    return re.search(rf"{lead}(?<![\w.]){re.escape(name)}(?![\w.])", lowered) is not None


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


def _members(ask: str, passport: Passport | None) -> tuple[tuple[str, str], ...]:
    """Values of columns that the words name, the longest names first, each word taken once.

    A number names a value only behind the word for its column: 'cluster 3', 'donor 101'.
    """
    folded = f" {_fold(ask)} "
    found: dict[str, tuple[int, str, str]] = {}
    named = [
        (column, value)
        for column in (passport.columns if passport else ())
        for value in column.values
    ]
    for column, value in sorted(named, key=lambda one: -len(one[1])):
        name = _fold(value)
        if not name or name in found:
            continue
        if name.isdigit():
            words = next(
                (words for roles, words in ROLE_WORDS if column.role == roles[0]), column.name
            )
            match = re.search(rf" (?:{words}|{re.escape(_fold(column.name))}) ({name}) ", folded)
            decimal = re.search(rf"(?<![\d.]){name}[.,]\d|\d\.{name}\b", ask)
            match = None if decimal else match
        elif name in COMMON:
            continue
        else:
            match = re.search(rf" ({re.escape(singular(name))}s?)(?= )", folded)
        if match:
            found[name] = (match.start(1), column.name, value)
            blank = "_" * (match.end(1) - match.start(1))
            folded = folded[: match.start(1)] + blank + folded[match.end(1) :]
    return tuple((column, value) for _, column, value in sorted(found.values()))


def value_named(name: str, values: Sequence[str]) -> str:
    """The value that a name means, whatever the case and number; the name itself if none."""
    wanted = singular(_fold(name))
    return next((value for value in values if singular(_fold(value)) == wanted), name)


def _is_label(passport: Passport | None, name: str) -> bool:
    columns = passport.columns if passport else ()
    return any(column.name == name and column.role == "label" for column in columns)
