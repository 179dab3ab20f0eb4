"""Stage 2: cells become words that the language model reads; the encoder stays as it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from cellwright.cellmodel.config import StageConfig, TrainConfig
from cellwright.cellmodel.data.splits import Part
from cellwright.cellmodel.inference import MODE_ENDING
from cellwright.cellmodel.instructions.grammar import write_template
from cellwright.cellmodel.instructions.templates import (
    METADATA,
    Example,
    Mode,
    choices_text,
    fill,
)
from cellwright.cellmodel.modeling.cell_input import cell_input
from cellwright.cellmodel.modeling.cell_language import CellLanguage, left_pad
from cellwright.cellmodel.modeling.cell_network import CellNetwork
from cellwright.cellmodel.training.data import CellSampler, Corpus
from cellwright.cellmodel.training.losses import alignment_loss, token_loss
from cellwright.cellmodel.training.trainer import Trainer

ALIGNMENT = StageConfig(steps=1500, batch_size=64, learning_rate=2e-3, save_every=1500)
POOL = 6000
"""Training cells whose queries are computed once: the encoder is frozen from here on."""
MOST_OPTIONS = 6
GENERATION_SHARE = 0.2
IGNORED = -100


class PromptWriter:
    """Writes prompts about the cells of a corpus, a fresh wording each time.

    Args:
        corpus: Files and labels.
        part: Split of the wordings.
    """

    def __init__(self, corpus: Corpus, part: Part) -> None:
        self.corpus, self.part = corpus, part
        self.names = corpus.labels.names

    def annotate(
        self, label: int, file: int, rng: np.random.Generator, *, mode: Mode, options: bool
    ) -> Example:
        """A question on a cell of a type from a file, with part of its metadata."""
        template = write_template(
            "CTA", rng, mode=mode, metadata=_some(METADATA, rng), options=options, part=self.part
        )
        values = {**self._metadata(file), "output": self.names[label]}
        if options:
            values["choices"] = choices_text(self._options(label, file, rng), rng)
        example = fill(template, values)
        return Example(
            prompt=example.prompt + MODE_ENDING[mode], answer=example.answer, signal=False
        )

    def generate(self, label: int, file: int, rng: np.random.Generator, *, mode: Mode) -> Example:
        """A wish for a cell of a type."""
        template = write_template(
            "CPCG", rng, mode=mode, metadata=_some(METADATA, rng), part=self.part
        )
        example = fill(template, {**self._metadata(file), "cell_type": self.names[label]})
        return Example(
            prompt=example.prompt + MODE_ENDING[mode], answer=example.answer, signal=True
        )

    def _metadata(self, file: int) -> dict[str, str]:
        card = self.corpus.sets[file].card
        return dict(zip(METADATA, (card.species, card.tissue, card.protocol), strict=True))

    def _options(self, label: int, file: int, rng: np.random.Generator) -> list[str]:
        others = [at for at in self.corpus.sets[file].own if at != label]
        kept = rng.permutation(others)[: int(rng.integers(1, MOST_OPTIONS))]
        return [self.names[at] for at in (label, *kept)]


def _some(names: Sequence[str], rng: np.random.Generator) -> tuple[str, ...]:
    """All, none or part of the metadata."""
    rate = rng.choice([0.0, 0.5, 1.0])
    return tuple(name for name in names if rng.random() < rate)


def frozen_queries(network: CellNetwork, expression: object) -> Tensor:
    """Queries of cells without gradient or dropout."""
    with torch.no_grad():
        cells = cell_input(
            expression, network.genes.usual_V.numpy(), network.config.encoder.n_gene_tokens
        )
        return network.queries(cells)


@dataclass(frozen=True)
class QueryPool:
    """Queries of drawn cells, ``(P, Q, D)``, with their type and file."""

    queries: Tensor
    labels: np.ndarray
    sets: np.ndarray


def query_pool(network: CellNetwork, corpus: Corpus, config: TrainConfig) -> QueryPool:
    """Draw cells as in training of the encoder, and read them once."""
    sampler = CellSampler(corpus, panel_rate=config.panel_rate, drop=config.gene_drop)
    rng = np.random.default_rng(config.seed)
    network.eval()
    size = min(POOL, 50 * config.language.steps)
    draws = [sampler.draw(rng, 128) for _ in range(-(-size // 128))]
    return QueryPool(
        torch.cat([frozen_queries(network, draw.expression) for draw in draws]),
        np.concatenate([draw.labels for draw in draws]),
        np.concatenate([draw.sets for draw in draws]),
    )


def align_projector(
    network: CellNetwork,
    language: CellLanguage,
    names: Sequence[str],
    pool: QueryPool,
    *,
    config: TrainConfig,
    folder: Path,
) -> None:
    """Teach the projector to spell a cell's label with its soft tokens.

    It costs no pass of the language model, which afterwards reads a cell nearly as it reads words.
    """
    spelling, table = _spelling(names, language)
    targets = spelling[torch.from_numpy(pool.labels)]

    def step(_number: int, rng: np.random.Generator) -> Mapping[str, Tensor]:
        rows = torch.from_numpy(rng.integers(len(targets), size=ALIGNMENT.batch_size))
        soft = network.soft_tokens(pool.queries[rows])
        return {"loss": alignment_loss(soft, table, targets[rows])}

    stage = ALIGNMENT
    if 10 * config.language.steps < ALIGNMENT.steps:
        stage = StageConfig(steps=10 * config.language.steps, batch_size=16, learning_rate=2e-3)
    Trainer("align", stage, network.projector, step, folder=folder, seed=config.seed).run()


def _spelling(names: Sequence[str], language: CellLanguage) -> tuple[Tensor, Tensor]:
    rows = [language.encode_answer(name, signal=False)[:-1] for name in names]
    tokens = sorted({token for row in rows for token in row})
    place = {token: at for at, token in enumerate(tokens)}
    spelling = torch.full((len(rows), language.n_cell_tokens), IGNORED)
    for at, row in enumerate(rows):
        for column, token in enumerate(row[: language.n_cell_tokens]):
            spelling[at, column] = place[token]
    with torch.no_grad():
        table = language.token_embeddings(torch.tensor(tokens)).detach().float()
    return spelling, table


def train_language(
    network: CellNetwork,
    language: CellLanguage,
    writer: PromptWriter,
    pool: QueryPool,
    *,
    config: TrainConfig,
    folder: Path,
) -> None:
    """Train projector, adapters and added tokens on annotation and generation prompts."""
    countable = np.array([cells.card.has_counts for cells in writer.corpus.sets])
    network.requires_grad_(requires_grad=False).eval()
    network.projector.requires_grad_(requires_grad=config.tune_inputs)
    language.tune_inputs = config.tune_inputs

    def step(_number: int, rng: np.random.Generator) -> Mapping[str, Tensor]:
        chosen = rng.integers(len(pool.labels), size=config.language.batch_size)
        examples, with_cell = [], []
        for label, file in zip(pool.labels[chosen], pool.sets[chosen], strict=True):
            mode: Mode = "chat" if rng.random() < 0.5 else "instruct"
            wish = bool(rng.random() < GENERATION_SHARE and countable[file])
            with_cell.append(not wish)
            examples.append(
                writer.generate(label, file, rng, mode=mode)
                if wish
                else writer.annotate(label, file, rng, mode=mode, options=bool(rng.random() < 0.5))
            )
        rows = torch.from_numpy(chosen[np.array(with_cell)])
        soft = network.soft_tokens(pool.queries[rows]) if len(rows) else None
        loss, hit = answer_loss(language, examples, soft)
        return {"loss": loss, "token_accuracy": hit}

    module = nn.ModuleDict({"projector": network.projector, "language": language})
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
