"""The summary: one row per model, one column per benchmark, and what it shows if figures are missing."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import made
import pytest
from click.testing import CliRunner, Result
from medbench.cli import cli
from medbench.core.errors import UsageError
from medbench.core.types import Figure
from medbench.results import leaderboard, summary, summary_order
from medbench.results.manifest import ModelRecord, RequestTimes, Session
from medbench.results.manifest_file import write_manifest
from medbench.results.store import all_runs
from medbench.results.writer import RunWriter


def run(root: Path, model: str, benchmark: str, pattern: str, seconds: Sequence[float] = (), **about: Any) -> None:
    """A run whose answers are right where `pattern` has a 1; `seconds` are those of timed requests."""
    answers = {f"{at:02}": "yes" if right == "1" else "no" for at, right in enumerate(pattern)}
    about.setdefault("metrics", ["exact_match"])
    stored = made.make_run(root, answers, model=model, benchmark=benchmark, **about)
    with RunWriter(root, stored.manifest) as writer:
        writer.update(latency=RequestTimes(seconds=tuple(seconds)))


def shown(root: Path, *words: str, columns: int = 200) -> Result:
    return CliRunner().invoke(cli, ["leaderboard", str(root), *words], env={"COLUMNS": str(columns)})


def only(root: Path) -> summary.Summary:
    (found,) = summary.summarize(leaderboard.build(all_runs(root)[0]))
    return found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Model one has two of three benchmarks, the others all three."""
    for benchmark in ("exam", "quiz", "trial"):
        run(tmp_path, "two", benchmark, "1" * 20)
        run(tmp_path, "three", benchmark, "1" * 10 + "0" * 10)
        if benchmark != "trial":
            run(tmp_path, "one", benchmark, "0" * 20)
    return tmp_path


def test_a_run_that_was_killed_before_its_first_answer_is_named(root: Path) -> None:
    made.make_run(root, {}, item_ids=[f"{at:02}" for at in range(40)], model="one", benchmark="trial")
    done = shown(root)
    assert (done.exit_code, done.stderr) == (0, "one on trial: 0 of 40 answered, not shown.\n")
    assert json.loads(shown(root, "--json").stdout)["notes"] == ["one on trial: 0 of 40 answered, not shown."]
    assert shown(root, "-m", "two").stderr == "", "only what was asked for"
    only_that = shown(root, "-m", "one", "-b", "trial")
    assert (only_that.exit_code, "has an answer yet" in only_that.stderr) == (2, True), only_that.output


def test_a_row_per_model_and_a_column_per_benchmark(root: Path) -> None:
    found = only(root)
    assert [heading.name for heading in found.headings] == ["exam", "quiz", "trial", "mean"]
    values = {
        line.label: [cell.figure.value if cell and cell.figure else None for cell in line.cells] for line in found.lines
    }
    assert values == {
        "two": [1.0, 1.0, 1.0, 1.0],
        "three": [0.5, 0.5, 0.5, 0.5],
        "one": [0.0, 0.0, None, None],  # no mean over what it did not do, and so behind those with one
    }
    assert list(values) == ["two", "three", "one"]


def test_marks_are_those_of_the_benchmarks_board(root: Path) -> None:
    status = {line.label: [cell.status if cell else None for cell in line.cells[:3]] for line in only(root).lines}
    # Ten discordant pairs, all one way: p = 2 · (1/2)¹⁰, below 5% after any correction for three models.
    assert status == {"two": ["best"] * 3, "three": ["worse"] * 3, "one": ["worse", "worse", None]}


def test_nobody_is_best_where_none_differs(tmp_path: Path) -> None:
    for benchmark in ("exam", "quiz"):
        for model in ("one", "two"):
            run(tmp_path, model, benchmark, "0000")
    assert {cell.status for line in only(tmp_path).lines for cell in line.cells if cell} <= {"", "tied"}
    assert "★" not in shown(tmp_path).stdout.split("Below each figure")[0]


