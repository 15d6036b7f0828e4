"""Every type that two rooms of medbench share, on one screen.

A run is a stream of one `Record` per question; everything after inference reads only that record:

    Benchmark.load() -> Item -> Prompt -> Engine -> Output -> Metric -> Score -> Figure
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from .reasoning import split
from .text import whole


@dataclass(frozen=True, slots=True)
class Item:
    """One question of a benchmark. Multiple choice has `options` and `gold`; an open question has `references`."""

    id: str
    question: str
    context: str = ""
    options: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()  # what the model answers with, one per option; empty: the option texts themselves
    gold: int | None = None  # index into options
    references: tuple[str, ...] = ()
    meta: Mapping[str, str] = field(default_factory=dict)  # subject, question_type, source, document, …

    def __post_init__(self) -> None:
        for name in ("id", "question", "context"):
            object.__setattr__(self, name, whole(getattr(self, name)))
        for name in ("options", "labels", "references"):
            texts = getattr(self, name)
            if isinstance(texts, tuple):
                object.__setattr__(self, name, tuple(map(whole, texts)))

    @property
    def answers(self) -> tuple[str, ...]:
        """What the model chooses between: the labels (`A`, `B`, …) or, without labels, the options."""
        return self.labels or self.options


@dataclass(frozen=True, slots=True)
class ItemSet:
    """What a benchmark loaded: the items to score, the pool that few-shot examples come from, and what to tell."""

    items: tuple[Item, ...]
    origin: str  # where it was read: a path, or hub id @ revision
    shots: tuple[Item, ...] = ()  # never scored; empty: examples are held out of `items`
    variant: str = ""  # part of the column's name where this is not the whole official set, e.g. "4 of 6 subjects"
    notes: tuple[str, ...] = ()  # one sentence each: rows skipped, near-duplicates found, subjects missing


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What is asked: where the items come from, how they are put to a model, and which metrics score them."""

    name: str
    version: str  # raised whenever items, ids or prompt change
    summary: str
    citation: str
    licence: str
    load: Callable[[Any], ItemSet]  # gets a `Source` (benchmarks/sources/files.py): the data folder and the hub
    question: Callable[[Item], str]  # the last turn; ends where the answer begins ("…\nAnswer:")
    metrics: tuple[str, ...]
    answer: Callable[[Item], str] = lambda item: item.answers[item.gold or 0] if item.options else item.references[0]
    instruction: Callable[[Item], str] = lambda item: ""  # opens the prompt, once, before the examples
    max_new_tokens: int = 256
    # What ends an answer besides the end of the model's turn, where a prompt has no turns: a plain, unwrapped one.
    stop: tuple[str, ...] = ("\nQuestion:",)
    sample: bool = False  # a small set written for this project, never beside the real benchmark
    hub: str = ""  # hub repository, for messages


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question as the benchmark puts it, before any chat template. `shots` are (question, answer) turns."""

    question: str
    instruction: str = ""
    shots: tuple[tuple[str, str], ...] = ()

    @property
    def plain(self) -> str:
        """The prompt as one text: instruction, examples and question, a blank line between them."""
        turns = [f"{question} {answer}" for question, answer in self.shots]
        return "\n\n".join([*filter(None, [self.instruction]), *turns, self.question])


@dataclass(frozen=True, slots=True)
class ChoiceRequest:
    item_id: str
    prompt: Prompt
    answers: tuple[str, ...]  # as Item.answers; the engine puts the space before them where one belongs


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    item_id: str
    prompt: Prompt
    max_new_tokens: int
    stop: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None  # JSON schema of the answer, for servers that can hold a model to one


@dataclass(frozen=True, slots=True)
class Output:
    """What a model gave back for one item: `logprobs` (nats, one per option) or `text`; or `error`, never both.

    `text` is the answer and nothing else. Made from a text that holds marks of reasoning, an output splits it, so that
    no metric and no judge can take reasoning for the answer. A text that ends inside its reasoning is an empty answer.
    """

    item_id: str
    prompt: str = ""  # as sent: after chat wrapping and truncation
    text: str | None = None
    logprobs: tuple[float, ...] | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    truncated_tokens: int = 0  # prompt tokens cut away to fit the model's window
    finish: Literal["stop", "length", "choice", "error"] = "choice"
    seconds: float = 0.0  # wall time of the batch that held the item
    first_token_s: float | None = None  # seconds to the first new token, where the engine timed it
    error: str | None = None
    final: bool = False  # the error is stored: asked again, it would be the same (a content filter's refusal)
    reasoning: str = ""  # what the model wrote before its answer

    def __post_init__(self) -> None:
        put = object.__setattr__  # the class is frozen
        if isinstance(self.text, str):
            text = whole(self.text)
            found = split(text)
            if found.reasoning or found.answer != text.strip():
                put(self, "reasoning", "\n\n".join(filter(None, [self.reasoning, found.reasoning])))
                text = found.answer
            put(self, "text", text)
        for name in ("item_id", "prompt", "reasoning", "error"):
            put(self, name, whole(getattr(self, name)))


@dataclass(frozen=True, slots=True)
class Record:
    """One line of `samples.jsonl`: written once, never changed."""

    item: Item
    output: Output


@dataclass(frozen=True, slots=True)
class Score:
    """One item's value under one metric, or unscored with the reason. Unscored is never 0."""

    item_id: str
    value: float | None
    reason: str | None = None  # why it is unscored, or why it is wrong ("unparsed: …")
    answer: str | None = None  # what was read off the output, e.g. the option label


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a leaderboard with what it takes to defend it. `low`..`high` is a 95 % interval."""

    name: str
    value: float | None
    n: int  # items scored
    total: int  # items asked
    low: float | None = None
    high: float | None = None
    unit: str = ""  # "" for a share or score in 0..1; otherwise "s", "bytes", "tokens/s", …
    better: Literal["higher", "lower", ""] = "higher"
    headline: bool = True  # False: shown by `show` and in exports, not in the terminal's leaderboard

    @property
    def coverage(self) -> float:
        return self.n / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured while a run ran, over all its sittings; kept in the manifest, never re-scored."""

    items: int
    seconds: float  # inside the engine; model loading is not counted
    prompt_tokens: int
    completion_tokens: int
    peak_rss_bytes: int | None = None
    peak_gpu_memory_bytes: int | None = None
    latencies_s: tuple[float, ...] = ()  # one request at a time, after a warm-up
    first_token_s: tuple[float, ...] = ()


