"""Cached figures of a run are used only while their sources are unchanged."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path

import made
import pytest
from medbench.core.stats import clusters_of
from medbench.core.types import Record
from medbench.results import figure_cache
from medbench.results.leaderboard import build
from medbench.results.manifest_file import Changed
from medbench.results.scoring import RunScores, load_metric, run_scores
from medbench.results.store import StoredRun
from medbench.results.writer import add_metrics

METRICS = ("exact_match", "token_f1")
ANSWERS = {"a": "yes", "b": "no", "c": "yes", "d": "maybe"}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoredRun:
    """Two of four answers are right; the first look stored its scores and its figures."""
    monkeypatch.setattr(figure_cache, "SETTLED_S", 0.0)
    documents = dict(zip("abcd", "xxyy"))
    found = made.make_run(tmp_path, ANSWERS, list("abcde"), documents, metrics=METRICS)
    run_scores(found, METRICS)
    assert (found.path / "figures.json").exists()
    return found


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The runs whose records are read."""
    told: list[Path] = []
    records = StoredRun.records

    def read(self: StoredRun) -> list[Record]:
        told.append(self.path)
        return records(self)

    monkeypatch.setattr(StoredRun, "records", read)
    return told


def look(run: StoredRun) -> RunScores:
    return run_scores(StoredRun(run.path), METRICS)


def test_a_kept_sheet_is_the_one_that_was_computed(run: StoredRun, reads: list[Path]) -> None:
    kept = look(run)
    assert reads == []
    (run.path / "figures.json").unlink()
    computed = look(run)
    assert reads == [run.path]
    assert (kept.results, kept.clusters) == (computed.results, computed.clusters)
    assert (kept.answered, kept.truncated) == (4, 0)
    assert kept.results["exact_match"].figures[0].value == 0.5
    assert list(kept.results["exact_match"].values.items()) == [("a", 1.0), ("b", 0.0), ("c", 1.0), ("d", 0.0)]
    assert kept.clusters == dict(zip("abcd", clusters_of(run.records()) or ()))
    assert build([StoredRun(run.path)]).boards == build([StoredRun(run.path)]).boards


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:100],
        lambda content: content.replace(b"0.5", b"0.9"),
        lambda content: b"[" * 100_000 + b"\n",
        lambda content: b"\x00" * 64 + b"\n",
    ],
)
def test_a_damaged_file_of_figures_is_computed_again(
    run: StoredRun, reads: list[Path], damage: Callable[[bytes], bytes]
) -> None:
    path = run.path / "figures.json"
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert look(run).results["exact_match"].figures[0].value == 0.5
    assert reads == [run.path]
    assert path.read_bytes() == whole


def test_a_change_that_keeps_size_and_time_is_noticed(run: StoredRun) -> None:
    samples = run.path / "samples.jsonl"
    before = samples.stat()
    content = samples.read_bytes()
    samples.write_bytes(content.replace(b'"text":"maybe"', b'"text":"yes  "'))
    os.utime(samples, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = samples.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    with pytest.raises(Changed, match=r"line 4 \(item 'd'\)"):
        look(run)


def test_samples_that_change_while_figures_are_computed_are_not_kept(
    run: StoredRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run.path / "figures.json").unlink()
    records = StoredRun.records

    def read_and_touch(self: StoredRun) -> list[Record]:
        found = records(self)
        os.utime(self.path / "samples.jsonl")
        return found

    monkeypatch.setattr(StoredRun, "records", read_and_touch)
    assert look(run).results["exact_match"].figures[0].value == 0.5
    assert not (run.path / "figures.json").exists()


def test_a_changed_score_file_is_noticed(run: StoredRun) -> None:
    path = run.path / "scores" / "exact_match.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"value":0.0', b'"value":1.0'))
    found = StoredRun(run.path)
    assert run_scores(found, METRICS).results["exact_match"].figures[0].value == 0.5
    assert len(found.notes) == 1


def test_other_metrics_versions_or_leaks_are_other_figures(run: StoredRun, reads: list[Path]) -> None:
    assert run_scores(run, METRICS, leaked={"b"}).results["exact_match"].clean is not None
    assert run_scores(run, METRICS[:1]).results.keys() == {"exact_match"}
    run_scores(run, METRICS)
    reads.clear()
    run_scores(run, METRICS)
    assert reads == []
    run_scores(run, METRICS, lambda name: dataclasses.replace(load_metric(name), version="next"))  # type: ignore[type-var]
    assert reads == [run.path]


def test_a_changed_manifest_makes_figures_anew(run: StoredRun, reads: list[Path]) -> None:
    add_metrics(run.path, ["rougeL"])
    look(run)
    assert reads == [run.path]


def test_files_too_young_to_tell_are_not_trusted(
    run: StoredRun, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two changes within one tick of the file system's clock leave the same times."""
    monkeypatch.setattr(figure_cache, "SETTLED_S", 3600.0)
    look(run)
    assert reads == [run.path]


def test_what_another_metric_depends_on_is_not_known(run: StoredRun, reads: list[Path]) -> None:
    for _ in range(2):
        run_scores(run, ["speed"], made.loader(made.Speed()))
    assert reads == [run.path, run.path]


def test_a_folder_that_may_only_be_read_is_read_each_time(
    run: StoredRun, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (run.path / "figures.json").unlink()

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(figure_cache, "create", refuse)
    for _ in range(2):
        assert look(run).results["exact_match"].figures[0].value == 0.5
    assert reads == [run.path, run.path]
    assert not list(run.path.glob("*figures*"))


def test_the_file_is_one_line_of_json(run: StoredRun) -> None:
    (line,) = (run.path / "figures.json").read_text().splitlines()
    assert json.loads(line).keys() == {"key", "value", "seal"}
