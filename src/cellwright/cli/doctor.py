"""``cellwright doctor``: whether this installation can do its work, and what to do where not."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cellwright.cli.console import print_json, stdout
from cellwright.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cellwright.settings import Settings

EXTRAS = {
    "mcp": "mcp",
    "page": "starlette",
    "openai": "langchain_openai",
    "anthropic": "langchain_anthropic",
    "ollama": "langchain_ollama",
    "bench": "celltypist",
}
"""Extras of the package, and a module by which each is known."""

MIN_FREE_GB = 2
PACKAGED = {
    "cell model": "cellmodel/checkpoints/base/model.safetensors",
    "planner": "agent/weights/planner/adapter_model.safetensors",
    "knowledge tables": "knowledge/tables/genes_human.parquet",
    "drug transfer": "cellmodel/drug/artifact/transfer.npz",
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: What.
        state: ``ok``, ``note`` (works without) or ``broken``.
        detail: What was found.
        cure: The command or step that mends it; empty when nothing is wrong.
    """

    name: str
    state: Literal["ok", "note", "broken"]
    detail: str
    cure: str = ""


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check the installation: packages, cache, weights, packaged models, and a small run."""
    from rich.markup import escape

    from cellwright.settings import Settings

    found = list(_examine(Settings()))
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        mark = {
            "ok": "[green]ok[/green]    ",
            "note": "[dim]note[/dim]  ",
            "broken": "[red]broken[/red]",
        }
        for one in found:
            cure = f" -> {one.cure}" if one.cure else ""
            line = f"{mark[one.state]} {escape(f'{one.name}: {one.detail}{cure}')}"
            stdout().print(line, highlight=False, soft_wrap=True)
    broken = [one for one in found if one.state == "broken"]
    if broken:
        cures = "; ".join(dict.fromkeys(one.cure for one in broken))
        msg = f"Not ready: {', '.join(one.name for one in broken)}. {cures}."
        raise WeightsError(msg)


def _examine(settings: Settings) -> Iterator[Finding]:
    import os
    import platform

    from cellwright.agent.document import installed_versions

    yield Finding(name="python", state="ok", detail=platform.python_version())
    cores = settings.threads or os.cpu_count() or 1
    yield Finding(name="machine", state="ok", detail=f"{platform.machine()}, {cores} threads")
    for name, version in installed_versions().items():
        yield Finding(name=name, state="ok", detail=version)
    yield from _extras()
    yield _cache(settings)
    weights = [*_packaged(), *_weights(settings)]
    yield from weights
    if all(one.state == "ok" for one in weights):
        yield _small_run(settings)


def _extras() -> Iterator[Finding]:
    from importlib.util import find_spec

    for extra, module in EXTRAS.items():
        if find_spec(module):
            yield Finding(name=f"[{extra}]", state="ok", detail="installed")
        else:
            cure = f"pip install 'cellwright[{extra}]' if you want it"
            yield Finding(name=f"[{extra}]", state="note", detail="not installed", cure=cure)


def _cache(settings: Settings) -> Finding:
    import shutil
    import tempfile

    folder, cure = settings.cache_dir, "set CELLWRIGHT_CACHE_DIR to a folder you can write to"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free / 1e9
    except OSError as error:
        detail = f"{folder} cannot be written to ({error.strerror})"
        return Finding(name="cache", state="broken", detail=detail, cure=cure)
    if free < MIN_FREE_GB:
        detail = f"{folder} has {free:.1f} GB left, {MIN_FREE_GB} are wanted"
        return Finding(name="cache", state="note", detail=detail, cure=cure)
    return Finding(name="cache", state="ok", detail=f"{folder}, {free:,.0f} GB free")


def _packaged() -> Iterator[Finding]:
    from importlib import resources

    package = resources.files("cellwright")
    for name, path in PACKAGED.items():
        if package.joinpath(path).is_file():
            yield Finding(name=name, state="ok", detail="packaged")
        else:
            cure = "install the package again: it is not whole"
            yield Finding(name=name, state="broken", detail="missing", cure=cure)


def _weights(settings: Settings) -> Iterator[Finding]:
    from cellwright.weights import SOURCES, WeightStore

    store = WeightStore(settings.weights_dir, offline=True)
    for name in SOURCES:
        status = store.verify(name)
        if status.present and not status.damage:
            yield Finding(name=status.title, state="ok", detail=f"{status.size / 1e6:,.0f} MB")
            continue
        detail = "damaged" if status.present else "absent"
        cure = "'cellwright models pull' fetches base weights"
        yield Finding(name=status.title, state="broken", detail=detail, cure=cure)


def _small_run(settings: Settings) -> Finding:
    """Load the cell model and name a made-up cell: what every later command relies on."""
    import time

    import numpy as np

    from cellwright.artifacts import DirectoryStore
    from cellwright.cellmodel.data.block import make_block
    from cellwright.tools.workbench import Workbench

    started = time.monotonic()
    bench = Workbench(DirectoryStore(settings.cache_dir / "artifacts"), settings)
    try:
        genes = ("MS4A1", "CD79A", "CD79B", "CD74", "CD19")
        keys = bench.knowledge.genes.keys(list(genes), "human")
        model = bench.cell_model
        block = make_block(
            np.full((1, len(genes)), 20.0, dtype=np.float32), keys, model.vocabulary, "counts"
        )
        called = model.annotate(block, species="human")
        label = str(called.candidates[int(called.probabilities[0].argmax())])
    except Exception as error:  # noqa: BLE001 - whatever goes wrong here is what is asked about
        detail = f"{type(error).__name__}: {error}"[:200]
        return Finding(
            name="small run", state="broken", detail=detail, cure="report it with this line"
        )
    seconds = time.monotonic() - started
    return Finding(
        name="small run",
        state="ok",
        detail=f"a cell of B cell genes is named {label!r} in {seconds:.1f} s",
    )
