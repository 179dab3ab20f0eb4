import pytest

from cellwright.agent.asks import split_request
from cellwright.agent.examples import fits, make_asks, make_examples
from cellwright.agent.grammar import SIGNATURES, read_plan
from cellwright.agent.phrasings import phrasings
from cellwright.agent.plan import DraftStep, PlanDraft


@pytest.mark.parametrize("language", ["english", "korean", "chinese"])
def test_no_phrasing_is_both_trained_on_and_held_out(language) -> None:
    for kind, sides in phrasings(language).items():
        trained = {words for words, _plan in sides[False]}
        held = {words for words, _plan in sides[True]}
        assert trained, kind
        assert held, kind
        assert kind == "unclear_groups" or not trained & held, kind


@pytest.mark.parametrize("held_out", [False, True])
def test_examples_are_whole_and_reproducible(*, held_out: bool) -> None:
    first = make_examples(120, seed=3, held_out=held_out)
    assert first == make_examples(120, seed=3, held_out=held_out)
    assert len({one.request for one in first}) == len(first) == 120
    for example in first:
        assert example.held_out is held_out
        assert list(example.asks) == split_request(example.request)
        served = {at for step in example.draft.steps for at in step.asks}
        served |= {at for one in example.draft.refused for at in one.asks}
        left = set(range(1, len(example.asks) + 1)) - served
        assert not left or example.draft.question, example.plan


def test_examples_cover_tools_kinds_and_languages() -> None:
    made = make_examples(700, seed=4, held_out=False)
    assert {step.tool for one in made for step in one.draft.steps} == set(SIGNATURES)
    assert {one.language for one in made} == {"english", "korean", "chinese"}
    assert {one.kind for one in made} == {
        "single", "compound", "ambiguous", "unanswerable", "follow-up",
    }  # fmt: skip
    assert {one.reason for each in made for one in each.draft.refused} == {
        "unsupported", "irrelevant", "unsafe",
    }  # fmt: skip


def test_columns_of_wanted_plans_exist_or_will_be_made() -> None:
    for example in make_examples(200, seed=5, held_out=False):
        known = {column.name for column in example.passport.columns}
        known |= {"cellwright_cell_type", "cellwright_leiden"}
        for step in example.draft.steps:
            for name in ("group_by", "column", "color_by", "batch_key"):
                assert step.args.get(name, "cellwright_leiden") in known


def test_fits_ignores_order_and_case_only() -> None:
    one = DraftStep(tool="annotate_cells", asks=(1,))
    two = DraftStep(tool="explain_cells", args={"label": "B cell"}, asks=(2,))
    wanted = PlanDraft(steps=(one, two))
    loud = two.model_copy(update={"args": {"label": "b CELL"}})
    assert fits(PlanDraft(steps=(loud, one)), wanted)
    assert not fits(PlanDraft(steps=(one,)), wanted)
    moved = two.model_copy(update={"asks": (1,)})
    assert not fits(PlanDraft(steps=(one, moved)), wanted)
    assert not fits(wanted.model_copy(update={"question": "Which?"}), wanted)


def test_an_ask_knows_the_names_of_the_asks_before_it() -> None:
    first, second = make_asks(["predict the response to erlotinib", "explain it"], None)
    assert first.earlier == ()
    assert second.earlier[0] == "erlotinib"
    assert read_plan("1 predict drugs=erlotinib\n", [first.text]).steps[0].args == {
        "drugs": ["erlotinib"]
    }
