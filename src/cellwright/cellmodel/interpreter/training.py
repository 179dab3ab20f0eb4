"""Training an interpreter: cross-entropy on the head, the language model as it was."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cellwright.cellmodel.config import StageConfig
from cellwright.cellmodel.interpreter.config import InterpreterRecipe
from cellwright.cellmodel.interpreter.model import Interpreter, make_head
from cellwright.cellmodel.interpreter.ranked_cells import RankedCells
from cellwright.cellmodel.training.trainer import Trainer

CONDITIONING_CELLS = 96
"""Training cells over which mean and spread of the ReadOut are taken."""
WARMUP, STAGE = "warmup", "interpreter"


def has_gpu() -> bool:
    """Whether there is a GPU to train on."""
    return torch.cuda.is_available()


def train(
    model: Interpreter,
    cells: RankedCells,
    labels: np.ndarray,
    recipe: InterpreterRecipe,
    *,
    folder: Path,
    seed: int,
) -> dict[str, int]:
    """Train projector, class token and head; a run that was stopped goes on where it was.

    Args:
        model: The interpreter.
        cells: Training cells.
        labels: ``(B,)`` position of each cell's type.
        recipe: Passes over the cells, batch and learning rate.
        folder: Where training state and log go.
        seed: Seed of the order of cells.

    Returns:
        Steps made, by stage.
    """
    model.to("cuda" if has_gpu() else "cpu")
    batches = _Batches(model, cells, labels, recipe.stage.batch_size, seed)
    steps = {}
    if model.language is not None and recipe.warmup_passes:
        torch.manual_seed(seed)
        head = make_head(model.config, model.width, model.n_labels)
        parts = nn.ModuleDict({"projector": model.projector, "head": head})
        config = batches.stage(recipe.stage, recipe.warmup_passes)
        step = batches.step(lambda genes, levels: head(model.pooled(genes, levels)))
        steps[WARMUP] = _run(WARMUP, config, parts, step, folder, seed)
    some = np.random.default_rng(seed).permutation(len(cells))[:CONDITIONING_CELLS]
    model.condition(cells.rows(some))
    passes = recipe.passes + (recipe.warmup_passes if model.language is None else 0)
    config = batches.stage(recipe.stage, passes)
    steps[STAGE] = _run(STAGE, config, model, batches.step(model), folder, seed)
    return steps


@dataclasses.dataclass(frozen=True)
class _Batches:
    """Training cells in a fresh order each pass, the same one whenever a run is resumed."""

    model: Interpreter
    cells: RankedCells
    labels: np.ndarray
    size: int
    seed: int

    @property
    def per_pass(self) -> int:
        return math.ceil(len(self.cells) / self.size)

    def stage(self, config: StageConfig, passes: int) -> StageConfig:
        return dataclasses.replace(config, steps=self.per_pass * passes)

    def step(
        self, scores_of: Callable[[Tensor, Tensor], Tensor]
    ) -> Callable[[int, np.random.Generator], Mapping[str, Tensor]]:
        def one(number: int, _rng: np.random.Generator) -> Mapping[str, Tensor]:
            at, place = divmod(number, self.per_pass)
            order = np.random.default_rng([self.seed, at]).permutation(len(self.cells))
            rows = order[place * self.size : (place + 1) * self.size]
            scores = scores_of(*self.model.tensors(self.cells.rows(rows)))
            truth = torch.from_numpy(self.labels[rows]).to(scores.device)
            right = (scores.argmax(dim=1) == truth).float().mean()
            return {"loss": functional.cross_entropy(scores, truth), "accuracy": right}

        return one


def _run(  # noqa: PLR0917
    name: str,
    config: StageConfig,
    module: nn.Module,
    step: Callable[[int, np.random.Generator], Mapping[str, Tensor]],
    folder: Path,
    seed: int,
) -> int:
    trainer = Trainer(name, config, module, step, folder=folder, seed=seed)
    trainer.run()
    return trainer.step