@runtime_checkable
class Metric(Protocol):
    """Two pure functions over stored records. `name` is the name it is asked for by and its score file's name."""

    name: str
    version: str
    binary: bool  # every value is 0 or 1: compared by McNemar; otherwise by paired permutation
    mean: bool  # the first figure is the plain mean of the values; otherwise it cannot be tested item by item
    better: Literal["higher", "lower"]

    def score(self, records: Sequence[Record]) -> list[Score]:
        """One score per record, in order."""
        ...

    def aggregate(self, records: Sequence[Record], scores: Sequence[Score]) -> list[Figure]:
        """The figures of a leaderboard; the first is the metric's own, named as the metric."""
        ...


@runtime_checkable
class Measurement(Protocol):
    """A figure read off the run itself: throughput, latency, memory."""

    name: str

    def read(self, measured: Measured) -> Figure: ...


@dataclass(frozen=True, slots=True)
class MetricFamily:
    """Metrics that are made from a name: `PREFIX:REST`. The entry point is named after the prefix.

    A stored run names its metrics, and anyone may have written that run. With `installed=False`, a name may refer to
    code or data that is not installed, so a stored name alone makes no metric: only its stored scores are shown.
    """

    name: str  # the prefix, without the colon
    make: Callable[[str], Any]  # the Metric or Measurement of a whole name; raises UsageError for an invalid one
    summary: str = ""
    installed: bool = False  # every name of the family runs installed code only


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Everything that decides how a model answers. All of it is part of a run's identity but `leaked`."""

    name: str  # as shown: NAME, or NAME+FOLDER with an adapter
    location: str  # folder on disk, hub id, or whatever the engine takes
    revision: str  # commit of a hub model, content hash of a local one
    engine: str = "transformers"
    adapter: str = ""  # folder of a LoRA adapter
    adapter_hash: str = ""
    dtype: str = "auto"  # "float32", "bfloat16", "float16"; "auto": float32 on a CPU, bfloat16 on a GPU
    quantize: Literal["", "nf4", "int8"] = ""
    device: str = "auto"
    chat: Literal["auto", "always", "never"] = "auto"
    prompt_format: str = ""  # e.g. "Medical question: {prompt}"; used in the place of a chat template
    generation: Mapping[str, Any] = field(default_factory=dict)  # beams, n-gram blocking, …; greedy unless said
    source: str = ""  # where the weights came from, in words
    base_url: str = ""  # of the server that runs it, for engines that ask one
    trust_remote_code: bool = False  # loading it runs Python code from its own files, as the user allowed
    # Settings of one engine alone, which either its revision holds too (replay's map) or that change speed only. Not of
    # the identity themselves.
    options: Mapping[str, Any] = field(default_factory=dict)
    # By benchmark, for each that was checked, ids of the items that its training data hold (training/leaks.py). None
    # for a model that medbench did not train. Not of the identity: the weights that were trained are, by their hash.
    leaked: Mapping[str, tuple[str, ...]] | None = None


class Engine(Protocol):
    """How a model runs: a plugin is a class made from a `ModelSpec`. Making one is cheap; `load` is not.

    Outputs come in order of completion, so a run is stored as it goes. An item that fails is an Output with `error`.
    """

    spec: ModelSpec  # as given, with "auto" settled for this machine

    def load(self) -> None:
        """Put the weights in memory. Called once, before the first request, so that it can be timed apart."""
        ...

    def choose(self, requests: Sequence[ChoiceRequest]) -> Iterator[Output]: ...

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[Output]: ...

    def chat(self, method: Literal["choose", "generate"]) -> str:
        """How prompts are wrapped: "plain", "template" or "format". Known without loading the weights."""
        ...

    def describe(self) -> dict[str, Any]:
        """Facts for the manifest: resolved dtype and device, architecture, parameters."""
        ...

    def peak_gpu_memory_bytes(self) -> int | None:
        """Since the last call; None where no GPU is used."""
        ...
