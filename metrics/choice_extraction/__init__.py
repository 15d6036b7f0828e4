"""Read the chosen option from a generated text. The rules are at the top of reader.py and in docs/metrics.md."""

from __future__ import annotations

from .answer_field import read_answer_field
from .reader import CUT_OFF, ChoiceReading, read_choice

__all__ = ["CUT_OFF", "ChoiceReading", "read_answer_field", "read_choice"]
