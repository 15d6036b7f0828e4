"""A model's text as it is stored and scored: only the answer, complete characters, and nothing cut off."""

import json
from pathlib import Path
from typing import Any

import pytest
import servers
import tiny
from medbench.core.types import GenerateRequest, Item, ModelSpec, Output, Prompt, Record
from medbench.engines.replay import ReplayEngine
from medbench.engines.server.openai import OpenAIEngine
from medbench.engines.stopping import StopStrings, cut, sendable
from medbench.judges.modes import read
from medbench.metrics.exact_match import EXACT_MATCH
from medbench.metrics.rouge import ROUGEL
from medbench.results.records import decode, encode

ANSWER = "Fever is treated with paracetamol."
ITEM = Item("i", "How is fever treated?", references=(ANSWER,))


class TestReasoning:
    def test_an_output_holds_the_answer_and_the_reasoning_apart(self) -> None:
        output = Output("i", text=f"<think>Aspirin? No.</think>\n\n{ANSWER}")
        assert (output.text, output.reasoning) == (ANSWER, "Aspirin? No.")

    def test_metrics_read_the_answer_only(self) -> None:
        record = Record(ITEM, Output("i", text=f"<seed:think>Aspirin.</seed:think>{ANSWER}"))
        assert EXACT_MATCH.score([record])[0].value == ROUGEL.score([record])[0].value == 1.0

    def test_reasoning_without_an_answer_is_an_empty_answer(self) -> None:
        """It scores 0 as any empty answer does: the model had its tokens and gave none."""
        record = Record(ITEM, Output("i", text=f"<think>{ANSWER}", finish="length"))
        assert (record.output.text, record.output.reasoning) == ("", ANSWER)
        assert EXACT_MATCH.score([record])[0].value == ROUGEL.score([record])[0].value == 0.0

    def test_it_is_stored_and_read_back(self) -> None:
        record = Record(ITEM, Output("i", text=f"<think>Hm.</think>{ANSWER}"))
        assert decode(json.loads(json.dumps(encode(record)))) == record

    def test_a_record_from_before_is_split_when_it_is_read(self) -> None:
        line = {"item": {"id": "i", "question": "?"}, "output": {"item_id": "i", "text": f"<think>Hm.</think>{ANSWER}"}}
        assert decode(line).output.text == ANSWER

    def test_a_judges_reply_is_what_follows_its_reasoning(self) -> None:
        reply = Output("i", text='<think>Let me see: {"grade": 1}</think>\n{"reason": "good", "grade": 4}')
        assert read(reply.text or "", {"grade": (1, 2, 3, 4)}) == {"grade": 4}


class TestStopStrings:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("\n\nThe answer is B.\n\nMore", ("\n\nThe answer is B.", True)),
            ("<think>\n\n</think>\n\nThe answer is B.", ("<think>\n\n</think>\n\nThe answer is B.", False)),
            ("<think>One.\n\nTwo.</think>B\n\nC", ("<think>One.\n\nTwo.</think>B", True)),
            ("<think>One.\n\nTwo", ("<think>One.\n\nTwo", False)),
            ("\n\n", ("\n\n", False)),
            ("", ("", False)),
        ],
    )
    def test_blank_lines_end_an_answer_but_not_its_beginning_or_its_reasoning(
        self, text: str, expected: tuple[str, bool]
    ) -> None:
        assert cut(text, ("\n\n",)) == expected

    @pytest.mark.parametrize(
        "reply",
        [
            "\n\nThe answer is B.",
            "<think>\n\n</think>\n\nThe answer is B.",
            "Aspirin thins the blood.\n\nIbuprofen is an NSAID.\n\nThe answer is B.",
            "The correct answer is:\n\n**B**",
            "A patient with fever needs an NSAID.\n\nAnswer: B",
            "This is hepatitis B.\n\nThe answer is D.",
            "A. Aspirin is wrong.\n\nB. Ibuprofen is right.",
            "The answer is not A.\n\nThe answer is B.",
            "Let us look at the answer choices.\n\n### Answer\n\nB",
            "Fever is a high temperature.\n\nRest helps.",
        ],
    )
    def test_paragraphs_are_part_of_an_answer(self, reply: str) -> None:
        assert cut(reply, ("\n\n",)) == (reply, False)
        words = tiny.tokenizer()
        tokens, strings = words.encode(reply, add_special_tokens=False), StopStrings(words, ("\n\n",))
        assert not any(strings.seen(tokens[:end]) for end in range(1, len(tokens) + 1)), "nor while it is written"

    @pytest.mark.parametrize(
        "reply",
        [
            " B",
            "B. Ibuprofen",
            "(B)",
            "**B**",
            "**Answer:** B",
            "Answer:\n\nB",
            "The answer is (B) Ibuprofen.",
            "The final answer is \\boxed{B}.",
            "It lowers fever.\n\nSo the correct option is B.",
        ],
    )
    def test_a_blank_line_ends_an_answer_that_has_named_an_option(self, reply: str) -> None:
        assert cut(f"{reply}\n\nWhich vitamin is lacking?\nA. C", ("\n\n",)) == (reply, True)

    def test_a_stop_of_one_line_ends_it_at_the_line(self) -> None:
        assert cut("\n18 mmHg\nWhat is 2 + 2?", ("\n",)) == ("\n18 mmHg", True)

    def test_the_next_question_ends_even_an_empty_answer(self) -> None:
        assert cut("\nQuestion: what?", ("\n\n", "\nQuestion:")) == ("", True)

    def test_a_server_is_not_sent_blank_lines(self) -> None:
        assert sendable(("\n\n", "\nQuestion:", "")) == ["\nQuestion:"]


