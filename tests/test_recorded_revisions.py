"""Training stays on the recorded commit of its base, even if the hub's main branch changes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import entries
import fake_hub
import medbench as package
import pytest
import tiny
from click.testing import CliRunner
from fake_hub import FakeHub, Repository
from medbench.cli import cli
from medbench.core import registry
from medbench.core.errors import MedbenchError
from medbench.zoo.resolve import resolve
from medbench.zoo.weights import hub_cache

OLD, NEW = "1a2b3c4" + "0" * 33, "5d6e7f8" + "0" * 33
NAME = "microsoft/DialoGPT-small"
FOLDER = Path("adapters/dialogpt-small/default")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {OLD: tiny.save(folder / "old", "gpt2", seed=1), NEW: tiny.save(folder / "new", "gpt2", seed=2)}


@pytest.fixture
def repository(models: dict[str, Path]) -> Repository:
    return Repository(dict(models), {"main": OLD})


@pytest.fixture
def server(repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    monkeypatch.chdir(tmp_path)
    for name in ("HF_TOKEN", "MEDBENCH_DATA", "MEDBENCH_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    with fake_hub.serve({NAME: repository}) as server:
        fake_hub.use(server.url, tmp_path / "hf", monkeypatch)
        yield server


@pytest.fixture
def entry(server: FakeHub) -> str:
    """A zoo entry whose weights are on the hub: tiny ones, of its architecture."""
    return "dialogpt-small"


def medbench(*words: object, code: int = 0) -> str:
    done = CliRunner().invoke(cli, [str(word) for word in words])
    assert done.exit_code == code, done.output
    return done.stderr


def command(entry: str, *words: object, steps: int = 4) -> list[object]:
    pairs = entries.data(Path.cwd())
    fields = (f"data={pairs}", "max_length=64", "quantize=none", "eval_examples=2", "save_steps=1", "accumulation=1")
    settings = [word for field in fields for word in ("--set", field)]
    return ["train", "-m", entry, "--device", "cpu", "--max-steps", steps, "-q", *settings, *words]


def manifest(folder: Path = FOLDER) -> dict[str, Any]:
    return json.loads((folder / "manifest.json").read_text())


@pytest.fixture
def pause(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[object]], None]:
    """Train to the second step and stop there, as Ctrl-C does."""

    def run(words: list[object]) -> None:
        from medbench.training import checkpoints

        seal = checkpoints.seal

        def stop(folder: Path, *rest: Any) -> None:
            seal(folder, *rest)
            if folder.name == "checkpoint-2":
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(checkpoints, "seal", stop)
            CliRunner().invoke(cli, [str(word) for word in words])
        assert manifest()["status"] == "stopped"

    return run


def losses(folder: Path) -> list[float]:
    return [line["loss"] for line in map(json.loads, (folder / "log.jsonl").read_text().splitlines()) if "loss" in line]


# --- resuming ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resume", [False, True], ids=["same command", "--resume"])
def test_a_paused_training_goes_on_with_the_commit_that_it_began_with(
    resume: bool, entry: str, repository: Repository, pause: Callable[[list[object]], None]
) -> None:
    medbench(*command(entry, "--tag", "whole"))
    pause(command(entry))
    repository.refs["main"] = NEW
    medbench(*(["train", "-m", entry, "--resume", "--device", "cpu", "-q"] if resume else command(entry)))
    assert manifest()["base"]["revision"] == OLD
    assert losses(FOLDER) == losses(FOLDER.with_name("whole")), "as if nothing had happened in between"


def test_the_same_command_after_a_new_commit_finds_the_training_done(entry: str, repository: Repository) -> None:
    medbench(*command(entry, steps=1))
    before = manifest()
    repository.refs["main"] = NEW
    medbench(*command(entry, steps=1))
    assert manifest() == before
    medbench(*command(entry, "--tag", "later", steps=1))
    assert manifest(FOLDER.with_name("later"))["base"]["revision"] == NEW


def test_a_paused_training_goes_on_without_the_hub(
    entry: str, pause: Callable[[list[object]], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pause(command(entry))
    fake_hub.use("http://127.0.0.1:1", tmp_path / "hf", monkeypatch, offline=True)
    medbench(*command(entry))
    assert manifest()["status"] == "done"


def test_another_revision_under_the_same_tag_is_another_training(entry: str, repository: Repository) -> None:
    medbench(*command(entry, steps=1))
    said = medbench(*command(entry, "--revision", NEW[:7], steps=1), code=2)
    assert (
        f"dialogpt-small@default already holds another training: base.revision is {OLD} there and {NEW} here." in said
    )
    medbench(*command(entry, "--revision", OLD, steps=1))  # the same one, by its name


# --- running and merging ----------------------------------------------------------------------------------------------


@pytest.fixture
def trained(entry: str, repository: Repository) -> str:
    """NAME@TAG of what was trained before the base got a new commit."""
    medbench(*command(entry, steps=1))
    repository.refs["main"] = NEW
    assert resolve(entry).revision == NEW
    return "dialogpt-small@default"


@pytest.mark.parametrize("named", ["dialogpt-small@default", "adapters/dialogpt-small/default"])
def test_name_and_tag_mean_the_base_as_it_was(named: str, trained: str) -> None:
    told: list[str] = []
    spec = resolve(named, tell=told.append)
    assert (spec.revision, spec.source) == (OLD, f"hub {NAME} @ 1a2b3c4")
    assert told == [
        f"dialogpt-small@default runs on {NAME} @ 1a2b3c4, on which it was trained. The hub now has 5d6e7f8. "
        "To run the base at the same revision: --revision 1a2b3c4"
    ]


def test_base_and_adapter_can_be_compared_on_the_same_commit(trained: str, entry: str) -> None:
    told: list[str] = []
    both = [resolve(name, revision="1a2b3c4", tell=told.append).revision for name in (entry, trained)]
    assert both == [OLD, OLD]
    assert told == []


def test_the_run_of_an_adapter_names_the_commit(trained: str) -> None:
    medbench("run", "-m", trained, "-b", "medqa-sample", "--limit", 2, "--latency-items", 0)
    [path] = Path("runs").glob("*/manifest.json")
    assert json.loads(path.read_text())["identity"]["model"]["revision"] == OLD


def test_a_merged_model_has_the_weights_that_were_trained_on(trained: str, models: dict[str, Path]) -> None:
    from safetensors.torch import load_file

    medbench("adapters", "merge", FOLDER, "--out", "merged")
    assert json.loads(Path("merged/medbench.json").read_text())["base"] == {"weights": NAME, "revision": OLD}
    name = "transformer.wte.weight"  # no adapter changes these
    merged, old, new = (load_file(folder / "model.safetensors")[name] for folder in (Path("merged"), *models.values()))
    assert merged.equal(old) and not merged.equal(new)


def test_another_revision_is_for_the_user_to_choose_and_warned_of(trained: str) -> None:
    told: list[str] = []
    assert resolve(trained, revision="main", tell=told.append).revision == NEW
    assert told[-1] == (
        "warning: the adapter default was trained on dialogpt-small @ 1a2b3c4, not on this base (@ 5d6e7f8)"
    )


def test_a_commit_that_is_not_available_any_more_is_named_and_not_replaced(
    trained: str, repository: Repository
) -> None:
    import shutil

    del repository.commits[OLD]
    shutil.rmtree(hub_cache.place(NAME) / "snapshots" / OLD)
    with pytest.raises(MedbenchError) as error:
        resolve(trained)
    assert error.value.message == (
        f"model '{NAME}' has no revision '{OLD}'.\ndialogpt-small@default was trained on revision {OLD} of {NAME}."
    )
    assert error.value.hint.endswith("To run it on another revision: medbench run --revision main")


def test_an_adapter_from_before_revisions_were_kept_goes_on_the_base_as_it_is(trained: str) -> None:
    from dataclasses import replace

    from medbench.zoo import adapter_manifest, adapters

    adapter_manifest.write(FOLDER, replace(adapters.read(FOLDER), base={"name": "dialogpt-small"}))
    assert resolve(trained).revision == NEW


def test_weights_of_a_package_are_asked_for_by_their_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    """An adapter trained on the weights of a package stays on them where the hub has others."""
    from medbench.zoo import resolve as module
    from medbench.zoo.weights import converted
    from medbench.zoo.weights import sources as weights

    entry = registry.get("zoo", "smollm2-135m")
    revision = converted.revision(entry.package.sha256)
    assert weights.recorded({"weights": entry.weights, "revision": revision}, entry.weights, entry) == revision
    monkeypatch.setattr(module, "from_package", lambda package, tell: "the package's")
    monkeypatch.setattr(module, "from_hub", lambda *rest: "the hub's")
    assert module._of_entry(entry, revision, print) == "the package's"
    assert module._of_entry(entry, OLD, print) == "the hub's"


# --- train --revision -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("revision", ["dev", "v1.0", NEW[:7], NEW])
def test_a_revision_to_train_on_is_recorded_as_its_commit(revision: str, entry: str, repository: Repository) -> None:
    repository.refs |= {"dev": NEW, "v1.0": NEW}
    medbench(*command(entry, "--revision", revision, steps=1))
    assert manifest()["base"]["revision"] == manifest()["identity"]["base"]["revision"] == NEW
    assert resolve("dialogpt-small@default").revision == NEW


def test_a_branch_that_moved_is_still_the_same_training(
    entry: str, repository: Repository, pause: Callable[[list[object]], None]
) -> None:
    repository.refs["dev"] = OLD
    pause(command(entry, "--revision", "dev"))
    repository.refs["dev"] = NEW
    medbench(*command(entry, "--revision", "dev"))
    assert (manifest()["status"], manifest()["base"]["revision"]) == ("done", OLD)


def test_an_unknown_revision_is_named_and_nothing_is_left_behind(entry: str) -> None:
    assert f"model '{NAME}' has no revision 'v9'." in medbench(*command(entry, "--revision", "v9"), code=1)
    assert not FOLDER.exists()


def test_weights_on_this_disk_have_no_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    local = entries.entry(tmp_path, "smollm2-135m")
    for more in ((), ("--dry-run",)):
        said = medbench(*command(local, "--revision", "v1", *more), code=2)
        assert "--revision v1: the weights of tiny-smollm2-135m are local files, without revisions." in said


def test_resume_keeps_the_revision_and_takes_no_other(
    entry: str, repository: Repository, pause: Callable[[list[object]], None]
) -> None:
    repository.refs["dev"] = NEW
    pause(command(entry, "--revision", "dev"))
    said = medbench("train", "-m", entry, "--resume", "--revision", "main", code=2)
    assert "--resume continues the training as it began; --revision would change it." in said
    medbench("train", "-m", entry, "--resume", "--device", "cpu", "-q")
    assert manifest()["base"]["revision"] == NEW


def test_a_dry_run_looks_at_the_revision_that_would_be_trained_on(entry: str) -> None:
    resolve(NAME)

    def here(revision: str) -> bool:
        done = CliRunner().invoke(cli, [str(w) for w in command(entry, "--dry-run", "--json", "--revision", revision)])
        return bool(json.loads(done.stdout)["weights_here"])

    assert here(OLD[:7])
    assert not here(NEW)


def test_from_python(entry: str, repository: Repository) -> None:
    settings = {"data": entries.data(Path.cwd()), "max_length": 64, "quantize": "none", "eval_examples": 2}
    adapter = package.train(entry, settings=settings, max_steps=1, device="cpu", revision=NEW[:7])
    assert manifest(adapter.folder)["base"]["revision"] == NEW
