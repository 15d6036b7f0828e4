"""Training sets and what a stage learns from: released files and hub copies give the same examples, what is drawn is
fixed by the seed, and nothing held out is trained on."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from medbench.benchmarks import medical_reasoning, medquad, pubmedqa
from medbench.benchmarks.sources.files import HubRows, Source
from medbench.core.errors import DataMalformed, DataMissing, UsageError
from medbench.core.types import Prompt
from medbench.metrics.extraction import read_choice
from medbench.training import benchmark_sets, data, sets
from medbench.training.data import StageData, prepare
from medbench.training.example import Example, Examples, TrainingSet
from medbench.zoo.recipe import Part, Stage

Rows = list[dict[str, Any]]


class Hub(Source):
    """A hub that holds the given rows of each (repository, config), and splits them by per cent as `datasets` does."""

    def __init__(self, rows: Mapping[tuple[str, str | None], Rows]) -> None:
        super().__init__(None)
        self.rows = rows

    def hub(self, repository: str, split: str, config: str | None = None, needed: str = "") -> HubRows:
        rows = self.rows[repository, config]
        part = re.fullmatch(r"train(?:\[(\d+)%:(\d+)%\])?", split)
        assert part is not None
        first, last = (round(int(share or whole) * len(rows) / 100) for share, whole in zip(part.groups(), (0, 100)))
        return HubRows(json.loads(json.dumps(rows[first:last])), f"hub:{repository}@5eed5eed")


def folder(root: Path, files: Mapping[str, Any]) -> Source:
    """A data folder: texts as they are, anything else as JSON."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return Source(root)


def pair(number: int, **more: str) -> dict[str, str]:
    return {
        "instruction": "Answer.",
        "input": f"What is disease {number}?",
        "output": f"A rash of {number} days.",
    } | more


# ------------------------------------------------------------------------------------------------- sets, from rows

TABLES = {
    "healthcaremagic": ("chatdoctor/HealthCareMagic-100k.json", "lavita/ChatDoctor-HealthCareMagic-100k"),
    "wikidoc": ("wikidoc/medical_meadow_small.json", "medalpaca/medical_meadow_wikidoc_patient_information"),
    "flashcards": (
        "flashcards/medical_meadow_wikidoc_medical_flashcards.json",
        "medalpaca/medical_meadow_medical_flashcards",
    ),
    "medical-qa": ("medical-qa/export.json", "lavita/medical-qa-datasets"),
    "medical-chatbot": ("medical-chatbot/dialogues.jsonl", "ruslanmv/ai-medical-chatbot"),
    "wiki-terms": ("wiki-terms/wiki_medical_terms.parquet", "gamino/wiki_medical_terms"),
}
CONFIGS = {"medical-qa": "all-processed"}


def table_rows(name: str) -> Rows:
    if name == "medical-chatbot":
        return [
            {"Description": "Q. A rash?", "Patient": f"I have  rash {n}", "Doctor": f"Wait {n}. -->"} for n in range(3)
        ]
    if name == "wiki-terms":
        return [{"page_title": f"Rash {n}", "page_text": f"A rash.\n\nIt lasts {n} days."} for n in range(3)]
    return [pair(n) for n in range(3)]


@pytest.mark.parametrize("name", TABLES)
def test_a_released_file_and_the_hub_give_the_same_examples(tmp_path: Path, name: str) -> None:
    import pandas

    file, hub = TABLES[name]
    path, rows = tmp_path / file, table_rows(name)
    path.parent.mkdir(parents=True)
    if file.endswith(".parquet"):
        pandas.DataFrame(rows).to_parquet(path)
    else:
        path.write_text("\n".join(map(json.dumps, rows)) if file.endswith(".jsonl") else json.dumps(rows))
    training_set = sets.get(name)
    released = training_set.load(Source(tmp_path))
    copied = training_set.load(Hub({(hub, CONFIGS.get(name)): rows[::-1]}))
    assert training_set.hub == hub
    assert released.origin == str(path) and copied.origin == f"hub:{hub}@5eed5eed"
    assert sorted(released.train, key=lambda e: e.id) == sorted(copied.train, key=lambda e: e.id)
    assert len(released.train) == 3 and all(example.id.startswith(f"{name}/") for example in released.train)


