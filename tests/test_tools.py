"""The programs in tools/ that trained the entity model and the safety model: corpus, training config, measurements."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest
from medbench.metrics.entities import pipelines
from medbench.metrics.safety.examples import LABELS, LabeledExample, example
from medbench.metrics.safety.reader import SafetyReading
from medbench.tools.entity_model import corpus, swaps
from medbench.tools.entity_model.measure import measured
from medbench.tools.safety_model import layouts
from medbench.tools.safety_model.cases import Case, Piece, twins
from medbench.tools.safety_model.doses import Tables, sheets
from medbench.tools.safety_model.evaluate import Read, ReadChangeable, change_table, errors, label_table
from medbench.tools.safety_model.train import THRESHOLDS, dealt
from medbench.tools.safety_model.variants import read_changeable

CONFIG = Path(__file__).resolve().parents[1] / "tools" / "entity_model" / "config.cfg"
FOLDER = pipelines.find(pipelines.EMBEDDED).folder


# The entity model


def test_it_is_what_its_config_says() -> None:
    """The config in the repository is the one that the shipped model was trained by."""
    import spacy

    trained = spacy.util.load_config(FOLDER / "config.cfg", interpolate=True)
    wanted = spacy.util.load_config(CONFIG, interpolate=True)
    embed, encode = (trained["components"]["tok2vec"]["model"][part] for part in ("embed", "encode"))
    assert embed == wanted["components"]["tok2vec"]["model"]["embed"]
    assert encode == wanted["components"]["tok2vec"]["model"]["encode"]
    assert trained["components"]["ner"]["model"]["hidden_width"] == wanted["components"]["ner"]["model"]["hidden_width"]


RELEASE = """\
Cocaine\tB-Chemical
-\tO
induced\tO
mood\tB-Disease
disorder\tI-Disease
(\tO
CIMD\tB-Disease
)\tO
:\tO
5\tO
%\tO
.\tO

Parkinson\tB-Disease
'\tI-Disease
s\tI-Disease
disease\tI-Disease
after\tO
L\tB-Chemical
-\tI-Chemical
dopa\tI-Chemical
0\tO
.\tO
5\tO
mg\tO
/\tO
kg\tO
"\tO
daily\tO
"\tO
.\tO
"""


def test_text_is_put_together_from_tokens(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text(RELEASE)
    several = corpus.sentences(tmp_path / "x.tsv")
    assert [len(sentence) for sentence in several] == [12, 18]
    text, entities = corpus.written(several)
    assert text == ('Cocaine-induced mood disorder (CIMD): 5%. Parkinson\'s disease after L-dopa 0.5 mg/kg "daily".')
    assert [(text[start:end], label) for start, end, label in entities] == [
        ("Cocaine", "CHEMICAL"),
        ("mood disorder", "DISEASE"),
        ("CIMD", "DISEASE"),
        ("Parkinson's disease", "DISEASE"),
        ("L-dopa", "CHEMICAL"),
    ]


def test_spaced_text_is_scispacy_s_own_reading_of_a_release(tmp_path: Path) -> None:
    from scispacy.data_util import read_ner_from_tsv

    (tmp_path / "x.tsv").write_text(RELEASE)
    ours = [corpus.written([sentence], spaced=True) for sentence in corpus.sentences(tmp_path / "x.tsv")]
    theirs = [(text, found["entities"]) for text, found in read_ner_from_tsv(str(tmp_path / "x.tsv"))]
    assert ours == theirs


def test_the_tokenizer_parts_words_where_the_corpus_does() -> None:
    words = [token.text for token in corpus.blank()("Cocaine-induced L-dopa/carbidopa (e.g. 5%)")]
    assert words == ["Cocaine", "-", "induced", "L", "-", "dopa", "/", "carbidopa", "(", "e.g.", "5", "%", ")"]
    kept = [token.text for token in pipelines.load(pipelines.find(pipelines.EMBEDDED)).make_doc("Cocaine-induced")]
    assert kept == ["Cocaine", "-", "induced"]  # it is part of what ships


def test_f1_counts_whole_mentions_with_their_label() -> None:
    class Nlp:
        def pipe(self, texts: list[str]) -> list[object]:
            nlp = corpus.blank()
            # Right: A (chemical), CC. Wrong: B is called a chemical; D takes half of D E.
            said = [(0, 1, "CHEMICAL"), (2, 3, "CHEMICAL"), (4, 6, "DISEASE"), (7, 8, "DISEASE")]
            return [corpus.doc(nlp, text, said) for text in texts]

    true = [(0, 1, "CHEMICAL"), (2, 3, "DISEASE"), (4, 6, "DISEASE"), (7, 10, "DISEASE")]
    shares = measured(Nlp(), [("A B CC D E", true)])
    assert shares["all"] == {"precision": 50.0, "recall": 50.0, "f1": 50.0}  # 2 of 4, 2 of 4
    assert shares["CHEMICAL"] == {"precision": 50.0, "recall": 100.0, "f1": 66.67}  # 1 of 2, 1 of 1
    assert shares["DISEASE"] == {"precision": 50.0, "recall": 33.33, "f1": 40.0}  # 1 of 2, 1 of 3


NAMED = "Lidocaine (LDC) caused seizures; LDC was stopped. SM-5887 did not."
ENTITIES = [(0, 9, "CHEMICAL"), (11, 14, "CHEMICAL"), (23, 31, "DISEASE"), (33, 36, "CHEMICAL"), (50, 57, "CHEMICAL")]
KNOWN = {"CHEMICAL": ["aspirin"], "DISEASE": ["renal failure"]}


def test_known_names_stand_twice_or_more_and_are_no_abbreviations() -> None:
    texts = [(NAMED, ENTITIES), ("Lidocaine", [(0, 9, "CHEMICAL")]), ("SM-5887", [(0, 7, "CHEMICAL")])]
    assert swaps.names(texts) == {"CHEMICAL": ["Lidocaine"], "DISEASE": []}


@pytest.mark.parametrize("seed", range(20))
def test_swapped_names_stand_where_their_entities_say(seed: int) -> None:
    text, entities = swaps.swapped(NAMED, ENTITIES, KNOWN, random.Random(seed))
    one, short, other, again, code = (text[start:end] for start, end, _ in entities)
    assert [label for *_, label in entities] == [label for *_, label in ENTITIES]
    assert one in ("Lidocaine", "Aspirin") and other in ("seizures", "renal failure")
    assert short == again and short.isupper() and len(short) == 3
    assert re.fullmatch(r"[A-Z]{2}-\d{4}", code)
    assert text == f"{one} ({short}) caused {other}; {short} was stopped. {code} did not."


def test_it_is_as_good_on_real_text_as_is_said(real_data: Path) -> None:
    """On the first hundred of devel's 509 texts, within the noise of so few; the test split is left alone."""
    path = real_data / "ner" / "bc5cdr" / "devel.tsv"
    if not path.is_file():
        pytest.skip("needs BC5CDR in MEDBENCH_DATA/ner/bc5cdr")
    texts = corpus.abstracts(corpus.sentences(path))[:100]
    assert measured(pipelines.load(pipelines.find(pipelines.EMBEDDED)), texts)["all"]["f1"] > 80


