import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cellwright.cli.knowledge import app
from cellwright.errors import InputError


def run(*arguments: str) -> Any:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_match_prints_the_contract() -> None:
    found = run("match", "CD3D", "CD3E", "--species", "human", "--json")
    assert {"cell_type", "ontology_id", "score", "genes", "evidence"} <= found[0].keys()
    assert found[0]["ontology_id"] == "CL:0000084"
    assert found[0]["evidence"][0]["cite"].startswith("[")


def test_match_reads_a_batch(tmp_path: Path) -> None:
    path = tmp_path / "lists.txt"
    path.write_text("CD3D,CD3E\nGCG, TTR\n", encoding="utf-8")
    found = run("match", "--batch", str(path), "--species", "human", "--json")
    assert [one[0]["ontology_id"] for one in found] == ["CL:0000084", "CL:0000171"]


@pytest.mark.parametrize(
    ("name", "status"), [("TP53", "ok"), ("PD1", "ambiguous"), ("zzz9", "unknown")]
)
def test_gene_prints_the_contract(name: str, status: str) -> None:
    found = run("gene", name, "--species", "human", "--json")
    assert found["status"] == status
    assert {"symbol", "gene_id", "ensembl_id", "name", "why", "candidates"} <= found.keys()


def test_cell_type_and_drug_print_the_contract() -> None:
    assert run("cell-type", "CD14+ Mono", "--json")["ontology_id"] == "CL:0001054"
    assert run("drug", "Tarceva", "--json")["name"] == "Erlotinib"


def test_readable_output() -> None:
    result = CliRunner().invoke(app, ["match", "CD3D", "CD3E", "zzz9"])
    assert "T cell" in result.stdout
    assert "ahead of the next" in result.stdout
    assert "zzz9" in result.stderr


def test_coverage_says_what_became_of_each_name(tmp_path: Path) -> None:
    path = tmp_path / "genes.txt"
    path.write_text("TP53\nGCG\nPDL1\nCD274\nCD25\n1-Mar\nnonsense9\nCD3D\nMS4A1\n", "utf-8")
    found = run("coverage", str(path), "--json")
    assert found["species"] == "human"
    assert found["shared"] == {"CD274": ["PDL1", "CD274"]}
    assert found["unknown"] == ["nonsense9"]
    assert "IL2RA" in found["ambiguous"]["CD25"]
    shown = CliRunner().invoke(app, ["coverage", str(path)]).stdout
    assert "6 of 9 names (66.7%) lead to 5 genes" in shown
    missing = CliRunner().invoke(app, ["coverage", str(tmp_path / "none.h5ad")])
    assert "There is no file" in str(missing.exception)


def test_wrong_use() -> None:
    assert isinstance(CliRunner().invoke(app, ["match"]).exception, InputError)
    assert CliRunner().invoke(app, ["gene", "TP53", "--species", "rat"]).exit_code == 2
    missing = CliRunner().invoke(app, ["match", "--batch", "/nonexistent/lists.txt"])
    assert isinstance(missing.exception, InputError)
