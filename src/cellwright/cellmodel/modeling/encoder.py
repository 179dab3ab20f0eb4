"""The cell encoder: expression tokens and gene-text tokens, read by learned queries."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from cellwright.cellmodel.config import EncoderConfig
from cellwright.cellmodel.modeling.gene_vectors import INPUT_NORM, GeneVectors, unit_product

HIDDEN = -1e4
"""Attention score that is added to padding."""


class CellInput(NamedTuple):
    """Cells as tensors.

    Attributes:
        expression: ``(B, V)`` log1p counts per 10,000.
        genes: ``(B, N)`` positions of the cell's most expressed genes; padding is 0.
        levels: ``(B, N)`` their expression; padding is 0.
    """

    expression: Tensor
    genes: Tensor
    levels: Tensor


class ExpressionTokens(nn.Module):
    """Fold a whole profile into ``T`` tokens: sum of gene vectors by expression, then an MLP."""

    def __init__(self, config: EncoderConfig, gene_width: int) -> None:
        super().__init__()
        self.shape = (config.n_expression_tokens, config.width)
        hidden = 2 * config.width
        self.norm = nn.LayerNorm(gene_width)
        self.into = nn.Linear(2 * gene_width, hidden)
        self.mix = nn.Sequential(
            nn.LayerNorm(hidden), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, hidden)
        )
        self.out = nn.Linear(hidden, config.n_expression_tokens * config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, expression_BV: Tensor, vectors_VE: Tensor) -> Tensor:
        """Tokens ``(B, T, D)``."""
        summed_BE = unit_product(expression_BV, vectors_VE) / INPUT_NORM
        hidden = self.dropout(
            functional.gelu(self.into(torch.cat([summed_BE, self.norm(summed_BE)], 1)))
        )
        hidden = hidden + self.dropout(self.mix(hidden))
        return self.out(hidden).view(-1, *self.shape)


class GeneTokens(nn.Module):
    """Key and value of each gene, modulated by its level in the cell.

    All heads share them (multi-query attention, arXiv 1911.02150): what is fetched for each gene of
    each cell is what this encoder spends most of its time on. Before they are modulated they
    depend on the gene alone, so at inference they are computed once for the vocabulary.
    """

    def __init__(self, config: EncoderConfig, gene_width: int) -> None:
        super().__init__()
        width = config.width // config.n_heads
        self.project = nn.Linear(gene_width, 2 * width)
        self.level_key = nn.Linear(1, width, bias=False)
        self.level_gate = nn.Linear(1, width)
        self.level_value = nn.Linear(1, width, bias=False)
        self._table: Tensor | None = None

    def forward(self, cells: CellInput, vectors: GeneVectors) -> tuple[Tensor, Tensor]:
        """Keys and values, each ``(B, N, D / heads)``."""
        if self.training:
            genes, where = torch.unique(cells.genes, return_inverse=True)
            pair = functional.embedding(where, self.project(vectors.rows(genes)))
        else:
            if self._table is None:
                self._table = self.project(vectors())
            pair = functional.embedding(cells.genes, self._table)
        key, value = pair.chunk(2, dim=-1)
        level = cells.levels.unsqueeze(-1)
        key = torch.addcmul(key, level, self.level_key.weight[:, 0])
        gate = torch.addcmul(self.level_gate.bias, level, self.level_gate.weight[:, 0]).sigmoid_()
        return key, torch.addcmul(level * self.level_value.weight[:, 0], value, gate)

    def train(self, mode: bool = True) -> "GeneTokens":  # noqa: FBT001, FBT002 - torch's signature
        """Switch mode; the table is made anew when next needed."""
        self._table = None
        return super().train(mode)


class QueryLayer(nn.Module):
    """Self-attention among queries, cross-attention to the cell's tokens, feed-forward."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.n_heads
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.self_in, self.self_out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.cross_query, self.cross_out = nn.Linear(width, width), nn.Linear(width, width)
        self.feed = nn.Sequential(
            nn.Linear(width, 2 * width),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(2 * width, width),
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, query_BQD: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
        """New queries ``(B, Q, D)``.

        Args:
            query_BQD: Queries; the learned ones, before any cell has been read, are ``(1, Q, D)``.
            key: ``(B, N, D / heads)``, shared by the heads.
            value: ``(B, N, D / heads)``.
            bias: ``(B, 1, N)``, 0 at real tokens and very negative at padding.
        """
        query, own_key, own_value = (
            self._heads(part) for part in self.self_in(self.norms[0](query_BQD)).chunk(3, dim=-1)
        )
        mixed = functional.scaled_dot_product_attention(query, own_key, own_value)
        query_BQD = query_BQD + self.dropout(self.self_out(mixed.transpose(1, 2).flatten(2)))
        cross = self._cross(self.cross_query(self.norms[1](query_BQD)), key, value, bias)
        query_BQD = query_BQD + self.dropout(self.cross_out(cross))
        return query_BQD + self.dropout(self.feed(self.norms[2](query_BQD)))

    def _cross(self, query_BQD: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
        size, (length, width) = len(key), query_BQD.shape[1:]
        rows = query_BQD.reshape(len(query_BQD), 1, length * self.heads, width // self.heads)
        mixed = functional.scaled_dot_product_attention(
            rows.expand(size, -1, -1, -1), key[:, None], value[:, None], attn_mask=bias[:, None]
        )
        return mixed.reshape(size, length, width)

    def _heads(self, tokens: Tensor) -> Tensor:
        size, length, width = tokens.shape
        return tokens.view(size, length, self.heads, width // self.heads).transpose(1, 2)


class CellEncoder(nn.Module):
    """Cells to queries, ``(B, Q, D)``."""

    def __init__(self, config: EncoderConfig, gene_width: int) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.expression_tokens = ExpressionTokens(config, gene_width)
        self.expression_pair = nn.Linear(width, 2 * (width // config.n_heads))
        self.gene_tokens = GeneTokens(config, gene_width) if config.n_gene_tokens else None
        if config.reader == "mlp":
            self.fold = nn.Linear(config.n_expression_tokens * width, config.n_queries * width)
        else:
            self.queries = nn.Parameter(torch.randn(config.n_queries, width) * 0.02)
            self.layers = nn.ModuleList(QueryLayer(config) for _ in range(config.n_layers))
        self.final_norm = nn.LayerNorm(width)

    def forward(self, cells: CellInput, vectors: GeneVectors) -> Tensor:
        """Read cells with the queries."""
        tokens_BTD = self.expression_tokens(cells.expression, vectors())
        if self.config.reader == "mlp":
            folded = self.fold(tokens_BTD.flatten(1))
            return self.final_norm(folded.view(-1, self.config.n_queries, self.config.width))
        key, value = self.expression_pair(tokens_BTD).chunk(2, dim=-1)
        bias = key.new_zeros(len(key), 1, key.shape[1])
        if self.gene_tokens is not None:
            gene_key, gene_value = self.gene_tokens(cells, vectors)
            key, value = torch.cat([key, gene_key], 1), torch.cat([value, gene_value], 1)
            padding = (cells.levels <= 0).unsqueeze(1) * HIDDEN
            bias = torch.cat([bias, padding], dim=2)
        query_BQD = self.queries.unsqueeze(0)
        for layer in self.layers:
            query_BQD = layer(query_BQD, key, value, bias)
        return self.final_norm(query_BQD)
