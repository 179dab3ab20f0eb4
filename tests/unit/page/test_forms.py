"""The plan as a form: what is sent back untouched changes nothing, what is changed arrives."""

import pytest

from cellwright.agent.plan import Plan, PlanStep
from cellwright.page.forms import edited, fields
from cellwright.tools.registry import ALL_TOOLS

ARGS = {
    "generate_cells": {"cell_type": "B cell", "n": 20},
    "search_knowledge": {"query": "CD79A", "kind": "gene"},
    "match_markers": {"genes": ["CD3D", "CD3E"]},
    "subset_cells": {"groups": ["B cell", "CD4+, naive"], "drop": True},
    "preprocess_dataset": {"resolution": 1.2},
}


def plan_of(spec, *, inserted=False):
    args = spec.args.model_validate(ARGS.get(spec.name, {})).model_dump(mode="json")
    step = PlanStep(
        id="s1", tool=spec.name, args=args, delivers=spec.title, asked_by="it", inserted=inserted
    )
    return Plan(status="ready", asks=("it",), steps=(step,))


def sent(plan):
    """The form as a browser sends it when nobody has touched it."""
    (step,) = plan.steps
    spec = next(one for one in ALL_TOOLS if one.name == step.tool)
    form = {"keep-s1": "on", "add": ""}
    for field in fields(spec, step.args):
        if field.control == "tick":
            form |= {f"s1.{field.name}": "on"} if field.value else {}
        elif field.control == "lines":
            form[f"s1.{field.name}"] = "\r\n".join(field.value)
        else:
            form[f"s1.{field.name}"] = str(field.value)
    return form


@pytest.mark.parametrize("spec", ALL_TOOLS, ids=lambda spec: spec.name)
@pytest.mark.parametrize("inserted", [False, True])
def test_a_form_that_was_not_touched_changes_nothing(spec, inserted):
    plan = plan_of(spec, inserted=inserted)
    assert edited(sent(plan), plan, ALL_TOOLS) is None


@pytest.mark.parametrize("spec", ALL_TOOLS, ids=lambda spec: spec.name)
def test_what_a_form_keeps_is_valid_for_the_tool(spec):
    plan = plan_of(spec)
    (first, second) = edited({**sent(plan), "add": "describe_dataset"}, plan, ALL_TOOLS)
    assert spec.args.model_validate(first.args).model_dump(mode="json") == plan.steps[0].args
    assert first.asks == (1,)
    assert (second.tool, second.asks) == ("describe_dataset", ())


def test_preparation_is_left_to_review_until_it_is_changed():
    spec = next(one for one in ALL_TOOLS if one.name == "preprocess_dataset")
    plan = plan_of(spec, inserted=True)
    form = {**sent(plan), "s1.resolution": "0.5"}
    (step,) = edited(form, plan, ALL_TOOLS)
    assert step.args == {"resolution": 0.5}
    assert step.asks == ()


def test_what_is_no_number_is_left_for_the_schema_to_refuse():
    spec = next(one for one in ALL_TOOLS if one.name == "generate_cells")
    plan = plan_of(spec)
    (step,) = edited({**sent(plan), "s1.n": "many"}, plan, ALL_TOOLS)
    assert step.args["n"] == "many"


def test_steps_and_tools_that_do_not_exist_are_not_taken():
    spec = next(one for one in ALL_TOOLS if one.name == "describe_dataset")
    plan = plan_of(spec)
    form = {**sent(plan), "keep-s9": "on", "s9.x": "1", "add": "os.system"}
    assert edited(form, plan, ALL_TOOLS) is None
    assert edited({}, plan, ALL_TOOLS) == []
