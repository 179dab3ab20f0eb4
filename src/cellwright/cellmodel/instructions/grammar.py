"""An offline grammar that writes instruction templates in many voices and three languages."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import NamedTuple, TypeVar

import numpy as np

from cellwright.cellmodel.data.splits import Part
from cellwright.cellmodel.instructions.templates import (
    METADATA,
    TRAITS,
    Language,
    Mode,
    Task,
    Template,
    Trait,
    check_template,
)

T = TypeVar("T")
LEVELS = ("novice", "expert")
TRAIT_SHARES = (0.25, 0.3, 0.3, 0.15)
"""Share of templates with no, one, two and three traits."""
INLINE_OPTIONS = 0.35
"""Share of templates with options that weave them into the question."""
MOST_CHARACTERS: Mapping[Language, int] = {"english": 420, "korean": 110, "chinese": 110}
"""Longest instruction: the base model needs some two tokens for a Korean letter."""
_OWN_WORDING = 0.75
"""How often a trait's own wording is taken where the rule has a general one too."""


_REFERENCE = re.compile(r"<(\w+)(?:\.(\w+))?(\*?)>")


class _Reference(NamedTuple):
    name: str
    suffix: str
    keyed: bool


@dataclass(frozen=True)
class _Choice:
    options: tuple["_Sequence", ...]


_Sequence = tuple[str | _Reference | _Choice, ...]


@dataclass(frozen=True)
class _Voice:
    """What a template is written under.

    Attributes:
        task: What is asked.
        key: Letters of the metadata in use, such as ``st``; ``none`` for no metadata.
        suffixes: Personality, proficiency and place of the cell.
    """

    task: Task
    key: str
    suffixes: tuple[str, ...]


class Wordings:
    """The rules of one language.

    Args:
        text: Rules as ``wordings/english.txt`` explains them.
    """

    def __init__(self, text: str) -> None:
        rules: dict[str, list[_Sequence]] = {}
        name = ""
        for line in text.splitlines():
            if line.startswith("  "):
                rules[name].append(_parse(line.strip()))
            elif line.strip() and not line.startswith("#"):
                name = line.strip().removesuffix(":")
                rules[name] = []
        self.rules: Mapping[str, Sequence[_Sequence]] = rules
        self.personalities = tuple(
            sorted(name.removeprefix("open.") for name in rules if name.startswith("open."))
        )

    def expand(self, name: str, voice: _Voice, rng: np.random.Generator) -> str:
        """A random text of a rule.

        Raises:
            KeyError: No rule serves the name under this voice.
        """
        return self._write(_pick(self._rule(name, voice, rng), rng), voice, rng)

    def _rule(self, name: str, voice: _Voice, rng: np.random.Generator) -> Sequence[_Sequence]:
        for base in (f"{name}_{voice.task}", name):
            own = [f"{base}.{one}" for one in voice.suffixes if f"{base}.{one}" in self.rules]
            if own and (base not in self.rules or rng.random() < _OWN_WORDING):
                return self.rules[own[int(rng.integers(len(own)))]]
            if base in self.rules:
                return self.rules[base]
        msg = f"No rule {name!r} for {voice}."
        raise KeyError(msg)

    def _write(self, sequence: _Sequence, voice: _Voice, rng: np.random.Generator) -> str:
        out = []
        for part in sequence:
            if isinstance(part, str):
                out.append(part)
            elif isinstance(part, _Choice):
                out.append(self._write(_pick(part.options, rng), voice, rng))
            else:
                inner = voice
                if part.suffix:
                    inner = _Voice(voice.task, voice.key, (*voice.suffixes, part.suffix))
                name = f"{part.name}_{voice.key}" if part.keyed else part.name
                out.append(self.expand(name, inner, rng))
        return "".join(out)


@cache
def wordings(language: Language) -> Wordings:
    """The rules of a language, read once."""
    file = resources.files(__package__).joinpath("wordings", f"{language}.txt")
    return Wordings(file.read_text(encoding="utf-8"))


def write_template(
    task: Task,
    rng: np.random.Generator,
    *,
    mode: Mode = "chat",
    metadata: Sequence[str] = METADATA,
    options: bool = False,
    part: Part | None = None,
    language: Language = "english",
    traits: Sequence[Trait] | None = None,
) -> Template:
    """Write a template.

    Args:
        task: What is asked.
        rng: Source of the draws.
        mode: ``instruct`` answers with the bare label, ``chat`` in a sentence.
        metadata: Metadata that the instruction may name; those that the drawn wording has no room
            for are left out.
        options: Whether to list the answers.
        part: Only wordings of this split; None for any.
        language: Language of instruction and answer.
        traits: Traits to write with; None draws none to three.

    Raises:
        RuntimeError: Two hundred draws gave none that serves.
    """
    wanted = tuple(name for name in METADATA if name in metadata)
    for _ in range(200):
        chosen = draw_traits(rng) if traits is None else tuple(traits)
        template = _draw(task, rng, language, wanted, options=options, traits=chosen)
        if template is not None and (part is None or template.part == part):
            return template.in_mode(mode)
    msg = f"No {task} wording of part {part!r} in {language} in 200 draws."
    raise RuntimeError(msg)


