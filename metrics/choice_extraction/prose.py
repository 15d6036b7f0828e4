"""Find evidence of a chosen option in prose, by kind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from . import phrases
from .conditions import conditional
from .names import Name, Named, Offer, Options

_LINE = re.compile(r"[^\n]*\S[^\n]*")
_ITEM_MARK = re.compile(
    r"(?:^|(?<=\n)|(?<=[.!?;]\s))[\s\"'(\[•✅❌>→-]{0,8}(?:\d{1,2}[.)]\s)?(?:(?:the\s)?option\s|choice\s)?[(\[]?", re.I
)
_MARK_LENGTH = 8  # characters before a list item in a line
_NUMBERED = re.compile(r"(\d{1,2})([.)])\s")
_MARK_END = re.compile(r"\s?[)\].:–—-]|\s?\(|\s?✅|\s?❌|\s(?:is|was|would|can|cannot|does|has|seems|isn't)\b|,")
_SHORT = 20  # maximum words of a one-sentence text in which a bare mention decides
_TERSE = 8  # maximum words if it has several sentences
_SCOPE = 400  # characters of a list item that are searched for its verdict


@dataclass(frozen=True, slots=True)
class Statement:
    """Options that the text states as its answer, from character `start` to `end`."""

    options: Options
    start: int
    end: int
    kind: str
    line: bool = False  # "Answer: B" or an option, on a line of its own


class Prose(Named):
    """A text and the evidence in it."""

    def __init__(self, text: str, offer: Offer) -> None:
        super().__init__(text, offer)
        self._undone: dict[int, bool] = {}
        self.lines = [(line.start(), line.end()) for line in _LINE.finditer(text)]
        self.items = self._enumeration()
        self.lone = dict(self._lone_lines())

    # -- statements

    def answers(self) -> Iterator[Statement]:
        """Yield what follows "the answer is" and similar phrases."""
        for noun in phrases.NOUN.finditer(self.text):
            kind = (
                "final"
                if re.match(r"final\b|(?:revised|corrected|updated)\b", noun[0].strip(), re.I)
                or " final " in f" {noun[0].lower()} "
                else "stated"
            )
            begins = phrases.SENTENCE_START.search(self.text, max(0, noun.start() - 20), noun.start())
            start = noun.end() + (self.text[noun.end() : noun.end() + 1] == "]")
            name = self.at(start, alone=True) if begins else None  # "Answer B."
            if name and len(name.options) == 1 and self.text[noun.end() : noun.end() + 1] != "s" and not name.place:
                supposed = conditional(self.text, noun.start(), name.end)
                if self._meant(noun.start(), name.end) and not supposed and not self._begins_list(name):
                    yield self._statement(name, noun.start(), kind)
                    continue
            yield from self._after_copula(noun, kind, phrases.COPULA)
        for noun in phrases.FOREIGN_NOUN.finditer(self.text):
            name = self.at(noun.end(), alone=True)  # "Doğru cevap B"
            if name and name.label and name.start <= noun.end() + 3:
                yield self._statement(name, noun.start(), "stated")
                continue
            yield from self._after_copula(noun, "stated", phrases.FOREIGN_COPULA)

    def _after_copula(self, noun: re.Match[str], kind: str, copulas: re.Pattern[str]) -> Iterator[Statement]:
        clause = self.text[noun.end() : noun.end() + (100 if copulas is phrases.COPULA else 40)]
        stop = phrases.SENTENCE_END.search(clause)
        for copula in copulas.finditer(clause, 0, stop.start() if stop else len(clause)):
            gap = phrases.FOREIGN_GAP_UNDONE if copulas is phrases.FOREIGN_COPULA else phrases.GAP_UNDONE
            if gap.search(clause, 0, copula.start()):
                return
            name = self.at(noun.end() + copula.end())
            if name and self._meant(noun.start(), name.end, asked=copula[0].strip() not in {":", "="}):
                if not self._begins_list(name) and not conditional(self.text, noun.start(), name.end):
                    yield self._statement(name, noun.start(), kind)
                return

    def _statement(self, name: Name, start: int, kind: str) -> Statement:
        line_start = self.text.rfind("\n", 0, start) + 1
        line_end = self.text.find("\n", name.end)
        own = not self.text[line_start:start].strip(" >-•\"'([#✅→|") and not re.search(
            r"\b(?:is|was)\b", self.text[start : name.start]
        )
        last = self.skip(phrases.PUNCTUATION, name.end) >= (len(self.text) if line_end < 0 else line_end)
        return Statement(name.options, start, name.end, kind, own and last)

    def chosen(self) -> Iterator[Statement]:
        """Yield what follows "I choose" and similar phrases."""
        for pattern in (phrases.CHOOSING, phrases.FOREIGN_CHOOSING):
            for match in pattern.finditer(self.text):
                name = self.at(match.end(), alone=True)
                if (
                    name
                    and self._meant(match.start(), name.end)
                    and not conditional(self.text, match.start(), name.end)
                ):
                    yield Statement(name.options, match.start(), name.end, "stated")

    def judged(self, verdict: re.Pattern[str], kind: str) -> Iterator[Statement]:
        """Yield options about which the text says `verdict`: "B is the correct answer"."""
        for name in self.named:
            end = self.skip(phrases.PUNCTUATION, name.end) if name.label else name.end
            found = verdict.match(self.text, end) or (verdict.match(self.text, name.end))
            if not found:
                continue
            clause = self.text[max(0, name.start - 30) : name.start]
            begins = not name.label or name.place or phrases.CLAUSE_START.search(clause)
            if begins and self._meant(name.start, found.end()) and not conditional(self.text, name.start, found.end()):
                yield Statement(self._joined_before(name).options, name.start, found.end(), kind)

    def _joined_before(self, name: Name) -> Name:
        """Return `name` with the option that an "and" or "or" before it adds: "both A and B are correct"."""
        before = re.search(r"(\S+)\s+(?:and|or)\s+(?:option\s)?[(]?\Z", self.text[max(0, name.start - 60) : name.start])
        if before is None:
            return name
        near = [
            other for other in self.named if name.start - 40 < other.end <= name.start and other.label == name.label
        ]
        for other in near:
            if re.fullmatch(r"[)\"'\s]*(?:and|or)\s+(?:option\s)?[(]?", self.text[other.end : name.start]):
                return replace(name, options=name.options | other.options)
        return name

    def concluded(self) -> Iterator[Statement]:
        for match in phrases.CONCLUDING.finditer(self.text):
            name = self.at(match.end(), alone=True)
            if match[0].lower().startswith("finally") and self.text[match.start() - 4 : match.start()] == "and ":
                continue
            if not name or not self._meant(match.start(), name.end) or self._begins_list(name):
                continue
            that = not name.label and self.text.startswith(" that ", name.end)  # "It is true that …"
            if not that and not conditional(self.text, match.start(), name.end):
                yield Statement(name.options, match.start(), name.end, "concluded")
        yield from self.judged(phrases.IS_LIKELIEST, "concluded")
        yield from self._last_sentence()

    def _last_sentence(self) -> Iterator[Statement]:
        """Return a last sentence that is only an option, or ends with one in brackets or after an arrow."""
        arrows = list(phrases.ARROW.finditer(self.text, max(0, self.length - 200)))
        pointed = self.at(arrows[-1].end(), alone=True) if arrows else None
        if pointed and pointed.start not in self.items and self.skip(phrases.PUNCTUATION, pointed.end) >= self.length:
            yield Statement(pointed.options, pointed.start, pointed.end, "concluded")
        colon = self.text.rfind(":", max(0, self.length - 20))
        if colon > 0 and not self.offer.labels:  # "Based on this study: no."
            name = self.at(colon + 1, alone=True)
            if name and self.skip(phrases.PUNCTUATION, name.end) >= self.length and self._meant(name.start, name.end):
                yield Statement(name.options, name.start, name.end, "concluded")
        ends = [
            match
            for match in phrases.SENTENCE_END.finditer(self.text, max(0, self.length - 300))
            if match.end() < self.length
        ]
        start = ends[-1].end() if ends else 0
        if any(name.label and name.start < start < name.end for name in self.named[-9:]):
            return  # the period of "D. Codeine"
        name = self.at(start, alone=True)
        if name is None and (bracket := phrases.BRACKETED_END.search(self.text, start)):
            inside = self.at(bracket.start(1), alone=True)
            sentence = self.text[start : bracket.start()]
            others = [one for one in self.named if start <= one.start < bracket.start() and self.marked(one)]
            if inside and inside.label and not others and not phrases.REFUSED.search(sentence):
                yield Statement(inside.options, start, inside.end, "concluded")
        if name and name.start not in self.items:
            own_line = self.text[start - 1 : start] == "\n"
            whole = name.end <= self.length <= self.skip(phrases.PUNCTUATION, name.end)
            line = self.text.rfind("\n", 0, name.start) + 1
            ranked = self._ranked(line) and name.start - line < _MARK_LENGTH
            if whole and not ranked and not (own_line and self.lists_options):
                yield Statement(name.options, start, name.end, "concluded")

    def lone_ends(self) -> Iterator[Statement]:
        """Return the first and the last line if they contain only an option."""
        if self.lines and not self.lists_options:
            for start in {self.lines[0][0], self.lines[-1][0]}:
                if name := self.lone.get(start):
                    yield Statement(name.options, start, name.end, "lone", True)

    def verdicts(self) -> Iterator[Statement]:
        """Return the result of a list that judges every option and calls one of them correct."""
        starts = sorted(self.items)
        verdicts: dict[int, bool] = {}
        for number, start in enumerate(starts):
            (option,) = self.items[start].options
            end = starts[number + 1] if number + 1 < len(starts) else len(self.text)
            scope = self.text[self.items[start].end : min(end, start + _SCOPE)]
            scope = scope.split("\n\n")[0]
            refused, affirmed = phrases.REFUSED.search(scope), phrases.AFFIRMED.search(scope)
            if not isinstance(option, int) or bool(refused) == bool(affirmed) or option in verdicts:
                return
            verdicts[option] = bool(affirmed)
        if len(verdicts) == len(self.offer.answers) > 1 and sum(verdicts.values()) == 1:
            chosen = next(option for option, right in verdicts.items() if right)
            yield Statement(Options([chosen]), starts[0], len(self.text), "verdicts")

    def opening(self) -> Iterator[Statement]:
        dosed = self.at(0)
        dosed = dosed if dosed and not dosed.label and phrases.DOSED.match(self.text, dosed.end) else None
        name = self.at(0, alone=True) or dosed
        if name is None or self.lists_options or name.start in self.items or self.ruled_out(name):
            return
        if self.text[name.end : name.end + 1] == "?" or conditional(self.text, 0, name.end):
            return
        if len(name.options) > 1 and phrases.PLURAL.match(self.text, name.end):
            return  # "A and B can cause …"
        if len(name.options) == 1 and phrases.SEVERAL.match(self.text[: name.start]):
            return
        if phrases.MAYBE_ADVERB.match(self.text, name.start) and not self.offer.labels:
            return
        if name.label and name.options == {0} and len(self.offer.answers) > 1 and not name.place:
            # "A) … B) …" in one line is a list, whatever its items say.
            second = phrases.listed_item(self.offer.answers[1]).search(self.text, self.label_end(name))
            if second and not phrases.EXPLANATION_LINE.search(self.text, name.end, second.start()):
                own = name.end > self.label_end(name)
                if not own and phrases.LISTED_AFTER.match(self.text, self.label_end(name)):
                    return
        joined = phrases.JOINED.match(self.text, name.end)
        if joined and (self.text.startswith("not ", joined.end()) or self._named_from(joined.end())):
            return  # "Both A and D could be"
        if self.offer.labels and not name.label and not dosed and not phrases.OPENED.match(self.text, name.end):
            return
        options = name.options
        if phrases.QUALIFIED.match(self.text, name.end):
            stop = phrases.SENTENCE_END.search(self.text, name.end)
            end = stop.start() if stop else self.length
            options = options.union(
                *(one.options for one in self.within(name.end + 1, end) if not one.label or self._is_capital(one))
            )
        yield Statement(options, 0, name.end, "opening")

    def _is_capital(self, name: Name) -> bool:
        return self.text[name.start] != "a" or self.offer.lower_case

    def _named_from(self, position: int) -> bool:
        return any(other.start == position for other in self.named)

    def mentions(self) -> tuple[Options, str]:
        """Return the options mentioned, and why none of them is the answer; "" if one is."""
        names = [name for name in self.named if not name.label or self.marked(name) or len(name.options) > 1]
        if names and (others := self._bare_labels()):
            names += others
        kept = [name for name in names if not phrases.CONTRASTED.search(self.sentence_before(name.start))]
        names = kept or names
        found = Options().union(*(name.options for name in names), *(name.options for name in self.lone.values()))
        if not found:
            return found, "no option named"
        if len(found) > 1 and not self.offer.same(found):
            return found, ""
        if any(self.ruled_out(name) for name in names):
            return found, f"only ruled out: {self.offer.listed(found)}"
        if not self._is_short(names):
            return found, f"no answer stated, only a mention of {self.offer.listed(found)}"
        return found, ""

    def _bare_labels(self) -> list[Name]:
        """Return capital letters that may be labels without any mark: "Options A and B", not "A patient"."""
        bare = [name for name in self.named if name.label and self.text[name.start : name.end] in self.offer.answers]
        return [
            name for name in bare if not re.match(r" [a-z]", self.text[name.end : name.end + 2]) or name.options != {0}
        ]

    def _is_short(self, names: list[Name]) -> bool:
        """Return whether this is one short sentence that names an option as its choice rather than discussing it."""
        ends = [end for end in phrases.SENTENCE_END.finditer(self.text) if end.end() < self.length]
        if len(self.words) > _SHORT or (len(ends) > 1 and len(self.words) > _TERSE):
            return False
        if phrases.UNDECIDED.search(self.text) or not names:
            return False
        return all(self._taken(name) for name in names)

    def _taken(self, name: Name) -> bool:
        if not self.offer.labels:  # "There is no evidence, maybe."
            ends = self.skip(phrases.PUNCTUATION, name.end) >= self.length
            others = sum(words[:1] == own[:1] for words in zip(self.words) for own in self.offer.texts) > 1
            return ends or (not others and bool(phrases.TAKEN.search(self.sentence_before(name.start))))
        if name.label:
            return "?" not in self.text and not phrases.DESCRIBED.match(self.text, name.end)
        dosed = not self.text[: name.start].strip() and phrases.DOSE.match(self.text, name.end)
        return bool(dosed or phrases.TAKEN.search(self.sentence_before(name.start)))

    # -- lists

    def _lone_lines(self) -> Iterator[tuple[int, Name]]:
        """Return the lines that contain only an option: where each starts, and the option."""
        for start, end in self.lines:
            name = self.at(start, alone=True)
            whole = (
                name and name.start not in self.items and name.end <= end <= self.skip(phrases.PUNCTUATION, name.end)
            )
            if name and whole and not self._ranked(start):
                yield start, name

    def _ranked(self, start: int) -> bool:
        """Return whether the line at `start` is an item after the first in a numbered list: "4. Pneumonia"."""
        number = _NUMBERED.match(self.text, start)
        return bool(number and int(number[1]) > 1 and f"\n{int(number[1]) - 1}{number[2]} " in f"\n{self.text[:start]}")

    @property
    def lists_options(self) -> bool:
        return len({name.options for name in self.lone.values()}) > 1

    def _enumeration(self) -> dict[int, Name]:
        """Return the names that begin the items of a list of options, by where each starts.

        That is "A. …" and later "B. …", each at the start of a line or sentence, in the order offered.
        """
        found: list[tuple[int, Name]] = []
        for name in self.named:
            if len(name.options) != 1 or not isinstance(next(iter(name.options)), int):
                continue
            line = max(self.text.rfind("\n", 0, name.start) + 1, name.start - 24)
            before = self.text[max(0, line - 1) : name.start]
            if not any(mark.end() == len(before) for mark in _ITEM_MARK.finditer(before)):
                continue
            end = self.label_end(name) if name.label and not name.place else name.end
            if name.label and not _MARK_END.match(self.text, end):
                continue
            if not name.label and not re.match(
                r"[)\"']?[^\S\n]?(?:[:–—✅❌(,]|-\s|→|is\b)", self.text[name.end : name.end + 6]
            ):
                continue
            found.append((next(iter(name.options)), name))  # type: ignore[arg-type]
        best: list[Name] = []
        run: list[Name] = []
        last = -1
        runs: list[list[Name]] = []
        for index, name in found:
            if run and index == last:
                continue
            if run and last < index <= last + 2 and not self._explained_between(run[-1], name, len(run)):
                run.append(name)
            else:
                runs.append(run)
                run = [name]
            last = index
        runs.append(run)
        items: dict[int, Name] = {}
        for run in runs:
            if len(run) > len(best):
                best = run
            begins = run and (next(iter(run[0].options)) == 0 or len(run) > 2)
            if len(run) > 1 and begins:
                items.update({name.start: name for name in run})
        return items

    def _explained_between(self, one: Name, two: Name, length: int) -> bool:
        """Return whether an explanation starts between the first two: "A. Aspirin", "Explanation: B is wrong"."""
        return length == 1 and bool(phrases.EXPLANATION_LINE.search(self.text, one.end, two.start))

    def _begins_list(self, name: Name) -> bool:
        """Return whether this name is the first item of a list of the options rather than an answer."""
        return (
            name.start in self.items
            and next(iter(name.options)) == 0
            and len(name.options) == 1
            and self._adjacent(name)
        )

    def _adjacent(self, name: Name) -> bool:
        starts = sorted(start for start in self.items if start > name.start)
        if not starts:
            return False
        return not phrases.EXPLANATION_LINE.search(self.text, name.end, starts[0])

    # -- what cancels a statement or a mention

    def _meant(self, start: int, end: int, asked: bool = True) -> bool:
        """Return whether the statement in start..end is affirmed, not denied, supposed or (`asked`) asked."""
        if start not in self._undone:
            clause = phrases.BUT.split(self.sentence_before(start))[-1]
            self._undone[start] = bool(phrases.UNDONE.search(clause))
        if self._undone[start]:
            return False
        stop = phrases.SENTENCE_END.search(self.text, end, end + 200)
        return not (asked and stop and stop[0] == "?")

    def ruled_out(self, name: Name) -> bool:
        before = self.offer.denials.search(phrases.BUT.split(self.sentence_before(name.start))[-1])
        return bool(before) or self.ruled_out_after(name)

    def denied(self, options: Options) -> bool:
        """Return whether the text rules out one of `options` anywhere."""
        return any(
            name.options & options and self.ruled_out(name)
            for name in self.named
            if not name.label or self.marked(name)
        )

    def sentence_before(self, position: int) -> str:
        before = self.text[max(0, position - 200) : position]
        return phrases.SENTENCE_END.split(before)[-1]
