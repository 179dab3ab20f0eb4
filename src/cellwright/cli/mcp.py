"""``cellwright mcp``: the tools for agents that speak the Model Context Protocol."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cellwright.errors import InputError

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from cellwright.tools.adapters.mcp import ToolServer

LOOPBACK = ("127.0.0.1", "::1", "localhost")
TOKEN = "CELLWRIGHT_TOKEN"
SHORTEST_TOKEN = 16


def mcp(
    transport: Annotated[
        Literal["stdio", "http"],
        typer.Option(help="stdio, for a client that starts this command; http to listen."),
    ] = "stdio",
    root: Annotated[
        list[Path] | None,
        typer.Option("--root", help="A folder that clients may read; the current one by default."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8765,
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="Tools with models that run at once.")
    ] = 1,
    max_gb: Annotated[float, typer.Option(min=0, help="Largest file that is opened.")] = 4.0,
    patience: Annotated[
        float, typer.Option(min=0, max=600, help="Seconds until a call is handed to poll_call.")
    ] = 50.0,
) -> None:
    """Offer the tools to agents over MCP: stdio, or HTTP at /mcp.

    A token in CELLWRIGHT_TOKEN is asked for as 'Authorization: Bearer TOKEN'; to listen on
    anything but this machine there must be one.
    """
    from cellwright.settings import Settings
    from cellwright.tools.adapters.roots import GIGABYTE, Roots

    token = os.environ.get(TOKEN, "")
    if transport == "http":
        _check_token(host, token)
    try:
        from cellwright.tools.adapters.mcp import ToolServer
    except ModuleNotFoundError as error:
        msg = f"{error.name} is missing: pip install 'cellwright[mcp]'."
        raise InputError(msg) from error
    roots = Roots.of(root or [], int(max_gb * GIGABYTE))
    server = ToolServer(Settings(), roots, workers=workers, patience=patience)
    # A client that is done ends us with SIGTERM; what was made for it is then removed all the same.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        if transport == "stdio":
            _serve_stdio(server)
        else:
            _serve_http(server, host, port, token)
    finally:
        server.close()


def _check_token(host: str, token: str) -> None:
    if host not in LOOPBACK and not token:
        msg = (
            f"--host {host} lets other machines in, so a token is needed: set {TOKEN} to a secret "
            f"of {SHORTEST_TOKEN} characters or more, or listen on 127.0.0.1."
        )
        raise InputError(msg)
    if token and len(token) < SHORTEST_TOKEN:
        msg = f"{TOKEN} has {len(token)} characters; {SHORTEST_TOKEN} or more are needed."
        raise InputError(msg)


def _serve_stdio(server: ToolServer) -> None:
    import anyio
    from mcp.server.stdio import stdio_server

    async def serve() -> None:
        async with stdio_server() as (reading, writing):
            options = server.server.create_initialization_options()
            await server.server.run(reading, writing, options)

    anyio.run(serve)


def _serve_http(server: ToolServer, host: str, port: int, token: str) -> None:
    import uvicorn

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family)
    except OSError as error:
        msg = f"{host}:{port} cannot be listened on ({error.strerror}). Try --port 0, a free one."
        raise InputError(msg) from error
    # What uvicorn says goes to stderr; its access log would show what people ask for.
    config = uvicorn.Config(http_app(server, host, token), log_level="warning", access_log=False)
    where = listening.getsockname()[1]
    typer.echo(f"cellwright: listening on http://{host}:{where}/mcp", err=True)
    uvicorn.Server(config).run(sockets=[listening])


def http_app(server: ToolServer, host: str, token: str) -> Starlette:
    """The ASGI application of the HTTP transport; with a token, nothing is answered without."""
    from cellwright.tools.adapters.http_edge import TokenGuard, WholeAnswers

    app = server.server.streamable_http_app(host=host)
    app.add_middleware(WholeAnswers)
    if token:
        app.add_middleware(TokenGuard, token=token)
    return app
