"""A supervisor that delegates single-cell questions to Cellwright and keeps a laboratory notebook.

    python examples/supervisor.py cells.h5ad "which genes mark each cell type?"
    python examples/supervisor.py cells.h5ad "..." --model openai:gpt-5-mini

Without ``--model`` the supervisor is a scripted model, so that the example runs with no key and no
network: it shows what goes where. Any chat model that calls tools takes its place.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain.chat_models import init_chat_model
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import BaseTool, tool

from cellwright import agent_tool

PROMPT = (
    "You lead an analysis. Delegate every question about cells to the tool 'cellwright', quote its "
    "numbers as they are, with their caveats, and write what was found into the notebook."
)


def make_supervisor(data: Path, model: BaseChatModel, notebook: Path) -> Any:
    """An agent with two tools: Cellwright on a data file, and a notebook.

    Args:
        data: The data file.
        model: Chat model that calls tools.
        notebook: Text file that entries are appended to.
    """

    @tool
    def write_notebook(entry: str) -> str:
        """Append an entry to the laboratory notebook."""
        with notebook.open("a", encoding="utf-8") as handle:
            handle.write(entry.strip() + "\n\n")
        return "written"

    tools: list[BaseTool] = [agent_tool(data), write_notebook]
    return create_agent(model, tools, system_prompt=PROMPT)


class Scripted(BaseChatModel):
    """Delegates what the user asks, notes the answer down, and repeats it."""

    @property
    def _llm_type(self) -> str:
        return "scripted-supervisor"

    def bind_tools(self, tools: Any, **_kwargs: Any) -> "Scripted":
        """Every call is known beforehand."""
        return self

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_kwargs: Any
    ) -> ChatResult:
        answers = [one.text for one in messages if isinstance(one, ToolMessage)]
        if not answers:
            asked = [one.text for one in messages if isinstance(one, HumanMessage)][-1]
            said = _call("cellwright", {"request": asked})
        elif len(answers) == 1:
            said = _call("write_notebook", {"entry": answers[0]})
        else:
            said = AIMessage(content=answers[0])
        return ChatResult(generations=[ChatGeneration(message=said)])


def _call(name: str, args: dict[str, Any]) -> AIMessage:
    return AIMessage(content="", tool_calls=[{"name": name, "args": args, "id": f"call-{name}"}])


def main() -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("request")
    parser.add_argument("--model", help="provider:name; a scripted model when left out")
    parser.add_argument("--notebook", type=Path, default=Path("notebook.txt"))
    given = parser.parse_args()
    model = init_chat_model(given.model) if given.model else Scripted()
    supervisor = make_supervisor(given.data, model, given.notebook)
    ended = supervisor.invoke({"messages": [HumanMessage(given.request)]})
    sys.stdout.write(ended["messages"][-1].text + "\n")


if __name__ == "__main__":
    main()
