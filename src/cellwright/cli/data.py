"""``cellwright describe | annotate | cell | drug | generate | explain``: one tool each."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cellwright.cli.console import print_json, stdout, working
from cellwright.errors import InputError

if TYPE_CHECKING:
    from cellwright.tools.workbench import Workbench

DataFile = Annotated[
    Path, typer.Argument(help="Cells: .h5ad, 10x .h5 or folder, .csv, .tsv or .zarr.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, to stdout.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Seed of every random draw.")]


@contextmanager
def opened(path: Path | None, title: str, seed: int | None = None) -> Iterator[Workbench]:
    """A workbench in a folder of its own, removed afterwards."""
    from cellwright.settings import Settings
    from cellwright.tools.workbench import Workbench

    settings = Settings() if seed is None else Settings(seed=seed)
    folder = Path(tempfile.mkdtemp(prefix="cellwright-"))
    try:
        with working(title) as progress:
            yield Workbench.open(path, folder=folder, settings=settings, progress=progress)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_tool(bench: Workbench, name: str, **args: Any) -> Any:
    """Run a tool, with the preparation that it needs before it."""
    from cellwright.tools.adapters.calling import call

    return call(bench, name, args).result


def _check_target(source: Path | None, target: Path) -> None:
    if source is not None and target.exists() and target.resolve() == source.resolve():
        msg = f"{target} is the data itself, which is never overwritten; name another file."
        raise InputError(msg)
    if target.suffix != ".h5ad":
        msg = f"{target} must end in .h5ad."
        raise InputError(msg)
    if not target.parent.is_dir():
        msg = f"{target.parent} is no folder; make it first, or name another."
        raise InputError(msg)


def describe(file: DataFile, as_json: AsJson = False) -> None:
    """Say what a data file is: species, gene names, what X holds, columns, with evidence."""
    with opened(file, f"reading {file.name}") as bench:
        result = bench.run("describe_dataset")
    passport = result.passport
    if as_json:
        print_json(passport.model_dump(mode="json"))
        return
    from rich.table import Table

    console = stdout()
    console.print(
        f"[bold]{passport.file}[/bold]: {passport.n_cells:,} cells by {passport.n_genes:,} genes"
    )
    for name in ("species", "identifiers", "tissue", "protocol"):
        said = getattr(passport, name)
        console.print(f"  {name}: [bold]{said.value}[/bold] ({said.evidence})")
    table = Table("Slot", "Holds", "Genes", "Evidence", title="Matrices", title_justify="left")
    for matrix in passport.matrices:
        best = " (read)" if matrix.slot == passport.best else ""
        table.add_row(matrix.slot + best, matrix.state, f"{matrix.n_genes:,}", matrix.evidence)
    console.print(table)
    if passport.columns:
        table = Table("Column", "Role", "Values", "Evidence", title="Columns", title_justify="left")
        for column in passport.columns:
            table.add_row(column.name, column.role, f"{column.n_values:,}", column.evidence)
        console.print(table)
    for warning in passport.warnings:
        console.print(f"  [yellow]![/yellow] {warning}")


def annotate(
    file: DataFile,
    out: Annotated[
        Path,
        typer.Option(
            "--out", help="The .h5ad to write; or a .csv, and the file is read block by block."
        ),
    ],
    level: Annotated[
        Literal["cell", "cluster"], typer.Option("--level", help="Label cells or clusters.")
    ] = "cell",
    group_by: Annotated[
        str | None, typer.Option("--group-by", help="Column of obs with the clusters.")
    ] = None,
    choices: Annotated[
        str | None, typer.Option("--choices", help="Cell types to choose from: A,B,C.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Name the cell types; write a copy of the file with `cellwright_` columns added to obs."""
    from cellwright.tools.export import write_annotated

    wanted = tuple(one.strip() for one in choices.split(",") if one.strip()) if choices else None
    if out.suffix == ".csv":
        _annotate_stream(file, out, wanted, level)
        return
    _check_target(file, out)
    with opened(file, f"annotating {file.name}") as bench:
        result = run_tool(bench, "annotate_cells", level=level, group_by=group_by, choices=wanted)
        write_annotated(file, bench, out)
    if as_json:
        print_json(
            {
                "out": str(out),
                **result.model_dump(mode="json", exclude={"data", "figures", "tables"}),
            }
        )
        return
    from rich.table import Table

    table = Table("Cell type", "Cell Ontology", "Cells", "Share", "Mean score")
    for row in result.counts:
        table.add_row(
            row.label,
            row.ontology_id,
            f"{row.n_cells:,}",
            f"{row.share:.1%}",
            f"{row.mean_score:.2f}",
        )
    stdout().print(table)
    say_claims(result)
    stdout().print(f"written: {out}")


def cell(
    file: DataFile,
    prompt: Annotated[
        str, typer.Option("--prompt", help="The question; {input} stands for the cell.")
    ],
    index: Annotated[int, typer.Option("--index", help="Position of the cell, from 0.")] = 0,
    mode: Annotated[
        Literal["instruct", "chat"], typer.Option("--mode", help="Bare label, or a sentence.")
    ] = "instruct",
    as_json: AsJson = False,
) -> None:
    """Put a question on one cell to the cell language model."""
    from cellwright.tools.ask_cell import answer

    with opened(file, f"reading {file.name}") as bench:
        if bench.passport is not None and not 0 <= index < bench.passport.n_cells:
            msg = f"--index {index}: {file.name} has cells 0 to {bench.passport.n_cells - 1}."
            raise InputError(msg)
        _refuse_unfit(bench, "ask_cell", question=prompt)
        said = answer(bench, index, prompt, mode)
    if as_json:
        print_json({"text": said.text, "label": said.label, "score": said.score})
    else:
        stdout().print(said.text)


