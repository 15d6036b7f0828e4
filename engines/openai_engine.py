"""The engine for any server that speaks OpenAI's API."""

from __future__ import annotations

from .served import ServedEngine


class OpenAIEngine(ServedEngine):
    """`spec.location` is the model's name at the server `spec.base_url`."""