def draw_traits(rng: np.random.Generator) -> tuple[Trait, ...]:
    """None to three traits, in their usual order."""
    n = int(np.searchsorted(np.cumsum(TRAIT_SHARES), rng.random(), side="right"))
    kept = set(rng.permutation(len(TRAITS))[:n].tolist())
    return tuple(trait for at, trait in enumerate(TRAITS) if at in kept)


def draw_metadata(rng: np.random.Generator) -> tuple[str, ...]:
    """All metadata (two in five), part of them (two in five) or none."""
    at = rng.random()
    if at < 0.4:
        return METADATA
    if at < 0.8:
        kept = rng.permutation(3)[: int(rng.integers(1, 3))]
        return tuple(name for place, name in enumerate(METADATA) if place in kept)
    return ()


def _draw(
    task: Task,
    rng: np.random.Generator,
    language: Language,
    metadata: tuple[str, ...],
    *,
    options: bool,
    traits: tuple[Trait, ...],
) -> Template | None:
    """One draw; None where it does not pass the checks."""
    words = wordings(language)
    personality = _pick(words.personalities, rng) if "personality" in traits else ""
    level = _pick(LEVELS, rng) if "proficiency" in traits else ""
    voice = _Voice(
        task,
        "".join(name[:1] if name != "sequencing_method" else "m" for name in metadata) or "none",
        tuple(one for one in (personality, level) if one),
    )
    inline = options and bool(rng.random() < INLINE_OPTIONS)
    core = words.expand(f"{task}_options" if inline else task, voice, rng)
    if options and not inline:
        core += " " + words.expand("options", voice, rng)
    motive = words.expand("motive", voice, rng) if "motivation" in traits else ""
    parts = [motive, core] if rng.random() < 0.7 else [core, motive]
    if level:
        parts.insert(0, words.expand(f"level.{level}", voice, rng))
    if personality:
        opening = words.expand(f"open.{personality}", voice, rng)
        parts = [opening, *parts, words.expand(f"close.{personality}", voice, rng)]
    template = Template(
        task=task,
        instruction=_tidy(" ".join(parts), language, casual=personality == "casual"),
        response=_tidy(words.expand("say", voice, rng), language),
        language=language,
        traits=traits,
    )
    # The answer repeats only what the question gave.
    if set(METADATA) & _slots(template.response) - template.slots:
        return None
    if len(template.instruction) > MOST_CHARACTERS[language]:
        return None
    try:
        check_template(template)
    except ValueError:
        return None
    return template


def _slots(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


def _tidy(text: str, language: Language, *, casual: bool = False) -> str:
    """Spaces and capitals as print has them."""
    if language == "chinese":
        return re.sub(r"\s+", "", text)
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r"\s+([.,;?!])", r"\1", text)
    if language == "korean":
        return text
    text = re.sub(r"~\s*(\w)(\w*)", _lower_first, text).replace("~", "")
    if casual:
        return text.lower()
    return re.sub(r"(^|[.!?] )([a-z])", lambda m: m.group(1) + m.group(2).upper(), text)


def _lower_first(match: re.Match[str]) -> str:
    first, rest = match.groups()
    return f" {first if first == 'I' and not rest else first.lower()}{rest}"


def _pick(options: Sequence[T], rng: np.random.Generator) -> T:
    return options[int(rng.integers(len(options)))]


def _parse(text: str) -> _Sequence:
    if text.count("[") != text.count("]"):
        msg = f"A bracket without its other half in {text!r}."
        raise ValueError(msg)
    return _parse_until(text, 0, "")[0]


def _parse_until(text: str, at: int, stops: str) -> tuple[_Sequence, int]:
    parts: list[str | _Reference | _Choice] = []
    while at < len(text) and text[at] not in stops:
        reference = _REFERENCE.match(text, at)
        if text[at] == "[":
            options = []
            while text[at] != "]":
                option, at = _parse_until(text, at + 1, "|]")
                options.append(option)
            parts.append(_Choice(tuple(options)))
            at += 1
        elif reference:
            name, suffix, star = reference.groups()
            parts.append(_Reference(name, suffix or "", bool(star)))
            at = reference.end()
        else:
            end = at + 1
            while end < len(text) and text[end] not in "[]|<":
                end += 1
            parts.append(text[at:end])
            at = end
    return tuple(parts), at
