import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import BertConfig, BertModel, BertTokenizerFast

from cellwright.cellmodel.modeling.ask_tagger import AskTagger, TaggerConfig
from cellwright.cellmodel.training.ask_tagger import TaggedText, TaggerRecipe, train_tagger
from cellwright.errors import WeightsError

CONFIG = TaggerConfig(heads={"intent": ("draw", "count")}, tokens={"[GENE]": "count", "세": ""})
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "draw", "count", "and", "of", ",", "now"]


@pytest.fixture
def minilm(tmp_path: Path) -> Path:
    """A tiny encoder in MiniLM's form."""
    torch.manual_seed(0)
    folder = tmp_path / "minilm"
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    BertModel(BertConfig(vocab_size=len(WORDS), intermediate_size=64, **shape)).save_pretrained(
        folder
    )
    return folder


def draw(rng) -> TaggedText:
    """'draw of X and count X' in random order: each verb starts an ask of its own kind.

    A name behind 'of' is that of the ask behind it, not of its own.
    """
    verbs = [rng.choice(["draw", "count"]) for _ in range(rng.randint(1, 3))]
    text, starts = f"{verbs[0]} of [GENE]", []
    for verb in verbs[1:]:
        text += " and "
        starts.append(len(text))
        text += f"{verb} [GENE]"
    places = [at for at in range(len(text)) if text[at] == "["]
    about = {
        (ask, at): (ask == own) != (text[at - 3 : at] == "of ")
        for own, at in enumerate(places)
        for ask in (own, own + 1)
        if ask < len(verbs)
    }
    answers = tuple({"intent": frozenset({verb})} for verb in verbs)
    return TaggedText(text=text, before="now", starts=tuple(starts), answers=answers, about=about)


def test_a_tagger_learns_where_asks_start_and_what_they_are_for(
    minilm: Path, tmp_path: Path
) -> None:
    tagger = train_tagger(
        minilm, CONFIG, draw, TaggerRecipe(steps=150, batch=16, rate=1e-2, first=200)
    )
    tagger.save(tmp_path / "kept", minilm)
    text = "draw of [GENE] and count [GENE]"
    for one in (tagger, AskTagger.load(minilm, tmp_path / "kept")):
        first, second = one.tag(text, "now")
        assert text[first.start : first.end] == "draw of [GENE] and "
        assert text[second.start : second.end] == "count [GENE]"
        assert first.shares["intent"]["draw"] > 0.5
        assert second.shares["intent"]["count"] > 0.5
        assert first.about[8] < 0.5 < second.about[8]
        assert second.about[25] > 0.5


def test_added_tokens_are_single_and_begin_an_ask_anywhere(minilm: Path) -> None:
    read = AskTagger.fresh(minilm, CONFIG).encode("[GENE]세세 drawdraw", "count")
    assert sum(read.names) == 1
    whole = [start for start, one in zip(read.starts, read.whole, strict=True) if one]
    assert whole == [0, 6, 7, 9]
    assert len(read.ids) == len(read.starts) == len(read.whole) == len(read.names)


def test_an_empty_text_asks_nothing(minilm: Path) -> None:
    assert AskTagger.fresh(minilm, CONFIG).tag("") == []


def test_what_cannot_be_read_says_so(minilm: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="MiniLM cannot be read"):
        AskTagger.fresh(tmp_path / "nowhere", CONFIG)
    with pytest.raises(WeightsError, match="No trained tagger"):
        AskTagger.load(minilm, tmp_path)


def test_training_goes_on_from_a_part_with_fewer_classes_and_tokens(
    minilm: Path, tmp_path: Path
) -> None:
    first = train_tagger(minilm, CONFIG, draw, TaggerRecipe(steps=2, batch=4, first=50))
    first.save(tmp_path / "first", minilm)
    more = TaggerConfig(
        heads={"intent": ("none", "count", "draw")}, tokens={**CONFIG.tokens, "図": ""}
    )
    recipe = TaggerRecipe(steps=1, batch=4, rate=0.0, first=50)
    second = train_tagger(minilm, more, draw, recipe, start=tmp_path / "first")
    for at, name in ((1, "count"), (2, "draw")):
        row = CONFIG.heads["intent"].index(name)
        torch.testing.assert_close(
            second.heads["intent"].weight[at], first.heads["intent"].weight[row], atol=1e-3, rtol=0
        )
    torch.testing.assert_close(second.added.weight[:2], first.added.weight, atol=1e-3, rtol=0)


def test_layers_are_kept_as_differences_in_8_bits(minilm: Path, tmp_path: Path) -> None:
    trained = train_tagger(minilm, CONFIG, draw, TaggerRecipe(steps=20, batch=4, first=50))
    trained.save(tmp_path / "kept", minilm)
    stored = load_file(tmp_path / "kept" / "ask_tagger.safetensors")
    layers = {name: one for name, one in stored.items() if name.startswith("encoder.")}
    assert {one.dtype for one in layers.values() if one.dim() > 1} == {torch.int8, torch.float32}
    again, fresh = AskTagger.load(minilm, tmp_path / "kept"), AskTagger.fresh(minilm, CONFIG)
    for name, one in trained.trained().items():
        if name.startswith("encoder.") and one.dim() > 1:
            changed = (one - fresh.trained()[name]).abs().max()
            assert changed > 0
            torch.testing.assert_close(
                again.trained()[name], one, atol=float(changed) / 200, rtol=0
            )


def test_a_part_trained_for_another_encoder_is_told(minilm: Path, tmp_path: Path) -> None:
    AskTagger.fresh(minilm, CONFIG).save(tmp_path / "kept", minilm)
    other = tmp_path / "other"
    shutil.copytree(minilm, other)
    shape = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    BertModel(BertConfig(vocab_size=len(WORDS), intermediate_size=64, **shape)).save_pretrained(
        other
    )
    with pytest.raises(WeightsError, match="for another encoder"):
        AskTagger.load(other, tmp_path / "kept")


def test_a_killed_run_goes_on_with_the_same_texts(minilm: Path, tmp_path: Path) -> None:
    recipe = TaggerRecipe(steps=20, batch=4, first=50)
    whole = train_tagger(minilm, CONFIG, draw, recipe)

    def stop(step: int, _steps: int, _loss: float) -> None:
        if step == 17:
            raise KeyboardInterrupt

    kept = tmp_path / "kept" / "tagger.pt"
    with pytest.raises(KeyboardInterrupt):
        train_tagger(minilm, CONFIG, draw, recipe, kept=kept, progress=stop)
    taken: list[int] = []
    again = train_tagger(
        minilm, CONFIG, draw, recipe, kept=kept, progress=lambda step, *_: taken.append(step)
    )
    assert taken[0] == 17
    for name, one in whole.trained().items():
        torch.testing.assert_close(again.trained()[name], one)
