"""--adapter with adapters of every type: some do not fit, add tokens, or bring a template."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fake_hub
import pytest
import tiny
import trained
from click.testing import CliRunner, Result
from medbench.cli import cli
from medbench.core.errors import MedbenchError, UsageError
from medbench.core.types import ChoiceRequest, Prompt
from medbench.engines.hf.engine import TransformersEngine
from medbench.zoo import adapters
from medbench.zoo.resolve import resolve

PROMPT = "Question: What helps against <dose> fever?\nAnswer:"
ANSWERS = ("rest", "<dose>", "aspirin and fluids")
TEMPLATE = "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}{% endfor %} [assistant]"


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("models") / "tiny-llama", "llama")


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    for name in ("MEDBENCH_DATA", "MEDBENCH_HOME"):
        monkeypatch.delenv(name, raising=False)


def make(base: Path, folder: Path, config: Any, tokens: int = 0, words: Any = None) -> Path:
    """An adapter as PEFT saves it, far from its start; `tokens`: embeddings resized to so many before."""
    import torch
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    torch.manual_seed(5)
    kind = AutoModelForSeq2SeqLM if config.task_type == "SEQ_2_SEQ_LM" else AutoModelForCausalLM
    model = kind.from_pretrained(base)
    if tokens:
        model.resize_token_embeddings(tokens)
    model = get_peft_model(model, config)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.2 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    if words is not None:
        words.save_pretrained(folder)
    return folder


def lora(**settings: Any) -> Any:
    from peft import LoraConfig

    return LoraConfig(**{"r": 2, "target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM"} | settings)


def by_peft(base: Path, adapter: Path, words: Any, tokens: int = 0) -> list[float]:
    """The log-probability of each answer by PEFT and transformers alone, without medbench."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base)
    if tokens:
        model.resize_token_embeddings(tokens)
    model = PeftModel.from_pretrained(model, adapter).eval()
    values = []
    start = len(words(PROMPT)["input_ids"])
    for answer in ANSWERS:
        ids = torch.tensor([words(f"{PROMPT} {answer}")["input_ids"]])
        with torch.no_grad():
            steps = model(input_ids=ids).logits.log_softmax(-1)
        values.append(sum(steps[0, at - 1, ids[0, at]].item() for at in range(start, ids.shape[1])))
    return values


def by_medbench(base: Path, adapter: Path | str) -> list[float]:
    spec = resolve(str(base), adapter=str(adapter), device="cpu")
    (output,) = TransformersEngine(spec).choose([ChoiceRequest("1", Prompt(PROMPT), ANSWERS)])
    assert output.logprobs is not None, output.error
    return list(output.logprobs)


def run(base: Path, adapter: Path | str, *more: str) -> Result:
    words = ["run", "-m", str(base), "--adapter", str(adapter), "-b", "medqa-sample", "--limit", "2", "--device", "cpu"]
    return CliRunner().invoke(cli, [*words, "--latency-items", "0", "--out", "runs", *more])


def manifest() -> dict[str, Any]:
    (path,) = Path("runs").glob("*/manifest.json")
    return dict(json.loads(path.read_text()))


