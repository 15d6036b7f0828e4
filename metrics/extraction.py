"""Reading a choice off a generated text: strict, pure, never a guess.

What is found is looked for in this order, and the first kind that finds anything decides:

1. fields: `<answer>…</answer>`, JSON with `answer_choice` (or `answer`), `\\boxed{…}`;
2. a final statement: "Final answer: B";
3. statements ("Answer: B", "the correct option is (B)", "B is the correct answer", "I choose B") together with a line,
   first or last, that holds nothing but one option;
4. conclusions: "Therefore, B.", "I think it is B.", "The most likely diagnosis is …";
5. the opening: "B. Because …", "Yes, the trial …";
6. bare mentions of options, which count only where exactly one is mentioned and it is not ruled out.

Two answers of the deciding kind are no answer, even where one comes after "wait": which of them is meant would be a
guess. Neither are a statement that is negated, conditional or asked ("if the answer is B", "is it B?"), an answer cut
before it ends, or an option that was not offered. Reasoning in `<think>` tags is not read.

Letters are words of medicine too (vitamin D, hepatitis B, E. coli, T cells, "A patient", "there is no evidence"):
a label or the word "no" counts only where it stands alone, and a bare mention of a label only where it is marked as
one: "(B)", "option B".
"""

from __future__ import annotations

import json
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Option = int | str  # index of an offered option, or a letter that was not offered


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
    return _read(_plain(text), _Offer(options, labels), depth=0)


# --- the text ---------------------------------------------------------------------------------------------------

_REASONING = re.compile(r"<(think|thinking|analysis|reasoning|scratchpad)>.*?(?:</\1>|\Z)", re.S | re.I)
_REASONING_END = re.compile(r".*</(?:think|thinking|analysis|reasoning|scratchpad)>", re.S | re.I)
_LATEX = re.compile(r"\\(?:text|textbf|mathrm|mathbf)\s*\{([^{}]*)\}")
_EMPHASIS = re.compile(r"[*`]+|(?<![^\W_])_+(?=[^\W_])|(?<=[^\W_])_+(?![^\W_])")
_QUOTES = str.maketrans("‘’‚“”„«»", "'''\"\"\"\"\"")


def _plain(text: str) -> str:
    """One spelling of what looks alike; Markdown emphasis and LaTeX text commands taken off."""
    return _EMPHASIS.sub("", _LATEX.sub(r"\1", unicodedata.normalize("NFKC", text).translate(_QUOTES)))


def _read(text: str, offer: _Offer, depth: int) -> Reading:
    spoken = _REASONING_END.sub("", _REASONING.sub("", text))
    if not spoken.strip():
        return Reading(None, "reasoning without an answer" if text.strip() else "empty answer")
    if depth < 2:
        read = [_read(field, offer, depth + 1) for field in _fields(spoken)]
        given = {reading.index for reading in read if reading.index is not None}
        if given:
            return _decide(given, offer)
        if read:
            return read[0]
    return _Prose(spoken, offer).reading()


