import hashlib

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import io, sparse

from cellwright.errors import InputError
from cellwright.settings import Settings
from cellwright.tools.intake import KEY_COLUMN, SYMBOL_COLUMN
from cellwright.tools.workbench import Workbench
from tests.unit.tools.factory import GENES, make_adata, make_bench, write


def open_file(path, tmp_path):
    settings = Settings(cache_dir=tmp_path / "cache", checkpoint=tmp_path / "none")
    return Workbench.open(path, folder=tmp_path / "store", settings=settings)


def test_passport_of_counts(tmp_path):
    adata = make_adata(donors=3)
    bench = make_bench(adata, tmp_path)
    passport = bench.passport
    assert (passport.n_cells, passport.n_genes) == adata.shape
    assert passport.species.value == "human"
    assert passport.identifiers.value == "symbol"
    assert (passport.best, passport.state) == ("X", "counts")
    assert passport.column("label").name == "cell_type"
    assert passport.column("donor").name == "donor_id"
    assert passport.column("condition").name == "condition"
    assert all(column.evidence for column in passport.columns)
    assert passport.coverage == 1.0


def test_working_copy_keeps_cells_counts_and_columns(tmp_path):
    adata = make_adata()
    working = make_bench(adata, tmp_path).adata()
    assert list(working.obs_names) == list(adata.obs_names)
    assert (working.layers["counts"] != adata.X).nnz == 0
    np.testing.assert_allclose(np.expm1(working.X.toarray()).sum(axis=1), 1e4, rtol=1e-4)
    assert list(working.obs["cell_type"].astype(str)) == list(adata.obs["cell_type"].astype(str))
    assert list(working.var[SYMBOL_COLUMN]) == list(GENES)
    assert (working.var[KEY_COLUMN] != "").all()


def test_user_file_is_not_touched(tmp_path):
    path = write(make_adata(), tmp_path)
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    bench = open_file(path, tmp_path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before == bench.passport.sha256


def test_raw_is_read_when_x_is_scaled(tmp_path):
    adata = make_adata()
    logged = adata.copy()
    logged.X = np.log1p(adata.X.toarray() / adata.X.sum(axis=1) * 1e4)
    logged.raw = logged
    values = np.asarray(logged.X)
    logged.X = (values - values.mean(axis=0)) / values.std(axis=0)
    passport = make_bench(logged, tmp_path).passport
    assert [matrix.state for matrix in passport.matrices] == ["scaled", "log1p"]
    assert passport.best == "raw"


@pytest.mark.parametrize("transposed", [False, True])
def test_csv_lies_either_way(tmp_path, transposed):
    adata = make_adata(12)
    frame = pd.DataFrame(adata.X.toarray().astype(int), index=adata.obs_names, columns=GENES)
    path = tmp_path / "cells.csv"
    (frame.T if transposed else frame).to_csv(path)
    passport = open_file(path, tmp_path).passport
    assert (passport.n_cells, passport.n_genes, passport.state) == (12, len(GENES), "counts")


def test_10x_folder_and_zarr(tmp_path):
    adata = make_adata(12)
    folder = tmp_path / "tenx"
    folder.mkdir()
    io.mmwrite(folder / "matrix.mtx", sparse.coo_matrix(adata.X.T.astype(int)))
    (folder / "barcodes.tsv").write_text("\n".join(adata.obs_names))
    ids = [f"ENSG{at:011d}" for at in range(len(GENES))]
    rows = [f"{one}\t{name}" for one, name in zip(ids, GENES, strict=True)]
    (folder / "genes.tsv").write_text("\n".join(rows))
    assert open_file(folder, tmp_path).passport.n_cells == 12
    adata.write_zarr(tmp_path / "cells.zarr")
    assert open_file(tmp_path / "cells.zarr", tmp_path).passport.n_genes == len(GENES)


def test_duplicated_names_are_resolved_by_a_column_of_ids(tmp_path):
    adata = make_adata()
    adata.var["gene_ids"] = list(GENES)
    adata.var_names = [*GENES[:-1], GENES[0]]
    passport = make_bench(adata, tmp_path).passport
    assert passport.duplicated_genes == 1
    assert any("gene_ids" in warning for warning in passport.warnings)


def test_not_a_number_is_read_as_zero_and_said(tmp_path):
    adata = make_adata()
    adata.X.data[0] = np.nan
    bench = make_bench(adata, tmp_path)
    assert any("NaN" in warning for warning in bench.passport.warnings)
    assert np.isfinite(bench.adata().layers["counts"].data).all()


def test_species_column_that_contradicts_the_genes_is_a_warning(tmp_path):
    adata = make_adata()
    adata.obs["species"] = "mouse"
    passport = make_bench(adata, tmp_path).passport
    assert passport.species.value == "human"
    assert any("mouse" in warning for warning in passport.warnings)


def broken_files(folder):
    truncated = write(make_adata(), folder, "truncated.h5ad")
    data = truncated.read_bytes()
    truncated.write_bytes(data[: len(data) // 2])
    letters = folder / "letters.h5ad"
    letters.write_text("not a matrix " * 100)
    letters_csv = folder / "letters.csv"
    letters_csv.write_text("a,b\nc,d\ne,f\n")
    empty = write(anndata.AnnData(np.zeros((0, 0), dtype=np.float32)), folder, "empty.h5ad")
    duplicated = make_adata()
    duplicated.var_names = [*GENES[:-1], GENES[0]]
    strange = make_adata()
    strange.var_names = [f"zz_{at}" for at in range(len(GENES))]
    blank = make_adata()
    blank.X = sparse.csr_matrix(blank.shape, dtype=np.float32)
    nothing = folder / "nothing.h5ad"
    nothing.write_bytes(b"")
    return {
        "truncated": (truncated, "damaged"),
        "letters": (letters, "not an HDF5"),
        "letters_csv": (letters_csv, "numbers"),
        "empty": (empty, "empty"),
        "duplicated": (write(duplicated, folder, "duplicated.h5ad"), "duplicates"),
        "strange": (write(strange, folder, "strange.h5ad"), "none of the"),
        "blank": (write(blank, folder, "blank.h5ad"), "no expression"),
        "nothing": (nothing, "empty"),
        "missing": (folder / "missing.h5ad", "no such file"),
    }


@pytest.mark.parametrize(
    "which",
    ["truncated", "letters", "letters_csv", "empty", "duplicated", "strange", "blank", "nothing",
     "missing"],
)  # fmt: skip
def test_wrong_files_get_one_clear_line(tmp_path, which):
    path, words = broken_files(tmp_path)[which]
    with pytest.raises(InputError) as caught:
        open_file(path, tmp_path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
