"""The engine for GPUs that run vLLM (the extra `vllm`): its scheduler, prefix cache and tensor parallelism.

Tested against a stand-in (tests/fake_vllm.py) with the interface of vLLM 0.33; no GPU has run it yet.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..core.errors import MedbenchError, UsageError
from ..core.reasoning import continued
from ..core.types import ChoiceRequest, Engine, EngineOption, GenerateRequest, ModelRequest, ModelSpec, Output
from . import chat_templates
from .hf.loading import first_line, opened, settle, window
from .prompting import Encoded, Prompter, Wrapping, checked_kind, each, wrapping
from .stopping import cut, sendable, turn_ends

LISTED = 20  # likeliest tokens that vLLM lists for a position, at the most, unless it is told otherwise
AT_ONCE = 512  # prompts handed over together: their answers are stored when all of them are there
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # of LoRA adapters, that vLLM makes room for
NO_NUMBER = "the model gave no number (NaN): overflow in this dtype, or damaged weights"


@dataclass(frozen=True)
class Question:
    """A choice request as tokens."""

    request: ChoiceRequest
    prompt: Encoded
    ends: list[list[int]]

    @property
    def one_token(self) -> bool:
        return all(len(end) == 1 for end in self.ends)


class VllmEngine(Engine):
    """Runs a decoder-only model by vLLM: --model vllm:NAME, or --engine vllm. It wants a GPU.

    `spec.options["tensor_parallel"]` is how many GPUs share the model.
    """

    prefix_takes = "a model as without the prefix: a zoo entry, hub id, folder, or NAME@TAG"
    engine_options = (
        EngineOption(
            "tensor_parallel",
            int,
            "GPUs that share the model",
            default=1,
            least=1,
            flag="--tensor-parallel",
            changes_answers=False,
        ),
    )

    @classmethod
    def resolve(cls, name: str, request: ModelRequest) -> ModelSpec:
        return request.find(name)

    def __init__(self, spec: ModelSpec) -> None:
        self.parallel = int(spec.options.get("tensor_parallel", 1))
        _library()
        import torch

        here = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if not here:
            raise MedbenchError("vLLM wants a GPU, and torch sees none.", "See what it sees: medbench doctor")
        if here < self.parallel:
            raise UsageError(f"--tensor-parallel {self.parallel}: torch sees {here} GPU{'s' * (here > 1)}.")
        if spec.device not in ("auto", "cuda"):
            raise UsageError(
                f"--device {spec.device}: vLLM takes the GPUs that it sees.", "Choose them with CUDA_VISIBLE_DEVICES."
            )
        if spec.quantize == "int8":
            raise UsageError("--quantize int8: vLLM has no such quantization.", "It has nf4; or leave out the engine.")
        if spec.generation:
            settings = ", ".join(spec.generation)
            raise UsageError(
                f"{spec.name} generates with settings of transformers ({settings}), which vLLM does not have.",
                "Leave out the engine.",
            )
        self.spec = settle(spec)
        self._model: Any = None
        self._tokenizer: Any = None
        self._window = 0

    def load(self) -> None:
        """Put the weights in the GPUs' memory, once. Raises MedbenchError where that fails."""
        if self._model is not None:
            return
        spec = self.spec
        config, self._tokenizer = opened(spec.location, spec.trust_remote_code, spec.adapter)
        if config.is_encoder_decoder:
            raise MedbenchError(f"{spec.name} has an encoder, which vLLM does not run.", "Leave out the engine.")
        self._window = window(config, self._tokenizer)
        lora = {"enable_lora": True, "max_lora_rank": _rank(spec.adapter)} if spec.adapter else {}
        quantization = {"quantization": "bitsandbytes"} if spec.quantize else {}
        # Its workers start as processes of their own: CUDA may be in use in this one already.
        os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
        try:
            self._model = _library().LLM(
                model=spec.location,
                dtype=spec.dtype,
                tensor_parallel_size=self.parallel,
                max_model_len=self._window,
                enable_prefix_caching=True,
                seed=0,
                **({"trust_remote_code": True} if spec.trust_remote_code else {}),
                **lora,
                **quantization,
            )
        except Exception as error:  # vLLM, torch, NCCL and the model's own code each raise theirs
            raise MedbenchError(
                f"vLLM cannot load {spec.name}: {first_line(error)}",
                "Where memory is short: --quantize nf4, or several GPUs with --tensor-parallel N.",
            ) from error

    def choose(self, requests: Sequence[ChoiceRequest]) -> Iterator[Output]:
        """Log-probability of every answer.

        Answers of one token are read off the list of likeliest tokens after the prompt, which the prefix cache serves.
        Longer ones, and those below that list, are scored as the end of a prompt; vLLM computes such prompts whole.
        """
        prompter = self._prompter(self._room() - 2)  # a prompt with its answer, and the token that vLLM insists on
        wrap = self._wrapping("choose")
        written, failed = each(requests, lambda r: prompter.for_choice(r.prompt, wrap, r.answers))
        yield from failed
        asked = [Question(request, *encoded) for request, encoded in written]
        asked.sort(key=lambda one: one.prompt.tokens)  # so that what follows in time shares a prefix
        for begin in range(0, len(asked), AT_ONCE):
            yield from self._choose(asked[begin : begin + AT_ONCE])

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[Output]:
        """Greedy text for every request."""
        prompter = self._prompter(self._room())
        wrap = self._wrapping("generate")
        asked, failed = each(requests, lambda r: prompter.for_generation(r.prompt, wrap, r.max_new_tokens))
        yield from failed
        asked.sort(key=lambda one: one[1].tokens)
        ends = sorted(turn_ends(self._tokenizer, wrap))
        settings = {"stop_token_ids": ends} if ends else {}
        for begin in range(0, len(asked), AT_ONCE):
            part = asked[begin : begin + AT_ONCE]
            started = time.perf_counter()
            params = [
                self._params(max_tokens=r.max_new_tokens, stop=sendable(r.stop) or None, **settings) for r, _ in part
            ]
            results = self._run([prompt.tokens for _, prompt in part], params)
            seconds = time.perf_counter() - started
            for (request, prompt), result in zip(part, results, strict=True):
                (written,) = result.outputs
                text, stopped = cut(written.text, request.stop)
                yield Output(
                    request.item_id,
                    prompt=prompt.text,
                    text=continued(prompt.text, text.strip()),
                    prompt_tokens=len(prompt.tokens),
                    completion_tokens=len(written.token_ids),
                    truncated_tokens=prompt.truncated,
                    finish="length" if written.finish_reason == "length" and not stopped else "stop",
                    seconds=seconds,
                )

    def chat(self, method: Literal["choose", "generate"]) -> str:
        return checked_kind(self._wrapping(method), self.spec.name)

    def describe(self) -> dict[str, Any]:
        return {
            "device": self.spec.device,
            "dtype": self.spec.dtype,
            "library": f"vllm {_library().__version__}",
            "tensor_parallel": self.parallel,
            "window_tokens": self._room(),
        }

    def peak_gpu_memory_bytes(self) -> int | None:
        return None  # vLLM takes a share of the GPU's memory when it starts, whatever a run needs

    def _choose(self, asked: list[Question]) -> Iterator[Output]:
        started = time.perf_counter()
        listed = [one for one in asked if one.one_token]
        left = [one for one in asked if not one.one_token]
        found: dict[str, list[float]] = {}
        params = self._params(max_tokens=1, logprobs=LISTED, detokenize=False)
        for one, result in zip(listed, self._run([q.prompt.tokens for q in listed], params), strict=True):
            first = result.outputs[0].logprobs[0]
            if all(end[0] in first for end in one.ends):
                found[one.request.item_id] = [first[end[0]].logprob for end in one.ends]
            else:
                left.append(one)
        ends = [(one, end) for one in left for end in one.ends]
        params = self._params(max_tokens=1, prompt_logprobs=0, detokenize=False)
        results = self._run([one.prompt.tokens + end for one, end in ends], params)
        for (one, end), result in zip(ends, results, strict=True):
            # One dictionary per token of the prompt, by token; the token that stands there is always in it.
            read = result.prompt_logprobs[-len(end) :]
            value = math.fsum(of[token].logprob for of, token in zip(read, end, strict=True))
            found.setdefault(one.request.item_id, []).append(value)
        seconds = time.perf_counter() - started
        for one in asked:
            values = found[one.request.item_id]
            sound = not any(math.isnan(value) for value in values)
            yield Output(
                one.request.item_id,
                prompt=one.prompt.text,
                logprobs=tuple(values) if sound else None,
                prompt_tokens=len(one.prompt.tokens),
                truncated_tokens=one.prompt.truncated,
                finish="choice" if sound else "error",
                seconds=seconds,
                error=None if sound else NO_NUMBER,
            )

    def _run(self, prompts: list[list[int]], params: Any) -> list[Any]:
        """vLLM's results, in the order of the prompts."""
        if not prompts:
            return []
        vllm = _library()
        adapter = None
        if self.spec.adapter:
            from vllm.lora.request import LoRARequest

            adapter = LoRARequest("adapter", 1, self.spec.adapter)
        given = [vllm.TokensPrompt(prompt_token_ids=tokens) for tokens in prompts]
        try:
            return list(self._model.generate(given, params, use_tqdm=False, lora_request=adapter))
        except Exception as error:
            raise MedbenchError(f"vLLM failed: {first_line(error)}", "Answers before that are stored.") from error

    def _params(self, **settings: Any) -> Any:
        """Greedy, whatever the model's own generation_config.json says."""
        return _library().SamplingParams(temperature=0.0, **settings)

    def _room(self) -> int:
        self.load()
        return self._window

    def _prompter(self, room: int) -> Prompter:
        return Prompter(self._tokenizer, room, encoder_decoder=False)

    def _wrapping(self, method: str) -> Wrapping:
        template = chat_templates.of_folder(self.spec.location, self.spec.adapter)
        return wrapping(self.spec.chat, method, template, self.spec.prompt_format)


def _library() -> Any:
    """The module vllm. Raises MedbenchError where it is missing or broken."""
    try:
        import vllm
    except Exception as error:  # a build for another CUDA raises what its loader does
        raise MedbenchError(
            f"the engine vllm wants the package vllm: {first_line(error)}.",
            "Install it on a machine with a GPU: pip install 'medbench[vllm]'",
        ) from error
    return vllm


def _rank(adapter: str) -> int:
    """The room that an adapter's rank takes. Raises UsageError where vLLM has none."""
    config = Path(adapter) / "adapter_config.json"
    try:
        settings = json.loads(config.read_text(encoding="utf-8"))
        if settings.get("peft_type", "LORA") != "LORA" or settings.get("modules_to_save"):
            raise UsageError(f"the adapter {adapter} is not a plain LoRA; vLLM runs no other.", "Leave out the engine.")
        rank = int(settings["r"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UsageError(f"{config} does not say the adapter's rank: {error}", "Copy the adapter again.") from error
    fits = [room for room in RANKS if room >= rank]
    if not fits:
        raise UsageError(f"the adapter {adapter} has rank {rank}; vLLM takes at most {RANKS[-1]}.")
    return fits[0]
