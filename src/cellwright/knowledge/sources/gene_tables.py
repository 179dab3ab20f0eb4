"""Compiles the gene tables of both species."""

from pathlib import Path
from typing import Any

from cellwright.knowledge import tables
from cellwright.knowledge.sources import catalogue
from cellwright.knowledge.sources.genes import Gene, read_ncbi, read_orthologs, rows, update
from cellwright.knowledge.sources.orthology import human_of_mouse, mouse_of_human


def compile_genes(paths: dict[str, Path]) -> dict[str, dict[str, Any]]:
    """Return the columns of ``genes_human`` and ``genes_mouse``.

    ``partner`` is the row of the gene that stands for it in the other table, -1 without one: for
    a mouse gene the human gene that names its vocabulary key, for a human gene its best mouse
    gene.
    """
    human = read_ncbi(paths[catalogue.NCBI_HUMAN.file])
    mouse = read_ncbi(paths[catalogue.NCBI_MOUSE.file])
    human_names, _ = read_orthologs(paths[catalogue.ORTHOLOGS_HUMAN.file])
    mouse_names, links = read_orthologs(paths[catalogue.ORTHOLOGS_MOUSE.file])
    hg19 = {row[0]: row[1] for row in rows(paths[catalogue.ENSEMBL_HG19.file])}
    update(human, human_names, hg19)
    update(mouse, mouse_names)
    human.sort(key=_order)
    mouse.sort(key=_order)
    to_human = human_of_mouse(mouse, human, links)
    to_mouse = mouse_of_human(mouse, human, links, to_human)
    return {
        "genes_human": _columns(human, to_mouse),
        "genes_mouse": _columns(mouse, to_human),
    }


def _order(gene: Gene) -> tuple[str, int, list[str]]:
    return gene.symbol, gene.entrez, gene.ensembl


def _columns(genes: list[Gene], partner: dict[int, int]) -> dict[str, Any]:
    import pyarrow as pa

    return {
        "symbol": pa.array([gene.symbol for gene in genes]),
        "entrez": pa.array([gene.entrez for gene in genes], pa.int32()),
        "ensembl": pa.array(
            [[tables.ensembl_number(one) for one in gene.ensembl] for gene in genes],
            pa.list_(pa.int32()),
        ),
        "authority": pa.array([gene.authority for gene in genes], pa.int32()),
        "name": pa.array([gene.name for gene in genes]),
        "aliases": pa.array(["|".join(gene.aliases) for gene in genes]),
        "previous": pa.array(["|".join(gene.previous) for gene in genes]),
        "gene_type": pa.array([gene.gene_type for gene in genes]).dictionary_encode(),
        "partner": pa.array([partner.get(row, -1) for row in range(len(genes))], pa.int32()),
    }
