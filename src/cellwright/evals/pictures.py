"""Figures of suites: PNG files beside the results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 90


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, Any]:
    """A figure and its ``(rows, columns)`` array of axes, drawn without a display."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def save(figure: Figure, folder: Path, name: str) -> Path:
    """Write ``NAME.png``; equal figures are equal files."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    figure.savefig(path, dpi=DPI, facecolor="white", metadata={"Software": None})
    return path


def scatter(
    axes: Any, points: np.ndarray, labels: Sequence[str], palette: Mapping[str, Any], title: str
) -> None:
    """Points ``(B, 2)`` coloured by label, without ticks."""
    colours = [palette[label] for label in labels]
    axes.scatter(*points.T, c=colours, s=6, linewidths=0)
    axes.set(title=title, xticks=[], yticks=[])


def confusion(axes: Any, truth: Sequence[str], guess: Sequence[str], title: str) -> None:
    """Share of each true label that was given each label, rows summing to 1."""
    labels = sorted(set(truth) | set(guess))
    place = {label: at for at, label in enumerate(labels)}
    counts = np.zeros((len(labels), len(labels)))
    for true, said in zip(truth, guess, strict=True):
        counts[place[true], place[said]] += 1
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, vmin=0, vmax=1, cmap="BuPu", aspect="auto")
    axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize=6)
    axes.set_yticks(range(len(labels)), labels, fontsize=6)
    axes.set(title=title, xlabel="predicted", ylabel="true")
