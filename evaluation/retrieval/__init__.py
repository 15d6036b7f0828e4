"""Passages of a local corpus in the prompts: reading, index, what is left out so that nothing leaks."""
