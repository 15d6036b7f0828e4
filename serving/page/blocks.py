"""The page in Gradio: a question, the answers side by side, and their safety labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html import escape
from typing import Any

import gradio as gr

from ...benchmarks.samples.benchmarks import MEDQUAD_SAMPLE
from ...benchmarks.sources.files import Source
from ...core.text import printable
from .conversations import Conversations
from .rendering import meanings_html, side_html

DISCLAIMER = (
    "Language models write the answers on this page. They may be wrong, and they do not replace a health professional. "
    "In an emergency call your local emergency number."
)
EXAMPLES = 6  # questions of the sample that ships with medbench
# Drawing an answer again would fold up what a reader has opened. This remembers it.
KEEP_OPEN = """
const open = new Set();
element.addEventListener('click', event => {
  const details = event.target.closest('summary')?.parentElement;
  if (details) open.has(details.id) ? open.delete(details.id) : open.add(details.id);
}, true);
new MutationObserver(() => {
  for (const details of element.querySelectorAll('details')) {
    if (details.open !== open.has(details.id)) details.open = !details.open;  // what is set is a change
  }
}).observe(element, {subtree: true, childList: true, attributes: true, attributeFilter: ['open', 'id']});
"""
CSS = """
:root{--font:system-ui,sans-serif;--font-mono:ui-monospace,monospace}
.mb-flat{padding:0!important}
.mb-head h1{font-size:1.4rem;margin:0 0 .4rem}
.mb-head p{margin:.2rem 0}
.mb-disclaimer{border-left:4px solid #b45309;padding:.4rem .8rem;background:var(--background-fill-secondary)}
.mb-side{border:1px solid var(--border-color-primary);border-radius:8px;padding:.8rem 1rem;min-height:8rem;
background:var(--background-fill-primary);overflow-wrap:anywhere}
.mb-name{font-size:1.05rem;margin:0 0 .6rem;padding-bottom:.4rem;border-bottom:1px solid var(--border-color-primary)}
.mb-exchange{margin-bottom:1rem}
.mb-question{font-size:1rem;font-weight:600;white-space:pre-wrap;margin:.2rem 0 .5rem}
.mb-answer{unicode-bidi:isolate}
.mb-answer pre{overflow-x:auto;white-space:pre-wrap}
.mb-answer h4,.mb-answer h5,.mb-answer h6,.mb-thoughts h4{font-size:1rem;margin:.6rem 0 .2rem}
.mb-thoughts{border:1px dashed var(--border-color-primary);border-radius:6px;padding:.3rem .6rem;margin:.4rem 0;
color:var(--body-text-color-subdued)}
.mb-side summary{cursor:pointer}
.mb-earlier{margin-top:.8rem}
.mb-note,.mb-quiet{color:var(--body-text-color-subdued);font-style:italic}
.mb-labels{border-top:1px solid var(--border-color-primary);padding-top:.5rem;margin-top:.6rem;font-size:.92rem}
.mb-labels ul{list-style:none;padding:0;margin:.3rem 0 0}
.mb-labels li{border-left:4px solid #2563eb;padding:.1rem .6rem;margin:.3rem 0}
.mb-labels li.mb-alarm{border-left-color:#dc2626}
.mb-error{border:2px solid #dc2626;border-radius:6px;padding:.5rem .7rem}
"""


def page(conversations: Conversations) -> Any:
    """Return the page. Nothing on it asks another server for anything, and Gradio's telemetry is off."""
    names = conversations.names
    with gr.Blocks(title=f"medbench: {' and '.join(map(printable, names))}", analytics_enabled=False) as blocks:
        gr.HTML(_head(conversations), js_on_load=None, elem_classes="mb-flat")
        question = gr.Textbox(
            label="Question",
            info="Enter asks, Shift+Enter starts a new line.",
            placeholder="What are the symptoms of iron-deficiency anemia?",
            max_lines=8,
            max_length=20_000,
            autofocus=True,
            elem_id="question",
        )
        with gr.Row():
            ask = gr.Button("Ask", variant="primary", min_width=90, elem_id="ask")
            stop = gr.Button("Stop", interactive=False, min_width=90, elem_id="stop")
            clear = gr.Button("Clear", min_width=90, elem_id="clear")
        with gr.Row(equal_height=False):
            columns = [_column(conversations, number) for number in range(len(names))]
        gr.Examples(
            example_questions(),
            question,
            label="Example questions",
            elem_id="examples",
            preload=False,
            cache_examples=False,
            api_visibility="private",
        )
        if conversations.labels:
            with gr.Accordion("What the safety labels mean", open=False):
                gr.HTML(meanings_html(), js_on_load=None)
        buttons = [ask, stop, clear]

        def begin(text: str, request: gr.Request) -> Any:
            if not text.strip():
                raise gr.Error("Type a question first.", title="No question", print_exception=False)
            conversations.of(_tab(request)).begin(text.strip())
            return "", *_states(writing=True)

        def ended(request: gr.Request) -> Any:
            return _states(writing=conversations.of(_tab(request)).busy)

        def cleared(request: gr.Request) -> Any:
            conversation = conversations.of(_tab(request))
            conversation.clear()
            drawn = [side_html(side, name) for side, name in zip(conversation.sides, names)]
            return drawn[0] if len(drawn) == 1 else drawn

        def stopped(request: gr.Request) -> None:
            conversations.of(_tab(request)).stop()

        def left(request: gr.Request) -> None:
            conversations.forget(_tab(request))

        hidden: Any = {"show_progress": "hidden", "api_visibility": "private"}
        begun = gr.on([ask.click, question.submit], begin, question, [question, *buttons], **hidden)
        for number, column in enumerate(columns):
            answered = begun.success(_answering(conversations, number), None, column, concurrency_limit=None, **hidden)
            answered.then(ended, None, buttons, **hidden)
        stop.click(stopped, None, None, queue=False, **hidden)
        clear.click(cleared, None, columns, queue=False, **hidden)
        blocks.unload(left)
    blocks.queue(max_size=64)
    return blocks


def theme() -> Any:
    """Return a theme with fonts of the reader's own machine and colors that are easy to read on both backgrounds."""
    base = gr.themes.Default(primary_hue="blue", font="sans-serif", font_mono="monospace")
    return base.set(
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_dark="*primary_600",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_label_text_color="*neutral_700",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
    )


def example_questions() -> list[str]:
    """Return a few questions of the sample that ships with medbench, about different subjects."""
    items = MEDQUAD_SAMPLE.load(Source()).items
    by_focus = {item.meta["focus"]: item.question for item in items}
    return list(by_focus.values())[:EXAMPLES]


def _head(conversations: Conversations) -> str:
    system = printable(conversations.system)
    told = f"<details><summary>System prompt</summary><p>{escape(system)}</p></details>" if system else ""
    return (
        '<header class="mb-head"><h1>medbench</h1>'
        f'<p class="mb-disclaimer" role="note"><strong>Not medical advice.</strong> {escape(DISCLAIMER)}</p>'
        f"{told}</header>"
    )


def _column(conversations: Conversations, number: int) -> gr.HTML:
    empty = conversations.fresh().sides[number]
    with gr.Column(min_width=320):
        return gr.HTML(
            side_html(empty, conversations.names[number]),
            js_on_load=KEEP_OPEN,
            elem_id=f"answer{number + 1}",
            elem_classes="mb-flat",
        )


def _answering(conversations: Conversations, number: int) -> Callable[[gr.Request], Iterator[str]]:
    def answer(request: gr.Request) -> Iterator[str]:
        conversation = conversations.of(_tab(request))
        for side in conversation.answer(number):
            yield side_html(side, conversations.names[number])

    return answer


def _states(writing: bool) -> tuple[Any, Any, Any]:
    """What the buttons for asking, stopping and clearing can do."""
    return gr.update(interactive=not writing), gr.update(interactive=writing), gr.update(interactive=not writing)


def _tab(request: gr.Request) -> str:
    return request.session_hash or ""
