"""What a cell model is made of and how it is trained: frozen records, saved beside the weights."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from cellwright.errors import CellwrightError

FORMAT_VERSION = 3
"""Version of the checkpoint layout; a checkpoint of another version is not loaded."""


class CheckpointError(CellwrightError):
    """A checkpoint is missing, damaged, or of another format version."""


@dataclass(frozen=True, kw_only=True)
class GeneConfig:
    """How a gene is represented.

    Attributes:
        text_width: Principal components kept of the text vector of a gene's name.
        residual_width: Width of the learned part of a gene vector.
    """

    text_width: int = 96
    residual_width: int = 96

    @property
    def width(self) -> int:
        """Width of a whole gene vector."""
        return self.text_width + self.residual_width


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """The cell encoder.

    Attributes:
        width: Width of tokens and queries.
        n_expression_tokens: Tokens that the expression profile is folded into.
        n_gene_tokens: Genes of a cell that become a token each; 0 switches them off.
        n_queries: Learned queries.
        n_layers: Layers of self- and cross-attention.
        n_heads: Attention heads.
        dropout: Dropout rate.
        reader: ``qformer``, or ``mlp`` for the ablation without attention.
        gene_text: Whether gene vectors hold what is written of genes; without, that part is noise.
    """

    width: int = 192
    n_expression_tokens: int = 6
    n_gene_tokens: int = 256
    n_queries: int = 8
    n_layers: int = 2
    n_heads: int = 4
    dropout: float = 0.1
    reader: Literal["qformer", "mlp"] = "qformer"
    gene_text: bool = True


@dataclass(frozen=True, kw_only=True)
class ReadOutConfig:
    """The label scorer.

    Attributes:
        width: Width of the space in which cells and labels meet.
        text_width: Width of a label's text vector.
    """

    width: int = 192
    text_width: int = 384


@dataclass(frozen=True, kw_only=True)
class LanguageConfig:
    """How a cell enters the language model.

    Attributes:
        base: Name of the base weights in the weight store.
        hidden: Width of the base model.
        lora_rank: Rank of the adapters; 0 trains the base model's own weights instead.
        lora_alpha: Scale of the adapters.
        lora_targets: Linear layers that get an adapter.
        lora_layers: Adapters go into this many last layers; 0 for all.
        layers: Only the first layers of the base model are used; 0 for all.
        pretrained: Whether the base model keeps its weights; without, they are drawn anew.
    """

    base: Literal["smollm2"] = "smollm2"
    hidden: int = 576
    lora_rank: int = 8
    lora_alpha: int = 16
    lora_targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj")
    lora_layers: int = 0
    layers: int = 0
    pretrained: bool = True


@dataclass(frozen=True, kw_only=True)
class DecoderConfig:
    """The count decoder.

    Attributes:
        latent: Width of the latent variable.
        hidden: Width of the posterior's hidden layer, which only training needs.
        genes: Genes of a file that the latent moves, the best expressed.
        kl_weight: Weight of the latent's KL divergence.
    """

    latent: int = 16
    hidden: int = 64
    genes: int = 4000
    kl_weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A whole cell model."""

    genes: GeneConfig = field(default_factory=GeneConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    readout: ReadOutConfig = field(default_factory=ReadOutConfig)
    language: LanguageConfig = field(default_factory=LanguageConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)


@dataclass(frozen=True, kw_only=True)
class StageConfig:
    """One stage of training.

    Attributes:
        steps: Optimiser steps; 0 leaves the stage out.
        batch_size: Cells (or prompts) a step.
        learning_rate: Peak of the one-cycle schedule.
        weight_decay: Of AdamW.
        warmup: Share of the steps in which the learning rate rises.
        clip: Largest norm of the gradient.
        save_every: Steps between saved training states.
        max_seconds: Wall clock after which the stage ends early; 0 for none.
    """

    steps: int
    batch_size: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup: float = 0.1
    clip: float = 1.0
    save_every: int = 200
    max_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A training recipe.

    Attributes:
        encoder: Stage 1, encoder and ReadOut.
        language: Stage 2, projector and adapters.
        decoder: Stage 3, condition head and count decoder.
        wide_iterations: Iterations of the solver of the linear term.
        wide_l2: Its L2 penalty.
        gene_drop: Share of genes hidden at random in a training cell.
        panel_rate: Share of training cells seen through another data set's gene panel.
        tune_inputs: Whether the language stage moves the projector and the added tokens' inputs
            too. Without it the backward pass stops at the lowest adapter.
        joint: Whether encoder and ReadOut learn in the language stage too, on the sum of losses.
            They are then calibrated anew after it, and not refitted before.
        precision: Of the language stage's forward pass; ``auto`` takes bf16 where the hardware is
            fast at it.
        answers_tested: Test cells that the language model is asked about, in each mode.
        baseline: Whether a logistic regression stands beside the model on its card.
        tasks: What is learned: ``CTA`` cell types, ``DSP`` drug response, ``CPCG`` generation.
        template_share: Share of the training templates that the language stage sees.
        seed: Seed of every draw.
        threads: CPU threads; 0 leaves torch's own choice.
    """

    encoder: StageConfig
    language: StageConfig
    decoder: StageConfig
    wide_iterations: int = 100
    wide_l2: float = 1.0
    gene_drop: float = 0.2
    panel_rate: float = 0.3
    answers_tested: int = 48
    baseline: bool = True
    tasks: tuple[Literal["CTA", "DSP", "CPCG"], ...] = ("CTA", "DSP", "CPCG")
    template_share: float = 1.0
    tune_inputs: bool = True
    joint: bool = False
    precision: Literal["auto", "bf16", "no"] = "auto"
    seed: int = 0
    threads: int = 0


_PARTS: Mapping[str, type] = {
    "genes": GeneConfig,
    "encoder": EncoderConfig,
    "readout": ReadOutConfig,
    "language": LanguageConfig,
    "decoder": DecoderConfig,
}


def dump_config(config: ModelConfig) -> str:
    """The configuration as JSON, with the format version."""
    return json.dumps({"format": FORMAT_VERSION, **dataclasses.asdict(config)}, indent=1)


def parse_config(text: str) -> ModelConfig:
    """Read ``dump_config``'s text.

    Raises:
        CheckpointError: Another format version, or fields that this version does not know.
    """
    values: dict[str, Any] = json.loads(text)
    found = values.pop("format", None)
    if found != FORMAT_VERSION:
        msg = (
            f"Checkpoint format {found!r}; this version of cellwright reads {FORMAT_VERSION}. "
            "Export it again from its training state (`cellwright train --stage decoder --state "
            "STATE`), or take the packaged one."
        )
        raise CheckpointError(msg)
    try:
        parts = {}
        for name, part in values.items():
            fields = {k: tuple(v) if isinstance(v, list) else v for k, v in part.items()}
            parts[name] = _PARTS[name](**fields)
        return ModelConfig(**parts)
    except (KeyError, TypeError) as error:
        msg = f"Checkpoint configuration has something unknown: {error}."
        raise CheckpointError(msg) from error
