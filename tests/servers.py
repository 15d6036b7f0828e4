"""A server that speaks OpenAI's API on 127.0.0.1, well or badly, and counts what it is asked.

with Server(busy("0.1"), then=says("B")) as server:  # 429 once, then "B" to everything
    ... server.url, server.asked
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


@dataclass(frozen=True)
class Asked:
    """One request as it came in. `path` is without the /v1 before it."""

    path: str
    body: dict[str, Any]
    headers: Mapping[str, str]  # names in lower case
    at: float  # seconds, of a clock that only goes on

    @property
    def text(self) -> str:
        """The prompt, or the last turn."""
        return str(self.body.get("prompt") or self.body["messages"][-1]["content"])


@dataclass(frozen=True)
class Answer:
    """What is sent back. `hang_s` passes before it; a `drip_s` passes before each byte of the body."""

    status: int = 200
    body: str | dict[str, Any] = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    hang_s: float = 0.0
    drip_s: float = 0.0
    close: bool = False  # the connection is closed without an answer
    cut: bool = False  # it is closed in the middle of the body


Behavior = Callable[[Asked], Answer]


def says(text: str | Callable[[Asked], str] | None, finish: str = "stop", **message: Any) -> Behavior:
    """Answers every prompt; keyword arguments are further fields of the message of a chat."""

    def answer(asked: Asked) -> Answer:
        said = text(asked) if callable(text) else text
        choice: dict[str, Any] = {"index": 0, "finish_reason": finish}
        if asked.path == "/chat/completions":
            choice["message"] = {"role": "assistant", "content": said} | message
        else:
            choice["text"] = said
        return Answer(body=reply([choice], completion_tokens=7))

    return answer


def gives(top: Mapping[str, float], classic: bool = True) -> Behavior:
    """Answers with these first tokens and their log-probabilities, where they are asked for."""

    def answer(asked: Asked) -> Answer:
        likeliest = max(top, key=lambda token: top[token])
        listed = [{"token": token, "logprob": value} for token, value in top.items()]
        choice: dict[str, Any] = {"index": 0, "finish_reason": "length"}
        if asked.path == "/chat/completions":
            choice["message"] = {"role": "assistant", "content": likeliest}
        else:
            choice["text"] = likeliest
        if asked.body.get("logprobs"):
            chats = asked.path == "/chat/completions"
            new = {"content": [{"token": likeliest, "logprob": top[likeliest], "top_logprobs": listed}]}
            old = {"tokens": [likeliest], "token_logprobs": [top[likeliest]], "top_logprobs": [dict(top)]}
            choice["logprobs"] = new if chats or not classic else old
        return Answer(body=reply([choice], completion_tokens=1))

    return answer


def reply(choices: list[dict[str, Any]], completion_tokens: int = 7, prompt_tokens: int = 11) -> dict[str, Any]:
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}
    return {"id": "r1", "object": "chat.completion", "model": "m", "created": 1, "choices": choices, "usage": usage}


def error(status: int, message: str = "it went wrong", **fields: Any) -> Behavior:
    """An error as OpenAI writes one: `code` and `param` among `fields`; `headers` are the reply's."""
    headers = fields.pop("headers", {})
    return lambda asked: Answer(status, {"error": {"message": message, **fields}}, headers)


def busy(retry_after: str = "", **headers: str) -> Behavior:
    """429, with Retry-After where given; `x_ratelimit_reset_tokens="7s"` is that header."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return error(429, "too many requests", headers=named | ({"Retry-After": retry_after} if retry_after else {}))


def raw(body: str, status: int = 200) -> Behavior:
    """This text as the whole body, JSON or not."""
    return lambda asked: Answer(status, body)


def closes(asked: Asked) -> Answer:
    return Answer(close=True)


def cuts(asked: Asked) -> Answer:
    return Answer(body=reply([]), cut=True)


def hangs(seconds: float) -> Behavior:
    return lambda asked: Answer(body=reply([]), hang_s=seconds)


def drips(seconds: float) -> Behavior:
    """A body of which a byte comes now and then."""
    return lambda asked: Answer(body=reply([]), drip_s=seconds)


def refuses(field: str, then: Behavior, status: int = 400, message: str = "") -> Behavior:
    """An error to every request that has `field`, an answer to others."""
    told = error(status, message or f"Unsupported parameter: '{field}'", param=field)
    return lambda asked: (told if field in asked.body else then)(asked)


def by_path(**behaviors: Behavior) -> Behavior:
    """`chat=` for /chat/completions, `completions=` for /completions; 404 for what is not given."""

    def answer(asked: Asked) -> Answer:
        name = "chat" if asked.path == "/chat/completions" else "completions"
        return behaviors.get(name, error(404, "no such address"))(asked)

    return answer


class Server:
    """Behaves as `script` says, a behavior for each request in order of arrival, then as `then`: a plain answer."""

    def __init__(self, *script: Behavior, then: Behavior | None = None) -> None:
        self.asked: list[Asked] = []
        self.most_at_once = 0
        self._script = list(script)
        self._then = then or says("Answer: A")
        self._at_once = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                headers = {name.lower(): value for name, value in self.headers.items()}
                path = "/" + self.path.partition("/v1/")[2]
                outer._answer(self, Asked(path, body, headers, time.monotonic()))

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)

    @property
    def root(self) -> str:
        """As Groq's SDK wants it."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def url(self) -> str:
        """As --base-url wants it."""
        return self.root + "/v1"

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._closing.set()  # what hangs lets go
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def wait_for(self, requests: int, seconds: float = 2.0) -> None:
        """Wait until so many requests have been here at once, or for so long, after which none will join them."""
        until = time.monotonic() + seconds
        while self.most_at_once < requests and time.monotonic() < until:
            time.sleep(0.005)

    def _answer(self, handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        with self._lock:
            self.asked.append(asked)
            behavior = self._script.pop(0) if self._script else self._then
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            self._send(handler, behavior(asked))
        except OSError:  # whoever asked has gone
            handler.close_connection = True
        finally:
            with self._lock:
                self._at_once -= 1

    def _send(self, handler: BaseHTTPRequestHandler, answer: Answer) -> None:
        self._closing.wait(answer.hang_s)
        if answer.close:
            handler.close_connection = True
            return
        body = (answer.body if isinstance(answer.body, str) else json.dumps(answer.body)).encode()
        handler.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if answer.cut:
            handler.wfile.write(body[: len(body) // 2])
            handler.close_connection = True
            return
        for at in range(0, len(body), 1 if answer.drip_s else max(len(body), 1)):
            self._closing.wait(answer.drip_s)
            handler.wfile.write(body[at : at + (1 if answer.drip_s else len(body))])
            handler.wfile.flush()


def evenly(*tokens: str) -> dict[str, float]:
    """The first twice as likely as the second, and so on; together 1 or a little less."""
    return {token: -(place + 1) * math.log(2) for place, token in enumerate(tokens)}
