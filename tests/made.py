"""Small made-up runs and metrics, so that results can be tested without a model."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from medbench.core.errors import UsageError
from medbench.core.seals import split
from medbench.core.types import Figure, Item, Measured, Measurement, MetricDefaults, Output, Record, Score
from medbench.results.identity import Comparable, Identity, run_id
from medbench.results.manifest import BenchmarkRecord, Manifest, ModelRecord, RunSettings, Session
from medbench.results.store import StoredRun
from medbench.results.writer import RunWriter


def record(item_id: str, text: str, document: str = "") -> Record:
    """An answered open question; the fake metrics below read their score off the answer's text."""
    item = Item(item_id, f"question {item_id}?", references=("yes",), meta={"document": document} if document else {})
    return Record(item, Output(item_id, prompt=f"question {item_id}?\nAnswer:", text=text, finish="stop"))


def manifest(
    item_ids: Sequence[str],
    model: str = "tiny",
    benchmark: str = "quiz",
    metrics: Sequence[str] = ("right",),
    dtype: str = "float32",
    settings: Mapping[str, Any] | None = None,
    sample: bool = False,
    n_total: int | None = None,
    created: str = "",
    **comparable: Any,
) -> Manifest:
    column = {
        "benchmark": benchmark,
        "version": "1",
        "variant": "",
        "items_hash": f"hash of {len(item_ids)}",
        "prompt_hash": "plain",
        "shots": 0,
        "method": "generate",
    } | comparable
    spec = {"name": model, "revision": "0123456789abcdef", "adapter": "", "engine": "transformers", "dtype": dtype}
    identity = Identity.from_json({"model": spec | {"quantize": ""}, **column, "chat": "plain"})
    return Manifest(
        run_id=run_id(model, benchmark, identity),
        identity=identity,
        comparable=Comparable.from_json(column),
        model=ModelRecord.from_json({"name": model, "dtype": "auto"}),
        benchmark=BenchmarkRecord(
            name=benchmark, metrics=tuple(metrics), sample=sample, n_total=n_total or len(item_ids)
        ),
        method=str(column["method"]),
        item_ids=tuple(item_ids),
        settings=RunSettings.from_json(settings or {}),
        created=created,
        metrics=tuple(metrics),
    )


def make_run(
    root: Path,
    answers: Mapping[str, str],
    item_ids: Sequence[str] | None = None,
    documents: Mapping[str, str] | None = None,
    sessions: Sequence[Session] = (),
    **about: Any,
) -> StoredRun:
    """A stored run in which item `id` got the answer `answers[id]`; `item_ids`: all that were asked."""
    made = manifest(list(item_ids or answers), **about)
    with RunWriter(root, made) as writer:
        writer.append(record(i, text, (documents or {}).get(i, "")) for i, text in answers.items())
        writer.update(sessions=tuple(sessions))
    return StoredRun(root / made.run_id)


def unsealed(run: StoredRun) -> StoredRun:
    """The run as medbench stored it before lines and manifests had seals."""
    for path in run.path.rglob("*.jsonl"):
        bodies = [split(line)[0] for line in path.read_bytes().splitlines()]
        path.write_bytes(b"".join(body + b"\n" for body in bodies))
    fields = json.loads((run.path / "manifest.json").read_bytes())
    del fields["seals"], fields["checkpoint"]
    (run.path / "manifest.json").write_text(json.dumps(fields))
    return StoredRun(run.path)


def bits(pattern: str) -> dict[str, str]:
    """Answers to items 0, 1, 2, …: "110" is right, right, wrong."""
    return dict(enumerate_ids(pattern))


def enumerate_ids(values: Sequence[Any]) -> list[tuple[str, str]]:
    return [(f"{index:03}", str(value)) for index, value in enumerate(values)]


@dataclass
class Read(MetricDefaults):
    """A metric whose value is the number in the answer's text; "?" is unscored. Counts the records it was given."""

    name: str = "right"
    version: str = "1"
    binary: bool = True
    mean: bool = True
    better: Literal["higher", "lower"] = "higher"
    asked: list[str] = dataclasses.field(default_factory=list)

    def score(self, records: Sequence[Record]) -> list[Score]:
        self.asked += [r.item.id for r in records]
        return [
            Score(r.item.id, None, "no number") if r.output.text == "?" else Score(r.item.id, float(r.output.text or 0))
            for r in records
        ]

    def aggregate(self, records: Sequence[Record], scores: Sequence[Score]) -> list[Figure]:
        values = [s.value for s in scores if s.value is not None]
        mean = sum(values) / len(values) if values else None
        return [
            Figure(self.name, mean, len(values), len(records), better=self.better),
            Figure(f"{self.name}/spread", max(values, default=None), len(values), len(records), headline=False),
        ]


@dataclass
class Speed(Measurement):
    """A measurement: items per second."""

    name: str = "speed"

    def read(self, measured: Measured) -> Figure:
        value = measured.items / measured.seconds if measured.seconds else None
        return Figure(self.name, value, measured.items, measured.items, unit="items/s")


def loader(*metrics: Any) -> Any:
    """In the place of the registry: finds the metrics given."""
    known = {metric.name: metric for metric in metrics}

    def load(name: str) -> Any:
        if name not in known:
            raise UsageError(f"no metric is called '{name}'.")
        return known[name]

    return load


class Silent:
    """Watches a run and says nothing."""

    def reused(self, run: str, items: int, total: int) -> None: ...

    def complete(self, plan: Any) -> None: ...

    def loading(self, model: str) -> None: ...

    def loaded(self, model: str, seconds: float) -> None: ...

    def begin(self, plan: Any, done: int) -> None: ...

    def answered(self, output: Output) -> None: ...

    def timing(self, item: int, items: int) -> None: ...

    def end(self) -> None: ...
