"""The cell model as others use it: annotate, answer, generate."""

import logging
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from cellwright.cellmodel.checkpoint import PACKAGED, Checkpoint, load_checkpoint
from cellwright.cellmodel.config import CheckpointError
from cellwright.cellmodel.data.block import CellBlock
from cellwright.cellmodel.generation import (
    GeneratedCells,
    draw_counts,
    generation_prompt,
    pick_source,
    wish_state,
)
from cellwright.cellmodel.instructions.extraction import named_labels
from cellwright.cellmodel.instructions.templates import choices_text
from cellwright.cellmodel.labels import UNKNOWN, LabelRecord
from cellwright.cellmodel.modeling.cell_input import cell_input
from cellwright.cellmodel.modeling.readout import Shown
from cellwright.cellmodel.reference import ReferenceTable, TypeReference, TypeSource
from cellwright.cellmodel.speech import CellAnswer, say_labels
from cellwright.cellmodel.vocabulary import GeneVocabulary
from cellwright.settings import Settings

if TYPE_CHECKING:
    from cellwright.cellmodel.modeling.cell_language import CellLanguage

logger = logging.getLogger(__name__)

Embed = Callable[[Sequence[str]], np.ndarray]
Progress = Callable[[str, float | None], None]
_SCORE_DIGITS = 5
PLAUSIBLE = 0.9


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """Labels of cells.

    Attributes:
        labels: ``(B,)`` object: a candidate, or ``unknown`` outside the model's range.
        ontology_ids: ``(B,)`` object: Cell Ontology id of the label; empty where there is none.
        scores: ``(B,)`` calibrated probability of the best candidate.
        label_sets: Candidates that are probable enough to hold the truth nine times in ten. Empty
            where none is: the cell is not like most cells of any of them, or outside the model's
            range.
        plausible: The fewest candidates that hold nine tenths of the probability, best first, for
            every cell: what to back off to where the label set is not one label.
        candidates: What was chosen from.
        probabilities: ``(B, C)`` probability of each candidate.
        embedding: ``(B, D)`` unit cell vectors.
        familiarity: ``(B,)`` how near each cell is to something the model was trained on.
        in_range: ``(B,)`` bool: nearer than all but a few cells of known types are. Of response
            labels every cell that has counts is.
    """

    labels: np.ndarray
    ontology_ids: np.ndarray
    scores: np.ndarray
    label_sets: list[tuple[str, ...]]
    plausible: list[tuple[str, ...]]
    candidates: tuple[str, ...]
    probabilities: np.ndarray
    embedding: np.ndarray
    familiarity: np.ndarray
    in_range: np.ndarray


@dataclass(frozen=True)
class _Candidates:
    """Names as given, and the columns of the network's scores that each stands for.

    The network scores ``known`` types first, then new ones by their ``text``. A candidate that
    includes several known types stands for all of them. The range is that of cell types: where
    all candidates are responses, whether cells are of a trained context is for the caller to see.
    """

    names: tuple[str, ...]
    ontology_ids: tuple[str, ...]
    known: torch.Tensor
    text: torch.Tensor | None
    shown: Shown | None
    columns: tuple[tuple[int, ...], ...]
    named: bool = True
    ranged: bool = True

    def reduce(self, scores: torch.Tensor) -> torch.Tensor:
        """Scores of the candidates, ``(B, C)``, from those of the columns."""
        parts = [
            scores[:, own[0]] if len(own) == 1 else scores[:, list(own)].logsumexp(dim=1)
            for own in self.columns
        ]
        return torch.stack(parts, dim=1)


