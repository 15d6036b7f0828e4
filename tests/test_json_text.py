"""core/json_text.py: untrusted JSON becomes a value within limits, or a readable error."""

from __future__ import annotations

import io

import pytest
from medbench.core import json_text
from medbench.core.json_text import bounded_lines, loads


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"[" * 100_000 + b"]" * 100_000, "nested more than 100 deep"),
        (b'{"a":' * 100_000, "nested more than 100 deep"),
        (b"1" * 5_000, "an integer of 5,000 digits"),
        (b'{"logprob": 1e999}', "the number 1e999 is too large"),
        (b'{"logprob": NaN}', "NaN is not JSON"),
        (b"[-Infinity]", "-Infinity is not JSON"),
        (b'"caf\xe9"', "utf-8"),
        (b'"\xed\xa0\x80"', "utf-8"),  # half a surrogate pair as bytes
        (b"", "Expecting value"),
        (b'{"a": 1', "delimiter"),
    ],
)
def test_what_is_not_json_within_bounds_is_one_kind_of_error(text: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        loads(text)


def test_brackets_in_text_are_not_depth() -> None:
    assert loads(b'{"text": "' + b"[{" * 1000 + b'"}') == {"text": "[{" * 1000}
    assert loads(b'{"text": "\\"' + b"[{" * 1000 + b'"}') == {"text": '"' + "[{" * 1000}
    assert loads(b"[" + b",".join([b"[]"] * 1000) + b"]") == [[]] * 1000


def test_within_the_bounds_everything_is_as_json_has_it() -> None:
    assert loads(b"[" * 100 + b"]" * 100)
    assert loads("9" * 300) == int("9" * 300)
    assert float(loads("9" * 300)) == 1e300  # so no later conversion fails
    assert loads('{"a": [1, -0.5, null, true, "\u00e9"]}') == {"a": [1, -0.5, None, True, "é"]}


def test_half_a_surrogate_pair_becomes_the_replacement_character() -> None:
    assert loads(rb'{"\udc00": ["a\ud83d", "\ud83d\ude00"]}') == {"\ufffd": ["a\ufffd", "\N{GRINNING FACE}"]}


def test_a_line_is_read_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_text, "MAX_LINE", 1 << 20)
    assert list(bounded_lines(io.BytesIO(b"a\nb\r\nc"))) == [b"a\n", b"b\r\n", b"c"]
    assert [len(line) for line in bounded_lines(io.BytesIO(b"x" * ((1 << 20) - 1) + b"\ny"))] == [1 << 20, 1]
    with pytest.raises(ValueError, match="longer than 1 MiB"):
        list(bounded_lines(io.BytesIO(b"x" * (1 << 20) + b"\n")))
