"""The words of a text in normal form, with their places, and where phrases occur among them."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar

from .normalize import listed, plain, word

T = TypeVar("T")


class Word(NamedTuple):
    """One word: its normal form, its place in the prose, and whether punctuation parts it from the next one."""

    form: str
    start: int
    end: int
    ends: bool
    written: str


_TOKEN = re.compile(r"[^\W_]+(?:'s\b|(?<=s)'(?=\s))?")
_PARTS = re.compile(r"[,;:.!?()\[\]\"\n/|+=<>—]|\s[-–]|[-–]\s")


# "Black, tarry stools" is one phrase, and so are "hand, foot and mouth disease" and "C. difficile".
_LOOKS = listed(
    """
    black dark red pale white yellow green blue dry itchy scaly thick thin loose watery fast slow hard soft tarry bloody
    sticky smelly crusty hacking painful pounding irregular shallow
    """
)


def _joins(form: str, after: str) -> bool:
    """Return whether a comma between two words does not part them."""
    return (form in _LOOKS and after in _LOOKS) or (form == "hand" and after == "foot")


@functools.lru_cache(maxsize=1 << 12)
def words(prose: str) -> tuple[Word, ...]:
    """Return the words of a running text."""
    matches = list(_TOKEN.finditer(prose))
    found = []
    for index, match in enumerate(matches):
        after = matches[index + 1].start() if index + 1 < len(matches) else len(prose)
        gap = prose[match.end() : after]
        bare = match[0].split("'")[0]
        form = word(bare if bare.isascii() else plain(bare))
        joined = (gap == ". " and len(bare) == 1 and bare.isupper()) or (
            gap == ", " and _joins(form, matches[index + 1][0].lower())
        )
        found.append(
            Word(
                form,
                match.start(),
                match.start() + len(bare),
                not joined and gap not in (" ", "/") and bool(_PARTS.search(gap)),
                bare,
            )
        )
    return tuple(found)


class Phrases(Generic[T]):
    """Phrases in normal form with what each stands for, found in a text; the longest one at each place."""

    def __init__(self, phrases: Iterable[tuple[str, T]]) -> None:
        self._by_first: dict[str, list[tuple[tuple[str, ...], T]]] = {}
        for phrase, value in phrases:
            parts = tuple(phrase.split())
            if parts:
                self._by_first.setdefault(parts[0], []).append((parts, value))
        for each in self._by_first.values():
            each.sort(key=lambda known: -len(known[0]))

    def find(self, among: Sequence[Word], overlapping: bool = False) -> Iterator[tuple[int, int, T]]:
        """Yield (first word, word after the last, value) of the longest phrase at each place.

        Without overlaps, a phrase that begins inside another is left out.
        """
        at = 0
        while at < len(among):
            for parts, value in self._by_first.get(among[at].form, ()):
                last = at + len(parts)
                if (
                    last <= len(among)
                    and all(among[at + i].form == part for i, part in enumerate(parts))
                    and not any(each.ends for each in among[at : last - 1])
                ):
                    yield at, last, value
                    at = at + 1 if overlapping else last
                    break
            else:
                at += 1


def span(among: Sequence[Word], first: int, last: int) -> tuple[int, int]:
    """Return the characters of the words from `first` up to but without `last`."""
    return among[first].start, among[last - 1].end
