"""The report's notebook: every step of the run as a call, executed, without a language model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cellwright.errors import ReportError

if TYPE_CHECKING:
    from cellwright.agent.document import Document
    from cellwright.agent.state import State
    from cellwright.tools.workbench import Workbench

STEP_SECONDS = 1800
"""Longest that one notebook cell may take."""


def write_notebook(
    state: State, document: Document, path: Path, bench: Workbench, *, execute: bool
) -> None:
    """Write the notebook, and run it so that it carries its own outputs.

    Each step is repeated on a fresh workbench and compared with what the report quotes.

    Raises:
        ReportError: A cell failed; the notebook is kept with the failure in it.
    """
    import nbformat

    notebook = nbformat.v4.new_notebook()
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    notebook.cells = [
        nbformat.v4.new_markdown_cell(
            f"# {document.request}\n\nEach cell repeats one step of the report, without a language "
            "model, and says whether it found what the report quotes."
        ),
        nbformat.v4.new_code_cell(_opening(state, bench)),
    ]
    for turn in (state.get("history") or [])[:-1]:
        calls = [f"bench.run({_arguments(one['tool'], one['args'])})" for one in turn["steps"]]
        notebook.cells.append(
            nbformat.v4.new_markdown_cell(f"## Earlier in this thread\n\n{turn['request']}")
        )
        notebook.cells.append(nbformat.v4.new_code_cell("\n".join([*calls, "None"])))
    for section in document.sections:
        if section.outcome.status != "done":
            continue
        step = section.step
        notebook.cells.append(
            nbformat.v4.new_markdown_cell(f"## {step.id}: {step.delivers}\n\n{step.asked_by}")
        )
        call = _arguments(step.tool, step.args)
        notebook.cells.append(
            nbformat.v4.new_code_cell(f'{step.id} = repeat("{section.outcome.result}", {call})')
        )
    if execute:
        _execute(notebook, path)
    nbformat.write(notebook, path)


def _arguments(tool: str, args: Mapping[str, object]) -> str:
    """A tool and its arguments as they stand in a Python call."""
    chosen = [f"{name}={value!r}" for name, value in args.items() if value is not None]
    return ", ".join([repr(tool), *chosen])


def _opening(state: State, bench: Workbench) -> str:
    source = state.get("path") or ""
    data = repr(str(Path(source).resolve())) if source else "None"
    settings = {
        "seed": bench.settings.seed,
        "cache_dir": str(bench.settings.cache_dir),
        "checkpoint": str(bench.settings.checkpoint) if bench.settings.checkpoint else None,
    }
    return (
        "import json\n"
        "import warnings\n"
        "from pathlib import Path\n"
        "from tempfile import mkdtemp\n\n"
        "from cellwright.settings import Settings\n"
        "from cellwright.tools.replay import comparable, show\n"
        "from cellwright.tools.workbench import Workbench\n\n"
        'warnings.filterwarnings("ignore", message="IProgress not found")\n'
        f"settings = Settings(**{settings!r})\n"
        f"bench = Workbench.open({data}, folder=Path(mkdtemp()), settings=settings)\n\n\n"
        "def repeat(quoted, tool, **args):\n"
        "    result = bench.run(tool, **args)\n"
        '    known = json.loads((Path("evidence") / f"{quoted}.json").read_text())\n'
        '    same = comparable(result.model_dump(mode="json")) == comparable(known)\n'
        "    print(f\"{tool}: {'the same as' if same else 'DIFFERENT from'} the report\")\n"
        "    show(bench, result)\n"
        "    return result"
    )


def _execute(notebook: object, path: Path) -> None:
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    client = NotebookClient(
        notebook,
        timeout=STEP_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
    )
    try:
        client.execute()
    except CellExecutionError as error:
        nbformat.write(notebook, path)
        msg = f"The notebook does not run: {error.ename}: {error.evalue}. It is kept as {path}."
        raise ReportError(msg) from error


def outputs(path: Path) -> list[str]:
    """Text that the cells of an executed notebook printed."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return [
        "".join(output.get("text", ""))
        for cell in cells
        if cell["cell_type"] == "code"
        for output in cell["outputs"]
        if output["output_type"] == "stream"
    ]
