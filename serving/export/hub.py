"""Push a model to the Hugging Face hub: an adapter or merged weights, with a card, shown before it is sent."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core import paths
from ...core.errors import UsageError
from ...core.hub_upload import Parcel, require_repository
from ...report.cards import Subject, card, runs_of
from ...zoo.weights import tokenizer_files
from .api import resolved

if TYPE_CHECKING:
    from ...evaluation.progress import Progress

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin")


@contextlib.contextmanager
def prepared(
    model: str,
    repository: str,
    *,
    merged: bool = False,
    private: bool = False,
    dtype: str = "float32",
    adapter: str = "",
    revision: str = "",
    trust_remote_code: bool = False,
    progress: Progress,
) -> Iterator[Parcel]:
    """Yield what would be sent, in a temporary folder.

    An adapter is sent as it is, unless `merged`; other models as whole weights. Raises UsageError for a wrong name.
    """
    from ...training.merge import about_whole, write_whole

    require_repository("--repo", repository)
    spec, manifest = resolved(model, dtype, adapter, revision, trust_remote_code, progress)
    if merged and not spec.adapter:
        raise UsageError(f"--merged: {spec.name} has no adapter to merge.", "Leave it out: its weights are complete.")
    about = Subject(
        spec.name,
        "the adapter" if spec.adapter and not merged else "whole weights",
        spec.revision,
        spec.source,
        spec.prompt_format,
        manifest,
    )
    with tempfile.TemporaryDirectory(prefix="medbench-hub-") as work:
        folder = Path(work) / "model"
        if spec.adapter and not merged:
            folder.mkdir()
            _copy_adapter(Path(spec.adapter), folder, about.base)
        else:
            write_whole(spec, folder, progress.note)
        whole = about_whole(spec, manifest)
        (folder / "medbench.json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
        runs, problems = runs_of(spec.name, paths.runs())
        made = card(about, runs, repository)
        for text in (*made.notes, *map(str, problems), *made.problems):
            progress.note(f"not in the card: {text}")
        made.write(folder)
        yield Parcel.of(folder, repository, private=private, what=about.what, by="medbench export")


def _copy_adapter(source: Path, target: Path, base: str) -> None:
    """Copy an adapter's weights, configuration and tokenizer, but not its log or paths of this machine."""
    for name in (*ADAPTER_FILES, *tokenizer_files.present(source)):
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
    path = target / "adapter_config.json"
    said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    said["base_model_name_or_path"] = base or None
    path.write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
