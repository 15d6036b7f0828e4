"""`--leave-out-leaks`: training without the examples that contain scored items."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import entries
import medbench as package
import pytest
from click.testing import CliRunner, Result
from medbench.benchmarks import leaks
from medbench.benchmarks.sources.files import Source
from medbench.cli import cli
from medbench.core import registry
from medbench.core.types import Item
from medbench.training import leak_check
from medbench.training.data import StageData
from medbench.training.example import Example
from medbench.zoo import adapters

HELD = 5  # examples of `pairs` that hold a scored item
FOLDER = Path("adapters/tiny-smollm2-135m")


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    for name in ("MEDBENCH_DATA", "MEDBENCH_HOME", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def items() -> tuple[Item, ...]:
    return tuple(registry.get("benchmarks", "medquad-sample").load(Source(None)).items)


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    return entries.entry(tmp_path, "smollm2-135m")


@pytest.fixture
def pairs(items: tuple[Item, ...], tmp_path: Path) -> Path:
    """20 harmless pairs, and 5 that are items of medquad-sample, question and answer."""
    file = entries.data(tmp_path, 20)
    rows = [{"id": f"leak-{n}", "question": i.question, "answer": i.references[0]} for n, i in enumerate(items[:HELD])]
    file.write_text(file.read_text() + "".join(json.dumps(row) + "\n" for row in rows))
    return file


def medbench(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


def train(entry: Path, pairs: Path, *words: object, tag: str = "t") -> Result:
    fields = (f"data={pairs}", "max_length=128", "eval_examples=0", "quantize=none")
    settings = [word for setting in fields for word in ("--set", setting)]
    return medbench("train", "-m", entry, "--tag", tag, "--max-steps", 1, "--device", "cpu", *settings, *words)


def manifest(tag: str = "t") -> dict[str, Any]:
    return json.loads((FOLDER / tag / "manifest.json").read_text())


# --- from the command line --------------------------------------------------------------------------------------------


def test_the_refusal_names_the_option_that_helps(entry: Path, pairs: Path) -> None:
    refused = train(entry, pairs)
    assert refused.exit_code == 2
    assert "the training data contain scored items, question and answer: 5 of medquad-sample" in refused.stderr
    assert "To train without them: --leave-out-leaks." in refused.stderr
    assert not (FOLDER / "t").exists()


def test_the_examples_are_left_out_and_the_manifest_says_which_and_why(
    entry: Path, pairs: Path, items: tuple[Item, ...]
) -> None:
    done = train(entry, pairs, "--leave-out-leaks")
    assert done.exit_code == 0, done.output
    made = manifest()
    [data] = made["data"]
    assert data["left_out"] == {f"pairs/leak-{n}": [f"medquad-sample/{items[n].id}"] for n in range(HELD)}
    assert data["examples"] == 20
    note = "5 of 25 examples are left out because they contain scored items: 5 of medquad-sample."
    assert note in data["notes"] and note in done.stderr
    trained_on = {json.loads(line)["id"] for line in (FOLDER / "t" / "examples.jsonl").read_text().splitlines()}
    assert trained_on == {f"pairs/pairs-{n}" for n in range(20)}
    assert "Left out of training because they hold scored items: 5 examples: 5 of medquad-sample." in " ".join(
        done.stdout.split()
    )


def test_the_leak_check_and_the_tables_of_later_runs_find_nothing(entry: Path, pairs: Path) -> None:
    assert train(entry, pairs, "--leave-out-leaks").exit_code == 0
    assert manifest()["leaks"]["medquad-sample"] == {"exact": [], "ngram": [], "near": [], "items": []}
    assert adapters.read(FOLDER / "t").leaked["medquad-sample"] == ()
    ran = medbench(
        *("run", "-m", f"{entry}@t", "-b", "medquad-sample", "--limit", 2, "--max-new-tokens", 3),
        *("--latency-items", 0, "--json"),
    )
    assert ran.exit_code == 0, ran.output
    [path] = Path("runs").glob("*/manifest.json")
    assert json.loads(path.read_text())["model"]["leaked"] == []


def test_it_is_the_training_of_the_same_data_without_these_examples(entry: Path, pairs: Path, tmp_path: Path) -> None:
    assert train(entry, pairs, "--leave-out-leaks").exit_code == 0
    clean = pairs.with_name("clean") / "pairs.jsonl"
    clean.parent.mkdir()
    clean.write_text("".join(line + "\n" for line in pairs.read_text().splitlines() if '"leak-' not in line))
    assert train(entry, clean, tag="clean").exit_code == 0
    assert manifest()["data"][0]["hash"] == manifest("clean")["data"][0]["hash"]
    assert manifest()["hash"] == manifest("clean")["hash"], "the same weights"


def test_the_dry_run_says_it_and_touches_nothing(entry: Path, pairs: Path, tmp_path: Path) -> None:
    said = train(entry, pairs, "--leave-out-leaks", "--dry-run")
    shown = " ".join(said.stdout.split())
    assert said.exit_code == 0, said.output
    assert "5 of 25 examples are left out because they contain scored items: 5 of medquad-sample." in shown
    assert "--leave-out-leaks would leave out 5 examples that hold scored items." in shown
    (unchecked,) = re.findall(r"Not checked, because their data are not here: ([^.]*)\.", shown)
    assert "liveqa" in unchecked.split(", ") and "medquad-sample" not in unchecked.split(", ")
    found = json.loads(train(entry, pairs, "--leave-out-leaks", "--dry-run", "--json").stdout)
    assert found["stages"][0]["examples"] == 20
    assert {*found["stages"][0]["left_out"]} == {f"pairs/leak-{n}" for n in range(HELD)}
    assert "liveqa" in found["leaks_unchecked"]
    assert not Path("adapters").exists()
    without = json.loads(train(entry, pairs, "--dry-run", "--json").stdout)
    assert without["stages"][0]["examples"] == 25 and "left_out" not in without["stages"][0]


def test_a_benchmark_that_is_allowed_is_trained_on(entry: Path, pairs: Path) -> None:
    done = train(entry, pairs, "--leave-out-leaks", "--allow-leak", "medquad-sample")
    assert done.exit_code == 0, done.output
    assert manifest()["data"][0]["left_out"] == {}
    assert len(manifest()["leaks"]["medquad-sample"]["items"]) == HELD


def test_without_leaks_the_option_changes_nothing(entry: Path, tmp_path: Path) -> None:
    harmless = entries.data(tmp_path, 20)
    assert train(entry, harmless, "--leave-out-leaks").exit_code == 0
    again = train(entry, harmless)
    assert again.exit_code == 0 and "is already trained: nothing to do" in again.stderr


def test_the_same_tag_with_and_without_the_option_is_two_trainings(entry: Path, pairs: Path) -> None:
    assert train(entry, pairs, "--leave-out-leaks").exit_code == 0
    assert "nothing to do" in train(entry, pairs, "--leave-out-leaks").stderr
    other = train(entry, pairs, "--allow-leak", "medquad-sample")
    assert other.exit_code == 2
    assert "20 examples in stage" in other.stderr and "25 examples in stage" in other.stderr


def test_where_nothing_is_left_it_says_so(entry: Path, pairs: Path) -> None:
    only = "".join(line + "\n" for line in pairs.read_text().splitlines() if '"leak-' in line)
    pairs.write_text(only)
    refused = train(entry, pairs, "--leave-out-leaks")
    assert refused.exit_code == 1
    assert (
        "all of its 5 examples contain scored items, so --leave-out-leaks leaves nothing to train on." in refused.stderr
    )


@pytest.mark.parametrize("resume", [False, True], ids=["same command", "--resume"])
def test_a_paused_training_leaves_out_what_it_left_out_before(
    resume: bool, entry: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The benchmark's data may be gone by then, or be another release."""
    with monkeypatch.context() as full:
        full.setattr("medbench.training.train._check_room", refuse)
        assert train(entry, pairs, "--leave-out-leaks").exit_code == 1
    assert manifest()["status"] == "stopped"
    monkeypatch.setattr(leak_check, "to_leave_out", lambda *_: pytest.fail("looked for leaks again"))
    if resume:
        done = medbench("train", "-m", entry, "--tag", "t", "--resume", "--device", "cpu")
    else:
        done = train(entry, pairs, "--leave-out-leaks")
    assert done.exit_code == 0, done.output
    assert (manifest()["status"], len(manifest()["data"][0]["left_out"])) == ("done", HELD)


