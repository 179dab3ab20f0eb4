"""A summary that a language model words, of which the checker keeps what the claims back."""

import json
from typing import Any

import pytest
from langchain_core.messages import AIMessage

from cellwright.agent.context import Context
from cellwright.agent.document import compose
from cellwright.agent.plan import DraftStep, PlanDraft
from cellwright.agent.planner import EmbeddedPlanner
from cellwright.agent.report import render_html, render_markdown
from cellwright.agent.scripted import ScriptedModel
from cellwright.agent.session import ask
from cellwright.agent.summary import summarise
from cellwright.settings import Settings
from cellwright.tools.spec import Claim
from cellwright.tools.workbench import Workbench
from tests.unit.agent.test_report import run
from tests.unit.agent.toys import CountArgs, CountResult, tool
from tests.unit.agent.toys import bench as bench
from tests.unit.agent.toys import toys as toys

PLAIN = "The word has 4 letters."
WORDED = "In total, the word has 4 letters."


class Counted(ScriptedModel):
    """A model elsewhere, which counts tokens."""

    @property
    def _llm_type(self) -> str:
        return "elsewhere"

    def _generate(self, *args: Any, **kwargs: Any) -> Any:
        made = super()._generate(*args, **kwargs)
        message = made.generations[0].message
        assert isinstance(message, AIMessage)
        message.usage_metadata = {"input_tokens": 90, "output_tokens": 9, "total_tokens": 99}
        return made


class Broken(ScriptedModel):
    """A model that is down."""

    def _generate(self, *args: Any, **kwargs: Any) -> Any:
        msg = "no route to host"
        raise OSError(msg)


def context(bench, model, **settings) -> Context:
    chosen = Settings(cache_dir=bench.settings.cache_dir, offline=True, **settings)
    return Context(settings=chosen, folder=bench.store.folder, model=model)


def worded(bench, answer: str, model=ScriptedModel):
    """The summary, what it took, and the document with it."""
    state = run(bench, "count_letters", word="gene")
    summary, usage = summarise(state, context(bench, model([answer])))
    return summary, usage, compose({**state, "summary": summary}, bench)


def test_a_line_that_the_claims_back_heads_the_report_with_its_facts_and_its_author(bench):
    summary, usage, document = worded(bench, f"- {WORDED}\n")
    assert (usage["kept"], usage["thrown_away"]) == (1, [])
    ((step, said),) = document.answer
    assert (step, said.text) == ("s1", WORDED)
    assert [(one.text, one.pointer) for one in said.segments if one.artifact] == [("4", "letters")]
    text, html = render_markdown(document), render_html(document, bench)
    assert text.index(WORDED) < text.index(PLAIN)
    for report in (text, html):
        assert "cellwright-scripted worded this summary from the findings below" in report
    assert json.loads(json.dumps(summary)) == summary


@pytest.mark.parametrize(
    "line",
    [
        "The word has 5 letters.",
        "The word has letters.",
        "The word has not 4 letters.",
        "The word has 4 letters, which is a bad prognosis.",
        "The word has 4 letters that were looked at.",
        "What a lovely word.",
        "[The word](https://example.org) has 4 letters.",
        "The word has 4 <b>letters</b>.",
    ],
)
def test_a_line_that_says_anything_else_is_thrown_away_and_the_plain_claims_stand(bench, line):
    summary, usage, document = worded(bench, line)
    assert summary is None
    assert (usage["kept"], usage["thrown_away"]) == (0, [line])
    assert [said.text for _, said in document.answer] == [PLAIN]
    assert "worded this summary" not in render_markdown(document)


def test_a_step_whose_leading_finding_no_line_says_has_it_in_plain_words(bench):
    _, usage, document = worded(bench, "Only 4 were looked at.\nAll 4 are fine.")
    assert usage["thrown_away"] == ["All 4 are fine."]
    assert [said.text for _, said in document.answer] == ["Only 4 were looked at.", PLAIN]


@pytest.mark.parametrize(("model", "error"), [(Broken, "OSError: no route to host"),
                                              (ScriptedModel, None)])  # fmt: skip
def test_a_model_that_fails_or_says_nothing_leaves_the_plain_summary(bench, model, error):
    summary, usage, document = worded(bench, " \n", model)
    assert summary is None
    assert usage.get("error") == error
    assert [said.text for _, said in document.answer] == [PLAIN]


def test_claims_alone_leave_the_machine_and_the_ledger_has_every_word(bench):
    state = run(bench, "count_letters", word="gene")
    model = Counted([WORDED])
    _, usage = summarise(state, context(bench, model))
    (system, user) = (str(one.content) for one in model.calls[0])
    assert json.loads(user) == {"s1": [PLAIN, "Only 4 were looked at."]}
    assert state["request"] not in system
    assert [one["text"] for one in usage["sent"]] == [[system, user]]
    assert (usage["input_tokens"], usage["output_tokens"]) == (90, 9)


