"""Reads a bulk screen: expression of cell lines, and how strongly each drug acted on each."""

import csv
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cellwright.errors import InputError

logger = logging.getLogger(__name__)

#: Lines measured both here and in single-cell files: the test truth, never trained on.
HELD_OUT_LINES = ("NCIH1975", "NCIH2228", "HCC827", "A549", "NCIH838", "A375", "K562", "HL60")
#: Lines left out of everything, because they are known to be a held-out line under another name.
#: KY821 descends from HL-60; no other line is nearer than .66 to a held-out one in expression.
SAME_AS_HELD_OUT = ("KY821",)
TISSUES = Path(__file__).parent / "tissues.tsv"
MIN_LINES = 100
Z_LIMIT = 4.0

Keys = Callable[[Sequence[str]], Sequence[str | None]]


@dataclass(frozen=True, kw_only=True)
class Screen:
    """Cell lines with expression and drug response.

    Attributes:
        lines: Names of the L lines, as the expression table writes them.
        names: The same, as the screen writes them (with hyphens).
        keys: Vocabulary keys of the G genes.
        drugs: Names of the D drugs.
        expression: (L, G) float32; standardised over the genes of each line.
        response: (L, D) float32; z of ln IC50 over the training lines of each drug, low is
            sensitive; NaN where a pair was not measured.
        held_out: (L,) bool; lines that no fit may see.
        tissues: Tissue of each line as GDSC describes it; empty where it does not.
        sites: The same, coarser: the site of origin.
    """

    lines: tuple[str, ...]
    names: tuple[str, ...]
    keys: tuple[str, ...]
    drugs: tuple[str, ...]
    expression: np.ndarray
    response: np.ndarray
    held_out: np.ndarray
    tissues: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()


def read_screen(
    folder: Path, keys: Keys | None = None, *, held_out: Sequence[str] = HELD_OUT_LINES
) -> Screen:
    """Read a GDSC folder (``expression_x1000.parquet``, ``ln_ic50.parquet``).

    The z of a drug is taken over the lines within each release, because GDSC1 and GDSC2 used
    other assays, and then averaged over the releases. A row of the expression table that two
    different lines point to is dropped: which of them it is cannot be told.

    Args:
        folder: Where the two tables are.
        keys: Translates gene symbols to vocabulary keys; None keeps the symbols.
        held_out: Expression names of the lines that no fit may see, not even for the z.

    Raises:
        InputError: A table is missing.
    """
    import pandas as pd

    paths = (folder / "expression_x1000.parquet", folder / "ln_ic50.parquet")
    for path in paths:
        if not path.is_file():
            msg = f"No {path.name} in {folder}: this is not a GDSC folder."
            raise InputError(msg)
    expression = pd.read_parquet(paths[0]).astype(np.float32) / 1000.0
    table = pd.read_parquet(paths[1])
    table = table[table["expression_line"].isin(expression.index)]

    sharers = table.groupby("expression_line")["cell_line"].nunique()
    ambiguous = set(sharers.index[sharers > 1])
    if ambiguous:
        logger.info("left out, two lines under one name: %s", ", ".join(sorted(ambiguous)))
    table = table[~table["expression_line"].isin(ambiguous)]

    keys_of_pair = ["drug", "release", "expression_line"]
    table = table.groupby(keys_of_pair)[["ln_ic50"]].mean().reset_index()
    seen = table[~table["expression_line"].isin([*held_out, *SAME_AS_HELD_OUT])]
    moments = seen.groupby(["drug", "release"])["ln_ic50"].agg(["mean", "std", "size"])
    table = table.join(moments, on=["drug", "release"])
    table = table[table["size"] >= MIN_LINES]
    table["z"] = ((table["ln_ic50"] - table["mean"]) / table["std"]).clip(-Z_LIMIT, Z_LIMIT)
    response = table.pivot_table(
        index="expression_line", columns="drug", values="z", aggfunc="mean"
    )
    written = pd.read_parquet(paths[1], columns=["cell_line", "expression_line"])
    names = written.drop_duplicates("expression_line").set_index("expression_line")["cell_line"]

    left_out = {*ambiguous, *(SAME_AS_HELD_OUT if held_out else ())}
    lines = [line for line in expression.index if line in response.index and line not in left_out]
    origin = read_tissues()
    matrix, gene_keys = _by_key(expression.loc[lines], keys)
    return Screen(
        lines=tuple(lines),
        names=tuple(str(names[line]) for line in lines),
        keys=gene_keys,
        drugs=tuple(map(str, response.columns)),
        expression=matrix,
        response=response.loc[lines].to_numpy(np.float32),
        held_out=np.isin(lines, list(held_out)),
        tissues=tuple(origin.get(line, ("", ""))[1] for line in lines),
        sites=tuple(origin.get(line, ("", ""))[0] for line in lines),
    )


def read_tissues() -> dict[str, tuple[str, str]]:
    """Site and tissue of each line, keyed by its name in the expression table.

    Source: GDSC's own two descriptors (Iorio et al. 2016, Cell), as gdsctools 1.0.1 packages them.
    """
    with TISSUES.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t")
        return {row["line"]: (row["site"], row["tissue"]) for row in rows}


def _by_key(expression, keys: Keys | None) -> tuple[np.ndarray, tuple[str, ...]]:  # type: ignore[no-untyped-def]
    """Rename columns to vocabulary keys; columns of one gene are averaged, unknown ones dropped."""
    symbols = [str(name) for name in expression.columns]
    found = list(keys(symbols)) if keys else list(symbols)
    known = sorted({key for key in found if key})
    place = {key: i for i, key in enumerate(known)}
    matrix = np.zeros((len(expression), len(known)), np.float32)
    count = np.zeros(len(known), np.float32)
    values = expression.to_numpy(np.float32)
    for column, key in enumerate(found):
        if key:
            matrix[:, place[key]] += values[:, column]
            count[place[key]] += 1
    return matrix / count, tuple(known)
