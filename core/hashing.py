"""Short hashes of plain data, which identify runs, prompt sets and columns."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

_ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=True, separators=(",", ":"))


def fingerprint(value: Any) -> str:
    """Return sixteen hex digits that change with anything in `value` (plain JSON data)."""
    return hashlib.sha256(_ENCODER.encode(value).encode()).hexdigest()[:16]


def fingerprint_each(values: Iterable[Any]) -> str:
    """Return the `fingerprint` of the list of `values`, holding one value in memory at a time."""
    digest = hashlib.sha256(b"[")
    for number, value in enumerate(values):
        digest.update(("," * (number > 0) + _ENCODER.encode(value)).encode())
    digest.update(b"]")
    return digest.hexdigest()[:16]
