"""How natural a sentence is to the base language model, which never saw a cell."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from cellwright.cellmodel.modeling.cell_language import left_pad
from cellwright.settings import Settings

FRAME = "<|im_start|>assistant\n"


class BaseFluency:
    """The base language model without adapters, as a scorer of sentences.

    Args:
        base: A causal language model of Transformers.
        tokenizer: Its tokenizer.
    """

    def __init__(self, base: Any, tokenizer: Any) -> None:
        self.base, self.tokenizer = base.eval(), tokenizer

    @classmethod
    def load(cls, settings: Settings) -> "BaseFluency":
        """The base model of the weight store."""
        from cellwright.cellmodel.modeling.language import load_base
        from cellwright.weights import WeightStore

        store = WeightStore(settings.weights_dir, offline=settings.offline)
        return cls(*load_base(store.path("smollm2")))

    @torch.inference_mode()
    def mean_log_probs(self, texts: Sequence[str], *, batch_size: int = 16) -> np.ndarray:
        """Mean log probability of a text's tokens in nats, ``(N,)``; NaN for an empty text."""
        found = np.full(len(texts), np.nan)
        start = self._ids(FRAME)
        rows = [self._ids(text) for text in texts]
        order = sorted((at for at, row in enumerate(rows) if row), key=lambda at: len(rows[at]))
        for begin in range(0, len(order), batch_size):
            some = order[begin : begin + batch_size]
            ids, mask = left_pad([start + rows[at] for at in some])
            positions = (mask.long().cumsum(dim=1) - 1).clamp_min(0)
            logits = self.base(
                input_ids=ids, attention_mask=mask.long(), position_ids=positions
            ).logits[:, :-1]
            own = logits.float().log_softmax(dim=-1).gather(-1, ids[:, 1:, None])[..., 0]
            for at, values in zip(some, own, strict=True):
                found[at] = float(values[-len(rows[at]) :].mean())
        return found

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])
