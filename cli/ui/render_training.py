"""What `medbench train` prints: the recipe with its reasons, the result, and the table of a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.text import clock, size

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from ...zoo.adapter_manifest import AdapterManifest

UNKNOWN = "unknown"
OWN_RECIPE = "medbench's own"
OURS = "ours"  # the source of a recipe that follows no publication; also marks reasons


def dry_run(found: Mapping[str, Any]) -> list[RenderableType]:
    """Return the whole recipe, stage by stage, then the resources it needs."""
    from rich.markup import escape
    from rich.text import Text

    own = found["recipe_source"] == OURS
    here = "on this machine" if found["weights_here"] else "not on this machine yet"
    parts: list[RenderableType] = [
        Text(f"{found['adapter']} would be trained from {found['weights']} ({here})", style="bold"),
        f"recipe: {OWN_RECIPE if own else escape(found['recipe_source'])}",
        *(f"· {escape(note)}" for note in found["notes"]),
    ]
    for number, stage in enumerate(found["stages"], start=1):
        of = f" ({number} of {len(found['stages'])})" if len(found["stages"]) > 1 else ""
        parts += ["", Text(f"stage {stage['name']}{of}", style="bold"), _fields(stage["fields"], own)]
        parts += ["", _needs(stage, found)]
        parts += [f"· {escape(note)}" for note in stage["data_notes"]]
        parts += [f"[yellow]Not known:[/yellow] {escape(why)}" for why in stage["unknown"]]
        if stage.get("example"):
            parts += ["", Text("one example as tokens; the learned part is green", style="bold")]
            parts.append(Text.assemble(*((text, "green" if learned else "dim") for text, learned in stage["example"])))
    if "leaks_unchecked" in found:
        parts += ["", *map(Text, _left_out(found))]
    return [*parts, "", Text("Nothing was fetched, written or trained.", style="dim")]


def dry_run_sweep(found: Mapping[str, Any]) -> list[RenderableType]:
    """Return what each variant and the ranking need, one line per variant."""
    from rich.markup import escape
    from rich.text import Text

    table = _table("variant", "adapter", "steps", "memory", "disk", "time")
    unknown: dict[str, None] = {}
    total: float | None = 0.0
    for each in found["variants"]:
        stages = each["stages"]
        seconds = _sum(stages, "seconds")
        total = None if total is None or seconds is None else total + seconds
        memory = max((stage["memory_bytes"] for stage in stages if stage["memory_bytes"]), default=None)
        table.add_row(
            escape(each["variant"]),
            each["adapter"],
            _count(_sum(stages, "steps")),
            _size(memory),
            _size(_sum(stages, "disk_bytes")),
            UNKNOWN if seconds is None else clock(seconds),
        )
        unknown |= dict.fromkeys(f"stage {stage['name']}: {why}" for stage in stages for why in stage["unknown"])
    parts: list[RenderableType] = [table, *(f"[yellow]Not known:[/yellow] {escape(why)}" for why in unknown)]
    took = "an unknown time" if total is None else f"about {clock(total)} on this machine"
    parts.append(f"training {len(found['variants'])} variants takes {took}")
    if ranking := found["ranking"]:
        asked = ranking["models"] * ranking["items"]
        written = f" and at most {ranking['new_tokens']:,} new ones" if ranking["new_tokens"] else ""
        parts += map(Text, ranking["sentences"])
        parts.append(
            f"ranking takes {asked:,} answers, about {ranking['prompt_tokens']:,} prompt tokens{written}: up to about "
            f"{clock(ranking['seconds'])} on this machine"
        )
    return [*parts, "", Text("Nothing was fetched, written or trained.", style="dim")]


def _sum(stages: Sequence[Mapping[str, Any]], field: str) -> Any:
    """The sum of a field; None if it is unknown in any stage."""
    values = [stage[field] for stage in stages]
    return None if None in values else sum(values)


def _left_out(found: Mapping[str, Any]) -> list[str]:
    """What --leave-out-leaks would do, as far as this machine's data tell."""
    count = sum(len(stage.get("left_out") or ()) for stage in found["stages"])
    lines = [f"--leave-out-leaks would leave out {count:,} examples that hold scored items."]
    if unchecked := found["leaks_unchecked"]:
        lines.append(f"Not checked, because their data are not here: {', '.join(unchecked)}.")
    return lines


