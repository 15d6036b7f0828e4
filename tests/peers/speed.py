"""Speed beside the peers: the same items, prompts, weights and threads through medbench, lm-eval and Inspect AI.

    python tests/peers/speed.py --data DIR --limit 100 --rounds 3 --write docs/measurements.md

Peers run in environments of their own (`--peer-env`, made where they are missing). Every run of a side is a process of
its own: it imports, loads the weights, answers two made-up items, and only then is timed, around the calls that answer
(tokens and batches are made inside them; items are read and metrics computed outside). Runs alternate, medbench, peers,
medbench, peers. A peer's batch size is searched once per workload and kept (`--search` does it again). Ends with exit
code 1 where an answer differs by more than rounding.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import environments
from environments import INSPECT, LM_EVAL, SHARED, Peer, best, call, markdown, stop, tell
from timed import Answer, Request, Response, Row, Timing, write_rows

if TYPE_CHECKING:
    from medbench.core.types import Benchmark, Item, ModelSpec

HERE = Path(__file__).parent
TITLE = "Peers"
PEERS = (LM_EVAL, INSPECT)
SCRIPTS = {"lm-eval": "speed_lm_eval.py", "inspect": "speed_inspect.py", "medbench": "speed_medbench.py"}
SHOTS = 5
NEW_TOKENS = 256
SEARCH_ITEMS = 16  # on which the batch size for choosing is searched; for generating it is all items
# A search runs these in order and stops at the first that is a tenth slower than the best, or does not fit.
BATCHES = {
    ("cpu", "choose"): (1, 2, 4, 8, 16),
    ("cpu", "generate"): (64, 32, 16, 8),
    ("cuda", "choose"): (8, 16, 32, 64, 128),
    ("cuda", "generate"): (64, 32, 16, 8),
}
# Nats: a difference that depends on less is rounding. Batches of other shapes sum in another order.
ROUNDING = {"float32": 1e-3, "bfloat16": 0.25, "float16": 0.05}


@dataclass(frozen=True)
class Workload:
    name: str
    title: str
    method: str  # "choose" or "generate"
    rows: tuple[Row, ...]
    peers: tuple[str, ...]


@dataclass(frozen=True)
class Shape:
    """Of a decoder: what its arithmetic costs."""

    body: int  # parameters less embedding and output layer
    layers: int
    attention_width: int  # heads times their width
    hidden: int
    vocabulary: int


@dataclass(frozen=True)
class Difference:
    """One item that two sides answered differently. `gap` is the nats that it depends on."""

    item: str
    ours: str
    theirs: str
    gap: float


@dataclass
class Result:
    """One workload on medbench and one peer, run by run."""

    workload: Workload
    peer: str
    batch_size: int
    ours: list[Response] = field(default_factory=list)
    theirs: list[Response] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    other_prompts: int = 0
    unread: int = 0  # items for which the peer has no number for any option

    def beyond(self, rounding: float) -> list[Difference]:
        return [difference for difference in self.differences if difference.gap > rounding]


# --- arithmetic


def ratios(theirs: Sequence[float], ours: Sequence[float]) -> tuple[float, float, float]:
    """The median of theirs over the median of ours; the lowest and the highest ratio of two runs side by side."""
    paired = [their / our for their, our in zip(theirs, ours, strict=True)]
    return statistics.median(theirs) / statistics.median(ours), min(paired), max(paired)


def flops(shape: Shape, tokens: int) -> int:
    """Of one prompt of so many tokens read once, with logits at its last position.

    2 per weight of the body and token; in every layer and for every head, 2 times its width for the score of each pair
    of a token and one not after it, and as much for its value; 2 per weight of the output layer, once.
    """
    pairs = tokens * (tokens + 1) // 2
    attention = 4 * shape.layers * shape.attention_width * pairs
    return 2 * shape.body * tokens + attention + 2 * shape.hidden * shape.vocabulary


def differing_choices(ours: Sequence[Answer], theirs: Sequence[Answer]) -> list[Difference]:
    """Items of another likeliest option. The gap is the larger of the two sides' leads over the other's choice.

    An option without a number is less likely than any with one; items without any number are left out (`unread`).
    """
    found = []
    for our, their in zip(ours, theirs, strict=True):
        first, second = _numbers(our), _numbers(their)
        mine, other = best(first), best(second)
        if mine != other and not _unread(their):
            gap = max(first[mine] - first[other], second[other] - second[mine])
            found.append(Difference(our.id, f"option {mine}", f"option {other}", gap))
    return found


def _unread(answer: Answer) -> bool:
    return all(logprob is None for logprob in answer.logprobs)


def _numbers(answer: Answer) -> list[float]:
    return [float("-inf") if logprob is None else logprob for logprob in answer.logprobs]


def differing_texts(ours: Sequence[Answer], theirs: Sequence[Answer]) -> list[tuple[Answer, Answer]]:
    """Answers of other text; white space around it does not count."""
    return [(our, their) for our, their in zip(ours, theirs, strict=True) if our.text.strip() != their.text.strip()]


def median(responses: Sequence[Response], of: Callable[[Timing], float]) -> float:
    return statistics.median(of(response.timings[-1]) for response in responses)


def seconds(responses: Sequence[Response]) -> list[float]:
    return [response.timings[-1].seconds for response in responses]


def cpu_seconds(responses: Sequence[Response]) -> list[float]:
    return [response.timings[-1].cpu_seconds for response in responses]


def throughput(result: Result, responses: Sequence[Response]) -> float:
    """Tokens/s: of the prompts, each read once, where a model chooses; of the answers where it writes."""
    counted = result.ours if result.workload.method == "choose" else responses
    tokens = statistics.median(sum(answer.tokens for answer in response.answers) for response in counted)
    return tokens / statistics.median(seconds(responses))


def peak_shares(responses: Sequence[Response], shape: Shape) -> list[tuple[float, float, float]]:
    """Of every run of choosing: FLOP/s, the machine's peak beside it, and their ratio."""
    found = []
    for response in responses:
        done = sum(flops(shape, answer.tokens) for answer in response.answers)
        rate = done / response.timings[-1].seconds
        found.append((rate, response.facts["peak_flops"], rate / response.facts["peak_flops"]))
    return found


