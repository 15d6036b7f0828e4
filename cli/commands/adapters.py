"""`medbench adapters`: list and show trained adapters, and merge one into a model folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...core import paths
from ...core.text import size
from .. import completion
from ..model_options import TRUST_REMOTE_CODE
from ..options import FilePath
from ..ui import output
from ..ui.messages import tell

if TYPE_CHECKING:
    from ...zoo.adapter_manifest import AdapterManifest
    from ...zoo.adapters import Adapter

HASH_DIGITS = 12  # of a revision or hash in tables
REASONS = 3  # of benchmarks that were not checked for leaks, shown without --json
# Measurements of every stage that `show` prints, in this order, with their labels.
MEASURED = {
    "steps": "steps",
    "loss_first": "first loss",
    "loss_last": "last loss",
    "eval_loss_before": "held-out loss before",
    "eval_loss_after": "held-out loss after",
    "seconds": "seconds",
    "tokens_per_s": "tokens/s",
    "peak_rss_bytes": "peak RSS",
    "peak_gpu_memory_bytes": "peak GPU",
    "device": "device",
}


@click.group(
    epilog="""\b
Examples:
  medbench adapters list
  medbench adapters show smollm2-135m@first
  medbench adapters merge smollm2-135m@first --out models/smollm2-medical
"""
)
def command() -> None:
    """List, show and merge adapters made by `medbench train`. Use one anywhere as --model NAME@TAG."""


@command.command(
    "list",
    short_help="List trained adapters: status, data, steps, loss, size.",
    epilog="""\b
Examples:
  medbench adapters list
  medbench adapters list --json
""",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
def list_(as_json: bool) -> None:
    """List trained adapters: name, status, data, steps, held-out loss, size. --json adds base, losses and dates."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from ...zoo.adapters import all_adapters
    from ..ui.names import Names

    found, problems = all_adapters()
    rows = [_row(adapter) for adapter in found]
    if as_json:
        output.show_json(rows)
    elif rows:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in ("name", "status", "trained on", "steps", "held-out loss", "size"):
            numbers = heading in ("steps", "size")
            whole = numbers or heading in ("name", "status", "held-out loss")  # names must stay whole for copying
            table.add_column(heading, overflow="fold", justify="right" if numbers else "left", no_wrap=whole)
        for row in rows:
            stages = row["stages"]
            table.add_row(
                escape(row["name"]),
                row["status"] if row["status"] == "done" else f"[yellow]{row['status']}[/yellow]",
                Names(escape("\n".join(row["data"]))),
                f"{row['steps']:,}",
                "\n".join(_change(stage["eval_loss_before"], stage["eval_loss_after"]) for stage in stages),
                size(row["size_bytes"]),
            )
        output.show([table])
    elif not problems:
        tell(f"There are no adapters in {paths.adapters()}. To train one: medbench train --model NAME --tag TAG")
    for problem in problems:
        tell(f"Not shown: {problem}")
    if problems:
        raise SystemExit(1)


@command.command(
    short_help="Show how NAME@TAG was trained, and on which data.",
    epilog="""\b
Examples:
  medbench adapters show smollm2-135m@first
  medbench adapters show adapters/smollm2-135m/first --json
""",
)
@click.argument("name", metavar="NAME@TAG", shell_complete=completion.adapters)
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as JSON on stdout.")
def show(name: str, as_json: bool) -> None:
    """Show how NAME@TAG was trained: base, data, recipe, and which benchmark items its data contain."""
    from ...zoo.adapters import find
    from ...zoo.progress import trained

    adapter = find(name)
    if as_json:
        output.show_json(
            {
                "name": adapter.manifest.name,
                "folder": str(adapter.folder),
                "manifest": dataclasses.asdict(adapter.manifest),
                "leaked": adapter.manifest.leaked,
                "trained": [dataclasses.asdict(stage) for stage in trained(adapter.folder, adapter.manifest)],
                "files": _files(adapter),
            }
        )
        return
    _show(adapter)


