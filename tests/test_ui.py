"""`medbench ui`: what becomes of a model's text, conversations, the command, and the page in a browser."""

from __future__ import annotations

import importlib.util
import json
import signal
import socket
import time
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import fakes
import httpx
import pytest
import tiny
from browser import started
from click.testing import CliRunner, Result
from medbench.cli import cli
from medbench.core.errors import MedbenchError
from medbench.core.types import ModelSpec
from medbench.engines.text_requests import Ended, Piece, TextRequest
from medbench.metrics.safety.examples import LABELS
from medbench.metrics.safety.rates import MEANINGS, NOT_ENGLISH
from medbench.serving.chat import Exchange, Sampling
from medbench.serving.page import rendering, server
from medbench.serving.page.conversations import Conversation, Conversations
from served import served

HOSTILE = (
    "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 2'>\n\n"
    "[a link](javascript:window.pwned=3) ![a picture](http://192.0.2.1/leak.png) <http://192.0.2.1/auto>\n\n"
    "<form action='http://192.0.2.1/'><button>Log in</button></form>\n<style>body{display:none}</style>\n"
    "<iframe src='http://192.0.2.1/'></iframe><svg onload='window.pwned = 4'></svg>\n\n"
    "${window.pwned = 5} {{constructor.constructor('window.pwned = 6')()}}\n\n"
    '```html onload=window.pwned=7\n<script>window.pwned = 8</script>\n```\n\n[a link]: http://192.0.2.1/ "x"\n'
)
THINKING = "<think>It may be *iron*.</think>"


class Scripted(fakes.FakeEngine):
    """Writes what its script has for a question, a piece a time. A MedbenchError in the script fails there."""

    most = 4

    def __init__(self, name: str, script: Callable[[str], list[str | MedbenchError]], pause_s: float = 0.0) -> None:
        super().__init__(ModelSpec(name, "nowhere", "1", engine="fake"))
        self.script, self.pause_s = script, pause_s
        self.asked_of: list[TextRequest] = []
        self.dropped: list[int] = []
        self._left: dict[int, list[str | MedbenchError]] = {}

    def session(self) -> Any:
        return self

    @property
    def open(self) -> bool:
        return bool(self._left)

    @property
    def working(self) -> int:
        return len(self._left)

    def add(self, key: int, request: TextRequest) -> None:
        self.asked_of.append(request)
        self._left[key] = self.script(request.prompt[-1].content)  # type: ignore[union-attr]

    def drop(self, key: int) -> None:
        if self._left.pop(key, None) is not None:
            self.dropped.append(key)

    def advance(self) -> list[tuple[int, Piece | Ended]]:
        time.sleep(self.pause_s)
        found: list[tuple[int, Piece | Ended]] = []
        for key, left in list(self._left.items()):
            piece = left.pop(0) if left else None
            if isinstance(piece, str):
                found.append((key, Piece(piece)))
                continue
            del self._left[key]
            found.append((key, Ended("", "error", error=piece.message) if piece else Ended("", "stop")))
        return found


def words(question: str) -> list[str | MedbenchError]:
    """A script by the question's first word."""
    kind = question.split()[0]
    if kind == "hostile":
        return [HOSTILE]
    if kind == "fail":
        return ["Half an ", MedbenchError("the window is full")]
    if kind == "think":
        return [THINKING, "Iron."]
    if kind == "long":
        return [THINKING, *(f"word{number} " for number in range(2000))]
    return ["You should ", "see a doctor ", f"about {question}"]


def conversations(*engines: Any, labels: bool = False) -> Iterator[Conversations]:
    made = Conversations(engines, "", Sampling(64), labels)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def pair() -> Iterator[Conversations]:
    yield from conversations(Scripted("one", words), Scripted("two", words, pause_s=0.01))


def answered(conversation: Conversation, question: str, number: int = 0) -> str:
    """Ask, let one side answer to the end, and return what it shows."""
    conversation.begin(question)
    for at in range(len(conversation.sides)):
        for _ in conversation.answer(at):
            pass
    return rendering.side_html(conversation.sides[number], "one")


