"""What a run of suites leaves behind: rows, and where they come from."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from cellwright.evals.task import EvalRow

PACKAGES = ("cellwright", "torch", "transformers", "scikit-learn", "scanpy", "anndata", "numpy")


class EvalLog(BaseModel):
    """One run of suites.

    Attributes:
        suites: Suites that ran.
        failed: Suites that stopped with an error, and the error.
        rows: What they measured.
        started: When, UTC.
        seconds: How long each suite took.
        commit: Commit of the code; with ``+`` when files had changed.
        machine: Where it ran.
        versions: Packages that matter.
        seeds: Number of seeds.
        argv: Arguments of the command.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    suites: tuple[str, ...]
    failed: dict[str, str] = Field(default_factory=dict)
    rows: tuple[EvalRow, ...] = ()
    started: str
    seconds: dict[str, float] = Field(default_factory=dict)
    commit: str
    machine: str
    versions: dict[str, str]
    seeds: int
    argv: tuple[str, ...] = Field(default_factory=lambda: tuple(sys.argv[1:]))


def now() -> str:
    """Time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def git_commit(folder: Path | None = None) -> str:
    """Short commit of a checkout, ``+`` when its code has changed since; empty outside one."""
    folder = folder or Path(__file__).parent

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", *words],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        commit = git("rev-parse", "--short", "HEAD")
        changed = bool(commit) and bool(git("status", "--porcelain", "--", "."))
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return f"{commit}+" if changed else commit


def machine() -> str:
    """Processor, number of cores that may be used, operating system and Python."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    python = platform.python_version()
    return f"{platform.machine()}, {cores} cores, {platform.system()}, Python {python}"


def versions() -> dict[str, str]:
    """Versions of the packages that matter, where they are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
