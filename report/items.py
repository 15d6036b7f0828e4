"""Every item of a board with every model's answers and scores, as data files that a page loads when it needs them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..core.types import Item, Metric, Output, Score
from ..results.board import Board
from ..results.records import ITEM_PARTS, plain
from ..results.scoring import JUDGING
from .folder import ReportFolder
from .marks import Marks, marks
from .private_paths import without_folders
from .scored import ScoredRun
from .script_data import script
from .terms import item_label, item_meaning, sentence

CHUNK_ITEMS = 100  # the most items in a file
CHUNK_CHARACTERS = 400_000  # about where a file ends earlier
SNIPPET = 160  # characters of a question in the list of items


def write_items(
    folder: ReportFolder, name: str, board: Board, scored: Sequence[ScoredRun], metrics: Mapping[str, Metric]
) -> None:
    """Write `data/NAME/index.js` with the score of every answer, and the items themselves in `data/NAME/0.js`, ….

    `scored` are the runs of the board's rows, in the same order, with the scores of `metrics`.
    """
    item_ids = scored[0].run.manifest.item_ids
    marked = marks(scored)
    listed: list[list[str]] = []
    starts: list[int] = []
    for number, chunk in enumerate(_chunks(scored, list(metrics), item_ids, marked)):
        starts.append(len(listed))
        listed += [
            [found["item"]["id"], found["item"].get("question", "")[:SNIPPET], found["item"]["meta"].get("subject", "")]
            for found in chunk
        ]
        folder.write(f"data/{name}/{number}.js", script(f"{name}/{number}", chunk))
    index = {
        "models": [{"name": row.label, "setup": row.setup.text, "remarks": row.remarks} for row in board.rows],
        "metrics": [
            {
                "name": metric,
                "label": item_label(metric),
                "about": sentence(item_meaning(metric)),
                "binary": plugin.binary,
                "better": plugin.better,
                "judge": metric.startswith(JUDGING),  # what it read are its grades, and its reason its words
            }
            for metric, plugin in metrics.items()
        ],
        "items": listed,
        "starts": starts,
        "legend": [[mark, *told] for mark, told in marked.legend.items()],
        "unmarked": marked.left_out,
        "values": [[run.index(metric, item_ids) for run in scored] for metric in metrics],
    }
    folder.write(f"data/{name}/index.js", script(f"{name}/index", index))


def _chunks(
    scored: Sequence[ScoredRun], metrics: Sequence[str], item_ids: Sequence[str], marked: Marks
) -> Iterator[list[dict[str, Any]]]:
    """Yield the items in order, as many at a time as one file holds."""
    chunk: list[dict[str, Any]] = []
    size = 0
    for item_id in item_ids:
        found = _item(scored, metrics, item_id, marked)
        length = len(str(found))
        if chunk and (len(chunk) == CHUNK_ITEMS or size + length > CHUNK_CHARACTERS):
            yield chunk
            chunk, size = [], 0
        chunk.append(found)
        size += length
    if chunk:
        yield chunk


def _item(scored: Sequence[ScoredRun], metrics: Sequence[str], item_id: str, marked: Marks) -> dict[str, Any]:
    """Return an item with its answers by model. A prompt that several models got is there once."""
    records = [run.answers.get(item_id, []) for run in scored]
    asked = next((record.item for own in records for record in own), Item(item_id, ""))
    prompts: dict[str, int] = {}
    answers = [
        [
            _answer(record.output, prompts)
            | (_options(record.item) if record.item.options != asked.options else {})
            | {"scores": [_score(run.scores.get(metric, {}).get(record.key)) for metric in metrics]}
            | ({"marks": marked.answers[at, record.key]} if (at, record.key) in marked.answers else {})
            for record in own
        ]
        for at, (run, own) in enumerate(zip(scored, records, strict=True))
    ]
    emergency = marked.emergencies.get(item_id)
    found = {"item": _shown(asked), "answers": answers, "prompts": [*prompts]}
    return found | ({"emergency": emergency} if emergency else {})


def _shown(item: Item) -> dict[str, Any]:
    fields: dict[str, Any] = {
        name: getattr(item, name)
        for name in ("id", "question", "context", "gold")
        if getattr(item, name) not in ("", None)
    }
    fields |= {name: list(getattr(item, name)) for name in ("options", "labels", "references") if getattr(item, name)}
    fields |= {name: plain(getattr(item, name)) for name in ITEM_PARTS if getattr(item, name)}
    return fields | {"meta": dict(item.meta)}


def _options(item: Item) -> dict[str, Any]:
    """Return the options in the order in which one answer saw them (`run --permute-options`)."""
    return {"options": list(item.options), "labels": list(item.labels), "gold": item.gold}


def _answer(output: Output, prompts: dict[str, int]) -> dict[str, Any]:
    prompt = output.prompt
    logprobs = output.logprobs
    fields: dict[str, Any] = {
        "text": output.text,
        "reasoning": output.reasoning,
        "error": output.error and without_folders(output.error),
        "finish": output.finish,
        "tokens": [output.prompt_tokens, output.completion_tokens, output.truncated_tokens],
        "logprobs": None if logprobs is None else [f"{value:.3f}" for value in logprobs],
    }
    return {name: value for name, value in fields.items() if value not in ("", None)} | {
        "prompt": prompts.setdefault(prompt, len(prompts))
    }


def _score(score: Score | None) -> list[Any] | None:
    """Return value, reason, and what was read from the answer; None if there is no score at all."""
    return None if score is None else [score.value, score.reason or "", score.answer or ""]