class CellModel:
    """A trained cell model.

    Args:
        checkpoint: The trained parts.
        settings: Where base weights are, and how many threads to use.
        embed: Text embedder, for labels that the model was not trained on.
    """

    def __init__(self, checkpoint: Checkpoint, settings: Settings, embed: Embed) -> None:
        self.checkpoint, self.settings, self._embed = checkpoint, settings, embed
        self.network = checkpoint.network
        self.vocabulary: GeneVocabulary = checkpoint.vocabulary
        self._usual = self.network.genes.usual_V.numpy()
        self._shown: dict[str, Shown] = {}
        self._references = ReferenceTable(
            checkpoint.card, checkpoint.reference, checkpoint.vocabulary.keys
        )

    @classmethod
    def load(cls, settings: Settings, *, embed: Embed, folder: Path | None = None) -> "CellModel":
        """Load the packaged checkpoint, or the one that the settings or ``folder`` name.

        The base language model is not loaded until an answer or a generated cell needs it.

        Raises:
            CheckpointError: The folder has no whole checkpoint of this format version.
        """
        if settings.threads:
            torch.set_num_threads(settings.threads)
        return cls(load_checkpoint(folder or settings.checkpoint or PACKAGED), settings, embed)

    @property
    def labels(self) -> tuple[LabelRecord, ...]:
        """Cell types that the model was trained on."""
        records = self.checkpoint.labels.records
        return tuple(record for record in records if record.task == "cell type")

    @property
    def card(self) -> dict[str, Any]:
        """What the model was trained on and how well it does."""
        return dict(self.checkpoint.card)

    @cached_property
    def language(self) -> "CellLanguage":
        """The language model, loaded on first use.

        Raises:
            CheckpointError: The checkpoint has had no language stage.
        """
        from cellwright.cellmodel.modeling.cell_language import CellLanguage
        from cellwright.cellmodel.modeling.language import load_base
        from cellwright.weights import WeightStore

        if not self.checkpoint.language:
            msg = "This checkpoint has no language stage; train one with `cellwright train`."
            raise CheckpointError(msg)
        config = self.network.config
        store = WeightStore(self.settings.weights_dir, offline=self.settings.offline)
        base, tokenizer = load_base(store.path(config.language.base))
        language = CellLanguage(base, tokenizer, config.language, config.encoder.n_queries)
        language.load_own_state(self.checkpoint.language)
        language.merge()
        return language.eval()

    @torch.inference_mode()
    def taught(self, name: str, block: CellBlock) -> "CellModel":
        """This model with a new label that it is shown a few cells of; the model itself stays.

        The label is where its text and the mean of the cells' vectors meet, the cells weighing more
        the more there are. It counts in ``annotate`` where it is named as a candidate.

        Args:
            name: The label.
            block: Cells of it, five or more to be of use.

        Raises:
            ValueError: The model was trained on this label, or the block is empty.
        """
        if self.checkpoint.labels.members(name):
            msg = f"The model knows {name!r} already; give the cells another name."
            raise ValueError(msg)
        if not len(block):
            msg = f"No cells of {name!r} are shown."
            raise ValueError(msg)
        cells = self._input(block)
        vectors = self.network.readout.cell_vector(self.network.queries(cells))
        example = self.network.readout.example(vectors, cells.expression, self.network.genes.mean_V)
        other = copy(self)
        other._shown = {**self._shown, name: example}
        return other

    @torch.inference_mode()
    def annotate(
        self,
        block: CellBlock,
        *,
        candidates: Sequence[str] | None = None,
        species: str | None = None,
        tissue: str | None = None,
        batch_size: int = 256,
        progress: Progress | None = None,
    ) -> Annotation:
        """Label cells.

        Args:
            block: Cells of ``make_block``.
            candidates: Labels to choose from, in any words; those the model was not trained on
                are judged by their text. None takes the model's own types.
            species: Keeps the types of a species, where no candidates are given.
            tissue: Keeps the types of a tissue, in free text, where no candidates are given.
            batch_size: Cells at once; it does not change the result.
            progress: Called with a message and the share done.
        """
        chosen = self._candidates(candidates, species, tissue)
        scores, vectors, near = [], [], []
        for start in range(0, len(block), batch_size):
            cells = self._input(block.rows(slice(start, start + batch_size)))
            wide, deep, vector = self.network.scores(cells, chosen.known, chosen.text, chosen.shown)
            scores.append(chosen.reduce(self.network.readout.combine(wide, deep)).numpy())
            vectors.append(vector.numpy())
            near.append(self.network.readout.closeness(vector).numpy())
            if progress:
                done = min(start + batch_size, len(block)) / len(block)
                progress(f"annotating {len(block):,} cells", done)
        columns = len(chosen.names)
        logits = np.concatenate([*scores, np.zeros((0, columns), np.float32)])
        width = self.network.config.readout.width
        embedding = np.concatenate([*vectors, np.zeros((0, width), np.float32)])
        closeness = np.concatenate([*near, np.zeros(0, np.float32)])
        return self._annotation(block, chosen, logits, embedding, closeness)

    def _annotation(
        self,
        block: CellBlock,
        chosen: _Candidates,
        logits: np.ndarray,
        embedding: np.ndarray,
        closeness: np.ndarray,
    ) -> Annotation:
        shares = softmax_rows(logits)
        filled = np.diff(block.expression.indptr) > 0
        edge = float(self.network.readout.range_floor) if chosen.ranged else -np.inf
        in_range = filled & (closeness >= edge)
        best = shares.argmax(axis=1) if len(shares) else np.zeros(0, dtype=int)
        names = np.array([*chosen.names, UNKNOWN], dtype=object)
        ids = np.array([*chosen.ontology_ids, ""], dtype=object)
        shown = np.where(in_range, best, len(chosen.names))
        floor = float(self.network.readout.set_floors[0 if chosen.named else 1])
        return Annotation(
            labels=names[shown],
            ontology_ids=ids[shown],
            scores=shares.max(axis=1, initial=0.0),
            label_sets=[
                tuple(chosen.names[at] for at in np.flatnonzero(row >= floor)) if inside else ()
                for row, inside in zip(shares, in_range, strict=True)
            ],
            plausible=[
                tuple(chosen.names[at] for at in found)
                for found in smallest_sets(shares, PLAUSIBLE)
            ],
            candidates=chosen.names,
            probabilities=shares,
            embedding=embedding,
            familiarity=closeness,
            in_range=in_range,
        )

    @torch.inference_mode()
    def answer(
        self,
        block: CellBlock,
        prompt: str,
        *,
        mode: Literal["instruct", "chat"] = "instruct",
        candidates: Sequence[str] | None = None,
    ) -> CellAnswer:
        """Let the language model answer a question on one cell.

        In ``instruct`` mode the answer is decoded among labels: the candidates, else the labels
        that the prompt names as options, else all that the model knows. In ``chat`` mode a sentence
        that names no label is replaced by the bare label.

        Args:
            block: One cell.
            prompt: The question; ``{input}`` stands for the cell and is added where missing.
            mode: ``instruct`` asks for the bare label, ``chat`` for a sentence.
            candidates: Labels to name in the prompt as options and to look for in the answer.

        Raises:
            ValueError: The block does not hold exactly one cell.
        """
        if len(block) != 1:
            msg = f"One cell is asked about at a time; the block has {len(block)}."
            raise ValueError(msg)
        return self.answers(block, prompt, mode=mode, candidates=candidates)[0]

    @torch.inference_mode()
    def answers(
        self,
        block: CellBlock,
        prompt: str,
        *,
        mode: Literal["instruct", "chat"] = "instruct",
        candidates: Sequence[str] | None = None,
        batch_size: int = 64,
    ) -> list[CellAnswer]:
        """Ask the language model the same question on every cell of a block, as ``answer`` does."""
        text = prompt if "{input}" in prompt else f"{prompt} {{input}}"
        if candidates:
            options = choices_text(list(candidates), np.random.default_rng(self.settings.seed))
            text += f" Choose from {options}."
        labels = list(candidates or [record.name for record in self.labels])
        among = (candidates or named_labels(prompt, labels)) if mode == "instruct" else ()
        offered = torch.from_numpy(self.checkpoint.labels.offered(among or labels))
        found: list[CellAnswer] = []
        for start in range(0, len(block), batch_size):
            part = self._input(block.rows(slice(start, start + batch_size)))
            reading = self.network.read(part)
            soft = self.network.soft_tokens(reading, offered.expand(len(reading.scores), -1))
            prompts, own = [text] * len(soft), [tuple(labels)] * len(soft)
            found += say_labels(self.language, prompts, soft, own, mode, among=among)
        return found

    @torch.inference_mode()
    def generate(
        self,
        cell_type: str,
        *,
        tissue: str = "",
        species: str = "",
        protocol: str | None = None,
        n: int,
        seed: int = 0,
    ) -> GeneratedCells:
        """Draw synthetic cells of a type that the model has seen counts of.

        Args:
            cell_type: The type, by name, alias or ontology id.
            tissue: Tissue in free text.
            species: ``human`` or ``mouse``; empty for either.
            protocol: Protocol in free text.
            n: Cells to draw.
            seed: Seed of the draw.

        Raises:
            UnknownTypeError: No training file had counts of the type (in that species); the
                error lists the types that are near.
        """
        source = pick_source(
            self.sources,
            self.checkpoint.labels,
            cell_type,
            tissue=tissue,
            species=species,
            protocol=protocol or "",
        )
        prompt = generation_prompt(source)
        signal, text = wish_state(self.language, prompt)
        measured = self._references.measured(source)
        counts = draw_counts(self.network, signal.expand(n, -1), measured, seed=seed)
        keys = np.array(self.vocabulary.keys, dtype=object)[measured]
        return GeneratedCells(
            counts=counts,
            keys=tuple(keys),
            condition=f"{prompt} {text}".strip(),
            source=source,
        )

    def generatable(self) -> tuple[LabelRecord, ...]:
        """Types that cells can be drawn of."""
        names = {source.name for source in self._references.sources}
        return tuple(record for record in self.labels if record.name in names)

    @property
    def sources(self) -> tuple[TypeSource, ...]:
        """What cells can be drawn as: types, each as a file saw it."""
        return self._references.sources

    def reference(self, cell_type: str, *, dataset: str = "") -> TypeReference:
        """Statistics of the training cells of a type, in a file or in the one with most cells.

        Raises:
            UnknownTypeError: No training file had counts of the type.
        """
        sources = [s for s in self._references.sources if not dataset or s.dataset == dataset]
        return self._references.of(pick_source(sources, self.checkpoint.labels, cell_type))

    def _input(self, block: CellBlock) -> Any:
        return cell_input(block.expression, self._usual, self.network.config.encoder.n_gene_tokens)

    def _candidates(
        self, names: Sequence[str] | None, species: str | None, tissue: str | None
    ) -> _Candidates:
        space = self.checkpoint.labels
        if not names:
            chosen = space.default_candidates(species, tissue)
            records = [space.records[at] for at in chosen]
            return _Candidates(
                tuple(record.name for record in records),
                tuple(record.ontology_id for record in records),
                torch.tensor(chosen, dtype=torch.long),
                None,
                None,
                tuple((at,) for at in range(len(chosen))),
                named=False,
            )
        places = [space.find(name) for name in names]
        taken = {at for at in places if at is not None}
        groups = [
            tuple(at for at in space.members(name) if at == place or at not in taken)
            for name, place in zip(names, places, strict=True)
        ]
        known = sorted({at for group in groups for at in group})
        column = {at: number for number, at in enumerate(known)}
        new = [name for name, group in zip(names, groups, strict=True) if not group]
        fresh = iter(range(len(known), len(known) + len(new)))
        return _Candidates(
            tuple(names),
            tuple("" if at is None else space.records[at].ontology_id for at in places),
            torch.tensor(known, dtype=torch.long),
            torch.from_numpy(self._embed(new)) if new else None,
            self._examples(new),
            tuple(tuple(column[at] for at in group) or (next(fresh),) for group in groups),
            ranged=bool(new) or any(space.records[at].task == "cell type" for at in known),
        )

    def _examples(self, names: Sequence[str]) -> Shown | None:
        """What was shown of new labels; None where nothing was."""
        if not any(name in self._shown for name in names):
            return None
        nothing = self.network.readout.nothing_shown()
        found = [self._shown.get(name, nothing) for name in names]
        return Shown(*(torch.cat(parts) for parts in zip(*found, strict=True)))


def softmax_rows(logits: np.ndarray) -> np.ndarray:
    """Softmax over the last axis, rounded so that the size of a batch leaves no trace."""
    if not len(logits):
        return logits
    share = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.round(share / share.sum(axis=1, keepdims=True), _SCORE_DIGITS)


def smallest_sets(shares: np.ndarray, level: float) -> list[np.ndarray]:
    """Columns of each row, best first, until their mass reaches the level; never none."""
    order = np.argsort(-shares, axis=1, kind="stable")
    ranked = np.take_along_axis(shares, order, axis=1)
    before = np.cumsum(ranked, axis=1) - ranked
    sizes = np.maximum((before < level).sum(axis=1), 1)
    return [row[:size] for row, size in zip(order, sizes, strict=True)]
