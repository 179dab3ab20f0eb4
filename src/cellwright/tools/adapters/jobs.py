"""Calls that outlive the request that started them: start, wait a while, ask again later."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from cellwright.errors import ToolError
from cellwright.tools.workbench import Progress

T = TypeVar("T")
MOST = 256
"""Finished calls whose answers are kept."""

QUICK = 4
"""Threads for calls that need no model."""


@dataclass
class Job(Generic[T]):
    """A call.

    Attributes:
        id: What to ask for it by.
        tool: Name of the tool.
        future: Its end.
        message: What it does now.
        share: How far it is, between 0 and 1; never goes back.
        cancelled: Set to make it stop at its next block.
    """

    id: str
    tool: str
    future: Future[T] = field(default_factory=Future)
    message: str = "waiting for its turn"
    share: float = 0.0
    cancelled: threading.Event = field(default_factory=threading.Event)

    def say(self, message: str, share: float | None = None) -> None:
        """A progress callback for workbenches; it ends a call that was cancelled.

        Raises:
            ToolError: It was cancelled.
        """
        if self.cancelled.is_set():
            msg = f"{self.tool} was cancelled."
            raise ToolError(msg)
        self.message = message
        if share is not None:
            self.share = max(self.share, min(share, 0.99))


class Jobs(Generic[T]):
    """Runs calls in threads: heavy ones a few at a time, quick ones beside them."""

    def __init__(self, workers: int) -> None:
        self._heavy = ThreadPoolExecutor(workers, thread_name_prefix="cellwright-heavy")
        self._quick = ThreadPoolExecutor(QUICK, thread_name_prefix="cellwright-quick")
        self._jobs: dict[str, Job[T]] = {}
        self._lock = threading.Lock()

    def start(self, tool: str, work: Callable[[Progress], T], *, quick: bool) -> Job[T]:
        """Queue a call.

        Args:
            tool: Name of the tool, for messages.
            work: Does it, given a progress callback.
            quick: It needs no model and does not wait behind those that do.
        """
        job: Job[T] = Job(secrets.token_hex(16), tool)
        with self._lock:
            self._jobs[job.id] = job
            done = [one for one in self._jobs.values() if one.future.done()]
            for old in done[: max(len(self._jobs) - MOST, 0)]:
                del self._jobs[old.id]

        def run() -> T:
            job.say("working")
            return work(job.say)

        job.future = (self._quick if quick else self._heavy).submit(run)
        return job

    def get(self, job_id: str) -> Job[T]:
        """The call with this id.

        Raises:
            ToolError: There is none; the message says what to do.
        """
        job = self._jobs.get(job_id)
        if job is None:
            msg = (
                f"No call {job_id[:40]!r} is known; answers are kept for the last {MOST} calls "
                "and not across a restart. Call the tool again."
            )
            raise ToolError(msg)
        return job

    def close(self) -> None:
        """Start nothing more, and do not wait for what runs."""
        for job in self._jobs.values():
            job.cancelled.set()
        for pool in (self._heavy, self._quick):
            pool.shutdown(wait=False, cancel_futures=True)
