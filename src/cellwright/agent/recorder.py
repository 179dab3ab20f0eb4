"""Any LangChain agent as a planner to be measured: its tool calls are recorded, none is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from langchain_core.tools import StructuredTool

if TYPE_CHECKING:
    from langchain_core.runnables import Runnable

    from cellwright.tools.workbench import Workbench


def recording_tools(calls: list[dict[str, Any]]) -> list[StructuredTool]:
    """The tools as LangChain tools that write down how they are called and say that it went well.

    Args:
        calls: Filled with ``{"name", "args"}`` of every call.
    """
    from cellwright.tools.registry import ALL_TOOLS

    def wrap(name: str) -> Callable[..., str]:
        def call(**args: Any) -> str:
            given = {key: value for key, value in args.items() if value is not None}
            calls.append({"name": name, "args": given})
            return "done"

        return call

    return [
        StructuredTool.from_function(
            func=wrap(spec.name),
            name=spec.name,
            description=spec.description,
            args_schema=spec.args,
        )
        for spec in ALL_TOOLS
    ]


def record(
    make_agent: Callable[[Sequence[StructuredTool]], Runnable[Any, Any]],
) -> Callable[[str, Workbench], list[Mapping[str, Any]]]:
    """An agent as ``evals.planning.by_calls`` wants it.

    Args:
        make_agent: Makes the agent from tools (``lambda tools: create_agent(model, tools)``); it is
            invoked with ``{"messages": [("user", request)]}``.
    """

    def run(request: str, bench: Workbench) -> list[Mapping[str, Any]]:
        calls: list[dict[str, Any]] = []
        columns = bench.passport.columns if bench.passport else ()
        about = "; ".join(f"{one.role} column {one.name}" for one in columns) or "no data"
        asked = f"{request}\n\n(data: {about})"
        make_agent(recording_tools(calls)).invoke({"messages": [("user", asked)]})
        return list(calls)

    return run
