"""Download bytes, with a limited number of retries, and resume after a break. Uses the proxies of the environment."""

from __future__ import annotations

import base64
import contextlib
import email.utils
import errno
import hashlib
import http.client
import json
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import unquote, urlsplit, urlunsplit

from .errors import MedbenchError
from .secrets import masked
from .text import plain_reason, size

CONNECT_SECONDS = 15.0  # until a server begins to answer, including the DNS lookup
READ_SECONDS = 30.0  # until the next bytes arrive
WAITS = (1.0, 2.0, 4.0)  # seconds before the next attempt, while attempts bring no new bytes
LONGEST_WAIT = 60.0  # seconds that a server may ask to wait (Retry-After)
CONNECTIONS = 100  # for one file, however few bytes each one brings
BLOCK = 1 << 18
BUSY = frozenset({408, 429, 500, 502, 503, 504})  # statuses that may be temporary

Progress = Callable[[int, int | None], None]  # bytes so far, and total bytes if the server reports them
Tell = Callable[[str], None]


class DownloadUnreachable(MedbenchError):
    """Nothing answers at this address, or the answer cannot be trusted."""


class DownloadRefused(MedbenchError):
    """The server refuses to send the file."""


def shown(address: str) -> str:
    """Return an address that is safe to print, without a login or a query, which can hold keys."""
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def download(
    address: str,
    target: Path,
    progress: Progress,
    tell: Tell = lambda line: None,
    checked: bool = False,
) -> bool:
    """Download `address` into the file `target`. Return whether bytes from an earlier call were used.

    An earlier call's partial download of the same address is resumed. `checked`: the caller verifies the content, so a
    partial file is resumed even if the server cannot confirm that its file is still the same. Raises MedbenchError if
    the server cannot be reached or refuses, and OSError if the disk fails.
    """
    most = failures = 0
    used = _have(target, address)[0] > 0
    for _ in range(CONNECTIONS):
        most = max(most, _have(target, address)[0])
        try:
            return not _once(address, target, progress, checked) and used
        except KeyboardInterrupt:
            have = _have(target, address)[0]
            tell(f"stopped after {size(have)} of {shown(address)}; the same command continues from there")
            raise
        except (OSError, http.client.HTTPException) as error:
            if not _is_network(error):
                raise
            have = _have(target, address)[0]
            failures = 0 if have > most else failures + 1
            wait = _wait(error, failures)
            if wait is None:
                _give_up(address, have, error)
            then = f"trying again in {wait:.0f} s" if wait else f"continuing after {size(have)}"
            tell(f"{urlsplit(address).hostname}: {_reason(error)}; {then}")
            time.sleep(wait)
            last = error
    _give_up(address, _have(target, address)[0], last)


class _Unanswered(TimeoutError):
    """Nothing answered within CONNECT_SECONDS."""


def _is_network(error: Exception) -> bool:
    """Return whether this error came from the network rather than the disk."""
    return isinstance(
        error, urllib.error.URLError | ConnectionError | TimeoutError | ssl.SSLError | http.client.HTTPException
    )


def _wait(error: Exception, failures: int) -> float | None:
    """Return the seconds before the next attempt, or None if another is pointless.

    `failures` counts the attempts in a row without new bytes.
    """
    if failures > len(WAITS):
        return None
    wait = WAITS[failures - 1] if failures else 0.0
    if isinstance(error, urllib.error.HTTPError):
        if error.code not in BUSY:
            return None
        asked = _asked_to_wait(error)
        wait = max(wait, WAITS[0]) if asked is None else asked
        return wait if wait <= LONGEST_WAIT else None
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    # No DNS name, no listener, no route or no valid certificate: retrying will not help.
    hopeless = (socket.gaierror, ConnectionRefusedError, ssl.SSLCertVerificationError, _Unanswered)
    if isinstance(reason, hopeless) or getattr(reason, "errno", 0) in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        return None
    if "Tunnel connection failed: 4" in str(reason) or isinstance(reason, http.client.InvalidURL):
        return None
    return wait


def _asked_to_wait(error: urllib.error.HTTPError) -> float | None:
    """Return the seconds that the server asks to wait, or None if it does not say."""
    said = error.headers.get("Retry-After") or ""
    if said.strip().isdigit():
        return float(said)
    with contextlib.suppress(TypeError, ValueError):
        return max(0.0, email.utils.parsedate_to_datetime(said).timestamp() - time.time())
    return None


