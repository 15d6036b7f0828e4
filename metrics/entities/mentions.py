"""The entities that a text mentions: found by a pipeline and the vocabulary, in comparable forms, and cached.

A text is read as prose (`layout.prose`), and analyzed once. The result is kept in memory and, by pipeline and text, in
the cache folder.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import sqlite3
import warnings
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ...core import paths
from . import marks
from .assertion import Scope, scopes
from .clauses import clauses
from .concepts import forms
from .exclusions import NO_ENTITIES, outside
from .layout import Prose, prose
from .normalize import listed, normalized
from .phrases import Phrases, span, words
from .pipelines import Pipeline, load
from .vocabulary import Term, terms

VERSION = "9"  # raised whenever the same pipeline would give a different analysis
REMEMBERED = 1 << 16  # texts kept in memory, a few kilobytes each at most
READ_AT_ONCE = 1024  # texts between writes to the cache
LOCK_SECONDS = 10.0  # how long to wait for another process that writes to the cache


@dataclass(frozen=True)
class FoundMention:
    """One mention as a pipeline or the vocabulary found it, with `start` and `end` in characters of the prose.

    `forms` are what it can be matched by (`concepts.forms`): its normal form first, then its concept and, if available,
    its normalized lemma and its id in a knowledge base ("kb:C0011849").
    """

    text: str
    start: int
    end: int
    label: str
    forms: tuple[str, ...]


@dataclass(frozen=True)
class Analysis:
    """What one text mentions, the abbreviations that it defines (short form to long form, as written), and the parts
    of it that assert nothing, each with the reason. All places are those of the text's prose (`layout.prose`).
    """

    found: tuple[FoundMention, ...]
    abbreviations: Mapping[str, str] = field(default_factory=dict)
    scopes: tuple[Scope, ...] = ()


def analyse(pipeline: Pipeline, texts: Iterable[str]) -> dict[str, Analysis]:
    """Return the analysis of every text. The pipeline reads only texts that are neither in memory nor in the cache."""
    known: dict[str, Analysis] = {}
    missing: dict[str, str] = {}  # text by key
    for text in dict.fromkeys(texts):
        key = _key(pipeline, text)
        if (found := _MEMORY.pop(key, None)) is None:
            missing[key] = text
        else:
            known[text] = _remember(key, found)
    if missing:
        with contextlib.closing(_Disk(pipeline)) as disk:
            for key, found in disk.read(list(missing)).items():
                known[missing.pop(key)] = _remember(key, found)
            unread = list(missing.items())
            for start in range(0, len(unread), READ_AT_ONCE):
                keys, part = zip(*unread[start : start + READ_AT_ONCE])
                read = dict(zip(keys, _read(pipeline, part)))
                disk.write(read)
                known |= {text: _remember(key, read[key]) for key, text in zip(keys, part)}
    return known


def _read(pipeline: Pipeline, texts: Sequence[str]) -> Iterator[Analysis]:
    read = [prose(text) for text in texts]
    for text, each, doc in zip(texts, read, load(pipeline).pipe([each.text for each in read])):
        lemmas = doc.has_annotation("LEMMA")
        marked = [(span, ent.label_) for ent in doc.ents for part in _parts(ent) if len(span := _whole(part))]
        found = [FoundMention(s.text, s.start_char, s.end_char, label, _forms(s, lemmas)) for s, label in marked]
        yield Analysis(tuple(_kept(each.text, found)), abbreviations(each.text), (*scopes(each), *_marked(text, each)))


def _marked(text: str, as_prose: Prose) -> Iterator[Scope]:
    """Yield what marks of the original text deny, in characters of the prose."""
    for start, end in marks.denied(text):
        inside = [(at, low, high) for at, low, high in as_prose.pieces if start <= low < high <= end]
        if inside:
            at, low, high = inside[-1]
            yield Scope(inside[0][0], at + high - low, "denied")


def _kept(text: str, found: Sequence[FoundMention]) -> Iterator[FoundMention]:
    """Yield the mentions of a text in order: the pipeline's, and the vocabulary's that it missed or cut short."""
    elsewhere = list(outside(text))
    named = [each for each in found if each.forms[0] and each.forms[0] not in NO_ENTITIES]
    known = [
        FoundMention(text[low:high], low, high, term.label, forms(said))
        for low, high, term, said in in_text(text)
        if term.searched
    ]
    meant = {(each.start, each.end): each.forms for each in known}  # "nose keeps bleeding" may be marked by both
    named = [replace(each, forms=(*each.forms, *meant.get((each.start, each.end), ()))) for each in named]
    for each in longest([*named, *known]):
        if not any(low < each.end and each.start < high for low, high in elsewhere):
            yield each


def longest(found: Sequence[FoundMention]) -> list[FoundMention]:
    """Return mentions in order, without overlaps: the longest first, of equally long ones the first in the list."""
    kept: list[FoundMention] = []  # in order
    starts: list[int] = []
    for each in sorted(found, key=lambda each: each.start - each.end):
        at = bisect_left(starts, each.start)
        if (at == 0 or kept[at - 1].end <= each.start) and (at == len(kept) or each.end <= starts[at]):
            kept.insert(at, each)
            starts.insert(at, each.start)
    return kept


def _parts(span: Any) -> Iterator[Any]:
    """Yield a mention in the parts that a comma, a verb, or "and" between two known terms, divides: "fever, cough" is
    two, and so is "Parkinson's brings tremor".
    """
    start, whole = 0, normalized(span.text) in terms()
    for at, token in enumerate(span):
        apart = token.text in (",", ";", ":") or (token.text in ("-", "–", "—") and span[at - 1].whitespace_)
        if at and token.lower_ in _VERBS and not whole:
            yield span[start:at]
            yield from (part for part in _parts(span[at + 1 :]) if normalized(_whole(part).text) in terms())
            return
        if at and ((apart and token.whitespace_) or _joins(span, at)):
            yield span[start:at]
            start = at + 1
    yield span[start:] if start else span


def _joins(span: Any, at: int) -> bool:
    if span[at].text not in ("and", "or", "/", "&"):
        return False
    after = normalized(span[at + 1 :].text).split()
    known = any(" ".join(after[start:]) in terms() for start in range(len(after)))
    return normalized(span[:at].text) in terms() and known


_VERBS = listed(  # none of them is a noun, too
    """
    brings bring makes strikes destroys destroy gives impairs impair hurts damages affects affect causes cause leads
    suggests suggest indicates indicate implies imply favors favours signals requires require produces produce lowers
    raises reduces reduce improves improve worsens worsen includes include presents occurs develops develop kills
    itches becomes become remains means eases relieves treats prevents cures mimics resembles
    """
)
_BEFORE = listed(
    """
    causes cause caused causing clears clear cleared clearing treats treat treated treating relieves relieve relieved
    relieving eases ease eased easing reduces reduce reducing prevents prevent preventing triggers trigger triggering
    controls controlling cures cure curing fights fighting soothes worsens worsening develops develop developing
    improves improve improving lessens heals includes include including and or with without for of to from plus the a
    an your his her their my our its this these
    """
)
_AFTER = listed(
    "can may might could will should is are was were has have and or with without of in on to for from as at by plus"
)


def _whole(span: Any) -> Any:
    """Return a mention up to the first unmatched bracket, without verbs and connecting words at its ends.

    "T2DM) damages nerves" is T2DM, "Chest pain can" is chest pain, and "clears acne" is acne.
    """
    while len(span) > 1 and _lowered(span[len(span) - 1]) in _AFTER:
        span = span[:-1]
    while len(span) > 1 and _lowered(span[0]) in _BEFORE | _VERBS and normalized(span.text) not in terms():
        span = span[1:]
    for at, token in enumerate(span):  # "problem is liver failure"
        if token.lower_ in ("is", "are", "was", "were") and normalized(span[at + 1 :].text) in terms():
            span = span[at + 1 :]
            break
    open_ = []
    for at, token in enumerate(span):
        if token.text in ("(", "["):
            open_.append(at)
        elif token.text in (")", "]"):
            if not open_:
                return span[:at]
            open_.pop()
    return span[: open_[0]] if open_ else span


def _lowered(token: Any) -> str:
    """Return a word in lowercase; an abbreviation as it is ("severe AS" is no "severe as")."""
    return str(token.text if token.is_upper and len(token) > 1 else token.lower_)


def _forms(span: Any, lemmas: bool) -> tuple[str, ...]:
    found = [*forms(span.text)]
    if lemmas:
        found.append(normalized("".join((token.lemma_ or token.text) + token.whitespace_ for token in span)))
    linked = span._.kb_ents if span.has_extension("kb_ents") else ()
    return tuple(dict.fromkeys([*found, *(f"kb:{link[0]}" for link in linked[:1])]))  # the best link only


@functools.cache
def _vocabulary() -> Phrases[Term]:
    return Phrases(terms().items())


def in_text(text: str) -> Iterator[tuple[int, int, Term, str]]:
    """Yield (start, end, term, words) of every phrase of the vocabulary in a running text, and of every clause."""
    among = words(text)
    for first, last, form in clauses(among):
        yield *span(among, first, last), terms()[form], form
    for first, last, term in _vocabulary().find(among, overlapping=True):
        before = among[first - 1] if first and not among[first - 1].ends else None
        if before and before.form in _COURSE and f"{before.form} {term.concept}" in terms():
            first -= 1  # "acute inflammation of the pancreas": acute pancreatitis
        if term.label == "CHEMICAL" or last == len(among) or among[last].form not in _FOOD or among[last - 1].ends:
            low, high = span(among, first, last)
            yield low, high, term, text[low:high]


_COURSE = listed("acute chronic")
_FOOD = listed("diet food intake meal snack salt")  # "a low sodium diet" is no hyponatremia


# Abbreviations


def abbreviations(text: str) -> dict[str, str]:
    """Return the abbreviations that the text defines in brackets, short form to long form, as written.

    Uses scispaCy's detector (Schwartz and Hearst 2003) with scispaCy's own tokenizer, since it miscounts if another
    tokenizer splits a word.
    """
    if "(" not in text:
        return {}
    tokenizer, detector = _detector()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a text that defines none
        shorts = detector(tokenizer(text))._.abbreviations
    return {short.text: short._.long_form.text for short in shorts if normalized(short.text)}


@functools.cache
def _detector() -> tuple[Any, Any]:
    import spacy
    from scispacy.abbreviation import AbbreviationDetector
    from scispacy.custom_tokenizer import combined_rule_tokenizer

    nlp = spacy.blank("en")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about scispaCy's regular expressions in future Python versions
        return combined_rule_tokenizer(nlp), AbbreviationDetector(nlp)


# The cache of analyses


def _key(pipeline: Pipeline, text: str) -> str:
    return hashlib.sha256(f"{pipeline.digest}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


_MEMORY: OrderedDict[str, Analysis] = OrderedDict()


def _remember(key: str, analysis: Analysis) -> Analysis:
    _MEMORY[key] = analysis
    if len(_MEMORY) > REMEMBERED:
        _MEMORY.popitem(last=False)
    return analysis


class _Disk:
    """A pipeline's analyses in the cache folder. Does nothing if the cache cannot be read or written."""

    def __init__(self, pipeline: Pipeline) -> None:
        folder = paths.cache() / "entities"
        self._connection: sqlite3.Connection | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{pipeline.digest}-{VERSION}.sqlite"
            self._connection = sqlite3.connect(path, timeout=LOCK_SECONDS)
            self._connection.execute("CREATE TABLE IF NOT EXISTS analyses (key TEXT PRIMARY KEY, found TEXT NOT NULL)")
        except (OSError, sqlite3.Error):
            self.close()

    def read(self, keys: Sequence[str]) -> dict[str, Analysis]:
        found: dict[str, Analysis] = {}
        if self._connection is None:
            return found
        try:
            for key in keys:
                for (text,) in self._connection.execute("SELECT found FROM analyses WHERE key = ?", (key,)):
                    found[key] = _decoded(text)
        except (sqlite3.Error, ValueError, TypeError, LookupError):
            self.close()
        return found

    def write(self, analyses: Mapping[str, Analysis]) -> None:
        rows = [(key, _encoded(analysis)) for key, analysis in analyses.items()]
        try:
            if self._connection:
                with self._connection:
                    self._connection.executemany("INSERT OR REPLACE INTO analyses VALUES (?, ?)", rows)
        except sqlite3.Error:
            self.close()

    def close(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None


def _encoded(analysis: Analysis) -> str:
    rows = [[f.text, f.start, f.end, f.label, list(f.forms)] for f in analysis.found]
    return json.dumps([rows, dict(analysis.abbreviations), [list(scope) for scope in analysis.scopes]])


def _decoded(text: str) -> Analysis:
    rows, short, scoped = json.loads(text)
    return Analysis(
        tuple(FoundMention(a, b, c, d, tuple(known)) for a, b, c, d, known in rows),
        dict(short),
        tuple(Scope(low, high, why) for low, high, why in scoped),
    )
