from cellwright.agent.plan import DraftRefusal, DraftStep, PlanDraft
from cellwright.agent.review import review
from tests.unit.agent.toys import bench as bench
from tests.unit.agent.toys import toys as toys

ASKS = ("count the letters", "draw them")


def draft(*steps, **fields):
    made = tuple(DraftStep(tool=name, args=args, asks=asks) for name, args, asks in steps)
    return PlanDraft(steps=made, **fields)


def test_a_step_keeps_the_words_that_asked_for_it(bench):
    plan = review(draft(("count_letters", {"word": "gene"}, (1,))), ASKS[:1], bench)
    (step,) = plan.steps
    assert plan.status == "ready"
    assert (step.id, step.asked_by, step.args) == ("s1", ASKS[0], {"word": "gene"})
    assert "gene" in step.delivers


def test_missing_preparation_is_inserted_visibly_and_once(bench):
    plan = review(
        draft(("draw_letters", {"word": "a"}, (1,)), ("draw_letters", {"word": "b"}, (2,))),
        ASKS,
        bench,
    )
    assert [step.tool for step in plan.steps] == [
        "preprocess_dataset",
        "draw_letters",
        "draw_letters",
    ]
    assert plan.steps[0].inserted
    assert plan.steps[1].needs == plan.steps[2].needs == ("s1",)


def test_preparation_that_was_asked_for_runs_first(bench):
    plan = review(
        draft(("draw_letters", {}, (2,)), ("preprocess_dataset", {"word": "x"}, (1,))), ASKS, bench
    )
    assert [step.tool for step in plan.steps] == ["preprocess_dataset", "draw_letters"]
    assert not plan.steps[0].inserted


def test_words_read_as_background_stay_in_the_plan(bench):
    said = ("Our postdoc left.",)
    steps = draft(("count_letters", {}, (1,)), background=said)
    assert review(steps, ASKS[:1], bench).unplanned == said


def test_equal_steps_are_merged(bench):
    plan = review(draft(("count_letters", {}, (1,)), ("count_letters", {}, (2,))), ASKS, bench)
    (step,) = plan.steps
    assert ASKS[0] in step.asked_by
    assert ASKS[1] in step.asked_by


def test_wrong_arguments_become_a_refusal_that_names_them(bench):
    plan = review(draft(("count_letters", {"wrd": "x"}, (1,))), ASKS[:1], bench)
    assert plan.status == "refused"
    assert "wrd" in plan.refused[0].reason


def test_an_unknown_tool_becomes_a_refusal_that_lists_tools(bench):
    plan = review(draft(("fly", {}, (1,))), ASKS[:1], bench)
    assert "count_letters" in plan.refused[0].reason


def test_a_closed_gate_refuses_with_its_alternative(bench):
    plan = review(draft(("closed_gate", {}, (1,)), ("count_letters", {}, (2,))), ASKS, bench)
    assert plan.status == "ready"
    assert (plan.refused[0].ask, plan.refused[0].alternative) == (ASKS[0], "Come tomorrow.")


def test_a_warning_stays_with_its_step(bench):
    plan = review(draft(("warned_gate", {}, (1,))), ASKS[:1], bench)
    assert plan.steps[0].warning == "Far from what it knows."


def test_no_part_of_a_request_is_dropped(bench):
    plan = review(draft(("count_letters", {}, (1,))), ASKS, bench)
    assert [refusal.ask for refusal in plan.refused] == [ASKS[1]]


def test_what_the_model_refuses_is_refused_with_an_alternative(bench):
    refused = (DraftRefusal(asks=(1,), reason="irrelevant"),)
    plan = review(PlanDraft(refused=refused), ASKS[:1], bench)
    assert plan.status == "refused"
    assert plan.refused[0].alternative


def test_a_question_waits_and_a_default_is_stated(bench):
    unclear = draft(("count_letters", {}, (1,)), question="Which letters?")
    waiting = review(unclear, ASKS[:1], bench)
    assert waiting.status == "needs_clarification"
    assert waiting.question
    assert waiting.question.text == "Which letters?"
    taken = review(unclear, ASKS[:1], bench, take_defaults=True)
    assert taken.status == "ready"
    assert "Which letters?" in taken.assumptions[0]
    answered = review(unclear, ASKS[:1], bench, clarified="all")
    assert answered.status == "ready"


def test_a_column_that_a_tool_makes_pulls_that_tool_in(bench):
    plan = review(draft(("count_letters", {"word": "cellwright_leiden"}, (1,))), ASKS[:1], bench)
    maker, step = plan.steps
    assert (maker.tool, maker.inserted) == ("preprocess_dataset", True)
    assert step.needs == (maker.id,)


def test_a_subset_for_nothing_but_a_refused_step_is_taken_back(bench):
    steps = (("subset_cells", {"word": "a"}, (1,)), ("closed_gate", {}, (1,)))
    assert review(draft(*steps), ASKS[:1], bench).steps == ()
    own = (("subset_cells", {"word": "a"}, (1,)), ("closed_gate", {}, (2,)))
    assert [one.tool for one in review(draft(*own), ASKS, bench).steps] == ["subset_cells"]
