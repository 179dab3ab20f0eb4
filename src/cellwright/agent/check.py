"""The check of finished prose: what a draft says, line by line, against what artifacts say.

A line is read as a row of atoms: numbers, names, genes, citations, artifact ids and words that turn
a statement round. It is backed when its atoms are those of one claim, table row, figure or
reference, or of several in a row; the words between them are free. So a value cannot be changed,
swapped, left out or added, whoever phrased the line. A line that a language model has worded may
moreover use no words but those of the claims and a few that join them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
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
rises falls rose fell half twice double all every both two three four five six seven eight nine ten
"""
_TURNS_HANGUL = """
않 없 못 아니 아닌 아닙 아님 높 낮 많 적은 적음 적어 적게 적습 늘었 늘어 줄었 줄어 증가 감소
상승 하락 초과 미만 이상 이하 넘 위입 아래 민감 내성 저항 유의 불일치 일치 다르 다른 다릅
가장 최대 최소 최고 최저 덜 더
"""
_TURNS_HAN = """
不 没 无 未 非 勿 高 低 多 少 升 降 增 减 大于 小于 超 不足 以上 以下 及以上 敏感 耐药 抗 显著
一致 最 更 较
"""
_WORDS_HAN = (_TURNS_HANGUL + _TURNS_HAN).split()
TURNS = frozenset([*_TURNS.split(), *_WORDS_HAN])
"""Words that turn a statement round, and quantities in words."""
LONGEST_NAME = 80
_HAN = "㐀-鿿가-힣"
_LETTER = rf"[^\W{_HAN}]"
"""A letter or digit of a word that spaces part from others: Korean and Chinese write on without."""
_ID = re.compile(rf"(?<!{_LETTER})[a-z]{{2}}_[0-9a-f]{{8,}}(?!{_LETTER})")
_CITES = re.compile(rf"(?<!{_LETTER})(?:PMID|doi|et al)(?!{_LETTER})", re.IGNORECASE)
_WORD = re.compile(rf"[A-Za-z](?:{_LETTER}|[.+/'-])*(?:{_LETTER}|\+)|[A-Za-z]")
_TURN_HAN = re.compile("|".join(sorted(_WORDS_HAN, key=len, reverse=True)))
_SIGNED = re.compile(rf"(?:(?<=[\s(（：，])|^)[-+−]?{NUMBER.pattern}%?|{NUMBER.pattern}%?")
_ENDING = re.compile(r"(?<=\w{3})(?:ing|ed|es|s|ly)$")
_PARTICLE = re.compile(
    r"(?<=[a-z0-9%)\]])[은는이가을를의에와과도로으까부입인였개명종배][가-힣]{0,4}"
)
"""What Korean puts right behind a name or a number."""
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
            self._names = re.compile(
                rf"(?<!{_LETTER})(?<!-)(?:{listed})(?!{_LETTER}|-)", re.IGNORECASE
            )
        self._atoms_of = {text: self.atoms(text) for text in self.said if re.search(r"\w", text)}
        self._known: dict[tuple[bool, Atoms], list[str]] = {}
        self._bare: list[str] = []
        for text, atoms in self._atoms_of.items():
            if set(atoms) - TURNS:
                self._known.setdefault((_is_row(text), atoms), []).append(text)
            else:
                self._bare.append(text)

    def check(self, draft: str) -> list[Problem]:
        """Lines that nothing backs, and claims that no line makes.

        Args:
            draft: Prose, a line or paragraph for one or several claims.
        """
        problems = []
        made: set[Atoms] = set()
        for line in draft.splitlines():
            claims = self.claims_of(line)
            made.update(self._atoms_of[one] for one in claims)
            if not claims and re.search(r"\w", line):
                nearest = self._nearest(self.atoms(line))
                problems.append(Problem(line=line.strip(), kind="unbacked", nearest=nearest))
        for one in self.required:
            atoms = self.atoms(one)
            if atoms and atoms not in made:
                problems.append(Problem(line=one, kind="left out"))
        return problems

    def claims_of(self, line: str) -> list[str]:
        """The claims that a line is made up of; none when anything in it is not backed.

        Claims that hold no fact stand in it word for word or not at all.

        Args:
            line: Prose for one or several claims, or a table row.
        """
        plain, bare, row = _plain(line), [], _is_row(line)
        for text in self._bare:
            if _is_row(text) == row and _plain(text) in plain:
                plain = plain.replace(_plain(text), " ")
                bare.append(text)
        parts = self._parts(self.atoms(plain), row=row)
        if parts is None:
            return []
        said: list[str] = []
        words = _stems(line)
        for one in parts:  # of claims with the same facts, the one that is most like the line
            same = self._known[row, one]
            left = [text for text in same if text not in said] or same
            said.append(max(left, key=lambda text: len(_stems(text) & words)))
        return said + bare

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
        shared = {one[0]: len(wanted & set(known)) for (_, known), one in self._known.items()}
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
        found += [(match.start(), match.group()) for match in _TURN_HAN.finditer(plain)]
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


