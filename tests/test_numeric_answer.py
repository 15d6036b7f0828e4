"""Numbers, dates and lengths of time read off answers: each rule, and what is deliberately not read."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from medbench.metrics.numeric_answer import Kind, read_value


def value(text: str, kind: Kind = "number") -> object:
    found = read_value(text, kind).value
    return None if found is None else found.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # stated
        ("Answer: 1,234.5", 1234.5),
        ("**Answer:** 116 mL/hr", 116.0),
        ("$\\boxed{83.3}$", 83.3),
        ('{"answer": "83.3"}', 83.3),
        ("Step 1: age 75 gives 2.\nStep 2: add 1.\nFinal Answer: 3", 3.0),
        ("The final answer is 17.1%.", 17.1),
        # alone on a line
        ("83.3 mmHg", 83.3),
        ("approximately 2.03", 2.03),
        ("-7", -7.0),
        ("−7.0 mEq/L", -7.0),
        (".5", 0.5),
        # after the last "is" or "="
        ("The MAP is 83.3 mm Hg.", 83.3),
        ("MAP = (2*70+110)/3 = 83.33", 83.33),
        ("weight 70 kg, height 1.75 m, BMI = 22.9", 22.9),
        ("BMI = 70 / 1.75^2 = 22.86 kg/m^2", 22.86),
        ("The GFR is 39.9 mL/min/1.73 m²", 39.9),
        ("The patient's CHA2DS2-VASc Score is 3 points.", 3.0),
        ("CHA2DS2-VASc score: 2", 2.0),
        # powers of ten
        ("1.2 x 10^3", 1200.0),
        ("1.2e3", 1200.0),
        ('{"answer": "22.86 kg/m^2"}', 22.86),
        ("The patient's score is 4 out of 9", 4.0),
        ("Total = 2 points\n3. Recommend anticoagulation", 2.0),
        ("4. The patient has four points.", 4.0),
        ("> 5", None),
        ("<b>Answer:</b> 5", 5.0),
        # not read
        ("1.234,5 mg", None),
        ("Answer: >60", None),
        ("The score is >= 3", None),
        ("Answer - 110", 110.0),
        ("Answer: -110", -110.0),
        ("Answer: < 0.5", None),
        ("Answer: 10⁵", None),
        ("Answer: 10^5", None),
        ("The patient has a score of 6 and a heart rate of 98 per minute.", 6.0),
        ("A weight of 70 kg and a height of 175 cm.", None),
        ("1. Compute\n2. Sum\n3. Done", None),
        ("70 to 75", None),
        ("The value is 70-75 mmHg", None),
        ("It is about 2,03", None),
        ("I cannot say.", None),
        ("", None),
    ],
)
def test_numbers(text: str, expected: float | None) -> None:
    assert value(text) == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    "text",
    ["12/02/2000", "The due date is December 2, 2000.", "2 Dec 2000", "Answer: 2000-12-02", "the 2nd of Dec 2000"],
)
def test_dates(text: str) -> None:
    assert value(text, "date") == date(2000, 12, 2)


@pytest.mark.parametrize(
    "text", ["13/40/2000", "December", "12/02/2000 or 12/03/2000", "Maybe 2, 2000", "marching 2 2000"]
)
def test_what_is_no_single_date_is_not_read(text: str) -> None:
    assert value(text, "date") is None


@pytest.mark.parametrize(
    "text",
    [
        "(34 weeks, 3 days)",
        "('34 weeks', '3 days')",
        "34 weeks and 3 days",
        "241 days",
        "34w3d",
        "34w 3d",
        "\\boxed{34\\text{ weeks, }3\\text{ days}}",
        "34 weeks, with a remainder of 3 days",
        "34 completed weeks and 3 days",
        "34 weeks and three days",
        "- 34 weeks\n- 3 days",
        "241 days / 7 = 34 weeks 3 days",
    ],
)
def test_lengths_of_time_are_in_days(text: str) -> None:
    assert value(text, "duration") == 34 * 7 + 3


@pytest.mark.parametrize(
    "text",
    ["34.4 weeks", "34 3/7 weeks", "34-35 weeks", "34 to 35 weeks", "34 weeks to 35 weeks", "2 months 3 days",
     "1 month and 2 weeks", "weeks: 34\ndays: 3"],
)  # fmt: skip
def test_lengths_that_are_not_whole_weeks_and_days_are_not_read(text: str) -> None:
    assert value(text, "duration") is None


def test_the_reason_names_what_was_found() -> None:
    assert read_value("The value is 70-75 mmHg", "number").reason == "several values: 70, 75"
    assert read_value("No idea", "date").reason == "no date"
    assert read_value(" ", "number").reason == "empty answer"


@given(st.floats(min_value=-1e6, max_value=1e6).map(lambda x: round(x, 3)))
def test_any_number_that_is_stated_is_read(number: float) -> None:
    assert value(f"After the calculation, the result is {number:,} mg/dL.") == pytest.approx(number)
    assert value(f"Answer: {number}") == pytest.approx(number)


@given(st.text(max_size=200))
def test_any_text_is_read_or_has_a_reason(text: str) -> None:
    for kind in ("number", "date", "duration"):
        reading = read_value(text, kind)
        assert (reading.value is None) == bool(reading.reason)
