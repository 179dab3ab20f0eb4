"""Data by handle: each opened data set is a workbench of its own, reached by an id only."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from cellwright.artifacts import ArtifactRef, DirectoryStore
from cellwright.errors import ToolError
from cellwright.settings import Settings
from cellwright.tools.adapters.roots import Roots
from cellwright.tools.intake import intake
from cellwright.tools.workbench import Workbench

MOST = 32
"""Data sets that are kept open at once."""

IN_MEMORY = 4
"""Of those, how many that are not at work keep their cells in memory."""


@dataclass
class Desk:
    """A workbench behind a handle.

    Attributes:
        id: The handle; it cannot be guessed, and whoever has it may use it.
        bench: Its workbench; without data for tools that need none.
        used: When it was last used, in monotonic seconds.
        busy: Calls that run on it.
    """

    id: str
    bench: Workbench
    used: float = field(default_factory=time.monotonic)
    busy: int = 0


class Desks:
    """The data sets that clients have opened.

    They share knowledge and models. The one used longest ago gives way when there are too many;
    one that is at work never does.

    Attributes:
        roots: What may be opened.
    """

    def __init__(self, settings: Settings, roots: Roots, *, most: int = MOST) -> None:
        self.roots = roots
        self._most = most
        self._folder = Path(tempfile.mkdtemp(prefix="cellwright-served-"))
        self._models = Workbench(DirectoryStore(self._folder / "models"), settings)
        self._desks: dict[str, Desk] = {}
        self._lock = threading.Lock()

    def common(self) -> Desk:
        """A desk for a call that needs no data and leaves nothing behind; it has no handle."""
        return Desk("", self._bench("models"))

    def blank(self) -> Desk:
        """A desk of its own, still without data."""
        handle = secrets.token_hex(16)
        desk = Desk(handle, self._bench(handle))
        with self._lock:
            self._desks[handle] = desk
            self._make_room(desk)
        return desk

    def open(self, name: str, desk: Desk) -> None:
        """Put a data file on a blank desk.

        Raises:
            InputError: It may not be read, or cannot be read as cells by genes.
        """
        path = self.roots.file(name)
        desk.bench.passport, desk.bench.data = intake(path, desk.bench)

    def get(self, handle: str) -> Desk:
        """The desk behind a handle.

        Raises:
            ToolError: No data set is open under it.
        """
        desk = self._desks.get(handle)
        if desk is None:
            msg = (
                f"No data set {handle[:40]!r} is open. Open the file with open_dataset, which "
                f"gives its dataset_id; at most {self._most} are kept, and none across a restart."
            )
            raise ToolError(msg)
        desk.used = time.monotonic()
        return desk

    def artifact(self, handle: str, artifact_id: str) -> tuple[ArtifactRef, Path]:
        """Something that was made on a desk, and its file.

        Raises:
            ToolError: There is no such desk or artifact.
        """
        store = self.get(handle).bench.store
        return store.describe(artifact_id), store.path(artifact_id)

    def drop(self, desk: Desk) -> None:
        """Forget a desk and delete what was made on it."""
        with self._lock:
            self._desks.pop(desk.id, None)
        shutil.rmtree(self._folder / desk.id, ignore_errors=True)

    def shed(self) -> None:
        """Let go of cells in memory that were not used lately; they are read again when needed."""
        with self._lock:
            idle = [one for one in self._desks.values() if not one.busy]
        for desk in sorted(idle, key=lambda one: -one.used)[IN_MEMORY:]:
            desk.bench.forget()

    def close(self) -> None:
        """Delete everything that was made."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _bench(self, folder: str) -> Workbench:
        store = DirectoryStore(self._folder / folder)
        return Workbench(store, self._models.settings, models=self._models)

    def _make_room(self, keep: Desk) -> None:
        idle = sorted(
            (one for one in self._desks.values() if not one.busy and one is not keep),
            key=lambda one: one.used,
        )
        for desk in idle[: max(len(self._desks) - self._most, 0)]:
            del self._desks[desk.id]
            shutil.rmtree(self._folder / desk.id, ignore_errors=True)