def _once(address: str, target: Path, progress: Progress, checked: bool) -> bool:
    """Send one request. Return whether it brought the whole file."""
    have, tag = _have(target, address)
    headers = {"User-Agent": "medbench", "Accept-Encoding": "identity"}
    if have and (tag or checked):
        headers |= {"Range": f"bytes={have}-"} | ({"If-Range": tag} if tag else {})
    try:
        opened = _open(_request(address, headers))
    except urllib.error.HTTPError as error:
        if error.code != 416 or "Range" not in headers:
            raise
        # The server has no bytes after these: the file is complete, or it is a different one.
        if error.headers.get("Content-Range") == f"bytes */{have}":
            return False
        forget(target)
        return _once(address, target, progress, checked)
    with contextlib.closing(opened) as reply:
        resumes = reply.status == 206
        if resumes and not reply.headers.get("Content-Range", f"bytes {have}-").startswith(f"bytes {have}-"):
            forget(target)  # not the range that was requested
            raise ConnectionError("the server sent a different range than requested")
        have = have if resumes else 0
        length = reply.headers.get("Content-Length")
        total = have + int(length) if length else None
        if not resumes:
            forget(target)  # first, so that a note never describes the bytes of another file
        with target.open("ab") as file:
            _note(target, address, reply.headers.get("ETag") or reply.headers.get("Last-Modified") or "")
            progress(have, total)
            while block := _read(reply):
                file.write(block)
                have += len(block)
                progress(have, total)
    if total is not None and have < total:
        raise ConnectionError(f"the connection ended at {have:,} of {total:,} bytes")
    return not resumes


def _read(reply: Any) -> bytes:
    try:
        block: bytes = reply.read1(BLOCK)  # whatever has arrived, so that none of it is lost if the rest fails
    except OSError as error:  # of any kind; it came from the network
        raise ConnectionError(str(error) or type(error).__name__) from error
    return block


def _request(address: str, headers: dict[str, str]) -> urllib.request.Request:
    """Build a request. A login in the address becomes a header, which is not sent on after a redirect."""
    parts = urlsplit(address)
    login, _, place = parts.netloc.rpartition("@")
    request = urllib.request.Request(urlunsplit((parts.scheme, place, *parts[2:])), headers=headers)
    if login:
        user, _, password = login.partition(":")
        pair = base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {pair}")
    return request


def _open(request: urllib.request.Request) -> Any:
    """Return the reply. It is read in a thread, because a DNS server that does not answer outlasts every timeout."""
    replies: list[Any] = []
    errors: list[Exception] = []

    def ask() -> None:
        try:
            replies.append(urllib.request.build_opener().open(request, timeout=READ_SECONDS))
        except Exception as error:  # raised again by the waiting thread
            errors.append(error)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(CONNECT_SECONDS)
    if replies:
        return replies[0]
    raise errors[0] if errors else _Unanswered(f"no answer within {CONNECT_SECONDS:.0f} s")


def _give_up(address: str, have: int, error: Exception) -> NoReturn:
    where = shown(address)
    if isinstance(error, urllib.error.HTTPError):
        asked = _asked_to_wait(error)
        if asked:
            raise MedbenchError(
                f"{where}: the server asks to wait {asked:.0f} s ({_reason(error)}).",
                "Run the same command after that.",
            ) from error
        again = "Run the same command again later." if error.code in BUSY else ""
        raise DownloadRefused(f"the server refuses {where}: {_reason(error)}.", again) from error
    if have:
        raise MedbenchError(
            f"the download of {where} broke off after {have:,} bytes: {_reason(error)}.",
            "The same command continues from there.",
        ) from error
    server = urlsplit(where).netloc
    raise DownloadUnreachable(
        f"{server} cannot be reached from here: {_reason(error)}.", _way_through(error)
    ) from error


def _way_through(error: Exception) -> str:
    if isinstance(getattr(error, "reason", error), ssl.SSLCertVerificationError):
        return "If a proxy of your network signs its own certificates, name its certificate file with SSL_CERT_FILE."
    return "If your network has a proxy, set HTTPS_PROXY. If it has a mirror, set MEDBENCH_MIRROR."


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"{error.code} {error.reason}"
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    said = (isinstance(reason, OSError) and reason.strerror) or str(reason)
    return plain_reason(masked(" ".join(str(said).split()))) or type(reason).__name__


# What is kept of an interrupted download


def _beside(target: Path) -> Path:
    return target.with_name(target.name + ".json")


def _have(target: Path, address: str) -> tuple[int, str]:
    """Return (bytes of this address that an earlier attempt left, the server's tag of their file)."""
    try:
        noted = json.loads(_beside(target).read_bytes())
        same = noted["address"] in (_hash(address), address)  # earlier versions noted the address itself
        return (target.stat().st_size, str(noted["tag"])) if same else (0, "")
    except (OSError, ValueError, LookupError, TypeError):
        return 0, ""


def _note(target: Path, address: str, tag: str) -> None:
    """Note which file this part belongs to. A weak tag does not guarantee identical bytes."""
    tag = "" if tag.startswith("W/") else tag
    _beside(target).write_text(json.dumps({"address": _hash(address), "tag": tag}), encoding="utf-8")


def _hash(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()  # the address itself may hold a key


def forget(target: Path) -> None:
    """Delete what a download left behind."""
    target.unlink(missing_ok=True)
    _beside(target).unlink(missing_ok=True)
