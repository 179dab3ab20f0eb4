"""A page with toy tools and a scripted planner, for tests of everything around them."""

import threading
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

from cellwright.agent.plan import DraftStep, PlanDraft
from cellwright.agent.scripted import ScriptedModel
from cellwright.knowledge import Knowledge
from cellwright.page.app import PageOptions, make_app
from cellwright.settings import Settings
from tests.unit.agent.toys import TOYS, CountArgs, CountResult, tool

REQUEST = "count the letters; draw them"
BOTH = PlanDraft(
    steps=(
        DraftStep(tool="count_letters", args={"word": "gene"}, asks=(1,)),
        DraftStep(tool="show_letters", asks=(2,)),
    )
)
SECONDS = 20
"""Longest that a test waits for the page."""


class Gate:
    """Holds the slow tool until the test lets it go."""

    def __init__(self) -> None:
        self.reached, self.go = threading.Event(), threading.Event()


GATE = Gate()


def show(args: CountArgs, bench) -> CountResult:
    figure = bench.store.put_file(
        "figure", Image.new("RGB", (300, 200), "teal").save, "Letters <b>x</b>"
    )
    return CountResult(letters=len(args.word), figures=(figure,))


def slow(args: CountArgs, bench) -> CountResult:
    GATE.reached.set()
    deadline = time.monotonic() + SECONDS
    while not GATE.go.wait(0.05) and time.monotonic() < deadline:
        bench.progress("still counting", 0.25)
    return CountResult(letters=len(args.word))


def _knowledge(_settings: Settings) -> Knowledge:
    """The knowledge, opened once for all tests."""
    return _opened()


_opened = cache(Knowledge.open)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings with a cache of their own, over the toy registry."""
    tools = (*TOYS, tool("show_letters", show), tool("slow_letters", slow))
    monkeypatch.setattr("cellwright.tools.registry.ALL_TOOLS", tools)
    monkeypatch.setattr("cellwright.page.workers._open_knowledge", _knowledge)
    GATE.reached.clear()
    GATE.go.clear()
    yield Settings(cache_dir=tmp_path / "cache", offline=True)
    GATE.go.set()


def page(settings: Settings, *drafts: PlanDraft | str, **options):
    """The page, planning with these drafts."""
    model = ScriptedModel(drafts or [BOTH])
    return make_app(settings, PageOptions(model=lambda: model, **options))


def visitor(app, **options) -> TestClient:
    """A browser with cookies of its own."""
    base = "http://127.0.0.1:8050"
    return TestClient(app, base_url=base, headers={"accept": "text/html"}, **options)


def wait(client: TestClient, where: str) -> str:
    """The page of a talk once nothing is under way on it."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        shown = client.get(where).text
        if "data-live" not in shown:
            return shown
        time.sleep(0.05)
    msg = f"still under way after {SECONDS} s: {shown}"
    raise AssertionError(msg)


def begin(client: TestClient) -> str:
    """Where a talk without a file is."""
    answer = client.post("/open", data={"which": "none"}, follow_redirects=False)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def ask(client: TestClient, where: str, request: str = REQUEST, **form: str) -> str:
    """The page once a request is planned, or answered where no plan is to be shown."""
    answer = client.post(f"{where}/ask", data={"request": request, **form})
    assert answer.status_code == 200, answer.text
    return wait(client, where)


SHOW_PLAN = {"show_plan": "on"}
