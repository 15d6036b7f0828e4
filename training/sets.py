"""The training sets: where each comes from, and how its rows become examples.

A set is read from the user's folder of official releases where that holds it, and from the hub otherwise. A question
is put as the benchmark of the same data puts it; sets without a benchmark are put as MedQuAD is. Every run of white
space in published texts becomes one space, as in MedQuAD. What a row's id is made of is in the row itself (a number of
its release, or a hash of its prompt and answer), so the same row has the same id wherever it was read.

A path ending in .jsonl stands for the user's own examples: objects with `question` and `answer`, and optionally `id`,
`prompt` and `document`.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from ..benchmarks import medical_reasoning, medquad, pubmedqa
from ..benchmarks.medical_reasoning import MEDICAL_REASONING
from ..benchmarks.medquad import MEDQUAD
from ..benchmarks.pubmedqa import PUBMEDQA
from ..benchmarks.sources.files import FETCH_AGAIN, Source, SourceFile
from ..benchmarks.sources.rows import Row, hub_rows, json_lines, json_rows, parquet_rows
from ..benchmarks.sources.splits import one_spaced
from ..core.errors import DataMalformed, UsageError
from ..core.suggest import did_you_mean
from ..core.types import Benchmark, Item, Prompt
from . import pairs
from .example import Example, Examples, TrainingSet

PIECE = 1 << 20  # characters of a large JSON file that are decoded at a time
LONGEST = 1 << 26  # characters of one member of it; more is no member


def get(name: str) -> TrainingSet:
    """The training set called `name`, or the user's own examples where `name` is the path of a .jsonl file.

    Raises UsageError for an unknown name, with the nearest ones, and for a file that does not exist.
    """
    if name.endswith(".jsonl"):
        path = Path(name).expanduser()
        if not path.is_file():
            raise UsageError(f"no such file: {name}", "Name an existing .jsonl file with rows of question and answer.")
        return TrainingSet(name, "your own examples", "", "", lambda source: _own(path))
    if name not in SETS:
        meant = did_you_mean(name, SETS, most=3)
        raise UsageError(
            f"no training set is called '{name}'.{meant}",
            "See them with `medbench list training-sets`, or name a .jsonl file.",
        )
    return SETS[name]


def question_prompt(question: str, instruction: str = "") -> str:
    """How an open question is put, by the benchmarks too: `Question: …`, a line that ends in `Answer:`."""
    return Prompt(MEDQUAD.question(Item(id="", question=question)), instruction).plain


def put(benchmark: Benchmark, item: Item) -> str:
    """The item as the benchmark asks it, without few-shot examples."""
    return Prompt(benchmark.question(item), benchmark.instruction(item)).plain


# --- sets that a benchmark shares -----------------------------------------------------------------------------------


def load_medquad(source: Source) -> Examples:
    """MedQuAD's train split; its dev split is set apart. The test split, which is scored, is never given."""
    scored = medquad.load(source)

    def example(item: Item) -> Example:
        return Example(
            id=f"medquad/{item.id}",
            question=item.question,
            answer=MEDQUAD.answer(item),
            prompt=put(MEDQUAD, item),
            document=item.meta["document"],
        )

    return Examples(
        train=tuple(example(item) for item in medquad.load_split(source, "train")),
        origin=scored.origin,
        dev=tuple(example(item) for item in scored.shots),
        notes=scored.notes,
    )


def load_medical_reasoning(source: Source) -> Examples:
    """The nine tenths of medical-reasoning that its benchmark does not score.

    An answer is learned in its published form, the analysis and then the option inside `<answer>` tags: what the
    system that trains on it learned, and a form that the reading of generated answers knows.
    """
    found = medical_reasoning.load(source)
    return Examples(
        train=tuple(
            Example(
                id=f"medical-reasoning/{item.id}",
                question=item.question,
                answer=reasoned(item),
                prompt=put(MEDICAL_REASONING, item),
            )
            for item in found.shots
        ),
        origin=found.origin,
        notes=(*found.notes, f"{len(found.items):,} questions that the benchmark scores are left out."),
    )


def reasoned(item: Item) -> str:
    """The answer to a medical-reasoning item as it is published; without an analysis where the row has none."""
    option = item.gold or 0
    answer = f"<answer>\n{item.labels[option]}: {item.options[option]}\n</answer>"
    return "\n".join([*(f"<analysis>\n{analysis}\n</analysis>" for analysis in item.references), answer])


