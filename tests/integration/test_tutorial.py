"""The tutorial notebook and the supervisor example do what they show."""

import os
import runpy
from pathlib import Path

import nbformat
import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from nbclient import NotebookClient

from cellwright.tools.example import write_example

pytestmark = pytest.mark.weights
ROOT = Path(__file__).parents[2]


@pytest.fixture
def executed(tmp_path: Path) -> nbformat.NotebookNode:
    notebook = nbformat.read(ROOT / "notebooks" / "tutorial.ipynb", as_version=4)
    NotebookClient(
        notebook,
        timeout=600,
        resources={"metadata": {"path": str(tmp_path)}},
        kernel_name="python3",
    ).execute(env=dict(os.environ))
    return notebook


def test_the_tutorial_runs_and_shows_results(executed):
    shown = [
        out["data"] for cell in executed.cells for out in cell.get("outputs", ()) if "data" in out
    ]
    html = " ".join(str(data.get("text/html", "")) for data in shown)
    assert "Doubts and limits" in html
    assert html.count("data:image/png;base64,") >= 3
    assert any("image/png" in data for data in shown)
    printed = " ".join(
        out["text"] for cell in executed.cells for out in cell.get("outputs", ()) if "text" in out
    )
    assert "hair cell" in printed
    assert "T cell" in printed


def test_the_supervisor_delegates_and_takes_a_note(tmp_path):
    write_example(tmp_path / "cells.h5ad")
    example = runpy.run_path(str(ROOT / "examples" / "supervisor.py"))
    notebook = tmp_path / "notebook.txt"
    supervisor = example["make_supervisor"](
        tmp_path / "cells.h5ad", example["Scripted"](), notebook
    )
    ended = supervisor.invoke({"messages": [HumanMessage("describe the data set")]})
    tools = [one.name for one in ended["messages"] if isinstance(one, ToolMessage)]
    assert tools == ["cellwright", "write_notebook"]
    assert isinstance(ended["messages"][-1], AIMessage)
    assert "700 cells" in ended["messages"][-1].text
    assert "700 cells" in notebook.read_text()
