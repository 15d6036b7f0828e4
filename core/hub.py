"""The model and data hub: whether it answers, and what its refusals mean in words."""

from __future__ import annotations

import functools
import http.client
import os
import re
import ssl
import threading
import urllib.error
import urllib.request

from .errors import MedbenchError

PROBE_SECONDS = 5.0  # for each address of the hub
DEADLINE_SECONDS = 6.0  # for all of them and the look-up of its name


def endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def offline() -> bool:
    """Whether the user has told the hub's client to stay off the network."""
    said = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return said.lower() in {"1", "true", "yes", "on"}


@functools.cache
def reachable() -> bool:
    """Whether the hub answers at all within DEADLINE_SECONDS; asked once per process.

    The hub's own client retries for minutes, so it is only let loose once this has said yes.
    """
    if offline():
        return False
    answers: list[bool] = []
    # In a thread, because a name server that does not answer holds a look-up past every timeout.
    probe = threading.Thread(target=lambda: answers.append(_answers()), daemon=True)
    probe.start()
    probe.join(DEADLINE_SECONDS)
    return answers == [True]


def _answers() -> bool:
    try:
        urllib.request.urlopen(urllib.request.Request(endpoint(), method="HEAD"), timeout=PROBE_SECONDS).close()
    except urllib.error.HTTPError as error:
        return error.code < 500  # it answered; above, what stands before it answered that it does not
    except urllib.error.URLError as error:
        return isinstance(
            error.reason, ssl.SSLError
        )  # it answered; its client may know certificates that Python does not
    except (OSError, ValueError, http.client.HTTPException):
        return False
    return True


def why_unreachable() -> str:
    if offline():
        variable = "HF_HUB_OFFLINE" if os.environ.get("HF_HUB_OFFLINE") else "TRANSFORMERS_OFFLINE"
        return f"{variable} is set, so the hub was not asked"
    return f"the hub ({endpoint()}) does not answer"


PREFIX = re.compile(r"[0-9a-f]{7,39}")  # the first digits of a commit


def commit_of(repository: str, revision: str, kind: str) -> str:
    """Return the commit whose first digits `revision` is, and any other revision as it is.

    The hub takes a commit in full only; people have its first digits, which medbench prints.
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


def refusal(error: Exception, repository: str, kind: str, revision: str = "") -> MedbenchError:
    """What a hub error means for `repository` (kind: "model" or "dataset") and what to do next."""
    from huggingface_hub import get_token
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    page = f"{endpoint()}/{'datasets/' if kind == 'dataset' else ''}{repository}"
    has_token = bool(get_token())  # HF_TOKEN, or what `hf auth login` stored
    # `datasets` has one error for a repository that is gated and one that is not there, told apart by its words.
    if isinstance(error, GatedRepoError) or "is a gated dataset" in str(error):
        todo = f"Accept its terms at {page}, then " + (
            "check that HF_TOKEN belongs to that account." if has_token else "set HF_TOKEN to a token of that account."
        )
        return MedbenchError(f"{kind} '{repository}' is gated: its owner wants terms accepted first.", todo)
    if isinstance(error, RevisionNotFoundError):
        which = f"revision '{revision}'" if revision else "such revision"
        return MedbenchError(f"{kind} '{repository}' has no {which}.", f"See {page}/tree/main.")
    if isinstance(error, RepositoryNotFoundError) or "doesn't exist on the Hub or cannot be accessed" in str(error):
        todo = (
            "Check the spelling, and that HF_TOKEN may read it."
            if has_token
            else "Check the spelling; if it is private, set HF_TOKEN to a token that may read it."
        )
        return MedbenchError(f"the hub has no {kind} '{repository}' that you may read.", todo)
    if getattr(getattr(error, "response", None), "status_code", 0) == 401 and has_token:
        return MedbenchError(
            f"{kind} '{repository}': the hub does not accept your token.",
            f"Set HF_TOKEN anew: {endpoint()}/settings/tokens",
        )
    said = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return MedbenchError(f"{kind} '{repository}' could not be fetched from the hub: {said}", "Try again later.")
