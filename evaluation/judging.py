"""The judges of one evaluation: makes them from the options, has them grade runs, and collects problems."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..core.errors import MedbenchError, UsageError

if TYPE_CHECKING:
    from ..core.types import Item
    from ..judges.judge import Judge
    from ..judges.judging import Caps, Judging
    from ..results.store import StoredRun
    from .progress import Progress

MOVABLE = (
    "openai",
    "groq",
)  # judges that --judge-base-url can apply to; it applies to the first of these that is named
EXCERPT = 100  # characters of a reply that could not be read


@dataclass(frozen=True)
class Asked:
    """Which judges to ask, and how. The defaults ask none."""

    names: tuple[str, ...] = ()  # groq, groq:MODEL, openai:MODEL, local:MODEL, each as often as it was given
    mode: str = ""  # "": as the items ask for: criteria, statements, harmfulness, otherwise reference
    mode_given: bool = False  # whether the user chose the mode
    base_url: str = ""
    price: str = ""  # "IN,OUT": USD per million prompt and new tokens
    max_calls: int | None = None  # retries count
    max_cost: float | None = None  # USD, estimated
    concurrency: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    timeout_s: float | None = None  # for one whole reply
    per: Literal["item", "criterion"] = "item"  # how many criteria one call grades: all of an item, or one


@dataclass
class Panel:
    """The judges of one command, with their keys and limits, ready to be asked."""

    judges: list[Judge]
    mode: str  # "": as the items of each run ask for
    caps: Caps
    problems: list[str] = field(default_factory=list)  # what could not be judged, and why
    per: Literal["item", "criterion"] = "item"

    def mode_for(self, run: StoredRun) -> str:
        """Return the mode in which a run's answers are judged."""
        first = next(iter(run.records()), None)
        return self.mode_of(first.item if first else None)

    def mode_of(self, item: Item | None) -> str:
        """Return the mode in which answers to an item like this one are judged."""
        from ..judges.modes import DEFAULT, default_for, mode_of

        mode = mode_of(self.mode or (default_for(item) if item else DEFAULT))
        return f"{mode.name}-each" if mode.over_criteria and self.per == "criterion" and not mode.each else mode.name


