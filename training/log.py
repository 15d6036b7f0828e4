"""The losses of a training run as JSON lines, and the curve drawn from them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core import durable

Line = dict[str, Any]


class Log:
    """`log.jsonl`: one line per optimizer step (`loss`) and per look at the held-out loss (`eval_loss`).

    `seconds` and `tokens` of a step's line belong to that step alone, so that sums over lines are true across sessions.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def lines(self) -> list[Line]:
        """What is written so far. A line that a kill tore off, or that is damaged, is left out."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return []
        found = []
        for text in content.splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if isinstance(line, dict) and isinstance(line.get("stage"), str) and isinstance(line.get("step"), int):
                found.append(line)
        return found

    def append(self, line: Mapping[str, Any]) -> None:
        durable.refuse_link(self.path)
        with self.path.open("a", encoding="utf-8") as out:
            out.write(json.dumps(line) + "\n")

    def cut(self, stage: str, step: int) -> None:
        """Drop what was logged of a stage after `step`: training continues from there and logs it again."""
        kept = [line for line in self.lines() if line["stage"] != stage or line["step"] <= step]
        durable.replace_file(self.path, "".join(json.dumps(line) + "\n" for line in kept).encode())

    def restore(self, content: bytes) -> bool:
        """Make the log what it was earlier. Returns whether that is how it still began."""
        try:
            begins = self.path.read_bytes().startswith(content)
        except OSError:
            begins = not content
        durable.replace_file(self.path, content)
        return begins

    def stage(self, name: str) -> list[Line]:
        return [line for line in self.lines() if line["stage"] == name]


def draw(path: Path, title: str, lines: Sequence[Line]) -> None:
    """Write the loss curve as a PNG: every step's loss, its running mean, and the held-out loss, stage after stage."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.5), dpi=120, layout="constrained")
    before = 0
    for name in dict.fromkeys(line["stage"] for line in lines):
        mine = [line for line in lines if line["stage"] == name]
        steps = [line for line in mine if "loss" in line]
        looks = [line for line in mine if "eval_loss" in line]
        x, y = [before + line["step"] for line in steps], [line["loss"] for line in steps]
        first = before == 0
        axes.plot(x, y, color="#9db7d5", linewidth=0.8, label="loss, each step" if first else None)
        axes.plot(x, running_mean(y), color="#1f4e8c", linewidth=1.8, label="loss, running mean" if first else None)
        axes.plot(
            [before + line["step"] for line in looks],
            [line["eval_loss"] for line in looks],
            "o-",
            color="#c0562b",
            markersize=4,
            label="held-out loss" if first and looks else None,
        )
        if before:
            axes.axvline(before, color="#888888", linewidth=0.8, linestyle=":")
        if len({line["stage"] for line in lines}) > 1:
            axes.annotate(name, (before, 1.0), xycoords=("data", "axes fraction"), va="top", fontsize=8, rotation=90)
        before += max((line["step"] for line in mine), default=0)
    axes.set(title=title, xlabel="optimizer step", ylabel="cross-entropy (nats per token)")
    axes.grid(alpha=0.3)
    axes.legend()
    part = path.with_suffix(".part.png")
    figure.savefig(part)
    pyplot.close(figure)
    durable.sync_file(part)
    durable.rename(part, path)


def running_mean(values: Sequence[float], width: int = 20) -> list[float]:
    """The mean of each value and up to `width` - 1 before it."""
    means = []
    for index in range(len(values)):
        window = values[max(0, index + 1 - width) : index + 1]
        means.append(sum(window) / len(window))
    return means
