"""Runs that are killed at each node of the graph and asked for again, by real processes."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cellwright.evals.task import OURS, EvalContext, Unavailable

NODES = ("open_data", "draft_plan", "review_plan", "act", "check_done", "write_report")
DATA = "pbmc68k_reduced_700"
REQUEST = "describe the file; draw the composition; draw a violin of LYZ"
ANEW = "no-checkpoint"
"""The same agent asked for again on a new thread."""
LIMIT = 1500
"""Seconds for all runs."""


@dataclass(frozen=True, kw_only=True)
class Resumed:
    """How a killed run ended when it was asked for again.

    Attributes:
        node: Where it was killed.
        same: Plan, outcomes, claims and ledger are those of a run that nobody killed.
        kept: Steps of the plan over steps that were run, the killed ones included.
    """

    node: str
    same: bool
    kept: float


def killed_and_resumed(context: EvalContext) -> dict[str, list[Resumed]]:
    """Kill runs with SIGKILL before and after each node, and ask again.

    Returns:
        Runs by system: on the same thread, and anew.

    Raises:
        Unavailable: The data is missing, or the untroubled run does not end.
    """
    data = context.data_dir / f"{DATA}.h5ad"
    if not data.is_file():
        msg = f"no file {data}"
        raise Unavailable(msg)
    cases = [(node, how) for node in NODES for how in ("before", "after")]
    with TemporaryDirectory() as name:
        folder = Path(name)
        plain = _start(data, folder, [("plain", "", "", "t-1")])
        if plain != [0]:
            msg = "the untroubled run did not end"
            raise Unavailable(msg)
        wanted = _record(folder / "plain")
        found: dict[str, list[Resumed]] = {OURS: [], ANEW: []}
        for system, thread in ((OURS, "t-1"), (ANEW, "t-2")):
            runs: list[tuple[str, str, str, str]] = []
            for node, how in cases:
                run = f"{system}-{node}-{how}"
                runs += [(run, node, how, "t-1"), (run, "", "", thread)]
            _start(data, folder, runs)
            for node, how in cases:
                place = folder / f"{system}-{node}-{how}"
                steps = len(wanted["plan"]["steps"])
                ran = len((place / "ran").read_text().split())
                same = _record(place) == wanted
                found[system].append(Resumed(node=f"{how} {node}", same=same, kept=steps / ran))
    return found


def _record(folder: Path) -> dict[str, Any]:
    """What counts of a run: all but times."""
    path = folder / "out" / "run.json"
    if not path.is_file():
        return {}
    record = json.loads(path.read_text())
    untimed = [
        {name: value for name, value in one.items() if name != "seconds"}
        for one in record["outcomes"]
    ]
    return {"outcomes": untimed} | {name: record[name] for name in ("plan", "claims", "ledger")}


def _start(data: Path, folder: Path, runs: list[tuple[str, str, str, str]]) -> list[int]:
    """Run in forks of one process, so that imports are paid for once; return their exit codes."""
    command = [sys.executable, "-m", "cellwright.evals.resume", str(data), str(folder)]
    done = subprocess.run(
        [*command, json.dumps(runs)], capture_output=True, text=True, check=False, timeout=LIMIT
    )
    if done.returncode:
        raise Unavailable(done.stderr.strip()[-300:])
    return list(json.loads(done.stdout.splitlines()[-1]))


def _go(data: str, folder: Path, node: str, how: str, thread: str) -> int:
    """One run in a process of its own, which may kill itself at a node."""
    import os
    import signal

    from cellwright.agent import graph
    from cellwright.agent.plan import DraftStep, PlanDraft
    from cellwright.agent.scripted import ScriptedModel
    from cellwright.agent.session import ask
    from cellwright.settings import Settings
    from cellwright.tools.workbench import Workbench

    if node:
        plain = getattr(graph, node)

        def fatal(state: Any, runtime: Any) -> None:
            if how == "after":
                plain(state, runtime)
            os.kill(os.getpid(), signal.SIGKILL)

        setattr(graph, node, fatal)
    run = Workbench.run

    def counted(self: Workbench, name: str, **args: Any) -> Any:
        with (folder / "ran").open("a") as file:
            file.write(f"{name}\n")
        return run(self, name, **args)

    Workbench.run = counted  # type: ignore[method-assign]
    folder.mkdir(parents=True, exist_ok=True)
    draft = PlanDraft(
        steps=(
            DraftStep(tool="describe_dataset", asks=(1,)),
            DraftStep(tool="plot_cells", args={"kind": "composition"}, asks=(2,)),
            DraftStep(tool="plot_cells", args={"kind": "violin", "genes": ["LYZ"]}, asks=(3,)),
        )
    )
    result = ask(
        data, REQUEST, out=folder / "out", thread=thread, model=ScriptedModel([draft]),
        execute_notebook=False, settings=Settings(cache_dir=folder, offline=True),
    )  # fmt: skip
    return 0 if result.status == "done" else 9


def main() -> None:
    """Run what the arguments say; each run is a fork."""
    import os

    import cellwright.agent.graph
    import cellwright.agent.report
    import cellwright.agent.session
    import cellwright.tools.registry

    assert cellwright.tools.registry.ALL_TOOLS
    data, folder, runs = sys.argv[1:]
    ended = []
    for name, node, how, thread in json.loads(runs):
        child = os.fork()
        if child == 0:
            os._exit(_go(data, Path(folder) / name, node, how, thread))
        ended.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    sys.stdout.write(json.dumps(ended) + "\n")


if __name__ == "__main__":
    main()
