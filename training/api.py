"""`medbench.train`: the same as the command `medbench train`, from Python."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core import registry
from ..core.errors import UsageError
from ..core.option_names import with_keywords
from ..core.text import names

if TYPE_CHECKING:
    from ..zoo.adapters import Adapter
    from ..zoo.entry import Entry
    from .progress import TrainingProgress

# The keywords of `train` by the option of `medbench train` that means the same.
KEYWORDS = {
    **{name: name for name in ("model", "tag", "seed", "device", "data", "out", "revision")},
    **{name: name.replace("-", "_") for name in ("max-steps", "allow-leak", "leave-out-leaks", "trust-remote-code")},
    **{"set": "settings", "num-processes": "processes", "quantize": "settings", "data-revision": "data_revisions"},
}


@with_keywords(KEYWORDS)
def train(
    model: str | Path,
    *,
    tag: str = "default",
    settings: Mapping[str, Any] | None = None,
    max_steps: int = 0,
    seed: int = 0,
    device: str = "auto",
    data: str | Path | None = None,
    data_revisions: Mapping[str, str] | None = None,
    out: str | Path | None = None,
    allow_leak: str | Iterable[str] = (),
    leave_out_leaks: bool = False,
    revision: str = "",
    trust_remote_code: bool = False,
    processes: int = 1,
    progress: TrainingProgress | None = None,
) -> Adapter:
    """Train a zoo entry by its recipe and return the adapter, which runs as `NAME@TAG`.

    The same call continues a training that was stopped, and returns a finished one unchanged.

    settings: changes to the recipe, in all stages or in one: {"learning_rate": 5e-4, "pubmedqa.epochs": 2}.
    max_steps: limit of optimizer steps per stage; 0 for no limit.
    data, out: folder of official releases (default: MEDBENCH_DATA), folder of adapters (default: `adapters/`).
    data_revisions: commits, tags or branches of hub data sets, by repository; these are then not read from `data`.
    allow_leak: benchmarks whose own items may be in the training data.
    leave_out_leaks: train without the examples that contain scored items; the manifest lists them by stage.
    revision: branch, tag or commit of the model on the hub; by default the entry's, else main.
    processes: one per GPU, or several on CPU cores; each adds a batch to every step. With 1, this process trains.
    progress: receives losses and steps; by default they are not reported.

    Raises UsageError for a model without a recipe and for wrong settings, MedbenchError if training fails.
    """
    from ..benchmarks.sources.files import Source
    from ..core import official, paths
    from ..zoo.adapters import Adapter
    from . import launch, overrides
    from .data import data_revisions as asked
    from .progress import TrainingProgress
    from .request import Request

    if processes < 1:
        raise UsageError(f"processes={processes}: at least 1 is needed.")
    model = str(model)
    entry = trainable(model)
    if entry.recipe is None:
        raise UsageError(f"the zoo entry '{entry.name}' has no recipe.", "To add one: docs/add-a-model.md")
    given = tuple(f"{field}={value}" for field, value in (settings or {}).items())
    recipe = overrides.apply(entry.recipe, given)
    pins = [f"{repository}@{revision}" for repository, revision in (data_revisions or {}).items()]
    downloads = official.unattended(lambda line: None)
    request = Request(
        model=model,
        entry=entry,
        recipe=recipe,
        source=Source(Path(data) if data else paths.data(), downloads, asked(recipe, pins)),
        root=Path(out or paths.adapters()),
        tag=tag,
        settings=given,
        seed=seed,
        max_steps=max_steps,
        device=device,
        processes=processes,
        allowed_leaks=frozenset(names(allow_leak, "allow_leak")),
        leave_out_leaks=leave_out_leaks,
        revision=revision,
        command=(f"medbench.train({model!r}, tag={tag!r}, settings={settings!r})",),
        trust_remote_code=trust_remote_code,
    )
    manifest, folder = launch.run(request, progress or TrainingProgress(), lambda line: None)
    return Adapter(folder, manifest)


def trainable(model: str) -> Entry:
    """Return the zoo entry to train. Raises UsageError for a model that is not an entry."""
    if model.endswith(".py") or model in registry.names("zoo"):
        entry: Entry = registry.get("zoo", model)
        return entry
    if "/" in model or Path(model).exists():
        raise UsageError(
            f"{model} has no training recipe: only zoo entries have one.",
            "Write an entry for these weights in a .py file: docs/add-a-model.md. All entries: medbench list models",
        )
    if "@" in model:
        raise UsageError(
            f"{model}: training starts from a model, not from an adapter.",
            "Give the model and the adapter's tag: --model {} --tag {}".format(*model.split("@", 1)),
        )
    raise registry.unknown("zoo", model)
