import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cellwright.agent import planner
from cellwright.agent.scripted import ScriptedModel
from cellwright.cellmodel.instructions.templates import load_templates
from cellwright.cli.templates import write_templates
from cellwright.errors import InputError

app = typer.Typer()
app.command()(write_templates)


def test_the_grammar_writes_a_file(tmp_path: Path) -> None:
    out = tmp_path / "t.jsonl"
    result = CliRunner().invoke(app, ["--out", str(out), "--n", "20", "--task", "DSP"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    found = load_templates(out)
    assert report["templates"] == len(found) == 60
    assert {one.language for one in found} == {"english", "korean", "chinese"}
    assert {one.task for one in found} == {"DSP"}


def test_a_chat_model_writes_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ScriptedModel(drafts=["calm", "To learn.", "Without a slot."])
    monkeypatch.setattr(planner, "choose_model", lambda _settings, _name: model)
    out = tmp_path / "t.jsonl"
    arguments = ["--out", str(out), "--n", "2", "--task", "CTA", "--language", "english"]
    result = CliRunner().invoke(app, [*arguments, "--model", "openai:any"])
    assert result.exit_code == 0, result.output
    row = json.loads(result.stdout)["by"][0]
    assert row["dropped"] == {"instruction fails a check": 2}
    assert row["calls"] == len(model.calls) == 2 + 2 * 4


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--task", "XYZ"], "CTA, DSP, CPCG"),
        (["--language", "french"], "english"),
        (["--model", "embedded"], "provider:name"),
    ],
)
def test_what_does_not_exist_is_refused(
    tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    result = CliRunner().invoke(app, ["--out", str(tmp_path / "t.jsonl"), *arguments])
    assert isinstance(result.exception, InputError)
    assert complaint in str(result.exception)
