"""Folders that others may write to, disks that refuse, file systems without locks."""

from __future__ import annotations

import csv
import errno
import json
import os
from pathlib import Path

import entries
import filelock
import made
import pytest
import tiny
from click.testing import CliRunner, Result
from medbench.cli import cli
from medbench.core.durable import create, replace_file
from medbench.core.errors import MedbenchError
from medbench.results import export, files
from medbench.results.scoring import load_metric, score_run
from medbench.results.store import StoredRun
from medbench.results.writer import RunWriter

VICTIM = "a line of mine\nand half a line"


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file of the user's, outside the folder of runs."""
    path = tmp_path / "victim"
    path.write_text(VICTIM)
    return path


def medbench(*words: object) -> Result:
    done = CliRunner().invoke(cli, [str(word) for word in words], env={"COLUMNS": "200"})
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def replayed() -> Result:
    Path("answers.jsonl").write_text(json.dumps({"id": "s-qd-01", "text": "rest"}) + "\n")
    return medbench("run", "-m", "replay:answers.jsonl", "-b", "medquad-sample")


# --- links ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["samples.jsonl", "lock", "manifest.lock"])
def test_a_run_is_not_written_through_a_link(victim: Path, name: str) -> None:
    run = made.make_run(Path("runs"), {"a": "1"}, item_ids=["a", "b"])
    (run.path / name).unlink()
    (run.path / name).symlink_to(victim)
    refused = pytest.raises(MedbenchError, match="it is a link, and medbench does not write through links")
    with refused as error, RunWriter(Path("runs"), run.manifest) as writer:
        writer.append([made.record("b", "1")])
    assert error.value.hint.startswith("Remove that link or choose another folder")
    assert victim.read_text() == VICTIM
    assert not any(b"a line of mine" in path.read_bytes() for path in run.path.glob("*.damaged-*"))


@pytest.mark.parametrize(
    "name",
    ["manifest.json.new", "lock.holder", "manifest.lock.holder", ".figures.json.PID", "scores/exact_match.jsonl.new"],
)
def test_a_link_in_the_place_of_a_temporary_file_is_replaced(victim: Path, name: str) -> None:
    about = made.manifest(["a"], metrics=["exact_match"])
    link = Path("runs") / about.run_id / name.replace("PID", str(os.getpid()))
    link.parent.mkdir(parents=True)
    link.symlink_to(victim)
    made.make_run(Path("runs"), {"a": "yes"}, metrics=["exact_match"])
    assert medbench("leaderboard", "runs").exit_code == 0
    assert victim.read_text() == VICTIM


def test_a_run_folder_that_is_a_link_is_not_written_to(tmp_path: Path) -> None:
    about = made.manifest(["a"])
    (tmp_path / "mine").mkdir()
    Path("runs").mkdir()
    (Path("runs") / about.run_id).symlink_to(tmp_path / "mine")
    with pytest.raises(MedbenchError, match="it is a link"), RunWriter(Path("runs"), about):
        pass
    assert list((tmp_path / "mine").iterdir()) == []


@pytest.mark.parametrize("name", ["scores", "scores/exact_match.jsonl", "scores/exact_match.lock"])
def test_figures_are_shown_and_not_kept_where_scores_are_a_link(victim: Path, tmp_path: Path, name: str) -> None:
    run = made.make_run(Path("runs"), {"a": "yes", "b": "no"}, metrics=["exact_match"])
    (tmp_path / "mine").mkdir()
    link = run.path / name
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(tmp_path / "mine" if name == "scores" else victim)
    assert [score.value for score in score_run(run, load_metric("exact_match"))] == [1, 0]  # type: ignore[arg-type]
    assert victim.read_text() == VICTIM
    assert list((tmp_path / "mine").iterdir()) == []


def test_a_damaged_file_is_not_copied_over_what_a_link_names(victim: Path) -> None:
    path = Path("samples.jsonl")
    path.write_text("damaged")
    Path("samples.jsonl.damaged-1").symlink_to(victim)
    Path("samples.jsonl.damaged-2").symlink_to("nowhere")
    assert files.set_aside(path, copy=True).name == "samples.jsonl.damaged-3"
    assert victim.read_text() == VICTIM and not Path("nowhere").exists()


def test_a_new_file_takes_the_place_of_a_link(victim: Path) -> None:
    Path("link").symlink_to(victim)
    with create(Path("link")) as file:
        file.write(b"new")
    Path("other").symlink_to(victim)
    Path("other.new").symlink_to(victim)
    replace_file(Path("other"), b"newer")
    assert (Path("link").read_bytes(), Path("other").read_bytes()) == (b"new", b"newer")
    assert not Path("other").is_symlink() and victim.read_text() == VICTIM


