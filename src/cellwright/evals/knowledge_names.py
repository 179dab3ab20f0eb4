"""Hard gene names with known answers, drawn by code from the history that the sources keep.

Run ``python -m cellwright.evals.knowledge_names FOLDER`` on a folder with the official files to
draw them anew into ``questions/knowledge_names.tsv``. Answers are read from those files, not from
the compiled tables and not through the resolver that they judge.
"""

from __future__ import annotations

import csv
import random
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from cellwright.knowledge.sources import catalogue
from cellwright.knowledge.sources.genes import rows

if TYPE_CHECKING:
    from cellwright.knowledge import Knowledge
    from cellwright.knowledge.gene_index import GeneIndex
    from cellwright.knowledge.records import GeneMatch

FILE = "knowledge_names.tsv"
AMBIGUOUS, UNKNOWN = "several", "none"
EACH = 30
"""Names drawn of each kind."""
SEED = 20
CODING = "gene with protein product"


@dataclass(frozen=True, kw_only=True)
class NameCase:
    """A name and what it stands for.

    Attributes:
        name: As a file or a person writes it.
        species: Species of the data.
        kind: What makes it hard.
        answer: NCBI gene id; ``several`` where no gene may be chosen; ``none`` where there is none.
        among: NCBI gene ids that must be named where the answer is ``several``.
    """

    name: str
    species: str
    kind: str
    answer: str
    among: tuple[str, ...] = ()


#: What biologists write, and the symbol that they mean; several where the name is truly shared.
COMMON: tuple[tuple[str, str, str], ...] = (
    ("p53", "human", "TP53"),
    ("PD-1", "human", "PDCD1"),
    ("PDL1", "human", "CD274"),
    ("PD-L1", "human", "CD274"),
    ("HER2", "human", "ERBB2"),
    ("CD20", "human", "MS4A1"),
    ("OCT4", "human", "POU5F1"),
    ("c-MYC", "human", "MYC"),
    ("KI67", "human", "MKI67"),
    ("Ki-67", "human", "MKI67"),
    ("CD8", "human", "CD8A"),
    ("CD56", "human", "NCAM1"),
    ("CD45", "human", "PTPRC"),
    ("CD31", "human", "PECAM1"),
    ("CD11b", "human", "ITGAM"),
    ("CD11c", "human", "ITGAX"),
    ("CD117", "human", "KIT"),
    ("CD133", "human", "PROM1"),
    ("CD25", "human", "IL2RA"),
    ("CD127", "human", "IL7R"),
    ("CD62L", "human", "SELL"),
    ("CD206", "human", "MRC1"),
    ("TIM-3", "human", "HAVCR2"),
    ("4-1BB", "human", "TNFRSF9"),
    ("OX40", "human", "TNFRSF4"),
    ("VEGF", "human", "VEGFA"),
    ("TNF-alpha", "human", "TNF"),
    ("TNFα", "human", "TNF"),
    ("IFN-γ", "human", "IFNG"),
    ("IL-6", "human", "IL6"),
    ("TGF-β1", "human", "TGFB1"),
    ("NeuN", "human", "RBFOX3"),
    ("Iba1", "human", "AIF1"),
    ("vimentin", "human", "VIM"),
    ("E-cadherin", "human", "CDH1"),
    ("α-SMA", "human", "ACTA2"),
    ("CK19", "human", "KRT19"),
    ("p63", "human", "TP63"),
    ("p16", "human", "CDKN2A"),
    ("c-Kit", "human", "KIT"),
    ("ERK1", "human", "MAPK3"),
    ("PAX-6", "human", "PAX6"),
    ("glucagon", "human", "GCG"),
    ("Ngn3", "mouse", "Neurog3"),
    ("Cd45", "mouse", "Ptprc"),
    ("P53", "mouse", "Trp53"),
    ("F4/80", "mouse", "Adgre1"),
    ("Oct4", "mouse", "Pou5f1"),
    ("B220", "mouse", "Ptprc"),
    ("Sca-1", "mouse", "Ly6a"),
    ("NK1.1", "mouse", "Klrb1c"),
    ("Gr-1", "mouse", "Ly6g"),
    ("Tbet", "mouse", "Tbx21"),
    ("CD16", "human", "FCGR3A|FCGR3B"),
    ("COX2", "human", "PTGS2|MT-CO2"),
    ("PD1", "human", "PDCD1|SNCA|SPATA2"),
    ("p21", "human", "CDKN1A|TCEAL1"),
    ("MLL2", "human", "KMT2D|KMT2B"),
)


