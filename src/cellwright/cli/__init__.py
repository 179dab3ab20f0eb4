"""The shell: ``cellwright ask | plan | annotate | ...``.

Commands import what they need when they run, so that ``cellwright --help`` answers at once.
"""

import warnings
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperGroup

from cellwright.cli import (
    agent,
    chat,
    data,
    doctor,
    evals,
    knowledge,
    mcp,
    models,
    planner,
    serve,
    templates,
    tool,
    train,
)
from cellwright.cli.console import complain
from cellwright.errors import CellwrightError, InputError, RefusedError

EXIT_FAILED, EXIT_INPUT, EXIT_REFUSED = 1, 2, 3


class Guarded(TyperGroup):
    """Turns an error that Cellwright raised on purpose into one line and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; see the class."""
        try:
            return super().invoke(ctx)
        except CellwrightError as error:
            complain(str(error))
            raise typer.Exit(_exit_code(error)) from error


def _exit_code(error: CellwrightError) -> int:
    if isinstance(error, InputError):
        return EXIT_INPUT
    if isinstance(error, RefusedError):
        return EXIT_REFUSED
    return EXIT_FAILED


app = typer.Typer(
    name="cellwright",
    cls=Guarded,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Ask your single-cell data in plain language, and get an answer you can check.",
)
COMMANDS: tuple[Callable[..., None], ...] = (
    agent.ask,
    agent.plan,
    chat.chat,
    agent.demo,
    data.describe,
    data.annotate,
    data.cell,
    data.drug,
    data.generate,
    data.explain,
    tool.tool,
    mcp.mcp,
    serve.serve,
)
for command in COMMANDS:
    app.command()(command)
app.command("eval")(evals.evaluate)
app.add_typer(knowledge.app, name="knowledge")
app.add_typer(models.app, name="models")
app.command()(doctor.doctor)

training = typer.Typer(invoke_without_command=True)
training.callback()(train.train)
training.command("reader")(planner.train_reader)
training.command("planner")(planner.train_planner)
training.command("drug")(evals.train_drug)
training.command("templates")(templates.write_templates)
app.add_typer(training, name="train")


def main() -> None:
    """Entry point of the ``cellwright`` command."""
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    app()
