"""Every Eval Ever: the schema in which the EvalEval coalition collects results of all evaluation tools.

A run is one file of figures and one of answers, by the names that the collection's repository asks for:

    data/BENCHMARK/DEVELOPER/MODEL/UUID.json
    data/BENCHMARK/DEVELOPER/MODEL/UUID_samples.jsonl    a line per answer and metric

https://github.com/evaleval/every_eval_ever, schema 0.3.0. The tests check every file against the published schema.
"""

from __future__ import annotations

import hashlib
import re
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ...core.types import Figure, Metric, Record, Score
from ..board import Column
from ..identity import safe
from ..origins import hub_data
from ..scoring import JUDGING
from ..summary import SHARES
from .folder import ExportFolder, to_json
from .runs import HERE, RunToExport, answer, chosen, gold, logprobs, question, right, settings

SCHEMA_VERSION = "0.3.0"
HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")
LOCAL = "local"  # the developer of a model that names none
SAVED = "replay"  # the engine of answers that another tool made
SERVERS = ("openai", "groq")
BOUNDS: dict[str, tuple[float | str, float | str]] = {"1 to 5": (1.0, 5.0), **dict.fromkeys(SHARES, (0.0, 1.0))}
UNBOUNDED: tuple[float | str, float | str] = ("-Infinity", "Infinity")
UNITS = {"share": "proportion", "s": "seconds"}


def write(runs: Sequence[RunToExport], folder: ExportFolder) -> None:
    """Write the files of each run. A second export of a run has the same file names."""
    for one in runs:
        model_id, developer = _model_id(one), _developer(one)
        place = "/".join(
            ["data", *map(_part, (one.board.benchmark, developer, model_id.removeprefix(f"{developer}/")))]
        )
        name = f"{place}/{uuid.UUID(bytes=hashlib.sha256(one.run.manifest.run_id.encode()).digest()[:16], version=4)}"
        now = str(int(time.time()))
        evaluation = f"{one.board.benchmark}/{model_id}/{now}"
        counted = _Counted(_samples(one, evaluation, model_id))
        folder.write(f"{name}_samples.jsonl", counted)
        detailed = {
            "format": "jsonl",
            "file_path": f"{name}_samples.jsonl",
            "hash_algorithm": "sha256",
            "checksum": counted.digest.hexdigest(),
            "total_rows": counted.lines,
        }
        value = _evaluation(one, evaluation, now) | {"detailed_evaluation_results": detailed}
        folder.write(f"{name}.json", [to_json(value, indent=2) + "\n"])


class _Counted:
    """Lines, counted and hashed while they are written."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = lines
        self.lines = 0
        self.digest = hashlib.sha256()

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.digest.update(line.encode("utf-8", "backslashreplace"))
            self.lines += 1
            yield line


def _part(name: str) -> str:
    """Return a folder's name. "data" is reserved."""
    return f"{safe(name)}_" if safe(name) == "data" else safe(name).rstrip(". ") or "_"


def _model_id(one: RunToExport) -> str:
    """Return DEVELOPER/MODEL: the model's name if it is a hub id."""
    name = one.row.setup.model
    return name if HUB_ID.fullmatch(name) else f"{LOCAL}/{name.replace('/', '_')}"


def _developer(one: RunToExport) -> str:
    return _model_id(one).partition("/")[0]


def _evaluation(one: RunToExport, evaluation: str, now: str) -> dict[str, Any]:
    manifest = one.manifest
    trained_here = bool(manifest.identity.model.adapter)
    return {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": evaluation,
        **({"evaluation_timestamp": str(int(one.created))} if one.created else {}),
        "retrieved_timestamp": now,
        "source_metadata": {
            "source_name": HERE,
            "source_type": "evaluation_run",
            "source_organization_name": "unknown",
            "evaluator_relationship": "first_party" if trained_here else "third_party",
        },
        "eval_library": {"name": HERE, "version": one.version},
        "model_info": _model_info(one),
        "evaluation_results": [_result(one, column, figure) for column, figure in one.figures],
    }


def _model_info(one: RunToExport) -> dict[str, Any]:
    engine, model_id = one.row.setup.engine, _model_id(one)
    server = engine in SERVERS
    open_weights = not server and engine != SAVED
    details = {name: str(value) for name, value in settings(one).items()}
    return {
        "name": one.row.setup.model,
        "id": model_id,
        "developer": _developer(one),
        "inference_engine": {"name": engine},
        "additional_details": {
            "deployment_type": "self_deployed" if open_weights else "unknown",
            "model_availability": "open_weights" if open_weights else "unknown",
            **details,
        },
    }


def _result(one: RunToExport, column: Column, figure: Figure) -> dict[str, Any]:
    uncertainty: dict[str, Any] = {"num_samples": figure.n}
    if figure.low is not None and figure.high is not None:
        ends = {"lower": figure.low, "upper": figure.high, "confidence_level": 0.95}
        uncertainty["confidence_interval"] = ends
    return {
        "evaluation_result_id": column.name,
        "evaluation_name": one.board.title,
        "source_data": _source(one),
        "metric_config": _metric(one, column, figure),
        "score_details": {
            "score": figure.value,
            "uncertainty": uncertainty,
            "details": {"scored": str(figure.n), "asked": str(figure.total)},
        },
        "generation_config": _generation(one),
    }


