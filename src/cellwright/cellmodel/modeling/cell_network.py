"""The whole network but the base language model: what a checkpoint stores."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from cellwright.cellmodel.config import ModelConfig
from cellwright.cellmodel.modeling.decoder import CountDecoder
from cellwright.cellmodel.modeling.encoder import CellEncoder, CellInput
from cellwright.cellmodel.modeling.gene_vectors import GeneVectors
from cellwright.cellmodel.modeling.readout import ReadOut, Shown


class Reading(NamedTuple):
    """What encoder and ReadOut make of cells.

    Attributes:
        queries: ``(B, Q, D)`` query outputs.
        scores: ``(B, L)`` calibrated scores of all known labels.
    """

    queries: Tensor
    scores: Tensor

    def rows(self, chosen: Tensor) -> "Reading":
        """The reading of some of the cells."""
        return Reading(self.queries[chosen], self.scores[chosen])


class CellNetwork(nn.Module):
    """Gene vectors, encoder, ReadOut, projector into the language model, and count decoder.

    Attributes:
        spelling_LQH: How the soft tokens spell each known label: rows of the language model's
            embedding table. Cell types are spelled by all tokens but the last, which is for drug
            responses; zero before the language stage.
        response_L: ``(L,)`` bool, labels that are drug responses.
    """

    spelling_LQH: Tensor
    response_L: Tensor

    def __init__(self, config: ModelConfig, *, n_genes: int, n_labels: int) -> None:
        super().__init__()
        self.config = config
        width = config.encoder.width
        self.genes = GeneVectors(config.genes, n_genes)
        self.encoder = CellEncoder(config.encoder, config.genes.width)
        self.readout = ReadOut(config.readout, width=width, n_genes=n_genes, n_labels=n_labels)
        last = nn.Linear(2 * width, config.language.hidden)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.projector = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), last)
        spelling = torch.zeros(n_labels, config.encoder.n_queries, config.language.hidden)
        self.register_buffer("spelling_LQH", spelling)
        self.register_buffer("response_L", torch.zeros(n_labels, dtype=torch.bool))
        self.decoder = CountDecoder(config.decoder, n_genes=n_genes, hidden=config.language.hidden)

    def queries(self, cells: CellInput) -> Tensor:
        """Query outputs ``(B, Q, D)``."""
        return self.encoder(cells, self.genes)

    def read(self, cells: CellInput) -> Reading:
        """Read cells once, for the language model to be asked about."""
        queries, readout = self.queries(cells), self.readout
        known = torch.arange(len(self.response_L))
        deep = readout.deep(readout.cell_vector(queries), readout.label_vectors(known))
        return Reading(queries, readout.combine(readout.wide(cells.expression, known), deep))

    def soft_tokens(self, reading: Reading, among_BL: Tensor | None = None) -> Tensor:
        """Input embeddings of the language model that stand for the cells, ``(B, Q, H)``.

        They are the projected queries, on top of the spelling that the ReadOut expects: what the
        classifier knows need not be learned again by passes of the language model.

        Args:
            reading: The cells.
            among_BL: True for the labels that a question offers; it bears on those of its kind,
                cell types or drug responses. None where none does.
        """
        share = torch.zeros_like(reading.scores)
        for kind in (self.response_L, ~self.response_L):
            left_out = ~kind.expand_as(share)
            if among_BL is not None:
                offered = among_BL & kind
                left_out = left_out | (~offered & offered.any(dim=1, keepdim=True))
            share += reading.scores.masked_fill(left_out, -torch.inf).softmax(dim=1).nan_to_num()
        spelled = torch.einsum("bl,lqh->bqh", share, self.spelling_LQH)
        return self.projector(reading.queries) + spelled

    def scores(
        self,
        cells: CellInput,
        known: Tensor,
        text: Tensor | None = None,
        shown: Shown | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Wide scores, deep scores (each ``(B, L)``) and cell vectors ``(B, width)``."""
        vector = self.readout.cell_vector(self.queries(cells))
        deep = self.readout.deep(vector, self.readout.label_vectors(known, text, shown))
        return self.readout.wide(cells.expression, known, text, shown), deep, vector


def parameter_count(module: nn.Module) -> int:
    """Number of numbers a module holds, buffers included."""
    return sum(t.numel() for t in (*module.parameters(), *module.buffers()))