def load_pubmedqa_artificial(source: Source) -> Examples:
    """PubMedQA's artificial part (PQA-A): yes or no, made from titles that state a finding. Never scored."""
    tally = _Tally()
    examples: dict[str, Example] = {}
    origins: dict[str, None] = {}
    for origin, pmid, row in _artificial_rows(source):
        origins[origin] = None
        tally.rows += 1
        question = _text(row, "QUESTION")
        contexts = row.value("CONTEXTS")
        if not question or not contexts or row.value("final_decision") is None:
            tally.empty += 1
            continue
        item = Item(
            id=pmid,
            question=question,
            context="\n".join(row.texts("CONTEXTS")),
            options=pubmedqa.DECISIONS,
            gold=row.one_of("final_decision", pubmedqa.DECISIONS),
        )
        if pmid in examples:
            tally.repeated += 1
        examples.setdefault(
            pmid, Example(f"pubmedqa-artificial/{pmid}", question, PUBMEDQA.answer(item), put(PUBMEDQA, item), pmid)
        )
    return tally.examples(examples, ", ".join(origins))


def _artificial_rows(source: Source) -> Iterator[tuple[str, str, Row]]:
    """(origin, PMID, row) under the names of the release. The set has 211,269 rows, so it is never held as a whole."""
    file = source.file("pubmedqa", "ori_pqaa.json")
    if file is not None:
        for number, (pmid, values) in enumerate(_members(file), start=1):
            where = f"{file.origin}, row {number} (PMID {pmid})"
            yield file.origin, pmid, Row(values if isinstance(values, dict) else {}, where)
        return
    for tenth in range(0, 100, 10):
        part = f"train[{tenth}%:{tenth + 10}%]"
        found = source.hub(pubmedqa.HUB, part, "pqa_artificial", needed="PubMedQA's ori_pqaa.json")
        for row in hub_rows(found):
            pmid, context = str(row.value("pubid")), row.value("context")
            values = {
                "QUESTION": row.value("question"),
                "CONTEXTS": context.get("contexts") if isinstance(context, dict) else context,
                "final_decision": row.value("final_decision"),
            }
            yield found.origin, pmid, Row(values, f"{row.where} of {part} (PMID {pmid})")


_KEY = re.compile(r'\s*[{,]\s*("(?:[^"\\]|\\.)*")\s*:\s*')
_END = re.compile(r"\s*(\{\s*)?\}\s*")


def _members(file: SourceFile) -> Iterator[tuple[str, object]]:
    """Keys and values of the one JSON object that a large file holds, as they are met."""
    decoder = json.JSONDecoder()
    text, key = "", ""
    for piece in file.pieces(PIECE):
        text, position = text + piece, 0
        while begun := _KEY.match(text, position):
            try:
                value, position = decoder.raw_decode(text, begun.end())
            except json.JSONDecodeError:  # mostly because the rest is in the next piece
                break
            except (ValueError, RecursionError) as error:  # thousands of digits, or nested thousands deep
                raise DataMalformed(
                    f"{file.origin}: not JSON in the value of {begun[1]}: {error}.", FETCH_AGAIN
                ) from error
            key = json.loads(begun[1])
            yield key, value
        text = text[position:]
        if len(text) > LONGEST:
            break
    if not _END.fullmatch(text):
        after = f" after '{key}'" if key else ""
        raise DataMalformed(f"{file.origin}: not one JSON object{after}.", FETCH_AGAIN)


# --- sets published as rows with a question and an answer -----------------------------------------------------------


@dataclass(frozen=True)
class _Table:
    """Where the rows of a set are, and in which columns."""

    folder: str  # of the data folder; a .json, .jsonl or .parquet file in a folder of this name is taken too
    files: tuple[str, ...]  # names of released files, the best one first
    question: str = "input"
    answer: str = "output"
    instruction: str = ""  # a column that opens the prompt, where it differs from row to row
    asked: str = "{question}"  # around the question's column
    config: str | None = None  # of the hub repository
    tail: str = ""  # a pattern that is no part of an answer and ends many


