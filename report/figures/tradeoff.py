"""Quality against memory, latency or parameters, with the Pareto front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

from ...core.errors import UsageError
from ...core.suggest import did_you_mean
from ..tradeoffs import parameters_of, tradeoffs
from .request import FigureRequest
from .style import COLORS, INK, PaperFigure, blank, fitted

WIDE = 20  # the ratio of the largest to the smallest cost from which the axis is logarithmic
COSTS = ("memory", "latency", "parameters")
NAMES = {"memory": "peak memory", "latency": "latency (p50) of one request", "parameters": "parameters"}
MORE_MODELS = "A trade-off needs two models with a score, and one known cost: memory, latency or parameters."
# Where a label may be, in points from its mark, and its alignment
PLACES = ((5, 4, "left"), (-5, 4, "right"), (5, -9, "left"), (-5, -9, "right"), (0, 8, "center"), (0, -13, "center"))


@dataclass(frozen=True)
class Point:
    """One model with both figures."""

    name: str
    quality: float
    low: float | None
    high: float | None
    cost: float


def draw(request: FigureRequest) -> PaperFigure:
    """Draw the figure."""
    manifests = {str(run.path): run.manifest for run in request.runs}
    found = tradeoffs(request.summary, parameters_of(request.leaderboard.boards, manifests))
    if found is None:
        raise UsageError("there is nothing to trade off here.", MORE_MODELS)
    quality = _quality(found, request.quality)
    better, title = found["qualities"][quality]["better"], found["qualities"][quality]["name"]
    cost, points, lacking = _cost(found, quality, request.cost)
    kind, unit = found["costs"][cost]["kind"], found["costs"][cost]["unit"]
    front = pareto(points, better)
    width = request.inches()
    drawn = blank(width, min(width * 0.78, 4.2))
    axes = drawn.subplots()
    _plot(axes, points, front, better)
    axes.set_xlabel(f"{NAMES[kind]} ({'millions' if unit == 'M' else unit})")
    axes.set_ylabel(fitted(title.replace("↑", "").replace("↓", "(lower is better)").strip(), 46))
    axes.grid(True)
    axes.set_axisbelow(True)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2, handlelength=2.4)
    _label(drawn, axes, points)
    notes = [f"{name}: {NAMES[kind]} or score unknown, so it is not in the figure." for name in lacking]
    return drawn.describe(_caption(points, front), (*request.notes, *notes))


def pareto(points: Sequence[Point], better: str) -> list[Point]:
    """Return the points that no other one beats, the cheapest first.

    One beats another if it is at least as good and costs at most as much, and is better in one of these.
    """
    sign = -1 if better == "lower" else 1

    def beats(a: Point, b: Point) -> bool:
        good, cheap = sign * (a.quality - b.quality), b.cost - a.cost
        return good >= 0 and cheap >= 0 and (good > 0 or cheap > 0)

    return sorted((p for p in points if not any(beats(q, p) for q in points)), key=lambda p: (p.cost, p.quality))


def _quality(found: dict[str, Any], asked: str) -> int:
    names = [quality["name"].rstrip("↑↓ ") for quality in found["qualities"]]
    if not asked:
        return 0
    plain = [name.partition(" ")[0] for name in names]
    known = names if asked in names else [name if plain.count(name) == 1 else "" for name in plain]
    if asked not in known:
        raise UsageError(f"no quality here is called '{asked}'.{did_you_mean(asked, names)}", f"Here: {_listed(names)}")
    return known.index(asked)


def _cost(found: dict[str, Any], quality: int, asked: str) -> tuple[int, list[Point], list[str]]:
    """Return the place of the cost, the models that have both figures, and the names of the others."""
    kinds = [cost["kind"] for cost in found["costs"]]
    if asked and asked not in kinds:
        wrong = asked not in COSTS
        problem = f"a cost is {', '.join(COSTS[:-1])} or {COSTS[-1]}" if wrong else f"no run here has its {asked}"
        raise UsageError(f"{problem}{f', not {asked!r}' if wrong else ''}.", f"Known here: {_listed(kinds)}")
    for kind in [asked] if asked else [kind for kind in COSTS if kind in kinds]:
        at = kinds.index(kind)
        points, lacking = [], []
        for model in found["models"]:
            good, price = model["qualities"][quality], model["costs"][at]
            if good is None or price is None:
                lacking.append(model["name"])
            else:
                points.append(Point(model["name"], good["value"], good["low"], good["high"], price["value"]))
        if points:
            return at, points, lacking
    raise UsageError("no model here has both a score and a known cost.", MORE_MODELS)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


def _plot(axes: Axes, points: Sequence[Point], front: Sequence[Point], better: str) -> None:
    costs = [point.cost for point in points]
    if min(costs) > 0 and max(costs) / min(costs) > WIDE:
        axes.set_xscale("log")
    for point in points:
        if point.low is not None and point.high is not None:
            color = COLORS[0] if point in front else COLORS[4]
            axes.plot([point.cost] * 2, [point.low, point.high], color=color, linewidth=0.9, alpha=0.7)
    x, y = [point.cost for point in front], [point.quality for point in front]
    if len(front) > 1:
        axes.plot(x, y, color=COLORS[0], linestyle=(0, (4, 2)), linewidth=0.9, drawstyle="steps-post")
    axes.plot(x, y, "o", color=COLORS[0], markersize=5.5, linestyle="none", label="on the Pareto front")
    others = [point for point in points if point not in front]
    if others:
        x, y = [point.cost for point in others], [point.quality for point in others]
        axes.plot(
            x, y, "^", color=COLORS[4], markersize=5.5, linestyle="none", markerfacecolor="white", label="not on it"
        )
    if axes.get_xscale() == "linear":
        axes.set_xlim(0, max(costs) * 1.1)
    axes.margins(y=0.12)


def _widen(drawn: PaperFigure, axes: Axes, points: Sequence[Point]) -> None:
    """Leave room for the name of the most expensive model at the right of its mark."""
    last = max(points, key=lambda point: point.cost)
    text = axes.text(0.5, 0.5, fitted(last.name), fontsize=6.5, transform=axes.transAxes)
    drawn.draw_without_rendering()
    renderer = drawn.canvas.get_renderer()  # type: ignore[attr-defined]
    share = min(0.45, text.get_window_extent(renderer).width / axes.get_window_extent(renderer).width + 0.04)
    text.remove()
    place = axes.transAxes.inverted().transform(axes.transData.transform((last.cost, last.quality)))[0]
    if place > 1 - share:
        left = axes.transAxes.transform((0, 0))[0]
        right = axes.transAxes.transform((place / (1 - share), 0))[0]
        low, high = axes.transData.inverted().transform([(left, 0), (right, 0)])[:, 0]
        axes.set_xlim(low, high)


def _label(drawn: PaperFigure, axes: Axes, points: Sequence[Point]) -> None:
    """Name each point where its name hides the least."""
    _widen(drawn, axes, points)
    drawn.draw_without_rendering()
    renderer = drawn.canvas.get_renderer()  # type: ignore[attr-defined]
    inside = axes.get_window_extent(renderer)
    taken: list[Bbox] = []
    for point in points:
        x, y = axes.transData.transform((point.cost, point.quality))
        taken.append(Bbox.from_bounds(x - 6, y - 6, 12, 12))
        if point.low is not None and point.high is not None:
            low, high = axes.transData.transform([(point.cost, point.low), (point.cost, point.high)])[:, 1]
            taken.append(Bbox.from_bounds(x - 2, low, 4, high - low))
    for point in sorted(points, key=lambda each: -each.quality):
        best, least = None, float("inf")
        for dx, dy, align in PLACES:
            text = axes.annotate(
                fitted(point.name),
                (point.cost, point.quality),
                xytext=(dx, dy),
                textcoords="offset points",
                ha=align,
                fontsize=6.5,
                color=INK,
                linespacing=0.95,
                annotation_clip=False,
            )
            text.set_in_layout(False)
            box = text.get_window_extent(renderer)
            hidden = sum(_area(box, other) for other in taken)
            hidden += 4 * (box.width * box.height - _area(box, inside))
            if hidden < least:
                if best is not None:
                    best.remove()
                best, least = text, hidden
            else:
                text.remove()
        if best is not None:
            taken.append(best.get_window_extent(renderer))


def _area(a: Bbox, b: Bbox) -> float:
    both = Bbox.intersection(a, b)
    return both.width * both.height if both is not None else 0.0


def _caption(points: Sequence[Point], front: Sequence[Point]) -> str:
    parts = [
        f"Quality against cost of {len(points)} models, with 95% intervals. On the Pareto front (filled marks, dashed "
        "line) no other model is at least as good and costs at most as much, and is better in one of these: "
        f"{', '.join(point.name for point in front)}."
    ]
    parts.append("Memory and latency are those of each run's machine.")
    return " ".join(parts)
