"""Order and filter the lines of a summary by its columns: `leaderboard --sort` and `--where`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..core.errors import UsageError
from .conditions import Wrong, met, parsed
from .summary import SAFETY, SEVERAL_WAYS_SAFETY, Heading, ModelRow, Summary, cell_value

NO_SAFETY = "No run here has safety_rate yet. To compute it: medbench score RUN --metrics safety_rate"
UNASKED = {  # what to do for a column that runs have only if it is asked for
    "safety": NO_SAFETY,
    SAFETY: NO_SAFETY,
    "latency": "These runs timed no request: --latency-items.",
}


def ordered(found: Sequence[Summary], by: str) -> tuple[Summary, ...]:
    """Return the lines by one column, best first, those without a figure last. A summary without it stays as it is.

    Raises UsageError if none has it.
    """
    names = _names_in(found)
    if found and by not in names:
        unasked = f"{_unasked(found, by)}\n" if by in UNASKED else ""
        raise UsageError(f"no column here is called '{by}'.", f"{unasked}The columns: {_listed(found)}")
    return tuple(_ordered(one, names[by]) for one in found)


def _unasked(found: Sequence[Summary], by: str) -> str:
    several = UNASKED[by] == NO_SAFETY and any(SEVERAL_WAYS_SAFETY in one.notes for one in found)
    return SEVERAL_WAYS_SAFETY if several else UNASKED[by]


def _ordered(found: Summary, name: str) -> Summary:
    at = next((at for at, heading in enumerate(found.headings) if heading.name == name), None)
    if at is None:
        return found
    lower = found.headings[at].better == "lower"

    def rank(line: ModelRow) -> tuple[bool, float]:
        value = cell_value(line.cells[at])
        return value is None, 0.0 if value is None else value if lower else -value

    return replace(found, lines=tuple(sorted(found.lines, key=rank)))


def filtered(found: Sequence[Summary], condition: str) -> tuple[Summary, ...]:
    """Return the lines that meet a condition on columns, such as "medqa > 0.4 and peak_rss_bytes < 2e9".

    A line does not meet it if that depends on a figure it lacks. Raises UsageError for a condition that cannot be
    understood.
    """
    try:
        asked = parsed(condition, _names_in(found))
    except Wrong as error:
        raise UsageError(
            f"--where {condition!r} cannot be understood: {error}.", f"The columns here: {_listed(found)}"
        ) from error
    columns = dict.fromkeys(heading.name for one in found for heading in one.headings)

    def meets(line: ModelRow, headings: Sequence[Heading]) -> bool:
        return met(asked, columns | {heading.name: cell_value(cell) for heading, cell in zip(headings, line.cells)})

    kept = []
    for one in found:
        lines = tuple(line for line in one.lines if meets(line, one.headings))
        none = () if lines else (f"No model meets: {condition}",)
        kept.append(replace(one, lines=lines, notes=(*none, *one.notes)))
    return tuple(kept)


def _names_in(found: Sequence[Summary]) -> dict[str, str]:
    """Return what a column may be called, with its name: the heading, "safety", "latency", "memory", and a benchmark
    without what its heading says in brackets, if only one column is of it.
    """
    headings = [heading for one in found for heading in one.headings]
    kinds: dict[str, str] = {heading.kind: heading.name for heading in headings if heading.kind != "benchmark"}
    plain = [heading.name.partition(" ")[0] for heading in headings]
    short = {name: heading.name for name, heading in zip(plain, headings) if plain.count(name) == 1}
    return {**short, **kinds, **{heading.name: heading.name for heading in headings}}


def _listed(found: Sequence[Summary]) -> str:
    """Return the names of all columns: "medqa, mean, memory (peak_rss_bytes)"."""
    headings = [heading for one in found for heading in one.headings]
    plain = {heading.name for heading in headings if heading.kind in ("benchmark", heading.name)}
    return ", ".join(dict.fromkeys(h.name if h.name in plain else f"{h.kind} ({h.name})" for h in headings))
