"""Names of judges' scores, and the metric for such a name.

    judge:MODE:JUDGE:MODEL:HASH      one judge. MODEL has a local model's revision, and a server's host if not the usual
    jury:MODE:JUDGE:MODEL~…:HASH     several

HASH is the mode's: of its prompt file and schema.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..core.errors import UsageError
from ..core.types import MetricFamily
from .criteria import CriteriaGrades
from .jury import Jury, PreferenceJury
from .metric import JudgeGrades, Preferred
from .modes import Mode, mode_of
from .safety import SafetyGrades

JUDGE, JURY = "judge", "jury"
AND = "~"  # between the judges of a jury


def metric_name(mode: Mode, label: str) -> str:
    """The name of the scores that the judge called `label` ("groq:openai/gpt-oss-120b") gives in a mode."""
    return f"{JUDGE}:{mode.name}:{label}:{mode.hash}"


def jury_name(metrics: Sequence[str]) -> str:
    """The name of the jury of several judges' metrics, all of one mode."""
    parts = [name.split(":") for name in sorted(metrics)]  # sorted: the order of the judges makes no other jury
    return ":".join([JURY, parts[0][1], AND.join(":".join(part[2:-1]) for part in parts), parts[0][-1]])


def judge_metric(name: str) -> JudgeGrades | CriteriaGrades | SafetyGrades | Preferred | Jury | PreferenceJury:
    """The metric called `judge:…` or `jury:…`. Raises UsageError for a name that is neither."""
    kind, *parts = name.split(":")
    if kind not in (JUDGE, JURY) or len(parts) < 4:
        raise UsageError(f"no judge's scores are called '{name}'.", "To ask a judge: medbench score RUN --judge groq")
    mode, label = mode_of(parts[0]), ":".join(parts[1:-1])
    grades = CriteriaGrades if mode.over_criteria else SafetyGrades if mode.quotes else JudgeGrades
    if kind == JUDGE:
        return Preferred(name, mode, label) if mode.both_orders else grades(name, mode, label)
    each = [(":".join([JUDGE, parts[0], one, parts[-1]]), mode, one) for one in label.split(AND)]
    if mode.both_orders:
        return PreferenceJury(name, mode, tuple(Preferred(*one) for one in each))
    return Jury(name, mode, tuple(grades(*one) for one in each))


# Stored replies are read by installed code, whatever the judge was.
JUDGE_FAMILY = MetricFamily(JUDGE, judge_metric, "Grades or preferences of one judge, from its stored replies.", True)
JURY_FAMILY = MetricFamily(JURY, judge_metric, "What several judges agree on, from their stored replies.", True)
