"""Wrong drafts of a toy report: each differs from the truth and is caught."""

import numpy as np

from cellwright.agent.check import checker_of
from cellwright.agent.document import compose
from cellwright.evals.drafts import left_out, mutants, phrased, report_on, true_lines
from tests.unit.agent.test_report import run
from tests.unit.agent.toys import bench as bench
from tests.unit.agent.toys import toys as toys


def test_every_mutant_is_wrong_and_caught(bench) -> None:
    document = compose(run(bench, "count_letters", word="gene"), bench)
    checker = checker_of(document, frozenset())
    made = list(mutants(document, frozenset(), np.random.default_rng(0)))
    assert {"number", "number added", "citation added"} <= {one.kind for one in made}
    for one in made:
        assert one.line != one.true
        if one.kind != "gene added":  # without gene symbols, a gene is a word like any other
            assert checker.check(one.line)[0].kind == "unbacked", one


def test_other_openings_of_true_lines_pass(bench) -> None:
    document = compose(run(bench, "count_letters", word="gene"), bench)
    checker = checker_of(document, frozenset())
    said = phrased(true_lines(document) * 5, np.random.default_rng(1))
    assert len(said) < len(true_lines(document)) * 5
    assert not [one for line in said for one in checker.check(line) if one.kind == "unbacked"]


def test_a_claim_without_a_fact_cannot_be_missed(bench) -> None:
    document = compose(run(bench, "count_letters", word="gene"), bench)
    assert len(left_out(document)) == 2


def test_a_call_that_fails_leaves_the_others_in_the_report(bench) -> None:
    calls = [("give_up", {}), ("count_letters", {"word": "cell"})]
    document = report_on(calls, bench)
    assert [one.outcome.status for one in document.sections] == ["failed", "done"]
    assert [one.status for one in document.ledger] == ["not done", "done"]
