"""Agreement with people on made-up grades, with the arithmetic written out, and the command on hand-made releases."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from click.testing import CliRunner, Result
from made import Read, Speed, loader
from medbench.benchmarks.sources.files import Source
from medbench.cli import cli
from medbench.core.errors import MedbenchError, UsageError
from medbench.core.types import Item, Output, Record, Score
from medbench.metrics.token_f1 import TOKEN_F1
from medbench.results.agreement import liveqa_grades
from medbench.results.agreement.liveqa_grades import GradedAnswers
from medbench.results.agreement.measure import INTERVALS, WORDS, Agreement, Estimate, MetricAgreement, line, measure
from medbench.results.agreement.stored_grades import draw, graded_at_least, store_grades
from medbench.results.agreement.tables import legend as legend_of
from medbench.results.agreement.tables import to_csv, to_json, to_markdown
from medbench.results.store import StoredRun
from servers import Asked, Server, says


def pair(question: str, number: int, value: float | str, grades: str) -> Record:
    """An answer whose text is the value that the metric `Read` gives it, and its grades by people."""
    name = f"{question}/{number}"
    item = Item(name, f"{question}?", references=("yes",), meta={"document": question, "grades": grades})
    return Record(item, Output(name, prompt=f"{question}?", text=str(value), finish="stop"))


def graded(*records: Record) -> GradedAnswers:
    return GradedAnswers("made-up", "1", "nobody", records, "here", levels=(1, 2, 3, 4), notes=("made up",))


# Question a: the metric's order is people's. b: the opposite. c: people see no difference. d: the metric sees none.
RECORDS = (
    *(pair("a", n, value, grade) for n, (value, grade) in enumerate([(0.1, "1"), (0.2, "2"), (0.3, "4")])),
    *(pair("b", n, value, grade) for n, (value, grade) in enumerate([(0.4, "3"), (0.5, "1")])),
    *(pair("c", n, value, grade) for n, (value, grade) in enumerate([(0.6, "2"), (0.7, "2")])),
    *(pair("d", n, value, grade) for n, (value, grade) in enumerate([(0.8, "1"), (0.8, "4")])),
)


def line_of(*records: Record, levels: tuple[int, ...] = ()) -> MetricAgreement:
    metric = Read(binary=False)
    return line(metric.name, metric.better, records, metric.score(records), levels)


class TestLine:
    def test_within_is_the_mean_over_the_questions_whose_grades_and_values_differ(self) -> None:
        # a: 1. b: -1. c and d: no grades or no values differ, so ρ is undefined and left out. (1 - 1)/2.
        found = line_of(*RECORDS).within
        assert (found.value, found.n) == (pytest.approx(0.0, abs=1e-15), 2)
        assert found.low == -1.0 and found.high == 1.0  # a drawn three times, b drawn three times
        without_b = line_of(*RECORDS[:3], *RECORDS[5:]).within
        assert (without_b.value, without_b.n) == (pytest.approx(1.0), 1)  # a alone: an undefined ρ is not 0

    def test_a_question_counts_once_however_many_answers_it_has(self) -> None:
        many = [pair("a", n, n, str(1 + n // 5)) for n in range(20)]
        found = line_of(*many, *RECORDS[3:5]).within  # twenty answers in order, two the other way round
        first = line_of(*many).within.value
        assert first is not None and first > 0.9
        assert found.value == pytest.approx((first - 1) / 2)

    def test_across_ranks_all_pairs_at_once(self) -> None:
        # Values have ranks 1 to 7 and 8.5, 8.5. Grades 1 (thrice), 2 (thrice), 3, 4 (twice): ranks 2, 5, 7, 8.5.
        # From the mean rank 5 the values are -4, -3, -2, -1, 0, 1, 2, 3.5, 3.5 and the grades -3, 0, 3.5, 2, -3, 0, 0,
        # -3, 3.5. Products: 12 - 7 - 2 - 10.5 + 12.25 = 4.75; squares 59.5 and 3·9 + 4 + 2·12.25 = 55.5.
        assert line_of(*RECORDS).across.value == pytest.approx(4.75 / (59.5 * 55.5) ** 0.5)

    def test_several_grades_count_with_their_mean_and_are_left_out_beside_it(self) -> None:
        records = (pair("a", 0, 1, "2"), pair("a", 1, 2, "1,4"), pair("a", 2, 3, "3"))
        found = line_of(*records)
        # Mean 2.5 lies between 2 and 3: the order is the metric's.
        assert (found.across.value, found.across.n) == (pytest.approx(1.0), 3)
        assert (found.across_one_grade.value, found.across_one_grade.n) == (pytest.approx(1.0), 2)
        assert line_of(records[1], pair("a", 3, 1, "3")).across.value == pytest.approx(-1.0)  # 2.5 lies below 3

    def test_unscored_pairs_are_left_out_and_counted(self) -> None:
        found = line_of(*RECORDS[:3], pair("a", 3, "?", "1"))
        assert (found.n, found.total, found.coverage) == (3, 4, 0.75)
        assert found.unscored == (("no number", 1),)
        assert found.across.value == pytest.approx(1.0)

    def test_a_constant_metric_has_no_order(self) -> None:
        found = line_of(pair("a", 0, 1, "2"), pair("a", 1, 1, "3"), pair("b", 0, 1, "1"), pair("b", 1, 1, "3"))
        assert found.across == Estimate(None, 4)
        assert found.within == Estimate(None, 0)

    def test_one_question_has_no_interval(self) -> None:
        found = line_of(*RECORDS[:3])
        assert (found.across.low, found.within.low) == (None, None)

    def test_kappa_is_over_pairs_with_one_grade_on_peoples_scale(self) -> None:
        # Judge 1, 3, 3 against people 1, 2, 4; steps² 0, 1, 1. By chance: judge 1 (once) and 3 (twice) against 1, 2, 4:
        # 0 + 1 + 9 + 2·(4 + 1 + 1) = 22 over 9 pairs. 1 - (2/3)/(22/9) = 1 - 6/22.
        records = (pair("a", 0, 1, "1"), pair("b", 0, 3, "2"), pair("c", 0, 3, "4"), pair("c", 1, 4, "1,2"))
        kappa = line_of(*records, levels=(1, 2, 3, 4)).kappa
        assert kappa is not None
        assert (kappa.value, kappa.n) == (pytest.approx(1 - 6 / 22), 3)
        assert line_of(*records).kappa is None


def test_on_the_real_grades_it_is_what_scipy_finds(real_data: Path) -> None:
    records = liveqa_grades.load(Source(real_data)).records
    scores = TOKEN_F1.score(records)
    found = line("token_f1", "higher", records, scores)
    table = pd.DataFrame(
        {
            "question": [record.item.meta["document"] for record in records],
            "value": [score.value for score in scores],
            "grade": [np.mean([int(grade) for grade in record.item.meta["grades"].split(",")]) for record in records],
        }
    )
    assert found.across.value == pytest.approx(scipy.stats.spearmanr(table["value"], table["grade"]).statistic)
    each = [
        scipy.stats.spearmanr(answers["value"], answers["grade"]).statistic
        for _, answers in table.groupby("question")
        if answers["grade"].nunique() > 1
    ]
    assert (found.within.value, found.within.n) == (pytest.approx(np.mean(each)), len(each))
    assert (found.across.n, found.across_one_grade.n) == (2311, 2143)


class TestKeep:
    def test_the_same_answers_are_the_same_run_and_are_written_once(self, tmp_path: Path) -> None:
        run = store_grades(graded(*RECORDS), tmp_path)
        assert run.records() == list(RECORDS)
        before = (run.path / "samples.jsonl").stat().st_mtime_ns
        again = store_grades(graded(*RECORDS), tmp_path)
        assert (again.path, (run.path / "samples.jsonl").stat().st_mtime_ns) == (run.path, before)

    def test_other_grades_are_another_run(self, tmp_path: Path) -> None:
        other = (*RECORDS[:-1], pair("d", 1, 0.8, "3"))
        assert store_grades(graded(*other), tmp_path).path != store_grades(graded(*RECORDS), tmp_path).path

    def test_what_a_kill_left_is_completed(self, tmp_path: Path) -> None:
        run = store_grades(graded(*RECORDS), tmp_path)
        samples = run.path / "samples.jsonl"
        samples.write_bytes(samples.read_bytes()[:-40])  # a torn last line
        assert store_grades(graded(*RECORDS), tmp_path).records() == list(RECORDS)


def test_a_draw_is_the_same_every_time_and_in_order() -> None:
    drawn = draw(RECORDS, 4, seed=0)
    assert drawn == draw(RECORDS, 4, seed=0) != draw(RECORDS, 4, seed=1)
    assert [RECORDS.index(record) for record in drawn] == sorted(RECORDS.index(record) for record in drawn)
    assert len(drawn) == 4
    assert draw(RECORDS, None, 0) == draw(RECORDS, 99, 0) == list(RECORDS)


def test_answers_that_nobody_graded_lower() -> None:
    records = (pair("a", 0, 1, "1,3"), pair("a", 1, 2, "2"), pair("a", 2, 3, "3,4"))
    assert graded_at_least(records, 2) == [records[1], records[2]]
    assert graded_at_least(records, None) == list(records)
    with pytest.raises(UsageError, match="every answer has a grade below it"):
        graded_at_least(records, 4)


class TestMeasure:
    @pytest.fixture
    def run(self, tmp_path: Path) -> StoredRun:
        return store_grades(graded(*RECORDS), tmp_path)

    def measure(self, run: StoredRun, *metrics: Any, **about: Any) -> Agreement:
        names = [metric.name for metric in metrics if metric.name not in about.get("judges", ())]
        return measure(run, run.records(), (1, 2, 3, 4), names, load=loader(*metrics), **about)

    def test_scores_are_kept_and_not_made_again(self, run: StoredRun) -> None:
        first, again = Read(binary=False), Read(binary=False)
        assert self.measure(run, first) == self.measure(run, again)
        assert (len(first.asked), len(again.asked)) == (9, 0)

    def test_the_length_of_an_answer_is_shown_beside_the_metrics(self, run: StoredRun) -> None:
        found = self.measure(run, Read(binary=False))
        assert [each.name for each in found.lines] == ["right", WORDS]
        assert found.lines[1].across.value is None  # all these answers have one word
        assert (found.pairs, found.questions, found.several) == (9, 4, 0)
        assert found.grades == {"1": 3, "2": 3, "3": 1, "4": 2}

    def test_what_fails_or_says_nothing_leaves_the_others_alone(self, run: StoredRun) -> None:
        class Broken(Read):
            def score(self, records: Any) -> list[Score]:
                raise MedbenchError("no pipeline")

        class Silent(Read):
            def score(self, records: Any) -> list[Score]:
                return [Score(record.item.id, None, "not multiple choice") for record in records]

        found = self.measure(run, Broken("broken"), Silent("silent"), Read(binary=False))
        assert [each.name for each in found.lines] == ["right", WORDS]
        assert [str(problem) for problem in found.problems] == ["no pipeline"]
        assert found.silent == (("silent", "not multiple choice"),)

    def test_a_measurement_says_nothing_of_an_answer(self, run: StoredRun) -> None:
        with pytest.raises(UsageError, match="speed is measured over a whole run"):
            self.measure(run, Speed())

    def test_steps_are_told(self, run: StoredRun) -> None:
        told: list[tuple[str, int, int]] = []
        self.measure(run, Read(binary=False), step=lambda *seen: told.append(seen))
        assert told == [("right", 0, 9), ("right", 9, 9), *((INTERVALS, done, 2) for done in range(3))]

    def test_answers_are_scored_in_batches(self, run: StoredRun, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = self.measure(run, Read("whole", binary=False)).lines[0]
        monkeypatch.setattr("medbench.results.agreement.measure.BATCH", 2)
        assert dataclasses.replace(self.measure(run, Read("parts", binary=False)).lines[0], name="whole") == whole


class TestTables:
    @pytest.fixture
    def found(self, tmp_path: Path) -> Agreement:
        records = (*RECORDS, pair("e", 0, 0.9, "1,2"), pair("e", 1, "?", "2"))
        run = store_grades(graded(*records), tmp_path)
        worse = Read("worse", binary=False, better="lower")
        return measure(run, run.records(), (1, 2, 3, 4), ["worse"], load=loader(worse))

    def test_csv_has_every_figure_and_leaves_undefined_ones_empty(self, found: Agreement) -> None:
        rows = list(csv.DictReader(io.StringIO(to_csv(found))))
        assert [row["metric"] for row in rows] == ["worse", WORDS]
        assert (rows[0]["n"], rows[0]["total"], rows[0]["within_n"]) == ("10", "11", "2")
        assert float(rows[0]["across"]) == found.lines[0].across.value
        assert (rows[0]["kappa"], rows[1]["across"]) == ("", "")

    def test_markdown_says_how_it_was_made(self, found: Agreement) -> None:
        text = to_markdown(found)
        assert "| worse ↓ | 10 |" in text
        assert "| (words in the answer) | 11 | – |" in text
        assert "ρ within, pairs of one grade" in text  # one pair has two
        for said in (
            "11 answers to 5 questions",
            "bootstrap over questions",
            "lower is better",
            "more than one grade (1)",
        ):
            assert said in text

    def test_what_a_reader_would_trip_over_is_told(self, found: Agreement) -> None:
        few, more = " ".join(legend_of(found)), dataclasses.replace(found, questions=20)
        assert "5 questions are too few for a reliable interval." in few
        assert "–: undefined" in few  # all these answers have one word
        legend = " ".join(legend_of(more))
        assert "Defined within too few questions for a reliable interval: worse (2)." in legend
        plain = line_of(*(pair(f"q{n}", i, i, str(1 + i)) for n in range(20) for i in range(2)))
        enough = dataclasses.replace(more, several=0, lines=(plain,))
        assert not [told for told in legend_of(enough) if "too few" in told or "–:" in told]

    def test_json_can_be_written(self, found: Agreement) -> None:
        value = json.loads(json.dumps(to_json(found)))
        assert value["lines"][0]["within"]["n"] == 2
        assert value["lines"][0]["unscored"] == [["no number", 1]]


@pytest.fixture
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in ("MEDBENCH_DATA", "MEDBENCH_HOME", "COLUMNS", "GROQ_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


OWN = "question,answer,grade,reference\n" + "".join(
    f"{question},{answer},{grade},rest and drink water\n"
    for question in ("What now?", "What helps?", "And then?")
    for answer, grade in [("rest and drink water", 4), ("rest and drink", 3), ("rest", 2), ("run", 1)]
)


def grade(asked: Asked) -> str:
    """A judge that grades as people do, but for the worst answer, which it gives a 2."""
    given = re.findall(r"<answer-(\w+)>\n(.*?)\n</answer-\1>", asked.text, re.DOTALL)[-1][1]
    grades = {"rest and drink water": 4, "rest and drink": 3}
    return json.dumps({"reason": "so it is", "grade": grades.get(given, 2)})


@pytest.mark.usefixtures("_alone")
class TestCommand:
    def medbench(self, *words: object) -> Result:
        return CliRunner().invoke(cli, [str(word) for word in words], prog_name="medbench")

    def own(self) -> Path:
        file = Path("mine.csv")
        file.write_text(OWN, encoding="utf-8")
        return file

    def test_from_a_file_of_grades_to_a_table(self) -> None:
        done = self.medbench("agreement", "--grades", self.own(), "--metrics", "token_f1,exact_match")
        assert done.exit_code == 0, done.output
        # token_f1 orders these answers as people do. exact_match tells one of four from the rest. Twice the ranks,
        # from their mean: -1, -1, -1, 3 against -3, -1, 1, 3, so (3 + 1 - 1 + 9)/√(12·20).
        (f1,) = [line for line in done.stdout.splitlines() if line.strip().startswith("token_f1 ↑")]
        assert f1.split()[2:] == ["1.00"] * 2  # in all resamples too: an interval of no width is none
        (exact,) = [line for line in done.stdout.splitlines() if line.strip().startswith("exact_match ↑")]
        assert exact.split()[2] == f"{12 / 240**0.5:.2f}" == "0.77"
        assert "12 answers to 3 questions" in " ".join(done.stdout.split())
        runs = list(Path("runs/agreement").iterdir())
        assert [sorted(path.name for path in run.glob("scores/*.jsonl")) for run in runs] == [
            ["exact_match.jsonl", "token_f1.jsonl"]
        ]

    def test_what_is_scored_for_the_first_time_and_what_is_left_out_are_told(self) -> None:
        words = ("agreement", "--grades", self.own(), "--metrics", "token_f1")
        first, again = self.medbench(*words), self.medbench(*words)
        assert "scoring 12 answers: token_f1\n" in first.stderr
        assert "scoring" not in again.stderr + self.medbench(*words, "--quiet").stderr
        assert "Text and entity metrics" not in first.stderr, "these were asked for"
        assert "3 questions are too few for a reliable interval." in " ".join(first.stdout.split())

    def test_without_metrics_it_is_told_which_these_are(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("medbench.cli.commands.agreement.DEFAULT", ("token_f1",))
        done = self.medbench("agreement", "--grades", self.own())
        assert "Scoring text and entity metrics. For others: --metrics NAMES" in done.stderr

    def test_a_leaderboard_of_the_runs_does_not_list_it(self) -> None:
        self.medbench("agreement", "--grades", self.own(), "--metrics", "token_f1")
        assert "graded-answers" not in self.medbench("leaderboard").output
        (run,) = Path("runs/agreement").iterdir()
        assert "graded-answers" in self.medbench("show", run).output

    def test_a_metric_that_does_not_apply_is_told_and_a_failure_where_it_was_named(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = self.own()
        named = self.medbench("agreement", "--grades", file, "--metrics", "accuracy,token_f1", "--json")
        monkeypatch.setattr("medbench.cli.ui.output.metric_names", lambda asked, entities: ["accuracy", "token_f1"])
        everything = self.medbench("agreement", "--grades", file, "--json")
        assert (named.exit_code, everything.exit_code) == (1, 0)
        for done in (named, everything):
            assert "accuracy scores none of these answers: not multiple choice" in done.stderr
            assert [line["name"] for line in json.loads(done.stdout)["lines"]] == ["token_f1", WORDS]

    def test_csv_and_markdown_go_where_they_are_told(self) -> None:
        words = ("agreement", "--grades", self.own(), "--metrics", "token_f1")
        done = self.medbench(*words, "--csv", "out/a.csv", "--markdown", "-")
        assert done.exit_code == 0, done.output
        assert done.stdout.startswith("### mine\n")
        assert Path("out/a.csv").read_text(encoding="utf-8").startswith("metric,better,n,total")

    def test_a_limit_scores_only_what_it_draws(self) -> None:
        words = ("agreement", "--grades", self.own(), "--metrics", "token_f1", "--json")
        part = json.loads(self.medbench(*words, "--limit", 5).stdout)
        assert (part["title"], part["pairs"]) == ("mine (5 of 12 pairs)", 5)
        (run,) = Path("runs/agreement").iterdir()
        assert len(StoredRun(run).scores("token_f1")[1]) == 5
        assert json.loads(self.medbench(*words).stdout)["pairs"] == 12
        assert json.loads(self.medbench(*words, "--from-grade", 3).stdout)["grades"] == {"3": 3, "4": 3}

    def test_a_judge_grades_on_peoples_scale_and_is_asked_once(self) -> None:
        with Server(then=says(grade)) as server:
            words = ("agreement", "--grades", self.own(), "--metrics", "token_f1", "--json")
            judge = ("--judge", "openai:judge", "--judge-base-url", server.url)
            part = self.medbench(*words, *judge, "--limit", 5)
            assert (part.exit_code, len(server.asked)) == (0, 5), part.output
            done = self.medbench(*words, *judge)
            assert (done.exit_code, len(server.asked)) == (0, 12), done.output
            again = self.medbench(*words, *judge)
            assert (again.stdout, len(server.asked)) == (done.stdout, 12)
        f1, judged, _ = json.loads(done.stdout)["lines"]
        assert judged["name"].startswith("judge:grades:openai:judge")
        # Of each question's answers, graded 4, 3, 2 and 1, the judge gives the last one 2: a step of 1 in 3 of 12
        # pairs. By chance, judge 4, 3, 2 (3, 3 and 6 times) against each grade (3 times): 3·3·(9 + 4 + 1) for its 4,
        # 3·3·(4 + 1 + 1) for 3, 6·3·(1 + 1 + 4) for 2, so 288 over 144 pairs. 1 - (3/12)/(288/144).
        assert judged["kappa"]["value"] == pytest.approx(0.875)
        assert f1["kappa"] is None
        # Ranks, doubled and from their mean: -2, -2, 1, 3 against -3, -1, 1, 3: (6 + 2 + 1 + 9)/√(18·20).
        assert judged["within"]["value"] == pytest.approx(18 / 360**0.5)

    def test_at_80_columns_no_name_breaks_inside_a_word(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "80")
        file = Path("drugs.csv")
        rows = [f"Which?,{said},{grade},Aspirin and insulin." for said, grade in (("Aspirin.", 4), ("Codeine.", 1))]
        file.write_text("\n".join(["question,answer,grade,reference", *rows]), encoding="utf-8")
        with Server(then=says(grade)) as server:
            judge = ("--judge", "openai:openai/gpt-oss-120b", "--judge-base-url", server.url)
            done = self.medbench("agreement", "--grades", file, "--metrics", "hallucinated_entity_rate", *judge)
        starts = [line.split()[0] for line in done.stdout.splitlines() if line.strip()]
        assert {"hallucinated_entity_rate", "medbench_bc5cdr", "judge", "openai"} <= set(starts), done.stdout
        assert any(word.startswith("gpt-oss-120b@127.0.0.1:") for word in starts)

    def test_a_reply_that_is_no_grade_is_left_out_and_shown(self) -> None:
        with Server(says("Excellent!"), then=says(grade)) as server:
            judge = ("--judge", "openai:judge", "--judge-base-url", server.url, "--judge-concurrency", 1)
            done = self.medbench("agreement", "--grades", self.own(), "--metrics", "token_f1", *judge)
        assert done.exit_code == 0, done.output
        shown = " ".join(done.stdout.split())
        assert "n 11 of 12" in shown
        assert "1 unscored, most often: unparsed: not one JSON object" in shown

    def test_a_jury_has_no_kappa_because_a_mean_is_not_on_the_scale(self) -> None:
        with Server(then=says(grade)) as server:
            words = ("agreement", "--grades", self.own(), "--metrics", "token_f1", "--json")
            judges = ("--judge", "openai:one,openai:two", "--judge-base-url", server.url)
            lines = json.loads(self.medbench(*words, *judges).stdout)["lines"]
        kinds = {line["name"].split(":")[0]: line["kappa"] is not None for line in lines}
        assert kinds == {"token_f1": False, "judge": True, "jury": False, WORDS: False}

    def test_a_judge_cannot_be_measured_on_another_scale(self) -> None:
        file = Path("five.csv")
        file.write_text("question,answer,grade\na,b,1\na,c,5\n", encoding="utf-8")
        judge = ("--judge", "openai:judge", "--judge-base-url", "http://127.0.0.1:9/v1")
        done = self.medbench("agreement", "--grades", file, "--metrics", "token_f1", *judge)
        assert done.exit_code == 2
        assert "judges grade from 1 to 4, but the grades of five.csv are 1, 5" in done.output

    @pytest.mark.parametrize(
        ("words", "code", "said"),
        [
            (["--judge", "groq"], 2, ["GROQ_API_KEY"]),
            ([], 1, ["liveqa needs TREC-2017", "no data folder was named", "--data or MEDBENCH_DATA"]),
            (["--data", "."], 1, ["liveqa needs TREC-2017", "is not below ."]),
            (["--data", "nowhere"], 2, ["--data", "'nowhere' does not exist"]),
            (["--data", "mine.csv"], 2, ["--data", "'mine.csv' is a file"]),
            (["--grades", "none.csv"], 2, ["none.csv", "there is no such file"]),
            (["--metrics", "rouge9"], 2, ["rouge9", "rouge1"]),
            (["--grades", "mine.csv", "--metrics", "latency_p50_s"], 2, ["measured over a whole run"]),
        ],
    )
    def test_mistakes_are_told(self, words: list[str], code: int, said: list[str]) -> None:
        self.own()
        done = self.medbench("agreement", *words)
        assert done.exit_code == code, done.output
        assert all(part in done.output for part in said)
        assert "Traceback" not in done.output
