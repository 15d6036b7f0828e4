"""Parity with lm-evaluation-harness: the same items, prompts and weights through both, compared item by item.

    python tests/peers/lm_eval_parity.py --data DIR --limit 100 --write docs/parity.md

medbench runs in this Python; lm-eval runs in an environment of its own (`--peer-env`, made where it is missing) on
the folder of weights that medbench's run names. What lm-eval asks is its own: its stock task files, included by path,
with only the data replaced by the official release, which this script reads by itself and not through medbench's
loaders. Ends with exit code 1 where a choice, a prompt or an accuracy differs.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from environments import LM_EVAL, SHARED, best, call, end_of, facts, json_lines, made, markdown, stop, tell

if TYPE_CHECKING:
    from medbench.core.types import Record
    from medbench.results.store import StoredRun

PEER = LM_EVAL.version


@dataclass(frozen=True)
class Task:
    """One benchmark on lm-eval's side: its stock task file and the release that fills it."""

    stock: str  # below lm_eval/tasks
    release: str  # file name in the official release
    documents: Callable[[str], dict[str, dict[str, Any]]]  # the file's text -> the stock task's fields, by item id


def pubmedqa_documents(text: str) -> dict[str, dict[str, Any]]:
    """PQA-L by PMID, with the field names the release itself uses; lm-eval's task uses them too."""
    fields = ("QUESTION", "CONTEXTS", "final_decision")
    return {pmid: {field: row[field] for field in fields} for pmid, row in json.loads(text).items()}


def medqa_documents(text: str) -> dict[str, dict[str, Any]]:
    """MedQA's test rows by row number, under the names of the hub copy that lm-eval's task was written for."""
    rows = json_lines(text)
    return {
        str(number): {
            "sent1": row["question"],
            **{f"ending{place}": row["options"][letter] for place, letter in enumerate("ABCD")},
            "label": "ABCD".index(row["answer_idx"]),
        }
        for number, row in enumerate(rows)
    }


TASKS = {
    "pubmedqa": Task("pubmedqa/pubmedqa.yaml", "ori_pqal.json", pubmedqa_documents),
    "medqa": Task("medqa/medqa.yaml", "phrases_no_exclude_test.jsonl", medqa_documents),
}


@dataclass(frozen=True)
class PeerSample:
    """One item as lm-eval logged it."""

    prompt: str
    logprobs: tuple[float, ...]  # nats, one per option, in the task's order


@dataclass(frozen=True)
class Pair:
    """One item, as both saw it."""

    item_id: str
    truncated: bool  # medbench cut the prompt to fit the window; lm-eval logs prompts uncut
    prompt: str
    peer_prompt: str
    logprobs: tuple[float, ...]
    peer_logprobs: tuple[float, ...]

    @property
    def choice(self) -> int:
        return best(self.logprobs)

    @property
    def peer_choice(self) -> int:
        return best(self.peer_logprobs)

    @property
    def same_prompt(self) -> bool:
        return self.truncated or self.prompt == self.peer_prompt

    @property
    def difference(self) -> float:
        """The largest absolute difference of an option's log-probability, in nats."""
        return max(abs(ours - theirs) for ours, theirs in zip(self.logprobs, self.peer_logprobs, strict=True))

    @property
    def margin(self) -> float:
        """How far lm-eval's choice is ahead of its second, in nats."""
        first, second = sorted(self.peer_logprobs, reverse=True)[:2]
        return first - second


@dataclass(frozen=True)
class Comparison:
    benchmark: str
    pairs: tuple[Pair, ...]
    accuracy: float  # as medbench's metric reports it
    peer_accuracy: float  # as lm-eval reports it

    @property
    def different_choices(self) -> list[Pair]:
        return [pair for pair in self.pairs if pair.choice != pair.peer_choice]

    @property
    def different_prompts(self) -> list[Pair]:
        return [pair for pair in self.pairs if not pair.same_prompt]

    @property
    def spread(self) -> str:
        """How often lm-eval's choice is the first option, the second, …"""
        chosen = [pair.peer_choice for pair in self.pairs]
        return "/".join(str(chosen.count(option)) for option in range(len(self.pairs[0].peer_logprobs)))

    @property
    def same_accuracy(self) -> bool:
        return abs(self.accuracy - self.peer_accuracy) < 0.5 / len(self.pairs)  # to the item