def refuse(*_: object) -> None:
    from medbench.core.errors import MedbenchError

    raise MedbenchError("the disk is full.")


def test_adapters_show_says_it(entry: Path, pairs: Path) -> None:
    train(entry, pairs, "--leave-out-leaks")
    shown = " ".join(medbench("adapters", "show", FOLDER / "t").stdout.split())
    assert "5 of 25 examples are left out because they contain scored items: 5 of medquad-sample." in shown


# --- from Python ------------------------------------------------------------------------------------------------------


def test_from_python(entry: Path, pairs: Path) -> None:
    settings = {"data": pairs, "max_length": 128, "eval_examples": 0, "quantize": "none"}
    options: dict[str, Any] = {"settings": settings, "max_steps": 1, "device": "cpu", "tag": "t"}
    with pytest.raises(package.UsageError, match="--leave-out-leaks"):
        package.train(str(entry), **options)
    adapter = package.train(str(entry), **options, leave_out_leaks=True)
    assert len(adapter.manifest.data[0]["left_out"]) == HELD
    assert not any(adapter.manifest.leaked.values())


# --- which examples hold items ----------------------------------------------------------------------------------------

VIGNETTE = "A man of 61 years has had a dry cough, night sweats and fever since early spring."


def example(name: str, question: str = "Why?", answer: str = "Because.") -> Example:
    return Example(f"set/{name}", question, answer, f"Question: {question}\nAnswer:")


