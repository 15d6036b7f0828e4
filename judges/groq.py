"""Groq as a judge, through its SDK. Needs GROQ_API_KEY in the environment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .judge import Judge

DEFAULT_MODEL = "openai/gpt-oss-120b"


@dataclass(frozen=True)
class Groq:
    name: str = "groq"
    summary: str = f"A model at Groq, {DEFAULT_MODEL} by default (or groq:llama-3.3-70b-versatile). Needs GROQ_API_KEY."

    def make(self, model: str, base_url: str, tell: Callable[[str], None]) -> Judge:
        """Return the judge. Raises UsageError without a key."""
        from .served import served

        # With the engine's temperature of 0, as repeatable as Groq allows.
        return served(self.name, model or DEFAULT_MODEL, base_url, tell, seed=0)


JUDGE = Groq()