def test_the_mean_weighs_each_benchmark_the_same_with_an_interval_from_theirs() -> None:
    # 0.5 ± 0.3 and 0.7 ± 0.4: the mean is 0.6, its half width sqrt(0.3² + 0.4²) / 2 = 0.25.
    found = summary.mean([Figure("a", 0.5, 10, 10, 0.2, 0.8), Figure("b", 0.7, 90, 100, 0.3, 1.1)])
    assert (found.value, found.low, found.high) == (pytest.approx(0.6), pytest.approx(0.35), pytest.approx(0.85))
    assert (found.n, found.total) == (100, 110)
    assert summary.mean([Figure("a", 0.5, 10, 10, 0.2, 0.8), Figure("b", 0.7, 5, 5)]).low is None


def test_the_interval_of_a_mean_covers_at_its_level() -> None:
    """Simulated: Wilson intervals of two benchmarks with 50 items each, true mean 0.75."""
    import numpy as np
    from medbench.core.stats import wilson

    random = np.random.default_rng(7)
    covered = 0
    for _ in range(400):
        figures = []
        for share in (0.6, 0.9):
            right = int(random.binomial(50, share))
            low, high = wilson(right, 50)
            figures.append(Figure("accuracy", right / 50, 50, 50, low, high))
        found = summary.mean(figures)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.75 <= found.high
    assert 0.92 <= covered / 400 <= 0.98


def test_a_benchmark_that_was_run_in_two_ways_has_two_columns_and_no_mean(tmp_path: Path) -> None:
    run(tmp_path, "one", "exam", "1100")
    run(tmp_path, "one", "quiz", "1100")
    run(tmp_path, "one", "quiz", "1110", shots=3)
    found = only(tmp_path)
    assert [heading.name for heading in found.headings] == ["exam", "quiz · 0-shot", "quiz · 3-shot"]
    assert "No mean: a benchmark was run in several ways, each a column." in found.notes


def test_there_is_no_mean_safety_over_one_benchmark_in_two_ways(tmp_path: Path) -> None:
    metrics = ["exact_match", "safety_rate"]
    run(tmp_path, "one", "exam", "1100", metrics=metrics)
    run(tmp_path, "one", "quiz", "11", metrics=metrics)
    assert [heading.name for heading in only(tmp_path).headings] == ["exam", "quiz", "mean", "safety_rate"]
    run(tmp_path, "one", "quiz", "11", variant="at most 24 new tokens")
    assert "safety_rate" in [each.name for each in only(tmp_path).headings], "only one of the two has it"
    run(tmp_path, "one", "quiz", "11", variant="at most 60 new tokens", metrics=metrics)
    found = only(tmp_path)
    assert {heading.kind for heading in found.headings} == {"benchmark"}
    note = "No mean, and none of safety: a benchmark was run in several ways. --details shows the safety of each."
    assert note in found.notes
    assert note in shown(tmp_path, "--sort", "safety").stderr
    assert shown(tmp_path, "--details").stdout.count("safety_rate") == 3


@pytest.mark.parametrize(
    ("requests", "told"),
    [
        ([[0.5]], "Latency was measured on a single request; to time more, run again with --latency-items 5."),
        ([[0.5] * 2], "Latency was measured on two requests; to time more, run again with --latency-items 5."),
        ([[0.5], [2.0] * 2], "Latency was measured on one or two requests; to time more, run"),
        ([[0.5], [2.0] * 3], "1 of 2 latencies was measured on a single request; to time more, run"),
        ([[0.5] * 3], ""),
    ],
)
def test_a_latency_of_one_or_two_requests_is_said_to_be_that(
    requests: Sequence[Sequence[float]], told: str, tmp_path: Path
) -> None:
    for at, seconds in enumerate(requests):
        run(tmp_path, f"model-{at}", "exam", "1100", metrics=["exact_match", "latency_p50_s"], seconds=seconds)
    notes = "\n".join(only(tmp_path).notes)
    assert told in notes and ("to time more" in notes) == bool(told)
    by_metric = shown(tmp_path, "-b", "exam").stdout
    assert told in by_metric and ("to time more" in by_metric) == bool(told), "the table that run shows, too"


