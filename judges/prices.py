"""List prices of providers, for the cost cap: USD per million prompt tokens and per million new tokens.

The providers' public list prices as they were known in the month below, without discounts for batches or cached
prompts. They change: `--judge-price IN,OUT` overrides them.
"""

from __future__ import annotations

AS_OF = "2026-05"

# By judge and model, as --judge names them.
PRICES: dict[str, tuple[float, float]] = {
    # Groq's price list
    "groq:openai/gpt-oss-120b": (0.15, 0.60),
    "groq:openai/gpt-oss-20b": (0.075, 0.30),
    "groq:llama-3.3-70b-versatile": (0.59, 0.79),
    "groq:llama-3.1-8b-instant": (0.05, 0.08),
    "groq:meta-llama/llama-4-scout-17b-16e-instruct": (0.11, 0.34),
    "groq:qwen/qwen3-32b": (0.29, 0.59),
    # OpenAI's price list
    "openai:gpt-4o": (2.50, 10.00),
    "openai:gpt-4o-mini": (0.15, 0.60),
    "openai:gpt-4.1": (2.00, 8.00),
    "openai:gpt-4.1-mini": (0.40, 1.60),
    "openai:gpt-4.1-nano": (0.10, 0.40),
}
