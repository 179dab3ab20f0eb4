"""Reads one predicted response: cell kind against cell state, the genes behind it, what flips it.

The transfer is linear in the mapped profile, so the genes' shares of a prediction are exact, and
what a gene at the level of the average line would change is its share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellwright.tools.drug_drivers import contributions

if TYPE_CHECKING:
    from cellwright.cellmodel.drug import DrugTransfer

SHOWN = 5
FEW = 20
"""Genes up to which a flip is a matter of few genes."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Genes behind one prediction.

    Attributes:
        shares: (G,) what each gene adds to z.
        along: Genes that pull the way the prediction goes, the strongest first.
        against: Genes that pull the other way.
        flip: Fewest genes that, at the level of the average line, bring z to zero.
    """

    shares: np.ndarray
    along: tuple[int, ...]
    against: tuple[int, ...]
    flip: tuple[int, ...]


def read_prediction(
    transfer: DrugTransfer, profile: np.ndarray, keys: Sequence[str | None], drug: str
) -> Reading:
    """Split the prediction of a profile (G,) over its genes."""
    shares, z = contributions(transfer, profile, keys, drug)
    sign = 1.0 if z >= 0 else -1.0
    order = np.argsort(-shares * sign, kind="stable")
    gain = np.cumsum(shares[order] * sign)
    reach = np.flatnonzero(gain >= abs(z))
    n = int(reach[0]) + 1 if len(reach) else 0
    backwards = order[::-1]
    return Reading(
        shares=shares,
        along=tuple(int(at) for at in order[:SHOWN] if shares[at] * sign > 0),
        against=tuple(int(at) for at in backwards[:SHOWN] if shares[at] * sign < 0),
        flip=tuple(int(at) for at in order[:n]),
    )


@dataclass(frozen=True, kw_only=True)
class KnownMarker:
    """A gene whose level is textbook knowledge for a class of drugs.

    Attributes:
        gene: Symbol.
        effect: ``resistance`` or ``sensitivity`` where it is high.
        words: Words in a drug's name, targets, pathway or mechanism that the class goes by.
    """

    gene: str
    effect: str
    words: tuple[str, ...]


#: Well-known markers, compiled by the authors from pharmacology textbooks; not exhaustive.
KNOWN_MARKERS = (
    KnownMarker(
        gene="ABCB1",
        effect="resistance",
        words=(
            "microtubule",
            "paclitaxel",
            "docetaxel",
            "vinblastine",
            "vinorelbine",
            "doxorubicin",
        ),
    ),
    KnownMarker(gene="ABCG2", effect="resistance", words=("top1", "topotecan", "mitoxantrone")),
    KnownMarker(gene="TUBB3", effect="resistance", words=("microtubule stabil", "paclitaxel")),
    KnownMarker(
        gene="SLFN11",
        effect="sensitivity",
        words=("top1", "top2", "parp", "cisplatin", "oxaliplatin", "dna crosslink", "gemcitabine"),
    ),
    KnownMarker(gene="ERCC1", effect="resistance", words=("cisplatin", "oxaliplatin")),
    KnownMarker(gene="MGMT", effect="resistance", words=("temozolomide", "alkylating")),
    KnownMarker(gene="TYMS", effect="resistance", words=("fluorouracil", "tyms", "pemetrexed")),
    KnownMarker(gene="DCK", effect="sensitivity", words=("cytarabine", "gemcitabine")),
    KnownMarker(gene="RRM1", effect="resistance", words=("gemcitabine",)),
    KnownMarker(gene="NQO1", effect="sensitivity", words=("17-aag", "tanespimycin")),
    KnownMarker(gene="MDM2", effect="sensitivity", words=("mdm2", "nutlin")),
    KnownMarker(gene="CDKN1A", effect="sensitivity", words=("mdm2", "nutlin")),
    KnownMarker(gene="BCL2", effect="sensitivity", words=("venetoclax", "abt737", "navitoclax")),
    KnownMarker(gene="MCL1", effect="resistance", words=("venetoclax", "abt737", "navitoclax")),
    KnownMarker(gene="AXL", effect="resistance", words=("egfr", "braf", "erbb")),
    KnownMarker(gene="MET", effect="resistance", words=("egfr", "erbb")),
    KnownMarker(gene="NGFR", effect="resistance", words=("braf",)),
    KnownMarker(gene="DUSP6", effect="sensitivity", words=("mek1", "mek2", "braf")),
    KnownMarker(gene="CDKN2A", effect="resistance", words=("cdk4", "cdk6")),
    KnownMarker(gene="RB1", effect="sensitivity", words=("cdk4", "cdk6")),
    KnownMarker(gene="CCNE1", effect="resistance", words=("cdk4", "cdk6")),
)


def known_markers(drug: str, targets: Sequence[str], about: str) -> tuple[KnownMarker, ...]:
    """Markers of the class that a drug belongs to, by its name, targets and pathway."""
    text = " ".join((drug, *targets, about)).casefold()
    return tuple(one for one in KNOWN_MARKERS if any(word in text for word in one.words))
