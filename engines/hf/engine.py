"""The default engine: transformers on this machine's CPU or GPU."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from ...core.heap import keep_freed
from ...core.reasoning import continued
from ...core.resources import is_cpu
from ...core.types import ChoiceRequest, GenerateRequest, ModelSpec, Output
from .. import chat_templates
from ..prompting import Encoded, Prompter, Wrapping, each, wrapping
from ..stopping import StopStrings, turn_ends
from .batching import OutOfMemory
from .forward import bare
from .generation.generating import Ask, Draft, end_tokens, greedy, searched
from .generation.scheduling import Room
from .loading import Loaded, brought_by, load, settle
from .memory import cache_tokens, pass_tokens
from .scoring.choosing import Row, logprobs, rows_for

# Tokens in one batch, padding counted. On a CPU larger batches are no faster (docs/measurements.md); on a GPU memory is
# the bound, and a batch that does not fit is halved.
CHOICE_TOKENS = {"cpu": 2048, "cuda": 65536}
TOGETHER = 4096  # multiple-choice requests whose prompts are searched for shared beginnings
SEARCH_TOKENS = {"cpu": 24576, "cuda": 262144}
SLOTS = {"cpu": 128, "cuda": 256}  # texts in the making
BLOCK = {"cpu": 16, "cuda": 256}  # of them looked at together in one pass; on a GPU all: every block is a kernel more
PROMPT_TOKENS = {"cpu": 1024, "cuda": 16384}  # in one pass

ALONE = "out of memory, alone in its batch"
NO_NUMBER = "the model gave no number (NaN): overflow in this dtype, or damaged weights"


class TransformersEngine:
    """Runs any causal or encoder-decoder model that transformers loads. Making one is cheap; `load` is not."""

    # Imported before `load`, so that a run's manifest tells libraries from weights.
    imports = ("torch", "transformers", "transformers.models.auto.modeling_auto")

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = settle(spec)
        self.loaded: Loaded | None = None
        self._fits_slots: bool | None = None  # not tried yet
        self._fits_packing: bool | None = None

    def load(self) -> None:
        """Put the weights in memory, once."""
        if self.loaded is None:
            from .linear import lay_out

            if is_cpu(self.spec.device):
                keep_freed()
            self.loaded = load(self.spec)
            lay_out(self.loaded)

    def choose(self, requests: Sequence[ChoiceRequest]) -> Iterator[Output]:
        """Log-probability of every answer, in order of completion (longest prompts first, among some thousands)."""
        loaded, prompter = self._ready()
        wrap = self.wrapping("choose")
        packs = self._takes_packed_rows()
        budget = 0 if loaded.alone else CHOICE_TOKENS[self._kind()]
        if packs:
            budget = min(budget, pass_tokens(loaded))
        for first in range(0, len(requests), TOGETHER):
            asked: list[tuple[ChoiceRequest, Encoded]] = []
            rows: list[Row] = []
            written, failed = each(
                requests[first : first + TOGETHER], lambda r: prompter.for_choice(r.prompt, wrap, r.answers)
            )
            yield from failed
            for request, (prompt, answers) in written:
                if why := _without_embedding(loaded, [prompt.tokens, *answers]):
                    yield _failed(request.item_id, prompt, 0.0, why)
                    continue
                rows += rows_for(len(asked), prompt.tokens, answers, loaded.encoder_decoder)
                asked.append((request, prompt))
            for index, result, seconds in logprobs(loaded, rows, budget, packs):
                request, prompt = asked[index]
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
        """Text for every request, in order of completion.

        Seconds count from when a request left the queue, not from when it was made; how long one alone takes is
        measured one at a time (evaluation/run.py).
        """
        loaded, prompter = self._ready()
        wrap = self.wrapping("generate")
        asked: list[tuple[GenerateRequest, Encoded]] = []
        written, failed = each(requests, lambda r: prompter.for_generation(r.prompt, wrap, r.max_new_tokens))
        yield from failed
        for request, prompt in written:
            if why := _without_embedding(loaded, [prompt.tokens]):
                yield _failed(request.item_id, prompt, 0.0, why)
            else:
                asked.append((request, prompt))
        if not asked:
            return
        stops = {request.stop: StopStrings(loaded.tokenizer, request.stop) for request, _ in asked}
        ends = end_tokens(loaded) | turn_ends(loaded.tokenizer, wrap)
        asks = [Ask(prompt.tokens, r.max_new_tokens, stops[r.stop], ends) for r, prompt in asked]
        plain = self._takes_slots()
        if plain and not self.spec.generation:
            drafts = greedy(loaded, asks, self._room())
        else:
            budget = 0 if loaded.alone else min(SEARCH_TOKENS[self._kind()], cache_tokens(loaded))
            drafts = searched(loaded, asks, self.spec.generation, budget, padding=plain or loaded.encoder_decoder)
        for index, draft in drafts:
            request, prompt = asked[index]
            yield _output(request.item_id, prompt, draft)

    def wrapping(self, method: str) -> Wrapping:
        """How prompts are wrapped for "choose" or "generate"; known without loading the weights."""
        template = chat_templates.of_folder(self.spec.location, self.spec.adapter)
        return wrapping(self.spec.chat, method, template, self.spec.prompt_format)

    def chat(self, method: Literal["choose", "generate"]) -> str:
        return chat_templates.tried(self.wrapping(method), self.spec.name)

    def describe(self) -> dict[str, Any]:
        """Facts for the manifest. How passes are made is known of what was asked so far."""
        loaded, _ = self._ready()
        how = brought_by(self.spec)
        if self._fits_packing is not None:
            how["choosing"] = "packed rows" if self._fits_packing else "whole rows"
        if self._fits_slots is not None:
            ours = self._fits_slots and not self.spec.generation
            how["writing"] = "waiting queue" if ours else "transformers' generate"
        return how | {
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

    def _takes_packed_rows(self) -> bool:
        loaded, _ = self._ready()
        if self._fits_packing is None:
            from .scoring.packed import takes_packed_rows

            self._fits_packing = takes_packed_rows(loaded)
        return self._fits_packing

    def _takes_slots(self) -> bool:
        """Whether texts can be made with our own queue and cache. Tried once."""
        loaded, _ = self._ready()
        if self._fits_slots is None:
            from .generation.kv_cache import takes_slots

            self._fits_slots = takes_slots(loaded)
        return self._fits_slots

    def _room(self) -> Room:
        """How many texts may be in the making, by what memory is free."""
        loaded, _ = self._ready()
        chunk = min(PROMPT_TOKENS[self._kind()], pass_tokens(loaded))
        return Room(SLOTS[self._kind()], cache_tokens(loaded), chunk, BLOCK[self._kind()])

    def _kind(self) -> str:
        return "cpu" if is_cpu(self.spec.device) else "cuda"


def _without_embedding(loaded: Loaded, rows: Sequence[Sequence[int]]) -> str:
    """Why the model cannot read these tokens; "" if it can."""
    token = max((token for row in rows for token in row), default=0)
    if token < loaded.vocabulary:
        return ""
    word = loaded.tokenizer.convert_ids_to_tokens(token)
    return (
        f"the tokenizer gives the token {word!r} (id {token}), for which the model has no embedding: it has "
        f"{loaded.vocabulary:,} of them. Was the model or adapter saved without its resized embeddings?"
    )


def _output(item_id: str, prompt: Encoded, draft: Draft | OutOfMemory) -> Output:
    if isinstance(draft, OutOfMemory):
        return _failed(item_id, prompt, 0.0, ALONE)
    if draft.finish == "error":
        return _failed(item_id, prompt, draft.seconds, NO_NUMBER)
    return Output(
        item_id=item_id,
        prompt=prompt.text,
        text=continued(prompt.text, draft.text),
        prompt_tokens=len(prompt.tokens),
        completion_tokens=draft.tokens,
        truncated_tokens=prompt.truncated,
        finish=draft.finish,
        seconds=draft.seconds,
        first_token_s=draft.first_token_s,
    )


def _failed(item_id: str, prompt: Encoded, seconds: float, why: str) -> Output:
    return Output(
        item_id=item_id,
        prompt=prompt.text,
        prompt_tokens=len(prompt.tokens),
        finish="error",
        seconds=seconds,
        error=f"{why} ({len(prompt.tokens)} prompt tokens)",
    )
