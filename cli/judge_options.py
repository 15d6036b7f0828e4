"""`--judge` and its related options, shared by all commands that use judges."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal

import click
import cloup

from ..evaluation.judging import Asked
from . import completion
from .options import Option

GRADING = ("reference", "rubric", "grades", "criteria", "statements", "harmfulness", "safety")


def judge_option() -> Callable[[Any], Any]:
    """Return the decorator for --judge alone, for a command that has it in a group of its own."""
    return click.option(
        "--judge",
        "judge_names",
        multiple=True,
        metavar="NAMES",
        help="Judges, separated by commas: groq, groq:MODEL, openai:MODEL, local:MODEL. Several form a jury.",
        shell_complete=completion.plugins("judges"),
    )


def judge_options(
    modes: Sequence[str] = GRADING, default: str = "", *, with_judge: bool = True, with_per: bool = False
) -> Callable[[Any], Any]:
    """Return a decorator for a command, which then takes `judging: Asked`.

    With one mode there is no --judge-mode and, unless `with_per`, no --judge-per. Without `with_judge` the command adds
    `judge_option` itself, below this.
    """
    options = [
        click.option(
            "--judge-base-url", default="", metavar="URL", help="Server of the openai:MODEL judge, or of groq."
        ),
        click.option(
            "--max-judge-calls", type=click.IntRange(min=0), metavar="N", help="Make at most N calls, retries included."
        ),
        click.option(
            "--max-judge-cost",
            type=click.FloatRange(min=0),
            metavar="USD",
            help="Stop when the estimated cost reaches this.",
        ),
        click.option(
            "--judge-price",
            default="",
            metavar="IN,OUT",
            help="Price in USD per million prompt tokens and per million new tokens.",
        ),
        click.option(
            "--judge-concurrency",
            type=click.IntRange(min=1),
            metavar="N",
            help="Calls in flight at once.  [default: 8]",
        ),
        cloup.option(
            "--judge-requests-per-minute",
            cls=Option,
            aliases=("--judge-rpm",),
            type=click.IntRange(min=1),
            metavar="N",
            help="Make at most N calls per minute to each judge.",
        ),
        cloup.option(
            "--judge-tokens-per-minute",
            cls=Option,
            aliases=("--judge-tpm",),
            type=click.IntRange(min=1),
            metavar="N",
            help="Use at most N tokens per minute with each judge.",
        ),
        click.option(
            "--judge-timeout",
            type=click.FloatRange(min=0, min_open=True),
            metavar="SECONDS",
            help="Wait at most this long for one reply from a server.  [default: 120]",
        ),
    ]
    if len(modes) > 1:
        chosen = click.option(
            "--judge-mode",
            type=click.Choice(list(modes)),
            help="How answers are graded; medbench list judges explains the modes.  [default: the benchmark's]",
        )
        options.insert(0, chosen)
    if len(modes) > 1 or with_per:
        per = click.option(
            "--judge-per",
            type=click.Choice(["item", "criterion"]),
            default="item",
            show_default=True,
            help="Grade all criteria of an answer in one call, or each in its own.",
        )
        options.insert(1 if len(modes) > 1 else 0, per)
    if with_judge:
        options.insert(0, judge_option())

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
            judge_requests_per_minute: int | None,
            judge_tokens_per_minute: int | None,
            judge_timeout: float | None,
            judge_mode: str | None = None,
            judge_per: Literal["item", "criterion"] = "item",
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
                judge_requests_per_minute,
                judge_tokens_per_minute,
                judge_timeout,
                judge_per,
            )
            return command(*args, judging=asked, **rest)

        return cloup.option_group("Judges", *options)(with_judges)

    return decorate
