"""Official files from their publishers, checked before they are taken."""

import json
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from cellwright.artifacts import sha256_file
from cellwright.errors import CellwrightError
from cellwright.knowledge import tables
from cellwright.knowledge.sources import catalogue
from cellwright.knowledge.sources.catalogue import SourceFile

TIMEOUT = 60.0
TRIES = 3
PAUSE = 1.0


class DownloadError(CellwrightError):
    """An official file cannot be fetched."""


def download(folder: Path, mirror: str = "", report: Callable[[str], None] = print) -> list[Path]:
    """Fetch the official files into a folder, and say of each whether it has changed.

    A file is fetched beside its place, read through and checked for its columns, and only then
    put there: what stood there before stays when anything fails.

    Args:
        folder: Where they go; files that nobody offers in this form must lie there already.
        mirror: Address under which all files lie by their names; without one each is fetched
            from its publisher, where the publisher has it in this form.
        report: Called with a line for each file.

    Raises:
        DownloadError: A file cannot be fetched.
        InputError: What was fetched is damaged or another file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = _known()
    written = []
    for one in (*catalogue.ALL_SOURCES, *catalogue.OPTIONAL_SOURCES):
        address = f"{mirror.rstrip('/')}/{one.file}" if mirror else one.download
        path = folder / one.file
        if not address:
            there = "the copy at hand is taken" if path.is_file() else f"take it from {one.url}"
            report(f"{one.file}: not offered in this form; {there}")
            continue
        try:
            _fetch(one, address, path)
        except DownloadError as error:
            if one not in catalogue.OPTIONAL_SOURCES:
                raise
            report(f"{one.file}: left out, {error}")
            continue
        digest = sha256_file(path)
        before = known.get(one.file)
        state = "unchanged" if before == digest else "changed" if before else "new"
        report(f"{one.file}: {state}, {path.stat().st_size:,} bytes, sha256 {digest[:12]}")
        written.append(path)
    return written


def _known() -> dict[str, str]:
    """Hashes of the files that the packaged tables were compiled from."""
    text = (tables.FOLDER / "sources.json").read_text(encoding="utf-8")
    return {
        file: digest
        for entry in json.loads(text)["sources"].values()
        for file, digest in entry["files"].items()
    }


def _fetch(one: SourceFile, address: str, path: Path) -> None:
    # The suffix stays last: the check goes by it.
    draft = path.with_name(f".partial-{path.name}")
    try:
        _save(one, address, draft)
        catalogue.check(one, draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _save(one: SourceFile, address: str, draft: Path) -> None:
    for attempt in range(1, TRIES + 1):
        try:
            with urllib.request.urlopen(address, timeout=TIMEOUT) as answer:
                expected = answer.headers.get("Content-Length")
                with draft.open("wb") as handle:
                    shutil.copyfileobj(answer, handle)
            if expected is not None and draft.stat().st_size != int(expected):
                msg = f"{draft.stat().st_size} of {expected} bytes came"
                raise OSError(msg)
        except (OSError, ValueError) as error:
            gone = isinstance(error, urllib.error.HTTPError) and error.code < 500
            if attempt == TRIES or gone:
                msg = (
                    f"{one.file} of {one.source} cannot be fetched from {address} ({error}). "
                    f"Fetch it by hand from {one.url} and use --from."
                )
                raise DownloadError(msg) from error
            time.sleep(PAUSE * attempt)
        else:
            return
