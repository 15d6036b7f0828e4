"""Ask a judge about stored answers, and store each reply as it arrives.

A judge is a model like any other, run by the same engines. Its replies are stored in the run that it judges, so the
same call asks only for what is missing after a crash, a cap or a rejected request. A failure of the engine is not
stored. A reply that cannot be parsed is stored, shown and left unscored, because it was paid for; so is a refusal,
because the judge would refuse again.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import floor, inf, log10
from pathlib import Path
from typing import Any

from .. import __version__
from ..core.budget import Limits
from ..core.errors import MedbenchError
from ..core.types import GenerateRequest, Output, Record
from ..results.identity import differing
from ..results.judgments import JudgeHeader, JudgeReply
from ..results.store import StoredRun
from . import criteria
from .judge import Judge
from .metric import asked, not_to_judge, pair_id, read_reply, reply_to, sample_id
from .modes import Mode, material, mode_of
from .names import metric_name
from .progress import JudgeProgress
from .replies_file import Replies
from .safety import quotes_in

CHARACTERS_PER_TOKEN = 4  # for the estimate of a cost
TOKENS_PER_GRADE = 60  # of a reply, likewise
MOST_FAILURES = 1000  # whose reasons are kept
QUOTING = 1536  # new tokens for a reply that quotes the answer


@dataclass
class Caps:
    """The limits of one command. Calls and cost are capped over all its judges; rates apply to each judge."""

    limits: Limits = field(default_factory=Limits)
    judges: list[Judge] = field(default_factory=list)  # those that have made a call

    def admit(self, judge: Judge) -> int | None:
        """Give a served judge's engine the rest of the limits. For another judge, return how many calls it may make.

        None: medbench need not limit the calls.
        """
        if judge not in self.judges:
            self.judges.append(judge)
        others = [other.usage for other in self.judges if other is not judge]
        calls, cost = self.limits.max_calls, self.limits.max_cost
        # An engine counts from its start, so its own usage is not subtracted.
        calls = None if calls is None else max(0, calls - sum(usage.calls for usage in others))
        cost = None if cost is None else max(0.0, cost - sum(usage.cost or 0.0 for usage in others))
        if judge.served:
            wanted = replace(self.limits, max_calls=calls, max_cost=cost, prices=judge.prices)
            if judge.engine.limits != wanted:  # setting them forgets the last minute
                judge.engine.limits = wanted
            return None
        return None if calls is None else max(0, calls - judge.usage.calls)

    def told(self, reason: str) -> str:
        """Return an engine's reason for stopping, with the command's cap instead of the engine's share."""
        if "the cap of $" in reason:
            return f"the cap of {dollars(self.limits.max_cost or 0.0)} is reached"
        return f"the cap of {calls_told(self.limits.max_calls or 0)} is reached" if "the cap of " in reason else reason

    @property
    def calls(self) -> int:
        return sum(judge.usage.calls for judge in self.judges)

    @property
    def cost(self) -> float | None:
        """USD spent by judges with known prices; None if no price is known."""
        known = [judge.usage.cost for judge in self.judges if judge.usage.cost is not None]
        return sum(known) if known else None


def dollars(amount: float) -> str:
    """ "$0.50", and as many digits as an amount with a part of a cent needs, four of them at most."""
    if round(amount, 2) == round(amount, 9):
        return f"${amount:.2f}"
    digits = max(2, 3 - floor(log10(amount)))
    return f"${amount:.{digits}f}".rstrip("0")


def calls_told(count: int) -> str:
    return f"{count} call{'s' * (count != 1)}"


@dataclass(frozen=True)
class Judging:
    """The result of judging.

    `missing`: why replies are missing, and how many for each reason. `unread`: for each stored reply that grades
    nothing, why. `too_dear`: USD, what the cheapest call that the cap on cost prevented may cost. `path`: where the
    replies are.
    """

    metric: str
    wanted: int
    stored: int
    missing: Counter[str] = field(default_factory=Counter)
    unread: tuple[str, ...] = ()
    too_dear: float | None = None
    path: Path | None = field(default=None, compare=False)


def judge(
    run: StoredRun,
    judge: Judge,
    mode: str,
    caps: Caps | None = None,
    progress: JudgeProgress | None = None,
    against: StoredRun | None = None,
) -> str:
    """Do what `ask` does, and return the name of the metric, which `results.scoring.load_metric` takes."""
    return ask(run, judge, mode, caps, progress, against).metric


