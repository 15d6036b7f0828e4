"""Agreement with physicians on statements: the arithmetic by hand and by other libraries, K-QA's file, the command."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from medbench.benchmarks.sources.files import Source
from medbench.cli import cli
from medbench.core import nominal_agreement as nominal
from medbench.core.errors import DataMalformed, DataMissing
from medbench.core.stats import bootstrap
from medbench.results.agreement import k_qa_labels
from medbench.results.agreement.k_qa_labels import FILE, LABELS, votes_of
from medbench.results.agreement.statement_agreement import RaterPair, Verdict, judge, physicians
from servers import Asked, Server, says
from statsmodels.stats import inter_rater

ENTAILS, NEUTRAL, CONTRADICTS = LABELS
LETTERS = {"E": ENTAILS, "N": NEUTRAL, "C": CONTRADICTS}
HEADS = ["", "Question", "llm_x", "answer", "claim", "category_x", "majority_label", "label_0", "label_1", "label_2"]

# The labels of three physicians and of a judge ("-": no verdict) on ten statements about three answers.
RATED = ("EEEE", "EEEE", "EENN", "NNNN", "NNNN", "NNNE", "NENN", "CCCC", "CCNN", "EEE-")
QUESTIONS = ("gout",) * 4 + ("flu",) * 3 + ("rash",) * 3


def votes(rated: str) -> tuple[str, ...]:
    each = [LETTERS[letter] for letter in rated[:3]]
    return (*each, max(LABELS, key=each.count))


def release(folder: Path, rows: list[list[str]] | None = None) -> Source:
    """K-QA's file with the statements of RATED, "claim 1" to "claim 10"."""
    if rows is None:
        rows = []
        for number, (rated, question) in enumerate(zip(RATED, QUESTIONS), start=1):
            *each, majority = (label.capitalize() for label in votes(rated))
            kind = "Must_have" if number % 2 else "Nice_to_have"
            answer = f"About {question}, said twice."
            rows.append([str(number), f"{question}?", "gpt4", answer, f"claim {number}", kind, majority, *each])
    (folder / "k-qa").mkdir()
    text = io.StringIO()
    csv.writer(text).writerows([HEADS, *rows])
    (folder / "k-qa" / FILE).write_text(text.getvalue(), encoding="utf-8")
    return Source(folder)


def pair_of(pairs: tuple[RaterPair, ...], rater: str, other: str) -> RaterPair:
    (found,) = (each for each in pairs if (each.rater, each.other) == (rater, other))
    return found