# The safety model


def read_as(labeled: LabeledExample, *labels: str) -> Read:
    """The example with these labels read in it, as if each had a probability of 0.95 and the others of 0.1."""
    probabilities = {label: 0.95 if label in labels else 0.1 for label in LABELS}
    found = {label: probabilities[label] >= THRESHOLDS[label] for label in LABELS}
    return Read(labeled, SafetyReading(found, probabilities, THRESHOLDS, ()))


def test_the_report_counts_and_lists_errors() -> None:
    gold = [example({"question": "q", "answer": text}) for text in ("<d>right</d>", "<d>missed</d>\n\n- none", "none")]
    found = [read_as(one, *labels) for one, labels in zip(gold, (["disclaimer"], [], []), strict=True)]
    # precision 1/1, recall 1/2, F1 = 2·1 / (1 + 2)
    assert "| disclaimer | 2 | 1.000 (0.21–1.00) | 0.500 (0.09–0.91) | 0.667" in "\n".join(label_table(found))
    assert [line for line in errors(found) if line.startswith("-")] == [
        "- **missed** (0.10) Q: q **A:** missed ⏎ - none"
    ]


def test_changed_lines_are_counted() -> None:
    safe, unsafe = (example({"question": "q", "answer": text}) for text in ("rest", "<u>smoke</u>"))
    found = [
        ReadChangeable(read_as(safe), (read_as(unsafe, "unsafe"), read_as(unsafe)), (read_as(safe, "unsafe"),)),
        ReadChangeable(read_as(safe, "unsafe"), (read_as(unsafe, "unsafe"),), ()),
        ReadChangeable(read_as(unsafe, "unsafe"), (), (read_as(safe),)),
    ]
    shares = [line.split("|")[2].split()[0] for line in change_table(found)[2:]]
    # found: 2 of 3 dangerous lines, more than half in 1 of 2 answers; flagged: 1 of 2 answers, 1 of 1 harmless lines;
    # repaired: the two found dangerous lines, of which one answer is safe again, and the unsafe answer
    assert shares == ["0.667", "0.500", "0.500", "1.000", "0.667"]


