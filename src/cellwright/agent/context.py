"""What a run is given that no checkpoint keeps: settings, folders, models and callbacks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cellwright.artifacts import ArtifactRef, DirectoryStore
from cellwright.errors import WeightsError
from cellwright.settings import Settings
from cellwright.tools.passport import Passport
from cellwright.tools.workbench import Workbench, silent

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from cellwright.agent.privacy import Ledger
    from cellwright.agent.reader import Reader
    from cellwright.agent.state import State


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened, for whoever watches a run.

    Attributes:
        stage: Node of the graph.
        message: What is being done, in words.
        step: Id of the plan step, where there is one.
        share: Progress between 0 and 1, where it is known.
    """

    stage: str
    message: str
    step: str = ""
    share: float | None = None


def _ignore(_event: Event) -> None:
    """Watch nothing."""


@dataclass(kw_only=True)
class Context:
    """Per-run context of the graph (its ``context_schema``).

    Attributes:
        settings: Deployment settings.
        folder: Where this thread's artifacts live; a folder of the cache when None.
        out: Where the report goes; None writes none.
        models: A workbench whose knowledge and cell model are taken; None loads own ones.
        model: Chat model that plans; None makes the one that the settings name.
        take_defaults: Take the default reading of an unclear request instead of asking.
        execute_notebook: Run the report's notebook, so that it carries its own outputs.
        level: How much the report says.
        watch: Called with every event.
        ledger: What a remote model was sent; None where there is none.
        cancelled: The user has stopped the run: steps that are left are not run, the report is.
    """

    settings: Settings = field(default_factory=Settings)
    folder: Path | None = None
    out: Path | None = None
    models: Workbench | None = None
    model: BaseChatModel | None = None
    take_defaults: bool = False
    execute_notebook: bool = True
    level: Literal["brief", "full"] = "full"
    watch: Callable[[Event], None] = _ignore
    cancelled: bool = False
    ledger: Ledger | None = None
    _stage: list[tuple[str, str]] = field(default_factory=lambda: [("intake", "")])

    @cached_property
    def _bench(self) -> Workbench:
        folder = self.folder or self.settings.cache_dir / "artifacts"
        store = DirectoryStore(folder)
        return Workbench(store, self.settings, progress=silent, models=self.models)

    def bench(self, state: State) -> Workbench:
        """The workbench of this run, at the data set that the state points to."""
        bench = self._bench
        passport, data = state.get("passport"), state.get("data")
        bench.passport = Passport.model_validate(passport) if passport else None
        bench.data = ArtifactRef.model_validate(data) if data else None
        bench.progress = self._progress
        return bench

    def planner(self) -> BaseChatModel:
        """The chat model that plans; what a remote one is sent is written down."""
        from cellwright.agent.privacy import LOCAL, Ledger

        if self.model is None:
            from cellwright.agent.planner import choose_model

            self.model = choose_model(self.settings, self.settings.model)
        if self.ledger is None and self.model._llm_type not in LOCAL:
            from cellwright.agent.planner import model_name

            self.ledger = Ledger(model_name(self.model))
            known = self.model.callbacks
            self.model.callbacks = [*(known if isinstance(known, list) else []), self.ledger]
        return self.model

    def reader(self) -> Reader | None:
        """What parts requests for a model that has no reader of its own; None without MiniLM."""
        from cellwright.agent.planner import packaged_reader

        try:
            return packaged_reader(self.settings)
        except WeightsError:
            return None

    @property
    def sent(self) -> list[dict[str, Any]]:
        """What has left the machine in this process, message by message."""
        return list(self.ledger.entries) if self.ledger else []

    def say(self, stage: str, message: str, step: str = "", share: float | None = None) -> None:
        """Tell whoever watches, and remember where progress of a tool belongs."""
        self._stage[0] = (stage, step)
        self.watch(Event(stage=stage, message=message, step=step, share=share))

    def _progress(self, message: str, share: float | None = None) -> None:
        stage, step = self._stage[0]
        self.watch(Event(stage=stage, message=message, step=step, share=share))