def result(manifest: AdapterManifest, folder: Path) -> list[RenderableType]:
    """Return what a finished training run measured, and its folder."""
    from rich.text import Text

    from ...training.leak_refusal import report

    table = _table("stage", "steps", "loss first → last", "held-out loss before → after", "time", "tokens/s", "peak")
    for stage in manifest.stages:
        table.add_row(
            stage["name"],
            f"{stage['steps']:,}",
            _change(stage["loss_first"], stage["loss_last"]),
            _change(stage["eval_loss_before"], stage["eval_loss_after"]),
            clock(stage["seconds"]),
            f"{stage['tokens_per_s'] or 0:,.0f}",
            _size(stage["peak_gpu_memory_bytes"] or stage["peak_rss_bytes"]),
        )
    leaked = {name: len(items) for name, items in manifest.leaked.items()}
    return [
        Text(f"{manifest.name} is trained: {folder}", style="bold"),
        table,
        "Losses are cross-entropy in nats per token, means of the first and last tenth of the steps; the curve: "
        + str(folder / "loss.png"),
        *map(Text, _trained_without(manifest)),
        *map(Text, report(manifest.name, leaked, len(manifest.unchecked))),
    ]


def _trained_without(manifest: AdapterManifest) -> list[str]:
    from ...training import leak_check, resume

    left_out = resume.left_out(manifest)
    if left_out is None:
        return []
    held = f": {leak_check.words(left_out)}" if left_out else ""
    return [f"Left out of training because they hold scored items: {len(left_out):,} examples{held}."]


def study(rows: Sequence[tuple[str, AdapterManifest | None, str]]) -> list[RenderableType]:
    """One row per variant, the best held-out loss marked."""
    from rich.markup import escape

    table = _table("variant", "adapter", "loss last", "held-out loss before → after", "time", "tokens/s")
    looked = [m.stages[-1]["eval_loss_after"] for _, m, _ in rows if m and m.stages[-1]["eval_loss_after"] is not None]
    best = min(looked, default=None)
    for label, manifest, problem in rows:
        if manifest is None:
            table.add_row(escape(label), f"[red]failed[/red] {escape(problem.splitlines()[0])}", "", "", "", "")
            continue
        last = manifest.stages[-1]
        mark = " ★" if last["eval_loss_after"] is not None and last["eval_loss_after"] == best else ""
        seconds, tokens = (sum(stage[name] for stage in manifest.stages) for name in ("seconds", "tokens"))
        table.add_row(
            escape(label),
            manifest.name,
            _loss(last["loss_last"]),
            _change(last["eval_loss_before"], last["eval_loss_after"]) + mark,
            clock(seconds),
            f"{tokens / seconds:,.0f}" if seconds else "",
        )
    return [table, "★ lowest held-out loss. Losses are cross-entropy in nats per token; differences are not tested."]


def _fields(fields: Sequence[Mapping[str, str]], own: bool) -> Table:
    """Return a table of a stage's values. In medbench's `own` recipe, no reason is marked as ours."""
    from rich.markup import escape

    table = _table("field", "value", "why")
    for field in fields:
        reason = field["reason"].removeprefix(f"{OURS}: ") if own else field["reason"]
        table.add_row(field["field"], escape(field["value"]), escape(reason))
    return table


def _needs(stage: Mapping[str, Any], found: Mapping[str, Any]) -> Table:
    table = _table("what it takes", "")
    cut = f", {stage['answers_cut']:,} answers cut, {stage['dropped']:,} dropped" if stage["tokens"] is not None else ""
    share = (
        f" ({stage['trainable'] / stage['parameters']:.2%} of {stage['parameters']:,})" if stage["trainable"] else ""
    )
    memory = stage["memory"]
    of = (
        f" (weights {size(memory['weights_bytes'])}, adapter, gradients and optimizer "
        f"{size(memory['adapter_bytes'] + memory['gradients_bytes'] + memory['optimizer_bytes'])}, activations "
        f"{size(memory['activations_bytes'])}"
        + (f", Python and libraries {size(memory['process_bytes'])})" if memory["process_bytes"] else ")")
        if memory
        else ""
    )
    rows = {
        "trainable parameters": _count(stage["trainable"]) + share,
        "examples": f"{stage['examples']:,}, {stage['held_out']:,} held out{cut}" if stage["examples"] else UNKNOWN,
        "tokens in them": f"{stage['tokens']:,}, {stage['learned_tokens']:,} of them learned"
        if stage["tokens"]
        else UNKNOWN,
        "optimizer steps": f"{_count(stage['steps'])}, with {stage['examples_per_step']} examples each",
        "memory": f"about {size(stage['memory_bytes'])}{of}" if memory else UNKNOWN,
        "disk while it trains": f"about {size(stage['disk_bytes'])}" if memory else UNKNOWN,
        "time": f"about {clock(stage['seconds'])} on this machine ({found['device']})" if stage["seconds"] else UNKNOWN,
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _table(*columns: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _count(value: int | None) -> str:
    return UNKNOWN if value is None else f"{value:,}"


def _size(count: float | None) -> str:
    return UNKNOWN if count is None else size(count)


def _loss(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _change(before: float | None, after: float | None) -> str:
    return f"{_loss(before)} → {_loss(after)}" if before is not None and after is not None else _loss(after)
