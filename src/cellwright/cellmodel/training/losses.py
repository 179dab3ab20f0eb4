"""Losses of the three stages."""

import torch
from torch import Tensor
from torch.nn import functional

from cellwright.cellmodel.modeling.decoder import DecoderLoss


def candidate_loss(scores_BL: Tensor, labels_B: Tensor, allowed_BL: Tensor) -> Tensor:
    """Mean cross-entropy of the true label among each cell's own candidates."""
    return functional.cross_entropy(scores_BL.masked_fill(~allowed_BL, -1e4), labels_B)


def token_loss(logits_BSV: Tensor, targets_BS: Tensor) -> Tensor:
    """Mean cross-entropy of answer tokens; targets of -100 do not count."""
    return functional.cross_entropy(logits_BSV.flatten(0, 1).float(), targets_BS.flatten())


def elbo_loss(parts: DecoderLoss, *, kl_weight: float, step: int, warmup: int) -> Tensor:
    """Negative ELBO with the KL weight raised from 0 over the first steps."""
    ramp = min(1.0, (step + 1) / max(warmup, 1))
    return parts.reconstruction + kl_weight * ramp * parts.kl


def finite(loss: Tensor) -> Tensor:
    """The loss itself.

    Raises:
        FloatingPointError: It is not finite: going on would spoil the weights.
    """
    if not torch.isfinite(loss):
        msg = f"The loss became {loss.item()}; lower the learning rate."
        raise FloatingPointError(msg)
    return loss
