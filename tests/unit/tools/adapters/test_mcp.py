import asyncio
import base64

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from cellwright.settings import Settings
from cellwright.tools.adapters.mcp import ToolServer
from cellwright.tools.adapters.roots import Roots
from cellwright.tools.registry import ALL_TOOLS
from tests.unit.tools.factory import make_adata, write


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    write(make_adata(), folder)
    return folder


@pytest.fixture(scope="module")
def served(folder, cache):
    settings = Settings(cache_dir=cache, checkpoint=folder / "none")
    server = ToolServer(settings, Roots.of([folder]))
    yield server
    server.close()


def talk(served, conversation, mode="auto"):
    async def run():
        async with Client(served.server, mode=mode) as client:
            return await conversation(client)

    return asyncio.run(run())


async def opened(client, path="cells.h5ad"):
    said = await client.call_tool("open_dataset", {"path": path})
    assert not said.is_error, said.content[0].text
    return said.structured_content["dataset_id"]


def test_at_most_fifteen_tools_each_with_all_hints_and_both_schemas(served):
    async def listed(client):
        return (await client.list_tools()).tools

    tools = {tool.name: tool for tool in talk(served, listed)}
    assert len(tools) <= 15
    assert set(tools) == {spec.name for spec in ALL_TOOLS} | {"open_dataset", "poll_call"}
    for tool in tools.values():
        hints = tool.annotations
        assert tool.description
        assert hints.title
        assert hints.destructive_hint is False
        assert hints.open_world_hint is False
        assert hints.idempotent_hint is not None
        assert hints.read_only_hint is not None
        assert tool.output_schema["type"] == "object"
        assert all(one["description"] for one in tool.input_schema["properties"].values())
        assert tool.input_schema["additionalProperties"] is False
    assert tools["find_markers"].annotations.read_only_hint
    assert not tools["annotate_cells"].annotations.read_only_hint
    assert "dataset_id" in tools["annotate_cells"].input_schema["required"]
    assert "dataset_id" not in tools["search_knowledge"].input_schema["properties"]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_data_set_is_opened_worked_on_and_its_files_are_read(served, mode):
    async def conversation(client):
        handle = await opened(client)
        told = []

        async def progress(share, total, message):
            told.append((share, message))

        said = await client.call_tool(
            "find_markers", {"dataset_id": handle, "n_genes": 3}, progress_callback=progress
        )
        links = [one for one in said.content if one.type == "resource_link"]
        read = {
            link.mime_type: (await client.read_resource(link.uri)).contents[0] for link in links
        }
        return handle, said, read, told

    handle, said, read, told = talk(served, conversation, mode)
    reply = said.structured_content
    assert (reply["status"], reply["dataset_id"]) == ("done", handle)
    assert reply["result"]["groups"][0]["names"]
    assert base64.b64decode(read["image/png"].blob).startswith(b"\x89PNG")
    assert read["text/csv"].text.count("\n") > 30
    shares = [share for share, _ in told]
    assert shares == sorted(set(shares))


def test_what_one_tool_makes_the_next_one_sees(served):
    async def conversation(client):
        handle = await opened(client)
        first = await client.call_tool("subset_cells", {"dataset_id": handle, "groups": ["B cell"]})
        after = await client.call_tool("plot_cells", {"dataset_id": handle, "kind": "composition"})
        other = await client.call_tool("describe_dataset", {"dataset_id": await opened(client)})
        return [one.structured_content["result"] for one in (first, after, other)]

    first, after, other = talk(served, conversation)
    assert first["n_after"] == after["n_cells"] == 30
    assert other["passport"]["n_cells"] == 90


