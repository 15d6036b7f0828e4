"""Saved answers: files of them, and which item each answers."""
