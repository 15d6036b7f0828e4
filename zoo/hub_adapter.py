"""Adapters on the hub: `--adapter OWNER/NAME`. Only the needed files are downloaded, to the hub's cache."""

from __future__ import annotations

from pathlib import Path

from ..core import hub, hub_client, hub_download
from ..core.errors import MedbenchError, ModelMissing, UsageError
from .adapter_files import ADAPTER_WEIGHTS, CONFIG
from .weights import hub_cache, hub_files
from .weights.sources import ANSWER_SECONDS, SHORT, Tell, weight_files
from .weights.tokenizer_files import FILES, present


def fetch(repository: str, tell: Tell) -> Path:
    """Return the folder of a hub adapter, downloaded if needed. The folder's name is the commit.

    If the hub does not answer, this is the commit of the last download. Raises ModelMissing if there is none or a file
    is damaged, UsageError if the repository is not an adapter.
    """
    folder = _found(repository, tell)
    here = [name for name in (CONFIG, *ADAPTER_WEIGHTS) if (folder / name).is_file()]
    return hub_files.intact(repository, folder, here + present(folder), tell)


def _found(repository: str, tell: Tell) -> Path:
    cached = _cached(repository)
    if not hub.reachable():
        if cached:
            tell(f"{hub.why_unreachable()}; using {repository} @ {cached.name[:SHORT]} from the hub's cache")
            return cached
        why = hub.why_unreachable()
        raise ModelMissing(
            f"the adapter {repository} is not on this machine (there is no folder of that name either).\n"
            f"{why[:1].upper()}{why[1:]}.",
            "Run this once with network access to download it, or give the adapter's folder.",
        )
    try:
        with hub_client.patient(tell):
            return _download(repository, tell)
    except Exception as error:  # the client raises dozens of kinds
        if isinstance(error, MedbenchError) and not isinstance(error, hub_client.HubError):
            raise
        refused = hub.refusal(error, repository, "model")
        if cached:
            tell(refused.message)
            tell(f"using {repository} @ {cached.name[:SHORT]} from the hub's cache")
            return cached
        raise ModelMissing(refused.message, refused.hint) from error


def _download(repository: str, tell: Tell) -> Path:
    from huggingface_hub import HfApi

    info = HfApi().model_info(repository, timeout=ANSWER_SECONDS)
    names = {file.rfilename for file in info.siblings or []}
    weights = next((name for name in ADAPTER_WEIGHTS if name in names), "")
    if CONFIG not in names or not weights:
        what = (
            f"hub model {repository} is not an adapter: it has no {ADAPTER_WEIGHTS[0] if CONFIG in names else CONFIG}."
        )
        is_model = "config.json" in names and weight_files(names)
        page = f"See {hub.endpoint()}/{repository}/tree/main"
        raise UsageError(what, f"It is a model: --model {repository}" if is_model else page)
    before = _cached(repository)
    commit = hub_download.Repository(repository, str(info.sha))
    folder = commit.fetch(commit.missing(hub_download.matching(sorted(names), [CONFIG, weights, *FILES])), tell)
    hub_cache.note(repository, "", str(info.sha))
    if folder != before:
        tell(f"downloaded the adapter {repository} @ {folder.name[:SHORT]} from the hub")
    return folder


def _cached(repository: str) -> Path | None:
    """Return the snapshot of an adapter in the hub's cache; None if a file is missing."""
    return hub_cache.find(repository, "", _problem)


def _problem(folder: Path) -> str:
    weights = any((folder / name).is_file() for name in ADAPTER_WEIGHTS)
    return "" if weights and (folder / CONFIG).is_file() else "a file is missing"
