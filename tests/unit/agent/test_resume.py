"""Kills, cancellations and follow-ups: what a thread keeps."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cellwright.agent.scripted import ScriptedModel
from cellwright.agent.session import branch
from cellwright.errors import InputError
from tests.unit.agent.test_session import BOTH, draft, run
from tests.unit.agent.test_session import settings as settings
from tests.unit.agent.toys import toys as toys

NODES = ("open_data", "draft_plan", "review_plan", "act", "check_done", "write_report")
SCRIPT = """
import json, os, signal, sys, time
from pathlib import Path
import cellwright.agent.graph as graph
import cellwright.agent.report
import cellwright.tools.registry as registry
from cellwright.agent.scripted import ScriptedModel
from cellwright.agent.session import ask
from cellwright.settings import Settings
from tests.unit.agent import test_session, toys

def interrupted(args, bench):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)

def go(folder, node, how):
    second = interrupted if how == "interrupt" else toys.count
    registry.ALL_TOOLS = (toys.tool("first", toys.count), toys.tool("second", second),
                          toys.tool("third", toys.count))
    if how in {"before", "after"}:
        plain = getattr(graph, node)
        def fatal(state, runtime):
            if how == "after":
                plain(state, runtime)
            os.kill(os.getpid(), signal.SIGKILL)
        setattr(graph, node, fatal)
    steps = test_session.draft(*((spec.name, {"word": spec.name}, (at,))
                                 for at, spec in enumerate(registry.ALL_TOOLS, 1)))
    result = ask(None, "do the first; do the second; do the third", out=folder / "out",
                 thread="t-1", model=ScriptedModel([steps]), execute_notebook=False,
                 settings=Settings(cache_dir=folder, offline=True))
    return result.status

ended = []
for name, node, how in json.loads(sys.argv[2]):
    child = os.fork()
    if child == 0:
        status = go(Path(sys.argv[1]) / name, node, how)
        os._exit({"done": 0, "failed": 1}.get(status, 9))
    ended.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(json.dumps(ended))
"""


def start(folder: Path, *runs: tuple[str, str, str]) -> list[int]:
    """Run in forks of one process, so that imports are paid for once."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), json.dumps(runs)],
        cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False,
        env={**os.environ},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def what_counts(folder: Path) -> dict:
    record = json.loads((folder / "out" / "run.json").read_text())
    ended = [{k: v for k, v in one.items() if k != "seconds"} for one in record["outcomes"]]
    return {"plan": record["plan"], "outcomes": ended, "claims": record["claims"],
            "ledger": record["ledger"]}  # fmt: skip


def test_a_run_killed_at_any_node_ends_with_the_same_result(tmp_path):
    cases = [(f"{node}-{how}", node, how) for node in NODES for how in ("before", "after")]
    runs = [("untroubled", "", "go on")]
    for name, node, how in cases:
        runs += [(name, node, how), (name, node, "go on")]
    ended = start(tmp_path, *runs)
    assert ended == [0, *([-signal.SIGKILL, 0] * len(cases))]
    wanted = what_counts(tmp_path / "untroubled")
    assert [one["status"] for one in wanted["outcomes"]] == ["done"] * 3
    for name, _, _ in cases:
        assert what_counts(tmp_path / name) == wanted, name


def test_a_run_that_is_stopped_leaves_a_readable_report(tmp_path):
    assert start(tmp_path, ("stopped", "", "interrupt")) == [1]
    out = tmp_path / "stopped" / "out"
    ledger = json.loads((out / "run.json").read_text())["ledger"]
    assert [entry["status"] for entry in ledger] == ["done", "not done", "not done"]
    assert all("stopped by the user" in entry["reason"] for entry in ledger[1:])
    assert "stopped by the user" in (out / "report.md").read_text()


def test_a_follow_up_takes_results_that_are_there(settings, tmp_path):
    model = ScriptedModel([BOTH])
    first = run(settings, model, tmp_path)
    again = run(settings, model, tmp_path, request="count them again; draw", thread=first.thread)
    assert [one.tries for one in again.outcomes] == [0] * len(again.outcomes)
    assert {one.result for one in again.outcomes} == {one.result for one in first.outcomes}
    assert all("earlier turn" in one.note for one in again.outcomes)


def test_branches_go_on_by_themselves(settings, tmp_path):
    other = draft(("count_letters", {"word": "branch"}, (1,)))
    model = ScriptedModel([BOTH, "", other, "", BOTH])  # a plan, then a summary, for each run
    first = run(settings, model, tmp_path)
    made = branch(first.thread, "two", settings=settings)
    changed = run(settings, model, tmp_path, request="count another", thread=made)
    assert changed.outcomes[0].tries == 1
    kept = run(settings, model, tmp_path, request="count and draw; again", thread=first.thread)
    assert {one.tries for one in kept.outcomes} == {0}
    with pytest.raises(InputError, match="already"):
        branch(first.thread, "two", settings=settings)
    with pytest.raises(InputError, match="No thread"):
        branch("t-none", "two", settings=settings)
