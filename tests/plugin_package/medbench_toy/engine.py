"""An engine without a model: the fast, always equal answerer of medbench's own tests.

A choice is settled by a hash of the model's name, the item and the option. A question is answered by its own words;
one that lists options, by a statement of the option that the same hash is for. Three variables of the environment
make it misbehave as real engines do: TOY_SECONDS (how long each item takes), TOY_FAILS (ids of items that get no
answer, by comma) and TOY_RAISES (an id on which the engine itself breaks).
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import os
import re
import time
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from medbench.core.types import ChoiceRequest, GenerateRequest, ModelSpec, Output, Prompt

OPTION = re.compile(r"^([A-Z])\. ", re.MULTILINE)


class EchoEngine:
    """Echoes questions, chooses by hash. Needs no weights, no torch and no network."""

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = dataclasses.replace(spec, dtype="float32", device="cpu")

    def load(self) -> None:
        pass

    def choose(self, requests: Sequence[ChoiceRequest]) -> Iterator[Output]:
        for request in requests:
            started = time.perf_counter()
            sent = self._sent(request.prompt, "choose")
            yield self._answered(
                request.item_id,
                started,
                Output(
                    request.item_id,
                    prompt=sent,
                    logprobs=self._logprobs(request.item_id, request.answers),
                    prompt_tokens=len(sent.split()),
                ),
            )

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[Output]:
        for request in requests:
            started = time.perf_counter()
            sent = self._sent(request.prompt, "generate")
            words = self._text(request).split(" ")
            kept = words[: request.max_new_tokens]
            yield self._answered(
                request.item_id,
                started,
                Output(
                    request.item_id,
                    prompt=sent,
                    text=_cut(" ".join(kept), request.stop),
                    prompt_tokens=len(sent.split()),
                    completion_tokens=len(kept),
                    finish="stop" if len(kept) == len(words) else "length",
                    first_token_s=0.001,
                ),
            )

    def chat(self, method: Literal["choose", "generate"]) -> str:
        """As the transformers engine has it: by default a template to generate, none to choose."""
        wrapped = self.spec.chat == "always" or (self.spec.chat == "auto" and method == "generate")
        return "template" if wrapped else "plain"

    def describe(self) -> dict[str, Any]:
        return {"device": "cpu", "dtype": "float32", "architecture": "echo", "parameters": 0}

    def peak_gpu_memory_bytes(self) -> int | None:
        return None

    def _sent(self, prompt: Prompt, method: Literal["choose", "generate"]) -> str:
        return f"<user>{prompt.plain}</user>" if self.chat(method) == "template" else prompt.plain

    def _logprobs(self, item_id: str, answers: Sequence[str]) -> tuple[float, ...]:
        """Nats, of probabilities that sum to one; the weights are from 1 to 256."""
        weights = [1 + hashlib.sha256(f"{self.spec.name}|{item_id}|{a}".encode()).digest()[0] for a in answers]
        return tuple(math.log(weight / sum(weights)) for weight in weights)

    def _text(self, request: GenerateRequest) -> str:
        """What is answered; the question is the prompt's last turn, "Question: …" to "Answer:"."""
        asked = request.prompt.question.removesuffix("Answer:").strip()
        options = OPTION.findall(asked)
        if not options:
            return asked.rpartition("Question: ")[2]
        found = self._logprobs(request.item_id, options)
        return f"The answer is {options[found.index(max(found))]}."

    def _answered(self, item_id: str, started: float, output: Output) -> Output:
        time.sleep(float(os.environ.get("TOY_SECONDS", 0)))
        if item_id == os.environ.get("TOY_RAISES"):
            raise RuntimeError(f"the toy engine was told to break on {item_id}")
        seconds = time.perf_counter() - started
        if item_id in os.environ.get("TOY_FAILS", "").split(","):
            return Output(item_id, prompt=output.prompt, finish="error", seconds=seconds, error="told to fail")
        return dataclasses.replace(output, seconds=seconds)


def _cut(text: str, stop: Sequence[str]) -> str:
    """`text` up to the first stop string in it."""
    return text[: min((text.find(s) for s in stop if s in text), default=len(text))]