def rewritten(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Path:
    """The adapter with other weights in its file."""
    from safetensors.torch import load_file, save_file

    file = folder / "adapter_model.safetensors"
    save_file(change(load_file(file)), file)
    return folder


# --- adapters that do not fit


def refused(base: Path, adapter: Path, *said: str) -> None:
    """The run fails in these words, and no answer is stored under the adapter's name."""
    done = run(base, adapter)
    assert done.exit_code == 1
    for words in (f"the adapter {adapter} ", f"{base.name}+{adapter.name}", "--model BASE --adapter ADAPTER", *said):
        assert words in " ".join(done.output.split()), done.output
    assert "Traceback" not in done.output
    assert not [path for path in Path("runs").glob("*/samples.jsonl") if path.read_text()]


def test_keys_that_match_nothing(llama: Path, tmp_path: Path) -> None:
    """Saved under another framework's names: PEFT alone loads nothing of it and says so in a warning at most."""
    adapter = make(llama, tmp_path / "renamed", lora())
    rewritten(
        adapter, lambda weights: {f"model.{key.partition('layers.')[2]}": value for key, value in weights.items()}
    )
    refused(
        llama,
        adapter,
        "none of its 8 weights matches the model; unmatched: model.0.self_attn.q_proj.lora_A.weight, ",
        "8 of the 8 weights it should have are missing: ",
        "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight, ",
        f"It was trained on {llama}.",
    )


def test_keys_that_are_missing_in_part(llama: Path, tmp_path: Path) -> None:
    adapter = make(llama, tmp_path / "half", lora())
    rewritten(adapter, lambda weights: {key: value for key, value in weights.items() if "layers.0" in key})
    refused(
        llama,
        adapter,
        "4 of the 8 weights it should have are missing",
        "base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight, ",
    )


def _named(weights: dict[str, Any]) -> dict[str, Any]:
    return {key.replace(".weight", ".doses.weight"): value for key, value in weights.items()}


def _seeing(weights: dict[str, Any]) -> dict[str, Any]:
    return {key.replace("model.model.", "model.model.language_model."): value for key, value in weights.items()}


def _without(part: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda weights: {key: value for key, value in weights.items() if part not in key}


@pytest.mark.parametrize(
    ("settings", "change", "said"),
    [
        # A state dict as torch has it, with the name that the adapter had in training.
        ({}, _named, "none of its 8 weights matches the model; unmatched: base_model.model.model.layers.0.self_attn"),
        # The base's layers inside a model that also reads images.
        ({}, _seeing, "unmatched: base_model.model.language_model.model.layers.0.self_attn.q_proj.lora_A.weight, "),
        ({}, _without(""), "8 of the 8 weights it should have are missing"),
        ({}, _without("lora_A"), "4 of the 8 weights it should have are missing"),
        ({"use_dora": True}, _without("magnitude"), "4 of the 12 weights it should have are missing"),
        ({"trainable_token_indices": [5]}, _without("token_adapter"), "is missing from its file"),
    ],
)
def test_other_files_that_do_not_fit(
    settings: dict[str, Any], change: Callable[[dict[str, Any]], dict[str, Any]], said: str, llama: Path, tmp_path: Path
) -> None:
    refused(llama, rewritten(make(llama, tmp_path / "changed", lora(**settings)), change), said)


def test_an_encoder_decoder_without_its_decoders_weights(tmp_path: Path) -> None:
    base = tiny.save(tmp_path / "tiny-t5", "t5")
    adapter = make(base, tmp_path / "half", lora(target_modules=["q"], task_type="SEQ_2_SEQ_LM"))
    refused(base, rewritten(adapter, _without("decoder")), "8 of the 12 weights it should have are missing")


def test_a_pickled_file_under_other_names(llama: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    adapter = make(llama, tmp_path / "pickled", lora())
    weights = load_file(adapter / "adapter_model.safetensors")
    (adapter / "adapter_model.safetensors").unlink()
    renamed = {key.replace("self_attn", "attention"): value for key, value in weights.items()}
    torch.save(renamed, adapter / "adapter_model.bin")
    refused(llama, adapter, "base_model.model.model.layers.0.attention.q_proj.lora_A.weight, ")


def test_a_pickled_file_with_code_is_refused_and_does_not_run(llama: Path, tmp_path: Path) -> None:
    import pickle

    class Code:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "it-ran"),)

    adapter = make(llama, tmp_path / "code", lora())
    (adapter / "adapter_model.safetensors").unlink()
    (adapter / "adapter_model.bin").write_bytes(pickle.dumps(Code(), protocol=2))
    refused(llama, adapter, "its file is damaged or contains more than weights, such as code")
    assert not (tmp_path / "it-ran").exists()


def test_a_method_newer_than_the_installed_peft(llama: Path, tmp_path: Path) -> None:
    adapter = make(llama, tmp_path / "newer", lora())
    file = adapter / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"peft_type": "SUTURE"}))
    refused(llama, adapter, "does not support its method, SUTURE.")


