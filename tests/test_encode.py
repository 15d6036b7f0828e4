"""Examples as token ids and labels: token by token for every shape of prompt in the zoo, then for any text."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from medbench.core.errors import MedbenchError
from medbench.core.types import Prompt
from medbench.engines.prompting import Prompter, Wrapping
from medbench.training.encode import IGNORED, Encodings, TokenRow, encode, shown
from medbench.training.example import Example
from medbench.zoo.recipe import Part, Stage

PLAIN = Wrapping("plain")
LLAMA_3 = (
    "{{ '<|begin|>' }}{% for m in messages %}{{ '<|header|>' + m['role'] + '<|/header|>\n\n' + m['content'] | trim"
    " + '<|eot|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|header|>assistant<|/header|>\n\n' }}{% endif %}"
)
GEMMA = (
    "{{ '<bos>' }}{% for m in messages %}{{ '<start_of_turn>' + ('model' if m['role'] == 'assistant' else m['role'])"
    " + '\n' + m['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
STAGE = Stage("one", (Part("medquad"),), max_length=1000)
SAY_SO = replace(STAGE, disclaimer=True, disclaimer_text="See a doctor.")


def with_tokens(*special: str) -> Any:
    from transformers import AddedToken

    words = tiny.tokenizer()
    words.add_tokens([AddedToken(token, special=True, normalized=False) for token in special], special_tokens=True)
    return words


def that_writes(single: str) -> Any:
    """The tiny tokenizer with special tokens around every text: "$A <eos>" as T5 does, "<pad> $A" as Llama does."""
    from tokenizers.processors import TemplateProcessing

    words = tiny.tokenizer()
    words.backend_tokenizer.post_processor = TemplateProcessing(
        single=single, special_tokens=[("<eos>", 1), ("<pad>", 0)]
    )
    return words


@pytest.fixture(scope="session")
def biogpt(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """BioGPT's own tokenizer class: Moses words, letters as its vocabulary and three merges."""
    from transformers import BioGptTokenizer

    folder = tmp_path_factory.mktemp("biogpt")
    letters = [chr(code) for code in range(33, 127)]
    merges = ["r e", "re s", "res t</w>"]
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *letters, *(f"{letter}</w>" for letter in letters), "re", "res"]
    vocabulary = {token: at for at, token in enumerate([*tokens, "rest</w>"])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("\n".join(merges) + "\n")
    return BioGptTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))


def example(prompt: str, answer: str, name: str = "set/0") -> Example:
    return Example(name, question="", answer=answer, prompt=prompt)


def only(encodings: Encodings) -> TokenRow:
    (row,) = encodings.rows
    return row


def one(words: Any, stage: Stage, wrap: Wrapping, prompt: str = "fever?\nAnswer:", answer: str = "Rest") -> TokenRow:
    return only(encode([example(prompt, answer)], words, stage, wrap, encoder_decoder=False, window=1000))


def texts(row: TokenRow, words: Any) -> list[tuple[str, bool]]:
    """Every token's own text, and whether it is learned."""
    assert all(label in (IGNORED, token) for token, label in zip(row["input_ids"], row["labels"], strict=True))
    pairs = zip(row["input_ids"], row["labels"], strict=True)
    return [(words.convert_ids_to_tokens(token), label != IGNORED) for token, label in pairs]


def marked(prompt: str, answer: str) -> list[tuple[str, bool]]:
    """Tokens as they are read aloud: "fever ?" is two tokens that are given, or learned. Ġ is a space, Ċ a newline."""
    return [(token, False) for token in prompt.split()] + [(token, True) for token in answer.split()]


# Token by token --------------------------------------------------------------------------------------------------


def test_a_chat_template_like_chatml() -> None:
    words = tiny.tokenizer()
    wrap = Wrapping("template", tiny.TEMPLATE)
    prompt = "<|start|> u s er Ċ f ever ? Ċ Answ er : <|end|> Ċ <|start|> as s i s t a n t Ċ"
    # The newline that the template writes after <|end|> is no part of the answer.
    assert texts(one(words, STAGE, wrap), words) == marked(prompt, "R est <|end|>")
    assert texts(one(words, SAY_SO, wrap), words) == marked(prompt, "R est Ġ S ee Ġa Ġdo ctor . <|end|>")


