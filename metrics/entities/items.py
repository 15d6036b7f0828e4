"""The texts of one item read together: one concept has one key in all of them, however each text writes it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from . import vocabulary
from .assertion import RELATIVES, why_not
from .concepts import forms, turned
from .exclusions import outside
from .layout import prose
from .mentions import Analysis, FoundMention, longest
from .normalize import normalized
from .phrases import Phrases, Word, span, words

Forms = tuple[str, ...]


@dataclass(frozen=True)
class Mention:
    """One mention of a text, with `start` and `end` in characters. Mentions with the same `key` are one concept.

    `why_not` says why the text does not assert it: denied, prevented, condition or family, or that only the answer has
    it in these words (`IMPLIED`); "" if it does.
    """

    text: str
    start: int
    end: int
    label: str
    key: str
    why_not: str = ""

    @property
    def asserted(self) -> bool:
        return not self.why_not


class Placed(NamedTuple):
    """A mention by its place in the prose, with the key of its concept, and why it is not asserted ("" if it is)."""

    found: FoundMention
    key: str
    why_not: str


def resolved(texts: Sequence[str], read: Mapping[str, Analysis]) -> dict[str, tuple[Mention, ...]]:
    """Return the mentions of an item's texts, the question and the context first. Those of one concept share a key."""
    return {text: tuple(_mentions(text, own)) for text, own in in_prose(texts, read).items()}


def _mentions(text: str, placed: Iterable[Placed]) -> Iterator[Mention]:
    as_prose = prose(text)
    for found, key, why in placed:
        start, end = as_prose.original(found.start, found.end)
        yield Mention(text[start:end], start, end, found.label, key, why)


def in_prose(texts: Sequence[str], read: Mapping[str, Analysis]) -> dict[str, list[Placed]]:
    """Return the same mentions by their place in the prose of each text."""
    shared: dict[str, str] = {}
    for text in texts:
        shared = dict(read[text].abbreviations) | shared
    known = {text: _known(shared | dict(read[text].abbreviations)) for text in texts}
    found = {text: _written_out(read[text], prose(text).text, known[text]) for text in texts}
    undefined = _undefined(texts, found, shared)
    long = {text: undefined | known[text] for text in texts}
    found = {text: [_expanded(each, long[text]) for each in own] for text, own in found.items()}
    labels = {form: each.label for own in found.values() for each in own for form in each.forms}
    labels |= {each[0]: _label(each[0]) for each in undefined.values()}
    found = {text: _with_short_forms(prose(text).text, own, long[text], labels) for text, own in found.items()}
    found = _everywhere(found, texts[:-1])
    found = {text: _singly(own, [each for other in texts if other != text for each in found[other]])
             for text, own in found.items()}  # fmt: skip
    unmarked = _unmarked(found, texts[-1])
    keys = _merged([*(each.forms for own in found.values() for each in own), *_longer(found, texts[-1])])
    relatives = any(_RELATIVES.search(text) for text in texts[:2])
    asked = {keys[each.forms[0]] for text in texts[:2] for each in found[text]}

    def why(each: FoundMention, text: str) -> str:
        """A condition supposes what the question gives, and an answer to a question about a relative is about them."""
        scoped = why_not(read[text].scopes, each.start, each.end, each.label == "CHEMICAL")
        about_it = scoped in ("condition", "prevented") and keys[each.forms[0]] in asked
        return "" if about_it or (scoped == "family" and relatives) else scoped

    def broader(text: str) -> Iterator[FoundMention]:
        if text != texts[-1]:
            yield from _broader(found[texts[-1]], [each for each in found[text] if why(each, text) != "denied"])

    return {
        text: [
            *(Placed(each, keys[each.forms[0]], why(each, text)) for each in own),
            *(Placed(each, keys[each.forms[0]], UNMARKED) for each in unmarked.get(text, ())),
            *(Placed(each, keys[each.forms[0]], BROADER) for each in broader(text)),
        ]
        for text, own in found.items()
    }


