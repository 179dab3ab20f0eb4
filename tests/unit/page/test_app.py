"""The page over HTTP: from request to report, between visitors, and what it refuses."""

import io
import json
import re
import threading
import zipfile
from contextlib import contextmanager
from html.parser import HTMLParser

import pytest

from cellwright.agent.plan import DraftStep, PlanDraft
from cellwright.agent.scripted import ScriptedModel
from cellwright.errors import InputError, WeightsError
from cellwright.page.app import PageOptions, make_app
from cellwright.page.rooms import Live
from tests.unit.page.toys import (
    BOTH,
    GATE,
    SECONDS,
    SHOW_PLAN,
    ask,
    begin,
    page,
    visitor,
    wait,
)
from tests.unit.page.toys import settings as settings
from tests.unit.tools.factory import make_adata

KEEP = {"keep-s1": "on", "keep-s2": "on", "s1.word": "gene", "s2.word": "cell"}


def only(tool, **args):
    return PlanDraft(steps=(DraftStep(tool=tool, args=args, asks=(1,)),))


def test_from_a_request_to_everything_in_one_file(settings):
    client = visitor(page(settings))
    where = begin(client)
    plan = ask(client, where, **SHOW_PLAN)
    assert "Nothing has been run" in plan
    assert not list(settings.cache_dir.glob("threads/*/re_*.json"))
    client.post(f"{where}/plan", data={**KEEP, "run": "1"})
    shown = wait(client, where)
    assert "The word has 4 letters." in shown
    report = client.get(f"{where}/1/file/report.html")
    assert ">4</a> letters" in report.text
    assert "sandbox" in report.headers["content-security-policy"]
    figure = re.search(r'href="([^"]+\.png)" data-figure', shown)
    assert client.get(figure[1]).headers["content-type"] == "image/png"
    packed = zipfile.ZipFile(io.BytesIO(client.get(f"{where}/1/everything.zip").content))
    names = {name.partition("/")[2] for name in packed.namelist()}
    assert {"report.md", "report.html", "report.ipynb", "run.json"} <= names
    assert any(name.startswith("figures/") for name in names)


def test_a_follow_up_goes_on_with_the_thread(settings):
    client = visitor(page(settings))
    where = begin(client)
    ask(client, where)
    shown = ask(client, where, "count the letters; draw them again")
    assert 'id="turn-2"' in shown
    record = json.loads(client.get(f"{where}/2/file/run.json").content)
    assert all(one["tries"] == 0 for one in record["outcomes"])  # taken from the first turn


def test_a_question_is_shown_and_its_answer_taken(settings):
    unclear = PlanDraft(steps=BOTH.steps[:1], question="Which <word>?")
    client = visitor(page(settings, unclear, BOTH))
    where = begin(client)
    shown = ask(client, where, **SHOW_PLAN)
    assert "Which &lt;word&gt;?" in shown
    assert client.post(f"{where}/answer", data={}).status_code == 400
    client.post(f"{where}/answer", data={"own": "the word gene"})
    assert "Nothing has been run" in wait(client, where)


def test_a_plan_is_changed_before_it_runs(settings):
    client = visitor(page(settings))
    where = begin(client)
    ask(client, where, **SHOW_PLAN)
    changed = {"keep-s1": "on", "s1.word": "nucleus", "s2.word": "cell", "add": "draw_letters"}
    shown = client.post(f"{where}/plan", data=changed).text
    assert "Draw letters" in shown
    assert "Preprocess dataset" in shown
    again = re.findall(r'name="(keep-s\d+)"', shown)
    words = dict(re.findall(r'name="(s\d+\.word)" value="([^"]*)"', shown))
    assert words["s1.word"] == "nucleus"
    client.post(f"{where}/plan", data={**dict.fromkeys(again, "on"), **words, "run": "1"})
    shown = wait(client, where)
    assert "The word has 7 letters." in shown
    assert "You took its step out of the plan." in shown


def test_a_step_that_cannot_run_is_told_and_the_plan_kept(settings):
    client = visitor(page(settings))
    where = begin(client)
    ask(client, where, **SHOW_PLAN)
    answer = client.post(f"{where}/plan", data={**KEEP, "add": "closed_gate", "run": "1"})
    assert answer.status_code == 422
    assert "It is closed. Come tomorrow." in answer.text
    client.post(f"{where}/plan", data={**KEEP, "run": "1"})
    assert "The word has 4 letters." in wait(client, where)


