"""What engines that ask a server share: many requests at once, one `Output` for each whatever the server does, and
log-probabilities if the server gives them. How one request is made is in client.py.
"""

from __future__ import annotations

import dataclasses
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ...core.budget import CapReached, Limits, Usage
from ...core.errors import MedbenchError, UsageError
from ...core.reasoning import split
from ...core.types import (
    Benchmark,
    ChoiceRequest,
    Engine,
    GenerateRequest,
    ItemSet,
    ModelRequest,
    ModelSpec,
    Output,
    Prompt,
)
from .. import thinking
from ..prompting import Wrapping, messages, sample_of, wrapping
from ..sampling import Sampling
from ..stopping import cut, sendable
from . import echo, replies
from .address import server_url
from .client import Client, Endpoint, Refused, is_local, passing
from .concurrency import Request, concurrently
from .rejected_fields import LIMITS, names_logprobs, without
from .replies import CutOff, Failed, HttpReply

__all__ = ["Endpoint", "Limits", "Refused", "ServedEngine", "Usage", "is_local"]

STOP_STRINGS = 4  # most that OpenAI accepts; medbench applies the others
TOPS = (100, 20, 5)  # llama.cpp accepts any number; other servers reject more than 20, or more than 5
PROBE = Prompt("Question: Which of these is a color?\nA. red\nB. seven\nAnswer:")
# Answers that are one token in every vocabulary, so that one token distinguishes them.
_ONE_TOKEN = re.compile(r"\w{1,5}")


@dataclass(frozen=True)
class LogprobsFormat:
    """One way to ask a server for log-probabilities."""

    path: Endpoint
    top: int  # how many tokens are listed
    exact: bool = False  # whole answers can be scored with echo


