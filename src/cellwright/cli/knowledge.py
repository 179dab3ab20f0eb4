"""``cellwright knowledge``: look facts up, match markers, build the tables."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cellwright.errors import InputError

if TYPE_CHECKING:
    from cellwright.knowledge import (
        CellTypeMatch,
        CoverageReport,
        DrugMatch,
        Evidence,
        GeneMatch,
        Knowledge,
        MarkerMatch,
        NameReport,
    )

SHOWN = 8
"""Names that a line of the coverage report lists."""

app = typer.Typer(
    help="Look up genes, cell types and drugs; match markers; search; build the fact tables.",
    no_args_is_help=True,
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
SpeciesName = Annotated[
    Literal["human", "mouse"], typer.Option("--species", help="Species of the gene names.")
]
Tissue = Annotated[str, typer.Option("--tissue", help="Only cell types recorded in this tissue.")]


@app.command()
def match(
    genes: Annotated[list[str] | None, typer.Argument(help="Marker genes, best first.")] = None,
    species: SpeciesName = "human",
    tissue: Tissue = "",
    batch: Annotated[
        Path | None, typer.Option(help="A file with one comma-separated gene list a line.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Cell types to show.")] = 10,
    as_json: Json = False,
) -> None:
    """Rank the cell types that a set of marker genes points at."""
    knowledge = _open()
    if batch is not None:
        lists = _read_batch(batch, genes)
        found = knowledge.markers.match_many(lists, species, tissue or None, top=top)
        _print_json([[_match_record(one) for one in matches] for matches in found])
        return
    names = [one for text in genes or [] for one in text.split(",") if one.strip()]
    if not names:
        msg = "Give at least one gene, or a file with --batch."
        raise InputError(msg)
    matches = knowledge.markers.match(names, species, tissue or None, top=top)
    if as_json:
        _print_json([_match_record(one) for one in matches])
    else:
        _show_matches(matches, _unknown(knowledge, names, species))


@app.command()
def gene(
    name: Annotated[str, typer.Argument(help="Symbol, alias, Ensembl, NCBI, HGNC or MGI id.")],
    species: SpeciesName = "human",
    as_json: Json = False,
) -> None:
    """Tell which gene a name stands for."""
    found = _open().genes.resolve(name, species)
    if as_json:
        _print_json(found._asdict())
    else:
        _show_gene(found)


@app.command("cell-type")
def cell_type(
    name: Annotated[str, typer.Argument(help="Label, such as 'CD14+ Mono'.")],
    tissue: Annotated[str, typer.Option("--tissue", help="Tissue of the data.")] = "",
    as_json: Json = False,
) -> None:
    """Tell which Cell Ontology term a label stands for."""
    knowledge = _open()
    found = knowledge.ontology.lookup(name, tissue=tissue or None)
    if as_json:
        _print_json(dataclasses.asdict(found))
    else:
        _show_cell_type(found, knowledge)


@app.command()
def drug(
    name: Annotated[str, typer.Argument(help="Name or synonym.")], as_json: Json = False
) -> None:
    """Tell a drug's targets, pathway, mechanism and phase."""
    found = _open().drugs.lookup(name)
    if as_json:
        _print_json(dataclasses.asdict(found))
    else:
        _show_drug(found)


@app.command()
def search(
    text: Annotated[str, typer.Argument(help="Plain language or a name.")],
    kind: Annotated[
        Literal["gene", "cell_type", "drug"] | None, typer.Option(help="Only this kind.")
    ] = None,
    species: Annotated[
        Literal["human", "mouse"] | None, typer.Option(help="Only what holds for it.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Records to show.")] = 10,
    as_json: Json = False,
) -> None:
    """Find genes, cell types and drugs by name, words or meaning."""
    found = _open().search(text, kind=kind, species=species, top=top)
    if as_json:
        _print_json([_record(one) for one in found])
    else:
        _show_evidence(found)


