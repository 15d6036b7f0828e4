"""Write docs/benchmarks.md from the code: every benchmark, and its prompt under every protocol for an invented item.

python -m medbench.tools.benchmarks_page docs/benchmarks.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from ..core import asking, registry
from ..core.asking import Shown
from ..core.types import Benchmark
from ..engines.prompting import messages

COMMAND = "python -m medbench.tools.benchmarks_page docs/benchmarks.md"
TOP = """\
# Benchmarks

This page lists the benchmarks and shows how each asks its questions. `tools/benchmarks_page.py` writes it from the
code. Your own questions can be [a table](your-questions.md) or [a Python file](add-a-benchmark.md).
"""
NOTES = """\
`--suite quick`, the default, is `pubmedqa-sample`, `medqa-sample` and `medquad-sample`. `--suite all` is all benchmarks
but the samples. A sample never replaces a benchmark whose data is missing: medbench names that benchmark, says what to
do, runs the others and ends with exit code 1. How it finds data is on [its own page](data.md).

- **Multiple choice** is asked by the log-probability of each option. With `--choice generate` the model writes, and
  medbench [reads the answer strictly](metrics.md#accuracy): an answer that is not a clear statement of one option
  counts as wrong, keeps its reason and shows in `unparsed_rate`.
- **Chat templates** are used when a model writes but not when it chooses (`--chat auto`), as in lm-evaluation-harness.
  `always` and `never` override this.
- **Few-shot examples** (`--shots K`) come from a split that is not scored. If a release has none, K items are held out,
  and the column's name says so.
- **`medsafetybench`** asks for harm: there, a higher `refusal_rate` is better.

## Protocols

A protocol is a named way to ask. `--protocol NAME` chooses one, and several (`--protocol direct,cot`) are several runs.
The name is part of the run's identity and of its column: "medqa (cot)". Runs under different protocols are never in one
column.
"""
SYSTEM = """\
`--system TEXT|FILE` adds a system text to any protocol, before the protocol's own. It is a system turn. If a model's
chat template has none (Gemma 2), it opens the first user turn, and the run's manifest says so. In a plain prompt it
comes first. A server gets a system message, or, if it rejects one, the text in the first user turn.

With `mirage-cot`, the answer is the value of `answer_choice`, in valid JSON or not. As MIRAGE scores it, the last such
field counts, and the letter that its value begins with, the first of two. A reply that names no option is wrong here;
MIRAGE's own script takes it for "A". Replies that another system wrote in this form are scored the same way:
`medbench run -m replay:replies.jsonl -b medqa --protocol mirage-cot`.

## Prompts

Turns are shown as a chat model gets them. A plain prompt is the same text without the roles. The questions are
invented.
"""


def page() -> str:
    """Return the whole page."""
    points = registry.points("benchmarks")
    ours = [name for name in points if any(registry.owner(point) == "medbench" for point in points[name])]
    benchmarks = sorted((registry.get("benchmarks", name) for name in ours), key=lambda each: each.sample)
    parts = [TOP, *_table(benchmarks), "", NOTES, *_protocols(benchmarks), "", SYSTEM, *_prompts(benchmarks)]
    return "\n".join(parts).rstrip() + "\n"


def _table(benchmarks: list[Benchmark]) -> Iterator[str]:
    yield "| name | what | protocols | license |"
    yield "|---|---|---|---|"
    for benchmark in benchmarks:
        protocols = ", ".join(f"`{name}`" for name in asking.names_of([benchmark]))
        yield f"| `{benchmark.name}` | {benchmark.summary} | {protocols} | {benchmark.licence} |"


def _protocols(benchmarks: list[Benchmark]) -> Iterator[str]:
    yield "| protocol | how it asks |"
    yield "|---|---|"
    told: dict[str, str] = {}
    for benchmark in benchmarks:
        for protocol in asking.protocols_of(benchmark):
            told.setdefault(protocol.name, protocol.summary)
    for name, summary in told.items():
        yield f"| `{name}` | {summary} |"


def _prompts(benchmarks: list[Benchmark]) -> Iterator[str]:
    """Yield a section for benchmarks whose prompts are the same."""
    sections: dict[tuple[str, ...], list[str]] = {}
    for benchmark in benchmarks:
        prompts = tuple(map(_prompt, asking.shown(benchmark)))
        if prompts:
            sections.setdefault(prompts, []).append(benchmark.name)
    for prompts, names in sections.items():
        yield f"### {', '.join(names)}\n"
        yield from prompts


def _prompt(shown: Shown) -> str:
    turns = "\n\n".join(f"[{turn['role']}]\n{turn['content']}" for turn in messages(shown.prompt))
    return f"`{shown.benchmark.protocol.name}`: {shown.how}\n\n```text\n{turns}\n```\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
