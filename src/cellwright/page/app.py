"""The page itself: its addresses and what each of them does."""

from __future__ import annotations

import asyncio
import json
import shutil
import zipfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from cellwright.errors import CellwrightError, InputError
from cellwright.page.forms import edited
from cellwright.page.guard import LOOPBACK, Guard
from cellwright.page.rooms import Live, Room, Rooms, Talk, Turn
from cellwright.page.uploads import TooLargeError, bytes_of, read_form, store
from cellwright.page.view import LONGEST_REQUEST, all_tools, state_of, templates
from cellwright.page.workers import Workers

if TYPE_CHECKING:
    from cellwright.agent.steering import MakeModel
    from cellwright.settings import Settings

LOOK = 0.2
"""Seconds between two looks at a talk that a browser follows."""
HEARTBEAT = 15.0
"""Seconds after which a silent stream says that it is there."""
FORM_BYTES = 1_000_000
COOKIE_SECONDS = 400 * 86400
"""As long as browsers keep one."""
REPORT_POLICY = (
    "sandbox allow-scripts allow-popups allow-popups-to-escape-sandbox; default-src 'none'; "
    "img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; frame-ancestors 'self'"
)
"""A report is shown in a frame that can reach neither the page nor its cookies."""


@dataclass(frozen=True, kw_only=True)
class PageOptions:
    """How a page is served.

    Attributes:
        host: Address that it is bound to.
        port: Port; cookies carry it in their names, so that two pages do not share them.
        token: What a visitor must know; None where none is needed.
        max_upload: Bytes that one upload may have.
        data: Files of this machine that every visitor may open.
        workers: Requests that are worked on at a time.
        model: Makes the chat model that plans; None makes the one that the settings name.
    """

    host: str = "127.0.0.1"
    port: int = 8050
    token: str | None = None
    max_upload: int = 2_000_000_000
    data: Sequence[Path] = ()
    workers: int = 1
    model: MakeModel | None = None


def make_app(settings: Settings, options: PageOptions) -> Starlette:
    """The page as an ASGI application.

    Raises:
        InputError: It would be reachable from other machines without a token.
    """
    if options.host not in LOOPBACK and not options.token:
        msg = f"A page on {options.host} can be reached from other machines, so it needs a token."
        raise InputError(msg)
    return _Page(settings, options).app()


