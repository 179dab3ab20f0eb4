"""Stage 3: counts from the language model's state at the signal token."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.nn import functional

from cellwright.cellmodel.config import DecoderConfig, TrainConfig
from cellwright.cellmodel.generation import CHUNK, generation_prompt
from cellwright.cellmodel.modeling.cell_language import CellLanguage
from cellwright.cellmodel.modeling.cell_network import CellNetwork
from cellwright.cellmodel.modeling.decoder import PANEL_WEIGHT, CountDecoder, TypeMemory, pack
from cellwright.cellmodel.realism import measure_realism
from cellwright.cellmodel.reference import TypeRealism, TypeSource, pack_references, summarise
from cellwright.cellmodel.training.count_moments import (
    calibrate_counts,
    latent_priors,
    library_quantiles,
    log_shares,
)
from cellwright.cellmodel.training.count_vae import (
    CountAutoencoder,
    FileGenes,
    SourceStart,
    first_axes,
)
from cellwright.cellmodel.training.data import CellSet, Corpus
from cellwright.cellmodel.training.language_stage import PromptWriter
from cellwright.cellmodel.training.losses import elbo_loss
from cellwright.cellmodel.training.reader import fit_reader
from cellwright.cellmodel.training.trainer import Trainer

FEWEST_CELLS = 10
STATE_NAME = "count-vae"
"""Name of the autoencoder's training state. It knows nothing of the language model: where that has
moved since, running the stage again only fits the reader and writes the tables again."""
PROMPTS_PER_SOURCE = 6
"""Wordings of a wish from which the reader learns to tell sources apart."""
KL_WARMUP = 100
MOST_JUDGED = 150
"""Held-out cells of a source that realism is measured on."""
_BATCH = 16


@dataclass(frozen=True)
class CountData:
    """Training counts by type and file.

    Attributes:
        sources: Types that can be generated, as one file saw them.
        files: ``(P,)`` file of each source, as its position in ``sets``.
        cells: ``(B, V)`` counts of each source's training cells.
        held_out: ``(B, V)`` counts of its other cells.
        sets: Files with counts.
        labels: ``(P,)`` type of each source in the corpus's label space.
    """

    sources: tuple[TypeSource, ...]
    files: np.ndarray
    cells: tuple[sparse.csr_matrix, ...]
    held_out: tuple[sparse.csr_matrix, ...]
    sets: tuple[CellSet, ...]
    labels: np.ndarray

    @property
    def measured(self) -> np.ndarray:
        """Genes that each file measured, ``(S, V)`` bool."""
        return np.stack([cells.block.measured for cells in self.sets])

    def of_file(self, file: int) -> list[int]:
        """Positions of a file's sources."""
        return [int(at) for at in np.flatnonzero(self.files == file)]


def count_data(corpus: Corpus) -> CountData:
    """Types with enough training cells in a file with counts; files without one are left out."""
    sets: list[CellSet] = []
    sources, files, counts, others, labels = [], [], [], [], []
    for cells in corpus.sets:
        if cells.counts is None:
            continue
        train = cells.parts["train"]
        held = np.concatenate([cells.parts["valid"], cells.parts["test"]])
        able = [at for at in cells.own if (cells.labels[train] == at).sum() >= FEWEST_CELLS]
        for label in able:
            rows = train[cells.labels[train] == label]
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
            files.append(len(sets))
            counts.append(cells.counts[rows])
            others.append(cells.counts[held[cells.labels[held] == label]])
            labels.append(label)
        if able:
            sets.append(cells)
    return CountData(
        tuple(sources), np.array(files), tuple(counts), tuple(others), tuple(sets), np.array(labels)
    )


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
        for number in range(PROMPTS_PER_SOURCE - 1):
            mode: Any = "chat" if number % 2 else "instruct"
            example = writer.generate(label, at, rng, mode=mode)
            pairs.append((example.prompt, example.answer))
    order = sorted(range(len(pairs)), key=lambda at: len(pairs[at][0].encode()))
    states = torch.zeros(len(pairs), language.config.hidden)
    for start in range(0, len(order), _BATCH):
        rows = order[start : start + _BATCH]
        states[rows] = language.signal_states([pairs[at] for at in rows]).clone()
    return states.view(len(data.sources), PROMPTS_PER_SOURCE, -1)


def train_decoder(
    network: CellNetwork, states: Tensor, data: CountData, config: TrainConfig, folder: Path
) -> None:
    """Learn reader, types, their variation and its calibration; the language model is frozen."""
    seed = config.seed
    view = _view(data, network.config.decoder.genes)
    model = _start(network.config.decoder, data, view, seed=seed)
    _fit(model, data, view, config, folder)
    memory = _memory(model, data, view, fit_reader(states, _panel_odds(data)))
    network.decoder.learn(memory)
    _calibrate(network.decoder, data, view, seed=seed)