@pytest.mark.parametrize(
    ("name", "prompt", "answer"),
    [
        ("wikidoc", "Question: What is disease 0?\nAnswer:", "A rash of 0 days."),
        # Its rows are of many tasks, so each opens with its own instruction.
        ("medical-qa", "Answer.\n\nQuestion: What is disease 0?\nAnswer:", "A rash of 0 days."),
        ("medical-chatbot", "Question: I have rash 0\nAnswer:", "Wait 0."),
        ("wiki-terms", "Question: What is Rash 0?\nAnswer:", "A rash. It lasts 0 days."),
    ],
)
def test_how_a_row_is_put_and_what_is_learned(name: str, prompt: str, answer: str) -> None:
    first, *_ = sets.get(name).load(Hub({(TABLES[name][1], CONFIGS.get(name)): table_rows(name)})).train
    assert (first.prompt, first.answer) == (prompt, answer)


def test_empty_rows_are_skipped_and_repeated_ones_taken_once_and_both_told(tmp_path: Path) -> None:
    spaced = pair(1, input="What  is\ndisease 1? ")
    rows = [pair(1), pair(2, output=" "), pair(3, input=""), spaced, pair(1, output="Another answer."), pair(4)]
    found = sets.get("wikidoc").load(folder(tmp_path, {"wikidoc/medical_meadow_small.json": rows}))
    assert [example.answer for example in found.train] == ["A rash of 1 days.", "Another answer.", "A rash of 4 days."]
    assert found.notes == (
        "2 of 6 rows without a question or an answer are skipped.",
        "1 of 6 rows are duplicates and are used once.",
    )


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([pair(1), {"input": "What?"}], "row 2, field 'output': it is missing"),
        ([pair(1), pair(2) | {"output": 7}], "row 2, field 'output': a text is expected, not 7"),
        ([pair(1, output="")], "none of 1 rows has both a question and an answer"),
    ],
)
def test_a_malformed_row_is_named(tmp_path: Path, rows: Rows, says: str) -> None:
    with pytest.raises(DataMalformed, match=says) as error:
        sets.get("wikidoc").load(folder(tmp_path, {"wikidoc/medical_meadow_small.json": rows}))
    assert str(tmp_path / "wikidoc/medical_meadow_small.json") in error.value.message


def test_chatdoctor5k_stands_in_for_healthcaremagic_and_says_so(tmp_path: Path) -> None:
    source = folder(tmp_path, {"chatdoctor/chatdoctor5k.json": [pair(1)]})
    assert "not those of HealthCareMagic" in sets.get("healthcaremagic").load(source).notes[0]
    source = folder(tmp_path, {"chatdoctor/HealthCareMagic-100k.json": [pair(2)]})
    found = sets.get("healthcaremagic").load(source)
    assert [example.question for example in found.train] == ["What is disease 2?"] and found.notes == ()


def test_a_set_that_is_nowhere_says_what_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr("medbench.core.hub.reachable", lambda: False)
    stage = Stage("one", (Part("flashcards"),))
    with pytest.raises(
        DataMissing, match=r"medical_flashcards\.json \(training set flashcards\) is not below"
    ) as error:
        prepare(stage, Source(tmp_path), seed=0)
    assert "--set data=medical-questions" in error.value.hint and "--set data=FILE.jsonl" in error.value.hint


# ------------------------------------------------------------------------------------- sets that a benchmark shares


def document(number: int, questions: int = 2) -> str:
    asked = "".join(
        f'<QAPair pid="{n}"><Question qid="{number:07}-{n}" qtype="x">Is {n} of {number}\n bad?</Question>'
        f"<Answer>It is\n  {n}{number}.</Answer></QAPair>"
        for n in range(1, questions + 1)
    )
    return f'<Document id="{number:07}" source="GARD"><Focus>f</Focus><QAPairs>{asked}</QAPairs></Document>'


def medquad_folder(root: Path, documents: int = 100) -> Source:
    return folder(root, {f"medquad/2_GARD_QA/{number:07}.xml": document(number) for number in range(documents)})


