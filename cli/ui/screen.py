"""The rich console that every table and bar is drawn on. Importing this module imports rich: import it when drawing."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from ...core.text import printable

PIPE_WIDTH = 200  # columns of a table if stdout is not a terminal


class Screen(Console):
    """A console that displays control characters in untrusted text instead of executing them.

    Only rich's own styles and cursor movements reach the terminal. Text is cleaned before it is measured and wrapped.
    """

    def render_str(self, text: str, **settings: Any) -> Text:
        return super().render_str(printable(text), **settings)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        if isinstance(renderable, Text) and printable(renderable.plain) != renderable.plain:
            renderable = renderable.copy()
            renderable.plain = printable(renderable.plain)
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)


def stdout() -> Screen:
    """Return a console as wide as the terminal or COLUMNS; wide enough for every table if stdout is not a terminal."""
    made = Screen(highlight=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        return Screen(highlight=False, width=PIPE_WIDTH)
    return made


def stderr() -> Screen:
    return Screen(stderr=True)
