"""The check of finished prose: what a draft says, line by line, against what artifacts say.

A line is read as a row of atoms: numbers, names, genes, citations, artifact ids and words that turn
a statement round. It is backed when its atoms are those of one claim, table row, figure or
reference, or of several in a row; the words between them are free. So a value cannot be changed,
swapped, left out or added, whoever phrased the line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cellwright.agent.claims import NUMBER, UNITS

if TYPE_CHECKING:
    from cellwright.agent.claims import Sentence
    from cellwright.agent.document import Document

Atoms = tuple[str, ...]
_TURNS = """
not no none never neither nor without cannot higher lower up down more fewer less most least
increased decreased increase decrease raised reduced gained lost above below over under beyond
sensitive resistant enriched depleted significant insignificant agree disagree agrees disagrees
rises falls rose fell
"""
TURNS = frozenset(_TURNS.split())
"""Words that turn a statement round."""
LONGEST_NAME = 80
_ID = re.compile(r"\b[a-z]{2}_[0-9a-f]{8,}\b")
_CITES = re.compile(r"\b(?:PMID|doi|et al)\b", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z][\w.+/'-]*[\w+]|[A-Za-z]")
_SIGNED = re.compile(rf"(?:(?<=[\s(])|^)[-+−]?{NUMBER.pattern}|{NUMBER.pattern}")
_STAND_IN = re.compile("\x00(\\d+)\x01")


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A line of a draft that nothing backs, or something that no line says.

    Attributes:
        line: The line, or the claim that is missing.
        kind: ``unbacked`` or ``left out``.
        nearest: The claim that is most like it; empty when none is.
    """

    line: str
    kind: str
    nearest: str = ""


@dataclass
class Checker:
    """What a report may say.

    Attributes:
        said: Every claim, table row, figure line and reference that a line may be.
        required: Those that no draft may leave out.
        names: Names that count as atoms: labels, drugs, groups, files.
        symbols: Gene symbols.
    """

    said: Sequence[str]
    required: Sequence[str]
    names: Iterable[str]
    symbols: frozenset[str]
    _names: re.Pattern[str] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        known = sorted({_plain(one) for one in self.names if _is_name(one)}, key=len, reverse=True)
        if known:
            listed = "|".join(
                re.escape(one) if len(one) > 1 else f"(?-i:{re.escape(one)})" for one in known
            )
            self._names = re.compile(rf"(?<![\w-])(?:{listed})(?![\w-])", re.IGNORECASE)
        read = [(text, self.atoms(text)) for text in self.said]
        self._known = {(_is_row(text), atoms): text for text, atoms in read if set(atoms) - TURNS}
        self._bare = [_plain(text) for text, atoms in read if atoms and not set(atoms) - TURNS]

    def check(self, draft: str) -> list[Problem]:
        """Lines that nothing backs, and claims that no line makes.

        Args:
            draft: Prose, a line or paragraph for one or several claims.
        """
        problems = []
        made: set[Atoms] = set()
        for line in draft.splitlines():
            atoms = self.atoms(self._without_bare(line, made))
            parts = self._parts(atoms, row=_is_row(line))
            if parts is None:
                problems.append(
                    Problem(line=line.strip(), kind="unbacked", nearest=self._nearest(atoms))
                )
            else:
                made.update(parts)
        for one in self.required:
            atoms = self.atoms(one)
            if atoms and atoms not in made:
                problems.append(Problem(line=one, kind="left out"))
        return problems

    def _without_bare(self, line: str, made: set[Atoms]) -> str:
        """A line without the claims that hold no fact: those stand word for word or not at all."""
        plain = _plain(line)
        for text in self._bare:
            if text in plain:
                plain = plain.replace(text, " ")
                made.add(self.atoms(text))
        return plain

    def _parts(self, atoms: Atoms, *, row: bool) -> list[Atoms] | None:
        """The claims of which a line is made up, or the one table row; None when it is neither."""
        ways: list[list[Atoms] | None] = [[]] + [None] * len(atoms)
        sizes = sorted({len(one) for is_row, one in self._known if is_row == row}, reverse=True)
        for end in range(1, len(atoms) + 1):
            for size in sizes:
                before = ways[end - size] if size <= end else None
                piece = atoms[end - size : end]
                if before is not None and (row, piece) in self._known:
                    ways[end] = [*before, piece]
                    break
        return ways[-1]

    def _nearest(self, atoms: Atoms) -> str:
        wanted = set(atoms)
        shared = {text: len(wanted & set(known)) for (_, known), text in self._known.items()}
        best = max(shared, key=lambda text: shared[text], default="")
        return best if best and shared[best] else ""

    def atoms(self, text: str) -> Atoms:
        """The atoms of a text, in order."""
        plain = _plain(text)
        for unit in UNITS:
            plain = plain.replace(unit, "")
        kept: list[str] = []

        def keep(match: re.Match[str]) -> str:
            kept.append(match.group().lower())
            return f" \x00{len(kept) - 1}\x01 "

        plain = _ID.sub(keep, plain)
        if self._names is not None:
            plain = self._names.sub(keep, plain)
        found: list[tuple[int, str]] = [
            (match.start(), kept[int(match.group(1))]) for match in _STAND_IN.finditer(plain)
        ]
        plain = _STAND_IN.sub(lambda match: " " * len(match.group()), plain)
        found += [(match.start(), "cites") for match in _CITES.finditer(plain)]
        for match in _WORD.finditer(plain):
            word = match.group()
            if word in self.symbols and (len(word) > 2 or word.isupper()):
                found.append((match.start(), word))
                plain = plain[: match.start()] + " " * len(word) + plain[match.end() :]
            elif word.lower() in TURNS:
                found.append((match.start(), word.lower()))
        found += [(at.start(), at.group().replace(",", "")) for at in _SIGNED.finditer(plain)]
        return tuple(atom for _, atom in sorted(found))


