"""Errors for Python callers: messages written for the command line also name the keyword argument."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeVar

from .errors import MedbenchError

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

COMMAND = re.compile(r"medbench [a-z]+\b")
# An option that a sentence names, not one with a value to type ("Name a judge: --judge groq").
OPTION = re.compile(
    r"(?:^|(?<=[\s(]))--([a-z][a-z-]*[a-z])(?=[.,;:)]|$| (?!\w+:\w|[A-Z]|groq\b|local\b|replay\b))", re.MULTILINE
)


def keywords_beside_options(text: str, keywords: Mapping[str, str]) -> str:
    """Return a message with the keyword before each option: "limit (--limit)".

    `keywords`: by option, without its hyphens. An option that is part of a command to type, or that has a value, stays
    as it is.
    """

    def both(found: re.Match[str]) -> str:
        keyword = keywords.get(found[1])
        return f"{keyword} ({found[0]})" if keyword else found[0]

    return "\n".join(line if COMMAND.search(line) else OPTION.sub(both, line) for line in text.split("\n"))


def with_keywords(
    keywords: Mapping[str, str],
) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """Decorate a function of the Python API: errors that it raises name its keywords beside the options."""

    def decorate(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        @functools.wraps(function)
        def wrapped(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
            try:
                return function(*args, **kwargs)
            except MedbenchError as error:
                error.message = keywords_beside_options(error.message, keywords)
                error.hint = keywords_beside_options(error.hint, keywords)
                error.args = (error.message, *error.args[1:])
                raise

        return wrapped

    return decorate
