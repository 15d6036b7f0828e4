"""The plan of a run: which items, in which prompts, under which identity. Nothing here runs a model."""

from __future__ import annotations

import dataclasses
import itertools
import math
import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ..core import asking
from ..core.errors import MedbenchError, UsageError
from ..core.hashing import fingerprint, fingerprint_each
from ..core.types import AnswerKey, Benchmark, ChoiceRequest, GenerateRequest, Item, ItemSet, ModelSpec, Prompt
from ..results.identity import Comparable, Identity, ModelIdentity
from ..results.records import ITEM_PARTS, plain

if TYPE_CHECKING:
    from .retrieval.retriever import Retrieval

Method = Literal["logprob", "generate"]
ROOM_TO_REASON = 1024  # new tokens that reasoning models often need
Choice = Literal["auto", "logprob", "generate"]


@dataclass(frozen=True)
class Settings:
    """What the user can set. Everything except `metrics` and `latency_…` can change an answer."""

    limit: int | None = None  # this many items, drawn by `seed`: the same ones for every model
    items: tuple[str, ...] = ()  # these ids; empty: all
    items_file: str = ""  # where the ids were read, for the table's title
    shots: int = 0
    seed: int = 0
    choice: Choice = "auto"  # how multiple choice is asked; "auto": by log-probability if the engine can
    max_new_tokens: int | None = None  # None: the benchmark's own
    system: str = ""  # the user's system text, which opens every prompt
    temperature: float = 0.0  # 0: the likeliest token each time
    top_p: float = 1.0  # share of probability from which tokens are drawn
    samples: int = 1  # answers per item, each with a seed of its own
    metrics: tuple[str, ...] = ()  # empty: the benchmark's own
    latency_items: int = 5  # single requests to time, after the answers
    latency_share: float | None = None  # of the time the answers took: when to stop timing; None: time them all

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise UsageError(f"--samples {self.samples}: each item needs at least one answer.")
        if not (self.temperature >= 0 and math.isfinite(self.temperature)):
            raise UsageError(f"--temperature {self.temperature:g}: it must be a number from 0 up.")
        if not 0 < self.top_p <= 1:
            raise UsageError(f"--top-p {self.top_p:g}: it must be above 0 and at most 1.")
        if self.top_p < 1 and not self.temperature:
            raise UsageError(
                f"--top-p {self.top_p:g}: at temperature 0 the likeliest token is taken each time.",
                "Add a temperature: --temperature 0.7",
            )


@dataclass(frozen=True)
class Plan:
    """One run, ready to execute: `items` in order, a prompt for each, and what names and compares the run."""

    benchmark: Benchmark
    item_set: ItemSet
    items: tuple[Item, ...]
    prompts: dict[str, Prompt]  # by item id
    method: Method
    settings: Settings
    variant: str  # part of the column's name; "" for the whole official set as published
    max_new_tokens: int
    stop: tuple[str, ...]  # as sent: none if prompts are wrapped, because the end of the turn ends the answer
    identity: Identity
    comparable: Comparable
    notes: tuple[str, ...] = ()  # options that have no effect, what was not retrieved: one sentence each

    @property
    def answers(self) -> int:
        """How many answers the run has when it is complete."""
        return len(self.items) * self.settings.samples

    def open_items(self, done: Collection[AnswerKey]) -> dict[AnswerKey, Item]:
        """Return the items by the keys of their answers that are not in `done`, all answers to an item together."""
        samples = range(self.settings.samples)
        return {(i.id, sample): i for i in self.items for sample in samples if (i.id, sample) not in done}

    def choice_requests(self, done: Collection[AnswerKey]) -> list[ChoiceRequest]:
        return [ChoiceRequest(i.id, self.prompts[i.id], i.answers) for i in self.open_items(done).values()]

    def generate_requests(self, done: Collection[AnswerKey]) -> list[GenerateRequest]:
        drawn = self.settings.temperature > 0
        return [
            GenerateRequest(
                item_id=item_id,
                prompt=self.prompts[item_id],
                max_new_tokens=self.max_new_tokens,
                stop=self.stop,
                sample=sample,
                temperature=self.settings.temperature,
                top_p=self.settings.top_p,
                seed=sample_seed(self.settings.seed, item_id, sample) if drawn else None,
            )
            for item_id, sample in self.open_items(done)
        ]