# --- the page


def table(results: Sequence[Result], rounding: float, cuda: bool) -> str:
    """One line per workload and peer."""
    memory: Callable[[Timing], float] = (lambda t: t.peak_gpu_bytes) if cuda else (lambda t: t.peak_rss_bytes)
    header = [
        "workload",
        "peer",
        "items",
        "its batch size",
        "medbench, s",
        "peer, s",
        "ratio",
        "ratio of CPU time",
        "medbench / peer, tokens/s",
        "medbench / peer, peak GB",
        "other answers",
        "beyond rounding",
    ]
    rows = []
    for result in results:
        ratio, low, high = ratios(seconds(result.theirs), seconds(result.ours))
        cpu, cpu_low, cpu_high = ratios(cpu_seconds(result.theirs), cpu_seconds(result.ours))
        rows.append(
            [
                result.workload.title,
                result.peer,
                str(len(result.workload.rows)),
                str(result.batch_size),
                f"{statistics.median(seconds(result.ours)):.1f}",
                f"{statistics.median(seconds(result.theirs)):.1f}",
                f"**{ratio:.2f}** ({low:.2f}–{high:.2f})",
                f"{cpu:.2f} ({cpu_low:.2f}–{cpu_high:.2f})",
                f"{throughput(result, result.ours):.0f} / {throughput(result, result.theirs):.0f}",
                f"{median(result.ours, memory) / 1e9:.2f} / {median(result.theirs, memory) / 1e9:.2f}",
                str(len(result.differences)),
                str(len(result.beyond(rounding))),
            ]
        )
    return markdown(header, rows, left=2)


