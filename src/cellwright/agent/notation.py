"""Requests with the plans they want, in one line each: what planners learn from and are tested on.

    kind language persona data :: words {plan} words {plan}

Words before a brace are one deliverable, the brace holds the plan that fits it: ``a | b`` are plans
that fit alike, ``;`` joins calls, ``name?=value`` may be left out (``?=any``: have any value),
``earlier >> now`` is a follow-up. ``refuse`` and ``unclear`` stand for a refusal and a question,
whatever their reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from cellwright.agent.grammar import VERBS

KINDS = ("single", "compound", "ambiguous", "unanswerable", "follow-up")
NO_DATA = "none"
ANY = "any"
_LINE = re.compile(r"([\w-]+) (\w+) ([\w-]+) (\S+) :: (.+)")
_ARGUMENT = re.compile(r"(\w+\??)=(.*?)(?= \w+\??=|$)")


@dataclass(frozen=True, kw_only=True)
class WantedCall:
    """A tool call that fits.

    Attributes:
        tool: The tool.
        args: Arguments that must be there.
        optional: Arguments that may be there, with this value; ``any`` stands for every value.
    """

    tool: str
    args: Mapping[str, str]
    optional: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A plan that fits a part of a request: calls, a refusal or a question."""

    calls: tuple[WantedCall, ...] = ()
    refused: bool = False
    unclear: bool = False


@dataclass(frozen=True, kw_only=True)
class Part:
    """One deliverable of a request.

    Attributes:
        words: The words that ask for it.
        start: Where in the request they start.
        fits: Plans that fit alike.
    """

    words: str
    start: int
    fits: tuple[Wanted, ...]


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request with what it wants.

    Attributes:
        text: As the user writes it.
        earlier: The request before it in the conversation; empty for a first one.
        parts: What it asks for.
        tail: Where words behind the last part start, which ask nothing; the text's end without any.
        kind: One of ``KINDS``.
        language: ``english``, ``korean`` or ``chinese``.
        persona: Who writes; ``-`` where nobody in particular.
        data: Name of the file it is about; ``none`` without data.
    """

    text: str
    earlier: str
    parts: tuple[Part, ...]
    tail: int
    kind: str
    language: str
    persona: str
    data: str

    @property
    def groups(self) -> tuple[str, ...]:
        """The rows of the results that it counts for."""
        persona = ["persona"] if self.persona != "-" else []
        return ("all", self.kind, self.language, *persona)


def read_requests(text: str) -> tuple[Request, ...]:
    """Read lines of requests; blank ones and those that start with ``#`` say nothing.

    Raises:
        ValueError: A line is no request.
    """
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return tuple(_request(line) for line in lines)


def _request(line: str) -> Request:
    head = _LINE.fullmatch(line)
    if head is None:
        msg = f"not a request: {line}"
        raise ValueError(msg)
    kind, language, persona, data, body = head.groups()
    earlier, _, body = body.rpartition(" >> ")
    body = body.replace("\\n", "\n").strip()
    text = ""
    parts: list[Part] = []
    start = end = 0
    for brace in re.finditer(r"\s*\{(.*?)\}", body, re.DOTALL):
        text += body[end : brace.start()]
        end = brace.end()
        lead = re.match(r"\W*", text[start:]) if parts else None
        start += lead.end() if lead else 0
        fits = tuple(read_wanted(one) for one in brace.group(1).split(" | "))
        parts.append(Part(words=text[start:].strip(" \n,;:.-+>"), start=start, fits=fits))
        start = len(text)
    if not parts:
        msg = f"no plan in braces: {line}"
        raise ValueError(msg)
    tail = re.search(r"\w", body[end:]) if re.search(r"\w\w", body[end:]) else None
    return Request(
        text=text + body[end:],
        earlier=earlier,
        parts=tuple(parts),
        tail=len(text) + (tail.start() if tail else len(body) - end),
        kind=kind,
        language=language,
        persona=persona,
        data=data,
    )


def read_wanted(plan: str) -> Wanted:
    """Read a plan: calls joined by ``;``, ``refuse`` or ``unclear``.

    Raises:
        ValueError: A verb is no tool's.
    """
    if plan.strip() in {"refuse", "unclear"}:
        return Wanted(refused=plan.strip() == "refuse", unclear=plan.strip() == "unclear")
    calls = []
    for action in plan.split(";"):
        verb, _, rest = action.strip().partition(" ")
        if verb not in VERBS:
            msg = f"no tool is called by '{verb}'; there are {', '.join(VERBS)}"
            raise ValueError(msg)
        said = _ARGUMENT.findall(rest)
        calls.append(
            WantedCall(
                tool=VERBS[verb],
                args={name: value for name, value in said if not name.endswith("?")},
                optional={name[:-1]: value for name, value in said if name.endswith("?")},
            )
        )
    return Wanted(calls=tuple(calls))
