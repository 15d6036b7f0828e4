"""The engine for GGUF files as they are: quantized weights, run by llama.cpp (the extra `gguf`).

Without this engine, a GGUF file is converted to float32 and run by transformers. This engine measures what a user of
the file gets.
"""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...core.errors import MedbenchError, UsageError
from ...core.types import ChoiceRequest, Engine, GenerateRequest, ModelRequest, ModelSpec, Output
from ...zoo.weights.gguf_header import read_header
from ..prompting import Encoded, Prompter, Wrapping, checked_kind, each, wrapping
from ..sampling import Sampling, draw
from ..stopping import StopStrings
from ..thinking import switched
from . import model as llama_model
from . import resolving
from .model import Context, LlamaTokenizer, Model, TokenBatch

PARALLEL_TEXTS = 8  # generated at the same time
CACHE_TOKENS = 32_768  # of the KV cache, for all texts together; a single text may take more
PARALLEL_ANSWERS = 64  # answers to one prompt that are computed together
GPUS = ("cuda", "mps")  # llama.cpp supports the one that it was built for
NAN_LOGITS = "the model's logits are NaN: damaged weights"

Logits = NDArray[np.float32]


@dataclass
class ActiveText:
    """A text that is being generated."""

    request: GenerateRequest
    prompt: Encoded
    stop: StopStrings
    started: float
    tokens: list[int] = field(default_factory=list)
    first_token_s: float | None = None


