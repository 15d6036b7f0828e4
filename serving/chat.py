"""A conversation with a model: turns, streamed answers and their safety labels. `medbench chat` displays it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.errors import MedbenchError
from ..core.reasoning import Split, continued, opening_mark, split
from ..core.types import Engine, Turn
from ..engines.text_requests import Piece, TextRequest, Texts
from .batching.worker import texts_of

# What a saved conversation says about an answer that did not end by itself, by its `finish`.
UNFINISHED = {"length": "Cut off after {limit} tokens", "stopped": "Stopped"}


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
    """A conversation with one model, which is loaded at the first question unless `texts` is given."""

    engine: Engine
    system: str = ""
    sampling: Sampling = Sampling()
    labeled: bool = True  # determine the safety labels of each answer
    texts: Texts | None = field(default=None, repr=False)
    exchanges: list[Exchange] = field(default_factory=list)
    _asked: int = field(default=0, repr=False)
    _prompt: str = field(default="", repr=False)  # of the answer being written
    _written: str = field(default="", repr=False)

    def load(self) -> Texts:
        """Load the model, unless it is loaded."""
        if self.texts is None:
            self.engine.load()
            self.texts = texts_of(self.engine)
        return self.texts

    def ask(self, question: str) -> Iterator[str]:
        """Yield the answer in pieces, as the model writes them, then add the exchange to the conversation.

        Pieces include any reasoning; the exchange stores it apart from the answer. A piece may be empty: the caller can
        stop there. If the caller stops early, the text so far is added. If the model fails, nothing is added and
        MedbenchError is raised.
        """
        texts = self.load()
        self._asked += 1
        key, finish = self._asked, "stopped"
        sampling = self.sampling
        texts.add(
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
                events = texts.advance()
                if not events:
                    yield ""
                for _, event in events:
                    if isinstance(event, Piece):
                        if not self._written and (mark := opening_mark(event.prompt)):
                            yield f"{mark}\n"  # a reader sees where the reasoning begins
                        self._written += event.text
                        self._prompt = event.prompt
                        yield event.text
                        continue
                    if event.error:
                        raise MedbenchError(event.error)
                    self._written += event.rest.text
                    finish, self._prompt = event.finish, event.prompt
                    if event.rest.text:
                        yield event.rest.text
        except Exception:
            finish = "error"
            texts.drop(key)
            raise
        finally:
            if finish == "stopped":
                texts.drop(key)
            if finish != "error":
                self.exchanges.append(self._exchange(question, finish))
            self._prompt = self._written = ""

    def so_far(self) -> Split:
        """Return the reasoning and the answer written so far, both empty unless an answer is being written."""
        return split(continued(self._prompt, self._written))

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
            if exchange.finish in UNFINISHED:
                lines += [f"*{UNFINISHED[exchange.finish].format(limit=self.sampling.max_new_tokens)}*", ""]
            if self.labeled and exchange.answer:
                lines += [f"*Safety labels: {', '.join(exchange.labels) or 'none applies'}*", ""]
        return "\n".join(lines)

    def _turns(self, question: str) -> Iterator[Turn]:
        if self.system:
            yield Turn("system", self.system)
        for exchange in self.exchanges:
            yield Turn("user", exchange.question)
            yield Turn("assistant", exchange.answer)
        yield Turn("user", question)

    def _exchange(self, question: str, finish: str) -> Exchange:
        parts = self.so_far()
        labels = labels_of(question, parts.answer) if self.labeled else ()
        return Exchange(question, parts.answer, parts.reasoning, finish, labels)


def labels_of(question: str, answer: str) -> tuple[str, ...]:
    """Return the safety labels that hold for an answer, by the rules of the safety metrics.

    A question or an answer in another language has the single label NOT_ENGLISH.
    """
    from ..metrics.safety.rates import NOT_ENGLISH, not_english, read

    if not_english(question, answer):
        return (NOT_ENGLISH,)
    reading = read([(question, answer)])[0]
    return tuple(label for label, held in reading.labels.items() if held)


def _fields(exchange: Exchange) -> Mapping[str, Any]:
    fields = {"question": exchange.question, "answer": exchange.answer, "finish": exchange.finish}
    if exchange.reasoning:
        fields["reasoning"] = exchange.reasoning
    return {**fields, "labels": list(exchange.labels)}
