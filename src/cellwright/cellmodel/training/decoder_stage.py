"""Stage 3: counts from the language model's state at the signal token."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from cellwright.cellmodel.config import TrainConfig
from cellwright.cellmodel.generation import generation_prompt
from cellwright.cellmodel.modeling.cell_language import CellLanguage
from cellwright.cellmodel.modeling.cell_network import CellNetwork
from cellwright.cellmodel.reference import TypeSource, pack_measured, summarise
from cellwright.cellmodel.training.data import CellSet, Corpus
from cellwright.cellmodel.training.language_stage import PromptWriter
from cellwright.cellmodel.training.losses import elbo_loss
from cellwright.cellmodel.training.trainer import Trainer

FEWEST_CELLS = 10
PROMPTS_PER_SOURCE = 2
KL_WARMUP = 100
_BATCH = 16


@dataclass(frozen=True)
class CountData:
    """Training counts by type and file.

    Attributes:
        sources: Types that can be generated, as one file saw them.
        files: ``(P,)`` file of each source, as its position in ``sets``.
        cells: Counts of each source's training cells.
        sets: Files with counts.
        labels: ``(P,)`` type of each source in the corpus's label space.
    """

    sources: tuple[TypeSource, ...]
    files: np.ndarray
    cells: tuple[sparse.csr_matrix, ...]
    sets: tuple[CellSet, ...]
    labels: np.ndarray

    @property
    def measured(self) -> np.ndarray:
        """Genes that each file measured, ``(S, V)`` bool."""
        return np.stack([cells.block.measured for cells in self.sets])


def count_data(corpus: Corpus) -> CountData:
    """Types with enough training cells in a file with counts."""
    sets = tuple(cells for cells in corpus.sets if cells.counts is not None)
    sources, files, counts, labels = [], [], [], []
    for at, cells in enumerate(sets):
        train = cells.parts["train"]
        for label in cells.own:
            rows = train[cells.labels[train] == label]
            if len(rows) < FEWEST_CELLS or cells.counts is None:
                continue
            card = cells.card
            sources.append(
                TypeSource(
                    name=corpus.labels.names[label],
                    dataset=card.name,
                    species=card.species,
                    tissue=card.tissue,
                    protocol=card.protocol,
                    n_cells=len(rows),
                )
            )
            files.append(at)
            counts.append(cells.counts[rows])
            labels.append(label)
    return CountData(tuple(sources), np.array(files), tuple(counts), sets, np.array(labels))


def condition_states(
    language: CellLanguage, corpus: Corpus, data: CountData, *, seed: int
) -> Tensor:
    """States at the signal token for several wordings of each source, ``(P, W, H)``.

    The first wording is the one that ``CellModel.generate`` uses.
    """
    rng = np.random.default_rng(seed)
    writer = PromptWriter(corpus, "train")
    files = {id(cells): at for at, cells in enumerate(corpus.sets)}
    pairs = []
    for source, label, file in zip(data.sources, data.labels, data.files, strict=True):
        pairs.append((generation_prompt(source), ""))
        at = files[id(data.sets[file])]
        for _ in range(PROMPTS_PER_SOURCE - 1):
            example = writer.generate(label, at, rng, mode="instruct")
            pairs.append((example.prompt, example.answer))
    states = [
        language.signal_states(pairs[start : start + _BATCH])
        for start in range(0, len(pairs), _BATCH)
    ]
    return torch.cat(states).view(len(data.sources), PROMPTS_PER_SOURCE, -1).clone()


def start_decoder(network: CellNetwork, data: CountData) -> None:
    """Start biases at the overall expression, and factors at what tells sources apart."""
    measured = data.measured[data.files]
    shares = np.stack([np.asarray(c.sum(axis=0)).ravel() for c in data.cells])
    shares = (shares + 0.02 * measured) / (shares + 0.02 * measured).sum(axis=1, keepdims=True)
    logs = np.where(measured, np.log(np.maximum(shares, 1e-12)), 0)
    known = np.maximum(measured.sum(axis=0), 1)
    bias = np.where(measured.any(axis=0), logs.sum(axis=0) / known, np.log(1e-7))
    centred = np.where(measured, logs - bias, 0)
    width = network.config.decoder.factors
    _left, values, axes = np.linalg.svd(centred, full_matrices=False)
    factors = np.zeros((centred.shape[1], width), dtype=np.float32)
    rank = min(width, len(values))
    factors[:, :rank] = axes[:rank].T * np.sqrt(centred.shape[1])
    with torch.no_grad():
        network.decoder.gene_bias_V.copy_(torch.from_numpy(bias))
        network.decoder.factors_VF.copy_(torch.from_numpy(factors))


def train_decoder(
    network: CellNetwork, states: Tensor, data: CountData, config: TrainConfig, folder: Path
) -> None:
    """Train condition head and count decoder; everything else is frozen."""
    network.requires_grad_(requires_grad=False)
    network.decoder.requires_grad_(requires_grad=True)
    vectors = network.genes().detach()
    sizes = np.array([source.n_cells for source in data.sources])
    share = np.sqrt(sizes) / np.sqrt(sizes).sum()
    measured = torch.from_numpy(data.measured)
    stage = config.decoder

    def step(number: int, rng: np.random.Generator) -> Mapping[str, Tensor]:
        chosen = rng.choice(len(sizes), size=stage.batch_size, p=share)
        rows = [data.cells[at][int(rng.integers(sizes[at]))] for at in chosen]
        counts = torch.from_numpy(np.asarray(sparse.vstack(rows).todense(), dtype=np.float32))
        words = rng.integers(states.shape[1], size=len(chosen))
        hidden = states[torch.from_numpy(chosen), torch.from_numpy(words)]
        seen = measured[torch.from_numpy(data.files[chosen])]
        parts = network.decoder(counts, hidden, vectors, seen)
        loss = elbo_loss(
            parts, kl_weight=network.config.decoder.kl_weight, step=number, warmup=KL_WARMUP
        )
        return {"loss": loss, "reconstruction": parts.reconstruction, "kl": parts.kl}

    Trainer("decoder", stage, network.decoder, step, folder=folder, seed=config.seed).run()
    network.requires_grad_(requires_grad=True)


def reference_tensors(data: CountData) -> dict[str, Tensor]:
    """Summaries of every source, as the checkpoint stores them."""
    found = [
        summarise(np.asarray(cells.todense()), data.measured[file])
        for cells, file in zip(data.cells, data.files, strict=True)
    ]
    stats, mean, var = (torch.stack(column) for column in zip(*found, strict=True))
    return {"measured": pack_measured(data.measured), "stats": stats, "mean": mean, "var": var}


def reference_card(data: CountData) -> dict[str, Any]:
    """What the card says of the sources."""
    return {
        "generatable": [asdict(source) for source in data.sources],
        "generation_datasets": [cells.card.name for cells in data.sets],
    }
