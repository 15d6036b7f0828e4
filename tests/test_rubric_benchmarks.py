"""K-QA and HealthBench: questions whose answers are judged criterion by criterion."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from medbench.benchmarks import healthbench, k_qa
from medbench.benchmarks.samples.benchmarks import HEALTHBENCH_SAMPLE
from medbench.benchmarks.sources.files import Source
from medbench.core.errors import DataMalformed, DataMissing
from medbench.core.item import MUST_HAVE
from medbench.core.types import Criterion, Turn

ROW: dict[str, Any] = {
    "prompt_id": "p1",
    "prompt": [
        {"role": "user", "content": "My knee hurts."},
        {"role": "assistant", "content": "Since when?"},
        {"role": "user", "content": "Since Monday."},
    ],
    "rubrics": [
        {"criterion": "Asks about a fall.", "points": 5, "tags": ["level:example", "axis:completeness"]},
        {"criterion": "Advises surgery.", "points": -8, "tags": []},
    ],
    "example_tags": ["theme:context_seeking", "physician_agreed_category:x"],
    "ideal_completions_data": None,
}
K_QA_ROW: dict[str, Any] = {
    "Question": "What is gout?",
    "Free_form_answer": "A joint disease.",
    "Must_have": ["Gout is a disease of joints", " It hurts."],
    "Nice_to_have": ["Urate forms crystals."],
    "Sources": None,
}


def healthbench_release(folder: Path, name: str, *rows: dict[str, Any]) -> Source:
    (folder / "healthbench").mkdir(exist_ok=True)
    (folder / "healthbench" / name).write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return Source(folder)


def test_a_conversation_ends_with_the_question(tmp_path: Path):
    found = healthbench.HEALTHBENCH.load(healthbench_release(tmp_path, "2025-05-07-06-14-12_oss_eval.jsonl", ROW))
    (item,) = found.items
    assert (item.id, item.question) == ("p1", "Since Monday.")
    assert item.turns == (Turn("user", "My knee hurts."), Turn("assistant", "Since when?"))
    assert item.criteria == (
        Criterion("Asks about a fall.", 5.0, ("level:example", "axis:completeness")),
        Criterion("Advises surgery.", -8.0),
    )
    assert item.meta == {"subject": "context_seeking"} and found.variant == "1 of 5,000 items"


def test_the_subsets_are_read_from_their_own_files(tmp_path: Path):
    healthbench_release(tmp_path, "hard_2025-05-08-21-00-10.jsonl", ROW)
    source = healthbench_release(tmp_path, "consensus_2025-05-09-20-00-46.jsonl", ROW, {**ROW, "prompt_id": "p2"})
    assert len(healthbench.HEALTHBENCH_HARD.load(source).items) == 1
    assert len(healthbench.HEALTHBENCH_CONSENSUS.load(source).items) == 2
    with pytest.raises(DataMissing, match="oss_eval"):
        healthbench.HEALTHBENCH.load(source)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"prompt": ROW["prompt"][:2]}, "row 1, field 'prompt': its last message is from 'assistant'"),
        ({"prompt": [{"role": "doctor", "content": "?"}]}, "prompt 1, field 'role': 'doctor' is not one of"),
        ({"prompt": []}, "field 'prompt': a list of objects is expected"),
        ({"rubrics": [{"criterion": "x", "points": 11}]}, "rubrics 1, field 'points': a number from -10 to 10"),
        ({"rubrics": [{"points": 1}]}, "rubrics 1, field 'criterion': it is missing"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, change: dict[str, Any], said: str):
    with pytest.raises(DataMalformed, match=said):
        healthbench.HEALTHBENCH.load(healthbench_release(tmp_path, "oss_eval.jsonl", {**ROW, **change}))


def test_the_sample_has_the_format_and_every_item_can_reach_points():
    found = HEALTHBENCH_SAMPLE.load(Source())
    assert len(found.items) == 6
    for item in found.items:
        assert sum(each.points for each in item.criteria if each.points > 0) > 0
        assert any(tag.startswith("axis:") for each in item.criteria for tag in each.tags)


def test_statements_are_criteria_with_their_kind(tmp_path: Path):
    (tmp_path / "k-qa").mkdir()
    (tmp_path / "k-qa" / k_qa.FILE).write_text(json.dumps(K_QA_ROW), encoding="utf-8")
    (item,) = k_qa.K_QA.load(Source(tmp_path)).items
    assert item.references == ("A joint disease.",)
    assert item.criteria == (
        Criterion("Gout is a disease of joints", 1.0, ("must_have",)),
        Criterion("It hurts.", 1.0, ("must_have",)),
        Criterion("Urate forms crystals.", 0.0, ("nice_to_have",)),
    )


def test_the_real_release(real_data: Path):
    items = k_qa.K_QA.load(Source(real_data)).items
    statements = [each for item in items for each in item.criteria]
    assert len(items) == 201
    assert [sum(kind in each.tags for each in statements) for kind in (MUST_HAVE, k_qa.NICE_TO_HAVE)] == [892, 697]
