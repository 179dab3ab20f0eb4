import anndata
import pytest

from cellwright import Assistant
from cellwright.agent.context import Event
from cellwright.agent.plan import DraftStep, DraftUnclear, PlanDraft
from cellwright.agent.scripted import ScriptedModel
from cellwright.assistant import Answer
from cellwright.errors import InputError
from cellwright.knowledge import Knowledge
from cellwright.settings import Settings
from cellwright.tools.registry import ALL_TOOLS
from tests.unit.agent.toys import CountResult, count, tool
from tests.unit.tools.factory import _knowledge, make_adata, write

MARK = PlanDraft(steps=(DraftStep(tool="mark_cells", asks=(1,)),))
COUNT = PlanDraft(steps=(DraftStep(tool="count_letters", asks=(1,)),))
UNCLEAR = PlanDraft(unclear=(DraftUnclear(asks=(1,), about="goal"),))
PNG = b"\x89PNG made up"


def mark(args, bench):
    """Add a column, and draw."""
    adata = bench.adata()
    adata.obs["cellwright_mark"] = "marked"
    figure = bench.store.put_file("figure", lambda path: path.write_bytes(PNG), "A figure")
    return CountResult(
        letters=4, data=bench.put_adata(adata, "marked", tool="mark_cells"), figures=(figure,)
    )


@pytest.fixture(autouse=True)
def toy_tools(monkeypatch):
    known = _knowledge()
    monkeypatch.setattr(Knowledge, "open", staticmethod(lambda _settings=None: known))
    toys = (*ALL_TOOLS, tool("mark_cells", mark), tool("count_letters", count))
    monkeypatch.setattr("cellwright.tools.registry.ALL_TOOLS", toys)


@pytest.fixture
def settings(tmp_path):
    return Settings(cache_dir=tmp_path / "cache", checkpoint=tmp_path / "none")


def test_cells_in_memory_are_asked_about_and_stay_as_they_are(settings):
    adata = make_adata()
    assistant = Assistant(adata, model=ScriptedModel([MARK, COUNT]), settings=settings)
    first = assistant.ask("mark the cells")
    assert first.status == "done"
    assert first.text == "The word has 4 letters.\nCaveat: Only 4 were looked at."
    assert first.figures[0]._repr_png_() == PNG
    assert list(adata.obs) == ["cell_type"]
    made = assistant.adata()
    assert set(made.obs["cellwright_mark"]) == {"marked"}
    assert assistant.ask("count the letters").status == "done"
    assert "cellwright_mark" in assistant.adata().obs
    resumed = Assistant(adata, thread=assistant.thread, settings=settings)
    assert "cellwright_mark" in resumed.adata().obs
    assert (made.X != adata.X).nnz == 0
    html = first._repr_html_()
    assert "data:image/png;base64," in html
    assert "<td>mark the cells</td><td>done</td>" in html


def test_steps_are_streamed_and_the_answer_comes_last(settings, tmp_path):
    assistant = Assistant(
        write(make_adata(), tmp_path), model=ScriptedModel([MARK]), settings=settings
    )
    *events, answer = assistant.stream("mark the cells")
    assert isinstance(answer, Answer)
    assert all(isinstance(one, Event) for one in events)
    stages = list(dict.fromkeys(one.stage for one in events))
    assert stages == ["intake", "plan", "review", "act", "verify"]


def test_an_error_in_the_stream_is_raised(settings):
    with pytest.raises(InputError, match="absent"):
        list(Assistant("absent.h5ad", settings=settings).stream("annotate"))


def test_a_question_is_replied_to(settings):
    assistant = Assistant(
        make_adata(), model=ScriptedModel([UNCLEAR, UNCLEAR, COUNT]), settings=settings
    )
    asked = assistant.ask("analyse it")
    assert asked.status == "needs_clarification"
    assert asked.question.choices[0] in asked.text
    replied = assistant.reply(asked.question.choices[0])
    assert replied.status != "needs_clarification"
    assert replied.question is None


def test_a_branch_goes_on_by_itself(settings):
    assistant = Assistant(make_adata(), model=ScriptedModel([MARK, COUNT]), settings=settings)
    assistant.ask("mark the cells")
    other = assistant.branch("markers")
    assert other.thread.startswith(assistant.thread)
    assert other.ask("mark the cells").status == "done"


def test_a_plan_runs_nothing(settings):
    assistant = Assistant(make_adata(), model=ScriptedModel([MARK]), settings=settings)
    assert [step.tool for step in assistant.plan("mark the cells").steps] == ["mark_cells"]
    assert isinstance(assistant.adata(), anndata.AnnData)


def test_a_conversation_without_data_has_no_cells(settings):
    with pytest.raises(InputError, match="no data file"):
        Assistant(None, settings=settings).adata()