def test_a_protocol_and_a_system_text_are_named_where_their_column_stands_alone(tmp_path: Path) -> None:
    run(tmp_path, "one", "exam", "1100", protocol="cot")
    run(tmp_path, "one", "quiz", "1100", protocol="cot", system_hash="0123")
    found = only(tmp_path)
    assert [heading.name for heading in found.headings] == ["exam (cot)", "quiz (cot, system text)", "mean"]
    assert len(summary_order.filtered([found], "exam > 0.4 and `quiz (cot, system text)` > 0.4")[0].lines) == 1
    assert summary_order.ordered([found], "quiz")[0].lines == found.lines


def test_two_setups_of_a_model_are_two_rows(tmp_path: Path) -> None:
    for benchmark in ("exam", "quiz"):
        run(tmp_path, "one", benchmark, "1100", dtype="float32")
        run(tmp_path, "one", benchmark, "1110", dtype="bfloat16")
    assert [(line.label, line.setup) for line in only(tmp_path).lines] == [("one", "bfloat16"), ("one", "float32")]


def test_samples_are_never_averaged_with_real_benchmarks(root: Path) -> None:
    run(root, "two", "toy", "1000", sample=True)
    real, samples = summary.summarize(leaderboard.build(all_runs(root)[0]))
    assert [heading.name for heading in real.headings] == ["exam", "quiz", "trial", "mean"]
    assert [heading.name for heading in samples.headings] == ["toy"]
    assert samples.sample


def test_safety_is_a_mean_and_memory_and_latency_are_the_worst(tmp_path: Path) -> None:
    for benchmark, gib, seconds in (("exam", 1, [0.5] * 5), ("quiz", 3, [2.0] * 5)):
        metrics = ["exact_match", "peak_rss_bytes", "latency_p50_s"]
        sessions = [Session(items=4, seconds=2.0, completion_tokens=4, peak_rss_bytes=gib << 30)]
        run(tmp_path, "one", benchmark, "1100", metrics=metrics, sessions=sessions, seconds=seconds)
    found = only(tmp_path)
    cells = dict(zip([heading.kind for heading in found.headings], found.lines[0].cells))
    assert cells["memory"].figure.value == 3 << 30  # type: ignore[union-attr]
    assert cells["latency"].figure.value == 2.0  # type: ignore[union-attr]
    assert "Latency (p50) is that of the slowest benchmark, memory is the largest peak." in found.notes
    with pytest.raises(UsageError) as unknown:
        summary_order.ordered([found], "GB")
    assert unknown.value.hint == "The columns: exam, quiz, mean, latency (latency_p50_s), memory (peak_rss_bytes)"


# --- on the terminal --------------------------------------------------------------------------------------------------


def test_the_leaderboard_opens_with_the_summary_and_details_follow_when_asked_for(root: Path) -> None:
    brief, full = shown(root).stdout, shown(root, "--details").stdout
    assert brief.startswith("summary")
    assert "exam · 20 items" not in brief
    assert full.startswith("summary")
    assert full.index("Mean: all 3 benchmarks") < full.index("exam · 20 items")
    detailed = shown(root, "-b", "exam").stdout
    assert "summary" not in detailed
    assert "exam · 20 items" in detailed
    assert "quiz" not in detailed


def test_a_model_that_lacks_a_benchmark_has_a_gap(root: Path) -> None:
    (line,) = [line for line in shown(root).stdout.splitlines() if line.startswith(" one")]
    assert line.split()[1:] == ["0.000", "▼", "0.000", "▼", "–", "–"]
    assert "a model that lacks one has no mean" in shown(root).stdout


