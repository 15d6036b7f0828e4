"""Runs that were stored under schema version 1 load, resume, compare and give the table they gave then.

`stored_schema_1` was written by the last version of medbench before manifests had a `schema_version`, from the fake
engines below; `leaderboard.csv` in it is what that version printed. One run was stopped after 3 of 8 items.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import fakes
import made
import pytest
from click.testing import CliRunner, Result
from fakes import FakeEngine
from medbench.cli import cli
from medbench.core.hashing import fingerprint
from medbench.core.types import ChoiceRequest, ItemSet, Output
from medbench.evaluation.run import execute
from medbench.evaluation.settings import Settings
from medbench.results.manifest import SCHEMA_VERSION
from medbench.results.store import StoredRun
from medbench.results.writer import add_metrics

BEFORE = Path(__file__).parent / "stored_schema_1"
ITEMS = ItemSet(fakes.items(8), "here", notes=("a note",))
JUDGE = "judge:reference:local:tiny@01234567:c226880f"


class Contrary(FakeEngine):
    """Prefers what the other one prefers least."""

    def __init__(self) -> None:
        super().__init__()
        self.spec = dataclasses.replace(self.spec, name="contrary", revision="2", leaked={"fake-bench": ("i1",)})

    def choose(self, requests: Sequence[ChoiceRequest]) -> Iterator[Output]:
        for output in super().choose(requests):
            assert output.logprobs
            yield dataclasses.replace(output, logprobs=output.logprobs[::-1])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return Path(shutil.copytree(BEFORE, tmp_path / "runs"))


def go(root: Path, engine: FakeEngine, **asked: Any) -> StoredRun:
    """The call that made a run of the folder."""
    benchmark = fakes.benchmark(ITEMS, metrics=("accuracy", "brier"))
    planned = fakes.plan(benchmark, ITEMS, engine, Settings(**{"latency_items": 0, **asked}))
    return execute(planned, engine, root, made.Silent(), ["medbench", "run"])


def medbench(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)


def stored(run: Path) -> dict[str, Any]:
    return dict(json.loads((run / "manifest.json").read_bytes()))


def store(run: Path, change: dict[str, Any]) -> None:
    """Change fields of a manifest, with the seals that medbench would give them."""
    fields = stored(run) | change
    del fields["seals"]
    seals = {name: fingerprint(value)[:12] for name, value in fields.items()}
    (run / "manifest.json").write_text(json.dumps(fields | {"seals": seals}))


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def test_the_table_is_the_one_of_then(root: Path) -> None:
    done = medbench("leaderboard", root, "--csv", "-")
    assert done.exit_code == 0, done.stderr
    before = rows((BEFORE / "leaderboard.csv").read_text())
    assert len(before) == 25
    # Columns may join; those of then hold what they held.
    assert [{name: row[name] for name in before[0]} for row in rows(done.stdout)] == before


def test_complete_runs_are_found_complete(root: Path) -> None:
    folders = sorted(root.iterdir())
    engines = FakeEngine(), Contrary()
    assert [go(root, engine, latency_items=count).complete for engine, count in zip(engines, (2, 0))] == [True, True]
    assert [(engine.loads, engine.asked) for engine in engines] == [(0, []), (0, [])]
    assert sorted(root.iterdir()) == folders, "no run was made beside them"


def test_an_unfinished_run_resumes_and_is_stored_as_this_version_stores_it(root: Path) -> None:
    engine = FakeEngine()
    run = go(root, engine, choice="generate")
    assert run.path.name == "fake__fake-bench__5ce284da19"
    assert engine.asked == ["i3", "i4", "i5", "i6", "i7"]
    assert StoredRun(run.path).complete
    before, now = stored(BEFORE / run.path.name), stored(run.path)
    assert ("sittings" in now, now["schema_version"]) == (False, SCHEMA_VERSION)
    assert now["sessions"][0] == before["sittings"][0]
    assert [session["items"] for session in now["sessions"]] == [3, 5]
    assert now["identity"] == before["identity"]
    assert now["comparable"] == before["comparable"]


@pytest.mark.parametrize("folder", sorted(path.name for path in BEFORE.glob("*__*")))
def test_a_manifest_that_is_written_again_keeps_every_field(root: Path, folder: str) -> None:
    add_metrics(root / folder, ["token_f1"])
    before, now = stored(BEFORE / folder), stored(root / folder)
    same = before.keys() - {"sittings", "seals", "metrics"}
    assert {name: now[name] for name in same} == {name: before[name] for name in same}
    assert now["sessions"] == before["sittings"]
    assert now["metrics"] == [*before["metrics"], "token_f1"]


def test_runs_of_then_compare_with_each_other_and_with_one_of_now(root: Path) -> None:
    contrary, fake = sorted(root.glob("contrary__*")) + sorted(root.glob("fake__*__93c3e6e0fe"))
    (match,) = json.loads(medbench("compare", contrary, fake, "--json").stdout)["matches"]
    line = match["lines"][0]
    # Of 8 items both have 2 right, the one 2 more and the other 1 more: exact McNemar over 3 discordant pairs, p = 1.
    assert (line["name"], line["a"], line["b"], line["p"]) == ("accuracy", 4 / 8, 3 / 8, 1.0)
    assert line["counts"] == {"both": 2, "only_a": 2, "only_b": 1, "neither": 3}
    third = Contrary()
    third.spec = dataclasses.replace(third.spec, name="third")
    new = go(root, third)
    (match,) = json.loads(medbench("compare", contrary, new.path, "--json").stdout)["matches"]
    assert (match["both"], match["lines"][0]["difference"]) == (8, 0.0)


def test_what_a_judge_said_then_is_still_counted(root: Path) -> None:
    (run,) = map(StoredRun, root.glob("tiny__*"))
    header, replies = run.judgements(JUDGE)
    assert header
    assert (header.judge, header.model.name, header.settings["chat"]) == ("local:tiny@01234567", "grader", "plain")
    assert {item: json.loads(reply.output.text or "")["score"] for item, reply in replies.items()} == dict.fromkeys(
        "abc", 4
    )


def test_a_run_of_a_newer_schema_is_refused_and_the_others_are_shown(root: Path) -> None:
    (run,) = root.glob("tiny__*")
    store(run, {"schema_version": SCHEMA_VERSION + 1, "sessions": "no longer a list"})
    done = medbench("leaderboard", root)
    assert done.exit_code == 1
    version = f"has schema_version {SCHEMA_VERSION + 1}, but this version of medbench reads up to {SCHEMA_VERSION}."
    assert f"{run / 'manifest.json'} {version}" in done.stderr
    assert "Install a newer version of medbench" in done.stderr
    assert "contrary" in done.stdout
    assert medbench("show", run).exit_code == 1


@pytest.mark.parametrize("version", [0, -1, True, "2", None, 1.5, []])
def test_a_schema_version_that_is_none_is_named(root: Path, version: Any) -> None:
    (run,) = root.glob("tiny__*")
    store(run, {"schema_version": version})
    done = medbench("show", run)
    assert done.exit_code == 1
    assert "the field 'schema_version' should be a whole number above 0" in done.stderr