def cases() -> list[NameCase]:
    """Return the packaged cases."""
    text = resources.files("cellwright.evals.questions").joinpath(FILE).read_text(encoding="utf-8")
    found = csv.DictReader(text.splitlines(), delimiter="\t")
    return [
        NameCase(
            name=row["name"],
            species=row["species"],
            kind=row["kind"],
            answer=row["answer"],
            among=tuple(row["among"].split("|")) if row["among"] else (),
        )
        for row in found
    ]


def judge(knowledge: Knowledge, case: NameCase, said: GeneMatch) -> str:
    """Return ``right``, ``wrong gene`` (one was named and it is not the answer) or ``no gene``."""
    if said.status == "ok":
        return "right" if said.gene_id == case.answer else "wrong gene"
    if case.answer == AMBIGUOUS:
        index = knowledge.genes.index(case.species)
        named = {str(index.entrez[index.by_symbol[one]]) for one in said.candidates
                 if one in index.by_symbol}  # fmt: skip
        return "right" if said.status == "ambiguous" and named >= set(case.among) else "no gene"
    return "right" if case.answer == UNKNOWN and said.status == "unknown" else "no gene"


def by_symbol(name: str, index: GeneIndex) -> str:
    """Baseline: the gene id of the symbol, letter by letter; empty without one."""
    row = index.by_symbol.get(name)
    return "" if row is None else str(index.entrez[row])


class AliasLookup:
    """Baseline: symbols, then all aliases, in one case; of several genes the first listed.

    Args:
        index: Genes of one species.
    """

    def __init__(self, index: GeneIndex) -> None:
        self._rows = {symbol.casefold(): row for symbol, row in index.by_symbol.items()}
        for row in range(len(index)):
            for alias in index.aliases(row):
                self._rows.setdefault(alias.casefold(), row)
        self._entrez = index.entrez

    def __call__(self, name: str) -> str:
        """Return the gene id; empty without one."""
        row = self._rows.get(name.casefold())
        return "" if row is None else str(self._entrez[row])


# -- drawing ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """What HGNC says of a gene."""

    symbol: str
    entrez: str
    previous: tuple[str, ...]
    aliases: tuple[str, ...]
    coding: bool


class _Sources:
    """The official files, as far as they tell names."""

    def __init__(self, folder: Path) -> None:
        self.path = {one.file: folder / one.file for one in
                     (*catalogue.ALL_SOURCES, catalogue.HGNC)}  # fmt: skip

    @cached_property
    def hgnc(self) -> dict[str, _Entry]:
        """Approved entries by HGNC number."""
        return {
            row[0].removeprefix("HGNC:"): _Entry(
                symbol=row[1], entrez=row[5], previous=_parts(row[9]), aliases=_parts(row[4]),
                coding=row[11] == CODING,
            )
            for row in rows(self.path[catalogue.HGNC.file])
            if row[3] == "Approved"
        }  # fmt: skip

    @cached_property
    def withdrawn(self) -> list[tuple[str, str]]:
        """Withdrawn symbols with the HGNC number of their one successor."""
        found = []
        for row in rows(self.path[catalogue.HGNC.file]):
            parts = row[2].split("[HGNC:")
            if row[3] == "Symbol Withdrawn" and len(parts) == 2:
                found.append((row[1], parts[1].partition("]")[0]))
        return found

    @cached_property
    def ncbi(self) -> dict[str, list[list[str]]]:
        """Rows of NCBI's gene_info by species."""
        files = {"human": catalogue.NCBI_HUMAN.file, "mouse": catalogue.NCBI_MOUSE.file}
        return {species: list(rows(self.path[file])) for species, file in files.items()}

    @cached_property
    def carriers(self) -> dict[str, dict[str, set[str]]]:
        """Gene ids that carry a name in any case, by species; all sources, all kinds of names."""
        found: dict[str, dict[str, set[str]]] = {
            "human": defaultdict(set),
            "mouse": defaultdict(set),
        }
        for species, table in self.ncbi.items():
            for row in table:
                for name in (row[1], *row[2].split("|")):
                    found[species][name.upper()].add(row[0])
        for one in self.hgnc.values():
            for name in (one.symbol, *one.previous, *one.aliases):
                found["human"][name.upper()].add(one.entrez)
        for name, number in self.withdrawn:
            found["human"][name.upper()].add(
                self.hgnc[number].entrez if number in self.hgnc else ""
            )
        return found

    def entrez_of(self, symbol: str, species: str) -> str:
        """Gene id of a current symbol by HGNC, else by NCBI."""
        return self.current[species][symbol]

    @cached_property
    def current(self) -> dict[str, dict[str, str]]:
        """Gene ids of current symbols by species; HGNC before NCBI."""
        found = {
            species: {row[1]: row[0] for row in table if row[7] != "biological-region"}
            for species, table in self.ncbi.items()
        }
        found["human"] |= {one.symbol: one.entrez for one in self.hgnc.values() if one.entrez}
        return found

    def only(self, name: str, species: str, entrez: str) -> bool:
        """Whether no other gene of the species carries the name, in any case."""
        return self.carriers[species][name.upper()] == {entrez}


