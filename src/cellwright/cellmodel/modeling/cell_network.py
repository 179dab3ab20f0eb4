"""The whole network but the base language model: what a checkpoint stores."""

import torch
from torch import Tensor, nn

from cellwright.cellmodel.config import ModelConfig
from cellwright.cellmodel.modeling.decoder import CountDecoder
from cellwright.cellmodel.modeling.encoder import CellEncoder, CellInput
from cellwright.cellmodel.modeling.gene_vectors import GeneVectors
from cellwright.cellmodel.modeling.readout import ReadOut


class CellNetwork(nn.Module):
    """Gene vectors, encoder, ReadOut, projector into the language model, and count decoder."""

    def __init__(self, config: ModelConfig, *, n_genes: int, n_labels: int) -> None:
        super().__init__()
        self.config = config
        width = config.encoder.width
        self.genes = GeneVectors(config.genes, n_genes)
        self.encoder = CellEncoder(config.encoder, config.genes.width)
        self.readout = ReadOut(config.readout, width=width, n_genes=n_genes, n_labels=n_labels)
        self.projector = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, config.language.hidden)
        )
        self.decoder = CountDecoder(
            config.decoder,
            n_genes=n_genes,
            gene_width=config.genes.width,
            hidden=config.language.hidden,
        )

    def queries(self, cells: CellInput) -> Tensor:
        """Query outputs ``(B, Q, D)``."""
        return self.encoder(cells, self.genes)

    def soft_tokens(self, query_BQD: Tensor) -> Tensor:
        """Input embeddings of the language model that stand for the cell, ``(B, Q, H)``."""
        return self.projector(query_BQD)

    def scores(
        self, cells: CellInput, known: Tensor, text: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Wide scores, deep scores (each ``(B, L)``) and cell vectors ``(B, width)``."""
        vector = self.readout.cell_vector(self.queries(cells))
        deep = self.readout.deep(vector, self.readout.label_vectors(known, text))
        return self.readout.wide(cells.expression, known, text), deep, vector


def parameter_count(module: nn.Module) -> int:
    """Number of numbers a module holds, buffers included."""
    return sum(t.numel() for t in (*module.parameters(), *module.buffers()))


def seed_everything(seed: int) -> torch.Generator:
    """Seed torch's global generator and return one of its own."""
    torch.manual_seed(seed)
    return torch.Generator().manual_seed(seed)
