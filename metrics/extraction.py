"""Reading a choice off a generated text: strict, pure, never a guess.

What is found is looked for in this order, and the first kind that finds anything decides:

1. fields: `<answer>…</answer>`, `\\boxed{…}`, JSON with `answer_choice` (or `answer`);
2. a final statement: "Final answer: B";
3. statements ("Answer: B", "the correct option is (B)", "B is the correct answer", "I choose B") together with a line,
   first or last, that holds one option and nothing else;
4. conclusions: "Therefore, B.", "I think it is B.", "The most likely diagnosis is …";
5. the opening: "B. Because …", "Yes, the trial …";
6. bare mentions of options, which count only where exactly one is mentioned and it is not ruled out.

Two answers of the deciding kind are no answer, even where the second follows a "wait": which of them is meant would be
a guess. Neither is a statement that is negated, supposed or asked ("if the answer is B", "is the answer B?"), an
answer cut off before it is clear, nor an option that was not offered. Reasoning in `<think>` tags is not read.

Letters are words of medicine too (vitamin D, hepatitis B, E. coli, T cells, "A patient", "there is no evidence"): a
label, or the word "no", counts only where it stands alone, and a bare mention of a label only where it is marked as
one: "(B)", "option B".
"""

from __future__ import annotations

import json
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from . import phrases

Option = int | str  # index of an offered option, or a letter that was not offered
Options = frozenset[Option]


@dataclass(frozen=True, slots=True)
class Reading:
    """The option that a text chooses, or why none could be read."""

    index: int | None
    reason: str = ""  # "" where an option was read


def read_choice(text: str, options: Sequence[str], labels: Sequence[str] = ()) -> Reading:
    """The one option that `text` chooses. `labels` as in Item: one per option, or none where options are answered by
    their own words (yes, no, maybe). Case, punctuation and Markdown do not matter.
    """
    if labels and len(labels) != len(options):
        raise ValueError(f"{len(labels)} labels for {len(options)} options")
    return _read(_plain(text), _Offer(options, labels))


# --- the text and its fields ------------------------------------------------------------------------------------

_THINKING = r"(?:think|thinking|analysis|reasoning|scratchpad)"
_THOUGHT = re.compile(rf"<({_THINKING})>.*?(?:</\1>|\Z)", re.S | re.I)
_THOUGHT_END = re.compile(rf"</{_THINKING}>", re.I)
_LATEX = re.compile(r"\\(?:text|textbf|mathrm|mathbf)\s?\{([^{}]*)\}")
_EMPHASIS = re.compile(r"[*`]+|(?<![^\W_])_{1,3}(?=[^\W_])|(?<=[^\W_])_{1,3}(?![^\W_])")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
_QUOTES = str.maketrans("‘’‚“”„«»", '\'\'\'"""""')
_TAG = re.compile(r"<(answer|final_answer)>(.*?)(?:</\1>|\Z)", re.S | re.I)
_BOXED = re.compile(r"\\f?boxed\s?\{((?:[^{}]|\{[^{}]*\})*)\}")
_JSON = r"""["']{key}["']\s?:\s?(?:("(?:[^"\\]|\\.)*")|'([^'\n]*)'|(\d+))"""
_JSON_CHOICE = re.compile(_JSON.format(key="answer_choice"))
_JSON_ANSWER = re.compile(_JSON.format(key="(?:final_)?answer"))
_NESTED = 2  # fields are looked for inside fields this deep


def _plain(text: str) -> str:
    """One spelling of what looks alike; Markdown emphasis and LaTeX text commands taken off."""
    seen = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)).translate(_QUOTES)
    return _EMPHASIS.sub("", _LATEX.sub(r"\1", seen))


