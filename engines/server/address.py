"""The address of a server, as a run stores it."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from ...core.errors import UsageError
from ...core.secrets import masked


def server_url(given: str, variable: str, standard: str) -> str:
    """Return the address that was given, else the one in an environment variable, else the standard one.

    Raises UsageError for an invalid address. It is stored with every run, so it must not contain a password.
    """
    url = (given or (os.environ.get(variable, "") if variable else "") or standard).strip().rstrip("/")
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        known = False
    secret = "@" in url or "?" in url or "#" in url or masked(url) != url
    if not known or secret or parts.username or parts.password or parts.query or parts.fragment:
        raise UsageError(
            f"the base URL{'' if secret else f' {url}'} cannot be used.",
            "Write it like http://localhost:8000/v1, without a password or key: keys are read from the environment.",
        )
    return url
