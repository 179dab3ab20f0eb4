"""Compiles the official files into the package's tables; same input, same bytes."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellwright.artifacts import sha256_file
from cellwright.knowledge import documents, functions, tables, vectors
from cellwright.knowledge.sources import catalogue
from cellwright.knowledge.sources import prose as prose_source
from cellwright.knowledge.sources.catalogue import SourceFile
from cellwright.settings import Settings

if TYPE_CHECKING:
    from cellwright.knowledge.embedding import TextEmbedder

logger = logging.getLogger(__name__)

Report = Callable[[str], None]
EMBEDDER = "all-MiniLM-L6-v2"
PARTS, PART = "vectors", 1024
"""Folder of the vectors of a build under way, and how many make a part."""
BY_HAND = ("forms.tsv",)
"""Tables that people write; a build takes them along."""
NAMES_HUMAN = "names_human"
PROSE_METADATA = {
    "source": "the other tables; RefSeq summaries; definitions of the Cell Ontology",
    "release": "of the other tables; 220; 2026-03-26",
    "licence": "of the other tables; public domain; CC BY 4.0",
}
OPTIONAL = {
    NAMES_HUMAN: (catalogue.HGNC,),
    functions.GENES: (catalogue.GO_GENES,),
    functions.TERMS: (catalogue.GO_TERMS,),
}
"""Tables of optional sources: where these are not given, they stay as they are."""
TABLE_SOURCES = {
    **OPTIONAL,
    "genes_human": (catalogue.NCBI_HUMAN, catalogue.ORTHOLOGS_HUMAN, catalogue.ENSEMBL_HG19),
    "genes_mouse": (catalogue.NCBI_MOUSE, catalogue.ORTHOLOGS_MOUSE),
    "cell_ontology": (catalogue.CELL_ONTOLOGY,),
    "markers": (catalogue.CELLMARKER_HUMAN, catalogue.CELLMARKER_MOUSE, catalogue.ACCORDION),
    "drugs": (catalogue.GDSC, catalogue.REPURPOSING_HUB),
}


def build(
    source: Path,
    settings: Settings,
    *,
    target: Path = tables.FOLDER,
    embed: bool = True,
    report: Report = logger.info,
) -> list[Path]:
    """Compile every table and return the files written.

    The tables are made in a folder of their own and moved into place when all are done. Prose
    of the sources shapes the documents' vectors, and is kept in the user's own knowledge folder
    for search to show and index; no table holds it.

    Args:
        source: Folder with the official files.
        settings: For the embedder, and for where prose is kept.
        target: Where the tables go.
        embed: Whether to embed the documents too (minutes); else their vectors stay as they are.
        report: Called with a line at each step, and with what changed.

    Raises:
        InputError: Official files are missing, damaged, or other than their names say.
    """
    paths = catalogue.locate(source)
    optional = [one for one in catalogue.OPTIONAL_SOURCES if (source / one.file).is_file()]
    paths |= {one.file: source / one.file for one in optional}
    for one in (*catalogue.ALL_SOURCES, *optional):
        catalogue.check(one, paths[one.file])
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".tables-") as name:
        draft = Path(name)
        for file in BY_HAND:
            shutil.copyfile(tables.FOLDER / file, draft / file)
        _write_sources(draft, paths)
        _compile(draft, paths, report)
        _describe(draft, paths, settings, embed=embed, report=report)
        for line in changes(target, draft):
            report(line)
        target.mkdir(parents=True, exist_ok=True)
        written = []
        for path in sorted(draft.iterdir()):
            written.append(path.replace(target / path.name))
            report(f"{path.name}: {written[-1].stat().st_size:,} bytes")
    tables.sources.cache_clear()
    return written


def changes(before: Path, after: Path) -> list[str]:
    """Return what differs between two folders of tables, a line for each table."""
    keys = {
        "genes_human": ("symbol", "entrez"),
        "genes_mouse": ("symbol", "entrez"),
        NAMES_HUMAN: ("authority", "symbol", "previous", "withdrawn", "aliases"),
        functions.GENES: ("entrez", "publications"),
        functions.TERMS: ("id", "name"),
        "cell_ontology": ("id", "label"),
        "markers": ("species", "term", "symbol", "source", "tissue", "negative"),
        "drugs": ("name", "targets", "mechanism"),
    }
    lines = []
    for table, columns in keys.items():
        if not (before / f"{table}.parquet").is_file():
            lines.append(f"{table}: new")
            continue
        old, new = _rows(before, table, columns), _rows(after, table, columns)
        gone, come = old - new, new - old
        if gone or come:
            examples = ", ".join(str(one[1]) for one in sorted(come or gone, key=str)[:3])
            lines.append(f"{table}: {len(come):,} rows new, {len(gone):,} gone ({examples}, ...)")
    return lines or ["no fact has changed"]


def _rows(folder: Path, table: str, columns: tuple[str, ...]) -> set[tuple[Any, ...]]:
    found = tables.columns(tables.read(table, folder))
    return set(zip(*(found[one] for one in columns), strict=True))


def _compile(draft: Path, paths: dict[str, Path], report: Report) -> None:
    from cellwright.knowledge.ontology import CellOntology
    from cellwright.knowledge.resolver import GeneResolver
    from cellwright.knowledge.sources import (
        cell_ontology,
        drugs,
        gene_tables,
        hgnc,
        markers,
    )
    from cellwright.knowledge.sources import functions as function_tables

    report("genes, their names and orthologs")
    made: dict[str, dict[str, Any]] = {}
    if path := paths.get(catalogue.HGNC.file):
        made[NAMES_HUMAN] = hgnc.compile_names(path)
    if catalogue.GO_GENES.file in paths and catalogue.GO_TERMS.file in paths:
        made |= function_tables.compile_functions(paths)
    for table in OPTIONAL:
        if table in made:
            tables.write(draft, table, made[table], _metadata(table))
        else:
            shutil.copyfile(tables.FOLDER / f"{table}.parquet", draft / f"{table}.parquet")
    for table, columns in gene_tables.compile_genes(paths).items():
        tables.write(draft, table, columns, _metadata(table))
    report("cell types")
    columns = cell_ontology.compile_ontology(paths[catalogue.CELL_ONTOLOGY.file])
    tables.write(draft, "cell_ontology", columns, _metadata("cell_ontology"))
    report("drugs")
    tables.write(draft, "drugs", drugs.compile_drugs(paths), _metadata("drugs"))
    report("markers")
    columns = markers.compile_markers(paths, GeneResolver(draft), CellOntology(draft))
    tables.write(draft, "markers", columns, _metadata("markers"))


def _describe(
    draft: Path, paths: dict[str, Path], settings: Settings, *, embed: bool, report: Report
) -> None:
    """Keep the sources' prose for this user's index, and make the documents' vectors."""
    from cellwright.knowledge import Knowledge

    knowledge = Knowledge(settings, draft)
    bare = documents.compose(knowledge)
    said = prose_source.read_prose(paths, bare, knowledge.genes)
    if catalogue.SUMMARIES_HUMAN.file in paths:
        report(f"prose of {len(said):,} records, indexed in {settings.knowledge_dir}")
        prose_source.write(settings.knowledge_dir, said)
    if embed:
        texts = {one.id: one.described for one in documents.compose(knowledge, said)}
        _embed(draft, texts, settings, report)


