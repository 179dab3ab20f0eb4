"""``cellwright eval`` and ``cellwright train drug``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from cellwright.cli.console import print_json, stderr, stdout, working

DATA = Path("../shared/data")


def evaluate(
    suites: Annotated[
        list[str] | None,
        typer.Argument(help="annotation, generation, speed, ...; all for every suite."),
    ] = None,
    data_dir: Annotated[Path, typer.Option(help="Folder of the data files.")] = DATA,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of what is drawn at random.")] = 3,
    out: Annotated[Path, typer.Option(help="Where results go.")] = Path("benchmarks"),
    json_: Annotated[bool, typer.Option("--json", help="Print the log as JSON.")] = False,
) -> None:
    """Measure Cellwright beside its baselines, and write results.json and RESULTS.md."""
    from cellwright.evals.runner import SUITES, run_suites
    from cellwright.evals.task import EvalContext
    from cellwright.settings import Settings

    names = list(SUITES) if not suites or suites == ["all"] else suites
    console = stderr()
    context = EvalContext(
        data_dir=data_dir,
        out=out,
        seeds=seeds,
        settings=Settings(),
        say=lambda text: console.print(text, style="dim", highlight=False, markup=False),
    )
    log = run_suites(names, context, out)
    if json_:
        print_json(log.model_dump(mode="json"))
    else:
        shown = stdout()
        for name in names:
            count = sum(row.suite == name for row in log.rows)
            end = log.failed.get(name) or f"{count} rows in {log.seconds[name]:.0f} s"
            shown.print(f"{name}: {end}", highlight=False)
        shown.print(f"results in {out / 'RESULTS.md'}", highlight=False)
    if log.failed:
        raise typer.Exit(1)


def train_drug(
    gdsc: Annotated[Path, typer.Option(help="Folder of the two GDSC tables.")] = DATA / "gdsc",
    cells: Annotated[
        Path, typer.Option(help="Folder of single-cell files, for what platforms do to a gene.")
    ] = DATA,
    out: Annotated[
        Path | None, typer.Option(help="Where to save; the package's own artefact by default.")
    ] = None,
) -> None:
    """Fit the drug transfer on bulk screens of cell lines."""
    from cellwright.cellmodel.drug.fit import fit_screen
    from cellwright.cellmodel.drug.screen import read_screen
    from cellwright.cellmodel.drug.transfer import PACKAGED
    from cellwright.evals.drug_inputs import read_facts, read_pairs
    from cellwright.knowledge import Knowledge

    knowledge = Knowledge.open()
    target = out or PACKAGED

    def keys(names: Sequence[str]) -> list[str | None]:
        return list(knowledge.genes.keys(list(names), "human"))

    with working("fitting the drug transfer"):
        screen = read_screen(gdsc, keys)
        transfer = fit_screen(
            screen,
            pairs=read_pairs(cells, screen, keys),
            facts=read_facts(gdsc, knowledge, screen.drugs),
        )
        transfer.save(target)
    print_json({"saved": str(target), **transfer.card})
