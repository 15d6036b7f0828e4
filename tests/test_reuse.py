"""A larger --limit, or the whole set after a limit, asks only what no run of the same model has asked yet."""

from pathlib import Path
from typing import Any

import fakes
import made
import pytest
from fakes import FakeEngine
from medbench.core.errors import UsageError
from medbench.core.types import ItemSet, ModelSpec
from medbench.evaluation.run import execute
from medbench.evaluation.settings import Settings
from medbench.results.store import StoredRun

ITEMS = ItemSet(fakes.items(20), "made up")
POOLED = ItemSet(fakes.items(20), "made up", shots=fakes.items(5, "s"))


class Told(made.Silent):
    def __init__(self) -> None:
        self.lines: list[tuple[str, int]] = []

    def reused(self, run: str, items: int, total: int) -> None:
        self.lines.append((run, items))


def go(
    root: Path,
    item_set: ItemSet = ITEMS,
    engine: FakeEngine | None = None,
    bench: dict[str, Any] | None = None,
    **asked: Any,
) -> tuple[StoredRun, list[str], list[tuple[str, int]]]:
    """The run, the ids that the model was asked, and what was said to be reused."""
    engine, told = engine or FakeEngine(), Told()
    planned = fakes.plan(
        fakes.benchmark(item_set, **(bench or {})), item_set, engine, Settings(**{"latency_items": 0} | asked)
    )
    run = execute(planned, engine, root, told, [])
    return run, engine.asked, told.lines


def test_a_larger_limit_and_then_the_whole_set_ask_the_rest(tmp_path: Path) -> None:
    few, _, _ = go(tmp_path, limit=5)
    more, asked, told = go(tmp_path, limit=12)
    shared = set(few.manifest.item_ids) & set(more.manifest.item_ids)
    assert shared, "else this test shows nothing"
    assert set(asked) == set(more.manifest.item_ids) - shared
    assert told == [(few.manifest.run_id, len(shared))] == list(more.manifest.settings.reused.items())
    whole, asked, told = go(tmp_path)
    assert len(asked) == 20 - len({*few.manifest.item_ids, *more.manifest.item_ids})
    assert whole.complete
    fresh, _, _ = go(tmp_path / "elsewhere")
    assert whole.records() == fresh.records(), "the answers that it would have given"


def test_only_what_the_run_answered_itself_is_measured(tmp_path: Path) -> None:
    go(tmp_path, limit=12)
    run, asked, _ = go(tmp_path)
    assert run.manifest.measured().items == len(asked) == 8
    assert run.manifest.measured().prompt_tokens == 8 * 10


def test_a_smaller_limit_needs_no_model(tmp_path: Path) -> None:
    go(tmp_path)
    engine = FakeEngine()
    run, asked, told = go(tmp_path, engine=engine, limit=5, latency_items=3)
    assert (run.complete, asked, engine.loads, told[0][1]) == (True, [], 0, 5)


def test_a_run_that_began_asks_for_itself(tmp_path: Path) -> None:
    """The same command again changes nothing."""
    first, _, _ = go(tmp_path)
    again, asked, told = go(tmp_path)
    assert (again.manifest, asked, told) == (first.manifest, [], [])


@pytest.mark.parametrize(
    "other",
    [
        {"engine": FakeEngine(ModelSpec("fake", "nowhere", "2", engine="fake", dtype="float32"))},
        {"choice": "generate"},
        {"bench": {"question": lambda item: f"Q: {item.question}\nAnswer:"}},
        {"bench": {"version": "2"}},
        {"item_set": ItemSet(tuple(fakes.items(20, "j")), "made up")},
    ],
    ids=["another revision", "another method", "another prompt", "another version", "other items"],
)
def test_another_question_or_model_is_asked(tmp_path: Path, other: dict[str, Any]) -> None:
    go(tmp_path, limit=5)
    run, asked, told = go(tmp_path, **other)
    assert (len(asked), told) == (20, [])
    assert not run.manifest.settings.reused


def test_examples_must_be_the_same(tmp_path: Path) -> None:
    go(tmp_path, POOLED, limit=5, shots=2)
    assert len(go(tmp_path, POOLED, shots=2)[1]) == 15
    assert len(go(tmp_path, POOLED, shots=3)[1]) == 20
    assert len(go(tmp_path, POOLED, shots=2, seed=1)[1]) == 20


def test_without_examples_another_seed_asks_the_same(tmp_path: Path) -> None:
    go(tmp_path, limit=5)
    assert len(go(tmp_path, limit=20, seed=7)[1]) == 15


def test_chat_always_without_a_template_is_refused() -> None:
    engine = FakeEngine(ModelSpec("fake", "nowhere", "1", engine="fake", chat="always"))
    with pytest.raises(UsageError, match="--chat always: fake has no chat template"):
        fakes.plan(fakes.benchmark(ITEMS), ITEMS, engine, Settings())


@pytest.mark.parametrize(
    ("asked", "note"),
    [
        ({"max_new_tokens": 9}, "--max-new-tokens 9 has no effect: options are chosen by log-probability."),
        ({"limit": 50}, "--limit 50 has no effect: there are 20 items."),
        ({"seed": 3}, "--seed 3 has no effect: nothing is drawn."),
        ({"seed": 3, "limit": 5}, ""),
        ({"max_new_tokens": 9, "choice": "generate"}, ""),
    ],
)
def test_an_option_without_effect_is_noted(asked: dict[str, Any], note: str) -> None:
    planned = fakes.plan(fakes.benchmark(ITEMS), ITEMS, FakeEngine(), Settings(**asked))
    assert planned.notes == ((note,) if note else ())


def test_a_run_that_was_changed_gives_no_answers(tmp_path: Path) -> None:
    few, _, _ = go(tmp_path, limit=5)
    samples = few.path / "samples.jsonl"
    stored = samples.read_text()
    samples.write_text(stored.replace('"gold":1', '"gold":0', 1).replace('"gold": 1', '"gold": 0', 1))
    assert samples.read_text() != stored
    assert len(go(tmp_path)[1]) == 20
