"""Stage 1: the linear term in closed form, then the encoder and the deep ReadOut."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cellwright.cellmodel.config import ModelConfig, StageConfig, TrainConfig
from cellwright.cellmodel.data.splits import Part
from cellwright.cellmodel.modeling.cell_input import cell_input
from cellwright.cellmodel.modeling.cell_network import CellNetwork
from cellwright.cellmodel.modeling.gene_vectors import discriminative_components, text_components
from cellwright.cellmodel.training.data import CellSampler, Corpus
from cellwright.cellmodel.training.losses import candidate_loss
from cellwright.cellmodel.training.trainer import Trainer
from cellwright.cellmodel.training.wide import WideSolution, solve_wide

logger = logging.getLogger(__name__)

Embed = Callable[[Sequence[str]], np.ndarray]


def start_network(
    config: ModelConfig, corpus: Corpus, gene_texts: Sequence[str], embed: Embed, *, seed: int
) -> CellNetwork:
    """An untrained network that knows what is written of its genes and labels.

    Args:
        config: The architecture.
        corpus: Vocabulary, labels and usual expression levels.
        gene_texts: One line on each gene of the vocabulary.
        embed: Text embedder.
        seed: Seed of the random weights.
    """
    torch.manual_seed(seed)
    network = CellNetwork(config, n_genes=len(corpus.vocabulary), n_labels=len(corpus.labels))
    vectors = embed(list(gene_texts))
    if not config.encoder.gene_text:
        vectors = np.random.default_rng(seed).normal(size=vectors.shape).astype(np.float32)
    text = text_components(vectors, config.genes.text_width)
    network.genes.text_VE.copy_(torch.from_numpy(text))
    network.genes.usual_V.copy_(torch.from_numpy(corpus.usual_levels()))
    network.genes.mean_V.copy_(torch.from_numpy(corpus.mean_profile()))
    network.response_L.copy_(
        torch.tensor([record.task == "drug response" for record in corpus.labels.records])
    )
    network.readout.label_text_LT.copy_(torch.from_numpy(embed(list(corpus.labels.names))))
    return network


def add_wide_term(network: CellNetwork, corpus: Corpus, config: TrainConfig) -> None:
    """Solve the linear term, and start the gene residuals from the directions it found."""
    solution = solve_wide(
        corpus, iterations=config.wide_iterations, l2=config.wide_l2, seed=config.seed
    )
    _put(network, solution)
    residual = discriminative_components(solution.weights, network.config.genes.residual_width)
    with torch.no_grad():
        network.genes.residual_VE.copy_(torch.from_numpy(residual))


def _put(network: CellNetwork, solution: WideSolution) -> None:
    network.readout.wide_LV.copy_(torch.from_numpy(solution.weights))
    network.readout.wide_bias_L.copy_(torch.from_numpy(solution.bias))


def train_encoder(
    network: CellNetwork,
    corpus: Corpus,
    config: TrainConfig,
    folder: Path,
    *,
    name: str = "encoder",
    stage: StageConfig | None = None,
    parts: Sequence[Part] = ("train",),
) -> None:
    """Train encoder, gene residuals and the deep part of the ReadOut.

    Args:
        network: The network.
        corpus: Files.
        config: The recipe.
        folder: Where the training state is kept.
        name: Name of the stage there.
        stage: Its length and learning rate; None takes the recipe's.
        parts: Cells to learn from.
    """
    stage = stage or config.encoder
    for parameter_name, parameter in network.named_parameters():
        parameter.requires_grad_(parameter_name.startswith(("genes.", "encoder.", "readout.")))
    sampler = CellSampler(
        corpus, panel_rate=config.panel_rate, drop=2 * config.gene_drop, parts=parts
    )
    usual = network.genes.usual_V.numpy()
    everything = torch.arange(len(corpus.labels))

    def step(_number: int, rng: np.random.Generator) -> Mapping[str, Tensor]:
        draw = sampler.draw(rng, stage.batch_size)
        cells = cell_input(draw.expression, usual, network.config.encoder.n_gene_tokens)
        vector = network.readout.cell_vector(network.queries(cells))
        deep = network.readout.deep(vector, network.readout.label_vectors(everything))
        labels = torch.from_numpy(draw.labels)
        allowed = torch.from_numpy(draw.allowed)
        loss = candidate_loss(deep, labels, allowed)
        hit = (deep.masked_fill(~allowed, -1e4).argmax(1) == labels).float().mean()
        return {"loss": loss, "accuracy": hit}

    Trainer(name, stage, network, step, folder=folder, seed=config.seed).run()
    network.requires_grad_(requires_grad=True)


def refit(network: CellNetwork, corpus: Corpus, config: TrainConfig, folder: Path) -> None:
    """Let the cells that calibrated the scores train too, a tenth as long as the stage took.

    The calibration stays: it was found on these cells while they were held out.
    """
    readout = network.readout
    solution = solve_wide(
        corpus,
        iterations=config.wide_iterations // 4,
        l2=config.wide_l2,
        seed=config.seed,
        parts=LEARNED,
        start=WideSolution(readout.wide_LV.numpy(), readout.wide_bias_L.numpy()),
    )
    _put(network, solution)
    stage = replace(
        config.encoder,
        steps=config.encoder.steps // 10,
        max_seconds=config.encoder.max_seconds / 10,
        learning_rate=config.encoder.learning_rate / 10,
    )
    train_encoder(network, corpus, config, folder, name="refit", stage=stage, parts=LEARNED)


LEARNED: tuple[Part, ...] = ("train", "valid")