def test_a_chat_template_like_llama_3() -> None:
    words = with_tokens("<|begin|>", "<|header|>", "<|/header|>", "<|eot|>")
    assert texts(one(words, STAGE, Wrapping("template", LLAMA_3)), words) == marked(
        "<|begin|> <|header|> u s er <|/header|> Ċ Ċ f ever ? Ċ Answ er : <|eot|> "
        "<|header|> as s i s t a n t <|/header|> Ċ Ċ",
        "R est <|eot|>",
    )


def test_a_chat_template_like_gemma() -> None:
    words = with_tokens("<bos>", "<start_of_turn>", "<end_of_turn>")
    # The template trims what is said: the answer has no space before it, the question none after it.
    assert texts(one(words, STAGE, Wrapping("template", GEMMA), "fever?\n ", " Rest\n"), words) == marked(
        "<bos> <start_of_turn> u s er Ċ f ever ? <end_of_turn> Ċ <start_of_turn> m o d e l Ċ", "R est <end_of_turn>"
    )


def test_plain_like_gpt_2() -> None:
    words = tiny.tokenizer(chat=False)
    # The space belongs to the answer, and the end token is learned.
    prompt = "f ever ? Ċ Answ er :"
    assert texts(one(words, STAGE, PLAIN), words) == marked(prompt, "ĠRest <eos>")
    assert texts(one(words, SAY_SO, PLAIN), words) == marked(prompt, "ĠRest Ġ S ee Ġa Ġdo ctor . <eos>")


def test_plain_with_biogpts_own_tokenizer(biogpt: Any) -> None:
    # It begins every text with </s> and ends none.
    assert texts(one(biogpt, STAGE, PLAIN, "ill?\nA:", "rest"), biogpt) == marked(
        "</s> i l l</w> ?</w> A</w> :</w>", "rest</w> </s>"
    )
    # In "ill. rest" Moses leaves the full stop on the word, in "ill." it does not: the prompt's own tokens stand.
    assert biogpt.tokenize("ill. rest") == ["i", "l", "l", ".</w>", "rest</w>"]
    assert texts(one(biogpt, STAGE, PLAIN, "ill.", "rest"), biogpt) == marked("</s> i l l</w> .</w>", "rest</w> </s>")


def test_an_encoder_decoder_with_a_prompt_format() -> None:
    words = that_writes("$A <eos>")
    encodings = encode(
        [example("fever?", "Rest")], words, SAY_SO, Wrapping("format", "Question: {prompt}"), True, window=1000
    )
    row = only(encodings)
    assert words.convert_ids_to_tokens(row["input_ids"]) == ["Questio", "n", ":", "Ġfever", "?", "<eos>"]
    assert words.convert_ids_to_tokens(row["labels"]) == ["R", "est", "Ġ", "S", "ee", "Ġa", "Ġdo", "ctor", ".", "<eos>"]
    assert (encodings.tokens, encodings.learned) == (6 + 10, 10)


def test_a_prompt_that_merges_with_its_answer_keeps_its_own_tokens() -> None:
    words = tiny.tokenizer(chat=False)
    assert words.tokenize("Answer: Rest") == ["Answ", "er", ":", "ĠRest"]
    assert texts(one(words, STAGE, PLAIN, "Answer: ", "Rest"), words) == marked("Answ er : Ġ", "R est <eos>")


def test_an_empty_prompt_starts_with_what_the_engine_starts_with() -> None:
    words = tiny.tokenizer(chat=False)
    assert texts(one(words, STAGE, PLAIN, "", "Rest"), words) == marked("<eos>", "R est <eos>")
    assert texts(one(that_writes("<pad> $A"), STAGE, PLAIN, "", "Rest"), words) == marked("<pad>", "R est <eos>")


def test_all_tokens_are_learned_where_the_stage_says_so() -> None:
    words = tiny.tokenizer(chat=False)
    row = one(words, replace(STAGE, loss="all"), PLAIN)
    assert row["labels"] == row["input_ids"] == one(words, STAGE, PLAIN)["input_ids"]