def _read(text: str, offer: _Offer, depth: int = 0) -> Reading:
    spoken = _THOUGHT.sub("", text)
    if ends := list(_THOUGHT_END.finditer(spoken)):  # the template of some models opens the tag itself
        spoken = spoken[ends[-1].end() :]
    if not spoken.strip():
        return Reading(None, "reasoning without an answer" if text.strip() else "empty answer")
    inner = [_read(field, offer, depth + 1) for field in _fields(spoken)] if depth < _NESTED else []
    found = {reading.index for reading in inner if reading.index is not None}
    if found:
        return _stated(frozenset(found), offer)
    return inner[0] if inner else _Prose(spoken, offer).reading()


def _fields(text: str) -> list[str]:
    """Contents of the places that an answer was asked to be put in; an unfinished JSON value is none."""
    found = [match[2] for match in _TAG.finditer(text)] or [match[1] for match in _BOXED.finditer(text)]
    if not found:
        for match in list(_JSON_CHOICE.finditer(text)) or list(_JSON_ANSWER.finditer(text)):
            try:
                found.append(json.loads(match[1], strict=False) if match[1] else match[2] or match[3] or "")
            except json.JSONDecodeError:  # an escape that JSON does not know
                found.append(match[1].strip('"'))
    return [field for field in found if field.strip()]


def _stated(found: Options, offer: _Offer) -> Reading:
    """The reading where the deciding evidence is for `found`, at least one option."""
    if len(found) > 1:
        return Reading(None, f"{_number(found)} answers stated: {offer.listed(found)}")
    (option,) = found
    return Reading(option) if isinstance(option, int) else Reading(None, f"option {option} not offered")


def _number(found: Options) -> str:
    return {2: "two", 3: "three", 4: "four", 5: "five"}.get(len(found), str(len(found)))


# --- options and their names ------------------------------------------------------------------------------------

# A decimal number is one word, so that "5 mg" is not found in "0.5 mg"; signs that change a meaning are words too.
_WORD = re.compile(r"\d+(?:[.,]\d+)+|\w+|(?<!\w)[-−](?=\w)|[^\w\s.,;:!?\"'()\[\]{}\\|~$_*`#–—-]")
_DETERMINERS = {("no",), ("none",), ("all",), ("both",)}  # mostly, they belong to the word that follows
_PUNCTUATION = re.compile(r"[\s.,;:!?)\]}\"'$\\|>]*")
_OPENING = re.compile(
    r"[\s\"'(\[{$\\<>#•-]*(?:(?:either|both)\s+)?(?:(?:the\s+)?(?:option|choice|letter)\b[\s\"'(\[{:]*)?", re.I
)
_ARTICLE = re.compile(r"(?:an?|the)\s+", re.I)
_BESIDE = re.compile(r"[\s.:)\](\[\"'–—-]*")
_AND = re.compile(
    r"[()\[\]\"'\s]*(?:,\s*(?:and/or|and|or)\b|[,;/&+]|\b(?:and/or|and|or)\b)\s*(?:(?:maybe|perhaps|possibly)\s)?", re.I
)
_LINE = re.compile(r"[^\n]*\S[^\n]*")
_SENTENCE_END = re.compile(r"[.!?;](?=\s|\Z)|\n")
_SENTENCE_START = re.compile(r"(?:\A|\n|[.!?;]\s)[\s\"'(\[•-]*\Z")
_OPTION_BEFORE = re.compile(r"\b(?:option|choice|letter)s?[\s:(\[\"']*\Z", re.I)
_BRACKET_BEFORE = re.compile(r"[(\[\"']\s*\Z")
_BRACKET_AFTER = re.compile(r"\s*[)\]\"']")
_LISTED_AFTER = re.compile(r"\s*[).:\]]")
_VERB_AFTER = re.compile(r"\s+(?:is|was|are|would|can|cannot|does|has|seems|isn't)\b")


def _words(text: str) -> tuple[str, ...]:
    return tuple(match[0].casefold() for match in _WORD.finditer(text))


