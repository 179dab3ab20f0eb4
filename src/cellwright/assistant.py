"""The agent from Python: ask about a data set, watch it work, follow up."""

from __future__ import annotations

import queue
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from cellwright.agent.context import Event
from cellwright.agent.plan import Plan, Question
from cellwright.agent.session import BRANCH, RunResult, Watch, ask, branch, data_of, plan
from cellwright.agent.shown import Finding, Picture, findings_of
from cellwright.artifacts import DirectoryStore
from cellwright.settings import Settings
from cellwright.tools.export import ROWS
from cellwright.tools.in_memory import NAME, add_made, write_light

if TYPE_CHECKING:
    from anndata import AnnData
    from langchain_core.language_models import BaseChatModel

__all__ = ["Answer", "Assistant", "Event"]


@dataclass(frozen=True)
class Answer:
    """What came of a request.

    Attributes:
        run: How the run ended: plan, outcomes, what became of each part, files of the report.
        findings: What each step found that was asked for, in order.
    """

    run: RunResult
    findings: tuple[Finding, ...] = ()

    @property
    def figures(self) -> tuple[Picture, ...]:
        """Figures made, in order."""
        return tuple(one for finding in self.findings for one in finding.figures)

    @property
    def status(self) -> str:
        """``done``, ``failed``, ``refused`` or ``needs_clarification``."""
        return self.run.status

    @property
    def text(self) -> str:
        """The answer in words: findings with their caveats, then what was not done and why."""
        return "\n".join([*(one.brief for one in self.findings), *self._not_done()])

    @property
    def question(self) -> Question | None:
        """What must be answered first, with ``Assistant.reply``; usually None."""
        return self.run.plan.question if self.status == "needs_clarification" else None

    def _not_done(self) -> list[str]:
        if self.question:
            return [self.question.text, *(f"- {one}" for one in self.question.choices)]
        return [
            f"{entry.ask}: {entry.status}. {entry.reason} {entry.alternative}".strip()
            for entry in self.run.ledger
            if entry.status != "done"
        ]

    def __repr__(self) -> str:
        return self.text or self.status

    def _repr_html_(self) -> str:
        parts = [f"<p><b>{escape(one)}</b></p>" for one in self._not_done()]
        parts += [one._repr_html_() for one in self.findings]
        rows = "".join(
            f"<tr><td>{escape(one.ask)}</td><td>{escape(one.status)}</td></tr>"
            for one in self.run.ledger
        )
        if rows:
            parts.append(f"<table><tr><th>asked</th><th>outcome</th></tr>{rows}</table>")
        return "\n".join(parts)


