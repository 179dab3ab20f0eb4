"""The Cell Ontology: free text to terms, and how terms are related."""

import csv
import re
from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

from cellwright.errors import InputError
from cellwright.knowledge import cell_names, t_cells, tables
from cellwright.knowledge.records import CellTypeMatch

ROOT = 0
"""``cell``, above every other term."""
REJECT = 0.62
"""Score below which a text has no term."""
FUZZY_RATIO = 87.0
"""Similarity (0 to 100) from which a misspelt label counts as found."""
TAXON_TERMS = 4_300_000
"""Terms from here on name clusters of single brain atlases; only their full label finds them."""

_ID = re.compile(r"^CL[:_](\d{7})$", re.IGNORECASE)
_BRACKETS = re.compile(r"\s*\([^)]*\)")
_TAXON = re.compile(r"\((?:Mmus|Primate|Homo sapiens|Mus musculus|sensu .*)\)$")
Option = tuple[float, int, str]


def curie(number: int) -> str:
    """Return the id that a term's number stands for."""
    return f"CL:{number:07d}"


class CellOntology:
    """Cell Ontology terms.

    Args:
        folder: Folder of the compiled tables.
    """

    def __init__(self, folder: Path = tables.FOLDER) -> None:
        self._folder = folder

    def lookup(
        self, text: str, species: str | None = None, tissue: str | None = None
    ) -> CellTypeMatch:
        """Return the term that a cell type label stands for.

        Exact labels and synonyms score 1, other spellings and usual abbreviations a little less,
        labels understood in part about 0.8, misspellings by their similarity.

        Args:
            text: Label, such as ``CD14+ Mono``.
            species: Kept for callers; labels of human and mouse share the ontology's terms.
            tissue: Tissue of the data, which tells abbreviations apart.
        """
        del species
        if found := _ID.match(text.strip()):
            return self._by_id(text, int(found.group(1)))
        if self._says_nothing(text):
            return CellTypeMatch(query=text, status="none", why="the label names no cell type")
        options = self._options(text, tissue or "")
        best = options[0] if options else None
        others = [one for one in options if best and one[1] != best[1]]
        runner_up = (
            (curie(others[0][1]), self._label[others[0][1]], round(others[0][0], 3))
            if others
            else None
        )
        if best is None or best[0] < REJECT:
            near = tuple(dict.fromkeys(self._label[number] for _, number, _ in options[:5]))
            return CellTypeMatch(
                query=text,
                status="none",
                score=round(best[0], 3) if best else 0.0,
                runner_up=(curie(best[1]), self._label[best[1]], round(best[0], 3))
                if best
                else None,
                why="no label or synonym is near enough",
                suggestions=near,
            )
        return CellTypeMatch(
            query=text,
            status="ok",
            ontology_id=curie(best[1]),
            label=self._label[best[1]],
            score=round(best[0], 3),
            runner_up=runner_up,
            why=best[2],
        )

    def label(self, identifier: str) -> str:
        """Return the label of a term.

        Raises:
            InputError: The ontology has no such term.
        """
        return self._label[self._number(identifier)]

    def synonyms(self, identifier: str) -> tuple[str, ...]:
        """Return the synonyms of a term."""
        return self._synonyms[self._number(identifier)]

    def parents(self, identifier: str) -> tuple[str, ...]:
        """Return the direct parents of a term."""
        return tuple(curie(one) for one in self._parents[self._number(identifier)])

    def part_of(self, identifier: str) -> tuple[str, ...]:
        """Return the terms that a term is a part of, where the ontology's file tells it apart."""
        return tuple(curie(one) for one in self._part_of[self._number(identifier)])

    def ids(self) -> tuple[str, ...]:
        """Return the ids of all current terms."""
        return tuple(curie(one) for one in self._label if one not in self._obsolete)

    def ancestors(self, identifier: str) -> frozenset[str]:
        """Return the ids of all terms above a term, without itself."""
        return frozenset(curie(one) for one in self._up(self._number(identifier)) if one != -1) - {
            curie(self._number(identifier))
        }

    def is_a(self, child: str, parent: str) -> bool:
        """Whether a term is a kind of another one, or the same."""
        return self._number(parent) in self._up(self._number(child))

    def related(self, one: str, other: str) -> bool:
        """Whether two terms are equal or one is above the other."""
        return self.is_a(one, other) or self.is_a(other, one)

    def common_ancestor(self, identifiers: Iterable[str]) -> str | None:
        """Return the nearest term that is above or equal to all, None when only ``cell`` is."""
        ups = [self._up(self._number(one)) for one in identifiers]
        if not ups:
            return None
        shared = set(ups[0]).intersection(*ups[1:])
        shared -= {ROOT}
        if not shared:
            return None
        # The nearest: fewest steps in all, then the most specific term.
        best = min(
            shared, key=lambda term: (sum(up[term] for up in ups), -len(self._up(term)), term)
        )
        return curie(best)

    def distance(self, one: str, other: str) -> int | None:
        """Return the steps from a term to another over their nearest common ancestor."""
        first, second = self._up(self._number(one)), self._up(self._number(other))
        shared = first.keys() & second.keys()
        return min((first[term] + second[term] for term in shared), default=None)

    # -- tables ---------------------------------------------------------------------------------

    @cached_property
    def _columns(self) -> dict[str, list[Any]]:
        return tables.columns(tables.read("cell_ontology", self._folder))

    @cached_property
    def _label(self) -> dict[int, str]:
        return dict(zip(self._columns["id"], self._columns["label"], strict=True))

    @cached_property
    def _synonyms(self) -> dict[int, tuple[str, ...]]:
        columns = self._columns
        return {
            number: tuple(text.split("|")) if text else ()
            for number, text in zip(columns["id"], columns["synonyms"], strict=True)
        }

    @cached_property
    def _parents(self) -> dict[int, list[int]]:
        return dict(zip(self._columns["id"], self._columns["parents"], strict=True))

    @cached_property
    def _part_of(self) -> dict[int, list[int]]:
        return dict(zip(self._columns["id"], self._columns["part_of"], strict=True))

    @cached_property
    def _obsolete(self) -> dict[int, int]:
        columns = self._columns
        return {
            number: successor
            for number, gone, successor in zip(
                columns["id"], columns["deprecated"], columns["replaced_by"], strict=True
            )
            if gone
        }

    @cached_property
    def _above(self) -> dict[int, dict[int, int]]:
        return {}

    def _up(self, number: int) -> dict[int, int]:
        """Steps to every term above a term, itself at 0."""
        found = self._above.get(number)
        if found is None:
            found, edge, far = {number: 0}, [number], 0
            while edge:
                far += 1
                above = {one for term in edge for one in self._parents.get(term, ())}
                edge = sorted(above - found.keys())
                found.update(dict.fromkeys(edge, far))
            self._above[number] = found
        return found

    def _number(self, identifier: str) -> int:
        found = _ID.match(identifier)
        number = int(found.group(1)) if found else -1
        successor = self._obsolete.get(number, -1)
        number = successor if successor >= 0 else number
        if number not in self._label:
            msg = f"The Cell Ontology has no term {identifier!r}."
            raise InputError(msg)
        return number

    # -- names ----------------------------------------------------------------------------------

    @cached_property
    def _forms(self) -> dict[str, list[tuple[str, int]]]:
        found: dict[str, list[tuple[str, int]]] = defaultdict(list)
        path = self._folder / "forms.tsv"
        with path.open(encoding="utf-8", newline="") as handle:
            for row in csv.DictReader(handle, delimiter="\t"):
                number = int(row["ontology_id"].removeprefix("CL:"))
                spellings = cell_names.plain, cell_names.normal, cell_names.compact
                for form in {spell(row["form"]) for spell in spellings}:
                    entry = (row["tissue"] or "", number)
                    if form and entry not in found[form]:
                        found[form].append(entry)
        return dict(found)

    @cached_property
    def _named(self) -> tuple[dict[str, list[Option]], dict[str, list[Option]]]:
        """Terms by plain and by normal form of label and synonyms."""
        plain: dict[str, list[Option]] = defaultdict(list)
        normal: dict[str, list[Option]] = defaultdict(list)
        for number, label in self._label.items():
            if number in self._obsolete:
                continue
            special = number >= TAXON_TERMS or bool(_TAXON.search(label))
            texts = [(label, 1.0, "label")]
            texts += [] if special else [(one, 0.99, "synonym") for one in self._synonyms[number]]
            for text, score, what in texts:
                plain[cell_names.plain(text)].append((score, number, f"{what} {text!r}"))
                form = cell_names.normal(text)
                if form:
                    lower = score - 0.04 - (0.1 if special else 0.0)
                    normal[form].append((lower, number, f"other spelling of the {what} {text!r}"))
        return dict(plain), dict(normal)

    def _by_id(self, text: str, number: int) -> CellTypeMatch:
        why = "ontology id"
        if (successor := self._obsolete.get(number, -1)) >= 0:
            number, why = successor, f"successor of the obsolete {text.strip()}"
        if number not in self._label or number in self._obsolete:
            return CellTypeMatch(query=text, status="none", why="no current term has this id")
        return CellTypeMatch(
            query=text,
            status="ok",
            ontology_id=curie(number),
            label=self._label[number],
            score=1.0,
            why=why,
        )

    def _says_nothing(self, text: str) -> bool:
        plain = cell_names.plain(text)
        return (
            plain in cell_names.NO_TYPE
            or cell_names.normal(text) in cell_names.NO_TYPE
            or plain.replace(" ", "").isdigit()
        )

    def _options(self, text: str, tissue: str) -> list[Option]:
        plain, normal = cell_names.plain(text), cell_names.normal(text)
        by_plain, by_normal = self._named
        options = [one for one in by_plain.get(plain, ()) if one[0] == 1.0]
        options += self._by_form(plain, tissue, 0.97) or self._by_form(normal, tissue, 0.96)
        options += self._by_form(cell_names.compact(text), tissue, 0.96)
        options += by_plain.get(plain, ())
        options += by_normal.get(normal, ())
        if (t_cell := t_cells.read(normal)) is not None:
            number = int(t_cell[0].removeprefix("CL:"))
            options.append((0.95 if t_cell[1] else 0.82, number, "read as a T cell by its parts"))
        less = cell_names.unqualified(normal)
        if less and less != normal and max((one[0] for one in options), default=0.0) < 0.9:
            options += [
                (score - 0.15, number, f"{why}, without qualifiers")
                for score, number, why in (
                    *by_normal.get(less, ()),
                    *self._by_form(less, tissue, 0.93),
                )
            ]
        if "(" in text and max((one[0] for one in options), default=0.0) < 0.9:
            bare = cell_names.normal(_BRACKETS.sub(" ", text))
            options += [
                (score - 0.03, number, f"{why}, brackets left off")
                for score, number, why in (
                    *self._by_form(bare, tissue, 0.95),
                    *by_normal.get(bare, ()),
                )
            ]
        options += self._fuzzy(normal, settled=any(one[0] >= 0.9 for one in options))
        return self._ranked(options)

    def _by_form(self, form: str, tissue: str, score: float) -> list[Option]:
        entries = self._forms.get(form, ())
        near = tissue.casefold()
        fitting = [number for where, number in entries if where and where in near]
        general = [number for where, number in entries if not where]
        return [
            (score - 0.01 * place, number, "usual short form")
            for place, number in enumerate(fitting + general)
        ]

    def _fuzzy(self, normal: str, *, settled: bool) -> list[Option]:
        from rapidfuzz import fuzz, process

        if len(normal) < 5:
            return []
        by_normal = self._named[1]
        near = process.extract(
            normal, by_normal.keys(), scorer=fuzz.token_sort_ratio, limit=8, score_cutoff=60
        )
        wanted = _digits(normal)
        options = []
        for form, ratio, _ in near:
            # Numbers and signs tell types apart (CD4 and CD8, type 1 and 2): they must agree.
            sure = not settled and ratio >= FUZZY_RATIO and _digits(form) == wanted
            score = ratio / 100 * (0.92 if sure else 0.65)
            options += [
                (score * (one[0] + 0.04), one[1], f"looks like {form!r}") for one in by_normal[form]
            ]
        return options

    def _ranked(self, options: list[Option]) -> list[Option]:
        best: dict[int, Option] = {}
        for one in options:
            if one[1] not in best or one[0] > best[one[1]][0]:
                best[one[1]] = one
        # Of equal scores the more general term: "T cell" before "T cell of the appendix".
        return sorted(best.values(), key=lambda one: (-one[0], len(self._up(one[1])), one[1]))


def _digits(text: str) -> tuple[str, ...]:
    return tuple(
        sorted(
            word
            for word in text.split()
            if any(sign.isdigit() for sign in word)
            or word in {"positive", "negative", "alpha", "beta", "gamma", "delta", "b", "t", "nk"}
        )
    )