class _Offer:
    """What there is to choose from, as words to look for."""

    def __init__(self, options: Sequence[str], labels: Sequence[str]) -> None:
        self.answers = tuple(labels or options)
        self.labels = {_words(_plain(label)): index for index, label in enumerate(labels)}
        self.own = [_words(_plain(option)) for option in options]
        self.texts: dict[tuple[str, ...], Options] = {}
        for index, words in enumerate(self.own):
            if words:
                self.texts[words] = self.texts.get(words, frozenset()) | {index}
        self.lengths = sorted({len(words) for words in (*self.texts, *self.labels) if words}, reverse=True)
        self.letters = bool(labels) and all(len(label) == 1 and label.isalpha() for label in labels)
        self.lower_case = any(label.islower() for label in labels)
        self.denials = phrases.DENIED_BEFORE if ("no",) in self.texts else phrases.DENIED_OR_NO_BEFORE

    def listed(self, found: Options) -> str:
        """The found options as a reason names them, in the order offered."""
        offered = [self.answers[option] for option in sorted(o for o in found if isinstance(o, int))]
        return ", ".join([*offered, *sorted(o for o in found if isinstance(o, str))])


@dataclass(frozen=True, slots=True)
class _Name:
    """Options named from character `start` to `end`: several where they have the same words, or are listed."""

    options: Options
    start: int
    end: int
    label: bool  # by its label, not by its own words


