"""`cellwright train`: the cell model from files of annotated cells."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cellwright.errors import InputError
from cellwright.settings import Settings

if TYPE_CHECKING:
    from cellwright.knowledge import Knowledge

DATA = Path("../shared/data")
MOUSE = "mouse:"


def train(
    ctx: typer.Context,
    data: Annotated[Path, typer.Option(help="Folder of the declared .h5ad files.")] = DATA,
    preset: Annotated[str, typer.Option(help="debug, base, full, mlp, ...")] = "base",
    state: Annotated[
        Path, typer.Option(help="Where training state is kept; training goes on from it.")
    ] = Path("checkpoints/base"),
    out: Annotated[
        Path | None, typer.Option(help="Where the checkpoint goes; STATE/export when not given.")
    ] = None,
    stage: Annotated[
        list[str] | None, typer.Option(help="encoder, language, decoder, evaluate; all if none.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="Data sets; all declared if none.")] = None,
    threads: Annotated[int, typer.Option(help="CPU threads; 0 takes torch's choice.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of splits and draws.")] = 0,
) -> None:
    """Train the cell model, stage by stage; a run that was stopped goes on where it was.

    The other models that ship have commands of their own, below.
    """
    if ctx.invoked_subcommand:
        return
    import dataclasses
    import logging

    from cellwright.cellmodel.data.registry import dataset, training_sets
    from cellwright.cellmodel.presets import PRESETS
    from cellwright.cellmodel.training.pipeline import (
        STAGES,
        Pipeline,
        TrainRequest,
    )
    from cellwright.knowledge import Knowledge

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if preset not in PRESETS:
        msg = f"No preset {preset!r}. Presets: {', '.join(PRESETS)}."
        raise InputError(msg)
    unknown = [name for name in stage or () if name not in STAGES]
    if unknown:
        msg = f"No stage {unknown[0]!r}. Stages: {', '.join(STAGES)}."
        raise InputError(msg)
    if not data.is_dir():
        msg = f"No folder {data}."
        raise InputError(msg)
    settings = Settings()
    knowledge = Knowledge.open(settings)
    chosen = PRESETS[preset]()
    recipe = dataclasses.replace(chosen.train, seed=seed, threads=threads)
    pipeline = Pipeline(
        TrainRequest(
            preset_name=preset,
            preset=dataclasses.replace(chosen, train=recipe),
            data_folder=data,
            cards=[dataset(name) for name in only] if only else training_sets(),
            state_folder=state,
            keys_of=knowledge.genes.keys,
            describe_genes=lambda keys: describe_keys(knowledge, keys),
            embed=knowledge.embed,
            load_language=lambda: _load_language(settings, chosen.model.language.base),
        )
    )
    pipeline.run([name for name in STAGES if not stage or name in stage])
    target = out or state / "export"
    pipeline.export(target)
    typer.echo(f"Checkpoint written to {target}")


def describe_keys(knowledge: "Knowledge", keys: Sequence[str]) -> list[str]:
    """One line on each vocabulary key: the symbol, and the gene's full name where known."""
    found: dict[str, Any] = {}
    for species, prefix in (("human", ""), ("mouse", MOUSE)):
        own = [key for key in keys if key.startswith(MOUSE) == bool(prefix)]
        names = [key.removeprefix(prefix) for key in own]
        found |= dict(zip(own, knowledge.genes.resolve_many(names, species), strict=True))
    lines = []
    for key in keys:
        match = found[key]
        symbol = match.symbol or key.removeprefix(MOUSE)
        lines.append(f"{symbol}: {match.name}" if match.name else symbol)
    return lines


def _load_language(settings: Settings, name: Literal["smollm2"]) -> tuple[Any, Any]:
    from cellwright.cellmodel.modeling.language import load_base
    from cellwright.weights import WeightStore

    store = WeightStore(settings.weights_dir, offline=settings.offline)
    return load_base(store.path(name))