def checker_of(
    document: Document, symbols: frozenset[str], *, brief: bool = False, loose: bool = False
) -> Checker:
    """The checker of a report.

    Args:
        document: What the artifacts say.
        symbols: Gene symbols.
        brief: No more is required than what a short answer has, and every doubt.
        loose: For lines that a language model has worded, as ``names_of`` has it.
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
    return Checker(
        said=[*claims, *caveats, *rows, *figures, *references],
        required=[*(leading if brief else claims), *caveats],
        names=names_of(document, loose=loose),
        symbols=symbols,
    )


def names_of(document: Document, *, loose: bool = False) -> list[str]:
    """Everything that a report calls by a name: facts, and the data's own columns and values.

    Args:
        document: What the artifacts say.
        loose: Leave out words of the tools that were put into Korean or Chinese, which a line may
            also use by the way.
    """
    own = {
        value
        for column in (document.passport.columns if document.passport else ())
        for value in (column.name, *column.values)
    }
    facts = [
        part
        for section in document.sections
        for sentence in (*section.sentences, *section.caveats)
        for segment in sentence.segments
        if segment.artifact
        for part in (segment.text, *segment.text.split(", "))
    ]
    cells = [
        cell.text
        for section in document.sections
        for grid in section.grids
        for row in grid.rows
        for cell in row
    ]
    captions = [figure.summary for section in document.sections for figure in section.figures]
    names = [*facts, *cells, *captions]
    return [*own, *(one for one in names if not loose or re.search("[A-Za-z]", one))]


def own_words(line: str, said: Iterable[str]) -> list[str]:
    """Words of a line that neither its claims nor joining words have.

    English words are compared without endings, Korean ones by their first two syllables, so that
    particles do not count, and Chinese ones character by character.

    Args:
        line: A line that a language model has worded.
        said: The claims that it makes, in its language.
    """
    known = _joining().union(*map(_stems, said))
    strange = _stems(line) - known - TURNS
    return sorted(one for one in strange if not _TURN_HAN.search(one))  # turns are atoms


@lru_cache(maxsize=1)
def _joining() -> frozenset[str]:
    text = (resources.files("cellwright.agent") / "wordings" / "joining.txt").read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.startswith(("#", "["))]
    return frozenset(_stems(" ".join(lines)))


def _stems(text: str) -> set[str]:
    """The words of a text, without what grammar puts on them."""
    plain = _PARTICLE.sub(" ", _plain(text).lower())
    latin = (_ENDING.sub("", one) for one in re.findall(rf"(?:(?!\d){_LETTER})+", plain))
    hangul = (one[:2] for one in re.findall("[가-힣]+", plain))
    return {*latin, *hangul, *re.findall("[㐀-鿿]", plain)}


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
        bool(re.search(rf"[A-Za-z]|[{_HAN}]{{2}}", plain))
        and len(plain) <= LONGEST_NAME
        and (len(plain) > 1 or plain in "BCDEFGHJKLMNOPQRSTUVWXYZ")
        and plain.lower() not in TURNS
    )


def _plain(text: str) -> str:
    """Text without Markdown's marks."""
    bare = re.sub(r"\\([\\`*_\[\]<>|#])", r"\1", text)
    return " ".join(re.sub(r"[*`|]", " ", bare).split())
