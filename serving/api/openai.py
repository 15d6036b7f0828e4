"""/v1: the part of OpenAI's API that applies to a text model."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ...core.reasoning import continued, opening_mark, split
from ...core.streamed_reasoning import StreamedSplit
from ...core.text import whole
from ...engines.text_requests import Ended, Piece, TextRequest, TokenScore
from .errors import Refusal
from .schemas import ChatRequest, CompletionRequest
from .service import Service, checked

COMPLETION_TOKENS = 16  # limit of new tokens if a completion names none, as in OpenAI's API


def router(service: Service) -> APIRouter:
    routes = APIRouter(prefix="/v1", tags=["OpenAI"])

    @routes.get("/models", summary="The served model")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [_model(service)]}

    @routes.get("/models/{name:path}", summary="The served model")
    async def model(name: str) -> dict[str, Any]:
        _known(service, name)
        return _model(service)

    @routes.post("/chat/completions", summary="Answer a chat", response_class=JSONResponse)
    async def chat(request: Request, body: ChatRequest) -> Response:
        """As OpenAI's API, but greedy unless a temperature is given. Unsupported fields are rejected."""
        _known(service, body.model)
        if body.top_logprobs is not None and not body.logprobs:
            raise Refusal(400, "top_logprobs needs logprobs: true.", "top_logprobs", "invalid_value")
        given = body.max_completion_tokens if body.max_completion_tokens is not None else body.max_tokens
        asked = TextRequest(
            tuple(message.turn() for message in body.messages),
            given,
            service.settings.max_tokens,
            top=(body.top_logprobs or 0) if body.logprobs else None,
            **body.settings(),
        )
        return await _answered(
            service, request, ChatReply(service, body.with_usage, 1), _several(asked, body.seed, body.n)
        )

    @routes.post("/completions", summary="Continue a text", response_class=JSONResponse)
    async def completions(request: Request, body: CompletionRequest) -> Response:
        """As OpenAI's API, but greedy unless a temperature is given. `echo` with `max_tokens` 0 and `logprobs` returns
        the log-probabilities of the prompt's own tokens.
        """
        _known(service, body.model)
        settings = body.settings()
        echo = bool(body.echo)
        usual = min(COMPLETION_TOKENS, service.settings.max_tokens)
        limit = usual if body.max_tokens is None else body.max_tokens
        if limit == 0 and not echo:
            raise Refusal(400, "max_tokens must be at least 1 without echo.", "max_tokens", "invalid_value")
        if echo and body.stream and body.logprobs is not None:
            why = "the log-probabilities of a prompt are not streamed: leave out stream, echo or logprobs."
            raise Refusal(400, why, "logprobs", "unsupported_field")
        asked: list[TextRequest] = []
        for prompt in body.prompts():
            scored = echo and body.logprobs is not None
            one = TextRequest(prompt, limit, top=body.logprobs, prompt_scores=scored, **settings)
            asked += _several(one, body.seed, body.n)
        return await _answered(service, request, CompletionReply(service, body.with_usage, len(asked), echo), asked)

    return routes


def _model(service: Service) -> dict[str, Any]:
    return {
        "id": service.name,
        "object": "model",
        "created": service.started,
        "owned_by": "medbench",
        "revision": service.revision,
    }


def _known(service: Service, name: str | None) -> None:
    if name is not None and name != service.name:
        raise Refusal(404, f"no model {name!r} is served here, only {service.name!r}.", "model", "model_not_found")


def _several(asked: TextRequest, seed: int | None, count: int | None) -> list[TextRequest]:
    """Return `count` requests that differ in their seeds."""
    return [replace(asked, seed=None if seed is None else seed + at) for at in range(count or 1)]


async def _answered(service: Service, request: Request, form: ReplyFormat, asked: list[TextRequest]) -> Response:
    if not asked[0].stream:
        found = await service.texts(request, asked)
        return JSONResponse(form.body([form.choice(at, ended) for at, ended in enumerate(found)], found))
    events = form.events(service, asked)
    # Errors in a request are found before its first event, while the status can still report them.
    first = await service.while_there(request, anext(events))
    return EventStream(first, events)


