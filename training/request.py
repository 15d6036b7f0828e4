"""What one training run was asked to do, and the checks that need no data and no weights."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core import paths
from ..core.errors import UsageError
from ..core.types import ModelSpec
from ..results import trackers
from ..zoo import adapters
from ..zoo.recipe import Recipe, Stage
from ..zoo.weights.sources import HUB_ID, recorded
from . import architecture, resume

if TYPE_CHECKING:
    from ..benchmarks.sources.files import Source
    from ..zoo.entry import Entry

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """One training run. `source`, `root`, `report_to` and `command` do not affect the result; all else does."""

    model: str  # as the user names it: a zoo entry, or a .py file with one
    entry: Entry
    recipe: Recipe  # the entry's recipe with the settings applied
    source: Source
    root: Path  # the folder of adapters
    tag: str = "default"
    settings: tuple[str, ...] = ()  # "FIELD=VALUE", as given
    seed: int = 0
    max_steps: int = 0  # limit per stage; 0: as the recipe says
    device: str = "auto"
    processes: int = 1
    report_to: tuple[str, ...] = ()
    allowed_leaks: frozenset[str] = frozenset()  # benchmarks whose own items may be trained on
    leave_out_leaks: bool = False  # examples that contain items of other benchmarks are not trained on
    command: tuple[str, ...] = ()
    trust_remote_code: bool = False  # Python code that comes with the model may run
    revision: str = ""  # branch, tag or commit of the model on the hub; "": as the entry says

    @property
    def name(self) -> str:
        return f"{self.entry.name}@{self.tag}"

    @property
    def folder(self) -> Path:
        return adapters.folder(self.entry.name, self.tag, self.root)

    @property
    def runs_as(self) -> str:
        """What --model takes for the result: NAME@TAG, or its folder if that is not in the usual place."""
        at_home = self.root.resolve() == paths.adapters().resolve()
        return f"{self.model}@{self.tag}" if at_home else str(self.folder)


def to_json(request: Request) -> dict[str, Any]:
    """Return a request as plain data, from which another process on this machine makes the same request."""
    plain = ("model", "tag", "settings", "seed", "max_steps", "device", "processes", "report_to", "leave_out_leaks")
    return {name: getattr(request, name) for name in (*plain, "command", "trust_remote_code", "revision")} | {
        "allowed_leaks": sorted(request.allowed_leaks),
        "root": str(request.root),
        "data": str(request.source.data) if request.source.data else None,
        "data_revisions": request.source.revisions,
        "downloads": request.source.downloads is not None,
    }


def from_json(value: Mapping[str, Any], tell: Tell) -> Request:
    """Make the request that `to_json` stored."""
    from ..benchmarks.sources.files import Source
    from ..core import official, registry
    from . import overrides

    value = dict(value)
    entry: Entry = registry.get("zoo", value["model"])
    assert entry.recipe is not None  # or there would be no request
    data, root, downloads = value.pop("data"), value.pop("root"), value.pop("downloads")
    source = Source(
        Path(data) if data else None, official.unattended(tell) if downloads else None, value.pop("data_revisions")
    )
    return Request(
        entry=entry,
        recipe=overrides.apply(entry.recipe, value["settings"]),
        source=source,
        root=Path(root),
        **{name: tuple(each) if isinstance(each, list) else each for name, each in value.items()}
        | {"allowed_leaks": frozenset(value["allowed_leaks"])},
    )


def base_of(request: Request, tell: Tell) -> ModelSpec:
    """Return the weights to start from, downloaded if needed, with device and dtype settled."""
    from ..engines.hf.loading import settle
    from ..zoo.resolve import resolve

    device = request.device
    if device in ("auto", "cuda") and "LOCAL_RANK" in os.environ:
        import torch

        if torch.cuda.is_available():
            device = f"cuda:{os.environ['LOCAL_RANK']}"
        elif device == "auto":
            device = "cpu"
    return settle(
        resolve(
            request.model,
            revision=revision_of(request),
            device=device,
            trust_remote_code=request.trust_remote_code,
            tell=tell,
        )
    )


def on_the_same_data(request: Request) -> Request:
    """Return the request with hub data sets at the commits that this training began with, if it has begun."""
    begun = resume.peek(request.folder)
    if not begun or not begun.data_revisions:
        return request
    source = request.source.at(resume.same_data(begun, request.source.revisions))
    return dataclasses.replace(request, source=source)


def revision_of(request: Request) -> str:
    """Return the revision of the base: the commit that this training began with, or the one that was asked for.

    A branch moves. A training that continues must stay on the commit it began with.
    """
    begun = resume.peek(request.folder)
    if begun and begun.base.get("asked", "") == request.revision:
        return recorded(begun.base, request.entry.weights, request.entry) or request.revision
    return request.revision


def check(request: Request) -> None:
    """Raise UsageError for everything wrong with a request that shows before anything is loaded."""
    from ..engines.hf.loading import quiet_libraries

    quiet_libraries()
    check_reports(request.report_to)
    assert request.folder  # raises for an invalid tag
    if request.revision and not HUB_ID.fullmatch(request.entry.weights):
        raise UsageError(
            f"--revision {request.revision}: the weights of {request.entry.name} are local files, without revisions.",
            "Remove --revision.",
        )
    first, *later = request.recipe.stages
    for stage in request.recipe.stages:
        if stage.packing and request.entry.architecture == "encoder-decoder":
            raise UsageError(
                f"stage '{stage.name}': packing works only with decoder-only models.",
                f"Turn it off: --set {stage.name}.packing=off",
            )
        if request.entry.config and not request.trust_remote_code:
            architecture.check_modules(request.entry.config, stage)
    for stage in later:
        if stage.lora != first.lora:
            raise UsageError(
                f"stage '{stage.name}' continues with the adapter of stage '{first.name}', but their LoRA differs.",
                "Set it for both: --set lora.FIELD=VALUE, without a stage's name.",
            )


def check_reports(names: Sequence[str]) -> None:
    """Raise UsageError for a --report-to that transformers does not know, or whose package is not installed."""
    from transformers.integrations import get_available_reporting_integrations
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

    for name in names:
        if name not in INTEGRATION_TO_CALLBACK:
            raise UsageError(
                f"--report-to {name}: transformers supports {', '.join(sorted(INTEGRATION_TO_CALLBACK))}.",
                "The JSON-lines log and the loss curve are always written.",
            )
        if name not in get_available_reporting_integrations():
            raise trackers.missing(name)


def check_quantization(stage: Stage, device: str) -> None:
    """Raise UsageError if 4-bit weights do not work on `device`, found by quantizing a small matrix there."""
    if stage.quantize == "none":
        return
    try:
        import torch
        from bitsandbytes import functional

        packed, state = functional.quantize_4bit(torch.ones(64, 64, device=device), quant_type="nf4")
        functional.dequantize_4bit(packed, state)
    except Exception as error:  # bitsandbytes raises whatever its build lacks
        from ..engines.hf.loading import first_line

        raise UsageError(
            f"stage '{stage.name}' uses NF4 weights, and bitsandbytes cannot do that on {device}: {first_line(error)}.",
            "Train with unquantized weights, which need four times the memory: --quantize none",
        ) from error
