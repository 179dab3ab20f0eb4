"""Drugs by any of their names."""

import re
from collections import defaultdict
from functools import cached_property
from pathlib import Path
from typing import Any

from cellwright.knowledge import tables
from cellwright.knowledge.records import DrugMatch, Evidence

SUGGESTIONS = 5
_SALTS = re.compile(
    r"[ -](?:hydrochloride|hcl|mesylate|maleate|tosylate|ditosylate|sodium|phosphate|malate|"
    r"dimaleate|acetate|sulfate|citrate|fumarate|besylate|tartrate|dihydrochloride)$"
)


class DrugTable:
    """GDSC's compounds and the Repurposing Hub's drugs.

    Args:
        folder: Folder of the compiled tables.
    """

    def __init__(self, folder: Path = tables.FOLDER) -> None:
        self._folder = folder

    @cached_property
    def _columns(self) -> dict[str, list[Any]]:
        return tables.columns(tables.read("drugs", self._folder))

    @cached_property
    def _by_name(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = defaultdict(list)
        for row, name in enumerate(self._columns["name"]):
            found[_form(name)].append(row)
        return found

    @cached_property
    def _by_synonym(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = defaultdict(list)
        for row, text in enumerate(self._columns["synonyms"]):
            for one in text.split("|") if text else ():
                if row not in found[_form(one)]:
                    found[_form(one)].append(row)
        return found

    def __len__(self) -> int:
        return len(self._columns["name"])

    def names(self) -> tuple[str, ...]:
        """Return the preferred names, GDSC's first."""
        return tuple(self._columns["name"])

    def lookup(self, name: str) -> DrugMatch:
        """Return the drug that a name stands for; unknown names come with names that look alike."""
        bare = _SALTS.sub("", name.strip().casefold())
        for text, note in ((name, ""), (bare, ", its salt left off")):
            for rows, what in (
                (self._by_name.get(_form(text)), "name"),
                (self._by_synonym.get(_form(text)), "synonym"),
            ):
                if rows and (what == "name" or len(rows) == 1):
                    return self.match(rows[0], name, f"{what}{note}")
                if rows:
                    candidates = tuple(self._columns["name"][row] for row in rows)
                    why = f"a synonym of {len(rows)} drugs"
                    return DrugMatch(query=name, status="unknown", suggestions=candidates, why=why)
        return DrugMatch(
            query=name,
            status="unknown",
            suggestions=self._suggest(name),
            why="no drug of GDSC or the Repurposing Hub has this name",
        )

    def exact(self, name: str) -> str | None:
        """Return the preferred name of the one drug that has this name or synonym."""
        rows = self._by_name.get(_form(name)) or self._by_synonym.get(_form(name)) or []
        return self._columns["name"][rows[0]] if len(rows) == 1 else None

    def match(self, row: int, query: str = "", why: str = "") -> DrugMatch:
        """Return the drug of a row of the table."""
        columns = self._columns
        hub, gdsc = columns["in_hub"][row], columns["in_gdsc"][row]
        name = columns["name"][row]
        return DrugMatch(
            query=query or name,
            status="ok",
            name=name,
            synonyms=_split(columns["synonyms"][row]),
            targets=_split(columns["targets"][row]),
            pathway=columns["pathway"][row],
            mechanism=columns["mechanism"][row],
            indications=_split(columns["indications"][row]),
            areas=_split(columns["areas"][row]),
            phase=columns["phase"][row],
            sources=tuple(
                source for source, has in (("GDSC", gdsc), ("Drug Repurposing Hub", hub)) if has
            ),
            in_gdsc=gdsc,
            why=why,
        )

    def evidence(self, match: DrugMatch, score: float | None = None) -> Evidence:
        """Return what is known of a drug as a record that can be cited."""
        source = match.sources[0]
        about = tables.sources(self._folder)[source]
        return Evidence(
            text=describe(match),
            source=" and ".join(match.sources),
            record_id=match.name or "",
            release=about["release"],
            licence=about["licence"],
            kind="drug",
            score=score,
        )

    def _suggest(self, name: str) -> tuple[str, ...]:
        from rapidfuzz import fuzz, process

        form = _form(name)
        if len(form) < 3:
            return ()
        forms = {**{one: rows[0] for one, rows in self._by_synonym.items()}}
        forms.update({one: rows[0] for one, rows in self._by_name.items()})
        near = process.extract(
            form, forms.keys(), scorer=fuzz.ratio, limit=2 * SUGGESTIONS, score_cutoff=65
        )
        found = dict.fromkeys(self._columns["name"][forms[one]] for one, _score, _ in near)
        return tuple(found)[:SUGGESTIONS]


def describe(match: DrugMatch) -> str:
    """Return one sentence on a drug, made of its fields."""
    parts = [f"{match.name} is a drug"]
    if match.mechanism:
        parts = [f"{match.name} acts as {match.mechanism}"]
    if match.targets:
        parts.append(f"targets {', '.join(match.targets[:8])}")
    if match.pathway:
        parts.append(f"pathway {match.pathway}")
    if match.indications:
        parts.append(f"given for {', '.join(match.indications[:6])}")
    if match.areas:
        parts.append(f"in {', '.join(match.areas)}")
    if match.phase:
        parts.append(f"phase {match.phase}")
    if match.synonyms:
        parts.append(f"also called {', '.join(match.synonyms[:4])}")
    return "; ".join(parts) + "."


def _form(name: str) -> str:
    return re.sub(r"[^0-9a-z]+", "", name.casefold())


def _split(text: str) -> tuple[str, ...]:
    return tuple(text.split("|")) if text else ()
