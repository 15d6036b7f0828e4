"""Seals: a hash at the end of every stored line, so that a later change is noticed when the line is read.

The last member of a line's object is `"seal": "…"`, 24 hex digits. The first 12 are a hash of the line itself, so an
edited line is identified exactly. The last 12 chain it to the previous seal, so a line that was deleted, added, moved
or copied from another run is noticed at the next line. The chain of a file starts with the run's id and the kind of
file. Lines without a seal, from before medbench sealed them, are part of the chain of the lines that follow.

A seal shows damage and careless edits. It is not a signature: anyone who recomputes the hashes can change anything.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

DIGITS = 12  # hex digits of each half: 48 bits, so collisions by chance are negligible
_OPEN, _CLOSE = b',"seal":"', b'"}'
_LENGTH = len(_OPEN) + 2 * DIGITS + len(_CLOSE)

EDITED = "it was changed after it was stored"
MOVED = "lines before it were deleted, added or moved"
UNSEALED = "it has no seal: it was added or changed after the run"


@dataclass
class Chain:
    """The state of one file's seals after the lines read so far. `seal` is that of the last line."""

    seal: bytes
    sealed: bool = False  # a sealed line was seen; all later lines must be sealed
    lines: int = 0

    @property
    def own(self) -> str:
        """The hash of the last line alone, if it was not edited."""
        return self.seal[:DIGITS].decode("ascii", "replace")

    @classmethod
    def of(cls, run_id: str, what: str, sealed: bool = False) -> Chain:
        """Return the chain of an empty file. `sealed`: every line must have a seal, including the first."""
        return cls(_hash(f"{run_id}\n{what}".encode("utf-8", "backslashreplace")) * 2, sealed)

    def add(self, body: bytes) -> bytes:
        """Return the line that stores `body`, a JSON object that is not empty, with its seal and line end."""
        self.seal = self._next(body)
        self.sealed = True
        self.lines += 1
        return b"".join((body[:-1], _OPEN, self.seal, _CLOSE, b"\n"))

    def read(self, line: bytes) -> tuple[bytes, str]:
        """Return the body of a stored line and what is wrong with its seal: EDITED, MOVED, UNSEALED or ""."""
        body, seal = split(line)
        self.lines += 1
        expected = self._next(body)
        if not seal:
            self.seal = expected
            return body, UNSEALED if self.sealed else ""
        self.seal, self.sealed = seal, True
        if seal == expected:
            return body, ""
        return body, EDITED if seal[:DIGITS] != expected[:DIGITS] else MOVED

    def _next(self, body: bytes) -> bytes:
        own = _hash(body)
        return own + _hash(self.seal + own)


def split(line: bytes) -> tuple[bytes, bytes]:
    """Return (body, seal) of a line; the seal is empty if there is none. Line ends are ignored: tools convert them."""
    text = line.rstrip()
    if text[-_LENGTH : -_LENGTH + len(_OPEN)] != _OPEN or not text.endswith(_CLOSE):
        return text, b""
    return text[:-_LENGTH] + b"}", text[-_LENGTH + len(_OPEN) : -len(_CLOSE)]


def flaw(line: bytes) -> str:
    """Return what is wrong with a line by itself: EDITED or "". Only a chain can detect missing or moved lines."""
    body, seal = split(line)
    return EDITED if seal and seal[:DIGITS] != _hash(body) else ""


def of_object(body: bytes) -> str:
    """Return the seal of a whole file that is one JSON object."""
    return hashlib.sha256(body).hexdigest()[: 2 * DIGITS]


def _hash(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest()[:DIGITS].encode()
