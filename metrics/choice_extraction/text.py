"""Normalize a reply before it is read: one spelling for characters that look alike, and no markup."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufe00-\ufe0f\ufeff\u20e3]")
_ALIKE = str.maketrans(
    {
        **dict(zip("‘’‚“”„«»「」『』", "'" * 3 + '"' * 9)),
        **dict.fromkeys("‐‑‒−﹣", "-"),
        **dict.fromkeys("☑✔✓🗸", "✅"),
        **dict.fromkeys("✗✘✖❎🗙☒", "❌"),
        **dict.fromkeys("➡⇒➜➔⟶⟹▶👉", "→"),
        "。": ". ",
        "、": ", ",
        "【": "[",
        "】": "]",
        **dict(zip("🅐🅑🅒🅓🅔🅰🅱", "ABCDEAB")),
        "।": ".",
        "،": ",",
        "؛": ";",
        "؟": "?",
    }
)
_EMOJI = re.compile("[\U0001f000-\U0001f9ff\U0001fa70-\U0001faff★☆⭐✨⚠❗❓✍☝]")
# Scripts written without spaces around Latin letters or digits: "答案是B", "정답은B입니다", "الإجابةB".
_UNSPACED = "\u0600-\u06ff\u0e00-\u0e7f\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_HAN = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]")
_BORDER = re.compile(rf"(?<=[{_UNSPACED}])(?=[A-Za-z0-9])|(?<=[A-Za-z0-9])(?=[{_UNSPACED}])")

_END_OF_TURN = re.compile(
    r"<\|(?:im_end|eot_id|end|endoftext|end_of_text|return|eos|EOT|END_OF_TURN_TOKEN)\|>|<end_of_turn>|<eos>|</s>"
)
_SPECIAL = re.compile(r"<\|[\w-]{1,40}\|>|<(?:s|bos|pad|unk|start_of_turn)>|\[/?INST\]|</s>")
_STRUCK = re.compile(r"~~([^~\n]{1,300})~~|<(del|strike|s)>([^<>]{1,300})</\2>", re.I)
_BLOCK_TAG = re.compile(
    r"</?(?:p|div|br|li|ul|ol|tr|table|tbody|h[1-6]|hr|section|article|body|html)\b[^<>]{0,99}>", re.I
)
_INLINE_TAG = re.compile(r"</?(?:strong|em|span|mark|small|big|font|code|pre|sub|sup|td|th|center)\b[^<>]{0,99}>", re.I)
_SHORT_TAG = re.compile(r"<([bui])>([^<>]{0,300})</\1>", re.I)
_ENTITIES = {"&nbsp;": " ", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'", "&amp;": "&"}

_TEX_NAMES = (
    "text|textbf|textit|textrm|textsf|texttt|textup|emph|underline|mathrm|mathbf|mathit|mathsf|mathtt|mathbb|mathcal"
    "|mbox|hbox|operatorname|bm|boldsymbol"
)
_TEX_COMMAND = re.compile(rf"\\(?:{_TEX_NAMES})\*?\s?\{{([^{{}}]*)\}}")
_TEX_BARE = re.compile(rf"\\(?:{_TEX_NAMES}|rm|bf|it|sf|tt|sc|bfseries|itshape|displaystyle|large|Large)(?![A-Za-z])")
_TEX_SPACE = re.compile(r"\\(?:[,;:! ()\[\]]|quad|qquad|left|right)(?![A-Za-z])")
_TEX_GROUP = re.compile(r"(?<![A-Za-z}\]])\{\s?([A-Za-z0-9.]{1,3})\s?\}")
_TEX_DEPTH = 4  # commands inside commands

_EMPHASIS = re.compile(r"[*`]+|(?<![^\W_])_{1,3}(?=[^\W_])|(?<=[^\W_])_{1,3}(?![^\W_])|\\(?=[_*()\[\].-])")
_HEADING = re.compile(r"^#{1,6} *([^\n]*?)[ #]*$", re.M)
_RULE = re.compile(r"^[ \t]*(?:[-=_*—–─]{3,}|\|?[-:| ]{3,}\|?)[ \t]*$", re.M)
_ROW = re.compile(r"^[ \t]*\|[ \t]*([^\n]*?)[ \t]*\|?[ \t]*$", re.M)
# "A:" for "Answer:" if a letter follows: "A: B".
_A_FOR_ANSWER = re.compile(r"\A\s*A:\s+(?=[(\[]?[A-J](?:[).\]:]|\W*\Z|\W*\n))")
_LINE_ENDS = re.compile(r"\r\n?|[\u2028\u2029\v\f]")
_BLANK_LINES = re.compile(r"\n{3,}")


def plain(text: str) -> str:
    """Return `text` in one spelling, without Markdown, HTML and TeX markup, and without text that is struck out."""
    seen = _LINE_ENDS.sub("\n", text)
    seen = unicodedata.normalize("NFKC", _INVISIBLE.sub("", seen.translate(_ALIKE)).translate(_ALIKE)).translate(_ALIKE)
    seen = _one_turn(_without_html(_struck_out(seen)))
    seen = _EMOJI.sub("", _without_tex(seen))
    seen = _ROW.sub(lambda row: re.sub(r"\s*\|\s*", ": ", row[1]), _RULE.sub("", seen))
    seen = _A_FOR_ANSWER.sub("Answer: ", _EMPHASIS.sub("", _HEADING.sub(_headed, seen)))
    seen = _BORDER.sub(" ", seen)
    return _BLANK_LINES.sub("\n\n", "\n".join(" ".join(line.split()) for line in seen.split("\n")))


def spaced(text: str, options: Sequence[str]) -> str:
    """Return `text` with spaces around the options that are written in a script without spaces."""
    unspaced = sorted({plain(option).strip() for option in options if _HAN.search(option)}, key=len, reverse=True)
    if not unspaced:
        return text
    return re.sub("|".join(map(re.escape, unspaced)), r" \g<0> ", text)


def _struck_out(text: str) -> str:
    """Return `text` without what is struck out. `<s>` at the start is the token that begins a text."""
    opened = text.lstrip().startswith("<s>")
    return _STRUCK.sub(lambda match: match[0] if opened and (match[2] or "").lower() == "s" else " ", text)


def _one_turn(text: str) -> str:
    """Return `text` up to the end of the model's turn, without special tokens. What follows is another turn."""
    begun = text.lstrip().startswith("<s>")
    for end in _END_OF_TURN.finditer(text):
        if _SPECIAL.sub("", text[: end.start()][:500]).strip() and not (begun and end[0] == "</s>"):
            text = text[: end.start()]
            break
    return _SPECIAL.sub("\n", text)


def _without_html(text: str) -> str:
    if "<" in text:
        text = _SHORT_TAG.sub(r"\2", _INLINE_TAG.sub("", _BLOCK_TAG.sub("\n", text)))
    if "&" in text:
        for entity, character in _ENTITIES.items():
            text = text.replace(entity, character)
    return text


def _without_tex(text: str) -> str:
    if "\\" not in text:
        return text
    for _ in range(_TEX_DEPTH):
        shorter = _TEX_COMMAND.sub(r"\1", text)
        if shorter == text:
            break
        text = shorter
    return _TEX_GROUP.sub(r" \1 ", _TEX_SPACE.sub(" ", _TEX_BARE.sub(" ", text)))


def _headed(heading: re.Match[str]) -> str:
    """Return a heading as a line that introduces what follows."""
    words = heading[1].strip()
    return words if not words or len(words.strip("*_")) < 3 or words.rstrip("*_ ")[-1:] in ":.?!" else f"{words}:"
