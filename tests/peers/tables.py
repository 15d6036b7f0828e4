"""What looking at many stored runs costs: the leaderboard of made-up runs, for the first time and again.

    python tests/peers/tables.py --models 63 --benchmarks 8 --items 100

Nothing is asked of a model: records are drawn and stored. Each look is a process of its own, measured by the kernel.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from pathlib import Path

from medbench.core.hashing import fingerprint
from medbench.core.types import Item, Output, Record
from medbench.results.identity import Comparable, Identity, run_id
from medbench.results.manifest import BenchmarkRecord, Manifest, ModelRecord, Session
from medbench.results.writer import RunWriter
from scale import measured


def make(root: Path, model: int, benchmark: int, items: int) -> None:
    """One run of a choice benchmark: abstracts of 1,300 characters, three options, five subjects."""
    drawn = random.Random(f"{model} {benchmark}")
    ids = [f"q{n}" for n in range(items)]
    column = {"benchmark": f"made-{benchmark}", "version": "1", "shots": 0, "method": "logprob", "items_hash": "all"}
    spec = {"name": f"model-{model:03}", "engine": "transformers", "dtype": "float32", "revision": fingerprint(model)}
    identity = Identity.from_json({"model": spec, **column})
    name = str(column["benchmark"])
    metrics = ["accuracy", "ece", "brier"]
    manifest = Manifest(
        run_id=run_id(spec["name"], name, identity),
        identity=identity,
        comparable=Comparable.from_json(column),
        model=ModelRecord.from_json(spec),
        benchmark=BenchmarkRecord(name=name, metrics=tuple(metrics), n_total=items),
        method="logprob",
        item_ids=tuple(ids),
        metrics=(*metrics, "throughput_tokens_per_s", "latency_p50_s", "peak_rss_bytes"),
        created="2026-11-01T10:00:00+00:00",
    )
    skill = drawn.random()
    with RunWriter(root, manifest) as writer:
        records = []
        for n, item_id in enumerate(ids):
            gold = random.Random(n).randrange(3)
            logprobs = [-drawn.random() * 4 for _ in range(3)]
            logprobs[gold] += 2 * skill
            context = " ".join(f"word{random.Random(n * 200 + w).randrange(5000)}" for w in range(160))
            options = ("yes", "no", "maybe")
            item = Item(item_id, f"question {n}?", context, options, gold=gold, meta={"subject": f"s{n % 5}"})
            records.append(Record(item, Output(item_id, prompt=context, logprobs=tuple(logprobs), prompt_tokens=400)))
        writer.append(records, sync=False)
        writer.update(sessions=[Session(items=items, seconds=10.0, prompt_tokens=400 * items)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=63)
    parser.add_argument("--benchmarks", type=int, default=8)
    parser.add_argument("--items", type=int, default=100)
    parser.add_argument("--folder", type=Path, help="where the runs are made and kept (a temporary folder)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = asked.folder or Path(temporary)
        if not any(root.glob("*/manifest.json")):
            for model in range(asked.models):
                for benchmark in range(asked.benchmarks):
                    make(root, model, benchmark, asked.items)
        for what in ("first look", "second look", "third look"):
            cost = measured(what, "leaderboard", root)
            print(f"{what}: {cost.seconds:.1f} s, {cost.cpu_seconds:.1f} s CPU, {cost.peak_bytes / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
