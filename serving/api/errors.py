"""Failures in the form that clients of OpenAI's API read: {"error": {"message", "type", "param", "code"}}."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import JSONResponse

from ...core.text import whole

TYPES = frozenset({"str", "int"})  # in the place of an error: which of several types was tried
KINDS = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}


class Refusal(Exception):
    """An error reply: HTTP status, message, the field at fault, and a code for programs."""

    def __init__(
        self, status: int, message: str, param: str = "", code: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code
        self.headers = dict(headers or {})

    @property
    def body(self) -> dict[str, Any]:
        kind = KINDS.get(self.status, "server_error" if self.status >= 500 else "invalid_request_error")
        message = whole(self.message)
        return {"error": {"message": message, "type": kind, "param": self.param or None, "code": self.code or None}}

    def response(self) -> JSONResponse:
        return JSONResponse(self.body, self.status, self.headers)

    def event(self) -> str:
        """Return the error as the last event of a stream."""
        return f"data: {json.dumps(self.body)}\n\n"


def invalid(errors: Sequence[Mapping[str, Any]]) -> Refusal:
    """Return the first problem that validation found in a request."""
    # A field that may have several types has an error for each of them. The deepest is about the type that was meant.
    field = _place(errors[0])[:1]
    place = max((_place(error) for error in errors if _place(error)[:1] == field), key=len)
    there = [error for error in errors if _place(error) == place]
    error = there[0]
    kind = str(error.get("type", ""))
    if kind == "json_invalid":
        return Refusal(400, "the body is not valid JSON.", code="invalid_json")
    if kind == "extra_forbidden":
        return Refusal(400, f"unrecognized field: {place[-1]}", place[0], "unknown_field")
    param = place[0] if place else ""
    if kind == "missing":
        where = ".".join(place) or "the body"
        return Refusal(400, f"{where} is missing.", param, "missing_field")
    where = ".".join(place)
    said = dict.fromkeys(str(one.get("msg", "invalid")).removeprefix("Value error, ") for one in there)
    message = " or ".join(one.removeprefix("Input should be ") if at else one for at, one in enumerate(said))
    return Refusal(400, f"{where}: {message}" if where else message, param, "invalid_value")


def _place(error: Mapping[str, Any]) -> list[str]:
    """Return where in the body an error is, without the names of types that pydantic tried there."""
    parts = [str(part) for part in error.get("loc", ()) if part != "body"]
    return [part for part in parts if part not in TYPES and "[" not in part]
