"""Merging: a model folder that any tool loads, that agrees with base and adapter, complete or absent."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
import tiny
import trained
from click.testing import CliRunner
from medbench.cli import cli
from medbench.core import registry
from medbench.core.errors import MedbenchError, UsageError
from medbench.core.types import GenerateRequest, ModelSpec, Prompt
from medbench.engines.hf.engine import TransformersEngine
from medbench.results.files import Lock, LockHeld
from medbench.training import merge as merging
from medbench.training.merge import merge
from medbench.zoo import Entry, adapter_manifest, adapters
from medbench.zoo.resolve import resolve

QUESTION = "Question: What helps against fever and cough in a child?\nAnswer:"


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("models") / "tiny-llama", "llama")


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test works in a folder of its own, where its adapters are too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    for name in ("MEDBENCH_DATA", "MEDBENCH_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def adapter(llama: Path) -> Path:
    """tiny-llama@first, which has seen an item of MedQA."""
    return trained.trained(llama, leaks={"medqa": {"exact": ["q1"]}, "medquad": {"exact": []}})


def logits(model: Any, folder: Path) -> Any:
    import torch
    from transformers import AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(folder)(QUESTION, return_tensors="pt")
    decoder = {"decoder_input_ids": torch.tensor([[0, 5, 6]])} if model.config.is_encoder_decoder else {}
    with torch.no_grad():
        return model.eval()(input_ids=tokens["input_ids"], **decoder).logits


def answer(spec: ModelSpec) -> str:
    (output,) = TransformersEngine(spec).generate([GenerateRequest("1", Prompt(QUESTION), max_new_tokens=12)])
    return f"{output.prompt} -> {output.text}"


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_merge_says_what_base_and_adapter_say(family: str, tmp_path: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    base = tiny.save(tmp_path / f"tiny-{family}", family)
    folder = trained.trained(base, family=family)
    out = merge(folder, tmp_path / "merged")
    kind = AutoModelForSeq2SeqLM if family == "t5" else AutoModelForCausalLM
    plain = logits(kind.from_pretrained(base), base)
    together = logits(PeftModel.from_pretrained(kind.from_pretrained(base), folder), base)
    merged = kind.from_pretrained(out)
    assert merged.dtype == torch.float32
    torch.testing.assert_close(logits(merged, out), together, atol=1e-4, rtol=0)
    assert (together - plain).abs().max() > 0.1, "the adapter does something"


def test_tokenizer_and_chat_template_come_along(llama: Path, adapter: Path) -> None:
    from transformers import AutoTokenizer

    out = merge(adapter, Path("merged"))
    before, after = AutoTokenizer.from_pretrained(llama), AutoTokenizer.from_pretrained(out)
    assert after.chat_template == before.chat_template == tiny.TEMPLATE
    assert after(QUESTION)["input_ids"] == before(QUESTION)["input_ids"]
    assert (after.pad_token, after.eos_token) == (before.pad_token, before.eos_token)


def test_a_merged_model_is_measured_like_its_adapter(llama: Path, adapter: Path) -> None:
    out = merge(adapter, Path("merged"))
    spec, together = resolve(str(out)), resolve("tiny-llama@first")
    assert answer(spec) == answer(together) != answer(resolve(str(llama)))
    assert spec.leaked == together.leaked == {"medqa": ("q1",), "medquad": ()}
    done = CliRunner().invoke(cli, ["run", "-m", str(out), "-b", "medqa-sample", "--limit", "2", "--latency-items=0"])
    assert done.exit_code == 0, done.output


def test_the_entrys_format_and_generation_come_along(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = Entry(
        "mine", str(llama), "MIT", "causal", 1, "", "", prompt_format="Q: {prompt}", generation={"num_beams": 2}
    )
    monkeypatch.setattr(registry, "names", lambda group: ["mine"] if group == "zoo" else [])
    monkeypatch.setattr(registry, "get", lambda group, name: entry)
    spec = resolve(str(merge(trained.trained(llama, "t", model="mine"), Path("merged"))))
    assert (spec.name, spec.prompt_format, spec.generation) == ("merged", "Q: {prompt}", {"num_beams": 2})
    assert answer(spec) == answer(resolve("mine@t"))


def test_it_says_what_it_was_made_of_and_nothing_of_this_machine(adapter: Path, tmp_path: Path) -> None:
    out = merge(adapter, Path("merged"))
    about = json.loads((out / "medbench.json").read_text())
    manifest = adapters.read(adapter)
    assert (about["adapter"], about["hash"], about["dtype"]) == ("tiny-llama@first", manifest.hash, "float32")
    assert about["base"]["revision"] == manifest.base["revision"]
    assert str(tmp_path) not in (out / "medbench.json").read_text()


def test_the_same_merge_is_the_same_model(adapter: Path) -> None:
    assert resolve(str(merge(adapter, Path("a")))).revision == resolve(str(merge(adapter, Path("b")))).revision


def test_what_leaked_into_either_of_two_trainings_leaked(adapter: Path) -> None:
    """A merged model trained once more: a benchmark counts where both were checked, with the items of both."""
    base = merge(adapter, Path("merged"))
    again = {"medqa": {"exact": ["q2"], "near": ["q1"]}, "liveqa": {"exact": ["l1"]}}
    trained.trained(base, "more", leaks=again)
    assert resolve("merged@more").leaked == {"medqa": ("q1", "q2")}


def test_sixteen_bits_take_half(adapter: Path) -> None:
    from safetensors import safe_open

    out = merge(adapter, Path("half"), "bfloat16")
    with safe_open(out / "model.safetensors", "pt") as weights:
        assert {str(weights.get_tensor(name).dtype) for name in weights.keys()} == {"torch.bfloat16"}  # noqa: SIM118
    assert json.loads((out / "config.json").read_text())["dtype"] == "bfloat16"


def test_an_empty_folder_is_taken_and_a_full_one_is_not(adapter: Path) -> None:
    Path("empty").mkdir()
    assert (merge(adapter, Path("empty")) / "config.json").is_file()
    Path("full").mkdir()
    Path("full/thesis.txt").write_text("dear to someone")
    with pytest.raises(UsageError, match="this folder is not empty"):
        merge(adapter, Path("full"))
    assert [path.name for path in Path("full").iterdir()] == ["thesis.txt"]


def test_a_merge_that_fails_leaves_nothing(adapter: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = set(tmp_path.iterdir())

    def killed(draft: Path) -> None:
        assert (draft / "model.safetensors").is_file(), "everything is written by now"
        raise KeyboardInterrupt

    monkeypatch.setattr(merging.durable, "sync_tree", killed)
    with pytest.raises(KeyboardInterrupt):
        merge(adapter, Path("merged"))
    assert set(tmp_path.iterdir()) - before <= {tmp_path / "cache"}


def test_what_a_killed_merge_left_is_cleared_away(adapter: Path, tmp_path: Path) -> None:
    left = tmp_path / ".merged.merging" / "model"
    left.mkdir(parents=True)
    (left / "half-a-model").touch()
    out = merge(adapter, Path("merged"))
    assert not (out / "half-a-model").exists()
    assert not left.parent.exists()


def test_two_merges_into_one_folder_do_not_mix(adapter: Path, tmp_path: Path) -> None:
    work = tmp_path / ".merged.merging"
    work.mkdir()
    lock = Lock(work / "lock", "merged")
    lock.acquire()
    try:
        with pytest.raises(LockHeld, match="is being written by process"):
            merge(adapter, Path("merged"))
        assert work.exists()
    finally:
        lock.release()


Usage = namedtuple("Usage", "total used free")


def test_a_disk_without_room_is_told_before_anything_is_loaded(adapter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10, 10, 1000))
    with pytest.raises(MedbenchError) as error:
        merge(adapter, Path("merged"))
    assert error.value.message.startswith("tiny-llama@first takes 0.0 GB merged; the disk of ")
    assert "0.0 GB left" in error.value.message
    assert "--dtype bfloat16" in error.value.hint
    assert not Path("merged").exists()


def test_what_cannot_be_merged_is_told(llama: Path, adapter: Path) -> None:
    manifest = adapters.read(adapter)
    with pytest.raises(UsageError, match="--dtype fp8: not one of"):
        merge(adapter, Path("merged"), "fp8")
    adapter_manifest.write(adapter, trained.manifest(llama, adapter, status="stopped"))
    with pytest.raises(UsageError, match="is not ready"):
        merge(adapter, Path("merged"))
    adapter_manifest.write(adapter, trained.manifest(llama, adapter, kind="full"))
    with pytest.raises(UsageError) as error:
        merge(adapter, Path("merged"))
    assert str(adapter) in error.value.hint
    (adapter / "manifest.json").unlink()
    with pytest.raises(UsageError, match="was not made by medbench train"):
        merge(adapter, Path("merged"))
    assert manifest.name == "tiny-llama@first"


def test_the_command_says_where_it_is_and_how_to_measure_it(adapter: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["adapters", "merge", "tiny-llama@first", "--out", "merged"])
    assert done.exit_code == 0, done.output
    assert f"written: {tmp_path / 'merged'}. To measure it: medbench run --model" in done.stderr
    again = CliRunner().invoke(cli, ["adapters", "merge", "tiny-llama@first", "--out", "merged"])
    assert again.exit_code == 2
    assert "this folder is not empty" in again.stderr