def peer_samples(text: str) -> dict[str, PeerSample]:
    """Items by id out of the file that lm-eval's --log_samples writes."""
    samples = {}
    for sample in json_lines(text):
        prompts = {request["arg_0"] for request in sample["arguments"].values()}
        assert len(prompts) == 1, f"lm-eval asked the options of {sample['doc']['item_id']} under different prompts"
        logprobs = tuple(float(logprob) for logprob, _ in sample["filtered_resps"])
        samples[sample["doc"]["item_id"]] = PeerSample(prompts.pop(), logprobs)
    return samples


def pairs(records: Sequence[Record], samples: Mapping[str, PeerSample]) -> tuple[Pair, ...]:
    """medbench's records beside lm-eval's samples. Ends the program where one of them lacks an item."""
    asked = {record.item.id for record in records}
    if asked != samples.keys():
        stop(f"the two did not answer the same items: {sorted(asked ^ samples.keys())[:5]} …")
    found = []
    for record in records:
        item, output = record.item, record.output
        if output.logprobs is None:
            stop(f"medbench has no log-probabilities for item {item.id}: {output.error or 'it generated'}")
        peer = samples[item.id]
        cut = output.truncated_tokens > 0
        found.append(Pair(item.id, cut, output.prompt, peer.prompt, tuple(output.logprobs), peer.logprobs))
    return tuple(found)


def table(comparisons: Sequence[Comparison]) -> str:
    """The result as a Markdown table, one line per benchmark."""
    header = [
        "benchmark",
        "n",
        "medbench accuracy",
        "lm-eval accuracy",
        "choices",
        "different choices",
        "different prompts",
        "truncated",
        "max abs. difference of a log-prob.",
        "closest call",
    ]
    rows = [
        [
            comparison.benchmark,
            str(len(comparison.pairs)),
            f"{comparison.accuracy:.4f}",
            f"{comparison.peer_accuracy:.4f}",
            comparison.spread,
            str(len(comparison.different_choices)),
            str(len(comparison.different_prompts)),
            str(sum(pair.truncated for pair in comparison.pairs)),
            f"{max(pair.difference for pair in comparison.pairs):.1e}",
            f"{min(pair.margin for pair in comparison.pairs):.1e}",
        ]
        for comparison in comparisons
    ]
    return markdown(header, rows)


def faults(comparisons: Sequence[Comparison]) -> list[str]:
    """One line per item on which the two differ in choice or prompt, and per benchmark whose accuracy differs."""
    found = []
    for comparison in comparisons:
        name = comparison.benchmark
        if not comparison.same_accuracy:
            found.append(f"{name}: accuracy {comparison.accuracy}, lm-eval's {comparison.peer_accuracy}")
        for pair in comparison.pairs:
            if pair.choice != pair.peer_choice:
                ours = f"choice {pair.choice} {_shown(pair.logprobs)}"
                found.append(
                    f"{name} {pair.item_id}: {ours}, lm-eval's {pair.peer_choice} {_shown(pair.peer_logprobs)}"
                )
            if not pair.same_prompt:
                found.append(f"{name} {pair.item_id}: prompt {_parting(pair.prompt, pair.peer_prompt)}")
    return found


def _parting(prompt: str, peer_prompt: str) -> str:
    """Where two prompts part, with the text that follows there in each."""
    shorter = min(len(prompt), len(peer_prompt))
    at = next((place for place in range(shorter) if prompt[place] != peer_prompt[place]), shorter)
    return f"parts at character {at}: {prompt[at : at + 40]!r}, lm-eval's {peer_prompt[at : at + 40]!r}"


def _shown(logprobs: Sequence[float]) -> str:
    return "(" + ", ".join(f"{logprob:.5f}" for logprob in logprobs) + ")"


