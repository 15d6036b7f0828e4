"""An engine that draws: each answer follows from its request's seed. `--engine tests/sampler.py`"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator, Sequence

import fakes
from medbench.core.types import GenerateRequest, Output


class Sampler(fakes.FakeEngine):
    """Writes "Answer: A" to "Answer: D", or nothing that can be read; SAMPLER_SECONDS for each."""

    can_sample = True

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[Output]:
        for request in requests:
            time.sleep(float(os.environ.get("SAMPLER_SECONDS", 0)))
            self.asked.append(f"{request.item_id}/{request.sample}")
            said = random.Random(request.seed).choice(["A", "B", "C", "D", "who knows"])
            yield Output(
                request.item_id,
                prompt=request.prompt.plain,
                text=f"Answer: {said}",
                prompt_tokens=10,
                completion_tokens=3,
                finish="stop",
                sample=request.sample,
            )


ENGINE = Sampler
