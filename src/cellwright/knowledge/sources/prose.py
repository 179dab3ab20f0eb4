"""Descriptive prose of the sources: indexed where its files are at hand, never in the package."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cellwright.knowledge import tables
from cellwright.knowledge.sources import catalogue
from cellwright.knowledge.sources.genes import records

if TYPE_CHECKING:
    from cellwright.knowledge.documents import Document
    from cellwright.knowledge.resolver import GeneResolver

NAME = "prose"
FAMILY = 6
"""A text that more genes than this share describes a family, and none of them."""
OF_ORTHOLOG = "Of its mouse ortholog: "
"""How the text of an ortholog begins."""
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
        text = of = ""
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
                text, of = mouse.get(genes.mouse.entrez[partner], ""), OF_ORTHOLOG
        if text and shared[text] <= FAMILY:
            found[one.id] = f"{of}{text}"
    return found


def write(folder: Path, found: Mapping[str, str]) -> Path:
    """Keep prose where the user's own index is made from it; each text is stored once."""
    folder.mkdir(parents=True, exist_ok=True)
    of: dict[str, list[str]] = defaultdict(list)
    for one, text in sorted(found.items()):
        of[text].append(one)
    columns = {"text": sorted(of), "ids": ["|".join(of[text]) for text in sorted(of)]}
    draft = tables.write(folder, f"{NAME}.draft", columns, {"source": "RefSeq; Cell Ontology"})
    return draft.replace(folder / f"{NAME}.parquet")


def read(folder: Path) -> dict[str, str]:
    """Return prose by document id; nothing where none was indexed."""
    if not (folder / f"{NAME}.parquet").is_file():
        return {}
    columns = tables.columns(tables.read(NAME, folder))
    return {
        one: text
        for text, ids in zip(columns["text"], columns["ids"], strict=True)
        for one in ids.split("|")
    }


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
