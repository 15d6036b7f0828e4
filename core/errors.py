"""Errors for people: what is wrong, which value, what to do next. The command prints them without a traceback."""

from __future__ import annotations


class MedbenchError(Exception):
    """Something failed that the user can mend. `hint` is the next thing to do. Exit code 1."""

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


def told(error: BaseException, *modules: str) -> str:
    """What a plugin's code raised, in one line: "KeyError: 'x' (my_metric.py, line 12)".

    The place is the last that the exception passed in the packages of `modules`; it is left out where it passed none,
    and in medbench's own.
    """
    where = place(error, *modules)
    return f"{type(error).__name__}: {error}" + (f" ({where})" if where else "")


def place(error: BaseException, *modules: str) -> str:
    """The last file and line of these modules' packages that an exception passed; "" where it passed none of them.

    medbench's own package is not looked at: what only fails in there is a bug of ours and wants a traceback.
    """
    packages = {module.partition(".")[0] for module in modules} - {"medbench"}
    found, trace = "", error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        if str(frame.f_globals.get("__name__")).partition(".")[0] in packages:
            found = f"{frame.f_code.co_filename}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return found