@pytest.mark.parametrize(
    ("tool", "args", "wanted"),
    [
        ("open_dataset", {"path": "../../etc/passwd"}, "--root"),
        ("open_dataset", {"path": "nothing.h5ad"}, "no such file"),
        ("open_dataset", {"file": "cells.h5ad"}, "path: Field required"),
        ("find_markers", {}, "open_dataset gives it"),
        ("find_markers", {"dataset_id": 7}, "open_dataset gives it"),
        ("find_markers", {"dataset_id": "made-up"}, "Open the file with open_dataset"),
        ("search_knowledge", {"query": "CD3D", "wait_seconds": "long"}, "wait_seconds"),
        ("search_knowledge", {"query": "CD3D", "wait_seconds": -1}, "wait_seconds"),
        ("search_knowledge", {"query": "CD3D", "dataset_id": "x"}, "Extra inputs"),
        ("poll_call", {"call_id": "made-up"}, "Call the tool again"),
        ("poll_call", {}, "call_id: Field required"),
        ("rm_rf", {}, "No tool 'rm_rf'. Tools: open_dataset"),
    ],
)
def test_what_is_wrong_is_answered_in_one_line_with_the_next_step(served, tool, args, wanted):
    said = talk(served, lambda client: client.call_tool(tool, args))
    assert said.is_error
    assert wanted in said.content[0].text
    assert "\n" not in said.content[0].text
    assert "Traceback" not in said.content[0].text


def test_a_call_is_started_and_asked_for_later(served):
    async def conversation(client):
        args = {"genes": ["CD79A", "MS4A1"], "wait_seconds": 0}
        started = (await client.call_tool("match_markers", args)).structured_content
        asked = {"call_id": started["call_id"], "wait_seconds": 300}
        return started, (await client.call_tool("poll_call", asked)).structured_content

    started, ended = talk(served, conversation)
    assert (started["status"], started["result"]) == ("running", None)
    assert (ended["status"], ended["call_id"]) == ("done", started["call_id"])
    assert "B cell" in str(ended["result"])


@pytest.mark.parametrize(
    "uri",
    [
        "cellwright://made-up/fi_000000000000",
        "cellwright://../models/fi_000000000000",
        "cellwright://x/../../../etc/passwd",
        "file:///etc/passwd",
    ],
)
def test_resources_are_reached_by_the_handle_only(served, uri):
    async def conversation(client):
        with pytest.raises(MCPError, match=r"No data set|resources are named"):
            await client.read_resource(uri)

    talk(served, conversation)


def test_what_was_made_is_listed_to_nobody(served):
    async def conversation(client):
        await opened(client)
        return await client.list_resources(), await client.list_resource_templates()

    listed, templates = talk(served, conversation)
    assert listed.resources == []
    assert templates.resource_templates[0].uri_template.startswith("cellwright://{dataset_id}/")


def test_a_bug_is_told_without_its_insides(served, monkeypatch, caplog):
    def broken(*_args, **_kwargs):
        msg = "secret of the machine"
        raise OSError(msg)

    monkeypatch.setattr("cellwright.tools.adapters.mcp.call", broken)
    said = talk(served, lambda client: client.call_tool("search_knowledge", {"query": "CD3D"}))
    assert said.is_error
    assert "secret" not in said.content[0].text
    assert "secret of the machine" in caplog.text


def test_the_oldest_idle_data_set_gives_way(served, folder):
    from cellwright.tools.adapters.desks import Desks

    desks = Desks(Settings(cache_dir=folder / "cache"), Roots.of([folder]), most=2)
    first, second = desks.blank(), desks.blank()
    first.busy = 1
    third = desks.blank()
    assert desks.get(first.id) is first
    assert desks.get(third.id) is third
    with pytest.raises(Exception, match="No data set"):
        desks.get(second.id)
    desks.close()


def test_cells_of_idle_data_sets_leave_memory_and_are_read_again(served):
    async def conversation(client):
        handles = [await opened(client) for _ in range(6)]
        held = [served.desks.get(one).bench._opened is not None for one in handles]
        said = await client.call_tool(
            "plot_cells", {"dataset_id": handles[0], "kind": "composition"}
        )
        return held, said.structured_content["result"]["n_cells"]

    held, n_cells = talk(served, conversation)
    assert not held[0]
    assert held[-1]
    assert n_cells == 90


def test_a_poll_that_is_given_up_does_not_stop_the_call(served):
    async def conversation(client):
        started = await client.call_tool("match_markers", {"genes": ["LYZ"], "wait_seconds": 0})
        asked = {"call_id": started.structured_content["call_id"], "wait_seconds": 300}
        poll = asyncio.create_task(client.call_tool("poll_call", asked))
        await asyncio.sleep(0)
        poll.cancel()
        with pytest.raises(asyncio.CancelledError):
            await poll
        return (await client.call_tool("poll_call", asked)).structured_content["status"]

    assert talk(served, conversation) == "done"
