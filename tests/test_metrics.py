"""Every metric compared with explicit arithmetic, and ROUGE with rouge_score itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import fakes
import made
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from medbench.core import hub, registry
from medbench.core.errors import MedbenchError, UsageError
from medbench.core.stats import bootstrap_mean, wilson
from medbench.core.types import Figure, Item, ItemSet, Measured, Measurement, Metric, Output, Record, Score
from medbench.engines.server.engine import ServedEngine
from medbench.evaluation.run import execute
from medbench.evaluation.settings import Settings
from medbench.metrics import hf_evaluate
from medbench.metrics.accuracy import ACCURACY
from medbench.metrics.calibration import BRIER, ECE, calibration_interval
from medbench.metrics.exact_match import EXACT_MATCH
from medbench.metrics.figures import mean_figure
from medbench.metrics.measurements import LATENCY_P50, LATENCY_P95, PEAK_GPU_MEMORY, PEAK_RSS, THROUGHPUT
from medbench.metrics.rouge import ROUGE1, ROUGE2, ROUGEL
from medbench.metrics.text import normalized
from medbench.metrics.token_f1 import TOKEN_F1, f1
from medbench.results import scoring
from rouge_score.rouge_scorer import RougeScorer

METRICS: list[Metric] = [ACCURACY, EXACT_MATCH, TOKEN_F1, ROUGE1, ROUGE2, ROUGEL, ECE, BRIER]
WORDS = ("yes", "no", "maybe")
DRUGS = ("Aspirin", "Ibuprofen", "Paracetamol", "Codeine")
LETTERS = ("A", "B", "C", "D")


def choice(
    gold: int | None = 0,
    text: str | None = None,
    logprobs: tuple[float, ...] | None = None,
    options: tuple[str, ...] = DRUGS,
    labels: tuple[str, ...] = LETTERS,
    error: str | None = None,
    **meta: str,
) -> Record:
    """An answered multiple-choice question."""
    item = Item(f"c{len(NUMBERS)}", "?", options=options, labels=labels, gold=gold, meta=meta)
    NUMBERS.append(1)
    return Record(item, Output(item.id, text=text, logprobs=logprobs, error=error))


def cut_off(record: Record) -> Record:
    """The same answer, ended by the token limit."""
    return replace(record, output=replace(record.output, finish="length"))


def word(gold: str, text: str) -> Record:
    return choice(WORDS.index(gold), text, options=WORDS, labels=())


def open_question(text: str | None, *references: str, error: str | None = None, **meta: str) -> Record:
    item = Item(f"o{len(NUMBERS)}", "?", references=references, meta=meta)
    NUMBERS.append(1)
    return Record(item, Output(item.id, text=text, error=error))


NUMBERS: list[int] = []  # so that every record has an id of its own


def figures(metric: Metric, records: list[Record]) -> dict[str, Figure]:
    return {figure.name: figure for figure in metric.aggregate(records, metric.score(records))}


def value(metric: Metric, record: Record) -> float | None:
    return metric.score([record])[0].value


def reason(metric: Metric, record: Record) -> str | None:
    score = metric.score([record])[0]
    assert score.value is None
    return score.reason


class TestEveryMetric:
    def test_is_registered_under_its_name(self) -> None:
        for name in registry.names("metrics"):
            plugin = registry.get("metrics", name)
            assert isinstance(plugin, Metric | Measurement)
            assert plugin.name == name

    @pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
    def test_an_error_is_no_answer(self, metric: Metric) -> None:
        for record in (choice(error="out of memory"), open_question(None, "Rest.", error="out of memory")):
            assert reason(metric, record) == "error: out of memory"
        assert reason(metric, choice()) == "error: no output"

    @pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
    def test_scores_come_in_order_and_the_first_figure_bears_its_name(self, metric: Metric) -> None:
        records = [
            choice(1, text="B"),
            open_question("Rest and fluids.", "Rest."),
            choice(0, logprobs=(-1.0, -2.0, -3.0, -4.0)),
            choice(2, error="lost"),
            choice(None, text="B"),
            open_question("Rest.", error=None),
        ]
        scores = metric.score(records)
        assert [score.item_id for score in scores] == [record.item.id for record in records]
        assert all((score.value is not None) or score.reason for score in scores)
        first = metric.aggregate(records, scores)[0]
        n = sum(score.value is not None for score in scores)
        assert (first.name, first.n, first.total, first.better) == (metric.name, n, 6, metric.better)

    @pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
    def test_nothing_scored_is_no_number(self, metric: Metric) -> None:
        for records in ([], [choice(error="lost")]):
            first = metric.aggregate(records, metric.score(records))[0]
            assert first == Figure(metric.name, None, 0, len(records), better=metric.better)

    @pytest.mark.parametrize("metric", [m for m in METRICS if not m.binary], ids=lambda metric: metric.name)
    def test_one_item_has_no_interval_of_a_mean(self, metric: Metric) -> None:
        record = choice(1, logprobs=(-2.0, -1.0, -3.0, -4.0)) if metric in (ECE, BRIER) else open_question("a b", "b c")
        first = figures(metric, [record])[metric.name]
        assert first.value is not None and (first.low, first.high) == (None, None)

    @pytest.mark.parametrize("metric", [m for m in METRICS if m.mean], ids=lambda metric: metric.name)
    def test_the_first_figure_is_the_mean_of_the_values(self, metric: Metric) -> None:
        chosen = [choice(i % 4, logprobs=(-1.0, -1.5, -2.0, -2.5)) for i in range(9)]
        told = [open_question("rest and fluids", "rest", "drink fluids"), open_question("surgery", "rest")]
        records = told if metric in (EXACT_MATCH, TOKEN_F1, ROUGE1, ROUGE2, ROUGEL) else chosen
        values = [score.value or 0 for score in metric.score(records)]
        assert figures(metric, records)[metric.name].value == pytest.approx(sum(values) / len(records), abs=1e-12)

    def test_scores_of_other_records_are_refused(self) -> None:
        with pytest.raises(ValueError, match="does not match"):
            ACCURACY.aggregate([choice(0, text="A")], [Score("another", 1.0)])


class TestAccuracy:
    def test_the_likeliest_option_is_the_choice_and_of_equals_the_first(self) -> None:
        (score,) = ACCURACY.score([choice(2, logprobs=(-3.0, -2.0, -0.5, -9.0))])
        assert (score.value, score.answer, score.reason) == (1.0, "C", None)
        (score,) = ACCURACY.score([choice(2, logprobs=(-2.0, -0.5, -0.5, -9.0))])
        assert (score.value, score.answer) == (0.0, "B")

    def test_generated_answers_are_read(self) -> None:
        (score,) = ACCURACY.score([choice(1, text="The answer is B because A bleeds.")])
        assert (score.value, score.answer) == (1.0, "B")
        (score,) = ACCURACY.score([word("maybe", "Maybe, the trial was small.")])
        assert (score.value, score.answer) == (1.0, "maybe")

    def test_an_option_below_a_servers_list_is_not_the_choice(self) -> None:
        (score,) = ACCURACY.score([choice(1, logprobs=(-math.inf, -3.0, -4.0, -math.inf))])
        assert (score.value, score.answer) == (1.0, "B")

    def test_an_unparsed_answer_is_wrong_and_says_why(self) -> None:
        (score,) = ACCURACY.score([choice(1, text="A or B")])
        assert (score.value, score.answer, score.reason) == (0.0, None, "unparsed: two answers stated: A, B")
        (score,) = ACCURACY.score([choice(1, text="")])
        assert (score.value, score.reason) == (0.0, "unparsed: empty answer")

    @pytest.mark.parametrize(
        ("record", "why"),
        [
            (open_question("Rest.", "Rest."), "not multiple choice"),
            (choice(None, text="A"), "no gold answer"),
            (choice(0, logprobs=(-1.0, math.nan, -2.0, -3.0)), "log-probabilities not finite: -1.0, nan, -2.0, -3.0"),
            (choice(0, logprobs=(-math.inf,) * 4), "log-probabilities not finite: -inf, -inf, -inf, -inf"),
            (choice(0, logprobs=(-1.0, -2.0)), "2 log-probabilities for 4 options"),
        ],
    )
    def test_what_cannot_be_scored(self, record: Record, why: str) -> None:
        assert reason(ACCURACY, record) == why

    def test_interval_is_wilson_and_coverage_counts_the_lost(self) -> None:
        records = [choice(0, text="A" if i < 7 else "B") for i in range(20)] + [
            choice(0, error="lost") for _ in range(5)
        ]
        first = figures(ACCURACY, records)["accuracy"]
        assert (first.value, first.n, first.total, first.coverage) == (7 / 20, 20, 25, 0.8)
        assert (first.low, first.high) == wilson(7, 20)

    def test_items_of_a_document_widen_the_interval(self) -> None:
        # Twenty documents, ten items each that are all right or all wrong: twenty facts, not two hundred.
        records = [choice(0, text="A" if d < 7 else "B", document=str(d)) for d in range(20) for _ in range(10)]
        first = figures(ACCURACY, records)["accuracy"]
        assert first.value == 7 / 20
        low, high = wilson(70, 200)
        assert first.low is not None and first.low < low - 0.05
        assert first.high is not None and first.high > high + 0.05

    def test_all_right_on_few_documents_is_not_certain(self) -> None:
        records = [choice(0, text="A", document=str(d)) for d in range(3) for _ in range(10)]
        first = figures(ACCURACY, records)["accuracy"]
        assert (first.value, first.low, first.high) == (1.0, *wilson(3, 3))

    def test_macro_f1_by_hand(self) -> None:
        # gold:   yes yes yes no  no  maybe
        # chosen: yes yes no  no  yes (unparsed)
        # yes: TP 2, FP 1, FN 1: 4/6; no: TP 1, FP 1, FN 1: 2/4; maybe: TP 0, FP 0, FN 1: 0. Mean 7/18.
        gold = ["yes", "yes", "yes", "no", "no", "maybe"]
        said = ["yes", "Yes.", "no", "No", "yes", "unclear"]
        found = figures(ACCURACY, [word(g, s) for g, s in zip(gold, said)])
        assert found["accuracy"].value == pytest.approx(3 / 6)
        assert found["macro_f1"].value == pytest.approx(7 / 18)
        assert [found[f"f1[{w}]"].value for w in WORDS] == pytest.approx([4 / 6, 2 / 4, 0.0])
        assert found["unparsed_rate"].value == pytest.approx(1 / 6)
        assert found["macro_f1"].headline and not found["f1[yes]"].headline
        low, high = found["macro_f1"].low, found["macro_f1"].high
        assert low is not None and high is not None and 0 <= low < 7 / 18 < high <= 1

    def test_macro_f1_leaves_out_an_answer_that_never_occurs(self) -> None:
        # yes: TP 1, FN 1, FP 0: 2/3; no: TP 1, FP 1, FN 0: 2/3. "maybe" is neither gold nor chosen.
        found = figures(ACCURACY, [word("yes", "yes"), word("yes", "no"), word("no", "no")])
        assert found["macro_f1"].value == pytest.approx(2 / 3)
        assert "f1[maybe]" not in found

    def test_an_interval_resampled_by_document_is_wider_for_macro_f1_too(self) -> None:
        def records(document: bool) -> list[Record]:
            pairs = [("yes", "yes"), ("yes", "no"), ("no", "no"), ("no", "maybe"), ("maybe", "yes")] * 4
            return [
                choice(WORDS.index(g), s, options=WORDS, labels=(), document=str(i if document else (i, j)))
                for i, (g, s) in enumerate(pairs)
                for j in range(8)
            ]

        apart, together = (figures(ACCURACY, records(document))["macro_f1"] for document in (False, True))
        assert apart.value == together.value

        def width(figure: Figure) -> float:
            assert figure.low is not None and figure.high is not None
            return figure.high - figure.low

        assert width(together) > 2 * width(apart)

    def test_letters_have_macro_f1_in_the_details_only(self) -> None:
        found = figures(ACCURACY, [choice(0, text="A"), choice(1, text="A")])
        # A: TP 1, FP 1: 2/3; B: FN 1: 0.
        assert found["macro_f1"].value == pytest.approx(1 / 3)
        assert not found["macro_f1"].headline
        five = choice(4, text="E", options=(*DRUGS, "Heparin"), labels=(*LETTERS, "E"))
        assert "f1[E]" in figures(ACCURACY, [choice(0, text="A"), five])

    def test_answers_that_differ_from_item_to_item_have_no_macro_f1(self) -> None:
        other = choice(0, text="up", options=("up", "down"), labels=())
        assert "macro_f1" not in figures(ACCURACY, [word("yes", "yes"), other])

    def test_accuracy_per_subject(self) -> None:
        records = [
            choice(0, text="A", subject="anatomy"),
            choice(0, text="B", subject="anatomy"),
            choice(0, text="A", subject="genetics"),
            choice(0, error="lost", subject="genetics"),
        ]
        found = figures(ACCURACY, records)
        assert found["accuracy[anatomy]"] == Figure("accuracy[anatomy]", 0.5, 2, 2, *wilson(1, 2), headline=False)
        assert found["accuracy[genetics]"] == Figure("accuracy[genetics]", 1.0, 1, 2, *wilson(1, 1), headline=False)
        assert "accuracy[anatomy]" not in figures(ACCURACY, records[:2])

    def test_unparsed_rate_is_shown_only_where_answers_were_generated(self) -> None:
        found = figures(ACCURACY, [choice(0, text="A"), choice(0, text="?"), choice(0, error="lost")])
        assert found["unparsed_rate"] == Figure("unparsed_rate", 0.5, 2, 3, *wilson(1, 2), better="lower")
        assert "unparsed_rate" not in figures(ACCURACY, [choice(0, logprobs=(-1.0, -2.0, -3.0, -4.0))])

    def test_answers_cut_off_before_they_state_one_are_counted(self) -> None:
        records = [
            cut_off(choice(0, text="Let's evaluate each option:\nA. Aspirin: this drug")),
            cut_off(choice(0, text="Answer: A\nAspirin is a drug that")),  # stated before the limit
            choice(0, text="I do not know."),  # unread, but whole
            choice(0, text="A"),
        ]
        found = figures(ACCURACY, records)
        assert found["truncated_rate"] == Figure("truncated_rate", 0.25, 4, 4, *wilson(1, 4), better="lower")
        assert found["unparsed_rate"].value == 0.5
        scores = ACCURACY.score(records)
        assert [score.reason for score in scores] == ["unparsed: cut off", None, "unparsed: no option named", None]
        assert ACCURACY.remark_on(scores) == "1 of 4 answers cut off at the token limit: raise --max-new-tokens"
        assert ACCURACY.remark_on(scores[1:]) == ""

    def test_a_text_offered_twice_is_right_under_either_label(self) -> None:
        rest = ("Rest", "Surgery", "rest", "Casting")
        for text in ("Rest", "A", "C", "C. Rest"):
            (score,) = ACCURACY.score([choice(2, text=text, options=rest)])
            assert (score.value, score.answer) == (1.0, "C")


class TestExactMatch:
    @pytest.mark.parametrize(
        ("text", "normal"),
        [
            ("The  Heart's\n valve.", "hearts valve"),
            ("An MRI (of the brain)!", "mri of brain"),
            ("Theatre, anaemia", "theatre anaemia"),
            ("beta-blocker", "betablocker"),
            ("the", ""),
        ],
    )
    def test_normalisation_is_squads(self, text: str, normal: str) -> None:
        assert " ".join(normalized(text, "")) == normal

    def test_open_answers(self) -> None:
        assert value(EXACT_MATCH, open_question("the rest.", "Rest")) == 1
        assert value(EXACT_MATCH, open_question("Rest!", "Surgery", "A rest")) == 1
        assert value(EXACT_MATCH, open_question("Rest in bed", "Rest")) == 0
        assert value(EXACT_MATCH, open_question("", "Rest")) == 0

    @pytest.mark.parametrize(
        "answer", [{"text": "B"}, {"text": "The answer is B"}, {"logprobs": (-2.0, -1.0, -3.0, -4.0)}]
    )
    def test_multiple_choice_is_accuracys(self, answer: dict[str, Any]) -> None:
        """By log-probability the two would be one number and two tests."""
        (score,) = EXACT_MATCH.score([choice(1, **answer)])
        assert (score.value, score.reason) == (None, "multiple choice: accuracy scores it")


class TestTokenF1:
    def test_by_hand(self) -> None:
        # {drink, fluids, and, rest} and {rest, drink, water}: 2 shared; P 2/4, R 2/3: 2·2/(4 + 3).
        assert f1("Drink the fluids and rest.", "rest; drink water") == pytest.approx(4 / 7)
        # Words count as often as they occur: 1 shared of "no no no" and "no".
        assert f1("no no no", "no") == pytest.approx(2 * 1 / (3 + 1))
        assert f1("surgery", "rest") == 0

    def test_the_best_reference_counts(self) -> None:
        record = open_question("drink water", "surgery", "water", "drink some water")
        assert value(TOKEN_F1, record) == pytest.approx(2 * 2 / (2 + 3))

    def test_empty_answers_are_answers(self) -> None:
        assert value(TOKEN_F1, open_question("", "Rest")) == 0
        assert f1("the", "a") == 1  # nothing is left of either

    @pytest.mark.parametrize("metric", [TOKEN_F1, ROUGE1, ROUGE2, ROUGEL], ids=lambda metric: metric.name)
    def test_what_cannot_be_scored(self, metric: Metric) -> None:
        assert reason(metric, choice(0, text="A")) == "no reference answer"
        record = open_question(None, "Rest")
        chosen = Record(record.item, Output(record.item.id, logprobs=(-1.0, -2.0)))
        assert reason(metric, chosen) == "no generated answer"


ROUGE_WORDS = "heart Hearts hearing of the a infection infected 12 b12 naïve β-blocker, X-ray. ?"
texts = st.lists(
    st.sampled_from(ROUGE_WORDS.split()) | st.text(st.characters(codec="ascii"), max_size=6), max_size=30
).map(" ".join)


class TestRouge:
    def test_by_hand(self) -> None:
        # the cat sat on the mat / the cat lay on a mat: unigrams the, cat, on, mat: 4 of 6 and 6.
        record = open_question("the cat lay on a mat", "The cat sat on the mat.")
        assert value(ROUGE1, record) == pytest.approx(2 * 4 / 12)
        assert value(ROUGE2, record) == pytest.approx(2 * 1 / 10)  # the cat
        assert value(ROUGEL, record) == pytest.approx(2 * 4 / 12)  # the cat … on … mat

    def test_stems(self) -> None:
        assert value(ROUGE1, open_question("infections treated", "infection treating")) == 1.0

    def test_the_best_reference_counts_by_each_measure_itself(self) -> None:
        # Unigrams: first reference 3/3 shared, second 2/2 of 3 and 2. In order: 1 of the first, 2 of the second.
        record = open_question("one two three", "three two one", "one two")
        assert value(ROUGE1, record) == 1.0
        assert value(ROUGE2, record) == pytest.approx(2 * 1 / (2 + 1))
        assert value(ROUGEL, record) == pytest.approx(2 * 2 / (3 + 2))

    def test_an_answer_without_words_is_worth_nothing(self) -> None:
        for metric in (ROUGE1, ROUGE2, ROUGEL):
            assert value(metric, open_question("", "Rest")) == 0
            assert value(metric, open_question("?!", "?!")) == 0

    @settings(deadline=None)
    @given(texts, st.lists(texts, min_size=1, max_size=3))
    @example("one two " * 200, ["two one three " * 150])
    def test_equals_rouge_score(self, answer: str, references: list[str]) -> None:
        scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)
        theirs = scorer.score_multi(references, answer)
        for metric in (ROUGE1, ROUGE2, ROUGEL):
            ours = value(metric, open_question(answer, *references))
            assert ours == pytest.approx(theirs[metric.name].fmeasure, abs=1e-12)


def logs(*probabilities: float) -> tuple[float, ...]:
    return tuple(math.log(p) for p in probabilities)


def sure(p: float, right: bool) -> Record:
    """Four options, the first chosen with probability p."""
    return choice(0 if right else 1, logprobs=logs(p, *[(1 - p) / 3] * 3))


class TestMeanFigure:
    """Values that are all equal: a bootstrap of them has no width, and would claim certainty."""

    @staticmethod
    def of(values: list[float], documents: int = 0, **about: Any) -> Figure:
        ids = [f"{at:03}" for at in range(len(values))]
        records = [made.record(i, "x", f"d{at % documents}" if documents else "") for at, i in enumerate(ids)]
        return mean_figure("x", records, [Score(i, v) for i, v in zip(ids, values)], **about)

    def test_equal_values_have_no_bootstrap(self) -> None:
        for values in ([0.4] * 30, [3.0] * 3, [0.0] * 30, [0.7]):
            figure = self.of(values, binary=False)
            assert (figure.value, figure.low, figure.high) == (values[0], None, None)

    def test_all_0_or_all_1_of_0_to_1_is_wilsons(self) -> None:
        for values, low, high in ([[0.0] * 30, *wilson(0, 30)], [[1.0] * 30, *wilson(30, 30)]):
            figure = self.of(values, binary=False, in_0_1=True)
            assert (figure.low, figure.high) == (low, high)
        # Thirty items of five documents tell at the most as much as five items.
        figure = self.of([0.0] * 30, documents=5, binary=False, in_0_1=True)
        assert (figure.low, figure.high) == wilson(0, 5)
        assert self.of([0.4] * 30, binary=False, in_0_1=True).low is None

    def test_values_that_differ_have_a_bootstrap(self) -> None:
        values = [0.0, 0.2, 0.4] * 10
        figure = self.of(values, binary=False, in_0_1=True)
        assert (figure.low, figure.high) == bootstrap_mean(values)

    def test_another_statistic_without_spread_has_no_interval(self) -> None:
        """All right: macro-F1 is 1 in every resample, which does not make it certain."""
        found = figures(ACCURACY, [word(gold, gold) for gold in ("yes", "no", "maybe")])
        assert (found["macro_f1"].value, found["macro_f1"].low, found["macro_f1"].high) == (1.0, None, None)
        assert (found["accuracy"].low, found["accuracy"].high) == wilson(3, 3)

    def test_wilson_covers_the_mean_of_any_variable_in_0_to_1_whose_values_were_all_0(self) -> None:
        # Of a mean m, all 30 values are 0 with a chance of at most (1 - m)^30: 5% where m is 0.095, below 0.114.
        assert (1 - wilson(0, 30)[1]) ** 30 < 0.05


class TestCalibration:
    def test_ece_by_hand(self) -> None:
        # Bin (0.8, 0.9]: confidences 0.85, 0.85, 0.9, right 1 of 3: |1/3 - 2.6/3| = 1.6/3, weight 3/5.
        # Bin (0.4, 0.5]: confidences 0.45, 0.5, right 1 of 2: |0.5 - 0.475| = 0.025, weight 2/5.
        records = [sure(0.85, True), sure(0.85, False), sure(0.9, False), sure(0.45, True), sure(0.5, False)]
        figure = figures(ECE, records)["ece"]
        assert figure.value == pytest.approx(1.6 / 5 + 0.025 * 2 / 5)
        assert figure.low is not None and figure.high is not None and 0 <= figure.low <= figure.high <= 1
        values = [score.value for score in ECE.score(records)]
        assert values == pytest.approx([0.85, 0.85, 0.9, 0.45, 0.5])
        assert not ECE.mean

    def test_confidence_and_accuracy_that_agree(self) -> None:
        # Three of four right at confidence 0.75.
        assert figures(ECE, [sure(0.75, right) for right in (True, True, True, False)])["ece"].value == pytest.approx(0)

    @pytest.mark.parametrize("n", [100, 1000])
    @pytest.mark.parametrize("true", [0.0, 0.05, 0.2])
    @pytest.mark.parametrize("sharp", [False, True])
    def test_its_interval_covers_the_true_error(self, true: float, n: int, sharp: bool) -> None:
        """Confidence is too high by the true error in every bin. Bootstraps covered 0 to 2% where it is 0 or 0.05."""
        random = np.random.default_rng(n)
        runs, covered, total = 400, 0, 0.0
        for _ in range(runs):
            confidence = 0.8 + 0.2 * random.beta(4, 1, n) if sharp else 0.25 + 0.75 * random.beta(1.5, 1.2, n)
            right = random.random(n) < np.maximum(confidence - true, 0)
            error, low, high = calibration_interval(confidence, right.astype(float))
            # Nothing below 0.25 + true is certain to be wrong here but a few items, which shift the truth by 0.003.
            covered += low - 0.003 <= true <= high
            total += error
        assert covered / runs >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / runs)
        bias = total / runs - true  # documented: upward, and gone with many items or clear errors
        assert -0.01 < bias < (0.11 if n == 100 else 0.035)

    def test_its_interval_of_documents(self) -> None:
        """Twenty documents of ten items with one confidence and one outcome: not 200 observations."""
        random = np.random.default_rng(3)
        documents = [str(at // 10) for at in range(200)]
        runs, covered = 300, {True: 0, False: 0}
        for _ in range(runs):
            confidence = 0.3 + 0.7 * random.random(20)
            right = (random.random(20) < confidence).astype(float)
            for clustered in covered:
                _, low, high = calibration_interval(
                    np.repeat(confidence, 10), np.repeat(right, 10), documents if clustered else None
                )
                covered[clustered] += low <= 0 <= high
        assert covered[True] / runs >= 0.95 > covered[False] / runs

    def test_no_wrong_answer_is_no_certainty(self) -> None:
        # 0.99 sure and always right on 50 items, as a calibrated model is in 6 of 10 cases: its error may be 0.
        error, low, high = calibration_interval(np.full(50, 0.99), np.ones(50))
        assert error == pytest.approx(0.01)
        assert low == 0 and 0.03 < high < 0.1

    def test_the_interval_of_brier_covers(self) -> None:
        """Confidences p of 0.3 to 1, right with that chance: 1 - p² - (1 - p)²/3 is expected, over all p 0.4822."""
        random = np.random.default_rng(4)
        truth, covered, runs = [], 0, 200
        for _ in range(runs):
            p = 0.3 + 0.7 * random.random(100)
            right = random.random(100) < p
            rest = (1 - p) / 3
            values = np.where(right, (1 - p) ** 2 + 3 * rest**2, p**2 + (1 - rest) ** 2 + 2 * rest**2)
            truth.append((p * ((1 - p) ** 2 + 3 * rest**2) + (1 - p) * (p**2 + (1 - rest) ** 2 + 2 * rest**2)).mean())
            low, high = bootstrap_mean(values, resamples=500)
            covered += low <= 0.4822 <= high
        assert np.mean(truth) == pytest.approx(0.4822, abs=0.005)
        assert covered / runs >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / runs)

    def test_certain_and_wrong_is_the_worst(self) -> None:
        record = choice(1, logprobs=(0.0, -1e6, -1e6, -1e6))
        assert figures(ECE, [record, record])["ece"].value == 1
        assert value(BRIER, record) == 2

    def test_brier_by_hand(self) -> None:
        # 0.7, 0.1, 0.1, 0.1, the second right: 0.49 + 0.81 + 0.01 + 0.01.
        assert value(BRIER, sure(0.7, False)) == pytest.approx(1.32)
        assert value(BRIER, sure(0.7, True)) == pytest.approx(0.09 + 0.03)
        assert value(BRIER, choice(2, logprobs=logs(0.25, 0.25, 0.25, 0.25))) == pytest.approx(3 / 4)

    @given(st.lists(st.floats(-50, 0), min_size=4, max_size=4), st.floats(-2000, 0))
    def test_only_differences_of_log_probabilities_matter(self, logprobs: list[float], shift: float) -> None:
        shifted = choice(1, logprobs=tuple(p + shift for p in logprobs))
        for metric in (ECE, BRIER):
            assert value(metric, choice(1, logprobs=tuple(logprobs))) == pytest.approx(value(metric, shifted), abs=1e-9)

    @pytest.mark.parametrize("metric", [ECE, BRIER], ids=lambda metric: metric.name)
    def test_what_cannot_be_scored(self, metric: Metric) -> None:
        assert reason(metric, choice(0, text="A")) == "no option log-probabilities"
        assert reason(metric, open_question("Rest", "Rest")) == "not multiple choice"
        assert "not finite" in (reason(metric, choice(0, logprobs=(math.nan, -1.0, -1.0, -1.0))) or "")


def test_memory_of_this_process_is_none_of_a_model_that_a_server_runs(tmp_path: Path) -> None:
    class Asks(fakes.FakeEngine):
        runs_here = ServedEngine.runs_here

    items = ItemSet(fakes.items(2), "here")
    measured = []
    for name, engine in (("here", fakes.FakeEngine()), ("there", Asks())):
        planned = fakes.plan(fakes.benchmark(items), items, engine, Settings(latency_items=0))
        measured.append(execute(planned, engine, tmp_path / name, Quiet(), []).manifest.measured())
    assert PEAK_RSS.read(measured[0]).value
    assert PEAK_RSS.read(measured[1]) == Figure("peak_rss_bytes", None, 0, 0, unit="bytes", better="lower")


class Quiet:
    """A watch that says nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *told: None


