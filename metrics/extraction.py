"""The choice reader under a short name."""

from __future__ import annotations

from .choice_extraction import Reading, read_choice

__all__ = ["Reading", "read_choice"]
