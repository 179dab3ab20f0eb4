"""From a wish for cells to the condition that they are drawn under."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse

from cellwright.cellmodel.instructions.templates import METADATA, Template, fill
from cellwright.cellmodel.labels import LabelSpace, nearest_names, tissue_groups
from cellwright.cellmodel.modeling.cell_language import CellLanguage
from cellwright.cellmodel.modeling.cell_network import CellNetwork
from cellwright.cellmodel.reference import TypeSource
from cellwright.errors import CellwrightError

CHUNK = 256
"""Cells drawn at once."""
PROMPT = Template(
    task="CPCG",
    instruction="Generate a {cell_type} from {species} {tissue}, sequenced by {sequencing_method}.",
    response="",
)


class UnknownTypeError(CellwrightError):
    """A type that the model has seen no counts of.

    Attributes:
        near: Names of types that it can generate and that are near in name or kind.
    """

    def __init__(self, wanted: str, near: Sequence[str]) -> None:
        listed = ", ".join(near) or "none"
        super().__init__(f"The model has learned no counts of {wanted!r}. Near: {listed}.")
        self.near = tuple(near)


@dataclass(frozen=True, kw_only=True)
class GeneratedCells:
    """Synthetic cells.

    Attributes:
        counts: ``(n, G)`` csr of integers.
        keys: ``(G,)`` vocabulary keys of the genes, those that the source file measured.
        condition: The text that they were drawn under.
        source: The type and file that the draw follows.
    """

    counts: sparse.csr_matrix
    keys: tuple[str, ...]
    condition: str
    source: TypeSource


def pick_source(
    sources: Sequence[TypeSource],
    labels: LabelSpace,
    cell_type: str,
    *,
    tissue: str = "",
    species: str = "",
    protocol: str = "",
) -> TypeSource:
    """The file whose cells of the type fit the wish best.

    Species must agree; then tissue, then protocol, then the number of cells decide.

    Raises:
        UnknownTypeError: No file fits.
    """
    at = labels.find(cell_type)
    fitting = [s for s in sources if not species or s.species == species]
    name = labels.records[at].name if at is not None else None
    same = [source for source in fitting if source.name == name]
    if not same:
        raise UnknownTypeError(cell_type, _near(fitting, labels, cell_type, at))
    wanted, words = tissue_groups(tissue), set(protocol.casefold().split())

    def fit(source: TypeSource) -> tuple[bool, int, int]:
        shared = words & set(source.protocol.casefold().split())
        return bool(wanted & tissue_groups(source.tissue)), len(shared), source.n_cells

    return max(same, key=fit)


@torch.inference_mode()
def wish_state(language: CellLanguage, prompt: str) -> tuple[torch.Tensor, str]:
    """The language model's state at the signal token for a wish, ``(H,)``, and what it said.

    Where it gives no signal, the signal token is put after the prompt.
    """
    spoken = language.speak([prompt], None)[0]
    if spoken.signal is not None:
        return spoken.signal, spoken.text
    return language.signal_states([(prompt, "")])[0], ""


@torch.inference_mode()
def draw_counts(
    network: CellNetwork, signals: torch.Tensor, measured: np.ndarray, *, seed: int
) -> sparse.csr_matrix:
    """Draw a cell for each state at the signal token.

    Args:
        network: Its decoder draws.
        signals: ``(B, H)`` states.
        measured: ``(V,)`` bool, genes to draw, G of them.
        seed: Seed of the draw.

    Returns:
        ``(B, G)`` csr of integers.
    """
    generator = torch.Generator().manual_seed(seed)
    genes = torch.from_numpy(measured)
    chunks = [
        network.decoder.sample(signals[start : start + CHUNK], genes, generator).numpy()
        for start in range(0, len(signals), CHUNK)
    ]
    drawn = [sparse.csr_matrix(chunk[:, measured].astype(np.int32)) for chunk in chunks]
    return sparse.csr_matrix(sparse.vstack(drawn))


def generation_prompt(source: TypeSource) -> str:
    """The prompt that asks for cells of a source."""
    return fill(PROMPT, source_slots(source)).prompt


def source_slots(source: TypeSource) -> dict[str, str]:
    """Values of the slots that a source fills."""
    values = (source.species, source.tissue, source.protocol)
    return {"cell_type": source.name, **dict(zip(METADATA, values, strict=True))}


def _near(
    sources: Sequence[TypeSource], labels: LabelSpace, wanted: str, at: int | None
) -> list[str]:
    allowed = sorted({found for s in sources if (found := labels.find(s.name)) is not None})
    if at is not None:
        kin = [labels.records[other].name for other in allowed if labels.related[at, other]]
        if kin:
            return kin
    return nearest_names(labels, wanted, allowed=allowed)
