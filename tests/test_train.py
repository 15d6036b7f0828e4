"""`medbench train`: every entry's recipe on tiny weights of its true architecture, and what each setting does."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import entries
import pytest
import tiny
import torch
from click.testing import CliRunner, Result
from medbench.cli import cli
from medbench.core import registry
from medbench.training import checkpoints, estimate
from medbench.training.log import Log, running_mean
from safetensors.torch import load_file

SHORT = ("--set", "max_length=200", "--set", "eval_examples=2", "--device", "cpu")


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test works in a folder of its own, offline, without the user's settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR", raising=False)
    for name in ("MEDBENCH_DATA", "MEDBENCH_HOME", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


def medbench(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words], prog_name="medbench")


def train(entry: Path, *words: object, steps: int = 2, tag: str = "t") -> dict[str, Any]:
    """Train on made-up pairs; the manifest that comes out."""
    file = entries.data(Path.cwd())
    done = medbench(
        *("train", "--model", entry, "--tag", tag, "--set", f"data={file}", "--max-steps", steps, *SHORT),
        *("--quiet", *words),
    )
    assert done.exit_code == 0, done.output
    return manifest(entry, tag)


def folder(entry: Path, tag: str = "t") -> Path:
    return Path("adapters") / f"tiny-{like(entry)}" / tag


def like(entry: Path) -> str:
    return next(name for name in entries.FAMILY if name.replace(".", "_") == entry.stem)


def manifest(entry: Path, tag: str = "t") -> dict[str, Any]:
    return json.loads((folder(entry, tag) / "manifest.json").read_text(encoding="utf-8"))


def losses(entry: Path, tag: str = "t", stage: str = "") -> list[float]:
    lines = Log(folder(entry, tag) / "log.jsonl").lines()
    return [line["loss"] for line in lines if "loss" in line and stage in ("", line["stage"])]


# Every recipe


@pytest.mark.parametrize("name", entries.FAMILY)
def test_every_recipe_trains_two_real_steps_and_its_result_answers(name: str, tmp_path: Path) -> None:
    entry = entries.entry(tmp_path, name)
    made = train(entry)
    recipe = registry.get("zoo", name).recipe
    assert [stage["name"] for stage in made["stages"]] == [stage.name for stage in recipe.stages]
    for stage, as_written in zip(made["stages"], recipe.stages, strict=True):
        assert stage["steps"] == 2
        assert math.isfinite(stage["loss_final"])
        assert stage["quantize"] == as_written.quantize
    last = recipe.stages[-1]
    assert made["kind"] == ("lora" if last.lora else "full")
    if last.lora:
        config = json.loads((folder(entry) / "adapter_config.json").read_text(encoding="utf-8"))
        assert set(config["target_modules"]) == set(last.lora.target_modules)
        assert (config["r"], config["lora_alpha"]) == (last.lora.rank, last.lora.alpha)
        assert config["use_rslora"] is last.lora.rslora
        weights = load_file(folder(entry) / "adapter_model.safetensors")
        trained = {key.rpartition(".lora_")[0].rpartition(".")[2] for key in weights}
        assert trained == set(last.lora.target_modules)
    assert (folder(entry) / "loss.png").read_bytes()[:4] == b"\x89PNG"
    assert not (folder(entry) / "work").exists()
    ran = medbench(
        *("run", "--model", f"{entry}@t", "--benchmark", "medquad-sample", "--limit", 2, "--max-new-tokens", 4),
        *("--latency-items", 0, "--json"),
    )
    assert ran.exit_code == 0, ran.output
    row = json.loads(ran.stdout)["boards"][0]["rows"][0]
    assert row["model"] == f"tiny-{name}@t"


@pytest.mark.parametrize("name", entries.FAMILY)
def test_a_dry_run_of_every_entry_shows_its_recipe_offline_and_touches_nothing(name: str, tmp_path: Path) -> None:
    done = medbench("train", "--model", name, "--dry-run", "--device", "cpu", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    recipe = registry.get("zoo", name).recipe
    for stage, as_written in zip(found["stages"], recipe.stages, strict=True):
        shown = {field["field"]: field for field in stage["fields"]}
        assert float(shown["learning_rate"]["value"]) == as_written.learning_rate
        assert all(field["reason"] for field in stage["fields"])
        assert stage["memory_bytes"] > 0
        assert stage["tokens"] is None  # neither data nor tokenizer are here
        assert stage["unknown"]
    if name == "smollm2-135m":  # the same for people
        shown = medbench("train", "--model", name, "--dry-run", "--device", "cpu")
        assert shown.exit_code == 0
        assert "unknown" in shown.stdout
    assert [path.name for path in tmp_path.iterdir()] == []


def test_a_dry_run_shows_the_limit_of_steps_in_force() -> None:
    def shown(*words: object) -> dict[str, tuple[str, str]]:
        done = medbench("train", "--model", "smollm2-135m", "--dry-run", "--device", "cpu", "--json", *words)
        return {f["field"]: (f["value"], f["reason"]) for f in json.loads(done.stdout)["stages"][0]["fields"]}

    assert shown()["steps"] == ("0", "ours: 0: set by epochs")
    limited = shown("--max-steps", 2)
    assert limited["steps"] == ("at most 2", "set by the user")
    assert "one pass over the recipe's 1,200 examples" in limited["batch_size"][1]
    assert shown("--max-steps", 9, "--set", "steps=5")["steps"] == ("5", "set by the user")


def test_a_dry_run_where_everything_is_at_hand_knows_tokens_steps_and_time(tmp_path: Path) -> None:
    entry = entries.entry(tmp_path, "smollm2-135m")
    file = entries.data(tmp_path, 30)
    done = medbench("train", "--model", entry, "--set", f"data={file}", *SHORT, "--dry-run", "--json")
    stage = json.loads(done.stdout)["stages"][0]
    assert (stage["examples"], stage["held_out"]) == (28, 2)
    assert stage["steps"] == 7  # 28 examples, 4 a step
    assert 0 < stage["learned_tokens"] < stage["tokens"]
    assert stage["seconds"] > 0
    learned = "".join(text for text, is_learned in stage["example"] if is_learned)
    assert learned.startswith("Rest and fluids")
    assert learned.endswith("<|end|>")
    assert not Path("adapters").exists()


# What a setting does


def test_hera_goes_on_with_the_adapter_of_its_first_stage(tmp_path: Path) -> None:
    """A second stage that learns next to nothing leaves the first one's adapter: a fresh one would be zero."""
    entry = entries.entry(tmp_path, "hera-gemma-2-2b")
    made = train(entry, "--set", "dialogue.learning_rate=1e-12", "--set", "pubmedqa.learning_rate=1e-2")
    assert [stage["name"] for stage in made["stages"]] == ["pubmedqa", "dialogue"]
    first, second = losses(entry, stage="pubmedqa"), losses(entry, stage="dialogue")
    assert len(first) == len(second) == 2
    weights = load_file(folder(entry) / "adapter_model.safetensors")
    product = [key for key in weights if "lora_B" in key]
    assert any(weights[key].abs().max() > 1e-3 for key in product)
    assert {line["stage"] for line in map(json.loads, (folder(entry) / "examples.jsonl").open())} == {
        "pubmedqa",
        "dialogue",
    }


