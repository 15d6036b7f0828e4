"""Adapters that are damaged or do not fit their model are rejected with a message and leave no run behind."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import damage
import pytest
import tiny
import trained
from click.testing import CliRunner, Result
from medbench.cli import cli
from medbench.core.errors import ModelMissing, UsageError
from medbench.zoo import adapter_files, adapter_manifest, adapters
from medbench.zoo.resolve import resolve
from medbench.zoo.weights.digests import sha256_of
from safetensors.torch import load_file, save_file

WEIGHTS = "adapter_model.safetensors"


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("models") / "tiny-llama", "llama")


@pytest.fixture
def made(llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """tiny-llama@first as training leaves it now, with the hash of each file in its manifest."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MEDBENCH_HOME", raising=False)
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    folder = trained.trained(llama)
    files = {name: sha256_of(folder / name) for name in adapters.deciding(folder, "lora")}
    adapter_manifest.write(folder, dataclasses.replace(adapters.read(folder), files=files))
    return folder


@pytest.fixture
def foreign(made: Path, tmp_path: Path) -> Path:
    """The same files without a manifest, as PEFT alone would have saved them."""
    folder = tmp_path / "foreign"
    folder.mkdir()
    for name in ("adapter_config.json", WEIGHTS):
        shutil.copyfile(made / name, folder / name)
    return folder


def run(*model: object) -> Result:
    words = ["run", "-m", *model, "-b", "medqa-sample", "--limit", 2, "--latency-items", 0, "--quiet"]
    return CliRunner().invoke(cli, [str(word) for word in words], prog_name="medbench")


def refused(done: Result) -> str:
    """What a failed run said, without line breaks; it says what to do, and no run is there."""
    assert done.exit_code in (1, 2), done.output
    assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
    assert "Traceback" not in done.output
    assert not list(Path("runs").glob("*/*")) if Path("runs").exists() else True
    return " ".join(done.output.split())


@pytest.mark.parametrize("kind", ["emptied", "halved", "flipped", "deleted", "garbage"])
@pytest.mark.parametrize("file", ["adapter_config.json", WEIGHTS])
def test_a_damaged_trained_adapter_is_refused_with_the_way_back(made: Path, file: str, kind: str) -> None:
    damage.KINDS[kind](made / file, made)
    said = refused(run("tiny-llama@first"))
    assert f"is damaged: {file} " in said
    assert "train it again: medbench train --model" in said


@pytest.mark.parametrize("kind", ["emptied", "halved", "garbage", "flipped"])
def test_a_damaged_manifest_is_refused(made: Path, kind: str) -> None:
    damage.KINDS[kind](made / "manifest.json", made)
    assert "manifest.json" in refused(run("tiny-llama@first"))


def test_a_trained_adapter_without_hashes_still_runs(made: Path) -> None:
    """Manifests from before there were hashes have neither `files` nor a seal."""
    manifest = json.loads((made / "manifest.json").read_text())
    del manifest["files"], manifest["seal"]
    (made / "manifest.json").write_text(json.dumps(manifest))
    assert run("tiny-llama@first").exit_code == 0


def test_a_damaged_adapter_is_not_merged(made: Path) -> None:
    damage.flipped(made / WEIGHTS, made)
    done = CliRunner().invoke(cli, ["adapters", "merge", "tiny-llama@first", "--out", "merged"])
    assert done.exit_code == 1
    assert "is damaged" in done.output
    assert not list(Path.cwd().glob("*merg*"))


@pytest.mark.parametrize(
    ("file", "kind", "said"),
    [
        (WEIGHTS, "emptied", f"{WEIGHTS} is empty"),
        (WEIGHTS, "halved", f"{WEIGHTS} has "),
        (WEIGHTS, "garbage", f"{WEIGHTS} is not a safetensors file, or is truncated"),
        (WEIGHTS, "deleted", f"has no {WEIGHTS}."),
        ("adapter_config.json", "halved", "adapter_config.json cannot be read"),
        ("adapter_config.json", "deleted", "has no adapter_config.json"),
    ],
)
def test_a_damaged_foreign_adapter_is_refused(llama: Path, foreign: Path, file: str, kind: str, said: str) -> None:
    damage.KINDS[kind](foreign / file, foreign)
    assert said in refused(run(llama, "--adapter", foreign))


