"""The pages of a report, made from templates that escape every text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from ..core.text import printable
from .private_paths import without_folders

TEMPLATES = "templates"


def page(template: str, **values: Any) -> str:
    """Return a page. Every text in `values` is escaped, unless it is marked as HTML that escapes its own texts.

    Paths of this machine lose their folders.
    """
    return _environment().get_template(template).render(**values)


def files(folder: str) -> Sequence[tuple[str, str]]:
    """Return the name and the text of every file in a folder of this package, sorted."""
    found = (resources.files(__package__) / folder).iterdir()
    return sorted((file.name, file.read_text(encoding="utf-8")) for file in found if file.is_file())


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(lambda name: (resources.files(__package__) / TEMPLATES / name).read_text("utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(without_folders(value)) if type(value) is str else value,
    )
    environment.filters["breakable"] = breakable
    return environment


def breakable(name: str) -> Markup:
    """Return the name of a field, whose lines break after its signs: "generation.max_new_tokens"."""
    return Markup("<wbr>").join(re.findall(r"[^._:/\-]*[._:/\-]*", printable(name)))