def test_an_adapter_of_a_deeper_model(llama: Path, tmp_path: Path) -> None:
    adapter = make(llama, tmp_path / "deeper", lora())
    more = {"layers.1": "layers.2"}
    rewritten(
        adapter,
        lambda weights: weights | {k.replace(*next(iter(more.items()))): v.clone() for k, v in weights.items()},
    )
    refused(llama, adapter, "8 of its 12 weights match the model", "layers.2.self_attn.q_proj.lora_A.weight")


def test_an_adapter_of_another_architecture(llama: Path, tmp_path: Path) -> None:
    other = tiny.save(tmp_path / "tiny-gpt2", "gpt2")
    adapter = make(other, tmp_path / "foreign", lora(target_modules=["c_attn"]))
    refused(llama, adapter, "Target modules {'c_attn'} not found in the base model")


def test_an_adapter_of_a_wider_model(llama: Path, tmp_path: Path) -> None:
    adapter = make(tiny.save(tmp_path / "wide", "llama", width=64), tmp_path / "wider", lora())
    refused(llama, adapter, "8 of its weights have another shape", "is [2, 64] in the adapter and [2, 32] in the model")


def test_a_saved_module_that_the_file_lacks(llama: Path, tmp_path: Path) -> None:
    adapter = make(llama, tmp_path / "headless", lora(modules_to_save=["lm_head"]))
    rewritten(adapter, lambda weights: {key: value for key, value in weights.items() if "lm_head" not in key})
    refused(llama, adapter, "base_model.model.lm_head.weight is missing from its file")


def test_an_adapter_of_a_classifier(llama: Path, tmp_path: Path) -> None:
    """Its classification head has no place in a model that writes."""
    import torch

    adapter = make(llama, tmp_path / "classifier", lora())
    rewritten(adapter, lambda weights: weights | {"base_model.model.score.weight": torch.zeros(2, 32)})
    refused(llama, adapter, "8 of its 9 weights match the model; unmatched: base_model.model.score.weight.")


def test_a_merge_refuses_it_too(llama: Path, tmp_path: Path) -> None:
    from medbench.training.merge import merge

    folder = trained.trained(llama)
    rewritten(folder, lambda weights: {key: value for key, value in weights.items() if "layers.0" in key})
    with pytest.raises(MedbenchError, match="4 of the 8 weights it should have are missing"):
        merge(folder, tmp_path / "merged")


# --- adapters of every type that changes weights: PEFT's values


def types() -> dict[str, Any]:
    import peft

    modules = {"target_modules": ["q_proj", "v_proj"]}
    return {
        "dora": lora(use_dora=True),
        "lora with biases": lora(bias="lora_only", lora_bias=False),
        "lora with a trained norm": lora(modules_to_save=["norm"]),
        "lora on embeddings": lora(target_modules=["q_proj", "embed_tokens", "lm_head"]),
        "lora with trained tokens": lora(trainable_token_indices=[5, 6]),
        "lora in one layer": lora(layers_to_transform=[1], rank_pattern={"q_proj": 4}),
        "ia3": peft.IA3Config(target_modules=["q_proj", "down_proj"], feedforward_modules=["down_proj"]),
        "loha": peft.LoHaConfig(r=2, **modules),
        "oft": peft.OFTConfig(oft_block_size=4, **modules),
        "vera": peft.VeraConfig(r=2, target_modules=["q_proj"]),
        "adalora": peft.AdaLoraConfig(init_r=4, target_r=2, total_step=10, **modules),
        "vblora": peft.VBLoRAConfig(r=2, vector_length=16, num_vectors=8, topk=2, target_modules=["q_proj"]),
    }


