"""The default engine: transformers on this machine's CPU or GPU."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from ..core.types import ChoiceRequest, GenerateRequest, ModelSpec, Output
from .batching import OutOfMemory, batches, run_halving
from .choosing import Row, causal_logprobs, rows_for, seq2seq_logprobs
from .forward import bare, keeps_a_cache
from .generating import Draft, StopStrings, greedy, search
from .loading import Loaded, chat_template, is_cpu, load, settle
from .prompting import Encoded, Prompter, Wrapping, wrapping

# Tokens in one batch, padding counted. On a CPU larger batches of prompts are slower (docs/measurements.md); on a GPU
# memory is the bound, and a batch that does not fit is halved.
CHOICE_TOKENS = {"cpu": 1024, "cuda": 65536}
GENERATE_TOKENS = {"cpu": 24576, "cuda": 262144}

ALONE = "out of memory, alone in its batch"
NO_NUMBER = "the model gave no number (NaN): overflow in this dtype, or damaged weights"

Unit = tuple[ChoiceRequest, Encoded, list[Row]]
Question = tuple[GenerateRequest, Encoded]


class TransformersEngine:
    """Runs any causal or encoder-decoder model that transformers loads. Making one is cheap; `load` is not."""

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = settle(spec)
        self.loaded: Loaded | None = None

    def load(self) -> None:
        """Put the weights in memory, once."""
        if self.loaded is None:
            self.loaded = load(self.spec)

    def choose(self, requests: Sequence[ChoiceRequest]) -> Iterator[Output]:
        """Log-probability of every answer, in order of completion (longest prompts first)."""
        loaded, prompter = self._ready()
        wrap = self.wrapping("choose")
        units: list[Unit] = []
        for request in requests:
            prompt, answers = prompter.for_choice(request.prompt, wrap, request.answers)
            units.append((request, prompt, rows_for(prompt.tokens, answers, loaded.encoder_decoder)))
        run = seq2seq_logprobs if loaded.encoder_decoder else causal_logprobs

        def answer(part: list[Unit]) -> Iterator[tuple[Unit, dict[int, float]]]:
            found = run(loaded, [row for _, _, rows in part for row in rows])
            for unit in part:
                yield unit, {index: value for _ in unit[2] for index, value in next(found).items()}

        budget = 0 if loaded.alone else CHOICE_TOKENS[self._kind()]
        for batch in batches(units, lambda u: len(u[2]), lambda u: max(len(r.tokens) for r in u[2]), budget):
            started = time.perf_counter()
            for (request, prompt, _), result in run_halving(batch, answer):
                seconds = time.perf_counter() - started
                if isinstance(result, OutOfMemory):
                    yield _failed(request.item_id, prompt, seconds, ALONE)
                    continue
                if any(math.isnan(value) for value in result.values()):
                    yield _failed(request.item_id, prompt, seconds, NO_NUMBER)
                    continue
                yield Output(
                    item_id=request.item_id,
                    prompt=prompt.text,
                    logprobs=tuple(result[i] for i in range(len(request.answers))),
                    prompt_tokens=len(prompt.tokens),
                    truncated_tokens=prompt.truncated,
                    finish="choice",
                    seconds=seconds,
                )

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[Output]:
        """Text for every request, in order of completion: rows of a batch as they end, longest prompts first."""
        loaded, prompter = self._ready()
        wrap = self.wrapping("generate")
        encoded = [(r, prompter.for_generation(r.prompt, wrap, r.max_new_tokens)) for r in requests]
        if not encoded:
            return
        # One benchmark asks with one length limit and one set of stop strings.
        limit = max(request.max_new_tokens for request in requests)
        stop = StopStrings(loaded.tokenizer, requests[0].stop)

        def answer(part: list[Question]) -> Iterator[tuple[Question, Draft]]:
            prompts = [prompt.tokens for _, prompt in part]
            if loaded.encoder_decoder or self.spec.generation or not keeps_a_cache(loaded):
                drafts = search(loaded, prompts, limit, stop, self.spec.generation)
            else:
                drafts = greedy(loaded, prompts, limit, stop)
            for row, draft in drafts:
                yield part[row], draft

        budget = 0 if loaded.alone else GENERATE_TOKENS[self._kind()]
        for batch in batches(encoded, lambda u: 1, lambda u: len(u[1].tokens) + limit, budget):
            started = time.perf_counter()
            for (request, prompt), result in run_halving(batch, answer):
                seconds = time.perf_counter() - started
                if isinstance(result, OutOfMemory):
                    yield _failed(request.item_id, prompt, seconds, ALONE)
                    continue
                if result.finish == "error":
                    yield _failed(request.item_id, prompt, seconds, NO_NUMBER)
                    continue
                yield Output(
                    item_id=request.item_id,
                    prompt=prompt.text,
                    text=result.text,
                    prompt_tokens=len(prompt.tokens),
                    completion_tokens=result.tokens,
                    truncated_tokens=prompt.truncated,
                    finish=result.finish,
                    seconds=seconds,
                    first_token_s=result.first_token_s,
                )

    def wrapping(self, method: str) -> Wrapping:
        """How prompts are wrapped for "choose" or "generate"; known without loading the weights."""
        return wrapping(self.spec.chat, method, chat_template(self.spec.location), self.spec.prompt_format)

    def chat(self, method: Literal["choose", "generate"]) -> str:
        return self.wrapping(method).kind

    def describe(self) -> dict[str, Any]:
        loaded, _ = self._ready()
        return {
            "device": self.spec.device,
            "dtype": self.spec.dtype,
            "architecture": type(bare(loaded.model)).__name__,
            "parameters": loaded.model.num_parameters(),
            "window_tokens": loaded.window,
            "attention": getattr(loaded.model.config, "_attn_implementation", ""),
        }

    def peak_gpu_memory_bytes(self) -> int | None:
        if not self.spec.device.startswith("cuda"):
            return None
        import torch

        peak = int(torch.cuda.max_memory_allocated(self.spec.device))
        torch.cuda.reset_peak_memory_stats(self.spec.device)
        return peak

    def _ready(self) -> tuple[Loaded, Prompter]:
        self.load()
        assert self.loaded is not None
        return self.loaded, Prompter(self.loaded.tokenizer, self.loaded.window, self.loaded.encoder_decoder)

    def _kind(self) -> str:
        return "cpu" if is_cpu(self.spec.device) else "cuda"


def _failed(item_id: str, prompt: Encoded, seconds: float, why: str) -> Output:
    return Output(
        item_id=item_id,
        prompt=prompt.text,
        prompt_tokens=len(prompt.tokens),
        finish="error",
        seconds=seconds,
        error=f"{why} ({len(prompt.tokens)} prompt tokens)",
    )
