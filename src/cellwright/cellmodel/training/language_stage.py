"""Stage 2: cells become words that the language model reads, with or without the encoder moving."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from cellwright.cellmodel.config import TrainConfig
from cellwright.cellmodel.data.splits import Part
from cellwright.cellmodel.instructions.pool import LANGUAGE_SHARES, TemplateBook
from cellwright.cellmodel.instructions.templates import (
    Example,
    Language,
    Mode,
    Template,
    choices_text,
    fill,
    metadata_values,
    response_word,
)
from cellwright.cellmodel.modeling.cell_input import cell_input
from cellwright.cellmodel.modeling.cell_language import CellLanguage, left_pad
from cellwright.cellmodel.modeling.cell_network import CellNetwork, Reading
from cellwright.cellmodel.speech import MODE_ENDING
from cellwright.cellmodel.training.data import CellSampler, Corpus
from cellwright.cellmodel.training.losses import candidate_loss, token_loss
from cellwright.cellmodel.training.trainer import Trainer

POOL = 6000
"""Training cells that are read once: the encoder is frozen from here on."""
MOST_OPTIONS = 6
"""Options of the cell's own file, unless all are listed."""
ALL_OPTIONS_SHARE = 0.25
DECOY_SHARE = 0.35
"""How often labels of other files stand among the options."""
MOST_DECOYS = 3
GENERATION_SHARE = 0.2
OPTIONS_SHARE = 0.8
CHAT_SHARE = 0.4
"""Prompts answered in a sentence: most of its words say nothing of the cell."""
IGNORED = -100


class PromptWriter:
    """Writes prompts about the cells of a corpus, a fresh wording each time.

    Args:
        corpus: Files and labels.
        part: Split of the wordings.
        shares: Share of each language.
        seed: Seed of the grammar's templates.
        templates: JSON lines of templates to use in place of the grammar's.
        kept: Share of the templates to draw from.
    """

    def __init__(
        self,
        corpus: Corpus,
        part: Part,
        *,
        shares: Mapping[Language, float] = LANGUAGE_SHARES,
        seed: int = 0,
        templates: Path | None = None,
        kept: float = 1.0,
    ) -> None:
        self.corpus, self.part = corpus, part
        self.names = corpus.labels.names
        self.book = TemplateBook(part, shares=shares, seed=seed, file=templates, kept=kept)
        self._responses = {
            int(label)
            for cells in corpus.sets
            if cells.card.task == "drug response"
            for label in cells.own
        }
        self._types = [
            np.setdiff1d(cells.own, sorted(self._responses)) for cells in corpus.sets
        ]  # of cells, by file

    @property
    def spoken(self) -> tuple[str, ...]:
        """How each label is answered: a type by its name, a drug response by its word."""
        return tuple(
            response_word(name) if at in self._responses else name
            for at, name in enumerate(self.names)
        )

    @property
    def types(self) -> tuple[str, ...]:
        """Names of all cell types: what a question without options is answered among."""
        return tuple(n for at, n in enumerate(self.names) if at not in self._responses)

    def offered(self, example: Example) -> np.ndarray:
        """Labels that a question offers, ``(L,)`` bool; all where it offers none."""
        return self.corpus.labels.offered(example.among or self.types)

    def draw_language(self, rng: np.random.Generator) -> Language:
        """A language, by the shares."""
        return self.book.draw_language(rng)

    def annotate(
        self,
        label: int,
        file: int,
        rng: np.random.Generator,
        *,
        mode: Mode,
        options: bool,
        language: Language | None = None,
        template: Template | None = None,
    ) -> Example:
        """A question on a cell: its type, or in a file of drug responses its response.

        Args:
            label: The cell's label, as its position in the corpus's label space.
            file: Its file, as the position in the corpus.
            rng: Source of the draws.
            mode: ``instruct`` is answered by the bare label, ``chat`` in a sentence.
            options: Whether to list answers to choose from, labels of other files among them.
            language: Language; None draws one.
            template: The wording; None draws one. It says itself whether it lists options.
        """
        response = int(label) in self._responses
        chosen = template or self.book.draw(
            "DSP" if response else "CTA", rng, options=options, language=language
        )
        values = self._metadata(file, chosen.language)
        spoken = self.names[label]
        among: tuple[str, ...] = ()
        if response:
            values["drug"] = self._drug(label, file)
            among = self._words(file)
            spoken = response_word(spoken)
        if "choices" in chosen.slots:
            if not response:
                among = self._options(label, file, rng)
            values["choices"] = choices_text(among, rng)
        example = fill(chosen.in_mode(mode), {**values, "output": spoken})
        return replace(example, prompt=example.prompt + MODE_ENDING[mode], among=among)

    def generate(
        self,
        label: int,
        file: int,
        rng: np.random.Generator,
        *,
        mode: Mode,
        language: Language | None = None,
    ) -> Example:
        """A wish for a cell of a type; of a drug response, for a cell that shows it."""
        chosen = self.book.draw("CPCG", rng, language=language)
        name = self.names[label]
        wanted = f"{name} cell" if int(label) in self._responses else name
        values = self._metadata(file, chosen.language)
        example = fill(chosen.in_mode(mode), {**values, "cell_type": wanted})
        return replace(example, prompt=example.prompt + MODE_ENDING[mode])

    def _metadata(self, file: int, language: Language) -> dict[str, str]:
        card = self.corpus.sets[file].card
        return metadata_values(card.species, card.tissue, card.protocol, language)

    def _drug(self, label: int, file: int) -> str:
        """The file's drug; the words before the response in the label where the card has none."""
        named = self.corpus.sets[file].card.drug
        return named or " ".join(self.names[label].split()[:-1]) or "the drug"

    def _words(self, file: int) -> tuple[str, ...]:
        words = (response_word(self.names[at]) for at in self.corpus.sets[file].own)
        return tuple(dict.fromkeys(words))

    def _options(self, label: int, file: int, rng: np.random.Generator) -> tuple[str, ...]:
        """The answer among types of its file (some or all) and, at times, types of other files."""
        others = rng.permutation(self._types[file][self._types[file] != label])
        if rng.random() >= ALL_OPTIONS_SHARE:
            others = others[: int(rng.integers(1, MOST_OPTIONS))]
        decoys: list[int] = []
        if rng.random() < DECOY_SHARE:
            decoys = self._decoys(label, file, rng)
        return tuple(self.names[at] for at in (label, *others, *decoys))

    def _decoys(self, label: int, file: int, rng: np.random.Generator) -> list[int]:
        foreign = set(np.concatenate(self._types).tolist()) - set(self._types[file].tolist())
        related = self.corpus.labels.related[label]
        kept = rng.permutation(sorted(at for at in foreign if not related[at]))
        return [int(at) for at in kept[: int(rng.integers(1, MOST_DECOYS + 1))]]