def test_a_whole_foreign_adapter_runs(llama: Path, foreign: Path) -> None:
    assert run(llama, "--adapter", foreign).exit_code == 0


# --- adapters of another model


def renamed(folder: Path, **changes: str) -> None:
    """Rename keys of the weights: `old=new` in every key that has `old`; an empty `new` leaves the key out."""
    weights = load_file(folder / WEIGHTS)
    for old, new in changes.items():
        weights = {key.replace(old, new): value.contiguous() for key, value in weights.items() if new or old not in key}
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})


def test_an_adapter_whose_weights_have_no_place_in_the_model_is_refused(llama: Path, foreign: Path) -> None:
    """PEFT would leave them out and run the base under the adapter's name."""
    renamed(foreign, layers="blocks")
    said = refused(run(llama, "--adapter", foreign))
    assert "does not fit tiny-llama+foreign: none of its 8 weights matches the model" in said
    assert "base_model.model.model.blocks.0.self_attn.q_proj.lora_A.weight" in said
    assert "Give the model that it was trained on" in said


def test_an_adapter_that_fits_in_part_is_refused(llama: Path, foreign: Path) -> None:
    renamed(foreign, v_proj="w_proj")
    said = refused(run(llama, "--adapter", foreign))
    assert "4 of its 8 weights match the model" in said
    assert "w_proj" in said


def test_an_adapter_that_lacks_weights_is_refused(llama: Path, foreign: Path) -> None:
    renamed(foreign, v_proj="")
    said = refused(run(llama, "--adapter", foreign))
    assert "4 of the 8 weights it should have are missing" in said
    assert "v_proj" in said


def test_an_adapter_of_another_size_is_refused(foreign: Path, tmp_path: Path) -> None:
    wider = tiny.save(tmp_path / "wider", "llama", width=64)
    said = refused(run(wider, "--adapter", foreign))
    assert "does not load on wider+foreign" in said
    assert "It was trained on" in said


def test_an_adapter_of_another_architecture_is_refused(foreign: Path, tmp_path: Path) -> None:
    gpt2 = tiny.save(tmp_path / "gpt", "gpt2")
    assert "does not load on gpt+foreign" in refused(run(gpt2, "--adapter", foreign))


@pytest.mark.parametrize("method", ["PROMPT_TUNING", "PREFIX_TUNING", "P_TUNING"])
def test_methods_that_put_vectors_before_the_prompt_are_refused(llama: Path, foreign: Path, method: str) -> None:
    config = json.loads((foreign / "adapter_config.json").read_text())
    (foreign / "adapter_config.json").write_text(json.dumps(config | {"peft_type": method}))
    with pytest.raises(UsageError, match="which medbench does not run"):
        resolve(str(llama), adapter=str(foreign))


def test_a_configuration_that_names_no_method_is_damaged(llama: Path, foreign: Path) -> None:
    (foreign / "adapter_config.json").write_text("[]")
    with pytest.raises(ModelMissing, match="does not name the method"):
        resolve(str(llama), adapter=str(foreign))


def test_a_header_says_how_long_a_safetensors_file_is(foreign: Path) -> None:
    whole = (foreign / WEIGHTS).read_bytes()
    for content, flaw in (
        (whole, ""),
        (whole[:-1], "has "),
        (whole + b"x", "has "),
        (whole[:5], "is not a safetensors file"),
        (b"\0" * len(whole), "has a damaged header"),
        (b"", "is empty"),
    ):
        (foreign / WEIGHTS).write_bytes(content)
        assert adapter_files.safetensors_flaw(foreign / WEIGHTS).startswith(flaw)
        assert bool(adapter_files.safetensors_flaw(foreign / WEIGHTS)) == bool(flaw)
