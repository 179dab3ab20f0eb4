"""``cellwright serve``: the local web page."""

import os
import secrets
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from cellwright.cli.console import stdout
from cellwright.errors import CellwrightError, InputError

TOKEN = "CELLWRIGHT_TOKEN"
SHORTEST_TOKEN = 16
KEEP_ALIVE = 75
"""Seconds after which an idle connection is closed: longer than people look at a page before they
click, as a click that meets the closing of its connection is lost."""
EXTRA = "The page needs the extra 'page': pip install 'cellwright[page]'."


def serve(
    data: Annotated[
        list[Path] | None, typer.Argument(help="Files of this machine to offer on the page.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to bind to.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8050,
    max_upload: Annotated[float, typer.Option(min=0.001, help="Largest upload, in GB.")] = 2.0,
    workers: Annotated[
        int, typer.Option(min=1, max=16, help="Requests worked on at a time; each needs 1.5 GB.")
    ] = 1,
    model: Annotated[
        str | None, typer.Option(help="Language model that plans: 'embedded' or 'provider:name'.")
    ] = None,
    *,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
) -> None:
    """Open a local web page: drop a file, ask, watch, read the report, ask on.

    A token in CELLWRIGHT_TOKEN is asked of every visitor; where other machines can reach the page
    and there is none, one is made up and printed.
    """
    from cellwright.settings import Settings

    try:
        import uvicorn

        from cellwright.page.app import PageOptions, make_app
        from cellwright.page.guard import LOOPBACK
    except ModuleNotFoundError as error:
        raise CellwrightError(EXTRA) from error

    for path in data or ():
        if not path.exists():
            msg = f"{path}: no such file."
            raise InputError(msg)
    local = host in LOOPBACK
    token = os.environ.get(TOKEN) or (None if local else secrets.token_urlsafe(24))
    if token is not None and len(token) < SHORTEST_TOKEN:
        msg = f"{TOKEN} has {len(token)} characters; {SHORTEST_TOKEN} or more are needed."
        raise InputError(msg)
    settings = Settings() if model is None else Settings().model_copy(update={"model": model})
    listening = _listen(host, port)
    options = PageOptions(
        host=host,
        port=listening.getsockname()[1],
        token=token,
        max_upload=int(max_upload * 1e9),
        data=tuple(path.resolve() for path in data or ()),
        workers=workers,
    )
    config = uvicorn.Config(
        make_app(settings, options),
        log_level="warning",
        lifespan="off",
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=2,
    )
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{options.port}/" + (f"?token={token}" if token else "")
    stdout().print(f"Cellwright is at {address}", soft_wrap=True, highlight=False)
    stdout().print("Ctrl+C ends it; what is under way goes on at the next start.")
    if browser and local and sys.stdout.isatty():
        import webbrowser

        webbrowser.open(address)
    uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    """A socket on which the page is to be found.

    Raises:
        InputError: The address is taken, or not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        msg = f"Cannot listen on {host}:{port} ({error.strerror}). Give another --port or --host."
        raise InputError(msg) from error
