"""What the metrics over a pipeline's mentions have in common: the name, the version, and which answers are scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Self

from ...core.types import Figure, MetricDefaults, Record, Score
from ..figures import failed, mean_figure, unscored
from . import mentions, pipelines
from .mentions import Analysis

VERSION = "7"  # raised whenever the same analysis would give another score


@dataclass(frozen=True)
class PipelineMetric(MetricDefaults):
    """A share, 0..1, averaged over items. Its name includes the pipeline that finds the mentions."""

    name: str
    summary: str = field()
    pipeline: str = pipelines.EMBEDDED  # an argument of `pipelines.find`
    binary: bool = False
    mean: bool = True
    better: Literal["higher", "lower"] = "higher"
    dimension: str = "accuracy"
    unit: str = "0..1"

    takes_setting: bool = True

    @property
    def canonical_name(self) -> str:  # type: ignore[override]
        """The name including the pipeline, under which scores are stored."""
        return self.name if ":" in self.name else f"{self.name}:{self.pipeline}"

    @property
    def version(self) -> str:
        """The version of this code and of the pipeline: scores from another pipeline do not count as scores of this
        one.
        """
        found = pipelines.find(self.pipeline)
        return f"{VERSION}.{mentions.VERSION}+{found.version}+{found.digest}"

    def with_setting(self, pipeline: str) -> Self:
        """The same metric over another pipeline: a name or a folder, which is named by its whole path. Raises
        MedbenchError where there is none.
        """
        found = pipelines.find(pipeline or pipelines.EMBEDDED).name
        return replace(self, name=f"{self.name.partition(':')[0]}:{found}", pipeline=found)

    def score(self, records: Sequence[Record]) -> list[Score]:
        flaws = [_flaw(record) for record in records]
        texts = [text for record, flaw in zip(records, flaws) if not flaw for text in texts_of(record)]
        read = mentions.analyse(pipelines.find(self.pipeline), texts) if texts else {}
        return [
            unscored(record, flaw) if flaw else self._score(record, read)
            for record, flaw in zip(records, flaws, strict=True)
        ]

    def _score(self, record: Record, read: Mapping[str, Analysis]) -> Score:
        """Score a record that has an answer and a reference. `read` has the analysis of every text of its item."""
        raise NotImplementedError

    def aggregate(self, records: Sequence[Record], scores: Sequence[Score]) -> list[Figure]:
        return [mean_figure(self.name, records, scores, binary=False, better=self.better, in_0_1=True)]


def _flaw(record: Record) -> str:
    """Return why an answer has no entities to count; "" if it has a text and a reference."""
    if reason := failed(record):
        return reason
    if record.output.text is None:
        return "no generated answer"
    return "" if any(map(str.strip, record.item.references)) else "no reference answer"


def texts_of(record: Record) -> list[str]:
    """Return question, context, references and answer. If two define an abbreviation differently, the first counts."""
    item = record.item
    return [item.question, item.context, *item.references, record.output.text or ""]
