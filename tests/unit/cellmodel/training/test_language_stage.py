from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cellwright.cellmodel.data.registry import DatasetCard
from cellwright.cellmodel.instructions.extraction import extract_label, named_labels
from cellwright.cellmodel.instructions.pool import template_pool
from cellwright.cellmodel.instructions.templates import save_templates
from cellwright.cellmodel.labels import LabelRecord, LabelSpace
from cellwright.cellmodel.training.language_stage import PromptWriter

NAMES = (
    "B cell", "PLX-4720 resistant", "PLX-4720 sensitive", "T cell", "astrocyte",
    "memory T cell", "neuron",
)  # fmt: skip


@pytest.fixture(scope="module")
def corpus() -> Any:
    def record(name: str) -> LabelRecord:
        broader = ("T cell",) if name == "memory T cell" else ()
        return LabelRecord(
            name=name, ontology_id="", species=("human",), tissues=(), n_cells=9, broader=broader
        )

    def card(name: str, tissue: str, **more: Any) -> DatasetCard:
        return DatasetCard(name=name, species="human", tissue=tissue, protocol="10x", **more)

    blood, brain = card("blood", "blood"), card("brain", "cortex")
    line = card("line", "A375 melanoma line", task="drug response", drug="PLX-4720")
    own = {0: (0, 3, 5), 1: (4, 6), 2: (1, 2)}
    return SimpleNamespace(
        labels=LabelSpace(tuple(record(name) for name in NAMES)),
        sets=tuple(
            SimpleNamespace(card=one, own=np.array(own[at]))
            for at, one in enumerate((blood, brain, line))
        ),
    )


@pytest.fixture(scope="module")
def writer(corpus: Any) -> PromptWriter:
    return PromptWriter(corpus, "train")


@pytest.mark.parametrize("language", ["english", "korean", "chinese"])
def test_a_question_on_a_type_has_its_answer(writer: PromptWriter, language: str) -> None:
    rng = np.random.default_rng(0)
    for mode in ("instruct", "chat"):
        for options in (True, False):
            example = writer.annotate(3, 0, rng, mode=mode, options=options, language=language)
            assert example.prompt.count("{input}") == 1
            assert not set("{}") & set(example.prompt.replace("{input}", "") + example.answer)
            assert extract_label(example.answer, writer.types) == "T cell"
            assert (example.answer == "T cell") == (mode == "instruct")
            assert ("T cell" in example.among) == options
            if options:
                assert set(named_labels(example.prompt, writer.types)) == set(example.among)


def test_options_are_shuffled_and_hold_decoys_that_do_not_overlap(writer: PromptWriter) -> None:
    rng = np.random.default_rng(1)
    places, decoys, sizes = [], 0, set()
    for _ in range(300):
        example = writer.annotate(3, 0, rng, mode="instruct", options=True, language="english")
        assert len(set(example.among)) == len(example.among)
        assert not {"PLX-4720 resistant", "PLX-4720 sensitive"} & set(example.among)
        decoys += bool({"astrocyte", "neuron"} & set(example.among))
        inside = example.prompt[example.prompt.index("(" + _first(example)) + 1 :]
        places.append(inside.split(")")[0].split("; ").index("T cell"))
        sizes.add(len(example.among))
    assert 0.2 < decoys / 300 < 0.5
    assert len(set(places)) >= 3
    assert len(sizes) >= 3
    for _ in range(60):  # a decoy for a memory T cell of another file is never a T cell
        drawn = writer._decoys(5, 1, rng)
        assert drawn
        assert 3 not in drawn


def _first(example: Any) -> str:
    starts = [example.prompt.find("(" + name) for name in example.among]
    at = min(one for one in starts if one >= 0)
    return next(n for n in example.among if example.prompt.startswith("(" + n, at))


def test_a_drug_response_is_asked_for_by_its_drug(writer: PromptWriter) -> None:
    rng = np.random.default_rng(2)
    for options in (True, False):
        for mode in ("instruct", "chat"):
            example = writer.annotate(2, 2, rng, mode=mode, options=options)
            assert "PLX-4720" in example.prompt
            assert "PLX-4720 sensitive" not in example.prompt
            assert example.among == ("resistant", "sensitive")
            assert extract_label(example.answer, example.among) == "sensitive"
    assert writer.spoken[2] == "sensitive"
    assert writer.types == ("B cell", "T cell", "astrocyte", "memory T cell", "neuron")


def test_metadata_are_sometimes_all_there_sometimes_part_sometimes_none(
    writer: PromptWriter,
) -> None:
    rng = np.random.default_rng(3)
    counts = [
        sum(word in writer.annotate(6, 1, rng, mode="instruct", options=False,
                                    language="english").prompt for word in ("cortex", "10x"))
        for _ in range(200)
    ]  # fmt: skip
    assert {0, 1, 2} == set(counts)


def test_a_wish_for_a_cell_names_it_and_ends_in_the_signal(writer: PromptWriter) -> None:
    rng = np.random.default_rng(4)
    wish = writer.generate(4, 1, rng, mode="chat")
    assert wish.signal
    assert "astrocyte" in wish.prompt
    assert "astrocyte" in wish.answer
    assert writer.generate(4, 1, rng, mode="instruct").answer == ""
    assert "PLX-4720 sensitive cell" in writer.generate(2, 2, rng, mode="instruct").prompt


def test_wordings_are_fresh_and_may_come_from_a_file(corpus: Any, tmp_path: Any) -> None:
    writer = PromptWriter(corpus, "train", shares={"english": 1.0})
    rng = np.random.default_rng(5)
    seen = {writer.annotate(0, 0, rng, mode="instruct", options=False).prompt for _ in range(100)}
    assert len(seen) > 45
    pool = [
        one
        for one in template_pool("CTA", 77, 40)
        if one.part == "train" and not one.slots & {"choices"}
    ]
    save_templates(pool[:1], tmp_path / "one.jsonl")
    other = PromptWriter(corpus, "train", shares={"english": 1.0}, templates=tmp_path / "one.jsonl")
    drawn = {other.annotate(0, 0, rng, mode="instruct", options=False).prompt for _ in range(5)}
    assert len(drawn) == 1
