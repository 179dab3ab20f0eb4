"""Ready-made models and recipes, each a function of nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from cellwright.cellmodel.config import (
    DecoderConfig,
    EncoderConfig,
    GeneConfig,
    LanguageConfig,
    ModelConfig,
    ReadOutConfig,
    StageConfig,
    TrainConfig,
)


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A model and the recipe that trains it."""

    model: ModelConfig
    train: TrainConfig


def debug() -> Preset:
    """Small enough to train in seconds on a CPU; for tests."""
    return Preset(
        model=ModelConfig(
            genes=GeneConfig(text_width=8, residual_width=8),
            encoder=EncoderConfig(
                width=16,
                n_expression_tokens=2,
                n_gene_tokens=12,
                n_queries=2,
                n_layers=1,
                n_heads=2,
            ),
            readout=ReadOutConfig(width=16, text_width=384),
            language=LanguageConfig(hidden=32, lora_rank=2, lora_alpha=4),
            decoder=DecoderConfig(latent=4, hidden=16, condition=8, factors=4),
        ),
        train=TrainConfig(
            encoder=StageConfig(steps=20, batch_size=16, learning_rate=3e-3, save_every=2),
            language=StageConfig(steps=4, batch_size=4, learning_rate=1e-3, save_every=2),
            decoder=StageConfig(steps=20, batch_size=16, learning_rate=3e-3, save_every=2),
            wide_iterations=20,
            answers_tested=2,
        ),
    )


def base() -> Preset:
    """The packaged model: an hour on two CPU cores.

    The language stage only moves adapters in the upper layers there: the alignment of the projector
    has done most of its work, and the backward pass is the dearest part of it.
    """
    return Preset(
        model=ModelConfig(language=LanguageConfig(lora_layers=12)),
        train=TrainConfig(
            tune_inputs=False,
            encoder=StageConfig(steps=4000, learning_rate=1e-3, save_every=250, max_seconds=900),
            language=StageConfig(
                steps=800,
                batch_size=8,
                learning_rate=5e-4,
                save_every=20,
                weight_decay=0.0,
                max_seconds=720,
            ),
            decoder=StageConfig(steps=2500, batch_size=64, learning_rate=2e-3, max_seconds=360),
        ),
    )


def mlp() -> Preset:
    """``base`` with an MLP in place of the Q-Former, at the same number of tokens."""
    preset = base()
    encoder = replace(preset.model.encoder, reader="mlp", n_gene_tokens=0)
    return replace(preset, model=replace(preset.model, encoder=encoder))


def expression_only() -> Preset:
    """``base`` without gene-text tokens."""
    preset = base()
    encoder = replace(preset.model.encoder, n_gene_tokens=0)
    return replace(preset, model=replace(preset.model, encoder=encoder))


def full() -> Preset:
    """``base`` with adapters everywhere and longer stages, for a GPU."""
    preset = base()
    train = replace(
        preset.train,
        tune_inputs=True,
        encoder=StageConfig(steps=20_000, batch_size=256),
        language=StageConfig(steps=6_000, batch_size=32, learning_rate=3e-4, weight_decay=0.0),
        decoder=StageConfig(steps=20_000, batch_size=128),
    )
    language = replace(preset.model.language, lora_layers=0, lora_rank=16, lora_alpha=32)
    return replace(preset, model=replace(preset.model, language=language), train=train)


def one_query() -> Preset:
    """``base`` with a single query."""
    preset = base()
    encoder = replace(preset.model.encoder, n_queries=1)
    return replace(preset, model=replace(preset.model, encoder=encoder))


PRESETS: Mapping[str, Callable[[], Preset]] = {
    "debug": debug,
    "base": base,
    "full": full,
    "mlp": mlp,
    "expression-only": expression_only,
    "one-query": one_query,
}