def test_stages_whose_lora_differs_cannot_follow_one_another(tmp_path: Path) -> None:
    entry = entries.entry(tmp_path, "hera-gemma-2-2b")
    refused = medbench("train", "--model", entry, "--set", "dialogue.lora.rank=4")
    assert refused.exit_code == 2
    assert "continues with the adapter of stage 'pubmedqa', but their LoRA differs" in refused.output


def test_rslora_scales_by_alpha_over_the_root_of_the_rank(tmp_path: Path) -> None:
    """Merged weights minus base weights are the scaling times B·A: 16/√64 = 2 with rsLoRA, 16/64 without."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    entry = entries.entry(tmp_path, "medgpt-gemma-2-2b")
    assert registry.get("zoo", "medgpt-gemma-2-2b").recipe.stages[0].lora.rslora
    for tag, setting, scaling in (("on", "on", 16 / math.sqrt(64)), ("off", "off", 16 / 64)):
        lora = ("lora.rank=64", "lora.alpha=16", f"lora.rslora={setting}", "learning_rate=1e-2")
        train(entry, *(word for text in lora for word in ("--set", text)), tag=tag)
        weights = load_file(folder(entry, tag) / "adapter_model.safetensors")
        key = next(key for key in weights if "q_proj.lora_A" in key and ".0." in key)
        product = weights[key.replace("lora_A", "lora_B")] @ weights[key]
        base = AutoModelForCausalLM.from_pretrained(tmp_path / "weights-medgpt-gemma-2-2b")
        before = base.model.layers[0].self_attn.q_proj.weight.detach().clone()
        merged = PeftModel.from_pretrained(base, folder(entry, tag)).merge_and_unload()
        after = merged.model.layers[0].self_attn.q_proj.weight.detach()
        assert product.abs().max() > 0
        torch.testing.assert_close(after - before, scaling * product, atol=1e-5, rtol=1e-3)


def test_neftune_adds_noise_and_its_absence_does_not(tmp_path: Path) -> None:
    """Med-Llama's recipe has it. The first loss is of untrained weights: noise alone can change it."""
    entry = entries.entry(tmp_path, "med-llama-3.2-1b")
    assert registry.get("zoo", "med-llama-3.2-1b").recipe.stages[0].neftune_alpha > 0
    still = ("--set", "lora.dropout=0", "--set", "gradient_checkpointing=off")
    train(entry, *still, steps=1, tag="on")
    train(entry, *still, "--set", "neftune_alpha=0", steps=1, tag="off")
    train(entry, *still, "--set", "neftune_alpha=0", steps=1, tag="off-again")
    assert losses(entry, "off") == losses(entry, "off-again")
    assert losses(entry, "on") != losses(entry, "off")