def test_five_benchmarks_fit_80_columns_and_no_number_is_cut(tmp_path: Path) -> None:
    names = ("medical-reasoning", "medmcqa", "medqa", "mmlu-med", "pubmedqa")
    for model in ("smollm2-135m", "owner/a-model-with-a-long-name-1.5b"):
        for benchmark in names:
            metrics = ["exact_match", "safety_rate", "peak_rss_bytes", "latency_p50_s"]
            measured = [Session(items=20, seconds=2.0, completion_tokens=4, peak_rss_bytes=1_250_000_000)]
            pattern = "1" * 15 + "0" * 5 if "/" in model else "0" * 20
            about: dict[str, Any] = {"metrics": metrics, "sessions": measured, "seconds": [0.125] * 5}
            run(tmp_path, model, benchmark, pattern, **about)
    done = shown(tmp_path, columns=80)
    assert done.exit_code == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("smollm2-13")]
    assert row.count("0.000 ▼") == 5, "one table: all five benchmarks are in the row"
    assert row.split()[-2:] == ["0.125", "1.25"], "latency in seconds, memory in GB"
    for number in re.findall(r"\S*\d\S*", row.split(maxsplit=1)[1]):
        assert re.fullmatch(r"\d+(\.\d+)?", number), f"a number was cut: {number}"


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_lines_of_a_name_break_only_after_a_sign(columns: int, tmp_path: Path) -> None:
    names = ("smollm2-135m@tiny", "SomeOwner/Some_Medical_Model-7B")
    for benchmark in ("exam", "quiz", "trial", "round", "drill"):
        for model in names:
            run(tmp_path, model, benchmark, "1100", metrics=["exact_match", "peak_rss_bytes"])
    pieces = {"smollm2-", "135m@", "tiny", "SomeOwner/", "Some_", "Medical_", "Model-", "7B"}
    for words in ((), ("-b", "exam")):
        text = shown(tmp_path, *words, columns=columns).stdout
        whole = [
            line.split()[0] for line in text.splitlines() if re.match(r" ?(smol|135m|tiny|Some|Medi|Model|7B)", line)
        ]
        assert whole, text
        assert all(set(re.findall(r"[^@_/-]+[@_/-]?", name)) <= pieces for name in whole), text
        assert max(map(len, text.splitlines())) <= columns


def test_a_name_with_a_piece_that_is_wider_than_the_column_is_folded() -> None:
    from medbench.cli.ui.names import Names
    from rich.console import Console

    def lines(markup: str, width: int) -> list[str]:
        console = Console(width=width)
        return ["".join(part.text for part in line).rstrip() for line in console.render_lines(Names(markup))]

    assert lines("smollm2-135m@tiny", 14) == ["smollm2-135m@", "tiny"]
    assert lines("smollm2-135m@tiny", 9) == ["smollm2-", "135m@tiny"]
    assert lines("a model-of-words (dtype [bold]bfloat16[/bold])", 14) == ["a", "model-of-words", "(dtype", "bfloat16)"]
    assert lines("abcdefghijklmno-p", 6) == ["abcdef", "ghijkl", "mno-", "p"]
    assert lines("", 6) == [""]


def test_a_benchmark_that_was_run_in_several_ways_has_numbered_columns_in_a_narrow_window(tmp_path: Path) -> None:
    run(tmp_path, "one", "exam", "1100")
    run(tmp_path, "one", "quiz", "1100", shots=0)
    run(tmp_path, "one", "quiz", "1110", shots=3)
    run(tmp_path, "one", "quiz", "1110", shots=3, variant="at most 20 new tokens")
    narrow = shown(tmp_path, columns=60).stdout.splitlines()
    top = [line.split() for line in narrow[1 : next(at for at, line in enumerate(narrow) if line.startswith("──"))]]
    assert top == [["exam", "quiz", "quiz", "quiz"], ["model", "↑", "(1)", "↑", "(2)", "↑", "(3)", "↑"]]
    text = " ".join(" ".join(narrow).split())
    for what in (
        "(1) exact_match of quiz (at most 20 new tokens) · 3-shot, 4 items",
        "(2) exact_match of quiz · 0-shot, 4 items",
        "(3) exact_match of quiz · 3-shot, 4 items The other figures: exact_match of exam, 4 items.",
    ):
        assert what in text
    assert "(1)" not in shown(tmp_path, columns=200).stdout, "a wide window has room for the whole headings"