def check_lines(lines: Sequence[str], checker: Checker) -> list[Problem]:
    """Problems of finished lines; what stands there word for word needs no second reading.

    Args:
        lines: Lines of a draft.
        checker: What it may say.
    """
    said = sorted({_plain(one) for one in checker.said}, key=len, reverse=True)
    left = []
    whole = "\n".join(map(_plain, lines))
    for line in lines:
        rest = _plain(line)
        for one in said:
            if one and one in rest:
                rest = rest.replace(one, " ")
        if re.search(r"\w", rest):
            left.append(line)
    missing = {one for one in checker.required if _plain(one) not in whole}
    return [
        problem
        for problem in checker.check("\n".join(left))
        if problem.kind == "unbacked" or problem.line in missing
    ]


def checker_of(document: Document, symbols: frozenset[str], *, brief: bool = False) -> Checker:
    """The checker of a report.

    Args:
        document: What the artifacts say.
        symbols: Gene symbols.
        brief: No more is required than what a short answer has, and every doubt.
    """
    leading = [text for section in document.sections for text in map(prose, section.leading)]
    claims = [text for section in document.sections for text in map(prose, section.sentences)]
    caveats = [text for section in document.sections for text in map(prose, section.caveats)]
    rows = [
        row_line([cell.text for cell in row])
        for section in document.sections
        for grid in section.grids
        for row in grid.rows
    ]
    figures = [
        f"![{figure.summary}](figures/{section.step.id}_{figure.id}.png)"
        for section in document.sections
        for figure in section.figures
    ]
    references = [f"{one.number}. {one.cite}: {one.text}" for one in document.references]
    names = [
        part
        for section in document.sections
        for sentence in (*section.sentences, *section.caveats)
        for segment in sentence.segments
        if segment.artifact
        for part in (segment.text, *segment.text.split(", "))
    ]
    names += [
        cell.text
        for section in document.sections
        for grid in section.grids
        for row in grid.rows
        for cell in row
    ]
    names += [
        value for column in (document.passport.columns if document.passport else ())
        for value in (column.name, *column.values)
    ]  # fmt: skip
    return Checker(
        said=[*claims, *caveats, *rows, *figures, *references],
        required=[*(leading if brief else claims), *caveats],
        names=names,
        symbols=symbols,
    )


def prose(sentence: Sentence) -> str:
    """A claim as one line."""
    return " ".join(sentence.text.split())


def row_line(cells: Sequence[str]) -> str:
    """A table row as one line."""
    escaped = [one.replace("|", "\\|") for one in cells]
    return f"| {' | '.join(escaped)} |"


def _is_row(line: str) -> bool:
    """The line is a row of a table, which backs no prose."""
    return re.search(r"(?<!\\)\|", line) is not None


def _is_name(text: str) -> bool:
    plain = _plain(text)
    return (
        bool(re.search("[A-Za-z]", plain))
        and len(plain) <= LONGEST_NAME
        and (len(plain) > 1 or plain in "BCDEFGHJKLMNOPQRSTUVWXYZ")
        and plain.lower() not in TURNS
    )


def _plain(text: str) -> str:
    """Text without Markdown's marks."""
    bare = re.sub(r"\\([\\`*_\[\]<>|#])", r"\1", text)
    return " ".join(re.sub(r"[*`|]", " ", bare).split())
