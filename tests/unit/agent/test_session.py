"""The graph from request to report, with toy tools and a scripted model."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cellwright.agent.plan import DraftRefusal, DraftStep, PlanDraft
from cellwright.agent.scripted import ScriptedModel
from cellwright.agent.session import ask, plan
from cellwright.errors import InputError
from cellwright.settings import Settings
from tests.unit.agent.toys import toys as toys

REQUEST = "count the letters; draw them"


@pytest.fixture
def settings(tmp_path, toys):
    return Settings(cache_dir=tmp_path / "cache", offline=True)


def draft(*steps, **fields):
    made = tuple(DraftStep(tool=tool, args=args, asks=asks) for tool, args, asks in steps)
    return PlanDraft(steps=made, **fields)


BOTH = draft(("count_letters", {"word": "gene"}, (1,)), ("draw_letters", {}, (2,)))


def run(settings, model, tmp_path, request=REQUEST, **options):
    return ask(
        None,
        request,
        out=tmp_path / "out",
        model=model,
        settings=settings,
        execute_notebook=False,
        **options,
    )


def test_a_request_becomes_a_report(settings, tmp_path):
    events = []
    result = run(settings, ScriptedModel([BOTH]), tmp_path, watch=events.append)
    assert result.status == "done"
    assert [entry.status for entry in result.ledger] == ["done", "done"]
    assert [outcome.tool for outcome in result.outcomes] == [
        "count_letters",
        "preprocess_dataset",
        "draw_letters",
    ]
    assert "has 4 letters" in (tmp_path / "out" / "report.md").read_text()
    stages = [event.stage for event in events]
    assert stages == sorted(stages, key=["plan", "review", "act", "verify", "report"].index)
    assert any(event.share == 0.5 for event in events)


def test_a_step_that_breaks_down_is_tried_again_and_the_others_still_run(settings, tmp_path):
    steps = draft(("break_down", {}, (1,)), ("count_letters", {}, (2,)))
    result = run(settings, ScriptedModel([steps]), tmp_path)
    broken, counted = result.outcomes
    assert (broken.status, broken.tries) == ("failed", 2)
    assert "out of ink" in broken.reason
    assert counted.status == "done"
    assert result.status == "failed"
    assert [entry.status for entry in result.ledger] == ["not done", "done"]


def test_a_tool_that_says_no_is_not_tried_again(settings, tmp_path):
    steps = draft(("give_up", {}, (1,)), ("refuse_late", {}, (2,)))
    result = run(settings, ScriptedModel([steps]), tmp_path)
    assert [(one.status, one.tries) for one in result.outcomes] == [("failed", 1), ("refused", 1)]


def test_what_is_refused_is_in_the_report_with_what_to_do_instead(settings, tmp_path):
    only = PlanDraft(refused=(DraftRefusal(asks=(1, 2), reason="unsupported"),))
    result = run(settings, ScriptedModel([only]), tmp_path)
    assert result.status == "refused"
    assert "refused" in (tmp_path / "out" / "report.md").read_text()


def test_a_question_is_asked_and_its_answer_goes_to_the_planner(settings, tmp_path):
    unclear = draft(("count_letters", {}, (1,)), question="Which word?")
    model = ScriptedModel([unclear, BOTH])
    asked = []

    def answer(question):
        asked.append(question.text)
        return "the word gene"

    result = run(settings, model, tmp_path, answer=answer)
    assert asked == ["Which word?"]
    assert "the word gene" in str(model.calls[1][-1].content)
    assert result.status == "done"


def test_a_question_with_nobody_there_stops_and_yes_takes_the_default(settings, tmp_path):
    unclear = draft(("count_letters", {}, (1,)), question="Which word?")
    silent = run(settings, ScriptedModel([unclear]), tmp_path)
    assert silent.status == "needs_clarification"
    assert silent.outcomes == ()
    assert silent.plan.question
    taken = run(settings, ScriptedModel([unclear]), tmp_path, yes=True)
    assert taken.plan.assumptions
    assert "Which word?" in (tmp_path / "out" / "report.md").read_text()


def test_planning_runs_nothing(settings, tmp_path):
    made = plan(None, REQUEST, model=ScriptedModel([BOTH]), settings=settings)
    assert made.status == "ready"
    assert len(made.steps) == 3
    assert list((settings.cache_dir / "threads").glob("*/re_*.json")) == []


def test_a_follow_up_knows_what_was_asked_before(settings, tmp_path):
    model = ScriptedModel([BOTH])
    first = run(settings, model, tmp_path)
    again = run(settings, model, tmp_path, request="count them again", thread=first.thread)
    assert again.thread == first.thread
    assert len(again.plan.asks) == 1
    planned, _summarised = model.calls[-2:]
    assert "count the letters" in str([message.content for message in planned])


def test_an_empty_request_and_a_missing_file_are_bad_input(settings, tmp_path):
    with pytest.raises(InputError, match="empty"):
        ask(None, "  ", settings=settings)
    with pytest.raises(InputError, match="no such file"):
        ask(tmp_path / "none.h5ad", "annotate", settings=settings)
    with pytest.raises(InputError, match="letters"):
        ask(None, "annotate", thread="../x", settings=settings)


KILLED = """
import os, signal, sys
from pathlib import Path
import cellwright.tools.registry as registry
from cellwright.agent.scripted import ScriptedModel
from cellwright.agent.session import ask
from cellwright.settings import Settings
from tests.unit.agent import toys, test_session

folder, kill = Path(sys.argv[1]), sys.argv[2] == "kill"

def fatal(args, bench):
    with (folder / "runs").open("a") as log:
        log.write("second\\n")
    if kill:
        os.kill(os.getpid(), signal.SIGKILL)
    return toys.count(args, bench)

def first(args, bench):
    with (folder / "runs").open("a") as log:
        log.write("first\\n")
    return toys.count(args, bench)

registry.ALL_TOOLS = (toys.tool("first", first), toys.tool("second", fatal))
steps = test_session.draft(("first", {}, (1,)), ("second", {}, (2,)))
result = ask(None, "do the first; do the second", out=folder / "out", thread="t-1",
             model=ScriptedModel([steps]), settings=Settings(cache_dir=folder, offline=True),
             execute_notebook=False)
print(result.status)
"""


def test_a_killed_run_goes_on_where_it_stopped(tmp_path):
    def start(mode):
        return subprocess.run(
            [sys.executable, "-c", KILLED, str(tmp_path), mode],
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ},
        )

    killed = start("kill")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed = start("go on")
    assert resumed.stdout.strip() == "done", resumed.stderr
    assert (tmp_path / "runs").read_text().split() == ["first", "second", "second"]
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert [one["status"] for one in record["outcomes"]] == ["done", "done"]
