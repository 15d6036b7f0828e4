"""lm-evaluation-harness: results and samples as `lm_eval --output_path DIR --log_samples` writes them.

A model is a folder with one file of results and a file of samples per task:

    MODEL/results_TIME.json
    MODEL/samples_TASK_TIME.jsonl    a line per item
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ...core.types import Record
from ..identity import safe
from ..item_values import item_means
from ..origins import hub_data
from ..records import plain
from .folder import ExportFolder, to_json
from .runs import HERE, RunToExport, gold, logprobs, settings, standard_error

FILTER = "none"  # medbench reads answers as they are
MISSING = "N/A"  # what lm-eval writes for a standard error that it cannot compute


def write(runs: Sequence[RunToExport], folder: ExportFolder) -> None:
    """Write a folder for each model, as loaded and run in one way."""
    models: dict[tuple[str, str], list[RunToExport]] = {}
    for one in runs:
        # How prompts are wrapped and answers drawn may differ from task to task.
        loaded = dataclasses.replace(one.row.setup, chat="", temperature="").text
        models.setdefault((one.row.setup.model, loaded), []).append(one)
    names = [model for model, _ in models]
    for (model, setup), own in models.items():
        name = model if names.count(model) == 1 else f"{model}__{safe(setup)}"
        _write_model(_sanitized(name), own, folder)


def _write_model(model: str, runs: Sequence[RunToExport], folder: ExportFolder) -> None:
    date = max(one.created for one in runs)
    at = datetime.fromtimestamp(date, UTC).strftime("%Y-%m-%dT%H-%M-%S.%f")
    tasks = _tasks(runs)
    for task, one in tasks.items():
        name = re.sub(r"\W", "_", task)  # as lm-eval does
        folder.write(f"{model}/samples_{name}_{at}.jsonl", (to_json(line) + "\n" for line in _samples(one)))
    value = _results(tasks) | {
        "config": {
            "model": runs[0].row.setup.engine,
            "model_args": {"pretrained": runs[0].row.setup.model, "dtype": runs[0].row.setup.dtype},
            "batch_size": "auto",
            "limit": None,
            "bootstrap_iters": 0,
            "gen_kwargs": {},
            "random_seed": runs[0].manifest.settings.seed,
        },
        "git_hash": None,
        "date": date,
        "lm_eval_version": f"{HERE} {runs[0].version}",  # what wrote it
        "model_source": runs[0].row.setup.engine,
        "model_name": runs[0].row.setup.model,
        "model_name_sanitized": model,
        "total_evaluation_time_seconds": str(sum(one.manifest.measured().seconds for one in runs)),
    }
    folder.write(f"{model}/results_{at}.json", [to_json(value, indent=2) + "\n"])


def _tasks(runs: Sequence[RunToExport]) -> dict[str, RunToExport]:
    """Return runs by task: the benchmark, with the end of the run's id where a benchmark was run in several ways."""
    benchmarks = [one.board.benchmark for one in runs]
    return {
        name if benchmarks.count(name) == 1 else f"{name}_{one.run.path.name.rpartition('__')[2]}": one
        for name, one in zip(benchmarks, runs, strict=True)
    }


def _sanitized(name: str) -> str:
    """Return a folder's name as lm-eval makes it of a model's name."""
    return re.sub(r"[\"<>:/|\\?*\[\]]+", "__", name).lstrip(".") or "_"


def _results(tasks: Mapping[str, RunToExport]) -> dict[str, Any]:
    runs = tasks.items()
    return {
        "results": {task: _figures(task, one) for task, one in runs},
        "group_subtasks": {},
        "configs": {task: _config(task, one) for task, one in runs},
        "versions": {task: one.board.version for task, one in runs},
        "n-shot": {task: one.board.shots for task, one in runs},
        "higher_is_better": {
            task: {column.name: column.better == "higher" for column, _ in one.figures if column.better}
            for task, one in runs
        },
        "n-samples": {
            task: {
                "original": one.manifest.benchmark.n_total or len(one.manifest.item_ids),
                "effective": len(one.manifest.item_ids),
            }
            for task, one in runs
        },
    }


