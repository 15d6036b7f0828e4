"""From a `Prompt` to the tokens a model sees: chat wrapping, the context/answer boundary, truncation."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, TypeVar

from ..core.errors import MedbenchError
from ..core.types import ChoiceRequest, GenerateRequest, Output, Prompt
from . import chat_templates

Request = TypeVar("Request", ChoiceRequest, GenerateRequest)
Written = TypeVar("Written")

LEAST_SHARE = 0.25  # of the window: what a prompt must be left at least

# Some templates insert today's date, which would make the same prompt another one tomorrow.
PINNED_DATE = datetime(2024, 7, 26)
_DATE_CALL = re.compile(r"""strftime_now\(\s*(['"])(.*?)\1\s*\)""")


@dataclass(frozen=True)
class Encoded:
    """A prompt as sent. `truncated` counts the prompt tokens that were cut away."""

    text: str
    tokens: list[int]
    truncated: int


@dataclass(frozen=True)
class Wrapping:
    """How a prompt becomes the text a model reads: plainly, by the tokenizer's chat template, or by a format."""

    kind: Literal["plain", "template", "format"]
    template: str = ""

    @property
    def wraps(self) -> bool:
        return self.kind != "plain"


def wrapping(mode: str, method: str, template: str, prompt_format: str) -> Wrapping:
    """The wrapping for `--chat` mode and method ("choose" or "generate").

    "auto" wraps where the model generates and has a template or format of its own, and leaves choosing by
    log-probability plain, as lm-evaluation-harness does by default.
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
    """A chat template with every `strftime_now("…")` replaced by a fixed date."""
    return _DATE_CALL.sub(lambda call: repr(PINNED_DATE.strftime(call.group(2))), template)


def messages(prompt: Prompt) -> list[dict[str, str]]:
    """The turns of a chat: examples are turns of their own, and the instruction opens the first one."""
    turns = [*prompt.shots, (prompt.question, None)]
    found = []
    for index, (question, answer) in enumerate(turns):
        opening = f"{prompt.instruction}\n\n" if index == 0 and prompt.instruction else ""
        found.append({"role": "user", "content": opening + question})
        if answer is not None:
            found.append({"role": "assistant", "content": answer})
    return found


def each(
    requests: Sequence[Request], encode: Callable[[Request], Written]
) -> tuple[list[tuple[Request, Written]], list[Output]]:
    """Encode every request. Those whose text the chat template does not take come back as outputs with the error."""
    asked, failed = [], []
    for request in requests:
        try:
            asked.append((request, encode(request)))
        except chat_templates.TemplateFailed as error:
            failed.append(Output(request.item_id, finish="error", error=f"{error.message} {error.hint}"))
    return asked, failed


class Prompter:
    """Encodes prompts for one model. All lengths are in tokens."""

    def __init__(self, tokenizer: Any, window: int, encoder_decoder: bool) -> None:
        self.tokenizer = tokenizer
        self.window = window
        self.encoder_decoder = encoder_decoder

    def for_generation(self, prompt: Prompt, wrap: Wrapping, max_new_tokens: int) -> Encoded:
        """The prompt's tokens, cut so that `max_new_tokens` more fit into the window."""
        if self.encoder_decoder:
            return self._fit(prompt, wrap, self.window)
        room = self.window - max_new_tokens
        if room < self.window * LEAST_SHARE:
            raise MedbenchError(
                f"{max_new_tokens} new tokens leave too little of the model's window of {self.window} to the prompt.",
                f"Give --max-new-tokens {int(self.window * (1 - LEAST_SHARE))} or fewer.",
            )
        return self._fit(prompt, wrap, room)

    def for_choice(self, prompt: Prompt, wrap: Wrapping, answers: Sequence[str]) -> tuple[Encoded, list[list[int]]]:
        """Return the prompt's tokens and each answer's, split where lm-evaluation-harness splits them.

        A plain prompt and its answer are tokenized as one text and cut at the prompt's own length, so that the space
        before an answer belongs to the answer. Where tokens span that border (a vocabulary with a token for ": A"), all
        answers are cut at the last token that every one of them shares with the prompt, so that each is scored from
        the same tokens on and none is left without tokens of its own. The last token of an answer is read off, never
        fed, so prompt and answer may hold `window` + 1 tokens; a longer prompt is cut from the left.
        """
        delimiter = "" if wrap.kind == "template" else " "
        text = self._render(prompt, wrap)
        context = text.rstrip()
        delimiter = text[len(context) :] + delimiter  # trailing space goes with the answer
        if self.encoder_decoder:
            ends = [self._ids(delimiter + answer, special=False) for answer in answers]
            spanned = 0
        else:
            special = wrap.kind != "template"  # a template writes its own
            own, *wholes = self._all_ids([context, *(context + delimiter + answer for answer in answers)], special)
            border = min(_shared(own, whole) for whole in wholes)
            ends = [whole[border:] for whole in wholes]
            spanned = len(own) - border  # last tokens of the prompt that its answers have otherwise
        if not all(ends):
            empty = answers[[bool(end) for end in ends].index(False)]
            raise MedbenchError(
                f"the tokenizer gives the option {empty!r} no token after the prompt, so it has no log-probability.",
                "Have the model write its answers: --choice generate",
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
        """Every prompt as `for_generation` encodes it where it fits."""
        texts = [self._render(prompt, wrap) for prompt in prompts]
        tokens = self._all_ids(texts, special=wrap.kind != "template")
        return [Encoded(text, ids or [self._start()], 0) for text, ids in zip(texts, tokens, strict=True)]

    def encoded(self, text: str, special: bool) -> Encoded:
        """A text as it is, uncut. `special`: with the tokens that the tokenizer itself puts before a text."""
        return Encoded(text, self._ids(text, special) or [self._start()], 0)

    def continuations(self, prompts: Sequence[Encoded], answers: Sequence[str], wrap: Wrapping) -> list[list[int]]:
        """Each answer's tokens as they follow its uncut prompt's, which stay what they are.

        Without a template a space parts the two, unless the prompt ends in white space, and they are tokenized as one
        text; where that would merge tokens across the boundary, the answer is tokenized on its own.
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
        """Encode, and cut what exceeds `room`: under a template inside the content, never a template token."""

        def encode(prompt: Prompt) -> tuple[str, list[int]]:
            text = self._render(prompt, wrap)
            text = text.rstrip() if strip else text
            return text, self._ids(text, special=wrap.kind != "template") or [self._start()]

        text, tokens = encode(prompt)
        if len(tokens) <= room:
            return Encoded(text, tokens, 0)
        if wrap.kind == "plain":
            first = tokens[: self._opening(text, tokens)]
            kept = first + tokens[len(tokens) - room + len(first) :]
            return Encoded(self.tokenizer.decode(kept, skip_special_tokens=True), kept, len(tokens) - room)
        asked = len(tokens)
        while len(tokens) > room and (prompt.shots or prompt.instruction or prompt.question):
            prompt = self._shorter(prompt, len(tokens) - room)
            text, tokens = encode(prompt)
        return Encoded(text, tokens, asked - len(tokens))

    def _shorter(self, prompt: Prompt, excess: int) -> Prompt:
        """`prompt` without its oldest example or, with none left, without the first `excess` tokens of its content."""
        if prompt.shots:
            return replace(prompt, shots=prompt.shots[1:])
        content = replace(prompt, instruction="", question=prompt.plain).question
        tokens = self._ids(content, special=False)
        kept = self.tokenizer.decode(tokens[excess:]) if excess < len(tokens) else ""
        # Decoding need not shorten the text where tokens are fragments of one character; a character always does.
        return Prompt(question=kept if len(kept) < len(content) else content[1:])

    def _render(self, prompt: Prompt, wrap: Wrapping) -> str:
        if wrap.kind == "plain":
            return prompt.plain
        if wrap.kind == "format":
            return wrap.template.replace("{prompt}", prompt.plain)
        return chat_templates.render(self.tokenizer, messages(prompt), wrap.template, generation=True)

    def _ids(self, text: str, special: bool) -> list[int]:
        return self._all_ids([text], special)[0]

    def _all_ids(self, texts: Sequence[str], special: bool) -> list[list[int]]:
        if not texts:
            return []
        rows: list[list[int]] = self.tokenizer(list(texts), add_special_tokens=special)["input_ids"]
        if not special or self.encoder_decoder:
            return rows
        # Some tokenizers end every text; a prompt that goes on must not be ended, unless it is its beginning.
        end = self.tokenizer.eos_token_id
        return [ids[:-1] if len(ids) > 1 and ids[-1] == end else ids for ids in rows]

    def _opening(self, text: str, tokens: list[int]) -> int:
        """How many tokens in front of a text the tokenizer itself writes; a beginning in the text counts too.

        Usually its beginning token, in BioGPT the end token, in others several.
        """
        own = self._ids(text, special=False)
        written = range(len(tokens) - len(own) + 1)
        count = next((count for count in written if tokens[count : count + len(own)] == own), 0)
        return count or int(tokens[0] == self.tokenizer.bos_token_id)

    def _start(self) -> int:
        """What stands before an answer to an empty prompt."""
        for token in (self.tokenizer.bos_token_id, self.tokenizer.eos_token_id):
            if token is not None:
                return int(token)
        raise MedbenchError(
            "the tokenizer has neither a token that begins a text nor one that ends it, so an empty prompt cannot be "
            "sent to the model."
        )


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many tokens two sequences have in common at their start."""
    return next((at for at, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))