def page(comparisons: Sequence[Comparison], told: Mapping[str, str], command: str) -> str:
    """The documentation page: what was compared, the result, on what, and how to repeat it."""
    differing = faults(comparisons)
    verdict = (
        "**They differ:**\n\n" + "\n".join(f"- {fault}" for fault in differing)
        if differing
        else "Every choice, every prompt and every accuracy is the same."
    )
    return "\n".join(
        [
            "# Parity with lm-evaluation-harness",
            "",
            "This page compares medbench and lm-eval item by item, on the same items, plain prompts and fp32",
            "weights. `tests/peers/lm_eval_parity.py` writes it; it is never edited by hand.",
            "",
            verdict,
            "",
            table(comparisons),
            "",
            "*Choices*: how often lm-eval takes the first option, the second, and so on. Where a model takes nearly",
            "always the same one, equal choices prove little, and the log-probabilities are the test.",
            "*Different choices*: items for which the two tools give different options the highest log-probability.",
            "*Closest call*: the smallest lead, in nats, of a best option over the second. Where it is larger than",
            "twice the largest difference of a log-probability, no choice depends on rounding.",
            "",
            "| | |",
            "| --- | --- |",
            *[f"| {name} | {value} |" for name, value in told.items()],
            "",
            "lm-eval's prompts come from its own stock tasks (`pubmedqa`, `medqa_4options`), whose data the script",
            "replaces by the official releases, read without medbench's loaders and cut to the items that medbench",
            "drew. Both read the same folder of weights.",
            "",
            "To repeat this with the Python in which medbench is installed and the official releases in DIR:",
            "",
            f"    {command}",
            "",
        ]
    )


def run_medbench(arguments: argparse.Namespace, data: Path, out: Path) -> dict[str, StoredRun]:
    """One stored run per benchmark."""
    from medbench.results.store import StoredRun

    command = [sys.executable, "-m", "medbench", "run", "--model", arguments.model]
    command += ["--benchmark", arguments.benchmark, "--limit", str(arguments.limit), "--data", str(data)]
    command += ["--chat", "never", "--dtype", "float32", "--device", arguments.device]
    command += ["--metrics", "accuracy", "--latency-items", "0"]
    call([*command, "--quiet", "--out", str(out)], out.parent / "medbench.log")
    found: dict[str, StoredRun] = {}
    for manifest in sorted(out.rglob("manifest.json")):
        run = StoredRun(manifest.parent)
        if found.setdefault(str(run.manifest.benchmark.name), run) is not run:
            stop(f"{out} holds several runs of one benchmark: give --work an empty folder")
    return found


def write_task(name: str, ids: Sequence[str], data: Path, stock: Path, folder: Path) -> str:
    """lm-eval's stock task over the official release's rows of these items. Returns the task's name."""
    task = TASKS[name]
    files = sorted(data.rglob(task.release))
    if not files:
        stop(f"there is no {task.release} below {data}")
    documents = task.documents(files[0].read_text(encoding="utf-8"))
    unknown = [item_id for item_id in ids if item_id not in documents]
    if unknown:
        stop(f"{files[0]} has no items {unknown[:5]}")
    rows = folder / f"{name}.jsonl"
    with rows.open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps({"item_id": item_id, **documents[item_id]}) + "\n" for item_id in ids)
    changed = {
        "include": str(stock / task.stock),
        "task": f"medbench_{name}",
        "dataset_path": "json",
        "dataset_name": None,
        "dataset_kwargs": {"data_files": {"test": str(rows)}},
        "training_split": None,
        "validation_split": None,
        "test_split": "test",
    }
    # YAML that is JSON: every YAML reader takes it, and nothing needs quoting by hand.
    (folder / f"{name}.yaml").write_text(json.dumps(changed, indent=1), encoding="utf-8")
    return f"medbench_{name}"


def run_peer(python: Path, weights: str, tasks: Sequence[str], folder: Path, device: str) -> dict[str, Any]:
    """Runs lm-eval over the task files in `folder`; returns its results file."""
    config = {
        "model": "hf",
        "model_args": {"pretrained": weights, "dtype": "float32"},
        "tasks": list(tasks),
        "include_path": str(folder),
        "batch_size": 8,
        "device": device,
        "log_samples": True,
        "output_path": str(folder / "out"),
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(folder / "cache")}
    call([python, "-m", "lm_eval", "run", "--config", folder / "config.json"], folder / "lm_eval.log", offline)
    return dict(json.loads(next((folder / "out").rglob("results_*.json")).read_text(encoding="utf-8")))