class ServedEngine(Client, Engine):  # type: ignore[misc, override]  # what changes while it works are properties of Client
    """Asks a model at a server. `spec.location` is its name there. Making one sends nothing.

    `limits` may be set whenever no request is running. `usage` counts over the engine's whole life.
    """

    prefix_takes = "a model's name at the server"
    switches_thinking = True
    limit_field = "max_tokens"
    gives_logprobs = True  # perhaps; the server is asked once
    can_sample = True
    runs_here = False  # this process's memory says nothing about the model
    keeps_cut = False  # if the limit was reached before any answer, store an empty text (for judges)

    def __init__(self, spec: ModelSpec, limits: Limits | None = None) -> None:
        super().__init__(spec, limits)
        self._form: LogprobsFormat | None = None
        self.refused_items: set[str] = set()
        self._probed = False
        self._disobeyed = False  # whether it reasoned although it was asked not to
        self._reasons = False  # a stop string ended its reasoning, so none are sent any more
        self._lock = threading.Lock()

    @classmethod
    def resolve(cls, name: str, request: ModelRequest) -> ModelSpec:
        """Return the spec of a model at a server. The server decides everything about its weights."""
        if request.prefixed:
            spec = ModelSpec(f"{request.engine}:{name}", name, "", request.engine, chat=request.chat)
        else:
            spec = request.find(name)
        decided = ("revision", "adapter", "quantize", "trust-remote-code", "dtype", "device")
        request.reject(f"{spec.name} is run by a server, which decides that.", *decided)
        url = server_url(request.base_url, cls.url_variable, cls.standard_url)
        source = f"served at {url or request.engine}" if request.prefixed else spec.source
        return dataclasses.replace(spec, base_url=url, source=source, options=request.options)

    def prepare(self, benchmark: Benchmark, item_set: ItemSet) -> None:
        self.refused_items = set()

    def choose(self, requests: Sequence[ChoiceRequest]) -> Iterator[Output]:
        """Yield the log-probability of each answer's first token, in order of completion.

        Minus infinity stands for one below the server's list.
        """
        if requests and (why := self.cannot_choose(request.answers for request in requests)):
            raise MedbenchError(f"{self.spec.name} cannot choose by log-probability: {why}.", "Use --choice generate.")
        yield from self._all(requests, self._choose)

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[Output]:
        """Yield a text for every request, in order of completion."""
        yield from self._all(requests, self._generate)

    def chat(self, method: Literal["choose", "generate"]) -> str:
        return self._wrapping(method).kind

    def cannot_choose(self, answers: Iterable[tuple[str, ...]]) -> str:
        """Return why answers like these cannot be scored by log-probability; "" if they can.

        A server shows one token at a time, so options that begin with the same token cannot be told apart. Asks the
        server once whether it gives log-probabilities. Raises Refused if it cannot be asked.
        """
        for labels in answers:
            unfit = [label for label in labels if not _ONE_TOKEN.fullmatch(label)]
            if unfit or len({label.casefold() for label in labels}) < len(labels):
                return f"a server's next token does not distinguish options like '{(unfit or labels)[0][:40]}'"
        return "" if self._logprobs() else f"the server gives no log-probabilities for {self.spec.location}"

    def check_sampling(self, samples: int, temperature: float) -> None:
        """Check as any engine does. Answers may also vary without a temperature, if the model draws tokens."""
        if temperature > 0 or self.spec.generation.get("temperature", 0) == 0:
            super().check_sampling(samples, temperature)

    def describe(self) -> dict[str, Any]:
        form = self._form
        how: dict[str, Any] = (
            {
                "logprobs": "of whole answers, by echo"
                if form.exact
                else f"of the first token, the {form.top} most likely, by /{form.path}"
            }
            if form
            else {}
        )
        left_out = {"rejected_fields": sorted(self.rejected_fields)} if self.rejected_fields else {}
        cut_here = {"limit": "the server accepts no token limit: medbench truncated longer answers"}
        disobeyed = {"think": "the server reasoned although it was asked not to"} if self._disobeyed else {}
        return {"server": self._at} | how | left_out | disobeyed | (cut_here if self._no_limit else {})

    @property
    def _no_limit(self) -> bool:
        """Whether the server rejects a limit of new tokens under either name."""
        return LIMITS.keys() <= self.rejected_fields

    def peak_gpu_memory_bytes(self) -> int | None:
        return None

    def _wrapping(self, method: str) -> Wrapping:
        template = "messages"  # the server's own template, which it does not show
        found = wrapping(self.spec.chat, method, template, self.spec.prompt_format)
        if method == "generate" and found.kind != "template" and (told := thinking.asked(self.spec)):
            raise UsageError(
                f"{told}: {self.spec.name} is sent plain prompts, without a chat.", "Leave one of them out."
            )
        form = self._logprobs() if method == "choose" and self.spec.chat == "auto" else None
        return Wrapping("template", template) if form and form.path == "chat/completions" else found

    def _all(
        self, requests: Sequence[Request], answer: Callable[[Request, threading.Event], Output]
    ) -> Iterator[Output]:
        """Yield every request's output, in order of completion."""
        self.load()
        workers = min(self.limits.concurrency, len(requests))
        yield from concurrently(requests, answer, self._error, workers, self.budget.wake)

    def _generate(self, request: GenerateRequest, stop: threading.Event) -> Output:
        path, body = self._body(request.prompt, self._wrapping("generate"), request.max_new_tokens)
        if how := Sampling.of(request):
            body |= how.settings()
        # Servers apply stop strings to reasoning too. In chats, where the model marks its end, they are applied here.
        strings = sendable(request.stop) if path == "completions" and not self._reasons else []
        if strings:
            body["stop"] = strings[:STOP_STRINGS]
        if request.schema is not None and path == "chat/completions":
            form = {"name": "answer", "strict": True, "schema": dict(request.schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        reply, written = self._written(request, path, body, stop)
        if strings and written.finish == "stop" and written.in_reasoning:
            self._reasons = True
            del body["stop"]
            reply, written = self._written(request, path, body, stop)
        prompt_tokens, new_tokens = replies.usage(reply) or (0, 0)
        self._obeyed(written)
        text, stopped = cut(self._mask.answer(written.text), request.stop)  # a key may have arrived in several parts
        return Output(
            item_id=request.item_id,
            prompt=_shown(without(body, self.rejected_fields)),
            text=text.strip(),
            prompt_tokens=prompt_tokens,
            completion_tokens=new_tokens,
            finish="stop" if stopped else written.finish,
            seconds=reply.seconds,
            reasoning=self._mask.answer(written.reasoning),
            reasoning_tokens=written.reasoning_tokens,
            sample=request.sample,
        )

    def _written(
        self, request: GenerateRequest, path: Endpoint, body: dict[str, Any], stop: threading.Event
    ) -> tuple[HttpReply, replies.WrittenText]:
        reply = self._ask(path, body, stop)
        try:
            written = replies.text_of(reply, request.max_new_tokens)
        except CutOff:
            if not self.keeps_cut:
                raise
            written = replies.WrittenText("", "length")
        if self._no_limit:
            written = replies.limited(written, reply, request.max_new_tokens)
        return reply, written

    def _obeyed(self, written: replies.WrittenText) -> None:
        """Say once if the server reasons although it was asked not to. Raise Failed if it misplaced the answer."""
        if self.spec.think != "off" or not (
            written.reasoning or written.reasoning_tokens or split(written.text).reasoning
        ):
            return
        if not written.text and written.finish == "stop":
            raise Failed(
                "the server put the whole reply into its field for reasoning, although --think off: its reasoning "
                "parser does not fit this model",
                answered=True,
            )
        with self._lock:
            new, self._disobeyed = not self._disobeyed, True
        if new:
            self.tell(f"{self.spec.name}: the server reasons although --think off; its reasoning is not scored")

    def _choose(self, request: ChoiceRequest, stop: threading.Event) -> Output:
        form = self._logprobs()
        assert form is not None
        path, body = self._for_logprobs(request.prompt, form)
        if form.exact:
            return self._choose_exactly(request, body, stop)
        reply = self._ask(path, body, stop)
        listed = replies.first_token(reply)
        found = replies.of_answers(listed, request.answers, exact=path == "completions")
        if found is None:
            likeliest = ", ".join(repr(token) for token, _ in listed[:3]) or "none"
            raise Failed(
                f"no option is among the {form.top} most likely tokens (the first: {likeliest})", answered=True
            )
        prompt_tokens, new_tokens = replies.usage(reply) or (0, 0)
        return Output(
            item_id=request.item_id,
            prompt=_shown(body),
            logprobs=found,
            prompt_tokens=prompt_tokens,
            completion_tokens=new_tokens,
            finish="choice",
            seconds=reply.seconds,
        )

    def _choose_exactly(self, request: ChoiceRequest, body: dict[str, Any], stop: threading.Event) -> Output:
        asked = {name: value for name, value in body.items() if name != "min_tokens"} | {self.limit_field: 0}
        prompt = request.prompt.plain
        if (wrap := wrapping(self.spec.chat, "choose", "", self.spec.prompt_format)).kind == "format":
            prompt = wrap.template.replace("{prompt}", prompt)
        reply = self._ask("completions", asked | echo.fields(prompt, request.answers), stop)
        prompt_tokens, _ = replies.usage(reply) or (0, 0)
        return Output(
            item_id=request.item_id,
            prompt=_shown(body),
            logprobs=echo.of_answers(reply, len(request.answers)),
            prompt_tokens=prompt_tokens,
            finish="choice",
            seconds=reply.seconds,
        )

    def _error(self, request: ChoiceRequest | GenerateRequest, why: str, final: bool = False) -> Output:
        plain, told = request.prompt.plain, self.scrubbed(why)
        if final:
            self.refused_items.add(request.item_id)
        return Output(request.item_id, prompt=plain, finish="error", error=told, final=final, sample=sample_of(request))

    def _body(self, prompt: Prompt, wrap: Wrapping, max_new_tokens: int) -> tuple[Endpoint, dict[str, Any]]:
        """Return the path and body to send. A generation setting of the model that is None is omitted."""
        settings = {self.limit_field: max_new_tokens, "temperature": 0} | dict(self.spec.generation)
        asked = {"model": self.spec.location} | {name: value for name, value in settings.items() if value is not None}
        if wrap.kind == "template":
            reasons = thinking.request_fields(self.spec, self.home)
            return "chat/completions", asked | reasons | {"messages": messages(prompt)}
        text = wrap.template.replace("{prompt}", prompt.plain) if wrap.kind == "format" else prompt.plain
        return "completions", asked | {"prompt": text}

    def _for_logprobs(self, prompt: Prompt, form: LogprobsFormat) -> tuple[Endpoint, dict[str, Any]]:
        chats = form.path == "chat/completions"
        wrap = Wrapping("template") if chats else wrapping(self.spec.chat, "choose", "", self.spec.prompt_format)
        path, body = self._body(prompt, wrap, 1)
        body[self.limit_field] = 1  # overrides the model's own generation settings
        if chats:
            return path, body | {"logprobs": True, "top_logprobs": form.top}
        # The space before an answer is part of its token. A model that would end instead must write one token:
        # some servers list no log-probabilities for an end.
        return path, body | {"prompt": str(body["prompt"]).rstrip(), "logprobs": form.top, "min_tokens": 1}

    def _logprobs(self) -> LogprobsFormat | None:
        """Return how to ask this server for log-probabilities; None if it gives none. Tested once."""
        with self._lock:
            if not self._probed and self.gives_logprobs:
                self.load()
                self._form = self._find_form()
            self._probed = True
            return self._form

    def _find_form(self) -> LogprobsFormat | None:
        kind = wrapping(self.spec.chat, "choose", "messages", self.spec.prompt_format).kind
        paths: list[Endpoint] = ["chat/completions"] if kind == "template" else ["completions"]
        if self.spec.chat == "auto":
            paths.append("chat/completions")
        named = False
        for path in paths:
            for top in TOPS:
                form = LogprobsFormat(path, top)
                reply, listed = self._probe(form)
                if path == "completions" and reply.fine and echo.is_exact(reply):
                    return LogprobsFormat(path, top, exact=True)
                if replies.of_answers(listed, ("A", "B"), exact=True):
                    return form
                if reply.status not in (400, 422):
                    break
                named |= names_logprobs(reply)
        if named:
            self._learn(frozenset({"logprobs"}))
        return None

    def _probe(self, form: LogprobsFormat) -> tuple[HttpReply, list[tuple[str, float]]]:
        """Return the server's reply to a question with a one-token answer, and the log-probabilities in it.

        500 is how some say that they have none.
        """
        path, body = self._for_logprobs(PROBE, form)
        try:
            reply = self._send(path, body, threading.Event(), min(1, self.limits.retries))
            if reply.status == 401 or (passing(reply) and reply.status != 500):
                raise self._failure(reply)
            return reply, replies.first_token(reply) if reply.fine else []
        except (Failed, CapReached) as error:
            raise Refused(
                f"could not find out whether {self._at} gives log-probabilities: {self.scrubbed(str(error))}",
                "Try again, or let the model write its answers: --choice generate",
            ) from None


def _shown(body: Mapping[str, Any]) -> str:
    """Return what was sent, as text: the prompt, or the turns of a chat."""
    turns = [f"{turn['role']}: {turn['content']}" for turn in body.get("messages", ())]
    return "\n\n".join(turns) or str(body["prompt"])
