import pytest

from cellwright.knowledge.drugs import DrugTable

DRUGS = DrugTable()


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("erlotinib", "Erlotinib"),
        ("Tarceva", "Erlotinib"),
        ("PLX4720", "PLX-4720"),
        ("venetoclax hydrochloride", "Venetoclax"),
    ],
)
def test_finds_a_drug_by_any_name(name: str, known: str) -> None:
    match = DRUGS.lookup(name)
    assert (match.status, match.name) == ("ok", known)
    assert match.in_gdsc


def test_merges_both_sources() -> None:
    match = DRUGS.lookup("Erlotinib")
    assert match.sources == ("GDSC", "Drug Repurposing Hub")
    assert "EGFR" in match.targets
    assert match.phase == "Launched"
    assert "EGFR" in match.mechanism
    assert "EGFR" in DRUGS.evidence(match).text


def test_unknown_drugs_come_with_suggestions() -> None:
    match = DRUGS.lookup("Erlotinb")
    assert match.status == "unknown"
    assert match.suggestions[0] == "Erlotinib"
