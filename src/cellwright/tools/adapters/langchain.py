"""The tools as LangChain tools, for LangGraph and other agents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from langchain_core.tools import StructuredTool, ToolException

from cellwright.errors import ToolError
from cellwright.tools.registry import ALL_TOOLS

if TYPE_CHECKING:
    from cellwright.tools.spec import ToolResult, ToolSpec
    from cellwright.tools.workbench import Workbench

LONGEST = 6000
"""Characters of a result that a language model is shown; the artifact is whole."""


def langchain_tools(
    bench: Workbench, specs: Sequence[ToolSpec[Any, Any]] = ALL_TOOLS
) -> list[StructuredTool]:
    """Tools that run on a workbench.

    Each answers with the result as JSON text, cut where it is long, and carries the typed result
    as its artifact. A ``ToolError`` comes back as the tool's answer, so that the model can act
    on it; other errors are raised.

    Args:
        bench: The workbench on which every call runs.
        specs: Tools to wrap.
    """
    return [_wrap(spec, bench) for spec in specs]


def _wrap(spec: ToolSpec[Any, Any], bench: Workbench) -> StructuredTool:
    def call(**arguments: Any) -> tuple[str, ToolResult]:
        try:
            result: ToolResult = bench.run(spec.name, **arguments)
        except ToolError as error:
            raise ToolException(str(error)) from error
        return _preview(result), result

    return StructuredTool.from_function(
        func=call,
        name=spec.name,
        description=spec.description,
        args_schema=spec.args,
        response_format="content_and_artifact",
        handle_tool_error=True,
    )


def _preview(result: ToolResult) -> str:
    text = result.model_dump_json(exclude_none=True)
    if len(text) <= LONGEST:
        return text
    half = LONGEST // 2
    return f"{text[:half]} [... {len(text) - LONGEST:,} characters left out ...] {text[-half:]}"
