from pathlib import Path

import anndata
import numpy as np
import pytest
from scipy import sparse

from cellwright.cellmodel.training.data import build_corpus
from cellwright.errors import InputError
from cellwright.evals.own_data import read_panel, register
from cellwright.knowledge import Knowledge
from cellwright.settings import Settings

GENES = [
    *("CD3D", "CD3E", "IL7R", "MS4A1", "CD79A", "CD19", "LYZ", "S100A8", "CST3", "NKG7"),
    *("GNLY", "ACTB", "GAPDH", "B2M", "MALAT1", "CD8A", "CD4", "FCGR3A", "PPBP", "GZMB"),
]


def make_file(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    labels = np.repeat(["T cell", "B cell", "rare", "nan"], [30, 30, 4, 6])
    counts = rng.poisson(1.0, size=(70, len(GENES)))
    counts[:30, :3] += 9
    counts[30:60, 3:6] += 9
    adata = anndata.AnnData(sparse.csr_matrix(counts.astype(np.float32)))
    adata.var_names = GENES
    adata.obs["kind"] = labels
    adata.obs["who"] = np.tile(["a", "b", "c", "d", "e"], 14)
    path = folder / "my cells.h5ad"
    adata.write_h5ad(path)
    return path


def test_a_users_file_is_registered_like_the_declared_ones(tmp_path: Path) -> None:
    own = register(
        make_file(tmp_path),
        "kind",
        folder=tmp_path / "own",
        settings=Settings(),
        tissue="blood",
        donor_column="who",
    )
    assert own.card.species == "human"
    assert (own.card.name, own.card.state, own.card.split) == ("my_cells", "counts", "donor")
    assert own.rows["T cell"].ontology_id == "CL:0000084"
    assert own.left_out == {"nan": 6, "rare": 4}
    knowledge = Knowledge.open()
    corpus = build_corpus(
        tmp_path,
        [own.card],
        {own.card.name: own.rows},
        knowledge.genes.keys,
        is_a=knowledge.ontology.is_a,
        seed=0,
    )
    cells = corpus.sets[0]
    assert set(corpus.labels.names) == {"T cell", "B cell"}
    assert len(cells.block) == 60
    assert cells.counts is not None
    assert cells.counts.sum() > 0


def test_what_cannot_be_learned_from_is_said(tmp_path: Path) -> None:
    path = make_file(tmp_path)
    with pytest.raises(InputError, match=r"no column 'cell_type'.*kind, who"):
        register(path, "cell_type", folder=tmp_path / "own", settings=Settings())
    adata = anndata.read_h5ad(path)
    adata.obs["one"] = "T cell"
    adata.write_h5ad(path)
    with pytest.raises(InputError, match="1 labels of 10 cells"):
        register(path, "one", folder=tmp_path / "own", settings=Settings())


def test_a_panel_of_genes_may_be_named_in_any_scheme(tmp_path: Path) -> None:
    genes = Knowledge.open(Settings()).genes
    symbols = sorted(GENES + [f"RPL{n}" for n in range(3, 40)] + [f"MT-ND{n}" for n in range(1, 7)])
    path = tmp_path / "panel.txt"
    path.write_text("\n".join([*symbols, "not-a-gene"]), encoding="utf-8")
    keys = read_panel(path, genes)
    assert {"CD3D", "MS4A1", "RPL3"} <= set(keys)
    path.write_text("CD3D\nhello\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"names 1 known genes in 2 words; 50 are needed"):
        read_panel(path, genes)
    with pytest.raises(InputError, match="cannot be read as text"):
        read_panel(tmp_path / "none.txt", genes)
