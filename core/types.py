"""Every type that two rooms of medbench share, on one screen.

A run is a stream of one `Record` per question; everything after inference reads only that record:

    Benchmark.load() -> Item -> Prompt -> Engine -> Output -> Metric -> Score -> Figure
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from math import inf
from typing import Any, Literal, Protocol, runtime_checkable

from .budget import Limits, Usage
from .errors import UsageError
from .item import AnswerKey as AnswerKey
from .item import Criterion as Criterion
from .item import Item as Item
from .item import Target as Target
from .item import Turn as Turn
from .item import answer_name as answer_name
from .measured import Measured as Measured
from .metric_family import MetricFamily as MetricFamily
from .model_spec import EngineOption as EngineOption
from .model_spec import ModelRequest as ModelRequest
from .model_spec import ModelSpec as ModelSpec
from .protocol import DIRECT
from .protocol import Protocol as AskingProtocol
from .reasoning import continued, opening_mark, split
from .text import whole


@dataclass(frozen=True, slots=True)
class ItemSet:
    """What a benchmark loaded: the items to score, the pool for few-shot examples, and notes for the user."""

    items: tuple[Item, ...]
    origin: str  # where it was read from: a path, or hub id @ revision
    shots: tuple[Item, ...] = ()  # never scored; empty: examples are held out of `items`
    variant: str = ""  # part of the column's name if this is not the complete official set, e.g. "4 of 6 subjects"
    notes: tuple[str, ...] = ()  # one sentence each: rows skipped, near-duplicates found, subjects missing


@dataclass(frozen=True, slots=True)
class Document:
    """A text that `run --retrieve` searches and puts into prompts, in passages. `id` is unique in its corpus."""

    id: str
    text: str  # paragraphs are separated by blank lines
    heading: str = ""  # what the text is about, or the question that it answers
    source: str = ""  # shown in prompts: an address, or a file
    document: str = ""  # the page or file that it is part of; for a benchmark's own, as `Item.meta["document"]`


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Where the items come from, how a model is asked, and which metrics score the answers."""

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
    # Strings that end an answer to a plain prompt (one without a chat template).
    stop: tuple[str, ...] = ("\nQuestion:",)
    sample: bool = False  # a small set written for this project; never replaces the real benchmark
    hub: str = ""  # hub repository, for messages
    example: Item | None = None  # an invented item, which shows the prompts
    protocols: tuple[AskingProtocol, ...] = ()  # ways to ask other than `direct`, which is this object's own
    protocol: AskingProtocol = DIRECT  # the one that this object asks by: set by core.asking.under
    documents: Callable[[Any], Sequence[Document]] | None = None  # what `run --retrieve NAME` searches; as `load`


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question as the benchmark asks it, before any chat template. `shots` are (question, answer) turns."""

    question: str
    instruction: str = ""
    shots: tuple[tuple[str, str], ...] = ()
    system: str = ""  # the system turn
    turns: tuple[Turn, ...] = ()  # of a conversation, before the question

    @property
    def has_system(self) -> bool:
        """Whether it has a system text, of its own or in its conversation."""
        return bool(self.system) or any(turn.role == "system" for turn in self.turns)

    @property
    def plain(self) -> str:
        """The prompt as one text: system text, instruction, examples and question, separated by blank lines."""
        shots = [f"{question} {answer}" for question, answer in self.shots]
        turns = [f"{turn.role.capitalize()}: {turn.content}" for turn in self.turns]
        question = f"User: {self.question}\n\nAssistant:" if turns else self.question
        return "\n\n".join([*filter(None, [self.system, self.instruction]), *shots, *turns, question])


@dataclass(frozen=True, slots=True)
class ChoiceRequest:
    item_id: str
    prompt: Prompt
    answers: tuple[str, ...]  # as Item.answers; the engine adds a space before them if needed


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    item_id: str
    prompt: Prompt
    max_new_tokens: int
    stop: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None  # JSON schema of the answer, for servers that can enforce one
    sample: int = 0  # of several answers to one item: which; goes into `Output.sample`
    temperature: float = 0.0  # 0: the likeliest token each time
    top_p: float = 1.0
    seed: int | None = None  # of this sample's random choices


@dataclass(frozen=True, slots=True)
class Output:
    """A model's output for one item: `logprobs` (nats, one per option) or `text`; or `error`, never both.

    `text` is the answer and nothing else. If an output is made from a text with reasoning marks, or from one that
    continues a prompt that ends with such a mark, it splits off the reasoning, so that no metric or judge can mistake
    it for the answer. A text that ends inside its reasoning is an empty answer.
    """

    item_id: str
    prompt: str = ""  # as sent: after chat wrapping and truncation
    text: str | None = None
    logprobs: tuple[float, ...] | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    truncated_tokens: int = 0  # prompt tokens removed to fit the context window
    finish: Literal["stop", "length", "choice", "error"] = "choice"
    seconds: float = 0.0  # wall time of the item's batch
    first_token_s: float | None = None  # seconds to the first new token, if the engine measured it
    error: str | None = None
    final: bool = False  # the error is stored, because it would be the same again (a content filter's refusal)
    reasoning: str = ""  # what the model wrote before its answer
    sample: int = 0  # of several answers to one item: which
    opened: bool = False  # the prompt opened the reasoning, and `text` is what remains after it was split off
    reasoning_tokens: int = 0  # of `completion_tokens`, if a server counts them

    @property
    def reasoned(self) -> bool:
        """Whether the model is known to have reasoned before its answer. A server may not show what it wrote."""
        return bool(self.reasoning or self.reasoning_tokens)

    @property
    def unfinished(self) -> bool:
        """Whether reasoning used up the token limit before any answer."""
        return self.finish == "length" and self.text is not None and not self.text.strip() and self.reasoned

    def __post_init__(self) -> None:
        put = object.__setattr__  # the class is frozen
        if isinstance(self.text, str):
            text = whole(self.text)
            if not self.opened and opening_mark(self.prompt):
                put(self, "opened", True)
                if not self.reasoning:  # neither a server nor an earlier medbench has split it
                    text = continued(self.prompt, text)
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

    @property
    def key(self) -> AnswerKey:
        """What no other record of a run has: the item's id and the number of the sample."""
        return self.item.id, self.output.sample


