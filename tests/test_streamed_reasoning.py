"""A streamed text is split into reasoning and answer as the whole text is, whatever the pieces."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest
from medbench.core.reasoning import split
from medbench.core.streamed_reasoning import StreamedSplit
from medbench.engines.text_requests import Ended, Piece
from medbench.serving.api.openai import ChatReply

R, A = "Anemia may be a lack of iron. Or of B12 < 200 pg/ml.", "It is a lack of iron [1].\n\nSee a doctor."

TEXTS = {
    "plain": A,
    "tags": f"<think>\n{R}\n</think>\n\n{A}",
    "twice": f"<think>{R}</think>{A}\n<think>More.</think>\nAnd rest.",
    "square": f"[THINK]{R}[/THINK]{A}",
    "channels": f"<|channel|>analysis<|message|>{R}<|end|><|start|>assistant<|channel|>final<|message|>{A}",
    "bare channels": f"analysis{R}assistantfinal{A}",
    "headings": f"## Thinking\n\n{R}\n\n## Final Response\n\n{A}",
    "wrapped": f"<think>{R}</think><answer>{A}</answer>",
    "unfinished": f"<think>{R}",
    "no reasoning": f"<think>\n\n</think>\n\n{A}",
    "less than": "If ferritin < 30 and not [normal], give iron.",
    "json": '{"answer": "B", "why": "' + R.replace("<", "under") + '"}',
    "mention": "The tag `<think>` opens reasoning.",
}


@pytest.mark.parametrize("size", [1, 3, 17, 1000, None])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_the_parts_are_those_of_the_whole_text(text: str, size: int | None) -> None:
    random.seed(text)
    stream, reasoning, answer, at = StreamedSplit(), "", "", 0
    while at < len(text):
        step = size or random.randint(1, 30)
        new = stream.more(text[at : at + step])
        reasoning, answer, at = reasoning + new[0], answer + new[1], at + step
    new = stream.more("", last=True)
    found = split(text)
    assert (reasoning + new[0], answer + new[1]) == (found.reasoning, found.answer)


def test_reasoning_that_the_prompt_opened() -> None:
    stream = StreamedSplit("<think>")
    parts = [stream.more(piece) for piece in (R, "\n</thi", "nk>\n\n", A)] + [stream.more("", last=True)]
    assert "".join(part[0] for part in parts) == R and "".join(part[1] for part in parts) == A


def test_parts_arrive_while_the_text_is_written() -> None:
    stream = StreamedSplit()
    thought = "Let me think about iron and blood. " * 5
    words = f"<think>{thought}</think>The first words of an answer that is long, ".split(" ")
    parts = [stream.more(f"{word} ") for word in words]
    given = "".join(part[0] for part in parts), "".join(part[1] for part in parts)
    assert given == (thought.strip(), "The first words of an answer that is long,")
    assert sum(bool(part[0]) for part in parts) > 3 and sum(bool(part[1]) for part in parts) > 3


def test_a_streamed_chat_of_the_api_keeps_them_apart() -> None:
    """Each in its own field, as in a reply that is not streamed; the template opened the reasoning."""
    form = ChatReply(SimpleNamespace(name="m", revision="1"), False, 1)  # type: ignore[arg-type]
    pieces = [Piece(text, prompt="<|assistant|><think>\n") for text in (R, "\n</think>\n\n", A)]
    chunks = [form.piece(0, piece, None) for piece in pieces] + [form.piece(0, Piece("", prompt="Q"), "stop")]
    deltas = [chunk["delta"] for chunk in chunks if chunk]
    assert "".join(delta.get("reasoning_content", "") for delta in deltas) == R
    assert "".join(delta.get("content", "") for delta in deltas) == A
    ended = Ended(f"{R}\n</think>\n\n{A}", "stop", "<|assistant|><think>\n")
    message = form.choice(0, ended)["message"]
    assert (message["reasoning_content"], message["content"]) == (R, A)
