"""The models of a dry run, as far as this disk knows them. Nothing is fetched, converted or loaded."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..core import registry
from ..core.errors import MedbenchError, ModelMissing, UsageError
from ..core.types import Engine, ModelSpec
from ..evaluation.suite import AskedModel
from .experiment import Training

if TYPE_CHECKING:
    from ..training.request import Request
    from ..zoo.entry import Entry

Tell = Callable[[str], None]
TRANSFORMERS = "transformers"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that would run. Without its weights, or before its training, the runs that it has are not known."""

    asked: AskedModel
    engine: Engine
    entry: Entry | None
    missing: str = ""  # why its weights are not here; "" if they are
    trained_first: bool = False

    @property
    def known(self) -> bool:
        """Whether the identity of its runs is known, and with it what is stored of them."""
        return not self.missing and not self.trained_first

    @property
    def folder(self) -> str:
        """The folder of its tokenizer and configuration; "" if transformers cannot read them without its own code."""
        spec = self.engine.spec
        readable = spec.engine == TRANSFORMERS and not self.missing and not spec.trust_remote_code
        return spec.location if readable else ""


def find(model: AskedModel, trainings: Sequence[tuple[Training, Request]], tell: Tell) -> Candidate:
    """Return a model with its engine. Raises UsageError for a wrong name or option, MedbenchError for a broken one."""
    untrained = next((t for t, request in trainings if t.name == model.name and not is_trained(request)), None)
    name = untrained.model if untrained else model.name
    entry = _entry(name)
    missing = ""
    try:
        spec = _resolve(name, model.options, tell)
    except ModelMissing as error:
        missing, spec = error.message, _without_weights(name, model, entry)
    if untrained:
        spec = dataclasses.replace(spec, name=f"{spec.name}@{untrained.tag}")
    engine: Engine = registry.get("engines", spec.engine)(spec)
    return Candidate(model, engine, entry, missing, untrained is not None)


def is_trained(request: Request) -> bool:
    """Whether the adapter of a training is there and finished."""
    from ..zoo import adapters

    found = adapters.peek(request.folder)
    return found is not None and found.manifest.status == "done"


def _resolve(name: str, options: Any, tell: Tell) -> ModelSpec:
    from ..zoo.resolve import resolve

    return resolve(name, **options, tell=tell)


def _entry(name: str) -> Entry | None:
    base = name if name in registry.names("zoo") or name.endswith(".py") else name.rpartition("@")[0]
    if base not in registry.names("zoo") and not base.endswith(".py"):
        return None
    try:
        entry: Entry = registry.get("zoo", base)
    except UsageError:
        raise
    except MedbenchError:
        return None
    return entry


def _without_weights(name: str, model: AskedModel, entry: Entry | None) -> ModelSpec:
    """Return the spec of a model whose weights are not here, as far as its entry and its options say."""
    fields = ("dtype", "quantize", "device", "chat", "think", "reasoning_effort")
    given: dict[str, Any] = {field: model.options[field] for field in fields if field in model.options}  # type: ignore[literal-required]
    return ModelSpec(
        entry.name if entry else name,
        "",
        "",
        entry.engine if entry else model.options.get("engine", "") or TRANSFORMERS,
        prompt_format=entry.prompt_format if entry else "",
        generation=dict(entry.generation) if entry else {},
        **given,
    )
