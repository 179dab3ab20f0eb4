"""The main job as a user runs it: real cells, embedded planner, every stage, executed notebook."""

import json
import warnings
from pathlib import Path

import anndata
import pytest
import scanpy
from typer.testing import CliRunner

from cellwright.agent.notebook import outputs
from cellwright.cli import app

pytestmark = pytest.mark.weights

REQUEST = (
    "Annotate the cells and compare with the file's own labels, show a UMAP, explain which genes "
    "make the B cells, generate 20 B cells and check them, and compute the RNA velocity"
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "pbmc68k_reduced.h5ad"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scanpy.datasets.pbmc68k_reduced().write_h5ad(path)
    return path


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, Path]:
    out = tmp_path_factory.mktemp("report")
    result = CliRunner().invoke(
        app, ["ask", str(data), REQUEST, "--out", str(out), "--yes", "--json"]
    )
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout), out


def test_everything_asked_for_is_done_or_refused_with_a_reason(run):
    record, _ = run
    ends = {entry["ask"]: entry["status"] for entry in record["ledger"]}
    assert ends.pop("compute the RNA velocity") == "refused"
    assert set(ends.values()) == {"done"}
    assert all(entry["alternative"] for entry in record["ledger"] if entry["status"] == "refused")


def test_every_deliverable_is_there(run):
    _, out = run
    for name in ("report.md", "report.html", "report.ipynb", "run.json", "annotated.h5ad"):
        assert (out / name).stat().st_size > 1000
    assert len(list((out / "figures").glob("*.png"))) >= 4
    html = (out / "report.html").read_text()
    assert html.count("data:image/png;base64") >= 4
    assert "PMID" in html


def test_the_users_columns_are_kept_and_ours_are_beside_them(run, data):
    _, out = run
    before, after = anndata.read_h5ad(data), anndata.read_h5ad(out / "annotated.h5ad")
    assert list(after.obs["bulk_labels"]) == list(before.obs["bulk_labels"])
    assert (after.X == before.X).all()
    for name in ("cell_type", "cell_type_ontology_term_id", "score", "label_set"):
        assert f"cellwright_{name}" in after.obs
    assert (after.obs["cellwright_cell_type"] == "B cell").sum() > 50


def test_every_fact_of_the_record_is_in_its_artifact(run):
    _, out = run
    record = json.loads((out / "run.json").read_text())
    facts = [fact for claim in record["claims"] for fact in claim["facts"]]
    assert len(facts) > 40
    for fact in facts:
        value = json.loads((out / "evidence" / f"{fact['artifact']}.json").read_text())
        for part in fact["pointer"].split("."):
            value = value[int(part)] if isinstance(value, list) else value[part]
        assert value is not None or fact["text"] == "–"


def test_the_notebook_finds_what_the_report_quotes(run):
    _, out = run
    said = "\n".join(outputs(out / "report.ipynb"))
    assert said.count("the same as the report") == 4
    assert "DIFFERENT" not in said


def test_generated_cells_are_marked(run):
    _, out = run
    (path,) = out.glob("*_generated.h5ad")
    cells = anndata.read_h5ad(path)
    assert cells.n_obs == 20
    assert cells.obs["cellwright_is_synthetic"].all()
    assert cells.uns["cellwright_synthetic"]["is_synthetic"]


def test_one_cell_is_answered_with_a_label(data):
    command = [
        "cell",
        str(data),
        "--index",
        "3",
        "--prompt",
        "Which cell type is {input}?",
        "--json",
    ]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert answer["label"] == answer["text"]
    assert 0 < answer["score"] <= 1
