"""The engine for Groq, through its SDK."""

from __future__ import annotations

from .served import ServedEngine


class GroqEngine(ServedEngine):
    """`spec.location` is the model's name at Groq."""
