"""The words of a sentence without its layout: Markdown, table cells and HTML become plain punctuation.

The same sentence reads the same to the model as a bullet, a table row, in bold or in prose.
"""

from __future__ import annotations

import html
import re

_QUOTE = re.compile(r"^(?:>\s*)+")
_HEADING = re.compile(r"^#{1,6}\s+")
CROSSES = "❌❎✗✘✖🚫⛔"  # they say "do not", so they are no mere bullets
_BULLET = r"(?:[-*+•‣▪●◦·–—‐‑‒−]|\(?\d{1,2}[.)]|\(?[a-zA-Z]\))\s+(?:\[[ xX]\]\s*)?|\d\ufe0f?\u20e3\s*"
_EMOJI = rf"(?:(?![{CROSSES}])[\u2190-\u21ff\u25a0-\u25ff\u2600-\u27bf\U0001f000-\U0001faff]\ufe0f?)+\s*"
_ITEM = re.compile(rf"^(?:(?:{_BULLET})(?:{_EMOJI})?|{_EMOJI})")
_CROSSED = re.compile(rf"[{CROSSES}]")
_BOLD_LINE = re.compile(r"^(\*\*|__)[^*_]+\1$")
_HTML_HEADING = re.compile(r"^<h[1-6]\b", re.I)
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_HTML = re.compile(
    r"</?(?:a|b|br|div|em|h[1-6]|hr|i|li|ol|p|small|span|strong|su[bp]|t[dhr]|table|u|ul)\b[^<>]*>", re.I
)
_MARKS = re.compile(r"\*+|`+|~~+|(?<!\w)_+(?=\S)|(?<=\S)_+(?!\w)|(?<=\s)#+$")
_CELLS = re.compile(r"\s*\|[\s|]*")
_HTML_ITEM = re.compile(r"^<(?:li|tr|dd|dt)\b", re.I)
_HTML_CELLS = re.compile(r"</t[dh]>\s*(?=<t[dh]\b)", re.I)
_ROW_NUMBER = re.compile(r"^\W*\d{1,2}\W*;\s*(?=(?:[^\s;]+\s+){4})")  # a step, not a weight beside its dose
_SPACES = re.compile(r"\s+")
_ENDED = re.compile(r"[.!?…:;,]['\"”’)\]]*$")


def plain(sentence: str) -> str:
    """Return one sentence, list item, heading or table row as prose.

    A heading ends with a colon, and an item or a row with a period, so that the model sees where a line ends.
    """
    text = _QUOTE.sub("", sentence.strip())
    heading = bool(_HEADING.match(text) or _BOLD_LINE.match(text) or _HTML_HEADING.match(text))
    text = _HTML_CELLS.sub(" | ", _HEADING.sub("", text))
    bare = _ITEM.sub("", text)
    line = bare != text or "|" in bare or bool(_CROSSED.match(bare) or _HTML_ITEM.match(bare))
    text = html.unescape(_HTML.sub(" ", _LINK.sub(r"\1", bare)))
    if "|" in text:
        text = _ROW_NUMBER.sub("", _CELLS.sub("; ", text.strip(" |")))
    text = _SPACES.sub(" ", _MARKS.sub("", text)).strip()
    if (heading or line) and text and not _ENDED.search(text):
        text += ":" if heading else "."
    return text
