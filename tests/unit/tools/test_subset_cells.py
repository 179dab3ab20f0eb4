import anndata
import pytest

from cellwright.errors import ToolError
from cellwright.tools.export import write_annotated
from tests.unit.tools.factory import make_adata, make_bench, write
from tests.unit.tools.test_tools import check_claims


def test_cells_are_kept_by_the_names_of_their_groups(tmp_path):
    bench = make_bench(make_adata(donors=2), tmp_path)
    result = bench.run("subset_cells", groups=("t cells",))
    assert (result.column, result.kept_names, result.n_after) == ("cell_type", ("T cell",), 30)
    assert bench.adata().n_obs == 30
    assert "30 of 90 cells" in check_claims(result)[0]


def test_a_broad_type_keeps_what_the_ontology_places_under_it(tmp_path):
    adata = make_adata()
    split = adata.obs["cell_type"].replace({"T cell": "CD4-positive, alpha-beta T cell"})
    adata.obs["cell_type"] = split.where(adata.obs_names != "c1", "CD8-positive, alpha-beta T cell")
    bench = make_bench(adata, tmp_path)
    result = bench.run("subset_cells", groups=("T cells",))
    assert all("T cell" in name for name in result.kept_names)
    assert result.n_after == 30
    assert any("was read as" in said for said in check_claims(result))


def test_groups_of_any_column_can_be_left_out(tmp_path):
    bench = make_bench(make_adata(donors=2), tmp_path)
    result = bench.run("subset_cells", groups=("treated",), drop=True)
    assert (result.column, result.kept_names) == ("condition", ("control",))
    assert set(bench.adata().obs["condition"]) == {"control"}


def test_all_cells_come_back_after_subsets_of_subsets(tmp_path):
    bench = make_bench(make_adata(donors=2), tmp_path)
    bench.run("subset_cells", groups=("T cell", "B cell"))
    bench.run("subset_cells", groups=("control",))
    assert bench.run("subset_cells").n_after == bench.adata().n_obs == 90


def test_unknown_groups_and_empty_subsets_say_what_there_is(tmp_path):
    bench = make_bench(make_adata(), tmp_path)
    with pytest.raises(ToolError, match=r"Columns and their groups: cell_type \(B cell, T cell"):
        bench.run("subset_cells", groups=("hepatocyte",))
    with pytest.raises(ToolError, match="Nothing would be left"):
        bench.run("subset_cells", groups=("B cell", "T cell", "monocyte"), drop=True)


def test_the_exported_file_holds_the_cells_of_the_subset(tmp_path):
    adata = make_adata(donors=2)
    bench = make_bench(adata, tmp_path)
    bench.run("subset_cells", groups=("T cell",))
    bench.run("subset_cells", groups=("treated",))
    source = write(adata, tmp_path, "source.h5ad")
    write_annotated(source, bench, tmp_path / "out.h5ad")
    out = anndata.read_h5ad(tmp_path / "out.h5ad")
    wanted = (adata.obs["cell_type"] == "T cell") & (adata.obs["condition"] == "treated")
    assert list(out.obs_names) == list(adata.obs_names[wanted])
    assert not [key for key in out.uns if key.startswith("cellwright")]
