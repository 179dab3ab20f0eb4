"""What an interpreter is made of, how it is trained, and ready-made sizes."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from cellwright.cellmodel.config import CheckpointError, StageConfig

FORMAT_VERSION = 1
Reader = Literal["language", "random-language", "mean"]
Ranking = Literal["centred", "expression"]


@dataclass(frozen=True, kw_only=True)
class InterpreterConfig:
    """The architecture.

    Attributes:
        n_genes: Genes of a cell that become a token each, best ranked first.
        ranking: ``expression`` ranks genes by level, as the paper, whose lists are long;
            ``centred`` by level less the training cells' mean level, so that a short list is not
            filled with the genes that every cell expresses most.
        levels: Whether a gene's level enters its token: it is scaled by the level over the mean
            level of the cell's genes, and moved along a learned direction by the difference. The
            paper uses ranks only.
        reader: What reads the tokens: the pretrained language model, the same one with random
            weights, or no language model but the mean of the tokens.
        n_layers: Layers of the language model that are run, from the first; 0 for all.
        instruction: Text before the cell.
        text_width: Width of a gene's text vector.
        width: Width of tokens where no language model sets it.
        projector_width: Hidden width of the projector.
        head_width: Hidden width of the head.
        dropout: Dropout rate of the head.
    """

    n_genes: int = 32
    ranking: Ranking = "centred"
    levels: bool = False
    reader: Reader = "language"
    n_layers: int = 4
    instruction: str = "These genes are most active in one cell. Name its type:"
    text_width: int = 384
    width: int = 576
    projector_width: int = 512
    head_width: int = 256
    dropout: float = 0.1


@dataclass(frozen=True, kw_only=True)
class InterpreterRecipe:
    """How it is trained.

    Attributes:
        warmup_passes: Times that each training cell is seen before, by the projector and a
            throw-away head on the mean of the tokens. It costs seconds, and tokens that already
            tell types apart spare the language model, whose every step is dear, many steps.
        passes: Times that each training cell is seen with the language model. Without one, the
            passes of the warm-up are added.
        stage: Batch, learning rate and so on; its ``steps`` follow from the passes.
        per_class: Most training cells of a type; 0 takes all.
        test_per_class: Most test cells of a type; 0 takes all.
    """

    warmup_passes: int = 6
    passes: int = 3
    stage: StageConfig = field(
        default_factory=lambda: StageConfig(
            steps=0, batch_size=8, learning_rate=1e-3, save_every=20
        )
    )
    per_class: int = 12
    test_per_class: int = 10


@dataclass(frozen=True, kw_only=True)
class InterpreterPreset:
    """A model and its recipe."""

    model: InterpreterConfig
    train: InterpreterRecipe


PRESETS: Mapping[str, InterpreterPreset] = {
    # A minute a model on one CPU thread.
    "interpreter": InterpreterPreset(model=InterpreterConfig(), train=InterpreterRecipe()),
    # For a GPU: the whole language model, long lists of genes, every cell.
    "interpreter-full": InterpreterPreset(
        model=InterpreterConfig(n_genes=512, n_layers=0, projector_width=1024, head_width=512),
        train=InterpreterRecipe(
            passes=20,
            stage=StageConfig(steps=0, batch_size=32, learning_rate=5e-4, save_every=200),
            per_class=0,
            test_per_class=0,
        ),
    ),
}


def dump_config(config: InterpreterConfig) -> str:
    """The configuration as JSON, with the format version."""
    return json.dumps({"format": FORMAT_VERSION, **dataclasses.asdict(config)}, indent=1)


def parse_config(text: str) -> InterpreterConfig:
    """Read ``dump_config``'s text.

    Raises:
        CheckpointError: Another format version, or fields that this version does not know.
    """
    values: dict[str, Any] = json.loads(text)
    found = values.pop("format", None)
    if found != FORMAT_VERSION:
        msg = f"Interpreter format {found!r}; this version of cellwright reads {FORMAT_VERSION}."
        raise CheckpointError(msg)
    try:
        return InterpreterConfig(**values)
    except TypeError as error:
        msg = f"Interpreter configuration has something unknown: {error}."
        raise CheckpointError(msg) from error
