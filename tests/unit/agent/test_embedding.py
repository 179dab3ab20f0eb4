import asyncio
from typing import Any

import pytest
from langchain_core.messages import ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command

from cellwright.agent.embedding import Conversation, Options, agent_tool, subgraph
from cellwright.agent.plan import DraftRefusal, DraftStep, DraftUnclear, PlanDraft
from cellwright.agent.scripted import ScriptedModel
from cellwright.errors import InputError
from tests.unit.agent.toys import toys as toys

pytestmark = pytest.mark.usefixtures("toys")
COUNT = PlanDraft(steps=(DraftStep(tool="count_letters", args={"word": "abc"}, asks=(1,)),))
SAID = "The word has 3 letters.\nCaveat: Only 3 were looked at."
ON: Any = {"configurable": {"thread_id": "one"}}


def test_a_request_is_answered_with_and_without_an_event_loop(settings):
    graph = subgraph(settings=settings, model=ScriptedModel([COUNT]))
    asked = {"request": "count the letters"}
    by_call = graph.invoke(asked)
    by_loop = asyncio.run(graph.ainvoke(asked))
    assert by_call["answer"] == by_loop["answer"] == SAID
    assert by_call["status"] == "done"
    assert by_call["steps"][0]["args"] == {"word": "abc"}


def test_progress_is_streamed(settings):
    graph = subgraph(settings=settings, model=ScriptedModel([COUNT]))
    events = list(graph.stream({"request": "count the letters"}, stream_mode="custom"))
    assert [event["stage"] for event in events][:2] == ["plan", "review"]
    assert ("counting", 0.5) in [(event["message"], event["share"]) for event in events]


def test_it_is_a_node_of_another_graph(settings):
    class Parent(Conversation):
        note: str

    builder = StateGraph(Parent, context_schema=dict)
    builder.add_node("cellwright", subgraph(settings=settings, model=ScriptedModel([COUNT])))
    builder.add_node("note", lambda state: {"note": f"seen: {state['answer']}"})
    builder.add_edge(START, "cellwright")
    builder.add_edge("cellwright", "note")
    builder.add_edge("note", END)
    graph = builder.compile(checkpointer=InMemorySaver())
    ended = graph.invoke({"request": "count the letters"}, ON, context={"mine": 1})
    assert ended["note"] == f"seen: {SAID}"


def test_a_later_request_of_the_thread_takes_what_was_made(settings):
    model = ScriptedModel([COUNT])
    graph = subgraph(InMemorySaver(), settings=settings, model=model)
    first = graph.invoke({"request": "count the letters"}, ON)
    again = graph.invoke({"request": "count the letters once more"}, ON)
    other = graph.invoke({"request": "count"}, {"configurable": {"thread_id": "two"}})
    assert [run["steps"][0]["tries"] for run in (first, again, other)] == [1, 0, 1]
    assert "count the letters" in str(model.calls[1])


def test_what_cannot_be_run_is_an_answer_and_no_crash(settings):
    def outside(path: str) -> Any:
        msg = f"{path}: not here."
        raise InputError(msg)

    graph = subgraph(settings=settings, model=ScriptedModel([COUNT]), allow=outside)
    ended = asyncio.run(graph.ainvoke({"request": "count", "path": "/etc/passwd"}))
    assert (ended["status"], ended["answer"]) == ("failed", "/etc/passwd: not here.")


def test_refusals_are_said(settings):
    draft = PlanDraft(refused=(DraftRefusal(asks=(1,), reason="irrelevant"),))
    ended = subgraph(settings=settings, model=ScriptedModel([draft])).invoke(
        {"request": "what is the weather"}
    )
    assert ended["status"] == "refused"
    assert "refused" in ended["answer"]


@pytest.mark.parametrize("take_defaults", [False, True])
def test_an_unclear_request_interrupts_unless_defaults_are_taken(settings, take_defaults):
    draft = PlanDraft(unclear=(DraftUnclear(asks=(1,), about="goal"),))
    graph = subgraph(InMemorySaver(), settings=settings, model=ScriptedModel([draft, COUNT]))
    options = Options(take_defaults=take_defaults)
    ended = graph.invoke({"request": "analyse it"}, ON, context=options)
    if take_defaults:
        assert "__interrupt__" not in ended
        return
    question = ended["__interrupt__"][0].value
    assert question["choices"]
    resumed = graph.invoke(Command(resume=question["choices"][0]), ON, context=options)
    assert resumed["status"] in {"done", "failed", "refused"}


def test_the_whole_agent_is_one_tool(settings):
    tool = agent_tool(model=ScriptedModel([COUNT]), settings=settings)
    call = {"type": "tool_call", "id": "1", "name": "cellwright"}
    said = tool.invoke({**call, "args": {"request": "count the letters"}})
    assert isinstance(said, ToolMessage)
    assert said.content.startswith("The word has 3 letters.")
    assert said.artifact.status == "done"
    assert f"(thread {said.artifact.thread})" in said.content
    empty = tool.invoke({**call, "args": {"request": " "}})
    assert (empty.status, empty.content[:20]) == ("error", "The request is empty")