UNMARKED = "unmarked"  # of words that are a mention in the answer, but were not found in this text
BROADER = "broader"  # of what the answer calls by a broader word than this text: "a statin" where this has atorvastatin
IMPLIED = (UNMARKED, BROADER)


_RELATIVES = re.compile(rf"\b{RELATIVES}\b", re.I)


# Abbreviations


def _known(defined: Mapping[str, str]) -> dict[str, Forms]:
    return {short: forms(long) for short, long in defined.items()}


def _undefined(
    texts: Sequence[str], found: Mapping[str, Sequence[FoundMention]], defined: Mapping[str, str]
) -> dict[str, Forms]:
    """Return what the abbreviations mean that no text of the item defines, as far as the item leaves no doubt."""
    among = [words(prose(text).text) for text in texts]
    written = {word.written.removesuffix("s") for each in among for word in each if not word.written.islower()}
    written |= {word.written for each in among for word in each if not word.written.islower()}
    shorts = [short for short in written if short in vocabulary.abbreviations() and short not in defined]
    if not shorts:
        return {}
    said = {form for own in found.values() for each in own for form in each.forms}
    running = " . ".join(" ".join(word.form for word in each) for each in among)
    meant: dict[str, Forms] = {}
    for short in shorts:
        abbreviation = vocabulary.abbreviations()[short]
        mentioned = [each for each in abbreviation.meanings if each in said or f" {each} " in f" {running} "]
        if abbreviation.use == "always" or (abbreviation.use == "likely" and not mentioned):
            meant[short] = (abbreviation.meanings[0],)
        elif len(mentioned) == 1:
            meant[short] = (mentioned[0],)
    return meant


def _label(concept: str) -> str:
    term = vocabulary.terms().get(concept)
    return term.label if term else "DISEASE"


def _with_short_forms(
    text: str, found: Sequence[FoundMention], long: Mapping[str, Forms], labels: Mapping[str, str]
) -> list[FoundMention]:
    """Return the mentions of a text plus the abbreviations that the pipeline missed.

    The added ones have a long form that is an entity (`labels`, by form) in any of the item's texts or in our list.
    """
    if not long:
        return list(found)
    more: list[FoundMention] = []
    nowhere = list(outside(text))
    for short, own in long.items():
        if not (label := next((labels[form] for form in own if form in labels), "")):
            continue
        if short in text:
            for match in re.finditer(rf"(?<!\w){re.escape(short)}s?(?!\w)", text):
                if not any(low <= match.start() < high for low, high in nowhere):
                    more.append(FoundMention(match[0], *match.span(), label, own))
    return longest([*found, *more])


def _written_out(analysis: Analysis, text: str, known: Mapping[str, Forms]) -> list[FoundMention]:
    """Return a text's mentions, with a long form that one of them ends as one mention, whichever parts the pipeline
    found ("type 2" and "diabetes mellitus", or the latter alone).
    """
    longs = {normalized(long): long for long in analysis.abbreviations.values()}
    return _stretched_all(analysis.found, text, [*longs.values(), *(own[0] for own in known.values())])


def _stretched_all(found: Sequence[FoundMention], text: str, longs: Sequence[str]) -> list[FoundMention]:
    if not longs:
        return list(found)
    ends = [tuple(normalized(long).split()) for long in sorted(set(longs), key=len, reverse=True)]
    among = words(text)
    at = {word.end: index for index, word in enumerate(among)}
    whole = [_stretched(each, text, among, at.get(each.end), ends) for each in found]
    spans = [(long_form.start, long_form.end) for each, long_form in zip(found, whole) if long_form is not each]
    return [
        each
        for each in dict.fromkeys(whole)
        if (each.start, each.end) in spans or not any(low <= each.start and each.end <= high for low, high in spans)
    ]


