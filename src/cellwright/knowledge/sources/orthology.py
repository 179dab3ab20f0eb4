"""Which human gene stands for a mouse gene in the shared vocabulary, and the reverse."""

from collections import defaultdict
from collections.abc import Iterable

from cellwright.knowledge.sources.genes import Gene, Ortholog

CLEAR_LEAD = 25
"""Points of gene-order conservation (0 to 100) by which an ortholog must lead the others."""

MAX_FAMILY = 4
"""Mouse genes that may share one human ortholog; larger families are told apart."""

BY_HAND = {"Lyz2": "LYZ", "Lyz1": "LYZ", "Hbb-bs": "HBB", "Hbb-bt": "HBB", "Hbb-b1": "HBB"}
"""Orthologs that everybody uses and Ensembl's table lacks."""

FIRST_BY_HAND = ("Lyz2", "Hbb-bs", "Ins2")
"""Mouse genes that stand for their family, being the ones that most tissues express."""


def human_of_mouse(mouse: list[Gene], human: list[Gene], links: list[Ortholog]) -> dict[int, int]:
    """Return the row of the human gene that stands for each mouse row.

    One-to-one orthologs come first; of several human genes the one of the same name, else the
    only confident one. Genes outside Ensembl's table pair up by name when neither has a partner.
    """
    mouse_rows = {one: row for row, gene in enumerate(mouse) for one in gene.ensembl}
    human_rows = {one: row for row, gene in enumerate(human) for one in gene.ensembl}
    by_mouse: dict[int, list[tuple[int, Ortholog]]] = defaultdict(list)
    by_human: dict[int, set[int]] = defaultdict(set)
    for link in links:
        one, other = mouse_rows.get(link.gene), human_rows.get(link.other)
        if one is not None and other is not None and human[other].symbol:
            by_mouse[one].append((other, link))
            by_human[other].add(one)
    chosen: dict[int, int] = {}
    for row, options in by_mouse.items():
        best = _best(mouse[row], human, options, by_human)
        if best is not None:
            chosen[row] = best
    _pair_by_name(mouse, human, by_mouse.keys(), by_human.keys(), chosen)
    return chosen


def mouse_of_human(
    mouse: list[Gene], human: list[Gene], links: list[Ortholog], chosen: dict[int, int]
) -> dict[int, int]:
    """Return the mouse row that best stands for each human row of ``chosen``."""
    mouse_rows = {one: row for row, gene in enumerate(mouse) for one in gene.ensembl}
    quality: dict[int, tuple[bool, bool, int]] = {}
    for link in links:
        row = mouse_rows.get(link.gene)
        if row is not None:
            found = (link.one_to_one, link.confident, link.conservation)
            quality[row] = max(found, quality.get(row, found))
    best: dict[int, tuple[tuple[bool, bool, tuple[bool, bool, int], str], int]] = {}
    for row, partner in chosen.items():
        same = mouse[row].symbol.upper() == human[partner].symbol.upper()
        first = mouse[row].symbol in FIRST_BY_HAND
        rank = (first, same, quality.get(row, (False, False, 0)), mouse[row].symbol)
        if partner not in best or rank > best[partner][0]:
            best[partner] = (rank, row)
    return {partner: row for partner, (_rank, row) in best.items()}


def _best(
    gene: Gene,
    human: list[Gene],
    options: list[tuple[int, Ortholog]],
    by_human: dict[int, set[int]],
) -> int | None:
    one_to_one = [row for row, link in options if link.one_to_one]
    same_name = [row for row, _ in options if human[row].symbol.upper() == gene.symbol.upper()]
    if one_to_one or same_name:
        return (one_to_one or same_name)[0]
    small = [(row, link) for row, link in options if len(by_human[row]) <= MAX_FAMILY]
    if len(options) == 1 and small:
        return small[0][0]
    confident = sorted({row for row, link in small if link.confident})
    ranked = sorted(((link.conservation, row) for row, link in small), reverse=True)
    if len(confident) != 1 and len(ranked) > 1 and ranked[0][0] >= ranked[1][0] + CLEAR_LEAD:
        return ranked[0][1]
    # Of recent copies, such as HBA1 and HBA2, the first stands for them.
    return min(confident, key=lambda row: human[row].symbol, default=None)


def _pair_by_name(
    mouse: list[Gene],
    human: list[Gene],
    linked_mouse: Iterable[int],
    linked_human: Iterable[int],
    chosen: dict[int, int],
) -> None:
    has_mouse, has_human = set(linked_mouse), set(linked_human)
    by_symbol = {gene.symbol: row for row, gene in reversed(list(enumerate(human))) if gene.symbol}
    for row, gene in enumerate(mouse):
        if row in chosen:
            continue
        partner = by_symbol.get(BY_HAND.get(gene.symbol, ""))
        if partner is None and row not in has_mouse and len(gene.symbol) > 2:
            partner = by_symbol.get(gene.symbol.upper())
            if partner is not None and partner in has_human:
                partner = None
        if partner is not None:
            chosen[row] = partner
