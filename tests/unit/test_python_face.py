"""``cellwright.tl``, ``pl`` and ``get`` on made-up cells, without a cell model."""

import inspect

import anndata
import numpy as np
import pytest

import cellwright
from cellwright.errors import InputError, ToolError
from cellwright.settings import Settings
from cellwright.tools.adapters import python
from cellwright.tools.annotate_cells import ANNOTATE_CELLS
from cellwright.tools.plot_cells import PLOT_CELLS
from cellwright.tools.registry import ALL_TOOLS
from tests.unit.tools.factory import _knowledge, make_adata, make_bench


@pytest.fixture(autouse=True)
def process(monkeypatch, tmp_path):
    """A process without a cell model, and with a cache of its own."""
    settings = Settings(cache_dir=tmp_path / "cache", checkpoint=tmp_path / "none")
    models = cellwright.Workbench(python.DirectoryStore(tmp_path / "models"), settings)
    models.__dict__["knowledge"] = _knowledge()
    monkeypatch.setattr(python, "_models", lambda: models)


def snapshot(adata):
    return (list(adata.obs.columns), adata.obs.dtypes.astype(str).tolist(), sorted(adata.uns))


def test_annotate_writes_beside_the_users_columns_and_returns_nothing(tmp_path):
    adata = make_adata()
    before = adata.obs["cell_type"].copy()
    assert cellwright.tl.annotate(adata, level="cluster", group_by="cell_type") is None
    assert adata.obs["cell_type"].equals(before)
    assert adata.obs["cell_type"].dtype == before.dtype
    assert adata.obs["cellwright_cell_type"].dtype == "category"
    wanted = make_bench(make_adata(), tmp_path).run(
        "annotate_cells", level="cluster", group_by="cell_type"
    )
    found = cellwright.get.annotation(adata)
    assert found.result.counts == wanted.counts
    assert found.result.clusters == wanted.clusters


def test_key_added_names_columns_and_results(tmp_path):
    adata = make_adata()
    cellwright.tl.preprocess(adata, key_added="mine")
    assert "mine_leiden" in adata.obs
    assert adata.obsm["X_mine_umap"].shape == (90, 2)
    assert not [name for name in adata.obs if name.startswith("cellwright")]
    assert cellwright.get.result(adata, "preprocess_dataset", key="mine").sentences
    with pytest.raises(InputError, match="key_added='mine'"):
        cellwright.get.result(adata, "find_markers", key="mine")
    with pytest.raises(InputError, match="a word of letters"):
        cellwright.tl.preprocess(adata, key_added="my key")


def test_a_copy_leaves_the_original_alone_and_any_h5ad_holds_the_result(tmp_path):
    adata = make_adata()
    before = snapshot(adata)
    copy = cellwright.tl.find_markers(adata, n_genes=3, copy=True)
    assert snapshot(adata) == before
    copy.write_h5ad(tmp_path / "kept.h5ad")
    back = anndata.read_h5ad(tmp_path / "kept.h5ad")
    finding = cellwright.get.markers(back)
    assert finding.result == cellwright.get.markers(copy).result
    assert "**B cell** (30 cells): " in repr(finding)


def test_a_mistake_changes_nothing():
    adata = make_adata()
    before = snapshot(adata)
    with pytest.raises(ToolError, match="nope"):
        cellwright.tl.find_markers(adata, group_by="nope")
    with pytest.raises(ToolError, match="Extra inputs"):
        cellwright.tl.find_markers(adata, groupby="cell_type")
    with pytest.raises(InputError, match="AnnData"):
        cellwright.tl.find_markers([1, 2, 3])
    assert snapshot(adata) == before


def test_steps_build_on_one_another():
    adata = make_adata()
    del adata.obs["cell_type"]
    cellwright.tl.annotate(adata)
    made = adata.obs["cellwright_leiden"].copy()
    cellwright.tl.find_markers(adata, group_by="cellwright_cell_type")
    assert adata.obs["cellwright_leiden"].equals(made)
    assert set(adata.uns["cellwright"]) == {"annotate_cells", "find_markers"}


def test_what_was_found_is_shown_in_a_notebook():
    adata = make_adata()
    adata.obs["cell_type"] = adata.obs["cell_type"].str.replace("B cell", "<i>B [x](http://y)")
    cellwright.tl.annotate(adata, group_by="cell_type", level="cluster")
    cellwright.tl.find_markers(adata, group_by="cell_type")
    markers, types = cellwright.get.markers(adata), cellwright.get.annotation(adata)
    assert "<strong>&lt;i&gt;B [x](http://y)</strong> (30 cells)" in markers._repr_html_()
    assert "data:image/png;base64," in markers._repr_html_()
    html = types._repr_html_()
    assert html.count("<table") == len(types.tables) >= 2
    assert "<i>" not in html
    assert types.sentences[0] in repr(types)
    assert cellwright.pl.markers(adata)[0]._repr_png_().startswith(b"\x89PNG")


def test_figures_are_drawn_and_saved(tmp_path):
    adata = make_adata()
    before = snapshot(adata)
    picture = cellwright.pl.dotplot(adata, genes=["CD79A", "LYZ"], save=tmp_path / "dots.png")
    assert (tmp_path / "dots.png").read_bytes() == picture._repr_png_()
    assert snapshot(adata) == before
    with pytest.raises(InputError, match="png"):
        picture.save(tmp_path / "dots.jpg")


def test_every_kind_of_plot_has_its_function():
    kinds = PLOT_CELLS.args.model_fields["kind"].annotation.__args__
    assert all(callable(getattr(cellwright.pl, kind)) for kind in kinds)


@pytest.mark.parametrize("name", cellwright.tl.__all__)
def test_signature_and_documentation_are_those_of_the_tool(name):
    function = getattr(cellwright.tl, name)
    parameters = inspect.signature(function).parameters
    first, *rest = parameters.values()
    assert first.name == "adata"
    assert all(one.kind is one.KEYWORD_ONLY for one in rest)
    spec = next(one for one in ALL_TOOLS if function.__doc__.startswith(one.description))
    for field, info in spec.args.model_fields.items():
        assert info.description in function.__doc__
        default = inspect.Parameter.empty if info.is_required() else info.default
        assert parameters[field].default == default


def test_facts_need_no_cells():
    found = cellwright.get.matching_cell_types(genes=["CD79A", "MS4A1"], species="human")
    assert "B cell" in repr(found)


def test_evidence_is_a_table_of_records():
    adata = make_adata()
    with pytest.raises(InputError, match="no results"):
        cellwright.get.evidence(adata)
    cellwright.tl.annotate(adata, group_by="cell_type", level="cluster")
    table = cellwright.get.evidence(adata)
    assert {"tool", "source", "record_id", "pmids"} <= set(table.columns)
    assert not table.duplicated(["source", "record_id"]).any()


def test_awkward_objects_are_read_as_they_are():
    adata = make_adata()
    adata.raw = adata
    adata.obsm["frame"] = adata.obs[["cell_type"]]
    adata.uns["anything"] = [object()]
    adata.layers["scaled"] = np.asarray(adata.X.todense())
    cellwright.tl.describe(adata)
    assert cellwright.get.description(adata).result.passport.n_cells == 90
    assert ANNOTATE_CELLS.name not in adata.uns["cellwright"]
