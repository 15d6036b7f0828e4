"""The words of a sentence without its layout: Markdown, table cells and HTML become plain punctuation.

The same sentence reads the same to the model as a bullet, a table row, in bold or in prose.
"""

from __future__ import annotations

import html
import re

_QUOTE = re.compile(r"^(?:>\s*)+")
_HEADING = re.compile(r"^#{1,6}\s+")
_ITEM = re.compile(r"^(?:[-*+•‣▪●◦·–—]|\(?\d{1,2}[.)]|\(?[a-zA-Z]\))\s+(?:\[[ xX]\]\s*)?")
_BOLD_LINE = re.compile(r"^(\*\*|__)[^*_]+\1$")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_HTML = re.compile(
    r"</?(?:a|b|br|div|em|h[1-6]|hr|i|li|ol|p|small|span|strong|su[bp]|t[dhr]|table|u|ul)\b[^<>]*>", re.I
)
_MARKS = re.compile(r"\*+|`+|~~+|(?<!\w)_+(?=\S)|(?<=\S)_+(?!\w)|(?<=\s)#+$")
_CELLS = re.compile(r"\s*\|[\s|]*")
_SPACES = re.compile(r"\s+")
_ENDED = re.compile(r"[.!?…:;,]['\"”’)\]]*$")


def plain(sentence: str) -> str:
    """Return one sentence, list item, heading or table row as prose.

    A heading ends with a colon, and an item or a row with a period, so that the model sees where a line ends.
    """
    text = _QUOTE.sub("", sentence.strip())
    heading = bool(_HEADING.match(text) or _BOLD_LINE.match(text))
    text = _HEADING.sub("", text)
    bare = _ITEM.sub("", text)
    line = bare != text or "|" in bare
    text = html.unescape(_HTML.sub(" ", _LINK.sub(r"\1", bare)))
    if "|" in text:
        text = _CELLS.sub("; ", text.strip(" |"))
    text = _SPACES.sub(" ", _MARKS.sub("", text)).strip()
    if (heading or line) and text and not _ENDED.search(text):
        text += ":" if heading else "."
    return text
