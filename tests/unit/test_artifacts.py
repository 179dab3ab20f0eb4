import pytest

from cellwright.artifacts import DirectoryStore
from cellwright.errors import ToolError


@pytest.fixture
def store(tmp_path):
    return DirectoryStore(tmp_path)


def test_equal_content_has_one_id_and_comes_back(store):
    first = store.put_json({"a": 1}, "one", tool="t")
    again = store.put_json({"a": 1}, "one", tool="t")
    other = store.put_json({"a": 2}, "two", tool="t")
    assert first.id == again.id != other.id
    assert store.get_json(first.id) == {"a": 1}
    assert {ref.id for ref in store.list()} == {first.id, other.id}


def test_an_unknown_id_lists_those_that_exist(store):
    known = store.put_json({}, "x")
    with pytest.raises(ToolError, match=known.id):
        store.path("re_000000000000")


def test_a_failing_writer_leaves_nothing(store, tmp_path):
    def broken(path):
        path.write_text("half")
        msg = "disk"
        raise OSError(msg)

    with pytest.raises(OSError, match="disk"):
        store.put_file("table", broken, "x")
    assert list(tmp_path.iterdir()) == []