class _Prose:
    """One text with its words, and each kind of evidence in it."""

    def __init__(self, text: str, offer: _Offer) -> None:
        self.text, self.offer = text, offer
        found = list(_WORD.finditer(text))
        self.words = [match[0].casefold() for match in found]
        self.starts = [match.start() for match in found]
        self.ends = [match.end() for match in found]
        self.lines = [(line.start(), line.end()) for line in _LINE.finditer(text)]
        self.lone = dict(self._lone_lines())
        self.named = list(self._named())

    def reading(self) -> Reading:
        for evidence in (self.final, self.stated, self.concluded, self.opening):
            found = Options().union(*evidence())
            if found:
                return _stated(found, self.offer)
        return self.mentioned()

    # -- kinds of evidence, strongest first

    def final(self) -> list[Options]:
        return [name.options for name, final in self._answers() if final]

    def stated(self) -> list[Options]:
        chosen = self._after(phrases.CHOOSING)
        answers = [name.options for name, _ in self._answers()]
        ends = (self.lines[0][0], self.lines[-1][0]) if not self._lists_options else ()
        lone = [options for start, options in self.lone.items() if start in ends]
        return [*answers, *chosen, *self._judged(phrases.IS_CORRECT), *lone]

    def concluded(self) -> list[Options]:
        return [*self._after(phrases.CONCLUDING, alone=True), *self._judged(phrases.IS_LIKELIEST)]

    def opening(self) -> list[Options]:
        name = self.name_at(0, alone=True)
        if name is None or self._lists_options or self._ruled_out(name):
            return []
        if name.label and name.options == {0} and len(self.offer.answers) > 1:
            # "A. … B. … C. …" goes through the options in order; "B. … A. …" answers first and then explains.
            second = re.escape(self.offer.answers[1])
            if re.search(rf"(?:\n|[.!?;]\s)[\s\"'(\[•-]*{second}[).:\]]", self.text[name.end - 1 :]):
                return []
        return [name.options]

    def mentioned(self) -> Reading:
        names = [name for name in self.named if not name.label or self._marked(name.start)]
        found = Options().union(*(name.options for name in names), *self.lone.values())
        if len(found) > 1:
            return Reading(None, f"{_number(found)} options named: {self.offer.listed(found)}")
        if not found:
            return Reading(None, "no option named")
        if any(self._ruled_out(name) for name in names):
            return Reading(None, f"only ruled out: {self.offer.listed(found)}")
        return _stated(found, self.offer)

    # -- statements

    def _answers(self) -> Iterator[tuple[_Name, bool]]:
        """What follows "the answer is" and its kind, and whether it is called final."""
        for noun in phrases.NOUN.finditer(self.text):
            final = "final" in noun[0].casefold()
            begins = _SENTENCE_START.search(self.text, max(0, noun.start() - 20), noun.start())
            name = self.name_at(noun.end(), alone=True) if begins else None  # "Answer B."
            if name and len(name.options) == 1 and self._meant(noun.start(), name.end):
                yield name, final
                continue
            clause = self.text[noun.end() : noun.end() + 100]
            stop = _SENTENCE_END.search(clause)
            for copula in phrases.COPULA.finditer(clause, 0, stop.start() if stop else len(clause)):
                if phrases.GAP_UNDONE.search(clause, 0, copula.start()):
                    break
                name = self.name_at(noun.end() + copula.end())
                if name and self._meant(noun.start(), name.end, asked=copula[0].strip() not in {":", "="}):
                    yield name, final
                    break

    def _after(self, pattern: re.Pattern[str], alone: bool = False) -> Iterator[Options]:
        for match in pattern.finditer(self.text):
            name = self.name_at(match.end(), alone)
            if name and self._meant(match.start(), name.end):
                yield name.options

    def _judged(self, verdict: re.Pattern[str]) -> Iterator[Options]:
        """Options of which the text says `verdict`: "B is the correct answer"."""
        for name in self.named:
            if verdict.match(self.text, self._skip(_PUNCTUATION, name.end) if name.label else name.end):
                clause = self.text[max(0, name.start - 30) : name.start]
                if (not name.label or phrases.CLAUSE_START.search(clause)) and self._meant(name.start, name.end):
                    yield name.options

    def _lone_lines(self) -> Iterator[tuple[int, Options]]:
        """The lines that hold an option and nothing else: where each starts, and the option."""
        for start, end in self.lines:
            name = self.name_at(start, alone=True)
            if name and name.end <= end <= self._skip(_PUNCTUATION, name.end):
                yield start, name.options

    @property
    def _lists_options(self) -> bool:
        return len(set(self.lone.values())) > 1

    # -- what undoes a statement or a mention

    def _meant(self, start: int, end: int, asked: bool = True) -> bool:
        """Whether the statement in start..end is made, rather than denied, supposed or (`asked`) asked."""
        if phrases.UNDONE.search(self._sentence_before(start)):
            return False
        stop = _SENTENCE_END.search(self.text, end, end + 200)
        return not (asked and stop and stop[0] == "?")

    def _ruled_out(self, name: _Name) -> bool:
        before = self.offer.denials.search(self._sentence_before(name.start))
        return bool(before or phrases.DENIED_AFTER.match(self.text, name.end, name.end + 60))

    def _sentence_before(self, position: int) -> str:
        before = self.text[max(0, position - 200) : position]
        return _SENTENCE_END.split(before)[-1]

    # -- names

    def name_at(self, position: int, alone: bool = False) -> _Name | None:
        """The option named at `position`, behind quotes, brackets, the word "option" or an article, and those listed
        with it. `alone`: an option's own words must stand alone, as labels and answers without labels always must.
        """
        alone = alone or not self.offer.labels
        start = self._skip(_OPENING, position)
        name = self._name(start)
        if name is None and (article := _ARTICLE.match(self.text, start)):
            name = self._name(article.end())
            name = None if name and name.label else name
        if name is None or (alone and not name.label and not phrases.STANDS_ALONE.match(self.text, name.end)):
            return None
        return self._with_others(name)

    def _with_others(self, name: _Name) -> _Name:
        """`name` with what is named beside it ("B (aspirin)", "B. Aspirin") or listed with it ("A or C", "A, C")."""
        options, end = name.options, name.end
        beside = self._name(self._skip(_BESIDE, end))
        if beside and beside.label != name.label and phrases.ENDS.match(self.text, beside.end):
            # Label and words agree, or two answers are given; a label settles which of two equal texts is meant.
            options, end = (options & beside.options) or (options | beside.options), beside.end
        while comma := _AND.match(self.text, end):
            other = self._name(self._skip(_OPENING, comma.end()))
            if other is None or not phrases.STANDS_ALONE.match(self.text, other.end):
                break
            options, end = options | other.options, other.end
        return _Name(options, name.start, end, name.label)

    def _named(self) -> Iterator[_Name]:
        """Every option named anywhere, and every word spelled as a label; none inside a longer name."""
        word = 0
        while word < len(self.words):
            index = self.offer.labels.get((self.words[word],))
            name = self._name_of(word)
            if name is None and index is not None:
                name = _Name(Options([index]), self.starts[word], self.ends[word], label=True)
            if name:
                yield name
            word = bisect_left(self.starts, name.end) if name else word + 1

    def _name(self, start: int) -> _Name | None:
        word = bisect_left(self.starts, start)
        return self._name_of(word) if word < len(self.starts) and self.starts[word] == start else None

    def _name_of(self, word: int) -> _Name | None:
        """The longest name that begins with this word; of two as long, the label."""
        start = self.starts[word]
        for length in self.offer.lengths:
            words = tuple(self.words[word : word + length])
            if len(words) < length:
                continue
            end = self.ends[word + length - 1]
            index = self.offer.labels.get(words)
            if index is not None and (label := self._label(index, start, end, word + length)):
                return label
            options = self.offer.texts.get(words)
            if options and (words not in _DETERMINERS or phrases.STANDS_ALONE.match(self.text, end)):
                return _Name(options, start, end, label=False)
        letter = self.text[start : self.ends[word]]
        foreign = self.offer.letters and re.fullmatch("[A-Z]", letter) and (self.words[word],) not in self.offer.labels
        if foreign and phrases.STANDS_ALONE.match(self.text, self.ends[word]):
            return _Name(Options([letter]), start, self.ends[word], label=True)
        return None

    def _label(self, index: int, start: int, end: int, following: int) -> _Name | None:
        """A label, with its option's own words where they follow; None where it only begins a phrase."""
        own = self.offer.own[index]
        if own and tuple(self.words[following : following + len(own)]) == own:
            return _Name(Options([index]), start, self.ends[following + len(own) - 1], label=True)
        # "b. ibuprofen" begins "ibuprofen 400 mg"; "c. difficile" begins nothing and is a name of its own.
        begun = own and self.words[following : following + 1] == [own[0]] and self.text[end : end + 1] in ".)"
        if not begun and not phrases.STANDS_ALONE.match(self.text, end):
            return None
        # "The answer is a" was cut off before its noun; "Answer: a" and a lone "a" were not.
        if self.text[start:end] == "a" and not self.offer.lower_case and not self.text[end:].strip():
            before = self.text[:start].rstrip(" \t\"'([")
            if before and before[-1] not in ":=\n":
                return None
        return _Name(Options([index]), start, end, label=True)

    def _marked(self, start: int) -> bool:
        """Whether the label at `start` is marked as one: "option B", "(B)"; "B." or "B is" where a sentence begins."""
        end = self.ends[bisect_left(self.starts, start)]
        before = self.text[max(0, start - 20) : start]
        alone = phrases.STANDS_ALONE.match(self.text, end)
        capital = self.offer.lower_case or not self.text[start:end].islower()
        if _OPTION_BEFORE.search(before):
            return bool(alone or (capital and self.text[end : end + 1] == " ") or _VERB_AFTER.match(self.text, end))
        if _BRACKET_BEFORE.search(before) and _BRACKET_AFTER.match(self.text, end):
            return not self.text[start:end].isdigit()  # "[2]" is a citation
        if _SENTENCE_START.search(self.text, max(0, start - 20), start):
            listed = alone and _LISTED_AFTER.match(self.text, end)
            return bool(listed or (capital and _VERB_AFTER.match(self.text, end)))
        return False

    def _skip(self, pattern: re.Pattern[str], position: int) -> int:
        match = pattern.match(self.text, position)
        return match.end() if match else position
