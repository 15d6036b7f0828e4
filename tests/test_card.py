"""Model cards: their metadata as the hub's own client reads it, what they say and leave out, and how they are sent."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fake_hub
import made
import pytest
from click.testing import CliRunner, Result
from huggingface_hub import ModelCard, parse_eval_result_entries
from medbench.cli import cli
from medbench.report.cards import card_of
from medbench.results.manifest import Manifest, ModelRecord
from medbench.results.writer import RunWriter
from medbench.zoo import adapter_manifest, adapters
from medbench.zoo.adapter_manifest import AdapterManifest

HUB = "hub:openlife/medqa/default@" + "a" * 40


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MEDBENCH_HOME", raising=False)
    monkeypatch.delenv("HF_TOKEN", raising=False)


def medbench(*words: object) -> Result:
    return CliRunner().invoke(cli, ["card", *map(str, words)])


def train(**changes: Any) -> AdapterManifest:
    """A finished training of the embedded model, of which only the manifest is here."""
    facts = {
        "model": "smollm2-135m",
        "tag": "first",
        "kind": "lora",
        "status": "done",
        "identity": {},
        "base": {
            "weights": "HuggingFaceTB/SmolLM2-135M-Instruct",
            "revision": "abc",
            "source": "folder /home/me/models/base",
        },
        "recipe": {"source": "ours", "stages": [{"name": "sft", "learning_rate": 0.001, "lora": {"rank": 16}}]},
        "data": [
            {
                "stage": "sft",
                "hash": "373ec0979ac4abce",
                "parts": [{"source": "/home/me/notes.jsonl", "drawn": 1200, "available": 2000}],
            }
        ],
        "data_revisions": {"lavita/MedQuAD": {"commit": "c" * 40}},
        "leaks": {"quiz": {"exact": ["1", "2"]}, "exam": {"exact": []}},
        "unchecked": {"headqa-en": "/data/headqa is missing"},
        "hash": "f" * 16,
    }
    manifest = AdapterManifest(**facts | changes)
    adapter_manifest.write(adapters.folder("smollm2-135m", manifest.tag), manifest)
    return manifest


def run(
    benchmark: str = "quiz",
    right: int = 6,
    of: int = 10,
    *,
    model: str = "smollm2-135m@first",
    answered: int | None = None,
    origin: str = "/home/me/data/quiz.jsonl",
    adapter: str = "f" * 16,
    leaked: tuple[str, ...] | None = (),
    metrics: tuple[str, ...] = ("token_f1",),
    base_url: str | None = None,
    **about: Any,
) -> Manifest:
    """A stored run in which `right` of the items are answered as they should be."""
    ids = [str(at) for at in range(of)]
    plain = made.manifest(ids, model=model, benchmark=benchmark, metrics=metrics, **about)
    asked = dataclasses.replace(plain.identity.model, adapter=adapter)
    if base_url:
        asked = dataclasses.replace(asked, base_url=base_url, missing=asked.missing - {"base_url"})
    identity = dataclasses.replace(plain.identity, model=asked)
    manifest = dataclasses.replace(
        plain,
        identity=identity,
        run_id=f"{plain.run_id.rpartition('__')[0]}__{identity.digest}",
        benchmark=dataclasses.replace(plain.benchmark, origin=origin),
        model=ModelRecord.from_json({"name": model, "leaked": leaked}),
        created="2026-01-02T03:04:05+00:00",
    )
    with RunWriter(Path("runs"), manifest) as writer:
        done = ids[: of if answered is None else answered]
        writer.append(made.record(at, "yes" if int(at) < right else "no") for at in done)
    return manifest


def read(text: str) -> ModelCard:
    """The card as the hub's client reads it. Metadata that it cannot read is an error."""
    return ModelCard(text, ignore_metadata_errors=False)


