import ast
import random
import re
import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import numpy as np
import pytest
from pydantic import BaseModel

import cellwright.tools
from cellwright.agent.check import Checker, checker_of
from cellwright.agent.claims import PLACEHOLDER, bind, unbacked
from cellwright.agent.document import Document, Section, compose
from cellwright.agent.plan import DraftUnclear, Plan, PlanStep
from cellwright.agent.questions import question_text, readings
from cellwright.agent.report import check_markdown, render_html, render_markdown
from cellwright.agent.review import REASONS
from cellwright.agent.state import Outcome
from cellwright.agent.words import Wording, any_place, language_of, saying, wording
from cellwright.evals.drafts import FOREIGN_GENES, mutants, true_lines
from cellwright.tools import registry
from cellwright.tools.comparison_result import CompareResult, Stratum, TypeShare
from cellwright.tools.spec import Claim
from tests.unit.agent.test_report import run
from tests.unit.agent.toys import bench as bench
from tests.unit.agent.toys import toys as toys

LANGUAGES = ("korean", "chinese")
TEXTS = ("", "alpha", "unknown", "7", "doublets", "low quality", "much mitochondrial RNA", "drug",
         "composition")  # fmt: skip
INSTANCES = 120


def words_of(language: str) -> Wording:
    found = wording(language)  # type: ignore[arg-type] # one of LANGUAGES
    assert found is not None
    return found


def made_up(kind: Any, rng: random.Random) -> Any:
    """A value of a field's type, so that every branch of a result's claims is come by."""
    origin, inside = get_origin(kind), get_args(kind)
    if origin is Literal:
        return rng.choice(inside)
    if origin in (Union, types.UnionType):
        return made_up(rng.choice(inside), rng)
    if origin is tuple:
        return tuple(made_up(inside[0], rng) for _ in range(rng.choice((0, 1, 2, 3, 9))))
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        fields = {
            name: made_up(one.annotation, rng) if one.annotation is not frozenset else frozenset()
            for name, one in kind.model_fields.items()
        }
        return kind.model_construct(**fields)
    simple = {
        bool: rng.random() < 0.5,
        int: rng.choice((0, 1, 2, 5, 40)),
        float: rng.choice((-1.0, -0.1, 0.0, 0.1, 2.0)),
        str: rng.choice(TEXTS),
    }
    return simple.get(kind)


@pytest.fixture(scope="module")
def templates() -> frozenset[str]:
    """Templates of every tool, made from results of every kind."""
    rng = random.Random(0)
    return frozenset(
        claim.template
        for spec in registry.ALL_TOOLS
        for _ in range(INSTANCES)
        for claim in made_up(spec.result, rng).claims()
    )


def literals(tree: ast.Module) -> list[re.Pattern[str]]:
    """Pieces of templates in the source: text of the functions of a module that make claims."""
    functions = [one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)]
    names = {one.name: one for one in functions}
    making = {
        one.name for one in functions
        if any(isinstance(at, ast.Call) and ast.unparse(at.func) == "Claim" for at in ast.walk(one))
    }  # fmt: skip
    for name in tuple(making):
        called = {ast.unparse(at.func).removeprefix("self.") for at in ast.walk(names[name])
                  if isinstance(at, ast.Call)}  # fmt: skip
        making |= called & names.keys()
    found = []
    for name in making:
        skipped = {id(part) for at in ast.walk(names[name])
                   if isinstance(at, ast.Compare | ast.keyword | ast.JoinedStr)
                   and not (isinstance(at, ast.keyword) and at.arg == "template")
                   for part in ast.iter_child_nodes(at)}  # fmt: skip
        skipped |= {id(names[name].body[0].value)} if ast.get_docstring(names[name]) else set()  # type: ignore[attr-defined]
        for at in ast.walk(names[name]):
            if isinstance(at, ast.JoinedStr):
                parts = [re.escape(one.value) if isinstance(one, ast.Constant) else ".*"
                         for one in at.values]  # fmt: skip
                found.append(re.compile("".join(parts)))
            elif (
                isinstance(at, ast.Constant)
                and isinstance(at.value, str)
                and id(at) not in skipped
                and re.search("[a-z]{2}", at.value)
            ):
                found.append(re.compile(re.escape(at.value)))
    return found


