"""The default engine: transformers on this machine's CPU or GPU."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from ...core.errors import UsageError
from ...core.heap import keep_freed
from ...core.resources import is_cpu
from ...core.types import ChoiceRequest, Engine, GenerateRequest, ModelRequest, ModelSpec, Output
from .. import chat_templates
from ..prompting import Encoded, Prompter, Wrapping, checked_kind, each, wrapping
from ..sampling import Sampling
from ..stopping import StopStrings, turn_ends
from ..thinking import switched
from .batching import DOES_NOT_FIT, NAN_LOGITS, OutOfMemory
from .forward import bare
from .generation.completion import Completion, DecodeRequest, end_tokens
from .generation.decoding import decode
from .generation.scheduling import Capacity
from .generation.transformers_generate import generate
from .loading import Loaded, brought_by, load, settle, without_embedding
from .memory import cache_tokens, pass_tokens
from .scoring.log_likelihood import log_likelihoods
from .scoring.sequences import ScoredSequence, sequences_for

if TYPE_CHECKING:
    from .session import TextSession

# Tokens in one batch, including padding. On a CPU larger batches are no faster (docs/measurements.md). On a GPU memory
# is the limit, and a batch that does not fit is halved.
CHOICE_TOKENS = {"cpu": 2048, "cuda": 65536}
CHOICE_REQUESTS = 4096  # whose prompts are searched together for shared prefixes
GENERATE_TOKENS = {"cpu": 24576, "cuda": 262144}  # with transformers' own `generate`
# For continuous batching (`Capacity`). A GPU attends to all slots in one block: each block is another kernel.
SLOTS = {"cpu": 128, "cuda": 256}
BLOCK_SLOTS = {"cpu": 16, "cuda": 256}
PREFILL_TOKENS = {"cpu": 1024, "cuda": 16384}


class TransformersEngine(Engine):
    """Runs any causal or encoder-decoder model that transformers loads. Creating one is cheap; `load` is not."""

    switches_thinking = True
    summary = "The default: models of transformers, on this machine's CPU or GPU."

    @classmethod
    def resolve(cls, name: str, request: ModelRequest) -> ModelSpec:
        return request.find(name)

    can_sample = True

    # Imported before `load`, so that a run's manifest can tell the time for libraries from the time for weights.
    imports = ("torch", "transformers", "transformers.models.auto.modeling_auto")

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = settle(spec)
        self.loaded: Loaded | None = None
        self._supports_kv_cache: bool | None = None  # None: not tried yet
        self._supports_packed_rows: bool | None = None

    def load(self) -> None:
        """Load the weights into memory, once."""
        if self.loaded is None:
            from .linear import use_onednn

            if is_cpu(self.spec.device):
                keep_freed()
            self.loaded = load(self.spec)
            use_onednn(self.loaded)

    def choose(self, requests: Sequence[ChoiceRequest]) -> Iterator[Output]:
        """Yield the log-probability of every answer, in order of completion.

        Of every CHOICE_REQUESTS requests, the longest prompts come first.
        """
        loaded, prompter = self._ready()
        wrap = self.wrapping("choose")
        packed = self._packs_rows()
        budget = 0 if loaded.one_at_a_time else CHOICE_TOKENS[self._kind()]
        if packed:
            budget = min(budget, pass_tokens(loaded))
        for first in range(0, len(requests), CHOICE_REQUESTS):
            asked: list[tuple[ChoiceRequest, Encoded]] = []
            sequences: list[ScoredSequence] = []
            encoded, failed = each(
                requests[first : first + CHOICE_REQUESTS], lambda r: prompter.for_choice(r.prompt, wrap, r.answers)
            )
            yield from failed
            for request, (prompt, answers) in encoded:
                if why := without_embedding(loaded, [prompt.tokens, *answers]):
                    yield _failed(request.item_id, prompt, 0.0, why)
                    continue
                sequences += sequences_for(len(asked), prompt.tokens, answers, loaded.encoder_decoder)
                asked.append((request, prompt))
            for index, result, seconds in log_likelihoods(loaded, sequences, budget, packed):
                request, prompt = asked[index]
                if isinstance(result, OutOfMemory):
                    yield _failed(request.item_id, prompt, seconds, DOES_NOT_FIT)
                    continue
                if any(math.isnan(value) for value in result.values()):
                    yield _failed(request.item_id, prompt, seconds, NAN_LOGITS)
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
        """Yield the text for every request, in order of completion.

        Seconds count from when a request left the queue, not from when it was made. Latency is measured one request at
        a time (evaluation/run.py).
        """
        loaded, prompter = self._ready()
        wrap = self.wrapping("generate")
        asked: list[tuple[GenerateRequest, Encoded]] = []
        encoded, failed = each(requests, lambda r: prompter.for_generation(r.prompt, wrap, r.max_new_tokens))
        yield from failed
        for request, prompt in encoded:
            if why := without_embedding(loaded, [prompt.tokens]):
                yield _failed(request.item_id, prompt, 0.0, why, request.sample)
            else:
                asked.append((request, prompt))
        if not asked:
            return
        ends = end_tokens(loaded) | turn_ends(loaded.tokenizer, wrap)
        decodes = [
            DecodeRequest(
                prompt.tokens,
                r.max_new_tokens,
                StopStrings(loaded.tokenizer, r.stop, prompt=prompt.text),
                ends,
                Sampling.of(r),
            )
            for r, prompt in asked
        ]
        cached = self._uses_kv_cache()
        if cached and not self.spec.generation:
            completions = decode(loaded, decodes, self._capacity())
        else:
            budget = 0 if loaded.one_at_a_time else min(GENERATE_TOKENS[self._kind()], cache_tokens(loaded))
            padding = cached or loaded.encoder_decoder
            completions = generate(loaded, decodes, self.spec.generation, budget, padding)
        for index, completion in completions:
            request, prompt = asked[index]
            yield _output(request, prompt, completion)

    def check_sampling(self, samples: int, temperature: float) -> None:
        super().check_sampling(samples, temperature)
        if temperature > 0 and (beams := self.spec.generation.get("num_beams", 1)) > 1:
            raise UsageError(
                f"--temperature {temperature:g}: {self.spec.name} answers by beam search ({beams} beams), which draws "
                "no samples.",
                "Leave out --samples, --temperature and --top-p, or choose another model.",
            )

    def session(self) -> TextSession | None:
        """Return texts that join and leave a running batch; None for a model that our own queue does not run."""
        loaded, prompter = self._ready()
        if self.spec.generation or not self._uses_kv_cache():
            return None
        from .session import TextSession

        return TextSession(loaded, prompter, self.wrapping("generate"), self._capacity)

    def wrapping(self, method: str) -> Wrapping:
        """Return how prompts are wrapped for "choose" or "generate". This needs no weights."""
        template = chat_templates.of_folder(self.spec.location, self.spec.adapter)
        return switched(wrapping(self.spec.chat, method, template, self.spec.prompt_format), self.spec, method)

    def chat(self, method: Literal["choose", "generate"]) -> str:
        return checked_kind(self.wrapping(method), self.spec.name)

    def has_system_turn(self) -> bool:
        wrap = self.wrapping("generate")
        return wrap.kind != "template" or wrap.has_system_turn

    def describe(self) -> dict[str, Any]:
        """Return facts for the manifest. `choosing` and `writing` are there once a request of that kind has run."""
        loaded, _ = self._ready()
        facts = brought_by(self.spec)
        if self._supports_packed_rows is not None:
            facts["choosing"] = "packed rows" if self._supports_packed_rows else "whole rows"
        if self._supports_kv_cache is not None:
            ours = self._supports_kv_cache and not self.spec.generation
            facts["writing"] = "waiting queue" if ours else "transformers' generate"
        return facts | {
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

    def _packs_rows(self) -> bool:
        """Whether this model can score packed rows. Tried once."""
        loaded, _ = self._ready()
        if self._supports_packed_rows is None:
            from .scoring.packed_rows import supports_packed_rows

            self._supports_packed_rows = supports_packed_rows(loaded)
        return self._supports_packed_rows

    def _uses_kv_cache(self) -> bool:
        """Whether this model can decode with our own queue and KV cache. Tried once."""
        loaded, _ = self._ready()
        if self._supports_kv_cache is None:
            from .generation.kv_cache import supports_kv_cache

            self._supports_kv_cache = supports_kv_cache(loaded)
        return self._supports_kv_cache

    def _capacity(self) -> Capacity:
        """Return how much may be decoded at once in the memory that is free."""
        loaded, _ = self._ready()
        prefill_tokens = min(PREFILL_TOKENS[self._kind()], pass_tokens(loaded))
        return Capacity(SLOTS[self._kind()], cache_tokens(loaded), prefill_tokens, BLOCK_SLOTS[self._kind()])

    def _kind(self) -> str:
        return "cpu" if is_cpu(self.spec.device) else "cuda"


def _output(request: GenerateRequest, prompt: Encoded, completion: Completion | OutOfMemory) -> Output:
    if isinstance(completion, OutOfMemory):
        return _failed(request.item_id, prompt, 0.0, DOES_NOT_FIT, request.sample)
    if completion.finish == "error":
        return _failed(request.item_id, prompt, completion.seconds, NAN_LOGITS, request.sample)
    return Output(
        item_id=request.item_id,
        sample=request.sample,
        prompt=prompt.text,
        text=completion.text.strip(),
        prompt_tokens=len(prompt.tokens),
        completion_tokens=completion.tokens,
        truncated_tokens=prompt.truncated,
        finish=completion.finish,
        seconds=completion.seconds,
        first_token_s=completion.first_token_s,
    )


def _failed(item_id: str, prompt: Encoded, seconds: float, why: str, sample: int = 0) -> Output:
    return Output(
        item_id=item_id,
        prompt=prompt.text,
        prompt_tokens=len(prompt.tokens),
        finish="error",
        seconds=seconds,
        error=f"{why} ({len(prompt.tokens)} prompt tokens)",
        sample=sample,
    )
