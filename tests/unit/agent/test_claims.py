import pytest

from cellwright.agent.claims import bind, bind_table, citations, show, unbacked
from cellwright.errors import ReportError
from cellwright.tools.spec import Claim, Table

RESULT = {
    "groups": [{"label": "B cell", "n": 1234}, {"label": "T cell", "n": 7}],
    "share": 0.6125,
    "genes": ["MS4A1", "CD79A"],
    "nothing": None,
}
SYMBOLS = frozenset({"MS4A1", "CD79A"})


def bound(template: str) -> str:
    return bind(Claim(template=template), "re_0", RESULT, SYMBOLS).text


def test_placeholders_are_read_from_the_result_and_formatted():
    text = bound("{groups.0.label}: {groups.0.n} cells, {share:.1%}, marked by {genes}; {nothing}")
    assert text == "B cell: 1,234 cells, 61.3%, marked by MS4A1, CD79A; –"


def test_each_fact_keeps_its_source():
    sentence = bind(Claim(template="{groups.1.n} cells"), "re_0", RESULT, SYMBOLS)
    assert [(one.text, one.artifact, one.pointer) for one in sentence.segments] == [
        ("7", "re_0", "groups.1.n"),
        (" cells", "", ""),
    ]


@pytest.mark.parametrize(
    "template",
    [
        "there are 42 cells",
        "MS4A1 is high",
        "as shown in PMID {share}",
        "{groups.5.n} cells",
        "{missing}",
        "{groups}",
        "{share:d}",
    ],
)
def test_unbacked_claims_are_refused(template):
    with pytest.raises(ReportError):
        bound(template)


def test_names_of_units_are_no_numbers():
    assert bound("log1p CP10k, ln IC50 of {share}") == "log1p CP10k, ln IC50 of 0.613"


def test_a_table_quotes_every_record():
    table = Table(title="Groups", rows="groups", columns=(("label", "type"), ("n:,", "cells")))
    grid = bind_table(table, "re_0", RESULT)
    assert [[cell.text for cell in row] for row in grid.rows] == [
        ["B cell", "1,234"],
        ["T cell", "7"],
    ]
    assert grid.rows[1][0].pointer == "groups.1.label"


def test_a_changed_number_gene_or_citation_is_found():
    facts = ["1,234", "0.613", "MS4A1"]
    assert unbacked("1,234 cells express MS4A1", facts, SYMBOLS) == []
    assert unbacked("1,235 cells express MS4A1", facts, SYMBOLS) == ["1,235"]
    assert "CD79A" in unbacked("1,234 cells express CD79A", facts, SYMBOLS)
    assert "a citation" in unbacked("see PMID", facts, SYMBOLS)


def test_a_number_is_not_backed_by_being_part_of_another():
    assert unbacked("34 cells", ["1,234"], SYMBOLS) == ["34"]


def test_citations_are_found_at_any_depth():
    record = {"record_id": "x", "pmids": ["1"], "source": "s"}
    assert list(citations({"a": [{"b": record}], "c": record})) == [record, record]


def test_show_covers_every_kind_of_value():
    assert [show(v) for v in (True, False, None, [], 3.14159, "x")] == [
        "yes", "no", "–", "none", "3.14", "x",
    ]  # fmt: skip
