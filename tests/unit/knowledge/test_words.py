from pathlib import Path

import numpy as np

from cellwright.knowledge.words import WordIndex

TEXTS = ["insulin is a hormone of beta cells", "glucagon, a hormone of alpha cells", "keratin", ""]


def test_rare_words_count_more() -> None:
    scores = WordIndex.of(TEXTS).scores("the insulin hormones")
    assert scores[0] > scores[1] > 0
    assert scores[2] == scores[3] == 0


def test_spelling_and_endings_do_not_matter() -> None:
    index = WordIndex.of(["oestrogen receptor of tumours", "other"])
    assert index.scores("estrogens in a tumor")[0] > 0.5


def test_unknown_words_find_nothing() -> None:
    assert not WordIndex.of(TEXTS).scores("xylophone").any()


def test_an_index_survives_the_disk(tmp_path: Path) -> None:
    index = WordIndex.of(TEXTS)
    index.save(tmp_path / "words.npz")
    kept = WordIndex.load(tmp_path / "words.npz")
    assert np.allclose(
        kept.scores("hormone of alpha cells"), index.scores("hormone of alpha cells")
    )