def panel(asked: Asked, say: Callable[[str], None]) -> Panel | None:
    """Return the panel of judges; None if none is named. Nothing is requested or loaded yet.

    Raises UsageError for invalid judges, options and prices and for missing keys, ModelMissing for weights that are not
    available.
    """
    from ..core import registry
    from ..core.budget import Limits
    from ..judges import judging
    from ..judges.judge import Judge
    from ..judges.prices import AS_OF

    named: object = asked.names
    if isinstance(named, str):  # one name, from Python
        asked = replace(asked, names=tuple(filter(None, [named])))
    if not asked.names:
        given = {
            "--judge-mode": asked.mode_given,
            "--judge-per": asked.per != "item",
            "--judge-base-url": asked.base_url,
            "--judge-price": asked.price,
            "--max-judge-calls": asked.max_calls,
            "--max-judge-cost": asked.max_cost,
            "--judge-concurrency": asked.concurrency,
            "--judge-requests-per-minute": asked.requests_per_minute,
            "--judge-tokens-per-minute": asked.tokens_per_minute,
            "--judge-timeout": asked.timeout_s,
        }
        for option, value in given.items():
            if value not in ("", None, False):
                raise UsageError(f"{option} needs --judge.", "Name a judge: --judge groq, --judge openai:NAME")
        return None
    price = _price(asked.price)
    plugins = [name.partition(":")[0] for name in asked.names]
    moved = next((plugin for plugin in MOVABLE if plugin in plugins), "")
    if asked.base_url and not moved:
        raise UsageError(
            "--judge-base-url is for openai:NAME and groq, which are not among the judges asked for.",
            "Leave it out, or name the judge at that server: --judge openai:NAME",
        )
    judges: list[Judge] = []
    problems: list[str] = []
    for name in asked.names:
        plugin, _, model = name.partition(":")
        try:
            made = registry.get("judges", plugin).make(model, asked.base_url if plugin == moved else "", say)
        except MedbenchError:
            raise
        except Exception as error:
            if not registry.fault(error):
                raise
            problems.append(f"the judge {name}: a plugin failed: {registry.told(error)}")
            continue
        if not isinstance(made, Judge):
            problems.append(
                f"the judge {name}: a plugin failed: its `make` returned a {type(made).__name__}, not a Judge"
            )
            continue
        if made.label in [judge.label for judge in judges]:
            raise UsageError(f"--judge names {made.label} twice.", "Once is enough: its replies would be the same.")
        if made.served:
            made.engine.tell = say  # type: ignore[attr-defined]
        if price and made.served:
            made.prices = price
        if asked.max_cost is not None and made.served and made.prices is None:
            raise UsageError(
                f"--max-judge-cost {asked.max_cost:g}: the price of {made.label} is not known.",
                "Give it, in USD per million prompt and new tokens: --judge-price IN,OUT\n"
                "Or cap the calls: --max-judge-calls N",
            )
        if asked.max_cost is not None and made.prices and not price and any(made.prices):
            prompt, new = made.prices
            say(f"{made.label}: ${prompt:g} and ${new:g} per million prompt and new tokens (list prices of {AS_OF})")
        judges.append(made)
    if asked.timeout_s is not None and judges and not any(judge.served for judge in judges):
        raise UsageError(f"--judge-timeout {asked.timeout_s:g}: none of these judges is at a server.", "Leave it out.")
    limits = Limits(
        concurrency=asked.concurrency or Limits.concurrency,
        requests_per_minute=asked.requests_per_minute,
        tokens_per_minute=asked.tokens_per_minute,
        max_calls=asked.max_calls,
        max_cost=asked.max_cost,
        prices=None if asked.max_cost is None else (0.0, 0.0),  # each judge has its own
        timeout_s=asked.timeout_s or Limits.timeout_s,
    )
    return Panel(judges, asked.mode, judging.Caps(limits), problems, asked.per)


def judges_read_stored(asked: Asked, allow_changed: bool) -> None:
    """Raise UsageError if judges would be paid for answers that were changed after the run."""
    if allow_changed and asked.names:
        raise UsageError(
            "--judge cannot be used with --allow-changed: judges grade answers only as the run stored them.",
            "To have the changed items answered again, repeat the command that made the run.",
        )


def judge_runs(
    panel: Panel, runs: Sequence[StoredRun], progress: Progress, against: Mapping[Path, StoredRun] | None = None
) -> dict[Path, list[str]]:
    """Have a panel grade runs. Return the resulting metrics by run folder; what failed is in `problems`.

    `against`: by run folder, the run that it is compared with; such metrics are of two runs and join neither's own.
    """
    from ..core import registry
    from ..engines.server.engine import Refused
    from ..judges.judging import ask, dollars, estimate
    from ..judges.modes import mode_of
    from ..judges.names import jury_name
    from ..results.writer import add_metrics

    watch = progress.judging()
    found: dict[Path, list[str]] = {run.path: [] for run in runs}
    for judge in panel.judges:
        plain = False  # whether it was reported that its server takes no schema
        for run in runs:
            other = (against or {}).get(run.path)
            try:
                mode = panel.mode_for(run)
                todo, cost = estimate(run, judge, mode, other)
                if todo and judge.served and cost:
                    about = f"{todo:,} call{'s' * (todo != 1)}, about {dollars(cost)}"
                    progress.note(f"{judge.label} on {run.manifest.run_id}: {about}")
                came = ask(run, judge, mode, panel.caps, watch, other)
            except Refused as error:  # every other run would be refused too
                panel.problems.append(str(error))
                break
            except MedbenchError as error:
                panel.problems.append(f"{judge.label} on {run.manifest.run_id}: {error}")
                continue
            except Exception as error:
                if not registry.fault(error):
                    raise
                panel.problems.append(f"{judge.label}: a plugin failed: {registry.told(error)}")
                break
            if not came.wanted:
                progress.note(f"{run.manifest.run_id}: it has no answers that {judge.label} can judge")
                continue
            if "response_format" in judge.rejected_fields and not plain:
                plain = True
                progress.note(
                    f"{judge.label}: its server does not accept a JSON schema; replies that break it are not used"
                )
            if _useful(panel, judge, run, came, progress):
                found[run.path].append(came.metric)
                if todo and mode_of(mode).quotes:  # minutes, for many long answers
                    progress.note(
                        f"{run.manifest.run_id}: the safety classifier also scores these answers for comparison"
                    )
    for run in runs:
        metrics = found[run.path]
        if len(panel.judges) > 1 and len(metrics) == len(panel.judges):
            metrics.append(jury_name(metrics))
        if metrics and not against:
            add_metrics(run.path, metrics)
    if panel.caps.judges:
        progress.note(f"Judges: {spent(panel.caps.calls, panel.caps.cost)} in all")
    return found


