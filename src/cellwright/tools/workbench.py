"""The workbench: one data set, its artifacts and the models, on which tools are run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from cellwright.artifacts import ArtifactRef, DirectoryStore
from cellwright.errors import RefusedError, ToolError
from cellwright.settings import Settings
from cellwright.tools.spec import ToolArgs, ToolResult, ToolSpec, complaint

if TYPE_CHECKING:
    from anndata import AnnData

    from cellwright.cellmodel.inference import CellModel
    from cellwright.knowledge import Knowledge
    from cellwright.tools.passport import Passport

CLUSTERS = "cellwright_leiden"
"""Column of obs with the clusters that ``preprocess_dataset`` makes."""

EMBEDDING = "X_cellwright_umap"
"""Key of obsm with the UMAP that ``preprocess_dataset`` makes."""

Progress = Callable[[str, float | None], None]


def silent(_message: str, _share: float | None = None) -> None:
    """A progress callback that says nothing."""


class Workbench:
    """Runs tools on one data set and keeps what they make.

    ``data`` is the current AnnData artifact: a tool that changes cells makes a new artifact and
    ``run`` moves ``data`` on to it. Models and knowledge are loaded when a tool first asks.

    Example:
        >>> bench = Workbench.open("pbmc.h5ad")                               # doctest: +SKIP
        >>> bench.run("annotate_cells", level="cell").groups                  # doctest: +SKIP

    Attributes:
        store: Where artifacts are kept.
        settings: Deployment settings.
        passport: What the data set is; None without data.
        data: Reference of the current AnnData; None without data.
        progress: Called with a message and a share between 0 and 1 (or None) during work; what it
            raises ends the tool, which is how a call is cancelled.
        lock: Held while a tool runs, so that threads that share the workbench take turns.
    """

    def __init__(
        self,
        store: DirectoryStore,
        settings: Settings,
        *,
        passport: Passport | None = None,
        data: ArtifactRef | None = None,
        progress: Progress = silent,
        models: Workbench | None = None,
    ) -> None:
        self.store = store
        self.settings = settings
        self.passport = passport
        self.data = data
        self.progress = progress
        self.lock = threading.RLock()
        self._models = models
        self._opened: tuple[str, AnnData] | None = None

    @classmethod
    def open(
        cls,
        path: str | Path | AnnData | None,
        *,
        folder: Path | None = None,
        settings: Settings | None = None,
        progress: Progress = silent,
        models: Workbench | None = None,
    ) -> Workbench:
        """Open a data file (any format that ``cellwright describe`` reads) on a fresh workbench.

        Args:
            path: The user's file, or cells in memory; None for tools that need no cells. It is
                never written to.
            folder: Where artifacts go; a folder in the cache when None.
            settings: Deployment settings; from the environment when None.
            progress: Progress callback.
            models: A workbench whose knowledge and cell model this one takes, so that a process
                loads them once; its own when None.

        Raises:
            InputError: The file cannot be read as cells by genes.
        """
        from cellwright.tools.in_memory import written
        from cellwright.tools.intake import intake

        settings = settings or Settings()
        store = DirectoryStore(folder or settings.cache_dir / "artifacts")
        bench = cls(store, settings, progress=progress, models=models)
        if path is not None:
            with written(path) as file:
                bench.passport, bench.data = intake(file, bench)
        return bench

    @cached_property
    def knowledge(self) -> Knowledge:
        """The knowledge store, opened on first use."""
        if self._models is not None:
            with self._models.lock:
                return self._models.knowledge
        from cellwright.knowledge import Knowledge

        return Knowledge.open(self.settings)

    @cached_property
    def cell_model(self) -> CellModel:
        """The cell model, loaded on first use."""
        if self._models is not None:
            with self._models.lock:
                return self._models.cell_model
        from cellwright.cellmodel.inference import CellModel

        return CellModel.load(self.settings, embed=self.knowledge.embed)

    def adata(self) -> AnnData:
        """A copy of the current AnnData, free to change.

        Raises:
            ToolError: There is no data set on this workbench.
        """
        return self._current().copy()

    def put_adata(self, adata: AnnData, summary: str, *, tool: str) -> ArtifactRef:
        """Store a changed AnnData as a child of the current one."""
        parents = (self.data.id,) if self.data else ()
        ref = self.store.put_file(
            "anndata",
            lambda path: adata.write_h5ad(path, compression="lzf"),
            summary,
            tool=tool,
            parents=parents,
        )
        self._opened = (ref.id, adata)
        return ref

    @staticmethod
    def spec(name: str) -> ToolSpec[Any, Any]:
        """Look a tool up by name.

        Raises:
            ToolError: No tool has this name; the message lists those that exist.
        """
        from cellwright.tools.registry import ALL_TOOLS

        for spec in ALL_TOOLS:
            if spec.name == name:
                return spec
        msg = f"No tool {name!r}. Tools: {', '.join(spec.name for spec in ALL_TOOLS)}."
        raise ToolError(msg)

    def validate(self, name: str, args: Mapping[str, Any]) -> ToolArgs:
        """Parse a tool's arguments.

        Raises:
            ToolError: An argument is missing, unknown or out of range.
        """
        try:
            parsed: ToolArgs = self.spec(name).args.model_validate(args)
        except ValidationError as error:
            raise ToolError(complaint(name, error)) from error
        return parsed

    def run(self, name: str, **args: Any) -> Any:
        """Run a tool and move ``data`` on to what it made.

        Raises:
            RefusedError: The tool's applicability gate says no.
            ToolError: The arguments are wrong, preparation is missing, or the tool cannot do
                what was asked.
        """
        from cellwright.tools.gates import check, missing_preparation

        with self.lock:
            spec, parsed = self.spec(name), self.validate(name, args)
            verdict = check(spec, parsed, self.passport, self)
            if verdict.outcome == "refuse":
                raise RefusedError(verdict.reason, verdict.alternative)
            missing = missing_preparation(spec, parsed, self.passport)
            if missing:
                msg = f"{name} needs {' and '.join(sorted(missing))}: run preprocess_dataset first."
                raise ToolError(msg)
            result: ToolResult = spec.run(parsed, self)
            if result.data is not None:
                self.data = result.data
                self.refresh()
            return result

    def refresh(self) -> None:
        """Bring the passport up to what the current data holds beyond the user's file."""
        if self.passport is None or self.data is None:
            return
        from cellwright.tools.columns import made_columns

        adata = self._current()
        made = made_columns(adata.obs)
        own = tuple(one for one in self.passport.columns if one.name not in {m.name for m in made})
        prepared = set(self.passport.prepared)
        prepared |= {"clusters"} if CLUSTERS in adata.obs else set()
        prepared |= {"umap"} if EMBEDDING in adata.obsm else set()
        self.passport = self.passport.model_copy(
            update={"columns": own + made, "prepared": frozenset(prepared)}
        )

    def forget(self) -> None:
        """Let go of the cells in memory; they are read again when a tool needs them."""
        with self.lock:
            self._opened = None

    def _current(self) -> AnnData:
        """The current AnnData itself, not to be changed."""
        if self.data is None:
            msg = "This needs cells, and no data file was given."
            raise ToolError(msg)
        if self._opened is None or self._opened[0] != self.data.id:
            import anndata

            self._opened = (self.data.id, anndata.read_h5ad(self.store.path(self.data.id)))
        return self._opened[1]
