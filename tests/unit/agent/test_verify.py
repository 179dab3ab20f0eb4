import pytest

from cellwright.agent.plan import Plan, PlanStep, Refusal
from cellwright.agent.state import Outcome
from cellwright.agent.verify import ledger
from cellwright.artifacts import DirectoryStore

ASKS = ("count the letters", "draw them")


@pytest.fixture
def store(tmp_path):
    return DirectoryStore(tmp_path)


def step(number, asked_by, **fields):
    return PlanStep(
        id=f"s{number}", tool="toy", args={}, delivers="toy", asked_by=asked_by, **fields
    )


def done(store, number, **result):
    content = {"data": None, "figures": [], "tables": [], **result}
    ref = store.put_json(content, "toy")
    return Outcome(step=f"s{number}", tool="toy", status="done", result=ref.id)


def entries(store, steps, outcomes, refused=()):
    plan = Plan(status="ready", asks=ASKS, steps=steps, refused=refused)
    return ledger(plan, outcomes, store)


def test_each_part_ends_as_done_not_done_or_refused(store):
    refusal = Refusal(ask=ASKS[1], reason="no pencil", alternative="buy one")
    first, second = entries(store, (step(1, ASKS[0]),), [done(store, 1)], (refusal,))
    assert (first.status, first.steps) == ("done", ("s1",))
    assert (second.status, second.reason, second.alternative) == ("refused", "no pencil", "buy one")


def test_a_failed_step_makes_its_part_not_done_with_the_reason(store):
    failed = Outcome(step="s1", tool="toy", status="failed", reason="out of ink")
    first, _ = entries(store, (step(1, ASKS[0]),), [failed])
    assert (first.status, first.reason) == ("not done", "out of ink")


def test_a_step_that_never_ran_is_not_done(store):
    first, _ = entries(store, (step(1, ASKS[0]),), [])
    assert first.status == "not done"


def test_a_part_that_nothing_serves_is_not_done(store):
    _, second = entries(store, (step(1, ASKS[0]),), [done(store, 1)])
    assert (second.status, second.steps) == ("not done", ())


def test_a_deliverable_that_is_missing_is_noticed(store):
    figure = {"id": "fi_000000000000", "kind": "figure", "summary": "gone"}
    first, _ = entries(store, (step(1, ASKS[0]),), [done(store, 1, figures=[figure])])
    assert first.status == "not done"
    assert "fi_000000000000" in first.reason


def test_one_failure_among_several_steps_is_not_hidden(store):
    failed = Outcome(step="s2", tool="toy", status="skipped", reason="needs s1")
    steps = (step(1, ASKS[0]), step(2, ASKS[0]))
    first, _ = entries(store, steps, [done(store, 1), failed])
    assert (first.status, first.reason) == ("not done", "needs s1")
