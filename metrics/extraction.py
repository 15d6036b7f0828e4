"""The choice reader under a short name."""

from __future__ import annotations

from .choice_extraction import ChoiceReading, read_choice

__all__ = ["ChoiceReading", "read_choice"]
