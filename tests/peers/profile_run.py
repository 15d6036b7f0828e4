"""Where the time of a whole command goes: in the model, or around it.

    python tests/peers/profile_run.py --write profile.md -- \\
        run --model smollm2-135m --suite all --data DIR --limit 10 --out FOLDER

A second thread looks at the stack of the one that works, two hundred times a second, and counts the first part of the
table below that it finds there. Nothing is hooked into, and what is measured runs as it always does. What scores beside
the run (evaluation/background.py) is a process of its own and is not seen; what it leaves to be scored at the end is.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import importlib
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

EVERY = 0.005  # seconds between two looks
DEEP = 3  # innermost frames of our own that are listed for what lies outside the model


@dataclass(frozen=True)
class Part:
    """A part of the work, told by the files whose functions are on the stack: ends of their paths, or folders."""

    name: str
    files: tuple[str, ...]
    starting: bool = False  # before the first question, however many there are


MODEL = "model: forward passes"
PARTS = (
    Part("importing libraries", ("<frozen importlib._bootstrap>",), starting=True),
    Part("loading weights and tokenizer", ("medbench/engines/hf/loading.py",), starting=True),
    Part(MODEL, ("torch/nn/modules/module.py",)),
    Part(
        "store: records, fsync, manifest",
        ("medbench/results/store.py", "medbench/results/writer.py", "medbench/results/files.py"),
    ),
    Part("scoring and tables", ("medbench/results/", "medbench/metrics/", "medbench/cli/ui/render.py")),
    Part("reading data, planning", ("medbench/benchmarks/", "medbench/evaluation/plan.py"), starting=True),
    Part("what ran where, for the manifest", ("medbench/evaluation/environment.py",), starting=True),
    Part(
        "tokenisation",
        ("medbench/engines/prompting.py", "tokenization_utils_tokenizers.py", "tokenization_utils_base.py"),
    ),
    Part("engine around the model: batches, caches, reading logits", ("medbench/engines/",)),
    Part("watching", ("medbench/cli/ui/progress.py", "/rich/")),
)
REST = "rest"


class Profile:
    """Counts where one thread is, while the `with` block lasts."""

    def __init__(self) -> None:
        self.seconds: collections.Counter[str] = collections.Counter()
        self.lines: collections.Counter[tuple[str, str]] = collections.Counter()
        self._root = str(Path(importlib.import_module("medbench").__file__ or "").resolve().parent)
        self._watched = threading.get_ident()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Profile:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        before = time.perf_counter()
        while not self._stop.wait(EVERY):
            frame = sys._current_frames().get(self._watched)
            now = time.perf_counter()
            if frame is not None:
                part, where = self._place(frame)
                self.seconds[part] += now - before
                self.lines[part, where] += now - before
            before = now

    def _place(self, frame: FrameType | None) -> tuple[str, str]:
        """The part that a stack belongs to, and its innermost functions that are medbench's."""
        files, ours = [], []
        while frame is not None:
            file = frame.f_code.co_filename
            if file.startswith(self._root):
                file = "medbench" + file[len(self._root) :]
                ours.append(f"{file.removeprefix('medbench/')}:{frame.f_code.co_name}")
            files.append(file.replace("\\", "/"))
            frame = frame.f_back
        for part in PARTS:
            if any(
                file.endswith(sign) or (sign.endswith("/") and sign in file) for sign in part.files for file in files
            ):
                return part.name, " < ".join(ours[:DEEP])
        return REST, " < ".join(ours[:DEEP])


def table(profile: Profile) -> str:
    """Seconds of each part, its share of all, and its share of what comes after the start."""
    total = sum(profile.seconds.values())
    starting = {part.name for part in PARTS if part.starting}
    working = sum(seconds for name, seconds in profile.seconds.items() if name not in starting)
    lines = ["| | seconds | of all | without the start |", "|---|---|---|---|"]
    for name, seconds in profile.seconds.most_common():
        share = "" if name in starting else f"{seconds / working:.1%}"
        lines.append(f"| {name} | {seconds:.1f} | {seconds / total:.1%} | {share} |")
    lines.append(f"| together | {total:.1f} | | |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, help="a file for the table")
    parser.add_argument("--lines", type=int, default=15, help="how many of the costliest places are listed")
    parser.add_argument("command", nargs="+", help="what follows `medbench`, after --")
    asked = parser.parse_args(arguments)
    sys.argv = ["medbench", *asked.command]
    with Profile() as profile:
        from medbench.cli import cli

        with contextlib.suppress(SystemExit):
            cli(asked.command, prog_name="medbench")
    made = table(profile)
    print(f"\n{made}")
    outside = [(place, seconds) for place, seconds in profile.lines.most_common() if place[0] != MODEL]
    for (part, where), seconds in outside[: asked.lines]:
        print(f"{seconds:7.2f} s  {part}: {where}")
    if asked.write:
        asked.write.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    main()