def draw(folder: Path, each: int = EACH) -> list[NameCase]:
    """Draw the cases from the official files; the same files give the same cases.

    Raises:
        OSError: A file is not there.
    """
    sources = _Sources(folder)
    found: dict[tuple[str, str], NameCase] = {}
    for kind, (make, number) in _KINDS.items():
        pool = sorted(set(make(sources)))
        picked = random.Random(f"{SEED} {kind}").sample(pool, min(number or each, len(pool)))
        for name, species, answer, among in sorted(picked):
            case = NameCase(name=name, species=species, kind=kind, answer=answer, among=among)
            found.setdefault((name, species), case)
    return list(found.values())


_Row = tuple[str, str, str, tuple[str, ...]]


def _previous(sources: _Sources) -> Iterator[_Row]:
    for one in sources.hgnc.values():
        for name in one.previous:
            if one.entrez and sources.only(name, "human", one.entrez):
                yield name, "human", one.entrez, ()


def _withdrawn(sources: _Sources) -> Iterator[_Row]:
    for name, number in sources.withdrawn:
        entrez = sources.hgnc[number].entrez if number in sources.hgnc else ""
        if entrez and sources.only(name, "human", entrez):
            yield name, "human", entrez, ()


def _aliases(sources: _Sources) -> Iterator[_Row]:
    for species, table in sources.ncbi.items():
        for row in table:
            for name in row[2].split("|"):
                coding = row[7] == "protein-coding"
                if coding and len(name) > 2 and sources.only(name, species, row[0]):
                    yield name, species, row[0], ()


def _shared(sources: _Sources) -> Iterator[_Row]:
    """Aliases and former symbols that HGNC itself gives to several genes with a protein."""
    carriers: dict[str, set[str]] = defaultdict(set)
    symbols = {one.symbol for one in sources.hgnc.values()}
    for one in sources.hgnc.values():
        if one.coding and one.entrez:
            for name in {*one.previous, *one.aliases}:
                carriers[name].add(one.entrez)
    for name, genes in carriers.items():
        if len(genes) > 1 and name not in symbols:
            yield name, "human", AMBIGUOUS, tuple(sorted(genes))


def _shared_mouse(sources: _Sources) -> Iterator[_Row]:
    carriers: dict[str, set[str]] = defaultdict(set)
    table = sources.ncbi["mouse"]
    symbols = {row[1] for row in table}
    for row in table:
        if row[7] == "protein-coding":
            for name in row[2].split("|"):
                carriers[name].add(row[0])
    for name, genes in carriers.items():
        if len(genes) == 2 and name not in symbols and len(name) > 2:
            yield name, "mouse", AMBIGUOUS, tuple(sorted(genes))


def _dates(sources: _Sources) -> Iterator[_Row]:
    """Old symbols of septins, MARCH proteins and the like, as a spreadsheet shows them."""
    months = {"MARCH": ("Mar", 3), "MARC": ("Mar", 3), "SEPT": ("Sep", 9), "DEC": ("Dec", 12)}
    genes: dict[tuple[str, int], set[str]] = defaultdict(set)
    for one in sources.hgnc.values():
        for name in (one.symbol, *one.previous):
            family = name.rstrip("0123456789")
            if family in months and name != family and int(name[len(family) :]) <= 28:
                genes[months[family][0], int(name[len(family) :])].add(one.entrez)
    number = dict(months.values())
    for (month, day), ids in genes.items():
        answer = next(iter(ids)) if len(ids) == 1 else AMBIGUOUS
        among = tuple(sorted(ids)) if len(ids) > 1 else ()
        for text in (f"{day}-{month}", f"{month}-{day:02d}", f"2023-{number[month]:02d}-{day:02d}"):
            yield text, "human", answer, among


def _ensembl(sources: _Sources) -> Iterator[_Row]:
    for species, table in sources.ncbi.items():
        for row in table:
            ids = [one.partition(":")[2] for one in row[3].split("|") if one.startswith("Ensembl:")]
            if len(ids) == 1 and row[7] == "protein-coding":
                version = int(row[0]) % 19 + 1
                forms = (f"{ids[0]}.{version}", ids[0].lower(), f"{ids[0]}_{row[1]}")
                yield forms[version % 3], species, row[0], ()


def _coding(sources: _Sources, species: str) -> Iterator[tuple[str, str]]:
    """Symbols on which NCBI and HGNC agree, with their gene ids."""
    for row in sources.ncbi[species]:
        agree = species == "mouse" or sources.current["human"].get(row[1]) == row[0]
        if row[7] == "protein-coding" and agree and not row[1].startswith("LOC") and row[4] != "MT":
            yield row[1], row[0]


