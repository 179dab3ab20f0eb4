"""Text vectors of MiniLM; the only module of the knowledge base that imports torch."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from cellwright.settings import Settings
from cellwright.weights import WeightStore

WIDTH = 384
MAX_TOKENS = 256
"""Tokens that MiniLM was trained to read; longer texts are cut."""
Progress = Callable[[int, int], None]


class TextEmbedder:
    """all-MiniLM-L6-v2: mean over tokens, unit length.

    Args:
        settings: Where the weights are kept and how many threads may run.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def embed(
        self, texts: Sequence[str], *, batch_size: int = 64, progress: Progress | None = None
    ) -> np.ndarray:
        """Return the vectors of texts.

        Args:
            texts: Texts in any order; batches are made of texts of like length.
            batch_size: Texts a batch.
            progress: Called with texts done and texts in all.

        Returns:
            Array (N, 384), float32, unit length.
        """
        import torch

        vectors = np.zeros((len(texts), WIDTH), dtype=np.float32)
        if not len(texts):
            return vectors
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        before = torch.get_num_threads()
        if self._settings.threads:
            torch.set_num_threads(self._settings.threads)
        try:
            for start in range(0, len(order), batch_size):
                rows = order[start : start + batch_size]
                vectors[rows] = self._batch([texts[row] for row in rows])
                if progress:
                    progress(start + len(rows), len(order))
        finally:
            torch.set_num_threads(before)
        return vectors

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        store = WeightStore(self._settings.weights_dir, offline=self._settings.offline)
        folder = store.path("minilm")
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
        return model, AutoTokenizer.from_pretrained(folder, local_files_only=True)

    def _batch(self, texts: list[str]) -> np.ndarray:
        import torch

        model, tokenizer = self._loaded
        tokens = tokenizer(
            texts, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
        )
        with torch.inference_mode():
            states = model(**tokens).last_hidden_state
            mask = tokens["attention_mask"].unsqueeze(-1).to(states.dtype)
            pooled: torch.Tensor = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
            unit: np.ndarray = torch.nn.functional.normalize(pooled, dim=1).float().numpy()
        return unit