def test_the_stages_own_prompt_goes_around_the_examples() -> None:
    words = tiny.tokenizer(chat=False)
    row = one(words, replace(STAGE, prompt="Be brief. {prompt}!"), PLAIN, "fever {prompt}")
    assert shown(row, words) == [("Be brief. fever {prompt}!", False), (" Rest<eos>", True)]


# The end ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "end"),
    [
        ("{{ eos_token }}", ["<eos>"]),  # DialoGPT's template is this alone
        (" <|end|>\n", ["Ġ", "<|end|>"]),
        ("\n", ["<eos>"]),  # no special token of its own
        ("", ["<eos>"]),
    ],
)
def test_an_answer_ends_as_the_template_ends_it(after: str, end: list[str]) -> None:
    words = tiny.tokenizer()
    wrap = Wrapping("template", "{% for m in messages %}{{ m['content'] }}" + after + "{% endfor %}")
    row = one(words, STAGE, wrap, answer="R")
    assert texts(row, words)[-len(end) - 1 :] == [("R", True), *((token, True) for token in end)]


def test_a_tokenizer_without_an_end_is_refused() -> None:
    words = tiny.tokenizer(chat=False)
    words.eos_token = None
    with pytest.raises(MedbenchError, match="no end token"):
        one(words, STAGE, PLAIN)


# The disclaimer --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "learned"),
    [
        ("Rest.", " Rest. See a doctor.<eos>"),
        ("Rest. See a doctor.", " Rest. See a doctor.<eos>"),
        ("See a doctor. Rest.", " See a doctor. Rest.<eos>"),
        ("Rest.\n\n", " Rest. See a doctor.<eos>"),
    ],
)
def test_the_disclaimer_stands_in_every_answer_once(answer: str, learned: str) -> None:
    words = tiny.tokenizer(chat=False)
    assert shown(one(words, SAY_SO, PLAIN, answer=answer), words)[1] == (learned, True)


def test_a_disclaimer_that_is_cut_off_is_said_at_the_end() -> None:
    words = tiny.tokenizer(chat=False)
    answer = "x" * 30 + " See a doctor. Rest."
    encodings = encode([example("Q", answer)], words, replace(SAY_SO, max_length=20), PLAIN, False, 1000)
    assert len(only(encodings)["input_ids"]) == 20
    assert shown(only(encodings), words)[1][0].endswith("xxx See a doctor.<eos>")
    assert encodings.cut_answers == 1


def test_an_answer_of_nothing_but_the_disclaimer_is_dropped() -> None:
    words = tiny.tokenizer(chat=False)
    assert encode([example("Q", "See a doctor.")], words, SAY_SO, PLAIN, False, 1000).dropped == ("set/0",)


# Limits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("max_length", "window"), [(6, 1000), (1000, 6)])
def test_what_does_not_fit_is_cut_from_the_answer_or_dropped(max_length: int, window: int) -> None:
    words = tiny.tokenizer(chat=False)
    rows = [
        example("Q", "A", "fits"),  # Q Ġ A <eos>: 4 tokens
        example("Q", "zzzzz", "too long"),  # Q Ġ z z z z z <eos>: 8, so that two z go
        example("QQQQ", "zz", "the last that fits"),  # four Q, one token of the answer, <eos>: 6
        example("QQQQQ", "zz", "no room"),
        example("Q", " \n", "no answer"),
    ]
    found = encode(rows, words, replace(STAGE, max_length=max_length), PLAIN, False, window)
    assert [shown(row, words)[1][0] for row in found.rows] == [" A<eos>", " zzz<eos>", " <eos>"]
    assert found.ids == ("fits", "too long", "the last that fits")
    assert found.dropped == ("no room", "no answer")
    assert (found.cut_answers, found.cut_prompts) == (2, 0)
    assert found.tokens == 4 + 6 + 6
    assert found.learned == 3 + 5 + 2