def test_metadata_are_read_by_the_hubs_client(tmp_path: Path) -> None:
    train()
    run("quiz", right=6)
    data = read(card_of("smollm2-135m@first").text).data
    assert data.base_model == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert (data.library_name, data.license, data.pipeline_tag) == ("peft", "apache-2.0", "text-generation")
    assert data.datasets == ["lavita/MedQuAD"]
    assert "token_f1" in data.metrics
    result = next(each for each in data.eval_results if each.metric_type == "token_f1")
    assert result.metric_value == pytest.approx(0.6)
    assert (result.dataset_type, result.dataset_revision) == ("quiz", None)
    assert (result.metric_args["n"], result.metric_args["total"]) == (10, 10)
    assert result.metric_args["low"] < 0.6 < result.metric_args["high"]


def test_it_says_what_the_manifests_say_and_no_path_of_this_machine() -> None:
    train()
    run("quiz", right=6, leaked=("1", "2"))
    run("exam", right=3, leaked=None)
    text = card_of("smollm2-135m@first").text
    assert "Recipe: the model entry's own; seed 0." in text and "learning_rate 0.001, LoRA rank 16" in text
    assert "notes.jsonl, 1,200 examples drawn (hash `373ec0979ac4abce`" in text
    assert "- quiz: 2 items" in text and "- exam: none found" in text and "- headqa-en: not checked" in text
    quiz = next(line for line in text.splitlines() if line.startswith("| quiz") and "| token_f1 |" in line)
    assert "0.600 [" in quiz and quiz.endswith("| 10 | 2 items |")
    exam = next(line for line in text.splitlines() if line.startswith("| exam") and "| token_f1 |" in line)
    assert exam.endswith("| not checked |")
    assert "was not measured" in text and "not a medical device" in text
    assert "training data not checked against this benchmark" in text.partition("## Limits")[2]
    assert "/home/me" not in text and "/data/" not in text


def test_it_says_how_much_was_learned_and_from_how_much() -> None:
    train(
        stages=[{"name": "sft", "steps": 2}],
        data=[
            {
                "stage": "sft",
                "hash": "373ec0979ac4abce",
                "parts": [{"source": "notes.jsonl", "drawn": 13, "available": 13}],
                "examples": 11,
                "rows": 11,
                "held_out": 2,
                "recipe_steps": 300,
            }
        ],
    )
    text = card_of("smollm2-135m@first").text
    assert "trained for 2 optimizer steps of the 300 that the recipe would take" in text
    assert "notes.jsonl, 13 examples drawn" in text
    assert "- sft: 11 examples to learn from, 2 held out to measure the loss" in text


def test_unfinished_runs_samples_and_other_models_are_no_results() -> None:
    train()
    run("quiz", right=6, answered=7)
    run("toy", sample=True)
    run("exam", model="somebody-else")
    made_card = card_of("smollm2-135m@first")
    assert read(made_card.text).data.eval_results is None
    assert "7 of 10 done" in made_card.text
    assert "toy" not in made_card.text and "exam ·" not in made_card.text


def test_runs_of_an_earlier_training_are_left_out() -> None:
    train()
    old = run("quiz", adapter="0" * 16)
    made_card = card_of("smollm2-135m@first")
    assert "No run on a real benchmark" in made_card.text
    assert made_card.notes == (f"{old.run_id} is a run of an earlier training of smollm2-135m@first.",)


def test_results_files_are_for_whole_hub_data_sets_alone() -> None:
    train()
    run("quiz", right=6)  # from a folder
    run("part", right=6, origin=HUB, n_total=1000)  # not all of it
    run("whole", right=6, origin=HUB)
    run("whole", right=3, origin=HUB, protocol="cot")
    results = card_of("smollm2-135m@first").results
    assert len(results) == 2 and ".eval_results/whole.yaml" in results
    entries = [entry for text in results.values() for entry in parse_eval_result_entries(loaded(text))]
    assert {entry.dataset_id for entry in entries} == {"openlife/medqa"}
    assert {(entry.task_id, entry.dataset_revision) for entry in entries} == {("default", "a" * 40)}
    assert sorted(entry.value for entry in entries) == pytest.approx([0.3, 0.6])
    assert all("by medbench" in entry.notes for entry in entries)


