"""`medbench figure`: whatever the kind, width and number of panels, no text is cut and none overlaps another."""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Iterator

import made
import medbench
import pytest
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from medbench.core.types import Item, Output, Record
from medbench.report.figures.api import KINDS, figure
from medbench.report.figures.style import DPI, PaperFigure, style
from medbench.results.manifest import Session
from medbench.results.writer import RunWriter

BENCHMARKS = ("medqa-sample", "pubmedqa-sample", "medical-reasoning", "mmlu-professional-medicine", "headqa-en")
MODELS = {
    "smollm2-135m": 900_000_000,  # bytes of memory
    "smollm2-135m@t": 905_000_000,
    "my-org/a-longer-model-name-1.7b-instruct": 3_500_000_000,
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> medbench.Runs:
    """Multiple choice by log-probability: all models on all benchmarks."""
    root = tmp_path_factory.mktemp("layout") / "runs"
    ids = [f"{at:02}" for at in range(20)]
    for benchmark, (model, memory) in itertools.product(BENCHMARKS, MODELS.items()):
        random_of = random.Random(benchmark + model)
        about = made.manifest(
            ids, model=model, benchmark=benchmark, metrics=("accuracy", "ece", "peak_rss_bytes"), method="logprob"
        )
        with RunWriter(root, dataclasses.replace(about, engine={"parameters": 135_000_000})) as writer:
            writer.append(
                Record(
                    Item(item_id, "Which? " * 20, options=("one", "two", "three"), labels=("A", "B", "C"), gold=at % 3),
                    Output(item_id, prompt="Which?", logprobs=tuple(-3 * random_of.random() for _ in range(3))),
                )
                for at, item_id in enumerate(ids)
            )
            session = {"started": "2026-01-01T00:00:00+00:00", "items": 20, "seconds": 9, "peak_rss_bytes": memory}
            writer.update(sessions=(Session.from_json(session),))
    return medbench.load_runs(root)


def shown(drawn: PaperFigure) -> Iterator[tuple[str, Bbox]]:
    """Yield every text that the saved figure has, with its place in pixels."""
    drawn.set_dpi(DPI)
    with style():
        drawn.draw_without_rendering()
        drawn.draw_without_rendering()
        hidden = set()
        for axes in drawn.axes:
            for axis in (axes.xaxis, axes.yaxis):
                low, high = sorted(axis.get_view_interval())
                beyond = [tick for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high]
                hidden |= {label for tick in beyond for label in (tick.label1, tick.label2)}
        for text in drawn.findobj(Text):
            off = text.axes is not None and not text.axes.axison and text not in text.axes.texts
            if text.get_visible() and text.get_text().strip() and text not in hidden and not off:
                yield text.get_text(), text.get_window_extent()


@pytest.mark.parametrize("panels", [1, 2, 3, 5])
@pytest.mark.parametrize("width", ["column", "page"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_text_is_cut_and_none_overlaps(kind: str, width: str, panels: int, runs: medbench.Runs) -> None:
    drawn = figure(runs, kind, width=width, benchmarks=BENCHMARKS[:panels])
    texts = list(shown(drawn))
    edges = Bbox.from_bounds(-1, -1, drawn.bbox.width + 2, drawn.bbox.height + 2)
    assert len(texts) > 3
    assert [text for text, box in texts if not (edges.contains(*box.min) and edges.contains(*box.max))] == []
    boxes = [(text, box.padded(-1)) for text, box in texts]
    assert [(a, b) for (a, x), (b, y) in itertools.combinations(boxes, 2) if x.overlaps(y)] == []
