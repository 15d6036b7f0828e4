"""Training sets that share their data with a benchmark: MedQuAD, medical-reasoning, PubMedQA."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from ..benchmarks import medical_reasoning, medquad, pubmedqa
from ..benchmarks.medical_reasoning import MEDICAL_REASONING
from ..benchmarks.medquad import MEDQUAD
from ..benchmarks.pubmedqa import PUBMEDQA
from ..benchmarks.sources.files import FETCH_AGAIN, Source, SourceFile
from ..benchmarks.sources.rows import Row, hub_rows
from ..core.errors import DataMalformed
from ..core.types import Item
from .example import Example, Examples
from .from_rows import Tally, benchmark_prompt, text

PIECE = 1 << 20  # characters of a large JSON file that are decoded at a time
LONGEST = 1 << 26  # characters; a longer member of that file is damage


def load_medquad(source: Source) -> Examples:
    """Load MedQuAD's train split, with its dev split held out. The scored test split is never returned."""
    scored = medquad.load(source)

    def example(item: Item) -> Example:
        return Example(
            id=f"medquad/{item.id}",
            question=item.question,
            answer=MEDQUAD.answer(item),
            prompt=benchmark_prompt(MEDQUAD, item),
            document=item.meta["document"],
        )

    return Examples(
        train=tuple(example(item) for item in medquad.load_split(source, "train")),
        origin=scored.origin,
        dev=tuple(example(item) for item in scored.shots),
        notes=scored.notes,
    )


def load_medical_reasoning(source: Source) -> Examples:
    """Load the nine tenths of medical-reasoning that its benchmark does not score.

    The model learns the published form of an answer: the analysis, then the option inside `<answer>` tags. The parser
    of generated answers reads that form.
    """
    found = medical_reasoning.load(source)
    return Examples(
        train=tuple(
            Example(
                id=f"medical-reasoning/{item.id}",
                question=item.question,
                answer=reasoned(item),
                prompt=benchmark_prompt(MEDICAL_REASONING, item),
            )
            for item in found.shots
        ),
        origin=found.origin,
        notes=(*found.notes, f"{len(found.items):,} questions that the benchmark scores are not used for training."),
    )


def reasoned(item: Item) -> str:
    """Return the published answer to a medical-reasoning item, with the analysis if the row has one."""
    option = item.gold or 0
    answer = f"<answer>\n{item.labels[option]}: {item.options[option]}\n</answer>"
    return "\n".join([*(f"<analysis>\n{analysis}\n</analysis>" for analysis in item.references), answer])


def load_pubmedqa_artificial(source: Source) -> Examples:
    """Load PubMedQA's artificial part (PQA-A): yes/no questions made from titles. It is never scored."""
    tally = Tally()
    examples: dict[str, Example] = {}
    origins: dict[str, None] = {}
    for origin, pmid, row in _artificial_rows(source):
        origins[origin] = None
        tally.rows += 1
        question = text(row, "QUESTION")
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
            pmid,
            Example(
                f"pubmedqa-artificial/{pmid}", question, PUBMEDQA.answer(item), benchmark_prompt(PUBMEDQA, item), pmid
            ),
        )
    return tally.examples(examples, ", ".join(origins))


def _artificial_rows(source: Source) -> Iterator[tuple[str, str, Row]]:
    """Yield origin, PMID and row, with the release's field names. The 211,269 rows are never in memory at once."""
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
    """Yield the keys and values of the one JSON object in a large file, one by one."""
    decoder = json.JSONDecoder()
    text, key = "", ""
    for piece in file.pieces(PIECE):
        text, position = text + piece, 0
        while begun := _KEY.match(text, position):
            try:
                value, position = decoder.raw_decode(text, begun.end())
            except json.JSONDecodeError:  # usually because the rest is in the next piece
                break
            except (ValueError, RecursionError) as error:  # thousands of digits or nested levels
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
