import json

import pytest
from typer.testing import CliRunner

from cellwright.cli import app
from cellwright.knowledge import Knowledge
from cellwright.tools.registry import ALL_TOOLS
from tests.unit.tools.factory import _knowledge, make_adata, write

runner = CliRunner()


@pytest.fixture(autouse=True)
def tables_are_read_once(monkeypatch):
    known = _knowledge()
    monkeypatch.setattr(Knowledge, "open", staticmethod(lambda _settings=None: known))


@pytest.fixture
def data(tmp_path):
    return str(write(make_adata(), tmp_path))


def test_tools_are_listed_and_their_arguments_shown():
    listed = runner.invoke(app, ["tool"]).stdout
    assert all(spec.name in listed for spec in ALL_TOOLS)
    schema = json.loads(runner.invoke(app, ["tool", "find_markers", "--schema"]).stdout)
    assert set(schema["properties"]) == {"group_by", "groups", "n_genes"}


def test_arguments_are_read_as_their_fields_want_them(data, tmp_path):
    words = ["groups=B cell, T cell", "n_genes=2"]
    done = runner.invoke(app, ["tool", "find_markers", data, *words, "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert {one["group"] for one in found["groups"]} == {"B cell", "T cell"}
    assert [len(one["names"]) for one in found["groups"]] == [2, 2]


def test_what_was_made_is_copied_to_a_folder(data, tmp_path):
    out = tmp_path / "out"
    done = runner.invoke(
        app, ["tool", "plot_cells", data, "kind=violin", 'genes=["LYZ"]', "--out", str(out)]
    )
    assert done.exit_code == 0, done.output
    assert [path.suffix for path in out.iterdir()] == [".png"]
    assert "written: " in done.stdout


@pytest.mark.parametrize(
    ("words", "code", "wanted"),
    [
        (["no_such_tool"], 1, "Tools: describe_dataset"),
        (["find_markers", "DATA", "n_genes=many"], 1, "find_markers: n_genes:"),
        (["find_markers", "DATA", "genes=3"], 1, "Extra inputs"),
        (["find_markers"], 3, "no data file was given"),
        (["find_markers", "DATA", "DATA"], 2, "One data file is enough"),
        (["find_markers", "absent.h5ad"], 2, "absent.h5ad"),
    ],
)
def test_mistakes_are_one_line_and_an_exit_code(words, code, wanted, data):
    given = [data if word == "DATA" else word for word in words]
    done = runner.invoke(app, ["tool", *given])
    assert done.exit_code == code, done.output
    assert wanted in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
