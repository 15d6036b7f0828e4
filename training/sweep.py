"""A sweep: the same training once for every value of some fields of its recipe."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ..core.errors import MedbenchError, UsageError
from ..zoo.adapter_manifest import AdapterManifest
from ..zoo.adapters import Adapter
from . import launch, overrides
from .example import Example
from .progress import TrainingProgress
from .request import Request, Tell, check, on_the_same_data


@dataclass(frozen=True)
class Variant:
    """One training of a sweep. `label` says what was set: "learning_rate=1e-4,lora.rank=16"."""

    label: str
    request: Request
    manifest: AdapterManifest | None = None  # once it is trained
    problem: str = ""  # why it could not be trained

    @property
    def model(self) -> str:
        """What --model takes for the result."""
        return self.request.runs_as

    @property
    def adapter(self) -> Adapter | None:
        return Adapter(self.request.folder, self.manifest) if self.manifest else None


def variants(request: Request, sweeps: Sequence[str], paired: bool = False) -> list[Variant]:
    """Return the trainings of a sweep, none of which has begun. `sweeps`: each "FIELD=V1,V2,…".

    Raises UsageError for a mistake in any of them, so that none is trained before the last one is found wrong.
    """
    found = []
    for label, recipe in overrides.sweep(request.recipe, sweeps, paired):
        tag, settings = f"{request.tag}-{overrides.tag(label)}", (*request.settings, *label.split(","))
        varied = dataclasses.replace(request, recipe=recipe, tag=tag, settings=settings)
        check(varied)
        found.append(Variant(label, varied))
    return found


def train_all(
    planned: Sequence[Variant], progress: Callable[[], TrainingProgress], tell: Tell, note: Tell
) -> list[Variant]:
    """Train every variant and return it with its manifest. One that fails has a `problem`, and the others continue.

    `progress` makes the receiver of one training's progress; `note` is told which variant comes next. Raises
    UsageError for a request that is wrong.
    """
    trained = []
    for number, variant in enumerate(planned, start=1):
        note(f"variant {number} of {len(planned)}: {variant.label}")
        try:
            manifest, _ = launch.run(variant.request, progress(), tell)
            trained.append(dataclasses.replace(variant, manifest=manifest))
        except UsageError:
            raise
        except MedbenchError as error:
            trained.append(dataclasses.replace(variant, problem=str(error)))
    return trained


def training_examples(planned: Sequence[Variant]) -> Iterator[list[Example]]:
    """Yield the examples that variants train on: a list for each different draw. Raises what reading them raises."""
    from .data import prepare

    seen = set()
    for request in (on_the_same_data(variant.request) for variant in planned):
        stages = request.recipe.stages
        draw = (*((stage.data, stage.eval_examples) for stage in stages), tuple(request.source.revisions.items()))
        if draw not in seen:
            seen.add(draw)
            drawn = [prepare(stage, request.source, request.seed) for stage in stages]
            yield list({example.id: example for stage in drawn for example in stage.train}.values())


def lowest_loss(trained: Sequence[Variant]) -> Variant | None:
    """Return the variant with the lowest held-out loss at its end; None if none was measured."""
    losses = [(each.manifest.stages[-1]["eval_loss_after"], each) for each in trained if each.manifest]
    return min(
        ((loss, each) for loss, each in losses if loss is not None), key=lambda both: both[0], default=(0, None)
    )[1]