def told(results: Sequence[Result], rounding: float) -> list[str]:
    """A line for every answer that differs, and for every workload in which prompts do."""
    lines = []
    for result in results:
        where = f"{result.workload.title}, {result.peer}"
        if result.other_prompts:
            lines.append(f"{where}: {result.other_prompts} prompts differ.")
        if result.unread:
            lines.append(f"{where}: {result.unread} items without a number for any option, so without an answer.")
        for difference in result.differences:
            kind = "beyond rounding" if difference.gap > rounding else "rounding"
            parts = f"{difference.ours} here, {difference.theirs} there"
            lines.append(f"{where}, item {difference.item}: {parts}; it depends on {difference.gap:.1e} nats ({kind}).")
    return lines


def page(
    results: Sequence[Result], shape: Shape | None, rounding: float, facts: dict[str, str], command: str, cuda: bool
) -> str:
    """The section of the documentation page, below its title."""
    lines = [
        f"    {command}",
        "",
        "The same items, prompts, folder of weights and number of threads for every side. Each run is a process of its",
        "own that imports, loads, answers two made-up items, and is then timed around the calls that answer:",
        "medbench's `engine.choose` and `engine.generate`, lm-eval's `loglikelihood` and `generate_until`, Inspect's",
        "`ModelAPI.generate`. Tokenizing and batching are inside, loading, reading items and metrics outside. Runs",
        "alternate; ratio: the peer's median seconds over medbench's, in brackets the lowest and highest of two runs",
        "side by side. Peers run at their best batch size of a few. Written by `tests/peers/speed.py`.",
        "",
        table(results, rounding, cuda),
        "",
        "*tokens/s*: of the prompts, each counted once, where a model chooses; of the answers where it writes.",
        f"*peak*: {'GPU memory' if cuda else 'resident memory'} while answering, the weights included.",
        "*other answers*: another likeliest option or another text than medbench's, in any round; *beyond rounding*:",
        f"those where the difference depends on more than {rounding:g} nats. Inspect reads choices off the 100",
        "likeliest tokens.",
        "",
    ]
    choosing = next((result for result in results if result.ours and "peak_flops" in result.ours[0].facts), None)
    if shape and choosing:
        shares = peak_shares(choosing.ours, shape)
        rate, peak, share = (statistics.median(column) for column in zip(*shares))
        lowest, highest = min(row[2] for row in shares), max(row[2] for row in shares)
        lines += [
            f"Of the machine's {peak / 1e9:.0f} GFLOP/s in matrix products (`torch.mm`, the best of the model's own",
            f"shapes and a large square, right before and after the same timed runs), {choosing.workload.title} gets",
            f"{rate / 1e9:.0f}: **{share:.0%}** ({lowest:.0%}–{highest:.0%}). Counted per prompt of n tokens, as if no",
            f"two prompts shared any: 2 × {shape.body:,} × n (parameters less embedding and output layer) + 4 ×",
            f"{shape.layers} × {shape.attention_width} × n(n + 1)/2 (attention: layers, width of all heads) + 2 ×",
            f"{shape.hidden} × {shape.vocabulary:,} (logits at one position).",
            "",
        ]
    differing = told(results, rounding)
    lines += [f"- {line}" for line in differing] + ([""] if differing else [])
    return "\n".join([*lines, markdown(["", ""], [[*row] for row in facts.items()], left=2), ""])


def with_section(text: str, title: str, body: str) -> str:
    """`text` with its section `## title` replaced by `body`, or with that section at its end."""
    heading = f"## {title}\n"
    at = text.find(heading) if text.startswith(heading) else text.find(f"\n{heading}") + 1
    if not text.startswith(heading) and at == 0:
        return f"{text.rstrip()}\n\n{heading}\n{body.rstrip()}\n".lstrip()
    following = text.find("\n## ", at + 1)
    rest = text[following:] if following >= 0 else ""
    return f"{text[:at]}{heading}\n{body.rstrip()}\n{rest}"


