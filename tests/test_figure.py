"""`medbench figure`: what is drawn, that it is what the tables say, and what a paper needs of the files."""

from __future__ import annotations

import dataclasses
import io
import itertools
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import made
import medbench
import pytest
from click.testing import CliRunner, Result
from medbench.cli import cli
from medbench.cli.commands.figure import KINDS as IN_HELP
from medbench.core.errors import UsageError
from medbench.core.types import Item, Output, Record
from medbench.report.figures.api import KINDS, figure
from medbench.report.figures.style import PaperFigure, fitted, style
from medbench.report.figures.tradeoff import Point, pareto
from medbench.report.figures.wrapping import unknown, wrapped
from medbench.results.manifest import RequestTimes, Session
from medbench.results.summary import summarize
from medbench.results.summary_export import summary_cells
from medbench.results.writer import RunWriter

# Of each model: right answers of 30, parameters, peak memory in bytes, seconds of a request
PRICED = {
    "small": (14, 135_000_000, 900_000_000, 0.2),
    "small@tuned": (25, 135_000_000, 1_100_000_000, 0.3),
    "clumsy": (17, 1_500_000_000, 3_400_000_000, 1.4),
    "served": (26, None, None, 2.0),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four models on two open benchmarks, and two of them on multiple choice by log-probability."""
    root = tmp_path_factory.mktemp("drawn") / "runs"
    metrics = ("token_f1", "peak_rss_bytes", "latency_p50_s")
    ids = [f"{at:03}" for at in range(30)]
    for benchmark in ("exam", "quiz"):
        for model, (right, parameters, memory, seconds) in PRICED.items():
            plain = made.manifest(ids, model=model, benchmark=benchmark, metrics=metrics)
            about = dataclasses.replace(plain, engine={"parameters": parameters} if parameters else {})
            session = {"started": "2026-01-01T00:00:00+00:00", "items": 30, "seconds": 9, "peak_rss_bytes": memory}
            with RunWriter(root, about) as writer:
                writer.append(made.record(item_id, "yes" if at < right else "no") for at, item_id in enumerate(ids))
                times = RequestTimes.from_json({"seconds": [seconds] * 3})
                writer.update(sessions=(Session.from_json(session),), latency=times)
    for model in ("small", "clumsy"):
        about = made.manifest(ids, model=model, benchmark="choices", metrics=("accuracy", "ece"), method="logprob")
        with RunWriter(root, about) as writer:
            writer.append(
                Record(
                    Item(item_id, "Which?", options=("first", "second"), labels=("A", "B"), gold=at % 3 and 1),
                    Output(item_id, prompt="Which?", logprobs=(-(at % 8) / 4 - 0.1, -0.5)),
                )
                for at, item_id in enumerate(ids)
            )
    return root


@pytest.fixture(scope="module")
def runs(folder: Path) -> medbench.Runs:
    return medbench.load_runs(folder)


def open_ones(kind: str) -> dict[str, Any]:
    """Benchmarks whose runs have something for the figure."""
    return {"benchmarks": "choices" if kind == "calibration" else ["exam", "quiz"]}


def run_command(*words: object) -> Result:
    return CliRunner().invoke(cli, ["figure", *map(str, words)])


def texts(drawn: PaperFigure) -> list[str]:
    from matplotlib.text import Text

    return [found.get_text() for found in drawn.findobj(Text) if found.get_text()]


@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_in_every_format(kind: str, runs: medbench.Runs, tmp_path: Path) -> None:
    from PIL import Image

    for suffix in ("png", "svg", "pdf"):
        path = tmp_path / f"{kind}.{suffix}"
        drawn = medbench.figure(runs, kind, path, **open_ones(kind))
        again = tmp_path / f"again.{suffix}"
        medbench.figure(runs, kind, again, **open_ones(kind))
        assert path.read_bytes() == again.read_bytes(), "the same runs give the same file"
    with Image.open(tmp_path / f"{kind}.png") as image:
        width = 7.0 if kind == "answers" else 3.4
        assert image.width == pytest.approx(width * 300, abs=1)
        assert image.text["Description"] == drawn.caption  # type: ignore[attr-defined]
    svg = ElementTree.parse(tmp_path / f"{kind}.svg")
    assert not [tag for tag in svg.iter() if tag.tag.endswith("}text")], "letters are shapes: no font is needed"
    pdf = (tmp_path / f"{kind}.pdf").read_bytes()
    assert b"/FontFile2" in pdf and b"/Type3" not in pdf, "fonts are embedded, as TrueType"


def test_scores_are_the_cells_of_the_leaderboard(runs: medbench.Runs) -> None:
    drawn = figure(runs, "scores", benchmarks="exam,quiz")
    (found,) = summarize(medbench.Runs([run for run in runs if "choices" not in run.path.name]).leaderboard())
    cells = [cell for line in found.lines for cell in summary_cells(line)[2:5]]  # exam, quiz and their mean
    assert len(cells) == 12 and any(cell.endswith("▼") for cell in cells)
    shown = texts(drawn)
    assert {cell for cell in cells if cell not in shown} == set()
    assert "Hollow marks (▼)" in drawn.caption
    assert len({axes.get_xlim() for axes in drawn.axes}) == 1, "shares of all benchmarks have one axis"
    assert "Axes do not start at 0. Panels of shares have the same axis." in drawn.caption


@pytest.mark.parametrize("models", [1, 2, 3, 12])
@pytest.mark.parametrize("width", ["column", "page"])
def test_texts_of_scores_do_not_overlap(models: int, width: str, tmp_path: Path) -> None:
    from matplotlib.text import Text

    for benchmark in ("exam", "questions-of-the-third-ward-2026", "quiz"):
        for model in range(models):
            answers = {f"{at:03}": "yes" if at < 8 + model else "no" for at in range(30)}
            names = {"model": f"model-{model}", "benchmark": benchmark}
            made.make_run(tmp_path / "runs", answers, metrics=("token_f1",), **names)
    drawn = figure(medbench.load_runs(tmp_path / "runs"), "scores", width=width)
    assert "questions-of-the-third-\nward-2026" in texts(drawn), "a title of two lines leaves less space for the rows"
    drawn.draw_without_rendering()
    boxes = []
    for axes in drawn.axes:
        words = [*axes.texts, *axes.get_yticklabels(), *axes.get_xticklabels()[1:-1], axes.xaxis.label]
        words += [text for text in axes.findobj(Text) if text.get_text() == axes.get_title("left")]
        with style():
            boxes += [(text.get_text(), text.get_window_extent()) for text in words if text.get_text()]
    assert len(boxes) >= 4 * (2 * models + 2)  # of each panel: names, values, title and label
    for (one, box), (other, beside) in itertools.combinations(boxes, 2):
        assert not box.overlaps(beside), (one, other)


def test_the_pareto_front() -> None:
    def point(name: str, quality: float, cost: float) -> Point:
        return Point(name, quality, None, None, cost)

    points = [point("a", 0.5, 1), point("b", 0.5, 2), point("c", 0.7, 3), point("d", 0.6, 3), point("e", 0.7, 3)]
    assert [each.name for each in pareto(points, "higher")] == ["a", "c", "e"]
    assert [each.name for each in pareto(points, "lower")] == ["a"]


def test_a_trade_off_names_who_is_on_the_front(runs: medbench.Runs) -> None:
    drawn = figure(runs, "trade-off", benchmarks="exam,quiz")
    assert "small, small@tuned." in drawn.caption and "clumsy" not in drawn.caption
    assert [note for note in drawn.notes if note.startswith("served:")], "its memory is unknown"
    drawn = figure(runs, "trade-off", benchmarks="exam,quiz", cost="latency", quality="exam")
    assert "small, small@tuned, served." in drawn.caption
    with pytest.raises(UsageError, match="Did you mean exam"):
        figure(runs, "trade-off", benchmarks="exam,quiz", quality="exma")
    with pytest.raises(UsageError, match="a cost is memory"):
        figure(runs, "trade-off", benchmarks="exam,quiz", cost="money")


def test_training_is_drawn_in_pairs(runs: medbench.Runs) -> None:
    drawn = figure(runs, "training", benchmarks="exam,quiz")
    shown = texts(drawn)
    assert "small@tuned" in shown and "clumsy" not in " ".join(shown)
    # 14 of 30 right before and 25 after: 11 became right and none wrong, so p = 2 / 2**11; doubled for two benchmarks
    assert [text for text in shown if text.startswith("0.467 → 0.833")] == ["0.467 → 0.833  p 0.002"] * 2
    (point,) = [line for line in drawn.axes[0].lines if line.get_marker() == "o"][:1]
    assert point.get_xdata()[0] == pytest.approx(11 / 30)


def test_answers_of_all_models_to_one_item(runs: medbench.Runs) -> None:
    drawn = figure(runs, "answers", benchmarks="exam", item="015")
    shown = texts(drawn)
    for model, (right, *_) in PRICED.items():
        at = shown.index(model)
        assert shown[at + 1 : at + 3] == (["token_f1 1", "yes"] if right > 15 else ["token_f1 0", "no"])
    (about,) = [text for text in texts(figure(runs, "answers", benchmarks="choices", models="small")) if "ence" in text]
    assert about == "✓ right · confidence 0.599", "1 / (1 + e^-0.4); only a run has a calibration error"
    first = figure(runs, "answers", benchmarks="exam")
    assert first.caption.startswith("Item 014 "), "the first on which the models differ"


def test_answers_fit_their_boxes_whatever_they_say(tmp_path: Path) -> None:
    nasty = "$\\frac{1}{$ \x1b[31m \u202eabc " + "x" * 300 + " \ud800 漢字 " + "word " * 900
    for model in ("one", "two"):
        made.make_run(tmp_path / "runs", {"1": nasty}, model=model + "$_{", metrics=("token_f1",))
    drawn = figure(medbench.load_runs(tmp_path / "runs"), "answers")
    renderer = drawn.canvas.get_renderer()  # type: ignore[attr-defined]
    (axes,) = drawn.axes
    width = axes.bbox.width
    lines = [text for text in axes.texts if text.get_text()]
    assert any("more characters" in text.get_text() for text in lines)
    with style():
        boxes = [text.get_window_extent(renderer) for text in lines]
    for text, box in zip(lines, boxes, strict=True):
        assert box.x1 <= (width / 2 if box.x0 < width / 2 else width), text.get_text()
    assert all(not set(text.get_text()) & set("\x1b\u202e") for text in lines)


def test_wrapping_loses_nothing() -> None:
    text = "One long line of words, then a verylongwordthatfitsonnoline. And\ntwo  spaces"
    with style():
        lines = wrapped(text, 60, 7)
        assert "".join("".join(lines).split()) == "".join(text.split())
        assert len(lines) == 6 and max(map(len, lines)) < 25
        assert unknown("plain é ✓") == set()


def test_names_are_cut_in_the_middle() -> None:
    assert fitted("short") == "short"
    lines = fitted("a" * 40 + "-middle-" + "z" * 40).splitlines()
    assert len(lines) <= 3 and lines[0].startswith("aaa") and lines[-1].endswith("zzz") and "…" in "".join(lines)


def test_a_notebook_shows_the_figure(runs: medbench.Runs) -> None:
    from PIL import Image

    with Image.open(io.BytesIO(figure(runs, benchmarks="exam")._repr_png_())) as image:
        assert image.format == "PNG"


# --- the command


def test_the_command_writes_the_file_and_prints_the_caption(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "figure.pdf"
    result = run_command("scores", folder, "--out", out, "-b", "exam", "-m", "small,clumsy", "--width", "page")
    assert (result.exit_code, result.stdout) == (0, f"{out}\n")
    assert out.read_bytes().startswith(b"%PDF") and "Caption: Scores with 95% intervals." in result.stderr


def test_models_and_runs_are_found_by_name(
    folder: Path, runs: medbench.Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in show, compare and score; a folder still goes first."""
    monkeypatch.setenv("MEDBENCH_HOME", str(folder.parent))
    whole = next(run.path.name for run in runs if run.path.name.startswith("clumsy__exam"))
    for named in (["small__choices", "clumsy__choices"], ["small", "clumsy", "-b", "choices"]):
        result = run_command("calibration", *named, "--out", tmp_path / "a.png")
        assert result.exit_code == 0, result.output
    assert run_command("scores", whole, "--out", tmp_path / "a.png").exit_code == 0
    unknown = run_command("scores", "clumzy", "--out", tmp_path / "a.png")
    assert unknown.exit_code == 2 and "Did you mean clumsy?" in unknown.output


def test_help_names_every_kind() -> None:
    assert tuple(KINDS) == IN_HELP
    shown = run_command("--help").output
    assert all(f"\n  {kind} " in shown for kind in KINDS) and max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("scores", "--out", "a.gif"), "figures are .png, .svg or .pdf"),
        (("scores", "--out", "a"), "--out a.pdf"),
        (("scores", "-m", "smal"), "Did you mean small or small@tuned?"),
        (("scores", "-b", "nothing"), "no run here has the benchmark 'nothing'"),
        (("scores", "--item", "3"), "--item belongs to the figure answers"),
        (("calibration", "-b", "exam"), "no run here has a confidence"),
        (("training", "-m", "small"), "no adapter here shares items"),
        (("trade-off", "-m", "small"), "A trade-off needs two models"),
        (("trade-off", "-m", "served,clumsy", "-b", "exam", "--cost", "parameters", "--quality", "x"), "Here: exam"),
        (("answers", "--item", "031"), "no run here was asked an item '031'"),
        (("answers", "--item", "001"), "Choose: --benchmark NAME"),
        (("score",), "'score' is not one of"),
    ],
)
def test_mistakes_are_explained(words: tuple[str, ...], said: str, folder: Path, tmp_path: Path) -> None:
    out = () if "--out" in words else ("--out", tmp_path / "a.png")
    kind, *others = words
    result = run_command(kind, folder, *others, *out)
    assert result.exit_code == 2 and said in " ".join(result.output.split()), result.output
    assert not (tmp_path / "a.png").exists() and "Traceback" not in result.output


