"""Any OpenAI-compatible server as a judge: OpenAI itself, Ollama, vLLM, llama-server and others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..core.errors import UsageError
from .judge import Judge


@dataclass(frozen=True)
class OpenAI:
    name: str = "openai"
    summary: str = "A model at OpenAI or at any server with the same API: openai:NAME, with --judge-base-url URL."

    def make(self, model: str, base_url: str, tell: Callable[[str], None]) -> Judge:
        """Raises UsageError without a model, or without a key where the server needs one."""
        from .served import served

        if not model:
            raise UsageError("the judge openai needs a model.", "Name it: --judge openai:NAME")
        return served(self.name, model, base_url, tell)  # no seed, because some of these servers reject it


JUDGE = OpenAI()
