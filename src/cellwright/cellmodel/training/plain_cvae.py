"""The plain CVAE that generation is held against: the same decoder, a label in place of a text."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from cellwright.cellmodel.config import StageConfig
from cellwright.cellmodel.modeling.cell_network import CellNetwork
from cellwright.cellmodel.presets import base
from cellwright.cellmodel.training.data import Corpus
from cellwright.cellmodel.training.decoder_stage import count_data, start_decoder, train_decoder

Draw = Callable[[str, str, int, int], np.ndarray]
"""A function of type, file, number and seed to counts ``(n, V)``."""


def train_plain_cvae(corpus: Corpus, folder: Path, *, steps: int, seed: int) -> Draw:
    """Train the count decoder on random label vectors: no language, no gene text.

    Args:
        corpus: Files; their training cells are read.
        folder: Where the training state is kept; a run that was made before is loaded.
        steps: Optimiser steps.
        seed: Seed of every draw.
    """
    torch.manual_seed(seed)
    preset = base()
    network = CellNetwork(preset.model, n_genes=len(corpus.vocabulary), n_labels=len(corpus.labels))
    with torch.no_grad():
        network.genes.residual_VE.zero_()
    data = count_data(corpus)
    states = torch.randn(len(data.sources), 1, preset.model.language.hidden)
    start_decoder(network, data)
    stage = StageConfig(steps=steps, batch_size=64, learning_rate=2e-3, save_every=steps)
    recipe = replace(preset.train, decoder=stage, seed=seed)
    train_decoder(network, states, data, recipe, folder)
    place = {(one.name, one.dataset): at for at, one in enumerate(data.sources)}
    measured = torch.from_numpy(data.measured)

    def draw(name: str, dataset: str, n: int, seed: int) -> np.ndarray:
        at = place[name, dataset]
        generator = torch.Generator().manual_seed(seed)
        drawn = network.decoder.sample(
            states[at].expand(n, -1), network.genes(), measured[data.files[at]], generator
        )
        return np.asarray(drawn.numpy())

    return draw