class Assistant:
    """A conversation with the agent about one data set.

    Every request builds on what the ones before it made; the thread outlives the process, and
    another assistant goes on with it by its name.

    Example:
        >>> assistant = Assistant("cells.h5ad")                               # doctest: +SKIP
        >>> assistant.ask("annotate the cells and show a UMAP")               # doctest: +SKIP
        >>> assistant.ask("now only the T cells")                             # doctest: +SKIP

    Attributes:
        thread: Name of the thread.
    """

    def __init__(
        self,
        data: AnnData | str | Path | None,
        *,
        model: BaseChatModel | str | None = None,
        thread: str | None = None,
        settings: Settings | None = None,
    ) -> None:
        """Start, or go on with, a conversation.

        Args:
            data: A data file, cells in memory as they are now, or None for questions that need no
                cells. Neither is changed.
            model: A chat model, or ``provider:name``; None takes the settings' model.
            thread: Thread to go on with; a new one when None.
            settings: Deployment settings; from the environment when None.

        Raises:
            InputError: The AnnData cannot be written for the agent to read.
        """
        self._settings = settings or Settings()
        self._model = model
        self._given = data
        self._asked = ""
        self._out: str | Path | None = None
        self.thread = thread or f"t-{secrets.token_hex(4)}"
        self._path = self._file(data)

    def ask(
        self,
        request: str,
        *,
        out: str | Path | None = None,
        yes: bool = False,
        watch: Watch | None = None,
    ) -> Answer:
        """Answer a request in plain language.

        Args:
            request: What is wanted, in words.
            out: Folder of a report; None writes none.
            yes: Take the default reading of an unclear request instead of asking back.
            watch: Called with every event.

        Raises:
            InputError: The file cannot be read, or the request is empty.
        """
        return self._run(request, out, watch, yes=yes, said=None)

    def reply(self, said: str, *, watch: Watch | None = None) -> Answer:
        """Answer the question that the last request led to, and go on with that request."""
        return self._run(self._asked, self._out, watch, yes=False, said=said)

    def stream(
        self, request: str, *, out: str | Path | None = None, yes: bool = False
    ) -> Iterator[Event | Answer]:
        """Answer a request while telling each step: events as they happen, then the answer.

        Args:
            request: What is wanted, in words.
            out: Folder of a report; None writes none.
            yes: Take the default reading of an unclear request instead of asking back.

        Raises:
            InputError: The file cannot be read, or the request is empty.
        """
        told: queue.Queue[Event | Answer | BaseException] = queue.Queue()

        def work() -> None:
            try:
                told.put(self._run(request, out, told.put, yes=yes, said=None))
            except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
                told.put(error)

        threading.Thread(target=work, daemon=True, name="cellwright-assistant").start()
        while True:
            one = told.get()
            if isinstance(one, BaseException):
                raise one
            yield one
            if isinstance(one, Answer):
                return

    def plan(self, request: str) -> Plan:
        """The reviewed plan for a request; nothing is run."""
        return plan(self._path, request, model=self._model, settings=self._settings)

    def branch(self, name: str) -> Assistant:
        """Another conversation that starts from where this one stands."""
        made = branch(self.thread, name, settings=self._settings)
        return Assistant(
            self._path or None, model=self._model, thread=made, settings=self._settings
        )

    def adata(self) -> AnnData:
        """The cells as given, with the columns that the conversation has added so far.

        Raises:
            InputError: The conversation is about no data.
        """
        from cellwright.errors import InputError
        from cellwright.knowledge import Knowledge
        from cellwright.tools.readers import read_cells

        if self._path is None:
            msg = "This conversation is about no data file: give one to Assistant."
            raise InputError(msg)
        if isinstance(self._given, str | Path):
            genes = Knowledge.open(self._settings).genes
            cells = read_cells(self._path, lambda names: genes.identify(list(names)).coverage)
        else:
            cells = self._given.copy()  # type: ignore[union-attr] # it has a path, so it is data
        working = self._working()
        if working is not None:
            rows = working.uns.pop(ROWS, None)
            cells = cells if rows is None else cells[rows].copy()
            add_made(cells, working)
        return cells

    def _run(
        self,
        request: str,
        out: str | Path | None,
        watch: Watch | None,
        *,
        yes: bool,
        said: str | None,
    ) -> Answer:
        self._asked, self._out = request, out
        run = ask(
            self._path,
            request,
            out=out,
            model=self._model,
            thread=self.thread,
            yes=yes,
            settings=self._settings,
            answer=None if said is None else lambda _question: said,
            watch=watch,
            execute_notebook=out is not None,
        )
        return Answer(run, findings_of(run.plan, run.outcomes, self._store()))

    def _working(self) -> AnnData | None:
        """The working copy that the thread stands at, if it has begun."""
        import anndata

        ref = data_of(self.thread, settings=self._settings)
        return anndata.read_h5ad(self._store().path(ref.id)) if ref else None

    def _store(self) -> DirectoryStore:
        return DirectoryStore(self._folder())

    def _folder(self) -> Path:
        root = self.thread.split(BRANCH, maxsplit=1)[0]
        return self._settings.cache_dir / "threads" / root

    def _file(self, data: AnnData | str | Path | None) -> Path | None:
        if data is None or isinstance(data, str | Path):
            return None if data is None else Path(data)
        folder = self._folder()
        folder.mkdir(parents=True, exist_ok=True)
        write_light(data, folder / NAME)
        return folder / NAME
