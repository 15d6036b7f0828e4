"""One side of the speed comparison in a process of its own: load, warm up, then time nothing but the answering.

Every side's script calls `serve` with a function that loads its harness. Runs in the peers' environments too, so only
the standard library, psutil, torch and transformers may be imported here.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

SAMPLE_SECONDS = 0.02  # between two looks at resident memory
SLOWER = 1.1  # a search among batch sizes ends at the first that takes so many times the best one's seconds


@dataclass(frozen=True)
class Request:
    """What a side is asked to do. `rows` is a file of `Row`s, in JSON lines."""

    method: str  # "choose" or "generate"
    model: str  # folder of the weights
    spec: str  # the model as `medbench run --model` takes it
    device: str
    dtype: str
    quantize: str
    rows: str
    batch_sizes: tuple[int, ...]  # timed one after the other; a size that is too large ends the list
    max_new_tokens: int
    work: str  # folder for whatever the side writes
    answer: str  # file that this process writes: `Response` as JSON
    peak: bool = False  # measure the machine's matrix-product peak around the answering


@dataclass(frozen=True)
class Row:
    """One item. `prompt` is the whole plain prompt, `question` its last turn alone."""

    id: str
    benchmark: str
    prompt: str
    question: str
    options: tuple[str, ...] = ()
    gold: int = 0


@dataclass
class Answer:
    """What one side gave to one item. An option that the harness gives no number for is None."""

    id: str
    prompt: str  # as sent
    logprobs: tuple[float | None, ...] = ()
    text: str = ""
    tokens: int = 0  # of `text`


@dataclass
class Timing:
    """Of one timed section."""

    batch_size: int
    seconds: float = 0.0
    cpu_seconds: float = 0.0  # of all threads of this process
    peak_rss_bytes: int = 0
    peak_gpu_bytes: int = 0


@dataclass
class Response:
    timings: list[Timing] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)  # of the last timed section
    load_seconds: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)


class Clock:
    """Times what happens inside `with clock:`; several such blocks add up."""

    def __init__(self, batch_size: int, device: str) -> None:
        import psutil

        self.timing = Timing(batch_size)
        self._process = psutil.Process()
        self._cuda = device.startswith("cuda")

    def __enter__(self) -> Clock:
        self._idle = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        if self._cuda:
            import torch

            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        self._watcher.start()
        self._cpu = time.process_time()
        self._started = time.perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        timing = self.timing
        if self._cuda:
            import torch

            torch.cuda.synchronize()
            timing.peak_gpu_bytes = max(timing.peak_gpu_bytes, torch.cuda.max_memory_allocated())
        timing.seconds += time.perf_counter() - self._started
        timing.cpu_seconds += time.process_time() - self._cpu
        self._idle.set()
        self._watcher.join()

    def _watch(self) -> None:
        while True:
            self.timing.peak_rss_bytes = max(self.timing.peak_rss_bytes, self._process.memory_info().rss)
            if self._idle.wait(SAMPLE_SECONDS):
                return


class Side(Protocol):
    """A harness with its model in memory."""

    facts: dict[str, Any]

    def answer(self, rows: Sequence[Row], max_new_tokens: int, clock: Clock) -> list[Answer]:
        """Answers to `rows`, batches of `clock.timing.batch_size`; `clock` runs while the harness answers."""
        ...


def warm_up(rows: Sequence[Row]) -> list[Row]:
    """Two rows that no side can profit from later: the shape of the first ones, with made-up words."""
    words = "The patient rests and drinks water. " * 20
    found = []
    for number, row in enumerate(rows[:2]):
        question = f"Question: {number} {words}\nAnswer:"
        found.append(Row(f"warm-up-{number}", row.benchmark, question, question, row.options, row.gold))
    return found


def answered(request: Request, start: Callable[[Request], Side]) -> Response:
    """Load, warm up, time."""
    import torch

    started = time.perf_counter()
    side = start(request)
    response = Response(load_seconds=time.perf_counter() - started, facts=dict(side.facts))
    rows = read_rows(Path(request.rows))
    peaks = [matrix_peak(request.model, request.device, request.dtype)] if request.peak else []
    side.answer(warm_up(rows), 8, Clock(2, request.device))
    for batch_size in request.batch_sizes:
        clock = Clock(batch_size, request.device)
        try:
            response.answers = side.answer(rows, request.max_new_tokens, clock)
        except torch.OutOfMemoryError:
            break
        best = min([timing.seconds for timing in response.timings], default=clock.timing.seconds)
        response.timings.append(clock.timing)
        if clock.timing.seconds > best * SLOWER:
            break
    if request.peak:
        peaks.append(matrix_peak(request.model, request.device, request.dtype))
        response.facts["peak_flops"] = max(peaks)
    if request.method == "generate":
        count_tokens(request.model, response.answers)
    return response


def count_tokens(model: str, answers: Sequence[Answer]) -> None:
    """Sets every answer's `tokens`, by the model's own tokenizer."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    for answer in answers:
        answer.tokens = len(tokenizer(answer.text, add_special_tokens=False)["input_ids"])


def matrix_peak(model: str, device: str, dtype: str) -> float:
    """The machine's FLOP/s in matrix products now: the best of the model's own shapes and of a square one."""
    import torch
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(model)
    hidden = config.hidden_size
    inner = getattr(config, "intermediate_size", None) or 4 * hidden
    cuda = device.startswith("cuda")
    heights = (4096, 16384) if cuda else (512, 1024, 2048)
    square = 8192 if cuda else 2048
    shapes = [(rows, *pair) for rows in heights for pair in ((hidden, inner), (inner, hidden), (hidden, hidden))]
    return max(_flops_per_second(shape, device, getattr(torch, dtype)) for shape in [*shapes, (square,) * 3])


def _flops_per_second(shape: tuple[int, int, int], device: str, dtype: Any) -> float:
    """Of (rows, inner) times (inner, columns): the best of several short series."""
    import torch

    rows, inner, columns = shape
    left = torch.randn(rows, inner, device=device, dtype=dtype)
    right = torch.randn(inner, columns, device=device, dtype=dtype)
    out = torch.empty(rows, columns, device=device, dtype=dtype)
    flops = 2 * rows * inner * columns
    repeats = max(1, round((1e13 if device.startswith("cuda") else 5e9) / flops))
    wait = torch.cuda.synchronize if device.startswith("cuda") else (lambda: None)
    best = 0.0
    for _ in range(4):
        wait()
        started = time.perf_counter()
        for _ in range(repeats):
            torch.mm(left, right, out=out)
        wait()
        best = max(best, repeats * flops / (time.perf_counter() - started))
    return best


def read_rows(path: Path) -> list[Row]:
    lines = path.read_text(encoding="utf-8").split("\n")
    rows = [json.loads(line) for line in lines if line.strip()]
    return [Row(**{**row, "options": tuple(row["options"])}) for row in rows]


def write_rows(rows: Sequence[Row], path: Path) -> Path:
    path.write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows), encoding="utf-8")
    return path


def quantization(request: Request) -> Any:
    """transformers' configuration of `request.quantize`, the one that medbench loads with; None for none."""
    if not request.quantize:
        return None
    import torch
    from transformers import BitsAndBytesConfig

    if request.quantize == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, request.dtype),
    )


def serve(start: Callable[[Request], Side]) -> None:
    """The main function of a side's script: the request is the file that the command line names."""
    asked = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    request = Request(**{**asked, "batch_sizes": tuple(asked["batch_sizes"])})
    response = answered(request, start)
    Path(request.answer).write_text(json.dumps(asdict(response)), encoding="utf-8")
