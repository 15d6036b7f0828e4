"""The engine for saved answers: it scores systems that medbench cannot run."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from ..core.errors import UsageError
from ..core.types import (
    Benchmark,
    ChoiceRequest,
    Engine,
    EngineOption,
    GenerateRequest,
    Item,
    ItemSet,
    ModelRequest,
    ModelSpec,
    Output,
)
from .saved.answers import Saved, columns, twice
from .saved.files import answer_files, file_for, system_of
from .saved.matching import facts, matched
from .saved.rows import SavedFile, read

SHOWN = 16  # hexadecimal digits of a hash
NAMED = 3  # ids in a message
NO_ANSWER = "no answer saved for this item"


class ReplayEngine(Engine):
    """Returns saved answers: --model replay:FILE, a folder with a file per benchmark, or a path with {benchmark} in it.

    Files of lm-evaluation-harness and logs of Inspect are recognized. Their answers are matched by the question.

    `spec.location` is the path and `spec.options["map"]` is the value of --map. Nothing runs, so nothing is timed.
    """

    summary = "Returns answers that were saved before, by medbench or by another system."
    prefix_takes = "a file of saved answers, a folder with a file per benchmark, or a path with {benchmark} in it"
    engine_options = (
        EngineOption(
            "map",
            str,
            "columns of the file: FIELD=COLUMN,… for id, text, prediction, logprobs, finish, reasoning, sample",
            flag="--map",
            changes_answers=False,  # it is part of the revision
        ),
    )
    can_sample = True
    measured = False
    retry_hint = "Add the missing answers to the file. The same command then makes a new run from it."

    @classmethod
    def resolve(cls, name: str, request: ModelRequest) -> ModelSpec:
        """Return the spec of saved answers. Their content is read later."""
        decided = ("revision", "adapter", "quantize", "trust-remote-code", "dtype", "device", "chat")
        request.reject(f"the answers in {name} exist already.", *decided)
        full = Path(name).expanduser().resolve()
        source = f"answers saved in {full}"
        return ModelSpec(
            f"{request.engine}:{system_of(full)}", str(full), "", request.engine, source=source, options=request.options
        )

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.path = Path(spec.location)
        self.columns = columns(str(spec.options.get("map", "")))
        self.notes = ()
        answer_files(self.path)  # raises if there are none
        self.file = self.path
        self._content = SavedFile({}, "")
        self._saved: dict[str, dict[int, Saved]] | None = None  # by item id and sample
        self._changed = ""  # how the samples of a run were changed
        self._choice = False  # whether the benchmark is multiple choice
        self._facts: dict[str, Any] = {}
        self._meant: dict[tuple[Path, str], tuple[str, str]] = {}  # benchmark and question of each line used so far

    def prepare(self, benchmark: Benchmark, item_set: ItemSet) -> None:
        """Read the answers to this benchmark. Their hash becomes the revision. Raise UsageError if none fits."""
        self._read(benchmark.name)
        assert self._saved is not None
        self._choice = bool(item_set.items[0].options)
        if self._content.peers:
            self._match(benchmark, item_set)
            return
        items = {item.id: item for item in item_set.items}
        others = [item_id for item_id, saved in self._saved.items() if not _answer(saved, items.get(item_id))]
        named = ", ".join(others[:NAMED]) + (", …" if len(others) > NAMED else "")
        if len(others) == len(self._saved):
            if any(item_id in items for item_id in others):
                raise UsageError(
                    f"{self.file} has the answers of a run to other questions than those of {benchmark.name}, "
                    f"under the same ids: {named}",
                    "Answers count only for the question that was asked. Name the benchmark that they belong to.",
                )
            raise UsageError(
                f"none of the {len(others)} answers in {self.file} belongs to an item of {benchmark.name}: {named}",
                f"Its ids look like {item_set.items[0].id}. Another column: --map id=COLUMN,text=COLUMN",
            )
        unknown = set(others)
        questions = {item_id: items[item_id].question for item_id in self._saved if item_id not in unknown}
        self._one_meaning(benchmark.name, questions)
        unused = f"{len(others)} of {len(self._saved)} saved answers belong to no item of {benchmark.name}: {named}"
        changed = f"changed after the run: {self._changed}"
        self.notes = ((unused,) if others else ()) + ((changed,) if self._changed else ())
        self._facts = {"saved_answers": sum(map(len, self._saved.values())), "of_no_item": len(others)}
        mine = {item_id: self._saved[item_id] for item_id in questions}
        if self._choice:
            mine = {
                item_id: {sample: _in_order(one, items[item_id]) for sample, one in saved.items()}
                for item_id, saved in mine.items()
            }
        self._saved = mine

    def _match(self, benchmark: Benchmark, item_set: ItemSet) -> None:
        """Find out which items the answers of another tool are to. Raise UsageError if none is to one of these."""
        peers = self._content.peers
        found = matched(peers, item_set.items, benchmark.name)
        notes = found.notes(benchmark.name, self.file.name, len(peers))
        if not found.answers:
            raise UsageError(
                f"{self.file} has no answer to an item of {benchmark.name}. {'. '.join(notes)}.",
                "Answers are matched by the question's text. Name the benchmark that they belong to.",
            )
        self._one_meaning(
            benchmark.name, {item.id: item.question for item in item_set.items if item.id in found.answers}
        )
        self._saved, self.notes = found.answers, tuple(notes)
        self._facts = {"saved_answers": len(peers), **facts(found), **self._content.about}

    def check_sampling(self, samples: int, temperature: float) -> None:
        """Accept any number of samples that the file has. Their temperature is not known."""
        if temperature > 0:
            raise UsageError(
                f"--temperature {temperature:g}: the answers in {self.path} were saved earlier, so none is drawn.",
                "Leave out --temperature and --top-p.",
            )
        self.load()
        for item_id, saved in (self._saved or {}).items():
            if samples == 1 and len(saved) > 1:
                raise twice(item_id, *[saved[sample] for sample in sorted(saved)[:2]])
            if max(saved) >= samples:
                raise UsageError(
                    f"--samples {samples}: {self.file} has {len(saved)} answers to the item '{item_id}'.",
                    f"Give --samples {max(max(each) for each in (self._saved or {}).values()) + 1}",
                )

    def _one_meaning(self, benchmark: str, questions: Mapping[str, str]) -> None:
        """Raise UsageError if one line would also answer a different question of an earlier benchmark."""
        for item_id, question in questions.items():
            before, asked = self._meant.setdefault((self.file, item_id), (benchmark, question))
            if asked != question:
                raise UsageError(
                    f"{self.file} answers '{item_id}', which is a different question in {before} than in {benchmark}; "
                    f"one line cannot answer both. {before} was scored from it.",
                    f"Save the answers to each in its own file, {before}.jsonl and {benchmark}.jsonl, and name "
                    "their folder.",
                )

    def load(self) -> None:
        if self._saved is None:
            self._read("")

    def choose(self, requests: Sequence[ChoiceRequest]) -> Iterator[Output]:
        for request in requests:
            saved = self._of(request.item_id, 0)
            if saved is None or not isinstance(saved.logprobs, tuple):
                yield _missing(request.item_id, saved, "log-probabilities")
                continue
            yield Output(request.item_id, prompt=saved.prompt, logprobs=saved.logprobs)

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[Output]:
        for request in requests:
            saved = self._of(request.item_id, request.sample)
            text = None if saved is None else self._text(saved)
            if saved is None or text is None:
                yield _missing(request.item_id, saved, "text", request.sample)
                continue
            yield Output(
                request.item_id,
                prompt=saved.prompt,
                text=text,
                finish=saved.finish,
                reasoning=saved.reasoning,
                opened=saved.split,
                reasoning_tokens=saved.reasoning_tokens,
                sample=request.sample,
            )

    def cannot_choose(self, answers: Iterable[tuple[str, ...]]) -> str:
        """Return why not every answer has log-probabilities; "" if all have, or if none has a text."""
        self.load()
        assert self._saved is not None
        rows = [saved for samples in self._saved.values() for saved in samples.values()]
        lacking = [saved for saved in rows if saved.logprobs is None]
        written = [saved for saved in rows if self._text(saved) is not None]
        if not lacking or (len(lacking) < len(rows) and not written):
            return ""
        return f"{len(lacking)} of {len(rows)} saved answers have no log-probabilities"

    def chat(self, method: Literal["choose", "generate"]) -> str:
        return "as saved"  # nobody knows how the system was prompted

    def describe(self) -> dict[str, Any]:
        return {"files": [str(self.file)], "map": self.spec.options.get("map", "")} | self._facts

    def peak_gpu_memory_bytes(self) -> int | None:
        return None

    def _of(self, item_id: str, sample: int) -> Saved | None:
        self.load()
        assert self._saved is not None
        return self._saved.get(item_id, {}).get(sample)

    def _text(self, saved: Saved) -> str | None:
        return saved.prediction if self._choice and saved.prediction is not None else saved.text

    def _read(self, benchmark: str) -> None:
        """Read the answers to a benchmark. Their content and the column map determine the revision."""
        self.file = file_for(self.path, benchmark) if benchmark else answer_files(self.path)[0]
        total = hashlib.sha256(json.dumps(sorted(self.columns.items())).encode())
        self._content = read(self.file, self.columns)
        self._saved, self._changed = self._content.answers, self._content.changed
        total.update(f"\0{self._content.digest}\n".encode())
        self.spec = dataclasses.replace(self.spec, revision=total.hexdigest()[:SHOWN])


def _answer(saved: Mapping[int, Saved], item: Item | None) -> bool:
    """Whether rows answer this item: the id matches and, in the samples of a run, the question does too."""
    return item is not None and all(one.question in (None, item.question) for one in saved.values())


def _in_order(saved: Saved, item: Item) -> Saved:
    """Sort log-probabilities by the item's options. Raise UsageError if there is not one for each."""
    values = saved.logprobs
    if isinstance(values, Mapping):
        for names in (item.answers, item.options):
            if set(names) == set(values):
                return dataclasses.replace(saved, logprobs=tuple(values[name] for name in names))
        raise UsageError(
            f"{saved.where}: log-probabilities of {', '.join(list(values)[:9])}; "
            f"the item {item.id} has {', '.join(item.answers)}.",
            "Give one for each, by label or by the option's text.",
        )
    if values is not None and len(values) != len(item.options):
        raise UsageError(
            f"{saved.where}: {len(values)} log-probabilities for the {len(item.options)} options of the item "
            f"{item.id}.",
            "Give one for each option, in their order.",
        )
    return saved


def _missing(item_id: str, saved: Saved | None, what: str, sample: int = 0) -> Output:
    why = NO_ANSWER if saved is None else f"{NO_ANSWER}: {saved.where} has no {what}"
    return Output(item_id, finish="error", error=why, sample=sample)
