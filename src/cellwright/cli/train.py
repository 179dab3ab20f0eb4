"""`cellwright train`: the cell model from files of annotated cells."""

from pathlib import Path
from typing import Annotated

import typer

from cellwright.errors import InputError
from cellwright.settings import Settings

DATA = Path("../shared/data")


def train(
    ctx: typer.Context,
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of the declared files, or a labelled file of your own; repeat."),
    ] = None,
    label_column: Annotated[str, typer.Option(help="Labels of your own files.")] = "cell_type",
    donor_column: Annotated[
        str, typer.Option(help="Donors of your own files; whole donors are then tested.")
    ] = "",
    tissue: Annotated[str, typer.Option(help="Tissue of your own files.")] = "",
    protocol: Annotated[str, typer.Option(help="Protocol of your own files.")] = "",
    preset: Annotated[
        str, typer.Option(help="base, readout (no language), quick, full, interpreter, ...")
    ] = "base",
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
    panel: Annotated[
        Path | None,
        typer.Option(help="Genes of the cells to label, one a line, where they have few."),
    ] = None,
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

    from cellwright.cellmodel.data.registry import dataset, label_table, training_sets
    from cellwright.cellmodel.interpreter.config import PRESETS as INTERPRETERS
    from cellwright.cellmodel.presets import PRESETS
    from cellwright.cellmodel.training.pipeline import STAGES, Pipeline
    from cellwright.evals.interpreting import train_interpreter
    from cellwright.evals.own_data import read_panel, register
    from cellwright.evals.task import EvalContext
    from cellwright.evals.trained import training_request
    from cellwright.knowledge import Knowledge

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if preset in INTERPRETERS:
        context = EvalContext(
            data_dir=(data or [DATA])[0], settings=Settings(threads=threads), work=state
        )
        target = train_interpreter(context, preset=preset, names=only or (), seed=seed, out=out)
        typer.echo(f"Interpreter written to {target}")
        return
    if preset not in PRESETS:
        msg = f"No preset {preset!r}. Presets: {', '.join([*PRESETS, *INTERPRETERS])}."
        raise InputError(msg)
    unknown = [name for name in stage or () if name not in STAGES]
    if unknown:
        msg = f"No stage {unknown[0]!r}. Stages: {', '.join(STAGES)}."
        raise InputError(msg)
    places = data or [DATA]
    missing = [place for place in places if not place.exists()]
    if missing:
        msg = f"No file or folder {missing[0]}."
        raise InputError(msg)
    settings = Settings()
    folders = [place for place in places if place.is_dir()]
    cards = list([dataset(name) for name in only] if only else training_sets()) if folders else []
    table = dict(label_table())
    for path in (place for place in places if place.is_file()):
        own = register(
            path,
            label_column,
            folder=state / "own",
            settings=settings,
            tissue=tissue,
            protocol=protocol,
            donor_column=donor_column,
        )
        cards.append(own.card)
        table[own.card.name] = own.rows
        for label, row in own.rows.items():
            typer.echo(f"{label}: {row.ontology_id or 'no Cell Ontology term'}", err=True)
        for label, n in own.left_out.items():
            typer.echo(f"{label}: left out, {n} cells", err=True)
    chosen = PRESETS[preset]()
    recipe = dataclasses.replace(chosen.train, seed=seed, threads=threads)
    knowledge = Knowledge.open(settings)
    request = training_request(
        settings,
        knowledge,
        name=preset,
        preset=dataclasses.replace(chosen, train=recipe),
        data=folders[0] if folders else places[0].parent,
        cards=cards,
        state=state,
    )
    genes = read_panel(panel, knowledge.genes) if panel else []
    pipeline = Pipeline(dataclasses.replace(request, table=table, panel=genes))
    pipeline.run([name for name in STAGES if not stage or name in stage])
    target = out or state / "export"
    pipeline.export(target)
    typer.echo(f"Checkpoint written to {target}")
