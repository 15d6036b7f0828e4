"""Inspect AI's side of tests/peers/speed.py: `eval` with its `hf` provider.

The provider has no log-likelihoods, so a choice is one generated token of which the likeliest alternatives are asked;
an option that is not among them has no number. Timed while any call of the model is open: the provider's own waiting
(2 s for more requests before a batch that is not full, up to 1 s until a finished answer is looked at) is part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import inspect_ai
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import GenerateConfig, get_model
from inspect_ai.model._providers.hf import HuggingFaceAPI
from inspect_ai.solver import generate
from timed import Answer, Clock, Request, Row, quantization, serve

PLAIN = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
LIKELIEST = 100  # tokens with their log-probability, asked of one position


class Inspect:
    def __init__(self, request: Request) -> None:
        self.request = request
        self.choosing = request.method == "choose"
        settings: dict[str, Any] = {"dtype": request.dtype, "device": request.device, "do_sample": False}
        if self.choosing:
            settings["chat_template"] = PLAIN
        if request.quantize:
            settings["quantization_config"] = quantization(request)
        self.model = get_model("hf/local", model_path=request.model, **settings)
        self.facts: dict[str, Any] = {}
        self.open = 0
        self.clock: Clock | None = None
        side, original = self, HuggingFaceAPI.generate

        async def timed(api: HuggingFaceAPI, *arguments: Any, **named: Any) -> Any:
            side.open += 1
            if side.open == 1 and side.clock:
                side.clock.__enter__()
            try:
                return await original(api, *arguments, **named)
            finally:
                side.open -= 1
                if side.open == 0 and side.clock:
                    side.clock.__exit__(None, None, None)

        HuggingFaceAPI.generate = timed

    def answer(self, rows: Sequence[Row], max_new_tokens: int, clock: Clock) -> list[Answer]:
        self.clock = clock
        config = GenerateConfig(max_tokens=1 if self.choosing else max_new_tokens)
        if self.choosing:
            config = config.merge(GenerateConfig(logprobs=True, top_logprobs=LIKELIEST))
        samples = [Sample(id=row.id, input=row.prompt if self.choosing else row.question) for row in rows]
        (log,) = inspect_ai.eval(
            inspect_ai.Task(dataset=MemoryDataset(samples), solver=generate(), config=config),
            model=self.model,
            max_connections=clock.timing.batch_size,
            max_samples=len(rows),  # all of them wait in the provider's queue, so that batches are full
            log_dir=str(Path(self.request.work) / "logs"),
            display="none",
        )
        if log.status != "success":
            raise RuntimeError(str(log.error))
        outputs = {str(sample.id): sample.output for sample in log.samples or ()}
        return [self._answer(row, outputs[row.id]) for row in rows]

    def _answer(self, row: Row, output: Any) -> Answer:
        api = self.model.api
        if not self.choosing:
            prompt = api.hf_chat([inspect_ai.model.ChatMessageUser(content=row.question)], [])
            return Answer(row.id, prompt, text=output.completion)
        (first,) = output.choices[0].logprobs.content
        likeliest = {found.token: float(found.logprob) for found in first.top_logprobs}
        return Answer(row.id, row.prompt, tuple(likeliest.get(self._token(row, option)) for option in row.options))

    def _token(self, row: Row, option: str) -> str:
        tokenizer = self.model.api.tokenizer
        context = len(tokenizer(row.prompt)["input_ids"])
        ids = tokenizer(f"{row.prompt} {option}")["input_ids"][context:]
        assert len(ids) == 1, f"the option {option!r} is no single token"
        return str(tokenizer.convert_ids_to_tokens(ids[0]))


if __name__ == "__main__":
    serve(Inspect)
