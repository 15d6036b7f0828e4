"""Split a model's text into its reasoning and its answer. Pure, and linear in the length of the text.

Reasoning models mark their reasoning in many ways. Most use a pair of marks, listed in `_NAMES` and `_PAIRS`. The
others are the channels of gpt-oss, and openings and closings in words, such as the headings "## Thinking" and "## Final
Response" of HuatuoGPT-o1.

A mark that is only mentioned is plain text: in quotation marks or code, before a word such as "tag" or "token", or an
unclosed tag in the middle of a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from .json_text import loads


@dataclass(frozen=True, slots=True)
class Split:
    """The two parts of a text, without the marks and surrounding whitespace."""

    reasoning: str
    answer: str
    closed: bool = True  # False: the text ends inside its reasoning, without a final answer
    start: int = field(default=0, compare=False)  # characters before the answer's last piece; all of them if not closed


def split(text: str) -> Split:
    """Split `text`. If the prompt opened the reasoning, `text` must include that mark; see `continued`."""
    if not _may_hold_marks(text):
        return Split("", text.strip())
    if "<|channel|>" in text or "<|message|>" in text:
        return _channels(text)
    return _bare_channels(text) or _in_words(text) or _blocks(text)


def _may_hold_marks(text: str) -> bool:
    """Return whether `text` may contain marks. A quick check, so that plain texts cost almost nothing."""
    if any(sign in text for sign in ("<", "[", "◁", "assistantfinal")):
        return True
    start = text.lstrip()  # thousands of spaces would take the expressions seconds
    return _BARE_START.match(start) is not None or any(opening.match(start) for opening, _, _ in _WORDS)


def opening_mark(prompt: str) -> str:
    """Return the mark at the end of a prompt that opens reasoning, as some chat templates write it; "" if none does."""
    tail = prompt[-_TAIL:].rstrip()
    for mark in _MARK.finditer(tail):
        if mark.end() == len(tail) and not _is_closing(mark):
            return mark[0]
    return ""


def continued(prompt: str, text: str) -> str:
    """Return `text`, preceded by the mark that opened the reasoning in the prompt unless `text` repeats it."""
    mark, again = opening_mark(prompt), _MARK.match(text.lstrip())
    return text if not mark or (again and not _is_closing(again)) else f"{mark}\n{text}"


def is_mark(token: str) -> bool:
    """Return whether a tokenizer's special token marks reasoning, so that decoding must keep it.

    Two of gpt-oss's tokens suffice. The others, such as <|end|>, end the turns of other models.
    """
    token = token.strip()
    return token in ("<|channel|>", "<|message|>") or bool(_MARK.fullmatch(token) or _RESPONSE_TOKEN.fullmatch(token))


# --- pairs of marks ----------------------------------------------------------------------------------------------

# <think>…</think>, [THINK]…[/THINK], ◁think▷…◁/think▷; a prefix as in <seed:think> and <longcat_think>, and attributes.
_THOUGHT = r"think|thinking|thought|thoughts|reason|reasoning"
_NAMES = (
    rf"(?:[a-z]+[:_-])?(?:{_THOUGHT}|monologue)(?:[_-](?:process|steps?|trace))?"
    r"|antthinking|reflection|analysis|scratchpad|rationale|deliberation|cot|chain[_-]of[_-]thought"
)
_PAIRS = (
    # <|START_THINKING|> of Cohere, <|begin_of_thought|> of OpenThinker and Sky-T1, <|think|>, <|think_start|>
    (
        rf"<[|｜](?:(?:start|begin)[_▁](?:of[_▁])?)?(?:{_THOUGHT})(?:[_▁](?:start|begin))?[|｜]>",
        rf"<[|｜](?:(?:/|end[_▁](?:of[_▁])?)(?:{_THOUGHT})|(?:{_THOUGHT})[_▁]end)[|｜]>",
    ),
    (r"<unused94>(?:[ \t]*thoughts?\b)?", r"<unused95>"),  # MedGemma
    (r"<\|channel>(?:[ \t]*thoughts?\b)?", r"<channel\|>"),  # Gemma 4
    (r"<\|inner_prefix\|>", r"<\|inner_suffix\|>"),  # Apertus
    (r"<\|im_start\|>think\n", r"<\|im_start\|>answer\n"),  # s1, m1
)
_MARK = re.compile(
    rf"<\s?(?P<angle>/?)\s?(?P<name>{_NAMES})(?:\s+[\w:-]+=[^<>\n]{{0,80}})?\s?>|\[(?P<square>/?)(?:THINK|THINKING)\]|◁(?P<wedge>/?)think▷"
    + "".join(f"|(?P<open{n}>{a})|(?P<close{n}>{b})" for n, (a, b) in enumerate(_PAIRS)),
    re.I,
)
_TAIL = 64  # characters at the end of a prompt that are searched for an opening mark
_FENCE = re.compile(r"^[ \t]*```", re.M)
_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "‘": "’", "«": "»", "„": "“"}
_IS_A_WORD = re.compile(r"[\"'`”’]?[- ](?:style )?(?:tag|token|block|mark|marker|delimiter|element|section)s?", re.I)
_SENTENCE_END = frozenset(".!?:;。！？：…)]}>*|-")
_FEW_WORDS = re.compile(r"\W*(?:\w+\W*){0,2}\Z")  # between two tags that are only mentioned: "<think> and </think>"
_WRAPPED = re.compile(
    r"(?:<(?P<tag>answer|response|output|solution)>(?P<inside>.*)</(?P=tag)>"
    r"|<\|begin_of_solution\|>(?P<solution>.*?)(?:<\|end_of_solution\|>)?)",
    re.I | re.S,
)
# Marks around an answer: Cohere's, GLM's, Apriel's.
_RESPONSE_TOKEN = re.compile(r"<\|(?:(?:START|END)_RESPONSE|(?:begin|end)_of_box)\|>|\[END FINAL RESPONSE\]", re.I)


@dataclass(frozen=True, slots=True)
class _Mark:
    start: int
    end: int
    closing: bool
    kind: str


def _is_closing(mark: re.Match[str]) -> bool:
    found = mark.groupdict()
    return "/" in (found["angle"], found["square"], found["wedge"]) or any(
        found[f"close{n}"] for n in range(len(_PAIRS))
    )


def _kind(mark: re.Match[str]) -> str:
    if mark["name"]:
        return mark["name"].lower()
    group = mark.lastgroup or ""
    return group.removeprefix("open").removeprefix("close")


def _marks(text: str) -> Iterator[_Mark]:
    """Yield the marks in `text` that are not merely mentioned."""
    code = _fenced(text)
    block = next(code, None)
    for mark in _MARK.finditer(text):
        while block and block[1] <= mark.start():
            block = next(code, None)
        if block and block[0] <= mark.start():
            continue
        before, after = text[mark.start() - 1 : mark.start()], text[mark.end() : mark.end() + 1]
        if before in _QUOTES and after and after in (_QUOTES[before], before):
            continue
        if _IS_A_WORD.match(text, mark.end()):
            continue
        yield _Mark(mark.start(), mark.end(), _is_closing(mark), _kind(mark))


def _fenced(text: str) -> Iterator[tuple[int, int]]:
    """Yield the spans of fenced code blocks. A fence that opens the text does not count: some models fence a reply."""
    fences = [fence.start() for fence in _FENCE.finditer(text)]
    if fences and not text[: fences[0]].strip():
        return
    yield from zip(fences[::2], fences[1::2], strict=False)


def _blocks(text: str) -> Split:
    marks = list(_marks(text))
    if marks and _is_json(text):
        return Split("", text.strip())  # its strings mention marks
    if not marks:
        return Split("", _joined([text]))
    closings: dict[str, list[int]] = {}  # by kind, from last to first
    for at in range(len(marks) - 1, -1, -1):
        if marks[at].closing:
            closings.setdefault(marks[at].kind, []).append(at)
    every = [at for at in range(len(marks) - 1, -1, -1) if marks[at].closing]
    thoughts: list[str] = []
    spoken: list[str] = []
    at, position, closed = 0, 0, True
    while at < len(marks):
        mark = marks[at]
        if mark.closing:  # no opening mark: the chat template opened it, or marks were nested
            thoughts.append("".join(spoken) + text[position : mark.start])
            spoken.clear()
            at, position = at + 1, mark.end
            continue
        end = _first_after(closings.get(mark.kind, []), at)
        if end is None:
            end = _first_after(every, at)
        if not _starts_a_block(text, mark, marks[end] if end is not None else None):
            at = at + 1 if end is None else end + 1  # both tags are only mentioned
            continue
        spoken.append(text[position : mark.start])
        if end is None:
            thoughts.append(text[mark.end :])
            position, closed = len(text), False
            break
        thoughts.append(text[mark.end : marks[end].start])
        at, position = end + 1, marks[end].end
    spoken.append(text[position:])
    return Split(_joined(thoughts), _unwrapped(_joined(spoken)), closed, position)


def _is_json(text: str) -> bool:
    """Return whether the whole text is one JSON object."""
    if not text.lstrip().startswith("{"):
        return False
    try:
        return isinstance(loads(text), dict)
    except ValueError:
        return False


def _first_after(descending: list[int], at: int) -> int | None:
    """Return the smallest number above `at`. Smaller ones are dropped, because `at` only grows."""
    while descending and descending[-1] <= at:
        descending.pop()
    return descending[-1] if descending else None


def _starts_a_block(text: str, mark: _Mark, end: _Mark | None) -> bool:
    """Return whether a mark opens reasoning: not in mid-sentence, unless a block of text follows."""
    before = mark.start - 1
    if before >= 0 and text[before].isalnum():
        return True
    while before >= 0 and text[before] in " \t":
        before -= 1
    if before < 0 or text[before] == "\n" or text[before] in _SENTENCE_END:
        return True
    if end is None:
        return False
    return end.start - mark.end > 200 or not _FEW_WORDS.match(text[mark.end : end.start])


def _joined(parts: list[str]) -> str:
    return "\n\n".join(filter(None, (_RESPONSE_TOKEN.sub("", part).strip() for part in parts)))


def _unwrapped(answer: str) -> str:
    """Return an answer without the one tag that encloses all of it, after reasoning."""
    whole = _WRAPPED.fullmatch(answer)
    if whole is None or f"<{(whole['tag'] or '').lower()}>" in (whole["inside"] or "").lower():
        return answer
    return (whole["inside"] or whole["solution"] or "").strip()


# --- the channels of gpt-oss -------------------------------------------------------------------------------------

_CHANNEL_TOKEN = re.compile(r"<\|(?:channel|message|start|end|return|call|constrain)\|>")
# Decoded without the special tokens: "analysisWe need …assistantfinalThe answer".
_BARE_FINAL = re.compile(r"assistantfinal")
_BARE_START = re.compile(r"\s*(?:assistant)?analysis(?P<glued>(?=[^\W\d_a-z]))?")


def _channels(text: str) -> Split:
    """Split messages that have a channel each; the answer is the content of the final channel."""
    pieces: list[tuple[str, str]] = []  # channel and content; the prompt opened the first message
    channel, inside, position, start = "analysis", True, 0, len(text)
    for token in _CHANNEL_TOKEN.finditer(text):
        piece, position = text[position : token.start()], token.end()
        name = token[0][2:-2]
        if inside:
            # If decoding dropped <|start|>, the role is at the end of the message before it.
            pieces.append((channel, piece.removesuffix("assistant") if name == "channel" else piece))
        elif name in ("message", "constrain") and not channel:
            channel = (piece.split() or ["final"])[0].lower()
        inside = name == "message"
        if name in ("channel", "start"):
            channel = ""
        if inside and channel == "final":
            start = position
    if inside:
        pieces.append((channel or "final", text[position:]))
    answers = [content for name, content in pieces if name == "final"]
    thoughts = [content for name, content in pieces if name != "final"]
    return Split(_joined(thoughts), _joined(answers[-1:]), bool(answers), start)


def _bare_channels(text: str) -> Split | None:
    finals = list(_BARE_FINAL.finditer(text))
    start = _BARE_START.match(text)  # without a final channel, only if the next word is glued to it
    if finals:
        begin = start.end() if start and start.end() <= finals[-1].start() else 0
        return Split(text[begin : finals[-1].start()].strip(), text[finals[-1].end() :].strip(), True, finals[-1].end())
    return Split(text[start.end() :].strip(), "", False, len(text)) if start and start["glued"] is not None else None


# --- openings and closings in words -----------------------------------------------------------------------------

_HERE = r"Here(?:['’]s|[ ]is|[ ]are)[ ]my[ ]"
# A heading as Markdown: "## Name", "**Name**", "**Name:**".
_TITLE = r"[ \t]*(?:#{{1,6}}[ \t]*\**|\*\*)[ \t]*(?:{})[ \t]*:?\**[ \t]*:?[ \t]*(?:\n|\Z)"
_FINAL_TITLE = re.compile(
    r"^[ \t]*(?:#{1,6}[ \t]*\**|\*\*)[ \t]*(?:(?:my[ \t]+)?final[ \t]+(?:response|answer)|response|answer)\b"
    r"[ \t]*:?(?:\*\*)?[ \t]*:?[ \t]*",
    re.I | re.M,
)
_OTHERS = r"planning|internal|deliberate"
_BRACKETED = rf"(?:<{{0}}(?:{_OTHERS})>|(?:[＜\[{{{{]|&lt;){{0}}(?:{_OTHERS}|{_NAMES})(?:[＞\]}}}}]|&gt;))"
_PROCESS = r"(?:thinking|thought|internal reasoning)(?:[ ]process)?"
# How a text begins, what ends its reasoning, and whether it is all reasoning without that end.
_WORDS = (
    # HuatuoGPT-o1
    (
        re.compile(r"\s*" + _TITLE.format(r"thinking|thoughts?|thinking process|thought process"), re.I),
        _FINAL_TITLE,
        True,
    ),
    (re.compile(r"\s*" + _TITLE.format(r"reasoning|chain[ -]of[ -]thought"), re.I), _FINAL_TITLE, False),
    # Granite 3.2; Apriel, whose prompt may contain the first line
    (
        re.compile(rf"\s*{_HERE}(?:thought[ ]process|thinking|reasoning)\b[^:\n]{{0,20}}:", re.I),
        re.compile(rf"{_HERE}(?:final[ ])?(?:response|answer):|\[BEGIN FINAL RESPONSE\]", re.I),
        False,
    ),
    (re.compile(r"(?=[\s\S]*\[BEGIN FINAL RESPONSE\])"), re.compile(r"\[BEGIN FINAL RESPONSE\]"), False),
    # In other brackets, with both marks: [REASONING], {think}, &lt;think&gt;, <planning>, Open WebUI's <details>
    (
        re.compile(rf"\s*(?!\[think){_BRACKETED.format('')}|\s*<details\s+type=[\"']?reasoning[^>]*>", re.I),
        re.compile(rf"{_BRACKETED.format('/')}|</details>", re.I),
        False,
    ),
    (
        re.compile(rf"\s*\**{_PROCESS}\**:", re.I),
        re.compile(r"^\s*\**final[ ](?:answer|response)\**:\**", re.I | re.M),
        False,
    ),
    # s1 and m1, without the token <|im_start|> before each word
    (re.compile(r"\s*think\n"), re.compile(r"(?:^|(?<=[^\w\s]))answer\n", re.M), True),
    # A code block named for it
    (
        re.compile(r"\s*```[ \t]*(?:think|thinking|thoughts?|reasoning)[ \t]*\n", re.I),
        re.compile(r"^```[ \t]*$", re.M),
        True,
    ),
)


def _in_words(text: str) -> Split | None:
    for opening, closing, alone in _WORDS:
        start = opening.match(text)
        if start is None:
            continue
        final = closing.search(text, start.end())
        if final is not None:
            answer = _unwrapped(_joined([text[final.end() :]]))
            return Split(text[start.end() : final.start()].strip(), answer, True, final.end())
        if alone:
            return Split(text[start.end() :].strip(), "", False, len(text))
    return None
