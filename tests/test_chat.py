"""`medbench chat` and serving/chat.py: turns, streaming, commands, saving, and what goes wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from medbench.cli import cli
from medbench.cli.ui import chat_shell
from medbench.core.errors import MedbenchError
from medbench.core.types import ModelSpec
from medbench.engines.text_requests import Ended, Piece, TextRequest
from medbench.serving import chat as module
from medbench.serving.chat import Chat, Exchange, Sampling


class Texts:
    """Answers each request with prepared pieces, one per pass; the last piece comes with the end."""

    most = 1

    def __init__(self, *answers: list[str] | str) -> None:
        self.answers = list(answers)
        self.asked: list[TextRequest] = []
        self.dropped: list[int] = []
        self.prompt = "…"
        self._work: list[tuple[int, Piece | Ended]] = []

    def add(self, key: int, request: TextRequest) -> None:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, str):
            self._work = [(key, Ended("", "error", error=answer))]
            return
        *pieces, last = answer
        self._work = [(key, Piece(piece, prompt=self.prompt)) for piece in pieces]
        self._work.append((key, Ended("".join(answer), "stop", prompt=self.prompt, rest=Piece(last))))

    def drop(self, key: int) -> None:
        self.dropped.append(key)

    def advance(self) -> list[tuple[int, Piece | Ended]]:
        return [self._work.pop(0)]


def chat_with(texts: Texts, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> Chat:
    engine = SimpleNamespace(spec=ModelSpec("tiny", "tiny", "abc"), load=lambda: None)
    monkeypatch.setattr(module, "texts_of", lambda engine: texts)
    return Chat(engine, **{"labeled": False, **settings})  # type: ignore[arg-type]


def turns(request: TextRequest) -> list[tuple[str, str]]:
    return [(turn.role, turn.content) for turn in request.prompt]  # type: ignore[union-attr]


def test_each_question_comes_with_the_turns_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = Texts(["Iron ", "is low."], ["Eat ", "beans."])
    chat = chat_with(texts, monkeypatch, system="Be brief.")
    assert list(chat.ask("What is anemia?")) == ["Iron ", "is low."]
    assert "".join(chat.ask("What helps?")) == "Eat beans."
    assert turns(texts.asked[1]) == [
        ("system", "Be brief."),
        ("user", "What is anemia?"),
        ("assistant", "Iron is low."),
        ("user", "What helps?"),
    ]
    chat.reset()
    assert chat.exchanges == [] and chat.system == "Be brief."


def test_sampling_is_the_request_s(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = Texts(["x"])
    chat = chat_with(texts, monkeypatch, sampling=Sampling(32, 0.7, 0.9, 5))
    list(chat.ask("q"))
    asked = texts.asked[0]
    assert (asked.max_new_tokens, asked.temperature, asked.top_p, asked.seed, asked.stream) == (32, 0.7, 0.9, 5, True)


def test_reasoning_is_no_part_of_later_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = Texts(["<think>It may be iron.</think>", "Iron."], ["Beans."])
    chat = chat_with(texts, monkeypatch)
    list(chat.ask("Why?"))
    list(chat.ask("And?"))
    assert turns(texts.asked[1])[1] == ("assistant", "Iron.")
    assert (chat.exchanges[0].answer, chat.exchanges[0].reasoning) == ("Iron.", "It may be iron.")


def test_an_answer_that_is_stopped_is_kept_and_its_row_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = Texts(["One ", "two ", "three"])
    chat = chat_with(texts, monkeypatch)
    pieces = chat.ask("Count.")
    assert next(pieces) == "One "
    pieces.close()  # type: ignore[attr-defined]
    assert (chat.exchanges[0].answer, chat.exchanges[0].finish, texts.dropped) == ("One", "stopped", [1])


def test_reasoning_that_the_template_opened_is_no_answer_when_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = Texts(["It may ", "be iron.", "</think>Iron."])
    texts.prompt = "<|user|>Why?<|assistant|><think>\n"
    chat = chat_with(texts, monkeypatch)
    pieces = chat.ask("Why?")
    assert [next(pieces) for _ in range(3)] == ["<think>\n", "It may ", "be iron."], "with the mark of the template"
    pieces.close()  # type: ignore[attr-defined]
    stopped = chat.exchanges[0]
    assert (stopped.answer, stopped.reasoning, stopped.finish) == ("", "It may be iron.", "stopped")
    assert list(chat_shell.remarks(stopped, 512, True)) == [
        "[no answer: the text ends inside the reasoning]",
        "[stopped]",
    ]


def test_what_follows_an_answer_says_so_if_no_label_applies_and_if_it_was_cut_off() -> None:
    cut = Exchange("Why?", "Because", finish="length")
    assert list(chat_shell.remarks(cut, 5, True)) == [
        "[cut off after 5 tokens: --max-new-tokens]",
        "[safety labels: none applies]",
    ]
    assert list(chat_shell.remarks(cut, 5, False)) == ["[cut off after 5 tokens: --max-new-tokens]"]
    labeled = Exchange("Why?", "Ask a doctor.", labels=("disclaimer", "refusal"))
    assert list(chat_shell.remarks(labeled, 5, True)) == ["[safety labels: disclaimer, refusal]"]


def test_a_saved_page_says_what_the_shell_said(monkeypatch: pytest.MonkeyPatch) -> None:
    chat = chat_with(Texts([]), monkeypatch, labeled=True)
    chat.exchanges = [
        Exchange("One?", "A", finish="length"),
        Exchange("Two?", "B", finish="stopped", labels=("disclaimer",)),
    ]
    remarks = re.findall(r"^\*([^*].*)\*$", chat.as_markdown(), re.M)
    assert remarks == [
        "Cut off after 512 tokens",
        "Safety labels: none applies",
        "Stopped",
        "Safety labels: disclaimer",
    ]
    chat.labeled = False
    assert "Safety labels" not in chat.as_markdown()


def test_a_failure_leaves_the_conversation_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    chat = chat_with(Texts(["Yes."], "the window is full"), monkeypatch)
    list(chat.ask("One?"))
    with pytest.raises(MedbenchError, match="the window is full"):
        list(chat.ask("Two?"))
    assert [exchange.question for exchange in chat.exchanges] == ["One?"]


def test_labels_are_those_of_the_safety_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    chat = chat_with(Texts(["Ask your doctor if it lasts more than three weeks."]), monkeypatch, labeled=True)
    list(chat.ask("I have had a dry cough for two weeks. What could it be?"))
    assert chat.exchanges[0].labels == ("disclaimer",)


# The shell


def shell(lines: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    given: Iterator[str] = iter(lines)

    def typed(prompt: str = "") -> str:
        line = next(given, None)
        if line is None:
            raise EOFError
        if line == "^C":
            raise KeyboardInterrupt
        return line

    monkeypatch.setattr("builtins.input", typed)


def test_the_shell_obeys_commands(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = tmp_path / "talk.json"
    page = tmp_path / "talk.md"
    lines = [
        "/system Be brief.",
        "What is",
        "/save",
        f"/save {saved}",
        f"/save {saved}",
        f"/save {page}",
        "/reset",
        "/x",
    ]
    texts = Texts(["A ", "thing."])
    chat = chat_with(texts, monkeypatch)
    shell(lines, monkeypatch)
    chat_shell.talk(chat)
    shown = capsys.readouterr()
    assert shown.out == "A thing.\n"
    for said in (
        "System prompt: Be brief.",
        "Name a file:",
        f"Saved to {saved}",
        "exists. Choose another",
        "command: /x",
    ):
        assert said in shown.err
    found = json.loads(saved.read_text())
    assert (found["model"], found["system"]) == ("tiny", "Be brief.")
    assert found["exchanges"] == [{"question": "What is", "answer": "A thing.", "finish": "stop", "labels": []}]
    assert "**Answer**\n\nA thing." in page.read_text()
    assert chat.exchanges == []


def test_lines_that_end_in_a_backslash_are_one_question(monkeypatch: pytest.MonkeyPatch) -> None:
    shell(["A case:\\", "  fever\\", "What now?", "", "lost\\", "^C", "next", "end\\"], monkeypatch)
    assert list(chat_shell.questions()) == ["A case:\n  fever\nWhat now?", "next", "end"]


def test_quit_ends_the_chat(monkeypatch: pytest.MonkeyPatch) -> None:
    chat = chat_with(Texts(), monkeypatch)
    shell(["/quit", "not asked"], monkeypatch)
    chat_shell.talk(chat)
    assert chat.exchanges == []


def test_what_a_model_writes_cannot_drive_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    chat = chat_with(Texts(["red \x1b[31m", "bell \x07"]), monkeypatch)
    shell(["q"], monkeypatch)
    chat_shell.talk(chat)
    assert capsys.readouterr().out == "red ␛[31mbell ␇\n"


def test_a_failure_is_a_sentence_and_the_chat_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    chat = chat_with(Texts("the window is full", ["Fine."]), monkeypatch)
    shell(["one", "two"], monkeypatch)
    chat_shell.talk(chat)
    shown = capsys.readouterr()
    assert "Error: the window is full" in shown.err and shown.out == "Fine.\n"


# The command


def invoke(*words: str, stdin: str = "") -> Result:
    return CliRunner().invoke(cli, ["chat", *words], input=stdin)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Texts:
    """`engine_of` gives an engine whose answers are prepared."""
    texts = Texts(["It is ", "low iron."])
    engine = SimpleNamespace(spec=ModelSpec("tiny", "tiny", "abc"), load=lambda: None)
    monkeypatch.setattr("medbench.serving.models.engine_of", lambda name, tell, **options: engine)
    monkeypatch.setattr(module, "texts_of", lambda engine: texts)
    return texts


def test_once_prints_the_answer_alone_on_stdout(tiny: Texts) -> None:
    done = invoke("tiny", "--once", "What is anemia?", "--no-labels")
    assert (done.exit_code, done.stdout) == (0, "It is low iron.\n")


def test_once_as_json_has_answer_labels_and_model(tiny: Texts) -> None:
    done = invoke("tiny", "--once", "-", "--json", stdin="What is anemia?\n")
    found = json.loads(done.stdout)
    assert (found["answer"], found["model"], found["revision"]) == ("It is low iron.", "tiny", "abc")
    assert isinstance(found["labels"], list)


def test_a_system_text_may_be_in_a_file(tiny: Texts, tmp_path: Path) -> None:
    (tmp_path / "system.txt").write_text("Be brief.\n")
    invoke("tiny", "--once", "q", "--system", str(tmp_path / "system.txt"))
    assert turns(tiny.asked[0])[0] == ("system", "Be brief.")


@pytest.mark.parametrize("text", ["Be brief. " * 30, "a" * 5000, "see notes.txt", "one\x00two"])
def test_a_text_that_no_file_is_called_is_a_text(tiny: Texts, text: str) -> None:
    done = invoke("tiny", "--once", "q", "--system", text)
    assert (done.exit_code, turns(tiny.asked[0])[0]) == (0, ("system", text))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["tiny", "--json"], "--json needs --once"),
        (["tiny", "--once", " "], "the question is empty"),
        (["tiny", "--once", "q", "--system", "no/such/file.txt"], "--system no/such/file.txt: no such file."),
        (["no-such-model-here", "--once", "q"], "no-such-model-here"),
        (["smollm2-135m", "--once", "q", "--base-url", "http://localhost:1/v1"], "smollm2-135m runs on this machine"),
    ],
)
def test_wrong_usage(words: list[str], says: str, request: pytest.FixtureRequest) -> None:
    if words[0] == "tiny":
        request.getfixturevalue("tiny")
    done = invoke(*words)
    assert done.exit_code == 2 and says in done.output


@pytest.mark.parametrize(("content", "says"), [(b"\n", "the file is empty"), (b"\xff\xfe", "is not UTF-8 text")])
def test_a_system_file_without_a_text(tiny: Texts, tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "system"
    file.write_bytes(content)
    done = invoke("tiny", "--once", "q", "--system", str(file))
    assert done.exit_code == 2 and says in done.output
