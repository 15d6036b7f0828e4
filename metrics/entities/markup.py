"""Markup inside a text, of Markdown, HTML and LaTeX, as what is read instead of it."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from .characters import Edit

EMOJI = "\u2600-\u27bf\u2b00-\u2bff\u25a0-\u25ff\u2460-\u24ff\U0001f000-\U0001faff"
_TAGS = (
    "a|abbr|b|big|cite|code|em|font|i|img|ins|kbd|label|mark|q|samp|small|span|strong|sub|sup|tt|u|var|wbr|input|button"
)
_LATEX = "textbf|textit|textrm|textsf|texttt|textsc|text|emph|underline|mathrm|mathbf|mathit|(?:sub)*section\\*?|mbox"
_INLINE = re.compile(
    rf"""(?P<gone>~~[^~\n]+~~|<(?P<struck>del|s|strike)\b[^<>]*>.{{0,1000}}?</(?P=struck)>|!\[[^\[\]\n]*\]\([^()\n]*\))
    |(?P<tag></?(?:{_TAGS})\b[^<>]*>)
    |</?(?P<xml>[A-Za-z][\w:-]*)(?:\s+[\w:-]+="[^<>"]*")*\s*/?>
    |(?P<note>\[\^?\d{{1,3}}(?:\s?[,-]\s?\d{{1,3}})*\]|\[cite(?:_start|:[\d\s,]+)\])
    |(?P<citation>[【\[][^【】\[\]\n]{{0,60}}†[^【】\[\]\n]{{0,60}}[】\]]|:contentReference\[oaicite:\d+\](?:\{{index=\d+\}})?)
    |\[(?P<link>[^\[\]\n]*)\]\((?P<to>[^()\s]*(?:\([^()]*\)[^()\s]*)*(?:\s+"[^"]*")?)\)
    |\$?\\(?:{_LATEX})\{{(?P<latex>[^{{}}\n]*(?:\{{[^{{}}\n]*\}}[^{{}}\n]*)*)\}}\$?
    |(?P<environment>\\(?:begin|end)\{{[a-z]+\*?\}})
    |(?P<url>(?:https?://|www\.)[^\s<>()\]]+|<[^\s<>@]+@[^\s<>@]+>)
    |(?P<marked>\[\[|\]\]|==(?=\w)|(?<=\w)==)
    |(?P<stars>\*+|_+|`+)
    |\\(?=[*_\[\]()#>|`~.%&$-])
    |[{EMOJI}]
    |\s{{2,}}""",
    re.I | re.X | re.S,
)
_HIDDEN = re.compile(
    r"<(script|style|head|template)\b[^<>]*>|<!--|<!doctype[^<>]*>|<title\b[^<>]*>[^<>]*</title>", re.I
)


def has_markup(text: str) -> bool:
    """Return whether `markup` would change a text."""
    return _INLINE.search(text) is not None


def markup(text: str, start: int, end: int) -> Iterator[Edit]:
    """Yield the markup between two characters, as what is read instead."""
    for match in _INLINE.finditer(text, start, end):
        inside = "link" if match["link"] is not None else "latex" if match["latex"] is not None else ""
        if inside:
            low, high = match.span(inside)
            yield Edit(match.start(), low, "")
            yield from markup(text, low, high)
            yield Edit(high, match.end(), "")
        elif match["stars"]:
            if not _is_text(text, *match.span()):
                yield Edit(*match.span(), "")
        elif match["xml"]:
            if match["xml"] in _closed(text):
                ends = text[match.start() - 1 : match.start()] in (".", "!", "?")
                yield Edit(*match.span(), " " if ends or text[match.end() : match.end() + 1] == "<" else "")
        elif match[0].isspace():
            yield Edit(*match.span(), " ")
        else:
            yield Edit(*match.span(), "")


@functools.lru_cache(maxsize=4)  # asked once per tag, of the same text
def _closed(text: str) -> frozenset[str]:
    """Return the names of the elements that a text closes: those of XML, but not "<dose>" as a placeholder."""
    return frozenset(re.findall(r"</([A-Za-z][\w:-]*)\s*>", text))


def _is_text(text: str, start: int, end: int) -> bool:
    """Return whether stars or underscores are no emphasis: "2 * 3", "5*3", "a_b"."""
    before, after = text[start - 1 : start] or " ", text[end : end + 1] or " "
    if text[start] == "_":
        return before.isalnum() and after.isalnum()
    return text[start] == "*" and ((before.isspace() and after.isspace()) or (before.isdigit() and after.isdigit()))


def without_hidden(text: str) -> str:
    """Return a text of the same length with blanks instead of what no reader sees: comments, scripts, styles, heads."""
    parts: list[str] = []
    unclosed: set[str] = set()
    at = 0
    for match in _HIDDEN.finditer(text):
        if match.start() < at:
            continue
        end = match.end()
        if close := "-->" if match[0] == "<!--" else rf"</{match[1].lower()}\b" if match[1] else "":
            closing = None if close in unclosed else re.compile(close, re.I).search(text, end)
            if closing is None:
                unclosed.add(close)
                continue
            end = text.find(">", closing.start()) + 1 or len(text)
        parts += [text[at : match.start()], " " * (end - match.start())]
        at = end
    return "".join([*parts, text[at:]]) if parts else text
