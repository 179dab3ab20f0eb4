import pytest

from cellwright.errors import RefusedError, ToolError
from cellwright.tools.adapters.calling import LONGEST, call, shortened
from tests.unit.agent.toys import MADE
from tests.unit.agent.toys import bench as bench
from tests.unit.agent.toys import toys as toys


def test_what_a_tool_needs_is_prepared_and_said(bench):
    called = call(bench, "draw_letters", {"word": "four"})
    assert called.prepared
    assert called.result.letters == 4
    assert called.text.startswith("(preprocess_dataset was run first.) {")
    assert not call(bench, "draw_letters", {}).prepared


def test_what_is_refused_is_not_prepared_first(bench):
    with pytest.raises(RefusedError, match="It is closed"):
        call(bench, "closed_gate", {})
    with pytest.raises(ToolError, match="word: Input should be a valid string"):
        call(bench, "draw_letters", {"word": 3})
    assert not MADE


def test_long_results_are_cut_in_the_middle_and_say_so():
    text = "a" * LONGEST + "the end"
    cut = shortened(text)
    assert cut.startswith("aaa")
    assert cut.endswith("the end")
    assert "7 characters left out" in cut
    assert shortened("short") == "short"
