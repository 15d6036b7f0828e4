"""A judge's stored replies as a metric: pure functions of a run's answers and the replies in its `judgements` folder.

Nothing here asks a judge (judging.py does). An answer without a stored reply is unscored, never guessed.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ..core.hashing import fingerprint
from ..core.types import AnswerKey, Figure, Item, MetricDefaults, Record, Score
from ..metrics.figures import failed, mean_figure, unfinished, unscored
from ..results.files import malformed
from ..results.judgments import JudgeHeader, JudgeReply
from ..results.manifest import ModelRecord
from ..results.store import StoredRun
from .modes import FIRST, PREFERENCE, SECOND, Mode, fields_of, read, reason

SHOWN = 160  # characters of an invalid reply that are quoted in the reason

NOT_JUDGED = "not judged"


def asked(item: Item, answer: str, second: str = "") -> str:
    """Return a name for what a judge was shown. Another answer, or the two in reverse order, has another name."""
    return fingerprint([item.question, item.context, list(item.references), answer, second])


def not_to_judge(record: Record, mode: Mode) -> str:
    """Return why an answer is not judged; "" if it is. An empty answer is judged, unfinished reasoning is not."""
    if why := failed(record) or unfinished(record):
        return why
    if record.item.options or record.output.text is None:
        return "multiple choice: not judged"
    if mode.over_criteria and not record.item.criteria:
        return "no criteria"
    return "no reference answer" if mode.needs_reference and not record.item.references else ""


def by_itself(judge: ModelRecord, model: ModelRecord) -> bool:
    """Return whether two models are one: the same weights and adapter, or one name at one server."""
    if judge.base_url or model.base_url:
        return _at_server(judge) == _at_server(model)
    # A zoo entry's weights have one revision from the hub and another from a package, under the same name.
    one_name = judge.name and (judge.engine, judge.name) == (model.engine, model.name)
    one = one_name or (judge.revision and judge.revision == model.revision)
    return bool(one) and (judge.adapter_hash or "") == (model.adapter_hash or "")


def _at_server(model: ModelRecord) -> tuple[str, str, str]:
    return model.engine, model.location or "", model.base_url or ""


@dataclass(frozen=True)
class JudgeGrades(MetricDefaults):
    """One judge's grades of a run's answers. Made by name, it has no replies: `of_run` reads them."""

    name: str
    mode: Mode
    judge: str  # as --judge names it
    replies: Mapping[str, JudgeReply] = field(default_factory=dict, repr=False)
    fields: Mapping[str, Sequence[Any]] = field(default_factory=dict, repr=False)
    remark: str = ""  # shown below tables
    version: str = "1"
    binary: bool = False
    mean: bool = True
    dimension: str = "text quality"

    @property
    def better(self) -> Literal["higher", "lower"]:
        return self.mode.better

    @property
    def unit(self) -> str:  # type: ignore[override]
        """The scale of its grades: "1 to 5"."""
        grades = [grade for values in self.mode.fields.values() for grade in values]
        return f"{min(grades)} to {max(grades)}"

    def of_run(self, run: StoredRun) -> JudgeGrades:
        """Return the metric with the run's stored replies. Raises DataMalformed if their file is damaged."""
        header, replies = run.judgements(self.name)
        if not header:
            return self
        own = by_itself(header.model, run.manifest.model)
        return dataclasses.replace(
            self,
            replies=replies,
            fields=_fields(run, self.name, header),
            remark=f"judged by itself ({self.judge})" if own else "",
        )

    def score(self, records: Sequence[Record]) -> list[Score]:
        return [self._score(record) for record in records]

    def aggregate(self, records: Sequence[Record], scores: Sequence[Score]) -> list[Figure]:
        """Return the mean of the values and, if replies have several grades, the mean of each grade."""
        figures = [mean_figure(self.name, records, scores, binary=False, better=self.better)]
        names = list(self.fields or self.mode.fields)
        for name in names if len(names) > 1 else ():
            of_one = [
                dataclasses.replace(score, value=grades[name])
                if (grades := self.grades(record))
                else unscored(record, "")
                for record, score in zip(records, scores, strict=True)
            ]
            figures.append(mean_figure(f"{self.name}[{name}]", records, of_one, binary=False))
        return figures

    def grades(self, record: Record) -> dict[str, Any] | None:
        """Return the graded fields of the reply to an answer; None if there is no valid reply."""
        found = self._read(record)
        return None if isinstance(found, str) else found

    def _read(self, record: Record) -> dict[str, Any] | str:
        if why := not_to_judge(record, self.mode):
            return why
        reply = reply_to(self.replies, record)
        return NOT_JUDGED if reply is None else read_reply(reply, self.fields)

    def _score(self, record: Record) -> Score:
        found, reply = self._read(record), reply_to(self.replies, record)
        if isinstance(found, str) or reply is None:
            return unscored(record, found if isinstance(found, str) else NOT_JUDGED)
        told = ", ".join(f"{name} {value}" for name, value in found.items())
        why = reason(reply.output.text or "", reply.output.prompt)
        return Score(record.item.id, math.fsum(found.values()) / len(found), why or None, told)