_TAG = re.compile(r"<(answer|final_answer)>(.*?)(?:</\1>|\Z)", re.S | re.I)
_BOXED = re.compile(r"\\f?boxed\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_JSON = r"""["']{key}["']\s*:\s*(?:("(?:[^"\\]|\\.)*")|'([^'\n]*)'|(\d+))"""
_JSON_CHOICE = re.compile(_JSON.format(key="answer_choice"))
_JSON_ANSWER = re.compile(_JSON.format(key="(?:final_)?answer"))


def _fields(text: str) -> list[str]:
    """Contents of the places that an answer was asked to be put in; unfinished JSON values are left out."""
    found = [match[2] for match in _TAG.finditer(text)] or [match[1] for match in _BOXED.finditer(text)]
    if not found:
        for match in list(_JSON_CHOICE.finditer(text)) or list(_JSON_ANSWER.finditer(text)):
            try:
                found.append(json.loads(match[1], strict=False) if match[1] else match[2] or match[3] or "")
            except json.JSONDecodeError:  # an escape that JSON does not know
                found.append(match[1].strip('"'))
    return [field for field in found if field.strip()]


def _decide(found: set[int], offer: _Offer) -> Reading:
    if len(found) == 1:
        return Reading(*found)
    return Reading(None, f"{_several(found)} answers stated: {offer.listed(found)}")


def _several(found: set[Option] | set[int]) -> str:
    return {2: "two", 3: "three", 4: "four", 5: "five"}.get(len(found), str(len(found)))


# --- words and names --------------------------------------------------------------------------------------------

# A decimal number is one word, so that "5 mg" is not found in "0.5 mg"; signs that change a meaning are words too.
_WORD = re.compile(r"\d+(?:[.,]\d+)+|\w+|(?<!\w)[-−](?=\w)|[^\w\s.,;:!?\"'()\[\]{}\\|~$_*`#–—-]")
_ALONE_ONLY = {("no",), ("none",), ("all",), ("both",)}  # words that mostly belong to the word after them


def _words(text: str) -> tuple[str, ...]:
    return tuple(match[0].casefold() for match in _WORD.finditer(text))


class _Offer:
    """What there is to choose from, as words to look for."""

    def __init__(self, options: Sequence[str], labels: Sequence[str]) -> None:
        self.answers = tuple(labels or options)
        self.labels = {_words(_plain(label)): index for index, label in enumerate(labels)}
        self.texts: dict[tuple[str, ...], set[int]] = {}
        for index, option in enumerate(options):
            self.texts.setdefault(_words(_plain(option)), set()).add(index)
        self.texts.pop((), None)
        self.lengths = sorted({len(words) for words in (*self.texts, *self.labels) if words}, reverse=True)
        self.lettered = bool(labels) and all(len(label) == 1 and label.isalpha() for label in labels)
        self.lower = any(label.islower() for label in labels)
        self.says_no = ("no",) in self.texts

    def listed(self, found: set[Option] | set[int]) -> str:
        """The found options as a reason names them, in the order offered."""
        offered = [self.answers[option] for option in sorted(o for o in found if isinstance(o, int))]
        return ", ".join([*offered, *sorted(o for o in found if isinstance(o, str))])


@dataclass(frozen=True, slots=True)
class _Name:
    """An option named in the text, from character `start` to `end`. Two options may have the same words."""

    options: frozenset[Option]
    start: int
    end: int
    label: bool


# Words that can follow an answer, and that never follow an article or the determiner "no".
_CONNECTORS = (
    "according although and as based because but due for from given hence however i in instead it not or per rather "
    "since so that the then there therefore these they this though we where whereas which while with"
).replace(" ", "|")
# What comes after a word that stands alone. A full stop before a small letter is an abbreviation: "E. coli".
_AFTER = re.compile(
    rf"""\s*\Z | \s*\n
    | [^\S\n]*[)\]}}:;,!?"<>|/→=]
    | '(?!\w)
    | \.(?:\s*\Z|\s*\n|\s+(?:[^a-z\s]|(?i:{_CONNECTORS})\b)|[)"'\]}}<]|[A-Z][a-z])
    | [^\S\n]*[–—] | [^\S\n]*-- | [^\S\n]+-\s
    | [^\S\n]+[(\[&+]
    | [^\S\n]+(?i:{_CONNECTORS})\b
    | \\ | \$""",
    re.X,
)
_OPENING = re.compile(r"[\s\"'(\[{$\\<>#•-]*(?:(?:the\s+)?(?:option|choice|letter|answer)\b[\s\"'(\[{:]*)?", re.I)
_ARTICLE = re.compile(r"(?:an?|the)\s+", re.I)
_LINE = re.compile(r"[^\n]*\S[^\n]*")
_LINE_REST = re.compile(r"[\s.,;:!?)\]}\"'$\\|>]*")
_COMPANION = re.compile(r"[\s.:)\]\"'–—-]*[\s(\[\"']*")
_LIST = re.compile(r"[)\]\"'\s]*(?:,\s*(?:and/or|and|or)\b|,|;|/|&|\+|\band/or\b|\band\b|\bor\b)\s*", re.I)
_SENTENCE_START = re.compile(r"(?:\A|\n|[.!?;]\s)[\s\"'(\[•-]*\Z")
_MARKED_BEFORE = re.compile(r"(?:\b(?:option|choice|answer|letter)\s*[:(\[\"']*\s*|[(\[\"']\s*)\Z", re.I)
_VERB = re.compile(r"\s+(?:is|was|are|would|can|cannot|does|has|seems|isn't)\b")
_SENTENCE_END = re.compile(r"[.!?;](?=\s|\Z)|\n")


class _Prose:
    """One text with its words, and the kinds of evidence in it, each a list of sets of options."""

    def __init__(self, text: str, offer: _Offer) -> None:
        self.text, self.offer = text, offer
        matches = list(_WORD.finditer(text))
        self.words = [match[0].casefold() for match in matches]
        self.starts = [match.start() for match in matches]
        self.ends = [match.end() for match in matches]
        self.lone_lines = self._lone_lines()
        self.lists_options = len(set(self.lone_lines.values())) > 1

    def reading(self) -> Reading:
        for evidence in (self.final, self.stated, self.concluded, self.opening):
            found = set[Option]().union(*evidence())
            offered = {option for option in found if isinstance(option, int)}
            if len(found) > 1:
                return Reading(None, f"{_several(found)} answers stated: {self.offer.listed(found)}")
            if found:
                return Reading(*offered) if offered else Reading(None, f"option {self.offer.listed(found)} not offered")
        return self.mentioned()

    # -- names

    def name_at(self, position: int, alone: bool = False) -> _Name | None:
        """The option named at `position`, after quotes, brackets and the word "option"; with all that are listed with
        it. `alone`: an option's own words must end a thought too, not only labels.
        """
        start = self.skip(_OPENING, position)
        name = self._name(start)
        if name is None and (article := _ARTICLE.match(self.text, start)):
            name = self._name(article.end())
            name = None if name and name.label else name
        if name is None or (alone and not name.label and not _AFTER.match(self.text, name.end)):
            return None
        return self._with_companions(name)

    def _with_companions(self, name: _Name) -> _Name:
        """"B (aspirin)" and "B. Aspirin" name two options where aspirin is not B; so do "A or C" and "A, C"."""
        options, end = name.options, name.end
        beside = self._name(self.skip(_COMPANION, end))
        if beside and beside.label != name.label and _AFTER.match(self.text, beside.end):
            # One of two options with the same words is settled by the label.
            options, end = (options & beside.options) or (options | beside.options), beside.end
        while (separator := _LIST.match(self.text, end)) and (other := self._name(self.skip(_OPENING, separator.end()))):
            if not _AFTER.match(self.text, other.end):
                break
            options, end = options | other.options, other.end
        return _Name(options, name.start, end, name.label)

    def _name(self, start: int) -> _Name | None:
        word = bisect_left(self.starts, start)
        return self._name_of(word) if word < len(self.starts) and self.starts[word] == start else None

    def _name_of(self, word: int) -> _Name | None:
        """The longest name that begins with this word; of equals, the label."""
        for length in self.offer.lengths:
            words = tuple(self.words[word : word + length])
            if len(words) < length:
                continue
            start, end = self.starts[word], self.ends[word + length - 1]
            index = self.offer.labels.get(words)
            if index is not None and (name := self._label(index, start, end, word + length)):
                return name
            options = self.offer.texts.get(words)
            if options and (words not in _ALONE_ONLY or _AFTER.match(self.text, end)):
                return _Name(frozenset(options), start, end, label=False)
        letter = self.text[self.starts[word] : self.ends[word]]
        if self.offer.lettered and len(letter) == 1 and "A" <= letter <= "Z" and letter.casefold() == self.words[word]:
            unknown = (self.words[word],) not in self.offer.labels
            if unknown and _AFTER.match(self.text, self.ends[word]):
                return _Name(frozenset([letter]), self.starts[word], self.ends[word], label=True)
        return None

    def _label(self, index: int, start: int, end: int, following: int) -> _Name | None:
        """A label, with its option's own words if they follow; None where it is only the beginning of a phrase."""
        own = [words for words, options in self.offer.texts.items() if index in options]
        if own and tuple(self.words[following : following + len(own[0])]) == own[0]:
            return _Name(frozenset([index]), start, self.ends[following + len(own[0]) - 1], label=True)
        begun = own and self.words[following : following + 1] == [own[0][0]] and self.text[end : end + 1] in ".)"
        if not begun and not _AFTER.match(self.text, end):
            return None
        # "The answer is a" was cut off before a noun; "Answer: a" and a lone "a" were not.
        if self.text[start:end] == "a" and not self.offer.lower and not self.text[end:].strip():
            before = self.text[:start].rstrip(" \t\"'([")
            if before and before[-1] not in ":=\n":
                return None
        return _Name(frozenset([index]), start, end, label=True)

    def skip(self, pattern: re.Pattern[str], position: int) -> int:
        match = pattern.match(self.text, position)
        return match.end() if match else position

    def names(self) -> Iterator[_Name]:
        """Every option named anywhere, and every word that is spelled as a label. Words inside a longer name are not
        names of their own.
        """
        word = 0
        while word < len(self.words):
            index = self.offer.labels.get((self.words[word],))
            name = self._name_of(word)
            if name is None and index is not None:
                name = _Name(frozenset([index]), self.starts[word], self.ends[word], label=True)
            if name is None:
                word += 1
                continue
            yield name
            word = max(word + 1, bisect_left(self.starts, name.end))

    def _marked(self, start: int) -> bool:
        """Whether a label is shown to be one: "option B", "(B)", or "B." or "B is" where a sentence begins."""
        end = self.ends[bisect_left(self.starts, start)]
        before, after = self.text[max(0, start - 20) : start], self.text[end : end + 20]
        capital = not self.text[start:end].islower() or self.offer.lower
        if re.search(r"\b(?:option|choice|letter)s?\s*[:(\[\"']*\s*\Z", before, re.I):
            return bool(_AFTER.match(self.text, end) or (_VERB if not capital else re.compile(r"\s+\w")).match(after))
        if re.search(r"[(\[\"']\s*\Z", before):
            return bool(re.match(r"\s*[)\]\"']", after)) and not self.text[start:end].isdigit()
        if _SENTENCE_START.search(self.text, max(0, start - 20), start):
            return bool(re.match(r"\s*[).:\]]", after) and _AFTER.match(self.text, end)) or bool(
                capital and _VERB.match(after)
            )
        return False

    # -- kinds of evidence

    def final(self) -> list[frozenset[Option]]:
        return [name.options for name, is_final in self._answers() if is_final]

    def stated(self) -> list[frozenset[Option]]:
        found = [name.options for name, _ in self._answers()]
        for match in _CHOOSING.finditer(self.text):
            name = self.name_at(match.end())
            if name and self._meant(match.start(), name.end):
                found.append(name.options)
        found += [name.options for name in self._judged(_CORRECT)]
        lines = [line.start() for line in _LINE.finditer(self.text)]
        if not self.lists_options:
            found += [options for start, options in self.lone_lines.items() if start in (lines[0], lines[-1])]
        return found

    def _answers(self) -> Iterator[tuple[_Name, bool]]:
        """What follows "the answer is" and its kind, and whether it is called final."""
        for noun in _NOUN.finditer(self.text):
            clause = self.text[noun.end() : noun.end() + 100]
            cut = _SENTENCE_END.search(clause)
            clause = clause[: cut.start()] if cut else clause
            # "Answer B." needs no more, where it opens a sentence.
            begins = _SENTENCE_START.search(self.text, max(0, noun.start() - 20), noun.start())
            name = self.name_at(noun.end(), alone=True) if begins else None
            if name and self._meant(noun.start(), name.end):
                yield name, "final" in noun[0].casefold()
                continue
            for copula in _COPULA.finditer(clause):
                if _GAP_NEGATED.search(clause, 0, copula.start()):
                    break
                name = self.name_at(noun.end() + copula.end())
                colon = copula[0].strip() in {":", "="}
                if name and self._meant(noun.start(), name.end, asked=not colon):
                    yield name, "final" in noun[0].casefold()
                    break

    def _judged(self, verdict: re.Pattern[str]) -> Iterator[_Name]:
        """Options of which the text says `verdict`: "B is the correct answer"."""
        for name in self.names():
            if not verdict.match(self.text, self.skip(_LINE_REST, name.end) if name.label else name.end):
                continue
            before = self.text[max(0, name.start - 30) : name.start]
            if name.label and not (_MARKED_BEFORE.search(before) or _CLAUSE_START.search(before)):
                continue  # "vitamin D is the best choice"
            if self._meant(name.start, name.end):
                yield name

    def _lone_lines(self) -> dict[int, frozenset[Option]]:
        """The lines that hold an option and nothing else: which options, by where the line starts."""
        found = {}
        for line in _LINE.finditer(self.text):
            name = self.name_at(line.start(), alone=True)
            if name and name.end <= line.end() <= self.skip(_LINE_REST, name.end):
                found[line.start()] = name.options
        return found

    def concluded(self) -> list[frozenset[Option]]:
        found = []
        for match in _CONCLUDING.finditer(self.text):
            name = self.name_at(match.end(), alone=True)
            if name and self._meant(match.start(), name.end):
                found.append(name.options)
        return found + [name.options for name in self._judged(_LIKELIEST)]

    def opening(self) -> list[frozenset[Option]]:
        name = self.name_at(0, alone=True)
        if name is None or self.lists_options or self._ruled_out(name):
            return []
        if name.options == {0} and name.label and len(self.offer.answers) > 1:
            # "A. … B. … C. …" goes through the options in order; "B. … A. …" does not.
            second = re.escape(self.offer.answers[1])
            if re.search(rf"(?:\n|[.!?;]\s)[\s\"'(\[•-]*{second}[).:\]]", self.text[name.end - 1 :]):
                return []
        return [name.options]

    def mentioned(self) -> Reading:
        names = [name for name in self.names() if not name.label or self._marked(name.start)]
        found = {option for name in names for option in name.options}
        if not found:
            return Reading(None, "no option named")
        if len(found) > 1:
            return Reading(None, f"{_several(found)} options named: {self.offer.listed(found)}")
        option = found.pop()
        if isinstance(option, str):
            return Reading(None, f"option {option} not offered")
        if any(self._ruled_out(name) for name in names):
            return Reading(None, f"only ruled out: {self.offer.answers[option]}")
        return Reading(option)

    # -- what undoes a statement

    def _sentence_before(self, position: int) -> str:
        before = self.text[max(0, position - 200) : position]
        ends = list(_SENTENCE_END.finditer(before))
        return before[ends[-1].end() :] if ends else before

    def _meant(self, start: int, end: int, asked: bool = True) -> bool:
        """Whether the statement in start..end is made, rather than denied, supposed or (`asked`) asked."""
        if _UNDONE.search(self._sentence_before(start)):
            return False
        stop = _SENTENCE_END.search(self.text, end, end + 200)
        return not (asked and stop and stop[0] == "?")

    def _ruled_out(self, name: _Name) -> bool:
        before = self._sentence_before(name.start)
        negated = _NEGATED_BEFORE if self.offer.says_no else _NEGATED_OR_NO_BEFORE
        return bool(negated.search(before) or _NEGATED_AFTER.match(self.text, name.end, name.end + 60))


# --- how people state an answer ---------------------------------------------------------------------------------

_RIGHT = r"(?:correct|right|best|proper|appropriate|accurate)"
_LIKELY = r"(?:most\s+(?:likely|appropriate|probable|accurate|suitable|plausible|consistent)|best)"
_NOUN = re.compile(
    rf"""(?<!-)\b(?:(?:final|{_RIGHT}|{_LIKELY}|my|our|likely)\s+)*
    (?: (?:answer|ans|response)\b(?:\s+(?:choice|option)\b)?
      | (?<=\s)(?:choice|option|statement|selection)\b
      | (?:choice|option|selection|decision|verdict|conclusion|prediction|judg(?:e)?ment)\b(?=\s*[:=])
    )""",
    re.I | re.X,
)
_ADVERB = r"(?:therefore|thus|then|hence|clearly|definitely|certainly|probably|likely|simply|indeed|actually|still|now)"
_COPULA = re.compile(
    rf"""(?:\b(?:is|was|would\s+be|should\s+be|must\s+be|will\s+be|appears\s+to\s+be|seems\s+to\s+be)\b|[:=→]|[–—]|\s-\s|->)
    (?:\s*[,:])?(?:\s*{_ADVERB}\b,?|\s*most\s+likely\b|\s*:)*(?:\s*(?:either|both|neither)\b)?
    (?:\s*not\s+[^\n]{{1,60}}?,?\s*but(?:\s+rather)?\b)?(?:\s*that\s+of\b)?""",
    re.I | re.X,
)
_GAP_NEGATED = re.compile(r"\b(?:not|never|neither|nor|without|unless|except|than|if|whether|depends?)\b|n't\b", re.I)
_CHOOSING = re.compile(
    r"""\b(?:i|we)\s*(?:'d|'ll|\s+(?:would|will|must|should|can))?\s*(?:\s(?:therefore|thus|hence|then))?
    \s+(?:choose|chose|select|pick|answer|conclude|(?:go|going)\s+with|opt\s+for|settle\s+on|vote\s+for)\b\s*:?""",
    re.I | re.X,
)
_CORRECT = re.compile(
    rf"""\s*,?\s*(?:is|was|would\s+be|must\s+be|seems|should\s+be)\s+(?:{_ADVERB}\s+)?(?:the\s+)?(?:only\s+|single\s+|one\s+)?
    (?: (?:{_RIGHT}|{_LIKELY})\s+(?:answer|option|choice|one|response|statement)\b
      | answer\b | (?:correct|right)(?=\s*(?:[.,;:!)\n]|\Z|because\b|since\b|as\b|and\b|here\b)) )""",
    re.I | re.X,
)
_LIKELIEST = re.compile(rf"\s*,?\s*(?:is|was|would\s+be)\s+(?:{_ADVERB}\s+)?(?:the\s+)?{_LIKELY}\b", re.I)
_CONCLUDING = re.compile(
    rf"""(?: \b(?:therefore|thus|hence|so|consequently|accordingly|finally|ultimately|overall|in\s+(?:conclusion|summary|short))\b
        (?:\s*,)?(?:\s*(?:it(?:\s+is|'s|\s+must\s+be|\s+would\s+be)|this\s+is|that\s+is|that's|{_ADVERB}))?
      | \b(?:it(?:\s+is|'s|\s+must\s+be|\s+would\s+be)|that's|that\s+is|i\s+(?:think|believe|guess|say)|i(?:'d|\s+would)\s+say)
        (?:\s+(?:that\s+)?(?:it\s+is|it's|{_ADVERB}))?
      | \b(?:probably|likely|definitely|clearly|perhaps|certainly)
      | \b{_LIKELY}\b[^.?!\n:;]{{0,80}}?\b(?:is|would\s+be)
    )\s*:?\s+""",
    re.I | re.X,
)
_CLAUSE_START = re.compile(
    r"""(?:\A|[\n.!?:;,(\[\"'–—]|\b(?:that|so|hence|thus|therefore|think|believe|say|means?|and|but|since|because|only|
    indeed|clearly|then|is|as))\s*[\"'(\[]*\s*\Z""",
    re.I | re.X,
)
_UNDONE = re.compile(
    r"""\b(?:if|unless|whether|suppose|supposing|assuming)\b
    | (?:\bnot|n't|\bnever|\bfalse|\bwrong|\bincorrect|\bdoubt\w*|\bdeny|\bdisagree\w*)\b[^,;]*\b(?:that|think|believe|say|mean|agree)\b[^,;]*\Z
    | \b(?:wrong|incorrect|other|another|possible|potential|alternative|previous|not\s+(?:the|an?|my))\s+\Z
    | (?:\bnot|n't|\bnever)\s+(?:the\s+)?\Z""",
    re.I | re.X,
)
_DENIAL = (
    r"(?:\bnot|n't|\bnever|\bneither|\bnor|\bwithout|\bagainst|\brul(?:e|es|ed|ing)\s+out|\bexclud\w+|\beliminat\w+"
    r"|\bunlike(?:ly)?|\binstead\s+of|\brather\s+than|\babsence\s+of|\black\s+of|\bincorrect\w*|\bwrong\w*"
    r"|\bother\s+than|\bexcept{no})\b[\s\"'(\[]*(?:\w+\s+){{0,3}}[\"'(\[]*\Z"
)
_NEGATED_BEFORE = re.compile(_DENIAL.format(no=""), re.I)
_NEGATED_OR_NO_BEFORE = re.compile(_DENIAL.format(no=r"|\bno"), re.I)
_REFUSED = r"(?:incorrect|wrong|false|unlikely|less\s+likely|ruled\s+out|excluded|eliminated|inappropriate|contraindicated)"
_NEGATED_AFTER = re.compile(
    rf"""[)\]\"']*\W{{0,3}}{_REFUSED}\b
    | [)\]\"':]*\s*(?:\([^()]*\)\s*)?(?:(?:is|are|was|were|would\s+be|can\s+be|has\s+been|seems?)\s+(?:\w+\s+){{0,2}}?(?:not\b|{_REFUSED}\b)
        |(?:isn't|aren't|wasn't|cannot|can't|does\s*n[o']t|would\s*n[o']t|could\s*n[o']t)\b)""",
    re.I | re.X,
)
