"""``cellwright tool``: any tool by its name, with the arguments that every other face takes."""

from __future__ import annotations

import json
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cellwright.cli.console import print_json, stdout
from cellwright.cli.data import AsJson, opened, run_tool, say_claims
from cellwright.errors import InputError

if TYPE_CHECKING:
    from cellwright.tools.spec import ToolResult, ToolSpec
    from cellwright.tools.workbench import Workbench

ARGUMENT = re.compile(r"([a-z][a-z0-9_]*)=(.*)", re.DOTALL)


def tool(
    name: Annotated[str | None, typer.Argument(help="Name of a tool; all are listed without.")] = (
        None
    ),
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[DATA] [NAME=VALUE]...", help="Data file, and arguments."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for figures, tables and data.")
    ] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the arguments as JSON Schema, run nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run any tool by its name: `cellwright tool find_markers cells.h5ad n_genes=5`.

    Lists are written A,B,C or as JSON.
    """
    from cellwright.tools.registry import ALL_TOOLS
    from cellwright.tools.workbench import Workbench

    if name is None:
        for one in ALL_TOOLS:
            stdout().print(f"[bold]{one.name}[/bold]  {one.title}", highlight=False)
        return
    spec = Workbench.spec(name)
    if schema:
        print_json(spec.args.model_json_schema())
        return
    path, given = _read(words or [])
    args = {key: _value(spec, key, text) for key, text in given.items()}
    with opened(path, f"{spec.title}: {path.name if path else name}") as bench:
        result = run_tool(bench, name, **args)
        paths = _save(result, bench, out) if out else {}
    if as_json:
        print_json(json.loads(result.model_dump_json()))
        return
    say_claims(result)
    for saved in paths.values():
        stdout().print(f"written: {saved}", soft_wrap=True)


def _read(words: list[str]) -> tuple[Path | None, dict[str, str]]:
    """The data file, if one is named, and the arguments as they were typed."""
    files, args = [], {}
    for word in words:
        match = ARGUMENT.fullmatch(word)
        if match:
            args[match[1]] = match[2]
        else:
            files.append(word)
    if len(files) > 1:
        msg = f"One data file is enough: {', '.join(files)}. Arguments are written NAME=VALUE."
        raise InputError(msg)
    return (Path(files[0]) if files else None), args


def _value(spec: ToolSpec[Any, Any], name: str, text: str) -> Any:
    """An argument as its field wants it; what fits no way is left for the tool to refuse."""
    from pydantic import TypeAdapter, ValidationError

    field = spec.args.model_fields.get(name)
    if field is None:
        return text
    adapter: TypeAdapter[Any] = TypeAdapter(field.annotation)
    options: list[Any] = [text, [one.strip() for one in text.split(",") if one.strip()]]
    with suppress(ValueError):
        options.insert(0 if text[:1] in {"[", "{"} or text == "null" else 1, json.loads(text))
    for option in options:
        try:
            return adapter.validate_python(option)
        except ValidationError:
            continue
    return text


def _save(result: ToolResult, bench: Workbench, out: Path) -> dict[str, Path]:
    """Copy what the tool made into a folder, each file by its id."""
    if out.exists() and not out.is_dir():
        msg = f"{out} is a file; --out names a folder."
        raise InputError(msg)
    out.mkdir(parents=True, exist_ok=True)
    saved = {}
    for ref in result.artifacts():
        source = bench.store.path(ref.id)
        saved[ref.id] = out / source.name
        shutil.copyfile(source, saved[ref.id])
    return saved
