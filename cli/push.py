"""Show what would be sent to the hub, ask, and send it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from .ui import output
from .ui.messages import say, tell

if TYPE_CHECKING:
    from ..core.hub_upload import Parcel


def push(parcel: Parcel, *, yes: bool, quiet: bool = False, as_json: bool = False) -> None:
    """Send a parcel. Unless `yes`, it is shown first and the user is asked.

    Raises click.UsageError if the user cannot be asked.
    """
    if not quiet or not yes:
        for line in parcel.lines():
            tell(line)
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("nothing was sent. To send it without being asked: --yes")
        if not click.confirm("Send this?", err=True):
            tell("Nothing was sent.")
            return
    address = parcel.send()
    if as_json:
        output.show_json({"repo": parcel.repository, "address": address, "files": dict(parcel.files)})
    elif not quiet:
        say(f"sent: {address}")
