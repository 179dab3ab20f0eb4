"""A trained model as a folder of JSON and safetensors."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from cellwright.cellmodel.config import CheckpointError, ModelConfig, dump_config, parse_config
from cellwright.cellmodel.labels import LabelSpace
from cellwright.cellmodel.modeling.cell_network import CellNetwork
from cellwright.cellmodel.vocabulary import GeneVocabulary

PACKAGED = Path(__file__).parent / "checkpoints" / "base"
VOCABULARY = "vocabulary.json"
_FILES = ("config.json", "model.safetensors", VOCABULARY, "labels.json", "card.json")
_WHOLE = 4096
"""Tensors up to this size keep fp32; larger ones are stored in fp16."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Everything a trained model is, but the base language model.

    Attributes:
        network: In evaluation mode.
        vocabulary: Its genes.
        labels: Its cell types.
        language: Adapters and added tokens; empty before the language stage.
        reference: Statistics of training cells by type; empty before the decoder stage.
        card: What it was trained on and how well it does, measured.
    """

    network: CellNetwork
    vocabulary: GeneVocabulary
    labels: LabelSpace
    language: Mapping[str, Tensor]
    reference: Mapping[str, Tensor]
    card: Mapping[str, Any]

    @property
    def config(self) -> ModelConfig:
        """The architecture."""
        return self.network.config


def save_checkpoint(checkpoint: Checkpoint, folder: Path) -> None:
    """Write a checkpoint; ``card.json`` last, so that a folder with a card is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = {
        "network": checkpoint.network.state_dict(),
        "language": checkpoint.language,
        "reference": checkpoint.reference,
    }
    tensors = {
        f"{part}.{name}": _compact(tensor)
        for part, state in parts.items()
        for name, tensor in state.items()
    }
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(dump_config(checkpoint.config), encoding="utf-8")
    checkpoint.vocabulary.save(folder / VOCABULARY)
    checkpoint.labels.save(folder / "labels.json")
    card = json.dumps(checkpoint.card, indent=1)
    (folder / "card.json").write_text(card + "\n", encoding="utf-8")


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        CheckpointError: A file is missing or damaged, or the format is another version's.
    """
    missing = [name for name in _FILES if not (folder / name).is_file()]
    if missing:
        msg = f"No cell model in {folder}: {', '.join(missing)} missing. Run `cellwright train`."
        raise CheckpointError(msg)
    config = parse_config((folder / "config.json").read_text(encoding="utf-8"))
    vocabulary = GeneVocabulary.load(folder / VOCABULARY)
    labels = LabelSpace.load(folder / "labels.json")
    try:
        tensors = load_file(folder / "model.safetensors")
    except SafetensorError as error:
        msg = f"{folder / 'model.safetensors'} cannot be read: {error}."
        raise CheckpointError(msg) from error
    network = CellNetwork(config, n_genes=len(vocabulary), n_labels=len(labels))
    try:
        network.load_state_dict(_part(tensors, "network"))
    except RuntimeError as error:
        msg = f"{folder / 'model.safetensors'} does not fit its config.json: {error}"
        raise CheckpointError(msg) from error
    return Checkpoint(
        network=network.eval().requires_grad_(requires_grad=False),
        vocabulary=vocabulary,
        labels=labels,
        language=_part(tensors, "language"),
        reference=_part(tensors, "reference"),
        card=json.loads((folder / "card.json").read_text(encoding="utf-8")),
    )


OF_LABELS = frozenset(
    {
        "spelling_LQH",
        "response_L",
        "readout.residual",
        "readout.label_text_LT",
        "readout.wide_LV",
        "readout.wide_bias_L",
        "readout.centroids_LD",
    }
)
"""Tensors of a network that have a row for each label."""


def lend_network(checkpoint: Checkpoint, state: Path, tasks: Collection[str]) -> None:
    """Put a trained network where a training run looks for what its earlier stages left.

    The run must read the data sets of these tasks that the network learned from, under the same
    seed: the weights are in the order of the labels that come of them. It keeps the network's
    genes.

    Args:
        checkpoint: The network.
        state: Folder of the training run.
        tasks: Tasks of the labels to keep: ``cell type``, ``drug response``.
    """
    lend_vocabulary(checkpoint, state)
    kept = torch.tensor([record.task in tasks for record in checkpoint.labels.records])
    tensors = {
        name: (tensor[kept] if name in OF_LABELS else tensor).detach().contiguous()
        for name, tensor in checkpoint.network.state_dict().items()
    }
    save_file(tensors, state / "network.safetensors")


def lend_vocabulary(checkpoint: Checkpoint, state: Path) -> None:
    """Let a training run read its files under a model's genes."""
    state.mkdir(parents=True, exist_ok=True)
    checkpoint.vocabulary.save(state / VOCABULARY)


def _compact(tensor: Tensor) -> Tensor:
    small = tensor.numel() <= _WHOLE or not tensor.is_floating_point()
    return tensor.detach().clone().contiguous() if small else tensor.detach().half().contiguous()


def _part(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    prefix = f"{part}."
    return {
        name.removeprefix(prefix): tensor.float() if tensor.dtype == torch.float16 else tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
