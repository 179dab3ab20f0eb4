"""``cellwright chat``: a conversation about a data set; each turn builds on those before it."""

import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cellwright.cli.agent import Data, Model, Privacy, _ask_user, _watching, settings_with
from cellwright.cli.console import complain, stdout
from cellwright.errors import CellwrightError, InputError

if TYPE_CHECKING:
    from cellwright.agent.session import RunResult
    from cellwright.settings import Settings

HELP = "/branch NAME goes on beside this line, /thread ID takes up another, /quit ends."


def chat(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for the reports, one for each turn.")] = Path(
        "chat"
    ),
    model: Model = None,
    thread: Annotated[str | None, typer.Option(help="Go on with this thread.")] = None,
    privacy: Privacy = None,
) -> None:
    """Talk about a data set: 'annotate the cells', 'now only the T cells', 'why not monocytes?'."""
    if not data.exists():
        msg = f"{data}: no such file."
        raise InputError(msg)
    line = _Line(data, out, model, thread or f"t-{secrets.token_hex(4)}", settings_with(privacy))
    console = stdout()
    asked = sys.stdin.isatty()
    if asked:
        console.print(f"Thread {line.thread}. {HELP}", highlight=False)
    while True:
        if asked:
            console.print("> ", end="")
        said = sys.stdin.readline()
        if not said or said.strip() == "/quit":
            console.print(f"thread {line.thread}", highlight=False)
            return
        if said.strip():
            line.take(said.strip())


class _Line:
    """One line of a conversation."""

    def __init__(
        self, data: Path, out: Path, model: str | None, thread: str, settings: "Settings"
    ) -> None:
        self._data, self._out, self._model, self._settings = data, out, model, settings
        self.thread = thread

    def take(self, said: str) -> None:
        """Answer one line; an error is told and does not end the conversation."""
        try:
            if said.startswith("/"):
                self._command(said)
            else:
                self._ask(said)
        except CellwrightError as error:
            complain(str(error))

    def _command(self, said: str) -> None:
        from cellwright.agent.session import branch

        word, _, rest = said.partition(" ")
        if word == "/branch" and rest.strip():
            self.thread = branch(self.thread, rest.strip())
        elif word == "/thread" and rest.strip():
            self.thread = rest.strip()
        else:
            msg = f"No command '{said}'. {HELP}"
            raise InputError(msg)
        stdout().print(f"thread {self.thread}", highlight=False)

    def _ask(self, said: str) -> None:
        from cellwright.agent.session import ask

        turn = 1
        while (self._out / f"{self.thread}-{turn}").exists():
            turn += 1
        with _watching() as watch:
            result = ask(
                self._data,
                said,
                out=self._out / f"{self.thread}-{turn}",
                model=self._model,
                thread=self.thread,
                settings=self._settings,
                answer=_ask_user if sys.stdin.isatty() else None,
                watch=watch,
                execute_notebook=False,
            )
        _tell(result)


def _tell(result: "RunResult") -> None:
    """The findings in short, what was not done, and where the report is."""
    from rich.markup import escape

    console = stdout()
    if result.plan.question:
        question = result.plan.question
        console.print(escape(question.text))
        for at, choice in enumerate(question.choices, start=1):
            console.print(f"  {at}. {escape(choice)}", highlight=False)
        return
    for said in result.answer:
        console.print(f"- {escape(said)}", highlight=False)
    for entry in result.ledger:
        if entry.status != "done":
            why = f"{entry.reason} {entry.alternative}".strip()
            console.print(f"- {entry.status}: {escape(entry.ask)}. {escape(why)}", highlight=False)
    report = result.files.get("report.html")
    if report:
        console.print(f"  {report}", soft_wrap=True, highlight=False)
