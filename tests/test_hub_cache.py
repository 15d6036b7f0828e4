"""The hub's cache, whoever filled it: a snapshot is used if it loads, and an interrupted update hides no older one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import fake_hub
import pytest
import tiny
import trained
from click.testing import CliRunner
from fake_hub import FakeHub, Repository
from medbench.cli import cli
from medbench.core.errors import ModelMissing
from medbench.zoo.resolve import resolve
from medbench.zoo.weights import hub_cache

OLD, NEW = "1a2b3c4" + "0" * 33, "5d6e7f8" + "0" * 33
NAME = "owner/tiny"
LOADED = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two commits of a model, with the files that hub repositories have and nobody loads."""
    folder = tmp_path_factory.mktemp("models")
    made = {OLD: tiny.save(folder / "old", "llama", seed=1), NEW: tiny.save(folder / "new", "llama", seed=2)}
    for path in made.values():
        for unwanted in ("README.md", "pytorch_model.bin", "training_args.json", "notes.txt", "onnx/model.onnx"):
            (path / unwanted).parent.mkdir(exist_ok=True)
            (path / unwanted).write_text(f"not needed, of {path.name}")
    for path in made[NEW].iterdir():
        if path.suffix in (".json", ".jinja"):
            path.write_text(path.read_text() + "\n")  # no file of one commit is a file of the other
    return made


@pytest.fixture
def repository(models: dict[str, Path]) -> Repository:
    """A model whose main branch is its first commit, until a test says otherwise."""
    return Repository(dict(models), {"main": OLD})


