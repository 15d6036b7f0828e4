"""Dataclasses that are stored as JSON objects and written back exactly as they were read."""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self, cast

from ..core.typed import check_fields

_NO_FIELDS: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class JsonObject:
    """A JSON object with known fields, all optional. Lists are tuples in memory.

    Hashes cover the stored object as it is, so nothing is lost or added on the way through memory: `extra` holds fields
    that this version does not know, and `missing` names the fields that the object does not have. A field in `missing`
    is written only if its value is not the default.
    """

    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)
    missing: frozenset[str] = field(default=_NO_FIELDS, repr=False, compare=False)

    @classmethod
    def from_json(cls, value: Mapping[str, Any], where: str = "") -> Self:
        """Check and read an object. Raises ValueError for a value of the wrong type; `where` comes before its name."""
        known = _known(cast(Any, cls))
        found = {name: held for name, held in value.items() if name in known}
        check_fields(cls, found, where)
        for name, held in found.items():
            found[name] = _read(known[name].nested, held, f"{where}{name}")
        return cls(
            **found,
            extra={name: held for name, held in value.items() if name not in known},
            missing=frozenset(known.keys() - found.keys()),
        )

    def as_json(self) -> dict[str, Any]:
        """Return the object to store."""
        held = {name: (getattr(self, name), known) for name, known in _known(cast(Any, type(self))).items()}
        written = {
            name: _written(value)
            for name, (value, known) in held.items()
            if name not in self.missing or value != known.default
        }
        return written | dict(self.extra)


@dataclass(frozen=True)
class _Known:
    default: Any
    nested: type[JsonObject] | None  # the class of the value, or of each value of a list


@functools.cache
def _known(kind: Any) -> dict[str, _Known]:
    hints = typing.get_type_hints(kind)
    own = {f.name for f in dataclasses.fields(JsonObject)}
    return {f.name: _Known(_default(f), _nested(hints[f.name])) for f in dataclasses.fields(kind) if f.name not in own}


def _default(f: dataclasses.Field[Any]) -> Any:
    return f.default if f.default_factory is dataclasses.MISSING else f.default_factory()


def _nested(hint: Any) -> type[JsonObject] | None:
    inner = (typing.get_args(hint) or (None,))[0] if typing.get_origin(hint) is tuple else hint
    return inner if isinstance(inner, type) and issubclass(inner, JsonObject) else None


def _read(nested: type[JsonObject] | None, value: Any, where: str) -> Any:
    if isinstance(value, list):
        return tuple(_read(nested, each, f"{where}[{at}]") for at, each in enumerate(value)) if nested else tuple(value)
    return nested.from_json(value, f"{where}.") if nested else value


def _written(value: Any) -> Any:
    if isinstance(value, JsonObject):
        return value.as_json()
    if isinstance(value, tuple):
        return [_written(each) for each in value]
    return dict(value) if isinstance(value, Mapping) else value