@pytest.mark.parametrize("name", list(types()))
def test_adapters_that_change_weights_have_pefts_values(name: str, llama: Path, tmp_path: Path) -> None:
    adapter = make(llama, tmp_path / "adapter", types()[name])
    assert by_medbench(llama, adapter) == pytest.approx(by_peft(llama, adapter, tiny.tokenizer()), abs=1e-3)


# --- added tokens and resized embeddings


def with_tokens(*tokens: str) -> Any:
    words = tiny.tokenizer()
    words.add_special_tokens({"additional_special_tokens": list(tokens)})
    return words


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"modules_to_save": ["embed_tokens", "lm_head"]},
        {"target_modules": ["q_proj", "lm_head"]},  # PEFT saves one end of the model only
        {"target_modules": ["q_proj", "embed_tokens"]},
    ],
)
def test_added_tokens_come_with_the_adapter(settings: dict[str, Any], llama: Path, tmp_path: Path) -> None:
    """`<dose>` is one token for it, with embeddings of its own; for the base it is several."""
    words = with_tokens("<dose>", "<unit>")
    assert len(words) == len(tiny.tokenizer()) + 2
    adapter = make(llama, tmp_path / "more", lora(**settings), len(words), words)
    expected = by_peft(llama, adapter, words, len(words))
    drawn = settings.get("target_modules")  # the end that is not saved: the mean and a little noise, as in PEFT
    assert by_medbench(llama, adapter) == pytest.approx(expected, abs=0.05 if drawn else 1e-3)
    done = run(llama, adapter)
    assert done.exit_code == 0, done.output
    assert "was saved with a tokenizer, which is used instead of the model's" in " ".join(done.output.split())
    assert manifest()["engine"]["tokenizer"] == "adapter"


