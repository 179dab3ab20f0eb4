"""Compiles the official files into the package's tables; same input, same bytes."""

import json
import logging
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from cellwright.artifacts import sha256_file
from cellwright.knowledge import documents, tables, vectors
from cellwright.knowledge.sources import catalogue
from cellwright.settings import Settings

logger = logging.getLogger(__name__)

Report = Callable[[str], None]
BY_HAND = ("forms.tsv", "labels.tsv")
"""Tables that people write; a build takes them along."""
TABLE_SOURCES = {
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

    The tables are made in a folder of their own and moved into place when all are done.

    Args:
        source: Folder with the official files.
        settings: For the embedder.
        target: Where the tables go.
        embed: Whether to embed the documents too (minutes); else their vectors stay as they are.
        report: Called with a line at each step.

    Raises:
        InputError: Official files are missing.
    """
    paths = catalogue.locate(source)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".tables-") as name:
        draft = Path(name)
        for one in BY_HAND:
            shutil.copyfile(tables.FOLDER / one, draft / one)
        _write_sources(draft, paths)
        _compile(draft, paths, report)
        if embed:
            _embed(draft, settings, report)
        target.mkdir(parents=True, exist_ok=True)
        written = []
        for file in sorted(draft.iterdir()):
            written.append(file.replace(target / file.name))
            report(f"{file.name}: {written[-1].stat().st_size:,} bytes")
    tables.sources.cache_clear()
    return written


def _compile(draft: Path, paths: dict[str, Path], report: Report) -> None:
    from cellwright.knowledge.ontology import CellOntology
    from cellwright.knowledge.resolver import GeneResolver
    from cellwright.knowledge.sources import (
        cell_ontology,
        drugs,
        gene_tables,
        markers,
    )

    report("genes and orthologs")
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


def _embed(draft: Path, settings: Settings, report: Report) -> None:
    from cellwright.knowledge import Knowledge
    from cellwright.knowledge.embedding import TextEmbedder

    texts = documents.compose(Knowledge(settings, draft))
    report(f"vectors of {len(texts):,} documents")
    step = max(1, len(texts) // 20)
    done = [0]

    def progress(count: int, total: int) -> None:
        if count // step > done[0] // step:
            report(f"  {count:,} of {total:,}")
        done[0] = count

    full = TextEmbedder(settings).embed([one.text for one in texts], progress=progress)
    metadata = {"source": "all-MiniLM-L6-v2 on texts composed from the other tables"}
    vectors.write(draft, [one.id for one in texts], full, metadata)


def _metadata(table: str) -> dict[str, str]:
    files = TABLE_SOURCES[table]
    return {
        "source": "; ".join(one.source for one in files),
        "release": "; ".join(one.release for one in files),
        "licence": "; ".join(one.licence for one in files),
    }


def _write_sources(draft: Path, paths: dict[str, Path]) -> None:
    found: dict[str, dict[str, object]] = {}
    for one in catalogue.ALL_SOURCES:
        entry = found.setdefault(
            one.source,
            {"release": one.release, "licence": one.licence, "url": one.url, "files": {}},
        )
        files = entry["files"]
        assert isinstance(files, dict)  # made above
        files[one.file] = sha256_file(paths[one.file])
    text = json.dumps({"format": tables.FORMAT, "sources": found}, indent=1, ensure_ascii=False)
    (draft / "sources.json").write_text(text + "\n", encoding="utf-8")
