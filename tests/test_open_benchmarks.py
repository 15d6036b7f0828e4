"""MedQuAD and LiveQA on hand-made releases with the real ones' traps, then on the real releases where they are."""

from __future__ import annotations

import zipfile
from collections import Counter, defaultdict
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

import pytest
from medbench.benchmarks.liveqa import FILE, LIVEQA
from medbench.benchmarks.medquad import FOLDERS, MEDQUAD, load_split
from medbench.benchmarks.sources.files import HubRows, Source
from medbench.benchmarks.sources.splits import normalise
from medbench.core.errors import DataMalformed, DataMissing


def document(source, identity, pairs, root="Document", id_name="id", focus="foo"):
    """A MedQuAD document; `pairs` are (number, question, answer), the answer None for an empty element."""
    listed = "".join(
        f'<QAPair pid="{number}">\n\t\t\t<Question qid="{identity}-{number}" qtype="information">{escape(question)}'
        f"</Question>\n\t\t\t{'<Answer/>' if answer is None else f'<Answer>{escape(answer)}</Answer>'}\n\t</QAPair>\n"
        for number, question, answer in pairs
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} {id_name}="{identity}" source={quoteattr(source)} url="u">\n'
        f"<!-- a comment --><Focus>{focus}</Focus>\n<QAPairs>\n{listed}</QAPairs>\n</{root}>\n"
    )


def hub_row(source, identity, number, question, answer, **other):
    return {
        "document_id": identity,
        "document_source": source,
        "question_id": f"{identity}-{number}",
        "question_type": "information",
        "question": question,
        "answer": answer,
        "question_focus": "foo",
        **other,
    }


class Hub(Source):
    """A source without a data folder, whose hub holds these rows."""

    def __init__(self, rows):
        super().__init__(None)
        self.rows = rows

    def hub(self, repository, split, config=None, needed=""):
        assert (repository, split) == ("lavita/MedQuAD", "train")
        return HubRows(self.rows, "hub:lavita/MedQuAD@1234")


def write(folder: Path, files: dict[str, str]) -> Source:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return Source(folder)


# The same document id in two folders, a document id twice within one folder, an answer shared by two documents, an
# answer withheld, a document under another root without an id, one of the older schema.
TREE = {
    "medquad/MedQuAD-master/2_GARD_QA/0000001.xml": document(
        "GARD",
        "0000001",
        [(1, "What is  (are)\n foo ?", "Foo is\n    \na sign.  - One  - Two"), (2, "Is foo bad ?", None)],
    ),
    "medquad/MedQuAD-master/3_GHR_QA/0000001.xml": document(
        "GHR", "0000001", [(1, "What is (are) bar ?", "Bar & baz."), (4, "Is bar inherited ?", "It runs in families.")]
    ),
    "medquad/MedQuAD-master/3_GHR_QA/0000002.xml": document(
        "GHR", "0000002", [(1, "Is qux inherited ?", "It runs in\nfamilies.")]
    ),
    "medquad/MedQuAD-master/1_CancerGov_QA/0000013_2_1.xml": document(
        "CancerGov", "0000013_2", [(1, "What is (are) Pox ?", "Pox."), (2, "Who gets Pox ?", "Nobody.")]
    ),
    "medquad/MedQuAD-master/1_CancerGov_QA/0000013_2_2.xml": document(
        "CancerGov", "0000013_2", [(1, "What is (are) Hox ?", "Hox.")]
    ),
    "medquad/MedQuAD-master/9_CDC_QA/0000397.xml": document(
        "CDC", "0000397", [(5, "What is zap ?", "Zap.")], root="DiseaseFile", id_name="fid"
    ),
    "medquad/MedQuAD-master/6_NINDS_QA/0000007.xml": (
        '<doc docid="0000007" corpus="NINDS"><qaPairs><pair pid="1"><question qid="0000007-1">q</question>'
        '<answer>a</answer></pair><pair pid="2"><question qid="0000007-2">q</question><answer>a</answer></pair>'
        "</qaPairs></doc>"
    ),
    "medquad/MedQuAD-master/readme.txt": "not XML",
}
ROWS = [  # the same pairs as the hub copy has them: no older schema, the answer as it is or None, any order
    hub_row("CDC", None, 5, "What is zap ?", "Zap.", question_id="0000397-5"),
    hub_row("GHR", "0000002", 1, "Is qux inherited ?", "It runs in families."),
    hub_row("CancerGov", "0000013_2", 1, "What is (are) Pox ?", "Pox."),
    hub_row("GARD", "0000001", 2, "Is foo bad ?", None),
    hub_row("GARD", "0000001", 1, "What is (are) foo ?", "Foo is\n\na sign. - One - Two"),
    hub_row("CancerGov", "0000013_2", 1, "What is (are) Hox ?", "Hox."),
    hub_row("CancerGov", "0000013_2", 2, "Who gets Pox ?", "Nobody."),
    hub_row("GHR", "0000001", 4, "Is bar inherited ?", "It runs in families."),
    hub_row("GHR", "0000001", 1, "What is (are) bar ?", "Bar & baz."),
]


