"""``cellwright ask`` and ``cellwright plan``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cellwright.cli.console import print_json, stderr, stdout
from cellwright.errors import InputError

if TYPE_CHECKING:
    from cellwright.agent.context import Event
    from cellwright.agent.plan import Plan, Question
    from cellwright.agent.session import RunResult
    from cellwright.settings import Settings

EXIT = {"done": 0, "failed": 1, "refused": 3, "needs_clarification": 3}

Data = Annotated[Path, typer.Argument(help="Cells: .h5ad, 10x .h5, 10x folder, csv, tsv or zarr.")]
Request = Annotated[str, typer.Argument(help="What is wanted, in plain language.")]
Model = Annotated[
    str | None, typer.Option(help="Language model that plans: 'embedded' or 'provider:name'.")
]
Privacy = Annotated[
    str | None,
    typer.Option(help="'strict' sends no column name and no value of the data to a remote model."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def ask(
    data: Data,
    request: Request,
    out: Annotated[Path, typer.Option(help="Folder for the report.")],
    model: Model = None,
    thread: Annotated[str | None, typer.Option(help="Go on with this thread.")] = None,
    *,
    privacy: Privacy = None,
    brief: Annotated[bool, typer.Option("--brief", help="A short report.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Take defaults instead of asking.")] = False,
    notebook: Annotated[bool, typer.Option(help="Execute the report's notebook.")] = True,
    as_json: AsJson = False,
) -> None:
    """Answer a request about a data set with a report that can be checked."""
    from cellwright.agent.session import ask as run

    if out.exists() and not out.is_dir():
        msg = f"{out} is a file; --out needs a folder."
        raise InputError(msg)
    if _holds(out, data):
        msg = f"--out {out} is the data itself; name another folder."
        raise InputError(msg)
    with _watching() as watch:
        result = run(
            data,
            request,
            out=out,
            model=model,
            thread=thread,
            yes=yes,
            settings=settings_with(privacy),
            answer=_ask_user if sys.stdin.isatty() and not yes else None,
            watch=watch,
            execute_notebook=notebook,
            level="brief" if brief else "full",
        )
    if as_json:
        print_json(_jsonable(result))
    else:
        _print_result(result)
    raise typer.Exit(EXIT[result.status])


def settings_with(privacy: str | None) -> "Settings":
    """The settings, with the privacy that the command line names."""
    from cellwright.settings import Settings

    if privacy not in {None, "standard", "strict"}:
        msg = f"--privacy {privacy}: it is 'standard' or 'strict'."
        raise InputError(msg)
    return Settings(privacy="strict") if privacy == "strict" else Settings()


def plan(
    data: Data,
    request: Request,
    model: Model = None,
    *,
    privacy: Privacy = None,
    as_json: AsJson = False,
) -> None:
    """Show the plan for a request, and run nothing."""
    from cellwright.agent.session import plan as make_plan

    with _watching() as watch:
        made = make_plan(data, request, model=model, settings=settings_with(privacy), watch=watch)
    if as_json:
        print_json(_plan_json(made))
    else:
        _print_plan(made)
    raise typer.Exit(0 if made.status == "ready" else EXIT[made.status])


DEMO_REQUEST = (
    "Annotate the cells and compare with the file's own labels, show a UMAP, explain which genes "
    "make the dendritic cells and the B cells, generate 100 B cells and check them, and compute "
    "the RNA velocity"
)


def demo(
    out: Annotated[Path, typer.Option(help="Folder for data and report.")] = Path("demo"),
    model: Model = None,
) -> None:
    """Run the main job on real cells that scanpy ships (700 human blood cells), offline."""
    from cellwright.tools.example import write_example

    out.mkdir(parents=True, exist_ok=True)
    data = out / "pbmc68k_reduced.h5ad"
    write_example(data)
    stdout().print(f'cellwright ask {data} "{DEMO_REQUEST}" --out {out}', soft_wrap=True)
    ask(data, DEMO_REQUEST, out, model, None, yes=True, notebook=True, as_json=False)


def _holds(out: Path, data: Path) -> bool:
    return data.exists() and out.exists() and out.resolve() == data.resolve()


class _watching:
    """Print each step once, with its progress while it works, to stderr."""

    def __enter__(self) -> Any:
        self._console = stderr()
        self._status = self._console.status("starting")
        self._status.start()
        self._said = ""
        return self._event

    def _event(self, event: "Event") -> None:
        where = f"{event.stage} {event.step}".strip()
        share = "" if event.share is None else f" {event.share:4.0%}"
        self._status.update(f"{where}: {event.message}{share}")
        if event.share is None and f"{where}{event.message}" != self._said:
            self._said = f"{where}{event.message}"
            self._console.print(f"[dim]{where:>9}[/dim]  {event.message}", highlight=False)

    def __exit__(self, *_exc: object) -> None:
        self._status.stop()


def _ask_user(question: "Question") -> str:
    stderr().print(question.text)
    for at, choice in enumerate(question.choices, start=1):
        stderr().print(f"  {at}. {choice}", highlight=False)
    return str(typer.prompt("Your answer", default=question.default or None, err=True))


def _plan_json(made: "Plan") -> dict[str, Any]:
    value = made.model_dump(mode="json")
    question = value["question"]
    choices = question["choices"] if question else []
    return {**value, "question": question["text"] if question else None, "choices": choices}


def _jsonable(result: "RunResult") -> dict[str, Any]:
    return {
        "thread": result.thread,
        "status": result.status,
        "plan": _plan_json(result.plan),
        "outcomes": [one.model_dump(mode="json") for one in result.outcomes],
        "ledger": [one.model_dump(mode="json") for one in result.ledger],
        "files": result.files,
    }


def _print_plan(made: "Plan") -> None:
    from rich.markup import escape
    from rich.table import Table

    console = stdout()
    if made.question:
        console.print(f"A question first: {escape(made.question.text)}")
    if made.steps:
        table = Table("step", "tool", "delivers", "asked by")
        for step in made.steps:
            table.add_row(step.id, step.tool, escape(step.delivers), escape(step.asked_by))
        console.print(table)
    for refusal in made.refused:
        why = f"{refusal.reason} {refusal.alternative}"
        console.print(f"Refused: {escape(refusal.ask)}. {escape(why)}")
    _print_unplanned(made)


def _print_unplanned(made: "Plan") -> None:
    from rich.markup import escape

    if made.unplanned:
        said = escape("; ".join(made.unplanned))
        stdout().print(f"Nothing was planned for these words: {said}")


def _print_result(result: "RunResult") -> None:
    from rich.markup import escape
    from rich.table import Table

    console = stdout()
    if result.plan.question:
        console.print(f"Needs an answer first: {escape(result.plan.question.text)}")
        for choice in result.plan.question.choices:
            console.print(f"  - {escape(choice)}", highlight=False)
        console.print("Ask again more precisely, or with --yes to take the default reading.")
        return
    table = Table("asked", "outcome", "why not, and what instead")
    for entry in result.ledger:
        why = f"{entry.reason} {entry.alternative}".strip()
        table.add_row(escape(entry.ask), entry.status, escape(why))
    console.print(table)
    _print_unplanned(result.plan)
    for name, path in result.files.items():
        console.print(f"{name:>15}  {path}", soft_wrap=True)
    console.print(f"{'thread':>15}  {result.thread}")