def _load_table(name: str, table: _Table, source: Source) -> Examples:
    rows, origin, notes = _rows(name, table, source)
    tally = _Tally()
    examples: dict[str, Example] = {}
    for row in rows:
        tally.rows += 1
        asked, answer = _text(row, table.question), _text(row, table.answer)
        if table.tail:
            answer = re.sub(table.tail, "", answer)
        if not asked or not answer:
            tally.empty += 1
            continue
        question = table.asked.format(question=asked)
        prompt = question_prompt(question, _text(row, table.instruction) if table.instruction else "")
        example = Example(f"{name}/{_hash(prompt, answer)}", question, answer, prompt)
        if example.id in examples:
            tally.repeated += 1
        examples.setdefault(example.id, example)
    return tally.examples(examples, origin, notes)


def _rows(name: str, table: _Table, source: Source) -> tuple[Iterable[Row], str, tuple[str, ...]]:
    kinds = ("parquet", "jsonl", "json")
    for pattern in (*table.files, *(f"{table.folder}/*.{kind}" for kind in kinds)):
        files = [file for file in source.files(table.folder, pattern) if not _is_card(file)]
        if files:
            rows = (row for file in files for row in _rows_of(file))
            return rows, ", ".join(file.origin for file in files), tuple(filter(None, map(_caveat, files)))
    found = source.hub(SETS[name].hub, "train", table.config, needed=f"{table.files[0]} (training set {name})")
    return hub_rows(found), found.origin, ()


def _rows_of(file: SourceFile) -> Iterable[Row]:
    if file.path.endswith(".parquet"):
        return parquet_rows(file)
    return json_lines(file) if file.path.endswith(".jsonl") else json_rows(file)


def _is_card(file: SourceFile) -> bool:
    return file.path.endswith(("dataset_info.json", "dataset_infos.json"))


def _caveat(file: SourceFile) -> str:
    """What the name of a set does not say of one of its files."""
    if re.search(r"chatdoctor5k[^/]*$", file.path):
        return (
            "chatdoctor5k.json holds the dialogues that ChatGPT wrote for ChatDoctor (GenMedGPT-5k), not those of "
            "HealthCareMagic, which the hub copy holds."
        )
    return ""


def _text(row: Row, field: str) -> str:
    """A text with single spaces, empty where the row has none there. Raises DataMalformed for what is no text."""
    return "" if row.value(field) is None else one_spaced(row.text(field, blank=True))


def _hash(prompt: str, answer: str) -> str:
    return hashlib.sha256(f"{prompt}\n{answer}".encode()).hexdigest()[:16]


@dataclass
class _Tally:
    """Rows read, and those that gave no example."""

    rows: int = 0
    empty: int = 0
    repeated: int = 0

    def examples(self, found: Mapping[str, Example], origin: str, notes: tuple[str, ...] = ()) -> Examples:
        """What was found, with a note of what was not. Raises DataMalformed where nothing was."""
        if not found:
            raise DataMalformed(f"{origin}: none of {self.rows:,} rows has a question and an answer.", FETCH_AGAIN)
        empty = f"{self.empty:,} of {self.rows:,} rows without a question or an answer are skipped."
        repeated = f"{self.repeated:,} of {self.rows:,} rows repeat another and are taken once."
        told = (*notes, *((empty,) if self.empty else ()), *((repeated,) if self.repeated else ()))
        return Examples(tuple(found.values()), origin, notes=told)


# --- pairs of our own, and the user's -------------------------------------------------------------------------------


def load_medical_questions(source: Source) -> Examples:
    """13 pairs that ship with medbench; `source` is not needed. The prompt is the bare question."""
    file = "medical_questions.jsonl"
    rows = map(json.loads, (resources.files(pairs) / file).read_text(encoding="utf-8").splitlines())
    return Examples(
        train=tuple(
            Example(f"medical-questions/{row['id']}", row["question"], row["answer"], row["question"]) for row in rows
        ),
        origin=f"the medbench package, training/pairs/{file}",
    )


def _own(path: Path) -> Examples:
    """The user's examples. Every row needs a question and an answer: one without is a mistake, not a gap."""
    try:
        return _own_rows(path)
    except DataMalformed as error:
        row = 'Correct the file: a row is {"question": "…", "answer": "…"}.'
        raise DataMalformed(
            error.message, "\n".join(filter(None, [error.hint.removesuffix(FETCH_AGAIN).strip(), row]))
        ) from error


