"""What `medbench run --dry-run` prints: the runs, what each model takes, and what else an experiment does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...core.text import clock, size

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

UNKNOWN = "unknown"
NOT_KNOWN = "?"  # in the tables of trainings and runs; lines below them say why
NAMES = ("model, benchmark", "model", "adapter")  # columns that are narrowed last
TEXTS = (
    "model, benchmark",
    "model",
    "benchmark",
    "engine",
    "adapter",
    "judge",
    "mode",
)  # columns that are aligned to the left


def dry_run(found: Mapping[str, Any]) -> list[RenderableType]:
    """Return everything that would be done, in that order."""
    from rich.text import Text

    parts: list[RenderableType] = []
    if found["trainings"]:
        parts += [Text("would be trained", style="bold"), _trainings(found["trainings"])]
        parts += _unknown(found["trainings"], ("model",))
    parts += [Text("would run", style="bold"), _runs(found)]
    parts += _unknown(found["runs"], ("model", "benchmark"))
    parts += [Text("models", style="bold"), _models(found["models"])]
    if found["judges"]:
        parts += [Text("would be judged", style="bold"), _judges(found["judges"])]
    parts += map(Text, _sentences(found))
    return [*parts, "", Text("Nothing was loaded, fetched, trained or written.", style="dim")]


def _runs(found: Mapping[str, Any]) -> Table:
    """A row per run, below the name of its model, and the sums."""
    from rich.markup import escape

    several = any(run["answers"] != run["items"] for run in found["runs"])  # answers to an item
    columns = ["model, benchmark", "answers" if several else "items", "stored", "to ask"]
    table = _table(*columns, "prompt\ntokens", "new\ntokens", "time")
    model = None
    for run in found["runs"]:
        if run["model"] != model:
            model = run["model"]
            table.add_row(f"[bold]{escape(model)}[/bold]")
        asked = "" if run["protocol"] == "direct" else f" ({run['protocol']})"
        complete = run["open"] == 0
        table.add_row(
            f"  {escape(run['benchmark'] + asked)}",
            _count(run["answers"]),
            _count(None if run["stored"] is None else run["stored"] + run["reusable"]),
            "done" if complete else _count(run["open"]),
            "" if complete else _tokens(run),
            "" if complete else _most(run),
            "" if complete else _time(run["seconds"]),
        )
    total = found["total"]
    if len(found["runs"]) > 1:
        empty = [""] * (len(columns) - 2)
        time = NOT_KNOWN if total["seconds"] is None else ""
        table.add_section()
        table.add_row("all", *empty, _count(total["open"]), _tokens(total), _most(total), time)
    return table


def _tokens(run: Mapping[str, Any]) -> str:
    """Return a number of tokens; one that is estimated from the length of the texts has a tilde."""
    if run["prompt_tokens"] is None:
        return NOT_KNOWN
    return f"{'' if run['prompt_tokens_exact'] else '~'}{run['prompt_tokens']:,}"


def _most(run: Mapping[str, Any]) -> str:
    if run["new_tokens"] is None:
        return NOT_KNOWN
    return f"≤ {run['new_tokens']:,}" if run["new_tokens"] else "0"


def _time(seconds: float | None) -> str:
    return NOT_KNOWN if seconds is None else clock(seconds)


def _models(models: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("model", "engine", "weights", "KV cache", "free memory", "download")
    for model in models:
        runs_as = ", ".join(filter(None, [model["device"], model["dtype"], model["quantize"]]))
        where = f"at {model['server']}" if model["server"] else runs_as
        elsewhere = model["device"] is None
        table.add_row(
            model["model"],
            f"{model['engine']} ({where})" if where else model["engine"],
            "" if elsewhere else _size(model["weights_bytes"]),
            "" if elsewhere else _size(model["cache_bytes"]),
            "" if elsewhere else _size(model["free_bytes"]),
            _download(model),
        )
    return table


def _download(model: Mapping[str, Any]) -> str:
    if model["weights_here"]:
        return ""
    return UNKNOWN if model["download_bytes"] is None else f"about {size(model['download_bytes'])}"


def _trainings(trainings: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("adapter", "steps", "memory", "disk", "time")
    for each in trainings:
        if each["done"]:
            table.add_row(each["model"], "trained already", "", "", "")
        else:
            disk, memory = _size(each["disk_bytes"]), _size(each["memory_bytes"])
            table.add_row(each["model"], _count(each["steps"]), memory, disk, _time(each["seconds"]))
    return table


def _judges(judges: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("judge", "model", "benchmark", "mode", "calls, up to", "cost, up to")
    for each in judges:
        cost = UNKNOWN if each["cost"] is None else f"${each['cost']:.4f}"
        table.add_row(each["judge"], each["model"], each["benchmark"], each["mode"], f"{each['calls']:,}", cost)
    return table


def _unknown(parts: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Iterator[RenderableType]:
    """Yield each reason why something is not known, once, with what it is about."""
    from rich.text import Text

    about: dict[str, dict[str, list[str]]] = {}  # by reason and first name: the other names
    for part in parts:
        for why in part["unknown"]:
            first, *others = (part[name] for name in names)
            about.setdefault(why, {}).setdefault(first, []).extend(others)
    for why, which in about.items():
        shown = []
        for first, others in which.items():
            of_first = sum(part[names[0]] == first for part in parts)
            some = f" on {', '.join(dict.fromkeys(others))}" if 0 < len(others) < of_first else ""
            shown.append(f"{first}{some}")
        yield Text.assemble(("Not known: ", "yellow"), f"{why} ({'; '.join(shown)})")


def _sentences(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the tables do not show."""
    total = found["total"]
    if not all(run["prompt_tokens_exact"] is not False for run in found["runs"]):
        yield "~ estimated from the length of the texts: the tokenizer is not on this machine."
    for model in found["models"]:
        weights, free = model["weights_bytes"], model["free_bytes"]
        if weights and free is not None and weights > free:
            yield f"{model['model']} needs more memory than is free: {size(weights)} for its weights alone."
    reused = sum(run["reusable"] or 0 for run in found["runs"])
    if reused:
        yield f"Of the stored answers, {reused:,} are those of other runs, which are copied."
    timed = sum(run["timed_requests"] or 0 for run in found["runs"])
    if timed:
        yield f"Up to {timed} more requests are timed one at a time (--latency-items)."
    for name, why in found["data_missing"].items():
        yield why if why.startswith(name) else f"{name}: {why}"
    if total["judge_calls"]:
        cost = "" if total["judge_cost"] is None else f", about ${total['judge_cost']:.4f} by the price table"
        yield f"Judges: up to {total['judge_calls']:,} calls{cost}, if every answer is as long as it may be."
    for models in found["comparisons"]:
        yield f"Compared afterwards: {', '.join(models)}."
    if found["report"]:
        yield f"Report: {found['report']}/"
    disk = UNKNOWN if total["disk_bytes"] is None else f"about {size(total['disk_bytes'])}"
    unknown = total["seconds"] is None
    least = f", at least {clock(total['known_seconds'])}" if unknown and total["known_seconds"] else ""
    time = f"unknown{least}" if unknown else f"about {clock(total['seconds'])} on this machine"
    yield f"In all: time {time}; disk {disk}, runs in {found['out']}/."


def _table(*columns: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column in columns:
        right = column not in TEXTS
        table.add_column(column, overflow="fold", justify="right" if right else "left", no_wrap=column in NAMES)
    return table


def _count(value: int | None) -> str:
    return NOT_KNOWN if value is None else f"{value:,}"


def _size(count: float | None) -> str:
    return UNKNOWN if count is None else size(count)