def test_flan_t5_is_trained_whole_in_float32_under_its_prefix(tmp_path: Path) -> None:
    entry = entries.entry(tmp_path, "flan-t5-base-medqa")
    made = train(entry)
    assert made["kind"] == "full"
    assert made["stages"][0]["weights_dtype"] == "float32"
    before = load_file(tmp_path / "weights-flan-t5-base-medqa" / "model.safetensors")
    after = load_file(folder(entry) / "model.safetensors")
    moved = [name for name in before if not torch.equal(before[name], after[name])]
    assert any("encoder" in name for name in moved)
    assert any("decoder" in name for name in moved)
    shown = json.loads(
        medbench(
            *("train", "--model", entry, "--set", f"data={entries.data(tmp_path)}", *SHORT, "--dry-run", "--json")
        ).stdout
    )
    text = "".join(text for text, _ in shown["stages"][0]["example"])
    assert text.startswith("Medical question: ")


def test_flan_t5_can_be_trained_by_lora_instead(tmp_path: Path) -> None:
    entry = entries.entry(tmp_path, "flan-t5-base-medqa")
    made = train(entry, "--set", "lora.rank=4", "--set", "lora.target_modules=q,v")
    assert made["kind"] == "lora"
    assert made["stages"][0]["trainable"] == 2 * 3 * 2 * 2 * 4 * (64 + 64) / 2  # layers·attentions·(q, v)·(A, B)


def test_accumulated_batches_of_an_encoder_decoder_are_averaged_not_summed(tmp_path: Path) -> None:
    """One step over 4 rows logs about the loss of the untrained model, however the rows are batched."""
    entry = entries.entry(tmp_path, "flan-t5-base-medqa")
    for tag, batch in (("one", 4), ("four", 1)):
        train(
            *(entry, "--set", f"batch_size={batch}", "--set", f"accumulation={4 // batch}"),
            *("--set", "gradient_checkpointing=off"),
            steps=1,
            tag=tag,
        )
    (one,), (four,) = losses(entry, "one"), losses(entry, "four")
    assert four == pytest.approx(one, rel=0.15)  # dropout and the lengths of the rows