def test_lines_are_ordered_and_filtered(root: Path) -> None:
    def models(*words: str) -> list[str]:
        return [line["model"] for line in json.loads(shown(root, "--json", *words).stdout)["summary"][0]["models"]]

    assert models() == ["two", "three", "one"]
    assert models("--where", "exam < 0.9") == ["three", "one"]
    assert models("--where", "mean > 0.2 and exam<0.9") == ["three"], "a model without a mean does not meet it"
    assert models("--sort", "trial") == ["two", "three", "one"]
    assert models("-m", "one,three") == ["three", "one"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--where", "exam >"], "--where 'exam >' cannot be understood"),
        (["--where", "exam + 1"], "it is a number, not true or false"),
        (["--where", "nothing > 1"], "The columns here: exam, quiz, trial, mean\n"),
        (["--sort", "nothing"], "no column here is called 'nothing'"),
        (
            ["--sort", "safety"],
            "No run here has safety_rate yet. To compute it: medbench score RUN --metrics safety_rate",
        ),
        (["-m", ""], "an option that takes names was given an empty text"),
        (["-m", "thre"], "no run here has the model 'thre'. Did you mean three?"),
        (["-b", "exams"], "no run here has the benchmark 'exams'. Did you mean exam?"),
        (["--parquet", "-"], "Parquet is not written to stdout"),
    ],
)
def test_what_cannot_be_meant_is_said(root: Path, words: list[str], told: str) -> None:
    done = shown(root, *words)
    assert done.exit_code == 2
    assert told in done.stderr


def test_a_benchmark_with_a_hyphen_is_no_difference(tmp_path: Path) -> None:
    for benchmark, pattern in (("mmlu-med", "1111"), ("exam", "0000")):
        run(tmp_path, "one", benchmark, pattern)
    found = only(tmp_path)
    assert len(summary_order.filtered([found], "mmlu-med > 0.5 and exam < 0.5")[0].lines) == 1
    assert summary_order.filtered([found], "mmlu-med < 0.5")[0].lines == ()


def models_in(root: Path, *words: str) -> list[list[str]]:
    """The models of each summary, in order."""
    done = shown(root, "--json", *words)
    assert done.exit_code == 0, done.stderr
    return [[line["model"] for line in one["models"]] for one in json.loads(done.stdout)["summary"]]


