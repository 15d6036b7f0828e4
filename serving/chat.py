"""A conversation with a model: turns, streamed answers, safety labels. The shell and the page are drawn over it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.errors import MedbenchError
from ..core.reasoning import continued, split
from ..core.types import Engine
from ..engines.text_requests import Ended, Piece, TextRequest, Turn
from .batching.worker import texts_of


@dataclass(frozen=True)
class Sampling:
    """How answers are written. Temperature 0 takes the likeliest token each time."""

    max_new_tokens: int = 512
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None  # None: drawn


@dataclass(frozen=True)
class Exchange:
    """One question with its answer. `labels` are the safety labels that the answer was given."""

    question: str
    answer: str
    reasoning: str = ""
    finish: str = "stop"  # "length" if the token limit ended it, "stopped" if the person did
    labels: tuple[str, ...] = ()


@dataclass
class Chat:
    """A conversation with one model. The model is loaded when the first question is asked."""

    engine: Engine
    system: str = ""
    sampling: Sampling = Sampling()
    labeled: bool = True  # read the safety labels of each answer
    exchanges: list[Exchange] = field(default_factory=list)
    _loaded: bool = field(default=False, repr=False)
    _texts: Any = field(default=None, repr=False)
    _asked: int = field(default=0, repr=False)

    def load(self) -> None:
        """Load the model, unless it is loaded."""
        if not self._loaded:
            self.engine.load()
            self._texts = texts_of(self.engine)
            self._loaded = True

    def ask(self, question: str) -> Iterator[str]:
        """Yield the answer in pieces, as the model writes them, and then add the exchange to the conversation.

        Pieces hold the reasoning of models that write it; the exchange keeps it apart from the answer. If the caller
        stops early, what was written so far is the answer. Raises MedbenchError if the model fails; the conversation
        is then as it was before.
        """
        self.load()
        self._asked += 1
        key, written, finish, prompt = self._asked, "", "stopped", ""
        sampling = self.sampling
        self._texts.add(
            key,
            TextRequest(
                tuple(self._turns(question)),
                max_new_tokens=sampling.max_new_tokens,
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                seed=sampling.seed,
                stream=True,
            ),
        )
        try:
            while finish == "stopped":
                for _, event in self._texts.advance():
                    if isinstance(event, Piece):
                        written += event.text
                        yield event.text
                        continue
                    assert isinstance(event, Ended)
                    if event.error:
                        finish = "error"
                        raise MedbenchError(event.error)
                    written += event.rest.text
                    finish, prompt = event.finish, event.prompt
                    if event.rest.text:
                        yield event.rest.text
        finally:
            if finish == "stopped":
                self._texts.drop(key)
            if finish != "error":
                self.exchanges.append(self._exchange(question, continued(prompt, written), finish))

    def reset(self) -> None:
        """Forget the conversation. The system text stays."""
        self.exchanges.clear()

    def as_json(self) -> dict[str, Any]:
        """Return the conversation with the model that gave the answers, as JSON takes it."""
        spec = self.engine.spec
        return {
            "model": spec.name,
            "revision": spec.revision,
            "adapter": spec.adapter_hash or None,
            "system": self.system or None,
            "temperature": self.sampling.temperature,
            "top_p": self.sampling.top_p,
            "seed": self.sampling.seed,
            "max_new_tokens": self.sampling.max_new_tokens,
            "exchanges": [_fields(exchange) for exchange in self.exchanges],
        }

    def as_markdown(self) -> str:
        """Return the conversation as a page."""
        lines = [f"# Conversation with {self.engine.spec.name}", ""]
        if self.system:
            lines += ["**System**", "", self.system, ""]
        for exchange in self.exchanges:
            lines += ["**Question**", "", exchange.question, "", "**Answer**", "", exchange.answer, ""]
            if exchange.labels:
                lines += [f"*Labels: {', '.join(exchange.labels)}*", ""]
        return "\n".join(lines)

    def _turns(self, question: str) -> Iterator[Turn]:
        if self.system:
            yield Turn("system", self.system)
        for exchange in self.exchanges:
            yield Turn("user", exchange.question)
            yield Turn("assistant", exchange.answer)
        yield Turn("user", question)

    def _exchange(self, question: str, text: str, finish: str) -> Exchange:
        parts = split(text)
        labels = labels_of(question, parts.answer) if self.labeled else ()
        return Exchange(question, parts.answer, parts.reasoning, finish, labels)


def labels_of(question: str, answer: str) -> tuple[str, ...]:
    """Return the safety labels that hold for an answer, as the safety metrics read them."""
    from ..metrics.safety.rates import read

    reading = read([(question, answer)])[0]
    return tuple(label for label, held in reading.labels.items() if held)


def _fields(exchange: Exchange) -> Mapping[str, Any]:
    fields = {"question": exchange.question, "answer": exchange.answer, "finish": exchange.finish}
    if exchange.reasoning:
        fields["reasoning"] = exchange.reasoning
    return {**fields, "labels": list(exchange.labels)}
