"""Rooms: what one visitor has on this page, kept on disk under a name that only they know.

A room is found by the hash of a random key in the visitor's cookie, so that neither the address
bar nor a listing of the folder leads from one room into another.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, ValidationError

from cellwright.agent.plan import Plan
from cellwright.agent.state import LedgerEntry
from cellwright.errors import InputError
from cellwright.tools.passport import Passport

TurnStatus = Literal[
    "planning", "question", "approval", "running",
    "done", "failed", "refused", "dropped", "broken",
]  # fmt: skip
UNDER_WAY: frozenset[str] = frozenset({"planning", "running"})
WAITS: frozenset[str] = frozenset({"question", "approval"})
RECORD = "talk.json"
MAX_TALKS = 30
"""Data sets that one room holds at a time."""


class Step(BaseModel):
    """A step of a plan, as it goes."""

    id: str
    delivers: str
    status: Literal["waiting", "running", "done", "failed", "refused", "skipped"] = "waiting"
    message: str = ""
    share: float | None = None
    seconds: float = 0.0


class Figure(BaseModel):
    """A figure of a report: its step, what it shows, and its file in the report's folder."""

    step: str
    summary: str
    file: str


class Turn(BaseModel):
    """One request and what became of it."""

    number: int
    request: str
    status: TurnStatus = "planning"
    show_plan: bool = True
    message: str = "waiting"
    reply: str = ""
    plan: Plan | None = None
    steps: list[Step] = Field(default_factory=list)
    error: str = ""
    answer: tuple[str, ...] = ()
    ledger: tuple[LedgerEntry, ...] = ()
    figures: tuple[Figure, ...] = ()

    @property
    def under_way(self) -> bool:
        """Something is being done about it."""
        return self.status in UNDER_WAY

    @property
    def open(self) -> bool:
        """It is under way, or waits for the user."""
        return self.under_way or self.status in WAITS


class Talk(BaseModel):
    """A data set and what was asked about it.

    Attributes:
        id: Name of its folder in the room.
        title: The file's own name, or what it is about where there is no file.
        path: The data file; empty without one.
        size: Bytes of the file.
        thread: The agent's thread.
        status: Whether the file has been opened.
        passport: What the file is, once it is open.
        error: Why it could not be opened.
        turns: What was asked, in order.
        made: When it was begun, in seconds since 1970.
    """

    id: str
    title: str
    path: str = ""
    size: int = 0
    thread: str
    status: Literal["opening", "ready", "broken"] = "opening"
    passport: Passport | None = None
    error: str = ""
    turns: list[Turn] = Field(default_factory=list)
    made: float = Field(default_factory=time.time)

    @property
    def turn(self) -> Turn | None:
        """The last turn."""
        return self.turns[-1] if self.turns else None

    @property
    def busy(self) -> bool:
        """The file is being opened, or a request is open."""
        return self.status == "opening" or (self.turn is not None and self.turn.open)


class Live:
    """A talk in memory: changed under its lock, counted, and written where it must outlive a kill.

    Attributes:
        talk: The record; read it freely, change it within ``changing``.
        version: Grows with every change.
        closed: The talk was removed; nothing more is written.
        worked_on: Held by the worker that does something for the talk.
    """

    def __init__(self, talk: Talk, folder: Path) -> None:
        self.talk, self.folder, self.version = talk, folder, 0
        self.closed = False
        self.worked_on = threading.Lock()
        self._lock = threading.Lock()

    @contextmanager
    def changing(self, *, keep: bool = True) -> Iterator[Talk]:
        """Change the talk; ``keep=False`` for progress, which need not outlive a kill."""
        with self._lock:
            yield self.talk
            self.version += 1
            if keep and not self.closed:
                draft = self.folder / f".{RECORD}.{secrets.token_hex(4)}"
                draft.write_text(self.talk.model_dump_json(), encoding="utf-8")
                draft.replace(self.folder / RECORD)

    def close(self) -> None:
        """Write nothing more, and be gone for the next server."""
        with self._lock:
            self.closed = True
            (self.folder / RECORD).unlink(missing_ok=True)

    def out(self, turn: Turn) -> Path:
        """Folder of a turn's report."""
        return self.folder / f"report-{turn.number}"


class Room:
    """One visitor's talks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.talks: dict[str, Live] = {}
        for record in sorted(folder.glob(f"*/{RECORD}")):
            try:
                talk = Talk.model_validate_json(record.read_text(encoding="utf-8"))
            except (ValidationError, OSError):
                continue  # written by another version of the page; its files stay
            self.talks[talk.id] = Live(talk, record.parent)

    def begin(self, title: str) -> Live:
        """A new talk with a folder of its own.

        Raises:
            InputError: The room is full.
        """
        if len(self.talks) >= MAX_TALKS:
            msg = f"This session holds {MAX_TALKS} data sets; remove one before you add another."
            raise InputError(msg)
        name = secrets.token_hex(8)
        folder = self.folder / name
        folder.mkdir(parents=True)
        talk = Talk(id=name, title=title, thread=f"page-{secrets.token_hex(8)}")
        live = Live(talk, folder)
        self.talks[name] = live
        return live

    def remove(self, live: Live) -> None:
        """Take a talk out of the room; its files go when the work on it has ended."""
        self.talks.pop(live.talk.id, None)
        live.close()


class Rooms:
    """All rooms of a server.

    Args:
        folder: Where they are kept; what earlier servers left there is found again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._rooms = {
            one.name: Room(one)
            for one in folder.iterdir()
            if re.fullmatch(r"[0-9a-f]{64}", one.name)
        }

    def make(self) -> tuple[str, Room]:
        """A new room and its key."""
        key = secrets.token_urlsafe(32)
        name = _name(key)
        self._rooms[name] = Room(self._folder / name)
        return key, self._rooms[name]

    def find(self, key: str) -> Room | None:
        """The room of a key; None for a key that was never given out."""
        return self._rooms.get(_name(key)) if key else None

    def unfinished(self) -> list[Live]:
        """Talks on which a server that was ended had work under way."""
        talks = [live for room in self._rooms.values() for live in room.talks.values()]
        return [
            live
            for live in talks
            if live.talk.status == "opening" or (live.talk.turn and live.talk.turn.under_way)
        ]


def _name(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
