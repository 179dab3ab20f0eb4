"""The compiled fact tables: parquet files in the package, written by ``build``, read here."""

import json
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellwright.errors import CellwrightError

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = Path(__file__).parent / "tables"
FORMAT = 1
"""Version of the tables' layout; a reader refuses another one."""

ENSEMBL_DIGITS = 11
ENSEMBL_PREFIX = {"human": "ENSG", "mouse": "ENSMUSG"}


class TableError(CellwrightError):
    """A packaged fact table is missing, damaged or of another version."""


def ensembl_number(identifier: str) -> int:
    """Return the number in an Ensembl gene id."""
    return int(identifier.rpartition("G")[2])


def ensembl_id(number: int, species: str) -> str:
    """Return the Ensembl gene id that a number stands for."""
    return f"{ENSEMBL_PREFIX[species]}{number:0{ENSEMBL_DIGITS}d}"


def write(
    folder: Path, name: str, columns: dict[str, Any], metadata: dict[str, str], **options: Any
) -> Path:
    """Write a table; the same columns give the same bytes.

    Args:
        folder: Where it goes.
        name: Table name, without suffix.
        columns: Arrow arrays or lists by column name.
        metadata: Source, release and licence, kept in the file.
        options: More options of ``pyarrow.parquet.write_table``.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(columns).replace_schema_metadata({"format": str(FORMAT), **metadata})
    path = folder / f"{name}.parquet"
    settings = {"compression": "zstd", "compression_level": 19, "row_group_size": 1 << 20}
    pq.write_table(table, path, **{**settings, **options})
    return path


def read(name: str, folder: Path = FOLDER) -> "pa.Table":
    """Read a packaged table.

    Raises:
        TableError: It is missing, damaged or of another version.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / f"{name}.parquet"
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        msg = f"The knowledge table {path.name} cannot be read ({error}). Reinstall cellwright."
        raise TableError(msg) from error
    found = (table.schema.metadata or {}).get(b"format", b"none").decode()
    if found != str(FORMAT):
        msg = f"The knowledge table {path.name} has format {found}; {FORMAT} is needed."
        raise TableError(msg)
    return table


@cache
def sources(folder: Path = FOLDER) -> dict[str, dict[str, str]]:
    """Return release, licence and URL of each source by its name."""
    path = folder / "sources.json"
    try:
        value: dict[str, dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))["sources"]
    except (OSError, ValueError, KeyError) as error:
        msg = f"The list of sources {path.name} cannot be read. Reinstall cellwright."
        raise TableError(msg) from error
    return value


def columns(table: "pa.Table") -> dict[str, list[Any]]:
    """Return a table's columns as lists, several times faster than Arrow's own ``to_pydict``."""
    return {name: _listed(table[name].combine_chunks()) for name in table.column_names}


def _listed(column: Any) -> list[Any]:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        words = column.dictionary.to_pylist()
        return [words[code] for code in column.indices.to_numpy(zero_copy_only=False).tolist()]
    if pa.types.is_list(column.type):
        values = column.flatten().to_numpy(zero_copy_only=False).tolist()
        ends = column.offsets.to_numpy().tolist()
        start = ends[0]
        return [values[a - start : b - start] for a, b in pairwise(ends)]
    if pa.types.is_integer(column.type):
        found: list[Any] = column.to_numpy(zero_copy_only=False).tolist()
        return found
    listed: list[Any] = column.to_pylist()
    return listed
