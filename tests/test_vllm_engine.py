"""The vLLM engine against a stand-in that has vLLM's interface: what it asks, and what it makes of the replies.

No GPU runs here. What is compared with transformers is the engine's own doing: tokens, positions, sums.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import sys
from pathlib import Path
from typing import Any

import fake_vllm
import pytest
import tiny
from click.testing import CliRunner, Result
from fake_vllm import LLM
from medbench.cli import cli
from medbench.core.errors import MedbenchError, UsageError
from medbench.core.types import ChoiceRequest, GenerateRequest, ModelSpec, Output, Prompt
from medbench.engines.hf.engine import TransformersEngine
from medbench.engines.vllm import LISTED, VllmEngine
from medbench.zoo.resolve import resolve

NATS = 1e-4
TEXTS = ["fever?", "fever and cough", "of 120 patients, 12%?", "é"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("models") / "tiny", "llama")


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
    fake_vllm.install(monkeypatch)


@pytest.fixture
def engine(folder: Path) -> VllmEngine:
    return VllmEngine(ModelSpec("tiny", str(folder), "", dtype="float32"))


@pytest.fixture(scope="module")
def exact(folder: Path) -> TransformersEngine:
    return TransformersEngine(ModelSpec("tiny", str(folder), "", device="cpu", dtype="float32"))


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, ["run", *map(str, words)], prog_name="medbench")


def by_id(outputs: Any) -> dict[str, Output]:
    return {output.item_id: output for output in outputs}


def picks(answers: tuple[str, ...], texts: list[str] = TEXTS) -> list[ChoiceRequest]:
    return [ChoiceRequest(str(n), Prompt(f"Question: {text}\nAnswer:"), answers) for n, text in enumerate(texts)]


def asks(texts: list[str] = TEXTS, limit: int = 12, stop: tuple[str, ...] = ()) -> list[GenerateRequest]:
    return [GenerateRequest(str(n), Prompt(f"Question: {t}\nAnswer:"), limit, stop) for n, t in enumerate(texts)]


def close(mine: dict[str, Output], theirs: dict[str, Output]) -> None:
    assert mine.keys() == theirs.keys()
    for item_id, output in theirs.items():
        assert mine[item_id].logprobs == pytest.approx(output.logprobs, abs=NATS)
        assert (mine[item_id].prompt, mine[item_id].prompt_tokens) == (output.prompt, output.prompt_tokens)


@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="needs vllm, which needs a GPU")
def test_the_stand_in_takes_nothing_that_vllm_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("vllm", "vllm.lora", "vllm.lora.request"):
        monkeypatch.delitem(sys.modules, name)
    import vllm
    from vllm.engine.arg_utils import EngineArgs

    ours, theirs = inspect.signature(LLM).parameters, inspect.signature(vllm.LLM).parameters
    assert ours.keys() <= theirs.keys() | inspect.signature(EngineArgs).parameters.keys()
    for made, real in (
        (LLM.generate, vllm.LLM.generate),
        (fake_vllm.SamplingParams, vllm.SamplingParams),
        (fake_vllm.LoRARequest, __import__("vllm.lora.request", fromlist=["LoRARequest"]).LoRARequest),
    ):
        assert inspect.signature(made).parameters.keys() <= inspect.signature(real).parameters.keys()


class TestAnswers:
    @pytest.mark.parametrize("answers", [("B", "C", "D"), ("yes", "no", "maybe"), ("aspirin 12", "aspirin", "fever")])
    def test_choices_are_those_of_transformers(
        self, engine: VllmEngine, exact: TransformersEngine, answers: tuple[str, ...]
    ) -> None:
        close(by_id(engine.choose(picks(answers))), by_id(exact.choose(picks(answers))))

    def test_letters_take_one_request_each_unless_one_is_not_listed(self, engine: VllmEngine) -> None:
        answers = ("B", "C", "D")
        found = by_id(engine.choose(picks(answers)))
        listing = [params for _, params, _ in LLM.asked if params.logprobs is not None]
        scoring = [params for _, params, _ in LLM.asked if params.prompt_logprobs is not None]
        assert [(p.logprobs, p.max_tokens, p.temperature) for p in listing] == [(LISTED, 1, 0.0)] * len(TEXTS)
        unlisted = len(scoring) / len(answers)
        assert 0 < unlisted <= len(found), "of 400 tokens, 20 are listed: this model has some letters below"

    def test_texts_are_those_of_transformers(self, engine: VllmEngine, exact: TransformersEngine) -> None:
        mine, theirs = by_id(engine.generate(asks())), by_id(exact.generate(asks()))

        def told(found: dict[str, Output]) -> dict[str, Any]:
            return {i: (o.text, o.prompt, o.prompt_tokens, o.completion_tokens, o.finish) for i, o in found.items()}

        assert told(mine) == told(theirs)
        assert mine["0"].prompt.startswith("<|start|>user\n")

    def test_a_text_ends_at_its_stop_string(self, engine: VllmEngine) -> None:
        (whole,) = engine.generate(asks(["fever?"]))
        assert whole.text is not None
        middle = whole.text[3:5]
        (cut,) = engine.generate(asks(["fever?"], stop=(middle, "")))
        assert (cut.text, cut.finish) == (whole.text[: whole.text.index(middle)].strip(), "stop")

    def test_prompts_that_do_not_fit_are_cut(self, engine: VllmEngine) -> None:
        for answers in (("A", "B"), ("aspirin 12", "fever")):
            (output,) = engine.choose(picks(answers, ["fever and cough " * 40]))
            assert output.truncated_tokens > 0
            assert output.logprobs is not None and len(output.logprobs) == 2
        (written,) = engine.generate(asks(["fever and cough " * 40]))
        assert written.truncated_tokens > 0
        assert written.prompt_tokens + 12 <= tiny.WINDOW
        assert [*engine.choose([]), *engine.generate([])] == []

    def test_an_adapter_answers_as_it_does_in_transformers(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fields = {"adapter": str(tmp_path / "lora"), "dtype": "float32"}
        mine = VllmEngine(ModelSpec("tiny+lora", str(folder), "", **fields))
        bare = VllmEngine(ModelSpec("tiny", str(folder), "", dtype="float32"))
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)  # PEFT and bitsandbytes would believe it
        import torch
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM

        torch.manual_seed(1)
        config = LoraConfig(r=12, target_modules=["q_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
        get_peft_model(AutoModelForCausalLM.from_pretrained(folder), config).save_pretrained(tmp_path / "lora")
        theirs = TransformersEngine(ModelSpec("tiny+lora", str(folder), "", device="cpu", **fields))
        requests = picks(("yes", "no", "aspirin 12"))
        close(by_id(mine.choose(requests)), by_id(theirs.choose(requests)))
        assert (LLM.made[0]["enable_lora"], LLM.made[0]["max_lora_rank"]) == (True, 16), "room for a rank of 12"
        without, adapted = by_id(bare.choose(requests)), by_id(mine.choose(requests))
        assert without["0"].logprobs != pytest.approx(adapted["0"].logprobs, abs=NATS)


class TestLoading:
    def test_what_vllm_is_told(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
        spec = resolve(f"vllm:{folder}", dtype="float32", engine_options={"tensor_parallel": 2})
        engine = VllmEngine(spec)
        engine.load()
        (told,) = LLM.made
        assert told == {
            "model": str(folder),
            "dtype": "float32",
            "tensor_parallel_size": 2,
            "max_model_len": tiny.WINDOW,
            "enable_prefix_caching": True,
            "seed": 0,
            "enable_lora": False,
            "max_lora_rank": 16,
            "quantization": None,
        }
        engine.load()
        assert len(LLM.made) == 1, "once"
        assert engine.describe()["tensor_parallel"] == 2
        assert (spec.name, spec.engine) == ("tiny", "vllm")

    def test_four_bits_and_a_gpus_own_dtype(self, folder: Path) -> None:
        engine = VllmEngine(resolve(str(folder), engine="vllm", quantize="nf4"))
        assert (engine.spec.device, engine.spec.dtype) == ("cuda", "bfloat16")
        engine.load()
        assert LLM.made[0]["quantization"] == "bitsandbytes"

    def test_why_vllm_cannot_load_is_told(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(LLM, "fails", "No available memory for the cache blocks.\nTraceback …")
        with pytest.raises(MedbenchError, match=r"vLLM cannot load tiny: No available memory for the cache blocks\."):
            VllmEngine(ModelSpec("tiny", str(folder), "", dtype="float32")).load()

    def test_an_encoder_is_refused(self, tmp_path: Path) -> None:
        t5 = tiny.save(tmp_path / "t5", "t5")
        with pytest.raises(MedbenchError, match="has an encoder"):
            VllmEngine(ModelSpec("t5", str(t5), "")).load()

    @pytest.mark.parametrize(
        ("fields", "told"),
        [
            ({"device": "cuda:1"}, "CUDA_VISIBLE_DEVICES"),
            ({"device": "cpu"}, "--device cpu"),
            ({"quantize": "int8"}, "--quantize int8"),
            ({"generation": {"num_beams": 4}}, "transformers settings (num_beams)"),
            ({"options": {"tensor_parallel": 8}}, "--tensor-parallel 8: torch sees 1 GPU."),
        ],
    )
    def test_what_vllm_does_not_do(self, folder: Path, fields: dict[str, Any], told: str) -> None:
        with pytest.raises(UsageError) as error:
            VllmEngine(ModelSpec("tiny", str(folder), "", **fields))
        assert told in str(error.value)


class TestCommand:
    def test_a_run(self, tmp_path: Path) -> None:
        wide = tiny.save(tmp_path / "wide", "llama", window=2048)
        words = ["-b", "medqa-sample", "--limit", 3, "--latency-items", 1, "--dtype", "float32", "--json"]
        done = run("-m", f"vllm:{wide}", *words)
        assert done.exit_code == 0, done.output
        (board,) = json.loads(done.stdout)["boards"]
        (row,) = board["rows"]
        assert (row["model"], row["engine"], row["dtype"]) == ("wide", "vllm", "float32")
        asked = len(LLM.asked)
        again = run("-m", wide, "--engine", "vllm", *words)
        assert again.exit_code == 0
        assert len(LLM.asked) == asked, "by its prefix or by --engine, it is one run"

    def test_without_the_package(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "vllm", None)
        done = run("-m", f"vllm:{folder}", "-b", "medqa-sample")
        assert (done.exit_code, done.stdout) == (1, "")
        assert "pip install 'medbench[vllm]'" in done.stderr

    def test_without_a_gpu(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        fake_vllm.install(monkeypatch, gpus=0)
        done = run("-m", f"vllm:{folder}", "-b", "medqa-sample")
        assert (done.exit_code, done.stdout) == (1, "")
        assert "vLLM needs a GPU, and torch finds none." in done.stderr

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            (("-m", "openai:gpt", "--tensor-parallel", 2), "--tensor-parallel 2: openai:gpt runs on the engine openai"),
            (("-m", "replay:a.jsonl", "--tensor-parallel", 2), "It is an option of: --model vllm:NAME"),
            (("-m", "vllm:smollm2-135m", "--engine", "transformers"), "--engine transformers"),
            (("-m", "vllm:"), "names no model"),
            (("-m", "vllm:no-such-model"), "no model is called 'no-such-model'"),
        ],
    )
    def test_what_cannot_be_meant(self, words: tuple[object, ...], told: str) -> None:
        done = run(*words, "-b", "medqa-sample")
        assert (done.exit_code, done.stdout) == (2, ""), done.output
        assert told in done.stderr
