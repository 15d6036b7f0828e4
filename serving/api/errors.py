"""Failures in the form that clients of OpenAI's API read: {"error": {"message", "type", "param", "code"}}."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import JSONResponse

from ...core.text import whole

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
    error = errors[0]
    place = [str(part) for part in error.get("loc", ()) if part != "body"]
    kind = str(error.get("type", ""))
    if kind == "json_invalid":
        return Refusal(400, "the body is not valid JSON.", code="invalid_json")
    if kind == "extra_forbidden":
        return Refusal(400, f"unrecognized field: {place[-1]}", place[0], "unknown_field")
    param = place[0] if place else ""
    if kind == "missing":
        where = ".".join(place) or "the body"
        return Refusal(400, f"{where} is missing.", param, "missing_field")
    where = ".".join(part for part in place if not part[:1].isupper() and "[" not in part)
    message = str(error.get("msg", "invalid")).removeprefix("Value error, ")
    return Refusal(400, f"{where}: {message}" if where else message, param, "invalid_value")