@command.command(
    short_help="Merge NAME@TAG into its base: a model folder.",
    epilog="""\b
Examples:
  medbench adapters merge smollm2-135m@first --out models/smollm2-medical
  medbench adapters merge hera-gemma-2-2b@paper --out models/hera --dtype bfloat16
  medbench run --model models/hera
""",
)
@click.argument("name", metavar="NAME@TAG", shell_complete=completion.adapters)
@click.option("--out", required=True, type=FilePath(), metavar="DIR", help="A new or empty folder.")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    default="float32",
    show_default=True,
    help="Data type of the merged weights; 16 bits take half the disk and memory.",
)
@TRUST_REMOTE_CODE
def merge(name: str, out: Path, dtype: str, trust_remote_code: bool) -> None:
    """Merge NAME@TAG into its base, unquantized: a model folder that any tool loads.

    Needs the base's weights, and disk and memory for all of them.
    """
    from ...training.merge import merge as merge_into
    from ...zoo.adapters import find

    made = merge_into(find(name).folder, out, dtype, tell, trust_remote_code)
    tell(f"written: {made}. To measure it: medbench run --model {made}")


def _row(adapter: Adapter) -> dict[str, Any]:
    manifest = adapter.manifest
    losses = ("loss_first", "loss_last", "eval_loss_before", "eval_loss_after")
    return {
        # A copied or renamed folder is known by its own name.
        "name": f"{manifest.model}@{adapter.folder.name}",
        "status": adapter.status,
        "kind": manifest.kind,
        "base": str(manifest.base.get("weights") or manifest.base.get("source") or manifest.model),
        "data": _data(adapter),
        "steps": sum(adapter.reached.values()),
        "stages": [
            {"name": stage.get("name")} | {name: stage.get(name) for name in losses} for stage in manifest.stages
        ],
        "created": manifest.created,
        "size_bytes": adapter.size,
        "folder": str(adapter.folder),
    }


def _data(adapter: Adapter) -> list[str]:
    """Describe the training data of each stage: its sets, how many examples were drawn from each, and how many of them
    were used if the stage has not finished its first epoch.
    """
    from ...zoo.progress import trained

    did = {stage.stage: stage for stage in trained(adapter.folder, adapter.manifest)}
    found = []
    for stage in adapter.manifest.data:
        parts = [(part.get("source"), part.get("drawn") or 0) for part in stage.get("parts", ())]
        reached = did.get(str(stage.get("stage", "")))
        seen = reached.examples if reached else 0
        if seen is None or (reached and seen >= reached.of_examples):
            found.append(" + ".join(f"{name} {drawn:,}" for name, drawn in parts))
        elif len(parts) == 1:
            found.append(f"{parts[0][0]} {seen:,} of {parts[0][1]:,}")
        else:
            sets = " + ".join(f"{name} {drawn:,}" for name, drawn in parts)
            found.append(f"{seen:,} of {sum(drawn for _, drawn in parts):,}: {sets}")
    return found