def test_medquad_trains_on_its_train_split_and_keeps_dev_apart(tmp_path: Path) -> None:
    source = medquad_folder(tmp_path)
    found = sets.get("medquad").load(source)
    benchmark = medquad.load(source)
    assert len(found.train) + len(found.dev) + len(benchmark.items) == 200
    assert [e.id for e in found.dev] == [f"medquad/{item.id}" for item in benchmark.shots]
    scored = {item.meta["document"] for item in benchmark.items}
    assert not scored & {example.document for example in (*found.train, *found.dev)}
    first = found.dev[0]
    assert first.prompt == medquad.MEDQUAD.question(benchmark.shots[0]) == f"Question: {first.question}\nAnswer:"
    assert (first.answer, first.document) == (benchmark.shots[0].references[0], benchmark.shots[0].meta["document"])


def vignette(number: int, analysis: bool = True) -> dict[str, str]:
    thought = f"<analysis>\n\nRash {number} is the clue, not B.\n</analysis>\n" if analysis else ""
    return {
        "instruction": "Choose.",
        "input": f"Q:A patient has rash {number}. Why? \n{{'A': 'Gout', 'B': 'Lupus', 'C': 'Mumps', 'D': 'Flu'}}",
        "output": f"{thought}<answer>\nC: Mumps\n</answer>",
    }


def test_medical_reasoning_trains_on_what_is_not_scored(tmp_path: Path) -> None:
    rows = [vignette(number, analysis=number % 2 == 0) for number in range(100)]
    lines = "\n".join(map(json.dumps, rows))
    source = folder(tmp_path, {"medical-reasoning/train.jsonl": lines})
    found = sets.get("medical-reasoning").load(source)
    benchmark = medical_reasoning.load(source)
    assert benchmark.items and len(found.train) + len(benchmark.items) == 100
    assert not any(medical_reasoning.scored(example.question) for example in found.train)
    assert found.notes == (f"{len(benchmark.items)} questions that the benchmark scores are not used for training.",)
    assert found.train[0].prompt == medical_reasoning.MEDICAL_REASONING.question(benchmark.shots[0])
    for example, item in zip(found.train, benchmark.shots):
        assert read_choice(example.answer, item.options, item.labels).index == 2, "read as the option C"
    by_question = {example.question: example.answer for example in found.train}
    number = next(n for n in range(0, 100, 2) if f"A patient has rash {n}. Why?" in by_question)
    assert by_question[f"A patient has rash {number}. Why?"] == (
        f"<analysis>\nRash {number} is the clue, not B.\n</analysis>\n<answer>\nC: Mumps\n</answer>"
    )


def pqaa(count: int) -> dict[str, dict[str, Any]]:
    return {
        str(20_000_000 + n): {
            "QUESTION": f"Does measure {n} help?",
            "CONTEXTS": [f'Measure "{n}" was tried: {{20}} patients.', "It\\helped."],
            "LABELS": ["AIM", "RESULTS"],
            "LONG_ANSWER": "It did.",
            "MESHES": ["Humans"],
            "final_decision": "no" if n % 5 == 0 else "yes",
        }
        for n in range(count)
    }


def pqaa_on_the_hub(release: Mapping[str, Mapping[str, Any]]) -> Hub:
    rows = [
        {
            "pubid": int(pmid),
            "question": row["QUESTION"],
            "context": {"contexts": row["CONTEXTS"], "labels": row["LABELS"], "meshes": row["MESHES"]},
            "long_answer": row["LONG_ANSWER"],
            "final_decision": row["final_decision"],
        }
        for pmid, row in release.items()
    ]
    return Hub({(pubmedqa.HUB, "pqa_artificial"): rows})


