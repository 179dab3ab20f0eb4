"""The interpreter: projector, frozen language model, class token, head."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from cellwright.cellmodel.interpreter.config import InterpreterConfig
from cellwright.cellmodel.interpreter.ranked_cells import RankedCells

CLASS_TEXT = " type"
"""Text whose mean embedding the class token starts from."""
SPREAD_FLOOR = 0.1
"""Least spread of a feature of the ReadOut, as a share of the median one."""


class Reading(NamedTuple):
    """What the interpreter says of cells.

    Attributes:
        probabilities: ``(B, C)``.
        states: ``(B, H)`` ReadOut: the reader's output at the class token.
    """

    probabilities: np.ndarray
    states: np.ndarray


class FrozenLanguage(nn.Module):
    """The first layers of a causal language model, never trained, with its final norm.

    The instruction stands before the cell and is the same for every cell, so under causal
    attention its keys and values are computed once for a batch.

    Args:
        causal: A Transformers causal language model. Its layers beyond ``n_layers`` are cut off.
        tokenizer: Its tokenizer.
        config: Instruction and number of layers.
        seed: Seed of the weights, where the config wants random ones.
    """

    instruction_P: Tensor

    def __init__(self, causal: Any, tokenizer: Any, config: InterpreterConfig, seed: int) -> None:
        super().__init__()
        n_layers = config.n_layers or causal.config.num_hidden_layers
        if config.reader == "random-language":
            causal = random_language(causal, n_layers, seed)
        self.model = causal.model
        self.model.layers = self.model.layers[:n_layers]
        self.model.eval().requires_grad_(requires_grad=False)
        ids = tokenizer(config.instruction, add_special_tokens=False)["input_ids"]
        self.register_buffer("instruction_P", torch.tensor(ids), persistent=False)
        table = self.model.get_input_embeddings().weight.detach().float()
        self.scale = float(table.square().mean().sqrt())
        class_ids = tokenizer(CLASS_TEXT, add_special_tokens=False)["input_ids"]
        self.class_start_H = table[class_ids].mean(dim=0)

    @property
    def width(self) -> int:
        """Width of the language model."""
        return int(self.model.config.hidden_size)

    def train(self, mode: bool = True) -> "FrozenLanguage":  # noqa: FBT001, FBT002
        """Stay in evaluation mode whatever the rest does."""
        super().train(mode)
        self.model.eval()
        return self

    def forward(self, tokens_BNH: Tensor, present_BN: Tensor, class_H: Tensor) -> Tensor:
        """Output state at the class token, ``(B, H)``.

        Args:
            tokens_BNH: Soft tokens of genes.
            present_BN: True where there is a gene; other tokens are not attended to and take no
                position.
            class_H: The class token.
        """
        size, start = len(tokens_BNH), len(self.instruction_P)
        one = torch.ones(size, 1, dtype=torch.bool, device=present_BN.device)
        own = torch.cat([present_BN, one], dim=1)
        out = self.model(
            inputs_embeds=torch.cat([tokens_BNH, class_H.expand(size, 1, -1)], dim=1),
            attention_mask=torch.cat([one.expand(size, start), own], dim=1).long(),
            position_ids=start + (own.long().cumsum(dim=1) - 1).clamp_min(0),
            past_key_values=self._instruction(size),
            use_cache=True,
        )
        return out.last_hidden_state[:, -1]

    @torch.no_grad()
    def _instruction(self, size: int) -> Any:
        """Keys and values of the instruction for a batch; None where it is empty."""
        from transformers import DynamicCache

        if not len(self.instruction_P):
            return None
        one = self.model(input_ids=self.instruction_P[None], use_cache=True).past_key_values
        cache = DynamicCache()
        for at, layer in enumerate(one.layers[: len(self.model.layers)]):
            keys, values = (t.expand(size, -1, -1, -1) for t in (layer.keys, layer.values))
            cache.update(keys, values, at)
        return cache


def random_language(causal: Any, n_layers: int, seed: int) -> Any:
    """A language model of the same shape with freshly drawn weights."""
    import copy

    config = copy.deepcopy(causal.config)
    config.num_hidden_layers = n_layers
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[:n_layers]
    torch.manual_seed(seed)
    return type(causal)(config).float().eval()


class Interpreter(nn.Module):
    """Cells of ranked genes in, scores of cell types out.

    Args:
        config: The architecture.
        vectors: ``(V, text_width)`` text vectors of the vocabulary's genes; they are centred and
            brought to unit mean square here.
        n_labels: Number of types.
        language: The frozen language model; None where the config has no language model.
        seed: Seed of the trained weights.
    """

    vectors_VT: Tensor
    centre_H: Tensor
    spread_H: Tensor

    def __init__(
        self,
        config: InterpreterConfig,
        vectors: np.ndarray,
        n_labels: int,
        language: FrozenLanguage | None,
        *,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if (language is None) != (config.reader == "mean"):
            msg = f"Reader {config.reader!r} was given {'no' if language is None else 'a'} model."
            raise ValueError(msg)
        self.config, self.language, self.n_labels = config, language, n_labels
        self.register_buffer("vectors_VT", torch.from_numpy(standardised(vectors)))
        torch.manual_seed(seed)
        self.width = config.width if language is None else language.width
        width = self.width
        self.projector = nn.Sequential(
            nn.Linear(config.text_width, config.projector_width),
            nn.GELU(),
            nn.Linear(config.projector_width, width),
            nn.LayerNorm(width),
        )
        self.level_H = nn.Parameter(torch.zeros(width)) if config.levels else None
        self.class_H = None if language is None else nn.Parameter(language.class_start_H.clone())
        self.register_buffer("centre_H", torch.zeros(width))
        self.register_buffer("spread_H", torch.ones(width))
        self.head = make_head(config, width, n_labels)

    def read(self, genes_BN: Tensor, levels_BN: Tensor) -> Tensor:
        """ReadOut of cells, ``(B, H)``; genes below 0 are padding."""
        if self.language is None or self.class_H is None:
            return self.pooled(genes_BN, levels_BN)
        tokens = self._tokens(genes_BN, levels_BN) * self.language.scale
        return self.language(tokens, genes_BN >= 0, self.class_H)

    def pooled(self, genes_BN: Tensor, levels_BN: Tensor) -> Tensor:
        """Mean of the gene tokens of cells, ``(B, H)``: what no language model has read."""
        tokens = self._tokens(genes_BN, levels_BN)
        kept = (genes_BN >= 0)[..., None].to(tokens.dtype)
        return (tokens * kept).sum(dim=1) / kept.sum(dim=1).clamp_min(1)

    def _tokens(self, genes_BN: Tensor, levels_BN: Tensor) -> Tensor:
        tokens = self.projector(self.vectors_VT[genes_BN.clamp_min(0)])
        if self.level_H is None:
            return tokens
        present = (genes_BN >= 0).to(tokens.dtype)
        n_genes = present.sum(dim=1, keepdim=True).clamp_min(1)
        mean = (levels_BN * present).sum(dim=1, keepdim=True) / n_genes
        share = (levels_BN / mean.clamp_min(1e-6))[..., None]
        return tokens * share + (share - 1) * self.level_H

    def forward(self, genes_BN: Tensor, levels_BN: Tensor) -> Tensor:
        """Scores of types, ``(B, C)``."""
        return self.scores(self.read(genes_BN, levels_BN))

    def scores(self, states_BH: Tensor) -> Tensor:
        """Scores of types of ReadOut states, ``(B, C)``."""
        return self.head((states_BH.float() - self.centre_H) / self.spread_H)

    def condition(self, cells: RankedCells) -> None:
        """Fix mean and spread of the untrained ReadOut over some training cells.

        Before training, most of a language model's state at the class token is the same for all
        cells; the head is given what differs.
        """
        states = torch.from_numpy(self.predict(cells).states).to(self.centre_H.device)
        spread = states.std(dim=0)
        self.centre_H.copy_(states.mean(dim=0))
        self.spread_H.copy_(spread.clamp_min(SPREAD_FLOOR * float(spread.median())).clamp_min(1e-6))

    def tensors(self, cells: RankedCells) -> tuple[Tensor, Tensor]:
        """Genes and levels where the model is."""
        device = self.vectors_VT.device
        return (
            torch.from_numpy(cells.genes).to(device),
            torch.from_numpy(cells.levels).to(device),
        )

    @torch.inference_mode()
    def predict(self, cells: RankedCells, *, batch_size: int = 64) -> Reading:
        """Probabilities of types and ReadOut states of cells, in evaluation mode."""
        was = self.training
        self.eval()
        shares, states = [], []
        for start in range(0, len(cells), batch_size):
            state = self.read(*self.tensors(cells.rows(slice(start, start + batch_size)))).float()
            shares.append(self.scores(state).softmax(dim=1).cpu().numpy())
            states.append(state.cpu().numpy())
        self.train(was)
        return Reading(np.concatenate(shares), np.concatenate(states))

    def own_state(self) -> dict[str, Tensor]:
        """All that was trained, and the gene vectors; not the language model."""
        return {
            name: tensor.detach()
            for name, tensor in self.state_dict().items()
            if not name.startswith("language.")
        }


def make_head(config: InterpreterConfig, width: int, n_labels: int) -> nn.Sequential:
    """From a ReadOut to scores of types."""
    return nn.Sequential(
        nn.Linear(width, config.head_width),
        nn.GELU(),
        nn.Dropout(config.dropout),
        nn.Linear(config.head_width, n_labels),
    )


def standardised(vectors: np.ndarray) -> np.ndarray:
    """Centred vectors of unit mean square, ``(V, T)`` float32."""
    centred = vectors - vectors.mean(axis=0)
    scale = float(np.sqrt(np.mean(centred**2))) or 1.0
    return np.asarray(centred / scale, dtype=np.float32)


def random_vectors(vectors: np.ndarray, *, seed: int) -> np.ndarray:
    """Vectors of random direction, each as long as the centred vector it stands for.

    They know which gene is which and nothing of what is written on it.
    """
    lengths = np.linalg.norm(vectors - vectors.mean(axis=0), axis=1, keepdims=True)
    drawn = np.random.default_rng(seed).normal(size=vectors.shape)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return np.asarray(drawn * lengths, dtype=np.float32)
