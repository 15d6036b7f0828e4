"""The plan of a run: which items, in which prompts, under which identity. Nothing here runs a model."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..benchmarks.wordings import WORDINGS
from ..core import asking
from ..core.errors import MedbenchError, UsageError
from ..core.hashing import fingerprint, fingerprint_each
from ..core.types import (
    AnswerKey,
    Benchmark,
    ChoiceRequest,
    GenerateRequest,
    Item,
    ItemSet,
    Output,
    Prompt,
    answer_name,
)
from ..results.identity import Comparable, Identity, ModelIdentity
from ..results.records import ITEM_PARTS, plain
from .option_notes import draws, on_reasoning, without_effect
from .settings import EngineFacts, Method, Settings
from .versions import Versions, in_order, orders, wordings

if TYPE_CHECKING:
    from .retrieval.retriever import Retrieval


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
    versions: Versions = field(default_factory=dict)  # of the items, other than the first

    @property
    def answers(self) -> int:
        """How many answers the run has when it is complete."""
        return len(self.items) * self.comparable.samples

    def open_items(self, done: Collection[AnswerKey]) -> dict[AnswerKey, Item]:
        """Return the items by the keys of their answers that are not in `done`, all answers to an item together."""
        keys = ((item, (item.id, sample)) for item in self.items for sample in range(self.comparable.samples))
        return {key: self.versions[key][0] if key in self.versions else item for item, key in keys if key not in done}

    def prompt_of(self, key: AnswerKey) -> Prompt:
        """Return the prompt of one answer."""
        return self.versions[key][1] if key in self.versions else self.prompts[key[0]]

    def choice_requests(self, done: Collection[AnswerKey]) -> list[ChoiceRequest]:
        """Return the requests that are open. Their ids are the names of the answers: see `key_of`."""
        wanted = self.open_items(done)
        return [ChoiceRequest(answer_name(key), self.prompt_of(key), item.answers) for key, item in wanted.items()]

    def key_of(self, output: Output) -> AnswerKey:
        """Return which answer an engine's output is."""
        return self._named.get(output.item_id, (output.item_id, output.sample))

    @functools.cached_property
    def _named(self) -> dict[str, AnswerKey]:
        return {answer_name(key): key for key in self.versions} if self.method == "logprob" else {}

    def generate_requests(self, done: Collection[AnswerKey]) -> list[GenerateRequest]:
        drawn = self.settings.temperature > 0
        return [
            GenerateRequest(
                item_id=item_id,
                prompt=self.prompt_of((item_id, sample)),
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
    versions, variation, answers = _versions(benchmark, prompts, items, settings)
    if versions:
        prompt_hash = fingerprint([prompt_hash, list(in_order(versions))])
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
        samples=answers,
        variation=variation,
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
    seed = settings.seed if draws(settings, len(item_set.items) - held_out, method) else 0
    drawn = {"temperature": settings.temperature, "top_p": settings.top_p} if settings.temperature else {}
    limits = {"max_new_tokens": max_new_tokens, "stop": list(stop)}
    generation = {**spec.generation, **limits, **drawn} if generates else None
    identity = Identity.of(comparable, model, seed, chat, generation)
    notes = [*without_effect(benchmark, settings, items, len(item_set.items) - held_out, method)]
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
        (*notes, *on_reasoning(engine, max_new_tokens), *(retrieval.notes(items) if retrieval else ())),
        versions,
    )


def _versions(
    benchmark: Benchmark, prompts: dict[str, Prompt], items: Sequence[Item], settings: Settings
) -> tuple[Versions, str, int]:
    """Return the other versions of the items, what they differ in, and how many answers there are to each item."""
    if settings.permute_options > 1:
        found = orders(benchmark, prompts, items, settings.permute_options, settings.seed)
        return found, "orders", settings.permute_options
    if settings.prompt_variants:
        return wordings(benchmark, prompts, items), "wordings", 1 + len(WORDINGS)
    return {}, "", settings.samples


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
