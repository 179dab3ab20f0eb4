"""Ready-made models and recipes, each a function of nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

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
            decoder=DecoderConfig(latent=4, hidden=16, genes=40),
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
    """The packaged model: about two hours on one CPU core.

    The language stage only moves adapters in the upper layers: the backward pass is the dearest
    part of it. The packaged adapters were trained in five runs, 1,265 steps in all, as the recipe
    was changed.
    """
    return Preset(
        model=ModelConfig(language=LanguageConfig(lora_layers=12)),
        train=TrainConfig(
            tune_inputs=False,
            encoder=StageConfig(steps=1935, learning_rate=1.5e-3, save_every=250),
            language=StageConfig(
                steps=900,
                batch_size=8,
                learning_rate=5e-4,
                save_every=20,
                weight_decay=0.0,
            ),
            decoder=StageConfig(steps=1500, batch_size=64, learning_rate=3e-3),
        ),
    )


def readout() -> Preset:
    """``base`` without language and generation: what annotation needs, and another seed's model."""
    return _with_train(base(), language=StageConfig(steps=0), decoder=StageConfig(steps=0))


def quick() -> Preset:
    """``readout`` in a quarter of the steps, for comparisons between recipes."""
    stage = replace(base().train.encoder, steps=450)
    return _with_train(readout(), encoder=stage, wide_iterations=60)


def full() -> Preset:
    """``base`` with adapters everywhere, longer stages and one joint stage, for a GPU."""
    preset = _with_train(
        base(),
        tune_inputs=True,
        joint=True,
        encoder=StageConfig(steps=20_000, batch_size=256),
        language=StageConfig(steps=6_000, batch_size=32, learning_rate=3e-4, weight_decay=0.0),
        decoder=StageConfig(steps=20_000, batch_size=128),
    )
    return _with_language(preset, lora_layers=0, lora_rank=16, lora_alpha=32)


def _with_train(preset: Preset, **changes: Any) -> Preset:
    return replace(preset, train=replace(preset.train, **changes))


def _with_encoder(preset: Preset, **changes: Any) -> Preset:
    encoder = replace(preset.model.encoder, **changes)
    return replace(preset, model=replace(preset.model, encoder=encoder))


def _with_language(preset: Preset, **changes: Any) -> Preset:
    language = replace(preset.model.language, **changes)
    return replace(preset, model=replace(preset.model, language=language))


ENCODER_VARIANTS: Mapping[str, Callable[[Preset], Preset]] = {
    "mlp": lambda p: _with_encoder(p, reader="mlp", n_gene_tokens=0),
    "mlp-1-token": lambda p: _with_encoder(p, reader="mlp", n_gene_tokens=0, n_queries=1),
    **{
        f"queries-{n}": lambda p, n=n: _with_encoder(p, n_queries=n)  # type: ignore[misc]
        for n in (1, 2, 4, 8, 16)
    },
    "expression-only": lambda p: _with_encoder(p, n_gene_tokens=0),
    "no-gene-text": lambda p: _with_encoder(p, gene_text=False),
    "single-task": lambda p: _with_train(p, tasks=("CTA",)),
}
"""Changes to the encoder, or to what it learns, that the papers ablate."""

LANGUAGE_VARIANTS: Mapping[str, Callable[[Preset], Preset]] = {
    "scratch": lambda p: _with_language(p, pretrained=False, lora_rank=0),
    "full-weights": lambda p: _with_language(p, lora_rank=0),
    "joint": lambda p: _with_train(p, tune_inputs=True, joint=True),
    "single-task-language": lambda p: _with_train(p, tasks=("CTA",)),
    **{
        f"templates-{share}": lambda p, s=share: _with_train(p, template_share=s / 100)  # type: ignore[misc]
        for share in (0.5, 5, 50, 100)
    },
}
"""Changes to the language stage that the papers ablate."""


def _variant(change: Callable[[Preset], Preset]) -> Callable[[], Preset]:
    return lambda: change(base())


PRESETS: Mapping[str, Callable[[], Preset]] = {
    "debug": debug,
    "base": base,
    "readout": readout,
    "quick": quick,
    "full": full,
    **{name: _variant(change) for name, change in ENCODER_VARIANTS.items()},
    **{name: _variant(change) for name, change in LANGUAGE_VARIANTS.items()},
}
