"""The layout of an answer does not change its entities: the same words score the same in a list or in capitals."""

from __future__ import annotations

import textwrap
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
    "escaped twice": lambda names: sentence(names).replace("'", "&amp;rsquo;").replace(" ", "&amp;nbsp;"),
    "note marks": lambda names: sentence(names, "{}¹") + "²",
    "note tags": lambda names: sentence(names, "{}<sup>[1]</sup>"),
    "citations": lambda names: sentence(names, "{}【3†source】"),
    "mathematical letters": lambda names: sentence(names).translate(
        {code: chr(code + 0x1D400 - 65) for code in range(65, 91)}
        | {code: chr(code + 0x1D41A - 97) for code in range(97, 123)}
    ),
    "LaTeX": lambda names: sentence(names, r"\textbf{{{}}}"),
    "LaTeX list": lines("\\item {}", change=capital),
    "CSV": lines('{number},"{}"', change=capital),
    "XML": lambda names: sentence(names, "<finding>{}</finding>"),
    "HTML page": lambda names: (
        "<html><head><title>Malaria</title><style>p {color: red}</style></head>"
        f"<body><p>{sentence(names)}</p><script>var x = 'malaria'</script><!-- malaria --></body></html>"
    ),
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


SENTENCES = (
    "Gout is a form of arthritis that causes sudden, severe attacks of pain in the joints.",
    "It happens when uric acid builds up in the blood and forms crystals (often in the big toe).",
    "Asthma narrows the airways, and people who have it may wheeze, cough or feel short of breath.",
    "Doctors usually prescribe an inhaler; most patients need it only before they exercise.",
    "The symptoms of Parkinson's disease begin slowly, in many cases with a tremor of one hand.",
    "Levodopa helps, but it may cause nausea and, after some years, movements that cannot be controlled.",
    "In people with type 2 diabetes, the body does not use insulin as well as it should.",
    "Metformin is the drug that is tried first because it is safe, cheap and well known.",
    "A high level of glucose can damage the eyes, the kidneys and the nerves over many years.",
    "Malaria is spread by mosquitoes, which are most active between dusk and dawn.",
    "Fever and chills that come back every two or three days are typical of the disease.",
    "Travelers should ask their doctor about tablets to take before, during and after the trip.",
    "Anemia has many causes, such as a lack of iron, chronic disease and heavy bleeding.",
    "Your doctor may order a blood count to find out how severe it is.",
    "COPD is common in smokers and is diagnosed with a breathing test called spirometry.",
    "Not everyone with hepatitis C has symptoms, so a blood test is often the first sign.",
)
paragraphs = st.lists(st.sampled_from(SENTENCES), min_size=2, max_size=6).map(" ".join)


@given(paragraphs, st.integers(25, 80), st.sampled_from(["", "> ", "    "]), st.sampled_from(["\n", "\r\n"]))
def test_wrapped_text_reads_as_if_it_were_not(text: str, width: int, margin: str, end: str) -> None:
    wrapped = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    assert prose(end.join(margin + line for line in wrapped)).text == prose(text).text == text


@given(paragraphs, st.integers(25, 80))
def test_wrapped_capitals_read_as_if_they_were_not(text: str, width: int) -> None:
    wrapped = textwrap.wrap(text.upper(), width, break_long_words=False, break_on_hyphens=False)
    assert prose("\n".join(wrapped)).text == prose(text.upper()).text


PHRASES = (
    *ENTITIES, "pain in the lower back", "swelling of the ankles", "a dry cough at night", "trouble with swallowing",
    "loss of appetite", "a fever that lasts for days", "rash on the face and neck", "feeling very tired", "hot flashes",
)  # fmt: skip


@given(st.lists(st.sampled_from(PHRASES), min_size=2, max_size=9, unique=True), st.booleans())
def test_a_list_of_short_lines_is_no_wrapped_text(phrases: list[str], capitals: bool) -> None:
    assert prose("\n".join(map(capital, phrases) if capitals else phrases)).text.lower() == ", ".join(phrases).lower()


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
        ("There is no fever.¹ Gout² hurts,³⁻⁵ often <sup>6</sup>.", "There is no fever. Gout hurts, often."),
        ("5 m² and 3 cm³, 10⁹ cells, CO₂, Ca²⁺, ²²³Ra, R²", "5 m² and 3 cm³, 10⁹ cells, CO₂, Ca²⁺, ²²³Ra, R²"),
        ("GOUT HAS NO CURE.", "Gout has no cure."),
        ("THE MASS IS SEEN. PRESS HERE IN BED.", "The mass is seen. Press here in bed."),
        ("NSAIDS AND SSRIS ARE DRUGS.", "NSAIDs and SSRIs are drugs."),
        ('3,"Granulomatous Encephalitis"', "granulomatous encephalitis"),
        ('He said, "it hurts", and left.', 'He said, "it hurts", and left.'),
        ('He has no "heart attack." (Rarely.) It is gout.', 'He has no "heart attack." (Rarely.) It is gout.'),
        (
            "Earthquakes cause falls, burns and many different injuries\nIf you live near the sea, be ready to leave",
            "Earthquakes cause falls, burns and many different injuries. If you live near the sea, be ready to leave",
        ),
        (
            "- Pain that begins in the chest and then\n  spreads to the arm\n- Fever",
            "Pain that begins in the chest and then spreads to the arm. fever",
        ),
        ("The inflam-\nmation is short-\nand long-term.", "The inflammation is short- and long-term."),
        ("Help!!!!!!!! ((((((((( &amp;&amp;&amp;&amp;&amp; .......", "Help!!! ((( &&& ..."),
        ("I will eat ____ servings.", "I will eat  servings."),
        ("Take <dose> of it", "Take <dose> of it"),
    ],
)
def test_what_a_pipeline_reads(text: str, read: str) -> None:
    assert prose(text).text == read
