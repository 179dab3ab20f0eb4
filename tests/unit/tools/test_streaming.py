import csv
from pathlib import Path

import anndata
import numpy as np
import pytest
from scipy import sparse

from cellwright.errors import InputError
from cellwright.settings import Settings
from cellwright.tools import streaming
from cellwright.tools.streaming import annotate_to_table


def make_file(folder: Path, n: int = 30) -> Path:
    rng = np.random.default_rng(0)
    genes = ["CD3D", "CD3E", "MS4A1", "CD79A", "LYZ", "S100A8", "NKG7", "GNLY", "ACTB", "GAPDH"]
    genes += ["B2M", "MALAT1", "CD8A", "CD4", "FCGR3A", "CST3", "PPBP", "IL7R", "CCR7", "GZMB"]
    counts = rng.poisson(2.0, size=(n, len(genes))).astype(np.float32)
    adata = anndata.AnnData(sparse.csr_matrix(counts))
    adata.var_names = genes
    adata.obs_names = [f"cell{at}" for at in range(n)]
    path = folder / "cells.h5ad"
    adata.write_h5ad(path)
    return path


def test_a_stopped_run_goes_on_after_its_last_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cellwright.cellmodel.streaming.BLOCK", 8)
    path, out = make_file(tmp_path), tmp_path / "labels.csv"
    assert annotate_to_table(path, out, Settings()) == 30
    rows = list(csv.reader(out.open(encoding="utf-8")))
    assert tuple(rows[0]) == streaming.HEADER
    assert [row[0] for row in rows[1:]] == [f"cell{at}" for at in range(30)]

    draft = tmp_path / "again.csv.partial"
    lines = out.read_text(encoding="utf-8").splitlines()
    draft.write_text("\n".join([*lines[:9], "cell8,half"]) + "\n", encoding="utf-8")
    seen: list[str] = []
    again = tmp_path / "again.csv"
    annotate_to_table(path, again, Settings(), progress=lambda text, _share: seen.append(text))
    assert again.read_text(encoding="utf-8").splitlines() == lines
    assert not draft.exists()


def test_what_cannot_be_streamed_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Only \.h5ad"):
        annotate_to_table(tmp_path / "cells.csv", tmp_path / "out.csv", Settings())
    path = make_file(tmp_path)
    adata = anndata.read_h5ad(path)
    adata.X = sparse.csr_matrix(adata.X.toarray() - 3.0)
    adata.write_h5ad(path)
    with pytest.raises(InputError, match="no counts"):
        annotate_to_table(path, tmp_path / "out.csv", Settings())