def frozen_reading(network: CellNetwork, expression: object) -> Reading:
    """What the network makes of cells, without gradient or dropout."""
    with torch.no_grad():
        cells = cell_input(
            expression, network.genes.usual_V.numpy(), network.config.encoder.n_gene_tokens
        )
        return network.read(cells)


class ReadCells(NamedTuple):
    """Cells as the network reads them.

    Attributes:
        reading: What it makes of them.
        labels: ``(B,)`` true labels.
        sets: ``(B,)`` files.
        loss: Loss of the ReadOut on them, where it learns too.
    """

    reading: Reading
    labels: np.ndarray
    sets: np.ndarray
    loss: Tensor | None = None


class CellSource(Protocol):
    """Where the cells of a batch come from."""

    def draw(self, rng: np.random.Generator, n: int) -> ReadCells:
        """Some cells."""
        ...


@dataclass(frozen=True)
class CellPool:
    """Cells that were read once: the encoder is frozen."""

    cells: ReadCells

    def draw(self, rng: np.random.Generator, n: int) -> ReadCells:
        """Cells of the pool."""
        chosen = rng.integers(len(self.cells.labels), size=n)
        reading = self.cells.reading.rows(torch.from_numpy(chosen))
        return ReadCells(reading, self.cells.labels[chosen], self.cells.sets[chosen])


@dataclass(frozen=True)
class LiveCells:
    """Cells that are read anew with gradient: encoder and ReadOut learn with the language model."""

    network: CellNetwork
    sampler: CellSampler

    def draw(self, rng: np.random.Generator, n: int) -> ReadCells:
        """Fresh training cells, with the ReadOut's loss on them."""
        drawn = self.sampler.draw(rng, n)
        network = self.network
        cells = cell_input(
            drawn.expression, network.genes.usual_V.numpy(), network.config.encoder.n_gene_tokens
        )
        queries, readout = network.queries(cells), network.readout
        known = torch.arange(drawn.allowed.shape[1])
        deep = readout.deep(readout.cell_vector(queries), readout.label_vectors(known))
        allowed = torch.from_numpy(drawn.allowed)
        loss = candidate_loss(deep, torch.from_numpy(drawn.labels), allowed)
        scores = readout.combine(readout.wide(cells.expression, known), deep).detach()
        return ReadCells(Reading(queries, scores), drawn.labels, drawn.sets, loss)


