"""Deployment settings: built once at the edge (shell, Studio, Python) and passed down."""

from pathlib import Path
from typing import Literal

from platformdirs import user_cache_path
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Settings from arguments, then ``CELLWRIGHT_*`` variables, then defaults."""

    model_config = SettingsConfigDict(
        env_prefix="CELLWRIGHT_", env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    cache_dir: Path = Field(
        default_factory=lambda: user_cache_path("cellwright"),
        description="Where base weights and the knowledge store are kept.",
    )
    model: str = Field(
        default="embedded",
        description="Language model that plans: 'embedded', or 'provider:name'.",
    )
    privacy: Literal["standard", "strict"] = Field(
        default="standard",
        description="'strict' sends no column name and no value of the data to a remote model; "
        "expression values are never sent.",
    )
    price: tuple[float, float] | None = Field(
        default=None,
        description="Price of a million tokens in and out, to have costs in run.json.",
    )
    checkpoint: Path | None = Field(
        default=None, description="Cell model checkpoint folder; None takes the packaged one."
    )
    offline: bool = Field(
        default=False, description="Never try to fetch weights; fail with the command that would."
    )
    seed: int = Field(default=0, description="Seed of every random draw.")
    threads: int = Field(default=0, description="CPU threads for the models; 0 takes all cores.")

    @property
    def weights_dir(self) -> Path:
        """Folder of the fetched base weights."""
        return self.cache_dir / "weights"

    @property
    def data_dir(self) -> Path:
        """Folder of cells that Python packages carry, made into files."""
        return self.cache_dir / "data"

    @property
    def knowledge_dir(self) -> Path:
        """Folder of the Chroma store, built on first use."""
        return self.cache_dir / "knowledge"

    @property
    def threads_db(self) -> Path:
        """SQLite file of the agent's checkpointed threads."""
        return self.cache_dir / "threads.sqlite"