@dataclass(frozen=True, slots=True)
class Score:
    """One item's value under one metric, or unscored with the reason. Unscored is never 0."""

    item_id: str
    value: float | None
    reason: str | None = None  # why it is unscored, or why it is wrong ("unparsed: …")
    answer: str | None = None  # what was read from the output, e.g. the option label
    sample: int = 0  # as `Output.sample`; set by whoever calls the metric

    @property
    def key(self) -> AnswerKey:
        """The same key as `Record.key`."""
        return self.item_id, self.sample


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a leaderboard with its n, coverage and 95% interval `low`..`high`."""

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


class MetricDefaults(Protocol):
    """What a metric or a measurement may declare. All of it is optional.

    Subclass it, or define only what differs: the registry adds the rest to a plugin that does not subclass it.
    """

    summary: str = ""  # for `medbench list metrics`; "": the docstring
    dimension: str = ""  # "accuracy", "text quality", "safety" or "efficiency"; groups the columns of a wide table
    unit: str = ""  # of its values: "share", "0..1", "1 to 5", "s"
    figure_names: tuple[str, ...] = ()  # additional figures with their own names: accuracy also reports `macro_f1`
    remark: str = ""  # a remark shown below tables with its figures
    runs_code: str = ""  # path of a script on this disk that it executes, which is announced
    in_background: bool = True  # may be scored in another process while the model runs; False if it may use a GPU
    takes_setting: bool = False  # METRIC:SETTING works; then `with_setting` and `canonical_name` are defined
    canonical_name: str = ""  # the name with its setting, under which scores are stored; "": the name

    def with_setting(self, setting: str) -> Any:
        """Return the metric with another setting ("": the default). Raises MedbenchError if there is no such
        setting.
        """
        raise UsageError("this metric has no settings.")

    def ready(self) -> None:
        """Called before any model runs. Raises MedbenchError if something that the metric needs is missing."""
        return None

    def remark_on(self, scores: Sequence[Score]) -> str:
        """A remark that depends on the run's scores; for one that does not, use `remark`."""
        return ""


@runtime_checkable
class Metric(MetricDefaults, Protocol):
    """Two pure functions over stored records. `name` is also the name of its score file."""

    name: str
    version: str
    binary: bool  # every value is 0 or 1: compared by McNemar; otherwise by paired permutation
    mean: bool  # the first figure is the plain mean of the values; otherwise it cannot be tested item by item
    better: Literal["higher", "lower"]

    def score(self, records: Sequence[Record]) -> list[Score]:
        """Return one score per record, in order."""
        ...

    def aggregate(self, records: Sequence[Record], scores: Sequence[Score]) -> list[Figure]:
        """Return the figures of a leaderboard. The first is the metric's own and has its name."""
        ...


@runtime_checkable
class Measurement(MetricDefaults, Protocol):
    """A figure measured during the run: throughput, latency, memory."""

    name: str
    version: str = ""
    binary: bool = False
    better: Literal["higher", "lower", ""] = ""

    def read(self, measured: Measured) -> Figure: ...


