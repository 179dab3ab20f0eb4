"""A model that has forgotten: the same architecture with its learned weights shuffled.

An explanation that stays as it was when the weights are gone explains the input and not the model
(Adebayo et al. 2018, arXiv 1810.03292, the model parameter randomisation test).
"""

import copy
import dataclasses
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from cellwright.cellmodel.inference import CellModel

Part = Literal["readout", "encoder", "genes"]
CASCADE: tuple[tuple[Part, ...], ...] = (
    ("readout",),
    ("readout", "encoder"),
    ("readout", "encoder", "genes"),
)
"""From the output down to the input; the last forgets everything that was learned."""

_LEARNED_BUFFERS = ("wide",)
"""Buffers that were fitted and not given: the linear term of the ReadOut."""


def randomised(model: CellModel, *, parts: Sequence[Part], seed: int) -> CellModel:
    """The model with the entries of each learned tensor of some parts in random order.

    Shuffling keeps each tensor's distribution of weights and loses what they say. What was given
    and not learned (text vectors, mean levels of genes) stays.

    Args:
        model: The model; it is left as it is.
        parts: Parts of the network that forget.
        seed: Seed of the shuffles.
    """
    network = copy.deepcopy(model.network)
    generator = torch.Generator().manual_seed(seed)
    for part in parts:
        module: nn.Module = getattr(network, part)
        for _name, tensor in _learned(module):
            order = torch.randperm(tensor.numel(), generator=generator)
            tensor.copy_(tensor.flatten()[order].view_as(tensor))
    # Switching modes drops tables that were computed from the old weights.
    network.train()
    checkpoint = dataclasses.replace(model.checkpoint, network=network.eval())
    return CellModel(checkpoint, model.settings, model._embed)


def _learned(module: nn.Module) -> list[tuple[str, Tensor]]:
    found: list[tuple[str, Tensor]] = [(name, one.data) for name, one in module.named_parameters()]
    for name, one in module.named_buffers():
        if name.rpartition(".")[2].startswith(_LEARNED_BUFFERS):
            found.append((name, one))
    return found