def ask(
    run: StoredRun,
    judge: Judge,
    mode: str,
    caps: Caps | None = None,
    progress: JudgeProgress | None = None,
    against: StoredRun | None = None,
) -> Judging:
    """Ask a judge about the run's answers, in benchmark order, and store its replies in the run's folder.

    `against`: the run whose answers these are compared with, for a mode that compares. Raises MedbenchError if the
    folder cannot be written, if another process is judging the same, or if the stored replies are another model's;
    stored replies are kept. Engine failures and caps raise nothing: see `missing`.
    """
    how, caps, progress = mode_of(mode), caps or Caps(), progress or JudgeProgress()
    name = metric_name(how, judge.label)
    other = against.manifest.run_id if against else ""
    wanted = requests_about(how, run.records(), judge.max_new_tokens, against.records() if against else None)
    if not wanted:
        return Judging(name, 0, 0)
    # A comparison of B with A has the same pairs in the same two orders.
    known = against.judgements(name, run.manifest.run_id)[1] if against else {}
    path = run.judgement_file(name, other)
    header = _header(name, how, judge, other)
    chain = run.judgement_chain(name, other)
    with Replies(path, header, f"'{name}' of the run {run.path}", chain) as replies:
        found_header, mine = run.judgements(name, other)
        stored = found_header or header
        _same_judge(stored, header, path)
        if judge.served:
            judge.engine.rejected_fields |= frozenset(stored.refuses)
        for reply in (*known.values(), *mine.values()):
            if reply.output.item_id in wanted and wanted[reply.output.item_id][0] == reply.asked:
                replies.stored[reply.output.item_id] = reply
        failures: dict[str, str] = {}
        try:
            missing = _fill(replies, judge, wanted, caps, progress, run.manifest.run_id, failures)
        finally:
            replies.learned(sorted(judge.rejected_fields), dict(list(failures.items())[:MOST_FAILURES]))
        too_dear = judge.engine.blocked_cost
        unread = tuple(filter(None, _flaws(how, run, replies.stored, wanted)))
        dear = too_dear if missing and too_dear < inf else None
        return Judging(name, len(wanted), len(replies.stored), missing, unread, dear, path)


def _flaws(
    mode: Mode, run: StoredRun, stored: Mapping[str, JudgeReply], wanted: Mapping[str, tuple[str, GenerateRequest]]
) -> Iterable[str]:
    """Return, for each stored reply, why it grades nothing; "" if it grades something."""
    if not mode.quotes:
        return [_flaw(mode, reply, wanted) for reply in stored.values()]
    found = {}
    for record in run.records():
        reply = None if not_to_judge(record, mode) else reply_to(stored, record)
        if reply is not None:
            quotes = quotes_in(reply, mode, material(record.item), record.output.text or "")
            found[reply.output.item_id] = quotes if isinstance(quotes, str) else ""
    return found.values()


def _flaw(mode: Mode, reply: JudgeReply, wanted: Mapping[str, tuple[str, GenerateRequest]]) -> str:
    if mode.over_criteria:
        asked_for = wanted.get(reply.output.item_id)
        if asked_for is None:  # of another answer
            return ""
        schema = asked_for[1].schema or {}
        found = criteria.verdicts_in(mode, reply, mode.fields, len(schema.get("required", ())))
        return found if isinstance(found, str) else ""
    read = read_reply(reply, mode.fields)
    return read if isinstance(read, str) else ""


def estimate(run: StoredRun, judge: Judge, mode: str, against: StoredRun | None = None) -> tuple[int, float | None]:
    """Return how many replies a judge still has to give about a run, and about how many USD that costs.

    The cost is None if the judge's prices are unknown. A token is taken to be four characters, and a reply to be 60
    tokens per grade.
    """
    how = mode_of(mode)
    name = metric_name(how, judge.label)
    other = against.manifest.run_id if against else ""
    stored = run.judgements(name, other)[1]
    wanted = requests_about(how, run.records(), judge.max_new_tokens, against.records() if against else None)
    todo = [request for key, (_, request) in wanted.items() if key not in stored]
    return len(todo), price_of(todo, judge)


def price_of(requests: Sequence[GenerateRequest], judge: Judge) -> float | None:
    """Return about how many USD these requests cost, as `estimate` does."""
    if judge.prices is None:
        return None
    prompt = sum(len(request.prompt.plain) / CHARACTERS_PER_TOKEN for request in requests)
    new = sum(TOKENS_PER_GRADE * len((request.schema or {}).get("properties", ())) for request in requests)
    return (prompt * judge.prices[0] + new * judge.prices[1]) / 1e6


