"""A trained interpreter as a folder of JSON and safetensors, without the language model."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from scipy import sparse

from cellwright.cellmodel.config import CheckpointError
from cellwright.cellmodel.data.block import CellBlock
from cellwright.cellmodel.interpreter.config import dump_config, parse_config
from cellwright.cellmodel.interpreter.model import FrozenLanguage, Interpreter, Reading
from cellwright.cellmodel.interpreter.ranked_cells import RankedCells, rank_genes
from cellwright.cellmodel.vocabulary import GeneVocabulary

_FILES = ("config.json", "model.safetensors", "vocabulary.json", "labels.json", "card.json")


@dataclass(frozen=True, kw_only=True)
class TrainedInterpreter:
    """An interpreter with what it needs to read cells.

    Attributes:
        model: The interpreter.
        vocabulary: Its genes.
        mean: ``(V,)`` mean levels of its training cells, for the ranks.
        labels: Names of its types.
        card: What it was trained on and how well it does, measured.
    """

    model: Interpreter
    vocabulary: GeneVocabulary
    mean: np.ndarray
    labels: tuple[str, ...]
    card: Mapping[str, Any]

    def rank(self, expression: sparse.csr_matrix) -> RankedCells:
        """Cells as the model reads them, from ``(B, V)`` log1p counts per 10,000."""
        config = self.model.config
        return rank_genes(expression, self.mean, config.n_genes, ranking=config.ranking)

    def annotate(self, block: CellBlock) -> tuple[np.ndarray, Reading]:
        """Labels ``(B,)`` of cells, with probabilities and ReadOut states."""
        reading = self.model.predict(self.rank(block.expression))
        return np.array(self.labels, object)[reading.probabilities.argmax(axis=1)], reading

    def save(self, folder: Path) -> None:
        """Write it; ``card.json`` last, so that a folder with a card is whole."""
        folder.mkdir(parents=True, exist_ok=True)
        state = {name: tensor.cpu().contiguous() for name, tensor in self.model.own_state().items()}
        state["vectors_VT"] = state["vectors_VT"].half()
        save_file({**state, "mean": torch.from_numpy(self.mean)}, folder / "model.safetensors")
        (folder / "config.json").write_text(dump_config(self.model.config), encoding="utf-8")
        self.vocabulary.save(folder / "vocabulary.json")
        (folder / "labels.json").write_text(json.dumps(self.labels), encoding="utf-8")
        (folder / "card.json").write_text(json.dumps(self.card, indent=1) + "\n", encoding="utf-8")


def load_interpreter(
    folder: Path, load_language: Callable[[], tuple[Any, Any]]
) -> TrainedInterpreter:
    """Read what ``save`` wrote.

    Args:
        folder: Folder of the interpreter.
        load_language: Gives the base language model and its tokenizer.

    Raises:
        CheckpointError: The folder holds no whole interpreter, or one of another version.
    """
    missing = [name for name in _FILES if not (folder / name).is_file()]
    if missing:
        msg = (
            f"No interpreter in {folder}: {', '.join(missing)} missing. "
            "Run `cellwright train --preset interpreter`."
        )
        raise CheckpointError(msg)
    config = parse_config((folder / "config.json").read_text(encoding="utf-8"))
    labels = tuple(json.loads((folder / "labels.json").read_text(encoding="utf-8")))
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    state = load_file(folder / "model.safetensors")
    mean = state.pop("mean").numpy()
    state["vectors_VT"] = state["vectors_VT"].float()
    language = None
    if config.reader != "mean":
        language = FrozenLanguage(*load_language(), config, seed=int(card["seed"]))
    blank = np.zeros(tuple(state["vectors_VT"].shape), np.float32)
    model = Interpreter(config, blank, len(labels), language)
    own = {name: tensor for name, tensor in state.items() if name in model.state_dict()}
    if set(own) != set(model.own_state()):
        lost = sorted(set(model.own_state()) ^ set(state))
        msg = f"{folder / 'model.safetensors'} does not fit its config.json: {', '.join(lost)}."
        raise CheckpointError(msg)
    model.load_state_dict(own, strict=False)
    return TrainedInterpreter(
        model=model.eval(),
        vocabulary=GeneVocabulary.load(folder / "vocabulary.json"),
        mean=mean,
        labels=labels,
        card=card,
    )
