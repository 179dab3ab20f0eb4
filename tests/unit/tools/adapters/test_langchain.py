import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from cellwright.tools.adapters.langchain import langchain_tools
from cellwright.tools.registry import ALL_TOOLS
from tests.unit.tools.factory import make_adata, make_bench


@pytest.fixture(scope="module")
def tools(tmp_path_factory):
    bench = make_bench(make_adata(), tmp_path_factory.mktemp("bench"))
    return {tool.name: tool for tool in langchain_tools(bench)}


def asked(tools, name, **args):
    return tools[name].invoke({"type": "tool_call", "id": "1", "name": name, "args": args})


def test_every_tool_is_there_with_its_own_words(tools):
    assert list(tools) == [spec.name for spec in ALL_TOOLS]
    for spec in ALL_TOOLS:
        assert tools[spec.name].description == spec.description
        assert set(tools[spec.name].args) == set(spec.args.model_fields)


def test_the_answer_is_json_and_carries_the_typed_result(tools):
    said = asked(tools, "find_markers", n_genes=2)
    assert said.status == "success"
    assert json.loads(said.content)["n_groups"] == len(said.artifact.groups) == 3


def test_mistakes_come_back_as_answers_with_the_next_step(tools):
    assert "cell_type" in asked(tools, "find_markers", group_by="nope").content
    wrong = asked(tools, "find_markers", n_genes=-1, foo=1)
    assert wrong.status == "error"
    assert wrong.content.startswith("find_markers: n_genes: ")
    assert "foo: Extra inputs are not permitted" in wrong.content


def test_calls_in_parallel_take_turns(tools):
    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(lambda n: asked(tools, "find_markers", n_genes=n), range(1, 5)))
    assert [len(one.artifact.groups[0].names) for one in said] == [1, 2, 3, 4]