def test_no_model_is_asked_in_strict_privacy_and_the_embedded_one_never(bench, tmp_path):
    state, model = run(bench, "count_letters"), ScriptedModel([WORDED])
    assert summarise(state, context(bench, model, privacy="strict")) == (None, {})
    assert model.calls == []
    assert summarise(state, context(bench, EmbeddedPlanner(base=tmp_path))) == (None, {})
    assert summarise(state, context(bench, None)) == (None, {})


class TypesResult(CountResult):
    """A result whose claim has translations."""

    n_cells: int = 700
    level: str = "cell"
    n_types: int = 2
    counts: tuple[dict[str, str | float], ...] = ({"label": "B_cell", "share": 0.31},)

    def claims(self) -> list[Claim]:
        return [
            Claim(template="{n_cells:,} cells were annotated {level} by {level}: {n_types} cell "
                  "types, most often {counts.0.label} ({counts.0.share:.1%}).")
        ]  # fmt: skip


def types(_args: CountArgs, _bench: Workbench) -> TypesResult:
    return TypesResult(letters=1)


def test_a_summary_is_worded_and_checked_in_the_language_of_the_request(tmp_path, monkeypatch):
    said = tool("name_types", types, result=TypesResult)
    monkeypatch.setattr("cellwright.tools.registry.ALL_TOOLS", (said,))
    kept = "총 700개 세포를 주석한 결과 세포 유형은 2가지이며, 가장 많은 것은 B_cell (31.0%)입니다."
    wrong = (
        "총 700개 세포를 주석한 결과 세포 유형은 3가지이며, 가장 많은 것은 B_cell (31.0%)입니다."
    )
    claimed = "총 700개 세포는 2가지 유형이며, 가장 많은 B_cell (31.0%)은 악성입니다."
    draft = PlanDraft(steps=(DraftStep(tool="name_types", asks=(1,)),))
    model = ScriptedModel([draft, "\n".join([wrong, kept, claimed])])
    result = ask(None, "세포 유형을 주석해줘", out=tmp_path / "out", model=model,
                 settings=Settings(cache_dir=tmp_path / "cache", offline=True),
                 execute_notebook=False)  # fmt: skip
    assert result.answer == (kept,)
    assert "in Korean" in str(model.calls[1][0].content)
    text = (tmp_path / "out" / "report.md").read_text()
    assert kept.replace("_", r"\_") in text
    assert "언어 모델 cellwright-scripted" in text
    assert "Where there is no translation" not in text
    summary = json.loads((tmp_path / "out" / "run.json").read_text())["usage"][-1]
    assert summary["thrown_away"] == [wrong, claimed]


@pytest.mark.parametrize(
    ("said", "answer"),
    [(WORDED, (WORDED,)), ("Only 4 were looked at, in total.",
                           ("Only 4 were looked at, in total.", PLAIN))],
)  # fmt: skip
def test_a_run_keeps_what_was_worded_in_its_record_and_in_its_answer(tmp_path, toys, said, answer):
    step = DraftStep(tool="count_letters", args={"word": "gene"}, asks=(1,))
    model = Counted([PlanDraft(steps=(step,)), said])
    settings = Settings(cache_dir=tmp_path / "cache", offline=True, price=(1000.0, 1000.0))
    out = tmp_path / "out"
    result = ask(None, "count the letters", out=out, model=model, settings=settings,
                 execute_notebook=False)  # fmt: skip
    assert result.answer == answer
    assert result.status == "done"
    record = json.loads((out / "run.json").read_text())
    planned, summary = record["usage"]
    assert (summary["purpose"], summary["kept"], summary["cost"]) == ("summary", 1, 0.099)
    assert planned["model"] == summary["model"]
    assert len(record["sent"]) == 2
    assert f"| Planned by | {planned['model']} in" in (out / "report.md").read_text()


def test_a_worded_summary_that_the_last_check_refuses_costs_no_report(tmp_path, toys, monkeypatch):
    lie = {"step": "s1", "segments": [{"text": "The word has 9 letters."}]}
    monkeypatch.setattr(
        "cellwright.agent.summary.summarise", lambda *_: ({"by": "toy", "lines": [lie]}, {})
    )
    step = DraftStep(tool="count_letters", args={"word": "gene"}, asks=(1,))
    result = ask(None, "count the letters", out=tmp_path / "out",
                 model=ScriptedModel([PlanDraft(steps=(step,))]), execute_notebook=False,
                 settings=Settings(cache_dir=tmp_path / "cache", offline=True))  # fmt: skip
    assert result.answer == (PLAIN,)
    text = (tmp_path / "out" / "report.md").read_text()
    assert "9 letters" not in text
    assert "worded this summary" not in text
