"""Read the number, the date or the length of time that an answer gives.

The rules, strictest first. The first that finds a value decides:

1. a value in `\\boxed{…}`, in a JSON field `answer`, or after "Answer:" or "Final answer:" (the last such statement);
2. a line of the answer that is nothing but a value with its unit;
3. the value after the last "is", "=", "≈", "equals", "comes to" or similar words;
4. the only value in the text.

A statement with two different values ("70 to 75") is not read. Nothing is converted: "1.2 g" is 1.2, so a question has
to fix the unit.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Literal

Kind = Literal["number", "date", "duration"]

BRIEF = 8  # words: a longer text that was cut off is not a value and its unit
_SPACES = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " ", "−": "-", "–": "-", "‑": "-"})
_NUMBER = re.compile(
    r"(?<![\w.,^])(?<!\^\{)(?P<sign>[-+]\s?)?(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
    r"(?:\s?(?:[x×*·]|\\times)\s?10\s?(?:\^\s?\{?(?P<power>[-+]?\d+)\}?|\*\*\s?(?P<stars>[-+]?\d+)|(?P<raised>[⁻⁺]?[⁰¹²³⁴-⁹]+))"
    r"|[eE](?P<exponent>[-+]?\d+))?(?![\d^⁰¹²³⁴-⁹]|[.,]\d)"
)
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_DATES = (
    re.compile(r"(?<!\d)(?P<m>\d{1,2})/(?P<d>\d{1,2})/(?P<y>\d{4})(?!\d)"),
    re.compile(r"(?<!\d)(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})(?!\d)"),
    re.compile(rf"\b{_MONTH}\s+(?P<d>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<y>\d{{4}})\b", re.I),
    re.compile(rf"\b(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH},?\s+(?P<y>\d{{4}})\b", re.I),
)
_DURATION = re.compile(
    r"(?<![\d.,/-])(?P<weeks>\d+)[ \t]*(?:(?:completed|full)[ \t]+)?(?:weeks?|wks?|w)(?![A-Za-z])"
    r"(?:\W{0,5}(?:(?:and|plus|with|a|remainder|remaining|of|gestation)\W{1,3}){0,4}(?P<days>\d+)\s*(?:days?|d)\b)?"
    r"|(?<![\d.,/-])(?P<only>\d+)[ \t]*days?\b",
    re.I,
)
# "34 to 35 weeks", "34 3/7 weeks" and "2 months 3 days" give no weeks or days that stand alone.
_PART_OF_LENGTH = re.compile(
    r"\d\s*(?:(?:weeks?|days?)\s*)?(?:to|or)\s*\Z|\d\s*(?:months?|years?)\W{0,5}(?:and\W{1,3})?\Z", re.I
)
_TO_ANOTHER = re.compile(r"\s*(?:to|or|-)\s*\d+\s*(?:weeks?|days?)\b", re.I)
_LATEX = re.compile(r"\\(?:text|mathrm|textrm)\b|\\[,;:! ]|[{}$\"'()\[\]]")
_DAYS = {"one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6"}
_COMPARED = re.compile(r"(?:[<≤≥]|[<>]=|(?:\A|[ \t:({$])>)\s?\Z")
_LIST_MARKER = re.compile(r"(?m)^[ \t]*\d{1,2}[.)][ \t]+(?=\S)")
WEEK = 7  # days
_BOXED = re.compile(r"\\boxed\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_FIELD = re.compile(r"[\"'](?:final[_ ]?)?answer[\"']\s*:\s*(\"[^\"]*\"|'[^']*'|\([^)]*\)|\[[^\]]*\]|[^,}\n]+)", re.I)
_NAMED = re.compile(
    r"(?im)(?:^|[.\n]|\*\*)[ \t>#*]*(?:the\s+)?(?:final\s+|correct\s+)?answer(?:\s+is)?\s*"
    r"(?:[:=]|[-—](?=\s))?[ \t*$]*([^\n]*)"
)
_STATED = re.compile(
    r"(?:\b(?:is|are|was|equals?|equal\s+to|comes\s+(?:out\s+)?to|amounts\s+to|gives|yields|(?:score|total|result)\s+of)\b"
    r"(?:\s+(?:about|approximately|roughly|around|therefore|thus|now))?|(?<![<>])[=≈≃~])[ \t:*$(]*",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Value:
    """What was read: a number, a date, or a length of time in days; `text` is how it stood in the answer."""

    value: float | date
    text: str


@dataclass(frozen=True, slots=True)
class NumericAnswer:
    """The value of an answer, or why none could be read."""

    value: Value | None
    reason: str = ""


def read_value(text: str, kind: Kind, cut: bool = False) -> NumericAnswer:
    """Return the one value of that kind that `text` gives. A length of time is in days.

    Of a text that the token limit cut off (`cut`), only a value that is stated by rule 1 or stands alone is read: any
    other may be a step on the way.
    """
    text = text.translate(_SPACES)
    if not text.strip():
        return NumericAnswer(None, "empty answer")
    text = _without_list_numbers(text)
    find = _FINDERS[kind]
    for statement in (_last(_BOXED, text), _last(_FIELD, text), _last(_NAMED, text)):
        if statement is not None and (found := find(_result(statement))):
            return _single(found)
    alone = [found for line in text.splitlines() if (found := find(line)) and _nothing_else(line, found)]
    if alone and not (kind == "duration" and len(alone) > 1 and _days_only(alone[-1])):
        return _single(alone[-1])
    if cut and len(text.split()) > BRIEF:
        return NumericAnswer(None, "cut off at the token limit")
    sentences = [match.end() for match in _STATED.finditer(text)]
    for start in reversed(sentences):
        found = find(text[start:].split("\n", 1)[0])
        if found and text[start:].lstrip("$ (*").startswith(found[0].text[:1]):
            first = [found[0], *_continued(text[start:], found)]
            return _single(first)
    found = find(text)
    return _single(found) if found else NumericAnswer(None, f"no {kind}")


def _without_list_numbers(text: str) -> str:
    """Remove the numbers of a list's lines. A lone "4. The patient …" that opens the text may be the answer."""
    found = list(_LIST_MARKER.finditer(text))
    lone = len(found) == 1 and not text[: found[0].start()].strip()
    return text if lone else _LIST_MARKER.sub("", text)


