"""Find where a text names options: by label, by their own words, or by their position in the list."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from . import phrases
from .text import plain
from .words import BEGINNING, VERBS, WORD, gerund, spelled, words_of

Option = int | str  # index of an offered option, or a label that was not offered
Options = frozenset[Option]

_DETERMINERS = {("no",), ("none",), ("all",), ("both",)}  # these usually belong to the next word
_ARTICLE = re.compile(r"(?:an?|the|to)\s+", re.I)
_COMBINED = re.compile(r",\s*(?:and|or)\s+|,\s*|\s+(?:and|or)\s+|\s*[&+]\s*", re.I)
_BRACKETED = re.compile(r"(.+?)\s*\(([^()]+)\)")  # "Systemic lupus erythematosus (SLE)"
_ABBREVIATION = re.compile(r"(?=.*[A-Z].*[A-Z])[A-Za-z0-9-]{2,8}")
# The text says to stop what the option says to start.
_STOPPED_BEFORE = re.compile(
    r"\b(?:stop|hold|discontinu|withhold|withdraw|avoid|taper|reduc|decreas|defer|delay|already)\w*\s+(?:\w+\s+){0,2}\Z",
    re.I,
)
_STOPPED_AFTER = re.compile(
    r"\s+(?:\w+\s+){0,3}(?:stopped|held|discontinued|withheld|withdrawn|avoided|tapered|reduced|deferred|delayed)\b",
    re.I,
)


def _holds(words: tuple[str, ...], part: tuple[str, ...]) -> bool:
    return any(words[at : at + len(part)] == part for at in range(len(words) - len(part) + 1))


class Offer:
    """The available options, as words to search for."""

    def __init__(self, options: Sequence[str], labels: Sequence[str]) -> None:
        self.answers = tuple(labels or options)
        texts = [plain(option) for option in options]
        self.labels = {words_of(plain(label)): index for index, label in enumerate(labels)}
        self.own = [words_of(text) for text in texts]
        self.texts: dict[tuple[str, ...], Options] = {}
        for index, words in enumerate(self.own):
            if words:
                self.texts[words] = self.texts.get(words, frozenset()) | {index}
        self.things = dict(self._things(texts))
        self.lengths = sorted(
            {len(words) for words in (*self.texts, *self.labels, *self.things) if words}, reverse=True
        )
        self.letters = bool(labels) and all(len(label) == 1 and label.isalpha() for label in labels)
        self.lower_case = any(label.islower() for label in labels)
        self.denials = phrases.DENIED_BEFORE if ("no",) in self.texts else phrases.DENIED_OR_NO_BEFORE
        # "Option 2" is a position in the list unless numbers are labels or options themselves.
        numbers = any(word.isdigit() for words in (*self.labels, *self.texts) if len(words) == 1 for word in words)
        self.places = not numbers
        self.combined = {named: index for index, text in enumerate(texts) if (named := self._combination(index, text))}

    def _things(self, texts: Sequence[str]) -> Iterator[tuple[tuple[str, ...], tuple[int, str]]]:
        """Return shorter names that belong to one option alone, each with the spelling that it needs, if any.

        These are what the option says to begin ("needle decompression"), and the parts in and before its brackets
        ("SLE"). Adds to `texts` another form of options that begin with a verb ("reducing the dose").
        """
        for index, own in enumerate(self.own):
            verb, rest = "".join(own[:1]), own[1:]
            thing = tuple(rest[1:] if rest[:1] in (("a",), ("an",), ("the",)) else rest)
            if verb in VERBS and thing:
                self.texts.setdefault((gerund(verb), *rest), Options([index]))
                if verb in BEGINNING and max(map(len, thing)) > 3 and self._only(index, thing):
                    yield thing, (index, "")
            if bracketed := _BRACKETED.fullmatch(texts[index]):
                for part in bracketed.groups():
                    words, short = words_of(part), bool(_ABBREVIATION.fullmatch(part))
                    if words and (short or part == bracketed[1]) and self._only(index, words):
                        yield words, (index, part if short else "")

    def _only(self, index: int, words: tuple[str, ...]) -> bool:
        """Return whether no other option contains these words."""
        others = (own for other, own in enumerate(self.own) if other != index)
        return words not in self.labels and not any(_holds(own, words) for own in others)

    def _combination(self, index: int, text: str) -> Options:
        """Return the options that option `index` combines: "Both A and B", "All of the above"."""
        if phrases.ALL_ABOVE.fullmatch(text):
            return Options(range(index)) if index > 1 else Options()
        whole = phrases.COMBINATION.fullmatch(text)
        parts = [words_of(part) for part in _COMBINED.split(whole[1])] if whole else []
        found = [self.labels.get(part, min(self.texts.get(part, {-1}), key=str)) for part in parts if part]
        indices = [part for part in found if isinstance(part, int) and part >= 0 and part != index]
        return Options(indices) if len(indices) == len(parts) > 1 else Options()

    def listed(self, found: Options) -> str:
        """Return the found options as a reason lists them, in the order offered."""
        offered = [self.answers[option] for option in sorted(o for o in found if isinstance(o, int))]
        return ", ".join([*offered, *sorted(o for o in found if isinstance(o, str))])

    def same(self, options: Options) -> bool:
        """Return whether these options have the same text, so that each is equally correct."""
        if not options or not all(isinstance(option, int) for option in options):
            return False
        return len({self.own[option] for option in options if isinstance(option, int)}) == 1


@dataclass(frozen=True, slots=True)
class Name:
    """Options named from character `start` to `end`; several if they have the same words or are listed together."""

    options: Options
    start: int
    end: int
    label: bool  # by its label, not by its own words
    place: bool = False  # "the second option"


class Named:
    """A text and the options named in it."""

    def __init__(self, text: str, offer: Offer) -> None:
        self.text, self.offer = text, offer
        found = list(WORD.finditer(text))
        self.words = [spelled(match[0]) for match in found]
        self.starts = [match.start() for match in found]
        self.ends = [match.end() for match in found]
        self.length = len(text.rstrip())
        self.places = dict(self._places()) if offer.places else {}
        self.named = list(self._named())

    def at(self, position: int, alone: bool = False) -> Name | None:
        """Return the option named at `position`, with those listed with it.

        Skips quotes, brackets, the word "option" and articles. `alone`: an option's own words must stand alone, as
        labels and answers without labels always must.
        """
        alone = alone or not self.offer.labels
        name = None
        for opening in (phrases.QUOTED, phrases.MARKS, phrases.OPENING):
            start = self.skip(opening, position)
            name = self._name(start)
            if name is None and (article := _ARTICLE.match(self.text, start)):
                name = self._name(article.end())
                name = None if name and name.label else name
            if name is None and not self.offer.labels and (letter := phrases.LETTERED.match(self.text, start)):
                name = self._name(letter.end())
            if name:
                break
        if name is None:
            return None
        if alone and not name.label and not phrases.STANDS_ALONE.match(self.text, name.end):
            return None
        return self._with_others(name)

    def skip(self, pattern: re.Pattern[str], position: int) -> int:
        match = pattern.match(self.text, position)
        return match.end() if match else position

    # -- several names

    def _with_others(self, name: Name) -> Name:
        """Return `name` with what is named beside it ("B (aspirin)", "B. Aspirin") or listed with it ("A or C", "A,
        C").
        """
        name = self._with_beside(name)
        options, end = name.options, name.end
        last = name.options
        while True:
            comma = phrases.AND.match(self.text, end)
            position = self.skip(phrases.OPENING, comma.end() if comma else end)
            joined = bool(comma and comma[0].strip("()[]\"' ")[:1].isalpha())
            other = self._name(position) or (self._subject(position) if joined else None)
            if other is None:
                break
            if comma is None and not self._lists(last, other, end):
                break
            if (
                comma is not None
                and not (joined and self._together(name, other))
                and not phrases.STANDS_ALONE.match(self.text, other.end)
            ):
                break
            if self.ruled_out_after(other):
                break
            other = self._with_beside(other)
            options, end, last = options | other.options, other.end, other.options
        return Name(options, name.start, end, name.label, name.place)

    def _subject(self, position: int) -> Name | None:
        """Return the label at `position` if a verb follows: the B of "A and B are both right"."""
        word = bisect_left(self.starts, position)
        if word >= len(self.starts) or self.starts[word] != position or not self.text[position].isupper():
            return None
        index, end = self.offer.labels.get((self.words[word],)), self.ends[word]
        article = self.text[position] in "AI" and not phrases.PLURAL.match(self.text, end)
        if index is None or article or not re.match(r"\s+[a-z]", self.text[end : end + 3]):
            return None
        return Name(Options([index]), position, end, label=True)

    def _together(self, name: Name, other: Name) -> bool:
        """Return whether `other`, after an "and", shares its verb with `name`: "aspirin and heparin are …"."""
        if phrases.BOTH_BEFORE.search(self.text, max(0, name.start - 20), name.start):
            return True
        if other.label != name.label:  # "The answer is A. Aspirin and heparin are …"
            return False
        return bool((phrases.PLURAL if other.label else phrases.ARE).match(self.text, other.end))

    def within(self, start: int, stop: int) -> list[Name]:
        """Return the names that start in start..stop."""
        first = bisect_left(self.named, start, key=lambda name: name.start)
        return self.named[first : bisect_left(self.named, stop, key=lambda name: name.start)]

    def _lists(self, last: Options, other: Name, end: int) -> bool:
        """Return whether `other` continues a list in one line: "A) Aspirin B) Ibuprofen"."""
        if not (other.label and len(last) == len(other.options) == 1):
            return False
        (one,), (two,) = last, other.options
        follows = isinstance(one, int) and isinstance(two, int) and two == one + 1
        return follows and other.start > end and bool(re.match(r"\s?[).:]", self.text[self.label_end(other) :][:2]))

    def label_end(self, name: Name) -> int:
        """Return where the label of a name ends, before the option's own words."""
        return self.ends[bisect_left(self.starts, name.start)]

    def by_both(self, name: Name) -> bool:
        """Return whether a name is a label with its option's words: "B. Aspirin", "aspirin (B)"."""
        words = self.words[bisect_left(self.starts, name.start) : bisect_left(self.starts, name.end)]
        own = [self.offer.own[option] for option in name.options if isinstance(option, int)]
        return len(own) == 1 and len(words) > len(own[0]) > 0

    def _with_beside(self, name: Name) -> Name:
        """Return `name` merged with the same option named again beside it, or with another that contradicts it."""
        start = self.skip(phrases.BESIDE, name.end)
        beside = self._name(start)
        if beside is None or beside.label == name.label:
            return name
        between = self.text[name.end : start]
        if "\n\n" in between and name.options == beside.options:
            return name
        if name.options & beside.options:  # a label decides which of two equal texts is meant
            end = self.skip(phrases.CLOSING, beside.end)
            return Name(name.options & beside.options, name.start, end, name.label, name.place)
        judged = phrases.IS_CORRECT.match(self.text, beside.end) or phrases.IS_LIKELIEST.match(self.text, beside.end)
        contradicts = phrases.ENDS.match(self.text, beside.end) or (name.label and judged)
        if not contradicts or "," in between or (not name.label and "." in between) or self.ruled_out_after(beside):
            return name
        end = beside.end if judged else self.skip(phrases.CLOSING, beside.end)
        return Name(name.options | beside.options, name.start, end, name.label, name.place)

    def ruled_out_after(self, name: Name) -> bool:
        return bool(phrases.DENIED_AFTER.match(self.text, name.end, name.end + 80))

    # -- one name

    def _places(self) -> Iterator[tuple[int, Name]]:
        count = len(self.offer.answers)
        for match in phrases.PLACE.finditer(self.text):
            said = (match["ordinal"] or match["cardinal"]).lower()
            index = count - 1 if said == "last" else phrases.NUMBERS.get(said, 0) - 1
            if index < 0:
                continue
            option: Option = index if index < count else said
            yield match.start(), Name(Options([option]), match.start(), match.end(), label=True, place=True)

    def _named(self) -> Iterator[Name]:
        """Return every option named anywhere, and every word spelled like a label; none inside a longer name."""
        word = 0
        while word < len(self.words):
            index = self.offer.labels.get((self.words[word],))
            name = self._name_of(word)
            if name is None and index is not None and not self._pronoun(word):
                name = Name(Options([index]), self.starts[word], self.ends[word], label=True)
            if name:
                article = self.text[name.start : name.end] == "a" and not self.offer.lower_case
                name = name if article else self._with_beside(name)
                yield name
            word = max(word + 1, bisect_left(self.starts, name.end)) if name else word + 1

    def _pronoun(self, word: int) -> bool:
        """Return whether a label is the pronoun: "I would"."""
        start, end = self.starts[word], self.ends[word]
        before = self.text[max(0, start - 20) : start]
        return self.text[start:end] == "I" and not phrases.OPTION_BEFORE.search(before)

    def _name(self, start: int) -> Name | None:
        word = bisect_left(self.starts, start)
        return self._name_of(word) if word < len(self.starts) and self.starts[word] == start else None

    def _name_of(self, word: int) -> Name | None:
        """Return the longest name that begins with this word; the label if two are equally long."""
        start = self.starts[word]
        for length in self.offer.lengths:
            words = tuple(self.words[word : word + length])
            if len(words) < length:
                continue
            end = self.ends[word + length - 1]
            index = self.offer.labels.get(words)
            if index is not None and (label := self._label(index, start, end, word + length)):
                return label
            options = self.offer.texts.get(words) or self._thing(words, start, end)
            if options and (words not in _DETERMINERS or phrases.STANDS_ALONE.match(self.text, end)):
                end = self._closed(start, end)
                return Name(options, start, end, label=False)
        if start in self.places:
            return self.places[start]
        letter = self.text[start : self.ends[word]]
        foreign = self.offer.letters and re.fullmatch("[A-Z]", letter) and (self.words[word],) not in self.offer.labels
        if foreign and letter != "I" and phrases.STANDS_ALONE.match(self.text, self.ends[word]):
            return Name(Options([letter]), start, self.ends[word], label=True)
        return None

    def _thing(self, words: tuple[str, ...], start: int, end: int) -> Options | None:
        """Return the option that a shorter name stands for, unless the text says to stop it."""
        index, spelling = self.offer.things.get(words, (-1, ""))
        if index < 0 or (spelling and self.text[start:end] != spelling):
            return None
        stopped = _STOPPED_BEFORE.search(self.text[max(0, start - 40) : start]) or _STOPPED_AFTER.match(self.text, end)
        return None if stopped else Options([index])

    def _closed(self, start: int, end: int) -> int:
        """Return `end`, moved after the closing bracket of one inside a name: "Low phosphatase (LAP)"."""
        open_inside = self.text.count("(", start, end) > self.text.count(")", start, end)
        return end + 1 if open_inside and self.text[end : end + 1] == ")" else end

    def _label(self, index: int, start: int, end: int, following: int) -> Name | None:
        """Return a label, with its option's own words if they follow; None if it only begins a phrase."""
        own = self.offer.own[index]
        if own and tuple(self.words[following : following + len(own)]) == own:
            return Name(Options([index]), start, self._closed(start, self.ends[following + len(own) - 1]), label=True)
        # "b. ibuprofen" begins "ibuprofen 400 mg"; "c. difficile" begins no option and is itself a name.
        begun = own and self.words[following : following + 1] == [own[0]] and self.text[end : end + 1] in ".)"
        if not begun and not phrases.STANDS_ALONE.match(self.text, end):
            return None
        # "The answer is a" was cut off before its noun; "Answer: a" and a lone "a" were not.
        if self.text[start:end] == "a" and not self.offer.lower_case and end >= self.length:
            before = self.text[max(0, start - 10) : start].rstrip(" \t\"'([")
            if before and before[-1] not in ":=\n":
                return None
        return Name(Options([index]), start, end, label=True)

    def marked(self, name: Name) -> bool:
        """Return whether a label is marked as one: "option B", "(B)"; or "B." or "B is" at the start of a sentence."""
        if name.place:
            return True
        end = self.label_end(name)
        start = name.start
        before = self.text[max(0, start - 20) : start]
        alone = phrases.STANDS_ALONE.match(self.text, end)
        capital = self.offer.lower_case or not self.text[start:end].islower()
        if phrases.OPTION_BEFORE.search(before):
            return bool(
                alone or (capital and self.text[end : end + 1] == " ") or phrases.VERB_AFTER.match(self.text, end)
            )
        if phrases.BRACKET_BEFORE.search(before) and phrases.BRACKET_AFTER.match(self.text, end):
            return not self.text[start:end].isdigit()  # "[2]" is a citation
        if phrases.SENTENCE_START.search(self.text, max(0, start - 20), start):
            listed = alone and phrases.LISTED_AFTER.match(self.text, end)
            return bool(listed or (capital and phrases.VERB_AFTER.match(self.text, end)))
        return False