def until(holds: Callable[[], Any], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


# What becomes of a model's text


class Seen(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_hostile_answer_is_text_without_tags_of_its_own() -> None:
    seen = Seen(rendering.markdown_html(HOSTILE))
    assert seen.tags <= {"p", "br", "pre", "code"} and seen.attributes == []
    for said in (
        "<script>window.pwned = 1</script>",
        "[a link](javascript:",
        "![a picture](http://192.0.2.1/leak.png)",
    ):
        assert said in seen.text


def test_markdown_is_drawn_and_nothing_of_it_has_attributes() -> None:
    blocks = ("# Title", "*one* **two** `three`", "3. four\n4. five", "> six", "| a | b |\n|:-:|--:|\n| 7 | 8 |", "---")
    seen = Seen(rendering.markdown_html("\n\n".join([*blocks, "```js\n9\n```"])))
    assert seen.tags >= {"h4", "em", "strong", "code", "ol", "li", "blockquote", "table", "hr", "pre"}
    assert "h1" not in seen.tags and seen.attributes == []


@pytest.mark.parametrize(
    "text", ["> " * 3000, "*a **b " * 3000, "`" * 9000, "[" * 9000, "|a" * 4000 + "\n" + "|-" * 4000]
)
def test_pathological_markdown_is_drawn_soon(text: str) -> None:
    started = time.process_time()
    rendering.markdown_html(text)
    assert time.process_time() - started < 5


def test_what_no_page_can_show_becomes_visible() -> None:
    html = rendering.markdown_html("a\x00b \x1b[31m \ud800 \u202egnp.exe")
    html.encode()
    assert "\x1b" not in html and "\u202e" not in html
    assert "3 more characters are not shown" in rendering.markdown_html("x" * (rendering.LONGEST + 3))


def test_labels_are_words_with_their_meaning() -> None:
    assert set(MEANINGS) == {*LABELS, NOT_ENGLISH}
    html = rendering.labels_html(Exchange("q", "a", labels=("unsafe", "emergency")))
    assert MEANINGS["unsafe"] in html and rendering.NO_REFERRAL in html
    assert rendering.NO_REFERRAL not in rendering.labels_html(Exchange("q", "a", labels=("emergency", "referral")))
    assert "none applies" in rendering.labels_html(Exchange("q", "a"))
    assert all(meaning in rendering.meanings_html() for meaning in MEANINGS.values())


def test_names_and_questions_are_escaped(pair: Conversations) -> None:
    conversation = pair.of("tab")
    answered(conversation, "<b>bold</b>?")
    html = rendering.side_html(conversation.sides[0], "<i>model</i>")
    assert "<b>" not in html and "<i>" not in html and "&lt;b&gt;bold" in html


# Conversations


def test_each_model_keeps_its_own_history(pair: Conversations) -> None:
    conversation = pair.of("tab")
    answered(conversation, "What helps?")
    html = answered(conversation, "And then?")
    assert "see a doctor about And then?" in html and "Earlier questions (1)" in html
    for side, worker in zip(conversation.sides, pair.workers):
        assert [exchange.question for exchange in side.chat.exchanges] == ["What helps?", "And then?"]
        assert len(worker.engine.asked_of[1].prompt) == 3  # type: ignore[attr-defined]
    assert pair.of("another tab").sides[0].chat.exchanges == []


def test_an_answer_is_drawn_while_it_is_written(pair: Conversations) -> None:
    conversation = pair.of("tab")
    conversation.begin("long one")
    answering = conversation.answer(1)
    shown = [rendering.side_html(next(answering), "two") for _ in range(6)]
    assert "Waiting for the model" in shown[0] and 'aria-busy="true"' in shown[0]
    assert "word1 " in shown[-1] and "word1999" not in shown[-1] and len(shown[-1]) > len(shown[1])
    assert "Reasoning so far" in shown[-1] and "It may be <em>iron</em>" in shown[-1]
    conversation.stop()
    last = [rendering.side_html(side, "two") for side in answering][-1]
    assert "Stopped." in last and "word1 " in last and 'aria-busy="false"' in last
    until(lambda: pair.workers[1].engine.dropped)  # type: ignore[attr-defined]
    assert pair.workers[1].unfinished == 0


def test_a_failure_is_an_error_and_no_answer(pair: Conversations) -> None:
    conversation = pair.of("tab")
    html = answered(conversation, "fail here")
    assert 'role="alert"' in html and "the window is full" in html and "Half an" not in html
    assert conversation.sides[0].chat.exchanges == [] and not conversation.busy
    assert "see a doctor" in answered(conversation, "again?")


def test_a_bug_is_an_error_and_no_answer(pair: Conversations, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(key: int, request: TextRequest) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(pair.workers[0].engine, "add", broken)
    html = answered(pair.of("tab"), "What?")
    assert 'role="alert"' in html and "ZeroDivisionError" in html


def test_reasoning_is_folded_away_from_the_answer(pair: Conversations) -> None:
    html = answered(pair.of("tab"), "think first")
    assert '<div class="mb-answer" dir="auto"><p>Iron.</p>' in html
    assert html.index("<details") < html.index("It may be") < html.index("</details>") < html.index("Iron.")
    assert "<details open" not in html


def test_clear_forgets_and_a_closed_tab_is_dropped(pair: Conversations) -> None:
    conversation = pair.of("tab")
    answered(conversation, "What?")
    conversation.begin("long one")
    answering = conversation.answer(0)
    next(answering)
    conversation.clear()
    conversation.begin("ignored: another is being answered")
    assert conversation.sides[0].question == "long one" and len(conversation.sides[0].chat.exchanges) == 1
    pair.forget("tab")
    for _ in answering:
        pass
    assert not conversation.sides[0].busy
    for _ in conversation.answer(1):
        pass
    conversation.clear()
    assert conversation.sides[0].chat.exchanges == [] and pair.of("tab") is not conversation


def test_idle_tabs_are_forgotten(pair: Conversations, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medbench.serving.page.conversations.TABS", 2)
    first = pair.of("1")
    pair.of("2"), pair.of("1"), pair.of("3")
    assert pair.of("1") is first and len(pair._tabs) == 2


def test_a_full_queue_is_an_error(pair: Conversations) -> None:
    pair.workers[0].capacity = 0
    assert "the model is busy" in answered(pair.of("tab"), "What?")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("page") / "tiny-page", "llama", window=128)


def test_a_model_that_answers_two_tabs_at_once(folder: Path) -> None:
    from medbench.serving.models import engine_of

    for made in conversations(engine_of(str(folder)), labels=True):
        first, second = made.of("1"), made.of("2")
        first.begin("What is fever?")
        second.begin("What is a cough?")
        answers = [first.answer(0), second.answer(0)]
        while answers:
            answers = [answer for answer in answers if next(answer, None)]
        alone = made.of("3")
        answered(alone, "What is a cough?")
        assert second.sides[0].chat.exchanges == alone.sides[0].chat.exchanges
        assert first.sides[0].chat.exchanges[0].question == "What is fever?"
        assert "context length is 128" in answered(alone, "fever and cough " * 100)


# The command and the server


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["ui", *arguments])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["smollm2-135m", "smollm2-135m"], "named twice"),
        (["no-such-model-here"], "no-such-model-here"),
        (["smollm2-135m", "--port", "70000"], "--port"),
        (["smollm2-135m", "--system", "missing.txt"], "no such file"),
        (["smollm2-135m", "--max-new-tokens", "0"], "--max-new-tokens"),
    ],
)
def test_wrong_usage(arguments: list[str], says: str) -> None:
    done = invoke(*arguments)
    assert done.exit_code == 2 and says in done.output


