"""`medbench fetch data`: downloads benchmark data from the hub or the addresses of official releases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click

from ...core import paths, registry
from ...core.errors import MedbenchError, UsageError
from ...core.official import DownloadProgress, mirrored
from ...core.suggest import did_you_mean
from .. import completion
from ..ui import output
from ..ui.download_progress import Shown
from ..ui.messages import say, tell

ALL = "all"
GRADES = "liveqa-grades"

EXAMPLES = """\b
Examples:
  medbench fetch data liveqa
  medbench fetch data all                                   what run --suite all needs
  MEDBENCH_MIRROR=https://mirror.example/files medbench fetch data all
"""


@dataclass
class Fetched:
    """The outcome for one name. `count`: items, or graded answers."""

    name: str
    ok: bool = False
    count: int = 0
    origin: str = ""
    files: list[str] = field(default_factory=list)  # downloaded just now
    error: str = ""


@click.command(
    "data",
    short_help="Download benchmark data.",
    epilog=EXAMPLES + "\nExit codes: 0 done, 1 something is missing, 2 wrong usage.",
)
@click.argument("names", nargs=-1, metavar="[NAME…|all]", shell_complete=completion.plugins("benchmarks", "all"))
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
def data(names: tuple[str, ...], as_json: bool) -> None:
    """Download the data of benchmarks, so that they run offline and without --data.

    Data sets of the hub go to the hub's cache. Official files go to medbench's cache (MEDBENCH_CACHE) and are checked
    by hash. Existing files are not downloaded again, and interrupted downloads resume. Each benchmark is then loaded as
    a check.

    With MEDBENCH_MIRROR, https://HOST/FILE is downloaded from MIRROR/HOST/FILE. For the hub, set HF_ENDPOINT.
    """
    loaders = _loaders(names)
    mirrored("https://")  # raises UsageError for an invalid mirror
    found = []
    for name, load in loaders.items():
        found.append(_fetch(name, load, Shown()))
        if not as_json and found[-1].ok:
            say(_line(found[-1]))
    if as_json:
        output.show_json([asdict(each) for each in found])
    failed = [each for each in found if not each.ok]
    for each in failed:
        tell(f"\nNot fetched: {each.name}: {each.error}")
    if failed:
        raise SystemExit(1)


def _loaders(names: tuple[str, ...]) -> dict[str, Callable[..., Any]]:
    """Return a loader for each name. Raises UsageError for an unknown name, with the nearest ones."""
    from ...results.agreement import liveqa_grades

    known = [*registry.names("benchmarks"), GRADES]
    wanted = output.names(names)
    if not wanted:
        raise UsageError("no name is given.", _listed(_fetchable(known)))
    loaders: dict[str, Callable[..., Any]] = {}
    for name in wanted:
        if name != ALL and name not in known and not name.endswith(".py"):
            meant = _fetchable(known)
            raise UsageError(f"no benchmark is called '{name}'.{did_you_mean(name, meant)}", _listed(meant))
    for name in dict.fromkeys([*(known if ALL in wanted else ()), *(name for name in wanted if name != ALL)]):
        if name == GRADES:
            loaders[name] = liveqa_grades.load
            continue
        try:
            benchmark = registry.get("benchmarks", name)
        except MedbenchError as error:
            loaders[name] = _failing(error)
            continue
        if not benchmark.sample or name in wanted:
            loaders[name] = benchmark.load
    return loaders


def _fetchable(known: Sequence[str]) -> list[str]:
    """Return the names whose data are downloaded: all but the samples, which come with medbench."""

    def sample(name: str) -> bool:
        try:
            return name != GRADES and bool(registry.get("benchmarks", name).sample)
        except MedbenchError:
            return False

    return [name for name in known if not sample(name)]


def _listed(names: Sequence[str]) -> str:
    return f"Names: {', '.join(names)}; or all of them: {ALL}."


def _failing(error: MedbenchError) -> Callable[..., Any]:
    """Return a loader that raises this error, so that a broken plugin affects only its own benchmark."""

    def load(source: object) -> Any:
        raise error

    return load


def _fetch(name: str, load: Callable[..., Any], watch: DownloadProgress) -> Fetched:
    from ...benchmarks.sources.files import Source

    before = _files()
    result = Fetched(name)
    try:
        loaded = load(Source(None, watch))
    except MedbenchError as error:
        result.error = str(error)
    except Exception as error:
        if not registry.fault(error):
            raise
        result.error = f"a plugin failed: {registry.told(error)}"
    else:
        result.ok, result.origin = True, loaded.origin
        result.count = len(loaded.records if name == GRADES else loaded.items)
    result.files = sorted(str(path) for path, stamp in _files().items() if before.get(path) != stamp)
    return result


def _files() -> dict[Path, int]:
    """Return the fetched files with their modification times."""
    found = paths.releases().glob("*/*")
    return {path: path.stat().st_mtime_ns for path in found if path.is_file() and not path.name.startswith(".")}


def _line(found: Fetched) -> str:
    what = "graded answers" if found.name == GRADES else "item" if found.count == 1 else "items"
    how = "fetched" if found.files else "here"
    return f"{found.name:<18} {found.count:>6,} {what}, {how}: {found.origin}"
