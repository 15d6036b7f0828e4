"""Paths of the machine that made a report, without their folders: these name its user, and help no reader."""

from __future__ import annotations

import re
from collections.abc import Iterable

# An absolute path of a file or folder in a folder, but no part of an address or of a relative path
_NAME = r"""[^\s/"'<>,;:()\[\]]"""
_PATH = re.compile(
    rf"""(?<=['"])(?:~|/(?!/))[^"'<>\n]*/[^"'<>\n/]+(?=['"])"""
    rf"""|(?<![\w/.~<-])(?:file:/{{0,2}})?(?:~(?:[A-Za-z]{_NAME}*)?|/(?!/|v\d+/){_NAME}*)(?:/{_NAME}+)+/?"""
    rf"""|\b[A-Za-z]:\\(?:[^\s\\"'<>,;:()\[\]]+\\)+[^\s\\"'<>,;:()\[\]]+"""
)


def last_part(path: str) -> str:
    """Return the name of a file or folder, with the run that it is in: "medqa.jsonl", "m__medqa__0123456789/lock"."""
    of_run = re.search(r"[^/]+__[^/]+(/.*)?$", path)
    return of_run[0] if of_run else path.replace("\\", "/").rstrip("/").rpartition("/")[2]


def is_path(text: str) -> bool:
    """Whether a text is an absolute path of a file or folder in a folder, and nothing else. It may have spaces."""
    return text.startswith(("/", "~/")) and "/" in text.lstrip("~/") and "\n" not in text


def without_folders(text: str, paths: Iterable[str] = ()) -> str:
    """Return a text with the names of files where it has their paths. `paths`: some that may have spaces."""
    for path in sorted(paths, key=len, reverse=True):
        text = text.replace(path, last_part(path))
    return _PATH.sub(lambda match: last_part(match[0]), text)
