"""The places where a prompt may ask for the answer: tags, boxes and JSON."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from .text import plain

_TAGS = (
    "answer|final_?-?answer|ans|final_choice|choice|selected_?option|prediction|response|result|output|solution"
    "|final|pick|verdict|conclusion"
)
_TAG = re.compile(rf"<({_TAGS})>(.*?)(?:</\1>|(?=<(?:{_TAGS})>)|\Z)", re.S | re.I)
_BRACKET_TAG = re.compile(r"\[(ANSWER|FINAL ANSWER)\]([^\[\]]{1,400})\[/\1\]", re.I)
_BOX = re.compile(r"\\(?:boxed|fbox|framebox)(?![A-Za-z])\s?(?:(\{)|\s?([A-Za-z0-9]\b))")
_PAIR = re.compile(  # a key with a string, a number or a list
    r"""["']([A-Za-z][\w \-]{0,40})["']\s?:\s?
    (?: "((?:[^"\\]|\\.){0,2000})" | '((?:[^'\\\n]|\\.){0,2000})'(?=\s?[,}\]\n]) | (\d+) | \[([^\[\]{}]{0,400})\] )""",
    re.X,
)
_NO_ANSWER = re.compile(
    r"reason|explan|rational|index|options|choices|confid|score|why|wrong|incorrect|eliminat|question|step|thought"
    r"|analysis|candidat|type|\bid\b|count|number|differential|alternativ|second|other|distract|not|runner"
)
_RANKS = (
    re.compile(r"answer ?(?:choice|option|letter|label)"),
    re.compile(r"final|answer"),
    re.compile(
        r"choice|option|predict|select|label|letter|verdict|decision|conclusion|response|result|correct|pick|ans\b|output"
    ),
)
_SPELLED_OUT = re.compile(r"^(?:answer|option|choice|selected|final)[\w -]*(?:text|name|content|value|full)$", re.I)
_LONGEST_BOX = 300


@dataclass(frozen=True, slots=True)
class Field:
    content: str
    start: int
    end: int


def fields(text: str) -> list[list[Field]]:
    """Return groups of fields in order of priority: tags, boxes, then JSON keys by how clearly they mean "answer".

    A group whose fields contain no option is ignored.
    """
    tags = [Field(match[2], match.start(), match.end()) for match in _TAG.finditer(text)]
    tags += [Field(match[2], match.start(), match.end()) for match in _BRACKET_TAG.finditer(text)]
    groups = [tags, boxes(text), *_json(text)]
    return [found for group in groups if (found := [field for field in group if field.content.strip()])]


def boxes(text: str) -> list[Field]:
    """Contents of `\\boxed{…}`, with braces inside."""
    found = []
    for box in _BOX.finditer(text):
        if box[2]:
            found.append(Field(box[2], box.start(), box.end()))
            continue
        depth = 1
        for end in range(box.end(), min(len(text), box.end() + _LONGEST_BOX)):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            if depth == 0:
                found.append(Field(text[box.end() : end], box.start(), end + 1))
                break
    return found


def _json(text: str) -> list[list[Field]]:
    """Return the values of JSON keys that mean "answer", by rank. An unfinished value does not count."""
    ranked: list[list[Field]] = [[] for _ in _RANKS]
    for pair in _PAIR.finditer(text):
        key = re.sub(r"(?<=[a-z])(?=[A-Z])|[_\W]+", " ", pair[1]).lower()
        if _NO_ANSWER.search(key):
            continue
        rank = next((n for n, pattern in enumerate(_RANKS) if pattern.search(key)), None)
        if rank is not None:
            ranked[rank].append(Field(_value(pair), pair.start(), pair.end()))
    return ranked


def spelled_out(text: str) -> list[str]:
    """Return the values of JSON keys that spell out an answer beside its letter: `"answer_text"`, `"option_name"`."""
    return [_value(pair) for pair in _PAIR.finditer(text) if _SPELLED_OUT.search(pair[1])]


def _value(pair: re.Match[str]) -> str:
    if pair[2] is None:
        return pair[3] or pair[4] or pair[5] or ""
    try:
        return plain(str(json.loads(f'"{pair[2]}"', strict=False)))
    except json.JSONDecodeError:  # an escape that JSON does not have
        return pair[2]