def _show(adapter: Adapter) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from ...zoo.adapter_manifest import LEAK_KINDS
    from ...zoo.progress import trained
    from ..ui import render

    manifest, screen = adapter.manifest, render.console()

    facts = Table.grid(padding=(0, 2))
    facts.add_column(justify="right", style="dim", no_wrap=True)
    facts.add_column(overflow="fold")

    def fact(name: str, value: str) -> None:
        if value:
            facts.add_row(name, escape(value))

    packages = manifest.environment.get("packages", {})
    versions = [
        f"{name} {packages[name]}" for name in ("medbench", "torch", "transformers", "peft") if name in packages
    ]
    fact("adapter", f"{manifest.name} ({'LoRA' if manifest.kind == 'lora' else 'whole weights'})")
    why = manifest.stopped or adapter.damage() if adapter.status in ("stopped", "damaged") else ""
    fact("status", f"{adapter.status}{f': {why}' if why else ''}")
    fact("base", f"{manifest.base.get('source', '')} (revision {str(manifest.base.get('revision'))[:HASH_DIGITS]})")
    fact("", "runs its own code" if manifest.base.get("trust_remote_code") else "")
    fact("weights' hash", manifest.hash)
    fact("recipe", str(manifest.recipe.get("source", "")))
    fact("settings", " ".join(manifest.settings))
    fact("seed", str(manifest.seed))
    for did in trained(adapter.folder, manifest):
        fact(f"trained, {did.stage}", did.words() + ("" if did.done else ", so far"))
    for stage in manifest.data:
        counted = ", ".join(
            f"{stage[name]:,} {name.replace('_', ' ')}"
            for name in ("examples", "held_out", "tokens", "learned_tokens", "answers_cut", "dropped")
            if stage.get(name)
        )
        fact(f"data, {stage.get('stage', '')}", f"{counted} (hash {stage.get('hash', '')})")
        for part in stage.get("parts", ()):
            drawn, available = part.get("drawn") or 0, part.get("available") or 0
            fact("", f"{part.get('source')}: {drawn:,} of {available:,}, {part.get('origin', '')}")
    # Notes on the sets themselves are omitted. Older manifests do not distinguish them.
    for note in dict.fromkeys(
        str(note) for stage in manifest.data for note in stage.get("notes", ())[stage.get("set_notes") or 0 :]
    ):
        fact("note", note)
    if of_sets := {
        str(note) for stage in manifest.data for note in stage.get("notes", ())[: stage.get("set_notes") or 0]
    }:
        fact("", f"{len(of_sets)} on the data sets themselves: --json shows them")
    for benchmark, items in manifest.leaked.items():
        if items:
            by_kind = manifest.leaks[benchmark]
            kinds = ", ".join(f"{len(by_kind[kind]):,} {kind}" for kind in LEAK_KINDS if by_kind.get(kind))
            fact("leaks", f"{benchmark}: {len(items):,} of its items in the training texts ({kinds})")
    clean = [benchmark for benchmark, items in manifest.leaked.items() if not items]
    fact("no leaks", ", ".join(clean))
    if manifest.unchecked:
        total = len(manifest.leaked) + len(manifest.unchecked)
        fact("not checked", f"{len(manifest.unchecked)} of {total} benchmarks:")
        for benchmark, why in list(manifest.unchecked.items())[:REASONS]:
            fact("", f"{benchmark}: {str(why).splitlines()[0] if why else 'no reason was recorded'}")
        if others := list(manifest.unchecked)[REASONS:]:
            fact("", f"{', '.join(others)}: --json shows why")
    fact("versions", ", ".join(versions))
    fact("created", manifest.created)
    fact("command", " ".join(manifest.command))
    fact("folder", f"{adapter.folder} ({size(adapter.size)})")
    fact("files", ", ".join(_files(adapter)))
    screen.print(facts)
    if manifest.stages:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("measured", no_wrap=True)
        for stage in manifest.stages:
            table.add_column(escape(str(stage.get("name"))), justify="right", overflow="fold")
        for name, words in MEASURED.items():
            if any(stage.get(name) is not None for stage in manifest.stages):
                table.add_row(words, *(_measured(name, stage.get(name)) for stage in manifest.stages))
        screen.print(table)
    _recipe(screen, manifest)
    if adapter.status == "done":
        screen.print(f"[dim]Is it better? medbench run --model {escape(manifest.model)},{escape(manifest.name)}[/dim]")


def _recipe(screen: Any, manifest: AdapterManifest) -> None:
    """Print every value of the recipe, a column per stage."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    stages = [_flat(stage) for stage in manifest.recipe.get("stages", ())]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("recipe")
    for stage in stages:
        table.add_column(escape(str(stage.pop("name", ""))), overflow="fold")
    for name in dict.fromkeys(name for stage in stages for name in stage):
        table.add_row(escape(name), *(escape(stage.get(name, "")) for stage in stages))
    if stages:
        screen.print(table)


def _flat(stage: dict[str, Any]) -> dict[str, str]:
    """Return a stage's values as texts, with those of its LoRA as "lora.rank"."""
    found: dict[str, str] = {}
    for name, value in stage.items():
        if name == "lora" and isinstance(value, dict):
            found |= {f"lora.{part}": _text(inner) for part, inner in value.items()}
        elif name not in ("why", "data"):  # the data are shown above
            found[name] = _text(value)
    return found


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _measured(name: str, value: Any) -> str:
    if not isinstance(value, int | float):
        return str(value or "–")
    if name.endswith("_bytes"):
        return size(int(value))
    return f"{value:.3f}" if "loss" in name else f"{value:,.0f}"


def _change(before: float | None, after: float | None) -> str:
    return " → ".join(f"{value:.3f}" for value in (before, after) if value is not None) or "–"


def _files(adapter: Adapter) -> list[str]:
    visible = (path for path in adapter.folder.iterdir() if not path.name.startswith("."))
    return sorted(path.name + "/" * path.is_dir() for path in visible)
