"""Each tool through Python, LangChain, MCP and the shell: the same result, and the same error."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anndata
import pytest
from mcp import Client
from typer.testing import CliRunner

from cellwright.artifacts import DirectoryStore
from cellwright.cli import app
from cellwright.errors import CellwrightError
from cellwright.settings import Settings
from cellwright.tools.adapters.calling import call
from cellwright.tools.adapters.langchain import langchain_tools
from cellwright.tools.adapters.mcp import ToolServer
from cellwright.tools.adapters.roots import Roots
from cellwright.tools.example import write_example
from cellwright.tools.registry import ALL_TOOLS
from cellwright.tools.workbench import Workbench

pytestmark = [
    pytest.mark.weights,
    # scanpy divides zero by zero for genes that no cell of so small a file expresses
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]

Ended = tuple[str, Any]
"""``result`` with the result as JSON, or ``error`` with its text."""

WORKS: dict[str, dict[str, Any]] = {
    "describe_dataset": {},
    "preprocess_dataset": {"resolution": 0.5},
    "subset_cells": {"groups": ["CD19+ B"], "column": "bulk_labels"},
    "annotate_cells": {"level": "cluster", "group_by": "louvain"},
    "predict_drug_response": {"drugs": ["gefitinib"], "group_by": "bulk_labels"},
    "generate_cells": {"cell_type": "B cell", "n": 5},
    "explain_cells": {"label": "CD19+ B", "group_by": "bulk_labels", "n_genes": 4},
    "find_markers": {"group_by": "bulk_labels", "n_genes": 3},
    "compare_groups": {"column": "phase", "group_a": "G1", "group_b": "S"},
    "search_knowledge": {"query": "CD3D", "kind": "gene"},
    "match_markers": {"genes": ["MS4A1", "CD79A"], "species": "human"},
    "plot_cells": {"kind": "dotplot", "genes": ["CD79A", "LYZ"]},
    "ask_cell": {"cell": "3"},
}
FAILS: dict[str, dict[str, Any]] = {
    "describe_dataset": {"verbose": True},
    "preprocess_dataset": {"batch_key": "no_such_column"},
    "subset_cells": {"groups": ["hepatocyte"], "column": "phase"},
    "annotate_cells": {"level": "donor"},
    "predict_drug_response": {"drugs": ["holy water"]},
    "generate_cells": {"cell_type": "B cell", "n": 0},
    "explain_cells": {"label": "no such label", "group_by": "phase"},
    "find_markers": {"group_by": "no_such_column"},
    "compare_groups": {"column": "phase", "group_a": "G1", "group_b": "G9"},
    "search_knowledge": {"query": ""},
    "match_markers": {"genes": []},
    "plot_cells": {"kind": "piechart"},
    "ask_cell": {"cell": "99999"},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred real blood cells."""
    path = tmp_path_factory.mktemp("contract") / "blood.h5ad"
    write_example(path)
    cells = anndata.read_h5ad(path)[::7].copy()
    cells.write_h5ad(path)
    return path


@pytest.fixture(scope="module")
def models() -> Workbench:
    settings = Settings()
    return Workbench(DirectoryStore(settings.cache_dir / "contract"), settings)


@pytest.fixture(autouse=True, scope="module")
def shared(models: Workbench) -> Iterator[None]:
    """One cell model for all faces: loading it four times for each tool would take minutes."""
    plain = Workbench.__init__

    def lent(self: Workbench, *args: Any, **kwargs: Any) -> None:
        plain(self, *args, **{**kwargs, "models": models})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Workbench, "__init__", lent)
        yield


def by_python(name: str, args: dict[str, Any], data: Path, folder: Path) -> Ended:
    bench = Workbench.open(data if Workbench.spec(name).needs.data else None, folder=folder)
    try:
        return "result", json.loads(call(bench, name, args).result.model_dump_json())
    except CellwrightError as error:
        return "error", str(error)


def by_langchain(name: str, args: dict[str, Any], data: Path, folder: Path) -> Ended:
    bench = Workbench.open(data if Workbench.spec(name).needs.data else None, folder=folder)
    tools = {tool.name: tool for tool in langchain_tools(bench)}
    said = tools[name].invoke({"type": "tool_call", "id": "1", "name": name, "args": args})
    if said.status == "error":
        return "error", said.content
    return "result", json.loads(said.artifact.model_dump_json())


def by_mcp(name: str, args: dict[str, Any], data: Path, folder: Path) -> Ended:
    server = ToolServer(Settings(), Roots.of([data.parent]))
    needs_data = Workbench.spec(name).needs.data

    async def run() -> Ended:
        async with Client(server.server) as client:
            given = dict(args)
            if needs_data:
                opened = await client.call_tool("open_dataset", {"path": data.name})
                given["dataset_id"] = opened.structured_content["dataset_id"]
            said = await client.call_tool(name, {**given, "wait_seconds": 300})
        if said.is_error:
            return "error", said.content[0].text
        return "result", said.structured_content["result"]

    try:
        return asyncio.run(run())
    finally:
        server.close()


def by_shell(name: str, args: dict[str, Any], data: Path, folder: Path) -> Ended:
    words = [
        f"{key}={value if isinstance(value, str) else json.dumps(value)}"
        for key, value in args.items()
    ]
    file = [str(data)] if Workbench.spec(name).needs.data else []
    done = CliRunner().invoke(app, ["tool", name, *file, *words, "--json"])
    if done.exit_code:
        return "error", done.stderr.strip().removeprefix("cellwright: ")
    return "result", json.loads(done.stdout)


FACES: tuple[Callable[..., Ended], ...] = (by_langchain, by_mcp, by_shell)


def test_every_tool_is_held_to_the_contract():
    names = {spec.name for spec in ALL_TOOLS}
    assert set(WORKS) == names
    assert set(FAILS) == names


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("name", WORKS)
def test_the_same_arguments_give_the_same_result(name, face, wanted, data, tmp_path):
    kind, result = face(name, WORKS[name], data, tmp_path)
    assert kind == "result", result
    assert result == wanted[name][1]


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("name", FAILS)
def test_the_same_mistake_gives_the_same_error(name, face, mistaken, data, tmp_path):
    kind, text = face(name, FAILS[name], data, tmp_path)
    assert kind == "error"
    assert " ".join(text.split()) == " ".join(mistaken[name][1].split())


@pytest.fixture(scope="module")
def wanted(data: Path, shared: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    return {
        name: by_python(name, args, data, tmp_path_factory.mktemp(name))
        for name, args in WORKS.items()
    }


@pytest.fixture(scope="module")
def mistaken(
    data: Path, shared: None, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Ended]:
    found = {
        name: by_python(name, args, data, tmp_path_factory.mktemp(name))
        for name, args in FAILS.items()
    }
    assert {kind for kind, _ in found.values()} == {"error"}, found
    return found