@dataclass(frozen=True)
class _View:
    """Training counts as the autoencoder reads them.

    Attributes:
        genes: Genes of each file.
        panels: ``(B, G)`` counts of each source over its file's genes.
        moved: ``(B, K)`` of those, the genes that the latent moves.
        libraries: ``(B,)`` library sizes.
        starts: Where each source starts.
    """

    genes: tuple[FileGenes, ...]
    panels: tuple[sparse.csr_matrix, ...]
    moved: tuple[sparse.csr_matrix, ...]
    libraries: tuple[np.ndarray, ...]
    starts: tuple[SourceStart, ...]


def _view(data: CountData, most: int) -> _View:
    genes = tuple(_file_genes(data, file, most) for file in range(len(data.sets)))
    panels = tuple(
        cells[:, genes[file].panel] for cells, file in zip(data.cells, data.files, strict=True)
    )
    moved = tuple(
        cells[:, genes[file].moved] for cells, file in zip(panels, data.files, strict=True)
    )
    libraries = tuple(np.asarray(cells.sum(axis=1)).ravel() for cells in panels)
    starts: dict[int, SourceStart] = {}
    for file in range(len(data.sets)):
        rows = data.of_file(file)
        for at, share in zip(rows, log_shares([panels[at] for at in rows]), strict=True):
            profile = sparse.diags(1e4 / np.maximum(libraries[at], 1)) @ moved[at]
            profile.data = np.log1p(profile.data)
            starts[at] = SourceStart(share, np.asarray(profile.mean(axis=0)).ravel())
    return _View(genes, panels, moved, libraries, tuple(starts[at] for at in range(len(panels))))


def _file_genes(data: CountData, file: int, most: int) -> FileGenes:
    """The measured genes of a file, and the best expressed of them."""
    panel = np.flatnonzero(data.sets[file].block.measured)
    total = sum(np.asarray(data.cells[at].sum(axis=0)).ravel() for at in data.of_file(file))
    order = np.argsort(-np.asarray(total)[panel], kind="stable")
    return FileGenes(panel, np.sort(order[:most]))


def _start(shape: DecoderConfig, data: CountData, view: _View, *, seed: int) -> CountAutoencoder:
    axes = []
    for file, own in enumerate(view.genes):
        rows = data.of_file(file)
        parts = ([view.moved[at] for at in rows], [view.libraries[at] for at in rows])
        found = [view.starts[at] for at in rows]
        axes.append(first_axes(*parts, found, own, latent=shape.latent, seed=seed))
    torch.manual_seed(seed)
    return CountAutoencoder(shape, view.genes, view.starts, data.files, axes)


def _fit(
    model: CountAutoencoder, data: CountData, view: _View, config: TrainConfig, folder: Path
) -> None:
    """Move loadings and posterior by gradient; a step reads cells of one file."""
    groups = [data.of_file(file) for file in range(len(data.sets))]
    sizes = np.array([source.n_cells for source in data.sources])
    by_file = np.sqrt([sizes[rows].sum() for rows in groups])
    # Files differ in how many counts a cell has; each step is to weigh alike.
    scale = [np.mean([np.diff(view.moved[at].indptr).mean() for at in rows]) for rows in groups]

    def step(number: int, rng: np.random.Generator) -> Mapping[str, Tensor]:
        file = int(rng.choice(len(groups), p=by_file / by_file.sum()))
        share = np.sqrt(sizes[groups[file]])
        chosen = rng.choice(groups[file], size=config.decoder.batch_size, p=share / share.sum())
        rows = [int(rng.integers(sizes[at])) for at in chosen]
        cells = list(zip(chosen, rows, strict=True))
        counts = sparse.vstack([view.moved[at][row] for at, row in cells])
        library = np.array([view.libraries[at][row] for at, row in cells])
        parts = model(
            torch.from_numpy(counts.toarray()).float(),
            torch.from_numpy(library).float(),
            torch.from_numpy(chosen),
            file,
        )
        loss = elbo_loss(parts, kl_weight=model.config.kl_weight, step=number, warmup=KL_WARMUP)
        return {
            "loss": loss / max(scale[file], 1.0),
            "reconstruction": parts.reconstruction,
            "kl": parts.kl,
        }

    Trainer(STATE_NAME, config.decoder, model, step, folder=folder, seed=config.seed).run()


