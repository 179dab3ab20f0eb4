from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from cellwright.cellmodel.data.block import CellBlock
from cellwright.cellmodel.data.registry import DatasetCard
from cellwright.cellmodel.instructions.extraction import named_labels
from cellwright.cellmodel.speech import CellAnswer
from cellwright.evals import asks
from cellwright.evals.suites import robustness as suite
from cellwright.evals.task import EvalContext

GENES = 30
TYPES = ("B cell", "T cell", "astrocyte", "neuron")
RESPONSES = ("PLX-4720 resistant", "PLX-4720 sensitive")
SIZES = dict.fromkeys(("english", "korean", "chinese"), 200)


class File:
    """A file of cells whose expressed gene tells their label."""

    def __init__(self, name: str, tissue: str, labels: tuple[str, ...], **more: Any) -> None:
        self.card = DatasetCard(name=name, species="human", tissue=tissue, protocol="10x", **more)
        self.labels = sorted(labels)
        self.names = np.array(list(labels) * 20, object)
        order = np.random.default_rng(0).permutation(len(self.names))
        self.parts = {"train": np.sort(order[:-12]), "test": np.sort(order[-12:])}
        every = [*TYPES, *RESPONSES]
        marks = np.array([every.index(label) for label in self.names])
        dense = np.zeros((len(marks), GENES))
        dense[np.arange(len(marks)), marks] = 5.0
        dense[:, 10] = 1.0
        self.matrix = sparse.csr_matrix(dense)

    def block(self, _vocabulary: Any, rows: np.ndarray) -> CellBlock:
        measured = np.arange(GENES) < 25
        return CellBlock(expression=self.matrix[rows], measured=measured, coverage=1.0)


class Model:
    """Reads the label off the expressed gene, among the candidates."""

    vocabulary = None

    def annotate(self, block: CellBlock, *, candidates: tuple[str, ...]) -> Any:
        every = [*TYPES, *RESPONSES]
        dense = block.expression.toarray()[:, [every.index(one) for one in candidates]]
        return SimpleNamespace(probabilities=dense)


def answer(expression: Any, questions: Any, progress: Any = None) -> list[CellAnswer]:
    """A language model that goes by the tissue where one is named, else by the expression."""
    every = [*TYPES, "resistant", "sensitive"]
    found = []
    for row, question in zip(expression, questions, strict=True):
        label: str | None = every[int(row.toarray()[0, :6].argmax())]
        if "cortex" in question.prompt and "choices" not in question.prompt:
            label = "astrocyte"
        if question.mode == "chat" and row[0, 10] < 0:
            label = None
        if label not in question.labels:
            label = None
        found.append(CellAnswer(text=label or "", label=label, score=1.0))
    return found


@pytest.fixture(scope="module")
def files() -> list[Any]:
    line = {"task": "drug response", "drug": "PLX-4720"}
    return [
        File("blood", "blood", TYPES[:2]),
        File("brain", "cortex", TYPES[2:]),
        File("line", "A375 line", RESPONSES, **line),
    ]


@pytest.fixture(scope="module")
def asker(files: list[Any]) -> asks.Asker:
    return asks.Asker(files, TYPES, SIZES)


@pytest.fixture(scope="module")
def cells(files: list[Any]) -> dict[tuple[str, int], list[asks.TestCell]]:
    found = {}
    for draw in range(3):
        rng = np.random.default_rng(draw)
        found[asks.TYPES, draw] = asks.draw_cells(files[:2], 12, rng, Model(), draw)
        found[asks.RESPONSES, draw] = asks.draw_cells(files[2:], 4, rng, Model(), draw)
    return found


@pytest.fixture(scope="module")
def done(asker: asks.Asker, cells: Any) -> list[asks.Asked]:
    made = asks.make_asks(asker, cells)
    return asks.ask_all(made, Model(), answer, lambda _text: None)


def test_cells_are_spread_over_files_and_never_repeated(files: list[Any]) -> None:
    rng = np.random.default_rng(0)
    found = asks.draw_cells(files, 9, rng, Model(), 0)
    assert len(found) == 9
    assert {sum(one.file is file for one in found) for file in files} == {3}
    everything = asks.draw_cells(files, 500, rng, Model(), 0)
    assert len(everything) == 36


def test_every_condition_is_asked(done: list[asks.Asked]) -> None:
    splits = {one.ask.split for one in done}
    for mode in ("instruct", "chat"):
        for options in (True, False):
            for part in ("train", "test"):
                assert asks.wording_split(mode, part, options=options) in splits
    assert {asks.GIVEN, asks.REMOVED, asks.FOREIGN, asks.SHUFFLED, asks.DECOY} <= splits
    assert "korean, chat, no options, unseen templates" in splits
    drug = [one for one in done if one.ask.data == asks.RESPONSES]
    assert {one.ask.truth for one in drug} == {"resistant", "sensitive"}
    assert all("PLX-4720" in one.ask.question.prompt for one in drug)


