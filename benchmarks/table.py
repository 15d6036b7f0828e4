"""A benchmark without code: a table of questions (CSV, JSON lines, Parquet, Excel) whose columns have names.

`columns`, a TOML file of the same name beside the table, or the name of a column itself ("question", "Options",
"correct answer") says what the column contains. Questions with options are multiple choice; the others are open.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core import registry, suggest
from ..core.errors import MedbenchError, UsageError
from ..core.suggest import did_you_mean, nearest
from ..core.types import Benchmark, Item, ItemSet
from .letters import LETTERS, METRICS, listed
from .protocols import CHOICE, OPEN
from .sources.files import SourceFile, own_file
from .sources.rows import Row, headed_rows, json_lines, json_rows, parquet_rows, sheet_rows
from .table_settings import read_settings

READERS: Mapping[str, Callable[[SourceFile], Iterator[Row]]] = {
    ".csv": headed_rows,
    ".json": json_rows,
    ".jsonl": json_lines,
    ".parquet": parquet_rows,
    ".xlsx": sheet_rows,
}
CORRECT = "Correct the table. docs/your-questions.md lists what each column may hold."
OPEN_METRICS = ("rouge1", "rouge2", "rougeL", "token_f1", "exact_match")
# Names that a column may have without being mapped, in lower case and without punctuation.
KNOWN_AS: Mapping[str, tuple[str, ...]] = {
    "question": ("question", "query", "prompt", "stem", "vignette", "case"),
    "options": ("options", "choices", "answerchoices"),
    "answer": (
        "answer",
        "answeridx",
        "answerkey",
        "key",
        "correct",
        "correctanswer",
        "correctoption",
        "gold",
        "label",
        "target",
        "cop",
    ),
    "id": ("id", "itemid", "questionid", "qid"),
    "subject": ("subject", "topic", "category", "specialty"),
    "context": ("context", "passage", "abstract"),
    "references": ("references", "reference", "referenceanswer", "idealanswer"),
    "document": ("document", "documentid"),
}
_OPTION = re.compile(r"(?:option|choice|op|answer)?([a-z])", re.I)
_NUMBERED_OPTION = re.compile(r"(?:option|choice|op|ending)(\d+)", re.I)


def is_table(name: str) -> bool:
    """Return whether a benchmark's name is the path of a table."""
    return Path(name).suffix.lower() in READERS


@dataclass(frozen=True)
class Layout:
    """Which column holds what, and what else the TOML file says."""

    columns: Mapping[str, str | tuple[str, ...]]  # by field; `options` may have one column per option
    name: str
    instruction: str = ""
    metrics: tuple[str, ...] = ()
    max_new_tokens: int = 256
    answers_from: int | None = None  # the number of the first option, if answers are numbers
    guessed: Mapping[str, str] = field(default_factory=dict)  # fields that were recognized by a column's name


def named_benchmark(name: str, columns: Mapping[str, str]) -> Benchmark:
    """Return the benchmark that is installed under a name, or that of a table or .py file at this path.

    Raises UsageError for a file that does not exist, with the nearest one beside it, or that is neither.
    """
    path = Path(name)
    installed = name in registry.points("benchmarks") or not (path.suffix or path.name != name)
    if path.is_file() and is_table(name):
        return table_benchmark(path, columns)
    if installed or (path.is_file() and path.suffix == ".py"):
        found: Benchmark = registry.get("benchmarks", name)
        return found
    kinds = f"A benchmark is a name (medbench list benchmarks), a table ({', '.join(READERS)}) or a .py file."
    if path.exists():
        raise UsageError(f"{name} is neither a table of questions nor a benchmark file.", kinds)
    raise UsageError(f"no such file: {name}.{_near(path) or did_you_mean(name, registry.names('benchmarks'))}", kinds)


def _near(path: Path) -> str:
    """Return " Did you mean FILE?" with the table or .py file in its folder whose name is nearest; "" without one."""
    try:
        beside = [each.name for each in path.parent.iterdir() if is_table(each.name) or each.suffix == ".py"]
    except (OSError, ValueError):
        return ""
    return suggest.question([str(path.parent / name) for name in nearest(path.name, beside, most=1)])


