"""The losses of a training as JSON lines, and the plot of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core import durable

Line = dict[str, Any]


class Log:
    """`log.jsonl`: one line per optimizer step (`loss`) and per evaluation of the held-out loss (`eval_loss`).

    `seconds` and `tokens` are those of one step, so sums over lines are right for a training that was interrupted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def lines(self) -> list[Line]:
        """Return the lines written so far, without damaged or incomplete ones."""
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
        """Drop the lines of a stage after `step`, from which training continues and logs again."""
        kept = [line for line in self.lines() if line["stage"] != stage or line["step"] <= step]
        durable.replace_file(self.path, "".join(json.dumps(line) + "\n" for line in kept).encode())

    def restore(self, content: bytes) -> bool:
        """Reset the log to earlier content. Return whether the log still began with it."""
        try:
            begins = self.path.read_bytes().startswith(content)
        except OSError:
            begins = not content
        durable.replace_file(self.path, content)
        return begins

    def stage(self, name: str) -> list[Line]:
        return [line for line in self.lines() if line["stage"] == name]


def draw(path: Path, title: str, lines: Sequence[Line]) -> None:
    """Plot the losses to a PNG: the loss of each step, its running mean, and the held-out loss, stage by stage."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.5), dpi=120, layout="constrained")
    before = 0
    for name in dict.fromkeys(line["stage"] for line in lines):
        mine = [line for line in lines if line["stage"] == name]
        steps = [line for line in mine if "loss" in line]
        evaluations = [line for line in mine if "eval_loss" in line]
        x, y = [before + line["step"] for line in steps], [line["loss"] for line in steps]
        first = before == 0
        axes.plot(x, y, color="#9db7d5", linewidth=0.8, label="loss, each step" if first else None)
        axes.plot(x, running_mean(y), color="#1f4e8c", linewidth=1.8, label="loss, running mean" if first else None)
        axes.plot(
            [before + line["step"] for line in evaluations],
            [line["eval_loss"] for line in evaluations],
            "o-",
            color="#c0562b",
            markersize=4,
            label="held-out loss" if first and evaluations else None,
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
    """Return, for each value, the mean of it and up to `width` - 1 values before it."""
    means = []
    for index in range(len(values)):
        window = values[max(0, index + 1 - width) : index + 1]
        means.append(sum(window) / len(window))
    return means