@app.command()
def coverage(
    path: Annotated[
        Path, typer.Argument(help="An .h5ad file, or a text file with one gene name a line.")
    ],
    species: Annotated[
        Literal["human", "mouse"] | None, typer.Option(help="Told from the names if unset.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Tell species and scheme of a data set's gene names, and what becomes of each."""
    genes = _open().genes
    names = _read_names(path)
    told = genes.identify(names)
    chosen = species or told.species
    if chosen == "unknown":
        msg = f"The species cannot be told: {told.species_evidence}. Give it with --species."
        raise InputError(msg)
    report = genes.coverage(names, chosen)
    if as_json:
        _print_json({**dataclasses.asdict(told), **dataclasses.asdict(report)})
    else:
        _show_coverage(told, report)


@app.command()
def build(
    source: Annotated[
        Path | None, typer.Option("--from", help="Folder with the official files of the sources.")
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch the official files first, into that folder.")
    ] = False,
    mirror: Annotated[
        str, typer.Option(help="Address that holds all files by their names; else publishers'.")
    ] = "",
    out: Annotated[
        Path | None, typer.Option(help="Where the tables go; the package's own folder if unset.")
    ] = None,
    embed: Annotated[bool, typer.Option(help="Embed the search documents too (minutes).")] = True,
) -> None:
    """Compile the official files into the package's fact tables, and say what changed."""
    from cellwright.knowledge import tables
    from cellwright.knowledge.build import build as compile_tables
    from cellwright.knowledge.download import download as fetch
    from cellwright.settings import Settings

    settings = Settings()
    if source is None and not download:
        msg = "Give the folder of the official files with --from, or --download them."
        raise InputError(msg)
    folder = source or settings.knowledge_dir / "sources"
    if download:
        fetch(folder, mirror, typer.echo)
    compile_tables(folder, settings, target=out or tables.FOLDER, embed=embed, report=typer.echo)


def _open() -> "Knowledge":
    from cellwright.knowledge import Knowledge
    from cellwright.settings import Settings

    return Knowledge.open(Settings())


def _read_batch(path: Path, genes: Sequence[str] | None) -> list[list[str]]:
    if genes:
        msg = "Give genes or --batch, not both."
        raise InputError(msg)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path} cannot be read as text: {error}."
        raise InputError(msg) from error
    return [[one.strip() for one in line.split(",") if one.strip()] for line in lines]


def _read_names(path: Path) -> list[str]:
    if not path.is_file():
        msg = f"There is no file {path}."
        raise InputError(msg)
    if path.suffix == ".h5ad":
        import anndata

        try:
            return [str(one) for one in anndata.read_h5ad(path, backed="r").var_names]
        except (OSError, ValueError, KeyError) as error:
            msg = f"{path} cannot be read as AnnData: {error}."
            raise InputError(msg) from error
    return [line[0] for line in _read_batch(path, None) if line]


def _record(value: "Evidence") -> dict[str, Any]:
    return {**value.model_dump(), "cite": value.cite()}


def _match_record(one: "MarkerMatch") -> dict[str, Any]:
    fields = {item.name: getattr(one, item.name) for item in dataclasses.fields(one)}
    return {**fields, "evidence": [_record(record) for record in one.evidence]}


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=1))


def _unknown(knowledge: "Knowledge", names: Sequence[str], species: str) -> list[str]:
    lines = []
    for name in names:
        found = knowledge.genes.resolve(name, species)
        if found.status != "ok":
            could = f" (could be {', '.join(found.candidates)})" if found.candidates else ""
            lines.append(f"{name}: {found.why}{could}")
    return lines


