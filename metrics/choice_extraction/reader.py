"""Read the chosen option from a generated text: strict, pure, never a guess.

The first kind of evidence that is found decides:

1. fields: `<answer>…</answer>`, `\\boxed{…}`, JSON with a key such as `answer_choice`;
2. a final answer: "Final answer: B", or "Answer: B" as the last line;
3. statements: "Answer: B", "the correct option is (B)", "B is the correct answer", "I choose B"; and a first or last
   line that contains only an option;
4. judgments: "B is correct", or a list that judges every option and calls one of them correct;
5. conclusions: "Therefore, B.", "The most likely diagnosis is …", in the last sentences or the first;
6. the opening: "B. Because …", "Yes, the trial …";
7. the closing: the one option that the last sentence naming an option affirms (closing.py);
8. a mention of one option, in one short sentence without doubt, comparison or denial;
9. the one option that sentences anywhere in the text claim (claims.py).

Two different answers of the deciding kind count as no answer, unless the text explicitly retracts the first
("Correction:", "actually"). A label and words that contradict each other are two answers. A list of the options, judged
or not, states none of them. Neither does a statement that is denied, supposed, asked or conditional (conditions.py).
Conclusions, openings and closings are ignored if the text also claims another option or leaves the choice open.
Reasoning is not read.

If the token limit cut a reply off, only its fields and statements (1 to 3) are read: what is missing may overturn its
conclusions so far.

Letters are also words of medicine (vitamin D, hepatitis B, E. coli, T cells, "A patient", "there is no evidence"). A
label, or the word "no", counts only if it stands alone, and a bare mention of a label only if it is marked as one:
"(B)", "option B".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ...core.reasoning import split
from . import phrases
from .claims import claimed, claims, union
from .closing import closing
from .conditions import other_cases
from .doubt import left_open
from .fields import Field, fields, spelled_out
from .names import Offer, Options
from .prose import Prose, Statement
from .text import plain, spaced
from .words import words_of

CUT_OFF = "cut off"
_NESTED = 2  # fields are searched inside fields to this depth
_OPENABLE = frozenset({"judged", "verdicts", "concluded", "opening"})  # what a later open choice retracts
_WEAK = frozenset({"concluded", "opening"})  # what the rest of the text can overrule
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class ChoiceReading:
    """The option that a text chooses, or why none could be read."""

    index: int | None
    reason: str = ""  # "" where an option was read
    kind: str = field(default="", compare=False)  # the kind of evidence that decided


def read_choice(text: str, options: Sequence[str], labels: Sequence[str] = (), cut: bool = False) -> ChoiceReading:
    """Return the one option that `text` chooses.

    `labels` as in Item: one per option, or none if options are answered by their own words (yes, no, maybe). `cut`: the
    text ended at the token limit. Case and markup are ignored.
    """
    if labels and len(labels) != len(options):
        raise ValueError(f"{len(labels)} labels for {len(options)} options")
    parts = split(text)
    answer = plain(parts.answer)
    if not answer.strip():
        reason = "reasoning without an answer" if text.strip() else "empty answer"
        return ChoiceReading(None, CUT_OFF if cut and text.strip() else reason)
    if cut and not text[-1:].isalnum() and text[-1:] != " ":
        answer += "."  # the last word was ended by markup or a line end, which is gone
    answer = phrases.YES_NO_QUESTION.sub("yes-no", spaced(answer, options))
    offer = Offer(options, labels or _own_letters(answer, options))
    return _Reader(offer, cut).read(answer)


def _own_letters(text: str, options: Sequence[str]) -> tuple[str, ...]:
    """Return the letters that a reply itself gives to options without labels: "A) yes B) no C) maybe".

    Only if it lists all of them.
    """
    found = [
        [match[1] for match in re.finditer(phrases.LIST_LETTER + re.escape(plain(option)) + r"(?!\w)", text, re.I)]
        for option in options
    ]
    letters = tuple(letter.upper() for (letter, *_) in found if letter) if all(found) else ()
    return letters if "".join(letters) == _LETTERS[: len(options)] and len(options) > 1 else ()


class _Reader:
    def __init__(self, offer: Offer, cut: bool) -> None:
        self.offer, self.cut = offer, cut

    def read(self, text: str, depth: int = 0) -> ChoiceReading:
        for piece, rest in _turns(text):
            # A piece that is followed by another question is complete.
            reading = (_Reader(self.offer, False) if rest else self)._one(piece, depth)
            if reading.index is not None or not rest:
                break
            if reading.kind:  # two answers
                break
        return reading

    def _one(self, text: str, depth: int) -> ChoiceReading:
        empty: ChoiceReading | None = None
        for group in fields(text) if depth < _NESTED else ():
            reading = self._fields(text, group, depth)
            if reading.index is not None or reading.kind:
                return self._beside(reading, text)
            empty = empty or reading
            text = _without(text, group) if _without(text, group).strip() else text
        if depth and self.cut:  # a field is complete: only the text's end can be cut
            return _Reader(self.offer, False).read(text, depth)
        reading = self._prose(Prose(text, self.offer), depth)
        return reading if reading.index is not None or reading.kind or empty is None else empty

    def _beside(self, reading: ChoiceReading, text: str) -> ChoiceReading:
        """Return `reading` of a field, or two answers if another field spells out the words of another option."""
        words = [words_of(value) for value in spelled_out(text)]
        named = Options().union(*(self.offer.texts.get(each, Options()) for each in words))
        if reading.index is None or not named or reading.index in named:
            return reading
        return self._stated(named | {reading.index}, "fields")

    def _fields(self, text: str, group: list[Field], depth: int) -> ChoiceReading:
        """Return the reading of fields of one group. The last decides if the text between retracts an earlier one."""
        read: list[tuple[Field, ChoiceReading]] = []
        for found in group:
            if self.cut and found.end >= len(text.rstrip()) and text.rstrip()[-1:].isalnum():
                return ChoiceReading(None, CUT_OFF, "")
            read.append((found, self.read(found.content, depth + 1)))
        known = [(found, reading) for found, reading in read if reading.index is not None]
        stated = [reading for _, reading in read if reading.index is None and reading.kind]
        if stated:
            return stated[0]
        if not known:
            return read[0][1]
        options = Options(reading.index for _, reading in known if reading.index is not None)
        if len(options) > 1:
            last = known[-1]
            between = text[known[-2][0].end : last[0].start]
            if not (phrases.RETRACTED.search(between) or phrases.DOUBTED.search(between)):
                return self._stated(options, "fields")
            options = Options([last[1].index]) if last[1].index is not None else options
        if depth == 0:
            after = Prose(text[known[-1][0].end :], self.offer)
            for statement in after.answers():
                if statement.kind == "final" or statement.line:
                    options |= statement.options
        return self._stated(options, "fields")

    def _prose(self, prose: Prose, depth: int) -> ChoiceReading:
        answers = list(prose.answers())
        stated = [
            *answers,
            *prose.chosen(),
            *prose.judged(phrases.IS_THE_ANSWER, "stated"),
            *prose.lone_ends(),
        ]
        if self.cut:
            return self._cut_off(prose, [statement for statement in stated if statement.kind != "lone"])
        final = [statement for statement in stated if statement.kind == "final"] or _closing(prose, stated)
        for found in (final, stated):
            if found:
                return self._decide(prose, found)
        found = [*prose.judged(phrases.IS_CORRECT, "judged"), *prose.verdicts()]
        if found:
            return self._decide(prose, found)
        concluded = list(prose.concluded())
        opening = list(prose.opening())
        if concluded:
            return self._decide(prose, [*concluded, *opening])
        if opening:
            return self._decide(prose, opening)
        return self._mentioned(prose)

    def _decide(self, prose: Prose, found: list[Statement]) -> ChoiceReading:
        """Return the reading if `found` is the deciding evidence."""
        found = sorted(found, key=lambda statement: statement.end)
        last = found[-1]
        options = Options().union(*(statement.options for statement in found))
        if last.options != self.offer.texts.get(("maybe",)):
            options |= other_cases(prose, last.end)
        kind = last.kind
        if len(options) > 1 and not self._one_of(options):
            earlier = [statement for statement in found if statement.options != last.options]
            between = prose.text[earlier[-1].end : last.end] if earlier else ""
            doubted = kind == "final" and phrases.DOUBTED.search(between)
            turned = (
                kind == "concluded" and phrases.CONTRAST.search(between) and phrases.THUS.search(_sentence(prose, last))
            )
            if not phrases.RETRACTED.search(between) and not doubted and not turned:
                return self._stated(options, kind)
            options = last.options
        if phrases.TAKEN_BACK.search(prose.text, last.end) and not prose.text[last.end :].count("\n\n"):
            return ChoiceReading(None, f"taken back: {self.offer.listed(options)}", kind)
        # "D. All of the above. A, B and C are all correct." leaves nothing open.
        several = options in self.offer.combined or not options.isdisjoint(self.offer.combined.values())
        if not several and phrases.ALSO_RIGHT.search(prose.text, last.end):
            return ChoiceReading(None, f"not the only one called right: {self.offer.listed(options)}", kind)
        if not several and left_open(prose, last.start, last.end, firm=kind not in _OPENABLE):
            return ChoiceReading(None, f"left open: {self.offer.listed(options)}", kind)
        if phrases.RETRACTED.search(prose.text, last.end) or phrases.DOUBTED.search(prose.text, last.end):
            later = [s for s in (*prose.concluded(), *prose.judged(phrases.IS_CORRECT, "")) if s.start >= last.end]
            options = options.union(*(statement.options for statement in later))
        if kind in {"concluded", "opening"} and prose.denied(options):
            return ChoiceReading(None, f"stated and ruled out: {self.offer.listed(options)}", kind)
        if kind in _WEAK:
            contrasts = [match.end() for match in phrases.CONTRAST.finditer(prose.text, 0, last.start)]
            since = contrasts[-1] if contrasts else 0  # a "however" retracts what was claimed before it
            claimed_too = claims(prose)
            chosen = phrases.THUS.search(_sentence(prose, last)) and options < union(claimed_too)
            if not chosen or any(name.start > last.end for name in claimed_too):  # "X = A; Y = B. … Therefore A."
                options |= union([name for name in claimed_too if name.start >= since])
        return self._stated(options, kind)

    def _cut_off(self, prose: Prose, stated: list[Statement]) -> ChoiceReading:
        """Read a truncated text: only complete statements that nothing resumes."""
        whole = sorted((s for s in stated if s.end < prose.length), key=lambda statement: statement.end)
        if not whole:
            return ChoiceReading(None, CUT_OFF)
        after = prose.text[whole[-1].end :]
        if any(doubt.search(after) for doubt in (phrases.DOUBTED, phrases.RETRACTED, phrases.QUALIFIED_BY)):
            return ChoiceReading(None, CUT_OFF)
        final = [statement for statement in whole if statement.kind == "final"]
        reading = self._decide(prose, final or whole)
        return reading if reading.index is not None else ChoiceReading(None, reading.reason, reading.kind)

    def _mentioned(self, prose: Prose) -> ChoiceReading:
        if (options := closing(prose)) and left_open(prose, last := prose.named[-1].start, last, firm=False):
            return ChoiceReading(None, f"left open: {self.offer.listed(options)}", "closing")
        if options:
            return self._stated(options | union(claims(prose)), "closing")
        found, reason = prose.mentions()
        if (reason or (len(found) > 1 and not self.offer.same(found))) and (options := claimed(prose)):
            return self._stated(options, "claimed")
        if reason:
            return ChoiceReading(None, reason)
        if len(found) > 1 and not self.offer.same(found):
            return ChoiceReading(None, f"{_number(found)} options named: {self.offer.listed(found)}")
        return self._stated(found, "mentioned")

    def _one_of(self, options: Options) -> bool:
        return options in self.offer.combined or self.offer.same(options)

    def _stated(self, found: Options, kind: str) -> ChoiceReading:
        """Return the reading if the deciding evidence is for `found`, at least one option."""
        if found in self.offer.combined:
            return ChoiceReading(self.offer.combined[found], "", kind)
        if self.offer.same(found):  # each is equally correct
            return ChoiceReading(min(option for option in found if isinstance(option, int)), "", kind)
        if len(found) > 1:
            return ChoiceReading(None, f"{_number(found)} answers stated: {self.offer.listed(found)}", kind)
        (option,) = found
        if isinstance(option, int):
            return ChoiceReading(option, "", kind)
        return ChoiceReading(None, f"option {option} not offered", kind)


def _number(found: Options) -> str:
    return {2: "two", 3: "three", 4: "four", 5: "five"}.get(len(found), str(len(found)))


def _sentence(prose: Prose, statement: Statement) -> str:
    return prose.sentence_before(statement.start) + prose.text[statement.start : statement.end]


def _closing(prose: Prose, stated: list[Statement]) -> list[Statement]:
    """Return "Answer: B" from the last line, if every other statement is made in passing."""
    lines = [statement for statement in stated if statement.line]
    if not lines or len({statement.options for statement in lines}) > 1:
        return []
    last = max(lines, key=lambda statement: statement.end)
    at_end = prose.skip(phrases.PUNCTUATION, last.end) >= prose.length
    return [replace(last, kind="final", line=True)] if at_end and last.kind != "lone" else []


def _without(text: str, group: list[Field]) -> str:
    """Return `text` without those fields of a group that contain no option."""
    pieces, position = [], 0
    for found in sorted(group, key=lambda one: one.start):
        if found.start >= position:
            pieces.append(text[position : found.start])
            position = found.end
    return " ".join([*pieces, text[position:]])


def _turns(text: str) -> list[tuple[str, bool]]:
    """Split the text where it continues with another question, as base models do. Says of each piece whether more
    follows.
    """
    cuts = [0]
    for line in phrases.QUESTION_LINE.finditer(text):
        if text[: line.start()].strip() and _is_a_question(text, line.end()) and line.start() > cuts[-1]:
            cuts.append(line.start())
    cuts += [item.start() for item in phrases.NEW_ITEM.finditer(text) if text[: item.start()].strip()]
    cuts = sorted(set(cuts))
    return [(text[a:b], b < len(text)) for a, b in zip(cuts, [*cuts[1:], len(text)])] or [(text, False)]


def _is_a_question(text: str, start: int) -> bool:
    """Return whether a new question starts here, rather than a short "And now?"."""
    line = text[start : start + 400].split("\n")[0]
    return len(line.split()) > 4 or not line.strip()
