"""Characters and case that only layout has changed, restored before a pipeline reads a text.

`folded` never changes a text's length, so offsets stay valid. What must become longer or shorter is an `Edit`.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from ..text import with_line_breaks
from .normalize import listed
from .vocabulary import acronyms, proper_names


class Edit(NamedTuple):
    """The characters `start` to `end` are read as `text`."""

    start: int
    end: int
    text: str


_SPACES = "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000\t"
_BREAKS = "\v\f\x1c\x1d\x1e\x85\u2028\u2029"
_HYPHENS = "\u2010\u2011\u2012\u2212\ufe58\ufe63\uff0d"
_APOSTROPHES = "\u2018\u2019\u201a\u201b\u2032\u02bc\u00b4"
_QUOTES = "\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb"
_SAME_LENGTH = {
    **dict.fromkeys(map(ord, _SPACES), " "),
    **dict.fromkeys(map(ord, _BREAKS), "\n"),
    **dict.fromkeys(map(ord, _HYPHENS), "-"),
    **dict.fromkeys(map(ord, _APOSTROPHES), "'"),
    **dict.fromkeys(map(ord, _QUOTES), '"'),
    **{code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F) if code != 0xFF0D},  # full-width ASCII
}
for _code in (*range(0x1D400, 0x1D800), *map(ord, "ℊℋℌℎℐℑℒℓℛℜℨℬℭℯℰℱℳℴ")):  # mathematical alphabets
    if len(_letter := unicodedata.normalize("NFKC", chr(_code))) == 1:
        _SAME_LENGTH[_code] = _letter
_EN_DASH = re.compile(r"(?<=\w)–(?=\w)")
_INVISIBLE = "\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufe00-\ufe0f\ufeff"
_ENTITY = r"&(?:amp;)*(?:[A-Za-z][A-Za-z0-9]{1,31}|\#\d{1,7}|\#[xX][0-9A-Fa-f]{1,6});"
_REPEATED = 3  # times that a punctuation mark or a few are read in a row; a pipeline takes long for more
_REPETITION = re.compile(rf"({_ENTITY}|(?:[^\w\s*`] ?|\* ){{1,4}}?)\1{{{_REPEATED},}}")
_INVISIBLE_ONLY = re.compile(rf"[{_INVISIBLE}]+")
_LONGER = re.compile(rf"[{_INVISIBLE}]+|[\ufb00-\ufb06]|\w[\u0300-\u036f]+|{_ENTITY}")


def folded(text: str) -> str:
    """Return a text of the same length with plain spaces, line breaks, hyphens and quotes."""
    text = with_line_breaks(text)
    if text.isascii() and "\t" not in text and "\r" not in text:
        return text
    text = text.replace("\r\n", " \n").replace("\r", "\n")
    return _EN_DASH.sub("-", text.translate(_SAME_LENGTH))


def edits(text: str) -> Iterator[Edit]:
    """Yield what a folded text has that reads otherwise: invisible characters, ligatures, combining accents, HTML
    entities, note marks, and marks repeated without end.
    """
    for match in _REPETITION.finditer(text):
        if not _INVISIBLE_ONLY.fullmatch(match[1]):
            yield Edit(*match.span(), folded(_unescaped(match[1])) * _REPEATED)
    yield from _notes(text)
    for match in _LONGER.finditer(text):
        found = match[0]
        if found[0] == "&":
            plain = _unescaped(found)
            if plain != found:
                yield Edit(*match.span(), folded(plain).replace("\u00ad", "").replace("\u200b", ""))
        elif len(found) > 1 and found[0].isalnum():
            yield Edit(*match.span(), unicodedata.normalize("NFC", found))
        else:
            yield Edit(*match.span(), unicodedata.normalize("NFKC", found) if "\ufb00" <= found <= "\ufb06" else "")


def _unescaped(text: str) -> str:
    """Return what HTML entities mean, also those that were escaped more than once."""
    return html.unescape(re.sub(r"&(?:amp;)+(?=[#A-Za-z])", "&", text))


# Superscript digits are a note mark after a letter or punctuation, unless they belong to a unit, a symbol or an ion.
_RAISED = "\u00b9\u00b2\u00b3\u2070\u2074-\u2079"
_LETTER = rf"[^\W\d_{_RAISED}]"
_NOTE = re.compile(
    rf"(?P<word>(?<!{_LETTER}){_LETTER}{{1,3}}|{_LETTER}|[.,;:!?)\]\"'%])"
    rf"(?P<note>[{_RAISED}]+(?:\s?[,\u207b\u2013-]\s?[{_RAISED}]+)*(?![{_RAISED}\u207a\u207b])"
    r"|\s?<sup\b[^<>]*>(?:<a\b[^<>]*>)?[\[(]?\d{1,3}(?:\s?[,\u2013-]\s?\d{1,3})*[\])]?(?:</a>)?</sup>|\^\d{1,3}\^)"
)
_MAY_HAVE_NOTES = re.compile(rf"[{_RAISED}^]|<sup", re.I)
_WITH_POWERS = listed("m cm mm dm km µm μm nm ft in yd mi s sec min h hr kg g L l mL ml R r I n N x X y p χ e T")
_ELEMENT = re.compile(r"[A-Z][a-z]?")


def _notes(text: str) -> Iterator[Edit]:
    """Yield note marks as nothing."""
    if not _MAY_HAVE_NOTES.search(text):
        return
    for match in _NOTE.finditer(text):
        word, note = match["word"], match["note"]
        power = word in _WITH_POWERS and not text[match.start() - 1 : match.start()].isalpha()
        isotope = _ELEMENT.fullmatch(word) and re.fullmatch(r"[^,]{2,}|\D+\d{2,}\D+", note) is not None
        if not power and not isotope:
            yield Edit(*match.span("note"), "")


_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_LETTER_AFTER = listed(
    """
    VITAMIN HEPATITIS INFLUENZA TYPE GROUP FACTOR PROTEIN CLASS STAGE GRADE IMMUNOGLOBULIN ANTIGEN PHASE
    """
)
_BRACKETED = re.compile(r"\(([A-Z]{2,5})\)")
_VOWEL = re.compile(r"[AEIOUYÀ-ÿ]")
_NO_ACRONYMS = listed(
    """
    MG ML MCG KG G CM MM HR HRS LB LBS DR MR MRS VS ST JR B C D F H J K L M N P Q R S T V W X Z
    """
)
_IN_PLURAL = listed(
    """
    NSAID SSRI SNRI MAOI TCA UTI STD STI SSTI LRTI URTI TIA CVA PPI ARB ACEI CCB DMARD DOAC NOAC TKI ICI LABA LAMA SABA
    SERM NRTI NNRTI INSTI DAA OCP COC IUD MRI ECG EKG EEG ICU AED PVC AVM DVT RBC WBC BZD
    """
)
_ENGLISH = listed("BED PAN POP")  # rather a word than an acronym
_IN_SENTENCES = listed(
    """
    THE THIS THAT IS ARE WAS WERE HAS HAVE CAN MAY DOES NOT NO WITH FROM FOR YOUR THEY
    """
)
_LONG_ENOUGH = 5  # letters of a word that is unlikely to be an acronym


def in_capitals(text: str) -> bool:
    """Return whether the words are upper case as a whole, as in a heading, and not only because they are acronyms."""
    if not text.isupper():
        return False
    words = _WORD.findall(text)
    return any(len(word) >= _LONG_ENOUGH and word not in acronyms() for word in words) or (
        len(words) > 2 and not _IN_SENTENCES.isdisjoint(words)
    )


def lowered(text: str) -> str:
    """Return a line in capitals as a sentence would write it, in the same length.

    Acronyms and names keep their capitals: known ones, words without a vowel, and what the line puts into brackets.
    """
    before, bracketed = "", set(_BRACKETED.findall(text))

    def plain(match: re.Match[str]) -> str:
        nonlocal before
        word, previous, before = match[0], before, match[0]
        beside_digit = (
            text[match.start() - 1 : match.start()].isdigit() or text[match.end() : match.end() + 1].isdigit()
        )
        acronym = word in acronyms() or word in bracketed or not (_VOWEL.search(word) or word in _NO_ACRONYMS)
        if word.endswith("S") and word[:-1] in _IN_PLURAL and word not in acronyms():
            return f"{word[:-1]}s"
        if word in _ENGLISH and word not in bracketed:
            return word.lower()
        if acronym or beside_digit or (len(word) == 1 and previous in _LETTER_AFTER):
            return word
        return _named(word.lower(), word)

    return _WORD.sub(plain, text)


def without_capitals(text: str) -> str:
    """Return a list item or cell without the capital that begins it, or with all its capitals if each word has one."""
    words = _WORD.findall(text)
    titled = len(words) > 1 and all(word[0].isupper() or len(word) < _LONG_ENOUGH for word in words)

    def plain(match: re.Match[str]) -> str:
        return _named(match[0].lower(), match[0]) if match[0][1:].islower() else match[0]

    return _WORD.sub(plain, text, count=0 if titled else 1)


def _named(low: str, word: str) -> str:
    """Return a lowercase word, with its capital if it is a name. `word` is as written."""
    stem = low.removesuffix("'s")
    if len(low) != len(word):  # a letter whose lowercase is longer
        return word
    return low[0].upper() + low[1:] if stem in proper_names() or stem.removesuffix("s") in proper_names() else low
