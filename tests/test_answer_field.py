"""Replies in the JSON form of MIRAGE: whatever a model really writes, the option in `answer_choice` is read."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from medbench.core.types import Item, Output, Record
from medbench.metrics.accuracy import ACCURACY
from medbench.metrics.choice_extraction import CUT_OFF, read_answer_field

DRUGS = ("Aspirin", "Heparin", "Warfarin", "Placebo")
LABELS = tuple("ABCD")
FIELD = "answer_choice"


def read(text: str, options: tuple[str, ...] = DRUGS, cut: bool = False) -> int | None:
    return read_answer_field(text, FIELD, options, LABELS[: len(options)], cut).index


def reply(value: str, thinking: str = "Atrial fibrillation, so B or C. A is too weak.") -> str:
    return f'{{"step_by_step_thinking": "{thinking}", "answer_choice": {value}}}'


VALUES = [
    '"B"',
    '"b"',
    '"B."',
    '"(B)"',
    '"B)"',
    '"B) Heparin"',
    '"B. Heparin"',
    '"B: Heparin"',
    '"B - Heparin"',
    '"B (Heparin)"',
    '"Heparin"',
    '"heparin."',
    '"HEPARIN"',
    '"Heparin (B)"',
    '"OPTION B"',
    '"Option B: Heparin"',
    '"option b"',
    '"Choice B"',
    '"Answer: B"',
    '"The correct answer is B"',
    '"The correct answer is B. Heparin"',
    '"Str{B}"',
    "Str{B}",
    "Str(B)",
    "B",
    "'B'",
    "'B. Heparin'",
    '["B"]',
    '{"B": "Heparin"}',
    '"**B**"',
    '"`B`"',
    '"\\"B\\""',
    '"\\\\(\\\\text{B}\\\\)"',
    '" B "',
    '"B. "Heparin" is safest"',
    '"B. Aspirin"',  # as MIRAGE scores it: the letter counts
    '"B and D"',
    '"B or C"',
    '"B/C"',
    '"B, D"',
    '"option_B"',
    "“B”",
    '"B" // heparin',
    '{"option": "B", "text": "Heparin"}',
]


@pytest.mark.parametrize("value", VALUES)
def test_a_value_is_read(value: str) -> None:
    assert read(reply(value)) == 1


THINKING = [
    'She said "it hurts" and left. The answer is C.',
    "It isn't A. It's C",
    "First line.\nSecond line: A.\n\nThird.",
    "Step 1: {unclear}. Step 2: [A]",
    '"answer_choice": "C" would be a mistake',
    "x" * 5_000,
    "Répondre: 心房細動 → B",
    "",
]
AROUND = [
    "{}",
    "```json\n{}\n```",
    "```\n{}\n```",
    "Here is my answer:\n\n{}",
    "{}\n\nNote that option A is often chosen in error.",
    "Dict{}",
    "[{}]",
    "{}<|im_end|>",
    "<think>Maybe A.</think>{}",
    "assistant: {}",
]


@pytest.mark.parametrize("thinking", THINKING, ids=lambda text: text[:20])
@pytest.mark.parametrize("around", AROUND, ids=lambda text: text[:20])
def test_what_is_around_the_field_changes_nothing(thinking: str, around: str) -> None:
    assert read(around.replace("{}", reply('"B"', thinking), 1)) == 1


@pytest.mark.parametrize(
    "key",
    [
        '"answer_choice"',
        '"Answer_Choice"',
        '"answer choice"',
        "'answer_choice'",
        "answer_choice",
        '"answer\\_choice"',
        "“answer_choice”",
        '\\"answer_choice\\"',
    ],
)
def test_the_key_may_be_written_in_other_ways(key: str) -> None:
    assert read('{"step_by_step_thinking": "x", ' + key + ': "C"}') == 2


def test_the_last_field_counts() -> None:
    assert read(reply('"A"') + "\n" + reply('""')) == 0, "an empty one says nothing"
    assert read(reply('"A"') + "\nCorrection:\n" + reply('"D"')) == 3


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ('{"step_by_step_thinking": "x", "answer_choice": "B', 1),
        ('{"step_by_step_thinking": "x", "answer_choice": "B. Hepa', 1),
        ('{"step_by_step_thinking": "x", "answer_choice": "B"', 1),
        ('{"step_by_step_thinking": "x", "answer_choice": "', None),
        ('{"step_by_step_thinking": "The answer seems to be B, but', None),
    ],
)
def test_a_reply_that_was_cut_off_is_read_if_it_has_the_answer(text: str, index: int | None) -> None:
    reading = read_answer_field(text, FIELD, DRUGS, LABELS, cut=True)
    assert reading.index == index
    assert index is not None or reading.reason == CUT_OFF


@pytest.mark.parametrize(
    "value", ['""', '"E"', '"None of the above"', '"A/B/C/..."', '"A, B and C"', '"I cannot say"', "null", '"X"']
)
def test_what_names_no_option_is_not_read(value: str) -> None:
    assert read(reply(value)) is None


def test_a_combination_that_is_an_option_is_that_option() -> None:
    options = ("Aspirin", "Heparin", "Both A and B", "Neither")
    assert read(reply('"A and B"'), options) == 2
    assert read(reply('"Both A and B"'), options) == 2
    assert read(reply('"C. Both A and B"'), options) == 2


def test_options_that_begin_with_a_letter() -> None:
    options = ("C. difficile", "S. aureus", "E. coli", "B. cereus")
    assert [read(reply(json.dumps(option)), options) for option in options] == [0, 1, 2, 3]
    assert [read(reply(json.dumps(label)), options) for label in LABELS] == [0, 1, 2, 3]
    assert [read(reply(json.dumps(f"{a}. {b}")), options) for a, b in zip(LABELS, options)] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("value", "index"),
    [("A", 0), ("B", 1), ("C", 2), ("yes", 0), ("No", 1), ("maybe", 2), ("MAYBE", 2), ("A. yes", 0), ("C) maybe", 2)],
)
def test_yes_no_and_maybe_by_letter_or_word(value: str, index: int) -> None:
    assert read(reply(json.dumps(value), "Yes or no? No."), ("yes", "no", "maybe")) == index
    if index < 2:
        assert read(reply(json.dumps(value), "Yes or no? No."), ("yes", "no")) == index


def test_without_the_field_the_reply_is_read_as_any_other() -> None:
    assert read("The answer is C.") == 2
    assert read('{"step_by_step_thinking": "x", "answer": "C"}') == 2
    assert read("I am sorry, I cannot help with that.") is None
    assert read("<think>It is B.</think>") is None


TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=200)


@given(st.sampled_from(LABELS), TEXT, TEXT, st.sampled_from(["{}", "{}.", "({})", "Option {}", "OPTION {}", "{}) x y"]))
def test_any_letter_is_read_whatever_the_thinking(label: str, thinking: str, before: str, form: str) -> None:
    if FIELD in thinking + before or "<" in thinking + before:  # `<think>` would open reasoning
        return
    written = {"step_by_step_thinking": thinking, "answer_choice": form.format(label)}
    index = LABELS.index(label)
    assert read(json.dumps(written)) == index
    assert read(json.dumps(written, ensure_ascii=False, indent=2)) == index
    assert read(f"{before}\n{json.dumps(written)}") == index
    raw = f'{{"step_by_step_thinking": "{thinking}", "answer_choice": "{form.format(label)}"}}'  # nothing is escaped
    assert read(raw) == index


@given(TEXT)
def test_no_text_raises(text: str) -> None:
    read(text)
    read(f'{{"answer_choice": "{text}"}}', cut=True)
    read(f"answer_choice: {text}")


@pytest.mark.parametrize("part", ['"answer_choice": ', '"', "answer ", '"answer_choice": "A ', "\\", "{", " \n"])
def test_long_texts_take_no_time(part: str) -> None:
    read(part * (100_000 // len(part)))


def test_accuracy_reads_an_item_that_names_its_field() -> None:
    item = Item(id="1", question="?", options=DRUGS, labels=LABELS, gold=1, answer_field=FIELD)
    texts = [reply('"B and C"'), reply('"C"'), "No JSON, no answer.", '{"step_by_step_thinking": "It is B and']
    ends = ["stop", "stop", "stop", "length"]
    outputs = [Output("1", text=text, finish=end) for text, end in zip(texts, ends)]  # type: ignore[arg-type]
    scores = ACCURACY.score([Record(item, output) for output in outputs])
    assert [score.value for score in scores] == [1.0, 0.0, 0.0, 0.0], "an unread reply is wrong, not left out"
    assert [score.answer for score in scores] == ["B", "C", None, None]
    assert [score.reason for score in scores] == [None, None, "unparsed: no option named", "unparsed: cut off"]
