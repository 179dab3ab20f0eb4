"""Losses of the three stages."""

import torch
from torch import Tensor
from torch.nn import functional

from cellwright.cellmodel.modeling.decoder import DecoderLoss

LIBRARY_WEIGHT = 10.0


def candidate_loss(scores_BL: Tensor, labels_B: Tensor, allowed_BL: Tensor) -> Tensor:
    """Mean cross-entropy of the true label among each cell's own candidates."""
    return functional.cross_entropy(scores_BL.masked_fill(~allowed_BL, -1e4), labels_B)


def token_loss(logits_BSV: Tensor, targets_BS: Tensor) -> Tensor:
    """Mean cross-entropy of answer tokens; targets of -100 do not count."""
    return functional.cross_entropy(logits_BSV.flatten(0, 1).float(), targets_BS.flatten())


def alignment_loss(soft_BQH: Tensor, table_CH: Tensor, targets_BQ: Tensor) -> Tensor:
    """How badly soft tokens spell the label: each should be nearest its token's embedding.

    Args:
        soft_BQH: Soft tokens of cells.
        table_CH: Embeddings of the tokens that occur in labels.
        targets_BQ: Row of ``table_CH`` for each soft token; -100 past the label's end.
    """
    scale = table_CH.norm(dim=1).mean()
    similarity = functional.normalize(soft_BQH, dim=-1) @ functional.normalize(table_CH, dim=-1).T
    spelled = functional.cross_entropy(
        10 * similarity.flatten(0, 1), targets_BQ.flatten(), ignore_index=-100
    )
    length = ((soft_BQH.norm(dim=-1) / scale - 1) ** 2).mean()
    return spelled + 0.1 * length


def elbo_loss(parts: DecoderLoss, *, kl_weight: float, step: int, warmup: int) -> Tensor:
    """Negative ELBO with the KL weight raised from 0 over the first steps."""
    ramp = min(1.0, (step + 1) / max(warmup, 1))
    total: Tensor = (
        parts.reconstruction + kl_weight * ramp * parts.kl + LIBRARY_WEIGHT * parts.library
    )
    return total


def finite(loss: Tensor) -> Tensor:
    """The loss itself.

    Raises:
        FloatingPointError: It is not finite: going on would spoil the weights.
    """
    if not torch.isfinite(loss):
        msg = f"The loss became {loss.item()}; lower the learning rate."
        raise FloatingPointError(msg)
    return loss
