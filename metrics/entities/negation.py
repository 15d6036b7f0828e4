"""Find mentions that a sentence negates ("no fever", "denies chest pain", "rash is absent").

After NegEx (Chapman et al. 2001, A simple algorithm for identifying negated findings and diseases in discharge
summaries) and ConText (Harkema et al. 2009): cues with a direction and a scope that other words end, and phrases that
only look like cues ("no increase in", "not only"). The lists and the scope rules are our own, for answers to medical
questions as well as notes. Statements that are only uncertain ("may have", "to rule out"), or conditional ("if not
treated"), are not negated. Works on text and character offsets, so it is the same for every pipeline.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from . import cues, normalize
from .vocabulary import terms

WINDOW = 7  # maximum words in a scope without a comma, "or" or "and"

_WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")
_STOP = re.compile(r"""[.!?]["')\]]*(?=\s|$)|[;:](?=\s|$)|\n""")
_NAME = 6  # words of a term, at most, in which cues are looked for


class _Word(NamedTuple):
    text: str  # lowercase
    start: int
    end: int


def negated(text: str, spans: Sequence[tuple[int, int]]) -> list[bool]:
    """Return, for each character span, whether the text negates it."""
    scopes = list(denied(text)) if spans else []
    return [any(start < high and low < end for low, high in scopes) for start, end in spans]


def denied(text: str) -> Iterator[tuple[int, int]]:
    """Yield the character spans that a cue negates."""
    start = 0
    for stop in [*(match.end() for match in _STOP.finditer(text)), len(text)]:
        words = [word for match in _WORD.finditer(text, start, stop) for word in _parted(match)]
        start = stop
        for first, last, ahead in _cues(words):
            low, high = _ahead(words, first, last) if ahead else _behind(words, first)
            if words[first].text in ("ruled", "excluded"):  # "chest clear, pneumonia ruled out"
                low = max([low, *(at + 1 for at in range(low, high - 1) if words[at].text == ",")])
            if low < high:
                yield words[low].start, words[high - 1].end


def _parted(match: re.Match[str]) -> Iterator[_Word]:
    """Yield a word, and "isn't" as "is" and "not"."""
    low = match[0].lower().replace("’", "'")
    verb, *rest = cues.whole(low)
    at = match.start() + min(len(verb), len(low) - 1)
    yield _Word(verb, match.start(), at if rest else match.end())
    if rest:
        yield _Word("not", at, match.end())


def _cues(words: Sequence[_Word]) -> Iterator[tuple[int, int, bool]]:
    """Yield (first word, word after the last, whether its scope is ahead) of each cue; the longest phrase wins."""
    place = 0
    while place < len(words):
        if after := _no_sign(words, place):
            about = (
                place > 0
                and words[place - 1].text in cues.PRONOUNS
                and after < len(words)
                and words[after].text == "of"
            )
            yield place, after + about, about
            place = after
            continue
        if named := _named(words, place):
            place += named
            continue
        for length in range(min(cues.LONGEST, len(words) - place), 0, -1):
            phrase = tuple(word.text for word in words[place : place + length])
            if phrase in cues.NEITHER:
                place += length
                break
            if phrase in cues.AFTER:
                yield place, place + length, phrase[-1] in cues.EITHER and _has_object(words, place + length)
                place += length
                break
            if phrase in cues.EITHER_SIDE and not _has_object(words, place + length):
                yield place, place + length, False
                place += length
                break
            if phrase in cues.BEFORE and not _no_denial(words, place, phrase):
                yield place, place + length, True
                place += length
                break
        else:
            place += 1


def _named(words: Sequence[_Word], place: int) -> int:
    """Return how many words from here are a term of the vocabulary with a cue in it ("absence of periods"), 0 if none.

    In "no period pain" it is not "no period", because another term begins inside and ends later.
    """
    if normalize.word(words[place].text) not in _names_cues():
        return 0
    forms = [
        normalize.word(each.text) if each.text.isalpha() else each.text for each in words[place : place + 2 * _NAME]
    ]
    known = [n for n in range(2, min(_NAME, len(forms)) + 1) if " ".join(forms[:n]) in _names()]
    if not known:
        return 0
    end = known[-1]
    later = (" ".join(forms[at:to]) for at in range(1, end) for to in range(end + 1, min(at + _NAME, len(forms)) + 1))
    return 0 if any(form in terms() for form in later) else end