@pytest.mark.parametrize("indent", [None, 4])
@pytest.mark.parametrize("piece", [64, 1 << 20])
def test_pubmedqa_artificial_is_read_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, indent: int | None, piece: int
) -> None:
    monkeypatch.setattr(benchmark_sets, "PIECE", piece)
    release = pqaa(23)
    source = folder(tmp_path, {"pubmedqa/ori_pqaa.json": json.dumps(release, indent=indent)})
    found = sets.get("pubmedqa-artificial").load(source)
    assert [example.id for example in found.train] == [f"pubmedqa-artificial/{pmid}" for pmid in release]
    assert [example.answer for example in found.train[:6]] == ["no", "yes", "yes", "yes", "yes", "no"]
    assert found.train[3].prompt == (
        'Abstract: Measure "3" was tried: {20} patients.\nIt\\helped.\nQuestion: Does measure 3 help?\nAnswer:'
    )
    copied = sets.get("pubmedqa-artificial").load(pqaa_on_the_hub(release))
    assert copied.train == found.train
    assert copied.origin == f"hub:{pubmedqa.HUB}@5eed5eed" and found.notes == copied.notes == ()


def test_pubmedqa_artificial_is_asked_as_the_benchmark_asks(tmp_path: Path) -> None:
    [example] = sets.get("pubmedqa-artificial").load(pqaa_on_the_hub(pqaa(1))).train
    labeled = folder(tmp_path, {"pubmedqa/ori_pqal.json": pqaa(1)})
    [item] = pubmedqa.load_pqal(labeled).items
    benchmark = pubmedqa.PUBMEDQA
    assert example.prompt == Prompt(benchmark.question(item), benchmark.instruction(item)).plain
    assert example.answer == benchmark.answer(item)


@pytest.mark.parametrize("damage", [lambda text: text[:-40], lambda text: "[" + text, lambda text: text + "x"])
def test_a_damaged_pubmedqa_artificial_is_told(tmp_path: Path, damage: Any) -> None:
    source = folder(tmp_path, {"pubmedqa/ori_pqaa.json": damage(json.dumps(pqaa(3)))})
    with pytest.raises(DataMalformed, match=r"ori_pqaa\.json: not one JSON object"):
        sets.get("pubmedqa-artificial").load(source)


# --------------------------------------------------------------------------------- pairs of our own, and the user's


def test_the_shipped_pairs_are_thirteen_short_answers_to_bare_questions() -> None:
    found = sets.get("medical-questions").load(Source(None))
    assert len({example.id for example in found.train}) == len({e.question for e in found.train}) == 13
    for example in found.train:
        assert example.prompt == example.question and example.question.endswith("?")
        assert 25 <= len(example.answer.split()) <= 60, example.id


def test_a_users_file(tmp_path: Path) -> None:
    rows = [
        {"question": " Why? ", "answer": "Because."},
        {"id": 7, "question": "How?", "answer": "So.", "prompt": "Tell: how?", "document": "leaflet"},
        {"question": "Why?", "answer": "Because."},
    ]
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    found = sets.get(str(path)).load(Source(None))
    why, how = found.train
    assert (why.question, why.answer, why.prompt, why.document) == ("Why?", "Because.", "Question: Why?\nAnswer:", "")
    assert how == Example("mine/7", "How?", "So.", "Tell: how?", "mine/leaflet")
    assert found.origin == str(path) and found.notes == ("1 of 3 rows are duplicates and are used once.",)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"question": "Why?"}', "row 2, field 'answer': it is missing"),
        ('{"question": "", "answer": "So."}', "row 2, field 'question': a text is expected, not ''"),
        ('{"question": "How?", "answer": "So.", "prompt": 3}', "row 2, field 'prompt': a text is expected, not 3"),
        ('{"question": "How?", "answer": "So.", "id": 1.5}', "row 2, field 'id': a text or a whole number is expected"),
        ('{"question": "How?", "answer": "So.", "id": 1}', "row 2, field 'id': '1' is also in an earlier row"),
        ("Why? So.", "row 2: not JSON, from character 1 on"),
    ],
)
def test_what_is_wrong_with_a_users_file_is_told_by_line_and_field(tmp_path: Path, line: str, says: str) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"question": "Why?", "answer": "So.", "id": 1}\n' + line + "\n")
    with pytest.raises(DataMalformed, match=re.escape(f"mine.jsonl, {says}")):
        sets.get(str(path)).load(Source(None))


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"there is no training set 'medqad'\. Did you mean medquad"):
        sets.get("medqad")
    with pytest.raises(UsageError, match=r"no such file: nowhere\.jsonl"):
        sets.get("nowhere.jsonl")