def cell_pool(network: CellNetwork, corpus: Corpus, config: TrainConfig) -> CellPool:
    """Draw cells as in training of the encoder, and read them once."""
    sampler = CellSampler(corpus, panel_rate=config.panel_rate, drop=config.gene_drop)
    rng = np.random.default_rng(config.seed)
    network.eval()
    size = min(POOL, 50 * config.language.steps)
    draws = [sampler.draw(rng, 128) for _ in range(-(-size // 128))]
    parts = [frozen_reading(network, draw.expression) for draw in draws]
    return CellPool(
        ReadCells(
            Reading(*(torch.cat(column) for column in zip(*parts, strict=True))),
            np.concatenate([draw.labels for draw in draws]),
            np.concatenate([draw.sets for draw in draws]),
        )
    )


def spell_labels(network: CellNetwork, language: CellLanguage, names: Sequence[str]) -> None:
    """Write into the network how soft tokens spell each label, in the language model's own tokens.

    Cell types begin at the first soft token and leave the last one free, where the first token of a
    drug response stands. What is past a label's end is zero.

    Args:
        network: Its ``spelling_LQH`` is written.
        language: Whose token embeddings to use.
        names: Each label as it is answered.
    """
    last = language.n_cell_tokens - 1
    spelling = torch.zeros_like(network.spelling_LQH)
    with torch.no_grad():
        for at, name in enumerate(names):
            tokens = torch.tensor(language.encode_answer(name, signal=False)[:-1])
            rows = language.token_embeddings(tokens).float()
            if network.response_L[at]:
                spelling[at, last] = rows[0]
            else:
                kept = rows[: max(last, 1)]
                spelling[at, : len(kept)] = kept
    network.spelling_LQH.copy_(spelling)


def train_language(
    network: CellNetwork,
    language: CellLanguage,
    writer: PromptWriter,
    *,
    config: TrainConfig,
    folder: Path,
) -> None:
    """Train projector, adapters and added tokens on annotation and generation prompts.

    With ``config.joint`` encoder and ReadOut are trained in the same steps, on the sum of the
    losses; else they are frozen and cells come from a pool that was read once.
    """
    countable = np.array([cells.card.has_counts for cells in writer.corpus.sets])
    wished = GENERATION_SHARE if "CPCG" in config.tasks else 0.0
    network.requires_grad_(requires_grad=False).eval()
    network.projector.requires_grad_(requires_grad=config.tune_inputs)
    source: CellSource
    if config.joint:
        for name, parameter in network.named_parameters():
            if name.startswith(("genes.", "encoder.", "readout.")):
                parameter.requires_grad = True
        source = LiveCells(
            network,
            CellSampler(writer.corpus, panel_rate=config.panel_rate, drop=2 * config.gene_drop),
        )
    else:
        source = cell_pool(network, writer.corpus, config)
    language.tune_inputs = config.tune_inputs

    def step(_number: int, rng: np.random.Generator) -> Mapping[str, Tensor]:
        cells = source.draw(rng, config.language.batch_size)
        examples, with_cell = [], []
        # One language a batch: Korean takes three times the tokens, and a batch is padded.
        language_of_batch = writer.draw_language(rng)
        for label, file in zip(cells.labels, cells.sets, strict=True):
            mode: Mode = "chat" if rng.random() < CHAT_SHARE else "instruct"
            wish = bool(rng.random() < wished and countable[file])
            with_cell.append(not wish)
            examples.append(
                writer.generate(label, file, rng, mode=mode, language=language_of_batch)
                if wish
                else writer.annotate(
                    label,
                    file,
                    rng,
                    mode=mode,
                    options=bool(rng.random() < OPTIONS_SHARE),
                    language=language_of_batch,
                )
            )
        asked = np.flatnonzero(with_cell)
        soft = None
        if len(asked):
            offered = np.stack([writer.offered(examples[at]) for at in asked])
            reading = cells.reading.rows(torch.from_numpy(asked))
            soft = network.soft_tokens(reading, torch.from_numpy(offered))
        loss, hit = answer_loss(language, examples, soft)
        if cells.loss is None:
            return {"loss": loss, "token_accuracy": hit}
        both = {"language": loss, "readout": cells.loss, "token_accuracy": hit}
        return {"loss": loss + cells.loss, **both}

    moved = network if config.joint else network.projector
    module = nn.ModuleDict({"projector": moved, "language": language})
    Trainer(
        "language",
        config.language,
        module,
        step,
        folder=folder,
        seed=config.seed,
        mixed_precision=resolve_precision(config.precision),
    ).run()
    network.requires_grad_(requires_grad=True)


def resolve_precision(wanted: Literal["auto", "bf16", "no"]) -> Literal["bf16", "no"]:
    """``auto`` made definite: bf16 on a GPU, or on a CPU with instructions for it."""
    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        return "bf16"
    native = torch.cpu.get_capabilities().get("avx512_bf16") or torch.cpu.get_capabilities().get(
        "amx_bf16"
    )
    return "bf16" if native else "no"


def answer_loss(
    language: CellLanguage, examples: Sequence[Example], soft: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of the answers' tokens, and the share of them predicted."""
    prompts = [language.encode(example.prompt) for example in examples]
    answers = [
        language.encode_answer(example.answer, signal=example.signal) for example in examples
    ]
    ids, mask = left_pad([p + a for p, a in zip(prompts, answers, strict=True)])
    targets = torch.full_like(ids, IGNORED)
    for row, answer in enumerate(answers):
        targets[row, -len(answer) :] = torch.tensor(answer)
    hidden = language(ids, mask, soft)
    counted = targets[:, 1:] != IGNORED
    logits = language.logits(hidden[:, :-1][counted])
    wanted = targets[:, 1:][counted]
    hit = (logits.argmax(dim=-1) == wanted).float().mean()
    return token_loss(logits.unsqueeze(0), wanted.unsqueeze(0)), hit
