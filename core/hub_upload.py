"""Upload a folder to the hub: what would be sent, shown before it is sent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from . import hub
from .errors import MedbenchError, UsageError

REPOSITORY = re.compile(r"[\w-][\w.-]*/[\w.-]+")
CARD = "README.md"


def require_repository(option: str, repository: str) -> None:
    """Raise UsageError unless `repository`, the value of `option`, is the name of a hub repository."""
    if not REPOSITORY.fullmatch(repository):
        given = f" {repository}" if repository else ""
        raise UsageError(f"{option}{given}: not the name of a hub repository.", f"For example: {option} OWNER/NAME")


@dataclass(frozen=True)
class Parcel:
    """What will be sent: the files of `folder`, to `repository`."""

    folder: Path
    repository: str
    private: bool
    what: str  # "the adapter", "whole weights", "the card"
    by: str  # the command that sends it
    files: tuple[tuple[str, int], ...]  # names and sizes in bytes

    @classmethod
    def of(cls, folder: Path, repository: str, *, private: bool, what: str, by: str) -> Parcel:
        """Return the parcel of all files in `folder`, at any depth."""
        paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
        files = tuple((path.relative_to(folder).as_posix(), path.stat().st_size) for path in paths)
        return cls(folder, repository, private, what, by, files)

    def lines(self) -> list[str]:
        """Return the lines to show before anything is sent: every file, and the text of those that people read."""
        total = sum(size for _, size in self.files)
        kind = "private" if self.private else "public"
        shown = [
            f"To {hub.endpoint()}/{self.repository} ({kind} if it is new): {self.what}, {total / 1e6:,.1f} MB",
            *(f"  {name}  {size:,} bytes" for name, size in self.files),
        ]
        for name, _ in self.files:
            if name.endswith((".md", ".yaml")):
                text = (self.folder / name).read_text(encoding="utf-8")
                shown += [
                    f"The card ({name}) says:" if name == CARD else f"{name}:",
                    *(f"  {line}" for line in text.splitlines()),
                ]
        return shown

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
                repo_id=self.repository, folder_path=self.folder, commit_message=f"{self.what}, by {self.by}"
            )
        except Exception as error:  # the client raises dozens of kinds
            said = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise MedbenchError(
                f"the hub did not accept {self.repository}: {said}",
                "Check that the token has write access: hf auth whoami. Then run the same command again.",
            ) from error
        return str(getattr(done, "commit_url", "") or f"{hub.endpoint()}/{self.repository}")