# --- what is asked


def workloads(arguments: argparse.Namespace, data: Path, spec: ModelSpec) -> list[Workload]:
    """The items that medbench draws and the prompts that it writes, for every side."""
    from medbench.benchmarks.sources.files import Source
    from medbench.core import registry
    from medbench.evaluation.engine_facts import engine_facts
    from medbench.evaluation.plan import plan
    from medbench.evaluation.settings import Settings

    source = Source(data)
    engine = registry.get("engines", spec.engine)(spec)

    def rows(name: str, limit: int, shots: int = 0, full_text: bool = False) -> tuple[Row, ...]:
        benchmark: Benchmark = registry.get("benchmarks", name)
        items = benchmark.load(source)
        if full_text:
            benchmark = replace(benchmark, question=_unlisted)
            items = replace(items, items=tuple(replace(item, labels=()) for item in items.items))
        settings = Settings(limit=limit, shots=shots)
        found = plan(benchmark, items, engine_facts(engine, benchmark, items, settings), settings)
        return tuple(
            Row(
                item.id,
                name,
                found.prompts[item.id].plain,
                found.prompts[item.id].question,
                item.answers,
                item.gold or 0,
            )
            if item.options
            else Row(item.id, name, found.prompts[item.id].plain, found.prompts[item.id].question)
            for item in found.items
        )

    limit = arguments.limit
    half = max(1, limit // 2)
    made = {
        "zero-shot": lambda: Workload(
            "zero-shot",
            "zero-shot choice",
            "choose",
            (*rows("pubmedqa", half), *rows("medqa", half)),
            ("lm-eval", "inspect"),
        ),
        "five-shot": lambda: Workload(
            "five-shot", f"{SHOTS}-shot choice", "choose", rows("medqa", limit, shots=SHOTS), ("lm-eval",)
        ),
        "full-text": lambda: Workload(
            "full-text", "full-text options", "choose", rows("medqa", limit, full_text=True), ("lm-eval",)
        ),
        "generate": lambda: Workload(
            "generate", "generation", "generate", rows("medquad", limit), ("lm-eval", "inspect")
        ),
    }
    names = arguments.workloads.split(",") if arguments.workloads else list(made)
    if not set(names) <= made.keys():
        stop(f"--workloads takes {','.join(made)}, not {arguments.workloads}")
    return [made[name]() for name in names]


def _unlisted(item: Item) -> str:
    """The question without its options, which are what the model chooses between."""
    return f"Question: {item.question}\nAnswer:"


def shape_of(folder: str, parameters: int) -> Shape | None:
    """Of a decoder whose configuration says what is needed; None for others."""
    config = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
    if config.get("is_encoder_decoder") or not {"hidden_size", "num_attention_heads", "vocab_size"} <= config.keys():
        return None
    hidden, vocabulary = config["hidden_size"], config["vocab_size"]
    head = config.get("head_dim") or hidden // config["num_attention_heads"]
    matrices = 1 if config.get("tie_word_embeddings", True) else 2
    return Shape(
        parameters - matrices * hidden * vocabulary,
        config["num_hidden_layers"],
        config["num_attention_heads"] * head,
        hidden,
        vocabulary,
    )


# --- running the sides


@dataclass(frozen=True)
class Runner:
    """Starts one side's process and reads what it answers."""

    arguments: argparse.Namespace
    folder: str  # of the weights
    work: Path
    pythons: dict[str, Path]

    def run(self, side: str, workload: Workload, batch_sizes: Sequence[int], rows: Sequence[Row]) -> Response:
        place = self.work / f"{workload.name}-{side}-{time.time_ns()}"
        place.mkdir(parents=True)
        arguments = self.arguments
        request = Request(
            method=workload.method,
            model=self.folder,
            spec=arguments.model,
            device=arguments.device,
            dtype=arguments.dtype,
            quantize=arguments.quantize,
            rows=str(write_rows(rows, place / "rows.jsonl")),
            batch_sizes=tuple(batch_sizes),
            max_new_tokens=arguments.max_new_tokens,
            work=str(place),
            answer=str(place / "answer.json"),
            peak=side == "medbench" and workload.name == "zero-shot",
        )
        (place / "request.json").write_text(json.dumps(asdict(request)), encoding="utf-8")
        call([self.pythons[side], HERE / SCRIPTS[side], place / "request.json"], place / "log", self.environment())
        return read_response(Path(request.answer))

    def environment(self) -> dict[str, str]:
        threads = str(self.arguments.threads)
        offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "INSPECT_DISPLAY": "none"}
        return {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "TOKENIZERS_PARALLELISM": "true", **offline}

    def batch_size(self, peer: Peer, workload: Workload, kept: Path) -> int:
        """The peer's best for this workload: found earlier on the same terms, or searched now."""
        arguments = self.arguments
        kind = "cuda" if arguments.device.startswith("cuda") else "cpu"
        named = {"choose": arguments.choice_batches, "generate": arguments.generate_batches}[workload.method]
        sizes = tuple(int(size) for size in named.split(",")) if named else BATCHES[kind, workload.method]
        if len(sizes) == 1:
            return sizes[0]
        terms = [peer.folder, self.folder, arguments.device, arguments.dtype, arguments.quantize]
        key = " ".join([*terms, str(arguments.threads), workload.name, str(len(workload.rows)), str(sizes)])
        known = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
        if key not in known or arguments.search:
            # Spread over the rows, so that both benchmarks of a workload are among them.
            few = workload.rows[:: max(1, len(workload.rows) // SEARCH_ITEMS)]
            rows = workload.rows if workload.method == "generate" else few
            tried = self.run(peer.name, workload, sizes, rows).timings
            shown = ", ".join(f"{timing.batch_size}: {timing.seconds:.1f} s" for timing in tried)
            tell(f"  {peer.name}, batch sizes on {len(rows)} items: {shown}")
            if not tried:
                stop(f"{peer.name} had no memory for {workload.title} at batch size {sizes[0]}")
            known[key] = min(tried, key=lambda timing: timing.seconds).batch_size
            kept.write_text(json.dumps(known, indent=1), encoding="utf-8")
        return int(known[key])

    def compare(self, workload: Workload, peers: Sequence[Peer], kept: Path) -> list[Result]:
        """Medbench and the peers in turn, round after round; a round's runs stand side by side."""
        tell(f"{workload.title}: {len(workload.rows)} items")
        results = [Result(workload, peer.name, self.batch_size(peer, workload, kept)) for peer in peers]
        for number in range(1, self.arguments.rounds + 1):
            ours = self.run("medbench", workload, [0], workload.rows)
            tell(f"  round {number}: medbench {ours.timings[-1].seconds:.1f} s")
            for result in results:
                theirs = self.run(result.peer, workload, [result.batch_size], workload.rows)
                result.ours.append(ours)
                result.theirs.append(theirs)
                ratio = theirs.timings[-1].seconds / ours.timings[-1].seconds
                tell(f"  round {number}: {result.peer} {theirs.timings[-1].seconds:.1f} s, ratio {ratio:.2f}")
        for result in results:
            self._differences(result)
        return results

    def _differences(self, result: Result) -> None:
        """Sets what differs in any round, each pair of answers once."""
        found: dict[tuple[str, str, str], Difference] = {}
        texts: dict[tuple[str, str, str], tuple[str, str]] = {}  # (prompt, text, other text) -> (item, …)
        for ours, theirs in zip(result.ours, result.theirs):
            other = sum(our.prompt != their.prompt for our, their in zip(ours.answers, theirs.answers))
            result.other_prompts = max(result.other_prompts, other)
            if result.workload.method == "choose":
                result.unread = max(result.unread, sum(map(_unread, theirs.answers)))
                for difference in differing_choices(ours.answers, theirs.answers):
                    found[difference.item, difference.ours, difference.theirs] = difference
            else:
                for our, their in differing_texts(ours.answers, theirs.answers):
                    texts[our.prompt, our.text.strip(), their.text.strip()] = (our.id, f"{our.tokens} tokens")
        for (prompt, text, other_text), gap in zip(texts, self._gaps(list(texts))):
            item, length = texts[prompt, text, other_text]
            found[item, text, other_text] = Difference(item, _parting(text, other_text), length, gap)
        result.differences = list(found.values())

    def _gaps(self, texts: Sequence[tuple[str, str, str]]) -> list[float]:
        if not texts:
            return []
        arguments = self.arguments
        file = self.work / f"gaps-{time.time_ns()}.json"
        asked = {"device": arguments.device, "dtype": arguments.dtype, "quantize": arguments.quantize}
        file.write_text(json.dumps({**asked, "spec": arguments.model, "texts": texts}), encoding="utf-8")
        call([self.pythons["medbench"], HERE / "speed_gaps.py", file], file.with_suffix(".log"), self.environment())
        return list(json.loads(file.read_text(encoding="utf-8")))


def _parting(text: str, other: str) -> str:
    shorter = min(len(text), len(other))
    at = next((place for place in range(shorter) if text[place] != other[place]), shorter)
    return f"parts at character {at}"


def read_response(path: Path) -> Response:
    found = json.loads(path.read_text(encoding="utf-8"))
    answers = [Answer(**{**answer, "logprobs": tuple(answer["logprobs"])}) for answer in found["answers"]]
    return Response([Timing(**timing) for timing in found["timings"]], answers, found["load_seconds"], found["facts"])


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of official releases (MEDBENCH_DATA)")
    parser.add_argument("--model", default="smollm2-135m", help="anything `medbench run --model` takes (%(default)s)")
    parser.add_argument("--limit", type=int, default=100, help="items per workload (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each side (%(default)s)")
    parser.add_argument("--workloads", default="", help="zero-shot, five-shot, full-text, generate, by comma (all)")
    parser.add_argument("--peers", default="lm-eval,inspect", help="by comma (%(default)s)")
    parser.add_argument("--max-new-tokens", type=int, default=NEW_TOKENS, help="(%(default)s)")
    parser.add_argument("--device", default="cpu", help="for every side (%(default)s)")
    parser.add_argument("--dtype", default="", help="float32, bfloat16, float16 (float32 on a CPU, else bfloat16)")
    parser.add_argument("--quantize", default="", choices=["", "nf4", "int8"], help="for every side (none)")
    parser.add_argument("--threads", type=int, default=_cores(), help="of every side (%(default)s)")
    parser.add_argument(
        "--choice-batches", default="", help="batch sizes to try for the peers, by comma; one: no search"
    )
    parser.add_argument("--generate-batches", default="", help="the same where text is written")
    parser.add_argument("--search", action="store_true", help="search the peers' batch sizes again")
    parser.add_argument("--peer-env", type=Path, help="folder of the peers' environments (in medbench's cache)")
    parser.add_argument("--work", type=Path, help="folder for what the sides read and write (a temporary one)")
    parser.add_argument("--out", type=Path, help="write every run, without its answers, to this file as JSON")
    parser.add_argument("--write", type=Path, help=f"put the result into this page, as its section '{TITLE}'")
    return parser.parse_args(argv)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def repeated(arguments: argparse.Namespace) -> str:
    """The command that does the same again."""
    options = [f"--data DIR --limit {arguments.limit} --rounds {arguments.rounds}"]
    changed = [("--workloads", arguments.workloads), ("--device", arguments.device.replace("cpu", ""))]
    changed += [("--quantize", arguments.quantize), ("--model", Path(arguments.model).name)]
    changed += [("--peers", arguments.peers if arguments.peers != "lm-eval,inspect" else "")]
    options += [f"{name} {value}" for name, value in changed if value and value != "smollm2-135m"]
    return f"python tests/peers/speed.py {' '.join(options)} --write docs/measurements.md"


def main() -> int:
    import sys

    from medbench.core import paths
    from medbench.engines.hf.loading import settle
    from medbench.zoo.resolve import resolve

    arguments = parse()
    data = arguments.data or paths.data() or stop("name the folder of official releases: --data DIR or MEDBENCH_DATA")
    spec = settle(resolve(arguments.model, device=arguments.device, dtype=arguments.dtype or "auto", tell=tell))
    arguments.dtype = spec.dtype
    rounding = ROUNDING[spec.dtype]
    cuda = arguments.device.startswith("cuda")
    wanted = [peer for peer in PEERS if peer.name in arguments.peers.split(",")]
    results: list[Result] = []
    body = "nothing was compared: no peer takes part in these workloads"
    with tempfile.TemporaryDirectory() as temporary:
        work = (arguments.work or Path(temporary)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        room = arguments.peer_env or paths.cache() / "peers"
        room.mkdir(parents=True, exist_ok=True)
        more = ["bitsandbytes"] if arguments.quantize else []
        pythons = {peer.name: environments.made(peer, room / peer.folder, work, more) for peer in wanted}
        both = {peer.name: environments.facts(pythons[peer.name], peer) for peer in wanted}
        facts = {
            "model": ", ".join(
                filter(None, [spec.name, f"revision {spec.revision[:12]}", spec.dtype, arguments.quantize])
            ),
            "device": _device(arguments.device),
            "threads": str(arguments.threads),
            "peers": ", ".join(f"{peer.package} {peer.version}" for peer in wanted),
            " / ".join(["libraries, here", *both]): ", ".join(
                f"{name} " + " / ".join([version(name), *(found[name] for found in both.values())]) for name in SHARED
            ),
            "measured": time.strftime("%Y-%m-%d"),
        }
        runner = Runner(
            arguments, str(Path(spec.location).resolve()), work, {**pythons, "medbench": Path(sys.executable)}
        )
        for workload in workloads(arguments, data.resolve(), spec):
            asked = [peer for peer in wanted if peer.name in workload.peers]
            if not asked:
                continue
            results += runner.compare(workload, asked, room / "batch-sizes.json")
            shape = shape_of(spec.location, results[0].ours[0].facts["parameters"])
            body = page(results, shape, rounding, facts, repeated(arguments), cuda)
            # Written after every workload: an hour's measuring is not lost with the last one.
            if arguments.write:
                text = arguments.write.read_text(encoding="utf-8") if arguments.write.exists() else ""
                arguments.write.write_text(with_section(text, TITLE, body), encoding="utf-8")
            if arguments.out:
                arguments.out.write_text(json.dumps([_kept(result) for result in results], indent=1), encoding="utf-8")
    print(body)
    return 1 if any(result.beyond(rounding) or result.other_prompts for result in results) else 0


def _kept(result: Result) -> dict[str, Any]:
    """What `--out` keeps of a result."""
    runs = [
        {"side": side, **asdict(response.timings[-1]), "load_seconds": response.load_seconds, **response.facts}
        for side, responses in (("medbench", result.ours), (result.peer, result.theirs))
        for response in responses
    ]
    differences = [asdict(difference) for difference in result.differences]
    return {"workload": result.workload.name, "peer": result.peer, "runs": runs, "differences": differences}


def _device(device: str) -> str:
    if device.startswith("cuda"):
        import torch

        return str(torch.cuda.get_device_name(device))
    return f"cpu ({platform.machine()}, {platform.system()})"


if __name__ == "__main__":
    raise SystemExit(main())