@dataclass(frozen=True)
class Preferred(MetricDefaults):
    """One judge's preferences between two runs: 1 where A's answer won, 0 where B's did, 1/2 for a tie.

    Each pair was shown in both orders; what is not preferred in both is a tie. Its own mean is A's win rate.
    """

    name: str
    mode: Mode
    judge: str
    others: Mapping[AnswerKey, str] = field(default_factory=dict, repr=False)  # B's answers
    replies: Mapping[str, JudgeReply] = field(default_factory=dict, repr=False)
    fields: Mapping[str, Sequence[Any]] = field(default_factory=dict, repr=False)
    remark: str = ""
    version: str = "1"
    binary: bool = False
    mean: bool = True
    better: Literal["higher", "lower"] = "higher"
    dimension: str = "text quality"

    def between(self, a: StoredRun, b: StoredRun) -> Preferred:
        """Return the metric with the replies stored in either run: each pair is judged once, whichever run is A."""
        (of_a, in_a), (of_b, in_b) = (
            run.judgements(self.name, other.manifest.run_id) for run, other in ((a, b), (b, a))
        )
        header = of_a or of_b
        if not header:
            return self
        own = [name for name, run in zip("AB", (a, b)) if by_itself(header.model, run.manifest.model)]
        return dataclasses.replace(
            self,
            others={record.key: record.output.text or "" for record in b.records()},
            replies=in_a | in_b,
            fields=_fields(a if of_a else b, self.name, header),
            remark=f"{' and '.join(own)} judged by itself ({self.judge})" if own else "",
        )

    def score(self, records: Sequence[Record]) -> list[Score]:
        """Score A's records."""
        return [self._score(record) for record in records]

    def aggregate(self, records: Sequence[Record], scores: Sequence[Score]) -> list[Figure]:
        """Return the win rate, then the numbers of wins, ties and losses of A."""
        return preferences(self.name, records, scores)

    def _score(self, record: Record) -> Score:
        if why := not_to_judge(record, self.mode):
            return unscored(record, why)
        mine, other = record.output.text or "", self.others.get(record.key)
        if other is None:
            return unscored(record, NOT_JUDGED if self.others else "a preference is between two runs")
        verdicts: list[str] = []
        for first, second in ((mine, other), (other, mine)):
            reply = self.replies.get(pair_id(record.item, first, second))
            if reply is None:
                return unscored(record, "not judged in both orders" if verdicts else NOT_JUDGED)
            found = read_reply(reply, self.fields)
            if isinstance(found, str):
                return unscored(record, found)
            verdicts.append(found[PREFERENCE])
        won, lost = verdicts == [FIRST, SECOND], verdicts == [SECOND, FIRST]
        told = f"A first: {verdicts[0]}; B first: {verdicts[1]}"
        return Score(record.item.id, 1.0 if won else 0.0 if lost else 0.5, answer=told)


def sample_id(item: Item, named: str) -> str:
    """Names the reply about a later sample in a file of replies; `named` is what `asked` returns."""
    return f"{item.id}|{named}"


def reply_to(replies: Mapping[str, JudgeReply], record: Record) -> JudgeReply | None:
    """Return the stored reply about a record's answer; None if there is none."""
    named = asked(record.item, record.output.text or "")
    found = (replies.get(key) for key in (record.item.id, sample_id(record.item, named)))
    return next((reply for reply in found if reply is not None and reply.asked == named), None)


def pair_id(item: Item, first: str, second: str) -> str:
    """Return the id of one order of a pair in a file of replies. Identical pairs share an id and are judged once."""
    return sample_id(item, asked(item, first, second))


def read_reply(reply: JudgeReply, fields: Mapping[str, Sequence[Any]]) -> dict[str, Any] | str:
    """The grades of a stored reply, or why there are none: "unparsed: …; the judge wrote: …".

    A reply that was cut off is not a grade, even if it contains a complete object: its end is not known.
    """
    if flaw := reply_flaw(reply):
        return flaw
    found = read(reply.output.text or "", fields, reply.output.prompt)
    return f"unparsed: {found}{said(reply)}" if isinstance(found, str) else found


def reply_flaw(reply: JudgeReply) -> str:
    """Return why a stored reply is not read at all; "" if it is."""
    output = reply.output
    if output.error is not None:
        return f"refused: {output.error}"
    if output.truncated_tokens:
        return f"the judge saw only a part: {output.truncated_tokens} tokens exceeded its context window"
    if output.finish == "length":
        return f"cut off at the judge's token limit{said(reply)}"
    if output.reasoning and not (output.text or "").strip():
        return "unparsed: the judge wrote only reasoning"
    return ""


def said(reply: JudgeReply) -> str:
    """Return the beginning of an invalid reply, to end a sentence."""
    wrote = " ".join((reply.output.text or "").split())
    return f"; the judge wrote: {wrote[:SHOWN]}" if wrote else ""


def preferences(name: str, records: Sequence[Record], scores: Sequence[Score]) -> list[Figure]:
    """The win rate with its interval, then the number of wins, ties and losses of A."""
    values = [score.value for score in scores if score.value is not None]
    counts = {
        "wins": sum(value > 0.5 for value in values),
        "ties": values.count(0.5),
        "losses": sum(value < 0.5 for value in values),
    }
    return [
        mean_figure(name, records, scores, binary=False),
        *(
            Figure(f"{name}[{what}]", float(count), len(values), len(records), unit="items", better="", headline=False)
            for what, count in counts.items()
        ),
    ]


def _fields(run: StoredRun, name: str, header: JudgeHeader) -> dict[str, tuple[Any, ...]]:
    try:
        return fields_of(header.schema)
    except ValueError as error:
        raise malformed(run.judgement_file(name), 1, str(error)) from error
