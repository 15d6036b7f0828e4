"""Protocols: named ways to ask. `direct` is what it always was; the others have their own prompts, columns and runs."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import medbench
import pytest
from click.testing import CliRunner, Result
from medbench.benchmarks.protocols import COT, MIRAGE_COT, PATIENT
from medbench.benchmarks.samples.benchmarks import MEDQA_SAMPLE, PUBMEDQA_SAMPLE
from medbench.benchmarks.sources.files import Source
from medbench.cli import cli
from medbench.core import asking, registry
from medbench.core.errors import DataMalformed, DataMissing, MedbenchError, UsageError
from medbench.core.protocol import DIRECT, Protocol
from medbench.core.types import Benchmark, Item, ModelSpec, Prompt
from medbench.engines.prompting import messages
from medbench.evaluation.plan import Plan, plan
from medbench.evaluation.settings import EngineFacts, Settings
from medbench.results import manifest_file
from medbench.results.store import StoredRun

# Of each benchmark's example: its prompt without and with a solved example, its token limit and its stop strings. The
# hashes were computed before there were protocols. `direct` must not change, so these must not either.
DIRECT_PROMPTS = {
    "careqa-en": "75a5acb5cea8f9f080c9d21240978baa",
    "headqa-en": "75a5acb5cea8f9f080c9d21240978baa",
    "liveqa": "520625c322899163b66002739358fe5c",
    "medbullets-4": "75a5acb5cea8f9f080c9d21240978baa",
    "medbullets-5": "137bd6a80798dd25339bd3bc1718b828",
    "medical-reasoning": "d759c6e931fdf2c938c6ae903c9ab847",
    "medmcqa": "179a75ecf788a9288a39730b6da92332",
    "medqa": "75a5acb5cea8f9f080c9d21240978baa",
    "medqa-sample": "75a5acb5cea8f9f080c9d21240978baa",
    "medquad": "520625c322899163b66002739358fe5c",
    "medquad-sample": "5a58f571f0288fe617d6f247ff7decb0",
    "medxpertqa": "dbd327c91b9e1f5fda2078b5eeb153fd",
    "mmlu-med": "58de41d5bb27bfe8bc3e008f92c274bf",
    "mmlu-pro-health": "4bb1e1217245298a1dfc3671fbb2a665",
    "pubmedqa": "371724ef3f90b095cdfaf21e85764199",
    "pubmedqa-pqal": "371724ef3f90b095cdfaf21e85764199",
    "pubmedqa-sample": "371724ef3f90b095cdfaf21e85764199",
}


def benchmark(name: str) -> Benchmark:
    found: Benchmark = registry.get("benchmarks", name)
    return found


def example(name: str) -> Item:
    found = benchmark(name).example
    assert found is not None
    return found


@pytest.mark.parametrize("name", DIRECT_PROMPTS)
def test_direct_prompts_are_what_they_were(name: str) -> None:
    asked, item = asking.under(benchmark(name), "direct"), example(name)
    shot = (asked.question(item), asked.answer(item))
    parts = [
        asking.prompt(asked, item).plain,
        asking.prompt(asked, item, (shot,)).plain,
        asked.max_new_tokens,
        list(asked.stop),
    ]
    assert hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32] == DIRECT_PROMPTS[name]


ALL = Settings()


def planned(asked: Benchmark, settings: Settings = ALL, **facts: Any) -> Plan:
    method = "generate" if asked.protocol.method == "generate" else "logprob"
    facts = {"spec": ModelSpec("m", "/m", "r"), "method": method, "chat": "plain"} | facts
    return plan(asked, asking.put(asked, asked.load(None)), EngineFacts(**facts), settings)


def test_a_direct_run_has_the_identity_that_it_had() -> None:
    found = planned(MEDQA_SAMPLE)
    assert found.identity.as_json().keys().isdisjoint({"protocol", "system_hash"})
    assert found.identity.digest == planned(asking.under(MEDQA_SAMPLE, "direct")).identity.digest == "87054f40db"


def test_every_benchmark_shows_an_example_under_each_of_its_protocols() -> None:
    for name in registry.names("benchmarks"):
        found = asking.shown(benchmark(name))
        protocols = [shown.benchmark.protocol.name for shown in found]
        if example(name).options:
            assert protocols == ["direct", "cot", "mirage-cot"]
        assert protocols[0] == "direct"
        for shown in found:
            assert shown.prompt.question and shown.how


def test_open_benchmarks_have_a_protocol_for_patients() -> None:
    for name in ("medquad", "liveqa", "medicationqa"):
        asked = asking.under(benchmark(name), "patient")
        prompt = asking.prompt(asked, example(name))
        assert prompt.question == benchmark(name).question(example(name))
        assert "no medical training" in prompt.instruction
        assert asked.max_new_tokens == benchmark(name).max_new_tokens


@pytest.mark.parametrize("name", DIRECT_PROMPTS)
def test_cot_asks_the_same_question(name: str) -> None:
    own, item = benchmark(name), example(name)
    if not item.options:
        with pytest.raises(UsageError, match=f"{name} has no protocol 'cot'"):
            asking.under(own, "cot")
        return
    prompt = asking.prompt(asking.under(own, "cot"), item)
    assert prompt.question == own.question(item).removesuffix("Answer:") + "Reasoning:"
    assert prompt.instruction.startswith(own.instruction(item))
    what = "the letter of one option" if item.labels else "yes, no or maybe"
    assert prompt.instruction.endswith(f'in the form "Answer: X", where X is {what}.')


def test_mirage_asks_as_the_paper_does() -> None:
    """The layout of the published zero-shot template: question and lettered choices, without the abstract."""
    asked = asking.under(benchmark("pubmedqa"), "mirage-cot")
    item = asking.put_item(MIRAGE_COT, example("pubmedqa"))
    prompt = asking.prompt(asked, item)
    assert messages(prompt)[1]["content"] == (
        "Here is the question:\nDoes a reminder by text message improve attendance at vaccination visits?\n\n"
        "Here are the potential choices:\nA. yes\nB. no\nC. maybe\n\n"
        "Please think step-by-step and generate your output in json:"
    )
    assert '{"step_by_step_thinking": Str(explanation), "answer_choice": Str{A/B/C/...}}' in prompt.system
    assert asked.instruction(item) == "" and asked.max_new_tokens == COT.max_new_tokens == 2_048
    assert (item.labels, item.answer_field) == (("A", "B", "C"), "answer_choice")
    assert asking.put_item(MIRAGE_COT, example("medqa")).labels == example("medqa").labels


def test_shots_show_the_form_of_the_answer() -> None:
    cot = planned(asking.under(PUBMEDQA_SAMPLE, "cot"), Settings(shots=1, limit=1))
    (prompt,) = cot.prompts.values()
    ((question, answer),) = prompt.shots
    assert question.endswith("\nReasoning:")
    reasoning, last = answer.rsplit("\n", 1)
    assert reasoning and last in ("Answer: yes", "Answer: no", "Answer: maybe")
    mirage = planned(asking.under(MEDQA_SAMPLE, "mirage-cot"), Settings(shots=1, limit=1))
    (prompt,) = mirage.prompts.values()
    ((question, answer),) = prompt.shots
    assert sorted(json.loads(answer)) == ["answer_choice", "step_by_step_thinking"]
    assert json.loads(answer)["answer_choice"] in "ABCD"


def test_protocols_never_share_a_run_or_a_column() -> None:
    each = [planned(asking.under(PUBMEDQA_SAMPLE, name)) for name in ("direct", "cot", "mirage-cot")]
    assert len({found.identity.digest for found in each}) == 3
    assert len({found.comparable.key for found in each}) == 3
    assert [found.comparable.protocol for found in each] == ["direct", "cot", "mirage-cot"]
    assert [found.max_new_tokens for found in each] == [256, 2_048, 2_048]
    assert planned(asking.under(PUBMEDQA_SAMPLE, "cot"), Settings(max_new_tokens=64)).variant == "at most 64 new tokens"


OWN = Protocol(
    name="short",
    summary="In one word.",
    system="You are terse.",
    instruction=lambda own, item: f"{own} One word.".strip(),
    question=lambda own, item: f"Q: {item.question}\nA:",
    max_new_tokens=4,
    stop=("\n",),
)


def test_a_third_party_benchmark_declares_its_own() -> None:
    own = dataclasses.replace(MEDQA_SAMPLE, protocols=(OWN, COT))
    asked = asking.under(own, "short")
    assert asking.names_of([own]) == ["direct", "short", "cot"]
    found = planned(asked, Settings(limit=1, system="Be careful."))
    (prompt,) = found.prompts.values()
    assert prompt.system == "Be careful.\n\nYou are terse." and prompt.instruction == "One word."
    assert found.stop == ("\n",) and found.max_new_tokens == 4


@pytest.mark.parametrize(
    ("protocols", "told"),
    [
        ((OWN, OWN), "has two protocols called 'short'"),
        ((DIRECT,), "has two protocols called 'direct' (every benchmark has that one)"),
        (OWN, "has something other than a tuple"),
        (("cot",), "has something other than a tuple"),
    ],
)
def test_what_is_wrong_with_declared_protocols_is_said(tmp_path: Path, protocols: Any, told: str) -> None:
    flaw = registry._flaw("benchmarks", dataclasses.replace(MEDQA_SAMPLE, protocols=protocols))
    assert told in flaw


def invoke(*words: object) -> Result:
    return CliRunner().invoke(cli, [*map(str, words)], prog_name="medbench")


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("MEDBENCH_DATA", raising=False)


def replies(
    path: Path, sample: Benchmark, text: str = '{{"step_by_step_thinking": "x", "answer_choice": "{}"}}'
) -> Path:
    """A reply in MIRAGE's form to every item: right for all but the first, which names no option."""
    asked = asking.under(sample, "mirage-cot")
    items = asking.put(asked, sample.load(None)).items
    rows = [{"id": item.id, "text": text.format(item.answers[item.gold or 0])} for item in items]
    rows[0]["text"] = "I would rather not say."
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("sample", [MEDQA_SAMPLE, PUBMEDQA_SAMPLE], ids=lambda each: each.name)
def test_saved_replies_are_scored_under_a_protocol(tmp_path: Path, sample: Benchmark) -> None:
    file = replies(tmp_path / "replies.jsonl", sample)
    done = invoke(
        "run", "-m", f"replay:{file}", "-b", sample.name, "--protocol", "mirage-cot", "--out", "runs", "--json"
    )
    assert done.exit_code == 0, done.output
    (board,) = json.loads(done.stdout)["boards"]
    assert board["title"].startswith(f"{sample.name} (mirage-cot) · sample")
    (row,) = board["rows"]
    accuracy, n = row["figures"][0], len(sample.load(None).items)
    assert (accuracy["metric"], accuracy["n"], accuracy["total"]) == ("accuracy", n, n)
    assert board["protocol"] == "mirage-cot"
    assert accuracy["value"] == pytest.approx((n - 1) / n), "an unread reply is wrong, and counted"
    (path,) = (tmp_path / "runs").iterdir()
    record = next(iter(StoredRun(path).records()))
    assert record.item.answer_field == "answer_choice" and record.item.labels[0] == "A"
    shown = invoke("show", path, "--json")
    assert json.loads(shown.stdout)["manifest"]["comparable"]["protocol"] == "mirage-cot"
    assert "(mirage-cot)" in " ".join(invoke("show", path).stdout.split())


