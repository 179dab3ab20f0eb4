"""``langgraph dev`` with our ``langgraph.json``, spoken to through its SDK.

Needs the extra ``studio``, which holds protobuf back; skipped where it is not installed.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.tools.factory import make_adata, write

pytest.importorskip("langgraph_api", reason="pip install 'cellwright[studio]' to run")
pytestmark = pytest.mark.weights
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Address of a server, and its log; it fails runs that block its event loop."""
    folder = tmp_path_factory.mktemp("studio")
    write(make_adata(), folder)
    config = json.loads((ROOT / "langgraph.json").read_text())
    config["graphs"]["cellwright"]["path"] = str(ROOT / "src/cellwright/agent/studio.py:graph")
    (folder / "langgraph.json").write_text(json.dumps(config))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "log.txt"
    command = [sys.executable, "-m", "langgraph_cli", "dev", "--no-browser", "--no-reload"]
    env = {**os.environ, "CELLWRIGHT_ROOTS": str(folder), "LANGSMITH_TRACING": "false"}
    with (
        log.open("w") as out,
        subprocess.Popen(
            [*command, "--port", str(port)], cwd=folder, env=env, stdout=out, stderr=out
        ) as process,
    ):
        try:
            yield f"http://127.0.0.1:{port}", log
        finally:
            process.terminate()


async def connected(url: str) -> Any:
    from langgraph_sdk import get_client

    client = get_client(url=url)
    for _ in range(120):
        try:
            await client.assistants.search()
        except Exception:  # noqa: BLE001 - until it listens it may fail in any way
            await asyncio.sleep(0.5)
        else:
            return client
    pytest.fail("the server does not answer")


def test_the_server_runs_streams_and_follows_up_without_blocking(server):
    url, log = server

    async def run() -> tuple[list[Any], Any, Any]:
        client = await connected(url)
        thread = (await client.threads.create())["thread_id"]
        asked = {"request": "describe the data", "path": "cells.h5ad"}
        events = [
            part
            async for part in client.runs.stream(
                thread, "cellwright", input=asked, stream_mode=["custom", "updates"]
            )
        ]
        more = {"request": "find 2 markers of each cell type", "path": "cells.h5ad"}
        after = await client.runs.wait(thread, "cellwright", input=more)
        outside = await client.runs.wait(
            None, "cellwright", input={"request": "describe the data", "path": "/etc/passwd"}
        )
        return events, after, outside

    events, after, outside = asyncio.run(run())
    assert not [part.data for part in events if part.event == "error"]
    assert {part.data["stage"] for part in events if part.event == "custom"} >= {"intake", "act"}
    assert (after["status"], after["steps"][0]["tool"]) == ("done", "find_markers")
    assert outside["status"] == "failed"
    assert "no such file in the folders" in outside["answer"]
    said = log.read_text()
    assert "BlockingError" not in said
    assert "Blocking call" not in said


def test_it_says_what_it_takes_and_gives(server):
    async def run() -> Any:
        client = await connected(server[0])
        found = await client.assistants.search()
        return await client.assistants.get_schemas(found[0]["assistant_id"])

    schemas = asyncio.run(run())
    assert set(schemas["input_schema"]["properties"]) == {"request", "path"}
    assert "answer" in schemas["output_schema"]["properties"]
    assert set(schemas["context_schema"]["properties"]) == {"take_defaults", "report", "model"}


def test_runs_at_once_do_not_disturb_each_other(server):
    async def run() -> list[Any]:
        client = await connected(server[0])
        asked = {"request": "describe the data", "path": "cells.h5ad"}
        waits = [client.runs.wait(None, "cellwright", input=asked) for _ in range(4)]
        return await asyncio.gather(*waits)

    started = time.monotonic()
    assert {one["status"] for one in asyncio.run(run())} == {"done"}
    assert time.monotonic() - started < 300
