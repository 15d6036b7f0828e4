"""Push a model to the Hugging Face hub: an adapter or merged weights, with a card, shown before it is sent."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ...core import hub, registry
from ...core.errors import MedbenchError, UsageError
from ...zoo.weights import tokenizer_files
from .api import resolved

if TYPE_CHECKING:
    from ...core.types import ModelSpec
    from ...evaluation.progress import Progress
    from ...zoo.adapter_manifest import AdapterManifest
    from ...zoo.entry import Entry

REPOSITORY = re.compile(r"[\w-][\w.-]*/[\w.-]+")
CARD = "README.md"
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin")
DISCLAIMER = (
    "It was made for research. It is not a medical device, and nobody should act on its answers without a doctor."
)


@dataclass(frozen=True)
class Parcel:
    """What will be sent: the files of `folder`, to `repository`."""

    folder: Path
    repository: str
    private: bool
    what: str  # "the adapter", "whole weights"
    files: tuple[tuple[str, int], ...]  # names and sizes in bytes

    def lines(self) -> list[str]:
        """Return the lines to show before anything is sent."""
        total = sum(size for _, size in self.files)
        kind = "private" if self.private else "public"
        return [
            f"To {hub.endpoint()}/{self.repository} ({kind} if it is new): {self.what}, {total / 1e6:,.1f} MB",
            *(f"  {name}  {size:,} bytes" for name, size in self.files),
            f"The card ({CARD}) says:",
            *(f"  {line}" for line in (self.folder / CARD).read_text(encoding="utf-8").splitlines()),
        ]

    def send(self) -> str:
        """Create the repository if needed, upload the files in one commit, and return its address.

        Raises MedbenchError without a token, without network, and where the hub refuses.
        """
        from huggingface_hub import HfApi, get_token

        if not get_token():
            raise MedbenchError(
                f"nothing was sent to {self.repository}: there is no token for the hub.",
                "Create one with write access (huggingface.co/settings/tokens), then: hf auth login, or set HF_TOKEN.",
            )
        if not hub.reachable():
            raise MedbenchError(
                f"nothing was sent to {self.repository}: {hub.why_unreachable()}.", "Try again with network access."
            )
        client = HfApi(endpoint=hub.endpoint())
        try:
            client.create_repo(self.repository, private=self.private or None, exist_ok=True)
            done = client.upload_folder(
                repo_id=self.repository, folder_path=self.folder, commit_message=f"{self.what}, by medbench export"
            )
        except Exception as error:  # the client raises dozens of kinds
            said = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise MedbenchError(
                f"the hub did not accept {self.repository}: {said}",
                "Check that the token has write access: hf auth whoami. Then give the same command again.",
            ) from error
        return str(getattr(done, "commit_url", "") or f"{hub.endpoint()}/{self.repository}")


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

    if not REPOSITORY.fullmatch(repository):
        given = f" {repository}" if repository else ""
        raise UsageError(f"--repo{given}: not the name of a hub repository.", "For example: --repo OWNER/NAME")
    spec, manifest = resolved(model, dtype, adapter, revision, trust_remote_code, progress)
    if merged and not spec.adapter:
        raise UsageError(f"--merged: {spec.name} has no adapter to merge.", "Leave it out: its weights are whole.")
    with tempfile.TemporaryDirectory(prefix="medbench-hub-") as work:
        folder = Path(work) / "model"
        if spec.adapter and not merged:
            what = "the adapter"
            folder.mkdir()
            _copy_adapter(Path(spec.adapter), folder, _base_on_hub(spec, manifest))
        else:
            what = "whole weights"
            write_whole(spec, folder, progress.note)
        about = about_whole(spec, manifest)
        (folder / "medbench.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        (folder / CARD).write_text(card(spec, manifest, repository, what), encoding="utf-8")
        files = tuple((path.name, path.stat().st_size) for path in sorted(folder.iterdir()))
        yield Parcel(folder, repository, private, what, files)


def card(spec: ModelSpec, manifest: AdapterManifest | None, repository: str, what: str) -> str:
    """Return a model card: what it is made of, how it was trained, what leaked, and how to run it."""
    entry = _entry(manifest.model if manifest else spec.name)
    base = _base_on_hub(spec, manifest)
    head = ["---", "library_name: " + ("peft" if what == "the adapter" else "transformers")]
    if REPOSITORY.fullmatch(base):
        head += [f"base_model: {base}"]
    head += ["tags: [medical, medbench]", "pipeline_tag: text-generation", "---"]
    body = [
        "",
        f"# {repository.rpartition('/')[2]}",
        "",
        f"{what[:1].upper()}{what[1:]} of `{spec.name}`, exported by medbench.",
    ]
    body += [f"Base: {base or spec.source}, revision `{spec.revision}`."]
    if entry:
        body += [f"License of the base weights: {entry.licence}. The user of this model is bound by it."]
    body += ["", DISCLAIMER]
    if manifest:
        body += ["", "## Training", "", f"Recipe: {manifest.recipe.get('source', 'its own')}; seed {manifest.seed}."]
        for stage in manifest.data:
            for part in stage.get("parts", ()):
                body += [f"- {stage.get('stage')}: {part.get('source')}, {part.get('drawn') or 0:,} examples"]
        body += ["", "## Benchmark items in the training data", "", *_leaks(manifest)]
    if spec.prompt_format:
        body += ["", "## Prompt", "", "```", spec.prompt_format, "```"]
    how = f"--model {base or 'BASE'} --adapter {repository}" if what == "the adapter" else f"--model {repository}"
    body += ["", "## Run it", "", "```sh", f"medbench run {how} --benchmark medqa", "```"]
    return "\n".join([*head, *body]) + "\n"


def _leaks(manifest: AdapterManifest) -> list[str]:
    found = [
        f"- {name}: {len(items):,} items" if items else f"- {name}: none found"
        for name, items in manifest.leaked.items()
    ]
    return [*found, *(f"- {name}: not checked" for name in manifest.unchecked)] or ["Not checked."]


def _entry(name: str) -> Entry | None:
    return cast("Entry", registry.get("zoo", name)) if name in registry.names("zoo") else None


def _base_on_hub(spec: ModelSpec, manifest: AdapterManifest | None) -> str:
    """Return the hub id of the base; "" if it has none, because paths of this machine are private."""
    name = str(manifest.base.get("weights") or manifest.model) if manifest else spec.name
    entry = _entry(name)
    name = entry.weights if entry else name
    return name if REPOSITORY.fullmatch(name) and not Path(name).exists() else ""


def _copy_adapter(source: Path, target: Path, base: str) -> None:
    """Copy an adapter's weights, configuration and tokenizer, but not its log or paths of this machine."""
    for name in (*ADAPTER_FILES, *tokenizer_files.present(source)):
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
    path = target / "adapter_config.json"
    said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    said["base_model_name_or_path"] = base or None
    path.write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
