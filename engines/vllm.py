"""The engine for GPUs that run vLLM (the extra `vllm`): its scheduler, prefix cache and tensor parallelism.

Tested against a stand-in (tests/fake_vllm.py) with the interface of vLLM 0.33; no GPU has run it yet.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..core.errors import MedbenchError, UsageError
from ..core.reasoning import opening_mark, split
from ..core.types import ChoiceRequest, Engine, EngineOption, GenerateRequest, ModelRequest, ModelSpec, Output
from . import chat_templates
from .hf.loading import first_line, opened, settle, window
from .prompting import Encoded, Prompter, Wrapping, checked_kind, each, wrapping
from .sampling import Sampling
from .stopping import cut, sendable, turn_ends
from .thinking import switched

LISTED = 20  # the most likely tokens that vLLM lists for a position by default
PROMPTS_PER_CALL = 512  # their answers are stored when all of them are done
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # the maximum LoRA ranks that vLLM can be set to
NAN_LOGITS = "the model's logits are NaN: overflow in this dtype, or damaged weights"


@dataclass(frozen=True)
class EncodedChoice:
    """A multiple-choice request as tokens."""

    request: ChoiceRequest
    prompt: Encoded
    ends: list[list[int]]

    @property
    def one_token(self) -> bool:
        return all(len(end) == 1 for end in self.ends)


class VllmEngine(Engine):
    """Runs a decoder-only model with vLLM: --model vllm:NAME, or --engine vllm. It needs a GPU.

    `spec.options["tensor_parallel"]` is how many GPUs share the model.
    """

    switches_thinking = True
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
            raise MedbenchError("vLLM needs a GPU, and torch finds none.", "To see what torch finds: medbench doctor")
        if here < self.parallel:
            raise UsageError(f"--tensor-parallel {self.parallel}: torch sees {here} GPU{'s' * (here > 1)}.")
        if spec.device not in ("auto", "cuda"):
            raise UsageError(
                f"--device {spec.device}: vLLM uses the GPUs that it finds.", "Choose them with CUDA_VISIBLE_DEVICES."
            )
        if spec.quantize == "int8":
            raise UsageError("--quantize int8: vLLM does not support it.", "Use nf4, or run the model without vLLM.")
        if spec.generation:
            settings = ", ".join(spec.generation)
            raise UsageError(
                f"{spec.name} generates with transformers settings ({settings}) that vLLM does not have.",
                "Run the model without vLLM.",
            )
        self.spec = settle(spec)
        self._model: Any = None
        self._tokenizer: Any = None
        self._window = 0

    def load(self) -> None:
        """Load the weights onto the GPUs, once. Raise MedbenchError if that fails."""
        if self._model is not None:
            return
        spec = self.spec
        config, self._tokenizer = opened(spec.location, spec.trust_remote_code, spec.adapter)
        if config.is_encoder_decoder:
            raise MedbenchError(f"{spec.name} has an encoder, which vLLM does not run.", "Run the model without vLLM.")
        self._window = window(config, self._tokenizer)
        lora = {"enable_lora": True, "max_lora_rank": _rank(spec.adapter)} if spec.adapter else {}
        quantization = {"quantization": "bitsandbytes"} if spec.quantize else {}
        # Workers must be new processes, since CUDA may be in use in this one already.
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
        except Exception as error:  # vLLM, torch, NCCL, and the model's own code each raise their own errors
            raise MedbenchError(
                f"vLLM cannot load {spec.name}: {first_line(error)}",
                "If memory is short: --quantize nf4, or several GPUs with --tensor-parallel N.",
            ) from error

    def choose(self, requests: Sequence[ChoiceRequest]) -> Iterator[Output]:
        """Yield the log-probability of every answer.

        Answers of one token are read from the list of likely tokens after the prompt, which the prefix cache speeds up.
        Longer answers, and those not on the list, are scored as the end of a prompt, which vLLM computes whole.
        """
        prompter = self._prompter(self._room() - 2)  # one for an answer's end, one that vLLM generates
        wrap = self._wrapping("choose")
        written, failed = each(requests, lambda r: prompter.for_choice(r.prompt, wrap, r.answers))
        yield from failed
        asked = [EncodedChoice(request, *encoded) for request, encoded in written]
        asked.sort(key=lambda one: one.prompt.tokens)  # neighbors share prefixes
        for begin in range(0, len(asked), PROMPTS_PER_CALL):
            yield from self._choose(asked[begin : begin + PROMPTS_PER_CALL])

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[Output]:
        """Yield the text for every request."""
        prompter = self._prompter(self._room())
        wrap = self._wrapping("generate")
        asked, failed = each(requests, lambda r: prompter.for_generation(r.prompt, wrap, r.max_new_tokens))
        yield from failed
        asked.sort(key=lambda one: one[1].tokens)
        ends = sorted(turn_ends(self._tokenizer, wrap))
        settings = {"stop_token_ids": ends} if ends else {}
        for begin in range(0, len(asked), PROMPTS_PER_CALL):
            part = asked[begin : begin + PROMPTS_PER_CALL]
            started = time.perf_counter()
            results = self._texts(part, settings)
            seconds = time.perf_counter() - started
            for (request, prompt), result in zip(part, results, strict=True):
                (written,) = result.outputs
                text, stopped = cut(written.text, request.stop, opening_mark(prompt.text))
                yield Output(
                    request.item_id,
                    prompt=prompt.text,
                    text=text.strip(),
                    prompt_tokens=len(prompt.tokens),
                    completion_tokens=len(written.token_ids),
                    truncated_tokens=prompt.truncated,
                    finish="length" if written.finish_reason == "length" and not stopped else "stop",
                    seconds=seconds,
                    sample=request.sample,
                )

    def _texts(self, asked: Sequence[tuple[GenerateRequest, Encoded]], settings: Mapping[str, Any]) -> list[Any]:
        """Return vLLM's results. It knows no reasoning, so a text that a stop string ended there is generated anew."""

        def params(request: GenerateRequest, stop: list[str]) -> Any:
            how = Sampling.of(request)
            drawn = how.settings() if how else {}
            return self._params(max_tokens=request.max_new_tokens, stop=stop or None, **settings, **drawn)

        first = [params(r, [] if opening_mark(prompt.text) else sendable(r.stop)) for r, prompt in asked]
        results = self._run([prompt.tokens for _, prompt in asked], first)
        again = [at for at, result in enumerate(results) if _stopped_in_reasoning(result.outputs[0], asked[at][0].stop)]
        anew = self._run([asked[at][1].tokens for at in again], [params(asked[at][0], []) for at in again])
        for at, result in zip(again, anew, strict=True):
            results[at] = result
        return results

    def chat(self, method: Literal["choose", "generate"]) -> str:
        return checked_kind(self._wrapping(method), self.spec.name)

    def has_system_turn(self) -> bool:
        wrap = self._wrapping("generate")
        return wrap.kind != "template" or wrap.has_system_turn

    def describe(self) -> dict[str, Any]:
        return {
            "device": self.spec.device,
            "dtype": self.spec.dtype,
            "library": f"vllm {_library().__version__}",
            "tensor_parallel": self.parallel,
            "window_tokens": self._room(),
        }

    def peak_gpu_memory_bytes(self) -> int | None:
        return None  # vLLM allocates a fixed share of the GPU's memory when it starts

    def _choose(self, asked: list[EncodedChoice]) -> Iterator[Output]:
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
            # One dictionary per prompt token, keyed by token id; it always includes the prompt's own token.
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
                error=None if sound else NAN_LOGITS,
            )

    def _run(self, prompts: list[list[int]], params: Any) -> list[Any]:
        """Run the prompts. Return vLLM's results in their order."""
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
            raise MedbenchError(f"vLLM failed: {first_line(error)}", "Earlier answers are stored.") from error

    def _params(self, **settings: Any) -> Any:
        """Return sampling parameters, greedy by default, whatever the model's generation_config.json says."""
        return _library().SamplingParams(**{"temperature": 0.0, **settings})

    def _room(self) -> int:
        self.load()
        return self._window

    def _prompter(self, room: int) -> Prompter:
        return Prompter(self._tokenizer, room, encoder_decoder=False)

    def _wrapping(self, method: str) -> Wrapping:
        template = chat_templates.of_folder(self.spec.location, self.spec.adapter)
        return switched(wrapping(self.spec.chat, method, template, self.spec.prompt_format), self.spec, method)


