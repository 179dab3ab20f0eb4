"""Who may speak to the page."""

import pytest

from tests.unit.page.toys import begin, page, visitor
from tests.unit.page.toys import settings as settings

TOKEN = "a-token-of-some-length"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8050", "127.0.0.1.evil.example"])
def test_a_foreign_name_for_this_machine_is_refused(settings, host):
    answer = visitor(page(settings)).get("/", headers={"host": host})
    assert answer.status_code == 403


@pytest.mark.parametrize("host", ["localhost:8050", "127.0.0.1:8050", "[::1]:8050"])
def test_every_name_of_loopback_is_answered(settings, host):
    assert visitor(page(settings)).get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "null"},
    ],
)
def test_a_form_of_another_site_is_refused(settings, headers):
    client = visitor(page(settings))
    assert client.post("/open", data={"which": "none"}, headers=headers).status_code == 403


def test_the_pages_own_form_is_taken(settings):
    client = visitor(page(settings))
    for headers in ({"sec-fetch-site": "same-origin"}, {"origin": "http://127.0.0.1:8050"}):
        answer = client.post("/open", data={"which": "none"}, headers=headers)
        assert answer.status_code == 200


def test_without_the_token_nothing_but_the_door_is_shown(settings):
    app = page(settings, host="0.0.0.0", token=TOKEN)
    client = visitor(app)
    for path in ("/", "/talk/x", "/talk/x/events", f"/?token={TOKEN}x", "/?token="):
        answer = client.get(path)
        assert answer.status_code == 401, path
        assert "Which cells?" not in answer.text
    assert client.post("/open", data={"which": "none"}).status_code == 401
    assert client.get("/static/page.css").status_code == 200
    client.cookies.set("cellwright_token_8050", "wrong")
    assert client.get("/").status_code == 401


def test_the_token_is_taken_once_and_leaves_the_address(settings):
    client = visitor(page(settings, host="0.0.0.0", token=TOKEN))
    answer = client.get(f"/?token={TOKEN}", follow_redirects=False)
    assert answer.headers["location"] == "/"
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "Which cells?" in client.get("/").text
    assert begin(client).startswith("/talk/")


def test_programs_are_answered_in_one_line(settings):
    client = visitor(page(settings))
    answer = client.get("/talk/none", headers={"accept": "text/plain"})
    assert answer.status_code == 404
    assert answer.text == "There is nothing here that belongs to this session.\n"