def sample_seed(seed: int, item_id: str, sample: int) -> int:
    """Return the seed of one answer, derived from the run's: 31 bits, which every server takes."""
    return int(fingerprint([seed, item_id, sample])[:8], 16) >> 1


@dataclass(frozen=True)
class EngineFacts:
    """What an engine says about a run before it is planned (evaluation/engine_facts.py)."""

    spec: ModelSpec  # with what the engine settled, such as the dtype
    method: Method
    chat: str  # how it wraps prompts: "plain", "template" or "format"
    options: Mapping[str, Any] = field(default_factory=dict)  # those that change answers and are not the default
    system_turn: bool = True  # False: the chat template has none, so a system text opens the first user turn


def plan(
    benchmark: Benchmark,
    item_set: ItemSet,
    engine: EngineFacts,
    settings: Settings,
    retrieval: Retrieval | None = None,
) -> Plan:
    """Draw items and examples, write the prompts, and settle the identity. Raises UsageError for an invalid request.

    With `retrieval`, every question has its passages before it. The prompt hash is of the prompts without them, so that
    runs with and without passages can be compared; `Comparable.retrieval` tells them apart.
    """
    pool, items, held_out = _split_off_shots(benchmark, item_set, settings)
    items = _select(benchmark, items, settings)
    prompts = _prompts(benchmark, items, pool, settings)
    method, chat, spec = engine.method, engine.chat, engine.spec
    max_new_tokens = settings.max_new_tokens or benchmark.max_new_tokens
    shortened = method == "generate" and max_new_tokens != benchmark.max_new_tokens
    parts = [
        item_set.variant,
        f"{held_out} held out as examples" if held_out else "",
        f"at most {max_new_tokens} new tokens" if shortened else "",
    ]
    variant = ", ".join(filter(None, parts))
    items_hash, prompt_hash = _hashes(items, prompts)
    if retrieval:
        asked = {item.id: retrieval.before(item, prompts[item.id].question) for item in items}
        prompts = {name: dataclasses.replace(prompts[name], question=question) for name, question in asked.items()}
    generates = method == "generate"
    comparable = Comparable(
        benchmark=benchmark.name,
        version=benchmark.version,
        variant=variant,
        items_hash=items_hash,
        prompt_hash=prompt_hash,
        shots=settings.shots,
        method=method,
        max_new_tokens=max_new_tokens if generates else None,
        stop=tuple(benchmark.stop) if generates else None,
        protocol=benchmark.protocol.name,
        system_hash=fingerprint(settings.system) if settings.system else "",
        retrieval=retrieval.identity if retrieval else "",
        samples=settings.samples,
    )
    if settings.samples > 1 and not generates:
        raise UsageError(
            f"--samples {settings.samples}: options are chosen by log-probability, which is the same each time.",
            "Have the model write its answers: --choice generate",
        )
    if spec.chat == "always" and chat == "plain":
        raise UsageError(f"--chat always: {spec.name} has no chat template.", "Leave it out, or give --chat never.")
    stop = benchmark.stop if chat == "plain" else ()
    wrapped = chat == "template"  # otherwise nothing tells the model whether to reason
    model = ModelIdentity(
        name=spec.name,
        revision=spec.revision,
        adapter=spec.adapter_hash,
        engine=spec.engine,
        dtype=spec.dtype,
        quantize=spec.quantize,
        prompt_format=spec.prompt_format,
        base_url=spec.base_url or None,
        trust_remote_code=spec.trust_remote_code or None,
        options=dict(engine.options) or None,
        think=spec.think if wrapped and spec.think != "auto" else None,
        reasoning_effort=spec.reasoning_effort or None if wrapped else None,
    )
    seed = settings.seed if _draws(settings, len(item_set.items) - held_out, method) else 0
    drawn = {"temperature": settings.temperature, "top_p": settings.top_p} if settings.temperature else {}
    limits = {"max_new_tokens": max_new_tokens, "stop": list(stop)}
    generation = {**spec.generation, **limits, **drawn} if generates else None
    identity = Identity.of(comparable, model, seed, chat, generation)
    notes = [*_without_effect(benchmark, settings, items, len(item_set.items) - held_out, method)]
    if not engine.system_turn:
        notes.append("Its chat template has no system turn, so the system text opens the first user turn.")
    return Plan(
        benchmark,
        item_set,
        items,
        prompts,
        method,
        settings,
        variant,
        max_new_tokens,
        stop,
        identity,
        comparable,
        (*notes, *_on_reasoning(engine, max_new_tokens), *(retrieval.notes(items) if retrieval else ())),
    )


