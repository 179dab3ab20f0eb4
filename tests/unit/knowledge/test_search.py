from pathlib import Path

import numpy as np
import pytest

from cellwright.errors import InputError
from cellwright.knowledge import Knowledge
from cellwright.settings import Settings


@pytest.mark.weights
def test_embedding_is_unit_length_and_knows_meaning() -> None:
    knowledge = Knowledge.open(Settings())
    vectors = knowledge.embed(["insulin secretion", "beta cell hormone release", "bone growth"])
    assert vectors.shape == (3, 384)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
    assert knowledge.embed([]).shape == (0, 384)


@pytest.mark.weights
def test_search_finds_names_words_and_meaning(tmp_path: Path) -> None:
    weights = Settings()
    settings = weights.model_copy(update={"cache_dir": tmp_path})
    (tmp_path / "weights").symlink_to(weights.weights_dir, target_is_directory=True)
    knowledge = Knowledge.open(settings)
    assert knowledge.search("GCG")[0].record_id.startswith("GCG")
    assert knowledge.search("Tarceva")[0].kind == "drug"
    assert knowledge.search("NK cells", kind="cell_type")[0].record_id == "CL:0000623"
    found = knowledge.search("cells of the pancreas that secrete insulin", kind="cell_type")
    assert "CL:0000169" in [one.record_id for one in found]
    assert all(one.cite() for one in found)
    hit = knowledge.search_ids("receptor that erlotinib blocks", kind="gene")
    assert "gene/EGFR" in hit
    mouse = knowledge.search("glucagon", kind="gene", species="mouse")
    assert mouse[0].record_id.startswith("Gcg")


def test_empty_queries_are_refused() -> None:
    with pytest.raises(InputError, match="empty"):
        Knowledge.open(Settings()).search("  ")
