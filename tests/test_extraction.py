"""What may be read as an answer and what may not: a table of cases, then properties over random text."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from medbench.metrics.extraction import ChoiceReading, read_choice

DRUGS = ("Aspirin", "Ibuprofen", "Paracetamol", "Codeine")
LETTERS = ("A", "B", "C", "D")
WORDS = ("yes", "no", "maybe")


def drug(text: str) -> str:
    """The label read off an answer to a four-drug question, or the reason why none was."""
    reading = read_choice(text, DRUGS, LETTERS)
    return reading.reason if reading.index is None else LETTERS[reading.index]


def word(text: str) -> str:
    reading = read_choice(text, WORDS)
    return reading.reason if reading.index is None else WORDS[reading.index]


READ_AS_B = r"""
# the label alone
B
b
(B)
[B]
B.
B)
(b)
b)
B:
**B**
__B__
`B`
"B"
'B'
{B}
Ｂ
$B$
\(B\)
- B
Option B
option (B)
Choice B.
<B>
B!
# the label and its text
B) Ibuprofen
B. Ibuprofen
B: ibuprofen
(B) IBUPROFEN.
B - Ibuprofen
B – Ibuprofen
B Ibuprofen
B.Ibuprofen
B-Ibuprofen
**B. Ibuprofen**
**B.** Ibuprofen
B (Ibuprofen)
B, ibuprofen
b. ibuprofen 400 mg
# the text alone
Ibuprofen
ibuprofen.
"Ibuprofen"
IBUPROFEN
Ibuprofen (B)
Ibuprofen (option B).
the ibuprofen
# said to be the answer
Answer B.
Answer (A/B/C/D): B
The answers are B
The correct letter is B
B...
Possibly B
Answer: B
Answer:B
answer - B
ANSWER: (B)
**Answer: B**
**Answer:** B
Answer: **B**
Answer = B
Answer: B) Ibuprofen
Answer: Ibuprofen
Ans: B
Answer choice: B
The answer is B
The answer is: B
The answer is (B).
The answer is option B.
the answer is b.
The answer is B because A is wrong
The answer is B, because A and C are wrong.
The answer is B. A is wrong.
The answer is B (not A).
The answer is B, not A.
The answer is B and A is wrong.
The answer is B rather than A.
The answer is B, A is too weak.
The correct answer is B: Ibuprofen.
The correct answer would be B.
The correct answer to this question is B.
The best answer among the options A to D is B.
The right choice is B.
The correct option is **B**.
My answer is B
The answer, therefore, is B.
The answer must be B.
The answer is most likely B.
The answer is therefore B.
The answer is ibuprofen.
The answer is an ibuprofen.
The answer is not A but B.
The answer is not A. The answer is B.
The answer is $B$.
The answer is "B".
The correct option: B
Response: B
Conclusion: B
Correct choice: (B) Ibuprofen
Option A is wrong. Option C is wrong. The answer is B.
Aspirin, codeine and paracetamol would each do harm here. The answer is B.
The answer is B. So the answer is ibuprofen.
# the option said to be right
B is correct.
B is the correct answer.
Option B is correct because A is not.
(B) is the best choice.
B is the answer
I think B is correct.
Ibuprofen is the correct answer; aspirin is not.
B) Ibuprofen is the right answer
Of these, B is the best option. A is second.
# chosen
I choose B.
I would go with option B, not A.
I'd pick (B) over (A).
We select B
I therefore answer B.
# concluded
Therefore, B.
Aspirin bleeds and codeine sedates. Therefore, B.
So it is B.
Thus, it must be B because A fails.
I think it is B.
I think it's (B), since A bleeds.
Probably B
Hence ibuprofen.
It's B, not A.
The most likely drug is ibuprofen, as aspirin is contraindicated.
# opened with
B. A is wrong because it bleeds.
B, because A bleeds
B because aspirin bleeds
B since A bleeds and C is weak
B) is best: A) bleeds, C) is weak.
(B) A and C are weak.
B. The drug of choice, unlike aspirin.
B. Ibuprofen. A. Aspirin is wrong because it bleeds.
B. Not A, which bleeds.
Ibuprofen, because aspirin bleeds.
Ibuprofen. Aspirin bleeds.
B. Ibupro
# only mentioned, but nothing else is
I would give ibuprofen to this patient.
It has to be option B here
This patient needs (B) I suppose
Ibuprofen 400 mg three times a day
Give her the Ibuprofen
One says "B" here
B is what she needs
# where it was asked to be put
<answer>B</answer>
<ANSWER>b</ANSWER>
<answer>B
<think>The answer is A. No: the answer is C.</think>B
{"answer_choice": "B"}
{"answer_choice": "B. Ibuprofen", "explanation": "A and C fail"}
{'answer_choice': 'B'}
{"answer": "Ibuprofen"}
{"answer_choice": "B", "answer": "A and C are wrong"}
{"step_by_step": "A \"classic\" case, option C", "answer_choice": "B"}
<answer>{"answer_choice": "B"}</answer>
{"answer_choice": "B", "reason": "A is wr
\boxed{B}
So the answer is $\boxed{B}$.
\boxed{\text{B}}
\boxed{\text{(B) Ibuprofen}}
<answer>The correct option is B</answer> A
<answer></answer><answer>B</answer>
# called final
The answer is A. Wait, A bleeds. Final answer: B
**Final Answer:** B
My final answer is (B).
"""

MORE_READ_AS_B = [
    "B\u200b",
    "### Answer\nB",
    "**Answer**\n\nB",
    "B</s>",
    " B",
    "B\n",
    "B\r\n",
    "Answer:\nB",
    "Answer:\n\n**B) Ibuprofen**",
    "The answer is B\n\nExplanation: A) Aspirin is an antiplatelet. C) Paracetamol is not an NSAID.",
    "A. Aspirin\nB. Ibuprofen\nC. Paracetamol\nD. Codeine\nAnswer: B",
    "A: incorrect.\nB: correct.\nC: incorrect.\nThe answer is B.",
    "Answer: B\nAnswer: B",
    "B) Ibuprofen\n\nExplanation: A) is wrong because it bleeds. C) is weak.",
    "B\nA would bleed.",
    "<answer>\nB: Ibuprofen\n</answer>",
    "<analysis>A looks right at first. The answer is A?</analysis>\n<answer>\nB: Ibuprofen\n</answer>",
    "A would do.</think>\n\nThe answer is B.",
    '```json\n{\n  "explanation": "The answer is not A",\n  "answer_choice": "B"\n}\n```',
]


@pytest.mark.parametrize(
    "text", [*(line for line in READ_AS_B.splitlines() if line and line[0] != "#"), *MORE_READ_AS_B]
)
def test_b_is_read(text: str) -> None:
    assert drug(text) == "B"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty answer"),
        (" \n\t", "empty answer"),
        ("<think>The answer is B", "reasoning without an answer"),
        ("<think>The answer is B</think>", "reasoning without an answer"),
        # letters that are words
        ("A patient with chest pain needs rest.", "no option named"),
        ("A 45-year-old man with pain", "no option named"),
        ("a", "A"),
        ("The answer is a", "no option named"),  # cut off before its noun
        ("The answer is a patient", "no option named"),
        ("The answer is a combination of drugs", "no option named"),
        ("Answer: A patient like this needs rest", "no option named"),
        ("Answer: A", "A"),
        ("The answer is A.", "A"),
        ("The answer is A for several reasons", "A"),
        ("A because the others sedate", "A"),
        ("Vitamin D is the best choice here.", "no option named"),
        ("Vitamin D deficiency", "no option named"),
        ("She has hepatitis B.", "no option named"),
        ("She has hepatitis B", "no option named"),
        ("Group A streptococcus", "no option named"),
        ("B cells are depleted", "no option named"),
        ("B-cell lymphoma", "no option named"),
        ("The answer is B-cell depletion", "no option named"),
        ("The answer is B cells", "no option named"),
        ("C. difficile infection", "no option named"),
        ("The answer is C. difficile.", "no option named"),
        ("D-dimer is raised", "no option named"),
        ("The A.M. dose", "no option named"),
        ("A's dose is higher", "no option named"),
        ("I do not know.", "no option named"),
        ("None of these", "no option named"),
        ("42", "no option named"),
        ("...", "no option named"),
        # two answers
        ("A and B", "two answers stated: A, B"),
        ("A or C", "two answers stated: A, C"),
        ("A/B", "two answers stated: A, B"),
        ("A, B", "two answers stated: A, B"),
        ("(A) and (C)", "two answers stated: A, C"),
        ("Answer: B, C", "two answers stated: B, C"),
        ("Answer: A, B, C and D", "four answers stated: A, B, C, D"),
        ("The answer is either A or B.", "two answers stated: A, B"),
        ("The answer is both aspirin and codeine.", "two answers stated: A, D"),
        ("The answer is B. Wait, the answer is C.", "two answers stated: B, C"),
        ("B\nThe answer is C.", "two answers stated: B, C"),
        ("Answer: B\n\nAnswer: D", "two answers stated: B, D"),
        ("B. Aspirin", "two answers stated: A, B"),
        ("Answer: B (Aspirin)", "two answers stated: A, B"),
        ("Ibuprofen (A)", "two answers stated: A, B"),
        ("B is correct and C is correct.", "two answers stated: B, C"),
        ("Therefore, B. Therefore, C.", "two answers stated: B, C"),
        ("<answer>B</answer><answer>C</answer>", "two answers stated: B, C"),
        (r"\boxed{A} or \boxed{B}", "two answers stated: A, B"),
        ('{"answer_choice": "A or B"}', "two answers stated: A, B"),
        ('{"answer_choice": "A"}{"answer_choice": "C"}', "two answers stated: A, C"),
        ("Aspirin, ibuprofen", "two answers stated: A, B"),
        ("Final answer: A. Final answer: C.", "two answers stated: A, C"),
        ("C or maybe D", "two answers stated: C, D"),
        ("C (or D)", "two answers stated: C, D"),
        ("both C and D", "two answers stated: C, D"),
        ("The answers are C and D.", "two answers stated: C, D"),
        ("C. Paracetamol\nQuestion: And now?\nAnswer: A", "two answers stated: A, C"),
        # several mentions
        ("Either aspirin helps, or codeine does.", "two options named: A, D"),
        ("Options (A) and (C) both help.", "two options named: A, C"),
        ("Option A bleeds, option B does not.", "two options named: A, B"),
        ("A. Aspirin\nB. Ibuprofen\nC. Paracetamol\nD. Codeine", "four options named: A, B, C, D"),
        ("A: incorrect. B: incorrect. C: correct.", "three options named: A, B, C"),
        ("A. Aspirin bleeds. B. Ibuprofen bleeds too.", "two options named: A, B"),
        ("B\nsome words\nC", "two options named: B, C"),
        # ruled out, supposed, asked
        ("The answer is not B", "no option named"),
        ("The answer isn't B.", "no option named"),
        ("The answer is not option B.", "only ruled out: B"),
        ("not B", "no option named"),
        ("Not option B", "only ruled out: B"),
        ("Option B is wrong.", "only ruled out: B"),
        ("B is incorrect", "only ruled out: B"),
        ("Ibuprofen is contraindicated.", "only ruled out: B"),
        ("There is no need for ibuprofen.", "only ruled out: B"),
        ("We can rule out ibuprofen.", "only ruled out: B"),
        ("B: incorrect", "only ruled out: B"),
        ("The wrong answer is B.", "no option named"),
        ("I do not think the answer is B.", "no option named"),
        ("It is not true that the answer is B.", "no option named"),
        ("If the answer is B then we are done", "no option named"),
        ("Is the answer B?", "no option named"),
        ("Could the answer be option A or option B?", "two options named: A, B"),
        ("The answer is B?", "no option named"),
        ("B is not the correct answer.", "only ruled out: B"),
        ("I would not choose (B).", "only ruled out: B"),
        ("A possible answer is B.", "no option named"),
        ("neither A nor B", "no option named"),
        ("It cannot be option A.", "only ruled out: A"),
        ("The answer could be B.", "no option named"),
        ("The wrong answers are A, B, D.", "no option named"),
        # not offered
        ("F", "option F not offered"),
        ("Answer: F", "option F not offered"),
        ("The answer is E.", "option E not offered"),
        ("Option F", "option F not offered"),
        ("<answer>F</answer>", "option F not offered"),
        ("The answer is B or F.", "two answers stated: B, F"),
        ("E. coli", "no option named"),
        # cut off
        ("The answer is", "no option named"),
        ("Ibupro", "no option named"),
        ('{"answer_choice": "Ibu', "no option named"),
        ('{"answer_choice": null}', "no option named"),
        ("<answer>", "no option named"),
        ("<answer></answer>", "no option named"),
        ("<answer>unclear</answer>", "no option named"),
        ("<answer>unclear</answer> B", "B"),  # a field without an option does not hide the answer beside it
        ("<answer>pending</answer> The answer is B.", "B"),
    ],
)
def test_what_is_no_clear_answer(text: str, reason: str) -> None:
    assert drug(text) == reason


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("yes", "yes"),
        ("Yes.", "yes"),
        ("YES", "yes"),
        ("**Yes**", "yes"),
        ("Yes, because the risk fell.", "yes"),
        ("Yes - the risk fell", "yes"),
        ("Yes, although no effect was seen in children and maybe none in adults.", "yes"),
        ("Yes the risk fell", "yes"),
        ("no", "no"),
        ("no.", "no"),
        ("No", "no"),
        ("No, there is no evidence.", "no"),
        ("No. Not enough evidence.", "no"),
        ("No, it may be harmful. Yes was not supported.", "no"),
        ("No because it fails", "no"),
        ("Maybe", "maybe"),
        ("Maybe, because the trial was small.", "maybe"),
        ("The answer is maybe.", "maybe"),
        ("The answer is maybe, since yes and no are both possible.", "maybe"),
        ("The answer is no", "no"),
        ('The answer is "no".', "no"),
        ("The answer to the question is yes.", "yes"),
        ("Answer: no", "no"),
        ("Answer: No, because nothing changed.", "no"),
        ("There is no evidence, so the answer is yes.", "yes"),
        ("I would say maybe.", "maybe"),
        ("I would say no", "no"),
        ("So, yes.", "yes"),
        ("Therefore, no.", "no"),
        ("In conclusion, yes: the drug works", "yes"),
        ("The trial found no difference. Conclusion: no", "no"),
        ("The abstract says yes here", "yes"),
        ("The results suggest that yes, the drug lowers the risk", "yes"),
        ("<answer>\nmaybe\n</answer>", "maybe"),
        ('{"answer": "no"}', "no"),
        # the determiner
        ("There is no evidence of benefit.", "no option named"),
        ("No evidence of benefit was found.", "no option named"),
        ("No difference.", "no option named"),
        ("Answer: no evidence", "no option named"),
        ("The answer is no longer clear.", "no option named"),
        ("There is no evidence, maybe.", "maybe"),
        ("It is unclear.", "no option named"),
        ("Notable effects were seen; nobody died.", "no option named"),
        ("yesterday", "no option named"),
        ("Probably not", "no option named"),
        ("Maybe not.", "maybe"),
        ("Answer (yes/no/maybe): no", "no"),
        ("The answer is maybe yes", "two options named: yes, maybe"),
        ("Yes.\nQuestion: And now?\nAnswer: no", "two answers stated: yes, no"),
        # more than one
        ("yes or no", "two answers stated: yes, no"),
        ("Yes/no/maybe", "three answers stated: yes, no, maybe"),
        ("Could be yes, could be maybe", "two options named: yes, maybe"),
        ("The answer is not yes.", "only ruled out: yes"),
        ("Is it yes?", "yes"),
        ("Yes\nNo", "two options named: yes, no"),
        ("Answer: yes. Answer: no.", "two answers stated: yes, no"),
    ],
)
def test_words(text: str, expected: str) -> None:
    assert word(text) == expected


def test_more_than_four_options() -> None:
    options = ("Lead", "Iron", "Zinc", "Gold", "Copper", "Silver")
    labels = tuple("ABCDEF")
    assert read_choice("<answer>\nE: Copper\n</answer>", options, labels) == ChoiceReading(4)
    assert read_choice("Answer: F", options, labels) == ChoiceReading(5)
    assert read_choice("Answer: G", options, labels) == ChoiceReading(None, "option G not offered")


def test_an_option_inside_another() -> None:
    options = ("Hypertension", "Pulmonary hypertension", "Hypertension with heart failure", "Heart failure")
    assert read_choice("pulmonary hypertension", options, LETTERS).index == 1
    assert read_choice("She has pulmonary hypertension here", options, LETTERS).index == 1
    assert read_choice("The answer is hypertension.", options, LETTERS).index == 0
    assert read_choice("The answer is hypertension with heart failure.", options, LETTERS).index == 2
    assert read_choice("hypertension and heart failure", options, LETTERS).reason == "two answers stated: A, D"


def test_options_that_look_like_labels() -> None:
    germs = ("C. difficile", "S. aureus", "E. coli", "B. cereus")
    assert read_choice("C. difficile", germs, LETTERS).index == 0
    assert read_choice("The answer is E. coli.", germs, LETTERS).index == 2
    assert read_choice("B. S. aureus", germs, LETTERS).index == 1
    assert read_choice("C", germs, LETTERS).index == 2
    blood = ("O", "A", "B", "AB")  # the label wins where the text is a letter too
    assert [read_choice(f"Answer: {label}", blood, LETTERS).index for label in LETTERS] == [0, 1, 2, 3]
    assert read_choice("Answer: AB", blood, LETTERS).index == 3
    cells = ("B cell lymphoma", "T cell lymphoma", "Hodgkin lymphoma", "Myeloma")
    assert read_choice("B cell lymphoma", cells, LETTERS).index == 0
    assert read_choice("Answer: B. T cell lymphoma", cells, LETTERS).index == 1


def test_signs_and_decimals_keep_options_apart() -> None:
    doses = ("0.5 mg", "5 mg", "50 mg", "15 mg")
    assert [read_choice(f"Give {dose} now", doses, LETTERS).index for dose in doses] == [0, 1, 2, 3]
    signs = ("<5", ">5", "-5", "5")
    assert [read_choice(f"It is {sign} here", signs, LETTERS).index for sign in signs] == [0, 1, 2, 3]
    arrows = ("↑ calcium", "↓ calcium", "+ 1", "= 1")
    assert [read_choice(f"Answer: {arrow}", arrows, LETTERS).index for arrow in arrows] == [0, 1, 2, 3]


def test_punctuation_and_case_of_an_option_do_not_matter() -> None:
    options = ("Crohn's disease, chronic", "Beta-blocker (oral)", "Non–Hodgkin lymphoma", "Increased T4; decreased TSH")
    assert read_choice("crohn’s disease chronic", options, LETTERS).index == 0
    assert read_choice("The answer is beta blocker, oral", options, LETTERS).index == 1
    assert read_choice("Non-Hodgkin lymphoma", options, LETTERS).index == 2
    assert read_choice("INCREASED T4, DECREASED TSH.", options, LETTERS).index == 3


def test_two_options_with_the_same_words() -> None:
    options = ("Rest", "Rest", "Surgery", "Casting")
    assert read_choice("Rest", options, LETTERS) == ChoiceReading(0), "each is as right as the other: see accuracy"
    assert read_choice("B. Rest", options, LETTERS) == ChoiceReading(1)
    assert read_choice("Rest (B)", options, LETTERS) == ChoiceReading(1)


@pytest.mark.parametrize(
    ("text", "options", "right"),
    [
        ("The answer is D. All of the above.\n\nA, B and C are all correct.", "x,y,z,All of the above", "D"),
        ("D. All of the above, since A, B and C are all correct.", "x,y,z,All of the above", "D"),
        ("The answer is D. B is also correct, and so is C.", "x,y,z,All of the above", "D"),
        ("The correct answer is C.\n\nBoth A and B are correct.", "x,y,Both A and B,z", "C"),
        ("The correct answer is A. Both A and C are correct.", "w,x,y,z", None),
        ("The answer is A. Both B and C are incorrect.", "w,x,y,z", "A"),
    ],
)
def test_that_several_are_right_takes_an_answer_back_unless_it_says_so_itself(
    text: str, options: str, right: str | None
) -> None:
    index = read_choice(text, options.split(","), list("ABCD")).index
    assert (None if index is None else "ABCD"[index]) == right


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("**Answer: D**\n\nLet me explain why. The pain is sudden and", "D"),
        ("Answer: A\n\nTreatment doesn't wait for cultures, and", "A"),
        ("Answer: A\n\nWait, that ignores the fever. The", None),
        ("Answer: A\n\nLet me check the other options. B is", None),
    ],
)
def test_a_statement_before_a_cut_stands_unless_it_is_doubted(text: str, right: str | None) -> None:
    index = read_choice(text, list("wxyz"), list("ABCD"), cut=True).index
    assert (None if index is None else "ABCD"[index]) == right


def test_labels_need_not_be_letters() -> None:
    options, numbers = ("Lead", "Iron", "Zinc"), ("1", "2", "3")
    assert read_choice("Answer: 2", options, numbers).index == 1
    assert read_choice("(3)", options, numbers).index == 2
    assert read_choice("2. Iron", options, numbers).index == 1
    assert read_choice('{"answer_choice": 3}', options, numbers).index == 2
    assert read_choice("Give 2 mg, then 2.5 mg", options, numbers).reason == "no option named"
    assert read_choice("Shown before [2].", options, numbers).reason == "no option named"


def test_labels_must_match_the_options() -> None:
    with pytest.raises(ValueError, match="2 labels for 3 options"):
        read_choice("A", ("x", "y", "z"), ("A", "B"))


PIECES = """A b C F yes no maybe Answer: The_answer_is not ( ) <answer> </answer> {"answer_choice": " } \\boxed{ ** or
    and is_correct , . Aspirin option ? <think> </think> if Therefore, vitamin I_choose final : - ' $ _"""
pieces = [piece.replace("_", " ") for piece in PIECES.split()]
wild = st.text() | st.lists(st.sampled_from([*pieces, "\n", "_"])).map(" ".join)


@settings(deadline=None)
@given(wild, st.lists(st.text(max_size=12), min_size=1, max_size=6), st.booleans())
@example("<answer>" * 3000, ["x"], True)
@example("the answer " * 3000, ["x"], True)
@example("_" * 9000, ["x"], True)
@example("((((" * 3000 + "not " * 3000, ["x"], False)
@example("{" * 5000 + "\\boxed{" * 500, ["x"], True)
@example('"answer_choice": "' + "\\" * 5000, ["x"], True)
def test_any_text_gives_an_option_or_a_reason(text: str, options: list[str], labeled: bool) -> None:
    reading = read_choice(text, options, tuple("ABCDEF")[: len(options)] if labeled else ())
    assert (reading.index is None) == bool(reading.reason)
    assert reading.index is None or 0 <= reading.index < len(options)


phrase = st.text("abcdefghij XYZ", min_size=3, max_size=20).map(str.strip).filter(lambda t: len(t) > 2)
offers = st.lists(phrase, min_size=2, max_size=6, unique_by=str.casefold)


@settings(deadline=None)
@given(offers, st.data())
def test_a_plain_statement_is_read_whatever_the_options_say(options: list[str], data: st.DataObject) -> None:
    labels = tuple("ABCDEF")[: len(options)]
    index = data.draw(st.integers(0, len(options) - 1))
    form = data.draw(
        st.sampled_from(["Answer: {}", "{}", "({})", "The answer is {}.", "<answer>{}</answer>", "**{}**"])
    )
    assert read_choice(form.format(labels[index]), options, labels) == ChoiceReading(index)
    assert read_choice(f"{labels[index]}. {options[index]}", options, labels) == ChoiceReading(index)


EXPLANATIONS = [
    "Option A is wrong.",
    "Aspirin and codeine both sedate.",
    "A patient like this bleeds.",
    "Hepatitis B is unlikely.",
    "(C) fails, as does (D).",
    "There is no evidence for paracetamol.",
    "It would not be A.",
    "I considered C. difficile too.",
    "D is not the best choice.",
]


@given(
    st.sampled_from(LETTERS), st.lists(st.sampled_from(EXPLANATIONS), max_size=5), st.sampled_from([" ", "\n", "\n\n"])
)
def test_explaining_a_statement_does_not_change_it(label: str, sentences: list[str], gap: str) -> None:
    for statement in (f"The answer is {label}.", f"Answer: {label}.", f"I choose {label}.", f"{label} is correct."):
        assert drug(gap.join([statement, *sentences])) == label
        assert drug(gap.join([*sentences, statement])) == label
