"""From any gene name to the gene, with the reason; several possible genes are never guessed at."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from cellwright.errors import InputError
from cellwright.knowledge import names as forms
from cellwright.knowledge import tables
from cellwright.knowledge.gene_index import (
    ALIAS,
    FORMER,
    LISTED,
    RANKS,
    SYMBOL,
    Carriers,
    GeneIndex,
    Rows,
    loose,
)
from cellwright.knowledge.identify import identify
from cellwright.knowledge.records import CoverageReport, GeneMatch, NameReport

SUGGESTIONS = 5
_WITHDRAWN = "withdrawn by HGNC, without a successor"
_MEMBERS = "ABCDEGHKLMNPQRTXYZ123456789"
"""Letters and digits that tell the members of a gene family apart."""


class Found(NamedTuple):
    """Rows that a name leads to, why, and rows that carry it too but were not meant."""

    rows: Rows
    why: str
    others: Rows = ()


class GeneResolver:
    """Resolves gene names of human and mouse."""

    def __init__(self, folder: Path = tables.FOLDER) -> None:
        self._folder = folder

    @cached_property
    def human(self) -> GeneIndex:
        """Human genes."""
        return GeneIndex("human", self._folder)

    @cached_property
    def mouse(self) -> GeneIndex:
        """Mouse genes."""
        return GeneIndex("mouse", self._folder)

    def index(self, species: str) -> GeneIndex:
        """Return the genes of a species.

        Raises:
            InputError: The species is neither human nor mouse.
        """
        if species == "human":
            return self.human
        if species == "mouse":
            return self.mouse
        msg = f"Genes of {species!r} are not known; species is 'human' or 'mouse'."
        raise InputError(msg)

    def resolve(self, name: str, species: str) -> GeneMatch:
        """Return what a gene name stands for; unknown names come with names that look alike."""
        match = self._match(name, self.index(species))
        if match.status != "unknown":
            return match
        return match._replace(candidates=self.suggest(name, species))

    def resolve_many(self, names: Sequence[str], species: str) -> list[GeneMatch]:
        """Return what each name stands for, in order; without suggestions for unknown names."""
        index = self.index(species)
        return [self._match(name, index) for name in names]

    def keys(self, names: Sequence[str], species: str) -> list[str | None]:
        """Return the vocabulary key of each name, None where it is unknown or ambiguous.

        The key is the current human symbol where there is a human gene (for mouse: a one-to-one
        or clearly best ortholog), the Ensembl id of a human gene without symbol, and
        ``mouse:Symbol`` for other mouse genes.
        """
        index = self.index(species)
        found: list[str | None] = []
        symbols = index.by_symbol
        for name in names:
            row = symbols.get(name, -1)
            if row < 0:
                rows = self._find(name, index).rows
                row = rows[0] if len(rows) == 1 else -1
            found.append(self._key(row, index) if row >= 0 else None)
        return found

    def symbol_of_key(self, key: str, species: str) -> str:
        """Return how a vocabulary key is written in a species (``GCG`` in mouse is ``Gcg``).

        A key without a gene in that species comes back as it is.
        """
        if key.startswith("mouse:"):
            return key.removeprefix("mouse:")
        if species == "human":
            return key
        row = self.human.by_symbol.get(key, -1)
        if row < 0 and (number := forms.ENSEMBL.match(key)):
            row = self.human.by_ensembl.get(int(number.group(2)), -1)
        partner = self.human.partner[row] if row >= 0 else -1
        return self.mouse.title(partner) if partner >= 0 else key

    def identify(self, names: Sequence[str]) -> NameReport:
        """Tell species and identifier scheme of a data set from all of its gene names."""
        return identify(names, self)

    def coverage(self, names: Sequence[str], species: str) -> CoverageReport:
        """Tell what becomes of the gene names of a data set.

        Raises:
            InputError: The species is neither human nor mouse.
        """
        ways: Counter[str] = Counter()
        ambiguous: dict[str, tuple[str, ...]] = {}
        unknown: list[str] = []
        genes: dict[str, list[str]] = defaultdict(list)
        matches = self.resolve_many(names, species)
        for one in matches:
            if one.status == "ok":
                ways[one.why] += 1
                genes[one.symbol or one.ensembl_id or one.gene_id or one.query].append(one.query)
            elif one.status == "ambiguous":
                ambiguous[one.query] = one.candidates
            else:
                unknown.append(one.query)
        return CoverageReport(
            names=len(matches),
            species=species,
            resolved=sum(ways.values()),
            genes=len(genes),
            ways=dict(ways.most_common()),
            ambiguous=ambiguous,
            unknown=tuple(unknown),
            shared={gene: tuple(said) for gene, said in genes.items() if len(said) > 1},
        )

    def suggest(self, name: str, species: str) -> tuple[str, ...]:
        """Return up to five symbols that look like a name: its family's first (CD3: CD3D)."""
        from rapidfuzz import fuzz, process

        upper = name.strip().upper()
        if len(upper) < 2:
            return ()
        index = self.index(species)
        family = [one for one in (f"{upper}{end}" for end in _MEMBERS) if one in index.by_upper]
        near = process.extract(
            upper, index.upper_symbols, scorer=fuzz.ratio, limit=SUGGESTIONS, score_cutoff=70
        )
        forms = [*family, *(one for one, _score, _ in sorted(near, key=lambda one: -one[1]))]
        rows = dict.fromkeys(index.by_upper[one][0][1] for one in forms)
        return tuple(index.title(row) for row in rows)[:SUGGESTIONS]

    def _key(self, row: int, index: GeneIndex) -> str:
        if index.species == "human":
            return index.title(row)
        partner = index.partner[row]
        return self.human.symbol[partner] if partner >= 0 else f"mouse:{index.title(row)}"

    def _match(self, name: str, index: GeneIndex) -> GeneMatch:
        rows, why, others = self._find(name, index)
        candidates = tuple(index.title(row) for row in others)
        if len(rows) != 1:
            return GeneMatch(
                query=name,
                status="ambiguous" if rows else "unknown",
                species=index.species,
                why=why or f"no {index.species} gene has this name",
                candidates=tuple(index.title(row) for row in rows) + candidates,
            )
        row = rows[0]
        entrez = index.entrez[row]
        return GeneMatch(
            query=name,
            status="ok",
            species=index.species,
            why=why,
            symbol=index.symbol[row] or None,
            gene_id=str(entrez) if entrez else None,
            ensembl_id=index.ensembl_id(row),
            name=index.name[row],
            candidates=candidates,
            aliases=index.aliases(row),
            gene_type=index.gene_type[row],
            key=self._key(row, index),
        )

    def _find(self, name: str, index: GeneIndex) -> Found:
        row = index.by_symbol.get(name)
        if row is not None:
            return Found((row,), "current symbol")
        name = name.strip()
        if not name:
            return Found((), "empty name")
        prefix, bare = forms.reference(name)
        found = (
            self._identifier(bare, index)
            or self._name(bare, index)
            or self._repaired(bare, index)
            or self._other_species(bare, index)
            or self._spelling(bare, index)
            or Found(
                (), "withdrawn by HGNC, without a successor" if bare in index.withdrawn else ""
            )
        )
        if not prefix or not found.rows:
            return found
        return found._replace(why=f"{found.why}; the prefix of reference {prefix} left off")

    def _identifier(self, name: str, index: GeneIndex) -> Found | None:
        if number := forms.ENSEMBL.match(name):
            if bool(number.group(1)) != (index.species == "mouse"):
                return Found((), f"an Ensembl id of another species than {index.species}")
            row = index.by_ensembl.get(int(number.group(2)))
            why = "Ensembl id with version" if number.group(3) else "Ensembl id"
            return (
                Found((row,), why) if row is not None else Found((), f"{why} that no source knows")
            )
        row, why = None, ""
        if name.isdigit():
            row, why = index.by_entrez.get(int(name)), "NCBI gene id"
        elif loc := forms.LOC.match(name):
            row, why = index.by_entrez.get(int(loc.group(1))), "LOC name of an NCBI gene id"
        elif authority := forms.AUTHORITY.match(name):
            why = "HGNC id" if index.species == "human" else "MGI id"
            if why.startswith(authority.group(1).upper()):
                row = index.by_authority.get(int(authority.group(2)))
        elif composite := forms.COMPOSITE.match(name):
            return self._identifier(composite.group(1), index)
        return Found((row,), why) if row is not None else None

    def _name(self, name: str, index: GeneIndex) -> Found | None:
        row = index.by_symbol.get(name)
        if row is not None:
            return Found((row,), "current symbol")
        if carriers := index.by_name.get(name):
            return _settle(carriers, index)
        if carriers := index.by_upper.get(name.upper()):
            return _settle(carriers, index, " in another case")
        return None

    def _repaired(self, name: str, index: GeneIndex) -> Found | None:
        if dated := forms.undate(name):
            # Spreadsheets are given symbols: that one of them is another gene's alias is no matter.
            carriers = [one for old in dated for one in index.by_upper.get(old, ())]
            rows = tuple(dict.fromkeys(row for rank, row in carriers if rank <= FORMER))
            if rows:
                return Found(rows, "a date that a spreadsheet made of a symbol")
        for other, what in forms.variants(name):
            found = self._identifier(other, index) or self._name(other, index)
            # What looks like the number of a copy may be part of a name: Ki-67 is no copy of KI.
            if found and found.rows and (what != forms.NUMBER or "symbol" in found.why):
                return found._replace(why=f"{found.why}, after undoing {what}")
        return None

    def _other_species(self, name: str, index: GeneIndex) -> Found | None:
        other = self.mouse if index.species == "human" else self.human
        row = other.by_symbol.get(name, -1)
        partner = other.partner[row] if row >= 0 else -1
        if partner < 0:
            return None
        return Found((partner,), f"ortholog of the {other.species} gene of this symbol")

    def _spelling(self, name: str, index: GeneIndex) -> Found | None:
        form = loose(name)
        carriers = index.by_loose.get(form) if len(form) > 2 else None
        if carriers:
            return _settle(carriers, index, " in another spelling")
        carriers = index.by_title.get(name.casefold())
        return _settle(carriers, index)._replace(why="full name") if carriers else None


def _settle(carriers: Carriers, index: GeneIndex, how: str = "") -> Found:
    """Choose among the genes that carry a name, where the sources themselves settle it.

    A symbol comes before other names; names of the nomenclature (symbols once approved, aliases
    that HGNC records) before those that only NCBI Gene lists; the one gene that codes for a
    protein before its pseudogenes and antisense transcripts. What is left shared stays so.
    """
    best = carriers[0][0]
    within = {SYMBOL: SYMBOL, FORMER: ALIAS, ALIAS: ALIAS, LISTED: LISTED}[best]
    rows = tuple(row for rank, row in carriers if rank <= within)
    others = tuple(row for rank, row in carriers if rank > within)
    what = f"{RANKS[best]}{how}"
    if len(rows) > 1:
        coding = tuple(row for row in rows if index.codes(row) is not False)
        if len(coding) != 1 or not index.codes(coding[0]):
            return Found(rows, f"{what} of {len(rows)} genes", others)
        others = (*(row for row in rows if row != coding[0]), *others)
        rows, what = coding, f"{what}; of its carriers the only one that codes for a protein"
    return Found(rows, what, others)
