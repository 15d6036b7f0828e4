"""How the adapter of a run was trained: its recipe and its losses, if it is still on this disk."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import MedbenchError
from ..results.manifest import Manifest
from ..training.log import Log, running_mean
from ..zoo import adapter_manifest
from ..zoo.adapter_manifest import AdapterManifest
from .distributions import COLORS

LOG = "log.jsonl"
LARGEST = 50_000_000  # bytes of a log that is read
POINTS = 1_000  # of a curve that are drawn
KINDS = ("loss, each step", "loss, running mean", "held-out loss")


@dataclass(frozen=True)
class Training:
    """A training, as a run's page shows it."""

    name: str
    facts: tuple[tuple[str, str, str], ...]  # field of the recipe, value, and why
    chart: dict[str, Any] | None  # a Vega-Lite specification; None without a log
    losses: str  # the held-out losses in words


def training(manifest: Manifest) -> Training | None:
    """Return the training of a run's adapter; None without one, and if its folder now has another or none."""
    folder = manifest.model.adapter
    if not folder or not manifest.model.adapter_hash:
        return None
    try:
        found = adapter_manifest.load(Path(folder))
        if found is None or not found.hash.startswith(manifest.model.adapter_hash):
            return None
        log = Path(folder) / LOG
        lines = Log(log).lines() if log.is_file() and log.stat().st_size <= LARGEST else []
    except (MedbenchError, OSError):
        return None
    return Training(found.name, tuple(_facts(found)), _chart(lines), _losses(found))


def _facts(found: AdapterManifest) -> list[tuple[str, str, str]]:
    rows = [("base", str(found.base.get("weights", found.model)), ""), ("seed", str(found.seed), "")]
    stages = [stage for stage in found.recipe.get("stages", ()) if isinstance(stage, Mapping)]
    for stage in stages:
        prefix = f"{stage.get('name', '')}." if len(stages) > 1 else ""
        why = stage.get("why")
        reasons = why if isinstance(why, Mapping) else {}
        for name, value in _flat(stage):
            if not name.startswith("why."):
                rows.append((prefix + name, value, str(reasons.get(name, ""))))
    return rows


def _flat(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows = []
    for name, held in value.items():
        if isinstance(held, Mapping):
            rows += _flat(held, f"{prefix}{name}.")
        elif held not in (None, "", [], ()):
            rows.append((f"{prefix}{name}", held if isinstance(held, str) else json.dumps(held, ensure_ascii=False)))
    return rows


def _losses(found: AdapterManifest) -> str:
    """Return the held-out losses of each stage: "sft: held-out loss 3.133 before, 2.888 after 300 steps"."""
    told = []
    for stage in found.stages:
        before, after = stage.get("eval_loss_before"), stage.get("eval_loss_after")
        if isinstance(before, int | float) and isinstance(after, int | float):
            steps = stage.get("steps", "?")
            told.append(f"{stage.get('name', '')}: held-out loss {before:.3f} before, {after:.3f} after {steps} steps")
    return "; ".join(told)


def _chart(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    rows: list[dict[str, Any]] = []
    before = 0
    for name in dict.fromkeys(str(line["stage"]) for line in lines):
        own = [line for line in lines if line["stage"] == name]
        steps = [(before + line["step"], line["loss"]) for line in own if _finite(line.get("loss"))]
        held_out = [(before + line["step"], line["eval_loss"]) for line in own if _finite(line.get("eval_loss"))]
        means = list(zip([step for step, _ in steps], running_mean([loss for _, loss in steps]), strict=True))
        for kind, points in zip(KINDS, (steps, means, held_out), strict=True):
            every = max(1, math.ceil(len(points) / POINTS))
            rows += [
                {"step": step, "loss": loss, "curve": kind, "stage": name, "text": f"{kind}, step {step}: {loss:.3f}"}
                for step, loss in points[::every]
            ]
        before += max((line["step"] for line in own), default=0)
    if not rows:
        return None
    color = {
        "field": "curve",
        "type": "nominal",
        "sort": list(KINDS),
        "scale": {"domain": list(KINDS), "range": ["#8c959f", COLORS[0], COLORS[1]]},
        "legend": {"title": None, "orient": "bottom", "columns": 1},
    }
    place = {
        "x": {"field": "step", "type": "quantitative", "title": "optimizer step"},
        "y": {
            "field": "loss",
            "type": "quantitative",
            "title": "cross-entropy (nats per token)",
            "scale": {"zero": False, "nice": True},
        },
        "color": color,
    }
    apart = {"detail": {"field": "stage"}}
    return {
        "data": {"values": rows},
        "height": 260,
        "layer": [
            {
                "mark": {"type": "line", "aria": False},
                "encoding": place | apart | {"strokeDash": color | {"legend": None, "scale": _dashes()}},
            },
            {
                "transform": [{"filter": {"field": "curve", "equal": KINDS[2]}}],
                "mark": {"type": "point", "filled": True, "size": 60},
                "encoding": place | {"tooltip": {"field": "text"}, "description": {"field": "text"}},
            },
        ],
    }


def _dashes() -> dict[str, Any]:
    return {"domain": list(KINDS), "range": [[2, 2], [1, 0], [1, 0]]}


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
