"""Samples of lm-evaluation-harness: `samples_TASK_TIME.jsonl` of `lm_eval --log_samples`.

A line has the data set's row (`doc`), what the model was asked (`arguments`) and its raw replies (`resps`): for
multiple choice the log-probability of each option, otherwise texts. The harness's own filters and scores are not read.
"""

from __future__ import annotations

import dataclasses
import math
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...core.errors import UsageError
from ...core.json_text import loads
from .peers import PeerAnswer, fields_of

NEEDED = frozenset({"doc_id", "doc", "resps", "arguments"})
NAME = "lm-evaluation-harness"


def is_sample(values: Mapping[str, Any]) -> bool:
    """Whether a JSON object is a line of such a file."""
    return values.keys() >= NEEDED


class Samples:
    """The answers of one file. Lines that repeat an item under another filter have the same replies."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.answers: list[PeerAnswer] = []
        self.about: dict[str, Any] = {"written_by": NAME}
        self._seen: dict[str, str] = {}  # the filter under which an item was read first

    def add(self, values: Mapping[str, Any], where: str) -> None:
        """Read one line. Raises UsageError for one that has another form."""
        number, filtered = str(values["doc_id"]), str(values.get("filter", ""))
        if self._seen.setdefault(number, filtered) != filtered:
            return
        try:
            self.answers += _answers(values, where)
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise UsageError(
                f"{self.file.parent / where}: not a sample of {NAME} that medbench can read: {error}.",
                "Multiple choice by log-likelihood and generated text can be read. For other lines: --map "
                "id=COLUMN,text=COLUMN",
            ) from error


def _answers(values: Mapping[str, Any], where: str) -> list[PeerAnswer]:
    asked = [_pair(each) for each in _listed(values["arguments"])]
    replies, doc = values["resps"], values["doc"]
    if not asked or not isinstance(replies, list) or not isinstance(doc, Mapping):
        raise ValueError("it has no arguments or no replies")
    target = values.get("target")
    golds = target if isinstance(target, list) else [] if target is None else [target]
    prompt = _prompt(asked[0][0])
    ids = [str(each) for name, each in doc.items() if isinstance(each, str | int) and "id" in name.lower()]
    own = PeerAnswer(where, tuple(ids), tuple(fields_of(doc)), prompt, tuple(map(str, golds)))
    if isinstance(asked[0][1], str):
        # Unconditional log-likelihoods, for mutual information, follow those of the options.
        of_options = [at for at, (context, _) in enumerate(asked) if context == asked[0][0]]
        return [
            _put(own, continuations=[asked[at][1] for at in of_options], logprobs=[replies[at] for at in of_options])
        ]
    if not isinstance(asked[0][1], Mapping):
        raise ValueError("its replies are the likelihood of a whole text")
    texts = replies[0] if replies and isinstance(replies[0], list) else replies
    return [_put(own, text=text, sample=at) for at, text in enumerate(texts)]


def _put(
    own: PeerAnswer,
    continuations: Sequence[str] = (),
    logprobs: Sequence[Any] = (),
    text: Any = None,
    sample: int = 0,
) -> PeerAnswer:
    if not logprobs and not isinstance(text, str):
        raise ValueError(f"a reply is {reprlib.repr(text)}, not a text")
    return dataclasses.replace(
        own,
        continuations=tuple(continuations),
        logprobs=tuple(_number(each) for each in logprobs),
        text=text,
        sample=sample,
    )


def _listed(arguments: Any) -> list[Any]:
    """Return the arguments of each request: {"gen_args_0": …} or, in older files, a list."""
    return list(arguments.values()) if isinstance(arguments, Mapping) else list(arguments)


def _pair(arguments: Any) -> tuple[Any, Any]:
    """Return a request's context and its continuation (a text) or settings (an object)."""
    found = list(arguments.values() if isinstance(arguments, Mapping) else arguments)
    return found[0], found[1] if len(found) > 1 else None


def _number(reply: Any) -> float:
    """Return the log-likelihood in [["-0.52", "False"]], or in a list less."""
    while isinstance(reply, list):
        reply = reply[0]
    value = float(reply)
    if math.isnan(value) or value == math.inf:
        raise ValueError(f"a log-likelihood is {value}")
    return value


def _prompt(context: Any) -> str:
    """Return a context as text. With a chat template at a server, it is a list of messages as JSON."""
    if isinstance(context, list) and context:
        context = context[0]
    if isinstance(context, str) and context.startswith('[{"role"'):
        messages = loads(context)
        return "\n\n".join(str(message.get("content", "")) for message in messages)
    return context if isinstance(context, str) else ""