def _days_only(found: list[Value]) -> bool:
    """Whether a line has only the days of a length whose weeks are in another line."""
    return all(isinstance(value.value, float) and value.value < WEEK for value in found)


def _last(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.findall(text)
    return found[-1].strip() if found else None


def _result(statement: str) -> str:
    """What stands behind the last equals sign: "(2·70 + 110) / 3 = 83.3" states 83.3."""
    return re.split(r"[=≈]", statement)[-1] if re.search(r"[=≈]\s*\S", statement) else statement


def _nothing_else(line: str, found: list[Value]) -> bool:
    """Whether a line is a value and its unit: at most three words beside the value, and no operator."""
    rest = line
    for value in found:
        rest = rest.replace(value.text, " ", 1)
    return len(found) == 1 and not re.search(r"[=+*÷?]", rest) and len(re.findall(r"[A-Za-z]{2,}", rest)) <= 3


def _continued(text: str, found: list[Value]) -> list[Value]:
    """The second value of a range that begins with the first: "70 to 75", "70-75"."""
    if len(found) < 2:
        return []
    between = text[text.find(found[0].text) + len(found[0].text) :]
    between = between[: between.find(found[1].text)]
    return [found[1]] if re.fullmatch(r"\s*(?:[\w/%°]+\s+)?(?:to|-|or|and)\s*", between, re.I) else []


def _single(found: list[Value]) -> NumericAnswer:
    if len({value.value for value in found}) > 1:
        return NumericAnswer(None, f"several values: {', '.join(value.text.strip() for value in found[:3])}")
    return NumericAnswer(found[0])


def _numbers(text: str) -> list[Value]:
    found = []
    for match in _NUMBER.finditer(text):
        number = float(match["number"].replace(",", ""))
        power = match["power"] or match["stars"] or match["exponent"] or (match["raised"] or "0").translate(_RAISED)
        negative = "-" in (match["sign"] or "") and not re.search(r"\d\s*\Z", text[: match.start()])
        if abs(int(power)) > 300:
            continue
        value = number * 10.0 ** int(power) * (-1 if negative else 1)
        # Neither "> 60" nor "< 0.5" is a value.
        if _COMPARED.search(text[: match.start()]):
            continue
        # A digit inside a unit (m2, 1.73 m²) or behind a slash (mL/min/1.73) is not a value of its own.
        if re.search(r"/\s?\Z", text[: match.start()]) and re.search(r"[A-Za-z%]\s?/\s?\Z", text[: match.start()]):
            continue
        found.append(Value(value, match[0]))
    return found


def _dates(text: str) -> list[Value]:
    found: list[tuple[int, Value]] = []
    for pattern in _DATES:
        for match in pattern.finditer(text):
            parts = match.groupdict()
            month = int(parts["m"]) if parts.get("m") else _MONTHS.index(parts["month"][:3].lower()) + 1
            try:
                found.append((match.start(), Value(date(int(parts["y"]), month, int(parts["d"])), match[0])))
            except ValueError:
                continue
    return [value for _, value in sorted(found, key=lambda each: each[0])]


def _durations(text: str) -> list[Value]:
    text = _LATEX.sub(" ", text)
    text = re.sub(rf"(?i)\b({'|'.join(_DAYS)})(?=\s+days?\b)", lambda match: _DAYS[match[1].lower()], text)
    found = []
    for match in _DURATION.finditer(text):
        before = text[: match.start()]
        if _PART_OF_LENGTH.search(before) or _TO_ANOTHER.match(text, match.end()):
            continue
        days = int(match["only"] or 0) + WEEK * int(match["weeks"] or 0) + int(match["days"] or 0)
        found.append(Value(float(days), match[0]))
    return found


_FINDERS: dict[Kind, Callable[[str], list[Value]]] = {"number": _numbers, "date": _dates, "duration": _durations}