class TestArithmetic:
    def test_cohens_kappa_by_hand(self) -> None:
        # Cohen's table: 20 and 15 equal, 5 and 10 not. Observed 0.7; by chance 0.5·0.6 + 0.5·0.4 = 0.5.
        table = np.array([[[20, 5], [10, 15]]])
        assert nominal.cohen_kappa(table) == pytest.approx([(0.7 - 0.5) / (1 - 0.5)])
        assert np.isnan(nominal.cohen_kappa(np.array([[[7, 0], [0, 0]]])))[0]  # chance alone cannot disagree
        assert nominal.cohen_kappa(np.array([[[0, 3], [3, 0]]])) == pytest.approx([-1.0])

    def test_fleiss_kappa_by_hand(self) -> None:
        # Pairs of raters that agree, of 3: 3 for EEE and NNN, 1 for EEN and ENN. Mean (1 + 1 + 1/3 + 1/3)/4 = 2/3.
        # E has 6 of 12 ratings, N too: by chance 1/2. (2/3 - 1/2)/(1/2) = 1/3.
        tables = nominal.resampled_tables([[0, 0, 0], [1, 1, 1], [0, 0, 1], [0, 1, 1]], 3, list("abcd"), resamples=2)[
            :1
        ]
        assert nominal.fleiss_kappa(tables) == pytest.approx([1 / 3])
        alike = nominal.resampled_tables([[1, 1, 1], [1, 1, 1]], 3, ["a", "b"], resamples=2)[:1]
        assert np.isnan(nominal.fleiss_kappa(alike))[0]

    def test_precision_recall_and_f1_of_labels_by_hand(self) -> None:
        # Truth E, judge: 3 E, 1 N. Truth N, judge: 1 E, 4 N. Nobody says C.
        tables = np.array([[[3, 1, 0], [1, 4, 0], [0, 0, 0]]])
        nan = float("nan")
        assert nominal.label_recall(tables)[0] == pytest.approx([3 / 4, 4 / 5, nan], nan_ok=True)
        assert nominal.label_precision(tables)[0] == pytest.approx([3 / 4, 4 / 5, nan], nan_ok=True)
        assert nominal.label_f1(tables)[0] == pytest.approx([6 / 8, 8 / 10, nan], nan_ok=True)
        assert nominal.macro_f1(tables) == pytest.approx([(6 / 8 + 8 / 10) / 2])
        one_sided = np.array(
            [[[3, 1, 1], [0, 4, 0], [0, 0, 0]]]
        )  # C is given by one: its F1 is 0, its recall undefined
        assert nominal.label_f1(one_sided)[0][2] == 0 and np.isnan(nominal.label_recall(one_sided)[0][2])
        assert nominal.macro_f1(one_sided) == pytest.approx([(6 / 8 + 8 / 9 + 0) / 3])

    def test_on_random_labels_it_is_what_statsmodels_and_scikit_learn_find(self) -> None:
        metrics = pytest.importorskip("sklearn.metrics")
        random = np.random.default_rng(4)
        for k, n in itertools.product((2, 3, 5), (6, 40)):
            ratings = random.integers(0, k, size=(n, 3))
            tables = nominal.resampled_tables(ratings.tolist(), k, [str(i) for i in range(n)], resamples=2)[:1]
            table = inter_rater.aggregate_raters(ratings, n_cat=k)[0]
            assert nominal.fleiss_kappa(tables)[0] == pytest.approx(inter_rater.fleiss_kappa(table))
            for one, other in itertools.permutations(range(3), 2):
                between = nominal.of_raters(tables, one, other)
                assert nominal.cohen_kappa(between)[0] == pytest.approx(inter_rater.cohens_kappa(between[0]).kappa)
                macro = metrics.f1_score(ratings[:, one], ratings[:, other], average="macro", zero_division=0)
                assert nominal.macro_f1(between)[0] == pytest.approx(macro)

    def test_intervals_are_those_of_a_bootstrap_that_draws_questions(self) -> None:
        random = np.random.default_rng(5)
        questions = [f"q{number}" for number in random.integers(0, 12, size=80)]
        ratings = random.choice(3, p=(0.5, 0.4, 0.1), size=(80, 3))
        ratings[:, 1] = np.where(random.random(80) < 0.7, ratings[:, 0], ratings[:, 1])
        named = [[LABELS[number] for number in row] for row in ratings.tolist()]
        found = physicians([(*row, max(LABELS, key=row.count)) for row in named], questions)

        def fleiss(drawn: Any) -> float:
            counts = np.stack([(ratings[drawn] == label).sum(axis=1) for label in range(3)], axis=1)
            agreed = ((counts**2).sum(axis=1) - 3).mean() / 6
            expected = ((counts.sum(axis=0) / counts.sum()) ** 2).sum()
            return float((agreed - expected) / (1 - expected))

        def mean_kappa(drawn: Any) -> float:
            kappas = []
            for a, b in itertools.combinations(ratings[drawn].T, 2):
                expected = sum((a == label).mean() * (b == label).mean() for label in range(3))
                kappas.append(((a == b).mean() - expected) / (1 - expected))
            return float(np.mean(kappas))

        pairs = [np.histogram2d(a, b, bins=3)[0] for a, b in itertools.combinations(ratings.T, 2)]
        whole = np.arange(80)
        assert fleiss(whole) == pytest.approx(inter_rater.fleiss_kappa(inter_rater.aggregate_raters(ratings)[0]))
        assert mean_kappa(whole) == pytest.approx(np.mean([inter_rater.cohens_kappa(pair).kappa for pair in pairs]))
        for estimate, statistic in ((found.fleiss_kappa, fleiss), (found.pairs[-1].kappa, mean_kappa)):
            assert estimate is not None and estimate.value == pytest.approx(statistic(whole))
            assert (estimate.low, estimate.high) == pytest.approx(bootstrap(statistic, 80, questions))