def test_training_does_not_write_into_a_link(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    Path("adapters/tiny").mkdir(parents=True)
    Path("adapters/tiny/default").symlink_to(tmp_path / "mine")
    done = train(tmp_path)
    assert done.exit_code == 1 and "it is a link" in done.output
    assert list((tmp_path / "mine").iterdir()) == []


# --- --csv ------------------------------------------------------------------------------------------------------------


def test_csv_is_written_beside_and_renamed(victim: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made.make_run(Path("runs"), {"a": "yes"}, metrics=["exact_match"])
    Path("board.csv").symlink_to(victim)
    assert medbench("leaderboard", "runs", "--csv", "board.csv").exit_code == 0
    assert victim.read_text() == VICTIM
    before = Path("board.csv").read_bytes()
    assert before.startswith(b"model,") or b"exact_match" in before

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    done = medbench("leaderboard", "runs", "--csv", "board.csv")
    assert (done.exit_code, Path("board.csv").read_bytes()) == (1, before)
    assert "board.csv cannot be written: No space left on device" in done.output
    assert not Path("board.csv.new").exists()


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_cell_that_would_be_a_formula_is_a_text(start: str) -> None:
    name = f"{start}cmd|'/c calc'!A1"
    made.make_run(Path("runs"), {"a": "yes"}, metrics=["exact_match"], model=name)
    medbench("leaderboard", "runs", "--csv", "board.csv")
    with Path("board.csv").open(newline="") as file:
        (row, *_) = csv.DictReader(file)
    assert row["model"] == (f"'{name}" if start != "\r" else name.replace("\r", "␍"))
    assert not any(value.startswith(export.FORMULA) for value in row.values())


def test_other_cells_are_as_they_are() -> None:
    assert [export.cell(value) for value in ("a=b", "", -1.5, None, "it's")] == ["a=b", "", -1.5, None, "it's"]


# --- no locks, unreadable folders -------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP])
def test_without_locks_figures_are_shown_and_nothing_is_written(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made.make_run(Path("runs"), {"a": "yes", "b": "no"}, metrics=["exact_match"])

    def none(*_: object, **__: object) -> None:
        if number == errno.ENOSYS:
            raise NotImplementedError("FileSystem does not appear to support flock")
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(filelock.FileLock, "acquire", none)
    for words in (["leaderboard", "runs", "--json"], ["show", run.path, "--json"]):
        done = medbench(*words)
        assert done.exit_code == 0, done.output
        assert '"value": 0.5' in done.stdout
    assert not run.score_file("exact_match").exists()
    scored = medbench("score", run.path, "-M", "token_f1")
    assert scored.exit_code == 1 and "token_f1" in scored.stdout
    assert "That file system has no locks" in scored.output
    refused = replayed()
    assert refused.exit_code == 1 and "That file system has no locks: choose a folder on another one" in refused.output


def test_a_folder_that_cannot_be_looked_into_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    made.make_run(Path("runs"), {"a": "yes"}, metrics=["exact_match"])
    closed = made.make_run(Path("runs"), {"a": "yes"}, metrics=["exact_match"], model="closed").path
    plain = os.stat

    def stat(path: object, *rest: object, **more: object) -> os.stat_result:
        if str(path).startswith(f"{closed}/"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return plain(path, *rest, **more)  # type: ignore[arg-type, call-overload, no-any-return]

    monkeypatch.setattr(os, "stat", stat)
    done = medbench("leaderboard", "runs", "--json")
    assert done.exit_code == 1
    assert any(
        closed.name in problem and "Permission denied" in problem for problem in json.loads(done.stdout)["problems"]
    )


def test_a_run_without_its_manifest_is_named_in_json(tmp_path: Path) -> None:
    run = made.make_run(Path("runs"), {"a": "yes"}, metrics=["exact_match"])
    (run.path / "manifest.json").unlink()
    done = medbench("leaderboard", "runs", "--json")
    assert done.exit_code == 1
    (problem,) = json.loads(done.stdout)["problems"]
    assert f"{run.path} has answers of a run but no manifest.json" in problem


def test_damaged_scores_are_made_anew() -> None:
    run = made.make_run(Path("runs"), {"a": "yes", "b": "no"}, metrics=["exact_match"])
    medbench("leaderboard", "runs")
    path = run.score_file("exact_match")
    path.write_bytes(b"\0" * path.stat().st_size)
    (run.path / "figures.json").unlink(missing_ok=True)
    done = medbench("leaderboard", "runs", "--json")
    assert done.exit_code == 0 and '"value": 0.5' in done.stdout
    assert StoredRun(run.path).scores("exact_match")[1].keys() == {("a", 0), ("b", 0)}


# --- training where nothing can be written ----------------------------------------------------------------------------


def train(folder: Path, *words: object) -> Result:
    base = folder / "tiny-llama"
    if not base.exists():
        tiny.save(base, "llama")
    entry = folder / "tiny.py"
    entry.write_text(
        "import dataclasses\n"
        "from medbench.core import registry\n"
        f"MODEL = dataclasses.replace(registry.get('zoo', 'smollm2-135m'), name='tiny', weights={str(base)!r}, "
        "package=None, config={})\n"
    )
    settings = (f"data={entries.data(folder)}", "max_length=64", "quantize=none", "eval_examples=2")
    given = [word for setting in settings for word in ("--set", setting)]
    return medbench("train", "-m", entry, "--device", "cpu", "--max-steps", 2, *given, *words)


def test_a_file_as_the_output_of_a_training_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = train(tmp_path, "--out", "file")
    assert done.exit_code == 1
    assert "Error: file/tiny/default cannot be written: Not a directory." in done.output


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EIO])
def test_a_disk_that_refuses_a_training_is_a_sentence(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Path.mkdir

    def mkdir(self: Path, *rest: object, **more: object) -> None:
        if "adapters" in self.parts:
            raise OSError(number, os.strerror(number), str(self))
        plain(self, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "mkdir", mkdir)
    done = train(tmp_path)
    assert done.exit_code == 1
    assert f"adapters/tiny/default cannot be written: {os.strerror(number)}." in done.output


def test_a_disk_that_fills_while_it_trains_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """safetensors raises an error of its own, which is no OSError."""
    tiny.save(tmp_path / "tiny-llama", "llama")
    import safetensors.torch
    from safetensors import SafetensorError

    def full(*_: object, **__: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: File too large (os error 27)")

    monkeypatch.setattr(safetensors.torch, "serialize_file", full)
    done = train(tmp_path)
    assert done.exit_code == 1
    assert "adapters/tiny/default/work cannot be written: Error while serializing" in done.output
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert train(tmp_path).exit_code == 0, "the same command goes on"
