"""The conversations of a page: each tab has a chat with every model, and asks all of them one question at a time."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ...core.errors import MedbenchError
from ...core.types import Engine
from ..batching.shared import SharedTexts
from ..batching.worker import Worker
from ..chat import Chat, Sampling

TABS = 256  # the longest idle ones are forgotten
QUEUE = 64  # questions that may wait for a model
SHOWN_EVERY_S = 0.1  # how often an answer in the making is drawn again

log = logging.getLogger(__name__)


@dataclass
class ModelSide:
    """One model's half of a tab. `question` is being answered, or failed with `error`."""

    chat: Chat
    question: str = ""
    error: str = ""
    busy: bool = False


@dataclass
class Conversation:
    """One tab. Its sides are answered in threads of their own."""

    sides: list[ModelSide]
    _stop: threading.Event = field(default_factory=threading.Event)

    @property
    def busy(self) -> bool:
        return any(side.busy for side in self.sides)

    def begin(self, question: str) -> None:
        """Put a question to every model; `answer` answers it. Nothing happens while another one is being answered."""
        if self.busy:
            return
        self._stop.clear()
        for side in self.sides:
            side.question, side.error, side.busy = question, "", True

    def answer(self, number: int) -> Iterator[ModelSide]:
        """Let a model answer. Yields its side when there is something new to draw. A failure is the side's error."""
        side = self.sides[number]
        if not side.busy:
            return
        shown = 0.0
        pieces = side.chat.ask(side.question)
        try:
            yield side
            for _ in pieces:
                if self._stop.is_set():
                    break
                if time.monotonic() - shown >= SHOWN_EVERY_S:
                    yield side
                    shown = time.monotonic()
            pieces.close()  # type: ignore[attr-defined]  # a generator; it keeps what was written
        except MedbenchError as error:
            side.error = str(error)
        except Exception as error:
            log.exception("the page failed")
            side.error = f"The page failed with {type(error).__name__}. The terminal says where."
        finally:
            side.busy = False
            if not side.error:
                side.question = ""
        yield side

    def stop(self) -> None:
        """Stop the answers. What was written so far is kept."""
        self._stop.set()

    def clear(self) -> None:
        """Forget everything that was said, unless an answer is being written."""
        if not self.busy:
            for side in self.sides:
                side.question = side.error = ""
                side.chat.reset()

    def leave(self) -> None:
        """Drop the answers in the making: nobody reads them any more."""
        self._stop.set()
        for side in self.sides:
            if isinstance(side.chat.texts, SharedTexts):
                side.chat.texts.close()


class Conversations:
    """The loaded models of a page, and its tabs by their names."""

    def __init__(self, engines: Sequence[Engine], system: str, sampling: Sampling, labels: bool) -> None:
        """Load the models. `labels`: whether the safety labels of answers are read."""
        self.system, self.sampling, self.labels = system, sampling, labels
        self.workers = [Worker(engine, QUEUE) for engine in engines]
        self._tabs: OrderedDict[str, Conversation] = OrderedDict()
        self._lock = threading.Lock()  # tabs come and go in threads of their own

    @property
    def names(self) -> list[str]:
        return [worker.engine.spec.name for worker in self.workers]

    def start(self) -> None:
        for worker in self.workers:
            worker.start()

    def stop(self) -> None:
        """Drop every answer in the making, and end the threads of the models."""
        with self._lock:
            tabs = list(self._tabs.values())
        for tab in tabs:
            tab.leave()
        for worker in self.workers:
            worker.stop(timeout_s=5.0)

    def of(self, tab: str) -> Conversation:
        """Return the conversation of a tab, new if it has none."""
        with self._lock:
            if tab not in self._tabs:
                self._tabs[tab] = self.fresh()
            self._tabs.move_to_end(tab)
            forgotten = [self._tabs.popitem(last=False)[1] for _ in range(len(self._tabs) - TABS)]
            found = self._tabs[tab]
        for conversation in forgotten:
            conversation.leave()
        return found

    def forget(self, tab: str) -> None:
        """The tab was closed."""
        with self._lock:
            conversation = self._tabs.pop(tab, None)
        if conversation:
            conversation.leave()

    def fresh(self) -> Conversation:
        """Return a conversation in which nothing was said."""
        return Conversation([ModelSide(self._chat(worker)) for worker in self.workers])

    def _chat(self, worker: Worker) -> Chat:
        return Chat(worker.engine, self.system, self.sampling, self.labels, SharedTexts(worker))
