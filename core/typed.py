"""Check JSON against the types of a dataclass, so that odd values in a stored file give a clear error."""

from __future__ import annotations

import dataclasses
import functools
import reprlib
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal

Check = tuple[Callable[[Any], bool], str]  # whether a value fits, and a description of the type


def check_fields(kind: type, fields: Mapping[str, Any], what: str = "") -> None:
    """Raise ValueError for the first field with the wrong type for the dataclass or TypedDict `kind`.

    Missing and unknown fields are left to its constructor. `what` is put before the names.
    """
    checks = _checks(kind)
    for name, value in fields.items():
        known = checks.get(name)
        if known and not known[0](value):
            raise ValueError(f"the field '{what}{name}' should be {known[1]}, not {reprlib.repr(value)}")


@functools.cache
def _checks(kind: type) -> dict[str, Check]:
    return {name: _check(hint) for name, hint in typing.get_type_hints(kind).items()}


def _check(hint: Any) -> Check:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        known = [_check(part) for part in parts]
        return lambda value: any(fits(value) for fits, _ in known), " or ".join(words for _, words in known)
    if origin is Literal:
        return lambda value: isinstance(value, str) and value in parts, f"one of {', '.join(map(str, parts))}"
    if origin in (tuple, list):
        fits, words = _check(parts[0])
        return lambda value: isinstance(value, list | tuple) and all(map(fits, value)), f"a list{_each(words)}"
    if isinstance(origin, type) and issubclass(origin, Mapping):  # JSON keys are strings
        fits, words = (_is_simple, "text") if parts[1] is str else _check(parts[1])
        return lambda value: isinstance(value, dict) and all(map(fits, value.values())), f"an object{_each(words)}"
    if typing.is_typeddict(hint):
        return _of_shape(hint), "an object"
    if dataclasses.is_dataclass(hint):  # its own fields are checked when it is made
        return lambda value: isinstance(value, dict), "an object"
    return _PLAIN.get(hint, (lambda value: True, ""))


def _of_shape(kind: Any) -> Callable[[Any], bool]:
    checks = _checks(kind)
    return lambda value: isinstance(value, dict) and all(checks[name][0](value[name]) for name in checks.keys() & value)


def _is_simple(value: Any) -> bool:
    """Return whether it is a string, or what a benchmark's `meta` may hold instead of one."""
    return value is None or isinstance(value, str | int | float | bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_PLAIN: dict[Any, Check] = {
    str: (lambda value: isinstance(value, str), "text"),
    int: (lambda value: isinstance(value, int) and not isinstance(value, bool), "a whole number"),
    float: (_is_number, "a number"),
    bool: (lambda value: isinstance(value, bool), "true or false"),
    types.NoneType: (lambda value: value is None, "null"),
}


def _each(words: str) -> str:
    return f", each {words}" if words else ""