@pytest.fixture
def server(repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with fake_hub.serve({NAME: repository}) as server:
        fake_hub.use(server.url, tmp_path / "hf", monkeypatch)
        yield server


@pytest.fixture
def offline(server: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    return lambda: fake_hub.use("http://127.0.0.1:1", tmp_path / "hf", monkeypatch, offline=True)


def by_transformers() -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    AutoTokenizer.from_pretrained(NAME)
    AutoModelForCausalLM.from_pretrained(NAME)


def by_patterns(**options: str) -> None:
    """As `hf download NAME --include …` does."""
    from huggingface_hub import snapshot_download

    snapshot_download(NAME, allow_patterns=["config.json", "*.safetensors", "tokenizer*"], **options)


def by_files() -> None:
    """As `hf download NAME FILE FILE …` does."""
    from huggingface_hub import hf_hub_download

    for name in LOADED:
        hf_hub_download(NAME, name)


def by_commit() -> None:
    by_patterns(revision=OLD)


# --- filled by another tool -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fill", [by_transformers, by_patterns, by_files, by_commit], ids=lambda fill: fill.__name__)
def test_what_another_tool_downloaded_is_used_offline(fill: Callable[[], None], offline: Callable[[], None]) -> None:
    fill()
    offline()
    told: list[str] = []
    spec = resolve(NAME, tell=told.append)
    assert (spec.revision, spec.source) == (OLD, "hub owner/tiny @ 1a2b3c4")
    assert told[0] == "HF_HUB_OFFLINE is set, so the hub was not asked; using owner/tiny @ 1a2b3c4 from the hub's cache"


def test_it_runs_from_the_command_line(offline: Callable[[], None], tmp_path: Path) -> None:
    by_patterns()
    offline()
    words = ["run", "-m", NAME, "-b", "medqa-sample", "--limit", "2", "--latency-items", "0", "--out", str(tmp_path)]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output


def test_a_hub_that_does_not_answer_is_as_good_as_offline(server: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    by_patterns()
    monkeypatch.setattr("medbench.core.hub.reachable", lambda: False)
    assert resolve(NAME).revision == OLD


def test_weights_without_a_tokenizer_do_not_load_and_so_do_not_count(offline: Callable[[], None]) -> None:
    from huggingface_hub import hf_hub_download

    for name in LOADED[:2]:
        hf_hub_download(NAME, name)
    offline()
    with pytest.raises(ModelMissing, match="the weights are not on this machine: hub model owner/tiny"):
        resolve(NAME)


def test_a_blob_that_was_deleted_is_a_file_that_is_missing(offline: Callable[[], None]) -> None:
    by_files()
    (hub_cache.place(NAME) / "snapshots" / OLD / "model.safetensors").resolve().unlink()
    offline()
    with pytest.raises(ModelMissing):
        resolve(NAME)


def test_a_copy_without_the_chat_template_says_what_it_lacks(offline: Callable[[], None]) -> None:
    by_patterns()
    offline()
    told: list[str] = []
    resolve(NAME, tell=told.append)
    assert told[1:] == [
        "warning: the copy of owner/tiny in the hub's cache lacks generation_config.json, chat_template.jinja; "
        "answers may differ"
    ]


def test_a_whole_copy_of_a_commit_asks_the_hub_nothing(server: FakeHub) -> None:
    resolve(NAME)
    server.models = {}
    told: list[str] = []
    assert resolve(NAME, revision=OLD, tell=told.append).revision == OLD
    assert told == []


@pytest.mark.parametrize("revision", ["", OLD])
def test_online_what_is_missing_is_downloaded(revision: str, server: FakeHub) -> None:
    by_patterns()
    server.fetched.clear()
    told: list[str] = []
    location = Path(resolve(NAME, revision=revision, tell=told.append).location)
    assert "model.safetensors" not in server.fetched
    assert {"generation_config.json", "chat_template.jinja"} <= set(server.fetched)
    assert (location / "chat_template.jinja").is_file()


def test_a_gated_model_in_the_cache_needs_no_token(server: FakeHub) -> None:
    by_patterns()
    server.gated = frozenset({NAME})
    told: list[str] = []
    assert resolve(NAME, tell=told.append).revision == OLD
    assert told[:2] == [
        "model 'owner/tiny' is gated: you must accept its owner's terms first.",
        "using owner/tiny @ 1a2b3c4 from the hub's cache",
    ]


def test_a_gated_model_that_is_not_in_the_cache_is_refused(server: FakeHub) -> None:
    server.gated = frozenset({NAME})
    with pytest.raises(ModelMissing, match="'owner/tiny' is gated"):
        resolve(NAME)


def test_a_gated_model_with_a_newer_commit_is_used_as_it_was(
    server: FakeHub, repository: Repository, offline: Callable[[], None]
) -> None:
    resolve(NAME)
    repository.refs["main"] = NEW
    server.gated = frozenset({NAME})
    assert resolve(NAME).revision == OLD
    offline()
    assert resolve(NAME).revision == OLD


# --- interrupted updates ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", [*LOADED, "generation_config.json", "chat_template.jinja"])
def test_an_update_that_stops_at_any_file_leaves_the_older_snapshot(
    file: str, server: FakeHub, repository: Repository, offline: Callable[[], None]
) -> None:
    before = resolve(NAME)
    repository.refs["main"] = NEW
    server.failing = {file}
    told: list[str] = []
    assert resolve(NAME, tell=told.append) == before
    assert "using owner/tiny @ 1a2b3c4 from the hub's cache" in told
    offline()
    assert resolve(NAME) == before


def test_once_the_hub_answers_the_update_is_finished(server: FakeHub, repository: Repository) -> None:
    resolve(NAME)
    repository.refs["main"] = NEW
    server.failing = {"model.safetensors"}
    resolve(NAME)
    server.failing = set()
    assert resolve(NAME).revision == NEW


@pytest.mark.parametrize("file", LOADED[:3])
def test_an_update_by_another_tool_that_stops_leaves_it_too(
    file: str, server: FakeHub, repository: Repository, offline: Callable[[], None]
) -> None:
    """transformers and `hf download` note the new commit first, and download its files then."""
    by_patterns()
    repository.refs["main"] = NEW
    server.failing = {file}
    with pytest.raises(Exception, match="403"):
        by_patterns()
    offline()
    told: list[str] = []
    assert resolve(NAME, tell=told.append).revision == OLD
    assert told[0].endswith(
        "using owner/tiny @ 1a2b3c4 from the hub's cache, because the download of 5d6e7f8 is incomplete"
    )


def test_an_older_snapshot_of_another_branch_is_not_the_main_one(
    server: FakeHub, repository: Repository, offline: Callable[[], None]
) -> None:
    repository.refs |= {"main": NEW, "dev": OLD}
    resolve(NAME, revision="dev")
    server.failing = {"model.safetensors"}
    with pytest.raises(ModelMissing):
        resolve(NAME)
    offline()
    with pytest.raises(ModelMissing):
        resolve(NAME)
    assert resolve(NAME, revision="dev").revision == OLD


def test_a_branch_that_was_named_is_never_an_older_commit_of_another(
    server: FakeHub, repository: Repository, offline: Callable[[], None]
) -> None:
    resolve(NAME, revision=OLD)
    offline()
    for revision in ("dev", "v1", NEW, NEW[:7]):
        with pytest.raises(ModelMissing, match=f"hub model owner/tiny @ {revision}"):
            resolve(NAME, revision=revision)


# --- revisions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("revision", ["dev", "v1.0", NEW, NEW[:7], NEW[:12]])
def test_a_revision_is_a_branch_a_tag_or_a_commit_by_its_first_digits(
    revision: str, repository: Repository, offline: Callable[[], None], server: FakeHub
) -> None:
    repository.refs |= {"dev": NEW, "v1.0": NEW}
    resolve(NAME)
    assert resolve(NAME, revision=revision).revision == NEW
    offline()
    assert resolve(NAME, revision=revision).revision == NEW
    assert resolve(NAME).revision == OLD


@pytest.mark.parametrize("revision", ["v9", "1a2b3c5", "1a2b3", "f" * 40])
def test_an_unknown_revision_is_named(revision: str, server: FakeHub) -> None:
    with pytest.raises(ModelMissing) as error:
        resolve(NAME, revision=revision)
    assert error.value.message == f"model 'owner/tiny' has no revision '{revision}'."


def test_first_digits_of_two_commits_mean_neither(
    server: FakeHub, repository: Repository, models: dict[str, Path]
) -> None:
    repository.commits[OLD[:9] + "f" * 31] = models[NEW]
    with pytest.raises(ModelMissing, match="has no revision '1a2b3c4'"):
        resolve(NAME, revision="1a2b3c4")
    assert resolve(NAME, revision=OLD[:10]).revision == OLD


# --- adapters on the hub ----------------------------------------------------------------------------------------------


def test_an_adapter_that_another_tool_downloaded_or_whose_update_stopped_is_used(
    server: FakeHub, models: dict[str, Path], tmp_path: Path, offline: Callable[[], None]
) -> None:
    from huggingface_hub import snapshot_download

    base = models[OLD]
    folders = {commit: trained.lora(base, tmp_path / commit[:7], seed=n) for n, commit in enumerate((OLD, NEW), 1)}
    for folder in folders.values():
        (folder / "README.md").write_text("not needed")
        (folder / "extra.json").write_text("{}")
    hub = Repository(folders, {"main": OLD})
    server.models = {NAME: hub}
    snapshot_download(NAME, allow_patterns=["adapter_*"])
    hub.refs["main"] = NEW
    server.failing = {"adapter_model.safetensors"}
    told: list[str] = []
    before = resolve(str(base), adapter=NAME, tell=told.append)
    assert Path(before.adapter).name == OLD
    assert "using owner/tiny @ 1a2b3c4 from the hub's cache" in told
    offline()
    assert resolve(str(base), adapter=NAME) == before


def test_the_cache_keeps_the_layout_that_other_tools_read(server: FakeHub, offline: Callable[[], None]) -> None:
    from transformers import AutoConfig, AutoTokenizer

    location = Path(resolve(NAME).location)
    assert location == hub_cache.place(NAME) / "snapshots" / OLD
    assert (hub_cache.place(NAME) / "refs" / "main").read_text() == OLD
    offline()
    assert AutoConfig.from_pretrained(NAME).model_type == "llama"
    assert len(AutoTokenizer.from_pretrained(NAME)) > 100