def test_padded_embeddings_are_as_large_as_the_adapter_says(llama: Path, tmp_path: Path) -> None:
    """resize_token_embeddings(…, pad_to_multiple_of=64): more rows than tokens."""
    words = with_tokens("<dose>")
    rows = -(-len(words) // 64) * 64
    adapter = make(llama, tmp_path / "padded", lora(modules_to_save=["embed_tokens", "lm_head"]), rows, words)
    assert by_medbench(llama, adapter) == pytest.approx(by_peft(llama, adapter, words, rows), abs=1e-3)


@pytest.mark.parametrize("family", ["llama", "gemma2", "gpt2"])
def test_single_tokens_that_were_added_and_trained(family: str, tmp_path: Path) -> None:
    """PEFT saves their embeddings alone, not the matrix; for tied matrices (Gemma 2, GPT-2) it saves them twice."""
    base, words = tiny.save(tmp_path / f"tiny-{family}", family), with_tokens("<dose>", "<unit>")
    tokens = [5, len(words) - 2, len(words) - 1]
    trained_tokens = {"wte": tokens} if family == "gpt2" else tokens
    settings = lora(target_modules=trained.MODULES[family], trainable_token_indices=trained_tokens)
    adapter = make(base, tmp_path / "tokens", settings, len(words), words)
    assert by_medbench(base, adapter) == pytest.approx(by_peft(base, adapter, words, len(words)), abs=1e-3)


def test_nothing_but_single_tokens_was_trained(tmp_path: Path) -> None:
    """The tokenizer has one more token, which was not trained: the embeddings are as many as its tokens."""
    import peft

    base, words = tiny.save(tmp_path / "tiny-gemma2", "gemma2"), with_tokens("<dose>", "<unit>")
    settings = peft.TrainableTokensConfig(token_indices=[7, len(words) - 2], task_type="CAUSAL_LM")
    adapter = make(base, tmp_path / "tokens", settings, len(words), words)
    assert by_medbench(base, adapter) == pytest.approx(by_peft(base, adapter, words, len(words)), abs=1e-3)


def test_a_trained_token_of_tied_embeddings_without_a_place_is_refused(llama: Path, tmp_path: Path) -> None:
    """Llama's output matrix is its own here: tokens that were trained for it as well would be left out."""
    base, words = tiny.save(tmp_path / "tiny-gemma2", "gemma2"), with_tokens("<dose>")
    tied = make(base, tmp_path / "tied", lora(trainable_token_indices=[5, len(words) - 1]), len(words), words)
    refused(llama, tied, "unmatched: ", "base_model.model.lm_head.token_adapter.trainable_tokens_delta")


def test_tied_embeddings_and_smaller_ones(tmp_path: Path) -> None:
    """GPT-2 reads and writes with one matrix; a vocabulary can shrink as well."""
    base = tiny.save(tmp_path / "tiny-gpt2", "gpt2")
    words = tiny.tokenizer()
    for rows in (len(words) + 8, len(words) - 1):
        adapter = make(base, tmp_path / f"rows-{rows}", lora(target_modules=["c_attn"]), rows)
        assert by_medbench(base, adapter) == pytest.approx(by_peft(base, adapter, words, rows), abs=1e-3)


def test_an_encoder_decoder_with_more_tokens_runs(tmp_path: Path) -> None:
    base, words = tiny.save(tmp_path / "tiny-t5", "t5"), with_tokens("<dose>")
    adapter = make(base, tmp_path / "t5", lora(target_modules=["q"], task_type="SEQ_2_SEQ_LM"), len(words), words)
    done = run(base, adapter)
    assert done.exit_code == 0, done.output


# --- what PEFT runs around the model


def around() -> dict[str, Any]:
    import peft

    virtual = {"num_virtual_tokens": 4, "task_type": "CAUSAL_LM"}
    return {
        "PROMPT_TUNING": peft.PromptTuningConfig(**virtual),
        "PREFIX_TUNING": peft.PrefixTuningConfig(**virtual),
        "P_TUNING": peft.PromptEncoderConfig(**virtual, encoder_hidden_size=16),
    }


@pytest.mark.parametrize("name", list(around()))
def test_virtual_tokens_are_refused_before_the_base_is_loaded(
    name: str, llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = make(llama, tmp_path / "prompt", around()[name])
    monkeypatch.setattr(TransformersEngine, "load", lambda self: pytest.fail("loaded"))
    done = run(llama, adapter)
    assert done.exit_code == 2
    said = " ".join(done.output.split())
    assert f"was trained by {name.lower().replace('_', ' ')}, which medbench does not run" in said
    assert "It runs methods that change weights, such as LoRA" in said


def test_an_activated_lora_is_refused(llama: Path, tmp_path: Path) -> None:
    adapter = make(llama, tmp_path / "alora", lora())
    file = adapter / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"alora_invocation_tokens": [5, 6]}))
    with pytest.raises(UsageError, match="was trained by activated LoRA, which medbench does not run"):
        resolve(str(llama), adapter=str(adapter))


# --- a chat template of its own


def test_the_adapters_chat_template_is_used_and_named(llama: Path, tmp_path: Path) -> None:
    words = tiny.tokenizer()
    words.chat_template = TEMPLATE
    adapter = make(llama, tmp_path / "chat", lora(), words=words)
    done = run(llama, adapter, "--choice", "generate", "--max-new-tokens", "16")
    assert done.exit_code == 0, done.output
    (samples,) = Path("runs").glob("*/samples.jsonl")
    prompt = json.loads(samples.read_text().splitlines()[-1])["output"]["prompt"]
    assert prompt.startswith("[user] ") and prompt.endswith(" [assistant]")
    engine = manifest()["engine"]
    assert (engine["tokenizer"], engine["chat_template"]) == ("adapter", "adapter")


def test_without_one_the_models_own_is_used(llama: Path, tmp_path: Path) -> None:
    done = run(llama, make(llama, tmp_path / "plain", lora()), "--choice", "generate", "--max-new-tokens", "16")
    assert done.exit_code == 0, done.output
    engine = manifest()["engine"]
    assert (engine["tokenizer"], engine["chat_template"]) == ("model", "model")
    (samples,) = Path("runs").glob("*/samples.jsonl")
    assert json.loads(samples.read_text().splitlines()[-1])["output"]["prompt"].startswith("<|start|>user")


