"""The model and data hub: whether it answers, and what its errors mean."""

from __future__ import annotations

import errno
import functools
import http.client
import os
import re
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

from . import dry, hub_client
from .errors import MedbenchError

PROBE_SECONDS = 5.0  # for each address of the hub
PROBE_WAITS = (0.5, 1.5)  # seconds before a busy gateway is asked again
DEADLINE_SECONDS = 6.0  # for all attempts, including the DNS lookup
SILENT = "does not answer"


def endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def go_offline(why: str) -> None:
    """Keep this process from asking the hub. Messages then say `why`, unless the user had set offline mode before."""
    global _own_reason
    if not offline():
        os.environ["HF_HUB_OFFLINE"] = "1"
        _own_reason = why


_own_reason = ""  # why medbench itself set offline mode


def offline() -> bool:
    """Return whether the hub's client is in offline mode, or a dry run is in progress."""
    if dry.running():
        return True
    said = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return said.lower() in {"1", "true", "yes", "on"}


def reachable() -> bool:
    """Return whether the hub answers within DEADLINE_SECONDS. Checked once per process.

    The hub's own client retries for minutes, so it is used only after this returns True.
    """
    return not dry.running() and _reachable()


@functools.cache
def _reachable() -> bool:
    if offline():
        return False
    answers: list[str] = []
    # In a thread, because a DNS server that does not answer outlasts every timeout.
    probe = threading.Thread(target=lambda: answers.append(_refused()), daemon=True)
    probe.start()
    probe.join(DEADLINE_SECONDS)
    _status[:] = filter(None, answers)
    return answers == [""]


_status: list[str] = []  # why the last probe failed, if it did


def _refused() -> str:
    """Return why the hub counts as unreachable, or "" if it answers. A busy gateway is retried."""
    for wait in (*PROBE_WAITS, None):
        try:
            urllib.request.urlopen(urllib.request.Request(endpoint(), method="HEAD"), timeout=PROBE_SECONDS).close()
        except urllib.error.HTTPError as error:
            if error.code < 500:  # from 500 on, a gateway answers instead of the hub
                return ""
            if wait is None:
                return f"answers {error.code} {error.reason}".rstrip()
            time.sleep(wait)
        except urllib.error.URLError as error:
            # An SSL error is an answer too: the hub's client may know certificates that Python does not.
            return "" if isinstance(error.reason, ssl.SSLError) else SILENT
        except (OSError, ValueError, http.client.HTTPException):
            return SILENT
        else:
            return ""
    raise AssertionError("the last attempt returns")


def why_unreachable() -> str:
    if dry.running():
        return dry.REASON
    if offline():
        if _own_reason:
            return _own_reason
        variable = "HF_HUB_OFFLINE" if os.environ.get("HF_HUB_OFFLINE") else "TRANSFORMERS_OFFLINE"
        return f"{variable} is set, so the hub was not asked"
    return f"the hub ({endpoint()}) {_status[0] if _status else SILENT}"


PREFIX = re.compile(r"[0-9a-f]{7,39}")  # the first digits of a commit


