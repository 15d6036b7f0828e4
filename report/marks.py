"""Words of answers that explain their scores: entities recalled, missed or invented, and the signs of safety labels.

They are read by the functions behind `medbench explain`, for runs with these metrics. Reading takes time, so each
benchmark has a limit of answers; those that the metrics call unsafe come first.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..core.errors import MedbenchError
from ..core.types import Record
from ..metrics.entities import scores as entities
from ..metrics.entities.items import Mention
from ..metrics.safety import rates as safety
from .scored import ScoredRun

MOST_SAFETY = 60  # answers of a benchmark that are read again for safety
MOST_ENTITIES = 300  # and for entities
SAFETY = ("safety_rate", "unsafe_rate", "disclaimer_rate", "referral_rate", "refusal_rate")
ENTITIES = ("entity_f1", "entity_recall", "entity_precision", "hallucinated_entity_rate")
EMERGENCY = "emergency"  # the one label of the question
SIGNS = {"recalled": "+", "missed": "–", "allowed": "=", "invented": "!", "denied": "¬", "reference_denied": "~"}


def _name(group: str) -> str:
    """Return the mark of a group of entities, as a CSS class may be called: the page shows spaces for its hyphens."""
    return entities.SHOWN_AS.get(group, group).replace(" ", "-")


# What each mark means, and the sign that it has besides its color
LEGEND = {
    **{_name(group): (sign, f"an entity {entities.MEANINGS[group]}") for group, sign in SIGNS.items()},
    **{name: (name, meaning) for name, meaning in safety.MEANINGS.items() if name != EMERGENCY},
}

Segments = list[list[Any]]  # [text, the names of its marks…], whose texts joined are the text
Spans = list[tuple[int, int, str]]


@dataclass
class Marks:
    """The marks of a benchmark's answers, by run and answer, and those of its questions."""

    answers: dict[tuple[int, tuple[str, int]], dict[str, Any]] = field(default_factory=dict)
    emergencies: dict[str, list[str]] = field(default_factory=dict)  # by item: the words that describe one
    left_out: int = 0  # answers of these metrics beyond the limit

    @property
    def legend(self) -> dict[str, tuple[str, str]]:
        """The marks that occur, with sign and meaning."""
        used = {
            name
            for marked in self.answers.values()
            for segments in (marked["text"], marked.get("reference", ()))
            for _, *names in segments
            for name in names
        }
        return {name: told for name, told in LEGEND.items() if name in used}


def marks(scored: Sequence[ScoredRun]) -> Marks:
    """Return the marks of answers to one benchmark. What cannot be read has none."""
    found = Marks()
    spans: dict[tuple[int, tuple[str, int]], Spans] = {}
    wanted = _wanted(scored, SAFETY)
    found.left_out = max(0, len(wanted) - MOST_SAFETY)
    _safety(wanted[:MOST_SAFETY], spans, found)
    compared = _wanted(scored, ENTITIES, compared=True)
    found.left_out = max(found.left_out, len(compared) - MOST_ENTITIES)
    for run, record in compared[:MOST_ENTITIES]:
        key = run, record.key
        own = spans.setdefault(key, [])
        try:
            one = entities.compare(record, _pipeline(scored[run]))
        except MedbenchError:
            continue
        said = {"recalled": one.supported, "allowed": one.allowed, "invented": one.invented, "denied": one.denied}
        own += _of(said)
        expected = {name: getattr(one, name) for name in ("recalled", "missed", "reference_denied")}
        found.answers[key] = {"reference": segments(one.reference, _of(expected))}
    texts = {(run, record.key): record.output.text or "" for run, record in (*wanted, *compared)}
    for key, own in spans.items():
        found.answers[key] = {"text": segments(texts[key], own)} | found.answers.get(key, {})
    return found


def segments(text: str, spans: Iterable[tuple[int, int, str]]) -> Segments:
    """Return the text in parts, each with the names of the spans that it is in."""
    kept = [(max(0, start), min(len(text), end), name) for start, end, name in spans if start < end]
    edges = sorted({0, len(text), *(edge for start, end, _ in kept for edge in (start, end))})
    parts = []
    for low, high in itertools.pairwise(edges):
        names = dict.fromkeys(name for start, end, name in kept if start <= low and high <= end)
        parts.append([text[low:high], *names])
    return parts


def _wanted(scored: Sequence[ScoredRun], metrics: Sequence[str], *, compared: bool = False) -> list[tuple[int, Record]]:
    """Return (run, record) of the written answers of runs with one of these metrics: unsafe ones, then item by item.

    `compared`: only answers that have a reference to be compared with.
    """
    runs = [at for at, run in enumerate(scored) if any(_plain(name) in metrics for name in run.scores)]
    order = {item_id: at for at, item_id in enumerate(scored[0].run.manifest.item_ids)}
    found = [
        (at, record)
        for at in runs
        for records in scored[at].answers.values()
        for record in records
        if record.output.text and (not compared or any(map(str.strip, record.item.references)))
    ]
    return sorted(found, key=lambda each: (not _unsafe(scored[each[0]], each[1]), order[each[1].item.id], each[0]))


def _unsafe(run: ScoredRun, record: Record) -> bool:
    values = [(name, run.scores.get(name, {}).get(record.key)) for name in ("unsafe_rate", "safety_rate")]
    return any(score is not None and score.value == (name == "unsafe_rate") for name, score in values)


def _safety(wanted: Sequence[tuple[int, Record]], spans: dict[Any, Spans], found: Marks) -> None:
    try:
        readings = safety.read([(safety.question_of(record.item), record.output.text or "") for _, record in wanted])
    except MedbenchError:
        return
    for (run, record), reading in zip(wanted, readings, strict=True):
        labels = safety.as_scored(record.item, reading).labels
        asked = safety.question_of(record.item)
        said = [each for each in reading.evidence if labels.get(each.label)]
        spans.setdefault((run, record.key), []).extend(
            (each.start, each.end, each.label) for each in said if each.label != EMERGENCY
        )
        words = [asked[each.start : each.end].strip() for each in said if each.label == EMERGENCY]
        if words:
            found.emergencies[record.item.id] = words


def _of(groups: Mapping[str, Sequence[Mention]]) -> Spans:
    return [(mention.start, mention.end, _name(group)) for group, mentions in groups.items() for mention in mentions]


def _pipeline(run: ScoredRun) -> str:
    """Return the pipeline of the run's entity metrics: "entity_f1:PIPELINE"."""
    return next((name.partition(":")[2] for name in run.scores if _plain(name) in ENTITIES), "")


def _plain(metric: str) -> str:
    return metric.partition(":")[0]
