"""From the command to the first question: what is timed, and what is read ahead."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import fakes
import made
import pytest
from medbench.core.hashing import fingerprint, fingerprint_each
from medbench.core.types import Item, ItemSet, Target, Turn
from medbench.evaluation import startup
from medbench.evaluation.plan import _content
from medbench.evaluation.run import execute
from medbench.evaluation.settings import Settings
from medbench.results.store import StoredRun


class Loaded(fakes.FakeEngine):
    """Names a library that is imported before it is loaded."""

    imports = ("wave",)

    def load(self) -> None:
        assert "wave" in sys.modules
        super().load()


def go(root: Path, engine: Any, name: str = "fake-bench") -> StoredRun:
    item_set = ItemSet(fakes.items(3), "here")
    planned = fakes.plan(fakes.benchmark(item_set, name=name), item_set, engine, Settings(latency_items=0))
    return execute(planned, engine, root, made.Silent(), [])


def test_the_manifest_tells_import_data_load_and_run_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "wave", raising=False)
    # Each look at the clock is a second later: a counted block takes one, whatever it holds.
    ticks = iter(range(1000))
    monkeypatch.setattr("medbench.evaluation.startup.time.perf_counter", lambda: float(next(ticks)))
    startup.taken("import"), startup.taken("data")
    with startup.counted("data"):
        pass
    engine = Loaded()
    (first,) = go(tmp_path, engine).manifest.sessions
    assert (first.data_seconds, first.import_seconds, first.load_seconds) == (1, 1, 1)
    assert first.seconds and first.seconds > 0
    (second,) = go(tmp_path, engine, "another").manifest.sessions
    assert second.data_seconds == 0, "it was counted to the first"


def test_a_complete_run_imports_and_loads_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go(tmp_path, Loaded())
    monkeypatch.delitem(sys.modules, "wave")
    engine = Loaded()
    assert go(tmp_path, engine).complete
    assert engine.loads == 0
    assert "wave" not in sys.modules


@pytest.mark.skipif(not hasattr(__import__("os"), "posix_fadvise"), reason="no posix_fadvise here")
def test_weights_are_read_ahead_where_there_are_some_and_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"0" * 1000)
    (tmp_path / "old.bin").write_bytes(b"0" * 24)
    (tmp_path / "tokenizer.json").write_bytes(b"{}")
    assert startup.read_ahead(str(tmp_path)) == 1024
    assert startup.read_ahead(str(tmp_path / "old.bin")) == 24
    assert [startup.read_ahead(location) for location in ("", "gpt-4.1-mini", str(tmp_path / "gone"))] == [0, 0, 0]
    monkeypatch.setattr(startup, "ROOM", 0.0)
    assert startup.read_ahead(str(tmp_path)) == 0


def test_hashes_of_many_items_are_those_of_their_list() -> None:
    items = [Item("a", "ä?", "c", ("x", "y"), ("A", "B"), 1, ("r",), {"s": "t"}), Item("b", "")]
    plain = []
    for item in items:
        fields = dataclasses.asdict(item)
        for name in ("meta", "turns", "target", "criteria", "answer_field"):  # all but meta: hashed if not empty
            del fields[name]
        plain.append([[name, fields[name]] for name in sorted(fields)])
    assert fingerprint_each(map(_content, items)) == fingerprint(plain) == "b8471352152e7a79"
    asked = Item("b", "", target=Target("3", low="2"), turns=(Turn("user", "hi"),))
    newer = [["turns", [{"role": "user", "content": "hi"}]], ["target", {"value": "3", "low": "2"}]]
    assert _content(asked) == [*_content(items[1]), *newer]
    assert fingerprint_each([]) == fingerprint([])
