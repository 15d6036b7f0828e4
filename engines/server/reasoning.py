"""Where servers put what a model wrote before its answer, if they keep it apart from the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MOST_TOKENS = 10**9  # larger counts are invalid
# Fields beside the content. DeepSeek and older vLLM; Groq, OpenRouter and newer vLLM; Ollama; others.
FIELDS = ("reasoning_content", "reasoning", "thinking", "reasoning_text", "reasoning_details")
# In objects of such a field. Encrypted reasoning, in `signature` or `data`, is none of them.
TEXTS = ("thinking", "reasoning", "text", "content", "summary")


def shown_reasoning(message: Mapping[str, Any], choice: Mapping[str, Any]) -> str:
    """Return the reasoning that a reply keeps apart from the answer; "" if there is none.

    It is a field of the message, of the choice (completions), or parts of the content: {"type": "thinking", …} of
    Mistral and Anthropic, {"type": "reasoning", …} of others.
    """
    for name in FIELDS:
        for holder in (message, choice):
            if found := _text(holder.get(name)):
                return found
    content = message.get("content")
    parts = [part for part in content if isinstance(part, Mapping)] if isinstance(content, list) else []
    return "\n\n".join(filter(None, (_text(part) for part in parts if _is_thought(part))))


def counted_reasoning(usage: Any) -> int:
    """Return how many new tokens were reasoning, if the server counts them: OpenAI in the details, others beside."""
    if not isinstance(usage, Mapping):
        return 0
    details = usage.get("completion_tokens_details")
    for counts in (details if isinstance(details, Mapping) else {}, usage):
        count = counts.get("reasoning_tokens")
        if isinstance(count, int) and 0 < count < MOST_TOKENS:
            return count
    return 0


def _is_thought(part: Mapping[str, Any]) -> bool:
    return "thinking" in part or str(part.get("type", "")).startswith(("thinking", "reasoning", "thought"))


def _text(value: Any) -> str:
    """Return the text in a field of reasoning: a string, or objects that hold one, in lists or not."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(map(_text, value))
    if isinstance(value, Mapping):
        return next(filter(None, (_text(value.get(name)) for name in TEXTS)), "")
    return ""
