"""What the cell model knows, read from its checkpoint's small files without loading it."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cellwright.cellmodel.labels import LabelSpace
    from cellwright.settings import Settings


def checkpoint_folder(settings: Settings) -> Path:
    """Folder of the checkpoint that the settings name, else of the packaged one."""
    packaged = Path(str(resources.files("cellwright.cellmodel"))) / "checkpoints" / "base"
    return settings.checkpoint or packaged


def gene_keys(settings: Settings) -> frozenset[str]:
    """Gene keys of the model; empty when there is no checkpoint."""
    return _keys(checkpoint_folder(settings))


def label_space(settings: Settings) -> LabelSpace | None:
    """Labels of the model; None when there is no checkpoint."""
    return _labels(checkpoint_folder(settings))


def card(settings: Settings) -> dict[str, Any]:
    """What the model was trained on; empty when there is no checkpoint."""
    return dict(_card(checkpoint_folder(settings)))


@lru_cache(maxsize=4)
def _keys(folder: Path) -> frozenset[str]:
    from cellwright.cellmodel.vocabulary import GeneVocabulary

    file = folder / "vocabulary.json"
    return frozenset(GeneVocabulary.load(file).keys) if file.is_file() else frozenset()


@lru_cache(maxsize=4)
def _labels(folder: Path) -> LabelSpace | None:
    from cellwright.cellmodel.labels import LabelSpace

    file = folder / "labels.json"
    return LabelSpace.load(file) if file.is_file() else None


@lru_cache(maxsize=4)
def _card(folder: Path) -> dict[str, Any]:
    file = folder / "card.json"
    found: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    return found
