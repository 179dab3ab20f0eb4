import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import sparse

from cellwright.cellmodel.checkpoint import load_checkpoint
from cellwright.cellmodel.config import CheckpointError, DecoderConfig, StageConfig
from cellwright.cellmodel.modeling.decoder import (
    CountDecoder,
    CountParameters,
    count_log_prob,
    pack,
    unpack,
)
from cellwright.cellmodel.training.count_moments import (
    calibrate_counts,
    latent_priors,
    library_quantiles,
    log_shares,
)
from cellwright.cellmodel.training.plain_cvae import train_plain_cvae
from cellwright.cellmodel.training.reader import fit_reader
from tests.unit.cellmodel.toys import GENES, PLANTED, TYPES, debug, make_pipeline


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy checkpoint whose decoder stage alone was run."""
    place = tmp_path_factory.mktemp("decoder")
    preset = debug()
    stage = dataclasses.replace(preset.train.decoder, steps=60)
    preset = dataclasses.replace(preset, train=dataclasses.replace(preset.train, decoder=stage))
    pipeline = make_pipeline(place, preset)
    pipeline.run(["decoder"])
    pipeline.export(place / "checkpoint")
    return place


def means_of(decoder: CountDecoder, source: int, n: int = 300) -> np.ndarray:
    """Mean counts of cells drawn for the state that means one source alone."""
    hidden = torch.linalg.pinv(decoder.reader_weight) @ (
        60 * torch.nn.functional.one_hot(torch.tensor(source), decoder.n_sources).float()
        - decoder.reader_bias
    )
    measured = torch.zeros(decoder.n_genes, dtype=torch.bool)
    measured[decoder.panel(source)] = True
    drawn = decoder.sample(hidden.expand(n, -1), measured, torch.Generator().manual_seed(1))
    return drawn.numpy()


def test_cells_follow_the_source_that_the_state_means(folder: Path) -> None:
    checkpoint = load_checkpoint(folder / "checkpoint")
    decoder = checkpoint.network.decoder
    names = [row["name"] for row in checkpoint.card["generatable"]]
    place = {key: at for at, key in enumerate(checkpoint.vocabulary.keys)}
    assert decoder.n_sources == 6
    for source, name in enumerate(names):
        cells = means_of(decoder, source)
        assert (cells == cells.round()).all()
        mean = cells.mean(axis=0)
        planted = [place[gene] for gene in PLANTED[name]]
        others = [place[gene] for other in TYPES if other != name for gene in PLANTED[other]]
        assert abs(mean[planted].mean() - 12) < 1.5
        assert mean[others].max() < 2.5
        assert abs(np.median(cells.sum(axis=1)) - 104) < 8


def test_a_state_survives_the_checkpoint_and_an_old_one_is_dropped(folder: Path) -> None:
    decoder = load_checkpoint(folder / "checkpoint").network.decoder
    other = CountDecoder(decoder.config, n_genes=decoder.n_genes, hidden=decoder.hidden)
    other.load_state_dict(decoder.state_dict())
    assert (means_of(other, 2, 5) == means_of(decoder, 2, 5)).all()
    stale = CountDecoder(decoder.config, n_genes=decoder.n_genes, hidden=decoder.hidden)
    stale.load_state_dict({"gene_bias_V": torch.zeros(decoder.n_genes)})
    assert stale.n_sources == 0
    hidden, measured = torch.zeros(1, 32), torch.ones(decoder.n_genes, dtype=torch.bool)
    with pytest.raises(CheckpointError, match="--stage decoder"):
        stale.sample(hidden, measured, torch.Generator())


def test_genes_that_are_not_wanted_get_no_counts(folder: Path) -> None:
    decoder = load_checkpoint(folder / "checkpoint").network.decoder
    measured = torch.ones(decoder.n_genes, dtype=torch.bool)
    measured[:20] = False
    hidden = torch.zeros(4, decoder.hidden)
    weights = decoder.source_weights(hidden, measured)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(4))
    library = torch.full((4,), 500.0)
    draws = [
        decoder.sample(hidden, measured, torch.Generator().manual_seed(3), library)
        for _ in range(2)
    ]
    assert torch.equal(*draws)
    assert not draws[0][:, :20].any()
    assert draws[0].sum() > 0


def test_realism_is_measured_and_kept(folder: Path) -> None:
    card = load_checkpoint(folder / "checkpoint").card
    assert [row["name"] for row in card["realism"]] == [row["name"] for row in card["generatable"]]
    assert all(row["n_held_out"] > 0 for row in card["realism"])


def test_the_likelihood_is_a_distribution() -> None:
    counts = torch.arange(400.0)[:, None]
    mean, size = torch.full_like(counts, 5.0), torch.full_like(counts, 2.0)
    assert abs(float(count_log_prob(counts, CountParameters(mean, size)).exp().sum()) - 1) < 1e-3


def test_bits_come_back() -> None:
    table = np.random.default_rng(0).random((3, 21)) < 0.4
    assert (unpack(pack(table), 21).numpy() == table).all()


def test_the_reader_sees_through_wordings() -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(6, 1, 32))
    noise = rng.normal(size=(2, 32)) * 8  # two directions in which wordings differ much

    def wordings(n: int) -> torch.Tensor:
        shift = rng.normal(size=(6, n, 2)) @ noise
        return torch.from_numpy(centres + shift + 0.2 * rng.normal(size=(6, n, 32))).float()

    weight, bias = fit_reader(wordings(8), np.zeros((6, 6)))
    odds = wordings(20) @ weight.T + bias
    shares = odds.softmax(dim=2)
    truth = torch.arange(6)[:, None].expand(6, 20)
    assert (odds.argmax(dim=2) == truth).float().mean() > 0.97
    assert shares.gather(2, truth[..., None]).mean() > 0.9


def test_files_that_text_cannot_tell_apart_are_told_apart_by_their_genes() -> None:
    decoder = CountDecoder(DecoderConfig(latent=2), n_genes=16, hidden=4)
    panels = np.zeros((2, 16), dtype=bool)
    panels[0, :], panels[1, :5] = True, True
    decoder.panels, decoder.files = pack(panels), torch.tensor([0, 1])
    decoder.reader_weight, decoder.reader_bias = torch.zeros(2, 4), torch.zeros(2)
    for file in (0, 1):
        weights = decoder.source_weights(torch.zeros(1, 4), torch.from_numpy(panels[file]))
        assert weights[0, file] > 0.999


def test_calibration_meets_means_and_zeros() -> None:
    rng = np.random.default_rng(0)
    rate = np.array([0.3, 1.0, 3.0, 20.0])
    size = np.array([0.5, 2.0, 1.0, 5.0])
    lift = np.exp(rng.normal(size=(900, 1)) * 0.6)  # counts of a cell vary together
    counts = rng.poisson(rng.gamma(size, 1 / size, (900, 4)) * rate * lift)
    cells = [sparse.csr_matrix(counts.astype(np.float32))]
    library = counts.sum(axis=1).astype(float)
    decoder = CountDecoder(DecoderConfig(latent=1), n_genes=4, hidden=4)
    decoder.panels = decoder.varying = pack(np.ones((1, 4), dtype=bool))
    decoder.files, decoder.loadings = torch.tensor([0]), torch.tensor([[0.0], [0.5], [0.5], [0.0]])
    posterior = (rng.normal(size=(900, 1)) * 0.7, np.full((900, 1), 0.5))
    means, roots = latent_priors([posterior], [library])
    np.testing.assert_allclose(roots[0].T @ roots[0], np.diag([1.0, 1.0]), atol=0.15)
    decoder.prior_mean = torch.from_numpy(np.stack(means)).float()
    decoder.prior_root = torch.from_numpy(np.stack(roots)).float()
    decoder.library = torch.from_numpy(library_quantiles(library))[None].float()
    decoder.log_share = torch.from_numpy(log_shares(cells)[0]).float()
    decoder.log_size = torch.zeros(4)
    shares, sizes = calibrate_counts(decoder, [0], cells, seed=0)
    decoder.log_share, decoder.log_size = shares[0], sizes[0]
    noise = torch.randn(4000, 2, generator=torch.Generator().manual_seed(2))
    latent, drawn_library = decoder.latents(0, noise)
    mean, inverse = decoder.parameters_of(0, latent, drawn_library)
    drawn = torch.poisson(torch._standard_gamma(inverse.contiguous()) * mean / inverse).numpy()
    np.testing.assert_allclose(drawn.mean(axis=0), counts.mean(axis=0), rtol=0.15)
    np.testing.assert_allclose((drawn == 0).mean(axis=0), (counts == 0).mean(axis=0), atol=0.04)


def test_genes_that_types_share_are_pooled_and_others_kept() -> None:
    rng = np.random.default_rng(0)
    rate = np.full((6, 40), 2.0)
    rate[0, :5], rate[0, 5:10] = 3.8, 0.2
    cells = [sparse.csr_matrix(rng.poisson(one, (30, 40)).astype(float)) for one in rate]
    shares = np.exp(log_shares(cells))
    true = rate / rate.sum(axis=1, keepdims=True)
    raw = np.stack([np.asarray(one.sum(axis=0)).ravel() / one.sum() for one in cells])
    np.testing.assert_allclose(shares[0, :5], raw[0, :5], rtol=0.1)
    off = [np.abs(found - true)[:, 10:].mean() for found in (shares, raw)]
    assert off[0] < 0.7 * off[1]


def test_the_plain_cvae_learns_types(tmp_path: Path) -> None:
    corpus = make_pipeline(tmp_path).corpus
    stage = StageConfig(steps=150, batch_size=32, learning_rate=5e-3, save_every=150)
    draw = train_plain_cvae(corpus, tmp_path / "plain", stage, seed=0)
    place = {key: at for at, key in enumerate(corpus.vocabulary.keys)}
    for name in TYPES:
        mean = draw(name, "one", 200, 0).mean(axis=0)
        planted = mean[[place[gene] for gene in PLANTED[name]]].mean()
        assert planted > 3 * mean[[place[gene] for gene in GENES[40:]]].mean()
    assert (draw("beta cell", "two", 5, 1) == draw("beta cell", "two", 5, 1)).all()
