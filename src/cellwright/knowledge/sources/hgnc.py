"""Human gene names as HGNC keeps them: current, previous, withdrawn, aliases."""

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from cellwright.knowledge.sources.genes import records

SUCCESSOR = re.compile(r"\[HGNC:(\d+)\]")
APPROVED = "Approved"
COLUMNS = (
    "HGNC ID",
    "Approved symbol",
    "Approved name",
    "Status",
    "Alias symbols",
    "Previous symbols",
)


def compile_names(path: Path) -> dict[str, Any]:
    """Return the columns of ``names_human``: one row an HGNC number.

    ``withdrawn`` holds symbols of entries that were merged into this one; number 0 stands for
    entries withdrawn without a successor. Several names are parted by ``|``.
    """
    import pyarrow as pa

    symbol: dict[int, str] = {0: ""}
    previous: dict[int, list[str]] = defaultdict(list)
    aliases: dict[int, list[str]] = defaultdict(list)
    withdrawn: dict[int, list[str]] = defaultdict(list)
    for identifier, name, title, status, also, before in records(path, COLUMNS):
        if status == APPROVED:
            number = int(identifier.removeprefix("HGNC:"))
            symbol[number] = name
            previous[number] = _parts(before)
            aliases[number] = _parts(also)
            continue
        for successor in SUCCESSOR.findall(title) or ["0"]:
            withdrawn[int(successor)].append(name)
    numbers = sorted(symbol)

    def joined(names: dict[int, list[str]]) -> Any:
        return pa.array(["|".join(sorted(set(names.get(one, ())))) for one in numbers])

    return {
        "authority": pa.array(numbers, pa.int32()),
        "symbol": pa.array([symbol[one] for one in numbers]),
        "previous": joined(previous),
        "withdrawn": joined(withdrawn),
        "aliases": joined(aliases),
    }


def _parts(text: str) -> list[str]:
    return [one.strip() for one in text.split(", ") if one.strip()]
