"""Lines of text: messages on stderr, results on stdout, and times as people read them."""

from __future__ import annotations

import click

from ...core.text import printable

LINE_SECONDS = 10.0  # the shortest time between two progress lines


def tell(text: str) -> None:
    """Print a message on stderr. Stdout is for results."""
    click.echo(printable(text), err=True)


def say(text: str) -> None:
    """Print a result on stdout."""
    click.echo(printable(text))


def clock(seconds: float) -> str:
    """Return seconds as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
