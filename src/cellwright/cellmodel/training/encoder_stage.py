"""Stage 1: the linear term in closed form, then the encoder and the deep ReadOut."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cellwright.cellmodel.config import ModelConfig, TrainConfig
from cellwright.cellmodel.modeling.cell_input import cell_input
from cellwright.cellmodel.modeling.cell_network import CellNetwork
from cellwright.cellmodel.modeling.gene_vectors import discriminative_components, text_components
from cellwright.cellmodel.training.data import CellSampler, Corpus
from cellwright.cellmodel.training.losses import candidate_loss
from cellwright.cellmodel.training.trainer import Trainer
from cellwright.cellmodel.training.wide import solve_wide

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
    text = text_components(embed(list(gene_texts)), config.genes.text_width)
    network.genes.text_VE.copy_(torch.from_numpy(text))
    network.genes.usual_V.copy_(torch.from_numpy(corpus.usual_levels()))
    network.genes.mean_V.copy_(torch.from_numpy(corpus.mean_profile()))
    network.readout.label_text_LT.copy_(torch.from_numpy(embed(list(corpus.labels.names))))
    return network


def add_wide_term(network: CellNetwork, corpus: Corpus, config: TrainConfig) -> None:
    """Solve the linear term, and start the gene residuals from the directions it found."""
    solution = solve_wide(
        corpus, iterations=config.wide_iterations, l2=config.wide_l2, seed=config.seed
    )
    residual = discriminative_components(solution.weights, network.config.genes.residual_width)
    with torch.no_grad():
        network.readout.wide_LV.copy_(torch.from_numpy(solution.weights))
        network.readout.wide_bias_L.copy_(torch.from_numpy(solution.bias))
        network.genes.residual_VE.copy_(torch.from_numpy(residual))


def train_encoder(
    network: CellNetwork, corpus: Corpus, config: TrainConfig, folder: Path
) -> Trainer:
    """Train encoder, gene residuals and the deep part of the ReadOut."""
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name.startswith(("genes.", "encoder.", "readout.")))
    sampler = CellSampler(corpus, panel_rate=config.panel_rate, drop=2 * config.gene_drop)
    usual = network.genes.usual_V.numpy()
    everything = torch.arange(len(corpus.labels))

    def step(_number: int, rng: np.random.Generator) -> Mapping[str, Tensor]:
        draw = sampler.draw(rng, config.encoder.batch_size)
        cells = cell_input(draw.expression, usual, network.config.encoder.n_gene_tokens)
        vector = network.readout.cell_vector(network.queries(cells))
        deep = network.readout.deep(vector, network.readout.label_vectors(everything))
        labels = torch.from_numpy(draw.labels)
        allowed = torch.from_numpy(draw.allowed)
        loss = candidate_loss(deep, labels, allowed)
        hit = (deep.masked_fill(~allowed, -1e4).argmax(1) == labels).float().mean()
        return {"loss": loss, "accuracy": hit}

    trainer = Trainer("encoder", config.encoder, network, step, folder=folder, seed=config.seed)
    trainer.run()
    network.requires_grad_(requires_grad=True)
    return trainer