class GgufEngine(Engine):
    """Runs a GGUF file by llama.cpp: --model gguf:FILE. `spec.location` is the file, `spec.dtype` its quantization."""

    switches_thinking = True
    summary = "Runs a GGUF file by llama.cpp, quantized as it is."
    can_sample = True
    prefix_takes = "a .gguf file, a folder that holds one, or a zoo entry that has one"

    @classmethod
    def resolve(cls, name: str, request: ModelRequest) -> ModelSpec:
        return resolving.resolve(name, request)

    def __init__(self, spec: ModelSpec) -> None:
        if spec.adapter or spec.generation:
            what = "LoRA adapter" if spec.adapter else f"generation settings ({', '.join(spec.generation)})"
            raise UsageError(f"the engine gguf takes no {what}.", "Leave it out, or use another engine.")
        llama = llama_model.library()
        offers = bool(llama.llama_supports_gpu_offload())
        if spec.device not in ("auto", "cpu", *GPUS):
            raise UsageError(f"--device {spec.device}: the engine gguf supports cpu, {' and '.join(GPUS)}.")
        if spec.device in GPUS and not offers:
            raise UsageError(
                f"--device {spec.device}: this llama-cpp-python was built for the CPU only.",
                "Build it for your GPU, as its own documentation says, or leave --device out.",
            )
        self.spec = dataclasses.replace(spec, device="gpu" if offers and spec.device != "cpu" else "cpu")
        self.model: Model | None = None
        self._template: str | None = None

    def load(self) -> None:
        if self.model is None:
            self.model = Model(self.spec.location, gpu=self.spec.device != "cpu")

    def choose(self, requests: Sequence[ChoiceRequest]) -> Iterator[Output]:
        """Yield the log-probability of every answer.

        Prompts are sorted by their tokens, so that the prefix that one shares with the one before is in the cache.
        """
        model, prompter = self._ready()
        wrap = self._wrapping("choose")
        written, failed = each(requests, lambda r: prompter.for_choice(r.prompt, wrap, r.answers))
        yield from failed
        asked = [(request, *encoded) for request, encoded in written]
        if not asked:
            return
        asked.sort(key=lambda one: one[1].tokens)
        cells = max(len(prompt.tokens) + sum(len(end) for end in ends) for _, prompt, ends in asked)
        sequences = 1 + max(min(len(_heads(ends)), PARALLEL_ANSWERS) for _, _, ends in asked)
        cached: list[int] = []
        with Context(model, cells, sequences) as context:
            for request, prompt, ends in asked:
                started = time.perf_counter()
                # The last token is always computed again: its logits are needed.
                cached = cached[: context.keep(0, min(_shared(cached, prompt.tokens), len(prompt.tokens) - 1))]
                logprobs = _choose(context, prompt.tokens, len(cached), ends)
                cached = prompt.tokens
                sound = not np.isnan(logprobs).any()
                yield Output(
                    request.item_id,
                    prompt=prompt.text,
                    logprobs=tuple(logprobs) if sound else None,
                    prompt_tokens=len(prompt.tokens),
                    truncated_tokens=prompt.truncated,
                    finish="choice" if sound else "error",
                    seconds=time.perf_counter() - started,
                    error=None if sound else NAN_LOGITS,
                )

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[Output]:
        """Yield texts in order of completion. Several run at once; one that ends makes room for the next."""
        model, prompter = self._ready()
        wrap = self._wrapping("generate")
        asked, failed = each(requests, lambda r: prompter.for_generation(r.prompt, wrap, r.max_new_tokens))
        yield from failed
        if not asked:
            return
        asked.sort(key=lambda one: -len(one[1].tokens))
        longest = max(len(prompt.tokens) + request.max_new_tokens for request, prompt in asked)
        slots = max(1, min(PARALLEL_TEXTS, len(asked), CACHE_TOKENS // longest))
        shared = _shared_by_all([prompt.tokens for _, prompt in asked])
        waiting, writing = deque(asked), dict[int, ActiveText]()
        with Context(model, longest * slots + len(shared), slots + 1) as context:
            if shared:
                context.run([TokenBatch(slots, 0, shared, reads=0)])
            while waiting or writing:
                parts: list[TokenBatch] = []
                for slot in range(slots):
                    if slot in writing:
                        active = writing[slot]
                        parts.append(
                            TokenBatch(slot, len(active.prompt.tokens) + len(active.tokens) - 1, active.tokens[-1:])
                        )
                if waiting and len(writing) < slots:
                    slot = next(slot for slot in range(slots) if slot not in writing)
                    request, prompt = waiting.popleft()
                    twin = next((s for s, active in writing.items() if active.prompt.tokens == prompt.tokens), None)
                    context.copy(slots if twin is None else twin, slot)
                    known = len(shared)
                    if twin is not None:  # another sample of one prompt: all is known but its last token's logits
                        known = context.keep(slot, len(prompt.tokens) - 1)
                    stop = StopStrings(prompter.tokenizer, request.stop, prompt=prompt.text)
                    writing[slot] = ActiveText(request, prompt, stop, time.perf_counter())
                    parts.append(TokenBatch(slot, known, prompt.tokens[known:]))
                for part, (logits,) in zip(parts, context.run(parts), strict=True):
                    output = self._written(writing[part.sequence], logits)
                    if output is not None:
                        del writing[part.sequence]
                        context.drop(part.sequence)
                        yield output

    def chat(self, method: Literal["choose", "generate"]) -> str:
        return checked_kind(self._wrapping(method), self.spec.name)

    def has_system_turn(self) -> bool:
        wrap = self._wrapping("generate")
        return wrap.kind != "template" or wrap.has_system_turn

    def describe(self) -> dict[str, Any]:
        model, _ = self._ready()
        return {
            "device": self.spec.device,
            "dtype": self.spec.dtype,
            "library": f"llama-cpp-python {model.llama.__version__}",
            "threads": llama_model.threads(),
            "parameters": model.parameters,
            "window_tokens": model.window,
        }

    def peak_gpu_memory_bytes(self) -> int | None:
        return None

    def _written(self, active: ActiveText, logits: Logits) -> Output | None:
        """Append the next token to a text. Return its output if that ended it, else None."""
        assert self.model is not None
        request, prompt = active.request, active.prompt
        sound = not np.isnan(logits).any()
        sampling = Sampling.of(request)
        token = draw(logits, sampling, len(active.tokens)) if sampling and sound else int(logits.argmax())
        if active.first_token_s is None:
            active.first_token_s = time.perf_counter() - active.started
        active.tokens.append(token)
        ended = self.model.ends(token)
        full = len(active.tokens) >= request.max_new_tokens
        if sound and not (ended or full or active.stop.seen(active.tokens)):
            return None
        kept = active.tokens[:-1] if ended else active.tokens
        text, stopped = active.stop.cut(active.stop.tokenizer.decode(kept, skip_special_tokens=True))
        finish: Literal["stop", "length"] = "stop" if ended or stopped else "length"
        return Output(
            request.item_id,
            prompt=prompt.text,
            text=text.strip() if sound else None,
            prompt_tokens=len(prompt.tokens),
            completion_tokens=len(active.tokens),
            truncated_tokens=prompt.truncated,
            finish=finish if sound else "error",
            seconds=time.perf_counter() - active.started,
            first_token_s=active.first_token_s,
            error=None if sound else NAN_LOGITS,
            sample=request.sample,
        )

    def _wrapping(self, method: str) -> Wrapping:
        if self._template is None:
            self._template = read_header(Path(self.spec.location)).chat_template
        return switched(wrapping(self.spec.chat, method, self._template, self.spec.prompt_format), self.spec, method)

    def _ready(self) -> tuple[Model, Prompter]:
        self.load()
        assert self.model is not None
        if self.model.window <= 0:
            raise MedbenchError(f"{self.spec.location} does not give the size of its context window.")
        return self.model, Prompter(LlamaTokenizer(self.model), self.model.window, encoder_decoder=False)


def _choose(context: Context, prompt: list[int], cached: int, ends: list[list[int]]) -> NDArray[np.float64]:
    """Return the log-probability (nats) of each end after the prompt; the context has `cached` tokens in sequence 0.

    The last token of an end is predicted but not part of the input. Ends that differ only in it are computed once.
    """
    ((last,),) = context.run([TokenBatch(0, cached, prompt[cached:])])
    first = _log_softmax(last)
    heads = _heads(ends)
    after: dict[tuple[int, ...], list[NDArray[np.float64]]] = {(): []}
    fed = [head for head in heads if head]
    for begin in range(0, len(fed), PARALLEL_ANSWERS):
        group = fed[begin : begin + PARALLEL_ANSWERS]
        for sequence in range(1, len(group) + 1):
            context.copy(0, sequence)
        parts = [TokenBatch(number, len(prompt), head, reads=len(head)) for number, head in enumerate(group, start=1)]
        for head, logits in zip(group, context.run(parts), strict=True):
            after[head] = [_log_softmax(each) for each in logits]
        for sequence in range(1, len(group) + 1):
            context.drop(sequence)
    return np.array(
        [sum(row[token] for row, token in zip([first, *after[tuple(end[:-1])]], end, strict=True)) for end in ends],
        dtype=np.float64,
    )


def _heads(ends: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
    """Return the distinct inputs of the ends: all but their last tokens."""
    return list(dict.fromkeys(tuple(end[:-1]) for end in ends))


def _log_softmax(logits: Logits) -> NDArray[np.float64]:
    wide = logits.astype(np.float64)
    wide -= wide.max()
    return np.asarray(wide - np.log(np.exp(wide).sum()))


def _shared(a: Sequence[int], b: Sequence[int]) -> int:
    """Return how many tokens two rows share at their start."""
    return next((at for at, (one, other) in enumerate(zip(a, b)) if one != other), min(len(a), len(b)))


def _shared_by_all(rows: list[list[int]]) -> list[int]:
    """Return the tokens that all rows share at their start, without any row's last token; none for a single row."""
    if len(rows) < 2:
        return []
    first, last = min(rows), max(rows)  # sorted by tokens: all rows share what these two share
    return first[: min(_shared(first, last), *(len(row) - 1 for row in rows))]
