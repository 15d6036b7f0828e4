"""`--judge` and what belongs to it, the same for every command that asks judges."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import click

from ..judges.panel import Asked

GRADING = ("reference", "rubric", "grades")


def judge_options(modes: Sequence[str] = GRADING, default: str = "reference") -> Callable[[Any], Any]:
    """Decorates a click command, which then takes `judging: Asked`. With one mode there is no --judge-mode."""
    options = [
        click.option(
            "--judge",
            "judge_names",
            multiple=True,
            metavar="NAMES",
            help="Judges, by comma: groq, groq:MODEL, openai:MODEL, local:MODEL. Several are a jury.",
        ),
        click.option(
            "--judge-base-url",
            default="",
            metavar="URL",
            help="Server of the judge openai:MODEL, else of groq.",
        ),
        click.option(
            "--max-judge-calls", type=click.IntRange(min=0), metavar="N", help="At most N calls, retries too."
        ),
        click.option(
            "--max-judge-cost",
            type=click.FloatRange(min=0),
            metavar="USD",
            help="Stop when the estimated cost reaches it.",
        ),
        click.option(
            "--judge-price", default="", metavar="IN,OUT", help="USD per million prompt and new tokens of the judges."
        ),
        click.option(
            "--judge-concurrency", type=click.IntRange(min=1), metavar="N", help="Calls at once.  [default: 8]"
        ),
        click.option("--judge-rpm", type=click.IntRange(min=1), metavar="N", help="Calls per minute to each judge."),
        click.option("--judge-tpm", type=click.IntRange(min=1), metavar="N", help="Tokens per minute to each judge."),
        click.option(
            "--judge-timeout",
            type=click.FloatRange(min=0, min_open=True),
            metavar="SECONDS",
            help="Longest wait for one reply of a judge at a server.  [default: 120]",
        ),
    ]
    if len(modes) > 1:
        chosen = click.option(
            "--judge-mode",
            type=click.Choice(list(modes)),
            help=f"What is asked: 1-5 by the reference, four criteria, or LiveQA's four grades.  [default: {default}]",
        )
        options.insert(1, chosen)

    def decorate(command: Any) -> Any:
        @functools.wraps(command)
        def with_judges(
            *args: Any,
            judge_names: tuple[str, ...],
            judge_base_url: str,
            max_judge_calls: int | None,
            max_judge_cost: float | None,
            judge_price: str,
            judge_concurrency: int | None,
            judge_rpm: int | None,
            judge_tpm: int | None,
            judge_timeout: float | None,
            judge_mode: str | None = None,
            **rest: Any,
        ) -> Any:
            asked = Asked(
                tuple(name.strip() for value in judge_names for name in value.split(",") if name.strip()),
                judge_mode or default,
                judge_mode is not None,
                judge_base_url,
                judge_price,
                max_judge_calls,
                max_judge_cost,
                judge_concurrency,
                judge_rpm,
                judge_tpm,
                judge_timeout,
            )
            return command(*args, judging=asked, **rest)

        for option in reversed(options):
            with_judges = option(with_judges)
        return with_judges

    return decorate
