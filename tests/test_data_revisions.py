"""Hub data sets by commit: recorded in full, requested with --data-revision, and kept when resuming."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import entries
import fake_hub
import medbench as package
import pytest
from click.testing import CliRunner, Result
from fake_hub import FakeHub, Repository
from medbench.benchmarks.sources import hub as hub_sets
from medbench.benchmarks.sources.files import Source
from medbench.cli import cli
from medbench.core.errors import DataMissing, UsageError
from medbench.training import data as training_data
from medbench.training import resume
from medbench.zoo import adapters

OLD, NEW = "1a2b3c4" + "0" * 33, "5d6e7f8" + "0" * 33
WIKIDOC = "medalpaca/medical_meadow_wikidoc_patient_information"
MEDQA = "GBaker/MedQA-USMLE-4-options"
OTHER = "owner/other"
FOLDER = Path("adapters/tiny-smollm2-135m/t")


def pairs(commit: str) -> list[dict[str, str]]:
    return [
        {"input": f"What helps against day {n} of {commit[:3]}?", "output": f"Rest for {n} days."} for n in range(9)
    ]


def question(commit: str, number: int) -> dict[str, Any]:
    options = {"A": "aspirin", "B": "ibuprofen", "C": "paracetamol", "D": "codeine"}
    return {"question": f"{commit[:3]} {number}?", "options": options, "answer_idx": "B", "answer": "ibuprofen"}


def lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Path]]:
    """Two commits of a training set and of a benchmark."""
    root = tmp_path_factory.mktemp("sets")
    for commit in (OLD, NEW):
        lines(root / "wikidoc" / commit / "train.jsonl", pairs(commit))
        for split in ("train", "test"):
            lines(root / "medqa" / commit / f"{split}.jsonl", [question(commit, n) for n in range(4)])
    return {name: {commit: root / name / commit for commit in (OLD, NEW)} for name in ("wikidoc", "medqa")}


@pytest.fixture
def wikidoc(sets: dict[str, dict[str, Path]]) -> Repository:
    return Repository(dict(sets["wikidoc"]), {"main": OLD})


@pytest.fixture
def medqa(sets: dict[str, dict[str, Path]]) -> Repository:
    return Repository(dict(sets["medqa"]), {"main": OLD})


@pytest.fixture
def server(
    wikidoc: Repository, medqa: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FakeHub]:
    monkeypatch.chdir(tmp_path)
    for name in ("HF_TOKEN", "MEDBENCH_DATA", "MEDBENCH_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    with fake_hub.serve({}, datasets={WIKIDOC: wikidoc, MEDQA: medqa}) as server:
        fake_hub.use(server.url, tmp_path / "hf", monkeypatch)
        yield server


@pytest.fixture
def offline(server: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    return lambda: fake_hub.use("http://127.0.0.1:1", tmp_path / "hf", monkeypatch, offline=True)


def read(revision: str = "") -> tuple[str, str]:
    """The first question and the commit of the training set at a revision."""
    found = Source(None, revisions={WIKIDOC: revision} if revision else {}).hub(WIKIDOC, "train")
    return found.rows[0]["input"], found.origin.rpartition("@")[2]


OLDEST, NEWEST = (pairs(OLD)[0]["input"], OLD), (pairs(NEW)[0]["input"], NEW)


# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("revision", ["dev", "v1.0", NEW[:7], NEW])
def test_a_revision_is_a_branch_a_tag_or_a_commit(revision: str, server: FakeHub, wikidoc: Repository) -> None:
    wikidoc.refs |= {"dev": NEW, "v1.0": NEW}
    assert read() == OLDEST
    assert read(revision) == NEWEST
    assert read() == OLDEST


def test_the_origin_has_the_commit_in_full(server: FakeHub) -> None:
    assert Source().hub(WIKIDOC, "train").origin == f"hub:{WIKIDOC}@{OLD}"


@pytest.mark.parametrize("revision", ["v9", "0000000", "f" * 40])
def test_an_unknown_revision_is_named(revision: str, server: FakeHub) -> None:
    with pytest.raises(DataMissing) as error:
        read(revision)
    assert f"dataset '{WIKIDOC}' has no revision '{revision}'." in error.value.message


@pytest.mark.parametrize("revision", [OLD, OLD[:8]])
def test_a_commit_that_was_read_before_needs_no_hub(
    revision: str, wikidoc: Repository, offline: Callable[[], None]
) -> None:
    read()
    wikidoc.refs["main"] = NEW
    read()
    offline()
    assert read() == NEWEST
    assert read(revision) == OLDEST


@pytest.mark.parametrize("revision", [NEW, NEW[:7], "v1"])
def test_offline_another_commit_is_never_given_instead(revision: str, offline: Callable[[], None]) -> None:
    read()
    offline()
    with pytest.raises(DataMissing, match=f"the hub copy {WIKIDOC} @ {revision} is not in the cache"):
        read(revision)


def test_a_failing_hub_does_not_give_another_commit_either(server: FakeHub) -> None:
    read()
    server.datasets = {}
    assert read() == OLDEST  # as it was read before
    with pytest.raises(DataMissing):
        read(NEW)
    assert read(OLD) == OLDEST


def test_an_interrupted_preparation_hides_no_copy(
    offline: Callable[[], None], wikidoc: Repository, tmp_path: Path
) -> None:
    read()
    unfinished = tmp_path / "hf" / "datasets" / WIKIDOC.replace("/", "___") / "default" / "0.0.0" / f"{NEW}.incomplete"
    unfinished.mkdir()
    offline()
    assert read() == OLDEST
    unfinished.rename(unfinished.with_name(NEW))
    assert read() == OLDEST


@pytest.mark.parametrize(
    "pin", ["{}@v1", "hub:{}@v1", "hub:{}/config@v1", "hf://datasets/{}@v1", "datasets/{}@v1"], ids=str
)
def test_a_data_set_is_named_as_medbench_or_the_hub_names_it(pin: str) -> None:
    assert hub_sets.revisions([pin.format(WIKIDOC)], [WIKIDOC]) == {WIKIDOC: "v1"}


@pytest.mark.parametrize(
    ("pins", "says"),
    [
        ([WIKIDOC], "this is not a data set at a revision"),
        (["wikidoc@v1"], "this is not a data set at a revision"),
        ([f"{WIKIDOC}@"], "this is not a data set at a revision"),
        ([f"{OTHER}@v1"], f"this command reads no data from {OTHER}"),
        ([f"{WIKIDOC}@v1", f"{WIKIDOC}@v2"], f"two revisions of {WIKIDOC}: v1, v2"),
    ],
)
def test_what_is_wrong_with_a_revision_is_said(pins: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        hub_sets.revisions(pins, [WIKIDOC])


# --- training ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def entry(server: FakeHub, tmp_path: Path) -> Path:
    return entries.entry(tmp_path, "smollm2-135m")


def medbench(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


def train(entry: Path, *words: object, code: int = 0) -> Result:
    fields = ("data=wikidoc", "max_length=64", "eval_examples=0", "quantize=none")
    settings = [word for setting in fields for word in ("--set", setting)]
    command = ["train", "-m", entry, "--tag", "t", "--max-steps", 1, "--device", "cpu", "-q", *settings]
    done = medbench(*command, *words)
    assert done.exit_code == code, done.output
    return done


def manifest() -> dict[str, Any]:
    return json.loads((FOLDER / "manifest.json").read_text())


def trained_on() -> str:
    [part] = manifest()["data"][0]["parts"]
    return str(part["origin"])


def test_the_manifest_has_the_commit_of_the_data(entry: Path) -> None:
    train(entry)
    assert trained_on() == f"hub:{WIKIDOC}@{OLD}"
    assert manifest()["data_revisions"][WIKIDOC] == {"commit": OLD}


def test_what_the_manifest_says_can_be_given_back(entry: Path, wikidoc: Repository) -> None:
    train(entry)
    before = manifest()["data"][0]["hash"]
    wikidoc.refs["main"] = NEW
    train(entry, "--tag", "u", "--data-revision", trained_on())
    again = adapters.read(FOLDER.with_name("u"))
    assert again.data[0]["hash"] == before
    assert again.data_revisions[WIKIDOC] == {"commit": OLD, "asked": OLD}
    train(entry, "--tag", "v")
    assert adapters.read(FOLDER.with_name("v")).data[0]["hash"] != before


def test_a_pinned_data_set_is_not_read_from_the_folder(entry: Path, tmp_path: Path) -> None:
    lines(tmp_path / "data" / "wikidoc" / "medical_meadow_wikidoc_patient_info.jsonl", pairs("a folder"))
    train(entry, "--data", tmp_path / "data", "--data-revision", f"{WIKIDOC}@{NEW}")
    assert trained_on() == f"hub:{WIKIDOC}@{NEW}"


@pytest.mark.parametrize("way", ["same command", "--resume"])
@pytest.mark.parametrize("asked", [(), ("--data-revision", f"{WIKIDOC}@dev")], ids=["unpinned", "pinned to a branch"])
def test_a_paused_training_goes_on_with_the_data_that_it_began_with(
    way: str, asked: tuple[str, ...], entry: Path, wikidoc: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    wikidoc.refs["dev"] = OLD
    with monkeypatch.context() as full:
        full.setattr("medbench.training.train._check_room", refuse)
        train(entry, *asked, code=1)
    wikidoc.refs |= {"main": NEW, "dev": NEW}
    if way == "--resume":
        done = medbench("train", "-m", entry, "--tag", "t", "--resume", "--device", "cpu", "-q")
        assert done.exit_code == 0, done.output
    else:
        train(entry, *asked)
    assert (manifest()["status"], trained_on()) == ("done", f"hub:{WIKIDOC}@{OLD}")


def refuse(*_: object) -> None:
    from medbench.core.errors import MedbenchError

    raise MedbenchError("the disk is full.")


def test_a_finished_training_is_found_done_after_a_new_commit(entry: Path, wikidoc: Repository) -> None:
    train(entry)
    before = manifest()
    wikidoc.refs["main"] = NEW
    train(entry)
    assert manifest() == before
    assert "already holds another training" in train(entry, "--data-revision", f"{WIKIDOC}@{NEW}", code=2).stderr


def test_a_training_from_before_commits_were_recorded_reads_what_there_is(entry: Path) -> None:
    train(entry)
    old = adapters.read(FOLDER)
    value = json.loads((FOLDER / "manifest.json").read_text())
    del value["data_revisions"], value["seal"]
    (FOLDER / "manifest.json").write_text(json.dumps(value))
    assert adapters.read(FOLDER).data_revisions == {}
    assert resume.same_data(adapters.read(FOLDER), {}) == {}
    train(entry)
    assert adapters.read(FOLDER).hash == old.hash


def test_a_data_set_that_is_not_read_is_refused_before_anything_is_loaded(entry: Path, server: FakeHub) -> None:
    said = train(entry, "--data-revision", f"{OTHER}@{OLD}", code=2).stderr
    assert f"this command reads no data from {OTHER}" in said
    assert WIKIDOC in said
    assert server.fetched == []


def test_the_dry_run_counts_the_data_at_the_revision(entry: Path, wikidoc: Repository, tmp_path: Path) -> None:
    lines(tmp_path / "short" / "train.jsonl", pairs(NEW)[:5])
    wikidoc.commits[NEW] = tmp_path / "short"
    read(NEW)
    said = train(entry, "--dry-run", "--json", "--data-revision", f"{WIKIDOC}@{NEW}")
    assert json.loads(said.stdout)["stages"][0]["examples"] == 5


def test_from_python(entry: Path) -> None:
    settings = {"data": "wikidoc", "max_length": 64, "eval_examples": 0, "quantize": "none"}
    adapter = package.train(str(entry), settings=settings, max_steps=1, device="cpu", data_revisions={WIKIDOC: NEW[:7]})
    assert adapter.manifest.data_revisions[WIKIDOC] == {"commit": NEW, "asked": NEW[:7]}


# --- running ----------------------------------------------------------------------------------------------------------


def run(entry: Path, *words: object) -> dict[str, Any]:
    done = medbench("run", "-m", entry, "-b", "medqa", "--latency-items", 0, "-q", "--out", "runs", *words)
    assert done.exit_code == 0, done.output
    newest = max(Path("runs").glob("*/manifest.json"), key=lambda path: path.stat().st_mtime_ns)
    found: dict[str, Any] = json.loads(newest.read_text())
    return found


def test_a_run_names_the_commit_of_its_items_and_can_be_given_it(entry: Path, medqa: Repository) -> None:
    assert run(entry)["benchmark"]["origin"] == f"hub:{MEDQA}@{OLD}"
    medqa.refs["main"] = NEW
    assert run(entry, "--seed", 1, "--limit", 2)["benchmark"]["origin"] == f"hub:{MEDQA}@{NEW}"
    pinned = run(entry, "--seed", 2, "--limit", 2, "--data-revision", f"hub:{MEDQA}@{OLD}")
    assert pinned["benchmark"]["origin"] == f"hub:{MEDQA}@{OLD}"


def test_a_run_of_python_names_it_too(entry: Path) -> None:
    runs = package.evaluate(str(entry), "medqa", latency_items=0, data_revisions={MEDQA: NEW})
    assert not runs.problems
    [path] = Path("runs").glob("*/manifest.json")
    assert json.loads(path.read_text())["benchmark"]["origin"] == f"hub:{MEDQA}@{NEW}"


def test_a_revision_for_a_benchmark_that_is_not_on_the_hub_is_refused(entry: Path) -> None:
    done = medbench("run", "-m", entry, "-b", "medqa-sample", "--data-revision", f"{MEDQA}@{OLD}")
    assert done.exit_code == 2
    assert f"this command reads no data from {MEDQA}" in done.stderr


def test_every_set_and_benchmark_of_the_hub_can_be_pinned() -> None:
    """Each names its repository, which the option is checked against."""
    from medbench.core import registry
    from medbench.training.sets import SETS

    recipes = [registry.get("zoo", name).recipe for name in registry.names("zoo")]
    for recipe in filter(None, recipes):
        for stage in recipe.stages:
            for part in stage.data:
                if hub := SETS[part.source].hub:
                    assert training_data.data_revisions(recipe, [f"{hub}@v1"]) == {hub: "v1"}
