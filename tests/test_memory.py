"""The memory of a run of any size: answers stay on the disk and are in memory one at a time."""

from __future__ import annotations

import json
import sys
import tracemalloc
from pathlib import Path

import made
import pytest
from medbench.cli import cli
from medbench.results.scoring import load_metric, score_run

ANSWERS = 600
LONG = "word " * 8_000  # 40 kB


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 600 answers, 48 MB of prompts and texts, scored."""
    folder = tmp_path_factory.mktemp("runs")
    found = made.make_run(folder, {f"{n:04}": f"{LONG}{n}" for n in range(ANSWERS)}, metrics=["exact_match"])
    score_run(found, load_metric("exact_match"))  # type: ignore[arg-type]
    return found.path


def peak(monkeypatch: pytest.MonkeyPatch, into: Path, *words: object) -> int:
    """Bytes that a command holds at most, its output written to a file."""
    with into.open("w", encoding="utf-8") as file:
        monkeypatch.setattr(sys, "stdout", file)
        tracemalloc.start()
        try:
            cli([str(word) for word in words], standalone_mode=False)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()


def test_all_records_as_json_are_written_one_at_a_time(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = tmp_path / "shown.json"
    small = peak(monkeypatch, tmp_path / "first.json", "show", run, "--json", "--limit", 1)  # imports and all
    held = peak(monkeypatch, shown, "show", run, "--json", "--limit", ANSWERS)
    assert shown.stat().st_size > 24e6
    assert held < small + 2e6
    items = json.loads(shown.read_text())["items"]
    assert len(items) == ANSWERS and items[-1]["output"]["text"] == f"{LONG}{ANSWERS - 1}"


def test_looking_at_a_run_holds_none_of_its_texts(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for words in (["leaderboard", run, "--json"], ["show", run], ["list", "runs", "--out", run.parent]):
        peak(monkeypatch, tmp_path / "out", *words)  # imports
        assert peak(monkeypatch, tmp_path / "out", *words) < 8e6, words
