"""Species and identifier scheme, told from all the names of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cellwright.knowledge import names as forms
from cellwright.knowledge.records import NameReport

if TYPE_CHECKING:
    from cellwright.knowledge.gene_index import GeneIndex
    from cellwright.knowledge.resolver import GeneResolver

Scheme = Literal["symbol", "ensembl", "ensembl_versioned", "entrez", "unknown"]
SpeciesName = Literal["human", "mouse", "unknown"]

MIN_SHARE = 0.25
"""Share of the names that must be known before anything is said of them."""
MIXED_SHARE = 0.1
"""Share of a second species' names from which a data set counts as mixed."""


@dataclass(frozen=True, kw_only=True)
class _Verdict:
    species: SpeciesName
    evidence: str
    confidence: float


def identify(names: Sequence[str], genes: GeneResolver) -> NameReport:
    """Tell species and identifier scheme of gene names.

    Args:
        names: All gene names of the data set.
        genes: The resolver.
    """
    parts = [forms.reference(str(name).strip()) for name in names]
    bare = [name for _prefix, name in parts if name]
    if not bare:
        return _unknown("there are no gene names", 0.0)
    ensembl = [found for name in bare if (found := forms.ENSEMBL.match(name))]
    numbers = [int(name) for name in bare if name.isdigit()]
    if len(ensembl) > len(bare) / 2:
        scheme, share, verdict, what = _ensembl(bare, ensembl)
    elif len(numbers) > len(bare) / 2:
        scheme, share, verdict, what = _entrez(bare, numbers, genes)
    else:
        scheme, share, verdict, what = _symbols(bare, genes)
    verdict = _by_prefix(parts, verdict)
    if scheme == "unknown":
        return _unknown(what, share)
    coverage = 0.0
    if verdict.species != "unknown":
        known = sum(key is not None for key in genes.keys(names, verdict.species))
        coverage = known / len(names)
    return NameReport(
        species=verdict.species,
        species_evidence=verdict.evidence,
        species_confidence=round(verdict.confidence, 3),
        scheme=scheme,
        scheme_evidence=what,
        scheme_confidence=round(min(1.0, share), 3),
        coverage=coverage,
    )


def _unknown(what: str, share: float) -> NameReport:
    return NameReport(
        species="unknown",
        species_evidence=what,
        species_confidence=0.0,
        scheme="unknown",
        scheme_evidence=what,
        scheme_confidence=0.0,
        coverage=share,
    )


def _by_prefix(parts: Sequence[tuple[str, str]], verdict: _Verdict) -> _Verdict:
    prefixed = [prefix for prefix, _ in parts if prefix]
    mouse = sum(prefix in forms.MOUSE_REFERENCES for prefix in prefixed)
    human = len(prefixed) - mouse
    if len(prefixed) < len(parts) / 2:
        return verdict
    if min(mouse, human) > MIXED_SHARE * len(parts):
        text = f"names carry reference prefixes of both species ({human} human, {mouse} mouse)"
        return _Verdict(species="unknown", evidence=text, confidence=0.0)
    text = f"{len(prefixed)} names carry a reference prefix such as {prefixed[0]}_"
    return _Verdict(species="mouse" if mouse > human else "human", evidence=text, confidence=1.0)


def _ensembl(bare: list[str], found: list) -> tuple[Scheme, float, _Verdict, str]:
    mouse = sum(bool(one.group(1)) for one in found)
    human = len(found) - mouse
    versioned = sum(bool(one.group(3)) for one in found)
    scheme: Scheme = "ensembl_versioned" if versioned > len(found) / 2 else "ensembl"
    text = f"{len(found)} of {len(bare)} names are Ensembl gene ids"
    text += f", {versioned} with a version" if versioned else ""
    kinds = f"{human} ids begin with ENSG and {mouse} with ENSMUSG"
    if min(mouse, human) > MIXED_SHARE * len(found):
        verdict = _Verdict(species="unknown", evidence=f"{kinds}: mixed", confidence=0.0)
    else:
        share = max(mouse, human) / len(found)
        species: SpeciesName = "mouse" if mouse > human else "human"
        verdict = _Verdict(species=species, evidence=kinds, confidence=share)
    return scheme, len(found) / len(bare), verdict, text


