"""``cellwright mcp`` as clients meet it: a process of its own, stdio and HTTP, several at once."""

import asyncio
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from tests.unit.tools.factory import make_adata, write

TOKEN = "a-token-of-thirty-two-characters"
COMMAND = [sys.executable, "-m", "cellwright", "mcp"]
HELLO = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    write(make_adata(), folder)
    return folder


@contextmanager
def listening(folder: Path, token: str = "") -> Iterator[str]:
    """A server on a free port of the loopback; yields its address."""
    made = folder / "made"
    made.mkdir(exist_ok=True)
    env = {**os.environ, "CELLWRIGHT_TOKEN": token, "TMPDIR": str(made)}
    command = [*COMMAND, "--transport", "http", "--port", "0", "--root", str(folder)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            found = re.search(r"http://127\.0\.0\.1:\d+/mcp", line)
            assert found, line + process.stderr.read()
            yield found.group()
        finally:
            process.terminate()
            assert process.wait(30) == 0
            assert not list(made.iterdir()), "what was made for clients is left behind"


def status(url: str, body: bytes = HELLO, **headers: str) -> tuple[int, str]:
    sent = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    answer = httpx2.post(url, content=body, headers={**sent, **headers}, timeout=20)
    return answer.status_code, answer.text


async def marked(client: Client) -> int:
    """Open the data and find markers; the number of groups."""
    opened = await client.call_tool("open_dataset", {"path": "cells.h5ad"})
    assert not opened.is_error, opened.content[0].text
    handle = opened.structured_content["dataset_id"]
    said = await client.call_tool("find_markers", {"dataset_id": handle, "n_genes": 2})
    assert not said.is_error, said.content[0].text
    link = next(one for one in said.content if one.type == "resource_link")
    assert (await client.read_resource(link.uri)).contents
    return len(said.structured_content["result"]["groups"])


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_stdio(folder, mode):
    server = StdioServerParameters(
        command=COMMAND[0], args=[*COMMAND[1:], "--root", str(folder)], env=dict(os.environ)
    )

    async def run() -> int:
        async with Client(server, mode=mode) as client:
            return await marked(client)

    assert asyncio.run(run()) == 3


def test_http_serves_several_clients_at_once(folder):
    async def one(url: str, mode: str) -> int:
        async with Client(url, mode=mode) as client:
            return await marked(client)

    async def run(url: str) -> list[int]:
        return await asyncio.gather(*(one(url, mode) for mode in ("auto", "legacy") * 2))

    with listening(folder) as url:
        assert asyncio.run(run(url)) == [3] * 4
        # A page of another site that resolves to this machine is turned away, and so is a flood.
        assert status(url, host="evil.example")[0] == 421
        assert status(url, origin="http://evil.example")[0] == 403
        assert status(url, b"x" * (5 * 2**20))[0] == 413
        assert status(url, b"{not json")[0] == 400


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_large_files_are_read_over_http(folder, mode):
    """A megabyte is all that the official client takes as one event."""

    async def run(url: str) -> int:
        async with Client(url, mode=mode) as client:
            handle = await client.call_tool("open_dataset", {"path": "many.h5ad"})
            handle = handle.structured_content["dataset_id"]
            said = await client.call_tool(
                "subset_cells", {"dataset_id": handle, "groups": ["B cell"]}
            )
            link = next(one for one in said.content if one.type == "resource_link")
            found = (await client.read_resource(link.uri)).contents[0]
            with pytest.raises(MCPError, match="No data set"):
                await client.read_resource("cellwright://made-up/fi_000000000000")
            return len(found.blob)

    write(make_adata(60_000), folder, "many.h5ad")
    with listening(folder) as url:
        assert asyncio.run(run(url)) > 2 * 2**20


def test_http_with_a_token(folder):
    async def run(url: str) -> int:
        headers = {"authorization": f"Bearer {TOKEN}"}
        async with (
            httpx2.AsyncClient(headers=headers) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            return len((await client.list_tools()).tools)

    with listening(folder, TOKEN) as url:
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": TOKEN}):
            code, said = status(url, **headers)
            assert code == 401
            assert "Authorization: Bearer TOKEN" in said
            assert len(said.splitlines()) == 1
        assert asyncio.run(run(url)) == 15


@pytest.mark.parametrize(
    ("token", "wanted"), [("", "CELLWRIGHT_TOKEN"), ("short", "16 or more are needed")]
)
def test_other_machines_are_not_let_in_without_a_token(folder, token, wanted):
    done = subprocess.run(
        [*COMMAND, "--transport", "http", "--host", "0.0.0.0", "--root", str(folder)],
        capture_output=True, text=True, env={**os.environ, "CELLWRIGHT_TOKEN": token}, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert wanted in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_port_that_is_taken_is_said(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [*COMMAND, "--transport", "http", "--port", port, "--root", str(folder)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert "Try --port 0" in done.stderr
    assert len(done.stderr.splitlines()) == 1
