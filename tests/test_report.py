"""`medbench report`: the files that it writes, and the pages in a browser, opened from disk."""

from __future__ import annotations

import csv
import dataclasses
import html
import io
import itertools
import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import browser
import made
import medbench
import pytest
from browser import CONTRAST, asked_for, complaints, found, received, show, texts, until
from click.testing import CliRunner, Result
from medbench.cli import cli
from medbench.core.errors import UsageError
from medbench.core.types import Item, Output, Record
from medbench.report.script_data import script
from medbench.report.site import write_report
from medbench.results.manifest import RequestTimes, Session
from medbench.results.store import StoredRun
from medbench.results.writer import RunWriter
from medbench.zoo import adapter_manifest
from medbench.zoo.adapter_manifest import AdapterManifest

# Tries to end whatever text, attribute, script or string it is put into. Each way sets another number.
BREAKOUT = (
    "</script><script>window.pwned = 1</script><img src=x onerror='window.pwned = 2'>"
    '"\'><svg onload=window.pwned=3></svg>" autofocus onfocus="window.pwned=4" x="\' onclick=\'window.pwned=5\' '
    "</title></textarea></style><script>window.pwned=6</script><!-- --> ]]> `${window.pwned = 7}` "
    "{{constructor.constructor('window.pwned = 8')()}} javascript:window.pwned=9 \\\"); window.pwned = 10; (\" "
    "\u2028window.pwned = 11\u2029 =HYPERLINK(\"http://192.0.2.1/\") \u202ereversed <iframe src='http://192.0.2.1/'>"
    "<meta http-equiv=refresh content='0;url=http://192.0.2.1/'><base href='http://192.0.2.1/'>"
)


def hostile(field: str) -> str:
    """A text for one field that tries to break out of it, and says which field it is."""
    return f"{field}-field {BREAKOUT}"


def hostile_run(root: Path, model: str, answers: str) -> StoredRun:
    """A run in which every text comes from someone who wants to take over the page."""
    ids = [hostile(f"id{at}") for at in range(len(answers))]
    plain = made.manifest(ids, model=hostile(model), benchmark=hostile("benchmark"), metrics=("token_f1",))
    about = dataclasses.replace(
        plain,
        engine={"parameters": 10, hostile("engine"): hostile("value")},
        environment={hostile("key"): {"__proto__": hostile("environment")}},
        command=("medbench", hostile("command")),
        model=dataclasses.replace(
            plain.model, adapter=str(trained(root.parent / "adapter", hostile)), adapter_hash="beef"
        ),
        benchmark=dataclasses.replace(
            plain.benchmark, origin=hostile("origin"), notes=(hostile("note"),), citation=hostile("citation")
        ),
    )
    with RunWriter(root, about) as writer:
        writer.append(
            Record(
                Item(
                    item_id,
                    hostile("question"),
                    context=hostile("context"),
                    references=(hostile("reference"),),
                    meta={"subject": hostile("subject"), "__proto__": hostile("meta")},
                ),
                Output(
                    item_id,
                    prompt=hostile("prompt"),
                    text=hostile("answer") if answer == "1" else "something else",
                    reasoning=hostile("reasoning"),
                    finish="stop",
                ),
            )
            for item_id, answer in zip(ids, answers, strict=True)
        )
    return StoredRun(root / about.run_id)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models on two benchmarks. The first is better on one of them."""
    root = tmp_path_factory.mktemp("stored") / "runs"
    yes, no = "yes", "no"
    for benchmark in ("quiz", "exam"):
        for model, right in (("alpha", 28), ("beta", 12)):
            answers = {f"{at:03}": yes if at < right else no for at in range(30)}
            made.make_run(root, answers, model=model, benchmark=benchmark, metrics=("token_f1",))
    return root


def run_command(*words: object) -> Result:
    return CliRunner().invoke(cli, ["report", *map(str, words)])


class Words(HTMLParser):
    """The texts of a page, the tags that it has, and the addresses that it names."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text += data


