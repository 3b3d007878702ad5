"""A stand-in for a provider's HTTP API: a real server on a port of its own that answers JSON.

What it can do wrong is set from outside: `failure` is an HTTP status for everything, or "silent"
for taking requests and answering none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlsplit


class Answer(Exception):
    """What a request is answered with."""

    def __init__(self, status: int, body: object) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


class LocalServer:
    """A subclass says in `answer` what is asked of it; it raises Answer for an error."""

    def __init__(self) -> None:
        self.failure: int | str | None = None
        self.requests: list[tuple[str, str]] = []
        self.released = Event()
        self.gate: tuple[str, Event] | None = None  # the next answer below this path waits
        self.waiting = Event()  # it does
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer._serve(self, "GET")

            def do_POST(self) -> None:
                outer._serve(self, "POST")

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """From now on nobody listens."""
        if self.released.is_set():
            return
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str],
        body: bytes,
        headers: Mapping[str, str],
    ) -> object:
        raise NotImplementedError

    def _serve(self, handler: BaseHTTPRequestHandler, method: str) -> None:
        place = urlsplit(handler.path)
        self.requests.append((method, place.path))
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        if self.failure == "silent":
            self.released.wait(30)
            return
        try:
            if isinstance(self.failure, int):
                raise Answer(self.failure, {"error": {"type": "api_error", "message": "broken"}})
            headers = dict(handler.headers.items())
            said = self.answer(method, place.path, dict(parse_qsl(place.query)), body, headers)
            text = json.dumps(said)  # as things are now, whenever it is sent
            gate = self.gate
            if gate is not None and place.path.startswith(gate[0]):
                self.gate = None
                self.waiting.set()
                gate[1].wait(30)
            self._send(handler, 200, text)
        except Answer as answer:
            self._send(handler, answer.status, json.dumps(answer.body))

    def _send(self, handler: BaseHTTPRequestHandler, status: int, said: str) -> None:
        text = said.encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)
