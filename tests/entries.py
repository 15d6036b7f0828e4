"""Zoo entries whose weights are tiny and random, and data for them to train on, so that training is real and fast."""

from __future__ import annotations

import json
from pathlib import Path

import tiny

# The architecture of every entry of the zoo.
FAMILY = {
    "smollm2-135m": "llama",
    "biogpt-large": "biogpt",
    "biomedlm": "gpt2",
    "dialogpt-small": "gpt2",
    "flan-t5-base-medqa": "t5",
    "med-llama-3.2-1b": "llama",
    "hera-gemma-2-2b": "gemma2",
    "medgpt-gemma-2-2b": "gemma2",
}
SYMPTOMS = ("fever", "cough", "pain", "rash", "nausea", "fatigue", "thirst", "dizziness", "itching", "cramps")


def entry(folder: Path, like: str, *, chat: bool = True) -> Path:
    """A .py file with the entry called `like`, renamed tiny-`like`, on tiny weights of its architecture.

    Recipe, prompt format and generation settings are the entry's own.
    """
    weights = tiny.save(folder / f"weights-{like}", FAMILY[like], chat=chat, window=256, width=64)
    file = folder / f"{like.replace('.', '_')}.py"
    file.write_text(
        "import dataclasses\n"
        "from medbench.core import registry\n"
        f"MODEL = dataclasses.replace(registry.get('zoo', {like!r}), name={'tiny-' + like!r}, "
        f"weights={str(weights)!r}, package=None, config={{}})\n",
        encoding="utf-8",
    )
    return file


def data(folder: Path, count: int = 24, name: str = "pairs") -> Path:
    """A .jsonl file of `count` questions with answers."""
    file = folder / f"{name}.jsonl"
    rows = [
        {
            "id": f"{name}-{number}",
            "question": f"What helps against {SYMPTOMS[number % 10]} on day {number}?",
            "answer": f"Rest and fluids; see a doctor after {number} days of {SYMPTOMS[number % 10]}.",
        }
        for number in range(count)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file
