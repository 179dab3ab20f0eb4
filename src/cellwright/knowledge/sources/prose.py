"""Descriptive prose of the sources: indexed where its files are at hand, never in the package."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from cellwright.knowledge.sources import catalogue
from cellwright.knowledge.sources.genes import records

if TYPE_CHECKING:
    from cellwright.knowledge.documents import Document
    from cellwright.knowledge.resolver import GeneResolver

MOST = 200
"""Characters of a text that are read: what a gene does stands first."""
FAMILY = 6
"""A text that more genes than this share describes a family, and none of them."""
_PREAMBLE = re.compile(
    r"^(?:the (?:protein|product) encoded by this gene|this gene(?: product)?|the encoded protein)"
    r" (?:is|encodes|belongs to|functions as) ",
    re.IGNORECASE,
)
_CREDIT = re.compile(r"\s*\[(?:provided|supplied) by [^\]]*\]\.?")


def read_prose(
    paths: dict[str, Path], documents: list[Document], genes: GeneResolver
) -> dict[str, str]:
    """Return the text on each document's record, by document id, where there is one.

    Genes have their RefSeq summary, else that of their mouse ortholog; cell types have their
    definition. A text that a whole family shares goes with none of its genes.

    Args:
        paths: Official files by name; summaries may be missing.
        documents: What to describe.
        genes: For the gene ids.
    """
    human = _summaries(paths.get(catalogue.SUMMARIES_HUMAN.file))
    mouse = _summaries(paths.get(catalogue.SUMMARIES_MOUSE.file))
    shared = Counter([*human.values(), *mouse.values()])
    definitions = _definitions(paths[catalogue.CELL_ONTOLOGY.file])
    found = {}
    for one in documents:
        text = ""
        if one.kind == "cell_type":
            text = definitions.get(one.record, "")
        elif one.kind == "gene" and one.record.startswith("mouse:"):
            row = genes.mouse.by_symbol[one.record.removeprefix("mouse:")]
            text = mouse.get(genes.mouse.entrez[row], "")
        elif one.kind == "gene":
            row = genes.human.by_symbol[one.record]
            partner = genes.human.partner[row]
            text = human.get(genes.human.entrez[row], "")
            if not text and partner >= 0:
                text = mouse.get(genes.mouse.entrez[partner], "")
        if text and shared[text] <= FAMILY:
            text = _PREAMBLE.sub("", text)
            found[one.id] = text if len(text) <= MOST else text[:MOST].rpartition(" ")[0]
    return found


def _summaries(path: Path | None) -> dict[int, str]:
    if path is None:
        return {}
    csv.field_size_limit(1 << 24)
    found: dict[int, str] = {}
    for gene, text in records(path, ("Gene_ID", "Gene_summary")):
        number = gene.removesuffix(".0")
        if number.isdigit():
            found.setdefault(int(number), _CREDIT.sub("", text).strip())
    return found


def _definitions(path: Path) -> dict[str, str]:
    import zstandard

    with path.open("rb") as handle:
        terms = json.loads(zstandard.ZstdDecompressor().stream_reader(handle).read())
    return {key: term.get("description", "") for key, term in terms.items()}
