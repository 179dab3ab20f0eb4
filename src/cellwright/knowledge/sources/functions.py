"""What human genes do, by the Gene Ontology, and how many publications are on each."""

import sqlite3
from collections import Counter, defaultdict
from contextlib import closing
from pathlib import Path
from typing import Any

from cellwright.knowledge.sources import catalogue

BROADEST = 3000
"""Genes that a term may have; one of more says little of any of them."""
NO_DATA = "ND"
"""Evidence code of annotations that say that nothing is known."""
_PREFIX = "GO:"


def compile_functions(paths: dict[str, Path]) -> dict[str, dict[str, Any]]:
    """Return the columns of ``gene_functions`` and ``function_terms``.

    A gene has the terms that curators or pipelines gave it, not those above them, and the number
    of its publications in NCBI's gene2pubmed; a term has its name, and no definition.
    """
    import pyarrow as pa

    with closing(sqlite3.connect(paths[catalogue.GO_TERMS.file])) as link:
        rows = link.execute("SELECT go_id, term FROM go_term WHERE go_id LIKE 'GO:%'")
        names = {_number(term): name for term, name in rows}
    terms: dict[int, set[int]] = defaultdict(set)
    with closing(sqlite3.connect(paths[catalogue.GO_GENES.file])) as link:
        for table in ("go_bp", "go_mf", "go_cc"):
            rows = link.execute(
                f"SELECT gene_id, go_id FROM {table} JOIN genes USING (_id) WHERE evidence <> ?",
                (NO_DATA,),
            )
            for gene, term in rows:
                terms[int(gene)].add(_number(term))
        publications = {
            int(gene): count
            for gene, count in link.execute(
                "SELECT gene_id, count(*) FROM pubmed JOIN genes USING (_id) GROUP BY _id"
            )
        }
    genes = sorted(terms.keys() | publications.keys())
    seen = Counter(term for found in terms.values() for term in found)
    kept = sorted(term for term, count in seen.items() if count <= BROADEST and term in names)
    telling = set(kept)
    return {
        "gene_functions": {
            "entrez": pa.array(genes, pa.int32()),
            "terms": pa.array(
                [sorted(terms[one] & telling) for one in genes], pa.list_(pa.int32())
            ),
            "publications": pa.array([publications.get(one, 0) for one in genes], pa.int32()),
        },
        "function_terms": {
            "id": pa.array(kept, pa.int32()),
            "name": pa.array([names[one] for one in kept]),
        },
    }


def _number(term: str) -> int:
    return int(term.removeprefix(_PREFIX))
