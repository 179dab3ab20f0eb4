import json
import subprocess
import sys
import time

import anndata
import numpy as np
import pytest
import scipy.sparse
from typer.testing import CliRunner

from cellwright.cli import app

runner = CliRunner()
GENES = ["CD3D", "CD3E", "MS4A1", "CD79A", "LYZ", "NKG7", "GNLY", "CST3", "PPBP", "IL7R"]


def cells(genes=GENES, n=30):
    counts = np.random.default_rng(0).poisson(1.0, (n, len(genes))).astype(np.float32)
    made = anndata.AnnData(scipy.sparse.csr_matrix(counts))
    made.var_names = list(genes)
    made.obs_names = [f"cell{i}" for i in range(n)]
    return made


def truncated(folder):
    path = folder / "cut.h5ad"
    cells().write_h5ad(path)
    path.write_bytes(path.read_bytes()[:3000])
    return path


def letters(folder):
    path = folder / "letters.csv"
    path.write_text("dear reader\nthese are\nno numbers, at all\n")
    return path


def empty(folder):
    path = folder / "empty.h5ad"
    made = cells()
    made.X = scipy.sparse.csr_matrix(made.shape, dtype=np.float32)
    made.write_h5ad(path)
    return path


def no_cells(folder):
    path = folder / "nobody.h5ad"
    cells()[:0].copy().write_h5ad(path)
    return path


def duplicated(folder):
    path = folder / "twins.h5ad"
    cells([*GENES[:5], *GENES[:5]]).write_h5ad(path)
    return path


def unknown_genes(folder):
    path = folder / "martian.h5ad"
    cells([f"zorg_{i}" for i in range(10)]).write_h5ad(path)
    return path


def word_among_numbers(folder):
    path = folder / "typo.csv"
    path.write_text("gene,c1,c2\nCD3D,1,two\nLYZ,1,2\nMS4A1,0,1\n")
    return path


def missing(folder):
    return folder / "nothing.h5ad"


BAD = [truncated, letters, empty, no_cells, duplicated, unknown_genes, word_among_numbers, missing]


@pytest.mark.parametrize("make", BAD)
def test_bad_files_get_one_clear_line_and_exit_code_2(make, tmp_path):
    path = make(tmp_path)
    before = path.read_bytes() if path.exists() else None
    for command in (
        ["describe", str(path)],
        ["annotate", str(path), "--out", str(tmp_path / "out.h5ad")],
    ):
        result = runner.invoke(app, command)
        assert result.exit_code == 2, result.output
        assert len(result.stderr.strip().splitlines()) == 1
        assert result.stderr.startswith("cellwright: ")
        assert path.name in result.stderr
        assert result.stdout == ""
    assert not (tmp_path / "out.h5ad").exists()
    assert (path.read_bytes() if path.exists() else None) == before


def test_describe_prints_the_passport_as_json(tmp_path):
    path = tmp_path / "cells.h5ad"
    cells().write_h5ad(path)
    result = runner.invoke(app, ["describe", str(path), "--json"])
    assert result.exit_code == 0, result.output
    passport = json.loads(result.stdout)
    assert passport["species"]["value"] == "human"
    assert passport["identifiers"]["value"] == "symbol"
    assert passport["matrices"][0]["state"] == "counts"
    assert all(passport[name]["evidence"] for name in ("species", "identifiers"))


def test_annotate_never_overwrites_its_input(tmp_path):
    path = tmp_path / "cells.h5ad"
    cells().write_h5ad(path)
    before = path.read_bytes()
    result = runner.invoke(app, ["annotate", str(path), "--out", str(path)])
    assert result.exit_code == 2
    assert path.read_bytes() == before


def test_help_answers_at_once_and_without_the_heavy_packages():
    probe = (
        "import sys, cellwright.cli; "
        "sys.exit(','.join(sorted({'torch', 'scanpy', 'chromadb', 'transformers', 'anndata',"
        " 'langgraph', 'langchain_core', 'pandas', 'sklearn'} & set(sys.modules))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=False
    )
    assert done.stderr.strip() == ""
    started = time.process_time()
    assert runner.invoke(app, ["--help"]).exit_code == 0
    assert time.process_time() - started < 1


def test_weights_that_do_not_exist_are_bad_input():
    result = runner.invoke(app, ["models", "verify", "gpt-9"])
    assert result.exit_code == 2
    assert "smollm2" in result.stderr


def test_the_list_of_weights_is_json():
    result = runner.invoke(app, ["models", "list", "--json"])
    assert {one["name"] for one in json.loads(result.stdout)} == {"smollm2", "minilm"}


@pytest.mark.weights
def test_doctor_finds_everything_in_place():
    result = runner.invoke(app, ["doctor"])
    assert result.exit_code == 0, result.output
    assert "missing" not in result.stdout


def test_a_conversation_goes_on_where_it_is_and_branches(monkeypatch, tmp_path):
    from cellwright.agent import session
    from cellwright.cli import chat

    asked = []

    def ask(data, said, *, thread, out, **_rest):
        asked.append((said, thread, out.name))
        return session.RunResult(
            thread=thread, status="done", plan=session.Plan(status="ready", asks=(said,)), files={},
            answer=("It has 5 cells.",),
        )  # fmt: skip

    monkeypatch.setattr(session, "ask", ask)
    monkeypatch.setattr(session, "branch", lambda thread, name: f"{thread}__{name}")
    data = tmp_path / "cells.h5ad"
    data.write_text("cells")
    command = ["chat", str(data), "--thread", "t-1", "--out", str(tmp_path / "out")]
    told = CliRunner().invoke(app, command, input="annotate\n/branch b\nonly T cells\n/nothing\n")
    assert told.exit_code == 0, told.output
    assert [one[:2] for one in asked] == [("annotate", "t-1"), ("only T cells", "t-1__b")]
    assert "It has 5 cells." in told.output
    assert "No command '/nothing'" in told.output
    assert chat.HELP in told.output
