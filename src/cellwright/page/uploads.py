"""Files that visitors send: bounded in size, named safely, and of a kind that can be read."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.requests import Request

from cellwright.errors import InputError

if TYPE_CHECKING:
    from starlette.datastructures import FormData, UploadFile
    from starlette.types import Message

KINDS = (".h5ad", ".h5", ".hdf5", ".csv", ".tsv", ".txt", ".tab", ".zarr.zip", ".mtx")
PACKED = (".gz", ".bz2", ".xz", ".zst")
LONGEST_NAME = 100


class TooLargeError(InputError):
    """More bytes than the page takes."""


async def read_form(request: Request, most: int) -> FormData:
    """The form of a request, its files on disk; nothing beyond ``most`` bytes is read.

    Raises:
        TooLargeError: The request is larger.
    """
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said) > most:
        raise TooLargeError(_too_large(most))
    read = 0

    async def receive() -> Message:
        nonlocal read
        message = await request.receive()
        read += len(message.get("body", b""))
        if read > most:
            raise TooLargeError(_too_large(most))
        return message

    return await Request(request.scope, receive).form(max_files=8, max_fields=2000)


def store(files: Sequence[UploadFile], folder: Path) -> Path:
    """Keep uploaded files.

    Args:
        files: One file, or the three of a 10x folder.
        folder: A folder of the visitor's own.

    Returns:
        The file, or the folder where there are several.

    Raises:
        InputError: There is no file, or it is of no kind that can be read.
    """
    named = [(safe_name(one.filename or ""), one) for one in files if one.filename]
    if not named:
        msg = f"No file was sent. Choose one of {', '.join(KINDS)}."
        raise InputError(msg)
    target = folder / ("data" if len(named) == 1 else "10x_folder")  # a folder's name is shown
    target.mkdir()
    if len(named) > 1 and not any(".mtx" in name for name, _ in named):
        msg = "Send one file, or the three of a 10x folder (matrix.mtx, barcodes, features)."
        raise InputError(msg)
    for name, one in named:
        if len(named) == 1 and not readable(name):
            msg = f"{name}: not a kind of file that can be read. Send one of {', '.join(KINDS)}."
            raise InputError(msg)
        with (target / name).open("wb") as handle:
            shutil.copyfileobj(one.file, handle, 1 << 20)
    return target / named[0][0] if len(named) == 1 else target


def safe_name(name: str) -> str:
    """A file's own name without folders and signs that mean something to a shell or a browser."""
    last = re.split(r"[/\\]", name)[-1]
    last = re.sub(r"[^\w.+ ()-]", "_", last).strip(" .")
    return last[-LONGEST_NAME:] or "data"


def readable(name: str) -> bool:
    """Whether a file of this name is of a kind that Cellwright reads."""
    plain = name.lower()
    for packed in PACKED:
        plain = plain.removesuffix(packed)
    return plain.endswith(KINDS)


def bytes_of(path: Path) -> int:
    """Size of a file, or of everything in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(one.stat().st_size for one in files if one.is_file())


def _too_large(most: int) -> str:
    size = f"{most / 1e9:.1f} GB" if most >= 1e9 else f"{most / 1e6:.1f} MB"
    return (
        f"This is more than the {size} that the page takes. Start it with a higher --max-upload, "
        "or give the file by path: cellwright serve FILE."
    )