class Engine(Protocol):
    """How a model runs: a plugin is a class made from a `ModelSpec`. Making one is cheap; `load` is not.

    Outputs come in order of completion, so a run is stored as it goes. An item that fails is an Output with `error`.

    The first seven members are required. The others are optional, with the defaults below: subclass `Engine`, or
    define only what differs; the registry adds the rest to a class that does not subclass it.
    """

    spec: ModelSpec  # as given, with "auto" resolved for this machine

    def load(self) -> None:
        """Load the weights. Called once, before the first request, so that it can be timed separately."""
        ...

    def choose(self, requests: Sequence[ChoiceRequest]) -> Iterator[Output]: ...

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[Output]: ...

    def chat(self, method: Literal["choose", "generate"]) -> str:
        """Return how prompts are wrapped: "plain", "template" or "format". Needs no weights."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return facts for the manifest: resolved dtype and device, architecture, parameters."""
        ...

    def peak_gpu_memory_bytes(self) -> int | None:
        """Return the peak since the last call; None if no GPU is used."""
        ...

    # Names and options. These belong to the class: they are read before an engine is made.

    summary: str = ""  # one line for `medbench list engines`; "": the docstring's first sentence
    prefix_takes: str = "a model: a name, file or folder"  # what NAME is in `--model ENGINE:NAME`, for help and errors
    engine_options: tuple[EngineOption, ...] = ()  # what `--engine-option` may set; given in `spec.options`

    @classmethod
    def resolve(cls, name: str, request: ModelRequest) -> ModelSpec:
        """Return the spec of `--model ENGINE:NAME`, of `--engine ENGINE`, or of a zoo entry that names this engine.

        By default a model that medbench knows is found as without a prefix. Any other name after a prefix goes to the
        engine as `spec.location`. Raises UsageError for a name or an option that the engine cannot take.
        """
        return request.named(name) if request.prefixed and not request.is_model(name) else request.find(name)

    # What it needs to know, and what it cannot do

    gives_logprobs: bool = True  # False: never, so the model always writes its answer. Read from the class

    switches_thinking: bool = False  # True: it obeys `spec.think` and `spec.reasoning_effort`. Read from the class

    def prepare(self, benchmark: Benchmark, item_set: ItemSet) -> None:
        """Called before every run, with what will be asked. May set `spec` and `notes`; raises UsageError."""
        return None

    def cannot_choose(self, answers: Iterable[tuple[str, ...]]) -> str:
        """Why options like these cannot be scored by log-probability; "" if they can. The model then writes instead."""
        return "" if self.gives_logprobs else f"the engine {self.spec.engine} gives no log-probabilities"

    def has_system_turn(self) -> bool:
        """Return whether the chat template has a system turn. If not, a system text opens the first user turn."""
        return True

    can_sample: bool = False  # honors `temperature`, `top_p`, `seed` and `sample` of a request. Read from the class

    def check_sampling(self, samples: int, temperature: float) -> None:
        """Raise UsageError if so many answers to each item cannot be given at this temperature."""
        if (samples > 1 or temperature > 0) and not self.can_sample:
            raise UsageError(
                f"the engine {self.spec.engine} draws no samples: it gives one answer, always the same.",
                "Leave out --samples, --temperature and --top-p, or use another engine.",
            )
        if samples > 1 and temperature == 0:
            raise UsageError(
                f"--samples {samples}: at temperature 0 all answers to a question would be the same.",
                "Add a temperature: --temperature 0.7",
            )

    notes: tuple[str, ...] = ()  # what the user should know about this run, one sentence each
    retry_hint: str = "The same command tries them again."  # said after items that failed

    # For `medbench serve` and `chat`

    def session(self) -> Any:
        """Return a new `engines.text_requests.Texts`, whose requests join and leave a running batch. Needs the weights.

        None: this engine or this model has no such batch, and requests are answered one at a time.
        """
        return None

    # How its work is measured

    imports: tuple[str, ...] = ()  # modules imported before `load`, so that both are timed separately
    measured: bool = True  # answers are computed now; False: they were saved earlier, and nothing is timed
    runs_here: bool = True  # the model is in this process's memory; False: at a server, whose memory is not measured

    # For an engine that asks a server

    local: bool = True  # the server is on this machine or network: a request costs nothing
    limits: Limits | None = None  # bounds on requests, which medbench may set; None: the engine takes none
    usage: Usage | None = None  # requests and tokens so far; None: not counted
    blocked_cost: float = inf  # USD: what the cheapest request that the cap on cost prevented would have cost at least
    rejected_fields: frozenset[str] = frozenset()  # request fields that the server rejects; no longer sent
    refused_items: Set[str] = frozenset()  # ids of this run's items that the server or the model refused to answer

    def report_to(self, tell: Callable[[str], None]) -> None:
        """Send one line to `tell` for each long wait."""
        return None
