"""Errors for people: what is wrong, which value, what to do next. The command prints them without a traceback."""

from __future__ import annotations


class MedbenchError(Exception):
    """Something failed that the user can fix. `hint` is the next thing to do. Exit code 1."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class UsageError(MedbenchError):
    """The request itself is wrong: an unknown name, options that contradict. Exit code 2."""

    exit_code = 2


class DataMissing(MedbenchError):
    """A benchmark's data cannot be had: says what was needed, where it was looked for, what to do."""


class DataMalformed(MedbenchError):
    """A data file is not what it should be: names file, row and field."""


class ModelMissing(MedbenchError):
    """A model's weights cannot be had: says which weights, from where, what to do."""
