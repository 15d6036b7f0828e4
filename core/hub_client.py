"""The hub's client with bounded patience: short waits, retries that are announced, and errors that say their status."""

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

WAITS = (1.0, 2.0, 4.0)  # seconds before each further attempt
LONGEST_WAIT = 60.0  # seconds; a server that asks for more is not waited for
CONNECT_SECONDS = 5.0
LONGEST_SILENCE = 30.0  # seconds without a byte, whatever a caller allows
BUSY = (408, 429, 500, 502, 503, 504)  # statuses that may be gone a moment later
REFUSALS = (401, 403, 451)  # statuses that end a download
OPTIONAL = "datasets-server."  # a host that `datasets` asks for hints and does without
MESSAGE = 300  # characters of a server's own message

Tell = Callable[[str], None]

_URL_QUERY = re.compile(r"(https?://[^\s?'\"<>()]+)\?[^\s'\"<>()]*")


class HubError(MedbenchError):
    """The hub or its storage did not deliver, after all attempts."""


@contextlib.contextmanager
def patient(tell: Tell) -> Iterator[None]:
    """Within the block, every request of the hub's client is retried in bounds, and `tell` gets a line for each wait.

    A request that fails to the end raises HubError, which the client itself does not retry. Its warnings, which would
    repeat these lines with signed URLs in them, are muted.
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
        if refusals and type(error).__module__.startswith("datasets."):  # they come without their cause
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
    """The client's exceptions for a connection that may work at the next attempt."""
    library = _http_library()
    return library.TimeoutException, library.NetworkError, library.RemoteProtocolError


def trouble(error: Exception, url: str) -> str:
    """What went wrong with a connection, in words: `http://host sent nothing for 10 s`."""
    library, host = _http_library(), origin(url)
    if isinstance(error, library.ConnectTimeout):
        return f"{host} does not answer"
    if isinstance(error, library.TimeoutException):
        return f"{host} sent nothing for {stall_seconds():g} s"
    if isinstance(error, library.ConnectError):
        return f"{host} cannot be reached ({without_queries(str(error)) or 'connection failed'})"
    return f"the connection to {host} broke off"


def answered(response: Any, said: str = "") -> str:
    """A refusal in words: status, reason and the server's own message, such as `answers 403 Forbidden: …`.

    `said` is that message where the body has been read already.
    """
    status = int(response.status_code)
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:
        reason = str(getattr(response, "reason_phrase", ""))
    said = short(said) or server_message(response)
    return f"{origin(str(response.url))} answers {status} {reason}".rstrip() + (f": {said}" if said else "")


def server_message(response: Any) -> str:
    """What the server itself says of its refusal: a header of the hub, or JSON or plain text in the body."""
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
    """A server's message in one line, without what looks like a key; "" for a web page."""
    line = " ".join(message.split())
    return "" if line.startswith("<") else masked(without_queries(line[:MESSAGE]))


def without_queries(text: str) -> str:
    """`text` with the query string of every URL removed: signed URLs are keys."""
    return _URL_QUERY.sub(r"\1", text)


def origin(url: str) -> str:
    """Scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}" + (f":{parts.port}" if parts.port else "")


def wait_asked(headers: Mapping[str, str]) -> float | None:
    """Seconds that a busy server asks to wait: in Retry-After, as a number or a date, or in its rate limit."""
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
    """Send a request, and again while the server is busy or the connection fails. Raises HubError in the end."""
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
_LATER = "Try again later; what is downloaded is kept."


def _http_library() -> Any:
    """The HTTP library of the installed hub client, which changed between its versions."""
    from huggingface_hub import errors

    return sys.modules[errors.HTTPError.__module__.partition(".")[0]]
