"""Stored files whose seals are right and whose values are not: a sentence that names the field, never a traceback.

Whoever writes a run folder can seal it too.
"""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, TypedDict

import made
import pytest
from click.testing import CliRunner, Result
from medbench.cli import cli
from medbench.core.hashing import fingerprint
from medbench.core.seals import Chain, split
from medbench.core.typed import check_fields
from medbench.core.types import Item, Output, Score
from medbench.results.files import to_json
from medbench.results.manifest import Checkpoint, Session
from medbench.results.manifest_file import write_manifest
from medbench.results.scoring import load_metric, score_run
from medbench.results.store import StoredRun
from medbench.zoo import adapter_manifest
from medbench.zoo.adapter_manifest import AdapterManifest

ODD: tuple[Any, ...] = (None, -1, 10**30, 1.5, True, "", "x", [], {}, [1], ["x"], {"a": 1}, [[]], [None], [{}])
GONE = object()


def medbench(*words: object) -> Result:
    done = CliRunner().invoke(cli, [str(word) for word in words], env={"COLUMNS": "200"})
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


@pytest.fixture
def run(tmp_path: Path) -> StoredRun:
    made.make_run(tmp_path / "runs", {"a": "yes", "b": "no"}, model="other", metrics=["exact_match"])
    sessions = [Session(items=2, seconds=2.0, failures={"c": "why"})]
    found = made.make_run(
        tmp_path / "runs", {"a": "yes", "b": "no"}, item_ids=["a", "b", "c"], metrics=["exact_match"], sessions=sessions
    )
    score_run(found, load_metric("exact_match"))  # type: ignore[arg-type]
    return StoredRun(found.path)


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something can be changed in a JSON value."""
    if at:
        yield at
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from places(part, (*at, key))


def put(value: Any, at: tuple[Any, ...], new: Any) -> Any:
    inner = value
    for key in at[:-1]:
        inner = inner[key]
    if new is GONE:
        del inner[at[-1]]
    else:
        inner[at[-1]] = new
    return value


def with_manifest(run: StoredRun, change: Callable[[Any], Any]) -> None:
    value = json.loads((run.path / "manifest.json").read_bytes())
    del value["seals"]
    value = change(value)
    seals = {name: fingerprint(held)[:12] for name, held in value.items()}
    (run.path / "manifest.json").write_bytes(to_json(value | {"seals": seals}))


def with_line(run: StoredRun, path: Path, chain: Chain, number: int, change: Callable[[Any], Any]) -> None:
    lines = [json.loads(split(line)[0]) for line in path.read_bytes().splitlines()]
    lines[number - 1] = change(lines[number - 1])
    path.write_bytes(b"".join(chain.add(to_json(line)) for line in lines))
    if path.name == "samples.jsonl":
        checkpoint = Checkpoint(lines=chain.lines, seal=chain.seal.decode(), unsealed=0)
        write_manifest(run.path, dataclasses.replace(run.manifest, checkpoint=checkpoint))


def sample(run: StoredRun, change: Callable[[Any], Any]) -> None:
    chain = Chain.of(run.manifest.run_id, "samples.jsonl", sealed=True)
    with_line(run, run.path / "samples.jsonl", chain, 1, change)


@pytest.mark.parametrize(
    ("at", "value", "said"),
    [
        ("item.references", [1], "the field 'item.references' should be a list, each text, not [1]"),
        ("item.options", "yes", "the field 'item.options' should be a list, each text, not 'yes'"),
        ("item.meta", 7, "the field 'item.meta' should be an object, each text, not 7"),
        ("item.meta", {"a": []}, "the field 'item.meta' should be an object, each text, not {'a': []}"),
        ("item.context", {}, "the field 'item.context' should be text, not {}"),
        ("item.gold", 3, "item.gold is 3, of 0 options"),
        ("item.labels", ["A"], "there are 1 labels for 0 options"),
        ("output.text", 5, "the field 'output.text' should be text or null, not 5"),
        ("output.prompt_tokens", "x", "the field 'output.prompt_tokens' should be a whole number, not 'x'"),
        (
            "output.finish",
            "maybe",
            "the field 'output.finish' should be one of stop, length, choice, error, not 'maybe'",
        ),
        ("output.logprobs", ["x"], "the field 'output.logprobs' should be a list, each a number or null, not ('x',)"),
        ("output.logprobs", [-1.0], "there are 1 log-probabilities for 0 options"),
        ("output", [], "not a record: "),
    ],
)
def test_an_odd_value_in_a_record_is_named_by_line_and_field(run: StoredRun, at: str, value: Any, said: str) -> None:
    sample(run, lambda line: put(line, tuple(at.split(".")), value))
    done = medbench("leaderboard", run.path.parent)
    assert done.exit_code == 1
    assert f"samples.jsonl, line 1: {said}" in done.output
    assert "other" in done.stdout, "the other run is shown"


@pytest.mark.parametrize(
    ("at", "value", "said"),
    [
        ("model.name", 5, "the field 'model.name' should be text, not 5"),
        ("model.leaked", "a", "the field 'model.leaked' should be a list, each text or null, not 'a'"),
        ("benchmark.notes", [1], "the field 'benchmark.notes' should be a list, each text, not [1]"),
        ("comparable.shots", None, "the field 'comparable.shots' should be a whole number, not None"),
        ("identity.model", 1, "the field 'identity.model' should be an object, not 1"),
        ("sessions", [{"items": "x"}], "the field 'sessions[0].items' should be a whole number or null, not 'x'"),
        ("latency.seconds", ["x"], "the field 'latency.seconds' should be a list, each a number, not ['x']"),
    ],
)
def test_an_odd_value_in_a_manifest_is_named_by_field(run: StoredRun, at: str, value: Any, said: str) -> None:
    with_manifest(run, lambda manifest: put(manifest, tuple(at.split(".")), value))
    done = medbench("leaderboard", run.path.parent)
    assert done.exit_code == 1
    assert f"manifest.json: {said}" in done.output
    assert "other" in done.stdout, "the other run is shown"


def test_odd_scores_are_computed_again(run: StoredRun) -> None:
    path = run.score_file("exact_match")
    with_line(run, path, run.score_chain("exact_match"), 2, lambda line: line | {"item_id": [[]], "value": "x"})
    done = medbench("show", run.path)
    assert (
        "not a score: the field 'item_id' should be text, not [[]]. All its scores were computed again" in done.stderr
    )
    assert (done.exit_code, path.with_name("exact_match.jsonl.damaged-1").exists()) == (0, True)


def commands(run: StoredRun) -> list[list[object]]:
    other = next(path for path in run.path.parent.iterdir() if path != run.path)
    return [
        *(["leaderboard", run.path.parent, *form] for form in ([], ["--json"], ["--csv", "-"], ["--markdown", "-"])),
        *(["show", run.path, *what] for what in ([], ["--json"], ["--unscored"], ["a"], ["c"])),
        *(["compare", run.path, other, *form] for form in ([], ["--json"])),
        ["list", "runs", "--out", run.path.parent],
    ]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("kind", ["manifest", "samples", "scores"])
def test_whatever_is_changed_no_command_ends_in_a_traceback(run: StoredRun, kind: str, seed: int) -> None:
    choose = random.Random(f"{kind} {seed}")

    def change(value: Any) -> Any:
        return put(value, choose.choice(list(places(value))), choose.choice((*ODD, GONE)))

    if kind == "manifest":
        with_manifest(run, change)
    elif kind == "samples":
        sample(run, change)
    else:
        with_line(run, run.score_file("exact_match"), run.score_chain("exact_match"), choose.randint(1, 3), change)
    for words in commands(run):
        medbench(*words)


@pytest.mark.parametrize("seed", range(12))
def test_nor_of_an_adapters_manifest(tmp_path: Path, seed: int) -> None:
    choose = random.Random(seed)
    whole = AdapterManifest(
        *("tiny", "t", "lora", "done", {"max_steps": 3}, {"revision": "r", "source": "s", "name": "n"}),
        recipe={"source": "s", "stages": [{"name": "a", "lr": 1.0}]},
        stages=[{"name": "a", "steps": 3, "tokens": 9, "epochs": 1.0, "loss_last": 1.0, "files": {"x": "y"}}],
        data=[{"stage": "a", "examples": 3, "notes": ["n"], "parts": [{"source": "s", "drawn": 3, "available": 9}]}],
        leaks={"medqa": {"exact": ["a"]}},
        unchecked={"medquad": "why"},
        environment={"packages": {"torch": "2"}},
    )
    adapter_manifest.write(tmp_path / "tiny" / "t", whole)
    path = tmp_path / "tiny" / "t" / "manifest.json"
    value = json.loads(path.read_bytes())
    del value["seal"]
    value = put(value, choose.choice(list(places(value))), choose.choice((*ODD, GONE)))
    path.write_bytes(to_json(value | {"seal": adapter_manifest.seal_of(value)}))
    for words in (["list"], ["list", "--json"], ["show", path.parent], ["show", path.parent, "--json"]):
        where = ["--out", tmp_path] if words[0] == "list" else []
        medbench("adapters", *words, *where)


# --- the check --------------------------------------------------------------------------------------------------------


class Shape(TypedDict, total=False):
    mark: Literal["a", "b"]
    parts: list[dict[str, list[int]]]


def test_values_of_their_types_pass() -> None:
    check_fields(Item, {"id": "a", "options": ["x"], "gold": None, "meta": {"year": 2024, "b": True}, "unknown": {}})
    check_fields(Output, {"logprobs": (-1, -2.5), "seconds": 1, "final": False, "text": None})
    check_fields(Score, {"value": 1})
    check_fields(Shape, {"mark": "a", "parts": [{"x": [1]}]})


@pytest.mark.parametrize(
    ("kind", "fields", "said"),
    [
        (Item, {"gold": True}, "the field 'gold' should be a whole number or null, not True"),
        (Score, {"value": False}, "the field 'value' should be a number or null, not False"),
        (Output, {"final": 1}, "the field 'final' should be true or false, not 1"),
        (Shape, {"mark": "c"}, "the field 'mark' should be one of a, b, not 'c'"),
        (Shape, {"parts": [{"x": [1.5]}]}, "the field 'parts' should be a list, each an object, each a list, each a"),
    ],
)
def test_others_are_named(kind: type, fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_fields(kind, fields)