def test_a_dropped_plan_is_not_run(settings):
    client = visitor(page(settings))
    where = begin(client)
    ask(client, where, **SHOW_PLAN)
    shown = client.post(f"{where}/plan", data={"drop": "1"}).text
    assert "Not run: you left it." in shown
    assert client.post(f"{where}/plan", data={"run": "1"}).status_code == 400
    assert not list(settings.cache_dir.glob("threads/*/re_*.json"))


def test_steps_stream_and_a_reload_shows_the_run_again(settings):
    app = page(settings, only("slow_letters"))
    client = visitor(app)
    where = begin(client)
    client.post(f"{where}/ask", data={"request": "count slowly"})
    assert GATE.reached.wait(SECONDS)
    for _ in range(2):
        shown = client.get(where).text
        assert "data-live" in shown
        assert "Slow letters" in shown
    assert client.post(f"{where}/ask", data={"request": "another"}).status_code == 400
    threading.Timer(0.5, GATE.go.set).start()
    with client.stream("GET", f"{where}/events") as stream:
        states = [json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data")]
    assert any(step["share"] == 0.25 for state in states for step in state["steps"])
    assert states[-1]["busy"] is False
    assert "letters" in client.get(where).text


def test_a_run_without_a_plan_shown_never_seems_to_wait(settings, monkeypatch):
    seen, changing = [], Live.changing

    @contextmanager
    def watched(live, **options):
        with changing(live, **options) as talk:
            yield talk
            seen.append(talk.turn.status if talk.turn else talk.status)

    monkeypatch.setattr(Live, "changing", watched)
    client = visitor(page(settings))
    ask(client, begin(client))
    assert list(dict.fromkeys(seen)) == ["ready", "planning", "running", "done"]


def test_a_stopped_run_reports_what_was_done(settings):
    client = visitor(page(settings, only("slow_letters")))
    where = begin(client)
    client.post(f"{where}/ask", data={"request": "count slowly"})
    assert GATE.reached.wait(SECONDS)
    client.post(f"{where}/stop")
    assert "It was stopped by the user." in wait(client, where)


def test_a_request_stopped_while_it_is_planned_leaves_no_plan(settings):
    planning, go = threading.Event(), threading.Event()

    def model():
        planning.set()
        go.wait(SECONDS)
        return ScriptedModel([BOTH])

    client = visitor(make_app(settings, PageOptions(model=model)))
    where = begin(client)
    client.post(f"{where}/ask", data={"request": "count the letters; draw them"})
    assert planning.wait(SECONDS)
    client.post(f"{where}/stop")
    go.set()
    assert "Not run: you left it." in wait(client, where)
    assert not list(settings.cache_dir.glob("threads/*/re_*.json"))


def test_what_a_killed_server_had_under_way_goes_on(settings):
    first = visitor(page(settings))
    where = begin(first)
    ask(first, where, **SHOW_PLAN)
    (record,) = (settings.cache_dir / "page").glob("*/*/talk.json")
    text = record.read_text()
    assert '"status":"approval"' in text
    record.write_text(text.replace('"status":"approval"', '"status":"running"'))
    second = visitor(page(settings), cookies=dict(first.cookies))
    assert "The word has 4 letters." in wait(second, where)


def test_two_visitors_do_not_see_each_other(settings):
    app = page(settings)
    mine, yours, nobody = visitor(app), visitor(app), visitor(app)
    where = begin(mine)
    ask(mine, where)
    begin(yours)
    talk = [route.path for route in app.routes if "{talk}" in getattr(route, "path", "")]
    assert len(talk) >= 10
    filled = {"{talk}": where.rsplit("/", 1)[1], "{turn:int}": "1", "{file:path}": "report.html"}
    for path in talk:
        for name, value in filled.items():
            path = path.replace(name, value)  # noqa: PLW2901
        for other in (yours, nobody):
            for call in (other.get, other.post):
                assert call(path).status_code in {404, 405}, path
    assert where not in yours.get("/").text
    assert where in mine.get("/").text


def test_the_key_of_a_room_is_long_random_and_kept_from_scripts(settings):
    app = page(settings)
    keys = set()
    for _ in range(2):
        answer = visitor(app).post("/open", data={"which": "none"}, follow_redirects=False)
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        keys.add(re.match(r"cellwright_room_8050=([^;]+)", cookie)[1])
    assert len(keys) == 2
    assert all(len(key) >= 43 for key in keys)
    folders = {one.name for one in (settings.cache_dir / "page").iterdir()}
    assert not folders & keys  # a listing of the folder is no way in


def test_a_made_up_key_opens_no_room(settings):
    client = visitor(page(settings), cookies={"cellwright_room_8050": "../../etc"})
    answer = client.post("/open", data={"which": "none"}, follow_redirects=False)
    assert "../../etc" not in answer.headers["set-cookie"]


@pytest.mark.parametrize("path", ["../talk.json", "..%2ftalk.json", "/etc/passwd", "figures", "no"])
def test_no_path_leads_out_of_a_report(settings, path):
    client = visitor(page(settings))
    where = begin(client)
    ask(client, where)
    assert client.get(f"{where}/1/file/{path}").status_code == 404


def test_a_file_is_opened_and_its_names_are_escaped(settings, tmp_path):
    cells = make_adata()
    evil = "<script>alert(1)</script>"
    cells.obs["cell_type"] = cells.obs["cell_type"].replace("B cell", evil)
    cells.write_h5ad(tmp_path / "cells.h5ad")
    client = visitor(page(settings))
    content = (tmp_path / "cells.h5ad").read_bytes()
    name = '../<img src=x onerror="alert(1)">.h5ad'
    answer = client.post("/data", files={"file": (name, content)}, follow_redirects=False)
    shown = wait(client, answer.headers["location"])
    assert "90</strong> cells" in shown
    assert "&lt;script&gt;alert(1)" in shown
    assert evil not in shown
    assert "<img src=x" not in shown
    assert not (settings.cache_dir.parent / "<img").exists()


class _Named(HTMLParser):
    """Collects controls, and what names them."""

    def __init__(self) -> None:
        super().__init__()
        self.controls, self.labels, self.open_labels, self.images = [], set(), 0, []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.open_labels += tag == "label"
        if tag == "label":
            self.labels.add(found.get("for"))
        if tag in {"input", "select", "textarea"} and found.get("type") != "hidden":
            self.controls.append((found.get("id"), self.open_labels > 0, found))
        if tag == "img":
            self.images.append(found)

    def handle_endtag(self, tag):
        self.open_labels -= tag == "label"


def test_every_control_has_a_label_and_every_figure_words(settings):
    client = visitor(page(settings))
    where = begin(client)
    pages = [client.get("/").text, client.get(where).text, ask(client, where, **SHOW_PLAN)]
    client.post(f"{where}/plan", data={**KEEP, "run": "1"})
    pages.append(wait(client, where))
    for text in pages:
        found = _Named()
        found.feed(text)
        for control, within, attrs in found.controls:
            assert within or control in found.labels, attrs
        assert all("alt" in image for image in found.images)
        assert text.count("<h1") == 1
        assert 'lang="en"' in text
    assert 'aria-live="polite"' in pages[1]


def test_nothing_comes_from_another_machine(settings):
    client = visitor(page(settings))
    where = begin(client)
    pages = [client.get("/"), client.get(where), client.get("/static/page.css")]
    pages.append(client.get("/static/page.js"))
    for answer in pages:
        assert answer.status_code == 200
        assert not re.search(r"(https?:)?//[a-z0-9-]+\.[a-z]", answer.text)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_planner_elsewhere_is_named(settings):
    other = settings.model_copy(update={"model": "openai:<x>"})
    assert "planned by openai:&lt;x&gt;" in visitor(page(other)).get("/").text
    assert "Everything runs on the machine" in visitor(page(settings)).get("/").text


def test_removed_means_gone_from_the_disk(settings):
    client = visitor(page(settings))
    where = begin(client)
    ask(client, where)
    client.post(f"{where}/forget")
    assert client.get(where).status_code == 404
    deadline = threading.Event()
    for _ in range(100):
        left = [*settings.cache_dir.glob("page/*/*"), *settings.cache_dir.glob("threads/*")]
        if not left:
            break
        deadline.wait(0.05)
    assert not left


@pytest.mark.parametrize("request_", ["", "   ", "x" * 4001])
def test_an_empty_or_endless_request_is_refused(settings, request_):
    client = visitor(page(settings))
    where = begin(client)
    answer = client.post(f"{where}/ask", data={"request": request_})
    assert answer.status_code == 400
    assert "Say in 1 to 4,000 letters" in answer.text


def test_a_planner_that_cannot_be_had_is_told_and_the_page_goes_on(settings):
    def missing():
        msg = "Base weights are missing: 'cellwright models pull' fetches them."
        raise WeightsError(msg)

    client = visitor(make_app(settings, PageOptions(model=missing)))
    where = begin(client)
    shown = ask(client, where, **SHOW_PLAN)
    assert "&#39;cellwright models pull&#39; fetches them." in shown
    assert "Ask on" in shown
    assert "fetches them" in ask(client, where)


def test_a_page_for_others_needs_a_token(settings):
    with pytest.raises(InputError, match="needs a token"):
        make_app(settings, PageOptions(host="0.0.0.0"))
