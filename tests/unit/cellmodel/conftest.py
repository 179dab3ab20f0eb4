from collections.abc import Iterator

import pytest

from cellwright.cellmodel.instructions import pool


@pytest.fixture(scope="package", autouse=True)
def small_pools() -> Iterator[None]:
    """Pools of wordings that are made in a moment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "POOL_SIZES", {"english": 200, "korean": 120, "chinese": 120})
        yield
