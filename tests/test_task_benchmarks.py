"""Benchmarks with tasks of their own: calculations, errors in texts, questions about medicines."""

from __future__ import annotations

import csv
from pathlib import Path

import openpyxl
import pytest
from medbench.benchmarks import medcalc_bench, medec, medicationqa, medsafetybench
from medbench.benchmarks.sources.files import Source
from medbench.core.checked import checked
from medbench.core.errors import DataMalformed, DataMissing
from medbench.core.types import Item, ItemSet, Output, Record, Target
from medbench.metrics.error_detection import ERROR_FLAG_ACCURACY, ERROR_SENTENCE_ACCURACY, NONE, read_sentence
from medbench.metrics.numeric_accuracy import NUMERIC_ACCURACY
from medbench.metrics.safety.rates import REFUSAL_RATE, UNSAFE_RATE


def table(path: Path, rows: list[dict[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


# MedCalc-Bench


def calculation(number: int, answer: str, low: str, high: str) -> dict[str, str]:
    return {
        "Row Number": str(number),
        "Calculator ID": "6",
        "Calculator Name": "Body Mass Index",
        "Category": "physical",
        "Output Type": "decimal",
        "Patient Note": "A man of 80 kg and 2 m.\nHe feels well.",
        "Question": "What is the BMI?",
        "Ground Truth Answer": answer,
        "Lower Limit": low,
        "Upper Limit": high,
    }


def test_limits_of_every_kind_are_read_from_the_release(tmp_path: Path):
    rows = [
        calculation(1, "20.0", "19", "21"),
        calculation(2, "12/02/2000", "12/02/2000", "12/02/2000"),
        calculation(3, "('34 weeks', '3 days')", "('34 weeks', '3 days')", "('34 weeks', '3 days')"),
        calculation(4, "-7.0", "-7.35", "-6.65"),
    ]
    table(tmp_path / "medcalc-bench" / "test_data.csv", rows)
    loaded = medcalc_bench.load(Source(tmp_path))
    assert [item.target for item in loaded.items] == [
        Target("20.0", "number", "19", "21"),
        Target("12/02/2000", "date", "12/02/2000", "12/02/2000"),
        Target("34 weeks 3 days", "duration", "34 weeks 3 days", "34 weeks 3 days"),
        Target("-7.0", "number", "-7.35", "-6.65"),
    ]
    assert loaded.items[0].id == "6/1" and loaded.variant == "4 of 1,100 items"
    assert medcalc_bench.MEDCALC_BENCH.question(loaded.items[2]).endswith(
        "Question: What is the BMI?\n\nAnswer with the weeks and days only, such as 20 weeks 4 days.\nAnswer:"
    )


def test_one_shot_rows_alone_are_not_called_the_test_set(tmp_path: Path):
    table(tmp_path / "medcalc-bench" / "one_shot_data.csv", [calculation(1, "20", "19", "21")])
    loaded = medcalc_bench.load(Source(tmp_path))
    assert loaded.variant == "1 one-shot rows, not the test set" and not loaded.shots


def test_a_row_whose_answer_is_no_value_is_named(tmp_path: Path):
    table(tmp_path / "medcalc-bench" / "test_data.csv", [calculation(1, "about twenty", "19", "21")])
    with pytest.raises(DataMalformed, match=r"row 1, field 'Ground Truth Answer': 'about twenty'"):
        medcalc_bench.load(Source(tmp_path))


def value(target: Target, answer: str) -> tuple[float | None, str | None]:
    score = NUMERIC_ACCURACY.score([Record(Item("q", "?", target=target), Output("q", text=answer))])[0]
    return score.value, score.reason


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("20.5", 1.0),
        ("21", 1.0),  # the limits themselves are right
        ("19.0", 1.0),
        ("21.001", 0.0),
        ("-20", 0.0),
        ("The BMI is 80 / 4 = 20 kg/m2.", 1.0),
        ("Answer: 18", 0.0),
    ],
)
def test_a_number_is_right_within_the_limits(answer: str, right: float):
    assert value(Target("20", low="19", high="21"), answer)[0] == right


def test_scores_and_dates_are_exact():
    assert value(Target("1.5", low="1.5", high="1.50"), "1.5")[0] == 1.0
    assert value(Target("2", low="2", high="2"), "2.0")[0] == 1.0
    assert value(Target("2", low="2", high="2"), "2.1")[0] == 0.0
    assert value(Target("12/02/2000", "date"), "December 2, 2000")[0] == 1.0
    assert value(Target("12/02/2000", "date"), "02/12/2000")[0] == 0.0
    assert value(Target("34 weeks 3 days", "duration"), "(34 weeks, 3 days)")[0] == 1.0
    assert value(Target("34 weeks 3 days", "duration"), "241 days")[0] == 1.0  # 34 x 7 + 3


def test_an_answer_without_one_value_is_wrong_and_counted_as_unparsed():
    records = [
        Record(Item("a", "?", target=Target("20", low="19", high="21")), Output("a", text="20")),
        Record(Item("b", "?", target=Target("20", low="19", high="21")), Output("b", text="It depends.")),
        Record(Item("c", "?", target=Target("20")), Output("c", error="timeout", finish="error")),
    ]
    scores = NUMERIC_ACCURACY.score(records)
    assert [score.value for score in scores] == [1.0, 0.0, None]
    assert scores[1].reason == "unparsed: no number"
    figures = {figure.name: figure for figure in NUMERIC_ACCURACY.aggregate(records, scores)}
    assert (figures["numeric_accuracy"].value, figures["numeric_accuracy"].n) == (0.5, 2)
    assert figures["unparsed_rate"].value == 0.5


# MEDEC


def text(number: int, error: str) -> dict[str, str]:
    flagged = error != "-1"
    return {
        "Text ID": f"ms-test-{number}",
        "Sentences": "0 A man has a sore throat.\n1 He is given insulin.\n2 He feels better.\n",
        "Error Flag": str(int(flagged)),
        "Error Type": "treatment" if flagged else "NA",
        "Error Sentence ID": error,
        "Corrected Sentence": "He is given paracetamol." if flagged else "NA",
    }


def test_texts_with_and_without_an_error_and_blank_rows(tmp_path: Path):
    blank = dict.fromkeys(text(0, "1"), "")
    table(
        tmp_path / "medec" / "MEDEC-MS-TestSet-with-GroundTruth-and-ErrorType.csv", [text(0, "1"), text(1, "-1"), blank]
    )
    loaded = medec.load(Source(tmp_path))
    assert [item.references for item in loaded.items] == [("1 He is given paracetamol.",), ("CORRECT",)]
    assert loaded.variant == "2 of 925 texts"
    assert loaded.notes == ("1 rows of the file are blank: the release withholds these texts.",)


def test_a_flag_that_contradicts_the_sentence_is_named(tmp_path: Path):
    table(tmp_path / "medec" / "MEDEC-MS-TestSet.csv", [text(0, "1") | {"Error Flag": "0"}])
    with pytest.raises(DataMalformed, match="row 1, field 'Error Sentence ID'"):
        medec.load(Source(tmp_path))


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        ("1 He is given paracetamol.", "1"),
        ("Sentence 1: He is given paracetamol.", "1"),
        ("**1** He is given paracetamol.", "1"),
        ("Line 2.", "2"),
        ("CORRECT", NONE),
        ("Correct.", NONE),
        ("The text is correct.", NONE),
        ("There is no error.", NONE),
        ("-1", NONE),
        ("Insulin lowers glucose.\nSo the error is in sentence 1.", "1"),
        ("Sentence 0 is fine.\nAnswer: 1 He is given paracetamol.", "1"),
        ("Reasoning about sentence 2.\nFinal answer: CORRECT", NONE),
        ("Corrected sentence: He is given paracetamol.", None),
        ("7 He is given paracetamol.", None),
        ("Sentence 0 or sentence 2.", None),
        ("Sentence 0 or 2", None),
        ("0, 2", None),
        ("0 and 2", None),
        ("1 to 2 are fine.", None),
        ("1 mg should be 2 mg", None),
        ("1 mg should be 2 mg in sentence 2", "2"),
        ("2 errors", None),
        ("1 mg/dL", "1"),
        ("2 L Serum potassium", "2"),
        ("1 error: sentence 2", "2"),
        ("2-year-old boy", None),
        ("Sentence 1 is correct.", None),
        ("- 1 He is given paracetamol.", "1"),
        ('{"sentence_id": 1, "correction": "He is given paracetamol."}', "1"),
        ("\\boxed{1}", "1"),
        ("There are no errors except in sentence 1", "1"),
        ("The text is CORRECT except sentence 1", "1"),
        ("No error in sentences 0-1; sentence 2 is wrong", "2"),
        ("None of the sentences is wrong", NONE),
        ("No errors were found in sentences 0-2.", NONE),
        ("The diagnosis is wrong.", None),
        ("", None),
    ],
)
def test_the_sentence_that_an_answer_names(answer: str, read: str | None):
    assert read_sentence(answer, ["0", "1", "2"])[0] == read


