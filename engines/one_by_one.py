"""Requests answered one at a time, for engines without a running batch that requests can join."""

from __future__ import annotations

import secrets
from collections import deque
from typing import Literal

from ..core.errors import MedbenchError
from ..core.types import Engine, GenerateRequest, Prompt, Turn
from .prompting import NoRoom
from .text_requests import Ended, Piece, Rejected, TextRequest, as_prompt


class OneByOne:
    """Implements `Texts` with `Engine.generate`: no log-probabilities, each text in one piece."""

    most = 1

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._waiting: deque[tuple[int, TextRequest, Prompt]] = deque()

    @property
    def open(self) -> bool:
        return bool(self._waiting)

    @property
    def working(self) -> int:
        return 0

    def add(self, key: int, request: TextRequest) -> None:
        name = self.engine.spec.engine
        if request.temperature > 0 and not self.engine.can_sample:
            raise Rejected(f"the engine {name} decodes greedily only: temperature must be 0.", "temperature")
        if request.top is not None or request.prompt_scores:
            raise Rejected(f"the engine {name} gives no log-probabilities of tokens.", "logprobs")
        if request.min_new_tokens:
            raise Rejected(f"the engine {name} has no minimum number of tokens.", "min_tokens")
        if request.chats:
            templated = self.engine.chat("generate") == "template"
            prompt = as_prompt([turn for turn in request.prompt if isinstance(turn, Turn)], templated)
        elif isinstance(request.prompt, str):
            if self.engine.chat("generate") != "plain":
                raise Rejected(
                    "this model wraps every prompt in its chat template: use /v1/chat/completions, or serve it "
                    "with --chat never.",
                    "prompt",
                )
            prompt = Prompt(request.prompt)
        else:
            raise Rejected(f"the engine {name} accepts text, not tokens.", "prompt")
        self._waiting.append((key, request, prompt))

    def drop(self, key: int) -> None:
        self._waiting = deque(one for one in self._waiting if one[0] != key)

    def advance(self) -> list[tuple[int, Piece | Ended]]:
        key, request, prompt = self._waiting.popleft()
        limit = self._usual(request) if request.max_new_tokens is None else request.max_new_tokens
        if limit == 0:
            return [(key, Ended("", "length"))]
        try:
            seed = secrets.randbits(31) if request.seed is None else request.seed
            asked = GenerateRequest(
                *(str(key), prompt, limit, request.stop),
                temperature=request.temperature,
                top_p=request.top_p,
                seed=seed,
            )
            (found,) = self.engine.generate([asked])
        except NoRoom as error:
            why = error.message.rstrip(".")
            return [(key, Ended("", "error", error=why, param="max_tokens", code="context_length_exceeded"))]
        except MedbenchError as error:
            return [(key, Ended("", "error", prompt.plain, error=error.message))]
        if found.error:
            return [(key, Ended("", "error", found.prompt, found.prompt_tokens, error=found.error))]
        if found.truncated_tokens:  # engines truncate long prompts of benchmarks; a client gets an error instead
            why = (
                f"the prompt is {found.truncated_tokens} tokens too long for this model's context and {limit} new ones"
            )
            field = "messages" if request.chats else "prompt"
            return [(key, Ended("", "error", error=why, param=field, code="context_length_exceeded"))]
        text = found.text or ""
        if found.reasoning or found.opened:
            text = f"<think>\n{found.reasoning}\n</think>\n\n{text}"
        finish: Literal["stop", "length"] = "length" if found.finish == "length" else "stop"
        rest = Piece(text if request.stream else "")
        return [(key, Ended(text, finish, found.prompt, found.prompt_tokens, found.completion_tokens, rest))]

    def _usual(self, request: TextRequest) -> int:
        """Return the limit of a request that names none: at most half of the window, so that the prompt has room."""
        window = self.engine.describe().get("window_tokens")
        return min(request.usual_tokens, window // 2) if isinstance(window, int) else request.usual_tokens