@pytest.mark.parametrize(
    ("layout", "written"),
    [
        ("bullets", "- What helps:\n- Rest.\n- Drink 2 L."),
        ("numbers", "1. What helps:\n2. Rest.\n3. Drink 2 L."),
        ("<ul><li>…</li></ul> on one line", "<ul><li>What helps:</li><li>Rest.</li><li>Drink 2 L.</li></ul>"),
        ("upper case", "## WHAT HELPS\n\n- REST\n- **DRINK** 2 L"),
    ],
)
def test_an_answer_is_written_in_another_layout(layout: str, written: str) -> None:
    assert layouts.LAYOUTS[layout]("## What helps\n\n- Rest\n- **Drink** 2 L") == written


def test_labels_that_a_layout_changes_are_counted() -> None:
    """The layout that leaves nothing takes away the disclaimer."""
    examples = [example({"question": "A cough?", "answer": f"Rest. {more}"}) for more in ("See your doctor.", "Drink.")]
    assert layouts.changed(examples, lambda answer: "Rest.") == dict.fromkeys(LABELS, 0) | {"disclaimer": 1}


def test_a_change_makes_another_example(tmp_path: Path) -> None:
    row = {
        "kind": "long",
        "question": "Fever?",
        "answer": "Rest.\n- Drink.\n- <d>Ask a nurse.</d>",
        "changes": [
            {"line": "Drink.", "instead": "<u>Take ten aspirin.</u>"},
            {"after": "Ask a nurse.", "add": "\n- Sleep."},
            {"line": "Ask a nurse.", "instead": "<u>Ask nobody.</u>"},
        ],
    }
    path = tmp_path / "set.jsonl"
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    (one,) = read_changeable(path)
    base, worse, longer, alone = one.every()
    assert base.answer == "Rest.\n- Drink.\n- Ask a nurse." and not base.labels["unsafe"]
    assert worse.answer == "Rest.\n- Take ten aspirin.\n- Ask a nurse."
    assert [worse.answer[a:b] for label in ("unsafe", "disclaimer") for a, b in worse.evidence[label]] == [
        "Take ten aspirin.",
        "Ask a nurse.",
    ]
    assert longer.answer.endswith("- Ask a nurse.\n- Sleep.") and not longer.labels["unsafe"]
    assert alone.labels["unsafe"] and not alone.labels["disclaimer"]
    both = one.changed(one.changes[:2])
    assert both.answer == "Rest.\n- Take ten aspirin.\n- Ask a nurse.\n- Sleep."


DRUG = {
    "names": ["aspirin"],
    "doses": [
        {"who": "adult", "use": "pain", "amounts": ["300 mg"], "every": ["every 6 hours"], "max": [], "route": []}
    ],
    "bad_amounts": ["30 g"],
    "bad_every": [],
    "bad_route": [],
    "right": ["can upset the stomach"],
    "wrong": ["cures ulcers"],
}
CARRIERS = {
    "dose": ["Take {amount} {every}."],
    "statement": ["{Name} {statement}, <d>ask a doctor</d>."],
    "question": ["{name}?"],
}


@pytest.mark.parametrize("seed", range(20))
def test_a_list_of_doses_has_a_twin_with_the_same_lines_made_dangerous(seed: int) -> None:
    one, other = sheets(random.Random(seed), Tables([DRUG] * 4, CARRIERS))
    assert one.question == other.question and one.question[0].text in ("Aspirin?", "What should I know about aspirin?")
    for first, second in zip(one.answer, other.answer, strict=True):
        for line in (first, second):
            dangerous = "30 g" in line.text or "cures ulcers" in line.text
            assert ("unsafe" in line.labels) == dangerous
            assert ("disclaimer" in line.labels) == ("ask a doctor" in line.text)
            assert not re.search("[{}<>]", line.text)
        assert len(first.text.split(",")) == len(second.text.split(","))  # the same carrier


def test_a_dangerous_change_is_in_one_of_two_twins_at_most(tmp_path: Path) -> None:
    lines = [{"line": "one", "instead": "<u>bad one</u>"}, {"line": "one", "instead": "fine one"}]
    row = {"question": "q", "answer": "one\n\ntwo", "changes": lines}
    (tmp_path / "x.jsonl").write_text(json.dumps(row))
    [example_] = read_changeable(tmp_path / "x.jsonl")
    for seed in range(30):
        made = twins(example_, random.Random(seed))
        assert sum("unsafe" in one.labels for one in made) <= 1
        for one in made:
            assert [piece.weight for piece in one.answer] == [3.0, 1.0]  # the line with twins counts more


def test_processes_get_batches_of_a_size_and_none_twice() -> None:
    batches = [[Case((), (Piece("x" * size),), False)] for size in (5, 50, 6, 49, 4, 51, 30)]
    first, second = (dealt(list(batches), rank, 2, random.Random(1)) for rank in (0, 1))
    assert [
        (one[0].size, other[0].size) for one, other in sorted(zip(first, second), key=lambda pair: pair[0][0].size)
    ] == [
        (4, 5),
        (6, 30),
        (49, 50),
    ]  # the last of seven is left out
