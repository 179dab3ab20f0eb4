"""What the shell prints: results to stdout, progress and complaints to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console


def stdout() -> Console:
    """Console for results."""
    from rich.console import Console

    return Console()


def stderr() -> Console:
    """Console for progress and complaints."""
    from rich.console import Console

    return Console(stderr=True)


def complain(message: str) -> None:
    """Print one line of error."""
    typer.secho(f"cellwright: {' '.join(message.split())}", err=True, fg="red")


def print_json(value: Any) -> None:
    """Print a JSON document to stdout, and nothing else."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


@contextmanager
def working(title: str) -> Iterator[Callable[[str, float | None], None]]:
    """Show a progress line on stderr while something runs; yields a progress callback."""
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=24))
    console = stderr()
    hidden = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as progress:
        task = progress.add_task(title, total=None)

        def say(message: str, share: float | None = None) -> None:
            done = None if share is None else 100 * share
            total = None if share is None else 100
            progress.update(task, description=message, completed=done or 0, total=total)

        yield say
