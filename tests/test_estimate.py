"""What a training needs: counts equal to the real ones of PEFT, bitsandbytes and autograd; explicit sums."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny
from medbench.core.errors import MedbenchError, UsageError
from medbench.training import activations, architecture, estimate
from medbench.zoo.recipe import Lora, Part, Stage

MODULES = {
    "llama": ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    "gpt2": ("c_attn", "c_proj", "c_fc"),
    "biogpt": ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"),
    "gemma2": ("q_proj", "v_proj"),
    "t5": ("q", "v"),
}


def stage(family: str = "llama", full: bool = False, **values: Any) -> Stage:
    lora = None if full else Lora(rank=4, alpha=8, dropout=0.1, target_modules=MODULES[family])
    return Stage(**{"name": "train", "data": (Part("own"),), "lora": lora, "quantize": "none", **values})


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("tiny")
    return {family: tiny.save(root / family, family) for family in tiny.FAMILIES}


def loaded(folder: Path) -> Any:
    import transformers as hf

    config = hf.AutoConfig.from_pretrained(folder)
    kind = hf.AutoModelForSeq2SeqLM if config.is_encoder_decoder else hf.AutoModelForCausalLM
    return kind.from_pretrained(folder)


def test_the_shape_of_a_tiny_llama(folders: dict[str, Path]) -> None:
    """Width 32, 2 layers, 4 heads of 8, 2 key-value heads, MLP of 64, 400 words, input and output layer apart."""
    shape = architecture.shape(folders["llama"])
    attention = 32 * 32 + 2 * 32 * 16 + 32 * 32
    mlp = 3 * 32 * 64
    words = shape.vocabulary * 32
    assert shape.linear == shape.quantizable == 2 * (attention + mlp) == 18_432
    assert shape.parameters == 18_432 + 2 * words + (2 * 2 + 1) * 32, "two norms in each layer, one at the end"
    assert (shape.head, shape.largest, shape.encoder_decoder) == (words, 2048, False)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_what_is_quantized_is_what_transformers_replaces(family: str, folders: dict[str, Path]) -> None:
    import bitsandbytes as bnb
    import torch
    from transformers import BitsAndBytesConfig
    from transformers.integrations import replace_with_bnb_linear
    from transformers.quantizers.base import HfQuantizer

    with torch.device("meta"):
        model = architecture.skeleton(folders[family])
        kept = HfQuantizer.get_modules_to_not_convert(model, None, model._keep_in_fp32_modules)
        before = dict(model.named_modules())
        replace_with_bnb_linear(model, kept, BitsAndBytesConfig(load_in_4bit=True))
    replaced = [name for name, module in model.named_modules() if isinstance(module, bnb.nn.Linear4bit)]
    assert replaced
    assert architecture.shape(folders[family]).quantizable == sum(before[name].weight.numel() for name in replaced)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_trainable_parameters_are_pefts_own_count(family: str, folders: dict[str, Path]) -> None:
    from peft import LoraConfig, get_peft_model

    model = loaded(folders[family])
    everything = sum(parameter.numel() for parameter in model.parameters())
    assert architecture.trainable(folders[family], stage(family, full=True)) == everything
    assert architecture.shape(folders[family]).parameters == everything
    peft = get_peft_model(model, LoraConfig(r=4, target_modules=list(MODULES[family])))
    assert architecture.trainable(folders[family], stage(family)) == peft.get_nb_trainable_parameters()[0] > 0


def test_an_entrys_configuration_will_do_where_there_are_no_weights(folders: dict[str, Path]) -> None:
    config = json.loads((folders["gemma2"] / "config.json").read_text(encoding="utf-8"))
    assert architecture.shape(config) == architecture.shape(folders["gemma2"])
    assert architecture.trainable(config, stage("gemma2")) == architecture.trainable(folders["gemma2"], stage("gemma2"))


def test_a_t5_of_version_1_1_has_an_output_layer_of_its_own(folders: dict[str, Path]) -> None:
    """transformers ties it as it builds any T5, and parts it as it reads such a checkpoint."""
    config = json.loads((folders["t5"] / "config.json").read_text(encoding="utf-8"))
    del config["scale_decoder_outputs"]  # what transformers makes of the setting
    tied, apart = (architecture.shape({**config, "tie_word_embeddings": tie}) for tie in (True, False))
    assert apart.parameters == tied.parameters + tied.head == tied.parameters + 32 * tied.vocabulary


@pytest.mark.parametrize(
    ("family", "modules", "says"),
    [
        (
            "biogpt",
            ("q_proj", "o_proj"),
            "BioGptForCausalLM has no module o_proj. Its linear modules are k_proj, v_proj, q_proj, out_proj, fc1, fc2",
        ),
        (
            "gpt2",
            ("q_proj", "c_fc", "c_pro"),
            "no module q_proj and no c_pro. .* c_attn, c_proj, c_fc. Did you mean c_pr",
        ),
        ("t5", ("wi_0",), r"Its linear modules are q, k, v, o, wi, wo\. Did you mean wi"),
        ("llama", ("proj",), "no module proj"),
        ("llama", ("all-linear",), "no module all-linear"),
    ],
)
def test_a_module_that_the_architecture_has_not_is_named_with_those_it_has(
    family: str, modules: tuple[str, ...], says: str, folders: dict[str, Path]
) -> None:
    with pytest.raises(UsageError, match=says):
        architecture.check_modules(folders[family], stage(lora=Lora(target_modules=modules)))


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_modules_that_are_there_pass(family: str, folders: dict[str, Path]) -> None:
    architecture.check_modules(folders[family], stage(family))
    architecture.check_modules(folders[family], stage(family, full=True))


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_what_is_kept_for_the_backward_pass_is_what_autograd_keeps(
    family: str, full: bool, folders: dict[str, Path]
) -> None:
    """A real forward pass over a padded batch, and the tensors that autograd asks to keep, each storage once."""
    import torch
    from peft import LoraConfig, get_peft_model

    asked = stage(family, full, batch_size=2)
    model = loaded(folders[family])
    if not full:
        get_peft_model(model, LoraConfig(r=4, lora_dropout=0.1, target_modules=list(MODULES[family])))
    model.train()
    own = {held.untyped_storage().data_ptr() for held in (*model.parameters(), *model.buffers())}
    kept: dict[int, Any] = {}

    def keep(tensor: Any) -> Any:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    words = torch.ones(2, 20, dtype=torch.long)
    mask = torch.tensor([[1] * 20, [1] * 12 + [0] * 8])
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        if family == "t5":
            made = model(input_ids=words, attention_mask=mask, decoder_input_ids=words, labels=words)
        else:
            made = model.base_model(input_ids=words, attention_mask=mask, use_cache=False)
    assert made is not None
    real = sum(storage.nbytes() for address, storage in kept.items() if address not in own)
    outside, layers = activations.kept(model.config, asked, "cpu", 20)
    assert outside + sum(inside for inside, _ in layers) == pytest.approx(real, rel=0.03)
    assert {entering for _, entering in layers} == {2 * 20 * 32 * 4}
    assert len(layers) == (4 if family == "t5" else 2)


def test_memory_is_the_sum_of_its_parts(folders: dict[str, Path]) -> None:
    folder = folders["llama"]
    shape, trained = architecture.shape(folder), architecture.trainable(folder, stage())
    plain = estimate.memory(folder, stage())
    assert plain.weights_bytes == 4 * shape.parameters
    assert plain.adapter_bytes == plain.gradients_bytes == 4 * trained
    assert plain.optimizer_bytes == 8 * trained
    assert plain.total == sum(vars(plain).values())
    # Half a byte, and scales: 8 bits for 64 weights, and 32 bits for 256 of these.
    nf4 = estimate.memory(folder, stage(quantize="nf4"))
    rest = 4 * (shape.parameters - shape.quantizable)
    assert nf4.weights_bytes == int(rest + shape.quantizable * (4 + 8 / 64 + 32 / (64 * 256)) / 8)
    single = estimate.memory(folder, stage(quantize="nf4", double_quant=False))
    assert single.weights_bytes == rest + shape.quantizable * 4.5 / 8
    everything = estimate.memory(folder, stage(full=True, optimizer="adamw_8bit"))
    assert everything.adapter_bytes == 0
    assert everything.gradients_bytes == 4 * shape.parameters
    assert everything.optimizer_bytes == 2 * shape.parameters


def test_every_optimizer_of_a_stage_has_its_bytes() -> None:
    from typing import get_args, get_type_hints

    assert set(get_args(get_type_hints(Stage)["optimizer"])) == set(estimate.OPTIMIZER_BYTES)


def test_checkpointing_and_smaller_batches_take_less_memory(folders: dict[str, Path]) -> None:
    for family in ("gpt2", "t5"):
        asked = {"batch_size": 4, "max_length": 64}
        off = estimate.memory(folders[family], stage(family, gradient_checkpointing=False, **asked))
        on = estimate.memory(folders[family], stage(family, **asked))
        short = estimate.memory(folders[family], stage(family, **asked), longest=32)
        assert off.activations_bytes > on.activations_bytes > short.activations_bytes


def test_rows_are_no_longer_than_the_models_window(folders: dict[str, Path]) -> None:
    asked = [estimate.memory(folders["gpt2"], stage("gpt2", max_length=n)) for n in (tiny.WINDOW, 4 * tiny.WINDOW)]
    assert asked[0] == asked[1]


@pytest.mark.parametrize(
    ("values", "rows", "processes", "expected"),
    [
        ({"batch_size": 4, "gradient_accumulation_steps": 2}, 16, 1, 2),
        ({"batch_size": 4, "gradient_accumulation_steps": 2}, 17, 1, 3),  # 5 batches: the third step takes one
        ({"batch_size": 4, "gradient_accumulation_steps": 2}, 17, 2, 2),  # 5 batches are 3 for each
        ({"batch_size": 4, "gradient_accumulation_steps": 2, "epochs": 10.0}, 13, 1, 20),
        ({"batch_size": 4, "gradient_accumulation_steps": 2, "epochs": 0.5}, 17, 1, 2),  # half of 3, rounded up
        ({"batch_size": 4, "gradient_accumulation_steps": 8}, 5, 1, 1),
        ({"batch_size": 4, "steps": 7}, 1000, 1, 7),
    ],
)
def test_steps(values: dict[str, Any], rows: int, processes: int, expected: int) -> None:
    assert estimate.steps(stage(**values), rows, processes) == expected


@pytest.mark.parametrize("rows", [1, 5, 8, 13])
@pytest.mark.parametrize(("batch", "accumulation", "epochs"), [(2, 2, 1.0), (3, 4, 2.5), (1, 1, 0.3)])
def test_steps_are_those_of_transformers(
    rows: int, batch: int, accumulation: int, epochs: float, tmp_path: Path
) -> None:
    import torch
    from transformers import Trainer, TrainingArguments

    arguments = TrainingArguments(
        output_dir=str(tmp_path),
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=accumulation,
        num_train_epochs=epochs,
        report_to="none",
        use_cpu=True,
    )
    data: Any = [{"x": number} for number in range(rows)]
    trainer = Trainer(torch.nn.Linear(1, 1), arguments, train_dataset=data, data_collator=lambda found: found)
    real = trainer.set_initial_training_values(arguments, trainer.get_train_dataloader())[-1]
    trained = stage(batch_size=batch, gradient_accumulation_steps=accumulation, epochs=epochs)
    assert estimate.steps(trained, rows) == real


def test_tokens_are_counted_with_their_padding() -> None:
    lengths = [10] * 4 + [50] * 4
    assert estimate.tokens(stage(batch_size=1, gradient_accumulation_steps=1), lengths) == 4 * 10 + 4 * 50
    assert estimate.tokens(stage(batch_size=8, gradient_accumulation_steps=1), lengths) == 8 * 50
    assert estimate.tokens(stage(batch_size=8, gradient_accumulation_steps=1, packing=True), lengths) == 240
    assert estimate.tokens(stage(batch_size=8, gradient_accumulation_steps=1, epochs=3.0), lengths) == 3 * 8 * 50
    assert estimate.tokens(stage(batch_size=4, gradient_accumulation_steps=1, steps=5), [20] * 8) == 5 * 4 * 20


def test_seconds_are_operations_over_rate() -> None:
    """A million linear weights, an output layer of half a million, 1,000 tokens, a billion operations per second."""
    sizes = estimate.Shape("x", 2_000_000, 1_000_000, 1_000_000, 10_000, 500_000, 5_000, False)
    reached = 1e9 * estimate.EFFICIENCY["cpu"]

    def seconds(**values: Any) -> float:
        return estimate.seconds(sizes, stage(**values), 1000, 1e9)

    lora = (1000 * 1e6 * (2 + 2) + 1000 * 5e5 * (4 + 2)) / reached
    assert seconds(gradient_checkpointing=False) == pytest.approx(lora)
    assert seconds() == pytest.approx(lora + 1000 * 1e6 * 2 / reached)
    full = (1000 * 1e6 * (2 + 4) + 1000 * 5e5 * (4 + 4)) / reached
    assert seconds(full=True, gradient_checkpointing=False) == pytest.approx(full)
    # One batch of 4 rows of 250 tokens turns every weight out of NF4 in each of two passes.
    nf4 = seconds(gradient_checkpointing=False, quantize="nf4", batch_size=4, max_length=250)
    assert nf4 == pytest.approx(lora + 2 * 1e6 / estimate.DEQUANTIZED_PER_S["cpu"])
    looked = estimate.seconds(sizes, stage(gradient_checkpointing=False), 1000, 1e9, evaluated=100)
    assert looked == pytest.approx(lora + 100 * 2 * 1.5e6 / reached)


def test_the_rate_of_this_machine_is_a_number() -> None:
    assert estimate.rate(seconds=0.01) > 1e8


def test_disk_holds_three_checkpoints_and_the_result_twice() -> None:
    sizes = estimate.Shape("x", 1000, 800, 800, 100, 100, 50, False)
    small = estimate.SMALL_FILES_BYTES
    assert estimate.disk(sizes, 100, stage()) == 3 * (400 + 800 + small) + 2 * (400 + small)
    assert estimate.disk(sizes, 1000, stage(full=True)) == 3 * (4000 + 8000 + small) + 2 * (4000 + small)


def room(monkeypatch: pytest.MonkeyPatch, disk: float = 1e12, memory: float = 1e12) -> None:
    import shutil

    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=int(disk)))
    monkeypatch.setattr(estimate, "free_memory", lambda device: int(memory))


def test_too_little_disk_is_told_with_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    room(monkeypatch, disk=1e9)
    with pytest.raises(
        MedbenchError, match=r"writes up to 2\.5 GB; the disk of .*new has 1\.0 GB left.\nFree some space"
    ):
        estimate.check_room(tmp_path / "not" / "yet" / "new", int(2.5e9), 1, "cpu", stage())


def test_too_little_memory_is_told_with_what_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refused(**values: Any) -> str:
        with pytest.raises(MedbenchError, match=r"takes about 9\.0 GB of memory; cpu has 4\.0 GB free") as error:
            estimate.check_room(tmp_path, 1, int(9e9), "cpu", stage(**values))
        return error.value.hint

    room(monkeypatch, memory=4e9)
    assert refused(gradient_checkpointing=False) == (
        "Try --set batch_size=1 --set gradient_accumulation_steps=16, or --set gradient_checkpointing=on, "
        "or --set quantize=nf4, or --set max_length=256."
    )
    assert refused(batch_size=1, quantize="nf4") == "Try --set max_length=256."
    assert "quantize" not in refused(full=True), "what is trained whole cannot be quantized"


def test_enough_of_both_says_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folders: dict[str, Path]) -> None:
    needed = estimate.memory(folders["llama"], stage()).growth
    room(monkeypatch, memory=needed)
    estimate.check(folders["llama"], stage(), tmp_path, "cpu")
    room(monkeypatch, memory=needed - 1)
    with pytest.raises(MedbenchError, match="of memory"):
        estimate.check(folders["llama"], stage(), tmp_path, "cpu")


MEASURE = """
import ctypes, sys, threading, time
import psutil, torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM
from trl.trainer.utils import add_fused_lm_head