class ReplyFormat:
    """Builds the reply to one request."""

    kind = ""  # the reply's `object`
    chunk = ""  # `object` of an event of a stream
    prefix = ""  # of ids

    def __init__(self, service: Service, with_usage: bool, count: int, echo: bool = False) -> None:
        self.service, self.with_usage, self.echo = service, with_usage, echo
        self.head = {"id": f"{self.prefix}-{uuid.uuid4().hex}", "created": int(time.time()), "model": service.name}
        self.head["system_fingerprint"] = f"medbench-{service.revision}"
        self.offsets = [0] * count  # where the next token of each text begins

    def body(self, choices: list[dict[str, Any]], ended: Sequence[Ended]) -> dict[str, Any]:
        return {**self.head, "object": self.kind, "choices": choices, "usage": usage(ended)}

    def choice(self, at: int, ended: Ended) -> dict[str, Any]:
        raise NotImplementedError

    def opening(self, at: int, event: Piece | Ended) -> Iterator[dict[str, Any]]:
        """Yield the choices to send before the first text, which is in `event`."""
        return iter(())

    def piece(self, at: int, piece: Piece, finish: str | None) -> dict[str, Any] | None:
        """Return the choice for one event; None if there is nothing to send."""
        raise NotImplementedError

    async def events(self, service: Service, asked: list[TextRequest]) -> AsyncIterator[str]:
        """Yield the events of a stream. A failure after the first event becomes the last one."""
        ended: list[Ended] = []
        begun, opened = time.monotonic(), set[int]()
        try:
            async with contextlib.aclosing(service.stream(asked)) as arriving:
                async for at, event in arriving:
                    if isinstance(event, Ended):
                        checked(event)
                    if at not in opened:
                        service.metrics.first_token.observe(time.monotonic() - begun)
                        opened.add(at)
                        for choice in self.opening(at, event):
                            yield self._event([choice])
                    if isinstance(event, Ended):
                        ended.append(event)
                    finish = event.finish if isinstance(event, Ended) else None
                    found = self.piece(at, event.rest if isinstance(event, Ended) else event, finish)
                    if found:
                        yield self._event([found])
        except Refusal as refusal:
            if not opened:
                raise
            yield refusal.event()
            return
        if self.with_usage:
            yield self._event([], usage(ended))
        yield "data: [DONE]\n\n"

    def _event(self, choices: list[dict[str, Any]], used: dict[str, int] | None = None) -> str:
        body = {**self.head, "object": self.chunk, "choices": choices}
        if self.with_usage:
            body["usage"] = used
        return f"data: {json.dumps(body)}\n\n"


class ChatReply(ReplyFormat):
    kind, chunk, prefix = "chat.completion", "chat.completion.chunk", "chatcmpl"

    def __init__(self, service: Service, with_usage: bool, count: int) -> None:
        super().__init__(service, with_usage, count)
        self.splits: dict[int, StreamedSplit] = {}

    def choice(self, at: int, ended: Ended) -> dict[str, Any]:
        parts = split(continued(ended.prompt, ended.text))
        message: dict[str, Any] = {"role": "assistant", "content": whole(parts.answer), "refusal": None}
        if parts.reasoning:
            message["reasoning_content"] = whole(parts.reasoning)
        scores = chat_scores(ended.scores) if ended.scores else None
        return {"index": at, "message": message, "logprobs": scores, "finish_reason": ended.finish}

    def opening(self, at: int, event: Piece | Ended) -> Iterator[dict[str, Any]]:
        yield {"index": at, "delta": {"role": "assistant", "content": ""}, "logprobs": None, "finish_reason": None}

    def piece(self, at: int, piece: Piece, finish: str | None) -> dict[str, Any] | None:
        """Return the choice for one event. Answers are stripped of surrounding whitespace, as without streaming."""
        split_of = self.splits.setdefault(at, StreamedSplit(opening_mark(piece.prompt)))
        reasoning, answer = split_of.more(piece.text, last=finish is not None)
        if not (reasoning or answer or finish or piece.scores):
            return None
        scores = chat_scores(piece.scores) if piece.scores else None
        delta = {"reasoning_content": whole(reasoning)} if reasoning else {}
        delta |= {"content": whole(answer)} if answer else {}
        return {"index": at, "delta": delta, "logprobs": scores, "finish_reason": finish}


