"""Questions to the cell language model on test cells, under the conditions of ``robustness``."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from cellwright.evals.cells import CellFile, read_file
from cellwright.evals.task import EvalContext, Unavailable

if TYPE_CHECKING:
    from cellwright.cellmodel.answers import Question
    from cellwright.cellmodel.data.registry import DatasetCard
    from cellwright.cellmodel.data.splits import Part
    from cellwright.cellmodel.inference import CellModel
    from cellwright.cellmodel.instructions.pool import TemplateBook
    from cellwright.cellmodel.instructions.templates import Language, Mode, Task, Template
    from cellwright.cellmodel.speech import CellAnswer

TYPES, RESPONSES = "cell types", "drug responses"
CELLS = 30
"""Cells of each condition and seed. An answer takes a CPU core a third of a second or more."""
FEWER = 24
"""Cells of each condition and seed in metadata, shuffled expression and decoys."""
OTHER_LANGUAGE_CELLS = 10
RESPONSE_CELLS = 6
SINGLE_TEMPLATES, CELLS_PER_TEMPLATE = 40, 8
DECOYS = 5
PART_NAMES: Mapping[Part, str] = {"train": "seen", "valid": "tuning", "test": "unseen"}
GIVEN, REMOVED, FOREIGN = (
    "all metadata given",
    "metadata removed",
    "metadata of another data set",
)
SHUFFLED, DECOY = "shuffled expression", f"options with {DECOYS} decoys"


@dataclass(frozen=True, kw_only=True)
class TestCell:
    """A test cell.

    Attributes:
        file: Its file.
        expression: (1, V) csr, as the model reads it.
        measured: (G,) positions of the genes that its file measured.
        label: Its label in the model's words.
        seed: The draw that it belongs to.
    """

    __test__ = False  # no test class, whatever pytest makes of the name

    file: CellFile
    expression: Any
    measured: np.ndarray
    label: str
    seed: int

    @property
    def is_response(self) -> bool:
        """Whether it is asked for its drug response and not for its type."""
        return self.file.card.task == "drug response"


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A question on a test cell under a condition.

    Attributes:
        split: The condition.
        cell: The cell.
        template: The wording.
        question: The filled prompt, and the answers to choose from.
        candidates: Labels that the ReadOut chooses from.
        truth: The right answer, as it is spoken.
        reference: The template's response with the right answer in it.
        expression: (1, V) csr, what the model is given; the cell's own unless shuffled.
    """

    split: str
    cell: TestCell
    template: Template
    question: Question
    candidates: tuple[str, ...]
    truth: str
    reference: str
    expression: Any

    @property
    def data(self) -> str:
        """Kind of the answer."""
        return RESPONSES if self.cell.is_response else TYPES


@dataclass(frozen=True, kw_only=True)
class Asked:
    """An ask with what both paths of the model answered."""

    ask: Ask
    answer: CellAnswer
    read_out: str

    @property
    def right(self) -> bool:
        """Whether the language model named the truth."""
        return self.answer.label == self.ask.truth


class Asker:
    """Makes asks: templates of both parts, and what cells may be.

    Args:
        files: Files that the model was trained on.
        types: Names of all its cell types.
        sizes: Templates of each language; None takes the usual pools.
    """

    def __init__(
        self,
        files: Sequence[CellFile],
        types: Sequence[str],
        sizes: Mapping[Language, int] | None = None,
    ) -> None:
        self.files, self.types, self._sizes = files, tuple(types), sizes

    @cached_property
    def books(self) -> dict[Part, TemplateBook]:
        """Templates that training has seen, and that it has not."""
        from cellwright.cellmodel.instructions.pool import TemplateBook

        parts: tuple[Part, ...] = ("train", "test")
        return {part: TemplateBook(part, sizes=self._sizes) for part in parts}

    def template(
        self,
        cell: TestCell,
        rng: np.random.Generator,
        *,
        part: Part = "test",
        options: bool = False,
        language: Language = "english",
        metadata: int | None = None,
    ) -> Template:
        """A wording for a cell; ``metadata`` wants that many metadata slots in it."""
        task: Task = "DSP" if cell.is_response else "CTA"
        found = self.books[part].templates(task, language, options=options)
        if metadata is not None:
            found = [one for one in found if _n_metadata(one) == metadata]
        if not found:
            msg = f"no {part} {task} template of the kind; the pool is too small"
            raise Unavailable(msg)
        return found[int(rng.integers(len(found)))]

    def ask(
        self,
        split: str,
        cell: TestCell,
        template: Template,
        rng: np.random.Generator,
        *,
        mode: Mode = "instruct",
        origin: DatasetCard | None = None,
        decoys: int = 0,
    ) -> Ask:
        """Put a question.

        Args:
            split: The condition.
            cell: The cell.
            template: The wording.
            rng: Order of the options, and decoys.
            mode: Whether the bare label or a sentence is wanted.
            origin: Data set whose metadata are given; None gives the cell's own.
            decoys: Labels of other data sets among the options.
        """
        from cellwright.cellmodel.answers import Question
        from cellwright.cellmodel.instructions.templates import (
            choices_text,
            fill,
            metadata_values,
            response_word,
        )

        card = origin or cell.file.card
        values = metadata_values(card.species, card.tissue, card.protocol, template.language)
        own = cell.file.labels
        candidates = tuple(own)
        spoken: Callable[[str], str] = str
        if cell.is_response:
            spoken = response_word
            values["drug"] = cell.file.card.drug or "the drug"
        elif "choices" in template.slots:
            candidates += self._foreign(cell.file)[:decoys]
        else:
            candidates = self.types
        labels = tuple(spoken(one) for one in candidates)
        if "choices" in template.slots:
            values["choices"] = choices_text(labels, rng)
        truth = spoken(cell.label)
        example = fill(template, {**values, "output": truth})
        return Ask(
            split=split,
            cell=cell,
            template=template,
            question=Question(prompt=example.prompt, mode=mode, labels=labels),
            candidates=candidates,
            truth=truth,
            reference=example.answer,
            expression=cell.expression,
        )

    def _foreign(self, file: CellFile) -> tuple[str, ...]:
        """Types of other data sets in a random order, the same for all cells of a file."""
        others = sorted(set(self.types) - set(file.labels))
        rng = np.random.default_rng(list(file.card.name.encode()))
        return tuple(others[at] for at in rng.permutation(len(others)))


