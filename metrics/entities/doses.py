"""Doses in a running text: amounts with a unit, how often, and of which drug."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import NamedTuple

ROUNDING = 0.02  # relative difference of equal amounts


class Range(NamedTuple):
    low: float
    high: float

    def within(self, other: Range) -> bool:
        """Return whether all of this range is in the other one, within rounding."""
        return other.low * (1 - ROUNDING) <= self.low and self.high <= other.high * (1 + ROUNDING)


@dataclass(frozen=True, slots=True)
class Dose:
    """One amount of one drug. `start` and `end` are characters of the text in which it was found.

    `unit` is the base unit of `amount` (mg, ml, iu, tablet, …), with "/kg" if it is per body weight. `per_day` is how
    often it is taken, None if the text does not say. `total`: the amount is for a whole day. `most`: it is a limit.
    `tablets` is how many tablets the amount was multiplied from ("two 200 mg tablets").

    Of "Augmentin 875/125 mg", each amount is of one of `parts`, and of "amoxicillin/clavulanate 875/125 mg", `drug` is
    the one. `whole` is the combination in both.
    """

    drug: str
    amount: Range
    unit: str
    per_day: Range | None
    total: bool
    most: bool
    start: int
    end: int
    tablets: Range | None = None
    whole: str = ""
    parts: frozenset[str] = frozenset()

    def agrees(self, reference: Dose) -> bool:
        """Return whether this says the same as a dose of a reference, or something inside its range.

        A frequency that only one of them gives is no disagreement. A daily total is compared with amount times
        frequency.
        """
        if not self.comparable(reference):
            return False
        if self.total != reference.total:
            whole, single = (self, reference) if self.total else (reference, self)
            if single.per_day is not None:
                mine = Range(single.amount.low * single.per_day.low, single.amount.high * single.per_day.high)
                day = whole.amount
                return mine.within(day) or day.within(mine)
        often = self.per_day is None or reference.per_day is None or self.per_day.within(reference.per_day)
        if self.unit != reference.unit:
            return often and (self.tablets or self.amount).within(reference.tablets or reference.amount)
        return often and self.amount.within(reference.amount)

    def comparable(self, reference: Dose) -> bool:
        unit = self.unit == reference.unit or "tablet" in (
            self.unit if reference.tablets else "",
            reference.unit if self.tablets else "",
        )
        return unit and self.most == reference.most and self.same_drug(reference)

    def same_drug(self, other: Dose) -> bool:
        return self.drug in (other.drug, other.whole, *other.parts) or other.drug in (self.whole, *self.parts)


class Drug(NamedTuple):
    """A drug mentioned in a text, by the key of its concept. `parts` are the keys of what a combination is made of, in
    the order of the text if it names them (`in_order`).
    """

    key: str
    start: int
    end: int
    parts: tuple[str, ...] = ()
    in_order: bool = False


_ONES: dict[str, float] = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12,
}  # fmt: skip
_TENS: dict[str, float] = {
    "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80,
    "ninety": 90,
}  # fmt: skip
_MANY = {"hundred": 100.0, "thousand": 1000.0, "million": 1e6}
_WORDS = _ONES | _TENS | {"a": 1.0, "½": 0.5}
_COUNTED = "|".join([*(rf"{ten}(?:[ -](?:{'|'.join(_ONES)}))?" for ten in _TENS), *_ONES])
_HALF = r"[13]/[24](?![\d/])"
_NUMBER = rf"""(?:{_HALF}
    |(?:\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)(?:[ ](?:thousand|million)\b)?
    |(?:{_COUNTED}|a(?=[ ](?:hundred|thousand|million)))
        (?:[ ](?:hundred|thousand|million)(?:[ ]and(?=[ ](?:{_COUNTED})\b))?(?:[ ](?:{_COUNTED}))?){{0,3}}\b
    |(?:half|a[ ]quarter)[ ](?:of[ ])?(?:an?|one)\b|½)"""
_FACTORS = {
    "mg": ("mg", 1.0), "milligram": ("mg", 1.0), "g": ("mg", 1000.0), "gm": ("mg", 1000.0), "gram": ("mg", 1000.0),
    "mcg": ("mg", 0.001), "µg": ("mg", 0.001), "μg": ("mg", 0.001), "ug": ("mg", 0.001), "microgram": ("mg", 0.001),
    "ng": ("mg", 1e-6), "nanogram": ("mg", 1e-6), "ml": ("ml", 1.0), "milliliter": ("ml", 1.0),
    "millilitre": ("ml", 1.0), "cc": ("ml", 1.0), "l": ("ml", 1000.0), "liter": ("ml", 1000.0), "litre": ("ml", 1000.0),
    "iu": ("iu", 1.0), "unit": ("iu", 1.0), "international unit": ("iu", 1.0), "u": ("iu", 1.0),
    "meq": ("meq", 1.0), "milliequivalent": ("meq", 1.0), "mmol": ("mmol", 1.0), "millimole": ("mmol", 1.0),
    "tablet": ("tablet", 1.0), "pill": ("tablet", 1.0), "capsule": ("tablet", 1.0), "caplet": ("tablet", 1.0),
    "puff": ("puff", 1.0), "inhalation": ("puff", 1.0), "drop": ("drop", 1.0), "%": ("%", 1.0), "percent": ("%", 1.0),
    "teaspoon": ("ml", 5.0), "tablespoon": ("ml", 15.0),
}  # fmt: skip


def _pattern(units: Iterable[str]) -> str:
    special = {"%": "%", "u": "(?-i:U)", "international unit": "international[ ]units?"}  # "10 U", but no "10 u"
    return "|".join(sorted((special.get(unit, rf"{unit}s?") for unit in units), key=len, reverse=True))


_UNIT = _pattern(_FACTORS)
_MASS = _pattern(unit for unit, (base, _) in _FACTORS.items() if base in ("mg", "iu"))
_DOSE = re.compile(
    rf"""(?:(?<![\w.,/])|(?<=\dx))
    (?P<parts>(?!{_HALF})(?:{_NUMBER}(?:[ -]?(?:{_MASS}))?\s?/\s?){{1,3}}(?={_NUMBER}[ -]?(?:{_MASS})(?!\w)))?
    (?P<low>{_NUMBER})(?:[ -]?(?P<unit_low>{_UNIT})(?=\s?(?:-|–|to)\s?{_NUMBER}))?
    (?:\s?(?:-|–|to|(?(unit_low)(?!)|(?:or|and)))\s?(?P<high>{_NUMBER}))?[ -]?(?P<unit>{_UNIT})(?!\w)
    (?P<per>(?:\s?(?:/|per)\s?
        (?:kg|kilogram|dl|l|ml|min(?:ute)?|hr?|hour|day|d|dose|m2|m²|5[ ]?ml|10[ ]?ml)\b){{0,2}})""",
    re.I | re.X,
)
_PART = re.compile(rf"(?P<n>{_NUMBER})(?:[ -]?(?P<unit>{_MASS}))?\s?/\s?", re.I | re.X)
_COUNT = re.compile(
    rf"(?<![\w.,/])(?<!day\ )(?P<n>{_NUMBER})(?:[ ]of[ ]an?|[ ]an?)?(?P<x>[ ]?[x×][ ]?|[ ])$", re.I | re.X
)
_SOLID = re.compile(
    r"[ -](?:[a-z-]+[ ]){0,2}?(?:tab(?:let)?|cap(?:sule)?|pill|caplet|suppositor|sachet|vial|ampoule)", re.I
)
_TABLETS_OF = re.compile(r" of (?:(?!and\b|or\b)[\w-]+ ){0,2}$|(?P<each>,? \(?)$", re.I)
_NOT_BEFORE = re.compile(r"\b(?:not|rather than|instead of|as opposed to)\s(?:(?:an?|the|dose|of|at)\s)*$", re.I)
_NOT_AFTER = re.compile(
    r"""(?:(?!\b(?:and|but|or|if|when|while|unless|until|because|since|as|that|which)\b)[^.;:,]){0,40}?
    \b(?:(?:is|are|was|were|be|seems?)\s(?:(?:far|much|way|usually|probably|clearly|also)\s)*
    (?:too\s(?:much|little|low|high|large|small|strong|weak)
        |not\s(?:enough|sufficient|adequate|recommended|advised|appropriate|suitable|correct|right)
        |insufficient|inadequate|excessive|inappropriate|an\s(?:over|under)dose|wrong|incorrect|unsafe)
    |(?:is|are)n.t\s(?:enough|recommended|advised|appropriate|right)
    |(?:should|must)\s(?:not|never)\sbe\s(?:used|given|taken|prescribed))\b""",
    re.I | re.X,
)
_LABORATORY = re.compile(r"/\s?(?:dl|l|ml)\b|per (?:dl|l|ml)\b", re.I)
_PER_WEIGHT = re.compile(r"(?: of [\w-]+)? (?:per|for (?:each|every)) (?:kg|kilo(?:gram)?s?)\b", re.I)
_MOST = re.compile(
    r"""\b(?:maximum|max\.?|at[ ]most|up[ ]to|no[ ]more[ ]than|not[ ]more[ ]than|(?:not|never|n't)[ ]exceed(?:ing)?
    |limit|less[ ]than|exceed|more[ ]than|over|above)\b
    (?![ ](?:the[ ]|about[ ]|age[ ]of[ ])*[\w.-]+[ ](?:to[ ][\w.]+[ ])?
        (?:min|hour|hr|h\b|day|week|month|year|kg))  # "over 65 years"
    [^.;]{0,35}$""",
    re.I | re.X,
)
_A_DAY = re.compile(r"(?:/|per|a|each|in|in a|in any|within)\s?(?:day|24[ -]?(?:hours?|h)|d)\b", re.I)
_DIVIDED = re.compile(
    r"\b(?:in|into)\s(?:(?P<n>two|three|four|2|3|4)\s)?(?:equally )?divided doses|\b(?:total|divided)\b", re.I
)
_TIMES = {"once": 1.0, "twice": 2.0, "thrice": 3.0} | _ONES
_OFTEN = re.compile(
    r"""\b(?P<times>once|twice|thrice|
        (?:one|two|three|four|five|six|\d)(?:\s?(?:-|–|to|or)\s?(?P<times_high>three|four|five|six|\d))?[ ]?
        (?:times|x))\s?
        (?:daily|(?:a|per|each|every|/)\s?(?P<period>day|week|month|year)|(?P<periodly>weekly|monthly|yearly))
    |\bevery\s(?P<other>other|second)\s(?:day|(?P<other_week>week))
    |\b(?:every|each|q\.?)\s?(?P<every>\d+(?:\.\d+)?|two|three|four|six|eight|twelve)
        (?:\s?(?:-|–|to)\s?(?P<every_high>\d+(?:\.\d+)?|six|eight|twelve))?\s?
        (?P<unit>hours?|hrs?|h|days?|d|weeks?|wk|months?)\b
    |\b(?P<latin>bid|b\.i\.d\.|tid|t\.i\.d\.|qid|q\.i\.d\.|bd|tds|qds|od|qd|q\.d\.|nocte|qhs|nightly|
        at[ ]bedtime|at[ ]night)(?!\w)
    |\b(?P<simple>daily|weekly|monthly|(?:every|each|(?<!for[ ])(?<!after[ ])(?<!within[ ])(?<!over[ ])a|per
        |once[ ]a|once)[ ](?:day|week|month|weekly)|(?:each|every|in[ ]the)[ ]morning|every[ ]night)\b""",
    re.I | re.X,
)
_LATIN = {"b": 2.0, "t": 3.0}
_DAYS = {"day": 1.0, "week": 7.0, "month": 30.0, "year": 365.0}
SENTENCE = re.compile(r"[.!?](?=\s|$)|\n")
_BESIDE = re.compile(
    r"[\s-]*(?:(?:of|oral|iv|tablets?|capsules?|dose|doses|extended|release|plain|liquid)[\s-]+)*", re.I
)


def doses(text: str, drugs: Sequence[Drug], default: str = "") -> Iterator[Dose]:
    """Yield the doses of a text. One without a drug in its sentence is of the one named last before it, else of
    `default`; it is left out if that is empty.
    """
    matches = [match for match in _DOSE.finditer(text) if not _LABORATORY.search(match["per"] or "")]
    stops = [0, *(match.end() for match in SENTENCE.finditer(text)), len(text)]
    named = _Named(drugs)
    respective = dict(_respective(text, matches, stops, named))
    for index, match in enumerate(matches):
        start, end = _sentence(stops, match)
        last, following = (
            matches[index - 1] if index else None,
            matches[index + 1] if index + 1 < len(matches) else None,
        )
        before = text[max(start, last.end()) if last else start : match.start()]
        after = text[match.end() : min(end, following.start()) if following else end]
        most = bool(_MOST.search(before))
        rejected = not most and (_NOT_BEFORE.search(before) or _NOT_AFTER.match(after))
        if rejected or (following and _is_count(match, following)):
            continue
        own = respective.get(match.start(), [])
        if not (
            drug := own[0] if own else named.beside(match, start, end) or (Drug(default, 0, 0) if default else None)
        ):
            continue
        dose = _dose(
            drug.key, match, before, after, most, _number(last["low"]) if last and _is_count(last, match) else 0
        )
        amounts = _amounts(match, split=bool(own))
        if len(amounts) == 1:
            yield dose
            continue
        keys = [each.key for each in own] or named.joined(text, drug, len(amounts))
        parts, whole = frozenset[str]() if keys else frozenset(drug.parts), "" if own else drug.key
        for amount, key in zip(amounts, keys or [drug.key] * len(amounts)):
            yield replace(dose, amount=amount, drug=key, whole=whole, parts=parts)


def _sentence(stops: Sequence[int], match: re.Match[str]) -> tuple[int, int]:
    return stops[bisect_right(stops, match.start()) - 1], stops[bisect_left(stops, match.end())]


def _is_count(match: re.Match[str], following: re.Match[str]) -> bool:
    """Return whether the first amount counts tablets of the second ("two tablets of 200 mg")."""
    between = _TABLETS_OF.search(match.string, match.end(), following.start())
    if not between or between.start() != match.end() or _base(match["unit"])[0] != "tablet" or match["high"]:
        return False
    each = following.string.startswith((" each", " per tablet"), following.end())
    return _base(following["unit"])[0] in ("mg", "iu") and (between["each"] is None or each)


def _respective(
    text: str, matches: Sequence[re.Match[str]], stops: Sequence[int], named: _Named
) -> Iterator[tuple[int, list[Drug]]]:
    """Yield the start of each amount before "respectively", with its sentence's drugs in the same order."""
    places = [match.start() for match in matches]
    done = 0
    for word in re.finditer(r"\brespectively\b", text, re.I):
        start, done = max(_sentence(stops, word)[0], done), word.end()
        own = matches[bisect_left(places, start) : bisect_left(places, word.start())]
        counts = [len(_amounts(match, split=True)) for match in own]
        last = bisect_right(named.ends, own[0].start()) if own else 0
        drugs = named.drugs[bisect_left(named.starts, start) : last]
        if len(drugs) != sum(counts) or len(drugs) < 2:
            continue
        for match, count in zip(own, counts):
            yield match.start(), drugs[:count]
            del drugs[:count]


def _amounts(match: re.Match[str], split: bool) -> list[Range]:
    """Return the amounts of "875/125 mg", or one range. `split`: "5 and 10 mg" are two amounts."""
    factor = _base(match["unit"])[1]
    low = _number(match["low"]) * (_base(match["unit_low"])[1] if match["unit_low"] else factor)
    high = _number(match["high"]) * factor if match["high"] else low
    parts = [
        _number(part["n"]) * (_base(part["unit"])[1] if part["unit"] else factor)
        for part in _PART.finditer(match["parts"] or "")
    ]
    if split and match["high"]:
        return [Range(each, each) for each in (*parts, low, high)]
    return [*(Range(each, each) for each in parts), Range(min(low, high), max(low, high))]


class _Named:
    """The drugs of a text, in order."""

    def __init__(self, drugs: Sequence[Drug]) -> None:
        self.drugs = sorted(drugs, key=lambda drug: (drug.start, drug.end))
        self.starts = [drug.start for drug in self.drugs]
        self.ends = list(accumulate((drug.end for drug in self.drugs), max))  # mentions may overlap

    def beside(self, match: re.Match[str], start: int, end: int) -> Drug | None:
        """Return the drug next to an amount: the one right after it ("5 mg of X"), else the last one before it.

        `start` and `end` are of the amount's sentence. An earlier sentence counts only if this one names no drug.
        """
        after = bisect_left(self.starts, match.end())
        following = self.drugs[after] if after < len(self.drugs) and self.starts[after] < end else None
        if following and _BESIDE.fullmatch(match.string, match.end(), following.start):
            return following
        before = bisect_right(self.ends, match.start()) - 1
        last = self.drugs[before] if before >= 0 else None
        if last and last.start >= start:
            return last
        return following or last

    def joined(self, text: str, drug: Drug, count: int) -> list[str]:
        """Return the keys of `count` drugs named as one ("amoxicillin/clavulanate"), in order; empty if not so many."""
        if drug.in_order and len(drug.parts) == count:
            return list(drug.parts)
        low = high = bisect_left(self.starts, drug.start)
        while low > 0 and _JOINED.fullmatch(text, self.ends[low - 1], self.starts[low]):
            low -= 1
        while high + 1 < len(self.drugs) and _JOINED.fullmatch(text, self.ends[high], self.starts[high + 1]):
            high += 1
        return [each.key for each in self.drugs[low : high + 1]] if high + 1 - low == count else []


_JOINED = re.compile(r"\s?(?:[/+&-]|and|with|plus)\s?", re.I)


def _dose(drug: str, match: re.Match[str], before: str, after: str, most: bool, count: float) -> Dose:
    """Return a dose. `count` is how many tablets of the amount are taken, 0 if it is to be read from `before`."""
    unit, _ = _base(match["unit"])
    amount = _amounts(match, split=False)[-1]
    if not count and (several := _COUNT.search(before)) and (several["x"].strip() or _SOLID.match(after)):
        count = _number(several["n"])
    if count:
        amount = Range(amount.low * count, amount.high * count)
    if re.search(r"kg|kilogram", match["per"], re.I) or _PER_WEIGHT.match(after):
        unit += "/kg"
    if rate := re.search(r"(?:/|per)\s?(m(?:in)|h)", match["per"], re.I):
        unit += f"/{rate[1].lower()}"
    divided = _DIVIDED.search(after) or _DIVIDED.search(before[-20:])
    often = _OFTEN.search(after)
    tablets = Range(count, count) if count else None
    start, end = match.start(), match.end() + (often.end() if often and often.start() < NEAR else 0)
    if divided and divided["n"]:
        times = _number(divided["n"])
        each = Range(amount.low / times, amount.high / times)
        return Dose(drug, each, unit, Range(times, times), False, most, start, end, tablets)
    whole = bool(often and often["simple"] and _A_DAY.fullmatch(often["simple"]))  # "2 g per day" in how many parts?
    total = bool(_A_DAY.search(match["per"]) or divided or whole or (most and _A_DAY.search(after)))
    return Dose(drug, amount, unit, None if total or not often else _per_day(often), total, most, start, end, tablets)


NEAR = 30  # characters between an amount and how often it is taken, which are shown together


def without_amount(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the place of a drug's name without an amount that was taken for a part of it."""
    amount = next((each for each in _DOSE.finditer(text, start, end + NEAR) if start < each.end()), None)
    if not amount or amount.start() >= end:
        return start, end
    if amount.start() <= start < amount.end() < end:
        return amount.end() + 1, end
    name = _COUNT.sub("", text[start : amount.start()].rstrip() + " ").rstrip(" ,:(-")
    return (start, start + len(name)) if name else (start, end)


def _base(unit: str) -> tuple[str, float]:
    return _FACTORS.get(unit.lower()) or _FACTORS[unit.lower().removesuffix("s")]


def _number(text: str) -> float:
    """Return the value of "2,400", "2.4 million", "one hundred and fifty", "1/2" or "half a"."""
    low = text.lower().replace("-", " ").replace(" and ", " ")
    if "/" in low:
        over, under = low.split("/")
        return float(over) / float(under)
    if low.startswith(("half", "a quarter")):
        return 0.5 if low[0] == "h" else 0.25
    total = value = 0.0
    for word in low.split():
        if word in _MANY:
            value = (value or 1.0) * _MANY[word]
            if word != "hundred":
                total, value = total + value, 0.0
        else:
            value += _WORDS.get(word) or float(word.replace(",", ""))
    return total + value


def _per_day(match: re.Match[str]) -> Range:
    if match["times"]:
        first = _times(match["times"])
        last = _times(match["times_high"]) if match["times_high"] else first
        days = _DAYS[(match["period"] or (match["periodly"] or "dayly").removesuffix("ly")).lower()]
        return Range(first / days, last / days)
    if match["other"]:
        return Range(1 / 14, 1 / 14) if match["other_week"] else Range(0.5, 0.5)
    if match["every"]:
        hours = {"h": 1.0, "d": 24.0, "w": 168.0, "m": 720.0}[match["unit"][0].lower()]
        low = 24 / (hours * _number(match["every_high"] or match["every"]))
        return Range(low, 24 / (hours * _number(match["every"])))
    if match["latin"]:
        word = match["latin"].lower()
        often = 4.0 if word.startswith(("qid", "q.i", "qds")) else _LATIN.get(word[0], 1.0)
        return Range(often, often)
    simple = match["simple"].lower()
    days = 7.0 if "week" in simple else 30.0 if "month" in simple else 1.0
    return Range(1 / days, 1 / days)


def _times(text: str) -> float:
    word = re.split(r"\D" if text[0].isdigit() else r"\W", text.lower())[0]
    return _TIMES.get(word) or float(word)
