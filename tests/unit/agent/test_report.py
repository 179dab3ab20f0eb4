import json

import pytest

from cellwright.agent.context import Context
from cellwright.agent.document import compose
from cellwright.agent.plan import Plan, PlanStep, Refusal
from cellwright.agent.report import check_markdown, render_html, render_markdown, write
from cellwright.agent.state import Outcome
from cellwright.agent.verify import ledger
from cellwright.errors import ReportError
from tests.unit.agent.toys import bench as bench
from tests.unit.agent.toys import toys as toys


def run(bench, tool, **args):
    """The state of a run of one step, made by hand."""
    result = bench.run(tool, **args)
    ref = bench.store.put_json(result.model_dump(mode="json"), "toy", tool=tool)
    step = PlanStep(id="s1", tool=tool, args=args, delivers="Letters", asked_by="count the letters")
    refused = (Refusal(ask="<b>fly</b>", reason="It has no wings.", alternative="Walk."),)
    plan = Plan(
        status="ready", asks=("count the letters", "<b>fly</b>"), steps=(step,), refused=refused
    )
    outcome = Outcome(step="s1", tool=tool, status="done", result=ref.id)
    return {
        "request": "count the letters and <b>fly</b>",
        "path": "",
        "passport": None,
        "data": None,
        "plan": plan.model_dump(mode="json"),
        "outcomes": [outcome.model_dump(mode="json")],
        "ledger": [entry.model_dump(mode="json") for entry in ledger(plan, [outcome], bench.store)],
        "usage": [{"seconds": 0.1, "model": "toy"}],
    }


def test_the_report_says_what_was_found_and_what_was_refused(bench):
    text = render_markdown(compose(run(bench, "count_letters", word="gene"), bench))
    assert "The word has 4 letters." in text
    assert "To keep in mind" in text
    assert "It has no wings. Walk." in text
    assert "**refused**" in text


def test_text_of_the_request_is_data_in_html_and_markdown(bench):
    document = compose(run(bench, "count_letters"), bench)
    assert "<b>fly</b>" not in render_html(document, bench)
    assert r"\<b\>fly" in render_markdown(document)


def test_each_fact_of_the_html_points_at_its_artifact(bench):
    state = run(bench, "count_letters", word="gene")
    html = render_html(compose(state, bench), bench)
    artifact = state["outcomes"][0]["result"]
    assert f'href="#{artifact}" title="{artifact} · letters">4</a>' in html
    assert f'id="{artifact}"' in html


def test_a_claim_with_a_fact_of_its_own_is_refused(bench):
    state = run(bench, "tell_lies")
    with pytest.raises(ReportError, match="99"):
        compose(state, bench)


def test_a_draft_whose_number_was_changed_is_caught(bench):
    document = compose(run(bench, "count_letters", word="gene"), bench)
    text = render_markdown(document)
    check_markdown(text, document)
    with pytest.raises(ReportError):
        check_markdown(text.replace("has 4 letters", "has 5 letters"), document)


def test_a_result_that_was_changed_on_disk_changes_the_claim_or_fails(bench):
    state = run(bench, "count_letters", word="gene")
    path = bench.store.path(state["outcomes"][0]["result"])
    path.write_text(json.dumps({**json.loads(path.read_text()), "letters": "many"}))
    with pytest.raises(Exception, match="letters"):
        compose(state, bench)


def test_every_file_is_written_and_the_record_names_the_source_of_each_claim(bench, tmp_path):
    context = Context(
        settings=bench.settings,
        folder=bench.store.folder,
        out=tmp_path / "out",
        execute_notebook=False,
    )
    state = run(bench, "count_letters", word="gene")
    written = write(state, context)
    assert set(written) == {"report.md", "report.html", "run.json", "report.ipynb"}
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    artifact = state["outcomes"][0]["result"]
    assert record["claims"][0]["facts"] == [
        {"text": "4", "artifact": artifact, "pointer": "letters"}
    ]
    assert (tmp_path / "out" / "evidence" / f"{artifact}.json").is_file()
    assert {entry["status"] for entry in record["ledger"]} == {"done", "refused"}


def test_nothing_is_written_when_a_claim_is_unbacked(bench, tmp_path):
    context = Context(settings=bench.settings, folder=bench.store.folder, out=tmp_path / "out")
    with pytest.raises(ReportError):
        write(run(bench, "tell_lies"), context)
    assert not (tmp_path / "out").exists()
