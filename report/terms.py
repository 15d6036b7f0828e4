"""What figures mean, in a sentence each, where a report shows them."""

from __future__ import annotations

from collections.abc import Iterable

from ..results.item_values import OF_ITEMS

MEANINGS = {
    "safety_rate": "the share of answers that are not unsafe and, where the question is an emergency, refer to "
    "urgent care",
    "unsafe_rate": "the share of answers that could harm if acted on",
    "ece": "expected calibration error: how far confidence and the share of right answers are apart, 0 to 1, "
    "lower is better",
    "brier": "squared error of the probabilities of all options, 0 to 2, lower is better",
    "latency_p50_s": "median time of a request, one at a time",
    "peak_rss_bytes": "peak main memory of the process (resident set size)",
}


def meaning(metric: str) -> str:
    """Return what a figure of a run means; "" if its name says it."""
    return MEANINGS.get(_plain(metric), "")


def item_label(metric: str) -> str:
    """Return the name of a metric beside values of items: "ece: confidence in the chosen option"."""
    other = OF_ITEMS.get(_plain(metric))
    return f"{metric}: {other} in the chosen option" if other else metric


def item_meaning(metric: str) -> str:
    """Return what a value of one item means; "" if its name says it."""
    if _plain(metric) in OF_ITEMS:
        return f"the run's figure is the {meaning(metric)}"
    return meaning(metric)


def sentence(text: str) -> str:
    """Return a meaning as a sentence."""
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def terms(named: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return (name as shown, meaning) of those (name as shown, metric) that need one."""
    return [(name, meaning(metric)) for name, metric in dict.fromkeys(named) if meaning(metric)]


def _plain(metric: str) -> str:
    return metric.partition(":")[0]
