"""medbench's side of tests/peers/speed.py: the engine that `medbench run` would take, asked as that asks it."""

from __future__ import annotations

from collections.abc import Sequence

from medbench.core import registry
from medbench.core.types import ChoiceRequest, GenerateRequest, Output, Prompt
from medbench.zoo.resolve import resolve
from timed import Answer, Clock, Request, Row, serve


class Medbench:
    """The engine of a model. It finds its batches by itself: no batch size is told."""

    def __init__(self, request: Request) -> None:
        spec = resolve(request.spec, device=request.device, dtype=request.dtype, quantize=request.quantize)
        self.method = request.method
        self.engine = registry.get("engines", spec.engine)(spec)
        self.engine.load()
        self.facts = {**self.engine.describe(), "engine": spec.engine}

    def answer(self, rows: Sequence[Row], max_new_tokens: int, clock: Clock) -> list[Answer]:
        """One call of the engine per benchmark, as a run is one benchmark."""
        found: dict[str, Answer] = {}
        for benchmark in dict.fromkeys(row.benchmark for row in rows):
            mine = [row for row in rows if row.benchmark == benchmark]
            if self.method == "choose":
                choices = [ChoiceRequest(row.id, Prompt(row.prompt), row.options) for row in mine]
                with clock:
                    outputs = list(self.engine.choose(choices))
            else:
                asked = [GenerateRequest(row.id, Prompt(row.question), max_new_tokens) for row in mine]
                with clock:
                    outputs = list(self.engine.generate(asked))
            found |= {output.item_id: _answer(output) for output in outputs}
        return [found[row.id] for row in rows]


def _answer(output: Output) -> Answer:
    if output.error:
        raise RuntimeError(f"{output.item_id}: {output.error}")
    # A choice's tokens are those of its prompt: what a side has to read at least.
    return Answer(output.item_id, output.prompt, output.logprobs or (), output.text or "", output.prompt_tokens)


if __name__ == "__main__":
    serve(Medbench)