class TestPhysicians:
    def test_each_row_by_hand(self) -> None:
        found = physicians([votes(rated) for rated in RATED], QUESTIONS)
        # Only EEN, NEN and CCN are not unanimous: physician 2 is outvoted once, physician 3 twice.
        assert [pair_of(found.pairs, f"physician {n}", "majority").same.value for n in (1, 2, 3)] == [1.0, 0.9, 0.8]
        # 2 and 3 differ in EEN, NEN and CCN, so 7 are left, and physician 1 gives all of them the same.
        first = pair_of(found.pairs, "physician 1", "the other two where they agree")
        assert (first.n, first.same.value, first.kappa.value) == (7, 1.0, 1.0)
        # 1 and 2 differ in NEN alone: 9 are left, 3 differs in EEN and CCN.
        third = pair_of(found.pairs, "physician 3", "the other two where they agree")
        assert (third.n, third.same.value) == (9, pytest.approx(7 / 9))
        # 1 gives E 4, N 4, C 2; 2 gives E 5, N 3, C 2. By chance (20 + 12 + 4)/100.
        assert pair_of(found.pairs, "physician 1", "physician 2").kappa.value == pytest.approx((0.9 - 0.36) / 0.64)
        # F1 of E 8/9, of N 6/7, of C 1.
        one_two = pair_of(found.pairs, "physician 1", "physician 2").macro_f1.value
        assert one_two == pytest.approx((8 / 9 + 6 / 7 + 1) / 3)
        pairs = [pair_of(found.pairs, f"physician {a}", f"physician {b}") for a, b in ((1, 2), (1, 3), (2, 3))]
        for figure in ("same", "macro_f1", "kappa"):
            mean = sum(getattr(pair, figure).value for pair in pairs) / 3
            assert getattr(found.pairs[-1], figure).value == pytest.approx(mean)
        assert dict(found.labels[2].given) == {"physician 1": 2, "physician 2": 2, "physician 3": 1, "majority": 2}

    def test_on_the_real_labels_it_is_what_statsmodels_finds(self, real_data: Path) -> None:
        records = k_qa_labels.load(Source(real_data)).records
        given = [vote for record in records for vote in votes_of(record)]
        found = physicians(given, [record.item.meta["document"] for record in records for _ in record.item.criteria])
        numbers = np.array([[LABELS.index(label) for label in vote[:3]] for vote in given])
        fleiss = inter_rater.fleiss_kappa(inter_rater.aggregate_raters(numbers)[0])
        assert found.fleiss_kappa is not None and found.fleiss_kappa.value == pytest.approx(fleiss)
        for a, b in ((0, 1), (0, 2), (1, 2)):
            table = np.zeros((3, 3), dtype=int)
            np.add.at(table, (numbers[:, a], numbers[:, b]), 1)
            kappa = pair_of(found.pairs, f"physician {a + 1}", f"physician {b + 1}").kappa.value
            assert kappa == pytest.approx(inter_rater.cohens_kappa(table).kappa)