def _draws(settings: Settings, available: int, method: Method) -> bool:
    """Whether items, examples or tokens are drawn, so that the seed matters."""
    tokens = settings.temperature > 0 and method == "generate"
    return settings.shots > 0 or tokens or (settings.limit is not None and settings.limit < available)


def _on_reasoning(engine: EngineFacts, max_new_tokens: int) -> Iterator[str]:
    """What --think and --reasoning-effort mean for this run, where that may surprise."""
    spec = engine.spec
    if engine.chat != "template":
        given = [f"--think {spec.think}"] if spec.think != "auto" else []
        for option in [*given, *([f"--reasoning-effort {spec.reasoning_effort}"] if spec.reasoning_effort else [])]:
            yield f"{option} has no effect: options are chosen by log-probability, without the chat template."
    elif engine.method == "generate" and reasons(spec) and max_new_tokens < ROOM_TO_REASON:
        yield (
            f"Reasoning and answer have {max_new_tokens} new tokens. If answers are unfinished: "
            f"--max-new-tokens {2 * ROOM_TO_REASON}"
        )


def reasons(spec: ModelSpec) -> bool:
    """Whether the user asked the model to reason before it answers."""
    return spec.think == "on" or (spec.think == "auto" and spec.reasoning_effort not in ("", "none"))


def _without_effect(
    benchmark: Benchmark, settings: Settings, items: Sequence[Item], available: int, method: Method
) -> Iterator[str]:
    """Yield a sentence for each option that changes nothing about this run, with the reason."""
    if settings.max_new_tokens is not None and method == "logprob":
        yield f"--max-new-tokens {settings.max_new_tokens} has no effect: options are chosen by log-probability."
    if settings.choice == "generate" and benchmark.protocol.method == "generate" and items[0].options:
        yield f"--choice generate has no effect: under the protocol {benchmark.protocol.name} the model always writes."
    if settings.choice != "auto" and not items[0].options:
        yield f"--choice {settings.choice} has no effect: the questions are open."
    if settings.limit is not None and settings.limit > available and not settings.items:
        yield f"--limit {settings.limit} has no effect: there are {available} items."
    if settings.temperature and method == "logprob":
        yield f"--temperature {settings.temperature:g} has no effect: options are chosen by log-probability."
    if settings.seed and not _draws(settings, available, method):
        yield f"--seed {settings.seed} has no effect: nothing is drawn."


def selected(benchmark: Benchmark, item_set: ItemSet, settings: Settings) -> tuple[Item, ...]:
    """Return the items that a run asks, in order. Raises UsageError for an invalid request."""
    return _select(benchmark, _split_off_shots(benchmark, item_set, settings)[1], settings)


def questions(plan: Plan, ids: Sequence[str]) -> tuple[str, str] | None:
    """Return the hashes of items and prompts of a run of these items of the plan's item set, or None."""
    pool, items, _ = _split_off_shots(plan.benchmark, plan.item_set, plan.settings)
    by_id = {item.id: item for item in items}
    if any(item_id not in by_id for item_id in ids):
        return None
    asked = [by_id[item_id] for item_id in ids]
    return _hashes(asked, _prompts(plan.benchmark, asked, pool, plan.settings))