def compare(arguments: argparse.Namespace, work: Path) -> tuple[list[Comparison], dict[str, str]]:
    """Both harnesses, one after the other, and the facts of the machine for the page."""
    from medbench.core import paths, registry

    data = arguments.data or paths.data() or stop("name the folder of official releases: --data DIR or MEDBENCH_DATA")
    data = data.resolve()
    names = arguments.benchmark.split(",")
    if not set(names) <= TASKS.keys():
        stop(f"--benchmark takes {','.join(TASKS)}, not {arguments.benchmark}")
    python = made(LM_EVAL, arguments.peer_env or paths.cache() / "peers" / LM_EVAL.folder, work)
    peer = facts(python, LM_EVAL)

    tell(f"medbench: {arguments.model} on {arguments.benchmark}, {arguments.limit} items each")
    runs = run_medbench(arguments, data, work / "medbench")
    missing = [name for name in names if name not in runs]
    if missing:
        stop(f"medbench stored no run of {', '.join(missing)}:\n{end_of(work / 'medbench.log')}")
    records = {name: runs[name].records() for name in names}
    manifest = runs[names[0]].manifest
    model = manifest.model

    tell(f"lm-eval {PEER}: the same items and weights")
    folder = work / "peer"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    ids = {name: [record.item.id for record in records[name]] for name in names}
    tasks = [write_task(name, ids[name], data, Path(peer["folder"]) / "tasks", folder) for name in names]
    results = run_peer(python, str(Path(model.location).resolve()), tasks, folder, arguments.device)

    metric = registry.get("metrics", "accuracy")
    comparisons = []
    for name in names:
        logged = next((folder / "out").rglob(f"samples_medbench_{name}_*.jsonl")).read_text(encoding="utf-8")
        figure = metric.aggregate(records[name], metric.score(records[name]))[0]
        peer_accuracy = float(results["results"][f"medbench_{name}"]["acc,none"])
        matched = pairs(records[name], peer_samples(logged))
        comparisons.append(Comparison(name, matched, figure.value, peer_accuracy))
    both = [f"{library} {version(library)} / {peer[library]}" for library in (*SHARED, "numpy")]
    told = {
        "model": f"{model.name}, revision {(model.revision or '')[:12]}",
        "window, medbench's / lm-eval's": f"{manifest.engine.get('window_tokens')} / {results['max_length']} tokens",
        "weights, medbench's / lm-eval's": f"{model.dtype} / {results['config']['model_dtype']}",
        "device": f"{arguments.device} ({platform.machine()}, {platform.system()})",
        "medbench": f"{version('medbench')}, Python {platform.python_version()}",
        "lm-eval": f"{peer['lm_eval']}, transformers backend (`hf`), batch size 8",
        "libraries, medbench's / lm-eval's": ", ".join(both),
    }
    return comparisons, told


def write_items(comparisons: Sequence[Comparison], path: Path) -> None:
    """Every item as a JSON line: both choices, both sets of log-probabilities."""
    with path.open("w", encoding="utf-8") as stream:
        for comparison in comparisons:
            for pair in comparison.pairs:
                row = {
                    "benchmark": comparison.benchmark,
                    "item": pair.item_id,
                    "choice": pair.choice,
                    "peer_choice": pair.peer_choice,
                    "same_prompt": pair.same_prompt,
                    "logprobs": pair.logprobs,
                    "peer_logprobs": pair.peer_logprobs,
                }
                stream.write(json.dumps(row) + "\n")


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default="smollm2-135m", help="anything `medbench run --model` takes (%(default)s)")
    parser.add_argument("--benchmark", default=",".join(TASKS), help="comma-separated (%(default)s)")
    parser.add_argument("--limit", type=int, default=100, help="items per benchmark (%(default)s)")
    parser.add_argument("--data", type=Path, help="folder of official releases (MEDBENCH_DATA)")
    parser.add_argument("--device", default="cpu", help="for both (%(default)s)")
    parser.add_argument("--peer-env", type=Path, help=f"environment with lm-eval {PEER} (made in medbench's cache)")
    parser.add_argument("--work", type=Path, help="folder for runs, task files and logs (a temporary one)")
    parser.add_argument("--out", type=Path, help="write every item as a JSON line to this file")
    parser.add_argument("--write", type=Path, help="write the documentation page to this file")
    return parser.parse_args(argv)


def main() -> int:
    arguments = parse()
    with tempfile.TemporaryDirectory() as temporary:
        work = (arguments.work or Path(temporary)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        comparisons, told = compare(arguments, work)
    print(table(comparisons))
    differing = faults(comparisons)
    print(*differing, sep="\n", end="\n" if differing else "")
    if arguments.out:
        write_items(comparisons, arguments.out)
    if arguments.write:
        options = f"--model {Path(arguments.model).name} --benchmark {arguments.benchmark} --limit {arguments.limit}"
        command = f"python tests/peers/lm_eval_parity.py {options} --data DIR --write docs/parity.md"
        arguments.write.write_text(page(comparisons, told, command), encoding="utf-8")
    return 1 if differing else 0


if __name__ == "__main__":
    raise SystemExit(main())
