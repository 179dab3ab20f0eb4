"""What every test shares: a cache of its own, no network, no leftovers."""

import os
from pathlib import Path

import pytest
from platformdirs import user_cache_path

from cellwright.settings import Settings

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of this test run; base weights are shared with the user's, and only read."""
    real = Path(os.environ.get("CELLWRIGHT_CACHE_DIR", user_cache_path("cellwright")))
    folder = tmp_path_factory.mktemp("cache")
    (real / "weights").mkdir(parents=True, exist_ok=True)
    (folder / "weights").symlink_to(real / "weights")
    os.environ["CELLWRIGHT_CACHE_DIR"] = str(folder)
    os.environ.setdefault("CELLWRIGHT_OFFLINE", "1")
    return folder


@pytest.fixture
def settings(cache: Path) -> Settings:
    return Settings(cache_dir=cache)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    weights = Path(os.environ.get("CELLWRIGHT_CACHE_DIR", user_cache_path("cellwright")), "weights")
    have_weights = (weights / "smollm2").is_dir() and (weights / "minilm").is_dir()
    for item in items:
        if "network" in item.keywords and not os.environ.get("CELLWRIGHT_TEST_NETWORK"):
            item.add_marker(pytest.mark.skip(reason="set CELLWRIGHT_TEST_NETWORK=1 to run"))
        if "weights" in item.keywords and not have_weights:
            item.add_marker(pytest.mark.skip(reason="run 'cellwright models pull' first"))
        if "data" in item.keywords and not SHARED.is_dir():
            item.add_marker(pytest.mark.skip(reason=f"{SHARED} is missing"))
