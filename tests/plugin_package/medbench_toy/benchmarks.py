"""Two little benchmarks: easy questions about the body with four options, and open ones about first aid."""

from __future__ import annotations

from medbench.benchmarks.sources.files import Source
from medbench.core.types import Benchmark, Item, ItemSet

LETTERS = ("A", "B", "C", "D")
# subject, question, four options, the right one
CHOICES = (
    ("anatomy", "Which organ pumps blood?", "liver", "heart", "spleen", "lung", "B"),
    ("anatomy", "How many kidneys do most people have?", "one", "three", "two", "four", "C"),
    ("anatomy", "Which bone is in the thigh?", "femur", "ulna", "tibia", "radius", "A"),
    ("anatomy", "Where is the cornea?", "ear", "nose", "knee", "eye", "D"),
    ("anatomy", "Which organ makes bile?", "kidney", "heart", "liver", "brain", "C"),
    ("anatomy", "What joins a muscle to a bone?", "tendon", "nerve", "vein", "alveolus", "A"),
    ("physiology", "Which gas do red blood cells carry to the tissues?", "helium", "oxygen", "neon", "argon", "B"),
    ("physiology", "Which hormone lowers blood glucose?", "glucagon", "cortisol", "adrenaline", "insulin", "D"),
    ("physiology", "What is a usual body temperature in °C?", "37", "27", "47", "17", "A"),
    ("physiology", "Which cells form clots?", "neurons", "myocytes", "platelets", "osteocytes", "C"),
    ("physiology", "Which vitamin does skin make in sunlight?", "C", "D", "K", "B12", "B"),
    ("physiology", "What does the colon mostly take back?", "fat", "iron", "protein", "water", "D"),
)
EXAMPLES = (
    ("anatomy", "Which organ is in the skull?", "brain", "liver", "colon", "spleen", "A"),
    ("physiology", "What does the stomach secrete?", "bile", "tears", "acid", "sweat", "C"),
)
# document, question, references
OPEN = (
    ("burns", "What cools a small burn?", ("cool running water",)),
    ("burns", "How long should a small burn be cooled?", ("twenty minutes", "20 minutes under running water")),
    ("bleeding", "What stops a nosebleed?", ("lean forward and pinch the soft part of the nose",)),
    ("bleeding", "What is done first for a bleeding cut?", ("press on the wound with a clean cloth",)),
    ("fainting", "How should someone who feels faint lie?", ("flat, with the legs raised",)),
    ("choking", "What should someone who chokes but can speak do?", ("keep coughing",)),
)


def load(source: Source) -> ItemSet:
    """Twelve items in two subjects; the examples are never scored. The items are in this file: no data is needed."""
    return ItemSet(
        items=tuple(_item(f"toy-{number:02}", *row) for number, row in enumerate(CHOICES, start=1)),
        origin="the medbench-toy package",
        shots=tuple(_item(f"example-{number}", *row) for number, row in enumerate(EXAMPLES, start=1)),
        notes=("every item was made up for medbench-toy",),
    )


def load_open(source: Source) -> ItemSet:
    """Six items, two pairs of which share a document."""
    items = (
        Item(f"open-{number}", question, references=references, meta={"document": document})
        for number, (document, question, references) in enumerate(OPEN, start=1)
    )
    return ItemSet(items=tuple(items), origin="the medbench-toy package")


def _item(item_id: str, subject: str, question: str, a: str, b: str, c: str, d: str, gold: str) -> Item:
    return Item(
        id=item_id,
        question=question,
        options=(a, b, c, d),
        labels=LETTERS,
        gold=LETTERS.index(gold),
        meta={"subject": subject},
    )


def question(item: Item) -> str:
    options = "".join(f"{label}. {option}\n" for label, option in zip(item.labels, item.options))
    return f"Question: {item.question}\n{options}Answer:"


TOY = Benchmark(
    name="toy",
    version="1",
    summary="Easy questions about the body with four options (made up, 12 items)",
    citation="medbench-toy, written for medbench's tests",
    licence="MIT",
    load=load,
    question=question,
    metrics=("accuracy",),
)

TOY_OPEN = Benchmark(
    name="toy-open",
    version="1",
    summary="Questions about first aid (made up, 6 items, open answers)",
    citation="medbench-toy, written for medbench's tests",
    licence="MIT",
    load=load_open,
    question=question,
    metrics=("toy_length",),
)
