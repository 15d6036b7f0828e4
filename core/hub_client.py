"""The hub's client with limits: short waits, announced retries, and errors that give the status."""

from __future__ import annotations

import contextlib
import email.utils
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from .errors import MedbenchError
from .secrets import masked
from .text import plain_reason

WAITS = (1.0, 2.0, 4.0)  # seconds before each further attempt
LONGEST_WAIT = 60.0  # seconds; if a server asks for more, give up
CONNECT_SECONDS = 5.0
LONGEST_SILENCE = 30.0  # seconds without a byte, whatever a caller allows
BUSY = (408, 429, 500, 502, 503, 504)  # statuses that may be temporary
REFUSALS = (401, 403, 451)  # statuses that end a download
OPTIONAL = "datasets-server."  # a host that `datasets` asks for hints but does not need
MESSAGE = 300  # characters of a server's own message

Tell = Callable[[str], None]

_URL_QUERY = re.compile(r"(https?://[^\s?'\"<>()]+)\?[^\s'\"<>()]*")


class HubError(MedbenchError):
    """The hub or its storage did not deliver the file after all attempts."""


@contextlib.contextmanager
def patient(tell: Tell) -> Iterator[None]:
    """Retry every request of the hub's client within limits, and call `tell` with a line for each wait.

    A request that keeps failing raises HubError, which the client does not retry. The client's warnings are muted,
    because they would repeat these lines with signed URLs in them.
    """
    from huggingface_hub import get_session
    from huggingface_hub.utils import logging

    client, loudness = get_session(), logging.get_verbosity()
    if "send" in vars(client):  # already inside such a block
        yield
        return
    send = client.send
    refusals: list[Any] = []

    def patiently(request: Any, **options: Any) -> Any:
        response = _send(send, request, options, tell)
        if response.status_code in REFUSALS:
            refusals.append(response)
        return response

    client.send = patiently
    if loudness == logging.WARNING:
        logging.set_verbosity_error()
    try:
        yield
    except Exception as error:
        if refusals and type(error).__module__.startswith("datasets."):  # raised without their cause
            error.response = refusals[-1]  # type: ignore[attr-defined]
        raise
    finally:
        del client.send
        logging.set_verbosity(loudness)


def stall_seconds() -> float:
    """Seconds without a byte after which a download counts as stalled: HF_HUB_DOWNLOAD_TIMEOUT, 10 by default."""
    from huggingface_hub import constants

    return float(constants.HF_HUB_DOWNLOAD_TIMEOUT)


def transient() -> tuple[type[Exception], ...]:
    """Return the client's exceptions for a connection that may work at the next attempt."""
    library = _http_library()
    return library.TimeoutException, library.NetworkError, library.RemoteProtocolError


def trouble(error: Exception, url: str) -> str:
    """Describe a connection error: `http://host sent nothing for 10 s`."""
    library, host = _http_library(), origin(url)
    if isinstance(error, library.ConnectTimeout):
        return f"{host} does not answer"
    if isinstance(error, library.TimeoutException):
        return f"{host} sent nothing for {stall_seconds():g} s"
    if isinstance(error, library.ConnectError):
        return f"{host} cannot be reached ({plain_reason(without_queries(str(error))) or 'connection failed'})"
    return f"the connection to {host} broke off"


def answered(response: Any, said: str = "") -> str:
    """Describe a refusal with status, reason and the server's message, such as `answers 403 Forbidden: …`.

    `said` is that message if the body has already been read.
    """
    status = int(response.status_code)
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:
        reason = str(getattr(response, "reason_phrase", ""))
    said = short(said) or server_message(response)
    return f"{origin(str(response.url))} answers {status} {reason}".rstrip() + (f": {said}" if said else "")


def server_message(response: Any) -> str:
    """Return the server's own message: from a header of the hub, or JSON or plain text in the body."""
    said = response.headers.get("X-Error-Message", "")
    if not said:
        with contextlib.suppress(Exception):  # a body that cannot be read has no message
            response.read()
            kind = response.headers.get("Content-Type", "")
            if "json" in kind:
                body = response.json()
                value = body.get("error") or body.get("message") or body.get("errors") if isinstance(body, dict) else ""
                said = "; ".join(map(str, value)) if isinstance(value, list) else str(value or "")
            elif "text/plain" in kind:
                said = response.text
    return short(said)


def short(message: str) -> str:
    """Return a server's message in one line, without anything that looks like a key; "" for a web page."""
    line = " ".join(message.split())
    return "" if line.startswith("<") else masked(without_queries(line[:MESSAGE]))


def without_queries(text: str) -> str:
    """Remove the query string of every URL in `text`, because signed URLs are keys."""
    return _URL_QUERY.sub(r"\1", text)


def origin(url: str) -> str:
    """Return scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}" + (f":{parts.port}" if parts.port else "")


def wait_asked(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a busy server asks to wait, from Retry-After (number or date) or its rate limit."""
    value = headers.get("Retry-After", "").strip()
    if value.isdigit():
        return float(value)
    if value:
        with contextlib.suppress(ValueError, TypeError, IndexError):
            return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    if limit := re.search(r"\br=0;\s*t=(\d+)", headers.get("RateLimit", "")):
        return float(limit[1])
    return None


def _send(send: Callable[..., Any], request: Any, options: Mapping[str, Any], tell: Tell) -> Any:
    """Send a request, with retries while the server is busy or the connection fails. Raises HubError in the end."""
    limits = request.extensions.get("timeout") or {}
    if limits.get("read") is None:
        seconds = stall_seconds()
        request.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), seconds)
    request.extensions["timeout"]["read"] = min(request.extensions["timeout"]["read"], LONGEST_SILENCE)
    connect = request.extensions["timeout"]["connect"]
    request.extensions["timeout"] |= {"connect": min(connect or CONNECT_SECONDS, CONNECT_SECONDS)}
    if str(request.url.host).startswith(OPTIONAL):
        return send(request, **options)
    cause: Exception | None
    for attempt, wait in enumerate((*WAITS, None), 1):
        seconds = wait or 0.0
        try:
            response = send(request, **options)
        except transient() as error:
            why, cause = trouble(error, str(request.url)), error
            if "CERTIFICATE_VERIFY_FAILED" in why:
                raise HubError(f"{why}.", _CERTIFICATES) from error
        else:
            if response.status_code not in BUSY:
                return response
            why, cause = answered(response), None
            asked = wait_asked(response.headers)
            response.close()
            if asked is not None and asked > LONGEST_WAIT:
                raise HubError(f"{why} (it asks to wait {asked:,.0f} s).", _LATER)
            seconds = seconds if asked is None else asked
        if wait is None:
            raise HubError(f"{why} ({attempt} attempts).", _LATER) from cause
        tell(f"{why}; trying again in {seconds:g} s")
        time.sleep(seconds)
    raise AssertionError("the last attempt returns or raises")


_CERTIFICATES = "If a proxy of your network signs its own certificates, name its certificate file with SSL_CERT_FILE."
_LATER = "Try again later; what was downloaded is kept."


def _http_library() -> Any:
    """Return the HTTP library of the installed hub client. It differs between client versions."""
    from huggingface_hub import errors

    return sys.modules[errors.HTTPError.__module__.partition(".")[0]]