@pytest.mark.parametrize(
    "condition",
    [
        "__import__('os').system('touch ran')",
        "@pd.io.common.os.system('touch ran') == 0",
        "exam.to_csv('ran') == 0",
        "exam.__class__ == 1",
        "(lambda: 1)() == 1",
        "[x for x in (1,)] == 1",
        "exam[0] > 1",
        "x = 1",
        "exam > '0'",
        "`exam > 0",
        "`nothing` > 0",
        "exam ** 9 ** 9 > 1",
        "exam == True",
        "not exam",
        "exam > 0\nquiz > 0",
        "(" * 900 + "exam > 0" + ")" * 900,
        "exam > 0 " + "and exam > 0 " * 400,
    ],
)
def test_a_condition_never_runs_code(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, condition: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = shown(root, "--where", condition)
    assert done.exit_code == 2
    assert "cannot be understood" in done.stderr
    assert not Path("ran").exists()


def test_what_a_condition_may_say(root: Path) -> None:
    for condition, models in {
        "0.4 < exam < 0.6": ["three"],
        "(exam > 0.9) | (quiz < 0.1)": ["two", "one"],
        "exam > 0.4 & quiz < 0.6": ["three"],
        "not exam > 0.4": ["one"],
        "`exam` + quiz >= 1": ["two", "three"],
        "trial < 2": ["two", "three"],  # one has no figure there
        "not trial < 0": ["two", "three"],
        "trial != 0.3": ["two", "three"],
        "trial > 0.9 or exam == 0": ["two", "one"],  # the other part settles it
        "exam / 0 > 1": [],
    }.items():
        assert models_in(root, "--where", condition) == [models], condition


def test_a_condition_or_an_order_may_be_of_a_column_that_only_one_summary_has(root: Path) -> None:
    run(root, "two", "toy", "1000", sample=True)
    run(root, "one", "toy", "1100", sample=True)
    assert models_in(root, "--sort", "exam") == [["two", "three", "one"], ["one", "two"]]
    assert models_in(root, "--where", "toy > 0.4") == [[], ["one"]]


def test_runs_that_have_only_unmeasured_metrics_say_so(tmp_path: Path) -> None:
    for benchmark in ("exam", "quiz"):
        run(tmp_path, "one", benchmark, "1", metrics=["peak_rss_bytes"])
    assert "These runs have no figure for a summary" in shown(tmp_path).stdout


def test_a_filter_that_leaves_nobody_says_so(root: Path) -> None:
    done = shown(root, "--where", "exam > 2")
    assert done.exit_code == 0
    assert "No model meets: exam > 2" in done.stdout


def alike(root: Path, field: str, exam: Sequence[str], quiz: Sequence[str], engine: str = "transformers") -> list[str]:
    """The labels of the lines of runs of one model that differ only in `field`, with these values of it."""
    found = leaderboard.build(all_runs(root)[0])
    boards = [
        dataclasses.replace(
            board,
            rows=tuple(
                dataclasses.replace(
                    row := board.rows[0],
                    setup=dataclasses.replace(row.setup, engine=engine, **{field: value}),
                    apart=((field, value),) if len(values) > 1 else (),
                )
                for value in values
            ),
        )
        for board, values in zip(found.boards, (exam, quiz))
    ]
    (made,) = summary.summarize(dataclasses.replace(found, boards=tuple(boards)))
    return sorted(line.label for line in made.lines)


def test_lines_of_one_model_are_told_apart_by_what_their_setup_does_not_say(tmp_path: Path) -> None:
    for benchmark in ("exam", "quiz"):
        run(tmp_path, "one", benchmark, "1100")
    assert alike(tmp_path, "revision", ["a1", "b2"], ["b2", "a1"]) == ["one (revision a1)", "one (revision b2)"]
    assert alike(tmp_path, "revision", ["a1"], ["a1"]) == ["one"]
    assert alike(tmp_path, "revision", ["a1"], ["b2"]) == ["one (revision a1)", "one (revision b2)"]
    assert alike(tmp_path, "chat", ["plain", "chat"], ["chat", "plain"]) == ["one (chat chat)", "one (chat plain)"]
    assert alike(tmp_path, "chat", ["plain"], ["chat"]) == ["one"], "wrapped as each benchmark asks: one line"


def test_saved_answers_to_several_benchmarks_are_one_line(tmp_path: Path) -> None:
    """Their revision is that of the answers to one benchmark."""
    for benchmark in ("exam", "quiz"):
        run(tmp_path, "replay:alpha", benchmark, "1100")
    assert alike(tmp_path, "revision", ["a1"], ["b2"], engine="replay") == ["replay:alpha"]
    twice = alike(tmp_path, "revision", ["a1", "c3"], ["b2"], engine="replay")
    assert twice == ["replay:alpha", "replay:alpha (revision a1)", "replay:alpha (revision c3)"]


def test_an_unfinished_run_is_marked_and_so_is_its_mean(tmp_path: Path) -> None:
    run(tmp_path, "one", "quiz", "1100")
    base = made.manifest(["00", "01", "02", "03"], model="one", benchmark="exam", metrics=["exact_match"])
    with RunWriter(tmp_path, base) as writer:
        writer.append([made.record("00", "yes")])
    (line,) = only(tmp_path).lines
    assert line.unfinished == ("exam: 1 of 4 done",)
    figures = [cell.figure for cell in line.cells if cell and cell.figure]
    assert [(figure.n, figure.total) for figure in figures] == [(1, 4), (4, 4), (5, 8)]
    text = shown(tmp_path).stdout
    assert "n 1/4" in text
    assert "n 5/8" in text
    assert "unfinished" in text


def test_there_is_no_mean_over_other_scales_and_it_says_so(root: Path) -> None:
    boards = leaderboard.build(all_runs(root)[0])
    graded = dataclasses.replace(boards.boards[0].columns[0], scale="1 to 5")
    first = dataclasses.replace(boards.boards[0], columns=(graded, *boards.boards[0].columns[1:]))
    (found,) = summary.summarize(dataclasses.replace(boards, boards=(first, *boards.boards[1:])))
    assert [heading.kind for heading in found.headings] == ["benchmark"] * 3
    assert any(note.startswith("No mean: not every figure is a share") for note in found.notes)


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_names_with_markup_and_control_characters_are_shown_as_they_are(tmp_path: Path, columns: int) -> None:
    for benchmark in ("exam", "[bold]quiz", "a`b"):
        run(tmp_path, "[red]a\x1b[31mb\u202e", benchmark, "1100")
        run(tmp_path, "plain", benchmark, "1111")
    done = shown(tmp_path, columns=columns)
    assert done.exit_code == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= columns
    assert not re.search(r"[\x1b\u202e]", done.stdout)
    assert "[red]a" in done.stdout.replace("\n", "")
    assert shown(tmp_path, "--where", "[bold]quiz > 0.9 and a`b > 0").exit_code == 0


# --- exports ----------------------------------------------------------------------------------------------------------


def test_parquet_has_the_rows_of_the_csv(root: Path, tmp_path: Path) -> None:
    import pandas as pd

    target = tmp_path / "out" / "board.parquet"
    csv = tmp_path / "out" / "board.csv"
    assert shown(root, "--parquet", str(target), "--csv", str(csv)).exit_code == 0
    parquet, text = pd.read_parquet(target), pd.read_csv(csv)
    assert list(parquet.columns) == list(text.columns)
    assert list(parquet["value"]) == pytest.approx(list(text["value"]))
    assert len(parquet) == len(text) > 0


def test_latex_and_html_print_names_as_they_are(tmp_path: Path) -> None:
    run(tmp_path, r"a_b&c<i>\input{x}", "exam", "1100")
    latex = shown(tmp_path, "--latex", "-").stdout
    assert r"a\_b\&c\textless{}i\textgreater{}\textbackslash{}input\{x\}" in latex
    assert r"0.500 [0.150, 0.850]" in latex  # Wilson of 2 of 4
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 1
    run(tmp_path, "[1em]x", "exam", "1100")
    assert "\n{}[1em]x & " in shown(tmp_path, "--latex", "-").stdout, "no argument of the line break before it"
    page = shown(tmp_path, "--html", "-").stdout
    assert "a_b&amp;c&lt;i&gt;" in page
    assert "<i>" not in page
    assert not math.isnan(float(re.findall(r"<td>(0\.\d+) ", page)[0]))


def test_subjects_are_columns_when_asked_for(tmp_path: Path) -> None:
    from medbench.results.store import StoredRun

    subjects = {"00": "anatomy", "01": "anatomy", "02": "genetics"}
    base = made.manifest(list(subjects), metrics=["accuracy"], benchmark="exam", method="generate")
    with RunWriter(tmp_path, base) as writer:
        for at, (item, subject) in enumerate(subjects.items()):
            record = made.record(item, "B" if at == 1 else "A")
            asked = dataclasses.replace(
                record.item, options=("x", "y"), labels=("A", "B"), gold=0, references=(), meta={"subject": subject}
            )
            writer.append([dataclasses.replace(record, item=asked)])
    done = shown(tmp_path, "--by", "subject")
    assert done.exit_code == 0, done.stderr
    # Of anatomy one of two is right, of genetics the one there is.
    assert re.search(r"accuracy\[anatomy\] ↑\s+accuracy\[genetics\] ↑", done.stdout)
    assert re.search(r"0\.500\s+1\.000", done.stdout)
    (row,) = json.loads(shown(tmp_path, "--json").stdout)["boards"][0]["rows"]
    subgroups = {figure["subgroup"]: figure["value"] for figure in row["figures"] if figure["subgroup"]}
    assert subgroups["anatomy"] == 0.5
    run(tmp_path / "none", "one", "quiz", "11")
    assert "no item of these runs names its subject" in shown(tmp_path / "none", "--by", "subject").stderr
    assert StoredRun(tmp_path / base.run_id).complete


def test_figures_with_items_from_the_training_data_are_marked(tmp_path: Path) -> None:
    """Model one trained on item 00 of the exam; model two's training data were never checked."""
    for benchmark in ("exam", "quiz"):
        for model, leaked in (("one", ["00"] if benchmark == "exam" else []), ("two", None), ("three", "untrained")):
            answers = {f"{at:02}": "yes" for at in range(4)}
            stored = made.make_run(tmp_path, answers, model=model, benchmark=benchmark, metrics=["exact_match"])
            if leaked != "untrained":
                trained = ModelRecord.from_json(stored.manifest.model.as_json() | {"leaked": leaked})
                write_manifest(stored.path, dataclasses.replace(stored.manifest, model=trained))
    lines = {line.label: line for line in only(tmp_path).lines}
    assert lines["one"].leaked == (1, 0, 1), "the exam, the quiz, and the mean of both"
    assert lines["three"].leaked == (0, 0, 0)
    assert (lines["two"].unchecked, lines["one"].unchecked) == (("exam", "quiz"), ())
    done = shown(tmp_path)
    rows = {line.split()[0]: line for line in done.stdout.splitlines() if line.startswith(" ") and "1.000" in line}
    assert rows["one"].count("1.000†") == 2 and rows["one"].count("1.000") == 3
    assert "†" not in rows["three"]
    assert "1 of 4 items were found in the training data of one. Figures and order here include them" in done.stdout
    assert "leaks not checked" in done.stdout


def test_the_summary_is_in_the_files_for_papers_and_pages(root: Path, tmp_path: Path) -> None:
    done = shown(root, *(f"--{form}={tmp_path / form}" for form in ("markdown", "html", "latex")))
    assert done.exit_code == 0, done.stderr
    text = {form: (tmp_path / form).read_text(encoding="utf-8") for form in ("markdown", "html", "latex")}
    assert text["markdown"].startswith("### Summary\n\n| model | setup | exam ↑ | quiz ↑ | trial ↑ | mean ↑ |\n")
    assert "| two | float32 | **1.000 [0.839, 1.000]** |" in text["markdown"]
    assert text["html"].startswith("<table><caption>Summary</caption>")
    assert text["latex"].startswith("\\begin{table}\n\\caption{Summary.")
    assert "### exam" in text["markdown"], "the tables of the benchmarks follow"


def test_stop_strings_are_a_list_in_json_and_json_in_a_cell_of_csv(tmp_path: Path) -> None:
    run(tmp_path, "one", "exam", "10", stop=["\nQuestion:"])
    (board,) = json.loads(shown(tmp_path, "--json").stdout)["boards"]
    assert board["stop"] == ["\nQuestion:"]
    assert '"[""\\nQuestion:""]"' in shown(tmp_path, "--csv", "-").stdout
