import pytest

from cellwright.knowledge.asked import asked_kind


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("enzyme that beta cells make", "gene"),
        ("cells with an enzyme for starch", "cell_type"),
        ("antibiotics against tuberculosis", "drug"),
        ("stem cell receptor of the gut", "gene"),
        ("antihistamines for hay fever", "drug"),
        ("dehydrogenase mutated in glioma", "gene"),
        ("disease of the liver", None),
        ("what helps against headaches", None),
    ],
)
def test_the_first_naming_nouns_decide(query: str, kind: str | None) -> None:
    assert asked_kind(query) == kind