def test_the_sets_are_described_and_cheap_to_import() -> None:
    for name, training_set in sets.SETS.items():
        assert training_set.name == name and training_set.summary and training_set.licence
    heavy = {"torch", "transformers", "datasets", "pandas", "numpy", "pyarrow"}
    program = f"import sys, medbench.training.data; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# --------------------------------------------------------------------------------------------- what a stage learns


def example(name: str, number: int, document: str = "", text: str = "") -> Example:
    text = text or f"{name} {number}"
    return Example(
        f"{name}/{number}", f"What is {text}?", f"It is {text}.", f"Question: What is {text}?\nAnswer:", document
    )


def made(name: str, count: int, per_document: int = 1) -> tuple[Example, ...]:
    return tuple(example(name, n, f"{name}-{n // per_document}" if per_document > 1 else "") for n in range(count))


Loaded = Sequence[Example] | Examples


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Prepares a stage from the given sets: `given({"a": made("a", 10)}, "a:5", eval_examples=2)`."""

    def prepared(loaded: Mapping[str, Loaded], *parts: str, seed: int = 0, **settings: Any) -> StageData:
        def get(name: str) -> TrainingSet:
            found = loaded[name]
            examples = found if isinstance(found, Examples) else Examples(tuple(found), f"folder/{name}")
            return TrainingSet(name, "", "", "", lambda source: examples)

        monkeypatch.setattr(data, "get", get)
        split = (part.partition(":") for part in parts)
        mixture = tuple(Part(name, int(samples or 0)) for name, _, samples in split)
        return prepare(Stage("one", mixture, **settings), Source(None), seed)

    return prepared


def ids(examples: Sequence[Example]) -> set[str]:
    return {one.id for one in examples}


def test_a_draw_depends_on_the_seed_alone_and_is_part_of_a_larger_one(given: Any) -> None:
    rows = made("a", 100)
    ten = given({"a": rows}, "a:10", eval_examples=0)
    assert given({"a": rows[::-1]}, "a:10", eval_examples=0).train == ten.train
    assert ids(ten.train) < ids(given({"a": rows}, "a:20", eval_examples=0).train)
    assert ids(given({"a": rows}, "a:10", seed=1, eval_examples=0).train) != ids(ten.train)
    assert ten.parts == ({"source": "a", "origin": "folder/a", "available": 100, "drawn": 10},)
    assert (ten.held_out, ten.notes) == ((), ())


def test_a_mixture_is_shuffled_and_its_hash_is_that_of_its_texts(given: Any) -> None:
    loaded = {"a": made("a", 40), "b": made("b", 40)}
    mixed = given(loaded, "a:20", "b:20", eval_examples=4)
    names = "".join(one.id[0] for one in mixed.train)
    assert names.count("a") == names.count("b") == 20 and "ab" in names[:20] and "ba" in names[20:]
    assert given(loaded, "a:20", "b:20", eval_examples=4).hash == mixed.hash
    assert re.fullmatch("[0-9a-f]{16}", mixed.hash)
    changed = replace(mixed.train[5], answer="It is another.")
    loaded["ab"["ab".index(changed.id[0])]] = tuple(
        changed if one.id == changed.id else one for one in loaded[changed.id[0]]
    )
    again = given(loaded, "a:20", "b:20", eval_examples=4)
    assert again.hash != mixed.hash and ids(again.train) == ids(mixed.train)


def test_more_than_there_is_takes_all_and_says_so(given: Any) -> None:
    drawn = given({"a": made("a", 7)}, "a:5000", eval_examples=0)
    assert len(drawn.train) == 7 and drawn.notes == ("5,000 examples of a were asked for; all 7 are used.",)


def test_held_out_examples_come_from_what_the_release_keeps_for_it(given: Any) -> None:
    kept = Examples(made("a", 20), "folder/a", dev=made("dev", 5), notes=("1 row is skipped.",))
    found = given({"a": kept}, "a", eval_examples=3)
    assert len(found.train) == 20 and len(found.held_out) == 3
    assert all(one.id.startswith("dev/") for one in found.held_out)
    assert found.notes == ("a: 1 row is skipped.",)
    more = given({"a": kept}, "a", eval_examples=9)
    assert len(more.held_out) == 5 and len(more.train) == 20
    assert more.notes[1] == "a: 5 held out instead of 9: its release has no more."


def test_held_out_examples_come_from_what_was_not_drawn(given: Any) -> None:
    """50 drawn of 100 and 25 of 50: of 9 held out 6 are of the first, 3 of the second, in proportion."""
    found = given({"a": made("a", 100), "b": made("b", 50)}, "a:50", "b:25", eval_examples=9)
    assert len(found.train) == 75 and not ids(found.train) & ids(found.held_out)
    assert sorted(one.id[0] for one in found.held_out) == list("aaaaaabbb")


def test_of_thirteen_pairs_two_are_held_out(given: Any) -> None:
    """A fifth of 13, rounded down, is 2: asking for 100 never leaves fewer than four fifths to train on."""
    found = given({"a": made("a", 13)}, "a", eval_examples=100)
    assert (len(found.train), len(found.held_out)) == (11, 2)
    assert ids(found.train) | ids(found.held_out) == ids(made("a", 13))
    assert found.notes == ("a: 2 held out instead of 100; 2 of them come from the drawn examples (at most one in 5).",)


@pytest.mark.parametrize("part", ["a", "a:60"])
def test_no_document_is_parted(given: Any, part: str) -> None:
    found = given({"a": made("a", 90, per_document=3)}, part, eval_examples=12)
    assert found.held_out
    assert not {one.document for one in found.train} & {one.document for one in found.held_out}


def test_without_documents_no_question_is_parted(given: Any) -> None:
    """Three answers to each of 20 questions; half of the answers are drawn."""
    rows = [replace(example("a", n, text=f"rash {n % 20}"), answer=f"Answer {n}.") for n in range(60)]
    for part in ("a", "a:30"):
        found = given({"a": rows}, part, eval_examples=6)
        assert found.held_out or part == "a:30"
        assert not {one.question for one in found.train} & {one.question for one in found.held_out}


def test_a_pair_that_two_sets_share_is_taken_once(given: Any) -> None:
    shared = [replace(one, id=one.id.replace("a/", "b/")) for one in made("a", 10)[:4]]
    found = given({"a": made("a", 10), "b": [*shared, *made("b", 20)[10:]]}, "a", "b", eval_examples=0)
    assert len(found.train) == 10 + 10 and found.parts[1]["drawn"] == 10
    assert found.notes == ("4 examples of b repeat an example drawn before and are left out.",)


def test_a_set_named_twice_gives_other_examples_the_second_time(given: Any) -> None:
    """The first part takes the first 5 in the seed's order; the second passes over them and takes the next 3."""
    found = given({"a": made("a", 20)}, "a:5", "a:3", eval_examples=0)
    assert ids(found.train) == ids(given({"a": made("a", 20)}, "a:8", eval_examples=0).train)


