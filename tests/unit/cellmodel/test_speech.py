from collections.abc import Sequence
from typing import Any

import torch

from cellwright.cellmodel.modeling.cell_language import Spoken
from cellwright.cellmodel.speech import MODE_ENDING, say_labels

LABELS = ("B cell", "T cell")


class Scripted:
    """Speaks garbled prose where it is free, but for prompts on the first cell."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[str], tuple[str, ...], list[float]]] = []

    def speak(
        self, prompts: Sequence[str], soft: Any, *, among: Sequence[str] = (), **_: Any
    ) -> list[Spoken]:
        cells = soft[:, 0, 0].tolist()
        self.calls.append((list(prompts), tuple(among), cells))
        free = ["This is a B cell." if cell == 0 else "A dendology." for cell in cells]
        return [Spoken(among[-1] if among else text, -0.5, None) for text in free]


def test_a_sentence_without_a_label_is_replaced_by_the_bare_label() -> None:
    language: Any = Scripted()
    soft = torch.arange(3.0)[:, None, None].expand(3, 2, 4)
    prompts = [f"What is {{input}}? ({at})" for at in range(3)]
    answers = say_labels(language, prompts, soft, [LABELS] * 3, "chat")
    assert [one.label for one in answers] == ["B cell", "T cell", "T cell"]
    assert [one.restated for one in answers] == [False, True, True]
    assert answers[0].text == "This is a B cell."
    first, second = language.calls
    assert first[0] == [prompt + MODE_ENDING["chat"] for prompt in prompts]
    assert second == (prompts[1:], LABELS, [1.0, 2.0])


def test_without_labels_to_look_for_a_sentence_stays() -> None:
    language: Any = Scripted()
    answers = say_labels(language, ["Hello {input}"], torch.ones(1, 1, 1), [()], "chat")
    assert answers[0].text == "A dendology."
    assert answers[0].label is None
    assert not answers[0].restated
    assert len(language.calls) == 1


def test_a_bare_answer_is_decoded_among_labels_at_once() -> None:
    language: Any = Scripted()
    answers = say_labels(
        language, ["{input}?"], torch.ones(1, 1, 1), [LABELS], "instruct", among=LABELS
    )
    assert answers[0].label == "T cell"
    assert len(language.calls) == 1