def _n_metadata(template: Template) -> int:
    return len(template.slots & {"species", "tissue", "sequencing_method"})


def prepare(
    context: EvalContext, model: CellModel
) -> tuple[Asker, dict[tuple[str, int], list[TestCell]]]:
    """The model's files, and the test cells of each seed by kind of answer."""
    seed = int(model.card["seed"])
    found = [read_file(row["name"], context, seed=seed) for row in model.card["datasets"]]
    files = [file for file in found if file is not None and len(file.parts["test"])]
    responses = {
        name for file in files if file.card.task == "drug response" for name in file.labels
    }
    types = [record.name for record in model.labels if record.name not in responses]
    cells: dict[tuple[str, int], list[TestCell]] = {}
    for draw in range(context.seeds):
        rng = np.random.default_rng([7, draw])
        for kind, n in ((TYPES, CELLS), (RESPONSES, RESPONSE_CELLS)):
            own = [f for f in files if (f.card.task == "drug response") == (kind == RESPONSES)]
            cells[kind, draw] = draw_cells(own, n, rng, model, draw) if own else []
    return Asker(files, types), cells


def draw_cells(
    files: Sequence[CellFile], n: int, rng: np.random.Generator, model: CellModel, seed: int
) -> list[TestCell]:
    """Test cells, equally many of each file as far as they go, without repeats."""
    wanted: Counter[int] = Counter()
    left = [len(file.parts["test"]) for file in files]
    order = rng.permutation(len(files))
    while sum(wanted.values()) < min(n, sum(left)):
        for at in order:
            if wanted[int(at)] < left[at] and sum(wanted.values()) < n:
                wanted[int(at)] += 1
    cells = []
    for at, count in wanted.items():
        rows = np.sort(rng.permutation(files[at].parts["test"])[:count])
        block = files[at].block(model.vocabulary, rows)
        cells += [
            TestCell(
                file=files[at],
                expression=block.expression[place],
                measured=np.flatnonzero(block.measured),
                label=str(files[at].names[row]),
                seed=seed,
            )
            for place, row in enumerate(rows)
        ]
    return cells


def make_asks(asker: Asker, cells: Mapping[tuple[str, int], Sequence[TestCell]]) -> list[Ask]:
    """The questions of all conditions."""
    asks: list[Ask] = []
    for (kind, seed), own in cells.items():
        rng = np.random.default_rng([11, seed, len(kind)])
        for cell in own:
            asks += _wordings(asker, cell, rng)
        if kind == TYPES:
            for cell in _some(own, FEWER, rng):
                asks += _metadata(asker, cell, rng)
                asks += _controls(asker, cell, rng)
            for cell in _some(own, OTHER_LANGUAGE_CELLS, rng):
                asks += _languages(asker, cell, rng)
    first = min((seed for kind, seed in cells if kind == TYPES), default=0)
    return asks + _single_templates(asker, cells.get((TYPES, first), ()))


def _some(cells: Sequence[TestCell], n: int, rng: np.random.Generator) -> list[TestCell]:
    return [cells[at] for at in rng.permutation(len(cells))[:n]]


def wording_split(mode: Mode, part: Part, *, options: bool) -> str:
    """Name of a condition of wordings."""
    return f"{mode}, {'options' if options else 'no options'}, {PART_NAMES[part]} templates"


