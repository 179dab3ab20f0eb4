from importlib import resources

import pytest

from cellwright.agent.check import Checker, check_lines, own_words

SAID = (
    "B cells: 1,234 of 2,638 cells (46.8%), marked by MS4A1.",
    "T cells: 700 of 2,638 cells (26.5%), marked by CD3D.",
    "The response is higher in B cells (z +0.19).",
    "These p-values rank genes and do not prove anything.",
)
ROW = "| B cells | 1,234 | MS4A1 |"
FIGURE = "![UMAP by label](figures/s1_ar_0123456789ab.png)"
REFERENCE = "1. [CellMarker (2024); PMID 31289003]: MS4A1 marks B cell"


@pytest.fixture
def checker() -> Checker:
    return Checker(
        said=[*SAID, ROW, FIGURE, REFERENCE],
        required=SAID,
        names=["B cells", "T cells", "B cell"],
        symbols=frozenset({"MS4A1", "CD3D", "SOX10"}),
    )


def unbacked(checker: Checker, line: str) -> bool:
    return any(one.kind == "unbacked" for one in checker.check(line))


@pytest.mark.parametrize("line", [*SAID, ROW, FIGURE, REFERENCE, f"{SAID[0]} {SAID[1]}"])
def test_what_artifacts_say_passes_in_other_words_too(checker: Checker, line: str) -> None:
    assert not unbacked(checker, line)
    assert not unbacked(checker, f"Overall, and as computed here: {line}")


@pytest.mark.parametrize(
    "line",
    [
        "B cells: 1,235 of 2,638 cells (46.8%), marked by MS4A1.",
        "B cells: 700 of 2,638 cells (46.8%), marked by MS4A1.",
        "T cells: 1,234 of 2,638 cells (46.8%), marked by MS4A1.",
        "mast cells: 1,234 of 2,638 cells (46.8%), marked by MS4A1.",
        "B cells: 1,234 of 2,638 cells (46.8%), marked by CD3D.",
        "B cells: 2,638 of 1,234 cells (46.8%), marked by MS4A1.",
        "B cells: 1,234 of 2,638 cells (46.8%), marked by MS4A1 and SOX10.",
        "B cells: 1,234 of 2,638 cells (46.8%), not marked by MS4A1.",
        "B cells: 1,234 of 2,638 cells (46.8%), marked by MS4A1 [PMID 31289003].",
        "The response is lower in B cells (z +0.19).",
        "The response is higher in B cells (z -0.19).",
        "These p-values do not rank genes.",
        "1. [CellMarker (2024); PMID 31289004]: MS4A1 marks B cell",
        "![UMAP by label](figures/s1_ar_ba9876543210.png)",
        "| T cells | 1,234 | MS4A1 |",
        "B cells, 1,234, MS4A1",
    ],
)
def test_anything_changed_swapped_added_or_turned_is_caught(checker: Checker, line: str) -> None:
    assert unbacked(checker, line)


@pytest.mark.parametrize(
    "line", ["They will respond well to treatment.", "Too few cells to compare: podocyte.", "42"]
)
def test_a_line_that_makes_no_claim_is_not_backed(checker: Checker, line: str) -> None:
    assert unbacked(checker, line)
    assert checker.claims_of(line) == []


def test_a_line_is_made_up_of_claims_in_its_order(checker: Checker) -> None:
    assert checker.claims_of(f"Overall, {SAID[1]} And {SAID[0]}") == [SAID[1], SAID[0]]
    assert checker.claims_of(f"{SAID[0]} {SAID[3]}") == [SAID[0], SAID[3]]


def test_of_claims_with_the_same_facts_a_line_makes_the_one_that_is_most_like_it() -> None:
    said = ["4 cells were flagged.", "4 genes were found."]
    checker = Checker(said=said, required=(), names=(), symbols=frozenset())
    assert checker.claims_of("In total, 4 genes were found.") == [said[1]]
    assert checker.claims_of(" ".join(said)) == said


@pytest.mark.parametrize(
    ("line", "strange"),
    [
        ("Overall, B cells account for 1,234 of 2,638 cells (46.8%) and are marked by MS4A1.", []),
        ("B cells: 1,234 of 2,638 cells (46.8%), marked by MS4A1 of lymphoma.", ["lymphoma"]),
        ("Nearly half are B cells.", ["near"]),
    ],
)
def test_words_that_no_claim_has_are_found(line: str, strange: list[str]) -> None:
    assert own_words(line, SAID) == strange


def test_words_that_join_findings_turn_nothing_round_and_count_nothing() -> None:
    table = resources.files("cellwright.agent") / "wordings" / "joining.txt"
    lines = [one for one in table.read_text("utf-8").splitlines() if not one.startswith(("#", "["))]
    checker = Checker(said=(), required=(), names=(), symbols=frozenset())
    assert [atom for line in lines for atom in checker.atoms(line)] == []


def test_what_is_left_out_is_named(checker: Checker) -> None:
    found = checker.check("\n".join([SAID[0], *SAID[2:]]))
    assert [(one.kind, one.line) for one in found] == [("left out", SAID[1])]


def test_the_nearest_claim_is_named(checker: Checker) -> None:
    (problem, *_) = checker.check("B cells: 1,235 of 2,638 cells (46.8%), marked by MS4A1.")
    assert problem.nearest == SAID[0]


def test_finished_lines_pass_word_for_word_and_fail_otherwise(checker: Checker) -> None:
    lines = [" ".join(SAID[:2]), *SAID[2:], ROW]
    assert check_lines(lines, checker) == []
    assert check_lines([*lines, "Nine in 10 of them are malignant."], checker)
