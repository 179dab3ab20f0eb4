"""Runs that are led by hand: plan first, then answers, changes, approval, stop."""

import json

import pytest

from cellwright.agent.plan import DraftStep, PlanDraft
from cellwright.agent.scripted import ScriptedModel
from cellwright.agent.steering import TAKEN_OUT, LedRun
from cellwright.errors import InputError, RefusedError, ToolError
from cellwright.settings import Settings
from tests.unit.agent.test_session import BOTH, REQUEST, draft
from tests.unit.agent.toys import toys as toys


@pytest.fixture
def settings(tmp_path, toys):
    return Settings(cache_dir=tmp_path / "cache", offline=True)


def led(settings, *drafts, **options):
    run = LedRun("t-led", settings, **options)
    run.plan_with(lambda: ScriptedModel(drafts or [BOTH]))
    return run


def made(settings):
    return list((settings.cache_dir / "threads").glob("*/re_*.json"))


def test_nothing_runs_before_the_plan_is_approved(settings, tmp_path):
    ended = []
    run = led(settings, ended=ended.append)
    stand = run.propose(None, REQUEST, tmp_path / "out")
    assert stand.waits == "approval"
    tools = [step.tool for step in stand.plan.steps]
    assert tools == ["count_letters", "preprocess_dataset", "draw_letters"]
    assert made(settings) == []
    stand = run.carry_out(tmp_path / "out")
    assert stand.waits == "nothing"
    assert stand.result.status == "done"
    assert [one.tool for one in ended] == tools
    assert "has 4 letters" in (tmp_path / "out" / "report.md").read_text()


def test_a_plan_waits_across_processes(settings, tmp_path):
    led(settings).propose(None, REQUEST, tmp_path / "out")
    again = led(settings)
    assert again.carry_out(tmp_path / "out").result.status == "done"


def test_a_step_taken_out_is_named_in_the_report(settings, tmp_path):
    run = led(settings)
    run.propose(None, REQUEST, tmp_path / "out")
    plan = run.change([DraftStep(tool="count_letters", args={"word": "nucleus"}, asks=(1,))])
    assert [step.args["word"] for step in plan.steps] == ["nucleus"]
    result = run.carry_out(tmp_path / "out").result
    report = (tmp_path / "out" / "report.md").read_text()
    assert "has 7 letters" in report
    assert TAKEN_OUT in report
    assert [entry.status for entry in result.ledger] == ["done", "refused"]


def test_a_step_put_in_brings_its_preparation(settings, tmp_path):
    run = led(settings, draft(("count_letters", {}, (1,))))
    run.propose(None, "count the letters", tmp_path / "out")
    steps = [DraftStep(tool="count_letters", asks=(1,)), DraftStep(tool="draw_letters")]
    plan = run.change(steps)
    tools = [step.tool for step in plan.steps]
    assert tools == ["count_letters", "preprocess_dataset", "draw_letters"]
    result = run.carry_out(tmp_path / "out").result
    assert [entry.status for entry in result.ledger] == ["done", "done"]
    assert "put in by hand" in result.ledger[1].ask


@pytest.mark.parametrize(
    ("tool", "args", "error"),
    [
        ("count_letters", {"wrong": 1}, ToolError),
        ("no_such_tool", {}, ToolError),
        ("closed_gate", {}, RefusedError),
    ],
)
def test_a_step_that_cannot_run_leaves_the_plan_as_it_was(settings, tmp_path, tool, args, error):
    run = led(settings)
    run.propose(None, REQUEST, tmp_path / "out")
    with pytest.raises(error):
        run.change([DraftStep(tool=tool, args=args, asks=(1,))])
    assert len(run.carry_out(tmp_path / "out").result.outcomes) == 3


def test_an_empty_plan_is_no_plan(settings, tmp_path):
    run = led(settings)
    with pytest.raises(InputError, match="ask something first"):
        run.change([DraftStep(tool="count_letters")])
    run.propose(None, REQUEST, tmp_path / "out")
    with pytest.raises(InputError, match="Keep one"):
        run.change([])


def test_a_dropped_plan_is_never_run(settings, tmp_path):
    run = led(settings)
    run.propose(None, REQUEST, tmp_path / "out")
    run.drop()
    stand = run.propose(None, REQUEST, tmp_path / "out")
    assert stand.waits == "approval"
    assert made(settings) == []


def test_a_question_waits_for_its_answer(settings, tmp_path):
    unclear = draft(("count_letters", {}, (1,)), question="Which word?")
    run = led(settings, unclear, BOTH)
    stand = run.propose(None, REQUEST, tmp_path / "out")
    assert stand.waits == "answer"
    assert stand.plan.question.text == "Which word?"
    assert run.answer("the word gene", tmp_path / "out").waits == "approval"


def test_a_stopped_run_ends_with_a_report_of_what_was_done(settings, tmp_path):
    run = led(settings)

    def stop(outcome):
        run.stop()

    run._ended = stop
    run.propose(None, REQUEST, tmp_path / "out")
    result = run.carry_out(tmp_path / "out").result
    assert [one.status for one in result.outcomes] == ["done", "skipped", "skipped"]
    assert "stopped by the user" in (tmp_path / "out" / "report.md").read_text()


def test_a_stop_during_a_tool_ends_the_tool(settings, tmp_path):
    def watch(event):
        if event.share is not None:
            run.stop()

    run = led(settings, watch=watch)
    run.propose(None, REQUEST, tmp_path / "out")
    result = run.carry_out(tmp_path / "out").result
    assert {one.status for one in result.outcomes} == {"skipped"}
    assert json.loads((tmp_path / "out" / "run.json").read_text())["claims"] == []


def test_what_cannot_be_done_at_all_is_reported_at_once(settings, tmp_path):
    refused = PlanDraft(refused=({"asks": (1, 2), "reason": "unsupported"},))
    stand = led(settings, refused).propose(None, REQUEST, tmp_path / "out")
    assert stand.waits == "nothing"
    assert stand.result.status == "refused"


def test_a_forgotten_thread_leaves_nothing(settings, tmp_path):
    run = led(settings)
    run.propose(None, REQUEST, tmp_path / "out")
    run.carry_out(tmp_path / "out")
    assert made(settings)
    run.forget()
    assert made(settings) == []
    assert not (settings.cache_dir / "threads" / "t-led").exists()
    with pytest.raises(InputError, match="ask something first"):
        led(settings).change([DraftStep(tool="count_letters")])
