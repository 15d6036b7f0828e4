"""The work that is left of a planned run: answers, tokens, seconds, bytes on disk."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import MedbenchError
from ..core.types import AnswerKey, ChoiceRequest, Engine, GenerateRequest
from ..evaluation.plan import Plan
from ..evaluation.workload import CHARACTERS_PER_TOKEN, NEW_TOKEN_COST
from ..results.manifest import Manifest

ENCODED = 5_000  # prompts whose tokens are counted; of more, every n-th is, and the rest is estimated from these
RECORD_BYTES = 700  # of a stored answer, besides its texts
CUT = 0.75  # share of the limit of new tokens from which a model is taken to write as long as it may
BYTES_PER_TOKEN = 5  # of a stored answer's text


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of the prompts that are left: their sum, the longest, and whether the tokenizer counted all of them."""

    prompt: int
    longest: int
    exact: bool


def tokens_of(plan: Plan, done: Collection[AnswerKey], engine: Engine, folder: str) -> Tokens:
    """Return the tokens of the prompts of the open answers, by the tokenizer in `folder`; "": estimated.

    Several answers to one prompt count it once each, as a run does.
    """
    requests: list[Any] = list(
        plan.generate_requests(done) if plan.method == "generate" else plan.choice_requests(done)
    )
    if folder and requests:
        try:
            return _encoded(requests, plan.method, engine, folder)
        except MedbenchError:  # the run itself will say so, item by item
            pass
    lengths = [len(request.prompt.plain) // CHARACTERS_PER_TOKEN for request in requests]
    return Tokens(sum(lengths), max(lengths, default=0), exact=not requests)


def _encoded(requests: list[ChoiceRequest | GenerateRequest], method: str, engine: Engine, folder: str) -> Tokens:
    from ..engines.hf.engine import TransformersEngine
    from ..engines.hf.loading import opened, window
    from ..engines.prompting import Prompter

    assert isinstance(engine, TransformersEngine)
    config, tokenizer = opened(folder, False, engine.spec.adapter)
    prompter = Prompter(tokenizer, window(config, tokenizer), bool(config.is_encoder_decoder))
    wrap = engine.wrapping("generate" if method == "generate" else "choose")
    counted: dict[Any, int] = {}
    step = -(-len(requests) // ENCODED)
    lengths = []
    for request in requests[::step]:
        answers = request.answers if isinstance(request, ChoiceRequest) else ()
        key = request.prompt, answers
        if key not in counted:
            if isinstance(request, ChoiceRequest):
                counted[key] = len(prompter.for_choice(request.prompt, wrap, request.answers)[0].tokens)
            else:
                counted[key] = len(prompter.for_generation(request.prompt, wrap, request.max_new_tokens).tokens)
        lengths.append(counted[key])
    return Tokens(round(sum(lengths) * len(requests) / len(lengths)), max(lengths), exact=step == 1)


@dataclass(frozen=True, slots=True)
class Speed:
    """What earlier runs of a model measured on this machine."""

    work_per_s: float  # prompt tokens, and new ones at their cost
    new_tokens: float  # per answer
    used: float  # the share that these are of the limit of new tokens
    load_seconds: float

    def seconds(self, prompt_tokens: int, answers: int, most_new_tokens: int) -> float:
        """Return how long the rest of a run takes, its loading included."""
        each = self.used * most_new_tokens if self.used > CUT else min(self.new_tokens, most_new_tokens)
        return self.load_seconds + (prompt_tokens + NEW_TOKEN_COST * each * answers) / self.work_per_s


def speed_of(plan: Plan, root: Path) -> Speed | None:
    """Return the speed of the same model, asked by the same method, on this machine; None if it has not run here.

    Runs on the same benchmark and protocol count before others.
    """
    near: list[Manifest] = []
    far: list[Manifest] = []
    for manifest in _measured(root):
        identity = manifest.identity
        if identity.model == plan.identity.model and identity.method == plan.method and _on_this_machine(manifest):
            same = (identity.benchmark, identity.protocol) == (plan.identity.benchmark, plan.identity.protocol)
            (near if same else far).append(manifest)
    found = [(manifest, manifest.measured()) for manifest in near or far]
    work = sum((m.prompt_tokens or 0) + NEW_TOKEN_COST * (m.completion_tokens or 0) for _, m in found)
    seconds = sum(m.seconds for _, m in found)
    items = sum(m.items for _, m in found)
    if not (work and seconds and items):
        return None
    loads = [session.load_seconds or 0.0 for manifest, _ in found for session in manifest.sessions]
    new = sum(m.completion_tokens or 0 for _, m in found)
    allowed = sum(m.items * (manifest.identity.max_new_tokens or 0) for manifest, m in found)
    return Speed(work / seconds, new / items, new / allowed if allowed else 0.0, sum(loads) / len(loads))


def _measured(root: Path) -> Iterable[Manifest]:
    from ..results.store import all_runs

    if not root.is_dir():
        return
    for run in all_runs(root)[0]:
        if run.manifest.sessions:
            yield run.manifest


def _on_this_machine(manifest: Manifest) -> bool:
    from ..evaluation.environment import hardware

    return dict(manifest.environment).get("hardware") == hardware()


def disk_bytes(plan: Plan, done: Collection[AnswerKey], new_tokens: int) -> int:
    """Estimate the bytes of the answers that are left: the item, the prompt as sent, and the text."""
    texts = 0
    for key, item in plan.open_items(done).items():
        of_item = len(item.question) + len(item.context) + sum(map(len, item.options)) + sum(map(len, item.references))
        texts += len(plan.prompt_of(key).plain) + of_item + RECORD_BYTES
    return texts + new_tokens * BYTES_PER_TOKEN
