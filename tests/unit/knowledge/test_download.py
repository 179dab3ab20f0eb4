import gzip
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cellwright.errors import InputError
from cellwright.knowledge import download as module
from cellwright.knowledge.download import DownloadError, download
from cellwright.knowledge.sources import catalogue


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server with a tiny file of each source, and its folder."""
    folder = tmp_path / "served"
    folder.mkdir()
    for one in (*catalogue.ALL_SOURCES, *catalogue.OPTIONAL_SOURCES):
        if one.file.endswith(".sqlite"):
            with closing(sqlite3.connect(folder / one.file)) as base:
                for table in one.columns:
                    base.execute(f"create table {table} (_id integer)")
                base.commit()
            continue
        mark = "," if one.file.endswith(".csv") else "\t"
        text = (mark.join(one.columns) or "{}") + "\n"
        data = text.encode()
        if one.file.endswith(".gz"):
            data = gzip.compress(data, mtime=0)
        elif one.file.endswith(".zst"):
            import zstandard

            data = zstandard.ZstdCompressor().compress(data)
        (folder / one.file).write_bytes(data)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    server.server_close()


def test_fetches_every_file_and_says_what_changed(
    mirror: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, served = mirror
    hgnc = module.sha256_file(served / catalogue.HGNC.file)
    known = {catalogue.HGNC.file: hgnc, catalogue.GDSC.file: "0" * 64}
    monkeypatch.setattr(module, "_known", lambda: known)
    said: list[str] = []
    written = download(tmp_path / "in", address, said.append)
    assert len(written) == len(catalogue.ALL_SOURCES) + len(catalogue.OPTIONAL_SOURCES)
    state = {line.split(": ")[0]: line.split(": ")[1].split(",")[0] for line in said}
    assert state[catalogue.HGNC.file] == "unchanged"
    assert state[catalogue.GDSC.file] == "changed"
    assert state[catalogue.NCBI_HUMAN.file] == "new"


@pytest.mark.parametrize("damage", ["cut", "page"])
def test_a_damaged_file_does_not_replace_a_good_one(
    mirror: tuple[str, Path], tmp_path: Path, damage: str
) -> None:
    address, served = mirror
    file = catalogue.NCBI_HUMAN.file
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / file).write_bytes(b"the good one")
    whole = (served / file).read_bytes()
    page = gzip.compress(b"<html>not found</html>")
    (served / file).write_bytes(whole[:-6] if damage == "cut" else page)
    with pytest.raises(InputError, match=file):
        download(tmp_path / "in", address, lambda _line: None)
    assert (tmp_path / "in" / file).read_bytes() == b"the good one"
    assert not list((tmp_path / "in").glob(".partial-*"))


def test_a_missing_file_is_named_with_what_to_do(mirror: tuple[str, Path], tmp_path: Path) -> None:
    address, served = mirror
    (served / catalogue.ACCORDION.file).unlink()
    with pytest.raises(DownloadError, match="--from"):
        download(tmp_path / "in", address, lambda _line: None)


def test_without_a_mirror_files_of_another_form_must_be_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_fetch", lambda one, address, path: path.write_bytes(b"x"))
    said: list[str] = []
    download(tmp_path / "in", "", said.append)
    line = next(one for one in said if one.startswith(catalogue.CELLMARKER_HUMAN.file))
    assert catalogue.CELLMARKER_HUMAN.url in line
