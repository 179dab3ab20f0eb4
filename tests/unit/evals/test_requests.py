"""Held-out requests, and how plans are judged against what they want."""

from importlib import resources

import pytest
from rapidfuzz import fuzz, process

from cellwright.agent.notation import read_requests
from cellwright.agent.phrasings import phrasings
from cellwright.agent.plan import Plan, PlanStep, Question, Refusal
from cellwright.agent.sample_passports import PASSPORTS
from cellwright.evals.requests import grade, held_out

DATA = PASSPORTS[0][2]  # human PBMC with cell_type, sample_id and stim
ALIKE = 80
"""Likeness, of 100, from which two requests count as one wording."""


def test_held_out_requests_are_unlike_all_that_is_trained_on() -> None:
    table = resources.files("cellwright.agent") / "wordings" / "requests.txt"
    taught = [one.text.lower() for one in read_requests(table.read_text("utf-8"))]
    for language in ("english", "korean", "chinese"):
        for kept, _ in phrasings(language).values():
            taught += [words.lower() for words, _ in kept if "{" not in words]
    likeness = process.cdist(
        [one.text.lower() for one in held_out()], taught, scorer=fuzz.token_sort_ratio
    )
    assert likeness.max() < ALIKE
    assert len(held_out()) >= 250


def test_held_out_requests_are_of_every_kind_and_language() -> None:
    for language in ("english", "korean", "chinese"):
        kinds = {one.kind for one in held_out() if one.language == language}
        assert kinds == {"single", "compound", "ambiguous", "unanswerable", "follow-up"}
    assert sum(len(one.parts) >= 3 for one in held_out()) >= 50


def plan(*calls, refused=(), question=None, unplanned=()) -> Plan:
    steps = tuple(
        PlanStep(id=f"s{at}", tool=tool, args=args, delivers="", asked_by="hm")
        for at, (tool, args) in enumerate(calls)
    )
    refusals = tuple(Refusal(ask=words, reason="") for words in refused)
    asked = Question(text="?", choices=(), default="") if question else None
    status = "needs_clarification" if question else "ready" if steps else "refused"
    return Plan(status=status, asks=("",), steps=steps, refused=refusals, question=asked,
                unplanned=unplanned)  # fmt: skip


UMAP = ("plot_cells", {"kind": "umap", "color_by": "stim"})
WANTED = "compound english - none :: a map {plot kind=umap color_by?=any} and the fate {refuse}"


@pytest.mark.parametrize(
    ("line", "made", "fit", "omitted"),
    [
        (WANTED, plan(UMAP, refused=["and the fate"]), True, 0),
        (WANTED, plan(UMAP), False, 1),
        (WANTED, plan(UMAP, unplanned=["and the fate"]), False, 0),
        (WANTED, plan(UMAP, UMAP, refused=["and the fate"]), False, 0),
        (WANTED, plan(("find_markers", {}), refused=["and the fate"]), False, 1),
        (WANTED, plan(UMAP, refused=["a map"]), False, 1),
        (WANTED.replace("=any", "=sample_id"), plan(UMAP, refused=["and the fate"]), False, 0),
        ("single english - none :: hm {unclear}", plan(question=True), True, 0),
        ("single english - none :: hm {unclear}", plan(UMAP), False, 0),
        ("single english - none :: hm {unclear | plot kind=umap color_by=stim}", plan(UMAP), True,
         0),
        ("single english - none :: no B {subset groups=B drop=yes}",
         plan(("subset_cells", {"groups": ["B cells"], "drop": True})), True, 0),
        ("single english - none :: no B {subset groups=B drop=yes}",
         plan(("subset_cells", {"groups": ["B cells"]})), False, 0),
        ("single english - none :: a or b {compare column=stim group_a=stim group_b=ctrl}",
         plan(("compare_groups", {"column": "stim", "group_a": "ctrl", "group_b": "stim"})), True,
         0),
    ],
)  # fmt: skip
def test_a_plan_fits_when_calls_refusals_and_questions_do(line, made, fit, omitted) -> None:
    (request,) = read_requests(line)
    judged = grade(request, made, DATA)
    assert judged.fit is fit
    if not judged.asked and not fit:
        assert judged.omitted == omitted