def held():
    found = psutil.Process().memory_info()
    return found.rss - found.shared

def step():
    model(input_ids=words, attention_mask=torch.ones_like(words), labels=words, fused_lm_head=True).loss.backward()

checkpointing, modules = sys.argv[2] == "on", sys.argv[3].split(",")
before, peak = held(), [0]
model = LlamaForCausalLM(LlamaConfig.from_json_file(sys.argv[1]))
if modules != [""]:
    lora = LoraConfig(r=4, lora_dropout=0.1, target_modules=modules, task_type="CAUSAL_LM")
    get_peft_model(model, lora)
add_fused_lm_head(model, outputs=("log_probs", "entropy", "is_top1"))
if checkpointing:
    model.enable_input_require_grads()
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
model.train()
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad])
words = torch.ones(4, 256, dtype=torch.long)

def watch():
    while True:
        peak[0] = max(peak[0], held())
        time.sleep(0.005)

threading.Thread(target=watch, daemon=True).start()
for _ in range(2):
    step(), step(), optimizer.step(), optimizer.zero_grad()
print(peak[0] - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("checkpointing", ["on", "off"])
def test_memory_is_within_30_percent_of_what_training_takes_on_a_cpu(
    checkpointing: str, full: bool, tmp_path: Path
) -> None:
    """51 million parameters in float32, 4 rows of 256 tokens: the growth of the memory that is this process's own."""
    from transformers import LlamaConfig

    config = LlamaConfig(
        hidden_size=512,
        intermediate_size=1536,
        num_hidden_layers=8,
        num_attention_heads=8,
        num_key_value_heads=4,
        vocab_size=24_000,
    )
    config.to_json_file(tmp_path / "config.json", use_diff=False)
    modules = "" if full else ",".join(MODULES["llama"])
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path / "config.json"), checkpointing, modules],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    measured = int(done.stdout.split()[-1])
    asked = stage(full=full, gradient_checkpointing=checkpointing == "on", batch_size=4, max_length=256)
    predicted = estimate.memory(config, asked).growth
    print(
        f"checkpointing {checkpointing}, full {full}: {predicted / 1e6:.0f} MB predicted, {measured / 1e6:.0f} measured"
    )
    assert 0.7 < predicted / measured < 1.3