def held(examples: list[Example], *items: Item) -> dict[str, tuple[str, ...]]:
    return leaks.holders(examples, {"bench": items})


@pytest.mark.parametrize(
    ("item", "leak"),
    [
        (Item("i", "What is gout?", references=("x",)), example("a", "what is GOUT")),  # the question
        (Item("i", "Why?", references=(VIGNETTE,)), example("a", "Who?", f"Say: {VIGNETTE}")),  # a reference
        (Item("i", VIGNETTE, references=("x",)), example("a", "Who?", " ".join(VIGNETTE.split()[:13]))),  # 13 words
        (Item("i", "What is (are) Paget's disease ?", references=("x",)), example("a", "What is Paget disease?")),
        (Item("i", "Which is true?", options=("a b", "c d"), gold=1), example("a", "Which is true?", "c d")),
    ],
    ids=["exact question", "exact reference", "ngram", "near", "lettered"],
)
def test_every_kind_of_leak_is_left_out(item: Item, leak: Example) -> None:
    assert held([example("b", "Where is the liver?"), leak], item) == {"set/a": ("bench/i",)}


def test_an_example_may_hold_several_items_and_an_item_be_in_several_examples() -> None:
    first, second = (Item(name, f"What is {name}?", references=("x",)) for name in ("gout", "croup"))
    both = example("both", "What is gout?", "It is not croup. What is croup?")
    # "What is croup?" has three words, too few to be found inside another text.
    assert held([both, example("one", "what is gout"), example("two", "What is croup?")], first, second) == {
        "set/both": ("bench/gout",),
        "set/one": ("bench/gout",),
        "set/two": ("bench/croup",),
    }


def test_the_items_of_two_benchmarks_are_told_apart_in_the_count() -> None:
    left_out = {"a": ("medquad/1", "liveqa/q/1"), "b": ("medquad/1",), "c": ("medquad/2",)}
    assert leak_check.words(left_out) == "1 of liveqa, 2 of medquad"


def test_boilerplate_that_is_none_any_more_once_others_are_left_out_is_left_out_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Twelve documents share 13 words of an item. Two of them hold another item; ten are left, which is a leak."""
    shared = " ".join(VIGNETTE.split()[:13])
    gout = Item("gout", "What is gout?", references=("x",))
    vignette = Item("vignette", VIGNETTE, references=("x",))
    texts = [example(str(n), "What is gout?" if n < 2 else f"Who is number {n}?", shared) for n in range(12)]
    rest = example("rest", "Where is the liver?")
    monkeypatch.setattr(leak_check, "scored_items", lambda source, tell=None: ({"bench": [gout, vignette]}, {}))
    data = StageData((*texts, rest), (), (), ())
    assert {*held(list(data.train), gout, vignette)} == {"set/0", "set/1"}
    left_out = leak_check.to_leave_out([data], Source(None), ())
    assert {*left_out} == {text.id for text in texts}
    kept = leak_check.without(data, left_out)
    assert kept.train == (rest,)
    assert leaks.find(kept.train, {"bench": [gout, vignette]}) == {"bench": leaks.Leaks()}
    assert kept.hash == dataclasses.replace(data, train=(rest,)).hash


@pytest.mark.slow
def test_medquads_near_duplicates_can_be_left_out(real_data: Path) -> None:
    """The train split holds 278 items of medquad and liveqa in one way or another, none question and answer."""
    from medbench.benchmarks import liveqa, medquad

    source = Source(real_data)
    train = [
        Example(f"medquad/{i.id}", i.question, i.references[0], f"Question: {i.question}\nAnswer:")
        for i in medquad.load_split(source, "train")
    ]
    sets = {"medquad": medquad.load(source).items, "liveqa": liveqa.load(source).items}
    left_out = leaks.holders(train, sets)
    assert {item for items in left_out.values() for item in items} == {
        f"{name}/{item}" for name, found in leaks.find(train, sets).items() for item in found.all
    }
    kept = [example for example in train if example.id not in left_out]
    assert all(not found.all for found in leaks.find(kept, sets).values())
