"""`medbench fetch`: download benchmark data (see `fetch_data`) and entity models."""

from __future__ import annotations

import click

from ...core.errors import UsageError
from ...core.suggest import did_you_mean
from ...core.text import size
from ..ui.download_progress import Shown
from ..ui.messages import say, tell
from .fetch_data import data

EXAMPLES = """\b
Examples:
  medbench fetch data all
  medbench fetch data liveqa
  medbench fetch entity-model en_core_sci_sm
  medbench fetch entity-model en_core_sci_sm --from en_core_sci_sm.tar.gz
  medbench run --metrics entity_f1 --entity-model en_core_sci_sm
"""


@click.group(epilog=EXAMPLES)
def command() -> None:
    """Download benchmark data and entity models, which medbench does not ship."""


command.add_command(data)


@command.command(
    "entity-model",
    short_help="Download a spaCy pipeline for the entity metrics.",
    epilog=EXAMPLES + "\nExit codes: 0 done, 1 failed, 2 wrong usage.",
)
@click.argument("name")
@click.option(
    "--from", "source", metavar="FILE|URL", help="Archive (.tar.gz) to take it from.  [default: scispaCy's release]"
)
@click.option("--again", is_flag=True, help="Download again even if it is already installed.")
def entity_model(name: str, source: str | None, again: bool) -> None:
    """Download the scispaCy pipeline NAME, check it, unpack it into the cache and load it once.

    `--entity-model NAME` then uses it for the entity metrics. The same command resumes an interrupted download.
    """
    from ...core.download import shown
    from ...core.official import mirrored
    from ...metrics.entities import fetching, pipelines

    if not _fit(name):
        raise UsageError(
            f"'{name}' is not a valid name for an entity model.", "Letters, digits, _ and - only, as en_core_sci_sm."
        )
    if name == pipelines.EMBEDDED:
        tell(f"'{name}' is built in, so there is nothing to download.")
        return
    if source is None and name not in pipelines.RELEASES:
        raise UsageError(f"no known release is called '{name}'.{did_you_mean(name, pipelines.RELEASES)}", _known())
    if (pipelines.store() / name).is_dir() and not again:
        say(f"{name} {pipelines.find(name).version} is already installed; --again downloads it again")
        return
    address = source or mirrored(pipelines.url(name))
    watch = Shown()
    tell(f"fetching {shown(address)}")
    with watch.file(name) as progress:
        found = fetching.fetch(name, address, progress, watch.tell)
    held = size(pipelines.size(found.folder))
    say(f"{name} {found.version} is ready ({held} in {found.folder}): --entity-model {name}")


def _fit(name: str) -> bool:
    return name[:1].isalnum() and name.replace("_", "").replace("-", "").isalnum() and name.isascii()


def _known() -> str:
    from ...metrics.entities.pipelines import RELEASES

    listed = "\n".join(f"  {name:<22} {summary}" for name, summary in RELEASES.items())
    return f"Any other archive: --from FILE. Known:\n{listed}"