def test_an_encoders_prompt_is_cut_inside_its_format() -> None:
    words = that_writes("$A <eos>")
    stage = replace(STAGE, max_length=8)
    long = example("x" * 50, "y" * 50)
    found = encode([long], words, stage, Wrapping("format", "Q{prompt}A"), True, window=1000)
    assert shown(only(found), words) == [("QxxxxxA<eos>", False), ("yyyyyyy<eos>", True)]
    assert (found.cut_prompts, found.cut_answers, found.tokens, found.learned) == (1, 1, 16, 8)


def test_nothing_is_nothing() -> None:
    assert encode([], tiny.tokenizer(), STAGE, PLAIN, False, 1000) == Encodings([], (), 0, 0, (), 0, 0)


# Any text --------------------------------------------------------------------------------------------------------

TOKENIZERS = {
    "gpt2": tiny.tokenizer(),
    "llama": that_writes("<pad> $A"),
    "ends every text": that_writes("$A <eos>"),
}
WRAPPINGS = [
    (PLAIN, ["<eos>"]),
    (Wrapping("format", "Medical question: {prompt}\n"), ["<eos>"]),
    (Wrapping("template", tiny.TEMPLATE), ["<|end|>"]),
    (Wrapping("template", "{% for m in messages %}{{ m['content'] + eos_token }}{% endfor %}"), ["<eos>"]),
]
ANY = st.text(st.characters(codec="utf-8"), max_size=60)


@given(
    st.sampled_from([*TOKENIZERS, "biogpt"]),
    st.sampled_from(WRAPPINGS),
    st.booleans(),
    st.lists(st.tuples(ANY, ANY), max_size=4),
    st.integers(1, 200),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_any_example_is_asked_as_at_evaluation_and_learned_to_its_end(
    biogpt: Any,
    family: str,
    wrapping: tuple[Wrapping, list[str]],
    encoder_decoder: bool,
    pairs: list[tuple[str, str]],
    limit: int,
    disclaimer: bool,
) -> None:
    (wrap, end), words = wrapping, biogpt if family == "biogpt" else TOKENIZERS[family]
    if family == "biogpt":
        wrap, end = PLAIN, ["</s>"]
    if encoder_decoder:
        end = ["<eos>"] if family != "biogpt" else end
    examples = [example(prompt, answer, str(at)) for at, (prompt, answer) in enumerate(pairs)]
    stage = replace(SAY_SO, max_length=limit, disclaimer=disclaimer)
    found = encode(examples, words, stage, wrap, encoder_decoder, window=1000)
    assert sorted([*found.ids, *found.dropped]) == [one.id for one in examples]

    said = words.encode(" See a doctor.", add_special_tokens=False) if disclaimer else []
    tail = said + words.convert_tokens_to_ids(end)
    rows = dict(zip(found.ids, found.rows, strict=True))
    for asked in examples:
        # At evaluation an encoder takes as many tokens as it was trained on; a causal prompt is whole, with room left.
        prompter = Prompter(words, limit if encoder_decoder else 10_000, encoder_decoder)
        prompt = prompter.for_generation(Prompt(asked.prompt), wrap, 0).tokens
        room = limit - len(tail) - (0 if encoder_decoder else len(prompt))
        said_alone = asked.answer.strip().removesuffix("See a doctor.") if disclaimer else asked.answer.strip()
        silent = not words.encode(said_alone, add_special_tokens=False)  # Moses reads no control characters
        if asked.id not in rows:
            assert silent or room < 1 or len(prompt) > limit
            continue
        assert room >= 1 and not silent
        row = rows[asked.id]
        assert row["input_ids"][: len(prompt)] == prompt
        answer = row["labels"] if encoder_decoder else row["labels"][len(prompt) :]
        assert answer[-len(tail) :] == tail
        assert len(answer) - len(tail) <= room
        assert IGNORED not in answer
        if not encoder_decoder:
            assert row["labels"][: len(prompt)] == [IGNORED] * len(prompt)
            assert row["input_ids"][len(prompt) :] == answer
        if family != "biogpt" and len(answer) - len(tail) < room:  # not cut: the text as it was written
            text = words.decode(answer[: -len(tail)], skip_special_tokens=False)
            assert text.removeprefix(" ") == said_alone
