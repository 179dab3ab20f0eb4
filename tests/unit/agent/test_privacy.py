import json

from langchain_core.messages import AIMessage

from cellwright.agent.context import Context
from cellwright.agent.plan import DraftStep, PlanDraft
from cellwright.agent.planner import propose
from cellwright.agent.privacy import own_names, stand_ins
from cellwright.agent.sample_passports import PASSPORTS
from cellwright.agent.scripted import ScriptedModel
from cellwright.settings import Settings
from tests.unit.agent.test_session import BOTH, run
from tests.unit.agent.test_session import settings as settings
from tests.unit.agent.toys import toys as toys

DATA = PASSPORTS[0][4]


class RemoteModel(ScriptedModel):
    """A scripted model that counts as one elsewhere."""

    @property
    def _llm_type(self) -> str:
        return "remote-toy"


def words(model: ScriptedModel) -> str:
    return json.dumps([str(one.content) for call in model.calls for one in call])


def test_strict_holds_back_every_name_and_value_and_the_plan_has_them_again() -> None:
    _, back = stand_ins(DATA)
    own = {own: stand_in for stand_in, own in back.items()}
    args = {"column": own["response"], "group_a": own["Responder"], "group_b": "x"}
    model = RemoteModel(
        [PlanDraft(steps=(DraftStep(tool="compare_groups", args=args, asks=(1,)),))]
    )
    proposal = propose(model, "compare them", DATA, strict=True)
    sent = words(model)
    for column in DATA.columns:
        for name in (column.name, *column.values):
            assert f'"{name}"' not in sent.replace('\\"', '"') or name in {"response"}
    assert "Responder" not in sent
    assert "Pre_P1" not in sent
    assert proposal.draft.steps[0].args == {
        "column": "response", "group_a": "Responder", "group_b": "x"
    }  # fmt: skip


def test_without_strict_the_model_sees_names_but_no_expression() -> None:
    model = RemoteModel([PlanDraft()])
    propose(model, "compare them", DATA)
    assert "Responder" in words(model)


def test_lists_of_names_come_back_too() -> None:
    step = DraftStep(tool="find_markers", args={"groups": ["label_1_value_1"], "n_genes": 5})
    back = {"label_1_value_1": "Naive T Cells"}
    assert own_names(PlanDraft(steps=(step,)), back).steps[0].args == {
        "groups": ["Naive T Cells"], "n_genes": 5
    }  # fmt: skip


def test_what_a_remote_model_is_sent_is_in_the_ledger() -> None:
    model = RemoteModel([PlanDraft()])
    context = Context(settings=Settings(), model=model)
    answer = context.planner().invoke("hello")
    assert isinstance(answer, AIMessage)
    assert context.sent == [{"to": "remote-toy", "characters": 5, "text": ["hello"]}]


def test_a_run_writes_tokens_cost_and_what_left_the_machine(settings, tmp_path) -> None:
    priced = settings.model_copy(update={"price": (1.0, 2.0)})
    run(priced, RemoteModel([BOTH]), tmp_path)
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert [entry["to"] for entry in record["sent"]] == ["remote-toy", "remote-toy"]
    assert [entry["cost"] for entry in record["usage"]] == [0.0, 0.0]
    assert not any("sent" in entry for entry in record["usage"])


def test_strict_privacy_sends_no_claims(settings, tmp_path) -> None:
    strict = settings.model_copy(update={"privacy": "strict"})
    run(strict, RemoteModel([BOTH]), tmp_path)
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert len(record["sent"]) == len(record["usage"]) == 1


def test_a_local_model_sends_nothing(settings, tmp_path) -> None:
    run(settings, ScriptedModel([BOTH]), tmp_path)
    assert json.loads((tmp_path / "out" / "run.json").read_text())["sent"] == []