class _Page:
    def __init__(self, settings: Settings, options: PageOptions) -> None:
        self._options = options
        self._cookie = f"cellwright_room_{options.port}"
        self._rooms = Rooms(settings.cache_dir / "page")
        self._workers = Workers(settings, count=options.workers, model=options.model)
        self._templates = templates(options=options, planner=settings.model)
        for live in self._rooms.unfinished():
            self._workers.take_up(live)

    def app(self) -> Starlette:
        """All routes, behind the guard."""
        local = self._options.host in LOOPBACK
        guard = Middleware(
            Guard,
            hosts=LOOPBACK if local else None,
            token=self._options.token,
            cookie=f"cellwright_token_{self._options.port}",
            refuse=self._refuse,
        )
        static = StaticFiles(packages=[("cellwright.page", "static")])
        talk = "/talk/{talk}"
        return Starlette(
            routes=[
                Route("/", self._start),
                Route("/data", self._upload, methods=["POST"]),
                Route("/open", self._open, methods=["POST"]),
                Route("/forget", self._forget_all, methods=["POST"]),
                Route(talk, self._show),
                Route(f"{talk}/now", self._now),
                Route(f"{talk}/events", self._events),
                Route(f"{talk}/ask", self._ask, methods=["POST"]),
                Route(f"{talk}/answer", self._answer, methods=["POST"]),
                Route(f"{talk}/plan", self._plan, methods=["POST"]),
                Route(f"{talk}/stop", self._stop, methods=["POST"]),
                Route(f"{talk}/forget", self._forget, methods=["POST"]),
                Route(f"{talk}/{{turn:int}}/everything.zip", self._everything),
                Route(f"{talk}/{{turn:int}}/file/{{file:path}}", self._file),
                Mount("/static", static, name="static"),
            ],
            middleware=[guard],
            exception_handlers={
                HTTPException: self._http_error,
                CellwrightError: self._input_error,
            },
        )

    # Pages

    async def _start(self, request: Request) -> Response:
        room = self._room(request)
        talks = list(room.talks.values()) if room else []
        talks.sort(key=lambda live: live.talk.made, reverse=True)
        return self._page("start.html.j2", talks=[live.talk for live in talks])

    async def _show(self, request: Request) -> Response:
        live = self._live(request)
        return self._page("talk.html.j2", talk=live.talk, wrong="")

    async def _now(self, request: Request) -> Response:
        """What changes while a talk is followed: data, last turn, form."""
        return self._page("now.html.j2", talk=self._live(request).talk, wrong="")

    async def _events(self, request: Request) -> Response:
        live = self._live(request)

        async def stream() -> AsyncIterator[str]:
            seen, silent = (-1, 0), 0.0
            while True:
                ahead = self._workers.ahead(live)
                state = (live.version, ahead)
                if state != seen:
                    seen, silent = state, 0.0
                    now = state_of(live.talk, ahead)
                    yield f"data: {json.dumps(now)}\n\n"
                    if not now["busy"] or live.closed:
                        return
                elif silent >= HEARTBEAT:
                    silent = 0.0
                    yield ": still here\n\n"
                await asyncio.sleep(LOOK)
                silent += LOOK

        return StreamingResponse(stream(), media_type="text/event-stream")

    # What a visitor does

    async def _upload(self, request: Request) -> Response:
        form = await read_form(request, self._options.max_upload)
        files = [one for one in form.getlist("file") if not isinstance(one, str)]
        room, key = self._room_or_new(request)
        live = room.begin("data")
        try:
            path = await run_in_threadpool(store, files, live.folder)
        except (InputError, OSError) as error:
            room.remove(live)
            shutil.rmtree(live.folder, ignore_errors=True)
            if isinstance(error, OSError):
                msg = f"The file could not be kept: {error.strerror}."
                raise InputError(msg) from error
            raise
        finally:
            await form.close()
        return self._begin(live, path, key)

    async def _open(self, request: Request) -> Response:
        """Open a file that the page was started with, or talk without a file."""
        form = await read_form(request, FORM_BYTES)
        said = str(form.get("which", ""))
        room, key = self._room_or_new(request)
        if said == "none":
            return self._begin(room.begin("No data set"), None, key)
        if said == "example":
            from cellwright.tools.example import write_example

            live = room.begin("data")
            path = live.folder / "pbmc68k_reduced.h5ad"
            await run_in_threadpool(write_example, path)
            return self._begin(live, path, key)
        offered = {str(at): path for at, path in enumerate(self._options.data)}
        if said not in offered:
            msg = "There is no such file on this page."
            raise InputError(msg)
        return self._begin(room.begin(offered[said].name), offered[said], key)

    def _begin(self, live: Live, path: Path | None, key: str | None) -> Response:
        with live.changing() as talk:
            if path is None:
                talk.status = "ready"
            else:
                talk.title, talk.path, talk.size = path.name, str(path), bytes_of(path)
        if path is not None:
            self._workers.give("open", live)
        answer = _see(f"/talk/{live.talk.id}")
        if key is not None:
            answer.set_cookie(
                self._cookie, key, max_age=COOKIE_SECONDS, httponly=True, samesite="lax"
            )
        return answer

    async def _ask(self, request: Request) -> Response:
        live, form = await self._form(request)
        said = form.get("request", "").strip()
        if not said or len(said) > LONGEST_REQUEST:
            msg = f"Say in 1 to {LONGEST_REQUEST:,} letters what is wanted; it has {len(said):,}."
            raise InputError(msg)
        with live.changing() as talk:
            if talk.busy or talk.status == "broken":
                msg = "Something is under way here; wait for it or stop it."
                raise InputError(msg)
            shown = "show_plan" in form
            turn = Turn(number=len(talk.turns) + 1, request=said, show_plan=shown)
            talk.turns.append(turn)
        self._workers.give("propose", live)
        return _see(f"/talk/{live.talk.id}#turn-{turn.number}")

    async def _answer(self, request: Request) -> Response:
        live, form = await self._form(request)
        with live.changing() as talk:
            turn = _waiting(talk, "question")
            if "drop" in form:
                turn.status = "dropped"
            else:
                said = form.get("own", "").strip() or form.get("choice", "").strip()
                if not said or len(said) > LONGEST_REQUEST:
                    msg = "Choose an answer, or write one."
                    raise InputError(msg)
                turn.reply, turn.status, turn.message = said, "planning", "waiting"
        await self._after(live, turn, "answer")
        return _see(f"/talk/{live.talk.id}#turn-{turn.number}")

    async def _plan(self, request: Request) -> Response:
        """Run the plan as the form has it, put a step in, or drop it."""
        live, form = await self._form(request)
        turn = _waiting(live.talk, "approval")
        steps = edited(form, turn.plan, all_tools()) if turn.plan and "drop" not in form else None
        if steps is not None:
            try:
                await run_in_threadpool(self._workers.change, live, steps)
            except CellwrightError as error:
                return self._page("talk.html.j2", talk=live.talk, wrong=str(error), status=422)
        with live.changing() as talk:
            turn = _waiting(talk, "approval")
            if "drop" in form:
                turn.status = "dropped"
            elif "run" in form:
                turn.status, turn.message = "running", "waiting"
        if turn.status != "approval":
            await self._after(live, turn, "run")
        return _see(f"/talk/{live.talk.id}#turn-{turn.number}")

    async def _after(self, live: Live, turn: Turn, work: Any) -> None:
        """Go on with a turn, or leave it."""
        if turn.status == "dropped":
            await run_in_threadpool(self._workers.drop, live)
        else:
            self._workers.give(work, live)

    async def _stop(self, request: Request) -> Response:
        live, _ = await self._form(request)
        self._workers.stop(live)
        with live.changing(keep=False) as talk:
            if talk.turn and talk.turn.under_way:
                talk.turn.message = "stopping after this step"
        return _see(f"/talk/{live.talk.id}")

    async def _forget(self, request: Request) -> Response:
        live, _ = await self._form(request)
        room = self._room(request)
        if room is not None:
            room.remove(live)
            self._workers.forget(live)
        return _see("/")

    async def _forget_all(self, request: Request) -> Response:
        room = self._room(request)
        for live in list(room.talks.values()) if room else []:
            if room is not None:
                room.remove(live)
            self._workers.forget(live)
        answer = _see("/")
        answer.delete_cookie(self._cookie)
        return answer

    # Files

    async def _file(self, request: Request) -> Response:
        folder = self._report(request)
        path = (folder / request.path_params["file"]).resolve()
        if not path.is_relative_to(folder) or not path.is_file():
            raise HTTPException(404, "There is no such file in this report.")
        if path.name == "report.html" and "download" not in request.query_params:
            text = await run_in_threadpool(path.read_text, encoding="utf-8")
            # Links out of the frame open beside it; those within it stay.
            text = text.replace('<a href="https://', '<a target="_blank" href="https://')
            return HTMLResponse(text, headers={"content-security-policy": REPORT_POLICY})
        if path.suffix == ".png":
            return FileResponse(path, media_type="image/png")
        return FileResponse(path, filename=path.name, media_type="application/octet-stream")

    async def _everything(self, request: Request) -> Response:
        folder = self._report(request)
        path = folder.parent / f"{folder.name}.zip"
        if not path.is_file():
            await run_in_threadpool(_pack, folder, path)
        title = Path(self._live(request).talk.title).stem or "cellwright"
        return FileResponse(path, filename=f"{title}-{folder.name}.zip")

    # What they share

    def _page(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        return HTMLResponse(self._templates.get_template(template).render(values), status)

    def _room(self, request: Request) -> Room | None:
        return self._rooms.find(request.cookies.get(self._cookie, ""))

    def _room_or_new(self, request: Request) -> tuple[Room, str | None]:
        """The visitor's room; a new one, with its key, where they have none."""
        room = self._room(request)
        if room is not None:
            return room, None
        key, room = self._rooms.make()
        return room, key

    def _live(self, request: Request) -> Live:
        room = self._room(request)
        live = room.talks.get(request.path_params["talk"]) if room else None
        if live is None:
            # The same words whether it is somebody else's or nobody's.
            raise HTTPException(404, "There is nothing here that belongs to this session.")
        return live

    async def _form(self, request: Request) -> tuple[Live, Mapping[str, str]]:
        live = self._live(request)
        form = await read_form(request, FORM_BYTES)
        return live, {name: str(value) for name, value in form.items()}

    def _report(self, request: Request) -> Path:
        """Folder of a turn's report."""
        live, number = self._live(request), request.path_params["turn"]
        turns = [one for one in live.talk.turns if one.number == number]
        if not turns or turns[0].open or not live.out(turns[0]).is_dir():
            raise HTTPException(404, "There is no report here yet.")
        return live.out(turns[0]).resolve()

    def _refuse(self, request: Request, status: int, why: str) -> Response:
        """An error as a page for browsers, as one line for everything else."""
        if "text/html" not in request.headers.get("accept", ""):
            return PlainTextResponse(f"{why}\n", status)
        template = "token.html.j2" if status == 401 else "error.html.j2"
        return self._page(template, status, why=why)

    async def _http_error(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        why = error.detail if isinstance(error, HTTPException) else str(error)
        return self._refuse(request, status, why)

    async def _input_error(self, request: Request, error: Exception) -> Response:
        return self._refuse(request, 413 if isinstance(error, TooLargeError) else 400, str(error))


def _see(where: str) -> RedirectResponse:
    return RedirectResponse(where, status_code=303)


def _waiting(talk: Talk, status: str) -> Turn:
    turn = talk.turn
    if turn is None or turn.status != status:
        msg = "This was answered already, or waits for nothing; reload the page to see it."
        raise InputError(msg)
    return turn


def _pack(folder: Path, target: Path) -> None:
    """All files of a report in one."""
    draft = target.with_suffix(".partial")
    with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                packed.write(path, f"{folder.name}/{path.relative_to(folder)}")
    draft.replace(target)
