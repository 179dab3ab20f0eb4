"""Content-addressed, immutable results: what state, reports and language models refer to by id."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from cellwright.errors import ToolError

ArtifactKind = Literal["anndata", "result", "table", "figure"]
SUFFIX: Mapping[str, str] = {
    "anndata": ".h5ad",
    "result": ".json",
    "table": ".csv",
    "figure": ".png",
}


class ArtifactRef(BaseModel):
    """A small reference to something in the store.

    Attributes:
        id: Kind prefix and content hash, such as ``an_3f9c21d07a8e``.
        kind: What the file is.
        summary: One line for people and language models.
        tool: Name of the tool that made it.
        parents: Ids of the artifacts it was made from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^(an|re|ta|fi)_[0-9a-f]{12}$")
    kind: ArtifactKind
    summary: str
    tool: str = ""
    parents: tuple[str, ...] = ()


class DirectoryStore:
    """Artifacts as files of one folder; each written under a temporary name and renamed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def put_file(
        self,
        kind: ArtifactKind,
        write: Callable[[Path], None],
        summary: str,
        *,
        tool: str = "",
        parents: tuple[str, ...] = (),
    ) -> ArtifactRef:
        """Store what ``write`` writes; the same content gets the same id and is kept once."""
        handle, name = tempfile.mkstemp(dir=self.folder, suffix=f".tmp{SUFFIX[kind]}")
        os.close(handle)
        draft = Path(name)
        try:
            write(draft)
            digest = sha256_file(draft)
            ref = ArtifactRef(
                id=f"{kind[:2]}_{digest[:12]}",
                kind=kind,
                summary=summary,
                tool=tool,
                parents=parents,
            )
            target = self.folder / f"{ref.id}{SUFFIX[kind]}"
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
        self._write_text(self.folder / f"{ref.id}.ref.json", ref.model_dump_json())
        return ref

    def put_json(
        self,
        value: Mapping[str, Any],
        summary: str,
        *,
        tool: str = "",
        parents: tuple[str, ...] = (),
    ) -> ArtifactRef:
        """Store a JSON document as a ``result``."""
        text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)
        return self.put_file(
            "result",
            lambda path: _write(path, text),
            summary,
            tool=tool,
            parents=parents,
        )

    def get_json(self, artifact_id: str) -> dict[str, Any]:
        """Read a ``result`` back."""
        value: dict[str, Any] = json.loads(self.path(artifact_id).read_text(encoding="utf-8"))
        return value

    def path(self, artifact_id: str) -> Path:
        """Path of a stored file."""
        ref = self.describe(artifact_id)
        return self.folder / f"{ref.id}{SUFFIX[ref.kind]}"

    def describe(self, artifact_id: str) -> ArtifactRef:
        """Return the reference of a stored artifact."""
        meta = self.folder / f"{artifact_id}.ref.json"
        if not meta.is_file():
            known = ", ".join(ref.id for ref in self.list()) or "none"
            msg = f"No artifact {artifact_id!r} in this session. Those that exist: {known}."
            raise ToolError(msg)
        return ArtifactRef.model_validate_json(meta.read_text(encoding="utf-8"))

    def list(self) -> list[ArtifactRef]:
        """All references, oldest first."""
        files = sorted(self.folder.glob("*.ref.json"), key=lambda path: path.stat().st_mtime_ns)
        return [ArtifactRef.model_validate_json(path.read_text(encoding="utf-8")) for path in files]

    def _write_text(self, path: Path, text: str) -> None:
        draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        _write(draft, text)
        draft.replace(path)


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