def _wordings(asker: Asker, cell: TestCell, rng: np.random.Generator) -> list[Ask]:
    modes: tuple[Mode, ...] = ("instruct", "chat")
    parts: tuple[Part, ...] = ("test", "train")
    asks = []
    for part in parts:
        for options in (True, False):
            # Both modes take the same wording, so that they differ in nothing else.
            template = asker.template(cell, rng, part=part, options=options)
            for mode in modes:
                split = wording_split(mode, part, options=options)
                asks.append(asker.ask(split, cell, template, rng, mode=mode))
    return asks


def _metadata(asker: Asker, cell: TestCell, rng: np.random.Generator) -> list[Ask]:
    full = asker.template(cell, rng, metadata=3)
    none = asker.template(cell, rng, metadata=0)
    asks = [asker.ask(GIVEN, cell, full, rng), asker.ask(REMOVED, cell, none, rng)]
    others = [
        file.card
        for file in asker.files
        if file.card.tissue != cell.file.card.tissue and file.card.task != "drug response"
    ]
    if others:
        origin = others[int(rng.integers(len(others)))]
        asks.append(asker.ask(FOREIGN, cell, full, rng, origin=origin))
    return asks


def _controls(asker: Asker, cell: TestCell, rng: np.random.Generator) -> list[Ask]:
    bare = asker.template(cell, rng, options=True, metadata=0)
    shuffled = asker.ask(SHUFFLED, cell, bare, rng)
    decoy = asker.template(cell, rng, options=True)
    return [
        replace(shuffled, expression=shuffle_genes(cell.expression, cell.measured, rng)),
        asker.ask(DECOY, cell, decoy, rng, decoys=DECOYS),
    ]


def shuffle_genes(expression: Any, measured: np.ndarray, rng: np.random.Generator) -> Any:
    """A cell's values on other genes: each goes to a random one of those measured."""
    mixed = expression.copy()
    mixed.indices = np.sort(rng.permutation(measured)[: expression.nnz]).astype(
        expression.indices.dtype
    )
    mixed.data = rng.permutation(expression.data)
    return mixed


def _languages(asker: Asker, cell: TestCell, rng: np.random.Generator) -> list[Ask]:
    languages: tuple[Language, ...] = ("korean", "chinese")
    modes: tuple[Mode, ...] = ("instruct", "chat")
    asks = []
    for language in languages:
        template = asker.template(cell, rng, language=language)
        for mode in modes:
            split = f"{language}, {mode}, no options, unseen templates"
            asks.append(asker.ask(split, cell, template, rng, mode=mode))
    return asks


def single_split(*, options: bool) -> str:
    """Name of the condition in which one template asks about all cells."""
    return f"single unseen templates, {'options' if options else 'no options'}"


def _single_templates(asker: Asker, cells: Sequence[TestCell]) -> list[Ask]:
    if not cells:
        return []
    rng = np.random.default_rng(13)
    some = _some(cells, CELLS_PER_TEMPLATE, rng)
    asks = []
    for options in (True, False):
        book = asker.books["test"].templates("CTA", "english", options=options)
        for at in rng.permutation(len(book))[: SINGLE_TEMPLATES // 2]:
            split = single_split(options=options)
            asks += [asker.ask(split, cell, book[at], rng) for cell in some]
    return asks


def ask_all(
    asks: Sequence[Ask], model: CellModel, answer: Any, say: Callable[[str], None]
) -> list[Asked]:
    """Both paths' answers to asks."""
    from scipy import sparse

    expression = sparse.vstack([one.expression for one in asks]).tocsr()
    read_out = read_outs(asks, expression, model)
    told = 0

    def progress(done: int) -> None:
        nonlocal told
        if done - told >= len(asks) / 10 or done == len(asks):
            told = done
            say(f"{done:,} of {len(asks):,} answered")

    answers = answer(expression, [one.question for one in asks], progress=progress)
    return [
        Asked(ask=one, answer=said, read_out=read)
        for one, said, read in zip(asks, answers, read_out, strict=True)
    ]


def read_outs(asks: Sequence[Ask], expression: Any, model: CellModel) -> list[str]:
    """The ReadOut's best candidate for each ask; like the other path it always gives one."""
    from cellwright.cellmodel.data.block import CellBlock
    from cellwright.cellmodel.instructions.templates import response_word

    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for at, one in enumerate(asks):
        groups[tuple(sorted(one.candidates))].append(at)
    found = [""] * len(asks)
    for candidates, rows in groups.items():
        block = CellBlock(
            expression=expression[rows],
            measured=np.ones(expression.shape[1], dtype=bool),
            coverage=1.0,
        )
        shares = model.annotate(block, candidates=candidates).probabilities
        for row, best in zip(rows, shares.argmax(axis=1), strict=True):
            name = candidates[best]
            found[row] = response_word(name) if asks[row].cell.is_response else name
    return found