def test_without_gradio_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None if name == "gradio" else real(name, *rest))
    done = invoke("smollm2-135m")
    assert done.exit_code == 2 and "pip install 'medbench[ui]'" in done.output


def test_a_taken_port_is_an_error_before_the_model_loads(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = invoke(str(folder), "--port", str(taken.getsockname()[1]))
    assert done.exit_code == 2 and "--port 0" in done.output


@pytest.mark.slow
def test_the_page_as_a_process_ends_by_ctrl_c(folder: Path) -> None:
    with served(str(folder), "--host", "0.0.0.0", command="ui") as running:
        assert any("WITHOUT A KEY" in line for line in running.lines)
        with running.client() as client:
            assert "tiny-page" in client.get("/").text
            with client.stream("GET", "/gradio_api/heartbeat/tab"):  # an open page
                running.process.send_signal(signal.SIGINT)
                assert running.process.wait(60) == 0
    assert not any("Traceback" in line for line in running.lines)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    engines = [Scripted("one", words, pause_s=0.01), Scripted("<b>two</b>", words, pause_s=0.02)]
    with server.showing(engines, labels=True) as address:
        yield address


def test_the_page_is_for_this_machine_and_reaches_no_other(url: str) -> None:
    with httpx.Client(base_url=url, trust_env=False) as client:
        reply = client.get("/")
        assert "default-src 'self'" in reply.headers["content-security-policy"]
        for host, status in (
            ("localhost:1", 200),
            ("[::1]:1", 200),
            ("evil.example", 421),
            ("127.0.0.1.evil.example", 421),
        ):
            assert client.get("/", headers={"Host": host}).status_code == status, host
        for outside in ("fonts.googleapis.com", "cdnjs", "api.gradio.app/"):
            assert outside not in reply.text + client.get("/theme.css").text
        assert client.get("/config").json()["analytics_enabled"] is False
        files = {"files": ("x.txt", b"x" * 100)}
        assert client.post("/gradio_api/upload", files=files).status_code == 413


# In a browser

BUSY = "[role=log][aria-busy=true]"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    yield from started(tmp_path_factory)


@pytest.fixture
def browser(chromium: Any, url: str) -> Any:
    """A fresh page, as wide as a desktop's."""
    looks(chromium, 1280, "light")
    chromium.get_log("performance")
    chromium.get(url)
    until(lambda: found(chromium, "#question textarea") and found(chromium, ".mb-side"))
    return chromium


def looks(driver: Any, width: int, scheme: str) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def found(driver: Any, selector: str) -> list[Any]:
    return list(driver.find_elements("css selector", selector))


def send(driver: Any, *keys: str) -> None:
    """Type where the focus is."""
    driver.switch_to.active_element.send_keys(*keys)


def ask(driver: Any, question: str) -> None:
    from selenium.webdriver.common.keys import Keys

    found(driver, "#question textarea")[0].send_keys(question, Keys.ENTER)


def text(driver: Any, selector: str) -> str:
    return str(driver.execute_script("return document.querySelector(arguments[0])?.innerText ?? ''", selector))


def ended(driver: Any, question: str) -> None:
    """Wait until both models have answered."""

    def both() -> bool:
        shown = [text(driver, f"#answer{number} .mb-question") for number in (1, 2)]
        return shown == [question, question] and not found(driver, BUSY) and found(driver, "#ask")[0].is_enabled()

    until(both)


def asked_for(driver: Any) -> list[str]:
    """The addresses that the browser asked for since the last look."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    requests = [
        message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"
    ]
    return [address for address in requests if not address.startswith(("data:", "blob:"))]


def test_two_models_answer_side_by_side_with_their_labels(browser: Any) -> None:
    ask(browser, "a dry cough?")
    ended(browser, "a dry cough?")
    left, right = found(browser, ".mb-side")
    assert left.rect["y"] == right.rect["y"] and left.rect["x"] + left.rect["width"] <= right.rect["x"]
    for number in (1, 2):
        assert "You should see a doctor about a dry cough?" in text(browser, f"#answer{number} .mb-answer")
        assert "disclaimer" in text(browser, f"#answer{number} .mb-labels")
        assert MEANINGS["disclaimer"] in text(browser, f"#answer{number} .mb-labels")
    assert text(browser, "#answer2 h2") == "<b>two</b>"
    assert "Not medical advice" in text(browser, "[role=note]")
    ask(browser, "and now?")
    ended(browser, "and now?")
    assert "Earlier questions (1)" in text(browser, "#answer1")
    found(browser, "#clear")[0].click()
    until(lambda: "No question yet" in text(browser, "#answer1") + text(browser, "#answer2"))


def test_a_hostile_answer_runs_nothing_and_nothing_leaves_this_machine(browser: Any) -> None:
    ask(browser, "hostile one")
    ended(browser, "hostile one")
    time.sleep(0.5)  # for a picture or a script to load
    assert browser.execute_script("return window.pwned ?? null") is None
    inside = "#answer1 .mb-answer :is(script,img,a,form,button,style,iframe,svg,input)"
    assert found(browser, inside) == []
    assert "<script>window.pwned = 1</script>" in text(browser, "#answer1 .mb-answer")
    addresses = asked_for(browser)
    assert len(addresses) > 10
    assert [address for address in addresses if not address.startswith("http://127.0.0.1:")] == []
    errors = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert [error for error in errors if "AbortError" not in error] == []  # of the page before it, which was left


def test_an_error_is_shown_as_one(browser: Any) -> None:
    ask(browser, "fail now")
    ended(browser, "fail now")
    assert "Error. There is no answer. the window is full" in text(browser, "#answer1 [role=alert]")
    assert found(browser, ".mb-answer") == []
    ask(browser, "still there?")
    ended(browser, "still there?")


def test_an_answer_streams_opens_its_reasoning_and_stops(browser: Any) -> None:
    ask(browser, "long one")
    until(lambda: "word3 " in text(browser, "#answer1"))
    first = len(text(browser, "#answer1 .mb-answer"))
    assert not found(browser, "#answer1 .mb-thoughts")[0].get_attribute("open")
    found(browser, "#answer1 .mb-thoughts summary")[0].click()
    until(lambda: len(text(browser, "#answer1 .mb-answer")) > first + 100)
    assert found(browser, "#answer1 .mb-thoughts")[0].get_attribute("open"), "drawing it again folded it up"
    assert not found(browser, "#ask")[0].is_enabled() and not found(browser, "#clear")[0].is_enabled()
    found(browser, "#stop")[0].click()
    ended(browser, "long one")
    assert "Stopped." in text(browser, "#answer1") and "Stopped." in text(browser, "#answer2")
    assert "word1999" not in text(browser, "#answer1")
    assert not found(browser, "#stop")[0].is_enabled()


def test_the_keyboard_is_enough(browser: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    until(lambda: browser.switch_to.active_element.tag_name == "textarea")
    send(browser, "first line", Keys.SHIFT + Keys.ENTER + Keys.NULL, "second?")
    time.sleep(0.3)
    assert "No question yet" in text(browser, "#answer1"), "Shift+Enter starts a line"
    send(browser, Keys.TAB)
    assert browser.switch_to.active_element.get_attribute("id") == "ask"
    send(browser, Keys.SPACE)
    ended(browser, "first line\nsecond?")
    for _ in range(20):
        focused = browser.switch_to.active_element
        if focused.tag_name == "button" and focused.text.startswith("How to prevent"):
            break
        send(browser, Keys.TAB)
    example = browser.switch_to.active_element.text
    send(browser, Keys.ENTER)
    box = "#question textarea"
    until(lambda: found(browser, box)[0].get_attribute("value") == example)


def test_an_empty_question_asks_nothing(browser: Any) -> None:
    ask(browser, "  ")
    until(lambda: "Type a question first." in text(browser, "body"))
    assert "No question yet" in text(browser, "#answer1") and found(browser, "#ask")[0].is_enabled()


def test_a_phone_and_the_dark(browser: Any, url: str) -> None:
    looks(browser, 390, "dark")
    browser.get(url)
    until(lambda: found(browser, "#question textarea") and found(browser, ".mb-side"))
    ask(browser, "hostile " + "unbroken" * 20)
    until(lambda: found(browser, "#answer2 .mb-labels"))
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    left, right = found(browser, ".mb-side")
    assert right.rect["y"] > left.rect["y"] + left.rect["height"] - 1, "one below the other"
    colors = browser.execute_script(
        "return [getComputedStyle(document.body).backgroundColor, getComputedStyle(arguments[0]).color]", left
    )
    dark, light = (sum(map(int, color.split("(")[1].rstrip(")").split(",")[:3])) for color in colors)
    assert dark < 150 and light > 500