@pytest.mark.parametrize("kind", ["calibration", "trade-off", "training"])
def test_what_only_the_samples_have_is_not_called_missing(kind: str, folder: Path, tmp_path: Path) -> None:
    """Saved answers to a real benchmark have no confidence, no cost and no adapter; the samples beside them have."""
    for path in sorted(folder.glob("small*__exam__*")) + sorted(folder.glob("*__choices__*")):
        manifest = medbench.load_runs(path)[0].manifest
        about = dataclasses.replace(manifest, benchmark=dataclasses.replace(manifest.benchmark, sample=True))
        with RunWriter(tmp_path / "runs", dataclasses.replace(about, checkpoint=None)) as writer:
            writer.append(medbench.load_runs(path)[0].records())
    made.make_run(tmp_path / "runs", made.bits("110"), model="saved", benchmark="ward", metrics=("token_f1",))
    result = run_command(kind, tmp_path / "runs", "--out", tmp_path / "a.png")
    assert result.exit_code == 2, result.output
    said = " ".join(result.output.split())
    assert "Samples are left out, because there are real benchmarks. To draw them: --benchmark choices,exam" in said
    benchmarks = ("--benchmark", "choices" if kind == "calibration" else "exam")
    assert run_command(kind, tmp_path / "runs", "--out", tmp_path / "a.png", *benchmarks).exit_code == 0


def test_a_file_that_cannot_be_written(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run_command("scores", folder, "--out", tmp_path / "file" / "a.png")
    assert result.exit_code == 1 and "cannot be written" in result.output and "Traceback" not in result.output


def test_no_runs(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    result = run_command("scores", tmp_path / "runs")
    assert result.exit_code == 2 and "there are no runs with answers" in result.output
