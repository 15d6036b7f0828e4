"""The entities that a text mentions: found by a pipeline, normalized for comparison, and cached.

Each text is analyzed once. The result is kept in memory and, by pipeline and text, in the cache folder.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import re
import sqlite3
import unicodedata
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...core import paths
from .negation import negated
from .pipelines import Pipeline, load

VERSION = "4"  # raised whenever the same pipeline would give a different analysis
REMEMBERED = 1 << 16  # texts kept in memory, a few kilobytes each at most
READ_AT_ONCE = 1024  # texts between writes to the cache
LOCK_SECONDS = 10.0  # how long to wait for another process that writes to the cache


@dataclass(frozen=True)
class FoundMention:
    """One mention as the pipeline found it, with `start` and `end` in characters.

    `forms` are what it can be matched by: its normalized text first, then, if available, its normalized lemma and its
    id in a knowledge base ("kb:C0011849").
    """

    text: str
    start: int
    end: int
    label: str
    forms: tuple[str, ...]
    negated: bool


@dataclass(frozen=True)
class Analysis:
    """What one text mentions, and the abbreviations that it defines: short form to long form, as written."""

    found: tuple[FoundMention, ...]
    abbreviations: Mapping[str, str] = field(default_factory=dict)


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
    for text, doc in zip(texts, load(pipeline).pipe(texts)):
        lemmas = doc.has_annotation("LEMMA")
        mentions = [span for each in doc.ents if len(span := _whole(each))]
        denied = negated(text, [(span.start_char, span.end_char) for span in mentions])
        found = tuple(
            FoundMention(span.text, span.start_char, span.end_char, span.label_, _forms(span, lemmas), no)
            for span, no in zip(mentions, denied)
            if normalized(span.text)
        )
        yield Analysis(found, abbreviations(text))


def _whole(span: Any) -> Any:
    """Return a mention up to the first unmatched bracket: "T2DM) damages nerves" is T2DM."""
    open_ = []
    for at, token in enumerate(span):
        if token.text in ("(", "["):
            open_.append(at)
        elif token.text in (")", "]"):
            if not open_:
                return span[:at]
            open_.pop()
    return span[: open_[0]] if open_ else span


def _forms(span: Any, lemmas: bool) -> tuple[str, ...]:
    forms = [normalized(span.text)]
    if lemmas:
        forms.append(normalized("".join((token.lemma_ or token.text) + token.whitespace_ for token in span)))
    linked = span._.kb_ents if span.has_extension("kb_ents") else ()
    return tuple(dict.fromkeys([*forms, *(f"kb:{link[0]}" for link in linked[:1])]))  # the best link only


# Normalization


def normalized(text: str) -> str:
    """Return a text in lowercase, without accents, punctuation, possessives, determiners and plural endings.

    British spelling becomes American, and Greek letters are spelled out. The result is only for comparison, so
    "diabete" for "diabetes" is fine.
    """
    plain = "".join(_GREEK.get(char, char) for char in text)
    plain = unicodedata.normalize("NFKD", plain)
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    words = [_word(word) for word in _WORDS.findall(_POSSESSIVE.sub("", plain))]
    while len(words) > 1 and words[0] in _DETERMINERS:
        words = words[1:]
    return " ".join(words)


@functools.lru_cache(maxsize=1 << 16)
def _word(word: str) -> str:
    """Return one word's normal form. An acronym keeps its last S unless it is lowercase: SARS, but NSAIDs."""
    if len(word) > 2 and word[:-1].isupper() and word.endswith("s"):
        return word[:-1].lower()
    low = word.lower()
    return _american(low if word.isupper() and len(word) > 1 and len(word) < 6 else _singular(low))


def _singular(word: str) -> str:
    if len(word) < 4 or word in _SAME:
        return word
    for ending, instead in _PLURALS:
        if word.endswith(ending):
            return word[: len(word) - len(ending)] + instead
    return word


def _american(word: str) -> str:
    for british, american in _BRITISH:
        word = word.replace(british, american)
    return word


_WORDS = re.compile(r"[^\W_]+")
_POSSESSIVE = re.compile(r"(?<=\w)['’]s\b|(?<=s)['’](?=\s)")
_DETERMINERS = frozenset(
    ["a", "an", "the", "any", "some", "this", "that", "these", "those", "your", "his", "her", "their"]
)
_GREEK = {"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "κ": "kappa", "ω": "omega", "µ": "mu", "μ": "mu"}
_SAME = frozenset(
    ["diabetes", "herpes", "rabies", "scabies", "caries", "series", "species", "measles", "mumps", "lens"]
)
# The first match applies. Greek and Latin plurals of medical terms; words in ss, us or is are not plurals.
_PLURALS = (
    ("noses", "nosis"), ("roses", "rosis"), ("boses", "bosis"), ("stases", "stasis"), ("lyses", "lysis"),
    ("theses", "thesis"), ("crises", "crisis"), ("phyxes", "phyxis"), ("ptoses", "ptosis"), ("choses", "chosis"),
    ("mata", "ma"), ("itides", "itis"), ("emboli", "embolus"), ("thrombi", "thrombus"), ("viri", "virus"),
    ("bacteria", "bacterium"), ("fungi", "fungus"), ("nuclei", "nucleus"), ("bronchi", "bronchus"),
    ("vertebrae", "vertebra"), ("ovaries", "ovary"), ("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"),
    ("shes", "sh"), ("uses", "us"), ("ss", "ss"), ("us", "us"), ("is", "is"), ("s", ""),
)  # fmt: skip
_BRITISH = (
    ("aemi", "emi"), ("haem", "hem"), ("oed", "ed"), ("oes", "es"), ("rrhoe", "rrhe"), ("paed", "ped"), ("coel", "cel"),
    ("caec", "cec"), ("faec", "fec"), ("gynaec", "gynec"), ("foet", "fet"), ("anaes", "anes"), ("aesth", "esth"),
    ("tumour", "tumor"), ("sulph", "sulf"),
)  # fmt: skip


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
    rows = [[f.text, f.start, f.end, f.label, list(f.forms), f.negated] for f in analysis.found]
    return json.dumps([rows, dict(analysis.abbreviations)])


def _decoded(text: str) -> Analysis:
    rows, short = json.loads(text)
    return Analysis(
        tuple(FoundMention(a, b, c, d, tuple(forms), bool(no)) for a, b, c, d, forms, no in rows), dict(short)
    )