class TestMeasurements:
    measured = Measured(
        items=10,
        seconds=4.0,
        prompt_tokens=900,
        completion_tokens=100,
        peak_rss_bytes=2**30,
        latencies_s=(0.1, 0.2, 0.3, 0.4, 1.4),
    )

    def test_by_hand(self) -> None:
        # (900 + 100) / 4 s
        assert THROUGHPUT.read(self.measured) == Figure("throughput_tokens_per_s", 250.0, 10, 10, unit="tokens/s")
        assert LATENCY_P50.read(self.measured) == Figure("latency_p50_s", 0.3, 5, 5, unit="s", better="lower")
        # Position 0.95·4 = 3.8 between 0.4 and 1.4: 0.4 + 0.8·1.0
        p95 = LATENCY_P95.read(self.measured)
        assert (p95.value, p95.n) == (pytest.approx(1.2), 5)
        assert PEAK_RSS.read(self.measured) == Figure("peak_rss_bytes", 2**30, 10, 10, unit="bytes", better="lower")

    def test_what_was_not_measured_has_no_number(self) -> None:
        nothing = Measured(items=0, seconds=0.0, prompt_tokens=0, completion_tokens=0)
        for measurement in (THROUGHPUT, LATENCY_P50, LATENCY_P95, PEAK_GPU_MEMORY, PEAK_RSS):
            figure = measurement.read(nothing)
            assert (figure.name, figure.value, figure.n) == (measurement.name, None, 0)
        assert PEAK_GPU_MEMORY.read(self.measured).value is None


