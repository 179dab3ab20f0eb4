"""What kind of record a plain-language query asks for, told by the noun that it begins with."""

import re

from cellwright.knowledge.records import Kind

NAMING: dict[Kind, str] = {
    "cell_type": "cell neuron glia macrophage lymphocyte granulocyte leukocyte gamete stem "
    "progenitor precursor",
    "drug": "drug medicine medication pill agent inhibitor blocker modulator agonist antagonist "
    "antibiotic antibody painkiller analgesic anaesthetic anesthetic opioid steroid statin "
    "diuretic laxative sedative stimulant relaxant thinner immunosuppressant treatment therapy "
    "chemotherapy alkaloid taxane vaccine",
    "gene": "gene protein receptor enzyme hormone factor channel kinase antigen ligand cytokine "
    "chemokine marker molecule transporter pump collagen keratin actin tubulin mucin selectin "
    "integrin filament oncogene suppressor subunit peptide protease rna microrna",
}
"""Nouns that name a kind; the last of the first run of them decides, as in *stem cell factor*."""
_KIND: dict[str, Kind] = {word: kind for kind, words in NAMING.items() for word in words.split()}
_LETTERS = re.compile(r"[a-z]+")
_ENZYME = re.compile(r"[a-z]{3,}[dglnrtxz]ase$")
_AGAINST = re.compile(r"anti(?!gen|bod|apop)[a-z]{4,}$")


def asked_kind(query: str) -> Kind | None:
    """Return the kind of record that a query asks for, None when no word of it says so.

    >>> asked_kind("enzyme that beta cells make"), asked_kind("cells with an enzyme")
    ('gene', 'cell_type')
    >>> asked_kind("tyrosine kinase inhibitor for leukaemia")
    'drug'
    """
    found: Kind | None = None
    for word in _LETTERS.findall(query.lower()):
        kind = _named(word) or _named(word.removesuffix("s"))
        if found and not kind:
            break
        found = kind or found
    return found


def _named(word: str) -> Kind | None:
    if _ENZYME.match(word):
        return "gene"
    if _AGAINST.match(word):
        return "drug"
    return _KIND.get(word)
