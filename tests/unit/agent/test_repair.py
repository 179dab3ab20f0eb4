from cellwright.agent.plan import DraftStep, PlanDraft
from cellwright.agent.scripted import ScriptedModel
from cellwright.agent.session import ask
from cellwright.errors import ToolError
from tests.unit.agent.toys import count, tool

WRONG = "There is no group 'monocyte'. Did you mean 'CD14+ Monocyte'?"


def picky(args, bench):
    if args.word == "monocyte":
        raise ToolError(WRONG)
    return count(args, bench)


def test_a_step_that_was_mended_is_replayed_as_it_was_run(settings, tmp_path, monkeypatch):
    monkeypatch.setattr("cellwright.tools.registry.ALL_TOOLS", (tool("pick_one", picky),))
    draft = PlanDraft(steps=(DraftStep(tool="pick_one", args={"word": "monocyte"}, asks=(1,)),))
    run = ask(
        None,
        "pick the monocytes",
        out=tmp_path / "report",
        model=ScriptedModel([draft]),
        settings=settings,
        execute_notebook=False,
    )
    assert run.status == "done"
    assert run.plan.steps[0].args == {"word": "CD14+ Monocyte"}
    assert "Did you mean" in run.outcomes[0].note
    notebook = (tmp_path / "report" / "report.ipynb").read_text()
    assert "word='CD14+ Monocyte'" in notebook
    assert run.outcomes[0].tries == 2
