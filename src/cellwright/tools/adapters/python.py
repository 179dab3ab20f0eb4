"""The tools as functions on an AnnData, with signature and documentation made from their specs."""

from __future__ import annotations

import inspect
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellwright.artifacts import DirectoryStore
from cellwright.errors import InputError
from cellwright.settings import Settings
from cellwright.tools.adapters.calling import call
from cellwright.tools.in_memory import add_made
from cellwright.tools.workbench import Workbench

if TYPE_CHECKING:
    from anndata import AnnData
    from pydantic.fields import FieldInfo

    from cellwright.tools.spec import ToolResult, ToolSpec

KEY = "cellwright"
"""Prefix of the columns and key of uns under which results are kept, unless another is given."""


@contextmanager
def applied(
    spec: ToolSpec[Any, Any], adata: AnnData | None, args: Mapping[str, Any]
) -> Iterator[tuple[Any, Workbench]]:
    """Run a tool on cells in memory, which stay as they are.

    Figures and tables are kept in the user's cache; the rest is there inside the block only.

    Args:
        spec: The tool.
        adata: Cells by genes; None for tools that need none.
        args: The tool's arguments.

    Yields:
        The result, and the workbench with the working copy.

    Raises:
        RefusedError: The tool's applicability gate says no.
        ToolError: The arguments are wrong, or the tool cannot do what was asked.
        InputError: The AnnData cannot be read as cells by genes.
    """
    models = _models()
    with tempfile.TemporaryDirectory(prefix="cellwright-") as folder:
        bench = Workbench.open(adata, folder=Path(folder), settings=models.settings, models=models)
        bench.refresh()
        result = call(bench, spec.name, args).result
        store = kept()
        for ref in (*result.figures, *result.tables):
            write = partial(shutil.copyfile, bench.store.path(ref.id))
            store.put_file(ref.kind, write, ref.summary, tool=ref.tool)
        yield result, bench


def kept() -> DirectoryStore:
    """Figures and tables of results that an AnnData carries."""
    return DirectoryStore(_models().settings.cache_dir / "kept")


def store_result(adata: AnnData, spec: ToolSpec[Any, Any], result: ToolResult, key: str) -> None:
    """Keep a result in ``uns[key][tool]`` as JSON text, which any .h5ad can hold."""
    found = adata.uns.get(key)
    adata.uns[key] = {
        **(found if isinstance(found, Mapping) else {}),
        spec.name: result.model_dump_json(),
    }


def stored_result(adata: AnnData, spec: ToolSpec[Any, Any], key: str) -> ToolResult:
    """A result that was kept in an AnnData.

    Raises:
        InputError: There is none.
    """
    found = adata.uns.get(key)
    if not isinstance(found, Mapping) or spec.name not in found:
        msg = (
            f"uns[{key!r}] has no result of {spec.name}. Run it on this AnnData first, with "
            f"key_added={key!r} if it was given."
        )
        raise InputError(msg)
    result: ToolResult = spec.result.model_validate_json(str(found[spec.name]))
    return result


def in_place(spec: ToolSpec[Any, Any], name: str) -> Callable[..., AnnData | None]:
    """A tool as a function that adds its columns and its result to an AnnData."""

    def run(
        adata: AnnData, *, key_added: str = KEY, copy: bool = False, **args: Any
    ) -> AnnData | None:
        if not key_added.isidentifier():
            msg = f"key_added={key_added!r}: a word of letters, digits and '_' is needed."
            raise InputError(msg)
        target = adata.copy() if copy else adata
        with applied(spec, adata, args) as (result, bench):
            add_made(target, bench.adata(), key_added)
        store_result(target, spec, result, key_added)
        return target if copy else None

    own = {
        "key_added": (
            f"Prefix of the columns made, and the key of ``uns`` with the result; {KEY!r} writes "
            f"``obs['{KEY}_...']``."
        ),
        "copy": "Return a changed copy, and leave ``adata`` as it is.",
    }
    returns = "None, or the changed copy. ``cellwright.get`` reads the result."
    return made_function(run, spec, name, own=own, returns=returns)


def made_function(
    run: Callable[..., Any],
    spec: ToolSpec[Any, Any],
    name: str,
    *,
    own: Mapping[str, str],
    returns: str,
    fixed: frozenset[str] = frozenset(),
) -> Callable[..., Any]:
    """Give a function the signature and the documentation of a tool.

    Args:
        run: Takes ``adata`` first, its own keywords, and the tool's arguments as ``**args``.
        spec: The tool.
        name: Name of the function.
        own: Its own keywords, documented.
        returns: What it returns.
        fixed: Arguments of the tool that it sets by itself.
    """
    given = inspect.signature(run)
    keywords = [
        inspect.Parameter(
            field,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if info.is_required() else info.default,
            annotation=info.annotation,
        )
        for field, info in spec.args.model_fields.items()
        if field not in fixed
    ]
    first = given.parameters["adata"]
    function: Any = run
    function.__signature__ = given.replace(
        parameters=[first, *keywords, *(given.parameters[one] for one in own)]
    )
    function.__name__ = function.__qualname__ = name
    lines = [f"    adata: {'Cells by genes.' if spec.needs.data else 'Cells by genes, or None.'}"]
    lines += [
        f"    {field}: {_said(info)}"
        for field, info in spec.args.model_fields.items()
        if field not in fixed
    ]
    lines += [f"    {field}: {text}" for field, text in own.items()]
    function.__doc__ = (
        f"{spec.description}\n\nArgs:\n" + "\n".join(lines) + f"\n\nReturns:\n    {returns}\n"
    )
    return function


def _said(info: FieldInfo) -> str:
    text = info.description or ""
    return (
        text if info.is_required() or info.default is None else f"{text} Default {info.default!r}."
    )


@cache
def _models() -> Workbench:
    """Knowledge and cell model of this process."""
    settings = Settings()
    return Workbench(DirectoryStore(settings.cache_dir / "artifacts"), settings)
