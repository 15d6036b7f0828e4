"""How close a call two differing texts of one model hang on: the step after tests/peers/speed.py found any."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from medbench.engines.hf.loading import load, settle
from medbench.zoo.resolve import resolve


def gap(loaded: Any, prompt: str, text: str, other: str) -> float:
    """Nats between the two tokens at which `text` and `other` part, from one pass over what they share.

    A text that goes no further goes on with the end token.
    """
    import torch

    def tokens(answer: str) -> list[int]:
        ids: list[int] = loaded.tokenizer(answer, add_special_tokens=False)["input_ids"]
        return [*ids, loaded.tokenizer.eos_token_id]

    first, second = tokens(text), tokens(other)
    at = next((i for i, (one, two) in enumerate(zip(first, second)) if one != two), None)
    if at is None:
        return 0.0  # the texts differ in what no token shows
    context = loaded.tokenizer(prompt, add_special_tokens=False)["input_ids"] + first[:at]
    with torch.inference_mode():
        logits = loaded.model(input_ids=torch.tensor([context], device=loaded.device)).logits[0, -1].float()
    logprobs = logits.log_softmax(dim=-1)
    return float((logprobs[first[at]] - logprobs[second[at]]).abs())


def main() -> None:
    """The request is the file that the command line names; it is rewritten as the list of gaps."""
    path = Path(sys.argv[1])
    asked = json.loads(path.read_text(encoding="utf-8"))
    spec = settle(resolve(asked["spec"], device=asked["device"], dtype=asked["dtype"], quantize=asked["quantize"]))
    loaded = load(spec)
    path.write_text(json.dumps([gap(loaded, *texts) for texts in asked["texts"]]), encoding="utf-8")


if __name__ == "__main__":
    main()
