"""Uploads: size, kind and name."""

import gzip
import io
import re

import pytest
import scipy.io

from cellwright.page.uploads import readable, safe_name
from tests.unit.page.toys import page, visitor, wait
from tests.unit.page.toys import settings as settings
from tests.unit.tools.factory import make_adata


def send(client, *files):
    return client.post("/data", files=[("file", one) for one in files], follow_redirects=False)


def left(settings):
    return [path for path in (settings.cache_dir / "page").rglob("*") if path.is_file()]


def test_a_huge_file_is_refused_before_it_is_read(settings):
    client = visitor(page(settings, max_upload=1000))
    answer = send(client, ("cells.h5ad", b"x" * 2000))
    assert answer.status_code == 413
    assert "--max-upload" in answer.text
    assert left(settings) == []


def test_a_huge_file_of_unsaid_length_is_cut_off(settings):
    client = visitor(page(settings, max_upload=100_000))
    taken = []

    def body():
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="c.h5ad"\r\n\r\n'
        for _ in range(1000):
            taken.append(1)
            yield b"x" * 10_000
        yield b"\r\n--x--\r\n"

    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = client.post("/data", content=body(), headers=headers)
    assert answer.status_code == 413
    assert left(settings) == []


@pytest.mark.parametrize("name", ["cells.exe", "cells", "report.html", "cells.h5ad.html", "a.pkl"])
def test_a_file_of_no_known_kind_is_refused(settings, name):
    answer = send(visitor(page(settings)), (name, b"x"))
    assert answer.status_code == 400
    assert "not a kind of file" in answer.text


def test_no_file_at_all_is_refused(settings):
    client = visitor(page(settings))
    assert client.post("/data", data={"file": "text"}).status_code == 400
    assert client.post("/data", content=b"{}").status_code == 400


def test_two_files_that_are_no_10x_folder_are_refused(settings):
    answer = send(visitor(page(settings)), ("a.h5ad", b"x"), ("b.h5ad", b"x"))
    assert answer.status_code == 400
    assert "10x folder" in answer.text


def test_the_files_of_a_10x_folder_are_opened_together(settings):
    cells = make_adata(12)
    matrix = io.BytesIO()
    scipy.io.mmwrite(matrix, cells.X.T.tocoo(), field="integer")
    genes = "".join(f"{gene}\t{gene}\tGene Expression\n" for gene in cells.var_names)
    barcodes = "".join(f"{name}\n" for name in cells.obs_names)
    client = visitor(page(settings))
    answer = send(
        client,
        ("matrix.mtx.gz", gzip.compress(matrix.getvalue())),
        ("features.tsv.gz", gzip.compress(genes.encode())),
        ("barcodes.tsv.gz", gzip.compress(barcodes.encode())),
    )
    shown = wait(client, answer.headers["location"])
    assert "<strong>12</strong> cells" in shown
    assert "10x_folder" in shown


def test_a_damaged_file_is_told_on_its_page(settings):
    client = visitor(page(settings))
    answer = send(client, ("cells.h5ad", b"not HDF5"))
    shown = wait(client, answer.headers["location"])
    assert "is not an HDF5 file" in shown
    assert "What do you want to know" not in shown


def test_only_files_that_the_page_was_started_with_are_opened_by_path(settings, tmp_path):
    (tmp_path / "mine.h5ad").write_bytes(b"not HDF5")
    client = visitor(page(settings, data=(tmp_path / "mine.h5ad",)))
    assert "Open mine.h5ad" in client.get("/").text
    assert client.post("/open", data={"which": "0"}).status_code == 200
    for said in ("1", "-1", "/etc/passwd", "", "²"):
        assert client.post("/open", data={"which": said}).status_code == 400, said


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("cells.h5ad", "cells.h5ad"),
        ("../../etc/passwd", "passwd"),
        (r"C:\data\cells.h5ad", "cells.h5ad"),
        ("..", "data"),
        ("", "data"),
        ("세포 (1).h5ad", "세포 (1).h5ad"),
        ("a\x00b\n.csv", "a_b_.csv"),
        ('<img src="x">.csv', "_img src=_x__.csv".replace("=", "_")),
    ],
)
def test_names_are_made_safe(name, safe):
    assert safe_name(name) == safe


def test_long_names_keep_their_end():
    name = safe_name("x" * 500 + ".h5ad")
    assert len(name) == 100
    assert re.fullmatch(r"x+\.h5ad", name)


def test_packed_tables_are_read():
    assert readable("counts.CSV.gz")
    assert readable("matrix.mtx.gz")
    assert not readable("counts.gz")