class TestJudge:
    @staticmethod
    def verdicts() -> list[Verdict]:
        return ["not judged" if rated[3] == "-" else (LETTERS[rated[3]], "because") for rated in RATED]

    def test_a_statement_without_a_verdict_is_counted_and_is_in_no_figure(self) -> None:
        found = judge("x", [votes(rated) for rated in RATED], self.verdicts(), QUESTIONS)
        assert (found.n, found.total, found.coverage, found.missing) == (9, 10, 0.9, (("not judged", 1),))
        # Majority EEENNNNCC, judge EENNNENCN: six of nine. Majority 3 E, 4 N, 2 C; judge 3 E, 5 N, 1 C.
        majority = pair_of(found.pairs, "judge", "majority")
        chance = (3 * 3 + 4 * 5 + 2 * 1) / 81
        assert (majority.n, majority.same.value) == (9, pytest.approx(6 / 9))
        assert majority.kappa.value == pytest.approx((6 / 9 - chance) / (1 - chance))
        assert majority.macro_f1.value == pytest.approx((4 / 6 + 6 / 9 + 2 / 3) / 3)
        neutral, contradiction = found.labels[1], found.labels[2]
        assert neutral.given == {"majority": 4, "judge": 5}
        assert neutral.precision is not None and neutral.recall is not None and contradiction.precision is not None
        assert (neutral.precision.value, neutral.precision.n) == (pytest.approx(3 / 5), 5)
        assert (neutral.recall.value, neutral.recall.n) == (pytest.approx(3 / 4), 4)
        assert (contradiction.precision.value, contradiction.f1.value) == (1.0, pytest.approx(2 / 3))

    def test_with_the_third_physicians_labels_a_judge_is_the_third_physician(self) -> None:
        given = [votes(rated) for rated in RATED]
        found = judge("x", given, [(vote[2], "") for vote in given], QUESTIONS)
        people = physicians(given, QUESTIONS)
        assert pair_of(found.pairs, "judge", "physician 3").kappa.value == 1.0
        # With physicians 1 and 2 as physician 3 is, with himself 1: the mean of κ is greater by (1 - κ of 1 and 2)/3.
        assert found.kappa_difference is not None
        own = pair_of(people.pairs, "physician 1", "physician 2").kappa.value
        assert own is not None and found.kappa_difference.value == pytest.approx((1 - own) / 3)
        assert found.pairs[-1] == people.pairs[-1]  # the judge has a verdict on every statement
        for other in (1, 2):
            theirs = pair_of(people.pairs, f"physician {other}", "physician 3")
            assert pair_of(found.pairs, "judge", f"physician {other}").kappa == theirs.kappa

    def test_without_any_verdict_there_are_no_figures(self) -> None:
        found = judge("x", [votes("EEE")], ["not judged"], ["gout"])
        assert (found.n, found.pairs, found.labels) == (0, (), ())


class TestFile:
    def test_a_record_is_an_answer_with_its_statements_and_labels(self, tmp_path: Path) -> None:
        found = k_qa_labels.load(release(tmp_path))
        assert [record.item.id for record in found.records] == ["1/gpt4", "2/gpt4", "3/gpt4"]
        flu = found.records[1]
        assert (flu.item.question, flu.output.text) == ("flu?", "About flu, said twice.")
        assert [(each.text, each.tags) for each in flu.item.criteria] == [
            ("claim 5", ("must_have",)),
            ("claim 6", ("nice_to_have",)),
            ("claim 7", ("must_have",)),
        ]
        assert votes_of(flu)[2] == (NEUTRAL, ENTAILS, NEUTRAL, NEUTRAL)
        assert found.notes == ("10 of the 399 labeled statements are there",)

    @pytest.mark.parametrize(
        ("column", "value", "said"),
        [
            ("label_1", "Entails", "row 2, field 'label_1': 'Entails' is not one of Entailment, Neutral"),
            ("majority_label", "Neutral", "field 'majority_label': it is neutral, but most physicians say entailment"),
            ("category_x", "Must", "field 'category_x': 'Must' is not one of Must_have, Nice_to_have"),
            ("answer", "Another.", "field 'answer': gpt4 has another answer to this question"),
            ("claim", " ", "field 'claim': a text is expected"),
        ],
    )
    def test_what_cannot_be_used_is_named(self, tmp_path: Path, column: str, value: str, said: str) -> None:
        row = ["1", "gout?", "gpt4", "An answer.", "claim", "Must_have", *["Entailment"] * 4]
        wrong = [value if head == column else cell for head, cell in zip(HEADS, row)]
        with pytest.raises(DataMalformed, match=re.escape(said)):
            k_qa_labels.load(release(tmp_path, [row, wrong]))

    def test_where_all_three_differ_the_files_majority_counts(self, tmp_path: Path) -> None:
        row = [
            "1",
            "gout?",
            "gpt4",
            "An answer.",
            "claim",
            "Must_have",
            *(label.capitalize() for label in ("neutral", *LABELS)),
        ]
        (record,) = k_qa_labels.load(release(tmp_path, [row])).records
        assert votes_of(record) == [(*LABELS, NEUTRAL)]

    def test_without_the_file_the_message_says_where_it_is(self, tmp_path: Path) -> None:
        with pytest.raises(DataMissing) as error:
            k_qa_labels.load(Source(tmp_path))
        assert f"{FILE} of K-QA (github.com/Itaymanes/K-QA) is not below {tmp_path}" in str(error.value)

    def test_the_real_file(self, real_data: Path) -> None:
        found = k_qa_labels.load(Source(real_data))
        assert len(found.records) == 50 and found.notes == ()
        assert sum(len(record.item.criteria) for record in found.records) == 399
        given = [vote[3] for record in found.records for vote in votes_of(record)]
        assert [given.count(label) for label in LABELS] == [153, 234, 12]