SCRIPT = """
import datasets
import evaluate


class Shout(evaluate.Metric):
    def _info(self):
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description="1 where both say the same in capitals",
            citation="",
            inputs_description="",
            features=datasets.Features({"predictions": PREDICTIONS, "references": REFERENCES}),
        )

    def _compute(self, predictions, references):
        if predictions[0] == "crash":
            raise RuntimeError("crashed")
        hits = [float(str(p).upper() in str(r).upper()) for p, r in zip(predictions, references)]
        return {"letters": len(str(predictions[0])), "SHOUT": hits, "words": "none", "endless": float("inf")}
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `evaluate` keeps its scripts: one folder, for it is imported as a package once per process."""
    return tmp_path_factory.mktemp("evaluate")


@pytest.fixture
def script(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where to write a metric script."""
    import evaluate

    monkeypatch.setattr(evaluate.config, "HF_MODULES_CACHE", cache / "modules")
    monkeypatch.setattr(evaluate.config, "HF_METRICS_CACHE", cache / "metrics")
    monkeypatch.setattr(hub, "reachable", lambda: False)
    return tmp_path / "shout.py"


def write(path: Path, predictions: str = "text", references: str = "text") -> Path:
    text = SCRIPT.replace("PREDICTIONS", predictions).replace("REFERENCES", references)
    path.write_text(text.replace("SHOUT", path.stem))
    return path


class TestHfEvaluate:
    def test_a_local_script_by_item(self, script: Path) -> None:
        metric = registry.get("metrics", f"evaluate:{write(script)}")
        assert isinstance(metric, Metric)
        records = [
            open_question("rest", "Surgery", "REST"),
            open_question("rest", "Surgery"),
            open_question("crash", "Surgery"),
            open_question(None, "Surgery", error="lost"),
            choice(1, logprobs=(-2.0, -1.0, -3.0, -4.0)),
        ]
        scores = metric.score(records)
        assert [score.value for score in scores] == [1.0, 0.0, None, None, 1.0]
        assert scores[2].reason == "RuntimeError: crashed"
        assert scores[3].reason == "error: lost"
        figure = metric.aggregate(records, scores)[0]
        assert (figure.name, figure.value, figure.n) == (f"evaluate:{script}", pytest.approx(2 / 3), 3)

    def test_a_key_of_its_result(self, script: Path) -> None:
        write(script)
        record = open_question("rest", "Rest")
        assert value(registry.get("metrics", f"evaluate:{script}:letters"), record) == 4
        for key in ("words", "endless", "nothing"):
            assert key in (reason(registry.get("metrics", f"evaluate:{script}:{key}"), record) or "")

    def test_a_metric_that_takes_several_references_gets_them_together(self, script: Path) -> None:
        metric = registry.get("metrics", f"evaluate:{write(script, references='datasets.Sequence(text)')}")
        # Found only in the list as it is printed, in no reference alone.
        assert value(metric, open_question("surgery', 'rest", "Surgery", "Rest")) == 1.0

    def test_a_metric_of_class_numbers_gets_option_indices(self, script: Path) -> None:
        number = "datasets.Value('int32')"
        metric = registry.get("metrics", f"evaluate:{write(script, number, number)}")
        assert value(metric, choice(2, text="C")) == 1.0
        assert value(metric, choice(2, text="B")) == 0.0
        assert reason(metric, choice(2, text="B or C")) == "unparsed: two answers stated: B, C"
        assert reason(metric, open_question("rest", "rest")) == "takes numbers"

    def test_a_changed_script_is_another_version(self, script: Path) -> None:
        first = registry.get("metrics", f"evaluate:{write(script)}").version
        script.write_text(script.read_text() + "\n# changed\n")
        assert registry.get("metrics", f"evaluate:{script}").version != first

    def test_input_that_medbench_cannot_give(self, script: Path) -> None:
        write(script, predictions="{'id': text}")
        with pytest.raises(MedbenchError, match="a text or a class index"):
            registry.get("metrics", f"evaluate:{script}").ready()

    def test_a_broken_script(self, script: Path) -> None:
        script.write_text("import evaluate\n1 / 0\n")
        with pytest.raises(MedbenchError, match="ZeroDivisionError"):
            registry.get("metrics", f"evaluate:{script}").ready()

    def test_without_the_hub_it_says_so(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(hub, "reachable", lambda: False)
        monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path))
        with pytest.raises(MedbenchError, match=r"'bleu' of `evaluate` is a script on the hub(.|\n)*evaluate:PATH"):
            registry.get("metrics", "evaluate:bleu:bleu").ready()

    @pytest.mark.parametrize("name", ["shout", "someone/shout", "folder/shout"])
    def test_a_folder_with_the_name_of_a_metric_is_not_run_unasked(
        self, script: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        monkeypatch.chdir(script.parent)
        ran = script.parent / "ran"
        here = script.parent / name / "shout.py"
        here.parent.mkdir(parents=True)
        write(here).write_text(f"open({str(ran)!r}, 'w')\n{here.read_text()}")
        with pytest.raises(UsageError, match=f"evaluate:{name}: there is a metric script of that name here") as error:
            registry.get("metrics", f"evaluate:{name}").ready()
        assert error.value.hint.startswith(f"To run that one: evaluate:./{name}.")
        assert not ran.exists()
        asked = registry.get("metrics", f"evaluate:./{name}")
        assert asked.runs_code == str(here.parent.resolve()), "which the command announces"
        asked.ready()
        assert ran.exists()

    def test_stored_scores_need_no_script(self, script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        run = made.make_run(tmp_path, {"a": "yes", "b": "no"})
        name = f"evaluate:{write(script)}"
        first = scoring.figures(run, [registry.get("metrics", name)])
        monkeypatch.setattr(hf_evaluate, "_load", lambda what: pytest.fail("its import takes seconds"))
        assert scoring.figures(run, [registry.get("metrics", name)]) == first
        assert first[0].value == 0.5

    def test_what_an_error_rate_measures_is_better_where_it_is_less(self, script: Path) -> None:
        assert registry.get("metrics", "evaluate:wer").better == "lower"
        assert registry.get("metrics", f"evaluate:{write(script.with_name('cer.py'))}").better == "lower"
        assert registry.get("metrics", f"evaluate:{write(script)}").better == "higher"

    @pytest.mark.parametrize("name", ["evaluate:", "evaluate:no/such/file.py", "evaluate:./missing", "evaluate:/"])
    def test_names_of_nothing(self, name: str) -> None:
        with pytest.raises(UsageError):
            registry.get("metrics", name)