def test_a_look_at_the_held_out_loss_leaves_quantized_training_as_it_is(tmp_path: Path) -> None:
    """On some processors bitsandbytes repacks weights at a look, and gradients would stop at the first layer."""
    entry = entries.entry(tmp_path, "smollm2-135m")
    for tag, every in (("often", 1), ("seldom", 100)):
        train(entry, "--set", f"eval_steps={every}", "--set", "lora.dropout=0", steps=4, tag=tag)
    assert losses(entry, "often") == pytest.approx(losses(entry, "seldom"), rel=1e-6)


def test_packing_is_for_architectures_that_keep_examples_apart(tmp_path: Path) -> None:
    llama = entries.entry(tmp_path, "smollm2-135m")
    made = train(llama, "--set", "packing=on", steps=2)
    assert made["stages"][0]["steps"] == 2
    biogpt = entries.entry(tmp_path, "biogpt-large")
    refused = medbench(
        *("train", "--model", biogpt, "--set", f"data={entries.data(tmp_path)}", *SHORT),
        *("--set", "packing=on", "--set", "gradient_checkpointing=off"),
    )
    assert refused.exit_code == 2
    assert "let packed examples see each other" in refused.output


def test_disclaimers_are_learned_whole_and_end_the_answers(tmp_path: Path) -> None:
    entry = entries.entry(tmp_path, "med-llama-3.2-1b")
    file = entries.data(tmp_path)
    words = ("train", "--model", entry, "--set", f"data={file}", *SHORT, "--dry-run")
    for setting, ends in (("on", True), ("off", False)):
        shown = medbench(*words, "--json", "--set", f"disclaimer={setting}", "--set", "disclaimer_text=See a doctor.")
        example = json.loads(shown.stdout)["stages"][0]["example"]
        learned = "".join(text for text, is_learned in example if is_learned)
        assert learned.endswith("See a doctor.<|end|>") is ends


# Tags, going on, studies


def test_the_same_command_again_does_nothing_and_another_recipe_needs_another_tag(tmp_path: Path) -> None:
    entry = entries.entry(tmp_path, "smollm2-135m")
    made = train(entry)
    assert train(entry) == made
    again = medbench("train", "--model", entry, "--tag", "t", "--resume")
    assert again.exit_code == 0
    assert "is already trained: nothing to do" in again.output
    changed = medbench("train", "--model", entry, "--tag", "t", "--resume", "--max-steps", 9)
    assert changed.exit_code == 2
    assert "--max-steps would change it" in changed.output
    other = medbench(
        *("train", "--model", entry, "--tag", "t", "--set", f"data={entries.data(tmp_path)}"),
        *("--max-steps", 2, *SHORT, "--set", "learning_rate=1e-5"),
    )
    assert other.exit_code == 2
    assert "stages.sft.learning_rate is 0.001 there and 1e-05 here" in other.output
    assert "--tag" in other.output


def test_a_sweep_trains_every_variant_and_shows_one_table(tmp_path: Path) -> None:
    entry = entries.entry(tmp_path, "med-llama-3.2-1b")
    done = medbench(
        *("train", "--model", entry, "--set", f"data={entries.data(tmp_path)}", "--max-steps", 1, *SHORT),
        *("--sweep", "learning_rate=1e-4,2e-4", "--sweep", "lora.rank=4,2", "--paired"),
    )
    assert done.exit_code == 0, done.output
    for rate, rank in (("1e-4", 4), ("2e-4", 2)):
        tag = f"sweep-learning_rate-{rate}_lora.rank-{rank}"
        assert f"tiny-med-llama-3.2-1b@{tag}" in done.stdout.replace("\n", "")
        assert manifest(entry, tag)["recipe"]["stages"][0]["lora"]["rank"] == rank
    assert "★" in done.stdout