def _own_rows(path: Path) -> Examples:
    tally = _Tally()
    examples: dict[str, Example] = {}
    for row in json_lines(SourceFile(str(path), path)):
        tally.rows += 1
        question, answer = row.text("question").strip(), row.text("answer").strip()
        prompt = row.text("prompt") if row.values.get("prompt") is not None else question_prompt(question)
        document = row.text("document", blank=True) if row.values.get("document") is not None else ""
        named = row.values.get("id")
        if named is not None and (isinstance(named, bool) or not isinstance(named, int | str) or named == ""):
            raise row.wrong("id", f"a text or a whole number is expected, not {named!r}")
        example = Example(
            id=f"{path.stem}/{_hash(prompt, answer) if named is None else named}",
            question=question,
            answer=answer,
            prompt=prompt,
            document=f"{path.stem}/{document}" if document else "",
        )
        if example.id in examples:
            if named is not None:
                raise row.wrong("id", f"'{named}' is in an earlier row too")
            tally.repeated += 1
        examples.setdefault(example.id, example)
    return tally.examples(examples, str(path))


# --- all of them ----------------------------------------------------------------------------------------------------


def _table(name: str, summary: str, licence: str, hub: str, table: _Table) -> TrainingSet:
    return TrainingSet(name, summary, licence, hub, functools.partial(_load_table, name, table))


def _by_name(*sets: TrainingSet) -> Mapping[str, TrainingSet]:
    return {training_set.name: training_set for training_set in sets}


SETS: Mapping[str, TrainingSet] = _by_name(
    TrainingSet(
        name="medquad",
        summary="MedQuAD's train split: consumer health questions with the answers of NIH web sites",
        licence=MEDQUAD.licence,
        hub=medquad.HUB,
        load=load_medquad,
    ),
    TrainingSet(
        name="pubmedqa-artificial",
        summary="PubMedQA PQA-A: 211,269 abstracts with a generated question, answered yes or no",
        licence=PUBMEDQA.licence,
        hub=pubmedqa.HUB,
        load=load_pubmedqa_artificial,
    ),
    TrainingSet(
        name="medical-reasoning",
        summary="exam vignettes with an analysis and an option; the nine tenths that are not scored",
        licence=MEDICAL_REASONING.licence,
        hub=medical_reasoning.HUB,
        load=load_medical_reasoning,
    ),
    _table(
        "healthcaremagic",
        "patients' questions with doctors' answers, from HealthCareMagic (ChatDoctor)",
        "Apache-2.0 (ChatDoctor's release; the hub copy declares none)",
        "lavita/ChatDoctor-HealthCareMagic-100k",
        _Table("chatdoctor", ("HealthCareMagic*.json", "HealthCareMagic*.jsonl", "chatdoctor*.json")),
    ),
    _table(
        "wikidoc",
        "patient information of WikiDoc as questions and answers",
        "CC BY-SA",
        "medalpaca/medical_meadow_wikidoc_patient_information",
        _Table("wikidoc", ("medical_meadow_wikidoc_patient_info*.json", "medical_meadow_small.json")),
    ),
    _table(
        "flashcards",
        "medical students' flashcards, rephrased as questions and answers",
        "CC (its publisher does not say which)",
        "medalpaca/medical_meadow_medical_flashcards",
        _Table(
            "flashcards",
            ("medical_meadow_wikidoc_medical_flashcards.json", "medical_meadow_medical_flashcards.json"),
        ),
    ),
    _table(
        "medical-qa",
        "many medical question sets in one; holds questions of MMLU: check it for leaks",
        "none declared by its publisher; that of each source",
        "lavita/medical-qa-datasets",
        _Table("medical-qa", ("all-processed/*.parquet",), instruction="instruction", config="all-processed"),
    ),
    _table(
        "medical-chatbot",
        "256,916 questions of patients on the web with doctors' answers",
        "none declared by its publisher",
        "ruslanmv/ai-medical-chatbot",
        # Doctors' answers end in a link, of which the arrow is left.
        _Table("medical-chatbot", ("dialogues.parquet",), "Patient", "Doctor", tail=r"\s*-->\s*$"),
    ),
    _table(
        "wiki-terms",
        "medical terms, each with its Wikipedia article",
        "GPL-3.0 as its publisher declares; Wikipedia's text is CC BY-SA",
        "gamino/wiki_medical_terms",
        _Table("wiki-terms", ("wiki_medical_terms.parquet",), "page_title", "page_text", asked="What is {question}?"),
    ),
    TrainingSet(
        name="medical-questions",
        summary="13 everyday questions with short answers, for a Flan-T5 that learns few",
        licence="MIT",
        hub="",
        load=load_medical_questions,
    ),
)
