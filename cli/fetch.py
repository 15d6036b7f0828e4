"""`medbench fetch`: what is too large to ship and is not on the model hub."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from ..core.errors import UsageError
from .progress import LINE_SECONDS, clock, say, tell

if TYPE_CHECKING:
    from ..metrics.fetching import Progress

MEGABYTE = 1e6

EXAMPLES = """\b
Examples:
  medbench fetch entity-model en_core_sci_sm
  medbench fetch entity-model en_ner_bc5cdr_md --from en_ner_bc5cdr_md-0.5.4.tar.gz
  medbench run --metrics entity_f1 --entity-model en_core_sci_sm
"""


@click.group(epilog=EXAMPLES)
def command() -> None:
    """Download what medbench does not ship: entity models."""


@command.command("entity-model", epilog=EXAMPLES + "\nExit codes: 0 done, 1 failed, 2 wrong usage.")
@click.argument("name")
@click.option(
    "--from", "source", metavar="FILE|URL", help="Archive (.tar.gz) to take it from.  [default: scispaCy's release]"
)
@click.option("--again", is_flag=True, help="Fetch it although it is here.")
def entity_model(name: str, source: str | None, again: bool) -> None:
    """Download the scispaCy pipeline NAME, check it, unpack it into the cache and load it once.

    Then `--entity-model NAME` scores the entity metrics with it. A download that breaks off is gone on with by the same
    command.
    """
    from ..metrics import fetching, pipelines

    if not _fit(name):
        raise UsageError(
            f"'{name}' is no name for an entity model.", "Letters, digits, _ and - only, as en_core_sci_sm."
        )
    if name == pipelines.EMBEDDED:
        tell(f"'{name}' is built in; nothing is to be fetched.")
        return
    if source is None and name not in pipelines.RELEASES:
        raise UsageError(f"no release is known as '{name}'.{_near(name)}", _known())
    if (pipelines.store() / name).is_dir() and not again:
        say(f"{name} {pipelines.find(name).version} is here already; --again fetches it anew")
        return
    address = source or pipelines.url(name)
    tell(f"fetching {address}")
    with _progress(name) as progress:
        found = fetching.fetch(name, address, progress, tell)
    size = pipelines.size(found.folder) / MEGABYTE
    say(f"{name} {found.version} is ready ({size:.0f} MB in {found.folder}): --entity-model {name}")


def _fit(name: str) -> bool:
    return name[:1].isalnum() and name.replace("_", "").replace("-", "").isalnum() and name.isascii()


def _near(name: str) -> str:
    import difflib

    from ..metrics.pipelines import RELEASES

    near = difflib.get_close_matches(name, RELEASES, n=2, cutoff=0.5)
    return f" Did you mean {' or '.join(near)}?" if near else ""


def _known() -> str:
    from ..metrics.pipelines import RELEASES

    listed = "\n".join(f"  {name:<22} {summary}" for name, summary in RELEASES.items())
    return f"Any other archive: --from FILE. Known:\n{listed}"


@contextmanager
def _progress(name: str) -> Iterator[Progress]:
    """Draws a bar with size, rate and time left on a terminal; elsewhere says a line now and then."""
    import sys

    if not sys.stderr.isatty():
        yield _Lines(name)
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import (
        Progress as Bar,
    )

    from .screen import stderr

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), DownloadColumn(), TransferSpeedColumn())
    with Bar(*columns, TimeRemainingColumn(compact=True), console=stderr()) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class _Lines:
    def __init__(self, name: str) -> None:
        self.name, self.first = name, -1
        self.started = self.said = time.monotonic()

    def __call__(self, done: int, total: int | None) -> None:
        now = time.monotonic()
        if self.first < 0:
            self.first = done
        if now - self.said < LINE_SECONDS and done != total:
            return
        self.said = now
        rate = (done - self.first) / max(now - self.started, 1e-9)
        left = f" of {total / MEGABYTE:.1f} MB, {clock((total - done) / rate)} left" if total and rate else " MB"
        tell(f"{self.name}: {done / MEGABYTE:.1f}{left}")
