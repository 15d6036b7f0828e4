"""Read the chosen option from the one field of a JSON reply that holds the answer, such as MIRAGE's `answer_choice`.

Models write this JSON by hand: in fences, with text around it, with unescaped quotes and line ends inside strings, or
cut off. So the field is searched for in the text, and the text is never parsed as a whole. As MIRAGE's own scoring has
it, the last such field counts, and the label that its value begins with ("A", "(A)", "A. aspirin", "Option A"), the
first of two ("A and C"). An unread reply is not taken for "A", as it is there.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence

from ...core.reasoning import split
from .reader import CUT_OFF, ChoiceReading, read_choice
from .text import plain
from .words import words_of

KIND = "answer field"
_LAST_FIELDS = 8  # those that are looked at; a model that repeats itself writes hundreds
_QUOTES = str.maketrans("“”„‟＂", '"""""')
# The quotation mark that ends a value, unlike one inside it: JSON continues after it, or nothing does.
_END_OF_STRING = re.compile(r'(?<!\\)"(?=\s*(?:[,}\])]|\Z|\\n|\n|```))|(?<!\\)\\"(?=\s*(?:[,}\])]|\Z|\\n))')
_TYPE = re.compile(
    r"\A(?:str|string|dict)?\s*[({\[<]+", re.I
)  # `Str{B}`, which the prompt's description of JSON invites
_INTRODUCED = r"(?:(?:the\s+)?(?:correct\s+|best\s+|final\s+)?(?:answer|option|choice)[\s_]*(?:is\b|:|-)?\s*)?"


def read_answer_field(
    text: str, field: str, options: Sequence[str], labels: Sequence[str], cut: bool = False
) -> ChoiceReading:
    """Return the one option that the value of `field` names, or that the reply names if it lacks the field.

    `options`, `labels` and `cut` as in `read_choice`.
    """
    answer = split(text).answer.translate(_QUOTES)
    keys = deque(_key(field).finditer(answer), maxlen=_LAST_FIELDS)
    values = [_value(answer[key.end() :]) for key in keys]
    if not values:
        return read_choice(text, options, labels, cut)
    for raw, _ in reversed(values):
        value = plain(_TYPE.sub("", raw)).strip("\"'\\{}<>*` \n")
        if value:
            return _read(value, options, labels)
    ended = values[-1][1]
    return ChoiceReading(None, CUT_OFF if cut and not ended else f"{field} is empty")


def _key(field: str) -> re.Pattern[str]:
    """Return what a field's name looks like, quoted or not, whatever is between its words."""
    words = r"[\s_\\-]{0,4}".join(map(re.escape, re.split(r"[\s_-]+", field)))
    quotes = r"""[\\"'*`]{0,4}"""
    return re.compile(rf"(?<![A-Za-z_]){quotes}{words}{quotes}\s{{0,20}}[:=]\s{{0,20}}", re.I)


def _value(rest: str) -> tuple[str, bool]:
    """Return the value that a text begins with, and whether it is complete."""
    opening = re.match(r'\\?["\']', rest)
    if opening and opening[0][-1] == '"':
        inside = rest[opening.end() :]
        if end := _END_OF_STRING.search(inside):
            return inside[: end.start()], True
        return re.split(r'["}\n]', inside, maxsplit=1)[0], False
    if opening:
        inside = rest[opening.end() :]
        end = re.search(r"'(?=\s*(?:[,}\])]|\Z))", inside)
        return (inside[: end.start()], True) if end else (re.split(r"[}\n]", inside, maxsplit=1)[0], False)
    end = re.search(r"\]", rest) if rest.startswith("[") else re.search(r"[}\n]|,\s*[\"']", rest)
    return (rest[: end.start()], True) if end else (rest, False)


def _read(value: str, options: Sequence[str], labels: Sequence[str]) -> ChoiceReading:
    """Return the reading of a value that is not empty."""
    if not labels:
        return read_choice(value, options)
    by_label = {label.casefold(): index for index, label in enumerate(labels)}
    texts = [plain(option) for option in options]
    if (bare := _bare(value)) in by_label:
        return ChoiceReading(by_label[bare], kind=KIND)
    if bare in (known := [_bare(text) for text in texts]):
        return ChoiceReading(known.index(bare), kind=KIND)
    names = "|".join(map(re.escape, labels))
    if closing := re.fullmatch(rf"(.+?)\s*\(((?i:{names}))\)\W*", value, re.DOTALL):
        index = by_label[closing[2].casefold()]
        if words_of(closing[1]) == words_of(texts[index]):
            return ChoiceReading(index, kind=KIND)
    if leading := re.match(rf"{_INTRODUCED}\W?((?i:{names}))(?:\s*[.):\]\"]|\s+[-–—(=]|\s*\Z)", value, re.I):
        return ChoiceReading(by_label[leading[1].casefold()], kind=KIND)
    same = [index for index, text in enumerate(texts) if words_of(text) == words_of(value) != ()]
    if same:
        return ChoiceReading(same[0], kind=KIND)
    reading = read_choice(value, options, labels)
    if reading.index is not None:
        return reading
    joined = r"\s*(?:[/,&]|\bor\b|\band\b)\s*"
    several = re.match(rf"(?i:{_INTRODUCED})({names}){joined}(?:{names})\b(?!{joined})", value)
    return ChoiceReading(by_label[several[1].casefold()], kind=KIND) if several else reading


def _bare(text: str) -> str:
    return text.strip(" .,:;()[]").casefold()