def _figures(task: str, one: RunToExport) -> dict[str, Any]:
    """Return the figures by "NAME,FILTER", each with the standard error of its mean if it is one."""
    found: dict[str, Any] = {"name": task, "alias": task, "sample_len": len(one.manifest.item_ids)}
    for column, figure in one.figures:
        metric, error = one.metrics.get(column.metric), None
        if metric and metric.mean and column.name == metric.name:
            error = standard_error(list(item_means(list(one.scores[column.metric].values())).values()))
        found[f"{column.name},{FILTER}"] = figure.value
        found[f"{column.name}_stderr,{FILTER}"] = MISSING if error is None else error
    return found


def _config(task: str, one: RunToExport) -> dict[str, Any]:
    manifest = one.manifest
    generated = manifest.method == "generate"
    hub = hub_data(manifest.benchmark.origin)
    config: dict[str, Any] = {
        "task": task,
        "dataset_path": hub.get("id", manifest.benchmark.name),
        **({"dataset_name": hub["config"]} if "config" in hub else {}),
        "output_type": "generate_until" if generated else "multiple_choice",
        "num_fewshot": one.board.shots,
        "repeats": manifest.comparable.samples,
        "metric_list": [
            {"metric": name, "aggregation": "mean", "higher_is_better": metric.better == "higher"}
            for name, metric in one.metrics.items()
        ],
        "metadata": {"version": one.board.version, HERE: settings(one)},
    }
    return config | ({"generation_kwargs": _generation(one)} if generated else {})


def _generation(one: RunToExport) -> dict[str, Any]:
    settings, comparable = one.manifest.settings, one.manifest.comparable
    return {
        "until": list(comparable.stop or ()),
        "max_gen_toks": comparable.max_new_tokens,
        "do_sample": settings.temperature > 0,
        "temperature": settings.temperature,
    }


def _samples(one: RunToExport) -> Iterator[dict[str, Any]]:
    """Yield a line per item with all its answers; if they had other prompts or orders of options, a line per answer."""
    numbers = {item_id: at for at, item_id in enumerate(one.manifest.item_ids)}
    together = one.manifest.method == "generate" and not one.manifest.comparable.variation
    for answers in one.answers():
        for group in [answers] if together else [[each] for each in answers]:
            yield _line(one, numbers[group[0].item.id], group)


def _line(one: RunToExport, number: int, answers: Sequence[Record]) -> dict[str, Any]:
    first, item = answers[0], answers[0].item
    doc: dict[str, Any] = {"id": item.id, "question": item.question}
    doc |= {name: getattr(item, name) for name in ("context", "answer_field") if getattr(item, name)}
    doc |= {name: list(getattr(item, name)) for name in ("options", "labels", "references") if getattr(item, name)}
    doc |= {name: plain(getattr(item, name)) for name in ("turns", "target", "criteria") if getattr(item, name)}
    if item.gold is not None:
        doc["gold"] = item.gold
    doc |= {f"meta_{name}": value for name, value in item.meta.items()}
    target = str(item.gold) if item.gold is not None else next(iter(gold(first)), "")
    prompt = first.output.prompt
    if first.output.logprobs is not None:
        arguments: list[dict[str, Any]] = [{"arg_0": prompt, "arg_1": f" {label}"} for label in item.answers]
        replies: list[Any] = [[[value, "False"]] for value in logprobs(first.output)]
        filtered: list[Any] = [reply[0] for reply in replies]
    else:
        arguments = [{"arg_0": prompt, "arg_1": _generation(one)}]
        replies = [[record.output.text or "" for record in answers]]
        filtered = [replies[0][0]]
    line: dict[str, Any] = {
        "doc_id": number,
        "doc": doc,
        "target": target,
        "arguments": {f"gen_args_{at}": each for at, each in enumerate(arguments)},
        "resps": replies,
        "filtered_resps": filtered,
        "filter": FILTER,
        "metrics": list(one.metrics),
        "doc_hash": _hash(to_json(doc, indent=2)),
        "prompt_hash": _hash(prompt),
        "target_hash": _hash(target),
    }
    return line | {name: _value(one, name, answers) for name in one.metrics}


def _value(one: RunToExport, metric: str, answers: Sequence[Record]) -> float | None:
    """Return the mean score of the answers to an item; None if none is scored."""
    scores = (one.scores[metric].get(record.key) for record in answers)
    values = [score.value for score in scores if score is not None and score.value is not None]
    return sum(values) / len(values) if values else None


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
