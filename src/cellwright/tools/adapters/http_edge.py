"""What stands before the HTTP transport: the token, and answers too large for an event stream."""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

REFUSAL = "Send the server's token in the header 'Authorization: Bearer TOKEN'."


class TokenGuard:
    """ASGI middleware that answers 401 to whoever does not bring the token."""

    def __init__(self, app: App, token: str) -> None:
        self._app = app
        self._wanted = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"authorization", b"")
        if hmac.compare_digest(given, self._wanted):
            await self._app(scope, receive, send)
            return
        body = json.dumps({"error": REFUSAL}).encode()
        headers = [(b"content-type", b"application/json"), (b"www-authenticate", b"Bearer")]
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body", "body": body})


WHOLE = "resources/read"
"""Method whose answers may be large; nothing is told on the way to them."""

LONGEST_BODY = 64 * 1024
"""Bytes of a request that is looked into; one that reads a resource is far shorter."""


class WholeAnswers:
    """ASGI middleware that answers reads of resources in one piece of JSON.

    The protocol's older versions send every answer as a server-sent event, and its official client
    takes events of at most one megabyte: less than many a table or figure.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and bring the answer together where it is a resource."""
        headers = dict(scope.get("headers", ()))
        length = headers.get(b"content-length", b"")
        if not length.isdigit() or int(length) > LONGEST_BODY:
            await self._app(scope, receive, send)
            return
        body, message = b"", await receive()
        while message["type"] == "http.request":
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
            message = await receive()
        read = message if message["type"] != "http.request" else _request(body)
        waiting = [read]

        async def again() -> MutableMapping[str, Any]:
            return waiting.pop() if waiting else await receive()

        whole = _Whole(send)
        await self._app(scope, again, whole if _method(body) == WHOLE else send)
        await whole.finish()


class _Whole:
    """Collects an event stream and sends the answer in it as JSON; other answers pass."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: MutableMapping[str, Any] | None = None
        self._body = b""

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            kind = dict(message["headers"]).get(b"content-type", b"")
            if kind.startswith(b"text/event-stream"):
                self._start = message
                return
        elif message["type"] == "http.response.body" and self._start is not None:
            self._body += message.get("body", b"")
            return
        await self._send(message)

    async def finish(self) -> None:
        """Send what was collected."""
        if self._start is None:
            return
        answer = _answer_in(self._body)
        kept = [
            (name, value)
            for name, value in self._start["headers"]
            if name not in {b"content-type", b"content-length", b"transfer-encoding"}
        ]
        headers = [*kept, (b"content-type", b"application/json")]
        await self._send({**self._start, "headers": headers})
        await self._send({"type": "http.response.body", "body": answer})


def _request(body: bytes) -> MutableMapping[str, Any]:
    return {"type": "http.request", "body": body, "more_body": False}


def _method(body: bytes) -> str:
    try:
        said = json.loads(body)
    except ValueError:
        return ""
    return str(said.get("method", "")) if isinstance(said, dict) else ""


def _answer_in(stream: bytes) -> bytes:
    """The JSON-RPC answer among the events of a stream."""
    for event in reversed(stream.replace(b"\r\n", b"\n").split(b"\n\n")):
        lines = [line for line in event.split(b"\n") if line.startswith(b"data:")]
        data = b"\n".join(line.removeprefix(b"data:").removeprefix(b" ") for line in lines)
        if b'"result"' in data or b'"error"' in data:
            return data
    return b""
