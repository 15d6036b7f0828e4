"""The losses of a training run as JSON lines, and the curve drawn from them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Line = dict[str, Any]


class Log:
    """`log.jsonl`: one line per optimiser step (`loss`) and per look at the held-out loss (`eval_loss`).

    `seconds` and `tokens` of a step's line belong to that step alone, so that sums over lines are true across sittings.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def lines(self) -> list[Line]:
        """What is written so far; a line that a kill tore off at the end is left out."""
        if not self.path.exists():
            return []
        found = []
        for text in self.path.read_text(encoding="utf-8").splitlines():
            try:
                found.append(json.loads(text))
            except ValueError:
                continue
        return found

    def append(self, line: Mapping[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as out:
            out.write(json.dumps(line) + "\n")

    def cut(self, stage: str, step: int) -> None:
        """Forget what was logged of a stage after `step`: training goes on from there and logs it again."""
        kept = [line for line in self.lines() if line["stage"] != stage or line["step"] <= step]
        part = self.path.with_suffix(".part")
        part.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        part.replace(self.path)

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
    axes.set(title=title, xlabel="optimiser step", ylabel="cross-entropy (nats per token)")
    axes.grid(alpha=0.3)
    axes.legend()
    part = path.with_suffix(".part.png")
    figure.savefig(part)
    pyplot.close(figure)
    part.replace(path)


def running_mean(values: Sequence[float], width: int = 20) -> list[float]:
    """The mean of each value and up to `width` - 1 before it."""
    means = []
    for index in range(len(values)):
        window = values[max(0, index + 1 - width) : index + 1]
        means.append(sum(window) / len(window))
    return means