def table_benchmark(path: str | Path, columns: Mapping[str, str] | None = None) -> Benchmark:
    """Return the benchmark that a table holds.

    columns: by field (question, options, answer, references, id, subject, context, document), the name of the column;
    for `options` also one column per option, separated by "|". It takes precedence over the TOML file.

    Raises UsageError if a column cannot be found. Its `load` raises DataMalformed naming the row and column of a value
    that cannot be used.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"no such file: {path}", f"A table of questions is one of: {', '.join(READERS)}.")
    with own_file(CORRECT):
        names = dict.fromkeys(str(name) for row in _rows(path) for name in row.values)
    if not names:
        raise UsageError(
            f"{path} {'has no rows' if path.stat().st_size else 'is empty'}.",
            "Add a question: a row below the column names, or a JSON object. docs/your-questions.md has examples.",
        )
    layout = _layout(path, tuple(names), columns or {})
    if layout.name in registry.points("benchmarks"):
        owners = " and ".join(registry.owner(point) for point in registry.points("benchmarks")[layout.name])
        raise MedbenchError(
            f"{path}: {owners} has a benchmark called '{layout.name}'.",
            f'Rename the table, or name it in {path.with_suffix(".toml").name}: name = "my-{layout.name}"',
        )
    choice = "options" in layout.columns

    def load(source: Any) -> ItemSet:
        with own_file(CORRECT):
            items = _items(path, layout)
        said = ", ".join(f"{name} from '{column}'" for name, column in layout.guessed.items())
        notes = (f"Recognized by the columns' names: {said}.",) if said else ()
        return ItemSet(items, str(path.resolve()), notes=notes)

    def question(item: Item) -> str:
        context = f"{item.context}\n\n" if item.context else ""
        options = f"\n{listed(item)}" if item.options else ""
        return f"{context}Question: {item.question}{options}\nAnswer:"

    return Benchmark(
        name=layout.name,
        version="1",
        summary=f"Questions of {path.name}",
        citation="",
        licence="",
        load=load,
        question=question,
        instruction=lambda item: layout.instruction,
        metrics=layout.metrics or (METRICS if choice else OPEN_METRICS),
        protocols=CHOICE if choice else OPEN,
        max_new_tokens=layout.max_new_tokens,
    )


def _rows(path: Path) -> Iterator[Row]:
    return READERS[path.suffix.lower()](SourceFile(path.name, path))


def _layout(path: Path, names: Sequence[str], given: Mapping[str, str]) -> Layout:
    settings = read_settings(path.with_suffix(".toml"))
    mapped: dict[str, str | tuple[str, ...]] = {}
    for name, column in {**settings.pop("columns", {}), **given}.items():
        if name not in KNOWN_AS:
            meant = did_you_mean(name, KNOWN_AS)
            raise UsageError(
                f"columns: '{name}' is not a field of a question.{meant}", f"Fields: {', '.join(KNOWN_AS)}."
            )
        parts = column.split("|") if isinstance(column, str) and name == "options" else column
        several = isinstance(parts, list) and (name == "options") and len(parts) > 1
        mapped[name] = tuple(parts) if several else parts[0] if isinstance(parts, list) else parts
    guessed = {name: column for name, column in _guesses(names).items() if name not in mapped}
    if "options" in mapped or "options" in guessed:
        guessed.pop("references", None)
    elif "answer" in guessed and "references" not in mapped and "references" not in guessed:
        guessed["references"] = guessed.pop("answer")  # the answer to an open question
    if "options" not in mapped and "options" not in guessed:
        guessed.pop("answer", None)
    columns = {**guessed, **mapped}
    _check(path, names, columns)
    shown = {name: column if isinstance(column, str) else ", ".join(column) for name, column in guessed.items()}
    return Layout(columns, settings.pop("name", path.stem), **settings, guessed=shown)


def _guesses(names: Sequence[str]) -> dict[str, str | tuple[str, ...]]:
    """Return the fields that the names of the columns tell."""
    plain = {re.sub(r"[^a-z0-9]", "", name.lower()): name for name in reversed(names)}
    found: dict[str, str | tuple[str, ...]] = {}
    for name, known in KNOWN_AS.items():
        column = next((plain[each] for each in known if each in plain), None)
        if column is not None:
            found[name] = column
    if "options" not in found:
        lettered = {match[1].upper(): column for each, column in plain.items() if (match := _OPTION.fullmatch(each))}
        numbered = {
            int(match[1]): column for each, column in plain.items() if (match := _NUMBERED_OPTION.fullmatch(each))
        }
        run = [lettered[letter] for letter in LETTERS[: _run(lettered, LETTERS)]]
        start = min(numbered, default=0)
        counted = [numbered[at] for at in range(start, start + len(numbered)) if at in numbered]
        if len(columns := run if len(run) > 1 else counted) > 1:
            found["options"] = tuple(columns)
    return found


def _run(found: Mapping[str, str], letters: Sequence[str]) -> int:
    return next((at for at, letter in enumerate(letters) if letter not in found), len(letters))


def _check(path: Path, names: Sequence[str], columns: Mapping[str, str | tuple[str, ...]]) -> None:
    have = ", ".join(names)
    for name, column in columns.items():
        for each in (column,) if isinstance(column, str) else column:
            if each not in names:
                raise UsageError(
                    f"{path} has no column '{each}' for {name}.{did_you_mean(each, list(names))}",
                    f"Columns: {have}",
                )
    lacks = [name for name in ("question",) if name not in columns]
    if "options" in columns and "answer" not in columns:
        lacks.append("answer")
    if "options" not in columns and "references" not in columns:
        lacks.append("answer (with options) or references (of open questions)")
    if lacks:
        raise UsageError(
            f"{path}: no column is recognized as {' or '.join(lacks)}.",
            f"Name it: --columns {lacks[0].split()[0]}=COLUMN. Columns: {have}",
        )


def _items(path: Path, layout: Layout) -> tuple[Item, ...]:
    rows = list(_rows(path))
    choice = "options" in layout.columns
    first = _first_option(rows, layout) if choice else 0
    letters = choice and all(_letter(str(row.values.get(str(layout.columns["answer"]), ""))) for row in rows)
    items: dict[str, Item] = {}
    for number, row in enumerate(rows, start=1):
        item = _item(row, str(number), layout, first, letters)
        if item.id in items:
            raise row.wrong(str(layout.columns["id"]), f"the id '{item.id}' is in an earlier row too")
        items[item.id] = item
    return tuple(items.values())


def _item(row: Row, number: str, layout: Layout, first: int, letters: bool) -> Item:
    columns = layout.columns

    def text(name: str, default: str = "") -> str:
        column = columns.get(name)
        if column is None or not str(row.values.get(str(column)) or "").strip():
            return default
        return row.words(str(column))

    options = _options(row, columns["options"]) if "options" in columns else ()
    about = {name: text(name) for name in ("subject", "document")}
    return Item(
        id=text("id", number),
        question=row.words(str(columns["question"])),
        context=text("context"),
        options=options,
        labels=LETTERS[: len(options)],
        gold=_gold(row, layout, options, first, letters) if options else None,
        references=() if options else _several(row, str(columns["references"])),
        meta={name: value for name, value in about.items() if value},
    )


def _options(row: Row, column: str | tuple[str, ...]) -> tuple[str, ...]:
    if isinstance(column, tuple):
        where = column[0]
        cells = [_cell(row.values.get(each)) for each in column]
    else:
        where = column
        value = _unpacked(row, column)
        if isinstance(value, Mapping):
            value = list(value.values())
        cells = [_cell(each) for each in value] if isinstance(value, list | tuple) else [_cell(value)]
        if len(cells) == 1:  # "rest | fluids | surgery"
            cells = [option.strip() for option in cells[0].split("|")]
    while cells and not cells[-1]:  # questions may have fewer options than there are places for them
        cells.pop()
    if not all(cells):
        empty = column[cells.index("")] if isinstance(column, tuple) else column
        raise row.wrong(
            empty,
            "it is empty, and a later option is not"
            if isinstance(column, tuple)
            else f"option {cells.index('') + 1} is empty, and a later one is not",
        )
    if not 2 <= len(cells) <= len(LETTERS):
        raise row.wrong(where, f"2 to {len(LETTERS)} options are expected, not {len(cells)}")
    return tuple(cells)


def _several(row: Row, column: str) -> tuple[str, ...]:
    """Return the texts of one cell: of a list or an object, also in JSON's or Python's notation, or one text."""
    value = _unpacked(row, column)
    if isinstance(value, Mapping):
        value = list(value.values())
    if not isinstance(value, list | tuple):
        value = [value]
    texts = tuple(str(each).strip() for each in value if each is not None and str(each).strip())
    if not texts:
        raise row.wrong(column, "it is empty")
    return texts


def _unpacked(row: Row, column: str) -> Any:
    value = row.value(column)
    return _parsed(value) if isinstance(value, str) else value


def _cell(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _parsed(text: str) -> Any:
    text = text.strip()
    if text[:1] not in ("[", "{"):
        return text
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(value, list | dict):
            return value
    return text


def _letter(written: str) -> str:
    letter = written.strip("().: ").upper()
    return letter if letter in LETTERS else ""


def _gold(row: Row, layout: Layout, options: Sequence[str], first: int, letters: bool) -> int:
    """Return the index of the right option, given by its letter, its text, its number or its key in an object.

    An answer that is the letter of one option and the text of another ("B", of blood groups) is the letter if the
    answers of all rows are letters (`letters`), and else the text.
    """
    column = str(layout.columns["answer"])
    written = row.words(column)
    same = [at for at, option in enumerate(options) if option.casefold() == written.casefold()]
    keys = _keys(row, layout.columns["options"])
    letter = _letter(written)
    if (key := letter if letter in keys else written.upper()) in keys:
        return keys.index(key)
    lettered = any(key in LETTERS for key in keys)
    if letter in LETTERS[: len(options)] and not lettered and (letters or not same):
        return LETTERS.index(letter)
    if len(same) > 1:
        raise row.wrong(column, f"{len(same)} options have the text '{written}'; name one by its letter")
    if same:
        return same[0]
    number = re.fullmatch(r"(\d+)(?:\.0)?", written)
    if number and 0 <= int(number[1]) - first < len(options):
        return int(number[1]) - first
    raise row.wrong(column, f"'{written}' is not the letter, the text or the number of one of {len(options)} options")


def _keys(row: Row, column: str | tuple[str, ...]) -> list[str]:
    """Return the names of the options that are in an object, such as {"A": "rest"}."""
    value = _unpacked(row, column) if isinstance(column, str) else None
    return [str(key).strip().upper() for key in value] if isinstance(value, Mapping) else []


def _first_option(rows: Iterable[Row], layout: Layout) -> int:
    """Return the number of the first option: as the TOML file says, or as the numbers in the table show.

    Raises UsageError if they show neither: numbers from 1 to 3 of four options may count from 0 or from 1.
    """
    if layout.answers_from is not None:
        return layout.answers_from
    column = str(layout.columns["answer"])
    numbers: list[tuple[int, int]] = []
    for row in rows:
        written = str(row.values.get(column, "")).strip().removesuffix(".0")
        options = _options(row, layout.columns["options"])
        if written.isdigit() and written not in options:
            numbers.append((int(written), len(options)))
    if not numbers or any(number == count for number, count in numbers):
        return 1
    if any(number == 0 for number, _ in numbers):
        return 0
    raise UsageError(
        f"the answers in '{column}' are numbers that may count from 0 or from 1.",
        "Say so in a TOML file with the table's name: answers_from = 1",
    )
