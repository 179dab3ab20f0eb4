"""From any gene name to the gene, with the reason; several possible genes are never guessed at."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from cellwright.errors import InputError
from cellwright.knowledge import names as forms
from cellwright.knowledge import tables
from cellwright.knowledge.gene_index import GeneIndex, Rows
from cellwright.knowledge.identify import identify
from cellwright.knowledge.records import GeneMatch, NameReport

SUGGESTIONS = 5
Found = tuple[Rows, str]
_NOTHING: Found = ((), "")


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
        return GeneMatch(
            query=name,
            status="unknown",
            species=species,
            why=match.why,
            candidates=self.suggest(name, species),
        )

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
                rows, _why = self._find(name, index)
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

    def suggest(self, name: str, species: str) -> tuple[str, ...]:
        """Return up to five symbols that look like a name."""
        from rapidfuzz import fuzz, process

        upper = name.strip().upper()
        if len(upper) < 2:
            return ()
        index = self.index(species)
        near = process.extract(
            upper, index.by_upper.keys(), scorer=fuzz.ratio, limit=SUGGESTIONS, score_cutoff=70
        )
        return tuple(index.symbol[index.by_upper[one][0]] for one, _score, _ in near)

    def _key(self, row: int, index: GeneIndex) -> str:
        if index.species == "human":
            return index.title(row)
        partner = index.partner[row]
        return self.human.symbol[partner] if partner >= 0 else f"mouse:{index.title(row)}"

    def _match(self, name: str, index: GeneIndex) -> GeneMatch:
        rows, why = self._find(name, index)
        if len(rows) != 1:
            return GeneMatch(
                query=name,
                status="ambiguous" if rows else "unknown",
                species=index.species,
                why=why or f"no {index.species} gene has this name",
                candidates=tuple(index.title(row) for row in rows),
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
            aliases=index.aliases(row),
            gene_type=index.gene_type[row],
            key=self._key(row, index),
        )

    def _find(self, name: str, index: GeneIndex) -> Found:
        row = index.by_symbol.get(name)
        if row is not None:
            return (row,), "current symbol"
        name = name.strip()
        if not name:
            return (), "empty name"
        prefix, bare = forms.reference(name)
        found = self._identifier(bare, index) or self._name(bare, index)
        if found is None:
            found = self._repaired(bare, index) or self._other_species(bare, index) or _NOTHING
        rows, why = found
        return (rows, f"{why}; the prefix of reference {prefix} left off") if prefix else found

    def _identifier(self, name: str, index: GeneIndex) -> Found | None:
        if number := forms.ENSEMBL.match(name):
            if bool(number.group(1)) != (index.species == "mouse"):
                return (), f"an Ensembl id of another species than {index.species}"
            row = index.by_ensembl.get(int(number.group(2)))
            why = "Ensembl id with version" if number.group(3) else "Ensembl id"
            return ((row,), why) if row is not None else ((), f"{why} that no source knows")
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
        return ((row,), why) if row is not None else None

    def _name(self, name: str, index: GeneIndex) -> Found | None:
        row = index.by_symbol.get(name)
        if row is not None:
            return (row,), "current symbol"
        for rows, what in (
            (index.by_previous.get(name), "previous symbol"),
            (index.by_alias.get(name), "alias"),
            (index.by_upper.get(name.upper()), "symbol in another case"),
            (index.by_upper_alias.get(name.upper()), "alias in another case"),
        ):
            if rows:
                return rows, what if len(rows) == 1 else f"{what} of {len(rows)} genes"
        return None

    def _repaired(self, name: str, index: GeneIndex) -> Found | None:
        dated = [self._name(one, index) for one in forms.undate(name)]
        rows = tuple(dict.fromkeys(row for found in dated if found for row in found[0]))
        if rows:
            return rows, "a date that a spreadsheet made of a symbol"
        for other, what in forms.variants(name):
            found = self._identifier(other, index) or self._name(other, index)
            if found and found[0]:
                return found[0], f"{found[1]}, after undoing {what}"
        return None

    def _other_species(self, name: str, index: GeneIndex) -> Found | None:
        other = self.mouse if index.species == "human" else self.human
        row = other.by_symbol.get(name, -1)
        partner = other.partner[row] if row >= 0 else -1
        if partner < 0:
            return None
        return (partner,), f"ortholog of the {other.species} gene of this symbol"
