import os

import h5py
import numpy as np
import pytest

from cellwright.errors import InputError
from cellwright.tools.adapters.roots import Roots


@pytest.fixture
def inside(tmp_path):
    folder = tmp_path / "inside"
    folder.mkdir()
    (folder / "cells.csv").write_text("a,b\n1,2\n")
    (tmp_path / "secret.csv").write_text("a,b\n3,4\n")
    return folder


def test_files_inside_are_found_by_relative_and_absolute_names(inside):
    roots = Roots.of([inside])
    assert roots.file("cells.csv") == roots.file(str(inside / "cells.csv")) == inside / "cells.csv"
    assert roots.file("./../inside/cells.csv") == inside / "cells.csv"


@pytest.mark.parametrize(
    "name", ["../secret.csv", "/etc/passwd", "x/../../secret.csv", "~/.bashrc"]
)
def test_nothing_outside_is_read(inside, name):
    with pytest.raises(InputError, match="no such file in the folders"):
        Roots.of([inside]).file(name)


def test_what_is_outside_is_refused_in_the_same_words_whether_it_exists(inside):
    said = []
    for name in ("../secret.csv", "../absent.csv"):
        with pytest.raises(InputError) as error:
            Roots.of([inside]).file(name)
        said.append(str(error.value).replace(name, "NAME"))
    assert said[0] == said[1]
    assert "--root" in said[0]


def test_links_are_followed_before_they_are_judged(inside, tmp_path):
    (inside / "link.csv").symlink_to(tmp_path / "secret.csv")
    (inside / "up").symlink_to(tmp_path)
    for name in ("link.csv", "up/secret.csv"):
        with pytest.raises(InputError, match="no such file"):
            Roots.of([inside]).file(name)
    (inside / "own.csv").symlink_to(inside / "cells.csv")
    assert Roots.of([inside]).file("own.csv") == inside / "cells.csv"


def test_links_inside_a_folder_of_cells_do_not_lead_out(inside, tmp_path):
    store = inside / "cells.zarr"
    (store / "X").mkdir(parents=True)
    (store / "X" / "0").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(InputError, match="leads out"):
        Roots.of([inside]).file("cells.zarr")


@pytest.mark.parametrize("name", ["", "  ", "cells\0.csv", "a" * 5000])
def test_names_that_are_none(inside, name):
    with pytest.raises(InputError):
        Roots.of([inside]).file(name)


def test_devices_and_pipes_are_not_opened(inside):
    os.mkfifo(inside / "pipe.csv")
    with pytest.raises(InputError, match="neither a file nor a folder"):
        Roots.of([inside]).file("pipe.csv")


def test_large_files_are_refused_with_another_way(inside):
    with (inside / "big.h5ad").open("wb") as handle:
        handle.truncate(3 * 10**6)
    with pytest.raises(InputError, match=r"0.003 GB.*block by block"):
        Roots.of([inside], max_bytes=10**6).file("big.h5ad")


def test_a_small_file_that_declares_a_large_matrix_is_refused(inside):
    with h5py.File(inside / "bomb.h5ad", "w") as file:
        file.create_dataset("X", shape=(10**5, 10**4), dtype="f4", chunks=True, compression="gzip")
    assert (inside / "bomb.h5ad").stat().st_size < 10**5
    with pytest.raises(InputError, match="declares matrices of 4 GB"):
        Roots.of([inside], max_bytes=10**9).file("bomb.h5ad")


def test_a_small_store_that_declares_a_large_array_is_refused(inside):
    (inside / "bomb.zarr" / "X").mkdir(parents=True)
    (inside / "bomb.zarr" / "X" / "zarr.json").write_text('{"shape": [100000, 10000]}')
    with pytest.raises(InputError, match="declares matrices of 4 GB"):
        Roots.of([inside], max_bytes=10**9).file("bomb.zarr")


def test_groups_that_hold_one_another_are_looked_at_once(inside):
    with h5py.File(inside / "knot.h5ad", "w") as file:
        at = file
        for _ in range(60):
            below = at.create_group("a")
            at["b"] = below
            at = below
        at["up"] = file["/"]
    assert Roots.of([inside]).file("knot.h5ad").name == "knot.h5ad"


def test_hdf5_files_do_not_lead_to_other_files(inside, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["X"] = np.ones((2, 2))
    with h5py.File(inside / "linked.h5ad", "w") as file:
        file["X"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "X")
    with h5py.File(inside / "stored.h5ad", "w") as file:
        raw = [(str(tmp_path / "secret.csv"), 0, 8)]
        file.create_dataset("X", shape=(8,), dtype="u1", external=raw)
    for name in ("linked.h5ad", "stored.h5ad"):
        with pytest.raises(InputError, match="another file"):
            Roots.of([inside]).file(name)


def test_a_root_must_be_a_folder(inside):
    with pytest.raises(InputError, match="no folder"):
        Roots.of([inside / "cells.csv"])


def test_the_whole_machine_is_no_root_unless_it_is_named(monkeypatch, inside):
    monkeypatch.setenv("HOME", str(inside))
    for folder in ("/", str(inside)):
        monkeypatch.chdir(folder)
        with pytest.raises(InputError, match="--root"):
            Roots.of([])
    assert Roots.of([inside]).folders == (inside,)
