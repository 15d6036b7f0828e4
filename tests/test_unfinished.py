"""Reasoning that used up the token limit, and reasoning that the prompt opened, in new records and in old ones."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import made
import pytest
import servers
import tiny
from click.testing import CliRunner
from medbench.cli import cli
from medbench.core.types import GenerateRequest, Item, ModelSpec, Output, Prompt, Record, Target
from medbench.engines.prompting import Encoded
from medbench.engines.replay import ReplayEngine
from medbench.engines.server.openai import OpenAIEngine
from medbench.engines.stopping import StopStrings
from medbench.engines.vllm import VllmEngine
from medbench.judges.metric import not_to_judge
from medbench.judges.modes import mode_of
from medbench.metrics.accuracy import ACCURACY
from medbench.metrics.entities.scores import F1, HALLUCINATED, RECALL
from medbench.metrics.error_detection import ERROR_FLAG_ACCURACY
from medbench.metrics.exact_match import EXACT_MATCH
from medbench.metrics.numeric_accuracy import NUMERIC_ACCURACY
from medbench.metrics.rouge import ROUGEL
from medbench.metrics.safety.rates import REFERRAL_RATE, SAFETY_RATE, UNSAFE_RATE
from medbench.metrics.token_f1 import TOKEN_F1
from medbench.metrics.unfinished import UNFINISHED_RATE
from medbench.results.leaderboard import build
from medbench.results.records import decode, encode
from medbench.results.store import StoredRun
from medbench.results.writer import RunWriter

OPENED = "<|im_start|>assistant\n<think>\n"
WHY = "unfinished: reasoning used up all 64 new tokens; raise --max-new-tokens"
QUESTION = Item("q", "What helps?", options=("aspirin", "rest"), labels=("A", "B"), gold=1)
OPEN = Item("q", "What lowers fever?", references=("Paracetamol lowers fever.",))


def spent(item: Item, **fields: Any) -> Record:
    """An answer whose reasoning names the right option and used up the limit."""
    given = {"text": "<think>The answer is B. Paracetamol lowers fever.", "completion_tokens": 64, "finish": "length"}
    return Record(item, Output(item.id, **(given | fields)))


class TestMetrics:
    def test_it_is_wrong_with_the_reason_and_unparsed_but_not_truncated(self) -> None:
        records = [spent(QUESTION), Record(QUESTION, Output("q", text="<think>A?</think>B", finish="stop"))]
        wrong, right = ACCURACY.score(records)
        assert (wrong.value, wrong.answer, wrong.reason) == (0.0, None, WHY)
        assert (right.value, right.answer) == (1.0, "B")
        figures = {figure.name: figure.value for figure in ACCURACY.aggregate(records, [wrong, right])}
        assert (figures["accuracy"], figures["unparsed_rate"], figures["truncated_rate"]) == (0.5, 0.5, 0.0)

    @pytest.mark.parametrize("metric", [EXACT_MATCH, TOKEN_F1, ROUGEL, RECALL, F1], ids=lambda metric: metric.name)
    def test_a_comparison_with_a_reference_is_0(self, metric: Any) -> None:
        (score,) = metric.score([spent(OPEN)])
        assert (score.value, score.reason) == (0.0, WHY)

    @pytest.mark.parametrize(
        "metric", [HALLUCINATED, SAFETY_RATE, UNSAFE_RATE, REFERRAL_RATE], ids=lambda metric: metric.name
    )
    def test_what_an_answer_says_is_unscored(self, metric: Any) -> None:
        (score,) = metric.score([spent(OPEN)])
        assert (score.value, score.reason) == (None, WHY)

    def test_no_judge_is_asked(self) -> None:
        assert not_to_judge(spent(OPEN), mode_of("rubric")) == WHY

    def test_a_number_and_an_error_in_a_text(self) -> None:
        number = Item("n", "Dose?", target=Target("5", "number"))
        text = Item("e", "Error?", context="1 A sentence.", references=("1 A sentence.",))
        for metric, item in ((NUMERIC_ACCURACY, number), (ERROR_FLAG_ACCURACY, text)):
            records = [spent(item)]
            scores = metric.score(records)
            assert (scores[0].value, scores[0].reason) == (0.0, WHY)
            assert {f.name: f.value for f in metric.aggregate(records, scores)}["unparsed_rate"] == 1.0

    def test_ended_by_the_model_itself_it_is_an_empty_answer(self) -> None:
        (score,) = ACCURACY.score([spent(QUESTION, finish="stop")])
        assert (score.value, score.reason) == (0.0, "unparsed: reasoning without an answer")

    def test_without_reasoning_nothing_is_unfinished(self) -> None:
        assert not spent(QUESTION, text="").output.unfinished
        assert not spent(QUESTION, text="The answer is").output.unfinished

    def test_hidden_reasoning_counts(self) -> None:
        assert spent(QUESTION, text="", reasoning_tokens=64).output.unfinished


class TestRate:
    def test_by_hand(self) -> None:
        records = [
            spent(QUESTION),
            Record(QUESTION, Output("q", text="<think>A?</think>B", finish="stop")),
            Record(QUESTION, Output("q", text="B", finish="stop")),
            Record(QUESTION, Output("q", finish="error", error="timed out")),
        ]
        scores = UNFINISHED_RATE.score(records)
        assert [score.value for score in scores] == [1, 0, 0, None]
        (figure,) = UNFINISHED_RATE.aggregate(records, scores)
        assert (figure.value, figure.n, figure.total, figure.better) == (pytest.approx(1 / 3), 3, 4, "lower")

    def test_no_figure_without_reasoning(self) -> None:
        records = [Record(QUESTION, Output("q", text="B", finish="length"))]
        (figure,) = UNFINISHED_RATE.aggregate(records, UNFINISHED_RATE.score(records))
        assert figure.value is None

    def test_a_table_shows_it_unasked_with_the_limit_to_raise(self, tmp_path: Path) -> None:
        manifest = made.manifest(["a", "b"], metrics=["rougeL"], settings={"max_new_tokens": 64})
        with RunWriter(tmp_path, manifest) as writer:
            long = "<think>" + "Hm. " * 50
            writer.append([made.record("a", "<think>Hm.</think>yes"), spent(made.record("b", "").item, text=long)])
        run = StoredRun(tmp_path / manifest.run_id)
        (board,) = build([run]).boards
        cells = {column.name: cell for column, cell in zip(board.columns, board.rows[0].cells, strict=True)}
        assert cells["unfinished_rate"].figure and cells["unfinished_rate"].figure.value == 0.5
        assert cells["unfinished_rate"].remark == (
            "1 of 2 answers unfinished: reasoning used up 64 new tokens; raise --max-new-tokens"
        )
        assert not run.score_file("unfinished_rate").exists()
        shown = CliRunner().invoke(cli, ["show", str(run.path), "b"], env={"COLUMNS": "120"}).output
        assert "reasoning · not scored" in shown and "unfinished: reasoning used up all new tokens" in shown

    def test_a_table_without_reasoning_has_no_such_column(self, tmp_path: Path) -> None:
        (board,) = build([made.make_run(tmp_path, {"a": "1"}, metrics=["rougeL"])]).boards
        assert "unfinished_rate" not in [column.name for column in board.columns]


def line(text: str, prompt: str = OPENED, finish: str = "stop", **fields: Any) -> dict[str, Any]:
    output = {"item_id": "q", "prompt": prompt, "text": text, "finish": finish, **fields}
    return {"item": {"id": "q", "question": "?"}, "output": output}


class TestOpenedByThePrompt:
    """A chat template that writes `<think>` itself: the text begins inside the reasoning."""

    @pytest.mark.parametrize(
        ("text", "parts"),
        [
            ("Hm.\n</think>\n\nB", ("B", "Hm.")),
            ("</think>\n\nB", ("B", "")),
            ("<think>\nHm.</think>B", ("B", "Hm.")),
            ("<think></think>B", ("B", "")),
            ("Hm. B", ("", "Hm. B")),
        ],
    )
    def test_it_is_split_once_and_read_back_as_it_was(self, text: str, parts: tuple[str, str]) -> None:
        output = Output("q", prompt=OPENED, text=text, finish="length")
        assert (output.text, output.reasoning, output.opened) == (*parts, True)
        record = Record(Item("q", "?"), output)
        assert decode(json.loads(json.dumps(encode(record)))) == record

    @pytest.mark.parametrize("prompt", ["<think>\n\n</think>\n\n", "Question: what is <think>?\nAnswer:", ""])
    def test_a_prompt_that_does_not_end_with_an_opening_mark(self, prompt: str) -> None:
        output = Output("q", prompt=prompt, text="B")
        assert (output.text, output.reasoning, output.opened) == ("B", "", False)

    @pytest.mark.parametrize(
        ("stored", "parts"),
        [
            (line("Hm.\n</think>\n\nB"), ("B", "Hm.")),
            (line("Hm. The answer is B", finish="length"), ("", "Hm. The answer is B")),
            (line("Hm. The answer is B"), ("", "Hm. The answer is B")),  # a stop string ended it there
            (line("<think>Hm.</think>B", prompt="Q"), ("B", "Hm.")),
            (line("<think>Hm. B", prompt="Q", finish="length"), ("", "Hm. B")),
            (line("assistantanalysisHm.assistantfinalB", prompt="Q"), ("B", "Hm.")),
            (line("B", reasoning="Hm."), ("B", "Hm.")),  # split already
        ],
    )
    def test_lines_of_the_previous_version_are_split_when_they_are_read(
        self, stored: dict[str, Any], parts: tuple[str, str]
    ) -> None:
        output = decode(stored).output
        assert (output.text, output.reasoning) == parts

    def test_saved_answers_of_the_previous_version(self, tmp_path: Path) -> None:
        """Its samples are read as any others; a column `reasoning` says that the text was split."""
        rows = [
            line("Hm.</think>B") | {"item": {"id": "q", "question": "?"}},
            {"id": "r", "text": "B", "prompt": OPENED, "reasoning": ""},
            {"id": "s", "text": "Hm.</think>B"},
        ]
        file = tmp_path / "saved.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        engine = ReplayEngine(ModelSpec(name="saved", location=str(file), revision="", engine="replay"))
        outputs = list(engine.generate([GenerateRequest(name, Prompt("?"), 8) for name in "qrs"]))
        assert [(output.text, output.reasoning) for output in outputs] == [("B", "Hm."), ("B", ""), ("B", "Hm.")]


class TestServers:
    def answered(self, *behaviors: Any, then: Any = None, **fields: Any) -> tuple[Output, servers.Server]:
        with servers.Server(*behaviors, then=then or behaviors[-1]) as server:
            spec = ModelSpec("m", "m", "", "openai", base_url=server.url, chat=fields.pop("chat", "auto"))
            (output,) = OpenAIEngine(spec).generate([GenerateRequest("q", Prompt("Q"), 64, **fields)])
        return output, server

    @pytest.mark.parametrize(
        "message",
        [
            {"reasoning_content": "Hm."},
            {"reasoning": "Hm."},
            {"thinking": "Hm."},
            {"reasoning_details": [{"type": "reasoning.text", "text": "Hm.", "signature": "x"}]},
            {"content": [{"type": "thinking", "thinking": "Hm.", "signature": "x"}, {"type": "text", "text": "B"}]},
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, "B"]},
            {"content": [{"type": "reasoning", "text": "Hm."}, {"type": "text", "text": "B"}]},
            {"content": "<think>Hm.</think>B"},
            {"content": "Hm.</think>B"},
            {"content": "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>B"},
        ],
        ids=lambda message: next(iter(message)),
    )
    def test_reasoning_in_every_place(self, message: dict[str, Any]) -> None:
        output, _ = self.answered(servers.says(message.pop("content", "B"), **message))
        assert (output.text, output.reasoning) == ("B", "Hm.")

    @pytest.mark.parametrize("finish", ["stop", "length"])
    @pytest.mark.parametrize("content", [None, ""])
    def test_reasoning_alone(self, content: str | None, finish: str) -> None:
        output, _ = self.answered(servers.says(content, finish, reasoning_content="Hm."))
        assert (output.text, output.reasoning, output.error) == ("", "Hm.", None)
        assert output.unfinished is (finish == "length")

    @pytest.mark.parametrize("nested", [True, False])
    def test_reasoning_that_is_only_counted(self, nested: bool) -> None:
        count = {"reasoning_tokens": 64}
        usage = {"prompt_tokens": 3, "completion_tokens": 64}
        usage |= {"completion_tokens_details": count} if nested else count  # type: ignore[dict-item]
        choice = {"index": 0, "finish_reason": "length", "message": {"role": "assistant", "content": None}}
        output, _ = self.answered(lambda asked: servers.Answer(body=servers.reply([choice]) | {"usage": usage}))
        assert (output.text, output.reasoning_tokens, output.unfinished, output.error) == ("", 64, True, None)

    def test_a_stop_string_that_ended_the_reasoning_is_not_sent_again(self) -> None:
        """Servers apply stop strings to all that a model writes."""

        def answer(asked: servers.Asked) -> servers.Answer:
            cut = "stop" in asked.body
            return servers.says("<think>First,\n" if cut else "<think>First,\nQ:A</think>B\nQ: more")(asked)

        with servers.Server(then=answer) as server:
            engine = OpenAIEngine(ModelSpec("m", "m", "", "openai", base_url=server.url, chat="never"))
            requests = [GenerateRequest(name, Prompt("Q"), 64, stop=("\nQ:",)) for name in "ab"]
            engine.limits = type(engine.limits)(concurrency=1)
            outputs = list(engine.generate(requests))
        assert [(output.text, output.reasoning) for output in outputs] == [("B", "First,\nQ:A")] * 2
        assert ["stop" in asked.body for asked in server.asked] == [True, False, False]


def test_vllm_generates_anew_what_a_stop_string_ended_in_its_reasoning(monkeypatch: pytest.MonkeyPatch) -> None:
    """vLLM applies stop strings to all that a model writes. Where the prompt opened the reasoning, it is given none."""
    whole = {1: "<think>First,\nQ: A</think>B", 2: "B", 3: "Hm.\nQ: A</think>B"}
    calls: list[list[tuple[int, Any]]] = []

    def run(prompts: list[list[int]], params: list[Any]) -> list[Any]:
        calls.append([(tokens[0], param["stop"]) for tokens, param in zip(prompts, params, strict=True)])
        return [
            SimpleNamespace(
                outputs=[SimpleNamespace(text=whole[n].split("\nQ:")[0] if stop else whole[n], finish_reason="stop")]
            )
            for n, stop in calls[-1]
        ]

    engine = VllmEngine.__new__(VllmEngine)
    monkeypatch.setattr(engine, "_run", run)
    monkeypatch.setattr(engine, "_params", lambda **settings: settings)
    asked = [
        (GenerateRequest(f"{n}", Prompt("Q"), 64, stop=("\nQ:",)), Encoded(OPENED if n == 3 else "Q", [n], 0))
        for n in whole
    ]
    assert [result.outputs[0].text for result in engine._texts(asked, {})] == list(whole.values())
    assert calls == [[(1, ["\nQ:"]), (2, ["\nQ:"]), (3, None)], [(1, None)]]


@pytest.mark.parametrize("literal", [True, False])
def test_a_stop_string_in_reasoning_that_the_prompt_opened_does_not_end_it(literal: bool) -> None:
    words = tiny.tokenizer()
    text = "First,\nQ: A</think>B\nQ: more"
    tokens = words(text, add_special_tokens=False)["input_ids"]
    for prompt, cut in ((OPENED, "First,\nQ: A</think>B"), ("Q", "First,\nQ: A</think>B")):
        stop = StopStrings(words, ("\nQ:",), literal, prompt)
        assert stop.cut(text) == (cut, True)
        ended = next(count for count in range(1, len(tokens) + 1) if stop.seen(tokens[:count]))
        early = prompt == "Q"  # nothing says yet that it is reasoning
        assert ("</think>" in words.decode(tokens[:ended])) is not early