def _prefixes(sources: _Sources) -> Iterator[_Row]:
    for species, prefixes in (
        ("human", ("hg38_", "GRCh38_", "hg19_", "GRCh38______")),
        ("mouse", ("mm10_", "mm10___", "GRCm39_", "GRCm38_")),
    ):
        for symbol, entrez in _coding(sources, species):
            yield f"{prefixes[int(entrez) % 4]}{symbol}", species, entrez, ()


def _cases(sources: _Sources) -> Iterator[_Row]:
    for species, change in (("human", str.lower), ("human", str.capitalize), ("mouse", str.upper)):
        for symbol, entrez in _coding(sources, species):
            name = change(symbol)
            if name != symbol and sources.only(name, species, entrez):
                yield name, species, entrez, ()


def _orthologs(sources: _Sources) -> Iterator[_Row]:
    """Symbols of the other species where the two are written differently, one gene for one."""
    current = {species: dict(_coding(sources, species)) for species in ("human", "mouse")}
    for row in rows(sources.path[catalogue.ORTHOLOGS_HUMAN.file]):
        human, mouse, kind = row[1], row[2], row[4]
        if kind != "ortholog_one2one" or human.upper() == mouse.upper():
            continue
        if human in current["human"] and mouse in current["mouse"]:
            if not sources.carriers["mouse"][human.upper()]:
                yield human, "mouse", current["mouse"][mouse], ()
            if not sources.carriers["human"][mouse.upper()]:
                yield mouse, "human", current["human"][human], ()


def _numbers(sources: _Sources) -> Iterator[_Row]:
    for species, table in sources.ncbi.items():
        for row in table:
            ids = [one for one in row[3].split("|") if one.startswith(("HGNC:", "MGI:"))]
            if ids and row[7] == "protein-coding":
                authority = ids[0].partition(":")[2]
                forms = (row[0], authority, f"LOC{row[0]}")
                yield forms[int(row[0]) % 3], species, row[0], ()


def _dotted(sources: _Sources) -> Iterator[_Row]:
    for species in ("human", "mouse"):
        for symbol, entrez in _coding(sources, species):
            name = symbol.replace("-", ".")
            if name != symbol and not sources.carriers[species][name.upper()]:
                yield name, species, entrez, ()


def _nothing(sources: _Sources) -> Iterator[_Row]:
    """Symbols with a letter changed so that nothing has this name, and ids that no gene has."""
    for species in ("human", "mouse"):
        for symbol, entrez in _coding(sources, species):
            name = f"{symbol[:2]}QX{symbol[2:]}"
            if len(symbol) > 3 and symbol.isalnum() and not sources.carriers[species][name.upper()]:
                yield name, species, UNKNOWN, ()
            if int(entrez) % 50 == 0:
                yield (
                    f"ENS{'' if species == 'human' else 'MUS'}G9{int(entrez):010d}",
                    species,
                    UNKNOWN,
                    (),
                )


def _common(sources: _Sources) -> Iterator[_Row]:
    for name, species, symbols in COMMON:
        ids = tuple(sorted(sources.entrez_of(one, species) for one in symbols.split("|")))
        yield name, species, ids[0] if len(ids) == 1 else AMBIGUOUS, ids if len(ids) > 1 else ()


_KINDS: dict[str, tuple[Callable[[_Sources], Iterable[_Row]], int]] = {
    "usual names": (_common, len(COMMON)),
    "previous symbols": (_previous, 50),
    "withdrawn symbols": (_withdrawn, 30),
    "aliases of one gene": (_aliases, 40),
    "aliases of several genes": (_shared, 50),
    "aliases of several mouse genes": (_shared_mouse, 20),
    "spreadsheet dates": (_dates, 36),
    "Ensembl ids": (_ensembl, 0),
    "reference prefixes": (_prefixes, 0),
    "wrong case": (_cases, 0),
    "other species": (_orthologs, 40),
    "numbers": (_numbers, 0),
    "dots for hyphens": (_dotted, 20),
    "no gene": (_nothing, 0),
}  # fmt: skip


def _parts(text: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in text.split(", ") if one.strip())


def write(found: Sequence[NameCase], path: Path) -> None:
    """Write cases as a table."""
    names = [one.name for one in fields(NameCase)]
    lines = ["\t".join(names)]
    for one in found:
        record = {**asdict(one), "among": "|".join(one.among)}
        lines.append("\t".join(record[name] for name in names))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(draw(Path(sys.argv[1])), Path(__file__).parent / "questions" / FILE)
