"""How time and memory grow with a run: the real commands over 1,000, 10,000 and 100,000 made-up items.

    python tests/peers/scale.py --sizes 1000,10000,100000 --write scale.md

Every command is a process of its own, measured by the kernel: seconds, and the most memory it held. The engine is made
up too and answers at once, so what is measured is medbench around a model: planning, storing, resuming, scoring, the
leaderboard, a comparison. The items are as long as real ones: abstracts of 1,300 characters behind a choice of three,
and answers of 150 words against references of 200.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from medbench.results.manifest_file import read_manifest, write_manifest
from medbench.results.samples import NOTHING

MODEL = "smollm2-135m"  # named only: its weights are not loaded
KINDS = ("choice", "text")
OPEN = 100  # a resumed run lacks one in so many of its answers

BENCHMARK = """
import random
from medbench.core.types import Benchmark, Item, ItemSet

KIND, COUNT = "{kind}", {count}
WORDS = [f"word{{n}}" for n in random.Random(1).choices(range(5000), k=100_000)]


def text(random_, words):
    start = random_.randrange(len(WORDS) - words)
    return " ".join(WORDS[start : start + words])


def load(source):
    r = random.Random(0)
    if KIND == "choice":
        items = (
            Item(f"q{{n}}", text(r, 12), context=text(r, 160), options=("yes", "no", "maybe"), gold=r.randrange(3),
                 meta={{"subject": f"subject {{n % 6}}"}})
            for n in range(COUNT)
        )
    else:
        items = (
            Item(f"q{{n}}", text(r, 12), references=(text(r, 200),), meta={{"document": f"document {{n // 3}}"}})
            for n in range(COUNT)
        )
    return ItemSet(tuple(items), "made up")


BENCHMARK = Benchmark(
    name=f"scale-{{KIND}}",
    version="1",
    summary="made up",
    citation="none",
    licence="MIT",
    load=load,
    question=lambda item: f"Abstract: {{item.context}}\\nQuestion: {{item.question}}\\nAnswer:",
    metrics=("accuracy", "ece", "brier") if KIND == "choice" else ("rougeL", "token_f1"),
    max_new_tokens=256,
)
"""

ENGINE = '''
import hashlib
import random
from medbench.core.types import Output

WORDS = [f"word{n}" for n in random.Random(2).choices(range(5000), k=100_000)]


class Made:
    """Answers at once, by a hash of model and item."""

    def __init__(self, spec):
        self.spec = spec

    def load(self):
        pass

    def _drawn(self, request):
        return random.Random(hashlib.sha256(f"{self.spec.dtype} {request.item_id}".encode()).digest())

    def choose(self, requests):
        for request in requests:
            drawn = self._drawn(request)
            logprobs = tuple(-drawn.random() * 4 for _ in request.answers)
            yield Output(request.item_id, prompt=request.prompt.plain, logprobs=logprobs, prompt_tokens=400)

    def generate(self, requests):
        for request in requests:
            start = self._drawn(request).randrange(len(WORDS) - 150)
            text = " ".join(WORDS[start : start + 150])
            yield Output(request.item_id, prompt=request.prompt.plain, text=text, prompt_tokens=30,
                         completion_tokens=200, finish="stop")

    def chat(self, method):
        return "plain"

    def describe(self):
        return {"device": "none"}

    def peak_gpu_memory_bytes(self):
        return None


ENGINE = Made
'''


@dataclass(frozen=True)
class Cost:
    """What one command took."""

    what: str
    seconds: float
    cpu_seconds: float  # of all its threads: what a busy machine does not change
    peak_bytes: int


def measured(what: str, *words: object) -> Cost:
    """Runs `medbench WORDS` and waits for it. Raises SystemExit with what it said where it fails."""
    with tempfile.TemporaryFile() as said:
        started = time.perf_counter()
        command = [sys.executable, "-m", "medbench", *map(str, words)]
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise SystemExit(f"{' '.join(command)}\n{said.read().decode(errors='replace')}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Cost(what, seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * unit)


def costs(kind: str, count: int, folder: Path) -> Iterator[Cost]:
    """The commands over one made-up benchmark, each in its turn."""
    benchmark, engine, runs = folder / "made_up.py", folder / "made_engine.py", folder / "runs"
    benchmark.write_text(BENCHMARK.format(kind=kind, count=count), encoding="utf-8")
    engine.write_text(ENGINE, encoding="utf-8")

    def run(dtype: str) -> list[object]:
        asked = ["-m", MODEL, "-b", benchmark, "--engine", engine, "--dtype", dtype]
        return ["run", *asked, "--latency-items", 0, "--out", runs]

    yield measured("run: plan, store, score, show", *run("float32"))
    (first,) = (path.parent for path in runs.glob("*/manifest.json"))
    yield measured("run again: all is done", *run("float32"))
    samples, scores = first / "samples.jsonl", first / "scores"
    with samples.open("rb+") as file:  # never whole in memory: a child's peak begins with its parent's
        file.truncate(sum(len(next(file)) for _ in range(count - max(1, count // OPEN))))
    # As if the process had been killed before its first checkpoint: lines that the manifest knows of are not missed.
    write_manifest(first, dataclasses.replace(read_manifest(first), checkpoint=NOTHING))
    yield measured("run again: resumes the last 1%", *run("float32"))
    shutil.rmtree(scores)
    yield measured("score: all anew", "score", first, "--metrics", "accuracy" if kind == "choice" else "rougeL")
    measured("the second run", *run("bfloat16"))
    (second,) = (path.parent for path in runs.glob("*/manifest.json") if path.parent != first)
    measured("the first run's other scores", "leaderboard", runs)
    yield measured("leaderboard of two runs", "leaderboard", runs)
    yield measured("compare the two", "compare", first, second)


def table(found: dict[str, dict[int, list[Cost]]]) -> str:
    """Rows are commands, columns sizes: seconds of the processor, and the most memory in MB."""
    sizes = list(next(iter(found.values())))
    lines = [
        f"| | {' | '.join(f'{size:,}' for size in sizes)} |",
        "|---|" + "---|" * len(sizes),
    ]
    for kind, by_size in found.items():
        for row in zip(*by_size.values(), strict=True):
            cells = [f"{cost.cpu_seconds:.1f} s, {cost.peak_bytes / 1e6:.0f} MB" for cost in row]
            lines.append(f"| {kind}: {row[0].what} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1000,10000,100000", help="numbers of items, by comma")
    parser.add_argument("--kinds", default=",".join(KINDS), help="choice, text")
    parser.add_argument("--folder", type=Path, help="where the runs are made (a temporary folder)")
    parser.add_argument("--write", type=Path, help="a file for the table")
    asked = parser.parse_args(arguments)
    found: dict[str, dict[int, list[Cost]]] = {}
    for kind in asked.kinds.split(","):
        for size in map(int, asked.sizes.split(",")):
            with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
                for cost in costs(kind, size, Path(folder)):
                    found.setdefault(kind, {}).setdefault(size, []).append(cost)
                    took = f"{cost.seconds:.1f} s ({cost.cpu_seconds:.1f} s CPU), {cost.peak_bytes / 1e6:.0f} MB"
                    print(f"{kind} {size:,}: {cost.what}: {took}", flush=True)
    made = table(found)
    print(made)
    if asked.write:
        asked.write.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    main()
