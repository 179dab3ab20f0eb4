from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cellwright.cellmodel import answers
from cellwright.cellmodel.answers import Question, answer_many, describe_cell, wish_many
from cellwright.cellmodel.fluency import BaseFluency
from cellwright.cellmodel.inference import CellModel
from cellwright.cellmodel.modeling.cell_language import CellLanguage
from cellwright.settings import Settings
from tests.unit.cellmodel.toys import TYPES, make_pipeline, toy_embed, toy_language


@pytest.fixture(autouse=True)
def short_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A toy language model does not know when to stop."""
    monkeypatch.setattr(answers, "LONGEST_ANSWER", 8)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A network of which only the decoder was trained, with a toy language model."""
    pipeline = make_pipeline(tmp_path_factory.mktemp("answers"))
    pipeline.run(["decoder"])
    checkpoint = pipeline.export(tmp_path_factory.mktemp("export"))
    found = CellModel(checkpoint, Settings(), toy_embed)
    config = found.network.config
    base, tokenizer = toy_language()
    found.__dict__["language"] = CellLanguage(
        base, tokenizer, config.language, config.encoder.n_queries
    ).eval()
    found.__dict__["_block"] = pipeline.corpus.sets[0].block
    return found


def test_batches_give_what_single_questions_give(model: Any) -> None:
    cells = model.__dict__["_block"].expression[:7]
    questions = [
        Question(
            prompt=f"{'Long ' * at}type of {{input}}?",
            mode="chat" if at % 3 == 0 else "instruct",
            labels=TYPES if at % 2 else TYPES[:2],
        )
        for at in range(7)
    ]
    seen: list[int] = []
    together = answer_many(model, cells, questions, batch_size=3, progress=seen.append)
    alone = [answer_many(model, cells[at], [question])[0] for at, question in enumerate(questions)]
    assert [one.text for one in together] == [one.text for one in alone]
    assert np.allclose([one.score for one in together], [one.score for one in alone], atol=1e-4)
    assert seen[-1] == 7
    for question, one in zip(questions, together, strict=True):
        if question.mode == "instruct":
            assert one.label in question.labels
            assert one.text == one.label


def test_wishes_keep_their_order(model: Any) -> None:
    prompts = ["Make one, and make it long enough to be last.", "One.", "Another one."]
    together = wish_many(model, prompts, "instruct", batch_size=2)
    alone = [wish_many(model, [prompt], "instruct")[0] for prompt in prompts]
    assert [one.text for one in together] == [one.text for one in alone]


def test_a_drawn_cell_is_described(model: Any) -> None:
    import torch

    measured = model.__dict__["_block"].measured
    signal = torch.zeros(model.language.base.config.hidden_size)
    text = describe_cell(model, signal, measured)
    assert "counts on" in text
    assert "ReadOut calls it" in text


def test_fluency_is_the_mean_log_probability_of_the_tokens(tmp_path: Path) -> None:
    import torch

    base, tokenizer = toy_language()
    found = BaseFluency(base, tokenizer)
    texts = ["a long text of letters", "ab", ""]
    values = found.mean_log_probs(texts, batch_size=2)
    assert np.isnan(values[2])
    ids = torch.tensor([tokenizer("<|im_start|>assistant\nab")["input_ids"]])
    with torch.inference_mode():
        logs = base(ids).logits.log_softmax(-1)[0, :-1]
    own = logs[torch.arange(len(logs)), ids[0, 1:]][-2:]
    assert values[1] == pytest.approx(float(own.mean()), abs=1e-4)