def test_several_protocols_are_several_runs(tmp_path: Path) -> None:
    file = replies(tmp_path / "replies.jsonl", MEDQA_SAMPLE, "Reasons.\nAnswer: {}")
    words = ("-m", f"replay:{file}", "-b", "medqa-sample", "--protocol", "cot,mirage-cot", "--out", "runs")
    done = invoke("run", *words)
    assert done.exit_code == 0, done.output
    table = " ".join(done.stdout.split())
    assert "medqa-sample (cot)" in table and "medqa-sample (mirage-cot)" in table
    assert len(list((tmp_path / "runs").iterdir())) == 2


def test_from_python(tmp_path: Path) -> None:
    file = replies(tmp_path / "replies.jsonl", MEDQA_SAMPLE)
    runs = medbench.evaluate(f"replay:{file}", "medqa-sample", protocol="mirage-cot", out=tmp_path / "runs")
    (run,) = runs
    assert not runs.problems and run.manifest.comparable.protocol == "mirage-cot"
    assert manifest_file.as_json(run.manifest)["identity"]["protocol"] == "mirage-cot"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ("-b", "medqa-sample", "--protocol", "mirage"),
            "medqa-sample has no protocol 'mirage'. Did you mean mirage-cot",
        ),
        (("-b", "medqa-sample", "--protocol", "cott"), "Each with its prompt: medbench list protocols"),
        (("-b", "medqa-sample,medquad-sample", "--protocol", "cott"), "none of these benchmarks has a protocol 'cott'"),
        (("-b", "medqa-sample", "--protocol", "cot", "--choice", "logprob"), "under the protocol cot the model writes"),
    ],
)
def test_what_cannot_be_asked_is_an_error(tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    file = replies(tmp_path / "replies.jsonl", MEDQA_SAMPLE)
    done = invoke("run", "-m", f"replay:{file}", "--out", "runs", *words)
    assert done.exit_code == 2, done.output
    assert told in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_benchmark_without_the_protocol_is_a_problem_and_the_others_run(tmp_path: Path) -> None:
    file = replies(tmp_path / "replies.jsonl", MEDQA_SAMPLE)
    done = invoke(
        "run", "-m", f"replay:{file}", "-b", "medqa-sample,medquad-sample", "--protocol", "cot", "--out", "runs"
    )
    assert done.exit_code == 1
    assert "Not done: medquad-sample has no protocol 'cot'" in done.stderr
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_the_list_shows_each_with_its_prompt() -> None:
    done = invoke("list", "protocols")
    assert done.exit_code == 0, done.output
    text = " ".join(done.stdout.split())
    for protocol in (DIRECT, COT, MIRAGE_COT, PATIENT):
        assert f"╭─ {protocol.name} · " in done.stdout
    assert "Reason step by step before you answer." in text and "Here are the potential choices:" in text
    one = json.loads(invoke("list", "protocols", "pubmedqa", "--json").stdout)
    assert [row["protocol"] for row in one] == ["direct", "cot", "mirage-cot"]
    assert one[0]["plain"] == asking.prompt(benchmark("pubmedqa"), example("pubmedqa")).plain
    assert all(
        row["protocol"] == "patient" for row in json.loads(invoke("list", "protocols", "patient", "--json").stdout)
    )
    wrong = invoke("list", "protocols", "pateint")
    assert wrong.exit_code == 2 and "Did you mean patient" in wrong.stderr


MIRAGE = {
    "medqa": {"0000": {"question": "?", "options": {"A": "x", "B": "y"}, "answer": "A"}},
    "bioasq": {
        "abc": {"question": "Is iron a metal?", "options": {"A": "yes", "B": "no"}, "answer": "A"},
        "abd": {"question": "Is water dry?", "options": {"A": "yes", "B": "no"}, "answer": "B"},
    },
}


def test_bioasq_is_read_from_mirage(tmp_path: Path) -> None:
    (tmp_path / "mirage").mkdir()
    (tmp_path / "mirage" / "benchmark.json").write_text(json.dumps(MIRAGE))
    found = benchmark("bioasq-yn").load(Source(tmp_path))
    assert [(item.id, item.options, item.gold) for item in found.items] == [
        ("abc", ("yes", "no"), 0),
        ("abd", ("yes", "no"), 1),
    ]
    assert found.variant == "2 of 618 items"
    rows = [{"id": "abc", "text": '{"answer_choice": "A"}'}, {"id": "abd", "text": '{"answer_choice": "No"}'}]
    (tmp_path / "replies.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    runs = medbench.evaluate("replay:replies.jsonl", "bioasq-yn", protocol="mirage-cot", data=tmp_path, out="runs")
    (run,) = runs
    assert [score.value for score in registry.get("metrics", "accuracy").score(run.records())] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"options": {"A": "yes", "B": "perhaps"}}, "yes and no are expected"),
        ({"answer": "C"}, "'C' is not one of A, B"),
        ({"options": None}, "yes and no are expected"),
    ],
)
def test_bioasq_rows_that_are_wrong_are_named(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    rows = {"abc": MIRAGE["bioasq"]["abc"] | change}
    (tmp_path / "benchmark.json").write_text(json.dumps({"bioasq": rows}))
    with pytest.raises(DataMalformed, match="bioasq/abc") as error:
        benchmark("bioasq-yn").load(Source(tmp_path))
    assert told in str(error.value)


def test_bioasq_without_its_file(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match=r"benchmark.json of MIRAGE .*no copy on the hub"):
        benchmark("bioasq-yn").load(Source(tmp_path))
    (tmp_path / "benchmark.json").write_text("{}")
    with pytest.raises(MedbenchError, match="has no section 'bioasq'"):
        benchmark("bioasq-yn").load(Source(tmp_path))


def test_the_page_is_up_to_date() -> None:
    from medbench.tools.benchmarks_page import COMMAND, page

    written = (Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert written == page(), f"Write it again: {COMMAND}"


def test_a_conversation_stays_in_the_prompt() -> None:
    from medbench.core.types import Turn

    talk = Item("1", "And now?", turns=(Turn("user", "I cough."), Turn("assistant", "Since when?")), references=("x",))
    own = dataclasses.replace(benchmark("medquad-sample"), question=lambda item: item.question)
    prompt = asking.prompt(own, talk)
    assert prompt == Prompt("And now?", turns=talk.turns)
    assert [turn["role"] for turn in messages(prompt)] == ["user", "assistant", "user"]
