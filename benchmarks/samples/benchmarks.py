"""Small sample sets that ship with the package. Three are the default of `medbench run`; one needs a judge.

Every item was written for medbench. The studies in `pubmedqa-sample` are invented (each is marked as such), but their
arithmetic is correct. Prompt, options and metrics are those of the benchmark with the same name, but a sample is a
separate benchmark and never replaces the real one. Items marked `"split": "shots"` are for few-shot examples and are
never scored.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib import resources
from typing import Any

from ...core.types import Benchmark, Item, ItemSet
from .. import samples as data
from ..healthbench import HEALTHBENCH, item_of
from ..medqa import LABELS, MEDQA
from ..medquad import MEDQUAD
from ..pubmedqa import DECISIONS, PUBMEDQA
from ..sources.files import Source
from ..sources.rows import Row

CITATION = "written for medbench"
LICENCE = "MIT"


def load_pubmedqa(source: Source) -> ItemSet:
    """Load 24 abstracts of invented studies with a yes/no/maybe question. `source` is unused."""
    return _item_set("pubmedqa_sample.jsonl", _pubmedqa_item, "The studies in these abstracts are invented.")


def load_medqa(source: Source) -> ItemSet:
    """Load 40 clinical questions with four options; the reference explains the answer. `source` is unused."""
    return _item_set("medqa_sample.jsonl", _medqa_item)


def load_medquad(source: Source) -> ItemSet:
    """Load 30 consumer questions with their answers; some share a document. `source` is unused."""
    return _item_set("medquad_sample.jsonl", _medquad_item)


def load_healthbench(source: Source) -> ItemSet:
    """Load six conversations with rubrics, in HealthBench's format. `source` is unused."""
    file = "healthbench_sample.jsonl"
    items = tuple(item_of(Row(row, f"{file}, row {number}")) for number, row in enumerate(_rows(file), start=1))
    return ItemSet(items, origin=f"the medbench package, benchmarks/samples/{file}")


def _item_set(file: str, item: Callable[[dict[str, Any]], Item], *notes: str) -> ItemSet:
    rows = list(_rows(file))
    return ItemSet(
        items=tuple(item(row) for row in rows if row.get("split") != "shots"),
        origin=f"the medbench package, benchmarks/samples/{file}",
        shots=tuple(item(row) for row in rows if row.get("split") == "shots"),
        notes=notes,
    )


def _rows(file: str) -> Iterator[dict[str, Any]]:
    for line in (resources.files(data) / file).read_text(encoding="utf-8").splitlines():
        yield json.loads(line)


def _pubmedqa_item(row: dict[str, Any]) -> Item:
    return Item(
        id=row["id"],
        question=row["question"],
        context="\n".join((row["background"], row["methods"], row["results"])),
        options=DECISIONS,
        gold=DECISIONS.index(row["answer"]),
        references=(row["long_answer"],),
        meta={"subject": row["subject"], "invented": "true" if row["invented"] else "false"},
    )


def _medqa_item(row: dict[str, Any]) -> Item:
    return Item(
        id=row["id"],
        question=row["question"],
        options=tuple(row["options"][label] for label in LABELS),
        labels=LABELS,
        gold=LABELS.index(row["answer"]),
        references=(row["rationale"],),
        meta={"subject": row["subject"]},
    )


def _medquad_item(row: dict[str, Any]) -> Item:
    return Item(
        id=row["id"],
        question=row["question"],
        references=(row["answer"],),
        meta={key: row[key] for key in ("document", "question_type", "focus")},
    )


PUBMEDQA_SAMPLE = Benchmark(
    name="pubmedqa-sample",
    version="1",
    summary="Abstracts of invented studies, answered yes, no or maybe (sample, 24 items)",
    citation=CITATION,
    licence=LICENCE,
    load=load_pubmedqa,
    question=PUBMEDQA.question,
    metrics=PUBMEDQA.metrics,
    protocols=PUBMEDQA.protocols,
    example=PUBMEDQA.example,
    stop=PUBMEDQA.stop,
    sample=True,
)

MEDQA_SAMPLE = Benchmark(
    name="medqa-sample",
    version="1",
    summary="Clinical questions with four options (sample, 40 items)",
    citation=CITATION,
    licence=LICENCE,
    load=load_medqa,
    question=MEDQA.question,
    metrics=MEDQA.metrics,
    protocols=MEDQA.protocols,
    example=MEDQA.example,
    sample=True,
)

MEDQUAD_SAMPLE = Benchmark(
    name="medquad-sample",
    version="1",
    summary="Consumer health questions with open answers (sample, 30 items)",
    citation=CITATION,
    licence=LICENCE,
    load=load_medquad,
    question=MEDQUAD.question,
    metrics=MEDQUAD.metrics,
    protocols=MEDQUAD.protocols,
    example=MEDQUAD.example,
    max_new_tokens=128,  # the answers have 50 to 110 words, and `quick` runs on any CPU
    stop=("\nQuestion:",),
    sample=True,
)

HEALTHBENCH_SAMPLE = Benchmark(
    name="healthbench-sample",
    version="1",
    summary="Conversations graded by rubrics, in HealthBench's format (sample, 6 items)",
    citation=CITATION,
    licence=LICENCE,
    load=load_healthbench,
    question=HEALTHBENCH.question,
    metrics=HEALTHBENCH.metrics,
    example=HEALTHBENCH.example,
    max_new_tokens=256,
    stop=HEALTHBENCH.stop,
    sample=True,
)