@torch.no_grad()
def _memory(
    model: CountAutoencoder, data: CountData, view: _View, reader: tuple[Tensor, Tensor]
) -> TypeMemory:
    latent = model.config.latent
    measured = data.measured
    varying = np.zeros_like(measured)
    priors: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    loadings = []
    for file, own in enumerate(view.genes):
        varying[file, own.panel[own.moved]] = True
        table = model.loadings[file]
        loadings.append(functional.pad(table, (0, latent - table.shape[1])))
        rows = data.of_file(file)
        posteriors = [_posterior(model, view, at, file) for at in rows]
        found = latent_priors(posteriors, [view.libraries[at] for at in rows])
        priors |= dict(zip(rows, zip(*found, strict=True), strict=True))
    order = range(len(data.sources))
    shares = torch.from_numpy(np.concatenate([start.log_share for start in view.starts])).float()
    library = np.stack([library_quantiles(one) for one in view.libraries])
    return TypeMemory(
        panels=pack(measured),
        varying=pack(varying),
        files=torch.from_numpy(data.files).long(),
        log_share=shares,
        log_size=torch.zeros_like(shares),
        loadings=torch.cat(loadings),
        prior_mean=torch.from_numpy(np.stack([priors[at][0] for at in order])).float(),
        prior_root=torch.from_numpy(np.stack([priors[at][1] for at in order])).float(),
        library=torch.from_numpy(library).float(),
        reader_weight=reader[0],
        reader_bias=reader[1],
    )


def _posterior(
    model: CountAutoencoder, view: _View, source: int, file: int
) -> tuple[np.ndarray, np.ndarray]:
    """Means and variances ``(B, Z)`` of the latent of a source's cells."""
    means, variances = [], []
    counts, library = view.moved[source], view.libraries[source]
    for start in range(0, len(library), CHUNK):
        rows = slice(start, start + CHUNK)
        part = torch.from_numpy(counts[rows].toarray()).float()
        sizes = torch.from_numpy(library[rows]).float()
        mean, log_var = model.posterior(part, sizes, torch.full((len(part),), source), file)
        means.append(mean.numpy())
        variances.append(log_var.exp().numpy())
    return np.concatenate(means), np.concatenate(variances)


def _calibrate(decoder: CountDecoder, data: CountData, view: _View, *, seed: int) -> None:
    shares: dict[int, Tensor] = {}
    sizes: dict[int, Tensor] = {}
    for file in range(len(data.sets)):
        rows = data.of_file(file)
        found = calibrate_counts(decoder, rows, [view.panels[at] for at in rows], seed=seed)
        shares |= dict(zip(rows, found[0], strict=True))
        sizes |= dict(zip(rows, found[1], strict=True))
    order = range(len(data.sources))
    decoder.log_share = torch.cat([shares[at] for at in order])
    decoder.log_size = torch.cat([sizes[at] for at in order])


def _panel_odds(data: CountData) -> np.ndarray:
    """Log odds ``(P, P)`` against a source where the genes of another's file are wanted."""
    panels = data.measured[data.files].astype(float)
    shared = panels @ panels.T
    size = panels.sum(axis=1)
    overlap = shared / np.maximum(size[:, None] + size[None] - shared, 1)
    return PANEL_WEIGHT * np.log(np.maximum(overlap, 1e-6))


def judge_sources(network: CellNetwork, states: Tensor, data: CountData) -> list[TypeRealism]:
    """How drawn cells of each source compare with its held-out cells."""
    found = []
    generator = torch.Generator().manual_seed(0)
    for at, source in enumerate(data.sources):
        panel = data.sets[data.files[at]].block.measured
        real = data.held_out[at][:MOST_JUDGED][:, panel].toarray()
        training = data.cells[at][: 3 * MOST_JUDGED][:, panel].toarray()
        hidden = states[at, :1].expand(max(len(real), 1), -1)
        made = network.decoder.sample(hidden, torch.from_numpy(panel), generator)
        found.append(measure_realism(source, real, made.numpy()[:, panel], training))
    return found


def reference_tensors(data: CountData) -> dict[str, Tensor]:
    """Summaries of every source, as the checkpoint stores them."""
    measured = data.measured
    found = [
        summarise(cells[:, measured[file]].toarray())
        for cells, file in zip(data.cells, data.files, strict=True)
    ]
    return pack_references(measured, found)


def reference_card(data: CountData, realism: Sequence[TypeRealism]) -> dict[str, Any]:
    """What the card says of the sources."""
    return {
        "generatable": [asdict(source) for source in data.sources],
        "generation_datasets": [cells.card.name for cells in data.sets],
        "realism": [asdict(one) for one in realism],
    }