def _stopped_in_reasoning(written: Any, stop: Sequence[str]) -> bool:
    return bool(sendable(stop)) and written.finish_reason == "stop" and not split(written.text).closed


def _library() -> Any:
    """Return the module vllm. Raise MedbenchError if it is missing or broken."""
    try:
        import vllm
    except Exception as error:  # a build for another CUDA version may raise anything
        raise MedbenchError(
            f"the engine vllm needs the package vllm: {first_line(error)}.",
            "Install it on a machine with a GPU: pip install 'medbench[vllm]'",
        ) from error
    return vllm


def _rank(adapter: str) -> int:
    """Return the smallest rank setting of vLLM that fits an adapter. Raise UsageError if there is none."""
    config = Path(adapter) / "adapter_config.json"
    try:
        settings = json.loads(config.read_text(encoding="utf-8"))
        if settings.get("peft_type", "LORA") != "LORA" or settings.get("modules_to_save"):
            raise UsageError(f"the adapter {adapter} is not a plain LoRA.", "Run the model without vLLM.")
        rank = int(settings["r"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UsageError(f"{config} does not give the adapter's rank: {error}", "Copy the adapter again.") from error
    fits = [room for room in RANKS if room >= rank]
    if not fits:
        raise UsageError(f"the adapter {adapter} has rank {rank}; vLLM takes at most {RANKS[-1]}.")
    return fits[0]
