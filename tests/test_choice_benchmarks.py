"""The multiple-choice benchmarks: official files and hub copies give the same items, and errors name the row."""

from __future__ import annotations

import csv
import io
import json
import re
import tarfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from medbench.benchmarks import medical_reasoning, medmcqa, medqa, mmlu_med, pubmedqa
from medbench.benchmarks.sources.files import HubRows, Source
from medbench.core import registry
from medbench.core.errors import DataMalformed
from medbench.core.types import Benchmark, Item, Prompt

Rows = list[dict[str, Any]]


class HubOnly(Source):
    """A hub that holds the given splits, each under (config, split); no folder."""

    def __init__(self, splits: Mapping[tuple[str | None, str], Rows]) -> None:
        super().__init__(None)
        self.splits = splits

    def hub(self, repository: str, split: str, config: str | None = None, needed: str = "") -> HubRows:
        part = re.fullmatch(r"(\w+)(?:\[:(\d+)\])?", split)
        assert part is not None
        rows = self.splits[config, part[1]][: int(part[2]) if part[2] else None]
        return HubRows(
            json.loads(json.dumps(rows)), f"hub:{repository}" + (f"/{config}" if config else "") + "@5eed5eed"
        )


def folder(root: Path, files: Mapping[str, str | Sequence[Any] | Mapping[str, Any]]) -> Source:
    """A data folder: texts as they are, lists as JSON lines, objects as JSON."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Mapping):
            content = json.dumps(content)
        elif not isinstance(content, str):
            content = "".join(json.dumps(row) + "\n" for row in content)
        path.write_text(content, encoding="utf-8")
    return Source(root)


def letters_of(items: Sequence[Item]) -> str:
    return "".join(item.answers[item.gold or 0] for item in items)


ALL = [
    *("pubmedqa", "pubmedqa-pqal", "medqa", "medmcqa", "mmlu-med", "medical-reasoning"),
    *("medbullets-4", "medbullets-5", "medxpertqa", "mmlu-pro-health", "headqa-en", "careqa-en"),
]


@pytest.mark.parametrize("name", ALL)
def test_each_is_found_by_its_name_and_says_what_it_is(name: str) -> None:
    benchmark: Benchmark = registry.get("benchmarks", name)
    assert benchmark.name == name and not benchmark.sample
    assert benchmark.citation and benchmark.licence and benchmark.hub
    assert benchmark.metrics == ("accuracy", "ece", "brier")


# ---------------------------------------------------------------------------------------------------------- PubMedQA


def pqal(count: int = 12) -> dict[str, dict[str, Any]]:
    """A release of `count` invented abstracts in the official format, labels taking turns."""
    return {
        str(40_000_000 + number): {
            "QUESTION": f"Does measure {number} help?",
            "CONTEXTS": [f"We asked whether measure {number} helps.", "We tried it in 20 patients."],
            "LABELS": ["BACKGROUND", "METHODS"],
            "MESHES": ["Humans"],
            "YEAR": None,
            "reasoning_required_pred": "yes",
            "reasoning_free_pred": "no",
            "final_decision": ("yes", "no", "maybe")[number % 3],
            "LONG_ANSWER": f"Measure {number} helped some.",
        }
        for number in range(count)
    }


def pqal_on_the_hub(release: Mapping[str, Mapping[str, Any]]) -> HubOnly:
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
    return HubOnly({("pqa_labeled", "train"): rows})


def decisions(release: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {pmid: row["final_decision"] for pmid, row in release.items()}


@pytest.fixture
def small_pqal(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """Twelve items whose drawn half counts as the official test set."""
    release = pqal()
    monkeypatch.setattr(pubmedqa, "OFFICIAL_TEST", pubmedqa._digest(pubmedqa.official_test(decisions(release))))
    return release


def test_pubmedqa_prompt_is_that_of_lm_evaluation_harness(tmp_path: Path) -> None:
    [item, *_] = pubmedqa.load_pqal(folder(tmp_path, {"pubmedqa/ori_pqal.json": pqal()})).items
    assert pubmedqa.PUBMEDQA.question(item) == pubmedqa.PUBMEDQA_PQAL.question(item)
    assert pubmedqa.PUBMEDQA.question(item) == (
        "Abstract: We asked whether measure 0 helps.\nWe tried it in 20 patients.\n"
        "Question: Does measure 0 help?\n"
        "Answer:"
    )
    assert item.answers == ("yes", "no", "maybe")
    assert pubmedqa.PUBMEDQA.answer(item) == "yes"
    assert pubmedqa.PUBMEDQA.instruction(item) == ""


def test_pubmedqa_folder_and_hub_give_the_same_items(tmp_path: Path, small_pqal: dict[str, Any]) -> None:
    drawn = pubmedqa.official_test(decisions(small_pqal))
    truth = {pmid: small_pqal[pmid]["final_decision"] for pmid in drawn}
    files = {"pubmedqa/ori_pqal.json": small_pqal, "pubmedqa/test_ground_truth.json": truth}
    from_folder = pubmedqa.load(folder(tmp_path / "whole", files))
    without_truth = pubmedqa.load(folder(tmp_path / "part", {"ori_pqal.json": small_pqal}))
    from_hub = pubmedqa.load(pqal_on_the_hub(small_pqal))
    for loaded in (without_truth, from_hub):
        assert (loaded.items, loaded.shots, loaded.variant) == (from_folder.items, from_folder.shots, "")
    assert {item.id for item in from_folder.items} == set(drawn)
    assert sorted(item.id for item in (*from_folder.items, *from_folder.shots)) == sorted(small_pqal)
    assert from_folder.origin == str(tmp_path / "whole/pubmedqa/ori_pqal.json")
    assert from_hub.origin == "hub:qiaojin/PubMedQA/pqa_labeled@5eed5eed"


def test_the_drawn_half_keeps_the_shares_of_the_labels() -> None:
    """Of 5 yes, 4 no and 1 maybe the first halves (3, 2, 1) are for training and the second (2, 2, 0) for testing."""
    labels = dict(zip("abcdefghij", ["yes"] * 5 + ["no"] * 4 + ["maybe"]))
    assert Counter(labels[pmid] for pmid in pubmedqa.official_test(labels)) == {"yes": 2, "no": 2}


def test_pubmedqa_refuses_another_test_set(tmp_path: Path, small_pqal: dict[str, Any]) -> None:
    another = pqal_on_the_hub(dict(reversed(small_pqal.items())))
    with pytest.raises(DataMalformed, match="the split recomputed from its rows is not the official test set") as error:
        pubmedqa.load(another)
    assert "test_ground_truth.json" in error.value.hint
    first = dict(list(decisions(small_pqal).items())[:3])
    files = {"pubmedqa/ori_pqal.json": small_pqal, "pubmedqa/test_ground_truth.json": first}
    with pytest.raises(DataMalformed, match=r"test_ground_truth\.json does not contain the 500 official test PMIDs"):
        pubmedqa.load(folder(tmp_path, files))


@pytest.mark.parametrize(
    ("pmid", "label", "says"),
    [
        ("40000003", "no", r"row 1 \(PMID 40000003\): the label is 'no', but 'yes' in field 'final_decision'"),
        ("1", "no", r"row 1: PMID 1 is not in .*ori_pqal\.json"),
    ],
)
def test_test_labels_must_be_the_releases_own(tmp_path: Path, pmid: str, label: str, says: str) -> None:
    files = {"pubmedqa/ori_pqal.json": pqal(), "pubmedqa/test_ground_truth.json": {pmid: label}}
    with pytest.raises(DataMalformed, match=says):
        pubmedqa.load(folder(tmp_path, files))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"final_decision": "perhaps"}, "field 'final_decision': 'perhaps' is not one of yes, no, maybe"),
        ({"CONTEXTS": "one text"}, "field 'CONTEXTS': a list of texts is expected, not 'one text'"),
        ({"QUESTION": None}, "field 'QUESTION': a text is expected, not None"),
        ({"LONG_ANSWER": ...}, "field 'LONG_ANSWER': it is missing"),
    ],
)
def test_a_malformed_pubmedqa_row_is_told(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    release = pqal()
    release["40000001"].update(change)
    release["40000001"] = {field: value for field, value in release["40000001"].items() if value is not ...}
    with pytest.raises(DataMalformed) as error:
        pubmedqa.load_pqal(folder(tmp_path, {"pubmedqa/ori_pqal.json": release}))
    assert error.value.message == f"{tmp_path}/pubmedqa/ori_pqal.json, row 2 (PMID 40000001), {says}."


def test_pqal_has_all_items_and_no_pool(tmp_path: Path) -> None:
    release = pqal()
    from_folder = pubmedqa.load_pqal(folder(tmp_path, {"pubmedqa/ori_pqal.json": release}))
    from_hub = pubmedqa.load_pqal(pqal_on_the_hub(release))
    assert from_folder.items == from_hub.items
    assert [item.id for item in from_folder.items] == list(release)
    assert from_folder.shots == () and from_folder.variant == "12 of 1,000 items"


def test_the_official_split_drawn_again_is_the_official_one(real_data: Path) -> None:
    release = json.loads((real_data / "pubmedqa/ori_pqal.json").read_text())
    official = json.loads((real_data / "pubmedqa/test_ground_truth.json").read_text())
    assert pubmedqa.official_test(decisions(release)) == list(official), "the same PMIDs, in the same order too"


def test_the_real_pubmedqa(real_data: Path, tmp_path: Path) -> None:
    whole = pubmedqa.load(Source(real_data))
    assert Counter(letters_of([item]) for item in whole.items) == {"yes": 276, "no": 169, "maybe": 55}
    assert len(whole.shots) == 500 and whole.variant == ""
    (tmp_path / "ori_pqal.json").symlink_to((real_data / "pubmedqa/ori_pqal.json").resolve())
    assert pubmedqa.load(Source(tmp_path)).items == whole.items, "without the file of test labels"
    release = json.loads((real_data / "pubmedqa/ori_pqal.json").read_text())
    assert pubmedqa.load(pqal_on_the_hub(release)).items == whole.items
    pqal_set = pubmedqa.load_pqal(Source(real_data))
    assert Counter(letters_of([item]) for item in pqal_set.items) == {"yes": 552, "no": 338, "maybe": 110}
    assert pqal_set.variant == ""


# ------------------------------------------------------------------------------------------------------------- MedQA


def usmle(number: int, gold: str = "B") -> dict[str, Any]:
    options = {letter: f"drug {letter}{number}" for letter in "ABCD"}
    return {
        "question": f"A {number}-year-old man has a cough. What is the best drug?",
        "answer": options[gold],
        "options": options,
        "meta_info": "step2&3",
        "answer_idx": gold,
        "metamap_phrases": ["cough"],
    }


TEST_FILE, TRAIN_FILE = "medqa/phrases_no_exclude_test.jsonl", "medqa/phrases_no_exclude_train.jsonl"


def test_medqa_prompt_is_that_of_lm_evaluation_harness(tmp_path: Path) -> None:
    [item] = medqa.load(folder(tmp_path, {TEST_FILE: [usmle(40)]})).items
    assert medqa.MEDQA.question(item) == (
        "Question: A 40-year-old man has a cough. What is the best drug?\n"
        "A. drug A40\nB. drug B40\nC. drug C40\nD. drug D40\n"
        "Answer:"
    )
    assert (item.id, item.answers, medqa.MEDQA.answer(item)) == ("0", ("A", "B", "C", "D"), "B")
    assert item.meta == {"step": "step2&3"}


def test_medqa_folder_and_hub_give_the_same_items(tmp_path: Path) -> None:
    test, train = [usmle(n, "ABCD"[n % 4]) for n in range(6)], [usmle(n) for n in range(50, 53)]
    from_folder = medqa.load(folder(tmp_path, {TEST_FILE: test, TRAIN_FILE: train}))
    from_hub = medqa.load(HubOnly({(None, "test"): test, (None, "train"): train}))
    assert (from_folder.items, from_folder.shots) == (from_hub.items, from_hub.shots)
    assert letters_of(from_folder.items) == "ABCDAB"
    assert [item.id for item in from_folder.items] == ["0", "1", "2", "3", "4", "5"]
    assert [item.id for item in from_folder.shots] == ["train-0", "train-1", "train-2"]
    assert from_folder.variant == from_hub.variant == "6 of 1,273 items"


def test_the_pool_is_as_large_from_either_source_and_passes_over_bad_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(medqa, "EXAMPLES", 3)
    train = [usmle(50), usmle(51) | {"answer_idx": "E"}, usmle(52), usmle(53)]
    from_folder = medqa.load(folder(tmp_path, {TEST_FILE: [usmle(1)], TRAIN_FILE: train}))
    from_hub = medqa.load(HubOnly({(None, "test"): [usmle(1)], (None, "train"): train}))
    assert [item.id for item in from_folder.shots] == ["train-0", "train-2"]
    assert from_folder.shots == from_hub.shots


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"answer_idx": "E"}, "field 'answer_idx': 'E' is not one of A, B, C, D"),
        ({"answer_idx": 1}, "field 'answer_idx': 1 is not one of A, B, C, D"),
        ({"answer": "drug C7"}, "field 'answer': it is not the text of option B, which field 'answer_idx' names"),
        ({"options": {"A": "x", "B": "y"}}, "field 'options': texts for A, B, C and D are expected"),
        ({"options": usmle(7)["options"] | {"E": "z"}}, "field 'options': texts for A, B, C and D are expected"),
        ({"options": usmle(7)["options"] | {"D": None}}, "options, field 'D': a text is expected, not None"),
        ({"question": " "}, "field 'question': a text is expected, not ' '"),
    ],
)
def test_a_malformed_medqa_row_is_told_from_either_source(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    rows = [usmle(6), usmle(7) | change]
    with pytest.raises(DataMalformed) as error:
        medqa.load(folder(tmp_path, {TEST_FILE: rows}))
    assert error.value.message == f"{tmp_path / TEST_FILE}, row 2, {says}."
    with pytest.raises(DataMalformed) as error:
        medqa.load(HubOnly({(None, "test"): rows, (None, "train"): []}))
    assert error.value.message == f"hub:GBaker/MedQA-USMLE-4-options@5eed5eed, row 2, {says}."


def test_a_line_that_is_no_json_is_told(tmp_path: Path) -> None:
    text = json.dumps(usmle(1)) + "\n" + json.dumps(usmle(2))[:-9] + "\n"
    with pytest.raises(
        DataMalformed, match=r"phrases_no_exclude_test\.jsonl, row 2: not JSON, from character \d+ on: "
    ):
        medqa.load(folder(tmp_path, {TEST_FILE: text}))


def test_rows_in_another_order_than_the_official_are_not_under_the_same_name(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [usmle(n) for n in range(3)]
    official = medqa.load(HubOnly({(None, "test"): rows, (None, "train"): []})).items
    monkeypatch.setattr(medqa, "OFFICIAL", 3)
    monkeypatch.setattr(medqa, "OFFICIAL_TEST", medqa.digest(official))
    respaced = [row | {"question": row["question"].replace(" ", "  ")} for row in rows]
    for loaded, is_official in [(rows, True), (respaced, True), (rows[::-1], False), ([*rows[:2], usmle(9)], False)]:
        variant = medqa.load(HubOnly({(None, "test"): loaded, (None, "train"): []})).variant
        assert variant.startswith("" if is_official else "not the official rows: ") and bool(variant) != is_official


def test_the_real_medqa(real_data: Path) -> None:
    loaded = medqa.load(Source(real_data))
    assert len(loaded.items) == 1273 and loaded.variant == ""
    assert Counter(letters_of(loaded.items)) == {"A": 353, "B": 309, "C": 346, "D": 265}
    assert Counter(item.meta["step"] for item in loaded.items) == {"step1": 679, "step2&3": 594}


# ----------------------------------------------------------------------------------------------------------- MedMCQA


def neet(number: int, cop: int = 2) -> dict[str, Any]:
    """A row as the official release has it: `cop` counts from 1."""
    return {
        "question": f"Which nerve is number {number}?",
        "opa": "Vagus",
        "opb": "Optic",
        "opc": "Facial",
        "opd": "",
        "cop": cop,
        "choice_type": "multi",
        "exp": None,
        "subject_name": "Anatomy",
        "topic_name": None,
        "id": f"00000000-0000-4000-8000-{number:012}",
    }


def on_the_hub(rows: Rows) -> Rows:
    return [row | {"cop": row["cop"] - 1} for row in rows]


def test_medmcqa_prompt_has_a_line_before_the_options(tmp_path: Path) -> None:
    [item] = medmcqa.load(folder(tmp_path, {"medmcqa/dev.json": [neet(10)]})).items
    assert medmcqa.MEDMCQA.question(item) == (
        "Question: Which nerve is number 10?\nChoices:\nA. Vagus\nB. Optic\nC. Facial\nD. \nAnswer:"
    )
    assert (item.id, item.options[item.gold or 0]) == ("00000000-0000-4000-8000-000000000010", "Optic")
    assert item.meta == {"subject": "Anatomy", "question_type": "multi"}


def test_medmcqa_counts_from_1_in_the_release_and_from_0_on_the_hub(tmp_path: Path) -> None:
    dev, train = [neet(n, cop=n) for n in (1, 2, 3, 4)], [neet(n) for n in (80, 81)]
    from_folder = medmcqa.load(folder(tmp_path, {"medmcqa/dev.json": dev, "medmcqa/train.json": train}))
    from_hub = medmcqa.load(HubOnly({(None, "validation"): on_the_hub(dev), (None, "train"): on_the_hub(train)}))
    assert letters_of(from_folder.items) == "ABCD"
    assert (from_folder.items, from_folder.shots) == (from_hub.items, from_hub.shots)
    assert letters_of(from_folder.shots) == "BB"
    assert from_folder.variant == "4 of 4,183 items"


def test_medmcqa_counted_the_other_way_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataMalformed) as error:
        medmcqa.load(folder(tmp_path, {"medmcqa/dev.json": on_the_hub([neet(1, 3), neet(2, 1)])}))
    assert error.value.message == (
        f"{tmp_path}/medmcqa/dev.json, row 2, field 'cop': 0 is not from 1 to 4: options count from 1 in the official "
        "release."
    )
    with pytest.raises(
        DataMalformed, match="row 1, field 'cop': 4 is not from 0 to 3: options count from 0 on the hub"
    ):
        medmcqa.load(HubOnly({(None, "validation"): [neet(1, 4)], (None, "train"): []}))


@pytest.mark.parametrize("cop", ["2", 2.0, True, None])
def test_medmcqa_wants_a_whole_number(tmp_path: Path, cop: Any) -> None:
    with pytest.raises(DataMalformed, match="row 1, field 'cop'"):
        medmcqa.load(folder(tmp_path, {"medmcqa/dev.json": [neet(1) | {"cop": cop}]}))


def test_medmcqa_rows_without_a_label_are_refused(tmp_path: Path) -> None:
    rows = [neet(1), neet(2, cop=-1)]
    for source in (
        folder(tmp_path, {"medmcqa/dev.json": rows}),
        HubOnly({(None, "validation"): rows, (None, "train"): []}),
    ):
        with pytest.raises(DataMalformed, match="row 2, field 'cop': -1 marks a row without a label"):
            medmcqa.load(source)


def test_medmcqa_ids_are_its_own_and_may_not_repeat(tmp_path: Path) -> None:
    with pytest.raises(DataMalformed, match=r"dev\.json, row 3, field 'id': '00000000-.*' is in an earlier row too"):
        medmcqa.load(folder(tmp_path, {"medmcqa/dev.json": [neet(1), neet(2), neet(1)]}))


def test_another_releases_dev_json_is_not_taken_for_medmcqa(tmp_path: Path) -> None:
    files = {"a-squad/dev.json": {"version": 1}, "neet-pg/dev.json": [neet(5)]}
    assert medmcqa.load(folder(tmp_path / "data", files)).origin.endswith("neet-pg/dev.json")


# -------------------------------------------------------------------------------------------------------------- MMLU


def mmlu_rows(subject: str, count: int) -> Rows:
    return [
        {
            "question": f'Which, of {subject}\'s "parts",\nis number {number}? ',
            "choices": [f"part {letter}, {number}" for letter in "abcd"],
            "answer": number % 4,
            "subject": subject,
        }
        for number in range(count)
    ]


def as_csv(rows: Rows) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([row["question"], *row["choices"], "ABCD"[row["answer"]]] for row in rows)
    return text.getvalue()


SUBJECTS = ["anatomy", "clinical_knowledge", "college_biology", "college_medicine", "medical_genetics",
            "professional_medicine"]  # fmt: skip


@pytest.fixture
def small_mmlu(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str | None, str], Rows]:
    """All six subjects with three test questions and two examples each; that counts as the official size."""
    assert sum(mmlu_med.SUBJECTS.values()) == 1089
    monkeypatch.setattr(mmlu_med, "SUBJECTS", dict.fromkeys(SUBJECTS, 3))
    tests = {(subject, "test"): mmlu_rows(subject, 3) for subject in SUBJECTS}
    return tests | {(subject, "dev"): mmlu_rows(f"{subject} dev", 2) for subject in SUBJECTS}


def test_mmlu_prompt_is_mmlus(small_mmlu: Mapping[tuple[str | None, str], Rows]) -> None:
    loaded = mmlu_med.load(HubOnly(small_mmlu))
    item = next(item for item in loaded.items if item.id == "college_medicine/1")
    prompt = Prompt(mmlu_med.MMLU_MED.question(item), mmlu_med.MMLU_MED.instruction(item))
    assert prompt.plain == (
        "The following are multiple choice questions (with answers) about college medicine.\n"
        "\n"
        'Which, of college_medicine\'s "parts",\nis number 1?\n'
        "A. part a, 1\nB. part b, 1\nC. part c, 1\nD. part d, 1\n"
        "Answer:"
    )
    assert mmlu_med.MMLU_MED.answer(item) == "B"
    assert item.meta == {"subject": "college_medicine"}


def test_mmlu_folder_archive_and_hub_give_the_same_items(
    tmp_path: Path, small_mmlu: Mapping[tuple[str | None, str], Rows]
) -> None:
    files = {f"{split}/{subject}_{split}.csv": as_csv(rows) for (subject, split), rows in small_mmlu.items()}
    loose = mmlu_med.load(folder(tmp_path / "loose", {f"mmlu-med/{name}": text for name, text in files.items()}))
    (tmp_path / "packed").mkdir()
    with tarfile.open(tmp_path / "packed/data.tar", "w") as archive:
        archive.add(tmp_path / "loose/mmlu-med", "data")
    packed = mmlu_med.load(Source(tmp_path / "packed"))
    from_hub = mmlu_med.load(HubOnly(small_mmlu))
    assert loose.items == packed.items == from_hub.items
    assert loose.shots == packed.shots == from_hub.shots
    assert [item.id for item in loose.items[:4]] == ["anatomy/0", "anatomy/1", "anatomy/2", "clinical_knowledge/0"]
    assert Counter(item.meta["subject"] for item in loose.shots) == dict.fromkeys(SUBJECTS, 2)
    assert loose.variant == from_hub.variant == "" and loose.notes == ()
    assert from_hub.origin == "hub:cais/mmlu@5eed5eed"
    assert packed.origin == str(tmp_path / "packed/data.tar")


def test_a_folder_with_some_subjects_is_a_partial_set_named_so(
    tmp_path: Path, small_mmlu: Mapping[tuple[str | None, str], Rows]
) -> None:
    rows = {subject: small_mmlu[subject, "test"] for subject in SUBJECTS[:4]}
    files = {f"mmlu-med/{subject}_test.csv": as_csv(found) for subject, found in rows.items()}
    loaded = mmlu_med.load(folder(tmp_path, files))
    assert loaded.variant == "4 of 6 subjects"
    assert loaded.notes == ("Subjects missing: medical_genetics, professional_medicine.",)
    assert len(loaded.items) == 4 * 3 and loaded.shots == ()
    files["mmlu-med/anatomy_test.csv"] = as_csv(rows["anatomy"][:2])
    assert mmlu_med.load(folder(tmp_path, files)).variant == "4 of 6 subjects, 11 of 12 items"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("Which?,a,b,c,d,E", "row 2, field 'answer': 'E' is not one of A, B, C, D"),
        ("Which?,a,b,c,A", r"row 2 \(line 2\): 6 columns are expected \(question, A, B, C, D, answer\), not 5"),
        (",a,b,c,d,A", "row 2, field 'question': a text is expected, not ''"),
    ],
)
def test_a_malformed_mmlu_record_is_told(tmp_path: Path, line: str, says: str) -> None:
    source = folder(tmp_path, {"mmlu-med/anatomy_test.csv": f"What?,a,b,c,d,A\n{line}\n"})
    with pytest.raises(DataMalformed, match=rf"anatomy_test\.csv, {says}"):
        mmlu_med.load(source)


@pytest.mark.parametrize(
    ("change", "says"),
    [({"answer": 4}, "field 'answer': 4 is not from 0 to 3"), ({"choices": ["a"]}, "field 'choices': 4 are expected")],
)
def test_a_malformed_mmlu_row_of_the_hub_is_told(
    small_mmlu: dict[tuple[str | None, str], Rows], change: dict[str, Any], says: str
) -> None:
    small_mmlu["anatomy", "test"][1].update(change)
    with pytest.raises(DataMalformed, match=f"hub:cais/mmlu/anatomy@5eed5eed, row 2, {says}"):
        mmlu_med.load(HubOnly(small_mmlu))


def test_the_real_mmlu(real_data: Path) -> None:
    loaded = mmlu_med.load(Source(real_data))
    sizes = Counter(item.meta["subject"] for item in loaded.items)
    assert sizes == {"anatomy": 135, "clinical_knowledge": 265, "college_biology": 144, "medical_genetics": 100}
    assert Counter(letters_of(loaded.items)) == {"A": 149, "B": 163, "C": 160, "D": 172}
    assert loaded.variant == "4 of 6 subjects"
    assert all(len(set(item.options)) > 1 for item in loaded.items)


# -------------------------------------------------------------------------------------------------- medical-reasoning


def vignette(number: int, gold: str = "E") -> dict[str, str]:
    """A row in the published format: apostrophes inside double quotes, a comma after the dict."""
    return {
        "instruction": "Please answer with one of the option in the bracket",
        "input": f"Q:A {number}-year-old woman has a fever. Which disease is likely?? \n"
        "{'A': 'Gout', 'B': \"Crohn's disease\", 'C': 'Scurvy', 'D': \"Graves' disease\", 'E': 'Measles'},",
        "output": "<analysis>\n\nThe fever points to an infection.\n</analysis>\n<answer>\n"
        + {"B": "B: Crohn's disease", "D": "D: Graves' disease", "E": "E: Measles"}[gold]
        + "\n</answer>",
    }


FOUR = {
    "instruction": "",
    "input": "Q:Which vitamin prevents scurvy?\n{'A': 'A', 'B': 'B12', 'C': 'C', 'D': 'D'}",
    "output": "<analysis>It is C.</analysis>\n<answer>\nC: C\n</answer>",
}


def test_medical_reasoning_row_is_read_as_published() -> None:
    item = medical_reasoning.read(vignette(30, "B")["input"], vignette(30, "B")["output"])
    assert item.question == "A 30-year-old woman has a fever. Which disease is likely??"
    assert item.options == ("Gout", "Crohn's disease", "Scurvy", "Graves' disease", "Measles")
    assert (item.labels, item.gold) == (("A", "B", "C", "D", "E"), 1)
    assert item.references == ("The fever points to an infection.",)
    assert medical_reasoning.MEDICAL_REASONING.question(item) == (
        "Question: A 30-year-old woman has a fever. Which disease is likely??\n"
        "A. Gout\nB. Crohn's disease\nC. Scurvy\nD. Graves' disease\nE. Measles\n"
        "Answer:"
    )
    four = medical_reasoning.read(FOUR["input"], FOUR["output"])
    assert (four.options, four.answers, four.gold) == (("A", "B12", "C", "D"), ("A", "B", "C", "D"), 2)


words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)


@given(words, st.lists(words, min_size=4, max_size=5), st.integers(0, 3), st.sampled_from(["", ","]))
def test_any_options_come_back_as_they_were_written(question: str, options: list[str], gold: int, end: str) -> None:
    """Whatever quotes, braces, backslashes or line ends the texts hold."""
    literal = repr(dict(zip("ABCDE", options)))
    item = medical_reasoning.read(f"Q:{question}\n{literal}{end}", f"<answer>\n{'ABCD'[gold]}\n</answer>")
    assert item.options == tuple(options) and item.gold == gold
    assert item.question == question.strip()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"input": "Q:Which?\n{'A': 'a', 'B': 'b', 'C': 'c', 'D': open('/etc/passwd')}"}, "options cannot be read"),
        ({"input": "Q:Which?\n{'A': 'a', 'B': 'b', 'C': 'c', 'D': 'd'"}, "options cannot be read"),
        ({"input": "Q:Which?\n{'A': 'a', 'B': 'b', 'C': 'c'}"}, "options cannot be read"),
        ({"input": "Q:Which?\n{'A': 'a', 'B': 'b', 'C': 'c', 'D': 4}"}, "options cannot be read"),
        ({"input": "Q:Which?"}, "options cannot be read"),
        ({"input": FOUR["input"].replace("Q:Which vitamin prevents scurvy?", "Q:")}, "no question"),
        ({"input": None}, "input or output is no text"),
        ({"output": "It is E."}, "no answers"),
        ({"output": "<answer>A</answer> or <answer>B</answer>"}, "2 answers"),
        ({"output": "<answer>\nF: Mumps\n</answer>"}, "the answer is no option's letter"),
        ({"output": "<answer>\nMeasles\n</answer>"}, "the answer is no option's letter"),
        ({"output": "<answer>A rash, so measles</answer>"}, "the answer is no option's letter"),
        ({"output": "<answer>\nE: Gout\n</answer>"}, "the answer's text is not that of option E"),
    ],
)
def test_ragged_rows_are_left_out_and_named_with_the_reason(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    rows = [vignette(1), vignette(2) | change, vignette(3)]
    loaded = medical_reasoning.load(folder(tmp_path, {"medical-reasoning/train.jsonl": rows}))
    assert loaded.notes == (f"1 of 3 rows cannot be used: 2 ({reason}).",)
    assert len(loaded.items) + len(loaded.shots) == 2


@pytest.mark.parametrize(
    "answer", ["D: Graves' disease", "D", "(D)", "D) Graves' disease", "(D): graves' disease.", "D.\nGRAVES' DISEASE"]
)
def test_the_way_an_answer_is_set_is_no_disagreement(answer: str) -> None:
    assert medical_reasoning.read(vignette(30)["input"], f"<answer>{answer}</answer>").gold == 3


def test_repeated_rows_are_taken_once_and_two_answers_are_told(tmp_path: Path) -> None:
    again = vignette(1) | {"input": vignette(1)["input"].replace("has a", "HAS  a")}
    rows = [vignette(1), vignette(2), again, vignette(2, "D")]
    loaded = medical_reasoning.load(folder(tmp_path, {"medical-reasoning/train.jsonl": rows}))
    assert len(loaded.items) + len(loaded.shots) == 2
    assert loaded.notes == (
        "1 of 4 rows cannot be used: 4 (another answer than row 2 to the same question).",
        "1 of 4 rows repeat another and are taken once: 3 (as 1).",
    )


def test_a_tenth_is_scored_and_nothing_of_it_may_be_trained_on() -> None:
    rows = [vignette(number) for number in range(2000)]
    # The same questions with the options the other way round are other items, on the same side.
    turned = [row | {"input": row["input"].replace("Gout", "Rickets").replace("has a", "HAS  a")} for row in rows]
    loaded = medical_reasoning.load(HubOnly({(None, "train"): rows + turned}))
    assert len(loaded.items) + len(loaded.shots) == 4000
    # 2000 draws at 0.1: 200 expected, standard deviation sqrt(2000 * 0.1 * 0.9) = 13.4; twice, as all stand twice.
    assert 2 * 150 < len(loaded.items) < 2 * 250
    seen = {item.question.lower().replace("  ", " ") for item in loaded.items}
    assert not seen & {item.question.lower().replace("  ", " ") for item in loaded.shots}
    assert len({item.id for item in (*loaded.items, *loaded.shots)}) == 4000
    again = medical_reasoning.load(HubOnly({(None, "train"): turned[::-1] + rows[::-1]}))
    assert {item.id for item in again.items} == {item.id for item in loaded.items}, "whatever the order of the rows"


def parquet(path: Path, rows: Rows) -> None:
    import pandas

    pandas.DataFrame(rows).to_parquet(path)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("train.jsonl", lambda path, rows: path.write_text("\n".join(map(json.dumps, rows)))),
        ("export.json", lambda path, rows: path.write_text(json.dumps(rows, indent=1))),
        ("lines.json", lambda path, rows: path.write_text("\n".join(map(json.dumps, rows)))),
        ("data/train-00000-of-00001.parquet", parquet),
    ],
)
def test_exports_and_the_hub_give_the_same_items(
    tmp_path: Path, name: str, write: Callable[[Path, Rows], None]
) -> None:
    rows: Rows = [*(vignette(number) for number in range(40)), FOUR]
    path = tmp_path / "medical-reasoning" / name
    path.parent.mkdir(parents=True)
    (tmp_path / "medical-reasoning" / "dataset_infos.json").write_text("{}")
    write(path, rows)
    exported = medical_reasoning.load(Source(tmp_path))
    from_hub = medical_reasoning.load(HubOnly({(None, "train"): rows}))
    assert (exported.items, exported.shots) == (from_hub.items, from_hub.shots)
    assert exported.items and exported.notes == () and exported.origin == str(path)
    assert medical_reasoning.load(Source(tmp_path / "medical-reasoning")).items == exported.items


def test_an_export_without_the_fields_or_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataMalformed, match=r"train\.jsonl, row 1, field 'input': it is missing"):
        medical_reasoning.load(folder(tmp_path / "a", {"medical-reasoning/train.jsonl": [{"question": "q"}]}))
    with pytest.raises(DataMalformed, match=r"train\.parquet cannot be read"):
        medical_reasoning.load(folder(tmp_path / "b", {"medical-reasoning/train.parquet": "no parquet"}))
    with pytest.raises(DataMalformed, match="none of its 2 rows can be read"):
        medical_reasoning.load(HubOnly({(None, "train"): [FOUR | {"output": ""}] * 2}))
