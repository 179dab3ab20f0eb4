import json

import pytest
from typer.testing import CliRunner

from cellwright.cli import app

runner = CliRunner()


@pytest.mark.weights
def test_a_whole_installation_is_ok_and_a_cell_is_named():
    done = runner.invoke(app, ["doctor", "--json"])
    assert done.exit_code == 0, done.output
    found = {one["name"]: one for one in json.loads(done.stdout)}
    assert not [one for one in found.values() if one["state"] == "broken"]
    assert "'B cell'" in found["small run"]["detail"]
    assert found["[mcp]"]["state"] == "ok"


def test_absent_weights_are_said_with_the_command_that_fetches_them(monkeypatch, tmp_path):
    monkeypatch.setenv("CELLWRIGHT_CACHE_DIR", str(tmp_path / "new"))
    monkeypatch.setattr("cellwright.cli.doctor.EXTRAS", {"ollama": "no_such_module"})
    done = runner.invoke(app, ["doctor"])
    assert done.exit_code == 1
    assert "cellwright models pull" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "[ollama]: not installed -> pip install 'cellwright[ollama]'" in done.stdout


def test_a_cache_that_cannot_be_written_is_said(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CELLWRIGHT_CACHE_DIR", str(tmp_path / "file" / "cache"))
    done = runner.invoke(app, ["doctor"])
    assert done.exit_code == 1
    assert "cannot be written to" in done.stdout
    assert "CELLWRIGHT_CACHE_DIR" in done.stderr