def _entrez(
    bare: list[str], numbers: list[int], genes: GeneResolver
) -> tuple[Scheme, float, _Verdict, str]:
    human = sum(one in genes.human.by_entrez for one in numbers)
    mouse = sum(one in genes.mouse.by_entrez for one in numbers)
    best = max(human, mouse)
    text = (
        f"{len(numbers)} of {len(bare)} names are numbers: {human} are human NCBI gene ids "
        f"and {mouse} mouse ones"
    )
    # Any run of small integers hits a few gene ids by chance: 0, 1, 2... is an index, no scheme.
    in_order = numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    if best < 0.8 * len(numbers) or (in_order and len(numbers) > 2):
        text += "; too few to be gene ids" if not in_order else "; they merely count up"
        return "unknown", best / len(bare), _none(text), text
    if human == mouse:
        verdict = _none(text)
    else:
        species: SpeciesName = "human" if human > mouse else "mouse"
        verdict = _Verdict(species=species, evidence=text, confidence=1 - min(human, mouse) / best)
    return "entrez", best / len(bare), verdict, text


def _none(text: str) -> _Verdict:
    return _Verdict(species="unknown", evidence=text, confidence=0.0)


@dataclass(frozen=True, kw_only=True)
class _Counts:
    names: int
    exact: dict[str, int]
    known: dict[str, int]
    only: dict[str, int]
    riken: int


def _count(bare: list[str], human: GeneIndex, mouse: GeneIndex) -> _Counts:
    exact = {"human": 0, "mouse": 0}
    known = {"human": 0, "mouse": 0}
    only = {"human": 0, "mouse": 0}
    riken = 0
    for name in bare:
        exact["human"] += name in human.by_symbol
        exact["mouse"] += name in mouse.by_symbol
        upper = name.upper()
        in_human, in_mouse = upper in human.vocabulary, upper in mouse.vocabulary
        known["human"] += in_human
        known["mouse"] += in_mouse
        # Exclusive on both sides counts symbols only: aliases are shared across species.
        only["human"] += upper in human.upper_symbols and not in_mouse
        only["mouse"] += upper in mouse.upper_symbols and not in_human
        riken += bool(forms.RIKEN.match(upper) or forms.PREDICTED.match(upper))
    return _Counts(names=len(bare), exact=exact, known=known, only=only, riken=riken)


def _symbols(bare: list[str], genes: GeneResolver) -> tuple[Scheme, float, _Verdict, str]:
    counts = _count(bare, genes.human, genes.mouse)
    known = max(counts.known.values())
    text = (
        f"{known} of {len(bare)} names are gene symbols or aliases of "
        f"{'human' if counts.known['human'] >= counts.known['mouse'] else 'mouse'}"
    )
    share = known / len(bare)
    if share < MIN_SHARE:
        text = f"only {text}"
        return "unknown", share, _none(text), text
    return "symbol", share, _species(counts), text


def _species(counts: _Counts) -> _Verdict:
    human, mouse = counts.only["human"], counts.only["mouse"]
    text = f"{human} names exist only in human and {mouse} only in mouse, whatever their case"
    if counts.riken:
        text += f" ({counts.riken} are RIKEN or Gm names of mouse)"
    exact = (
        f"as written {counts.exact['human']} are human and {counts.exact['mouse']} mouse symbols"
    )
    text = f"{text}; {exact}"
    # Writing decides where it speaks clearly; names of one species only decide what is left,
    # such as mouse symbols in capitals.
    by_case = (counts.exact["human"] + 1) / (sum(counts.exact.values()) + 2)
    by_only = (human + 1) / (human + mouse + 2)
    evidence = human + mouse
    decisive = evidence >= max(3, 0.02 * counts.names) and not 0.25 < by_only < 0.75
    share = by_only if decisive else by_case
    if 0.4 < share < 0.6:
        return _none(text)
    species: SpeciesName = "human" if share > 0.5 else "mouse"
    return _Verdict(species=species, evidence=text, confidence=max(share, 1 - share))
