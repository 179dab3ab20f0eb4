"""The cell types a model was trained on, and how a user's words reach them."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from cellwright.cellmodel.data.registry import Task

UNKNOWN = "unknown"

_TISSUE_WORDS: Mapping[str, tuple[str, ...]] = {
    "blood": ("blood", "pbmc", "pbmcs", "immune", "leukocytes", "leukocyte", "buffy"),
    "pancreas": ("pancreas", "pancreatic", "islet", "islets"),
    "brain": (
        "brain", "cortex", "cortical", "hippocampus", "hippocampal", "telencephalon", "forebrain",
        "neural", "cerebral", "cerebrum",
    ),
    "gut": ("gut", "intestine", "intestinal", "stomach", "gastric", "colon", "bowel", "ileum"),
    "skin": ("skin", "epidermis", "epidermal", "dermis"),
    "lung": ("lung", "pulmonary", "airway"),
    "bone marrow": ("marrow", "bone"),
    "tumour": ("tumour", "tumor", "cancer", "carcinoma", "melanoma", "hnscc", "neoplasm"),
    "cell line": ("line", "lines"),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class LabelRecord:
    """A cell type of the model.

    Attributes:
        name: Its name, the model's answer.
        ontology_id: Cell Ontology id; empty where no term fits.
        species: Species of the training cells.
        tissues: Tissues of the training cells.
        n_cells: Training cells.
        aliases: Other names, as the training files write them.
        broader: Names of types of the model that include this one.
        datasets: Files that the training cells came from.
        task: What kind of label it is.
    """

    name: str
    ontology_id: str
    species: tuple[str, ...]
    tissues: tuple[str, ...]
    n_cells: int
    aliases: tuple[str, ...] = ()
    broader: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    task: Task = "cell type"


@dataclass(frozen=True)
class LabelSpace:
    """All cell types of a model, in the order of its weights."""

    records: tuple[LabelRecord, ...]

    def __len__(self) -> int:
        return len(self.records)

    @property
    def names(self) -> tuple[str, ...]:
        """Names in order."""
        return tuple(record.name for record in self.records)

    @cached_property
    def _index(self) -> dict[str, int]:
        index: dict[str, int] = {}
        for at, record in enumerate(self.records):
            for alias in (*record.aliases, record.ontology_id):
                if alias:
                    index.setdefault(_plain(alias), at)
        index.update({_plain(record.name): at for at, record in enumerate(self.records)})
        return index

    @cached_property
    def _words(self) -> tuple[list[str], ...]:
        return tuple(_plain(record.name).split() for record in self.records)

    def find(self, text: str) -> int | None:
        """Position of the type with this name, alias or ontology id; None if there is none."""
        return self._index.get(_plain(text))

    def offered(self, answers: Sequence[str]) -> np.ndarray:
        """Labels that a list of answers may mean, ``(L,)`` bool.

        A type with what is below it, a response with every drug's; all, where one answer is new.
        """
        table = np.zeros(len(self), dtype=bool)
        for answer in answers:
            found = self.members(answer)
            if not found:
                return np.ones(len(self), dtype=bool)
            table[list(found)] = True
        return table

    def members(self, text: str) -> tuple[int, ...]:
        """Positions of the types that a label includes: itself, and narrower ones.

        Narrower are those that the Cell Ontology puts below it, and those named by it with a word
        in front ("monocyte" includes "CD14-positive monocyte").
        """
        at = self.find(text)
        name = self.records[at].name if at is not None else None
        words = _plain(text).split()
        found = []
        for place, (record, own) in enumerate(zip(self.records, self._words, strict=True)):
            below = name is not None and name in record.broader
            named = words != ["cell"] and own[-len(words) :] == words
            if place == at or below or named:
                found.append(place)
        return tuple(found)

    @cached_property
    def related(self) -> np.ndarray:
        """``(L, L)`` bool: no rivals: equal, one includes the other, or labels of two tasks."""
        size = len(self.records)
        table = np.eye(size, dtype=bool)
        for at, record in enumerate(self.records):
            for other, rival in enumerate(self.records):
                same = record.ontology_id and record.ontology_id == rival.ontology_id
                if same or rival.name in record.broader or record.task != rival.task:
                    table[at, other] = table[other, at] = True
        return table

    def default_candidates(self, species: str | None, tissue: str | None) -> tuple[int, ...]:
        """Positions of the types to choose from when the user names none.

        Args:
            species: ``human`` or ``mouse``; None or anything else for both.
            tissue: Free text. If it names a tissue that the model has at least two types of, only
                those are kept.
        """
        everything = [at for at, one in enumerate(self.records) if one.task == "cell type"]
        kept = [at for at in everything if species in self.records[at].species]
        kept = kept or list(everything)
        groups = tissue_groups(tissue) if tissue else frozenset()
        local = [at for at in kept if groups & tissue_groups(*self.records[at].tissues)]
        return tuple(local if len(local) >= 2 else kept)

    def save(self, path: Path) -> None:
        """Write the records as JSON."""
        path.write_text(
            json.dumps([asdict(record) for record in self.records], indent=0), encoding="utf-8"
        )

    @classmethod
    def load(cls, path: Path) -> "LabelSpace":
        """Read what ``save`` wrote."""
        rows = json.loads(path.read_text(encoding="utf-8"))
        return cls(tuple(_record(row) for row in rows))


def _record(row: dict[str, Any]) -> LabelRecord:
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
    return LabelRecord(**values)


def tissue_groups(*tissues: str) -> frozenset[str]:
    """Groups that free-text tissues belong to; cell lines only belong to their own."""
    found: set[str] = set()
    for tissue in tissues:
        words = set(re.findall(r"[a-z]+", tissue.casefold()))
        groups = {name for name, members in _TISSUE_WORDS.items() if words & set(members)}
        found |= {"cell line"} if "cell line" in groups else groups
    return frozenset(found)


def _plain(text: str) -> str:
    words = re.sub(r"[^a-z0-9+/]+", " ", text.casefold()).split()
    singular = [word[:-1] if word.endswith("s") and len(word) > 3 else word for word in words]
    return " ".join(singular)


def nearest_names(
    space: LabelSpace, text: str, *, allowed: Sequence[int], top: int = 5
) -> list[str]:
    """Names of the allowed types that are spelled most like a text, best first."""
    from rapidfuzz import fuzz, process

    names = [space.records[at].name for at in allowed]
    matches = process.extract(text, names, scorer=fuzz.token_set_ratio, limit=top)
    return [match[0] for match in matches]
