"""Where the items of a run came from, as its manifest says it."""

from __future__ import annotations

import re

# As benchmarks/sources writes it.
_HUB = re.compile(r"hub:(?P<id>[\w-][\w.-]*/[\w.-]+?)(?:/(?P<config>[^@/\s]+))?(?:@(?P<revision>[0-9a-f]{7,40}))?")


def hub_data(origin: str) -> dict[str, str]:
    """Return the id, config and revision of the hub data set that items are from; {} for other origins."""
    found = _HUB.fullmatch(origin)
    return {name: value for name, value in found.groupdict().items() if value} if found else {}
