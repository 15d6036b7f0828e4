"""The layout of an answer does not change its entities: the same words score the same in a list or in capitals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from medbench.core.types import Item, Output, Record
from medbench.metrics.entities import mentions
from medbench.metrics.entities.layout import prose
from medbench.metrics.entities.scores import HALLUCINATED, RECALL, compare

ENTITIES = (
    "fever", "cough", "nausea", "vomiting", "headache", "chest pain", "shortness of breath", "high blood pressure",
    "type 2 diabetes", "hepatitis B", "COPD", "Parkinson's disease", "rheumatoid arthritis", "seizures", "anemia",
    "kidney stones", "ibuprofen", "warfarin", "vitamin D", "jaundice", "glaucoma", "psoriasis", "asthma", "migraine",
)  # fmt: skip
LEAD = "It is linked to"


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def lines(template: str, join: str = "\n", change: Callable[[str], str] = str) -> Callable[[Sequence[str]], str]:
    """Return a layout: a lead, and one line per entity."""
    return lambda names: (
        f"{LEAD}:\n\n" + join.join(template.format(change(name), number=number) for number, name in enumerate(names, 1))
    )


def sentence(names: Sequence[str], mark: str = "{}") -> str:
    marked = [mark.format(name) for name in names]
    return f"{LEAD} {', '.join(marked[:-1])} and {marked[-1]}."


LAYOUTS: dict[str, Callable[[Sequence[str]], str]] = {
    "bullets": lines("- {}"),
    "capitalized bullets": lines("* {}", change=capital),
    "title case": lines("• {}", change=lambda name: " ".join(map(capital, name.split()))),
    "numbered": lines("{number}. {}", change=capital),
    "brackets": lines("{number}) {}"),
    "nested": lambda names: f"- {LEAD}:\n" + "\n".join(f"    - {name}" for name in names),
    "check boxes": lines("- [x] {}", join="\r\n"),
    "emoji": lines("✅ {}", change=capital),
    "lines alone": lines("{}", change=capital),
    "bold terms": lines("- **{}**: often", change=capital),
    "table": lambda names: "| Finding | Seen |\n|:--|--:|\n" + "\n".join(f"| {capital(n)} | often |" for n in names),
    "HTML list": lambda names: f"<p>{LEAD}</p><ul>" + "".join(f"<li>{n}</li>" for n in names) + "</ul>",
    "line breaks": lambda names: f"{LEAD}:<br>" + "<br/>".join(names),
    "inline bullets": lambda names: f"{LEAD}: • " + " • ".join(names),
    "bold": lambda names: sentence(names, "**{}**"),
    "underlined": lambda names: sentence(names, "__{}__"),
    "links": lambda names: sentence(names, "[{}](https://example.org/a_(b))"),
    "tags": lambda names: sentence(names, "<u><strong>{}</strong></u>"),
    "quote": lambda names: f"> {sentence(names)}",
    "heading": lambda names: f"### {sentence(names)}",
    "narrow spaces": lambda names: sentence(names).replace(" ", "\u202f"),
    "soft hyphens": lambda names: sentence(names).replace("i", "i\u00ad").replace("a", "\u200ba"),
    "entities": lambda names: sentence(names).replace("'", "&rsquo;").replace(" ", "&nbsp;"),
    "capitals": lambda names: sentence(names).upper(),
}


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        mentions._MEMORY.clear()
        yield
        mentions._MEMORY.clear()


def record(answer: str, reference: str) -> Record:
    return Record(Item("i", "?", references=(reference,)), Output("i", text=answer))


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(st.sampled_from(ENTITIES), min_size=2, max_size=8, unique=True))
def test_the_same_entities_score_the_same_in_every_layout(layout: str, names: list[str]) -> None:
    one = record(LAYOUTS[layout](names), sentence(names))
    assert [metric.score([one])[0].value for metric in (RECALL, HALLUCINATED)] == [1, 0], LAYOUTS[layout](names)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_missing_and_an_invented_entity_are_seen_in_every_layout(layout: str) -> None:
    one = record(LAYOUTS[layout](["fever", "asthma", "gout"]), sentence(["fever", "asthma", "psoriasis"]))
    assert [metric.score([one])[0].value for metric in (RECALL, HALLUCINATED)] == [2 / 3, 1 / 3]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_mentions_are_places_of_the_original(layout: str) -> None:
    text = LAYOUTS[layout](["fever", "chest pain", "warfarin"])
    found = compare(record(text, sentence(["fever", "chest pain", "warfarin"])))
    assert len(found.supported) == 3
    for mention in found.supported:
        assert text[mention.start : mention.end] == mention.text
        assert mention.text.strip(" *_<>|-") == mention.text  # without markup around it


@given(st.text(alphabet=st.sampled_from(list("ab A1.,:;-*_#>|`~[]()<&/\n\t\r \u00a0\u00ad\u200bﬁé•✅")), max_size=80))
def test_every_character_of_the_prose_has_a_place(text: str) -> None:
    read = prose(text)
    places = [read.original(at, at + 1) for at in range(len(read.text))]
    assert all(0 <= start <= end <= len(text) for start, end in places)
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("Plain text stays as it is.", "Plain text stays as it is."),
        ("- Fever\n- Dry cough", "fever, dry cough"),
        ("It causes:\n1. Fever\n2. Cough", "It causes: fever, cough"),
        (
            "A long line that was wrapped by hand at some column\nends here.",
            "A long line that was wrapped by hand at some column ends here.",
        ),
        ("5 * 3 and a_b and 2 ** x", "5 * 3 and a_b and 2 ** x"),
        ("TAKE VITAMIN D FOR HEPATITIS B AND COPD.", "Take vitamin D for hepatitis B and COPD."),
        ("~~Aspirin~~ Ibuprofen", " Ibuprofen"),
        ("See [the leaflet](https://x.org/cancer) [1].", "See the leaflet ."),
        ("Blood pressure < 130 & pulse > 60", "Blood pressure < 130 & pulse > 60"),
        ("```\naspirin\n```", "aspirin"),
    ],
)
def test_what_a_pipeline_reads(text: str, read: str) -> None:
    assert prose(text).text == read
