"""Folders that a client may read from, and nothing beside them."""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cellwright.errors import InputError

GIGABYTE = 10**9
CELL_BYTES = 4
"""What a number takes once it is read, about."""


@dataclass(frozen=True)
class Roots:
    """Turns a path that a client names into a file it may read.

    Links are followed before a path is judged, those inside a folder too, and an HDF5 file may
    not refer to another file. What lies outside is refused in the same words whether it exists or
    not.

    Attributes:
        folders: The folders; a relative path is looked for in each, in order.
        max_bytes: Largest size of a file, and of the matrices that it declares.
    """

    folders: tuple[Path, ...]
    max_bytes: int = 4 * GIGABYTE

    @classmethod
    def of(cls, folders: Sequence[Path], max_bytes: int = 4 * GIGABYTE) -> Roots:
        """Folders as given, links followed; the current folder when there are none.

        Raises:
            InputError: One of them is no folder, or none is named and the current one holds far
                more than data.
        """
        if not folders and Path.cwd() in {Path(Path.cwd().anchor), Path.home()}:
            msg = f"Name the folder that clients may read, with --root: not all of {Path.cwd()}."
            raise InputError(msg)
        for folder in folders:
            if not folder.is_dir():
                msg = f"{folder} is no folder; --root names folders that clients may read."
                raise InputError(msg)
        return cls(tuple(one.resolve() for one in folders or (Path.cwd(),)), max_bytes)

    def file(self, name: str) -> Path:
        """The file or folder of cells that a client names.

        Raises:
            InputError: It lies outside, does not exist, is no plain file or folder, or is too
                large.
        """
        path = self._inside(name)
        if path.is_dir():
            files = self._files_of(path, name)
        elif stat.S_ISREG(path.stat().st_mode):
            files = [path]
        else:
            msg = f"{name} is neither a file nor a folder."
            raise InputError(msg)
        self._check_size(sum(one.stat().st_size for one in files), name)
        what = "declares matrices of"
        self._check_size(_declared_by_zarr(files), name, what)
        if path.is_file() and _is_hdf5(path):
            self._check_size(_declared_by_hdf5(path, name), name, what)
        return path

    def _inside(self, name: str) -> Path:
        if "\0" in name or not name.strip():
            msg = "The path is empty or holds a null character."
            raise InputError(msg)
        for folder in self.folders:
            try:
                path = (folder / name).resolve(strict=True)
            except (OSError, RuntimeError, ValueError):
                continue
            if any(path.is_relative_to(root) for root in self.folders):
                return path
        shown = ", ".join(map(str, self.folders))
        msg = (
            f"{name}: no such file in the folders that this server may read ({shown}). Name one "
            "in them, or start the server with --root FOLDER."
        )
        raise InputError(msg)

    def _files_of(self, folder: Path, name: str) -> list[Path]:
        found = []
        for at, folders, files in os.walk(folder):
            for one in (*folders, *files):
                path = Path(at, one)
                if path.is_symlink():
                    target = path.resolve()
                    if not any(target.is_relative_to(root) for root in self.folders):
                        msg = f"{name} holds a link that leads out of the folders it may be in."
                        raise InputError(msg)
                if one in files and path.is_file():
                    found.append(path)
        return found

    def _check_size(self, n_bytes: int, name: str, what: str = "is") -> None:
        if n_bytes > self.max_bytes:
            msg = (
                f"{name} {what} {n_bytes / GIGABYTE:.3g} GB; this server opens up to "
                f"{self.max_bytes / GIGABYTE:.3g} GB. Start it with a larger --max-gb, or label "
                "the cells with `cellwright annotate FILE --out labels.csv`, which reads block by "
                "block."
            )
            raise InputError(msg)


def _declared_by_hdf5(path: Path, name: str) -> int:
    """Bytes of the matrices that an HDF5 file declares; compressed, it may be far smaller.

    Raises:
        InputError: The file is damaged, or keeps data in another file.
    """
    import h5py

    declared, away, seen = 0, False, set()
    try:
        with h5py.File(path, "r") as file:
            groups = [file["/"]]
            while groups:
                group = groups.pop()
                for key in group:
                    link = group.get(key, getlink=True)
                    away |= isinstance(link, h5py.ExternalLink)
                    item = group[key] if isinstance(link, h5py.HardLink) else None
                    if item is None or (place := h5py.h5o.get_info(item.id).addr) in seen:
                        continue
                    seen.add(place)
                    if isinstance(item, h5py.Group):
                        groups.append(item)
                    elif isinstance(item, h5py.Dataset):
                        away |= bool(item.external) or bool(item.is_virtual)
                        declared += item.nbytes
    except (OSError, RuntimeError, KeyError) as error:
        msg = f"{name}: the file is damaged or no HDF5 ({type(error).__name__})."
        raise InputError(msg) from error
    if away:
        msg = f"{name} keeps data in another file, which this server does not follow."
        raise InputError(msg)
    return declared


def _declared_by_zarr(files: Sequence[Path]) -> int:
    """Bytes of the arrays that a zarr store declares in its ``.zarray`` or ``zarr.json`` files."""
    declared = 0
    for path in files:
        if path.name in {".zarray", "zarr.json"} and path.stat().st_size < 10**6:
            try:
                said = json.loads(path.read_text())
                declared += math.prod(int(one) for one in said.get("shape", (0,))) * CELL_BYTES
            except (ValueError, TypeError, AttributeError):
                continue  # the reader will say what is wrong with it
    return declared


def _is_hdf5(path: Path) -> bool:
    with path.open("rb") as handle:
        return handle.read(8) == b"\x89HDF\r\n\x1a\n"
