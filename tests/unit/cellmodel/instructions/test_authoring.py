import re
from collections.abc import Callable

import pytest

from cellwright.cellmodel.instructions.authoring import read_lines, read_text, write_with_llm
from cellwright.cellmodel.instructions.prompts import (
    Brief,
    instruction_prompt,
    motivation_prompt,
    personality_prompt,
    response_prompt,
    rewrite_prompt,
)
from cellwright.cellmodel.instructions.rouge import distinct
from cellwright.cellmodel.instructions.templates import check_template
from cellwright.errors import CellwrightError

WORDS = [f"{first}{last}" for first in "abcdef" for last in "nrst"]


class Scripted:
    """A language model that does what it is told, save where it is told to fail."""

    def __init__(self, fail: Callable[[int, str], str | None] = lambda _n, _p: None) -> None:
        self.fail, self.prompts = fail, []

    def __call__(self, prompt: str) -> str:
        at = len(self.prompts)
        self.prompts.append(prompt)
        answer = self.fail(at, prompt)
        return self._answer(at, prompt) if answer is None else answer

    def _answer(self, at: int, prompt: str) -> str:
        if "manner on each line" in prompt:
            return "1. calm and slow\n2. brisk\n- full of jokes"
        if "reason on each line" in prompt:
            return "They plan a study.\nThey teach."
        slots = re.findall(r"^(\{\w+\}) stands", prompt, re.MULTILINE)
        if slots:
            own = " ".join(WORDS[(at * 7 + one * at) % len(WORDS)] + str(at) for one in range(9))
            return f'"{own} {" ".join(slots)}"'
        if "assistant's reply" in prompt:
            return "With pleasure, {output}" if "very end" in prompt else "I say {output}."
        return f"better {at} {at + 1} {at + 2} " + " ".join(re.findall(r"\{\w+\}", prompt))


@pytest.mark.parametrize("task", ["CTA", "DSP", "CPCG"])
def test_a_language_model_writes_templates(task: str) -> None:
    model = Scripted()
    result = write_with_llm(model, task, 12, seed=1)
    assert len(result.templates) == 12
    assert result.dropped == {}
    assert result.calls == len(model.prompts) == 2 + 2 * 12
    for template in result.templates:
        check_template(template)
        assert not template.instruction.startswith('"')
        assert template.response == ("With pleasure," if task == "CPCG" else "I say {output}.")
    assert distinct([one.instruction for one in result.templates]) == list(range(12))
    assert len({one.traits for one in result.templates}) > 2
    asked = " ".join(model.prompts)
    assert "full of jokes" in asked
    assert "newcomer" in asked


def test_a_text_too_like_an_earlier_one_is_rewritten() -> None:
    def always_alike(_at: int, prompt: str) -> str | None:
        slots = re.findall(r"^(\{\w+\}) stands", prompt, re.MULTILINE)
        return f"One and the same for you, {' '.join(slots)}" if slots else None

    model = Scripted(always_alike)
    result = write_with_llm(model, "CPCG", 10, seed=3)
    rewrites = [one for one in model.prompts if "has to be rewritten" in one]
    assert len(result.templates) == 10
    assert 0 < result.rewrites == len(rewrites)
    assert all("nearly an earlier text (ROUGE-L" in one for one in rewrites)
    assert sum(one.instruction.startswith("better") for one in result.templates) == len(rewrites)


def test_what_stays_wrong_after_three_rewrites_is_dropped_and_counted() -> None:
    def bad_instruction(_at: int, prompt: str) -> str | None:
        return "no slot" if "Write a message" in prompt or "rewritten" in prompt else None

    model = Scripted(bad_instruction)
    result = write_with_llm(model, "CTA", 4, seed=0)
    assert result.templates == ()
    assert result.dropped == {"instruction fails a check": 4}
    assert result.rewrites == 12
    assert all("needs {input}" in one for one in model.prompts if "rewritten" in one)

    def bad_response(_at: int, prompt: str) -> str | None:
        if "assistant's reply" in prompt or "I say so" in prompt:
            return "I say so."
        return None

    result = write_with_llm(Scripted(bad_response), "DSP", 3, seed=0)
    assert result.dropped == {"response fails a check": 3}

    def copies(_at: int, prompt: str) -> str | None:
        if "Write a message" in prompt or "rewritten" in prompt:
            return " ".join(("One and the same,", *re.findall(r"\{\w+\}", prompt)))
        return None

    result = write_with_llm(Scripted(copies), "CPCG", 30, seed=0)
    assert result.dropped["instruction too similar"] + len(result.templates) == 30
    assert 0 < len(result.templates) < 15


def test_a_model_that_lists_nothing_is_told_apart() -> None:
    with pytest.raises(CellwrightError, match="no personality"):
        write_with_llm(lambda _prompt: " \n", "CTA", 1)


def test_replies_are_read_as_people_write_them() -> None:
    assert read_lines("Sure, here:\n1. 'calm'\n2) brisk.\n\n• odd\n- odd") == [
        "calm",
        "brisk",
        "odd",
    ]
    assert read_text('```text\n"What is\n{input}?"\n```') == "What is {input}?"


def test_the_five_prompts_say_what_is_wanted() -> None:
    brief = Brief(
        task="DSP", language="korean", metadata=("tissue",), options=True, personality="gruff"
    )
    text = instruction_prompt(brief)
    assert re.findall(r"^\{(\w+)\} stands", text, re.MULTILINE) == [
        "input",
        "drug",
        "tissue",
        "choices",
    ]
    assert "Korean" in text
    assert "gruff" in text
    assert brief.traits == ("personality",)
    assert "{tissue}" in response_prompt(brief, text)
    assert "very end" in response_prompt(Brief(task="CPCG"), "x")
    assert "gruff" in personality_prompt(3, ["gruff"])
    assert "drug" in motivation_prompt("DSP", 3)
    assert "too long" in rewrite_prompt("x", "too long")