def _stretched(
    found: FoundMention, text: str, among: Sequence[Word], last: int | None, longs: Sequence[Sequence[str]]
) -> FoundMention:
    """Return a mention that ends a long form, extended to the whole long form. `last` is the index of its last word."""
    if last is None:
        return found
    for parts in longs:
        first = last + 1 - len(parts)
        if first < 0 or among[first].start >= found.start:
            continue
        if tuple(word.form for word in among[first : last + 1]) == parts:
            start, end = span(among, first, last + 1)
            whole = text[start:end]
            return replace(found, text=whole, start=start, end=end, forms=(*forms(whole), *_ids(found)))
    return found


def _expanded(found: FoundMention, long: Mapping[str, Forms]) -> FoundMention:
    """Return a mention with its abbreviations replaced by their long forms.

    The short form is then not one of its forms: elsewhere the same letters may mean something else.
    """
    written = found.text.split()
    bare = [word.strip("()[],.;:") for word in written]
    whole = [long.get(each) or long.get(each.removesuffix("s")) for each in bare]
    if not any(whole) or (len(written) > 1 and found.forms[0] in vocabulary.terms()):
        return found
    if len(written) == 1 and whole[0]:
        return replace(found, forms=(*whole[0], *_ids(found)))
    full = " ".join(own[0] if own else word for own, word in zip(whole, written))
    return replace(found, forms=(*forms(full), *_ids(found)))


def _ids(found: FoundMention) -> Iterable[str]:
    return (form for form in found.forms if form.startswith("kb:"))


# One text's mentions in the others


SHORT = 6  # letters of a word in capitals that is taken for an abbreviation


def _everywhere(found: Mapping[str, Sequence[FoundMention]], sources: Sequence[str]) -> dict[str, list[FoundMention]]:
    """Return the mentions of all texts, where what one of `sources` mentions is a mention in every text.

    A pipeline may miss in a list what it finds in a sentence, or cut it otherwise. The longest phrase counts.
    The answer is no source: what a reference asks for does not depend on who answers.
    """
    known = _phrases({text: found[text] for text in sources})
    return {text: longest([*known.find(text), *own]) for text, own in found.items()}


def _unmarked(found: Mapping[str, Sequence[FoundMention]], answer: str) -> dict[str, list[FoundMention]]:
    """Return where other texts say, unmarked by the pipeline, what the answer mentions: that is not invented."""
    known = _phrases({answer: found[answer]})
    return {
        text: [
            each
            for each in known.find(text)
            if not any(other.start < each.end and each.start < other.end for other in own)
        ]
        for text, own in found.items()
        if text != answer
    }


def _longer(found: Mapping[str, Sequence[FoundMention]], answer: str) -> Iterator[Forms]:
    """Yield forms that mean the same: the answer's mention is, word for word, in another text around a mention there.

    A pipeline may cut the same words differently: "tingling in the fingers" in one text and "tingling" in the other.
    """
    known = _phrases({answer: found[answer]})
    for text, own in found.items():
        for each in known.find(text) if text != answer else ():
            inside = [other for other in own if other.start < each.end and each.start < other.end]
            if len(inside) == 1 and each.start <= inside[0].start and inside[0].end <= each.end:
                yield (*inside[0].forms, *each.forms)


def _singly(own: Sequence[FoundMention], others: Sequence[FoundMention]) -> list[FoundMention]:
    """Return a text's mentions, with "codeine and paracetamol" as two, unless another text names the combination."""
    elsewhere = {form for each in others if not _PAIR.search(each.text) for form in each.forms}
    return [part for each in own for part in (_parts(each) if elsewhere.isdisjoint(each.forms) else [each])]


_PAIR = re.compile(r"\s+(?:and|with|plus)\s+")


def _parts(found: FoundMention) -> list[FoundMention]:
    """Return the two drugs that a mention names, if both are in the vocabulary by themselves."""
    if found.label == "CHEMICAL" and (link := _PAIR.search(found.text)):
        places = ((0, link.start()), (link.end(), len(found.text)))
        parts = [
            replace(found, text=part, start=found.start + low, end=found.start + high, forms=forms(part))
            for low, high in places
            for part in (found.text[low:high],)
        ]
        if all(_is_drug(each) for each in parts):
            return parts
    return [found]


