"""Errors for people: what is wrong, which value, what to do next. The CLI prints them without a traceback."""

from __future__ import annotations


class MedbenchError(Exception):
    """Something failed that the user can fix. `hint` is the next step. Exit code 1."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class UsageError(MedbenchError):
    """The request itself is wrong: an unknown name, or options that contradict each other. Exit code 2."""

    exit_code = 2


class DataMissing(MedbenchError):
    """A benchmark's data is not available. Says what was needed, where medbench looked, and what to do."""


class DataMalformed(MedbenchError):
    """A data file has the wrong format. Names file, row and field."""


class ModelMissing(MedbenchError):
    """A model's weights are not available. Says which weights, from where, and what to do."""