def _embed(draft: Path, texts: dict[str, str], settings: Settings, report: Report) -> None:
    from cellwright.knowledge.embedding import WIDTH, TextEmbedder

    report(f"vectors of {len(texts):,} documents")
    embedder = TextEmbedder(settings)
    parts = settings.knowledge_dir / PARTS
    parts.mkdir(parents=True, exist_ok=True)
    # Short texts first, in parts that are kept, so that a build that was killed goes on.
    order = sorted(texts, key=lambda one: (len(texts[one]), one))
    row = {one: place for place, one in enumerate(texts)}
    full = np.zeros((len(texts), WIDTH), dtype=np.float32)
    for start in range(0, len(order), PART):
        names = order[start : start + PART]
        full[[row[one] for one in names]] = _part(parts, [texts[one] for one in names], embedder)
        report(f"  {start + len(names):,} of {len(texts):,}")
    metadata = {**PROSE_METADATA, "embedder": EMBEDDER}
    vectors.write(draft, list(texts), full, metadata)
    shutil.rmtree(parts)


def _part(folder: Path, texts: list[str], embedder: TextEmbedder) -> np.ndarray:
    """Embed a part of the documents, unless an earlier build has done so."""
    digest = hashlib.sha256("\0".join((EMBEDDER, *texts)).encode()).hexdigest()
    path = folder / f"{digest[:32]}.npy"
    if path.is_file():
        found: np.ndarray = np.load(path)
        return found
    found = embedder.embed(texts)
    draft = path.with_suffix(".draft.npy")
    np.save(draft, found)
    draft.replace(path)
    return found


def _metadata(table: str) -> dict[str, str]:
    files = TABLE_SOURCES[table]
    return {
        "source": "; ".join(one.source for one in files),
        "release": "; ".join(one.release for one in files),
        "licence": "; ".join(one.licence for one in files),
    }


def _write_sources(draft: Path, paths: dict[str, Path]) -> None:
    """Write where each file came from; of optional sources not given, what stood there before."""
    before = json.loads((tables.FOLDER / "sources.json").read_text(encoding="utf-8"))["sources"]
    found: dict[str, dict[str, Any]] = {}
    for one in (*catalogue.ALL_SOURCES, *catalogue.OPTIONAL_SOURCES):
        if one.file in paths:
            entry = found.setdefault(one.source, {**_about(one), "files": {}})
            entry["files"][one.file] = sha256_file(paths[one.file])
        elif one.source in before:
            found.setdefault(one.source, before[one.source])
    text = json.dumps({"format": tables.FORMAT, "sources": found}, indent=1, ensure_ascii=False)
    (draft / "sources.json").write_text(text + "\n", encoding="utf-8")


def _about(one: SourceFile) -> dict[str, str]:
    return {"release": one.release, "licence": one.licence, "url": one.url}