def commit_of(repository: str, revision: str, kind: str) -> str:
    """Return the full commit hash that `revision` abbreviates; any other revision is returned unchanged.

    The hub accepts only full hashes, but medbench prints abbreviated ones.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RevisionNotFoundError

    if not PREFIX.fullmatch(revision):
        return revision
    try:
        return str(HfApi().repo_info(repository, repo_type=kind, revision=revision).sha)  # a branch or tag of digits
    except RevisionNotFoundError:
        commits = HfApi().list_repo_commits(repository, repo_type=kind)
        meant = [commit.commit_id for commit in commits if commit.commit_id.startswith(revision)]
        return meant[0] if len(meant) == 1 else revision


def refusal(error: BaseException, repository: str, kind: str, revision: str = "") -> MedbenchError:
    """Return an error that says what a hub error means for `repository` and what to do next.

    `kind` is "model" or "dataset". The client wraps its errors in others that say less, so every cause is examined.
    """
    from huggingface_hub import get_token
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    page = f"{endpoint()}/{'datasets/' if kind == 'dataset' else ''}{repository}"
    chain = list(causes(error))
    if known := next((each for each in chain if isinstance(each, MedbenchError)), None):
        words = f"{kind} '{repository}' could not be fetched from the hub: {known.message}"
        return known if repository in known.message else MedbenchError(words, known.hint)
    if full := next((each for each in chain if isinstance(each, OSError) and cannot_write(each)), None):
        return MedbenchError(f"{kind} '{repository}' {unwritable(full)}", WRITE_HINT)
    token = bool(get_token())  # HF_TOKEN, or what `hf auth login` stored
    refused = next((each for each in chain if getattr(each, "response", None) is not None), None)
    response: Any = getattr(refused, "response", None)
    status = int(getattr(response, "status_code", 0) or 0)
    said = hub_client.short(getattr(refused, "server_message", None) or "")
    if response is not None and not said:
        said = hub_client.server_message(response)
    quoted = f" The hub says: {said}" if said else ""

    def is_a(kinds: type[Exception], words: str = "") -> bool:
        return any(isinstance(each, kinds) or (words and words in str(each)) for each in chain)

    # `datasets` raises one error for gated and for missing repositories; only its message tells them apart.
    if is_a(GatedRepoError, "is a gated dataset"):
        todo = f"Accept its terms at {page}, then " + (
            "check that HF_TOKEN belongs to that account." if token else "set HF_TOKEN to a token of that account."
        )
        return MedbenchError(f"{kind} '{repository}' is gated: you must accept its owner's terms first.{quoted}", todo)
    if is_a(RevisionNotFoundError):
        which = f"revision '{revision}'" if revision else "such revision"
        return MedbenchError(f"{kind} '{repository}' has no {which}.", f"See {page}/tree/main.")
    if is_a(EntryNotFoundError) and status == 404:
        what = hub_client.without_queries(str(response.url)) if response is not None else "a file"
        return MedbenchError(f"{kind} '{repository}': the hub has no file {what}.", f"See {page}/tree/main.")
    if status == 403:
        return MedbenchError(
            f"{kind} '{repository}': {hub_client.answered(response, said)}",
            f"Check what your token (HF_TOKEN) may read: {endpoint()}/settings/tokens"
            if token
            else f"If it needs an account, set HF_TOKEN to a token that may read it: {endpoint()}/settings/tokens",
        )
    if status == 401 and token and "credentials" in said.lower():
        return MedbenchError(f"{kind} '{repository}': the hub does not accept your token.{quoted}", _renew())
    if is_a(RepositoryNotFoundError, "doesn't exist on the Hub or cannot be accessed"):
        todo = (
            "Check the spelling, and that HF_TOKEN may read it."
            if token
            else "Check the spelling; if it is private, set HF_TOKEN to a token that may read it."
        )
        return MedbenchError(f"the hub has no {kind} '{repository}' that you may read.", todo)
    if status == 401 and token:
        return MedbenchError(f"{kind} '{repository}': the hub does not accept your token.{quoted}", _renew())
    if status:
        return MedbenchError(
            f"{kind} '{repository}' could not be fetched: {hub_client.answered(response, said)}", _LATER
        )
    if broken := next((each for each in chain if isinstance(each, hub_client.transient())), None):
        words = hub_client.trouble(broken, str(getattr(getattr(broken, "_request", None), "url", "") or endpoint()))
        return MedbenchError(f"{kind} '{repository}' could not be fetched from the hub: {words}", _LATER)
    told = next(iter(hub_client.without_queries(str(error)).strip().splitlines()), type(error).__name__)
    return MedbenchError(f"{kind} '{repository}' could not be fetched from the hub: {told}", _LATER)


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and each error that caused it."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def cannot_write(error: OSError) -> bool:
    """Return whether an error is about a folder on this machine (full or read-only), not a connection."""
    from huggingface_hub import constants

    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return True
    if error.errno is None or error.filename is None:
        return False
    if error.errno != errno.ENOENT:
        return True
    place, cache = str(error.filename), constants.HF_HUB_CACHE  # a cache that cannot be created
    return place.startswith(cache) or cache.startswith(place)


def unwritable(error: OSError) -> str:
    """Describe such an error: `cannot be written to the hub's cache (the disk is full): PATH`."""
    from huggingface_hub import constants

    why = {
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "your disk quota is used up",
        errno.EFBIG: "the file is larger than this system allows",
        errno.EROFS: "the disk is read-only",
        errno.EACCES: "you may not write there",
    }.get(error.errno or 0, error.strerror or str(error))
    return f"cannot be written to the hub's cache ({why}): {error.filename or constants.HF_HUB_CACHE}"


WRITE_HINT = "Make room or fix its permissions, or set HF_HOME to another folder. What was downloaded is kept."
_LATER = "Try again later."


def _renew() -> str:
    return f"Set HF_TOKEN to a new token: {endpoint()}/settings/tokens"
