"""Inspect: an eval log per run, as `inspect view` and `inspect_ai.log.read_eval_log` read it.

TIME_BENCHMARK_ID.json    https://inspect.aisi.org.uk/eval-logs.html, version 2
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from ...core.types import Record
from ..identity import safe
from ..manifest import Session
from .folder import ExportFolder, to_json
from .runs import HERE, RunToExport, answer, gold, logprobs, question, settings

VERSION = 2  # of Inspect's log format
STOPS = {"length": "max_tokens", "error": "unknown"}  # by what a record says; otherwise "stop"
EMPTY = "1970-01-01T00:00:00+00:00"


def write(runs: Sequence[RunToExport], folder: ExportFolder) -> None:
    """Write one log for each run."""
    for one in runs:
        at = datetime.fromtimestamp(one.created, UTC).strftime("%Y-%m-%dT%H-%M-%S+00-00")
        folder.write(f"{at}_{safe(one.board.benchmark).replace('_', '-')}_{_id(one, 'task')}.json", _log(one))


def _log(one: RunToExport) -> Iterator[str]:
    """Yield the log as text, sample by sample."""
    head = to_json(
        {
            "version": VERSION,
            "status": "success" if one.row.complete else "cancelled",
            "eval": _eval(one),
            "plan": _plan(one),
            "results": _results(one),
            "stats": _stats(one.manifest.sessions),
        },
        indent=2,
    )
    yield head.removesuffix("\n}") + ',\n  "samples": ['
    for number, record in enumerate(one.records):
        yield ("," if number else "") + "\n" + to_json(_sample(one, record))
    yield "\n  ]\n}\n"


def _id(one: RunToExport, what: str) -> str:
    """Return an id of 22 letters and digits, as Inspect's are, which is the same in every export of a run."""
    return hashlib.sha256(f"{what} {one.manifest.run_id}".encode()).hexdigest()[:22]


def _model(one: RunToExport) -> str:
    """Return PROVIDER/MODEL, as Inspect names models."""
    provider = "hf" if one.row.setup.engine == "transformers" else one.row.setup.engine
    return f"{provider}/{one.row.setup.model}"


def _eval(one: RunToExport) -> dict[str, Any]:
    manifest = one.manifest
    items = list(manifest.item_ids)
    return {
        "eval_id": _id(one, "eval"),
        "run_id": _id(one, "run"),
        "created": manifest.created or EMPTY,
        "task": one.board.benchmark,
        "task_id": _id(one, "task"),
        "task_version": one.board.version,
        "task_display_name": one.board.title,
        "dataset": {"name": one.board.benchmark, "samples": len(items), "sample_ids": items, "shuffled": False},
        "model": _model(one),
        "model_generate_config": _generation(one),
        "config": {"epochs": manifest.comparable.samples, "log_samples": True},
        "packages": {HERE: one.version},
        "metadata": {HERE: settings(one)},
        "scorers": [{"name": name, "options": {}, "metadata": {}} for name in one.metrics],
    }


def _generation(one: RunToExport) -> dict[str, Any]:
    manifest = one.manifest
    if manifest.method != "generate":
        return {}
    found = {
        "max_tokens": manifest.comparable.max_new_tokens,
        "temperature": manifest.settings.temperature,
        "top_p": manifest.settings.top_p,
        "stop_seqs": list(manifest.comparable.stop or ()),
    }
    return {name: value for name, value in found.items() if value not in (None, [])}


def _plan(one: RunToExport) -> dict[str, Any]:
    comparable = one.manifest.comparable
    asked = {"method": one.manifest.method, "protocol": comparable.protocol, "shots": comparable.shots}
    return {"name": "plan", "steps": [{"solver": HERE, "params": asked, "params_passed": asked}], "config": {}}


def _results(one: RunToExport) -> dict[str, Any]:
    """Return the figures by metric: with each its interval and n."""
    scores = []
    for name, metric in one.metrics.items():
        values = [score.value for score in one.scores[name].values()]
        figures = {
            column.name: {
                "name": column.name,
                "value": figure.value,
                "params": {},
                "metadata": {"low": figure.low, "high": figure.high, "n": figure.n, "total": figure.total},
            }
            for column, figure in one.figures
            if column.metric == name
        }
        if figures:
            scores.append(
                {
                    "name": name,
                    "scorer": name,
                    "scored_samples": sum(value is not None for value in values),
                    "unscored_samples": sum(value is None for value in values),
                    "params": {},
                    "metrics": figures,
                    "metadata": {"version": str(metric.version)},
                }
            )
    measured = {column.name: figure.value for column, figure in one.figures if column.metric not in one.metrics}
    return {
        "total_samples": one.manifest.answers,
        "completed_samples": len(one.records),
        "scores": scores,
        "metadata": {"measured": measured},
    }


def _stats(sessions: Sequence[Session]) -> dict[str, Any]:
    started = min((session.started for session in sessions if session.started), default="")
    return {"started_at": started, "completed_at": "", "model_usage": {}}


def _sample(one: RunToExport, record: Record) -> dict[str, Any]:
    item, output = record.item, record.output
    said: dict[str, Any] = {"role": "assistant", "content": answer(record), "source": "generate"}
    if output.reasoning:
        said["content"] = [
            {"type": "reasoning", "reasoning": output.reasoning},
            {"type": "text", "text": answer(record)},
        ]
    asked = {"role": "user", "content": output.prompt or question(record), "source": "input"}
    right = gold(record)
    scores = {name: one.scores[name].get(record.key) for name in one.metrics}
    metadata: dict[str, Any] = dict(item.meta)
    if item.context:
        metadata["context"] = item.context
    if output.logprobs is not None:
        metadata |= {"answers": list(item.answers), "option_logprobs": logprobs(output)}
    if unscored := {name: score.reason for name, score in scores.items() if score and score.value is None}:
        metadata["unscored"] = unscored
    usage = {
        "input_tokens": output.prompt_tokens,
        "output_tokens": output.completion_tokens,
        "total_tokens": output.prompt_tokens + output.completion_tokens,
    }
    turns = [{"role": turn.role, "content": turn.content} for turn in item.turns]
    sample: dict[str, Any] = {
        "id": item.id,
        "epoch": output.sample + 1,
        "input": [*turns, {"role": "user", "content": item.question}] if turns else item.question,
        "target": right[0] if len(right) == 1 else right,
        "messages": [asked, said],
        "output": {
            "model": _model(one),
            "choices": [{"message": said, "stop_reason": STOPS.get(output.finish, "stop")}],
            "completion": answer(record),
            "usage": usage,
        },
        "scores": {
            name: {"value": score.value, "answer": score.answer, "explanation": score.reason}
            for name, score in scores.items()
            if score and score.value is not None
        },
        "metadata": metadata,
    }
    if item.options:
        sample["choices"] = list(item.options)
    if output.error:
        sample["error"] = {"message": output.error, "traceback": "", "traceback_ansi": ""}
    return sample
