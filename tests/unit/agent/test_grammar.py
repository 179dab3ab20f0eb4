from typing import get_args

import pytest

from cellwright.agent.examples import PASSPORTS, make_asks, make_examples
from cellwright.agent.grammar import SIGNATURES, VERBS, make_grammar, read_plan, write_plan
from cellwright.agent.mentions import find_mentions
from cellwright.agent.plan import DraftRefusal, DraftStep, PlanDraft

SHARED = PASSPORTS[0][2]


def walker(grammar: str):
    xgrammar = pytest.importorskip("xgrammar")
    info = xgrammar.TokenizerInfo([chr(at) for at in range(256)], stop_token_ids=[0])
    compiled = xgrammar.GrammarCompiler(info).compile_grammar(grammar)
    return xgrammar.GrammarMatcher(compiled, terminate_without_stop_token=True)


def allows(asks: list[str], text: str, passport=SHARED) -> bool:
    matcher = walker(make_grammar(make_asks(asks, passport)))
    return matcher.accept_string(text) and matcher.is_terminated()


def test_a_plan_is_written_and_read_alike() -> None:
    draft = PlanDraft(
        steps=(
            DraftStep(tool="annotate_cells", args={"level": "cluster"}, asks=(1, 2)),
            DraftStep(
                tool="plot_cells",
                args={"kind": "dotplot", "genes": ["EGFR", "KRAS"]},
                asks=(2,),
            ),
            DraftStep(
                tool="generate_cells", args={"cell_type": "CD14 monocyte", "n": 100}, asks=(3,)
            ),
            DraftStep(tool="preprocess_dataset", args={"resolution": 0.8}, asks=(3,)),
        ),
        refused=(DraftRefusal(asks=(4,), reason="unsupported"),),
    )
    text = write_plan(draft, 4)
    assert text.splitlines()[1] == "2 annotate level=cluster; plot kind=dotplot genes=EGFR,KRAS"
    assert read_plan(text, ["a", "b", "c", "d"]) == draft


def test_same_serves_with_the_steps_before() -> None:
    read = read_plan("1 generate cell_type=B n=5\n2 same\n", ["generate 5 B", "check them"])
    assert [step.asks for step in read.steps] == [(1, 2)]


def test_an_unclear_ask_becomes_a_question_that_quotes_it() -> None:
    read = read_plan("1 unclear drug\n", ["are they sensitive?"])
    assert read.question == 'Which drug is meant? (in: "are they sensitive?")'
    assert read.steps == ()


def test_values_with_spaces_commas_and_quotes_survive() -> None:
    step = DraftStep(
        tool="compare_groups",
        args={"column": "celltype", "group_a": "CD8, T Effector Memory", "group_b": "a b"},
        asks=(1,),
    )
    text = write_plan(PlanDraft(steps=(step,)), 1)
    assert read_plan(text, ["x"]).steps == (step,)


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("1 annotate\n2 plot kind=umap\n", True),
        ("1 annotate; find\n2 plot kind=umap; plot kind=heatmap; describe\n", True),
        ("1 annotate\n", False),  # an ask left out
        ("2 plot kind=umap\n1 annotate\n", False),
        ("1 annotate\n2 plot kind=umap color_by=nothing\n", False),  # no such column
        ("1 annotate\n2 plot kind=umap color_by=sample_id\n", True),
        ("1 annotate\n2 explain label=unicorn\n", False),  # nobody named it
        ("1 annotate; annotate; annotate; annotate\n2 describe\n", False),  # bounded
        ("1 refuse unsafe\n2 unclear drug\n", True),
    ],
)
def test_the_grammar_allows_what_request_and_data_have(text: str, *, allowed: bool) -> None:
    asks = ["annotate the cells", "draw a umap by donor"]
    assert allows(asks, text) is allowed


def test_the_grammar_allows_the_wanted_plans() -> None:
    made = make_examples(60, seed=8, held_out=False) + make_examples(40, seed=9, held_out=True)
    made = [one for one in made if not one.history]
    kept = [one for one in made if allows(list(one.asks), one.plan, one.passport)]
    assert len(kept) >= 0.97 * len(made)


def test_quotes_and_brackets_in_requests_cannot_break_the_grammar() -> None:
    asks = ['explain "x" ::= | root \\ cells', 'generate 5 a"b\\c ::= cells']
    matcher = walker(make_grammar(make_asks(asks, SHARED)))
    assert matcher.accept_string("1 annotate\n2 describe\n")


def test_signatures_are_those_of_the_tools() -> None:
    registry = pytest.importorskip("cellwright.tools.registry")
    specs = {spec.name: spec for spec in registry.ALL_TOOLS}
    assert set(SIGNATURES) == set(specs)
    assert len(VERBS) == len(SIGNATURES)
    for name, arguments in SIGNATURES.items():
        fields = specs[name].args.model_fields
        assert set(arguments) <= set(fields), name
        for argument, slot in arguments.items():
            if slot == ("yes",):
                assert fields[argument].annotation is bool, (name, argument)
            elif isinstance(slot, tuple):
                assert set(slot) <= set(_literals(fields[argument].annotation)), (name, argument)


def _literals(annotation: object) -> list[object]:
    found: list[object] = []
    for one in get_args(annotation):
        found += [one] if isinstance(one, str) else _literals(one)
    return found


def test_mentions_find_names_and_leave_common_words() -> None:
    found = find_mentions("draw a dot plot of EGFR, Ins1 and HLA-DRA per donor", SHARED)
    assert found.genes == ("EGFR", "Ins1", "HLA-DRA")
    assert found.columns == ("sample_id",)
    found = find_mentions("generate 1,000 CD14+ monocytes from human blood", SHARED)
    assert found.numbers == ("1000",)
    assert found.types[0] == "CD14+ monocyte"
    assert found.tissues == ("blood",)
    found = find_mentions("compare ctrl and stim in alpha and beta cells", SHARED)
    assert ("stim", ("ctrl", "stim")) in found.groups
    assert {"alpha cell", "beta cell"} <= set(found.types)