def test_two_texts_under_one_id_are_refused(given: Any) -> None:
    with pytest.raises(UsageError, match="two training examples with different texts have the id 'a/0'"):
        given({"a": made("a", 1), "b": [example("a", 0, text="another")]}, "a", "b")


# ------------------------------------------------------------------------------------------------------- real data


def test_the_real_medquad(real_data: Path) -> None:
    found = prepare(Stage("one", (Part("medquad"),)), Source(real_data), seed=0)
    # 13,126 train pairs, of which 45 repeat question and answer of another document.
    assert (len(found.train), len(found.held_out)) == (13_081, 100)
    assert found.parts[0]["available"] == 13_126
    assert not {one.document for one in found.train} & {one.document for one in found.held_out}


def test_the_real_chatdoctor_and_wikidoc(real_data: Path) -> None:
    mixture = (Part("healthcaremagic", 3000), Part("wikidoc", 3000))
    found = prepare(Stage("one", mixture), Source(real_data), seed=0)
    assert [part["available"] for part in found.parts] == [5_452, 5_942 - 92]
    assert [part["drawn"] for part in found.parts] == [3_000, 3_000]
    assert (len(found.train), len(found.held_out)) == (6_000, 100)
    assert "wikidoc: 92 of 5,942 rows are duplicates and are used once." in found.notes