def _useful(panel: Panel, judge: Judge, run: StoredRun, came: Judging, progress: Progress) -> bool:
    """Report missing and unreadable replies. Return whether anything was graded."""
    from ..judges.judging import dollars

    where = f"{judge.label} on {run.manifest.run_id}"
    if came.missing:
        why = "; ".join(f"{count} not: {reason.removesuffix('.')}" for reason, count in came.missing.most_common(3))
        cap, next_step = panel.caps.limits.max_cost, "The same command asks only what is missing."
        if cap is not None and came.too_dear is not None and came.too_dear > cap:
            next_step = f"One call may cost up to {dollars(came.too_dear)}, more than the cap: raise --max-judge-cost."
        if any(reason.startswith("no reply in time") for reason in came.missing):
            next_step += " To wait longer for each: --judge-timeout SECONDS."
        panel.problems.append(f"{where}: {came.stored} of {came.wanted} replies are there; {why}.\n{next_step}")
    if came.unread:
        told = _unreadable(where, came)
        if len(came.unread) == came.stored:
            panel.problems.append(f"{told}\n{_advice(came.unread)}")
        else:
            progress.note(f"{told} Each: medbench show {run.path} --unscored")
    return came.stored > len(came.unread)


def _advice(unread: Sequence[str]) -> str:
    """Return what to do about a judge none of whose replies is a grade."""
    from ..judges.safety import NOT_IN_THE

    if all(why.startswith("refused") for why in unread):
        return "This judge refuses these answers: use another one."
    if all(NOT_IN_THE in why for why in unread):
        return "This judge does not quote word for word: use another one."
    if all(why.startswith("cut off") for why in unread):
        return "This judge does not finish within its token limit: use another one."
    return "This judge did not return the required JSON: use another one."


def _unreadable(where: str, came: Judging) -> str:
    """Return how many replies are not grades, what one of them says, and what happens to them."""
    problem, _, wrote = came.unread[0].partition("; the judge wrote: ")
    excerpt = wrote if len(wrote) <= EXCERPT else f"{wrote[:EXCERPT]}…"
    prose = problem.startswith("unparsed: not one JSON object")  # what it wrote says more than how JSON breaks in it
    one = f'"{excerpt}"' if excerpt and prose else problem.removeprefix("unparsed: ")
    many = f"{len(came.unread)} of {came.stored} replies"
    return (
        f"{where}: {many} could not be read as a grade. The first: {one}\n"
        f"They are kept in {came.path} and not requested again; delete that file to request all again."
    )


def spent(calls: int, cost: float | None) -> str:
    """Return what was spent, in words: "14 calls, $0.0031"."""
    return f"{calls} call{'s' * (calls != 1)}" + (f", ${cost:.4f}" if cost else "")


def _price(text: str) -> tuple[float, float] | None:
    if not text:
        return None
    try:
        prompt, new = (float(part) for part in text.split(","))
    except ValueError:
        prompt = new = -1.0
    if not (0 <= prompt < float("inf") and 0 <= new < float("inf")):
        raise UsageError(
            f"--judge-price {text}: not two prices.", "USD per million tokens, as in: --judge-price 0.15,0.60"
        )
    return prompt, new
