"""`run --retrieve`: which passages an item gets, which it must not get, and what names such a run."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fakes
import made
import pyarrow
import pyarrow.parquet
import pytest
import tiny
from click.testing import CliRunner, Result
from fakes import FakeEngine
from medbench.benchmarks import medquad
from medbench.benchmarks.sources.files import Source
from medbench.cli import cli
from medbench.core import durable
from medbench.core.errors import UsageError
from medbench.core.types import Document, Item, ItemSet
from medbench.evaluation import plan as plans
from medbench.evaluation.engine_facts import engine_facts
from medbench.evaluation.plan import Plan
from medbench.evaluation.retrieval import exclusion, folder, index, passages
from medbench.evaluation.retrieval.passages import Passage, block, cut
from medbench.evaluation.retrieval.retriever import Retrieval, Retriever
from medbench.evaluation.run import execute
from medbench.evaluation.settings import Settings
from medbench.results import export, leaderboard
from medbench.results.compare import compare
from medbench.results.store import StoredRun
from medbench.results.summary import summarize

ENGINE = str(Path(__file__).with_name("fakes.py"))


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test works in a folder of its own, offline, without the user's settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    for name in ("MEDBENCH_DATA", "MEDBENCH_HOME", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


def documents(*texts: str) -> list[Document]:
    return [Document(f"d{number}", text, source=f"source {number}") for number, text in enumerate(texts, start=1)]


def ranks(texts: Sequence[str], question: str) -> list[tuple[str, float]]:
    made = index.index(documents(*texts))
    return [(made.passages[position].id, score) for position, score in made.ranked(question)]


def corpus(**files: str) -> Path:
    """The folder `corpus`, holding files whose suffix is after two underscores: a__txt."""
    root = Path("corpus")
    root.mkdir(exist_ok=True)
    for name, text in files.items():
        (root / name.replace("__", ".")).write_text(text, "utf-8")
    return root


# --- Ranks ------------------------------------------------------------------------------------------------------------


def test_bm25_of_five_documents_by_hand() -> None:
    # 5 passages of 10 words: 2 on average. Each word of the question is in 2 of them: idf = ln(1 + 3.5 / 2.5) = ln 2.4.
    # A passage of 3 words has the norm 1.5 * (0.25 + 0.75 * 3 / 2) = 2.0625, one of 2 words 1.5 * (0.25 + 0.75) = 1.5.
    found = ranks(
        ["gout gout crystal", "gout joint", "joint crystal acid", "fever", "acid"], "Which crystals are in the gout?"
    )
    assert [name for name, _ in found] == ["d1", "d2", "d3"]
    first = math.log(2.4) * (2 / (2 + 2.0625) + 1 / (1 + 2.0625))
    assert [score for _, score in found] == pytest.approx(
        [first, math.log(2.4) / 2.5, math.log(2.4) / 3.0625], rel=1e-6
    )


def test_equal_scores_come_in_the_order_of_the_corpus() -> None:
    texts = [f"gout {word}" for word in ("one", "two", "three", "four", "five", "six", "seven")]
    assert [name for name, _ in ranks(texts, "gout")] == ["d1", "d2", "d3", "d4", "d5", "d6", "d7"]


def test_single_letters_count() -> None:
    assert [name for name, _ in ranks(["vitamin B", "vitamin D", "iron"], "Vitamin D?")] == ["d2", "d1"]


def test_a_question_without_a_known_word_finds_nothing() -> None:
    assert ranks(["gout", "iron"], "Why?") == []
    assert ranks(["gout", "iron"], "") == []
    assert ranks(["the", "iron"], "the") == []
    with pytest.raises(UsageError, match="no document has a word that can be searched for"):
        ranks(["the", "of"], "the")


# --- Passages ---------------------------------------------------------------------------------------------------------


def texts_of(text: str, words: int) -> list[str]:
    return [passage.text for passage in cut(Document("d", text), words)]


def test_passages_end_between_paragraphs_sentences_and_words() -> None:
    assert texts_of("one two\n\nthree four\n \nfive", 4) == ["one two\nthree four", "five"]
    assert texts_of("One two three. Four five six. Seven.", 4) == ["One two three.", "Four five six. Seven."]
    assert texts_of("a b c d e f g", 3) == ["a b c", "d e f", "g"]
    assert texts_of(" \n\n ", 3) == []


def test_passages_keep_heading_source_and_document() -> None:
    long = Document("d", "a b c d", " A\n heading ", "https://x", "page")
    assert cut(long, 2) == [
        Passage("d~1", "a b", "A heading", "https://x", "page"),
        Passage("d~2", "c d", "A heading", "https://x", "page"),
    ]
    assert cut(Document("d", "a b"), 2) == [Passage("d", "a b", "", "", "d")]


def test_the_text_of_a_prompt() -> None:
    found = [Passage("1", "Of uric acid.", "What is gout?", "https://x", "1"), Passage("2", "Iron.", "", "a.txt", "2")]
    assert block(found) == "Passages:\n\n[1] (https://x) What is gout?\nOf uric acid.\n\n[2] (a.txt)\nIron.\n\n"
    assert block([]) == ""


# --- Folders ----------------------------------------------------------------------------------------------------------


def test_a_folder_of_texts_and_tables() -> None:
    root = corpus(
        a__txt="Plain text.",
        b__md="Before.\n\n# Gout\nOf *acid*.\n```\n# code\n```\n## Iron ##\n\nA metal.\n# Empty\n",
        c__jsonl='{"question": "Q?", "answer": "A.", "url": "https://x"}\n{"text": ""}\n',
        d__csv="title,content\nIron,A metal\n",
        e__json='[{"contents": "In a list"}]',
        f__pdf="%PDF",
        g__docx="PK",
        h__pdf="%PDF",
    )
    pyarrow.parquet.write_table(pyarrow.table({"passage": ["Of columns"]}), root / "i.parquet")
    found, notes = folder.read(root)
    assert [(d.id, d.heading, d.text.strip(), d.source, d.document) for d in found] == [
        ("a.txt", "", "Plain text.", "a.txt", "a.txt"),
        ("b.md#1", "", "Before.", "b.md", "b.md"),
        ("b.md#2", "Gout", "Of *acid*.\n```\n# code\n```", "b.md", "b.md"),
        ("b.md#3", "Iron", "A metal.", "b.md", "b.md"),
        ("c.jsonl#1", "Q?", "A.", "https://x", "c.jsonl#1"),
        ("d.csv#1", "Iron", "A metal", "d.csv#1", "d.csv#1"),
        ("e.json#1", "", "In a list", "e.json#1", "e.json#1"),
        ("i.parquet#1", "", "Of columns", "i.parquet#1", "i.parquet#1"),
    ]
    assert notes == ("skipped, because they are not texts: 1 .docx file, 2 .pdf files",)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.txt", b"\x80\x81", "corpus/a.txt is not UTF-8: byte 0"),
        ("a.md", b"a\0b", "corpus/a.md holds NUL characters, so it is not a text"),
        ("a.jsonl", b'{"id": 1}', "corpus/a.jsonl, row 1: it has none of the columns text, passage, contents"),
        ("a.jsonl", b'{"text": 1}', "corpus/a.jsonl, row 1, field 'text': a text is expected, not 1"),
        ("a.jsonl", b"{", "corpus/a.jsonl, row 1: not JSON"),
        ("a.csv", b"text,url\na,b,c\n", "row 1 (line 2): 3 cells under 2 column names"),
        ("a.parquet", b"PAR1", "corpus/a.parquet cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(name: str, content: bytes, why: str) -> None:
    (corpus() / name).write_bytes(content)
    with pytest.raises(UsageError) as raised:
        folder.read(Path("corpus"))
    assert why in raised.value.message
    assert raised.value.hint == "Fix the file, or move it out of corpus."


# --- What is left out -------------------------------------------------------------------------------------------------

SIXTEEN = "Gout is caused by crystals of uric acid that settle in joints and make them swell."
VIGNETTE = "A man of 61 years has had a dry cough, night sweats and fever since early spring."


def why(item: Item, passage: Passage, *, released: bool = False) -> str:
    made = index.Index((passage,), "0", Path("nowhere"), None)
    return exclusion.exclusion(made, [item], released=released).why(item, passage)


def passage(text: str, heading: str = "", document: str = "page") -> Passage:
    return Passage("p", text, heading, "", document)


def test_what_leaks_and_how() -> None:
    item = Item("i", "What causes gout?", references=(SIXTEEN,), meta={"document": "page"})
    assert why(item, passage("Anything.", "What causes gout?")) == "question"
    assert why(item, passage(f"He said: {SIXTEEN.upper()}")) == "question", "the reference, whole"
    assert why(item, passage("Anything.", "Cures of the gout")) == ""
    assert why(item, passage("Anything.", "Which causes gout")) == "reworded"
    assert why(item, passage(SIXTEEN.replace("swell", "hurt"))) == "copy"
    assert why(item, passage("Of crystals.", "How is gout treated?")) == ""
    assert why(item, passage("Of crystals.", "How is gout treated?"), released=True) == "own"
    assert why(item, passage("Of crystals.", document="other"), released=True) == ""
    vignette = Item("i", f"{VIGNETTE} What is it?", options=("tuberculosis", "gout"), labels=("A", "B"), gold=0)
    assert why(vignette, passage(VIGNETTE.replace("spring", "summer"))) == "words"
    assert why(vignette, passage("Tuberculosis brings dry cough, night sweats and fever.")) == "", "knowledge, no leak"


def test_near_copies_by_hand() -> None:
    words = [f"w{number}" for number in range(40)]
    reference = " ".join(words)
    other = " ".join(f"x{number}" for number in range(100))
    # 20 of the reference's 40 words in one run: half of it. 19 are less, and 19 of 119 words of the text are too.
    assert exclusion.copies(f"{' '.join(words[:20])} {other}", reference)
    assert not exclusion.copies(f"{' '.join(words[:19])} {other}", reference)
    # 13 words in a text of 26 are half of the text; in one of 27 they are not. Runs of 12 never count.
    assert exclusion.copies(" ".join(words[:13] + other.split()[:13]), reference)
    assert not exclusion.copies(" ".join(words[:13] + other.split()[:14]), reference)
    assert not exclusion.copies(" ".join([*words[:12], "x", *words[12:24], "x", *words[24:36]]), reference)
    # Short references are compared as a whole.
    assert exclusion.copies("Yes, it is.", "yes it is")
    assert not exclusion.copies("Yes, it is so.", "yes it is")


def test_what_leaks_does_not_depend_on_the_cache_or_on_the_items_asked() -> None:
    item = Item("i", "What causes gout?", references=(SIXTEEN,))
    made = index.index(documents("What causes gout?", "Gout causes pain."))
    first = exclusion.exclusion(made, [item], released=False)
    assert list(made.folder.glob("leaks-*.json"))
    again = exclusion.exclusion(made, [item], released=False)
    assert again == first
    assert [first.why(item, passage) for passage in made.passages] == ["question", ""]


# --- Retrieval --------------------------------------------------------------------------------------------------------

ITEMS = (
    Item("a", "What causes gout?", references=(SIXTEEN,)),
    Item("b", "What does iron do in blood?", references=("It carries oxygen.",)),
    Item("c", "Why?", references=("Because.",)),
)
SET = ItemSet(ITEMS, "made up")
BENCH = fakes.benchmark(SET, metrics=("rouge1",))


def retrieval(root: Path, count: int = 2, item_set: ItemSet = SET) -> Retrieval:
    return Retriever(str(root), count, Source(), lambda line: None).on(BENCH, item_set)


def planned(found: Retrieval | None, item_set: ItemSet = SET, **settings: Any) -> Plan:
    asked, engine = Settings(**{"latency_items": 0} | settings), FakeEngine()
    return plans.plan(BENCH, item_set, engine_facts(engine, BENCH, item_set, asked), asked, found)


def gout() -> Path:
    return corpus(
        a__txt="Gout causes pain.",
        b__txt=f"Gout, gout! {SIXTEEN}",
        c__txt="Blood has iron in its cells, and iron carries oxygen.",
        d__txt="GOUT causes pain!",
        e__txt="What is known of causes of joint pain.",
    )


def test_prompts_hold_the_best_passages_that_do_not_leak() -> None:
    plan = planned(retrieval(gout()))
    assert plan.prompts["a"].question == (
        "Passages:\n\n[1] (a.txt)\nGout causes pain.\n\n[2] (e.txt)\nWhat is known of causes of joint pain.\n\n"
        "Question: What causes gout?\nAnswer:"
    ), "b.txt has the reference, d.txt repeats a.txt"
    assert plan.prompts["b"].question.startswith("Passages:\n\n[1] (c.txt)\n")
    assert plan.prompts["c"].question == "Question: Why?\nAnswer:", "no passage shares a word with it"
    assert plan.notes == (
        "corpus passages: 1 of 3 items would have got passages that give answers away. They are left out (of how "
        "many items): with the question or the answer word for word (1).",
        "corpus passages: 1 of 3 items get none; their prompts are as without.",
    )


def test_an_item_gets_the_same_passages_whatever_else_is_asked() -> None:
    found = retrieval(gout())
    assert planned(found).prompts["a"] == planned(retrieval(gout()), items=("a",)).prompts["a"]


def test_the_examples_of_a_prompt_have_no_passages() -> None:
    pooled = ItemSet(ITEMS, "made up", shots=(Item("s", "Gout?", references=("Yes.",)),))
    prompt = planned(retrieval(gout(), item_set=pooled), pooled, shots=1).prompts["a"]
    assert prompt.shots == (("Question: Gout?\nAnswer:", "Yes."),)
    assert prompt.question.startswith("Passages:")


def test_what_names_a_run() -> None:
    without = planned(None)
    assert "retrieval" not in without.identity.as_json(), "runs from before there was retrieval keep their ids"
    two, three = planned(retrieval(gout())), planned(retrieval(gout(), 3))
    again = planned(retrieval(gout()))
    (corpus() / "z.txt").write_text("Another text.")
    changed = planned(retrieval(Path("corpus")))
    assert again.identity == two.identity
    assert len({plan.identity.digest for plan in (without, two, three, changed)}) == 4
    assert len({plan.comparable.key for plan in (without, two, three, changed)}) == 4
    assert len({plan.comparable.paired_key for plan in (without, two, three, changed)}) == 1
    assert without.comparable.paired_key == without.comparable.key
    assert two.comparable.passages == "corpus passages (k=2)"
    assert without.comparable.passages == ""
    assert two.comparable.prompt_hash == without.comparable.prompt_hash, "of the prompts without passages"


def test_a_name_with_brackets_is_shown_whole() -> None:
    root = gout().rename("notes [old]")
    assert planned(retrieval(root)).comparable.passages == "notes [old] passages (k=2)"


# --- The index in the cache -------------------------------------------------------------------------------------------


def test_an_index_is_made_once_and_again_if_it_is_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    made = index.index(documents("gout pain", "iron"))
    with monkeypatch.context() as patch:
        patch.setattr(index, "_made", lambda *arguments: pytest.fail("it is in the cache"))
        kept = index.index(documents("gout pain", "iron"))
    assert kept.passages == made.passages
    assert list(kept.ranked("pain of gout")) == list(made.ranked("pain of gout"))
    for path in sorted(made.folder.iterdir()):
        content = path.read_bytes()
        path.write_bytes(content[:-2] + b"\0\0")
        assert list(index.index(documents("gout pain", "iron")).ranked("gout")) == list(made.ranked("gout")), path.name
        assert path.read_bytes() == content, "written again"


@pytest.mark.parametrize("step", ["sync_tree", "rename"])
def test_an_interrupted_build_leaves_nothing(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(durable, step, interrupt)
    with pytest.raises(KeyboardInterrupt):
        index.index(documents("gout", "iron"))
    assert list(Path("cache/retrieval").iterdir()) == []


def test_without_a_writable_cache_it_works_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("file").touch()
    monkeypatch.setenv("MEDBENCH_CACHE", "file")
    assert [name for name, _ in ranks(["gout", "iron"], "iron")] == ["d2"]


# --- Runs -------------------------------------------------------------------------------------------------------------


def test_a_run_that_was_stopped_is_completed_and_stores_its_passages() -> None:
    def stop(item_id: str) -> None:
        if item_id == "b":
            raise KeyboardInterrupt

    plan = planned(retrieval(gout()))
    with pytest.raises(KeyboardInterrupt):
        execute(plan, FakeEngine(before=stop), Path("runs"), made.Silent(), [])
    engine = FakeEngine()
    run = execute(planned(retrieval(gout())), engine, Path("runs"), made.Silent(), [])
    assert engine.asked == ["b", "c"]
    assert run.complete
    prompts = {record.item.id: record.output.prompt for record in run.records()}
    assert prompts == {name: prompt.plain for name, prompt in plan.prompts.items()}
    assert "[1] (a.txt)\nGout causes pain." in prompts["a"]
    assert run.manifest.comparable.retrieval.startswith("corpus passages (k=2) [bm25s ")
    assert run.manifest.benchmark.notes == plan.notes


def test_a_larger_run_reuses_answers_with_the_same_passages_only() -> None:
    def go(found: Retrieval | None, **settings: Any) -> list[str]:
        engine = FakeEngine()
        execute(planned(found, **settings), engine, Path("runs"), made.Silent(), [])
        return engine.asked

    assert go(retrieval(gout()), items=("a",)) == ["a"]
    assert go(None) == ["a", "b", "c"]
    assert go(retrieval(gout())) == ["b", "c"]
    assert go(retrieval(gout(), 1)) == ["a", "b", "c"]


def medbench(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words], prog_name="medbench")


def run_with(*words: object) -> Result:
    model = tiny.save(Path("tiny-llama"), "llama", window=2048)
    return medbench("run", "-m", model, "--engine", ENGINE, "-b", "medquad-sample", "--latency-items", 0, *words)


def test_the_command_runs_with_and_without() -> None:
    gout()
    first = run_with("--retrieve", "corpus", "--passages", 1)
    assert first.exit_code == 0, first.output
    assert "corpus passages: none that ranked high enough would give an answer away." in first.output
    assert run_with().exit_code == 0
    runs = [StoredRun(path) for path in Path("runs").iterdir()]
    assert sorted(run.manifest.comparable.passages for run in runs) == ["", "corpus passages (k=1)"]
    (asked,) = [run for run in runs if run.manifest.comparable.passages]
    item = next(record for record in asked.records() if record.output.prompt.startswith("Passages:"))
    shown = medbench("show", asked.path.name, item.item.id).output
    assert "[1] (" in shown


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ("--retrieve", "nowhere"),
            "--retrieve nowhere: there is no such folder.\nName a folder of texts, or medquad.",
        ),
        (("--retrieve", "file"), "--retrieve file: it is a file, not a folder."),
        (("--retrieve", "empty"), "--retrieve empty: no text is in it. It is empty.\nFiles that are read: .txt, .md,"),
        (("--retrieve", "pubmedqa"), "--retrieve pubmedqa: this benchmark has no documents."),
        (("--retrieve", "binary"), "--retrieve binary: binary/a.txt is not UTF-8: byte 0."),
        (("--passages", "2"), "--passages 2 has no effect without --retrieve."),
        (("--retrieve", "empty", "--passages", "0"), "Invalid value for '--passages'"),
    ],
)
def test_wrong_requests(words: Sequence[str], told: str) -> None:
    Path("file").touch()
    Path("empty").mkdir()
    Path("binary").mkdir()
    Path("binary/a.txt").write_bytes(b"\xff\xfe")
    done = run_with(*words)
    assert done.exit_code == 2, done.output
    assert told in done.output
    assert not list(Path().glob("runs/*"))


def test_saved_answers_cannot_be_given_passages() -> None:
    gout()
    Path("saved.jsonl").write_text('{"id": "1", "text": "x"}\n')
    done = medbench("run", "-m", "replay:saved.jsonl", "-b", "medquad-sample", "--retrieve", "corpus")
    assert done.exit_code == 2
    assert "the answers of replay:saved.jsonl were saved earlier" in done.output


def test_without_bm25s_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    gout()
    monkeypatch.setitem(sys.modules, "bm25s", None)
    done = run_with("--retrieve", "corpus")
    assert done.exit_code == 2
    assert (
        "--retrieve needs the package bm25s, which is not installed.\nInstall it: pip install 'medbench[retrieve]'"
        in (done.output)
    )


@pytest.mark.skipif(sys.platform == "win32", reason="needs kill -9")
@pytest.mark.slow
def test_a_killed_process_is_continued_by_the_same_command_and_not_after_a_change() -> None:
    gout()
    model = str(tiny.save(Path("tiny-llama"), "llama", window=2048))
    words = ["run", "-m", model, "--engine", ENGINE, "-b", "medqa-sample", "--latency-items", "0", "--json"]
    command = [sys.executable, "-m", "medbench", *words, "--retrieve", "corpus"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    until = time.monotonic() + 120
    while not any(len(path.read_bytes().splitlines()) > 2 for path in Path().glob("runs/*/samples.jsonl")):
        assert running.poll() is None and time.monotonic() < until
        time.sleep(0.02)
    os.kill(running.pid, signal.SIGKILL)
    running.communicate()
    (killed,) = Path("runs").iterdir()
    before = len(StoredRun(killed).answered())
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    (path,) = Path("runs").iterdir()
    run = StoredRun(path)
    assert path == killed and run.complete
    assert [session.items for session in run.manifest.sessions if session.items][-1] <= len(run.answered()) - before
    (corpus() / "a.txt").write_text("Gout causes much pain.")
    changed = subprocess.run(command, capture_output=True, text=True)
    assert changed.returncode == 0, changed.stderr
    assert len(list(Path("runs").iterdir())) == 2, "another corpus is another run"


# --- Tables and comparisons -------------------------------------------------------------------------------------------

WITH = "medquad passages (k=3) [bm25s 1, rules 1.1, 150 words, corpus 0123456789abcdef]"
OTHER = WITH.replace("0123456789abcdef", "fedcba9876543210")


def load(name: str) -> made.Read:
    return made.Read(name, True)


def pair_of(root: Path, **second: Any) -> list[StoredRun]:
    return [
        made.make_run(root, made.bits("0000000011"), metrics=["right"]),
        made.make_run(root, made.bits("1111111111"), metrics=["right"], **{"retrieval": WITH} | second),
    ]


def test_with_and_without_are_compared_in_pairs_under_a_title_that_says_so() -> None:
    without, retrieved = pair_of(Path("runs"))
    (match,) = compare(without, retrieved, load=load).matches
    assert match.title.endswith("0-shot · without passages against with medquad passages (k=3)")
    assert (match.label_a, match.label_b) == (
        "tiny (retrieval none)",
        "tiny (retrieval medquad passages (k=3))",
    )
    (line,) = match.lines
    assert (line.a, line.b, line.n) == (0.2, 1.0, 10)
    assert line.p == pytest.approx(2 / 2**8), "8 pairs differ, all in one direction"


def test_two_corpora_of_one_name_are_told_apart_by_their_hashes() -> None:
    _, one = pair_of(Path("runs"))
    _, other = pair_of(Path("runs"), retrieval=OTHER)
    (match,) = compare(one, other, load=load).matches
    assert "corpus 01234567]" in match.label_a and "corpus fedcba98]" in match.label_b


def test_a_run_with_passages_is_matched_with_its_like_first() -> None:
    without, retrieved = pair_of(Path("runs"))
    peer = made.make_run(Path("runs"), made.bits("1010101010"), metrics=["right"], model="peer", retrieval=WITH)
    found = compare([without, retrieved], [peer], load=load)
    assert [(match.run_a, match.run_b) for match in found.matches] == [
        (retrieved.manifest.run_id, peer.manifest.run_id)
    ]
    assert found.matches[0].title.endswith(" · with medquad passages (k=3)")
    assert len(found.left_out) == 1


def test_passages_do_not_make_other_differences_comparable() -> None:
    without, retrieved = pair_of(Path("runs"), items_hash="others")
    with pytest.raises(UsageError) as raised:
        compare(without, retrieved, load=load)
    assert "the items: 10 items [hash of 10] against 10 items [others]" in raised.value.message
    assert f"the passages in the prompts (retrieval): not recorded against '{WITH}'" in raised.value.message


def test_they_never_share_a_table_and_every_table_says_what_it_is() -> None:
    runs = pair_of(Path("runs"))
    found = leaderboard.build(runs, load=load)
    assert [board.title for board in found.boards] == [
        "quiz · 10 items · generated · 0-shot",
        "quiz · 10 items · generated · 0-shot · with medquad passages (k=3)",
    ]
    headings = [heading.name for heading in summarize(found)[0].headings if heading.kind == "benchmark"]
    assert headings == ["quiz", "quiz · with medquad passages (k=3)"]
    alone = summarize(leaderboard.build(runs[1:], load=load))
    assert alone[0].headings[0].name == "quiz · with medquad passages (k=3)"
    assert list(dict.fromkeys(row["retrieval"] for row in export.rows(found))) == ["", WITH]


# --- MedQuAD as a corpus ----------------------------------------------------------------------------------------------


def test_the_release_as_a_corpus(real_data: Path) -> None:
    source = Source(real_data)
    found = medquad.documents(source)
    assert len(found) == medquad.ANSWERED
    assert len({document.id for document in found}) == len(found)
    addressed = [document for document in found if document.source.startswith("http")]
    assert len(addressed) == len(found)
    assert found[0].document == "1_CancerGov_QA/0000001_1"
    assert found[0].source == "https://www.cancer.gov/types/leukemia/patient/adult-all-treatment-pdq"


@pytest.mark.slow
def test_no_scored_item_of_the_release_gets_its_own_page_or_answer(real_data: Path) -> None:
    source = Source(real_data)
    loaded = medquad.load(source)
    found = Retriever("medquad", 3, source, lambda line: None).on(medquad.MEDQUAD, loaded)
    own = {item.meta["document"] for item in loaded.items}
    sampled = loaded.items[::20]
    given = {item.id: found.find(item).passages for item in sampled}
    assert sum(map(len, given.values())) == 3 * len(sampled)
    for item in sampled:
        for passage in given[item.id]:
            assert passage.document not in own
            assert exclusion.normalise(item.references[0]) not in exclusion.normalise(passage.text)
    leaked = [item for item in sampled if found.find(item).left_out]
    assert len(leaked) > len(sampled) / 2, "else there was nothing to leave out"
    assert "own" in {kind for item in sampled for kind in found.find(item).left_out}
    assert json.loads(next(found.index.folder.glob("leaks-*.json")).read_text())["question"]


def test_words_per_passage_of_the_release(real_data: Path) -> None:
    found = [passage for document in medquad.documents(Source(real_data))[::50] for passage in cut(document)]
    assert max(len(passage.text.split()) for passage in found) <= passages.WORDS
