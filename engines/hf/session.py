"""The running batch of `medbench serve` and chats: texts join it, are delivered in pieces, and leave it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...core.types import Turn
from .. import chat_templates
from ..prompting import Encoded, Prompter, Wrapping
from ..spelling import Spelling, token_text
from ..stopping import StopStrings, turn_ends
from ..text_requests import Ended, Piece, Rejected, TextRequest, TokenScore, as_prompt
from .batching import DOES_NOT_FIT, NAN_LOGITS, OutOfMemory
from .generation.completion import Completion, DecodeRequest, end_tokens
from .generation.decoding import Decoder
from .generation.picking import Noted, Picker
from .generation.scheduling import Capacity
from .loading import Loaded, without_embedding
from .scoring.prompt_scores import PromptScorer


@dataclass
class _Text:
    """One text being generated, and how much of it was delivered."""

    request: TextRequest
    prompt: Encoded
    spelling: Spelling
    picker: Picker | None
    prompt_scores: tuple[TokenScore, ...] = ()
    delivered: int = 0  # how many of the picker's notes


class TextSession:
    """Texts that one loaded model generates. Each occupies a row of the batch from its prompt to its end."""

    def __init__(self, loaded: Loaded, prompter: Prompter, wrap: Wrapping, capacity: Callable[[], Capacity]) -> None:
        """`wrap`: how chats are wrapped. `capacity` is called whenever work begins, because free memory changes."""
        self.loaded, self.prompter, self.wrap, self.capacity = loaded, prompter, wrap, capacity
        self.most = capacity().slots
        self._texts: dict[int, _Text] = {}
        self._decoder: Decoder | None = None
        self._scorer: PromptScorer | None = None  # kept while requests arrive, because several may share a prompt
        self._ready: list[tuple[int, Piece | Ended]] = []

    @property
    def open(self) -> bool:
        return bool(self._texts or self._ready)

    @property
    def working(self) -> int:
        decoder = self._decoder  # also read from other threads
        return len(decoder.schedule.active) + len(decoder.schedule.entering) if decoder else 0

    def add(self, key: int, request: TextRequest) -> None:
        prompt, wrap = self._encoded(request)
        limit = self._limit(request, len(prompt.tokens))
        scores = self._prompt_scores(request, prompt.tokens)
        if limit == 0:
            count = len(prompt.tokens)
            self._ready.append((key, Ended("", "length", prompt.text, count, prompt_scores=scores)))
            return
        tokenizer = self.loaded.tokenizer
        ends = end_tokens(self.loaded) | turn_ends(tokenizer, wrap)
        picker = None
        if request.temperature > 0 or request.min_new_tokens or request.top is not None:
            picker = Picker(
                temperature=request.temperature,
                top_p=request.top_p,
                seed=request.seed,
                least=request.min_new_tokens,
                ends=ends,
                top=request.top,
            )
        if self._decoder is None:
            self._decoder = Decoder(self.loaded, self.capacity())
        stop = StopStrings(tokenizer, request.stop, literal=True, prompt=prompt.text)
        self._decoder.add(key, DecodeRequest(prompt.tokens, limit, stop, ends, pick=picker))
        self._texts[key] = _Text(request, prompt, Spelling(tokenizer, stop.stop), picker, scores)

    def drop(self, key: int) -> None:
        self._ready = [(other, event) for other, event in self._ready if other != key]
        if self._texts.pop(key, None) is not None and self._decoder is not None:
            self._decoder.drop(key)
            self._rest()

    def advance(self) -> list[tuple[int, Piece | Ended]]:
        found, self._ready = self._ready, []
        self._scorer = None
        if self._decoder is None:
            return found
        ended = self._decoder.advance()
        streamed = [key for key, text in self._texts.items() if text.request.stream]
        if streamed:
            for key, tokens in self._decoder.new_tokens(set(streamed)):
                if piece := self._piece(self._texts[key], tokens):
                    found.append((key, piece))
        for key, done in ended:
            found.append((key, self._ended(self._texts.pop(key), done)))
        self._rest()
        return found

    def _rest(self) -> None:
        """Free the cache if no text is left."""
        if not self._texts:
            self._decoder = None

    def _encoded(self, request: TextRequest) -> tuple[Encoded, Wrapping]:
        """Return the prompt as sent, and how it is wrapped. Raises Rejected."""
        plain = Wrapping("plain")
        if request.chats:
            return self._chat([turn for turn in request.prompt if isinstance(turn, Turn)]), self.wrap
        if isinstance(request.prompt, str):
            encoded = self.prompter.encoded(request.prompt, special=True)
        else:
            tokens = [token for token in request.prompt if isinstance(token, int)]
            if not tokens or not all(0 <= token < self.loaded.vocabulary for token in tokens):
                raise Rejected(f"a prompt of tokens needs some, each below {self.loaded.vocabulary}.", "prompt")
            encoded = Encoded(str(self.loaded.tokenizer.decode(tokens)), tokens, 0)
        return encoded, plain

    def _chat(self, turns: list[Turn]) -> Encoded:
        if self.wrap.kind != "template":
            return self.prompter.uncut([as_prompt(turns)], self.wrap)[0]
        asked = [{"role": turn.role, "content": turn.content} for turn in turns]
        try:
            text = self.prompter.of_turns(asked, self.wrap)
        except chat_templates.TemplateFailed as error:
            raise Rejected(error.message, "messages") from error
        return self.prompter.encoded(text, special=False)

    def _limit(self, request: TextRequest, prompt: int) -> int:
        """Return the limit of new tokens. Raises Rejected if they and the prompt exceed the context window."""
        window = self.prompter.window
        limit = request.max_new_tokens
        if limit is None:
            limit = max(1, min(request.usual_tokens, window - prompt))
        if prompt + limit > window:
            raise Rejected(
                f"this model's context length is {window} tokens: the prompt has {prompt}, and {limit} new ones were "
                "requested.",
                "messages" if request.chats else "prompt",
                "context_length_exceeded",
            )
        return limit

    def _prompt_scores(self, request: TextRequest, tokens: list[int]) -> tuple[TokenScore, ...]:
        if why := without_embedding(self.loaded, [tokens]):
            raise Rejected(why, "prompt")
        if not request.prompt_scores:
            return ()
        first = TokenScore(token_text(self.loaded.tokenizer, tokens[0]), None)
        self._scorer = self._scorer or PromptScorer(self.loaded)
        return (first, *self._scores(self._scorer.scores(tokens, request.top or 0)))

    def _scores(self, notes: list[Noted]) -> tuple[TokenScore, ...]:
        def text(token: int) -> str:
            return token_text(self.loaded.tokenizer, token)

        return tuple(TokenScore(text(token), own, tuple((text(t), p) for t, p in top)) for token, own, top in notes)

    def _piece(self, text: _Text, tokens: list[int]) -> Piece | None:
        if not (new := text.spelling.more(tokens)):
            return None
        notes = text.picker.noted[text.delivered : len(tokens)] if text.picker else []
        text.delivered += len(notes)
        return Piece(new, self._scores(notes), text.prompt.text)

    def _ended(self, text: _Text, done: Completion | OutOfMemory) -> Ended:
        count = len(text.prompt.tokens)
        if isinstance(done, OutOfMemory) or done.finish == "error":
            why = DOES_NOT_FIT if isinstance(done, OutOfMemory) else NAN_LOGITS
            return Ended("", "error", text.prompt.text, count, error=why)
        notes = text.picker.noted if text.picker else []
        if notes and text.picker and notes[-1][0] in text.picker.ends and done.finish == "stop":
            notes = notes[:-1]  # the token that ended the text is not part of it
        left = text.spelling.rest(done.text) if text.request.stream else ""
        return Ended(
            done.text,
            done.finish,
            text.prompt.text,
            count,
            done.tokens,
            Piece(
                left,
                self._scores(notes[text.delivered :]) if text.request.stream else (),
                text.prompt.text,
            ),
            self._scores(notes),
            text.prompt_scores,
        )
