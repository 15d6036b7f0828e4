"""Keep keys out of everything that is stored or printed.

A server can echo the key that it was sent, in an error, a header or an answer, and in any encoding. Everything from a
server passes through a `Mask` before any other code sees it. Messages and command lines pass through `masked`.
"""

from __future__ import annotations

import base64
import functools
import os
import re
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

MASK = "***"
# A mask must not destroy words. A key this short protects nothing and may be any number or abbreviation ("1234",
# "none"). It is masked in messages as a whole word, but not in answers.
SHORT = 8  # characters
WORD = 10  # lowercase letters; a key that is an ordinary word ("anything") is not masked in answers
BEGINNING = 12  # leading characters of a longer key, masked by themselves because an echo may be cut off

_HOLDS_A_KEY = re.compile(r"(?:API_?KEY|ACCESS_KEY|TOKEN|SECRET|PASSWORD)$", re.IGNORECASE)  # names of variables
# A digit or an asterisk distinguishes a key, or a partly masked one, from a name such as hf_hub_download.
_KEY_LIKE = re.compile(r"\b(?:sk|gsk|pk|hf|xai|nvapi)[-_](?=[\w*.-]*[\d*])[\w*.-]{4,}|\bAIza[\w-]{20,}")
_BEARER = re.compile(r"\b(Bearer|Basic)\s+(?!\*\*\*)[\w.~+/=-]{8,}")
_USER_IN_URL = re.compile(r"(?<=://)[^/\s@'\"<>?#]+(?=@)")
_KEY_IN_QUERY = re.compile(
    r"([?&;#](?:[\w-]*(?:key|token|secret|password|passwd|signature|credential)[\w-]*|sig|code|auth)=)[^&;#\s'\"<>]+",
    re.IGNORECASE,
)
_ENTITIES = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos", "/": "sol", "+": "plus", "=": "equals"}


def masked(text: str, *keys: str) -> str:
    """Return `text` without these keys, the keys in the environment, and anything that looks like a key."""
    return Mask(*keys)(text)


class Mask:
    """Replace keys with `***`, also when they are encoded as JSON, URLs, HTML, base64 or hexadecimal.

    If a key is longer than BEGINNING, its first characters are masked too, with everything up to the next space. They
    must contain a digit or letters of both cases, so that no ordinary word is lost.
    """

    def __init__(self, *keys: str) -> None:
        self._keys = tuple(key for key in dict.fromkeys(keys) if key)
        secret = [key for key in self._keys if len(key) >= SHORT]
        self._echo = _pattern(tuple(key for key in secret if not (len(key) <= WORD and _is_word(key))))

    def echoed(self, text: str) -> bool:
        """Return whether `text` contains a key, which `answer` would then mask."""
        return self._echo is not None and self._echo.search(text) is not None

    def answer(self, text: str) -> str:
        """Return a model's `text` without the keys themselves. Anything that only looks like a key is kept."""
        return self._echo.sub(MASK, text) if self._echo else text

    def __call__(self, text: str) -> str:
        """Return `text` without keys or anything that looks like one, for messages, headers and command lines."""
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
    """Return the keys and tokens in the environment, and the passwords of its proxies."""
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
    """Return a pattern that matches each of `keys` in every encoding; None if there are no keys."""
    parts = []
    for key in sorted(keys, key=len, reverse=True):
        parts.append(f"(?i:{_spelled(key)})")
        data = key.encode("utf-8", "replace")
        parts.append(f"(?i:{data.hex()})")
        parts += [_spelled(form) for form in _base64(data)]
    # After the whole keys, which take precedence if both match.
    beginnings = {key[:BEGINNING] for key in keys if len(key) > BEGINNING}
    parts += [rf"(?<!\w){_spelled(text)}[\w.*+/=-]*" for text in sorted(beginnings) if not _could_be_words(text)]
    return re.compile("|".join(parts)) if parts else None


def _spelled(text: str) -> str:
    """Return a pattern in which each character may be escaped for JSON, a URL or HTML, once or several times."""
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
    """Return what base64 of any text around `data` contains of it, one form per byte alignment."""
    found = set()
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + data).rstrip(b"=").decode()
        first, last = -(-shift * 8 // 6), (shift + len(data)) * 8 // 6  # only characters determined by `data` alone
        inner = encoded[first:last]
        found |= {inner, inner.replace("+", "-").replace("/", "_")}
    return found
