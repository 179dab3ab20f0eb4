"""Genes of one species from NCBI Gene, brought up to date with Ensembl's names."""

import csv
import gzip
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cellwright.knowledge.sources.catalogue import GENE_INFO_COLUMNS

CLONE = re.compile(r"^(Gm\d+|LOC\d+|[A-Z]{1,4}\d{5,}\.\d+|CT\d+.*|.*Rik|C\d+orf\d+)$")
"""Names that catalogues give before anybody knows what a gene is."""

GENERIC = 5
"""A name that more Ensembl genes than this share (``Y_RNA``, ``U3``) names a family."""


@dataclass(kw_only=True, slots=True)
class Gene:
    """A gene while the tables are being built."""

    symbol: str
    entrez: int = 0
    ensembl: list[str] = field(default_factory=list)
    authority: int = 0
    name: str = ""
    aliases: list[str] = field(default_factory=list)
    previous: list[str] = field(default_factory=list)
    gene_type: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ortholog:
    """One row of Ensembl's ortholog table."""

    gene: str
    other: str
    one_to_one: bool
    confident: bool
    conservation: int


def rows(path: Path) -> Iterator[list[str]]:
    """Yield the rows of a tab-separated file, gzipped or not, without the header."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8", newline="") as handle:
        reader = csv.reader(handle, delimiter="\t", quoting=csv.QUOTE_NONE)
        next(reader)
        yield from reader


def records(path: Path, columns: Sequence[str]) -> Iterator[list[str]]:
    """Yield the values of some columns, by name, of a tab-separated file."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8", newline="") as handle:
        reader = csv.reader(handle, delimiter="\t", quoting=csv.QUOTE_NONE)
        head = [name.lstrip("#") for name in next(reader)]
        places = [head.index(name) for name in columns]
        for row in reader:
            yield [row[place] for place in places]


def read_ncbi(path: Path) -> list[Gene]:
    """Read genes out of an NCBI ``gene_info`` extract; regulatory regions are left out."""
    genes = []
    for values in records(path, GENE_INFO_COLUMNS):
        entrez, symbol, synonyms, xrefs, chromosome, title, kind, official = values
        phenotype = kind == "unknown" and "Ensembl:" not in xrefs
        foreign = chromosome == "MT" and official in {"-", ""}  # mitochondria of other strains
        if kind == "biological-region" or phenotype or foreign:
            continue
        gene = Gene(symbol=symbol, entrez=int(entrez), gene_type=kind)
        gene.name = official if official not in {"-", ""} else title
        if gene.name == f"uncharacterized LOC{entrez}":
            gene.name = ""
        gene.aliases = [one for one in synonyms.split("|") if one not in {"-", "", symbol}]
        if chromosome == "MT":
            # An alias and no previous symbol: COX2 is PTGS2 to many people.
            gene.aliases.append(symbol)
            gene.symbol = mitochondrial(symbol, human="HGNC:" in xrefs)
        for xref in xrefs.split("|"):
            base, _, rest = xref.partition(":")
            if base == "Ensembl":
                gene.ensembl.append(rest)
            elif base in {"HGNC", "MGI"}:
                gene.authority = int(rest.rpartition(":")[2])
        genes.append(gene)
    return genes


def mitochondrial(symbol: str, *, human: bool) -> str:
    """Return the nomenclature's symbol of a mitochondrial gene, which NCBI writes without prefix.

    >>> mitochondrial("COX1", human=True), mitochondrial("TrnF", human=False)
    ('MT-CO1', 'mt-Tf')
    """
    short = symbol.upper().removeprefix("MT-")
    short = {"CYTB": "CYB", "COX1": "CO1", "COX2": "CO2", "COX3": "CO3"}.get(short, short)
    if short.startswith("TRN"):
        short = f"T{short[3:]}"
    return f"MT-{short}" if human else f"mt-{short.capitalize()}"


def read_orthologs(path: Path) -> tuple[dict[str, str], list[Ortholog]]:
    """Read Ensembl's names of a species, and its orthologs in the other one."""
    names: dict[str, str] = {}
    found = []
    for gene, name, _other_name, other, kind, confidence, conservation in rows(path):
        names[gene] = name
        if other:
            found.append(
                Ortholog(
                    gene=gene,
                    other=other,
                    one_to_one=kind == "ortholog_one2one",
                    confident=confidence == "1",
                    conservation=int(float(conservation or 0)),
                )
            )
    return names, found


def update(genes: list[Gene], names: dict[str, str], hg19: dict[str, str] | None = None) -> None:
    """Bring symbols up to date with Ensembl, and add the genes that only Ensembl has.

    Ensembl's name replaces NCBI's when no other gene has it and it is not a mere clone name;
    NCBI's then becomes a previous symbol.
    """
    taken = {gene.symbol for gene in genes}
    for gene in genes:
        newer = next((names[one] for one in gene.ensembl if names.get(one)), "")
        if newer and newer not in taken and not (CLONE.match(newer) and not _bare(gene)):
            gene.previous.append(gene.symbol)
            gene.aliases = [one for one in gene.aliases if one != newer]
            gene.symbol = newer
    _add_ensembl_only(genes, names)
    if hg19:
        _add_hg19(genes, hg19)


def _bare(gene: Gene) -> bool:
    return gene.symbol.startswith("LOC") and gene.symbol[3:].isdigit()


def _add_ensembl_only(genes: list[Gene], names: dict[str, str]) -> None:
    known = {one for gene in genes for one in gene.ensembl}
    sharers: dict[str, list[str]] = defaultdict(list)
    for ensembl, name in names.items():
        if ensembl not in known:
            sharers[name].append(ensembl)
    by_symbol: dict[str, list[Gene]] = defaultdict(list)
    for gene in genes:
        by_symbol[gene.symbol].append(gene)
    for name, ids in sorted(sharers.items()):
        homonyms = by_symbol.get(name, [])
        if name and len(homonyms) == 1:
            homonyms[0].ensembl.extend(sorted(ids))
        elif name and len(ids) <= GENERIC:
            genes.append(Gene(symbol=name, ensembl=sorted(ids)))
        else:
            aliases = [name] if name else []
            genes.extend(Gene(symbol="", ensembl=[one], aliases=aliases) for one in sorted(ids))


def _add_hg19(genes: list[Gene], hg19: dict[str, str]) -> None:
    by_ensembl = {one: gene for gene in genes for one in gene.ensembl}
    taken = {gene.symbol for gene in genes}
    for ensembl, symbol in sorted(hg19.items()):
        gene = by_ensembl.get(ensembl)
        if gene is None:
            if symbol not in taken:
                genes.append(Gene(symbol=symbol, ensembl=[ensembl]))
        elif not gene.symbol and symbol not in taken:
            gene.symbol = symbol
        elif symbol != gene.symbol and symbol not in {*gene.previous, *gene.aliases, *taken}:
            gene.previous.append(symbol)
