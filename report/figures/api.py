"""Draw a figure of stored runs: which kinds there are, and what each is drawn from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ...core.errors import UsageError
from ...core.suggest import did_you_mean
from ...core.text import names
from ...results.lookup import chosen
from ...results.store import StoredRun
from . import answers, calibration, scores, tradeoff, training
from .request import SAMPLES_LEFT_OUT, FigureRequest
from .style import WIDTHS, PaperFigure, check, save, style

KINDS: dict[str, Callable[[FigureRequest], PaperFigure]] = {
    "scores": scores.draw,
    "trade-off": tradeoff.draw,
    "calibration": calibration.draw,
    "training": training.draw,
    "answers": answers.draw,
}


def figure(
    runs: Sequence[StoredRun],
    kind: str = "scores",
    out: str | Path | None = None,
    *,
    models: str | Sequence[str] = (),
    benchmarks: str | Sequence[str] = (),
    width: str = "",
    quality: str = "",
    cost: str = "",
    item: str = "",
) -> PaperFigure:
    """Draw stored runs as a figure for a paper, and write it to `out` (.png, .svg or .pdf) if that is given.

    `kind`: "scores" (with intervals), "trade-off" (`quality` against `cost`: "memory", "latency" or "parameters"),
    "calibration", "training" (adapters against their base, in pairs), or "answers" (of all models to one `item`).
    `width`: "column" (3.4 inches) or "page" (7 inches). The result is a matplotlib figure with a `caption`; its numbers
    are those of `medbench leaderboard`. Raises UsageError if there is nothing to draw, and for a name that is unknown.
    """
    if kind not in KINDS:
        raise UsageError(f"no figure is called '{kind}'.{did_you_mean(kind, KINDS)}", f"Figures: {', '.join(KINDS)}")
    if width and width not in WIDTHS:
        raise UsageError(f"a figure has no width '{width}'.", f"Widths: {', '.join(WIDTHS)}")
    if out is not None:
        check(Path(out))
    if not runs:
        raise UsageError("there are no runs to draw.", "Make one: medbench run")
    kept = chosen(runs, names(models, "models"), names(benchmarks, "benchmarks"))
    with style():
        drawn = _drawn(kind, FigureRequest(kept, width, quality, cost, item))
    if out is not None:
        save(drawn, Path(out))
    return drawn


def _drawn(kind: str, request: FigureRequest) -> PaperFigure:
    """Draw the figure. If only the samples that it leaves out have something to draw, the error says so."""
    try:
        return KINDS[kind](request)
    except UsageError as error:
        samples = request.samples
        try:
            if samples is None:
                raise
            KINDS[kind](samples)
        except UsageError:
            raise error from None
        names = ",".join(sorted({run.manifest.comparable.benchmark for run in samples.runs}))
        raise UsageError(f"{error.message} {SAMPLES_LEFT_OUT}", f"To draw them: --benchmark {names}") from None
