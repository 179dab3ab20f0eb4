import statistics
import subprocess
import sys

import pytest

import cellwright


def measured(code: str) -> float:
    """Seconds that a statement takes in a fresh interpreter, the interpreter's own start apart."""
    probe = f"import time; t = time.perf_counter(); {code}; print(time.perf_counter() - t)"
    runs = [
        float(subprocess.check_output([sys.executable, "-c", probe], text=True)) for _ in range(3)
    ]
    return statistics.median(runs)


def test_import_is_quick():
    assert measured("import cellwright") < 0.5


def test_import_brings_nothing_heavy():
    probe = (
        "import sys, cellwright; print(sorted({'torch', 'numpy', 'pandas', 'anndata', 'scanpy', "
        "'langgraph', 'langchain_core', 'pydantic', 'mcp', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", probe], text=True).strip() == "[]"


@pytest.mark.parametrize("name", cellwright.__all__)
def test_every_public_name_is_there(name):
    assert getattr(cellwright, name) is not None
    assert name in dir(cellwright)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_thing"):
        cellwright.no_such_thing  # noqa: B018 - looking it up is the test