def everything(source):
    found = MEDQUAD.load(source)
    return {"train": load_split(source, "train"), "dev": found.shots, "test": found.items}


def by_id(source):
    return {item.id: item for items in everything(source).values() for item in items}


def test_medquad_ids_are_folder_document_question_and_unique(tmp_path):
    assert set(by_id(write(tmp_path, TREE))) == {
        "2_GARD_QA/0000001/1",
        "3_GHR_QA/0000001/1",
        "3_GHR_QA/0000001/4",
        "3_GHR_QA/0000002/1",
        "1_CancerGov_QA/0000013_2/1~1",  # two documents under one id: Hox comes before Pox
        "1_CancerGov_QA/0000013_2/1~2",
        "1_CancerGov_QA/0000013_2/2",
        "9_CDC_QA/0000397/5",
    }


def test_medquad_items_hold_question_answer_and_where_they_come_from(tmp_path):
    items = by_id(write(tmp_path, TREE))
    assert items["1_CancerGov_QA/0000013_2/1~1"].question == "What is (are) Hox ?"
    item = items["2_GARD_QA/0000001/1"]
    assert item.question == "What is (are) foo ?"  # runs of white space are one space
    assert item.references == ("Foo is a sign. - One - Two",)
    assert item.meta == {
        "document": "2_GARD_QA/0000001",
        "source": "GARD",
        "question_type": "information",
        "focus": "foo",
    }
    assert MEDQUAD.question(item) == "Question: What is (are) foo ?\nAnswer:"
    assert MEDQUAD.answer(item) == "Foo is a sign. - One - Two"


def test_medquad_from_the_tree_its_zip_and_the_hub_copy_is_the_same(tmp_path):
    tree = write(tmp_path / "tree", TREE)
    packed = tmp_path / "packed" / "medquad"
    packed.mkdir(parents=True)
    with zipfile.ZipFile(packed / "MedQuAD.zip", "w") as archive:
        for name in reversed(TREE):
            archive.writestr(name.removeprefix("medquad/"), TREE[name])
    expected = everything(tree)
    assert expected == everything(Source(tmp_path / "packed"))
    assert expected == everything(Hub(ROWS))
    assert expected == everything(Hub(ROWS[::-1]))


def test_medquad_scores_test_takes_examples_from_dev_and_keeps_train_apart(tmp_path):
    files = {
        f"4_MPlus_Health_Topics_QA/{n:07}.xml": document(
            "MPlusHealthTopics", f"{n:07}", [(1, f"What is (are) ailment{n} ?", f"It is {n}.")]
        )
        for n in range(50)
    }
    source = write(tmp_path, files)  # right in the data folder
    found = MEDQUAD.load(source)
    assert (found.items, found.shots) == (load_split(source, "test"), load_split(source, "dev"))
    assert (len(load_split(source, "train")), len(found.shots), len(found.items)) == (40, 5, 5)
    assert len(by_id(source)) == 50
    assert found.origin == str(tmp_path)


