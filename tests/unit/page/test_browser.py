"""The page as a person meets it, in headless Chromium: mouse, keyboard, drop, reload, zoom."""

import os
import shutil
import socket
import threading
import time

import pytest
import uvicorn

from tests.unit.page.test_app import only
from tests.unit.page.toys import GATE, SECONDS, page
from tests.unit.page.toys import settings as settings
from tests.unit.tools.factory import make_adata

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = os.environ.get("CELLWRIGHT_TEST_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = [
    pytest.mark.skipif(
        CHROMIUM is None, reason="no Chromium here; CELLWRIGHT_TEST_CHROMIUM names one"
    ),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def chromium():
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def serve(settings):
    """Serves a page on a free port of loopback; gives its address."""
    servers = []

    def start(*drafts, **options):
        listening = socket.create_server(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        config = uvicorn.Config(
            page(settings, *drafts, port=port, **options), log_level="error", lifespan="off"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{port}/"

    yield start
    GATE.go.set()
    for server, thread in servers:
        server.should_exit = server.force_exit = True
        thread.join(SECONDS)


@pytest.fixture
def open_page(chromium):
    """Opens an address as a visitor with cookies of their own; errors of scripts fail the test."""
    contexts, wrong = [], []

    def start(address, **options):
        context = chromium.new_context(**{"viewport": {"width": 1100, "height": 800}, **options})
        contexts.append(context)
        tab = context.new_page()
        tab.set_default_timeout(SECONDS * 1000)
        sync_api.expect.set_options(timeout=SECONDS * 1000)
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on(
            "request",
            lambda call: (
                None
                if call.url.startswith((address, "data:", "blob:"))
                else wrong.append(f"asked another machine: {call.url}")
            ),
        )
        tab.goto(address)
        return tab

    yield start
    for context in contexts:
        context.close()
    assert wrong == []


def talk(tab, request, *, show_plan=True):
    tab.fill("#request", request)
    tab.set_checked("input[name=show_plan]", show_plan)
    tab.click("button.main:has-text('Ask')")


def test_a_dropped_file_a_changed_plan_and_a_zoomed_figure(serve, open_page, tmp_path):
    make_adata().write_h5ad(tmp_path / "cells.h5ad")
    tab = open_page(serve())
    content = list((tmp_path / "cells.h5ad").read_bytes())
    dropped = tab.evaluate_handle(
        """bytes => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "cells.h5ad"));
            return data;
        }""",
        content,
    )
    tab.dispatch_event("#upload", "drop", {"dataTransfer": dropped})
    tab.wait_for_selector("#request")
    assert "90 cells" in tab.inner_text("#data")
    tab.click("summary:has-text('Passport')")
    assert "gene names" in tab.inner_text("#data")

    talk(tab, "count the letters; draw them")
    tab.wait_for_selector(".plan")
    tab.click("summary:has-text('Change') >> nth=0")
    tab.fill("[name='s1.word']", "nucleus")
    tab.click("button:has-text('Run it')")
    tab.wait_for_selector(".figures")
    assert "7 letters" in tab.inner_text("article .answer")

    tab.click("[data-figure]")
    picture = tab.locator("#zoom .pane img")
    assert picture.get_attribute("alt") == "Letters <b>x</b>"
    before = picture.bounding_box()["width"]
    tab.keyboard.press("+")
    tab.keyboard.press("+")
    assert picture.bounding_box()["width"] > before
    tab.keyboard.press("Escape")
    assert not tab.locator("#zoom").is_visible()

    report = tab.frame_locator("iframe")
    report.locator("h1").wait_for()
    assert "cells.h5ad" in report.locator("h1").inner_text()
    with tab.expect_download() as got:
        tab.click("text=Download everything")
    assert got.value.suggested_filename == "cells-report-1.zip"


def test_a_reload_shows_the_run_and_it_goes_on(serve, open_page):
    tab = open_page(serve(only("slow_letters")))
    tab.click("text=without a file")
    talk(tab, "count slowly", show_plan=False)
    assert GATE.reached.wait(SECONDS)
    for _ in range(2):
        tab.wait_for_selector("[data-status=running]")
        sync_api.expect(tab.locator("progress")).to_have_js_property("value", 0.25)
        tab.reload()
    said = tab.locator("#said")
    GATE.go.set()
    tab.wait_for_selector(".report")
    sync_api.expect(tab.locator("#said")).to_contain_text("report is ready")
    assert said.get_attribute("aria-live") == "polite"


def test_the_keyboard_alone_leads_from_start_to_report(serve, open_page):
    tab = open_page(serve())

    def tab_to(selector):
        for _ in range(40):
            tab.keyboard.press("Tab")
            if tab.evaluate("s => document.activeElement.matches(s)", selector):
                return
        pytest.fail(f"{selector} is not reached with the Tab key")

    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "Skip to the content"
    tab_to("button[value=none]")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#request")
    tab_to("#request")
    tab.keyboard.type("count the letters; draw them")
    tab.keyboard.press("Control+Enter")
    tab.wait_for_selector(".plan")
    tab_to("button[name=run]")
    tab.keyboard.press("Enter")
    tab.wait_for_selector(".report")
    tab_to("[data-figure]")
    tab.keyboard.press("Enter")
    assert tab.locator("#zoom").is_visible()
    tab.keyboard.press("Escape")
    assert tab.evaluate("document.activeElement.matches('[data-figure]')")


def test_two_browsers_do_not_see_each_other(serve, open_page):
    address = serve()
    mine, yours = open_page(address), open_page(address)
    mine.click("text=without a file")
    mine.wait_for_selector("#request")
    assert yours.goto(mine.url).status == 404
    yours.goto(address)
    assert yours.locator(".talks").count() == 0
    mine.goto(address)
    assert mine.locator(".talks li").count() == 1


def test_a_file_that_is_too_large_is_told_without_leaving_the_page(serve, open_page, tmp_path):
    (tmp_path / "cells.h5ad").write_bytes(b"x" * 3000)
    tab = open_page(serve(max_upload=2000))
    tab.set_input_files("#file", tmp_path / "cells.h5ad")
    tab.click("text=Open the file")
    sync_api.expect(tab.locator("#upload-wrong")).not_to_be_empty()
    assert "larger" in tab.inner_text("#upload-wrong") or "more than" in tab.inner_text(
        "#upload-wrong"
    )


def test_it_works_without_scripts_and_fits_a_telephone(serve, open_page):
    address = serve()
    tab = open_page(address, java_script_enabled=False, viewport={"width": 360, "height": 700})
    tab.click("text=without a file")
    tab.fill("#request", "count the letters; draw them")
    tab.click("button.main:has-text('Ask')")
    deadline = time.monotonic() + SECONDS
    while not tab.locator(".plan").count() and time.monotonic() < deadline:
        tab.reload()
    tab.click("button:has-text('Run it')")
    while not tab.locator(".answer").count() and time.monotonic() < deadline:
        tab.reload()
    assert "4 letters" in tab.inner_text(".answer")
    assert tab.locator("body").bounding_box()["width"] <= 360