def _hashes(items: Sequence[Item], prompts: dict[str, Prompt]) -> tuple[str, str]:
    return (
        fingerprint_each(_content(item) for item in items),
        fingerprint_each([i.id, prompts[i.id].plain] for i in items),
    )


def _split_off_shots(
    benchmark: Benchmark, item_set: ItemSet, settings: Settings
) -> tuple[Sequence[Item], tuple[Item, ...], int]:
    """Return the pool of examples, the items to score, and how many items were held out because there is no pool."""
    if settings.shots < 0:
        raise UsageError(f"--shots {settings.shots}: the number of examples cannot be negative.")
    if settings.shots == 0 or item_set.shots:
        if len(item_set.shots) < settings.shots:
            raise UsageError(f"--shots {settings.shots}: {benchmark.name} has only {len(item_set.shots)} examples.")
        return item_set.shots, item_set.items, 0
    if settings.shots >= len(item_set.items):
        raise UsageError(f"--shots {settings.shots}: {benchmark.name} has only {len(item_set.items)} items in all.")
    by_id = sorted(item_set.items, key=lambda item: item.id)
    pool = random.Random(f"shots {settings.seed}").sample(by_id, settings.shots)
    held_out = {item.id for item in pool}
    return pool, tuple(item for item in item_set.items if item.id not in held_out), len(pool)


def _select(benchmark: Benchmark, items: tuple[Item, ...], settings: Settings) -> tuple[Item, ...]:
    if settings.items:
        wanted = set(settings.items)
        strangers = sorted(wanted - {item.id for item in items})
        if strangers:
            many = "an id" if len(strangers) == 1 else f"{len(strangers)} ids"
            raise UsageError(
                f"--items names {many} that {benchmark.name} does not score{', the first' * (len(strangers) > 1)}: "
                f"{strangers[0]}",
                f"Its ids look like {items[0].id}.",
            )
        items = tuple(item for item in items if item.id in wanted)
    if settings.limit is not None and settings.limit < 1:
        raise UsageError(f"--limit {settings.limit}: at least one item must be asked.")
    if settings.limit is None or settings.limit >= len(items):
        return items
    by_id = sorted(item.id for item in items)
    drawn = set(random.Random(f"items {settings.seed}").sample(by_id, settings.limit))
    return tuple(item for item in items if item.id in drawn)


def _prompts(
    benchmark: Benchmark, items: Sequence[Item], pool: Sequence[Item], settings: Settings
) -> dict[str, Prompt]:
    """Return a prompt per item. All items have the same examples, or all of one subject if items have subjects."""
    examples: dict[str, tuple[tuple[str, str], ...]] = {}
    prompts = {}
    for item in items:
        subject = item.meta.get("subject", "")
        if subject not in examples:
            near = [shot for shot in pool if shot.meta.get("subject", "") == subject]
            source = near if len(near) >= settings.shots else pool
            drawn = random.Random(f"shots {settings.seed} {subject}").sample(list(source), settings.shots)
            examples[subject] = tuple((benchmark.question(s), benchmark.answer(s)) for s in drawn)
        prompt = asking.prompt(benchmark, item, examples[subject], settings.system)
        for part in (prompt.question, prompt.instruction, *itertools.chain(*prompt.shots)):
            if not isinstance(part, str):  # a third-party benchmark may have forgotten a return
                raise MedbenchError(f"a part of the prompt of item '{item.id}' is a {type(part).__name__}, not a text.")
        prompts[item.id] = prompt
    return prompts


def _content(item: Item) -> list[Any]:
    """Return a hash of what makes two items the same question: everything except `meta`."""
    newer = [[name, plain(getattr(item, name))] for name in ITEM_PARTS if getattr(item, name)]
    newer += [[name, getattr(item, name)] for name in _NEWER if getattr(item, name)]
    return [*([name, getattr(item, name)] for name in _ASKED), *newer]


# Fields newer than the first runs are left out if they are empty, so that older items keep their hash.
_NEWER = ("answer_field",)
_ASKED = sorted(f.name for f in dataclasses.fields(Item) if f.name not in ("meta", *ITEM_PARTS, *_NEWER))