def _fill(
    replies: Replies,
    judge: Judge,
    wanted: dict[str, tuple[str, GenerateRequest]],
    caps: Caps,
    progress: JudgeProgress,
    what: str,
    failures: dict[str, str],
) -> Counter[str]:
    """Request and store the missing replies. Return why any are still missing; `failures` gets each id's reason."""
    todo = [request for key, (_, request) in wanted.items() if key not in replies.stored]
    if not todo:
        return Counter()
    left = caps.admit(judge)
    capped = "" if left is None else f"the cap of {calls_told(caps.limits.max_calls or 0)} is reached"
    now = todo if left is None else todo[:left]
    if now:
        progress.loading(judge)
        judge.engine.load()
        progress.begin(judge, what, len(wanted), len(replies.stored))
        outputs: Any = judge.engine.generate(now)
        try:
            for output in outputs:
                if not isinstance(output, Output):
                    what = type(output).__name__
                    raise MedbenchError(
                        f"a plugin failed: the engine of {judge.label} returned a {what}, not an Output."
                    )
                if not judge.served:
                    judge.own.calls += 1
                    judge.own.prompt_tokens += output.prompt_tokens
                    judge.own.completion_tokens += output.completion_tokens
                progress.replied(output)
                if output.error is None and not isinstance(output.text, str):
                    output = replace(output, text=None, error="the engine gave no text")
                if output.error is not None and not output.final:
                    failures[output.item_id] = output.error
                elif output.item_id in wanted and output.item_id not in replies.stored:
                    replies.append(JudgeReply(wanted[output.item_id][0], output))
        finally:
            progress.end()
            with contextlib.suppress(AttributeError):
                outputs.close()  # stop a generator's threads now rather than at garbage collection
    unasked = capped or "the engine gave no reply"
    return Counter(caps.told(failures.get(r.item_id, unasked)) for r in todo if r.item_id not in replies.stored)


def requests_about(
    mode: Mode, records: Iterable[Record], max_new_tokens: int, against: Iterable[Record] | None = None
) -> dict[str, tuple[str, GenerateRequest]]:
    """Return the requests about a run's records by the id of their replies, each with what it asks about.

    `against`: the records of the run whose answers these are compared with, for a mode that compares.
    """
    found: dict[str, tuple[str, GenerateRequest]] = {}
    others = {record.key: record for record in against or ()}

    def add(key: str, named: str, prompt: Any) -> None:
        limit = max(max_new_tokens, QUOTING) if mode.quotes else max_new_tokens
        found[key] = named, GenerateRequest(key, prompt, limit, schema=mode.schema)

    for record in records:
        if not_to_judge(record, mode):
            continue
        item, text = record.item, record.output.text or ""
        if mode.over_criteria:
            for named, request in criteria.requests(mode, record, max_new_tokens):
                found[request.item_id] = named, request
            continue
        if not mode.both_orders:
            named = asked(item, text)
            key = item.id if record.output.sample == 0 else sample_id(item, named)
            if key == item.id or found.get(item.id, ("",))[0] != named:  # samples that read the same are graded once
                add(key, named, mode.prompt(item, text))
            continue
        other = others.get(record.key)
        if other is None or not_to_judge(other, mode):
            continue
        theirs = other.output.text or ""
        for first, second in ((text, theirs), (theirs, text)):
            add(pair_id(item, first, second), asked(item, first, second), mode.prompt(item, first, second))
    return found


def _header(name: str, mode: Mode, judge: Judge, against: str) -> JudgeHeader:
    return JudgeHeader(
        metric=name,
        mode=mode.name,
        prompt_hash=mode.hash,
        schema=mode.schema,
        judge=judge.label,
        model=judge.model_record(),
        settings={"max_new_tokens": judge.max_new_tokens, "chat": judge.engine.chat("generate")},
        against=against,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        medbench=__version__,
    )


def _same_judge(stored: JudgeHeader, header: JudgeHeader, path: Path) -> None:
    """Raise MedbenchError if the stored replies came from another model, or one that was prompted in another way."""
    told = differing(stored.model.as_json(), header.model.as_json()) + differing(stored.settings, header.settings)
    if told:
        field, before, now = told[0]
        if field == "base_url" and before and now:
            raise MedbenchError(
                f"earlier replies of this judge came from {before}; this command names {now}.",
                f"Give --judge-base-url {before}, or move {path} away to start again.",
            )
        raise MedbenchError(
            f"{path} holds the replies of another judge: its {field} is {before!r} there and {now!r} here.",
            "Judge in the same way as before, or move that file away to start again.",
        )