def test_medquad_documents_that_share_an_answer_are_in_one_split(tmp_path):
    # Twenty pairs of documents; the two of a pair share one answer, put in other capitals.
    files = {}
    for n in range(40):
        shared = f"Answer {n // 2}." if n % 2 else f"ANSWER {n // 2}."
        pairs = [(1, f"Is ailment{n} inherited ?", shared), (2, f"What is ailment{n} ?", f"Number {n}.")]
        files[f"medquad/3_GHR_QA/{n:07}.xml"] = document("GHR", f"{n:07}", pairs)
    split_of = defaultdict(set)
    for split, items in everything(write(tmp_path, files)).items():
        for item in items:
            split_of[int(item.meta["document"][-7:]) // 2].add(split)
    assert len(split_of) == 20 and all(len(found) == 1 for found in split_of.values())
    assert set.union(*split_of.values()) == {"train", "dev", "test"}


def test_medquad_tells_what_it_skipped_and_that_it_is_not_the_whole_set(tmp_path):
    found = MEDQUAD.load(write(tmp_path, TREE))
    assert found.variant == "8 of 16,407 pairs"
    assert "1 of 9 pairs have no answer in the release: skipped." in found.notes
    assert any(note.startswith("2 pairs in 1 documents of an older schema") for note in found.notes)
    hub = MEDQUAD.load(Hub(ROWS))
    assert (hub.variant, hub.origin) == ("8 of 16,407 pairs", "hub:lavita/MedQuAD@1234")
    assert not any("older schema" in note for note in hub.notes)


def test_medquad_takes_a_pair_that_lies_there_twice_once(tmp_path):
    twice = TREE | {"medquad/copy/3_GHR_QA/0000002.xml": TREE["medquad/MedQuAD-master/3_GHR_QA/0000002.xml"]}
    found = write(tmp_path, twice)
    assert len(by_id(found)) == 8
    assert "1 pairs were found twice, word for word: each is taken once." in MEDQUAD.load(found).notes


def test_medquad_counts_test_questions_that_other_splits_ask_too(tmp_path):
    # 50 ailments, each asked about in two documents with other answers: a test question's twin is where chance put it.
    files = {
        f"medquad/{folder}/{n:07}.xml": document(source, f"{n:07}", [(1, question.format(n), f"{source} on {n}.")])
        for n in range(50)
        for source, folder, question in [
            ("GARD", "2_GARD_QA", "What is (are) Foo{}'s disease ?"),
            ("GHR", "3_GHR_QA", "what is Foo{} disease ?"),
        ]
    }
    source = write(tmp_path, files)
    ailments = {split: [item.id[-9:-2] for item in items] for split, items in everything(source).items()}
    in_train = sum(ailment in ailments["train"] for ailment in ailments["test"])
    in_dev = sum(ailment in ailments["dev"] for ailment in ailments["test"])
    assert in_train > 0
    note = MEDQUAD.load(source).notes[-1]
    assert note.startswith(
        f"{in_train} of the {len(ailments['test'])} test questions are near-duplicates of a train question "
        f"and {in_dev} of a dev question"
    )


GHR = "medquad/3_GHR_QA/0000002.xml"
WRONG_XML = {
    "not XML": ("<Document><QAPairs>", ["not well-formed XML", "line 1"]),
    "no pairs": ('<Document id="1" source="GHR"><Focus>f</Focus></Document>', ["<Document> contains no <QAPairs>"]),
    "unknown source": (document("NHS", "1", [(1, "q", "a")]), ["QAPair 1, field 'source'", "'NHS'", "CancerGov"]),
    "no source": (document("GHR", "1", [(1, "q", "a")]).replace(' source="GHR"', ""), ["field 'source'", "missing"]),
    "no qid": (
        document("GHR", "1", [(1, "q", "a"), (2, "q", "a")]).replace(' qid="1-2"', ""),
        ["QAPair 2, field 'qid'", "missing"],
    ),
    "odd qid": (document("GHR", "1", [("x", "q", "a")]), ["QAPair 1, field 'qid'", "'1-x'"]),
    "empty question": (document("GHR", "1", [(1, " ", "a")]), ["QAPair 1, field 'Question'"]),
    "no answer element": (
        document("GHR", "1", [(1, "q", None)]).replace("<Answer/>", ""),
        ["QAPair 1, field 'Answer'", "missing"],
    ),
}


@pytest.mark.parametrize(("text", "said"), WRONG_XML.values(), ids=WRONG_XML)
def test_medquad_malformed_xml_is_told_with_file_pair_and_field(tmp_path, text, said):
    with pytest.raises(DataMalformed) as caught:
        MEDQUAD.load(write(tmp_path, {GHR: text}))
    assert all(part in str(caught.value) for part in [str(tmp_path / GHR), *said])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"document_source": "NHS"}, ["row 2, field 'document_source'", "'NHS'"]),
        ({"question_id": None}, ["row 2, field 'question_id'"]),
        ({"question": None}, ["row 2, field 'question'"]),
        ({"answer": 3}, ["row 2, field 'answer'", "3"]),
    ],
)
def test_medquad_malformed_hub_row_is_told_with_row_and_field(change, said):
    with pytest.raises(DataMalformed) as caught:
        MEDQUAD.load(Hub([ROWS[0], ROWS[1] | change]))
    assert all(part in str(caught.value) for part in ["hub:lavita/MedQuAD@1234", *said])