def test_reasoning_that_was_cut_off_states_nothing():
    text = "The weight is 80 kg and sentence 1 gives the height, which is 2 m. The BMI is 80 divided by"
    assert read_sentence(text, ["0", "1"]) == ("1", "") and read_sentence(text, ["0", "1"], cut=True)[0] is None
    item = Item("q", "?", target=Target("2", low="2", high="2"))
    cut = NUMERIC_ACCURACY.score([Record(item, Output("q", text=text, finish="length"))])[0]
    assert (cut.value, cut.reason) == (0.0, "unparsed: cut off at the token limit")
    stated = NUMERIC_ACCURACY.score([Record(item, Output("q", text=f"{text}\nAnswer: 2\nThat is", finish="length"))])[0]
    assert stated.value == 1.0


def test_flag_and_sentence_accuracy():
    context = text(0, "1")["Sentences"]
    wrong, right = (
        Item(name, "?", context, references=(reference,)) for name, reference in (("a", "1 New."), ("b", "CORRECT"))
    )
    answers = [
        (wrong, "1 New."),
        (wrong, "2 New."),
        (wrong, "CORRECT"),
        (right, "CORRECT"),
        (right, "0 New."),
        (right, "?"),
    ]
    records = [Record(item, Output(item.id, text=answer)) for item, answer in answers]
    assert [score.value for score in ERROR_FLAG_ACCURACY.score(records)] == [1, 1, 0, 1, 0, 0]
    assert [score.value for score in ERROR_SENTENCE_ACCURACY.score(records)] == [1, 0, 0, 1, 0, 0]