def _table(*columns: str) -> Any:
    from rich.table import Table

    table = Table(show_edge=False, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _show(thing: Any) -> None:
    from rich.console import Console

    Console(markup=False, highlight=False).print(thing)


def _show_matches(matches: Sequence["MarkerMatch"], unknown: Sequence[str]) -> None:
    from rich.text import Text

    for line in unknown:
        typer.echo(line, err=True)
    if not matches:
        typer.echo("No marker record names these genes.")
        return
    table = _table("cell type", "id", "score", "genes", "evidence")
    for one in matches:
        cited = "\n".join(dict.fromkeys(record.cite() for record in one.evidence[:2]))
        row = (one.cell_type, one.ontology_id, f"{one.score:.2f}", ", ".join(one.genes), cited)
        table.add_row(*(Text(cell) for cell in row))
    _show(table)
    first = matches[0]
    if len(matches) > 1:
        typer.echo(f"{first.cell_type} is {first.margin:.0%} of its score ahead of the next.")
    if first.against:
        typer.echo(f"Against it: {', '.join(first.against)}, known to be absent there.")
    typer.echo(f"From {first.scope}.")


def _show_gene(found: "GeneMatch") -> None:
    if found.status != "ok":
        typer.echo(f"{found.query}: {found.status}, {found.why}.")
        if found.candidates:
            typer.echo(f"Candidates: {', '.join(found.candidates)}")
        return
    typer.echo(f"{found.symbol or found.ensembl_id}  {found.name}")
    typer.echo(f"{found.species}, {found.gene_type or 'type unknown'}; found by {found.why}")
    ids = [f"NCBI Gene {found.gene_id}" if found.gene_id else "", found.ensembl_id or ""]
    typer.echo(", ".join(one for one in ids if one))
    if found.aliases:
        typer.echo(f"Also called {', '.join(found.aliases)}")
    if found.candidates:
        typer.echo(f"The name is also listed for {', '.join(found.candidates)}")


def _show_coverage(told: "NameReport", report: "CoverageReport") -> None:
    typer.echo(f"{report.species}: {told.species_evidence}")
    typer.echo(f"{told.scheme}: {told.scheme_evidence}")
    share = report.resolved / max(report.names, 1)
    typer.echo(
        f"{report.resolved:,} of {report.names:,} names ({share:.1%}) lead to "
        f"{report.genes:,} genes"
    )
    table = _table("how", "names")
    for why, count in report.ways.items():
        table.add_row(why, f"{count:,}")
    _show(table)
    for title, found in (
        ("Of several genes", [f"{one} ({', '.join(of)})" for one, of in report.ambiguous.items()]),
        ("Unknown", list(report.unknown)),
        ("One gene twice", [f"{gene} ({', '.join(of)})" for gene, of in report.shared.items()]),
    ):
        if found:
            more = f" and {len(found) - SHOWN:,} more" if len(found) > SHOWN else ""
            typer.echo(f"{title}, {len(found):,}: {', '.join(found[:SHOWN])}{more}")


def _show_cell_type(found: "CellTypeMatch", knowledge: "Knowledge") -> None:
    if found.status != "ok" or found.ontology_id is None:
        typer.echo(f"{found.query}: no Cell Ontology term, {found.why}.")
        if found.suggestions:
            typer.echo(f"Near: {', '.join(found.suggestions)}")
        return
    typer.echo(f"{found.ontology_id}  {found.label}  (score {found.score:.2f}; {found.why})")
    parents = [
        knowledge.ontology.label(one) for one in knowledge.ontology.parents(found.ontology_id)
    ]
    if parents:
        typer.echo(f"A kind of {', '.join(parents)}")
    if wholes := knowledge.ontology.part_of(found.ontology_id):
        typer.echo(f"Part of {', '.join(knowledge.ontology.label(one) for one in wholes)}")
    if found.runner_up:
        typer.echo("Runner-up: {}  {}  (score {:.2f})".format(*found.runner_up))


def _show_drug(found: "DrugMatch") -> None:
    if found.status != "ok":
        typer.echo(f"{found.query}: {found.why}.")
        if found.suggestions:
            typer.echo(f"Did you mean {', '.join(found.suggestions)}?")
        return
    typer.echo(f"{found.name}  ({', '.join(found.sources)})")
    for title, text in (
        ("Targets", ", ".join(found.targets)),
        ("Pathway", found.pathway),
        ("Mechanism", found.mechanism),
        ("Given for", ", ".join(found.indications)),
        ("Phase", found.phase),
        ("Also called", ", ".join(found.synonyms)),
    ):
        if text:
            typer.echo(f"{title}: {text}")


def _show_evidence(found: Sequence["Evidence"]) -> None:
    from rich.text import Text

    if not found:
        typer.echo("Nothing was found.")
        return
    table = _table("kind", "record", "what it says", "source")
    for one in found:
        row = (one.kind.replace("_", " "), one.record_id, one.text, one.cite())
        table.add_row(*(Text(cell) for cell in row))
    _show(table)