def _metric(one: RunToExport, column: Column, figure: Figure) -> dict[str, Any]:
    low, high = BOUNDS.get(column.scale, UNBOUNDED)
    metric = one.metrics.get(column.metric)
    details = {"version": str(metric.version)} if metric else {}
    if column.metric.startswith(JUDGING):
        details["judge"] = column.metric
    if not column.better:
        details["direction"] = "neither high nor low is better"
    return {
        "metric_id": column.name if column.name in ("accuracy",) else f"{HERE}.{column.name}",
        "metric_name": column.name,
        "metric_unit": UNITS.get(column.scale, column.scale or "points"),
        "lower_is_better": column.better == "lower",
        "score_type": "continuous",
        "min_score": low,
        "max_score": high,
        "additional_details": details,
    }


def _source(one: RunToExport) -> dict[str, Any]:
    """Return where the items came from. Folders of this machine are not named."""
    name, asked = one.board.benchmark, len(one.manifest.item_ids)
    hub = hub_data(one.manifest.benchmark.origin)
    details = {"items": one.board.items, "citation": one.manifest.benchmark.citation or ""}
    if not hub:
        return {"dataset_name": name, "source_type": "other", "additional_details": details}
    details |= {field: hub[field] for field in ("config", "revision") if field in hub}
    source = {"dataset_name": name, "source_type": "hf_dataset", "hf_repo": hub["id"], "samples_number": asked}
    return source | {"additional_details": details}


def _generation(one: RunToExport) -> dict[str, Any]:
    manifest = one.manifest
    details = {"method": manifest.method, "protocol": manifest.comparable.protocol, "shots": str(one.board.shots)}
    if manifest.method != "generate":
        return {"additional_details": details}
    arguments: dict[str, Any] = {"temperature": manifest.settings.temperature, "top_p": manifest.settings.top_p}
    if limit := manifest.comparable.max_new_tokens:
        arguments["max_tokens"] = limit
    return {"generation_args": arguments, "additional_details": details}


def _samples(one: RunToExport, evaluation: str, model_id: str) -> Iterator[str]:
    """Yield a line for each scored answer and metric. An unscored answer has no score, which the schema demands."""
    for record in one.records:
        for name, metric in one.metrics.items():
            score = one.scores[name].get(record.key)
            if score is not None and score.value is not None:
                yield to_json(_sample(one, evaluation, model_id, record, metric, score)) + "\n"


def _sample(
    one: RunToExport, evaluation: str, model_id: str, record: Record, metric: Metric, score: Score
) -> dict[str, Any]:
    item, output = record.item, record.output
    asked, references = question(record), gold(record)
    by_log_probability = chosen(output) is not None
    metadata = {name: str(value) for name, value in item.meta.items()} | {"sample": str(output.sample)}
    if output.logprobs is not None:
        metadata["option_logprobs"] = to_json(logprobs(output))
    turns: list[dict[str, Any]] = [{"role": turn.role, "content": turn.content} for turn in item.turns]
    turns.append({"role": "user", "content": asked})
    said: dict[str, Any] = {"role": "assistant", "content": answer(record), "reasoning_trace": output.reasoning or None}
    messages = [{"turn_idx": at, **turn} for at, turn in enumerate([*turns, said])] if item.turns else None
    read = score.answer or (answer(record) if by_log_probability else "")
    shown = {"raw": [answer(record)], "reasoning_trace": [output.reasoning] if output.reasoning else None}
    tokens = output.prompt_tokens, output.completion_tokens
    return {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": evaluation,
        "model_id": model_id,
        "evaluation_name": one.board.title,
        "evaluation_result_id": metric.name,
        "sample_id": item.id,
        "sample_hash": hashlib.sha256("".join([asked, *references]).encode("utf-8", "replace")).hexdigest(),
        "interaction_type": "multi_turn" if messages else "single_turn",
        "input": {
            "raw": asked,
            "formatted": output.prompt or None,
            "reference": references,
            "choices": list(item.options) or None,
        },
        "output": None if messages else shown,
        "messages": messages,
        "answer_attribution": [
            {
                "turn_idx": len(turns) if messages else 0,
                "source": f"messages[{len(turns)}].content" if messages else "output.raw",
                "extracted_value": read,
                "extraction_method": "log-probability" if by_log_probability else metric.name,
                "is_terminal": True,
            }
        ]
        if read
        else [],
        "evaluation": {
            "score": score.value,
            "is_correct": right(metric, score),
            "num_turns": len(turns) + 1 if messages else None,
        },
        "token_usage": {"input_tokens": tokens[0], "output_tokens": tokens[1], "total_tokens": sum(tokens)}
        if any(tokens)
        else None,
        "error": output.error,
        "metadata": metadata,
    }
