"""Strength shared across drugs: predictions of like drugs are drawn towards each other.

Suffixes: L lines, D drugs.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

#: Columns that tokens are hashed into; collisions are rare at a few hundred drugs.
HASHED = 4096
#: Lengths of the pieces of a SMILES string that serve as its fingerprint.
PIECES = (3, 4, 5)


@dataclass(frozen=True, kw_only=True)
class DrugFacts:
    """What is known of a drug before any cell was treated.

    Attributes:
        targets: Its targets.
        pathways: Pathways it acts on, its mechanism.
        smiles: Its structure; empty where it is not known.
    """

    targets: Collection[str] = ()
    pathways: Collection[str] = ()
    smiles: str = ""


def drug_similarity(drugs: Sequence[str], facts: Mapping[str, DrugFacts]) -> np.ndarray:
    """Similarity (D, D) of drugs: mean cosine over targets, pathways and structure, 0 to 1.

    The structure counts by the pieces of its SMILES string, without stereo marks, hashed; drugs
    of which nothing is known are like no other.
    """
    none = DrugFacts()
    known = [facts.get(drug, none) for drug in drugs]
    views = (
        [[one.casefold() for one in drug.targets] for drug in known],
        [[one.casefold() for one in drug.pathways] for drug in known],
        [_pieces(drug.smiles) for drug in known],
    )
    similarity: np.ndarray = np.mean([_cosines(view) for view in views], axis=0)
    return similarity


def smoother(
    filled_LD: np.ndarray, similarity_DD: np.ndarray, share: float, penalty: float
) -> np.ndarray:
    """Matrix (D, D) that turns predictions into those shared across drugs.

    Kernel ridge over drugs, the second of the two steps of Stock et al. 2018 (Neural Computation,
    "A comparative study of pairwise learning methods based on kernel ridge regression"). The
    kernel is the correlation of the drugs over the training lines, mixed with what is known.

    Args:
        filled_LD: Responses of the training lines without gaps.
        similarity_DD: Of ``drug_similarity``.
        share: Weight of the similarity, against the correlation.
        penalty: Ridge over drugs.
    """
    centred = filled_LD - filled_LD.mean(0)
    deviation = np.maximum(centred.std(0), 1e-6)
    correlation = (centred / deviation).T @ (centred / deviation) / len(centred)
    kernel = (1 - share) * correlation + share * similarity_DD
    smooth: np.ndarray = np.linalg.solve(kernel + penalty * np.eye(len(kernel)), kernel)
    return smooth


def _pieces(smiles: str) -> list[str]:
    plain = smiles.translate(str.maketrans("", "", "@/\\[]"))
    return [plain[at : at + n] for n in PIECES for at in range(len(plain) - n + 1)]


def _cosines(tokens: list[list[str]]) -> np.ndarray:
    from sklearn.feature_extraction import FeatureHasher

    hasher = FeatureHasher(HASHED, input_type="string", alternate_sign=False)
    rows = hasher.transform([sorted(set(one)) for one in tokens]).toarray()
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    cosines: np.ndarray = unit @ unit.T
    return cosines
