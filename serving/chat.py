"""A conversation with a model: turns, streamed answers and their safety labels. `medbench chat` displays it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.errors import MedbenchError
from ..core.reasoning import continued, split
from ..core.types import Engine, Turn
from ..engines.text_requests import Ended, Piece, TextRequest
from .batching.worker import texts_of


@dataclass(frozen=True)
class Sampling:
    """How answers are generated. Temperature 0 takes the most likely token each time."""

    max_new_tokens: int = 512
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None  # None: random


@dataclass(frozen=True)
class Exchange:
    """One question with its answer, and the safety labels that hold for it."""

    question: str
    answer: str
    reasoning: str = ""
    finish: str = "stop"  # "length": the token limit ended it; "stopped": the user did
    labels: tuple[str, ...] = ()


@dataclass
class Chat:
    """A conversation with one model, which is loaded at the first question."""

    engine: Engine
    system: str = ""
    sampling: Sampling = Sampling()
    labeled: bool = True  # determine the safety labels of each answer
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
        """Yield the answer in pieces, as the model writes them, then add the exchange to the conversation.

        Pieces include any reasoning; the exchange stores it apart from the answer. If the caller stops early, the text
        so far is added. If the model fails, nothing is added and MedbenchError is raised.
        """
        self.load()
        self._asked += 1
        key, written, finish = self._asked, "", "stopped"
        sampling = self.sampling
        prompt = self._texts.add(
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
        """Return the conversation, the model and its settings, ready for JSON."""
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
        """Return the conversation as Markdown."""
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
    """Return the safety labels that hold for an answer, by the rules of the safety metrics."""
    from ..metrics.safety.rates import read

    reading = read([(question, answer)])[0]
    return tuple(label for label, held in reading.labels.items() if held)


def _fields(exchange: Exchange) -> Mapping[str, Any]:
    fields = {"question": exchange.question, "answer": exchange.answer, "finish": exchange.finish}
    if exchange.reasoning:
        fields["reasoning"] = exchange.reasoning
    return {**fields, "labels": list(exchange.labels)}
