"""Where the prompt ends and an option begins, for tokenizers whose tokens span that border."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import tiny
from medbench.core.errors import MedbenchError
from medbench.core.types import ChoiceRequest, ModelSpec, Prompt
from medbench.engines.hf.engine import TransformersEngine
from medbench.engines.prompting import Prompter, Wrapping

PLAIN = Wrapping("plain")
PROMPT = Prompt("Which?\nAnswer:")


def spanning(*tokens: str, chat: bool = False) -> Any:
    """The tiny tokenizer with more tokens, each one piece wherever it occurs: the way ": A" is one in some models."""
    from tokenizers import AddedToken

    words = tiny.tokenizer(chat)
    words.add_tokens([AddedToken(token, normalized=False) for token in tokens])
    return words


def parts(words: Any, answers: Sequence[str], prompt: Prompt = PROMPT, window: int = 100) -> tuple[str, list[str]]:
    """The end of the prompt and every answer, as their tokens read."""
    encoded, ends = Prompter(words, window, encoder_decoder=False).for_choice(prompt, PLAIN, answers)
    return words.decode(encoded.tokens), [words.decode(end) for end in ends]


def test_an_option_has_its_space_and_the_prompt_its_colon() -> None:
    assert parts(spanning(), ["A", "B"]) == ("Which?\nAnswer:", [" A", " B"])


def test_a_token_that_holds_the_border_belongs_to_the_option() -> None:
    assert parts(spanning(": A", ": B"), ["A", "B"]) == ("Which?\nAnswer", [": A", ": B"])


def test_all_options_are_scored_from_the_same_token_on() -> None:
    assert parts(spanning(": A"), ["A", "B", "C"]) == ("Which?\nAnswer", [": A", ": B", ": C"])


def test_a_border_token_may_reach_far_into_the_prompt_and_the_option() -> None:
    assert parts(spanning("swer: yes"), ["yes", "no"]) == ("Which?\n", ["Answer: yes", "Answer: no"])
    assert parts(spanning("Which?\nAnswer: A"), ["A", "B"])[1] == ["Which?\nAnswer: A", "Which?\nAnswer: B"]


def test_each_option_may_span_the_border_elsewhere() -> None:
    """The furthest reaches back into "Answer", so the others are scored from there on as well."""
    found = parts(spanning("swer: yes", ": no"), ["yes", "no", "maybe"])
    assert found == ("Which?\n", ["Answer: yes", "Answer: no", "Answer: maybe"])


def test_tokens_that_end_where_the_prompt_ends_change_nothing() -> None:
    assert parts(spanning("Answer:", "wer:"), ["A", "B"]) == ("Which?\nAnswer:", [" A", " B"])


def test_a_token_across_the_border_of_a_chat_template() -> None:
    """A template ends with a line end, which goes with the answer; here one token has it and the word before it."""
    words = spanning("assistant\nA", chat=True)
    wrap = Wrapping("template", tiny.TEMPLATE)
    encoded, ends = Prompter(words, 100, encoder_decoder=False).for_choice(PROMPT, wrap, ["A", "B"])
    assert words.decode(encoded.tokens).endswith("Answer:<|end|>\n<|start|>")
    assert [words.decode(end) for end in ends] == ["assistant\nA", "assistant\nB"]


def test_a_tokenizer_that_ends_every_text() -> None:
    """The end that it writes after the prompt is no part of it, nor of an option."""
    from tokenizers.processors import TemplateProcessing

    words = spanning(": A")
    words.backend_tokenizer.post_processor = TemplateProcessing(single="<eos> $A <eos>", special_tokens=[("<eos>", 1)])
    assert parts(words, ["A", "B"]) == ("<eos>Which?\nAnswer", [": A", ": B"])


def test_a_vocabulary_whose_pieces_go_across_spaces() -> None:
    """BPE without a split at spaces learns such tokens by itself."""
    from tokenizers import Tokenizer, decoders, models, trainers
    from transformers import PreTrainedTokenizerFast

    pieces = Tokenizer(models.BPE())
    pieces.decoder = decoders.BPEDecoder(suffix="")
    seen = [f"{question}\nAnswer: {label}" for question in ("Who?", "How often?", "When") for label in "ABC"] * 9
    pieces.train_from_iterator(seen, trainers.BpeTrainer(vocab_size=140, initial_alphabet=[*map(chr, range(32, 127))]))
    words = PreTrainedTokenizerFast(tokenizer_object=pieces)
    prompt, ends = Prompter(words, 100, encoder_decoder=False).for_choice(PROMPT, PLAIN, ["A", "B", "Z"])
    whole = [words(f"Which?\nAnswer: {label}")["input_ids"] for label in "ABZ"]
    assert len(prompt.tokens) < len(words("Which?\nAnswer:")["input_ids"]), "some token spans the border"
    assert [[*prompt.tokens, *end] for end in ends] == whole


def test_an_encoder_decoder_has_no_border() -> None:
    """Its decoder writes the option on its own, so that no token can hold both."""
    words = spanning(": A")
    encoded, ends = Prompter(words, 100, encoder_decoder=True).for_choice(PROMPT, PLAIN, ["A", "B"])
    assert words.decode(encoded.tokens) == "Which?\nAnswer:"
    assert [words.decode(end) for end in ends] == [" A", " B"]


def test_an_option_that_no_token_can_tell_from_the_prompt_is_refused() -> None:
    from tokenizers import normalizers

    words = spanning()
    words.backend_tokenizer.normalizer = normalizers.Replace(" A", "")
    with pytest.raises(MedbenchError, match="gives the option 'A' no token after the prompt") as error:
        parts(words, ["A", "B"])
    assert "--choice generate" in error.value.hint


def test_a_long_prompt_is_still_cut_to_the_window() -> None:
    long = Prompt("cough " * 50 + "Answer:")
    for words in (spanning(), spanning(": A")):
        encoded, ends = Prompter(words, 64, encoder_decoder=False).for_choice(long, PLAIN, ["A", "B"])
        assert len(encoded.tokens) + max(map(len, ends)) <= 64 + 1
        whole = words("cough " * 50 + "Answer: B")["input_ids"]
        assert [*encoded.tokens, *ends[1]] == whole[-len(encoded.tokens) - len(ends[1]) :]


def test_the_log_probability_is_that_of_the_whole_text_given_what_all_options_share(tmp_path: Path) -> None:
    import torch

    folder = tiny.save(tmp_path / "model", "llama", chat=False)
    words = spanning(": A")
    words.save_pretrained(folder)
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder)
    model.resize_token_embeddings(len(words))
    model.save_pretrained(folder)
    engine = TransformersEngine(ModelSpec("m", str(folder), "1", dtype="float32", device="cpu"))
    engine.load()
    (output,) = engine.choose([ChoiceRequest("i", PROMPT, ("A", "B"))])
    assert output.logprobs is not None
    shared = len(words("Which?\nAnswer")["input_ids"])
    for value, text in zip(output.logprobs, ("Which?\nAnswer: A", "Which?\nAnswer: B"), strict=True):
        ids = words(text)["input_ids"]
        with torch.inference_mode():
            logprobs = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        expected = sum(float(logprobs[at - 1, ids[at]]) for at in range(shared, len(ids)))
        assert expected < -1, "a random model is sure of nothing"
        assert value == pytest.approx(expected, abs=1e-4)