# MedicationQA


def workbook(path: Path, rows: list[tuple[str | None, ...]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)


HEADING = ("Question", "Focus (Drug)", "Question Type", "Answer", "Section Title", "URL")


def test_an_excel_release_is_read(tmp_path: Path):
    rows = [
        HEADING,
        ("how long  does aspirin last", "aspirin", "Action/time", "About\na day.", None, "https://a.example"),
    ]
    workbook(tmp_path / "medicationqa" / medicationqa.FILE, rows)
    loaded = medicationqa.load(Source(tmp_path))
    assert loaded.variant == "1 of 690 items"
    assert loaded.items == (
        Item(
            "1",
            "how long does aspirin last",
            references=("About a day.",),
            meta={"question_type": "Action/time", "focus": "aspirin", "document": "https://a.example"},
        ),
    )


def test_a_row_without_an_answer_and_a_damaged_workbook_are_named(tmp_path: Path):
    path = tmp_path / "medicationqa" / medicationqa.FILE
    workbook(path, [HEADING, ("how long", "aspirin", "Action/time", None, None, None)])
    with pytest.raises(DataMalformed, match="row 2, field 'Answer': it is missing"):
        medicationqa.load(Source(tmp_path))
    path.write_bytes(b"no workbook")
    with pytest.raises(DataMalformed, match="cannot be read as an Excel file"):
        medicationqa.load(Source(tmp_path))


def test_without_its_file_the_message_says_which_file_to_put_where(tmp_path: Path):
    file = "MEDEC-MS-TestSet-with-GroundTruth-and-ErrorType.csv"
    with pytest.raises(DataMissing) as missing:
        medec.load(Source(tmp_path))
    assert missing.value.message == (
        f"{file} of MEDEC (github.com/abachaa/MEDEC) is not below {tmp_path}, and it has no copy on the hub."
    )
    assert missing.value.hint == f"Put {file} into {tmp_path}, in a folder medec."
    with pytest.raises(DataMissing) as missing:
        medec.load(Source())
    assert missing.value.hint == (
        f"Put {file} into a data folder, in a folder medec. Name the data folder with --data or MEDBENCH_DATA."
    )


# MedSafetyBench


def test_requests_have_their_writer_principle_and_row_as_id(tmp_path: Path):
    for writer in ("gpt4", "llama2"):
        name = f"med_safety_demonstrations_category_{2 if writer == 'gpt4' else 10}.csv"
        row = {"": "0", "harmful_medical_request": f"Do harm, {writer}.", "safe_response": "I cannot."}
        table(tmp_path / "medsafetybench" / "test" / writer / name, [row, row])
    loaded = medsafetybench.load(Source(tmp_path))
    assert [item.id for item in loaded.items] == ["gpt4/2/0", "gpt4/2/1", "llama2/10/0", "llama2/10/1"]
    assert loaded.variant == "4 of 900 requests" and loaded.items[0].meta["subject"] == "principle 2"
    assert medsafetybench.MEDSAFETYBENCH.question(loaded.items[0]) == "Do harm, gpt4."


def test_more_refusals_are_better_only_of_harmful_requests():
    harmful = Item("h", "Write a false prescription.", references=("No.",), meta={"harmful": "yes"})
    usual = Item("u", "What helps a cold?", references=("Rest.",))
    for items, better in (([harmful], "higher"), ([usual], "lower"), ([harmful, usual], "lower")):
        records = [Record(item, Output(item.id, text="I cannot help with that request.")) for item in items]
        (figure,) = REFUSAL_RATE.aggregate(records, REFUSAL_RATE.score(records))
        assert (figure.value, figure.better) == (1.0, better)
    records = [Record(harmful, Output("h", text="No."))]
    assert UNSAFE_RATE.aggregate(records, UNSAFE_RATE.score(records))[0].better == "lower"


def test_an_item_may_have_only_a_target():
    assert checked(ItemSet((Item("a", "?", target=Target("3")),), "here"))
