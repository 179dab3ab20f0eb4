"""Who may speak to the page: its own host names, its own forms, and those who have the token."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
"""Sent with every answer that does not set them itself."""
WRONG_TOKEN_WAIT = 0.5
"""Seconds before a wrong token is answered."""

Refuse = Callable[[Request, int, str], Response]


class Guard:
    """Refuses what does not come from the page's own user.

    A request must name a host that the page answers to (a foreign name that resolves here is
    somebody else's page), a form must come from the page itself, and where a token is set it
    stands in the address once and in a cookie from then on.

    Args:
        app: The page.
        hosts: Host names that it answers to; None for any.
        token: What must be known; None where none is needed.
        cookie: Name of the cookie that holds the token.
        refuse: Makes the page that says why not.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: frozenset[str] | None,
        token: str | None,
        cookie: str,
        refuse: Refuse,
    ) -> None:
        self._app, self._hosts, self._token = app, hosts, token
        self._cookie, self._refuse = cookie, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        answer: ASGIApp = self._app
        if why := self._foreign(request):
            answer = self._refuse(request, 403, why)
        elif self._token is not None and not request.url.path.startswith("/static/"):
            answer = await self._checked(request) or self._app

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await answer(scope, receive, send_guarded)

    def _foreign(self, request: Request) -> str:
        """Why a request does not come from the page itself; empty when it may."""
        host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
        if self._hosts is not None and host not in self._hosts:
            return "This page answers only to the address under which it was started."
        if request.method in {"GET", "HEAD"}:
            return ""
        return "" if _same_origin(request.headers) else "This form was sent by another site."

    async def _checked(self, request: Request) -> Response | None:
        """The answer to a request without the token; None when it has it."""
        token = self._token or ""
        if _same(request.cookies.get(self._cookie, ""), token):
            return None
        said = request.query_params.get("token", "")
        if _same(said, token):
            response = RedirectResponse(request.url.path, status_code=303)
            response.set_cookie(self._cookie, token, httponly=True, samesite="lax")
            return response
        if said:
            await asyncio.sleep(WRONG_TOKEN_WAIT)
            return self._refuse(request, 401, "This is not the token of this page.")
        return self._refuse(request, 401, "This page needs the token that its owner was given.")


def _same_origin(headers: Headers) -> bool:
    """Browsers say where a form comes from; what says nothing is no browser."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")


def _same(said: str, token: str) -> bool:
    return secrets.compare_digest(said.encode(), token.encode())