def pages(folder: Path) -> dict[str, Words]:
    return {path.name: Words(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.html"))}


# --- the files


def test_a_report_says_what_it_is_of(runs: Path, tmp_path: Path) -> None:
    result = run_command(runs, "--out", tmp_path / "site", "--title", "Our models")
    assert (result.exit_code, result.stdout) == (0, f"{tmp_path / 'site' / 'index.html'}\n")
    index = pages(tmp_path / "site")["index.html"]
    for words in ("Our models", "4 runs, 2 models, 2 benchmarks", medbench.__version__, "Holm", "alpha", "quiz"):
        assert words in index.text, words


def test_cells_are_those_of_the_leaderboard(runs: Path, tmp_path: Path) -> None:
    write_report(medbench.load_runs(runs), tmp_path / "site")
    table = received(tmp_path / "site" / "data" / "tables.js")["summary-0"]
    shown = CliRunner().invoke(cli, ["leaderboard", str(runs), "--html", "-"]).stdout
    for row in table["rows"]:
        for cell in row:
            assert f"<td>{cell['text']}</td>" in shown
    figures = list(
        csv.DictReader(io.StringIO(CliRunner().invoke(cli, ["leaderboard", str(runs), "--csv", "-"]).stdout))
    )
    found = {
        (row[0]["text"], column["title"].removesuffix(" ↑")): (cell["value"], cell["status"])
        for row in table["rows"]
        for column, cell in zip(table["columns"], row, strict=True)
    }
    compared = [line for line in figures if line["metric"] == "token_f1"]
    assert len(compared) == 4
    for line in compared:
        assert found[line["model"], line["benchmark"]] == (float(line["value"]), line["status"])
    assert found["alpha", "quiz"] == (28 / 30, "best") and found["beta", "quiz"] == (12 / 30, "worse")


def test_only_chosen_models_and_benchmarks(runs: Path, tmp_path: Path) -> None:
    result = run_command(runs, "--out", tmp_path / "site", "-m", "alpha", "-b", "quiz")
    assert result.exit_code == 0
    text = pages(tmp_path / "site")["index.html"].text
    assert "1 run, 1 model, 1 benchmark," in text and "beta" not in text and "exam" not in text
    result = run_command(runs, "--out", tmp_path / "site", "--model", "alfa")
    assert result.exit_code == 2 and "Did you mean alpha?" in result.output


def test_a_later_report_replaces_the_earlier_one_and_nothing_else(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "site"
    first = write_report(medbench.load_runs(runs), out)
    before = sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file())
    (out / "mine.txt").write_text("mine")
    stale = "data/of-an-earlier-report.js"
    (out / stale).write_text("old")
    listed = json.loads((out / "report.json").read_text())
    outside = tmp_path / "outside.txt"
    outside.write_text("not of the report")
    listed["files"] += [stale, "../outside.txt", str(outside)]
    (out / "report.json").write_text(json.dumps(listed))
    assert write_report(medbench.load_runs(runs), out).index == first.index
    after = sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file())
    assert after == sorted([*before, Path("mine.txt")])
    assert outside.read_text() == "not of the report"


def test_a_link_in_the_folder_is_not_followed(runs: Path, tmp_path: Path) -> None:
    index = write_report(medbench.load_runs(runs), tmp_path / "site").index
    (tmp_path / "secret.txt").write_text("precious")
    index.unlink()
    index.symlink_to(tmp_path / "secret.txt")
    write_report(medbench.load_runs(runs), tmp_path / "site")
    assert (tmp_path / "secret.txt").read_text() == "precious" and not index.is_symlink()


def test_a_folder_that_cannot_be_written(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run_command(runs, "--out", tmp_path / "file" / "site")
    assert result.exit_code == 1 and "cannot be written" in result.output and "Traceback" not in result.output


def test_a_folder_with_other_files_is_left_alone(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    result = run_command(runs, "--out", tmp_path)
    assert result.exit_code == 2 and "is not empty and is not a report" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    result = run_command(runs, "--out", tmp_path / "thesis.tex")
    assert result.exit_code == 2 and "is a file" in result.output


def test_no_runs(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    result = run_command(tmp_path / "runs", "--out", tmp_path / "site")
    assert result.exit_code == 2 and "there are no runs with answers" in result.output
    assert not (tmp_path / "site").exists()
    with pytest.raises(UsageError):
        write_report([], tmp_path / "site")


def test_what_cannot_be_read_is_named_and_the_rest_is_shown(runs: Path, tmp_path: Path) -> None:
    copy = tmp_path / "runs"
    shutil.copytree(runs, copy)
    (broken,) = copy.glob("beta__quiz__*")
    (broken / "manifest.json").write_text("{")
    result = run_command(copy, "--out", tmp_path / "site")
    assert result.exit_code == 1 and "Not shown" in result.stderr and "beta__quiz" in result.stderr
    index = pages(tmp_path / "site")["index.html"].text
    assert "beta__quiz" in index and "3 runs" in index


def test_python_and_the_command_write_the_same(runs: Path, tmp_path: Path) -> None:
    run_command(runs, "--out", tmp_path / "one")
    medbench.write_report(medbench.load_runs(runs), tmp_path / "two")
    of_one, of_two = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.js")}
        for name in ("one", "two")
    )
    assert of_one == of_two and len(of_one) > 3


def test_licenses_of_the_libraries_are_in_the_report(runs: Path, tmp_path: Path) -> None:
    write_report(medbench.load_runs(runs), tmp_path / "site")
    libraries = {path.name.removesuffix(".min.js") for path in (tmp_path / "site" / "assets").glob("*.min.js")}
    licenses = {path.name.removeprefix("LICENSE-") for path in (tmp_path / "site" / "assets").glob("LICENSE-*")}
    assert libraries and libraries == licenses


def tables_of(html: str) -> list[list[str]]:
    """The rows of a page's tables, each the texts of its cells."""
    rows = re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)
    return [[re.sub(r"<[^>]*>", "", cell) for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row)] for row in rows]


def test_scores_are_counted_in_bins(tmp_path: Path) -> None:
    answers = {"1": "yes", "2": "no", "3": "yes or maybe", "4": "yes yes yes", "5": "yes"}
    made.make_run(tmp_path / "runs", answers, [*answers, "6"], metrics=("token_f1", "exact_match"))
    index = write_report(medbench.load_runs(tmp_path / "runs"), tmp_path / "site").index
    rows = tables_of(index.with_name("benchmark-1.html").read_text("utf-8"))
    # F1 with "yes": 1, 0, 1/2 (one of three words, recall 1), 1/2, 1; the sixth has no answer.
    f1 = [f"{at / 10:.3g} to {(at + 1) / 10:.3g}" for at in range(10)]
    expected = dict.fromkeys(f1, "0") | {"0 to 0.1": "1", "0.5 to 0.6": "2", "0.9 to 1": "2", "no answer": "1"}
    start = rows.index(["score", "tiny"])
    assert dict(rows[start + 1 : start + 12]) == expected
    start = rows.index(["score", "tiny"], start + 1)
    assert rows[start + 1 : start + 4] == [["0", "3"], ["1", "2"], ["no answer", "1"]]


def test_calibration_has_the_bins_of_ece(tmp_path: Path) -> None:
    ids = [f"{at:02}" for at in range(40)]
    about = made.manifest(ids, metrics=("accuracy", "ece"), method="logprob")
    with RunWriter(tmp_path / "runs", about) as writer:
        writer.append(
            Record(
                Item(item_id, "Which?", options=("first", "second"), labels=("A", "B"), gold=at % 3 and 1),
                Output(item_id, prompt="Which?", logprobs=(-(at % 8) / 4 - 0.1, -0.5)),
            )
            for at, item_id in enumerate(ids)
        )
    runs = medbench.load_runs(tmp_path / "runs")
    index = write_report(runs, tmp_path / "site").index
    rows = tables_of(index.with_name("benchmark-1.html").read_text("utf-8"))
    start = rows.index(["model", "mean confidence", "right", "answers"])
    own = [row[1:] for row in rows[start + 1 :] if row[0] == "1. tiny"]
    bins = [(float(confidence), float(right.split()[0]), int(answers)) for confidence, right, answers in own]
    assert len(bins) > 2 and sum(answers for *_, answers in bins) == 40
    error = sum(answers / 40 * abs(right - confidence) for confidence, right, answers in bins)
    frame = runs.frame("ece")
    assert error == pytest.approx(frame[frame["metric"] == "ece"]["value"].item(), abs=0.001)
    assert ">ece: confidence in the chosen option</h3>" in index.with_name("benchmark-1.html").read_text("utf-8")
    metrics = received(index.parent / "data" / "items-1" / "index.js")["metrics"]
    assert [metric["label"] for metric in metrics] == ["accuracy", "ece: confidence in the chosen option"]
    (chart,) = (each for name, each in received(index.parent / "data" / "charts-1.js").items() if name == "calibration")
    assert len(chart["layer"][1]["data"]["values"]) == len(bins)


def test_chosen_options_beside_right_ones(tmp_path: Path) -> None:
    options = ("first", "second")
    with RunWriter(tmp_path / "runs", made.manifest(["1", "2", "3", "4"], metrics=("accuracy",))) as writer:
        writer.append(
            Record(
                Item(item_id, "Which?", options=options, labels=("A", "B"), gold=gold),
                Output(item_id, prompt="Which?", text=text, finish="stop"),
            )
            for item_id, gold, text in zip("1234", (0, 1, 1, 1), ("Answer: A", "Answer: A", "Answer: B", "who knows"))
        )
    index = write_report(medbench.load_runs(tmp_path / "runs"), tmp_path / "site").index
    rows = tables_of(index.with_name("benchmark-1.html").read_text("utf-8"))
    start = rows.index(["option", "right answers", "tiny"])
    assert [row[:2] for row in rows[start + 1 : start + 3]] == [["A", "0.250"], ["B", "0.750"]]
    assert rows[start + 1][2].startswith("0.667 [") and rows[start + 2][2].startswith("0.333 [")
    assert rows[start + 3] == ["not read", "", "1"]
    chart = received(index.parent / "data" / "charts-1.js")["positions"]
    assert [row["share"] for row in chart["data"]["values"]] == pytest.approx([1 / 4, 3 / 4, 2 / 3, 1 / 3])


def choosing(root: Path, chosen: Mapping[tuple[str, str], str], sample: bool = False) -> None:
    """Write runs that used 1 GB. `chosen`: the letters, by model and benchmark."""
    for (model, benchmark), letters in chosen.items():
        ids = [f"{at:02}" for at in range(len(letters))]
        metrics = ("accuracy", "peak_rss_bytes")
        about = made.manifest(ids, model=model, benchmark=benchmark, metrics=metrics, sample=sample)
        with RunWriter(root, about) as writer:
            writer.append(
                Record(
                    Item(item_id, "Which?", options=("first", "second"), labels=("A", "B"), gold=at % 2),
                    Output(item_id, prompt="Which?", text=f"Answer: {letter}", finish="stop"),
                )
                for at, (item_id, letter) in enumerate(zip(ids, letters, strict=True))
            )
            session = {"started": "2026-01-01T00:00:00+00:00", "items": 12, "seconds": 9, "peak_rss_bytes": 10**9}
            writer.update(sessions=(Session.from_json(session),))


def test_a_model_that_always_chooses_one_option_is_named(tmp_path: Path) -> None:
    choosing(tmp_path / "runs", {("stuck", "quiz"): "A" * 12, ("fair", "quiz"): "AB" * 6})
    text = write_report(medbench.load_runs(tmp_path / "runs"), tmp_path / "site").index.read_text("utf-8")
    assert "⚠ stuck chooses A in 100% of its 12 answers read for" in text and "its accuracy says little." in text
    assert "fair chooses" not in text


def trained(folder: Path, word: Callable[[str], str] = str) -> Path:
    """The folder of a finished training. `word` makes each of its texts."""
    recipe = {"stages": [{"name": word("sft"), "learning_rate": 0.001, "why": {"learning_rate": word("because")}}]}
    stages = [{"name": word("sft"), "steps": 2, "eval_loss_before": 3.0, "eval_loss_after": 2.5}]
    about = AdapterManifest(
        word("tiny"), word("tag"), "lora", "done", {}, {"weights": word("weights")}, recipe, stages=stages, hash="beef"
    )
    adapter_manifest.write(folder, about)
    lines = [
        {"step": 0, "eval_loss": 3.0},
        {"step": 1, "loss": 4.0},
        {"step": 2, "loss": 2.0},
        {"step": 2, "eval_loss": 2.5},
    ]
    lines.append({"step": 3, "loss": float("nan")})
    (folder / "log.jsonl").write_text("\n".join(json.dumps({"stage": word("sft")} | line) for line in lines))
    return folder


def test_the_training_of_an_adapter_is_on_its_page(tmp_path: Path) -> None:
    adapter = trained(tmp_path / "adapters")
    for hashed, known in (("beef", True), ("dead", False)):  # of a later training in the same folder
        plain = made.manifest(["1"], metrics=("token_f1",))
        about = dataclasses.replace(
            plain, model=dataclasses.replace(plain.model, adapter=str(adapter), adapter_hash=hashed)
        )
        with RunWriter(tmp_path / hashed, about) as writer:
            writer.append([made.record("1", "yes")])
        index = write_report(medbench.load_runs(tmp_path / hashed), tmp_path / f"site-{hashed}").index
        text = index.with_name("run-1-1.html").read_text("utf-8")
        assert ("sft: held-out loss 3.000 before, 2.500 after 2 steps." in text) == known
        assert (["learning_rate", "0.001", "because"] in tables_of(text)) == known
        assert (index.parent / "data" / "run-1-1.js").exists() == known
    points = received(tmp_path / "site-beef" / "data" / "run-1-1.js")["training"]["data"]["values"]
    assert [(row["curve"], row["step"], row["loss"]) for row in points] == [
        *[("loss, each step", 1, 4), ("loss, each step", 2, 2)],
        *[("loss, running mean", 1, 4), ("loss, running mean", 2, 3)],
        *[("held-out loss", 0, 3), ("held-out loss", 2, 2.5)],
    ]


def test_answers_to_permuted_options_have_their_own(tmp_path: Path) -> None:
    about = made.manifest(["1"], metrics=("accuracy",), samples=2)
    with RunWriter(tmp_path / "runs", about) as writer:
        for sample, options in enumerate((("first", "second"), ("second", "first"))):
            item = Item("1", "Which?", options=options, labels=("A", "B"), gold=options.index("first"))
            writer.append([Record(item, Output("1", prompt="Which?", text="A", finish="stop", sample=sample))])
    index = write_report(medbench.load_runs(tmp_path / "runs"), tmp_path / "site").index
    (shown,) = received(index.parent / "data" / "items-1" / "0.js")
    (answers,) = shown["answers"]
    assert shown["item"]["options"] == ["first", "second"] and "options" not in answers[0]
    assert (answers[1]["options"], answers[1]["gold"]) == (["second", "first"], 1)
    assert [answer["scores"][0][0] for answer in answers] == [1, 0]
    assert received(index.parent / "data" / "items-1" / "index.js")["values"][0] == [[0.5]]


def test_more_models_than_colors(tmp_path: Path) -> None:
    for at in range(8):
        made.make_run(tmp_path / "runs", {"1": "yes", "2": "no"}, model=f"model{at}", metrics=("token_f1",))
    index = write_report(medbench.load_runs(tmp_path / "runs"), tmp_path / "site").index
    charts = received(index.parent / "data" / "charts-1.js")
    models = {row["model"] for row in charts["distribution-0"]["data"]["values"]}
    assert len(models) == len(charts["distribution-0"]["encoding"]["color"]["scale"]["range"]) == 6
    page = index.with_name("benchmark-1.html").read_text("utf-8")
    assert "The charts show the first 6 models" in page
    assert len(tables_of(page)[tables_of(page).index(["score", *(f"model{at}" for at in range(8))])]) == 9


def test_subjects_are_rows_and_models_are_columns(chromium: Any, tmp_path: Path) -> None:
    """A benchmark may have dozens of subjects. 2 of 3 answers about the heart are right, and 1 of 1 about the lung."""
    subjects = ["heart", "heart", "heart", "lung"]
    for model, chosen in (("one", "AABA"), ("two", "BBBB")):
        ids = [str(at) for at in range(4)]
        with RunWriter(tmp_path / "runs", made.manifest(ids, model=model, metrics=("accuracy",))) as writer:
            writer.append(
                Record(
                    Item(
                        item_id, "Which?", options=("a", "b"), labels=("A", "B"), gold=0, meta={"subject": subjects[at]}
                    ),
                    Output(item_id, prompt="Which?", text=f"Answer: {chosen[at]}", finish="stop"),
                )
                for at, item_id in enumerate(ids)
            )
    site = write_report(medbench.load_runs(tmp_path / "runs"), tmp_path / "site").index.parent
    rows = tables_of((site / "benchmark-1.html").read_text("utf-8"))
    assert ["subject", "n", "one", "two"] in rows
    assert [[row[0], row[1], row[2][:5], row[3][:5]] for row in rows if row[0] in subjects] == [
        ["heart", "3", "0.667", "0.000"],
        ["lung", "1", "1.000", "0.000"],
    ]
    show(chromium, site / "benchmark-1.html")
    until(lambda: found(chromium, "[data-table='benchmark-1-subjects'] .tabulator-row"))
    field = found(chromium, "[data-table='benchmark-1-subjects'] input")[1]
    field.send_keys("2")
    until(lambda: texts(chromium, "[data-table='benchmark-1-subjects'] .count") == ["1 of 2 subjects meet the limits."])
    assert complaints(chromium) == []


def test_the_page_of_a_run_has_its_manifest_and_its_leaks(tmp_path: Path) -> None:
    plain = made.manifest(["1", "2"], metrics=("token_f1",))
    about = dataclasses.replace(
        plain,
        environment={"hardware": {"cpu": "a processor"}},
        command=("medbench", "run", "--seed", "3"),
        model=dataclasses.replace(plain.model, leaked=("2",), missing=frozenset()),
    )
    failed = {"failures": {"2": "the server said no"}}
    with RunWriter(tmp_path / "runs", about) as writer:
        writer.append([made.record("1", "yes")])
        writer.update(sessions=(Session.from_json({"started": "2026-01-01T00:00:00+00:00"} | failed),))
    index = write_report(medbench.load_runs(tmp_path / "runs"), tmp_path / "site").index
    text = index.with_name("run-1-1.html").read_text("utf-8")
    rows = tables_of(text)
    assert ["token_f1", "1.000", "1 of 2"] in rows, "a figure, its value and its n"
    for row in (
        ["hardware.cpu", "a processor"],
        ["command", "medbench run --seed 3"],
        ["2", "the server said no"],
        ["model.revision", "0123456789abcdef"],
    ):
        assert row in rows, row
    assert "1 of 2 items were found in the model" in text and '<p class="text">2</p>' in text


def test_pages_name_files_without_the_folders_of_this_machine(tmp_path: Path) -> None:
    plain = made.manifest(
        ["1", "2"], metrics=("token_f1",), settings={"items_file": "/home/me/study/ids.txt"}, n_total=9
    )
    about = dataclasses.replace(
        plain,
        model=dataclasses.replace(
            plain.model, location="/home/me/my answers/strong", source="answers saved in /home/me/my answers/strong"
        ),
        engine={"files": ["/home/me/my answers/strong/quiz.jsonl", "/home/me/b.jsonl"], "stop": ["\n", "a, b"]},
        benchmark=dataclasses.replace(plain.benchmark, origin="/home/me/data/quiz.jsonl"),
        command=("medbench", "run", "--data", "/home/me/data", "-m", "replay:/home/me/strong", "--out", "a/b"),
    )
    failed = {"failures": {"2": "no such file: '/home/me/.cache/weights.bin' (see https://example.org/home/me)"}}
    with RunWriter(tmp_path / "runs", about) as writer:
        writer.append([made.record("1", "yes")])
        writer.update(sessions=(Session.from_json({"started": "2026-01-01T00:00:00+00:00"} | failed),))
    site = write_report(medbench.load_runs(tmp_path / "runs"), tmp_path / "site").index.parent
    rows = [[*map(html.unescape, row)] for row in tables_of((site / "run-1-1.html").read_text("utf-8"))]
    for row in (
        ["location", "strong"],
        ["source", "answers saved in strong"],
        ["files", "quiz.jsonl, b.jsonl"],
        ["stop", '["\\n", "a, b"]'],
        ["origin", "quiz.jsonl"],
        ["command", "medbench run --data data -m replay:strong --out a/b"],
        ["2", "no such file: 'weights.bin' (see https://example.org/home/me)"],
    ):
        assert row in rows, row
    for path in site.rglob("*"):
        if path.suffix in (".html", ".js") and path.parent.name != "assets":
            assert "home/me/" not in path.read_text("utf-8") and str(tmp_path) not in path.read_text("utf-8"), path


# Of each model: right answers of 30, parameters, peak memory in bytes, seconds of a request
PRICED = {
    "small": (14, 135_000_000, 900_000_000, 0.2),
    "middle": (19, 1_200_000_000, 2_600_000_000, 0.9),
    "clumsy": (17, 1_500_000_000, 3_400_000_000, 1.4),
    "large": (24, 7_000_000_000, 14_000_000_000, 3.1),
    "served": (26, None, None, 2.0),
}


@pytest.fixture(scope="module")
def priced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on models with different costs. Those of a server's memory are unknown."""
    root = tmp_path_factory.mktemp("priced")
    metrics = ("token_f1", "peak_rss_bytes", "latency_p50_s")
    for benchmark in ("exam", "quiz"):
        for model, (right, parameters, memory, seconds) in PRICED.items():
            plain = made.manifest([f"{at:03}" for at in range(30)], model=model, benchmark=benchmark, metrics=metrics)
            about = dataclasses.replace(plain, engine={"parameters": parameters} if parameters else {})
            session = {"started": "2026-01-01T00:00:00+00:00", "items": 30, "seconds": 9, "peak_rss_bytes": memory}
            with RunWriter(root / "runs", about) as writer:
                writer.append(made.record(f"{at:03}", "yes" if at < right else "no") for at in range(30))
                times = RequestTimes.from_json({"seconds": [seconds] * 3})
                writer.update(sessions=(Session.from_json(session),), latency=times)
    return write_report(medbench.load_runs(root / "runs"), root / "site").index.parent


def test_qualities_and_costs_of_each_model(priced: Path) -> None:
    (found,) = received(priced / "data" / "tradeoffs.js")
    assert [each["name"] for each in found["qualities"]] == ["mean ↑", "exam ↑", "quiz ↑"]
    assert [(each["name"], each["unit"]) for each in found["costs"]] == [
        ("latency p50 ↓", "s"),
        ("peak RSS ↓", "GB"),
        ("parameters", "M"),
    ]
    models = {model["name"]: model for model in found["models"]}
    for name, (right, parameters, memory, seconds) in PRICED.items():
        assert [each["value"] for each in models[name]["qualities"]] == pytest.approx([right / 30] * 3)
        costs = [each and each["value"] for each in models[name]["costs"]]
        assert costs == [seconds, memory and memory / 1e9, parameters and parameters / 1e6]
    assert [each and each["text"] for each in models["middle"]["costs"]] == ["0.9 s", "2.60 GB", "1.20 B"]


def test_the_page_opens_on_what_most_models_have_and_carries_doubts(tmp_path: Path) -> None:
    right, stuck = "AB" * 6, "A" * 12
    chosen = {("fair", "alone"): right, ("fair", "exam"): right, ("stuck", "exam"): stuck, ("stuck", "quiz"): stuck}
    choosing(tmp_path / "runs", chosen)
    site = write_report(medbench.load_runs(tmp_path / "runs"), tmp_path / "site").index.parent
    (found,) = received(site / "data" / "tradeoffs.js")
    names = [each["name"] for each in found["qualities"]]
    assert names == ["exam ↑", "alone ↑", "quiz ↑"], "and no mean, which no model has"
    doubts = {
        model["name"]: {
            name: quality["doubts"]
            for name, quality in zip(names, model["qualities"], strict=True)
            if quality and "doubts" in quality
        }
        for model in found["models"]
    }
    one_sided = "stuck chooses A in 100% of its 12 answers read for {} · 12 items · generated · 0-shot: "
    one_sided += "its accuracy says little."
    chance = "its accuracy is not shown to be above chance on {} (0.500)."
    assert doubts["fair"] == {}
    assert doubts["stuck"] == {f"{name} ↑": [one_sided.format(name), chance.format(name)] for name in ("exam", "quiz")}
    assert "chance" not in (site / "index.html").read_text(), "models that guess are common: only the advice says it"


@pytest.mark.parametrize(("complete", "first"), [(1, "exam ↑"), (2, "mean ↑")])
def test_the_page_opens_on_the_mean_if_most_models_have_one(complete: int, first: str, tmp_path: Path) -> None:
    """All three models have exam; those that have quiz too have a mean."""
    models = ("one", "two", "three")
    chosen = {(model, "exam"): "AB" * 6 for model in models}
    choosing(tmp_path / "runs", chosen | {(model, "quiz"): "AB" * 6 for model in models[:complete]})
    site = write_report(medbench.load_runs(tmp_path / "runs"), tmp_path / "site").index.parent
    (found,) = received(site / "data" / "tradeoffs.js")
    assert found["qualities"][0]["name"] == first


def test_doubts_about_samples_are_not_about_a_mean_of_real_benchmarks(tmp_path: Path) -> None:
    right, stuck = "AB" * 6, "A" * 12
    real = {(model, benchmark): right for model in ("fair", "stuck") for benchmark in ("exam", "quiz")}
    choosing(tmp_path / "runs", real)
    choosing(tmp_path / "runs", {("stuck", "drill"): stuck}, sample=True)
    site = write_report(medbench.load_runs(tmp_path / "runs"), tmp_path / "site").index.parent
    assert "drill" not in (site / "data" / "tradeoffs.js").read_text("utf-8")
    assert "Not on this page (samples): stuck" in (site / "tradeoffs.html").read_text("utf-8")


def test_nothing_to_trade_off_is_no_page(runs: Path, tmp_path: Path) -> None:
    index = write_report(medbench.load_runs(runs), tmp_path / "site").index  # no run has a cost
    assert not index.with_name("tradeoffs.html").exists() and "Trade-offs" not in index.read_text("utf-8")


def test_the_trade_offs_name_the_models_that_they_leave_out(tmp_path: Path) -> None:
    """Saved answers have no cost; the samples of a model that ran here have."""
    for model, benchmark, about in (
        ("saved", "exam", {}),
        ("also-saved", "exam", {}),
        ("small", "drill", {"sample": True}),
        ("large", "drill", {"sample": True}),
    ):
        session = Session.from_json({"started": "2026-01-01T00:00:00+00:00", "items": 8, "peak_rss_bytes": 10**9})
        metrics = ("token_f1", "peak_rss_bytes") if about else ("token_f1",)
        answers, sessions = {f"{at}": "yes" for at in range(8)}, (session,) if about else ()
        made.make_run(
            tmp_path / "runs", answers, sessions=sessions, model=model, benchmark=benchmark, metrics=metrics, **about
        )
    site = write_report(medbench.load_runs(tmp_path / "runs"), tmp_path / "site").index.parent
    (found,) = received(site / "data" / "tradeoffs.js")
    assert (found["name"], found["sample"]) == ("Samples", True)
    assert found["qualities"][0]["about"] == "token_f1 of drill, 8 items"
    text = pages(site)["tradeoffs.html"].text
    assert "Not on this page (benchmarks): also-saved, saved, because none of their costs is known." in text


# --- hostile texts


@pytest.mark.parametrize("text", [BREAKOUT, "\ud800", "\x00\x1b[2J", "", "é\U0001f600"])
def test_a_script_is_ascii_and_gives_the_text_as_it_is_shown(text: str, tmp_path: Path) -> None:
    from medbench.core.text import printable

    made_script = script("n", {"__proto__": [text, {"x": text}]})
    assert made_script.isascii() and not set("<>&") & set(made_script) and made_script.count("\n") == 1
    (tmp_path / "data.js").write_text(made_script)
    assert received(tmp_path / "data.js") == {"__proto__": [printable(text), {"x": printable(text)}]}


def test_no_text_becomes_a_tag_or_an_address(tmp_path: Path) -> None:
    for model, answers in (("model-a", "110"), ("model-b", "010")):
        hostile_run(tmp_path / "runs", model, answers)
    made.make_run(tmp_path / "plain", {"1": "yes"}, metrics=("token_f1",))
    write_report(medbench.load_runs(tmp_path / "runs"), tmp_path / "site", title=hostile("title"))
    write_report(medbench.load_runs(tmp_path / "plain"), tmp_path / "harmless")
    harmless = pages(tmp_path / "harmless")
    allowed = {tag for page in harmless.values() for tag in page.tags} | {"ul", "li"}
    for name, page in pages(tmp_path / "site").items():
        assert set(page.tags) <= allowed, name
        assert page.handlers == [] and page.tags.count("meta") == harmless["index.html"].tags.count("meta")
        for address in page.addresses:
            assert re.fullmatch(r"#?[\w./-]+", address), address
        assert "title-field" in page.text
    for path in (tmp_path / "site").rglob("*"):
        assert re.fullmatch(r"[A-Za-z0-9._-]+", path.name), path
    for path in (tmp_path / "site" / "data").rglob("*.js"):
        received(path)


def test_scripts_set_texts_and_never_html() -> None:
    folder = Path(medbench.__file__).parent / "report" / "assets"
    scripts = sorted(folder.glob("*.js"))
    assert scripts
    for path in scripts:
        text = path.read_text(encoding="utf-8")
        for way in ("innerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "srcdoc"):
            assert way not in text, f"{path.name}: {way}"


# --- in a browser


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    yield from browser.started(tmp_path_factory)


@pytest.fixture(scope="module")
def site(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(medbench.load_runs(runs), tmp_path_factory.mktemp("report") / "site").index.parent


@pytest.fixture(scope="module")
def hostile_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile")
    for model, answers in (("model-a", "110"), ("model-b", "010")):
        hostile_run(root / "runs", model, answers)
    plain = made.manifest(
        ["1"], model=hostile("chooser"), benchmark="choices", metrics=("accuracy", "ece"), method="logprob"
    )
    options = hostile("option"), "other"
    with RunWriter(root / "runs", plain) as writer:  # for the calibration curve
        item = Item("1", "Which?", options=options, labels=(hostile("label"), "B"), gold=0)
        writer.append([Record(item, Output("1", prompt="Which?", logprobs=(-0.1, -2.0)))])
    return write_report(medbench.load_runs(root / "runs"), root / "site", title=hostile("title")).index.parent


SUMMARY = "[data-table='summary-0']"


def models(driver: Any) -> list[str]:
    """The models of the summary, as they are ordered."""
    return texts(driver, f"{SUMMARY} .tabulator-row .tabulator-cell[tabulator-field='c0']")


def test_the_summary_sorts_and_filters_by_keyboard(chromium: Any, site: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    show(chromium, site / "index.html")
    assert until(lambda: models(chromium)) == ["alpha", "beta"]
    cells = texts(chromium, f"{SUMMARY} .tabulator-row .tabulator-cell[tabulator-field='c2']")
    assert [cell[-1] for cell in cells] == ["★", "▼"]
    heading = found(chromium, f"{SUMMARY} .tabulator-col[tabulator-field='c2']")[0]
    heading.send_keys(Keys.ENTER)
    until(lambda: heading.get_attribute("aria-sort") == "descending")
    heading.send_keys(Keys.ENTER)
    until(lambda: models(chromium) == ["beta", "alpha"])
    limit = found(chromium, f"{SUMMARY} .tabulator-col[tabulator-field='c2'] input")[0]
    assert limit.get_attribute("placeholder") == "at least"
    limit.send_keys("0.5")
    until(lambda: models(chromium) == ["alpha"])
    assert "1 of 2 models meet the limits." in texts(chromium, f"{SUMMARY} .count")
    limit.send_keys(Keys.CONTROL, "a", Keys.NULL, Keys.BACKSPACE)
    until(lambda: models(chromium) == ["beta", "alpha"])
    found(chromium, f"{SUMMARY} .tabulator-col[tabulator-field='c0'] input")[0].send_keys("ALPH")
    until(lambda: models(chromium) == ["alpha"])
    assert complaints(chromium) == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def test_every_page_fits_the_screen_and_can_be_read(
    chromium: Any, site: Path, priced: Path, width: int, scheme: str
) -> None:
    for page in (*sorted(site.glob("*.html")), priced / "tradeoffs.html"):
        show(chromium, page, width, scheme)
        until(lambda: texts(chromium, "main")[0])
        wide = chromium.execute_script("return document.documentElement.scrollWidth")
        assert wide <= width, page.name
        low = chromium.execute_script(CONTRAST)
        assert low == [], page.name
        assert complaints(chromium) == []


def test_long_model_names_fit_and_break_only_after_signs(chromium: Any, priced: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    shutil.copytree(priced, site)
    path = site / "data" / "tables.js"
    tables = received(path)
    for row in tables["summary-0"]["rows"]:
        row[0]["text"] = "replay:ward-assistant"
    path.write_text(script("tables", tables))
    show(chromium, site / "index.html")
    until(lambda: models(chromium) == ["replay:ward-assistant"] * 5)
    holder = found(chromium, f"{SUMMARY} .tabulator-tableholder")[0]
    assert chromium.execute_script("return arguments[0].scrollWidth - arguments[0].clientWidth", holder) <= 0
    (first, *_) = found(chromium, f"{SUMMARY} .tabulator-row .interval")
    assert first.value_of_css_property("display") == "block" and first.text.startswith("[")
    (shown,) = received(site / "data" / "tradeoffs.js")
    for model in shown["models"]:
        model["name"] = f"{model['name']}:ward-assistant-of-the-hospital"
    (site / "data" / "tradeoffs.js").write_text(script("tradeoffs", [shown]))
    show(chromium, site / "tradeoffs.html", 390)
    until(lambda: found(chromium, "#chart[data-drawn] svg"))
    assert chromium.execute_script("return document.documentElement.scrollWidth") <= 390
    assert complaints(chromium) == []


BROKEN_WORDS = r"""
const broken = [];
for (const heading of document.querySelectorAll("th, .tabulator-col-title")) {
  const walker = document.createTreeWalker(heading, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  let before = null; // the letter or digit before this one, without anything between
  while (walker.nextNode()) for (let at = 0; at < walker.currentNode.length; at++) {
    const sign = walker.currentNode.data[at];
    range.setStart(walker.currentNode, at);
    range.setEnd(walker.currentNode, at + 1);
    const { top, bottom, width } = range.getBoundingClientRect();
    const letter = /[\p{L}\p{N}]/u.test(sign);
    if (letter && width && before !== null && top > before - 2) broken.push(heading.textContent);
    before = letter && width ? bottom : null;
  }
}
return broken;
"""


@pytest.mark.parametrize("width", [320, 700, 1280])
def test_headings_never_break_inside_a_word(chromium: Any, site: Path, tmp_path: Path, width: int) -> None:
    shutil.copytree(site, tmp_path / "site")
    path = tmp_path / "site" / "data" / "tables.js"
    tables = received(path)
    for table in tables.values():
        table["columns"][0]["title"] = "throughput_tokens_per_s ↑"
        table["columns"][-1]["title"] = "accuracy[gastroenterology] ↑"
    path.write_text(script("tables", tables))
    for page in sorted((tmp_path / "site").glob("*.html")):
        show(chromium, page, width)
        until(lambda: texts(chromium, "main")[0])
        assert chromium.execute_script(BROKEN_WORDS) == [], page.name


def test_a_measured_figure_has_the_same_name_in_every_table(priced: Path) -> None:
    told = {page: (priced / page).read_text("utf-8") for page in ("index.html", "benchmark-1.html", "run-1-1.html")}
    for page, text in told.items():
        assert "peak RSS" in text and "latency p50" in text, page
        figures = text.split("Training data")[0]  # below, the page of a run has the names in its manifest
        assert "peak_rss_bytes" not in figures and "latency_p50_s" not in figures, page


def test_a_table_ends_with_its_last_column(chromium: Any, site: Path) -> None:
    show(chromium, site / "index.html", 1900)
    until(lambda: models(chromium))
    (table,) = found(chromium, f"{SUMMARY} .tabulator")
    columns = found(chromium, f"{SUMMARY} .tabulator-col")
    last = max(column.rect["x"] + column.rect["width"] for column in columns)
    assert abs(table.rect["x"] + table.rect["width"] - last) < 5


def test_a_long_id_is_cut_in_the_middle(chromium: Any, tmp_path: Path) -> None:
    names = ("3_GHR_QA/0000140/3", "3_GHR_QA/0000147/3", "short")
    made.make_run(tmp_path / "runs", dict.fromkeys(names, "yes"), metrics=("token_f1",))
    index = write_report(medbench.load_runs(tmp_path / "runs"), tmp_path / "site").index
    show(chromium, index.with_name("items-1.html"))
    listed = "#list .tabulator-row a"
    until(lambda: found(chromium, listed))
    assert texts(chromium, listed) == ["3_GHR…0000140/3", "3_GHR…0000147/3", "short"]
    assert [link.get_attribute("title") for link in found(chromium, listed)] == [*names]


def test_trade_offs_within_limits(chromium: Any, priced: Path) -> None:
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.select import Select

    def standing() -> dict[str, str]:
        rows = found(chromium, "#table tr")[1:]
        cells = [[cell.text for cell in row.find_elements("css selector", "td")] for row in rows]
        return {model: place for place, model, *_ in cells}

    front, within, beyond, unknown = "on the front", "within the limits", "beyond the limits", "unknown"
    show(chromium, priced / "tradeoffs.html")
    until(lambda: found(chromium, "#chart[data-drawn] svg"))
    assert standing() == {"served": front, "large": within, "middle": front, "clumsy": within, "small": front}
    assert (
        texts(chromium, "#best p")[0]
        == "Take served (float32): mean 0.867 [0.772, 0.937], the best mean of the 5 models."
    )
    points = [point.get_attribute("aria-label") for point in found(chromium, "#chart .mark-symbol.role-mark path")]
    assert len(points) == 5 and any("small (float32): mean 0.467" in label and front in label for label in points)
    Select(found(chromium, "#cost")[0]).select_by_visible_text("peak RSS ↓ (GB)")
    until(lambda: standing()["large"] == front)
    assert standing() == {"served": unknown, "large": front, "middle": front, "clumsy": within, "small": front}
    assert (
        "Its peak RSS is unknown. The best model with a known peak RSS: large (float32)" in texts(chromium, "#best")[0]
    )
    assert texts(chromium, "#empty") == ["Not in the chart, because peak RSS is unknown: served (float32)."]
    memory = found(chromium, ".limit input[type=number]")[1]
    memory.send_keys("2.6")
    until(lambda: "Take middle" in texts(chromium, "#best")[0])
    told = texts(chromium, "#best p")
    assert told[0].endswith("the best mean of the 2 models with peak RSS at most 2.6 GB.")
    assert told[1].startswith("May be as good, as the intervals overlap: small (float32): mean 0.467")
    assert told[1].endswith("peak RSS 900 MB, costs less.")
    assert told[2].startswith("Perhaps better, but not within the limits: large") and "peak RSS 14.00 GB" in told[2]
    assert told[3].startswith("Unknown whether within the limits: served (float32): mean 0.867")
    assert told[3].endswith("peak RSS unknown.")
    assert standing() == {"served": unknown, "large": beyond, "middle": front, "clumsy": beyond, "small": front}
    assert "2 of 5 models meet the limits." in texts(chromium, "#best")[0]
    slider = found(chromium, ".limit input[type=range]")[2]  # parameters
    slider.send_keys(Keys.HOME)
    until(lambda: texts(chromium, "#best")[0].startswith("No model is known to meet these limits: peak RSS at"))
    slider.send_keys(Keys.END)
    until(lambda: "2 of 5" in texts(chromium, "#best")[0])
    assert complaints(chromium) == []


def test_a_limit_on_safety(chromium: Any, priced: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    shutil.copytree(priced, site)
    shown = received(site / "data" / "tradeoffs.js")
    shown[0]["qualities"].append({"name": "safety ↑", "better": "higher", "kind": "safety"})
    safe = {"small": 0.97, "middle": 0.5, "clumsy": 0.91, "large": None, "served": 0.4}
    for model in shown[0]["models"]:
        value = safe[model["name"]]
        model["qualities"].append(
            value and {"value": value, "low": None, "high": None, "text": f"{value:.3f}", "status": ""}
        )
    (site / "data" / "tradeoffs.js").write_text(script("tradeoffs", shown))
    show(chromium, site / "tradeoffs.html")
    until(lambda: found(chromium, "#chart[data-drawn] svg"))
    field = found(chromium, ".limit input[type=number]")[-1]
    assert field.get_attribute("aria-label") == "safety: at least"
    field.send_keys("0.9")
    until(lambda: "Take clumsy" in texts(chromium, "#best")[0])
    why, _, beyond, perhaps, unknown, count = texts(chromium, "#best p")
    assert why.endswith("the best mean of the 2 models with safety at least 0.9.")
    assert beyond.startswith("Better, but") and "safety 0.400" in beyond and "large" not in beyond
    assert perhaps.startswith("Perhaps better, but") and "middle (float32)" in perhaps
    assert "large (float32): mean 0.800 " in unknown and unknown.endswith("safety unknown.")
    assert count.startswith("2 of 5 models")
    assert complaints(chromium) == []


def test_trade_offs_of_equal_values_and_of_unknown_costs(chromium: Any, priced: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    shutil.copytree(priced, site)
    (shown,) = received(site / "data" / "tradeoffs.js")

    def figure(value: float) -> dict[str, Any]:
        return {"value": value, "low": value - 0.1, "high": value + 0.1, "text": f"{value:.3f}", "status": ""}

    models = {model["name"]: model for model in shown["models"]}
    for name, value in {"large": 0.1481, "small": 0.1479, "middle": 0.14, "clumsy": 0.1, "served": 0.3}.items():
        models[name]["qualities"][0] = figure(value)
    models["served"]["costs"] = [None, None, None]
    models["clumsy"]["qualities"][0] = None
    (site / "data" / "tradeoffs.js").write_text(script("tradeoffs", [shown]))
    show(chromium, site / "tradeoffs.html")
    until(lambda: found(chromium, "#chart[data-drawn] svg"))
    rows = [text.split(" (")[0].split(" float32")[0] for text in texts(chromium, "#table tr")[1:]]
    assert rows == ["unknown served", "on the front small", "within the limits large", "within the limits middle"]
    take, none, same = texts(chromium, "#best p")
    assert take.startswith("Take served") and none.startswith("None of its costs is known (latency p50, peak RSS,")
    assert "The best model with a known latency p50: small" in none
    assert [name for name in ("small", "large", "middle") if f"{name} (float32): mean" in same] == [
        "small",
        "large",
        "middle",
    ]
    (missing,) = texts(chromium, "#empty")
    assert missing == (
        "Not in the chart, because latency p50 is unknown: served (float32). "
        "Not in the chart, because they have no mean: clumsy (float32)."
    )
    field = found(chromium, ".limit input[type=number]")[1]
    field.send_keys("20")
    until(lambda: "Take small" in texts(chromium, "#best")[0])
    assert "Better" not in texts(chromium, "#best")[0], "large has the same mean as shown"
    assert complaints(chromium) == []


def test_a_figure_that_only_one_model_has_is_compared_with_nothing(chromium: Any, priced: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    shutil.copytree(priced, site)
    (shown,) = received(site / "data" / "tradeoffs.js")
    for model in shown["models"]:
        if model["name"] != "small":
            model["qualities"][0] = None
    (site / "data" / "tradeoffs.js").write_text(script("tradeoffs", [shown]))
    show(chromium, site / "tradeoffs.html")
    until(lambda: found(chromium, "#chart[data-drawn] svg"))
    told = texts(chromium, "#best p")[0]
    assert told == "Only one model has this figure: small (float32), mean 0.467 [0.349, 0.608]."


def test_trade_offs_recommend_no_model_where_none_is_shown_to_be_better(
    chromium: Any, priced: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    shutil.copytree(priced, site)
    (shown,) = received(site / "data" / "tradeoffs.js")
    for model in shown["models"]:
        model["qualities"][0] = {"value": 0.125, "low": 0.02, "high": 0.47, "text": "0.125 [0.022, 0.471] ≈"}
        model["qualities"][0] |= {"status": "tied", "doubts": ["its accuracy is not shown to be above chance."]}
    shown["qualities"][0] |= {"name": "drill ↑", "about": "accuracy of drill, 8 items"}
    for sample in (False, True):
        (site / "data" / "tradeoffs.js").write_text(script("tradeoffs", [shown | {"sample": sample}]))
        show(chromium, site / "tradeoffs.html")
        until(lambda: found(chromium, "#chart[data-drawn] svg"))
        told = texts(chromium, "#best p")
        if sample:
            assert (
                told.pop(0) == "Samples show that everything works, not how good a model is: no model is recommended."
            )
        assert told[0] == (
            "No difference between the 5 models is shown (≈). All have drill 0.125. "
            "The lowest latency p50: small (float32), 0.2 s."
        )
        assert told[1] == "But its accuracy is not shown to be above chance."
        assert texts(chromium, "#about") == ["Benchmarks. drill: accuracy of drill, 8 items."]


@pytest.mark.parametrize("width", [1280, 390])
def test_labels_of_the_trade_offs_do_not_overlap(width: int, chromium: Any, priced: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    shutil.copytree(priced, site)
    (shown,) = received(site / "data" / "tradeoffs.js")
    for at, model in enumerate(shown["models"]):
        model["name"] = f"smollm2-135m@{at}"
        model["qualities"][0] = {"value": 0.125, "low": 0.02, "high": 0.47, "text": "0.125", "status": "tied"}
        model["costs"][0] = {"value": 1.5 + at / 20, "text": "1.5 s"}
    (site / "data" / "tradeoffs.js").write_text(script("tradeoffs", [shown]))
    show(chromium, site / "tradeoffs.html", width)
    until(lambda: found(chromium, "#chart[data-drawn] svg"))
    labels = [text.rect for text in found(chromium, "#chart .mark-text.role-mark text")]
    assert len(labels) == 5
    for a, b in itertools.combinations(labels, 2):
        beside = a["x"] + a["width"] <= b["x"] or b["x"] + b["width"] <= a["x"]
        assert beside or abs(a["y"] - b["y"]) >= 10, "one above the other, or side by side"


def test_charts_are_drawn_in_the_colors_of_the_page(chromium: Any, site: Path) -> None:
    show(chromium, site / "benchmark-1.html")
    until(lambda: found(chromium, ".chart[data-drawn] svg"))
    bars = found(chromium, ".chart svg .mark-rect.role-mark path")[:4]
    assert [bar.get_attribute("aria-label") for bar in bars] == [
        "bin: 0; items: 2; model: 1. alpha",
        "bin: 0; items: 18; model: 2. beta",
        "bin: 1; items: 28; model: 1. alpha",
        "bin: 1; items: 12; model: 2. beta",
    ]
    fill = "return getComputedStyle(document.querySelector('.chart .role-axis-label text')).fill"
    assert chromium.execute_script(fill) == "rgb(27, 31, 36)"
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    until(lambda: chromium.execute_script(fill) == "rgb(230, 234, 239)")
    assert complaints(chromium) == []


def test_answers_side_by_side_with_filters_and_search(chromium: Any, site: Path) -> None:
    from selenium.webdriver.support.select import Select

    pages_of_items = [path for path in site.glob("items-*.html") if "exam" in path.read_text("utf-8")]
    show(chromium, pages_of_items[0])
    status = lambda: texts(chromium, "#status")[0]  # noqa: E731
    until(lambda: status() == "30 items")
    options = texts(chromium, "#filter option")
    assert options == ["all items", "unscored for a model", "without an answer of a model", "models disagree"]
    Select(found(chromium, "#filter")[0]).select_by_visible_text("models disagree")
    until(lambda: status() == "16 of 30 items")  # 12 to 27: alpha is right, beta is not
    found(chromium, "#list .tabulator-row a")[0].click()
    until(lambda: texts(chromium, "#item h2") == ["Item 012"])
    alpha, beta = texts(chromium, "#item article")
    assert alpha.startswith("alpha") and "yes" in alpha and "token_f1 1" in alpha
    assert beta.startswith("beta") and "no" in beta and "token_f1 0" in beta
    left, right = found(chromium, "#item article")
    assert left.rect["y"] == right.rect["y"] and left.rect["x"] + left.rect["width"] <= right.rect["x"]
    found(chromium, "#item .steps button")[1].click()
    until(lambda: texts(chromium, "#item h2") == ["Item 013"])
    found(chromium, "#models input")[1].click()
    until(lambda: status() == "0 of 30 items" and len(found(chromium, "#item article")) == 1)
    Select(found(chromium, "#filter")[0]).select_by_visible_text("all items")
    found(chromium, "#search")[0].send_keys("question 02")
    until(lambda: status() == "10 of 30 items")
    found(chromium, "#search")[0].clear()
    found(chromium, "#search")[0].send_keys("Answer:")  # only in prompts
    until(lambda: status() == "0 of 30 items")
    found(chromium, "#everywhere")[0].click()
    until(lambda: status() == "30 items")
    assert complaints(chromium) == []


def test_right_and_wrong_options(chromium: Any, tmp_path: Path) -> None:
    from selenium.webdriver.support.select import Select

    root = tmp_path / "runs"
    for model, written in (("alpha", "AAB"), ("beta", "AB?")):
        about = made.manifest(["1", "2", "3"], model=model, metrics=("accuracy",))
        with RunWriter(root, about) as writer:
            writer.append(
                Record(
                    Item(item_id, "Which?", options=("first", "second"), labels=("A", "B"), gold=0),
                    Output(item_id, prompt="Which?", text=f"Answer: {letter}", finish="stop"),
                )
                for item_id, letter in zip("123", written, strict=True)
            )
    index = write_report(medbench.load_runs(root), tmp_path / "site").index
    show(chromium, index.with_name("items-1.html"), fragment="#item=1")
    until(lambda: texts(chromium, "#item h2") == ["Item 2"])
    assert texts(chromium, "#item .options li") == ["A. first ✓ right answer", "B. second"]
    for model, marks in (("m0", "✓✓✗"), ("m1", "✓✗✗")):
        cells = texts(chromium, f"#list .tabulator-row .tabulator-cell[tabulator-field='{model}']")
        assert "".join(cell[0] for cell in cells) == marks
    for name, items in (("wrong for a model", "2 3"), ("wrong for every model", "3"), ("models disagree", "2")):
        Select(found(chromium, "#filter")[0]).select_by_visible_text(name)
        until(lambda items=items: texts(chromium, "#list .tabulator-row a") == items.split())


def test_files_of_items_are_loaded_when_they_are_needed(chromium: Any, tmp_path: Path) -> None:
    made.make_run(tmp_path / "runs", {f"{at:04}": "yes" for at in range(1050)}, metrics=("token_f1",))
    index = write_report(medbench.load_runs(tmp_path / "runs"), tmp_path / "site").index
    data = index.parent / "data" / "items-1"
    assert len(list(data.glob("*.js"))) == 12
    shown = [item["item"]["id"] for number in range(11) for item in received(data / f"{number}.js")]
    assert shown == [f"{at:04}" for at in range(1050)]
    show(chromium, index.with_name("items-1.html"), fragment="#item=1049")
    until(lambda: texts(chromium, "#item h2") == ["Item 1049"])
    assert {Path(name).name for name in asked_for(chromium) if "/data/" in name} == {"index.js", "10.js"}
    assert len(found(chromium, "#list .tabulator-row")) < 100
    (data / "3.js").unlink()
    chromium.execute_script("location.hash = 'item=301'")
    until(lambda: "items-1/3.js could not be loaded" in texts(chromium, "#item")[0])
    for address, shown_id in (("item=401", "0401"), ("id=0007", "0007")):
        chromium.execute_script("location.hash = arguments[0]", address)
        until(lambda shown_id=shown_id: texts(chromium, "#item h2") == [f"Item {shown_id}"])
    for address in ("id=7", "id=%E0%A4%A", "item=1050"):
        chromium.execute_script("location.hash = arguments[0]", address)
        named = address.partition("=")[2]
        until(
            lambda named=named: texts(chromium, "#item") == [f"No item here is called {named}. The search finds ids."]
        )


CLICK = "for (const e of document.querySelectorAll(arguments[0])) { e.focus?.(); e.click?.(); }"


def test_hostile_texts_stay_texts(chromium: Any, hostile_site: Path) -> None:
    from medbench.core.text import printable

    for page in sorted(hostile_site.glob("*.html")):
        show(chromium, page)
        until(lambda: texts(chromium, "main")[0])
        charts = len(found(chromium, ".chart:not([hidden])"))
        until(lambda charts=charts: len(found(chromium, ".chart[data-drawn] svg")) == charts)
        assert chromium.execute_script("return window.pwned ?? null") is None, page.name
        assert complaints(chromium) == []
        assert chromium.execute_script("return document.querySelectorAll('iframe, img, base, main script').length") == 0
    (items,) = (path.name for path in hostile_site.glob("items-*.html") if "benchmark-field" in path.read_text("utf-8"))
    for at in range(3):
        show(chromium, hostile_site / items, fragment=f"#item={at}")
        until(lambda: texts(chromium, "#item article"))
        chromium.execute_script("for (const each of document.querySelectorAll('details')) each.open = true")
        page_text = texts(chromium, "#item")[0]
        fields = ("model-a", "model-b", "question", "context", "reference", "prompt", "reasoning", "answer", "meta")
        for field in (f"id{at}", *fields[: -2 if at == 2 else None]):
            assert " ".join(printable(hostile(field)).split()) in page_text, field
        chromium.execute_script(CLICK, "#item *, #list *, .choices *")
        assert chromium.execute_script("return window.pwned ?? null") is None
        assert complaints(chromium) == []
    show(chromium, hostile_site / "index.html")
    shown = until(lambda: models(chromium))
    assert {" ".join(printable(hostile(name)).split()) for name in ("model-a", "model-b", "chooser")} == set(shown)
    chromium.execute_script(CLICK, "main [data-table] *")
    assert complaints(chromium) == []
    assert chromium.execute_script("return window.pwned ?? null") is None
