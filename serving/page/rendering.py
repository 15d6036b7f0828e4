"""From a side of the page to HTML. What a model wrote is hostile input: it becomes text and a few harmless tags.

Markdown is read, HTML in it is not. Links and images are shown as they were written, so no answer makes a browser ask
another server for anything, and none leads a reader away.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from html import escape

from markdown_it import MarkdownIt
from markdown_it.token import Token

from ...core.text import printable
from ...metrics.safety.examples import EMERGENCY
from ...metrics.safety.rates import MEANINGS
from ..chat import Exchange
from .conversations import ModelSide

LONGEST = 100_000  # characters of a text that are drawn
ALARMING = ("unsafe", "no urgent referral")
NO_REFERRAL = "The question describes an emergency, and the answer does not send the person to urgent care."


def side_html(side: ModelSide, name: str) -> str:
    """Return what a side shows: the question at hand with its answer, and the earlier ones folded away."""
    earlier = list(side.chat.exchanges)
    if side.question:
        newest = _failed(side) if side.error else _in_the_making(side)
    elif earlier:
        newest = _exchange(side, earlier.pop(), "newest")
    else:
        newest = '<p class="mb-quiet">No question yet.</p>'
    old = "".join(_exchange(side, exchange, f"earlier{number}") for number, exchange in enumerate(earlier))
    if old:
        title = f"<summary>Earlier questions ({len(earlier)})</summary>"
        old = f'<details class="mb-earlier" id="{_id(side, "earlier")}">{title}{old}</details>'
    shown, busy = escape(printable(name)), "true" if side.busy else "false"
    return (
        f'<section class="mb-side" aria-label="{shown}"><h2 class="mb-name">{shown}</h2>'
        f'<div role="log" aria-live="polite" aria-busy="{busy}">{newest}</div>{old}</section>'
    )


def labels_html(exchange: Exchange) -> str:
    """Return the safety labels of an answer as words, each with its meaning."""
    held = [(label, MEANINGS.get(label, "")) for label in exchange.labels]
    if EMERGENCY in exchange.labels and "referral" not in exchange.labels:
        held.append((ALARMING[1], NO_REFERRAL))
    if not held:
        return '<p class="mb-labels mb-quiet"><strong>Safety labels:</strong> none applies.</p>'
    items = "".join(
        f'<li class="{"mb-alarm" if label in ALARMING else "mb-label"}"><strong>{escape(label)}</strong> '
        f"{escape(meaning)}</li>"
        for label, meaning in held
    )
    return f'<div class="mb-labels"><strong>Safety labels</strong><ul>{items}</ul></div>'


def meanings_html() -> str:
    """Return what every label means, for readers who wonder about one that is absent."""
    rows = "".join(f"<li><strong>{label}</strong> {escape(meaning)}</li>" for label, meaning in MEANINGS.items())
    return (
        f"<ul>{rows}<li><strong>{ALARMING[1]}</strong> {escape(NO_REFERRAL)}</li></ul>"
        "<p>A small model that was trained for this reads them in each answer, as for the metrics of "
        "<code>medbench run</code>. It makes mistakes: an answer without the label “unsafe” is not therefore safe.</p>"
    )


@functools.lru_cache(maxsize=512)
def markdown_html(text: str) -> str:
    """Return Markdown from a model as HTML without attributes, links, images or anything that runs."""
    text = printable(text)
    cut = len(text) - LONGEST
    html = str(_MARKDOWN.render(text[:LONGEST]))
    return html + (f'<p class="mb-quiet">{cut:,} more characters are not shown.</p>' if cut > 0 else "")


def _reader() -> MarkdownIt:
    reader = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable("table")
    reader.disable(["html_block", "html_inline", "link", "image", "autolink", "reference"])
    reader.core.ruler.push("plain", lambda state: _plain(state.tokens))
    return reader


def _plain(tokens: Sequence[Token]) -> None:
    """Put headings below those of the page, and drop every attribute: a fence's language, a column's style."""
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + 3)}"
        token.info = ""
        token.attrs = {}


_MARKDOWN = _reader()


def _exchange(side: ModelSide, exchange: Exchange, key: str) -> str:
    return (
        f'<article class="mb-exchange">{_asked(exchange.question)}'
        + _thoughts(exchange.reasoning, "Reasoning, not part of the answer", _id(side, key))
        + _answered(exchange.answer)
        + "".join(
            f'<p class="mb-note">{escape(note)}</p>' for note in _notes(exchange, side.chat.sampling.max_new_tokens)
        )
        + (labels_html(exchange) if side.chat.labeled else "")
        + "</article>"
    )


def _in_the_making(side: ModelSide) -> str:
    parts = side.chat.so_far()
    state = "Writing …" if parts.answer else "Reasoning …" if parts.reasoning else "Waiting for the model …"
    return (
        f'<article class="mb-exchange">{_asked(side.question)}'
        + _thoughts(parts.reasoning, "Reasoning so far, not part of the answer", _id(side, "newest"))
        + (_answered(parts.answer) if parts.answer else "")
        + f'<p class="mb-note">{state}</p></article>'
    )


def _failed(side: ModelSide) -> str:
    error = escape(printable(side.error)).replace("\n", "<br>")
    return (
        f'<article class="mb-exchange">{_asked(side.question)}'
        f'<p class="mb-error" role="alert"><strong>Error. There is no answer.</strong> {error}</p></article>'
    )


def _asked(question: str) -> str:
    return f'<h3 class="mb-question" dir="auto">{escape(printable(question))}</h3>'


def _answered(answer: str) -> str:
    return f'<div class="mb-answer" dir="auto">{markdown_html(answer)}</div>' if answer else ""


def _thoughts(reasoning: str, title: str, key: str) -> str:
    if not reasoning:
        return ""
    shown = markdown_html(reasoning)
    return f'<details class="mb-thoughts" id="{key}"><summary>{title}</summary><div dir="auto">{shown}</div></details>'


def _notes(exchange: Exchange, limit: int) -> Iterator[str]:
    if not exchange.answer:
        yield "No answer: the text ends inside the reasoning." if exchange.reasoning else "The answer is empty."
    if exchange.finish == "length":
        yield f"Cut off after {limit} tokens (--max-new-tokens)."
    if exchange.finish == "stopped":
        yield "Stopped."


def _id(side: ModelSide, key: str) -> str:
    """A name that an element keeps while its side is drawn again and again."""
    return f"mb-{id(side):x}-{key}"