def test_a_checkpoint_that_was_not_finished_is_never_used(tmp_path: Path) -> None:
    for step in (2, 4, 6):
        made = tmp_path / f"checkpoint-{step}"
        made.mkdir()
        (made / "weights").write_text("x" * step)
        checkpoints.seal(made, "this training", tmp_path / "log.jsonl")
    assert checkpoints.newest(tmp_path) == tmp_path / "checkpoint-6"
    (tmp_path / "checkpoint-6" / "weights").write_text("y" * 6)  # of the same size
    assert checkpoints.newest(tmp_path) == tmp_path / "checkpoint-4"
    (tmp_path / "checkpoint-4" / checkpoints.SEAL).unlink()  # killed before it was sealed
    assert checkpoints.newest(tmp_path) == tmp_path / "checkpoint-2"
    used, faults = checkpoints.latest(tmp_path, "this training")
    assert checkpoints.put_away(faults, used) == [
        "checkpoint-6 cannot be used: weights is not the file that was written; "
        f"set aside as {tmp_path / 'damaged-1-checkpoint-6'}; training continues from step 2",
        "checkpoint-4 cannot be used: it is incomplete; training continues from step 2",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-2", "damaged-1-checkpoint-6"]
    assert checkpoints.latest(tmp_path, "another training")[0] is None


@pytest.mark.parametrize("name", ["smollm2-135m", "flan-t5-base-medqa"])
def test_killed_between_the_last_checkpoint_and_the_result_no_step_is_added(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medbench.training import result

    entry = entries.entry(tmp_path, name)
    whole = train(entry, steps=3, tag="whole")
    words = ("train", "--model", entry, "--tag", "t", "--set", f"data={entries.data(tmp_path)}", "--max-steps", 3)
    with monkeypatch.context() as patch:
        patch.setattr(result, "save", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert medbench(*words, *SHORT).exit_code == 130
    made = train(entry, steps=3)
    assert losses(entry) == losses(entry, "whole")
    assert made["hash"] == whole["hash"]


def test_each_variant_of_a_sweep_reports_to_its_own_folder(tmp_path: Path) -> None:
    entry = entries.entry(tmp_path, "smollm2-135m")
    done = medbench(
        *("train", "--model", entry, "--set", f"data={entries.data(tmp_path)}", "--max-steps", 1, *SHORT),
        *("--sweep", "learning_rate=1e-4,2e-4", "--report-to", "tensorboard", "--quiet"),
    )
    assert done.exit_code == 0, done.output
    for rate in ("1e-4", "2e-4"):
        assert list((folder(entry, f"sweep-learning_rate-{rate}") / "tensorboard").glob("events*"))


def test_max_steps_is_at_most_what_the_recipe_says(tmp_path: Path) -> None:
    entry = entries.entry(tmp_path, "smollm2-135m")
    made = train(entry, steps=1000)
    assert made["stages"][0]["steps"] == 6  # 22 examples, 4 a step


def test_reports_go_where_transformers_sends_them(tmp_path: Path) -> None:
    entry = entries.entry(tmp_path, "smollm2-135m")
    train(entry, "--report-to", "tensorboard")
    assert list((folder(entry) / "tensorboard").glob("events*"))
    refused = medbench("train", "--model", entry, "--report-to", "paper")
    assert refused.exit_code == 2
    assert "--report-to paper: transformers supports" in refused.output


# What goes wrong


def test_mistakes_are_told_before_anything_is_loaded(tmp_path: Path) -> None:
    entry = entries.entry(tmp_path, "smollm2-135m")
    for words, said in {
        ("--set", "learning_rat=1"): "learning_rate",
        ("--set", "learning_rate=fast"): "expected a number",
        ("--set", "other.epochs=1"): "sft",
        ("--set", "data=nothing"): "there is no training set 'nothing'",
        ("--set", "data=nothing.jsonl"): "nothing.jsonl",
        ("--sweep", "lora.rank=1,2", "--sweep", "epochs=1", "--paired"): "lora.rank has 2, epochs has 1",
        ("--tag", "a/b"): "is not a valid tag",
        ("--tag", ""): "--tag is empty",
        ("--tag", "", "--dry-run"): "--tag is empty",
        ("--tag", "", "--sweep", "epochs=1,2"): "--tag is empty",
    }.items():
        refused = medbench("train", "--model", entry, *words)
        assert refused.exit_code == 2, (words, refused.output)
        assert said in refused.output, (words, refused.output)
    assert medbench("train", "--model", "nobody").exit_code == 2
    assert "has no training recipe" in medbench("train", "--model", "org/model").output
    assert not Path("adapters").exists() or not list(Path("adapters").rglob("manifest.json"))


def test_a_module_that_the_architecture_lacks_is_named_with_those_it_has() -> None:
    refused = medbench("train", "--model", "biogpt-large", "--set", "lora.target_modules=q_proj,o_proj", "--dry-run")
    assert refused.exit_code == 2
    assert "o_proj" in refused.output
    assert "out_proj" in refused.output


def test_a_row_of_the_users_own_file_that_is_wrong_is_named_with_how_one_looks(tmp_path: Path) -> None:
    entry = entries.entry(tmp_path, "smollm2-135m")
    file = entries.data(tmp_path, 3)
    with file.open("a", encoding="utf-8") as out:
        out.write('{"question": "And then?"}\n')
    refused = medbench("train", "--model", entry, "--set", f"data={file}")
    assert refused.exit_code == 1
    assert "row 4, field 'answer': it is missing" in refused.output
    assert 'A row looks like {"question"' in refused.output


def test_data_that_has_changed_since_is_told_by_its_size(tmp_path: Path) -> None:
    entry = entries.entry(tmp_path, "smollm2-135m")
    train(entry)
    words = ("train", "--model", entry, "--tag", "t", "--set", f"data={entries.data(tmp_path, 20)}")
    refused = medbench(*words, "--max-steps", 2, *SHORT)
    assert refused.exit_code == 2
    assert "22 examples in stage 'sft' there and 18 examples in stage 'sft' here" in refused.output


def test_data_that_is_missing_is_named_with_what_to_do(tmp_path: Path) -> None:
    entry = entries.entry(tmp_path, "smollm2-135m")
    refused = medbench("train", "--model", entry, "--device", "cpu")
    assert refused.exit_code == 1
    assert "MedQuAD" in refused.output
    assert "--data" in refused.output


def test_too_little_disk_or_memory_is_told_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = entries.entry(tmp_path, "smollm2-135m")
    words = ("train", "--model", entry, "--set", f"data={entries.data(tmp_path)}", *SHORT)
    with monkeypatch.context() as patch:
        full = shutil._ntuple_diskusage(10**12, 10**12, 1000)  # type: ignore[attr-defined]
        patch.setattr(estimate.shutil, "disk_usage", lambda path: full)
        refused = medbench(*words)
        assert refused.exit_code == 1
        assert "Free some space" in refused.output
    with monkeypatch.context() as patch:
        patch.setattr(estimate, "free_memory", lambda device: 1000)
        refused = medbench(*words)
        assert refused.exit_code == 1
        assert "of memory" in refused.output
        assert "batch_size" in refused.output


def test_a_loss_that_is_no_number_stops_training_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    """The embedding of one character is infinite, and one example late in the epoch holds it."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    entry = entries.entry(tmp_path, "smollm2-135m")
    weights = tmp_path / "weights-smollm2-135m"
    model = AutoModelForCausalLM.from_pretrained(weights)
    token = AutoTokenizer.from_pretrained(weights).encode("~", add_special_tokens=False)[-1]
    with torch.no_grad():
        model.get_input_embeddings().weight[token] = math.inf
    model.save_pretrained(weights)
    file = entries.data(tmp_path, 40)
    with file.open("a", encoding="utf-8") as out:
        out.write(json.dumps({"question": "What is ~?", "answer": "Nobody knows."}) + "\n")
    stopped = medbench(
        *("train", "--model", entry, "--tag", "t", "--set", f"data={file}", *SHORT, "--set", "eval_examples=0"),
        *("--set", "save_steps=1", "--set", "batch_size=1", "--set", "quantize=none", "--seed", 3),
    )
    assert stopped.exit_code == 1, stopped.output
    assert "the loss is nan at step" in stopped.output
    assert "smaller learning rate" in stopped.output
    kept = checkpoints.newest(folder(entry) / "work" / "1-sft")
    assert kept is not None
    assert f"The checkpoint of step {checkpoints.step_of(kept)} is kept" in stopped.output
    assert all(torch.isfinite(value).all() for value in load_file(kept / "adapter_model.safetensors").values())
    made = manifest(entry)
    assert made["status"] == "stopped"
    assert "the loss is nan" in made["stopped"]
    unready = medbench("run", "--model", f"{entry}@t", "--benchmark", "medquad-sample")
    assert unready.exit_code != 0
    assert "is not ready" in unready.output


def test_scored_items_are_refused_as_training_data_unless_they_are_allowed_by_name(tmp_path: Path) -> None:
    """The sample benchmark's own items, and then what a run of the adapter says of them."""
    from medbench.benchmarks.sources.files import Source

    entry = entries.entry(tmp_path, "smollm2-135m")
    items = registry.get("benchmarks", "medquad-sample").load(Source(None)).items
    file = entries.data(tmp_path, 20)
    with file.open("a", encoding="utf-8") as out:
        for item in items[:5]:
            out.write(json.dumps({"question": item.question, "answer": item.references[0]}) + "\n")
    words = ("train", "--model", entry, "--tag", "t", "--set", f"data={file}", "--max-steps", 1, *SHORT)
    words = (*words, "--set", "eval_examples=0")
    refused = medbench(*words)
    assert refused.exit_code == 2
    assert "medquad-sample" in refused.output
    assert "--allow-leak medquad-sample" in refused.output
    allowed = medbench(*words, "--allow-leak", "medquad-sample")
    assert allowed.exit_code == 0, allowed.output
    leaked = manifest(entry)["leaks"]["medquad-sample"]["items"]
    assert set(leaked) == {item.id for item in items[:5]}
    ran = medbench(
        *("run", "--model", f"{entry},{entry}@t", "--benchmark", "medquad-sample", "--max-new-tokens", 3),
        *("--latency-items", 0, "--json"),
    )
    assert ran.exit_code == 0, ran.output
    board = json.loads(ran.stdout)["boards"][0]
    clean = {f["metric"]: f["n"] for row in board["rows"] for f in row["figures"] if f["metric"].endswith("_clean")}
    assert clean["rouge1_clean"] <= len(items) - 5


def test_the_running_mean_is_of_the_last_values() -> None:
    assert running_mean([1.0, 3.0, 5.0, 7.0], width=2) == [1.0, 2.0, 4.0, 6.0]


def test_a_log_forgets_what_comes_after_the_checkpoint_that_training_goes_on_from(tmp_path: Path) -> None:
    log = Log(tmp_path / "log.jsonl")
    for stage, step in (("a", 1), ("a", 2), ("b", 1), ("b", 2), ("b", 3)):
        log.append({"stage": stage, "step": step, "loss": 1.0})
    with log.path.open("a") as out:
        out.write('{"stage": "b", "st')  # torn by a kill
    log.cut("b", 1)
    assert [(line["stage"], line["step"]) for line in log.lines()] == [("a", 1), ("a", 2), ("b", 1)]


def test_tiny_models_cover_every_architecture_of_the_zoo() -> None:
    assert set(entries.FAMILY) == {name for name in registry.names("zoo") if "toy" not in name}
    assert set(entries.FAMILY.values()) == set(tiny.FAMILIES)
