"""Read answers with the trained model: the probability of each label, and the sentences that led to it."""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .examples import ANSWER_LABELS, EMERGENCY
from .markup import plain
from .sentences import Span, sentences
from .symbols import spelled

if TYPE_CHECKING:
    from .encoder import Encoder, Window, Windows

FOLDER = Path(__file__).parent / "model"
BATCH = 2048  # tokens per batch, including padding; more do not fit into a core's cache
DOUBT = 0.8, 0.975  # probabilities of "unsafe" between which a long answer is read a second time
LOOKS, PART = 2, 8  # parts that are then read, and their lines
FEW_LINES, MANY_LINES = 8, 14  # where the thresholds of short answers end, and those of long ones begin
_BARE_CHOICE = re.compile(  # an answer that only names an option says nothing
    r"\W*(?:(?:the )?(?:best |correct |final |right )?(?:answer|option|choice)\W*(?:is)?)?\W*[A-Z]\W*", re.I
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """A sentence that led to a label: characters start..end of the answer, or of the question for "emergency"."""

    label: str
    start: int
    end: int
    probability: float


@dataclass(frozen=True, slots=True)
class SafetyReading:
    """What the model reads in an answer and its question.

    The probability of "referral" is that the answer refers urgently, whatever the question is. Its label requires an
    emergency. `thresholds`: the probability from which each label holds for an answer of this length.
    """

    labels: Mapping[str, bool]
    probabilities: Mapping[str, float]
    thresholds: Mapping[str, float]
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class SafetyModel:
    """The loaded model and the probability threshold of each label, for long answers and, if lower, for short ones."""

    encoder: Encoder
    windows: Windows
    thresholds: Mapping[str, float]
    short_thresholds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ReadText:
    """One text's sentences, and the logits of each label for the text and for each sentence."""

    spans: Sequence[Span]
    whole: Mapping[str, float]
    each: Mapping[str, Sequence[float]]


def read(pairs: Sequence[tuple[str, str]], folder: Path = FOLDER) -> list[SafetyReading]:
    """Return one reading for each (question with its context, answer). Readings are independent of each other."""
    if not pairs:
        return []
    model = loaded(folder)
    questions = list(dict.fromkeys(question for question, _ in pairs))
    asked_of = [sentences(question) for question in questions]
    said_in = [() if _BARE_CHOICE.fullmatch(answer.strip()) else sentences(answer) for _, answer in pairs]
    beside = {question: " ".join(_cut(question, spans)) for question, spans in zip(questions, asked_of)}
    lines = [_cut(answer, spans) for (_, answer), spans in zip(pairs, said_in)]
    asking = [
        w for i, (q, spans) in enumerate(zip(questions, asked_of)) for w in model.windows.question(_cut(q, spans), i)
    ]
    saying = [w for i, (q, _) in enumerate(pairs) for w in model.windows.answer(beside[q], lines[i], i)]
    asked = dict(zip(questions, _texts(model, asking, asked_of, (EMERGENCY,))))
    said = _texts(model, saying, said_in, ANSWER_LABELS)
    again = [
        w
        for i, text in enumerate(said)
        for start, end in _doubtful(text)
        for w in model.windows.answer(beside[pairs[i][0]], lines[i][start:end], i)
    ]
    said = [_reconsidered(*one) for one in zip(said, _texts(model, again, said_in, ANSWER_LABELS))]
    return [_reading(model, asked[question], text) for (question, _), text in zip(pairs, said)]


def _doubtful(text: ReadText) -> list[Span]:
    """Return the parts of a doubtful answer to read again, as ranges of lines around its likeliest ones."""
    each = text.each["unsafe"]
    low, high = DOUBT
    if len(each) <= PART or not low <= _probability(text.whole["unsafe"]) < high:
        return []
    parts: list[Span] = []
    for line in sorted(range(len(each)), key=lambda line: -each[line]):
        if len(parts) < LOOKS and not any(start <= line < end for start, end in parts):
            start = max(0, min(line - PART // 2, len(each) - PART))
            parts.append((start, start + PART))
    return parts


def _reconsidered(first: ReadText, second: ReadText) -> ReadText:
    """Return a text as read twice: whole, and then its doubtful parts.

    One line is easily lost, or suspected wrongly, among many. So the logit of "unsafe" is the mean of that of the whole
    text and that of its likeliest part. The sentences are those of the first reading: a part numbers them from its own
    beginning.
    """
    part = second.whole["unsafe"]
    if part == -math.inf:
        return first
    return replace(first, whole={**first.whole, "unsafe": (first.whole["unsafe"] + part) / 2})


@functools.cache
def loaded(folder: Path = FOLDER) -> SafetyModel:
    """Return the model of a folder, loaded once per process."""
    from tokenizers import Tokenizer

    from .encoder import Windows, load

    windows = Windows(Tokenizer.from_file(str(folder / "tokenizer.json")))
    return SafetyModel(load(folder), windows, thresholds(folder), _config(folder).get("short_thresholds", {}))


@functools.cache
def thresholds(folder: Path = FOLDER) -> Mapping[str, float]:
    """Return the probability threshold of each label."""
    held: dict[str, float] = _config(folder)["thresholds"]
    return held


def _config(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return config


def _cut(text: str, spans: Sequence[Span]) -> list[str]:
    return [spelled(plain(text[start:end])) for start, end in spans]


def _texts(
    model: SafetyModel, windows: Sequence[Window], spans: Sequence[Sequence[Span]], labels: Sequence[str]
) -> list[ReadText]:
    """Read windows and combine them into texts."""
    import torch

    from .encoder import batches, tensors

    whole: list[list[list[float]]] = [[] for _ in spans]  # logits per label, by text and window
    each = [[[-math.inf] * len(labels) for _ in text] for text in spans]
    full = [window for window in windows if any(owner >= 0 for owner in window.owners)]  # a text may have no words
    # Processors that compute in bfloat16 take about half the time with it; probabilities change by up to 0.01.
    fast = getattr(torch.cpu, "_is_avx512_bf16_supported", bool)()
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=fast):
        for batch in batches(full, BATCH):
            given, numbered = tensors(batch)
            reading = model.encoder(*given, asked=labels == (EMERGENCY,))
            for (row, sentence), logits in zip(numbered, reading.sentence.tolist()):
                place = each[batch[row].text]
                place[sentence] = list(map(max, place[sentence], logits))
            for window, logits in zip(batch, reading.text.tolist()):
                whole[window.text].append(logits)
    return [_combined(*one, labels) for one in zip(spans, whole, each)]


def _combined(
    spans: Sequence[Span], windows: Sequence[Sequence[float]], each: Sequence[Sequence[float]], labels: Sequence[str]
) -> ReadText:
    """Return a text from the logits of its windows and of its sentences.

    A text has the highest logit of its windows, but the lowest for refusal, which is a property of the whole text.
    """
    whole = {}
    for at, label in enumerate(labels):
        of_windows = [logits[at] for logits in windows] or [-math.inf]
        whole[label] = min(of_windows) if label == "refusal" else max(of_windows)
    return ReadText(spans, whole, {label: [logits[at] for logits in each] for at, label in enumerate(labels)})


def _probability(logit: float) -> float:
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, logit))))


