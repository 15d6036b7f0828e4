"""What a disk holds after a power cut at any moment of a program: whatever was not synced is lost.

`record` runs a program and notes what it makes durable; `Trace.rebuild` makes a folder what it would be after a cut.
Two disks are rebuilt. On a STRICT one a file has the content of its last fsync and a folder the names of its own last
fsync. On a HASTY one, as ext4 may be, every new name and rename is there at once, and content that was not synced is
not: the file is empty.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest

STRICT, HASTY = "strict", "hasty"
Names = list[tuple[str, str, str]]  # kind ("d" or "f"), inode, path below the root


@cache
def library() -> Path:
    """The recorder, compiled. Skips the test where that is not possible."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if not compiler or os.uname().sysname != "Linux":
        pytest.skip("recording what is synced needs Linux and a C compiler")
    made = Path(mkdtemp(prefix="powercut-")) / "powercut.so"
    source = Path(__file__).with_suffix(".c")
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(made), str(source), "-ldl", "-lpthread"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"the recorder does not compile here: {done.stderr[:200]}")
    return made


@dataclasses.dataclass
class Event:
    """A change of names, or a sync of a file (with the copy of it) or folder, and the names that exist after it."""

    what: str
    path: str
    synced: tuple[str, str] | None  # inode, copy; "" for a folder
    names: Names


@dataclasses.dataclass
class Trace:
    """A program's events, and what was on the disk before it."""

    root: Path
    before: Event
    contents: dict[str, str]  # of the files before: copy by inode
    events: list[Event]
    output: str
    returncode: int

    def moments(self) -> range:
        """All moments of a cut: before the first event (0), and after each."""
        return range(len(self.events) + 1)

    def some(self, count: int) -> list[int]:
        """`count` moments from the first to the last, evenly spread."""
        last = len(self.events)
        return sorted({round(last * i / (count - 1)) for i in range(count)})

    def disk(self, moment: int, kind: str) -> dict[str, bytes | None]:
        """What is on the disk after a cut: content by path, None for a folder."""
        contents = dict(self.contents)
        folders = {inode: self._inside(self.before, path) for inode, path in self._folders(self.before)}
        for event in self.events[:moment]:
            if event.synced:
                inode, copy = event.synced
                if copy:
                    contents[inode] = copy
                else:
                    path = next((path for found, path in self._folders(event) if found == inode), None)
                    if path is not None:
                        folders[inode] = self._inside(event, path)
        if kind == HASTY:
            names = (self.events[moment - 1] if moment else self.before).names
            return {path: None if what == "d" else self._content(contents, inode) for what, inode, path in names}
        found: dict[str, bytes | None] = {}

        def walk(inode: str, prefix: str) -> None:
            for what, child, name in folders.get(inode, ()):
                found[prefix + name] = None if what == "d" else self._content(contents, child)
                if what == "d":
                    walk(child, f"{prefix}{name}/")

        walk("", "")
        return found

    def rebuild(self, moment: int, kind: str) -> None:
        """Make the root what it would be after a cut at `moment`."""
        for path in self.root.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        for name, content in self.disk(moment, kind).items():
            path = self.root / name
            if content is None:
                path.mkdir(parents=True, exist_ok=True)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)

    def distinct(self, moments: Sequence[int]) -> Iterator[tuple[int, str]]:
        """Moments and kinds of disk, each different disk once."""
        seen = set()
        for moment in moments:
            for kind in (STRICT, HASTY):
                digest = hashlib.sha256(repr(sorted(self.disk(moment, kind).items())).encode()).digest()
                if digest not in seen:
                    seen.add(digest)
                    yield moment, kind

    @staticmethod
    def _content(contents: Mapping[str, str], inode: str) -> bytes:
        return Path(contents[inode]).read_bytes() if inode in contents else b""

    def _folders(self, event: Event) -> list[tuple[str, str]]:
        """(inode, path) of every folder; the root's own inode is "" here."""
        return [("", "")] + [(inode, path) for what, inode, path in event.names if what == "d"]

    @staticmethod
    def _inside(event: Event, folder: str) -> Names:
        prefix = f"{folder}/" if folder else ""
        return [
            (what, inode, path[len(prefix) :])
            for what, inode, path in event.names
            if path.startswith(prefix) and "/" not in path[len(prefix) :]
        ]


def record(command: Sequence[object], root: Path, env: Mapping[str, str], cwd: Path | None = None) -> Trace:
    """Run a program and record what it makes durable below `root`. What is there before counts as durable."""
    root = root.resolve()
    root.mkdir(parents=True, exist_ok=True)
    store = Path(mkdtemp(prefix="powercut-store-", dir=root.parent))
    mine = {
        "LD_PRELOAD": str(library()),
        "POWERCUT_ROOT": str(root),
        "POWERCUT_STORE": str(store),
        "POWERCUT_TRACE": str(store / "trace"),
    }
    words = [str(word) for word in command]
    # One event of no consequence first, in the same way as all others: what is there, and the root's inode.
    begin = ["python3", "-c", f"import os; f = os.open({str(root)!r}, os.O_RDONLY); os.fsync(f)"]
    subprocess.run(begin, env={**os.environ, **mine}, check=True)
    first, *_ = _events(store / "trace", "")
    root_inode = first.synced[0] if first.synced else ""
    contents = {}
    for number, (what, inode, path) in enumerate(first.names):
        if what == "f":
            contents[inode] = str(store / f"before-{number}")
            shutil.copyfile(root / path, contents[inode])
    done = subprocess.run(
        words, env={**os.environ, **env, **mine}, cwd=cwd or root, capture_output=True, text=True, errors="replace"
    )
    before, *events = _events(store / "trace", root_inode)
    return Trace(root, before, contents, events, done.stdout + done.stderr, done.returncode)


def _events(trace: Path, root_inode: str) -> list[Event]:
    found: list[Event] = []
    for line in trace.read_text(encoding="utf-8").splitlines():
        kind, *rest = line.split("\t")
        if kind == "E":
            found.append(Event(rest[0], rest[1], None, []))
        elif kind == "T":
            found[-1].names.append((rest[0], rest[1], rest[2]))
        elif kind == "D":
            found[-1].synced = ("" if rest[0] == root_inode else rest[0], "")
        elif kind == "S":
            found[-1].synced = (rest[0], rest[1])
    return found
