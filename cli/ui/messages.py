"""Lines of text: messages on stderr, results on stdout."""

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


def say_piece(text: str) -> None:
    """Print a part of a line on stdout."""
    click.echo(printable(text), nl=False)