def test_every_piece_of_a_template_in_the_source_was_come_by(templates: frozenset[str]) -> None:
    folder = Path(cellwright.tools.__file__).parent
    whole = "\n".join(templates)
    pieces = [one for file in sorted(folder.glob("*.py"))
              for one in literals(ast.parse(file.read_text("utf-8")))]  # fmt: skip
    assert len(pieces) > 100
    assert [one.pattern for one in pieces if not one.search(whole)] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_template_of_the_tools_has_a_translation_with_the_same_facts(
    templates: frozenset[str], language: str
) -> None:
    words = words_of(language)
    by_shape = {any_place(one): one for one in templates}
    missing = {shape for shape, one in by_shape.items() if words.template(one) is None}
    assert missing == set()
    for one in by_shape.values():
        own = words.template(one)
        if own is not None:
            assert set(PLACEHOLDER.findall(own)) == set(PLACEHOLDER.findall(one)), own


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_say_no_number_or_citation_of_their_own_and_keep_their_holes(
    language: str,
) -> None:
    words = words_of(language)
    for english, own in words.templates.items():
        assert unbacked(PLACEHOLDER.sub("", own), (), frozenset()) == [], own
        assert set(PLACEHOLDER.findall(own)) == set(PLACEHOLDER.findall(english))
    for phrases in (*words.values.values(), words.phrases):
        for pattern, own in phrases:
            assert set(re.findall(r"\{(\w+)\}", own)) == set(pattern.groupindex), own


@pytest.mark.parametrize("language", LANGUAGES)
def test_titles_headings_and_refusals_have_translations(language: str) -> None:
    words, rng = words_of(language), random.Random(0)
    said = {spec.title for spec in registry.ALL_TOOLS} | {
        t for two in REASONS.values() for t in two
    }
    for spec in registry.ALL_TOOLS:
        for _ in range(30):
            result = made_up(spec.result, rng)
            if getattr(result, "explained", True):
                for table in result.report_tables():
                    said |= {table.title, *(heading for _, heading in table.columns)}
    said = {one for one in said if not one.startswith("Median ")}
    untouched = {one for one in said if words.say(one) == one}
    assert untouched <= {"Cell Ontology", "PMIDs", "z"}


def test_the_language_is_that_of_the_request() -> None:
    assert language_of("annotate the cells") == "english"
    assert language_of("CD3D UMAP 그려줘") == "korean"
    assert language_of("画出UMAP") == "chinese"


def test_fixed_words_follow_the_language_and_unknown_ones_stay() -> None:
    assert saying("chinese")("References") == "参考文献"
    assert saying("korean")("Leiden") == "Leiden"
    assert saying("english")("References") == "References"


def test_sentences_are_said_with_the_names_that_stand_in_them() -> None:
    say = saying("korean")
    assert say("Figure needs cells, and no data file was given.").startswith("그림: 세포 데이터가")
    two = say("annotate_cells was not run. Say which analysis of the cells is wanted.")
    assert "annotate_cells이(가) 실행되지 않았습니다." in two
    assert say("Nobody said this. Nor this.") == "Nobody said this. Nor this."


def test_a_question_and_its_choices_are_in_the_language_of_the_request() -> None:
    unclear, asks = DraftUnclear(about="drug", asks=(1,)), ["약물 반응을 예측해줘"]
    asked = question_text(unclear, asks)
    assert asked == '어떤 약물을 말씀하시나요? (요청: "약물 반응을 예측해줘")'
    assert [one.text for one in readings(unclear, asks, None)] == ["두드러지는 약물"]
    assumed = saying("korean")(f"{asked} Nobody was asked; taken as: 두드러지는 약물.")
    assert assumed == f"{asked} 묻지 않고 다음으로 보았습니다: 두드러지는 약물."


def test_words_that_a_field_holds_are_translated_and_names_are_not() -> None:
    words = words_of("korean")
    result = {"level": "cell", "cell_type": "cell", "kept": [], "design": "paired donors"}
    claim = Claim(template="{n_cells:,} cells were annotated {level} by {level}: {n_types} cell "
                  "types, most often {counts.0.label} ({counts.0.share:.1%}).")  # fmt: skip
    counted = {**result, "n_cells": 70, "n_types": 1, "counts": [{"label": "cell", "share": 0.5}]}
    said = bind(claim, "re_0", counted, frozenset(), words)
    assert said.text == (
        "세포 70개의 유형을 세포 단위로 주석했습니다: 세포 유형 1가지, 가장 많은 것은 cell (50.0%)."
    )
    assert said.language == "korean"
    assert [one.pointer for one in said.segments if one.artifact][-1] == "counts.0.share"
    assert words.value("strata.0.design", "paired donors") == "대응 기증자"
    assert words.value("cell_type", "paired donors") == "paired donors"
    assert words.value("left_out", []) == "없음"


def test_a_sentence_that_is_quoted_is_translated_or_counts_as_english() -> None:
    words, claim = words_of("chinese"), Claim(template="{passport.warnings.0}")
    known = {"passport": {"warnings": ["12 cells have no expression at all."]}}
    other = {"passport": {"warnings": ["The file is odd."]}}
    said = bind(claim, "re_0", known, frozenset(), words)
    assert (said.text, said.language) == ("12 个细胞完全没有表达。", "chinese")
    said = bind(claim, "re_0", other, frozenset(), words)
    assert (said.text, said.language) == ("The file is odd.", "english")


