"""What is said about leaks in training data: when training is refused, and the lines of the report."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from ..benchmarks.leaks import Leaks

NAMED = 5  # ids listed in a message


def refusal(leaks: Mapping[str, Leaks], allowed: Collection[str]) -> str:
    """Return why training on these data is refused: they contain items of benchmarks (by name) that are not `allowed`.

    "" if they contain none.
    """
    held = {name: found.items for name, found in leaks.items() if found.items and name not in allowed}
    if not held:
        return ""
    parts = [f"{len(ids):,} of {name} ({_first(ids)})" for name, ids in held.items()]
    allow = " ".join(f"--allow-leak {name}" for name in held)
    return (
        f"the training data contain scored items, question and answer: {'; '.join(parts)}.\n"
        f"To train without them: --leave-out-leaks. To train on them: {allow}; the leaderboard then shows those "
        "scores without these items too."
    )


def report(adapter: str, found: Mapping[str, int], unchecked: int) -> list[str]:
    """Return the result of an adapter's leak check as lines: items found, and how many benchmarks were checked.

    `found` has the number of leaked items of every benchmark that was checked. If none was, the result is unknown.
    `unchecked` is the number of benchmarks that were not checked; `medbench adapters show` lists them with the reasons.
    """
    held = [f"{count:,} of {name}" for name, count in found.items() if count]
    total = len(found) + unchecked
    of_all = f"{len(found)} of {total} benchmarks checked"
    if not found:
        lines = ["Scored items in the training texts: unknown, because no benchmark could be checked."]
    else:
        clean = [name for name, count in found.items() if not count]
        rest = f"; none of {', '.join(clean)}" if held and clean else ""
        items = ", ".join(held) + rest if held else f"none of {', '.join(clean)}"
        lines = [f"Scored items in the training texts: {items} ({of_all})."]
    if unchecked:
        lines.append(
            f"Not checked: {unchecked} of {total} benchmarks, and runs on them will say so. Which, and why: medbench "
            f"adapters show {adapter}"
        )
    return lines


def _first(ids: Sequence[str]) -> str:
    return ", ".join(ids[:NAMED]) + (", …" if len(ids) > NAMED else "")
