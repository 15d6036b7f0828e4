"""Keep keys out of everything that is stored or printed.

A server can echo the key that it was sent: in an error, in a header, in an answer, and in any spelling. Whatever enters
from a server passes through a `Mask` once, before anything else looks at it. Messages and command lines pass through
`masked`.
"""

from __future__ import annotations

import base64
import functools
import os
import re
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

MASK = "***"
# A mask must not destroy words. A key that short protects nothing and may be any number or abbreviation ("1234",
# "none"): it is masked in messages, as a whole word, and left in answers.
SHORT = 8  # characters
WORD = 10  # lower-case letters; a key that is an ordinary word ("anything") is not masked in answers
BEGINNING = 12  # characters of a longer key that are masked without the rest: an echo may be cut off

_HOLDS_A_KEY = re.compile(r"(?:API_?KEY|ACCESS_KEY|TOKEN|SECRET|PASSWORD)$", re.IGNORECASE)  # names of variables
# A digit or a star tells a key, or what a server left of one, from a name such as hf_hub_download.
_KEY_LIKE = re.compile(r"\b(?:sk|gsk|pk|hf|xai|nvapi)[-_](?=[\w*.-]*[\d*])[\w*.-]{4,}|\bAIza[\w-]{20,}")
_BEARER = re.compile(r"\b(Bearer|Basic)\s+(?!\*\*\*)[\w.~+/=-]{8,}")
_USER_IN_URL = re.compile(r"(?<=://)[^/\s@'\"<>?#]+(?=@)")
_KEY_IN_QUERY = re.compile(
    r"([?&;#](?:[\w-]*(?:key|token|secret|password|passwd|signature|credential)[\w-]*|sig|code|auth)=)[^&;#\s'\"<>]+",
    re.IGNORECASE,
)
_ENTITIES = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos", "/": "sol", "+": "plus", "=": "equals"}


def masked(text: str, *keys: str) -> str:
    """`text` without these keys, without those in the environment, and without what looks like one."""
    return Mask(*keys)(text)


class Mask:
    """Replaces keys by `***`: as they are, and as JSON, URLs, HTML, base64 and hexadecimal spell them.

    Of a key that is longer than BEGINNING, its first characters are masked too, with what follows without a space. They
    have to hold a digit, or letters of both cases, so that no word is lost.
    """

    def __init__(self, *keys: str) -> None:
        self._keys = tuple(key for key in dict.fromkeys(keys) if key)
        secret = [key for key in self._keys if len(key) >= SHORT]
        self._echo = _pattern(tuple(key for key in secret if not (len(key) <= WORD and _is_word(key))))

    def echoed(self, text: str) -> bool:
        """Whether `answer` changes `text`."""
        return self._echo is not None and self._echo.search(text) is not None

    def answer(self, text: str) -> str:
        """`text` without the keys themselves, for what a model wrote: nothing that only looks like a key is touched."""
        return self._echo.sub(MASK, text) if self._echo else text

    def __call__(self, text: str) -> str:
        """`text` without keys and without anything that looks like one, for messages, headers and command lines."""
        keys = (*self._keys, *_of_environment())
        if whole := _pattern(tuple(key for key in keys if len(key) >= SHORT)):
            text = whole.sub(MASK, text)
        for key in self._keys:
            if len(key) < SHORT:
                text = re.sub(rf"(?<!\w){re.escape(key)}(?!\w)", MASK, text)
        text = _USER_IN_URL.sub(MASK, _KEY_LIKE.sub(MASK, text))
        return _KEY_IN_QUERY.sub(rf"\1{MASK}", _BEARER.sub(rf"\1 {MASK}", text))


def _is_word(key: str) -> bool:
    return key.isalpha() and key.islower()


def _could_be_words(text: str) -> bool:
    return not any(map(str.isdigit, text)) and (text.islower() or text.isupper())


def _of_environment(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The keys and tokens that the environment holds, and the passwords of its proxies."""
    found = []
    for name, value in environment.items():
        value = value.strip()
        if _HOLDS_A_KEY.search(name):
            found.append(value)
        elif name.lower().endswith("_proxy") and "@" in value:
            try:
                password = urlsplit(value if "://" in value else f"http://{value}").password or ""
            except ValueError:
                continue
            found += [password, unquote(password)]
    return tuple(sorted({value for value in found if len(value) >= SHORT and not _is_word(value)}, key=len)[::-1])


@functools.lru_cache(maxsize=16)
def _pattern(keys: tuple[str, ...]) -> re.Pattern[str] | None:
    """Matches each of `keys` in every spelling; None for no keys."""
    parts = []
    for key in sorted(keys, key=len, reverse=True):
        parts.append(f"(?i:{_spelled(key)})")
        data = key.encode("utf-8", "replace")
        parts.append(f"(?i:{data.hex()})")
        parts += [_spelled(form) for form in _base64(data)]
    # After the whole keys, which come first wherever both would match.
    beginnings = {key[:BEGINNING] for key in keys if len(key) > BEGINNING}
    parts += [rf"(?<!\w){_spelled(text)}[\w.*+/=-]*" for text in sorted(beginnings) if not _could_be_words(text)]
    return re.compile("|".join(parts)) if parts else None


def _spelled(text: str) -> str:
    """A pattern in which each character is as it is or escaped for JSON, a URL or HTML, once or several times."""
    return "".join(_one(character) for character in text)


def _one(character: str) -> str:
    code = ord(character)
    octets = "".join(rf"%(?:25)*{octet:02x}" for octet in character.encode("utf-8", "replace"))
    named = _ENTITIES.get(character)
    forms = [
        rf"\\*{re.escape(character)}" if not character.isalnum() else character,
        f"(?i:{octets})",
        rf"\\+(?i:u{code:04x}|x{code:02x})",
        rf"&(?:amp;)*#(?i:0*{code}|x0*{code:x});",
        *([f"&(?:amp;)*{named};"] if named else []),
    ]
    return f"(?:{'|'.join(forms)})"


def _base64(data: bytes) -> set[str]:
    """What base64 of any text around `data` holds of it: one form for each way that the bytes can be aligned."""
    found = set()
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + data).rstrip(b"=").decode()
        first, last = -(-shift * 8 // 6), (shift + len(data)) * 8 // 6  # only characters that depend on `data` alone
        inner = encoded[first:last]
        found |= {inner, inner.replace("+", "-").replace("/", "_")}
    return found
