"""Groq as a judge, through its SDK. Needs GROQ_API_KEY in the environment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .judging import Judge

DEFAULT_MODEL = "openai/gpt-oss-120b"


@dataclass(frozen=True)
class Groq:
    name: str = "groq"
    summary: str = f"A model at Groq, {DEFAULT_MODEL} unless said (groq:llama-3.3-70b-versatile). Needs GROQ_API_KEY."

    def make(self, model: str, base_url: str, tell: Callable[[str], None]) -> Judge:
        """`base_url` is for servers of the openai judge. Raises UsageError without a key."""
        from ..engines.groq_engine import GroqEngine
        from .served import served

        # Graded as evenly as a sampling server can: the engine's temperature is 0.
        return served(self.name, GroqEngine, model or DEFAULT_MODEL, "", {"seed": 0})


JUDGE = Groq()