def test_medquad_without_any_answer_is_refused(tmp_path):
    unanswered = document("ADAM", "0000001", [(1, "Do you have information about x", None)])
    with pytest.raises(DataMalformed, match="none of 1 question-answer pairs has an answer"):
        MEDQUAD.load(write(tmp_path, {"medquad/10_MPlus_ADAM_QA/0000001.xml": unanswered}))


def question(qid, subject, message, references, tag="ReferenceAnswer", paraphrase="p", summary="s"):
    listed = "".join(
        f'<{tag} aid="{qid}A{n}"><ANSWER>{escape(text)}</ANSWER><AnswerURL>u</AnswerURL><COMMENT>c</COMMENT></{tag}>'
        for n, text in enumerate(references, 1)
    )
    return (
        f'<NLM-QUESTION qid="{qid}"><Original-Question qfile="1.txt"><SUBJECT>{escape(subject)}</SUBJECT>'
        f"<MESSAGE>{escape(message)}</MESSAGE></Original-Question><NIST-PARAPHRASE>{paraphrase}</NIST-PARAPHRASE>"
        f"<NLM-Summary>{summary}</NLM-Summary><ANNOTATIONS><FOCUS>f</FOCUS><TYPE>CAUSE</TYPE><TYPE>DOSE</TYPE>"
        f"<TYPE>CAUSE</TYPE></ANNOTATIONS><ReferenceAnswers>{listed}</ReferenceAnswers></NLM-QUESTION>"
    )


def liveqa(folder, *questions):
    whole = f"<LiveQA2017-Medical-Test-Set-Full>{''.join(questions)}</LiveQA2017-Medical-Test-Set-Full>"
    return write(folder, {f"liveqa/{FILE}": whole})


def test_liveqa_asks_what_the_person_wrote_and_keeps_every_reference(tmp_path):
    found = LIVEQA.load(
        liveqa(
            tmp_path,
            question(
                "TQ1", " my foo\t", "\n\t\tIs it bad?\n  I worry & wait. ", ["It is\n not.", "No."], tag="RefAnswer"
            ),
            question("TQ2", "", "Is bar good?", ["Yes.", " Yes.\n", "", "Often."], paraphrase="", summary="Bar?"),
        )
    )
    first, second = found.items
    assert (first.id, first.question) == ("TQ1", "my foo\nIs it bad? I worry & wait.")
    assert first.references == ("It is not.", "No.")
    assert first.meta == {"paraphrase": "p", "summary": "s", "question_type": "CAUSE, DOSE"}
    assert LIVEQA.question(first) == "Question: my foo\nIs it bad? I worry & wait.\nAnswer:"
    assert second.question == "Is bar good?"  # the subject is empty
    assert second.references == ("Yes.", "Often.")  # one was there twice, one was empty
    assert second.meta["paraphrase"] == ""
    assert (found.shots, found.variant) == ((), "2 of 104 questions")
    assert found.origin == str(tmp_path / "liveqa" / FILE)


WRONG_LIVEQA = {
    "not XML": (["<NLM-QUESTION>"], ["not well-formed XML", "line 1"]),
    "no questions": ([], ["contains no <NLM-QUESTION>"]),
    "no qid": ([question("TQ1", "s", "m", ["a"]).replace(' qid="TQ1"', "")], ["NLM-QUESTION 1", "no qid"]),
    "qid twice": ([question("TQ1", "s", "m", ["a"])] * 2, ["NLM-QUESTION 2", "TQ1 occurs earlier"]),
    "nothing written": (
        [question("TQ1", "s", "m", ["a"]), question("TQ2", " ", "\n", ["a"])],
        ["NLM-QUESTION 2 (TQ2)", "SUBJECT and MESSAGE"],
    ),
    "no reference": ([question("TQ1", "s", "m", [" "])], ["NLM-QUESTION 1 (TQ1)", "no ReferenceAnswer has an ANSWER"]),
}


