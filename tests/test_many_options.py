"""Benchmarks with up to ten options: official files and hub copies give the same items, and errors name the row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from medbench.benchmarks import careqa, headqa, medbullets, medxpertqa, mmlu_pro_health
from medbench.benchmarks.sources.files import HubRows, Source
from medbench.core import registry
from medbench.core.errors import DataMalformed
from medbench.core.types import Item, Output, Record
from medbench.metrics.choice_extraction import read_choice

Rows = list[dict[str, Any]]


class Hub(Source):
    """A hub that holds the given splits, each under (config, split); no folder."""

    def __init__(self, splits: dict[tuple[str | None, str], Rows]) -> None:
        super().__init__(None)
        self.splits = splits

    def hub(self, repository: str, split: str, config: str | None = None, needed: str = "") -> HubRows:
        return HubRows(self.splits.get((config, split), []), f"hub:{repository}@5eed5eed")


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text, encoding="utf-8")


# Medbullets


def columns(count: int) -> dict[str, dict[str, str]]:
    """A release of two invented questions, the right option last in the first question and first in the second."""
    letters = "ABCDE"[:count]
    rows = {
        "link": ["https://step2.medbullets.com/testview?qid=217175", "https://bit.ly/3GZtkBx"],
        "question": ["Which vitamin is made by the skin?", "Which organ makes bile?"],
        "answer_idx": [letters[-1], "A"],
        "answer": [f"right {letters[-1]}", "right A"],
        "explanation": ["…", "…"],
    }
    for letter in letters:
        rows[f"op{letter.lower()}"] = [
            f"right {letter}" if letter == letters[-1] else f"wrong {letter}",
            f"right {letter}" if letter == "A" else f"wrong {letter}",
        ]
    return {name: {str(number): value for number, value in enumerate(values)} for name, values in rows.items()}


@pytest.mark.parametrize("count", [4, 5])
def test_medbullets_folder_and_hub_give_the_same_items(tmp_path: Path, count: int) -> None:
    release = columns(count)
    write(tmp_path / "medbullets" / f"medbullets_op{count}.json", release)
    from_folder = medbullets.load(count, Source(tmp_path))
    on_the_hub = [
        {
            "link": release["link"][row],
            "question": release["question"][row],
            "options": {letter: release.get(f"op{letter.lower()}", {}).get(row) for letter in "ABCDE"},
            "answer": release["answer_idx"][row],
        }
        for row in ("0", "1")
    ]
    from_hub = medbullets.load(count, Hub({(None, f"op{count}_test"): on_the_hub}))
    assert from_folder.items == from_hub.items
    assert [item.id for item in from_folder.items] == ["217175", "3GZtkBx"]
    assert [item.gold for item in from_folder.items] == [count - 1, 0]
    assert from_folder.variant == "2 of 308 items"


def test_medbullets_whose_letter_and_text_disagree_is_refused(tmp_path: Path) -> None:
    release = columns(4)
    release["answer"]["1"] = "wrong B"
    write(tmp_path / "medbullets" / "medbullets_op4.json", release)
    with pytest.raises(DataMalformed, match="row 1, field 'answer': it is not the text of option A"):
        medbullets.load(4, Source(tmp_path))


# MedXpertQA


def expert(number: int, label: str = "J") -> dict[str, Any]:
    texts = {letter: f"option {letter} of {number}" for letter in "ABCDEFGHIJ"}
    listing = " ".join(f"({letter}) {text}" for letter, text in texts.items())
    return {
        "id": f"Text-{number}",
        "question": f"What is number {number}?\nAnswer Choices: {listing}",
        "options": [{"letter": letter, "content": text} for letter, text in texts.items()],
        "label": [label],
        "medical_task": "Diagnosis",
        "body_system": "Digestive",
        "question_type": "Reasoning",
    }


def as_on_the_hub(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"options": {o["letter"]: o["content"] for o in row["options"]}, "label": row["label"][0]}


def test_medxpertqa_shows_its_options_once_and_counts_ten(tmp_path: Path) -> None:
    rows = [expert(1), expert(2, "A")]
    write(tmp_path / "medxpertqa" / "medxpertqa_sampled_text_input.jsonl", "\n".join(map(json.dumps, rows)))
    from_folder = medxpertqa.load(Source(tmp_path))
    from_hub = medxpertqa.load(Hub({("Text", "test"): [*map(as_on_the_hub, rows)]}))
    assert from_folder.items == from_hub.items
    first = from_folder.items[0]
    assert (first.question, first.labels[first.gold or 0], len(first.options)) == ("What is number 1?", "J", 10)
    assert first.meta == {"subject": "Diagnosis", "body_system": "Digestive", "question_type": "Reasoning"}
    prompt = registry.get("benchmarks", "medxpertqa").question(first)
    assert prompt.count("option J of 1") == 1 and prompt.endswith("J. option J of 1\nAnswer:")


def test_medxpertqa_takes_its_examples_from_the_development_split() -> None:
    rows = {("Text", "test"): [as_on_the_hub(expert(1))], ("Text", "dev"): [as_on_the_hub(expert(9))]}
    assert [shot.id for shot in medxpertqa.load(Hub(rows)).shots] == ["Text-9"]


def test_the_tenth_of_ten_options_is_read_and_scored() -> None:
    item = medxpertqa.load(Hub({("Text", "test"): [as_on_the_hub(expert(1))]})).items[0]
    assert read_choice("The answer is (J) option J of 1.", item.options, item.labels).index == 9
    accuracy = registry.get("metrics", "accuracy")
    records = [
        Record(item, Output(item.id, logprobs=tuple(-float(abs(9 - place)) - 1 for place in range(10)))),
        Record(item, Output(item.id, text="Answer: I")),
    ]
    assert [score.value for score in accuracy.score(records)] == [1.0, 0.0]


# MMLU-Pro, category health


def pro(number: int, category: str = "health", options: int = 10) -> dict[str, Any]:
    return {
        "question_id": number,
        "question": f"Question {number}?",
        "options": [f"choice {place}" for place in range(options)],
        "answer": "C",
        "answer_index": 2,
        "category": category,
        "src": "ori_mmlu-anatomy",
    }


def test_mmlu_pro_health_is_the_category_alone(tmp_path: Path) -> None:
    rows = [pro(1), pro(2, "law"), pro(3, options=4)]
    (tmp_path / "mmlu-pro").mkdir()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "mmlu-pro" / "test-00000.parquet")
    from_hub = mmlu_pro_health.load(Hub({(None, "test"): rows, (None, "validation"): [pro(8), pro(9, "law")]}))
    assert mmlu_pro_health.load(Source(tmp_path)).items == from_hub.items
    assert [(item.id, len(item.options), item.gold) for item in from_hub.items] == [("1", 10, 2), ("3", 4, 2)]
    assert [shot.id for shot in from_hub.shots] == ["8"]


def test_mmlu_pro_whose_letter_and_position_disagree_is_refused() -> None:
    with pytest.raises(DataMalformed, match="field 'answer_index'"):
        mmlu_pro_health.load(Hub({(None, "test"): [pro(1) | {"answer_index": 3}]}))


# HEAD-QA


def exam_row(number: int, image: object = "") -> dict[str, Any]:
    answers = [{"aid": place, "atext": f"text {place}"} for place in range(1, 5)]
    return {"qid": str(number), "qtext": f"Question {number}?", "ra": "3", "answers": answers, "image": image}


def test_headqa_leaves_out_questions_that_need_their_image(tmp_path: Path) -> None:
    data = [exam_row(1), exam_row(2, "fig2.png"), exam_row(3)]
    write(
        tmp_path / "headqa" / "test_HEAD_EN.json",
        {"exams": {"Cuaderno_2016_1_M": {"category": "medicine", "data": data}}},
    )
    about = {"name": "Cuaderno_2016_1_M", "category": "medicine"}
    hub_rows = [about | row | {"qid": int(row["qid"]), "ra": 3, "image": row["image"] or None} for row in data]
    from_folder = headqa.load(Source(tmp_path))
    from_hub = headqa.load(Hub({("en", "test"): hub_rows}))
    assert from_folder.items == from_hub.items
    assert [(item.id, item.gold) for item in from_folder.items] == [
        ("Cuaderno_2016_1_M/1", 2),
        ("Cuaderno_2016_1_M/3", 2),
    ]
    assert from_folder.notes == ("1 questions that need an image are left out.",)
    assert from_folder.items[0].meta == {"subject": "medicine"}


def test_headqa_with_a_right_answer_that_is_no_option_is_refused() -> None:
    row = exam_row(1) | {"ra": "5", "name": "E", "category": "medicine"}
    with pytest.raises(DataMalformed, match="field 'ra': 5 is none of the options' numbers, 1, 2, 3, 4"):
        headqa.load(Hub({("en", "test"): [row]}))


def test_a_number_that_an_exam_uses_twice_gives_two_items() -> None:
    rows = [exam_row(1) | {"name": "E", "category": "medicine", "qtext": text} for text in ("First?", "Second?")]
    assert [item.id for item in headqa.load(Hub({("en", "test"): rows})).items] == ["E/1", "E/1#2"]


# CareQA


def care(number: int) -> dict[str, Any]:
    options = {f"op{place}": f"text {place}" for place in range(1, 5)}
    return {"unique_id": f"u{number}", "question": f"Question {number}?", **options, "cop": 4, "category": "Nursing"}


def test_careqa_counts_options_from_1(tmp_path: Path) -> None:
    rows = [care(1), care(2)]
    write(tmp_path / "careqa" / "CareQA_en.json", rows)
    from_folder = careqa.load(Source(tmp_path))
    assert from_folder.items == careqa.load(Hub({("CareQA_en", "test"): rows})).items
    assert [(item.id, item.gold) for item in from_folder.items] == [("u1", 3), ("u2", 3)]
    with pytest.raises(DataMalformed, match="0 is not from 1 to 4: options count from 1"):
        careqa.load(Hub({("CareQA_en", "test"): [care(1) | {"cop": 0}]}))


def test_careqa_rows_without_ids_are_numbered() -> None:
    rows = [{name: value for name, value in care(n).items() if name != "unique_id"} for n in (1, 2)]
    assert [item.id for item in careqa.load(Hub({("CareQA_en", "test"): rows})).items] == ["0", "1"]


# The releases


def load_real(name: str, data: Path) -> tuple[Item, ...]:
    items: tuple[Item, ...] = registry.get("benchmarks", name).load(Source(data)).items
    return items


def test_medbullets_of_the_release_asks_the_same_questions_twice(real_data: Path) -> None:
    if not (real_data / "medbullets").is_dir():
        pytest.skip("needs Medbullets in MEDBENCH_DATA/medbullets")
    four, five = load_real("medbullets-4", real_data), load_real("medbullets-5", real_data)
    assert len(four) == len(five) == 308
    assert {item.id for item in four} == {item.id for item in five}
    right = {item.id: item.options[item.gold or 0] for item in four}
    agree = sum(right[item.id] == item.options[item.gold or 0] for item in five)
    assert agree == 308


def test_medxpertqa_of_the_release_has_ten_options_each(real_data: Path) -> None:
    if not (real_data / "medxpertqa").is_dir():
        pytest.skip("needs MedXpertQA in MEDBENCH_DATA/medxpertqa")
    items = load_real("medxpertqa", real_data)
    assert {len(item.options) for item in items} == {10}
    assert not any("Answer Choices" in item.question for item in items)