def test_another_template_is_another_run_and_other_adapters_keep_their_hash(llama: Path, tmp_path: Path) -> None:
    adapter = make(llama, tmp_path / "one", lora())
    before = adapters.hash_of(adapter, "lora")
    assert resolve(str(llama), adapter=str(adapter)).adapter_hash == before
    (adapter / "README.md").write_text("A model card changes no answer.")
    assert adapters.hash_of(adapter, "lora") == before
    (adapter / "chat_template.jinja").write_text(TEMPLATE)
    assert adapters.hash_of(adapter, "lora") != before


# --- adapters on the hub


def on_hub(
    models: dict[str, Path], home: Path, command: list[str]
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    dropped = ("HF_", "HUGGING", "TRANSFORMERS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    with fake_hub.serve(models) as server:
        environment = kept | {"HF_ENDPOINT": server.url, "HF_HOME": str(home), "NO_PROXY": "127.0.0.1"}
        words = [sys.executable, "-m", "medbench", *command]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)
        return done, server.fetched


@pytest.mark.slow
def test_an_adapter_of_the_hub(llama: Path, tmp_path: Path) -> None:
    """Downloaded with its tokenizer and without anything else, named by its id, and offline found in the cache."""
    words = with_tokens("<dose>")
    adapter = make(llama, tmp_path / "made", lora(), len(words), words)
    (adapter / "optimizer.pt").write_bytes(b"not used")
    asked = ["run", "-m", str(llama), "--adapter", "owner/dose", "-b", "medqa-sample", "--limit", "2"]
    asked += ["--latency-items", "0", "--device", "cpu", "--out"]
    done, fetched = on_hub({"owner/dose": adapter}, tmp_path / "hf", [*asked, "runs"])
    assert done.returncode == 0, done.stderr
    assert {"adapter_config.json", "adapter_model.safetensors", "tokenizer.json"} <= set(fetched)
    assert "optimizer.pt" not in fetched
    model = manifest()["model"]
    assert model["name"] == "tiny-llama+dose"
    assert model["source"].endswith(f"; adapter: hub owner/dose @ {fake_hub.COMMIT[:7]}")
    assert model["adapter_hash"] == adapters.hash_of(adapter, "lora"), "the same files in a folder are the same model"

    shutil.rmtree("runs")
    offline = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
    again = subprocess.run(
        [sys.executable, "-m", "medbench", *asked, "runs"], env=offline, capture_output=True, text=True, timeout=300
    )
    assert again.returncode == 0, again.stderr
    assert manifest()["model"]["adapter_hash"] == model["adapter_hash"]


def answers() -> list[list[float]]:
    (samples,) = Path("runs").glob("*/samples.jsonl")
    lines = map(json.loads, samples.read_text().splitlines())
    return [list(line["output"]["logprobs"]) for line in lines if "output" in line]


@pytest.mark.parametrize("weights", ["adapter_model.safetensors", "adapter_model.bin"])
def test_an_adapter_of_the_hub_answers_as_its_folder_does(
    weights: str, llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from safetensors.torch import load_file

    adapter = make(llama, tmp_path / "triage", lora())
    if weights.endswith(".bin"):
        torch.save(load_file(adapter / "adapter_model.safetensors"), adapter / weights)
        (adapter / "adapter_model.safetensors").unlink()
    assert run(llama, adapter).exit_code == 0
    right = answers()
    shutil.rmtree("runs")
    with fake_hub.serve({"clinic/triage": adapter, "clinic/base": llama}) as server:
        fake_hub.use(server.url, tmp_path / "hf", monkeypatch)
        done = run(Path("clinic/base"), "clinic/triage")
    assert done.exit_code == 0, done.output
    assert weights in server.fetched
    assert manifest()["model"]["name"] == "clinic/base+triage"
    assert answers() == right


def test_a_new_commit_of_a_hub_adapter_is_another_run(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = make(llama, tmp_path / "one", lora()), make(llama, tmp_path / "two", lora(r=4))
    commits = {"a" * 40: first}
    with fake_hub.serve({"clinic/triage": fake_hub.Repository(commits)}) as server:
        fake_hub.use(server.url, tmp_path / "hf", monkeypatch)
        assert run(llama, "clinic/triage").exit_code == 0
        commits["b" * 40] = second
        assert run(llama, "clinic/triage").exit_code == 0
    found = [json.loads(path.read_text())["model"] for path in Path("runs").glob("*/manifest.json")]
    assert {model["source"].rpartition("; ")[2] for model in found} == {
        "adapter: hub clinic/triage @ aaaaaaa",
        "adapter: hub clinic/triage @ bbbbbbb",
    }
    assert {model["adapter_hash"] for model in found} == {adapters.hash_of(one, "lora") for one in (first, second)}


def test_a_template_comes_with_a_hub_adapter(llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = make(llama, tmp_path / "triage", lora())
    (adapter / "chat_template.jinja").write_text(TEMPLATE)
    with fake_hub.serve({"clinic/triage": adapter}) as server:
        fake_hub.use(server.url, tmp_path / "hf", monkeypatch)
        done = run(llama, "clinic/triage", "--choice", "generate", "--max-new-tokens", "8")
    assert done.exit_code == 0, done.output
    engine = manifest()["engine"]
    assert (engine["tokenizer"], engine["chat_template"]) == ("model", "adapter")


def test_a_hub_adapter_that_cannot_be_used_is_refused_as_a_folder_is(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = rewritten(make(llama, tmp_path / "half", lora()), _without("layers.0"))
    prompt = make(llama, tmp_path / "prompt", around()["PROMPT_TUNING"])
    with fake_hub.serve({"clinic/half": half, "clinic/prompt": prompt}) as server:
        fake_hub.use(server.url, tmp_path / "hf", monkeypatch)
        unfit, unknown = run(llama, "clinic/half"), run(llama, "clinic/prompt")
    assert unfit.exit_code == 1
    assert "4 of the 8 weights it should have are missing" in " ".join(unfit.output.split())
    assert unknown.exit_code == 2
    assert "was trained by prompt tuning, which medbench does not run" in " ".join(unknown.output.split())
    assert not [path for path in Path("runs").glob("*/samples.jsonl") if path.read_text()]


def test_a_gated_adapter_says_where_to_ask_for_it(llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = make(llama, tmp_path / "triage", lora())
    with fake_hub.serve({"clinic/triage": adapter}, gated=frozenset({"clinic/triage"})) as server:
        fake_hub.use(server.url, tmp_path / "hf", monkeypatch)
        done = run(llama, "clinic/triage")
    assert done.exit_code == 1
    said = " ".join(done.output.split())
    assert "clinic/triage" in said and "gated" in said and f"{server.url}/clinic/triage" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("owner/base", "hub model owner/base is not an adapter: it has no adapter_config.json."),
        ("owner/none", "the hub has no model 'owner/none' that you may read."),
    ],
)
def test_what_is_no_adapter_on_the_hub(asked: str, said: str, llama: Path, tmp_path: Path) -> None:
    command = ["run", "-m", str(llama), "--adapter", asked, "-b", "medqa-sample", "--limit", "2"]
    done, _ = on_hub({"owner/base": llama}, tmp_path / "hf", command)
    assert done.returncode == 2 or said.startswith("the hub"), done.stderr
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_offline_without_it_says_how_to_get_it(llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from medbench.zoo import hub_adapter

    monkeypatch.setattr(hub_adapter.hub, "reachable", lambda: False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    done = run(llama, "owner/nowhere")
    assert done.exit_code == 1
    assert "the adapter owner/nowhere is not on this machine" in " ".join(done.output.split())
