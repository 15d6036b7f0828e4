"""Dose agreement: the share of the reference's doses that an answer gives, and the doses that contradict it."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import dose_pairs
import pytest
from medbench.core import registry
from medbench.core.types import Item, Metric, Output, Record
from medbench.metrics.entities import mentions
from medbench.metrics.entities.dose_agreement import CONTRADICTS, DOSES, NO_DOSE, compare_doses
from medbench.metrics.entities.dose_groups import Group, patient_groups
from medbench.metrics.entities.doses import Drug, Range, doses


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        mentions._MEMORY.clear()
        yield
        mentions._MEMORY.clear()


def record(answer: str, *references: str, question: str = "?") -> Record:
    return Record(Item("i", question, references=references), Output("i", text=answer))


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("Ibuprofen 400 mg every 6 hours.", "Advil 0.4 g four times a day."),
        ("Levothyroxine 50 mcg daily.", "Levothyroxine, 0.05 mg once a day."),
        ("Acetaminophen 500 to 1000 mg every 4 to 6 hours.", "Tylenol 650 mg every 6 hours."),
        ("Metformin 1000 mg twice daily.", "2 g of metformin per day, in two divided doses."),
        ("Metformin 1000 mg twice daily.", "2000 mg metformin per day."),
        ("At most 4 g of acetaminophen per day.", "Acetaminophen: do not exceed 4,000 mg in 24 hours."),
        ("Give acetaminophen 15 mg/kg.", "Acetaminophen, 15 mg per kg."),
        ("Give acetaminophen 15 mg/kg.", "Give 15 mg of acetaminophen for every kilogram."),
        ("Amoxicillin 500 mg three times daily.", "| Drug | Dose |\n|---|---|\n| Amoxicillin | **500&nbsp;mg** TID |"),
        ("Aspirin 81 mg daily.", "Take aspirin 81 mg."),  # how often is not said
    ],
)
def test_equal_doses(reference: str, answer: str) -> None:
    (score,) = DOSES.score([record(answer, reference)])
    assert (score.value, score.reason) == (1, None)


@pytest.mark.parametrize(
    ("reference", "answer", "why"),
    [
        ("Methotrexate 7.5 mg once a week.", "Methotrexate 7.5 mg daily.",
         "contradicting: methotrexate 7.5 mg daily instead of methotrexate 7.5 mg once a week"),
        ("Ibuprofen 400 mg.", "Ibuprofen 4,000 mg.", "contradicting: ibuprofen 4,000 mg instead of ibuprofen 400 mg"),
        ("Digoxin 125 mcg.", "Digoxin 125 mg.", "contradicting: digoxin 125 mg instead of digoxin 125 mcg"),
        ("Ibuprofen 400 mg.", "Naproxen 400 mg.", "missing: ibuprofen 400 mg"),
        ("Ibuprofen 400 mg.", "Take ibuprofen.", "missing: ibuprofen 400 mg"),
        ("Lisinopril 10 mg daily.", "Never take lisinopril 10 mg daily.", "missing: lisinopril 10 mg daily"),
    ],
)  # fmt: skip
def test_other_doses(reference: str, answer: str, why: str) -> None:
    (score,) = DOSES.score([record(answer, reference)])
    assert (score.value, score.reason) == (0, why)


def test_each_dose_of_the_reference_counts() -> None:
    reference = "Amoxicillin 500 mg three times daily, prednisone 40 mg daily, and ibuprofen 400 mg."
    one = record("Amoxicillin 500 mg TID; prednisone 20 mg daily.", reference)
    assert DOSES.score([one])[0].value == pytest.approx(1 / 3)
    found = compare_doses(one)
    assert found is not None
    assert [[each.text for each in kind] for kind in (found.equal, found.contradicted, found.missing)] == [
        ["500 mg three times daily"],
        ["40 mg daily"],
        ["400 mg"],
    ]
    (wrong,) = found.contradicting
    assert one.output.text is not None
    assert one.output.text[wrong.start : wrong.end] == wrong.text == "20 mg daily"


def test_another_of_the_reference_s_doses_is_no_contradiction() -> None:
    one = record("Adults take amoxicillin 500 mg.", "Amoxicillin 250 mg for children, amoxicillin 500 mg for adults.")
    assert DOSES.score([one])[0].value == 1 / 2
    found = compare_doses(one)
    assert found is not None
    assert not found.contradicting


def test_the_drug_may_be_named_in_the_question() -> None:
    one = record("Take 850 mg.", "500 mg twice a day.", question="How much metformin should I take?")
    assert DOSES.score([one])[0].value == 0


def test_unscored_without_a_dose() -> None:
    records = [record("Aspirin 81 mg.", "Aspirin."), record("Aspirin.", "Glucose above 126 mg/dL is high.")]
    assert [(score.value, score.reason) for score in DOSES.score(records)] == [(None, NO_DOSE)] * 2


def test_the_best_reference_counts() -> None:
    assert DOSES.score([record("Aspirin 81 mg.", "Aspirin 325 mg.", "Aspirin 81 mg.", "Aspirin.")])[0].value == 1


def test_an_endless_number_is_not_stored_in_full() -> None:
    (score,) = DOSES.score([record(f"Aspirin {'8' * 4000} mg.", "Aspirin 81 mg.")])
    assert score.value == 0
    assert score.reason is not None
    assert score.reason.startswith("contradicting: aspirin 888")
    assert len(score.reason) < 130


def test_figures() -> None:
    records = [record("Aspirin 81 mg.", "Aspirin 81 mg."), record("Aspirin 8 mg.", "Aspirin 81 mg."), record("?", "?")]
    scores = DOSES.score(records)
    mean, wrong = DOSES.aggregate(records, scores)
    assert (mean.name, mean.value, mean.n, mean.total, mean.better) == ("dose_agreement", 0.5, 2, 3, "higher")
    assert (wrong.name, wrong.value, wrong.better) == ("dose_agreement[contradicting]", 0.5, "lower")


def test_it_is_a_plugin_with_its_pipeline_in_its_name() -> None:
    assert registry.get("metrics", "dose_agreement") is DOSES
    assert isinstance(DOSES, Metric)
    assert DOSES.canonical_name == "dose_agreement:medbench_bc5cdr"


@pytest.mark.parametrize(
    ("text", "amount", "unit", "per_day"),
    [
        ("X 5 mg q8h", (5, 5), "mg", (3, 3)),
        ("X 5-10 mg every 4-6 hours", (5, 10), "mg", (4, 6)),
        ("X 1 g every other day", (1000, 1000), "mg", (0.5, 0.5)),
        ("X 2 tablets twice weekly", (2, 2), "tablet", (2 / 7, 2 / 7)),
        ("X two puffs four times daily", (2, 2), "puff", (4, 4)),
        ("X 10 units at bedtime", (10, 10), "iu", (1, 1)),
        ("X 2.5 mL 2 to 3 times a day", (2.5, 2.5), "ml", (2, 3)),
        ("X 250 mg to 1 g", (250, 1000), "mg", None),
    ],
)
def test_reading_a_dose(text: str, amount: tuple[float, float], unit: str, per_day: tuple[float, float] | None) -> None:
    (dose,) = doses(text, [Drug("x", 0, 1)])
    assert (dose.amount, dose.unit) == (Range(*amount), unit)
    assert dose.per_day == (None if per_day is None else pytest.approx(Range(*per_day)))


def test_pairs_written_before_reading_the_rules() -> None:
    """The number that docs/measurements.md gives. It was 29 before the one error was corrected."""
    right = 0
    for pair in dose_pairs.PAIRS:
        (score,) = DOSES.score([record(pair.answer, pair.reference, question=pair.question)])
        share = Fraction(score.value or 0).limit_denominator(20)
        right += (share, CONTRADICTS in (score.reason or "")) == (Fraction(pair.share), pair.contradicts)
    assert right == len(dose_pairs.PAIRS) == 30


@pytest.mark.parametrize("kind", dose_pairs.KINDS)
def test_pairs_of_a_kind(kind: str) -> None:
    for pair in dose_pairs.KINDS[kind]:
        found = compare_doses(record(pair.answer, pair.reference))
        assert found is not None, pair
        said = f"{len(found.equal)}/{found.wanted}", bool(found.contradicting)
        assert said == (pair.share, pair.contradicts), pair


@pytest.mark.parametrize(
    ("text", "amounts"),
    [
        ("X one hundred and fifty mg", [150]),
        ("X 2.4 million units", [2_400_000]),
        ("X 1/2 tablet", [0.5]),
        ("X half a tablet", [0.5]),
        ("X 100/62.5/25 mcg", [0.1, 0.0625, 0.025]),
        ("X 125 mg/5 mL", [125]),  # a concentration
        ("X 5 mg every day, over 65 years 2.5 mg", [5, 2.5]),
        ("X 10 u", []),
    ],
)
def test_reading_amounts(text: str, amounts: list[float]) -> None:
    assert [dose.amount.low for dose in doses(text, [Drug("x", 0, 1)])] == pytest.approx(amounts)


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("adults X 5 mg", Group(Range(18, 120))),
        ("X 5 mg daily for children under 6 years", Group(Range(0, 6))),
        ("X 5 mg for adults and children over 12 years", Group(Range(12, 120))),
        ("X 5 mg in children aged 6-11 years", Group(Range(6, 11))),
        ("X 5 mg, if over 60 kg", Group(weights=Range(60, 500))),
        ("Dialysis: give this. X 5 mg", Group(tags=frozenset({"kidney"}))),
        ("Keep it away from all children at home. X 5 mg", None),
        ("X 5 mg for 2-3 years", None),
        ("X 5 mg, over 3 months", None),
    ],
)
def test_for_whom_a_dose_is(text: str, group: Group | None) -> None:
    assert patient_groups(text, list(doses(text, [Drug("x", text.index("X"), text.index("X") + 1)]))) == [group]
