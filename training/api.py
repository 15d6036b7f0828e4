"""`medbench.train`: the Python door to what `medbench train` does."""

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
    from .trainer import TrainWatch

# The keywords of `train` by the option of `medbench train` that means the same.
KEYWORDS = {
    **{name: name for name in ("model", "tag", "seed", "device", "data", "out", "revision")},
    **{name: name.replace("-", "_") for name in ("max-steps", "allow-leak", "leave-out-leaks", "trust-remote-code")},
    **{"set": "settings", "quantize": "settings", "data-revision": "data_revisions"},
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
    progress: TrainWatch | None = None,
) -> Adapter:
    """Train a zoo entry by its own recipe in this process and return the adapter, used as `NAME@TAG`.

    The same call continues a training that was stopped, and returns a finished one as it is.

    settings: changes to the recipe, of all stages or of one: {"learning_rate": 5e-4, "pubmedqa.epochs": 2}.
    max_steps: optimizer steps of each stage, at most; 0 for as many as the recipe says.
    data, out: folder of official releases (by default MEDBENCH_DATA), folder of adapters (by default `adapters/`).
    data_revisions: commits, tags or branches of hub data sets, by repository; these are then not read from `data`.
    allow_leak: benchmarks whose own items may be in the training data.
    leave_out_leaks: train without the examples that hold scored items; the manifest lists them, stage by stage.
    revision: branch, tag or commit of the model on the hub; by default the entry's, else main.
    progress: hears losses and steps; by default nobody does.

    Raises UsageError for a model without a recipe and for wrong settings, MedbenchError if training fails.
    """
    from ..benchmarks.sources.files import Source
    from ..core import official, paths
    from ..zoo.adapters import Adapter
    from . import overrides
    from . import train as training
    from .data import data_revisions as asked
    from .trainer import Unwatched

    model = str(model)
    entry = trainable(model)
    if entry.recipe is None:
        raise UsageError(f"the zoo entry '{entry.name}' has no recipe.", "docs/add-a-model.md shows how to add one.")
    given = tuple(f"{field}={value}" for field, value in (settings or {}).items())
    recipe = overrides.apply(entry.recipe, given)
    pins = [f"{repository}@{revision}" for repository, revision in (data_revisions or {}).items()]
    downloads = official.unattended(lambda line: None)
    request = training.Request(
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
        allowed_leaks=frozenset(names(allow_leak, "allow_leak")),
        leave_out_leaks=leave_out_leaks,
        revision=revision,
        command=(f"medbench.train({model!r}, tag={tag!r}, settings={settings!r})",),
        trust_remote_code=trust_remote_code,
    )
    training.check(request)
    manifest, folder = training.train(request, progress or Unwatched(), lambda line: None)
    return Adapter(folder, manifest)


def trainable(model: str) -> Entry:
    """Return the zoo entry to train. Raises UsageError for a model that has no recipe of its own."""
    if model.endswith(".py") or model in registry.names("zoo"):
        entry: Entry = registry.get("zoo", model)
        return entry
    if "/" in model or Path(model).exists():
        raise UsageError(
            f"{model} has no training recipe: only a zoo entry has one.",
            "Write one in a file, with these weights: docs/add-a-model.md. The entries: medbench list models",
        )
    if "@" in model:
        raise UsageError(
            f"{model}: training begins with a model, not with an adapter.",
            "Name the model and the adapter's tag: --model {} --tag {}".format(*model.split("@", 1)),
        )
    raise registry.unknown("zoo", model)
