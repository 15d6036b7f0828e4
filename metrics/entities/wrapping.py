"""Lines that were wrapped at some column, joined again; lists of short lines stay lists.

A text is wrapped if every line is full: the first word of the next line would not have fit. Lists of short phrases can
look like that too, but their lines begin or end with few of the small words of running text.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from .characters import Edit
from .normalize import listed, word
from .vocabulary import acronyms, proper_names, terms

_NARROW = 20  # characters; no text is wrapped at fewer columns
_ITEM = 40  # characters in a list item that may continue on the next line
_WIDE = 120  # characters; no text is wrapped at more columns
_CLOSERS, _OPENERS = "\"')]*_", "\"'([*_"
_FIRST_WORD = re.compile(r"\s*(\S*)")
_SENTENCES = re.compile(r"[a-z][.!?] [A-Z]")
_LETTERS = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")
# Words that rarely end a phrase, and words that rarely begin one.
_NO_END = listed(
    """
    a an the of and or with from for by that which is are was were may can your their his its than as to such at into
    but if because who when be been has have will should could this these cannot also very more most not
    """
)
_ENDS = _NO_END | listed("in on it you they there up over under about between during after before while when how")
_BEGINS = listed(
    """
    of and or is are was were that which than by from for as but can may be been has have will who when if because into
    should could it you they their your
    """
)
_SUSPENDED = listed("and or to nor but")  # "short- and long-term"
_PREFIXES = listed("non anti pre post self sub semi multi well long short high low")


@dataclass(frozen=True, slots=True)
class Line:
    """A line, or several that were one: characters `start` to `end` after the tag or break `tag`.

    `below`: nothing but a line break separates it from the line before. `marked`: it begins with a list marker.
    """

    start: int
    end: int
    tag: str
    paragraph: int
    below: bool = False
    marked: bool = False


def unwrapped(text: str, lines: Sequence[Line]) -> Iterator[Line]:
    """Yield the lines of a text, with wrapped ones joined."""
    at = 0
    while at < len(lines):
        stop = at + 1
        while stop < len(lines) and lines[stop].below:
            stop += 1
        yield from _block(text, lines[at:stop]) if stop - at > 1 else lines[at:stop]
        at = stop


def _block(text: str, lines: Sequence[Line]) -> Iterator[Line]:
    said = [text[line.start : line.end].strip().lstrip("> ") for line in lines]
    ends = [line.start + len(text[line.start : line.end].rstrip()) for line in lines]
    widths = [end - text.rfind("\n", 0, end) - 1 for end in ends]
    width = max(widths)
    fulls = [False, *(_full(widths[index], after, width) for index, after in enumerate(said[1:]))]
    lines = _without_false_marks(lines, said, fulls, width)
    wrapped = _is_wrapped(lines, said, fulls, width)
    whole = lines[0]
    for index in range(1, len(lines)):
        before, after = said[index - 1], said[index]
        full = fulls[index]
        item = whole.marked and full and widths[index - 1] >= _ITEM and _is_open(before) and after[:1].islower()
        joins = (wrapped and full) or item or _continues(before, after)
        if joins and not lines[index].marked:
            whole = replace(whole, end=lines[index].end)
        else:
            yield whole
            whole = lines[index]
    yield whole


def _without_false_marks(
    lines: Sequence[Line], said: Sequence[str], fulls: Sequence[bool], width: int
) -> Sequence[Line]:
    """Return the lines without a mark that is only the end of a sentence, as in "at the age of\n40. The ..."."""
    marked = [index for index, line in enumerate(lines) if line.marked]
    if len(marked) != 1 or not marked[0] or len(lines) < 3 or not _is_open(said[marked[0] - 1]):
        return lines
    plain = [replace(line, marked=False) for line in lines]
    return plain if fulls[marked[0]] and _is_wrapped(plain, said, fulls, width) else lines


def _full(before: int, after: str, width: int) -> bool:
    """Return whether the first word of `after` would not have fit on the line of `before` characters."""
    return before + 1 + len(_first_word(after)) > width


def _is_wrapped(lines: Sequence[Line], said: Sequence[str], fulls: Sequence[bool], width: int) -> bool:
    """Return whether lines were wrapped at `width` characters. `fulls`: whether the line before each is full."""
    if width < _NARROW:
        return False
    capitals = all(each.isupper() for each in said)
    opened = lower = 0
    evidence = sum(_SENTENCES.search(each) is not None for each in said)
    for index in range(1, len(lines)):
        before, after = said[index - 1], said[index]
        if lines[index].marked or not _is_open(before):
            continue
        first = _first_word(after)
        full = fulls[index]
        goes_on = capitals or first.lstrip(_OPENERS)[:1].islower()
        if goes_on and not full:
            return False
        opened += 1
        lower += goes_on or not _begins_sentence(first)
        evidence += full and (_last_word(before) in _ENDS or (goes_on and first.lower().strip(",;") in _BEGINS))
    if not opened:  # the lines read the same in any case, but a sentence in capitals must be lowered as a whole
        return capitals and not any(each.endswith(":") for each in said)
    if lower * 2 < opened:
        return False
    sentences = said[0][:1].isupper() and _ended(said[-1])
    return (sentences and lower == opened) or evidence * (5 if sentences else 3) >= opened


def _continues(before: str, after: str) -> bool:
    """Return whether a line must continue on the next one, however long it is."""
    first = _first_word(after)
    if before[-1:] == "-" and before[-2:-1].isalpha() and first[:1].islower():
        return True
    return _is_open(before) and _last_word(before) in _NO_END and (first[:1].islower() or before.isupper())


def begins_sentence(text: str, start: int, end: int, after: int, width: int) -> bool:
    """Return whether the line at `after` is a new sentence below the unfinished line `start` to `end`.

    `width` is that of the paragraph, in characters.
    """
    first = _first_word(text[after : after + 40])
    if not _begins_sentence(first) or _last_word(text[start:end]) in _NO_END:
        return False
    short = end - start + 1 + len(first) <= width
    return short or end - start > _WIDE or first.lower() in _ENDS or first.lower() in _BEGINS


def _begins_sentence(first: str) -> bool:
    match = _LETTERS.match(first)
    if not match or not match[0][0].isupper():
        return False
    low = match[0].lower().removesuffix("'s")
    return not (low in proper_names() or (match[0].isupper() and len(match[0]) > 1) or match[0] in acronyms())


def _is_open(said: str) -> bool:
    return said.rstrip(_CLOSERS)[-1:] not in (".", "!", "?", ",", ";", ":")


def _ended(said: str) -> bool:
    return said.rstrip(_CLOSERS)[-1:] in (".", "!", "?")


def _first_word(said: str) -> str:
    match = _FIRST_WORD.match(said)
    return match[1] if match else ""


def _last_word(said: str) -> str:
    return said[-30:].split()[-1].lower() if said.split() else ""


def breaks(text: str, start: int, end: int) -> Iterator[Edit]:
    """Yield the line breaks inside joined lines, as the space or nothing that is read instead."""
    quoted = ">" in text[text.rfind("\n", 0, start) + 1 : start]
    at = text.find("\n", start, end)
    while at >= 0:
        low = start + len(text[start:at].rstrip()) if text[at - 1].isspace() else at
        high = at
        while high < end and (text[high].isspace() or (quoted and text[high] == ">")):
            high += 1
        before, after = _LETTERS.findall(text[max(start, low - 40) : low - 1]), _LETTERS.match(text, high, end)
        if text[low - 1] == "-" and text[low - 2].isalnum() and text[high].isalnum() and not (
            after and after[0] in _SUSPENDED
        ):  # fmt: skip
            split = before and after and _is_split(before[-1], after[0])
            yield Edit(low - 1 if split else low, high, "")
        else:
            yield Edit(low, high, " ")
        at = text.find("\n", high, end)


def _is_split(before: str, after: str) -> bool:
    """Return whether two parts are one word, hyphenated at the end of a line."""
    if min(len(before), len(after)) < 3 or before.lower() in _PREFIXES or not after.islower():
        return False
    return word(before + after) in _known_words() and word(after) not in _known_words()


@functools.cache
def _known_words() -> frozenset[str]:
    return frozenset(each for phrase in terms() for each in phrase.split())