def _is_drug(found: FoundMention) -> bool:
    return any((term := vocabulary.terms().get(form)) and term.label == "CHEMICAL" for form in found.forms)


def _broader(said: Sequence[FoundMention], own: Sequence[FoundMention]) -> Iterator[FoundMention]:
    """Yield the answer's mentions that name what a text mentions by a broader word, at the place where the text does.

    Such are the last words of a phrase ("arthritis" for rheumatoid arthritis) and classes (`vocabulary.classes`).
    """
    for each in said:
        members = frozenset[str]().union(*(vocabulary.classes().get(form, ()) for form in each.forms))
        for narrow in own:
            head = any(form.endswith(f" {each.forms[0]}") for form in narrow.forms)
            if each.forms[0] not in narrow.forms and (head or not members.isdisjoint(narrow.forms)):
                yield replace(each, text=narrow.text, start=narrow.start, end=narrow.end)


def _phrases(found: Mapping[str, Sequence[FoundMention]]) -> _Known:
    known: dict[str, FoundMention] = {}
    for text, own in found.items():
        for each, phrase in zip(own, _phrases_of(prose(text).text, own)):
            if len(phrase) > 1:
                known.setdefault(phrase, each)
    known = {phrase: each for phrase, each in known.items() if not _joins_known(phrase, known)}
    for phrase, each in list(known.items()):
        for other in turned(phrase):
            known.setdefault(other, each)
    return _Known(
        Phrases((phrase, each) for phrase, each in known.items() if not _is_acronym(each)),
        [each for each in known.values() if _is_acronym(each)],
    )


class _Known(NamedTuple):
    """Mentions to look for in other texts: words in normal form, and acronyms as they are written."""

    phrases: Phrases[FoundMention]
    acronyms: Sequence[FoundMention]

    def find(self, text: str) -> Iterator[FoundMention]:
        as_prose = prose(text)
        among = words(as_prose.text)
        for each in self.acronyms:
            if each.text in text:
                for match in re.finditer(rf"(?<!\w){re.escape(each.text)}(?!\w)", text):
                    if place := as_prose.here(*match.span()):
                        yield replace(each, text=as_prose.text[slice(*place)], start=place[0], end=place[1])
        for first, last, each in self.phrases.find(among):
            start, end = span(among, first, last)
            yield replace(each, text=as_prose.text[start:end], start=start, end=end)


def _phrases_of(text: str, found: Sequence[FoundMention]) -> Iterator[str]:
    """Yield the words of each mention in normal form."""
    among = iter(words(text))
    word = next(among, None)
    for each in found:
        own: list[str] = []
        while word and word.start < each.end:
            if word.end > each.start:
                own.append(word.form)
            word = next(among, None)
        yield " ".join(own)


def _joins_known(phrase: str, known: Mapping[str, FoundMention]) -> bool:
    """Return whether this is two other phrases with "and" or "or" between them."""
    parts = re.split(r" (?:and|or) ", phrase)
    return len(parts) > 1 and all(part in known for part in parts)


def _is_acronym(found: FoundMention) -> bool:
    """Return whether these are letters that mean something only in this case."""
    return found.text.isupper() and len(found.text) <= SHORT


# Keys


def _merged(groups: Iterable[Sequence[str]]) -> dict[str, str]:
    """Return one key for all forms that are connected by mentions (union-find)."""
    above: dict[str, str] = {}

    def top(form: str) -> str:
        while (higher := above.setdefault(form, form)) != form:
            form = higher
        return form

    for group in groups:
        first = top(group[0])
        for form in group[1:]:
            above[top(form)] = first
    together: dict[str, list[str]] = {}
    for form in above:
        together.setdefault(top(form), []).append(form)
    names = {
        head: max(own, key=lambda form: (not form.startswith("kb:"), len(form), form)) for head, own in together.items()
    }
    return {form: names[top(form)] for form in above}