def asked(server: servers.Server, **fields: Any) -> Output:
    spec = ModelSpec(name="m", location="m", revision="", engine="openai", base_url=server.url)
    request = GenerateRequest("i", Prompt("Q\nAnswer:"), 32, **fields)
    (output,) = OpenAIEngine(spec).generate([request])
    return output


class TestServers:
    @pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
    def test_reasoning_in_a_field_of_its_own(self, field: str) -> None:
        with servers.Server(then=servers.says("B", **{field: "A? No."})) as server:
            output = asked(server)
        assert (output.text, output.reasoning, output.finish) == ("B", "A? No.", "stop")

    def test_reasoning_that_used_up_the_limit_is_an_empty_answer(self) -> None:
        with servers.Server(then=servers.says(None, "length", reasoning_content="A? No.")) as server:
            output = asked(server)
        assert (output.text, output.reasoning, output.finish, output.error) == ("", "A? No.", "length", None)

    def test_paragraphs_stay_and_white_space_at_the_ends_goes(self) -> None:
        with servers.Server(then=servers.says("\n\nThe correct answer is:\n\n**B**")) as server:
            output = asked(server)
        assert output.text == "The correct answer is:\n\n**B**"


class TestReplay:
    def rows(self, tmp_path: Path, *rows: dict[str, Any]) -> list[Output]:
        file = tmp_path / "saved.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        engine = ReplayEngine(ModelSpec(name="saved", location=str(file), revision="", engine="replay"))
        return list(engine.generate([GenerateRequest(str(row["id"]), Prompt("?"), 32) for row in rows]))

    def test_a_row_may_say_how_the_answer_ended(self, tmp_path: Path) -> None:
        cut_off, ended, unsaid = self.rows(
            tmp_path,
            {"id": "1", "text": "Let me", "finish": "length"},
            {"id": "2", "text": "B", "finish": "stop"},
            {"id": "3", "text": "B"},
        )
        assert [cut_off.finish, ended.finish, unsaid.finish] == ["length", "stop", "stop"]

    def test_a_row_may_hold_reasoning(self, tmp_path: Path) -> None:
        (output,) = self.rows(tmp_path, {"id": "1", "text": "B", "reasoning": "A? No."})
        assert (output.text, output.reasoning) == ("B", "A? No.")


class TestHalfASurrogate:
    def test_becomes_a_replacement_character_in_outputs_and_items(self) -> None:
        assert Output("i", text="fe\ud83dver", prompt="\udc00").text == "fe\ufffdver"
        assert Item("i\ud800", "\udfff?", options=("a\ud800",), references=("\ud800",)) == Item(
            "i\ufffd", "\ufffd?", options=("a\ufffd",), references=("\ufffd",)
        )

    def test_a_whole_pair_is_its_character(self) -> None:
        assert Output("i", text="\ud83d\ude00").text == "😀"

    def test_a_saved_answer(self, tmp_path: Path) -> None:
        file = tmp_path / "saved.jsonl"
        file.write_text('{"id": "1", "text": "fe\\ud83dver"}\n')
        engine = ReplayEngine(ModelSpec(name="saved", location=str(file), revision="", engine="replay"))
        (output,) = engine.generate([GenerateRequest("1", Prompt("?"), 32)])
        assert output.text == "fe\ufffdver"
