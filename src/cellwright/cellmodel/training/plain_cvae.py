"""The plain CVAE that generation is held against: a label in place of a text, one prior for all."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional

from cellwright.cellmodel.config import StageConfig
from cellwright.cellmodel.modeling.decoder import CountParameters, DecoderLoss, count_log_prob
from cellwright.cellmodel.training.data import Corpus
from cellwright.cellmodel.training.decoder_stage import CountData, count_data
from cellwright.cellmodel.training.losses import elbo_loss
from cellwright.cellmodel.training.trainer import Trainer

Draw = Callable[[str, str, int, int], np.ndarray]
"""A function of type, file, number and seed to counts ``(n, V)``."""
LATENT, HIDDEN, FACTORS = 16, 128, 64
KL_WARMUP = 200


class PlainCVAE(nn.Module):
    """A conditional VAE with an NB likelihood, about as large as the decoder of the cell model.

    The label enters encoder and decoder as a one-hot vector; the prior is a standard normal; the
    library size of a label is log-normal.

    Args:
        log_share_V: Log share of each gene over all cells, where the output starts.
        n_labels: Number of labels.
    """

    def __init__(self, log_share_V: Tensor, n_labels: int) -> None:
        super().__init__()
        n_genes = len(log_share_V)
        self.fold_VF = nn.Parameter(torch.randn(n_genes, FACTORS) * n_genes**-0.5)
        self.posterior = nn.Sequential(
            nn.Linear(FACTORS + n_labels, HIDDEN),
            nn.LayerNorm(HIDDEN),
            nn.GELU(),
            nn.Linear(HIDDEN, 2 * LATENT),
        )
        self.decode = nn.Sequential(
            nn.Linear(LATENT + n_labels, HIDDEN),
            nn.LayerNorm(HIDDEN),
            nn.GELU(),
            nn.Linear(HIDDEN, FACTORS),
            nn.GELU(),
        )
        self.share_VF = nn.Parameter(torch.randn(n_genes, FACTORS) * 0.02)
        self.bias_V = nn.Parameter(log_share_V.clone())
        self.log_size_V = nn.Parameter(torch.ones(n_genes))

    def counts(
        self, latent_BZ: Tensor, label_BL: Tensor, library_B: Tensor, genes_G: Tensor
    ) -> CountParameters:
        """Distribution of the counts of some genes."""
        factors = self.decode(torch.cat([latent_BZ, label_BL], dim=1))
        logits = factors @ self.share_VF[genes_G].T + self.bias_V[genes_G]
        mean = library_B[:, None] * torch.softmax(logits, dim=1)
        return CountParameters(mean, self.log_size_V[genes_G].clamp(-4, 7).exp().expand_as(mean))

    def forward(self, counts_BG: Tensor, label_BL: Tensor, genes_G: Tensor) -> DecoderLoss:
        """Negative ELBO of cells of one file."""
        library = counts_BG.sum(dim=1)
        profile = torch.log1p(counts_BG * (1e4 / library.clamp_min(1))[:, None])
        folded = functional.normalize(profile, dim=1) @ self.fold_VF[genes_G]
        moments = self.posterior(torch.cat([folded, label_BL], dim=1))
        mean, log_var = moments.chunk(2, dim=1)
        log_var = log_var.clamp(-8, 4)
        latent = mean + torch.randn_like(mean) * (0.5 * log_var).exp()
        parameters = self.counts(latent, label_BL, library, genes_G)
        log_prob = count_log_prob(counts_BG, parameters).sum(dim=1)
        kl = 0.5 * (mean**2 + log_var.exp() - 1 - log_var).sum(dim=1)
        return DecoderLoss(-log_prob.mean(), kl.mean())


def train_plain_cvae(corpus: Corpus, folder: Path, stage: StageConfig, *, seed: int) -> Draw:
    """Train a plain CVAE on the training cells of the files with counts.

    Args:
        corpus: Files; their training cells are read.
        folder: Where the training state is kept; a run that was made before is loaded.
        stage: Steps and their limits.
        seed: Seed of every draw.
    """
    torch.manual_seed(seed)
    data = count_data(corpus)
    total = np.sum([np.asarray(cells.sum(axis=0)).ravel() for cells in data.cells], axis=0) + 0.5
    model = PlainCVAE(torch.from_numpy(np.log(total / total.sum())).float(), len(data.sources))
    _fit(model, data, folder, stage, seed=seed)
    place = {(one.name, one.dataset): at for at, one in enumerate(data.sources)}
    libraries = [np.log(np.maximum(cells.sum(axis=1), 1)) for cells in data.cells]

    @torch.no_grad()
    def draw(name: str, dataset: str, n: int, seed: int) -> np.ndarray:
        at = place[name, dataset]
        generator = torch.Generator().manual_seed(seed)
        genes = torch.from_numpy(np.flatnonzero(data.sets[data.files[at]].block.measured))
        label = _one_hot(torch.full((n,), at), len(data.sources))
        sizes = torch.randn(n, generator=generator) * float(libraries[at].std())
        library = (sizes + float(libraries[at].mean())).exp()
        latent = torch.randn(n, LATENT, generator=generator)
        mean, size = model.counts(latent, label, library, genes)
        rate = torch._standard_gamma(size.contiguous(), generator) * (mean / size)
        cells = torch.zeros(n, len(total))
        cells[:, genes] = torch.poisson(rate, generator=generator)
        return np.asarray(cells.numpy())

    return draw


def _fit(model: PlainCVAE, data: CountData, folder: Path, stage: StageConfig, *, seed: int) -> None:
    groups = [data.of_file(file) for file in range(len(data.sets))]
    genes = [np.flatnonzero(cells.block.measured) for cells in data.sets]
    sizes = np.array([source.n_cells for source in data.sources])
    by_file = np.sqrt([sizes[rows].sum() for rows in groups])
    scale = [np.mean([np.diff(data.cells[at].indptr).mean() for at in rows]) for rows in groups]

    def step(number: int, rng: np.random.Generator) -> Mapping[str, Tensor]:
        file = int(rng.choice(len(groups), p=by_file / by_file.sum()))
        share = np.sqrt(sizes[groups[file]])
        chosen = rng.choice(groups[file], size=stage.batch_size, p=share / share.sum())
        cells = sparse.vstack([data.cells[at][int(rng.integers(sizes[at]))] for at in chosen])
        parts = model(
            torch.from_numpy(cells[:, genes[file]].toarray()).float(),
            _one_hot(torch.from_numpy(chosen), len(sizes)),
            torch.from_numpy(genes[file]),
        )
        loss = elbo_loss(parts, kl_weight=1.0, step=number, warmup=KL_WARMUP)
        return {"loss": loss / max(scale[file], 1.0), "kl": parts.kl}

    Trainer("plain-cvae", stage, model, step, folder=folder, seed=seed).run()


def _one_hot(labels_B: Tensor, n_labels: int) -> Tensor:
    return functional.one_hot(labels_B, n_labels).float()