@pytest.mark.parametrize(("questions", "said"), WRONG_LIVEQA.values(), ids=WRONG_LIVEQA)
def test_liveqa_malformed_is_told_with_file_question_and_field(tmp_path, questions, said):
    with pytest.raises(DataMalformed) as caught:
        LIVEQA.load(liveqa(tmp_path, *questions))
    assert all(part in str(caught.value) for part in [str(tmp_path / "liveqa" / FILE), *said])


def test_liveqa_missing_says_where_the_release_is_found(tmp_path):
    for source, where in [(Source(tmp_path), str(tmp_path)), (Source(), "--data or MEDBENCH_DATA")]:
        with pytest.raises(DataMissing) as caught:
            LIVEQA.load(source)
        assert all(part in str(caught.value) for part in [FILE, where, "LiveQA_MedicalTask_TREC2017"])


def test_real_medquad_has_every_answered_pair_once_and_no_answer_in_two_splits(real_data):
    source = Source(real_data)
    found = MEDQUAD.load(source)
    splits = {"train": load_split(source, "train"), "dev": found.shots, "test": found.items}
    assert {split: len(items) for split, items in splits.items()} == {"train": 13_126, "dev": 1_638, "test": 1_643}
    assert found.variant == ""
    items = [item for split in splits.values() for item in split]
    assert len(items) == len({item.id for item in items}) == 16_407
    assert sum("~" in item.id for item in items) == 42
    assert Counter(item.meta["source"] for item in items) == {
        "CancerGov": 729,
        "GARD": 5_389,
        "GHR": 5_430,
        "MPlusHealthTopics": 981,
        "NIDDK": 1_192,
        "NINDS": 1_088,
        "NIHSeniorHealth": 769,
        "NHLBI": 559,
        "CDC": 270,
    }
    for key in (lambda item: normalise(item.references[0]), lambda item: item.meta["document"]):
        train, dev, test = ({key(item) for item in splits[split]} for split in ("train", "dev", "test"))
        assert not (train & dev or train & test or dev & test)
    assert found.notes == (
        "862 of 17,269 pairs have no answer in the release: skipped.",
        "16 pairs in 4 documents of an older schema (<qaPairs>) are skipped, as they are in the hub copy "
        "(47,441 of the 47,457 pairs).",
        "Split with documents that share an answer kept together (seed 0): train 13,126, dev 1,638, test 1,643 pairs; "
        "test is scored.",
        "267 of the 1,643 test questions are near-duplicates of a train question and 39 of a dev question (the same "
        "words but for order, plural, possessive and function words), with another answer.",
    )


@pytest.mark.slow
def test_real_medquad_as_hub_rows_is_the_same(real_data):
    """The hub copy's columns, read off the XML here by other means and in another order."""
    rows, folders = [], set()
    for file in Source(real_data).files("medquad", "*_QA*/*.xml"):
        for parent in ElementTree.fromstring(file.text()).iter():
            for pair in parent.findall("QAPairs/QAPair"):
                asked = pair.find("Question")
                identity, _, number = asked.get("qid").rpartition("-")
                answer, focus = pair.findtext("Answer"), parent.findtext("Focus")
                row = hub_row(parent.get("source"), identity, number, asked.text, answer, question_focus=focus)
                rows.append(row | {"question_type": asked.get("qtype")})
                folders.add((parent.get("source"), file.path.split("/")[-2]))
    assert folders == set(FOLDERS.items())  # source and folder are one to one
    hub, release = Hub(rows[::-1]), Source(real_data)
    assert everything(hub) == everything(release)


def test_real_liveqa_has_104_questions_and_their_references(real_data):
    found = LIVEQA.load(Source(real_data))
    assert [item.id for item in found.items] == [f"TQ{n}" for n in range(1, 105)]
    # 167 reference answers are written down; one question has the same one twice.
    assert Counter(len(item.references) for item in found.items) == {1: 55, 2: 39, 3: 8, 4: 1, 5: 1}
    assert sum(len(item.references) for item in found.items) == 166
    assert len(found.items[0].references) == 3  # the one that spells them RefAnswer
    assert sum(not item.meta["paraphrase"] for item in found.items) == 3
    assert all(item.meta["summary"] for item in found.items)
    assert sum("\n" in item.question for item in found.items) == 103  # one has no subject
    assert (found.shots, found.variant, found.notes) == ((), "", ())
