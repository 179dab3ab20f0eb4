"""The tools as LangChain tools, for LangGraph and other agents."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_core.tools import StructuredTool, ToolException
from pydantic import ValidationError

from cellwright.errors import CellwrightError
from cellwright.tools.adapters.calling import call
from cellwright.tools.registry import ALL_TOOLS
from cellwright.tools.spec import complaint
from cellwright.tools.workbench import Workbench

if TYPE_CHECKING:
    from anndata import AnnData

    from cellwright.tools.spec import ToolResult, ToolSpec


def langchain_tools(
    session: Workbench | AnnData | str | Path | None = None,
    specs: Sequence[ToolSpec[Any, Any]] = ALL_TOOLS,
) -> list[StructuredTool]:
    """Tools for a LangChain or LangGraph agent, all on one data set.

    Each answers with the result as JSON text, cut where it is long, and carries the typed result
    as its artifact. What Cellwright raises on purpose comes back as the tool's answer, with the
    next step in it, so that the model can act on it; other errors are raised. Steps build on one
    another: what one tool adds to the cells, the next one sees.

    Example:
        >>> from langchain.agents import create_agent                         # doctest: +SKIP
        >>> create_agent("openai:gpt-5", langchain_tools("cells.h5ad"))       # doctest: +SKIP

    Args:
        session: A workbench, or what ``Workbench.open`` takes: a data file, or an AnnData.
        specs: Tools to wrap.
    """
    bench = session if isinstance(session, Workbench) else Workbench.open(session)
    return [_wrap(spec, bench) for spec in specs]


def _wrap(spec: ToolSpec[Any, Any], bench: Workbench) -> StructuredTool:
    def run(**arguments: Any) -> tuple[str, ToolResult]:
        try:
            called = call(bench, spec.name, arguments)
        except CellwrightError as error:
            raise ToolException(str(error)) from error
        return called.text, called.result

    def refuse(error: ValidationError | Any) -> str:
        return complaint(spec.name, error)

    # LangChain drops what is given to a model without fields, unseen; a plain schema it hands on.
    schema = spec.args if spec.args.model_fields else spec.args.model_json_schema()
    return StructuredTool.from_function(
        func=run,
        name=spec.name,
        description=spec.description,
        args_schema=schema,
        response_format="content_and_artifact",
        handle_tool_error=True,
        handle_validation_error=refuse,
    )
