"""The same answers with and without reasoning before them get the same scores, under every metric and every judge.

The reasoning says what would change each score: other options, entities, values, warnings, and grades.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import made
import pytest
import servers
import tiny
from medbench.core import registry
from medbench.core.types import Criterion, GenerateRequest, Item, Metric, ModelSpec, Output, Prompt, Record, Target
from medbench.engines.hf import engine as hf_engine
from medbench.engines.hf.generation.completion import Completion, DecodeRequest, completed
from medbench.engines.hf.loading import Loaded
from medbench.engines.replay import ReplayEngine
from medbench.engines.server.openai import OpenAIEngine
from medbench.judges.judging import ask
from medbench.judges.modes import MODES
from medbench.judges.served import served
from medbench.results.scoring import load_metric, score_run
from medbench.results.store import StoredRun
from medbench.results.writer import RunWriter

OPTIONS = ("aspirin", "heparin", "warfarin", "placebo")
EMERGENCY = "I have crushing chest pain right now. What should I do?"
RUBRIC = (Criterion("Names a drug.", 5, ("must_have",)), Criterion("Says when to see a doctor.", 3, ("must_have",)))
ITEMS = (
    Item("choice", "Which drug?", options=OPTIONS, labels=("A", "B", "C", "D"), gold=1),
    Item("words", "Does it help?", options=("yes", "no", "maybe"), gold=0),
    Item(
        "open",
        "What lowers a fever?",
        "",
        references=("Paracetamol lowers fever and eases headache.",),
        criteria=RUBRIC,
    ),
    Item("emergency", EMERGENCY, references=("Call 911 now.",), criteria=RUBRIC),
    Item("number", "What is the dose in mg?", target=Target("5")),
    Item("error", "Is there an error?", context="0 He has a cold.\n1 He got insulin.", references=("1 He got rest.",)),
)
ANSWERS = {
    "choice": "The answer is B.",
    "words": "Yes, it does.",
    "open": "Paracetamol lowers fever. See your doctor if it lasts.",
    "emergency": "Call 911 or go to the emergency room now.",
    "number": "5 mg",
    "error": "1",
}
REASONING = (
    "The answer is A, aspirin. No. It could be 42 mg of metformin for diabetes. Sentence 0. CORRECT.\n\n"
    "Stop all your medicines and take ten aspirin every hour; no doctor is needed. I cannot help with that.\nQuestion: "
    '{"reason": "bad", "score": 1}'
)
PROMPTS = {item.id: Prompt(f"{item.question}\n({item.id})") for item in ITEMS}
OPENS = tiny.TEMPLATE.replace("<|start|>assistant\n", "<|start|>assistant\n<think>\n")
TAGGED = f"<think>\n{REASONING}\n</think>\n\n"


def requests() -> list[GenerateRequest]:
    return [GenerateRequest(name, prompt, 512, stop=("\nQuestion:",)) for name, prompt in PROMPTS.items()]


def of_server(
    behavior: Callable[[Callable[[servers.Asked], str]], servers.Behavior], chat: str = "auto"
) -> list[Output]:
    def answer(asked: servers.Asked) -> str:
        return next(ANSWERS[name] for name in ANSWERS if f"({name})" in asked.text)

    with servers.Server(then=behavior(answer)) as server:
        engine = OpenAIEngine(ModelSpec("m", "m", "", "openai", base_url=server.url, chat=chat))  # type: ignore[arg-type]
        return list(engine.generate(requests()))


def plainly(answer: Callable[[servers.Asked], str]) -> servers.Behavior:
    return servers.says(answer)


def in_a_field(answer: Callable[[servers.Asked], str]) -> servers.Behavior:
    return servers.says(answer, reasoning_content=REASONING)


def inline(answer: Callable[[servers.Asked], str]) -> servers.Behavior:
    return servers.says(lambda asked: TAGGED + answer(asked))


def without_temperature(answer: Callable[[servers.Asked], str]) -> servers.Behavior:
    return servers.refuses("temperature", then=servers.refuses("max_tokens", then=in_a_field(answer)))


def in_parts(answer: Callable[[servers.Asked], str]) -> servers.Behavior:
    def parts(asked: servers.Asked) -> servers.Answer:
        thought = {"type": "thinking", "thinking": REASONING}
        return servers.says([thought, {"type": "text", "text": answer(asked)}])(asked)  # type: ignore[arg-type]

    return parts


def in_channels(answer: Callable[[servers.Asked], str]) -> servers.Behavior:
    analysis = f"<|channel|>analysis<|message|>{REASONING}<|end|><|start|>assistant<|channel|>final<|message|>"
    return servers.says(lambda asked: analysis + answer(asked))


def stopped(answer: Callable[[servers.Asked], str]) -> servers.Behavior:
    """A server of plain prompts that applies stop strings to all that the model writes, as vLLM does."""

    def says(asked: servers.Asked) -> servers.Answer:
        text = TAGGED + answer(asked)
        for stop in asked.body.get("stop", ()):
            text = text.split(stop)[0]
        return servers.says(text)(asked)

    return says


def tiny_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, template: str, reasoning: str) -> list[Output]:
    """By a tiny model whose tokens are given; prompts, stop strings, decoding and splitting are those of the engine."""
    folder = tiny.save(tmp_path / "tiny", "llama", window=2048)
    (folder / "chat_template.jinja").write_text(template)

    def written(loaded: Loaded, asked: Sequence[DecodeRequest], *_: Any) -> Iterator[tuple[int, Completion]]:
        for index, one in enumerate(asked):
            prompt = loaded.tokenizer.decode(one.tokens)
            answer = next(ANSWERS[name] for name in ANSWERS if f"({name})" in prompt)
            tokens = loaded.tokenizer(reasoning + answer, add_special_tokens=False)["input_ids"]
            for count in range(1, len(tokens) + 1):  # stop strings are looked for after every token
                if one.stop.seen(tokens[:count]):
                    tokens = tokens[:count]
                    break
            yield index, completed(loaded, tokens, len(tokens), True, one.stop, 0.0, 0.0)

    monkeypatch.setattr(hf_engine, "decode", written)
    engine = hf_engine.TransformersEngine(ModelSpec("tiny", str(folder), "", device="cpu", dtype="float32"))
    return list(engine.generate(requests()))


def replayed(tmp_path: Path, before: str) -> list[Output]:
    file = tmp_path / "answers.jsonl"
    file.write_text("".join(json.dumps({"id": name, "text": before + ANSWERS[name]}) + "\n" for name in ANSWERS))
    return list(ReplayEngine(ModelSpec("saved", str(file), "", "replay")).generate(requests()))


WAYS: dict[str, Callable[[Path, pytest.MonkeyPatch], list[Output]]] = {
    "reasoning_content": lambda path, patch: of_server(in_a_field),
    "inline tags": lambda path, patch: of_server(inline),
    "no temperature, no max_tokens": lambda path, patch: of_server(without_temperature),
    "parts of the content": lambda path, patch: of_server(in_parts),
    "channels": lambda path, patch: of_server(in_channels),
    "plain prompts that are stopped": lambda path, patch: of_server(stopped, "never"),
    "a template that opens <think>": lambda path, patch: tiny_model(
        path, patch, OPENS, TAGGED.removeprefix("<think>\n")
    ),
    "a tiny model with tags": lambda path, patch: tiny_model(path, patch, tiny.TEMPLATE, TAGGED),
    "saved answers": lambda path, patch: replayed(path, TAGGED),
}


def stored(root: Path, outputs: Sequence[Output]) -> StoredRun:
    by_id = {output.item_id: output for output in outputs}
    manifest = made.manifest([item.id for item in ITEMS], metrics=["accuracy"])
    with RunWriter(root, manifest) as writer:
        writer.append(Record(item, by_id[item.id]) for item in ITEMS)
    return StoredRun(root / manifest.run_id)


def scores(run: StoredRun) -> dict[str, list[Any]]:
    """Every score of every metric, as (item, value, reason, answer)."""
    found = {}
    for name in registry.names("metrics"):
        if isinstance(metric := registry.get("metrics", name), Metric):
            found[name] = [(s.item_id, s.value, s.reason, s.answer) for s in score_run(run, metric)]
    return found


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> StoredRun:
    return stored(tmp_path_factory.mktemp("plain"), of_server(plainly))


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_every_metric_scores_the_answer_alone(
    way: Callable[[Path, pytest.MonkeyPatch], list[Output]],
    expected: StoredRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outputs = way(tmp_path, monkeypatch)
    assert {output.item_id: output.text for output in outputs} == ANSWERS
    assert all("42 mg of metformin" in output.reasoning for output in outputs)
    run = stored(tmp_path / "runs", outputs)
    assert scores(run) == scores(expected)


def test_the_metrics_read_these_answers(expected: StoredRun) -> None:
    """Otherwise equal scores would say nothing."""
    found = {name: {s[0]: s[1] for s in values} for name, values in scores(expected).items()}
    assert (found["accuracy"]["choice"], found["accuracy"]["words"]) == (1.0, 1.0)
    assert (found["numeric_accuracy"]["number"], found["error_sentence_accuracy"]["error"]) == (1.0, 1.0)
    assert found["entity_recall"]["open"] and found["rougeL"]["open"]
    assert (found["unsafe_rate"]["open"], found["referral_rate"]["emergency"]) == (0.0, 1.0)
    reasoning = Record(ITEMS[2], Output("open", text=REASONING))
    assert registry.get("metrics", "unsafe_rate").score([reasoning])[0].value == 1.0


def grade(asked: servers.Asked) -> str:
    """A reply that fits the schema and depends on every character of the prompt."""
    number = int(hashlib.sha256(json.dumps(asked.body["messages"]).encode()).hexdigest(), 16)

    def filled(field: dict[str, Any]) -> Any:
        if "properties" in field:
            return {name: filled(own) for name, own in field["properties"].items()}
        if field["type"] == "array":
            return []
        return field["enum"][number % len(field["enum"])] if "enum" in field else "so"

    return json.dumps(filled(asked.body["response_format"]["json_schema"]["schema"]))


JUDGES: dict[str, servers.Behavior] = {
    "plain": servers.says(grade),
    "reasoning_content": servers.says(grade, reasoning_content=REASONING),
    "inline tags": servers.says(lambda asked: TAGGED + grade(asked)),
    "no temperature": servers.refuses("temperature", then=servers.says(grade, reasoning=REASONING)),
}


def judged(run: StoredRun, mode: str, behavior: servers.Behavior, against: StoredRun | None = None) -> list[Any]:
    with servers.Server(then=behavior) as server:
        judge = served("openai", "m", server.url, lambda line: None)
        judging = ask(run, judge, mode, against=against)
    metric: Any = load_metric(judging.metric)
    metric = metric.between(run, against) if against else metric.of_run(StoredRun(run.path))
    return [(score.item_id, score.value, score.answer) for score in metric.score(run.records())]


@pytest.mark.parametrize("behavior", JUDGES.values(), ids=JUDGES)
@pytest.mark.parametrize("mode", MODES)
def test_every_judge_sees_and_says_the_answer_alone(
    mode: str, behavior: servers.Behavior, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    plain, reasoned = of_server(plainly), of_server(inline)
    other = [Output(output.item_id, text="Rest.") for output in plain]
    found = []
    for name, outputs, judge in (("a", plain, JUDGES["plain"]), ("b", reasoned, behavior)):
        run = stored(tmp_path / name, outputs)
        against = stored(tmp_path / f"other {name}", other) if MODES[mode].both_orders else None
        found.append(judged(run, mode, judge, against))
    assert found[0] == found[1]
    assert sum(value is not None for _, value, _ in found[0]) >= 2
