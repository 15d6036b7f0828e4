"""Model files that are truncated, empty or full of zeros are reported before anything is loaded."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny
from medbench.core.errors import MedbenchError
from medbench.zoo.resolve import resolve
from medbench.zoo.weights import file_checks


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("models") / "tiny-llama", "llama")


@pytest.fixture
def folder(llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    return Path(shutil.copytree(llama, tmp_path / "model"))


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def zeros(content: bytes) -> bytes:
    return bytes(len(content))


def nothing(content: bytes) -> bytes:
    return b""


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"]
)
@pytest.mark.parametrize(("spoil", "why"), [(half, ""), (zeros, "it begins with zeros"), (nothing, "it is empty")])
def test_a_damaged_file_of_a_model_folder_is_named(
    folder: Path, name: str, spoil: Callable[[bytes], bytes], why: str
) -> None:
    path = folder / name
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(MedbenchError) as error:
        resolve(str(folder))
    assert error.value.message.startswith(f"{path} is damaged: {why}")
    assert error.value.hint == "Copy or download this file again."


def test_whole_files_pass(folder: Path) -> None:
    assert [file_checks.damage(path) for path in sorted(folder.iterdir())] == [""] * len(list(folder.iterdir()))
    assert resolve(str(folder)).location == str(folder)


def test_one_byte_too_few_or_too_many_shows(folder: Path) -> None:
    path = folder / "model.safetensors"
    content = path.read_bytes()
    for spoiled in (content[:-1], content + b"\n"):
        path.write_bytes(spoiled)
        assert file_checks.damage(path) == f"it has {len(spoiled):,} of {len(content):,} bytes"


def test_a_web_page_under_a_files_name_shows(folder: Path) -> None:
    """As a proxy that wants a login leaves it."""
    for name in ("model.safetensors", "config.json"):
        (folder / name).write_text("<!DOCTYPE html><html>Please log in</html>")
        assert file_checks.damage(folder / name)


def test_torchs_own_format_is_a_zip_or_older(tmp_path: Path) -> None:
    import torch

    path = tmp_path / "pytorch_model.bin"
    torch.save({"weight": torch.arange(10_000)}, path)
    assert file_checks.damage(path) == ""
    path.write_bytes(half(path.read_bytes()))
    assert file_checks.damage(path).startswith("it is cut short: ")
    torch.save({"weight": torch.arange(10)}, path, _use_new_zipfile_serialization=False)
    assert file_checks.damage(path) == ""


def test_large_json_is_looked_at_from_both_ends(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    content = json.dumps({"vocabulary": ["word"] * 200_000}).encode()
    path.write_bytes(content + b"\n")
    assert len(content) > file_checks.BIG and file_checks.damage(path) == ""
    path.write_bytes(content[:-1])
    assert file_checks.damage(path) == "it is cut short"
    path.write_bytes(content[:-5000] + bytes(5000))
    assert file_checks.damage(path) == "it is cut short"


def test_notes_that_no_loader_reads_may_hold_anything(folder: Path) -> None:
    (folder / "training_args.json").write_text("not JSON")
    (folder / "trainer_state.json").write_bytes(b"")
    assert resolve(str(folder)).location == str(folder)