def _within(forms: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for at in range(len(forms)):
        for to in range(at + 1, len(forms) + 1):
            yield tuple(forms[at:to])


@functools.cache
def _names() -> frozenset[str]:
    """Return the terms that have a cue in them, "can't" as "can not"."""
    forms = {
        _NOT_JOINED.sub(lambda match: _VERB_OF.get(match[1], (match[1] or "").removesuffix("n")) + " not", form)
        for form in terms()
    }
    return frozenset(form for form in forms if any(phrase in cues.BEFORE for phrase in _within(form.split())))


_NOT_JOINED = re.compile(r"\b(can|won|desn|(?:do|did|is|are|was|were|has|have|had|could|would|should)n) t\b|\bcannot\b")
_VERB_OF = {None: "can", "can": "can", "won": "will", "desn": "doe"}  # in normal form


@functools.cache
def _names_cues() -> frozenset[str]:
    return frozenset(form.split()[0] for form in _names())


def _no_sign(words: Sequence[_Word], place: int) -> int:
    """Return the place after "is not a symptom" or the like, which denies what comes before; 0 if it is not here."""
    said = words[place].text
    if said in cues.BE and place + 1 < len(words) and words[place + 1].text in ("not", "never"):
        first = place + 2
    else:
        return 0
    for at in range(first, min(first + 5, len(words))):
        if words[at].text == "only":
            return 0
        if words[at].text in cues.SIGNS:
            return at + 1
        if not words[at].text.isalpha() or words[at].text in cues.END:
            return 0
    return 0


def _has_object(words: Sequence[_Word], place: int) -> bool:
    """Return whether a noun follows a verb: "did not develop pneumonia", but not "the rash did not develop"."""
    after = words[place].text if place < len(words) else ""
    return after[:1].isalpha() and after not in cues.OPEN and after not in cues.END and after not in cues.LIST


def _no_denial(words: Sequence[_Word], place: int, phrase: tuple[str, ...]) -> bool:
    """Return whether the cue is no negation: "Without X, …" is a condition, and the "No" of "No, X …" is an answer."""
    after = words[place + 1].text if place + 1 < len(words) else ""
    return place == 0 and (phrase == ("without",) or (phrase == ("no",) and after in (",", "–", "—", "-")))


def _ahead(words: Sequence[_Word], first: int, last: int) -> tuple[int, int]:
    """Return the range of words after a cue that it negates."""
    denies = words[first].text in cues.DENIES
    last = _linked(words, last)
    left, main = WINDOW, _main_clause(words, first)
    for place in range(last, len(words)):
        word, before = words[place].text, words[place - 1].text
        left = WINDOW if word in cues.LIST else left - 1
        next_cue = place > last and word in cues.CUES
        if word == "," and place > last and (place == main or _clause(words, place + 1) or _only(words, place + 1)):
            return last, place
        if denies:  # "denies that the child had fever": the scope includes verbs and prepositions, until a new clause
            opens = word in cues.OPEN and before in cues.LIST
        else:
            evidence = before in cues.EVIDENCE and word not in cues.VERBS
            evidence = evidence or (before in ("or", "nor") and word == "cause") or (before == "lead" and word == "to")
            evidence = evidence or (words[first].text == "none" and word in ("had", "has", "have"))
            opens = word in cues.OPEN and not evidence and not (place == last and word in cues.FIRST)
        if word in ("and", "but") and place + 1 < len(words) and words[place + 1].text in cues.DOES:
            return last, place
        if word in cues.END or opens or next_cue or left < 0:
            return last, place
        if word == "of" and place > last and before not in cues.EVIDENCE:
            left = min(left, 3)
    return last, len(words)


def _linked(words: Sequence[_Word], place: int) -> int:
    """Return the place after words that only link a cue with what it negates: "not usually", "not be due to"."""
    while place < len(words):
        if words[place].text in cues.ADVERBS:
            place += 1
        elif tuple(word.text for word in words[place : place + 2]) in cues.LINKS:
            place += 2
        else:
            break
    return place


def _clause(words: Sequence[_Word], place: int) -> bool:
    """Return whether a new clause begins here: words that cannot continue a list, then a verb."""
    for at in range(place, min(place + WINDOW, len(words))):
        word = words[at].text
        if word in cues.VERBS:
            return at > place
        if word in cues.LIST or word in cues.END or word in cues.NO_SUBJECT or word in cues.CUES:
            return False
    return False


def _only(words: Sequence[_Word], place: int) -> bool:
    """Return whether what follows is said instead: "no tumor, only a cyst"."""
    return place < len(words) and words[place].text in ("only", "just", "merely", "simply")


def _main_clause(words: Sequence[_Word], cue: int) -> int | None:
    """Return the comma before the main clause of a sentence that opens with "if" and a cue, or with "instead of" or
    the like; None in others.

    It is the last comma: earlier ones are part of a list.
    """
    opening = [word.text for word in words[:cue]]
    if cue and ("," in opening or not cues.CONDITION.intersection(opening[:2])):
        return None
    if not cue and words[0].text not in cues.OPENERS:
        return None
    return max((at for at in range(cue, len(words)) if words[at].text == ","), default=None)


def _behind(words: Sequence[_Word], first: int) -> tuple[int, int]:
    """Return the range of words before a cue that it negates."""
    left = WINDOW
    while first > 0 and words[first - 1].text in cues.AUXILIARIES:
        first -= 1
    for place in range(first - 1, -1, -1):
        word = words[place].text
        left = WINDOW if word in cues.LIST else left - 1
        if word in cues.END or left < 0 or (word in cues.OPEN and word not in ("in", "has", "have", "had", "at", "of")):
            return place + 1, first
    return 0, first