def drug(
    file: DataFile,
    drugs: Annotated[list[str], typer.Option("--drug", help="A drug; may be given repeatedly.")],
    group_by: Annotated[
        str | None, typer.Option("--group-by", help="Column of obs whose groups are compared.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Predict the response to drugs from bulk screens, by group and donor."""
    with opened(file, f"reading {file.name}") as bench:
        result = run_tool(bench, "predict_drug_response", drugs=tuple(drugs), group_by=group_by)
    if as_json:
        print_json(result.model_dump(mode="json", exclude={"data", "figures", "tables"}))
    else:
        say_claims(result)


def generate(
    cell_type: Annotated[str, typer.Option("--cell-type", help="Cell type to draw.")],
    out: Annotated[Path, typer.Option("--out", help="The .h5ad to write.")],
    tissue: Annotated[str | None, typer.Option("--tissue", help="Tissue.")] = None,
    species: Annotated[
        Literal["human", "mouse"], typer.Option("--species", help="Species.")
    ] = "human",
    protocol: Annotated[str | None, typer.Option("--protocol", help="Protocol.")] = None,
    n: Annotated[int, typer.Option("-n", "--n", min=1, help="Number of cells.")] = 100,
    seed: Seed = None,
    as_json: AsJson = False,
) -> None:
    """Draw synthetic cells of a type; write them with their checks."""
    _check_target(None, out)
    with opened(None, f"drawing {n} cells", seed) as bench:
        result = run_tool(
            bench,
            "generate_cells",
            cell_type=cell_type,
            tissue=tissue,
            species=species,
            protocol=protocol,
            n=n,
        )
        draft = out.with_name(f".{out.name}.partial")
        shutil.copyfile(bench.store.path(result.cells.id), draft)
        draft.replace(out)
    if as_json:
        excluded = {"data", "figures", "tables", "cells"}
        print_json({"out": str(out), **result.model_dump(mode="json", exclude=excluded)})
        return
    say_claims(result)
    stdout().print(f"written: {out}")


def explain(
    file: DataFile,
    label: Annotated[str, typer.Option("--label", help="Cell type, or drug.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the figure and the table.")],
    target: Annotated[
        Literal["cell_type", "drug"], typer.Option("--target", help="What the label is.")
    ] = "cell_type",
    group_by: Annotated[
        str | None, typer.Option("--group-by", help="Column of obs that holds the label.")
    ] = None,
    n_genes: Annotated[int, typer.Option("--n-genes", min=1, help="Genes to name.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Name the genes behind a cell type or a predicted drug response."""
    if out.exists() and not out.is_dir():
        msg = f"{out} is a file; --out names a folder."
        raise InputError(msg)
    with opened(file, f"reading {file.name}") as bench:
        result = run_tool(
            bench, "explain_cells", target=target, label=label, group_by=group_by, n_genes=n_genes
        )
        out.mkdir(parents=True, exist_ok=True)
        paths = {}
        for name, refs in (("saliency.png", result.figures), ("genes.csv", result.tables)):
            if refs:
                shutil.copyfile(bench.store.path(refs[0].id), out / name)
                paths[name] = str(out / name)
    if as_json:
        excluded = {"data", "figures", "tables"}
        print_json({"files": paths, **result.model_dump(mode="json", exclude=excluded)})
        return
    say_claims(result)
    for path in paths.values():
        stdout().print(f"written: {path}")


def _refuse_unfit(bench: Workbench, name: str, **args: Any) -> None:
    """Raise what a tool's gate would, for commands that do not go through ``run``."""
    from cellwright.errors import RefusedError
    from cellwright.tools.gates import check

    verdict = check(bench.spec(name), bench.validate(name, args), bench.passport, bench)
    if verdict.outcome == "refuse":
        raise RefusedError(verdict.reason, verdict.alternative)


def _annotate_stream(
    file: Path, out: Path, wanted: tuple[str, ...] | None, level: Literal["cell", "cluster"]
) -> None:
    """Cells that need not fit in memory: the cell model alone, no clusters, no second opinion."""
    from cellwright.settings import Settings
    from cellwright.tools.streaming import annotate_to_table

    if level != "cell":
        msg = "Clusters need all cells at once; write to an .h5ad, or use --level cell."
        raise InputError(msg)
    with working(f"annotating {file.name}") as progress:
        n = annotate_to_table(file, out, Settings(), choices=wanted, progress=progress)
    stdout().print(f"{n:,} cells written: {out}")


def say_claims(result: Any) -> None:
    """Print a result's sentences, filled in."""
    from cellwright.agent.claims import bind

    values = result.model_dump(mode="json")
    console = stdout()
    for claim in result.claims():
        mark = "[yellow]![/yellow] " if claim.kind == "caveat" else ""
        console.print(mark + bind(claim, "result", values, frozenset()).text)
