"""The texts of one item read together: one concept has one key in all of them, however each text writes it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from . import vocabulary
from .assertion import RELATIVES, why_not
from .concepts import forms
from .layout import prose
from .mentions import Analysis, FoundMention, longest
from .normalize import normalized
from .phrases import Phrases, Word, span, words

Forms = tuple[str, ...]


@dataclass(frozen=True)
class Mention:
    """One mention of a text, with `start` and `end` in characters. Mentions with the same `key` are one concept.

    `why_not` says why the text does not assert it: denied, prevented, condition or family; "" if it does.
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


def resolved(texts: Sequence[str], read: Mapping[str, Analysis]) -> dict[str, tuple[Mention, ...]]:
    """Return the mentions of an item's texts, the question and the context first. Those of one concept share a key."""
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
    found = _everywhere(found)
    keys = _merged(each.forms for own in found.values() for each in own)
    about_relatives = any(_RELATIVES.search(text) for text in texts[:2])
    return {text: tuple(_mentions(text, own, read[text], keys, about_relatives)) for text, own in found.items()}


_RELATIVES = re.compile(rf"\b{RELATIVES}\b", re.I)


def _mentions(
    text: str, found: Sequence[FoundMention], analysis: Analysis, keys: Mapping[str, str], about_relatives: bool
) -> Iterator[Mention]:
    as_prose = prose(text)
    for each in found:
        start, end = as_prose.original(each.start, each.end)
        why = why_not(analysis.scopes, each.start, each.end, each.label == "CHEMICAL")
        if why == "family" and about_relatives:
            why = ""
        yield Mention(text[start:end], start, end, each.label, keys[each.forms[0]], why)


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
    for short, own in long.items():
        if not (label := next((labels[form] for form in own if form in labels), "")):
            continue
        if short in text:
            for match in re.finditer(rf"(?<![\w]){re.escape(short)}s?(?!\w)", text):
                more.append(FoundMention(match[0], *match.span(), label, own))
    return longest([*found, *more])


def _written_out(analysis: Analysis, text: str, known: Mapping[str, Forms]) -> list[FoundMention]:
    """Return a text's mentions, with a long form that one of them ends as one mention, whichever parts the pipeline
    found ("type 2" and "diabetes mellitus", or the latter alone).
    """
    longs = {normalized(long): long for long in analysis.abbreviations.values()}
    return _stretched_all(analysis.found, text, [*longs.values(), *(own[0] for own in known.values())])


def _stretched_all(found: Sequence[FoundMention], text: str, longs: Sequence[str]) -> list[FoundMention]:
    whole = [_stretched(each, text, longs) for each in found]
    spans = [(long_form.start, long_form.end) for each, long_form in zip(found, whole) if long_form is not each]
    return [
        each
        for each in dict.fromkeys(whole)
        if (each.start, each.end) in spans or not any(low <= each.start and each.end <= high for low, high in spans)
    ]


def _stretched(found: FoundMention, text: str, longs: Iterable[str]) -> FoundMention:
    """Return a mention that ends a long form, extended to the whole long form."""
    among = words(text)
    last = next((at for at, word in enumerate(among) if word.end >= found.end), None)
    if last is None or not longs:
        return found
    for whole in sorted(set(longs), key=len, reverse=True):
        parts = normalized(whole).split()
        first = last + 1 - len(parts)
        if first >= 0 and among[first].start < found.start and [w.form for w in among[first : last + 1]] == parts:
            start, end = span(among, first, last + 1)
            return replace(found, text=text[start:end], start=start, end=end, forms=(*forms(text[start:end]), *_ids(found)))
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


SHORT = 5  # letters of a word in capitals that is taken for an abbreviation


def _everywhere(found: Mapping[str, Sequence[FoundMention]]) -> dict[str, list[FoundMention]]:
    """Return the mentions of all texts, where what one text mentions is a mention in the others too.

    A pipeline may miss in a list what it finds in a sentence, or cut it otherwise. The longest phrase counts.
    """
    known: dict[str, FoundMention] = {}
    for text, own in found.items():
        for each, phrase in zip(own, _phrases_of(prose(text).text, own)):
            if len(phrase) > 2:
                known.setdefault(phrase, each)
    known = {phrase: each for phrase, each in known.items() if not _joins_known(phrase, known)}
    search = Phrases(known.items())
    return {text: _with_phrases(prose(text).text, own, search) for text, own in found.items()}


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


def _with_phrases(text: str, own: Sequence[FoundMention], search: Phrases[FoundMention]) -> list[FoundMention]:
    among = words(text)
    more = [
        replace(each, text=text[low:high], start=low, end=high)
        for first, last, each in search.find(among)
        if _same_case(among[first:last], each)
        for low, high in [span(among, first, last)]
    ]
    return longest([*own, *more])


def _same_case(among: Sequence[Word], found: FoundMention) -> bool:
    """Return whether these words can be that mention: an abbreviation is one only in its own case."""
    return not (found.text.isupper() and len(found.text) <= SHORT) or among[0].written == found.text


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
