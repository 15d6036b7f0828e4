"""A model on this machine as a judge: a zoo entry, a hub id, a folder or a GGUF file. No key, no network, no cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..core import registry
from ..core.errors import UsageError
from .judge import Judge

MAX_NEW_TOKENS = 384  # for a two-sentence reason and the grades; small models have short context windows
SHORT = 8  # digits of a revision


@dataclass(frozen=True)
class Local:
    name: str = "local"
    summary: str = (
        "A model on this machine, named as with --model: local:med-llama-3.2-1b. "
        "Small models often fail to return the required JSON."
    )

    def make(self, model: str, base_url: str, tell: Callable[[str], None]) -> Judge:
        """Return a judge that has loaded nothing yet. Raises UsageError without a model and for one that needs code of
        its own; ModelMissing for weights that are not available.
        """
        from ..zoo.resolve import resolve
        from ..zoo.weights.remote_code import NeedsCode

        if not model:
            raise UsageError(
                "the judge local needs a model.", "Name it as with --model: --judge local:med-llama-3.2-1b"
            )
        try:
            spec = resolve(model, tell=tell)
        except NeedsCode as error:
            raise UsageError(
                f"the judge {self.name}:{model}: {error.message}",
                "Judges do not take --trust-remote-code. Use a judge without code of its own, or serve this one "
                "(by vLLM, for example) and name the server: --judge openai:NAME --judge-base-url URL",
            ) from error
        weights = (spec.revision[:SHORT] + (f"+{spec.adapter_hash[:SHORT]}" if spec.adapter_hash else "")) or "unknown"
        engine = registry.get("engines", spec.engine)(spec)
        return Judge(f"{self.name}:{spec.name}@{weights}", engine, max_new_tokens=MAX_NEW_TOKENS)


JUDGE = Local()
