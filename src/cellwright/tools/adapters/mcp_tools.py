"""What clients of the protocol see: every tool with its schemas, hints and the reply it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mcp import types
from pydantic import BaseModel, ConfigDict, Field, create_model

from cellwright.tools.describe_dataset import DescribeResult
from cellwright.tools.registry import ALL_TOOLS
from cellwright.tools.spec import ToolArgs, ToolResult, ToolSpec

OPEN, POLL = "open_dataset", "poll_call"
LONGEST_WAIT = 600.0


class OpenArgs(ToolArgs):
    """What to open."""

    path: str = Field(
        min_length=1,
        description="A file in the folders of this server: .h5ad, 10x .h5 or folder, .csv, .tsv, "
        ".zarr.",
    )


class PollArgs(ToolArgs):
    """Which call to ask for."""

    call_id: str = Field(description="The call_id of an answer whose status is 'running'.")
    cancel: bool = Field(default=False, description="Stop the call at its next step.")


class Link(BaseModel):
    """A file that a tool made."""

    model_config = ConfigDict(frozen=True)

    uri: str = Field(description="Resource to read it from.")
    kind: str = Field(description="figure, table, anndata or result.")
    summary: str = Field(description="What it is.")


class Reply(BaseModel):
    """What every tool answers."""

    model_config = ConfigDict(frozen=True)

    status: Literal["done", "running"] = Field(description="'running' needs poll_call.")
    call_id: str = Field(description="Id of this call.")
    progress: str = Field(default="", description="What it does now, while it runs.")
    dataset_id: str | None = Field(default=None, description="Handle of the data set.")
    prepared: bool = Field(default=False, description="preprocess_dataset was run first.")
    files: tuple[Link, ...] = Field(default=(), description="Figures, tables and data made.")
    result: dict[str, Any] | None = Field(default=None, description="The tool's result.")


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A tool as clients see it."""

    tool: types.Tool
    args: type[ToolArgs]
    spec: ToolSpec[Any, Any] | None = None


def all_offers(patience: float) -> dict[str, Offer]:
    """Every tool by name.

    Args:
        patience: Seconds that a call is waited for where the client does not say.
    """
    offers = [_open_offer(patience), _poll_offer(patience)]
    offers += [_offer(spec, patience) for spec in ALL_TOOLS]
    return {offer.tool.name: offer for offer in offers}


def _offer(spec: ToolSpec[Any, Any], patience: float) -> Offer:
    extra = {}
    if spec.needs.data:
        extra["dataset_id"] = {"type": "string", "description": "Handle from open_dataset."}
    hints = types.ToolAnnotations(
        title=spec.title,
        read_only_hint=not spec.changes_data,
        destructive_hint=False,
        idempotent_hint=True,
        open_world_hint=False,
    )
    tool = types.Tool(
        name=spec.name,
        title=spec.title,
        description=spec.description,
        input_schema=_input_schema(spec.args, patience, extra),
        output_schema=_output_schema(spec.result),
        annotations=hints,
    )
    return Offer(tool=tool, args=spec.args, spec=spec)


def _open_offer(patience: float) -> Offer:
    tool = types.Tool(
        name=OPEN,
        title="Open a data set",
        description=(
            "Opens a file of cells and says what it is: species, gene names, matrices, columns, "
            "each with its evidence. Its dataset_id is the handle for the other tools."
        ),
        input_schema=_input_schema(OpenArgs, patience, {}),
        output_schema=_output_schema(DescribeResult),
        annotations=types.ToolAnnotations(
            title="Open a data set",
            read_only_hint=False,
            destructive_hint=False,
            idempotent_hint=False,
            open_world_hint=False,
        ),
    )
    return Offer(tool=tool, args=OpenArgs)


def _poll_offer(patience: float) -> Offer:
    tool = types.Tool(
        name=POLL,
        title="Ask for a running call",
        description=(
            "The answer of a call that was still running, or how far it is. A call with "
            "wait_seconds 0 starts at once and is asked for here."
        ),
        input_schema=_input_schema(PollArgs, patience, {}),
        output_schema=_slim(Reply.model_json_schema(mode="serialization")),
        annotations=types.ToolAnnotations(
            title="Ask for a running call",
            read_only_hint=False,
            destructive_hint=False,
            idempotent_hint=True,
            open_world_hint=False,
        ),
    )
    return Offer(tool=tool, args=PollArgs)


def _input_schema(
    args: type[ToolArgs], patience: float, extra: Mapping[str, Any]
) -> dict[str, Any]:
    schema = _slim(args.model_json_schema())
    wait = {
        "type": "number",
        "minimum": 0,
        "maximum": LONGEST_WAIT,
        "default": patience,
        "description": "Seconds to wait; what takes longer is asked for with poll_call.",
    }
    own = schema.get("properties", {})
    schema["properties"] = {**extra, **own, "wait_seconds": wait}
    schema["required"] = [*extra, *schema.get("required", [])]
    return schema


def _output_schema(result: type[ToolResult]) -> dict[str, Any]:
    field: Any = (result | None, Field(default=None, description="The tool's result."))
    model = create_model(f"{result.__name__}Reply", __base__=Reply, result=field)
    return _slim(model.model_json_schema(mode="serialization"))


def _slim(schema: Any) -> Any:
    """A schema without titles that pydantic makes of names, and with the first line of docstrings.

    Clients pay for every word of it.
    """
    if isinstance(schema, list):
        return [_slim(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    slim: dict[str, Any] = {}
    for key, value in schema.items():
        if key in {"properties", "$defs"}:
            slim[key] = {name: _slim(one) for name, one in value.items()}
        elif key == "description":
            slim[key] = str(value).partition("\n\n")[0]
        elif key != "title":
            slim[key] = _slim(value)
    return slim