class CompletionReply(ReplyFormat):
    kind, chunk, prefix = "text_completion", "text_completion", "cmpl"

    def choice(self, at: int, ended: Ended) -> dict[str, Any]:
        text = ended.prompt + ended.text if self.echo else ended.text
        scores = [*ended.prompt_scores, *ended.scores]
        start = 0 if self.echo else len(ended.prompt)
        return {
            "index": at,
            "text": whole(text),
            "logprobs": text_scores(scores, start) if scores else None,
            "finish_reason": ended.finish,
        }

    def opening(self, at: int, event: Piece | Ended) -> Iterator[dict[str, Any]]:
        self.offsets[at] = len(event.prompt)
        if self.echo:
            yield {"index": at, "text": whole(event.prompt), "logprobs": None, "finish_reason": None}

    def piece(self, at: int, piece: Piece, finish: str | None) -> dict[str, Any] | None:
        if not (piece.text or finish or piece.scores):
            return None
        scores = text_scores(piece.scores, self.offsets[at]) if piece.scores else None
        self.offsets[at] += sum(len(one.text) for one in piece.scores)  # as in a complete reply
        return {"index": at, "text": whole(piece.text), "logprobs": scores, "finish_reason": finish}


class EventStream(Response):
    """Server-sent events. If the client disconnects, the texts are canceled."""

    media_type = "text/event-stream"

    def __init__(self, first: str, events: AsyncIterator[str]) -> None:
        super().__init__(headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self.first, self.events = first, events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        import asyncio

        async def write() -> None:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": self.first.encode(), "more_body": True})
            async for event in self.events:
                await send({"type": "http.response.body", "body": event.encode(), "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})

        async def gone() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        tasks = [asyncio.ensure_future(write()), asyncio.ensure_future(gone())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.events.aclose()  # type: ignore[attr-defined]  # an async generator


def usage(ended: Sequence[Ended]) -> dict[str, int]:
    """Return the tokens of a request. A prompt that several texts continue counts once per text."""
    prompt = sum(one.prompt_tokens for one in ended)
    new = sum(one.completion_tokens for one in ended)
    return {"prompt_tokens": prompt, "completion_tokens": new, "total_tokens": prompt + new}


def chat_scores(scores: Sequence[TokenScore]) -> dict[str, Any]:
    """Return log-probabilities in the form of chats: an entry per token, with the most likely alternatives."""

    def listed(token: str, value: float | None) -> dict[str, Any]:
        token = whole(token)
        return {"token": token, "logprob": value, "bytes": [*token.encode()]}

    return {
        "content": [
            listed(one.text, one.logprob) | {"top_logprobs": [listed(*pair) for pair in one.top]} for one in scores
        ]
    }


def text_scores(scores: Sequence[TokenScore], start: int) -> dict[str, Any]:
    """Return log-probabilities in the form of completions. The first of a prompt has none."""
    offsets = []
    for one in scores:
        offsets.append(start)
        start += len(one.text)
    return {
        "tokens": [whole(one.text) for one in scores],
        "token_logprobs": [one.logprob for one in scores],
        "top_logprobs": [None if one.logprob is None else _by_text(one.top) for one in scores],
        "text_offset": offsets,
    }


def _by_text(top: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Map texts to log-probabilities. Of tokens with one text, the most likely counts."""
    found: dict[str, float] = {}
    for text, value in top:
        found.setdefault(whole(text), value)
    return found
