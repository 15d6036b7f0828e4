"""A stand-in for the package vllm: the interface of vLLM 0.33, over transformers on this machine's CPU.

`install` puts it in the place of the real one. It refuses what vLLM refuses: settings that it does not know, prompts
that do not fit, more listed tokens than it lists. What it was asked is in `LLM.made` and `LLM.asked`.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypedDict

import pytest

MOST_LISTED = 20


class TokensPrompt(TypedDict):
    prompt_token_ids: list[int]


@dataclass(frozen=True)
class Logprob:
    logprob: float
    rank: int | None = None
    decoded_token: str | None = None


@dataclass(frozen=True)
class LoRARequest:
    lora_name: str
    lora_int_id: int
    lora_path: str


@dataclass(frozen=True, kw_only=True)
class SamplingParams:
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    max_tokens: int = 16
    stop: list[str] | None = None
    stop_token_ids: list[int] | None = None
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    detokenize: bool = True

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens must be at least 1, got {self.max_tokens}.")
        if self.stop and not self.detokenize:
            raise ValueError("stop strings are only supported when detokenize is True.")
        if max(self.logprobs or 0, self.prompt_logprobs or 0) > MOST_LISTED:
            raise ValueError(f"more sample logprobs than allowed: {MOST_LISTED}")


@dataclass(frozen=True)
class CompletionOutput:
    index: int
    text: str
    token_ids: list[int]
    cumulative_logprob: float | None
    logprobs: list[dict[int, Logprob]] | None
    finish_reason: str | None = None
    stop_reason: int | str | None = None


@dataclass(frozen=True)
class RequestOutput:
    request_id: str
    prompt: str | None
    prompt_token_ids: list[int]
    prompt_logprobs: list[dict[int, Logprob] | None] | None
    outputs: list[CompletionOutput]
    finished: bool


class LLM:
    made: ClassVar[list[dict[str, Any]]] = []
    asked: ClassVar[list[tuple[list[int], SamplingParams, LoRARequest | None]]] = []
    fails: ClassVar[str] = ""

    def __init__(
        self,
        model: str,
        *,
        dtype: str,
        tensor_parallel_size: int = 1,
        max_model_len: int,
        enable_prefix_caching: bool,
        seed: int,
        enable_lora: bool = False,
        max_lora_rank: int = 16,
        quantization: str | None = None,
    ) -> None:
        told = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        if self.fails:
            raise ValueError(self.fails)
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.made.append(told)
        self.tokenizer = AutoTokenizer.from_pretrained(model)
        self.model = AutoModelForCausalLM.from_pretrained(model, dtype=dtype)
        self.lora = enable_lora
        self.window = max_model_len
        self.adapted: Any = None

    def generate(
        self,
        prompts: Sequence[TokensPrompt],
        sampling_params: SamplingParams | Sequence[SamplingParams],
        *,
        use_tqdm: bool = True,
        lora_request: LoRARequest | None = None,
    ) -> list[RequestOutput]:
        each = [sampling_params] * len(prompts) if isinstance(sampling_params, SamplingParams) else sampling_params
        assert len(each) == len(prompts)
        assert not use_tqdm, "its bar belongs to the one who asks"
        return [
            self._one(str(n), prompt["prompt_token_ids"], params, lora_request)
            for n, (prompt, params) in enumerate(zip(prompts, each, strict=True))
        ]

    def _one(self, number: str, prompt: list[int], params: SamplingParams, lora: LoRARequest | None) -> RequestOutput:
        if len(prompt) + 1 > self.window:
            raise ValueError(f"The prompt has {len(prompt)} tokens, which exceeds the maximum model length.")
        self.asked.append((prompt, params, lora))
        tokens, listed = list(prompt), list[dict[int, Logprob]]()
        text, reason = "", "length"
        for _ in range(min(params.max_tokens, self.window - len(prompt))):
            row = self._logprobs(tokens, lora)[-1]
            token = int(row.argmax())
            if params.logprobs is not None:
                top = row.topk(max(params.logprobs, 1)).indices.tolist()
                listed.append({index: Logprob(float(row[index])) for index in (*top, token)})
            tokens.append(token)
            if token == self.tokenizer.eos_token_id:
                reason = "stop"
                break
            if params.detokenize:
                text = self.tokenizer.decode(tokens[len(prompt) :], skip_special_tokens=True)
                if ends := [at for stop in params.stop or () if (at := text.find(stop)) >= 0]:
                    text, reason = text[: min(ends)], "stop"
                    break
        read: list[dict[int, Logprob] | None] | None = None
        if params.prompt_logprobs is not None:
            rows = self._logprobs(prompt, lora)
            read = [None, *({t: Logprob(float(row[t]))} for row, t in zip(rows, prompt[1:]))]
        completion = CompletionOutput(0, text, tokens[len(prompt) :], None, listed or None, reason)
        return RequestOutput(number, None, prompt, read, [completion], True)

    def _logprobs(self, tokens: list[int], lora: LoRARequest | None) -> Any:
        import torch

        model = self.model
        if lora is not None:
            assert self.lora, "LoRA is not enabled"
            if self.adapted is None:
                from peft import PeftModel

                self.adapted = PeftModel.from_pretrained(self.model, lora.lora_path, torch_device="cpu").eval()
            model = self.adapted
        with torch.inference_mode():
            return model(torch.tensor([tokens])).logits[0].float().log_softmax(dim=-1)


def install(monkeypatch: pytest.MonkeyPatch, gpus: int = 1) -> None:
    """In the place of vllm, on a machine that says it has so many GPUs."""
    import torch

    package, lora, request = (types.ModuleType(name) for name in ("vllm", "vllm.lora", "vllm.lora.request"))
    for plugin in (LLM, SamplingParams, TokensPrompt):
        setattr(package, plugin.__name__, plugin)
    package.__version__ = "0.33.0"  # type: ignore[attr-defined]
    package.__file__ = str(Path(__file__))
    package.lora, lora.request, request.LoRARequest = lora, request, LoRARequest  # type: ignore[attr-defined]
    for module in (package, lora, request):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "stand-in")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=False: True)
    monkeypatch.setattr(LLM, "made", [])
    monkeypatch.setattr(LLM, "asked", [])
    monkeypatch.setattr(LLM, "fails", "")