def loaded(text: str) -> Any:
    import yaml

    return yaml.safe_load(text)


def test_a_card_of_a_model_that_was_only_run() -> None:
    run("quiz", model="replay:theirs", adapter="")
    text = card_of("replay:theirs").text
    assert "## Training" not in text and "leaks were not searched for" in text
    assert read(text).data.eval_results


def test_addresses_of_servers_stay_here() -> None:
    first = run("quiz", model="openai:theirs", base_url="http://ward-7.hospital.example/v1")
    other = run("quiz", model="openai:theirs", right=5, base_url="http://10.1.2.3/v1")
    text = card_of("openai:theirs").text
    assert first.run_id != other.run_id
    assert "0.600" in text and "0.500" in text and f"run {first.run_id.rpartition('__')[2]}" in text
    assert "hospital" not in text and "10.1.2.3" not in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nobody"], "nothing about 'nobody' is stored here"),
        (["smollm2-135m@frist"], "Did you mean"),
        (["smollm2-135m@first", "--push", "me"], "--push me: not the name of a hub repository"),
        (["smollm2-135m@first", "--yes"], "--yes works only with --push"),
        (["smollm2-135m@first", "--runs", "nowhere"], "--runs nowhere: there is no such folder"),
    ],
)
def test_wrong_usage(words: list[str], said: str) -> None:
    train()
    run()
    done = medbench(*words)
    assert done.exit_code == 2 and said.lower() in done.output.lower(), done.output
    assert "Traceback" not in done.output


def test_it_is_written_to_stdout_a_file_or_a_folder(tmp_path: Path) -> None:
    train()
    run(origin=HUB)
    shown = medbench("smollm2-135m@first")
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.startswith("---\nbase_model: ")
    assert medbench("smollm2-135m@first", "--out", "card.md").exit_code == 0
    assert (tmp_path / "card.md").read_text() == shown.stdout
    assert medbench("smollm2-135m@first", "--out", "card").exit_code == 0
    assert (tmp_path / "card/README.md").read_text() == shown.stdout
    assert (tmp_path / "card/.eval_results/quiz.yaml").is_file()


def test_a_no_sends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train()
    run()
    monkeypatch.setattr("medbench.cli.push.sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True)))
    with fake_hub.serve({}) as server:
        fake_hub.use(server.url, tmp_path / "hf", monkeypatch)
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        done = CliRunner().invoke(cli, ["card", "smollm2-135m@first", "--push", "me/first"], input="n\n")
        assert done.exit_code == 0 and "Nothing was sent." in done.output, done.output
        assert (server.created, server.received) == ([], {})


def test_it_is_sent_only_after_a_yes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train()
    run(origin=HUB)
    with fake_hub.serve({}) as server:
        fake_hub.use(server.url, tmp_path / "hf", monkeypatch)
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        asked = medbench("smollm2-135m@first", "--push", "me/first")
        assert asked.exit_code == 2 and "nothing was sent" in asked.output
        assert (server.created, server.received) == ([], {})
        sent = medbench("smollm2-135m@first", "--push", "me/first", "--private", "--yes")
        assert sent.exit_code == 0, sent.output
    files = server.received["me/first"]
    assert files.keys() == {"README.md", ".eval_results/quiz.yaml"}
    assert server.created[0]["name"] == "first" and server.created[0]["organization"] == "me"
    for content in files.values():  # what was shown is what was sent
        assert all(f"  {line}" in asked.output for line in content.decode().splitlines())
    assert read(files["README.md"].decode()).data.model_name == "first"
    assert f"sent: {server.url}/me/first/commit/" in sent.stdout
    assert "hf_secret" not in asked.output + sent.output
