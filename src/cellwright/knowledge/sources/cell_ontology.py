"""Cell Ontology terms: ids, labels, synonyms and parents; definitions stay in their file."""

import json
from pathlib import Path
from typing import Any

PREFIX = "CL:"


def compile_ontology(path: Path) -> dict[str, Any]:
    """Return the columns of ``cell_ontology``: one row a term, obsolete ones with a successor.

    ``replaced_by`` is the number of the successor in the ontology, -1 without one. The file gives
    ancestors over is-a and part-of alike, by distance. A nearest one is taken for a parent; one
    that no parent leads to was reached through a part-of of another ontology (a cytoplasm is part
    of a cell) and stands in ``part_of``.
    """
    import pyarrow as pa
    import zstandard

    with path.open("rb") as handle:
        terms = json.loads(zstandard.ZstdDecompressor().stream_reader(handle).read())
    kept = sorted(
        (number(key), term) for key, term in terms.items() if key.startswith(PREFIX)
    )  # fmt: skip
    parents = [
        sorted(number(one) for one, far in term["ancestors"].items() if far == 1)
        for _, term in kept
    ]
    wholes = [_wholes(term, terms) for _, term in kept]
    successors = [term.get("replaced_by", "") for _, term in kept]
    return {
        "id": pa.array([key for key, _ in kept], pa.int32()),
        "label": pa.array([term["label"].removeprefix("obsolete ") for _, term in kept]),
        "synonyms": pa.array(["|".join(sorted(term.get("synonyms", ()))) for _, term in kept]),
        "parents": pa.array(parents, pa.list_(pa.int32())),
        "part_of": pa.array(wholes, pa.list_(pa.int32())),
        "deprecated": pa.array([bool(term["deprecated"]) for _, term in kept]),
        "replaced_by": pa.array(
            [number(one) if one.startswith(PREFIX) else -1 for one in successors], pa.int32()
        ),
    }


def _wholes(term: dict[str, Any], terms: dict[str, Any]) -> list[int]:
    parents = {one for one, far in term["ancestors"].items() if far == 1}
    above = parents.union(*(terms[one]["ancestors"] for one in parents))
    return sorted(number(one) for one in term["ancestors"] if one not in above)


def number(identifier: str) -> int:
    """Return the number in a Cell Ontology id."""
    return int(identifier.replace("_", ":").removeprefix(PREFIX))