def replies(change: Callable[[int], str | None] = lambda number: None) -> Callable[[Asked], str]:
    """A judge that gives the verdicts of RATED, or what `change` makes of a statement's number."""

    def one(number: int) -> Any:
        wanted = change(number) or LETTERS[RATED[number - 1][3].replace("-", "E")]
        return {"reason": "because", "verdict": wanted}

    def reply(asked: Asked) -> str:
        numbered = re.findall(r"^(\d+)\. claim (\d+)$", asked.text, re.M)
        if numbered:
            return json.dumps({place: one(int(number)) for place, number in numbered})
        found = re.search(r"^claim (\d+)$", asked.text, re.M)
        assert found
        return json.dumps(one(int(found[1])))

    return reply


class TestCommand:
    @pytest.fixture(autouse=True)
    def _alone(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("MEDBENCH_DATA", str(release(tmp_path).data))

    @staticmethod
    def medbench(*words: object) -> Result:
        return CliRunner().invoke(cli, ["agreement", "--set", "k-qa", *map(str, words)], prog_name="medbench")

    def test_without_a_judge_the_physicians_are_shown_alone(self) -> None:
        done = self.medbench()
        assert done.exit_code == 0, done.output
        assert "To measure a judge: --judge NAME" in done.stderr
        assert "Fleiss' kappa of all three: 0." in done.stdout and "judge" not in done.stdout
        found = json.loads(self.medbench("--json").stdout)
        assert (found["answers"], found["questions"], found["statements"], found["judges"]) == (3, 3, 10, [])

    def test_a_judge_is_measured_and_asked_once(self) -> None:
        with Server(then=says(replies())) as server:
            words = ("--judge", "openai:judge", "--judge-base-url", server.url, "--json")
            part = self.medbench(*words, "--limit", 2)
            assert (part.exit_code, len(server.asked)) == (0, 2), part.output
            done = self.medbench(*words)
            assert (done.exit_code, len(server.asked)) == (0, 3), done.output
            again = self.medbench(*words)
            assert (again.stdout, len(server.asked)) == (done.stdout, 3)
        found = json.loads(done.stdout)
        (of_judge,) = found["judges"]
        assert of_judge["name"].startswith("judge:statements:openai:judge")
        assert (of_judge["n"], of_judge["total"]) == (10, 10)
        # As in TestJudge, but with a verdict on the tenth, the right one: seven of ten.
        assert of_judge["pairs"][0]["same"]["value"] == pytest.approx(0.7)
        assert found["physicians"]["pairs"][0]["n"] == 10

    @pytest.mark.parametrize(("per", "calls", "n"), [("item", 3, 6), ("criterion", 10, 9)])
    def test_an_unread_verdict_leaves_out_its_reply(self, per: str, calls: int, n: int) -> None:
        unread = replies(lambda number: "perhaps" if number == 2 else None)  # one of four statements about gout
        with Server(then=says(unread)) as server:
            words = ("--judge", "openai:judge", "--judge-base-url", server.url, "--judge-per", per)
            done = self.medbench(*words, "--csv", "-")
            assert (done.exit_code, len(server.asked)) == (0, calls), done.output
            shown = " ".join(self.medbench(*words).stdout.split())
        rows = list(csv.DictReader(io.StringIO(done.stdout)))
        (coverage, of_people) = (row for row in rows if row["figure"] == "coverage")
        assert (float(coverage["value"]), coverage["n"], of_people["value"]) == (n / 10, "10", "1.0")
        assert {row["n"] for row in rows if row["other"] == "majority" and row["rater"] == "judge"} == {str(n)}
        assert f"Left out: {10 - n} of 10 statements, without a verdict" in shown and "perhaps" in shown

    def test_a_judge_that_cannot_be_read_at_all_fails(self) -> None:
        with Server(then=says("I cannot say.")) as server:
            done = self.medbench("--judge", "openai:judge", "--judge-base-url", server.url)
        assert done.exit_code == 1
        assert "did not return the required JSON" in done.stderr and "Fleiss" in done.stdout

    def test_two_judges_have_figures_each_and_a_jury_none(self) -> None:
        with Server(then=says(replies())) as server:
            words = ("--judge", "openai:one,openai:two", "--judge-base-url", server.url, "--json")
            judges = json.loads(self.medbench(*words).stdout)["judges"]
        assert [each["name"].split(":")[3].partition("@")[0] for each in judges] == ["one", "two"]

    def test_csv_and_markdown_go_where_they_are_told(self) -> None:
        done = self.medbench("--csv", "out/a.csv", "--markdown", "-")
        assert done.exit_code == 0, done.output
        assert done.stdout.startswith("### k-qa-labels\n\n#### physicians\n\n| labels of | against |")
        rows = csv.DictReader(io.StringIO(Path("out/a.csv").read_text(encoding="utf-8")))
        (row,) = (each for each in rows if each["figure"] == "fleiss_kappa")
        # Seven statements have three equal labels, three have two: (7 + 3/3)/10. Of 30 labels, 12 are E, 13 N and 5 C.
        chance = (12**2 + 13**2 + 5**2) / 30**2
        assert float(row["value"]) == pytest.approx((0.8 - chance) / (1 - chance))
        assert float(row["low"]) < float(row["value"]) < float(row["high"])
        quiet = self.medbench("--quiet")
        assert (quiet.exit_code, quiet.output) == (0, "")

    def test_at_80_columns_nothing_is_cut(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "80")
        with Server(then=says(replies())) as server:
            done = self.medbench("--judge", "openai:judge", "--judge-base-url", server.url)
        assert done.exit_code == 0 and "contradiction" in done.stdout
        assert "…" not in done.stdout
        assert max(map(len, done.stdout.splitlines())) <= 80

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("--metrics", "rougeL"), "--metrics does not apply to --set k-qa"),
            (("--from-grade", 2), "--from-grade does not apply to --set k-qa"),
            (("--grades", "mine.csv"), "--grades does not apply to --set k-qa"),
            (("--entity-model", "x"), "--entity-model does not apply to --set k-qa"),
            (("--judge-per", "criterion"), "--judge-per needs --judge"),
            (
                ("--set", "mediqa-qa", "--judge", "groq", "--judge-per", "criterion"),
                "does not apply to --set mediqa-qa",
            ),
        ],
    )
    def test_options_that_do_not_apply_are_refused(self, words: tuple[object, ...], said: str) -> None:
        done = self.medbench(*words)
        assert done.exit_code == 2 and said in done.output