def test_prompts_are_what_their_condition_says(done: list[asks.Asked]) -> None:
    for one in done:
        ask, prompt = one.ask, one.ask.question.prompt
        assert prompt.count("{input}") == 1
        assert "{" not in prompt.replace("{input}", "")
        assert ask.truth in ask.question.labels
        own = ask.cell.file.card
        if ask.split == asks.REMOVED:
            assert own.tissue not in prompt
        if ask.split == asks.FOREIGN:
            assert own.tissue not in prompt
            assert ({"blood", "cortex"} - {own.tissue}).pop() in prompt
        if ask.split == asks.DECOY:
            assert set(ask.question.labels) == set(TYPES)
            assert set(named_labels(prompt, TYPES)) == set(TYPES)
        unseen = "unseen" in ask.split
        if "templates" in ask.split:
            assert (ask.template.part == "test") == unseen


def test_shuffling_moves_values_among_measured_genes() -> None:
    rng = np.random.default_rng(0)
    cell = sparse.csr_matrix(([1.0, 2.0, 3.0], ([0, 0, 0], [1, 4, 7])), shape=(1, 50))
    measured = np.arange(20)
    places = set()
    for _ in range(40):
        mixed = asks.shuffle_genes(cell, measured, rng)
        assert sorted(mixed.data) == [1, 2, 3]
        assert mixed.has_sorted_indices
        assert set(mixed.indices) <= set(measured)
        places |= set(mixed.indices)
    assert len(places) == 20
    assert list(cell.indices) == [1, 4, 7]


def test_rows_say_what_was_answered(done: list[asks.Asked], files: list[Any]) -> None:
    rows = {(r.data, r.split, r.metric, r.system): r for r in suite.score(done)}
    exact = rows[asks.TYPES, asks.wording_split("instruct", "test", options=False), "accuracy",
                 "cellwright"]  # fmt: skip
    assert exact.mean == 1
    assert exact.n == 36
    assert exact.seeds == 3
    spoken = rows[asks.TYPES, asks.REMOVED, "accuracy", "cellwright-lm"]
    told = rows[asks.TYPES, asks.GIVEN, "accuracy", "cellwright-lm"]
    assert spoken.mean == 1
    assert told.mean < 0.9  # the model goes by the tissue: half of the brain is no astrocyte
    shuffled = rows[asks.TYPES, asks.SHUFFLED, "accuracy", "cellwright"]
    assert shuffled.mean < 0.95
    flips = {r.metric: r for r in suite.flip_rows(done)}
    assert 0.5 < flips["flipped"].mean < 1
    assert flips["flipped_outside_own_set"].mean < flips["flipped"].mean
    floors = {r.system: r.mean for r in suite.floor_rows(done, files)}
    assert floors["chance"] == 0.5
    assert 0.2 < floors["majority"] < 0.8


def test_single_templates_keep_their_cells(done: list[asks.Asked], tmp_path: Any) -> None:
    for options in (True, False):
        groups = suite.by_template(done, options=options)
        assert len(groups) > 5
        assert {len(group) for group in groups} == {asks.CELLS_PER_TEMPLATE}
        cells = {tuple(id(one.ask.cell) for one in group) for group in groups}
        assert len(cells) == 1
    rows = suite.single_template_rows(done)
    assert {r.system for r in rows} == {"cellwright", "cellwright-lm"}
    context = EvalContext(tmp_path, out=tmp_path)
    suite.draw_templates(done, context)
    assert (context.figures / "robustness-templates.png").stat().st_size > 5000


def test_the_gallery_shows_answers_beside_the_truth(done: list[asks.Asked], tmp_path: Any) -> None:
    wish = suite.Wish(
        split="generation, chat, unseen templates",
        seed=0,
        source={"name": "B cell", "dataset": "blood"},
        prompt="Make a B cell.",
        text="Here:",
        given=False,
        cell="",
    )
    suite.write_gallery(done, [wish], EvalContext(tmp_path, out=tmp_path))
    text = (tmp_path / "gallery.md").read_text("utf-8")
    assert text.count("- Truth: ") >= 8
    assert "## Drug responses" in text
    assert "(no cell)" in text
    assert suite.wish_rows([wish])[0].mean == 0


def test_templates_are_counted_and_drawn(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from cellwright.cellmodel.instructions import pool

    monkeypatch.setattr(pool, "POOL_SIZES", dict.fromkeys(SIZES, 30))
    monkeypatch.setattr(suite, "TEMPLATES_DESCRIBED", 40)
    context = EvalContext(tmp_path, out=tmp_path, seeds=2)
    rows = {(r.data, r.split, r.metric, r.system): r.mean for r in suite.template_rows(context)}
    assert (context.figures / "robustness-statistics.png").stat().st_size > 5000
    split = "templates before the filter"
    with_all = rows["CTA", split, "instruction_words", "cellwright"]
    assert with_all > rows["CTA", split, "instruction_words", "without-personality"]
    assert 0 < rows["DSP", split, "unigram_ratio", "cellwright"] < 1