def test_a_korean_request_gets_korean_headings_and_checked_findings(bench) -> None:
    state = {**run(bench, "count_letters", word="gene"), "request": "글자 수를 세어 주세요"}
    document = compose(state, bench)
    text = render_markdown(document)
    assert "## 요약" in text
    assert "## In short" not in text
    check_markdown(text, document)
    assert '<html lang="ko">' in render_html(document, bench)


def test_a_finding_without_a_translation_stays_english_and_the_report_says_so(bench) -> None:
    state = {**run(bench, "count_letters", word="gene"), "request": "글자 수를 세어 주세요"}
    text = render_markdown(compose(state, bench))
    assert "The word has 4 letters." in text
    assert "번역이 없는 결과 문장과 인용한 기록은 영어 그대로 싣습니다." in text
    assert "번역이" not in render_markdown(compared("두 그룹을 비교해줘"))


def compared(request: str) -> Document:
    """A report of one comparison, in the language of a request."""
    share = TypeShare(cell_type="B cell", share_a=0.3, share_b=0.1, difference=0.2, p=0.01,
                      p_adjusted=0.02)  # fmt: skip
    stratum = Stratum(name="T cell", n_a=120, n_b=90, donors_a=4, donors_b=5,
                      design="separate donors", n_tested=900, n_significant=31, up=(), down=(),
                      up_names=("IFI6", "ISG15"), down_names=("FOS",))  # fmt: skip
    result = CompareResult(column="arm", group_a="STIM", group_b="CTRL", donor_column="donor",
                           alpha=0.05, min_donors=3, min_cells=10, counts=False,
                           strata=(stratum,), composition_by="cell_type", composition=(share,),
                           composition_tested=True, not_compared=("NK cell",))  # fmt: skip
    stored = result.model_dump(mode="json")
    words = wording(language_of(request))
    said = [bind(one, "re_0123456789ab", stored, frozenset(), words) for one in result.claims()]
    step = PlanStep(id="s1", tool="compare_groups", args={}, delivers="x", asked_by=request)
    outcome = Outcome(step="s1", tool="compare_groups", status="done", result="re_0123456789ab")
    section = Section(
        step=step,
        outcome=outcome,
        sentences=tuple(one for one in said if one.kind == "finding"),
        caveats=tuple(one for one in said if one.kind == "caveat"),
    )
    plan = Plan(status="ready", asks=(request,), steps=(step,))
    return Document(request=request, passport=None, plan=plan, ledger=(), sections=(section,),
                    references=(), reproducibility=())  # fmt: skip


@pytest.mark.parametrize("request_text", ["두 그룹을 비교해줘", "比较两组", "compare the groups"])
def test_translated_findings_pass_the_check_and_whatever_is_made_wrong_is_caught(
    request_text: str,
) -> None:
    document = compared(request_text)
    symbols = frozenset({"IFI6", "ISG15", "FOS", *FOREIGN_GENES})
    checker = checker_of(document, symbols)
    lines = true_lines(document)
    assert not [one for line in lines for one in checker.check(line) if one.kind == "unbacked"]
    wrong = [one for one in mutants(document, symbols, np.random.default_rng(0))
             if one.line not in lines]  # fmt: skip
    assert len(wrong) > 50
    missed = [one for one in wrong
              if not any(two.kind == "unbacked" for two in checker.check(one.line))]  # fmt: skip
    assert missed == []


@pytest.mark.parametrize(
    ("true", "turned"),
    [
        ("STIM에서 가장 높은 유전자: IFI6", "STIM에서 가장 낮은 유전자: IFI6"),
        ("그룹 A는 STIM입니다.", "그룹 A는 STIM이 아닙니다."),
        ("在 STIM 中最高的：IFI6", "在 STIM 中最低的：IFI6"),
        ("A 组为 STIM。", "A 组不为 STIM。"),
        ("T세포가 STIM에 있습니다.", "NK세포가 STIM에 있습니다."),
    ],
)
def test_a_korean_or_chinese_line_that_is_turned_round_is_caught(true: str, turned: str) -> None:
    checker = Checker(said=[true], required=(), names=["STIM", "T세포", "NK세포"],
                      symbols=frozenset({"IFI6"}))  # fmt: skip
    assert checker.claims_of(true) == [true]
    assert checker.claims_of(turned) == []


def test_a_brief_report_keeps_answer_outcome_and_doubts(bench) -> None:
    document = compose(run(bench, "count_letters", word="gene"), bench)
    full, brief = render_markdown(document), render_markdown(document, brief=True)
    check_markdown(brief, document, brief=True)
    assert len(brief) < len(full)
    for needed in ("has 4 letters", "It has no wings. Walk.", "Only 4 were looked at"):
        assert needed in brief
    assert "## What was done" not in brief
    assert "**Rows**" in full
    assert "**Rows**" not in brief
