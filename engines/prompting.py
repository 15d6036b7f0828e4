"""Turning a `Prompt` into the tokens that a model reads: chat template, prompt/answer boundary, truncation."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, TypeVar

from ..core.errors import MedbenchError
from ..core.types import ChoiceRequest, GenerateRequest, Output, Prompt
from . import chat_templates

Request = TypeVar("Request", ChoiceRequest, GenerateRequest)
Written = TypeVar("Written")

LEAST_SHARE = 0.25  # of the context window: the least that must be left for a prompt

# Some templates insert today's date, so the same prompt would be different tomorrow.
PINNED_DATE = datetime(2024, 7, 26)
_DATE_CALL = re.compile(r"""strftime_now\(\s*(['"])(.*?)\1\s*\)""")


@dataclass(frozen=True)
class Encoded:
    """A prompt as sent. `truncated` is the number of prompt tokens that were cut off."""

    text: str
    tokens: list[int]
    truncated: int


@dataclass(frozen=True)
class Wrapping:
    """How a prompt becomes the text that a model reads: as it is, by the chat template, or by a format string."""

    kind: Literal["plain", "template", "format"]
    template: str = ""
    variables: tuple[tuple[str, Any], ...] = ()  # of the template: switches of reasoning (thinking.py)
    system: str = ""  # words for the system turn that switch reasoning

    @property
    def wraps(self) -> bool:
        return self.kind != "plain"

    @property
    def has_system_turn(self) -> bool:
        """Whether a system text is a turn of its own. Otherwise it opens the prompt, or the first user turn."""
        return self.kind == "template" and chat_templates.has_system_turn(self.template)


def wrapping(mode: str, method: str, template: str, prompt_format: str) -> Wrapping:
    """Return the wrapping for the `--chat` mode and the method ("choose" or "generate").

    "auto" wraps generated answers if the model has a chat template or format, and leaves log-likelihood prompts as they
    are, which is lm-evaluation-harness's default.
    """
    if mode == "never" or (mode == "auto" and method == "choose"):
        return Wrapping("plain")
    if prompt_format:
        return Wrapping("format", prompt_format)
    return Wrapping("template", pin_dates(template)) if template else Wrapping("plain")


def checked_kind(wrap: Wrapping, model: str) -> str:
    """Return the kind of a wrapping after its template was tried. Raise MedbenchError if the template fails."""
    if wrap.kind == "template":
        chat_templates.check(wrap.template, model)
    return wrap.kind


def pin_dates(template: str) -> str:
    """Return a chat template with every `strftime_now("…")` replaced by a fixed date."""
    return _DATE_CALL.sub(lambda call: repr(PINNED_DATE.strftime(call.group(2))), template)


def messages(prompt: Prompt, system_turn: bool = True) -> list[dict[str, str]]:
    """Return the turns of a chat: the system text, a pair for each example, the conversation, and the question.

    The instruction opens the first user turn. Without `system_turn`, so does the system text.
    """
    found = [{"role": "system", "content": prompt.system}] if prompt.system else []
    for question, answer in prompt.shots:
        found += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    found += [{"role": turn.role, "content": turn.content} for turn in prompt.turns]
    found.append({"role": "user", "content": prompt.question})
    if prompt.instruction:
        first = next(turn for turn in found if turn["role"] == "user")
        first["content"] = f"{prompt.instruction}\n\n{first['content']}"
    return found if system_turn else without_system_turns(found)


def without_system_turns(turns: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Return the turns of a chat with every system text at the head of the user turn after it."""
    found: list[dict[str, str]] = []
    opening: list[str] = []
    for turn in turns:
        if turn["role"] == "system":
            opening.append(turn["content"])
        elif turn["role"] == "user":
            found.append({**turn, "content": "\n\n".join([*opening, turn["content"]])})
            opening = []
        else:
            found.append(dict(turn))
    return found


def sample_of(request: ChoiceRequest | GenerateRequest) -> int:
    """Return which of several answers to its item a request asks for."""
    return request.sample if isinstance(request, GenerateRequest) else 0


def each(
    requests: Sequence[Request], encode: Callable[[Request], Written]
) -> tuple[list[tuple[Request, Written]], list[Output]]:
    """Encode every request. Return those that the chat template rejects as outputs with the error."""
    asked, failed = [], []
    for request in requests:
        try:
            asked.append((request, encode(request)))
        except chat_templates.TemplateFailed as error:
            told = f"{error.message} {error.hint}"
            failed.append(Output(request.item_id, finish="error", error=told, sample=sample_of(request)))
    return asked, failed


class NoRoom(MedbenchError):
    """The new tokens leave too little of the model's window for a prompt."""


class Prompter:
    """Encodes prompts for one model. Lengths are in tokens."""

    def __init__(self, tokenizer: Any, window: int, encoder_decoder: bool) -> None:
        self.tokenizer = tokenizer
        self.window = window
        self.encoder_decoder = encoder_decoder

    def for_generation(self, prompt: Prompt, wrap: Wrapping, max_new_tokens: int) -> Encoded:
        """Return the prompt's tokens, truncated so that `max_new_tokens` more fit into the window."""
        if self.encoder_decoder:
            return self._fit(prompt, wrap, self.window)
        room = self.window - max_new_tokens
        if room < self.window * LEAST_SHARE:
            raise NoRoom(
                f"{max_new_tokens} new tokens leave too little of the model's window of {self.window} for the prompt.",
                f"Give --max-new-tokens {int(self.window * (1 - LEAST_SHARE))} or fewer.",
            )
        return self._fit(prompt, wrap, room)

    def for_choice(self, prompt: Prompt, wrap: Wrapping, answers: Sequence[str]) -> tuple[Encoded, list[list[int]]]:
        """Return the prompt's tokens and each answer's, split where lm-evaluation-harness splits them.

        A plain prompt and its answer are tokenized as one text and split at the prompt's own length, so that the space
        before an answer belongs to the answer. If a token spans that boundary (a vocabulary with a token for ": A"),
        all answers are split after the last token that each of them shares with the prompt. Each is then scored from
        the same position, and none is left without tokens. The last token of an answer is predicted but not part of
        the input, so prompt and answer may have `window` + 1 tokens. A longer prompt is truncated from the left.
        """
        delimiter = "" if wrap.kind == "template" else " "
        text = self._render(prompt, wrap)
        context = text.rstrip()
        delimiter = text[len(context) :] + delimiter  # trailing white space belongs to the answer
        if self.encoder_decoder:
            ends = [self._ids(delimiter + answer, special=False) for answer in answers]
            spanned = 0
        else:
            special = wrap.kind != "template"  # a template writes its own special tokens
            own, *wholes = self._all_ids([context, *(context + delimiter + answer for answer in answers)], special)
            border = min(_shared(own, whole) for whole in wholes)
            ends = [whole[border:] for whole in wholes]
            spanned = len(own) - border  # last tokens of the prompt that its answers do not share
        if not all(ends):
            empty = answers[[bool(end) for end in ends].index(False)]
            raise MedbenchError(
                f"the tokenizer gives the option {empty!r} no token after the prompt, so it has no log-probability.",
                "Let the model write its answers: --choice generate",
            )
        longest = max(map(len, ends))
        room = self.window if self.encoder_decoder else self.window + 1 - longest
        if room < self.window * LEAST_SHARE:
            raise MedbenchError(f"an option has {longest} tokens; the model's window is {self.window}.")
        fitted = self._fit(prompt, wrap, room + spanned, strip=True)
        if spanned:
            fitted = replace(fitted, tokens=fitted.tokens[:-spanned] or [self._start()])
        return fitted, ends

    def uncut(self, prompts: Sequence[Prompt], wrap: Wrapping) -> list[Encoded]:
        """Return every prompt as `for_generation` encodes it, but never truncated."""
        texts = [self._render(prompt, wrap) for prompt in prompts]
        tokens = self._all_ids(texts, special=wrap.kind != "template")
        return [Encoded(text, ids or [self._start()], 0) for text, ids in zip(texts, tokens, strict=True)]

    def encoded(self, text: str, special: bool) -> Encoded:
        """Encode a text without truncation. `special`: with the tokens that the tokenizer puts before a text."""
        return Encoded(text, self._ids(text, special) or [self._start()], 0)

    def continuations(self, prompts: Sequence[Encoded], answers: Sequence[str], wrap: Wrapping) -> list[list[int]]:
        """Return each answer's tokens after its prompt, whose tokens do not change.

        Without a template, prompt and answer are tokenized as one text, with a space between them unless the prompt
        ends in white space. If that merges tokens across the boundary, the answer is tokenized on its own.
        """
        if self.encoder_decoder or wrap.kind == "template":
            return self._all_ids(answers, special=False)
        ends = [
            answer if prompt.text[-1:].isspace() or not prompt.text else f" {answer}"
            for prompt, answer in zip(prompts, answers, strict=True)
        ]
        wholes = self._all_ids([prompt.text + end for prompt, end in zip(prompts, ends, strict=True)], special=True)
        found = []
        for prompt, end, whole in zip(prompts, ends, wholes, strict=True):
            length = len(prompt.tokens)
            found.append(whole[length:] if whole[:length] == prompt.tokens else self._ids(end, special=False))
        return found

    def _fit(self, prompt: Prompt, wrap: Wrapping, room: int, strip: bool = False) -> Encoded:
        """Encode, and truncate to `room` tokens. Under a template only the content is cut, never a template token."""

        def encode(prompt: Prompt) -> tuple[str, list[int]]:
            text = self._render(prompt, wrap)
            text = text.rstrip() if strip else text
            return text, self._ids(text, special=wrap.kind != "template") or [self._start()]

        text, tokens = encode(prompt)
        if len(tokens) <= room:
            return Encoded(text, tokens, 0)
        if wrap.kind == "plain" and not prompt.system and not prompt.turns:
            first = tokens[: self._opening(text, tokens)]
            kept = first + tokens[len(tokens) - room + len(first) :]
            return Encoded(self.tokenizer.decode(kept, skip_special_tokens=True), kept, len(tokens) - room)
        asked = len(tokens)
        while len(tokens) > room and prompt != Prompt(""):
            prompt = self._shorter(prompt, len(tokens) - room)
            text, tokens = encode(prompt)
        return Encoded(text, tokens, asked - len(tokens))

    def _shorter(self, prompt: Prompt, excess: int) -> Prompt:
        """Return `prompt` with less of what it can best do without.

        That is its oldest example, then the oldest question of its conversation with the answer, then the first
        `excess` tokens of the instruction and the question. The system text is cut last.
        """
        if prompt.shots:
            return replace(prompt, shots=prompt.shots[1:])
        if said := [turn for turn in prompt.turns if turn.role != "system"]:
            later = next((at for at, turn in enumerate(said) if at and turn.role == "user"), len(said))
            gone = {id(turn) for turn in said[:later]}
            return replace(prompt, turns=tuple(turn for turn in prompt.turns if id(turn) not in gone))
        content = replace(prompt, system="", turns=()).plain
        if content:
            return replace(prompt, instruction="", question=self._without_first(content, excess))
        if prompt.turns:
            return replace(prompt, turns=())
        return replace(prompt, system=self._without_first(prompt.system, excess))

    def _without_first(self, text: str, excess: int) -> str:
        """Return `text` without its first `excess` tokens. It is always shorter."""
        tokens = self._ids(text, special=False)
        kept = self.tokenizer.decode(tokens[excess:]) if excess < len(tokens) else ""
        # If tokens are fragments of a character, decoding fewer may not shorten the text; removing a character does.
        return kept if len(kept) < len(text) else text[1:]

    def _render(self, prompt: Prompt, wrap: Wrapping) -> str:
        if wrap.kind == "plain":
            return prompt.plain
        if wrap.kind == "format":
            return wrap.template.replace("{prompt}", prompt.plain)
        return self.of_turns(messages(prompt, not prompt.has_system or wrap.has_system_turn), wrap)

    def of_turns(self, turns: Sequence[Mapping[str, str]], wrap: Wrapping) -> str:
        """Return the text that a chat template makes of these turns, with the words that switch reasoning."""
        if wrap.system:
            given = [turn["content"] for turn in turns[:1] if turn["role"] == "system"]
            turns = [{"role": "system", "content": "\n\n".join([*given, wrap.system])}, *turns[len(given) :]]
        return chat_templates.render(self.tokenizer, turns, wrap.template, True, dict(wrap.variables))

    def _ids(self, text: str, special: bool) -> list[int]:
        return self._all_ids([text], special)[0]

    def _all_ids(self, texts: Sequence[str], special: bool) -> list[list[int]]:
        if not texts:
            return []
        rows: list[list[int]] = self.tokenizer(list(texts), add_special_tokens=special)["input_ids"]
        if not special or self.encoder_decoder:
            return rows
        # Some tokenizers end every text with a token, which must not stand between a prompt and its continuation.
        end = self.tokenizer.eos_token_id
        return [ids[:-1] if len(ids) > 1 and ids[-1] == end else ids for ids in rows]

    def _opening(self, text: str, tokens: list[int]) -> int:
        """Return how many special tokens begin a text: the tokenizer's own, or a beginning token in the text.

        Usually this is the beginning token; in BioGPT it is the end token, in other models several.
        """
        own = self._ids(text, special=False)
        written = range(len(tokens) - len(own) + 1)
        count = next((count for count in written if tokens[count : count + len(own)] == own), 0)
        return count or int(tokens[0] == self.tokenizer.bos_token_id)

    def _start(self) -> int:
        """Return the token that comes before an answer to an empty prompt."""
        for token in (self.tokenizer.bos_token_id, self.tokenizer.eos_token_id):
            if token is not None:
                return int(token)
        raise MedbenchError(
            "the tokenizer has neither a beginning-of-text nor an end-of-text token, so an empty prompt cannot be sent "
            "to the model."
        )


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many tokens two sequences have in common at their start."""
    return next((at for at, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))