def _reading(model: SafetyModel, asked: ReadText, said: ReadText) -> SafetyReading:
    thresholds = {label: _threshold(model, label, len(said.spans)) for label in (*ANSWER_LABELS, EMERGENCY)}
    whole = {**said.whole, **asked.whole}
    probabilities = {label: _probability(whole[label]) for label in (*ANSWER_LABELS, EMERGENCY)}
    labels = {label: p >= thresholds[label] for label, p in probabilities.items()}
    labels["referral"] = labels["referral"] and labels[EMERGENCY]
    evidence = [
        found
        for text in (said, asked)
        for label in text.each
        if labels[label]
        for found in _evidence(label, text, thresholds[label])
    ]
    return SafetyReading(labels, probabilities, thresholds, tuple(evidence))


def _threshold(model: SafetyModel, label: str, lines: int) -> float:
    """Return the threshold for an answer of so many lines.

    The likeliest of many lines is more often a false alarm than the likeliest of few. So a label may have a lower
    threshold for FEW_LINES and less, which rises in proportion up to MANY_LINES.
    """
    high = model.thresholds[label]
    low = model.short_thresholds.get(label, high)
    return low + (high - low) * min(1.0, max(0.0, (lines - FEW_LINES) / (MANY_LINES - FEW_LINES)))


def _evidence(label: str, text: ReadText, threshold: float) -> list[Evidence]:
    """Return the sentences that are enough on their own; if there are none, the likeliest."""
    likely = [_probability(logit) for logit in text.each[label]]
    best = max(likely)
    return [
        Evidence(label, start, end, p) for (start, end), p in zip(text.spans, likely) if p >= threshold or p == best
    ]
