"""Records in memory without their long texts behave like any record."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
from pathlib import Path

import made
import pytest
from medbench.core.errors import DataMalformed
from medbench.core.types import Criterion, Item, Output, Record, Target, Turn
from medbench.results.records import KEPT, decode, encode
from medbench.results.samples import SAMPLES
from medbench.results.store import StoredRun
from medbench.results.writer import RunWriter

LONG = "a long abstract of many words. " * 20
RECORDS = [
    Record(
        Item("q0", LONG, LONG, ("yes", "no"), ("A", "B"), 1, (), {"subject": "anatomy"}),
        Output("q0", prompt=LONG, logprobs=(-0.5, float("-inf")), prompt_tokens=9),
    ),
    Record(
        Item("q1", "short?", "", references=(LONG, "as short"), meta={"document": "d"}),
        Output("q1", prompt=LONG, text=LONG + "the end", completion_tokens=5, finish="length", first_token_s=0.1),
    ),
    Record(Item("q2", "short?", references=("yes",)), Output("q2", prompt="short?", text="", finish="stop")),
]


@pytest.fixture
def run(tmp_path: Path) -> StoredRun:
    made_of = made.manifest([record.item.id for record in RECORDS])
    with RunWriter(tmp_path, made_of) as writer:
        writer.append(RECORDS)
    return StoredRun(tmp_path / made_of.run_id)


def test_every_field_is_as_it_was_stored(run: StoredRun) -> None:
    assert run.records() == RECORDS
    assert run.records() == list(run.iter_records()) == RECORDS, "from either side"
    for found, stored in zip(run.records(), RECORDS, strict=True):
        assert repr(found.output).partition("(")[2] == repr(stored.output).partition("(")[2]
        assert encode(found) == encode(stored)


def test_a_field_that_differs_makes_a_record_another(run: StoredRun) -> None:
    other = [Record(dataclasses.replace(r.item, question="another"), r.output) for r in RECORDS]
    assert all(found != changed for found, changed in zip(run.records(), other))


def test_copies_hold_everything(run: StoredRun) -> None:
    first = run.records()[0]
    (run.path / SAMPLES).rename(run.path / "away")
    (run.path / "away").rename(run.path / SAMPLES)
    copies = [
        dataclasses.replace(first.item, gold=1),
        copy.deepcopy(first.item),
        pickle.loads(pickle.dumps(first.item)),
    ]
    (run.path / SAMPLES).unlink()
    assert copies == [RECORDS[0].item] * 3


def test_long_texts_are_not_in_memory(run: StoredRun) -> None:
    first, second, third = run.records()
    assert len(LONG) > KEPT
    held = {name for name in ("question", "context", "options", "gold", "meta") if _held(first.item, name)}
    assert held == {"options", "gold", "meta"}
    assert not any(_held(second.output, name) for name in ("prompt", "text"))
    assert not _held(second.item, "references")
    assert all(_held(third.output, name) for name in ("prompt", "text"))


def _held(value: Item | Output, name: str) -> bool:
    try:
        object.__getattribute__(value, name)
    except AttributeError:
        return False
    return True


def test_what_is_no_field_is_no_attribute(run: StoredRun) -> None:
    record = run.records()[0]
    assert not hasattr(record.item, "text")
    assert not hasattr(record.output, "question")
    assert record.item.answers == ("A", "B")


def test_a_file_that_was_changed_meanwhile_is_told(run: StoredRun) -> None:
    first, second, _ = run.records()
    (run.path / SAMPLES).write_bytes(json.dumps({"item": {}}).encode() + b"\n")
    for record in (first, second):
        with pytest.raises(DataMalformed, match="was changed while it was read"):
            _ = record.output.prompt
    (run.path / SAMPLES).unlink()
    with pytest.raises(DataMalformed, match="was changed while it was read"):
        _ = second.output.text


def test_answered_is_read_again_when_more_is_stored(tmp_path: Path) -> None:
    made_of = made.manifest(["q0", "q1", "q2"])
    with RunWriter(tmp_path, made_of) as writer:
        run = StoredRun(writer.path)
        assert run.answered() == frozenset()
        for number, record in enumerate(RECORDS):
            writer.append([record])
            assert len(run.answered()) == number + 1
    assert run.complete


def test_turns_target_and_criteria_come_back_as_they_were_stored():
    item = Item(
        "a",
        "What next?",
        turns=(Turn("user", "I have a cough."), Turn("assistant", "Since when?")),
        target=Target("34 weeks 3 days", "duration", low="34 weeks 3 days"),
        criteria=(Criterion("Asks for the temperature.", -2.5, ("axis:accuracy",)),),
    )
    record = Record(item, Output("a", text="See a doctor.", sample=2))
    stored = json.loads(json.dumps(encode(record)))
    assert stored["item"]["turns"][0] == {"role": "user", "content": "I have a cough."}
    assert decode(stored) == record and decode(stored).key == ("a", 2)


def test_a_criterion_of_another_type_is_named():
    line = {"item": {"id": "a", "question": "q", "criteria": [{"text": 3, "points": 1}]}, "output": {"item_id": "a"}}
    with pytest.raises(ValueError, match=r"item\.criteria\[0\]\.text.*text, not 3"):
        decode(line)
